//! The real program over real sockets: which peers receive which messages, which ones leave or are lost, and
//! which addresses are dialled and when again.

mod support;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::process::Command;
use std::thread;

use rustix::process::Signal;
use support::sockets::{
    FreePort, accept, count, goodbye, hang_up, has_ipv6, is_dialled, listen, message, messages, messages_of,
    reset, shown, wait_for_connections, wait_for_members,
};
use support::{PROGRAM, Peer, connect, read_to_end, read_until};

#[test]
fn two_peers_receive_each_others_messages_and_goodbyes() {
    let mut alice = Peer::named("alice", &[]);
    let address = alice.address();
    let mut bob = Peer::named("bob", &[address]);
    bob.stderr.wait_for("connected to ");
    bob.conversation.wait_for("alice has joined");
    alice.conversation.wait_for("bob has joined");
    alice.write_line("hello");
    bob.write_line("hi");
    let line = bob.conversation.wait_for("alice: hello");
    assert_eq!(line.len(), "[2026-11-22 06:55:22] alice: hello".len());
    alice.conversation.wait_for("] bob: hi");
    bob.end_input();
    alice.conversation.wait_for("bob has left the chat...");
    assert_eq!(bob.exit_code(), 0);
}

#[test]
fn a_plain_connection_can_read_and_write() {
    let mut alice = Peer::named("alice", &[]);
    let mut stream = connect(alice.address());
    alice.stderr.wait_for(" connected");
    alice.write_line("hello");
    let frame = read_until(&mut stream, "<MSGENCD>");
    assert!(frame.ends_with("] alice:\n\t\thello<MSGENCD>"), "{frame}");
    stream.write_all(message("bob", "hi").as_bytes()).expect("a peer that reads");
    assert_eq!(alice.conversation.next_line(), Some(shown("bob", "hi")));
}

// Groups.

/// Starts one peer for each name, each connected to all before it, and waits for it.
fn mesh(names: &[&str]) -> Vec<Peer> {
    let mut addresses = Vec::new();
    let mut peers = Vec::new();
    for name in names {
        let mut peer = Peer::named(name, &addresses);
        addresses.push(peer.address());
        peers.push(peer);
    }
    for peer in &mut peers {
        wait_for_members(peer, names.len() - 1);
    }
    peers
}

#[test]
fn in_a_mesh_every_line_reaches_each_other_peer_once_and_in_order() {
    let names = ["alice", "bob", "carol", "dave"];
    let lines: Vec<_> = (0..50).map(|number| format!("line {number}")).collect();
    let mut peers = mesh(&names);
    for line in &lines {
        for peer in &mut peers {
            peer.write_line(line);
        }
    }
    for peer in &mut peers {
        for _ in 0..(names.len() - 1) * lines.len() {
            peer.conversation.next_line().expect("a line of another peer");
        }
    }
    // One after the other leaves; what came twice would have come before the goodbye.
    for name in names {
        let mut leaver = peers.remove(0);
        leaver.end_input();
        assert_eq!(leaver.exit_code(), 0, "{:?}", leaver.stderr.rest());
        for reader in &mut peers {
            assert_eq!(reader.conversation.next_line(), Some(format!("{name} has left the chat...")));
        }
        assert_eq!(leaver.conversation.rest(), [""; 0]);
        for other in names {
            let received = messages_of(other, &leaver.conversation.seen);
            assert_eq!(received, if other == name { &[] } else { lines.as_slice() }, "by {other} at {name}");
        }
    }
}

#[test]
fn peers_that_leave_at_the_same_time_are_not_lost() {
    let mut peers = mesh(&["alice", "bob", "carol"]);
    for peer in &peers {
        peer.signal(Signal::INT);
    }
    for peer in &mut peers {
        assert_eq!(peer.exit_code(), 0);
        let lines = peer.conversation.rest();
        assert_eq!(count(&lines, "lost"), 0, "{lines:?}");
    }
}

#[test]
fn empty_lines_are_not_sent() {
    let mut alice = Peer::named("alice", &[]);
    let mut reader = connect(alice.address());
    alice.stderr.wait_for(" connected");
    alice.write_line("\n\none\n\r\n\ntwo\r\n\n three");
    alice.end_input();
    assert_eq!(messages(&read_to_end(&mut reader)), ["one", "two", " three"]);
}

