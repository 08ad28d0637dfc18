//! What is said to one member alone.

use std::time::Instant;

use chrono::{DateTime, FixedOffset};

use super::{ClientId, Group, Introduction, MemberKey, Notice, Who};
use crate::protocol::frame::{Code, Frame};
use crate::protocol::peer_frame::PeerFrame;
use crate::protocol::roster::NotPrivate;

impl<S> Group<S> {
    /// Says `text` to `who` alone, now or when it is back.
    ///
    /// # Errors
    ///
    /// Why it cannot be said; then nothing of it was.
    pub fn whisper(&mut self, who: &Who, text: &str, at: DateTime<FixedOffset>) -> Result<(), NotPrivate> {
        let id = who.id.ok_or_else(|| NotPrivate::Plain(who.clone()))?;
        let key = self.members.find(id).ok_or_else(|| NotPrivate::Gone(who.clone()))?;
        let said = self.members[key].private.say(text, at, &self.writer);
        let first = said.ok_or_else(|| NotPrivate::Full(who.clone()))?;
        if let Some(link) = self.best_link(key) {
            self.push_private(link, key, first);
        }
        Ok(())
    }

    /// Tells a member what it may not know, since it was on its way over another connection: our name,
    /// and what was said to it alone. To be done over every new connection, and over those that are left
    /// when one is gone.
    pub(super) fn push_unknown(&mut self, id: ClientId, key: MemberKey) {
        let private_from = self.members[key].private.goes_on_from();
        self.push_frame(id, &PeerFrame { private_from, ..self.own_name() });
        if let Some(first) = private_from {
            self.push_private(id, key, first);
        }
    }

    fn push_private(&mut self, id: ClientId, key: MemberKey, first: u64) {
        for body in self.members[key].private.frames_from(first) {
            self.clients[id.0].push(Code::Private, body.as_bytes(), &self.log, self.silent);
        }
        self.list(id);
    }

    /// Somebody says something to us alone. Only who has shown that it is a member is heard.
    pub(super) fn hear_private(&mut self, id: ClientId, frame: &Frame<'_>, now: Instant) {
        let client = &self.clients[id.0];
        let Introduction::Complete(key) = client.introduction else { return };
        if client.is_muted {
            self.discarded_bytes += frame.body.len();
            return;
        }
        let body = frame.text();
        let member = &mut self.members[key];
        let Some(message) = member.private.handle_frame(&body) else { return };
        let (at, text) = (Some(message.at), message.text.to_owned());
        let notice = Notice::Message { at, from: member.who(), text, is_past: false, is_private: true };
        self.will_tell_have(key, now);
        self.tell(notice);
    }
}
