//! Handshakes: what it costs until two members are linked.
//!
//! Both ends are here, over bytes in memory, and so are both ends of the floor, which is the bare library with the same
//! pattern. System calls would cost both the same and hide the difference; and a listener that knows a thousand members
//! has other work as well. So each handshake is that of two groups that know nobody else. It goes on until both ends have
//! shown the other one to the user and nothing is left to be sent: the first records are among what is measured.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use groupchat::protocol::{Access, ClientId, Event, Group, Peer, Setup};
use groupchat::wire::frame::Framing;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState, TransportState};

use super::pairs::{self, PAIRS};
use super::proc_files::ProcFiles;
use super::process::Subject;
use super::table::Line;
use super::trouble::{Doing, Result, Trouble};

const HANDSHAKES: usize = 1_000;
const RATIO_MAX: f64 = 1.3;

pub fn both_ends() -> Result<Vec<Line>> {
    let files = ProcFiles::of(std::process::id());
    let figures = pairs::measure(PAIRS, "µs", |subject| {
        let spent_ns = match subject {
            Subject::Program => of_groups(&files)?,
            Subject::Floor => of_the_library(&files)?,
        };
        Ok(spent_ns as f64 / 1e3 / HANDSHAKES as f64)
    })?;
    let work = "1,000 handshakes, both ends, CPU each; the floor is the library alone";
    Ok(vec![Line::ratio(work, "µs", figures, RATIO_MAX)])
}

/// The processor time of all handshakes between groups, which exist already.
fn of_groups(files: &ProcFiles) -> Result<u64> {
    let now = Instant::now();
    let mut pairs: Vec<_> = (0..HANDSHAKES).map(|_| ENDS.map(|end| group(end, now))).collect();
    let before = files.cpu_ns()?;
    for ends in &mut pairs {
        link(ends, now)?;
    }
    Ok(files.cpu_ns()? - before)
}

const DIALLER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 5000);
const LISTENER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 5000);
const ENDS: [SocketAddr; 2] = [DIALLER, LISTENER];

/// A group of one member, which is at this address.
fn group(address: SocketAddr, now: Instant) -> Group<()> {
    let is_dialler = address == DIALLER;
    let peers = is_dialler.then(|| Peer { name: "b".into(), addresses: vec![LISTENER] });
    let setup = Setup {
        name: if is_dialler { "a" } else { "b" }.into(),
        port: address.port(),
        framing: Some(Framing::Text),
        is_plain: false,
        history: 20,
        peers: peers.into_iter().collect(),
        access: Access::Open,
    };
    let mut random = fastrand::Rng::new();
    Group::new(setup, now, Box::new(move |bytes| random.fill(bytes)))
}

/// Lets the first end dial the second one, and hands bytes to and fro until there are none.
fn link(ends: &mut [Group<()>; 2], now: Instant) -> Result<()> {
    let [dialler, listener] = ends;
    let attempt = dialler.poll_dial(now).ok_or_else(|| Trouble::Wrong("nobody is dialled".into()))?;
    let from = SocketAddr::new(DIALLER.ip(), 10_000);
    let dialled = dialler.handle_dialing(attempt, (), from, now);
    let accepted = listener.handle_accepted((), from, LISTENER, now);
    let accepted = accepted.map_err(|()| Trouble::Wrong("it was not accepted".into()))?;
    dialler.handle_connected(dialled, now);
    let mut bytes = Vec::new();
    loop {
        let is_quiet = [
            carry(dialler, listener, accepted, &mut bytes, now),
            carry(listener, dialler, dialled, &mut bytes, now),
        ];
        if is_quiet == [true, true] {
            break;
        }
    }
    for end in ends {
        let events: Vec<_> = std::iter::from_fn(|| end.poll_event()).collect();
        if !events.iter().any(|event| matches!(event, Event::Joined { .. })) {
            return Trouble::wrong(format!("two groups do not meet: {events:?}"));
        }
    }
    Ok(())
}

/// Whatever one end writes is read at the other one. Returns whether that was nothing.
fn carry(
    from: &mut Group<()>,
    to: &mut Group<()>,
    client: ClientId,
    bytes: &mut Vec<u8>,
    now: Instant,
) -> bool {
    bytes.clear();
    from.flush(now, |_, (), piece, _| {
        bytes.extend_from_slice(piece);
        piece.len()
    });
    if !bytes.is_empty() {
        to.handle_bytes(client, bytes, now);
    }
    bytes.is_empty()
}

/// The processor time of all handshakes of the library, whose key pairs exist already.
fn of_the_library(files: &ProcFiles) -> Result<u64> {
    let before = files.cpu_ns()?;
    for _ in 0..HANDSHAKES {
        shake_hands().doing("shake hands by the library alone")?;
    }
    Ok(files.cpu_ns()? - before)
}

const PATTERN: &str = "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s";

fn shake_hands() -> std::result::Result<[TransportState; 2], snow::Error> {
    let [mut dialler, mut listener] = [end(true)?, end(false)?];
    let mut bytes = [0; 128];
    for number in 0..3 {
        let (from, to) =
            if number == 1 { (&mut listener, &mut dialler) } else { (&mut dialler, &mut listener) };
        let count = from.write_message(&[], &mut bytes)?;
        to.read_message(&bytes[..count], &mut [])?;
    }
    Ok([dialler.into_transport_mode()?, listener.into_transport_mode()?])
}

fn end(is_dialler: bool) -> std::result::Result<HandshakeState, snow::Error> {
    let mut private = [0; 32];
    fastrand::fill(&mut private);
    let builder = Builder::with_resolver(PATTERN.parse()?, Box::new(Primitives))
        .local_private_key(&private)?
        .psk(0, &[7; 32])?
        .prologue(b"a prologue")?;
    if is_dialler { builder.build_initiator() } else { builder.build_responder() }
}

/// Those of the library, which is built without a source of randomness.
struct Primitives;

impl CryptoResolver for Primitives {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Fast))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

struct Fast;

impl Random for Fast {
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> std::result::Result<(), snow::Error> {
        fastrand::fill(bytes);
        Ok(())
    }
}
