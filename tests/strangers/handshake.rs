//! The handshake as strangers meet it, and the records behind it: what is cut, changed, repeated or put between.
//!
//! In a private group nothing is ever answered to somebody without the secret. In an open group, whoever has begun a
//! handshake is a member or nobody: never a plain peer, which would be sent the log as plain text.

use std::time::Duration;

use groupchat::limits::{
    FRAME_TIMEOUT, HANDSHAKE_FRAME_BYTES_MAX, HANDSHAKE_TIMEOUT, PLAIN_WAIT_MAX, PLAIN_WAIT_MIN,
    RECORD_TEXT_BYTES_MAX, UNFINISHED_BYTES_MAX, VISITORS_INTERVAL,
};
use groupchat::protocol::roster::Standing;
use groupchat::protocol::{ClientId, Diagnostic, Event, LostReason};
use groupchat::seal::{Handshake, Refused, Secret, Step};
use groupchat::wire::frame::Framing;

use super::alice::*;
use super::{at, told_of_connections};

/// The messages of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    First,
    /// Alice receives it if she has dialled.
    Second,
    Third,
}

const PARTS: [Part; 3] = [Part::First, Part::Second, Part::Third];

/// A connection on which Alice is about to receive a part of a handshake. Her log has a line that is sent to plain peers.
struct Before {
    alice: Alice,
    client: ClientId,
    /// The frame with that part, as it is to arrive.
    frame: Vec<u8>,
}

/// A frame in text framing, or the same one in lab framing.
fn in_framing(frame: &str, framing: Framing) -> Vec<u8> {
    match framing {
        Framing::Text => frame.as_bytes().to_vec(),
        Framing::Lab => [&(frame.len() as u16).to_be_bytes()[..], frame.as_bytes()].concat(),
    }
}

/// The body of the peer frame that Alice has written.
fn body_of(written: &[u8], framing: Framing) -> String {
    split_frame(if framing == Framing::Lab { &written[2..] } else { written }).0
}

/// Whoever is at the other end has the right secret. It and Alice begin in `framing`.
fn before(part: Part, is_private: bool, framing: Framing) -> Before {
    let named = if part == Part::Second { peers(&[address(2, 5000)]) } else { Vec::new() };
    let mut alice = Alice::start(Start { framing: Some(framing), peers: named, is_private, place: 1 });
    let mut keys = alice.keys(2);
    let client = if part == Part::Second { alice.answer().0 } else { alice.accept(address(2, 1000)) };
    alice.group.broadcast("a line of the log", at());
    let body = match part {
        Part::First => Handshake::dial(&mut keys).1,
        Part::Second => {
            let first = body_of(&alice.hear_bytes(client, b""), framing);
            let step = Handshake::accept().receive(&first, &mut keys);
            let Ok(Step::Reply(body)) = step else { panic!("{step:?}") };
            body
        }
        Part::Third => {
            let (mut handshake, first) = Handshake::dial(&mut keys);
            let second =
                body_of(&alice.hear_bytes(client, &in_framing(&peer_frame(&first), framing)), framing);
            let step = handshake.receive(&second, &mut keys);
            let Ok(Step::Sealed { reply: Some(body), .. }) = step else { panic!("{step:?}") };
            body
        }
    };
    Before { alice, client, frame: in_framing(&peer_frame(&body), framing) }
}

/// How a stranger's last byte is followed.
#[derive(Clone, Copy, Debug)]
enum End {
    Silence,
    Closed,
}

/// Whether an event shows that somebody is there, or was.
fn is_of_somebody(event: &Event) -> bool {
    match event {
        Event::Diagnostic(diagnostic) => {
            matches!(diagnostic, Diagnostic::Accepted { .. } | Diagnostic::Assumed { .. })
        }
        _ => true,
    }
}

impl Before {
    /// Alice receives these bytes.
    fn receive(&mut self, bytes: &[u8]) {
        self.alice.group.handle_bytes(self.client, bytes, self.alice.now);
        self.alice.settle();
    }

    /// Alice receives the frame.
    fn receive_frame(&mut self) {
        let frame = std::mem::take(&mut self.frame);
        self.receive(&frame);
    }

