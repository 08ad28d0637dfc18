//! The user: lines typed, and what they are shown. The only place that reads standard input or
//! prints. Nothing that came from a peer is printed as it is.

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
pub mod presence;
pub mod raw_mode;
pub mod sanitize;
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
use mio::event::Event;
use mio::{Registry, Token};

use crate::command::Source;
use crate::error::{Error, reason};
use crate::limits::{LEAVE_STALL, LINE_BYTES_MAX, STDOUT_QUEUE_BYTES};
use crate::protocol::frame::lossy;
use crate::protocol::{MemberId, Notice, Who};
use crate::unicode;
use clock::TimeFormat;
use format::{Channel, Format, Formatter};
use ignore_list::IgnoreList;
use layout::Size;
use line_ui::{DrawOptions, LineUi};
use logfile::{ConversationLog, LogFile};
use output::Output;
use palette::Styling;
use presence::{Line, Presence};
use raw_mode::RawModeGuard;
use sanitize::push_sanitized;
use speakers::Speakers;
use stderr::Stderr;
use stdin::Stdin;
use tab_completion::Known;

pub use line_ui::UserAction;

/// The poll's names for the three standard streams.
#[derive(Clone, Copy, Debug)]
pub struct Tokens {
    /// Standard input.
    pub input: Token,
    /// Standard output.
    pub output: Token,
    /// Standard error.
    pub error: Token,
}

/// How the user is talked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UiOptions {
    /// Whether there are colours; `None` is where a terminal shows them.
    pub has_colors: Option<bool>,
    /// Whether the bell rings when the user is spoken to.
    pub has_bell: bool,
    /// How times are written; `None` is as it suits the output.
    pub time_format: Option<TimeFormat>,
    /// Standard output is for scripts.
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
    /// Who comes and goes, where that is collected: at a terminal with somebody at it.
    presence: Presence,
    tokens: Tokens,
    /// Nobody types: lines come from a file, a pipe or the command line.
    is_script: bool,
    /// Events that were not shown to a terminal in whose background we are.
    skipped: u64,
    /// Why standard input cannot be read.
    input_failure: Option<String>,
    /// Since when nothing of the conversation was taken, while some waits.
    stalled_since: Option<Instant>,
}

/// What standard output is.
#[derive(Debug)]
enum OutputMode {
    /// Lines, one after the other; broken into rows of so many cells at a terminal.
    Lines { columns: Option<usize> },
    /// Events for scripts.
    Json,
    /// A terminal with somebody at it.
    LineUi(Box<LineUi>),
}

