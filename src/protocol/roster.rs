//! The roster that `/who` shows, and the results of the user's commands.

use std::fmt;
use std::rc::Rc;
use std::time::Instant;

use super::event::PeerInfo;
use super::former_names::Fate;
use crate::limits::PRIVATE_BYTES;

/// An entry of the roster: a member, a plain peer, or a peer that the user named and that was not reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterEntry {
    /// The member or peer.
    pub peer: PeerInfo,
    /// Whether it is connected, and as what.
    pub standing: Standing,
    /// The side that dialled, if the two are connected.
    pub dialled: Option<Dialler>,
    /// Since when it is connected, or lost.
    pub since: Option<Instant>,
    /// How many of our messages it has not acknowledged; for a plain peer, how many were not sent.
    pub behind: u64,
    /// When it is dialled next, if it is not connected.
    pub retry: Option<Retry>,
}

impl RosterEntry {
    /// Whether it was connected at any time.
    #[must_use]
    pub fn is_met(&self) -> bool {
        matches!(self.standing, Standing::Here | Standing::Plain | Standing::Lost)
    }
}

/// The state of an entry of the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A member, connected.
    Here,
    /// A plain peer, connected.
    Plain,
    /// A member that was met and is not connected.
    Lost,
    /// A member that others reported and that was never met.
    Unmet,
    /// A peer that the user named and that was not reached.
    Named,
}

/// The side that dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialler {
    /// We did.
    We,
    /// The peer did.
    It,
}

/// When a peer is dialled next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It is being dialled.
    Now,
    /// It will be dialled then.
    At(Instant),
}

/// The result of `/connect`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connecting {
    /// It is dialled.
    Begun,
    /// It is connected already, as this participant.
    Connected(PeerInfo),
    /// It is dialled already; if it was to be dialled later, it is dialled at once.
    Dialling,
    /// The user has named too many peers.
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

/// The result of `/disconnect`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disconnecting {
    /// The peer that the user named by this was not connected, and is not dialled any more.
    Stopped(Rc<str>),
    /// This plain peer was sent a goodbye and its connection is closed.
    Closed(PeerInfo),
    /// This is a member: members stay connected as long as they are in the group.
    Member(PeerInfo),
    /// This plain peer dialled us.
    Accepted(PeerInfo),
    /// The user named no such peer.
    Unknown,
}

/// The reason why a name means no peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// Nobody has it.
    Nobody,
    /// It is the user's own name.
    Oneself,
    /// Nobody has it any more.
    Former {
        /// The last bearer of the name.
        peer: PeerInfo,
        /// The reason.
        fate: Fate,
        /// How to write each name that looks like it.
        others: Vec<String>,
    },
    /// Several have it: how to write each.
    Several(Vec<String>),
    /// The name may end at several places, and each reading means a peer.
    Ambiguous(Vec<Reading>),
}

/// One of several readings of a command's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The recipient's name in a form that means no other peer.
    pub written: String,
    /// The text behind its name.
    pub rest: String,
    /// The reason why the name is out of use, if it is.
    pub fate: Option<Fate>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => write!(f, "nobody has that name"),
            Self::Oneself => write!(f, "that is your own name"),
            Self::Former { peer, fate, others } => {
                write!(f, "{peer} {}", fate.predicate())?;
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

/// How many characters of a text are quoted to identify it.
const EXCERPT_CHARS: usize = 20;

/// The reason why a private message was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotPrivate {
    /// The recipient is a plain peer.
    Plain(PeerInfo),
    /// The recipient is no member any more.
    Gone(PeerInfo),
    /// The queue of the recipient is full: it has not acknowledged earlier ones.
    Full(PeerInfo),
}

impl fmt::Display for NotPrivate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(peer) => {
                write!(f, "{peer} is a plain peer, which cannot get private messages")
            }
            Self::Gone(peer) => write!(f, "{peer} is not here any more"),
            Self::Full(peer) => {
                let kilobytes = PRIVATE_BYTES >> 10;
                write!(f, "{peer} has yet to take {kilobytes} KiB of private messages; try again when it has")
            }
        }
    }
}
