//! Bytes that a join and a rejoin cost the network: whole groups in memory, on virtual time.
//!
//! The program's own core runs here without a socket: each end of a connection is a buffer, a turn takes
//! [`TICK`], and a turn is taken only by members with something to do. So the figures are exact counts,
//! the same on every machine and in every build; only the time of the large mesh is real time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::mem;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use groupchat::protocol::{Access, ClientId, Event, Group, Peer, Setup};
use groupchat::wire::frame::Framing;

use super::table::Line;
use super::trouble::{Result, Trouble};

/// Sizes of the groups that a newcomer joins.
const GROUPS: [usize; 4] = [50, 100, 200, 400];
/// Bytes over all connections of the group, for each member of it.
const NEWCOMER_KIB_MAX: f64 = 1.5;
/// Bytes in both directions, over all connections of one pair.
const PAIR_KIB_MAX: f64 = 2.0;
const AWAY: Duration = Duration::from_secs(60);
/// How long bytes are counted after an event, at least, and then until nothing is sent for [`QUIET`].
const COUNTED: Duration = Duration::from_secs(60);
const QUIET: Duration = Duration::from_secs(5);

const MESH: usize = 1_000;
/// A quarter of a millisecond for each of its links: all members share one core here, and do nothing else.
const MESH_EACH_MS_MAX: f64 = 250.0;
/// Twice what the members would cost if they came one after the other.
const MESH_PAIR_KIB_MAX: f64 = 2.0 * NEWCOMER_KIB_MAX;

/// Latency of the network: what is written in one tick is read in the next.
const TICK: Duration = Duration::from_millis(1);
/// A group that is not complete, or not quiet, after so much virtual time will never be.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a newcomer costs each member of a group, and what a pair costs that lost each other for a while.
pub fn costs() -> Result<Vec<Line>> {
    let (mut newcomers, mut pairs) = (Vec::new(), Vec::new());
    for count in GROUPS {
        let begin = Instant::now();
        let mut network = Network::mesh(count, |_| 0)?;
        let built = begin.elapsed();
        let idle = network.count_while(COUNTED);
        let newcomer = network.join(Some(0));
        let joined = network.count_until_quiet()?;
        network.check_is_mesh()?;
        network.set_away(newcomer, true);
        network.run_for(AWAY);
        network.set_away(newcomer, false);
        network.watch(newcomer);
        network.count_until_quiet()?;
        network.check_is_mesh()?;
        let of_pair = network.sent_by_pair.iter().copied().max().unwrap_or(0);
        eprintln!(
            "  {count} members: built in {:.1} s, {idle} B a minute when idle, {joined} B for a newcomer, \
             {of_pair} B for a pair that was cut",
            built.as_secs_f64()
        );
        newcomers.push(Line::absolute(
            &format!("a newcomer to {count} members, bytes for each member"),
            "KiB",
            kib(joined) / count as f64,
            None,
            NEWCOMER_KIB_MAX,
        ));
        pairs.push(Line::absolute(
            &format!("a pair of {} members that was cut for {} s", count + 1, AWAY.as_secs()),
            "KiB",
            kib(of_pair),
            None,
            PAIR_KIB_MAX,
        ));
    }
    Ok(newcomers.into_iter().chain(pairs).collect())
}

/// A large group that comes at once: each member dials the first one, or each the one before it.
pub fn large_mesh() -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (which, step) in [("the first", MESH), ("the one before", 1)] {
        let begin = Instant::now();
        let network = Network::mesh(MESH, |member| member.saturating_sub(step))?;
        let (seconds, pairs) = (begin.elapsed().as_secs_f64(), MESH * (MESH - 1) / 2);
        eprintln!(
            "  each dials {which}: {seconds:.1} s, {} B, {:?}",
            network.sent,
            TICK * network.tick as u32
        );
        let work = format!("{MESH} members come at once, each dials {which}");
        let each = format!("{work}, elapsed, for each");
        lines.push(Line::absolute(&each, "ms", seconds * 1_000.0 / MESH as f64, None, MESH_EACH_MS_MAX));
        let of_pair = kib(network.sent) / pairs as f64;
        lines.push(Line::absolute(
            &format!("{work}, bytes for each pair"),
            "KiB",
            of_pair,
            None,
            MESH_PAIR_KIB_MAX,
        ));
    }
    Ok(lines)
}

