//! What strangers can do to one group with frames made by hand: nothing but to be closed.
//!
//! The core alone, without a socket: whoever is at the other end of a connection is this test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chrono::DateTime;
use groupchat::limits::{
    DIALS_MAX, DIALS_UNMET_MAX, FORGET, HAVE_INTERVAL, INTRODUCTION, INTRODUCTION_WAIT, MEMBERS_MAX, STALL,
    VISITORS_INTERVAL,
};
use groupchat::protocol::frame::Framing;
use groupchat::protocol::roster::NotPrivate;
use groupchat::protocol::{Attempt, ClientId, Group, LostReason, Notice, Peer, Setup};

fn address(host: u8, port: u16) -> SocketAddr {
    ([10, 0, 0, host], port).into()
}

fn id(number: u128) -> String {
    format!("{number:032x}")
}

fn message(name: &str, text: &str) -> String {
    format!("[2026-11-22T06:55:22+01:00] {name}:\n\t\t{text}<MSGENCD>")
}

/// What follows `key` in a peer frame among `frames`.
fn value(frames: &str, key: &str) -> Option<String> {
    let line = frames.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
    Some(line.split('<').next().expect("a first part").to_owned())
}

/// The pass that we give each time, as if we were a member.
const OUR_PASS: u128 = 7;

/// A peer called alice, at 10.0.0.1, and everything that she writes.
struct Alice {
    group: Group<usize>,
    written: BTreeMap<usize, Vec<u8>>,
    streams: usize,
    now: Instant,
    told: Vec<Notice>,
}

impl Alice {
    fn who_dials(named: &[SocketAddr]) -> Self {
        let peer =
            |address: &SocketAddr| Peer { name: address.to_string().into(), addresses: vec![*address] };
        Self::who_dials_peers(named.iter().map(peer).collect())
    }

    fn who_dials_peers(peers: Vec<Peer>) -> Self {
        let (name, named) = ("alice".into(), peers.len() as u128);
        let setup = Setup { name, port: 5000, silent: Framing::Text, is_plain: false, history: 20, peers };
        let now = Instant::now();
        // In these tests, nobody guesses. Two groups here name a different number of peers.
        let secret = move |number: u128| {
            number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) ^ (named << 64)
        };
        let group = Group::new(setup, now, fastrand::Rng::with_seed(1), Box::new(secret));
        Self { group, written: BTreeMap::new(), streams: 0, now, told: Vec::new() }
    }

    fn new() -> Self {
        Self::who_dials(&[])
    }

    fn accept(&mut self, from: SocketAddr) -> ClientId {
        self.streams += 1;
        self.group.accept(self.streams, from, address(1, 5000), self.now).expect("not herself")
    }

    /// Answers what she dials next.
    fn answer(&mut self) -> (ClientId, SocketAddr) {
        let attempt = self.group.poll_dial(self.now).expect("somebody to dial");
        (self.answer_to(attempt), attempt.address)
    }

    fn answer_to(&mut self, attempt: Attempt) -> ClientId {
        self.streams += 1;
        let local = address(1, 40_000 + self.streams as u16);
        let client = self.group.handle_dialling(attempt, self.streams, local, self.now);
        self.group.handle_connected(client, self.now);
        self.settle();
        client
    }

    /// Sends bytes to her, and returns what she writes on that connection.
    fn hear(&mut self, client: ClientId, bytes: &str) -> String {
        self.group.handle_bytes(client, bytes.as_bytes(), self.now);
        self.settle();
        let stream = self.group.stream_mut(client).map(|stream| *stream);
        let written = stream.and_then(|stream| self.written.remove(&stream)).unwrap_or_default();
        String::from_utf8(written).expect("text")
    }

    fn hear_frame(&mut self, client: ClientId, lines: &str) -> String {
        self.hear(client, &format!("groupchat/1\n{lines}<PEERENCD>"))
    }

    fn settle(&mut self) {
        self.group.handle_time(self.now);
        let written = &mut self.written;
        while self.group.flush(self.now, |_, stream, bytes, _| {
            written.entry(*stream).or_default().extend_from_slice(bytes);
            bytes.len()
        }) {}
        while self.group.poll_shutdown().is_some() {}
        while self.group.poll_ended().is_some() {}
        self.told.extend(std::iter::from_fn(|| self.group.poll_output()));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    /// Lets time pass in which she reaches nobody. Returns whom she dialled.
    fn pass_alone(&mut self, time: Duration) -> Vec<SocketAddr> {
        let (end, mut dialled) = (self.now + time, Vec::new());
        while self.now < end {
            self.pass(Duration::from_secs(1));
            while let Some(attempt) = self.group.poll_dial(self.now) {
                dialled.push(attempt.address);
                self.group.handle_dial_failed(attempt.dial, "refused".into(), self.now);
            }
        }
        dialled
    }

    fn close(&mut self, client: ClientId) {
        self.group.handle_closed(client, self.now);
        self.settle();
    }

    fn is_open(&mut self, client: ClientId) -> bool {
        self.group.stream_mut(client).is_some()
    }

    /// Introduces somebody who dials her, and returns the connection and the pass that she gives.
    fn meet(&mut self, from: SocketAddr, number: u128, name: &str) -> (ClientId, String) {
        let client = self.accept(from);
        let answer = self.hear_frame(client, &format!("id {}\nname {name}\nport 5000", id(number)));
        let pass = value(&answer, "pass").expect("a pass");
        let pass_of_ours = id(OUR_PASS);
        self.hear_frame(client, &format!("proof {pass}\npass {pass_of_ours}\nhave 0\nfrom 0\nall members"));
        (client, pass)
    }

    /// Introduces a member that tells lies.
    fn meet_mallory(&mut self) -> ClientId {
        self.meet(address(9, 1000), 9, "mallory").0
    }

    fn shown(&self) -> Vec<String> {
        let message = |notice: &Notice| match notice {
            Notice::Message { from, text, .. } => Some(format!("{from}: {text}")),
            _ => None,
        };
        self.told.iter().filter_map(message).collect()
    }

    fn was_told(&self, what: impl Fn(&Notice) -> bool) -> bool {
        self.told.iter().any(what)
    }
}

// Who somebody is.

