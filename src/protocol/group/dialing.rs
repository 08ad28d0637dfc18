//! Dialling: connections that are being made, and the peers that the user names.

use super::*;
use crate::limits::{HANDSHAKE_TIMEOUT, NAMED_MAX, PLAIN_WAIT_MAX, PLAIN_WAIT_MIN, UNMET_SHOWN_MAX};
use crate::protocol::roster::{Connecting, Disconnecting, Unreached};

impl<S> Group<S> {
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

    /// The connection to an address that [`poll_dial`](Self::poll_dial) returned cannot be begun.
    pub fn handle_dial_failed(&mut self, attempt: Attempt, why: String, now: Instant) {
        self.dialer.handle_not_begun(attempt);
        self.fail_dial(attempt.target, why, now);
    }

    /// The address that is being tried for a target cannot be reached.
    pub(super) fn fail_dial(&mut self, id: TargetId, why: String, now: Instant) {
        if !self.dialer.handle_failure(id, now) {
            return;
        }
        let Some(target) = self.dialer.get(id) else { return };
        let is_shown = match target.wanted_by() {
            WantedBy::User => true,
            // A member that the group knows may be away for long. A newcomer needs somebody at the addresses of the invite.
            WantedBy::Group(Some(_)) => false,
            WantedBy::Group(None) => !target.was_reached() && !self.has_reached_somebody(),
            // Members may report many that nobody can reach. For one that was lost, the user was shown that.
            WantedBy::Member(key) => {
                let is_unmet = |member: &Member| member.is_unmet() && member.was_vouched;
                let unmet = self.members.absent().filter(|(_, member)| is_unmet(member));
                self.members.get(key).is_some_and(is_unmet)
                    && unmet.take(UNMET_SHOWN_MAX + 1).count() <= UNMET_SHOWN_MAX
            }
        };
        if is_shown {
            self.report(Diagnostic::Unreachable { name: Rc::clone(target.name()), why });
        }
    }

    /// A connection that we dialled is made. We send a hello, and wait for the reply.
    pub fn handle_connected(&mut self, id: ClientId, now: Instant) {
        let client = &mut self.clients[id];
        let Some(dialled) = client.dialled else { return };
        (client.since, client.received_at) = (now, now);
        let address = client.address;
        self.sent.is_alone_shown = false;
        let (handshake, first_frame) = if self.own.is_plain {
            (Handshake::accept(), None)
        } else {
            let (handshake, body) = Handshake::dial(&mut self.own.keys);
            (handshake, Some(body))
        };
        let mut unproven = Unproven { handshake, plain_at: None, until: now + HANDSHAKE_TIMEOUT };
        if let Some(target) =
            self.dialer.get_mut(dialled.target).filter(|it| it.wanted_by() == WantedBy::User)
        {
            target.handle_connected(now);
            let wait = (now - dialled.at).saturating_mul(3).clamp(PLAIN_WAIT_MIN, PLAIN_WAIT_MAX);
            let (is_member, framing) = (target.is_member, target.framing);
            let (name, next) = (Rc::clone(target.name()), target.next_message);
            let was_refused = target.was_refused;
            if !is_member && !self.own.keys.is_private() && !self.is_members(address) {
                unproven.plain_at = Some(now + wait);
            }
            let client = &mut self.clients[id];
            client.expected_framing = framing;
            client.cursor = self.log.position_of(next);
            let missed = self.log.number_at(client.cursor).saturating_sub(next);
            if !was_refused {
                self.report(Diagnostic::Connected { name, address, missed });
            }
        }
        self.set_phase(id, Phase::Handshake(unproven));
        if let Some(body) = first_frame {
            self.clients.push(id, Code::Peer, body.as_bytes(), &self.log, self.own.framing);
        } else if self.own.is_framing_given {
            self.take_for_plain(id);
        }
    }

    /// The next address to dial, until `None`.
    pub fn poll_dial(&mut self, now: Instant) -> Option<Attempt> {
        let members = &self.members;
        self.dialer.poll(now, |key| members.get(key).is_some_and(|member| !member.is_here()))
    }

    /// Adds a peer that the user names, and dials it. It is sent every message from now on.
    pub fn connect(&mut self, peer: Peer, now: Instant) -> Connecting {
        let is_there = |target: &Target| peer.addresses.iter().any(|address| target.has(*address));
        let met = self.members.iter().find(|(_, it)| !it.is_unmet() && is_there(&self.dialer[it.target]));
        if let Some((_, member)) = met {
            if member.is_here() {
                return Connecting::Connected(member.info());
            }
            self.dialer[member.target].hurry(now);
            return Connecting::Dialling;
        }
        let is_it = |client: &Client<S>| client.dialled.is_some() && peer.addresses.contains(&client.address);
        if let Some((id, _)) = self.plain_clients().find(|(_, client)| is_it(client)) {
            return Connecting::Connected(self.plain_info(id));
        }
        let known = self.dialer.named().find(|(_, target)| is_there(target)).map(|(id, _)| id);
        match known {
            Some(id) if self.dialer[id].is_open() => {
                self.dialer[id].hurry(now);
                return Connecting::Dialling;
            }
            Some(id) => {
                self.dialer.remove(id);
            }
            None if self.dialer.named().count() >= NAMED_MAX => return Connecting::Full,
            None => (),
        }
        self.dialer.add_named(peer, now, self.log.next_number());
        Connecting::Begun
    }

