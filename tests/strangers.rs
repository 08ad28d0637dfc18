//! What strangers can do to one group with frames made by hand: nothing but to be closed.
//!
//! The core alone, without a socket: whoever is at the other end of a connection is this test.

#[path = "strangers/alice.rs"]
mod alice;
#[path = "strangers/handshake.rs"]
mod handshake;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use alice::*;
use chrono::{DateTime, FixedOffset};
use groupchat::limits::{
    ACK_INTERVAL, DIALS_MAX, DIALS_UNMET_MAX, FRAME_BYTES_MAX, FRAME_TIMEOUT, HANDSHAKE_TIMEOUT,
    LEAVE_TIMEOUT, LINGER_TIMEOUT, LOG_BYTES, MEMBER_EXPIRY, MEMBERS_MAX, NAMED_MAX, NEWS_DIAL_DELAY,
    NEWS_INTERVAL, PLAIN_WAIT_MIN, PRIVATE_LOST_MAX, READ_TURN_BYTES, RETRY_MIN, RETRY_RESET_TIME,
    SURPLUS_TIMEOUT, UNFINISHED_BYTES_MAX, UNMET_SHOWN_MAX, VISITORS_INTERVAL, WRITE_CALL_BYTES,
    WRITE_SHARE_BYTES, WRITE_STALL_TIMEOUT, WRITE_TURN_BYTES,
};
use groupchat::protocol::roster::{Connecting, NotPrivate};
use groupchat::protocol::{ClientId, Diagnostic, Event, LostReason, MemberId, Peer, PeerInfo};
use groupchat::wire::frame::Framing;

fn at() -> DateTime<FixedOffset> {
    DateTime::UNIX_EPOCH.fixed_offset()
}

// Two real groups.

/// Two groups, and the connections between them. Of each, the client and the stream that either has.
struct Pair {
    peers: [Alice; 2],
    connections: Vec<[(ClientId, usize); 2]>,
    /// The last connections are not carried.
    are_held: bool,
}

impl Pair {
    fn new(mut one: Alice, other: Alice) -> Self {
        one.now = other.now;
        Self { peers: [one, other], connections: Vec::new(), are_held: false }
    }

    /// Connects what either dials, if it is the other's address.
    fn dial(&mut self) {
        for dialler in [0, 1] {
            while let Some(attempt) = self.peers[dialler].group.poll_dial(self.peers[dialler].now) {
                assert_eq!(attempt.address, address(self.peers[1 - dialler].place, 5000));
                let ours = self.peers[dialler].answer_to(attempt);
                let stream = self.peers[dialler].streams;
                let from = address(self.peers[dialler].place, 40_000 + stream as u16);
                let theirs = self.peers[1 - dialler].accept(from);
                let mut ends = [(ours, stream), (theirs, self.peers[1 - dialler].streams)];
                if dialler == 1 {
                    ends.reverse();
                }
                self.connections.push(ends);
            }
        }
    }

    /// Carries what both write until there is no more, and the ends of connections.
    fn carry(&mut self) {
        self.peers.iter_mut().for_each(Alice::settle);
        let mut is_done = false;
        while !is_done {
            is_done = true;
            for ends in self.connections.clone() {
                for from in [0, 1] {
                    let ((_, stream), (client, target)) = (ends[from], ends[1 - from]);
                    let bytes = self.peers[from].written.remove(&stream);
                    let is_there = |alice: &mut Alice, (client, stream)| {
                        alice.group.stream_mut(client) == Some(&mut { stream })
                    };
                    let has_ended = !is_there(&mut self.peers[from], ends[from])
                        || self.peers[from].shut_down.contains(&stream);
                    if !is_there(&mut self.peers[1 - from], (client, target)) {
                        continue;
                    }
                    let to = &mut self.peers[1 - from];
                    if let Some(bytes) = bytes {
                        is_done = false;
                        to.group.handle_bytes(client, &bytes, to.now);
                    }
                    if has_ended && is_there(to, (client, target)) {
                        to.group.handle_closed(client, to.now);
                    }
                    to.settle();
                }
            }
        }
    }

    /// Lets time pass in which everything arrives at once.
    fn pass(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / 50 {
            self.peers.iter_mut().for_each(|peer| peer.pass(Duration::from_millis(50)));
            if !self.are_held {
                self.dial();
                self.carry();
            }
        }
    }

    /// The texts that one has shown.
    fn texts(&self, index: usize) -> Vec<String> {
        let shown = self.peers[index].shown();
        shown.iter().filter_map(|line| Some(line.split_once(": ")?.1.to_owned())).collect()
    }
}

/// Bob, who speaks `other` first, is dialled by alice, who speaks `own` first, or both dial each other; and bob takes
/// alice for a plain peer, and sends a message, before her hello arrives, or does not.
fn check_framings(own: Framing, other: Framing, bob_dials: bool, bob_is_early: bool) {
    let peer = |place: u8| Peer { name: place.to_string().into(), addresses: vec![address(place, 5000)] };
    let alice = Alice::at(1, Some(own), vec![peer(2)]);
    let bob = Alice::at(2, Some(other), if bob_dials { vec![peer(1)] } else { Vec::new() });
    let mut pair = Pair::new(alice, bob);
    pair.dial();
    assert_eq!(pair.connections.len(), if bob_dials { 2 } else { 1 });
    if bob_is_early {
        pair.are_held = true;
        pair.pass(PLAIN_WAIT_MIN);
        pair.are_held = false;
        pair.peers[1].group.broadcast("early", at());
        pair.peers[1].settle();
    }
    pair.pass(SURPLUS_TIMEOUT * 2);
    pair.peers[0].group.broadcast("one", at());
    pair.peers[1].group.broadcast("two", at());
    pair.pass(SURPLUS_TIMEOUT);
    let what = format!("{own:?}, {other:?}, bob dials: {bob_dials}, is early: {bob_is_early}");
    assert_eq!(pair.texts(1), ["one"], "{what}");
    assert_eq!(pair.texts(0), if bob_is_early { &["early", "two"][..] } else { &["two"] }, "{what}");
    for one in &pair.peers {
        let met = one.group.roster().iter().filter(|met| met.peer.id.is_some()).count();
        assert_eq!(met, 1, "{what}");
    }
}

#[test]
fn members_that_begin_in_different_framings_understand_each_other() {
    for (own, other) in [
        (Framing::Text, Framing::Text),
        (Framing::Text, Framing::Lab),
        (Framing::Lab, Framing::Text),
        (Framing::Lab, Framing::Lab),
    ] {
        for bob_dials in [false, true] {
            for bob_is_early in [false, true] {
                check_framings(own, other, bob_dials, bob_is_early);
            }
        }
    }
}

/// Bob's first frame arrives after alice has taken him for a plain peer. They meet over another connection, and what
/// was shown as a plain peer's is not shown again.
#[test]
fn a_slow_handshake_doubles_nothing() {
    let mut pair = Pair::new(
        Alice::new(),
        Alice::at(2, None, vec![Peer { name: "a".into(), addresses: vec![address(1, 5000)] }]),
    );
    pair.dial();
    pair.are_held = true;
    pair.pass(Duration::from_secs(1));
    pair.are_held = false;
    pair.peers[0].group.broadcast("hello", at());
    pair.peers[0].settle();
    pair.pass(SURPLUS_TIMEOUT * 2);
    // Both are called alice, and so is she whom bob took for a plain peer at first.
    assert_eq!(pair.peers[1].shown(), ["alice (10.0.0.1:5000): hello"]);
    for peer in &pair.peers {
        assert!(peer.was_told(|event| matches!(event, Event::Joined { .. })), "{:?}", peer.told);
    }
    assert!(pair.connections.len() > 1, "the first connection can be nobody's any more");
}

// The identity of a peer.

/// Somebody dials her whose hello is bob's, and whose key is its own. Returns the connection, and what she answers.
fn hear_false_bob(alice: &mut Alice, port: u16) -> (ClientId, String) {
    let liar = alice.agree(address(9, port), 9);
    let answer = alice.hear_frame(liar, &hello(2, "bob"));
    (liar, answer)
}

#[test]
fn a_stranger_does_not_speak_as_a_member_whatever_it_sends() {
    for (member_is_lost, is_private) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut alice = Alice::start(Start { is_private, ..Start::default() });
        let bob = alice.meet(address(2, 1000), 2, "bob");
        if member_is_lost {
            alice.close(bob);
            whisper(&mut alice, "for bob alone").expect("he may be back");
        }
        let (liar, mut told) = hear_false_bob(&mut alice, 1000);
        for lines in [
            format!("{}\nresume 0\nfrom 0 0\nprivate-ack 0\nask all", run(2)),
            format!("name 7 bob\nack 1\nleft {} {}", id(2), token(9)),
            format!("member {} 0 10.0.0.9:5000 bob", entry(2)),
        ] {
            told += &alice.hear_frame(liar, &lines);
        }
        alice.hear(liar, &message("bob", "words in bob's mouth"));
        alice.hear(liar, &private("0", "bob", "words in his ear"));
        alice.hear(liar, &exit("bob"));
        assert!(!told.contains("for bob alone") && value(&told, "private-from").is_none(), "{told}");
        let bob = if member_is_lost { alice.meet_again(address(2, 1001), 2, "resume 0").0 } else { bob };
        alice.hear(bob, &message("bob", "mine"));
        let texts_of_bob: Vec<_> = alice
            .speakers()
            .into_iter()
            .filter(|(from, _)| *from == Some(id(2)))
            .map(|(_, text)| text)
            .collect();
        assert_eq!(texts_of_bob, ["mine"]);
        let lost: Vec<_> = alice.told.iter().filter(|event| matches!(event, Event::Lost { .. })).collect();
        let is_bob = |event: &&&Event| event.peer().is_some_and(|peer| peer.id == Some(id(2)));
        assert_eq!(lost.iter().filter(is_bob).count(), usize::from(member_is_lost), "{lost:?}");
        assert!(!alice.was_told(|event| matches!(event, Event::Left { .. })), "{:?}", alice.told);
    }
}

#[test]
fn one_connection_is_one_member_s() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    let told = alice.hear_frame(bob, &format!("{}\nport 5001", run(3)));
    assert_eq!(told, "", "only the first frame can be a hello");
    alice.hear(bob, &message("carol", "hi"));
    assert_eq!(std::mem::take(&mut alice.told).len(), 2, "bob joined, and what he sent");
    assert_eq!(alice.met(), [id(2)]);
}

/// Mallory says that bob is where she listens, or that somebody with her key is what bob is.
#[test]
fn what_is_for_a_member_is_not_sent_to_a_stranger_at_its_address() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    let mallory = alice.meet_mallory();
    alice.close(bob);
    whisper(&mut alice, "for bob alone").expect("he may be back");
    let key = entry(9).split_once(' ').expect("a key").0.to_owned();
    let of_bob = entry(2).split_once(' ').expect("a key").1.to_owned();
    alice.hear_frame(mallory, &format!("member {} 0 10.0.0.9:6000 bob", entry(2)));
    alice.hear_frame(mallory, &format!("member {key} {of_bob} 0 10.0.0.9:6001 bob"));
    let mut wrong = Vec::new();
    while wrong.len() < 2 {
        let attempt = alice.next_attempt();
        if attempt.address == address(2, 5000) {
            alice.group.handle_dial_failed(attempt, "refused".into(), alice.now);
            continue;
        }
        wrong.push(attempt.address);
        let client = alice.answer_to(attempt);
        let mut told = alice.agree_dialled(client, 9 + wrong.len() as u128);
        told += &alice.hear_frame(client, &hello(2, "bob"));
        told += &alice.hear_frame(client, "resume 0\nfrom 0 0\nprivate-ack 0");
        assert!(!told.contains("for bob alone"), "{told}");
    }
    wrong.sort();
    assert_eq!(wrong, [address(9, 6000), address(9, 6001)]);
    assert!(!alice.was_told(|event| matches!(event, Event::Back { .. })), "{:?}", alice.told);
    let dialled: BTreeSet<_> = alice.pass_alone(Duration::from_secs(60)).into_iter().collect();
    assert_eq!(dialled.into_iter().collect::<Vec<_>>(), [address(2, 5000)], "he is not where she is");
}

