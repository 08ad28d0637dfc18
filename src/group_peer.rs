//! `GroupPeer`: the listener and the transport of the connections. The only place that reads or writes a peer's
//! stream.
//!
//! A poll event only updates the state of a stream; accepting, reading and writing are separate steps of a
//! turn. A read never causes a write directly.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::mem;
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr};
use std::time::Instant;

use mio::event::{Event, Source as _};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{SockRef, TcpKeepalive};

use crate::error::reason;
use crate::limits::{
    ACCEPT_TURN, DIALS_MAX, HANDSHAKE_STEP_BYTES, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES,
    READ_CALL_BYTES, READ_SHARE_BYTES, READ_TURN_BYTES, USER_TIMEOUT,
};
use crate::protocol::{Attempt, ClientId, Group};
use crate::server::{Server, canonical};

/// The sockets of this peer: its listener, and the transport of bytes between its connections and the group.
///
/// The group owns the streams, and the caller owns the group: every call takes the same one. A turn calls
/// [`handle_client_event`](Self::handle_client_event) for each poll event, then [`dial`](Self::dial),
/// [`accept`](Self::accept), [`begin_reading`](Self::begin_reading), [`read_next`](Self::read_next) while it
/// [may](Self::may_read), [`make_room`](Self::make_room), [`flush`](Self::flush) and [`reap`](Self::reap).
///
/// Invariant: `readable` holds exactly the connections whose stream is marked readable, each once.
#[derive(Debug)]
pub struct GroupPeer {
    /// The listener.
    pub server: Server,
    readable: VecDeque<ClientId>,
    /// How many bytes may still be read in this turn.
    read_budget: usize,
    /// The last flush stopped at the budget of a turn.
    has_more_to_write: bool,
    /// The local address of the first connection.
    own_ip: Option<IpAddr>,
    scratch: Box<[u8]>,
}

/// A peer's stream, and its readiness, which an edge-triggered poll reports only once.
#[derive(Debug)]
pub struct Stream {
    tcp: TcpStream,
    is_readable: bool,
    is_writable: bool,
    /// The error of a failed write.
    failure: Option<String>,
}

impl GroupPeer {
    /// A peer that listens on `server` and has no connections.
    #[must_use]
    pub fn new(server: Server) -> Self {
        let scratch = vec![0; READ_SHARE_BYTES].into_boxed_slice();
        Self {
            server,
            readable: VecDeque::new(),
            read_budget: 0,
            has_more_to_write: false,
            own_ip: None,
            scratch,
        }
    }

    /// Handles a poll event of the connection whose token `event` has.
    pub fn handle_client_event(&mut self, group: &mut Group<Stream>, event: &Event, now: Instant) {
        let id = ClientId(event.token().0);
        if group.is_dialing(id) && !finish_dialling(group, id, now) {
            return;
        }
        let Some(stream) = group.stream_mut(id) else { return };
        stream.is_writable |= event.is_writable();
        let may_read = event.is_readable() || event.is_read_closed() || event.is_error();
        if may_read && !stream.is_readable {
            stream.is_readable = true;
            self.readable.push_back(id);
        }
    }

    /// Starts the dials that are due. A poll event reports the result of each.
    pub fn dial(&mut self, group: &mut Group<Stream>, now: Instant, registry: &Registry) {
        // The number of attempts is bounded, since each may fail at once.
        for _ in 0..DIALS_MAX {
            let Some(attempt) = group.poll_dial(now) else { break };
            let started = start_dialling(&attempt).or_else(|error| {
                if self.server.lend_reserve(&error, now) { start_dialling(&attempt) } else { Err(error) }
            });
            match started {
                Ok((stream, local)) => {
                    let id = group.handle_dialing(attempt, stream, local, now);
                    self.set_up(group, id, local.ip(), now, registry);
                }
                Err(error) => group.handle_dial_failed(attempt, reason(&error), now),
            }
        }
    }

    /// Accepts waiting connections, up to a turn's budget.
    pub fn accept(&mut self, group: &mut Group<Stream>, now: Instant, registry: &Registry) {
        for _ in 0..ACCEPT_TURN {
            if !self.server.is_ready() {
                return;
            }
            // A connection that fails while it is set up is closed by being dropped.
            if let Some((tcp, address)) = self.server.accept(now)
                && let Ok(local) = tcp.local_addr().map(canonical)
            {
                let stream = Stream { tcp, is_readable: false, is_writable: true, failure: None };
                if let Ok(id) = group.handle_accepted(stream, canonical(address), local, now) {
                    self.set_up(group, id, local.ip(), now, registry);
                }
            }
        }
    }

    /// Registers a connection with the poll, and sets socket options that detect an unreachable peer. A failure
    /// ends the connection.
    fn set_up(
        &mut self,
        group: &mut Group<Stream>,
        id: ClientId,
        local_ip: IpAddr,
        now: Instant,
        registry: &Registry,
    ) {
        let Some(Stream { tcp, .. }) = group.stream_mut(id) else { return };
        let interests = Interest::READABLE | Interest::WRITABLE;
        match tcp.register(registry, Token(id.0), interests).and_then(|()| set_options(tcp)) {
            Ok(()) => _ = self.own_ip.get_or_insert(local_ip),
            Err(error) => group.handle_failed(id, reason(&error), now),
        }
    }