fn kib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}

/// One end of a connection. End `n` is connected with end `n ^ 1`; an even one dialled.
struct End {
    member: usize,
    /// Its connection in the group of `member`: of an end that accepts once it did.
    client: Option<ClientId>,
    is_connected: bool,
    inbound: Vec<u8>,
    /// The other end writes no more.
    is_ended: bool,
    /// The connection failed.
    is_cut: bool,
    /// The group of `member` has forgotten it.
    is_closed: bool,
    /// It is in the list of ends at which something has happened.
    is_listed: bool,
}

struct Network {
    start: Instant,
    /// Virtual time since `start`, in [`TICK`]s.
    tick: u64,
    groups: Vec<Group<usize>>,
    ends: Vec<End>,
    /// Of each member, the ends at which something has happened.
    listed: Vec<Vec<usize>>,
    /// Turns to be taken. One that is not the `next_turn` of its member is out of date.
    turns: BinaryHeap<Reverse<(u64, usize)>>,
    next_turn: Vec<Option<u64>>,
    /// Members that nobody can reach and that reach nobody.
    is_away: Vec<bool>,
    /// How many members each has met.
    met: Vec<usize>,
    /// Bytes that were written, over all connections.
    sent: u64,
    sent_at: u64,
    /// A member, and the bytes that it and each other one wrote to each other.
    watched: Option<usize>,
    sent_by_pair: Vec<u64>,
}

impl Network {
    /// A settled group that has said nothing, of members that came at once. `named` says which member each
    /// one dials, except the first.
    fn mesh(count: usize, named: impl Fn(usize) -> usize) -> Result<Self> {
        let mut network = Self {
            start: Instant::now(),
            tick: 0,
            groups: Vec::new(),
            ends: Vec::new(),
            listed: Vec::new(),
            turns: BinaryHeap::new(),
            next_turn: Vec::new(),
            is_away: Vec::new(),
            met: Vec::new(),
            sent: 0,
            sent_at: 0,
            watched: None,
            sent_by_pair: Vec::new(),
        };
        for member in 0..count {
            network.join((member > 0).then(|| named(member)));
        }
        while !network.is_complete() {
            if network.elapsed() > PATIENCE {
                let met: usize = network.met.iter().sum();
                return Trouble::wrong(format!("{met} of {} meetings took place", count * (count - 1)));
            }
            network.run_for(QUIET);
        }
        network.settle()?;
        network.check_is_mesh()?;
        Ok(network)
    }

    fn elapsed(&self) -> Duration {
        TICK * self.tick as u32
    }

    fn is_complete(&self) -> bool {
        self.met.iter().all(|met| met + 1 == self.groups.len())
    }

    /// Checks that every pair has exactly one connection.
    fn check_is_mesh(&self) -> Result<()> {
        let count = self.groups.len();
        let is_open = |link: &&[End]| link.iter().all(|end| end.client.is_some() && !end.is_closed);
        let mut pairs = vec![0_u8; count * count];
        for link in self.ends.chunks(2).filter(is_open) {
            pairs[link[0].member * count + link[1].member] += 1;
            pairs[link[1].member * count + link[0].member] += 1;
        }
        let wrong = (0..count * count).find(|pair| pairs[*pair] != u8::from(pair / count != pair % count));
        match wrong {
            None => Ok(()),
            Some(pair) => Trouble::wrong(format!(
                "members {} and {} of {count} have {} connections",
                pair / count,
                pair % count,
                pairs[pair]
            )),
        }
    }

