//! Standard output and error that take nothing: a full disk, a pipe that nobody reads, a reader that
//! goes away. Nothing is dropped, and nothing else stands still for it.

mod support;

use std::fs::File;
use std::io::{self, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use support::descriptors::{content, feed, file_with, full_pipe, wait_until_idle};
use support::sockets::{EXIT, FreePort, MESSAGE, accept, hang_up, listen, messages, wait_until};
use support::{Lines, PROGRAM, Peer, read_to_end, read_until, without_hellos};

/// A peer called alice with these standard streams, and a connection that it dialled.
fn start_with(streams: [Stdio; 3]) -> (Peer, TcpStream) {
    let (listener, address) = listen();
    let mut command = Command::new(PROGRAM);
    let [input, output, error] = streams;
    let peer = Peer::run_with(command.args(["-n", "alice", "0", &address.to_string()]), input, output, error);
    (peer, accept(&listener))
}

/// The user can talk, whatever becomes of what others say.
#[track_caller]
fn check_can_talk(peer: &mut Peer, stream: &mut TcpStream) {
    peer.write_line("still here");
    assert_eq!(messages(read_until(stream, MESSAGE).as_bytes()), ["still here"]);
}

/// The peer says goodbye and ends with `code`; returns the last line on standard error.
#[track_caller]
fn check_goodbye(peer: &mut Peer, stream: &mut TcpStream, code: i32) -> String {
    let bytes = read_to_end(stream);
    assert!(bytes.ends_with(EXIT.as_bytes()), "no goodbye after {} bytes", bytes.len());
    // It waits for that.
    stream.shutdown(Shutdown::Both).expect("a connection");
    let lines = peer.stderr.rest();
    assert_eq!(peer.exit_code(), code, "{lines:?}");
    lines.last().cloned().unwrap_or_default()
}

#[test]
fn a_full_disk_is_told_once_and_at_the_end() {
    let Ok(full) = File::options().write(true).open("/dev/full") else {
        return eprintln!("passed over: this system has no full device");
    };
    let (mut peer, mut stream) = start_with([Stdio::piped(), full.into(), Stdio::piped()]);
    stream.write_all(b"one<MSGENCD>").expect("a peer that reads");
    peer.stderr.wait_for("cannot write standard output: no space left on device; the conversation waits");
    wait_until_idle(peer.child.id());
    stream.write_all(b"two<MSGENCD>").expect("a peer that reads");
    check_can_talk(&mut peer, &mut stream);
    wait_until_idle(peer.child.id());
    peer.end_input();
    let last = check_goodbye(&mut peer, &mut stream, 1);
    assert!(last.starts_with("groupchat: cannot write standard output: no space left on device; "), "{last}");
    assert!(last.ends_with(" bytes are lost"), "{last}");
    let told = peer.stderr.seen.iter().filter(|line| line.contains("no space left")).count();
    assert_eq!(told, 2, "once while it runs, and at the end: {:?}", peer.stderr.seen);
}

/// A limit on the size of files stands for a full disk, since it can be lifted.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_has_room_again_gets_everything() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let file = file_with(b"");
    let (listener, address) = listen();
    let script = r#"ulimit -S -f 2; exec "$PEER" -n alice 0 "$0""#;
    let mut peer = Peer::run_with(
        Command::new("sh").args(["-c", script, &address.to_string()]).env("PEER", PROGRAM),
        Stdio::piped(),
        file.try_clone().expect("another descriptor").into(),
        Stdio::piped(),
    );
    let mut stream = accept(&listener);
    let lines: Vec<_> = (0..20_000).map(|number| format!("{number} is said<MSGENCD>")).collect();
    feed(stream.try_clone().expect("another descriptor"), lines.concat());
    peer.stderr.wait_for("cannot write standard output: file too large; the conversation waits");
    check_can_talk(&mut peer, &mut stream);
    let unlimited = Rlimit { current: None, maximum: None };
    prlimit(Some(Pid::from_child(&peer.child)), Resource::Fsize, unlimited).expect("a limit to lift");
    wait_until("the file has everything", || content(&file).ends_with(": 19999 is said\n"));
    peer.end_input();
    check_goodbye(&mut peer, &mut stream, 0);
    check_numbers(content(&file).lines(), " is said", 20_000);
}

