//! The resolver: looks up host names without blocking the loop.
//!
//! The system's resolver blocks its caller, for many seconds if no name server replies. So the program starts
//! itself as a child process for each look-up, and reads the child's output like any other stream.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use mio::unix::pipe::Receiver;
use mio::{Interest, Registry, Token};

use crate::address::PeerAddress;
use crate::error::reason;
use crate::invite;
use crate::limits::{ADDRESSES_MAX, LOOKUP_REPLY_BYTES_MAX, LOOKUP_TIMEOUT, LOOKUPS_MAX};
use crate::protocol::Peer;

/// The internal option of the child process; the peer to look up follows it.
pub const OPTION: &str = "--look-up";

/// The prefix with which the child prints an error.
const FAILED: &str = "failed: ";

/// The queue of look-ups, which run one after the other.
#[derive(Debug)]
pub struct Resolver {
    /// The program of the child, and its arguments before the peer.
    program: Vec<OsString>,
    token: Token,
    waiting: VecDeque<PeerAddress>,
    running: Option<Running>,
    found: VecDeque<Result<Peer, NotFound>>,
}

/// A failed look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound {
    /// The peer as the user wrote it.
    pub peer: String,
    /// The cause.
    pub why: String,
}

#[derive(Debug)]
struct Running {
    peer: PeerAddress,
    child: Child,
    output: Receiver,
    received: Vec<u8>,
    until: Instant,
}

impl Resolver {
    /// An idle resolver. The child's output is registered under `token`. The child runs `program`, which is
    /// this program itself by default.
    #[must_use]
    pub fn new(token: Token, program: Option<Vec<OsString>>) -> Self {
        let program = program.unwrap_or_else(|| vec![this_program(), OPTION.into()]);
        Self { program, token, waiting: VecDeque::new(), running: None, found: VecDeque::new() }
    }

    /// Queues a look-up.
    ///
    /// # Errors
    ///
    /// A sentence, if [`LOOKUPS_MAX`] look-ups wait already.
    pub fn look_up(&mut self, peer: PeerAddress, now: Instant, registry: &Registry) -> Result<(), String> {
        if self.waiting.len() >= LOOKUPS_MAX {
            return Err(format!("{LOOKUPS_MAX} names are waiting to be looked up: try again later"));
        }
        self.waiting.push_back(peer);
        self.start_next(now, registry);
        Ok(())
    }

    /// Handles a poll event of the child's output.
    pub fn handle_event(&mut self, now: Instant, registry: &Registry) {
        let Some(mut running) = self.running.take() else { return };
        match running.read() {
            Ok(false) => self.running = Some(running),
            Ok(true) => self.finish(running, None),
            Err(error) => self.finish(running, Some(reason(&error))),
        }
        self.start_next(now, registry);
    }

    /// Ends a look-up whose deadline has passed.
    pub fn handle_time(&mut self, now: Instant, registry: &Registry) {
        if let Some(running) = self.running.take_if(|running| now >= running.until) {
            self.finish(running, Some(format!("no answer in {} s", LOOKUP_TIMEOUT.as_secs())));
            self.start_next(now, registry);
        }
    }

    /// Whether no look-up runs and no result waits for [`poll_output`](Self::poll_output).
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running.is_none() && self.found.is_empty()
    }

    /// When [`handle_time`](Self::handle_time) is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        Some(self.running.as_ref()?.until)
    }

    /// The next result, until `None`.
    pub fn poll_output(&mut self) -> Option<Result<Peer, NotFound>> {
        self.found.pop_front()
    }

    fn start_next(&mut self, now: Instant, registry: &Registry) {
        while self.running.is_none()
            && let Some(peer) = self.waiting.pop_front()
        {
            match self.start(&peer, registry) {
                Ok((child, output)) => {
                    let until = now + LOOKUP_TIMEOUT;
                    self.running = Some(Running { peer, child, output, received: Vec::new(), until });
                }
                Err(error) => self.found.push_back(Err(failure(&peer, &reason(&error)))),
            }
        }
    }

    fn command(&self, peer: &PeerAddress) -> Command {
        let (program, arguments) = self.program.split_first().expect("there is a program");
        let mut command = Command::new(program);
        command.args(arguments).arg(peer.text()).env_remove(invite::VARIABLE);
        command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped());
        command
    }

    fn start(&self, peer: &PeerAddress, registry: &Registry) -> io::Result<(Child, Receiver)> {
        let mut child = self.command(peer).spawn()?;
        let output = child.stdout.take().expect("it was asked for");
        let mut output = Receiver::from(output);
        let ready = output.set_nonblocking(true);
        let ready = ready.and_then(|()| registry.register(&mut output, self.token, Interest::READABLE));
        match ready {
            Ok(()) => Ok((child, output)),
            Err(error) => {
                kill(&mut child);
                Err(error)
            }
        }
    }

    fn finish(&mut self, mut running: Running, failed: Option<String>) {
        kill(&mut running.child);
        let Running { peer, received, .. } = running;
        let received = String::from_utf8_lossy(&received);
        let addresses: Vec<SocketAddr> = received.lines().filter_map(|line| line.parse().ok()).collect();
        let why = received.lines().find_map(|line| line.strip_prefix(FAILED)).map(str::to_owned);
        self.found.push_back(match failed {
            Some(why) => Err(failure(&peer, &why)),
            None if !addresses.is_empty() => Ok(peer.at(addresses)),
            None => Err(failure(&peer, &why.unwrap_or_else(|| "the look-up gave no answer".to_owned()))),
        });
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            kill(&mut running.child);
        }
    }
}

