//! The identity of a member: its public key, its run, and the id that follows from them.
//!
//! A run of the program has a key pair, a number, and a random **token** that nobody else knows. The hash of the token is
//! the **nonce**, and the **id** is a hash of public key, number and nonce. So nobody can be taken for a run whose private
//! key they do not have, nor prove that it has left before it shows its token.

use std::fmt;
use std::str::FromStr;

use blake2::{Blake2s256, Digest as _};

/// A number of 128 bits, written as 32 hexadecimal digits.
macro_rules! hexadecimal {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        // Events are the smaller for it, so small that they are moved without a call of `memcpy`.
        #[repr(Rust, packed(8))]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", { self.0 })
            }
        }

        /// The first four digits: a token is a secret, and must not be found whole in a log.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:04x}..", self.0 >> 112)
            }
        }

        impl FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                read_hexadecimal(text).map(|bytes| Self(u128::from_be_bytes(bytes))).ok_or(())
            }
        }
    };
}

hexadecimal! {
    /// The id of a member: of one run of the program.
    MemberId
}

hexadecimal! {
    /// The secret of a run, which it shows when it leaves.
    Token
}

hexadecimal! {
    /// The hash of a token.
    Nonce
}

impl Token {
    /// The nonce of the run with this token: the first 16 bytes of BLAKE2s-256.
    #[must_use]
    pub fn nonce(self) -> Nonce {
        Nonce(first_half(Blake2s256::digest(self.0.to_be_bytes()).into()))
    }
}

/// A public key of X25519.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hexadecimal(&self.0))
    }
}

/// The first four digits.
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}..", self.0[0], self.0[1])
    }
}

impl FromStr for PublicKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        read_hexadecimal(text).map(Self).ok_or(())
    }
}

/// The identity of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its public key.
    pub key: PublicKey,
    /// Which run with this key it is: a later one has a greater number.
    pub run: u64,
    /// The hash of its token.
    pub nonce: Nonce,
}

impl Identity {
    /// The id of the run: the first 16 bytes of BLAKE2s-256 over the key, the number (8 bytes, big-endian) and the nonce.
    #[must_use]
    pub fn id(&self) -> MemberId {
        let mut hash = Blake2s256::new();
        hash.update(self.key.0);
        hash.update(self.run.to_be_bytes());
        hash.update(self.nonce.0.to_be_bytes());
        MemberId(first_half(hash.finalize().into()))
    }
}

fn first_half(hash: [u8; 32]) -> u128 {
    u128::from_be_bytes(*hash.first_chunk().expect("a digest of 32 bytes"))
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn to_hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads exactly `N` bytes of lower-case hexadecimal digits. There is one way to write each number.
#[must_use]
pub fn read_hexadecimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (digits, rest) = text.as_bytes().as_chunks::<2>();
    let mut bytes = [0; N];
    if digits.len() != N || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(digits) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_nonces_are_those_of_another_implementation() {
        // Python's hashlib: blake2s(bytes(16)), and blake2s(bytes(range(32)) + (7).to_bytes(8) + bytes(16)).
        assert_eq!(Token(0).nonce().to_string(), "666480119667c204b51fc08730cc95ba");
        let key = PublicKey(std::array::from_fn(|index| index as u8));
        let identity = Identity { key, run: 7, nonce: Nonce(0) };
        assert_eq!(identity.id().to_string(), "21fcf1cea1f7025e3bcd0f5d6e211a77");
        assert_ne!(Identity { run: 8, ..identity }.id(), identity.id());
        assert_ne!(Identity { nonce: Nonce(1), ..identity }.id(), identity.id());
    }

    #[test]
    fn there_is_one_way_to_write_each_number() {
        let text = "000000000000000000000000000000ab";
        assert_eq!(text.parse(), Ok(MemberId(0xab)));
        assert_eq!(MemberId(0xab).to_string(), text);
        for wrong in ["", "ab", "000000000000000000000000000000aB", "+00000000000000000000000000000ab", "0x"]
        {
            assert_eq!(wrong.parse::<MemberId>(), Err(()), "{wrong}");
        }
        let key = PublicKey([0xa5; 32]);
        assert_eq!(key.to_string().parse(), Ok(key));
    }

    #[test]
    fn a_secret_is_not_shown_whole() {
        assert_eq!(format!("{:?}", Token(0xabcd << 112 | 5)), "abcd..");
    }
}
