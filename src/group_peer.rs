//! `GroupPeer`: a [`Server`] and the group's clients. The only place that reads or writes a peer's
//! stream.
//!
//! What the poll says is only remembered here; accepting, reading and writing are steps of their own
//! in the turn. Nobody is written to from inside a read.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::mem;
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr};
use std::rc::Rc;
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
use crate::protocol::roster::{Connecting, Disconnecting, NotFound, NotPrivate, Participant};
use crate::protocol::{Attempt, ClientId, Group, Label, MemberId, Notice, Peer, Setup, Who};
use crate::server::{Server, canonical};

/// One participant: it listens, and it talks to everybody it is connected with.
///
/// Invariant: `readable` holds exactly the clients whose stream is marked readable, each once.
#[derive(Debug)]
pub struct GroupPeer {
    server: Server,
    group: Group<Stream>,
    readable: VecDeque<ClientId>,
    /// Somebody would have taken more, but for the budget of a turn.
    has_more_to_write: bool,
    /// Our address as the first who was connected knows it.
    own_ip: Option<IpAddr>,
    scratch: Box<[u8]>,
}

/// A peer's stream, and what an edge-triggered poll, which says it once, has said of it.
#[derive(Debug)]
struct Stream {
    tcp: TcpStream,
    is_readable: bool,
    is_writable: bool,
    /// Writing failed, and why.
    failure: Option<String>,
}

impl GroupPeer {
    /// A participant that listens on `server`.
    #[must_use]
    pub fn new(server: Server, setup: Setup, now: Instant) -> Self {
        let group = Group::new(setup, now, fastrand::Rng::new(), secret());
        let scratch = vec![0; READ_TURN_BYTES].into_boxed_slice();
        Self { server, group, readable: VecDeque::new(), has_more_to_write: false, own_ip: None, scratch }
    }

    /// Somebody dialled.
    pub fn handle_server_event(&mut self) {
        self.server.handle_event();
    }

    /// Something happened to the client that was registered under `event`'s token.
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

    /// Accepts, dials, and ends what has had its time.
    pub fn handle_time(&mut self, now: Instant, registry: &Registry) {
        self.server.handle_time(now);
        self.group.handle_time(now);
        // Where every attempt fails at once, the rest have to wait for the next turn.
        for _ in 0..DIALS_MAX {
            let Some(attempt) = self.group.poll_dial(now) else { break };
            if let Err(error) = self.dial(attempt, now, registry) {
                self.group.handle_dial_failed(attempt.dial, reason(&error), now);
            }
        }
    }

    /// Accepts who is waiting, up to a turn's budget.
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

    /// How many clients have something to read.
    #[must_use]
    pub fn readable_count(&self) -> usize {
        self.readable.len()
    }

