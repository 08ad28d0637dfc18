//! The user interface on standard input, output and error. The only place that reads standard input or
//! prints; text from peers is sanitized before it is printed.

pub mod backlog;
pub mod clock;
pub mod descriptor;
pub mod editor;
pub mod format;
pub mod ignore_list;
pub mod json;
pub mod keys;
pub mod layout;
pub mod line_ui;
pub mod logfile;
pub mod mention;
pub mod output;
pub mod palette;
mod peer_list;
pub mod presence;
pub mod prompt;
pub mod raw_mode;
pub mod screen;
pub mod speakers;
pub mod stderr;
pub mod stdin;
pub mod tab_completion;
pub mod unmarked_paste;
pub mod welcome;
pub mod wrap;

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Read as _, Write as _};
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Instant;

use chrono::{DateTime, FixedOffset, Local};
use mio::event::Event as Readiness;
use mio::{Registry, Token};

use crate::command::Source;
use crate::error::{Error, reason};
use crate::limits::{LEAVE_STALL_TIMEOUT, MESSAGE_BYTES_MAX, STDOUT_QUEUE_BYTES};
use crate::protocol::roster::RosterEntry;
use crate::protocol::{Diagnostic, Event, MemberId, PeerInfo};
use crate::sanitize::push_sanitized;
use crate::unicode;
use crate::wire::frame::{escaped_bytes, lossy};
use clock::TimeFormat;
use format::{Channel, Format, Formatter};
use ignore_list::IgnoreList;
use json::JsonPeers;
use layout::Size;
use line_ui::{DrawOptions, LineUi};
use logfile::{ConversationLog, LogFile};
use output::Output;
use palette::Styling;
use peer_list::ShownEntry;
use presence::{Line, Presence};
use raw_mode::RawModeGuard;
use speakers::Speakers;
use stderr::Stderr;
use stdin::Stdin;
use tab_completion::Known;

pub use line_ui::UserAction;

/// The poll tokens of the three standard streams.
#[derive(Clone, Copy, Debug)]
pub struct Tokens {
    /// Standard input.
    pub input: Token,
    /// Standard output.
    pub output: Token,
    /// Standard error.
    pub error: Token,
}

/// Options of the user interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UiOptions {
    /// Whether to use colours; `None` uses them where standard output is a terminal.
    pub has_colors: Option<bool>,
    /// Whether the bell rings for mentions and private messages.
    pub has_bell: bool,
    /// The format of times; `None` chooses the default of the output mode.
    pub time_format: Option<TimeFormat>,
    /// Whether standard output carries JSON.
    pub is_json: bool,
}

/// Standard input, output and error.
#[derive(Debug)]
pub struct Terminal {
    stdin: Stdin,
    conversation: Output,
    stderr: Stderr,
    mode: OutputMode,
    formatter: Formatter,
    log: Option<ConversationLog>,
    ignored: IgnoreList,
    speakers: Speakers,
    /// Collects joins and leaves, in interactive mode.
    presence: Presence,
    tokens: Tokens,
    /// Lines come from a file, a pipe or the command line.
    is_script: bool,
    /// Events that were skipped while the program was in the background of its terminal.
    skipped: u64,
    /// The error that ended standard input.
    input_failure: Option<String>,
    /// Since when queued output makes no progress.
    stalled_since: Option<Instant>,
}

/// The mode of standard output.
#[derive(Debug)]
enum OutputMode {
    /// Lines of text; at a terminal, wrapped to so many columns.
    Lines { columns: Option<usize> },
    /// JSON events.
    Json(JsonPeers),
    /// Interactive: a terminal with a prompt below the conversation.
    LineUi(Box<LineUi>),
}

