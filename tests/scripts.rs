//! Scripts can trust the exit code: a command that failed is a failure, and none is tried before the
//! group that it is meant for was met.

mod support;

use std::io::{self, BufRead as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use support::descriptors::{file_with, wait_until_idle};
use support::sockets::{FreePort, accept, messages, wait_for_members};
use support::{PROGRAM, Peer, read_to_end, without_hellos};

/// A peer called bot that is given `script` as a file and connects to `peers`.
fn bot(script: &str, peers: &[&str]) -> Peer {
    let mut command = Command::new(PROGRAM);
    let input = file_with(script.as_bytes()).into();
    Peer::run_with(command.args(["-n", "bot", "0"]).args(peers), input, Stdio::piped(), Stdio::piped())
}

/// A script ends with `code`, and its last line on standard error contains `last`.
#[track_caller]
fn check(script: &str, peers: &[&str], code: i32, parts: &[&str]) {
    let mut bot = bot(script, peers);
    let stderr = bot.stderr.rest();
    assert_eq!(bot.exit_code(), code, "{script:?}: {stderr:?}");
    for part in parts {
        assert!(stderr.iter().any(|line| line.contains(part)), "{script:?}: {part:?} in {stderr:?}");
    }
}

#[test]
fn commands_wait_until_the_group_is_met_and_so_do_the_lines_behind_them() {
    let mut alice = Peer::named("alice", &[]);
    let address = alice.address();
    let mut bob = Peer::named("bob", &[address]);
    wait_for_members(&mut alice, 1);
    wait_for_members(&mut bob, 1);
    // Only one of them is dialled; the other one is learned from it.
    for peer in [address.to_string(), format!("localhost:{}", address.port())] {
        check("/msg bob first\n/msg alice second\nthird\n", &[&peer], 0, &[]);
        assert!(bob.conversation.wait_for("bot: ").ends_with(" private] bot: first"));
        assert!(bob.conversation.wait_for("bot: ").ends_with("] bot: third"));
        assert!(alice.conversation.wait_for("bot: ").ends_with(" private] bot: second"));
        assert!(alice.conversation.wait_for("bot: ").ends_with("] bot: third"));
    }
    // Named by a command that has to look it up.
    check(&format!("/connect localhost:{}\n/msg bob first\nsecond\n", address.port()), &[], 0, &[]);
    assert!(bob.conversation.wait_for("bot: ").ends_with(" private] bot: first"));
    assert!(bob.conversation.wait_for("bot: ").ends_with("] bot: second"));
    check("/who\n", &[&address.to_string()], 0, &["alice", "bob"]);
    check("/ignore bob\n", &[&address.to_string()], 0, &["bob is ignored"]);
}

#[test]
fn a_command_that_failed_is_a_failure() {
    let mut alice = Peer::named("alice", &[]);
    let (alice_address, nobody) = (alice.address().to_string(), FreePort::new());
    let nobody = nobody.address().to_string();
    for (script, parts) in [
        (
            "/msg carol hi\n",
            &["'/msg carol hi' failed: nobody is called carol", "groupchat: '/msg carol hi' failed"][..],
        ),
        ("/ignore carol\n", &["groupchat: '/ignore carol' failed"]),
        ("/unignore carol\n", &["nobody is ignored"]),
        ("/name \u{202e}\n", &["usage: /name NEW"]),
        ("/connect nonsense\n", &["cannot connect to 'nonsense': it has no port"]),
        (
            "/connect no-such-host.invalid:5000\n",
            &["cannot find its host", "groupchat: '/connect no-such-host.invalid:5000' failed"],
        ),
        ("/wo\n/msg carol hi\n/help me\n", &["groupchat: '/wo' and 2 more failed"]),
        // The rest is done all the same.
        ("/wo\nhello\n", &["groupchat: '/wo' failed"]),
    ] {
        check(script, &[&alice_address], 1, parts);
    }
    alice.conversation.wait_for("bot: hello");
    // The user took it back.
    check(&format!("/connect {nobody}\n/disconnect {nobody}\n"), &[&alice_address], 0, &[]);
    check(&format!("/connect {nobody}\n/disconnect {nobody}\n"), &[], 0, &[]);
    check(&format!("/disconnect {nobody}\n"), &[&nobody], 0, &[]);
    check("/help\n/name bat\n/quit\n", &[&alice_address], 0, &[]);
    check("", &[&nobody, &alice_address], 0, &["cannot reach"]);
    check("", &[&nobody], 1, &["groupchat: nobody was reached: none of the named peers answered"]);
}

#[test]
fn a_script_that_reaches_nobody_gives_up_in_the_end() {
    let nobody = FreePort::new();
    let nobody = nobody.address().to_string();
    // All of them wait at the same time.
    let bots = [
        ("/wo\nhello\n", "groupchat: nobody was reached: the message is lost; '/wo' failed"),
        ("/msg carol hi\n", "groupchat: '/msg carol hi' failed"),
    ]
    .map(|(script, last)| (bot(script, &[&nobody]), last));
    let mut alice = Peer::named("alice", &[]);
    let alice = alice.address().to_string();
    let last = format!("groupchat: '/connect {nobody}' failed");
    let connects = ["", &format!("/connect {nobody}\n/disconnect {nobody}\n")]
        .map(|before| (bot(&format!("{before}/connect {nobody}\n"), &[&alice]), last.as_str()));
    let sender = Peer::start(&["-n", "bot", "0", &nobody, "--send", "/msg carol hi"]);
    // Nothing was sent to everybody.
    let sender = (sender, "groupchat: '/msg carol hi' failed");
    for (mut bot, last) in bots.into_iter().chain(connects).chain([sender]) {
        assert_eq!(bot.stderr.rest().last().map(String::as_str), Some(last));
        assert_eq!(bot.exit_code(), 1);
    }
}

/// A peer called late is started after a script that names it, behind `others`, has failed to reach it. It is
/// shown the `expected` lines, in order, and the script ends with 0.
#[track_caller]
fn check_late(others: &[&str], arguments: &[&str], script: &str, expected: &[&str]) {
    let port = FreePort::new();
    let mut command = Command::new(PROGRAM);
    command.args(["-n", "bot"]).args(arguments).arg("0").args(others).arg(port.number());
    let input = file_with(script.as_bytes()).into();
    let mut bot = Peer::run_with(&mut command, input, Stdio::piped(), Stdio::piped());
    bot.stderr.wait_for(&format!("cannot reach {}", port.number()));
    let mut late = Peer::start(&["-n", "late", &port.number()]);
    expected.iter().for_each(|line| drop(late.conversation.wait_for(line)));
    let stderr = bot.stderr.rest();
    assert_eq!(bot.exit_code(), 0, "{arguments:?} {script:?}: {stderr:?}");
}

#[test]
fn a_script_may_be_started_before_the_peers_that_it_names() {
    let mut bob = Peer::named("bob", &[]);
    let bob = bob.address().to_string();
    check_late(&[], &[], "hello\n", &["] bot: hello", "bot has left"]);
    check_late(&[], &[], "/msg late psst\nhello\n", &[" private] bot: psst", "] bot: hello"]);
    check_late(&[&bob], &[], "hello\n", &["] bot: hello", "bot has left"]);
    check_late(&[&bob], &[], "/msg late psst\nhello\n", &[" private] bot: psst", "] bot: hello"]);
    check_late(&[], &["--send", "/msg late psst"], "", &[" private] bot: psst", "bot has left"]);
    check_late(&[], &["--send", "hello"], "", &["] bot: hello", "bot has left"]);
}

/// As the proxy of a peer that is not up yet, or a server of another kind.
#[test]
fn a_script_waits_for_a_peer_whose_connection_ends_at_once() {
    let mut bob = Peer::named("bob", &[]);
    let bob = bob.address().to_string();
    for script in ["hello\n", "/msg late hello\n"] {
        let port = FreePort::new();
        let proxy = TcpListener::bind(port.address()).expect("a free port");
        let mut bot = bot(script, &[&bob, &port.number()]);
        drop(accept(&proxy));
        drop(proxy);
        bot.stderr.wait_for("is lost: ");
        let mut late = Peer::start(&["-n", "late", &port.number()]);
        late.conversation.wait_for("bot: hello");
        let stderr = bot.stderr.rest();
        assert_eq!(bot.exit_code(), 0, "{stderr:?}");
    }
}

#[test]
fn a_script_waits_for_a_member_that_reads_slowly() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let mut command = Command::new(PROGRAM);
    command.args(["-n", "slow", "--stay", "0"]);
    let mut slow = Peer::run_with(&mut command, Stdio::null(), writer.into(), Stdio::piped());
    let address = slow.address().to_string();
    // More than a pipe and the queue of standard output hold, and less than the log keeps.
    let lines: Vec<_> = (0..5_500).map(|number| format!("{number} {}", "x".repeat(100))).collect();
    let mut bot = bot(&(lines.join("\n") + "\n"), &[&address]);
    bot.stderr.wait_for("connected to ");
    // A connection that is closed with something unread would lose it.
    (0..4).for_each(|_| wait_until_idle(bot.child.id()));
    assert!(bot.child.try_wait().expect("our child").is_none(), "it has left");
    let received = io::BufReader::new(reader).lines().map(|line| line.expect("text"));
    let received = received.filter_map(|line| line.split_once("bot: ").map(|(_, text)| text.to_owned()));
    assert_eq!(received.take(lines.len()).collect::<Vec<_>>(), lines);
    assert_eq!(bot.exit_code(), 0);
}

