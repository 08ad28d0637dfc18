//! Text from others, made safe to show: what would act on the terminal, or hide, is shown instead.
//!
//! Control characters become `^[` and the like; other invisible or reordering ones become U+FFFD.

use unicode_properties::{GeneralCategoryGroup, UnicodeEmoji as _, UnicodeGeneralCategory as _};

use crate::limits::MARKS_MAX;

/// Shown for a character that must not act and has no sign of its own.
const REPLACEMENT: char = '\u{fffd}';

/// Appends `text` to `out` as it is to be shown. A line break is a control character here: who
/// shows several lines splits them before.
pub fn push_sanitized(text: &str, out: &mut Vec<u8>) {
    // Looking at every byte, without a branch for each, is what the compiler can do many at a time.
    if text.bytes().fold(true, |all, byte| all & matches!(byte, b' '..=b'~')) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut chars = text.chars().peekable();
    let mut before = Before::default();
    while let Some(char) = chars.next() {
        let next_is_picture = chars.peek().is_some_and(|&next| is_picture(next));
        before.push(char, next_is_picture, out);
    }
}

/// Whether `text` is shown as it is.
#[must_use]
pub fn is_clean(text: &str) -> bool {
    let mut shown = Vec::new();
    push_sanitized(text, &mut shown);
    shown == text.as_bytes()
}

/// What stands before a character and decides whether it may be shown.
#[derive(Default)]
struct Before {
    /// An emoji that a joiner may join to another: digits count as emoji, and not as these.
    is_picture: bool,
    /// An emoji to which no selector has been applied.
    may_be_selected: bool,
    marks: usize,
}

impl Before {
    fn push(&mut self, char: char, next_is_picture: bool, out: &mut Vec<u8>) {
        match char {
            '\0'..='\x1f' | '\x7f' => {
                *self = Self::default();
                out.extend([b'^', char as u8 ^ 0x40]);
            }
            // These two join or turn an emoji; elsewhere they only make different texts look alike.
            '\u{200d}' if self.is_picture && next_is_picture => push_char(char, out),
            '\u{fe00}'..='\u{fe0f}' if self.may_be_selected => {
                self.may_be_selected = false;
                push_char(char, out);
            }
            _ if is_hidden(char) => {
                *self = Self::default();
                push_char(REPLACEMENT, out);
            }
            _ if char.general_category_group() == GeneralCategoryGroup::Mark => {
                self.marks += 1;
                match self.marks {
                    ..=MARKS_MAX => push_char(char, out),
                    // One sign stands for all that are too many.
                    marks if marks == MARKS_MAX + 1 => push_char(REPLACEMENT, out),
                    _ => (),
                }
            }
            _ => {
                *self =
                    Self { is_picture: is_picture(char), may_be_selected: char.is_emoji_char(), marks: 0 };
                push_char(char, out);
            }
        }
    }
}

fn is_picture(char: char) -> bool {
    char.is_emoji_char() && !char.is_ascii()
}

/// Characters that act on a terminal, hide, or change the order in which others are read.
fn is_hidden(char: char) -> bool {
    matches!(
        char,
        '\u{80}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200b}'
            | '\u{200d}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{2069}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
            | '\u{e0100}'..='\u{e01ef}'
    )
}

fn push_char(char: char, out: &mut Vec<u8>) {
    out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut shown = Vec::new();
        push_sanitized(text, &mut shown);
        assert_eq!(String::from_utf8(shown).expect("characters"), expected);
        assert_eq!(is_clean(text), text == expected);
    }

    #[test]
    fn ordinary_text_is_shown_as_it_is() {
        for text in [
            "",
            "plain ~ text",
            "Gr\u{fc}\u{df}e, \u{65e5}\u{672c}\u{8a9e}, \u{5e9}\u{5dc}\u{5d5}\u{5dd}",
            "e\u{301}",
            "\u{928}\u{92e}\u{938}\u{94d}\u{924}\u{947}",
            "\u{1f980}\u{1f44d}\u{1f3fd}",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "\u{2764}\u{fe0f}\u{200d}\u{1f525}",
            "1\u{fe0f}\u{20e3}",
            "\u{1f1e9}\u{1f1ea}",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn control_characters_are_shown_with_a_caret() {
        check("\x1b[31mred\x07", "^[[31mred^G");
        check("a\tb\rc\nd\0e\x7ff", "a^Ib^Mc^Jd^@e^?f");
        check("\u{9b}31m", "\u{fffd}31m");
    }

    #[test]
    fn what_hides_or_reorders_is_replaced() {
        for char in [
            '\u{61c}',
            '\u{200b}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2064}',
            '\u{2066}',
            '\u{2069}',
            '\u{feff}',
            '\u{fff9}',
            '\u{fffb}',
            '\u{e0000}',
            '\u{e0041}',
            '\u{e007f}',
        ] {
            check(&format!("a{char}b"), "a\u{fffd}b");
        }
    }

    #[test]
    fn joiners_and_selectors_are_kept_inside_emoji_only() {
        check("a\u{200d}b", "a\u{fffd}b");
        check("\u{1f980}\u{200d}x", "\u{1f980}\u{fffd}x");
        check("a\u{fe0f}", "a\u{fffd}");
        check("1\u{200d}2", "1\u{fffd}2");
        check("1\u{fe0f}\u{fe0f}\u{20e3}", "1\u{fe0f}\u{fffd}\u{20e3}");
        check("\u{1f980}\x07\u{fe0f}", "\u{1f980}^G\u{fffd}");
    }

    #[test]
    fn marks_do_not_pile_up() {
        let marks = |count| "\u{301}".repeat(count);
        check(&format!("a{}b", marks(8)), &format!("a{}b", marks(8)));
        check(&format!("a{}b{}", marks(500), marks(2)), &format!("a{}\u{fffd}b{}", marks(8), marks(2)));
    }
}
