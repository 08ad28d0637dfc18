//! All connections: their phases, the indexes that depend on them, and which of them have bytes to be written.

use std::collections::VecDeque;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Index, IndexMut};
use std::time::Instant;

use slab::Slab;

use super::connection::{Client, Link, Phase, Unproven};
use super::ids::ClientId;
use super::log::Log;
use super::places::Places;
use super::unfinished::Unfinished;
use crate::limits::HANDSHAKES_MAX;
use crate::wire::frame::{Code, Framing};
use crate::wire::hello::PeerFrame;

/// All connections.
///
/// Invariant: `open_count` connections are made and not closed. `behind` holds each connection with bytes to be
/// written once, those that have waited longest first; after a flush that reached all of them, no others.
#[derive(Debug)]
pub(super) struct Clients<S> {
    slab: Slab<Client<S>>,
    open_count: usize,
    /// The connections that we dialled and that are no links. Their number is limited by that of dials and by that of
    /// the peers that the user names.
    dialled: Vec<ClientId>,
    /// Links on which we have requested the list of all members, until it is complete.
    awaiting_lists: Vec<ClientId>,
    unfinished: Unfinished,
    /// Connections that were accepted and are not proven: first those that have not begun a handshake.
    places: Places,
    begun: Places,
    /// The end of the log at the last flush.
    flushed: u64,
    behind: Vec<ClientId>,
    to_shut_down: VecDeque<ClientId>,
    closed: Vec<ClientId>,
}

impl<S> Default for Clients<S> {
    fn default() -> Self {
        Self {
            slab: Slab::new(),
            open_count: 0,
            dialled: Vec::new(),
            awaiting_lists: Vec::new(),
            unfinished: Unfinished::default(),
            places: Places::default(),
            begun: Places::default(),
            flushed: 0,
            behind: Vec::new(),
            to_shut_down: VecDeque::new(),
            closed: Vec::new(),
        }
    }
}

fn is_counted(phase: &Phase) -> bool {
    !matches!(phase, Phase::Dialing { .. } | Phase::Closed)
}

impl<S> Clients<S> {
    pub fn insert(&mut self, client: Client<S>) -> ClientId {
        self.open_count += usize::from(is_counted(&client.phase));
        let Client { address, since, dialled, .. } = client;
        let id = ClientId(self.slab.insert(client));
        match dialled {
            Some(_) => self.dialled.push(id),
            None => self.places.add(address.ip(), since, id),
        }
        id
    }

    pub fn get(&self, id: ClientId) -> Option<&Client<S>> {
        self.slab.get(id.0)
    }

    pub fn get_mut(&mut self, id: ClientId) -> Option<&mut Client<S>> {
        self.slab.get_mut(id.0)
    }

    pub fn iter(&self) -> impl Iterator<Item = (ClientId, &Client<S>)> {
        self.slab.iter().map(|(slot, client)| (ClientId(slot), client))
    }

    /// The number of connections that are made and not closed.
    pub fn open_count(&self) -> usize {
        self.open_count
    }

    /// The connections with bytes to be written.
    pub fn behind(&self) -> impl Iterator<Item = &Client<S>> {
        self.behind.iter().filter_map(|id| self.get(*id))
    }

    /// The connection that we dialled from `own` to `other`, unless it is a link.
    pub fn dialled_between(&self, other: SocketAddr, own: SocketAddr) -> Option<ClientId> {
        let is_it = |client: &Client<S>| {
            client.address == other && client.dialled.is_some_and(|dialled| dialled.local == own)
        };
        self.dialled.iter().copied().find(|id| is_it(&self[*id]))
    }

    /// Whether we dialled a connection to `host` that is no link.
    pub fn has_dialled(&self, host: IpAddr) -> bool {
        self.dialled.iter().any(|id| self[*id].address.ip() == host)
    }

    /// The handshakes of connections that we dialled.
    pub fn dialled_handshakes(&self) -> impl Iterator<Item = (&Client<S>, &Unproven)> {
        let dialled = self.dialled.iter().map(|id| &self[*id]);
        dialled.filter_map(|client| Some((client, client.phase.unproven()?)))
    }

    /// On this link we have requested the list of all members.
    pub fn await_list(&mut self, id: ClientId) {
        self.awaiting_lists.push(id);
    }

    /// Whether the list of all members is not complete on this link.
    pub fn awaits_list(&self, id: ClientId) -> bool {
        self.awaiting_lists.contains(&id)
    }

    /// The list of all members is complete on this link, or will not be.
    pub fn end_list(&mut self, id: ClientId) {
        self.awaiting_lists.retain(|other| *other != id);
    }

    /// The links on which the list of all members is not complete.
    pub fn awaiting_lists(&self) -> impl Iterator<Item = &Link> {
        self.awaiting_lists.iter().filter_map(|id| self[*id].phase.link())
    }

    /// Bytes of an unfinished frame may be kept for a connection. Returns the connection with the longest one, if those
    /// of non-members are too long together.
    pub fn count_unfinished(&mut self, id: ClientId) -> Option<ClientId> {
        let client = &mut self.slab[id.0];
        let is_counted = client.phase.link().is_none() && !client.is_closed();
        let after = if is_counted { client.pending_bytes() } else { 0 };
        let before = mem::replace(&mut client.unfinished_bytes, after);
        self.unfinished.change(id, before, after)
    }

