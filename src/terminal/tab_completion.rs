//! Tab completion of commands and of the names of peers.

use super::mention::prefix_in_any_case;
use crate::limits::COMPLETED_BYTES_MAX;
use crate::protocol::Label;

/// Candidates that can replace the text before the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The start of the text to replace, in bytes; its end is the cursor.
    pub from: usize,
    /// At least one candidate, each with its separator from the text after it.
    pub candidates: Vec<String>,
}

/// The words that can be completed.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Commands, with their slash.
    pub commands: &'a [&'a str],
    /// The names of peers, best first.
    pub names: &'a [Label],
}

/// Completes the text before `cursor`: a command at the start of the line, or a name at the start or after
/// any blank, with or without `@`. A name at the start is followed by a colon, as an address.
#[must_use]
pub fn complete(text: &str, cursor: usize, known: Known<'_>) -> Option<Completion> {
    let before = &text[..cursor];
    if before.starts_with('/') && !before.contains(char::is_whitespace) {
        let is_begun = |command: &&&str| prefix_in_any_case(command, before).is_some();
        let candidates = known.commands.iter().filter(is_begun);
        return some(Completion { from: 0, candidates: candidates.map(|name| format!("{name} ")).collect() });
    }
    // Names may contain blanks, so the earliest start that matches wins.
    starts(before).find_map(|from| some(names(before, from, known)))
}

/// The positions in `before` where a name may start, in order: at the start and after blanks, at most
/// [`COMPLETED_BYTES_MAX`] back.
fn starts(before: &str) -> impl Iterator<Item = usize> {
    let first = before.floor_char_boundary(before.len().saturating_sub(COMPLETED_BYTES_MAX));
    let is_start = move |at: &usize| *at == 0 || before[..*at].ends_with(char::is_whitespace);
    before[first..].char_indices().map(move |(at, _)| first + at).filter(is_start)
}

/// The names that start with the text from `from` on. As the argument of a command, a name is written in
/// quotes where it needs them, so that its end is clear.
fn names(before: &str, from: usize, known: Known<'_>) -> Completion {
    let begun = &before[from..];
    let (sign, begun) = begun.strip_prefix('@').map_or(("", begun), |begun| ("@", begun));
    let begun = begun.strip_prefix('"').unwrap_or(begun);
    let end = if from == 0 && sign.is_empty() { ": " } else { " " };
    let is_argument = is_command(before[..from].trim_end());
    let sign = if is_argument { "" } else { sign };
    let is_begun = |name: &&Label| !begun.trim().is_empty() && prefix_in_any_case(name, begun).is_some();
    let written = |name: &Label| if is_argument { name.to_string() } else { name.speaker().into_owned() };
    let candidates = known.names.iter().filter(is_begun);
    let candidates = candidates.map(|name| format!("{sign}{}{end}", written(name))).collect();
    Completion { from, candidates }
}

fn is_command(word: &str) -> bool {
    word.starts_with(['/', '\u{ff0f}']) && !word.contains(char::is_whitespace)
}

fn some(completion: Completion) -> Option<Completion> {
    (!completion.candidates.is_empty()).then_some(completion)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `|` is the cursor.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let cursor = text.find('|').expect("a cursor");
        let text = text.replace('|', "");
        let known = Known {
            commands: &["/help", "/ignore", "/msg", "/me"],
            names: &["bob", "Bobby", "mary ann", "J\u{fc}rgen", "x: y"].map(Label::from),
        };
        let completed =
            complete(&text, cursor, known).map_or(Vec::new(), |Completion { from, candidates }| {
                candidates
                    .iter()
                    .map(|candidate| format!("{}{candidate}|{}", &text[..from], &text[cursor..]))
                    .collect()
            });
        assert_eq!(completed, expected);
    }

    #[test]
    fn commands_are_completed_at_the_start() {
        check("/h|", &["/help |"]);
        check("/m|", &["/msg |", "/me |"]);
        check("/|", &["/help |", "/ignore |", "/msg |", "/me |"]);
        check("/H|", &["/help |"]);
        check("/x|", &[]);
        check(" /h|", &[]);
    }

    #[test]
    fn names_are_completed_anywhere() {
        check("bo|", &["bob: |", "Bobby: |"]);
        check("BOBB|", &["Bobby: |"]);
        check("hi bo|, you", &["hi bob |, you", "hi Bobby |, you"]);
        check("/msg bo|", &["/msg bob |", "/msg Bobby |"]);
        check("mar|", &["mary ann: |"]);
        check("ask mary a|", &["ask mary ann |"]);
        check("j\u{dc}|", &["J\u{fc}rgen: |"]);
        check("/msg mar|", &["/msg \"mary ann\" |"]);
        check("/msg \"mary a|", &["/msg \"mary ann\" |"]);
        check("/msg @bobb|", &["/msg Bobby |"]);
        check("/msg @mar|", &["/msg \"mary ann\" |"]);
        check("/msg bob hi mar|", &["/msg bob hi mary ann |"]);
        check("x|", &["\"x: y\": |"]);
        check("hi \"x|", &["hi \"x: y\" |"]);
        check("/ignore x|", &["/ignore \"x: y\" |"]);
        check("kebo|", &[]);
        check("|", &[]);
        check("hi |", &[]);
        check("@bobb|", &["@Bobby |"]);
        check("hi @mary a|", &["hi @mary ann |"]);
        check("a\tbobb|", &["a\tBobby |"]);
        check("a\u{3000}bobb|", &["a\u{3000}Bobby |"]);
        check("a\u{a0}bobb|", &["a\u{a0}Bobby |"]);
        check("a\nbobb|", &["a\nBobby |"]);
        check("a  bobb|", &["a  Bobby |"]);
        for none in ["@|", "hi @|", "me@bobb|", "@@bobb|", "(bobb|"] {
            check(none, &[]);
        }
        let far = "\u{e9} ".repeat(20_000);
        check(&format!("{far}bobb|"), &[&format!("{far}Bobby |")]);
    }
}