#[test]
fn lines_before_a_command_are_sent_before_it() {
    check_late(&[], &[], "one\n/name bat\ntwo\n", &["] bot: one", "bot is now bat", "] bat: two"]);
    // A plain peer is sent the lines up to its disconnection.
    let port = FreePort::new();
    let mut bot = bot(&format!("one\n/disconnect {0}\ntwo\n", port.number()), &[&port.number()]);
    bot.stderr.wait_for("cannot reach");
    let listener = TcpListener::bind(port.address()).expect("a free port");
    let mut stream = accept(&listener);
    let bytes = read_to_end(&mut stream);
    assert_eq!(messages(without_hellos(&bytes)), ["one"]);
    assert!(bytes.ends_with(b"bot<EXITENCD>"));
    bot.stderr.wait_for("disconnected from");
}

#[test]
fn unacknowledged_messages_are_not_reported_as_having_reached_nobody() {
    let mut bob = Peer::named("bob", &[]);
    let mut bot = Peer::named("bot", &[bob.address()]);
    wait_for_members(&mut bot, 1);
    bob.signal(Signal::STOP);
    bot.write_line("/wo");
    bot.write_line("hello");
    bot.end_input();
    bot.stderr
        .wait_for("groupchat: the message may be lost: nobody is known to have received it; '/wo' failed");
    assert_eq!(bot.exit_code(), 1);
}

#[test]
fn a_private_message_that_did_not_arrive_is_a_failure() {
    let mut bob = Peer::named("bob", &[]);
    let mut bot = Peer::named("bot", &[bob.address()]);
    wait_for_members(&mut bot, 1);
    bob.signal(Signal::STOP);
    bot.write_line("/msg bob hi");
    bot.write_line("/who");
    bot.stderr.wait_for("1 message behind");
    bot.signal(Signal::TERM);
    bot.stderr.wait_for("groupchat: a private message was not delivered, as far as is known: bob");
    assert_eq!(bot.exit_code(), 1);
}
