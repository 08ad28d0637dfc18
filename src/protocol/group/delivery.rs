//! What is heard: messages of plain peers as they come, those of members by their number.
//!
//! A member's messages are counted from the number that it says it goes on from. What was shown before
//! is not shown again, whichever connection it comes over, and what will never come is said where it
//! is missing.

use std::time::Instant;

use super::{ClientId, Dialled, Group, Introduction, MemberKey, Notice, Who};
use crate::limits::EARLY_BYTES_MAX;
use crate::protocol::dial::DialId;
use crate::protocol::frame::Frame;
use crate::protocol::label::Label;
use crate::protocol::message::{self, Timestamp};
use crate::protocol::peer_frame::{PeerFrame, Wanted};
use crate::unicode::is_blank;

impl<S> Group<S> {
    /// Somebody says something.
    pub(super) fn hear(&mut self, id: ClientId, frame: &Frame<'_>, now: Instant) {
        let client = &mut self.clients[id.0];
        if client.is_muted {
            self.discarded_bytes += frame.body.len();
            return;
        }
        match client.introduction {
            Introduction::Complete(key) => self.hear_member(id, key, frame, now),
            Introduction::Over => (),
            // It took us for a plain peer, since our introduction was slow. It will say this again, and
            // from where on.
            _ if client.will_introduce_itself => (),
            Introduction::Awaited { .. } => {
                self.take_for_plain(id);
                self.hear_plain(id, frame);
            }
            // What a member says before it has shown that it is one is a plain peer's, too.
            Introduction::Plain | Introduction::Begun(_) => self.hear_plain(id, frame),
        }
    }

    fn hear_plain(&mut self, id: ClientId, frame: &Frame<'_>) {
        let client = &mut self.clients[id.0];
        if let Some(Dialled { dial: DialId::Named(index), .. }) = client.dialled {
            self.named[index].handle_frame();
        }
        let body = frame.text();
        let Some(message) = message::read_message(&body) else {
            let name = Label::of_place(client.address.to_string());
            let from = Who { name, id: None, address: Some(client.address) };
            return self.tell_plain(id, said(None, from, text_of(&body), false));
        };
        let known = client.name.as_ref().filter(|known| known.bare() == message.name).cloned();
        let name = known.unwrap_or_else(|| self.name_plain(id, message.name));
        let from = Who { name, id: None, address: Some(self.clients[id.0].address) };
        self.tell_plain(id, said(Some(message.at), from, message.text, false));
    }

    /// Tells what a plain peer says, at once: it has no past, and so waits for nobody's. Who is introducing
    /// itself will say it again, and as a member; it is told only if that does not happen.
    fn tell_plain(&mut self, id: ClientId, notice: Notice) {
        let Notice::Message { at, text, .. } = &notice else { return };
        let client = &mut self.clients[id.0];
        let (is_told, bytes) = (at.is_some() || !is_blank(text), notice.kept_bytes());
        if !matches!(client.introduction, Introduction::Begun(_)) {
            client.heard_early += 1;
            if is_told {
                self.show_person(id);
                self.notices.push_back(notice);
            }
            return;
        }
        let early = &mut client.exchange().early;
        early.count += 1;
        early.bytes += bytes;
        early.notices.extend(is_told.then_some(notice));
        if early.bytes > EARLY_BYTES_MAX {
            self.tell_early(id);
        }
    }

    /// Tells what was kept.
    pub(super) fn tell_early(&mut self, id: ClientId) {
        let client = &mut self.clients[id.0];
        let Some(exchange) = &mut client.exchange else { return };
        let early = std::mem::take(&mut exchange.early);
        client.heard_early += early.count;
        if !early.notices.is_empty() {
            self.show_person(id);
        }
        self.notices.extend(early.notices);
    }

    /// A member's message is shown under the name of the member, whatever name is in it.
    fn hear_member(&mut self, id: ClientId, key: MemberKey, frame: &Frame<'_>, now: Instant) {
        // Before it said from where on it goes on, nothing counts; it will come again.
        let Some(number) = self.clients[id.0].next_heard else { return };
        self.clients[id.0].next_heard = Some(number + 1);
        let member = &mut self.members[key];
        if member.have != Some(number) {
            return;
        }
        member.have = Some(number + 1);
        let is_shown = !member.shown_early.is_empty() && member.is_shown_early(number);
        let from = member.who();
        let is_past = number < member.live;
        self.will_tell_have(key, now);
        if is_shown {
            return;
        }
        let body = frame.text();
        let notice = match message::read_message(&body) {
            Some(message) => said(Some(message.at), from, message.text, is_past),
            None if is_blank(&body) => return,
            None => said(None, from, text_of(&body), is_past),
        };
        if is_past && self.joining.is_waiting() {
            self.joining.keep_past(key, notice);
        } else {
            self.tell(notice);
        }
    }

