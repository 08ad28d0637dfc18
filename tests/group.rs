//! Groups of the real program that join by one address each: who is connected with whom, what a
//! newcomer is shown, and what comes through when connections break.

mod support;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;
use support::links::{End, established};
use support::sockets::{FreePort, count, listen, messages_of, wait_for_members, wait_until};
use support::{PROGRAM, Peer};

fn name(number: usize) -> String {
    format!("peer{number}")
}

/// Starts peers on loopback, each given the address of one other: `dials[n]` is whom peer `n` dials.
fn start(dials: &[Option<usize>]) -> Vec<Peer> {
    let ports: Vec<_> = dials.iter().map(|_| FreePort::new()).collect();
    let start = |(number, dialled): (usize, &Option<usize>)| {
        let mut arguments = vec!["-n".to_owned(), name(number), "-b".into(), "127.0.0.1".into()];
        arguments.push(ports[number].number());
        arguments.extend(dialled.map(|other| ports[other].address().to_string()));
        Peer::run(Command::new(PROGRAM).args(arguments))
    };
    dials.iter().enumerate().map(start).collect()
}

/// Starts peers like [`start`], and waits until each has met all the others.
fn gather(dials: &[Option<usize>]) -> Vec<Peer> {
    let mut peers = start(dials);
    for peer in &mut peers {
        wait_for_members(peer, dials.len() - 1);
    }
    peers
}

/// How many connections each pair of peers has, those with none left out.
fn links(peers: &[Peer]) -> BTreeMap<(usize, usize), usize> {
    let ends: Vec<_> = peers.iter().map(|peer| established(peer.child.id())).collect();
    let mut links = BTreeMap::new();
    for (one, of_one) in ends.iter().enumerate() {
        for (other, of_other) in ends.iter().enumerate().skip(one + 1) {
            let turned = |end: &End| End { local: end.remote, remote: end.local };
            match of_one.iter().filter(|end| of_other.contains(&turned(end))).count() {
                0 => (),
                count => drop(links.insert((one, other), count)),
            }
        }
    }
    links
}

/// Waits until each pair has exactly one connection, and there are no others.
#[track_caller]
fn wait_for_one_link_a_pair(peers: &[Peer]) {
    if !cfg!(target_os = "linux") {
        return;
    }
    let pairs = peers.len() * (peers.len() - 1) / 2;
    wait_until("each pair has one connection", || {
        let links = links(peers);
        let ends: usize = peers.iter().map(|peer| established(peer.child.id()).len()).sum();
        links.len() == pairs && links.values().all(|count| *count == 1) && ends == 2 * pairs
    });
}

/// Every peer sends `lines` lines, and every other receives each once and in order.
#[track_caller]
fn check_talk(peers: &mut [Peer], lines: usize) {
    for line in 0..lines {
        for peer in &mut *peers {
            peer.write_line(&format!("line {line}"));
        }
    }
    let expected: Vec<_> = (0..lines).map(|line| format!("line {line}")).collect();
    let count = peers.len();
    for (reader, peer) in peers.iter_mut().enumerate() {
        let mut missing = (count - 1) * lines;
        while missing > 0 {
            let line = peer.conversation.next_line().expect("a line of another peer");
            missing -= usize::from(line.contains(": line "));
        }
        for sender in (0..count).filter(|sender| *sender != reader) {
            let mut received = messages_of(&name(sender), &peer.conversation.seen);
            received.retain(|text| text.starts_with("line "));
            assert_eq!(received, expected, "{} at {}", name(sender), name(reader));
        }
    }
}

/// Thirty peers that dial each other in a shape find each other, and each receives the lines of all others.
#[track_caller]
fn check_shape(dials: impl Fn(usize) -> Option<usize>) {
    const COUNT: usize = 30;
    let dials: Vec<_> = (0..COUNT).map(dials).collect();
    let mut peers = gather(&dials);
    wait_for_one_link_a_pair(&peers);
    check_talk(&mut peers, 20);
    for peer in &peers {
        peer.signal(Signal::INT);
    }
    for (number, peer) in peers.iter_mut().enumerate() {
        assert_eq!(peer.exit_code(), 0);
        let lines = peer.conversation.rest();
        assert_eq!(count(&lines, ": line "), 0, "something came twice: {lines:?}");
        let seen = &peer.conversation.seen;
        assert_eq!(count(seen, "has joined"), COUNT - 1, "{}: {seen:?}", name(number));
        assert_eq!(count(seen, "is lost") + count(seen, "is back"), 0, "{}: {seen:?}", name(number));
    }
}

