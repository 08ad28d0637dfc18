//! The group: the coordinator of the connections, the members, the targets of the dialer, and the log.
//!
//! It reads and writes nothing: streams are a type parameter without a bound, and time comes in as an argument.
//! Its methods are of four kinds, and are called in this order in each turn of a loop:
//!
//! 1. **What happened**: [`handle_accepted`](Group::handle_accepted), [`handle_connected`](Group::handle_connected),
//!    [`handle_bytes`](Group::handle_bytes), [`handle_closed`](Group::handle_closed),
//!    [`handle_failed`](Group::handle_failed), [`handle_time`](Group::handle_time), in any order. For each address
//!    that [`poll_dial`](Group::poll_dial) returns, [`handle_dialing`](Group::handle_dialing) or
//!    [`handle_dial_failed`](Group::handle_dial_failed) before the next one.
//! 2. **What the user wants**: [`broadcast`](Group::broadcast), [`send_private`](Group::send_private),
//!    [`rename`](Group::rename), [`connect`](Group::connect), [`disconnect`](Group::disconnect),
//!    [`leave`](Group::leave).
//! 3. **What is to be done**: [`flush`](Group::flush), then [`poll_event`](Group::poll_event) and
//!    [`poll_shutdown`](Group::poll_shutdown) until they return `None`.
//! 4. **At the end of the turn**, [`poll_closed`](Group::poll_closed) until `None`: from then on the ids that it
//!    returned may be those of other connections. [`deadline`](Group::deadline) returns when
//!    [`handle_time`](Group::handle_time) is due.

mod dialing;
mod handshakes;
mod links;
mod membership;
mod names;
mod plain;
mod queries;
mod sending;

use std::collections::VecDeque;
use std::mem;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::{Duration, Instant};

use chrono::{DateTime, FixedOffset};

pub use queries::MetMember;

use super::budget::HostBudgets;
use super::clients::Clients;
use super::connection::{Client, Dialled, Link, Phase, PlainPeer, Shown, Unproven};
use super::dialer::{Attempt, Dialer};
use super::event::{Diagnostic, Event, LostReason, PeerInfo};
use super::former_names::{Fate, FormerNames};
use super::gossip::Gossip;
use super::history::History;
use super::ids::{ClientId, MemberKey, TargetId};
use super::label::{Label, NO_NAME};
use super::log::Log;
use super::members::{Member, Members, Presence};
use super::names::{Holder, Names};
use super::own_run::{OwnRun, Setup};
use super::shown_bodies::ShownBodies;
use super::target::{Peer, Target, WantedBy};
use super::timers::{Timer, Timers};
use super::visitors::Visitors;
use crate::limits::{
    FRAME_TIMEOUT, HANDSHAKE_TIMEOUT, HOST_HANDSHAKES_BURST, HOST_HANDSHAKES_PER_SECOND, PLAIN_WAIT_MIN,
};
use crate::seal::{Broken, Entropy, Handshake, Refused, Step};
use crate::unicode::is_blank;
use crate::wire::decoder::{Decoder, Unreadable};
use crate::wire::frame::{Code, Frame};
use crate::wire::hello::PeerFrame;
use crate::wire::identity::{Identity, MemberId, PublicKey, Token};
use crate::wire::message::{self, Timestamp};

/// The coordinator of a group. `S` is a stream, about which nothing is known. The [module](self) lists the calls and
/// their order.
#[derive(Debug)]
pub struct Group<S> {
    own: OwnRun,
    names: Names,
    /// Names out of use, which were in `names`.
    former_names: FormerNames,
    /// The user was shown that a member has our name.
    is_name_taken_shown: bool,
    clients: Clients<S>,
    members: Members,
    dialer: Dialer,
    gossip: Gossip,
    log: Log,
    timers: Timers,
    history: History,
    shown_bodies: ShownBodies,
    events: VecDeque<Event>,
    sent: Sent,
    visitors: Visitors,
    /// The last members that were removed before they acknowledged all private messages.
    private_lost: VecDeque<PeerInfo>,
    is_leaving: bool,
    /// How many bytes of messages arrived on muted connections.
    discarded_bytes: usize,
    /// How many handshakes each host may begin.
    handshakes: HostBudgets,
    /// How many steps of handshakes were computed since the last look.
    handshake_steps: usize,
    /// The text of one record that arrived, or one record that is to be written.
    scratch: Vec<u8>,
}

