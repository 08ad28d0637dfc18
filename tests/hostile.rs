//! Peers that do harm, and machines that are short of something. Whatever one connection does, it is
//! that connection's own loss: the others go on, and so does the program.

mod support;

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
#[cfg(target_os = "linux")]
use std::time::{Duration, Instant};

use groupchat::seal::{Access, Handshake, Keys};
use support::descriptors::{feed, full_pipe, wait_until_idle};
use support::sockets::{
    MESSAGE, connect_with_little_room, count, goodbye, lab_frame, message, messages, messages_of, reset,
    shown, wait_for_connections, wait_for_members,
};
use support::{Lines, PROGRAM, Peer, connect, read_to_end, read_until};

/// The longest a frame may be, with its code.
const FRAME_BYTES_MAX: usize = 65_535;

fn send(mut stream: impl Write, bytes: impl AsRef<[u8]>) {
    stream.write_all(bytes.as_ref()).expect("a peer that reads");
}

/// Alice and bob hear each other.
#[track_caller]
fn check_talk(alice: &mut Peer, bob: &mut Peer, text: &str) {
    alice.write_line(text);
    bob.conversation.wait_for(&format!("] alice: {text}"));
    bob.write_line(text);
    alice.conversation.wait_for(&format!("] bob: {text}"));
}

fn alice_and_bob() -> (Peer, SocketAddr, Peer) {
    let mut alice = Peer::named("alice", &[]);
    let address = alice.address();
    let mut bob = Peer::named("bob", &[address]);
    wait_for_members(&mut alice, 1);
    wait_for_members(&mut bob, 1);
    (alice, address, bob)
}

// Too little.

#[test]
fn silent_connections_disturb_nobody() {
    let (mut alice, address, mut bob) = alice_and_bob();
    let mut silent: Vec<_> = (0..200).map(|_| connect(address)).collect();
    wait_for_connections(&mut alice, silent.len());
    check_talk(&mut alice, &mut bob, "hello");
    alice.end_input();
    assert_eq!(alice.exit_code(), 0);
    for stream in &mut silent {
        assert_eq!(messages(&read_to_end(stream)), ["hello"]);
    }
}

#[test]
fn one_byte_at_a_time_is_a_message_at_its_last() {
    let (mut alice, address, mut bob) = alice_and_bob();
    let mut slow = connect(address);
    slow.set_nodelay(true).expect("an option");
    let frame = message("carol", "slow");
    for (index, byte) in frame.as_bytes().iter().enumerate() {
        check_talk(&mut alice, &mut bob, &format!("before {index}"));
        send(&mut slow, [*byte]);
    }
    alice.conversation.wait_for("carol: slow");
    assert_eq!(messages_of("carol", &alice.conversation.seen), ["slow"]);
}

#[test]
fn whoever_is_gone_in_the_middle_of_a_frame_is_lost_alone() {
    let (mut alice, address, mut bob) = alice_and_bob();
    let text = message("carol", "never ended");
    let lab = lab_frame(text.as_bytes());
    for bytes in [text.as_bytes(), &lab, &FULL_LENGTH, b"\0", b"[", b"<MSGENC"] {
        for end in [drop, reset] {
            let mut stream = connect(address);
            let peer = stream.local_addr().expect("its address");
            send(&mut stream, &bytes[..bytes.len().min(text.len() - 1)]);
            end(stream);
            alice.stderr.wait_for(&format!("{peer} "));
            check_talk(&mut alice, &mut bob, &format!("after {peer}"));
        }
    }
    assert_eq!(messages_of("carol", &alice.conversation.seen), [""; 0]);
}

/// A lab frame whose length promises much more than comes.
const FULL_LENGTH: [u8; 4] = [0x01, 0xff, b'x', b'x'];

#[test]
fn connections_that_are_reset_at_once_disturb_nobody() {
    let (mut alice, address, mut bob) = alice_and_bob();
    for round in 0..200 {
        reset(connect(address));
        if round % 20 == 0 {
            check_talk(&mut alice, &mut bob, &format!("round {round}"));
        }
    }
    check_talk(&mut alice, &mut bob, "the end");
}

