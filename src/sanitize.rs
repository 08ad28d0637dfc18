//! Sanitizing of text from peers: characters that act on the terminal, or on the text around them, are shown as
//! visible signs. Invisible characters are removed, except where a script or an emoji needs them.

use unicode_properties::{GeneralCategoryGroup, UnicodeEmoji as _, UnicodeGeneralCategory as _};

use crate::limits::MARKS_MAX;
use crate::unicode::{self, Jamo};

/// Shown for a character that must not act and has no visible sign.
const REPLACEMENT: char = '\u{fffd}';

/// Appends the sanitized form of `text` to `out`. A line break counts as a control character: the caller splits
/// lines before.
///
/// Control characters become `^[` and the like. Bidi controls, and tags outside of flags, become U+FFFD. Other
/// default-ignorable characters are removed, except joiners between letters of a joining script, selectors for
/// an existing variation, emoji sequences (UTS 51), and fillers in Hangul syllables.
pub fn push_sanitized(text: &str, out: &mut Vec<u8>) {
    if is_printable_ascii(text) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut chars = text.chars();
    let mut before = Before::default();
    while let Some(char) = chars.next() {
        let tags = flag_tags(char, chars.as_str());
        before.push(char, chars.as_str(), out);
        if !tags.is_empty() {
            out.extend_from_slice(tags.as_bytes());
            chars = chars.as_str()[tags.len()..].chars();
        }
    }
}

/// Whether `text` is made of printable ASCII characters alone; then it is sanitized.
#[must_use]
pub fn is_printable_ascii(text: &str) -> bool {
    // Checking every byte without branches lets the compiler vectorize the loop.
    text.bytes().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'))
}

/// A sanitized copy of `text`.
#[must_use]
pub fn sanitized(text: &str) -> String {
    let mut shown = Vec::new();
    push_sanitized(text, &mut shown);
    String::from_utf8_lossy(&shown).into_owned()
}

/// Whether sanitizing leaves `text` unchanged.
#[must_use]
pub fn is_clean(text: &str) -> bool {
    sanitized(text) == text
}

/// The tags at the start of `rest` that turn the black flag before them into the flag of England, Scotland or
/// Wales; no others are in use (`RGI_Emoji_Tag_Sequence` of UTS 51).
fn flag_tags(char: char, rest: &str) -> &str {
    const FLAG: char = '\u{1f3f4}';
    const TAGS: [&str; 3] = [
        "\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
        "\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
        "\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}",
    ];
    if char != FLAG {
        return "";
    }
    TAGS.into_iter().find(|tags| rest.starts_with(tags)).unwrap_or_default()
}

/// The context before a character, which decides whether it may be shown.
#[derive(Default)]
struct Before {
    /// The last character, if it was shown, to which a selector, joiner or filler applies.
    last: Option<char>,
    /// The last character is an emoji that a joiner may join to another; digits, which are emoji by the
    /// standard, are not.
    is_picture: bool,
    /// The script of the last character, if it is a letter of a joining script.
    script: Option<u32>,
    marks: usize,
}

impl Before {
    fn push(&mut self, char: char, rest: &str, out: &mut Vec<u8>) {
        match char {
            '\0'..='\x1f' | '\x7f' => {
                *self = Self::default();
                out.extend([b'^', char as u8 ^ 0x40]);
            }
            _ if unicode::is_default_ignorable(char) => {
                if self.is_needed(char, rest) {
                    // The character modifies the one before it and starts nothing new.
                    self.last = Some(char);
                    push_char(char, out);
                } else if acts(char) {
                    *self = Self::default();
                    push_char(REPLACEMENT, out);
                }
            }
            // C1 control characters, line and paragraph separators, and annotations.
            '\u{80}'..='\u{9f}' | '\u{2028}'..='\u{2029}' | '\u{fff9}'..='\u{fffb}' => {
                *self = Self::default();
                push_char(REPLACEMENT, out);
            }
            _ if char.general_category_group() == GeneralCategoryGroup::Mark => {
                self.marks += 1;
                self.last = Some(char);
                match self.marks {
                    ..=MARKS_MAX => push_char(char, out),
                    // One sign replaces all surplus marks.
                    marks if marks == MARKS_MAX + 1 => push_char(REPLACEMENT, out),
                    _ => (),
                }
            }
            _ => {
                let (last, script) = (Some(char), joining_script(char));
                *self = Self { last, is_picture: is_picture(char), script, marks: 0 };
                push_char(char, out);
            }
        }
    }

