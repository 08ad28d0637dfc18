//! Groups in memory, from seeds: the program's own core, with a network that cuts, stalls and loses.
//!
//! Nothing here opens a socket or looks at a clock. A failure prints its seed;
//! `GROUPCHAT_SEED=7 cargo test --test simulation` runs that one alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chrono::DateTime;
use groupchat::limits::{FINISH, LEAVE_STALL};
use groupchat::protocol::frame::Framing;
use groupchat::protocol::{ClientId, Group, LostReason, Notice, Peer};

/// One direction of a connection.
#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    room: usize,
    is_stalled: bool,
    /// The writer will write no more; the reader reads what is left, then the end.
    is_ended: bool,
}

/// A connection: end 0 dialled, end 1 accepted. `pipes[end]` is written by that end.
struct Link {
    nodes: [usize; 2],
    clients: [ClientId; 2],
    pipes: [Pipe; 2],
    /// Whether that end's group has forgotten it.
    is_closed: [bool; 2],
    /// A cut loses what is under way, and both ends see a failure.
    is_cut: bool,
    /// The first message of that end's user that the other end is owed.
    owed_from: [u64; 2],
    /// The last message of that end's user that the other end heard over this connection.
    last_heard: [Option<u64>; 2],
}

struct Node {
    group: Group<(usize, usize)>,
    said: u64,
    has_left: bool,
    /// The messages heard of each other node.
    heard: Vec<BTreeSet<u64>>,
    /// The first message owed to each node that this one dials.
    owed: BTreeMap<usize, u64>,
}

struct World {
    random: fastrand::Rng,
    now: Instant,
    nodes: Vec<Node>,
    links: Vec<Link>,
    has_long_messages: bool,
    /// Bytes read and written since the last look.
    moved_bytes: usize,
}

fn address(node: usize) -> SocketAddr {
    ([10, 0, 0, node as u8], 5000).into()
}

fn name(node: usize) -> String {
    // Half of the names are made to be mistaken for the end of a message.
    if node.is_multiple_of(2) { format!("n{node}") } else { format!("] : <\\{node}") }
}

