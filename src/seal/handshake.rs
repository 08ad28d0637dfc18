//! The handshake of one connection, a state machine without I/O: bodies of peer frames go in, and steps come out.

use std::fmt;

use snow::params::NoiseParams;
use snow::{Builder, HandshakeState};

use super::keys::{Keys, PreSharedKey};
use super::records::Records;
use super::resolver::Resolver;
use crate::wire::identity::{read_hexadecimal, to_hexadecimal};

const PATTERN: &str = "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s";

/// The lengths of the three messages, in bytes: the keys that are in them, of 32 bytes, and a tag for each that is
/// encrypted and one for the empty payload.
const MESSAGE_BYTES: [usize; 3] = [32 + 16, 32 + 48 + 16, 48 + 16];

/// What stands before the digits of the first frame, in an open group and in a private one.
const FIRST: [&str; 2] = ["groupchat/2 open\nnoise ", "groupchat/2 private\nnoise "];

/// What stands before the digits of the two other frames.
const LATER: &str = "groupchat/2\nnoise ";

/// The handshake of one connection.
#[derive(Default)]
pub struct Handshake(State);

#[derive(Default)]
enum State {
    /// We accepted, and nothing was received.
    Listening,
    /// We dialled, and have sent message 1.
    Dialled(Box<HandshakeState>),
    /// We accepted, and have sent message 2.
    Answered { noise: Box<HandshakeState>, is_old_secret: bool },
    /// It is finished, or failed.
    #[default]
    Over,
}

/// What to do after a frame.
#[derive(Debug)]
pub enum Step {
    /// Send a peer frame with this body.
    Reply(String),
    /// The other side has the private key of [`Records::peer`]. What it sends from the next byte on are records.
    Sealed {
        /// The body of a peer frame that is to be sent before the first record.
        reply: Option<String>,
        /// The record layer.
        records: Box<Records>,
        /// The other side knows only an older secret of the group.
        is_old_secret: bool,
    },
}

/// The reason why a handshake failed. Nothing is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The frame is none of the handshake.
    NoHandshake,
    /// The message does not verify: the other side has another secret, or somebody has changed the message.
    Unverified,
    /// The message was received before.
    Repeated,
    /// The other side has our own private key.
    OwnKey,
}

impl Handshake {
    /// The handshake of a connection that we dialled, and the body of the first frame.
    #[must_use]
    pub fn dial(keys: &mut Keys) -> (Self, String) {
        let first = FIRST[usize::from(keys.is_private())];
        let psk = keys.pre_shared[0].clone();
        let mut noise = Box::new(builder(keys, &psk, |builder| builder.build_initiator()));
        let body = message(&mut noise, first).expect("the first message needs nothing from the other side");
        (Self(State::Dialled(noise)), body)
    }

    /// The handshake of a connection that we accepted.
    #[must_use]
    pub fn accept() -> Self {
        Self(State::Listening)
    }

    /// Whether the other side has sent a valid message.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        matches!(self.0, State::Answered { .. } | State::Over)
    }

    /// The frame of the other side with this body arrives.
    ///
    /// # Errors
    ///
    /// The handshake failed. The connection is to be closed, and nothing to be sent.
    pub fn receive(&mut self, body: &str, keys: &mut Keys) -> Result<Step, Refused> {
        match std::mem::take(&mut self.0) {
            State::Listening => {
                let first = FIRST[usize::from(keys.is_private())];
                let message_1 = read::<{ MESSAGE_BYTES[0] }>(body, first)?;
                let (mut noise, is_old_secret) = verified(&message_1, keys).ok_or(Refused::Unverified)?;
                if !keys.is_new(*message_1.first_chunk().expect("32 of 48 bytes")) {
                    return Err(Refused::Repeated);
                }
                let reply = message(&mut noise, LATER)?;
                self.0 = State::Answered { noise: Box::new(noise), is_old_secret };
                Ok(Step::Reply(reply))
            }
            State::Dialled(mut noise) => {
                let message_2 = read::<{ MESSAGE_BYTES[1] }>(body, LATER)?;
                noise.read_message(&message_2, &mut []).map_err(|_| Refused::Unverified)?;
                check_is_another(&noise, keys)?;
                let reply = Some(message(&mut noise, LATER)?);
                Ok(Step::Sealed { reply, records: records(*noise)?, is_old_secret: false })
            }
            State::Answered { mut noise, is_old_secret } => {
                let message_3 = read::<{ MESSAGE_BYTES[2] }>(body, LATER)?;
                noise.read_message(&message_3, &mut []).map_err(|_| Refused::Unverified)?;
                check_is_another(&noise, keys)?;
                Ok(Step::Sealed { reply: None, records: records(*noise)?, is_old_secret })
            }
            State::Over => Err(Refused::NoHandshake),
        }
    }
}

