//! What is typed as a command, and what scripts read: real peers with pipes.

mod support;

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use support::sockets::{MESSAGE, accept, goodbye, listen, message, messages, wait_until};
use support::{Lines, Peer, connect, read_until};

/// Two connected members: alice with her address, and bob, who dialled her.
fn pair(alice: &[&str], bob: &[&str]) -> (Peer, SocketAddr, Peer) {
    let mut alice = Peer::start(&[&["-n", "alice", "0"], alice].concat());
    let address = alice.address();
    let mut bob = Peer::start(&[&["-n", "bob", "0", &address.to_string()], bob].concat());
    alice.conversation.wait_for("bob has joined");
    bob.conversation.wait_for("alice has joined");
    (alice, address, bob)
}

#[track_caller]
fn end(peer: Peer) {
    end_with(peer, 0);
}

/// The same, with the exit code for failed commands.
#[track_caller]
fn end_with(mut peer: Peer, code: i32) {
    peer.end_input();
    assert_eq!(peer.exit_code(), code);
}

/// The next event of a kind.
#[track_caller]
fn event(lines: &mut Lines, kind: &str) -> Value {
    let line = lines.wait_for(&format!("{{\"event\":\"{kind}\""));
    serde_json::from_str(&line).expect("one object a line")
}

#[test]
fn a_private_message_reaches_one_member_alone() {
    let (mut alice, address, mut bob) = pair(&[], &[]);
    let mut carol = Peer::named("carol", &[address]);
    alice.conversation.wait_for("carol has joined");
    bob.conversation.wait_for("carol has joined");
    alice.write_line("/msg bob for your eyes");
    alice.write_line("/msg BOB  only ");
    // The longest line is one message as well.
    let long = format!("/msg bob {}", "x".repeat(65_000 - "/msg bob ".len()));
    alice.write_line(&long);
    alice.write_line("for all");
    assert!(bob.conversation.wait_for("for your eyes").ends_with(" private] alice: for your eyes"));
    assert!(bob.conversation.wait_for("only").ends_with(" private] alice: only"));
    let whole = format!(" private] alice: {}", &long["/msg bob ".len()..]);
    assert!(bob.conversation.wait_for("alice: ").ends_with(&whole));
    carol.conversation.wait_for("alice: for all");
    assert!(!carol.conversation.seen.iter().any(|line| line.contains("eyes") || line.contains("only")));
    // A later member does not find it in the history.
    let mut dave = Peer::named("dave", &[address]);
    dave.conversation.wait_for("alice: for all");
    dave.conversation.wait_for("sent before you joined");
    assert!(!dave.conversation.seen.iter().any(|line| line.contains("eyes")));
    [alice, bob, carol, dave].into_iter().for_each(end);
}

/// The name that a member has given up, by leaving or by taking another, still counts as a reading.
#[test]
fn a_text_for_a_former_name_is_sent_to_no_other_peer() {
    let (mut alice, address, mut bob) = pair(&[], &[]);
    let mut other = Peer::named("bob the", &[address]);
    alice.conversation.wait_for("\"bob the\" has joined");
    bob.write_line("/name robert");
    alice.conversation.wait_for("bob is now robert");
    alice.write_line("/msg bob the password");
    alice
        .stderr
        .wait_for("\"the password\" to bob, who has another name now, or \"password\" to \"bob the\"#");
    bob.write_line("/name bob");
    alice.conversation.wait_for("robert is now bob");
    bob.write_line("/quit");
    alice.conversation.wait_for("bob has left");
    alice.write_line("/msg bob the password");
    alice.stderr.wait_for("\"the password\" to bob, who has left, or \"password\" to \"bob the\"#");
    alice.write_line("/msg bob hi");
    alice.stderr.wait_for("bob has left");
    alice.write_line("/msg \"bob the\" for you");
    other.conversation.wait_for("private] alice: for you");
    assert!(!other.conversation.seen.iter().any(|line| line.contains("password")));
    end(bob);
    end(other);
    end_with(alice, 1);
}