    /// A member has said something, so it will be told that we have it.
    pub(super) fn will_tell_have(&mut self, key: MemberKey, now: Instant) {
        let member = &mut self.members[key];
        if !std::mem::replace(&mut member.will_be_told, true) {
            match member.have_due(now) {
                // Those that are due now are due before all others.
                at if at == now => self.timers.haves.push_front((at, key)),
                at => self.timers.haves.push_back((at, key)),
            }
        }
    }

    /// Somebody who showed that it is this member says from where on it goes on. Returns how many of its
    /// messages will never be shown; `None` where they may, but not over this connection.
    pub(super) fn handle_from(
        &mut self,
        id: ClientId,
        key: MemberKey,
        from: u64,
        live: Option<u64>,
    ) -> Option<u64> {
        let (client, member) = (&mut self.clients[id.0], &mut self.members[key]);
        client.next_heard = Some(from);
        let heard_early = client.heard_early;
        if let Some(early) = client.exchange().early_from.filter(|_| heard_early > 0) {
            member.shown_early.push(early..early + heard_early);
        }
        let have = *member.have.get_or_insert_with(|| {
            member.live = live.unwrap_or(from);
            from
        });
        if from <= have {
            return Some(0);
        }
        // Otherwise we asked for the last ones, and have since heard some over another connection.
        client.exchange().asked_from?;
        member.have = Some(from);
        Some(member.not_shown_early(have..from))
    }

    /// A member says how many of our messages it has.
    pub(super) fn handle_have(&mut self, key: MemberKey, count: u64) {
        let member = &mut self.members[key];
        let count = count.min(self.log.next_number());
        member.has = member.has.max(count);
        self.heard.by_somebody |= member.sent_from.is_some_and(|from| from < count);
    }

    /// Tells a member how many of its messages we have.
    pub(super) fn tell_have(&mut self, key: MemberKey, now: Instant) {
        let Some(member) = self.members.get_mut(key).filter(|member| member.will_be_told) else { return };
        member.will_be_told = false;
        member.have_told = Some(now);
        if let Some(id) = self.best_link(key) {
            self.push_have(id, key);
        }
    }

    /// Tells a member over `id` how many of its messages we have.
    pub(super) fn push_have(&mut self, id: ClientId, key: MemberKey) {
        let member = &self.members[key];
        let private = Some(member.private.have).filter(|have| *have > 0);
        let wanted = member.have.map(Wanted::From);
        self.push_frame(id, &PeerFrame { wanted, private, ..PeerFrame::default() });
    }

    /// Ends the waiting for the past, if there is nothing to wait for any more.
    pub(super) fn end_joining_when_done(&mut self, now: Instant) {
        if !self.joining.is_waiting() {
            return;
        }
        let is_incomplete = || {
            let mut members = self.members.iter();
            self.is_reaching_out(now, now)
                || members.any(|(_, member)| member.is_catching_up())
                || self.is_told_of_members()
        };
        if self.joining.is_spent(now) || !is_incomplete() {
            self.end_joining();
        }
    }

    /// Whether somebody we have just met will still tell of the others.
    fn is_told_of_members(&self) -> bool {
        let mut links = self.members.iter().flat_map(|(_, member)| &member.links);
        links
            .any(|id| self.clients[id.0].exchange.as_ref().is_some_and(|exchange| !exchange.has_told_members))
    }

    pub(super) fn end_joining(&mut self) {
        self.notices.extend(self.joining.end());
    }
}

/// What somebody said to everybody.
fn said(at: Option<Timestamp>, from: Who, text: &str, is_past: bool) -> Notice {
    Notice::Message { at, from, text: text.to_owned(), is_past, is_private: false }
}

/// The text shown for a body of another shape. A blank one is no message, and nothing of it is shown.
fn text_of(body: &str) -> &str {
    body.trim_matches(['\r', '\n'])
}