#[test]
fn a_member_s_id_without_its_pass_is_closed_and_changes_nothing() {
    for member_is_lost in [false, true] {
        let mut alice = Alice::new();
        let (bob, pass) = alice.meet(address(2, 1000), 2, "bob");
        if member_is_lost {
            alice.close(bob);
        }
        let liar = alice.accept(address(9, 1000));
        let answer = alice.hear_frame(liar, &format!("id {}\nname bob\nport 5000", id(2)));
        assert_eq!((value(&answer, "pass"), value(&answer, "have")), (None, Some("0".into())));
        alice.hear(liar, &message("bob", "words in bob's mouth"));
        alice.hear_frame(liar, &format!("proof {}\nhave 0\nfrom 0", id(99)));
        assert!(!alice.is_open(liar));
        assert!(alice.was_told(|notice| matches!(notice, Notice::Impostor { .. })));
        assert!(!alice.shown().iter().any(|line| line.starts_with("bob: ")), "{:?}", alice.shown());
        let bob = if member_is_lost {
            let bob = alice.accept(address(2, 1001));
            alice.hear_frame(bob, &format!("id {}\nname bob\nport 5000", id(2)));
            alice.hear_frame(bob, &format!("proof {pass}\nhave 0\nfrom 0"));
            bob
        } else {
            bob
        };
        alice.hear(bob, &message("bob", "mine"));
        assert!(alice.shown().contains(&"bob: mine".to_owned()), "{:?}", alice.told);
    }
}

#[test]
fn who_claims_again_and_again_to_be_a_member_is_told_once_a_minute() {
    let mut alice = Alice::new();
    alice.meet(address(2, 1000), 2, "bob");
    for port in 1000..1100 {
        let liar = alice.accept(address(9, port));
        alice.hear_frame(liar, &format!("id {}\nname bob\nport 5000", id(2)));
        alice.hear_frame(liar, &format!("proof {}\nhave 0\nfrom 0", id(99)));
        assert!(!alice.is_open(liar));
    }
    alice.pass(VISITORS_INTERVAL);
    let told = |what: fn(&Notice) -> bool| alice.told.iter().filter(|notice| what(notice)).count();
    assert_eq!(told(|notice| matches!(notice, Notice::Impostor { .. })), 1);
    assert_eq!(
        told(|notice| matches!(notice, Notice::MoreVisitors { count: 99, .. })),
        1,
        "{:?}",
        alice.told
    );
}

#[test]
fn one_connection_is_one_member_s() {
    let mut alice = Alice::new();
    let (bob, _) = alice.meet(address(2, 1000), 2, "bob");
    alice.hear_frame(bob, &format!("id {}", id(3)));
    assert!(!alice.is_open(bob));
    // And what says that it is herself is not talked to.
    let own = alice.accept(address(9, 1000));
    let answer = alice.hear_frame(own, &format!("id {}", id(4)));
    let own_id = value(&answer, "id").expect("her id");
    let mirror = alice.accept(address(9, 1001));
    alice.hear_frame(mirror, &format!("id {own_id}"));
    alice.hear(mirror, &message("alice", "hello"));
    alice.pass(INTRODUCTION);
    assert!(!alice.is_open(mirror) && alice.shown().is_empty());
}

#[test]
fn a_pass_is_shown_only_where_it_was_given() {
    let mut alice = Alice::new();
    alice.meet(address(2, 1000), 2, "bob");
    let mallory = alice.meet_mallory();
    alice.hear_frame(mallory, &format!("member {} 10.0.0.9:6000 whoever", id(10)));
    let (client, dialled) = alice.answer();
    assert_eq!(dialled, address(9, 6000));
    alice.hear(client, "");
    let told = alice.hear_frame(client, &format!("id {}\nhave 0", id(2)));
    assert!(!told.contains(&id(OUR_PASS)), "what bob gave her is shown to mallory: {told}");
    assert!(!alice.is_open(client));
}

#[test]
fn who_introduces_itself_is_told_apart_until_it_has() {
    let mut alice = Alice::new();
    alice.meet(address(2, 1000), 2, "bob");
    let stranger = alice.accept(address(9, 1000));
    alice.hear_frame(stranger, &format!("id {}\nname bob\nfrom 0", id(9)));
    alice.hear(stranger, &message("bob", "hello"));
    assert_eq!(alice.shown(), [""; 0], "it will say it again, and as a member");
    alice.hear(stranger, "\nx|\nbob<EXITENCD>");
    assert_eq!(alice.shown(), ["bob (10.0.0.9:1000): hello"]);
    let left = |notice: &Notice| matches!(notice, Notice::Left { who } if !who.name.contains("10.0.0.9"));
    assert!(!alice.was_told(left));
}

#[test]
fn an_id_that_said_something_before_it_was_met_is_not_silenced_by_that() {
    for number in ["1000000", "9007199254740991", "18446744073709551615"] {
        let mut alice = Alice::new();
        let stranger = alice.accept(address(9, 1000));
        alice.hear_frame(stranger, &format!("id {}\nname bob\nfrom {number}\nlive {number}", id(2)));
        alice.hear(stranger, &(message("bob", "one") + &message("bob", "two")));
        alice.close(stranger);
        let (bob, _) = alice.meet(address(2, 1000), 2, "bob");
        alice.hear(bob, &message("bob", "hello"));
        alice.pass(Duration::from_secs(5));
        assert!(alice.shown().contains(&"bob: hello".to_owned()), "{:?}", alice.told);
    }
}

#[test]
fn a_forgotten_member_has_not_left_because_a_stranger_says_so() {
    let mut alice = Alice::new();
    let (bob, _) = alice.meet(address(2, 1000), 2, "bob");
    alice.hear(bob, &message("bob", "one"));
    alice.close(bob);
    alice.pass_alone(FORGET * 2);
    assert!(alice.was_told(|notice| matches!(notice, Notice::Forgotten { .. })));
    let stranger = alice.accept(address(9, 1000));
    alice.hear_frame(stranger, &format!("id {}\nname bob", id(2)));
    alice.hear(stranger, "\nx|\nbob<EXITENCD>");
    assert!(!alice.was_told(|notice| matches!(notice, Notice::Left { .. })));
}

// What somebody tells of others.

