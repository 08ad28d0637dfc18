//! What one run of the program showed its user of the others, and what that must be like.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use groupchat::protocol::{Diagnostic, Event, Label, LostReason};

use super::world::SHOWN_ONCE;

/// For how long a message that was shown as a plain peer's must not be shown again as a member's.
const REPEAT_TIME: Duration = Duration::from_secs(600);

/// What is known of another, by what was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Here,
    Lost,
    Left,
}

/// What is true of another run, to judge what was shown of it.
#[derive(Clone, Copy, Debug)]
pub struct Truth {
    /// How many messages it has said.
    pub said: u64,
    /// It has said goodbye.
    pub has_left: bool,
    /// Both are members, and not one of them a plain peer.
    pub are_members: bool,
    /// They had one connection, so that a plain peer's messages are in order.
    pub keeps_order: bool,
    /// It says so much that its log forgets messages.
    pub overruns_log: bool,
}

/// What was shown of one other run.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub standing: Option<Standing>,
    /// Messages that were shown as the member's: the first one, and the number of the next one.
    shown: Option<(u64, u64)>,
    /// The first message that is owed: from there on, both belonged to the group.
    owed_from: Option<u64>,
    /// The rest of its history may not come: that is not owed, and not reported missing once the log has forgotten it.
    may_lack_history: bool,
    /// Messages that were shown under a label without an id, and when.
    plain: BTreeMap<u64, Instant>,
    /// How many were reported missing since the last message.
    gap: u64,
    /// How many were reported missing since it joined.
    pub missed: u64,
    /// Of ours, how many it did not get, as was shown.
    pub undelivered: u64,
    /// It was forgotten once, and what it lacked until then was shown then.
    pub was_forgotten: bool,
    /// The number that the next message which it says to us alone must have, at least.
    pub next_private: u64,
    /// What it is called here, but for what tells it apart.
    pub label: String,
}

/// A name that looks like that of every other run which takes one, and yet tells whose it is.
pub fn look_alike(run: usize) -> String {
    format!("same{}", char::from_u32(FIRST_INVISIBLE + run as u32).expect("few runs"))
}

/// What run `number` is called at first. Half of the names are made to be mistaken for the end of a message.
pub fn first_name(number: usize) -> String {
    if number.is_multiple_of(2) { format!("n{number}") } else { format!("] : <\\{number}") }
}

/// VARIATION SELECTOR-17 and those behind it.
const FIRST_INVISIBLE: u32 = 0xe0100;

/// The first name of whoever this is, whatever it calls itself since.
pub fn base(label: &Label) -> String {
    let name = label.bare();
    match name.strip_prefix("same").and_then(|rest| rest.chars().next()) {
        Some(char) => first_name((u32::from(char) - FIRST_INVISIBLE) as usize),
        None => name.split_once('~').map_or(name, |(base, _)| base).to_owned(),
    }
}

impl Entry {
    /// The number of the next message that must be shown, or reported missing.
    fn expected(&self) -> Option<u64> {
        self.shown.map(|(_, next)| next).or(self.owed_from)
    }

    /// Whether everything that is owed before message `number` was shown or reported missing. Those that were
    /// shown as a plain peer's may be among the ones reported missing: they have no numbers.
    pub fn accounts_for(&self, number: u64) -> bool {
        let Some(expected) = self.expected() else { return true };
        let count = number.saturating_sub(expected);
        let plain = self.plain.range(expected..expected + count).count() as u64;
        let history =
            if self.may_lack_history { self.owed_from.unwrap_or(0).saturating_sub(expected) } else { 0 };
        // Before the first message, more may be missing than was owed.
        (self.gap <= count || self.shown.is_none()) && count <= self.gap + plain + history
    }

    /// Whether the first message of all was shown as the member's.
    pub fn has_first(&self) -> bool {
        self.shown.is_some_and(|(first, _)| first == 0)
    }

    /// How many of the `said` messages were neither shown nor reported missing.
    pub fn lacks(&self, said: u64) -> u64 {
        let count = said.saturating_sub(self.expected().unwrap_or(0));
        let plain = self.plain.range(said - count..said).count() as u64;
        count.saturating_sub(self.gap + plain)
    }

    /// Whether a plain peer's message `number` was shown, and is the last one.
    pub fn has_heard(&self, number: u64) -> bool {
        self.plain.last_key_value().is_some_and(|(last, _)| *last == number)
    }

    fn was_shown_plain(&self, number: u64, now: Instant) -> bool {
        self.plain.get(&number).is_some_and(|at| now < *at + REPEAT_TIME)
    }

    /// A message is shown under a label without an id.
    fn show_plain(&mut self, number: u64, from: &str, truth: &Truth, now: Instant) {
        if truth.are_members {
            let is_members = self.shown.is_some_and(|(first, next)| (first..next).contains(&number));
            let is_repeated = is_members || self.was_shown_plain(number, now);
            assert!(
                !SHOWN_ONCE || !is_repeated,
                "shown twice: {number} of {from}, now as a plain peer's: {self:?}"
            );
        } else if truth.keeps_order {
            let last = self.plain.last_key_value().map(|(last, _)| *last);
            assert!(last.is_none_or(|last| number > last), "{number} of {from} comes after {last:?}");
        }
        self.plain.insert(number, now);
    }

    /// A message is shown as the member's.
    fn show(&mut self, number: u64, from: &str, now: Instant) {
        let is_repeated = SHOWN_ONCE && self.was_shown_plain(number, now);
        assert!(
            !is_repeated,
            "shown twice: {number} of {from}, first as a plain peer's, then as the member's: {self:?}"
        );
        assert!(
            self.shown.is_none_or(|(_, next)| number >= next),
            "shown twice: {number} of {from} as the member's: {self:?}"
        );
        match self.shown {
            Some(_) => {
                assert!(self.accounts_for(number), "missing: some of {from} before {number}: {self:?}")
            }
            None => assert!(
                self.accounts_for(number),
                "missing: the first of {from} before {number}, which was said to a group of both: {self:?}"
            ),
        }
        let first = self.shown.map_or(number, |(first, _)| first);
        (self.shown, self.gap) = (Some((first, number + 1)), 0);
    }
}

