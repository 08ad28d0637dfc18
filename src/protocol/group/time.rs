//! What is to be done without an event, and when.

use std::collections::VecDeque;
use std::time::Instant;

use super::dialling::Attempt;
use super::{Client, ClientId, Dial, Group, Introduction, LostReason, Notice, State};
use crate::limits::{DIALS_MAX, DIALS_UNMET_MAX, FORGET, INTRODUCTION, NEWS_INTERVAL};
use crate::protocol::dial::DialId;
use crate::protocol::member::{MemberKey, Presence};

/// Who waits for what until when. What waits equally long is in a queue; an entry in it may be out of
/// date, and means nothing then.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// Clients that may still introduce themselves.
    pub awaited: VecDeque<(Instant, ClientId)>,
    /// Clients whose introduction has begun.
    pub introducing: VecDeque<(Instant, ClientId)>,
    /// Clients that have taken all that they get.
    pub finishing: VecDeque<(Instant, ClientId)>,
    /// Members that will be told how many of their messages we have.
    pub haves: VecDeque<(Instant, MemberKey)>,
    /// Members of whom the others will be told.
    pub news: Vec<MemberKey>,
    pub news_at: Option<Instant>,
    /// When the next member may have to be forgotten.
    pub forget_at: Option<Instant>,
    /// Clients that we dial.
    pub dialling: Vec<ClientId>,
    /// When the next peer is to be dialled; `None` when that is to be looked up.
    next_dial: Option<Option<Instant>>,
}

impl Timers {
    /// Somebody may have to be dialled earlier than was known.
    pub fn handle_dials_changed(&mut self) {
        self.next_dial = None;
    }

    pub fn add_news(&mut self, key: MemberKey, now: Instant) {
        if !self.news.contains(&key) {
            self.news.push(key);
        }
        self.news_at.get_or_insert(now + NEWS_INTERVAL);
    }

    /// A member may have to be forgotten then.
    pub fn forget_at(&mut self, at: Instant) {
        self.forget_at = Some(self.forget_at.map_or(at, |known| known.min(at)));
    }
}

/// Takes the first of `queue` whose time has come.
fn pop_due<T>(queue: &mut VecDeque<(Instant, T)>, now: Instant) -> Option<(Instant, T)> {
    queue.front().filter(|(at, _)| now >= *at)?;
    let first = queue.pop_front();
    if queue.is_empty() {
        // A crowd that has come leaves nothing behind.
        queue.shrink_to(64);
    }
    first
}

impl<S> Group<S> {
    /// Does what is due: ends what has had its time, and tells what is to be told now and then.
    pub fn handle_time(&mut self, now: Instant) {
        self.end_joining_when_done(now);
        self.end_what_has_had_its_time(now);
        while let Some((host, count)) = self.visitors.poll(now) {
            self.notices.push_back(Notice::MoreVisitors { host, count });
        }
        while let Some((_, key)) = pop_due(&mut self.timers.haves, now) {
            self.tell_have(key, now);
        }
        if self.timers.news_at.is_some_and(|at| now >= at) {
            self.tell_news(now);
        }
        if self.timers.forget_at.is_some_and(|at| now >= at) {
            self.forget_members(now);
        }
    }

    fn end_what_has_had_its_time(&mut self, now: Instant) {
        for id in self.timers.dialling.clone() {
            if matches!(self.clients[id.0].state, State::Dialling { until } if now >= until) {
                self.lose(id, LostReason::Failed("no answer".into()), now);
            }
        }
        while let Some((at, id)) = pop_due(&mut self.timers.awaited, now) {
            let awaited = Introduction::Awaited { until: at };
            let is_plain = |client: &Client<S>| {
                client.is_open() && client.introduction == awaited && !client.will_introduce_itself
            };
            if self.clients.get(id.0).is_some_and(is_plain) {
                self.take_for_plain(id);
                self.show_connection(id, now);
            }
        }
        while let Some((_, id)) = pop_due(&mut self.timers.introducing, now) {
            if self.clients.get(id.0).is_some_and(|client| is_overdue(client, now)) {
                self.lose(id, LostReason::Unintroduced(INTRODUCTION), now);
            }
        }
        while let Some((at, id)) = pop_due(&mut self.timers.finishing, now) {
            let finishing = State::Finishing { until: at };
            if self.clients.get(id.0).is_some_and(|client| client.state == finishing) {
                self.lose(id, LostReason::Closed { unfinished_bytes: 0 }, now);
            }
        }
    }

