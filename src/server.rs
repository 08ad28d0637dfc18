//! The listener: the only place that accepts connections.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::error::{Error, reason};
use crate::limits::{ACCEPT_RETRY, BACKLOG, CROWD_INTERVAL};

/// The listening socket. It accepts connections while there are descriptors.
///
/// One descriptor is kept in reserve. When all others are in use, the reserve is closed to accept one more
/// connection, and accepting pauses until the reserve can be opened again; further connections wait in the
/// kernel's queue. So that it can be opened, the caller closes a connection where
/// [`needs_room`](Self::needs_room). Without the reserve, an edge-triggered poll would never report connections that were
/// already waiting.
///
/// Invariant: the reserve is open unless the server is starved or stopped.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    state: State,
    reserve: Option<File>,
    /// The reserve could not be opened for the connection that was accepted before, so one has to be closed.
    needs_room: bool,
    /// When a connection last had to wait.
    crowded_at: Option<Instant>,
    complaint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The queue is empty; the poll reports new connections.
    Idle,
    /// Connections may be waiting.
    Ready,
    /// Out of descriptors; the next attempt is at `retry_at`.
    Starved { retry_at: Instant },
    /// No connections are accepted any more.
    Stopped,
}

impl Server {
    /// Listens on `port` of `bind`, or of all addresses; IPv6 and IPv4 on one socket where the
    /// system has both.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when the port or address cannot be used, [`Error::Failure`] when the
    /// system cannot give a socket.
    pub fn listen(bind: Option<IpAddr>, port: u16) -> Result<Self, Error> {
        let listener = match bind {
            Some(address) => listen_on((address, port).into(), true),
            None => {
                listen_on((Ipv6Addr::UNSPECIFIED, port).into(), false).or_else(|error| match error.kind() {
                    ErrorKind::AddrInUse | ErrorKind::PermissionDenied => Err(error),
                    // This system has no IPv6.
                    _ => listen_on((Ipv4Addr::UNSPECIFIED, port).into(), false),
                })
            }
        };
        let listener = listener.map_err(|error| explain(&error, bind, port))?;
        let failed = |error| Error::Failure(format!("cannot listen: {}", reason(&error)));
        let address = listener.local_addr().map_err(failed)?;
        let reserve = Some(open_reserve().map_err(failed)?);
        Ok(Self {
            listener,
            address,
            state: State::Ready,
            reserve,
            needs_room: false,
            crowded_at: None,
            complaint: None,
        })
    }

    /// The address of the listening socket, with the actual port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address at which others reach the listener: its own address, or the source address of the default
    /// route if it listens on all addresses. `None` if there is no such route.
    #[must_use]
    pub fn reachable_ip(&self) -> Option<IpAddr> {
        match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => source_ip(SOMEWHERE_IPV4),
            IpAddr::V6(ip) if ip.is_unspecified() => {
                let takes_ipv4 = SockRef::from(&self.listener).only_v6().is_ok_and(|only_v6| !only_v6);
                let ip = if takes_ipv4 { source_ip(SOMEWHERE_IPV4) } else { None };
                ip.or_else(|| source_ip(SOMEWHERE_IPV6))
            }
            ip => Some(ip),
        }
    }

    /// Registers the socket with the poll.
    ///
    /// # Errors
    ///
    /// The error of the system call that failed.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.listener.register(registry, token, Interest::READABLE)
    }

    /// Handles a poll event of the socket.
    pub fn handle_event(&mut self) {
        if self.state == State::Idle {
            self.state = State::Ready;
        }
    }

    /// Stops accepting connections.
    pub fn stop(&mut self) {
        self.state = State::Stopped;
        self.needs_room = false;
    }

    /// Ends a starvation whose deadline has passed, if a descriptor is free again.
    pub fn handle_time(&mut self, now: Instant) {
        if self.deadline().is_some_and(|retry_at| now >= retry_at) {
            self.renew_reserve(State::Ready, now + ACCEPT_RETRY, now);
        }
    }

    /// Whether a connection has to be closed before another one can be accepted. If the caller closes one, it calls
    /// [`handle_room`](Self::handle_room).
    #[must_use]
    pub fn needs_room(&self) -> bool {
        self.needs_room
    }

    /// A connection is closed before the next turn.
    pub fn handle_room(&mut self, now: Instant) {
        self.needs_room = false;
        if let State::Starved { retry_at } = &mut self.state {
            *retry_at = now;
        }
    }

    /// Gives up the reserve for a connection that is dialled, if there is no other descriptor. Returns whether there
    /// was a reserve.
    pub fn lend_reserve(&mut self, error: &io::Error, now: Instant) -> bool {
        let may_lend = is_out_of_descriptors(error) && self.reserve.take().is_some();
        if may_lend && self.state != State::Stopped {
            self.starve(error, now, now);
        }
        may_lend
    }

    /// Accepts the next connection, if the server is [ready](Self::is_ready). `None` if none was waiting, or if
    /// it failed before it was accepted.
    pub fn accept(&mut self, now: Instant) -> Option<(TcpStream, SocketAddr)> {
        let error = match self.listener.accept() {
            Ok(connection) => return Some(connection),
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::WouldBlock => self.state = State::Idle,
            kind if is_of_the_connection(kind) => (),
            // Descriptors or memory are used up, of this process or of the system.
            _ => return self.accept_with_the_reserve(now),
        }
        None
    }

    /// Whether [`accept`](Self::accept) may return a connection.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// When [`handle_time`](Self::handle_time) is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if let State::Starved { retry_at } = self.state { Some(retry_at) } else { None }
    }

    /// Why connections have to wait, reported once until none had to for [`CROWD_INTERVAL`].
    pub fn poll_complaint(&mut self) -> Option<String> {
        self.complaint.take()
    }

    fn accept_with_the_reserve(&mut self, now: Instant) -> Option<(TcpStream, SocketAddr)> {
        self.reserve = None;
        match self.listener.accept() {
            Ok(connection) => {
                // The next turn may read its first bytes, before another connection is closed.
                self.renew_reserve(State::Ready, now, now);
                Some(connection)
            }
            // The queue is empty, so no connection has to wait.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.renew_reserve(State::Idle, now + ACCEPT_RETRY, now);
                None
            }
            Err(error) => {
                self.starve(&error, now + ACCEPT_RETRY, now);
                None
            }
        }
    }

    /// Opens the reserve and enters `state`, or starves until `retry_at`.
    fn renew_reserve(&mut self, state: State, retry_at: Instant, now: Instant) {
        self.needs_room = false;
        match open_reserve() {
            Ok(reserve) => {
                self.reserve = Some(reserve);
                self.state = state;
            }
            Err(error) => {
                // Not before what was accepted last had a turn to be read.
                self.needs_room = retry_at > now && is_out_of_descriptors(&error);
                self.starve(&error, retry_at, now);
            }
        }
    }

    fn starve(&mut self, error: &io::Error, retry_at: Instant, now: Instant) {
        if self.crowded_at.replace(now).is_none_or(|at| now >= at + CROWD_INTERVAL) {
            self.complaint = Some(reason(error));
        }
        self.state = State::Starved { retry_at };
    }
}