/// A list of so many members that nobody can reach.
fn dead(count: usize) -> String {
    let line = |number: usize| {
        format!("member {} 10.1.{}.{}:5000 x", id(1000 + number as u128), number / 250, number % 250 + 1)
    };
    (0..count).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_thousand_dead_addresses_keep_nobody_from_being_dialled() {
    let mut alice = Alice::who_dials(&[address(3, 5000)]);
    let attempt = alice.group.poll_dial(alice.now).expect("the named one");
    alice.group.handle_dial_failed(attempt.dial, "refused".into(), alice.now);
    let (bob, _) = alice.meet(address(2, 1000), 2, "bob");
    let mallory = alice.meet_mallory();
    for some in dead(2 * MEMBERS_MAX).lines().collect::<Vec<_>>().chunks(500) {
        alice.hear_frame(mallory, &some.join("\n"));
    }
    alice.close(bob);
    let (mut dialling, mut dialled) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        // Nobody answers at all.
        while let Some(attempt) = alice.group.poll_dial(alice.now) {
            alice.streams += 1;
            let local = address(1, 40_000 + alice.streams as u16);
            dialling.push(alice.group.handle_dialling(attempt, alice.streams, local, alice.now));
            dialled.push(attempt.address);
        }
        let unmet = dialled.iter().filter(|address| address.ip().to_string().starts_with("10.1.")).count();
        alice.pass(Duration::from_secs(1));
        dialling.retain(|client| alice.group.stream_mut(*client).is_some());
        assert!(dialling.len() <= DIALS_MAX && unmet <= dialled.len());
        assert!(dialling.len() <= DIALS_UNMET_MAX + 2, "of those who are known there are two");
    }
    assert!(dialled.contains(&address(2, 5000)) && dialled.contains(&address(3, 5000)), "{dialled:?}");
    // One who tells of them is heard as before, and so is a newcomer.
    alice.hear(mallory, &message("mallory", "hello"));
    let (carol, _) = alice.meet(address(4, 1000), 4, "carol");
    alice.hear(carol, &message("carol", "hi"));
    assert!(alice.shown().ends_with(&["mallory: hello".into(), "carol: hi".into()]));
}

#[test]
fn a_script_does_not_wait_for_ever_for_those_that_somebody_tells_of() {
    let mut alice = Alice::new();
    let mallory = alice.meet_mallory();
    let since = alice.now;
    for number in 0..30 {
        alice.hear_frame(mallory, dead(30).lines().nth(number).expect("a line"));
        let stranger = alice.accept(address(9, 2000 + number as u16));
        alice.hear_frame(stranger, &format!("id {}", id(30)));
        alice.pass(Duration::from_secs(2));
    }
    assert!(!alice.group.is_reaching_out(alice.now, since));
}

#[test]
fn only_where_a_member_was_found_is_told_to_others() {
    let mut alice = Alice::new();
    alice.meet(address(2, 1000), 2, "bob");
    let mallory = alice.meet_mallory();
    alice.hear_frame(mallory, &format!("member {} 10.9.9.1:1,10.9.9.2:1 bob", id(2)));
    let carol = alice.accept(address(3, 1000));
    let answer = alice.hear_frame(carol, &format!("id {}\nname carol\nport 5000", id(3)));
    assert!(!answer.contains("member"), "who has not shown who it is is told of nobody: {answer}");
    let pass = value(&answer, "pass").expect("a pass");
    let told = alice.hear_frame(carol, &format!("proof {pass}\npass {}\nhave 0\nfrom 0", id(1)));
    assert!(told.contains("10.0.0.2:5000 bob") && !told.contains("10.9.9"), "{told}");
}

#[test]
fn a_plain_peer_is_heard_whatever_somebody_says_of_its_address() {
    for is_reported in [false, true] {
        let mut alice = Alice::who_dials(&[address(2, 5000)]);
        let attempt = alice.group.poll_dial(alice.now).expect("the named one");
        if is_reported {
            let mallory = alice.meet_mallory();
            alice.meet(address(3, 1000), 3, "xavier");
            alice.hear_frame(mallory, &format!("member {} 10.0.0.2:5000 xavier", id(3)));
        }
        let plain = alice.answer_to(attempt);
        alice.pass(Duration::from_secs(1));
        alice.hear(plain, &message("bob", "one"));
        if !is_reported {
            // Somebody at the same place says that the port is its own.
            alice.meet(address(2, 1000), 9, "mallory");
        }
        alice.hear(plain, &message("bob", "two"));
        alice.pass(INTRODUCTION * 2);
        assert_eq!(alice.shown(), ["bob: one", "bob: two"], "{is_reported}");
        assert!(alice.is_open(plain));
    }
}

// Who finds a place.

#[test]
fn a_member_is_lost_and_dialled_though_a_stranger_begins_with_its_id_again_and_again() {
    let mut alice = Alice::new();
    let (bob, _) = alice.meet(address(2, 1000), 2, "bob");
    let begin = |alice: &mut Alice, port| {
        let stranger = alice.accept(address(9, port));
        alice.hear_frame(stranger, &format!("id {}", id(2)));
    };
    begin(&mut alice, 1000);
    alice.close(bob);
    let mut dialled = Vec::new();
    for port in 1001..1010 {
        begin(&mut alice, port);
        dialled.extend(alice.pass_alone(INTRODUCTION - Duration::from_secs(1)));
    }
    assert!(alice.was_told(|notice| matches!(notice, Notice::Lost { .. })));
    assert!(dialled.contains(&address(2, 5000)));
}

#[test]
fn newcomers_find_a_place_after_a_flood_of_ids() {
    let mut alice = Alice::who_dials(&[address(2, 5000)]);
    let attempt = alice.group.poll_dial(alice.now).expect("the named one");
    for number in 0..MEMBERS_MAX as u128 {
        let (client, _) = alice.meet(address(9, 1000 + number as u16), 1000 + number, "x");
        alice.close(client);
    }
    let (_, _) = alice.meet(address(3, 1000), 3, "carol");
    let bob = alice.answer_to(attempt);
    alice.hear(bob, "");
    let told = alice.hear_frame(bob, &format!("id {}\nname bob\npass {}\nlast 20", id(2), id(5)));
    assert_eq!(value(&told, "proof"), Some(id(5)), "{told}");
}

#[test]
fn an_id_at_an_address_where_another_was_expected_hurts_nobody() {
    let mut alice = Alice::new();
    let mallory = alice.meet_mallory();
    let first = format!("member {} 10.0.0.9:6000,10.0.0.9:6001 x\n", id(10));
    alice.hear_frame(mallory, &(first + &dead(MEMBERS_MAX / 2)));
    alice.hear_frame(mallory, &dead(MEMBERS_MAX));
    let (client, _) = alice.answer();
    // All places are taken: to make room for this one, the expected one goes.
    alice.hear_frame(client, &format!("id {}\nname z\nport 5000", id(77)));
    let innocent = alice.accept(address(3, 1000));
    alice.pass(Duration::from_secs(1));
    let (z, _) = alice.meet(address(9, 1002), 77, "z");
    alice.hear(z, "\nx|\nz<EXITENCD>");
    alice.pass(INTRODUCTION);
    assert!(alice.is_open(innocent));
    assert!(!alice.is_open(client) || client == innocent);
}

