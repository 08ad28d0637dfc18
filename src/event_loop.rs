//! The event loop: one `mio::Poll`, its tokens, the turn, signals and deadlines. The only place that waits.
//!
//! The loop owns the group, the sockets, the terminal and the resolver side by side, and they do not know each
//! other: the loop hands what one of them reports to the others.

mod commands;
mod private_group;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::mem;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use chrono::Local;
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH, SIGXFSZ};
use signal_hook::low_level::emulate_default_handler;
use signal_hook_mio::v1_0::Signals;

use crate::address::PeerAddress;
use crate::command::{self, Command, Source};
use crate::error::{Error, reason, shortened};
use crate::group_file::GroupFile;
use crate::group_peer::{GroupPeer, Stream};
use crate::limits::{COMMAND_CHARS_MAX, EVENTS, MEET_TIMEOUT, SEND_TIMEOUT, SEND_TURN_BYTES};
use crate::protocol::roster::{NotFound, Unreached};
use crate::protocol::{Access, Diagnostic, Event, Group, LostReason, Peer, PeerInfo, Setup};
use crate::resolver::Resolver;
use crate::server::Server;
use crate::terminal::logfile::LogFile;
use crate::terminal::welcome;
use crate::terminal::{self, Terminal, Tokens, UiOptions, UserAction};
use crate::unicode;
use crate::wire::frame::Framing;
use private_group::PrivateGroup;

pub use private_group::{GroupChoice, print_invite};

/// Connections are registered under their ids, which count from 0; all other tokens count down from the
/// maximum.
const SERVER: Token = Token(usize::MAX);
const SIGNALS: Token = Token(usize::MAX - 1);
const TERMINAL: Tokens =
    Tokens { input: Token(usize::MAX - 2), output: Token(usize::MAX - 3), error: Token(usize::MAX - 4) };
const RESOLVER: Token = Token(usize::MAX - 5);

/// The configuration of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// The address to listen on; `None` is every IPv6 and IPv4 address.
    pub bind: Option<IpAddr>,
    /// The user's name.
    pub name: String,
    /// The group to take part in.
    pub group: GroupChoice,
    /// Addresses that come first in invites to it.
    pub advertised: Vec<PeerAddress>,
    /// The framing of frames for peers that have not sent one yet.
    pub framing: Option<Framing>,
    /// Keep running when standard input ends.
    pub stay: bool,
    /// Run as a plain peer, which speaks only the exercise's frames.
    pub plain: bool,
    /// How many past messages to request from each member.
    pub history: u64,
    /// The peers to connect to, without duplicates.
    pub peers: Vec<Peer>,
    /// Lines of `--send`, which replace standard input; the program leaves once the peers have received
    /// them.
    pub send: Vec<String>,
    /// The options of the user interface.
    pub ui: UiOptions,
    /// The file to append the conversation to.
    pub log: Option<PathBuf>,
}

/// Chats until the user leaves.
///
/// # Errors
///
/// [`Error::Argument`] when the program cannot listen on the address; [`Error::Failure`] when a system call
/// fails, when messages reached nobody, or when the conversation could not be shown.
pub fn run(config: Config) -> Result<(), Error> {
    let mut event_loop = EventLoop::new(config)?;
    let mut ended = Ok(());
    while ended.is_ok() && event_loop.phase != Phase::Over {
        ended = event_loop.turn();
    }
    if let Some(sentence) = event_loop.private.as_mut().and_then(PrivateGroup::save) {
        terminal::print_error(&sentence);
    }
    ended.and_then(|()| event_loop.result())
}

/// The phase of a run. Phases only move forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Lines of input are accepted.
    Chatting,
    /// The input ended at `at`; the program waits for connections that are still being made.
    InputEnded { at: Instant },
    /// The goodbye is in the log; the program waits until the peers have received it.
    Leaving,
    /// Everything is flushed, and the loop ends.
    Over,
}

/// Failed lines of a script.
#[derive(Debug, Default)]
struct Failures {
    count: u64,
    /// The first failed line, shortened.
    first: String,
}

impl Failures {
    /// The error message for the exit, if a line failed.
    fn sentence(&self) -> Option<String> {
        match self.count {
            0 => None,
            1 => Some(format!("'{}' failed", self.first)),
            count => Some(format!("'{}' and {} more failed", self.first, count - 1)),
        }
    }
}

