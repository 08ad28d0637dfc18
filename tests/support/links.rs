//! The connections of processes, as Linux lists them.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

/// One end of a TCP connection over IPv4: where it is, and where the other end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

/// In the system's table, a connection that is established, and one that is being made.
const ESTABLISHED: &str = "01";
const SYN_SENT: &str = "02";

/// The connections of a process that are established.
pub fn established(process: u32) -> Vec<End> {
    ends(process, ESTABLISHED)
}

/// The connections that a process is making.
pub fn dialling(process: u32) -> Vec<End> {
    ends(process, SYN_SENT)
}

fn ends(process: u32, state: &str) -> Vec<End> {
    // A peer that has ended meanwhile has none.
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap_or_default();
    let rows = table.lines().skip(1).filter_map(|row| {
        let words: Vec<_> = row.split_ascii_whitespace().collect();
        let end = End { local: address(words[1]), remote: address(words[2]) };
        (words[3] == state).then(|| (words[9].to_owned(), end))
    });
    let by_inode: HashMap<_, _> = rows.collect();
    let Ok(descriptors) = fs::read_dir(format!("/proc/{process}/fd")) else { return Vec::new() };
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let inodes = targets.filter_map(|target| {
        let name = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned();
        by_inode.get(&name).copied()
    });
    inodes.collect()
}

/// An address as the table writes it: the bytes of the host as this machine orders them, and the port.
fn address(text: &str) -> SocketAddr {
    let (host, port) = text.split_once(':').expect("a host and a port");
    let host = u32::from_str_radix(host, 16).expect("a host").to_ne_bytes();
    SocketAddrV4::new(Ipv4Addr::from(host), u16::from_str_radix(port, 16).expect("a port")).into()
}
