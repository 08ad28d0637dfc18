//! Errors that end the program, and the wording of errors.

use std::fmt;

/// An error that ends the program, as one sentence for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// An argument is invalid (exit code 2). The sentence names the argument.
    Argument(String),
    /// An operation failed, or no peer was reached (exit code 1). The sentence names the operation and the
    /// cause.
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

/// The text of a system error in the form that follows a colon: without the error number, and without a
/// capital first letter.
#[must_use]
pub fn reason(error: &std::io::Error) -> String {
    let mut text = error.to_string();
    text.truncate(text.rfind(" (os error ").unwrap_or(text.len()));
    uncapitalized(text)
}

/// A sentence in the form that follows a colon: without a capital first letter, unless that begins an
/// abbreviation.
#[must_use]
pub fn uncapitalized(mut text: String) -> String {
    let is_word = text.as_bytes().get(1).is_some_and(u8::is_ascii_lowercase);
    if let Some(first) = text.get_mut(..1).filter(|_| is_word) {
        first.make_ascii_lowercase();
    }
    text
}

/// The start of a text, at most `chars_max` characters, for a message that quotes it.
#[must_use]
pub fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn system_errors_are_worded_to_follow_a_colon() {
        assert_eq!(reason(&rustix::io::Errno::ISDIR.into()), "is a directory");
        assert_eq!(reason(&rustix::io::Errno::ACCESS.into()), "permission denied");
        assert_eq!(reason(&Error::other("I/O")), "I/O");
        assert_eq!(reason(&Error::other("")), "");
        assert_eq!(reason(&ErrorKind::ConnectionRefused.into()), "connection refused");
    }
}
