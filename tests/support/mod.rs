//! The real program under test: starting it with pipes, writing to it, and waiting for it with a deadline.

#![allow(dead_code, reason = "every test file uses its own part")]

pub mod descriptors;
pub mod emulator;
pub mod links;
pub mod sockets;
pub mod window;

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};

/// How long a test waits for what must happen: far longer than it ever takes.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_groupchat");

/// A running peer. Killed when dropped.
pub struct Peer {
    pub child: Child,
    pub input: Option<ChildStdin>,
    pub conversation: Lines,
    pub stderr: Lines,
}

impl Peer {
    /// Starts a peer with `arguments` and pipes for its standard streams.
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        Self::run(command.args(arguments))
    }

    /// Starts a shell that is to `exec` the peer, for what only a shell can arrange. `"$PEER"` is
    /// the program.
    pub fn start_shell(script: &str) -> Self {
        Self::run(Command::new("sh").arg("-c").arg(script).env("PEER", PROGRAM))
    }

    /// Starts `command` with pipes for its standard streams.
    pub fn run(command: &mut Command) -> Self {
        Self::run_with(command, Stdio::piped(), Stdio::piped(), Stdio::piped())
    }

    /// Starts `command` with these standard streams. Those that are not piped are not seen here.
    pub fn run_with(command: &mut Command, input: Stdio, output: Stdio, error: Stdio) -> Self {
        let command = command.env_remove("GROUPCHAT_NAME").env("TZ", "UTC");
        let mut child = command.stdin(input).stdout(output).stderr(error).spawn().expect("it starts");
        let conversation = child.stdout.take().map_or_else(|| Lines::read(io::empty()), Lines::read);
        let stderr = child.stderr.take().map_or_else(|| Lines::read(io::empty()), Lines::read);
        Self { input: child.stdin.take(), child, conversation, stderr }
    }

    /// A peer called `name` that listens on a free port and dials `peers`.
    pub fn named(name: &str, peers: &[SocketAddr]) -> Self {
        let peers: Vec<_> = peers.iter().map(SocketAddr::to_string).collect();
        let mut arguments = vec!["-n", name, "0"];
        arguments.extend(peers.iter().map(String::as_str));
        Self::start(&arguments)
    }

    /// Where it listens, on loopback. Waits until it does.
    pub fn address(&mut self) -> SocketAddr {
        let line = self.stderr.wait_for("listening on ");
        let port = line.rsplit(':').next().expect("a port").parse().expect("a number");
        (Ipv4Addr::LOCALHOST, port).into()
    }

    /// The same peer, once it listens.
    pub fn listening(mut self) -> Self {
        self.address();
        self
    }

    /// Writes a line to standard input.
    pub fn write_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("input that was not ended");
        // In one write, so that several lines are typed at once.
        input.write_all(format!("{line}\n").as_bytes()).expect("a peer that reads");
    }

    /// Ends its input, as Ctrl+D does.
    pub fn end_input(&mut self) {
        self.input = None;
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("a process that runs");
    }

    /// Kills it, and waits until it has given its port back: its connections may end earlier.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("our child");
    }

    /// Waits for its end and returns its exit code.
    pub fn exit_code(&mut self) -> i32 {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status.code().expect("an exit code, not a signal");
            }
            assert!(Instant::now() < end, "the peer does not end; standard error: {:?}", self.stderr.seen);
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a stream, as they come.
pub struct Lines {
    receiver: Receiver<String>,
    /// Lines that were received so far.
    pub seen: Vec<String>,
    next: usize,
}

impl Lines {
    /// Reads `stream` to its end, on a thread of the test.
    pub fn read(stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                // The program prints UTF-8, whatever it received.
                let text = String::from_utf8(std::mem::take(&mut line)).expect("UTF-8");
                if sender.send(text.trim_end_matches('\n').to_owned()).is_err() {
                    return;
                }
            }
        });
        Self { receiver, seen: Vec::new(), next: 0 }
    }

    /// The next line; `None` at the end of the stream.
    pub fn next_line(&mut self) -> Option<String> {
        if self.next == self.seen.len() {
            match self.receiver.recv_timeout(DEADLINE) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("no further line after {:?}", self.last()),
            }
        }
        self.next += 1;
        Some(self.seen[self.next - 1].clone())
    }

    /// The next line that contains `part`; lines before it are passed over.
    #[track_caller]
    pub fn wait_for(&mut self, part: &str) -> String {
        while let Some(line) = self.next_line() {
            if line.contains(part) {
                return line;
            }
        }
        panic!("the stream ended without {part:?}: {:?}", self.last());
    }

    /// The last of the lines that were received, for the message of a failure.
    fn last(&self) -> &[String] {
        &self.seen[self.seen.len().saturating_sub(30)..]
    }

    /// All further lines to the end of the stream.
    pub fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next_line()).collect()
    }
}

/// Connects to a peer as `nc` would.
pub fn connect(address: SocketAddr) -> TcpStream {
    let socket = socket_to(address);
    socket.connect(&address.into()).expect("a peer that listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

/// A socket for a connection from a host of its own, where all of 127.0.0.0/8 is this machine: of one
/// host, not every connection is shown.
pub fn socket_to(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    if cfg!(target_os = "linux") && address.is_ipv4() {
        static HOSTS: AtomicU16 = AtomicU16::new(0);
        let [high, low] = HOSTS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let host = SocketAddr::from(([127, 1, high, low], 0));
        socket.bind(&host.into()).expect("a host of this machine");
    }
    socket
}

/// Reads from `stream` until what was read ends in `end`, and returns it without the hello with
/// which a peer that dialled begins.
#[track_caller]
pub fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(end.as_bytes()) {
        let count = match stream.read(&mut byte) {
            // A read with a time limit is not taken up again after a stop of the whole machine.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result.expect("a peer that sends"),
        };
        assert!(count > 0, "the peer closed after {:?}", String::from_utf8_lossy(&bytes));
        bytes.push(byte[0]);
    }
    // The length before a frame in lab framing may be no text.
    String::from_utf8_lossy(without_hellos(&bytes)).into_owned()
}

/// Reads from `stream` until the peer closes it. A hello at its start is left out.
pub fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset ends it as well.
    let _ = stream.read_to_end(&mut bytes);
    without_hellos(&bytes).to_vec()
}

/// What follows the peer frames at the front of `bytes`.
pub fn without_hellos(mut bytes: &[u8]) -> &[u8] {
    while bytes.starts_with(b"groupchat/2") {
        let Some(end) = memchr::memmem::find(bytes, sockets::PEER.as_bytes()) else { break };
        bytes = &bytes[end + sockets::PEER.len()..];
    }
    bytes
}
