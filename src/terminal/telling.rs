//! What the user is told, and where: a terminal, lines, events for scripts, standard error, the record.

use std::net::SocketAddr;

use chrono::{DateTime, FixedOffset};

use super::sentence::{self, Channel};
use super::visible::push_visible;
use super::{Face, Terminal, json};
use crate::protocol::{MemberId, Notice, Who};

impl Terminal {
    /// Shows a notice where it belongs.
    pub fn show(&mut self, notice: &Notice) {
        if self.ignored.is_theirs(notice) {
            return;
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.push(notice);
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
        if let Some(recorder) = &mut self.recorder {
            recorder.push_own(at, to, text);
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
        match (&mut self.face, self.notices.is_apart()) {
            (Face::Json, _) => {
                json::push_told(sentence, &mut line);
                self.notices.push(&line, &mut self.conversation);
            }
            (Face::Interactive(user), false) => {
                self.words.push_told(sentence, &mut line);
                user.push(&line);
            }
            _ => {
                push_visible(sentence, &mut line);
                line.push(b'\n');
                self.notices.push(&line, &mut self.conversation);
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
}
