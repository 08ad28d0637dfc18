//! The command line: what each option does, what the error for each mistake is, and how the program
//! is used in a pipeline.

mod support;

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};
use support::descriptors::wait_until_idle;
use support::sockets::{FreePort, MESSAGE, accept, has_ipv6, listen, messages};
use support::{PROGRAM, Peer, connect, read_to_end, read_until};

/// Runs the program with `arguments` and no input, and checks how it ends. Returns its lines on
/// standard output and standard error.
#[track_caller]
fn check_end(arguments: &[&str], code: i32) -> (Vec<String>, Vec<String>) {
    check_end_of(Peer::start(arguments), code)
}

#[track_caller]
fn check_end_of(mut peer: Peer, code: i32) -> (Vec<String>, Vec<String>) {
    peer.end_input();
    let lines = (peer.conversation.rest(), peer.stderr.rest());
    assert_eq!(peer.exit_code(), code, "{lines:?}");
    lines
}

/// Runs the program with `arguments` until it listens, which shows that they are accepted.
#[track_caller]
fn check_start(arguments: &[&str]) {
    let mut peer = Peer::start(arguments).listening();
    peer.signal(Signal::TERM);
    assert_eq!(peer.exit_code(), 0);
}

#[test]
fn help_and_version_go_to_standard_output() {
    for arguments in [["--help"], ["-h"]] {
        let (output, errors) = check_end(&arguments, 0);
        let text = output.join("\n");
        for part in [
            "groupchat [OPTIONS] <PORT> [PEER]...",
            "HOST:PORT, [IPV6]:PORT, or a bare PORT",
            "-n, --name <NAME>",
            "[default: the login name]",
            "[env: GROUPCHAT_NAME]",
            "-b, --bind <ADDRESS>",
            "[default: all, IPv6 and IPv4]",
            "--framing <",
            "[default: text]",
            "--stay",
            "-h, --help",
            "-V, --version",
        ] {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
        for line in &output {
            assert!(line.chars().count() <= 80 && line.trim_end() == line, "{line:?}");
        }
        assert!(!text.contains("exercise"), "{text}");
        assert_eq!(errors, [""; 0]);
    }
    for arguments in [["--version"], ["-V"]] {
        let (output, errors) = check_end(&arguments, 0);
        assert_eq!(output, [concat!("groupchat ", env!("CARGO_PKG_VERSION"))]);
        assert_eq!(errors, [""; 0]);
    }
}

/// The error for a mistake in the arguments is one visible line on standard error, which holds all
/// of `parts`, and with nothing else.
#[track_caller]
fn check_argument_error(arguments: &[&str], parts: &[&str]) {
    check_argument_error_of(Peer::start(arguments), parts);
}

#[track_caller]
fn check_argument_error_of(peer: Peer, parts: &[&str]) {
    let (output, errors) = check_end_of(peer, 2);
    assert_eq!(output, [""; 0]);
    let [line] = errors.as_slice() else { panic!("one line, not {errors:?}") };
    assert!(line.starts_with("groupchat: "), "{line}");
    assert!(!line.contains(char::is_control), "{line:?}");
    for part in parts {
        assert!(line.contains(part), "no {part:?} in {line}");
    }
}

#[test]
fn a_port_is_a_number_that_is_there() {
    let parts = ["usage: groupchat [OPTIONS] <PORT> [PEER]...", "required", r#""groupchat 5000" begins"#];
    check_argument_error(&[], &parts);
    check_argument_error(&["--stay"], &parts);
    for port in ["70000", "65536", "abc", "", "5000x", "0x10", "1.5", "\u{661}"] {
        check_argument_error(&[port], &[&format!("'{port}' for '<PORT>'"), "0 to 65535"]);
    }
    check_argument_error(&["80x"], &["0 takes a free one"]);
    check_argument_error(&["127.0.0.1", "5000"], &["to join, write groupchat 0 127.0.0.1:PORT"]);
    check_argument_error(&["::1", "5000"], &["to join, write groupchat 0 [::1]:PORT"]);
    check_argument_error(&["chat.example", "5000"], &["to join, write groupchat 0 chat.example:PORT"]);
    check_argument_error(&["--json=yes", "0"], &["'--json' takes no value; write it without one"]);
    check_argument_error(&["help"], &["'help' for '<PORT>'", "did you mean --help?"]);
    check_argument_error(&["-1"], &["unknown option '-1'; a port is a number from 0 to 65535"]);
    check_argument_error(&["host:5000"], &["'host:5000' for '<PORT>'", "write groupchat 0 host:5000"]);
}

#[test]
fn a_peer_is_a_host_and_a_port() {
    #[track_caller]
    fn check(peer: &str, part: &str) {
        check_argument_error(&["0", peer], &[&format!("'{peer}' for '[PEER]...'"), part]);
        // The first mistake is reported, wherever it is.
        check_argument_error(&["0", "127.0.0.1:9", peer, "127.0.0.1:9"], &[&format!("'{peer}' for"), part]);
    }
    check("host", "write host:PORT");
    check("host:", "1 to 65535");
    check("host:abc", "1 to 65535");
    check("host:0", "1 to 65535");
    check("host:70000", "1 to 65535");
    check("0", "1 to 65535");
    check("70000", "1 to 65535");
    check("", "it is empty; write HOST:PORT");
    check(" 5000", "it begins or ends with a blank; write 5000");
    check("host:5000 ", "it begins or ends with a blank; write host:5000");
    check(":5000", "no host");
    check("::1:5000", "write [::1]:5000");
    check("fe80::1:5000", "write [fe80::1]:5000");
    check("[::1]:", "1 to 65535");
    check("[::1]:0", "1 to 65535");
    check("[]:5000", "IPv6");
    check("[host]:5000", "IPv6");
    check("[127.0.0.1]:5000", "IPv6");
    check("[::1]5000", "IPv6");
    check("[::1:5000", "IPv6");
    check("127.0.0.1 5000", "write 127.0.0.1:5000");
    check("::1 5000", "write [::1]:5000");
    check("::1]:5000", "IPv6");
}

#[test]
fn the_error_for_an_ipv6_address_without_a_port_shows_the_right_form() {
    check_argument_error(&["0", "::1"], &["'::1' for '[PEER]...'", "[::1]:PORT"]);
    check_argument_error(&["0", "[::1]"], &["'[::1]' for '[PEER]...'", "[::1]:PORT"]);
}

#[test]
fn an_unknown_host_is_an_error() {
    for peer in ["no-such-host.invalid:5000", "no such host:5000"] {
        let parts =
            ["cannot find its host: n", "or write its IP address", &format!("'{peer}' for '[PEER]...'")];
        check_argument_error(&["0", peer], &parts);
    }
}

#[test]
fn a_name_can_be_shown_and_is_short() {
    #[track_caller]
    fn check(name: &str, shown: &str, why: &str) {
        let parts = [&format!("'{shown}' for '--name <NAME>'"), why];
        check_argument_error(&["-n", name, "0"], &parts);
        check_argument_error(&[&format!("--name={name}"), "0"], &parts);
        if !name.is_empty() {
            let environment = format!("GROUPCHAT_NAME={name}");
            let peer = Peer::run(Command::new("env").args([&environment, PROGRAM, "0"]));
            check_argument_error_of(peer, &[parts[0], parts[1], "from GROUPCHAT_NAME"]);
        }
    }
    check("", "", "empty: take at least one letter");
    check("\u{1b}[31mred", "^[[31mred", "control characters");
    check("a\u{7}", "a^G", "control characters");
    check("a\u{9b}b", "a\u{fffd}b", "control characters");
    check("a\u{202e}b", "a\u{fffd}b", "control characters");
    check("a\u{200b}b", "ab", "leave them out");
    let long = "\u{20ac}".repeat(22);
    check(&long, &long, "at most 64 bytes, and this has 66: take a shorter one");
    let longest = "x".repeat(64);
    check_start(&["-n", &longest, "0"]);
}

/// However an argument is broken into lines, its error is one line, and names the argument.
#[test]
fn line_breaks_in_an_argument_hide_nothing() {
    check_argument_error(&["-n", "a\tb", "0"], &["--name <NAME>", "control characters"]);
    check_argument_error(&["-n", "a\nb", "0"], &["--name <NAME>", "control characters"]);
    check_argument_error(&["-n", "a\n\nb", "0"], &["--name <NAME>", "control characters"]);
    check_argument_error(&["0\n\n1"], &["<PORT>", "0 to 65535"]);
    check_argument_error(&["0", "a\n\nb"], &["[PEER]..."]);
    check_argument_error(&["0", "a\n\nb:5000"], &["[PEER]..."]);
}

#[test]
fn unknown_options_are_errors() {
    check_argument_error(&["--frob", "0"], &["unknown option '--frob' (see groupchat --help)"]);
    check_argument_error(&["--nmae", "bob", "0"], &["unknown option '--nmae'; did you mean --name?"]);
    check_argument_error(&["--colour=never", "0"], &["unknown option '--colour'; did you mean --color?"]);
    check_argument_error(&["--se", "x"], &["unknown option '--se'; did you mean --send?"]);
    check_argument_error(&["--s", "0"], &["did you mean --stay or --send?"]);
    let long = format!("--{}", "x".repeat(70_000));
    check_argument_error(&[&long, "0"], &["unknown option '--xxx", "xxx...' (see"]);
    check_argument_error(
        &["-n", "a", "--name", "b", "0"],
        &["'--name <NAME>' cannot be given twice; leave one of them out"],
    );
    check_argument_error(&["-z", "0"], &["'-z'"]);
    check_argument_error(&["-1"], &["'-1'"]);
    check_argument_error(&["--framing", "xml", "0"], &["'xml' for '--framing <", "text, lab"]);
    check_argument_error(&["0", "--framing"], &["--framing <"]);
    check_argument_error(&["0", "--name"], &["a value is required for '--name <NAME>'"]);
    for count in ["-3", "x", "", "1.5", "99999999999"] {
        check_argument_error(
            &["--history", count, "0"],
            &[&format!("'{count}' for '--history <COUNT>'"), "a number"],
        );
    }
    check_argument_error(&["--stay=yes", "0"], &["'--stay'"]);
}

#[test]
fn an_argument_that_is_not_utf8_is_an_error() {
    // What the shell makes of it is a byte that is no UTF-8.
    for arguments in [r#""$x""#, r#"0 "$x:5000""#, r#"-n "$x" 0"#, r#"-b "$x" 0"#] {
        let peer = Peer::start_shell(&format!(r#"x=$(printf '\377'); exec "$PEER" {arguments}"#));
        check_argument_error_of(peer, &["UTF-8"]);
    }
    let peer = Peer::start_shell(r#"GROUPCHAT_NAME=$(printf '\377') exec "$PEER" 0"#);
    check_argument_error_of(peer, &["GROUPCHAT_NAME is not UTF-8; choose another name with --name <NAME>"]);
}

#[test]
fn an_address_to_listen_on_is_one_of_ours() {
    #[track_caller]
    fn check(address: &str, part: &str) {
        check_argument_error(&["-b", address, "0"], &[&format!("'{address}' for '--bind <ADDRESS>'"), part]);
    }
    check("nowhere", "IP address");
    check("", "IP address");
    check("localhost", "IP address");
    check("127.0.0.1:5000", "IP address");
    // Reserved for documentation (RFC 5737, RFC 3849), so no host has it.
    check("192.0.2.1", "cannot listen");
    check("192.0.2.1", "it is no address of this machine");
    if has_ipv6() {
        check("2001:db8::1", "cannot listen");
    }
}

#[test]
fn a_port_in_use_is_an_error() {
    let (_taken, address) = listen();
    let port = address.port().to_string();
    let parts = [&format!("cannot listen on port {port}"), "address already in use", "0 for a free one"];
    check_argument_error(&[&port], &parts);
    check_argument_error(&["-b", "127.0.0.1", &port], &parts);
    check_argument_error(&["-b", "0.0.0.0", &port], &parts);
    let mut peer = Peer::named("alice", &[]);
    let port = peer.address().port().to_string();
    check_argument_error(&[&port], &["in use", &port]);
}

#[test]
fn port_0_takes_a_free_one_and_shows_which() {
    /// `bind` is listened on as `shown`, and reached at every one of `hosts`.
    #[track_caller]
    fn check(bind: &[&str], shown: &str, hosts: &[std::net::IpAddr]) {
        let mut peer = Peer::start(&[&["-n", "alice"], bind, &["0"]].concat());
        let line = peer.stderr.wait_for("listening on ");
        let address = line.strip_prefix("listening on ").expect("nothing before");
        let port = address.strip_prefix(shown).expect("the address").strip_prefix(':').expect("a port");
        let port: u16 = port.parse().expect("a number");
        assert_ne!(port, 0);
        for host in hosts {
            let mut stream = connect((*host, port).into());
            peer.stderr.wait_for(" connected");
            peer.write_line("hello");
            read_until(&mut stream, MESSAGE);
        }
    }
    let (ipv4, ipv6) = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
    check(&["-b", "127.0.0.1"], "127.0.0.1", &[ipv4]);
    check(&["--bind", "0.0.0.0"], "0.0.0.0", &[ipv4]);
    if !has_ipv6() {
        eprintln!("passed over: this machine has no IPv6");
        return check(&[], "0.0.0.0", &[ipv4]);
    }
    check(&["-b", "::1"], "[::1]", &[ipv6]);
    check(&["--bind=[::1]"], "[::1]", &[ipv6]);
    check(&[], "[::]", &[ipv4, ipv6]);
}

#[test]
fn the_name_is_the_option_then_the_variable_then_the_login_name() {
    #[track_caller]
    fn check(environment: &[&str], arguments: &[&str], expected: &str) {
        let (listener, address) = listen();
        let address = address.to_string();
        let mut command = Command::new("env");
        let mut peer =
            Peer::run(command.args(environment).arg(PROGRAM).args(arguments).args(["0", &address]));
        let mut stream = accept(&listener);
        peer.write_line("hello");
        let frame = read_until(&mut stream, MESSAGE);
        assert!(frame.contains(&format!("] {expected}:\n")), "{frame} is not sent by {expected}");
    }
    let login = Command::new("id").arg("-un").output().expect("id runs");
    let login = String::from_utf8(login.stdout).expect("a login name");
    check(&[], &[], login.trim());
    check(&["GROUPCHAT_NAME=carol"], &[], "carol");
    check(&["GROUPCHAT_NAME=carol"], &["-n", "dave"], "dave");
    check(&["GROUPCHAT_NAME=carol"], &["--name=J\u{fc}rgen M"], "J\u{fc}rgen M");
    // What is not used is not looked at.
    check(&["GROUPCHAT_NAME="], &["-n", "dave"], "dave");
    check(&["GROUPCHAT_NAME="], &[], login.trim());
}

#[test]
fn a_pipeline_delivers_its_lines_and_a_goodbye() {
    let (listener, address) = listen();
    let port = address.port();
    // A bare port, a number and a name, which may have other addresses before the one that accepts.
    for host in ["", "127.0.0.1:", "localhost:"] {
        let script = format!(r#"printf 'one\ntwo\n' | "$PEER" -n bot --framing text 0 {host}{port}"#);
        let mut peer = Peer::start_shell(&script);
        let bytes = read_to_end(&mut accept(&listener));
        assert_eq!(messages(&bytes), ["one", "two"]);
        assert!(bytes.ends_with(b"|\nbot<EXITENCD>"), "{}", String::from_utf8_lossy(&bytes));
        assert_eq!(peer.exit_code(), 0);
        assert_eq!(peer.conversation.rest(), [""; 0]);
    }
}

#[test]
fn messages_that_reached_nobody_are_a_failure() {
    #[track_caller]
    fn check(input: &str, peers: &[&str], code: i32, parts: &[&str]) {
        let mut peer = Peer::start(&[&["-n", "bot", "0"], peers].concat());
        input.lines().for_each(|line| peer.write_line(line));
        let (output, errors) = check_end_of(peer, code);
        assert_eq!(output, [""; 0]);
        let last = errors.last().expect("where it listens");
        assert_eq!(code == 1, last.starts_with("groupchat: "), "{errors:?}");
        let all = errors.join("\n");
        for part in parts {
            assert_eq!(all.matches(part).count(), 1, "{part:?} once in {all}");
        }
    }
    let (free, other) = (FreePort::new(), FreePort::new());
    let (port, address) = (&*free.number(), &*other.address().to_string());
    check("", &[], 1, &["standard input ended without a line", "--stay"]);
    check("\n \n\u{200b}\n", &[], 1, &["standard input ended without a line", "--stay"]);
    check("/help", &[], 0, &[]);
    check("", &[port], 1, &["none of the named peers answered", &format!("cannot reach {port}: ")]);
    check("one", &[], 1, &["no peer is connected", "the message is lost"]);
    check("one\ntwo\nthree", &[], 1, &["no peer is connected", "all 3 messages"]);
    check("one", &[port, address], 1, &[&format!("{address}: "), &format!("{port}: ")]);
}

#[test]
fn what_one_of_two_peers_has_is_no_failure() {
    let ((listener, address), nobody) = (listen(), FreePort::new());
    let [free, address] = [nobody.address(), address].map(|address| address.to_string());
    let mut peer = Peer::start(&["-n", "bot", "--framing", "text", "0", &free, &address]);
    peer.write_line("one");
    peer.end_input();
    assert_eq!(messages(&read_to_end(&mut accept(&listener))), ["one"]);
    let expected = format!("{} was never reached, and did not get what was said", nobody.address());
    peer.stderr.wait_for(&expected);
    assert_eq!(peer.exit_code(), 0);
}

#[test]
fn a_peer_that_stays_and_meets_nobody_ends_with_success() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut peer = Peer::start(&["-n", "alice", "--stay", "0"]).listening();
        peer.end_input();
        wait_until_idle(peer.child.id());
        peer.signal(signal);
        assert_eq!((peer.exit_code(), peer.stderr.rest()), (0, Vec::new()));
    }
}

#[test]
fn stay_keeps_it_running_when_input_ends() {
    let mut peer = Peer::start(&["-n", "alice", "--stay", "0"]);
    let address = peer.address();
    peer.end_input();
    wait_until_idle(peer.child.id());
    let mut bob = Peer::named("bob", &[address]);
    bob.write_line("hello");
    peer.conversation.wait_for("] bob: hello");
    peer.signal(Signal::TERM);
    bob.conversation.wait_for("alice has left the chat...");
    assert_eq!(peer.exit_code(), 0);
}

/// Linux drops connection requests while the queue of a listener is full.
#[cfg(target_os = "linux")]
#[test]
fn the_wait_for_an_unreachable_peer_has_an_end() {
    let silent = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    silent.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
    silent.listen(0).expect("a listener");
    let silent_address = silent.local_addr().expect("its address").as_socket().expect("an IP address");
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&silent_address, Duration::from_millis(200)) {
        queue.push(stream);
    }
    let (listener, address) = listen();
    let [silent_peer, address] = [silent_address, address].map(|address| address.to_string());
    let mut peer = Peer::start(&["-n", "bot", "--framing", "text", "0", &silent_peer, &address]);
    // Others are not kept waiting meanwhile.
    let mut stream = accept(&listener);
    peer.write_line("hello");
    read_until(&mut stream, MESSAGE);
    let mut alone = Peer::named("bot", &[silent_address]);
    alone.write_line("hello");
    alone.end_input();
    let (_, errors) = check_end_of(alone, 1);
    assert!(errors.iter().any(|line| line.contains("no answer")), "{errors:?}");
    // A signal does not wait for it.
    peer.signal(Signal::INT);
    assert_eq!(peer.exit_code(), 0);
    assert!(!peer.stderr.rest().iter().any(|line| line.contains("groupchat: ")));
}

#[test]
fn what_is_sent_goes_to_somebody() {
    check_argument_error(&["0", "--send", "hi"], &["--send requires <PEER>..."]);
    let check = |text: &str, part: &str| {
        check_argument_error(&["0", "127.0.0.1:9", "--send", text], &["for '--send <TEXT>'", part]);
    };
    for text in ["/who", "/quit", "/reply x", "/clear", " \n/name bob", "/connect 5000"] {
        check(text, "/msg, /me and /say");
    }
    for blank in [" ", "\n", "\u{200b}\u{feff}", "\u{3164}"] {
        check(blank, "nothing to say");
    }
    check("/msg: bob x", "/msg: is no command");
    check("/nosuch", "unknown command /nosuch; of the commands it takes /msg, /me and /say");
    check("/me", "usage: /me TEXT, as in /me waves");
    check("/msg bob", "write /msg NAME TEXT");
    check("/who\nis there", "/who takes one line");
    check_argument_error(&["0", "127.0.0.1:9", "--send", ""], &["'--send <TEXT>'", "nothing to say"]);
    check_argument_error(
        &["0", "127.0.0.1:9", "--send", "hi", "--stay"],
        &["--stay", "cannot be used with", "leave one of them out"],
    );
    check_argument_error(
        &["0", "127.0.0.1:9", "--send", "-", "--send", "-"],
        &["'--send -' cannot be given twice: standard input is one message"],
    );
    // Each is one message, as standard input is.
    let text = "x".repeat(65_001);
    let action = format!("/me {}", &text[..64_997]);
    for text in
        [text.clone(), action, format!("/say {text}"), format!("/me {text}"), format!("/msg bob {text}")]
    {
        check(&text, "one message has at most 65000 bytes, and this has 650");
    }
}

#[test]
fn times_are_shown_in_a_way_that_is_known() {
    for (format, why) in [
        ("%", "this program knows no % at its end; write for example %H:%M"),
        ("%H:%Q", "this program knows no %Q; write for example %H:%M"),
        ("%#z", "this program knows no %#z;"),
        ("%Ey", "this program knows no %Ey;"),
        (&"%H ".repeat(20_000), "a format has at most 200 bytes, and this has 60000"),
        ("", "it shows nothing"),
        (" ", "it shows nothing"),
        ("%H%n%M", "cannot be seen"),
        ("\u{1b}[2J", "cannot be seen"),
    ] {
        check_argument_error(&["--time-format", format, "0"], &["for '--time-format <FORMAT>'", why]);
    }
    check_start(&["--time-format", "%a %H:%M:%S%.3f %%", "0"]);
}

#[test]
fn words_for_options_are_known() {
    check_argument_error(&["--color", "red", "0"], &["'red'", "--color"]);
    check_argument_error(&["--completions", "csh"], &["'csh'", "--completions"]);
    check_argument_error(&["--completions", "bash", "0"], &["--completions", "cannot be used with"]);
    check_argument_error(&["--man", "0"], &["'--man' cannot be used with other arguments; leave them out"]);
}

#[test]
fn a_log_file_that_cannot_be_opened_is_an_error() {
    check_argument_error(&["--log", "/", "0"], &["cannot record to '/'", "directory; name another file"]);
    let folder = std::env::temp_dir().join(format!("groupchat-fifo-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let fifo = folder.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo, which POSIX has").success());
    let named = fifo.to_str().expect("a path of text");
    check_argument_error(&["--log", named, "0"], &["not a regular file; name another file"]);
    fs::remove_dir_all(folder).expect("our folder");
    // Standard output is a pipe here.
    check_argument_error(&["--log", "/dev/stdout", "0"], &["not a regular file; name another file"]);
    check_argument_error(
        &["--log", "/no/such/folder/file", "0"],
        &["cannot record to '/no/such/folder/file'", "no such file or directory; create its folder first"],
    );
}

#[test]
fn the_manual_is_printed() {
    let (manual, errors) = check_end(&["--man"], 0);
    assert_eq!(errors, [""; 0]);
    let text = manual.join("\n");
    for part in
        [".TH groupchat 1", "\\-\\-send", "/unignore", "\\fIPORT\\fR [\\fIPEER\\fR]...", "Also /dm, /query"]
    {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let sections: Vec<_> = manual.iter().filter_map(|line| line.strip_prefix(".SH ")).collect();
    let expected = "NAME, SYNOPSIS, DESCRIPTION, OPTIONS, KEYS, COMMANDS, EXAMPLES, ENVIRONMENT, FILES, \
                    EXIT STATUS, SECURITY";
    assert_eq!(sections.join(", "), expected);
    // What begins with a dot is a macro that is known; all else is text.
    let macros = [".TH", ".SH", ".TP", ".PP", ".br"];
    for line in manual.iter().filter(|line| line.starts_with(['.', '\''])) {
        assert!(macros.contains(&line.split(' ').next().expect("a word")), "{line}");
    }
    // A paragraph is one line: no text is broken within a sentence.
    assert!(!manual.iter().any(|line| line.starts_with(' ')), "{text}");
    assert!(text.contains("typed at a terminal that begins with two slashes"), "{text}");
    assert!(text.contains("no peer was named (\\-\\-stay keeps"), "{text}");
    assert!(!text.contains("look\\-up"), "it is for the program itself");
}

/// What a real shell completes `line` to; `None` where there is no such shell.
fn completed(shell: &str, line: &str) -> Option<Vec<String>> {
    let words: Vec<_> = line.split(' ').map(|word| format!("'{word}'")).collect();
    let folder = std::env::temp_dir().join(format!("groupchat-{shell}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("a file"), "").expect("a file");
    let script = match shell {
        "bash" => format!(
            r#"source <("$PEER" --completions bash); COMP_WORDS=({}); COMP_CWORD={};
               _groupchat; printf '%s\n' "${{COMPREPLY[@]}}""#,
            words.join(" "),
            words.len() - 1
        ),
        _ => format!(r"$PEER --completions fish | source; complete -C '{line}' | string split -f 1 \t"),
    };
    let mut command = Command::new(shell);
    let arguments: &[&str] = if shell == "bash" { &["--norc", "--noprofile"] } else { &["--no-config"] };
    let command = command.args(arguments).args(["-c", &script]).env("PEER", PROGRAM).current_dir(&folder);
    let Ok(output) = command.output() else {
        eprintln!("passed over: there is no {shell}");
        return None;
    };
    assert!(output.stderr.is_empty(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let mut lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    lines.sort_unstable();
    Some(lines)
}

#[test]
fn shells_complete_options_and_values_and_files_only_where_one_is_wanted() {
    for shell in ["bash", "fish"] {
        let check = |line: &str, expected: &[&str]| {
            if let Some(completed) = completed(shell, line) {
                assert_eq!(completed, expected, "{shell}: {line}");
            }
        };
        check("groupchat --framing ", &["lab", "text"]);
        check("groupchat --color a", &["always", "auto"]);
        check("groupchat --completions ", &["bash", "fish", "zsh"]);
        check("groupchat --log ", &["a file"]);
        check("groupchat --sta", &["--stay"]);
        for nothing in
            ["groupchat ", "groupchat 5000 ", "groupchat -n ", "groupchat --name ", "groupchat --send "]
        {
            check(nothing, &[]);
        }
    }
    // Bash takes the sign for an argument.
    if let Some(completed) = completed("bash", "groupchat --framing = te") {
        assert_eq!(completed, ["text"]);
    }
    if let Some(completed) = completed("bash", "groupchat -") {
        assert!(completed.contains(&"--json".to_owned()) && completed.contains(&"-n".to_owned()));
        assert!(!completed.iter().any(|word| word.contains("look-up")), "it is for the program itself");
    }
}

/// The Z shell completes only at a terminal; here only the syntax of the script is checked.
#[test]
fn completions_for_zsh_name_values_files_and_nothing_else() {
    let (script, errors) = check_end(&["--completions", "zsh"], 0);
    assert_eq!((script[0].as_str(), errors), ("#compdef groupchat", Vec::new()));
    let text = script.join("\n");
    for part in [
        "'(--framing)--framing=[",
        ":framing:(text lab)'",
        "]:file:_files'",
        "'1:PORT: '",
        "'*:PEER: '",
        "'*--send=[",
        "'(-n --name)-n+[",
        "'(- *)--man[",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert_eq!(text.matches("_files").count(), 1);
    if let Ok(output) = Command::new("zsh").args(["-f", "-n", "-c", &text]).output() {
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}

/// For the program itself, while it chats.
#[test]
fn a_look_up_prints_addresses_or_why_there_are_none() {
    let (lines, _) = check_end(&["--look-up", "localhost:5000"], 0);
    assert!(!lines.is_empty() && lines.iter().all(|line| line.ends_with(":5000")), "{lines:?}");
    let (lines, _) = check_end(&["--look-up", "no-such-host.invalid:5000"], 0);
    assert!(lines.len() == 1 && lines[0].starts_with("failed: cannot find its host"), "{lines:?}");
}

#[test]
fn colors_can_be_had_in_a_pipe_and_turned_off() {
    use std::io::Write as _;
    #[track_caller]
    fn check(arguments: &[&str], environment: &str, has_colors: bool) {
        let mut command = Command::new("env");
        command.args([environment, PROGRAM, "-n", "alice"]).args(arguments).arg("0");
        let mut peer = Peer::run(&mut command);
        let mut stream = support::connect(peer.address());
        let frame = support::sockets::message("bob", "hi");
        stream.write_all(frame.as_bytes()).expect("a peer that reads");
        let line = peer.conversation.wait_for("hi");
        assert_eq!(line.contains('\u{1b}'), has_colors, "{line:?} with {arguments:?} and {environment}");
    }
    check(&[], "NO_COLOR=", false);
    check(&["--color=always"], "NO_COLOR=", true);
    check(&["--color=always"], "NO_COLOR=1", true);
    check(&["--color=never"], "NO_COLOR=", false);
}
