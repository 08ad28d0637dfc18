//! One connection: what came in, how far it has taken the log, who is at its other end, and its state.
//!
//! It decides nothing about others; the [`Group`](super::Group) moves its state.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::dial::DialId;
use super::frame::{self, Code, Framing};
use super::inbox::Inbox;
use super::label::Label;
use super::log::Log;
use super::member::MemberKey;
use super::notice::Notice;
use super::peer_frame::Word;
use crate::limits::{HOLD_BACK, PROBE};

/// Which client: its place in the group's slab. Used again only after the client was reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub usize);

/// How far a connection is. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// We dialled and wait for an answer.
    Dialling {
        /// When we give it up.
        until: Instant,
    },
    /// Both sides talk.
    Open,
    /// It gets what is in its outbox, and nothing more.
    Closing,
    /// It has taken all that it gets; what it still says is read until it closes, or until then.
    Finishing {
        /// When it is closed in any case.
        until: Instant,
    },
    /// To be reaped.
    Ended,
}

/// What is known of who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Introduction {
    /// Nothing yet. Nothing is sent until then, for it may want to hear from elsewhere on.
    Awaited {
        /// When it is taken for a plain peer.
        until: Instant,
    },
    /// A plain peer, that takes part as the exercise says.
    Plain,
    /// It said that it is this member.
    Begun(MemberKey),
    /// It is this member, and both sides know from which message on the other goes on.
    Complete(MemberKey),
    /// A former member, or ourselves: what it says means nothing any more.
    Over,
}

impl Introduction {
    pub fn member(self) -> Option<MemberKey> {
        match self {
            Self::Awaited { .. } | Self::Plain | Self::Over => None,
            Self::Begun(member) | Self::Complete(member) => Some(member),
        }
    }
}

/// What the user was shown of a connection that is no member's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing yet.
    Nothing,
    /// It was counted among others of its host.
    Counted,
    /// That somebody connected.
    Connection,
    /// A message or a goodbye: it is somebody.
    Person,
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
/// Invariant: what is in `outbox` goes before what is at `cursor`, which is at the start of a frame
/// while there is any.
#[derive(Debug)]
pub struct Client<S> {
    pub(super) stream: S,
    pub(super) address: SocketAddr,
    pub(super) dialled: Option<Dialled>,
    pub(super) state: State,
    pub(super) introduction: Introduction,
    /// Since when it is connected, or introduces itself.
    pub(super) since: Instant,
    /// When it said anything last.
    pub(super) heard_at: Instant,
    /// What a plain peer is called, once it told its name.
    pub(super) name: Option<Label>,
    pub(super) inbox: Inbox,
    /// The framing of the last frame that came.
    pub(super) spoken: Option<Framing>,
    /// Somebody who introduces itself is there, so it will as well; until then it is not heard.
    pub(super) will_introduce_itself: bool,
    /// Nothing that it says is heard any more.
    pub(super) is_muted: bool,
    /// It will say nothing more, and has yet to take what is in its outbox.
    pub(super) is_silent: bool,
    /// What the user was shown of it, as long as it is no member's.
    pub(super) shown: Shown,
    /// How many messages it said that were shown as a plain peer's.
    pub(super) heard_early: u64,
    /// What the two told each other, once one of them has introduced itself.
    pub(super) exchange: Option<Box<Exchange>>,
    /// The number that its next message has among all of its sender's, once that is known.
    pub(super) next_heard: Option<u64>,
    /// The number of the first message that it was offered, once it was.
    pub(super) offered_from: Option<u64>,
    /// The position in the log up to which everything was taken, or is in the outbox.
    pub(super) cursor: u64,
    outbox: Outbox,
    pub(super) waiting: Option<Waiting>,
    /// The group's list of those who have something to take holds it.
    pub(super) is_listed: bool,
}

/// What goes to one client before what is at its cursor.
#[derive(Debug, Default)]
struct Outbox {
    bytes: Vec<u8>,
    taken: usize,
    /// The message before the cursor, or the rest of it, is among the bytes.
    holds_message: bool,
}

