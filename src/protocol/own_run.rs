//! Our own run of the program: its id, its name, and how it was started.

use std::fmt;

use super::target::Peer;
use crate::wire::frame::Framing;
use crate::wire::hello::{MemberId, PeerFrame, Token, id_of};
use crate::wire::message::MessageWriter;

/// The configuration of a group: our name, port, framing and first peers.
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
}

/// A keyed hash: it turns a number into another that nobody else can guess, always the same in one run.
pub(super) struct Secret(pub Box<dyn Fn(u128) -> u128>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Our own run.
#[derive(Debug)]
pub(super) struct OwnRun {
    pub id: MemberId,
    /// Our id is a hash of it. It is sent when we leave, and proves that.
    pub token: Token,
    port: u16,
    /// The framing for peers that have not sent anything, and whether the user chose it.
    pub framing: Framing,
    pub is_framing_given: bool,
    pub is_plain: bool,
    pub history_wanted: u64,
    pub writer: MessageWriter,
    /// How many other names we had before the present one.
    name_version: u64,
    secret: Secret,
}

impl OwnRun {
    pub fn new(setup: Setup, secret: Secret) -> Self {
        let token = Token((secret.0)(0));
        Self {
            id: id_of(token),
            token,
            port: setup.port,
            framing: setup.framing.unwrap_or(Framing::Text),
            is_framing_given: setup.framing.is_some(),
            is_plain: setup.is_plain,
            history_wanted: setup.history,
            writer: MessageWriter::new(setup.name),
            name_version: 0,
            secret,
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

    /// The first frame of a handshake.
    pub fn hello(&self) -> PeerFrame {
        PeerFrame { id: Some(self.id), port: Some(self.port), name: self.name(), ..PeerFrame::default() }
    }

    /// The pass that we issue to the run with this id.
    pub fn issue(&self, id: MemberId) -> Token {
        Token((self.secret.0)(id.0))
    }
}