#[test]
fn a_peer_without_private_messages_is_reported() {
    let (listener, address) = listen();
    let mut alice = Peer::named("alice", &[address]);
    let mut stream = accept(&listener);
    stream.write_all(message("nc", "hi").as_bytes()).expect("a peer that reads");
    alice.conversation.wait_for("nc: hi");
    alice.write_line("/msg nc psst");
    alice.stderr.wait_for("not sent: nc is a plain peer");
    alice.write_line("/msg nd psst");
    alice.stderr.wait_for("nobody is called nd; did you mean nc?");
    for (words, error) in [
        ("\"Mary Ann\" hi", "nobody is called \"Mary Ann\"; /who lists who is here"),
        ("\"nd\" hi", "nobody is called nd; did you mean nc?"),
        ("\"nc hi", "a quotation mark begins the name and none ends it; write \"NAME\""),
        (": hi", "nobody is called \":\"; /who"),
    ] {
        alice.write_line(&format!("/msg {words}"));
        alice.stderr.wait_for(error);
    }
    alice.write_line("/msg somebody psst");
    alice.stderr.wait_for("nobody is called somebody; /who lists who is here");
    alice.write_line("/msg nc");
    alice.stderr.wait_for("usage: /msg NAME TEXT");
    alice.write_line("end");
    assert_eq!(messages(read_until(&mut stream, MESSAGE).as_bytes()), ["end"]);
}

#[test]
fn names_can_be_changed() {
    let (mut alice, address, mut bob) = pair(&[], &[]);
    bob.write_line("/name Mary Ann");
    bob.stderr.wait_for("you are now \"Mary Ann\"");
    alice.conversation.wait_for("bob is now \"Mary Ann\"");
    bob.write_line("hi");
    alice.conversation.wait_for("Mary Ann: hi");
    alice.write_line("/msg mary ann psst");
    bob.conversation.wait_for("private] alice: psst");
    bob.write_line("/name \u{202e}x");
    bob.stderr.wait_for("control characters");
    // A later member knows only the new name, which the goodbye also carries.
    let mut carol = Peer::named("carol", &[address]);
    carol.conversation.wait_for("\"Mary Ann\" has joined");
    bob.write_line("/name Alice");
    let line = bob.stderr.wait_for("you are now Alice; since somebody here is called that too");
    let own = line.rsplit_once("the others see ").expect("what they see").1.to_owned();
    alice.conversation.wait_for(&format!("\"Mary Ann\" is now {own}"));
    carol.conversation.wait_for(&format!("\"Mary Ann\" is now {own}"));
    carol.write_line("/msg ALICE which?");
    carol.stderr.wait_for("several have that name: write ");
    bob.write_line("/name bob");
    carol.conversation.wait_for(" is now bob");
    carol.write_line("/msg alice still you?");
    alice.conversation.wait_for("private] carol: still you?");
    end_with(bob, 1);
    alice.conversation.wait_for("bob has left");
    end(alice);
    end_with(carol, 1);
}

#[test]
fn the_command_who_lists_the_peers() {
    let (listener, address) = listen();
    let nobody = support::sockets::FreePort::new();
    let (mut alice, _, bob) = pair(&[&address.to_string(), &nobody.address().to_string()], &[]);
    let mut stream = accept(&listener);
    stream.write_all(message("nc", "hi").as_bytes()).expect("a peer that reads");
    alice.conversation.wait_for("nc: hi");
    alice.stderr.wait_for("cannot reach");
    alice.write_line("/who");
    let line = alice.stderr.wait_for("bob ");
    assert!(line.contains("  connected ") && line.contains(" s, at 127.0.0.1:"), "{line}");
    let line = alice.stderr.wait_for("nc ");
    assert!(line.contains("  plain peer, connected "), "{line}");
    // It is sorted by name, and a number comes first; so this is another reply.
    alice.write_line("/who");
    let line = alice.stderr.wait_for("  not reached yet, trying ");
    assert!(line.contains(" again in ") || line.ends_with(" now"), "{line}");
    alice.write_line("/who bob");
    assert!(alice.stderr.wait_for("bob: connected ").ends_with(", has all your messages"));
    assert!(alice.stderr.wait_for("  at 127.0.0.1:").ends_with(", dialled you"));
    alice.stderr.wait_for("  id ");
    bob.signal(Signal::KILL);
    alice.conversation.wait_for("bob is lost");
    alice.write_line("one more");
    alice.write_line("/who");
    let line = alice.stderr.wait_for("  lost, trying ");
    assert!(line.starts_with("bob ") && line.contains(", 1 message behind, at "), "{line}");
}

