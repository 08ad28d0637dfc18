//! `GroupPeer`: the listener and the connections of the group. The only place that reads or writes a peer's
//! stream.
//!
//! A poll event only updates the state of a stream; accepting, reading and writing are separate steps of a
//! turn. A read never causes a write directly.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::mem;
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr};
use std::time::Instant;

use chrono::{DateTime, FixedOffset};
use mio::event::{Event, Source as _};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{SockRef, TcpKeepalive};

use crate::error::reason;
use crate::limits::{
    ACCEPT_TURN, DIALS_MAX, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES, READ_TURN_BYTES,
    USER_TIMEOUT,
};
use crate::protocol::roster::{Connecting, Disconnecting, NotFound, NotPrivate, Participant, Unreached};
use crate::protocol::{Attempt, ClientId, Group, Label, MemberId, Notice, Peer, Setup, Who};
use crate::server::{Server, canonical};

/// This peer of the group: its listener, and its connections to the other peers.
///
/// Invariant: `readable` holds exactly the connections whose stream is marked readable, each once.
#[derive(Debug)]
pub struct GroupPeer {
    server: Server,
    group: Group<Stream>,
    readable: VecDeque<ClientId>,
    /// The last flush stopped at the budget of a turn.
    has_more_to_write: bool,
    /// The local address of the first connection.
    own_ip: Option<IpAddr>,
    scratch: Box<[u8]>,
}

/// A peer's stream, and its readiness, which an edge-triggered poll reports only once.
#[derive(Debug)]
struct Stream {
    tcp: TcpStream,
    is_readable: bool,
    is_writable: bool,
    /// The error of a failed write.
    failure: Option<String>,
}

impl GroupPeer {
    /// A peer that listens on `server`.
    #[must_use]
    pub fn new(server: Server, setup: Setup, now: Instant) -> Self {
        let group = Group::new(setup, now, fastrand::Rng::new(), secret());
        let scratch = vec![0; READ_TURN_BYTES].into_boxed_slice();
        Self { server, group, readable: VecDeque::new(), has_more_to_write: false, own_ip: None, scratch }
    }

    /// Handles a poll event of the listener.
    pub fn handle_server_event(&mut self) {
        self.server.handle_event();
    }

    /// Handles a poll event of the connection whose token `event` has.
    pub fn handle_client_event(&mut self, event: &Event, now: Instant) {
        let id = ClientId(event.token().0);
        if self.group.is_dialling(id) && !self.finish_dialling(id, now) {
            return;
        }
        let Some(stream) = self.group.stream_mut(id) else { return };
        stream.is_writable |= event.is_writable();
        let may_read = event.is_readable() || event.is_read_closed() || event.is_error();
        if may_read && !stream.is_readable {
            stream.is_readable = true;
            self.readable.push_back(id);
        }
    }

    /// Handles deadlines that have passed, and starts dials.
    pub fn handle_time(&mut self, now: Instant, registry: &Registry) {
        self.server.handle_time(now);
        self.group.handle_time(now);
        // The number of attempts is bounded, since each may fail at once.
        for _ in 0..DIALS_MAX {
            let Some(attempt) = self.group.poll_dial(now) else { break };
            if let Err(error) = self.dial(attempt, now, registry) {
                self.group.handle_dial_failed(attempt.dial, reason(&error), now);
            }
        }
    }

    /// Accepts waiting connections, up to a turn's budget.
    pub fn accept(&mut self, now: Instant, registry: &Registry) {
        for _ in 0..ACCEPT_TURN {
            if !self.server.is_ready() {
                return;
            }
            // A connection that fails while it is set up is closed by being dropped.
            if let Some((tcp, address)) = self.server.accept(now)
                && let Ok(local) = tcp.local_addr()
            {
                let stream = Stream { tcp, is_readable: false, is_writable: true, failure: None };
                if let Ok(id) = self.group.accept(stream, canonical(address), canonical(local), now)
                    && let Err(error) = self.set_up(id, registry)
                {
                    self.group.handle_failed(id, reason(&error), now);
                }
            }
        }
    }

    /// The number of connections that are readable.
    #[must_use]
    pub fn readable_count(&self) -> usize {
        self.readable.len()
    }

