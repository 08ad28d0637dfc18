//! The real program in a pseudo-terminal that can only print lines: typing, the keys that end it, and a
//! terminal that is the same afterwards.

mod support;

use std::fs::File;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use support::descriptors::wait_until_idle;
use support::sockets::{
    EXIT, MESSAGE, accept, connect_with_little_room, listen, message, messages, wait_until,
};
use support::{Lines, PROGRAM, read_to_end, read_until};

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_Q: &str = "\x11";
const CTRL_S: &str = "\x13";

/// A pseudo-terminal in which a peer called alice runs, or a shell that runs it.
struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Option<Box<dyn MasterPty + Send>>,
    /// The other side, on which the peer is.
    device: File,
    settings_before: String,
}

impl Terminal {
    /// Starts a peer that dials `peer`.
    fn start(peer: SocketAddr) -> Self {
        Self::run(&[PROGRAM, "-n", "alice", "--framing", "text", "0", &peer.to_string()])
    }

    /// Starts a shell in whose `script`, `"$PEER"` is the command that starts such a peer.
    fn start_shell(script: &str, peer: SocketAddr) -> Self {
        let function = format!(r#"peer() {{ "$0" -n alice --framing text 0 {peer}; }}; "#);
        Self::run(&["sh", "-c", &(function + script), PROGRAM])
    }

    fn run(words: &[&str]) -> Self {
        Self::run_in("dumb", &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    /// Runs a command in a terminal of this type.
    fn run_in(term: &str, words: &[String]) -> Self {
        let pair = native_pty_system().openpty(PtySize::default()).expect("a pseudo-terminal");
        let name = pair.master.tty_name().expect("its name");
        let device = File::options().read(true).write(true).open(name).expect("its other side");
        let settings_before = settings(&device);
        let mut command = CommandBuilder::from_argv(words.iter().map(Into::into).collect());
        command.env("TZ", "UTC");
        command.env("TERM", term);
        command.env_remove("GROUPCHAT_NAME");
        let child = pair.slave.spawn_command(command).expect("it starts");
        Self { child, master: Some(pair.master), device, settings_before }
    }

    /// What it shows, from the start on, and a keyboard. With these, the terminal cannot be closed.
    fn screen(&mut self) -> (Lines, Box<dyn Write + Send>) {
        let master = self.master.as_ref().expect("a terminal that was not closed");
        let reader = master.try_clone_reader().expect("a reader");
        (Lines::read(reader), master.take_writer().expect("a writer"))
    }

    /// Closes the terminal, as its window does.
    fn close(&mut self) {
        self.master = None;
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.process_id().expect("a process");
        let pid = Pid::from_raw(id.cast_signed()).expect("a process");
        kill_process(pid, signal).expect("a process that runs");
    }

    #[track_caller]
    fn wait_until_idle(&self) {
        wait_until_idle(self.child.process_id().expect("a process"));
    }

    #[track_caller]
    fn exit_code(&mut self) -> u32 {
        let mut status = None;
        wait_until("the peer ends", || {
            status = self.child.try_wait().expect("our child");
            status.is_some()
        });
        status.expect("it ended").exit_code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Not one that has ended: its number may be another's by now.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// A terminal with a peer that shows that it is connected, and what it is connected to.
fn connected() -> (Terminal, Lines, Box<dyn Write + Send>, TcpStream) {
    let (listener, address) = listen();
    let mut terminal = Terminal::start(address);
    let (mut screen, keyboard) = terminal.screen();
    let stream = accept(&listener);
    screen.wait_for(&format!("connected to {address}"));
    (terminal, screen, keyboard, stream)
}

/// All settings of a terminal.
fn settings(device: &File) -> String {
    format!("{:?}", rustix::termios::tcgetattr(device).expect("a terminal"))
}

fn press(keyboard: &mut Box<dyn Write + Send>, keys: &str) {
    keyboard.write_all(keys.as_bytes()).and_then(|()| keyboard.flush()).expect("a terminal");
}

/// The peer sends a goodbye, and nothing else.
#[track_caller]
fn check_goodbye(stream: &mut TcpStream) {
    let bytes = read_to_end(stream);
    assert!(bytes.ends_with(format!("|\nalice{EXIT}").as_bytes()), "{}", String::from_utf8_lossy(&bytes));
    assert_eq!(messages(&bytes), [""; 0]);
    // It waits for that.
    stream.shutdown(Shutdown::Both).expect("a connection");
}

#[test]
fn a_line_is_sent_with_enter_and_received_ones_are_shown() {
    let (mut terminal, mut screen, mut keyboard, mut stream) = connected();
    press(&mut keyboard, "helo");
    // What the terminal itself lets a user correct is never seen by others.
    press(&mut keyboard, "\x7flo there\r");
    assert_eq!(messages(read_until(&mut stream, MESSAGE).as_bytes()), ["hello there"]);
    stream.write_all(message("bob", "hi\x1b[2J\x07\n\u{9b}31m").as_bytes()).expect("a peer that reads");
    screen.wait_for("[2026-11-22 06:55:22] bob: hi^[[2J^G");
    screen.wait_for("    \u{fffd}31m");
    press(&mut keyboard, CTRL_D);
    check_goodbye(&mut stream);
    assert_eq!(terminal.exit_code(), 0);
    let has_codes = |line: &String| line.contains(['\x1b', '\x07', '\u{9b}']);
    assert!(!screen.seen.iter().any(has_codes), "{:?}", screen.seen);
}

#[test]
fn every_way_to_end_it_leaves_the_terminal_as_it_was() {
    /// Ends a peer in the middle of a line by `keys` or `signal`.
    #[track_caller]
    fn check(keys: &str, signal: Option<Signal>, code: u32) {
        let (mut terminal, _screen, mut keyboard, mut stream) = connected();
        press(&mut keyboard, keys);
        if let Some(signal) = signal {
            terminal.signal(signal);
        }
        if code == 0 {
            check_goodbye(&mut stream);
            assert_eq!(terminal.exit_code(), 0);
        } else {
            assert_eq!(read_to_end(&mut stream), b"");
            assert_ne!(terminal.exit_code(), 0);
        }
        assert_eq!(settings(&terminal.device), terminal.settings_before);
    }
    check(CTRL_D, None, 0);
    check("half a line\x03", None, 0);
    check("half a line", Some(Signal::INT), 0);
    check("half a line", Some(Signal::TERM), 0);
    check("half a line", Some(Signal::HUP), 0);
    check("half a line", Some(Signal::KILL), 1);
}

#[test]
fn a_second_ctrl_c_ends_it_at_once() {
    let (listener, address) = listen();
    let mut terminal = Terminal::start(address);
    let (mut screen, mut keyboard) = terminal.screen();
    let mut stream = accept(&listener);
    let port = screen.wait_for("listening on ").trim_end().rsplit(':').next().map(str::parse);
    let _deaf = connect_with_little_room(([127, 0, 0, 1], port.expect("a port").expect("a number")).into());
    screen.wait_for(" connected");
    let line = format!("{}\r", "x".repeat(1000));
    for _ in 0..600 {
        press(&mut keyboard, &line);
        read_until(&mut stream, MESSAGE);
    }
    press(&mut keyboard, CTRL_C);
    read_until(&mut stream, EXIT);
    press(&mut keyboard, CTRL_C);
    screen.wait_for("groupchat: ended at once");
    assert_eq!(terminal.exit_code(), 1);
    assert_eq!(settings(&terminal.device), terminal.settings_before);
}

/// Whatever the first request to leave is, a second one ends the wait for a peer that does not accept.
#[cfg(target_os = "linux")]
#[test]
fn a_second_request_ends_the_wait_for_a_peer_at_once() {
    // A terminal that can draw, where the first one is a key or a command, and one that cannot.
    for (term, first) in
        [("xterm", CTRL_C), ("xterm", CTRL_D), ("xterm", "/quit\r"), ("dumb", CTRL_D), ("dumb", "/quit\r")]
    {
        for second in [None, Some(Signal::TERM)] {
            let (socket, address) = unanswering();
            let _fills_it = support::connect(address);
            let (listener, named) = listen();
            let words = [PROGRAM, "-n", "alice", "--framing", "text", "0"].map(str::to_owned);
            let peers = [named.to_string(), address.to_string()];
            let mut terminal = Terminal::run_in(term, &[&words[..], &peers].concat());
            let (mut screen, mut keyboard) = terminal.screen();
            let mut stream = accept(&listener);
            screen.wait_for(&format!("connected to {named}"));
            press(&mut keyboard, "hello\r");
            read_until(&mut stream, MESSAGE);
            terminal.wait_until_idle();
            press(&mut keyboard, first);
            wait_until("the terminal is as it was", || {
                settings(&terminal.device) == terminal.settings_before
            });
            terminal.wait_until_idle();
            match second {
                None => press(&mut keyboard, CTRL_C),
                Some(signal) => terminal.signal(signal),
            }
            screen.wait_for("groupchat: ended at once");
            assert_eq!(terminal.exit_code(), 1, "{term}, {first:?}");
            assert!(read_to_end(&mut stream).ends_with(format!("|\nalice{EXIT}").as_bytes()), "no goodbye");
            drop(socket);
        }
    }
}

/// A socket that has room for one connection: a later connection is never accepted.
fn unanswering() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    socket.listen(0).expect("a listener");
    let address = socket.local_addr().expect("its address").as_socket().expect("an IP address");
    (socket, address)
}

/// The shell and the peer have the same descriptors, and the peer leaves them as they were.
#[cfg(target_os = "linux")]
#[test]
fn the_terminal_does_not_become_non_blocking_for_the_shell() {
    fn check_flags(process: u32, when: &str) {
        for descriptor in 0..3 {
            let path = format!("/proc/{process}/fdinfo/{descriptor}");
            let info = std::fs::read_to_string(path).expect("a descriptor of our child");
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags");
            let flags = u32::from_str_radix(flags.trim(), 8).expect("an octal number");
            assert_eq!(flags & rustix::fs::OFlags::NONBLOCK.bits(), 0, "descriptor {descriptor} {when}");
        }
    }
    let (listener, address) = listen();
    let mut terminal = Terminal::start_shell(r#"peer; echo "it ended with $?"; read line"#, address);
    let shell = terminal.child.process_id().expect("a process");
    let (mut screen, mut keyboard) = terminal.screen();
    let mut stream = accept(&listener);
    press(&mut keyboard, "hello\r");
    read_until(&mut stream, MESSAGE);
    stream.write_all(message("bob", "hi").as_bytes()).expect("a peer that reads");
    screen.wait_for("bob: hi");
    check_flags(shell, "while it runs");
    press(&mut keyboard, CTRL_D);
    check_goodbye(&mut stream);
    screen.wait_for("it ended with 0");
    check_flags(shell, "afterwards");
    assert_eq!(settings(&terminal.device), terminal.settings_before);
    press(&mut keyboard, "\r");
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn a_terminal_that_is_closed_is_a_goodbye() {
    let (listener, address) = listen();
    let mut terminal = Terminal::start(address);
    let mut stream = accept(&listener);
    terminal.wait_until_idle();
    terminal.close();
    check_goodbye(&mut stream);
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn a_terminal_that_is_closed_behind_a_shell_is_a_goodbye() {
    let (listener, address) = listen();
    // Not the last command, which a shell may run in its own place.
    let mut terminal = Terminal::start_shell("peer; exit $?", address);
    let mut stream = accept(&listener);
    terminal.wait_until_idle();
    terminal.close();
    check_goodbye(&mut stream);
    terminal.exit_code();
}

#[test]
fn a_stopped_terminal_stops_nothing_else() {
    let (mut terminal, mut screen, mut keyboard, mut stream) = connected();
    press(&mut keyboard, CTRL_S);
    press(&mut keyboard, "one\r");
    read_until(&mut stream, MESSAGE);
    let text = "x".repeat(100);
    let sent: Vec<_> = (0..5_000).map(|number| message("bob", &format!("{text} {number}"))).collect();
    support::descriptors::feed(stream.try_clone().expect("another descriptor"), sent.concat());
    terminal.wait_until_idle();
    press(&mut keyboard, "two\r");
    assert_eq!(messages(read_until(&mut stream, MESSAGE).as_bytes()), ["two"]);
    terminal.wait_until_idle();
    press(&mut keyboard, CTRL_Q);
    for number in 0..5_000 {
        // Broken into rows of 80 cells.
        let row = screen.wait_for("bob: ");
        let next = screen.next_line().expect("another row");
        let (row, next) = (row.trim_end(), next.trim_end());
        let whole = format!("{}{}", row, next.strip_prefix("    ").expect("an indent"));
        assert!(
            row.len() == 80 && whole.ends_with(&format!("bob: {text} {number}")),
            "{whole:?} is not the next"
        );
    }
    press(&mut keyboard, CTRL_D);
    check_goodbye(&mut stream);
    assert_eq!(terminal.exit_code(), 0);
}

/// Nobody sees why it failed, and it ends all the same.
#[test]
fn a_stopped_terminal_can_be_left() {
    let (mut terminal, _screen, mut keyboard, mut stream) = connected();
    press(&mut keyboard, CTRL_S);
    press(&mut keyboard, "one\r");
    read_until(&mut stream, MESSAGE);
    stream.write_all(message("bob", "hi").as_bytes()).expect("a peer that reads");
    terminal.wait_until_idle();
    terminal.signal(Signal::TERM);
    check_goodbye(&mut stream);
    assert_eq!(terminal.exit_code(), 1);
    assert_eq!(settings(&terminal.device), terminal.settings_before);
}

/// In a shell with job control, a peer is started in the background as `command` says, where writing to
/// the terminal would stop it. The shell says which process that is, waits for Enter, and does `then`.
fn in_the_background(command: &str, then: &str) -> (Terminal, Lines, Box<dyn Write + Send>, TcpStream) {
    let (listener, address) = listen();
    let script = format!(r#"set -m; stty tostop; {command} & echo "job $!."; read line; {then}"#);
    let command = script.replace("PEER", &format!(r#""$0" -n alice --framing text 0 {address}"#));
    let mut terminal = Terminal::run(&["sh", "-c", &command, PROGRAM]);
    let (mut screen, keyboard) = terminal.screen();
    let job = screen.wait_for("job ");
    let job = job.trim_end().trim_end_matches('.').rsplit(' ').next().map(str::parse);
    let mut stream = accept(&listener);
    stream.write_all(message("bob", "hi").as_bytes()).expect("a peer that reads");
    wait_until_idle(job.expect("a number").expect("a process"));
    (terminal, screen, keyboard, stream)
}

#[test]
fn in_the_background_nothing_is_written_and_kill_ends_it() {
    #[track_caller]
    fn check(command: &str, code: u32) {
        let then = r#"kill %1; wait %1; echo "it ended with $?.""#;
        let (mut terminal, mut screen, mut keyboard, mut stream) = in_the_background(command, then);
        press(&mut keyboard, "\r");
        check_goodbye(&mut stream);
        screen.wait_for(&format!("it ended with {code}."));
        let written = ["listening", "connected", "hi", "groupchat:", "lost"];
        let written = screen.seen.iter().find(|line| written.iter().any(|part| line.contains(part)));
        assert_eq!(written, None, "{command}");
        assert_eq!(terminal.exit_code(), 0);
    }
    for kind in ["dumb", "xterm"] {
        check(&format!("TERM={kind} PEER"), 0);
        check(&format!("TERM={kind} PEER 2>/dev/null"), 0);
        check(&format!("TERM={kind} PEER >/dev/null"), 0);
        check(&format!("TERM={kind} PEER --stay </dev/null"), 0);
        check(&format!("TERM={kind} PEER --stay --json </dev/null"), 0);
        // It would tell why it failed.
        check(&format!("TERM={kind} PEER --stay --log /dev/full </dev/null"), 1);
    }
}

#[test]
fn in_the_foreground_again_everything_is_shown() {
    for kind in ["dumb", "xterm"] {
        let (mut terminal, mut screen, mut keyboard, mut stream) =
            in_the_background(&format!("TERM={kind} PEER"), "fg; exit $?");
        press(&mut keyboard, "\r");
        screen.wait_for("listening on");
        screen.wait_for(": hi");
        press(&mut keyboard, "hello\r");
        assert_eq!(messages(read_until(&mut stream, MESSAGE).as_bytes()), ["hello"]);
        press(&mut keyboard, CTRL_D);
        check_goodbye(&mut stream);
        assert_eq!(terminal.exit_code(), 0);
    }
}
