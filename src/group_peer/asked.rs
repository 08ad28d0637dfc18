//! What the user asks of the group beside saying something: passed on.

use std::time::Instant;

use chrono::{DateTime, FixedOffset};

use super::GroupPeer;
use crate::protocol::roster::{Connecting, NotFound, NotPrivate, Participant};
use crate::protocol::{MemberId, Peer, Who};

impl GroupPeer {
    /// Says `text` to `who` alone, now or when it is back.
    ///
    /// # Errors
    ///
    /// Why it cannot be said; then nothing of it was.
    pub fn whisper(&mut self, who: &Who, text: &str, at: DateTime<FixedOffset>) -> Result<(), NotPrivate> {
        self.group.whisper(who, text, at)
    }

    /// From now on, we are called `name`.
    pub fn rename(&mut self, name: String) {
        self.group.rename(name);
    }

    /// Dials one more peer.
    pub fn connect(&mut self, peer: Peer, now: Instant) -> Connecting {
        self.group.connect(peer, now)
    }

    /// Who we are.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.group.id()
    }

    /// Everybody who takes part, or should, by name.
    #[must_use]
    pub fn roster(&self) -> Vec<Participant> {
        self.group.roster()
    }

    /// Who is meant by the name with which `words` begin, and what stands behind it.
    ///
    /// # Errors
    ///
    /// That nobody is called so, or that several are.
    pub fn find<'a>(&self, words: &'a str) -> Result<(Who, &'a str), NotFound> {
        self.group.find(words)
    }

    /// Those who are not known to have all that was said.
    #[must_use]
    pub fn still_owed(&self) -> Vec<Who> {
        self.group.still_owed()
    }
}
