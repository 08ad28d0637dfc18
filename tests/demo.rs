//! A short conversation of two people, each at a terminal: played, and printed as both see it at its
//! end. The README shows the same picture, or this fails.

mod support;

use std::fs;
use std::net::{Ipv6Addr, SocketAddrV4, TcpListener};
use std::process::ExitCode;

use groupchat::terminal::layout::{Size, columns_at_most};
use support::PROGRAM;
use support::window::Window;

const SIZE: Size = Size { columns: 44, rows: 20 };

fn main() -> ExitCode {
    // Cargo may only want to know which tests there are.
    if std::env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let Some(picture) = play() else {
        eprintln!(
            "This machine has no address of a private IPv4 network, as the README shows one: not compared."
        );
        return ExitCode::SUCCESS;
    };
    println!("{picture}");
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("a README");
    if readme.contains(&picture) {
        return ExitCode::SUCCESS;
    }
    eprintln!("The README shows another picture.");
    ExitCode::FAILURE
}

fn start(name: &str, port: &str, peers: &[&str]) -> Window {
    // A time that differs from run to run would be in every picture.
    let words = [&[PROGRAM, "-n", name, "--time-format", "12:34", port], peers].concat();
    let window = Window::run(&words, SIZE);
    window.wait_for("listening on [::]:");
    window.wait_for(&format!("{name}> "));
    window
}

/// A free port of as many digits as the one in the picture.
fn free_port() -> String {
    let is_free = |port: &u16| TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port)).is_ok();
    (5000..=9999).find(is_free).expect("a port").to_string()
}

/// What stands behind `start` in a row.
fn behind(window: &Window, start: &str) -> Option<String> {
    let rows: Vec<String> = window.look(|screen| screen.rows(0, SIZE.columns as u16).collect());
    rows.iter().find_map(|row| row.strip_prefix(start)).map(|rest| rest.trim_end().to_owned())
}

/// Types a line, and waits until the other has it.
fn type_line(peer: &mut Window, line: &str, other: &Window, seen: &str) {
    peer.press(line);
    peer.press("\r");
    other.wait_for(seen);
}

/// `None` where the first screen is not as on most machines.
fn play() -> Option<String> {
    let port = free_port();
    let mut alice = start("alice", &port, &[]);
    let own_address = behind(&alice, "  groupchat 0 ").expect("how others join");
    let own_ip = own_address.parse::<SocketAddrV4>().ok()?.ip().to_string();
    behind(&alice, "others in this network ")?;
    let mut bob = start("bob", "0", &[&port]);
    let bobs_port = behind(&bob, "listening on [::]:").expect("an address");
    alice.wait_for("bob has joined");
    bob.wait_for("here: alice");
    type_line(&mut bob, "hello alice", &alice, "hello alice");
    type_line(&mut alice, "hi! \u{1f44b} no server anywhere?", &bob, "anywhere?");
    type_line(&mut bob, "none. one address is enough", &alice, "enough");
    // She types while others talk, and her line stays whole.
    alice.press("and my line is not torn while you wr");
    alice.wait_for_rows(&["alice> and my line is not torn while you wr|"]);
    type_line(&mut bob, "/me types fast", &alice, "* bob types fast");
    type_line(&mut bob, "/msg alice psst: lunch?", &alice, "lunch?");
    alice.wait_for_rows(&["alice> and my line is not torn while you wr|"]);
    bob.press("one more thi");
    bob.wait_for_rows(&["bob> one more thi|"]);
    let titles = ["$ groupchat -n alice 5000", "$ groupchat -n bob 0 5000"];
    // What differs from machine to machine and from run to run.
    let shown = [(own_ip.as_str(), "192.168.1.7"), (&bobs_port, "41723"), (&port, "5000")];
    let sides = [&alice, &bob].map(|window| rows(window, &shown));
    let rule = "\u{2500}".repeat(SIZE.columns + 2);
    let mut picture = format!("\u{250c}{rule}\u{252c}{rule}\u{2510}\n");
    let used = |rows: &Vec<String>| rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
    let count = sides.iter().map(used).max().unwrap_or(0);
    let [left, right] = sides;
    let lines = std::iter::once(titles.map(str::to_owned))
        .chain(left.into_iter().zip(right).take(count).map(|(one, other)| [one, other]));
    for [left, right] in lines {
        picture += &format!("\u{2502} {} \u{2502} {} \u{2502}\n", padded(&left), padded(&right));
    }
    Some(picture + &format!("\u{2514}{rule}\u{2534}{rule}\u{2518}"))
}

/// What a window shows, with its cursor.
fn rows(window: &Window, shown: &[(&str, &str)]) -> Vec<String> {
    window.look(|screen| {
        let (cursor_row, cursor_column) = screen.cursor_position();
        let columns = SIZE.columns as u16;
        let mut rows: Vec<String> = screen.rows(0, columns).map(|row| row.trim_end().to_owned()).collect();
        let row = &mut rows[usize::from(cursor_row)];
        let missing = usize::from(cursor_column).saturating_sub(columns_at_most(row));
        *row += &format!("{}\u{2588}", " ".repeat(missing));
        for (this, shown) in shown {
            rows.iter_mut().for_each(|row| *row = row.replace(this, shown));
        }
        rows
    })
}

fn padded(text: &str) -> String {
    format!("{text}{}", " ".repeat(SIZE.columns.saturating_sub(columns_at_most(text))))
}