#[test]
fn a_user_without_peers_is_informed_once_and_again_after_a_peer_left() {
    let unheard = "no peer is connected: only peers that join later can read this";
    let mut alice = Peer::named("alice", &[]);
    let address = alice.address();
    for _ in 0..3 {
        alice.write_line("one\ntwo\nthree");
        assert_eq!(alice.stderr.next_line().as_deref(), Some(unheard));
        let mut visitor = connect(address);
        let line = alice.stderr.next_line().expect("a visitor");
        assert!(line.ends_with(" connected"), "{line}");
        alice.write_line("four");
        assert_eq!(messages(read_until(&mut visitor, "<MSGENCD>").as_bytes()), ["four"]);
        visitor.write_all(goodbye("visitor").as_bytes()).expect("a peer that reads");
        alice.conversation.wait_for("visitor has left the chat...");
    }
    alice.end_input();
    assert_eq!(alice.stderr.rest(), [""; 0]);
}

#[test]
fn further_lines_of_a_message_are_indented_under_it() {
    let mut alice = Peer::named("alice", &[]);
    let mut bob = connect(alice.address());
    let text = "first\nsecond\r\n\tthird\n\n[2026-11-22 06:55:22] carol: not carol\n\r\n";
    bob.write_all((message("bob", text) + &goodbye("bob")).as_bytes()).expect("a peer that reads");
    for expected in [
        "[2026-11-22 06:55:22] bob: first",
        "    second",
        "    ^Ithird",
        "    ",
        "    [2026-11-22 06:55:22] carol: not carol",
        "bob has left the chat...",
    ] {
        assert_eq!(alice.conversation.next_line().as_deref(), Some(expected));
    }
}

#[test]
fn a_long_line_arrives_whole_as_several_messages() {
    #[track_caller]
    fn check(unit: &str) {
        let text = unit.repeat(200_000 / unit.len());
        let mut alice = Peer::named("alice", &[]);
        let address = alice.address();
        let (mut bob, mut reader) = (Peer::named("bob", &[address]), connect(address));
        wait_for_members(&mut alice, 1);
        wait_for_connections(&mut alice, 1);
        alice.write_line(&text);
        alice.end_input();
        let bytes = read_to_end(&mut reader);
        for frame in
            String::from_utf8(bytes.clone()).expect("cut between characters").split_inclusive("ENCD>")
        {
            assert!(frame.len() <= 65_535, "a frame of {} bytes", frame.len());
        }
        assert_eq!(messages(&bytes).concat(), text);
        bob.conversation.wait_for("alice has left the chat...");
        let received = messages_of("alice", &bob.conversation.seen);
        assert!((4..=5).contains(&received.len()), "{} messages", received.len());
        assert_eq!(received.concat(), text);
    }
    check("a");
    check("\u{fc}x\u{20ac}\u{1f980}");
}

#[cfg(target_os = "linux")]
#[test]
fn there_is_one_thread_also_under_load() {
    #[track_caller]
    fn check(peer: &Peer) {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", peer.child.id())).expect("it runs");
        assert_eq!(tasks.count(), 1);
    }
    let mut alice = Peer::named("alice", &["127.0.0.1:1".parse().expect("an address")]);
    let address = alice.address();
    check(&alice);
    let senders: Vec<_> = (0..4).map(|_| connect(address)).collect();
    let writing: Vec<_> = (senders.iter())
        .map(|sender| {
            let mut sender = sender.try_clone().expect("a descriptor");
            thread::spawn(move || sender.write_all(message("bob", "hello").repeat(20_000).as_bytes()))
        })
        .collect();
    for line in 0..80_000 {
        alice.conversation.next_line().expect("a line");
        if line % 100 == 0 {
            alice.write_line("hello");
        }
        if line % 1000 == 0 {
            check(&alice);
        }
    }
    for thread in writing {
        thread.join().expect("no panic").expect("a peer that reads");
    }
    check(&alice);
}

// Peers that leave, and peers that are lost.

/// A plain client sends a message as bob and then does something that ends its connection. What
/// is shown of that is `expected`, once.
#[track_caller]
fn check_end(act: impl FnOnce(TcpStream), expected: &str) {
    let mut alice = Peer::named("alice", &[]);
    let mut bob = connect(alice.address());
    bob.write_all(message("bob", "hello").as_bytes()).expect("a peer that reads");
    alice.conversation.wait_for("bob: hello");
    act(bob);
    assert_eq!(alice.conversation.next_line().as_deref(), Some(expected));
    alice.end_input();
    assert_eq!(alice.conversation.rest(), [""; 0], "after {expected:?}");
}