    /// Whether a default-ignorable character has its intended effect here.
    fn is_needed(&self, char: char, rest: &str) -> bool {
        let mut rest = rest.chars();
        let next = rest.next();
        let joins_letters = || self.script.is_some() && self.script == next.and_then(joining_script);
        match char {
            ZWNJ => joins_letters(),
            ZWJ => {
                joins_letters()
                    || self.is_picture && next.is_some_and(is_picture)
                    || self.last.is_some_and(unicode::is_virama)
            }
            MONGOLIAN_VOWEL_SEPARATOR => self.script == joining_script(MONGOLIAN_A) && joins_letters(),
            LEADING_FILLER => match next {
                Some(VOWEL_FILLER) => rest.next().and_then(unicode::jamo) == Some(Jamo::Trailing),
                next => next.and_then(unicode::jamo) == Some(Jamo::Vowel),
            },
            VOWEL_FILLER => {
                self.last == Some(LEADING_FILLER) || self.last.and_then(unicode::jamo) == Some(Jamo::Leading)
            }
            _ => self.last.is_some_and(|last| unicode::is_variation(last, char)),
        }
    }
}

const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';
const MONGOLIAN_VOWEL_SEPARATOR: char = '\u{180e}';
const MONGOLIAN_A: char = '\u{1820}';
/// The filler for a missing leading consonant of a syllable.
const LEADING_FILLER: char = '\u{115f}';
/// The filler for a missing vowel of a syllable.
const VOWEL_FILLER: char = '\u{1160}';

/// The script of a letter, or of a mark on one, of a joining script.
fn joining_script(char: char) -> Option<u32> {
    let is_of_word =
        || matches!(char.general_category_group(), GeneralCategoryGroup::Letter | GeneralCategoryGroup::Mark);
    unicode::joining_script(char).filter(|_| is_of_word())
}

fn is_picture(char: char) -> bool {
    let is_letter_of_flag = matches!(char, '\u{1f1e6}'..='\u{1f1ff}');
    char.is_emoji_char() && !char.is_ascii() && !is_letter_of_flag
}