/// What the two ends of a connection told each other of themselves.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// The port that it says it listens on.
    pub port: Option<u16>,
    /// The number of the first of its messages that came before it was known to be a member's, if it told.
    pub early_from: Option<u64>,
    /// Messages that it said while it introduced itself. They will come again; if not, they are shown.
    pub early: Early,
    /// How many of our messages it says that it has, on this connection; and of those to it alone.
    pub their_have: Option<u64>,
    pub their_private: Option<u64>,
    /// What it calls itself, and how many names it had before.
    pub name: Option<(u64, String)>,
    /// It has told of all who were there when its member was met for the first time.
    pub has_told_members: bool,
    /// We said from where on we go on.
    pub has_gone_on: bool,
    /// The pass that we were given on this connection.
    pub pass: Option<Word>,
    /// The number of the first of its messages that it was asked for, unless that was for the last ones.
    pub asked_from: Option<u64>,
}

/// Messages that may have to be shown.
#[derive(Debug, Default)]
pub(super) struct Early {
    pub notices: Vec<Notice>,
    /// How many messages those are, with those of which there is nothing to show.
    pub count: u64,
    pub bytes: usize,
}

/// What is known of a connection that we dialled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialled {
    pub dial: DialId,
    /// Our own end of it.
    pub local: SocketAddr,
}

impl<S> Client<S> {
    pub(super) fn new(
        stream: S,
        address: SocketAddr,
        dialled: Option<Dialled>,
        state: State,
        introduction: Introduction,
        cursor: u64,
        now: Instant,
    ) -> Self {
        Self {
            stream,
            address,
            dialled,
            state,
            introduction,
            since: now,
            heard_at: now,
            name: None,
            inbox: Inbox::default(),
            spoken: None,
            will_introduce_itself: false,
            is_muted: false,
            is_silent: false,
            shown: Shown::Nothing,
            heard_early: 0,
            exchange: None,
            next_heard: None,
            offered_from: None,
            cursor,
            outbox: Outbox::default(),
            waiting: None,
            is_listed: false,
        }
    }

    /// What the two told each other.
    pub(super) fn exchange(&mut self) -> &mut Exchange {
        self.exchange.get_or_insert_default()
    }

    /// Where somebody who introduced itself is reached: where we did, or where it came from with the
    /// port that it listens on.
    pub(super) fn reached_at(&self) -> Option<SocketAddr> {
        match self.dialled {
            Some(_) => Some(self.address),
            None => {
                // With the link that it came over, where the address has one.
                let mut address = self.address;
                address.set_port(self.exchange.as_ref()?.port?);
                Some(address)
            }
        }
    }