#[test]
fn a_goodbye_instead_of_an_answer_does_not_end_the_dialling() {
    let mut alice = Alice::new();
    let (bob, _) = alice.meet(address(2, 1000), 2, "bob");
    alice.close(bob);
    alice.pass(Duration::from_secs(1));
    let (client, _) = alice.answer();
    alice.hear(client, "\nx|\nz<EXITENCD>");
    alice.close(client);
    assert!(alice.pass_alone(Duration::from_secs(100)).contains(&address(2, 5000)));
}

#[test]
fn a_member_that_leaves_while_it_is_first_dialled_is_not_told_of() {
    let mut alice = Alice::new();
    let (bob, _) = alice.meet(address(2, 1000), 2, "bob");
    alice.hear_frame(bob, &format!("member {} 10.0.0.3:5000 carol", id(3)));
    let (carol, _) = alice.answer();
    alice.hear(carol, "\nx|\ncarol<EXITENCD>");
    assert!(!alice.was_told(|notice| matches!(notice, Notice::Unreachable { .. })), "{:?}", alice.told);
}

#[test]
fn frames_that_repeat_themselves_are_answered_once() {
    let mut alice = Alice::new();
    let stranger = alice.accept(address(9, 1000));
    let answer = alice.hear_frame(stranger, &format!("id {}\nname x", id(9)));
    let pass = value(&answer, "pass").expect("a pass");
    let again = format!("groupchat/1\nproof {pass}\nhave 0<PEERENCD>groupchat/1\nask members<PEERENCD>");
    let written = alice.hear(stranger, &again.repeat(1000));
    assert!(written.len() < 1000, "{} bytes", written.len());
    // Who never goes on is not kept waiting for ever, and holds nobody up.
    alice.pass(INTRODUCTION.max(STALL));
    assert!(!alice.is_open(stranger));
}

/// Two that dial each other have two connections, and keep the one that the greater id dialled.
#[test]
fn of_two_connections_the_one_that_the_greater_dialled_is_kept() {
    for bob_is_greater in [false, true] {
        let bob = if bob_is_greater { u128::MAX } else { 1 };
        let mut alice = Alice::who_dials(&[address(2, 5000)]);
        let (hers, _) = alice.answer();
        alice.hear(hers, "");
        let (his, pass) = alice.meet(address(2, 1000), bob, "bob");
        let told = alice.hear_frame(hers, &format!("id {}\nname bob\nhave 0", id(bob)));
        assert_eq!(value(&told, "proof"), Some(id(OUR_PASS)), "{told}");
        alice.hear_frame(hers, &format!("proof {pass}\nfrom 0\nall members"));
        let frames = [message("bob", "one"), message("bob", "two")].concat();
        // Both carry everything, also the one that is being closed, and nothing is shown twice.
        alice.hear(his, &frames);
        alice.hear(hers, &frames);
        assert_eq!(alice.shown(), ["bob: one", "bob: two"]);
        alice.hear_frame(his, "have 0");
        alice.pass(Duration::from_secs(1));
        // His she leaves to him.
        assert_eq!((alice.is_open(his), alice.is_open(hers)), (true, !bob_is_greater));
    }
}

// What is counted.

#[test]
fn how_many_have_come_is_said_once_a_second_at_most_and_only_when_it_grew() {
    let mut alice = Alice::new();
    let (bob, _) = alice.meet(address(2, 1000), 2, "bob");
    alice.pass(HAVE_INTERVAL * 5);
    alice.hear(bob, "");
    let have = |count: u32| format!("groupchat/1\nhave {count}<PEERENCD>");
    for round in 0..3 {
        // The first at once, and those that come soon after it together.
        assert_eq!(alice.hear(bob, &message("bob", "hello")), have(round * 10 + 1));
        for _ in 1..10 {
            assert_eq!(alice.hear(bob, &message("bob", "hello")), "", "not yet");
            alice.pass(HAVE_INTERVAL / 20);
        }
        alice.pass(HAVE_INTERVAL);
        assert_eq!(alice.hear(bob, ""), have(round * 10 + 10));
        alice.pass(HAVE_INTERVAL * 5);
        assert_eq!(alice.hear(bob, ""), "", "an idle connection is silent");
    }
}

/// What was said before the group was met is for all who were there then; later ones get the last of it.
#[test]
fn who_was_there_before_is_owed_everything_and_who_comes_later_the_last() {
    let mut alice = Alice::who_dials(&[address(2, 5000)]);
    for _ in 0..30 {
        alice.group.say("hello", DateTime::UNIX_EPOCH.fixed_offset());
    }
    let go_on = |alice: &mut Alice, number: u128| {
        let (client, _) = alice.answer();
        let introduction = alice.hear(client, "");
        let own = format!("id {}\nname x\npass {}\nlast 20", id(number), id(OUR_PASS));
        let told = alice.hear_frame(client, &own);
        assert_eq!(value(&introduction, "port"), Some("5000".into()));
        (client, value(&told, "pass").expect("a pass"), value(&told, "from"), value(&told, "live"))
    };
    let (bob, pass, from, live) = go_on(&mut alice, 2);
    assert_eq!((from, live), (Some("0".into()), None));
    let carol = format!("member {} 10.0.0.3:5000 carol", id(3));
    alice.hear_frame(bob, &format!("proof {pass}\nfrom 0\n{carol}\nall members"));
    let (_, _, from, live) = go_on(&mut alice, 3);
    assert_eq!((from, live), (Some("0".into()), None), "she was there before");
    alice.hear_frame(bob, &format!("member {} 10.0.0.4:5000 dave", id(4)));
    let (_, _, from, live) = go_on(&mut alice, 4);
    assert_eq!((from, live), (Some("10".into()), Some("30".into())), "he has come later");
}

#[test]
fn what_a_member_says_it_has_when_it_comes_back_counts() {
    let mut alice = Alice::new();
    let (bob, pass) = alice.meet(address(2, 1000), 2, "bob");
    for _ in 0..5 {
        alice.group.say("hello", DateTime::UNIX_EPOCH.fixed_offset());
    }
    alice.settle();
    // He got them all, and the connection breaks before he would say so.
    alice.close(bob);
    let bob = alice.accept(address(2, 1001));
    alice.hear_frame(bob, &format!("id {}\nname bob\nport 5000", id(2)));
    alice.hear_frame(bob, &format!("proof {pass}\nhave 5\nfrom 0"));
    alice.close(bob);
    alice.group.leave(alice.now, DateTime::UNIX_EPOCH.fixed_offset(), address(1, 5000));
    alice.settle();
    assert!(!alice.was_told(|notice| matches!(notice, Notice::Undelivered { .. })), "{:?}", alice.told);
    assert_eq!(alice.group.unheard(), None);
}