/// Says `bytes`, and closes the connection.
fn sends(bytes: &str) -> impl FnOnce(TcpStream) {
    move |mut stream| stream.write_all(bytes.as_bytes()).expect("a peer that reads")
}

#[test]
fn a_peer_that_sent_a_goodbye_has_left() {
    check_end(sends(&goodbye("bob")), "bob has left the chat...");
    check_end(sends("<EXITENCD>"), "bob has left the chat...");
    check_end(sends("see you<EXTENCD>"), "bob has left the chat...");
    check_end(sends(&goodbye("robert")), "robert has left the chat...");
    check_end(sends(&(goodbye("bob") + &message("bob", "still here"))), "bob has left the chat...");
    check_end(sends(&(goodbye("bob") + &goodbye("bob") + "half")), "bob has left the chat...");
}

#[test]
fn a_peer_that_sent_no_goodbye_is_lost_and_the_reason_is_shown() {
    check_end(drop, "bob is lost: closed without a goodbye");
    check_end(reset, "bob is lost: connection reset by peer");
    check_end(sends("half "), "bob is lost: closed in the middle of a message, after 4 bytes of it");
    check_end(sends("bye<EXITENCD"), "bob is lost: closed in the middle of a message, after 12 bytes of it");
    check_end(sends("\r\n"), "bob is lost: closed without a goodbye");
    check_end(sends("not known<BYEENCD>"), "bob is lost: closed without a goodbye");
    let half_closes = |stream: TcpStream| {
        stream.shutdown(std::net::Shutdown::Write).expect("a connection");
        read_to_end(&mut { stream });
    };
    check_end(half_closes, "bob is lost: closed without a goodbye");
}

#[test]
fn a_goodbye_that_is_only_quoted_is_none() {
    let mut alice = Peer::named("alice", &[]);
    let mut bob = connect(alice.address());
    bob.write_all(message("bob", "<\\EXITENCD> he said").as_bytes()).expect("a peer that reads");
    alice.conversation.wait_for("bob: <EXITENCD> he said");
    drop(bob);
    alice.conversation.wait_for("bob is lost: closed without a goodbye");
}

#[test]
fn a_peer_that_never_sent_a_name_is_shown_under_its_address() {
    let mut alice = Peer::named("alice", &[]);
    let address = alice.address();
    for (bytes, expected) in
        [("<EXITENCD>", " has left the chat..."), (" <EXTENCD>", " has left the chat...")]
    {
        let mut stream = connect(address);
        let peer = stream.local_addr().expect("its address");
        stream.write_all(bytes.as_bytes()).expect("a peer that reads");
        drop(stream);
        assert_eq!(alice.conversation.next_line(), Some(format!("{peer}{expected}")));
    }
}

