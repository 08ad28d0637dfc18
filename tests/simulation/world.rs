//! A network of groups in memory, in which everything happens that happens to networks.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chrono::DateTime;
use groupchat::limits::{HANDSHAKE_TIMEOUT, LEAVE_STALL_TIMEOUT, LINGER_TIMEOUT, MEMBER_EXPIRY, RETRY_MAX};
use groupchat::protocol::roster::RosterEntry;
use groupchat::protocol::{Access, Diagnostic, Event, Group, Label, Peer, Setup};
use groupchat::seal::{PrivateKey, Secret};
use groupchat::wire::frame::Framing;

use super::ledger::{Ledger, Standing, Truth, base, first_name, look_alike};
use super::link::{Link, ROOM_MAX};

// Kinds of trouble and of checks, each of which can be switched off while the core is worked on.

/// A line is shown once, under whatever label: it is not shown again as a member's within ten minutes after
/// it was shown as a plain peer's.
pub const SHOWN_ONCE: bool = true;
/// In some groups the first bytes of connections arrive late.
const SLOW_HANDSHAKES: bool = true;
/// In some groups walls that neither side can pass open late, or rise for a while.
const LATE_PATHS: bool = true;
/// In some of those, somebody joins during a partition.
const JOINS_IN_PARTITIONS: bool = true;
/// In some groups there are walls that neither side can ever pass.
const LASTING_WALLS: bool = true;
/// A goodbye is learnt from others that heard it.
const SHARED_GOODBYES: bool = true;
/// Members stay in the roster as long as a linked member is linked with them.
const VOUCHING: bool = true;
/// In some groups more is said while joining than the log holds.
const TYPING_AHEAD: bool = true;

/// One run of the program.
pub struct Run {
    name: String,
    /// Where it runs: only one at a time does.
    place: usize,
    group: Group<(usize, usize)>,
    is_plain: bool,
    said: u64,
    /// How much it said to each other run alone.
    said_privately: BTreeMap<usize, u64>,
    /// What it calls itself by now.
    label: String,
    ledger: Ledger,
    state: State,
    /// The ends of its connections: those that it has not forgotten, or may still accept.
    ends: Vec<(usize, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// It does nothing for a while, as if it was suspended.
    Stopped,
    /// It said goodbye and waits until everybody has it.
    Leaving,
    /// It ended, one way or the other.
    Gone,
}

pub struct World {
    pub random: fastrand::Rng,
    now: Instant,
    places: usize,
    runs: Vec<Run>,
    links: Vec<Link>,
    /// Which side of a partition each place is on.
    sides: Vec<bool>,
    has_long_messages: bool,
    /// What all speak to plain peers that have not sent anything. Two that both send messages in different framings
    /// before either has received anything may change past each other.
    framing: Framing,
    /// That of the group, if it is private. Then there are no plain peers.
    secret: Option<Secret>,
    /// Which place cannot dial which.
    walls: BTreeSet<(usize, usize)>,
    has_slow_handshakes: bool,
    /// Neither place of a pair can dial the other for some minutes.
    late_walls: Vec<(usize, usize)>,
    /// Somebody joins while others are behind a partition.
    has_late_joiner: bool,
    /// Pairs of runs of whom the first must not forget the second.
    vouched: BTreeSet<(usize, usize)>,
    /// Nobody left, ended or was forgotten, so that all members must find each other.
    is_whole: bool,
    /// Somebody was forgotten, and what was said to it alone with it.
    has_forgotten: bool,
    /// Bytes read and written since the last look.
    moved_bytes: usize,
    /// All trouble is over: the network is fast and refuses nobody.
    is_calm: bool,
    /// Print what happens.
    is_traced: bool,
    /// All bytes that each end of each link has written, if somebody listens on the network.
    captured: Option<BTreeMap<(usize, usize), Vec<u8>>>,
}

/// One of the steps in which much time passes, in seconds.
const LONG_STEP: u64 = 15;

fn address(place: usize) -> SocketAddr {
    ([10, 0, 0, place as u8], 5000).into()
}

/// What follows the number in a message, with codes or without: short ones, or long ones, which the log soon
/// forgets.
fn filler(random: &mut fastrand::Rng, is_long: bool) -> String {
    if is_long {
        let unit = ["x", "\u{1f980}", "<", "a long one <EXITENCD>"][random.usize(..4)];
        return unit.repeat(random.usize(..14_000) / unit.len().div_ceil(4));
    }
    ["x", "<MSGENCD>", "<\\EXITENCD>", "\u{1f980}", "\n"][random.usize(..5)].repeat(random.usize(..20))
}

/// Whether the length of a message reads as white space in lab framing: the first one of a connection is taken for text
/// then, if a code is inside. The docs of the decoder have the reason.
fn is_ambiguous_in_lab_framing(name: &str, text: &str) -> bool {
    let payload = format!("[1970-01-01T00:00:00.000000+00:00] {name}:\n\t\t{text}<MSGENCD>");
    payload.len() >> 16 == 0 && (payload.len() as u16).to_be_bytes().iter().all(u8::is_ascii_whitespace)
}

/// Some of the pairs of members of whom neither was told to dial the other, one in `share`.
fn free_pairs(
    named: &[Vec<usize>],
    plain: &[bool],
    share: u8,
    random: &mut fastrand::Rng,
) -> Vec<(usize, usize)> {
    let pairs = (0..plain.len()).flat_map(|one| (0..one).map(move |other| (one, other)));
    let is_free = |(one, other): &(usize, usize)| {
        let are_members = !plain[*one] && !plain[*other];
        are_members && !named[*one].contains(other) && !named[*other].contains(one)
    };
    pairs.filter(is_free).filter(|_| random.u8(..share) == 0).collect()
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        // Long messages take long; a few members are enough to fall behind.
        let has_long_messages = random.u8(..24) == 0;
        let places = random.usize(2..=if has_long_messages { 4 } else { 12 });
        let framing = if random.u8(..4) > 0 { Framing::Text } else { Framing::Lab };
        let mut world = Self {
            random,
            now: Instant::now(),
            places,
            runs: Vec::new(),
            links: Vec::new(),
            sides: vec![false; places],
            has_long_messages,
            framing,
            secret: None,
            walls: BTreeSet::new(),
            has_slow_handshakes: false,
            late_walls: Vec::new(),
            has_late_joiner: false,
            vouched: BTreeSet::new(),
            is_whole: true,
            has_forgotten: false,
            moved_bytes: 0,
            is_calm: false,
            is_traced: std::env::var_os("GROUPCHAT_SEED").is_some(),
            captured: None,
        };
        let all_plain = world.random.u8(..12) == 0;
        let plain: Vec<_> = (0..places).map(|_| all_plain || world.random.u8(..8) == 0).collect();
        if !plain.contains(&true) && seed.is_multiple_of(2) {
            world.secret = Some(Secret::new((u128::from(seed) << 64 | 7).to_be_bytes()));
        }
        let named = world.who_names_whom(&plain);
        if world.random.u8(..4) == 0 {
            world.build_walls(&named);
        }
        // What is switched off changes nothing in the groups that would not have had it.
        let mut random = world.random.fork();
        let mut one_in = |count: u8| random.u8(..count) == 0;
        let (has_lasting_walls, has_late_walls, has_late_joiner) = (one_in(8), one_in(6), one_in(2));
        let (has_slow_handshakes, is_typed_ahead) = (one_in(4), one_in(2));
        if LASTING_WALLS && has_lasting_walls {
            let pairs = free_pairs(&named, &plain, 4, &mut random);
            // Not every two have a common member then.
            world.is_whole &= pairs.is_empty();
            world.walls.extend(pairs.into_iter().flat_map(|(one, other)| [(one, other), (other, one)]));
        }
        if LATE_PATHS && has_late_walls {
            world.late_walls = free_pairs(&named, &plain, 2, &mut random);
            world.has_late_joiner = JOINS_IN_PARTITIONS && has_late_joiner;
            // Some are there from the beginning; the others rise later.
            for &(one, other) in world.late_walls.iter().filter(|_| random.bool()) {
                world.walls.extend([(one, other), (other, one)]);
            }
        }
        world.has_slow_handshakes = SLOW_HANDSHAKES && has_slow_handshakes;
        let last = places - 1;
        let types_ahead = TYPING_AHEAD && has_long_messages && !plain[last] && is_typed_ahead;
        for (place, named) in named.iter().enumerate() {
            if types_ahead && place == last {
                world.calm();
                world.rest(&[(60, 50), (40, 1000)]);
            }
            world.start(place, plain[place], named);
        }
        if types_ahead && !world.members().is_empty() {
            world.type_ahead();
        }
        world
    }

