//! Many lines through standard input to many readers, plain ones or members: what a delivery costs.

use super::pairs::{self, PAIRS, Paired};
use super::process::{self, Output, Process};
use super::readers::{LINE_BYTES, Readers, line};
use super::table::Line;
use super::trouble::Result;

const LINES: usize = 20_000;

/// The CPU time of Redis for a delivery to one of 64 subscribers, which is not sealed.
const REDIS_NS: f64 = 300.0;

pub fn to_64_readers() -> Result<Vec<Line>> {
    to_readers(64, 1.6)
}

pub fn to_8_readers() -> Result<Vec<Line>> {
    to_readers(8, 2.0)
}

fn to_readers(count: usize, ratio_max: f64) -> Result<Vec<Line>> {
    let figures = measure("write", count, Readers::connect)?;
    let work = format!("burst of 20,000 lines of {LINE_BYTES} bytes to {count} readers, CPU per delivery");
    Ok(vec![Line::ratio(&work, "ns", figures, ratio_max)])
}

/// The floor seals each 16 KiB for each reader.
pub fn to_64_members() -> Result<Vec<Line>> {
    let count = 64;
    let figures = measure("seal", count, Readers::join)?;
    let work =
        format!("sealed burst of 20,000 lines of {LINE_BYTES} bytes to {count} members, CPU per delivery");
    let beside_redis =
        Line::absolute(&format!("{work}, beside Redis"), "ns", figures.program, None, REDIS_NS);
    Ok(vec![Line::ratio(&work, "ns", figures, 1.4), beside_redis])
}

type Connect = fn(&mut Process, usize) -> Result<Readers>;

fn measure(floor: &str, count: usize, connect: Connect) -> Result<Paired> {
    let lines: Vec<u8> = (0..LINES).flat_map(nth_line).collect();
    pairs::measure(PAIRS, "ns", |subject| {
        process::with(subject, &[floor, &count.to_string()], Output::Unread, |process| {
            let readers = connect(process, count)?;
            Ok(burst_cpu_ns(process, readers, &lines)? as f64 / (LINES * count) as f64)
        })
    })
}

/// The processor time of one burst to the readers.
fn burst_cpu_ns(process: &Process, mut readers: Readers, lines: &[u8]) -> Result<u64> {
    let frame_bytes = readers.gather()?;
    let before = process.proc_files().cpu_ns_at_rest()?;
    readers.hear(lines, LINES, frame_bytes, &nth_line(LINES - 1))?;
    Ok(process.proc_files().cpu_ns_at_rest()? - before)
}

fn nth_line(number: usize) -> Vec<u8> {
    line(&format!("line {number:05} of a burst "))
}
