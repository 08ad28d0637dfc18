//! The real program at a terminal: the first screen, joins and leaves, and `/who`.

mod support;

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use groupchat::terminal::layout::Size;
use rustix::process::Signal;
use support::sockets::{FreePort, accept, listen, message};
use support::window::Window;
use support::{PROGRAM, Peer};

const CTRL_D: &str = "\x04";

/// Wide enough that no line in these tests is broken.
const WIDE: Size = Size { columns: 200, rows: 40 };

/// A program called alice in a window.
fn alice(size: Size, arguments: &[&str]) -> Window {
    let window = Window::run(&[&[PROGRAM, "-n", "alice", "--color=never"], arguments].concat(), size);
    window.wait_for("listening on ");
    window.wait_for_rows(&["alice> |"]);
    window
}

fn rows(window: &Window) -> Vec<String> {
    let rows: Vec<String> = window
        .look(|screen| screen.rows(0, screen.size().1.get()).map(|row| row.trim_end().to_owned()).collect());
    rows.into_iter().filter(|row| !row.is_empty()).collect()
}

fn port(window: &Window) -> u16 {
    let rows = rows(window);
    let line = rows.iter().find(|row| row.starts_with("listening on ")).expect("an address");
    line.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
}

fn leave(mut window: Window) {
    window.press(CTRL_D);
    assert_eq!(window.exit_code(), 0);
}

#[track_caller]
fn end(peers: impl IntoIterator<Item = Peer>) {
    for mut peer in peers {
        peer.end_input();
        let code = peer.exit_code();
        assert_eq!(code, 0, "{:?}", peer.stderr.rest());
    }
}

/// One peer for each of `names`, all connected.
fn gather(names: &[String]) -> (Vec<Peer>, SocketAddr) {
    let mut first = Peer::named(&names[0], &[]);
    let address = first.address();
    let others = names[1..].iter().map(|name| Peer::named(name, &[address]));
    let mut peers: Vec<Peer> = std::iter::once(first).chain(others).collect();
    for peer in &mut peers {
        (1..names.len()).for_each(|_| {
            peer.conversation.wait_for(" has joined");
        });
    }
    (peers, address)
}

fn names(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("p{number}")).collect()
}

/// The number of peers that a line is about.
fn people(line: &str) -> usize {
    let Some((named, rest)) = line.split_once(" and ") else { return 1 };
    let others = rest.split_once(" others ").and_then(|(count, _)| count.parse().ok()).unwrap_or(1);
    named.matches(", ").count() + 1 + others
}

#[test]
fn the_first_screen_shows_how_others_join() {
    let window = alice(WIDE, &["0"]);
    let (rows, port) = (rows(&window), port(&window));
    assert_eq!(rows[0], format!("listening on [::]:{port}"));
    let help = "anybody who reaches the port can join; /help lists commands, Ctrl+D leaves";
    assert_eq!(rows[rows.len() - 2], help);
    // The address is one of this machine, whatever its network is.
    let command = rows.iter().find_map(|row| row.strip_prefix("  groupchat 0 ")).expect("how others join");
    assert!(command.ends_with(&port.to_string()), "{rows:?}");
    // It can be typed as it stands there.
    let mut bob = Peer::start(&["-n", "bob", "0", command]);
    bob.conversation.wait_for("alice has joined");
    window.wait_for("bob has joined");
    end([bob]);
    leave(window);
}

#[test]
fn the_first_screen_fits_a_small_window() {
    let window = alice(Size::new(40, 10), &["0"]);
    assert!(rows(&window)[0].starts_with("listening on "), "{:?}", rows(&window));
    leave(window);
}

#[test]
fn the_advice_depends_on_the_address_and_on_named_peers() {
    let window = alice(WIDE, &["-b", "127.0.0.1", "0"]);
    let port = port(&window);
    assert_eq!(
        rows(&window),
        [
            format!("listening on 127.0.0.1:{port}"),
            "others join on this machine with:".to_owned(),
            format!("  groupchat 0 {port}"),
            "/help lists commands, Ctrl+D leaves".to_owned(),
            "alice>".to_owned(),
        ]
    );
    let bob = alice(WIDE, &["0", &port.to_string()]);
    bob.wait_for("here: alice#");
    let rows = rows(&bob);
    assert_eq!(rows[1], "anybody who reaches the port can join; /help lists commands, Ctrl+D leaves");
    assert!(!rows.iter().any(|row| row.contains("join with")), "{rows:?}");
    leave(bob);
    leave(window);
}

#[test]
fn a_peer_that_dials_while_a_named_one_is_not_reached_has_joined() {
    let nobody = FreePort::new();
    let window = alice(WIDE, &["0", &nobody.number()]);
    window.wait_for("cannot reach ");
    let bob = Peer::named("bob", &[(Ipv4Addr::LOCALHOST, port(&window)).into()]);
    window.wait_for("] bob has joined");
    leave(window);
    end([bob]);
}

#[test]
fn a_script_sees_only_what_it_listens_on() {
    let mut peer = Peer::named("alice", &[]).listening();
    peer.end_input();
    peer.conversation.rest();
    assert!(!peer.stderr.rest().iter().any(|line| line.contains("/help")), "{:?}", peer.stderr.seen);
    assert!(peer.stderr.seen[0].starts_with("listening on [::]:"), "{:?}", peer.stderr.seen);
}