    /// Walls that can be passed in one direction, but never between two of whom one was told to dial the
    /// other.
    fn build_walls(&mut self, named: &[Vec<usize>]) {
        for one in 0..self.places {
            for other in 0..self.places {
                let is_free = !named[one].contains(&other) && !named[other].contains(&one);
                if is_free && !self.walls.contains(&(other, one)) && self.random.u8(..3) == 0 {
                    self.walls.insert((one, other));
                }
            }
        }
    }

    /// Whom each place dials: somebody before it. A plain peer learns of nobody and so dials several, and
    /// nobody dials it back, or the two would hear everything twice. A member dials one other member,
    /// which sometimes dials it back, and sometimes a plain peer, too.
    fn who_names_whom(&mut self, plain: &[bool]) -> Vec<Vec<usize>> {
        let mut named = vec![Vec::new(); plain.len()];
        for place in 1..plain.len() {
            let mut before: Vec<_> = (0..place).collect();
            self.random.shuffle(&mut before);
            if plain[place] {
                before.truncate(self.random.usize(1..=3));
                named[place] = before;
                continue;
            }
            let member = before.iter().copied().find(|place| !plain[*place]);
            let plain_peer = before.iter().copied().find(|place| plain[*place]);
            named[place].extend(member);
            named[place].extend(plain_peer.filter(|_| member.is_none() || self.random.bool()));
            if let Some(member) = member.filter(|_| self.random.u8(..4) == 0) {
                named[member].push(place);
            }
        }
        named
    }

    fn setup(&mut self, name: String, is_plain: bool, named: &[usize]) -> Setup {
        let peers = named
            .iter()
            .map(|&place| Peer { name: format!("p{place}").into(), addresses: vec![address(place)] });
        let history = [0, 3, 20][self.random.usize(..3)];
        let peers = peers.collect();
        let access = match &self.secret {
            None => Access::Open,
            Some(secret) => {
                let key =
                    PrivateKey::new(self.random.u128(..).to_be_bytes().repeat(2).try_into().expect("32"));
                Access::Private { secrets: vec![secret.clone()], key, run: 1 }
            }
        };
        Setup { name, port: 5000, framing: Some(self.framing), is_plain, history, peers, access }
    }

    fn group(&mut self, setup: Setup) -> Group<(usize, usize)> {
        let mut random = self.random.fork();
        Group::new(setup, self.now, Box::new(move |bytes| random.fill(bytes)))
    }

    fn start(&mut self, place: usize, is_plain: bool, named: &[usize]) {
        let name = first_name(self.runs.len());
        let setup = self.setup(name.clone(), is_plain, named);
        let group = self.group(setup);
        let (ledger, state) = (Ledger::default(), State::Running);
        let (said, said_privately, label) = (0, BTreeMap::new(), name.clone());
        self.runs.push(Run {
            name,
            place,
            group,
            is_plain,
            said,
            said_privately,
            label,
            ledger,
            state,
            ends: Vec::new(),
        });
    }

