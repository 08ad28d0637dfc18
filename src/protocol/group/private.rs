//! What is said to one member alone.

use std::time::Instant;

use chrono::{DateTime, FixedOffset};

use super::{ClientId, Group, Introduction, MemberKey, Notice, Who};
use crate::limits::PRIVATE_LOST_MAX;
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

    /// Whether a member may still confirm a private message.
    #[must_use]
    pub fn has_private_pending(&self) -> bool {
        self.members.iter().any(|(_, member)| member.private.kept_count() > 0)
    }

    /// Those of whom it is not known that they have all that was sent to them alone.
    #[must_use]
    pub fn private_undelivered(&self) -> Vec<Who> {
        let kept = self.members.iter().filter(|(_, member)| member.private.kept_count() > 0);
        self.private_lost.iter().cloned().chain(kept.map(|(_, member)| member.who())).collect()
    }

    /// A member is about to be forgotten, with the private messages that it did not confirm.
    pub(super) fn note_private_lost(&mut self, key: MemberKey) {
        let member = &self.members[key];
        if member.private.kept_count() > 0 {
            let who = member.who();
            self.private_lost.push_back(who);
            if self.private_lost.len() > PRIVATE_LOST_MAX {
                self.private_lost.pop_front();
            }
        }
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
