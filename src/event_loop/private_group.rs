//! The private group of a run: its secrets, its file, its invite, and the members that it remembers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use chrono::Local;
use zeroize::Zeroizing;

use crate::address::{self, PeerAddress};
use crate::error::Error;
use crate::group_file::{Contents, GroupFile, Place};
use crate::invite::{GroupName, Invite};
use crate::limits::{GROUP_SAVE_INTERVAL, INVITE_ADDRESSES_MAX};
use crate::protocol::Access;
use crate::protocol::group::MetMember;
use crate::seal::{PrivateKey, Secret};
use crate::terminal;

/// The group to take part in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupChoice {
    /// An open one.
    Open,
    /// A new private one with this name, whose file is to be created.
    New(Place, GroupName),
    /// The private one of an invite, which is to be kept in a file.
    Join(Place, Invite),
    /// The private one of an invite, for this run only.
    Once(Invite),
    /// The private one of a file.
    Kept(Place),
}

/// The private group of this run.
#[derive(Debug)]
pub(super) struct PrivateGroup {
    name: GroupName,
    /// The secret, and then older ones.
    secrets: Vec<Secret>,
    /// The addresses of invites, where somebody may be.
    addresses: Vec<PeerAddress>,
    /// The addresses that the user wants in the invite.
    advertised: Vec<PeerAddress>,
    /// Where the group is kept; `None` if it is not.
    file: Option<GroupFile>,
    /// When members that were met since are saved.
    save_at: Option<Instant>,
    /// The file could not be written, and the user was shown that.
    has_failed: bool,
}

impl PrivateGroup {
    /// The private group that was chosen, and how this run belongs to it; `None` for an open one. Others reach this run
    /// at `ip` and `port`. What a file has to hold is on the disk when this function returns.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] or [`Error::Failure`]; see [`GroupFile`].
    pub fn open(
        choice: GroupChoice,
        advertised: Vec<PeerAddress>,
        ip: Option<IpAddr>,
        port: u16,
    ) -> Result<Option<(Self, Access)>, Error> {
        let mut file = match choice {
            GroupChoice::Open => return Ok(None),
            GroupChoice::New(place, name) => {
                GroupFile::create(place, name, Secret::new(*random()), PrivateKey::new(*random()))?
            }
            GroupChoice::Join(place, invite) => GroupFile::join(place, &invite, PrivateKey::new(*random()))?,
            GroupChoice::Kept(place) => GroupFile::open_locked(place)?,
            GroupChoice::Once(invite) => {
                let secrets = vec![invite.secret().clone()];
                let (name, addresses) = (invite.name().clone(), invite.addresses().to_vec());
                let access = Access::Private {
                    secrets: secrets.clone(),
                    key: PrivateKey::new(*random()),
                    run: unix_seconds(),
                };
                let (file, save_at, has_failed) = (None, None, false);
                let group = Self { name, secrets, addresses, advertised, file, save_at, has_failed };
                return Ok(Some((group, access)));
            }
        };
        file.contents.set_own_addresses(own_addresses(&advertised, ip, port));
        let run = file.next_run(unix_seconds())?;
        let contents = &file.contents;
        let secrets: Vec<_> = contents.secrets().cloned().collect();
        let access = Access::Private { secrets: secrets.clone(), key: contents.private_key().clone(), run };
        let (name, addresses) = (contents.name().clone(), contents.addresses().to_vec());
        let (save_at, has_failed) = (None, false);
        let group = Self { name, secrets, addresses, advertised, file: Some(file), save_at, has_failed };
        Ok(Some((group, access)))
    }

    /// The name of the group.
    pub fn name(&self) -> &GroupName {
        &self.name
    }

    /// The file in which it is kept, if it is.
    pub fn file(&self) -> Option<&GroupFile> {
        self.file.as_ref()
    }

    /// The addresses of invites, where somebody may be.
    pub fn addresses(&self) -> &[PeerAddress] {
        &self.addresses
    }

    /// The invite of a run that others reach at `ip` and `port`.
    ///
    /// # Errors
    ///
    /// A sentence.
    pub fn invite(&self, ip: Option<IpAddr>, port: u16) -> Result<Zeroizing<String>, String> {
        let own = own_addresses(&self.advertised, ip, port);
        let secret = self.secrets.first().expect("there is always one");
        invite(&self.name, own.iter().chain(&self.addresses), secret)
    }

    /// A member was met. It is saved soon.
    pub fn handle_met(&mut self, member: &MetMember, now: Instant) {
        self.remember(member);
        if self.file.is_some() {
            self.save_at.get_or_insert(now + GROUP_SAVE_INTERVAL);
        }
    }

