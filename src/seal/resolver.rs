//! The primitives of a handshake, for `snow`: X25519 that refuses an all-zero result, and randomness from outside.

use curve25519_dalek::MontgomeryPoint;
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
        DefaultResolver.resolve_hash(choice)
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
        self.public = MontgomeryPoint::mul_base_clamped(*self.private).to_bytes();
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
