//! Standard input: splits the bytes of a terminal, pipe or file into lines, without blocking.
//!
//! It reads the descriptor directly, since the standard library's buffer would hide lines from the poll.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Read as _};
use std::mem;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Registry, Token};

use super::descriptor::{self, Descriptor, Kind};
use crate::command::Source;
use crate::error::reason;
use crate::limits::{FOREGROUND_POLL_INTERVAL, INPUT_READ_BYTES, MESSAGE_BYTES_MAX};
use crate::wire::frame::lossy;

/// The reader of standard input.
///
/// Invariant: the bytes of `buffer` before `start` were consumed, and the `searched` bytes from `start` on
/// hold no line break; no line is both within and discarded.
#[derive(Debug)]
pub struct Stdin {
    file: File,
    kind: Kind,
    is_terminal: bool,
    state: State,
    buffer: Vec<u8>,
    start: usize,
    searched: usize,
    /// A piece of a line was consumed, and the line has not ended yet.
    is_within_line: bool,
    /// The bytes up to the next line break are to be discarded.
    discards_line: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A read would block; the poll reports when it no longer does.
    Waiting,
    /// A read may succeed.
    Ready,
    /// The program is in the background of the terminal; the next check is at `retry_at`.
    Background { retry_at: Instant },
    /// The input has ended.
    Ended,
}

impl Stdin {
    /// Opens standard input, registered under `token` if the poll can watch it.
    ///
    /// # Errors
    ///
    /// The error of the system call that failed.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let Descriptor { file, kind } =
            descriptor::open(io::stdin().as_fd(), descriptor::Use::Read, registry, token)?;
        let (is_terminal, state) = (file.is_terminal(), State::Ready);
        Ok(Self {
            file,
            kind,
            is_terminal,
            state,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            is_within_line: false,
            discards_line: false,
        })
    }

    /// Handles a poll event of the descriptor.
    pub fn handle_event(&mut self) {
        if self.state == State::Waiting {
            self.state = State::Ready;
        }
    }

    /// Checks again, once the deadline has passed, whether the program is in the foreground.
    pub fn handle_time(&mut self, now: Instant) {
        if self.deadline().is_some_and(|retry_at| now >= retry_at) {
            self.handle_continue();
        }
    }

    /// When [`handle_time`](Self::handle_time) is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if let State::Background { retry_at } = self.state { Some(retry_at) } else { None }
    }

    /// Handles SIGCONT: the program may be in the foreground again.
    pub fn handle_continue(&mut self) {
        if let State::Background { .. } = self.state {
            self.state = State::Ready;
        }
    }

    /// Whether a line is complete, or a read may succeed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready || self.has_line()
    }

    /// Whether the input has ended and every line was consumed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Ended && self.start == self.buffer.len()
    }

    /// The next complete line, without its line break. The last line may lack a line break. A line longer
    /// than [`MESSAGE_BYTES_MAX`] is split into pieces of that size.
    pub fn next_line(&mut self) -> Option<(Cow<'_, str>, Source)> {
        if self.discards_line {
            let unread = &self.buffer[self.start..];
            let end = memchr::memchr(b'\n', unread).map(|end| end + 1);
            self.start += end.unwrap_or(unread.len());
            self.searched = 0;
            self.discards_line = end.is_none() && self.state != State::Ended;
        }
        let unread = &self.buffer[self.start..];
        let found = memchr::memchr(b'\n', &unread[self.searched..]).map(|at| self.searched + at);
        let (line, used, is_end) = match found {
            Some(end) if end <= MESSAGE_BYTES_MAX => {
                (unread[..end].strip_suffix(b"\r").unwrap_or(&unread[..end]), end + 1, true)
            }
            _ if unread.len() > MESSAGE_BYTES_MAX => {
                let piece = &unread[..cut_between_characters(unread, MESSAGE_BYTES_MAX)];
                (piece, piece.len(), false)
            }
            None if self.state == State::Ended && !unread.is_empty() => (unread, unread.len(), true),
            _ => {
                self.searched = unread.len();
                return None;
            }
        };
        self.searched = 0;
        self.start += used;
        let source = match (mem::replace(&mut self.is_within_line, !is_end), is_end) {
            (true, _) => Source::Rest,
            (false, true) => Source::Verbatim,
            (false, false) => Source::Start,
        };
        Some((lossy(line), source))
    }

    /// Discards the rest of the line of which a piece was consumed last.
    pub fn discard_line(&mut self) {
        self.discards_line = mem::take(&mut self.is_within_line);
    }

    /// Consumes all bytes that were read.
    pub fn take_bytes(&mut self) -> &[u8] {
        let start = mem::replace(&mut self.start, self.buffer.len());
        self.searched = 0;
        &self.buffer[start..]
    }

    /// Reads once. Returns a diagnostic if the read fails.
    pub fn read(&mut self, registry: &Registry, now: Instant) -> Option<String> {
        if self.state != State::Ready {
            return None;
        }
        if self.is_terminal && descriptor::is_in_background(self.file.as_fd()) {
            self.state = State::Background { retry_at: now + FOREGROUND_POLL_INTERVAL };
            return None;
        }
        // Another program may have emptied a shared description.
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
                    let is_end = descriptor::is_hang_up(&error, self.is_terminal);
                    return (!is_end).then(|| format!("cannot read standard input: {}", reason(&error)));
                }
            },
        }
        None
    }

    fn has_line(&self) -> bool {
        let unread = &self.buffer[self.start..];
        let is_last = self.state == State::Ended && !unread.is_empty();
        is_last
            || unread.len() > MESSAGE_BYTES_MAX
            || memchr::memchr(b'\n', &unread[self.searched..]).is_some()
    }

    fn end(&mut self, registry: &Registry) {
        self.state = State::Ended;
        if self.kind != Kind::AlwaysReady {
            // The descriptor stays open, and the poll must not report it any more.
            let _ = registry.deregister(&mut SourceFd(&self.file.as_raw_fd()));
        }
    }
}

/// The largest index up to `limit` that splits no UTF-8 character. Bytes that are not UTF-8 are split
/// anywhere.
fn cut_between_characters(bytes: &[u8], limit: usize) -> usize {
    let is_boundary = |at: &usize| bytes[*at] & 0b1100_0000 != 0b1000_0000;
    (limit - 3..=limit).rev().find(is_boundary).unwrap_or(limit)
}
