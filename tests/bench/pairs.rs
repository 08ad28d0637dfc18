//! The program and its floor in turns, so that whatever else the machine does meets both.

use super::process::Subject;
use super::trouble::Result;

/// Medians over all pairs. The ratio is the median of each pair's own ratio: the two halves of a
/// pair met the same machine, the medians of the two columns need not have.
pub struct Paired {
    pub program: f64,
    pub floor: f64,
    pub ratio: f64,
}

/// How often each row is measured. Odd, so that a median is one of the figures; enough that a
/// noisy neighbour during some of them does not show.
pub const PAIRS: usize = 31;

/// Measures both in turns. Which one is first changes each time, since that can matter.
pub fn measure(pairs: usize, unit: &str, mut figure: impl FnMut(Subject) -> Result<f64>) -> Result<Paired> {
    let (mut programs, mut floors, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 1..=pairs {
        let (program, floor);
        if pair % 2 == 1 {
            program = figure(Subject::Program)?;
            floor = figure(Subject::Floor)?;
        } else {
            floor = figure(Subject::Floor)?;
            program = figure(Subject::Program)?;
        }
        eprintln!("  {pair} of {pairs}: {program:.2} {unit}, floor {floor:.2} {unit}");
        programs.push(program);
        floors.push(floor);
        ratios.push(program / floor);
    }
    Ok(Paired { program: median(programs), floor: median(floors), ratio: median(ratios) })
}

/// The figure in the middle; the upper one of two.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
