//! Alice, a group without a socket, and the strangers at the other ends of her connections.
//!
//! A stranger has a number, from which its key, its run and its token follow. It shakes hands as the program does, and
//! then sends whatever the test says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use groupchat::limits::NEWS_DIAL_DELAY;
use groupchat::protocol::{Access, Attempt, ClientId, Event, Group, MemberId, Peer, Setup};
use groupchat::seal::{Handshake, Keys, PrivateKey, Records, Secret, Step};
use groupchat::wire::frame::Framing;
use groupchat::wire::identity::{Identity, Token};

pub fn address(host: u8, port: u16) -> SocketAddr {
    ([10, 0, 0, host], port).into()
}

/// The user names peers by their addresses.
pub fn peers(addresses: &[SocketAddr]) -> Vec<Peer> {
    let peer = |address: &SocketAddr| Peer { name: address.to_string().into(), addresses: vec![*address] };
    addresses.iter().map(peer).collect()
}

// Who a stranger is.

/// The key and the token follow from the lower half of the number of a run. The upper half is the number of the run.
fn random(number: u128, purpose: u64) -> fastrand::Rng {
    fastrand::Rng::with_seed((number as u64) << 8 | purpose)
}

fn private_key(number: u128) -> PrivateKey {
    let mut bytes = [0; 32];
    random(number, 1).fill(&mut bytes);
    PrivateKey::new(bytes)
}

/// The token that only this run can show, when it leaves.
pub fn token(number: u128) -> Token {
    Token(random(number, 2).u128(..))
}

fn identity(number: u128) -> Identity {
    Identity { key: private_key(number).public(), run: (number >> 64) as u64, nonce: token(number).nonce() }
}

pub fn id(number: u128) -> MemberId {
    identity(number).id()
}

/// The run as the entries of lists have it.
pub fn entry(number: u128) -> String {
    let Identity { key, run, nonce } = identity(number);
    format!("{key} {run} {nonce}")
}

/// The line of a hello with which it says which run it is.
pub fn run(number: u128) -> String {
    let Identity { run, nonce, .. } = identity(number);
    format!("run {run} {nonce}")
}

/// The number of a run with the key of `number` whose id fits.
pub fn run_where(number: u128, fits: impl Fn(MemberId) -> bool) -> u128 {
    let identity = identity(number);
    let run = (0..).find(|&run| fits(Identity { run, ..identity }.id()));
    number | u128::from(run.expect("one of so many")) << 64
}

/// A run whose id begins with these digits.
pub fn run_with(number: u128, digits: &str) -> u128 {
    let (value, bits) = (u128::from_str_radix(digits, 16).expect("digits"), 4 * digits.len());
    run_where(number, |id| { id.0 } >> (128 - bits) == value)
}

// Bytes that it sends.

/// The content of its first frame.
pub fn hello(number: u128, name: &str) -> String {
    format!("{}\nport 5000\nname 0 {name}\nsent 0", run(number))
}

pub fn message(name: &str, text: &str) -> String {
    format!("[2026-11-22T06:55:22+01:00] {name}:\n\t\t{text}<MSGENCD>")
}

pub fn private(number: &str, name: &str, text: &str) -> String {
    format!("{number}\n[2026-11-22T06:55:22+01:00] {name}:\n\t\t{text}<PRIVENCD>")
}

pub fn exit(name: &str) -> String {
    format!("\n10.0.0.2:5000 [2026-11-22T06:55:22+01:00]|\n{name}<EXITENCD>")
}

pub fn peer_frame(body: &str) -> String {
    format!("{body}<PEERENCD>")
}

// Bytes that it receives.

/// The value of `key` in a peer frame among `frames`.
pub fn value(frames: &str, key: &str) -> Option<String> {
    let line = frames.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
    Some(line.split('<').next().expect("a first part").to_owned())
}

/// The body of the peer frame in text framing that `bytes` begin with, and what follows it.
pub fn split_frame(bytes: &[u8]) -> (String, &[u8]) {
    let code = b"<PEERENCD>";
    let at = bytes.windows(code.len()).position(|window| window == code);
    let at = at.unwrap_or_else(|| panic!("no peer frame: {:?}", String::from_utf8_lossy(bytes)));
    (String::from_utf8(bytes[..at].to_vec()).expect("text"), &bytes[at + code.len()..])
}

// Records.

pub fn seal(records: &mut Records, text: &str) -> Vec<u8> {
    let (mut rest, mut bytes, mut record) = (text.as_bytes(), Vec::new(), Vec::new());
    while !rest.is_empty() {
        rest = &rest[records.seal(rest, &mut record)..];
        bytes.append(&mut record);
    }
    bytes
}