    /// Reads from the client that has waited longest, up to a turn's budget.
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
        // There may be more, and the poll will not say so again.
        if let Some(stream) = self.group.stream_mut(id) {
            stream.is_readable = true;
            self.readable.push_back(id);
        }
    }

    /// The same, but what is read is discarded, then and later.
    pub fn discard_next(&mut self, now: Instant) {
        if let Some(&id) = self.readable.front() {
            self.group.mute(id);
        }
        self.read_next(now);
    }

    /// Says `text` to everybody.
    pub fn broadcast(&mut self, text: &str, at: DateTime<FixedOffset>) {
        self.group.say(text, at);
    }

    /// Says goodbye behind everything already said, and dials and accepts nobody any more.
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

    /// Where others reach us, as far as is known.
    fn own_address(&self) -> SocketAddr {
        let mut address = canonical(self.server.address());
        if address.ip().is_unspecified() {
            address.set_ip(self.own_ip.unwrap_or(Ipv6Addr::LOCALHOST.into()));
        }
        address
    }

    /// Writes to everybody what they have not taken.
    pub fn flush(&mut self, now: Instant) {
        let readable = &mut self.readable;
        self.has_more_to_write = self.group.flush(now, |id, stream, bytes, probe| {
            if !stream.is_writable && !probe {
                return 0;
            }
            write(stream, bytes).unwrap_or_else(|error| {
                // What was said before is still there to be read, and then the end.
                stream.is_writable = false;
                stream.failure = Some(reason(&error));
                if !mem::replace(&mut stream.is_readable, true) {
                    readable.push_back(id);
                }
                0
            })
        });
        while let Some(stream) = self.group.poll_shutdown() {
            // A connection that is gone already needs no shutdown.
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

    /// The next thing to tell the user, until `None`.
    pub fn poll_event(&mut self) -> Option<Notice> {
        let complaint = self.server.poll_complaint().map(Notice::CannotAccept);
        complaint.or_else(|| self.group.poll_output())
    }

    /// Whether there is something to write that no event will tell of.
    #[must_use]
    pub fn has_more_to_write(&self) -> bool {
        self.has_more_to_write
    }

    /// Whether there is somebody to accept or something to read that no event will tell of.
    #[must_use]
    pub fn has_more_to_read(&self) -> bool {
        self.server.is_ready() || !self.readable.is_empty()
    }

    /// How far the user has gone, as a position in the log.
    #[must_use]
    pub fn log_end(&self) -> u64 {
        self.group.said()
    }

    /// How far the user may go on talking, as a position in the log.
    #[must_use]
    pub fn send_limit(&self, now: Instant) -> u64 {
        self.group.say_limit(now)
    }

    /// Whether somebody may be reached in a moment, as far as that is waited for after `since`.
    #[must_use]
    pub fn is_reaching_out(&self, now: Instant, since: Instant) -> bool {
        self.group.is_reaching_out(now, since)
    }

    /// The peers that the user named and that were never reached.
    #[must_use]
    pub fn unreached(&self) -> Vec<Rc<str>> {
        self.group.unreached()
    }

    /// Whether the user named peers, and none of them was ever reached.
    #[must_use]
    pub fn has_reached_nobody(&self) -> bool {
        self.group.has_reached_nobody()
    }

    /// Whether a member may still confirm a private message.
    #[must_use]
    pub fn has_private_pending(&self) -> bool {
        self.group.has_private_pending()
    }

    /// Those of whom it is not known that they have all that was sent to them alone.
    #[must_use]
    pub fn private_undelivered(&self) -> Vec<Who> {
        self.group.private_undelivered()
    }

    /// Until when a silent peer is waited for.
    #[must_use]
    pub fn handshake_wait_end(&self, now: Instant) -> Option<Instant> {
        self.group.silence_ends(now)
    }

    /// Whether everything that leaving takes is done.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.group.has_left()
    }

    /// How many bytes of what others said were discarded.
    #[must_use]
    pub fn discarded_bytes(&self) -> usize {
        self.group.discarded_bytes()
    }

    /// How many messages were said, when nobody took any of them.
    #[must_use]
    pub fn unreceived_count(&self) -> Option<u64> {
        self.group.unheard()
    }

    /// When something is to be done without an event.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.server.deadline().into_iter().chain(self.group.deadline()).min()
    }

    /// Says `text` to `who` alone, now or when it is back.
    ///
    /// # Errors
    ///
    /// Why it cannot be said; then nothing of it was.
    pub fn send_private(
        &mut self,
        who: &Who,
        text: &str,
        at: DateTime<FixedOffset>,
    ) -> Result<(), NotPrivate> {
        self.group.whisper(who, text, at)
    }

    /// From now on, we are called `name`.
    pub fn rename(&mut self, name: String) {
        self.group.rename(name);
    }

    /// What the others call us: with a mark where somebody here has our name, or one that looks like it.
    #[must_use]
    pub fn own_label(&self) -> Label {
        self.group.own_label()
    }

    /// Dials one more peer.
    pub fn connect(&mut self, peer: Peer, now: Instant) -> Connecting {
        self.group.connect(peer, now)
    }

    /// Who we are.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.group.id()
    }

    /// The address that is listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Everybody who takes part, or should, by name.
    #[must_use]
    pub fn roster(&self) -> Vec<Participant> {
        self.group.roster()
    }

    /// Who is meant by the name with which `words` begin, and what stands behind it.
    ///
    /// # Errors
    ///
    /// Why nobody is meant.
    pub fn find<'a>(&self, words: &'a str) -> Result<(Who, &'a str), NotFound> {
        self.group.find(words)
    }

    /// Who is meant by `name`, behind which nothing stands.
    ///
    /// # Errors
    ///
    /// Why nobody is meant.
    pub fn find_named(&self, name: &str) -> Result<Who, NotFound> {
        self.group.find_named(name)
    }

    /// Those who are not known to have all that was said.
    #[must_use]
    pub fn recipients_behind(&self) -> Vec<Who> {
        self.group.still_owed()
    }

    /// Begins to connect. Whether it worked, an event will tell.
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

    /// Looks whether the answer is there and what it is. An event is only a hint: a stream that
    /// polls writable may be neither connected nor failed.
    fn finish_dialling(&mut self, id: ClientId, now: Instant) -> bool {
        let Some(stream) = self.group.stream_mut(id) else { return false };
        let error = match (stream.tcp.take_error(), stream.tcp.peer_addr(), stream.tcp.local_addr()) {
            (Ok(Some(error)) | Err(error), _, _) => error,
            (_, Err(error), _) if error.kind() == ErrorKind::NotConnected => return false,
            (_, Err(error), _) | (_, _, Err(error)) => error,
            // The kernel chose the very port that nobody listens on, and it met itself.
            (_, Ok(peer), Ok(local)) if peer == local => ErrorKind::ConnectionRefused.into(),
            _ => {
                self.group.handle_connected(id, now);
                return true;
            }
        };
        self.group.handle_failed(id, reason(&error), now);
        false
    }

    /// What every connection gets: the poll's attention, and options that notice when the other
    /// machine is gone.
    fn set_up(&mut self, id: ClientId, registry: &Registry) -> io::Result<()> {
        let Some(stream) = self.group.stream_mut(id) else { return Ok(()) };
        let local = stream.tcp.local_addr()?;
        stream.tcp.register(registry, Token(id.0), Interest::READABLE | Interest::WRITABLE)?;
        set_options(&stream.tcp)?;
        self.own_ip.get_or_insert(canonical(local).ip());
        Ok(())
    }
}

/// A keyed hash whose keys the system drew at random: nobody else can tell what becomes of a number.
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
                // Taking less means that there is no more room: the poll says when there is.
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
    // A turn writes all there is at once; waiting for more would only add delay.
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
