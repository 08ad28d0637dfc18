//! Our own run of the program: its id, its name, and how it was started.

use super::target::Peer;
use crate::seal::{Access, Entropy, Keys};
use crate::wire::frame::Framing;
use crate::wire::hello::PeerFrame;
use crate::wire::identity::{Identity, MemberId, Token};
use crate::wire::message::MessageWriter;

/// The configuration of a group: our name, port, framing and first peers, and the kind of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Our name.
    pub name: String,
    /// The TCP port that we listen on.
    pub port: u16,
    /// The framing for plain peers that have not sent anything; `None` is text framing, as a guess.
    pub framing: Option<Framing>,
    /// Run as a plain peer: send no peer frame, and pass over those that arrive.
    pub is_plain: bool,
    /// How many older messages are requested from each member that is new to us.
    pub history: u64,
    /// The peers to dial.
    pub peers: Vec<Peer>,
    /// The kind of the group.
    pub access: Access,
}

/// Our own run.
#[derive(Debug)]
pub(super) struct OwnRun {
    pub id: MemberId,
    pub identity: Identity,
    /// It is sent when we leave, and proves that.
    pub token: Token,
    pub keys: Keys,
    port: u16,
    /// The framing for peers that have not sent anything, and whether the user chose it.
    pub framing: Framing,
    pub is_framing_given: bool,
    pub is_plain: bool,
    pub history_wanted: u64,
    pub writer: MessageWriter,
    /// How many other names we had before the present one.
    name_version: u64,
}

impl OwnRun {
    pub fn new(setup: Setup, entropy: Entropy) -> Self {
        let run = match setup.access {
            Access::Open => 0,
            Access::Private { run, .. } => run,
        };
        let mut keys = Keys::new(setup.access, entropy);
        let token = Token(u128::from_be_bytes(*keys.random()));
        let identity = Identity { key: keys.public(), run, nonce: token.nonce() };
        Self {
            id: identity.id(),
            identity,
            token,
            keys,
            port: setup.port,
            framing: setup.framing.unwrap_or(Framing::Text),
            is_framing_given: setup.framing.is_some(),
            is_plain: setup.is_plain,
            history_wanted: setup.history,
            writer: MessageWriter::new(setup.name),
            name_version: 0,
        }
    }

    /// Our name and its version.
    pub fn name(&self) -> Option<(u64, String)> {
        Some((self.name_version, self.writer.name().to_owned()))
    }

    pub fn rename(&mut self, name: String) {
        self.writer.set_name(name);
        self.name_version += 1;
    }

    /// The first frame on a link. `sent`: how many messages we have sent to everybody.
    pub fn hello(&self, sent: u64) -> PeerFrame {
        let Identity { run, nonce, .. } = self.identity;
        PeerFrame {
            run: Some((run, nonce)),
            port: Some(self.port),
            name: self.name(),
            sent: Some(sent),
            ..PeerFrame::default()
        }
    }
}
