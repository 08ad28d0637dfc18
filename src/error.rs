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

/// What the system says of an error, as it stands behind a colon: without the number that it adds, and
/// without the capital of a sentence.
#[must_use]
pub fn reason(error: &std::io::Error) -> String {
    let mut text = error.to_string();
    text.truncate(text.rfind(" (os error ").unwrap_or(text.len()));
    let is_word = text.as_bytes().get(1).is_some_and(u8::is_ascii_lowercase);
    if let Some(first) = text.get_mut(..1).filter(|_| is_word) {
        first.make_ascii_lowercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn what_the_system_says_stands_behind_a_colon() {
        assert_eq!(reason(&rustix::io::Errno::ISDIR.into()), "is a directory");
        assert_eq!(reason(&rustix::io::Errno::ACCESS.into()), "permission denied");
        assert_eq!(reason(&Error::other("I/O")), "I/O");
        assert_eq!(reason(&Error::other("")), "");
        assert_eq!(reason(&ErrorKind::ConnectionRefused.into()), "connection refused");
    }
}