/// The delivery of the user's own messages.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    count: u64,
    /// The position in the log after the last message.
    end: u64,
    /// A peer has received a message.
    was_received: bool,
    /// The user was shown that no peer is connected.
    is_alone_shown: bool,
}

impl<S> Group<S> {
    /// A group of one. All its randomness is from `entropy`.
    #[must_use]
    pub fn new(mut setup: Setup, now: Instant, entropy: Entropy) -> Self {
        let peers = mem::take(&mut setup.peers);
        let mut own = OwnRun::new(setup, entropy);
        let shown_bodies = ShownBodies::new(u128::from_be_bytes(*own.keys.random()));
        let mut dialer = Dialer::new(fastrand::Rng::with_seed(u64::from_be_bytes(*own.keys.random())));
        for peer in peers {
            dialer.add_named(peer, now, 0);
        }
        let mut group = Self {
            names: Names::default(),
            former_names: FormerNames::default(),
            is_name_taken_shown: false,
            clients: Clients::default(),
            members: Members::new(own.id),
            own,
            dialer,
            gossip: Gossip::default(),
            log: Log::default(),
            timers: Timers::default(),
            history: History::default(),
            shown_bodies,
            events: VecDeque::new(),
            sent: Sent::default(),
            visitors: Visitors::default(),
            private_lost: VecDeque::new(),
            is_leaving: false,
            discarded_bytes: 0,
            handshakes: HostBudgets::new(HOST_HANDSHAKES_PER_SECOND, HOST_HANDSHAKES_BURST),
            handshake_steps: 0,
            scratch: Vec::new(),
        };
        group.name_oneself();
        group
    }