pub fn open(records: &mut Records, mut bytes: &[u8]) -> String {
    let (mut all, mut text) = (Vec::new(), Vec::new());
    while records.open(&mut bytes, &mut text).expect("records that she sealed") {
        all.append(&mut text);
    }
    String::from_utf8(all).expect("text")
}

/// The secret of the private groups here.
pub fn secret() -> Secret {
    Secret::new([7; 16])
}

/// How a test starts Alice.
#[derive(Debug)]
pub struct Start {
    /// Her address is 10.0.0.`place`.
    pub place: u8,
    pub framing: Option<Framing>,
    pub peers: Vec<Peer>,
    pub is_private: bool,
}

impl Default for Start {
    fn default() -> Self {
        Self { place: 1, framing: None, peers: Vec::new(), is_private: false }
    }
}

/// A peer called alice, at 10.0.0.1 unless another place is given, and everything that she writes.
pub struct Alice {
    pub place: u8,
    pub group: Group<usize>,
    /// The bytes that she has written on each stream and nobody has read.
    pub written: BTreeMap<usize, Vec<u8>>,
    /// The bytes that she has received on each stream.
    pub received: BTreeMap<usize, Vec<u8>>,
    /// The record layers of those at the other ends of her streams, once they have agreed on keys.
    pub records: BTreeMap<usize, Box<Records>>,
    pub streams: usize,
    /// Streams whose sending side she has shut down.
    pub shut_down: BTreeSet<usize>,
    /// Streams that take no more than so many bytes in one write.
    pub slow: BTreeMap<usize, usize>,
    pub now: Instant,
    pub told: Vec<Event>,
    /// Whoever comes has the secret of her group, if it is private.
    pub is_private: bool,
    /// How many handshakes were made with her.
    handshakes: u64,
}

impl Alice {
    pub fn start(start: Start) -> Self {
        let Start { place, framing, peers, is_private } = start;
        // In these tests, nobody guesses. Two groups here are at other places or name a different number of peers.
        let mut random = fastrand::Rng::with_seed((peers.len() as u64) << 8 | u64::from(place));
        let access = if is_private {
            let key = private_key(u128::from(place) << 32);
            Access::Private { secrets: vec![secret()], key, run: 1 }
        } else {
            Access::Open
        };
        let name = "alice".into();
        let setup = Setup { name, port: 5000, framing, is_plain: false, history: 20, peers, access };
        let now = Instant::now();
        Self {
            place,
            group: Group::new(setup, now, Box::new(move |bytes| random.fill(bytes))),
            written: BTreeMap::new(),
            received: BTreeMap::new(),
            records: BTreeMap::new(),
            streams: 0,
            shut_down: BTreeSet::new(),
            slow: BTreeMap::new(),
            now,
            told: Vec::new(),
            is_private,
            handshakes: 0,
        }
    }

    pub fn new() -> Self {
        Self::start(Start::default())
    }

    pub fn who_dials(named: &[SocketAddr]) -> Self {
        Self::who_dials_peers(peers(named))
    }

    pub fn who_dials_peers(peers: Vec<Peer>) -> Self {
        Self::start(Start { peers, ..Start::default() })
    }

    pub fn at(place: u8, framing: Option<Framing>, peers: Vec<Peer>) -> Self {
        Self::start(Start { place, framing, peers, is_private: false })
    }

    // Connections.

    pub fn accept(&mut self, from: SocketAddr) -> ClientId {
        self.streams += 1;
        self.group
            .handle_accepted(self.streams, from, address(self.place, 5000), self.now)
            .expect("not herself")
    }

    /// The address that she dials next, within a few seconds.
    pub fn next_attempt(&mut self) -> Attempt {
        let attempt = (0..20).find_map(|_| {
            let attempt = self.group.poll_dial(self.now);
            if attempt.is_none() {
                self.pass(NEWS_DIAL_DELAY / 8);
            }
            attempt
        });
        attempt.expect("somebody to dial")
    }

    /// Answers what she dials next, within a few seconds.
    pub fn answer(&mut self) -> (ClientId, SocketAddr) {
        let attempt = self.next_attempt();
        (self.answer_to(attempt), attempt.address)
    }

    pub fn answer_to(&mut self, attempt: Attempt) -> ClientId {
        self.streams += 1;
        let local = address(self.place, 40_000 + self.streams as u16);
        let client = self.group.handle_dialing(attempt, self.streams, local, self.now);
        self.group.handle_connected(client, self.now);
        self.settle();
        client
    }