    /// Reads from the connection that has waited longest, up to a turn's budget.
    pub fn read_next(&mut self, now: Instant) {
        let Some(id) = self.readable.pop_front() else { return };
        let mut budget = READ_TURN_BYTES;
        while budget > 0 {
            let Some(stream) = self.group.stream_mut(id) else { return };
            stream.is_readable = false;
            match stream.tcp.read(&mut self.scratch[..budget]) {
                Ok(0) => {
                    return match stream.failure.take() {
                        Some(why) => self.group.handle_failed(id, why, now),
                        None => self.group.handle_closed(id, now),
                    };
                }
                Ok(count) => {
                    budget -= count;
                    self.group.handle_bytes(id, &self.scratch[..count], now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return self.group.handle_failed(id, reason(&error), now),
            }
        }
        // There may be more bytes, which the poll will not report again.
        if let Some(stream) = self.group.stream_mut(id) {
            stream.is_readable = true;
            self.readable.push_back(id);
        }
    }

    /// Reads like [`read_next`](Self::read_next), and discards the bytes; from then on, all further bytes of
    /// this connection are discarded.
    pub fn discard_next(&mut self, now: Instant) {
        if let Some(&id) = self.readable.front() {
            self.group.mute(id);
        }
        self.read_next(now);
    }

    /// Sends `text` to everybody.
    pub fn broadcast(&mut self, text: &str, at: DateTime<FixedOffset>) {
        self.group.say(text, at);
    }

    /// Sends a goodbye after all messages, and stops dialling and accepting.
    pub fn leave(&mut self, now: Instant, at: DateTime<FixedOffset>) {
        self.server.stop();
        self.group.leave(now, at, self.own_address());
    }

    /// Undoes [`connect`](Self::connect) for the peer that the user named `text`, or that is at one of
    /// `addresses`.
    pub fn disconnect(
        &mut self,
        text: &str,
        addresses: &[SocketAddr],
        at: DateTime<FixedOffset>,
    ) -> Disconnecting {
        self.group.disconnect(text, addresses, self.own_address(), at)
    }

    /// The address at which others reach this peer, as far as is known.
    fn own_address(&self) -> SocketAddr {
        let mut address = canonical(self.server.address());
        if address.ip().is_unspecified() {
            address.set_ip(self.own_ip.unwrap_or(Ipv6Addr::LOCALHOST.into()));
        }
        address
    }

    /// Writes pending bytes to all connections, up to a turn's budget.
    pub fn flush(&mut self, now: Instant) {
        let readable = &mut self.readable;
        self.has_more_to_write = self.group.flush(now, |id, stream, bytes, probe| {
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
        while let Some(stream) = self.group.poll_shutdown() {
            // A connection that has failed needs no shutdown.
            let _ = stream.tcp.shutdown(Shutdown::Write);
        }
    }

    /// Closes the connections that ended.
    pub fn reap(&mut self, registry: &Registry) {
        while let Some((id, mut stream)) = self.group.poll_ended() {
            if stream.is_readable {
                self.readable.retain(|&readable| readable != id);
            }
            // What was never registered cannot be deregistered, and closing does the same.
            let _ = stream.tcp.deregister(registry);
        }
    }

    /// The next event to show to the user, until `None`.
    pub fn poll_event(&mut self) -> Option<Notice> {
        let complaint = self.server.poll_complaint().map(Notice::CannotAccept);
        complaint.or_else(|| self.group.poll_output())
    }

    /// Whether there are bytes to write that no event will announce.
    #[must_use]
    pub fn has_more_to_write(&self) -> bool {
        self.has_more_to_write
    }

    /// Whether there are connections to accept or bytes to read that no event will announce.
    #[must_use]
    pub fn has_more_to_read(&self) -> bool {
        self.server.is_ready() || !self.readable.is_empty()
    }

    /// The end of the log, in bytes: the position after the last message of the user.
    #[must_use]
    pub fn log_end(&self) -> u64 {
        self.group.said()
    }

    /// The end of the log up to which further messages may be sent now, in bytes.
    #[must_use]
    pub fn send_limit(&self, now: Instant) -> u64 {
        self.group.say_limit(now)
    }

    /// Whether further peers may soon be connected, for which the caller waits since `since`.
    #[must_use]
    pub fn is_reaching_out(&self, now: Instant, since: Instant) -> bool {
        self.group.is_reaching_out(now, since)
    }

    /// The named peers that were never reached.
    #[must_use]
    pub fn unreached(&self) -> Vec<Unreached> {
        self.group.unreached()
    }

    /// Whether the user named peers, and none of them was ever reached.
    #[must_use]
    pub fn has_reached_nobody(&self) -> bool {
        self.group.has_reached_nobody()
    }

    /// Whether a member was met, or a peer that the user named was connected.
    #[must_use]
    pub fn has_reached_somebody(&self) -> bool {
        self.group.has_reached_somebody()
    }

    /// Whether a member may still confirm a private message.
    #[must_use]
    pub fn has_private_pending(&self) -> bool {
        self.group.has_private_pending()
    }

    /// The recipients of private messages that they have not confirmed.
    #[must_use]
    pub fn private_undelivered(&self) -> Vec<Who> {
        self.group.private_undelivered()
    }

    /// When the wait ends for a handshake of a connection that has received nothing yet.
    #[must_use]
    pub fn handshake_wait_end(&self, now: Instant) -> Option<Instant> {
        self.group.silence_ends(now)
    }

    /// Whether all connections are finished after [`leave`](Self::leave).
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.group.has_left()
    }

    /// The number of received bytes that were discarded.
    #[must_use]
    pub fn discarded_bytes(&self) -> usize {
        self.group.discarded_bytes()
    }

    /// The number of messages sent, if nobody has received any of them.
    #[must_use]
    pub fn unreceived_count(&self) -> Option<u64> {
        self.group.unheard()
    }

    /// When [`handle_time`](Self::handle_time) is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.server.deadline().into_iter().chain(self.group.deadline()).min()
    }

    /// Sends a private message to `who`, now or once it is connected again.
    ///
    /// # Errors
    ///
    /// Why the message cannot be sent; then no part of it was sent.
    pub fn send_private(
        &mut self,
        who: &Who,
        text: &str,
        at: DateTime<FixedOffset>,
    ) -> Result<(), NotPrivate> {
        self.group.whisper(who, text, at)
    }

    /// Changes the user's name.
    pub fn rename(&mut self, name: String) {
        self.group.rename(name);
    }

    /// The user's name as the others see it: with a mark if a present peer has the same name, or one that looks
    /// like it.
    #[must_use]
    pub fn own_label(&self) -> Label {
        self.group.own_label()
    }

    /// Dials one more peer.
    pub fn connect(&mut self, peer: Peer, now: Instant) -> Connecting {
        self.group.connect(peer, now)
    }

    /// The id of this peer.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.group.id()
    }

    /// The address of the listener.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// All peers, connected or not, ordered by name.
    #[must_use]
    pub fn roster(&self) -> Vec<Participant> {
        self.group.roster()
    }

    /// The peer whose name `words` begin with, and the text after the name.
    ///
    /// # Errors
    ///
    /// No peer has this name, or several do.
    pub fn find<'a>(&self, words: &'a str) -> Result<(Who, &'a str), NotFound> {
        self.group.find(words)
    }

