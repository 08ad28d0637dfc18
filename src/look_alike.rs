//! Confusable names: detects names that look alike, so that they can be disambiguated.
//!
//! Two names look alike if their skeletons (UTS 39, Unicode Security Mechanisms) are equal, with or without
//! case folding, after trimming and with each run of blanks as one. Names are compared in their sanitized
//! form: a control character looks like the sign that is shown for it. [`Looks`] computes keys for a map: two
//! names look alike if they share a key.

use std::rc::Rc;

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};

use crate::sanitize::sanitized;
use crate::unicode::is_default_ignorable;

/// The skeletons of single characters, a line each in the order of the characters: a character, then its
/// skeleton. A character that is missing is its own skeleton; syllables of Hangul are computed.
///
/// This is what `unicode-security` holds, in a tenth of the size. The tests compare the two;
/// `GROUPCHAT_WRITE_SKELETONS=1 cargo test --lib look_alike` writes it anew.
const SKELETONS: &str = include_str!("look_alike/skeletons.txt");

/// Passes of skeleton and case folding after which nothing changes any more: a capital that looks like one
/// of another script has a small letter that looks like something else.
const PASSES: usize = 3;

/// The keys by which a name is compared with others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looks {
    /// Made from the name as it is written.
    written: Rc<str>,
    /// Made from the name with its case folded first.
    folded: Rc<str>,
}

impl Looks {
    /// The keys of `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let shown = sanitized(name);
        let folded: Rc<str> = key(fold(&shown)).into();
        let written: Rc<str> = key(shown).into();
        let folded = if folded == written { Rc::clone(&written) } else { folded };
        Self { written, folded }
    }

    /// The keys, each once.
    pub fn keys(&self) -> impl Iterator<Item = &Rc<str>> {
        let second = (self.folded != self.written).then_some(&self.folded);
        std::iter::once(&self.written).chain(second)
    }

    /// Whether two names look alike.
    #[must_use]
    pub fn are_like(&self, other: &Self) -> bool {
        self.keys().any(|key| other.keys().any(|theirs| theirs == key))
    }

    /// Whether nothing of the name can be seen.
    #[must_use]
    pub fn are_invisible(&self) -> bool {
        self.written.is_empty()
    }

    /// The key of the name as it is written: small letters with single blanks between them.
    #[must_use]
    pub fn as_written(&self) -> &str {
        &self.written
    }
}

fn key(mut name: String) -> String {
    for _ in 0..PASSES {
        name = fold(&skeleton(&name));
    }
    single_blanks(&name)
}

