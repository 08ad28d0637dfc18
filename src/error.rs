//! Why the program ends without having done what it was asked to.

use std::fmt;

/// A reason to end, in one sentence for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// An argument cannot be used. The sentence names it.
    Argument(String),
    /// Something failed, or nobody was reached: what we were doing, and why it could not be done.
    Failure(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(sentence) | Self::Failure(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for Error {}

/// What the system says of an error, without the number that it adds.
#[must_use]
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}