/// Whether a default-ignorable character is a bidi control or a tag.
fn acts(char: char) -> bool {
    matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
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
    fn what_turns_the_order_of_reading_is_shown() {
        for char in ('\u{202a}'..='\u{202e}')
            .chain('\u{2066}'..='\u{2069}')
            .chain('\u{e0000}'..='\u{e007f}')
            .chain('\u{2028}'..='\u{2029}')
            .chain('\u{fff9}'..='\u{fffb}')
        {
            check(&format!("a{char}b"), "a\u{fffd}b");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_left_out() {
        for char in "\u{ad}\u{34f}\u{61c}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2060}\u{2064}\u{feff}\u{fe0f}\u{e0100}\u{115f}\u{1160}\u{3164}\u{ffa0}\u{180b}\u{180e}\u{17b4}".chars() {
            check(&format!("a{char}b"), "ab");
            check(&format!("{char}"), "");
            check(&format!("a{char}\u{301}"), "a\u{301}");
        }
    }

    /// All 4,174, before and behind characters of every kind that could need one: only what that kind
    /// needs is shown, and what is shown once is shown as it is.
    #[test]
    fn no_ignorable_character_is_shown_where_nothing_needs_it() {
        let around = [
            "",
            "a",
            " ",
            "1",
            "\u{e9}",
            "e\u{301}",
            "\u{430}",
            "\u{5d0}",
            "\u{628}",
            "\u{915}",
            "\u{915}\u{94d}",
            "\u{1820}",
            "\u{4e00}",
            "\u{3042}",
            "\u{e01}",
            "\u{ac00}",
            "\u{1100}",
            "\u{1161}",
            "\u{11a8}",
            "\u{2229}",
            "\u{1f980}",
            "\u{1f3f4}",
            "\u{1f1e9}",
            "\u{2764}",
        ];
        let needed = |before: &str, char: char, behind: &str| match char {
            '\u{200c}' | '\u{200d}' if before == behind => {
                matches!(before, "\u{628}" | "\u{915}" | "\u{915}\u{94d}" | "\u{1820}")
                    || char == '\u{200d}' && matches!(before, "\u{1f980}" | "\u{1f3f4}" | "\u{2764}")
            }
            '\u{200c}' | '\u{200d}' if behind.starts_with('\u{915}') => before.starts_with('\u{915}'),
            '\u{200d}' if before.ends_with('\u{94d}') => true,
            '\u{200d}' => {
                let is_picture = |text| ["\u{1f980}", "\u{1f3f4}", "\u{2764}"].contains(&text);
                is_picture(before) && is_picture(behind)
            }
            '\u{180e}' => before == "\u{1820}" && behind == before,
            '\u{180b}'..='\u{180d}' | '\u{180f}' => before == "\u{1820}",
            '\u{fe00}' | '\u{fe01}' => ["\u{4e00}", "\u{2229}"].contains(&before),
            '\u{fe02}' | '\u{e0100}'..='\u{e01ef}' => before == "\u{4e00}",
            '\u{fe0e}' | '\u{fe0f}' => {
                ["1", "\u{1f980}", "\u{1f3f4}", "\u{1f1e9}", "\u{2764}"].contains(&before)
            }
            '\u{115f}' => behind == "\u{1161}",
            '\u{1160}' => before == "\u{1100}",
            _ => false,
        };
        let all: Vec<char> =
            ('\0'..=char::MAX).filter(|&char| crate::unicode::is_default_ignorable(char)).collect();
        assert_eq!(all.len(), 4_174);
        for before in around {
            for behind in ["", "a", "\u{301}", "\u{628}", "\u{915}", "\u{1820}", "\u{1161}", "\u{1f3f4}"] {
                for &char in &all {
                    let shown = match char {
                        _ if needed(before, char, behind) => char.to_string(),
                        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}' => {
                            "\u{fffd}".to_owned()
                        }
                        _ => String::new(),
                    };
                    check(&format!("{before}{char}{behind}"), &format!("{before}{shown}{behind}"));
                }
            }
        }
    }

    #[test]
    fn joiners_are_kept_between_letters_that_join() {
        for text in [
            // Persian, Sinhala, Bengali, Devanagari, old Malayalam at the end of a word, Mongolian.
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{645}\u{64e}\u{200c}\u{62e}",
            "\u{dc1}\u{dca}\u{200d}\u{dbb}\u{dd3}",
            "\u{9b0}\u{200d}\u{9cd}\u{9af}",
            "\u{915}\u{94d}\u{200d}\u{937}",
            "\u{915}\u{94d}\u{200c}\u{937}",
            "\u{d05}\u{d35}\u{d28}\u{d4d}\u{200d} x",
            "\u{182d}\u{180b}\u{180e}\u{1820}",
            "\u{712}\u{200c}\u{712}",
            "\u{7ca}\u{200d}\u{7cb}",
        ] {
            check(text, text);
        }
        check("\u{628}\u{200c}x", "\u{628}x");
        check("\u{628}\u{200c} \u{628}", "\u{628} \u{628}");
        check("\u{628}\u{200c}\u{200c}\u{628}", "\u{628}\u{200c}\u{628}");
        check("\u{628}\u{200c}\u{712}", "\u{628}\u{712}");
        check("\u{661}\u{200c}\u{661}", "\u{661}\u{661}");
    }

    #[test]
    fn emoji_sequences_are_kept_whole() {
        for text in [
            "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}",
            "\u{1f3f4}\u{200d}\u{2620}\u{fe0f}",
            "\u{1f9d1}\u{1f3fd}\u{200d}\u{1f91d}\u{200d}\u{1f9d1}\u{1f3fb}",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}!",
            "\u{2764}\u{fe0e}",
        ] {
            check(text, text);
        }
        check("1\u{200d}2", "12");
        check("1\u{fe0f}\u{fe0f}\u{20e3}", "1\u{fe0f}\u{20e3}");
        check("\u{1f980}\x07\u{fe0f}", "\u{1f980}^G");
        check("\u{1f1e9}\u{200d}\u{1f1ea}", "\u{1f1e9}\u{1f1ea}");
        // Tags that spell nothing, a country without an end, and a flag of another kind.
        check("\u{1f3f4}\u{e0068}\u{e0069}\u{e007f}", "\u{1f3f4}\u{fffd}\u{fffd}\u{fffd}");
        let wales = "\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}";
        check(&format!("\u{1f3f4}{wales}x"), &format!("\u{1f3f4}{}x", "\u{fffd}".repeat(5)));
        check(&format!("\u{1f3f3}{wales}\u{e007f}"), &format!("\u{1f3f3}{}", "\u{fffd}".repeat(6)));
    }

    #[test]
    fn variations_and_fillers_are_kept_where_they_are_used() {
        for text in [
            "\u{845b}\u{e0100}",
            "\u{845b}\u{fe00}",
            "\u{2229}\u{fe00}",
            "0\u{fe00}",
            "\u{115f}\u{1161}",
            "\u{115f}\u{1160}\u{11a8}",
            "\u{1100}\u{1160}",
            "\u{1100}\u{1160}\u{11a8}",
        ] {
            check(text, text);
        }
        check("\u{845b}\u{e0100}\u{e0101}", "\u{845b}\u{e0100}");
        check("\u{115f}\u{1160}", "");
        check("\u{115f}\u{1160}\u{ac00}", "\u{ac00}");
        check("\u{1100}\u{1160}\u{1160}", "\u{1100}\u{1160}");
        check("\u{ac00}\u{3164}\u{ac00}", "\u{ac00}\u{ac00}");
    }

    #[test]
    fn marks_do_not_pile_up() {
        let marks = |count| "\u{301}".repeat(count);
        check(&format!("a{}b", marks(8)), &format!("a{}b", marks(8)));
        check(&format!("a{}b{}", marks(500), marks(2)), &format!("a{}\u{fffd}b{}", marks(8), marks(2)));
    }
}