struct EventLoop {
    poll: Poll,
    events: Events,
    signals: Signals,
    group: Group<Stream>,
    peer: GroupPeer,
    terminal: Terminal,
    resolver: Resolver,
    /// `None` in an open group.
    private: Option<PrivateGroup>,
    /// The run joins by an invite: that nobody is reached is a failure.
    is_newcomer: bool,
    /// How many of the first look-ups are of addresses of invites.
    group_lookups: usize,
    phase: Phase,
    stay: bool,
    /// The lines come from `--send`, so that the program leaves once the peers have received them.
    is_sending: bool,
    /// Lines to handle before those of standard input: the lines of `--send`, and a deferred line.
    lines: VecDeque<(String, Source)>,
    /// When the user last named a peer.
    named_at: Instant,
    /// The names of the peers on the command line.
    first_peers: Vec<Rc<str>>,
    failures: Failures,
    /// A line that was refused with a question; entering it again sends it.
    unconfirmed: Option<String>,
    /// The names of peers that are not known to have received the lines of `--send`.
    undelivered_to: Vec<String>,
    /// A script without peers has read no line and connected to nobody: the run has done nothing.
    is_idle: bool,
    /// The timeout of the next wait, computed at the end of a turn; `None` waits until an event.
    next_wait: Option<Duration>,
}