#[test]
fn what_comes_before_the_hello_is_nobody_s() {
    let lines = format!("from 0 0\nleft {} {}\nname 1 rob", id(2), token(9));
    for first in [
        message("bob", "hello"),
        private("0", "bob", "hello"),
        exit("bob"),
        "what<NEWENCD>".into(),
        peer_frame(&format!("groupchat/2\n{lines}")),
        peer_frame("groupchat/2\nrun 0 x\nname 0 bob"),
        peer_frame(&format!("groupchat/1\n{}", hello(9, "bob"))),
    ] {
        let mut alice = Alice::new();
        alice.meet(address(2, 1000), 2, "bob");
        let stranger = alice.agree(address(9, 1000), 9);
        alice.hear(stranger, &(first.clone() + &peer_frame(&format!("groupchat/2\n{}", hello(9, "x")))));
        assert!(!alice.is_open(stranger), "{first}");
        assert_eq!(told_of_connections(&mut alice)[0], "joined bob");
        assert_eq!(alice.met(), [id(2)], "{first}");
    }
}

#[test]
fn only_the_token_of_a_run_shows_that_it_has_left() {
    for is_lost_first in [false, true] {
        let mut alice = Alice::new();
        let bob = alice.meet(address(2, 1000), 2, "bob");
        let carol = alice.meet(address(3, 1000), 3, "carol");
        let left = |alice: &Alice| alice.was_told(|event| matches!(event, Event::Left { .. }));
        if is_lost_first {
            alice.close(bob);
        }
        let (bob_id, own) = (id(2), token(2));
        for wrong in [
            format!("{bob_id} {}", token(3)),
            format!("{bob_id} {}", own.nonce()),
            format!("{bob_id} {bob_id}"),
            format!("{} {own}", id(3)),
            format!("{} {own}", id(2 | 1 << 64)),
            format!("{own} {bob_id}"),
            format!("{own}"),
            format!("{bob_id} x"),
        ] {
            alice.hear_frame(carol, &format!("left {wrong}"));
            assert!(!left(&alice), "{wrong}: {:?}", alice.told);
        }
        alice.hear_frame(carol, &format!("left {bob_id} {own}"));
        if !is_lost_first {
            assert!(!left(&alice), "his last messages may still come");
            alice.hear(bob, &message("bob", "bye"));
            alice.close(bob);
        }
        let names = alice.told.iter().filter_map(|event| match event {
            Event::Left { peer } => Some(&*peer.name),
            _ => None,
        });
        assert_eq!(names.collect::<Vec<_>>(), ["bob"]);
        assert_eq!(alice.was_told(|event| matches!(event, Event::Lost { .. })), is_lost_first);
        assert_eq!(alice.shown().len(), usize::from(!is_lost_first));
        // Nobody brings him back.
        for lines in [format!("member {} 0 10.0.0.2:5000 bob", entry(2)), format!("ask {bob_id}")] {
            let told = alice.hear_frame(carol, &lines);
            assert_eq!(value(&told, "left"), Some(format!("{bob_id} {own}")), "{lines}: {told}");
        }
        assert_eq!(alice.pass_alone(Duration::from_secs(30)), []);
        let (again, answer) = alice.hear_hello(address(2, 1001), 2, "bob");
        assert_eq!(answer, "");
        alice.pass(Duration::from_secs(1));
        assert!(!alice.is_open(again));
        // A later run of him is another.
        let (_, answer) = alice.hear_hello(address(2, 1002), 2 | 1 << 64, "bob");
        assert!(value(&answer, "run").is_some(), "{answer}");
    }
}

#[test]
fn an_exit_without_the_token_is_a_loss() {
    for lines in
        [String::new(), format!("left {} {}", id(2), token(3)), format!("left {} {}", id(3), token(3))]
    {
        let mut alice = Alice::new();
        let bob = alice.meet(address(2, 1000), 2, "bob");
        alice.hear_frame(bob, &lines);
        alice.hear(bob, &exit("bob"));
        assert!(!alice.is_open(bob));
        assert!(alice.was_told(|event| matches!(event, Event::Lost { .. })));
        assert!(!alice.was_told(|event| matches!(event, Event::Left { .. })));
    }
}

/// Nobody knows the token of a run before it leaves. So nobody can say that it has, before it comes or after.
#[test]
fn nobody_is_kept_out_by_a_goodbye_in_its_name() {
    for is_reported in [false, true] {
        let mut alice = Alice::new();
        let mallory = alice.meet_mallory();
        if is_reported {
            alice.hear_frame(mallory, &format!("member {} 0 10.0.0.5:5000 eve", entry(5)));
        }
        for wrong in [token(9), token(0)] {
            for left in [id(5), id(5 | 1 << 64), alice.group.id()] {
                alice.hear_frame(mallory, &format!("left {left} {wrong}"));
            }
        }
        let eve = if is_reported {
            let (eve, dialled) = alice.answer();
            assert_eq!(dialled, address(5, 5000));
            alice.be_met(eve, 5, "eve");
            eve
        } else {
            alice.meet(address(5, 1000), 5, "eve")
        };
        alice.hear(eve, &message("eve", "hi"));
        assert_eq!(alice.shown(), ["eve: hi"]);
    }
}

/// Eve has left before she was met, as her token shows. Of whom nothing is known, nothing is kept.
#[test]
fn a_run_that_has_left_before_it_was_met_is_not_dialled_and_not_shown() {
    for is_reported in [false, true] {
        let mut alice = Alice::new();
        let mallory = alice.meet_mallory();
        if is_reported {
            alice.hear_frame(mallory, &format!("member {} 0 10.0.0.5:5000 eve", entry(5)));
        }
        alice.hear_frame(mallory, &format!("left {} {}", id(5), token(5)));
        assert_eq!(alice.pass_alone(Duration::from_secs(30)), []);
        assert!(!alice.was_told(|event| matches!(event, Event::Left { .. })), "{:?}", alice.told);
        let told = alice.hear_frame(mallory, &format!("ask {}", id(5)));
        let expected = is_reported.then(|| format!("{} {}", id(5), token(5)));
        assert_eq!(value(&told, "left"), expected, "{told}");
    }
}

#[test]
fn what_somebody_else_sent_with_the_hello_of_a_member_does_not_silence_it() {
    for number in ["1000000", "9007199254740991", "18446744073709551615"] {
        let mut alice = Alice::new();
        let (stranger, _) = hear_false_bob(&mut alice, 1000);
        alice.hear_frame(stranger, &format!("from {number} {number}\nack {number}\nprivate-from {number}"));
        alice.hear(stranger, &(message("bob", "one") + &message("bob", "two")));
        alice.close(stranger);
        let bob = alice.meet(address(2, 1000), 2, "bob");
        alice.hear(bob, &message("bob", "hello"));
        alice.hear(bob, &private("0", "bob", "psst"));
        alice.pass(Duration::from_secs(5));
        for text in ["hello", "psst"] {
            assert!(alice.speakers().contains(&(Some(id(2)), text.into())), "{:?}", alice.told);
        }
    }
}

#[test]
fn a_forgotten_member_has_not_left_because_a_stranger_says_so() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    alice.hear(bob, &message("bob", "one"));
    alice.close(bob);
    alice.pass_alone(MEMBER_EXPIRY * 2);
    assert!(alice.was_told(|event| matches!(event, Event::Diagnostic(Diagnostic::Forgotten { .. }))));
    let (stranger, _) = hear_false_bob(&mut alice, 1000);
    alice.hear_frame(stranger, &format!("left {} {}", id(2), token(9)));
    alice.hear(stranger, &exit("bob"));
    assert!(!alice.was_told(|event| matches!(event, Event::Left { .. })));
    let bob = alice.meet(address(2, 1001), 2, "bob");
    alice.hear(bob, &(message("bob", "one") + &message("bob", "two")));
    assert_eq!(alice.speakers().len(), 2, "his numbers go on");
    assert!(alice.speakers().contains(&(Some(id(2)), "two".into())), "{:?}", alice.told);
}

/// Its key says who it is, and its address nothing.
#[test]
fn a_member_that_is_at_another_address_is_itself() {
    for is_dialled in [false, true] {
        let mut alice = Alice::new();
        let bob = alice.meet(address(2, 1000), 2, "bob");
        let carol = alice.meet(address(3, 1000), 3, "carol");
        alice.close(bob);
        whisper(&mut alice, "for bob alone").expect("he may be back");
        let told = if is_dialled {
            alice.hear_frame(carol, &format!("member {} 0 10.0.0.7:5000 bob", entry(2)));
            let mut attempt = alice.next_attempt();
            while attempt.address == address(2, 5000) {
                alice.group.handle_dial_failed(attempt, "refused".into(), alice.now);
                attempt = alice.next_attempt();
            }
            let bob = alice.answer_to(attempt);
            alice.greet(bob, 2, "bob") + &alice.hear_frame(bob, "resume 0\nfrom 0 0")
        } else {
            alice.meet_again(address(7, 1000), 2, "resume 0").1
        };
        assert!(told.contains("for bob alone<PRIVENCD>"), "{told}");
        let is_back = |event: &Event| matches!(event, Event::Back { peer } if peer.id == Some(id(2)));
        assert!(alice.was_told(is_back), "{:?}", alice.told);
        let roster = alice.group.roster();
        let bob = roster.iter().find(|one| one.peer.id == Some(id(2))).expect("bob");
        assert_eq!(bob.peer.address, Some(address(7, 5000)));
        assert_eq!(roster.len(), 2, "{roster:?}");
    }
}

/// Bob and carol were lost, and each is where the other one was.
#[test]
fn two_members_that_have_changed_places_are_found_there() {
    for carol_dials in [false, true] {
        let mut alice = Alice::new();
        let members = [(2, "bob"), (3, "carol")];
        let links = members.map(|(number, name)| alice.meet(address(number as u8, 1000), number, name));
        links.into_iter().for_each(|link| alice.close(link));
        if carol_dials {
            alice.meet(address(2, 2000), 3, "carol");
        }
        let start = alice.now;
        let is_back = |alice: &Alice, number| {
            alice.was_told(|event| matches!(event, Event::Back { peer } if peer.id == Some(id(number))))
        };
        while !(is_back(&alice, 2) && is_back(&alice, 3)) {
            let (client, dialled) = alice.answer();
            let (number, name) = if dialled == address(2, 5000) { members[1] } else { members[0] };
            alice.be_met(client, number, name);
            assert!(alice.now < start + Duration::from_secs(60), "carol dials: {carol_dials}");
        }
        alice.pass(SURPLUS_TIMEOUT * 2);
        let here = alice.group.roster().into_iter().filter(|one| one.peer.id.is_some());
        let mut places: Vec<_> = here.map(|one| (one.peer.name.to_string(), one.peer.address)).collect();
        places.sort();
        let expected = [("bob", address(3, 5000)), ("carol", address(2, 5000))];
        assert_eq!(places, expected.map(|(name, place)| (name.to_owned(), Some(place))));
    }
}

// What somebody tells of others.

/// A list of so many members that nobody can reach.
fn dead(count: usize) -> String {
    let line = |number: usize| {
        format!("member {} - 10.1.{}.{}:5000 x", entry(1000 + number as u128), number / 250, number % 250 + 1)
    };
    (0..count).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_thousand_dead_addresses_keep_nobody_from_being_dialled() {
    let mut alice = Alice::who_dials(&[address(3, 5000)]);
    let attempt = alice.group.poll_dial(alice.now).expect("the named one");
    alice.group.handle_dial_failed(attempt, "refused".into(), alice.now);
    let bob = alice.meet(address(2, 1000), 2, "bob");
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
            dialling.push(alice.group.handle_dialing(attempt, alice.streams, local, alice.now));
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
    let carol = alice.meet(address(4, 1000), 4, "carol");
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
        let first = alice.first_frame(30);
        alice.hear(stranger, &first);
        alice.pass(Duration::from_secs(2));
    }
    assert!(!alice.group.is_reaching_out(alice.now, since));
}

