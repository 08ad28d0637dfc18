//! Standard input and output of every kind: nothing is lost, nothing spins, and nothing is left
//! changed for those who share them.

mod support;

use std::fs::File;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use rustix::fs::fcntl_getfl;
use rustix::process::Signal;
use support::descriptors::{content, feed, file_with, full_pipe, wait_until_idle};
use support::sockets::{
    EXIT, FreePort, MESSAGE, accept, goodbye, listen, message, messages, shown, wait_until,
};
use support::{Lines, PROGRAM, Peer, connect, read_to_end, read_until};

/// A peer called alice with these standard streams, and a connection that it dialled.
fn start_with(arguments: &[&str], streams: [Stdio; 3]) -> (Peer, TcpStream) {
    let (listener, address) = listen();
    let mut command = Command::new(PROGRAM);
    // The reader sends nothing.
    let options = ["-n", "alice", "--plain", "--framing", "text", "0", &address.to_string()];
    let command = command.args(options).args(arguments);
    let [input, output, error] = streams;
    let peer = Peer::run_with(command, input, output, error);
    let stream = accept(&listener);
    (peer, stream)
}

/// The messages that a peer with `input` sends until it leaves, and its standard error.
#[track_caller]
fn sent(input: Stdio) -> (Vec<String>, String) {
    sent_with_exit_code(input, 0)
}

/// The same of a peer that ends with `code`.
#[track_caller]
fn sent_with_exit_code(input: Stdio, code: i32) -> (Vec<String>, String) {
    let (mut peer, mut stream) = start_with(&[], [input, Stdio::piped(), Stdio::piped()]);
    let bytes = read_to_end(&mut stream);
    assert!(bytes.ends_with(format!("|\nalice{EXIT}").as_bytes()), "no goodbye after {} bytes", bytes.len());
    // It waits for that.
    drop(stream);
    let stderr = peer.stderr.rest().join("\n");
    assert_eq!(peer.exit_code(), code, "{stderr}");
    (messages(&bytes), stderr)
}

/// `bytes` are sent as `expected`, whether they come from a pipe or a file.
#[track_caller]
fn check_input(bytes: &[u8], expected: &[&str]) {
    assert_eq!(sent(file_with(bytes).into()).0, expected);
    let (reader, writer) = io::pipe().expect("a pipe");
    feed(writer, bytes);
    assert_eq!(sent(reader.into()).0, expected);
}

/// `bytes`, which are one line, are sent as `expected` in several messages.
#[track_caller]
fn check_long_line(bytes: &[u8], expected: &str) {
    for is_file in [true, false] {
        let (reader, writer) = io::pipe().expect("a pipe");
        let input = if is_file { file_with(bytes).into() } else { reader.into() };
        feed(writer, bytes);
        let pieces = sent(input).0;
        assert!(pieces.iter().all(|piece| piece.len() <= 65_000), "a message that is too long");
        let whole = pieces.concat();
        assert!(whole == expected, "{} bytes are sent, not {}", whole.len(), expected.len());
    }
}

#[test]
fn lines_are_sent_unchanged() {
    check_input(b"one\ntwo\n", &["one", "two"]);
    check_input(b"one\ntwo", &["one", "two"]);
    check_input(b"x", &["x"]);
    check_input(b"one\r\ntwo\r\n", &["one", "two"]);
    check_input(b"\n\r\none\n\n\ntwo\n\n", &["one", "two"]);
    // A line of blanks alone is not sent.
    check_input(b" one \n\t\n", &[" one "]);
    check_input(b"a\xffb\n\xc3\n\xc3\xbc\n", &["a\u{fffd}b", "\u{fffd}", "\u{fc}"]);
    check_input(b"a\0b\x1b[31m\n", &["a\0b\x1b[31m"]);
    check_input(b"", &[]);
    check_input(b"\n", &[]);
}

#[test]
fn a_line_of_any_length_is_sent_whole() {
    for length in [64_999, 65_000, 65_001, 70_000, 1 << 20] {
        let line = "abcdefghi".repeat(length).split_off(length * 8);
        check_long_line(line.as_bytes(), &line);
    }
    // Whatever its pieces begin with.
    let line = format!("{}/quit {}", "x".repeat(65_000), "/msg bob y ".repeat(10_000));
    check_long_line(line.as_bytes(), &line);
    // Cut between characters of three bytes, and followed by a line break.
    let line = "\u{20ac}".repeat(70_000);
    check_long_line(format!("{line}\n").as_bytes(), &line);
}