#[test]
fn a_peer_that_has_left_can_be_ignored() {
    let mut alice = Peer::named("alice", &[]);
    let address = alice.address();
    let visit = |bytes: &str| {
        let mut stream = TcpStream::connect(address).expect("a peer that listens");
        stream.write_all(bytes.as_bytes()).expect("a peer that reads");
        stream.local_addr().expect("its address")
    };
    visit(&message("gone", "one"));
    alice.conversation.wait_for("gone: one");
    alice.conversation.wait_for("gone is lost");
    alice.write_line("/ignore gone");
    alice.stderr.wait_for("gone is ignored");
    let unnamed = visit("two<MSGENCD>");
    alice.conversation.wait_for(&format!("{unnamed}: two"));
    alice.conversation.wait_for("is lost");
    alice.write_line(&format!("/ignore {unnamed}"));
    alice.stderr.wait_for("is ignored");
    visit(&message("GONE", "three"));
    visit("four<MSGENCD>");
    visit(&message("carl", "five"));
    alice.conversation.wait_for("carl: five");
    let shown = &alice.conversation.seen;
    assert_eq!(
        shown.iter().filter(|line| line.contains("three") || line.contains("four")).count(),
        0,
        "{shown:?}"
    );
}

#[test]
fn an_ignored_peer_is_not_shown() {
    let record = File::new("ignored");
    let (mut alice, _, mut bob) = pair(&["--log", record.path()], &[]);
    alice.write_line("/ignore bob");
    alice.stderr.wait_for("bob is ignored");
    // A new name does not help, and is not shown.
    bob.write_line("/name rob");
    bob.stderr.wait_for("you are now rob");
    wait_until("alice knows it", || {
        alice.write_line("/who");
        alice.stderr.next_line().is_some_and(|line| line.starts_with("rob "))
    });
    alice.write_line("/unignore robert");
    alice.stderr.wait_for("robert is not ignored; ignored: bob");
    alice.write_line("/unignore bob");
    alice.stderr.wait_for("bob is not ignored any more");
    bob.write_line("seen");
    alice.conversation.wait_for("rob: seen");
    alice.write_line("/ignore ROB");
    alice.stderr.wait_for("rob is ignored");
    bob.write_line("/name bob");
    bob.stderr.wait_for("you are now bob");
    wait_until("alice knows it", || {
        alice.write_line("/who");
        alice.stderr.next_line().is_some_and(|line| line.starts_with("bob "))
    });
    alice.write_line("/unignore bob");
    alice.stderr.wait_for("bob is not ignored any more");
    alice.write_line("/ignore bob");
    alice.stderr.wait_for("bob is ignored");
    bob.write_line("not seen");
    bob.write_line("/msg alice not seen either");
    bob.write_line("/quit not seen as well");
    assert_eq!(bob.exit_code(), 0);
    alice.end_input();
    assert_eq!(alice.exit_code(), 1, "robert is not there");
    alice.conversation.rest();
    let seen = alice.conversation.seen.join("\n");
    for text in [seen, record.content()] {
        assert!(["not seen", " is now ", " has left"].iter().all(|part| !text.contains(part)), "{text}");
    }
}

#[test]
fn a_peer_can_be_named_while_chatting() {
    let mut alice = Peer::named("alice", &[]);
    let address = alice.address();
    let mut bob = Peer::named("bob", &[]).listening();
    bob.write_line(&format!("/connect {address}"));
    bob.stderr.wait_for(&format!("connecting to {address}"));
    bob.conversation.wait_for("alice has joined");
    alice.conversation.wait_for("bob has joined");
    bob.write_line(&format!("/connect localhost:{}", address.port()));
    bob.stderr.wait_for("already connected to ");
    bob.write_line("/connect no-such-host.invalid:5000");
    bob.stderr.wait_for("cannot connect to 'no-such-host.invalid:5000': cannot find its host");
    bob.write_line("/connect host");
    bob.stderr.wait_for("cannot connect to 'host': it has no port; write host:PORT");
    bob.write_line("still here");
    alice.conversation.wait_for("bob: still here");
    end(alice);
    end_with(bob, 1);
}