    pub fn close(&mut self, client: ClientId) {
        self.group.handle_closed(client, self.now);
        self.settle();
    }

    pub fn is_open(&mut self, client: ClientId) -> bool {
        self.group.stream_mut(client).is_some()
    }

    pub fn stream(&mut self, client: ClientId) -> Option<usize> {
        self.group.stream_mut(client).copied()
    }

    // Bytes and text.

    /// Sends bytes to her as they are. Returns what she writes on that connection, as it is, unless she closes it.
    pub fn hear_bytes(&mut self, client: ClientId, bytes: &[u8]) -> Vec<u8> {
        if let Some(stream) = self.stream(client) {
            self.received.entry(stream).or_default().extend_from_slice(bytes);
        }
        self.group.handle_bytes(client, bytes, self.now);
        self.settle();
        let stream = self.stream(client);
        stream.and_then(|stream| self.written.remove(&stream)).unwrap_or_default()
    }

    /// Text as it travels on a connection: in records, once there are keys.
    pub fn sealed(&mut self, client: ClientId, text: &str) -> Vec<u8> {
        let stream = self.stream(client);
        match stream.and_then(|stream| self.records.get_mut(&stream)) {
            Some(records) => seal(records, text),
            None => text.as_bytes().to_vec(),
        }
    }

    /// The text that she wrote on a connection.
    pub fn opened(&mut self, client: ClientId, bytes: &[u8]) -> String {
        let stream = self.stream(client);
        match stream.and_then(|stream| self.records.get_mut(&stream)) {
            Some(records) => open(records, bytes),
            None => String::from_utf8(bytes.to_vec()).expect("text"),
        }
    }

    /// Sends text to her, and returns what she writes on that connection.
    pub fn hear(&mut self, client: ClientId, text: &str) -> String {
        let bytes = self.sealed(client, text);
        let written = self.hear_bytes(client, &bytes);
        self.opened(client, &written)
    }

    pub fn hear_frame(&mut self, client: ClientId, lines: &str) -> String {
        self.hear(client, &peer_frame(&format!("groupchat/2\n{lines}")))
    }

    // Time.