/// What is no UTF-8 takes three times the room.
#[test]
fn a_long_last_line_that_is_not_utf8_is_sent_whole() {
    for length in [60_000, 200_000] {
        check_long_line(&vec![0xff; length], &"\u{fffd}".repeat(length));
    }
}

/// The end of input is found in a turn in which as much was sent as one turn may send.
#[test]
fn a_long_last_line_after_many_short_ones_is_sent_and_the_end_is_detected() {
    let last = "y".repeat(57_000);
    let (mut peer, mut stream) = start_with(&[], [Stdio::piped(), Stdio::null(), Stdio::piped()]);
    wait_until_idle(peer.child.id());
    // So that it finds everything at once.
    peer.signal(Signal::STOP);
    let input = peer.input.take().expect("a pipe");
    let feeder = feed(input, format!("{}{last}", "x\n".repeat(4_000)));
    wait_until("the pipe has it", || feeder.is_finished());
    peer.signal(Signal::CONT);
    let texts = messages(&read_to_end(&mut stream));
    assert_eq!(texts.len(), 4_001);
    assert!(texts.last() == Some(&last));
    assert_eq!(peer.exit_code(), 0);
}

#[test]
fn all_lines_of_a_large_file_are_sent_in_order() {
    let expected: Vec<_> = (0..100_000).map(|number| number.to_string()).collect();
    let (texts, _) = sent(file_with(expected.join("\n").as_bytes()).into());
    assert!(texts == expected, "{} lines, the last is {:?}", texts.len(), texts.last());
}

#[test]
fn a_line_may_come_in_pieces() {
    let (mut peer, mut stream) = start_with(&[], [Stdio::piped(), Stdio::null(), Stdio::piped()]);
    let mut input = peer.input.take().expect("a pipe");
    for piece in ["he", "l", "lo\nbye", "\n\nlast"] {
        input.write_all(piece.as_bytes()).expect("a peer that reads");
        wait_until_idle(peer.child.id());
    }
    assert_eq!(messages(read_until(&mut stream, "bye<MSGENCD>").as_bytes()), ["hello", "bye"]);
    drop(input);
    assert_eq!(messages(&read_to_end(&mut stream)), ["last"]);
}

#[test]
fn input_that_cannot_be_read_is_an_end_of_input_and_a_failure() {
    #[track_caller]
    fn check(input: Stdio, trouble: Option<&str>) {
        let (texts, stderr) = sent_with_exit_code(input, i32::from(trouble.is_some()));
        assert_eq!(texts, [""; 0]);
        let reported = stderr.lines().last().and_then(|line| line.strip_prefix("groupchat: "));
        let trouble = trouble.map(|why| format!("cannot read standard input: {why}"));
        assert_eq!(reported, trouble.as_deref(), "{stderr}");
    }
    check(Stdio::null(), None);
    check(File::open(std::env::temp_dir()).expect("a directory").into(), Some("is a directory"));
    let only_written = File::options().write(true).open("/dev/null").expect("the null device");
    check(only_written.into(), Some("bad file descriptor"));
    // The same error of a terminal would be its hang-up, and no failure.
    if let Ok(memory) = File::open("/proc/self/mem") {
        check(memory.into(), Some("input/output error"));
    }
}