#[test]
fn commands_are_executed_and_not_sent() {
    let (mut alice, _, mut bob) = pair(&[], &[]);
    alice.write_line("/halp");
    alice.stderr.wait_for("unknown command /halp; did you mean /help?");
    alice.write_line("/help");
    alice.stderr.wait_for("/unignore NAME");
    alice.write_line("/say /help");
    assert!(bob.conversation.wait_for("alice: ").ends_with("alice: /help"));
    alice.write_line("// a comment in a file");
    assert!(bob.conversation.wait_for("comment").ends_with("alice: // a comment in a file"));
    alice.write_line("/me waves");
    assert!(bob.conversation.wait_for("waves").ends_with("] * alice waves"));
    bob.write_line("/quit see you");
    alice.conversation.wait_for("bob: see you");
    alice.conversation.wait_for("bob has left");
    assert_eq!(bob.exit_code(), 0);
    alice.end_input();
    assert_eq!(alice.exit_code(), 1, "a command failed");
    alice.stderr.wait_for("groupchat: '/halp' failed");
}

#[test]
fn scripts_read_one_object_a_line_and_nothing_else() {
    let mut alice = Peer::start(&["-n", "alice", "--json", "0"]);
    let listening = event(&mut alice.conversation, "listening");
    assert_eq!(listening["name"], "alice");
    let address: SocketAddr = listening["address"].as_str().expect("a text").parse().expect("an address");
    let port = address.port().to_string();
    let mut bob = Peer::start(&["-n", "b ob", "0", &port]);
    let joined = event(&mut alice.conversation, "joined");
    assert_eq!(joined["name"], "b ob");
    let id = joined["id"].as_str().expect("an id").to_owned();
    assert_eq!((id.len(), joined["address"].is_string()), (32, true));
    bob.conversation.wait_for("alice has joined");
    bob.write_line("a \"quoted\" \x1b[31m\u{202e} line\\");
    let sent = event(&mut alice.conversation, "message");
    assert_eq!(sent["text"], "a \"quoted\" \x1b[31m\u{202e} line\\");
    assert_eq!(
        (&sent["name"], &sent["private"], &sent["past"]),
        (&"b ob".into(), &false.into(), &false.into())
    );
    assert_eq!(sent["id"], id.as_str());
    bob.write_line("/msg alice psst");
    assert_eq!(event(&mut alice.conversation, "message")["private"], true);
    bob.write_line("/name bob");
    let renamed = event(&mut alice.conversation, "renamed");
    assert_eq!((&renamed["before"], &renamed["name"]), (&"b ob".into(), &"bob".into()));
    // What it reads is lines and commands.
    alice.write_line("hello bob");
    bob.conversation.wait_for("alice: hello bob");
    alice.write_line("/who");
    let member = event(&mut alice.conversation, "member");
    assert_eq!(
        (&member["name"], &member["standing"], &member["dialled_by"]),
        (&"bob".into(), &"here".into(), &"them".into())
    );
    alice.write_line("/nonsense");
    let shown = event(&mut alice.conversation, "notice");
    assert!(shown["text"].as_str().expect("a text").starts_with("'/nonsense' failed: unknown command "));
    end(bob);
    assert_eq!(event(&mut alice.conversation, "left")["name"], "bob");
    alice.end_input();
    alice.conversation.rest();
    assert_eq!(alice.exit_code(), 1);
    for line in &alice.conversation.seen {
        let event: Value = serde_json::from_str(line).expect("one object a line");
        assert!(event["event"].is_string() && event["time"].is_string(), "{line}");
    }
    // Only why it ended so stands there.
    let [line] = &alice.stderr.rest()[..] else { panic!("{:?}", alice.stderr.seen) };
    assert_eq!(line, "groupchat: '/nonsense' failed");
}