    /// Takes over what is known of a member that was met.
    pub fn remember(&mut self, member: &MetMember) {
        if let Some(file) = &mut self.file {
            let MetMember { identity, name, addresses, .. } = member;
            file.contents.remember(identity.key, identity.run, unix_seconds(), addresses, name);
        }
    }

    /// When the file is to be saved.
    pub fn deadline(&self) -> Option<Instant> {
        self.save_at
    }

    /// Saves the file. Returns an error that the user was not shown yet.
    pub fn save(&mut self) -> Option<String> {
        self.save_at = None;
        let failed = self.file.as_ref()?.save().err();
        let is_new = failed.is_some() && !self.has_failed;
        self.has_failed = failed.is_some();
        let sentence = failed.filter(|_| is_new)?.to_string();
        Some(format!("members of {} are not remembered: {sentence}", self.name))
    }
}

/// Prints the invite to the group of a file, which another run may use.
///
/// # Errors
///
/// [`Error::Argument`] or [`Error::Failure`]: the file cannot be read, or no address is known.
pub fn print_invite(group: &str, advertised: &[PeerAddress]) -> Result<(), Error> {
    let contents = GroupFile::read_unlocked(&Place::find(group.as_ref())?)?;
    let addresses = advertised.iter().chain(contents.own_addresses()).chain(contents.addresses());
    let mut text = invite(contents.name(), addresses, newest(&contents)).map_err(Error::Failure)?;
    text.push('\n');
    terminal::print(&text)
}

fn newest(contents: &Contents) -> &Secret {
    contents.secrets().next().expect("there is always one")
}

/// An invite with the first of these addresses.
fn invite<'a>(
    name: &GroupName,
    addresses: impl Iterator<Item = &'a PeerAddress>,
    secret: &Secret,
) -> Result<Zeroizing<String>, String> {
    let mut first: Vec<PeerAddress> = Vec::new();
    for address in addresses {
        if first.len() < INVITE_ADDRESSES_MAX && !first.contains(address) {
            first.push(address.clone());
        }
    }
    if first.is_empty() {
        return Err("no address is known: add --advertise HOST:PORT".to_owned());
    }
    let invite = Invite::new(name.clone(), first, secret.clone());
    invite.map(|invite| invite.to_text()).map_err(|error| error.to_string())
}

/// The addresses at which others reach a run: those that the user wants in the invite, and then this one.
fn own_addresses(advertised: &[PeerAddress], ip: Option<IpAddr>, port: u16) -> Vec<PeerAddress> {
    let is_far = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local(),
    };
    // Without a network, there is this machine.
    let ip = Some(ip.unwrap_or(Ipv4Addr::LOCALHOST.into())).filter(is_far);
    let own = ip.and_then(|ip| address::parse(&SocketAddr::new(ip, port).to_string()).ok());
    advertised.iter().cloned().chain(own).take(INVITE_ADDRESSES_MAX).collect()
}

fn random<const N: usize>() -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    super::fill_with_random(&mut *bytes);
    bytes
}

fn unix_seconds() -> u64 {
    Local::now().timestamp().try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_has_addresses_that_others_can_dial() {
        let parse = |texts: &[&str]| -> Vec<PeerAddress> {
            texts.iter().map(|text| address::parse(text).expect("an address")).collect()
        };
        for (advertised, ip, expected) in [
            (&[][..], Some("192.168.1.7"), &["192.168.1.7:5000"][..]),
            (&["a.example:1"], Some("2001:db8::7"), &["a.example:1", "[2001:db8::7]:5000"]),
            (&[], Some("127.0.0.1"), &["127.0.0.1:5000"]),
            (&[], None, &["127.0.0.1:5000"]),
            (&[], Some("fe80::1"), &[]),
            (&["a:1"], Some("169.254.0.1"), &["a:1"]),
            (&["a:1", "b:2", "c:3"], Some("10.0.0.1"), &["a:1", "b:2", "c:3"]),
        ] {
            let ip = ip.map(|ip| ip.parse().expect("an address"));
            assert_eq!(own_addresses(&parse(advertised), ip, 5000), parse(expected), "{ip:?}");
        }
        let (name, secret) = ("a".parse().expect("a name"), Secret::new([0; 16]));
        let text = invite(&name, parse(&["a:1", "b:2", "a:1", "c:3", "d:4"]).iter(), &secret);
        assert!(text.expect("an invite").starts_with("a@a:1,b:2,c:3/"));
        assert!(invite(&name, [].iter(), &secret).is_err());
    }
}