    /// One more member, which dials `named`.
    fn join(&mut self, named: Option<usize>) -> usize {
        let member = self.groups.len();
        let peers =
            named.map(|named| Peer { name: format!("p{named}").into(), addresses: vec![address(named)] });
        let setup = Setup {
            name: format!("member{member}"),
            port: PORT,
            framing: Some(Framing::Text),
            is_plain: false,
            history: 20,
            peers: peers.into_iter().collect(),
            access: Access::Open,
        };
        let mut random = fastrand::Rng::with_seed(member as u64);
        self.groups.push(Group::new(setup, self.now(), Box::new(move |bytes| random.fill(bytes))));
        self.listed.push(Vec::new());
        self.next_turn.push(None);
        self.is_away.push(false);
        self.met.push(0);
        self.wake(member, self.tick + 1);
        member
    }

    fn now(&self) -> Instant {
        self.start + self.elapsed()
    }

    fn wake(&mut self, member: usize, tick: u64) {
        if self.next_turn[member].is_none_or(|known| tick < known) {
            self.next_turn[member] = Some(tick);
            self.turns.push(Reverse((tick, member)));
        }
    }

    /// Something has happened at an end.
    fn list(&mut self, end: usize) {
        let member = self.ends[end].member;
        if !mem::replace(&mut self.ends[end].is_listed, true) {
            self.listed[member].push(end);
        }
        self.wake(member, self.tick + 1);
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.tick + (time.as_micros() / TICK.as_micros()) as u64;
        while let Some(&Reverse((tick, member))) = self.turns.peek() {
            if tick > until {
                break;
            }
            self.turns.pop();
            if self.next_turn[member] == Some(tick) {
                self.next_turn[member] = None;
                self.tick = tick;
                self.turn(member);
            }
        }
        self.tick = until;
    }

    /// The bytes that are sent in `time`.
    fn count_while(&mut self, time: Duration) -> u64 {
        let before = self.sent;
        self.run_for(time);
        self.sent - before
    }

    /// The bytes that are sent from now on, until nothing is sent any more.
    fn count_until_quiet(&mut self) -> Result<u64> {
        let before = self.sent;
        self.run_for(COUNTED);
        self.settle()?;
        Ok(self.sent - before)
    }

    /// Lets time pass until nothing was sent for [`QUIET`].
    fn settle(&mut self) -> Result<()> {
        let begin = self.elapsed();
        while TICK * ((self.tick - self.sent_at) as u32) < QUIET {
            if self.elapsed() > begin + PATIENCE {
                return Trouble::wrong("the group does not become quiet");
            }
            self.run_for(QUIET / 5);
        }
        Ok(())
    }

    /// Cuts all connections of a member, and whatever it or others dial until it is back.
    fn set_away(&mut self, member: usize, is_away: bool) {
        self.is_away[member] = is_away;
        for end in 0..if is_away { self.ends.len() } else { 0 } {
            let is_its = [end, end ^ 1].iter().any(|end| self.ends[*end].member == member);
            if is_its && !self.ends[end].is_closed {
                self.ends[end].is_cut = true;
                self.list(end);
            }
        }
    }

    fn watch(&mut self, member: usize) {
        self.watched = Some(member);
        self.sent_by_pair = vec![0; self.groups.len()];
    }

    /// One turn of a member's loop, in the program's order.
    fn turn(&mut self, member: usize) {
        let now = self.now();
        self.groups[member].handle_time(now);
        self.dial(member, now);
        for end in mem::take(&mut self.listed[member]) {
            self.ends[end].is_listed = false;
            self.take_in(end, now);
        }
        while let Some(event) = self.groups[member].poll_event() {
            self.met[member] += usize::from(matches!(event, Event::Joined { .. }));
        }
        let has_more = self.flush(member, now);
        while let Some(&mut end) = self.groups[member].poll_shutdown() {
            self.ends[end ^ 1].is_ended = true;
            self.list(end ^ 1);
        }
        while let Some((_, end)) = self.groups[member].poll_closed() {
            (self.ends[end].is_closed, self.ends[end].inbound) = (true, Vec::new());
            self.ends[end ^ 1].is_ended = true;
            self.list(end ^ 1);
        }
        let deadline = self.groups[member].deadline(now).map(|at| {
            let ticks = at.saturating_duration_since(self.start).as_nanos().div_ceil(TICK.as_nanos());
            (ticks as u64).max(self.tick + 1)
        });
        let more = has_more.then_some(self.tick + 1);
        if let Some(next) = deadline.into_iter().chain(more).min() {
            self.wake(member, next);
        }
    }