#[test]
fn thirty_peers_that_dial_the_same_one_find_each_other() {
    check_shape(|number| (number > 0).then_some(0));
}

#[test]
fn thirty_in_a_chain_all_find_each_other() {
    check_shape(|number| number.checked_sub(1));
}

#[test]
fn thirty_in_a_ring_all_find_each_other() {
    check_shape(|number| Some((number + 1) % 30));
}

#[test]
fn two_that_dial_each_other_end_with_one_connection() {
    for _ in 0..15 {
        let mut pair = gather(&[Some(1), Some(0)]);
        wait_for_one_link_a_pair(&pair);
        check_talk(&mut pair, 20);
    }
}

#[test]
fn a_peer_named_under_two_addresses_is_connected_once() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let mut alice = Peer::named("peer0", &[]);
    let port = alice.address().port();
    let others = [2, 3].map(|host| SocketAddr::from(([127, 0, 0, host], port)));
    let mut bob = Peer::named("peer1", &others);
    wait_for_members(&mut alice, 1);
    wait_for_members(&mut bob, 1);
    let mut pair = [alice, bob];
    let connections = |peer: &Peer| {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", peer.child.id())).expect("it runs");
        let links = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
    };
    // Sockets for signals and the listening one apart, which are there from the start.
    let alone = connections(&Peer::named("alone", &[]).listening());
    wait_until("one connection is left", || pair.iter().all(|peer| connections(peer) == alone + 1));
    check_talk(&mut pair, 5);
}

#[test]
fn a_pipe_reaches_everybody_through_one_address() {
    let mut peers = gather(&[None, Some(0), Some(1), Some(2), Some(3)]);
    let address = peers[3].address();
    for round in 0..3 {
        let mut bot = Peer::named("bot", &[address]);
        bot.write_line(&format!("one {round}\ntwo {round}"));
        bot.end_input();
        assert_eq!(bot.exit_code(), 0);
        assert_eq!(count(&bot.stderr.rest(), "did not get"), 0, "{:?}", bot.stderr.seen);
        for peer in &mut peers {
            peer.conversation.wait_for("bot has left the chat...");
            let (one, two) = (format!("one {round}"), format!("two {round}"));
            assert!(messages_of("bot", &peer.conversation.seen).ends_with(&[&one, &two]));
        }
    }
}

#[test]
fn a_long_pipe_reaches_everybody_whole() {
    let mut peers = gather(&[None, Some(0), Some(1), Some(2)]);
    let address = peers[0].address().to_string();
    for (round, history) in ["20", "0"].iter().enumerate() {
        // More than the history that is requested, and more than the log holds.
        let lines: Vec<_> = (0..20_000).map(|line| format!("{round} {line}")).collect();
        let mut bot = Peer::start(&["-n", "bot", "--history", history, "0", &address]);
        bot.write_line(&lines.join("\n"));
        bot.end_input();
        for peer in &mut peers {
            peer.conversation.wait_for("bot has left the chat...");
            let received = messages_of("bot", &peer.conversation.seen);
            let received = &received[received.len().saturating_sub(lines.len())..];
            let wrong = received.iter().zip(&lines).position(|(received, line)| received != line);
            assert!(received == lines, "{} lines, the first wrong one is {wrong:?}", received.len());
        }
        assert_eq!(bot.exit_code(), 0);
        assert_eq!(count(&bot.stderr.rest(), "did not get"), 0, "{:?}", bot.stderr.seen);
    }
}

#[test]
fn a_peer_that_was_never_reached_is_reported_too() {
    let mut peers = gather(&[None, Some(0), Some(0)]);
    peers[2].signal(Signal::STOP);
    let address = peers[0].address();
    let mut bot = Peer::named("bot", &[address]);
    bot.write_line("one\ntwo");
    bot.end_input();
    assert_eq!(bot.exit_code(), 0);
    let errors = bot.stderr.rest();
    assert_eq!(count(&errors, "1 member of the group was never reached"), 1, "{errors:?}");
    assert_eq!(count(&errors, "did not get"), 1, "{errors:?}");
}

