//! The keys of a run: its key pair, the pre-shared keys of its group, and the source of its randomness.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use blake2::{Blake2s256, Digest as _};
use curve25519_dalek::constants::X25519_BASEPOINT;
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
        PublicKey(X25519_BASEPOINT.mul_clamped(*self.0).to_bytes())
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::wire::identity::{read_hexadecimal, to_hexadecimal};

    /// The secrets of an open group and of a private one, for [`keys`].
    pub const GROUPS: [&[u8]; 2] = [&[], &[1]];

    /// Random bytes that are the same in each run of the tests.
    pub fn entropy(seed: u64) -> Entropy {
        let mut random = fastrand::Rng::with_seed(seed);
        Box::new(move |bytes| random.fill(bytes))
    }

    /// An entropy that yields `bytes` and then nothing.
    pub fn yields(mut bytes: Vec<u8>) -> Entropy {
        Box::new(move |out| out.copy_from_slice(&bytes.drain(..out.len()).collect::<Vec<_>>()))
    }

    /// The keys of a run whose private key is `key` 32 times. Each byte of `secrets` stands for the secret that is this
    /// byte 16 times. With none of them the group is open.
    pub fn keys(secrets: &[u8], key: u8, seed: u64) -> Keys {
        let mut entropy = entropy(seed);
        if secrets.is_empty() {
            let mut first = Some(key);
            return Keys::new(
                Access::Open,
                Box::new(move |bytes| match first.take() {
                    Some(key) => bytes.fill(key),
                    None => entropy(bytes),
                }),
            );
        }
        let secrets = secrets.iter().map(|byte| Secret::new([*byte; 16])).collect();
        Keys::new(Access::Private { secrets, key: PrivateKey::new([key; 32]), run: 7 }, entropy)
    }

    /// The bytes with this name in the vector, which another implementation of Noise has made.
    pub fn vector(name: &str) -> Vec<u8> {
        let lines = include_str!("../../tests/vectors/noise_xxpsk0.txt").lines();
        let mut digits = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        bytes(digits.next().expect("a name of the vector"))
    }

    /// The bytes with these hexadecimal digits.
    pub fn bytes(digits: &str) -> Vec<u8> {
        let pairs = digits.as_bytes().as_chunks::<2>().0.iter();
        let byte = |pair| read_hexadecimal::<1>(str::from_utf8(pair).ok()?);
        pairs.map(|pair| byte(pair).expect("two digits")[0]).collect()
    }

    #[test]
    fn pre_shared_keys_are_those_of_another_implementation() {
        let secret = Secret::new(vector("private.secret").try_into().expect("16 bytes"));
        assert_eq!(secret.pre_shared_key().to_vec(), vector("private.psk"));
        assert_eq!(keys(&[], 1, 1).pre_shared[0].to_vec(), vector("open.psk"));

        // Python: hashlib.blake2s(b"groupchat/2 private" + bytes([3] * 16)).hexdigest()
        let expected = "d7398d4043e2d833528aa3e8d75ae6627b26c48da523e8376833e1c09ceda94e";
        assert_eq!(to_hexadecimal(&*keys(&[3], 1, 1).pre_shared[0]), expected);
    }

    #[test]
    fn each_secret_has_a_pre_shared_key_of_its_own_and_the_newest_one_is_first() {
        let of_both = keys(&[1, 2], 1, 1).pre_shared;
        assert_eq!(of_both, [keys(&[1], 1, 1).pre_shared, keys(&[2], 1, 1).pre_shared].concat());
        assert_ne!(of_both[0], of_both[1]);
        assert!(!of_both.contains(&keys(&[], 1, 1).pre_shared[0]));
    }

    #[test]
    fn public_keys_are_those_of_rfc_7748() {
        // Section 6.1.
        for (private, public) in [
            (
                "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
                "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
            ),
            (
                "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
                "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
            ),
        ] {
            let private = PrivateKey::new(read_hexadecimal(private).expect("64 digits"));
            assert_eq!(private.public().to_string(), public);
        }
    }

    #[test]
    fn only_a_run_of_an_open_group_draws_its_private_key() {
        let random: Vec<u8> = (0..40).collect();

        let mut open = Keys::new(Access::Open, yields(random.clone()));
        assert_eq!(open.private.bytes()[..], random[..32]);
        assert_eq!(*open.random(), [32, 33, 34, 35, 36, 37, 38, 39]);
        assert!(!open.is_private());

        let key = PrivateKey::new([9; 32]);
        let access = Access::Private { secrets: vec![Secret::new([1; 16])], key: key.clone(), run: 1 };
        let mut private = Keys::new(access, yields(random));
        assert_eq!((&private.private, private.public()), (&key, key.public()));
        assert_eq!((*private.random(), *private.random()), ([0, 1, 2], [3, 4]));
        assert!(private.is_private());
    }

    #[test]
    fn a_private_group_remembers_the_last_ephemeral_keys() {
        let ephemeral = |number: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_be_bytes());
            key
        };
        let mut keys = keys(&[1], 1, 1);
        for number in 0..EPHEMERALS_MAX {
            assert!(keys.is_new(ephemeral(number)), "{number}");
        }
        for number in 0..EPHEMERALS_MAX {
            assert!(
                !keys.is_new(ephemeral(number)),
                "{number} is remembered, and its repetition changes nothing"
            );
        }

        assert!(keys.is_new(ephemeral(EPHEMERALS_MAX)), "one more than are remembered");
        assert!(!keys.is_new(ephemeral(1)), "the second oldest one");
        assert!(keys.is_new(ephemeral(0)), "the oldest one was forgotten");
        assert!(!keys.is_new(ephemeral(0)), "it is remembered again");
        assert!(keys.is_new(ephemeral(1)), "now this one was the oldest one");
        assert_eq!((keys.ephemerals.len(), keys.known_ephemerals.len()), (EPHEMERALS_MAX, EPHEMERALS_MAX));
    }

    #[test]
    fn an_open_group_remembers_no_ephemeral_key() {
        let mut keys = keys(&[], 1, 1);
        assert!(keys.is_new([1; 32]) && keys.is_new([1; 32]));
        assert!(keys.ephemerals.is_empty() && keys.known_ephemerals.is_empty());
    }

    #[test]
    fn debug_shows_no_key() {
        let secret = Secret::new([0xab; 16]);
        let key = PrivateKey::new([0xcd; 32]);
        assert_eq!(format!("{secret:?} {key:?}"), "Secret PrivateKey");
        let access = Access::Private { secrets: vec![secret], key, run: 7 };
        assert_eq!(format!("{access:?}"), "Private { secrets: [Secret], key: PrivateKey, run: 7 }");

        // Four digits of the public key, which is no secret.
        let public = &to_hexadecimal(&Keys::new(access.clone(), entropy(1)).public().0)[..4];
        assert_eq!(
            format!("{:?}", Keys::new(access, entropy(1))),
            format!("Keys {{ public: {public}.., .. }}")
        );
    }
}