impl EventLoop {
    fn new(config: Config) -> Result<Self, Error> {
        let Config {
            port,
            bind,
            name,
            group,
            advertised,
            framing,
            stay,
            plain,
            history,
            peers,
            send,
            ui,
            log,
        } = config;
        let log = log.map(|path| open_log(&path)).transpose()?;
        let mut server = Server::listen(bind, port)?;
        let (address, reachable_ip) = (server.address(), server.reachable_ip());
        let failed = |error| Error::Failure(format!("cannot start: {}", reason(&error)));
        let poll = Poll::new().map_err(failed)?;
        server.register(poll.registry(), SERVER).map_err(failed)?;
        let signals = [SIGINT, SIGTERM, SIGHUP, SIGXFSZ, SIGWINCH, SIGCONT];
        let mut signals = Signals::new(signals).map_err(failed)?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE).map_err(failed)?;
        getrandom::fill(&mut [0]).map_err(|error| Error::Failure(format!("no random numbers: {error}")))?;
        // From now on a file that may not grow is an error of the write, and no signal that ends the program.
        let choice = group.clone();
        let private = PrivateGroup::open(group, advertised, reachable_ip, address.port())?;
        let (private, access) = private.map_or((None, Access::Open), |(group, access)| (Some(group), access));
        let takes_input = send.is_empty();
        let terminal = Terminal::new(poll.registry(), TERMINAL, name.clone(), ui, log, takes_input);
        let terminal = terminal.map_err(failed)?;
        if terminal.is_interactive() {
            // The terminal's modes are restored before the default action of these signals.
            [SIGTSTP, SIGQUIT].iter().try_for_each(|signal| signals.add_signal(*signal)).map_err(failed)?;
        }
        let is_newcomer = matches!(choice, GroupChoice::Join(..) | GroupChoice::Once(_));
        let is_idle = takes_input && !stay && peers.is_empty() && !is_newcomer && terminal.is_script();
        let first_peers = peers.iter().map(|peer| Rc::clone(&peer.name)).collect();
        let setup = Setup { name, port: address.port(), framing, is_plain: plain, history, peers, access };
        let now = Instant::now();
        let mut run = Self {
            poll,
            events: Events::with_capacity(EVENTS),
            signals,
            group: Group::new(setup, now, Box::new(fill_with_random)),
            peer: GroupPeer::new(server),
            terminal,
            resolver: Resolver::new(RESOLVER, None),
            private,
            is_newcomer,
            group_lookups: 0,
            phase: Phase::Chatting,
            stay,
            is_sending: !takes_input,
            lines: send.into_iter().map(|line| (line, Source::Verbatim)).collect(),
            named_at: now,
            first_peers,
            failures: Failures::default(),
            unconfirmed: None,
            undelivered_to: Vec::new(),
            is_idle,
            // The first turn handles everything that needs no event.
            next_wait: Some(Duration::ZERO),
        };
        run.dial_group(now);
        run.show_start(&choice);
        Ok(run)
    }

    /// Dials the members of a private group that are known, and the addresses of invites to it.
    fn dial_group(&mut self, now: Instant) {
        let Some(private) = &self.private else { return };
        for member in private.file().into_iter().flat_map(|file| file.contents.members()) {
            let peer = Peer { name: member.name.as_str().into(), addresses: member.addresses.clone() };
            self.group.add_known(peer, Some(member.key), now);
        }
        // Where a member was met, it is dialled as that member, which may be away for long.
        let members = private.file().into_iter().flat_map(|file| file.contents.members());
        let met: Vec<_> = members.flat_map(|member| &member.addresses).copied().collect();
        let mut inviter = Peer { name: private.name().to_string().into(), addresses: Vec::new() };
        for address in private.addresses() {
            match address.known() {
                Some(peer) => {
                    inviter.addresses.extend(peer.addresses.iter().filter(|address| !met.contains(address)));
                }
                // There are fewer than the resolver takes.
                None => {
                    let waits = self.resolver.look_up(address.clone(), now, self.poll.registry());
                    self.group_lookups += usize::from(waits.is_ok());
                }
            }
        }
        if !inviter.addresses.is_empty() {
            self.group.add_known(inviter, None, now);
        }
    }

    /// Shows where the program listens, how others join, and where a group is kept.
    fn show_start(&mut self, choice: &GroupChoice) {
        let (address, ip) = (self.peer.server.address(), self.peer.server.reachable_ip());
        let file = self.private.as_ref().and_then(PrivateGroup::file).map(GroupFile::place);
        let kept = file.map(|place| (place.to_string(), place.path().display().to_string()));
        let is_new = matches!(choice, GroupChoice::New(..));
        if let (true, Some((name, path))) = (is_new || matches!(choice, GroupChoice::Join(..)), &kept) {
            let next = if is_new { String::new() } else { format!("; next time: groupchat -g {name} 0") };
            self.terminal.report(&format!("group {name} is kept in {path}{next}"));
        }
        self.terminal.show_listening(self.group.id(), address);
        match (&self.private, self.terminal.is_interactive()) {
            (None, true) => {
                let lines = welcome::lines(address, ip, !self.first_peers.is_empty());
                lines.iter().for_each(|line| self.terminal.reply(line));
            }
            (Some(private), true) => {
                let invite = is_new.then(|| private.invite(ip, address.port())).and_then(Result::ok);
                let lines = welcome::private_lines(invite.as_ref().map(|text| text.as_str()));
                lines.iter().for_each(|line| self.terminal.reply(line));
            }
            // Standard error may be kept in a file, where the secret does not belong.
            (Some(_), false) if is_new => {
                let name = kept.map_or(String::new(), |(name, _)| name);
                self.terminal.report(&format!("groupchat -g {name} --invite prints the invite"));
            }
            (_, false) => (),
        }
    }

    /// One turn: wait, handle events, flush, compute the next timeout, reap.
    fn turn(&mut self) -> Result<(), Error> {
        self.wait()?;
        let now = Instant::now();
        self.handle_events(now)?;
        self.peer.flush(&mut self.group, now);
        self.show_events(now);
        if self.terminal.is_meeting_group() && !self.group.is_reaching_out(now, now) {
            self.terminal.handle_group_met();
        }
        if let Some(private) = &mut self.private
            && private.deadline().is_some_and(|at| now >= at)
        {
            self.remember_members();
            let failed = self.private.as_mut().and_then(PrivateGroup::save);
            failed.into_iter().for_each(|sentence| self.terminal.report(&sentence));
        }
        self.terminal.flush(now);
        self.next_wait = self.next_timeout();
        self.peer.reap(&mut self.group, self.poll.registry());
        if self.group.has_left() && self.peer.readable_count() == 0 && self.terminal.is_drained(now) {
            self.phase = Phase::Over;
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<(), Error> {
        match self.poll.poll(&mut self.events, self.next_wait) {
            // The signal is in its own pipe; the next turn reads it.
            Err(error) if error.kind() == ErrorKind::Interrupted => self.events.clear(),
            Err(error) => return Err(Error::Failure(format!("cannot wait for events: {}", reason(&error)))),
            Ok(()) => (),
        }
        Ok(())
    }

    fn handle_events(&mut self, now: Instant) -> Result<(), Error> {
        let mut has_signals = false;
        for event in &self.events {
            match event.token() {
                SERVER => self.peer.server.handle_event(),
                SIGNALS => has_signals = true,
                RESOLVER => self.resolver.handle_event(now, self.poll.registry()),
                token if token >= TERMINAL.error => self.terminal.handle_readiness(event),
                _ => self.peer.handle_client_event(&mut self.group, event, now),
            }
        }
        if has_signals {
            self.handle_signals(now)?;
        }
        self.terminal.handle_time(now);
        self.peer.server.handle_time(now);
        self.group.handle_time(now);
        self.peer.dial(&mut self.group, now, self.poll.registry());
        self.handle_lookups(now);
        self.read_peers(now);
        self.peer.make_room(&mut self.group, now);
        self.handle_input(now);
        if self.is_cut_off() || self.is_finished(now) {
            self.leave(now);
        }
        Ok(())
    }

    /// Whether the input has ended and nothing remains to wait for.
    fn is_finished(&self, now: Instant) -> bool {
        let Phase::InputEnded { at } = self.phase else { return false };
        // A script may start before the peers that it names, and may write faster than a member reads.
        let is_undelivered = || {
            self.group.log_end() > 0 && self.group.awaits_known()
                || self.is_sending && self.awaits_recipients()
                || self.group.has_private_pending()
                || self.awaits_connect()
                || self.group.log_end() > 0 && self.group.awaits_group()
        };
        let is_waiting = self.terminal.is_script() && now < at + self.meet_timeout() && is_undelivered();
        !is_waiting && self.resolver.is_idle() && !self.awaits_peers(now, at)
    }

    /// Whether a peer that a `/connect` named is still dialled and was never reached.
    fn awaits_connect(&self) -> bool {
        let mut unreached = self.group.unreached().into_iter();
        unreached.any(|peer| peer.is_dialled && !self.first_peers.contains(&peer.name))
    }

    /// Whether a message to everybody was sent that not everybody has received.
    fn awaits_recipients(&self) -> bool {
        self.group.log_end() > 0 && !self.group.recipients_behind().is_empty()
    }

    /// Whether the messages to everybody may soon reach further peers, for which the program waits since `since`.
    fn awaits_peers(&self, now: Instant, since: Instant) -> bool {
        let awaits_handshake = self.group.log_end() > 0 && self.group.handshake_wait_end(now).is_some();
        awaits_handshake || self.group.is_reaching_out(now, since)
    }

    /// How long a script waits for the peers that it names.
    fn meet_timeout(&self) -> Duration {
        if self.is_sending { SEND_TIMEOUT } else { MEET_TIMEOUT }
    }

    /// Whether a line of a script, and every line after it, has to wait: while the resolver looks up a peer; a
    /// command that depends on the members, while the program first connects to the group, or while a named peer
    /// may still turn out to have the name in it; `/name` and `/disconnect`, until the lines before are sent.
    fn must_wait(&self, line: &str, source: Source, now: Instant) -> bool {
        if !self.terminal.is_script() {
            return false;
        }
        if !self.resolver.is_idle() {
            return true;
        }
        if now >= self.named_at + self.meet_timeout() {
            return false;
        }
        let Ok(command) = command::read(line, source) else { return false };
        // The lines before it are sent under the old name, and to the peers that were named by then.
        let needs_sent =
            matches!(command, Command::Name(_) | Command::Disconnect(_)) && self.group.log_end() > 0;
        let is_meeting =
            || self.group.handshake_wait_end(now).is_some() || self.group.is_reaching_out(now, self.named_at);
        (command.needs_group() || needs_sent) && is_meeting()
            || needs_sent && self.awaits_recipients()
            || self.awaits_names() && self.names_nobody(&command)
    }

    /// Whether a peer that was named, or the group, may still be reached, so that a name becomes known.
    fn awaits_names(&self) -> bool {
        self.group.unreached().iter().any(|peer| peer.is_dialled) || self.group.awaits_group()
    }

    /// Whether nobody has the name in a command yet.
    fn names_nobody(&self, command: &Command<'_>) -> bool {
        let found = match command {
            Command::Private(words) => self.group.find(words).map(|(peer, _)| peer),
            Command::Who(Some(name)) | Command::Ignore(name) => self.group.find_named(name),
            Command::Text(_)
            | Command::Say(_)
            | Command::Me(_)
            | Command::Reply(_)
            | Command::Who(None)
            | Command::Name(_)
            | Command::Connect(_)
            | Command::Disconnect(_)
            | Command::Unignore(_)
            | Command::Invite
            | Command::Clear
            | Command::Help
            | Command::Quit(_) => return false,
        };
        matches!(found, Err(NotFound::Nobody))
    }

    /// Whether standard output is closed, which ends the chat of a user. The lines that a script has read are
    /// still delivered.
    fn is_cut_off(&self) -> bool {
        self.phase < Phase::Leaving && self.terminal.is_closed() && !self.terminal.is_script()
    }

    /// Handles pending signals. The first request to leave is followed by a goodbye; a signal that is the second one ends
    /// the program at once. The first one may be a signal, or at a terminal a key, a command or the end of the input. A
    /// second SIGHUP does not count: the terminal sends one, and the shell that ends with it another.
    fn handle_signals(&mut self, now: Instant) -> Result<(), Error> {
        let signals: Vec<_> = self.signals.pending().collect();
        for signal in signals {
            match signal {
                // The write that exceeds the file size limit fails as well, and its error is handled there.
                SIGXFSZ => (),
                // The window size may have changed; at SIGCONT, the foreground process group as well.
                SIGWINCH => self.terminal.resize(now),
                SIGCONT => {
                    self.terminal.handle_continue();
                    self.terminal.resize(now);
                }
                // The default action stops or ends the program, with the terminal's modes restored meanwhile.
                SIGTSTP | SIGQUIT => {
                    self.terminal.suspend(now);
                    // The call fails only for unknown signals.
                    let _ = emulate_default_handler(signal);
                    self.terminal.resume();
                }
                SIGHUP if self.phase < Phase::Leaving => self.leave(now),
                SIGHUP => (),
                _ if !self.was_asked_to_leave() => self.leave(now),
                _ => {
                    if self.phase < Phase::Leaving {
                        // The goodbye reaches those that can take it at once.
                        self.leave(now);
                        self.peer.flush(&mut self.group, now);
                    }
                    let sentence = "ended at once: some peers may not have received all messages";
                    return Err(Error::Failure(sentence.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// Whether the program is leaving, or a user at a terminal has requested that. The end of a script's input is no such
    /// request: its lines are still to be delivered.
    fn was_asked_to_leave(&self) -> bool {
        match self.phase {
            Phase::Chatting => false,
            Phase::InputEnded { .. } => !self.terminal.is_script(),
            Phase::Leaving | Phase::Over => true,
        }
    }

    /// Accepts connections and reads from peers, within one budget for all of them. While the queue of standard
    /// output is full, nothing is read, which makes the peers wait. While leaving, bytes are read and discarded instead: closing a
    /// connection with unread input sends a reset, which can destroy the last frames on their way.
    fn read_peers(&mut self, now: Instant) {
        if !self.terminal.is_full() {
            // Before reading: a connection to this peer itself is detected when it is accepted.
            self.peer.accept(&mut self.group, now, self.poll.registry());
        }
        self.peer.begin_reading();
        while self.peer.may_read() {
            match (self.terminal.is_full(), self.phase) {
                (false, _) => self.peer.read_next(&mut self.group, now),
                (true, Phase::Leaving) => self.peer.discard_next(&mut self.group, now),
                (true, _) => return,
            }
            self.show_events(now);
        }
    }

    /// Reads standard input once and handles lines, as long as the log has room.
    fn handle_input(&mut self, now: Instant) {
        let limit = self.group.send_limit(now).min(self.group.log_end() + SEND_TURN_BYTES as u64);
        let shows_own = self.terminal.shows_own();
        // Once its output is closed, a script is read no further.
        let (mut at, mut may_read) = (None, !self.terminal.is_closed());
        while self.phase == Phase::Chatting && self.group.log_end() <= limit {
            if let Some((line, source)) = self.lines.pop_front() {
                if self.must_wait(&line, source, now) {
                    self.lines.push_front((line, source));
                    return;
                }
                self.handle_line(line, source, now);
                continue;
            }
            if self.is_sending {
                break;
            }
            match self.terminal.next_action() {
                // The fast path: most lines of a script are neither commands nor shown here.
                Some(UserAction::Submit(line, source))
                    if !shows_own && self.resolver.is_idle() && command::is_plain(&line, source) =>
                {
                    if !unicode::is_blank(&line) {
                        self.is_idle = false;
                        // Lines of one read share a time.
                        let at = *at.get_or_insert_with(|| Local::now().fixed_offset());
                        self.group.broadcast(&line, at);
                    }
                }
                Some(UserAction::Submit(line, source)) => {
                    self.is_idle &= unicode::is_blank(&line);
                    self.lines.push_back((line.into_owned(), source));
                }
                Some(UserAction::Hint(sentence)) => {
                    let sentence = sentence.into_owned();
                    self.terminal.reply(&sentence);
                }
                Some(UserAction::Complete) => self.complete(),
                Some(UserAction::ExpandReply) => self.expand_reply(),
                Some(UserAction::Suspend) => self.suspend(),
                Some(UserAction::Leave) => self.end_input(now),
                None if mem::take(&mut may_read) => self.terminal.read_input(self.poll.registry(), now),
                None => break,
            }
        }
        let is_over =
            self.is_sending || self.terminal.is_closed() || self.terminal.is_input_over() && !self.stay;
        if self.phase == Phase::Chatting && is_over && self.lines.is_empty() {
            self.phase = Phase::InputEnded { at: now };
        }
    }

    /// Ends the input: the user left or a script executed `/quit`. At a terminal the program leaves at once,
    /// or reports which connections it still waits for; a script waits as at the end of its input.
    fn end_input(&mut self, now: Instant) {
        self.terminal.restore();
        self.phase = Phase::InputEnded { at: now };
        if self.terminal.is_script() {
            return;
        }
        if self.group.log_end() == 0 || !self.awaits_peers(now, now) {
            return self.leave(now);
        }
        self.terminal.report("waiting for connections that are still being made; Ctrl+C leaves at once");
    }

    /// Starts to leave: queues the goodbye and sets deadlines for what is not yet written.
    fn leave(&mut self, now: Instant) {
        self.phase = Phase::Leaving;
        if self.terminal.is_script() {
            self.fail_pending_lines();
        }
        if self.is_sending && self.awaits_recipients() {
            self.undelivered_to = names(&self.group.recipients_behind());
        }
        self.terminal.leave(now);
        self.remember_members();
        self.peer.server.stop();
        self.group.leave(now, Local::now().fixed_offset(), self.peer.own_address());
    }

    /// Records the pending lines of a script, and its `/connect` commands without a connection, as failures.
    fn fail_pending_lines(&mut self) {
        for (line, _) in mem::take(&mut self.lines) {
            self.report_failure(&line, "the chat ended before the group was reached");
        }
        let is_heard = !self.is_sending && self.group.log_end() > 0 && !self.group.has_reached_nobody();
        for Unreached { name, is_dialled } in self.group.unreached() {
            if !self.first_peers.contains(&name) {
                self.report_failure(&format!("/connect {name}"), "the peer was never reached");
            } else if is_heard && is_dialled {
                self.terminal.report(&format!("{name} was never reached, and did not get what was said"));
            }
        }
    }

    /// Shows why a command failed. In a script, the failure also sets the exit code.
    fn report_failure(&mut self, line: &str, why: &str) {
        if !self.terminal.is_script() {
            return self.terminal.reply(why);
        }
        let start = shortened(line.lines().next().unwrap_or_default(), COMMAND_CHARS_MAX);
        self.terminal.reply(&format!("'{start}' failed: {why}"));
        if self.failures.count == 0 {
            self.failures.first = start;
        }
        self.failures.count += 1;
    }

    /// Takes over into the group file what is known of the members that are here.
    fn remember_members(&mut self) {
        if let Some(private) = &mut self.private {
            self.group.met_members().filter(|member| member.is_here).for_each(|it| private.remember(&it));
        }
    }

    /// Shows the events of the group.
    fn show_events(&mut self, now: Instant) {
        while let Some(event) = self.poll_event() {
            self.is_idle = false;
            if self.is_sending
                && let Some(peer) = self.recipient_in_doubt(&event)
                && !self.undelivered_to.contains(&peer)
            {
                self.undelivered_to.push(peer);
            }
            if let (Event::Joined { peer }, Some(private)) = (&event, &mut self.private)
                && let Some(member) = peer.id.and_then(|id| self.group.met_member(id))
            {
                private.handle_met(&member, now);
            }
            // A peer that was dialled may introduce its group.
            if matches!(event, Event::Diagnostic(Diagnostic::Connected { .. }))
                && self.terminal.is_interactive()
                && self.has_met_nobody()
            {
                self.terminal.expect_group();
            }
            self.terminal.show_event(&event, now);
        }
    }

    /// The next event to show to the user, until `None`.
    fn poll_event(&mut self) -> Option<Event> {
        match self.peer.server.poll_complaint() {
            Some(complaint) => Some(Event::Diagnostic(Diagnostic::CannotAccept(complaint))),
            None => self.group.poll_event(),
        }
    }

    /// Whether no member was met yet, or all that were are forgotten.
    fn has_met_nobody(&self) -> bool {
        !self.group.roster().iter().any(|one| one.is_met() && one.peer.id.is_some())
    }

    /// The name of a peer that, according to `event`, has not received all messages, or may not have.
    fn recipient_in_doubt(&self, event: &Event) -> Option<String> {
        if let Event::Lost { peer, .. } = event {
            return (self.phase == Phase::Leaving).then(|| peer.name.to_string());
        }
        let Event::Diagnostic(diagnostic) = event else { return None };
        match diagnostic {
            Diagnostic::Undelivered { peer, .. } | Diagnostic::Unanswered { peer } => {
                Some(peer.name.to_string())
            }
            Diagnostic::NamedLost { peer, .. } => {
                (self.phase == Phase::Leaving).then(|| peer.name.to_string())
            }
            Diagnostic::Visited { address, why: LostReason::Stalled(_) | LostReason::Overrun } => {
                Some(address.to_string())
            }
            Diagnostic::Connected { name, missed: 1.., .. } => Some(name.to_string()),
            Diagnostic::Visited { .. }
            | Diagnostic::Connected { .. }
            | Diagnostic::MoreVisitors { .. }
            | Diagnostic::Accepted { .. }
            | Diagnostic::Assumed { .. }
            | Diagnostic::Unmet { .. }
            | Diagnostic::Unreachable { .. }
            | Diagnostic::Oneself { .. }
            | Diagnostic::Forgotten { .. }
            | Diagnostic::NameTaken { .. }
            | Diagnostic::Alone { .. }
            | Diagnostic::CannotAccept(_) => None,
        }
    }

    /// The timeout of the next wait: zero while there is work that no event will announce.
    fn next_timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        let can_read = !self.terminal.is_full() || self.phase == Phase::Leaving;
        let waits = self.lines.front().is_some_and(|(line, source)| self.must_wait(line, *source, now));
        let can_send =
            self.phase == Phase::Chatting && !waits && self.group.log_end() <= self.group.send_limit(now);
        let has_work = self.is_cut_off()
            || self.peer.has_more_to_write()
            || self.terminal.has_more_to_show()
            || can_read && self.peer.has_more_to_read()
            || can_send && (self.terminal.has_input() || !self.lines.is_empty());
        if has_work {
            return Some(Duration::ZERO);
        }
        let waiting_since = match self.phase {
            Phase::InputEnded { at } => Some(at),
            Phase::Chatting if waits => Some(self.named_at),
            Phase::Chatting | Phase::Leaving | Phase::Over => None,
        };
        let wait_ends = waiting_since.into_iter().flat_map(|since| {
            let handshake = self.group.handshake_wait_end(now);
            [Some(since + SEND_TIMEOUT), Some(since + MEET_TIMEOUT), handshake]
        });
        let wait_end = wait_ends.flatten().filter(|end| now < *end).min();
        let deadlines = [
            self.group.deadline(now),
            self.peer.server.deadline(),
            self.terminal.deadline(),
            self.terminal.leave_deadline().filter(|_| self.group.has_left()),
            self.resolver.deadline(),
            self.private.as_ref().and_then(PrivateGroup::deadline),
            wait_end,
        ];
        let deadline = deadlines.into_iter().flatten().min()?;
        Some(deadline.saturating_duration_since(now))
    }

    /// The result of the run: the most important reason for a failure, if there is one, and the failed lines.
    fn result(self) -> Result<(), Error> {
        let has_reached_somebody = self.group.has_reached_somebody();
        let mut unreceived = self.group.unreceived_count().map(|count| match (count, has_reached_somebody) {
            (1, false) => "nobody was reached: the message is lost".to_owned(),
            (1, true) => "the message may be lost: nobody is known to have received it".to_owned(),
            (_, false) => format!("nobody was reached: all {count} messages are lost"),
            (_, true) => format!("all {count} messages may be lost: nobody is known to have received them"),
        });
        let unshown = (self.group.discarded_bytes() > 0)
            .then(|| "standard output is too slow: the last messages of others are not shown".to_owned());
        let unsent = (!self.undelivered_to.is_empty()).then(|| {
            format!("not delivered to everybody, as far as is known: {}", self.undelivered_to.join(", "))
        });
        // A run that a signal ends is no failure.
        let idle = (self.is_idle && self.terminal.is_input_over()).then(|| {
            "standard input ended without a line, and nobody joined; --stay keeps running without it"
                .to_owned()
        });
        let is_script = self.terminal.is_script();
        // Somebody at a terminal may chat alone.
        if let Some(note) = unreceived.take_if(|_| !is_script) {
            terminal::print_error(&note);
        }
        let undelivered = names(&self.group.private_undelivered()).join(", ");
        let undelivered = (is_script && !undelivered.is_empty())
            .then(|| format!("a private message was not delivered, as far as is known: {undelivered}"));
        let unreached = if !is_script {
            None
        } else if self.group.has_reached_nobody() {
            Some("nobody was reached: none of the named peers answered".to_owned())
        } else if self.is_newcomer && !has_reached_somebody {
            Some("nobody was reached: no address of the invite answered".to_owned())
        } else {
            None
        };
        // It ended the run, so the other failures may be its consequences.
        let mut cut_off = self.terminal.failure().filter(|_| self.terminal.is_closed());
        if let Some(why) =
            cut_off.as_mut().filter(|_| is_script && !self.is_sending && !self.terminal.is_input_over())
        {
            why.push_str("; the rest of the input was not read");
        }
        let reasons = [
            self.terminal.input_failure().map(str::to_owned),
            unreceived,
            unsent,
            self.failures.sentence(),
            undelivered,
            unreached,
            self.terminal.failure().filter(|_| cut_off.is_none()),
            unshown,
            idle,
        ];
        let reason = reasons.into_iter().flatten().next();
        // A script that failed elsewhere learns of its failed lines as well.
        let failures = self.failures.sentence().filter(|failures| Some(failures) != reason.as_ref());
        let sentences: Vec<_> = cut_off.into_iter().chain(reason).chain(failures).collect();
        if sentences.is_empty() { Ok(()) } else { Err(Error::Failure(sentences.join("; "))) }
    }
}

/// Opens the file to append the conversation to.
fn open_log(path: &Path) -> Result<LogFile, Error> {
    LogFile::open(path).map_err(|error| {
        let (path, why) = (path.display(), reason(&error));
        let remedy = match error.kind() {
            ErrorKind::NotFound => "create its folder first",
            ErrorKind::PermissionDenied => "name one that you may write",
            _ => "name another file",
        };
        Error::Argument(format!("cannot record to '{path}': {why}; {remedy}"))
    })
}

/// Fills `bytes` from the system's source of randomness.
fn fill_with_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("it worked at the start");
}

fn names(peers: &[PeerInfo]) -> Vec<String> {
    peers.iter().map(|peer| peer.name.to_string()).collect()
}