/// The peer that a pipe dials is stopped and continues later: it is no plain peer, and the rest of
/// its group is reached.
#[test]
fn a_pipe_waits_for_a_slow_handshake() {
    let mut peers = gather(&[None, Some(0)]);
    let address = peers[0].address();
    peers[0].signal(Signal::STOP);
    let mut bot = Peer::named("bot", &[address]);
    bot.write_line("hello");
    bot.end_input();
    bot.stderr.wait_for("connected to ");
    // By now it may have been taken for a plain peer, or not yet: either way it is waited for.
    thread::sleep(groupchat::limits::PLAIN_WAIT_MIN);
    peers[0].signal(Signal::CONT);
    for peer in &mut peers {
        peer.conversation.wait_for("bot: hello");
        peer.conversation.wait_for("bot has left the chat...");
    }
    assert_eq!(bot.exit_code(), 0);
}

// The past.

#[test]
fn a_newcomer_is_shown_the_last_messages_of_each_in_the_order_of_their_times() {
    let mut peers = gather(&[None, Some(0), Some(0)]);
    let mut sent = Vec::new();
    for round in 0..10 {
        for speaker in 0..3 {
            peers[speaker].write_line(&format!("{round}"));
            let line = format!("{}: {round}", name(speaker));
            // The next one sends after this was received, and so at a later time.
            peers[(speaker + 1) % 3].conversation.wait_for(&line);
            sent.push(line);
        }
    }
    let address = peers[2].address();
    for (history, from) in [("20", 0), ("4", 6), ("0", 10)] {
        let mut newcomer = Peer::start(&["-n", "newcomer", "--history", history, "0", &address.to_string()]);
        for peer in &mut peers {
            peer.conversation.wait_for("newcomer has joined");
        }
        peers[1].write_line(&format!("now {history}"));
        newcomer.conversation.wait_for(&format!("] peer1: now {history}"));
        let seen = &newcomer.conversation.seen;
        let past: Vec<_> = seen.iter().filter_map(|line| line.split_once("] ")).map(|(_, it)| it).collect();
        let mut expected: Vec<_> = sent.clone();
        for (index, line) in [("20", "now 20"), ("4", "now 4")] {
            if history.parse::<u32>().expect("a number") < index.parse().expect("a number") {
                // It is among the last of peer 1 by now, before what comes next.
                expected.push(format!("peer1: {line}"));
            }
        }
        let of = |peer: &str| past.iter().filter(|line| line.starts_with(peer)).count();
        let wanted = 10 - from;
        assert_eq!((of("peer0"), of("peer2")), (wanted, wanted), "{past:?}");
        assert_eq!(of("peer1"), wanted + 1, "{past:?}");
        let in_order: Vec<_> = expected.iter().filter(|line| past.contains(&line.as_str())).collect();
        assert!(past[..past.len() - 1].iter().eq(in_order), "{past:?}");
        // The present begins once, behind all of that; where there is no history, there is no such line.
        let line = "--- the messages above were sent before you joined ---";
        assert_eq!(count(seen, line), usize::from(wanted > 0));
        if wanted > 0 {
            let at = seen.iter().position(|it| it == line).expect("it is there");
            assert_eq!(at + 2, seen.len(), "{seen:?}");
        }
        newcomer.signal(Signal::INT);
        newcomer.exit_code();
        for peer in &mut peers {
            peer.conversation.wait_for("newcomer has left the chat...");
        }
    }
}

#[test]
fn a_newcomer_that_is_dialled_is_shown_the_past_like_any_other() {
    let ports = [0; 3].map(|_| FreePort::new());
    let numbers = ports.each_ref().map(FreePort::number);
    let run = |number: usize, dialled: &[&str]| {
        let mut arguments = vec!["-n".to_owned(), name(number), "-b".into(), "127.0.0.1".into()];
        arguments.push(numbers[number].clone());
        arguments.extend(dialled.iter().map(|dialled| (*dialled).to_owned()));
        Peer::run(Command::new(PROGRAM).args(arguments))
    };
    let mut peers = [run(0, &[]), run(1, &[&numbers[0]]), run(2, &[&numbers[0]])];
    for peer in &mut peers {
        wait_for_members(peer, 2);
    }
    peers[0].write_line("one");
    peers[2].conversation.wait_for("peer0: one");
    peers[2].write_line("two");
    peers[0].conversation.wait_for("peer2: two");
    peers[1].kill();
    for reader in [0, 2] {
        peers[reader].conversation.wait_for("peer1 is lost: ");
    }
    // It names no peers: the others find it at its old address.
    peers[1] = run(1, &[]);
    peers[1].conversation.wait_for("--- the messages above were sent before you joined ---");
    let seen = &peers[1].conversation.seen;
    let sent: Vec<_> = seen.iter().filter_map(|line| line.split_once("] ")).map(|(_, it)| it).collect();
    assert_eq!(sent, ["peer0: one", "peer2: two"], "{seen:?}");
}

