//! Many connections that send one line each and close: what each costs, until its line is on standard output.

use std::io::{Read, Write};
use std::process::ChildStdout;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use memchr::memmem;

use super::pairs::{self, PAIRS};
use super::process::{self, Output, PATIENCE, Process, wait_readable};
use super::table::Line;
use super::trouble::{Doing, Result, Trouble};

const CONNECTIONS: usize = 2_000;
/// So many are made at a time.
const SENDERS: usize = 8;
const RATIO_MAX: f64 = 3.0;

const TEXT: &str = "sixty-four bytes of text, which is about as much as people type.";

pub fn one_line_each() -> Result<Vec<Line>> {
    let figures = pairs::measure(PAIRS, "µs", |subject| {
        process::with(subject, &["read-each"], Output::Pipe, |process| {
            Ok(receive_cpu_ns(process)? as f64 / CONNECTIONS as f64 / 1e3)
        })
    })?;
    let work = "2,000 connections that send one line each and close, CPU per connection";
    Ok(vec![Line::ratio(work, "µs", figures, RATIO_MAX)])
}

/// The processor time until every line is on standard output and every connection is closed.
fn receive_cpu_ns(process: &mut Process) -> Result<u64> {
    let mut output = process.take_output();
    let files = process.proc_files();
    let before = files.cpu_ns_at_rest()?;
    let descriptors = files.open_descriptors()?;
    let failed = thread::scope(|scope| -> Result<Option<Trouble>> {
        let (failures, failed) = mpsc::channel();
        for sender in 0..SENDERS {
            let (failures, process) = (failures.clone(), &*process);
            scope.spawn(move || {
                if let Err(trouble) = send(process, sender) {
                    // Nobody listens once the lines have failed to come.
                    let _ = failures.send(trouble);
                }
            });
        }
        read_all(&mut output)?;
        Ok(failed.try_recv().ok())
    })?;
    if let Some(trouble) = failed {
        return Err(trouble);
    }
    let give_up = Instant::now() + PATIENCE;
    while files.open_descriptors()? > descriptors {
        if Instant::now() > give_up {
            return Trouble::wrong("not all connections are closed");
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(files.cpu_ns_at_rest()? - before)
}

/// Makes one connection after the other.
fn send(process: &Process, sender: usize) -> Result<()> {
    let frame = format!("[2026-11-22T06:55:22.756724+01:00] sender{sender}:\n\t\t{TEXT}<MSGENCD>");
    for _ in 0..CONNECTIONS / SENDERS {
        process.connect()?.write_all(frame.as_bytes()).doing("send a line")?;
    }
    Ok(())
}

/// Reads until as many lines with the text have come as there are connections. The program has lines of its own
/// beside them: who is gone.
fn read_all(output: &mut ChildStdout) -> Result<()> {
    let give_up = Instant::now() + PATIENCE;
    let (mut text, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    let finder = memmem::Finder::new(TEXT);
    let mut lines = 0;
    while lines < CONNECTIONS {
        let what = format!("reading standard output after {lines} lines of {CONNECTIONS}");
        wait_readable(output, give_up, &what)?;
        let count = output.read(&mut buffer).doing(&what)?;
        if count == 0 {
            return Trouble::wrong(format!("{what}: it ended"));
        }
        text.extend_from_slice(&buffer[..count]);
        let end = memchr::memrchr(b'\n', &text).map_or(0, |at| at + 1);
        lines += finder.find_iter(&text[..end]).count();
        text.drain(..end);
    }
    Ok(())
}
