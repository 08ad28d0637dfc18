//! Ten thousand connections on which nothing happens: how long they take to be accepted, what
//! each holds, and whether the process stays asleep.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