#[test]
fn messages_sent_without_peers_are_history_for_a_newcomer() {
    let mut alice = Peer::named("alice", &[]);
    let address = alice.address();
    alice.write_line("is anybody here");
    alice.stderr.wait_for("no peer is connected: only peers that join later can read this");
    let mut bob = Peer::named("bob", &[address]);
    bob.conversation.wait_for("alice: is anybody here");
    assert_eq!(
        bob.conversation.next_line().as_deref(),
        Some("--- the messages above were sent before you joined ---")
    );
}

#[test]
fn members_with_one_name_are_disambiguated_everywhere() {
    let mut alice = Peer::named("alice", &[]);
    let address = alice.address();
    let mut first = Peer::named("bob", &[address]);
    alice.conversation.wait_for("bob has joined");
    first.write_line("one");
    alice.conversation.wait_for("] bob: one");
    let mut second = Peer::named("bob", &[address]);
    let joined = alice.conversation.wait_for(" has joined");
    let second_name = joined.strip_suffix(" has joined").expect("it ends in this").to_owned();
    assert!(second_name.starts_with("bob#") && second_name.len() == "bob#".len() + 4, "{second_name}");
    second.write_line("two");
    alice.conversation.wait_for(&format!("] {second_name}: two"));
    first.write_line("three");
    let line = alice.conversation.wait_for(": three");
    let (_, peer) = line.split_once("] ").expect("a time");
    let first_name = peer.strip_suffix(": three").expect("the sender's name").to_owned();
    assert!(first_name.starts_with("bob#") && first_name != second_name, "{first_name}");
    // The same part of the id everywhere, also for a member that met both elsewhere.
    first.conversation.wait_for(&format!("] {second_name}: two"));
    first.kill();
    alice.conversation.wait_for(&format!("{first_name} is lost: "));
    second.end_input();
    alice.conversation.wait_for(&format!("{second_name} has left the chat..."));
}

// Trouble.

/// A proxy between two peers that cuts each connection after a while, so many times.
struct Cutter {
    address: SocketAddr,
    cuts: Arc<AtomicUsize>,
}

impl Cutter {
    /// Leads to `target`. A connection is cut, in both directions at one moment, after a number of
    /// number of bytes that `random` chooses.
    fn start(target: SocketAddr, cuts_max: usize, mut random: fastrand::Rng) -> Self {
        let (listener, address) = listen();
        let cuts = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&cuts);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let near = stream.expect("a connection");
                let Ok(far) = TcpStream::connect(target) else { continue };
                let is_cut = counter.load(Ordering::SeqCst) < cuts_max;
                let limit = if is_cut { random.usize(1..6_000) } else { usize::MAX };
                let passed = Arc::new(AtomicUsize::new(0));
                let directions = [(&near, &far), (&far, &near)].map(|(from, to)| {
                    let from = from.try_clone().expect("a descriptor");
                    let (to, passed) = (to.try_clone().expect("a descriptor"), Arc::clone(&passed));
                    thread::spawn(move || pass_on(from, to, &passed, limit))
                });
                for direction in directions {
                    direction.join().expect("no panic");
                }
                counter.fetch_add(usize::from(is_cut), Ordering::SeqCst);
            }
        });
        Self { address, cuts }
    }

    fn wait_for_cuts(&self, count: usize) {
        wait_until("a connection is cut", || self.cuts.load(Ordering::SeqCst) >= count);
    }
}

