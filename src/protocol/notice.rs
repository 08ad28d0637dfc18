//! What the group has to tell its user. How it is put into words is the terminal's.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::label::{Label, address_mark};
use super::message::Timestamp;
use super::names::short_tag;
use super::peer_frame::MemberId;
use super::visitors::Host;
use crate::limits::{FRAME_BYTES_MAX, LOG_BYTES, NOTICE_BYTES_EACH};

/// Somebody of whom a notice tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// What it is called here: its name, with a mark where somebody else has the same or one that looks like
    /// it; its address if it never told one.
    pub name: Label,
    /// Who it is, if it introduced itself.
    pub id: Option<MemberId>,
    /// Where it is reached, or came from.
    pub address: Option<SocketAddr>,
}

/// One thing to tell.
///
/// Names and texts in it are as peers sent them: nothing has been made safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Somebody said something.
    Message {
        /// When, by the sender's clock; `None` for a body of another shape.
        at: Option<Timestamp>,
        /// Who said it; under its address for a body of another shape.
        from: Who,
        /// What was said.
        text: String,
        /// It was said before the two knew of each other.
        is_past: bool,
        /// It was said to us alone.
        is_private: bool,
    },
    /// A member has come that was not here before.
    Joined {
        /// Who.
        who: Who,
    },
    /// A member that was lost is here again.
    Back {
        /// Who.
        who: Who,
    },
    /// A member has another name.
    Renamed {
        /// Who, under the new name.
        who: Who,
        /// What it was called here before.
        before: Label,
    },
    /// Messages that a member said at this place will never come.
    Missed {
        /// Who.
        who: Who,
        /// How many.
        count: u64,
    },
    /// What was told before this is what was said before we came.
    Present,
    /// A peer said goodbye.
    Left {
        /// Who.
        who: Who,
    },
    /// A plain peer sent its first message, or its goodbye, which comes next. Each is followed by
    /// [`Left`](Self::Left), [`Lost`](Self::Lost) or [`Identified`](Self::Identified), unless we leave
    /// before.
    Appeared {
        /// Who.
        who: Who,
    },
    /// A plain peer that sent messages turned out to be a member, under whose name it is shown from now on.
    Identified {
        /// What it was as a plain peer.
        before: Who,
    },
    /// A member, or a plain peer that had sent a message, is gone without goodbye.
    Lost {
        /// Who.
        who: Who,
        /// Why it ended.
        why: LostReason,
    },
    /// A peer that the user named, and that never sent a message, is gone.
    NamedLost {
        /// Who.
        who: Who,
        /// Why it ended.
        why: LostReason,
    },
    /// A connection to us ended that never sent a message.
    Visited {
        /// Where it came from.
        address: SocketAddr,
        /// Why it ended.
        why: LostReason,
    },
    /// There were more connections that sent no message, within the last minute.
    MoreVisitors {
        /// Where they came from.
        host: Host,
        /// How many more.
        count: u64,
    },
    /// A peer dialled us.
    Accepted {
        /// Where it comes from.
        address: SocketAddr,
    },
    /// A peer that we dialled answered.
    Connected {
        /// The peer as the user named it.
        peer: Rc<str>,
        /// The address that answered.
        address: SocketAddr,
        /// Messages typed before that the log no longer holds, so that it will not get them.
        missed: u64,
    },
    /// A peer cannot be reached and will be dialled again.
    Unreachable {
        /// The peer as the user named it.
        peer: Rc<str>,
        /// Why the last address failed.
        why: String,
    },
    /// A peer that the user named is this program itself.
    Oneself {
        /// The peer as the user named it.
        peer: Rc<str>,
    },
    /// A member never got some of the user's messages, and will not.
    Undelivered {
        /// Who.
        who: Who,
        /// How many.
        count: u64,
    },
    /// A peer that the user named was sent messages and never said anything, up to the end.
    Silent {
        /// Who.
        who: Who,
    },
    /// A member was gone for so long that it is waited for no more.
    Forgotten {
        /// Who.
        who: Who,
    },
    /// A member has our name, or one that looks like it. It is told once for each name of ours.
    NameTaken {
        /// Who has it.
        who: Who,
        /// What we are called where both are known.
        own: Label,
    },
    /// Somebody said that it is a member, and could not show it.
    Impostor {
        /// Where it came from, or was dialled.
        address: SocketAddr,
        /// Who it said it is.
        who: Who,
    },
    /// There is nobody who could read what was typed.
    Unheard {
        /// It waits for members who are lost.
        is_kept: bool,
    },
    /// Nobody can be accepted at the moment, and this is why.
    CannotAccept(String),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl Who {
    /// How the user can write its name so that nobody else is meant.
    #[must_use]
    pub fn written(&self) -> String {
        match (self.id, self.name.looks()) {
            (Some(id), _) if self.name.mark().is_empty() => self.name.with_mark(&short_tag(id)).to_string(),
            (Some(_), _) => self.name.to_string(),
            (None, Some(_)) => {
                let mark = self.address.map_or(String::new(), address_mark);
                self.name.with_mark(&mark).quoted()
            }
            (None, None) => self.name.to_string(),
        }
    }
}

impl Notice {
    /// How many bytes it counts for while it is kept.
    pub(super) fn kept_bytes(&self) -> usize {
        let text_bytes = if let Self::Message { text, .. } = self { text.len() } else { 0 };
        text_bytes + NOTICE_BYTES_EACH
    }
}

/// Why a connection ended without goodbye.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LostReason {
    /// The other side closed it.
    Closed {
        /// Bytes that it had sent of a frame whose end never came.
        unfinished_bytes: usize,
    },
    /// The system says why.
    Failed(String),
    /// It sent more than a frame may hold with no code.
    FrameTooLong,
    /// Its first bytes are of another protocol.
    OtherProtocol,
    /// It took nothing for this long while bytes were waiting.
    Stalled(Duration),
    /// It fell further behind than the log reaches back.
    Overrun,
    /// It began to introduce itself and did not finish in this time.
    Unintroduced(Duration),
}

impl fmt::Display for LostReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { unfinished_bytes: 0 } => write!(f, "closed without a goodbye"),
            Self::Closed { unfinished_bytes } => {
                write!(f, "closed in the middle of a message, after {unfinished_bytes} bytes of it")
            }
            Self::Failed(why) => write!(f, "{why}"),
            Self::FrameTooLong => write!(f, "sent more than {FRAME_BYTES_MAX} bytes without a code"),
            Self::OtherProtocol => write!(f, "speaks another protocol"),
            Self::Stalled(time) => write!(f, "took nothing for {} s", time.as_secs()),
            Self::Unintroduced(time) => write!(f, "did not introduce itself in {} s", time.as_secs()),
            Self::Overrun => write!(f, "fell more than {} KiB behind", LOG_BYTES >> 10),
        }
    }
}
