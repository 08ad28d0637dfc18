//! What the group tells, in sentences. They may quote what peers sent: nothing here is safe to show.

use crate::limits::FORGET;
use crate::protocol::Notice;

/// Where a notice belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// What the group says: standard output.
    Conversation,
    /// Everything else: standard error.
    Notices,
}

/// Where `notice` is to be shown.
#[must_use]
pub fn channel(notice: &Notice) -> Channel {
    match notice {
        Notice::Message { .. }
        | Notice::Joined { .. }
        | Notice::Back { .. }
        | Notice::Renamed { .. }
        | Notice::Missed { .. }
        | Notice::Present
        | Notice::Left { .. }
        | Notice::Lost { .. } => Channel::Conversation,
        _ => Channel::Notices,
    }
}

/// What `notice` tells, on one line if names have none in them. Of a message, what was said.
#[must_use]
pub fn sentence(notice: &Notice) -> String {
    match notice {
        Notice::Message { text, .. } => text.clone(),
        Notice::Joined { who } => format!("{who} has joined"),
        Notice::Back { who } => format!("{who} is back"),
        Notice::Renamed { who, before } => format!("{before} is now {who}"),
        Notice::Missed { who, count: 1 } => format!("1 message of {who} is missing here"),
        Notice::Missed { who, count } => format!("{count} messages of {who} are missing here"),
        Notice::Present => "--- the above was said before you came ---".to_owned(),
        Notice::Left { who } => format!("{who} has left the chat..."),
        Notice::Lost { who, why } => format!("{who} is lost: {why}"),
        Notice::Accepted { address } => format!("{address} connected"),
        Notice::Connected { peer, address, missed } => {
            let place = if **peer == *address.to_string() { String::new() } else { format!(" at {address}") };
            let late = match missed {
                0 => String::new(),
                _ => format!("; too late for the first {missed} messages typed before"),
            };
            format!("connected to {peer}{place}{late}")
        }
        Notice::Unreachable { peer, why } => format!("cannot reach {peer}: {why}; trying again"),
        Notice::Oneself { peer } => format!("{peer} is this peer itself: not connected"),
        Notice::Undelivered { who, count } => {
            format!("{who} did not get {count} of your messages, as far as is known")
        }
        Notice::Silent { who } => {
            format!("{who} has said nothing: whether it has read your messages is not known")
        }
        Notice::Forgotten { who } => {
            format!("{who} was gone for {} minutes and is forgotten", FORGET.as_secs() / 60)
        }
        Notice::Impostor { address, who } => {
            format!("{address} says that it is {who} and cannot show it: closed")
        }
        Notice::Unheard { is_kept: true } => {
            "nobody is connected: this waits for those who are lost".to_owned()
        }
        Notice::Unheard { is_kept: false } => {
            "no peer is connected: only who joins later may still read this".to_owned()
        }
        Notice::CannotAccept(why) => {
            format!("cannot accept more connections: {why}; new ones wait for a free place")
        }
    }
}