    pub fn settle(&mut self) {
        self.group.handle_time(self.now);
        let (written, slow) = (&mut self.written, &self.slow);
        while self.group.flush(self.now, |_, stream, bytes, _| {
            let count = slow.get(stream).map_or(bytes.len(), |most| bytes.len().min(*most));
            written.entry(*stream).or_default().extend_from_slice(&bytes[..count]);
            count
        }) {}
        while let Some(stream) = self.group.poll_shutdown() {
            self.shut_down.insert(*stream);
        }
        while self.group.poll_closed().is_some() {}
        self.told.extend(std::iter::from_fn(|| self.group.poll_event()));
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    /// Lets time pass in which she reaches nobody. Returns whom she dialled.
    pub fn pass_alone(&mut self, time: Duration) -> Vec<SocketAddr> {
        let (end, mut dialled) = (self.now + time, Vec::new());
        while self.now < end {
            self.pass(Duration::from_secs(1));
            while let Some(attempt) = self.group.poll_dial(self.now) {
                dialled.push(attempt.address);
                self.group.handle_dial_failed(attempt, "refused".into(), self.now);
            }
        }
        dialled
    }

    // Handshakes.

    /// The keys of a stranger, for one handshake.
    pub fn keys(&mut self, number: u128) -> Keys {
        self.handshakes += 1;
        keys(number, self.is_private.then(secret), self.handshakes)
    }

    /// The first frame of a handshake, as a stranger sends it that dials her.
    pub fn first_frame(&mut self, number: u128) -> String {
        peer_frame(&Handshake::dial(&mut self.keys(number)).1)
    }

    /// Somebody dials her, and the two agree on keys.
    pub fn agree(&mut self, from: SocketAddr, number: u128) -> ClientId {
        let client = self.accept(from);
        self.agree_on(client, number);
        client
    }

    /// Somebody who has dialled her agrees with her on keys.
    pub fn agree_on(&mut self, client: ClientId, number: u128) {
        let mut keys = self.keys(number);
        let (mut handshake, first) = Handshake::dial(&mut keys);
        let reply = self.hear(client, &peer_frame(&first));
        let step = handshake.receive(&split_frame(reply.as_bytes()).0, &mut keys);
        let Ok(Step::Sealed { reply: Some(last), records, .. }) = step else { panic!("{step:?}") };
        assert_eq!(self.hear(client, &peer_frame(&last)), "");
        self.keep(client, records);
    }

    /// Somebody whom she has dialled agrees with her on keys. Returns her hello.
    pub fn agree_dialled(&mut self, client: ClientId, number: u128) -> String {
        let mut keys = self.keys(number);
        let mut handshake = Handshake::accept();
        let first = self.hear(client, "");
        let step = handshake.receive(&split_frame(first.as_bytes()).0, &mut keys);
        let Ok(Step::Reply(reply)) = step else { panic!("{step:?}") };
        let written = self.hear_bytes(client, peer_frame(&reply).as_bytes());
        let (last, rest) = split_frame(&written);
        let step = handshake.receive(&last, &mut keys);
        let Ok(Step::Sealed { reply: None, records, .. }) = step else { panic!("{step:?}") };
        self.keep(client, records);
        self.opened(client, rest)
    }

    pub fn keep(&mut self, client: ClientId, records: Box<Records>) {
        let stream = self.stream(client).expect("it is open");
        self.records.insert(stream, records);
    }

    /// Somebody dials her and says hello. Returns the connection, and what she answers.
    pub fn hear_hello(&mut self, from: SocketAddr, number: u128, name: &str) -> (ClientId, String) {
        let client = self.agree(from, number);
        let answer = self.hear_frame(client, &hello(number, name));
        (client, answer)
    }

    /// The same, and it requests her messages.
    pub fn meet(&mut self, from: SocketAddr, number: u128, name: &str) -> ClientId {
        let (client, _) = self.hear_hello(from, number, name);
        self.hear_frame(client, "resume 0\nfrom 0 0\nend of-list");
        client
    }

    /// Bob, whom she has met before, dials her, and has `lines` to send behind his hello. Returns the connection, and
    /// what she writes.
    pub fn meet_again(&mut self, from: SocketAddr, number: u128, lines: &str) -> (ClientId, String) {
        let (client, answer) = self.hear_hello(from, number, "bob");
        let told = self.hear_frame(client, &format!("from 0 0\n{lines}"));
        (client, answer + &told)
    }

    /// Somebody whom she has dialled says hello. Returns what she answers.
    pub fn greet(&mut self, client: ClientId, number: u128, name: &str) -> String {
        self.agree_dialled(client, number);
        self.hear_frame(client, &hello(number, name))
    }

    /// The same, and it requests her messages.
    pub fn be_met(&mut self, client: ClientId, number: u128, name: &str) -> String {
        self.greet(client, number, name);
        self.hear_frame(client, "join 20\nfrom 0 0\nend of-list")
    }

    /// A member that tells lies.
    pub fn meet_mallory(&mut self) -> ClientId {
        self.meet(address(9, 1000), 9, "mallory")
    }

    /// A member leaves as the program does.
    pub fn hear_goodbye(&mut self, client: ClientId, number: u128, name: &str) {
        self.hear_frame(client, &format!("left {} {}", id(number), token(number)));
        self.hear(client, &exit(name));
    }

    // Events that the user is shown.

    pub fn shown(&self) -> Vec<String> {
        let message = |event: &Event| match event {
            Event::Message { from, text, .. } => Some(format!("{from}: {text}")),
            _ => None,
        };
        self.told.iter().filter_map(message).collect()
    }

    /// The messages, and the ids of the members that sent them.
    pub fn speakers(&self) -> Vec<(Option<MemberId>, String)> {
        let message = |event: &Event| match event {
            Event::Message { from, text, .. } => Some((from.id, text.clone())),
            _ => None,
        };
        self.told.iter().filter_map(message).collect()
    }

    pub fn was_told(&self, what: impl Fn(&Event) -> bool) -> bool {
        self.told.iter().any(what)
    }

    /// The ids of the members that were met.
    pub fn met(&self) -> Vec<MemberId> {
        self.group.roster().iter().filter_map(|one| one.peer.id).collect()
    }
}

/// The keys of a stranger in an open group, or in a private one. The handshakes with other numbers are others.
pub fn keys(number: u128, secret: Option<Secret>, handshake: u64) -> Keys {
    let key = private_key(number);
    let mut random = fastrand::Rng::with_seed(u64::MAX - handshake);
    match secret {
        Some(secret) => {
            let access = Access::Private { secrets: vec![secret], key, run: (number >> 64) as u64 };
            Keys::new(access, Box::new(move |bytes| random.fill(bytes)))
        }
        None => {
            // In an open group, the key is what is random first.
            let mut key = Some(key);
            let entropy = move |bytes: &mut [u8]| match key.take() {
                Some(key) => bytes.copy_from_slice(key.bytes()),
                None => random.fill(bytes),
            };
            Keys::new(Access::Open, Box::new(entropy))
        }
    }
}