    /// The run that is at a place.
    fn run_at(&self, place: usize) -> Option<usize> {
        self.runs.iter().rposition(|run| run.place == place && run.state != State::Gone)
    }

    fn some_run(&mut self) -> usize {
        let there: Vec<_> = (0..self.runs.len()).filter(|run| self.runs[*run].state != State::Gone).collect();
        there.get(self.random.usize(..there.len().max(1))).copied().unwrap_or(0)
    }

    /// One thing that happens, to somebody, at random.
    pub fn step(&mut self) {
        let run = self.some_run();
        if self.random.u8(..) == 0 {
            self.check_names(run);
        }
        match self.random.u16(..1000) {
            0..650 => self.turn(run),
            650..770 => self.say_some(run),
            770..785 => self.say_privately(run),
            785..790 => self.rename(run),
            790..800 => self.name_another(run),
            800..890 => self.pass(Duration::from_millis(self.random.clone().u64(..400))),
            890..930 => {
                if let Some(link) = self.some_link() {
                    let end = self.random.usize(..2);
                    let is_stalled = !self.links[link].pipes[end].is_stalled;
                    self.links[link].stall(end, is_stalled);
                }
            }
            930..955 => {
                let newest = self.links.len().checked_sub(self.random.usize(1..8));
                let newest = newest.filter(|_| self.has_slow_handshakes && self.random.bool());
                if let Some(link) = newest.or_else(|| self.some_link()) {
                    self.links[link].cut(&mut self.random);
                }
            }
            955..965 => self.pass(Duration::from_secs(self.random.clone().u64(..20))),
            965..975 => {
                self.runs[run].state = match self.runs[run].state {
                    State::Running => State::Stopped,
                    State::Stopped => State::Running,
                    other => other,
                };
            }
            975..980 => {
                // A partition, or its end.
                let is_whole = self.random.bool();
                for side in &mut self.sides {
                    *side = !is_whole && self.random.bool();
                }
                self.part_links();
            }
            980..985 => self.restart(run),
            985..990 if self.random.u8(..3) == 0 => self.leave(run),
            990..991 if self.random.u8(..3) == 0 => self.pass(MEMBER_EXPIRY),
            991..1000 if self.has_slow_handshakes => self.hurry(),
            _ => (),
        }
    }

    /// For a few seconds everybody is quick, but for the network.
    fn hurry(&mut self) {
        for _ in 0..self.random.usize(5..40) {
            self.now += Duration::from_millis(self.random.u64(20..300));
            let run = self.some_run();
            match self.random.u8(..16) {
                0..4 => self.say(run, false),
                4 if !self.links.is_empty() => {
                    let newest = self.links.len().saturating_sub(self.random.usize(1..6));
                    self.links[newest].cut(&mut self.random);
                }
                _ => (),
            }
            self.turn_all();
        }
    }

