//! Addresses of peers: parsing and resolving.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};

use crate::error::{reason, uncapitalized};
use crate::protocol::Peer;
use crate::unicode;

/// A parsed peer address, whose host name is not resolved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    text: String,
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    ThisMachine,
    Address(IpAddr),
    Name(String),
}

/// Parses the address of a peer: `HOST:PORT`, `[IPV6]:PORT`, or a bare `PORT` on this machine.
///
/// # Errors
///
/// A sentence with the reason and the right form.
pub fn parse(text: &str) -> Result<PeerAddress, String> {
    if unicode::is_blank(text) {
        return Err("it is empty; write HOST:PORT, or PORT for this machine".to_owned());
    }
    if text.trim() != text {
        return Err(format!("it begins or ends with a blank; write {}", text.trim()));
    }
    if let Some((host, port)) = text.split_once(char::is_whitespace)
        && parse_port(port.trim_start()).is_ok()
    {
        let host = if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() };
        return Err(format!("it has a blank; write {host}:{}", port.trim_start()));
    }
    if is_ipv6_without_port(text) {
        return Err(format!("it has no port; write [{}]:PORT", text.trim_matches(['[', ']'])));
    }
    let (host, port) = match text.rsplit_once(':') {
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => (Host::ThisMachine, text),
        None => return Err(format!("it has no port; write {text}:PORT")),
        Some((host, port)) => (parse_host(host, port)?, port),
    };
    let port = parse_port(port).ok().filter(|&port| port != 0);
    let port = port.ok_or("a peer's port is a number from 1 to 65535")?;
    Ok(PeerAddress { text: text.to_owned(), host, port })
}

/// Whether `text` is an IPv6 address without a port.
fn is_ipv6_without_port(text: &str) -> bool {
    let is_ipv6 = |text: &str| text.parse::<Ipv6Addr>().is_ok();
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(is_ipv6),
        None => is_ipv6(text) && !text.rsplit_once(':').is_some_and(|(host, _)| is_ipv6(host)),
    }
}

fn parse_host(host: &str, port: &str) -> Result<Host, String> {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address: Result<Ipv6Addr, _> = address.parse();
        return address
            .map(|address| Host::Address(address.into()))
            .map_err(|_| "what stands in brackets must be an IPv6 address".to_owned());
    }
    if host.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("an IPv6 address needs brackets; write [{host}]:{port}"));
    }
    if host.contains(':') {
        return Err(
            "a host holds no ':'; write HOST:PORT, or an IPv6 address in brackets, such as [::1]:PORT"
                .to_owned(),
        );
    }
    if host.is_empty() {
        return Err(format!("it has no host; write HOST:{port}, or {port} for this machine"));
    }
    Ok(host.parse().map_or_else(|_| Host::Name(host.to_owned()), Host::Address))
}

/// Parses a port.
///
/// # Errors
///
/// A sentence with the valid range.
pub fn parse_port(text: &str) -> Result<u16, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|_| is_number);
    port.ok_or_else(|| "a port is a number from 0 to 65535".to_owned())
}

impl PeerAddress {
    /// The address as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The peer, if its host needs no look-up.
    #[must_use]
    pub fn known(&self) -> Option<Peer> {
        let addresses = match &self.host {
            Host::ThisMachine => {
                vec![(Ipv4Addr::LOCALHOST, self.port).into(), (Ipv6Addr::LOCALHOST, self.port).into()]
            }
            Host::Address(address) => vec![(this_machine(*address), self.port).into()],
            Host::Name(_) => return None,
        };
        Some(self.at(addresses))
    }

    /// The peer at these addresses.
    #[must_use]
    pub fn at(&self, addresses: Vec<SocketAddr>) -> Peer {
        Peer { name: self.text.as_str().into(), addresses }
    }

    /// Resolves the host, which blocks as long as the system's resolver does.
    ///
    /// # Errors
    ///
    /// A sentence with the reason.
    pub fn resolve(&self) -> Result<Peer, String> {
        let Host::Name(name) = &self.host else {
            return Ok(self.known().expect("only a name needs to be looked up"));
        };
        let found = (name.as_str(), self.port).to_socket_addrs().map_err(|error| {
            let why = reason(&error);
            let why = uncapitalized(why.rsplit(": ").next().unwrap_or_default().to_owned());
            format!("cannot find its host: {why}; check how it is spelled, or write its IP address")
        })?;
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for mut address in found {
            address.set_ip(this_machine(address.ip()));
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err("its host has no address".to_owned());
        }
        Ok(self.at(addresses))
    }
}

/// Replaces the unspecified address, which systems take for this machine, by the loopback address.
fn this_machine(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        _ => address,
    }
}