    fn dial(&mut self, member: usize, now: Instant) {
        while let Some(attempt) = self.groups[member].poll_dial(now) {
            let there = member_at(attempt.address);
            if self.is_away[member] || self.is_away[there] {
                self.groups[member].handle_dial_failed(attempt, "network is unreachable".into(), now);
                continue;
            }
            let end = self.ends.len();
            let client = self.groups[member].handle_dialing(attempt, end, local(member, end), now);
            for (member, client) in [(member, Some(client)), (there, None)] {
                self.ends.push(End {
                    member,
                    client,
                    is_connected: false,
                    inbound: Vec::new(),
                    is_ended: false,
                    is_cut: false,
                    is_closed: false,
                    is_listed: false,
                });
            }
            self.list(end);
            self.list(end + 1);
        }
    }

    /// Takes in what has happened at an end: it is connected or accepted, bytes have come, or its end.
    fn take_in(&mut self, index: usize, now: Instant) {
        let end = &mut self.ends[index];
        if end.is_closed {
            return;
        }
        let group = &mut self.groups[end.member];
        let is_new = !mem::replace(&mut end.is_connected, true);
        let client = match end.client {
            Some(client) => {
                if is_new && !end.is_cut && group.is_dialing(client) {
                    group.handle_connected(client, now);
                }
                client
            }
            None => {
                let to = address(end.member);
                let from = local(self.ends[index ^ 1].member, index ^ 1);
                match group.handle_accepted(index, from, to, now) {
                    Ok(client) => *self.ends[index].client.insert(client),
                    Err(_) => {
                        self.ends[index].is_closed = true;
                        return;
                    }
                }
            }
        };
        let end = &mut self.ends[index];
        let inbound = mem::take(&mut end.inbound);
        if !inbound.is_empty() && group.stream_mut(client).is_some() {
            group.handle_bytes(client, &inbound, now);
        }
        if group.stream_mut(client).is_none() {
            return;
        }
        if end.is_cut {
            group.handle_failed(client, "connection reset".into(), now);
        } else if mem::take(&mut end.is_ended) {
            group.handle_closed(client, now);
        }
    }

    /// Returns whether somebody would have taken more.
    fn flush(&mut self, member: usize, now: Instant) -> bool {
        let mut touched = Vec::new();
        let (ends, watched, sent_by_pair) = (&mut self.ends, self.watched, &mut self.sent_by_pair);
        let (sent, sent_at, tick) = (&mut self.sent, &mut self.sent_at, self.tick);
        let has_more = self.groups[member].flush(now, |_, &mut end, bytes, _| {
            let other = end ^ 1;
            if ends[other].is_closed || ends[end].is_cut {
                ends[end].is_cut = true;
                touched.push(end);
                return 0;
            }
            ends[other].inbound.extend_from_slice(bytes);
            touched.push(other);
            (*sent, *sent_at) = (*sent + bytes.len() as u64, tick);
            let there = ends[other].member;
            match watched {
                Some(watched) if watched == member => sent_by_pair[there] += bytes.len() as u64,
                Some(watched) if watched == there => sent_by_pair[member] += bytes.len() as u64,
                _ => (),
            }
            bytes.len()
        });
        touched.into_iter().for_each(|end| self.list(end));
        has_more
    }
}

/// The port that everybody listens on.
const PORT: u16 = 5000;

/// Where a member listens.
fn address(member: usize) -> SocketAddr {
    let [.., high, low] = member.to_be_bytes();
    ([10, 0, high, low], PORT).into()
}

fn member_at(address: SocketAddr) -> usize {
    let SocketAddr::V4(address) = address else { unreachable!("only IPv4 addresses are given away") };
    let [.., high, low] = address.ip().octets();
    usize::from(high) << 8 | usize::from(low)
}

/// Where an end of a connection that `member` dials is.
fn local(member: usize, end: usize) -> SocketAddr {
    let port = 10_000 + (end / 2) % 50_000;
    SocketAddr::new(address(member).ip(), port as u16)
}
