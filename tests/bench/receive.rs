//! Many messages from many senders, until all of them are on standard output: what each costs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ChildStdout;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use chrono::{DateTime, FixedOffset, SecondsFormat, TimeDelta};
use memchr::memchr_iter;

use super::pairs::{self, PAIRS};
use super::process::{self, Output, PATIENCE, Process, wait_readable};
use super::table::Line;
use super::trouble::{Doing, Result, Trouble};

const SENDERS: usize = 8;
const MESSAGES_EACH: usize = 80_000;
const MESSAGES: usize = SENDERS * MESSAGES_EACH;
const RATIO_MAX: f64 = 3.0;

const TEXT: &str = "sixty-four bytes of text, which is about as much as people type.";
const FIRST_MESSAGE_AT: &str = "2026-11-22T06:55:22.756724+01:00";
/// No two messages of a sender have one time, and the second changes now and then.
const BETWEEN_MESSAGES: TimeDelta = TimeDelta::microseconds(100);

/// The senders write their times with an offset, as this program does.
pub fn from_8_senders() -> Result<Vec<Line>> {
    let work = format!("receiving 640,000 messages from {SENDERS} senders, CPU per message");
    receive(&work, &|time| time.to_rfc3339_opts(SecondsFormat::Micros, false))
}

/// The senders write their times without an offset, as the exercise's program does.
pub fn from_8_senders_without_offsets() -> Result<Vec<Line>> {
    let work = format!("the same from {SENDERS} senders whose times have no offset, CPU per message");
    receive(&work, &|time| time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string())
}

/// Writes a time as a sender does.
type Stamp<'a> = &'a dyn Fn(DateTime<FixedOffset>) -> String;

fn receive(work: &str, stamp: Stamp<'_>) -> Result<Vec<Line>> {
    let conversations = (0..SENDERS).map(|sender| conversation(sender, stamp));
    let conversations: Vec<Arc<[u8]>> = conversations.collect::<Result<Vec<_>>>()?;
    let figures = pairs::measure(PAIRS, "ns", |subject| {
        process::with(subject, &["read", &SENDERS.to_string()], Output::Pipe, |process| {
            Ok(receive_cpu_ns(process, &conversations)? as f64 / MESSAGES as f64)
        })
    })?;
    Ok(vec![Line::ratio(work, "ns", figures, RATIO_MAX)])
}

/// The processor time until everything that was sent is on standard output.
fn receive_cpu_ns(process: &mut Process, conversations: &[Arc<[u8]>]) -> Result<u64> {
    let mut output = process.take_output();
    let streams = process.connect_many(SENDERS)?;
    let before = process.proc_files().cpu_ns_at_rest()?;
    let senders: Vec<_> = streams.into_iter().zip(conversations).map(send).collect();
    read_all(&mut output)?;
    let after = process.proc_files().cpu_ns_at_rest()?;
    for sender in senders {
        sender.join().expect("a sender does not panic").doing("send to the process")?;
    }
    Ok(after - before)
}

/// Sends from a thread of its own: it waits whenever the process takes nothing. The stream is
/// handed back, so that it stays open until everything is counted.
fn send((mut stream, bytes): (TcpStream, &Arc<[u8]>)) -> JoinHandle<std::io::Result<TcpStream>> {
    let bytes = Arc::clone(bytes);
    thread::spawn(move || {
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(&bytes)?;
        Ok(stream)
    })
}

/// Reads until as many lines have come as messages were sent, and checks that they are whole.
fn read_all(output: &mut ChildStdout) -> Result<()> {
    let give_up = Instant::now() + PATIENCE;
    let mut buffer = vec![0; 256 * 1024];
    let (mut lines, mut bytes) = (0, 0);
    while lines < MESSAGES {
        let what = format!("reading standard output after {lines} lines of {MESSAGES}");
        wait_readable(output, give_up, &what)?;
        let count = output.read(&mut buffer).doing(&what)?;
        if count == 0 {
            return Trouble::wrong(format!("{what}: it ended"));
        }
        lines += memchr_iter(b'\n', &buffer[..count]).count();
        bytes += count;
    }
    let expected = MESSAGES * format!("[2026-11-22 06:55:22] {}: {TEXT}\n", name(0)).len();
    if (lines, bytes) != (MESSAGES, expected) {
        return Trouble::wrong(format!(
            "{lines} lines of {bytes} bytes are on standard output instead of {MESSAGES} lines \
             of {expected} bytes"
        ));
    }
    Ok(())
}

/// Everything that one sender says, ready to be sent.
fn conversation(sender: usize, stamp: Stamp<'_>) -> Result<Arc<[u8]>> {
    let mut time = DateTime::parse_from_rfc3339(FIRST_MESSAGE_AT).doing("read the first time")?;
    let mut bytes = Vec::new();
    for _ in 0..MESSAGES_EACH {
        write!(bytes, "[{}] {}:\n\t\t{TEXT}<MSGENCD>", stamp(time), name(sender)).doing("write a frame")?;
        time += BETWEEN_MESSAGES;
    }
    Ok(bytes.into())
}

fn name(sender: usize) -> String {
    format!("sender{sender}")
}
