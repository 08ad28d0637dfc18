//! The user: lines typed, and what they are shown. The only place that reads standard input or
//! prints. Nothing that came from a peer is printed as it is.

pub mod descriptor;
pub mod input;
pub mod layout;
pub mod output;
pub mod screen;
pub mod visible;
pub mod words;

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::mem;
use std::os::fd::AsFd as _;
use std::time::Instant;

use chrono::Local;
use mio::event::Event;
use mio::{Registry, Token};

use crate::limits::{LEAVE_STALL, NOTICE_BYTES, OUTPUT_BYTES};
use crate::protocol::Notice;
use input::Input;
use output::Output;
use visible::push_visible;
use words::{Channel, Words};

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

/// Standard input, output and error.
#[derive(Debug)]
pub struct Terminal {
    input: Input,
    conversation: Output,
    /// `None` where both lead to the same place: then lines keep their order in one queue.
    notices: Option<Output>,
    words: Words,
    tokens: Tokens,
    /// Notices that found no room.
    unshown_notices: u64,
    full_is_told: bool,
    /// Since when nothing of the conversation was taken, while some waits.
    stalled_since: Option<Instant>,
}

impl Terminal {
    /// Takes over the three standard streams.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn new(registry: &Registry, tokens: Tokens) -> io::Result<Self> {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let conversation = Output::new(stdout.as_fd(), registry, tokens.output)?;
        let notices = if descriptor::is_same_place(stdout.as_fd(), stderr.as_fd()) {
            None
        } else {
            Some(Output::new(stderr.as_fd(), registry, tokens.error)?)
        };
        Ok(Self {
            input: Input::new(registry, tokens.input)?,
            conversation,
            notices,
            words: Words::new(Local::now()),
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
        match Words::channel(notice) {
            Channel::Conversation if self.conversation.closed().is_some() => (),
            Channel::Conversation => self.words.push(notice, self.conversation.queue()),
            Channel::Notices => {
                let mut line = Vec::new();
                self.words.push(notice, &mut line);
                self.push_notice(&line);
            }
        }
    }

    /// Tells the user something on standard error.
    pub fn tell(&mut self, sentence: &str) {
        let mut line = Vec::new();
        push_visible(sentence, &mut line);
        line.push(b'\n');
        self.push_notice(&line);
    }

    /// Whether so much conversation waits that no more should be taken in.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.conversation.waiting_bytes() >= OUTPUT_BYTES
    }

    /// Whether nobody will read the conversation any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.conversation.closed().is_some()
    }

    /// The next line that was read, if there is one.
    pub fn next_line(&mut self) -> Option<Cow<'_, str>> {
        self.input.next_line()
    }

    /// Whether there may be a line, or something to read, that no event will tell of.
    #[must_use]
    pub fn has_input(&self) -> bool {
        self.input.is_ready()
    }

    /// Whether there is no more input and every line was taken.
    #[must_use]
    pub fn is_input_over(&self) -> bool {
        self.input.is_over()
    }

    /// Reads what was typed, once.
    pub fn read_input(&mut self, registry: &Registry) {
        if let Some(trouble) = self.input.read(registry) {
            self.tell(&trouble);
        }
    }

    /// Writes what is queued, as far as it is taken.
    pub fn flush(&mut self, now: Instant) {
        self.tell_unshown();
        let mut took = self.conversation.flush(now);
        self.tell_full();
        took += self.notices.as_mut().map_or(0, |notices| notices.flush(now));
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

    /// The user leaves: from now on, patience has an end.
    pub fn leave(&mut self, now: Instant) {
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
        let bytes = self.conversation.waiting_bytes();
        match (self.conversation.closed(), self.conversation.full()) {
            (Some(why), _) => why.map(|why| format!("cannot write standard output: {why}")),
            (None, _) if bytes == 0 => None,
            (None, Some(why)) => Some(format!("cannot write standard output: {why}; {bytes} bytes are lost")),
            (None, None) => Some(format!("nobody reads standard output; {bytes} bytes are lost")),
        }
    }

    fn waiting_bytes(&self) -> usize {
        self.conversation.waiting_bytes() + self.notices.as_ref().map_or(0, Output::waiting_bytes)
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
