//! The user: lines typed, and what they are shown. The only place that reads standard input or
//! prints. Nothing that came from a peer is printed as it is.

pub mod backlog;
pub mod completion;
pub mod descriptor;
pub mod editor;
pub mod input;
pub mod interactive;
pub mod json;
pub mod keys;
pub mod layout;
pub mod mention;
pub mod output;
pub mod raw;
pub mod record;
pub mod screen;
pub mod sentence;
pub mod style;
pub mod visible;
pub mod words;

use std::io::{self, IsTerminal as _, Write as _};
use std::mem;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::time::Instant;

use chrono::{DateTime, FixedOffset, Local};
use mio::event::Event;
use mio::{Registry, Token};

use crate::limits::{LEAVE_STALL, NOTICE_BYTES, OUTPUT_BYTES};
use crate::protocol::{MemberId, Notice, Who};
use completion::Known;
use input::Input;
use interactive::{Interactive, Manner};
use output::Output;
use raw::Claim;
use record::Record;
use sentence::Channel;
use visible::push_visible;
use words::{Look, Words};

pub use interactive::Typed;

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
pub struct View {
    /// Whether there are colours; `None` is where a terminal shows them.
    pub has_colors: Option<bool>,
    /// Whether the bell rings when the user is spoken to.
    pub has_bell: bool,
    /// How times are written; `None` is as it suits the output.
    pub time_format: Option<String>,
    /// Standard output is for scripts.
    pub is_json: bool,
}

/// Standard input, output and error.
#[derive(Debug)]
pub struct Terminal {
    input: Input,
    conversation: Output,
    /// `None` where both lead to the same place: then lines keep their order in one queue.
    notices: Option<Output>,
    face: Face,
    words: Words,
    record: Option<Record>,
    /// How it is recorded.
    recorded: Words,
    ignored: Vec<Who>,
    tokens: Tokens,
    /// Notices that found no room.
    unshown_notices: u64,
    full_is_told: bool,
    /// Since when nothing of the conversation was taken, while some waits.
    stalled_since: Option<Instant>,
}