/// What follows the number in a message: short ones with codes in them, or long ones. Long ones have
/// none: the first frame in lab framing is only recognised by its first code, if it is long.
fn filler(random: &mut fastrand::Rng, is_long: bool) -> String {
    if is_long {
        // Some are so long that the log soon forgets what somebody still needs.
        let most = if random.u8(..8) == 0 { 200_000 } else { 10_000 };
        return ["x", "\u{1f980}", "<"][random.usize(..3)].repeat(random.usize(..most));
    }
    ["x", "<MSGENCD>", "<\\EXITENCD>", "\u{1f980}", "\n"][random.usize(..5)].repeat(random.usize(..20))
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let (now, count) = (Instant::now(), random.usize(2..=6));
        let nodes = (0..count).map(|node| {
            // Everybody dials some of those before, so that a pair has one connection.
            let dialled: Vec<_> = (0..node).filter(|_| random.u8(..4) > 0).collect();
            let peers =
                dialled.iter().map(|&peer| Peer { name: name(peer).into(), addresses: vec![address(peer)] });
            let silent = if random.bool() { Framing::Text } else { Framing::Lab };
            let group = Group::new(name(node), silent, peers.collect(), now, random.fork());
            let owed = dialled.into_iter().map(|peer| (peer, 0)).collect();
            Node { group, said: 0, has_left: false, heard: vec![BTreeSet::new(); count], owed }
        });
        let nodes = nodes.collect();
        let has_long_messages = random.u8(..8) == 0;
        Self { random, now, nodes, links: Vec::new(), has_long_messages, moved_bytes: 0 }
    }

    /// One thing that happens, to somebody, at random.
    fn step(&mut self) {
        let node = self.random.usize(..self.nodes.len());
        match self.random.u8(..100) {
            0..60 => self.turn(node),
            60..80 => self.say(node),
            80..88 => self.now += Duration::from_millis(self.random.u64(..400)),
            88..94 => {
                if let Some(link) = self.some_link() {
                    let end = self.random.usize(..2);
                    let pipe = &mut self.links[link].pipes[end];
                    pipe.is_stalled = !pipe.is_stalled;
                }
            }
            94..96 => self.cut(),
            96..97 => self.now += Duration::from_secs(self.random.u64(..20)),
            97..98 if self.random.u8(..3) == 0 => self.leave(node),
            _ => (),
        }
    }

    fn some_link(&mut self) -> Option<usize> {
        (!self.links.is_empty()).then(|| self.random.usize(..self.links.len()))
    }

    fn say(&mut self, node: usize) {
        let is_long = self.has_long_messages && self.random.bool();
        let text = format!("{} {}", self.nodes[node].said, filler(&mut self.random, is_long));
        let node = &mut self.nodes[node];
        if !node.has_left && (!is_long || node.group.said() <= node.group.say_limit(self.now)) {
            let at = DateTime::UNIX_EPOCH + Duration::from_micros(node.said);
            node.group.say(&text, at.fixed_offset());
            node.said += 1;
        }
    }

    fn leave(&mut self, node: usize) {
        if !self.nodes[node].has_left {
            self.nodes[node].has_left = true;
            self.nodes[node].group.leave(self.now, DateTime::UNIX_EPOCH.fixed_offset(), address(node));
        }
    }

    fn cut(&mut self) {
        let Some(link) = self.some_link() else { return };
        let link = &mut self.links[link];
        link.is_cut = true;
        for pipe in &mut link.pipes {
            pipe.bytes.truncate(self.random.usize(..=pipe.bytes.len()));
        }
    }

    /// One turn of a node's loop, in the program's order.
    fn turn(&mut self, node: usize) {
        self.nodes[node].group.handle_time(self.now);
        self.dial(node);
        for link in 0..self.links.len() {
            for end in 0..2 {
                if self.links[link].nodes[end] == node && !self.links[link].is_closed[end] {
                    self.read(link, end);
                    self.take_notices(node, Some((link, end)));
                }
            }
        }
        self.flush(node);
        self.take_notices(node, None);
    }

    fn dial(&mut self, node: usize) {
        while let Some((dial, target)) = self.nodes[node].group.poll_dial(self.now) {
            let peer = (0..self.nodes.len()).find(|&peer| address(peer) == target).expect("a node");
            if self.nodes[peer].has_left || self.random.u8(..5) == 0 {
                self.nodes[node].group.handle_dial_failed(dial, "refused".into(), self.now);
                continue;
            }
            let link = self.links.len();
            let local = SocketAddr::from(([10, 0, 0, node as u8], 10_000 + link as u16));
            let dialling = self.nodes[node].group.handle_dialling(dial, (link, 0), target, local);
            let accepted = self.nodes[peer].group.accept((link, 1), local, target).expect("not oneself");
            self.nodes[node].group.handle_connected(dialling, self.now);
            let pipe = || Pipe { room: 1 << self.random.clone().u32(6..18), ..Pipe::default() };
            self.links.push(Link {
                nodes: [node, peer],
                clients: [dialling, accepted],
                pipes: [pipe(), pipe()],
                is_closed: [false; 2],
                is_cut: false,
                owed_from: [self.nodes[node].owed[&peer], self.nodes[peer].said],
                last_heard: [None; 2],
            });
        }
    }

    fn read(&mut self, link: usize, end: usize) {
        let (node, client) = (self.links[link].nodes[end], self.links[link].clients[end]);
        let group = &mut self.nodes[node].group;
        let is_cut = self.links[link].is_cut;
        let pipe = &mut self.links[link].pipes[1 - end];
        let count = if pipe.is_stalled { 0 } else { self.random.usize(..=pipe.bytes.len()) };
        let bytes: Vec<_> = pipe.bytes.drain(..count).collect();
        self.moved_bytes += count;
        if group.stream_mut(client).is_none() {
            return;
        }
        if !bytes.is_empty() {
            group.handle_bytes(client, &bytes, self.now);
        }
        if pipe.bytes.is_empty() && !pipe.is_stalled && group.stream_mut(client).is_some() {
            if is_cut {
                group.handle_failed(client, "cut".into(), self.now);
            } else if pipe.is_ended {
                group.handle_closed(client, self.now);
            }
        }
    }

    fn flush(&mut self, node: usize) {
        let (links, random, moved) = (&mut self.links, &mut self.random, &mut self.moved_bytes);
        let group = &mut self.nodes[node].group;
        group.flush(self.now, |_, &mut (link, end), bytes, _| {
            let link = &mut links[link];
            if link.is_cut || link.is_closed[1 - end] {
                // Reading finds the end.
                return 0;
            }
            let pipe = &mut link.pipes[end];
            let room = pipe.room - pipe.bytes.len();
            let count =
                if random.u8(..4) == 0 { random.usize(..=bytes.len()) } else { bytes.len() }.min(room);
            pipe.bytes.extend(&bytes[..count]);
            *moved += count;
            count
        });
        while let Some(&mut (link, end)) = group.poll_shutdown() {
            links[link].pipes[end].is_ended = true;
        }
        while let Some((_, (link, end))) = self.nodes[node].group.poll_ended() {
            let links = &mut self.links;
            links[link].is_closed[end] = true;
            links[link].pipes[end].is_ended = true;
            let peer = links[link].nodes[1 - end];
            let Node { owed, said, .. } = &mut self.nodes[node];
            owed.entry(peer).and_modify(|owed| *owed = *said);
        }
    }

    /// What the user of `node` is told, after it read at that end of a link.
    fn take_notices(&mut self, node: usize, source: Option<(usize, usize)>) {
        while let Some(notice) = self.nodes[node].group.poll_output() {
            match notice {
                Notice::Message { at, from, text } => {
                    assert!(at.is_some(), "{} heard something misshapen: {text:?}", name(node));
                    let sender =
                        (0..self.nodes.len()).find(|&node| *name(node) == *from).expect("a known name");
                    // Only the first piece of a long message has its number.
                    let number = text.split(' ').next().and_then(|number| number.parse().ok());
                    if let Some(number) = number {
                        let (link, end) = source.expect("messages come from reading");
                        let last = &mut self.links[link].last_heard[1 - end];
                        assert!(*last < Some(number), "{number} after {last:?}");
                        *last = Some(number);
                        assert!(self.nodes[node].heard[sender].insert(number), "{number} was heard twice");
                    }
                }
                Notice::Left { who } => {
                    let leaver = self.nodes.iter().enumerate().find(|(node, _)| *name(*node) == *who);
                    assert!(leaver.expect("a known name").1.has_left, "{who} has not left");
                }
                Notice::Lost { who, why: LostReason::FrameTooLong } => {
                    panic!("{who} sent something misshapen")
                }
                Notice::Connected { peer, missed, .. } if missed > 0 => {
                    // The log no longer reached back, and the user was told so.
                    assert!(self.has_long_messages, "{missed} messages were still in the log");
                    let peer =
                        (0..self.nodes.len()).find(|&node| *name(node) == *peer).expect("a known name");
                    let link =
                        self.links.iter_mut().rfind(|link| link.nodes == [node, peer]).expect("a link");
                    link.owed_from[0] = u64::MAX;
                }
                _ => (),
            }
        }
    }

    /// Lets everything that is under way arrive.
    fn settle(&mut self) {
        for link in &mut self.links {
            for pipe in &mut link.pipes {
                pipe.is_stalled = false;
            }
        }
        let mut quiet_rounds = 0;
        while quiet_rounds < 20 {
            for node in 0..self.nodes.len() {
                self.turn(node);
            }
            self.now += Duration::from_millis(1);
            let is_quiet = mem::take(&mut self.moved_bytes) == 0;
            quiet_rounds = if is_quiet { quiet_rounds + 1 } else { 0 };
        }
    }

    /// What was said over a connection that held was heard.
    fn check(&self) {
        for link in &self.links {
            if link.is_cut || link.is_closed != [false; 2] {
                continue;
            }
            for end in 0..2 {
                let (speaker, hearer) = (link.nodes[end], link.nodes[1 - end]);
                let heard = &self.nodes[hearer].heard[speaker];
                let owed = link.owed_from[end].min(self.nodes[speaker].said)..self.nodes[speaker].said;
                let lost: Vec<_> = owed.filter(|number| !heard.contains(number)).collect();
                assert!(lost.is_empty(), "{} did not hear {lost:?} of {}", name(hearer), name(speaker));
            }
        }
    }

    /// Everybody leaves, one after the other, whether or not the others listen.
    fn part(&mut self) {
        for node in 0..self.nodes.len() {
            let is_heard = self.random.bool();
            for pipe in self.links.iter_mut().flat_map(|link| &mut link.pipes) {
                pipe.is_stalled = !is_heard;
            }
            self.say(node);
            self.leave(node);
            // A network that takes a little at a time makes it longer.
            let rounds = (0..1_000).take_while(|_| {
                self.turn(node);
                self.now += LEAVE_STALL.max(FINISH);
                !self.nodes[node].group.has_left()
            });
            assert!(rounds.count() < 1_000, "{} cannot leave", name(node));
            self.settle();
        }
        for node in &mut self.nodes {
            assert!(
                node.group.poll_ended().is_none() && node.group.deadline().is_none(),
                "something is left"
            );
        }
    }
}

fn run(seed: u64) {
    let result = std::panic::catch_unwind(|| {
        let mut world = World::new(seed);
        for _ in 0..world.random.usize(50..400) {
            world.step();
        }
        world.settle();
        world.check();
        world.part();
    });
    if result.is_err() {
        panic!("seed {seed} failed: run it alone with GROUPCHAT_SEED={seed}");
    }
}

fn run_all(seeds: std::ops::Range<u64>) {
    match std::env::var("GROUPCHAT_SEED") {
        Ok(seed) => run(seed.parse().expect("GROUPCHAT_SEED is a number")),
        Err(_) => seeds.for_each(run),
    }
}

#[test]
fn groups_hear_everything_once_and_in_order() {
    run_all(0..2_000);
}

#[test]
fn other_groups_hear_everything_once_and_in_order() {
    run_all(2_000..4_000);
}
