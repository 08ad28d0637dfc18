//! What the user is told of who is there, and of what it asked for.

use std::fmt;
use std::rc::Rc;
use std::time::Instant;

use super::former_names::Fate;
use super::notice::Who;
use crate::limits::PRIVATE_BYTES;

/// Somebody who takes part, or should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Who.
    pub who: Who,
    /// Whether it is there.
    pub standing: Standing,
    /// Who of the two dialled, where they are connected.
    pub dialled: Option<Dialler>,
    /// Since when it is connected, or lost.
    pub since: Option<Instant>,
    /// How many of our messages it does not have, as far as is known; of a plain peer, how many were not
    /// sent.
    pub behind: u64,
    /// When it is dialled next, where it is not connected.
    pub retry: Option<Retry>,
}

impl Participant {
    /// Whether it was there at any time.
    #[must_use]
    pub fn is_met(&self) -> bool {
        matches!(self.standing, Standing::Here | Standing::Plain | Standing::Lost)
    }
}

/// Whether somebody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A member, connected.
    Here,
    /// A plain peer, connected.
    Plain,
    /// A member that was there and is not.
    Lost,
    /// A member that others told of.
    Unmet,
    /// A peer that the user named and that was not reached.
    Named,
}

/// Who dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialler {
    /// We did.
    We,
    /// The other did.
    It,
}

/// When somebody is dialled next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It is being dialled.
    Now,
    /// Then.
    At(Instant),
}

/// What became of the wish to connect to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connecting {
    /// It is dialled.
    Begun,
    /// It is connected already, as this participant.
    Connected(Who),
    /// It was being dialled, and is at once if it was to be later.
    Dialling,
    /// There is no room for one more.
    Full,
}

/// A peer that the user named and that was never reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// The name by which the user named it.
    pub name: Rc<str>,
    /// It is still dialled.
    pub is_dialled: bool,
}

/// What became of the wish to disconnect from an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disconnecting {
    /// The peer that the user named by this was not connected, and is not dialled any more.
    Stopped(Rc<str>),
    /// This plain peer was sent a goodbye and its connection is closed.
    Closed(Who),
    /// This is a member: members stay connected as long as they are in the group.
    Member(Who),
    /// This plain peer dialled us.
    Accepted(Who),
    /// The user named no such peer.
    Unknown,
}

/// Why nobody was found by a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// Nobody has it.
    Nobody,
    /// The user has it.
    Oneself,
    /// Nobody has it any more.
    Former {
        /// The last bearer of the name.
        who: Who,
        /// What became of its bearer.
        fate: Fate,
        /// How to write each of those whose names look like it.
        others: Vec<String>,
    },
    /// Several have it: how to write each.
    Several(Vec<String>),
    /// It may end at several places, and each makes the name of somebody.
    Ambiguous(Vec<Reading>),
}

/// One of several things that may be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// How to write the recipient so that it alone is meant.
    pub written: String,
    /// What stands behind its name.
    pub rest: String,
    /// What became of the recipient, if nobody has that name any more.
    pub fate: Option<Fate>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => write!(f, "nobody has that name"),
            Self::Oneself => write!(f, "that is your own name"),
            Self::Former { who, fate, others } => {
                write!(f, "{who} {}", fate.predicate())?;
                match others.as_slice() {
                    [] => Ok(()),
                    others => write!(f, "; did you mean {}?", others.join(" or ")),
                }
            }
            Self::Several(all) => write!(f, "several have that name: write {}", all.join(" or ")),
            Self::Ambiguous(all) => {
                write!(f, "that can be read in several ways:")?;
                for (index, Reading { written, rest, fate }) in all.iter().enumerate() {
                    let excerpt: String = rest.chars().take(EXCERPT_CHARS).collect();
                    let more = if excerpt.len() < rest.len() { "..." } else { "" };
                    let or = if index == 0 { "" } else { ", or" };
                    write!(f, "{or} \"{excerpt}{more}\" to {written}")?;
                    if let Some(fate) = fate {
                        write!(f, ", who {}", fate.predicate())?;
                    }
                }
                let written: Vec<_> =
                    all.iter().filter(|one| one.fate.is_none()).map(|one| one.written.as_str()).collect();
                write!(f, "; write {}", written.join(" or "))
            }
        }
    }
}

/// How much of a text is quoted to tell it from another.
const EXCERPT_CHARS: usize = 20;

/// Why something was not said to one alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotPrivate {
    /// It is a plain peer.
    Plain(Who),
    /// It is no member any more.
    Gone(Who),
    /// It has not taken what was said before.
    Full(Who),
}

impl fmt::Display for NotPrivate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(who) => {
                write!(f, "{who} is a plain peer, which cannot get private messages")
            }
            Self::Gone(who) => write!(f, "{who} is not here any more"),
            Self::Full(who) => {
                let kilobytes = PRIVATE_BYTES >> 10;
                write!(f, "{who} has yet to take {kilobytes} KiB of private messages; try again when it has")
            }
        }
    }
}