/// Everything that was shown to the user of one run.
#[derive(Default)]
pub struct Ledger {
    entries: BTreeMap<String, Entry>,
    /// Whether a line said where the present begins, and it was right to.
    has_seen_present: bool,
}

impl Ledger {
    pub fn entry(&self, name: &str) -> Entry {
        self.entries.get(name).cloned().unwrap_or_default()
    }

    /// From now on both belong to the group, so that whatever is said from message `number` on is owed.
    pub fn owe(&mut self, name: &str, number: u64) {
        let owed_from = &mut self.entry_mut(name).owed_from;
        *owed_from = Some(owed_from.map_or(number, |known| known.min(number)));
    }

    /// Takes in a notice, and checks it. `truth` says what is true of a run by its first name.
    pub fn take(&mut self, event: Event, now: Instant, truth: &dyn Fn(&str) -> Option<Truth>) {
        self.take_label(&event);
        match event {
            Event::Message { from, text, is_private: true, .. } => {
                let number: u64 =
                    text.split(' ').nth(1).and_then(|number| number.parse().ok()).expect("a number");
                let entry = self.entry_mut(&base(&from.name));
                assert!(number >= entry.next_private, "{number} of {from} comes again: {entry:?}");
                entry.next_private = number + 1;
            }
            Event::Message { at, from, text, .. } => {
                assert!(!text.starts_with("private"), "{text} was said to somebody alone");
                assert!(at.is_some(), "something misshapen: {text:?}");
                let number = text.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
                let name = base(&from.name);
                let truth = truth(&name).expect("the name of a run");
                let entry = self.entry_mut(&name);
                entry.may_lack_history = truth.overruns_log;
                match from.id {
                    Some(_) => entry.show(number, &name, now),
                    None => entry.show_plain(number, &name, &truth, now),
                }
            }
            Event::Missed { peer, count } => {
                let entry = self.entry_mut(&base(&peer.name));
                entry.gap += count;
                entry.missed += count;
            }
            Event::Joined { peer } => {
                let name = base(&peer.name);
                self.owe(&name, truth(&name).expect("the name of a run").said);
                let entry = self.entry_mut(&name);
                assert_eq!(entry.standing, None, "{peer} has joined before");
                entry.standing = Some(Standing::Here);
                // What was missing when it was forgotten was shown to its own user then.
                (entry.missed, entry.undelivered) = (0, 0);
            }
            Event::Back { peer } => self.change(&base(&peer.name), &[Standing::Lost], Standing::Here),
            Event::Lost { peer, why: LostReason::FrameTooLong } => panic!("{peer} sent something misshapen"),
            // Plain peers have no standing, nor has a connection that never became a member's.
            Event::Lost { peer, .. } if peer.id.is_none() => (),
            Event::Lost { peer, .. } => self.change(&base(&peer.name), &[Standing::Here], Standing::Lost),
            Event::Left { peer } => {
                let name = base(&peer.name);
                let has_left = truth(&name).is_some_and(|truth| truth.has_left);
                assert!(has_left || peer.name.looks().is_none(), "{peer} has not left");
                // A peer that was never met has no standing.
                if peer.id.is_some() && self.entry(&name).standing.is_some() {
                    self.change(&name, &[Standing::Here, Standing::Lost], Standing::Left);
                }
            }
            Event::Diagnostic(Diagnostic::Undelivered { peer, count }) => {
                self.entry_mut(&base(&peer.name)).undelivered = count
            }
            Event::Present => {
                assert!(!std::mem::replace(&mut self.has_seen_present, true), "the present begins once");
            }
            Event::Diagnostic(Diagnostic::Forgotten { peer }) => {
                let entry = self.entry_mut(&base(&peer.name));
                assert_eq!(entry.standing.take(), Some(Standing::Lost), "{peer} was not lost");
                (entry.was_forgotten, entry.owed_from) = (true, None);
            }
            _ => (),
        }
    }

    /// Takes over what a member is called, and checks that nobody takes another's name.
    fn take_label(&mut self, event: &Event) {
        let peer = match event {
            Event::Joined { peer } | Event::Back { peer } => peer,
            Event::Renamed { peer, before } => {
                let entry = self.entry_mut(&base(&peer.name));
                assert_eq!(entry.label, before.bare(), "{peer} was called otherwise");
                assert_ne!(peer.name.bare(), before.bare(), "{peer} has no other name");
                peer
            }
            // The past is shown before what has happened since.
            Event::Message { from, is_past: false, .. } if from.id.is_some() => from,
            _ => return,
        };
        let is_renamed = matches!(event, Event::Renamed { .. } | Event::Joined { .. });
        let entry = self.entry_mut(&base(&peer.name));
        if is_renamed {
            entry.label = peer.name.bare().to_owned();
        }
        assert_eq!(entry.label, peer.name.bare(), "nobody said that it has another name");
    }

    fn entry_mut(&mut self, name: &str) -> &mut Entry {
        self.entries.entry(name.to_owned()).or_default()
    }

    fn change(&mut self, peer: &str, from: &[Standing], to: Standing) {
        let entry = self.entry_mut(peer);
        let is_right = entry.standing.is_some_and(|standing| from.contains(&standing));
        assert!(is_right, "{peer} cannot be {to:?}: {entry:?}");
        entry.standing = Some(to);
    }
}