/// Only a limit of our own ends an attempt this soon: the kernel's is beyond the deadline of tests.
#[cfg(target_os = "linux")]
#[test]
fn a_peer_that_does_not_answer_is_given_up_after_a_while() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    // There is room for one connection; whoever dials after that gets no answer.
    socket.listen(0).expect("a listener");
    let address = socket.local_addr().expect("its address").as_socket().expect("an IP address");
    let _fills_it = connect(address);
    let mut alice = Peer::named("alice", &[address]);
    alice.write_line("hello");
    alice.end_input();
    alice.stderr.wait_for(&format!("cannot reach {address}: no answer; trying again"));
    assert_eq!(alice.exit_code(), 1);
}

// Too much.

/// A body with `code` that is a frame of `length` bytes.
fn frame_of(length: usize, code: &str) -> String {
    "x".repeat(length - code.len()) + code
}

#[test]
fn a_frame_may_be_as_long_as_the_limit() {
    let mut alice = Peer::named("alice", &[]);
    let address = alice.address();
    let frame = frame_of(FRAME_BYTES_MAX, MESSAGE);
    for bytes in [frame.clone().into_bytes(), lab_frame(frame.as_bytes())] {
        let mut carol = connect(address);
        send(&mut carol, [&*bytes, &bytes].concat());
        for _ in 0..2 {
            let line = alice.conversation.next_line().expect("a message");
            assert_eq!(line.matches('x').count(), FRAME_BYTES_MAX - MESSAGE.len());
        }
        drop(carol);
        let line = alice.conversation.next_line().expect("an end");
        assert!(line.ends_with(" is lost: closed without a goodbye"), "{line}");
    }
}

#[test]
fn who_sends_more_than_a_frame_without_a_code_is_closed_with_a_notice() {
    let (mut alice, address, mut bob) = alice_and_bob();
    let too_long = "sent more than 65535 bytes without a code";
    for bytes in [
        frame_of(FRAME_BYTES_MAX + 3, "x"),
        frame_of(FRAME_BYTES_MAX + 3, MESSAGE),
        frame_of(4_000_000, MESSAGE),
        "\u{20ac}".repeat(100_000),
        "\\".repeat(1_000_000),
        "<MSGENCD".repeat(100_000),
        "\r\n".repeat(100_000),
    ] {
        let mut carol = connect(address);
        send(&mut carol, message("carol", "before"));
        assert_eq!(alice.conversation.next_line(), Some(shown("carol", "before")));
        // It is closed in the middle of this.
        let _ = carol.write_all(bytes.as_bytes());
        assert_eq!(alice.conversation.next_line(), Some(format!("carol is lost: {too_long}")));
        assert!(matches!(carol.read(&mut [0]), Ok(0) | Err(_)), "the connection is closed");
        check_talk(&mut alice, &mut bob, "hello");
    }
}

#[test]
fn an_endless_stream_is_closed_while_it_still_comes() {
    let (mut alice, address, mut bob) = alice_and_bob();
    for mut endless in [connect(address), connect(address)] {
        let peer = endless.local_addr().expect("its address");
        // It writes until it is closed, and would do so for ever.
        let error = loop {
            if let Err(error) = endless.write_all(&[b'a'; 4096]) {
                break error;
            }
        };
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
        alice.stderr.wait_for(&format!("{peer} is lost: sent more than 65535 bytes without a code"));
    }
    check_talk(&mut alice, &mut bob, "hello");
}

#[test]
fn noise_is_survived_and_shown_without_acting() {
    let (mut alice, address, mut bob) = alice_and_bob();
    let mut random = fastrand::Rng::with_seed(1);
    let pieces =
        ["<MSGENCD>", "<EXITENCD>", "ENCD>", "[2026-11-22T06:55:22Z] x:\n\t\t", "\0\x0c", "|\n", "\\", "\n"];
    for round in 0..100 {
        let mut bytes = Vec::new();
        while bytes.len() < 2_000 {
            match random.usize(..3) {
                0 => bytes.extend_from_slice(random.choice(pieces).expect("one").as_bytes()),
                1 => bytes.push(random.u8(..)),
                _ => bytes.push(random.u8(b' '..=b'~')),
            }
        }
        // It may be closed in the middle of this.
        let _ = connect(address).write_all(&bytes);
        if round % 10 == 0 {
            check_talk(&mut alice, &mut bob, &format!("round {round}"));
        }
    }
    check_talk(&mut alice, &mut bob, "the end");
    for line in &alice.conversation.seen {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

/// Writes `bytes` again and again, until told to stop.
struct Flood {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Flood {
    fn start(mut stream: TcpStream, bytes: Vec<u8>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                stream.write_all(&bytes)?;
            }
            Ok(())
        });
        Self { stop, thread }
    }

    #[track_caller]
    fn stop(self) {
        assert!(!self.thread.is_finished(), "the flood ended by itself");
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic").expect("a peer that reads");
    }
}