#[test]
fn a_lost_member_is_not_another_run_because_somebody_else_has_its_address() {
    let mut alice = Alice::new();
    let (bob, pass) = alice.meet(address(2, 1000), 2, "bob");
    alice.close(bob);
    // Behind the same router.
    alice.meet(address(2, 1001), 3, "carol");
    let bob = alice.accept(address(2, 1002));
    alice.hear_frame(bob, &format!("id {}\nname bob\nport 5000", id(2)));
    alice.hear_frame(bob, &format!("proof {pass}\nhave 0\nfrom 0"));
    assert!(alice.was_told(|notice| matches!(notice, Notice::Back { .. })), "{:?}", alice.told);
}

#[test]
fn what_is_said_to_a_member_goes_over_a_connection_that_is_alive() {
    let mut alice = Alice::new();
    let (old, pass) = alice.meet(address(2, 1000), 2, "bob");
    alice.pass(Duration::from_secs(2));
    // His network was gone, and his old connection only looks alive.
    let new = alice.accept(address(2, 1001));
    alice.hear_frame(new, &format!("id {}\nname bob\nport 5000", id(2)));
    alice.hear_frame(new, &format!("proof {pass}\nhave 0\nfrom 0"));
    let mut written = alice.hear(new, &message("bob", "one"));
    alice.meet(address(3, 1000), 3, "carol");
    alice.pass(Duration::from_secs(2));
    alice.group.handle_failed(old, "timed out".into(), alice.now);
    alice.pass(Duration::from_secs(2));
    written += &alice.hear(new, "");
    assert!(written.contains("carol") && written.contains("have 1"), "{written}");
    assert!(!alice.was_told(|notice| matches!(notice, Notice::Lost { .. })));
}

#[test]
fn an_address_of_one_link_is_dialled_over_that_link() {
    let mut alice = Alice::new();
    let (bob, _) = alice.meet("[fe80::1%3]:1000".parse().expect("an address"), 2, "bob");
    alice.close(bob);
    alice.pass(Duration::from_secs(1));
    let (_, dialled) = alice.answer();
    assert_eq!(dialled, "[fe80::1%3]:5000".parse().expect("an address"));
}

/// Two real groups: bob's first frame arrives after alice has taken him for a plain peer.
#[test]
fn a_slow_introduction_doubles_nothing() {
    let (mut alice, mut bob) = (Alice::new(), Alice::who_dials(&[address(1, 5000)]));
    let (at_bob, _) = bob.answer();
    let at_alice = alice.accept(address(2, 1000));
    let mut to_alice = bob.hear(at_bob, "");
    for peer in [&mut alice, &mut bob] {
        peer.pass(Duration::from_secs(1));
    }
    alice.group.say("hello", DateTime::UNIX_EPOCH.fixed_offset());
    let mut to_bob = alice.hear(at_alice, "");
    for _ in 0..10 {
        to_alice += &bob.hear(at_bob, &std::mem::take(&mut to_bob));
        to_bob = alice.hear(at_alice, &std::mem::take(&mut to_alice));
    }
    for peer in [&mut alice, &mut bob] {
        peer.pass(Duration::from_secs(5));
    }
    // Both are called alice, and so is she whom bob took for a plain peer at first.
    assert_eq!(bob.shown(), ["alice (10.0.0.1:5000): hello"]);
    assert!(bob.was_told(|notice| matches!(notice, Notice::Joined { .. })));
}

#[test]
fn what_was_shown_early_is_not_told_to_be_missing() {
    let mut alice = Alice::new();
    let (bob, pass) = alice.meet(address(2, 1000), 2, "bob");
    alice.close(bob);
    // He takes her for a plain peer at first; then he goes on, and of 0 to 9 she has 3 to 6.
    let bob = alice.accept(address(2, 1001));
    for number in 3..7 {
        alice.hear(bob, &message("bob", &number.to_string()));
    }
    alice.hear_frame(bob, &format!("id {}\nname bob\nport 5000\nsince 3", id(2)));
    alice.hear_frame(bob, &format!("proof {pass}\nhave 0\nfrom 10"));
    assert_eq!(alice.shown().len(), 4);
    assert!(alice.was_told(|notice| matches!(notice, Notice::Missed { count: 6, .. })), "{:?}", alice.told);
}

#[test]
fn another_run_at_a_place_with_two_addresses_takes_the_place_of_the_first() {
    let place = vec![address(2, 5000), address(3, 5000)];
    let mut alice = Alice::who_dials_peers(vec![Peer { name: "bob".into(), addresses: place }]);
    for number in [2, 3] {
        let (bob, _) = alice.answer();
        let own = format!("id {}\nname bob\nport 5000\npass {}\nhave 0", id(number), id(OUR_PASS));
        let pass = value(&alice.hear_frame(bob, &own), "pass").expect("a pass");
        alice.hear_frame(bob, &format!("proof {pass}\nfrom 0\nall members"));
        if number == 2 {
            alice.close(bob);
            alice.pass(Duration::from_secs(60));
        }
    }
    let names = alice.told.iter().filter_map(|notice| match notice {
        Notice::Joined { who } => Some(&*who.name),
        _ => None,
    });
    assert_eq!(names.collect::<Vec<_>>(), ["bob", "bob"]);
    assert_eq!(alice.pass_alone(Duration::from_secs(60)), []);
}

/// A pipe says more than the log holds while the first peer introduces itself and tells of the others.
#[test]
fn what_the_group_is_owed_is_kept_until_its_members_are_known() {
    let mut alice = Alice::who_dials(&[address(2, 5000)]);
    let say_all = |alice: &mut Alice, client: Option<ClientId>| {
        let (now, before) = (alice.now, alice.group.said());
        for _ in 0..100 {
            while alice.group.said() <= alice.group.say_limit(now) && alice.group.said() < before + (8 << 20)
            {
                alice.group.say(&"x".repeat(1000), DateTime::UNIX_EPOCH.fixed_offset());
                // Who is connected takes it at once.
                client.map(|client| alice.hear(client, ""));
            }
        }
    };
    let (bob, _) = alice.answer();
    say_all(&mut alice, Some(bob));
    let told =
        alice.hear_frame(bob, &format!("id {}\nname bob\nport 5000\npass {}\nlast 20", id(2), id(OUR_PASS)));
    say_all(&mut alice, Some(bob));
    alice.hear_frame(bob, &format!("proof {}\nfrom 0", value(&told, "pass").expect("a pass")));
    say_all(&mut alice, Some(bob));
    alice.hear_frame(bob, &format!("member {} 10.0.0.3:5000 carol\nall members", id(3)));
    say_all(&mut alice, Some(bob));
    let (carol, _) = alice.answer();
    let told = alice
        .hear_frame(carol, &format!("id {}\nname carol\nport 5000\npass {}\nlast 20", id(3), id(OUR_PASS)));
    assert_eq!(value(&told, "from"), Some("0".into()), "everything is for carol, too");
    alice.hear_frame(carol, &format!("proof {}\nfrom 0\nall members", value(&told, "pass").expect("a pass")));
    let before = alice.group.said();
    say_all(&mut alice, Some(bob));
    assert!(alice.group.said() > before + (4 << 20), "now nothing waits any more");
}