#[test]
fn scripts_read_of_each_arrival_and_its_end_under_the_same_name() {
    let mut alice = Peer::start(&["-n", "alice", "--json", "0"]);
    let listening = event(&mut alice.conversation, "listening");
    let port = listening["address"].as_str().and_then(|address| address.rsplit(':').next()).expect("a port");
    let address: SocketAddr = format!("127.0.0.1:{port}").parse().expect("an address");
    let mut plain = connect(address);
    for name in ["fay", "fred"] {
        plain.write_all(message(name, "hi").as_bytes()).expect("a peer that reads");
        assert_eq!(event(&mut alice.conversation, "message")["name"], name);
    }
    drop(plain);
    assert_eq!(event(&mut alice.conversation, "lost")["name"], "fred");
    let mut dan = Peer::start(&["-n", "dan", "0", port]);
    event(&mut alice.conversation, "joined");
    alice.write_line("/ignore dan");
    alice.conversation.wait_for("dan is ignored");
    dan.write_line("hello");
    end(dan);
    assert_eq!(event(&mut alice.conversation, "left")["name"], "dan");
    let mut eve = TcpStream::connect(address).expect("a peer that listens");
    eve.write_all(message("eve", "one").as_bytes()).expect("a peer that reads");
    event(&mut alice.conversation, "message");
    alice.write_line("/ignore eve");
    alice.conversation.wait_for("eve is ignored");
    drop(eve);
    event(&mut alice.conversation, "lost");
    // Of one that came while she was ignored, nothing is known to the reader.
    let mut eve = TcpStream::connect(address).expect("a peer that listens");
    eve.write_all(message("eve", "two").as_bytes()).expect("a peer that reads");
    // What she sent was read once her name is known.
    loop {
        alice.write_line("/who");
        let line = alice.conversation.next_line().expect("a reply");
        if line.contains(r#""event":"member""#) && line.contains(r#""name":"eve""#) {
            break;
        }
    }
    alice.write_line("/unignore eve");
    alice.conversation.wait_for("eve is not ignored");
    drop(eve);
    // Two at once would be marked.
    wait_until("she is gone", || {
        alice.write_line("/who eve");
        alice.conversation.next_line().expect("a reply").contains("'/who eve' failed")
    });
    let mut eve = TcpStream::connect(address).expect("a peer that listens");
    eve.write_all((message("eve", "three") + &goodbye("eve")).as_bytes()).expect("a peer that reads");
    event(&mut alice.conversation, "left");
    let seen: Vec<Value> =
        alice.conversation.seen.iter().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let of = |event: &Value| format!("{} {}", event["event"], event["name"]).replace('"', "");
    let shown: Vec<_> =
        seen.iter().filter(|event| event["name"].is_string() && event["event"] != "member").map(of).collect();
    let expected = [
        "listening alice",
        "joined fay",
        "message fay",
        "renamed fred",
        "message fred",
        "lost fred",
        "joined dan",
        "left dan",
        "joined eve",
        "message eve",
        "lost eve",
        "joined eve",
        "message eve",
        "left eve",
    ];
    assert_eq!(shown, expected);
}