impl Terminal {
    /// Opens the three standard streams and registers them with the poll.
    ///
    /// # Errors
    ///
    /// The error of the system call that failed.
    pub fn new(
        registry: &Registry,
        tokens: Tokens,
        name: String,
        options: UiOptions,
        log: Option<LogFile>,
        takes_input: bool,
    ) -> io::Result<Self> {
        let UiOptions { has_colors, has_bell, time_format, is_json } = options;
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let conversation = Output::new(stdout.as_fd(), registry, tokens.output)?;
        let stderr = if is_json || descriptor::is_same_place(stdout.as_fd(), stderr.as_fd()) {
            None
        } else {
            Some(Output::new(stderr.as_fd(), registry, tokens.error)?)
        };
        let stdin_lines = Stdin::new(registry, tokens.input)?;
        let is_screen = descriptor::can_draw(stdout.as_fd());
        let has_colors = has_colors.unwrap_or(is_screen);
        let is_interactive = takes_input && !is_json && is_screen && stdin.is_terminal();
        let format = Format {
            styling: match (has_colors, is_interactive) {
                (true, _) => Styling::Colors,
                (false, true) => Styling::Weights,
                (false, false) => Styling::Plain,
            },
            is_live: is_interactive,
            finds_mentions: has_colors || is_interactive,
            expands_tabs: stdout.is_terminal(),
            time_format: time_format.unwrap_or_else(|| {
                if is_interactive { TimeFormat::clock() } else { TimeFormat::date_and_time() }
            }),
        };
        let mode = if is_interactive {
            let raw_mode = RawModeGuard::new(stdin.as_fd(), stdout.as_fd())?;
            let draw_options = DrawOptions { has_colors, has_bell, reflows: descriptor::reflows() };
            OutputMode::LineUi(LineUi::new(raw_mode, name.clone(), draw_options).into())
        } else if is_json {
            OutputMode::Json(JsonPeers::default())
        } else {
            OutputMode::Lines { columns: stdout.is_terminal().then(|| descriptor::size(&stdout).columns) }
        };
        let now = Local::now();
        Ok(Self {
            stdin: stdin_lines,
            conversation,
            stderr: Stderr::new(stderr),
            mode,
            formatter: Formatter::new(format, name.clone(), now),
            log: log.map(|file| ConversationLog::new(file, name, now)),
            ignored: IgnoreList::default(),
            speakers: Speakers::default(),
            presence: Presence::default(),
            tokens,
            is_script: !takes_input || !stdin.is_terminal(),
            skipped: 0,
            input_failure: None,
            stalled_since: None,
        })
    }

    /// Handles a poll event of one of the streams.
    pub fn handle_readiness(&mut self, event: &Readiness) {
        let token = event.token();
        if token == self.tokens.input {
            self.stdin.handle_event();
        } else if token == self.tokens.output {
            self.conversation.handle_readiness(event);
        } else if let Some(stderr) = self.stderr.own() {
            stderr.handle_readiness(event);
        }
    }

    /// The list of ignored peers.
    pub fn ignored(&mut self) -> &mut IgnoreList {
        &mut self.ignored
    }

    /// The order in which peers last sent a message.
    #[must_use]
    pub fn speakers(&self) -> &Speakers {
        &self.speakers
    }

    /// Whether the user's own messages are shown or recorded.
    #[must_use]
    pub fn shows_own(&self) -> bool {
        self.is_interactive() || self.log.is_some()
    }

    /// Changes the user's name.
    pub fn set_name(&mut self, name: &str) {
        self.formatter.set_own_name(name.to_owned());
        if let Some(log) = &mut self.log {
            log.set_own_name(name.to_owned());
        }
        if let OutputMode::LineUi(line_ui) = &mut self.mode {
            line_ui.set_name(name.to_owned());
        }
    }

    /// Whether a user types at a terminal.
    #[must_use]
    pub fn is_interactive(&self) -> bool {
        matches!(self.mode, OutputMode::LineUi(_))
    }

    /// Whether lines come from a file, a pipe or the command line.
    #[must_use]
    pub fn is_script(&self) -> bool {
        self.is_script
    }

    /// Whether standard output carries JSON.
    fn is_json(&self) -> bool {
        matches!(self.mode, OutputMode::Json(_))
    }

    /// The user's name.
    #[must_use]
    pub fn own_name(&self) -> &str {
        self.formatter.own_name()
    }

    /// The size of the terminal, in interactive mode.
    fn size(&self) -> Option<Size> {
        if let OutputMode::LineUi(line_ui) = &self.mode { Some(line_ui.size()) } else { None }
    }