/// Each of `lines` says the next number, before `end`.
#[track_caller]
fn check_numbers<'a>(lines: impl Iterator<Item = &'a str>, end: &str, count: usize) {
    let mut next = 0;
    for line in lines {
        let number = line.strip_suffix(end).and_then(|line| line.rsplit(' ').next());
        assert_eq!(number, Some(&*next.to_string()), "in {line:?}");
        next += 1;
    }
    assert_eq!(next, count);
}

/// The memory that a Linux process uses, in KiB.
fn resident_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
fn a_pipe_that_is_not_read_pauses_reading_from_peers_and_drops_nothing() {
    let (reader, writer) = full_pipe();
    let (mut peer, mut stream) = start_with([Stdio::piped(), writer.into(), Stdio::piped()]);
    let end = format!(" {}", "x".repeat(80));
    let flood: Vec<_> = (0..200_000).map(|number| format!("{number}{end}{MESSAGE}")).collect();
    feed(stream.try_clone().expect("another descriptor"), flood.concat());
    // All of it would come to 24 MB.
    wait_until_idle(peer.child.id());
    assert!(resident_kib(peer.child.id()).is_none_or(|kib| kib < 16 << 10), "it is kept in memory");
    check_can_talk(&mut peer, &mut stream);
    wait_until_idle(peer.child.id());
    let mut lines = Lines::read(reader);
    lines.wait_for(&format!("199999{end}"));
    check_numbers(lines.seen.iter().map(String::as_str).filter(|line| !line.is_empty()), &end, 200_000);
    peer.end_input();
    check_goodbye(&mut peer, &mut stream, 0);
}

#[test]
fn a_reader_that_goes_away_is_an_end_with_goodbye_and_a_failure() {
    for speaks_last in [true, false] {
        let (reader, writer) = io::pipe().expect("a pipe");
        let (mut peer, mut stream) = start_with([Stdio::piped(), writer.into(), Stdio::piped()]);
        stream.write_all(b"one<MSGENCD>").expect("a peer that reads");
        // As `head -1` does.
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(reader), &mut line).expect("a line");
        assert!(line.ends_with(": one\n"), "{line}");
        if speaks_last {
            stream.write_all(b"two<MSGENCD>").expect("a peer that reads");
        }
        let last = check_goodbye(&mut peer, &mut stream, 1);
        assert_eq!(
            last,
            "groupchat: standard output was closed by its reader; the rest of the input was not read"
        );
    }
}

/// The lines that the script has sent before are delivered, and its failed ones are reported.
#[test]
fn a_script_whose_reader_goes_away_delivers_what_it_has_said() {
    let start = |arguments: &[&str]| {
        let port = FreePort::new();
        let (reader, writer) = io::pipe().expect("a pipe");
        let mut command = Command::new(PROGRAM);
        command.args(["-n", "alice", "--framing", "text", "0", &port.number()]).args(arguments);
        let mut peer = Peer::run_with(&mut command, Stdio::piped(), writer.into(), Stdio::piped());
        if arguments.is_empty() {
            peer.write_line("/nonsense\none");
            peer.stderr.wait_for("'/nonsense' failed");
        }
        peer.stderr.wait_for("cannot reach");
        drop(reader);
        let listener = TcpListener::bind(port.address()).expect("nobody else has it");
        let mut stream = accept(&listener);
        let bytes = read_to_end(&mut stream);
        assert_eq!(messages(without_hellos(&bytes)), ["one"]);
        assert!(bytes.ends_with(EXIT.as_bytes()), "no goodbye");
        let last = peer.stderr.rest().pop().expect("why it failed");
        assert_eq!(peer.exit_code(), 1);
        last
    };
    let closed = "groupchat: standard output was closed by its reader";
    let expected = format!("{closed}; the rest of the input was not read; '/nonsense' failed");
    assert_eq!(start(&[]), expected);
    let last = start(&["--send", "one"]);
    assert!(last.starts_with(closed), "{last}");
}

