//! One connection: its phase, its decoder, its cursor into the log, and its outbox.
//!
//! A connection decides nothing about others; the [`Group`](super::Group) moves its phase.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::ids::{MemberKey, TargetId};
use super::label::Label;
use super::log::Log;
use crate::limits::{LOG_BYTES, WRITE_HOLD_BACK, WRITE_PROBE_INTERVAL};
use crate::seal::{Handshake, Records, is_like_handshake};
use crate::wire::decoder::Decoder;
use crate::wire::frame::{self, Code, Framing};
use crate::wire::lab::{self, LENGTH_BYTES};

/// The phase of a connection. It moves forward; only a plain peer's may return to the handshake, once.
#[derive(Debug)]
pub(super) enum Phase {
    /// We dialled, and the connection is not made yet.
    Dialing {
        /// When the attempt fails.
        until: Instant,
    },
    /// It is made, and the other end is not known yet. Nothing of the log is sent.
    Handshake(Unproven),
    /// A plain peer.
    Plain(Box<PlainPeer>),
    /// A member.
    Member(Link),
    /// The outbox is written, and nothing more.
    Closing,
    /// Everything is written, and our side is shut down; the other side is read to its end.
    HalfClosed {
        /// When it is closed in any case.
        until: Instant,
        /// Its phase before.
        before: Box<Phase>,
    },
    /// To be reaped.
    Closed,
}

impl Phase {
    /// The phase with the peer in it: for a half-closed connection the one before.
    pub fn peer(&self) -> &Self {
        if let Self::HalfClosed { before, .. } = self { before } else { self }
    }

    /// As [`peer`](Self::peer).
    pub fn into_peer(self) -> Self {
        if let Self::HalfClosed { before, .. } = self { *before } else { self }
    }

    /// The handshake, while it is not finished.
    pub fn unproven(&self) -> Option<&Unproven> {
        if let Self::Handshake(unproven) = self { Some(unproven) } else { None }
    }

    /// The plain peer at the other end.
    pub fn plain(&self) -> Option<&PlainPeer> {
        if let Self::Plain(peer) = self.peer() { Some(peer) } else { None }
    }

    /// As [`plain`](Self::plain).
    pub fn plain_mut(&mut self) -> Option<&mut PlainPeer> {
        match self {
            Self::Plain(peer) => Some(peer),
            Self::HalfClosed { before, .. } => before.plain_mut(),
            Self::Dialing { .. } | Self::Handshake(_) | Self::Member(_) | Self::Closing | Self::Closed => {
                None
            }
        }
    }

    /// The established link of a member.
    pub fn link(&self) -> Option<&Link> {
        if let Self::Member(link) = self.peer() { Some(link) } else { None }
    }

    /// As [`link`](Self::link).
    pub fn link_mut(&mut self) -> Option<&mut Link> {
        match self {
            Self::Member(link) => Some(link),
            Self::HalfClosed { before, .. } => before.link_mut(),
            Self::Dialing { .. } | Self::Handshake(_) | Self::Plain(_) | Self::Closing | Self::Closed => None,
        }
    }
}

/// The other end of a connection whose handshake is not finished.
#[derive(Debug)]
pub(super) struct Unproven {
    pub handshake: Handshake,
    /// When it is taken for a plain peer, unless a hello arrives before; `None` if it must be a member.
    pub plain_at: Option<Instant>,
    /// When it is closed.
    pub until: Instant,
}

/// A plain peer.
#[derive(Debug)]
pub(super) struct PlainPeer {
    /// Its name, once it has sent one.
    pub name: Option<Label>,
    /// The last event that the user was shown about it.
    pub shown: Shown,
    /// Our side of the handshake, which starts if the other side sends its first frame late and nothing else.
    pub handshake: Handshake,
}

/// The last event that the user was shown about a connection without a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing yet.
    Nothing,
    /// Nothing but its host's count, which includes it.
    Counted,
    /// That it connected.
    Connection,
    /// A message or a goodbye.
    Person,
}

/// The state of a link to a member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub key: MemberKey,
    /// Since when it is established.
    pub since: Instant,
    /// The number of the next message on it, once `from` was received.
    pub next_number: Option<u64>,
    /// We have sent `from`.
    pub has_started: bool,
    /// Whether all members were sent on it. That is done once.
    pub has_sent_list: bool,
    /// When it was established, other members were here, which do not know those on that list.
    pub joins_groups: bool,
}