/// What standard output is.
#[derive(Debug)]
enum Face {
    /// Lines, one after the other.
    Lines,
    /// Events for scripts.
    Json,
    /// A terminal with somebody at it.
    Interactive(Box<Interactive>),
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
        view: View,
        record: Option<Record>,
        takes_input: bool,
    ) -> io::Result<Self> {
        let View { has_colors, has_bell, time_format, is_json } = view;
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let conversation = Output::new(stdout.as_fd(), registry, tokens.output)?;
        let notices = if is_json || descriptor::is_same_place(stdout.as_fd(), stderr.as_fd()) {
            None
        } else {
            Some(Output::new(stderr.as_fd(), registry, tokens.error)?)
        };
        let input = Input::new(registry, tokens.input)?;
        let is_screen = descriptor::can_draw(stdout.as_fd());
        let has_colors = has_colors.unwrap_or(is_screen);
        let is_interactive = takes_input && !is_json && is_screen && stdin.is_terminal();
        let look = Look {
            has_colors,
            tells_days: is_interactive && time_format.is_none(),
            finds_mentions: has_colors || is_interactive,
            time_format: time_format.unwrap_or_else(|| Look::time_format(is_interactive).to_owned()),
        };
        let face = if is_interactive {
            let claim = Claim::new(stdin.as_fd(), stdout.as_fd())?;
            let manner = Manner { has_colors, has_bell, reflows: descriptor::reflows() };
            Face::Interactive(Interactive::new(claim, name.clone(), manner).into())
        } else if is_json {
            Face::Json
        } else {
            Face::Lines
        };
        let now = Local::now();
        Ok(Self {
            input,
            conversation,
            notices,
            face,
            words: Words::new(look, name.clone(), now),
            record,
            recorded: Words::new(Look::default(), name, now),
            ignored: Vec::new(),
            tokens,
            unshown_notices: 0,
            full_is_told: false,
            stalled_since: None,
        })
    }

    /// The poll says something of one of the streams.
    pub fn handle_event(&mut self, event: &Event) {
        let token = event.token();
        if token == self.tokens.input {
            self.input.handle_event();
        } else if token == self.tokens.output {
            self.conversation.handle_event(event);
        } else if let Some(notices) = &mut self.notices {
            notices.handle_event(event);
        }
    }

    /// Shows a notice where it belongs.
    pub fn show(&mut self, notice: &Notice) {
        if self.is_ignored(notice) {
            return;
        }
        if let Some(record) = &mut self.record {
            self.recorded.push_record(notice, record.queue());
        }
        match (&mut self.face, sentence::channel(notice)) {
            _ if self.conversation.closed().is_some() => (),
            (Face::Json, _) => json::push(notice, self.conversation.queue()),
            (Face::Lines, Channel::Conversation) => {
                self.words.push(notice, self.conversation.queue());
            }
            (Face::Interactive(user), Channel::Conversation) => {
                let mut lines = Vec::new();
                let concerns_user = self.words.push(notice, &mut lines);
                user.push(&lines);
                if concerns_user {
                    user.ring();
                }
            }
            (_, Channel::Notices) => self.tell(&sentence::sentence(notice)),
        }
    }

    /// Shows what the user said, where it is not seen already: to everybody, or `to` one alone.
    pub fn show_own(&mut self, at: DateTime<FixedOffset>, to: Option<&Who>, text: &str) {
        if let Some(record) = &mut self.record {
            self.recorded.push_own_record(at, to, text, record.queue());
        }
        if let Face::Interactive(user) = &mut self.face {
            let mut lines = Vec::new();
            self.words.push_own(at, to, text, &mut lines);
            user.push(&lines);
        }
    }

    /// Tells the user something: on standard error, if it leads elsewhere.
    pub fn tell(&mut self, sentence: &str) {
        let mut line = Vec::new();
        match (&mut self.face, &self.notices) {
            (Face::Json, _) => {
                json::push_told(sentence, &mut line);
                self.push_notice(&line);
            }
            (Face::Interactive(user), None) => {
                self.words.push_told(sentence, &mut line);
                user.push(&line);
            }
            _ => {
                push_visible(sentence, &mut line);
                line.push(b'\n');
                self.push_notice(&line);
            }
        }
    }

    /// Tells that the chat has begun.
    pub fn tell_listening(&mut self, id: MemberId, address: SocketAddr) {
        match self.face {
            Face::Json => json::push_listening(self.words.own_name(), id, address, self.conversation.queue()),
            _ => self.tell(&format!("listening on {address}")),
        }
    }

    /// Tells of somebody who is there: to scripts in their way.
    pub fn tell_member(&mut self, who: &Who, member: &json::Member, sentence: &str) {
        match self.face {
            Face::Json => json::push_member(who, member, self.conversation.queue()),
            _ => self.answer(sentence),
        }
    }

    /// Answers the user: where it was asked, or on standard error.
    pub fn answer(&mut self, sentence: &str) {
        if let Face::Interactive(user) = &mut self.face {
            let mut line = Vec::new();
            self.words.push_told(sentence, &mut line);
            user.push(&line);
        } else {
            self.tell(sentence);
        }
    }

    /// From now on, what `who` says is not shown. Returns whether it was until now.
    pub fn ignore(&mut self, who: Who) -> bool {
        let is_new = !self.ignored.iter().any(|ignored| is_same(ignored, &who));
        if is_new {
            self.ignored.push(who);
        }
        is_new
    }

    /// From now on, what `who` says is shown again. Returns whether it was not until now.
    pub fn unignore(&mut self, who: &Who) -> bool {
        let count = self.ignored.len();
        self.ignored.retain(|ignored| !is_same(ignored, who));
        self.ignored.len() < count
    }

    /// Those of whom nothing is shown.
    #[must_use]
    pub fn ignored(&self) -> &[Who] {
        &self.ignored
    }

    fn is_ignored(&self, notice: &Notice) -> bool {
        match notice {
            Notice::Message { from, .. } => self.ignored.iter().any(|ignored| is_same(ignored, from)),
            _ => false,
        }
    }

    /// Whether what the user says is shown or recorded.
    #[must_use]
    pub fn shows_own(&self) -> bool {
        self.is_interactive() || self.record.is_some()
    }

    /// The user has another name.
    pub fn set_name(&mut self, name: &str) {
        self.words.set_own_name(name.to_owned());
        self.recorded.set_own_name(name.to_owned());
        if let Face::Interactive(user) = &mut self.face {
            user.set_name(name.to_owned());
        }
    }

    /// Whether somebody sits at a terminal and types.
    #[must_use]
    pub fn is_interactive(&self) -> bool {
        matches!(self.face, Face::Interactive(_))
    }

    /// Whether so much conversation waits that no more should be taken in.
    #[must_use]
    pub fn is_full(&self) -> bool {
        // Of what a terminal is too slow for, some is skipped.
        !self.is_interactive() && self.conversation.waiting_bytes() >= OUTPUT_BYTES
    }

    /// Whether nobody will read the conversation any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.conversation.closed().is_some()
    }

    /// The next thing that the user wants, if there is one.
    pub fn next_typed(&mut self) -> Option<Typed<'_>> {
        match &mut self.face {
            Face::Interactive(user) => user.poll(),
            _ => self.input.next_line().map(Typed::Line),
        }
    }

    /// Completes the word that the user has begun.
    pub fn complete(&mut self, known: Known<'_>) {
        if let Face::Interactive(user) = &mut self.face {
            user.complete(known);
        }
    }

    /// Whether there may be a line, or something to read, that no event will tell of.
    #[must_use]
    pub fn has_input(&self) -> bool {
        match &self.face {
            Face::Interactive(user) => user.has_typed() || user.is_here() && self.input.is_ready(),
            _ => self.input.is_ready(),
        }
    }

    /// Whether there is no more input and every line was taken.
    #[must_use]
    pub fn is_input_over(&self) -> bool {
        self.input.is_over()
    }

    /// Reads what was typed, once.
    pub fn read_input(&mut self, registry: &Registry) {
        if let Face::Interactive(user) = &self.face
            && !user.is_here()
        {
            // It would be somebody else's, and the system would stop us for it.
            return;
        }
        if let Some(trouble) = self.input.read(registry) {
            self.tell(&trouble);
        }
        if let Face::Interactive(user) = &mut self.face {
            user.handle_bytes(self.input.take_bytes());
        }
    }

    /// The terminal may have another size.
    pub fn resize(&mut self) {
        if let Face::Interactive(user) = &mut self.face {
            user.resize(self.conversation.queue());
        }
    }

    /// Gives the terminal to somebody else, since we are about to be stopped.
    pub fn stop(&mut self, now: Instant) {
        if let Face::Interactive(user) = &mut self.face {
            user.erase(self.conversation.queue());
            self.conversation.flush(now);
            user.stop();
        }
    }

    /// Takes the terminal back, since we go on.
    pub fn resume(&mut self) {
        if let Face::Interactive(user) = &mut self.face {
            user.resume();
        }
    }

    /// Whether there is something to show that no event will tell of.
    #[must_use]
    pub fn has_more_to_show(&self) -> bool {
        let Face::Interactive(user) = &self.face else { return false };
        user.has_more() && self.conversation.waiting_bytes() == 0 && !self.is_closed()
    }

    /// Writes what is queued, as far as it is taken.
    pub fn flush(&mut self, now: Instant) {
        self.tell_unshown();
        if let Face::Interactive(user) = &mut self.face
            && self.conversation.waiting_bytes() == 0
            && self.conversation.closed().is_none()
        {
            user.draw(self.conversation.queue());
        }
        let mut took = self.conversation.flush(now);
        self.tell_full();
        took += self.notices.as_mut().map_or(0, |notices| notices.flush(now));
        if let Some(trouble) = self.record.as_mut().and_then(|record| record.flush(now)) {
            self.tell(&trouble);
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
        let notices = self.notices.as_ref().and_then(Output::deadline);
        self.conversation.deadline().into_iter().chain(notices).min()
    }

    /// The user types nothing more: the terminal is as it was.
    pub fn give_back(&mut self) {
        if let Face::Interactive(user) = &mut self.face {
            user.leave(self.conversation.queue());
        }
    }

    /// The user leaves: from now on, patience has an end.
    pub fn leave(&mut self, now: Instant) {
        self.give_back();
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

    /// What was never shown, at the end: a sentence, if there is anything to say.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let bytes = self.conversation_bytes();
        match (self.conversation.closed(), self.conversation.full()) {
            (Some(why), _) => why.map(|why| format!("cannot write standard output: {why}")),
            (None, _) if bytes == 0 => None,
            (None, Some(why)) => Some(format!("cannot write standard output: {why}; {bytes} bytes are lost")),
            (None, None) => Some(format!("nobody reads standard output; {bytes} bytes are lost")),
        }
    }

    fn conversation_bytes(&self) -> usize {
        let backlog = if let Face::Interactive(user) = &self.face { user.waiting_bytes() } else { 0 };
        self.conversation.waiting_bytes() + backlog
    }

    fn waiting_bytes(&self) -> usize {
        self.conversation_bytes() + self.notices.as_ref().map_or(0, Output::waiting_bytes)
    }

    /// Says once that there is no room behind standard output.
    fn tell_full(&mut self) {
        let Some(why) = self.conversation.full() else {
            self.full_is_told &= self.conversation.waiting_bytes() > 0;
            return;
        };
        let sentence = format!("cannot write standard output: {why}; the conversation waits until it can be");
        // Where both lead to the same place, it would only wait with the rest.
        if !mem::replace(&mut self.full_is_told, true) && self.notices.is_some() {
            self.tell(&sentence);
        }
    }

    /// Notices have a limit of their own: nobody may wait for standard error.
    fn push_notice(&mut self, line: &[u8]) {
        let (out, limit) = match &mut self.notices {
            Some(notices) => (notices, NOTICE_BYTES),
            None => (&mut self.conversation, OUTPUT_BYTES + NOTICE_BYTES),
        };
        if out.closed().is_some() {
            return;
        }
        if out.waiting_bytes() + line.len() > limit {
            self.unshown_notices += 1;
        } else {
            out.queue().extend_from_slice(line);
        }
    }

    fn tell_unshown(&mut self) {
        let out = self.notices.as_ref().unwrap_or(&self.conversation);
        if self.unshown_notices > 0 && out.waiting_bytes() < NOTICE_BYTES / 2 {
            let sentence =
                format!("{} notices were left out: nobody read them in time", self.unshown_notices);
            self.unshown_notices = 0;
            self.tell(&sentence);
        }
    }
}

/// Whether both are the same participant, under whatever name.
fn is_same(one: &Who, other: &Who) -> bool {
    match (one.id, other.id) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one.name == other.name,
        _ => false,
    }
}

/// Prints `text` to standard output, before or without a chat.
pub fn print(text: &str) {
    // Who closed it does not want it.
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Prints why the program ends to standard error, if it takes that while we have patience.
pub fn complain(sentence: &str) {
    let mut line = b"groupchat: ".to_vec();
    push_visible(sentence, &mut line);
    line.push(b'\n');
    let mut stderr = io::stderr();
    if descriptor::is_writable_within(stderr.as_fd(), LEAVE_STALL) {
        // There is nobody else to tell.
        let _ = stderr.write_all(&line);
    }
}
