//! Finding the user's name in what others say.

/// Where in `text` the first mention of `name` is from `from` on, in bytes: as a word of its own, in
/// any case.
#[must_use]
pub fn find(text: &str, name: &str, from: usize) -> Option<(usize, usize)> {
    let mut before = text[..from].chars().next_back();
    for (at, char) in text[from..].char_indices() {
        if !before.is_some_and(is_of_word)
            && let Some(length) = prefix_in_any_case(&text[from + at..], name)
        {
            let end = from + at + length;
            if !text[end..].chars().next().is_some_and(is_of_word) {
                return Some((from + at, end));
            }
        }
        before = Some(char);
    }
    None
}

fn is_of_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// How many bytes of `text` are `prefix`, whatever the case; `None` where it does not begin so.
#[must_use]
pub fn prefix_in_any_case(text: &str, prefix: &str) -> Option<usize> {
    let mut wanted = prefix.chars().flat_map(char::to_lowercase).peekable();
    for (at, char) in text.char_indices() {
        if wanted.peek().is_none() {
            return Some(at);
        }
        if !char.to_lowercase().all(|lower| wanted.next() == Some(lower)) {
            return None;
        }
    }
    wanted.next().is_none().then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mentions stand in brackets.
    #[track_caller]
    fn check(name: &str, expected: &str) {
        let text = expected.replace(['[', ']'], "");
        let (mut marked, mut from) = (String::new(), 0);
        while let Some((start, end)) = find(&text, name, from) {
            marked += &format!("{}[{}]", &text[from..start], &text[start..end]);
            from = end;
        }
        assert_eq!(marked + &text[from..], expected);
    }

    #[test]
    fn a_name_is_found_as_a_word_in_any_case() {
        check("bob", "[bob]: are you there, [BOB]? bobby, kebob, bob_2 and bob2 are not; [Bob]'s is");
        check("bob", "[bob]");
        check("bob", "");
        check("J\u{fc}rgen", "@[j\u{dc}rgen] j\u{fc}rge");
        check("mary ann", "[Mary Ann]! mary anne, mary");
        check("\u{130}x", "[\u{130}x] ix");
        check("a-b", "[a-b] a-bc [A-B]");
    }
}