/// A connection that we dialled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialled {
    pub target: TargetId,
    /// Our own end of it.
    pub local: SocketAddr,
    /// When we started to dial.
    pub at: Instant,
    /// The number of the attempt.
    pub number: u64,
}

/// Bytes wait to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// Nothing was written since.
    pub since: Instant,
    /// When a write is tried although the poll has not reported room: it does so only once a large part of the
    /// kernel's buffer is free, which may take long with a slow reader.
    pub probe_at: Instant,
}

/// One connection.
///
/// Invariant: `outbox` is written before the log is, from `cursor` on. While `outbox` holds bytes, `cursor` is at the
/// start of a frame. Once there are `records`, everything is written through them.
#[derive(Debug)]
pub struct Client<S> {
    pub(super) stream: S,
    pub(super) address: SocketAddr,
    pub(super) dialled: Option<Dialled>,
    pub(super) phase: Phase,
    /// Since when it is connected.
    pub(super) since: Instant,
    /// When bytes were received last.
    pub(super) received_at: Instant,
    pub(super) decoder: Decoder,
    /// The record layer, once the handshake has agreed on keys.
    pub(super) records: Option<Box<Records>>,
    /// When the frame began that is not finished.
    pub(super) frame_begun_at: Option<Instant>,
    /// Whether a timer looks at that.
    pub(super) is_frame_timed: bool,
    /// The length of that frame as far as it counts among those of non-members, in bytes.
    pub(super) unfinished_bytes: usize,
    /// The framing of the last frame that was received.
    pub(super) received_framing: Option<Framing>,
    /// The framing of the last frame that was received on an earlier connection to the same place.
    pub(super) expected_framing: Option<Framing>,
    /// Messages that arrive are discarded.
    pub(super) is_muted: bool,
    /// The other end has shut down its side, and the outbox is still to be written.
    pub(super) is_read_closed: bool,
    /// The number of the first message that is sent on it, once the log is.
    pub(super) offered_from: Option<u64>,
    /// The position in the log up to which everything was written, or is in the outbox.
    pub(super) cursor: u64,
    outbox: Outbox,
    pub(super) waiting: Option<Waiting>,
    /// It is among those that the next flush visits.
    pub(super) is_listed: bool,
}

/// The bytes that are written to one connection before the log is.
#[derive(Debug, Default)]
struct Outbox {
    bytes: Vec<u8>,
    taken: usize,
    /// Whether the message before the cursor, or the rest of it, is among the bytes.
    holds_message: bool,
}

impl Outbox {
    fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// Removes the bytes that were written, before others are added: an outbox that never empties must not grow.
    fn compact(&mut self) {
        if self.taken > self.bytes.len() / 2 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
    }
}

impl<S> Client<S> {
    pub(super) fn new(
        stream: S,
        address: SocketAddr,
        dialled: Option<Dialled>,
        phase: Phase,
        cursor: u64,
        now: Instant,
    ) -> Self {
        Self {
            stream,
            address,
            dialled,
            phase,
            since: now,
            received_at: now,
            decoder: Decoder::default(),
            records: None,
            frame_begun_at: None,
            is_frame_timed: false,
            unfinished_bytes: 0,
            received_framing: None,
            expected_framing: None,
            is_muted: false,
            is_read_closed: false,
            offered_from: None,
            cursor,
            outbox: Outbox::default(),
            waiting: None,
            is_listed: false,
        }
    }

    /// Whether it is connected and is not being closed.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Handshake(_) | Phase::Plain(_) | Phase::Member(_))
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Whether bytes may still be written to it.
    pub(super) fn is_writable(&self) -> bool {
        self.is_open() || matches!(self.phase, Phase::Closing)
    }

    /// Whether bytes are to be written to it, now or later.
    pub(super) fn is_behind(&self, log: &Log) -> bool {
        self.is_writable() && self.has_own_bytes() || self.is_open() && self.cursor < log.end()
    }

    /// Whether bytes wait for this connection alone.
    fn has_own_bytes(&self) -> bool {
        !self.outbox.bytes.is_empty()
            || self.records.as_ref().is_some_and(|records| !records.outgoing().is_empty())
    }

    /// Whether bytes can be written to it now.
    pub(super) fn has_offer(&self, log: &Log) -> bool {
        self.is_behind(log) && (self.has_own_bytes() || self.offered_from.is_some())
    }

