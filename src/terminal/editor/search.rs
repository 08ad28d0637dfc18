//! Incremental search of the history, in both directions.

use super::history::History;
use super::motion::cluster_start;

/// An incremental search.
#[derive(Debug)]
pub(super) struct Search {
    pattern: String,
    is_forward: bool,
    /// The index of the line that a search in this direction examines first.
    origin: usize,
    /// The last match: the index of its line, and the position in the line, in bytes.
    found: Option<(usize, usize)>,
    is_found: bool,
}

impl Search {
    /// A search from the newest line to older ones, with an empty pattern.
    pub fn backward(history: &History) -> Self {
        Self::new(false, history.end())
    }

    /// A search from the line in the editor to newer ones, or from the oldest line if that is the draft.
    pub fn forward(history: &History) -> Self {
        Self::new(true, history.at().map_or(0, |at| at + 1))
    }

    fn new(is_forward: bool, origin: usize) -> Self {
        Self { pattern: String::new(), is_forward, origin, found: None, is_found: true }
    }

    /// The pattern.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether the last match contains the pattern.
    pub fn is_found(&self) -> bool {
        self.is_found
    }

    /// Whether the search goes from older lines to newer ones.
    pub fn is_forward(&self) -> bool {
        self.is_forward
    }

    /// The index of the line of the last match.
    pub fn found(&self) -> Option<usize> {
        Some(self.found?.0)
    }

    /// The position of the last match in its line, in bytes.
    pub fn cursor(&self) -> usize {
        self.found.map_or(0, |(_, at)| at)
    }

    /// Extends the pattern. Returns whether it is found.
    pub fn push(&mut self, char: char, history: &History) -> bool {
        self.pattern.push(char);
        self.find(self.found().unwrap_or(self.origin), history)
    }

    /// Shortens the pattern. Returns whether it is found.
    pub fn pop(&mut self, history: &History) -> bool {
        if self.pattern.pop().is_none() {
            return false;
        }
        if self.pattern.is_empty() {
            (self.found, self.is_found) = (None, true);
            return true;
        }
        self.find(self.origin, history)
    }

    /// Searches for the same pattern in older lines.
    pub fn older(&mut self, history: &History) -> bool {
        self.turn(false, history.end());
        match self.found() {
            // There is no older line.
            Some(0) => self.fail(),
            found => self.find(found.map_or(history.end(), |line| line - 1), history),
        }
    }

    /// Searches for the same pattern in newer lines.
    pub fn newer(&mut self, history: &History) -> bool {
        self.turn(true, 0);
        self.find(self.found().map_or(0, |line| line + 1), history)
    }

    fn turn(&mut self, is_forward: bool, origin: usize) {
        if self.is_forward != is_forward {
            (self.is_forward, self.origin) = (is_forward, origin);
        }
    }

    /// Finds the pattern in the line `from`, or in the nearest one in the direction of the search.
    fn find(&mut self, from: usize, history: &History) -> bool {
        if self.pattern.is_empty() {
            return true;
        }
        let in_line = |index: usize| {
            let line = history.searched_line(index)?;
            Some((index, cluster_start(line, line.rfind(&self.pattern)?)))
        };
        let found = if self.is_forward {
            (from..history.end()).find_map(in_line)
        } else {
            (0..history.end().min(from + 1)).rev().find_map(in_line)
        };
        self.is_found = found.is_some();
        self.found = found.or(self.found);
        self.is_found
    }

    fn fail(&mut self) -> bool {
        self.is_found = self.pattern.is_empty();
        self.is_found
    }
}