#[test]
fn joining_a_group_takes_one_line_and_its_end_few() {
    const COUNT: usize = 25;
    let (mut peers, address) = gather(&names(COUNT));
    let path = std::env::temp_dir().join(format!("groupchat-presence-{}", std::process::id()));
    let log = path.display().to_string();
    let window = alice(WIDE, &["--log", &log, "0", &address.to_string()]);
    window.wait_for(&format!(" ({COUNT})"));
    let here = rows(&window).into_iter().filter(|row| row.contains("here: ")).collect::<Vec<_>>();
    assert_eq!(here.len(), 1, "{here:?}");
    for name in names(COUNT) {
        assert!(here[0].replace(',', " ").split(' ').any(|word| word == name), "{name}: {here:?}");
    }
    window.look(|screen| assert!(!screen.contents().contains("has joined"), "{}", screen.contents()));
    // All leave at once.
    for peer in &peers {
        peer.signal(Signal::TERM);
    }
    window.wait_until("that everybody has left", |screen| {
        let text = screen.contents();
        let lines: Vec<&str> = text.lines().filter(|line| line.ends_with(" left the chat...")).collect();
        assert!(lines.len() <= 10, "{text}");
        lines.iter().map(|line| people(line)).sum::<usize>() == COUNT
    });
    leave(window);
    assert!(peers.iter_mut().all(|peer| peer.exit_code() == 0));
    // The record has each of them.
    let record = fs::read_to_string(&path).expect("a record");
    fs::remove_file(path).expect("our file");
    for what in ["has joined", "has left the chat..."] {
        assert_eq!(record.lines().filter(|line| line.ends_with(what)).count(), COUNT, "{what}: {record}");
    }
}

#[test]
fn no_message_precedes_the_line_about_its_sender() {
    let window = alice(WIDE, &["-b", "127.0.0.1", "0"]);
    let address = SocketAddr::from(([127, 0, 0, 1], port(&window)));
    let mut peers: Vec<Peer> = names(6).iter().map(|name| Peer::named(name, &[address])).collect();
    for peer in &mut peers {
        peer.conversation.wait_for("alice has joined");
        peer.write_line("hi");
    }
    for name in names(6) {
        window.wait_for(&format!("{name}: hi"));
    }
    let rows = rows(&window);
    for name in names(6) {
        let sent = rows.iter().position(|row| row.ends_with(&format!("{name}: hi"))).expect("a message");
        // Whose name is not in the line is among its others.
        let is_reported = rows[..sent].iter().filter(|row| row.contains("joined")).any(|row| {
            row.ends_with(" others have joined") || row.replace(',', " ").split(' ').any(|word| word == name)
        });
        assert!(is_reported, "{name}: {rows:#?}");
    }
    end(peers);
    leave(window);
}

#[test]
fn the_command_who_describes_each_connection() {
    let (listener, address) = listen();
    let nobody = FreePort::new();
    let mut window = alice(WIDE, &["0", &address.to_string(), &nobody.address().to_string()]);
    let own = SocketAddr::from(([127, 0, 0, 1], port(&window)));
    let mut stream = accept(&listener);
    stream.write_all(message("nc", "hi").as_bytes()).expect("a peer that reads");
    window.wait_for("nc: hi");
    let mut bob = Peer::named("bob", &[own]);
    bob.conversation.wait_for("alice has joined");
    window.wait_for("bob has joined");
    window.press("/who\r");
    window.wait_until("everybody", |screen| {
        let rows: Vec<String> = screen.rows(0, WIDE.columns as u16).collect();
        let has =
            |start: &str, part: &str| rows.iter().any(|row| row.starts_with(start) && row.contains(part));
        has("you are alice (#", &format!("), listening on [::]:{}", own.port()))
            && has("bob ", "  connected ")
            && has("nc ", "  plain peer, connected ")
            && has(&nobody.address().to_string(), "  not reached yet, trying ")
    });
    window.press("/who bob\r");
    window.wait_for("bob: connected ");
    window.wait_for(", dialled you\n  id ");
    window.press(&format!("/who {}\r", nobody.address()));
    window.wait_for(&format!("{}: not reached yet, trying ", nobody.address()));
    window.press("/who ALICE\r");
    window.wait_until("our own id", |screen| screen.contents().matches("\n  id ").count() == 2);
    window.press("/who nobody\r");
    window.wait_for("nobody is called nobody");
    bob.signal(Signal::KILL);
    window.wait_for("bob is lost");
    // The refused line has come back.
    window.press("\x15one more\r");
    window.wait_for("alice: one more");
    window.press("/who\r");
    window.wait_for("lost, trying ");
    window.wait_for(", 1 message behind, at 127.0.0.1:");
    leave(window);
}

#[test]
fn a_crowd_is_shown_in_columns() {
    let (peers, address) = gather(&names(12));
    let mut window = alice(Size::new(60, 10), &["-b", "127.0.0.1", "0", &address.to_string()]);
    window.wait_for(" (12)");
    window.press("/ignore p7\r");
    window.wait_for("p7 is ignored");
    window.press("\x0c/who\r");
    window.wait_for("here (12):\n  p1 ");
    window.wait_for("p7 (ignored)");
    assert!(rows(&window).len() <= 7, "{:?}", rows(&window));
    peers[11].signal(Signal::KILL);
    window.wait_for("p12 is lost");
    window.press("/who\r");
    window.wait_for("lost (1): p12\n");
    leave(window);
    peers.into_iter().take(11).for_each(|peer| end([peer]));
}
