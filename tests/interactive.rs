//! The real program at a terminal, seen as a person sees it.

mod support;

use std::io::Write as _;
use std::mem::ManuallyDrop;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::{env, io};

use groupchat::limits::INTERRUPT_GRACE;
use groupchat::terminal::layout::Size;
use groupchat::terminal::raw_mode::RawModeGuard;
use rustix::process::Signal;
use rustix::termios::Action;
use support::sockets::{EXIT, FreePort, MESSAGE, accept, listen, message, messages, wait_until};
use support::window::Window;
use support::{PROGRAM, Peer, read_to_end, read_until};
use vt100::Screen;

const ALICE: &str = "alice> ";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_Z: &str = "\x1a";
const UP: &str = "\x1b[A";
const LEFT: &str = "\x1b[D";

/// A peer called alice in a window, and the plain peer that it dialled, of which nothing is known.
fn connected(size: Size) -> (Window, TcpStream) {
    connected_with(size, &[])
}

fn connected_with(size: Size, options: &[&str]) -> (Window, TcpStream) {
    let (listener, address) = listen();
    let address = address.to_string();
    let plain: &[&str] = if options.contains(&"--color=always") { &[] } else { &["--color=never"] };
    let words = [&[PROGRAM, "-n", "alice", "--framing", "text"], plain, options, &["0", &address]].concat();
    let window = Window::run(&words, size);
    let stream = accept(&listener);
    window.wait_for("connected to");
    window.wait_for_rows(&["alice> |"]);
    (window, stream)
}

fn send_message(stream: &mut TcpStream, name: &str, text: &str) {
    stream.write_all(message(name, text).as_bytes()).expect("a peer that reads");
}

#[track_caller]
fn check_sent(stream: &mut TcpStream, expected: &str) {
    assert_eq!(messages(read_until(stream, MESSAGE).as_bytes()), [expected]);
}

#[track_caller]
fn leave(mut window: Window, mut stream: TcpStream) {
    window.press(CTRL_D);
    let bytes = read_to_end(&mut stream);
    assert!(bytes.ends_with(format!("|\nalice{EXIT}").as_bytes()), "{}", String::from_utf8_lossy(&bytes));
    stream.shutdown(Shutdown::Both).expect("a connection");
    assert_eq!(window.exit_code(), 0);
    window.check_settings();
}

/// Leaves a window in which a shell has changed settings or began the peer.
fn leave_unchecked(mut window: Window, mut stream: TcpStream) {
    window.press(CTRL_D);
    read_to_end(&mut stream);
    stream.shutdown(Shutdown::Both).expect("a connection");
    assert_eq!(window.exit_code(), 0);
}

#[test]
fn a_user_without_peers_leaves_a_terminal_with_success() {
    let nobody = FreePort::new();
    for peers in [&[][..], &[nobody.number().as_str()]] {
        let mut window = Window::run(&[&[PROGRAM, "-n", "alice", "0"], peers].concat(), Size::new(80, 24));
        window.wait_for("alice> ");
        window.press("hello\r");
        window.wait_for("alice: hello");
        window.press(CTRL_D);
        window.wait_for("nobody was reached: the message is lost");
        assert_eq!(window.exit_code(), 0);
    }
}

#[test]
fn typed_text_is_shown_and_sent_with_enter() {
    let (mut window, mut stream) = connected(Size::new(80, 24));
    window.press("helo");
    window.wait_for_rows(&["alice> helo|"]);
    window.press("\x7flo\x1b[Hoh, ");
    window.wait_for_rows(&["alice> oh, |hello"]);
    window.press("\r");
    check_sent(&mut stream, "oh, hello");
    window.wait_until("the message, and an empty line", |screen| {
        let text = screen.contents();
        text.contains("] alice: oh, hello\n") && text.trim_end().ends_with("alice>")
    });
    leave(window, stream);
}

#[test]
fn the_line_stays_whole_below_a_thousand_messages() {
    let (mut window, mut stream) = connected(Size::new(80, 24));
    let mut random = fastrand::Rng::with_seed(7);
    let words = ["one ", "two ", "\u{e9}t\u{e9} ", "\u{65e5}\u{672c} ", "\u{1f980} ", "e\u{301} "];
    let mut typed = String::new();
    let mut sent = 0;
    while sent < 1_000 {
        for _ in 0..random.usize(1..40) {
            send_message(&mut stream, "bob", &format!("message {sent}"));
            sent += 1;
        }
        let word = words[random.usize(..words.len())];
        if typed.chars().count() < 60 {
            typed += word;
            window.press(word);
        } else {
            typed.clear();
            // Home and Ctrl+K.
            window.press("\x01\x0b");
        }
        window.wait_for_rows(&[&format!("{ALICE}{typed}|")]);
    }
    window.wait_for(&format!("bob: message {}\nalice> ", sent - 1));
    window.press("\r");
    check_sent(&mut stream, &typed);
    let rows = window.look(|screen| screen.rows(0, 80).collect::<Vec<_>>());
    let numbers = rows.iter().filter_map(|row| row.split_once("bob: message ")?.1.trim().parse().ok());
    let numbers: Vec<usize> = numbers.collect();
    assert!(numbers.len() > 20 && numbers.windows(2).all(|two| two[0] + 1 == two[1]), "{rows:?}");
    leave(window, stream);
}

