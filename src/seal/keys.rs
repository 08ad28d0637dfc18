//! The keys of a run: its key pair, the pre-shared keys of its group, and the source of its randomness.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use blake2::{Blake2s256, Digest as _};
use curve25519_dalek::MontgomeryPoint;
use zeroize::Zeroizing;

use crate::limits::EPHEMERALS_MAX;
use crate::wire::identity::PublicKey;

/// A source of random bytes that nobody else can predict.
pub type Entropy = Box<dyn FnMut(&mut [u8])>;

/// The secret of a private group.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<[u8; 16]>);

impl Secret {
    /// The secret with these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn pre_shared_key(&self) -> PreSharedKey {
        let mut hash = Blake2s256::new();
        hash.update(b"groupchat/2 private");
        hash.update(*self.0);
        Zeroizing::new(hash.finalize().into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A private key of X25519.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(Zeroizing<[u8; 32]>);

impl PrivateKey {
    /// The private key with these bytes, which are random.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public key that belongs to it.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(MontgomeryPoint::mul_base_clamped(*self.0).to_bytes())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}

/// The kind of a group, and what a run has to be a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever reaches a member can join. The key pair is new for each run.
    Open,
    /// Only a run with the secret can join.
    Private {
        /// The secret, and then older ones. Never empty.
        secrets: Vec<Secret>,
        /// The private key of the person in this group.
        key: PrivateKey,
        /// Which run of the person this is: greater than that of every earlier one.
        run: u64,
    },
}

pub(super) type PreSharedKey = Zeroizing<[u8; 32]>;

/// The keys of one run.
pub struct Keys {
    pub(super) private: PrivateKey,
    public: PublicKey,
    is_private: bool,
    /// That of the group, and then those of older secrets.
    pub(super) pre_shared: Vec<PreSharedKey>,
    entropy: Entropy,
    /// The ephemeral keys of the last first messages, in a private group. The oldest one first.
    ephemerals: VecDeque<[u8; 32]>,
    known_ephemerals: BTreeSet<[u8; 32]>,
}

impl Keys {
    /// The keys of a run of a group.
    #[must_use]
    pub fn new(access: Access, mut entropy: Entropy) -> Self {
        let (is_private, private, pre_shared) = match access {
            Access::Open => {
                let mut bytes = [0; 32];
                entropy(&mut bytes);
                let open = Blake2s256::digest(b"groupchat/2 open").into();
                (false, PrivateKey::new(bytes), vec![Zeroizing::new(open)])
            }
            Access::Private { secrets, key, .. } => {
                (true, key, secrets.iter().map(Secret::pre_shared_key).collect())
            }
        };
        Self {
            public: private.public(),
            private,
            is_private,
            pre_shared,
            entropy,
            ephemerals: VecDeque::new(),
            known_ephemerals: BTreeSet::new(),
        }
    }

    /// The public key of this run.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Whether the group is private.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.is_private
    }

    /// `N` random bytes.
    pub fn random<const N: usize>(&mut self) -> Zeroizing<[u8; N]> {
        let mut bytes = Zeroizing::new([0; N]);
        (self.entropy)(&mut *bytes);
        bytes
    }

    /// The ephemeral key of a first message of a private group arrives. Returns whether it is new.
    pub(super) fn is_new(&mut self, ephemeral: [u8; 32]) -> bool {
        if !self.is_private {
            // Everybody can make such messages, so a recorded one is worth nothing.
            return true;
        }
        if !self.known_ephemerals.insert(ephemeral) {
            return false;
        }
        self.ephemerals.push_back(ephemeral);
        if self.ephemerals.len() > EPHEMERALS_MAX {
            let oldest = self.ephemerals.pop_front();
            oldest.into_iter().for_each(|oldest| _ = self.known_ephemerals.remove(&oldest));
        }
        true
    }
}

/// Without the keys.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("public", &self.public).finish_non_exhaustive()
    }
}