#[test]
fn a_script_waits_until_its_peer_has_told_of_the_others() {
    let mut alice = Alice::who_dials(&[address(2, 5000)]);
    let (bob, _) = alice.answer();
    let told = alice.hear_frame(bob, &format!("id {}\nname bob\npass {}\nlast 20", id(2), id(OUR_PASS)));
    alice.hear_frame(bob, &format!("proof {}\nfrom 0", value(&told, "pass").expect("a pass")));
    assert!(alice.group.is_reaching_out(alice.now, alice.now));
    alice.hear_frame(bob, "all members");
    assert!(!alice.group.is_reaching_out(alice.now, alice.now));
}

// What is said to one alone, and new names.

fn private(number: &str, name: &str, text: &str) -> String {
    format!("{number}\n[2026-11-22T06:55:22+01:00] {name}:\n\t\t{text}<PRIVENCD>")
}

/// What she says to bob alone, as it comes to him.
fn whisper(alice: &mut Alice, text: &str) -> Result<(), NotPrivate> {
    let (who, _) = alice.group.find("bob").expect("she knows him");
    alice.group.whisper(&who, text, DateTime::UNIX_EPOCH.fixed_offset())
}

#[test]
fn only_a_member_is_heard_in_private_and_each_number_once() {
    let mut alice = Alice::new();
    let stranger = alice.accept(address(9, 1000));
    alice.hear(stranger, &private("0", "x", "before anything"));
    alice.hear_frame(stranger, &format!("id {}\nname bob\nport 5000", id(2)));
    alice.hear(stranger, &private("0", "bob", "before it was shown"));
    alice.close(stranger);
    let (bob, _) = alice.meet(address(2, 1000), 2, "bob");
    for (number, text) in [
        ("0", "one"),
        ("0", "again"),
        ("2", "too early"),
        ("18446744073709551616", "wild"),
        ("-1", "wild"),
        ("", "wild"),
        ("1", "two"),
        ("2", "three"),
    ] {
        alice.hear(bob, &private(number, "whoever", text));
    }
    alice.hear(bob, "3\nno message<PRIVENCD>no number<PRIVENCD><PRIVENCD>");
    alice.hear(bob, &private("3", "whoever", "four"));
    assert_eq!(alice.shown(), ["bob: one", "bob: two", "bob: three", "bob: four"]);
    let is_private = |notice: &&Notice| matches!(notice, Notice::Message { is_private: true, .. });
    assert_eq!(alice.told.iter().filter(is_private).count(), 4);
    alice.pass(HAVE_INTERVAL);
    let told = alice.hear(bob, "");
    assert_eq!(value(&told, "private"), Some("4".into()), "{told}");
}

#[test]
fn what_is_said_in_private_is_sent_to_one_and_again_until_it_has_it() {
    let mut alice = Alice::new();
    let (bob, pass) = alice.meet(address(2, 1000), 2, "bob");
    let (carol, _) = alice.meet(address(3, 1000), 3, "carol");
    let plain = alice.accept(address(4, 1000));
    alice.hear(plain, &message("nc", "hi"));
    assert!(whisper(&mut alice, "one").is_ok() && whisper(&mut alice, "two <MSGENCD>").is_ok());
    let sent = alice.hear(bob, "");
    assert!(
        sent.contains("0\n[")
            && sent.contains("one<PRIVENCD>1\n[")
            && sent.contains("two <\\MSGENCD><PRIVENCD>")
    );
    for other in [carol, plain] {
        let sent = alice.hear(other, "");
        assert!(!sent.contains("one") && !sent.contains("PRIV"), "{sent}");
    }
    // He has the first, and what he says beyond what was said is no harm.
    alice.hear_frame(bob, "private 1");
    alice.close(bob);
    assert!(whisper(&mut alice, "three").is_ok(), "he may be back");
    let bob = alice.accept(address(2, 1001));
    alice.hear_frame(bob, &format!("id {}\nname bob\nport 5000", id(2)));
    let sent = alice.hear_frame(bob, &format!("proof {pass}\nhave 0\nfrom 0\nprivate 1"));
    assert!(
        !sent.contains("one<PRIV") && sent.contains("1\n[") && sent.contains("three<PRIVENCD>"),
        "{sent}"
    );
    alice.hear_frame(bob, "private 9007199254740991");
    assert_eq!(alice.group.still_owed(), []);
    assert!(whisper(&mut alice, "four").is_ok());
    assert!(alice.hear(bob, "").starts_with("9007199254740991\n["));
}

#[test]
fn what_was_on_its_way_over_a_connection_that_ended_is_told_over_the_other() {
    let mut alice = Alice::new();
    let (one, pass) = alice.meet(address(2, 1000), 2, "bob");
    let other = alice.accept(address(2, 1001));
    alice.hear_frame(other, &format!("id {}\nname bob\nport 5000", id(2)));
    alice.hear_frame(other, &format!("proof {pass}\nhave 0\nfrom 0\nprivate 0"));
    whisper(&mut alice, "one").expect("he is here");
    alice.group.rename("al".into());
    let links = [one, other].map(|link| (link, alice.hear(link, "")));
    let (taken, _) = links.iter().find(|(_, sent)| sent.contains("one<PRIVENCD>")).expect("it was sent");
    alice.close(*taken);
    let left = if *taken == one { other } else { one };
    let sent = alice.hear(left, "");
    assert!(sent.contains("0\n[") && sent.contains("one<PRIVENCD>"), "{sent}");
    assert_eq!(value(&sent, "name"), Some("al".into()));
}

