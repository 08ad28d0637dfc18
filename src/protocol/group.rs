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

mod ends;
mod inquiries;
mod links;
mod names;

use std::collections::VecDeque;
use std::mem;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use chrono::{DateTime, FixedOffset};

use super::clients::Clients;
use super::connection::{Client, ClientId, Dialled, Link, Phase, PlainPeer, Shown, Unproven};
use super::dialer::{Attempt, Dialer, Eligible};
use super::event::{Event, LostReason, PeerInfo};
use super::former_names::{Fate, FormerNames};
use super::gossip::Gossip;
use super::handshake::{Handshake, Place, Step};
use super::history::History;
use super::label::{Label, NO_NAME};
use super::log::Log;
use super::members::{Member, MemberKey, Members, Presence};
use super::names::{Holder, Names};
use super::own_run::{OwnRun, Secret, Setup};
use super::shown_bodies::ShownBodies;
use super::target::{Peer, Target, TargetId, WantedBy};
use super::timers::{Timer, Timers};
use super::visitors::Visitors;
use crate::limits::{
    FRAME_TIMEOUT, HANDSHAKE_TIMEOUT, LEAVE_STALL_TIMEOUT, LINE_LOG_BYTES_MAX, LINGER_TIMEOUT, LOG_BYTES,
    MEET_TIMEOUT, MEMBER_EXPIRY, PLAIN_WAIT_MAX, PLAIN_WAIT_MIN, UNMET_SHOWN_MAX, WRITE_CALL_BYTES,
    WRITE_SHARE_BYTES, WRITE_STALL_TIMEOUT, WRITE_TURN_BYTES, WRITE_TURN_CALLS,
};
use crate::unicode::is_blank;
use crate::wire::decoder::Unreadable;
use crate::wire::frame::{Code, Frame};
use crate::wire::hello::{MemberId, PeerFrame, Token};
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
    /// A group of one. `random` decides the pauses between attempts, and nothing else. `secret` is a keyed hash: it
    /// turns a number into another that nobody else can guess, always the same in one run. That of 0 is our token, and
    /// that of another run's id is the pass that we issue to it.
    #[must_use]
    pub fn new(
        mut setup: Setup,
        now: Instant,
        random: fastrand::Rng,
        secret: Box<dyn Fn(u128) -> u128>,
    ) -> Self {
        let shown_bodies = ShownBodies::new(secret(1));
        let mut dialer = Dialer::new(random);
        for peer in setup.peers.drain(..) {
            dialer.add_named(peer, now, 0);
        }
        let own = OwnRun::new(setup, Secret(secret));
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
        };
        group.name_oneself();
        group
    }

    /// Our id.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.own.id
    }

    // Input: `handle_*`.

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
        let unproven = Unproven {
            handshake: Box::new(Handshake::new(false)),
            plain_at: Some(now + PLAIN_WAIT_MIN),
            until: now + HANDSHAKE_TIMEOUT,
        };
        let phase = Phase::Handshake(unproven);
        let client = Client::new(stream, address, None, phase, self.log.end(), now);
        let id = self.clients.insert(client);
        self.sent.is_alone_shown = false;
        if self.own.is_plain {
            self.take_for_plain(id);
            self.show_connection(id, now);
        } else {
            self.timers.set(now + PLAIN_WAIT_MIN, Timer::Phase(id));
        }
        Ok(id)
    }

    /// A connection is being made, from our end `local`, to an address that [`poll_dial`](Self::poll_dial)
    /// returned.
    pub fn handle_dialing(
        &mut self,
        attempt: Attempt,
        stream: S,
        local: SocketAddr,
        now: Instant,
    ) -> ClientId {
        let Attempt { target, mut address, until, number } = attempt;
        address.set_ip(address.ip().to_canonical());
        let dialled = Some(Dialled { target, local, at: now, number });
        let client = Client::new(stream, address, dialled, Phase::Dialing { until }, self.log.end(), now);
        let id = self.clients.insert(client);
        self.dialer.handle_dialing(attempt, id);
        self.timers.set(until, Timer::Phase(id));
        id
    }

    /// The address that is being tried cannot be reached.
    pub fn handle_dial_failed(&mut self, id: TargetId, why: String, now: Instant) {
        if !self.dialer.handle_failure(id, now) {
            return;
        }
        let Some(target) = self.dialer.get(id) else { return };
        let is_shown = match target.wanted_by() {
            WantedBy::User => true,
            // Members may report many that nobody can reach. For one that was lost, the user was shown that.
            WantedBy::Member(key) => {
                let is_unmet = |member: &Member| member.is_unmet() && member.was_vouched;
                let unmet = self.members.absent().filter(|(_, member)| is_unmet(member));
                self.members.get(key).is_some_and(is_unmet)
                    && unmet.take(UNMET_SHOWN_MAX + 1).count() <= UNMET_SHOWN_MAX
            }
        };
        if is_shown {
            self.events.push_back(Event::Unreachable { name: Rc::clone(target.name()), why });
        }
    }

    /// A connection that we dialled is made. We send a hello, and wait for the reply.
    pub fn handle_connected(&mut self, id: ClientId, now: Instant) {
        let client = &mut self.clients[id];
        let Some(dialled) = client.dialled else { return };
        (client.since, client.received_at) = (now, now);
        let address = client.address;
        self.sent.is_alone_shown = false;
        let mut unproven = Unproven {
            handshake: Box::new(Handshake::new(true)),
            plain_at: None,
            until: now + HANDSHAKE_TIMEOUT,
        };
        if let Some(target) =
            self.dialer.get_mut(dialled.target).filter(|it| it.wanted_by() == WantedBy::User)
        {
            target.handle_connected(now);
            let wait = (now - dialled.at).saturating_mul(3).clamp(PLAIN_WAIT_MIN, PLAIN_WAIT_MAX);
            let (is_member, framing) = (target.is_member, target.framing);
            let (name, next) = (Rc::clone(target.name()), target.next_message);
            if !is_member && !self.is_members(address) {
                unproven.plain_at = Some(now + wait);
            }
            let client = &mut self.clients[id];
            client.expected_framing = framing;
            client.cursor = self.log.position_of(next);
            let missed = self.log.number_at(client.cursor).saturating_sub(next);
            self.events.push_back(Event::Connected { name, address, missed });
        }
        self.set_phase(id, Phase::Handshake(unproven));
        if !self.own.is_plain {
            let hello = self.own.hello();
            self.push_frame(id, &hello);
        } else if self.own.is_framing_given {
            self.take_for_plain(id);
        }
    }

    /// Whether a member was met at `address`.
    fn is_members(&self, address: SocketAddr) -> bool {
        let is_found = |member: &Member| self.dialer[member.target].found().any(|found| found == address);
        self.members.iter().any(|(_, member)| is_found(member))
    }

    /// Takes in bytes that arrived on a connection.
    pub fn handle_bytes(&mut self, id: ClientId, bytes: &[u8], now: Instant) {
        let client = &mut self.clients[id];
        if client.is_closed() {
            return;
        }
        client.received_at = now;
        let mut decoder = mem::take(&mut client.decoder);
        let result = decoder.receive(bytes, |frame| self.handle_frame(id, &frame, now));
        self.clients[id].decoder = decoder;
        match result {
            Ok(()) => (),
            Err(Unreadable::FrameTooLong) => self.lose(id, LostReason::FrameTooLong, now),
            Err(Unreadable::OtherProtocol) => self.lose(id, LostReason::OtherProtocol, now),
        }
        self.handle_unfinished(id, now);
    }

    /// Bytes of a frame may be kept that is not finished.
    fn handle_unfinished(&mut self, id: ClientId, now: Instant) {
        let client = &mut self.clients[id];
        if client.is_closed() {
            return;
        }
        if client.decoder.unfinished_bytes() == 0 {
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

    fn handle_frame(&mut self, id: ClientId, frame: &Frame<'_>, now: Instant) {
        let client = &mut self.clients[id];
        if client.is_outbox_full() {
            // Its outbox is full, so the next flush closes it.
            return;
        }
        client.frame_begun_at = None;
        let had_received = client.received_framing.is_some();
        if client.is_open() {
            client.received_framing = Some(frame.framing);
            client.is_ours |= frame.code == Code::Peer;
        }
        match client.phase.peer() {
            Phase::Dialing { .. } | Phase::Closing | Phase::HalfClosed { .. } | Phase::Closed => (),
            Phase::Handshake(unproven) => match unproven.handshake.member() {
                Some(key) => self.handle_handshake_frame(id, key, frame, now),
                None => self.handle_first_frame(id, frame, now),
            },
            Phase::Plain(_) => self.handle_plain_frame(id, frame, had_received, now),
            Phase::Member(link) => {
                let link = *link;
                self.handle_link_frame(id, link, frame, now);
            }
        }
    }

    /// Handles the first frame of a connection: only here does a hello start a handshake, but for
    /// [`handle_late_hello`](Self::handle_late_hello).
    fn handle_first_frame(&mut self, id: ClientId, frame: &Frame<'_>, now: Instant) {
        match frame.code {
            Code::Peer if !self.own.is_plain => {
                if let Some(hello) = PeerFrame::read(&frame.text()).filter(|hello| hello.id.is_some()) {
                    self.identify(id, &hello, now);
                }
            }
            Code::Message | Code::Exit => {
                let Client { dialled, address, .. } = self.clients[id];
                let target = dialled.and_then(|dialled| self.dialer.get(dialled.target));
                if target
                    .is_some_and(|target| target.wanted_by() != WantedBy::User || self.is_members(address))
                {
                    if frame.code == Code::Exit {
                        return self.handle_early_goodbye(id, now);
                    }
                    // A member is there, which takes us for a plain peer. The next connection begins anew.
                    return self.lose(id, LostReason::Failed("does not introduce itself".into()), now);
                }
                self.take_for_plain(id);
                self.handle_plain_frame(id, frame, true, now);
            }
            Code::Peer | Code::Private | Code::Unknown => (),
        }
    }

    fn handle_handshake_frame(&mut self, id: ClientId, key: MemberKey, frame: &Frame<'_>, now: Instant) {
        match frame.code {
            Code::Peer => {
                let Some(frame) = PeerFrame::read(&frame.text()) else { return };
                let address = self.clients[id].address;
                let Phase::Handshake(unproven) = &mut self.clients[id].phase else { return };
                let step = unproven.handshake.advance(&frame, &mut self.members[key].credentials, address);
                self.handle_step(id, key, step, &frame, now);
            }
            // It leaves before it could prove its id. Its other links carry the token.
            Code::Exit => self.handle_early_goodbye(id, now),
            // It takes us for a plain peer. What it sends now will be sent again.
            Code::Message | Code::Private | Code::Unknown => (),
        }
    }

    fn handle_plain_frame(&mut self, id: ClientId, frame: &Frame<'_>, had_received: bool, now: Instant) {
        let client = &self.clients[id];
        let guess = client.expected_framing.unwrap_or(self.own.framing);
        if !had_received && frame.framing == guess && client.has_sent(&self.log) {
            // The guess was right.
            self.sent.was_received = true;
        }
        if let Some(dialled) = client.dialled
            && self.dialer.get(dialled.target).is_some_and(|target| target.framing != Some(frame.framing))
        {
            self.dialer[dialled.target].framing = Some(frame.framing);
        }
        match frame.code {
            Code::Message => self.receive_plain(id, frame, now),
            Code::Exit => self.handle_plain_goodbye(id, &frame.text()),
            Code::Peer if !self.own.is_plain => {
                if let Some(hello) = PeerFrame::read(&frame.text()).filter(|hello| hello.id.is_some()) {
                    self.handle_late_hello(id, &hello, had_received, now);
                }
            }
            Code::Peer | Code::Private | Code::Unknown => (),
        }
    }

    fn handle_link_frame(&mut self, id: ClientId, link: Link, frame: &Frame<'_>, now: Instant) {
        match frame.code {
            Code::Message => self.receive(id, link, frame, now),
            Code::Private => self.receive_private(id, link.key, frame, now),
            Code::Peer => {
                if let Some(frame) = PeerFrame::read(&frame.text()) {
                    self.handle_member_frame(id, link.key, &frame, now);
                }
            }
            Code::Exit => match self.members[link.key].token {
                Some(token) => self.handle_left(link.key, token, now),
                // A member that leaves sends its token before.
                None => self.lose(id, LostReason::Closed { unfinished_bytes: 0 }, now),
            },
            Code::Unknown => (),
        }
    }

    /// The other end closed its side.
    pub fn handle_closed(&mut self, id: ClientId, now: Instant) {
        let client = &mut self.clients[id];
        if matches!(client.phase, Phase::Closing) {
            client.is_read_closed = true;
            return;
        }
        let unfinished_bytes = client.decoder.unfinished_bytes();
        self.lose(id, LostReason::Closed { unfinished_bytes }, now);
    }

    /// A connection failed, for this reason.
    pub fn handle_failed(&mut self, id: ClientId, why: String, now: Instant) {
        self.lose(id, LostReason::Failed(why), now);
    }

    /// Discards the messages that arrive on a connection from now on: standard output has no room for them.
    pub fn mute(&mut self, id: ClientId) {
        self.clients[id].is_muted = true;
    }

    /// Handles the timers that are due.
    pub fn handle_time(&mut self, now: Instant) {
        self.end_history_when_complete(now);
        while let Some((host, count)) = self.visitors.poll(now) {
            self.events.push_back(Event::MoreVisitors { host, count });
        }
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Phase(id) => self.handle_phase_timer(id, now),
                Timer::Frame(id) => self.handle_frame_timer(id, now),
                Timer::Ack(key) => self.send_ack(key, now),
                Timer::Surplus(key) => self.close_silent_links(key),
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

    /// There is no room for another connection: closes one that was accepted and that is neither a member's nor has sent
    /// a message. Returns whether there was one to be closed; it makes room once it was [reaped](Self::poll_closed).
    pub fn make_room(&mut self, now: Instant) -> bool {
        let id = self.clients.to_close(now);
        id.into_iter().for_each(|id| self.lose(id, LostReason::Failed("closed to make room".into()), now));
        id.is_some()
    }

    // What the user wants: commands.

    /// Sends `text` to everybody, in as many frames as it takes.
    pub fn broadcast(&mut self, text: &str, at: DateTime<FixedOffset>) {
        self.sent.count += 1;
        if self.clients.open_count() == 0 {
            self.show_alone();
        }
        let mut rest = text;
        while !rest.is_empty() {
            self.log.append(|out| rest = self.own.writer.write(rest, at, out));
        }
        self.sent.end = self.log.end();
    }

    /// Shows the user once that no peer is connected, unless a peer that the user named is still being dialled.
    fn show_alone(&mut self) {
        let is_kept = self.members.iter().any(|(_, member)| !member.is_unmet());
        let is_expected = self.dialer.named().any(|(_, target)| !target.is_over());
        if (is_kept || !is_expected) && !mem::replace(&mut self.sent.is_alone_shown, true) {
            self.events.push_back(Event::Alone { is_kept });
        }
    }

    // What is to be done: `flush`, `poll_*`, `deadline`.

    /// Writes the outbox and the log to the connections, through `write`, until each writes less than it was given or
    /// the budget of the turn is used up, which is one for all: those that it does not reach come first in the next
    /// turn. Returns whether a connection would have taken more.
    ///
    /// `write` is called with the connection, its stream, the bytes, and whether to try although the poll has not
    /// reported room. It returns how many bytes were written, from the front. For a stream that failed that is 0:
    /// reading from it returns the error, behind the bytes that the peer sent before. Connections on which nothing
    /// could be written for too long, or that the log has overrun, are lost. While leaving, those with everything
    /// written are half-closed.
    pub fn flush(
        &mut self,
        now: Instant,
        mut write: impl FnMut(ClientId, &mut S, &[u8], bool) -> usize,
    ) -> bool {
        let mut visited = self.clients.begin_flush(&self.log);
        let (mut has_more, mut budget, mut count) = (false, WRITE_TURN_BYTES, 0);
        for &id in &visited {
            if budget == 0 {
                has_more = true;
                break;
            }
            if self.clients[id].is_writable() {
                has_more |= self.flush_client(id, now, &mut budget, &mut write);
            }
            count += 1;
        }
        let unvisited = visited.split_off(count);
        self.clients.end_flush(visited, unvisited, &self.log);
        self.end_history_when_complete(now);
        has_more
    }

    /// Writes to one connection, and takes what that costs from the budget of the turn. Returns whether the connection
    /// would have taken more.
    fn flush_client(
        &mut self,
        id: ClientId,
        now: Instant,
        turn_budget: &mut usize,
        write: &mut impl FnMut(ClientId, &mut S, &[u8], bool) -> usize,
    ) -> bool {
        let client = &mut self.clients[id];
        if client.is_overrun(&self.log) {
            self.lose(id, LostReason::Overrun, now);
            return false;
        }
        let before = (client.cursor, client.next_message(&self.log));
        let probe = client.waiting.is_some_and(|waiting| now >= waiting.probe_at);
        let whole = WRITE_SHARE_BYTES.min(*turn_budget);
        let (mut budget, mut writes, mut is_full) = (whole, 0, false);
        while client.has_offer(&self.log) && !is_full && budget > 0 && writes < WRITE_TURN_CALLS {
            let (stream, bytes) = client.offer(&self.log, self.own.framing);
            let bytes = &bytes[..bytes.len().min(budget)];
            let offered = bytes.len();
            let count = write(id, stream, bytes, probe);
            client.handle_taken(count);
            is_full = count < offered;
            budget -= count;
            writes += 1;
        }
        let cost = (whole - budget).max(writes * WRITE_CALL_BYTES);
        *turn_budget = turn_budget.saturating_sub(cost);
        let probed_at = client.waiting.map(|waiting| waiting.probe_at);
        client.clock(now, budget < whole, &self.log);
        let probe_at = client.waiting.map(|waiting| waiting.probe_at).filter(|at| Some(*at) != probed_at);
        probe_at.into_iter().for_each(|at| self.timers.set(at, Timer::Write(id)));
        // A member acknowledges. A plain peer may not have understood a framing that is a guess.
        let is_understood =
            client.has_known_framing() || client.dialled.is_none() || self.own.is_framing_given;
        if !self.sent.was_received
            && is_understood
            && before.0 < self.sent.end
            && client.phase.plain().is_some()
        {
            self.sent.was_received = client.next_message(&self.log) > before.1;
        }
        let has_more = client.has_offer(&self.log) && !is_full;
        let is_closing = self.is_leaving || matches!(client.phase, Phase::Closing);
        let patience = if is_closing { LEAVE_STALL_TIMEOUT } else { WRITE_STALL_TIMEOUT };
        if client.stalled_for(now) >= patience {
            self.lose(id, LostReason::Stalled(patience), now);
        } else if client.is_read_closed && !client.is_behind(&self.log) {
            self.lose(id, LostReason::Closed { unfinished_bytes: 0 }, now);
        } else if is_closing && !client.is_behind(&self.log) {
            let until = now + LINGER_TIMEOUT;
            self.clients.half_close(id, until);
            self.timers.set(until, Timer::Phase(id));
        }
        has_more
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

    /// The next address to dial, until `None`.
    pub fn poll_dial(&mut self, now: Instant) -> Option<Attempt> {
        let members = &self.members;
        let clients = &self.clients;
        self.dialer.poll(now, |key| match members.get(key) {
            None => Eligible::No,
            // A connection that was accepted may only claim to be this member's. One that we dialled counts.
            Some(member)
                if member.is_here() || member.pending.iter().any(|id| clients[*id].dialled.is_some()) =>
            {
                Eligible::No
            }
            Some(member) if member.is_unmet() => Eligible::Unmet,
            Some(_) => Eligible::Met,
        })
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

    // Getters.

    /// The stream of a connection, unless that is closed.
    pub fn stream_mut(&mut self, id: ClientId) -> Option<&mut S> {
        let client = self.clients.get_mut(id).filter(|client| !client.is_closed());
        client.map(|client| &mut client.stream)
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

    /// How many messages were sent, if no peer is known to have received any of them.
    #[must_use]
    pub fn unreceived_count(&self) -> Option<u64> {
        (self.sent.count > 0 && !self.sent.was_received).then_some(self.sent.count)
    }

    /// The position in the log, in bytes, after the user's last message.
    #[must_use]
    pub fn log_end(&self) -> u64 {
        self.log.end()
    }

    /// The position in the log up to which the user may continue to send: until then the log holds all that is needed
    /// by connections that are slow but alive, by peers dialled for the first time, and by the members that those
    /// will report.
    #[must_use]
    pub fn send_limit(&self, now: Instant) -> u64 {
        let slow = self.clients.behind().filter(|client| client.holds_back(now)).map(|client| client.cursor);
        let first = self.dialer.named().filter(|(_, target)| target.is_first_attempt());
        let first = first.map(|(_, target)| target.next_message);
        let awaited = self.awaited(now).filter_map(|member| member.send.base());
        let numbers = first.chain(awaited).chain(self.owed_to_groups(now));
        let needed = slow.chain(numbers.map(|number| self.log.position_of(number)));
        needed.min().unwrap_or(self.log.end()) + (LOG_BYTES - LINE_LOG_BYTES_MAX) as u64
    }

    /// The members of the group that we join which are still dialled for the first time.
    fn awaited(&self, now: Instant) -> impl Iterator<Item = &Member> {
        self.members.awaited(now).filter(|member| self.dialer[member.target].is_first_attempt())
    }

    /// The numbers from which on messages are owed to the groups of peers that the user named and that have not sent
    /// the list of their members yet: during their handshake, and for
    /// [`HANDSHAKE_TIMEOUT`](crate::limits::HANDSHAKE_TIMEOUT) more.
    fn owed_to_groups(&self, now: Instant) -> impl Iterator<Item = u64> {
        let unproven = self.clients.dialled_handshakes().filter_map(|(client, unproven)| {
            let has_member = unproven.handshake.member().is_some();
            let target = self.dialer.get(client.dialled?.target)?;
            (has_member && target.wanted_by() == WantedBy::User).then_some(target.next_message)
        });
        let linked = self.awaited_lists(now).filter_map(|link| self.members[link.key].send.base());
        unproven.chain(linked)
    }

    /// The links on which the list of all members is not complete, and whose time for it is not over.
    fn awaited_lists(&self, now: Instant) -> impl Iterator<Item = &Link> {
        self.clients.awaiting_lists().filter(move |link| now < link.since + HANDSHAKE_TIMEOUT)
    }

    /// Whether further peers may be reached in a moment: a peer that the user named and that is being dialled for the
    /// first time; and, for [`MEET_TIMEOUT`] after `since`, a member of a group that we join, or a peer that we dialled
    /// and whose handshake is not finished.
    #[must_use]
    pub fn is_reaching_out(&self, now: Instant, since: Instant) -> bool {
        if self.dialer.named().any(|(_, target)| target.is_first_attempt()) {
            return true;
        }
        // Members may report others without end.
        now < since + MEET_TIMEOUT
            && (self.clients.dialled_handshakes().next().is_some()
                || self.awaited(now).next().is_some()
                || self.awaited_lists(now).next().is_some())
    }

    /// The time until which a peer that the user named, and that has sent nothing so far, may still turn out to be a
    /// slow member. Without waiting for that, what was sent would reach no other member of its group.
    #[must_use]
    pub fn handshake_wait_end(&self, now: Instant) -> Option<Instant> {
        if self.own.is_plain {
            return None;
        }
        let unanswered = self.clients.iter().map(|(_, client)| client).filter(|client| {
            client.phase.plain().is_some() && client.dialled.is_some() && client.received_framing.is_none()
        });
        unanswered.map(|client| client.since + PLAIN_WAIT_MAX).filter(|at| now < *at).max()
    }

    // The rest is internal.

    /// Changes the phase of a connection, and all that depends on it. The only place that does, but for the
    /// half-closing in [`flush`](Self::flush).
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
            Phase::Handshake(unproven) => {
                let member = unproven.handshake.member().and_then(|key| self.members.get_mut(key));
                member.into_iter().for_each(|member| member.pending.retain(|pending| *pending != id));
            }
            Phase::Plain(_) => self.unname(Holder::Plain(id)),
            Phase::Member(link) => {
                let member = self.members.get_mut(link.key);
                member.into_iter().for_each(|member| member.links.retain(|other| *other != id));
            }
            Phase::Dialing { .. } | Phase::Closing | Phase::HalfClosed { .. } | Phase::Closed => (),
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

    /// The other end of a connection sent a frame that is no hello, or none in time: it is taken for a plain peer.
    fn take_for_plain(&mut self, id: ClientId) {
        let number = self.clients[id].next_message(&self.log);
        self.set_phase(id, Phase::Plain(Box::new(PlainPeer { name: None, shown: Shown::Nothing })));
        // An overrun connection stays so, and is lost for it.
        self.clients[id].offered_from = Some(number);
        self.clients.list(id);
    }

    /// Shows an event about members, behind the history that is still being collected.
    fn show(&mut self, event: Event) {
        if self.history.is_waiting() {
            self.history.keep_present(event);
        } else {
            self.events.push_back(event);
        }
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
