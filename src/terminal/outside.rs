//! What is printed before a chat, after it, or without one.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;

use super::descriptor;
use super::visible::push_visible;
use crate::limits::LEAVE_STALL;

/// Prints `text` to standard output, before or without a chat.
pub fn print(text: &str) {
    // Who closed it does not want it.
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Prints why the program ends to standard error, if it takes that while we have patience.
pub fn complain(sentence: &str) {
    let mut line = b"groupchat: ".to_vec();
    push_visible(sentence, &mut line);
    line.push(b'\n');
    let mut stderr = io::stderr();
    if descriptor::is_writable_within(stderr.as_fd(), LEAVE_STALL) {
        // There is nobody else to tell.
        let _ = stderr.write_all(&line);
    }
}
