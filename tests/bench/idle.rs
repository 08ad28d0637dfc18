//! Ten thousand connections on which nothing happens: how long they take to be accepted, what
//! each holds, and whether the process stays asleep; and what each costs where many members are known.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::member::{self, Member};
use super::pairs;
use super::process::{self, Output, PATIENCE, Process, Subject};
use super::readers::Readers;
use super::table::Line;
use super::trouble::{Doing, Result, Trouble};
use groupchat::limits::PLAIN_WAIT_MIN;

const CONNECTIONS: usize = 10_000;
/// What the harness and the process need beside the connections.
const OTHER_DESCRIPTORS: usize = 100;
const ACCEPT_S_MAX: f64 = 2.0;
const RESIDENT_KIB_MAX: f64 = 0.5;
/// Looking through so many descriptors costs some milliseconds itself.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const IDLE: Duration = Duration::from_secs(2);

/// What is measured on one process.
struct Figures {
    accept_s: f64,
    resident_kib_each: f64,
    wake_ups: f64,
}

pub fn connections() -> Result<Vec<Line>> {
    let count = raise_descriptor_limit()?;
    let of = |subject| {
        process::with(subject, &["listen"], Output::Unread, |process| hold(process, subject, count))
    };
    let floor = of(Subject::Floor)?;
    let program = of(Subject::Program)?;
    let work = match count {
        CONNECTIONS => "10,000 idle connections".into(),
        _ => format!("{count} idle connections (the descriptor limit here allows no more)"),
    };
    let line = |what: &str, unit, program, floor, max| {
        Line::absolute(&format!("{work}, {what}"), unit, program, Some(floor), max)
    };
    Ok(vec![
        line("until all are accepted", "s", program.accept_s, floor.accept_s, ACCEPT_S_MAX),
        line(
            "resident memory each",
            "KiB",
            program.resident_kib_each,
            floor.resident_kib_each,
            RESIDENT_KIB_MAX,
        ),
        line("woken up in 2 s", "times", program.wake_ups, floor.wake_ups, 0.0),
    ])
}

/// Links, the last of which are measured: the first ones bring what is needed once.
const FIRST_LINKS: usize = 200;
const LINKS: usize = 2_000;
const LINK_KIB_MAX: f64 = 0.8;

/// The memory of a sealed link while nothing happens on it. The other ends never introduce themselves, so that nothing is
/// known of a member, which takes its own room once, however it is connected. They have some seconds for that.
pub fn links() -> Result<Vec<Line>> {
    raise_descriptor_limit()?;
    let kib_each = process::with(Subject::Program, &[], Output::Unread, |process| {
        let files = process.proc_files();
        let (mut links, unlinked) = (Vec::with_capacity(LINKS), files.open_descriptors()?);
        let mut resident_bytes = |count| {
            while links.len() < count {
                links.push(member::shake_hands(process)?);
            }
            files.rest()?;
            let resident_bytes = files.resident_bytes()?;
            match files.open_descriptors()? - unlinked {
                open if open == count => Ok(resident_bytes),
                open => Trouble::wrong(format!("{open} links of {count} are open")),
            }
        };
        let before = resident_bytes(FIRST_LINKS)?;
        let held = resident_bytes(LINKS)?.saturating_sub(before);
        Ok(held as f64 / 1024.0 / (LINKS - FIRST_LINKS) as f64)
    })?;
    let work = format!("{LINKS} idle sealed links, resident memory each");
    Ok(vec![Line::absolute(&work, "KiB", kib_each, None, LINK_KIB_MAX)])
}

/// Members that are connected while others are accepted. Each reads nothing further.
const MEMBERS: usize = 500;
/// How often both are measured.
const ACCEPTS_PAIRS: usize = 5;
/// An accept costs the same, however many members are known.
const ACCEPT_RATIO_MAX: f64 = 1.5;