    /// Whether it is further behind than the log reaches back, or its outbox is too long.
    pub(super) fn is_overrun(&self, log: &Log) -> bool {
        self.offered_from.is_some() && self.is_open() && self.cursor < log.start() || self.is_outbox_full()
    }

    /// Whether more is queued for it alone than is kept. The next flush closes it for that.
    pub(super) fn is_outbox_full(&self) -> bool {
        self.outbox.len() > LOG_BYTES
    }

    /// Whether new lines of input wait for it, because it is slow but alive, or may soon be known for a plain peer.
    pub(super) fn holds_back(&self, now: Instant) -> bool {
        match &self.phase {
            Phase::Handshake(unproven) => unproven.plain_at.is_some_and(|at| now < at),
            // One without a clock waits for a turn of its own.
            Phase::Dialing { .. }
            | Phase::Plain(_)
            | Phase::Member(_)
            | Phase::Closing
            | Phase::HalfClosed { .. }
            | Phase::Closed => self.waiting.is_none_or(|waiting| now < waiting.since + WRITE_HOLD_BACK),
        }
    }

    /// Queues a frame for this connection alone, behind the frame that is being written and before the rest of the
    /// log. Once its outbox is full, nothing is added: it is about to be closed.
    pub(super) fn push(&mut self, code: Code, body: &[u8], log: &Log, default_framing: Framing) {
        if self.is_outbox_full() {
            return;
        }
        self.cut_in(log);
        self.outbox.compact();
        frame::write(code, body, self.framing(default_framing), &mut self.outbox.bytes);
    }

    /// The framing of the next frame to be written: that of the last frame received. Inside records that is text framing.
    fn framing(&self, default_framing: Framing) -> Framing {
        if self.records.is_some() {
            return Framing::Text;
        }
        self.received_framing.or(self.expected_framing).unwrap_or(default_framing)
    }

    /// From now on, everything is written and received as records. What was queued before is written as it is.
    pub(super) fn seal(&mut self, mut records: Box<Records>) {
        records.begin_with(&self.outbox.bytes[self.outbox.taken..]);
        self.outbox = Outbox::default();
        self.records = Some(records);
        self.decoder = Decoder::of_text();
    }

    /// The record layer, unless the connection is closed.
    pub(super) fn open_records(&mut self) -> Option<&mut Records> {
        let is_closed = self.is_closed();
        self.records.as_deref_mut().filter(|_| !is_closed)
    }

    /// The bytes that are kept of an unfinished frame or record.
    pub(super) fn pending_bytes(&self) -> usize {
        self.decoder.pending().len() + self.records.as_ref().map_or(0, |records| records.incoming_bytes())
    }

    /// The same, white space in a frame apart: a line break after the last code is no frame.
    pub(super) fn unfinished_bytes(&self) -> usize {
        self.decoder.unfinished_bytes() + self.records.as_ref().map_or(0, |records| records.incoming_bytes())
    }

    /// Whether what is pending may be the front of a frame of the handshake, in either framing.
    pub(super) fn has_begun_handshake(&self) -> bool {
        let pending = self.decoder.pending();
        is_like_handshake(pending) || pending.get(LENGTH_BYTES..).is_some_and(is_like_handshake)
    }

    /// Whether the other end has used a framing, now or before.
    pub(super) fn has_known_framing(&self) -> bool {
        self.received_framing.or(self.expected_framing).is_some()
    }

    /// Moves the rest of the log into the outbox, where a goodbye can follow.
    pub(super) fn take_rest(&mut self, log: &Log, default_framing: Framing) {
        self.cut_in(log);
        while (log.start()..log.end()).contains(&self.cursor) {
            self.take_frame(log, default_framing);
        }
    }

    /// Moves one frame of the log, or the rest of one, into the outbox.
    fn take_frame(&mut self, log: &Log, default_framing: Framing) {
        let framing = self.framing(default_framing);
        let frame = log.frame_around(self.cursor);
        let bytes = &log.since(self.cursor)[..(frame.end - self.cursor) as usize];
        let code = frame::code_at_tail(bytes).filter(|_| frame.start == self.cursor);
        match (framing, code) {
            (Framing::Lab, Some(code)) => {
                let body = frame::unescape(&bytes[..code.start]);
                lab::write(code.code, &body, &mut self.outbox.bytes);
            }
            // The peer sent lab framing while a frame in text framing was being written: that frame is finished.
            (Framing::Lab, None) | (Framing::Text, _) => self.outbox.bytes.extend_from_slice(bytes),
        }
        self.cursor = frame.end;
    }

