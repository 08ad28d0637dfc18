//! Character properties from the Unicode Character Database (version 17) that no small crate provides: compact
//! tables, each with the name of its source file.

use unicode_properties::UnicodeEmoji as _;

/// Whether a character is one that a renderer without support for it leaves out: the property
/// `Default_Ignorable_Code_Point` (`DerivedCoreProperties.txt`), 4,174 code points.
#[must_use]
pub fn is_default_ignorable(char: char) -> bool {
    matches!(
        char,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether a character is white space or invisible.
#[must_use]
pub fn is_blank_char(char: char) -> bool {
    char.is_whitespace() || is_default_ignorable(char) || char == '\u{2800}'
}

/// Whether `text` has no visible character.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    // The first byte decides most texts.
    !text.starts_with(|char: char| char.is_ascii_graphic()) && text.chars().all(is_blank_char)
}

/// The script of a letter or mark whose script joins letters, as a number: two characters of one script
/// have the same.
///
/// These are the scripts with letters of the joining type `D` (`DerivedJoiningType.txt`), and those with
/// a virama (canonical combining class 9) that makes conjuncts. Neighbouring blocks of one script
/// (`Scripts.txt`) are one range, with the few digits and signs in them: the caller checks
/// whether a character is a letter.
#[must_use]
pub fn joining_script(char: char) -> Option<u32> {
    let char = u32::from(char);
    let index = JOINING_SCRIPTS.partition_point(|&(_, last, _)| last < char);
    JOINING_SCRIPTS.get(index).filter(|(first, ..)| *first <= char).map(|&(.., script)| script)
}

/// First and last character, and the first range of the same script.
const JOINING_SCRIPTS: &[(u32, u32, u32)] = &[
    // Arabic, Syriac, Arabic, N'Ko, Mandaic, Syriac, Arabic.
    (0x610, 0x6ff, 0x610),
    (0x710, 0x74f, 0x710),
    (0x750, 0x77f, 0x610),
    (0x7ca, 0x7fd, 0x7ca),
    (0x840, 0x85b, 0x840),
    (0x860, 0x86a, 0x710),
    (0x870, 0x8ff, 0x610),
    // Devanagari, Bengali, Gurmukhi, Gujarati, Oriya, Tamil, Telugu, Kannada, Malayalam, Sinhala.
    (0x900, 0x97f, 0x900),
    (0x980, 0x9fe, 0x980),
    (0xa01, 0xa75, 0xa01),
    (0xa81, 0xaff, 0xa81),
    (0xb01, 0xb71, 0xb01),
    (0xb82, 0xbd7, 0xb82),
    (0xc00, 0xc63, 0xc00),
    (0xc80, 0xcf3, 0xc80),
    (0xd00, 0xd7f, 0xd00),
    (0xd81, 0xdf3, 0xd81),
    // Myanmar, Tagalog, Khmer, Mongolian, Tai Tham, Balinese, Sundanese, Batak.
    (0x1000, 0x109d, 0x1000),
    (0x1700, 0x171f, 0x1700),
    (0x1780, 0x17dd, 0x1780),
    (0x1807, 0x18aa, 0x1807),
    (0x1a20, 0x1aa7, 0x1a20),
    (0x1b00, 0x1b73, 0x1b00),
    (0x1b80, 0x1bbf, 0x1b80),
    (0x1bc0, 0x1bf3, 0x1bc0),
    // Syloti Nagri, Phags-pa, Saurashtra, Devanagari, Rejang, Javanese, Myanmar, Meetei Mayek.
    (0xa800, 0xa82c, 0xa800),
    (0xa840, 0xa873, 0xa840),
    (0xa880, 0xa8c5, 0xa880),
    (0xa8e0, 0xa8ff, 0x900),
    (0xa930, 0xa953, 0xa930),
    (0xa980, 0xa9c0, 0xa980),
    (0xa9e0, 0xa9fe, 0x1000),
    (0xaa60, 0xaa7f, 0x1000),
    (0xaae0, 0xaaf6, 0xaae0),
    (0xabc0, 0xabed, 0xaae0),
    // Arabic presentation forms.
    (0xfb50, 0xfdfb, 0x610),
    (0xfe70, 0xfefc, 0x610),
    // Kharoshthi, Manichaean, Psalter Pahlavi, Hanifi Rohingya, Arabic, Sogdian, Old Uyghur, Chorasmian.
    (0x10a00, 0x10a3f, 0x10a00),
    (0x10ac0, 0x10ae6, 0x10ac0),
    (0x10b80, 0x10b91, 0x10b80),
    (0x10d00, 0x10d27, 0x10d00),
    (0x10ec2, 0x10eff, 0x610),
    (0x10f30, 0x10f50, 0x10f30),
    (0x10f70, 0x10f85, 0x10f70),
    (0x10fb0, 0x10fc4, 0x10fb0),
    // Brahmi, Kaithi, Chakma, Sharada, Khojki, Khudawadi, Grantha, Tulu-Tigalari, Newa, Tirhuta, Siddham,
    // Modi, Takri, Ahom, Dogra, Dives Akuru, Nandinagari.
    (0x11000, 0x1107f, 0x11000),
    (0x11080, 0x110c2, 0x11080),
    (0x11100, 0x11147, 0x11100),
    (0x11180, 0x111dc, 0x11180),
    (0x11200, 0x11241, 0x11200),
    (0x112b0, 0x112ea, 0x112b0),
    (0x11300, 0x11374, 0x11300),
    (0x11380, 0x113e2, 0x11380),
    (0x11400, 0x11461, 0x11400),
    (0x11480, 0x114c7, 0x11480),
    (0x11580, 0x115dd, 0x11580),
    (0x11600, 0x11644, 0x11600),
    (0x11680, 0x116b8, 0x11680),
    (0x11700, 0x11746, 0x11700),
    (0x11800, 0x1183a, 0x11800),
    (0x11900, 0x11943, 0x11900),
    (0x119a0, 0x119e4, 0x119a0),
    // Zanabazar Square, Soyombo, Devanagari, Bhaiksuki, Masaram Gondi, Gunjala Gondi, Kawi.
    (0x11a00, 0x11a47, 0x11a00),
    (0x11a50, 0x11a9d, 0x11a50),
    (0x11b00, 0x11b09, 0x900),
    (0x11c00, 0x11c40, 0x11c00),
    (0x11d00, 0x11d47, 0x11d00),
    (0x11d60, 0x11d98, 0x11d60),
    (0x11f00, 0x11f5a, 0x11f00),
    // Hanunoo has a virama that joins nothing; Gurung Khema, Adlam, Arabic mathematics.
    (0x16100, 0x1612f, 0x16100),
    (0x1e900, 0x1e94b, 0x1e900),
    (0x1ee00, 0x1eebb, 0x610),
];

/// Whether this is the virama of an Indic script in which a joiner behind it makes a form of its own at
/// the end of a word, too (`IndicSyllabicCategory.txt`).
#[must_use]
pub fn is_virama(char: char) -> bool {
    // The blocks of these scripts were laid out alike.
    matches!(char, '\u{900}'..='\u{d7f}') && u32::from(char) & 0x7f == 0x4d || char == '\u{dca}'
}

/// Whether `selector` chooses a form of `base`: where `StandardizedVariants.txt` or
/// `emoji-variation-sequences.txt` has the two, or `base` is an ideograph, of which the Ideographic
/// Variation Database lists forms. For emoji and Mongolian letters, any one counts that has such forms at
/// all, since fonts know more than the lists.
#[must_use]
pub fn is_variation(base: char, selector: char) -> bool {
    match selector {
        '\u{180b}'..='\u{180d}' | '\u{180f}' => matches!(base, '\u{1820}'..='\u{18aa}'),
        '\u{fe00}'..='\u{fe01}' => has_standard_variants(base) || is_ideograph(base) || is_hieroglyph(base),
        '\u{fe02}' => is_ideograph(base) || is_hieroglyph(base),
        '\u{fe03}'..='\u{fe06}' => is_hieroglyph(base),
        '\u{fe0e}'..='\u{fe0f}' => base.is_emoji_char(),
        '\u{e0100}'..='\u{e01ef}' => is_ideograph(base),
        _ => false,
    }
}

/// Whether this is a unified ideograph.
#[must_use]
pub fn is_ideograph(char: char) -> bool {
    matches!(char, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{fa0e}'..='\u{fa29}')
        || matches!(char, '\u{20000}'..='\u{2f7ff}' | '\u{30000}'..='\u{3fffd}')
}

/// Whether this is an Egyptian hieroglyph, which selectors turn.
fn is_hieroglyph(char: char) -> bool {
    matches!(char, '\u{13000}'..='\u{1342f}' | '\u{13443}'..='\u{13446}' | '\u{13460}'..='\u{143fa}')
}

/// Digits, punctuation, mathematical signs, and letters of Myanmar, Phags-pa and Manichaean.
fn has_standard_variants(base: char) -> bool {
    matches!(
        base,
        '0' | '\u{ff10}'
            | '\u{2018}'..='\u{2019}'
            | '\u{201c}'..='\u{201d}'
            | '\u{3001}'..='\u{3002}'
            | '\u{ff01}'
            | '\u{ff0c}'
            | '\u{ff0e}'
            | '\u{ff1a}'..='\u{ff1b}'
            | '\u{ff1f}'
            | '\u{210b}'
            | '\u{2110}'
            | '\u{2112}'
            | '\u{211b}'
            | '\u{212c}'
            | '\u{2130}'..='\u{2131}'
            | '\u{2133}'
            | '\u{2205}'
            | '\u{2229}'..='\u{222a}'
            | '\u{2268}'..='\u{2269}'
            | '\u{2272}'..='\u{2273}'
            | '\u{228a}'..='\u{228b}'
            | '\u{2293}'..='\u{2295}'
            | '\u{2297}'
            | '\u{229c}'
            | '\u{22da}'..='\u{22db}'
            | '\u{2a3c}'..='\u{2a3d}'
            | '\u{2a9d}'..='\u{2a9e}'
            | '\u{2aac}'..='\u{2aad}'
            | '\u{2acb}'..='\u{2acc}'
            | '\u{1d49c}'..='\u{1d4b5}'
            | '\u{1000}'..='\u{1004}'
            | '\u{1010}'..='\u{1022}'
            | '\u{1031}'
            | '\u{1075}'..='\u{1080}'
            | '\u{aa60}'..='\u{aa66}'
            | '\u{aa6b}'..='\u{aa6f}'
            | '\u{aa7a}'
            | '\u{a856}'..='\u{a868}'
            | '\u{10ac5}'..='\u{10ac6}'
            | '\u{10ad6}'..='\u{10ad7}'
            | '\u{10ae1}'
    )
}

/// What a letter of Hangul is in its syllable (`HangulSyllableType.txt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jamo {
    /// The consonant before the vowel, but for the filler U+115F.
    Leading,
    /// The vowel, but for the filler U+1160.
    Vowel,
    /// The consonant behind the vowel.
    Trailing,
}

/// Which letter of a syllable this is, if one.
#[must_use]
pub fn jamo(char: char) -> Option<Jamo> {
    match char {
        '\u{1100}'..='\u{115e}' | '\u{a960}'..='\u{a97c}' => Some(Jamo::Leading),
        '\u{1161}'..='\u{11a7}' | '\u{d7b0}'..='\u{d7c6}' => Some(Jamo::Vowel),
        '\u{11a8}'..='\u{11ff}' | '\u{d7cb}'..='\u{d7fb}' => Some(Jamo::Trailing),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_characters_are_ignorable_as_the_database_says() {
        assert_eq!(
            (0..=0x10_ffff).filter_map(char::from_u32).filter(|&char| is_default_ignorable(char)).count(),
            4_174
        );
    }

    #[test]
    fn ranges_of_scripts_are_in_order() {
        assert!(JOINING_SCRIPTS.iter().all(|(first, last, _)| first <= last));
        assert!(JOINING_SCRIPTS.windows(2).all(|two| two[0].1 < two[1].0));
    }

    #[test]
    fn letters_of_one_script_have_one_number() {
        let script = |char| joining_script(char).unwrap_or_default();
        for (one, other) in [('\u{628}', '\u{fef4}'), ('\u{915}', '\u{a8e0}'), ('\u{712}', '\u{860}')] {
            assert_eq!(script(one), script(other));
            assert_ne!(script(one), 0);
        }
        assert_ne!(script('\u{628}'), script('\u{712}'));
        for char in ['a', '\u{60c}', '\u{430}', '\u{5d0}', '\u{e01}', '\u{4e00}', '\u{ac00}'] {
            assert_eq!(joining_script(char), None, "{char}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_blank() {
        for text in
            ["", " ", "\t\n", "\u{200b}", "\u{3000}\u{3164}", "\u{2800}", "\u{e0041}", "\u{fe0f}\u{200d}"]
        {
            assert!(is_blank(text), "{text:?}");
        }
        for text in ["x", " x", "\u{200b}x", "\u{e9}", "\u{1f44b}", "\u{7}", "."] {
            assert!(!is_blank(text), "{text:?}");
        }
    }
}