    /// Nothing more comes. From then on, Alice has nobody there, and has not written a byte.
    #[track_caller]
    fn check_nobody(mut self, end: End, what: &str) {
        if let (End::Closed, true) = (end, self.alice.is_open(self.client)) {
            self.alice.close(self.client);
        }
        self.alice.pass(PLAIN_WAIT_MAX);
        let plain = self.alice.group.roster().into_iter().find(|one| one.standing == Standing::Plain);
        assert!(plain.is_none(), "a plain peer: {what}");
        self.alice.pass(HANDSHAKE_TIMEOUT);
        assert!(!self.alice.is_open(self.client), "open: {what}");
        assert_eq!(self.alice.met(), [], "{what}");
        let shown = self.alice.told.iter().find(|event| is_of_somebody(event));
        assert!(shown.is_none(), "{shown:?}: {what}");
        let written: usize = self.alice.written.values().map(Vec::len).sum();
        assert_eq!(written, 0, "bytes written: {what}");
    }
}

/// In which groups, framings and parts of a handshake something happens.
fn everywhere() -> impl Iterator<Item = (Part, bool, Framing)> {
    let framings = [Framing::Text, Framing::Lab];
    let kinds = [false, true].into_iter().flat_map(move |is_private| framings.map(|it| (is_private, it)));
    kinds.flat_map(|(is_private, framing)| PARTS.map(|part| (part, is_private, framing)))
}

#[test]
fn a_handshake_with_a_changed_byte_is_nobody_s() {
    for (part, is_private, framing) in everywhere() {
        let frame = before(part, is_private, framing).frame;
        for (index, byte) in frame.iter().enumerate() {
            let others = [byte ^ 1, byte ^ 8, byte ^ 0x20, byte ^ 0x80, 0, 1];
            for other in others.into_iter().filter(|other| other != byte) {
                let mut before = before(part, is_private, framing);
                before.frame[index] = other;
                before.receive_frame();
                let what = format!("{part:?}, {is_private}, {framing:?}, {index}, {byte} is {other}");
                before.check_nobody(End::Silence, &what);
            }
        }
    }
}

#[test]
fn a_handshake_that_is_cut_anywhere_is_nobody_s() {
    for (part, is_private, framing) in everywhere() {
        let length = before(part, is_private, framing).frame.len();
        // In an open group, whoever has sent nothing may be a plain peer, and so may the length of a lab frame.
        let first = match (is_private || part == Part::Third, framing) {
            (true, _) => 0,
            (false, Framing::Text) => 1,
            (false, Framing::Lab) => 3,
        };
        for (count, end) in (first..length).flat_map(|count| [(count, End::Silence), (count, End::Closed)]) {
            let mut before = before(part, is_private, framing);
            before.frame.truncate(count);
            before.receive_frame();
            before.check_nobody(end, &format!("{part:?}, {is_private}, {framing:?}, {count}, {end:?}"));
        }
    }
}

#[test]
fn a_handshake_with_the_code_of_another_frame_is_nobody_s() {
    for (part, is_private, framing) in everywhere() {
        for code in ["MSG", "EXIT", "PRIV", "NEW"] {
            let mut before = before(part, is_private, Framing::Text);
            before.frame.truncate(before.frame.len() - "<PEERENCD>".len());
            let frame = String::from_utf8(before.frame).expect("text") + &format!("<{code}ENCD>");
            before.frame = in_framing(&frame, framing);
            before.receive_frame();
            before.check_nobody(End::Silence, &format!("{part:?}, {is_private}, {framing:?}, {code}"));
        }
    }
}

/// First frames of private groups, from somebody who does not know the secret.
fn of_wrong_secrets() -> Vec<(&'static str, String)> {
    let frame = |secret| peer_frame(&Handshake::dial(&mut keys(9, secret, 9)).1);
    let zeros = peer_frame(&format!("groupchat/2 private\nnoise {}", "0".repeat(96)));
    vec![
        ("another secret", frame(Some(Secret::new([8; 16])))),
        ("an open group that says it is private", frame(None).replace(" open", " private")),
        ("nothing but zeros", zeros),
    ]
}