    /// The address at which others reach this peer, as far as is known.
    #[must_use]
    pub fn own_address(&self) -> SocketAddr {
        let mut address = canonical(self.server.address());
        if address.ip().is_unspecified() {
            address.set_ip(self.own_ip.unwrap_or(Ipv6Addr::LOCALHOST.into()));
        }
        address
    }

    /// The number of connections that are readable.
    #[must_use]
    pub fn readable_count(&self) -> usize {
        self.readable.len()
    }

    /// Whether there are connections to accept or bytes to read that no event will announce.
    #[must_use]
    pub fn has_more_to_read(&self) -> bool {
        self.server.is_ready() || !self.readable.is_empty()
    }

    /// Whether there are bytes to write that no event will announce.
    #[must_use]
    pub fn has_more_to_write(&self) -> bool {
        self.has_more_to_write
    }

    /// Begins the reading of a turn: from now on [`READ_TURN_BYTES`] may be read.
    pub fn begin_reading(&mut self) {
        self.read_budget = READ_TURN_BYTES;
    }

    /// Whether a connection is readable, and the budget of this turn is not used up.
    #[must_use]
    pub fn may_read(&self) -> bool {
        self.read_budget > 0 && !self.readable.is_empty()
    }

    /// Reads from the connection that has waited longest, at most [`READ_SHARE_BYTES`].
    pub fn read_next(&mut self, group: &mut Group<Stream>, now: Instant) {
        let Some(id) = self.readable.pop_front() else { return };
        let mut share = READ_SHARE_BYTES.min(self.read_budget);
        while share > 0 {
            let Some(stream) = group.stream_mut(id) else { return };
            stream.is_readable = false;
            self.read_budget = self.read_budget.saturating_sub(READ_CALL_BYTES);
            match stream.tcp.read(&mut self.scratch[..share]) {
                Ok(0) => {
                    return match stream.failure.take() {
                        Some(why) => group.handle_failed(id, why, now),
                        None => group.handle_closed(id, now),
                    };
                }
                Ok(count) => {
                    share -= count;
                    self.read_budget = self.read_budget.saturating_sub(count.saturating_sub(READ_CALL_BYTES));
                    group.handle_bytes(id, &self.scratch[..count], now);
                    let steps = group.take_handshake_steps();
                    self.read_budget = self.read_budget.saturating_sub(steps * HANDSHAKE_STEP_BYTES);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return group.handle_failed(id, reason(&error), now),
            }
        }
        // There may be more bytes, which the poll will not report again.
        if let Some(stream) = group.stream_mut(id) {
            stream.is_readable = true;
            self.readable.push_back(id);
        }
    }

    /// Reads like [`read_next`](Self::read_next), and discards the bytes; from then on, all further bytes of
    /// this connection are discarded.
    pub fn discard_next(&mut self, group: &mut Group<Stream>, now: Instant) {
        if let Some(&id) = self.readable.front() {
            group.mute(id);
        }
        self.read_next(group, now);
    }

    /// Writes pending bytes to all connections, up to a turn's budget.
    pub fn flush(&mut self, group: &mut Group<Stream>, now: Instant) {
        let readable = &mut self.readable;
        self.has_more_to_write = group.flush(now, |id, stream, bytes, probe| {
            if !stream.is_writable && !probe {
                return 0;
            }
            write(stream, bytes).unwrap_or_else(|error| {
                // Bytes that the peer sent before are still to be read; the error is reported after them.
                stream.is_writable = false;
                stream.failure = Some(reason(&error));
                if !mem::replace(&mut stream.is_readable, true) {
                    readable.push_back(id);
                }
                0
            })
        });
        while let Some(stream) = group.poll_shutdown() {
            // A connection that has failed needs no shutdown.
            let _ = stream.tcp.shutdown(Shutdown::Write);
        }
    }

    /// Lets the group close a connection, if there is no descriptor for another one. To be called behind the reading of a
    /// turn: a peer that has sent a message by then is not closed.
    pub fn make_room(&mut self, group: &mut Group<Stream>, now: Instant) {
        if self.server.needs_room() && group.make_room(now) {
            self.server.handle_room(now);
        }
    }

    /// Closes the connections that ended.
    pub fn reap(&mut self, group: &mut Group<Stream>, registry: &Registry) {
        while let Some((id, mut stream)) = group.poll_closed() {
            if stream.is_readable {
                self.readable.retain(|&readable| readable != id);
            }
            // What was never registered cannot be deregistered, and closing does the same.
            let _ = stream.tcp.deregister(registry);
        }
    }
}

/// Starts to connect. Returns the stream and its local address.
fn start_dialling(attempt: &Attempt) -> io::Result<(Stream, SocketAddr)> {
    let tcp = TcpStream::connect(attempt.address)?;
    let local = canonical(tcp.local_addr()?);
    Ok((Stream { tcp, is_readable: false, is_writable: false, failure: None }, local))
}

/// Checks the result of a connect. Returns whether the stream is connected. An event is only a hint: a stream
/// that polls writable may be neither connected nor failed.
fn finish_dialling(group: &mut Group<Stream>, id: ClientId, now: Instant) -> bool {
    let Some(stream) = group.stream_mut(id) else { return false };
    let error = match (stream.tcp.take_error(), stream.tcp.peer_addr(), stream.tcp.local_addr()) {
        (Ok(Some(error)) | Err(error), _, _) => error,
        (_, Err(error), _) if error.kind() == ErrorKind::NotConnected => return false,
        (_, Err(error), _) | (_, _, Err(error)) => error,
        // The kernel chose the target port as the local port, and the socket connected to itself.
        (_, Ok(peer), Ok(local)) if peer == local => ErrorKind::ConnectionRefused.into(),
        _ => {
            group.handle_connected(id, now);
            return true;
        }
    };
    group.handle_failed(id, reason(&error), now);
    false
}

fn write(stream: &mut Stream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        return match stream.tcp.write(bytes) {
            Ok(count) => {
                // A short write means that the buffer is full; the poll reports when it has room again.
                stream.is_writable = count == bytes.len();
                Ok(count)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                stream.is_writable = false;
                Ok(0)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
    }
}

fn set_options(tcp: &TcpStream) -> io::Result<()> {
    // A turn writes all pending bytes at once, so Nagle's algorithm would only add delay.
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive.with_retries(KEEPALIVE_PROBES))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use std::collections::BTreeSet;
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;
    use crate::limits::WRITE_STALL_TIMEOUT;
    use crate::protocol::{Access, Event as GroupEvent, Setup};

    /// Between two looks at the terminal and the signals, all connections together are read for one budget, and each of
    /// them is read before another one is read again.
    #[test]
    fn a_turn_reads_one_budget_from_all_connections_together() {
        const SENDERS: usize = 64;
        const FRAME_BYTES: usize = 16;
        const SENT_BYTES: usize = 16 << 10;
        let (now, mut poll) = (Instant::now(), Poll::new().expect("a poll"));
        let mut server = Server::listen(Some(Ipv4Addr::LOCALHOST.into()), 0).expect("a port");
        server.register(poll.registry(), Token(usize::MAX)).expect("a poll");
        let senders = (0..SENDERS).map(|number| {
            let mut sender = std::net::TcpStream::connect(server.address()).expect("a listener");
            let frame = format!("{number:07}<MSGENCD>");
            assert_eq!(frame.len(), FRAME_BYTES);
            sender.write_all(frame.repeat(SENT_BYTES / FRAME_BYTES).as_bytes()).expect("room");
            sender
        });
        let senders: Vec<_> = senders.collect();
        let name = "alice".to_owned();
        let setup = Setup {
            name,
            port: 1,
            framing: None,
            is_plain: false,
            history: 0,
            peers: Vec::new(),
            access: Access::Open,
        };
        let mut group = Group::new(setup, now, Box::new(|bytes| bytes.fill(1)));
        let mut peer = GroupPeer::new(server);
        (0..SENDERS.div_ceil(ACCEPT_TURN)).for_each(|_| peer.accept(&mut group, now, poll.registry()));
        let (mut events, mut received, mut turns, mut bytes) =
            (Events::with_capacity(1024), BTreeSet::new(), 0, 0);
        while bytes < SENDERS * SENT_BYTES {
            poll.poll(&mut events, Some(Duration::ZERO)).expect("events");
            events.iter().for_each(|event| peer.handle_client_event(&mut group, event, now));
            peer.begin_reading();
            while peer.may_read() {
                peer.read_next(&mut group, now);
            }
            let texts = std::iter::from_fn(|| group.poll_event()).filter_map(|event| match event {
                GroupEvent::Message { text, .. } => Some(text),
                _ => None,
            });
            let texts: Vec<_> = texts.collect();
            assert!(
                texts.len() * FRAME_BYTES <= READ_TURN_BYTES,
                "{} bytes in a turn",
                texts.len() * FRAME_BYTES
            );
            bytes += texts.len() * FRAME_BYTES;
            received.extend(texts);
            turns += 1;
            let least = (turns * READ_TURN_BYTES / READ_SHARE_BYTES).min(SENDERS);
            assert!(received.len() >= least, "{} of {least} after {turns} turns", received.len());
        }
        drop(senders);
    }

    /// A machine that vanishes cannot be had in a test; the options of its sockets can be read.
    #[test]
    fn every_connection_notices_within_35_s_that_the_other_machine_vanished() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let tcp = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
        set_options(&tcp).expect("options");
        let socket = SockRef::from(&tcp);
        let (time, interval, retries) = (
            socket.tcp_keepalive_time().expect("set"),
            socket.tcp_keepalive_interval().expect("set"),
            socket.tcp_keepalive_retries().expect("set"),
        );
        assert!(time + interval * retries < WRITE_STALL_TIMEOUT * 2 + KEEPALIVE_INTERVAL);
        assert!(socket.keepalive().expect("set") && socket.tcp_nodelay().expect("set"));
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().expect("set"), Some(USER_TIMEOUT));
    }
}