#[test]
fn only_where_a_member_was_found_is_told_to_others() {
    let mut alice = Alice::new();
    alice.meet(address(2, 1000), 2, "bob");
    let mallory = alice.meet_mallory();
    alice.hear_frame(mallory, &format!("member {} 0 10.9.9.1:1,10.9.9.2:1 bob", entry(2)));
    let (carol, answer) = alice.hear_hello(address(3, 1000), 3, "carol");
    let told = alice.hear_frame(carol, "join 20\nfrom 0 0");
    assert!(!(answer + &told).contains("member"), "who did not ask is told of nobody: {told}");
    let told = alice.hear_frame(carol, "ask all");
    assert!(told.ends_with("\nend of-list<PEERENCD>"), "{told}");
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
            alice.hear_frame(mallory, &format!("member {} 0 10.0.0.2:5000 xavier", entry(3)));
        }
        let plain = alice.answer_to(attempt);
        alice.pass(Duration::from_secs(1));
        alice.hear(plain, &message("bob", "one"));
        if !is_reported {
            // Somebody at the same place says that the port is its own.
            alice.meet(address(2, 1000), 9, "mallory");
        }
        alice.hear(plain, &message("bob", "two"));
        alice.pass(HANDSHAKE_TIMEOUT * 2);
        assert_eq!(alice.shown(), ["bob: one", "bob: two"], "{is_reported}");
        assert!(alice.is_open(plain));
    }
}

// Places for connections.

#[test]
fn a_member_is_lost_and_dialled_though_a_stranger_begins_with_its_hello_again_and_again() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    hear_false_bob(&mut alice, 1000);
    alice.close(bob);
    let mut dialled = Vec::new();
    for port in 1001..1010 {
        hear_false_bob(&mut alice, port);
        dialled.extend(alice.pass_alone(HANDSHAKE_TIMEOUT - Duration::from_secs(1)));
    }
    assert!(alice.was_told(|event| matches!(event, Event::Lost { .. })));
    assert!(dialled.contains(&address(2, 5000)));
}

#[test]
fn newcomers_find_a_place_after_a_flood_of_ids() {
    let mut alice = Alice::who_dials(&[address(2, 5000)]);
    let attempt = alice.group.poll_dial(alice.now).expect("the named one");
    for number in 0..MEMBERS_MAX as u128 {
        let client = alice.meet(address(9, 1000 + number as u16), 1000 + number, &format!("x{number}"));
        alice.close(client);
    }
    alice.meet(address(3, 1000), 3, "carol");
    let bob = alice.answer_to(attempt);
    alice.be_met(bob, 2, "bob");
    assert!(alice.group.find("bob").is_ok());
}

#[test]
fn an_id_at_an_address_where_another_was_expected_hurts_nobody() {
    let mut alice = Alice::new();
    let mallory = alice.meet_mallory();
    let first = format!("member {} - 10.0.0.9:6000,10.0.0.9:6001 x\n", entry(10));
    alice.hear_frame(mallory, &(first + &dead(MEMBERS_MAX / 2)));
    alice.hear_frame(mallory, &dead(MEMBERS_MAX));
    let (client, _) = alice.answer();
    // All places are taken: to make room for this one, the expected one goes.
    alice.greet(client, 77, "z");
    let innocent = alice.accept(address(3, 1000));
    alice.pass(Duration::from_secs(1));
    let z = alice.meet(address(9, 1002), 77, "z");
    alice.hear(z, &exit("z"));
    alice.pass(HANDSHAKE_TIMEOUT);
    assert!(alice.is_open(innocent));
    assert!(!alice.is_open(client) || client == innocent);
}

#[test]
fn a_goodbye_instead_of_an_answer_does_not_end_the_dialling() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    alice.close(bob);
    alice.pass(Duration::from_secs(1));
    let (client, _) = alice.answer();
    alice.hear(client, &exit("z"));
    assert!(!alice.is_open(client));
    assert!(alice.pass_alone(Duration::from_secs(100)).contains(&address(2, 5000)));
}

#[test]
fn a_member_that_leaves_while_it_is_first_dialled_is_not_told_of() {
    for has_agreed in [false, true] {
        let mut alice = Alice::new();
        let bob = alice.meet(address(2, 1000), 2, "bob");
        alice.hear_frame(bob, &format!("member {} 0 10.0.0.3:5000 carol", entry(3)));
        let (carol, _) = alice.answer();
        if has_agreed {
            alice.agree_dialled(carol, 3);
        }
        alice.hear(carol, &exit("carol"));
        assert!(!alice.is_open(carol));
        // No program sends that instead of its hello.
        let is_shown =
            alice.was_told(|event| matches!(event, Event::Diagnostic(Diagnostic::Unreachable { .. })));
        assert_eq!(is_shown, has_agreed, "{:?}", alice.told);
        assert!(
            alice.pass_alone(Duration::from_secs(60)).contains(&address(3, 5000)),
            "anybody may answer there"
        );
    }
}

#[test]
fn frames_that_repeat_themselves_are_answered_once() {
    let mut alice = Alice::new();
    let stranger = alice.agree(address(9, 1000), 9);
    let again = format!("groupchat/2\n{}\nask all\nresume 0\nfrom 0 0", hello(9, "x"));
    let again = peer_frame(&again) + &peer_frame("groupchat/2\nask everybody");
    let written = alice.hear(stranger, &again.repeat(1000));
    assert!(written.len() < 1000, "{} bytes", written.len());
    assert_eq!(written.matches("\nrun ").count(), 1, "{written}");
    // A peer that never continues is not waited for.
    let stranger = alice.agree(address(9, 1001), 10);
    alice.pass(HANDSHAKE_TIMEOUT.max(WRITE_STALL_TIMEOUT));
    assert!(!alice.is_open(stranger));
}

/// Two that dial each other have two connections, and keep the one that the greater id dialled.
#[test]
fn of_two_connections_the_one_that_the_greater_dialled_is_kept() {
    for bob_is_greater in [false, true] {
        let mut alice = Alice::who_dials(&[address(2, 5000)]);
        let own = alice.group.id();
        let bob = run_where(2, |id| (id > own) == bob_is_greater);
        let (hers, _) = alice.answer();
        let his = alice.meet(address(2, 1000), bob, "bob");
        let told = alice.greet(hers, bob, "bob");
        assert_eq!(value(&told, "linked"), Some("yes".into()), "{told}");
        alice.hear_frame(hers, "linked yes\nresume 0\nfrom 0 0");
        let frames = [message("bob", "one"), message("bob", "two")].concat();
        // Both carry everything, also the one that is being closed, and nothing is shown twice.
        alice.hear(his, &frames);
        alice.hear(hers, &frames);
        assert_eq!(alice.shown(), ["bob: one", "bob: two"]);
        alice.hear_frame(his, "ack 0");
        alice.pass(Duration::from_secs(1));
        // His she leaves to him.
        assert_eq!((alice.is_open(his), alice.is_open(hers)), (true, !bob_is_greater));
    }
}

// What is counted.

#[test]
fn how_many_have_come_is_said_once_a_second_at_most_and_only_when_it_grew() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    alice.pass(ACK_INTERVAL * 5);
    alice.hear(bob, "");
    let acks = |alice: &mut Alice, bytes: &str| value(&alice.hear(bob, bytes), "ack");
    let ack = |count: u32| Some(count.to_string());
    for round in 0..3 {
        // The first at once, and those that come soon after it together.
        assert_eq!(acks(&mut alice, &message("bob", "hello")), ack(round * 10 + 1));
        for _ in 1..10 {
            assert_eq!(acks(&mut alice, &message("bob", "hello")), None, "not yet");
            alice.pass(ACK_INTERVAL / 20);
        }
        alice.pass(ACK_INTERVAL);
        assert_eq!(acks(&mut alice, ""), ack(round * 10 + 10));
        alice.pass(ACK_INTERVAL * 5);
        assert_eq!(acks(&mut alice, ""), None, "nothing has come since");
    }
}

/// Both sides dialled, and neither handshake was in time.
#[test]
fn what_comes_on_two_plain_connections_of_a_host_is_shown_once() {
    let mut alice = Alice::who_dials(&[address(2, 5000)]);
    let (one, _) = alice.answer();
    let [other, stranger] = [(2, 1001), (3, 1000)].map(|(host, port)| alice.accept(address(host, port)));
    for number in 0..3 {
        alice.hear(one, &message("bob", &number.to_string()));
    }
    for client in [other, stranger] {
        for number in 0..4 {
            alice.hear(client, &message("bob", &number.to_string()));
        }
    }
    // Without a time, two may say the same.
    for client in [one, other] {
        alice.hear(client, "hello<MSGENCD>");
    }
    let shown = alice.shown();
    let texts: Vec<_> = shown.iter().map(|line| line.split_once(": ").expect("a text").1).collect();
    assert_eq!(texts, ["0", "1", "2", "3", "0", "1", "2", "3", "hello", "hello"]);
}

/// What was said before the group was met is for all who were there then; later ones get the last of it.
#[test]
fn who_was_there_before_is_owed_everything_and_who_comes_later_the_last() {
    let mut alice = Alice::who_dials(&[address(2, 5000)]);
    for _ in 0..30 {
        alice.group.broadcast("hello", at());
    }
    let go_on = |alice: &mut Alice, number: u128, lines: &str| {
        let (client, _) = alice.answer();
        let hello_of_alice = alice.agree_dialled(client, number);
        assert_eq!(value(&hello_of_alice, "port"), Some("5000".into()));
        alice.hear_frame(client, &hello(number, "x"));
        let told = alice.hear_frame(client, &format!("from 0 0\n{lines}"));
        (client, value(&told, "from"))
    };
    let carol = format!("member {} - 10.0.0.3:5000 carol", entry(3));
    let (bob, from) = go_on(&mut alice, 2, &format!("join 20\n{carol}\nend of-list"));
    assert_eq!(from, Some("0 0".into()));
    let (_, from) = go_on(&mut alice, 3, "join 20");
    assert_eq!(from, Some("0 0".into()), "she was there before");
    alice.hear_frame(bob, &format!("member {} - 10.0.0.4:5000 dave", entry(4)));
    let (_, from) = go_on(&mut alice, 4, "join 20");
    assert_eq!(from, Some("10 30".into()), "he has come later");
}

/// A link may end before a message comes over it. The others still learn from where on they are owed its messages.
#[test]
fn a_member_that_was_met_and_lost_at_once_is_reported_with_what_it_had_said() {
    let mut alice = Alice::new();
    let bob = alice.agree(address(2, 1000), 2);
    alice.hear_frame(bob, &hello(2, "bob").replace("sent 0", "sent 6"));
    alice.close(bob);
    let carol = alice.meet(address(3, 1000), 3, "carol");
    let told = alice.hear_frame(carol, "ask all");
    assert!(told.contains(&format!(" {} 6 10.0.0.2:5000 bob", entry(2))), "{told}");
}

#[test]
fn what_a_member_says_it_has_when_it_comes_back_counts() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    for _ in 0..5 {
        alice.group.broadcast("hello", at());
    }
    alice.settle();
    // He got them all, and the connection breaks before he would say so.
    alice.close(bob);
    let (bob, _) = alice.meet_again(address(2, 1001), 2, "resume 5");
    alice.close(bob);
    alice.group.leave(alice.now, DateTime::UNIX_EPOCH.fixed_offset(), address(1, 5000));
    alice.settle();
    assert!(
        !alice.was_told(|event| matches!(event, Event::Diagnostic(Diagnostic::Undelivered { .. }))),
        "{:?}",
        alice.told
    );
    assert_eq!(alice.group.unreceived_count(), None);
}

