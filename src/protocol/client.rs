//! One connection: what came in, how far it has taken the log, and its state.
//!
//! It decides nothing about others; the [`Group`](super::Group) moves its state.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::dial::DialId;
use super::frame::{self, Framing};
use super::inbox::Inbox;
use super::log::Log;
use crate::limits::{HOLD_BACK, PROBE};

/// Which client: its place in the group's slab. Used again only after the client was reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(pub usize);

/// How far a connection is. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// We dialled and wait for an answer.
    Dialling,
    /// Both sides talk.
    Open,
    /// It has taken our goodbye; what it still says is read until it closes, or until then.
    Finishing {
        /// When it is closed in any case.
        until: Instant,
    },
    /// To be reaped.
    Ended,
}

/// Bytes are waiting that the client does not take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// Nothing was taken since.
    pub since: Instant,
    /// When a write is tried without being told that there is room: the system says so only once a
    /// large part of its buffer is free, which a slow reader may take long to reach.
    pub probe_at: Instant,
}

/// One connection.
///
/// Invariant: `outbox` is empty, or holds the frame at `cursor` in lab framing, of which
/// `outbox_taken` bytes were taken.
#[derive(Debug)]
pub struct Client<S> {
    pub(super) stream: S,
    pub(super) address: SocketAddr,
    pub(super) dialled: Option<Dialled>,
    pub(super) state: State,
    pub(super) name: Option<Rc<str>>,
    pub(super) inbox: Inbox,
    /// Nothing that it says is heard any more.
    pub(super) is_muted: bool,
    /// The position in the log up to which this client has taken everything.
    pub(super) cursor: u64,
    outbox: Vec<u8>,
    outbox_taken: usize,
    pub(super) waiting: Option<Waiting>,
}

/// What is known of a connection that we dialled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialled {
    pub dial: DialId,
    /// Our own end of it.
    pub local: SocketAddr,
}

impl<S> Client<S> {
    pub(super) fn new(stream: S, address: SocketAddr, dialled: Option<Dialled>, cursor: u64) -> Self {
        let state = if dialled.is_some() { State::Dialling } else { State::Open };
        let (name, inbox, waiting, is_muted) = (None, Inbox::default(), None, false);
        Self {
            stream,
            address,
            dialled,
            state,
            name,
            inbox,
            is_muted,
            cursor,
            outbox: Vec::new(),
            outbox_taken: 0,
            waiting,
        }
    }

    /// What to call whoever is at the other end.
    pub(super) fn who(&self) -> Rc<str> {
        self.name.clone().unwrap_or_else(|| self.address.to_string().into())
    }

    /// Whether it has yet to take something.
    pub(super) fn is_behind(&self, log: &Log) -> bool {
        self.state == State::Open && self.cursor < log.end()
    }

    /// Whether it is slow but alive, so that new lines wait for it.
    pub(super) fn holds_back(&self, now: Instant) -> bool {
        self.waiting.is_some_and(|waiting| now < waiting.since + HOLD_BACK)
    }

    /// The stream, and the bytes to offer it next: some, while it is behind.
    ///
    /// Lab framing gets one frame at a time, since its reader wants each in one write.
    pub(super) fn offer<'a>(&'a mut self, log: &'a Log, silent: Framing) -> (&'a mut S, &'a [u8]) {
        let mut bytes = log.since(self.cursor);
        if self.outbox.is_empty() && self.inbox.framing().unwrap_or(silent) == Framing::Lab {
            let frame = log.frame_around(self.cursor);
            bytes = &bytes[..(frame.end - self.cursor) as usize];
            // Otherwise it turned out to speak lab framing in the middle of a frame of text framing,
            // which is finished first.
            if frame.start == self.cursor {
                let code = frame::code_at_tail(bytes).expect("the log holds frames");
                frame::write_lab(code.code, &frame::unescape(&bytes[..code.start]), &mut self.outbox);
            }
        }
        if !self.outbox.is_empty() {
            bytes = &self.outbox[self.outbox_taken..];
        }
        (&mut self.stream, bytes)
    }

    /// It took the first `count` bytes of what [`offer`](Self::offer) offered.
    pub(super) fn handle_taken(&mut self, count: usize, log: &Log) {
        if self.outbox.is_empty() {
            self.cursor += count as u64;
            return;
        }
        self.outbox_taken += count;
        if self.outbox_taken == self.outbox.len() {
            self.cursor = log.frame_around(self.cursor).end;
            self.outbox.clear();
            self.outbox_taken = 0;
        }
    }

    /// Starts, restarts or stops the clock of a client that does not take what waits for it.
    pub(super) fn clock(&mut self, now: Instant, took_some: bool, log: &Log) {
        if !self.is_behind(log) {
            self.waiting = None;
            self.outbox = Vec::new();
        } else if took_some || self.waiting.is_none() {
            self.waiting = Some(Waiting { since: now, probe_at: now + HOLD_BACK });
        } else if let Some(waiting) = &mut self.waiting
            && now >= waiting.probe_at
        {
            waiting.probe_at = now + PROBE;
        }
    }

    /// How long nothing was taken of what waits.
    pub(super) fn stalled_for(&self, now: Instant) -> Duration {
        self.waiting.map_or(Duration::ZERO, |waiting| now.saturating_duration_since(waiting.since))
    }
}
