//! The loop: one `mio::Poll`, its tokens, the turn, signals and deadlines. The only place that waits.

mod commands;
mod who;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::mem;
use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use chrono::Local;
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH, SIGXFSZ};
use signal_hook::low_level::emulate_default_handler;
use signal_hook_mio::v1_0::Signals;

use crate::command::{self, Source};
use crate::error::{Error, reason};
use crate::group_peer::GroupPeer;
use crate::limits::{COMMAND_CHARS_MAX, EVENTS, MEET_TIMEOUT, SAY_TURN_BYTES, SEND_TIMEOUT};
use crate::protocol::frame::Framing;
use crate::protocol::{LostReason, Notice, Peer, Setup};
use crate::resolver::Resolver;
use crate::server::Server;
use crate::terminal::logfile::LogFile;
use crate::terminal::welcome;
use crate::terminal::{Terminal, Tokens, UiOptions, UserAction};
use crate::unicode;

/// Clients are registered under their ids, which are small; all else stands at the other end.
const SERVER: Token = Token(usize::MAX);
const SIGNALS: Token = Token(usize::MAX - 1);
const TERMINAL: Tokens =
    Tokens { input: Token(usize::MAX - 2), output: Token(usize::MAX - 3), error: Token(usize::MAX - 4) };
const RESOLVER: Token = Token(usize::MAX - 5);

/// How to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// The address to listen on; `None` is all of IPv6 and IPv4.
    pub bind: Option<IpAddr>,
    /// How the others see us.
    pub name: String,
    /// What is spoken to peers that have not spoken yet.
    pub framing: Framing,
    /// Keep running when standard input ends.
    pub stay: bool,
    /// Take part only as the exercise says.
    pub plain: bool,
    /// How many of its last messages each member is asked for.
    pub history: u64,
    /// The peers to connect to, each once.
    pub peers: Vec<Peer>,
    /// The lines that are sent or obeyed instead of those of standard input; the program leaves when the
    /// peers have them.
    pub send: Vec<String>,
    /// How the user is talked with.
    pub view: UiOptions,
    /// The file to which the conversation is appended.
    pub log: Option<PathBuf>,
}

/// Chats until the user leaves.
///
/// # Errors
///
/// [`Error::Argument`] when the address to listen on cannot be used; [`Error::Failure`] when the
/// system fails us, when what was typed reached nobody, or when the conversation could not be shown.
pub fn run(config: Config) -> Result<(), Error> {
    let mut event_loop = EventLoop::new(config)?;
    while event_loop.phase != Phase::Over {
        event_loop.turn()?;
    }
    event_loop.result()
}

/// How far the run is. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The user talks.
    Talking,
    /// There is no more input; those who may be reached in a moment are waited for.
    InputEnded { at: Instant },
    /// We said goodbye, and wait until everybody has it.
    Leaving,
    /// There is nothing left to do.
    Over,
}

/// The lines of a script that failed.
#[derive(Debug, Default)]
struct Failures {
    count: u64,
    /// The first of them, shortened.
    first: String,
}

impl Failures {
    /// A sentence for the end, if any failed.
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
    peer: GroupPeer,
    terminal: Terminal,
    resolver: Resolver,
    phase: Phase,
    stay: bool,
    /// Everything is said, and the peers are to have it before we leave.
    is_sending: bool,
    /// Lines to be taken before those of standard input: what `--send` says, and a line that waits.
    lines: VecDeque<(String, Source)>,
    /// When a peer was named last.
    named_at: Instant,
    /// The peers that were named at the start, and by no command.
    first_peers: Vec<Rc<str>>,
    failures: Failures,
    /// A line that was refused with a question: entered again, it is sent.
    asked: Option<String>,
    /// Who is not known to have got what `--send` sent, when we left.
    lacking: Vec<String>,
    /// Nobody was named or met, and a script has had no line: there was nothing to run for.
    is_idle: bool,
    /// What the last turn asked for: `None` is until something happens.
    next_wait: Option<Duration>,
}

