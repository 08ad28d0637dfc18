//! Sealed links: keys, the handshake of Noise, and the records in which everything travels after it.
//!
//! Everything between two members is encrypted and authenticated. The handshake is
//! `Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s` (revision 34 of the Noise specification), by the crate `snow`.
//!
//! | | the side that dials | the side that accepts |
//! | --- | --- | --- |
//! | 1 | `groupchat/2 open\nnoise HEX<PEERENCD>`, 48 bytes in HEX | |
//! | 2 | | `groupchat/2\nnoise HEX<PEERENCD>`, 96 bytes; its records begin at the next byte |
//! | 3 | `groupchat/2\nnoise HEX<PEERENCD>`, 64 bytes; its records begin at the next byte | |
//!
//! - HEX is the message of Noise in lower-case hexadecimal digits. The payload of each message is empty.
//! - The first frame is an ordinary peer frame, which plain peers pass over. It says `private` in a private group.
//! - The prologue is `direct\n` and the first frame up to its digits. So a byte of it that somebody changes breaks the
//!   handshake.
//! - A **record** is a length (2 bytes, big-endian, 17 to 16,400), then so many bytes: text of at most 16 KiB, encrypted,
//!   and the tag of 16 bytes. The text of all records together is what a link in text framing would carry.
//! - Each direction changes its key after 1,024 records (`REKEY` of Noise, section 4.2).
//! - Nothing is negotiated, and nothing falls back. A frame of the handshake of any other shape, a message that does not
//!   verify, an all-zero result of X25519 and a record that cannot be opened end the connection without a byte.
//!
//! | | open group | private group |
//! | --- | --- | --- |
//! | pre-shared key | the BLAKE2s of a fixed text, which everybody knows | one that follows from the secret of the group |
//! | protects from | whoever reads the network | that, whoever is not a member, and whoever alters the traffic |
//!
//! The pattern mixes the pre-shared key in first. So a stranger is refused at message 1 of a private group, before any
//! reply and before a Diffie-Hellman. A recorded message 1 that is sent again is refused as well: a listener keeps the last
//! [`EPHEMERALS_MAX`](crate::limits::EPHEMERALS_MAX) ephemeral keys that it has seen. A member on another host has not
//! seen it, and answers: so its recorder learns that both are in one group.

mod handshake;
mod keys;
mod records;
mod resolver;

pub use handshake::{Handshake, Refused, Step, is_like_handshake};
pub use keys::{Access, Entropy, Keys, PrivateKey, Secret};
pub use records::{Broken, Records};