#[test]
fn what_is_kept_for_one_has_a_limit() {
    let mut alice = Alice::new();
    let (bob, _) = alice.meet(address(2, 1000), 2, "bob");
    let line = "x".repeat(1_000);
    let said = (0..1_000).take_while(|_| whisper(&mut alice, &line).is_ok()).count();
    assert!((50..70).contains(&said), "{said}");
    assert!(matches!(whisper(&mut alice, &line), Err(NotPrivate::Full(_))));
    alice.hear_frame(bob, &format!("private {said}"));
    // One that is too long once it is escaped is cut, and comes whole.
    let long = "<AENCD>".repeat(9_000);
    whisper(&mut alice, &long).expect("room");
    let sent = alice.hear(bob, "");
    let frames: Vec<_> =
        sent.split_terminator("<PRIVENCD>").filter_map(|frame| frame.split_once("\n\t\t")).collect();
    let texts: String = frames.iter().map(|(_, text)| *text).collect();
    assert!(texts.replace('\\', "") == long && frames.len() == 2);
}

#[test]
fn what_was_not_taken_is_told_when_a_member_is_forgotten_and_numbers_go_on() {
    let mut alice = Alice::new();
    let (bob, pass) = alice.meet(address(2, 1000), 2, "bob");
    alice.close(bob);
    whisper(&mut alice, "never comes").expect("kept");
    alice.pass_alone(FORGET * 2);
    assert!(
        alice.was_told(|notice| matches!(notice, Notice::Undelivered { count: 1, .. })),
        "{:?}",
        alice.told
    );
    let bob = alice.accept(address(2, 1001));
    alice.hear_frame(bob, &format!("id {}\nname bob\nport 5000", id(2)));
    let told = alice.hear_frame(bob, &format!("proof {pass}\nhave 0\nfrom 0"));
    assert_eq!(value(&told, "private-from"), Some("1".into()), "{told}");
    whisper(&mut alice, "comes").expect("he is back");
    let sent = alice.hear(bob, "");
    assert!(sent.contains("1\n[") && !sent.contains("never"), "{sent}");
    // The same the other way round.
    alice.hear_frame(bob, "private-from 5");
    alice.hear(bob, &(private("4", "bob", "old") + &private("5", "bob", "new")));
    assert_eq!(alice.shown(), ["bob: new"]);
}

#[test]
fn a_name_changes_only_for_who_has_shown_whose_it_is() {
    let renamed = |alice: &Alice| {
        let new = |notice: &Notice| match notice {
            Notice::Renamed { who, before } => Some(format!("{before} is {who}")),
            _ => None,
        };
        alice.told.iter().filter_map(new).collect::<Vec<_>>()
    };
    let mut alice = Alice::new();
    let (bob, _) = alice.meet(address(2, 1000), 2, "bob");
    alice.meet(address(3, 1000), 3, "carol");
    let liar = alice.accept(address(9, 1000));
    alice.hear_frame(liar, &format!("id {}\nname fool\nnames 9\nport 5000", id(2)));
    alice.hear_frame(liar, "name fool\nnames 10");
    assert_eq!(renamed(&alice), [""; 0]);
    alice.hear_frame(bob, "name carol\nnames 1");
    alice.hear_frame(bob, "name bob");
    alice.hear_frame(bob, "name \nnames 2");
    alice.hear_frame(bob, "name rob\nnames 3");
    // The two ids differ only at their ends.
    let carol = format!("carol#{}", id(2));
    assert_eq!(renamed(&alice), [format!("bob is {carol}"), format!("{carol} is rob")]);
    alice.hear(bob, &message("whoever", "hi"));
    assert!(alice.shown().ends_with(&["rob: hi".into()]));
}

#[test]
fn our_own_new_name_is_told_and_tells_others_apart() {
    let mut alice = Alice::new();
    let (bob, _) = alice.meet(address(2, 1000), 2, "bob");
    alice.group.rename("bob".into());
    let told = alice.hear(bob, &message("bob", "who?"));
    assert_eq!((value(&told, "name"), value(&told, "names")), (Some("bob".into()), Some("1".into())));
    assert_eq!(alice.shown(), [format!("bob#{}: who?", id(2))], "our own id differs in the last digit");
    alice.group.rename("al".into());
    alice.hear(bob, &message("bob", "ah"));
    assert!(alice.shown().ends_with(&["bob: ah".into()]));
}

// Who is shown as somebody.

/// What she tells of connections, in short.
fn told_of_connections(alice: &mut Alice) -> Vec<String> {
    let short = |notice: &Notice| match notice {
        Notice::Accepted { address } => Some(format!("accepted {address}")),
        Notice::Visited { address, why: LostReason::Closed { unfinished_bytes } } => {
            Some(format!("visited {address}, {unfinished_bytes} bytes"))
        }
        Notice::Visited { address, why } => Some(format!("visited {address}: {why}")),
        Notice::MoreVisitors { host, count } => Some(format!("{count} more of {host}")),
        Notice::Appeared { who } => Some(format!("appeared {who}")),
        Notice::Identified { before } => Some(format!("identified {before}")),
        Notice::Joined { who } => Some(format!("joined {who}")),
        Notice::Left { who } => Some(format!("left {who}")),
        Notice::Lost { who, .. } => Some(format!("lost {who}")),
        Notice::NamedLost { who, .. } => Some(format!("named lost {who}")),
        Notice::Message { from, text, .. } => Some(format!("{from}: {text}")),
        _ => None,
    };
    std::mem::take(&mut alice.told).iter().filter_map(short).collect()
}

/// Somebody connects from 10.0.0.2:1000, sends `bytes`, waits, and closes. What she tells of that is
/// `expected`.
#[track_caller]
fn check_visit(bytes: &str, wait: Duration, expected: &[&str]) {
    let mut alice = Alice::new();
    let client = alice.accept(address(2, 1000));
    alice.hear(client, bytes);
    alice.pass(wait);
    if alice.is_open(client) {
        alice.close(client);
    }
    assert_eq!(told_of_connections(&mut alice), expected, "{bytes:?}");
}