    /// Whether the queue of standard output is full, so that nothing more should be read from peers.
    #[must_use]
    pub fn is_full(&self) -> bool {
        // Interactive mode and the background skip lines instead of making peers wait.
        let skips = self.is_interactive() || self.conversation.is_in_background();
        !skips && self.conversation.waiting_bytes() >= STDOUT_QUEUE_BYTES
    }

    /// Whether standard output is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.conversation.closed().is_some()
    }

    /// The next action of the user, until `None`.
    pub fn next_action(&mut self) -> Option<UserAction<'_>> {
        match &mut self.mode {
            OutputMode::LineUi(line_ui) => line_ui.poll(),
            OutputMode::Lines { .. } | OutputMode::Json(_) => {
                self.stdin.next_line().map(|(line, source)| UserAction::Submit(line, source))
            }
        }
    }

    /// Completes the text before the cursor. Returns whether the text is `/reply ` now.
    pub fn complete(&mut self, known: Known<'_>) -> bool {
        let OutputMode::LineUi(line_ui) = &mut self.mode else { return false };
        line_ui.complete(known)
    }

    /// Clears the screen. Returns `false` where output is not interactive.
    pub fn clear_screen(&mut self) -> bool {
        let OutputMode::LineUi(line_ui) = &mut self.mode else { return false };
        line_ui.clear();
        true
    }

    /// Discards the rest of the line of standard input of which a piece was handled last.
    pub fn discard_line(&mut self) {
        self.stdin.discard_line();
    }

    /// Puts a refused line back into the editor. If the user has typed something since, the line is only in
    /// the history. Does nothing where input is not interactive.
    pub fn restore_draft(&mut self, line: String, source: Source) {
        if let OutputMode::LineUi(line_ui) = &mut self.mode {
            line_ui.restore_draft(line, source);
        }
    }

    /// Replaces the text in the editor.
    pub fn replace_text(&mut self, text: String) {
        if let OutputMode::LineUi(line_ui) = &mut self.mode {
            line_ui.replace_text(text);
        }
    }

    /// Whether there may be a line, or bytes to read, that no event will announce.
    #[must_use]
    pub fn has_input(&self) -> bool {
        match &self.mode {
            OutputMode::LineUi(line_ui) => {
                line_ui.has_keys() || line_ui.owns_terminal() && self.stdin.is_ready()
            }
            OutputMode::Lines { .. } | OutputMode::Json(_) => self.stdin.is_ready(),
        }
    }

    /// Whether standard input has ended and every line was handled.
    #[must_use]
    pub fn is_input_over(&self) -> bool {
        self.stdin.is_over()
    }

    /// Reads standard input once.
    pub fn read_input(&mut self, registry: &Registry, now: Instant) {
        if let OutputMode::LineUi(line_ui) = &self.mode
            && !line_ui.owns_terminal()
        {
            // In the background, the input is meant for another program, and reading would stop this one.
            return;
        }
        if let Some(trouble) = self.stdin.read(registry, now) {
            self.report(&trouble);
            self.input_failure = Some(trouble);
        }
        if let OutputMode::LineUi(line_ui) = &mut self.mode {
            line_ui.handle_bytes(self.stdin.take_bytes(), now);
        }
    }

    /// Reads the size of the terminal, which may have changed.
    pub fn resize(&mut self, now: Instant) {
        match &mut self.mode {
            OutputMode::LineUi(line_ui) => line_ui.resize(now),
            OutputMode::Lines { columns: Some(columns) } => *columns = descriptor::size(io::stdout()).columns,
            OutputMode::Lines { columns: None } | OutputMode::Json(_) => (),
        }
    }

    /// Releases the terminal before the program is stopped.
    pub fn suspend(&mut self, now: Instant) {
        if let OutputMode::LineUi(line_ui) = &mut self.mode {
            line_ui.erase(self.conversation.queue());
            self.conversation.flush(now);
            line_ui.suspend();
        }
    }

    /// Handles SIGCONT: the program was stopped and runs again.
    pub fn handle_continue(&mut self) {
        self.stdin.handle_continue();
        self.conversation.handle_continue();
        if let Some(stderr) = self.stderr.own() {
            stderr.handle_continue();
        }
        if let OutputMode::LineUi(line_ui) = &mut self.mode {
            line_ui.handle_continue(self.conversation.queue());
        }
    }

    /// Takes the terminal back after [`suspend`](Self::suspend).
    pub fn resume(&mut self) {
        if let OutputMode::LineUi(line_ui) = &mut self.mode {
            line_ui.resume();
        }
    }

    /// Handles deadlines that have passed.
    pub fn handle_time(&mut self, now: Instant) {
        self.stdin.handle_time(now);
        if let OutputMode::LineUi(line_ui) = &mut self.mode {
            line_ui.handle_time(now);
            // Unread bytes may continue an unfinished sequence.
            if !self.stdin.is_ready() {
                line_ui.expire_keys(now);
            }
            self.presence.handle_time(now);
            self.show_presence();
        }
    }

    /// A peer that the user named is connected, and no member was met yet: the members that join next are those of
    /// an existing group, and are shown as a list.
    pub fn expect_group(&mut self) {
        self.presence.expect_group();
    }

    /// Whether the members of the group that the user joins are awaited, or still being collected.
    #[must_use]
    pub fn is_meeting_group(&self) -> bool {
        self.presence.is_meeting_group()
    }

    /// Shows the collected members: every member of the group that the user joined is connected.
    pub fn handle_group_met(&mut self) {
        self.presence.handle_group_met();
        self.show_presence();
    }

    /// Whether there is something to draw that no event will announce.
    #[must_use]
    pub fn has_more_to_show(&self) -> bool {
        let OutputMode::LineUi(line_ui) = &self.mode else { return false };
        line_ui.has_more() && self.conversation.waiting_bytes() == 0 && !self.is_closed()
    }

    /// Draws, and writes the queues as far as the streams accept bytes.
    pub fn flush(&mut self, now: Instant) {
        if let Some(sentence) = self.stderr.poll_dropped(&self.conversation) {
            self.report(&sentence);
        }
        if let OutputMode::LineUi(line_ui) = &mut self.mode
            && self.conversation.waiting_bytes() == 0
            && self.conversation.closed().is_none()
        {
            line_ui.draw(now, self.conversation.queue());
        }
        let mut written = self.conversation.flush(now);
        if !self.conversation.is_in_background() && self.skipped > 0 {
            let count = mem::take(&mut self.skipped);
            self.report(&format!("{count} lines were skipped while this was in the background"));
        }
        if let Some(sentence) = self.stderr.poll_full(&self.conversation) {
            self.report(&sentence);
        }
        written += self.stderr.own().map_or(0, |stderr| stderr.flush(now));
        if let Some(trouble) = self.log.as_mut().and_then(|log| log.flush(now)) {
            self.report(&trouble);
        }
        if self.waiting_bytes() == 0 {
            self.stalled_since = None;
        } else if written > 0 || self.stalled_since.is_none() {
            self.stalled_since = Some(now);
        }
    }

    /// The next deadline, which [`handle_time`](Self::handle_time) and [`flush`](Self::flush) handle.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let stderr = self.stderr.output().and_then(Output::deadline);
        let record = self.log.as_ref().and_then(ConversationLog::deadline);
        let (mut user, mut keys) = (None, None);
        if let OutputMode::LineUi(line_ui) = &self.mode {
            user = line_ui.deadline();
            keys = line_ui.keys_deadline().filter(|_| !self.stdin.is_ready());
        }
        let streams = [self.stdin.deadline(), self.conversation.deadline(), stderr];
        let presence = self.presence.deadline();
        streams.into_iter().chain([record, user, keys, presence]).flatten().min()
    }

    /// Ends the input: removes the prompt and restores the terminal's modes.
    pub fn restore(&mut self) {
        if let OutputMode::LineUi(line_ui) = &mut self.mode {
            line_ui.leave(self.conversation.queue());
        }
    }

    /// Starts to leave: from now on, output that makes no progress has a deadline.
    pub fn leave(&mut self, now: Instant) {
        self.presence.end();
        self.show_presence();
        self.restore();
        self.conversation.leave();
        if let Some(stderr) = self.stderr.own() {
            stderr.leave();
        }
        self.stalled_since = self.stalled_since.map(|_| now);
    }

    /// While leaving: when to give up on output that makes no progress.
    #[must_use]
    pub fn leave_deadline(&self) -> Option<Instant> {
        Some(self.stalled_since? + LEAVE_STALL_TIMEOUT)
    }

    /// While leaving: whether all output was written or given up.
    #[must_use]
    pub fn is_drained(&self, now: Instant) -> bool {
        self.waiting_bytes() == 0 || self.leave_deadline().is_some_and(|deadline| now >= deadline)
    }

    /// The error that ended standard input.
    #[must_use]
    pub fn input_failure(&self) -> Option<&str> {
        self.input_failure.as_deref()
    }

    /// The error message for the exit, if some output was never written.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let bytes = self.conversation_bytes();
        let conversation = match (self.conversation.closed(), self.conversation.full()) {
            (Some(Some(why)), _) => Some(format!("cannot write standard output: {why}")),
            // The terminal was closed, which is a way to leave.
            (Some(None), _) if self.conversation.is_terminal() => None,
            (Some(None), _) => Some("standard output was closed by its reader".to_owned()),
            (None, _) if bytes == 0 => None,
            (None, Some(why)) => Some(format!("cannot write standard output: {why}; {bytes} bytes are lost")),
            (None, None) => Some(format!("standard output was not read in time; {bytes} bytes are lost")),
        };
        let log = || self.log.as_ref().and_then(ConversationLog::failure);
        conversation.or_else(log).or_else(|| {
            let stderr = self.stderr.output()?;
            let why = stderr.closed().flatten().or(stderr.full())?;
            Some(format!("cannot write standard error: {why}"))
        })
    }

    fn conversation_bytes(&self) -> usize {
        if self.conversation.closed().is_some() {
            return 0;
        }
        let backlog = if let OutputMode::LineUi(line_ui) = &self.mode { line_ui.waiting_bytes() } else { 0 };
        self.conversation.waiting_bytes() + backlog
    }

    fn waiting_bytes(&self) -> usize {
        self.conversation_bytes() + self.stderr.output().map_or(0, Output::waiting_bytes)
    }

    /// Shows an event of the group: on standard output or error, and in the log file.
    pub fn show_event(&mut self, event: &Event, now: Instant) {
        let is_ignored = self.ignored.hides(event);
        if let OutputMode::Json(peers) = &mut self.mode {
            let (missed, shown) = peers.handle_event(event, is_ignored);
            missed.iter().chain(shown).for_each(|event| self.show_now(event));
        }
        if is_ignored {
            return;
        }
        // A pipe has no completion: only the sender of a private message is needed, for /reply.
        if self.is_interactive() || matches!(event, Event::Message { is_private: true, .. }) {
            self.speakers.handle_event(event);
        }
        if let Some(log) = &mut self.log {
            log.push(event);
        }
        let is_on_screen = format::channel(event) == Channel::Stdout || !self.stderr.is_apart();
        if self.is_interactive() && is_on_screen {
            let is_kept = self.presence.push(event, now);
            self.show_presence();
            if is_kept {
                return;
            }
        }
        if !self.is_json() {
            self.show_now(event);
        }
    }

    /// Shows the collected joins and leaves.
    fn show_presence(&mut self) {
        let columns = self.size().map_or(0, |size| size.columns);
        while let Some(line) = self.presence.poll(columns) {
            match line {
                Line::Event(event) => self.show_now(&event),
                Line::Change(sentence) => self.show_presence_change(&sentence),
                Line::Summary(sentence) => self.reply(&sentence),
            }
        }
    }

    /// Shows a line about several peers that have joined or gone.
    fn show_presence_change(&mut self, sentence: &str) {
        if let OutputMode::LineUi(line_ui) = &mut self.mode {
            let mut line = Vec::new();
            self.formatter.push_event(sentence, &mut line);
            line_ui.push(&line);
        } else {
            self.report(sentence);
        }
    }

    fn show_now(&mut self, event: &Event) {
        let skips = self.skips_conversation();
        let channel = match (event, &self.mode) {
            // A terminal shows when a peer was lost, as it does of all others.
            (Event::Diagnostic(Diagnostic::NamedLost { .. }), OutputMode::LineUi(_))
                if !self.stderr.is_apart() =>
            {
                Channel::Stdout
            }
            _ => format::channel(event),
        };
        match (&mut self.mode, channel) {
            _ if self.conversation.closed().is_some() => (),
            (OutputMode::Json(_), _) | (OutputMode::Lines { .. }, Channel::Stdout) if skips => {
                self.skipped += 1
            }
            (OutputMode::Json(_), _) => json::push(event, self.conversation.queue()),
            (OutputMode::Lines { columns: None }, Channel::Stdout) => {
                self.formatter.push(event, self.conversation.queue());
            }
            (OutputMode::Lines { columns: Some(columns) }, Channel::Stdout) => {
                let mut lines = Vec::new();
                self.formatter.push(event, &mut lines);
                wrap::push_wrapped(&lines, *columns, self.conversation.queue());
            }
            (OutputMode::LineUi(line_ui), Channel::Stdout) => {
                let mut lines = Vec::new();
                let concerns_user = self.formatter.push(event, &mut lines);
                line_ui.push(&lines);
                if concerns_user {
                    line_ui.ring();
                }
            }
            (_, Channel::Stderr) => self.report(&format::sentence(event)),
            (OutputMode::Lines { .. } | OutputMode::LineUi(_), Channel::Scripts) => (),
        }
    }

    /// Whether events are skipped: the program is in the background, and the queue is full.
    fn skips_conversation(&self) -> bool {
        self.conversation.is_in_background() && self.conversation.waiting_bytes() >= STDOUT_QUEUE_BYTES
    }

    /// Shows and records the user's own message, to everybody or privately `to` one peer.
    pub fn show_own(&mut self, at: DateTime<FixedOffset>, to: Option<&PeerInfo>, text: &str) {
        if let Some(log) = &mut self.log {
            log.push_own(at, to, text);
        }
        if let Some(to) = to {
            self.presence.flush_of(to);
            self.show_presence();
        }
        if let OutputMode::LineUi(line_ui) = &mut self.mode {
            let mut lines = Vec::new();
            self.formatter.push_own(at, to, text, &mut lines);
            line_ui.push(&lines);
        }
    }

    /// Shows a diagnostic: on standard error, or in the conversation if both are the same file.
    pub fn report(&mut self, sentence: &str) {
        let mut line = Vec::new();
        match (&mut self.mode, self.stderr.is_apart()) {
            (OutputMode::Json(_), _) => {
                json::push_report(sentence, &mut line);
                self.stderr.push(&line, &mut self.conversation);
            }
            (OutputMode::LineUi(line_ui), false) => {
                self.formatter.push_report(sentence, &mut line);
                line_ui.push(&line);
            }
            (OutputMode::Lines { columns: Some(columns) }, false) => {
                let mut whole = Vec::new();
                push_sanitized(sentence, &mut whole);
                whole.push(b'\n');
                wrap::push_wrapped(&whole, *columns, &mut line);
                self.stderr.push(&line, &mut self.conversation);
            }
            (OutputMode::Lines { .. } | OutputMode::LineUi(_), _) => {
                push_sanitized(sentence, &mut line);
                line.push(b'\n');
                self.stderr.push(&line, &mut self.conversation);
            }
        }
    }

    /// Shows the address on which the program listens.
    pub fn show_listening(&mut self, id: MemberId, address: SocketAddr) {
        match self.mode {
            OutputMode::Json(_) => {
                json::push_listening(self.formatter.own_name(), id, address, self.conversation.queue())
            }
            OutputMode::Lines { .. } | OutputMode::LineUi(_) => {
                self.report(&format!("listening on {address}"));
            }
        }
    }

    /// Shows the reply to `/who`: an overview of the peers, or all that is known of each.
    pub fn show_peers(&mut self, entries: Vec<RosterEntry>, is_detailed: bool, now: Instant) {
        if self.is_json() && !entries.is_empty() {
            entries.iter().for_each(|entry| json::push_member(entry, now, self.conversation.queue()));
            return;
        }
        let entries = entries.into_iter().map(|entry| {
            let is_ignored = self.ignored.holds(&entry.peer);
            ShownEntry { entry, is_ignored }
        });
        let entries: Vec<ShownEntry> = entries.collect();
        let lines = match is_detailed {
            true => entries.iter().flat_map(|entry| peer_list::details(entry, now)).collect(),
            false => peer_list::overview(&entries, self.size(), now),
        };
        lines.iter().for_each(|line| self.reply(line));
    }

    /// Shows the reply to a command: in the conversation at a terminal, otherwise on standard error.
    pub fn reply(&mut self, sentence: &str) {
        if let OutputMode::LineUi(line_ui) = &mut self.mode {
            let mut line = Vec::new();
            self.formatter.push_report(sentence, &mut line);
            line_ui.push(&line);
        } else {
            self.report(sentence);
        }
    }
}