/// Of health checks, scanners and other protocols there is a line on standard error, and nothing in the
/// conversation, in the record or for scripts.
#[test]
fn a_connection_without_a_message_is_not_shown_as_a_peer() {
    let record = std::env::temp_dir().join(format!("groupchat-visits-{}", std::process::id()));
    let record_path = record.to_str().expect("text");
    for options in [&["--log", record_path][..], &["--json", "--log", record_path]] {
        let mut alice = Peer::start(&[&["-n", "alice", "0"], options].concat());
        let line = match options.contains(&"--json") {
            true => alice.conversation.next_line().expect("where it listens"),
            false => alice.stderr.next_line().expect("where it listens"),
        };
        let digits = line.split("[::]:").nth(1).expect("a port").split(|char: char| !char.is_ascii_digit());
        let port = digits.clone().next().expect("digits").parse().expect("a port");
        let of_a_web_page = "POST / HTTP/1.1\r\n\r\n".to_owned() + &message("eve", "hi") + &goodbye("eve");
        for bytes in ["", "GET / HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n", &of_a_web_page] {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a peer that listens");
            stream.write_all(bytes.as_bytes()).expect("a peer that reads");
            stream.shutdown(std::net::Shutdown::Write).expect("a connection");
            // Then it has noticed.
            read_to_end(&mut stream);
        }
        let mut bob = connect(SocketAddr::from(([127, 0, 0, 1], port)));
        bob.write_all((message("bob", "hi") + &goodbye("bob")).as_bytes()).expect("a peer that reads");
        read_to_end(&mut bob);
        alice.end_input();
        let (shown_lines, reported) = (alice.conversation.rest(), alice.stderr.rest());
        assert_eq!(alice.exit_code(), 0);
        if options.contains(&"--json") {
            let events = shown_lines.iter().map(|line| line.split('"').nth(3).expect("an event"));
            assert_eq!(
                events.collect::<Vec<_>>(),
                ["notice", "notice", "joined", "message", "left"],
                "{shown_lines:?}"
            );
            assert_eq!((count(&shown_lines, "connected"), reported), (2, Vec::new()));
        } else {
            assert_eq!(shown_lines, [shown("bob", "hi"), "bob has left the chat...".to_owned()]);
            assert_eq!((count(&reported, "connected and closed"), reported.len()), (1, 2), "{reported:?}");
        }
        let recorded = std::fs::read_to_string(&record).expect("a record");
        std::fs::remove_file(&record).expect("our file");
        assert_eq!(recorded.lines().count(), 2, "{recorded}");
    }
}

#[test]
fn a_killed_peer_is_lost_in_either_direction_of_the_connection() {
    let mut peers = mesh(&["alice", "bob", "carol"]);
    peers[1].write_line("hello");
    for reader in [0, 2] {
        peers[reader].conversation.wait_for("bob: hello");
    }
    peers[1].kill();
    for reader in [0, 2] {
        peers[reader].conversation.wait_for("bob is lost: ");
        peers[reader].end_input();
    }
    for reader in [0, 2] {
        peers[reader].exit_code();
        peers[reader].conversation.rest();
        assert_eq!(count(&peers[reader].conversation.seen, "bob has left"), 0);
    }
}

// Dialling.

#[test]
fn start_order_does_not_matter() {
    let port = FreePort::new();
    let (other, other_address) = listen();
    let mut alice = Peer::named("alice", &[port.address(), other_address]);
    alice.stderr.wait_for(&format!("cannot reach {}", port.address()));
    alice.write_line("one\ntwo");
    hang_up(&other, 4);
    let mut bob = Peer::start(&["-n", "bob", "-b", "127.0.0.1", &port.number()]);
    bob.conversation.wait_for("alice: one");
    alice.write_line("three");
    bob.conversation.wait_for("alice: three");
    bob.write_line("four");
    alice.conversation.wait_for("bob: four");
    alice.end_input();
    bob.conversation.wait_for("alice has left the chat...");
    assert_eq!(messages_of("alice", &bob.conversation.seen), ["one", "two", "three"]);
    alice.stderr.rest();
    let stderr = &alice.stderr.seen;
    assert_eq!(count(stderr, &format!("cannot reach {}", port.address())), 1, "{stderr:?}");
    assert_eq!(count(stderr, &format!("connected to {}", port.address())), 1, "{stderr:?}");
}

#[test]
fn a_peer_that_was_lost_is_dialled_again_and_sent_what_it_missed() {
    let (listener, address) = listen();
    let address = address.to_string();
    let mut alice = Peer::start(&["-n", "alice", "--framing", "text", "0", &address]);
    let mut first = accept(&listener);
    alice.write_line("one");
    assert_eq!(messages(read_until(&mut first, "one<MSGENCD>").as_bytes()), ["one"]);
    drop(first);
    alice.stderr.wait_for(" is lost: closed without a goodbye");
    alice.write_line("two\nthree");
    let mut second = accept(&listener);
    alice.write_line("four");
    alice.end_input();
    assert_eq!(messages(&read_to_end(&mut second)), ["two", "three", "four"]);
    assert_eq!(alice.exit_code(), 0);
}