/// Other bytes that somebody can send.
fn of_no_private_group() -> Vec<(&'static str, String)> {
    let open = peer_frame(&Handshake::dial(&mut keys(9, None, 9)).1);
    vec![
        ("an open group", open),
        ("another secret, as of an open group", of_wrong_secrets()[0].1.replace(" private", " open")),
        ("a later frame", peer_frame(&format!("groupchat/2\nnoise {}", "0".repeat(192)))),
        ("a hello", peer_frame(&format!("groupchat/2\n{}", hello(2, "bob")))),
        ("a message", message("bob", "hi")),
        ("a message without a name", "hi<MSGENCD>".into()),
        ("a goodbye", exit("bob")),
        ("a private message", private("0", "bob", "hi")),
        ("a frame of another version", "x<NEWENCD>".into()),
        ("a line", "hello\n".into()),
        ("line breaks", "\r\n\r\n".into()),
        ("HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("SSH", "SSH-2.0-OpenSSH_9.6\r\n".into()),
        ("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03".into()),
        ("control characters", (0..=127_u8).map(char::from).collect()),
        ("half a handshake", "groupchat/2 private\nnoise 00".into()),
        ("no frame at all", "x".repeat(65_000)),
        ("a handshake without an end", format!("groupchat/2 private\nnoise {}", "0".repeat(65_000))),
        ("nothing", String::new()),
    ]
}

/// All that in both framings.
fn without_the_secret() -> Vec<(String, Vec<u8>)> {
    let all = of_wrong_secrets().into_iter().chain(of_no_private_group());
    let framed = |(what, frame): (&str, String)| {
        [Framing::Text, Framing::Lab].map(|it| (format!("{what}, {it:?}"), in_framing(&frame, it)))
    };
    all.flat_map(framed).collect()
}

#[test]
fn a_private_group_answers_nothing_without_the_secret() {
    for (what, bytes) in without_the_secret() {
        for piece in [bytes.len().max(1), 1, 100] {
            for part in [Part::First, Part::Second] {
                let mut before = before(part, true, Framing::Text);
                for piece in bytes.chunks(piece).take(2_000) {
                    if before.alice.is_open(before.client) {
                        before.receive(piece);
                    }
                }
                before.alice.group.rename("al".into());
                before.alice.group.broadcast("another line", at());
                before.check_nobody(End::Silence, &format!("{what}, {part:?}, pieces of {piece}"));
            }
        }
    }
}

#[test]
fn a_private_group_says_no_goodbye_to_strangers() {
    for (what, bytes) in without_the_secret() {
        for part in PARTS {
            let mut before = before(part, true, Framing::Text);
            let count = bytes.len().min(5);
            before.receive(&bytes[..count]);
            before.alice.group.leave(before.alice.now, at(), address(1, 5000));
            before.alice.settle();
            assert!(before.alice.group.has_left(), "{what}, {part:?}");
            before.check_nobody(End::Silence, &format!("{what}, {part:?}"));
        }
    }
}

#[test]
fn of_wrong_secrets_there_is_one_line_a_minute_and_of_plain_peers_none() {
    let mut alice = Alice::start(Start { is_private: true, ..Start::default() });
    for second in 0..180 {
        for (host, all) in [(9, of_wrong_secrets()), (8, of_no_private_group())] {
            for (_, text) in all {
                let client = alice.accept(address(host, 1000 + second));
                alice.hear(client, &text);
                if alice.is_open(client) {
                    alice.close(client);
                }
            }
        }
        alice.pass(Duration::from_secs(1));
    }
    let first = format!("visited 10.0.0.9:1000: {}", LostReason::Refused(Refused::Unverified));
    let told = told_of_connections(&mut alice);
    assert!((2..=4).contains(&told.len()), "{told:?}");
    assert!(told[0] == first && told[1..].iter().all(|line| line.ends_with("more of 10.0.0.9")), "{told:?}");
}

/// In an open group, anybody can make a handshake that does not verify.
#[test]
fn of_handshakes_that_do_not_verify_there_is_one_line_a_minute() {
    let mut alice = Alice::new();
    for port in 1000..1100 {
        let client = alice.accept(address(9, port));
        let first = alice.first_frame(9);
        let (front, last) = first.split_at(first.len() - "0<PEERENCD>".len());
        let last = if last.starts_with('0') { "1<PEERENCD>" } else { "0<PEERENCD>" };
        assert_eq!(alice.hear(client, &(front.to_owned() + last)), "");
        assert!(!alice.is_open(client));
    }
    alice.pass(VISITORS_INTERVAL);
    let why = LostReason::Refused(Refused::Unverified);
    let expected = [format!("visited 10.0.0.9:1000: {why}"), "99 more of 10.0.0.9".into()];
    assert_eq!(told_of_connections(&mut alice), expected);
}

/// Frames that somebody may put between those of a handshake.
fn between() -> [String; 5] {
    [
        message("bob", "put between"),
        exit("bob"),
        private("0", "bob", "put between"),
        peer_frame(&format!("groupchat/2\n{}", hello(2, "bob"))),
        "put between<NEWENCD>".into(),
    ]
}

#[test]
fn what_is_put_between_the_messages_of_a_handshake_ends_it() {
    for (part, is_private, framing) in everywhere() {
        for put in between() {
            let is_message = put.ends_with("<MSGENCD>") || put.ends_with("<EXITENCD>");
            let is_passed_over = put.ends_with("<PRIVENCD>") || put.ends_with("<NEWENCD>");
            let what = format!("{part:?}, {is_private}, {framing:?}, {put}");
            let mut before = before(part, is_private, framing);
            let frame = std::mem::take(&mut before.frame);
            before.receive(&in_framing(&put, framing));
            if !is_private && part != Part::Third && (is_message || is_passed_over) {
                // In an open group, plain peers send messages, and what nobody understands is passed over.
                assert_eq!(before.alice.is_open(before.client), !put.ends_with("<EXITENCD>"), "{what}");
                continue;
            }
            assert!(!before.alice.is_open(before.client), "{what}");
            before.alice.settle();
            before.frame = frame;
            before.check_nobody(End::Silence, &what);
        }
    }
}

/// A plain peer cannot become a member on the same connection.
#[test]
fn a_handshake_behind_a_message_is_not_answered() {
    for part in [Part::First, Part::Second] {
        let mut before = before(part, false, Framing::Text);
        before.receive(message("bob", "hi").as_bytes());
        before.alice.written.clear();
        before.receive_frame();
        assert!(!before.alice.is_open(before.client), "{part:?}");
        assert!(before.alice.written.is_empty(), "{part:?}");
        assert_eq!(before.alice.shown(), ["bob: hi"]);
        assert_eq!(before.alice.met(), []);
    }
}

/// From the last message of the handshake on, there are records and nothing else.
#[test]
fn what_is_put_behind_the_handshake_ends_it() {
    for is_dialled in [false, true] {
        for put in between().into_iter().chain(["\0\x20 thirty-two bytes as of a record.".into()]) {
            for is_at_once in [false, true] {
                let part = if is_dialled { Part::Second } else { Part::Third };
                let mut before = before(part, false, Framing::Text);
                if !is_at_once {
                    before.receive_frame();
                }
                let bytes = [&before.frame[..], put.as_bytes()].concat();
                before.receive(&bytes);
                before.alice.written.clear();
                before.check_nobody(End::Silence, &format!("{put}, dialled: {is_dialled}, {is_at_once}"));
            }
        }
    }
}

// Whole handshakes, in pieces, repeated and reflected.

/// Alice and bob, who has the number 2, with a link that either has dialled.
fn linked(is_dialled: bool, is_private: bool) -> (Alice, ClientId) {
    let named = if is_dialled { peers(&[address(2, 5000)]) } else { Vec::new() };
    let mut alice = Alice::start(Start { peers: named, is_private, ..Start::default() });
    let client = if is_dialled {
        let (client, _) = alice.answer();
        alice.be_met(client, 2, "bob");
        client
    } else {
        alice.meet(address(2, 1000), 2, "bob")
    };
    alice.told.clear();
    (alice, client)
}

/// The four kinds of links: whether Alice has dialled, and whether her group is private.
const KINDS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

#[test]
fn a_handshake_may_come_byte_by_byte() {
    for (part, is_private, framing) in everywhere() {
        let what = format!("{part:?}, {is_private}, {framing:?}");
        let mut before = before(part, is_private, framing);
        let frame = std::mem::take(&mut before.frame);
        let (last, front) = frame.split_last().expect("a frame");
        front.iter().for_each(|byte| before.receive(&[*byte]));
        assert!(before.alice.is_open(before.client), "{what}");
        assert!(before.alice.written.is_empty(), "{what}");
        before.receive(&[*last]);
        assert!(before.alice.is_open(before.client), "{what}");
        assert_eq!(before.alice.written.is_empty(), part == Part::Third, "{what}");
    }
}

#[test]
fn records_may_come_byte_by_byte() {
    for (is_dialled, is_private) in KINDS {
        let (mut alice, bob) = linked(is_dialled, is_private);
        let long = "x".repeat(RECORD_TEXT_BYTES_MAX + 100);
        let text = message("bob", "one") + &message("bob", &long) + &message("bob", "three");
        for byte in alice.sealed(bob, &text) {
            alice.hear_bytes(bob, &[byte]);
        }
        assert_eq!(alice.shown(), ["bob: one".into(), format!("bob: {long}"), "bob: three".into()]);
    }
}

/// The slowest typist is nobody's member, and the fastest one who begins like a handshake no plain peer.
#[test]
fn a_frame_that_begins_like_a_handshake_and_does_not_end_is_closed() {
    for (is_private, framing) in [(false, Framing::Text), (true, Framing::Text), (false, Framing::Lab)] {
        for part in PARTS {
            let text = format!("groupchat/2 open\nnoise {}", "0".repeat(1_000));
            let bytes = in_framing(&text, framing);
            let mut before = before(part, is_private, framing);
            before.receive(&bytes[..HANDSHAKE_FRAME_BYTES_MAX]);
            before.alice.pass(PLAIN_WAIT_MIN);
            assert!(before.alice.is_open(before.client), "{part:?}, {is_private}, {framing:?}");
            before.receive(&bytes[HANDSHAKE_FRAME_BYTES_MAX..=HANDSHAKE_FRAME_BYTES_MAX]);
            assert!(!before.alice.is_open(before.client), "{part:?}, {is_private}, {framing:?}");
            before.check_nobody(End::Silence, &format!("{part:?}, {is_private}, {framing:?}"));
        }
    }
}

#[test]
fn a_hello_may_come_as_late_as_a_handshake_may_take() {
    for (wait, is_in_time) in
        [(HANDSHAKE_TIMEOUT - Duration::from_millis(1), true), (HANDSHAKE_TIMEOUT, false)]
    {
        let mut alice = Alice::new();
        let bob = alice.agree(address(2, 1000), 2);
        alice.pass(wait);
        if alice.is_open(bob) {
            alice.hear_frame(bob, &hello(2, "bob"));
        }
        assert_eq!(alice.is_open(bob), is_in_time);
        assert_eq!(alice.met().len(), usize::from(is_in_time));
    }
}

/// Bob's goodbye.
fn goodbye() -> String {
    peer_frame(&format!("groupchat/2\nleft {} {}", id(2), token(2))) + &exit("bob")
}

/// Everything that bob has sent on a link is sent once more, and a goodbye that did not arrive then.
#[test]
fn a_recorded_connection_says_nothing_a_second_time() {
    for (is_dialled, is_private) in KINDS {
        for piece in [1, usize::MAX] {
            let (mut alice, bob) = linked(is_dialled, is_private);
            alice.hear(bob, &message("bob", "hello"));
            let stream = alice.stream(bob).expect("it is open");
            let recorded = [alice.received[&stream].clone(), alice.sealed(bob, &goodbye())].concat();
            alice.close(bob);
            alice.told.clear();
            let again = if is_dialled { alice.answer().0 } else { alice.accept(address(9, 1000)) };
            alice.written.clear();
            for piece in recorded.chunks(piece.min(recorded.len())) {
                if alice.is_open(again) {
                    alice.group.handle_bytes(again, piece, alice.now);
                    alice.settle();
                }
            }
            let what = format!("dialled: {is_dialled}, private: {is_private}, pieces of {piece}");
            assert!(!alice.is_open(again), "{what}");
            let is_of_member = |event: &&Event| event.peer().is_some_and(|peer| peer.id.is_some());
            assert_eq!(alice.told.iter().find(is_of_member), None, "{what}");
            assert_eq!(alice.shown(), [""; 0], "{what}");
            // In a private group she knows that she has seen the first message. Anybody can make one for an open group.
            let is_answered = alice.written.values().any(|bytes| !bytes.is_empty());
            assert_eq!(is_answered, !is_dialled && !is_private && recorded.len() > piece, "{what}");
        }
    }
}

/// Somebody sends her own bytes back to her, on the connection on which they came.
#[test]
fn a_handshake_that_is_sent_back_is_nobody_s() {
    for part in [Part::Second, Part::Third] {
        for is_private in [false, true] {
            let mut alice = Alice::start(Start {
                peers: if part == Part::Second { peers(&[address(2, 5000)]) } else { Vec::new() },
                is_private,
                ..Start::default()
            });
            let (client, own) = if part == Part::Second {
                let (client, _) = alice.answer();
                (client, alice.hear(client, ""))
            } else {
                let (client, first) = (alice.accept(address(2, 1000)), alice.first_frame(2));
                (client, alice.hear(client, &first))
            };
            assert!(own.ends_with("<PEERENCD>"), "{own}");
            let mut before = Before { alice, client, frame: own.into_bytes() };
            before.receive_frame();
            before.check_nobody(End::Silence, &format!("{part:?}, {is_private}"));
        }
    }
}

/// Whoever she dials dials her, and passes all bytes on. So both ends are hers.
#[test]
fn a_connection_that_leads_back_to_her_is_closed_and_shown_once() {
    for is_private in [false, true] {
        let named = peers(&[address(9, 5000)]);
        let mut alice = Alice::start(Start { peers: named, is_private, ..Start::default() });
        let (hers, _) = alice.answer();
        let passed_on = alice.accept(address(9, 1000));
        let ends = [hers, passed_on].map(|end| (end, alice.stream(end).expect("it is open")));
        for (from, to) in [0, 1].repeat(4).into_iter().map(|from| (ends[from], ends[1 - from])) {
            let bytes = alice.written.remove(&from.1).unwrap_or_default();
            if alice.is_open(to.0) {
                alice.group.handle_bytes(to.0, &bytes, alice.now);
                alice.settle();
            }
        }
        assert!(!alice.is_open(hers));
        alice.close(passed_on);
        let oneself =
            alice.told.iter().filter(|event| matches!(event, Event::Diagnostic(Diagnostic::Oneself { .. })));
        assert_eq!(oneself.count(), 1, "{:?}", alice.told);
        assert_eq!(alice.met(), []);
        assert_eq!(alice.pass_alone(Duration::from_secs(60)), [], "she knows who is there");
    }
}

// Records.

/// Alice receives bytes on a link, and then its end. Bob is lost, and has not left.
#[track_caller]
fn check_lost(alice: &mut Alice, bob: ClientId, bytes: &[u8], shown: &[&str], what: &str) {
    alice.hear_bytes(bob, bytes);
    if alice.is_open(bob) {
        alice.close(bob);
    }
    let mut expected: Vec<_> = shown.iter().map(|text| format!("bob: {text}")).collect();
    expected.push("lost bob".into());
    assert_eq!(told_of_connections(alice), expected, "{what}");
    let bob = alice.group.roster().into_iter().find(|one| one.peer.id == Some(id(2))).expect("bob");
    assert_eq!(bob.standing, Standing::Lost, "{what}");
}

#[test]
fn a_goodbye_with_a_changed_byte_is_a_loss() {
    for (is_dialled, is_private) in KINDS {
        let (mut alice, bob) = linked(is_dialled, is_private);
        let length = alice.sealed(bob, &goodbye()).len();
        for index in 0..length {
            for bit in [0, 7] {
                let (mut alice, bob) = linked(is_dialled, is_private);
                let mut bytes = alice.sealed(bob, &goodbye());
                bytes[index] ^= 1 << bit;
                // The bytes behind it are unchanged.
                bytes.extend(alice.sealed(bob, &goodbye()));
                let what = format!("dialled: {is_dialled}, private: {is_private}, {index}, {bit}");
                check_lost(&mut alice, bob, &bytes, &[], &what);
            }
        }
    }
}

#[test]
fn a_goodbye_that_is_cut_anywhere_is_a_loss() {
    for (is_dialled, is_private) in KINDS {
        let (mut alice, bob) = linked(is_dialled, is_private);
        let length = alice.sealed(bob, &goodbye()).len();
        for count in 0..length {
            let (mut alice, bob) = linked(is_dialled, is_private);
            let bytes = alice.sealed(bob, &goodbye());
            let what = format!("dialled: {is_dialled}, private: {is_private}, {count}");
            check_lost(&mut alice, bob, &bytes[..count], &[], &what);
        }
        alice.hear(bob, "");
    }
    // Nothing is cut.
    let (mut alice, bob) = linked(false, false);
    alice.hear(bob, &goodbye());
    assert_eq!(told_of_connections(&mut alice), ["left bob"]);
}

/// An attack with records by somebody who cannot open them.
#[test]
fn records_that_are_out_of_their_order_end_the_link() {
    type Change = fn(&[Vec<u8>; 3]) -> Vec<u8>;
    let changes: [(&str, Change, &[&str]); 6] = [
        ("swapped", |all| [&all[1][..], &all[0], &all[2]].concat(), &[]),
        ("the first one is missing", |all| [&all[1][..], &all[2]].concat(), &[]),
        ("the second one is missing", |all| [&all[0][..], &all[2]].concat(), &["one"]),
        ("repeated", |all| [&all[0][..], &all[0], &all[2]].concat(), &["one"]),
        ("repeated later", |all| [&all[0][..], &all[1], &all[0]].concat(), &["one", "two"]),
        ("joined", |all| [&all[0][..2], &all[1][2..], &all[2]].concat(), &[]),
    ];
    for (is_dialled, is_private) in KINDS {
        for (what, change, shown) in changes {
            let (mut alice, bob) = linked(is_dialled, is_private);
            let texts = [message("bob", "one"), message("bob", "two"), goodbye()];
            let records = texts.map(|text| alice.sealed(bob, &text));
            let bytes = change(&records);
            let what = format!("{what}, dialled: {is_dialled}, private: {is_private}");
            alice.group.handle_bytes(bob, &bytes, alice.now);
            alice.settle();
            assert!(!alice.is_open(bob), "{what}");
            let mut expected: Vec<_> = shown.iter().map(|text| format!("bob: {text}")).collect();
            expected.push("lost bob".into());
            assert!(alice.was_told(|event| matches!(event, Event::Lost { why: LostReason::Altered, .. })));
            assert_eq!(told_of_connections(&mut alice), expected, "{what}");
        }
    }
}

#[test]
fn her_own_records_sent_back_end_the_link() {
    for (is_dialled, is_private) in KINDS {
        let (mut alice, bob) = linked(is_dialled, is_private);
        alice.group.broadcast("hello", at());
        let own = alice.hear_bytes(bob, b"");
        assert!(!own.is_empty());
        check_lost(&mut alice, bob, &own, &[], &format!("dialled: {is_dialled}, private: {is_private}"));
    }
}

/// The keys of each link are its own, though the two sides are the same.
#[test]
fn a_record_of_another_link_of_the_member_ends_the_link_on_which_it_comes() {
    for is_private in [false, true] {
        let (mut alice, one) = linked(false, is_private);
        let (other, _) = alice.meet_again(address(2, 1001), 2, "linked yes\nresume 0");
        alice.told.clear();
        let bytes = alice.sealed(one, &goodbye());
        alice.hear_bytes(other, &bytes);
        assert_eq!((alice.is_open(one), alice.is_open(other)), (true, false));
        assert_eq!(told_of_connections(&mut alice), [""; 0]);
        // On its own link it is one.
        alice.hear_bytes(one, &bytes);
        assert_eq!(told_of_connections(&mut alice), ["left bob"]);
    }
}

/// A record has an end, and so has all that is kept for those who are no members yet.
#[test]
fn unfinished_records_hold_no_memory_for_ever() {
    let mut alice = Alice::new();
    let bob = alice.meet(address(2, 1000), 2, "bob");
    let begun = [&[0x40, 0x00][..], &[7; 16_000]].concat();
    let mut strangers: Vec<_> = (0..500).map(|port| alice.agree(address(9, 1000 + port), 9)).collect();
    for &stranger in &strangers {
        alice.hear_bytes(stranger, &begun);
    }
    strangers.retain(|stranger| alice.is_open(*stranger));
    let kept = strangers.len() * begun.len();
    assert!(kept <= UNFINISHED_BYTES_MAX && kept > UNFINISHED_BYTES_MAX / 2, "{kept} bytes are kept");
    alice.pass(HANDSHAKE_TIMEOUT);
    strangers.retain(|stranger| alice.is_open(*stranger));
    assert_eq!(strangers.len(), 0);
    alice.hear_bytes(bob, &begun);
    alice.pass(FRAME_TIMEOUT - Duration::from_secs(1));
    assert!(alice.is_open(bob));
    alice.pass(Duration::from_secs(1));
    assert!(!alice.is_open(bob));
}

// Plain peers of an open group.

#[test]
fn whoever_types_by_hand_is_a_plain_peer() {
    for typed in ["hello", "g", "groupchat is not hard to type", "roupchat/2", " groupchat/2"] {
        let mut alice = Alice::new();
        let client = alice.accept(address(2, 1000));
        alice.group.broadcast("to whoever is here", at());
        let pause = PLAIN_WAIT_MIN / 8;
        let mut written = String::new();
        for byte in (typed.to_owned() + "<MSGENCD>").bytes() {
            written += &alice.hear(client, char::from(byte).to_string().as_str());
            alice.pass(pause);
        }
        written += &alice.hear(client, "");
        assert_eq!(alice.shown(), [format!("10.0.0.2:1000: {}", typed)]);
        assert!(written.contains("to whoever is here<MSGENCD>"), "{typed}: {written}");
    }
    // One that only listens.
    let mut alice = Alice::new();
    let client = alice.accept(address(2, 1000));
    alice.group.broadcast("to whoever is here", at());
    assert_eq!(alice.hear(client, ""), "", "it may begin a handshake");
    alice.pass(PLAIN_WAIT_MIN);
    assert!(alice.hear(client, "").contains("to whoever is here<MSGENCD>"));
}

/// A reported address may be anybody's, and the log is not for anybody.
#[test]
fn where_a_member_was_reported_there_is_a_member_or_nobody() {
    for is_private in [false, true] {
        for (what, text) in of_no_private_group() {
            let mut alice = Alice::start(Start { is_private, ..Start::default() });
            let bob = alice.meet(address(2, 1000), 2, "bob");
            alice.hear_frame(bob, &format!("member {} 0 10.0.0.3:5000 carol", entry(3)));
            let (client, _) = alice.answer();
            alice.group.broadcast("a line of the log", at());
            let first = alice.hear(client, "");
            assert!(first.starts_with("groupchat/2 ") && first.ends_with("<PEERENCD>"), "{first}");
            let stream = alice.stream(client).expect("it is open");
            assert_eq!(alice.hear(client, &text), "", "{what}");
            alice.pass(PLAIN_WAIT_MAX);
            let plain = alice.group.roster().into_iter().find(|one| one.standing == Standing::Plain);
            assert!(plain.is_none(), "{what}");
            alice.pass(HANDSHAKE_TIMEOUT);
            assert!(!alice.is_open(client), "{what}");
            assert_eq!((alice.shown(), alice.written.get(&stream)), (Vec::new(), None), "{what}");
        }
    }
}