    fn forget_members(&mut self, now: Instant) {
        self.timers.forget_at = None;
        if self.leaving {
            // Everybody was told of already.
            return;
        }
        let count = self.members.keys().len();
        for key in self.members.keys() {
            let (Presence::Lost { since } | Presence::Unmet { since }) = self.members[key].presence else {
                continue;
            };
            match now >= since + FORGET {
                false => self.timers.forget_at(since + FORGET),
                true if self.members[key].others.is_empty() => {
                    if !self.members[key].is_unmet() {
                        let who = self.members[key].who();
                        self.notices.push_back(Notice::Forgotten { who });
                    }
                    self.forget(key, now);
                }
                // It introduces itself just now.
                true => self.timers.forget_at(now + INTRODUCTION),
            }
        }
        if self.members.keys().len() < count {
            // Somebody may still be connected with whom we cannot reach.
            self.ask_members();
        }
    }

    /// The next address to dial, until `None`. The answer is [`handle_dialling`] or
    /// [`handle_dial_failed`]. Whom the user named and who was lost come first, then those that have
    /// failed least often.
    ///
    /// [`handle_dialling`]: Self::handle_dialling
    /// [`handle_dial_failed`]: Self::handle_dial_failed
    pub fn poll_dial(&mut self, now: Instant) -> Option<Attempt> {
        loop {
            if self.timers.next_dial.is_some_and(|at| at.is_none_or(|at| now < at)) {
                return None;
            }
            let due = |(_, dial): &(DialId, &Dial)| dial.deadline().is_some_and(|at| now >= at);
            let order = |(id, dial): &(DialId, &Dial)| (self.is_unmet(*id), dial.failures(), dial.deadline());
            let Some((id, _)) = self.dials().filter(due).min_by_key(order) else {
                self.timers.next_dial = Some(self.next_dial());
                return None;
            };
            self.timers.handle_dials_changed();
            // Nothing comes of one that has no address.
            if let Some((address, until)) = self.dial_mut(id).and_then(|dial| dial.poll(now)) {
                return Some(Attempt { dial: id, address, until });
            }
        }
    }

    /// When the next peer is to be dialled for whom there is a place.
    fn next_dial(&self) -> Option<Instant> {
        self.dials().filter_map(|(_, dial)| dial.deadline()).min()
    }

    fn is_unmet(&self, id: DialId) -> bool {
        matches!(id, DialId::Member(key) if self.members[key].is_unmet())
    }

    /// When something is to be done without an event.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let Timers { awaited, introducing, finishing, haves, news_at, forget_at, dialling, .. } =
            &self.timers;
        let fronts = [awaited.front(), introducing.front(), finishing.front()].into_iter().flatten();
        let fronts = fronts.map(|(at, _)| *at).chain(haves.front().map(|(at, _)| *at));
        let dialling_until = dialling.iter().filter_map(|id| match self.clients[id.0].state {
            State::Dialling { until } => Some(until),
            _ => None,
        });
        let next_dial = self.timers.next_dial.unwrap_or_else(|| self.next_dial());
        let behind = self.behind.iter().filter_map(|id| self.clients.get(id.0)?.waiting);
        let others = [*news_at, *forget_at, next_dial, self.joining.deadline(), self.visitors.deadline()];
        let others = others.into_iter().flatten();
        fronts.chain(dialling_until).chain(behind.map(|waiting| waiting.probe_at)).chain(others).min()
    }

    /// The dials that may have something to do and for which there is a place: not those of members that
    /// are connected. Members that nobody has met yet leave some places to others.
    fn dials(&self) -> impl Iterator<Item = (DialId, &Dial)> {
        let taken = self.timers.dialling.len();
        let named = self.named.iter().enumerate().map(|(index, dial)| (DialId::Named(index), dial));
        let members = self.members.iter().filter(move |(key, member)| {
            let places = if member.is_unmet() { DIALS_UNMET_MAX } else { DIALS_MAX };
            taken < places && !member.is_here() && !self.is_soon_linked(*key)
        });
        let members = members.map(|(key, member)| (DialId::Member(key), &member.dial));
        named.filter(move |_| taken < DIALS_MAX).chain(members)
    }
}

/// Whether it should have introduced itself by now.
fn is_overdue<S>(client: &Client<S>, now: Instant) -> bool {
    let is_introducing = match client.introduction {
        Introduction::Begun(_) => true,
        Introduction::Awaited { .. } | Introduction::Plain => client.will_introduce_itself,
        Introduction::Complete(_) | Introduction::Over => false,
    };
    client.state == State::Open && is_introducing && now >= client.since + INTRODUCTION
}