    /// Adds a peer that the group knows, and dials it until it is met: the member with this public key, or whoever is at
    /// the addresses of an invite. Those that are absent count for nothing, but for
    /// [`awaits_group`](Self::awaits_group).
    pub fn add_known(&mut self, peer: Peer, key: Option<PublicKey>, now: Instant) {
        self.dialer.add_known(peer, key, now);
    }

    /// Whether the group knows peers, and nobody was reached yet.
    #[must_use]
    pub fn awaits_group(&self) -> bool {
        self.dialer.known().next().is_some() && !self.has_reached_somebody()
    }

    /// Undoes [`connect`](Self::connect): the peer that the user named `text`, or that is at one of `addresses`, is
    /// dialled no more; a plain one is sent our goodbye, as a peer that listens on `own`, and closed.
    pub fn disconnect(
        &mut self,
        text: &str,
        addresses: &[SocketAddr],
        own: SocketAddr,
        at: DateTime<FixedOffset>,
    ) -> Disconnecting {
        let has_it = |target: &Target| addresses.iter().any(|address| target.has(*address));
        let is_meant = |target: &Target| !target.is_over() && (**target.name() == *text || has_it(target));
        let named = self.dialer.named().find(|(_, target)| is_meant(target)).map(|(id, _)| id);
        let met = named.and_then(|id| self.dialer[id].met());
        let is_at = |member: &Member| !member.is_unmet() && has_it(&self.dialer[member.target]);
        let key = met.or_else(|| Some(self.members.iter().find(|(_, member)| is_at(member))?.0));
        if let Some(member) = key.and_then(|key| self.members.get(key)) {
            return Disconnecting::Member(member.info());
        }
        let Some(named) = named else {
            let is_there = |client: &Client<S>| client.is_open() && addresses.contains(&client.address);
            let accepted = self.clients.iter().find(|(_, client)| is_there(client));
            return accepted
                .map_or(Disconnecting::Unknown, |(id, _)| Disconnecting::Accepted(self.plain_info(id)));
        };
        let is_its = |client: &Client<S>| {
            client.dialled.is_some_and(|dialled| dialled.target == named)
                && (client.is_open() || matches!(client.phase, Phase::Dialing { .. }))
        };
        let id = self.clients.iter().find(|(_, client)| is_its(client)).map(|(id, _)| id);
        self.dialer[named].withdraw();
        let name = Rc::clone(self.dialer[named].name());
        let Some(id) = id else { return Disconnecting::Stopped(name) };
        if !self.clients[id].is_open() {
            self.set_phase(id, Phase::Closed);
            return Disconnecting::Stopped(name);
        }
        if let Some(unproven) = self.clients[id].phase.unproven() {
            if unproven.plain_at.is_none() {
                self.set_phase(id, Phase::Closed);
                return Disconnecting::Stopped(name);
            }
            self.take_for_plain(id);
        }
        let peer = self.plain_info(id);
        let body = message::exit_body(own, at, self.own.writer.name());
        self.clients[id].take_rest(&self.log, self.own.framing);
        self.clients.push(id, Code::Exit, body.as_bytes(), &self.log, self.own.framing);
        self.close(id);
        Disconnecting::Closed(peer)
    }

    /// Whether a member was met at `address`.
    pub(super) fn is_members(&self, address: SocketAddr) -> bool {
        let is_found = |target: &Target| target.found().any(|found| found == address);
        self.dialer.at(address).any(|target| target.member().is_some() && is_found(target))
    }

    /// The target that a connection was dialled for, and the reason; `None` if we did not dial it, or if the target was
    /// removed.
    pub(super) fn dialled_for(&self, client: &Client<S>) -> Option<(TargetId, WantedBy)> {
        let target = client.dialled?.target;
        Some((target, self.dialer.get(target)?.wanted_by()))
    }

    /// Whether a connection was dialled because the user named the peer.
    pub(super) fn is_to_named(&self, client: &Client<S>) -> bool {
        matches!(self.dialled_for(client), Some((_, WantedBy::User)))
    }

    /// The peers that the user named and that were never reached.
    #[must_use]
    pub fn unreached(&self) -> Vec<Unreached> {
        let unreached = self.dialer.named().map(|(_, target)| target).filter(|target| target.is_unreached());
        unreached
            .map(|target| Unreached { name: Rc::clone(target.name()), is_dialled: target.is_open() })
            .collect()
    }

    /// Whether the user named peers, and none of them was ever reached.
    #[must_use]
    pub fn has_reached_nobody(&self) -> bool {
        self.dialer.named().any(|(_, target)| target.is_unreached())
            && !self.dialer.named().any(|(_, target)| target.was_reached())
    }

    /// Whether a member was met, or a peer that the user named was connected.
    #[must_use]
    pub fn has_reached_somebody(&self) -> bool {
        self.dialer.given().any(|(_, target)| target.was_reached())
            || self.members.iter().any(|(_, member)| !member.is_unmet())
    }
}
