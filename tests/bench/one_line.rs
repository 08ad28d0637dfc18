//! One line at a time: how long it takes until the last of many readers has it.

use super::pairs::{self, PAIRS};
use super::process::{self, Output, Process};
use super::readers::{LINE_BYTES, Readers, line};
use super::table::Line;
use super::trouble::Result;

const READERS: usize = 64;
/// Lines in each half of a pair.
const LINES: usize = 500;
const RATIO_MAX: f64 = 1.25;

pub fn to_64_readers() -> Result<Vec<Line>> {
    let figures = pairs::measure(PAIRS, "µs", |subject| {
        let floor = ["write", &READERS.to_string()];
        process::with(subject, &floor, Output::Unread, median_us)
    })?;
    let work = format!("one line of {LINE_BYTES} bytes to {READERS} readers, until the last has it, median");
    Ok(vec![Line::ratio(&work, "µs", figures, RATIO_MAX)])
}

fn median_us(process: &mut Process) -> Result<f64> {
    let mut readers = Readers::connect(process, READERS)?;
    let frame_bytes = readers.gather()?;
    let mut took_us = Vec::with_capacity(LINES);
    for number in 0..LINES {
        let line = line(&format!("line {number:05} alone "));
        let took = readers.hear(&line, 1, frame_bytes, &line)?;
        took_us.push(took.as_secs_f64() * 1e6);
    }
    Ok(pairs::median(took_us))
}