/// Copies until the end, which is passed on as well, or until both directions have copied `limit` bytes.
fn pass_on(mut from: TcpStream, mut to: TcpStream, passed: &AtomicUsize, limit: usize) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let before = passed.fetch_add(count, Ordering::SeqCst);
        let may_pass = count.min(limit.saturating_sub(before));
        if to.write_all(&buffer[..may_pass]).is_err() || may_pass < count {
            // A cable that is cut leaves nothing half open. Either end may be gone already.
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Two peers that reach each other only through a [`Cutter`]: each listens where the other is not told
/// that it does.
#[test]
fn nothing_is_lost_or_shown_twice_over_two_hundred_broken_connections() {
    const CUTS: usize = 200;
    const LINES: usize = 10_000;
    if !cfg!(target_os = "linux") {
        // Elsewhere a machine has but one address of its own without further ado.
        return;
    }
    let port = {
        let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).expect("a free port");
        listener.local_addr().expect("its address").port()
    };
    let alice = Peer::start(&["-n", "peer0", "-b", "127.0.0.2", &port.to_string()]);
    let seed = fastrand::u64(..);
    println!("the cuts are those of seed {seed}");
    let target = SocketAddr::from(([127, 0, 0, 2], port));
    let cutter = Cutter::start(target, CUTS, fastrand::Rng::with_seed(seed));
    let bob = Peer::start(&["-n", "peer1", "-b", "127.0.0.3", "0", &cutter.address.to_string()]);
    let mut peers = [alice, bob];
    // Messages that were sent before the two have met are history, of which a newcomer gets the last only.
    for peer in &mut peers {
        wait_for_members(peer, 1);
    }
    let lines: Vec<_> = (0..LINES).map(|line| format!("line {line}")).collect();
    // With each part of the lines there is more to send than any connection lets through.
    let cuts = cutter.cuts.load(Ordering::SeqCst);
    for (part, some) in lines.chunks(LINES / CUTS).enumerate() {
        cutter.wait_for_cuts((cuts + part).min(CUTS));
        for peer in &mut peers {
            peer.write_line(&some.join("\n"));
        }
    }
    for (reader, peer) in peers.iter_mut().enumerate() {
        peer.conversation.wait_for(&format!(": line {}", LINES - 1));
        let received = messages_of(&name(1 - reader), &peer.conversation.seen);
        let wrong = received.iter().zip(&lines).position(|(received, line)| received != line);
        assert!(received == lines, "{} of {LINES}, the first wrong one is {wrong:?}", received.len());
        let seen = &peer.conversation.seen;
        assert_eq!((count(seen, "missing"), count(seen, "has joined")), (0, 1));
        // A connection that is cut before it is anybody's is lost under its address.
        let other = name(1 - reader);
        let [lost, back] = ["is lost: ", "is back"].map(|what| count(seen, &format!("{other} {what}")));
        assert_eq!(lost, back);
    }
    for peer in &mut peers {
        peer.end_input();
        assert_eq!(peer.exit_code(), 0);
        assert_eq!(count(&peer.stderr.rest(), "did not get"), 0, "{:?}", peer.stderr.seen);
    }
}

#[test]
fn a_member_that_is_killed_is_lost_once_and_its_next_run_joins() {
    let ports = [FreePort::new(), FreePort::new(), FreePort::new()];
    let run = |number: usize, dialled: &str| {
        let port = ports[number].number();
        Peer::start(&["-n", &name(number), "-b", "127.0.0.1", &port, dialled])
    };
    let [first, second, third] = ports.each_ref().map(FreePort::number);
    let mut peers = vec![run(0, &second), run(1, &first), run(2, &first)];
    for peer in &mut peers {
        wait_for_members(peer, 2);
    }
    peers[2].kill();
    for peer in &mut peers[..2] {
        peer.conversation.wait_for("peer2 is lost: ");
    }
    peers[0].write_line("meanwhile");
    peers[1].conversation.wait_for("peer0: meanwhile");
    // A peer that comes back is another run, which one of the others will dial as well.
    peers[2] = run(2, &second);
    wait_for_members(&mut peers[2], 2);
    for peer in &mut peers[..2] {
        peer.conversation.wait_for("peer2 has joined");
    }
    wait_for_one_link_a_pair(&peers);
    check_talk(&mut peers[..2], 5);
    peers[2].conversation.wait_for("peer1: line 4");
    assert_eq!(count(&peers[2].conversation.seen, "meanwhile"), 1, "it is the past of the new run");
    for (number, peer) in peers[..2].iter_mut().enumerate() {
        peer.end_input();
        peer.exit_code();
        peer.conversation.rest();
        let seen = &peer.conversation.seen;
        assert_eq!(count(seen, "peer2 is lost"), 1, "at {number}: {seen:?}");
        assert_eq!(count(seen, "peer2 is back"), 0, "at {number}: {seen:?}");
    }
    drop(third);
}

