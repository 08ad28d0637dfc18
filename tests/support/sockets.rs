//! The other ends of connections in a test: the frames of a plain client, ports without a listener, and a
//! peer with lab framing.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Socket, Type};

use super::{DEADLINE, Peer, socket_to};

/// What ends a message.
pub const MESSAGE: &str = "<MSGENCD>";

/// What ends a goodbye in text framing.
pub const EXIT: &str = "<EXITENCD>";

/// What ends a peer frame, which members send each other beside messages.
pub const PEER: &str = "<PEERENCD>";

/// A message of `name` in text framing.
pub fn message(name: &str, text: &str) -> String {
    format!("[2026-11-22T06:55:22.756724+00:00] {name}:\n\t\t{text}{MESSAGE}")
}

/// How [`message`] is shown.
pub fn shown(name: &str, text: &str) -> String {
    format!("[2026-11-22 06:55:22] {name}: {text}")
}

/// A goodbye of `name` in text framing.
pub fn goodbye(name: &str) -> String {
    format!("\n127.0.0.1:5000 [2026-11-22T06:55:22.756724+00:00]|\n{name}{EXIT}")
}

/// The texts of the messages in `bytes`, whole frames in text framing with no code in any text. A
/// goodbye is not among them.
#[track_caller]
pub fn messages(bytes: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let bodies = text.split_inclusive("ENCD>").filter_map(|frame| frame.strip_suffix(MESSAGE));
    bodies.map(|body| body.split_once(":\n\t\t").expect("the shape of a message").1.to_owned()).collect()
}

/// The messages of `name` among the lines of a conversation, in order.
pub fn messages_of<'a>(name: &str, lines: &'a [String]) -> Vec<&'a str> {
    let mark = format!("] {name}: ");
    lines.iter().filter_map(|line| line.split_once(&mark).map(|(_, text)| text)).collect()
}

/// How many of `lines` contain `part`.
pub fn count(lines: &[String], part: &str) -> usize {
    lines.iter().filter(|line| line.contains(part)).count()
}

/// Waits until `peer` has reported `count` connections in either direction.
#[track_caller]
pub fn wait_for_connections(peer: &mut Peer, count: usize) {
    let mut left = count;
    while left > 0 {
        let line = peer.stderr.next_line().expect("a peer that runs");
        left -= usize::from(line.starts_with("connected to ") || line.ends_with(" connected"));
    }
}

/// Waits until `peer` has shown `count` members that joined.
#[track_caller]
pub fn wait_for_members(peer: &mut Peer, count: usize) {
    for _ in 0..count {
        peer.conversation.wait_for(" has joined");
    }
}

/// Waits for something that sends no event, such as the state of a process.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < end, "this did not happen: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A listener for a peer to dial.
pub fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

/// The next connection of a peer that dials `listener`.
#[track_caller]
pub fn accept(listener: &TcpListener) -> TcpStream {
    assert!(is_dialled(listener, DEADLINE), "no peer dials {:?}", listener.local_addr());
    let (stream, _) = listener.accept().expect("a connection");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.set_nodelay(true).expect("an option");
    stream
}

/// Whether a peer dials `listener` within `patience`.
pub fn is_dialled(listener: &TcpListener, patience: Duration) -> bool {
    let timeout = Timespec::try_from(patience).expect("not too long");
    let mut one = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut one, Some(&timeout)).expect("poll") > 0
}

/// Accepts connections to `listener` and closes them, so many times: a way to wait until a peer that
/// dials this address has been through so many of its pauses.
#[track_caller]
pub fn hang_up(listener: &TcpListener, times: usize) {
    for _ in 0..times {
        drop(accept(listener));
    }
}

/// A port of this machine that has no listener and that the system gives to no other process.
pub struct FreePort {
    address: SocketAddr,
    // Linux lets a listener have the port all the same, since both allow their address to be
    // reused, and gives it to nobody who takes any port.
    _holder: Option<Socket>,
}

impl FreePort {
    pub fn new() -> Self {
        // Of all addresses, as a peer takes it: it could be in use at another than this one.
        let bind = |address: SocketAddr| {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            if address.is_ipv6() {
                socket.set_only_v6(false)?;
            }
            socket.bind(&address.into()).map(|()| socket)
        };
        let socket = bind((Ipv6Addr::UNSPECIFIED, 0).into());
        let socket = socket.or_else(|_| bind((Ipv4Addr::UNSPECIFIED, 0).into())).expect("a free port");
        let bound = socket.local_addr().expect("its address").as_socket().expect("an IP address");
        let address = (Ipv4Addr::LOCALHOST, bound.port()).into();
        Self { address, _holder: cfg!(target_os = "linux").then_some(socket) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn number(&self) -> String {
        self.address.port().to_string()
    }
}

/// Connects with so little room that what is not read soon waits at the peer: a small buffer on this
/// side, and small segments, which make the buffer on the other side small as well.
pub fn connect_with_little_room(address: SocketAddr) -> TcpStream {
    let socket = socket_to(address);
    socket.set_recv_buffer_size(1).expect("an option");
    // Where this is not supported, it takes somewhat more.
    let _ = socket.set_tcp_mss(536);
    socket.connect(&address.into()).expect("a peer that listens");
    socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    socket.into()
}

/// Whether this machine has IPv6, which not every one does.
pub fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

/// Closes `stream` with a reset.
pub fn reset(stream: TcpStream) {
    Socket::from(stream).set_linger(Some(Duration::ZERO)).expect("an option");
}

/// The exercise's own program at the other end of a connection: a 2-byte length, then that many
/// bytes whose tail is a code, and each is taken with one `recv`.
pub struct LabPeer {
    pub stream: TcpStream,
}

impl LabPeer {
    pub fn send_message(&mut self, name: &str, text: &str) {
        self.send(&message(name, text));
    }

    pub fn leave(&mut self, name: &str) {
        self.send(&goodbye(name).replace("<EXITENCD>", "<EXTENCD>"));
    }

    /// Sends `payload`, which has its code.
    pub fn send(&mut self, payload: &str) {
        self.stream.write_all(&lab_frame(payload.as_bytes())).expect("a peer that reads");
    }

    /// The payload of the next frame.
    #[track_caller]
    pub fn receive(&mut self) -> String {
        let payload = self.receive_until_end().expect("the peer closed instead of sending a frame");
        String::from_utf8(payload).expect("UTF-8")
    }

    /// The payload of the next frame, or `None` at the end, taken with one read as the exercise's
    /// program does.
    #[track_caller]
    pub fn receive_until_end(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 2];
        match self.stream.read(&mut length).expect("a peer that sends") {
            0 => return None,
            count => assert_eq!(count, 2, "a length in one read"),
        }
        let mut payload = vec![0; usize::from(u16::from_be_bytes(length))];
        let count = self.stream.read(&mut payload).expect("a peer that sends");
        if payload[..count].ends_with(PEER.as_bytes()) {
            // The exercise's program passes over what has a code that it does not know. It does so even
            // with text framing, whose first two letters it takes for a length.
            return self.receive_until_end();
        }
        assert_eq!(count, payload.len(), "a frame in one read: {:?}", String::from_utf8_lossy(&payload));
        Some(payload)
    }

    /// Reads until a message contains `text`, which is returned as it came.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        loop {
            let payload = self.receive();
            if payload.ends_with(&format!(":\n\t\t{text}{MESSAGE}")) {
                return payload;
            }
        }
    }
}

/// `payload` in lab framing.
pub fn lab_frame(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a payload that fits");
    [length.to_be_bytes().as_slice(), payload].concat()
}
