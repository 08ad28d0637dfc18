//! Validation of the user's own name.

use crate::limits::NAME_BYTES_MAX;
use crate::look_alike::Looks;
use crate::protocol::label::{Flaw, flaw};
use crate::sanitize::is_clean;

/// Validates the user's name, and returns it without surrounding blanks.
///
/// The names of others are not validated: they are shown in any case, in quotes if necessary.
///
/// # Errors
///
/// A sentence with the reason and the remedy.
pub fn parse(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() {
        return Err("a name must not be empty: take at least one letter".to_owned());
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!(
            "a name has at most {NAME_BYTES_MAX} bytes, and this has {}: take a shorter one",
            name.len()
        ));
    }
    if !is_clean(name) {
        return Err(
            "a name must not hold control characters or other invisible ones: leave them out".to_owned()
        );
    }
    let why = match flaw(name, &Looks::new(name)) {
        None => return Ok(name.to_owned()),
        Some(Flaw::Invisible) => "nothing of it can be seen: take visible characters".to_owned(),
        Some(Flaw::NoName) => "that stands for somebody whose name is not known: take a word".to_owned(),
        Some(Flaw::Margin) => "it must not begin or end with something invisible: leave that out".to_owned(),
        Some(Flaw::Sign(sign)) => {
            format!(
                "it must not hold {sign} or what looks like it, which stands around names: leave that out"
            )
        }
        Some(Flaw::Start(sign)) => {
            format!("it must not begin with {sign} or what looks like it: begin with a letter")
        }
        Some(Flaw::Tag) => {
            "it must not end in # and digits, which is how two of one name are told apart: leave that out"
                .to_owned()
        }
        Some(Flaw::Address) => "it must not look like an address: take a word".to_owned(),
        Some(Flaw::Sentence(words)) => {
            format!("it must not hold \"{words}\", which reads like a message of the program: leave that out")
        }
    };
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nobody_mistakes_can_be_taken() {
        for (text, name) in [
            ("bob", "bob"),
            (" Mary Ann ", "Mary Ann"),
            ("O'Neil (work)", "O'Neil (work)"),
            ("J\u{fc}rgen", "J\u{fc}rgen"),
            ("\u{674e}\u{5c0f}\u{9f99}", "\u{674e}\u{5c0f}\u{9f99}"),
            ("\u{1f980}", "\u{1f980}"),
        ] {
            assert_eq!(parse(text), Ok(name.to_owned()));
        }
    }

    #[test]
    fn others_are_refused_with_a_reason() {
        for (text, reason) in [
            ("", "must not be empty"),
            (" ", "must not be empty"),
            (&"x".repeat(65), "at most 64 bytes, and this has 65"),
            ("a\x07", "control characters"),
            ("b\u{202e}ob", "invisible"),
            ("\u{2800}", "nothing of it can be seen"),
            ("alice: yes. x", "must not hold : "),
            ("[04:50] alice", "must not hold ["),
            ("* alice", "must not begin with *"),
            ("alice has left the chat...", "must not hold \"has left\""),
            ("b\"ob", "must not hold \" "),
            ("/who", "must not begin with /"),
            ("@bob", "must not begin with @"),
            ("-n", "must not begin with -"),
            ("bob#4aa6", "must not end in # and digits"),
            ("192.168.1.7", "must not look like an address"),
            ("192.168.1.7:5000", "must not look like an address"),
            ("5000", "must not look like an address"),
            ("[::1]:5", "must not look like an address"),
            ("localhost:5000", "must not look like an address"),
            ("''bob''", "must not hold \" "),
            ("\u{2ba}bob", "must not hold \" "),
            ("?", "stands for somebody whose name is not known"),
        ] {
            let why = parse(text).expect_err(text);
            assert!(why.contains(reason), "{text}: {why}");
        }
    }
}