#[test]
fn a_lost_member_is_not_another_run_because_somebody_else_has_its_address() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    alice.close(bob);
    // Behind the same router.
    alice.meet(address(2, 1001), 3, "carol");
    alice.meet_again(address(2, 1002), 2, "resume 0");
    assert!(alice.was_told(|event| matches!(event, Event::Back { .. })), "{:?}", alice.told);
}

#[test]
fn what_is_said_to_a_member_goes_over_a_connection_that_is_alive() {
    for knows_the_old_one in [false, true] {
        let mut alice = Alice::new();
        let old = alice.meet(address(2, 1000), 2, "bob");
        alice.pass(Duration::from_secs(2));
        // His network was gone, and his old connection only looks alive.
        let lines = if knows_the_old_one { "resume 0\nlinked yes" } else { "resume 0" };
        let (new, mut written) = alice.meet_again(address(2, 1001), 2, lines);
        assert_eq!(alice.is_open(old), knows_the_old_one);
        written += &alice.hear(new, &message("bob", "one"));
        let carol = alice.meet(address(3, 1000), 3, "carol");
        alice.hear_frame(carol, "ask all");
        alice.pass(NEWS_INTERVAL);
        if knows_the_old_one {
            alice.group.handle_failed(old, "timed out".into(), alice.now);
        }
        alice.pass(Duration::from_secs(2));
        written += &alice.hear(new, "");
        assert!(written.contains("carol") && written.contains("\nack 1"), "{written}");
        assert!(!alice.was_told(|event| matches!(event, Event::Lost { .. })));
    }
}

#[test]
fn a_link_that_stays_silent_while_another_one_is_there_is_closed() {
    let mut alice = Alice::new();
    let old = alice.meet(address(2, 1000), 2, "bob");
    alice.pass(Duration::from_secs(2));
    let (new, _) = alice.meet_again(address(2, 1001), 2, "resume 0\nlinked yes");
    alice.pass(SURPLUS_TIMEOUT);
    assert_eq!((alice.is_open(old), alice.is_open(new)), (false, true));
}

#[test]
fn an_address_of_one_link_is_dialled_over_that_link() {
    let mut alice = Alice::new();
    let bob = alice.meet("[fe80::1%3]:1000".parse().expect("an address"), 2, "bob");
    alice.close(bob);
    alice.pass(Duration::from_secs(1));
    let (_, dialled) = alice.answer();
    assert_eq!(dialled, "[fe80::1%3]:5000".parse().expect("an address"));
}

#[test]
fn what_was_shown_of_a_plain_peer_is_not_shown_again_as_the_member_s() {
    let mut alice = Alice::who_dials(&[address(2, 5000)]);
    // He takes her for a plain peer at first, and of 0 to 9 she is shown 3 to 6. Then his hello arrives.
    let (bob, _) = alice.answer();
    for number in 3..7 {
        alice.hear(bob, &message("bob", &number.to_string()));
    }
    let first = alice.first_frame(2);
    alice.hear(bob, &first);
    assert!(!alice.is_open(bob), "a handshake comes first");
    let bob = alice.meet(address(2, 1002), 2, "bob");
    for number in 0..10 {
        alice.hear(bob, &message("bob", &number.to_string()));
    }
    alice.hear(bob, &message("bob", "3"));
    let texts: Vec<_> =
        alice.shown().iter().map(|line| line.split_once(": ").expect("a text").1.to_owned()).collect();
    assert_eq!(
        texts,
        ["3", "4", "5", "6", "0", "1", "2", "7", "8", "9", "3"],
        "each as often as it was sent"
    );
    assert!(!alice.was_told(|event| matches!(event, Event::Missed { .. })), "{:?}", alice.told);
}

#[test]
fn what_a_plain_peer_repeats_is_shown_once_only_where_it_may_be_the_member() {
    for is_dialled in [false, true] {
        let mut alice = if is_dialled { Alice::who_dials(&[address(2, 5000)]) } else { Alice::new() };
        let plain = if is_dialled { alice.answer().0 } else { alice.accept(address(2, 1001)) };
        alice.hear(plain, &message("bob", "early"));
        let bob = alice.meet(address(2, 1000), 2, "bob");
        for (first, second) in [(plain, bob), (bob, plain)] {
            alice.told.clear();
            alice.hear(first, &message("bob", "hello"));
            alice.hear(second, &message("bob", "hello"));
            // A member that dials sends its hello first.
            assert_eq!(alice.shown().len(), if is_dialled { 1 } else { 2 }, "{is_dialled}, {:?}", alice.told);
        }
    }
}

#[test]
fn a_connection_to_oneself_is_found_though_another_has_the_same_end() {
    let mut alice = Alice::who_dials(&[address(1, 5000), address(2, 5000)]);
    // The system gives one port to connections to different addresses.
    let local = address(1, 40_000);
    while let Some(attempt) = alice.group.poll_dial(alice.now) {
        alice.streams += 1;
        alice.group.handle_dialing(attempt, alice.streams, local, alice.now);
    }
    assert_eq!(alice.streams, 2);
    assert_eq!(alice.group.handle_accepted(3, local, address(1, 5000), alice.now), Err(3));
}

#[test]
fn another_run_at_a_place_with_two_addresses_takes_the_place_of_the_first() {
    let place = vec![address(2, 5000), address(3, 5000)];
    let mut alice = Alice::who_dials_peers(vec![Peer { name: "bob".into(), addresses: place }]);
    for number in [2, 3] {
        let (bob, _) = alice.answer();
        alice.be_met(bob, number, "bob");
        if number == 2 {
            alice.close(bob);
            alice.pass(Duration::from_secs(60));
        }
    }
    let names = alice.told.iter().filter_map(|event| match event {
        Event::Joined { peer } => Some(&*peer.name),
        _ => None,
    });
    assert_eq!(names.collect::<Vec<_>>(), ["bob", "bob"]);
    assert_eq!(alice.pass_alone(Duration::from_secs(60)), []);
}

#[test]
fn the_user_can_name_so_many_peers_and_no_more() {
    let named: Vec<_> = (0..NAMED_MAX as u16).map(|number| address(2, 1 + number)).collect();
    let mut alice = Alice::who_dials(&named);
    for (peer, result) in [(address(3, 5000), Connecting::Full), (named[0], Connecting::Dialling)] {
        let peer = Peer { name: "x".into(), addresses: vec![peer] };
        assert_eq!(alice.group.connect(peer, alice.now), result);
    }
}

/// A pipe says more than the log holds while the first peer introduces itself and tells of the others.
#[test]
fn what_the_group_is_owed_is_kept_until_its_members_are_known() {
    let mut alice = Alice::who_dials(&[address(2, 5000)]);
    let say_all = |alice: &mut Alice, client: Option<ClientId>| {
        let (now, before) = (alice.now, alice.group.log_end());
        for _ in 0..100 {
            while alice.group.log_end() <= alice.group.send_limit(now)
                && alice.group.log_end() < before + (8 << 20)
            {
                alice.group.broadcast(&"x".repeat(1000), at());
                match client {
                    // A connected peer takes it at once.
                    Some(client) => drop(alice.hear(client, "")),
                    None => alice.settle(),
                }
            }
        }
    };
    let (bob, _) = alice.answer();
    say_all(&mut alice, None);
    alice.greet(bob, 2, "bob");
    say_all(&mut alice, Some(bob));
    alice.hear_frame(bob, "join 20\nfrom 0 0");
    say_all(&mut alice, Some(bob));
    alice.hear_frame(bob, &format!("member {} - 10.0.0.3:5000 carol\nend of-list", entry(3)));
    say_all(&mut alice, Some(bob));
    let (carol, _) = alice.answer();
    let told = alice.be_met(carol, 3, "carol");
    assert_eq!(value(&told, "from"), Some("0 0".into()), "everything is for carol, too");
    let before = alice.group.log_end();
    say_all(&mut alice, Some(bob));
    assert!(alice.group.log_end() > before + (4 << 20), "now nothing waits any more");
}

#[test]
fn a_script_waits_until_its_peer_has_told_of_the_others() {
    let mut alice = Alice::who_dials(&[address(2, 5000)]);
    let (bob, _) = alice.answer();
    alice.agree_dialled(bob, 2);
    assert!(alice.group.is_reaching_out(alice.now, alice.now));
    alice.hear_frame(bob, &hello(2, "bob"));
    assert!(alice.group.is_reaching_out(alice.now, alice.now));
    alice.hear_frame(bob, "join 20\nfrom 0 0");
    assert!(alice.group.is_reaching_out(alice.now, alice.now));
    alice.hear_frame(bob, "end of-list");
    assert!(!alice.group.is_reaching_out(alice.now, alice.now));
}

// What is said to one alone, and new names.

/// What she says to bob alone, as it comes to him.
fn whisper(alice: &mut Alice, text: &str) -> Result<(), NotPrivate> {
    let (peer, _) = alice.group.find("bob").expect("she knows him");
    alice.group.send_private(&peer, text, at())
}

#[test]
fn only_a_member_is_heard_in_private_and_each_number_once() {
    let mut alice = Alice::new();
    let stranger = alice.accept(address(9, 1000));
    alice.hear(stranger, &private("0", "x", "before anything"));
    assert!(alice.is_open(stranger));
    alice.close(stranger);
    let stranger = alice.agree(address(9, 1001), 2);
    alice.hear(stranger, &private("0", "bob", "before a hello"));
    assert!(!alice.is_open(stranger));
    let bob = alice.meet(address(2, 1000), 2, "bob");
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
    let is_private = |event: &&Event| matches!(event, Event::Message { is_private: true, .. });
    assert_eq!(alice.told.iter().filter(is_private).count(), 4);
    alice.pass(ACK_INTERVAL);
    let told = alice.hear(bob, "");
    assert_eq!(value(&told, "private-ack"), Some("4".into()), "{told}");
}

#[test]
fn what_is_said_in_private_is_sent_to_one_and_again_until_it_has_it() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    let carol = alice.meet(address(3, 1000), 3, "carol");
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
    alice.hear_frame(bob, "private-ack 1");
    alice.close(bob);
    assert!(whisper(&mut alice, "three").is_ok(), "he may be back");
    let (bob, sent) = alice.meet_again(address(2, 1001), 2, "resume 0\nprivate-ack 1");
    assert_eq!(value(&sent, "private-from"), Some("1".into()), "{sent}");
    assert!(
        !sent.contains("one<PRIV") && sent.contains("1\n[") && sent.contains("three<PRIVENCD>"),
        "{sent}"
    );
    alice.hear_frame(bob, "private-ack 9007199254740991");
    assert_eq!(alice.group.recipients_behind(), []);
    assert!(whisper(&mut alice, "four").is_ok());
    assert!(alice.hear(bob, "").starts_with("9007199254740991\n["));
}

#[test]
fn what_was_on_its_way_over_a_connection_that_ended_is_told_over_the_other() {
    let mut alice = Alice::new();
    let one = alice.meet(address(2, 1000), 2, "bob");
    let lines = "resume 0\nlinked yes\nprivate-ack 0";
    let (other, _) = alice.meet_again(address(2, 1001), 2, lines);
    whisper(&mut alice, "one").expect("he is here");
    alice.group.rename("al".into());
    let links = [one, other].map(|link| (link, alice.hear(link, "")));
    let (taken, _) = links.iter().find(|(_, sent)| sent.contains("one<PRIVENCD>")).expect("it was sent");
    alice.close(*taken);
    let left = if *taken == one { other } else { one };
    let sent = alice.hear(left, "");
    assert!(sent.contains("0\n[") && sent.contains("one<PRIVENCD>"), "{sent}");
    assert_eq!(value(&sent, "name"), Some("1 al".into()));
}