    /// Moves the rest of the frame that is being written into the outbox.
    pub(super) fn cut_in(&mut self, log: &Log) {
        if self.cursor < log.start() {
            // It is overrun, and will be closed for that.
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

    /// From now on the log is written to it, from message `number` on, which the log holds.
    pub(super) fn offer_from(&mut self, number: u64, log: &Log) {
        self.cut_in(log);
        self.cursor = log.position_of(number);
        // The message in the outbox is not the one before the cursor any more.
        self.outbox.holds_message = false;
        self.offered_from.get_or_insert(number);
    }

    /// Whether a part of a message was written to it, or is in the outbox.
    pub(super) fn has_begun(&self, log: &Log) -> bool {
        self.offered_from.is_some_and(|from| self.cursor != log.position_of(from))
            || self.outbox.holds_message
    }

    /// Whether a whole message was written to it.
    pub(super) fn has_sent(&self, log: &Log) -> bool {
        self.offered_from.is_some_and(|from| from < self.next_message(log))
    }

    /// The number of the first message that was not written to it whole.
    pub(super) fn next_message(&self, log: &Log) -> u64 {
        log.number_at(self.cursor) - u64::from(self.outbox.holds_message)
    }

    /// Writes the next bytes through `write`, once, about `most` of them. There are some while it
    /// [has an offer](Self::has_offer). Returns how many `write` was given, and how many it has written. `scratch` is a
    /// buffer for one record.
    ///
    /// In lab framing that is one message at a time, since its reader needs each in one write. Inside records it is one
    /// record.
    pub(super) fn write(
        &mut self,
        log: &Log,
        default_framing: Framing,
        most: usize,
        scratch: &mut Vec<u8>,
        write: impl FnOnce(&mut S, &[u8]) -> usize,
    ) -> (usize, usize) {
        if let Some(records) = &mut self.records
            && !records.outgoing().is_empty()
        {
            let (offered, count) = (records.outgoing().len(), write(&mut self.stream, records.outgoing()));
            records.handle_written(count);
            return (offered, count);
        }
        if self.outbox.bytes.is_empty() && self.framing(default_framing) == Framing::Lab {
            self.take_frame(log, default_framing);
            self.outbox.holds_message = true;
        }
        let text = match self.outbox.bytes.get(self.outbox.taken..) {
            Some(rest) if !rest.is_empty() => rest,
            _ => log.since(self.cursor),
        };
        let Some(records) = &mut self.records else {
            let bytes = &text[..text.len().min(most)];
            let (offered, count) = (bytes.len(), write(&mut self.stream, bytes));
            self.handle_taken(count);
            return (offered, count);
        };
        let taken = records.seal(&text[..text.len().min(records.next_text_bytes_max())], scratch);
        let count = write(&mut self.stream, scratch);
        records.keep(&scratch[count..]);
        self.handle_taken(taken);
        (scratch.len(), count)
    }

    /// The first `count` bytes that are to be written were taken.
    fn handle_taken(&mut self, count: usize) {
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

    /// Starts, restarts or stops the clock for bytes that wait to be written.
    pub(super) fn clock(&mut self, now: Instant, took_some: bool, log: &Log) {
        if !self.is_behind(log) {
            self.waiting = None;
            self.outbox = Outbox::default();
        } else if took_some || self.waiting.is_none() {
            self.waiting = Some(Waiting { since: now, probe_at: now + WRITE_HOLD_BACK });
        } else if let Some(waiting) = &mut self.waiting
            && now >= waiting.probe_at
        {
            waiting.probe_at = now + WRITE_PROBE_INTERVAL;
        }
    }

    /// How long bytes have been waiting while none was written.
    pub(super) fn stalled_for(&self, now: Instant) -> Duration {
        self.waiting.map_or(Duration::ZERO, |waiting| now.saturating_duration_since(waiting.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_does_not_grow_beyond_its_limit_whatever_is_pushed_in_one_turn() {
        let (now, log, address) = (Instant::now(), Log::default(), ([10, 0, 0, 1], 5000).into());
        let mut client = Client::new((), address, None, Phase::Closing, 0, now);
        let body = [b'x'; 32 << 10];
        for _ in 0..1_000 {
            client.push(Code::Peer, &body, &log, Framing::Text);
        }
        assert!(client.is_overrun(&log));
        assert!(client.outbox.bytes.len() <= LOG_BYTES + 2 * body.len());
    }
}