    /// Our id.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.own.id
    }

    /// A connection from `address` to our end `local` was accepted.
    ///
    /// # Errors
    ///
    /// The stream, if it is the other end of a connection that we dialled: then both are to be closed.
    pub fn handle_accepted(
        &mut self,
        stream: S,
        address: SocketAddr,
        local: SocketAddr,
        now: Instant,
    ) -> Result<ClientId, S> {
        if let Some(id) = self.clients.dialled_between(local, address) {
            self.handle_oneself(id, now);
            return Err(stream);
        }
        let plain_at = Some(now + PLAIN_WAIT_MIN).filter(|_| !self.own.keys.is_private());
        let until = now + HANDSHAKE_TIMEOUT;
        let phase = Phase::Handshake(Unproven { handshake: Handshake::accept(), plain_at, until });
        let client = Client::new(stream, address, None, phase, self.log.end(), now);
        let id = self.clients.insert(client);
        if self.own.is_plain {
            self.take_for_plain(id);
            self.show_connection(id, now);
        } else {
            self.timers.set(plain_at.unwrap_or(until), Timer::Phase(id));
        }
        if !self.own.keys.is_private() {
            self.sent.is_alone_shown = false;
        }
        Ok(id)
    }

    /// Takes in bytes that arrived on a connection.
    pub fn handle_bytes(&mut self, id: ClientId, bytes: &[u8], now: Instant) {
        let client = &mut self.clients[id];
        if client.is_closed() {
            return;
        }
        client.received_at = now;
        if client.records.is_some() {
            self.handle_records(id, bytes, now);
        } else {
            self.handle_text(id, bytes, now);
            let client = &mut self.clients[id];
            if client.records.is_some() {
                // The bytes behind the last frame of the handshake.
                let rest = mem::replace(&mut client.decoder, Decoder::of_text()).take_pending();
                self.handle_records(id, &rest, now);
            }
        }
        self.handle_unfinished(id, now);
    }

    /// Takes in records, one after the other: the frame in one may close the connection.
    fn handle_records(&mut self, id: ClientId, mut bytes: &[u8], now: Instant) {
        let mut text = mem::take(&mut self.scratch);
        while let Some(records) = self.clients[id].open_records() {
            match records.open(&mut bytes, &mut text) {
                Ok(true) => self.handle_text(id, &text, now),
                Ok(false) => break,
                Err(Broken) => self.lose(id, LostReason::Altered, now),
            }
        }
        self.scratch = text;
    }

    /// Takes in the text of frames.
    fn handle_text(&mut self, id: ClientId, bytes: &[u8], now: Instant) {
        let mut decoder = mem::take(&mut self.clients[id].decoder);
        let result = decoder.receive(bytes, |frame| self.handle_frame(id, &frame, now));
        self.clients[id].decoder = decoder;
        match result {
            Ok(()) => (),
            Err(Unreadable::FrameTooLong) => self.lose(id, LostReason::FrameTooLong, now),
            Err(Unreadable::OtherProtocol) => self.lose(id, LostReason::OtherProtocol, now),
        }
    }

    /// Bytes of a frame may be kept that is not finished.
    fn handle_unfinished(&mut self, id: ClientId, now: Instant) {
        let client = &mut self.clients[id];
        if client.is_closed() {
            return;
        }
        if client.phase.unproven().is_some() && self.is_no_handshake(id) {
            return self.lose(id, LostReason::Refused(Refused::NoHandshake), now);
        }
        let client = &mut self.clients[id];
        if client.unfinished_bytes() == 0 {
            client.frame_begun_at = None;
        } else {
            client.frame_begun_at.get_or_insert(now);
            if !mem::replace(&mut client.is_frame_timed, true) {
                self.timers.set(now + FRAME_TIMEOUT, Timer::Frame(id));
            }
        }
        if let Some(longest) = self.clients.count_unfinished(id) {
            self.lose(longest, LostReason::Unfinished, now);
        }
    }

    fn handle_frame_timer(&mut self, id: ClientId, now: Instant) {
        let Some(client) = self.clients.get_mut(id).filter(|client| !client.is_closed()) else { return };
        client.is_frame_timed = false;
        let Some(at) = client.frame_begun_at.map(|begun_at| begun_at + FRAME_TIMEOUT) else { return };
        if now >= at {
            return self.lose(id, LostReason::Unfinished, now);
        }
        client.is_frame_timed = true;
        self.timers.set(at, Timer::Frame(id));
    }

    /// Breaks if what follows is no text of frames.
    fn handle_frame(&mut self, id: ClientId, frame: &Frame<'_>, now: Instant) -> ControlFlow<()> {
        let client = &mut self.clients[id];
        if client.is_outbox_full() {
            // Its outbox is full, so the next flush closes it.
            return ControlFlow::Continue(());
        }
        client.frame_begun_at = None;
        let had_received = client.received_framing.is_some();
        if client.is_open() {
            client.received_framing = Some(frame.framing);
        }
        match client.phase.peer() {
            Phase::Member(link) => {
                let link = *link;
                self.handle_link_frame(id, link, frame, now);
            }
            Phase::Plain(_) => return self.handle_plain_frame(id, frame, had_received, now),
            Phase::Handshake(_) if client.records.is_some() => self.handle_hello(id, frame, now),
            Phase::Handshake(unproven) if unproven.handshake.has_begun() => {
                return self.handle_handshake_frame(id, frame, now);
            }
            Phase::Handshake(_) => return self.handle_first_frame(id, frame, now),
            Phase::Dialing { .. } | Phase::Closing | Phase::HalfClosed { .. } | Phase::Closed => (),
        }
        ControlFlow::Continue(())
    }

    /// The other end closed its side.
    pub fn handle_closed(&mut self, id: ClientId, now: Instant) {
        let client = &mut self.clients[id];
        if matches!(client.phase, Phase::Closing) {
            client.is_read_closed = true;
            return;
        }
        let unfinished_bytes = client.unfinished_bytes();
        self.lose(id, LostReason::Closed { unfinished_bytes }, now);
    }

    /// A connection failed, for this reason.
    pub fn handle_failed(&mut self, id: ClientId, why: String, now: Instant) {
        self.lose(id, LostReason::Failed(why), now);
    }

    /// A connection ended without a goodbye.
    pub(super) fn lose(&mut self, id: ClientId, why: LostReason, now: Instant) {
        let client = &self.clients[id];
        let is_half_closed = matches!(client.phase, Phase::HalfClosed { .. });
        match client.phase.peer() {
            Phase::Closed => return,
            Phase::Dialing { .. } => {
                let dialled = client.dialled;
                self.set_phase(id, Phase::Closed);
                dialled.into_iter().for_each(|it| self.fail_dial(it.target, why.to_string(), now));
            }
            Phase::Handshake(_) => self.lose_unproven(id, why, now),
            // It was to be closed anyway. An error may mean that our goodbye did not arrive.
            Phase::Plain(_) if is_half_closed => {
                if matches!(why, LostReason::Failed(_)) {
                    self.show_plain_lost(id, why, now);
                }
            }
            Phase::Plain(_) => self.lose_plain(id, why, now),
            Phase::Member(link) => {
                let key = link.key;
                self.set_phase(id, Phase::Closed);
                self.unlink(key, why, now);
            }
            Phase::Closing | Phase::HalfClosed { .. } => (),
        }
        if !self.clients[id].is_closed() {
            self.set_phase(id, Phase::Closed);
        }
    }

    /// Discards the messages that arrive on a connection from now on: standard output has no room for them.
    pub fn mute(&mut self, id: ClientId) {
        self.clients[id].is_muted = true;
    }

    /// Handles the timers that are due.
    pub fn handle_time(&mut self, now: Instant) {
        self.end_history_when_complete(now);
        while let Some((host, count)) = self.visitors.poll(now) {
            self.report(Diagnostic::MoreVisitors { host, count });
        }
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Phase(id) => self.handle_phase_timer(id, now),
                Timer::Frame(id) => self.handle_frame_timer(id, now),
                Timer::Ack(key) => self.send_ack(key, now),
                Timer::Surplus(key) => self.close_silent_links(key, now),
                Timer::Expiry(key) => self.expire(key, now),
                Timer::News => self.send_news(now),
                Timer::Compare => self.compare(now),
                Timer::Inquire => self.inquire(now),
                Timer::Leave => self.give_up_leaving(now),
                // The next flush handles it.
                Timer::Write(_) => (),
            }
        }
    }

    fn handle_phase_timer(&mut self, id: ClientId, now: Instant) {
        let Some(client) = self.clients.get(id) else { return };
        match &client.phase {
            Phase::Dialing { until } if now >= *until => {
                self.lose(id, LostReason::Failed("no answer".into()), now);
            }
            Phase::Handshake(unproven) if unproven.plain_at.is_some_and(|at| now >= at) => {
                if client.has_begun_handshake() {
                    // It is no plain peer, whatever becomes of it.
                    return self.expect_member(id, now);
                }
                self.take_for_plain(id);
                self.show_assumption(id, now);
            }
            Phase::Handshake(unproven) if now >= unproven.until => {
                self.lose(id, LostReason::Unintroduced(HANDSHAKE_TIMEOUT), now);
            }
            Phase::HalfClosed { until, .. } if now >= *until => {
                self.lose(id, LostReason::Closed { unfinished_bytes: 0 }, now);
            }
            Phase::Dialing { .. }
            | Phase::Handshake(_)
            | Phase::Plain(_)
            | Phase::Member(_)
            | Phase::Closing
            | Phase::HalfClosed { .. }
            | Phase::Closed => (),
        }
    }

    /// The next event for the user, until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next stream whose sending side is to be shut down, until `None`: everything is written to it.
    pub fn poll_shutdown(&mut self) -> Option<&mut S> {
        self.clients.pop_shutdown()
    }

    /// The next connection that is closed, and its stream to be dropped, until `None`. From now on its id may be
    /// another's.
    pub fn poll_closed(&mut self) -> Option<(ClientId, S)> {
        self.clients.pop_closed()
    }

    /// When something is to be done without an event.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let deadlines = [
            self.timers.deadline(),
            self.dialer.deadline(now),
            self.history.deadline(),
            self.visitors.deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// The stream of a connection, unless that is closed.
    pub fn stream_mut(&mut self, id: ClientId) -> Option<&mut S> {
        let client = self.clients.get_mut(id).filter(|client| !client.is_closed());
        client.map(|client| &mut client.stream)
    }

    /// How many steps of handshakes were computed since the last call. Each takes as long as reading
    /// [`HANDSHAKE_STEP_BYTES`](crate::limits::HANDSHAKE_STEP_BYTES).
    pub fn take_handshake_steps(&mut self) -> usize {
        mem::take(&mut self.handshake_steps)
    }

    /// Whether a connection is one that we dialled and that is not made yet.
    #[must_use]
    pub fn is_dialing(&self, id: ClientId) -> bool {
        self.clients.get(id).is_some_and(|client| matches!(client.phase, Phase::Dialing { .. }))
    }

    /// How many bytes of messages arrived on muted connections.
    #[must_use]
    pub fn discarded_bytes(&self) -> usize {
        self.discarded_bytes
    }

    /// Changes the phase of a connection, and all that depends on it. Two other places change a phase, and nothing
    /// depends on that: the half-closing in [`flush`](Self::flush), and `Clients::detach`.
    fn set_phase(&mut self, id: ClientId, phase: Phase) {
        let is_member = matches!(phase, Phase::Member(_));
        let is_attempt = matches!(phase, Phase::Dialing { .. } | Phase::Handshake(_));
        if let Phase::Handshake(unproven) = &phase {
            for at in unproven.plain_at.into_iter().chain([unproven.until]) {
                self.timers.set(at, Timer::Phase(id));
            }
        }
        let before = self.clients.set_phase(id, phase);
        let Client { address, dialled, .. } = self.clients[id];
        if let (Phase::Dialing { .. } | Phase::Handshake(_), Some(dialled)) = (&before, dialled) {
            if let Phase::Dialing { .. } = before {
                self.dialer.handle_dialed();
            }
            if !is_attempt {
                self.dialer.handle_attempt_ended(dialled.target, id, address, dialled.number, is_member);
            }
        }
        match before.into_peer() {
            Phase::Plain(_) => self.unname(Holder::Plain(id)),
            Phase::Member(link) => {
                let member = self.members.get_mut(link.key);
                member.into_iter().for_each(|member| member.links.retain(|other| *other != id));
            }
            Phase::Dialing { .. }
            | Phase::Handshake(_)
            | Phase::Closing
            | Phase::HalfClosed { .. }
            | Phase::Closed => (),
        }
    }

    fn push_frame(&mut self, id: ClientId, frame: &PeerFrame) {
        self.clients.push_frame(id, frame, &self.log, self.own.framing);
    }

    /// Closes a connection once its outbox is written.
    fn close(&mut self, id: ClientId) {
        if self.clients[id].is_open() {
            self.clients[id].cut_in(&self.log);
            self.set_phase(id, Phase::Closing);
            self.clients.list(id);
        }
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.events.push_back(Event::Diagnostic(diagnostic));
    }

    /// Shows an event about members, behind the history that is still being collected.
    fn show(&mut self, event: Event) {
        if self.history.is_waiting() {
            self.history.keep_present(event);
        } else {
            self.events.push_back(event);
        }
    }

    /// There is no room for another connection: closes one that was accepted and that is neither a member's nor has sent
    /// a message. Returns whether there was one to be closed; it makes room once it was [reaped](Self::poll_closed).
    pub fn make_room(&mut self, now: Instant) -> bool {
        let id = self.clients.to_close(now);
        id.into_iter().for_each(|id| self.lose(id, LostReason::Failed("closed to make room".into()), now));
        id.is_some()
    }
}

/// A message to everybody.
fn message_event(at: Option<Timestamp>, from: PeerInfo, text: &str, is_past: bool) -> Event {
    Event::Message { at, from, text: text.to_owned(), is_past, is_private: false }
}

/// The text shown for a body of another shape. A blank one is no message, and nothing of it is shown.
fn text_of(body: &str) -> &str {
    body.trim_matches(['\r', '\n'])
}
