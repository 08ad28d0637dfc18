//! The program alone: how soon it accepts, and how large it is in memory and on disk.

use std::fs;
use std::time::Instant;

use super::pairs;
use super::process::{self, Output, PROGRAM, Subject};
use super::table::Line;
use super::trouble::{Doing, Result};

const STARTS: usize = 20;
const START_MS_MAX: f64 = 5.0;
const RESIDENT_MIB_MAX: f64 = 4.0;
const BINARY_MIB_MAX: f64 = 2.0;

const MIB: f64 = 1024.0 * 1024.0;

/// From the call that starts it until a connection to the port that it named stands.
pub fn until_accepting() -> Result<Vec<Line>> {
    let figures = pairs::measure(STARTS, "ms", |subject| {
        let begin = Instant::now();
        process::with(subject, &["listen"], Output::Unread, |process| {
            process.connect()?;
            Ok(begin.elapsed().as_secs_f64() * 1e3)
        })
    })?;
    let floor = Some(figures.floor);
    let work = format!("start until it accepts, median of {STARTS}");
    Ok(vec![Line::absolute(&work, "ms", figures.program, floor, START_MS_MAX)])
}

pub fn size() -> Result<Vec<Line>> {
    let resident_mib = |subject| {
        process::with(subject, &["listen"], Output::Unread, |process| {
            let files = process.proc_files();
            files.rest()?;
            Ok(files.resident_bytes()? as f64 / MIB)
        })
    };
    let program_mib = resident_mib(Subject::Program)?;
    let floor_mib = resident_mib(Subject::Floor)?;
    let binary = fs::metadata(PROGRAM).doing("look at the program's file")?;
    let binary_mib = binary.len() as f64 / MIB;
    Ok(vec![
        Line::absolute("resident alone", "MiB", program_mib, Some(floor_mib), RESIDENT_MIB_MAX),
        Line::absolute("stripped release binary", "MiB", binary_mib, None, BINARY_MIB_MAX),
    ])
}