#[test]
fn others_are_heard_through_a_flood() {
    let frame = message("carol", "spam");
    for frames in
        [frame.repeat(1000).into_bytes(), lab_frame(frame.as_bytes()).repeat(1000), b"<XENCD>".repeat(10_000)]
    {
        let (mut alice, address, mut bob) = alice_and_bob();
        let mut reader = connect(address);
        wait_for_connections(&mut alice, 1);
        let floods: Vec<_> = (0..2).map(|_| Flood::start(connect(address), frames.clone())).collect();
        wait_for_connections(&mut alice, floods.len());
        for round in 0..10 {
            check_talk(&mut alice, &mut bob, &format!("round {round}"));
            assert_eq!(
                messages(read_until(&mut reader, MESSAGE).as_bytes()),
                [format!("round {round}")],
                "and nobody else's"
            );
        }
        for flood in floods {
            flood.stop();
        }
    }
}

// Taking nothing.

/// Half a mebibyte in numbered lines: more than a deaf connection takes, and less than the log keeps.
fn many_lines() -> Vec<String> {
    lines_of_a_kibibyte(512)
}

fn lines_of_a_kibibyte(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number} {}", "x".repeat(1000))).collect()
}

/// Reads to the end of `stream` on a thread of the test.
fn read_messages(mut stream: TcpStream) -> JoinHandle<Vec<String>> {
    thread::spawn(move || messages(&read_to_end(&mut stream)))
}

/// Time that a process has spent on a processor.
#[cfg(target_os = "linux")]
fn processor_time(peer: &Peer) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{}/schedstat", peer.child.id())).expect("it runs");
    Duration::from_nanos(text.split(' ').next().expect("a field").parse().expect("a number"))
}

/// This takes its 15 s.
#[cfg(target_os = "linux")]
#[test]
fn who_takes_nothing_is_closed_in_the_end_and_holds_up_nobody() {
    let (mut alice, address, mut bob) = alice_and_bob();
    let deaf = connect_with_little_room(address);
    let peer = deaf.local_addr().expect("its address");
    let reader = read_messages(connect(address));
    wait_for_connections(&mut alice, 2);
    let mut lines = many_lines();
    alice.write_line(&lines.join("\n"));
    // All others have everything long before.
    bob.conversation.wait_for(lines.last().expect("a line"));
    check_talk(&mut alice, &mut bob, "in between");
    let (before, start) = (processor_time(&alice), Instant::now());
    alice.stderr.wait_for(&format!("{peer} is lost: took nothing for 15 s"));
    let (spent, passed) = (processor_time(&alice) - before, start.elapsed());
    assert!(spent < passed / 10, "it spins: {spent:?} of {passed:?}");
    check_talk(&mut alice, &mut bob, "afterwards");
    alice.end_input();
    bob.conversation.wait_for("alice has left the chat...");
    lines.extend(["in between".into(), "afterwards".into()]);
    assert_eq!(messages_of("alice", &bob.conversation.seen), lines);
    assert_eq!(reader.join().expect("frames"), lines);
    assert_eq!(alice.exit_code(), 0);
}

#[test]
fn who_falls_further_behind_than_the_log_reaches_is_closed_and_holds_up_nobody() {
    let (mut alice, address, mut bob) = alice_and_bob();
    let deaf: Vec<_> = (0..3).map(|_| connect_with_little_room(address)).collect();
    let reader = read_messages(connect(address));
    wait_for_connections(&mut alice, 4);
    let lines = lines_of_a_kibibyte(4096);
    alice.write_line(&lines.join("\n"));
    bob.conversation.wait_for(lines.last().expect("a line"));
    for _ in &deaf {
        alice.stderr.wait_for(" is lost: fell more than 1024 KiB behind");
    }
    alice.end_input();
    bob.conversation.wait_for("alice has left the chat...");
    assert_eq!(messages_of("alice", &bob.conversation.seen), lines);
    assert_eq!(reader.join().expect("frames"), lines);
    assert_eq!(alice.exit_code(), 0);
    assert_eq!(count(&alice.conversation.rest(), "lost"), 0, "nobody else");
}