#[test]
fn a_line_that_is_longer_than_the_window_is_wide_is_broken() {
    let (mut window, mut stream) = connected(Size::new(20, 8));
    window.press("0123456789abc");
    window.wait_for_rows(&["alice> 0123456789abc", "|"]);
    window.press("\u{65e5}\u{672c}\u{8a9e} e\u{301}\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}");
    window.wait_for_rows(&[
        "alice> 0123456789abc",
        "\u{65e5}\u{672c}\u{8a9e} e\u{301}\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}|",
    ]);
    send_message(&mut stream, "bob", "hi");
    window.wait_for("bob: hi");
    window.press(&LEFT.repeat(3));
    window.wait_for_rows(&[
        "alice> 0123456789abc",
        "\u{65e5}\u{672c}\u{8a9e}| e\u{301}\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    ]);
    // A wide character does not fit into the last column.
    window.press("\x01\x0b0123456789ab\u{65e5}");
    window.wait_for_rows(&["alice> 0123456789ab", "\u{65e5}|"]);
    window.press("\x7f");
    window.wait_for_rows(&["alice> 0123456789ab|"]);
    window.press("\x01\x0b");
    window.wait_for_rows(&["alice> |"]);
    leave(window, stream);
}

#[test]
fn a_window_can_be_resized_while_one_types() {
    let (mut window, mut stream) = connected(Size::new(60, 10));
    let typed = "a line that is longer than a narrow window is wide";
    window.press(typed);
    window.wait_for_rows(&[&format!("alice> {typed}|")]);
    window.resize(Size::new(30, 10));
    window.wait_for_rows(&["alice> a line that is longer t", "han a narrow window is wide|"]);
    send_message(&mut stream, "bob", "hi");
    window.wait_for("bob: hi\nalice> a line");
    window.resize(Size::new(40, 6));
    window.wait_for_rows(&["alice> a line that is longer than a narr", "ow window is wide|"]);
    window.resize(Size::new(100, 30));
    window.wait_for_rows(&[&format!("alice> {typed}|")]);
    window.press("!\r");
    check_sent(&mut stream, &format!("{typed}!"));
    leave(window, stream);
}

#[test]
fn a_storm_of_sizes_leaves_one_prompt() {
    for reflows in [true, false] {
        let (listener, address) = listen();
        let words = [PROGRAM, "-n", "alice", "--framing", "text", "--color=never", "0", &address.to_string()];
        let mut window = Window::run_as(&words, Size::new(80, 24), reflows);
        let mut stream = accept(&listener);
        window.wait_for("connected to");
        window.press("a line that is longer than a narrow window is wide ");
        window.wait_for_rows(&["alice> a line that is longer than a narrow window is wide |"]);
        for number in 0..30 {
            window.resize(Size::new(20 + number * 37 % 61, 10 + number * 7 % 15));
            // Left, and something typed: more is to be drawn than the end of the line.
            window.press("\x1b[Dx");
            send_message(&mut stream, "bob", &format!("message {number}"));
        }
        window.resize(Size::new(100, 30));
        window.wait_for("bob: message 29\nalice> ");
        window.press("\x05!");
        let typed = "a line that is longer than a narrow window is wide";
        window.wait_for_rows(&[&format!("alice> {typed}{} !|", "x".repeat(30))]);
        let seen = window.look(Screen::contents);
        assert_eq!(seen.matches("alice>").count(), 1, "{seen}");
        assert_eq!(seen.matches("a line that").count(), 1, "{seen}");
        window.press("\x15");
        leave(window, stream);
    }
}

#[test]
fn no_row_of_a_message_begins_where_messages_begin() {
    let (mut window, mut stream) = connected(Size::new(80, 24));
    // What comes before the text takes 24 cells, so what is behind these would begin the next row.
    let forged = "[06:55] carol: the meeting is at noon";
    send_message(&mut stream, "bob", &format!("{}{forged}", " ".repeat(56)));
    send_message(&mut stream, "bob", &format!("{}{forged}", "-".repeat(56)));
    send_message(&mut stream, "bob", &format!("\n{forged}"));
    send_message(&mut stream, "bob", &format!("http://a.example/{}{forged}", "-".repeat(39)));
    send_message(&mut stream, "bob", &format!("{}carol has left the chat...", " ".repeat(56)));
    send_message(&mut stream, "bob", "end");
    window.wait_for("bob: end\nalice> ");
    let rows = window.look(|screen| screen.rows(0, 80).collect::<Vec<_>>());
    let from = rows.iter().position(|row| row.contains("bob:")).expect("the first message");
    let indented = rows[from..].iter().filter(|row| row.starts_with("    ")).count();
    assert_eq!(indented, 7, "{rows:?}");
    for row in rows[from..].iter().filter(|row| !row.starts_with("    ")) {
        assert!(
            row.is_empty() || row.starts_with("[2026-11-22 06:55] bob: ") || row.starts_with(ALICE),
            "{rows:?}"
        );
    }
    window.press("\x15");
    leave(window, stream);
}

/// Whether a terminal is drawn, or only has lines printed to it.
#[test]
fn rows_are_broken_in_a_terminal_that_nobody_types_at() {
    for kind in ["xterm-256color", "dumb"] {
        let (listener, address) = listen();
        let script = format!("TERM={kind} exec \"$0\" -n alice --stay 0 {address} </dev/null");
        let mut window = Window::run(&["sh", "-c", &script, PROGRAM], Size::new(80, 24));
        let mut stream = accept(&listener);
        window.wait_for("connected to");
        // The date is shown as well.
        send_message(&mut stream, "bob", &format!("{}[06:55] carol: yes", " ".repeat(54)));
        send_message(&mut stream, "bob", "a\tb\n\tc");
        window.wait_for("bob: a       b\n            c");
        window.look(|screen| {
            let text = screen.contents();
            assert!(text.contains("\n    [06:55] carol: yes\n"), "{text}");
        });
        window.resize(Size::new(40, 24));
        let text = "one two three four five six seven";
        support::sockets::wait_until("it knows that the terminal is narrower", || {
            send_message(&mut stream, "bob", text);
            window.look(|screen| screen.contents().contains("bob: one two three\n    four five"))
        });
        window.signal(Signal::TERM);
        read_to_end(&mut stream);
        drop(stream);
        assert_eq!(window.exit_code(), 0);
    }
}

#[test]
fn ctrl_l_scrolls_the_conversation_away() {
    let (mut window, mut stream) = connected(Size::new(80, 6));
    for number in 0..10 {
        send_message(&mut stream, "bob", &format!("message {number}"));
    }
    window.wait_for("message 9\nalice> ");
    window.press("draft\x0c");
    window.wait_until("the line alone", |screen| screen.contents().trim_end() == "alice> draft");
    window.look(|screen| assert_eq!(screen.cursor_position(), (0, 12)));
    send_message(&mut stream, "bob", "more");
    window.wait_for("bob: more\nalice> draft");
    assert!(
        window.scrollback().ends_with("bob: message 8\n[2026-11-22 06:55] bob: message 9\n"),
        "{}",
        window.scrollback()
    );
    assert!(!window.scrollback().contains("alice>"), "{}", window.scrollback());
    window.press("\x15");
    leave(window, stream);
}

#[test]
fn a_paste_of_several_lines_is_one_message() {
    let (mut window, mut stream) = connected(Size::new(80, 30));
    window.press("see: \x1b[200~one\r\n\ttwo\rthree\n\x1b[201~");
    window.wait_for_rows(&["alice> see: one", "^Itwo", "three|"]);
    window.press("\r");
    check_sent(&mut stream, "see: one\n\ttwo\nthree");
    window.wait_for("alice: see: one\n            two\n    three\nalice> ");
    let many = vec!["line"; 21].join("\n");
    window.press(&format!("draft\x1b[200~{many}\x1b[201~"));
    window.wait_for_rows(&[
        "Paste of 21 lines, 104 characters:",
        "\"line\" ... \"line\"",
        "y inserts it, n or Esc drops it. draft|",
    ]);
    window.press("n");
    window.wait_for_rows(&["alice> draft|"]);
    window.press(&format!("\x15\x1b[200~{many}\x1b[201~y\r"));
    check_sent(&mut stream, &many);
    window.press(&format!("\x1b[200~{}\x1b[201~", "x".repeat(70_000)));
    window.wait_for("not pasted: the text has 70000 bytes");
    leave(window, stream);
}

#[test]
fn lines_that_arrive_at_once_need_confirmation() {
    let (mut window, mut stream) = connected(Size::new(40, 10));
    window.press("ls\rrm -r x\r");
    let question = ["Paste of 2 lines, 10 characters:", "\"ls\" ... \"rm -r x\""];
    window.wait_for_rows(&[question[0], question[1], "y inserts it, n or Esc drops it. |"]);
    window.press("\x1b");
    window.wait_for_rows(&["alice> |"]);
    window.press("see: ");
    window.wait_for_rows(&["alice> see: |"]);
    // A terminal that does not mark a paste sends it in pieces.
    let many: Vec<String> = (0..2_000).map(|number| format!("line {number}")).collect();
    window.press(&many.join("\r"));
    window.wait_for_rows(&[
        "Paste of 2,000 lines, 18,889 characters:",
        "\"line 0\" ... \"line 1999\"",
        "y inserts it, n or Esc drops it. see: |",
    ]);
    window.press("y");
    window.wait_for_rows(&["line 1999|"]);
    window.press("\r");
    check_sent(&mut stream, &format!("see: {}", many.join("\n")));
    leave(window, stream);
}

#[test]
fn a_line_break_can_be_typed() {
    let (mut window, mut stream) = connected(Size::new(80, 24));
    // Alt+Enter, and Shift+Enter in two forms.
    window.press("one\x1b\rtwo\x1b[13;2uthree\x1b[27;2;13~four");
    window.wait_for_rows(&["alice> one", "two", "three", "four|"]);
    window.press("\x1b[13u");
    check_sent(&mut stream, "one\ntwo\nthree\nfour");
    leave(window, stream);
}

#[test]
fn what_the_terminal_reports_is_not_typed() {
    let (mut window, mut stream) = connected(Size::new(80, 24));
    window.press("draft");
    for report in ["\x1b[I", "\x1b[M !!", "\x1b[<0;3;4M", "\x1b[24;80R", "\x1b[?62;22c", "\x1bP>|vt(1)\x1b\\"]
    {
        window.press(report);
    }
    window.press("!");
    window.wait_for_rows(&["alice> draft!|"]);
    // This one never ends; later, keys are keys again.
    window.press("\x1b]11;rgb:0000/0000");
    wait_until("a key is typed again", || {
        window.press("?");
        std::thread::sleep(std::time::Duration::from_millis(150));
        window.look(|screen| screen.contents().contains("alice> draft!?"))
    });
    window.press("\x15ok\r");
    check_sent(&mut stream, "ok");
    leave(window, stream);
}

#[test]
fn what_another_program_left_on_is_undone() {
    let (listener, address) = listen();
    let left = "\\033[?1003h\\033[?1006h\\033[?1004h\\033[?1h\\033=\\033[4h\\033[?25l\\033[7;31m\\033[5;9r\\033[?6h\\033[2;1H";
    let script = format!("printf '{left}'; exec \"$0\" -n alice --framing text --color=never 0 {address}");
    let window = Window::run(&["sh", "-c", &script, PROGRAM], Size::new(40, 12));
    let mut stream = accept(&listener);
    window.wait_for_rows(&["alice> |"]);
    // It began where the cursor was.
    window.look(|screen| {
        let rows: Vec<String> = screen.rows(0, 40).collect();
        assert!(rows[5].starts_with("listening on"), "{rows:?}");
    });
    let expected = {
        let (window, stream) = connected(Size::new(40, 12));
        let expected = modes(&window);
        leave(window, stream);
        expected
    };
    assert_eq!(modes(&window), expected);
    // All of the screen scrolls.
    for number in 0..20 {
        send_message(&mut stream, "bob", &format!("message {number}"));
    }
    window.wait_for_rows(&["[2026-11-22 06:55] bob: message 19", "alice> |"]);
    window.look(|screen| {
        let rows: Vec<String> = screen.rows(0, 40).collect();
        assert_eq!(rows[0], "[2026-11-22 06:55] bob: message 9", "{rows:?}");
    });
    leave_unchecked(window, stream);
}

#[test]
fn lines_come_back_and_are_searched_for() {
    let (mut window, mut stream) = connected(Size::new(80, 24));
    for line in ["first line", "second line"] {
        window.press(&format!("{line}\r"));
        check_sent(&mut stream, line);
    }
    window.press(&format!("draft{UP}{UP}"));
    window.wait_for_rows(&["alice> first line|"]);
    window.press("\x1b[B\x1b[B");
    window.wait_for_rows(&["alice> draft|"]);
    window.press("\x12sec");
    window.wait_for_rows(&["(search) sec: |second line"]);
    window.press("x");
    window.wait_for_rows(&["(not found) secx: |second line"]);
    window.press("\x7f\x13");
    window.wait_for_rows(&["(forward not found) sec: |second line"]);
    window.press("\x1b");
    window.wait_for_rows(&["alice> draft|"]);
    window.press("\x13line");
    window.wait_for_rows(&["(forward search) line: first |line"]);
    window.press("\x13\r");
    check_sent(&mut stream, "second line");
    leave(window, stream);
}

#[test]
fn tab_completes_commands_and_names() {
    let (mut window, mut stream) = connected(Size::new(80, 24));
    send_message(&mut stream, "Bobby", "hi");
    window.wait_for("Bobby: hi");
    window.press("bo\t");
    window.wait_for_rows(&["alice> Bobby: |"]);
    window.press("\x15/he\t");
    window.wait_for_rows(&["alice> /help |"]);
    window.press("\r");
    window.wait_for("/quit [TEXT]");
    window.press("ask bob\t");
    window.wait_for_rows(&["alice> ask Bobby |"]);
    window.press("\x15");
    leave(window, stream);
}

/// A peer called alice in a window, and a member called bob.
fn with_member() -> (Window, Peer) {
    let mut bob = Peer::start(&["-n", "bob", "0"]);
    let address = bob.address().to_string();
    let window = Window::start(&["-n", "alice", "--framing", "text", "--color=never", "0", &address]);
    window.wait_for("here: bob");
    bob.conversation.wait_for("alice has joined");
    (window, bob)
}

#[test]
fn a_refused_line_comes_back_and_a_private_one_without_its_slash_needs_confirmation() {
    let (mut window, mut bob) = with_member();
    window.press("/mgs bob sec\r");
    window.wait_for("unknown command /mgs; did you mean /msg?");
    window.wait_for_rows(&["alice> /mgs bob sec|"]);
    window.press("\x15/msg bbo sec\r");
    window.wait_for("nobody is called bbo; did you mean bob?");
    window.wait_for_rows(&["alice> /msg bbo sec|"]);
    window.press("\x15msg bob asked\r");
    window.wait_for("not sent yet: this would go to everybody");
    window.wait_for_rows(&["alice> msg bob asked|"]);
    window.press("\r");
    assert!(bob.conversation.wait_for("asked").ends_with("] alice: msg bob asked"));
    // Only the very same line is confirmed.
    window.press("\\msg bob sec\r");
    window.wait_for_rows(&["alice> \\msg bob sec|"]);
    window.press("!\r");
    window.wait_for_rows(&["alice> \\msg bob sec!|"]);
    window.press("\x15hi /msg bob sec\r");
    window.wait_for_rows(&["alice> hi /msg bob sec|"]);
    window.press("\x15//msg bob escaped\r");
    bob.conversation.wait_for("alice: /msg bob escaped");
    window.press("quit\r");
    window.wait_for("\"quit\" was sent to everybody; /quit or Ctrl+D leaves");
    bob.conversation.wait_for("alice: quit");
    window.press("//who\r");
    assert!(bob.conversation.wait_for("who").ends_with("alice: /who"));
    window.press("  \u{3164}\r");
    window.wait_for("nothing was sent: the message is blank");
    window.press("/CLEAR\r");
    window.wait_until("an empty screen", |screen| screen.contents().trim() == "alice>");
    window.press("/bye\r");
    bob.conversation.wait_for("alice has left");
    assert!(!bob.conversation.seen.iter().any(|line| line.contains("sec")), "{:?}", bob.conversation.seen);
    assert_eq!(window.exit_code(), 0);
}

#[test]
fn a_pasted_command_is_executed_and_pasted_text_is_sent_unchanged() {
    let (mut window, mut bob) = with_member();
    let paste = |text: &str| format!("\x1b[200~{text}\x1b[201~");
    window.press(&paste("/msg bob sec3\rsec4"));
    window.press("\r");
    assert!(bob.conversation.wait_for("sec3").ends_with("private] alice: sec3"));
    bob.conversation.wait_for("    sec4");
    window.press(&paste("\u{feff}\r /msg bob sec5\r"));
    window.press("\r");
    assert!(bob.conversation.wait_for("sec5").ends_with("private] alice: sec5"));
    window.press(&paste("// one comment"));
    window.press("\r");
    assert!(bob.conversation.wait_for("one").ends_with("alice: // one comment"));
    window.press(&paste("// two\rcomments"));
    window.press("\r");
    assert!(bob.conversation.wait_for("two").ends_with("alice: // two"));
    // Two private messages in one paste are not one.
    window.press(&paste("/msg bob sec6\r/msg bob sec6"));
    window.press("\r");
    window.wait_for("a later line begins with /msg");
    window.press("\x15");
    window.press(&paste("/me waves\rand\r/msg bob sec6"));
    window.press("\r");
    window.wait_until("it is asked again", |screen| screen.contents().matches("a later line").count() == 2);
    window.press("\x15");
    window.press(&paste("/who\rsec6"));
    window.press("\r");
    window.wait_for("/who takes one line");
    window.press("\x15");
    window.press(&paste("/name x\rsec6"));
    window.press("\r");
    window.wait_for("/name takes one line");
    window.press("\x03");
    window.wait_for_rows(&["alice> |"]);
    window.press("\x04");
    bob.conversation.wait_for("alice has left");
    assert!(!bob.conversation.seen.iter().any(|line| line.contains("sec6")), "{:?}", bob.conversation.seen);
}

#[test]
fn a_reply_shows_its_recipient_and_recent_senders_are_completed_first() {
    let mut window = Window::start(&["-n", "alice", "--color=never", "--bind=127.0.0.1", "0"]);
    window.wait_for("listening on 127.0.0.1:");
    let text = window.look(|screen| screen.contents());
    let port = text.split("listening on 127.0.0.1:").nth(1).expect("a port").split_whitespace().next();
    let address = format!("127.0.0.1:{}", port.expect("a port"));
    window.press("/reply ");
    window.wait_for("nobody has sent you a private message");
    window.wait_for_rows(&["alice> /reply |"]);
    window.press("\x15");
    let mut carla = Peer::start(&["-n", "carla", "0", &address]);
    carla.conversation.wait_for("alice has joined");
    let mut carol = Peer::start(&["-n", "carol", "0", &address]);
    carol.conversation.wait_for("alice has joined");
    carol.write_line("/msg alice psst");
    window.wait_for("carol: psst");
    carla.write_line("to all");
    window.wait_for("carla: to all");
    window.press("/r ");
    window.wait_for_rows(&["alice> /msg carol |"]);
    window.press("what?\r");
    carol.conversation.wait_for("alice: what?");
    window.press("/rep\t");
    window.wait_for_rows(&["alice> /msg carol |"]);
    // A reply without a name in it is shown with one before it is sent.
    window.press("\x15\x1b[200~/reply pasted\x1b[201~");
    window.wait_for_rows(&["alice> /reply pasted|"]);
    carla.write_line("/msg alice me too");
    window.wait_for("carla: me too");
    window.press("\r");
    window.wait_for("not sent yet: Enter sends this to carla");
    window.wait_for_rows(&["alice> /msg carla pasted|"]);
    window.press("\r");
    carla.conversation.wait_for("alice: pasted");
    window.wait_for_rows(&["alice> |"]);
    window.press("hello @ca\t");
    window.wait_for_rows(&["alice> hello @carla |"]);
    window.press("\t");
    window.wait_for_rows(&["alice> hello @carol |"]);
    carol.write_line("hi");
    window.wait_for("carol: hi");
    window.press("\x15ca\t");
    window.wait_for_rows(&["alice> carol: |"]);
    window.press("\x15\x04");
    assert_eq!(window.exit_code(), 0);
}

#[test]
fn ctrl_c_clears_a_line_and_leaves_on_an_empty_one() {
    let (mut window, mut stream) = connected(Size::new(80, 24));
    window.press("half a line");
    window.wait_for_rows(&["alice> half a line|"]);
    // Twice at once is not meant to leave.
    window.press("\x03\x03");
    window.wait_for("Ctrl+C leaves when the line is empty");
    window.wait_for("still here");
    window.wait_for_rows(&["alice> |"]);
    // It ends a search, too.
    window.press("\x12\x03");
    window.wait_until("it is told twice", |screen| screen.contents().matches("Ctrl+C leaves").count() == 2);
    std::thread::sleep(INTERRUPT_GRACE);
    window.press(CTRL_C);
    assert_eq!(messages(&read_to_end(&mut stream)), [""; 0]);
    stream.shutdown(Shutdown::Both).expect("a connection");
    assert_eq!(window.exit_code(), 0);
    window.check_settings();
    // The shell's prompt stands below the conversation, without ours.
    window.wait_until("no prompt", |screen| !screen.contents().contains("alice>"));
}

#[test]
fn what_is_typed_behind_ctrl_c_is_not_for_the_shell() {
    let (listener, address) = listen();
    let script = format!(
        "\"$0\" -n alice --framing text --color=never 0 {address}; echo over; read line; echo \"<$line>\""
    );
    let mut window = Window::run(&["sh", "-c", &script, PROGRAM], Size::new(80, 24));
    let mut stream = accept(&listener);
    window.wait_for_rows(&["alice> |"]);
    window.press("\x03echo one\recho two\r");
    read_to_end(&mut stream);
    // Still behind it, while the peer waits for the other side.
    window.press("echo three\n");
    stream.shutdown(Shutdown::Both).expect("a connection");
    window.wait_for("over");
    window.press("after\n");
    window.wait_for("<after>");
    assert_eq!(window.exit_code(), 0);
    // What is typed behind Ctrl+D is, as with every program.
    let mut window = Window::run(&["sh", "-c", &script, PROGRAM], Size::new(80, 24));
    let mut stream = accept(&listener);
    window.wait_for_rows(&["alice> |"]);
    window.press(CTRL_D);
    read_to_end(&mut stream);
    window.press("after\n");
    stream.shutdown(Shutdown::Both).expect("a connection");
    window.wait_for("<after>");
}

#[test]
fn a_stopped_peer_gives_the_terminal_back_and_goes_on() {
    let (listener, address) = listen();
    // A shell with job control, as the user's.
    let script = format!(
        "set -m; \"$0\" -n alice --framing text --color=never 0 {address}; echo stopped; read key; fg; exit $?"
    );
    let mut window = Window::run(&["sh", "-c", &script, PROGRAM], Size::new(80, 24));
    let mut stream = accept(&listener);
    window.press("draft");
    window.wait_for_rows(&["alice> draft|"]);
    window.press(CTRL_Z);
    window.wait_for("stopped");
    window.check_settings();
    window.look(|screen| assert!(!screen.contents().contains("alice>"), "{}", screen.contents()));
    send_message(&mut stream, "bob", "are you there?");
    window.press("\n");
    window.wait_for("bob: are you there?");
    window.wait_for_rows(&["alice> draft|"]);
    window.press("\r");
    check_sent(&mut stream, "draft");
    leave(window, stream);
}

#[test]
fn a_peer_started_in_the_background_chats_on_and_can_be_brought_to_the_front() {
    let (listener, address) = listen();
    let script =
        format!("set -m; \"$0\" -n alice --framing text --color=never 0 {address} & read key; fg; exit $?");
    let mut window = Window::run(&["sh", "-c", &script, PROGRAM], Size::new(80, 24));
    let mut stream = accept(&listener);
    send_message(&mut stream, "bob", "are you there?");
    // It is received, and not shown in a terminal that is the shell's.
    read_until(&mut stream, "<PEERENCD>");
    window.check_settings();
    window.press("\n");
    window.wait_for("bob: are you there?");
    window.wait_for_rows(&["alice> |"]);
    window.press("now\r");
    check_sent(&mut stream, "now");
    leave(window, stream);
}

#[test]
fn a_peer_stopped_by_sigstop_continues_where_it_was() {
    let (mut window, mut stream) = connected(Size::new(80, 24));
    window.press("draft");
    window.wait_for_rows(&["alice> draft|"]);
    window.signal(Signal::STOP);
    send_message(&mut stream, "bob", "are you there?");
    window.signal(Signal::CONT);
    window.wait_for("bob: are you there?\nalice> draft");
    window.wait_for_rows(&["alice> draft|"]);
    window.look(|screen| assert_eq!(screen.contents().matches("alice>").count(), 1));
    window.press("\x15");
    leave(window, stream);
}

#[cfg(target_os = "linux")]
#[test]
fn a_peer_stopped_by_sigstop_leaves_the_terminal_to_the_shell() {
    let (listener, address) = listen();
    let script = format!(
        "set -m; \"$0\" -n alice --framing text --color=never 0 {address}; echo stopped; read key; fg; exit $?"
    );
    let mut window = Window::run(&["sh", "-c", &script, PROGRAM], Size::new(80, 24));
    let mut stream = accept(&listener);
    window.press("draft");
    window.wait_for_rows(&["alice> draft|"]);
    let children = format!("/proc/{0}/task/{0}/children", window.pid());
    let children = std::fs::read_to_string(children).expect("a process");
    let peer = children.trim().parse().ok().and_then(rustix::process::Pid::from_raw).expect("one child");
    rustix::process::kill_process(peer, Signal::STOP).expect("it runs");
    window.wait_for("stopped");
    // In the background now, it neither draws nor reads.
    rustix::process::kill_process(peer, Signal::CONT).expect("it is there");
    send_message(&mut stream, "bob", "are you there?");
    window.press("key\n");
    window.wait_for("bob: are you there?");
    window.wait_for_rows(&["alice> draft|"]);
    window.press("\r");
    check_sent(&mut stream, "draft");
    leave(window, stream);
}

#[test]
fn a_peer_without_a_shell_is_not_stopped() {
    let (mut window, stream) = connected(Size::new(80, 24));
    window.press(CTRL_Z);
    window.wait_for("not stopped");
    leave(window, stream);
}

#[test]
fn every_way_to_end_it_leaves_the_terminal_as_it_was() {
    #[track_caller]
    fn check(keys: &str, signal: Option<Signal>, code: Option<u32>) {
        let (mut window, mut stream) = connected(Size::new(80, 24));
        window.press(keys);
        if let Some(signal) = signal {
            window.wait_for(keys);
            window.signal(signal);
        }
        read_to_end(&mut stream);
        // Closing the other side, too, is what it waits for.
        drop(stream);
        let ended = window.exit_code();
        assert!(code.is_none_or(|code| code == ended), "{ended} after {keys:?} and {signal:?}");
        window.check_settings();
        let what = format!("no bracketed paste after {keys:?} and {signal:?}");
        window.wait_until(&what, |screen| !screen.bracketed_paste());
    }
    check(CTRL_D, None, Some(0));
    check(CTRL_C, None, Some(0));
    check("/quit\r", None, Some(0));
    check("/quit so long\r", None, Some(0));
    check("half a line", Some(Signal::INT), Some(0));
    check("half a line", Some(Signal::TERM), Some(0));
    check("half a line", Some(Signal::HUP), Some(0));
    check("half a line", Some(Signal::QUIT), None);
}

/// This program itself is started in a terminal, where it panics.
#[test]
fn a_panic_leaves_the_terminal_as_it_was() {
    const IN_WINDOW: &str = "GROUPCHAT_TEST_PANIC";
    if env::var_os(IN_WINDOW).is_some() {
        let raw_mode = RawModeGuard::new(io::stdin().as_fd(), io::stdout().as_fd()).expect("a terminal");
        // A release build aborts, so nothing is dropped.
        let raw_mode = ManuallyDrop::new(raw_mode);
        assert!(raw_mode.enable());
        println!("taken");
        io::stdin().read_line(&mut String::new()).expect("a terminal");
        panic!("on purpose");
    }
    let this = env::current_exe().expect("this program");
    let this = this.to_str().expect("a readable path");
    let name = "a_panic_leaves_the_terminal_as_it_was";
    let script = format!("{IN_WINDOW}=1 exec \"$0\" --exact {name} --nocapture");
    let mut window = Window::run(&["sh", "-c", &script, this], Size::new(80, 50));
    window.wait_for("taken");
    window.look(|screen| assert!(screen.bracketed_paste()));
    assert_ne!(support::window::settings(&window.device), window.settings_before);
    window.press("\n");
    window.wait_for("on purpose");
    assert_ne!(window.exit_code(), 0);
    window.check_settings();
    window.look(|screen| assert!(!screen.bracketed_paste()));
}

/// Everything that acts on a terminal, in messages and in names, at least a hundred of them.
fn hostile() -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for control in (0..0x20_u8).chain([0x7f]).filter(|byte| *byte != b'\n') {
        all.push(char::from(control).to_string());
    }
    for control in 0x80..=0x9f_u8 {
        all.push(format!("{}2J", char::from(control)));
    }
    for sequence in [
        "[2J",
        "[3J",
        "[H",
        "[1;1H",
        "[10A",
        "[10B",
        "[10C",
        "[10D",
        "[99E",
        "[99F",
        "[5G",
        "[K",
        "[1K",
        "[L",
        "[M",
        "[P",
        "[@",
        "[X",
        "[S",
        "[T",
        "[r",
        "[2;5r",
        "[s",
        "[u",
        "[6n",
        "[5n",
        "[c",
        "[>c",
        "[=c",
        "[0x",
        "[?25l",
        "[?25h",
        "[?1049h",
        "[?47h",
        "[?1000h",
        "[?1003h",
        "[?1006h",
        "[?2004l",
        "[?1h",
        "[?5h",
        "[?6h",
        "[?7l",
        "[4h",
        "[20h",
        "[31m",
        "[1;7m",
        "[38;5;1m",
        "[48;2;1;2;3m",
        "[8m",
        "[!p",
        "[5 q",
        "[22;0t",
        "[8;5;5t",
        "[3g",
        "[?2026h",
        "7",
        "8",
        "=",
        ">",
        "c",
        "D",
        "E",
        "H",
        "M",
        "N",
        "O",
        "Z",
        "#8",
        "(0",
        ")0",
        "%G",
        "%@",
        "n",
        "o",
        "|",
        "}",
        "~",
        "P1$r\x1b\\",
        "Pq#0\x1b\\",
        "]0;title\x07",
        "]2;title\x1b\\",
        "]4;1;red\x07",
        "]8;;http://x\x07",
        "]10;?\x07",
        "]52;c;aGk=\x07",
        "]1337;x\x07",
        "_G\x1b\\",
        "^x\x1b\\",
        "Xx\x1b\\",
        "[200~",
        "[201~",
    ] {
        all.push(format!("\x1b{sequence}"));
    }
    all.extend(
        ["\u{202e}", "\u{2066}", "\u{200b}", "\u{feff}", "\u{2028}", "\r\x1b[K", "\x08\x08\x08"]
            .map(str::to_owned),
    );
    all
}

/// What a sequence could change: all that the emulator knows, but for what is to be seen.
fn modes(window: &Window) -> String {
    window.look(|screen| {
        format!(
            "{:?}",
            (
                screen.alternate_screen(),
                screen.application_keypad(),
                screen.application_cursor(),
                screen.hide_cursor(),
                screen.bracketed_paste(),
                screen.mouse_protocol_mode(),
                screen.mouse_protocol_encoding(),
                (screen.fgcolor(), screen.bgcolor()),
                (screen.bold(), screen.italic(), screen.underline(), screen.inverse()),
            )
        )
    })
}

#[test]
fn nothing_that_others_send_acts_on_the_terminal() {
    let hostile = hostile();
    assert!(hostile.len() >= 100);
    let (mut window, mut stream) = connected(Size::new(80, 24));
    window.press("draft");
    window.wait_for_rows(&["alice> draft|"]);
    let before = modes(&window);
    for (number, sequence) in hostile.iter().enumerate() {
        send_message(&mut stream, &format!("b{sequence}b"), &format!("x{sequence}x {number}"));
        send_message(&mut stream, "bob", &format!("/me {sequence}"));
        send_message(&mut stream, "bob", &format!("end {number}"));
        window.wait_until(&format!("the line whole after {sequence:?}"), |screen| {
            let text = screen.contents();
            let mut rows = text.trim_end().rsplit('\n');
            let (line, last) = (rows.next().unwrap_or_default(), rows.next().unwrap_or_default());
            line == "alice> draft" && last.ends_with(&format!("bob: end {number}"))
        });
        assert_eq!(modes(&window), before, "after {sequence:?}");
        let bytes = String::from_utf8(window.bytes()).expect("UTF-8");
        // The first bytes take the terminal over.
        let (_, bytes) = bytes.split_once("\x1b[?2004h").expect("pastes are marked");
        // All that is sent begins, moves up, erases, or marks pastes.
        let is_ours = |code: &str| {
            code.starts_with(['['])
                && code
                    .trim_start_matches(|char: char| !char.is_ascii_alphabetic())
                    .starts_with(['A', 'J', 'K', 'h'])
        };
        assert!(bytes.split('\x1b').skip(1).all(is_ours), "{sequence:?}");
        assert!(
            !bytes.contains(|char: char| char.is_control() && !"\r\n\x1b".contains(char)),
            "{sequence:?}"
        );
        window.look(|screen| {
            let text = screen.contents();
            // The messages before are still there.
            let earlier = number.checked_sub(1).map(|number| format!("bob: end {number}"));
            assert!(earlier.is_none_or(|earlier| text.contains(&earlier)), "after {sequence:?}:\n{text}");
        });
    }
    window.press("\x15");
    leave(window, stream);
}

/// How often the bell has rung.
fn bells(window: &Window) -> usize {
    window.bytes().iter().filter(|byte| **byte == 0x07).count()
}

#[test]
fn a_mention_is_highlighted_and_rings_the_bell() {
    let (mut window, mut stream) = connected_with(Size::new(80, 24), &["--color=always"]);
    send_message(&mut stream, "bob", "malice and alices are not meant");
    window.wait_for("not meant");
    assert_eq!(bells(&window), 0);
    send_message(&mut stream, "bob", "hello ALICE, not malice");
    window.wait_until("the name stands out", |screen| {
        let rows: Vec<String> = screen.rows(0, 80).collect();
        let row = rows.iter().position(|row| row.contains("ALICE")).unwrap_or(0);
        let Some(column) = rows[row].find("ALICE") else { return false };
        let is_inverse =
            |column: usize| screen.cell(row as u16, column as u16).is_some_and(vt100::Cell::inverse);
        is_inverse(column) && is_inverse(column + 4) && !is_inverse(column - 1) && !is_inverse(column + 5)
    });
    wait_until("the bell rings", || bells(&window) == 1);
    window.press("/name robert\r");
    window.wait_for_rows(&["robert> |"]);
    send_message(&mut stream, "bob", "alice? Robert!");
    window.wait_for("Robert!");
    wait_until("the bell rings", || bells(&window) == 2);
}

#[test]
fn the_bell_and_colors_can_be_left_out() {
    let (window, mut stream) = connected_with(Size::new(80, 24), &["--no-bell"]);
    send_message(&mut stream, "bob", "hello alice");
    window.wait_for("hello alice\nalice> ");
    window.look(|screen| {
        let row = screen.rows(0, 80).position(|row| row.contains("hello alice")).expect("it is shown");
        let first = screen.rows(0, 80).nth(row).and_then(|row| row.find("alice")).expect("it is shown");
        let is_inverse =
            |column: usize| screen.cell(row as u16, column as u16).is_some_and(vt100::Cell::inverse);
        // The name stands out without a colour, too.
        assert!(is_inverse(first) && is_inverse(first + 4) && !is_inverse(first - 1));
    });
    let bytes = String::from_utf8(window.bytes()).expect("UTF-8");
    assert!(!bytes.contains('\x07'));
    // The first bytes take the terminal over, whatever its colours were.
    let (_, bytes) = bytes.split_once("\x1b[?2004h").expect("pastes are marked");
    // A code of a style ends in m; of those, only bold and reverse are used.
    let codes = bytes.split("\x1b[").skip(1).filter_map(|code| {
        let (code, rest) = code.split_at(code.find(char::is_alphabetic)?);
        rest.starts_with('m').then_some(code)
    });
    let codes: std::collections::BTreeSet<_> = codes.collect();
    assert_eq!(codes, ["0", "1;7"].into(), "{bytes:?}");
    leave(window, stream);
}

#[test]
fn a_stopped_terminal_stops_nothing_else_and_counts_the_skipped_lines() {
    let (mut window, mut stream) = connected_with(Size::new(80, 24), &["--time-format=%H:%M:%S"]);
    // The terminal's own way to stop what is shown; Ctrl+S is a key here.
    rustix::termios::tcflow(&window.device, Action::OOff).expect("a terminal");
    let text = "x".repeat(1_000);
    let sent: Vec<_> = (0..4_000).map(|number| message("bob", &format!("{text} {number}"))).collect();
    // All of it is taken, although nothing is shown.
    stream.write_all(sent.concat().as_bytes()).expect("a peer that reads");
    window.press("two\r");
    check_sent(&mut stream, "two");
    support::descriptors::wait_until_idle(window.child.process_id().expect("a process"));
    rustix::termios::tcflow(&window.device, Action::OOn).expect("a terminal");
    window.wait_for("x 3999");
    let shown = String::from_utf8(window.bytes()).expect("UTF-8");
    let (before, _) = shown.split_once(" lines were skipped").expect("a count");
    let skipped: usize = before.rsplit(' ').next().unwrap_or_default().parse().expect("a number");
    let seen = shown.matches("] bob: x").count() + shown.matches("] alice: two").count();
    assert_eq!(seen + skipped, 4_001);
    leave(window, stream);
}

#[test]
fn a_message_of_another_day_carries_its_date() {
    for (options, time) in [(&[][..], "06:55"), (&["--time-format=%H.%M"], "06.55")] {
        let (window, mut stream) = connected_with(Size::new(80, 24), options);
        for day in [22, 23] {
            let frame = message("bob", "hi").replace("2026-11-22", &format!("2001-01-{day}"));
            stream.write_all(frame.as_bytes()).expect("a peer that reads");
        }
        let expected = format!("[2001-01-22 {time}] bob: hi\n[2001-01-23 {time}] bob: hi\nalice>");
        window.wait_until("both days", |screen| screen.contents().contains(&expected));
        leave(window, stream);
    }
}

#[test]
fn every_time_can_be_shown_in_every_format() {
    let (mut window, mut stream) = connected_with(Size::new(80, 24), &["--time-format=%H:%M:%S %z %s"]);
    for time in ["2026-11-22T06:55:22", "2026-03-29T02:30:00", "2026-11-22T06:55:60", "0000-01-01T00:00:00"] {
        let frame = format!("[{time}] bob:\n\t\tat {time}{MESSAGE}");
        stream.write_all(frame.as_bytes()).expect("a peer that reads");
        window.wait_for(&format!("bob: at {time}\n"));
    }
    // A time beyond the years that can be written makes a body without the usual shape.
    stream.write_all(format!("[+10000-01-01T00:00:00] bob:\n\t\tlate{MESSAGE}").as_bytes()).expect("a peer");
    window.wait_for(": [+10000-01-01T00:00:00] bob:\n");
    window.press("still here\r");
    check_sent(&mut stream, "still here");
    leave(window, stream);
}