/// Reads standard input to its end as one message, before the loop runs.
///
/// # Errors
///
/// [`Error::Failure`] if standard input is blank, longer than [`MESSAGE_BYTES_MAX`], or cannot be read.
pub fn read_message() -> Result<String, Error> {
    let bytes = read_to_end(io::stdin().as_fd());
    let bytes =
        bytes.map_err(|error| Error::Failure(format!("cannot read standard input: {}", reason(&error))))?;
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let text = lossy(text.strip_suffix(b"\r").unwrap_or(text));
    if unicode::is_blank(&text) {
        return Err(Error::Failure("nothing was sent: standard input is empty".to_owned()));
    }
    if escaped_bytes(text.as_bytes()) > MESSAGE_BYTES_MAX {
        let most = MESSAGE_BYTES_MAX;
        let codes = if text.len() > most { "" } else { ", since each frame code in it counts one more" };
        return Err(Error::Failure(format!(
            "nothing was sent: one message has at most {most} bytes, and standard input holds more{codes}"
        )));
    }
    Ok(text.into_owned())
}

/// Reads to the end, or to slightly more than [`MESSAGE_BYTES_MAX`] bytes.
fn read_to_end(descriptor: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut input = File::from(descriptor.try_clone_to_owned()?).take(MESSAGE_BYTES_MAX as u64 + 3);
    let mut bytes = Vec::new();
    // Bytes that were read before an error stay in the buffer.
    while let Err(error) = input.read_to_end(&mut bytes) {
        match error.kind() {
            // Another program has made the shared description non-blocking.
            ErrorKind::WouldBlock => descriptor::wait_until_readable(descriptor),
            _ => return Err(error),
        }
    }
    Ok(bytes)
}

