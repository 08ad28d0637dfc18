//! Dialling: who the user named, from the first attempt to the connection.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use super::{Client, ClientId, Dial, DialId, Dialled, Group, Notice, State};

impl<S> Group<S> {
    /// The next address to dial, until `None`. The answer is [`handle_dialling`] or
    /// [`handle_dial_failed`].
    ///
    /// [`handle_dialling`]: Self::handle_dialling
    /// [`handle_dial_failed`]: Self::handle_dial_failed
    pub fn poll_dial(&mut self, now: Instant) -> Option<(DialId, SocketAddr)> {
        let mut dials = self.dials.iter_mut().enumerate();
        dials.find_map(|(index, dial)| dial.poll(now).map(|address| (DialId(index), address)))
    }

    /// A connection to `address` is on its way, from our end `local`.
    pub fn handle_dialling(
        &mut self,
        dial: DialId,
        stream: S,
        address: SocketAddr,
        local: SocketAddr,
    ) -> ClientId {
        let client = Client::new(stream, address, Some(Dialled { dial, local }), self.log.end());
        ClientId(self.clients.insert(client))
    }

    /// The address that is being tried cannot be reached.
    pub fn handle_dial_failed(&mut self, dial: DialId, why: String, now: Instant) {
        let dial = &mut self.dials[dial.0];
        if dial.handle_failure(now, &mut self.random) {
            self.notices.push_back(Notice::Unreachable { peer: Rc::clone(dial.name()), why });
        }
    }

    /// The peer that we dialled answered. It is sent what was said since it was last there, as far
    /// as the log reaches back.
    pub fn handle_connected(&mut self, id: ClientId, now: Instant) {
        let client = &mut self.clients[id.0];
        let dialled = client.dialled.expect("only a dialled connection becomes connected");
        let dial = &mut self.dials[dialled.dial.0];
        dial.handle_connected(now);
        client.cursor = self.log.position_of(dial.next_message());
        let missed = self.log.number_at(client.cursor).saturating_sub(dial.next_message());
        if client.cursor < self.log.end() {
            self.behind.push(id);
        }
        let (peer, address) = (Rc::clone(dial.name()), client.address);
        self.notices.push_back(Notice::Connected { peer, address, missed });
        self.set_state(id, State::Open);
        self.heard.alone_is_told = false;
    }

    /// Whether we dialled and nobody has answered yet.
    #[must_use]
    pub fn is_dialling(&self, id: ClientId) -> bool {
        self.clients.get(id.0).is_some_and(|client| client.state == State::Dialling)
    }

    /// Whether a peer is still being dialled for the first time.
    #[must_use]
    pub fn has_first_attempts(&self) -> bool {
        self.dials.iter().any(Dial::is_first_attempt)
    }

    /// The connection that we dialled from `local` to `remote`, if there is one.
    pub(super) fn dialled_from(&self, local: SocketAddr, remote: SocketAddr) -> Option<(ClientId, DialId)> {
        // Most who accept many have dialled nobody.
        if self.dials.is_empty() {
            return None;
        }
        self.clients.iter().find_map(|(key, client)| {
            let dialled = client.dialled.filter(|dialled| dialled.local == local)?;
            let is_it = client.address == remote && client.state != State::Ended;
            is_it.then_some((ClientId(key), dialled.dial))
        })
    }
}
