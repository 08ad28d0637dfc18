//! A short conversation of two people, each at a terminal: played, and printed as both see it at its
//! end. The README shows the same picture, or this fails.

mod support;

use std::fs;
use std::net::SocketAddr;
use std::process::ExitCode;

use groupchat::terminal::layout::{Size, columns_at_most};
use support::PROGRAM;
use support::window::Window;

const SIZE: Size = Size { columns: 44, rows: 14 };

fn main() -> ExitCode {
    // Cargo may only want to know which tests there are.
    if std::env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let picture = play();
    println!("{picture}");
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("a README");
    if readme.contains(&picture) {
        return ExitCode::SUCCESS;
    }
    eprintln!("The README shows another picture.");
    ExitCode::FAILURE
}

fn start(name: &str, peer: Option<SocketAddr>) -> (Window, u16) {
    let peer = peer.map(|address| address.port().to_string());
    // What differs from run to run would be in every picture.
    let mut words = vec![PROGRAM, "-n", name, "-b", "127.0.0.1", "--time-format", "12:34", "0"];
    words.extend(peer.as_deref());
    let window = Window::run(&words, SIZE);
    window.wait_for("listening on 127.0.0.1:");
    window.wait_for(&format!("{name}> "));
    let text = window.look(|screen| screen.contents());
    let port = text.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('\n').next()).expect("a port");
    (window, port.trim().parse().expect("a number"))
}

/// Types a line, and waits until the other has it.
fn say(who: &mut Window, line: &str, other: &Window, seen: &str) {
    who.press(line);
    who.press("\r");
    other.wait_for(seen);
}

fn play() -> String {
    let (mut alice, port) = start("alice", None);
    let (mut bob, own_port) = start("bob", Some(([127, 0, 0, 1], port).into()));
    alice.wait_for("bob has joined");
    bob.wait_for("alice has joined");
    say(&mut bob, "hello alice", &alice, "hello alice");
    say(&mut alice, "hi! \u{1f44b} no server anywhere?", &bob, "anywhere?");
    say(&mut bob, "none. one address is enough", &alice, "enough");
    // She types while others talk, and her line stays whole.
    alice.press("and my line is not torn while you wr");
    alice.wait_for_rows(&["alice> and my line is not torn while you wr|"]);
    say(&mut bob, "/me types fast", &alice, "* bob types fast");
    say(&mut bob, "/msg alice psst: lunch?", &alice, "lunch?");
    alice.wait_for_rows(&["alice> and my line is not torn while you wr|"]);
    bob.press("one more thi");
    bob.wait_for_rows(&["bob> one more thi|"]);
    let titles = ["$ groupchat -n alice 5000", "$ groupchat -n bob 5001 5000"];
    let ports = [(port, "5000"), (own_port, "5001")];
    let sides = [&alice, &bob].map(|window| rows(window, &ports));
    let rule = "\u{2500}".repeat(SIZE.columns + 2);
    let mut picture = format!("\u{250c}{rule}\u{252c}{rule}\u{2510}\n");
    let [left, right] = sides;
    let lines = std::iter::once(titles.map(str::to_owned))
        .chain(left.into_iter().zip(right).map(|(one, other)| [one, other]));
    for [left, right] in lines {
        picture += &format!("\u{2502} {} \u{2502} {} \u{2502}\n", padded(&left), padded(&right));
    }
    picture + &format!("\u{2514}{rule}\u{2534}{rule}\u{2518}")
}

/// What a window shows, with its cursor, up to the last row that either needs.
fn rows(window: &Window, ports: &[(u16, &str)]) -> Vec<String> {
    window.look(|screen| {
        let (cursor_row, cursor_column) = screen.cursor_position();
        let columns = SIZE.columns as u16;
        let mut rows: Vec<String> = screen.rows(0, columns).map(|row| row.trim_end().to_owned()).collect();
        let row = &mut rows[usize::from(cursor_row)];
        let missing = usize::from(cursor_column).saturating_sub(columns_at_most(row));
        *row += &format!("{}\u{2588}", " ".repeat(missing));
        rows.truncate(ROWS);
        for (port, shown) in ports {
            rows.iter_mut().for_each(|row| *row = row.replace(&port.to_string(), shown));
        }
        rows
    })
}

/// As many as the conversation takes.
const ROWS: usize = 9;

fn padded(text: &str) -> String {
    format!("{text}{}", " ".repeat(SIZE.columns.saturating_sub(columns_at_most(text))))
}