#[test]
fn what_is_kept_for_one_has_a_limit() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    let line = "x".repeat(1_000);
    let said = (0..1_000).take_while(|_| whisper(&mut alice, &line).is_ok()).count();
    assert!((50..70).contains(&said), "{said}");
    assert!(matches!(whisper(&mut alice, &line), Err(NotPrivate::Full(_))));
    alice.hear_frame(bob, &format!("private-ack {said}"));
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
    let bob = alice.meet(address(2, 1000), 2, "bob");
    alice.close(bob);
    whisper(&mut alice, "never comes").expect("kept");
    alice.pass_alone(MEMBER_EXPIRY * 2);
    assert!(
        alice.was_told(|event| matches!(event, Event::Diagnostic(Diagnostic::Undelivered { count: 1, .. }))),
        "{:?}",
        alice.told
    );
    let (bob, told) = alice.meet_again(address(2, 1001), 2, "resume 0");
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
        let new = |event: &Event| match event {
            Event::Renamed { peer, before } if peer.id == Some(id(2)) => Some(format!("{before} is {peer}")),
            _ => None,
        };
        alice.told.iter().filter_map(new).collect::<Vec<_>>()
    };
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    alice.meet(address(3, 1000), 3, "carol");
    let (liar, _) = hear_false_bob(&mut alice, 1000);
    alice.hear_frame(liar, "name 10 fool");
    assert_eq!(renamed(&alice), [""; 0]);
    alice.hear_frame(bob, "name 1 carol");
    alice.hear_frame(bob, "name 0 bob");
    alice.hear_frame(bob, "name 2 ");
    alice.hear_frame(bob, "name 3 rob");
    let carol = format!("carol#{}", &id(2).to_string()[..4]);
    assert_eq!(renamed(&alice), [format!("bob is {carol}"), format!("{carol} is rob")]);
    alice.hear(bob, &message("whoever", "hi"));
    assert!(alice.shown().ends_with(&["rob: hi".into()]));
}

#[test]
fn our_own_new_name_is_told_and_tells_others_apart() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    alice.group.rename("bob".into());
    let told = alice.hear(bob, &message("bob", "who?"));
    assert_eq!(value(&told, "name"), Some("1 bob".into()));
    assert_eq!(alice.shown(), [format!("bob#{}: who?", &id(2).to_string()[..4])]);
    alice.group.rename("al".into());
    alice.hear(bob, &message("bob", "ah"));
    assert!(alice.shown().ends_with(&["bob: ah".into()]));
}

// Connections that are shown as peers.

/// What she tells of connections, in short.
fn told_of_connections(alice: &mut Alice) -> Vec<String> {
    let short = |event: &Event| match event {
        Event::Diagnostic(Diagnostic::Accepted { address }) => Some(format!("accepted {address}")),
        Event::Diagnostic(Diagnostic::Visited { address, why: LostReason::Closed { unfinished_bytes } }) => {
            Some(format!("visited {address}, {unfinished_bytes} bytes"))
        }
        Event::Diagnostic(Diagnostic::Visited { address, why }) => Some(format!("visited {address}: {why}")),
        Event::Diagnostic(Diagnostic::MoreVisitors { host, count }) => {
            Some(format!("{count} more of {host}"))
        }
        Event::Appeared { peer } => Some(format!("appeared {peer}")),
        Event::Identified { before } => Some(format!("identified {before}")),
        Event::Joined { peer } => Some(format!("joined {peer}")),
        Event::Left { peer } => Some(format!("left {peer}")),
        Event::Lost { peer, .. } => Some(format!("lost {peer}")),
        Event::Diagnostic(Diagnostic::NamedLost { peer, .. }) => Some(format!("named lost {peer}")),
        Event::Message { from, text, .. } => Some(format!("{from}: {text}")),
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
    let (at_once, later) = (Duration::ZERO, PLAIN_WAIT_MIN);
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
                alice.pass(PLAIN_WAIT_MIN);
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
    alice.pass(PLAIN_WAIT_MIN);
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
    let first = alice.first_frame(2);
    alice.hear(client, &first);
    assert!(!alice.is_open(client), "a new connection begins with a handshake");
    // He dials again.
    let client = alice.meet(address(2, 1001), 2, "bob");
    alice.close(client);
    let expected =
        ["accepted 10.0.0.2:1000", "appeared bob", "bob: hi", "identified bob", "joined bob", "lost bob"];
    assert_eq!(told_of_connections(&mut alice), expected);
    // One that has sent nothing before its hello is nobody yet.
    let client = alice.accept(address(3, 1000));
    alice.pass(PLAIN_WAIT_MIN);
    alice.agree_on(client, 3);
    alice.hear_frame(client, &hello(3, "carol"));
    assert_eq!(told_of_connections(&mut alice), ["accepted 10.0.0.3:1000", "joined carol"]);
}

#[test]
fn a_named_peer_that_never_sent_anything_is_lost_beside_the_conversation() {
    let mut alice = Alice::who_dials(&[address(2, 5000)]);
    let (client, _) = alice.answer();
    alice.pass(PLAIN_WAIT_MIN);
    alice.close(client);
    assert_eq!(told_of_connections(&mut alice), ["named lost 10.0.0.2:5000"]);
}

#[test]
fn a_name_of_ours_that_is_taken_is_told_once_and_whoever_has_it_is_told_apart() {
    let mut alice = Alice::new();
    let taken = |alice: &Alice| {
        let notices = alice.told.iter().filter_map(|event| match event {
            Event::Diagnostic(Diagnostic::NameTaken { peer, own }) => Some(format!("{peer}, {own}")),
            _ => None,
        });
        notices.collect::<Vec<_>>()
    };
    let bob = run_with(2, "4aa6");
    alice.meet(address(2, 1000), bob, "alice");
    alice.meet(address(3, 1000), 3, "ALICE");
    let own = &alice.group.id().to_string()[..4];
    assert_eq!(taken(&alice), [format!("alice#4aa6, alice#{own}")]);
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
    alice.meet(address(4, 1000), 4, "al");
    assert_eq!(taken(&alice).len(), 2, "it is told for each name of ours");
}

// What somebody tells of members that are not here.

#[test]
fn a_member_is_forgotten_when_nobody_who_is_linked_has_vouched_for_it_for_long() {
    let (hour, step) = (Duration::from_secs(3600), Duration::from_secs(60));
    // What carol says of bob each minute, and after how many minutes, at most, he is forgotten.
    let vouched = format!("member {} 0 10.0.0.2:5000 bob", entry(2));
    let absent = |seconds: u64| format!("absent {seconds} {} 0 10.0.0.2:5000 bob", entry(2));
    for (lines, forgotten) in [
        (String::new(), true),
        (vouched, false),
        (absent(0), false),
        (absent(500), false),
        (absent(MEMBER_EXPIRY.as_secs()), true),
        (absent(9_007_199_254_740_991), true),
        (format!("member {} 0 10.0.0.4:5000 dave", entry(4)), true),
    ] {
        let mut alice = Alice::new();
        let bob = alice.meet(address(2, 1000), 2, "bob");
        let carol = alice.meet(address(3, 1000), 3, "carol");
        alice.close(bob);
        let start = alice.now;
        let is_forgotten = |alice: &Alice| {
            alice.was_told(|event| matches!(event, Event::Diagnostic(Diagnostic::Forgotten { .. })))
        };
        while alice.now < start + hour && !is_forgotten(&alice) {
            alice.hear_frame(carol, &lines);
            alice.pass_alone(step);
        }
        assert_eq!(is_forgotten(&alice), forgotten, "{lines}");
        if forgotten {
            let after = alice.now - start;
            assert!((MEMBER_EXPIRY..=MEMBER_EXPIRY + step).contains(&after), "{lines}: {after:?}");
        }
    }
}

#[test]
fn news_of_a_newcomer_go_out_only_from_the_member_that_it_asked_for_all() {
    for asks in [false, true] {
        let mut alice = Alice::new();
        let bob = alice.meet(address(2, 1000), 2, "bob");
        let carol = alice.meet(address(3, 1000), 3, "carol");
        if asks {
            alice.hear_frame(carol, "ask all");
        }
        alice.pass(NEWS_INTERVAL);
        assert_eq!(alice.hear(bob, "").contains(" carol"), asks);
        assert!(!alice.hear(carol, "").contains(" carol"), "she knows herself");
        // Once.
        alice.pass(NEWS_INTERVAL * 3);
        assert!(!alice.hear(bob, "").contains(" carol"));
    }
}

#[test]
fn two_that_know_different_members_find_out_which() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    let (carol, unknown) = (run_with(3, "3"), run_with(4, "4"));
    alice.meet(address(3, 1000), carol, "carol");
    alice.hear(bob, "");
    let buckets = alice.hear_frame(bob, "digest 0000000000000001");
    let digests = value(&buckets, "buckets").expect("the digests of the buckets");
    assert_eq!(digests.split(',').count(), 16);
    // The answer may have been lost with the link, or its entries not known yet: it is given each time.
    assert_eq!(alice.hear_frame(bob, "digest 0000000000000001"), buckets);
    // He knows nobody with the first digit 3, and somebody whom she does not know.
    let told = alice.hear_frame(bob, &format!("bucket 3 \nbucket 4 {}", id(unknown)));
    assert_eq!(value(&told, "ask"), Some(id(unknown).to_string()), "{told}");
    assert!(told.contains(&format!("member {} ", entry(carol))), "{told}");
    let told = alice.hear_frame(bob, &format!("ask {},{}", id(carol), id(99)));
    assert!(told.contains(&format!("member {} ", entry(carol))), "{told}");
    assert!(!told.contains(&entry(99)) && !told.contains(&id(99).to_string()), "{told}");
    // Whose digests of buckets differ is sent those buckets.
    let (first, rest) = digests.split_once(',').expect("two");
    let differing = format!("buckets {},{rest}", if first == "0".repeat(16) { "1" } else { "0" }.repeat(16));
    let told = alice.hear_frame(bob, &differing);
    assert!(value(&told, "bucket").is_some_and(|ids| ids.starts_with("0 ")), "{told}");
    assert_eq!(told.matches("\nbucket ").count(), 1, "{told}");
    // What has not sixteen parts of sixteen digits is passed over.
    let digest = "1".repeat(16);
    for buckets in
        [format!("{digest},{digest}"), ["1"; 16].join(","), format!("+{}", [&digest[1..]; 16].join(","))]
    {
        assert_eq!(alice.hear_frame(bob, &format!("buckets {buckets}")), "", "{buckets}");
    }
    assert_eq!(alice.hear_frame(bob, "digest 1"), "");
}

/// A member asks for all that a comparison can ask for, in one frame as long as frames are.
#[test]
fn the_reply_to_a_comparison_is_no_longer_than_frames_may_be() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    let digest = "1".repeat(16);
    let ids: Vec<_> = (1..=1_960).map(|number| MemberId(number << 16).to_string()).collect();
    let body = format!("digest {digest}\nbuckets {}\nbucket 0 {}", [&*digest; 16].join(","), ids.join(","));
    assert!((64_000..FRAME_BYTES_MAX).contains(&body.len()), "{} bytes", body.len());
    let reply = alice.hear_frame(bob, &body);
    assert!(alice.is_open(bob));
    let frames: Vec<_> = reply.split_inclusive("<PEERENCD>").collect();
    let longest = frames.iter().map(|frame| frame.len()).max();
    assert!(longest <= Some(FRAME_BYTES_MAX), "{longest:?}");
    let lines: Vec<_> = frames.iter().flat_map(|frame| frame.lines().skip(1)).collect();
    let count = |key: &str| lines.iter().filter(|line| line.starts_with(key)).count();
    assert_eq!((count("buckets "), count("bucket "), count("ask ")), (1, 16, 1), "{} lines", lines.len());
    let inquiry = lines.iter().find(|line| line.starts_with("ask ")).expect("an inquiry");
    assert_eq!(inquiry.split(',').count(), MEMBERS_MAX, "no group has more members");
}

