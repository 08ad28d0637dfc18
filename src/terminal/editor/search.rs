//! Searching the lines that were typed before, backwards, while the pattern is being typed.

use super::history::History;
use super::motion::cluster_at;

/// A search.
#[derive(Debug)]
pub(super) struct Search {
    pattern: String,
    /// Lines from this one on are not looked at.
    before: usize,
    /// The line that was found last, and where in it.
    found: Option<(usize, usize)>,
    is_found: bool,
}

impl Search {
    /// A search among the lines before this place, for nothing yet.
    pub fn new(before: usize) -> Self {
        Self { pattern: String::new(), before, found: None, is_found: true }
    }

    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether what was found holds the pattern.
    pub fn is_found(&self) -> bool {
        self.is_found
    }

    /// The place of the line that was found last.
    pub fn found(&self) -> Option<usize> {
        Some(self.found?.0)
    }

    /// Where in that line it was found, in bytes.
    pub fn cursor(&self) -> usize {
        self.found.map_or(0, |(_, at)| at)
    }

    /// One more character is searched for. Returns whether it is found.
    pub fn push(&mut self, char: char, history: &History) -> bool {
        self.pattern.push(char);
        self.find(self.found.map_or(self.before, |(line, _)| line + 1), history)
    }

    /// One less.
    pub fn pop(&mut self, history: &History) -> bool {
        if self.pattern.pop().is_none() {
            return false;
        }
        if self.pattern.is_empty() {
            (self.found, self.is_found) = (None, true);
            return true;
        }
        self.find(self.before, history)
    }

    /// The same in an older line.
    pub fn older(&mut self, history: &History) -> bool {
        self.find(self.found.map_or(self.before, |(line, _)| line), history)
    }

    fn find(&mut self, before: usize, history: &History) -> bool {
        let found = (0..before.min(history.newest())).rev().find_map(|index| {
            let line = history.line(index)?;
            Some((index, cluster_at(line, line.rfind(&self.pattern)?)))
        });
        self.is_found = found.is_some() || self.pattern.is_empty();
        self.found = found.filter(|_| !self.pattern.is_empty()).or(self.found);
        self.is_found
    }
}