/// What the README shows, with another program in place of `jq`, which a machine may lack.
#[test]
fn the_readme_shows_a_bot_that_works() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("a README");
    let bot = readme.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a bot");
    assert_eq!(bot.trim_end().lines().count(), 3, "{bot}");
    let filter = bot.split('\'').nth(1).expect("the argument of jq");
    assert_eq!(
        filter,
        r#"select(.event == "message" and .past == false and .private == false and .text == "!time").name"#
    );
    let folder = std::env::temp_dir().join(format!("groupchat-bot-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let jq = "while read -r line; do case $line in \
              *'\"text\":\"!time\"'*'\"private\":false'*'\"past\":false'*) \
              printf '%s\\n' \"$line\" | sed 's/.*\"name\":\"\\([^\"]*\\)\".*/\\1/';; esac; done";
    for (name, script) in [("jq", jq), ("groupchat", r#"exec "$PEER" "$@""#)] {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(&path, mode).expect("a program");
    }
    let mut alice = Peer::named("alice", &[]);
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let script = bot.replace("host:5000", &alice.address().to_string());
    let mut command = Command::new("sh");
    command.args(["-c", &script]).env("PATH", path).env("PEER", support::PROGRAM).current_dir(&folder);
    // All three programs of it are ended as one.
    let bot = Peer::run(command.process_group(0));
    alice.conversation.wait_for("bot has joined");
    alice.write_line("what is the !time");
    alice.write_line("!time");
    let line = alice.conversation.wait_for("bot: ");
    assert!(line.contains("bot: it is ") && line.ends_with(", alice"), "{line}");
    alice.end_input();
    assert_eq!(alice.exit_code(), 0);
    kill_process_group(Pid::from_child(&bot.child), Signal::KILL).expect("it runs");
    drop(bot);
    fs::remove_dir_all(folder).expect("our folder");
}

#[test]
fn a_record_on_a_full_disk_stops_nobody() {
    let (mut alice, _, mut bob) = pair(&["--log", "/dev/full"], &[]);
    alice.stderr.wait_for("cannot record to '/dev/full': no space left");
    bob.write_line("hi");
    alice.conversation.wait_for("bob: hi");
    alice.write_line("hello");
    bob.conversation.wait_for("alice: hello");
    alice.end_input();
    assert_eq!(alice.exit_code(), 1);
    let rest = alice.stderr.rest();
    assert!(rest.iter().any(|line| line.contains("3 lines are missing there")), "{rest:?}");
    end(bob);
}

#[test]
fn a_look_up_is_waited_for_when_the_input_ends() {
    let mut alice = Peer::named("alice", &[]);
    let port = alice.address().port();
    let mut bob = Peer::named("bob", &[]).listening();
    bob.write_line(&format!("/connect localhost:{port}"));
    bob.write_line("hi");
    bob.end_input();
    alice.conversation.wait_for("bob: hi");
    assert_eq!(bob.exit_code(), 0);
}

struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("groupchat-{name}-{}", std::process::id())))
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("text")
    }

    fn content(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_default()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn the_conversation_is_recorded() {
    let (record, moved) = (File::new("record"), File::new("moved"));
    let (mut alice, _, mut bob) = pair(&["--log", record.path(), "--color", "always"], &[]);
    bob.write_line("hi \x1b[2J");
    alice.conversation.wait_for("hi");
    alice.write_line("hello");
    alice.write_line("/msg bob psst");
    bob.conversation.wait_for("psst");
    wait_until("it is recorded", || record.content().contains("psst"));
    let recorded = record.content();
    let ends = ["] bob has joined", "] bob: hi ^[[2J", "] alice: hello", " private to bob] alice: psst"];
    assert_eq!(recorded.lines().count(), ends.len(), "{recorded}");
    for (line, end) in recorded.lines().zip(ends) {
        assert!(line.starts_with("[20") && line.ends_with(end), "{line}");
    }
    fs::rename(&record.0, &moved.0).expect("moved");
    bob.write_line("after");
    wait_until("it is recorded anew", || record.content().contains("bob: after"));
    assert_eq!(moved.content(), recorded);
    [alice, bob].into_iter().for_each(end);
}

#[test]
fn what_is_sent_is_waited_for() {
    let (mut alice, address, mut bob) = pair(&[], &[]);
    let address = address.to_string();
    let mut bot = Peer::start(&["-n", "bot", "--send", "one", "--send", "two", "0", &address]);
    bot.end_input();
    assert_eq!(bot.exit_code(), 0);
    for peer in [&mut alice, &mut bob] {
        peer.conversation.wait_for("bot: one");
        peer.conversation.wait_for("bot: two");
        peer.conversation.wait_for("bot has left");
    }
    [alice, bob].into_iter().for_each(end);
}

#[test]
fn send_executes_the_commands_that_send() {
    let (mut alice, address, mut bob) = pair(&[], &[]);
    let peer = address.to_string();
    let send = |texts: &[&str]| {
        let mut arguments = vec!["-n", "bot", "0", &peer];
        arguments.extend(texts.iter().flat_map(|text| ["--send", text]));
        let mut bot = Peer::start(&arguments);
        (bot.exit_code(), bot.stderr.rest().join("\n"))
    };
    let (code, _) = send(&["/msg bob secret", "/me builds", "/say /who", "// a comment", " \n/etc/hosts"]);
    assert_eq!(code, 0);
    assert!(bob.conversation.wait_for("secret").ends_with(" private] bot: secret"));
    for peer in [&mut alice, &mut bob] {
        assert!(peer.conversation.wait_for("builds").ends_with("] * bot builds"));
        assert!(peer.conversation.wait_for("/who").ends_with("bot: /who"));
        assert!(peer.conversation.wait_for("// a comment").ends_with("bot: // a comment"));
        peer.conversation.wait_for("/etc/hosts");
        peer.conversation.wait_for("bot has left");
    }
    // Several lines, and whatever hides the slash.
    for text in ["/msg bob sec1\nsec2", "\u{feff}\n /MSG bob sec1\nsec2", "\u{ff0f}dm bob sec1\nsec2"] {
        assert_eq!(send(&[text]).0, 0, "{text}");
        bob.conversation.wait_for("private] bot: sec1");
        bob.conversation.wait_for("sec2");
    }
    // If its recipient is not here, no other peer gets it either.
    for text in
        ["/msg carol secret", "/msg bob \u{200b}", "msg bob secret", "\\msg bob secret", "7msg bob: secret"]
    {
        let (code, errors) = send(&[text]);
        assert_eq!(code, 1, "{text}: {errors}");
        assert!(errors.contains("' failed: "), "{errors}");
    }
    alice.write_line("end");
    bob.conversation.wait_for("alice: end");
    assert!(
        !alice.conversation.seen.iter().any(|line| line.contains("sec")),
        "{:?}",
        alice.conversation.seen
    );
    [alice, bob].into_iter().for_each(end);
}

#[test]
fn send_takes_standard_input_as_one_message() {
    let (mut alice, address, bob) = pair(&[], &[]);
    let send = |input: &[u8]| {
        let mut bot = Peer::start(&["-n", "bot", "--send", "-", "0", &address.to_string()]);
        bot.input.take().expect("a pipe").write_all(input).expect("a peer that reads");
        (bot.exit_code(), bot.stderr.rest().join("\n"))
    };
    assert_eq!(send(b"/who\n// two\n\nthree\n").0, 0);
    assert!(alice.conversation.wait_for("bot: ").ends_with("bot: /who"));
    assert_eq!(alice.conversation.next_line().as_deref(), Some("    // two"));
    assert_eq!(alice.conversation.next_line().as_deref(), Some("    "));
    assert_eq!(alice.conversation.next_line().as_deref(), Some("    three"));
    alice.conversation.wait_for("bot has left");
    assert_eq!(send(b"/msg bob x").0, 0);
    assert!(alice.conversation.wait_for("bot: ").ends_with("bot: /msg bob x"));
    alice.conversation.wait_for("bot has left");
    for empty in ["", "\n", "\r\n", " \n\u{200b}\n"] {
        let (code, errors) = send(empty.as_bytes());
        assert_eq!((code, errors.as_str()), (1, "groupchat: nothing was sent: standard input is empty"));
    }
    // The longest message is one, whatever its text and its recipient.
    for text in ["x".repeat(65_000), "<AENCD>".repeat(65_000 / 8)] {
        assert_eq!(send(text.as_bytes()).0, 0);
        assert!(alice.conversation.wait_for("bot: ").ends_with(&format!("bot: {text}")));
        alice.conversation.wait_for("bot has left");
    }
    let (code, errors) = send("<AENCD>".repeat(65_000 / 8 + 1).as_bytes());
    assert!(code == 1 && errors.contains("at most 65000 bytes"), "{errors}");
    let (code, errors) = send(&[b'x'; 65_001]);
    assert!(code == 1 && errors.contains("at most 65000 bytes"), "{errors}");
    alice.write_line("end");
    [alice, bob].into_iter().for_each(end);
}

#[test]
fn what_is_meant_for_one_or_for_the_program_is_never_sent_to_all() {
    let (mut alice, _, mut bob) = pair(&[], &[]);
    for line in [
        "/msg: bob sec",
        "/msg/bob sec",
        "/ msg bob sec",
        "msg bob sec",
        "\\msg bob sec",
        "\u{ff4d}\u{ff53}\u{ff47} bob sec",
        "msg @bob: sec",
        "7msg bob sec",
        "-msg bob sec",
        "/mgs bob sec",
        "/query bob",
        "/msg bbo sec",
        "/who is sec",
        "./reply sec",
        "> /msg bob sec",
        "/msg \u{201c}bbo\u{201d} sec",
        "/reply sec",
    ] {
        alice.write_line(line);
        alice.stderr.wait_for(&format!("'{line}' failed: "));
    }
    // Of a line that is longer than a message, no part is sent without the others.
    for start in ["/msg bob sec", "/msg bbo sec", "/zork", "/say", " ", "msg bob sec"] {
        alice.write_line(&format!("{start}{}secret /msg bob sec", " ".repeat(66_000)));
        alice.stderr.wait_for("has at most 65000 bytes; nothing of it was sent");
    }
    alice.write_line("/msg \u{201c}bob\u{201d} sec0");
    assert!(bob.conversation.wait_for("sec0").ends_with(" private] alice: sec0"));
    alice.write_line(" \u{200b}\x1b[31m/msg bob sec1");
    assert!(bob.conversation.wait_for("sec1").ends_with(" private] alice: sec1"));
    bob.write_line("/reply sec2");
    assert!(alice.conversation.wait_for("sec2").ends_with(" private] bob: sec2"));
    alice.write_line("/whisper bob sec3");
    bob.conversation.wait_for(" private] alice: sec3");
    // Nothing of these is a command, and of the blank ones nothing is sent.
    for text in [
        "/etc/hosts",
        "/* C */",
        "/s/a/b/",
        " ",
        "\u{200b}",
        "\u{3164}\u{feff}",
        "msg carol hi",
        "help",
        "quit",
    ] {
        alice.write_line(text);
    }
    alice.write_line("/say /msg bob x");
    for text in ["/etc/hosts", "/* C */", "/s/a/b/", "msg carol hi", "help", "quit", "/msg bob x"] {
        let line = bob.conversation.next_line().expect("a line");
        assert!(line.ends_with(&format!("] alice: {text}")), "{line} is not {text}");
    }
    alice.end_input();
    assert_eq!(alice.exit_code(), 1);
    end(bob);
}

#[test]
fn disconnect_ends_what_connect_began() {
    let ((listener, address), nobody) = (listen(), support::sockets::FreePort::new());
    let (mut alice, _, bob) = pair(&[], &[]);
    alice.write_line(&format!("/connect {address}"));
    let mut stream = accept(&listener);
    stream.write_all(message("nc", "hi").as_bytes()).expect("a peer that reads");
    alice.conversation.wait_for("nc: hi");
    // In one write: what was sent before is sent before the goodbye.
    alice.write_line(&format!("to all\n/disconnect {address}"));
    alice.stderr.wait_for("disconnected from nc");
    let bytes = support::read_to_end(&mut stream);
    assert_eq!(messages(&bytes), ["to all"]);
    assert!(bytes.ends_with(b"|\nalice<EXITENCD>"), "{}", String::from_utf8_lossy(&bytes));
    // One that was never reached.
    alice.write_line(&format!("/connect {}", nobody.address()));
    alice.stderr.wait_for("cannot reach");
    alice.write_line(&format!("/disconnect {}", nobody.address()));
    alice.stderr.wait_for(&format!("not connecting to {} any more", nobody.address()));
    alice.write_line("/who");
    alice.stderr.wait_for("bob ");
    for (what, why) in
        [("localhost:9", "you did not connect to it"), ("bob", "it has no port; write bob:PORT")]
    {
        alice.write_line(&format!("/disconnect {what}"));
        alice.stderr.wait_for(&format!("cannot disconnect from '{what}': {why}"));
    }
    assert!(
        !alice.stderr.seen.iter().any(|line| line.contains("not reached yet")),
        "{:?}",
        alice.stderr.seen
    );
    alice.end_input();
    assert_eq!(alice.exit_code(), 1, "commands failed");
    end(bob);
}

#[test]
fn a_member_stays_connected() {
    let (alice, address, mut bob) = pair(&[], &[]);
    bob.write_line(&format!("/disconnect {address}"));
    bob.stderr.wait_for("cannot disconnect from alice: all members of a group are connected");
    bob.end_input();
    assert_eq!(bob.exit_code(), 1);
    end(alice);
}

#[test]
fn send_reports_the_peers_that_have_not_received_it() {
    let mut alice = Peer::named("alice", &[]);
    let address = alice.address().to_string();
    let nobody = support::sockets::FreePort::new().address().to_string();
    let mut bot = Peer::start(&["-n", "bot", "--send", "one", "0", &address, &nobody]);
    alice.conversation.wait_for("bot: one");
    assert_eq!(bot.exit_code(), 1);
    bot.stderr.wait_for(&format!("not delivered to everybody, as far as is known: {nobody}"));
    alice.conversation.wait_for("bot has left");
    // One that is stopped looks like a plain peer that sends nothing; once it goes on, it is a member.
    alice.signal(Signal::STOP);
    let mut bot = Peer::start(&["-n", "bot", "--send", "two", "0", &address]);
    bot.stderr.wait_for(&format!("{address} has sent nothing"));
    alice.signal(Signal::CONT);
    alice.conversation.wait_for("bot: two");
    assert_eq!(bot.exit_code(), 0);
}