    /// Whether it is connected, and may still be sent something.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open | State::Closing)
    }

    /// Whether it has yet to take something, be it only later.
    pub(super) fn is_behind(&self, log: &Log) -> bool {
        self.is_open() && !self.outbox.bytes.is_empty()
            || self.state == State::Open && self.cursor < log.end()
    }

    /// Whether it can be offered something now.
    pub(super) fn has_offer(&self, log: &Log) -> bool {
        self.is_behind(log) && (!self.outbox.bytes.is_empty() || self.offered_from.is_some())
    }

    /// Whether new lines wait for it: because it is slow but alive, or about to introduce itself.
    pub(super) fn holds_back(&self, now: Instant) -> bool {
        match self.introduction {
            Introduction::Awaited { until } => now < until,
            _ => self.waiting.is_some_and(|waiting| now < waiting.since + HOLD_BACK),
        }
    }

    /// Puts a frame that is for this client alone before everything else it has not taken: as soon as
    /// the frame that it is taking is at its end.
    pub(super) fn push(&mut self, code: Code, body: &[u8], log: &Log, silent: Framing) {
        self.cut_in(log);
        frame::write(code, body, self.spoken.unwrap_or(silent), &mut self.outbox.bytes);
    }

    /// Moves all that it has yet to take of the log into the outbox, where a goodbye can follow.
    pub(super) fn take_rest(&mut self, log: &Log, silent: Framing) {
        self.cut_in(log);
        while (log.start()..log.end()).contains(&self.cursor) {
            let end = log.frame_around(self.cursor).end;
            let bytes = &log.since(self.cursor)[..(end - self.cursor) as usize];
            match (self.spoken.unwrap_or(silent), frame::code_at_tail(bytes)) {
                (Framing::Lab, Some(code)) => {
                    let body = frame::unescape(&bytes[..code.start]);
                    frame::write_lab(code.code, &body, &mut self.outbox.bytes);
                }
                _ => self.outbox.bytes.extend_from_slice(bytes),
            }
            self.cursor = end;
        }
    }

    /// Moves the rest of the frame that it is taking into the outbox.
    pub(super) fn cut_in(&mut self, log: &Log) {
        if self.cursor < log.start() {
            // It is overrun, and will be closed for it.
            return;
        }
        let frame = log.frame_around(self.cursor);
        if frame.start < self.cursor {
            let rest = &log.since(self.cursor)[..(frame.end - self.cursor) as usize];
            self.outbox.bytes.extend_from_slice(rest);
            self.outbox.holds_message = true;
            self.cursor = frame.end;
        }
    }

    /// From now on it is offered the log, from message `number` on where that is still there.
    /// Returns the number of the first that it will get.
    pub(super) fn offer_from(&mut self, number: u64, log: &Log) -> u64 {
        self.cut_in(log);
        self.cursor = log.position_of(number);
        // What the outbox holds is of another message now.
        self.outbox.holds_message = false;
        let first = log.number_at(self.cursor);
        self.offered_from.get_or_insert(first);
        first
    }

    /// The number of the first message that it has not taken whole.
    pub(super) fn next_message(&self, log: &Log) -> u64 {
        log.number_at(self.cursor) - u64::from(self.outbox.holds_message)
    }

    /// The stream, and the bytes to offer it next: some, while it [has an offer](Self::has_offer).
    ///
    /// Lab framing gets one message at a time, since its reader wants each in one write.
    pub(super) fn offer<'a>(&'a mut self, log: &'a Log, silent: Framing) -> (&'a mut S, &'a [u8]) {
        if self.outbox.bytes.is_empty() && self.spoken.unwrap_or(silent) == Framing::Lab {
            let frame = log.frame_around(self.cursor);
            let bytes = &log.since(self.cursor)[..(frame.end - self.cursor) as usize];
            // Otherwise it turned out to speak lab framing in the middle of a frame of text framing,
            // which is finished first.
            if frame.start == self.cursor {
                let code = frame::code_at_tail(bytes).expect("the log holds frames");
                let body = frame::unescape(&bytes[..code.start]);
                frame::write_lab(code.code, &body, &mut self.outbox.bytes);
            } else {
                self.outbox.bytes.extend_from_slice(bytes);
            }
            self.outbox.holds_message = true;
            self.cursor = frame.end;
        }
        match self.outbox.bytes.get(self.outbox.taken..) {
            Some(rest) if !rest.is_empty() => (&mut self.stream, rest),
            _ => (&mut self.stream, log.since(self.cursor)),
        }
    }

    /// It took the first `count` bytes of what [`offer`](Self::offer) offered.
    pub(super) fn handle_taken(&mut self, count: usize) {
        if self.outbox.bytes.is_empty() {
            self.cursor += count as u64;
            return;
        }
        self.outbox.taken += count;
        if self.outbox.taken == self.outbox.bytes.len() {
            self.outbox.bytes.clear();
            self.outbox.taken = 0;
            self.outbox.holds_message = false;
        }
    }

    /// Starts, restarts or stops the clock of a client that does not take what waits for it.
    pub(super) fn clock(&mut self, now: Instant, took_some: bool, log: &Log) {
        if !self.is_behind(log) {
            self.waiting = None;
            self.outbox = Outbox::default();
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
