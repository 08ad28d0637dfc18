//! Many lines through standard input to many readers: what a delivery costs.

use super::pairs::{self, PAIRS};
use super::process::{self, Output, Process};
use super::readers::{LINE_BYTES, Readers, line};
use super::table::Line;
use super::trouble::Result;

const LINES: usize = 20_000;

pub fn to_64_readers() -> Result<Vec<Line>> {
    to_readers(64, 1.6)
}

pub fn to_8_readers() -> Result<Vec<Line>> {
    to_readers(8, 2.0)
}

fn to_readers(count: usize, ratio_max: f64) -> Result<Vec<Line>> {
    let lines: Vec<u8> = (0..LINES).flat_map(nth_line).collect();
    let figures = pairs::measure(PAIRS, "ns", |subject| {
        process::with(subject, &["write", &count.to_string()], Output::Unread, |process| {
            Ok(burst_cpu_ns(process, count, &lines)? as f64 / (LINES * count) as f64)
        })
    })?;
    let work = format!("burst of 20,000 lines of {LINE_BYTES} bytes to {count} readers, CPU per delivery");
    Ok(vec![Line::ratio(&work, "ns", figures, ratio_max)])
}

/// The processor time of one burst to `count` readers.
fn burst_cpu_ns(process: &mut Process, count: usize, lines: &[u8]) -> Result<u64> {
    let mut readers = Readers::connect(process, count)?;
    let frame_bytes = readers.gather()?;
    let before = process.proc_files().cpu_ns_at_rest()?;
    readers.hear(lines, LINES, frame_bytes, &nth_line(LINES - 1))?;
    Ok(process.proc_files().cpu_ns_at_rest()? - before)
}

fn nth_line(number: usize) -> Vec<u8> {
    line(&format!("line {number:05} of a burst "))
}
