//! The contents of a group file, and its grammar.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::net::SocketAddr;

use zeroize::Zeroizing;

use crate::address::PeerAddress;
use crate::invite::{self, GroupName};
use crate::limits::{
    GROUP_ADDRESSES_MAX, GROUP_FILE_BYTES_MAX, GROUP_MEMBERS_MAX, GROUP_SECRETS_MAX, INVITE_ADDRESSES_MAX,
    MEMBER_ADDRESSES_MAX, NAME_BYTES_MAX,
};
use crate::sanitize::sanitized;
use crate::seal::{PrivateKey, Secret};
use crate::wire::identity::{PublicKey, read_hexadecimal};

/// The first line, and the last one.
const FIRST: &str = "groupchat-group/1\n";
const LAST: &str = "end\n";

/// The remedy for a damaged file.
const RESTORE: &str = "restore it from a copy, or join the group again under another name";

/// The contents of a group file.
pub struct Contents {
    name: GroupName,
    /// With their epochs, the newest one first. Never empty.
    secrets: Vec<(u64, Secret)>,
    key: PrivateKey,
    run: u64,
    own_addresses: Vec<PeerAddress>,
    addresses: Vec<PeerAddress>,
    members: BTreeMap<PublicKey, KnownMember>,
    /// Lines with other keys. A later version may write secrets there.
    unknown: Vec<Zeroizing<String>>,
}

/// A member that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownMember {
    /// Its public key.
    pub key: PublicKey,
    /// The greatest number of its runs.
    pub run: u64,
    /// How many of its runs were seen.
    pub runs: u64,
    /// When it was seen last, in seconds of Unix time.
    pub last_seen: u64,
    /// Its addresses, at most [`MEMBER_ADDRESSES_MAX`].
    pub addresses: Vec<SocketAddr>,
    /// Its name, sanitized and at most [`NAME_BYTES_MAX`] long.
    pub name: String,
}

impl Contents {
    pub(super) fn new(name: GroupName, secret: Secret, key: PrivateKey) -> Self {
        let (own_addresses, addresses, members, unknown) = Default::default();
        Self { name, secrets: vec![(1, secret)], key, run: 0, own_addresses, addresses, members, unknown }
    }

    /// The name that invites to the group propose.
    #[must_use]
    pub fn name(&self) -> &GroupName {
        &self.name
    }