/// Bob was at the address that the user named. Another run answers there, and is gone before it proves its id.
#[test]
fn a_peer_that_the_user_named_is_dialled_whoever_answers_there_and_breaks() {
    for is_goodbye in [false, true] {
        let mut alice = Alice::who_dials(&[address(2, 5000)]);
        let (bob, _) = alice.answer();
        alice.be_met(bob, 2, "bob");
        alice.close(bob);
        let (other, _) = alice.answer();
        alice.agree_dialled(other, 3);
        match is_goodbye {
            false => alice.close(other),
            true => _ = alice.hear(other, &exit("carol")),
        }
        let dialled = alice.pass_alone(Duration::from_secs(60));
        assert!(dialled.contains(&address(2, 5000)), "goodbye: {is_goodbye}");
    }
}

/// Somebody has not said who it is while the first member is met.
#[test]
fn the_first_member_that_is_met_is_asked_for_all_members_whoever_else_is_shaking_hands() {
    let mut alice = Alice::new();
    alice.agree(address(9, 1000), 9);
    let (_, told) = alice.hear_hello(address(2, 1000), 2, "bob");
    assert_eq!(value(&told, "ask"), Some("all".to_owned()), "{told}");
}

/// Members that have left are among more members than one may report.
#[test]
fn a_reporter_beyond_its_limit_is_sent_the_tokens_of_those_that_have_left() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    let carol = alice.meet(address(3, 1000), 3, "carol");
    alice.hear_goodbye(carol, 3, "carol");
    let [left, other] = [3, 7].map(|number| format!("member {} - 10.0.0.3:5000 x", entry(number)));
    // As many as one frame holds.
    alice.hear_frame(bob, &vec![other.clone(); 500].join("\n"));
    let mut lines = vec![left];
    lines.resize(501, other);
    let told = alice.hear_frame(bob, &lines.join("\n"));
    assert_eq!(value(&told, "left"), Some(format!("{} {}", id(3), token(3))));
}

#[test]
fn a_member_that_is_removed_is_a_difference_to_the_others() {
    for leaves in [false, true] {
        let mut alice = Alice::new();
        let bob = alice.meet(address(2, 1000), 2, "bob");
        let carol = alice.meet(address(3, 1000), 3, "carol");
        if !leaves {
            alice.close(carol);
        }
        // Nobody vouches for her; comparisons end long before she expires.
        alice.pass_alone(MEMBER_EXPIRY - Duration::from_secs(60));
        assert!(alice.hear(bob, "").contains("digest "));
        alice.pass_alone(Duration::from_secs(30));
        assert!(!alice.hear(bob, "").contains("digest "), "it is settled");
        if leaves {
            alice.hear_goodbye(carol, 3, "carol");
        }
        alice.pass_alone(Duration::from_secs(60));
        assert!(alice.hear(bob, "").contains("digest "), "leaves: {leaves}");
    }
}

#[test]
fn a_member_that_has_expired_is_not_added_again_by_whoever_still_knows_it() {
    for (age, is_dialled) in
        [(0, true), (MEMBER_EXPIRY.as_secs() - 60, true), (MEMBER_EXPIRY.as_secs(), false)]
    {
        let mut alice = Alice::new();
        let bob = alice.meet(address(2, 1000), 2, "bob");
        alice.hear_frame(bob, &format!("absent {age} {} 0 10.0.0.5:5000 eve", entry(5)));
        let dialled = alice.pass_alone(Duration::from_secs(10));
        assert_eq!(dialled.contains(&address(5, 5000)), is_dialled, "{age}");
    }
}

#[test]
fn each_member_is_asked_about_an_absent_one_within_minutes() {
    for count in 4..9 {
        let mut alice = Alice::new();
        let lost = alice.meet(address(2, 1000), 2, "bob");
        let others: Vec<_> =
            (3..3 + count).map(|host| alice.meet(address(host, 1000), u128::from(host), "carol")).collect();
        alice.close(lost);
        let mut asked = BTreeSet::new();
        for _ in 0..MEMBER_EXPIRY.as_secs() / 2 {
            alice.pass_alone(Duration::from_secs(1));
            for &other in &others {
                // Nobody agrees with her, so comparisons go on.
                if alice.hear_frame(other, "digest 0000000000000001").contains("ask ") {
                    asked.insert(other);
                }
            }
        }
        assert_eq!(asked.len(), others.len(), "of {count}");
    }
}

// Bounds. Whatever strangers and members do, dials, bytes and steps stay within them.

/// How somebody takes dials who never asked for any.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Refuses,
    Closes,
    SpeaksHttp,
    SaysNothing,
    IsSilent,
}

/// Whether a victim has the address.
fn is_victim_s(address: SocketAddr) -> bool {
    match address {
        SocketAddr::V4(address) => address.ip().octets()[..3] == [10, 66, 0],
        SocketAddr::V6(address) => address.ip().segments()[..4] == [0x2001, 0xdb8, 0, 0],
    }
}

/// For 40 s, counts what she dials at the victim: never more than 60 in 10 s, nor more than 4 at a time.
#[track_caller]
fn check_dials(mut alice: Alice, victim: Victim, what: &str) {
    let start = alice.now;
    let (mut times, mut open) = (Vec::new(), Vec::new());
    while alice.now < start + Duration::from_secs(40) {
        alice.pass(Duration::from_millis(50));
        while let Some(attempt) = alice.group.poll_dial(alice.now) {
            if !is_victim_s(attempt.address) {
                alice.group.handle_dial_failed(attempt, "refused".into(), alice.now);
                continue;
            }
            times.push(alice.now);
            match victim {
                Victim::Refuses => {
                    alice.group.handle_dial_failed(attempt, "refused".into(), alice.now);
                }
                Victim::Closes => {
                    let client = alice.answer_to(attempt);
                    alice.close(client);
                }
                Victim::SpeaksHttp => {
                    let client = alice.answer_to(attempt);
                    alice.hear(client, "HTTP/1.1 400 Bad Request\r\n\r\n");
                    if alice.is_open(client) {
                        alice.close(client);
                    }
                }
                Victim::SaysNothing => {
                    let client = alice.answer_to(attempt);
                    open.push((client, alice.streams));
                }
                Victim::IsSilent => {
                    alice.streams += 1;
                    let local = address(1, 40_000 + alice.streams as u16);
                    let client = alice.group.handle_dialing(attempt, alice.streams, local, alice.now);
                    open.push((client, alice.streams));
                }
            }
            open.retain(|(client, stream)| alice.group.stream_mut(*client).is_some_and(|it| it == stream));
            assert!(open.len() <= 4, "{} at a time, {victim:?}, {what}", open.len());
        }
    }
    assert!(times.len() >= 4, "nothing was tested: {victim:?}, {what}");
    for (index, first) in times.iter().enumerate() {
        let count = times[index..].iter().filter(|at| **at < *first + Duration::from_secs(10)).count();
        assert!(count <= 60, "{count} dials in 10 s, {victim:?}, {what}");
    }
}

const VICTIMS: [Victim; 5] =
    [Victim::Refuses, Victim::Closes, Victim::SpeaksHttp, Victim::SaysNothing, Victim::IsSilent];

#[test]
fn nobody_is_flooded_with_dials_by_what_somebody_tells_of_made_up_members() {
    type Addresses = fn(usize) -> String;
    let told: [(&str, Addresses); 5] = [
        ("one address", |_| "10.66.0.1:80".into()),
        ("ports of one host", |number| format!("10.66.0.1:{}", 1000 + number)),
        ("eight ports each", |number| {
            let ports = (0..8).map(|port| format!("10.66.0.1:{}", 1000 + 8 * number + port));
            ports.collect::<Vec<_>>().join(",")
        }),
        ("addresses of one network", |number| format!("[2001:db8::{number:x}]:80")),
        ("mapped addresses", |number| format!("[::ffff:10.66.0.1]:{}", 1000 + number)),
    ];
    for (what, addresses) in told {
        for victim in VICTIMS {
            for is_list in [false, true] {
                let mut alice = Alice::new();
                let (mallory, _) = alice.hear_hello(address(9, 1000), 9, "mallory");
                let end = if is_list { "" } else { "\nend of-list" };
                alice.hear_frame(mallory, &format!("resume 0\nfrom 0 0{end}"));
                let lines: Vec<_> = (0..MEMBERS_MAX)
                    .map(|number| {
                        format!("member {} - {} x", entry(1000 + number as u128), addresses(number))
                    })
                    .collect();
                lines.chunks(100).for_each(|lines| drop(alice.hear_frame(mallory, &lines.join("\n"))));
                check_dials(alice, victim, what);
            }
        }
    }
}

#[test]
fn nobody_is_flooded_with_dials_by_what_somebody_tells_of_members_that_were_met() {
    for victim in VICTIMS {
        let mut alice = Alice::new();
        let mallory = alice.meet_mallory();
        for number in 0..300 {
            let client =
                alice.meet(address(9, 2000 + number), 1000 + u128::from(number), &format!("x{number}"));
            alice.close(client);
        }
        for number in 0..300_u128 {
            let lie = format!("member {} - 10.66.0.1:{} x", entry(1000 + number), 1000 + number);
            alice.hear_frame(mallory, &lie);
        }
        check_dials(alice, victim, "members that were met");
    }
}

/// What `client` has yet to take, in bytes; `None` where it is closed for it.
fn queued(alice: &mut Alice, client: ClientId) -> Option<usize> {
    let stream = alice.group.stream_mut(client).copied()?;
    alice.written.remove(&stream);
    alice.slow.remove(&stream);
    alice.settle();
    alice.group.stream_mut(client)?;
    Some(alice.written.remove(&stream).unwrap_or_default().len())
}

#[test]
fn what_is_queued_for_a_member_that_reads_a_little_has_a_limit() {
    // For each round: what it sends on the slow connection, and whether it opens and closes another one.
    let all: String = (0..16).map(|digit| format!("\nbucket {digit:x} ")).collect();
    let ids: Vec<_> = (0..500).map(|number| id(1000 + number).to_string()).collect();
    for (what, lines, reopens) in [
        ("opens another", String::new(), true),
        ("asks for all", "ask all".into(), false),
        ("asks for some", format!("ask {}", ids.join(",")), false),
        ("knows nobody", all, false),
        ("has other digests", "digest 1<PEERENCD>groupchat/2\ndigest 2".into(), false),
    ] {
        for rounds in [1, 20, 300] {
            let mut alice = Alice::new();
            for number in 0..500 {
                let client =
                    alice.meet(address(8, 1000 + number), 1000 + u128::from(number), &format!("x{number}"));
                alice.hear(client, "");
            }
            let mallory = alice.meet(address(9, 1000), 1, "bob");
            for _ in 0..60 {
                whisper(&mut alice, &"x".repeat(1000)).expect("room");
            }
            let stream = *alice.group.stream_mut(mallory).expect("it is open");
            alice.slow.insert(stream, 10);
            // What one read brings.
            let frames = format!("groupchat/2\n{lines}<PEERENCD>");
            let burst = frames.repeat((READ_TURN_BYTES / frames.len()).min(rounds));
            for _ in 0..if reopens { rounds } else { 3 } {
                if alice.is_open(mallory) && !lines.is_empty() {
                    alice.hear(mallory, &burst);
                }
                if alice.is_open(mallory) && reopens {
                    let lines = "resume 0\nlinked yes\nprivate-ack 0\nask all";
                    let (other, _) = alice.meet_again(address(9, 1001), 1, lines);
                    alice.close(other);
                }
            }
            // The log has its own limit; what is queued beside it has the same.
            let bytes = queued(&mut alice, mallory);
            assert!(
                bytes.is_none_or(|bytes| bytes < 2 * LOG_BYTES),
                "{what}: {bytes:?} bytes after {rounds}"
            );
        }
    }
}

