//! Scripts can trust the exit code: a command that failed is a failure, and none is tried before the
//! group that it is meant for was met.

mod support;

use std::process::{Command, Stdio};

use rustix::process::Signal;
use support::descriptors::file_with;
use support::sockets::{FreePort, wait_for_members};
use support::{PROGRAM, Peer};

/// A peer called bot that is given `script` as a file and connects to `peers`.
fn bot(script: &str, peers: &[&str]) -> Peer {
    let mut command = Command::new(PROGRAM);
    let input = file_with(script.as_bytes()).into();
    Peer::run_with(command.args(["-n", "bot", "0"]).args(peers), input, Stdio::piped(), Stdio::piped())
}

/// A script ends with `code`, and its last line on standard error says `last`.
#[track_caller]
fn check(script: &str, peers: &[&str], code: i32, parts: &[&str]) {
    let mut bot = bot(script, peers);
    let notices = bot.notices.rest();
    assert_eq!(bot.exit_code(), code, "{script:?}: {notices:?}");
    for part in parts {
        assert!(notices.iter().any(|line| line.contains(part)), "{script:?}: {part:?} in {notices:?}");
    }
}

#[test]
fn commands_wait_until_the_group_is_met_and_so_do_the_lines_behind_them() {
    let mut alice = Peer::named("alice", &[]);
    let address = alice.address();
    let mut bob = Peer::named("bob", &[address]);
    wait_for_members(&mut alice, 1);
    wait_for_members(&mut bob, 1);
    // Only one of them is dialled; of the other the script is told.
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
        (&format!("/connect {nobody}\n"), &["the peer was never reached"]),
        ("/wo\n/msg carol hi\n/help me\n", &["groupchat: '/wo' and 2 more failed"]),
        (&format!("/connect {nobody}\n/disconnect {nobody}\n/connect {nobody}\n"), &["never reached"]),
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
    let both = "groupchat: nobody was reached: the message is lost; '/wo' failed";
    check("/wo\nhello\n", &[&nobody], 1, &[both]);
    check("/msg carol hi\n", &[&nobody], 1, &["groupchat: '/msg carol hi' failed"]);
}

#[test]
fn messages_that_connected_peers_have_not_confirmed_are_not_said_to_have_reached_nobody() {
    let mut bob = Peer::named("bob", &[]);
    let mut bot = Peer::named("bot", &[bob.address()]);
    wait_for_members(&mut bot, 1);
    bob.signal(Signal::STOP);
    bot.say("/wo");
    bot.say("hello");
    bot.end_input();
    bot.notices
        .wait_for("groupchat: the message may be lost: nobody is known to have received it; '/wo' failed");
    assert_eq!(bot.exit_code(), 1);
}

#[test]
fn a_private_message_that_did_not_arrive_is_a_failure() {
    let mut bob = Peer::named("bob", &[]);
    let mut bot = Peer::named("bot", &[bob.address()]);
    wait_for_members(&mut bot, 1);
    bob.signal(Signal::STOP);
    bot.say("/msg bob hi");
    bot.say("/who");
    bot.notices.wait_for("1 message behind");
    bot.signal(Signal::TERM);
    bot.notices.wait_for("groupchat: a private message was not delivered, as far as is known: bob");
    assert_eq!(bot.exit_code(), 1);
}
