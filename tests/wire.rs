//! The wire, as the other end sees it: text framing as it can be typed with `nc`, and
//! lab framing as the exercise's own program uses it.

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;

use support::sockets::{
    EXIT, LabPeer, PEER, accept, count, goodbye, lab_frame, listen, message, messages, messages_of, shown,
    wait_for_connections, wait_for_members,
};
use support::{Peer, connect, read_to_end, read_until};

/// Starts alice, with a shell's assignments before the command and further arguments behind it.
fn alice_with(assignments: &str, arguments: &str) -> Peer {
    Peer::start_shell(&format!("{assignments} exec \"$PEER\" -n alice 0 {arguments}"))
}

/// Starts alice, with `--framing` for peers that have not sent a frame yet, and a connection
/// with her that one of both dialled.
fn alice_and(framing: &str, alice_dials: bool) -> (Peer, TcpStream) {
    let mut alice;
    let stream;
    if alice_dials {
        let (listener, address) = listen();
        alice = alice_with("", &format!("--framing {framing} {address}"));
        stream = accept(&listener);
    } else {
        alice = alice_with("", &format!("--framing {framing}"));
        stream = connect(alice.address());
    }
    wait_for_connections(&mut alice, 1);
    (alice, stream)
}

fn lab(stream: TcpStream) -> LabPeer {
    LabPeer { stream }
}

fn send(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    stream.write_all(bytes.as_ref()).expect("a peer that reads");
}

/// Checks that `body` is `[time] alice:\n\t\ttext`, with a time as Python's `isoformat` writes it.
#[track_caller]
fn check_message(frame: &str, text: &str) {
    let (time, rest) = frame.strip_prefix('[').and_then(|rest| rest.split_once(']')).expect("a time");
    assert_eq!(rest, format!(" alice:\n\t\t{text}<MSGENCD>"));
    check_time(time);
}