#[test]
fn the_right_address_is_dialled_though_eight_wrong_ones_were_told_first() {
    let wrong = (1..=8).map(|port| format!("10.66.0.1:{port}")).collect::<Vec<_>>().join(",");
    let right = address(3, 5000);
    // Whether the right one is told at once, and then only when bob is asked; whether the wrong ones were told on the
    // first list; and whether bob is on the host of the first liar.
    for told_at_once in [false, true] {
        for (is_list, bob_host) in [(false, 2), (true, 2), (false, 9), (true, 9)] {
            let mut alice = if is_list { Alice::who_dials(&[address(9, 5000)]) } else { Alice::new() };
            let mallory = if is_list {
                let (mallory, _) = alice.answer();
                alice.greet(mallory, 9, "mallory");
                alice.hear_frame(mallory, "join 20\nfrom 0 0");
                mallory
            } else {
                alice.meet_mallory()
            };
            let bob = alice.meet(address(bob_host, 1001), 2, "bob");
            alice.hear_frame(mallory, &format!("member {} - {wrong} carol", entry(3)));
            // One host fills half of the list. This one lies, too.
            let trudy = alice.meet(address(8, 1000), 8, "trudy");
            let more = wrong.replace("10.66.0.1", "10.66.0.2");
            alice.hear_frame(trudy, &format!("member {} - {more} carol", entry(3)));
            let truth = format!("member {} 0 {right} carol", entry(3));
            let mut dialled = Vec::new();
            if told_at_once {
                alice.hear_frame(bob, &truth);
            } else {
                dialled.extend(alice.pass_alone(Duration::from_secs(60)));
                assert!(!dialled.contains(&right));
                alice.hear_frame(bob, &truth);
            }
            for _ in 0..180 {
                dialled.extend(alice.pass_alone(Duration::from_secs(1)));
                // Bob answers as a member does.
                let told = alice.hear(bob, "");
                if value(&told, "ask").is_some_and(|ids| ids.contains(&id(3).to_string())) {
                    alice.hear_frame(bob, &truth);
                }
            }
            assert!(dialled.contains(&right), "at once: {told_at_once}, list: {is_list}, bob: {bob_host}");
        }
    }
}

#[test]
fn a_liar_that_tells_of_new_wrong_addresses_every_second_keeps_nobody_from_being_dialled() {
    let mut alice = Alice::new();
    let mallory = alice.meet_mallory();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    let right = address(3, 5000);
    let mut dialled = Vec::new();
    for second in 0..300 {
        let wrong =
            (0..8).map(|port| format!("10.66.0.1:{}", 1 + 8 * second + port)).collect::<Vec<_>>().join(",");
        alice.hear_frame(mallory, &format!("member {} - {wrong} carol", entry(3)));
        if second == 30
            || value(&alice.hear(bob, ""), "ask").is_some_and(|ids| ids.contains(&id(3).to_string()))
        {
            alice.hear_frame(bob, &format!("member {} 0 {right} carol", entry(3)));
        }
        dialled.extend(alice.pass_alone(Duration::from_secs(1)));
    }
    assert!(dialled.contains(&right), "{} dials at others", dialled.len());
}

#[test]
fn dead_addresses_do_not_hold_the_user_back_for_longer_than_a_handshake() {
    let mut alice = Alice::who_dials(&[address(9, 5000)]);
    let (mallory, _) = alice.answer();
    alice.greet(mallory, 9, "mallory");
    // It never ends its list.
    alice.hear_frame(mallory, "join 20\nfrom 0 0");
    let (start, lines) = (alice.now, dead(600));
    let mut lines = lines.lines();
    let mut held_back = Vec::new();
    for second in 0..60 {
        let ten: Vec<_> = lines.by_ref().take(10).collect();
        alice.hear_frame(mallory, &ten.join("\n"));
        // Nobody answers there.
        while let Some(attempt) = alice.group.poll_dial(alice.now) {
            alice.streams += 1;
            let local = address(1, 40_000 + alice.streams as u16);
            alice.group.handle_dialing(attempt, alice.streams, local, alice.now);
        }
        for _ in 0..2_000 {
            if alice.group.log_end() > alice.group.send_limit(alice.now) {
                held_back.push(second);
                break;
            }
            alice.group.broadcast(&"x".repeat(1000), at());
            alice.hear(mallory, "");
        }
        alice.pass(Duration::from_secs(1));
    }
    assert!(alice.now >= start + Duration::from_secs(60));
    assert!(held_back.iter().all(|second| *second < 10), "held back after {held_back:?} seconds");
}

#[test]
fn a_rename_costs_the_same_however_many_have_the_name() {
    let mut counts = Vec::new();
    for members in [10, 900] {
        let mut alice = Alice::new();
        let mut renamer = None;
        for number in 0..members {
            // They share the first digits of their ids, so that the tags of many are longer than others.
            let from = address(8, 1000 + number);
            let client = alice.meet(from, run_with(1000 + u128::from(number), "7a"), "same");
            renamer.get_or_insert(client);
        }
        alice.pass(Duration::from_secs(120));
        let renamer = renamer.expect("the first one");
        alice.hear(renamer, "");
        alice.written.clear();
        alice.told.clear();
        let labels = |alice: &Alice| -> BTreeMap<_, _> {
            alice.group.roster().into_iter().map(|one| (one.peer.id, one.peer.name.to_string())).collect()
        };
        let (mut changed, mut before) = (0, labels(&alice));
        for number in 1..=1_000 {
            let name = if number % 2 == 0 { "same" } else { "sam" };
            alice.hear_frame(renamer, &format!("name {number} {name}"));
            if number % 50 < 2 {
                let after = labels(&alice);
                let of_others = before.iter().filter(|(id, label)| after[*id] != **label).count();
                changed = changed.max(of_others);
            }
            if (number + 1) % 50 < 2 {
                before = labels(&alice);
            }
        }
        let written: usize = alice.written.values().map(Vec::len).sum();
        assert_eq!(alice.told.len(), 1_000, "one event each");
        counts.push((changed, written));
    }
    assert_eq!(counts[0], counts[1]);
    assert!(counts[1].0 <= 3 && counts[1].1 == 0, "{counts:?}");
}

/// Somebody tells of a member, or says that it is one, that nobody can meet.
#[test]
fn a_made_up_member_does_not_count_as_one_that_lacks_messages() {
    for is_list in [false, true] {
        for victim in VICTIMS {
            let mut alice = Alice::who_dials(&[address(9, 5000)]);
            let (mallory, _) = alice.answer();
            alice.greet(mallory, 9, "mallory");
            let end = if is_list { "" } else { "\nend of-list" };
            alice.hear_frame(mallory, &format!("join 20\nfrom 0 0{end}"));
            alice.hear_frame(
                mallory,
                &format!("member {} 0 10.66.0.1:5000 x\nabsent 5 {} 0 10.66.0.2:5000 y", entry(5), entry(6)),
            );
            alice.agree(address(8, 1000), 7);
            let mut sent = 0;
            for _ in 0..300 {
                while let Some(attempt) = alice.group.poll_dial(alice.now) {
                    match victim {
                        Victim::Refuses | Victim::IsSilent => {
                            alice.group.handle_dial_failed(attempt, "refused".into(), alice.now);
                        }
                        Victim::Closes | Victim::SpeaksHttp => {
                            let client = alice.answer_to(attempt);
                            alice.close(client);
                        }
                        Victim::SaysNothing => drop(alice.answer_to(attempt)),
                    }
                }
                alice.group.broadcast("hello", at());
                sent += 1;
                alice.hear_frame(mallory, &format!("ack {sent}"));
                let behind = alice.group.recipients_behind();
                let is_made_up = |behind: &&PeerInfo| behind.address != Some(address(9, 5000));
                assert_eq!(behind.iter().find(is_made_up), None, "{victim:?}");
                alice.pass(Duration::from_millis(100));
            }
            alice.group.leave(alice.now, at(), address(1, 5000));
            alice.settle();
            alice.hear_frame(mallory, &format!("ack {}", sent + 1));
            alice.close(mallory);
            alice.pass(LEAVE_TIMEOUT);
            assert!(
                !alice.was_told(|event| matches!(event, Event::Diagnostic(Diagnostic::Undelivered { .. }))),
                "{:?}",
                alice.told
            );
            assert!(alice.group.has_left());
        }
    }
}

#[test]
fn leaving_ends_in_time_whatever_a_reader_does_that_takes_a_byte_at_a_time() {
    for sends in [false, true] {
        let mut alice = Alice::who_dials(&[address(4, 5000)]);
        let (named, _) = alice.answer();
        let member = alice.meet(address(2, 1000), 2, "bob");
        let plain = alice.accept(address(3, 1000));
        alice.hear(plain, &message("nc", "hi"));
        alice.pass(PLAIN_WAIT_MIN);
        let greeted = alice.agree(address(6, 1000), 6);
        let silent = alice.accept(address(7, 1000));
        let readers = [named, member, plain, greeted, silent].map(|client| {
            let stream = *alice.group.stream_mut(client).expect("it is open");
            alice.slow.insert(stream, 1);
            (client, stream)
        });
        // One that takes everything, and closes nothing.
        alice.meet(address(5, 1000), 5, "carol");
        for _ in 0..200 {
            alice.group.broadcast(&"x".repeat(1000), at());
        }
        alice.settle();
        alice.group.leave(alice.now, at(), address(1, 5000));
        let start = alice.now;
        while !alice.group.has_left() && alice.now < start + LEAVE_TIMEOUT * 2 {
            alice.pass(Duration::from_millis(100));
            for (client, stream) in readers {
                if sends && alice.group.stream_mut(client) == Some(&mut { stream }) {
                    alice.hear(client, "x");
                }
            }
        }
        let time = alice.now - start;
        assert!(alice.group.has_left() && time <= LEAVE_TIMEOUT + LINGER_TIMEOUT, "{time:?}");
        assert!(time > LEAVE_TIMEOUT / 2, "nothing was tested: {time:?}");
    }
}

#[test]
fn a_plain_peer_is_in_the_roster_until_its_goodbye_is_over() {
    let mut alice = Alice::new();
    let plain = alice.accept(address(2, 1000));
    alice.hear(plain, &message("alice", "hello"));
    alice.group.leave(alice.now, at(), address(1, 5000));
    alice.settle();
    assert!(!alice.shut_down.is_empty(), "it is half-closed");
    // Whoever makes our name ambiguous is there to be seen.
    assert!(!alice.group.own_label().mark().is_empty());
    assert_eq!(alice.group.roster().len(), 1);
}

#[test]
fn a_member_s_second_connection_is_no_plain_peer_s_while_we_leave() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    alice.hear(bob, &message("bob", "hello"));
    let second = alice.accept(address(2, 1001));
    alice.group.leave(alice.now, at(), address(1, 5000));
    alice.settle();
    assert!(alice.shut_down.len() == 2 && alice.is_open(second), "both are half-closed");
    let first = alice.first_frame(2);
    alice.hear(second, &first);
    alice.hear(second, &message("bob", "hello"));
    assert_eq!(alice.shown(), ["bob: hello"]);
    alice.pass(LINGER_TIMEOUT);
    assert!(alice.group.has_left());
}

#[test]
fn a_member_that_was_lost_before_we_came_is_no_news() {
    for (key, is_shown) in [("member", true), ("absent 5", false)] {
        let mut alice = Alice::who_dials(&[address(2, 5000)]);
        let bob = alice.answer().0;
        alice.be_met(bob, 2, "bob");
        alice.hear_frame(bob, &format!("{key} {} 0 10.0.0.3:5000 carol", entry(3)));
        alice.pass(NEWS_DIAL_DELAY * 2);
        let attempt = alice.group.poll_dial(alice.now).expect("carol");
        alice.group.handle_dial_failed(attempt, "refused".into(), alice.now);
        alice.group.broadcast("hello", DateTime::UNIX_EPOCH.fixed_offset());
        alice.group.leave(alice.now, DateTime::UNIX_EPOCH.fixed_offset(), address(1, 5000));
        alice.settle();
        let was_told = |what: fn(&Event) -> bool| alice.was_told(what);
        assert_eq!(
            was_told(|event| matches!(event, Event::Diagnostic(Diagnostic::Unreachable { .. }))),
            is_shown,
            "{key}"
        );
        assert_eq!(
            was_told(|event| matches!(event, Event::Diagnostic(Diagnostic::Unmet { count: 1 }))),
            is_shown,
            "{key}"
        );
    }
}

