//! What one run of the program told its user of the others, and what that must be like.

use std::collections::{BTreeMap, BTreeSet};

use groupchat::protocol::{Label, LostReason, Notice};

/// What is known of another, by what was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Here,
    Lost,
    Left,
}

/// What was told of one other run.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub standing: Option<Standing>,
    /// The number that its next message must have; `None` before the first.
    pub next: Option<u64>,
    /// How many it had said when it joined: none of those after may be missing.
    pub said_when_joined: u64,
    /// What it said before it joined, as a plain peer.
    early: BTreeSet<u64>,
    /// Messages that were told to be missing.
    pub missed: u64,
    /// How many of those told to be missing may have been heard early: over a connection that broke
    /// before it introduced itself, nobody knows which they were.
    uncounted: u64,
    /// Of ours, how many it did not get, as was told.
    pub undelivered: u64,
    /// It was forgotten once, and what it lacked until then was told then.
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

/// The same, with the address if it stands with that: who has not shown who it is, or is a plain peer.
fn key(label: &Label) -> String {
    base(label) + if is_tagged(label) { label.mark() } else { "" }
}

fn is_tagged(label: &Label) -> bool {
    label.mark().starts_with(" (")
}

impl Entry {
    /// Whether a connection of it from before it joined can be there after all others are lost.
    fn outlives(&self) -> bool {
        self.standing == Some(Standing::Lost) && !self.early.is_empty()
    }

    /// Whether its message `number` was told, and is the last one.
    pub fn has_heard(&self, number: u64) -> bool {
        self.next == Some(number + 1) || self.early.last() == Some(&number)
    }

    /// How many messages it must have said, if all that was said before was heard.
    pub fn heard(&self) -> u64 {
        let next = self.next.unwrap_or(self.said_when_joined);
        (next..).find(|number| !self.early.contains(number)).unwrap_or(next)
    }
}