    /// A connection that was accepted is a member's, or has sent a message, or is closed: it does not make room.
    pub fn prove(&mut self, id: ClientId) {
        let Client { address, since, .. } = self[id];
        self.places.remove(address.ip(), since, id);
        self.begun.remove(address.ip(), since, id);
    }

    /// A connection that was accepted has begun a handshake. Returns the connection that is to be closed for it, if there
    /// are too many of them.
    pub fn begin_handshake(&mut self, id: ClientId, now: Instant) -> Option<ClientId> {
        let Client { address, since, .. } = self[id];
        self.places.remove(address.ip(), since, id);
        self.begun.add(address.ip(), since, id);
        if self.begun.len() > HANDSHAKES_MAX { self.begun.to_close(now) } else { None }
    }

    /// The connection to be closed when there is no room for another; `None` if there is none.
    pub fn to_close(&self, now: Instant) -> Option<ClientId> {
        self.places.to_close(now).or_else(|| self.begun.to_close(now))
    }

    /// Changes the phase of a connection. Returns the phase before.
    pub fn set_phase(&mut self, id: ClientId, phase: Phase) -> Phase {
        let is_over = matches!(phase, Phase::Member(_) | Phase::Closing | Phase::Closed);
        let is_link = matches!(phase, Phase::Member(_));
        let is_closed = matches!(phase, Phase::Closed);
        let client = &mut self.slab[id.0];
        assert!(!client.is_closed(), "a closed connection stays closed");
        self.open_count += usize::from(is_counted(&phase));
        self.open_count -= usize::from(is_counted(&client.phase));
        if is_closed {
            self.closed.push(id);
        }
        let before = mem::replace(&mut client.phase, phase);
        if is_over && client.dialled.is_some() {
            self.dialled.retain(|other| *other != id);
        }
        if !is_link {
            self.end_list(id);
        }
        if is_link || is_closed {
            self.prove(id);
        }
        self.count_unfinished(id);
        before
    }

    /// Everything is written to a connection; it is read to its end, or until `until`.
    pub fn half_close(&mut self, id: ClientId, until: Instant) {
        let phase = &mut self.slab[id.0].phase;
        let before = Box::new(mem::replace(phase, Phase::Closed));
        *phase = Phase::HalfClosed { until, before };
        self.to_shut_down.push_back(id);
    }

    /// The next connection whose sending side is to be shut down, until `None`.
    pub fn pop_shutdown(&mut self) -> Option<&mut S> {
        let id = self.to_shut_down.pop_front()?;
        Some(&mut self[id].stream)
    }

    /// The other end of a half-closed connection is no peer any more: its member was removed, or it is no plain peer.
    pub fn detach(&mut self, id: ClientId) {
        if let Phase::HalfClosed { before, .. } = &mut self.slab[id.0].phase {
            **before = Phase::Closing;
        }
    }

    /// The next connection that is closed, until `None`. From now on its id may be another's.
    pub fn pop_closed(&mut self) -> Option<(ClientId, S)> {
        let id = self.closed.pop()?;
        let client = self.slab.remove(id.0);
        self.to_shut_down.retain(|other| *other != id);
        if client.is_listed {
            // It was closed after the last flush.
            self.behind.retain(|behind| *behind != id);
        }
        Some((id, client.stream))
    }

    /// Adds a connection to those that the next flush visits.
    pub fn list(&mut self, id: ClientId) {
        if !mem::replace(&mut self.slab[id.0].is_listed, true) {
            self.behind.push(id);
        }
    }

    /// Queues a frame for one connection.
    pub fn push(&mut self, id: ClientId, code: Code, body: &[u8], log: &Log, default_framing: Framing) {
        self.slab[id.0].push(code, body, log, default_framing);
        self.list(id);
    }

    /// Queues a peer frame for one connection.
    pub fn push_frame(&mut self, id: ClientId, frame: &PeerFrame, log: &Log, default_framing: Framing) {
        self.push(id, Code::Peer, frame.body().as_bytes(), log, default_framing);
    }

    /// The connections that a flush has to visit: all, when the log has grown.
    pub fn begin_flush(&mut self, log: &Log) -> Vec<ClientId> {
        if log.end() == self.flushed {
            return mem::take(&mut self.behind);
        }
        self.flushed = log.end();
        // Those that wait already come first.
        let mut all = mem::take(&mut self.behind);
        for (slot, client) in &mut self.slab {
            if !mem::replace(&mut client.is_listed, true) {
                all.push(ClientId(slot));
            }
        }
        all
    }

    /// Keeps those of the visited connections that still have bytes to be written, behind those that the flush did not
    /// reach.
    pub fn end_flush(&mut self, mut visited: Vec<ClientId>, unvisited: Vec<ClientId>, log: &Log) {
        visited.retain(|id| {
            let client = &mut self.slab[id.0];
            client.is_listed = client.is_behind(log);
            client.is_listed
        });
        // The visits may have listed others.
        let listed = mem::replace(&mut self.behind, unvisited);
        self.behind.extend(visited.into_iter().chain(listed));
    }
}

impl<S> Index<ClientId> for Clients<S> {
    type Output = Client<S>;

    fn index(&self, id: ClientId) -> &Client<S> {
        &self.slab[id.0]
    }
}

impl<S> IndexMut<ClientId> for Clients<S> {
    fn index_mut(&mut self, id: ClientId) -> &mut Client<S> {
        &mut self.slab[id.0]
    }
}