/// Prints `text` to standard output, where no loop runs. A closed pipe is not an error.
///
/// # Errors
///
/// [`Error::Failure`] if the write fails.
pub fn print(text: &str) -> Result<(), Error> {
    let written = write_to(io::stdout().as_fd(), text.as_bytes());
    written.map_err(|error| Error::Failure(format!("cannot write standard output: {}", reason(&error))))
}

fn write_to(descriptor: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    // The standard library's stream ignores some errors and reports others too late.
    let mut file = File::from(descriptor.try_clone_to_owned()?);
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => (),
                // Another program has made the shared description non-blocking.
                ErrorKind::WouldBlock => descriptor::wait_until_writable(descriptor),
                ErrorKind::BrokenPipe => return Ok(()),
                _ => return Err(error),
            },
        }
    }
    Ok(())
}

/// Prints the error that ends the program to standard error, waiting at most [`LEAVE_STALL_TIMEOUT`] for room.
pub fn print_error(sentence: &str) {
    let mut line = b"groupchat: ".to_vec();
    push_sanitized(sentence, &mut line);
    line.push(b'\n');
    let mut stderr = io::stderr();
    let may_write = !descriptor::is_in_background(stderr.as_fd());
    if may_write && descriptor::is_writable_within(stderr.as_fd(), LEAVE_STALL_TIMEOUT) {
        // An error of standard error cannot be reported anywhere.
        let _ = stderr.write_all(&line);
    }
}
