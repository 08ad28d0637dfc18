//! The user: lines typed, and what they are shown. The only place that reads standard input or
//! prints. Nothing that came from a peer is printed as it is.

pub mod backlog;
pub mod completion;
pub mod descriptor;
pub mod editor;
pub mod ignored;
pub mod input;
pub mod interactive;
pub mod json;
pub mod keys;
pub mod layout;
pub mod mention;
pub mod notices;
pub mod output;
mod outside;
pub mod raw;
pub mod record;
pub mod recorder;
pub mod screen;
pub mod sentence;
mod start;
pub mod style;
mod telling;
pub mod visible;
pub mod words;

use std::time::Instant;

use mio::event::Event;
use mio::{Registry, Token};

use crate::limits::{LEAVE_STALL, OUTPUT_BYTES};
use completion::Known;
use ignored::Ignored;
use input::Input;
use interactive::Interactive;
use notices::Notices;
use output::Output;
use recorder::Recorder;
use words::Words;

pub use interactive::Typed;
pub use outside::{complain, print};

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
    notices: Notices,
    face: Face,
    words: Words,
    recorder: Option<Recorder>,
    ignored: Ignored,
    tokens: Tokens,
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
    /// The poll says something of one of the streams.
    pub fn handle_event(&mut self, event: &Event) {
        let token = event.token();
        if token == self.tokens.input {
            self.input.handle_event();
        } else if token == self.tokens.output {
            self.conversation.handle_event(event);
        } else if let Some(notices) = self.notices.own() {
            notices.handle_event(event);
        }
    }

    /// Those of whom nothing is shown.
    pub fn ignored(&mut self) -> &mut Ignored {
        &mut self.ignored
    }

    /// Whether what the user says is shown or recorded.
    #[must_use]
    pub fn shows_own(&self) -> bool {
        self.is_interactive() || self.recorder.is_some()
    }

    /// The user has another name.
    pub fn set_name(&mut self, name: &str) {
        self.words.set_own_name(name.to_owned());
        if let Some(recorder) = &mut self.recorder {
            recorder.set_own_name(name.to_owned());
        }
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

    /// We were stopped, and go on.
    pub fn go_on(&mut self) {
        if let Face::Interactive(user) = &mut self.face {
            user.go_on(self.conversation.queue());
        }
    }

    /// Takes the terminal back, since we go on.
    pub fn resume(&mut self) {
        if let Face::Interactive(user) = &mut self.face {
            user.resume();
        }
    }

    /// Does what is to be done without an event.
    pub fn handle_time(&mut self, now: Instant) {
        if let Face::Interactive(user) = &mut self.face {
            user.handle_time(now);
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
        if let Some(sentence) = self.notices.poll_unshown(&self.conversation) {
            self.tell(&sentence);
        }
        if let Face::Interactive(user) = &mut self.face
            && self.conversation.waiting_bytes() == 0
            && self.conversation.closed().is_none()
        {
            user.draw(self.conversation.queue());
        }
        let mut took = self.conversation.flush(now);
        if let Some(sentence) = self.notices.poll_full(&self.conversation) {
            self.tell(&sentence);
        }
        took += self.notices.own().map_or(0, |notices| notices.flush(now));
        if let Some(trouble) = self.recorder.as_mut().and_then(|recorder| recorder.flush(now)) {
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
        let notices = self.notices.output().and_then(Output::deadline);
        let record = self.recorder.as_ref().and_then(Recorder::deadline);
        let user = if let Face::Interactive(user) = &self.face { user.deadline() } else { None };
        [self.conversation.deadline(), notices, record, user].into_iter().flatten().min()
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
            (Some(Some(why)), _) => Some(format!("cannot write standard output: {why}")),
            (Some(None), _) => self.recorder.as_ref().and_then(Recorder::failure),
            (None, _) if bytes == 0 => self.recorder.as_ref().and_then(Recorder::failure),
            (None, Some(why)) => Some(format!("cannot write standard output: {why}; {bytes} bytes are lost")),
            (None, None) => Some(format!("nobody reads standard output; {bytes} bytes are lost")),
        }
    }

    fn conversation_bytes(&self) -> usize {
        let backlog = if let Face::Interactive(user) = &self.face { user.waiting_bytes() } else { 0 };
        self.conversation.waiting_bytes() + backlog
    }

    fn waiting_bytes(&self) -> usize {
        self.conversation_bytes() + self.notices.output().map_or(0, Output::waiting_bytes)
    }
}