/// The canonical form of an address: an IPv4-mapped IPv6 address becomes IPv4.
#[must_use]
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => SocketAddr::new(ip.to_canonical(), address.port()),
        _ => address,
    }
}

/// Documentation addresses, which no network uses (RFC 5737, RFC 3849), with the discard port.
const SOMEWHERE_IPV4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), 9);
const SOMEWHERE_IPV6: SocketAddr =
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 9);

/// The source address of packets to `address`. Nothing is sent: connecting a UDP socket only makes the system
/// choose a route (udp(7)).
fn source_ip(address: SocketAddr) -> Option<IpAddr> {
    let all: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((all, 0)).ok()?;
    socket.connect(address).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    Some(ip).filter(|ip| !ip.is_unspecified() && !ip.is_loopback())
}

fn listen_on(address: SocketAddr, only_this_family: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_this_family)?;
    }
    // Connections of an earlier run in TIME_WAIT do not block the port.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Opens the reserve: any file, which is never read.
fn open_reserve() -> io::Result<File> {
    File::open("/dev/null")
}

/// Whether this process has as many descriptors as it may have.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error())
}

/// Whether an error concerns only the connection being accepted. Linux reports pending network errors of a new
/// connection as errors of accept(2).
fn is_of_the_connection(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Interrupted
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::TimedOut
            | ErrorKind::NetworkDown
            | ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
    )
}

fn explain(error: &io::Error, bind: Option<IpAddr>, port: u16) -> Error {
    let why = reason(error);
    let place = bind.map_or(String::new(), |address| format!(" of {address}"));
    match (error.kind(), bind) {
        (ErrorKind::AddrInUse, _) => Error::Argument(format!(
            "cannot listen on port {port}{place}: {why}; choose another port, or 0 for a free one"
        )),
        (ErrorKind::PermissionDenied, _) => Error::Argument(format!(
            "cannot listen on port {port}{place}: {why}; ports below 1024 are the system's, choose a higher one"
        )),
        (ErrorKind::AddrNotAvailable, Some(address)) => Error::Argument(format!(
            "cannot listen on '{address}' for '--bind <ADDRESS>': it is no address of this machine; without \
             --bind, all are listened on"
        )),
        (_, Some(address)) => {
            Error::Argument(format!("cannot listen on '{address}' for '--bind <ADDRESS>': {why}"))
        }
        (_, None) => Error::Failure(format!("cannot listen on port {port}: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_shown_once_that_there_is_no_room_until_there_was_for_a_while() {
        let mut server = Server::listen(Some(Ipv4Addr::LOCALHOST.into()), 0).expect("a port");
        let error = io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        let (start, half) = (Instant::now(), CROWD_INTERVAL / 2);
        let mut is_shown = |at| {
            server.starve(&error, at, at);
            server.poll_complaint().is_some()
        };
        assert!(is_shown(start));
        assert!((1..=20).all(|count| !is_shown(start + half * count)));
        assert!(is_shown(start + half * 20 + CROWD_INTERVAL));
    }

    #[test]
    fn others_reach_us_where_we_listen_or_at_an_address_of_this_machine() {
        let ip = |bind: Option<IpAddr>| Server::listen(bind, 0).expect("a port").reachable_ip();
        let loopback = Ipv4Addr::LOCALHOST.into();
        assert_eq!(ip(Some(loopback)), Some(loopback));
        let all = [None, Some(Ipv4Addr::UNSPECIFIED.into()), Some(Ipv6Addr::UNSPECIFIED.into())];
        for (bind, may_be_ipv4) in all.into_iter().zip([true, true, false]) {
            // A machine may have no network, or no IPv6.
            let Ok(server) = Server::listen(bind, 0) else { continue };
            if let Some(ip) = server.reachable_ip() {
                assert!(!ip.is_loopback() && !ip.is_unspecified(), "{ip}");
                assert!(may_be_ipv4 || ip.is_ipv6(), "{ip}");
                UdpSocket::bind((ip, 0)).expect("an address of this machine");
            }
        }
    }
}
