//! Standard input: lines out of whatever it is.
//!
//! It reads the descriptor itself, since the standard library's buffer would hide lines from the
//! poll, and never blocks.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Read as _};
use std::mem;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Registry, Token};

use super::descriptor::{self, Descriptor, Kind};
use crate::error::reason;
use crate::limits::{FOREGROUND_POLL_INTERVAL, INPUT_READ_BYTES, LINE_BYTES_MAX, LINE_PIECE_BYTES};
use crate::protocol::frame::lossy;

/// Lines being read.
///
/// Invariant: the first `searched` bytes from `start` on hold no line break.
#[derive(Debug)]
pub struct Stdin {
    file: File,
    kind: Kind,
    is_terminal: bool,
    state: State,
    buffer: Vec<u8>,
    start: usize,
    searched: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The poll will say when there is something.
    Waiting,
    /// There may be something.
    Ready,
    /// It is a terminal, and we are in its background: looked at again at that time.
    Background { retry_at: Instant },
    /// There is no more.
    Ended,
}

impl Stdin {
    /// Standard input, registered under `token` if the poll can watch it.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let Descriptor { file, kind } =
            descriptor::open(io::stdin().as_fd(), descriptor::Use::Read, registry, token)?;
        let (is_terminal, state) = (file.is_terminal(), State::Ready);
        Ok(Self { file, kind, is_terminal, state, buffer: Vec::new(), start: 0, searched: 0 })
    }

    /// The poll says that there may be something.
    pub fn handle_event(&mut self) {
        if self.state == State::Waiting {
            self.state = State::Ready;
        }
    }

    /// Looks again, when it is time to, whether a terminal is ours.
    pub fn handle_time(&mut self, now: Instant) {
        if self.deadline().is_some_and(|retry_at| now >= retry_at) {
            self.handle_continue();
        }
    }

    /// When that is to be done.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if let State::Background { retry_at } = self.state { Some(retry_at) } else { None }
    }

    /// We may be in the foreground again.
    pub fn handle_continue(&mut self) {
        if let State::Background { .. } = self.state {
            self.state = State::Ready;
        }
    }

    /// Whether something may be had at once: a line, or bytes to read.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready || self.has_line()
    }

    /// Whether everything was read and every line taken.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Ended && self.start == self.buffer.len()
    }

    /// The next line without its line break, of what was read. A last line may lack one, and a line
    /// that is too long comes in pieces.
    pub fn next_line(&mut self) -> Option<Cow<'_, str>> {
        let unread = &self.buffer[self.start..];
        let found = memchr::memchr(b'\n', &unread[self.searched..]).map(|at| self.searched + at);
        let (line, used) = match found {
            Some(end) if end <= LINE_BYTES_MAX => {
                (unread[..end].strip_suffix(b"\r").unwrap_or(&unread[..end]), end + 1)
            }
            _ if unread.len() > LINE_BYTES_MAX => {
                let piece = &unread[..cut_between_characters(unread, LINE_PIECE_BYTES)];
                (piece, piece.len())
            }
            None if self.state == State::Ended && !unread.is_empty() => (unread, unread.len()),
            _ => {
                self.searched = unread.len();
                return None;
            }
        };
        self.searched = 0;
        self.start += used;
        Some(lossy(line))
    }

    /// All that was read and not taken.
    pub fn take_bytes(&mut self) -> &[u8] {
        let start = mem::replace(&mut self.start, self.buffer.len());
        self.searched = 0;
        &self.buffer[start..]
    }

    /// Reads once. Returns what the user should know if the input cannot be read.
    pub fn read(&mut self, registry: &Registry, now: Instant) -> Option<String> {
        if self.state != State::Ready {
            return None;
        }
        if self.is_terminal && descriptor::is_in_background(self.file.as_fd()) {
            self.state = State::Background { retry_at: now + FOREGROUND_POLL_INTERVAL };
            return None;
        }
        // A description that is shared may have been emptied by somebody else.
        if self.kind == Kind::Shared && !descriptor::is_readable(self.file.as_fd()) {
            self.state = State::Waiting;
            return None;
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let kept = self.buffer.len();
        self.buffer.resize(kept + INPUT_READ_BYTES, 0);
        let result = self.file.read(&mut self.buffer[kept..]);
        self.buffer.truncate(kept + *result.as_ref().unwrap_or(&0));
        match result {
            Ok(0) => self.end(registry),
            Ok(_) => (),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => (),
                ErrorKind::WouldBlock => self.state = State::Waiting,
                _ => {
                    self.end(registry);
                    let is_end = descriptor::is_hang_up(&error);
                    return (!is_end).then(|| format!("cannot read standard input: {}", reason(&error)));
                }
            },
        }
        None
    }

    fn has_line(&self) -> bool {
        let unread = &self.buffer[self.start..];
        let is_last = self.state == State::Ended && !unread.is_empty();
        is_last || unread.len() > LINE_BYTES_MAX || memchr::memchr(b'\n', &unread[self.searched..]).is_some()
    }

    fn end(&mut self, registry: &Registry) {
        self.state = State::Ended;
        if self.kind != Kind::AlwaysReady {
            // The descriptor stays open; the poll must not go on talking about it.
            let _ = registry.deregister(&mut SourceFd(&self.file.as_raw_fd()));
        }
    }
}

/// The largest cut at or before `limit` that splits no UTF-8 character. Bytes that are no UTF-8 are
/// cut anywhere.
fn cut_between_characters(bytes: &[u8], limit: usize) -> usize {
    let is_boundary = |at: &usize| bytes[*at] & 0b1100_0000 != 0b1000_0000;
    (limit - 3..=limit).rev().find(is_boundary).unwrap_or(limit)
}
