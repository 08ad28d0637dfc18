//! The primitives of a handshake, for `snow`: X25519 that refuses an all-zero result, and randomness from outside.

use curve25519_dalek::MontgomeryPoint;
use curve25519_dalek::constants::X25519_BASEPOINT;
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use zeroize::Zeroizing;

use super::keys::Keys;

/// The primitives of one handshake.
pub(super) struct Resolver {
    private: Zeroizing<[u8; 32]>,
    public: [u8; 32],
    /// The ephemeral private key.
    seed: Zeroizing<[u8; 32]>,
}

impl Resolver {
    pub fn new(keys: &mut Keys) -> Self {
        let seed = keys.random();
        Self { private: Zeroizing::new(*keys.private.bytes()), public: keys.public().0, seed }
    }
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Seed(Some(self.seed.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        match choice {
            DHChoice::Curve25519 => {
                Some(Box::new(X25519 { private: self.private.clone(), public: self.public }))
            }
            DHChoice::Curve448 => None,
        }
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        // With a choice that is known here, the program is built without the other ones.
        match choice {
            HashChoice::Blake2s => DefaultResolver.resolve_hash(&HashChoice::Blake2s),
            HashChoice::Blake2b | HashChoice::SHA256 | HashChoice::SHA512 => None,
        }
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// The randomness of a handshake, which needs 32 bytes once.
struct Seed(Option<Zeroizing<[u8; 32]>>);

impl Random for Seed {
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        let seed = self.0.take().filter(|seed| seed.len() == bytes.len()).ok_or(Error::Input)?;
        bytes.copy_from_slice(&*seed);
        Ok(())
    }
}

/// A key pair. It begins as that of this run, so that setting that key costs no multiplication.
struct X25519 {
    private: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl X25519 {
    fn derive(&mut self) {
        self.public = X25519_BASEPOINT.mul_clamped(*self.private).to_bytes();
    }
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, private: &[u8]) {
        if *self.private != *private {
            self.private.copy_from_slice(private);
            self.derive();
        }
    }

    fn generate(&mut self, random: &mut dyn Random) -> Result<(), Error> {
        random.try_fill_bytes(&mut *self.private)?;
        self.derive();
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        &*self.private
    }

    /// An all-zero result says that the other side's key is one of a few bad ones, with which the result is the same
    /// whatever our key is (RFC 7748, section 6.1).
    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let point = public.first_chunk().ok_or(Error::Dh)?;
        let shared = Zeroizing::new(MontgomeryPoint(*point).mul_clamped(*self.private).to_bytes());
        if shared.iter().fold(0, |all, byte| all | byte) == 0 {
            return Err(Error::Dh);
        }
        out.get_mut(..32).ok_or(Error::Dh)?.copy_from_slice(&*shared);
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::seal::keys::Access;
    use crate::seal::keys::tests::{keys, yields};
    use crate::wire::identity::read_hexadecimal;

    /// The keys of Alice and of Bob, private and public, and what they share (RFC 7748, section 6.1).
    const ALICE: [&str; 2] = [
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    ];
    const BOB: [&str; 2] = [
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    ];
    const SHARED: &str = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";

    /// The points whose order divides 8: 0, 1, two of order 8, p - 1, p and p + 1. The product of such a point and a
    /// private key, which is a multiple of 8, is 0.
    const LOW_ORDER: [&str; 7] = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];

    /// The points of low order, without bit 255 and with it.
    pub fn low_order_points() -> Vec<[u8; 32]> {
        let points = LOW_ORDER.map(bytes);
        let with_bit_255 = points.map(|mut point| {
            point[31] |= 0x80;
            point
        });
        [points, with_bit_255].concat()
    }

    fn bytes(digits: &str) -> [u8; 32] {
        read_hexadecimal(digits).expect("64 digits")
    }

    /// X25519 as a handshake of a run with the private key `[1; 32]` gets it.
    fn x25519() -> Box<dyn Dh> {
        let resolver = Resolver::new(&mut keys(&[], 1, 1));
        resolver.resolve_dh(&DHChoice::Curve25519).expect("it is there")
    }

    fn shared(private: &str, public: &str) -> Result<[u8; 32], Error> {
        let mut dh = x25519();
        dh.set(&bytes(private));
        let mut out = [0; 32];
        dh.dh(&bytes(public), &mut out).map(|()| out)
    }

    #[test]
    fn x25519_is_that_of_rfc_7748() {
        for [private, public] in [ALICE, BOB] {
            let mut dh = x25519();
            dh.set(&bytes(private));
            assert_eq!((dh.pubkey(), dh.privkey()), (&bytes(public)[..], &bytes(private)[..]));
        }
        // Section 6.1, then section 5.2; the public key of the last case has bit 255 set, which does not count.
        for (private, public, expected) in [
            (ALICE[0], BOB[1], SHARED),
            (BOB[0], ALICE[1], SHARED),
            (
                "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
                "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
            ),
            (
                "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
                "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
                "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
            ),
        ] {
            assert_eq!(shared(private, public), Ok(bytes(expected)), "{private} and {public}");
        }
    }

    #[test]
    fn an_all_zero_result_is_an_error() {
        for point in low_order_points() {
            let mut out = [1; 32];
            assert_eq!(x25519().dh(&point, &mut out), Err(Error::Dh), "{point:02x?}");
            assert_eq!(out, [1; 32]);
        }
    }

    #[test]
    fn a_key_pair_begins_as_that_of_the_run() {
        let mut keys = keys(&[], 1, 1);
        let resolver = Resolver::new(&mut keys);
        let mut dh = resolver.resolve_dh(&DHChoice::Curve25519).expect("it is there");
        assert_eq!(dh.pubkey(), keys.public().0);
        dh.set(keys.private.bytes());
        assert_eq!((dh.privkey(), dh.pubkey()), (&keys.private.bytes()[..], &keys.public().0[..]));
        dh.set(&bytes(ALICE[0]));
        assert_eq!(dh.pubkey(), bytes(ALICE[1]));
        dh.set(keys.private.bytes());
        assert_eq!(dh.pubkey(), keys.public().0);
    }

    #[test]
    fn an_ephemeral_key_comes_from_the_entropy_of_the_run() {
        let entropy = yields([bytes(ALICE[0]), bytes(BOB[0])].concat());
        let resolver = Resolver::new(&mut Keys::new(Access::Open, entropy));
        let mut random = resolver.resolve_rng().expect("it is there");
        let mut dh = resolver.resolve_dh(&DHChoice::Curve25519).expect("it is there");
        assert_eq!(dh.pubkey(), bytes(ALICE[1]));
        assert_eq!(dh.generate(&mut *random), Ok(()));
        assert_eq!((dh.privkey(), dh.pubkey()), (&bytes(BOB[0])[..], &bytes(BOB[1])[..]));
        assert_eq!(dh.generate(&mut *random), Err(Error::Input), "one key is never used twice");

        let mut random = resolver.resolve_rng().expect("it is there");
        assert_eq!(random.try_fill_bytes(&mut [0; 31]), Err(Error::Input), "nothing else needs randomness");
    }

    #[test]
    fn a_short_buffer_is_an_error() {
        assert_eq!(x25519().dh(&bytes(ALICE[1])[..31], &mut [0; 32]), Err(Error::Dh));
        assert_eq!(x25519().dh(&bytes(ALICE[1]), &mut [0; 31]), Err(Error::Dh));
    }

    #[test]
    fn the_resolver_has_one_curve() {
        assert!(Resolver::new(&mut keys(&[], 1, 1)).resolve_dh(&DHChoice::Curve448).is_none());
    }
}