#[test]
fn a_pipeline_ends_with_its_reader() {
    let (listener, address) = listen();
    let script = format!(r#""$PEER" -n alice 0 {address} | head -1"#);
    let mut shell = Peer::start_shell(&script);
    let mut stream = accept(&listener);
    stream.write_all(b"one<MSGENCD>").expect("a peer that reads");
    let line = shell.conversation.wait_for(": one");
    assert!(line.starts_with('['), "{line}");
    // The exit code of a pipeline is that of its last command.
    check_goodbye(&mut shell, &mut stream, 0);
}

#[test]
fn output_that_cannot_be_written_is_a_failure_with_goodbye() {
    #[track_caller]
    fn check(output: File, why: &str) {
        let (mut peer, mut stream) = start_with([Stdio::piped(), output.into(), Stdio::piped()]);
        stream.write_all(b"one<MSGENCD>").expect("a peer that reads");
        let last = check_goodbye(&mut peer, &mut stream, 1);
        let expected =
            format!("groupchat: cannot write standard output: {why}; the rest of the input was not read");
        assert_eq!(last, expected);
    }
    check(File::open("/dev/null").expect("the null device"), "bad file descriptor");
    // The same error of a terminal would be its hang-up, and no failure.
    if let Ok(memory) = File::options().write(true).open("/proc/self/mem") {
        check(memory, "input/output error");
    }
}

#[track_caller]
fn check_errors_hold_nothing_up(errors: Stdio, code: i32) {
    let (mut peer, mut stream) = start_with([Stdio::piped(), Stdio::piped(), errors]);
    stream.write_all(b"one<MSGENCD>").expect("a peer that reads");
    peer.conversation.wait_for(": one");
    check_can_talk(&mut peer, &mut stream);
    wait_until_idle(peer.child.id());
    peer.end_input();
    check_goodbye(&mut peer, &mut stream, code);
}

#[test]
fn errors_that_nobody_reads_hold_nothing_up() {
    let (_reader, writer) = full_pipe();
    check_errors_hold_nothing_up(writer.into(), 0);
}

#[test]
fn errors_whose_reader_goes_away_hold_nothing_up() {
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    check_errors_hold_nothing_up(writer.into(), 0);
}

/// There is nobody to tell but whoever reads the exit code.
#[test]
fn errors_that_cannot_be_written_are_a_failure() {
    let only_read = File::open("/dev/null").expect("the null device");
    check_errors_hold_nothing_up(only_read.into(), 1);
    if let Ok(full) = File::options().write(true).open("/dev/full") {
        check_errors_hold_nothing_up(full.into(), 1);
    }
}

#[test]
fn texts_that_cannot_be_written_are_a_failure() {
    /// Asks for a text, that goes to `output`.
    #[track_caller]
    fn check(arguments: &[&str], output: Stdio, expected: Option<&str>) {
        let mut command = Command::new(PROGRAM);
        let mut peer = Peer::run_with(command.args(arguments), Stdio::null(), output, Stdio::piped());
        let expected = expected.map(|why| format!("groupchat: cannot write standard output: {why}"));
        assert_eq!(peer.stderr.rest(), Vec::from_iter(expected.clone()), "{arguments:?}");
        assert_eq!(peer.exit_code(), i32::from(expected.is_some()), "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["--man"], &["--version"], &["--completions", "zsh"]] {
        if let Ok(full) = File::options().write(true).open("/dev/full") {
            check(arguments, full.into(), Some("no space left on device"));
        }
        let only_read = File::open("/dev/null").expect("the null device");
        check(arguments, only_read.into(), Some("bad file descriptor"));
        // As behind `head`.
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        check(arguments, writer.into(), None);
    }
}

/// The last sentence, on why it failed, waits for its reader no longer than anything else.
#[test]
fn a_failure_that_nobody_reads_of_is_an_end_all_the_same() {
    let (_reader, writer) = full_pipe();
    let mut peer = Peer::run_with(
        Command::new(PROGRAM).args(["-n", "alice", "0"]),
        Stdio::piped(),
        Stdio::piped(),
        writer.into(),
    );
    peer.write_line("is anybody there?");
    peer.end_input();
    assert_eq!(peer.exit_code(), 1);
}

#[test]
fn one_pipe_for_all_that_nobody_reads_is_left_all_the_same() {
    let (_reader, writer) = full_pipe();
    let both = writer.try_clone().expect("another descriptor");
    let (mut peer, mut stream) = start_with([Stdio::piped(), writer.into(), both.into()]);
    stream.write_all(b"one<MSGENCD>").expect("a peer that reads");
    check_can_talk(&mut peer, &mut stream);
    peer.signal(Signal::TERM);
    check_goodbye(&mut peer, &mut stream, 1);
}

/// Closing with something unread would send a reset, which destroys what is still on its way.
#[test]
fn leaving_with_a_full_pipe_destroys_nothing_that_was_said() {
    let (_reader, writer) = full_pipe();
    let (mut peer, mut stream) = start_with([Stdio::piped(), writer.into(), Stdio::piped()]);
    feed(stream.try_clone().expect("another descriptor"), "hello<MSGENCD>".repeat(100_000));
    wait_until_idle(peer.child.id());
    let line = "x".repeat(1000);
    (0..300).for_each(|_| peer.write_line(&line));
    wait_until_idle(peer.child.id());
    peer.signal(Signal::TERM);
    assert_eq!(peer.exit_code(), 1, "what others said was not shown");
    let bytes = read_to_end(&mut stream);
    assert_eq!(messages(&bytes).len(), 300);
    assert!(bytes.ends_with(EXIT.as_bytes()), "no goodbye");
}

/// What there is no time to show is left out at the end, and nowhere before.
#[test]
fn leaving_with_a_slow_reader_shows_whole_messages_up_to_some_point() {
    let (reader, writer) = full_pipe();
    let (mut peer, stream) = start_with([Stdio::piped(), writer.into(), Stdio::piped()]);
    let flood: Vec<_> = (0..200_000).map(|number| format!("{number} end{MESSAGE}")).collect();
    feed(stream.try_clone().expect("another descriptor"), flood.concat());
    wait_until_idle(peer.child.id());
    peer.signal(Signal::TERM);
    let mut lines = Lines::read(reader);
    let seen = lines.rest();
    let code = peer.exit_code();
    let said: Vec<_> = seen.iter().filter(|line| line.contains("] ")).collect();
    for (number, line) in said.iter().enumerate() {
        assert!(line.ends_with(&format!(": {number} end")), "{line:?} is not message {number}");
    }
    assert_eq!(code, i32::from(said.len() < flood.len()), "{} of them were shown", said.len());
}

/// However long standard output had taken nothing before.
#[test]
fn patience_with_standard_output_begins_with_leaving() {
    let (reader, writer) = full_pipe();
    let ((friend, address), (dead, dead_address)) = (listen(), listen());
    let arguments = ["-n", "alice", "0", &address.to_string(), &dead_address.to_string()];
    // Nor does standard error take anything, which would count as well.
    let (_, errors) = io::pipe().expect("a pipe");
    let mut peer =
        Peer::run_with(Command::new(PROGRAM).args(arguments), Stdio::piped(), writer.into(), errors.into());
    let mut stream = accept(&friend);
    stream.write_all(b"hello<MSGENCD>").expect("a peer that reads");
    // The pauses before it dials again come to more than the patience.
    hang_up(&dead, 5);
    peer.signal(Signal::TERM);
    assert!(read_to_end(&mut stream).ends_with(EXIT.as_bytes()), "no goodbye");
    // It has left, and only waits for its standard output to be read.
    stream.shutdown(Shutdown::Both).expect("a connection");
    wait_until_idle(peer.child.id());
    let mut lines = Lines::read(reader);
    lines.wait_for(": hello");
    lines.rest();
    assert_eq!(peer.exit_code(), 0);
}
