//! A network of groups in memory, in which everything happens that happens to networks.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chrono::DateTime;
use groupchat::limits::{FINISH, FORGET, INTRODUCTION, LEAVE_STALL, RETRY_MAX};
use groupchat::protocol::frame::Framing;
use groupchat::protocol::roster::Participant;
use groupchat::protocol::{Group, Label, Notice, Peer, Setup};

use super::ledger::{Ledger, Standing, base, first_name, look_alike};
use super::link::{Link, ROOM_MAX};

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
    /// Who cannot reach whom, though the other can.
    walls: BTreeSet<(usize, usize)>,
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
}

fn address(place: usize) -> SocketAddr {
    ([10, 0, 0, place as u8], 5000).into()
}

/// What follows the number in a message: short ones with codes in them, or long ones, which the log
/// soon forgets. Long ones have no codes: the first frame in lab framing is only recognised by its
/// first code, if it is long.
fn filler(random: &mut fastrand::Rng, is_long: bool) -> String {
    if is_long {
        return ["x", "\u{1f980}", "<"][random.usize(..3)].repeat(random.usize(..14_000));
    }
    ["x", "<MSGENCD>", "<\\EXITENCD>", "\u{1f980}", "\n"][random.usize(..5)].repeat(random.usize(..20))
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        // Long messages take long; a few members are enough to fall behind.
        let has_long_messages = random.u8(..24) == 0;
        let places = random.usize(2..=if has_long_messages { 4 } else { 12 });
        let mut world = Self {
            random,
            now: Instant::now(),
            places,
            runs: Vec::new(),
            links: Vec::new(),
            sides: vec![false; places],
            has_long_messages,
            walls: BTreeSet::new(),
            is_whole: true,
            has_forgotten: false,
            moved_bytes: 0,
            is_calm: false,
            is_traced: std::env::var_os("GROUPCHAT_SEED").is_some(),
        };
        let all_plain = world.random.u8(..12) == 0;
        let plain: Vec<_> = (0..places).map(|_| all_plain || world.random.u8(..8) == 0).collect();
        let named = world.who_names_whom(&plain);
        if world.random.u8(..4) == 0 {
            world.build_walls(&named);
        }
        for (place, named) in named.iter().enumerate() {
            world.start(place, plain[place], named);
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
        let silent = if self.random.u8(..4) > 0 { Framing::Text } else { Framing::Lab };
        let history = [0, 3, 20][self.random.usize(..3)];
        Setup { name, port: 5000, silent, is_plain, history, peers: peers.collect() }
    }

    fn group(&mut self, setup: Setup) -> Group<(usize, usize)> {
        let key = self.random.u128(..);
        // Nobody guesses here; only that each number is another.
        let secret = move |number: u128| key ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        Group::new(setup, self.now, self.random.fork(), Box::new(secret))
    }

    fn start(&mut self, place: usize, is_plain: bool, named: &[usize]) {
        let name = first_name(self.runs.len());
        let setup = self.setup(name.clone(), is_plain, named);
        let group = self.group(setup);
        let (ledger, state) = (Ledger::default(), State::Running);
        let (said, said_privately, label) = (0, BTreeMap::new(), name.clone());
        self.runs.push(Run { name, place, group, is_plain, said, said_privately, label, ledger, state });
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
                if let Some(link) = self.some_link() {
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
            990..991 if self.random.u8(..3) == 0 => self.pass(FORGET),
            _ => (),
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
        if time >= FORGET {
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
        let text = format!("{} {}", self.runs[run].said, filler(&mut self.random, is_long));
        let run = &mut self.runs[run];
        if run.state == State::Running && (!is_long || run.group.said() <= run.group.say_limit(self.now)) {
            let at = DateTime::UNIX_EPOCH + Duration::from_micros(run.said);
            run.group.say(&text, at.fixed_offset());
            run.said += 1;
        }
    }

    /// Says something to a member that it knows, be it here or lost.
    fn say_privately(&mut self, run: usize) {
        let to = self.random.usize(..self.runs.len());
        let (name, speaker) = (self.runs[to].label.clone(), &mut self.runs[run]);
        let Ok((who, "")) = speaker.group.find(&name) else { return };
        if speaker.state != State::Running || base(&who.name) != base(&Label::from(&*name)) {
            return;
        }
        let count = speaker.said_privately.entry(to).or_default();
        let text = format!("private {count} {}", filler(&mut self.random, false));
        if speaker.group.whisper(&who, &text, DateTime::UNIX_EPOCH.fixed_offset()).is_ok() {
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
        roster.retain(Participant::is_met);
        let own = group.own_label();
        for (index, one) in roster.iter().enumerate() {
            let others = roster.iter().enumerate().filter(|(other, _)| *other != index);
            let others = others.map(|(_, other)| &other.who.name);
            let is_alike = others.chain([&own]).any(|other| other.is_like(&one.who.name));
            assert_eq!(!one.who.name.mark().is_empty(), is_alike, "{} at {name}", one.who);
            let found = group.find_named(&one.who.written()).map(|who| (who.id, who.name));
            assert_eq!(found, Ok((one.who.id, one.who.name.clone())), "at {name}");
        }
        let is_taken = roster.iter().any(|one| one.who.name.is_like(&own));
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
        for link in 0..self.links.len() {
            for end in 0..2 {
                if self.links[link].runs[end] == run && !self.links[link].is_closed[end] {
                    self.read(link, end);
                }
            }
        }
        self.take_notices(run);
        self.flush(run);
        self.take_notices(run);
        if self.runs[run].state == State::Leaving && self.runs[run].group.has_left() {
            self.runs[run].state = State::Gone;
        }
    }

    fn dial(&mut self, run: usize) {
        while let Some(attempt) = self.runs[run].group.poll_dial(self.now) {
            let place = (0..self.places).find(|place| address(*place) == attempt.address).expect("a place");
            let listener = self.run_at(place).filter(|run| self.runs[*run].state != State::Leaving);
            let is_parted = self.sides[place] != self.sides[self.runs[run].place];
            let listener = listener.filter(|_| !self.walls.contains(&(self.runs[run].place, place)));
            if listener.is_none() && !is_parted || !self.is_calm && self.random.u8(..10) == 0 {
                self.runs[run].group.handle_dial_failed(attempt.dial, "refused".into(), self.now);
                continue;
            }
            let (link, place) = (self.links.len(), self.runs[run].place);
            let local = SocketAddr::from(([10, 0, 0, place as u8], 10_000 + link as u16));
            let client = self.runs[run].group.handle_dialling(attempt, (link, 0), local, self.now);
            let mut new = Link::new(run, listener.unwrap_or(run), client, &mut self.random);
            if self.is_calm {
                new.pipes.iter_mut().for_each(|pipe| pipe.room = ROOM_MAX);
            }
            // Who is not reached never hears of it.
            new.is_closed[1] = is_parted || listener.is_none() || listener == Some(run);
            self.links.push(new);
        }
        for link in 0..self.links.len() {
            let Link { runs, clients, is_connected, is_closed, .. } = &self.links[link];
            if runs[0] == run && !is_connected && *is_closed == [false; 2] && self.random.bool() {
                let client = clients[0].expect("it dials");
                self.links[link].is_connected = true;
                if self.runs[run].group.is_dialling(client) {
                    self.runs[run].group.handle_connected(client, self.now);
                }
            }
        }
    }

    fn accept(&mut self, run: usize) {
        for link in 0..self.links.len() {
            let is_waiting = self.links[link].runs[1] == run && self.links[link].clients[1].is_none();
            if !is_waiting || self.links[link].is_closed[1] || self.random.bool() {
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
            let client = self.runs[run].group.accept((link, 1), from, to, self.now).expect("not oneself");
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
        let count = match (pipe.is_stalled, self.is_calm) {
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
        if pipe.bytes.is_empty() && !pipe.is_stalled && group.stream_mut(client).is_some() {
            if has_failed {
                group.handle_failed(client, "cut".into(), self.now);
            } else if pipe.is_ended {
                group.handle_closed(client, self.now);
            }
        }
    }

    fn flush(&mut self, run: usize) {
        let (links, random, moved) = (&mut self.links, &mut self.random, &mut self.moved_bytes);
        let group = &mut self.runs[run].group;
        group.flush(self.now, |_, &mut (link, end), bytes, _| {
            let link = &mut links[link];
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
            *moved += count;
            count
        });
        while let Some(&mut (link, end)) = group.poll_shutdown() {
            links[link].pipes[end].is_ended = true;
        }
        while let Some((_, (link, end))) = group.poll_ended() {
            links[link].is_closed[end] = true;
            links[link].pipes[end].is_ended = true;
            if end == 0 && links[link].clients[1].is_none() {
                // Gone before it was accepted: the listener may still find it in its queue.
                links[link].is_closed[1] |= random.bool();
            }
        }
    }

    /// What the user of `run` is told.
    fn take_notices(&mut self, run: usize) {
        let has_left = |run: &&Run| matches!(run.state, State::Leaving | State::Gone);
        let left: BTreeSet<_> = self.runs.iter().filter(has_left).map(|run| run.name.clone()).collect();
        let said: BTreeMap<_, _> = self.runs.iter().map(|run| (run.name.clone(), run.said)).collect();
        // Between two of whom one is a plain peer, only a connection keeps the order.
        let mut connections = BTreeMap::new();
        for runs in self.links.iter().map(|link| link.runs).filter(|runs| runs.contains(&run)) {
            let other = &self.runs[runs[usize::from(runs[0] == run)]];
            let is_plain = other.is_plain || self.runs[run].is_plain;
            *connections.entry(other.name.clone()).or_insert(0) += if is_plain { 1 } else { 2 };
        }
        let Run { group, ledger, name, .. } = &mut self.runs[run];
        while let Some(notice) = group.poll_output() {
            if self.is_traced {
                println!("{name} is told: {notice:.200?}");
            }
            self.has_forgotten |= matches!(notice, Notice::Forgotten { .. });
            ledger.take(notice, &|name| said[name], &left, &|name| connections.get(name) == Some(&1));
        }
    }

    /// Ends all trouble and lets everything that is under way arrive, and everybody find each other.
    pub fn settle(&mut self) {
        self.sides.fill(false);
        self.is_calm = true;
        for link in &mut self.links {
            for pipe in &mut link.pipes {
                pipe.is_stalled = false;
                pipe.room = ROOM_MAX;
            }
        }
        for run in &mut self.runs {
            if run.state == State::Stopped {
                run.state = State::Running;
            }
        }
        // Time goes on by steps until what was under way has come or is given up, and then for as long
        // as it may take until somebody is dialled again.
        let steps =
            [(200, 1), (60, 100), (INTRODUCTION.as_secs() + 2 * RETRY_MAX.as_secs(), 1000), (60, 100)];
        for (count, milliseconds) in steps {
            for _ in 0..count {
                self.now += Duration::from_millis(milliseconds);
                self.turn_all();
            }
        }
        // Each may decide to read or write nothing for once.
        let mut quiet_rounds = 0;
        while quiet_rounds < 20 {
            self.turn_all();
            quiet_rounds = if mem::take(&mut self.moved_bytes) == 0 { quiet_rounds + 1 } else { 0 };
        }
    }

    fn turn_all(&mut self) {
        for run in 0..self.runs.len() {
            self.turn(run);
        }
    }

    fn running(&self) -> Vec<usize> {
        (0..self.runs.len()).filter(|run| self.runs[*run].state == State::Running).collect()
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
        let members: Vec<_> = running.iter().copied().filter(|run| !self.runs[*run].is_plain).collect();
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
        let is_linked =
            |&third: &usize| self.links_between(one, third) > 0 && self.links_between(third, other) > 0;
        let must_be_linked = self.is_whole || members.iter().any(is_linked);
        assert!(count <= 1, "{} and {} have {count} connections", hearer.name, speaker.name);
        assert!(count == 1 || !must_be_linked, "{} and {} have none", hearer.name, speaker.name);
        if count == 0 {
            return;
        }
        let entry = hearer.ledger.entry(&speaker.name);
        assert_eq!(entry.standing, Some(Standing::Here), "{} at {}", speaker.name, hearer.name);
        assert_eq!(entry.heard(), speaker.said, "{} at {}: {entry:?}", speaker.name, hearer.name);
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

    /// Everybody leaves, one after the other. Who is listened to is heard to leave, and who is not
    /// says who did not get what.
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
                    self.now += LEAVE_STALL.max(FINISH);
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
        }
        for run in &mut self.runs {
            assert!(run.state == State::Gone || run.group.poll_ended().is_none(), "something is left");
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
            let missing = leaver.said - theirs.heard().min(leaver.said) + theirs.missed;
            let is_told = ours.undelivered >= missing || ours.was_forgotten;
            assert!(is_told, "{} lacks {missing}, not {ours:?}", other.name);
        }
    }
}
