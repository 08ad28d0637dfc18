//! Plain peers: how a connection becomes one, its messages, its end, and the events about it.

use super::*;

impl<S> Group<S> {
    /// The other end of a connection sent a frame that is no hello, or none in time: it is taken for a plain peer.
    pub(super) fn take_for_plain(&mut self, id: ClientId) {
        let client = &mut self.clients[id];
        let number = client.next_message(&self.log);
        let handshake = match &mut client.phase {
            Phase::Handshake(unproven) => mem::take(&mut unproven.handshake),
            Phase::Dialing { .. }
            | Phase::Plain(_)
            | Phase::Member(_)
            | Phase::Closing
            | Phase::HalfClosed { .. }
            | Phase::Closed => Handshake::default(),
        };
        let peer = PlainPeer { name: None, shown: Shown::Nothing, handshake };
        self.set_phase(id, Phase::Plain(Box::new(peer)));
        // An overrun connection stays so, and is lost for it.
        self.clients[id].offered_from = Some(number);
        self.clients.list(id);
    }

    pub(super) fn handle_plain_frame(
        &mut self,
        id: ClientId,
        frame: &Frame<'_>,
        had_received: bool,
        now: Instant,
    ) -> ControlFlow<()> {
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
                return self.handle_late_handshake(id, frame, had_received, now);
            }
            Code::Peer | Code::Private | Code::Unknown => (),
        }
        ControlFlow::Continue(())
    }

    /// A plain peer sends a message.
    pub(super) fn receive_plain(&mut self, id: ClientId, frame: &Frame<'_>, now: Instant) {
        let client = &mut self.clients[id];
        if client.is_muted {
            self.discarded_bytes += frame.body.len();
            return;
        }
        let (address, dialled) = (client.address, client.dialled);
        if let Some(target) = dialled.and_then(|dialled| self.dialer.get_mut(dialled.target)) {
            target.handle_frame();
        }
        let body = frame.text();
        let message = message::read_message(&body);
        let has_time = message.is_some();
        let event = match message {
            None if is_blank(text_of(&body)) => return,
            None => {
                let name = Label::of_place(address.to_string());
                message_event(
                    None,
                    PeerInfo { name, id: None, address: Some(address) },
                    text_of(&body),
                    false,
                )
            }
            Some(message) => {
                let known = self.clients[id].phase.plain().and_then(|peer| peer.name.clone());
                let name = match (message.name, known) {
                    (None, _) => Label::of_place(address.to_string()),
                    (Some(name), Some(known)) if known.bare() == name => known,
                    (Some(name), _) => self.name_plain(id, name),
                };
                let from = PeerInfo { name, id: None, address: Some(address) };
                message_event(Some(message.at), from, message.text, false)
            }
        };
        let may_repeat = self.clients.has_dialled(address.ip());
        if has_time && !self.shown_bodies.receive_plain(address, body.as_bytes(), may_repeat, now) {
            return;
        }
        self.show_person(id);
        // It has no history, so it does not wait for that of members.
        self.events.push_back(event);
    }

    /// A plain peer sends an exit.
    pub(super) fn handle_plain_goodbye(&mut self, id: ClientId, body: &str) {
        if let Some(name) = message::read_exit(body) {
            self.name_plain(id, name);
        }
        self.show_person(id);
        self.end_person_with(id, Some(Fate::Left), |peer| Event::Left { peer });
        let target = self.clients[id].dialled.and_then(|dialled| self.dialer.get_mut(dialled.target));
        target.into_iter().for_each(Target::give_up);
        self.set_phase(id, Phase::Closed);
    }

    /// The connection of a plain peer ended without a goodbye.
    pub(super) fn lose_plain(&mut self, id: ClientId, why: LostReason, now: Instant) {
        let client = &self.clients[id];
        let (dialled, next_message) = (client.dialled, client.next_message(&self.log));
        self.show_plain_lost(id, why, now);
        let target = dialled.and_then(|dialled| self.dialer.get_mut(dialled.target));
        if let Some(target) = target.filter(|target| target.wanted_by() == WantedBy::User)
            && !self.is_leaving
        {
            target.next_message = next_message;
            dialled.into_iter().for_each(|dialled| self.dialer.handle_lost(dialled.target, now));
        }
    }

    /// Shows a connection that was accepted and has not sent a message yet: one a minute for each host, so that
    /// health checks and port scanners are no flood.
    pub(super) fn show_connection(&mut self, id: ClientId, now: Instant) {
        let Client { address, dialled, .. } = self.clients[id];
        let is_new = self.clients[id].phase.plain().is_some_and(|peer| peer.shown == Shown::Nothing);
        if dialled.is_none() && is_new {
            let is_shown = self.visitors.add(address.ip(), now);
            if is_shown {
                self.report(Diagnostic::Accepted { address });
            }
            self.set_shown(id, if is_shown { Shown::Connection } else { Shown::Counted });
        }
    }

    /// Shows that a silent connection was taken for a plain peer's, and in which framing that is a guess.
    pub(super) fn show_assumption(&mut self, id: ClientId, now: Instant) {
        self.show_connection(id, now);
        let target = self.clients[id].dialled.and_then(|dialled| self.dialer.get(dialled.target));
        let is_known = self.own.is_framing_given || self.clients[id].expected_framing.is_some();
        if let Some(target) = target.filter(|_| !is_known) {
            self.report(Diagnostic::Assumed { name: Rc::clone(target.name()) });
        }
    }

    pub(super) fn set_shown(&mut self, id: ClientId, shown: Shown) -> Shown {
        let peer = self.clients[id].phase.plain_mut();
        peer.map_or(Shown::Nothing, |peer| mem::replace(&mut peer.shown, shown))
    }

    /// A plain peer sends its first message or its goodbye: from now on, events show it as a person.
    pub(super) fn show_person(&mut self, id: ClientId) {
        let shown = self.set_shown(id, Shown::Person);
        if shown == Shown::Person {
            return;
        }
        let Client { address, dialled, .. } = self.clients[id];
        if shown == Shown::Counted {
            self.visitors.remove(address.ip());
        }
        if shown != Shown::Connection && dialled.is_none() {
            self.report(Diagnostic::Accepted { address });
        }
        self.clients.prove(id);
        let peer = self.plain_info(id);
        self.events.push_back(Event::Appeared { peer });
    }

    /// A plain peer turned out to be a member, under whose name it is shown from now on.
    pub(super) fn end_plain_presence(&mut self, id: ClientId) {
        self.end_person_with(id, None, |before| Event::Identified { before });
    }

    /// Ends the presence of a plain peer. Without a `fate`, it stays present as a member.
    pub(super) fn end_person_with(
        &mut self,
        id: ClientId,
        fate: Option<Fate>,
        event: impl FnOnce(PeerInfo) -> Event,
    ) {
        if self.clients[id].phase.plain().is_some_and(|peer| peer.shown == Shown::Person) {
            let peer = self.plain_info(id);
            if let Some(fate) = fate {
                self.former_names.add(peer.clone(), fate);
            }
            self.events.push_back(event(peer));
            self.set_shown(id, Shown::Connection);
        }
    }

    /// Shows that a connection without a member ended without a goodbye.
    pub(super) fn show_plain_lost(&mut self, id: ClientId, why: LostReason, now: Instant) {
        let Client { address, dialled, .. } = self.clients[id];
        let shown = self.clients[id].phase.plain().map_or(Shown::Nothing, |peer| peer.shown);
        // Bytes that we sent did not arrive; or, while we leave, may not have arrived.
        let is_trouble = match why {
            LostReason::Stalled(_) | LostReason::Overrun | LostReason::Altered => true,
            LostReason::Failed(_) | LostReason::FrameTooLong | LostReason::Unintroduced(_) => self.is_leaving,
            LostReason::Closed { .. }
            | LostReason::OtherProtocol
            | LostReason::Unfinished
            | LostReason::Refused(_)
            | LostReason::NoReply => false,
        };
        let is_visible = match shown {
            Shown::Person => {
                return self.end_person_with(id, Some(Fate::Gone), |peer| Event::Lost { peer, why });
            }
            _ if dialled.is_some() => {
                let peer = self.plain_info(id);
                return self.report(Diagnostic::NamedLost { peer, why });
            }
            Shown::Nothing => self.visitors.add(address.ip(), now),
            Shown::Connection => self.visitors.may_show(address.ip(), now),
            Shown::Counted => false,
        };
        if is_visible || is_trouble {
            self.report(Diagnostic::Visited { address, why });
        }
    }

    pub(super) fn plain_clients(&self) -> impl Iterator<Item = (ClientId, &Client<S>)> {
        self.clients.iter().filter(|(_, client)| client.phase.plain().is_some())
    }
}