/// Everything that was told to the user of one run.
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

    /// Takes in a notice, and checks it. `said` tells how many messages a run has said, `left` whether
    /// it has left, and `keeps_order` whether it does although it is a plain peer.
    pub fn take(
        &mut self,
        notice: Notice,
        said: &dyn Fn(&str) -> u64,
        left: &BTreeSet<String>,
        keeps_order: &dyn Fn(&str) -> bool,
    ) {
        self.take_label(&notice);
        match notice {
            Notice::Message { from, text, is_private: true, .. } => {
                let number: u64 =
                    text.split(' ').nth(1).and_then(|number| number.parse().ok()).expect("a number");
                let entry = self.entry_mut(&key(&from.name));
                assert!(number >= entry.next_private, "{number} of {from} comes again: {entry:?}");
                entry.next_private = number + 1;
            }
            Notice::Message { at, from, text, .. } => {
                assert!(!text.starts_with("private"), "{text} was said to somebody alone");
                assert!(at.is_some(), "something misshapen: {text:?}");
                let number = text.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
                // Before it has shown who it is, it may be called by its address, too.
                let has_not_shown_it = from.id.is_none();
                let (is_tagged, from) = (is_tagged(&from.name), &*base(&from.name));
                let entry = self.entry_mut(from);
                let is_early = is_tagged || has_not_shown_it && entry.standing.is_some();
                if is_early {
                    entry.early.insert(number);
                    return;
                }
                if entry.standing.is_none() && !keeps_order(from) {
                    // Plain peers have no numbers, and so has no member whose introduction is slow. Over
                    // each of their connections comes everything.
                    entry.early.insert(number);
                    return;
                }
                let expected = entry.next.unwrap_or(number);
                if number < expected && left.contains(from) {
                    // What was still to be read of somebody who was slow to introduce itself on one
                    // connection, and has left on another.
                    return;
                }
                // Nobody counts what plain peers say to each other: a broken link can lose some.
                let uncounted = std::mem::take(&mut entry.uncounted);
                let are_early = |from: u64| (from..number).all(|number| entry.early.contains(&number));
                let is_known = |from: u64| are_early(from) || are_early(from + uncounted);
                let is_right = number >= expected && (is_known(expected) || entry.standing.is_none());
                assert!(is_right, "{number} of {from} comes instead of {expected}: {entry:?}");
                if entry.standing.is_some() && entry.next.is_none() {
                    let is_known = is_known(entry.said_when_joined);
                    assert!(is_known, "the first of {from} are missing before {number}: {entry:?}");
                }
                entry.next = Some(number + 1);
            }
            Notice::Missed { who, count } => {
                let entry = self.entry_mut(&key(&who.name));
                // Nothing of it may have come since it joined.
                let next = entry.next.as_mut().unwrap_or(&mut entry.said_when_joined);
                let mut unheard = (*next..).filter(|number| !entry.early.contains(number));
                let last = unheard.nth(count as usize - 1).expect("numbers do not end");
                *next += count;
                entry.uncounted += last + 1 - *next;
                entry.missed += count;
            }
            Notice::Joined { who } => {
                let said = said(&key(&who.name));
                let entry = self.entry_mut(&key(&who.name));
                assert_eq!(entry.standing, None, "{who} has joined before");
                (entry.standing, entry.said_when_joined) = (Some(Standing::Here), said);
                // What was missing when it was forgotten was told to its own user then.
                (entry.missed, entry.undelivered) = (0, 0);
            }
            Notice::Back { who } => self.change(&key(&who.name), Standing::Lost, Standing::Here),
            Notice::Lost { who, why: LostReason::FrameTooLong } => panic!("{who} sent something misshapen"),
            // Plain peers have no standing, nor has a connection over which somebody never introduced
            // itself who has left on another.
            Notice::Lost { who, .. }
                if matches!(self.entry(&key(&who.name)).standing, None | Some(Standing::Left)) => {}
            Notice::Lost { who, .. } if who.id.is_none() => (),
            // Nor has one over which it was slow to introduce itself, and that outlives the others.
            Notice::Lost { who, .. } if self.entry(&key(&who.name)).outlives() => {}
            Notice::Lost { who, .. } => self.change(&key(&who.name), Standing::Here, Standing::Lost),
            Notice::Left { who } => {
                assert!(left.contains(&base(&who.name)) || who.name.looks().is_none(), "{who} has not left");
                // A connection over which it never introduced itself may tell of the same once more.
                if who.id.is_some()
                    && self.entry(&key(&who.name)).standing.is_some_and(|standing| standing != Standing::Left)
                {
                    self.change(&key(&who.name), Standing::Here, Standing::Left);
                }
            }
            Notice::Undelivered { who, count } => self.entry_mut(&key(&who.name)).undelivered = count,
            Notice::Present => {
                assert!(!std::mem::replace(&mut self.has_seen_present, true), "the present begins once");
            }
            Notice::Impostor { who, .. } => panic!("{who} is taken for an impostor"),
            Notice::Forgotten { who } => {
                let entry = self.entry_mut(&key(&who.name));
                assert_eq!(entry.standing.take(), Some(Standing::Lost), "{who} was not lost");
                entry.was_forgotten = true;
            }
            _ => (),
        }
    }

    /// Takes over what a member is called, and checks that nobody takes another's name.
    fn take_label(&mut self, notice: &Notice) {
        let who = match notice {
            Notice::Joined { who } | Notice::Back { who } => who,
            Notice::Renamed { who, before } => {
                let entry = self.entry_mut(&key(&who.name));
                assert_eq!(entry.label, before.bare(), "{who} was called otherwise");
                assert_ne!(who.name.bare(), before.bare(), "{who} has no other name");
                who
            }
            // The past is told before what has happened since.
            Notice::Message { from, is_past: false, .. } if from.id.is_some() => from,
            _ => return,
        };
        let is_renamed = matches!(notice, Notice::Renamed { .. } | Notice::Joined { .. });
        let entry = self.entry_mut(&key(&who.name));
        if is_renamed {
            entry.label = who.name.bare().to_owned();
        }
        assert_eq!(entry.label, who.name.bare(), "nobody told that it has another name");
    }

    fn entry_mut(&mut self, name: &str) -> &mut Entry {
        self.entries.entry(name.to_owned()).or_default()
    }

    fn change(&mut self, who: &str, from: Standing, to: Standing) {
        let entry = self.entry_mut(who);
        assert_eq!(entry.standing, Some(from), "{who} cannot be {to:?}");
        entry.standing = Some(to);
    }
}