    /// The secrets of the group, the newest one first. There is at least one.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.secrets.iter().map(|(_, secret)| secret)
    }

    /// Our private key.
    #[must_use]
    pub fn private_key(&self) -> &PrivateKey {
        &self.key
    }

    /// The addresses at which others reach our last run.
    #[must_use]
    pub fn own_addresses(&self) -> &[PeerAddress] {
        &self.own_addresses
    }

    /// Changes the addresses at which others reach our last run. At most [`INVITE_ADDRESSES_MAX`] are kept.
    pub fn set_own_addresses(&mut self, mut addresses: Vec<PeerAddress>) {
        addresses.truncate(INVITE_ADDRESSES_MAX);
        self.own_addresses = addresses;
    }

    /// The addresses from invites, those of the last one first.
    #[must_use]
    pub fn addresses(&self) -> &[PeerAddress] {
        &self.addresses
    }

    /// The members that were seen, in the order of their keys.
    pub fn members(&self) -> impl Iterator<Item = &KnownMember> {
        self.members.values()
    }

    /// The member with the public key `key` is connected at `now`, in seconds of Unix time.
    ///
    /// An empty list of addresses leaves those that are known. If there is no room, another member is forgotten: one of
    /// which a single run was seen, if there is one, and of these the one that was seen longest ago.
    pub fn remember(&mut self, key: PublicKey, run: u64, now: u64, addresses: &[SocketAddr], name: &str) {
        let mut member = match self.members.remove(&key) {
            Some(known) => {
                KnownMember { runs: known.runs.saturating_add(u64::from(run > known.run)), ..known }
            }
            None => {
                KnownMember { key, run, runs: 1, last_seen: now, addresses: Vec::new(), name: String::new() }
            }
        };
        member.run = member.run.max(run);
        member.last_seen = now;
        member.name = stored_name(name);
        if !addresses.is_empty() {
            member.addresses = addresses.iter().take(MEMBER_ADDRESSES_MAX).copied().collect();
        }
        // The newcomer stays: many that come once take one place only of those that come again.
        self.forget_surplus(GROUP_MEMBERS_MAX - 1);
        self.members.insert(key, member);
    }

    fn forget_surplus(&mut self, count_max: usize) {
        while self.members.len() > count_max {
            let rank = |member: &&KnownMember| (member.runs > 1, member.last_seen);
            let Some(key) = self.members.values().min_by_key(rank).map(|member| member.key) else { return };
            self.members.remove(&key);
        }
    }

    pub(super) fn next_run(&mut self, now: u64) -> u64 {
        self.run = self.run.saturating_add(1).max(now);
        self.run
    }

    pub(super) fn add_addresses(&mut self, addresses: &[PeerAddress]) {
        self.addresses.retain(|known| !addresses.contains(known));
        self.addresses.splice(..0, addresses.iter().cloned());
        self.addresses.truncate(GROUP_ADDRESSES_MAX);
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// The end of a sentence about the file.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        if text.len() > GROUP_FILE_BYTES_MAX {
            return Err(too_large());
        }
        let cut = || format!("is cut off, as its last line is not 'end': {RESTORE}");
        let Some(rest) = text.strip_prefix(FIRST.as_bytes()) else {
            let other = "is no group file, or one of a later version of groupchat: choose another, or update";
            return Err(if FIRST.as_bytes().starts_with(text) { cut() } else { other.to_owned() });
        };
        let lines = rest.strip_suffix(LAST.as_bytes());
        let lines = lines.filter(|lines| lines.is_empty() || lines.ends_with(b"\n")).ok_or_else(cut)?;
        let (mut name, mut key, mut run) = (None, None, None);
        // The vector never grows, so that it leaves no copy of a secret behind.
        let mut secrets = Vec::with_capacity(GROUP_SECRETS_MAX);
        let (mut own_addresses, mut addresses) = (Vec::new(), Vec::new());
        let (mut members, mut unknown) = (BTreeMap::new(), Vec::new());
        for (line, number) in lines.split_inclusive(|byte| *byte == b'\n').zip(2..) {
            // A line that is no text cannot be read, as little as a second last line.
            let line = str::from_utf8(line).map_or("end", |line| line.trim_end_matches('\n'));
            let (word, value) = line.split_once(' ').unwrap_or((line, ""));
            let read = match word {
                "name" => set_once(&mut name, value.parse().ok()),
                "secret" if secrets.len() == GROUP_SECRETS_MAX => None,
                "secret" => read_secret(value).map(|secret| secrets.push(secret)),
                "key" => set_once(&mut key, read_hexadecimal(value).map(PrivateKey::new)),
                "run" => set_once(&mut run, value.parse().ok()),
                "own" => invite::parse_address(value).map(|address| own_addresses.push(address)),
                "address" => invite::parse_address(value).map(|address| addresses.push(address)),
                "member" => KnownMember::read(value).map(|member| _ = members.insert(member.key, member)),
                "end" => None,
                _ => {
                    unknown.push(Zeroizing::new(line.to_owned()));
                    Some(())
                }
            };
            read.ok_or_else(|| format!("cannot be read in line {number}: correct that, or {RESTORE}"))?;
        }
        let missing = |key| format!("has no line '{key}': {RESTORE}");
        if secrets.is_empty() {
            return Err(missing("secret"));
        }
        secrets.sort_by_key(|(epoch, _)| Reverse(*epoch));
        own_addresses.truncate(INVITE_ADDRESSES_MAX);
        addresses.truncate(GROUP_ADDRESSES_MAX);
        let name = name.ok_or_else(|| missing("name"))?;
        let key = key.ok_or_else(|| missing("key"))?;
        let run = run.ok_or_else(|| missing("run"))?;
        let mut contents = Self { name, secrets, key, run, own_addresses, addresses, members, unknown };
        contents.forget_surplus(GROUP_MEMBERS_MAX);
        Ok(contents)
    }

    /// The text of the file.
    ///
    /// # Errors
    ///
    /// The end of a sentence about the file.
    pub(super) fn to_text(&self) -> Result<Zeroizing<String>, String> {
        // The text that was read is within the limit, and so is the text that a run adds to it. So the string never moves and leaves no
        // copy behind.
        let mut text = Zeroizing::new(String::with_capacity(2 * GROUP_FILE_BYTES_MAX));
        self.write(&mut text).expect("a string takes everything");
        if text.len() > GROUP_FILE_BYTES_MAX { Err(too_large()) } else { Ok(text) }
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "{FIRST}name {}", self.name)?;
        for (epoch, secret) in &self.secrets {
            writeln!(text, "secret {epoch} {}", Hexadecimal(secret.bytes()))?;
        }
        writeln!(text, "key {}\nrun {}", Hexadecimal(self.key.bytes()), self.run)?;
        for address in &self.own_addresses {
            writeln!(text, "own {}", address.text())?;
        }
        for address in &self.addresses {
            writeln!(text, "address {}", address.text())?;
        }
        for KnownMember { key, run, runs, last_seen, addresses, name } in self.members() {
            let list: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
            let list = if list.is_empty() { "-".to_owned() } else { list.join(",") };
            writeln!(text, "member {key} {run} {runs} {last_seen} {list} {name}")?;
        }
        for line in &self.unknown {
            writeln!(text, "{}", **line)?;
        }
        text.write_str(LAST)
    }
}

/// Without the secrets.
impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents").field("name", &self.name).finish_non_exhaustive()
    }
}

impl KnownMember {
    fn read(value: &str) -> Option<Self> {
        let mut words = value.splitn(6, ' ');
        let key = words.next()?.parse().ok()?;
        let [run, runs, last_seen] = [words.next()?, words.next()?, words.next()?].map(str::parse);
        let list = words.next().filter(|list| *list != "-");
        let addresses = list.into_iter().flat_map(|list| list.split(',')).take(MEMBER_ADDRESSES_MAX);
        let addresses = addresses.map(str::parse).collect::<Result<_, _>>().ok()?;
        let name = stored_name(words.next()?);
        Some(Self { key, run: run.ok()?, runs: runs.ok()?, last_seen: last_seen.ok()?, addresses, name })
    }
}

/// Bytes as hexadecimal digits, without a copy of them that stays in memory.
struct Hexadecimal<'a>(&'a [u8]);

impl fmt::Display for Hexadecimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn too_large() -> String {
    format!("has more than {GROUP_FILE_BYTES_MAX} bytes: remove the lines that groupchat did not write")
}

/// A name as it is shown, in one line.
fn stored_name(name: &str) -> String {
    let mut name = sanitized(name);
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    name
}

fn read_secret(value: &str) -> Option<(u64, Secret)> {
    let (epoch, secret) = value.split_once(' ')?;
    Some((epoch.parse().ok()?, Secret::new(read_hexadecimal(secret)?)))
}

/// Sets the value of a key of which there is one line. Returns `None` if it cannot be read, or is the second one.
fn set_once<T>(place: &mut Option<T>, value: Option<T>) -> Option<()> {
    let is_first = place.is_none();
    *place = value;
    (is_first && place.is_some()).then_some(())
}