impl EventLoop {
    fn new(config: Config) -> Result<Self, Error> {
        let Config { port, bind, name, framing, stay, plain, history, peers, send, view, log } = config;
        let record = log.map(|path| {
            let record = LogFile::open(&path);
            record.map_err(|error| {
                Error::Argument(format!("cannot record to '{}': {}", path.display(), reason(&error)))
            })
        });
        let record = record.transpose()?;
        let mut server = Server::listen(bind, port)?;
        let address = server.address();
        let failed = |error| Error::Failure(format!("cannot start: {}", reason(&error)));
        let poll = Poll::new().map_err(failed)?;
        server.register(poll.registry(), SERVER).map_err(failed)?;
        let signals = [SIGINT, SIGTERM, SIGHUP, SIGXFSZ, SIGWINCH, SIGCONT];
        let mut signals = Signals::new(signals).map_err(failed)?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE).map_err(failed)?;
        let takes_input = send.is_empty();
        let terminal = Terminal::new(poll.registry(), TERMINAL, name.clone(), view, record, takes_input);
        let terminal = terminal.map_err(failed)?;
        if terminal.is_interactive() {
            // A terminal that we have changed is given back before these do what they do.
            [SIGTSTP, SIGQUIT].iter().try_for_each(|signal| signals.add_signal(*signal)).map_err(failed)?;
        }
        let is_idle = takes_input && peers.is_empty() && terminal.is_script();
        let first_peers = peers.iter().map(|peer| Rc::clone(&peer.name)).collect();
        let names_peers = !peers.is_empty();
        let welcome = if terminal.is_interactive() {
            welcome::lines(address, server.reachable_ip(), names_peers)
        } else {
            Vec::new()
        };
        let setup = Setup { name, port: address.port(), silent: framing, is_plain: plain, history, peers };
        let now = Instant::now();
        let mut event_loop = Self {
            poll,
            events: Events::with_capacity(EVENTS),
            signals,
            peer: GroupPeer::new(server, setup, now),
            terminal,
            resolver: Resolver::new(RESOLVER, None),
            phase: Phase::Talking,
            stay,
            is_sending: !takes_input,
            lines: send.into_iter().map(|line| (line, Source::Verbatim)).collect(),
            named_at: now,
            first_peers,
            failures: Failures::default(),
            asked: None,
            lacking: Vec::new(),
            is_idle,
            // The first turn does all that needs no event.
            next_wait: Some(Duration::ZERO),
        };
        event_loop.terminal.show_listening(event_loop.peer.id(), address);
        welcome.iter().for_each(|line| event_loop.terminal.reply(line));
        if names_peers {
            event_loop.terminal.expect_group();
        }
        Ok(event_loop)
    }

    /// Wait, take in, flush, ask, reap.
    fn turn(&mut self) -> Result<(), Error> {
        self.wait()?;
        let now = Instant::now();
        self.take_in(now)?;
        self.peer.flush(now);
        self.show(now);
        if self.terminal.awaits_group() && !self.peer.is_reaching_out(now, now) {
            self.terminal.handle_all_met();
        }
        self.terminal.flush(now);
        self.next_wait = self.next_timeout();
        self.peer.reap(self.poll.registry());
        if self.peer.has_left() && self.peer.readable_count() == 0 && self.terminal.is_done(now) {
            self.phase = Phase::Over;
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<(), Error> {
        match self.poll.poll(&mut self.events, self.next_wait) {
            // What a signal brings is in its own pipe, and will be seen in the next turn.
            Err(error) if error.kind() == ErrorKind::Interrupted => self.events.clear(),
            Err(error) => return Err(Error::Failure(format!("cannot wait for events: {}", reason(&error)))),
            Ok(()) => (),
        }
        Ok(())
    }

    fn take_in(&mut self, now: Instant) -> Result<(), Error> {
        let mut has_signals = false;
        for event in &self.events {
            match event.token() {
                SERVER => self.peer.handle_server_event(),
                SIGNALS => has_signals = true,
                RESOLVER => self.resolver.handle_event(now, self.poll.registry()),
                token if token >= TERMINAL.error => self.terminal.handle_event(event),
                _ => self.peer.handle_client_event(event, now),
            }
        }
        if has_signals {
            self.take_signals(now)?;
        }
        self.terminal.handle_time(now);
        self.peer.handle_time(now, self.poll.registry());
        self.take_resolved(now);
        self.take_from_peers(now);
        self.take_lines(now);
        if self.nobody_reads() || self.is_done(now) {
            self.leave(now);
        }
        Ok(())
    }

    /// Whether there is no more to say, and nothing to wait for.
    fn is_done(&self, now: Instant) -> bool {
        let Phase::InputEnded { at } = self.phase else { return false };
        let is_owed = self.is_sending && !self.peer.still_owed().is_empty()
            || self.terminal.is_script() && self.peer.has_private_pending();
        let is_waiting = is_owed && now < at + SEND_TIMEOUT;
        !is_waiting && self.resolver.is_idle() && !self.is_reaching_out(now, at)
    }

    /// Whether what was said may reach somebody else in a moment, as far as that is waited for after
    /// `since`.
    fn is_reaching_out(&self, now: Instant, since: Instant) -> bool {
        let is_silence_awaited = self.peer.said() > 0 && self.peer.silence_ends(now).is_some();
        is_silence_awaited || self.peer.is_reaching_out(now, since)
    }

    /// Whether a line of a script has to wait, and all behind it with it: while a peer that the script
    /// named is looked up; and a command that depends on who is in the group while the group is first
    /// being met.
    fn must_wait(&self, line: &str, now: Instant) -> bool {
        if !self.terminal.is_script() {
            return false;
        }
        let needs_group = || command::read(line, Source::Typed).is_ok_and(|command| command.needs_group());
        let is_meeting = || {
            now < self.named_at + MEET_TIMEOUT
                && (self.peer.silence_ends(now).is_some() || self.peer.is_reaching_out(now, self.named_at))
        };
        !self.resolver.is_idle() || needs_group() && is_meeting()
    }

    /// Whether the conversation has lost its reader, who will miss nothing if we leave.
    fn nobody_reads(&self) -> bool {
        self.phase < Phase::Leaving && self.terminal.is_closed()
    }

    /// The first signal says goodbye; a further one waits for nobody. A hang-up is no such wish: one
    /// comes from the terminal and another from the shell that ends with it.
    fn take_signals(&mut self, now: Instant) -> Result<(), Error> {
        let signals: Vec<_> = self.signals.pending().collect();
        for signal in signals {
            match signal {
                // A file at its limit: writing to it fails as well, and that is where it is handled.
                SIGXFSZ => continue,
                // They tell that something has changed, and not what.
                SIGWINCH | SIGCONT => {
                    if signal == SIGCONT {
                        self.terminal.go_on();
                    }
                    self.terminal.resize(now);
                    continue;
                }
                SIGTSTP | SIGQUIT => {
                    self.do_as_usual(signal, now);
                    continue;
                }
                _ => (),
            }
            if self.phase < Phase::Leaving {
                self.leave(now);
            } else if signal != SIGHUP {
                let sentence = "ended at once: not everybody may have got everything that was sent";
                return Err(Error::Failure(sentence.to_owned()));
            }
        }
        Ok(())
    }

    /// Does what a signal does by itself, with the terminal as it was.
    fn do_as_usual(&mut self, signal: i32, now: Instant) {
        self.terminal.stop(now);
        // It fails for signals that do not exist.
        let _ = emulate_default_handler(signal);
        self.terminal.resume();
    }

    /// While the conversation cannot be shown, it is left with those who say it. Once we leave it is
    /// read all the same, and no more heard of who says it: closing with something unread would send
    /// a reset, and that can destroy our last words.
    fn take_from_peers(&mut self, now: Instant) {
        if !self.terminal.is_full() {
            // Before reading: a connection to oneself is noticed where it is accepted.
            self.peer.accept(now, self.poll.registry());
        }
        for _ in 0..self.peer.readable_count() {
            match (self.terminal.is_full(), self.phase) {
                (false, _) => self.peer.read_next(now),
                (true, Phase::Leaving) => self.peer.discard_next(now),
                (true, _) => return,
            }
            self.show(now);
        }
    }

    /// One read of lines, and as many of them as the log has room for.
    fn take_lines(&mut self, now: Instant) {
        let limit = self.peer.say_limit(now).min(self.peer.said() + SAY_TURN_BYTES as u64);
        let shows_own = self.terminal.shows_own();
        let (mut at, mut may_read) = (None, true);
        while self.phase == Phase::Talking && self.peer.said() <= limit {
            if let Some((line, source)) = self.lines.pop_front() {
                if self.must_wait(&line, now) {
                    self.lines.push_front((line, source));
                    return;
                }
                self.take_line(line, source, now);
                continue;
            }
            if self.is_sending {
                break;
            }
            match self.terminal.next_action() {
                // Most of what a script says is neither a command nor seen here.
                Some(UserAction::Line(line, _))
                    if !shows_own && self.resolver.is_idle() && command::is_plain(&line) =>
                {
                    if !unicode::is_blank(&line) {
                        self.is_idle = false;
                        // All that was read at once was said at once.
                        let at = *at.get_or_insert_with(|| Local::now().fixed_offset());
                        self.peer.say(&line, at);
                    }
                }
                Some(UserAction::Line(line, source)) => {
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
                Some(UserAction::Leave) => self.end_typing(now),
                None if mem::take(&mut may_read) => self.terminal.read_input(self.poll.registry(), now),
                None => break,
            }
        }
        let is_over = self.is_sending || self.terminal.is_input_over() && !self.stay;
        if self.phase == Phase::Talking && is_over && self.lines.is_empty() {
            self.phase = Phase::InputEnded { at: now };
        }
    }

    /// The user has said everything. A person who said something is told what is still waited for; a
    /// script waits as at the end of its input.
    fn end_typing(&mut self, now: Instant) {
        self.terminal.give_back();
        if self.terminal.is_script() {
            self.phase = Phase::InputEnded { at: now };
            return;
        }
        if self.peer.said() == 0 || !self.is_reaching_out(now, now) {
            return self.leave(now);
        }
        self.phase = Phase::InputEnded { at: now };
        self.terminal.report("waiting for those who are being reached; Ctrl+C leaves at once");
    }

    fn leave(&mut self, now: Instant) {
        self.phase = Phase::Leaving;
        if self.terminal.is_script() {
            self.fail_what_is_open();
        }
        if self.is_sending {
            self.lacking = self.peer.still_owed().iter().map(|who| who.name.to_string()).collect();
        }
        self.terminal.leave(now);
        self.peer.leave(now, Local::now().fixed_offset());
    }

    /// Lines of a script that did not do what they should by now.
    fn fail_what_is_open(&mut self) {
        for (line, _) in mem::take(&mut self.lines) {
            self.fail(&line, "the chat ended before the group was met");
        }
        for peer in self.peer.unreached() {
            if !self.first_peers.contains(&peer) {
                self.fail(&format!("/connect {peer}"), "it was never reached");
            }
        }
    }

    /// A command could not do what it should, and why: the user sees it; that a script's did is a failure.
    fn fail(&mut self, line: &str, why: &str) {
        if !self.terminal.is_script() {
            return self.terminal.reply(why);
        }
        let start = shortened(line);
        self.terminal.reply(&format!("'{start}' failed: {why}"));
        if self.failures.count == 0 {
            self.failures.first = start;
        }
        self.failures.count += 1;
    }

    fn show(&mut self, now: Instant) {
        while let Some(notice) = self.peer.poll_output() {
            self.is_idle = false;
            if self.is_sending
                && let Some(who) = self.lacks(&notice)
                && !self.lacking.contains(&who)
            {
                self.lacking.push(who);
            }
            self.terminal.show(&notice, now);
        }
    }

    /// Who did not get what was sent, or may not have, according to `notice`.
    fn lacks(&self, notice: &Notice) -> Option<String> {
        match notice {
            Notice::Undelivered { who, .. } | Notice::Silent { who } => Some(who.name.to_string()),
            Notice::Lost { who, .. } | Notice::NamedLost { who, .. } if self.phase == Phase::Leaving => {
                Some(who.name.to_string())
            }
            Notice::Visited { address, why: LostReason::Stalled(_) | LostReason::Overrun } => {
                Some(address.to_string())
            }
            Notice::Connected { peer, missed: 1.., .. } => Some(peer.to_string()),
            Notice::Message { .. }
            | Notice::Joined { .. }
            | Notice::Back { .. }
            | Notice::Renamed { .. }
            | Notice::Missed { .. }
            | Notice::Present
            | Notice::Left { .. }
            | Notice::Lost { .. }
            | Notice::Appeared { .. }
            | Notice::Identified { .. }
            | Notice::NamedLost { .. }
            | Notice::Visited { .. }
            | Notice::MoreVisitors { .. }
            | Notice::Accepted { .. }
            | Notice::Connected { .. }
            | Notice::Unreachable { .. }
            | Notice::Oneself { .. }
            | Notice::Forgotten { .. }
            | Notice::NameTaken { .. }
            | Notice::Impostor { .. }
            | Notice::Unheard { .. }
            | Notice::CannotAccept(_) => None,
        }
    }

    /// How long the next wait may be: not at all while there is something to do that no event will
    /// tell of.
    fn next_timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        let can_take = !self.terminal.is_full() || self.phase == Phase::Leaving;
        let waits = self.lines.front().is_some_and(|(line, _)| self.must_wait(line, now));
        let can_say = self.phase == Phase::Talking && !waits && self.peer.said() <= self.peer.say_limit(now);
        let has_work = self.nobody_reads()
            || self.peer.has_more_to_write()
            || self.terminal.has_more_to_show()
            || can_take && self.peer.has_more_to_take()
            || can_say && (self.terminal.has_input() || !self.lines.is_empty());
        if has_work {
            return Some(Duration::ZERO);
        }
        let leave = self.terminal.leave_deadline().filter(|_| self.peer.has_left());
        let (wait_ends, is_waiting) = match self.phase {
            Phase::InputEnded { at } => (Some(at + SEND_TIMEOUT), true),
            Phase::Talking if waits => (Some(self.named_at + MEET_TIMEOUT), true),
            Phase::Talking | Phase::Leaving | Phase::Over => (None, false),
        };
        let wait_ends = wait_ends.filter(|at| now < *at);
        let silence = self.peer.silence_ends(now).filter(|_| is_waiting);
        let look_up = self.resolver.deadline();
        let deadlines = [self.peer.deadline(), self.terminal.deadline(), leave, silence, wait_ends, look_up];
        let deadline = deadlines.into_iter().flatten().min()?;
        Some(deadline.saturating_duration_since(now))
    }

    /// How it went.
    fn result(self) -> Result<(), Error> {
        let unheard = self.peer.unheard().map(|count| match count {
            1 => "nobody was reached: the message is lost".to_owned(),
            _ => format!("nobody was reached: all {count} messages are lost"),
        });
        let unshown = (self.peer.discarded_bytes() > 0)
            .then(|| "standard output took too little: what others said last is not shown".to_owned());
        let unsent = (!self.lacking.is_empty())
            .then(|| format!("not everybody has it, as far as is known: {}", self.lacking.join(", ")));
        // A signal is somebody who wants it to end.
        let idle = (self.is_idle && self.terminal.is_input_over()).then(|| {
            "standard input ended at once, and nothing was sent or received; --stay keeps running without it"
                .to_owned()
        });
        let is_script = self.terminal.is_script();
        let undelivered = self.peer.private_undelivered();
        let undelivered = (is_script && !undelivered.is_empty()).then(|| {
            let names = undelivered.iter().map(|who| who.name.to_string()).collect::<Vec<_>>().join(", ");
            format!("a private message was not delivered, as far as is known: {names}")
        });
        let unreached = (is_script && self.peer.has_reached_nobody())
            .then(|| "nobody was reached: no peer that was named answered".to_owned());
        let reasons = [
            self.terminal.input_failure().map(str::to_owned),
            unheard,
            unsent,
            self.failures.sentence(),
            undelivered,
            unreached,
            self.terminal.failure(),
            unshown,
            idle,
        ];
        match reasons.into_iter().flatten().next() {
            Some(sentence) => Err(Error::Failure(sentence)),
            None => Ok(()),
        }
    }
}

/// The start of a line, for a sentence that quotes it.
fn shortened(line: &str) -> String {
    let first = line.lines().next().unwrap_or_default();
    match first.char_indices().nth(COMMAND_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &first[..end]),
        None => first.to_owned(),
    }
}
