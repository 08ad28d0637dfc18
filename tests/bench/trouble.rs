//! What can go wrong while measuring. It never means "too slow".

use std::fmt::Display;

pub type Result<T> = std::result::Result<T, Trouble>;

pub enum Trouble {
    /// This machine cannot measure it: the row says why and the benchmark goes on.
    NotHere(String),
    /// The work was not done: the benchmark ends with an error.
    Wrong(String),
}

impl Trouble {
    pub fn wrong<T>(reason: impl Into<String>) -> Result<T> {
        Err(Trouble::Wrong(reason.into()))
    }
}

/// Says what we were doing when something failed: "what: cause".
pub trait Doing<T> {
    fn doing(self, what: &str) -> Result<T>;
}

impl<T, E: Display> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: &str) -> Result<T> {
        self.map_err(|cause| Trouble::Wrong(format!("{what}: {cause}")))
    }
}