#[test]
fn who_reads_slowly_is_waited_for_and_loses_nothing() {
    let mut alice = Peer::named("alice", &[]);
    let address = alice.address();
    let mut slow = connect_with_little_room(address);
    wait_for_connections(&mut alice, 1);
    // UserAction far faster than it is read, and much more than the log keeps.
    let lines = lines_of_a_kibibyte(4096);
    feed(alice.input.take().expect("its input"), lines.join("\n"));
    assert_eq!(messages(&read_to_end(&mut slow)), lines);
    assert_eq!(alice.exit_code(), 0);
    assert_eq!(alice.conversation.rest(), [""; 0]);
}

#[test]
fn leaving_does_not_wait_for_who_takes_nothing() {
    let mut alice = Peer::named("alice", &[]);
    let address = alice.address();
    let deaf = [connect_with_little_room(address), connect_with_little_room(address)];
    let mut reader = connect(address);
    wait_for_connections(&mut alice, 3);
    let lines = many_lines();
    feed(alice.input.take().expect("its input"), lines.join("\n"));
    let heard = read_to_end(&mut reader);
    assert!(heard.ends_with(b"|\nalice<EXITENCD>"), "the goodbye is not held up");
    assert_eq!(messages(&heard), lines);
    assert_eq!(alice.exit_code(), 0);
    let ends = alice.stderr.rest();
    for stream in &deaf {
        let peer = stream.local_addr().expect("its address");
        assert_eq!(count(&ends, &format!("{peer} is lost: took nothing for 2 s")), 1, "{ends:?}");
    }
}

#[test]
fn leaving_does_not_wait_for_who_comes_meanwhile() {
    let mut alice = Peer::named("alice", &[]);
    let address = alice.address();
    // Because of this one it takes two seconds to leave.
    let _deaf = connect_with_little_room(address);
    let mut reader = connect(address);
    wait_for_connections(&mut alice, 2);
    feed(alice.input.take().expect("its input"), many_lines().join("\n"));
    assert!(read_to_end(&mut reader).ends_with(b"|\nalice<EXITENCD>"));
    let mut late = connect(address);
    send(&mut late, message("bob", "am I late?"));
    assert_eq!(alice.exit_code(), 0);
    drop(late);
}

/// What somebody said is shown, and its goodbye too, also when writing to it fails before that was
/// read: here because standard output is not being read either.
#[test]
fn what_was_said_before_a_connection_failed_is_shown() {
    let (output, full) = full_pipe();
    let mut command = Command::new(PROGRAM);
    let command = command.args(["-n", "alice", "0"]);
    let mut alice = Peer::run_with(command, Stdio::piped(), full.into(), Stdio::piped());
    let address = alice.address();
    let (mut carol, mut bob) = (connect(address), connect(address));
    wait_for_connections(&mut alice, 2);
    // As much is waiting to be shown as may wait, so that nothing further is read.
    feed(carol.try_clone().expect("a descriptor"), message("carol", "hello").repeat(40_000));
    wait_until_idle(alice.child.id());
    let texts: Vec<_> = (0..100).map(|number| format!("text {number}")).collect();
    let frames: String = texts.iter().map(|text| message("bob", text)).collect();
    send(&mut bob, frames + &goodbye("bob"));
    drop(bob);
    // The first finds nobody there, and the second fails.
    for text in ["one", "two"] {
        alice.write_line(text);
        assert_eq!(messages(read_until(&mut carol, MESSAGE).as_bytes()), [text]);
    }
    let mut conversation = Lines::read(output);
    let end = loop {
        let line = conversation.next_line().expect("an end");
        if line.ends_with(" has left the chat...") || line.contains(" is lost: ") {
            break line;
        }
    };
    assert_eq!(end, "bob has left the chat...");
    assert_eq!(messages_of("bob", &conversation.seen), texts);
}

// Too few descriptors.

/// Starts alice in a shell that lets her have 20 descriptors.
fn alice_short_of_descriptors(assignments: &str) -> (Peer, SocketAddr) {
    let mut alice = Peer::start_shell(&format!("ulimit -n 20; {assignments} exec \"$PEER\" -n alice 0"));
    let address = alice.address();
    (alice, address)
}

/// More connections than that. Each says its number.
fn too_many(address: SocketAddr) -> Vec<TcpStream> {
    let clients = (0..30).map(|number| {
        let mut client = connect(address);
        send(&mut client, message("client", &number.to_string()));
        client
    });
    clients.collect()
}