#[test]
fn a_member_that_was_stopped_for_long_is_shown_exactly_what_it_missed() {
    let mut peers = gather(&[None, Some(0), Some(0)]);
    peers[1].signal(Signal::STOP);
    // More than the system and the log keep for a peer that reads nothing.
    let lines = 20_000;
    let filler = "x".repeat(1000);
    for line in 0..lines {
        peers[0].write_line(&format!("{line} {filler}"));
    }
    // The third receives all of it, and both know that the second is gone.
    peers[2].conversation.wait_for(&format!("peer0: {} ", lines - 1));
    assert_eq!(messages_of("peer0", &peers[2].conversation.seen).len(), lines);
    peers[0].conversation.wait_for("peer1 is lost: ");
    peers[1].signal(Signal::CONT);
    peers[0].conversation.wait_for("peer1 is back");
    peers[0].write_line("the end");
    peers[1].conversation.wait_for("peer0: the end");
    let mut next = 0;
    for line in &peers[1].conversation.seen {
        if let Some((count, _)) = line.split_once(" messages of peer0 are missing here") {
            next += count.parse::<usize>().expect("a count");
        } else if let Some((_, text)) = line.split_once("peer0: ")
            && let Some(number) = text.split(' ').next().and_then(|word| word.parse::<usize>().ok())
        {
            assert_eq!(number, next, "in order, and none twice");
            next += 1;
        }
    }
    assert_eq!(next, lines, "what was not received is reported as missing");
    peers[1].write_line("hello");
    for reader in [0, 2] {
        peers[reader].conversation.wait_for("peer1: hello");
    }
    peers[0].end_input();
    assert_eq!(peers[0].exit_code(), 0);
    let errors = peers[0].stderr.rest();
    assert_eq!(count(&errors, "peer1 did not get"), 1, "{errors:?}");
    assert_eq!(count(&errors, "peer2 did not get"), 0, "{errors:?}");
}

#[test]
fn a_leaving_user_is_shown_the_undelivered_messages_of_each_member() {
    let mut peers = gather(&[None, Some(0), Some(0)]);
    peers[0].write_line("one");
    for reader in [1, 2] {
        peers[reader].conversation.wait_for("peer0: one");
    }
    peers[1].kill();
    peers[0].conversation.wait_for("peer1 is lost: ");
    peers[0].write_line("two\nthree");
    peers[2].conversation.wait_for("peer0: three");
    peers[0].end_input();
    assert_eq!(peers[0].exit_code(), 0);
    let errors = peers[0].stderr.rest();
    // Whether it still had time to acknowledge the first one is unknown.
    let missing =
        [2, 3].map(|count| format!("peer1 did not get {count} of your messages, as far as is known"));
    assert_eq!(missing.iter().map(|line| count(&errors, line)).sum::<usize>(), 1, "{errors:?}");
    assert_eq!(count(&errors, "did not get"), 1, "{errors:?}");
}

// Plain peers.

#[test]
fn a_plain_peer_takes_no_part_in_gossip() {
    let mut peers = gather(&[None, Some(0)]);
    let address = peers[0].address();
    let mut plain = Peer::start(&["-n", "plain", "--plain", "0", &address.to_string()]);
    plain.stderr.wait_for("connected to ");
    peers[0].stderr.wait_for(" connected");
    plain.write_line("hello");
    peers[0].conversation.wait_for("plain: hello");
    peers[0].write_line("hi");
    plain.conversation.wait_for("peer0: hi");
    plain.end_input();
    peers[0].conversation.wait_for("plain has left the chat...");
    assert_eq!(plain.exit_code(), 0);
    plain.conversation.rest();
    assert_eq!(messages_of("peer1", &plain.conversation.seen), [""; 0]);
    assert_eq!(count(&plain.conversation.seen, "joined"), 0);
}