/// Frames that are begun and not finished have a limit for all together, and each an end.
#[test]
fn unfinished_frames_hold_no_memory_for_ever() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    let typed = alice.accept(address(3, 1000));
    alice.hear(typed, "typed by ha");
    let begun = format!("[{}", "x".repeat(60_000));
    let mut strangers: Vec<_> = (0..500).map(|port| alice.accept(address(9, 1000 + port))).collect();
    for &stranger in &strangers {
        alice.hear(stranger, &begun);
    }
    strangers.retain(|stranger| alice.is_open(*stranger));
    let kept = strangers.len() * begun.len();
    assert!(kept <= UNFINISHED_BYTES_MAX && kept > UNFINISHED_BYTES_MAX / 2, "{kept} bytes are kept");
    alice.hear(typed, "nd<MSGENCD>and m");
    assert!(alice.shown().iter().any(|line| line.ends_with("typed by hand")), "{:?}", alice.shown());
    alice.pass(FRAME_TIMEOUT - Duration::from_secs(1));
    assert!(alice.is_open(typed) && alice.is_open(strangers[0]));
    alice.pass(Duration::from_secs(2));
    strangers.retain(|stranger| alice.is_open(*stranger));
    assert_eq!((strangers.len(), alice.is_open(typed)), (0, false));
    assert!(alice.is_open(bob));
}

#[test]
fn all_members_are_sent_once_on_a_link() {
    let mut alice = Alice::new();
    alice.meet(address(2, 1000), 2, "bob");
    let mallory = alice.meet_mallory();
    let lists: Vec<_> = (0..3).map(|_| alice.hear_frame(mallory, "ask all")).collect();
    let counts: Vec<_> = lists.iter().map(|list| list.matches("end of-list").count()).collect();
    // `meet` may have asked before.
    assert!(counts.iter().sum::<usize>() <= 1 && counts[1..] == [0, 0], "{lists:?}");
}

/// One turn writes one budget to all connections together, and those that it does not reach are the first in the next
/// one, though more is sent in each: nobody is overrun.
#[test]
fn a_turn_writes_one_budget_to_all_connections_together() {
    const READERS: u16 = 40;
    let mut alice = Alice::new();
    let clients: Vec<_> = (0..READERS).map(|port| alice.accept(address(2, port))).collect();
    alice.pass(PLAIN_WAIT_MIN);
    let (mut written, mut sent) = (BTreeMap::<usize, usize>::new(), 0);
    for turn in 0..60 {
        let limit = alice.group.send_limit(alice.now);
        while turn < 40 && alice.group.log_end() <= limit && sent < (turn + 1) * (LOG_BYTES / 4) {
            alice.group.broadcast(&"x".repeat(60_000), at());
            sent = alice.group.log_end() as usize;
        }
        let (mut bytes, mut calls) = (0, 0);
        let has_more = alice.group.flush(alice.now, |_, stream, some, _| {
            *written.entry(*stream).or_default() += some.len();
            (bytes, calls) = (bytes + some.len(), calls + 1);
            some.len()
        });
        assert!(bytes <= WRITE_TURN_BYTES, "{bytes} bytes in one turn");
        assert!(calls <= WRITE_TURN_BYTES / WRITE_CALL_BYTES + 1, "{calls} writes in one turn");
        let behind = written.len() < clients.len() || written.values().any(|count| *count < sent);
        assert_eq!(has_more, behind, "turn {turn}");
        let least = ((turn + 1) * WRITE_TURN_BYTES / WRITE_SHARE_BYTES).min(clients.len());
        assert!(written.len() >= least, "{} of {least} in turn {turn}", written.len());
    }
    assert!(written.values().all(|count| *count == sent), "{written:?} of {sent}");
    assert!(sent > 2 * LOG_BYTES);
    assert!(clients.into_iter().all(|client| alice.is_open(client)));
}

/// What a listener does before it closes the connection.
#[derive(Clone, Copy, Debug)]
enum Listener {
    SaysNothing,
    SaysALine,
    Agrees,
    IsMet,
    IsSomebodyElseEachTime,
}

/// Lets a listener do that on each connection, and keep it `open` for a while. Returns when it was dialled.
fn dials_of(listener: Listener, open: Duration, time: Duration) -> Vec<Instant> {
    let mut alice = Alice::who_dials(&[address(2, 5000)]);
    let (start, mut dials) = (alice.now, Vec::new());
    while alice.now < start + time {
        alice.pass(Duration::from_millis(10));
        while let Some(attempt) = alice.group.poll_dial(alice.now) {
            dials.push(alice.now);
            let client = alice.answer_to(attempt);
            match listener {
                Listener::SaysNothing => (),
                Listener::SaysALine => drop(alice.hear(client, &message("bob", "hello"))),
                Listener::Agrees => drop(alice.agree_dialled(client, 2)),
                Listener::IsMet => {
                    alice.greet(client, 2, "bob");
                    alice.hear_frame(client, "resume 0\nfrom 0 0\nend of-list");
                }
                Listener::IsSomebodyElseEachTime => {
                    alice.be_met(client, 2 + dials.len() as u128, "bob");
                }
            }
            alice.pass(open);
            if alice.is_open(client) {
                alice.close(client);
            }
        }
    }
    dials
}

#[test]
fn who_ends_every_connection_soon_is_dialled_less_and_less_often() {
    for listener in [
        Listener::SaysNothing,
        Listener::SaysALine,
        Listener::Agrees,
        Listener::IsMet,
        Listener::IsSomebodyElseEachTime,
    ] {
        let dials = dials_of(listener, Duration::ZERO, Duration::from_secs(10)).len();
        assert!((3..=12).contains(&dials), "{dials} dials in 10 s, {listener:?}");
    }
    for listener in [Listener::SaysALine, Listener::IsMet] {
        let dials = dials_of(listener, RETRY_RESET_TIME, Duration::from_secs(300));
        let pauses = dials.windows(2).map(|two| two[1] - two[0] - RETRY_RESET_TIME);
        let longest = pauses.max().expect("several");
        assert!(longest < RETRY_MIN * 2, "{longest:?}, {listener:?}");
    }
}

#[test]
fn two_names_of_one_version_end_as_the_same_in_either_order() {
    let name_of = |lines: &[&str]| {
        let mut alice = Alice::new();
        let mallory = alice.meet_mallory();
        // What somebody else reported is not a version.
        alice.hear_frame(mallory, &format!("member {} - 10.0.0.2:5000 zoe", entry(2)));
        let client = alice.meet(address(2, 1000), 2, "bob");
        lines.iter().for_each(|line| drop(alice.hear_frame(client, line)));
        let roster = alice.group.roster();
        let bob = roster.iter().find(|one| one.peer.id == Some(id(2))).expect("bob");
        bob.peer.name.to_string()
    };
    assert_eq!(name_of(&[]), "bob");
    assert_eq!(name_of(&["name 1 carl", "name 1 dave"]), "dave");
    assert_eq!(name_of(&["name 1 dave", "name 1 carl"]), "dave");
    assert_eq!(name_of(&["name 1 dave", "name 1 carl", "name 2 carl", "name 1 dave", "name 0 x"]), "carl");
}

/// A plain peer that the user named is sent its framing from the first byte on, once it has used one.
#[test]
fn the_framing_of_a_plain_peer_is_known_when_it_is_dialled_again() {
    let lab = |text: &str| {
        let payload = message("bob", text);
        format!(
            "{}{payload}",
            String::from_utf8((payload.len() as u16).to_be_bytes().to_vec()).expect("text")
        )
    };
    let starts_in = |written: &[u8]| match written.starts_with(b"groupchat/2") {
        true => Framing::Text,
        false => Framing::Lab,
    };
    for (given, first, second) in [
        (None, Framing::Lab, Framing::Text),
        (None, Framing::Text, Framing::Lab),
        (Some(Framing::Lab), Framing::Text, Framing::Lab),
    ] {
        let peer = Peer { name: "bob".into(), addresses: vec![address(2, 5000)] };
        let mut alice = Alice::at(1, given, vec![peer]);
        let mut expected = given.unwrap_or(Framing::Text);
        for (round, framing) in [first, second, second].into_iter().enumerate() {
            let (client, _) = alice.answer();
            let first = alice.hear_bytes(client, b"");
            assert_eq!(starts_in(&first), expected, "round {round}, {given:?}");
            // What is received is in the framing that it begins in, whatever it was before.
            let text = format!("hello {round}");
            let bytes = if framing == Framing::Lab { lab(&text) } else { message("bob", &text) };
            alice.hear_bytes(client, bytes.as_bytes());
            assert_eq!(alice.shown().last(), Some(&format!("bob: {text}")));
            alice.close(client);
            expected = framing;
        }
        // One that says nothing at all this time is no guess.
        let (_, _) = alice.answer();
        alice.told.clear();
        alice.pass(Duration::from_secs(1));
        assert!(!alice.was_told(|event| matches!(event, Event::Diagnostic(Diagnostic::Assumed { .. }))));
    }
}

/// Of those that were accepted, the newest that is nobody's of the host with most of them; never a member, whoever has
/// sent a message, or whoever was dialled.
#[test]
fn room_is_made_by_idle_connections_of_the_host_with_most() {
    let mut alice = Alice::who_dials(&[address(9, 5000)]);
    let (dialled, _) = alice.answer();
    let member = alice.meet(address(9, 1), 2, "bob");
    let speaker = alice.accept(address(9, 2));
    alice.hear(speaker, &message("carol", "hi"));
    let mut idle = Vec::new();
    for port in 0..50 {
        idle.push(alice.accept(address(9, 1000 + port)));
        alice.pass(Duration::from_millis(20));
    }
    // Half a handshake, one that is not finished, and keys without a hello are nothing.
    alice.hear(idle[0], "groupchat/2");
    let first = alice.first_frame(3);
    alice.hear(idle[1], &first);
    alice.agree_on(idle[2], 3);
    let visitor = alice.accept(address(3, 1));
    // Those that have begun a handshake go last.
    idle[..3].rotate_left(1);
    while let Some(newest) = idle.pop() {
        assert!(alice.group.make_room(alice.now));
        alice.settle();
        assert!(!alice.is_open(newest));
    }
    assert!(!alice.group.make_room(alice.now), "the only one of its host may begin a handshake");
    alice.pass(PLAIN_WAIT_MIN);
    while alice.group.make_room(alice.now) {
        alice.settle();
    }
    assert!(!alice.is_open(visitor));
    for client in [dialled, member, speaker] {
        assert!(alice.is_open(client));
    }
    assert!(told_of_connections(&mut alice).iter().filter(|line| line.contains("room")).count() <= 2);
}

#[test]
fn members_that_nobody_can_reach_are_few_lines() {
    for count in [UNMET_SHOWN_MAX, MEMBERS_MAX - 1] {
        let mut alice = Alice::new();
        let mallory = alice.meet_mallory();
        dead(count).lines().for_each(|line| drop(alice.hear_frame(mallory, line)));
        alice.pass_alone(Duration::from_secs(300));
        let shown = alice
            .told
            .iter()
            .filter(|event| matches!(event, Event::Diagnostic(Diagnostic::Unreachable { .. })))
            .count();
        assert!(shown <= UNMET_SHOWN_MAX, "{shown} lines of {count} members");
    }
}

#[test]
fn members_that_are_gone_before_they_have_a_private_message_are_remembered_up_to_a_limit() {
    let mut alice = Alice::new();
    for number in 0..PRIVATE_LOST_MAX + 20 {
        let client = alice.meet(address(9, 1000 + number as u16), 1000 + number as u128, "bob");
        let entry = alice.group.roster().pop().expect("bob");
        alice.group.send_private(&entry.peer, "psst", at()).expect("a member");
        alice.close(client);
        alice.pass(MEMBER_EXPIRY * 2);
    }
    assert_eq!(alice.group.private_undelivered().len(), PRIVATE_LOST_MAX);
    assert!(alice.group.roster().is_empty());
}