const COMPLAINT: &str = "cannot accept more connections: ";

#[test]
fn out_of_descriptors_everybody_waits_for_a_free_place_and_is_heard() {
    let (mut alice, address) = alice_short_of_descriptors("");
    let mut clients = too_many(address);
    alice.stderr.wait_for(COMPLAINT);
    // Looking for a free place again and again costs next to nothing.
    #[cfg(target_os = "linux")]
    {
        let (before, start) = (processor_time(&alice), Instant::now());
        wait_for_sleeps(&alice, 8);
        let (spent, passed) = (processor_time(&alice) - before, start.elapsed());
        assert!(spent < passed / 4, "it spins: {spent:?} of {passed:?}");
    }
    let mut heard = Vec::new();
    while heard.len() < clients.len() {
        let line = alice.conversation.wait_for("] client");
        let number: usize = line.rsplit(' ').next().expect("a word").parse().expect("a number");
        heard.push(number);
        // A connection that was accepted is answered, and makes room for another by leaving.
        alice.write_line(&format!("welcome {number}"));
        read_until(&mut clients[number], &format!(":\n\t\twelcome {number}<MSGENCD>"));
        send(&mut clients[number], goodbye("client"));
    }
    heard.sort_unstable();
    assert!(heard.iter().copied().eq(0..clients.len()), "{heard:?}");
    alice.end_input();
    assert_eq!(alice.exit_code(), 0);
    alice.stderr.rest();
    assert_eq!(count(&alice.stderr.seen, " connected"), clients.len());
}

/// However often somebody has to wait, until nobody had to for a minute.
#[test]
fn out_of_descriptors_is_told_once() {
    let (mut alice, address) = alice_short_of_descriptors("");
    for episode in 1..=3 {
        let clients = too_many(address);
        for client in clients {
            drop(client);
            alice.conversation.wait_for(" is lost: closed without a goodbye");
        }
        // Nobody waits any more: this one finds a place at once.
        let text = format!("after episode {episode}");
        send(connect(address), message("visitor", &text) + &goodbye("visitor"));
        alice.conversation.wait_for(&text);
    }
    alice.end_input();
    alice.stderr.rest();
    assert_eq!(count(&alice.stderr.seen, COMPLAINT), 1, "{:?}", alice.stderr.seen);
}

/// Connections of one host that send nothing.
#[cfg(target_os = "linux")]
fn idle_connections(address: SocketAddr, count: usize) -> Vec<socket2::Socket> {
    let sockets = (0..count).map(|_| {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(([127, 9, 9, 9], 0)).into()).expect("a host of this machine");
        socket.connect(&address.into()).expect("room in the queue");
        socket
    });
    sockets.collect()
}

/// Whoever comes finds a place, and nobody loses one who is a member or has said something.
#[cfg(target_os = "linux")]
#[test]
fn idle_connections_of_one_host_keep_nobody_out() {
    let (mut alice, address) = alice_short_of_descriptors("");
    let mut nell = connect(address);
    send(&mut nell, message("nell", "first"));
    alice.conversation.wait_for("nell: first");
    let mut bob = Peer::named("bob", &[address]);
    wait_for_members(&mut alice, 1);
    wait_for_members(&mut bob, 1);
    let idle = idle_connections(address, 100);
    alice.stderr.wait_for(COMPLAINT);
    let _carol = Peer::named("carol", &[address]);
    alice.conversation.wait_for("carol has joined");
    let mut nina = connect(address);
    send(&mut nina, message("nina", "hello"));
    alice.conversation.wait_for("nina: hello");
    let more = idle_connections(address, 100);
    check_talk(&mut alice, &mut bob, "still here");
    send(&mut nell, message("nell", "second"));
    alice.conversation.wait_for("nell: second");
    send(&mut nina, goodbye("nina"));
    alice.conversation.wait_for("nina has left");
    assert_eq!(count(&alice.conversation.seen, " is lost"), 0, "{:?}", alice.conversation.seen);
    drop((idle, more));
    alice.end_input();
    alice.stderr.rest();
    assert_eq!(count(&alice.stderr.seen, COMPLAINT), 1, "{:?}", alice.stderr.seen);
    // They are one line a minute.
    assert!(count(&alice.stderr.seen, "127.9.9.9") <= 3, "{:?}", alice.stderr.seen);
}