#[track_caller]
fn check_time(time: &str) {
    let shape: String = time.chars().map(|char| if char.is_ascii_digit() { '0' } else { char }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000000+00:00");
}

#[track_caller]
fn check_goodbye(frame: &str, port: u16, code: &str) {
    let (address, rest) =
        frame.strip_prefix('\n').and_then(|rest| rest.split_once(" [")).expect("an address");
    assert_eq!(address, format!("127.0.0.1:{port}"));
    let (time, rest) = rest.split_once(']').expect("a time");
    check_time(time);
    assert_eq!(rest, format!("|\nalice{code}"));
}

#[test]
fn text_framing_is_that_of_the_exercise() {
    let mut alice = alice_with("", "");
    let address = alice.address();
    let mut reader = connect(address);
    alice.stderr.wait_for(" connected");
    alice.write_line("hello");
    check_message(&read_until(&mut reader, "<MSGENCD>"), "hello");
    alice.end_input();
    check_goodbye(&read_until(&mut reader, EXIT), address.port(), EXIT);
    assert_eq!(read_to_end(&mut reader), b"", "nothing follows a goodbye");
}

// Lab framing.

/// Everything that alice sends to a stream, from its first byte on, while both talk and she leaves.
#[track_caller]
fn everything_sent(alice: &mut Peer, stream: &mut TcpStream) -> String {
    send(stream, message("bob", "hi"));
    alice.conversation.wait_for("bob: hi");
    alice.write_line("hello");
    alice.end_input();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("a peer that sends");
    String::from_utf8(bytes).expect("text")
}

#[test]
fn only_a_dialled_peer_is_sent_a_hello_and_a_plain_peer_sends_none() {
    for (options, alice_dials, peer_frames) in [("", false, 0), ("", true, 1), ("--plain", true, 0)] {
        let (listener, address) = listen();
        let peers = if alice_dials { address.to_string() } else { String::new() };
        let mut alice = alice_with("", &format!("{options} {peers}"));
        let mut stream = if alice_dials { accept(&listener) } else { connect(alice.address()) };
        let sent = everything_sent(&mut alice, &mut stream);
        assert_eq!(sent.matches(PEER).count(), peer_frames, "{sent}");
        let (first, rest) = sent.split_at(sent.find(PEER).map_or(0, |at| at + PEER.len()));
        assert!(first.len() < 512 && rest.starts_with('['), "{sent}");
        assert!(rest.contains("] alice:\n\t\thello<MSGENCD>") && rest.ends_with(EXIT), "{sent}");
    }
}

/// A lab peer and alice receive each other's messages and goodbyes.
#[track_caller]
fn check_lab_peer(alice_dials: bool, alice_speaks_first: bool, alice_leaves: bool) {
    let framing = if alice_speaks_first { "lab" } else { "text" };
    let (mut alice, mut stream) = alice_and(framing, alice_dials);
    if alice_dials {
        // Bob reads it as soon as it comes, and passes over it.
        read_until(&mut stream, PEER);
    }
    let mut bob = lab(stream);
    if alice_speaks_first {
        alice.write_line("first");
        check_message(&bob.receive(), "first");
    }
    bob.send_message("bob", "hello");
    assert_eq!(alice.conversation.next_line(), Some(shown("bob", "hello")));
    for text in ["hi", "Gr\u{fc}\u{df}e \u{1f980}", "and again"] {
        alice.write_line(text);
        check_message(&bob.receive(), text);
        bob.send_message("bob", text);
        assert_eq!(alice.conversation.next_line(), Some(shown("bob", text)));
    }
    if alice_leaves {
        alice.end_input();
        let frame = bob.receive();
        assert!(frame.ends_with("|\nalice<EXTENCD>"), "{frame:?}");
        assert_eq!(bob.receive_until_end(), None, "nothing follows a goodbye");
        assert_eq!(alice.exit_code(), 0);
    } else {
        bob.leave("bob");
        assert_eq!(alice.conversation.next_line().as_deref(), Some("bob has left the chat..."));
        assert_eq!(bob.receive_until_end(), None, "nothing is sent to a peer that has left");
    }
}

#[test]
fn a_lab_peer_that_dials_sends_and_receives() {
    for alice_speaks_first in [false, true] {
        for alice_leaves in [false, true] {
            check_lab_peer(false, alice_speaks_first, alice_leaves);
        }
    }
}

#[test]
fn a_lab_peer_that_is_dialled_sends_and_receives() {
    for alice_speaks_first in [false, true] {
        for alice_leaves in [false, true] {
            check_lab_peer(true, alice_speaks_first, alice_leaves);
        }
    }
}

#[test]
fn a_peer_is_sent_text_framing_until_its_first_frame() {
    for alice_dials in [false, true] {
        let (mut alice, mut stream) = alice_and("text", alice_dials);
        alice.write_line("one");
        check_message(&read_until(&mut stream, "<MSGENCD>"), "one");
        let mut bob = lab(stream);
        bob.send_message("bob", "hello");
        alice.conversation.wait_for("bob: hello");
        alice.write_line("two");
        check_message(&bob.receive(), "two");
    }
}

#[test]
fn a_peer_that_sends_text_framing_is_sent_it_from_then_on() {
    for alice_dials in [false, true] {
        let (mut alice, stream) = alice_and("lab", alice_dials);
        let mut bob = lab(stream);
        alice.write_line("one");
        check_message(&bob.receive(), "one");
        let mut stream = bob.stream;
        send(&mut stream, message("bob", "hello"));
        alice.conversation.wait_for("bob: hello");
        alice.write_line("two");
        check_message(&read_until(&mut stream, "<MSGENCD>"), "two");
    }
}

/// One of ours, a lab peer and a plain client: alice receives the messages and goodbyes of all, and they receive
/// alice and see her leave.
#[track_caller]
fn check_three(alice_dials_lab: bool, alice_dials_plain: bool, alice_leaves_first: bool) {
    let (lab_listener, lab_address) = listen();
    let (plain_listener, plain_address) = listen();
    let mut peers = String::new();
    for (dials, address) in [(alice_dials_lab, lab_address), (alice_dials_plain, plain_address)] {
        if dials {
            peers += &format!(" {address}");
        }
    }
    let mut alice = alice_with("", &peers);
    let address = alice.address();
    let mut stream = if alice_dials_lab { accept(&lab_listener) } else { connect(address) };
    if alice_dials_lab {
        read_until(&mut stream, PEER);
    }
    let mut bob = lab(stream);
    let mut carol = if alice_dials_plain { accept(&plain_listener) } else { connect(address) };
    wait_for_connections(&mut alice, 2);

    bob.send_message("bob", "I am bob");
    send(&mut carol, message("carol", "I am carol") + "\n");
    for _ in 0..2 {
        alice.conversation.next_line();
    }
    alice.write_line("I am alice");
    check_message(&bob.receive(), "I am alice");
    check_message(&read_until(&mut carol, "<MSGENCD>"), "I am alice");
    if alice_leaves_first {
        alice.end_input();
        assert!(bob.receive().ends_with("|\nalice<EXTENCD>"));
        assert!(read_until(&mut carol, EXIT).ends_with("|\nalice<EXITENCD>"));
        drop((bob, carol));
    } else {
        bob.leave("bob");
        alice.conversation.wait_for("bob has left the chat...");
        send(&mut carol, goodbye("carol"));
        alice.conversation.wait_for("carol has left the chat...");
        alice.end_input();
    }
    assert_eq!(alice.exit_code(), 0);
    alice.conversation.rest();
    let lines = &alice.conversation.seen;
    assert_eq!(
        (messages_of("bob", lines), messages_of("carol", lines)),
        (vec!["I am bob"], vec!["I am carol"])
    );
    assert_eq!(count(lines, "has left"), if alice_leaves_first { 0 } else { 2 });
    assert_eq!(count(lines, "is lost"), 0);
}

#[test]
fn a_member_a_lab_peer_and_a_plain_client_see_each_others_messages_and_goodbyes() {
    for alice_dials_lab in [false, true] {
        for alice_dials_plain in [false, true] {
            for alice_leaves_first in [false, true] {
                check_three(alice_dials_lab, alice_dials_plain, alice_leaves_first);
            }
        }
    }
}

#[test]
fn frames_to_a_lab_peer_are_whole_and_in_order_also_under_load() {
    let mut alice = alice_with("", "");
    let address = alice.address();
    let (mut bob, mut reader) = (lab(connect(address)), connect(address));
    wait_for_connections(&mut alice, 2);
    bob.send_message("bob", "hello");
    alice.conversation.wait_for("bob: hello");
    let lines: Vec<_> = (0..20_000).map(|number| format!("line {number}")).collect();
    let typed = lines.join("\n");
    let reading_text = thread::spawn(move || messages(&read_to_end(&mut reader)));
    let reading_lab = thread::spawn(move || {
        let bytes = read_to_end(&mut bob.stream);
        let mut frames = Vec::new();
        let mut rest = bytes.as_slice();
        while let Some((length, after)) = rest.split_first_chunk() {
            let (payload, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
            frames.push(String::from_utf8(payload.to_vec()).expect("UTF-8"));
            rest = after;
        }
        frames
    });
    alice.write_line(&typed);
    alice.end_input();
    assert_eq!(reading_text.join().expect("frames"), lines);
    let frames = reading_lab.join().expect("frames");
    assert_eq!(frames.len(), lines.len() + 1);
    for (frame, line) in frames.iter().zip(&lines) {
        check_message(frame, line);
    }
    assert!(frames[lines.len()].ends_with("|\nalice<EXTENCD>"));
}

// What is sent, however it is cut.

/// A second connection on which a message is shown only after everything that was sent before it on
/// others has been taken in.
struct Barrier {
    stream: TcpStream,
    count: usize,
}

impl Barrier {
    /// Waits for it. Returns what was shown meanwhile.
    fn pass(&mut self, alice: &mut Peer) -> Vec<String> {
        self.count += 1;
        let text = format!("barrier {}", self.count);
        send(&mut self.stream, message("dave", &text));
        let own = shown("dave", &text);
        let lines = std::iter::from_fn(|| alice.conversation.next_line());
        lines.take_while(|line| *line != own).collect()
    }
}

#[test]
fn frames_mean_the_same_cut_at_any_byte() {
    #[track_caller]
    fn check(bytes: &[u8], expected: &[&str]) {
        let mut alice = alice_with("", "");
        let address = alice.address();
        let mut barrier = Barrier { stream: connect(address), count: 0 };
        for cut in 0..bytes.len() {
            let mut bob = connect(address);
            send(&mut bob, &bytes[..cut]);
            let mut lines = barrier.pass(&mut alice);
            send(&mut bob, &bytes[cut..]);
            lines.extend(barrier.pass(&mut alice));
            assert_eq!(lines, expected, "cut after {cut} bytes");
        }
    }
    let (hello, bye) = (message("bob", "<\\MSGENCD> gr\u{fc}n"), goodbye("bob"));
    let (hello_shown, bye_shown) = (shown("bob", "<MSGENCD> gr\u{fc}n"), "bob has left the chat...");
    check((hello.clone() + &hello + &bye).as_bytes(), &[&hello_shown, &hello_shown, bye_shown]);
    let hello_shown = shown("bob", "gr\u{fc}n");
    let hello = lab_frame(message("bob", "gr\u{fc}n").as_bytes());
    let bye = lab_frame(bye.as_bytes());
    check(&[&*hello, &hello, &bye].concat(), &[&hello_shown, &hello_shown, bye_shown]);
}

#[test]
fn frames_mean_the_same_glued_together_in_any_number() {
    for in_lab_framing in [false, true] {
        let mut alice = alice_with("", "");
        let mut bob = connect(alice.address());
        let lines: Vec<_> = (0..5_000).map(|number| format!("line {number}")).collect();
        let frames = lines.iter().map(|line| message("bob", line));
        let frame = |text: String| if in_lab_framing { lab_frame(text.as_bytes()) } else { text.into() };
        let bytes: Vec<_> = frames.chain([goodbye("bob")]).flat_map(frame).collect();
        send(&mut bob, bytes);
        alice.conversation.wait_for("bob has left the chat...");
        assert_eq!(messages_of("bob", &alice.conversation.seen), lines);
    }
}

#[test]
fn codes_that_are_typed_cross_unchanged() {
    let typed = [
        "<MSGENCD>",
        "<EXITENCD>",
        "<EXTENCD><PEERENCD>",
        "<\\MSGENCD> <\\\\\\EXITENCD>",
        "a<MSGENCD>b<AENCD>c<ABCDEFGHENCD>",
        "<ENCD> <ABCDEFGHIENCD> <msgENCD> MSGENCD> <<MSGENCD>>",
        "\\<MSGENCD>\\",
    ];
    let mut alice = alice_with("", "");
    let address = alice.address();
    let (mut bob, mut carol) = (Peer::named("bob", &[address]), lab(connect(address)));
    let mut reader = connect(address);
    carol.send_message("carol", "hello");
    wait_for_members(&mut bob, 1);
    wait_for_connections(&mut alice, 2);
    let lines = [(); 2].map(|()| alice.conversation.next_line().expect("a line"));
    assert!(lines.contains(&"bob has joined".to_owned()) && count(&lines, "carol: hello") == 1, "{lines:?}");
    for text in typed {
        alice.write_line(text);
        let line = bob.conversation.wait_for("] alice: ");
        assert_eq!(line.split_once("alice: ").expect("a message").1, text);
        check_message(&carol.receive(), text);
        bob.write_line(text);
        let line = alice.conversation.wait_for("] bob: ");
        assert_eq!(line.split_once("bob: ").expect("a message").1, text);
        carol.send_message("carol", text);
        assert_eq!(alice.conversation.wait_for("] carol: "), shown("carol", text));
    }
    // What went over the wire as text is one frame for each.
    alice.end_input();
    let text = String::from_utf8(read_to_end(&mut reader)).expect("UTF-8");
    assert_eq!(text.matches("<MSGENCD>").count(), typed.len());
    assert!(text.contains(":\n\t\t<\\MSGENCD><MSGENCD>"), "{text}");
    assert!(text.contains(":\n\t\t<\\\\MSGENCD> <\\\\\\\\EXITENCD><MSGENCD>"), "{text}");
}

/// What is shown of a connection that sends `bytes`, besides its beginning and its end.
#[track_caller]
fn check_shown(bytes: &[u8], expected: &[&str]) {
    let mut alice = alice_with("", "");
    let mut bob = connect(alice.address());
    let peer = bob.local_addr().expect("its address").to_string();
    send(&mut bob, bytes);
    // So that it is no reset that ends it.
    bob.shutdown(std::net::Shutdown::Write).expect("a connection");
    // Then she has understood everything.
    read_to_end(&mut bob);
    alice.end_input();
    let mut lines = alice.conversation.rest();
    lines.pop_if(|line| line.ends_with(" is lost: closed without a goodbye"));
    let lines: Vec<_> = lines.iter().map(|line| undated(&line.replace(&peer, "ADDRESS"))).collect();
    assert_eq!(lines, expected, "of {:?}", String::from_utf8_lossy(bytes));
}

/// A line without the time of a body of another shape, which is now.
fn undated(line: &str) -> String {
    const SENT: &str = "[2026-11-22 06:55:22";
    match line.split_once("] ADDRESS") {
        Some((time, rest)) if time.len() == SENT.len() && time != SENT => format!("[now] ADDRESS{rest}"),
        _ => line.to_owned(),
    }
}

#[test]
fn both_exit_codes_are_understood_in_both_framings() {
    for code in ["<EXITENCD>", "<EXTENCD>"] {
        let frame = goodbye("bob").replace(EXIT, code);
        check_shown(frame.as_bytes(), &["bob has left the chat..."]);
        check_shown(&lab_frame(frame.as_bytes()), &["bob has left the chat..."]);
    }
}

#[test]
fn a_code_in_a_long_first_line_of_a_lab_peer_is_text() {
    let filler = "x".repeat(3_000);
    for text in [format!("{filler}<EXITENCD>x"), format!("{filler}<MSGENCD>[2026] carol:\n\t\thi")] {
        let bytes =
            [lab_frame(message("bob", &text).as_bytes()), lab_frame(goodbye("bob").as_bytes())].concat();
        let lines: Vec<_> = text.split('\n').collect();
        let mut expected = vec![shown("bob", lines[0])];
        expected.extend(lines[1..].iter().map(|line| format!("    {}", line.replace('\t', "^I"))));
        expected.push("bob has left the chat...".to_owned());
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        check_shown(&bytes, &expected);
    }
}

#[test]
fn a_line_that_is_typed_by_hand_is_shown_at_its_code() {
    let mut alice = alice_with("", "");
    let address = alice.address();
    for text in ["hello", "  [2026-11-22T06:55:22Z] bob:\n\t\thello", "\r\nhello"] {
        let mut bob = connect(address);
        send(&mut bob, format!("{text}<MSGENCD>"));
        alice.conversation.wait_for("hello");
    }
}

#[test]
fn frames_with_an_unknown_code_are_passed_over() {
    let hello = message("bob", "hello");
    let unknown = ["<AENCD>", "x<ABCDEFGHENCD>"];
    for frame in unknown {
        let text = [frame, &hello, frame, frame, &hello, frame].concat();
        check_shown(text.as_bytes(), &[&shown("bob", "hello"), &shown("bob", "hello")]);
        let (frame, hello) = (lab_frame(frame.as_bytes()), lab_frame(hello.as_bytes()));
        let bytes = [&*frame, &hello, &frame, &frame].concat();
        check_shown(&bytes, &[&shown("bob", "hello")]);
    }
}

#[test]
fn a_body_of_another_shape_is_shown_under_its_address() {
    for (body, expected) in [
        ("hello", &["[now] ADDRESS: hello"] as &[_]),
        ("bob: hello", &["[now] ADDRESS: bob: hello"]),
        ("one\ntwo", &["[now] ADDRESS: one", "    two"]),
        ("\r\nhello\r\n", &["[now] ADDRESS: hello"]),
        ("[yesterday] bob:\n\t\thello", &["[now] ADDRESS: [yesterday] bob:", "    ^I^Ihello"]),
        (
            "[2026-13-22T06:55:22Z] bob:\n\t\thello",
            &["[now] ADDRESS: [2026-13-22T06:55:22Z] bob:", "    ^I^Ihello"],
        ),
        // One without a name is no other shape, and has a time.
        ("[2026-11-22T06:55:22Z] :\n\t\thello", &["[2026-11-22 06:55:22] ADDRESS: hello"]),
        ("[2026-11-22T06:55:22Z]  \u{3164}:\n\t\thello", &["[2026-11-22 06:55:22] ADDRESS: hello"]),
        ("[2026-11-22T06:55:22Z] bob: hello", &["[now] ADDRESS: [2026-11-22T06:55:22Z] bob: hello"]),
        ("", &[]),
        ("\r\n\n", &[]),
    ] {
        let frame = format!("{body}<MSGENCD>");
        check_shown(frame.as_bytes(), expected);
        check_shown(&lab_frame(frame.as_bytes()), expected);
    }
    // In lab framing a length is enough.
    check_shown(&lab_frame(b"no code"), &["[now] ADDRESS: no code"]);
}

#[test]
fn line_breaks_between_frames_that_are_typed_by_hand_mean_nothing() {
    let bytes = message("bob", "one") + "\r\n" + &message("bob", "two") + "\n\n" + &goodbye("bob") + "\n";
    check_shown(bytes.as_bytes(), &[&shown("bob", "one"), &shown("bob", "two"), "bob has left the chat..."]);
}

#[test]
fn times_are_shown_as_local_time() {
    let mut alice = alice_with("TZ=TST-5:30", "");
    let mut bob = connect(alice.address());
    for (time, expected) in [
        ("2026-11-22T06:55:22.756724+01:00", "2026-11-22 11:25:22"),
        ("2026-11-22T06:55:22+01:00", "2026-11-22 11:25:22"),
        ("2026-11-22T06:55:22Z", "2026-11-22 12:25:22"),
        ("2026-11-22T22:55:22.5-03:30", "2026-11-23 07:55:22"),
        // Without an offset it is local time already.
        ("2026-11-22T06:55:22.756724", "2026-11-22 06:55:22"),
        ("2026-11-22T06:55:22", "2026-11-22 06:55:22"),
        ("2026-11-22 06:55:22", "2026-11-22 06:55:22"),
        ("2026-11-22T12:25:22", "2026-11-22 12:25:22"),
        ("2026-11-22T06:55:22Z", "2026-11-22 12:25:22"),
        // No date makes it fail.
        ("0000-01-01T00:00:00+23:59", "-0001-12-31 05:31:00"),
        ("9999-12-31T23:59:59-23:59", "+10000-01-02 05:28:59"),
    ] {
        send(&mut bob, format!("[{time}] bob:\n\t\thello<MSGENCD>"));
        assert_eq!(alice.conversation.next_line(), Some(format!("[{expected}] bob: hello")), "of {time}");
    }
    // Ours is written with the offset.
    alice.write_line("hello");
    let frame = read_until(&mut bob, "<MSGENCD>");
    assert!(frame.contains("+05:30] alice:\n\t\thello"), "{frame}");
}

#[test]
fn bytes_that_are_not_utf8_are_shown_as_replacement_characters() {
    let frame = |text: &[u8]| [b"[2026-11-22T06:55:22Z] bob:\n\t\t", text, b"<MSGENCD>"].concat();
    for (text, expected) in [
        (b"a\xffb".as_slice(), "a\u{fffd}b"),
        (b"\xc3", "\u{fffd}"),
        (b"gr\xc3\xbcn", "gr\u{fc}n"),
        (b"\xf0\x9f\xa6", "\u{fffd}"),
        (b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}"),
        (b"\xc0\xaf", "\u{fffd}\u{fffd}"),
    ] {
        check_shown(&frame(text), &[&shown("bob", expected)]);
        check_shown(&lab_frame(&frame(text)), &[&shown("bob", expected)]);
    }
    check_shown(b"[2026-11-22T06:55:22Z] b\xffb:\n\t\thi<MSGENCD>", &[&shown("b\u{fffd}b", "hi")]);
    check_shown(b"x|\nb\xff<EXITENCD>", &["b\u{fffd} has left the chat..."]);
}

/// Characters that would act on a terminal, hide, or change the order in which others are read.
fn dangerous() -> impl Iterator<Item = char> {
    let ranges = [
        '\0'..='\x1f',
        '\x7f'..='\u{9f}',
        '\u{61c}'..='\u{61c}',
        '\u{200b}'..='\u{200b}',
        '\u{200e}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2060}'..='\u{2064}',
        '\u{2066}'..='\u{2069}',
        '\u{feff}'..='\u{feff}',
        '\u{fff9}'..='\u{fffb}',
        '\u{e0000}'..='\u{e007f}',
    ];
    ranges.into_iter().flatten()
}

#[test]
fn nothing_that_acts_on_a_terminal_is_shown_raw_wherever_it_stands() {
    let mut alice = alice_with("", "");
    let address = alice.address();
    let mut bob = connect(address);
    let mut frames = 0;
    for char in dangerous() {
        // A line break in these places makes it another shape, of two lines.
        for frame in [
            message("bob", &format!("a{char}b")),
            message(&format!("a{char}b"), "hello"),
            format!("a{char}b<MSGENCD>"),
            format!("[2026-11-22T06:55:22Z{char}] bob:\n\t\thello<MSGENCD>"),
        ] {
            send(&mut bob, &frame);
            frames += 1;
        }
    }
    let all: String = dangerous().collect();
    send(&mut bob, message(&all.replace('\n', ""), "hello"));
    send(&mut bob, message("bob", "the last"));
    alice.conversation.wait_for("bob: the last");
    assert!(alice.conversation.seen.len() > frames);
    drop(bob);
    alice.conversation.wait_for("bob is lost: closed without a goodbye");
    // In a goodbye, and in the name of a lost peer.
    for last in [goodbye(&format!("a{all}b")), message(&all.replace('\n', ""), "hello")] {
        send(&mut connect(address), last);
    }
    alice.conversation.wait_for(" has left the chat...");
    alice.conversation.wait_for(" is lost: closed without a goodbye");
    alice.end_input();
    alice.conversation.rest();
    alice.stderr.rest();
    for line in alice.conversation.seen.iter().chain(&alice.stderr.seen) {
        let raw = line.chars().find(|&char| dangerous().any(|dangerous| dangerous == char));
        assert_eq!(raw, None, "in {line:?}");
    }
}

#[test]
fn what_would_act_on_a_terminal_is_made_visible() {
    let frame = |name: &str, text: &str| message(name, text).into_bytes();
    check_shown(&frame("bob", "\x1b[31mred\x07 a\rb"), &[&shown("bob", "^[[31mred^G a^Mb")]);
    check_shown(&frame("b\x1b]0;x\x07", "hi"), &[&shown("\"b^[]0;x^G\"", "hi")]);
    check_shown(&frame("bob", "a\u{202e}b\u{9b}c"), &[&shown("bob", "a\u{fffd}b\u{fffd}c")]);
    check_shown(&frame("bob", "\u{1f468}\u{200d}\u{1f469}"), &[&shown("bob", "\u{1f468}\u{200d}\u{1f469}")]);
    let bye = "x|\n\x1b[2Jb\nalice: hello\u{202e}<EXITENCD>";
    // A name holds no line break.
    check_shown(bye.as_bytes(), &["ADDRESS has left the chat..."]);
    let bye = "x|\n\x1b[2Jb alice: hello\u{202e}<EXITENCD>";
    check_shown(bye.as_bytes(), &["\"^[[2Jb alice: hello\u{fffd}\" has left the chat..."]);
}