/// Before `main`, the runtime of Rust opens the null device for reading and writing in place of a closed
/// standard stream. That looks like the null device that other programs pass for unwanted output: Python (`DEVNULL`) and Node.js (`ignore`) also open it for both.
#[test]
fn closed_streams_are_no_trouble() {
    for closed in ["<&-", ">&-", "2>&-", ">&- 2>&-"] {
        let (listener, address) = listen();
        let mut peer = Peer::start_shell(&format!(r#"exec "$PEER" -n alice 0 {address} {closed}"#));
        let mut stream = accept(&listener);
        if closed != "<&-" {
            stream.write_all(b"hello<MSGENCD>").expect("a peer that reads");
            peer.write_line("hello");
            read_until(&mut stream, MESSAGE);
        }
        peer.end_input();
        assert!(read_to_end(&mut stream).ends_with(EXIT.as_bytes()), "no goodbye with {closed}");
        assert_eq!(peer.exit_code(), 0, "with {closed}");
    }
}

#[test]
fn a_peer_that_stays_without_input_sleeps() {
    let file = || file_with(b"one\ntwo");
    let inputs = [Stdio::null(), file().into(), io::pipe().expect("a pipe").0.into()];
    for input in inputs {
        let (mut peer, mut stream) = start_with(&["--stay"], [input, Stdio::piped(), Stdio::piped()]);
        wait_until_idle(peer.child.id());
        stream.write_all(message("bob", "hello").as_bytes()).expect("a peer that reads");
        peer.conversation.wait_for("] bob: hello");
        wait_until_idle(peer.child.id());
        peer.signal(Signal::TERM);
        read_until(&mut stream, EXIT);
        drop(stream);
        assert_eq!(peer.exit_code(), 0);
    }
}

#[test]
fn a_file_gets_the_conversation() {
    let file = file_with(b"");
    let output = file.try_clone().expect("another descriptor").into();
    let (mut peer, mut stream) = start_with(&[], [Stdio::piped(), output, Stdio::piped()]);
    let expected: Vec<_> = (0..1000).map(|number| format!("[2026-11-22 06:55:22] bob: {number}\n")).collect();
    for number in 0..1000 {
        stream.write_all(message("bob", &number.to_string()).as_bytes()).expect("a peer that reads");
    }
    wait_until("the file has everything", || content(&file) == expected.concat());
    peer.end_input();
    assert_eq!(peer.exit_code(), 0);
    assert_eq!(content(&file), expected.concat());
}

/// A process that shares a descriptor with a peer finds it as it was, while the peer runs and afterwards.
#[test]
fn shared_descriptors_do_not_become_non_blocking() {
    #[track_caller]
    fn check(input: impl AsFd, output: impl AsFd) {
        let streams = [input.as_fd(), output.as_fd(), output.as_fd()];
        let flags = streams.map(|stream| fcntl_getfl(stream).expect("flags"));
        let share = streams.map(|stream| Stdio::from(stream.try_clone_to_owned().expect("a descriptor")));
        let (mut peer, mut stream) = start_with(&["--stay"], share);
        stream.write_all(b"hello<MSGENCD>").expect("a peer that reads");
        wait_until_idle(peer.child.id());
        assert_eq!(streams.map(|stream| fcntl_getfl(stream).expect("flags")), flags, "while it runs");
        peer.signal(Signal::TERM);
        assert!(read_to_end(&mut stream).ends_with(EXIT.as_bytes()));
        assert_eq!(peer.exit_code(), 0);
        assert_eq!(streams.map(|stream| fcntl_getfl(stream).expect("flags")), flags, "afterwards");
    }
    let (input, output) = (io::pipe().expect("a pipe"), io::pipe().expect("a pipe"));
    check(&input.0, &output.1);
    let (one, _other) = UnixStream::pair().expect("a pair");
    check(&one, &one);
    check(file_with(b"hello\n"), file_with(b""));
    check(OwnedFd::from(File::open("/dev/null").expect("the null device")), output.1);
}

/// However long they had to wait for their reader.
#[test]
fn lines_of_both_streams_keep_their_order_in_one_pipe() {
    let (reader, writer) = full_pipe();
    let port = FreePort::new();
    let mut command = Command::new(PROGRAM);
    let command = command.args(["-n", "alice", &port.number()]);
    let both = writer.try_clone().expect("another descriptor").into();
    let mut peer = Peer::run_with(command, Stdio::piped(), writer.into(), both);
    let mut first = None;
    wait_until("the peer listens", || {
        first = TcpStream::connect(port.address()).ok();
        first.is_some()
    });
    let mut expected = Vec::new();
    for round in 0..50 {
        let mut stream = first.take().unwrap_or_else(|| connect(port.address()));
        let name = stream.local_addr().expect("its address");
        let frames = message("bob", &round.to_string()) + &goodbye("bob");
        stream.write_all(frames.as_bytes()).expect("a peer that reads");
        // Then it has understood everything.
        assert_eq!(read_to_end(&mut stream), b"");
        expected.extend([format!("{name} connected"), shown("bob", &round.to_string())]);
        expected.push("bob has left the chat...".to_owned());
    }
    let mut lines = Lines::read(reader);
    lines.wait_for("listening on ");
    let got: Vec<_> = expected.iter().map_while(|_| lines.next_line()).collect();
    assert_eq!(got, expected);
    peer.end_input();
    assert_eq!(peer.exit_code(), 0);
}
