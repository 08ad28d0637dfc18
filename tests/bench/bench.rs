//! `cargo bench`: how fast and how small the program is, as one Markdown table on standard output.
//!
//! A figure that depends on the machine stands beside a floor: the least loop that moves the same
//! bytes, run as a child process in the same arrangement, in turns with the program. The ratio of
//! the two is what counts.
//!
//! `cargo bench -- NAME` measures only the rows whose name contains NAME. Those that count bytes in
//! memory are the same in every build: `cargo test --bench bench -- --bench joining` needs no optimised one.
//!
//! This is a benchmark and never a test: a missed limit is a word in the table. It fails only when
//! the program did not do the work, for what was delivered is counted.

mod burst;
mod floor;
mod handshakes;
mod idle;
mod joining;
mod member;
mod one_line;
mod pairs;
mod proc_files;
mod process;
mod readers;
mod receive;
mod sealed_floor;
mod short_connections;
mod start;
mod table;
mod terminal;
mod trouble;

use std::process::ExitCode;

use table::Line;
use trouble::{Result, Trouble};

/// Measures something, and gives its lines of the table.
type Work = fn() -> Result<Vec<Line>>;

/// What is measured, in the order of the table: a name to choose it by (`cargo bench -- receive` measures all whose
/// name holds that), and the work.
const ROWS: [(&str, Work); 18] = [
    ("burst to 64 readers", burst::to_64_readers),
    ("burst to 8 readers", burst::to_8_readers),
    ("one line to 64 readers", one_line::to_64_readers),
    ("receive from 8 senders", receive::from_8_senders),
    ("receive from 8 senders without offsets", receive::from_8_senders_without_offsets),
    ("sealed burst to 64 members", burst::to_64_members),
    ("sealed line to 64 members", one_line::to_64_members),
    ("sealed receive from 8 members", receive::from_8_members),
    ("handshakes", handshakes::both_ends),
    ("short connections", short_connections::one_line_each),
    ("a terminal", terminal::with_somebody_at_it),
    ("a long draft", terminal::with_a_long_draft),
    ("idle connections", idle::connections),
    ("sealed idle links", idle::links),
    ("accepts among members", idle::accepts_among_members),
    ("start", start::until_accepting),
    ("size", start::size),
    ("joining", joining::costs),
];

/// What takes too long to be measured unless it is named.
const ON_REQUEST: [(&str, Work); 1] = [("mesh of 1,000", joining::large_mesh)];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == floor::ARGUMENT) {
        return floor::main(&arguments[1..]);
    }
    // Cargo passes this to `cargo bench` only; `cargo test --all-targets` runs us too, without it.
    if !arguments.iter().any(|argument| argument == "--bench") {
        eprintln!("Nothing is measured: this is run by `cargo bench`.");
        return ExitCode::SUCCESS;
    }
    if cfg!(debug_assertions) {
        eprintln!("This is not an optimised build: the figures mean little.");
    }
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-'));
    let wanted = wanted.map_or("", String::as_str);
    measure(wanted)
}

/// Measures every row whose name contains `wanted` and prints the table. Without one, all but those
/// that are measured on request.
fn measure(wanted: &str) -> ExitCode {
    let mut lines = Vec::new();
    let mut exit = ExitCode::SUCCESS;
    let on_request = ON_REQUEST.iter().filter(|_| !wanted.is_empty());
    for (name, work) in ROWS.iter().chain(on_request).filter(|(name, _)| name.contains(wanted)) {
        eprintln!("{name}");
        match work() {
            Ok(measured) => lines.extend(measured),
            Err(Trouble::NotHere(reason)) => lines.push(Line::not_here(name, &reason)),
            Err(Trouble::Wrong(reason)) => {
                eprintln!("{name}: {reason}");
                lines.push(Line::wrong(name));
                exit = ExitCode::FAILURE;
            }
        }
    }
    if lines.is_empty() {
        let names: Vec<&str> = ROWS.iter().chain(&ON_REQUEST).map(|(name, _)| *name).collect();
        eprintln!("No row is called {wanted:?}. There are: {}.", names.join(", "));
        return ExitCode::FAILURE;
    }
    print!("{}", table::render(&lines));
    exit
}