#[test]
fn a_peer_that_was_killed_and_started_again_is_sent_what_it_missed() {
    let port = FreePort::new();
    let bob = || Peer::start(&["-n", "bob", "--history", "0", "-b", "127.0.0.1", &port.number()]);
    let mut first = bob();
    first.address();
    let mut alice = Peer::named("alice", &[port.address()]);
    alice.write_line("one");
    first.conversation.wait_for("alice: one");
    drop(first);
    alice.conversation.wait_for(" is lost: ");
    alice.write_line("two\nthree");
    let mut second = bob();
    second.conversation.wait_for("alice: three");
    alice.write_line("four");
    alice.end_input();
    second.conversation.wait_for("alice has left the chat...");
    // The first bob may have been killed before it acknowledged the first line.
    let received = messages_of("alice", &second.conversation.seen);
    assert!(received.ends_with(&["two", "three", "four"]) && received.len() <= 4, "{received:?}");
}

#[test]
fn a_peer_that_has_left_is_not_dialled_again() {
    let (listener, address) = listen();
    let (other, other_address) = listen();
    let mut alice = Peer::named("alice", &[address, other_address]);
    let mut bob = accept(&listener);
    bob.write_all(goodbye("bob").as_bytes()).expect("a peer that reads");
    drop(bob);
    alice.conversation.wait_for("bob has left the chat...");
    // The first pause is the shortest of all, and the same for everybody.
    hang_up(&other, 5);
    assert!(!is_dialled(&listener, std::time::Duration::ZERO));
}

#[test]
fn every_address_of_a_name_is_tried() {
    /// `host` resolves to `address`, where a peer listens, and perhaps to others, where none does.
    #[track_caller]
    fn check(host: &str, address: SocketAddr) {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let peer = format!("{host}{}", address.port());
        let mut alice = Peer::start(&["-n", "alice", "0", &peer]);
        let mut stream = accept(&listener);
        alice.stderr.wait_for(&format!("connected to {peer} at {address}"));
        alice.write_line("hello");
        assert_eq!(messages(read_until(&mut stream, "<MSGENCD>").as_bytes()), ["hello"]);
    }
    for address in ("localhost", 0).to_socket_addrs().expect("localhost") {
        check("localhost:", address);
    }
    check("", "127.0.0.1:0".parse().expect("an address"));
    if has_ipv6() {
        check("", "[::1]:0".parse().expect("an address"));
    }
}

/// A peer dials `host` at its own port, and detects that this is itself.
#[track_caller]
fn check_oneself(host: &str) {
    let port = FreePort::new();
    let peer = format!("{host}{}", port.number());
    let mut command = Command::new(PROGRAM);
    let mut alice = Peer::run(command.args(["-n", "alice", &port.number(), &peer]));
    alice.stderr.wait_for(&format!("not connected to {peer}: it is your own address"));
    alice.write_line("hello");
    alice.stderr.wait_for("no peer is connected");
    alice.end_input();
    assert_eq!(alice.exit_code(), 1);
    assert_eq!(alice.conversation.rest(), [""; 0]);
}

#[test]
fn a_connection_to_oneself_is_detected_and_closed() {
    check_oneself("");
    check_oneself("localhost:");
    check_oneself("127.0.0.1:");
    if cfg!(target_os = "linux") {
        check_oneself("127.0.0.2:");
    }
    if has_ipv6() {
        check_oneself("[::1]:");
        check_oneself("[::ffff:127.0.0.1]:");
    }
}

/// Systems take the address of nowhere for that of this machine.
#[test]
fn a_connection_to_oneself_is_detected_under_any_address() {
    check_oneself("0.0.0.0:");
    if has_ipv6() {
        check_oneself("[::]:");
    }
}

/// A plain peer that sends nothing may not have understood what it was sent, unless the user chose its framing.
#[test]
fn what_was_sent_in_a_guessed_framing_does_not_count_as_delivered() {
    for (framing, exit_code) in [("", 1), ("--framing text", 0), ("--framing lab", 0)] {
        for plain in ["", "--plain"] {
            let (listener, address) = listen();
            let mut alice =
                Peer::start_shell(&format!("exec \"$PEER\" -n alice {plain} {framing} 0 {address}"));
            let mut stream = accept(&listener);
            alice.write_line("one");
            alice.end_input();
            let sent = read_to_end(&mut stream);
            assert!(String::from_utf8_lossy(&sent).contains("one<MSGENCD>"), "{sent:?}");
            assert_eq!(alice.exit_code(), exit_code, "{framing} {plain}");
            let is_reported = count(&alice.stderr.rest(), "use --framing lab");
            assert_eq!(is_reported, exit_code as usize, "{:?}", alice.stderr.seen);
        }
    }
}
