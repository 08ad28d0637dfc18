//! One line at a time: how long it takes until the last of many readers has it.

use super::pairs::{self, PAIRS, Paired};
use super::process::{self, Output, Process};
use super::readers::{LINE_BYTES, Readers, line};
use super::table::Line;
use super::trouble::Result;

const READERS: usize = 64;
/// Lines in each half of a pair.
const LINES: usize = 500;

pub fn to_64_readers() -> Result<Vec<Line>> {
    let figures = measure("write", Readers::connect)?;
    let work = format!("one line of {LINE_BYTES} bytes to {READERS} readers, until the last has it, median");
    Ok(vec![Line::ratio(&work, "µs", figures, 1.25)])
}

/// The floor seals the line for each reader.
pub fn to_64_members() -> Result<Vec<Line>> {
    let figures = measure("seal", Readers::join)?;
    let work =
        format!("one sealed line of {LINE_BYTES} bytes to {READERS} members, until the last has it, median");
    Ok(vec![Line::ratio(&work, "µs", figures, 1.3)])
}

fn measure(floor: &str, connect: fn(&mut Process, usize) -> Result<Readers>) -> Result<Paired> {
    pairs::measure(PAIRS, "µs", |subject| {
        let floor = [floor, &READERS.to_string()];
        process::with(subject, &floor, Output::Unread, |process| median_us(connect(process, READERS)?))
    })
}

fn median_us(mut readers: Readers) -> Result<f64> {
    let frame_bytes = readers.gather()?;
    let mut took_us = Vec::with_capacity(LINES);
    for number in 0..LINES {
        let line = line(&format!("line {number:05} alone "));
        let took = readers.hear(&line, 1, frame_bytes, &line)?;
        took_us.push(took.as_secs_f64() * 1e6);
    }
    Ok(pairs::median(took_us))
}