impl Running {
    /// Reads the available output. Returns whether it has ended.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; LOOKUP_REPLY_BYTES_MAX];
        loop {
            match self.output.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
            if self.received.len() > LOOKUP_REPLY_BYTES_MAX {
                return Err(io::Error::other("the look-up does not end"));
            }
        }
    }
}

/// The output of the child process: one address per line, or the error.
#[must_use]
pub fn resolve_for_parent(peer: &PeerAddress) -> String {
    match peer.resolve() {
        // No more are used, and the parent reads no endless reply.
        Ok(peer) => peer.addresses.iter().take(ADDRESSES_MAX).map(|address| format!("{address}\n")).collect(),
        Err(why) => format!("{FAILED}{why}\n"),
    }
}

fn failure(peer: &PeerAddress, why: &str) -> NotFound {
    NotFound { peer: peer.text().to_owned(), why: why.to_owned() }
}

/// Kills and reaps a child process. The wait is short, since the process was killed.
fn kill(child: &mut Child) {
    // The process may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// The path of this program, also if its file was replaced since the start.
fn this_program() -> OsString {
    if cfg!(target_os = "linux") {
        return "/proc/self/exe".into();
    }
    std::env::current_exe().map_or_else(|_| "groupchat".into(), Into::into)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;

    const TOKEN: Token = Token(7);

    /// Looks up a host with a shell's command instead of ourselves.
    fn look_up(command: &str, wait: impl Fn(&mut Resolver, &mut Poll)) -> Result<Peer, NotFound> {
        let mut poll = Poll::new().expect("a poll");
        let program = ["sh", "-c", command].map(OsString::from).to_vec();
        let mut look_ups = Resolver::new(TOKEN, Some(program));
        let peer = crate::address::parse("nosuchhost.invalid:5000").expect("a peer");
        look_ups.look_up(peer, Instant::now(), poll.registry()).expect("room");
        wait(&mut look_ups, &mut poll);
        assert!(look_ups.running.is_none());
        look_ups.poll_output().expect("an answer")
    }

    fn wait(look_ups: &mut Resolver, poll: &mut Poll) {
        let mut events = Events::with_capacity(8);
        while look_ups.running.is_some() {
            poll.poll(&mut events, Some(Duration::from_secs(60))).expect("events");
            assert!(!events.is_empty(), "no answer");
            look_ups.handle_event(Instant::now(), poll.registry());
        }
    }

    #[test]
    fn a_reply_is_a_list_of_addresses() {
        let peer = look_up("printf '127.0.0.1:5000\\n[::1]:5000\\n'", wait).expect("found");
        assert_eq!(*peer.name, *"nosuchhost.invalid:5000");
        assert_eq!(peer.addresses.len(), 2);
    }

    #[test]
    fn the_child_does_not_see_the_invite() {
        let peer = crate::address::parse("host:5000").expect("a peer");
        let command = Resolver::new(TOKEN, None).command(&peer);
        assert!(command.get_envs().any(|variable| variable == (invite::VARIABLE.as_ref(), None)));
    }

    #[test]
    fn a_failure_is_reported() {
        #[track_caller]
        fn check(command: &str, expected: &str) {
            let NotFound { peer, why } = look_up(command, wait).expect_err("nothing is found");
            assert_eq!(peer, "nosuchhost.invalid:5000");
            assert!(why.contains(expected), "{why}");
        }
        check("echo 'failed: cannot find it'", "cannot find it");
        check("echo rubbish", "no answer");
        check("exit 1", "no answer");
        check("while echo 127.0.0.1:1; do :; done", "does not end");
    }

    #[test]
    fn a_look_up_without_a_reply_is_ended() {
        let why = look_up("exec sleep 1000", |look_ups, poll| {
            let id = look_ups.running.as_ref().expect("it runs").child.id();
            let until = look_ups.deadline().expect("a deadline");
            look_ups.handle_time(until, poll.registry());
            assert!(!std::path::Path::new(&format!("/proc/{id}")).exists(), "it is gone");
        });
        assert!(why.expect_err("nothing is found").why.ends_with("no answer in 10 s"));
    }

    #[test]
    fn more_than_a_few_are_refused() {
        let poll = Poll::new().expect("a poll");
        let program = ["sh", "-c", "exec sleep 1000"].map(OsString::from).to_vec();
        let mut look_ups = Resolver::new(TOKEN, Some(program));
        let peer = crate::address::parse("nosuchhost.invalid:5000").expect("a peer");
        let mut ask = || look_ups.look_up(peer.clone(), Instant::now(), poll.registry());
        for _ in 0..=LOOKUPS_MAX {
            ask().expect("room");
        }
        ask().expect_err("no more");
    }
}