    /// Nothing crosses a partition; what would have is lost with the connection, or comes late.
    fn part_links(&mut self) {
        for link in &mut self.links {
            let [one, other] = link.runs.map(|run| self.sides[self.runs[run].place]);
            for end in 0..2 {
                link.stall(end, one != other);
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        if time >= MEMBER_EXPIRY {
            self.is_whole = false;
        }
    }

    fn some_link(&mut self) -> Option<usize> {
        (!self.links.is_empty()).then(|| self.random.usize(..self.links.len()))
    }

    /// Says one message, or so many long ones that the log soon has forgotten the first.
    fn say_some(&mut self, run: usize) {
        let is_long = self.has_long_messages && self.random.bool();
        for _ in 0..if is_long { self.random.usize(1..40) } else { 1 } {
            self.say(run, is_long);
        }
    }

    fn say(&mut self, run: usize, is_long: bool) {
        let mut text = format!("{} {}", self.runs[run].said, filler(&mut self.random, is_long));
        let run = &mut self.runs[run];
        while is_ambiguous_in_lab_framing(&run.label, &text) {
            text.push('x');
        }
        if run.state == State::Running && (!is_long || run.group.log_end() <= run.group.send_limit(self.now))
        {
            let at = DateTime::UNIX_EPOCH + Duration::from_micros(run.said);
            run.group.broadcast(&text, at.fixed_offset());
            run.said += 1;
        }
    }

    /// Says something to a member that it knows, be it here or lost.
    fn say_privately(&mut self, run: usize) {
        let to = self.random.usize(..self.runs.len());
        let (name, speaker) = (self.runs[to].label.clone(), &mut self.runs[run]);
        let Ok((peer, "")) = speaker.group.find(&name) else { return };
        if speaker.state != State::Running || base(&peer.name) != base(&Label::from(&*name)) {
            return;
        }
        let count = speaker.said_privately.entry(to).or_default();
        let text = format!("private {count} {}", filler(&mut self.random, false));
        if speaker.group.send_private(&peer, &text, DateTime::UNIX_EPOCH.fixed_offset()).is_ok() {
            *count += 1;
        }
    }

    /// A run takes another name, which often looks like that of others.
    fn rename(&mut self, run: usize) {
        let name = match self.random.u8(..) {
            number @ ..128 => format!("{}~{number}", self.runs[run].name),
            _ => look_alike(run),
        };
        let run = &mut self.runs[run];
        if run.state == State::Running {
            run.label = name;
            run.group.rename(run.label.clone());
        }
    }

    /// Whoever looks like somebody else who is present is marked, ourselves counted, and nobody else is. Each
    /// can be written so that it alone is meant.
    fn check_names(&self, run: usize) {
        let Run { group, name, .. } = &self.runs[run];
        let mut roster = group.roster();
        roster.retain(RosterEntry::is_met);
        let own = group.own_label();
        for (index, one) in roster.iter().enumerate() {
            let others = roster.iter().enumerate().filter(|(other, _)| *other != index);
            let others = others.map(|(_, other)| &other.peer.name);
            let is_alike = others.chain([&own]).any(|other| other.is_like(&one.peer.name));
            assert_eq!(!one.peer.name.mark().is_empty(), is_alike, "{} at {name}", one.peer);
            let found = group.find_named(&one.peer.written()).map(|peer| (peer.id, peer.name));
            assert_eq!(found, Ok((one.peer.id, one.peer.name.clone())), "at {name}");
        }
        let is_taken = roster.iter().any(|one| one.peer.name.is_like(&own));
        assert_eq!(!own.mark().is_empty(), is_taken, "{own} at itself");
    }

    /// The user names one more member, that may be known already.
    fn name_another(&mut self, run: usize) {
        let place = self.random.usize(..self.places);
        let Run { place: own, is_plain, state, .. } = self.runs[run];
        let is_plain = is_plain || self.runs.iter().any(|run| run.place == place && run.is_plain);
        if place == own || is_plain || state != State::Running || self.walls.contains(&(own, place)) {
            return;
        }
        let peer = Peer { name: format!("p{place}").into(), addresses: vec![address(place)] };
        self.runs[run].group.connect(peer, self.now);
    }

    fn leave(&mut self, run: usize) {
        let run = &mut self.runs[run];
        if run.state == State::Running {
            run.state = State::Leaving;
            run.group.leave(self.now, DateTime::UNIX_EPOCH.fixed_offset(), address(run.place));
            self.is_whole = false;
        }
    }

    /// Ends a run without a goodbye, and starts another at its place.
    fn restart(&mut self, run: usize) {
        let (place, is_plain) = (self.runs[run].place, self.runs[run].is_plain);
        // A plain peer that dials somebody again while it is still dialled hears everything twice.
        if is_plain || self.runs[run].state != State::Running {
            return;
        }
        self.end(run);
        self.is_whole = false;
        let there: Vec<_> = (0..self.places)
            .filter(|place| self.run_at(*place).is_some_and(|run| !self.runs[run].is_plain))
            .collect();
        let there: Vec<_> =
            there.into_iter().filter(|other| !self.walls.contains(&(place, *other))).collect();
        let named: Vec<_> = there.get(self.random.usize(..there.len().max(1))).copied().into_iter().collect();
        self.start(place, false, &named);
    }

    fn end(&mut self, run: usize) {
        self.runs[run].state = State::Gone;
        for link in &mut self.links {
            for end in 0..2 {
                if link.runs[end] == run && !link.is_closed[end] {
                    link.is_closed[end] = true;
                    link.cut(&mut self.random);
                }
            }
        }
    }

    /// One turn of a run's loop, in the program's order.
    fn turn(&mut self, run: usize) {
        if matches!(self.runs[run].state, State::Stopped | State::Gone) {
            return;
        }
        self.runs[run].group.handle_time(self.now);
        self.dial(run);
        self.accept(run);
        for (link, end) in self.ends(run) {
            self.read(link, end);
        }
        self.take_notices(run);
        self.flush(run);
        self.take_notices(run);
        if self.runs[run].state == State::Leaving && self.runs[run].group.has_left() {
            self.runs[run].state = State::Gone;
        }
    }

    fn ends(&mut self, run: usize) -> Vec<(usize, usize)> {
        let links = &self.links;
        self.runs[run].ends.retain(|&(link, end)| !links[link].is_closed[end]);
        self.runs[run].ends.clone()
    }

    fn dial(&mut self, run: usize) {
        while let Some(attempt) = self.runs[run].group.poll_dial(self.now) {
            let place = (0..self.places).find(|place| address(*place) == attempt.address).expect("a place");
            let listener = self.run_at(place).filter(|run| self.runs[*run].state != State::Leaving);
            let is_parted = self.sides[place] != self.sides[self.runs[run].place];
            let listener = listener.filter(|_| !self.walls.contains(&(self.runs[run].place, place)));
            if listener.is_none() && !is_parted || !self.is_calm && self.random.u8(..10) == 0 {
                self.runs[run].group.handle_dial_failed(attempt, "refused".into(), self.now);
                continue;
            }
            let (link, place) = (self.links.len(), self.runs[run].place);
            let local = SocketAddr::from(([10, 0, 0, place as u8], 10_000 + link as u16));
            let client = self.runs[run].group.handle_dialing(attempt, (link, 0), local, self.now);
            let mut new = Link::new(run, listener.unwrap_or(run), client, &mut self.random);
            if self.is_calm {
                new.pipes.iter_mut().for_each(|pipe| pipe.room = ROOM_MAX);
            }
            // A peer that is not reached never receives it.
            new.is_closed[1] = is_parted || listener.is_none() || listener == Some(run);
            if self.has_slow_handshakes && !self.is_calm {
                for pipe in &mut new.pipes {
                    let delay = Duration::from_millis(self.random.u64(500..5_000));
                    pipe.opens_at = Some(self.now + delay).filter(|_| self.random.bool());
                }
            }
            self.runs[run].ends.push((link, 0));
            if !new.is_closed[1] {
                self.runs[new.runs[1]].ends.push((link, 1));
            }
            self.links.push(new);
        }
        for (link, end) in self.ends(run) {
            let Link { clients, is_connected, is_closed, .. } = &self.links[link];
            if end == 0 && !is_connected && *is_closed == [false; 2] && self.random.bool() {
                let client = clients[0].expect("it dials");
                self.links[link].is_connected = true;
                if self.runs[run].group.is_dialing(client) {
                    self.runs[run].group.handle_connected(client, self.now);
                }
            }
        }
    }

    fn accept(&mut self, run: usize) {
        for (link, end) in self.ends(run) {
            if end == 0 || self.links[link].clients[1].is_some() || self.random.bool() {
                continue;
            }
            if self.runs[run].state == State::Leaving {
                // Nobody is accepted any more.
                self.links[link].is_closed[1] = true;
                self.links[link].cut(&mut self.random);
                continue;
            }
            let dialler = self.runs[self.links[link].runs[0]].place;
            let from = SocketAddr::from(([10, 0, 0, dialler as u8], 10_000 + link as u16));
            let to = address(self.runs[run].place);
            let client =
                self.runs[run].group.handle_accepted((link, 1), from, to, self.now).expect("not oneself");
            self.links[link].clients[1] = Some(client);
            self.links[link].said = self.links[link].runs.map(|run| self.runs[run].said);
        }
    }

    fn read(&mut self, link: usize, end: usize) {
        let run = self.links[link].runs[end];
        let Some(client) = self.links[link].clients[end] else { return };
        let (is_cut, is_connected) = (self.links[link].is_cut, self.links[link].is_connected || end == 1);
        let Run { group, name, .. } = &mut self.runs[run];
        if !is_connected {
            if is_cut && group.stream_mut(client).is_some() {
                group.handle_failed(client, "cut".into(), self.now);
            }
            return;
        }
        let has_failed = is_cut || self.links[link].has_failed[end];
        let pipe = &mut self.links[link].pipes[1 - end];
        let is_held = pipe.is_held(self.now);
        let count = match (is_held, self.is_calm) {
            (true, _) => 0,
            (false, true) => pipe.bytes.len(),
            (false, false) => self.random.usize(..=pipe.bytes.len()),
        };
        let bytes: Vec<_> = pipe.bytes.drain(..count).collect();
        self.moved_bytes += count;
        if group.stream_mut(client).is_none() {
            return;
        }
        if !bytes.is_empty() {
            if self.is_traced {
                let text = String::from_utf8_lossy(&bytes).replace('\n', "|");
                println!("{name} reads over link {link}.{end}: {text:.400}");
            }
            group.handle_bytes(client, &bytes, self.now);
        }
        if pipe.bytes.is_empty() && !is_held && group.stream_mut(client).is_some() {
            if has_failed {
                group.handle_failed(client, "cut".into(), self.now);
            } else if pipe.is_ended {
                group.handle_closed(client, self.now);
            }
        }
    }

    fn flush(&mut self, run: usize) {
        let (links, random, moved) = (&mut self.links, &mut self.random, &mut self.moved_bytes);
        let captured = &mut self.captured;
        let group = &mut self.runs[run].group;
        group.flush(self.now, |_, &mut (id, end), bytes, _| {
            let link = &mut links[id];
            if link.is_cut || link.is_closed[1 - end] {
                // Reading finds the end, and why.
                link.has_failed[end] = true;
                return 0;
            }
            let pipe = &mut link.pipes[end];
            let room = pipe.room.saturating_sub(pipe.bytes.len());
            let count =
                if random.u8(..4) == 0 { random.usize(..=bytes.len()) } else { bytes.len() }.min(room);
            pipe.bytes.extend(&bytes[..count]);
            captured.iter_mut().for_each(|all| all.entry((id, end)).or_default().extend(&bytes[..count]));
            *moved += count;
            count
        });
        while let Some(&mut (link, end)) = group.poll_shutdown() {
            links[link].pipes[end].is_ended = true;
        }
        while let Some((_, (link, end))) = group.poll_closed() {
            links[link].is_closed[end] = true;
            links[link].pipes[end].is_ended = true;
            if end == 0 && links[link].clients[1].is_none() {
                // Gone before it was accepted: the listener may still find it in its queue.
                links[link].is_closed[1] |= random.bool();
            }
        }
    }

    /// What the user of `run` is shown.
    fn take_notices(&mut self, run: usize) {
        let notices: Vec<_> = std::iter::from_fn(|| self.runs[run].group.poll_event()).collect();
        for event in notices {
            if self.is_traced {
                println!("{} is told: {event:.200?}", self.runs[run].name);
            }
            if let Event::Diagnostic(Diagnostic::Forgotten { peer }) = &event {
                self.has_forgotten = true;
                let other = self.run_named(&base(&peer.name)).expect("the name of a run");
                let is_vouched = self.vouched.contains(&(run, other));
                assert!(
                    !is_vouched,
                    "membership: {peer} is forgotten at {}, and is vouched for",
                    self.runs[run].name
                );
            }
            let mut ledger = mem::take(&mut self.runs[run].ledger);
            ledger.take(event, self.now, &|name| Some(self.truth(run, self.run_named(name)?)));
            self.runs[run].ledger = ledger;
        }
    }

    fn run_named(&self, name: &str) -> Option<usize> {
        self.runs.iter().position(|run| run.name == name)
    }

    /// What is true of `other`, at `run`.
    fn truth(&self, run: usize, other: usize) -> Truth {
        let Run { is_plain, said, state, .. } = self.runs[other];
        let are_members = !is_plain && !self.runs[run].is_plain;
        let links = || self.links.iter().filter(|link| link.is_between([run, other]));
        let keeps_order = !are_members && links().count() == 1;
        let has_left = matches!(state, State::Leaving | State::Gone);
        Truth { said, has_left, are_members, keeps_order, overruns_log: self.has_long_messages }
    }

    /// Whether the group is private.
    pub fn is_private(&self) -> bool {
        self.secret.is_some()
    }

    /// From now on somebody listens on the network.
    pub fn capture(&mut self) {
        self.captured = Some(BTreeMap::new());
    }

    /// Checks what was captured: the frames of handshakes, which say nothing but that there is a handshake, and behind
    /// them nothing that can be read.
    pub fn check_captured(&self) {
        let captured = self.captured.as_ref().expect("somebody listens");
        let mut secrets: Vec<Vec<u8>> = ["ENCD>", "groupchat", "1970-01-01", "\n\t\t"].map(Into::into).into();
        secrets.extend(self.secret.iter().flat_map(|secret| {
            let digits = secret.bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            [secret.bytes().to_vec(), digits.into()]
        }));
        for run in &self.runs {
            let id = run.group.id();
            secrets.extend([id.to_string().into(), { id.0 }.to_be_bytes().into()]);
            secrets.extend([&run.name, &run.label].map(|name| name.clone().into_bytes()));
        }
        // Two or three bytes are often found by chance.
        secrets.retain(|secret| secret.len() > 3);
        for ((link, end), bytes) in captured {
            let mut rest = &**bytes;
            let first_lines =
                if *end == 0 { ["groupchat/2 private", "groupchat/2"].as_slice() } else { &["groupchat/2"] };
            let lengths = if *end == 0 { [96, 128].as_slice() } else { &[192] };
            for (first_line, digits) in first_lines.iter().zip(lengths) {
                let start = format!("{first_line}\nnoise ");
                // In lab framing, a length stands before it.
                let lab =
                    usize::from(!rest.starts_with(&start.as_bytes()[..start.len().min(rest.len())])) * 2;
                let frame = rest.get(lab..).unwrap_or_default();
                let all = start.len() + digits + "<PEERENCD>".len();
                let shape = format!("{start}{}<PEERENCD>", "0".repeat(*digits));
                let fits =
                    |(byte, shape): (&u8, &u8)| byte == shape || *shape == b'0' && byte.is_ascii_hexdigit();
                assert!(
                    frame.iter().zip(shape.as_bytes()).all(fits),
                    "{link}.{end} begins with {frame:.200?}"
                );
                rest = frame.get(all..).unwrap_or_default();
            }
            for secret in &secrets {
                let is_found = rest.windows(secret.len()).any(|bytes| bytes == secret);
                assert!(!is_found, "{link}.{end} shows {:?}", String::from_utf8_lossy(secret));
            }
        }
    }

    /// From now on the network is fast and refuses nobody, but for partitions and walls.
    fn calm(&mut self) {
        self.is_calm = true;
        self.part_links();
        for pipe in self.links.iter_mut().flat_map(|link| &mut link.pipes) {
            pipe.opens_at = None;
            pipe.room = ROOM_MAX;
        }
        for run in &mut self.runs {
            if run.state == State::Stopped {
                run.state = State::Running;
            }
        }
    }

    /// Time goes on by so many steps of so many milliseconds.
    fn rest(&mut self, steps: &[(u64, u64)]) {
        for &(count, milliseconds) in steps {
            for _ in 0..count {
                self.now += Duration::from_millis(milliseconds);
                self.turn_all();
            }
        }
    }

    /// Time goes on for so many seconds, in long steps in which everything that is written arrives.
    fn rest_long(&mut self, seconds: u64) {
        for _ in 0..seconds.div_ceil(LONG_STEP) {
            self.pass(Duration::from_secs(LONG_STEP));
            (0..4).for_each(|_| self.turn_all());
        }
        if Duration::from_secs(seconds) >= MEMBER_EXPIRY {
            self.is_whole = false;
        }
    }

    /// Ends all trouble and lets everything that is under way arrive, and everybody find each other.
    pub fn settle(&mut self) {
        self.sides.fill(false);
        self.calm();
        // Time goes on by steps until what was under way has come or is given up, then for as long as it may take
        // until somebody is dialled again, and then until each has compared its members with each other's.
        self.rest(&[
            (200, 1),
            (60, 100),
            (HANDSHAKE_TIMEOUT.as_secs() + 2 * RETRY_MAX.as_secs(), 1000),
            (90, 3000),
            (60, 100),
        ]);
        // Each may decide to read or write nothing for once.
        let mut quiet_rounds = 0;
        while quiet_rounds < 20 {
            self.turn_all();
            quiet_rounds = if mem::take(&mut self.moved_bytes) == 0 { quiet_rounds + 1 } else { 0 };
        }
    }

    /// In some groups, members that belong to it all along cannot reach each other for some minutes. They
    /// are owed everything that is said meanwhile, and stay in each other's roster.
    pub fn be_apart(&mut self) {
        if self.late_walls.is_empty() && !self.has_late_joiner {
            return;
        }
        self.calm();
        if self.members().len() < 3 {
            return self.open_late_walls();
        }
        for (one, other) in self.late_walls.clone() {
            self.walls.extend([(one, other), (other, one)]);
            let runs = [self.run_at(one), self.run_at(other)].map(|run| run.unwrap_or(usize::MAX));
            for link in self.links.iter_mut().filter(|link| link.is_between(runs)) {
                link.cut(&mut self.random);
            }
        }
        self.settle();
        if self.has_late_joiner {
            self.join_in_partition();
        }
        if self.random.u8(..3) == 0 {
            let leaver = self.some_member();
            self.leave(leaver);
            self.rest(&[(40, 50), (40, 1000)]);
            self.check_goodbyes();
        }
        self.note_membership();
        let seconds = [120, 12 * 60, 25 * 60][self.random.usize(..3)];
        for _ in 0..4 {
            self.talk();
            self.rest_long(seconds / 4);
            self.check_rosters();
        }
        if seconds >= MEMBER_EXPIRY.as_secs() {
            self.is_whole = false;
        }
        self.vouched.clear();
        self.open_late_walls();
    }

    fn open_late_walls(&mut self) {
        for (one, other) in mem::take(&mut self.late_walls) {
            self.walls.remove(&(one, other));
            self.walls.remove(&(other, one));
        }
        self.is_calm = false;
    }

    /// Somebody joins while only a part of the group is in reach. The others belong to it as well.
    fn join_in_partition(&mut self) {
        for side in &mut self.sides {
            *side = self.random.bool();
        }
        for link in &mut self.links {
            let [one, other] = link.runs.map(|run| self.sides[self.runs[run].place]);
            if one != other {
                link.cut(&mut self.random);
            }
        }
        self.part_links();
        self.rest(&[(20, 50), (20, 1000)]);
        let restarted = self.some_member();
        self.restart(restarted);
        self.rest(&[(40, 50), (60, 1000)]);
        self.note_membership();
        self.talk();
        self.rest(&[(20, 50), (40, 1000)]);
        self.settle();
    }

    /// Everybody says some lines, often more than a newcomer is shown of the past.
    fn talk(&mut self) {
        for run in self.running() {
            for _ in 0..self.random.usize(..40) {
                self.say(run, false);
            }
        }
    }

    /// Notes who belongs to the group of whom by now: who is linked with a member that has met both.
    fn note_membership(&mut self) {
        self.vouched.clear();
        let members = self.members();
        for &one in &members {
            for &other in members.iter().filter(|other| **other != one) {
                let is_vouched = |&third: &usize| self.is_linked(one, third) && self.is_linked(third, other);
                if VOUCHING && members.iter().any(is_vouched) {
                    self.vouched.insert((one, other));
                }
                let is_known = |&third: &usize| {
                    let is_met = |one, other| self.has_met(one, other) && self.has_met(other, one);
                    let links = [self.is_linked(one, third), self.is_linked(third, other)];
                    let is_linked = links == [true; 2] || JOINS_IN_PARTITIONS && links != [false; 2];
                    is_linked && is_met(one, third) && is_met(third, other)
                };
                if members.iter().any(is_known) {
                    let (name, said) = (self.runs[other].name.clone(), self.runs[other].said);
                    self.runs[one].ledger.owe(&name, said);
                }
            }
        }
    }

    fn is_linked(&self, one: usize, other: usize) -> bool {
        one != other && self.links_between(one, other) > 0
    }

    /// Whether `other` is a member to the user of `one`, connected or not.
    fn has_met(&self, one: usize, other: usize) -> bool {
        let standing = self.runs[one].ledger.entry(&self.runs[other].name).standing;
        one != other && matches!(standing, Some(Standing::Here | Standing::Lost))
    }

    /// Whoever is linked with a member that is linked with another has that one in its roster.
    fn check_rosters(&self) {
        for &(one, other) in &self.vouched {
            let (run, id) = (&self.runs[one], self.runs[other].group.id());
            let is_there = run.group.roster().iter().any(|entry| entry.peer.id == Some(id));
            let name = &self.runs[other].name;
            assert!(is_there, "membership: {name} is not in the roster of {}, and is vouched for", run.name);
        }
    }

    /// Whoever is linked with a member that heard a goodbye knows of it.
    fn check_goodbyes(&self) {
        let members = self.members();
        let has_left = |run: &&Run| matches!(run.state, State::Leaving | State::Gone);
        for leaver in self.runs.iter().filter(has_left).map(|run| &run.name) {
            let standing = |run: usize| self.runs[run].ledger.entry(leaver).standing;
            for &one in members.iter().filter(|_| SHARED_GOODBYES) {
                let heard =
                    |&&other: &&usize| self.is_linked(one, other) && standing(other) == Some(Standing::Left);
                if let Some(other) = members.iter().find(heard) {
                    assert!(
                        matches!(standing(one), None | Some(Standing::Left)),
                        "goodbye: {leaver} is {:?} at {}, and {} heard its goodbye",
                        standing(one),
                        self.runs[one].name,
                        self.runs[*other].name
                    );
                }
            }
        }
    }

    /// The peer that was started last sends more than the log holds before it is connected. The brake makes it wait, and
    /// everything is heard by the group that it joins.
    fn type_ahead(&mut self) {
        let (speaker, members) = (self.runs.len() - 1, self.members());
        let name = self.runs[speaker].name.clone();
        // The list that the speaker is sent has the members that its sender has met, and no others: an address is passed
        // on only by a member that reached somebody there. So the speaker cannot wait for whoever the sender could not
        // reach. It learns of that one from a third member, after what it said first has left the log; the exact number
        // is shown as missed then.
        let others: Vec<_> = members.into_iter().filter(|other| *other != speaker).collect();
        let is_known =
            |other: &usize| others.iter().all(|third| third == other || self.is_linked(*other, *third));
        let others: Vec<_> = others.iter().copied().filter(is_known).collect();
        let is_held = (0..1_000).any(|number| {
            self.say(speaker, true);
            self.runs[speaker].said == number
        });
        assert!(is_held, "ahead: nothing holds {name} back");
        for _ in 0..60 {
            self.now += Duration::from_millis(50);
            self.turn_all();
            self.say(speaker, true);
        }
        self.rest(&[(60, 50), (40, 1000)]);
        let said = self.runs[speaker].said;
        // Whoever it cannot reach does not make it wait.
        let is_reached = |other: &usize| {
            let places = (self.runs[speaker].place, self.runs[*other].place);
            self.is_linked(speaker, *other) && !self.walls.contains(&places)
        };
        for other in others.into_iter().filter(is_reached) {
            let Run { ledger, name: hearer, .. } = &self.runs[other];
            let entry = ledger.entry(&name);
            let is_all = entry.has_first() && entry.missed == 0 && entry.accounts_for(said);
            assert!(is_all, "ahead: of {said} of {name}, not all came to {hearer}: {entry:?}");
        }
        self.is_calm = false;
    }

    fn turn_all(&mut self) {
        for run in 0..self.runs.len() {
            self.turn(run);
        }
    }

    fn running(&self) -> Vec<usize> {
        (0..self.runs.len()).filter(|run| self.runs[*run].state == State::Running).collect()
    }

    /// Those of them that are no plain peers.
    fn members(&self) -> Vec<usize> {
        self.running().into_iter().filter(|run| !self.runs[*run].is_plain).collect()
    }

    fn some_member(&mut self) -> usize {
        let members = self.members();
        members[self.random.usize(..members.len())]
    }

    fn links_between(&self, one: usize, other: usize) -> usize {
        let open = self.links.iter().filter(|link| link.is_open());
        open.filter(|link| link.is_between([one, other])).count()
    }

    /// Once everything has settled: each pair of members has one connection, and everything that was
    /// said has been heard.
    pub fn check(&self) {
        let running = self.running();
        running.iter().for_each(|run| self.check_names(*run));
        let members = self.members();
        self.check_goodbyes();
        for &one in &members {
            for &other in members.iter().filter(|other| **other != one) {
                self.check_pair(one, other, &members);
            }
        }
        // A plain peer hears what is said over a connection that nothing ever happened to.
        for link in self.links.iter().filter(|link| link.is_open() && link.is_blameless) {
            for end in 0..2 {
                let (speaker, hearer) = (&self.runs[link.runs[end]], &self.runs[link.runs[1 - end]]);
                if (speaker.is_plain || hearer.is_plain) && speaker.said > link.said[end] {
                    let ever = self.links.iter().filter(|other| link.is_between(other.runs));
                    let entry = hearer.ledger.entry(&speaker.name);
                    let is_heard = ever.count() > 1 || entry.has_heard(speaker.said - 1);
                    assert!(is_heard, "{} of {}: {entry:?}", hearer.name, speaker.name);
                }
            }
        }
    }

    fn check_pair(&self, one: usize, other: usize, members: &[usize]) {
        let (hearer, speaker) = (&self.runs[one], &self.runs[other]);
        let count = self.links_between(one, other);
        // Whoever knows somebody who knows somebody else knows that one as well.
        let has_third = |&third: &usize| self.is_linked(one, third) && self.is_linked(third, other);
        let is_vouched = members.iter().any(has_third);
        let (from, to) = (hearer.place, speaker.place);
        let can_be_linked = !self.walls.contains(&(from, to)) || !self.walls.contains(&(to, from));
        let must_be_linked = can_be_linked && (self.is_whole || is_vouched);
        assert!(count <= 1, "{} and {} have {count} connections", hearer.name, speaker.name);
        assert!(count == 1 || !must_be_linked, "{} and {} have none", hearer.name, speaker.name);
        if count == 0 {
            let id = speaker.group.id();
            let is_there = || hearer.group.roster().iter().any(|entry| entry.peer.id == Some(id));
            let is_right = !VOUCHING || !is_vouched || is_there();
            assert!(is_right, "membership: {} is not in the roster of {}", speaker.name, hearer.name);
            return;
        }
        let entry = hearer.ledger.entry(&speaker.name);
        assert_eq!(entry.standing, Some(Standing::Here), "{} at {}", speaker.name, hearer.name);
        assert!(
            entry.accounts_for(speaker.said),
            "missing: the last of {} of {} at {}: {entry:?}",
            speaker.said,
            speaker.name,
            hearer.name
        );
        assert_eq!(entry.label, speaker.label, "at {}", hearer.name);
        let said = speaker.said_privately.get(&one).copied().unwrap_or(0);
        assert!(
            entry.next_private == said || self.has_forgotten && entry.next_private < said,
            "{} of {} said privately by {} came to {}",
            entry.next_private,
            said,
            speaker.name,
            hearer.name
        );
        assert!(
            self.has_long_messages || entry.missed == 0,
            "{} at {}: {entry:?}",
            speaker.name,
            hearer.name
        );
    }

    /// All runs leave, one after the other. A run that is read has left for the others; one that is not reports who
    /// did not get what.
    pub fn part(&mut self) {
        for run in self.running() {
            let is_heard = self.random.bool();
            let others: Vec<_> = self.running().into_iter().filter(|other| *other != run).collect();
            for link in &mut self.links {
                for end in 0..2 {
                    link.stall(end, !is_heard);
                }
            }
            self.say(run, false);
            self.leave(run);
            let rounds = (0..1_000).take_while(|_| {
                self.turn(run);
                if is_heard {
                    // A network that takes a little at a time makes it longer.
                    others.iter().for_each(|other| self.turn(*other));
                    self.now += Duration::from_millis(1);
                } else {
                    self.now += LEAVE_STALL_TIMEOUT.max(LINGER_TIMEOUT);
                }
                self.runs[run].state != State::Gone
            });
            let rounds = rounds.count();
            assert!(rounds < 1_000, "{} cannot leave", self.runs[run].name);
            for link in &mut self.links {
                for pipe in &mut link.pipes {
                    pipe.is_stalled = false;
                }
            }
            for _ in 0..100 {
                self.now += Duration::from_millis(10);
                self.turn_all();
            }
            self.check_leaver(run, &others, is_heard);
            if self.random.u8(..4) == 0 {
                self.rest(&[(40, 1000)]);
                self.check_goodbyes();
            }
        }
        for run in &mut self.runs {
            assert!(run.state == State::Gone || run.group.poll_closed().is_none(), "something is left");
        }
    }

    fn check_leaver(&self, leaver: usize, others: &[usize], is_heard: bool) {
        let leaver = &self.runs[leaver];
        for other in others.iter().map(|other| &self.runs[*other]) {
            let (theirs, ours) = (other.ledger.entry(&leaver.name), leaver.ledger.entry(&other.name));
            if leaver.is_plain || other.is_plain || ours.standing != Some(Standing::Here) {
                continue;
            }
            if is_heard && theirs.standing.is_some() {
                assert_eq!(theirs.standing, Some(Standing::Left), "{} at {}", leaver.name, other.name);
                // Of those that the log had dropped before the two first met, only the sender knows.
                let is_exact = ours.undelivered == theirs.missed || self.has_long_messages;
                assert!(is_exact, "{} has everything but what is missing: {ours:?} {theirs:?}", other.name);
            }
            let missing = theirs.lacks(leaver.said) + theirs.missed;
            let is_told = ours.undelivered >= missing || ours.was_forgotten;
            assert!(is_told, "{} lacks {missing}, not {ours:?}", other.name);
        }
    }
}
