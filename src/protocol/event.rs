//! Events for the user. The terminal puts them into words.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::label::{Label, address_mark};
use super::names::short_tag;
use super::visitors::Host;
use crate::limits::{EVENT_BYTES_EACH, FRAME_BYTES_MAX, LOG_BYTES};
use crate::seal::Refused;
use crate::wire::identity::MemberId;
use crate::wire::message::Timestamp;

/// The member or plain peer that an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its name here, with a mark if another peer has the same or one that looks like it;
    /// its address if it never sent a name.
    pub name: Label,
    /// Its id, if it is a member.
    pub id: Option<MemberId>,
    /// The address at which it is reached, or from which it came.
    pub address: Option<SocketAddr>,
}

/// An event.
///
/// Names and texts in it are as peers sent them: nothing has been made safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message was received.
    Message {
        /// The time by the sender's clock; `None` for a body of another shape.
        at: Option<Timestamp>,
        /// The sender; by its address for a body of another shape of a plain peer.
        from: PeerInfo,
        /// The text.
        text: String,
        /// It is history: sent before we belonged to the group.
        is_past: bool,
        /// It was sent to us alone.
        is_private: bool,
    },
    /// A member was met for the first time.
    Joined {
        /// The member or plain peer.
        peer: PeerInfo,
    },
    /// A member that was lost is connected again.
    Back {
        /// The member or plain peer.
        peer: PeerInfo,
    },
    /// A member has another name.
    Renamed {
        /// The member, under the new name.
        peer: PeerInfo,
        /// Its name here before.
        before: Label,
    },
    /// Messages that a member sent at this place are missed: they were owed, and its log no longer holds them.
    Missed {
        /// The member or plain peer.
        peer: PeerInfo,
        /// How many.
        count: u64,
    },
    /// The messages before this one are history.
    Present,
    /// A peer has left: it sent a goodbye, or another member proved that it has left.
    Left {
        /// The member or plain peer.
        peer: PeerInfo,
    },
    /// A plain peer sent its first message, or its goodbye, which comes next. Later,
    /// [`Left`](Self::Left), [`Lost`](Self::Lost) or [`Identified`](Self::Identified) follows, unless we leave
    /// before.
    Appeared {
        /// The member or plain peer.
        peer: PeerInfo,
    },
    /// A plain peer that sent messages turned out to be a member, under whose name it is shown from now on.
    Identified {
        /// The plain peer that it was.
        before: PeerInfo,
    },
    /// The connection of a member, or of a plain peer that had sent a message, ended without a goodbye.
    Lost {
        /// The member or plain peer.
        peer: PeerInfo,
        /// The reason.
        why: LostReason,
    },
    /// A report about a connection, or about the user's own messages or name.
    Diagnostic(Diagnostic),
}

/// A report: it is no part of the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Diagnostic {
    /// The connection to a peer that the user named, and that never sent a message, ended.
    NamedLost {
        /// The member or plain peer.
        peer: PeerInfo,
        /// The reason.
        why: LostReason,
    },
    /// A connection to us ended that never sent a message.
    Visited {
        /// The address that it came from.
        address: SocketAddr,
        /// The reason.
        why: LostReason,
    },
    /// More connections sent no message, within the last minute.
    MoreVisitors {
        /// The host that they came from.
        host: Host,
        /// How many more.
        count: u64,
    },
    /// A peer dialled us.
    Accepted {
        /// The address that it comes from.
        address: SocketAddr,
    },
    /// A connection that we dialled is made.
    Connected {
        /// The peer as the user named it.
        name: Rc<str>,
        /// The address of the peer.
        address: SocketAddr,
        /// How many messages that were sent before the log no longer holds, so that the peer will not get them.
        missed: u64,
    },
    /// A peer that the user named has sent nothing, so it is taken for a plain one in text framing.
    Assumed {
        /// The peer as the user named it.
        name: Rc<str>,
    },
    /// No address of a peer can be reached; it will be dialled again.
    Unreachable {
        /// The peer as the user named it.
        name: Rc<str>,
        /// The error of the last address.
        why: String,
    },
    /// A peer that the user named is this program itself.
    Oneself {
        /// The peer as the user named it.
        name: Rc<str>,
    },
    /// A member is not known to have received some of the user's messages, and will not be sent them any more.
    Undelivered {
        /// The member or plain peer.
        peer: PeerInfo,
        /// How many.
        count: u64,
    },
    /// Members that others reported were never met, and did not get what was sent since.
    Unmet {
        /// How many.
        count: usize,
    },
    /// A peer that the user named was sent messages and never sent anything, until we left.
    Unanswered {
        /// The member or plain peer.
        peer: PeerInfo,
    },
    /// A member is expired: it was lost for so long that it is dialled no more.
    Forgotten {
        /// The member or plain peer.
        peer: PeerInfo,
    },
    /// A member has our name, or one that looks like it. There is one such event for each name of ours.
    NameTaken {
        /// The member.
        peer: PeerInfo,
        /// Our name as others see it.
        own: Label,
    },
    /// The user sent a message, and no peer is connected.
    Alone {
        /// It is kept for members that are lost.
        is_kept: bool,
    },
    /// There is no room for another connection, for this reason: one that sent nothing is closed, or the new one waits.
    CannotAccept(String),
}