impl Terminal {
    /// Takes over the three standard streams.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn new(
        registry: &Registry,
        tokens: Tokens,
        name: String,
        view: UiOptions,
        log: Option<LogFile>,
        takes_input: bool,
    ) -> io::Result<Self> {
        let UiOptions { has_colors, has_bell, time_format, is_json } = view;
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
        let look = Format {
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
            let claim = RawModeGuard::new(stdin.as_fd(), stdout.as_fd())?;
            let manner = DrawOptions { has_colors, has_bell, reflows: descriptor::reflows() };
            OutputMode::LineUi(LineUi::new(claim, name.clone(), manner).into())
        } else if is_json {
            OutputMode::Json
        } else {
            OutputMode::Lines { columns: stdout.is_terminal().then(|| descriptor::size(&stdout).columns) }
        };
        let now = Local::now();
        Ok(Self {
            stdin: stdin_lines,
            conversation,
            stderr: Stderr::new(stderr),
            mode,
            formatter: Formatter::new(look, name.clone(), now),
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

    /// The poll says something of one of the streams.
    pub fn handle_event(&mut self, event: &Event) {
        let token = event.token();
        if token == self.tokens.input {
            self.stdin.handle_event();
        } else if token == self.tokens.output {
            self.conversation.handle_event(event);
        } else if let Some(stderr) = self.stderr.own() {
            stderr.handle_event(event);
        }
    }

    /// Those of whom nothing is shown.
    pub fn ignored(&mut self) -> &mut IgnoreList {
        &mut self.ignored
    }

    /// Who has said something, and when.
    #[must_use]
    pub fn speakers(&self) -> &Speakers {
        &self.speakers
    }

    /// Whether what the user says is shown or recorded.
    #[must_use]
    pub fn shows_own(&self) -> bool {
        self.is_interactive() || self.log.is_some()
    }

    /// The user has another name.
    pub fn set_name(&mut self, name: &str) {
        self.formatter.set_own_name(name.to_owned());
        if let Some(log) = &mut self.log {
            log.set_own_name(name.to_owned());
        }
        if let OutputMode::LineUi(user) = &mut self.mode {
            user.set_name(name.to_owned());
        }
    }

    /// Whether somebody sits at a terminal and types.
    #[must_use]
    pub fn is_interactive(&self) -> bool {
        matches!(self.mode, OutputMode::LineUi(_))
    }

    /// Whether nobody types: lines come from a file, a pipe or the command line.
    #[must_use]
    pub fn is_script(&self) -> bool {
        self.is_script
    }

    /// Whether standard output is for scripts.
    #[must_use]
    pub fn is_json(&self) -> bool {
        matches!(self.mode, OutputMode::Json)
    }

    /// What the user is called.
    #[must_use]
    pub fn own_name(&self) -> &str {
        self.formatter.own_name()
    }

    /// The size of a terminal with somebody at it.
    #[must_use]
    pub fn size(&self) -> Option<Size> {
        if let OutputMode::LineUi(user) = &self.mode { Some(user.size()) } else { None }
    }

    /// Whether so much conversation waits that no more should be taken in.
    #[must_use]
    pub fn is_full(&self) -> bool {
        // Of what a terminal is too slow for, some is skipped; and of what one may not be shown.
        let skips = self.is_interactive() || self.conversation.is_in_background();
        !skips && self.conversation.waiting_bytes() >= STDOUT_QUEUE_BYTES
    }

    /// Whether nobody will read the conversation any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.conversation.closed().is_some()
    }

    /// The next thing that the user wants, if there is one.
    pub fn next_action(&mut self) -> Option<UserAction<'_>> {
        match &mut self.mode {
            OutputMode::LineUi(user) => user.poll(),
            _ => self.stdin.next_line().map(|line| UserAction::Line(line, Source::Verbatim)),
        }
    }

    /// Completes the word that the user has begun.
    pub fn complete(&mut self, known: Known<'_>) {
        if let OutputMode::LineUi(user) = &mut self.mode {
            user.complete(known);
        }
    }

    /// Clears the screen. Returns whether there is one.
    pub fn clear_screen(&mut self) -> bool {
        let OutputMode::LineUi(user) = &mut self.mode else { return false };
        user.clear();
        true
    }

    /// Puts a line that was refused back into the line that is typed. Nothing happens where there is none,
    /// or where something was typed since: Up brings the refused line back then.
    pub fn restore_draft(&mut self, line: String, source: Source) {
        if let OutputMode::LineUi(user) = &mut self.mode {
            user.restore_draft(line, source);
        }
    }

    /// Puts `text` in the place of what is typed.
    pub fn replace_text(&mut self, text: String) {
        if let OutputMode::LineUi(user) = &mut self.mode {
            user.replace_text(text);
        }
    }

    /// Whether there may be a line, or something to read, that no event will tell of.
    #[must_use]
    pub fn has_input(&self) -> bool {
        match &self.mode {
            OutputMode::LineUi(user) => user.has_typed() || user.is_here() && self.stdin.is_ready(),
            _ => self.stdin.is_ready(),
        }
    }

    /// Whether there is no more input and every line was taken.
    #[must_use]
    pub fn is_input_over(&self) -> bool {
        self.stdin.is_over()
    }

    /// Reads what was typed, once.
    pub fn read_input(&mut self, registry: &Registry, now: Instant) {
        if let OutputMode::LineUi(user) = &self.mode
            && !user.is_here()
        {
            // It would be somebody else's, and the system would stop us for it.
            return;
        }
        if let Some(trouble) = self.stdin.read(registry, now) {
            self.report(&trouble);
            self.input_failure = Some(trouble);
        }
        if let OutputMode::LineUi(user) = &mut self.mode {
            user.handle_bytes(self.stdin.take_bytes(), now);
        }
    }

    /// The terminal may have another size.
    pub fn resize(&mut self, now: Instant) {
        match &mut self.mode {
            OutputMode::LineUi(user) => user.resize(now),
            OutputMode::Lines { columns: Some(columns) } => *columns = descriptor::size(io::stdout()).columns,
            OutputMode::Lines { columns: None } | OutputMode::Json => (),
        }
    }

    /// Gives the terminal to somebody else, since we are about to be stopped.
    pub fn stop(&mut self, now: Instant) {
        if let OutputMode::LineUi(user) = &mut self.mode {
            user.erase(self.conversation.queue());
            self.conversation.flush(now);
            user.stop();
        }
    }

    /// We were stopped, and go on.
    pub fn go_on(&mut self) {
        self.stdin.go_on();
        self.conversation.go_on();
        if let Some(stderr) = self.stderr.own() {
            stderr.go_on();
        }
        if let OutputMode::LineUi(user) = &mut self.mode {
            user.go_on(self.conversation.queue());
        }
    }

    /// Takes the terminal back, since we go on.
    pub fn resume(&mut self) {
        if let OutputMode::LineUi(user) = &mut self.mode {
            user.resume();
        }
    }

    /// Does what is to be done without an event.
    pub fn handle_time(&mut self, now: Instant) {
        self.stdin.handle_time(now);
        if let OutputMode::LineUi(user) = &mut self.mode {
            user.handle_time(now);
            // What waits to be read may go on with what has begun.
            if !self.stdin.is_ready() {
                user.expire_keys(now);
            }
            self.presence.handle_time(now);
            self.show_presence();
        }
    }

    /// Peers are named while nobody is there: whoever is met next was there before us.
    pub fn expect_group(&mut self) {
        self.presence.expect_group();
    }

    /// Whether those who were there before us are shown once all are met.
    #[must_use]
    pub fn awaits_group(&self) -> bool {
        self.presence.is_arriving()
    }

    /// All who were there before us are met.
    pub fn handle_all_met(&mut self) {
        self.presence.handle_all_met();
        self.show_presence();
    }

    /// Whether there is something to show that no event will tell of.
    #[must_use]
    pub fn has_more_to_show(&self) -> bool {
        let OutputMode::LineUi(user) = &self.mode else { return false };
        user.has_more() && self.conversation.waiting_bytes() == 0 && !self.is_closed()
    }

    /// Writes what is queued, as far as it is taken.
    pub fn flush(&mut self, now: Instant) {
        if let Some(sentence) = self.stderr.poll_unshown(&self.conversation) {
            self.report(&sentence);
        }
        if let OutputMode::LineUi(user) = &mut self.mode
            && self.conversation.waiting_bytes() == 0
            && self.conversation.closed().is_none()
        {
            user.draw(now, self.conversation.queue());
        }
        let mut took = self.conversation.flush(now);
        if !self.conversation.is_in_background() && self.skipped > 0 {
            let count = mem::take(&mut self.skipped);
            self.report(&format!("{count} lines were skipped: this was in the background"));
        }
        if let Some(sentence) = self.stderr.poll_full(&self.conversation) {
            self.report(&sentence);
        }
        took += self.stderr.own().map_or(0, |stderr| stderr.flush(now));
        if let Some(trouble) = self.log.as_mut().and_then(|log| log.flush(now)) {
            self.report(&trouble);
        }
        if self.waiting_bytes() == 0 {
            self.stalled_since = None;
        } else if took > 0 || self.stalled_since.is_none() {
            self.stalled_since = Some(now);
        }
    }

    /// When something is to be done without an event.
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

    /// The user types nothing more: the terminal is as it was.
    pub fn give_back(&mut self) {
        if let OutputMode::LineUi(user) = &mut self.mode {
            user.leave(self.conversation.queue());
        }
    }

    /// The user leaves: from now on, patience has an end.
    pub fn leave(&mut self, now: Instant) {
        self.presence.end();
        self.show_presence();
        self.give_back();
        self.conversation.leave();
        if let Some(stderr) = self.stderr.own() {
            stderr.leave();
        }
        self.stalled_since = self.stalled_since.map(|_| now);
    }

    /// While leaving: when to give up on what is not taken.
    #[must_use]
    pub fn leave_deadline(&self) -> Option<Instant> {
        Some(self.stalled_since? + LEAVE_STALL)
    }

    /// While leaving: whether everything was shown, or has to be given up.
    #[must_use]
    pub fn is_done(&self, now: Instant) -> bool {
        self.waiting_bytes() == 0 || self.leave_deadline().is_some_and(|deadline| now >= deadline)
    }

    /// Why standard input could not be read to its end.
    #[must_use]
    pub fn input_failure(&self) -> Option<&str> {
        self.input_failure.as_deref()
    }

    /// What was never shown or recorded, at the end: a sentence, if there is anything to say.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let bytes = self.conversation_bytes();
        let conversation = match (self.conversation.closed(), self.conversation.full()) {
            (Some(Some(why)), _) => Some(format!("cannot write standard output: {why}")),
            (Some(None), _) => None,
            (None, _) if bytes == 0 => None,
            (None, Some(why)) => Some(format!("cannot write standard output: {why}; {bytes} bytes are lost")),
            (None, None) => Some(format!("nobody reads standard output; {bytes} bytes are lost")),
        };
        let log = || self.log.as_ref().and_then(ConversationLog::failure);
        conversation.or_else(log).or_else(|| {
            let stderr = self.stderr.output()?;
            let why = stderr.closed().flatten().or(stderr.full())?;
            Some(format!("cannot write standard error: {why}"))
        })
    }

    fn conversation_bytes(&self) -> usize {
        let backlog = if let OutputMode::LineUi(user) = &self.mode { user.waiting_bytes() } else { 0 };
        self.conversation.waiting_bytes() + backlog
    }

    fn waiting_bytes(&self) -> usize {
        self.conversation_bytes() + self.stderr.output().map_or(0, Output::waiting_bytes)
    }

    /// Shows a notice where it belongs.
    pub fn show(&mut self, notice: &Notice, now: Instant) {
        if self.ignored.is_theirs(notice) {
            return;
        }
        self.speakers.handle_event(notice);
        if let Some(log) = &mut self.log {
            log.push(notice);
        }
        let is_on_screen = format::channel(notice) == Channel::Stdout || !self.stderr.is_apart();
        if self.is_interactive() && is_on_screen {
            let is_kept = self.presence.push(notice, now);
            self.show_presence();
            if is_kept {
                return;
            }
        }
        self.show_now(notice);
    }

    /// Shows what was collected of who comes and goes.
    fn show_presence(&mut self) {
        let columns = self.size().map_or(0, |size| size.columns);
        while let Some(line) = self.presence.poll(columns) {
            match line {
                Line::Event(notice) => self.show_now(&notice),
                Line::Change(sentence) => self.show_event(&sentence),
                Line::Summary(sentence) => self.reply(&sentence),
            }
        }
    }

    /// Shows what has just happened to several people.
    fn show_event(&mut self, sentence: &str) {
        if let OutputMode::LineUi(user) = &mut self.mode {
            let mut line = Vec::new();
            self.formatter.push_event(sentence, &mut line);
            user.push(&line);
        } else {
            self.report(sentence);
        }
    }

    fn show_now(&mut self, notice: &Notice) {
        let skips = self.skips_conversation();
        match (&mut self.mode, format::channel(notice)) {
            _ if self.conversation.closed().is_some() => (),
            (OutputMode::Json, _) | (OutputMode::Lines { .. }, Channel::Stdout) if skips => self.skipped += 1,
            (OutputMode::Json, _) => json::push(notice, self.conversation.queue()),
            (OutputMode::Lines { columns: None }, Channel::Stdout) => {
                self.formatter.push(notice, self.conversation.queue());
            }
            (OutputMode::Lines { columns: Some(columns) }, Channel::Stdout) => {
                let mut lines = Vec::new();
                self.formatter.push(notice, &mut lines);
                wrap::push_wrapped(&lines, *columns, self.conversation.queue());
            }
            (OutputMode::LineUi(user), Channel::Stdout) => {
                let mut lines = Vec::new();
                let concerns_user = self.formatter.push(notice, &mut lines);
                user.push(&lines);
                if concerns_user {
                    user.ring();
                }
            }
            (_, Channel::Stderr) => self.report(&format::sentence(notice)),
            (OutputMode::Lines { .. } | OutputMode::LineUi(_), Channel::Scripts) => (),
        }
    }

    /// Whether a terminal in whose background we are has had its share of the conversation.
    fn skips_conversation(&self) -> bool {
        self.conversation.is_in_background() && self.conversation.waiting_bytes() >= STDOUT_QUEUE_BYTES
    }

    /// Shows what the user said, where it is not seen already: to everybody, or `to` one alone.
    pub fn show_own(&mut self, at: DateTime<FixedOffset>, to: Option<&Who>, text: &str) {
        if let Some(log) = &mut self.log {
            log.push_own(at, to, text);
        }
        if let Some(to) = to {
            self.presence.flush_of(to);
            self.show_presence();
        }
        if let OutputMode::LineUi(user) = &mut self.mode {
            let mut lines = Vec::new();
            self.formatter.push_own(at, to, text, &mut lines);
            user.push(&lines);
        }
    }

    /// Tells the user something: on standard error, if it leads elsewhere.
    pub fn report(&mut self, sentence: &str) {
        let mut line = Vec::new();
        match (&mut self.mode, self.stderr.is_apart()) {
            (OutputMode::Json, _) => {
                json::push_report(sentence, &mut line);
                self.stderr.push(&line, &mut self.conversation);
            }
            (OutputMode::LineUi(user), false) => {
                self.formatter.push_report(sentence, &mut line);
                user.push(&line);
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

    /// Tells that the chat has begun.
    pub fn show_listening(&mut self, id: MemberId, address: SocketAddr) {
        match self.mode {
            OutputMode::Json => {
                json::push_listening(self.formatter.own_name(), id, address, self.conversation.queue())
            }
            _ => self.report(&format!("listening on {address}")),
        }
    }

    /// Tells scripts of somebody who is there.
    pub fn show_member(&mut self, who: &Who, member: &json::Member) {
        json::push_member(who, member, self.conversation.queue());
    }

    /// Answers the user: where it was asked, or on standard error.
    pub fn reply(&mut self, sentence: &str) {
        if let OutputMode::LineUi(user) = &mut self.mode {
            let mut line = Vec::new();
            self.formatter.push_report(sentence, &mut line);
            user.push(&line);
        } else {
            self.report(sentence);
        }
    }
}

/// Reads standard input to its end as one message, before a chat.
///
/// # Errors
///
/// [`Error::Failure`] if it holds nothing, too much, or cannot be read.
pub fn read_message() -> Result<String, Error> {
    let bytes = read_to_end(io::stdin().as_fd());
    let bytes =
        bytes.map_err(|error| Error::Failure(format!("cannot read standard input: {}", reason(&error))))?;
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let text = lossy(text.strip_suffix(b"\r").unwrap_or(text));
    if unicode::is_blank(&text) {
        return Err(Error::Failure("nothing was sent: standard input is empty".to_owned()));
    }
    if text.len() > LINE_BYTES_MAX {
        let most = LINE_BYTES_MAX;
        return Err(Error::Failure(format!(
            "nothing was sent: one message has at most {most} bytes, and standard input holds more"
        )));
    }
    Ok(text.into_owned())
}

/// All bytes up to the end, or some more than a message may have.
fn read_to_end(descriptor: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut input = File::from(descriptor.try_clone_to_owned()?).take(LINE_BYTES_MAX as u64 + 3);
    let mut bytes = Vec::new();
    // What was read before an error stays.
    while let Err(error) = input.read_to_end(&mut bytes) {
        match error.kind() {
            // Somebody else has made it non-blocking.
            ErrorKind::WouldBlock => descriptor::wait_until_readable(descriptor),
            _ => return Err(error),
        }
    }
    Ok(bytes)
}

/// Prints `text` to standard output, before or without a chat. A reader that has read enough is no error.
///
/// # Errors
///
/// [`Error::Failure`] if it cannot be written.
pub fn print(text: &str) -> Result<(), Error> {
    let written = write_to(io::stdout().as_fd(), text.as_bytes());
    written.map_err(|error| Error::Failure(format!("cannot write standard output: {}", reason(&error))))
}

fn write_to(descriptor: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    // The standard library's stream would pass over some errors, and tell of others too late.
    let mut file = File::from(descriptor.try_clone_to_owned()?);
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => (),
                // Somebody else has made it non-blocking.
                ErrorKind::WouldBlock => descriptor::wait_until_writable(descriptor),
                ErrorKind::BrokenPipe => return Ok(()),
                _ => return Err(error),
            },
        }
    }
    Ok(())
}

/// Prints why the program ends to standard error, if it takes that while we have patience.
pub fn complain(sentence: &str) {
    let mut line = b"groupchat: ".to_vec();
    push_sanitized(sentence, &mut line);
    line.push(b'\n');
    let mut stderr = io::stderr();
    let may_write = !descriptor::is_in_background(stderr.as_fd());
    if may_write && descriptor::is_writable_within(stderr.as_fd(), LEAVE_STALL) {
        // There is nobody else to tell.
        let _ = stderr.write_all(&line);
    }
}
