//! Output streams: a queue of bytes in front of standard output or error.
//!
//! A write never blocks, and queued bytes are never dropped. The [`Terminal`](super::Terminal) decides what
//! to queue, and when to stop.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Instant;

use mio::event::Event as Readiness;
use mio::{Registry, Token};

use super::descriptor::{self, Descriptor, Kind, Use};
use crate::error::reason;
use crate::limits::{
    FOREGROUND_POLL_INTERVAL, OUTPUT_RETRY_INTERVAL, OUTPUT_TURN_BYTES, SHARED_WRITE_BYTES,
    STDOUT_QUEUE_BYTES,
};

/// A queue of bytes in front of a descriptor.
///
/// Invariant: the first `written` bytes of `queue` were written.
#[derive(Debug)]
pub struct Output {
    file: File,
    kind: Kind,
    is_terminal: bool,
    /// The program leaves: bytes that cannot be written in the background are given up.
    is_leaving: bool,
    state: State,
    queue: Vec<u8>,
    written: usize,
}

/// Whether the descriptor accepts bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// A write may succeed.
    Ready,
    /// A write would block; the poll reports when it no longer does.
    Waiting,
    /// A write failed for lack of space, as on a full disk; the next attempt is at `retry_at`.
    Full { why: String, retry_at: Instant },
    /// The program is in the background of the terminal; the next check is at `retry_at`.
    Background { retry_at: Instant },
    /// The reader is gone (`None`), or a write failed with this error.
    Closed(Option<String>),
}

impl Output {
    /// Opens `inherited`, registered under `token` if the poll can watch it.
    ///
    /// # Errors
    ///
    /// The error of the system call that failed.
    pub fn new(inherited: BorrowedFd<'_>, registry: &Registry, token: Token) -> io::Result<Self> {
        let Descriptor { file, kind } = descriptor::open(inherited, Use::Write, registry, token)?;
        let is_terminal = file.is_terminal();
        let (state, queue) = (State::Ready, Vec::new());
        Ok(Self { file, kind, is_terminal, is_leaving: false, state, queue, written: 0 })
    }

    /// Handles a poll event of the descriptor.
    pub fn handle_readiness(&mut self, event: &Readiness) {
        if self.state == State::Waiting {
            self.state = State::Ready;
        }
        let may_be_closed = event.is_error() || event.is_write_closed();
        if may_be_closed && descriptor::is_closed(self.file.as_fd()) {
            self.close(None);
        }
    }

    /// Whether it is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// The queue, to append bytes to.
    pub fn queue(&mut self) -> &mut Vec<u8> {
        &mut self.queue
    }

    /// The number of bytes that are queued and not yet written.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.queue.len() - self.written
    }

    /// When [`flush`](Self::flush) tries again without an event.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Full { retry_at, .. } | State::Background { retry_at } => Some(retry_at),
            State::Ready | State::Waiting | State::Closed(_) => None,
        }
    }

    /// Whether the program is in the background of this terminal, so that nothing is written.
    #[must_use]
    pub fn is_in_background(&self) -> bool {
        matches!(self.state, State::Background { .. })
    }

    /// Handles SIGCONT: the program may be in the foreground again.
    pub fn handle_continue(&mut self) {
        if self.is_in_background() {
            self.state = State::Ready;
        }
    }

    /// The program leaves: bytes that cannot be written in the background are given up.
    pub fn leave(&mut self) {
        self.is_leaving = true;
        self.handle_continue();
    }

    /// The error, while writes fail for lack of space.
    #[must_use]
    pub fn full(&self) -> Option<&str> {
        if let State::Full { why, .. } = &self.state { Some(why) } else { None }
    }

    /// Whether the stream is closed: `Some` with the error, or with `None` where the reader is gone.
    #[must_use]
    pub fn closed(&self) -> Option<Option<&str>> {
        if let State::Closed(why) = &self.state { Some(why.as_deref()) } else { None }
    }

    /// Writes the queue until the descriptor accepts no more. Returns the number of bytes written.
    pub fn flush(&mut self, now: Instant) -> usize {
        if self.deadline().is_some_and(|retry_at| now >= retry_at) {
            self.state = State::Ready;
        }
        let before = self.waiting_bytes();
        while self.state == State::Ready && self.waiting_bytes() > 0 {
            self.write_some(now);
        }
        if self.is_leaving && self.is_in_background() {
            self.written = self.queue.len();
        }
        let written = before - self.waiting_bytes();
        self.discard_written();
        written
    }

    fn write_some(&mut self, now: Instant) {
        if self.is_terminal && descriptor::is_in_background(self.file.as_fd()) {
            self.state = State::Background { retry_at: now + FOREGROUND_POLL_INTERVAL };
            return;
        }
        let is_shared = self.kind == Kind::Shared;
        if is_shared && !descriptor::is_writable(self.file.as_fd()) {
            self.state = State::Waiting;
            return;
        }
        let limit = if is_shared { SHARED_WRITE_BYTES } else { OUTPUT_TURN_BYTES };
        match self.file.write(whole_lines(&self.queue[self.written..], limit)) {
            Ok(0) => self.fill("no bytes were accepted".to_owned(), now),
            Ok(count) => self.written += count,
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => (),
                ErrorKind::WouldBlock => self.state = State::Waiting,
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                    self.fill(reason(&error), now);
                }
                ErrorKind::BrokenPipe => self.close(None),
                _ if descriptor::is_hang_up(&error, self.is_terminal) => self.close(None),
                _ => self.close(Some(reason(&error))),
            },
        }
    }

    fn fill(&mut self, why: String, now: Instant) {
        self.state = State::Full { why, retry_at: now + OUTPUT_RETRY_INTERVAL };
    }

    fn close(&mut self, why: Option<String>) {
        self.state = State::Closed(why);
        self.queue = Vec::new();
        self.written = 0;
    }

    fn discard_written(&mut self) {
        if self.written == self.queue.len() {
            self.queue.clear();
            self.written = 0;
        } else if self.written >= STDOUT_QUEUE_BYTES {
            self.queue.drain(..self.written);
            self.written = 0;
        }
    }
}

/// The longest prefix of `bytes` of at most `limit` bytes that ends with a line, or just `limit` bytes: lines
/// of programs that share a pipe should not cut each other.
fn whole_lines(bytes: &[u8], limit: usize) -> &[u8] {
    if bytes.len() <= limit {
        return bytes;
    }
    let bytes = &bytes[..limit];
    memchr::memrchr(b'\n', bytes).map_or(bytes, |at| &bytes[..=at])
}