#[test]
fn only_who_sends_a_message_or_a_goodbye_is_shown_as_somebody() {
    let (at_once, later) = (Duration::ZERO, INTRODUCTION_WAIT);
    let goodbye = "\n10.0.0.2:1000 [2026-11-22T06:55:22+01:00]|\nbob<EXITENCD>";
    let connected = "accepted 10.0.0.2:1000";
    for (bytes, count) in [("", 0), ("\r\n", 0), ("SSH-2.0-OpenSSH_9.6\r\n", 19), ("half a message", 14)] {
        check_visit(bytes, at_once, &[&format!("visited 10.0.0.2:1000, {count} bytes")]);
        // One line, even if it was shown that it connected.
        check_visit(bytes, later, &[connected]);
    }
    // Frames of which there is nothing to show.
    for bytes in ["<MSGENCD>", "what<NEWENCD>"] {
        check_visit(bytes, at_once, &["visited 10.0.0.2:1000, 0 bytes"]);
    }
    // Requests of other protocols are closed at once, whatever is in them.
    for start in ["GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\u{0}\x01", "\u{0}\u{3}\u{0}\u{1}\u{0}"] {
        for more in ["", &message("bob", "hi"), goodbye] {
            let visited = "visited 10.0.0.2:1000: speaks another protocol";
            check_visit(&(start.to_owned() + more), later, &[visited]);
        }
    }
    for wait in [at_once, later] {
        let lost = [connected, "appeared bob", "bob: hi", "lost bob"];
        check_visit(&message("bob", "hi"), wait, &lost);
        check_visit(&(message("bob", "hi") + "half"), wait, &lost);
        check_visit(
            &(message("bob", "hi") + goodbye),
            wait,
            &[connected, "appeared bob", "bob: hi", "left bob"],
        );
        check_visit(goodbye, wait, &[connected, "appeared bob", "left bob"]);
        let unnamed = "10.0.0.2:1000";
        check_visit(
            "x<MSGENCD>",
            wait,
            &[
                connected,
                &format!("appeared {unnamed}"),
                &format!("{unnamed}: x"),
                &format!("lost {unnamed}"),
            ],
        );
        check_visit(
            "<EXITENCD>",
            wait,
            &[connected, &format!("appeared {unnamed}"), &format!("left {unnamed}")],
        );
    }
}

#[test]
fn connections_that_send_no_message_are_one_line_a_minute_for_each_host() {
    let mut alice = Alice::new();
    // For 200 s health checks, from two hosts, that close at once or after a while.
    for port in 0..100 {
        for host in [2, 3] {
            let client = alice.accept(address(host, port));
            if port % 2 == 1 {
                alice.pass(INTRODUCTION_WAIT);
            }
            alice.close(client);
        }
        alice.pass(Duration::from_secs(1));
    }
    alice.pass(VISITORS_INTERVAL);
    let told = told_of_connections(&mut alice);
    assert_eq!(told.len(), 8, "{told:?}");
    for host in [2, 3] {
        let of_host = format!("10.0.0.{host}");
        let told: Vec<_> = told.iter().filter(|line| line.contains(&of_host)).collect();
        assert_eq!(told[0], &format!("visited 10.0.0.{host}:0, 0 bytes"));
        let counts = told[1..].iter().map(|line| line.split(' ').next().expect("a count").parse::<u32>());
        assert_eq!(counts.map(|count| count.expect("a number")).sum::<u32>(), 99, "{told:?}");
    }
    // One that was counted and speaks after all is no health check.
    let clients = [0, 1].map(|port| alice.accept(address(4, port)));
    alice.pass(INTRODUCTION_WAIT);
    alice.hear(clients[1], &message("bob", "hi"));
    alice.close(clients[0]);
    alice.close(clients[1]);
    alice.pass(VISITORS_INTERVAL * 2);
    assert_eq!(
        told_of_connections(&mut alice),
        ["accepted 10.0.0.4:0", "accepted 10.0.0.4:1", "appeared bob", "bob: hi", "lost bob"]
    );
}

#[test]
fn a_plain_peer_that_turns_out_to_be_a_member_is_one_of_them_at_a_time() {
    let mut alice = Alice::new();
    let client = alice.accept(address(2, 1000));
    alice.hear(client, &message("bob", "hi"));
    let answer = alice.hear_frame(client, &format!("id {}\nname bob\nport 5000", id(2)));
    let pass = value(&answer, "pass").expect("a pass");
    alice.hear_frame(client, &format!("proof {pass}\npass {}\nhave 0\nfrom 1", id(OUR_PASS)));
    alice.close(client);
    let expected =
        ["accepted 10.0.0.2:1000", "appeared bob", "bob: hi", "identified bob", "joined bob", "lost bob"];
    assert_eq!(told_of_connections(&mut alice), expected);
    // One that only says so is as before.
    let client = alice.accept(address(3, 1000));
    alice.hear(client, &message("carol", "hi"));
    alice.hear_frame(client, &format!("id {}\nname carol\nport 5000", id(3)));
    alice.hear(client, &message("carol", "well"));
    alice.close(client);
    let carol = "carol (10.0.0.3:1000)";
    let expected = ["accepted 10.0.0.3:1000", "appeared carol", "carol: hi", "identified carol"];
    let rest = [format!("appeared {carol}"), format!("{carol}: well"), format!("lost {carol}")];
    assert_eq!(told_of_connections(&mut alice), [expected.map(str::to_owned).as_slice(), &rest].concat());
}

#[test]
fn a_named_peer_that_never_sent_anything_is_lost_beside_the_conversation() {
    let mut alice = Alice::who_dials(&[address(2, 5000)]);
    let (client, _) = alice.answer();
    alice.pass(INTRODUCTION_WAIT);
    alice.close(client);
    assert_eq!(told_of_connections(&mut alice), ["named lost 10.0.0.2:5000"]);
}

#[test]
fn a_name_of_ours_that_is_taken_is_told_once_and_whoever_has_it_is_told_apart() {
    let mut alice = Alice::new();
    let taken = |alice: &Alice| {
        let notices = alice.told.iter().filter_map(|notice| match notice {
            Notice::NameTaken { who, own } => Some(format!("{who}, {own}")),
            _ => None,
        });
        notices.collect::<Vec<_>>()
    };
    alice.meet(address(2, 1000), 0x4aa6 << 112, "alice");
    alice.meet(address(3, 1000), 0x77c1 << 112, "ALICE");
    assert_eq!(taken(&alice), ["alice#4aa6, alice#0000"]);
    let plain = alice.accept(address(9, 1000));
    alice.pass(Duration::from_secs(1));
    alice.hear(plain, &message("al\u{456}ce", "hi"));
    alice.hear(plain, &message("bob#4aa6", "hi"));
    alice.hear(plain, &message("b: hi", "hi"));
    let shown = ["al\u{456}ce (10.0.0.9:1000): hi", "\"bob#4aa6\" (10.0.0.9:1000): hi", "\"b: hi\": hi"];
    assert_eq!(alice.shown(), shown);
    alice.hear(plain, &message("alice", "hi"));
    alice.group.rename("al".into());
    alice.hear(plain, &message("x", "hi"));
    alice.meet(address(4, 1000), 0x1111 << 112, "al");
    assert_eq!(taken(&alice).len(), 2, "it is told for each name of ours");
}