    /// The peer called `name`.
    ///
    /// # Errors
    ///
    /// No peer has this name, or several do.
    pub fn find_named(&self, name: &str) -> Result<Who, NotFound> {
        self.group.find_named(name)
    }

    /// Whether a member, or a peer that the user named, is not known to have received all messages.
    #[must_use]
    pub fn awaits_known(&self) -> bool {
        self.group.awaits_known()
    }

    /// The peers that are not known to have received all messages.
    #[must_use]
    pub fn recipients_behind(&self) -> Vec<Who> {
        self.group.still_owed()
    }

    /// Starts to connect. A poll event reports the result.
    fn dial(&mut self, attempt: Attempt, now: Instant, registry: &Registry) -> io::Result<()> {
        let tcp = TcpStream::connect(attempt.address)?;
        let local = tcp.local_addr()?;
        let stream = Stream { tcp, is_readable: false, is_writable: false, failure: None };
        let id = self.group.handle_dialling(attempt, stream, canonical(local), now);
        if let Err(error) = self.set_up(id, registry) {
            self.group.handle_failed(id, reason(&error), now);
        }
        Ok(())
    }

    /// Checks the result of a connect. Returns whether the stream is connected. An event is only a hint: a stream
    /// that polls writable may be neither connected nor failed.
    fn finish_dialling(&mut self, id: ClientId, now: Instant) -> bool {
        let Some(stream) = self.group.stream_mut(id) else { return false };
        let error = match (stream.tcp.take_error(), stream.tcp.peer_addr(), stream.tcp.local_addr()) {
            (Ok(Some(error)) | Err(error), _, _) => error,
            (_, Err(error), _) if error.kind() == ErrorKind::NotConnected => return false,
            (_, Err(error), _) | (_, _, Err(error)) => error,
            // The kernel chose the target port as the local port, and the socket connected to itself.
            (_, Ok(peer), Ok(local)) if peer == local => ErrorKind::ConnectionRefused.into(),
            _ => {
                self.group.handle_connected(id, now);
                return true;
            }
        };
        self.group.handle_failed(id, reason(&error), now);
        false
    }

    /// Registers a connection with the poll, and sets socket options that detect an unreachable peer.
    fn set_up(&mut self, id: ClientId, registry: &Registry) -> io::Result<()> {
        let Some(stream) = self.group.stream_mut(id) else { return Ok(()) };
        let local = stream.tcp.local_addr()?;
        stream.tcp.register(registry, Token(id.0), Interest::READABLE | Interest::WRITABLE)?;
        set_options(&stream.tcp)?;
        self.own_ip.get_or_insert(canonical(local).ip());
        Ok(())
    }
}

/// A keyed hash with random keys, whose values nobody else can predict.
fn secret() -> Box<dyn Fn(u128) -> u128> {
    let halves = [RandomState::new(), RandomState::new()];
    Box::new(move |number| {
        let [high, low] = [0, 1].map(|half: usize| u128::from(halves[half].hash_one((number, half))));
        high << 64 | low
    })
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

    use super::*;
    use crate::limits::STALL;

    /// A machine that vanishes cannot be had in a test; what the kernel was told can.
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
        assert!(time + interval * retries < STALL * 2 + KEEPALIVE_INTERVAL);
        assert!(socket.keepalive().expect("set") && socket.tcp_nodelay().expect("set"));
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().expect("set"), Some(USER_TIMEOUT));
    }
}
