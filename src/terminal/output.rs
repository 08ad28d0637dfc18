//! Standard output and error: bytes queued, and written as far as they are taken.
//!
//! It never blocks and never drops what was queued. What to queue, and when to stop, is the
//! [`Terminal`](super::Terminal)'s.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Instant;

use mio::event::Event;
use mio::{Registry, Token};

use super::descriptor::{self, Descriptor, Kind, Use};
use crate::error::reason;
use crate::limits::{
    FOREGROUND_POLL_INTERVAL, OUTPUT_RETRY_INTERVAL, OUTPUT_TURN_BYTES, SHARED_WRITE_BYTES,
    STDOUT_QUEUE_BYTES,
};

/// A queue of bytes before a descriptor.
///
/// Invariant: the first `taken` bytes of `queue` were written.
#[derive(Debug)]
pub struct Output {
    file: File,
    kind: Kind,
    is_terminal: bool,
    /// What a terminal may not be shown now will not be shown later.
    is_last_chance: bool,
    state: State,
    queue: Vec<u8>,
    taken: usize,
}

/// Whether it takes anything.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// As far as is known, it does.
    Ready,
    /// The poll will say when it does.
    Waiting,
    /// There is no room behind it, as on a full disk: tried again at that time.
    Full { why: String, retry_at: Instant },
    /// It is a terminal, and we are in its background: looked at again at that time.
    Background { retry_at: Instant },
    /// Nobody reads it any more, or it failed, and why.
    Closed(Option<String>),
}

impl Output {
    /// Takes over `inherited`, registered under `token` if the poll can watch it.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn new(inherited: BorrowedFd<'_>, registry: &Registry, token: Token) -> io::Result<Self> {
        let Descriptor { file, kind } = descriptor::open(inherited, Use::Write, registry, token)?;
        let is_terminal = file.is_terminal();
        let (state, queue) = (State::Ready, Vec::new());
        Ok(Self { file, kind, is_terminal, is_last_chance: false, state, queue, taken: 0 })
    }

    /// The poll says something of it.
    pub fn handle_event(&mut self, event: &Event) {
        if self.state == State::Waiting {
            self.state = State::Ready;
        }
        let may_be_closed = event.is_error() || event.is_write_closed();
        if may_be_closed && descriptor::is_closed(self.file.as_fd()) {
            self.close(None);
        }
    }

    /// Where to append what is to be written.
    pub fn queue(&mut self) -> &mut Vec<u8> {
        &mut self.queue
    }

    /// Bytes queued and not yet written.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.queue.len() - self.taken
    }

    /// When one that takes nothing is tried again without an event.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Full { retry_at, .. } | State::Background { retry_at } => Some(retry_at),
            State::Ready | State::Waiting | State::Closed(_) => None,
        }
    }

    /// Whether it is a terminal in whose background we are, so that nothing is written.
    #[must_use]
    pub fn is_in_background(&self) -> bool {
        matches!(self.state, State::Background { .. })
    }

    /// We may be in the foreground again.
    pub fn go_on(&mut self) {
        if self.is_in_background() {
            self.state = State::Ready;
        }
    }

    /// The program ends: what a terminal in whose background we are may not be shown is given up.
    pub fn leave(&mut self) {
        self.is_last_chance = true;
        self.go_on();
    }

    /// Why there is no room behind it, while there is none.
    #[must_use]
    pub fn full(&self) -> Option<&str> {
        if let State::Full { why, .. } = &self.state { Some(why) } else { None }
    }

    /// Whether nothing can be written any more: `Some` with the error, or with `None` where somebody
    /// simply stopped reading.
    #[must_use]
    pub fn closed(&self) -> Option<Option<&str>> {
        if let State::Closed(why) = &self.state { Some(why.as_deref()) } else { None }
    }

    /// Writes until it takes no more. Returns how many bytes it took.
    pub fn flush(&mut self, now: Instant) -> usize {
        if self.deadline().is_some_and(|retry_at| now >= retry_at) {
            self.state = State::Ready;
        }
        let before = self.waiting_bytes();
        while self.state == State::Ready && self.waiting_bytes() > 0 {
            self.write_some(now);
        }
        if self.is_last_chance && self.is_in_background() {
            self.taken = self.queue.len();
        }
        let took = before - self.waiting_bytes();
        self.forget_taken();
        took
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
        match self.file.write(whole_lines(&self.queue[self.taken..], limit)) {
            Ok(0) => self.fill("it takes nothing".to_owned(), now),
            Ok(count) => self.taken += count,
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => (),
                ErrorKind::WouldBlock => self.state = State::Waiting,
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                    self.fill(reason(&error), now);
                }
                ErrorKind::BrokenPipe => self.close(None),
                _ if descriptor::is_hang_up(&error) => self.close(None),
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
        self.taken = 0;
    }

    fn forget_taken(&mut self) {
        if self.taken == self.queue.len() {
            self.queue.clear();
            self.taken = 0;
        } else if self.taken >= STDOUT_QUEUE_BYTES {
            self.queue.drain(..self.taken);
            self.taken = 0;
        }
    }
}

/// The front of `bytes`, at most `limit`, ending with a line where one fits: so that lines of
/// several programs that share a pipe do not cut each other.
fn whole_lines(bytes: &[u8], limit: usize) -> &[u8] {
    if bytes.len() <= limit {
        return bytes;
    }
    let bytes = &bytes[..limit];
    memchr::memrchr(b'\n', bytes).map_or(bytes, |at| &bytes[..=at])
}
