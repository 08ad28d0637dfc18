//! Many messages from many senders, plain ones or members, until all of them are on standard output: what each costs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ChildStdout;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use chrono::{DateTime, FixedOffset, SecondsFormat, TimeDelta};
use memchr::memchr_iter;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::member::Member;
use super::pairs::{self, PAIRS, Paired};
use super::process::{self, Output, PATIENCE, Process, wait_readable};
use super::table::Line;
use super::trouble::{Doing, Result, Trouble};

const SENDERS: usize = 8;
const MESSAGES_EACH: usize = 80_000;
const MESSAGES: usize = SENDERS * MESSAGES_EACH;
const RATIO_MAX: f64 = 3.0;
const SEALED_RATIO_MAX: f64 = 2.0;

const TEXT: &str = "sixty-four bytes of text, which is about as much as people type.";
const FIRST_MESSAGE_AT: &str = "2026-11-22T06:55:22.756724+01:00";
/// No two messages of a sender have one time, and the second changes now and then.
const BETWEEN_MESSAGES: TimeDelta = TimeDelta::microseconds(100);

/// The senders write their times with an offset, as this program does.
pub fn from_8_senders() -> Result<Vec<Line>> {
    let work = format!("receiving 640,000 messages from {SENDERS} senders, CPU per message");
    receive(&work, &with_offset)
}

/// The senders write their times without an offset, as the exercise's program does.
pub fn from_8_senders_without_offsets() -> Result<Vec<Line>> {
    let work = format!("the same from {SENDERS} senders whose times have no offset, CPU per message");
    receive(&work, &|time| time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string())
}

/// The senders are members, and the floor opens their records.
pub fn from_8_members() -> Result<Vec<Line>> {
    let work = format!("receiving 640,000 sealed messages from {SENDERS} members, CPU per message");
    let figures = measure("open", &with_offset, seal_conversations)?;
    Ok(vec![Line::ratio(&work, "ns", figures, SEALED_RATIO_MAX)])
}

/// Writes a time as a sender does.
type Stamp<'a> = &'a dyn Fn(DateTime<FixedOffset>) -> String;

/// A connection, and what is to be sent on it.
type Sender = (TcpStream, Arc<[u8]>);

/// Connects to the process, with the text that each sender sends.
type Connect = fn(&Process, &[Arc<[u8]>]) -> Result<Vec<Sender>>;

fn with_offset(time: DateTime<FixedOffset>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, false)
}

fn receive(work: &str, stamp: Stamp<'_>) -> Result<Vec<Line>> {
    let figures = measure("read", stamp, |process, conversations| {
        let streams = process.connect_many(SENDERS)?;
        Ok(streams.into_iter().zip(conversations.iter().cloned()).collect())
    })?;
    Ok(vec![Line::ratio(work, "ns", figures, RATIO_MAX)])
}

fn measure(floor: &str, stamp: Stamp<'_>, connect: Connect) -> Result<Paired> {
    let conversations = (0..SENDERS).map(|sender| conversation(sender, stamp));
    let conversations: Vec<Arc<[u8]>> = conversations.collect::<Result<Vec<_>>>()?;
    pairs::measure(PAIRS, "ns", |subject| {
        process::with(subject, &[floor, &SENDERS.to_string()], Output::Pipe, |process| {
            let mut output = process.take_output();
            let senders = connect(process, &conversations)?;
            Ok(receive_cpu_ns(process, &mut output, senders)? as f64 / MESSAGES as f64)
        })
    })
}

/// Joins the group of the process, and seals everything before the first of it is sent.
fn seal_conversations(process: &Process, conversations: &[Arc<[u8]>]) -> Result<Vec<Sender>> {
    let senders = conversations.iter().enumerate().map(|(sender, text)| {
        let mut member = Member::join(process, &name(sender))?;
        let bytes = member.seal(text).into();
        Ok((member.into_parts().0, bytes))
    });
    senders.collect()
}

/// The processor time until everything that was sent is on standard output.
fn receive_cpu_ns(process: &Process, output: &mut ChildStdout, senders: Vec<Sender>) -> Result<u64> {
    let before = process.proc_files().cpu_ns_at_rest()?;
    skip_waiting(output)?;
    let senders: Vec<_> = senders.into_iter().map(send).collect();
    read_all(output)?;
    let after = process.proc_files().cpu_ns_at_rest()?;
    for sender in senders {
        sender.join().expect("a sender does not panic").doing("send to the process")?;
    }
    Ok(after - before)
}

/// Reads what is there already: that members have joined.
fn skip_waiting(output: &mut ChildStdout) -> Result<()> {
    let mut buffer = [0; 4096];
    let is_waiting = |output: &ChildStdout| {
        poll(&mut [PollFd::new(output, PollFlags::IN)], Some(&Timespec::default())).doing("look for output")
    };
    while is_waiting(output)? > 0 {
        if output.read(&mut buffer).doing("read who has joined")? == 0 {
            return Trouble::wrong("standard output ended");
        }
    }
    Ok(())
}

/// Sends from a thread of its own: it waits whenever the process takes nothing. The stream is
/// handed back, so that it stays open until everything is counted.
fn send((mut stream, bytes): Sender) -> JoinHandle<std::io::Result<TcpStream>> {
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