/// Full case folding, but for what depends on a language.
pub fn fold(text: &str) -> String {
    // Two letters can have one capital, as the two small sigmas do.
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// The skeleton of `text`, with the marks of each letter in the order of their numbers: the standard's
/// order needs a table more, and here only equality counts.
fn skeleton(text: &str) -> String {
    let mut skeleton = String::with_capacity(text.len());
    for char in text.chars().filter(|char| !is_default_ignorable(*char)) {
        push_syllable(char, |char| match prototype(char) {
            Some(prototype) => skeleton.push_str(prototype),
            None => skeleton.push(char),
        });
    }
    with_sorted_marks(&skeleton)
}

fn with_sorted_marks(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut chars: Vec<char> = text.chars().collect();
    sort_marks(&mut chars);
    chars.into_iter().collect()
}

/// Puts the marks of each letter in the order of their numbers.
pub fn sort_marks(chars: &mut [char]) {
    let is_mark = |char: char| char.general_category_group() == GeneralCategoryGroup::Mark;
    for marks in chars.chunk_by_mut(|one, other| is_mark(*one) && is_mark(*other)) {
        marks.sort_unstable();
    }
}

fn single_blanks(text: &str) -> String {
    text.split(is_blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Whether nothing is seen of a character but its width.
#[must_use]
pub fn is_blank(char: char) -> bool {
    char.is_whitespace() || char == '\u{2800}'
}

/// Takes a syllable of Hangul apart (The Unicode Standard, section 3.12); any other character is one part.
pub fn push_syllable(char: char, mut push: impl FnMut(char)) {
    const SYLLABLES: u32 = 0xac00;
    /// Before the first trailing consonant, so that the index 0 is none.
    const TRAILING: u32 = 0x11a7;
    const LEADING: u32 = 0x1100;
    const VOWEL: u32 = 0x1161;
    const VOWELS: u32 = 21;
    const TRAILINGS: u32 = 28;
    if !matches!(char, '\u{ac00}'..='\u{d7a3}') {
        return push(char);
    }
    let index = u32::from(char) - SYLLABLES;
    let parts = [
        LEADING + index / (VOWELS * TRAILINGS),
        VOWEL + index / TRAILINGS % VOWELS,
        TRAILING + index % TRAILINGS,
    ];
    parts.into_iter().filter(|part| *part != TRAILING).filter_map(char::from_u32).for_each(push);
}

/// The characters of ASCII that have a skeleton. Most names need no look at the table.
const ASCII_LIKE_OTHERS: &str = "\"%01I`m|";

/// What a single character looks like, if that is anything else.
#[must_use]
pub fn prototype(char: char) -> Option<&'static str> {
    if char.is_ascii() && !ASCII_LIKE_OTHERS.contains(char) {
        return None;
    }
    let mut utf8 = [0; 4];
    let wanted: &str = char.encode_utf8(&mut utf8);
    let mut rest = SKELETONS;
    // Bytes of UTF-8 have the order of the characters.
    while !rest.is_empty() {
        let middle = rest.floor_char_boundary(rest.len() / 2);
        let start = rest[..middle].rfind('\n').map_or(0, |end| end + 1);
        let length = rest[start..].find('\n').unwrap_or(rest.len() - start);
        let line = &rest[start..start + length];
        if let Some(prototype) = line.strip_prefix(wanted) {
            return Some(prototype);
        }
        rest = if line < wanted { &rest[(start + length + 1).min(rest.len())..] } else { &rest[..start] };
    }
    None
}

/// The sign of ASCII that a character looks like: itself, or for a sign of another block what its skeleton
/// or its name says. Letters and marks of other scripts are no signs.
#[must_use]
pub fn ascii_sign(char: char) -> char {
    match char {
        // FULLWIDTH and SMALL forms.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(char) - 0xfee0).unwrap_or(char),
        '\u{2d0}' | '\u{fe55}' => ':',
        '\u{fe5f}' | '\u{266f}' => '#',
        '\u{2055}' | '\u{2731}'..='\u{2733}' | '\u{fe61}' => '*',
        '\u{fe63}' => '-',
        '\u{fe6b}' => '@',
        // Brackets and quotation marks that the table takes for others, or for none.
        '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{2036}' | '\u{301d}'..='\u{301f}' => '"',
        // Letters that are drawn as such.
        '\u{2ba}' | '\u{2ee}' | '\u{5f4}' => '"',
        '\u{27e6}' | '\u{301a}' | '\u{2045}' | '\u{3010}' | '\u{3014}' => '[',
        '\u{27e7}' | '\u{301b}' | '\u{2046}' | '\u{3011}' | '\u{3015}' => ']',
        '\u{2013}'..='\u{2015}' => '-',
        _ if char.is_ascii() => char,
        _ => match char.general_category_group() {
            GeneralCategoryGroup::Punctuation | GeneralCategoryGroup::Symbol => {
                let mut chars = prototype(char).unwrap_or_default().chars();
                match (chars.next(), chars.next()) {
                    (Some(sign), None) if sign.is_ascii_punctuation() => sign,
                    // The skeleton of a quotation mark.
                    (Some('\''), Some('\'')) => '"',
                    _ => char,
                }
            }
            _ => char,
        },
    }
}

/// Whether a character looks like an apostrophe, two of which look like a quotation mark.
#[must_use]
pub fn is_apostrophe(char: char) -> bool {
    // Among the letters is the yod of Hebrew, which readers tell from a sign.
    char == '\'' || prototype(char) == Some("'") && char.general_category() != GeneralCategory::OtherLetter
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn of_the_standard(text: &str) -> String {
        unicode_security::skeleton(text).collect()
    }

    #[test]
    fn the_table_is_that_of_the_standard() {
        let mut table = String::new();
        for char in '\0'..=char::MAX {
            let prototype = of_the_standard(char.encode_utf8(&mut [0; 4]));
            let is_itself = prototype.chars().eq([char]);
            if !is_itself && !is_default_ignorable(char) && !matches!(char, '\u{ac00}'..='\u{d7a3}') {
                assert!(!prototype.contains('\n'), "{char:?}");
                writeln!(table, "{char}{prototype}").expect("a string takes everything");
            }
        }
        if std::env::var_os("GROUPCHAT_WRITE_SKELETONS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/look_alike/skeletons.txt");
            std::fs::write(path, &table).expect("the table is written");
        }
        assert!(table == SKELETONS, "the table is another");
    }

    #[test]
    fn every_character_has_the_skeleton_of_the_standard() {
        for char in '\0'..=char::MAX {
            let text = char.to_string();
            assert_eq!(skeleton(&text), with_sorted_marks(&of_the_standard(&text)), "{char:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn names_of_one_skeleton_look_alike(text in "\\PC{0,20}", other in "\\PC{0,20}") {
            let [text, other] = [sanitized(&text), sanitized(&other)];
            let skeletons = [&text, &other].map(|text| of_the_standard(text));
            prop_assert_eq!(skeleton(&text), with_sorted_marks(&skeletons[0]));
            prop_assert!(Looks::new(&text).are_like(&Looks::new(&skeletons[0])));
            prop_assert!(Looks::new(&text).are_like(&Looks::new(&text.to_lowercase())));
            prop_assert!(Looks::new(&text).are_like(&Looks::new(&text.to_uppercase())));
            if skeletons[0] == skeletons[1] {
                prop_assert!(Looks::new(&text).are_like(&Looks::new(&other)));
            }
        }
    }

    #[track_caller]
    fn check(one: &str, other: &str, is_like: bool) {
        let [one_looks, other_looks] = [one, other].map(Looks::new);
        assert_eq!(one_looks.are_like(&other_looks), is_like, "{one:?} and {other:?}");
        assert_eq!(other_looks.are_like(&one_looks), is_like, "{other:?} and {one:?}");
    }

    #[test]
    fn confusable_names_look_alike() {
        for (one, other) in [
            ("bob", "bob"),
            ("bob", "Bob"),
            ("bob", "b\u{43e}b"),
            ("BOB", "\u{412}\u{41e}\u{412}"),
            ("bob", "\u{412}\u{41e}\u{412}"),
            ("bob", " bob  "),
            ("mary ann", "Mary\u{a0}\u{2003}Ann"),
            ("bob", "b\u{200b}o\u{ad}b\u{feff}"),
            ("bob", "\u{ff42}\u{ff4f}\u{ff42}"),
            ("bob", "\u{1d41b}\u{1d428}\u{1d41b}"),
            ("bob", "b0b"),
            ("Ian", "lan"),
            ("ian", "IAN"),
            ("Max", "\u{39c}ax"),
            ("max", "\u{39c}ax"),
            ("marn", "mam"),
            ("J\u{fc}rgen", "Ju\u{308}rgen"),
            ("a\u{323}\u{301}", "a\u{301}\u{323}"),
            ("stra\u{df}e", "STRASSE"),
            ("\u{3c3}\u{3bf}\u{3c6}\u{3cc}\u{3c2}", "\u{3a3}\u{39f}\u{3a6}\u{38c}\u{3a3}"),
            ("\u{ac01}", "\u{1100}\u{1161}\u{11a8}"),
            ("", "\u{200b}\u{2800} "),
            ("a\u{202e}b", "a\u{fffd}b"),
            ("a\u{202e}b", "A\u{e0041}B"),
            ("bob\u{2028}c", "bob\u{fffd}c"),
            ("x\u{9b}", "x\u{fff9}"),
            ("x\x07", "x^G"),
            ("x\x07", "X^g"),
            ("t\tu", "t^Iu"),
            ("t\u{7f}", "t^?"),
            ("\x1bO", "^[0"),
            ("k", "\u{212a}"),
        ] {
            check(one, other, true);
        }
    }

    #[test]
    fn other_names_do_not() {
        for (one, other) in [
            ("bob", "rob"),
            ("bob", "bobby"),
            ("mary ann", "maryann"),
            ("bob", "\u{431}\u{43e}\u{431}"),
            ("anna", "\u{430}\u{43d}\u{43d}\u{430}"),
            ("\u{5d3}\u{5d5}\u{5d3}", "\u{5d3}\u{5d5}\u{5d5}"),
            ("\u{674e}", "\u{738b}"),
            ("J\u{fc}rgen", "Jurgen"),
            ("\u{1f980}", "\u{1f44d}"),
            ("", "bob"),
            ("a\u{202e}b", "ab"),
            ("bob\u{2028}c", "bob c"),
            ("t\tu", "t u"),
            ("x\x07", "x\x08"),
        ] {
            check(one, other, false);
        }
    }

    #[test]
    fn signs_are_read_whatever_block_they_are_of() {
        for (chars, sign) in [
            (":\u{ff1a}\u{2236}\u{a789}\u{fe55}\u{2d0}", ':'),
            ("[\u{ff3b}\u{301a}\u{3010}", '['),
            ("]\u{ff3d}\u{301b}", ']'),
            ("\"\u{ff02}\u{201c}\u{201d}\u{2ba}\u{2ee}\u{2dd}\u{5f4}\u{2033}\u{3003}", '"'),
            ("*\u{ff0a}\u{2217}\u{204e}\u{2731}\u{2055}", '*'),
            ("/\u{ff0f}\u{2044}\u{2215}", '/'),
            ("@\u{ff20}\u{fe6b}", '@'),
            ("-\u{2010}\u{2212}\u{2014}\u{ff0d}", '-'),
            ("#\u{ff03}\u{266f}", '#'),
        ] {
            for char in chars.chars() {
                assert_eq!(ascii_sign(char), sign, "{char:?}");
            }
        }
        for char in "'\u{2019}\u{2018}\u{ff07}\u{2bc}\u{2032}`\u{b4}".chars() {
            assert!(is_apostrophe(char), "{char:?}");
        }
        assert!(!['"', ',', 'a', '\u{5d9}', '\u{301}'].into_iter().any(is_apostrophe));
        for char in ['a', '\u{e4}', '\u{903}', '\u{2d1}', '\u{738b}', '\u{1f980}'] {
            assert_eq!(ascii_sign(char), char);
        }
    }
}