impl fmt::Display for PeerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl PeerInfo {
    /// Its name in a form that means no other peer, as the user can write it.
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

impl Event {
    /// The member or plain peer that the event is about; for one that has another name now, under the new one.
    #[must_use]
    pub fn peer(&self) -> Option<&PeerInfo> {
        match self {
            Self::Message { from: peer, .. }
            | Self::Joined { peer }
            | Self::Back { peer }
            | Self::Renamed { peer, .. }
            | Self::Missed { peer, .. }
            | Self::Left { peer }
            | Self::Appeared { peer }
            | Self::Identified { before: peer }
            | Self::Lost { peer, .. } => Some(peer),
            Self::Diagnostic(diagnostic) => diagnostic.peer(),
            Self::Present => None,
        }
    }

    /// The number of bytes that it counts as while it waits for the history.
    pub(super) fn kept_bytes(&self) -> usize {
        let text_bytes = if let Self::Message { text, .. } = self { text.len() } else { 0 };
        text_bytes + EVENT_BYTES_EACH
    }
}

impl Diagnostic {
    fn peer(&self) -> Option<&PeerInfo> {
        match self {
            Self::NamedLost { peer, .. }
            | Self::Undelivered { peer, .. }
            | Self::Unanswered { peer }
            | Self::Forgotten { peer }
            | Self::NameTaken { peer, .. } => Some(peer),
            Self::Visited { .. }
            | Self::MoreVisitors { .. }
            | Self::Accepted { .. }
            | Self::Connected { .. }
            | Self::Assumed { .. }
            | Self::Unmet { .. }
            | Self::Unreachable { .. }
            | Self::Oneself { .. }
            | Self::Alone { .. }
            | Self::CannotAccept(_) => None,
        }
    }
}

/// The reason why a connection ended without a goodbye.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LostReason {
    /// The other side closed it.
    Closed {
        /// Bytes that it had sent of a frame whose end never came.
        unfinished_bytes: usize,
    },
    /// A system call failed, for this reason; or we closed it, for this reason.
    Failed(String),
    /// It sent more bytes than a frame may have without a code.
    FrameTooLong,
    /// Its first bytes are of another protocol.
    OtherProtocol,
    /// It took nothing for this long while bytes were waiting.
    Stalled(Duration),
    /// It began a frame and did not finish it.
    Unfinished,
    /// It fell further behind than the log reaches back.
    Overrun,
    /// Its handshake was not finished in this time.
    Unintroduced(Duration),
    /// Its handshake failed, for this reason.
    Refused(Refused),
    /// It closed the connection before it had sent anything: a member does that with a handshake that does not verify.
    NoReply,
    /// Somebody changed the bytes on their way.
    Altered,
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
            Self::Unfinished => write!(f, "began a message and did not finish it"),
            Self::Refused(Refused::NoHandshake) => write!(f, "sent no handshake of this version"),
            Self::Refused(Refused::Unverified) => {
                write!(f, "sent a handshake that does not verify: another group, or an old invite")
            }
            Self::Refused(Refused::Repeated) => write!(f, "repeated a handshake of before"),
            Self::Refused(Refused::OwnKey) => write!(f, "has the key of this very peer"),
            Self::NoReply => write!(
                f,
                "closed at once: another group, an old invite, or one side is private and the other is not"
            ),
            Self::Altered => write!(f, "sent bytes that were altered on their way"),
            Self::Overrun => write!(f, "fell more than {} KiB behind", LOG_BYTES >> 10),
        }
    }
}