/// Connects to `address` from `host` without end, begins a handshake each time and does not finish it, and keeps the last
/// connections.
#[cfg(target_os = "linux")]
fn flood(host: [u8; 4], address: SocketAddr, is_over: Arc<AtomicBool>) -> JoinHandle<usize> {
    thread::spawn(move || {
        let mut keys = Keys::new(Access::Open, Box::new(|bytes| bytes.fill(7)));
        let (_, body) = Handshake::dial(&mut keys);
        let frame = format!("{body}<PEERENCD>");
        let (mut kept, mut count) = (VecDeque::new(), 0);
        while !is_over.load(Ordering::SeqCst) {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
            let socket = socket.expect("a socket");
            socket.bind(&SocketAddr::from((host, 0)).into()).expect("a host of this machine");
            if socket.connect_timeout(&address.into(), Duration::from_secs(1)).is_err() {
                continue;
            }
            // Nothing, the front, all of it.
            let bytes = &frame.as_bytes()[..frame.len() * (count % 3) / 2];
            let _ = socket.send(bytes);
            kept.push_back(socket);
            if kept.len() > 200 {
                kept.pop_front();
            }
            count += 1;
            // Some 700 a second.
            thread::sleep(Duration::from_micros(1_400));
        }
        count
    })
}

#[cfg(target_os = "linux")]
#[test]
fn handshakes_that_are_begun_without_end_keep_no_member_out() {
    let mut alice = Peer::start_shell("ulimit -n 64; exec \"$PEER\" -n alice 0");
    let address = alice.address();
    let mut bob = Peer::named("bob", &[address]);
    wait_for_members(&mut alice, 1);
    let is_over = Arc::new(AtomicBool::new(false));
    // From elsewhere, and from the members' own address.
    let floods = [[127, 9, 9, 9], [127, 0, 0, 1]].map(|host| flood(host, address, Arc::clone(&is_over)));
    alice.stderr.wait_for(COMPLAINT);
    let names = ["carol", "dave", "erin", "frank", "grace"];
    let mut others = names.map(|name| Peer::named(name, &[address]));
    wait_for_members(&mut alice, names.len());
    check_talk(&mut alice, &mut bob, "still here");
    for (name, other) in names.into_iter().zip(&mut others) {
        other.write_line("thank you");
        alice.conversation.wait_for(&format!("] {name}: thank you"));
    }
    assert_eq!(count(&alice.conversation.seen, " is lost"), 0, "{:?}", alice.conversation.seen);
    is_over.store(true, Ordering::SeqCst);
    let counts = floods.map(|flood| flood.join().expect("no panic"));
    println!("connections of the two strangers: {counts:?}");
}

/// The description of the time zone is a file, which cannot be read then.
#[test]
fn out_of_descriptors_times_are_local_all_the_same() {
    let path = format!("{}/five-and-a-half-hours-east", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&path, time_zone(5 * 3600 + 1800)).expect("a file of ours");
    let (mut alice, address) = alice_short_of_descriptors(&format!("TZ=':{path}'"));
    let client = connect(address);
    // All of another host, so that it is one of these that makes room for others.
    let silent: Vec<_> = (0..30).map(|_| TcpStream::connect(address).expect("room in the queue")).collect();
    alice.stderr.wait_for(COMPLAINT);
    send(client, message("client", "hello"));
    drop(silent);
    let line = alice.conversation.wait_for("client: hello");
    assert_eq!(line, "[2026-11-22 12:25:22] client: hello");
}

/// A description of a time zone that is `seconds` east of Greenwich all the time (RFC 8536).
fn time_zone(seconds: i32) -> Vec<u8> {
    // One local time type with a name of four bytes, and no transitions.
    let counts = [0_u32, 0, 0, 0, 1, 4].map(u32::to_be_bytes).concat();
    [b"TZif".as_slice(), &[0; 16], &counts, &seconds.to_be_bytes(), &[0, 0], b"TST\0"].concat()
}

/// Waits until a process has gone to sleep so many times more, which one that spins never does.
#[cfg(target_os = "linux")]
#[track_caller]
fn wait_for_sleeps(peer: &Peer, count: u64) {
    let sleeps = || -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", peer.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.expect("a line").trim().parse().expect("a number")
    };
    let start = sleeps();
    support::sockets::wait_until("the process goes to sleep again and again", || sleeps() >= start + count);
}