/// Whether the body of a frame, or its front, may be the first frame of a handshake of this program, in whatever kind of
/// group, or what somebody has made of one.
#[must_use]
pub fn is_like_handshake(body: &[u8]) -> bool {
    let marker = b"groupchat/";
    let length = body.len().min(marker.len());
    length > 0 && body[..length] == marker[..length]
}

/// A handshake of Noise. The parameters are constants, so that it can be built.
fn builder(
    keys: &mut Keys,
    psk: &PreSharedKey,
    build: impl FnOnce(Builder<'_>) -> Result<HandshakeState, snow::Error>,
) -> HandshakeState {
    let resolver = Box::new(Resolver::new(keys));
    let params: NoiseParams = PATTERN.parse().expect("a pattern of Noise");
    let prologue = format!("direct\n{}", FIRST[usize::from(keys.is_private())]);
    let builder = Builder::with_resolver(params, resolver)
        .local_private_key(keys.private.bytes())
        .and_then(|builder| builder.psk(0, psk))
        .and_then(|builder| builder.prologue(prologue.as_bytes()));
    builder.and_then(build).expect("a handshake with all its parameters")
}

/// The handshake in which `message_1` verifies, and whether only an older secret does that.
fn verified(message_1: &[u8], keys: &mut Keys) -> Option<(HandshakeState, bool)> {
    (0..keys.pre_shared.len()).find_map(|index| {
        let psk = keys.pre_shared[index].clone();
        let mut noise = builder(keys, &psk, |builder| builder.build_responder());
        noise.read_message(message_1, &mut []).ok()?;
        Some((noise, index > 0))
    })
}

/// The next message, as the body of a frame.
fn message(noise: &mut HandshakeState, first_line: &str) -> Result<String, Refused> {
    let mut bytes = [0; MESSAGE_BYTES[1]];
    let count = noise.write_message(&[], &mut bytes).map_err(|_| Refused::Unverified)?;
    Ok(format!("{first_line}{}", to_hexadecimal(&bytes[..count])))
}

/// Reads the body of a frame that begins with `first_line`.
fn read<const N: usize>(body: &str, first_line: &str) -> Result<[u8; N], Refused> {
    body.strip_prefix(first_line).and_then(read_hexadecimal).ok_or(Refused::NoHandshake)
}

fn check_is_another(noise: &HandshakeState, keys: &Keys) -> Result<(), Refused> {
    let is_own = noise.get_remote_static().is_none_or(|key| *key == keys.public().0);
    if is_own { Err(Refused::OwnKey) } else { Ok(()) }
}

fn records(noise: HandshakeState) -> Result<Box<Records>, Refused> {
    let transport = noise.into_transport_mode().map_err(|_| Refused::NoHandshake)?;
    Ok(Box::new(Records::new(transport)))
}

/// Without the keys.
impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Listening => "Listening",
            State::Dialled(_) => "Dialled",
            State::Answered { .. } => "Answered",
            State::Over => "Over",
        })
    }
}