/// What an accept costs where a peer is named that nobody can reach and many members are known, beside what it costs a
/// process that is alone.
pub fn accepts_among_members() -> Result<Vec<Line>> {
    let count = raise_descriptor_limit()?.saturating_sub(MEMBERS);
    let figures = pairs::measure(ACCEPTS_PAIRS, "µs", |subject| {
        process::with(Subject::Program, &[], Output::Unread, |process| {
            let is_among_members = subject == Subject::Program;
            let members = (0..if is_among_members { MEMBERS } else { 0 })
                .map(|number| Member::join(process, &format!("m{number}")));
            let members = members.collect::<Result<Vec<_>>>()?;
            let mut input = process.take_input();
            if is_among_members {
                input.write_all(b"/connect 127.0.0.1:1\n").doing("name a peer")?;
            }
            let files = process.proc_files();
            thread::sleep(IDLE);
            let (before, descriptors) = (files.cpu_ns()?, files.open_descriptors()?);
            let streams = process.connect_many(count)?;
            let give_up = Instant::now() + PATIENCE;
            while files.open_descriptors()? < descriptors + count {
                if Instant::now() > give_up {
                    return Trouble::wrong(format!("not all of {count} connections are accepted"));
                }
                thread::sleep(LOOK_AGAIN);
            }
            thread::sleep(2 * PLAIN_WAIT_MIN);
            let spent = files.cpu_ns()? - before;
            drop((streams, members, input));
            Ok(spent as f64 / 1e3 / count as f64)
        })
    })?;
    let work = format!("{count} accepts among {MEMBERS} members, CPU each; the floor is the program alone");
    Ok(vec![Line::ratio(&work, "µs", figures, ACCEPT_RATIO_MAX)])
}

/// Opens `count` connections and watches the process while nothing happens on them.
fn hold(process: &mut Process, subject: Subject, count: usize) -> Result<Figures> {
    let files = process.proc_files();
    files.rest()?;
    let resident_before = files.resident_bytes()?;
    let descriptors_before = files.open_descriptors()?;
    let begin = Instant::now();
    let streams = process.connect_many(count)?;
    while files.open_descriptors()? < descriptors_before + count {
        if begin.elapsed() > PATIENCE {
            return Trouble::wrong(format!("not all of {count} connections are accepted"));
        }
        thread::sleep(LOOK_AGAIN);
    }
    let accept_s = begin.elapsed().as_secs_f64();
    // Until then, somebody may still introduce itself.
    thread::sleep(PLAIN_WAIT_MIN);
    files.rest()?;
    let resident_bytes = files.resident_bytes()?.saturating_sub(resident_before);
    let sleeps_before = files.sleeps_so_far()?;
    thread::sleep(IDLE);
    let wake_ups = files.sleeps_so_far()? - sleeps_before;
    let figures = Figures {
        accept_s,
        resident_kib_each: resident_bytes as f64 / 1024.0 / count as f64,
        wake_ups: wake_ups as f64,
    };
    eprintln!(
        "  accepted in {accept_s:.2} s, {:.3} KiB each, {wake_ups} wake-ups",
        figures.resident_kib_each
    );
    if subject == Subject::Program {
        // An accepted connection that hears nothing would be worth little.
        Readers::new(process.take_input(), streams)?.gather()?;
    }
    Ok(figures)
}

/// Raises the limit of open descriptors, for us and for the processes we start, and says how many
/// connections fit below it.
fn raise_descriptor_limit() -> Result<usize> {
    let needed = (CONNECTIONS + OTHER_DESCRIPTORS) as u64;
    let limit = getrlimit(Resource::Nofile);
    // No limit is written as none at all.
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed);
    if enough(limit.current) {
        return Ok(CONNECTIONS);
    }
    let raised = Rlimit {
        current: Some(if enough(limit.maximum) { needed } else { limit.maximum.unwrap_or(needed) }),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).doing("raise the limit of descriptors")?;
    let fit = raised.current.unwrap_or(needed) as usize;
    match fit.saturating_sub(OTHER_DESCRIPTORS) {
        0 => Err(Trouble::NotHere("the limit of descriptors is too low".into())),
        fit => Ok(fit.min(CONNECTIONS)),
    }
}
