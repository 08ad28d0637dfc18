//! Mentions: finds the user's name in messages of others, in every script.

mod addresses;
mod particles;

use std::cell::Cell;
use std::ops::Range;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};
use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation as _};

use addresses::Run;
use particles::{are_particles, is_hangul};

use crate::look_alike::{is_blank, prototype, push_syllable, sort_marks};
use crate::unicode::{is_default_ignorable, is_ideograph};

/// A name to search for, in every form that looks like it: in any case, composed or decomposed, in full-width
/// letters, with any apostrophe, any run of blanks, and invisible characters.
///
/// In scripts that separate words by blanks, a mention is a whole word, possibly with a suffix of the language:
/// Korean particles, or a suffix after an apostrophe (`bob's`, `Ali'nin`). In scripts without blanks, a name of
/// two or more characters matches anywhere; a name of one character only after `@`, or without a letter next
/// to it. The underscores of `_emphasis_` are not part of a word. A URL, an e-mail address, a host name or a
/// path contains no mention.
#[derive(Debug)]
pub struct Pattern {
    folded: Vec<char>,
    is_one_character: bool,
    /// A cache: recent non-ASCII characters of texts, and whether the name can start with each, since folding
    /// a character takes a binary search.
    beginnings: Vec<Cell<(char, bool)>>,
}

impl Pattern {
    /// The pattern of `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        const MEMO_CHARS: usize = 256;
        let (mut folded, mut rest) = (Vec::new(), name.trim_start_matches(is_default_ignorable));
        while !rest.is_empty() {
            let (unit, behind) = rest.split_at(unit_length(rest));
            push_folded(unit, &mut folded);
            rest = behind;
        }
        let is_one_character = name.graphemes(true).count() == 1;
        Self { folded, is_one_character, beginnings: vec![Cell::default(); MEMO_CHARS] }
    }

    /// The ranges of `text`, in bytes and in order, that mention the name.
    pub fn find_all<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Range<usize>> + use<'a> {
        Mentions { text, is_ascii: text.is_ascii(), name: self, from: 0, run: Run::default() }
    }

    /// Whether the name can start with `char`.
    fn begins_with(&self, char: char) -> bool {
        let first = self.folded.first();
        if char.is_ascii() {
            return first == Some(&fold_ascii(char));
        }
        let memo = &self.beginnings[char as usize % self.beginnings.len()];
        if memo.get().0 != char {
            let mut folded = Vec::new();
            push_folded(char.encode_utf8(&mut [0; 4]), &mut folded);
            memo.set((char, !folded.is_empty() && folded.first() == first));
        }
        memo.get().1
    }

    /// The length of the prefix of `text` that looks like the name, in bytes.
    fn prefix_length(&self, text: &str) -> Option<usize> {
        let (mut wanted, mut length, mut folded) = (&*self.folded, 0, Vec::new());
        while let Some((first, others)) = wanted.split_first() {
            let rest = &text[length..];
            let unit = match rest.as_bytes() {
                // No mark can follow.
                [byte @ b'!'..=b'~'] | [byte @ b'!'..=b'~', ..=b'~', ..] => {
                    if fold_ascii(char::from(*byte)) != *first {
                        return None;
                    }
                    wanted = others;
                    1
                }
                _ => {
                    let unit = unit_length(rest);
                    folded.clear();
                    push_folded(&rest[..unit], &mut folded);
                    wanted = wanted.strip_prefix(&*folded).filter(|_| unit > 0)?;
                    unit
                }
            };
            length += unit;
        }
        let is_selector = |char| matches!(char, '\u{fe00}'..='\u{fe0f}');
        let is_behind = |char| is_default_ignorable(char) && !is_selector(char);
        Some(text[..length].trim_end_matches(is_behind).len())
    }
}

/// The length of the first unit of `text`, in bytes: a run of blanks, or a character with its marks.
fn unit_length(text: &str) -> usize {
    let rest = match text.chars().next() {
        None => text,
        Some(first) if is_blank(first) => {
            text.trim_start_matches(|char| is_blank(char) || is_default_ignorable(char))
        }
        Some(first) => text[first.len_utf8()..].trim_start_matches(is_attached),
    };
    text.len() - rest.len()
}

/// Appends the folded form of a unit, with its marks in code point order.
fn push_folded(unit: &str, out: &mut Vec<char>) {
    const DOT_ABOVE: char = '\u{307}';
    if unit.starts_with(is_blank) {
        out.push(' ');
        return;
    }
    let start = out.len();
    for char in unit.chars().filter(|&char| !is_default_ignorable(char)).map(without_width).flat_map(folded) {
        push_syllable(char, |char| match prototype(char) {
            // ASCII characters that look alike stay different, as in AI and Al.
            _ if char.is_ascii() => out.push(fold_ascii(char)),
            // The dotted capital of Turkish is an i.
            _ if char == DOT_ABOVE && out[start..].ends_with(&['i']) => (),
            Some(prototype) => match prototype.strip_prefix("rn") {
                Some(marks) => out.extend(std::iter::once('m').chain(marks.chars())),
                None => out.extend(prototype.chars().flat_map(folded)),
            },
            None => out.push(char),
        });
    }
    sort_marks(&mut out[start..]);
}

fn fold_ascii(char: char) -> char {
    if char == '`' { '\'' } else { char.to_ascii_lowercase() }
}

/// The character of ASCII for its full-width form.
fn without_width(char: char) -> char {
    match char {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(char) - 0xfee0).unwrap_or(char),
        _ => char,
    }
}

struct Mentions<'a> {
    text: &'a str,
    is_ascii: bool,
    name: &'a Pattern,
    /// The position where the search continues.
    from: usize,
    /// A cache of the last run: a text without blanks is one long run, which is scanned only once.
    run: Run,
}

impl Iterator for Mentions<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        while let Some(start) = self.next_beginning() {
            let rest = &self.text[start..];
            self.from = start + rest.chars().next().map_or(0, char::len_utf8);
            let Some(length) = self.name.prefix_length(rest) else { continue };
            let found = start..start + length;
            if self.is_mention(&found) {
                self.from = found.end;
                return Some(found);
            }
        }
        self.from = self.text.len();
        None
    }
}

impl Mentions<'_> {
    /// The next position where the name can start.
    fn next_beginning(&self) -> Option<usize> {
        let rest = &self.text[self.from..];
        let offset = if self.is_ascii {
            // The fast path: most texts are ASCII, and most do not mention the user.
            let first = u8::try_from(*self.name.folded.first()?).ok()?;
            match first {
                b'\'' => memchr::memchr2(first, b'`', rest.as_bytes()),
                _ => memchr::memchr2(first, first.to_ascii_uppercase(), rest.as_bytes()),
            }
        } else {
            rest.find(|char| self.name.begins_with(char))
        };
        offset.map(|offset| self.from + offset)
    }
}

impl Mentions<'_> {
    fn is_mention(&mut self, found: &Range<usize>) -> bool {
        let (text, name) = (self.text, &self.text[found.clone()]);
        let (before, behind) = (&text[..found.start], &text[found.end..]);
        let behind = behind.trim_start_matches(is_default_ignorable);
        let is_whole = |at| GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0) == Ok(true);
        let has_mark = behind.chars().next().is_some_and(is_attached);
        if has_mark || !is_whole(found.start) || !is_whole(text.len() - behind.len()) {
            return false;
        }
        let (Some(first), Some(last)) = (name.chars().find(|&char| !is_attached(char)), last_base(name))
        else {
            return false;
        };
        let (before, behind) = (without_emphasis(before, behind), without_emphasis_behind(before, behind));
        let (left, right) = (last_base(before), behind.chars().next());
        let is_in_windows_path = left == Some('\\') || right == Some('\\');
        let is_letter = |char: Option<char>| char.is_some_and(char::is_alphabetic);
        let is_word = if self.name.is_one_character && is_written_without_blanks(first) {
            matches!(left, Some('@' | '\u{ff20}')) || !is_letter(left) && !is_letter(right)
        } else {
            let is_begun = match left {
                Some(char) if is_apostrophe(char) => may_precede_apostrophe(before),
                _ => is_apart(left, Some(first)),
            };
            is_begun
                && match right {
                    Some(char) if is_apostrophe(char) => is_apostrophe_suffix(name, behind),
                    Some(next) if is_hangul(last) && is_hangul(next) => are_particles(behind),
                    _ => is_apart(Some(last), right),
                }
        };
        is_word && !is_in_windows_path && !self.is_in_address(found)
    }

    fn is_in_address(&mut self, found: &Range<usize>) -> bool {
        if found.start >= self.run.end {
            self.run = Run::around(self.text, found.start);
        }
        let next = self.run.addresses.partition_point(|address| address.end <= found.start);
        // A name can have the form of a host name itself, with the end of a sentence behind it.
        let is_name = |address: &Range<usize>| {
            address.start == found.start
                && address.end >= found.end
                && self.text[found.end..address.end].bytes().all(|byte| byte == b'.')
        };
        self.run.addresses.get(next).is_some_and(|address| address.start < found.end && !is_name(address))
    }
}

/// Whether a character is, or is often typed as, an apostrophe.
fn is_apostrophe(char: char) -> bool {
    matches!(char, '\'' | '`' | '\u{b4}' | '\u{2bc}' | '\u{2018}'..='\u{2019}' | '\u{2032}' | '\u{ff07}')
}

/// `before` without the underscores at its end that begin an emphasis: the next ones in `behind` end it.
fn without_emphasis<'a>(before: &'a str, behind: &str) -> &'a str {
    let outer = before.trim_end_matches('_');
    let begins = outer.len() < before.len() && is_apart(last_base(outer), Some('_'));
    let ends = || memchr::memchr(b'_', behind.as_bytes()).is_some_and(|at| ends_emphasis(&behind[at..]));
    if begins && ends() { outer } else { before }
}

/// `behind` without the underscores at its start that end an emphasis: the last ones in `before` begin it.
fn without_emphasis_behind<'a>(before: &str, behind: &'a str) -> &'a str {
    let begins = || {
        memchr::memrchr(b'_', before.as_bytes())
            .is_some_and(|at| is_apart(last_base(before[..at].trim_end_matches('_')), Some('_')))
    };
    if ends_emphasis(behind) && begins() { behind.trim_start_matches('_') } else { behind }
}

/// Whether the underscores at the start of `text`, if any, are at the end of a word.
fn ends_emphasis(text: &str) -> bool {
    let next = text.trim_start_matches('_').chars().next();
    text.starts_with('_') && (is_apart(Some('_'), next) || next.is_some_and(is_hangul))
}

/// Whether a word can end between two characters.
fn is_apart(left: Option<char>, right: Option<char>) -> bool {
    let (Some(left), Some(right)) = (left, right) else { return true };
    let are_letters = left.is_alphabetic() && right.is_alphabetic();
    !is_of_word(left)
        || !is_of_word(right)
        || is_written_without_blanks(left)
        || is_written_without_blanks(right)
        // A Korean particle may follow a name in another script.
        || are_letters && is_hangul(left) != is_hangul(right)
}

fn is_of_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// Whether a character attaches to the one before it, or is invisible.
fn is_attached(char: char) -> bool {
    is_default_ignorable(char) || char.general_category_group() == GeneralCategoryGroup::Mark
}

/// The last base character.
fn last_base(text: &str) -> Option<char> {
    text.chars().rev().find(|&char| !is_attached(char))
}

/// Whether a name may follow `text`, which ends with an apostrophe: before it is a blank, or an elided article
/// or preposition (`l'Ali`, `dell'Anna`), but not the `O` of `O'Brien`.
fn may_precede_apostrophe(text: &str) -> bool {
    const ELIDED: [&str; 14] =
        ["all", "c", "d", "dall", "dell", "j", "l", "m", "n", "nell", "qu", "s", "sull", "t"];
    let text = text.trim_end_matches(is_apostrophe);
    let word_start = text.rfind(|char: char| !is_of_word(char) && !is_attached(char));
    let word = word_start.map_or(text, |at| text[at..].trim_start_matches(|char: char| !is_of_word(char)));
    word.is_empty() || ELIDED.contains(&word)
}

/// Whether `behind`, which starts with an apostrophe, starts with a suffix: a few small letters, or capitals
/// after a name in capitals, but not the rest of `can't` or `O'Brien`.
fn is_apostrophe_suffix(name: &str, behind: &str) -> bool {
    const SUFFIX_CHARS_MAX: usize = 6;
    let suffix = behind.trim_start_matches(is_apostrophe);
    let letters = suffix.chars().take_while(|&char| is_of_word(char)).take(SUFFIX_CHARS_MAX + 1);
    let (mut count, mut has_capitals) = (0, false);
    for letter in letters {
        count += 1;
        has_capitals |= letter.is_uppercase();
    }
    let is_in_capitals = name.chars().count() > 1 && !name.contains(char::is_lowercase);
    let is_negation = count == 1 && suffix.starts_with(['t', 'T']);
    count <= SUFFIX_CHARS_MAX && !is_negation && (!has_capitals || is_in_capitals)
}

/// The length in bytes of the prefix of `text` that equals `prefix`, in any case; `None` if there is none.
#[must_use]
pub fn prefix_in_any_case(text: &str, prefix: &str) -> Option<usize> {
    let mut wanted = prefix.chars().flat_map(folded).peekable();
    for (at, char) in text.char_indices() {
        if wanted.peek().is_none() {
            return Some(at);
        }
        if !folded(char).all(|folded| wanted.next() == Some(folded)) {
            return None;
        }
    }
    wanted.next().is_none().then_some(text.len())
}

/// The case folding of a character, close to `CaseFolding.txt`. Folding by way of capitals unifies the forms of
/// sigma, and `ß` with `ss`. The dotted capital I of Turkish becomes i.
fn folded(char: char) -> impl Iterator<Item = char> {
    let char = if char == '\u{130}' { 'i' } else { char };
    char.to_uppercase().flat_map(char::to_lowercase)
}

/// Whether words of the character's script stand side by side without blanks: line breaking classes `ID`,
/// `CJ` and `SA` of letters (`LineBreak.txt`), and Bopomofo.
fn is_written_without_blanks(char: char) -> bool {
    matches!(
        char,
        // Thai, Lao, Myanmar, Khmer, Tai Le, New Tai Lue, Tai Tham.
        '\u{e01}'..='\u{e3a}' | '\u{e40}'..='\u{e4e}'
            | '\u{e81}'..='\u{ece}' | '\u{edc}'..='\u{edf}'
            | '\u{1000}'..='\u{103f}' | '\u{1050}'..='\u{108f}'
            | '\u{1780}'..='\u{17d3}'
            | '\u{1950}'..='\u{1974}' | '\u{1980}'..='\u{19c9}' | '\u{1a20}'..='\u{1a7c}'
            // Han, Hiragana, Katakana, Bopomofo, Yi.
            | '\u{3005}'..='\u{3007}' | '\u{3031}'..='\u{3035}' | '\u{303b}'..='\u{303c}'
            | '\u{3041}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{312f}'
            | '\u{31a0}'..='\u{31bf}' | '\u{31f0}'..='\u{31ff}' | '\u{a000}'..='\u{a48c}'
            | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}'
            // Myanmar and Tai Viet, further kana, further ideographs.
            | '\u{a9e0}'..='\u{a9ef}' | '\u{a9fa}'..='\u{a9fe}' | '\u{aa60}'..='\u{aa76}'
            | '\u{aa7a}'..='\u{aac2}' | '\u{1aff0}'..='\u{1b16f}'
    ) || is_ideograph(char)
        || matches!(char, '\u{2f800}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mentions stand in brackets.
    #[track_caller]
    fn check(name: &str, expected: &str) {
        let text = expected.replace(['[', ']'], "");
        let (mut marked, mut from) = (String::new(), 0);
        for Range { start, end } in Pattern::new(name).find_all(&text) {
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
        check(
            "bob",
            "@[bob] ([bob]) [bob], ,[bob] *[bob]* \u{201c}[bob]\u{201d} [bob]\u{2014}[bob]-[bob]/[bob]",
        );
        check("J\u{fc}rgen", "@[j\u{dc}rgen] j\u{fc}rge");
        check("mary ann", "[Mary Ann]! mary anne, mary");
        check("a-b", "[a-b] a-bc [A-B]");
        check("a.b", "[a.b] hi [a.b]. @[a.b]... [a.b], a.b.c a.b.c. x.a.b");
        check("\u{130}smail", "[\u{130}smail] [ismail] [ISMAIL]");
        check("I\u{15f}\u{131}k", "[I\u{15f}\u{131}k] [I\u{15e}IK]");
        check(
            "\u{39d}\u{3af}\u{3ba}\u{3bf}\u{3c2}",
            "[\u{39d}\u{38a}\u{39a}\u{39f}\u{3a3}]! [\u{3bd}\u{3af}\u{3ba}\u{3bf}\u{3c3}]",
        );
        check("Stra\u{df}e", "[STRASSE] [stra\u{df}e]");
        check(
            "\u{430}\u{43d}\u{43d}\u{430}",
            "[\u{410}\u{43d}\u{43d}\u{430}], \u{421}\u{443}\u{441}\u{430}\u{43d}\u{43d}\u{430}",
        );
        check("", "nobody");
    }

    #[test]
    fn suffixes_of_names_are_none_of_another_word() {
        check("bob", "[bob]'s [BOB]'S [bob]\u{2019}s [bob]'ll l'[bob] d\u{2019}[bob] '[bob]' o'bob O'Bob");
        check("Ali", "[Ali]'nin [Ali]\u{2019}ye [Ali]'yle, alinin");
        check("Can", "Can't [Can]'\u{131}n");
        check("O", "O'Brien");
        check("Brien", "O'Brien");
        // Names of Korean, and others with particles of Korean.
        check(
            "\u{bc25}",
            "[\u{bc25}]\u{c774} [\u{bc25}]\u{c544}! [\u{bc25}] [\u{bc25}]\u{b2d8}\u{aed8}\u{c11c}\u{b294}, \u{bc25}\u{c0c1} \u{c544}\u{bc25}",
        );
        check(
            "\u{bbfc}\u{c218}",
            "[\u{bbfc}\u{c218}]\u{ac00} [\u{bbfc}\u{c218}]\u{c528}\u{b294} [\u{bbfc}\u{c218}]\u{c57c} \u{bbfc}\u{c218}\u{c815} [\u{bbfc}\u{c218}]\u{c5d0}\u{ac8c}\u{b3c4} \u{bbfc}\u{c218}2",
        );
        check("bob", "[bob]\u{c774} [bob]\u{b2d8}, bob2\u{b2d8}");
    }

    #[test]
    fn scripts_without_blanks_need_none() {
        check(
            "\u{5c0f}\u{660e}",
            "\u{4f60}\u{597d}[\u{5c0f}\u{660e}]\u{5417} [\u{5c0f}\u{660e}] @[\u{5c0f}\u{660e}]\u{ff0c}\u{660e}",
        );
        check(
            "\u{660e}",
            "\u{660e}\u{5929} @[\u{660e}]\u{5929} [\u{660e}]\u{ff0c} \u{660e}a \u{ff20}[\u{660e}]\u{5929} [\u{660e}]",
        );
        check("\u{3055}\u{304f}\u{3089}", "[\u{3055}\u{304f}\u{3089}]\u{3061}\u{3083}\u{3093}");
        check("\u{30dc}\u{30d6}", "[\u{30dc}\u{30d6}]\u{3055}\u{3093}\u{306f}");
        check(
            "\u{e2a}\u{e21}\u{e0a}\u{e32}\u{e22}",
            "\u{e04}\u{e38}\u{e13}[\u{e2a}\u{e21}\u{e0a}\u{e32}\u{e22}]\u{e2d}\u{e22}\u{e39}\u{e48}\u{e44}\u{e2b}\u{e21}",
        );
        check(
            "\u{e9a}\u{eb8}\u{e99}",
            "\u{e97}\u{ec9}\u{eb2}\u{e27}[\u{e9a}\u{eb8}\u{e99}]\u{ea2}\u{eb9}\u{ec8}",
        );
        check("\u{179f}\u{17bb}\u{1781}", "\u{179b}\u{17c4}\u{1780}[\u{179f}\u{17bb}\u{1781}]\u{1793}");
        check("\u{1019}\u{1031}", "\u{1019}\u{1031}\u{102c}\u{1004}\u{103a}");
        check(
            "\u{1019}\u{1031}\u{102c}\u{1004}\u{103a}",
            "\u{1000}\u{102d}\u{102f}[\u{1019}\u{1031}\u{102c}\u{1004}\u{103a}]\u{101c}\u{102c}",
        );
        // A name in letters among them.
        check("bob", "\u{5728}[bob]\u{5bb6} [bob]\u{3055}\u{3093}\u{ff0c}\u{5728}bobby\u{5bb6}");
    }

    #[test]
    fn marks_count_with_their_base() {
        check("Jose", "[Jose] Jose\u{301} e\u{301}Jose");
        check("Jose\u{301}", "[Jose\u{301}] [JOSE\u{301}]");
        check("\u{e2a}\u{e21}", "[\u{e2a}\u{e21}] \u{e2a}\u{e21}\u{e34}");
        check("\u{30cf}\u{30cf}", "[\u{30cf}\u{30cf}] \u{30cf}\u{30cf}\u{3099}");
        check("\u{928}\u{92e}", "[\u{928}\u{92e}] \u{928}\u{92e}\u{93e} \u{928}\u{92e}\u{938}");
        check("\u{1f469}", "[\u{1f469}] \u{1f469}\u{200d}\u{1f467}");
        // What is not seen hides nothing.
        check("bob", "[bob]\u{200d} bob\u{200b}by by\u{ad}bob bob\u{200d}\u{301}");
    }

    #[test]
    fn nobody_is_mentioned_in_an_address() {
        check("bob", "https://bob.example/bob?bob=bob#bob [bob] ftp://x/~bob, (http://bob/) [bob]");
        check(
            "bob",
            "www.bob.org bob@example.org me@bob.example.org a.bob@x.org,bob@y.org [bob]@home hi@[bob]",
        );
        check("\u{5c0f}\u{660e}", "https://x.org/\u{5c0f}\u{660e}\u{ff0c}[\u{5c0f}\u{660e}]");
        check("bob", "\u{770b}https://x.org/bob\u{ff0c}[bob]");
        check("bob", "://[bob] <https://bob>[bob]");
    }

    #[test]
    fn a_long_text_is_read_once() {
        let text = "bob,".repeat(16_384);
        assert_eq!(Pattern::new("bob").find_all(&text).count(), 16_384);
        let text = format!("x://{text}");
        assert_eq!(Pattern::new("bob").find_all(&text).count(), 0);
        let text = "bob@x.org,".repeat(6_000);
        assert_eq!(Pattern::new("bob").find_all(&text).count(), 0);
    }
    #[test]
    fn what_looks_like_the_name_is_a_mention() {
        // Composed or decomposed.
        check("J\u{fc}rgen", "[Ju\u{308}rgen] [JU\u{308}RGEN]! Jurgen");
        check("Ju\u{308}rgen", "[J\u{fc}rgen] [J\u{dc}RGEN] Ju\u{301}rgen");
        check("Ti\u{1ebf}n", "[Ti\u{ea}\u{301}n] [Tie\u{302}\u{301}n] Ti\u{ea}n");
        check("Vi\u{1ec7}t", "[Vi\u{ea}\u{323}t] [Vie\u{323}\u{302}t] [vi\u{1eb9}\u{302}t]");
        check(
            "\u{39d}\u{3af}\u{3ba}\u{3bf}\u{3c2}",
            "[\u{39d}\u{3b9}\u{301}\u{3ba}\u{3bf}\u{3c2}] [\u{39d}\u{399}\u{301}\u{39a}\u{39f}\u{3a3}]",
        );
        check("\u{419}\u{43e}\u{440}", "[\u{418}\u{306}\u{43e}\u{440}] \u{418}\u{43e}\u{440}");
        check("\u{bbfc}\u{c218}", "[\u{1106}\u{1175}\u{11ab}\u{1109}\u{116e}]");
        check(
            "\u{1106}\u{1175}\u{11ab}\u{1109}\u{116e}",
            "[\u{bbfc}\u{c218}]\u{ac00} \u{bbfc}\u{c22d} \u{1106}\u{1175}\u{11ab}\u{1109}\u{116e}\u{11bc}",
        );
        check("\u{30d0}\u{30d0}", "[\u{30cf}\u{3099}\u{30cf}\u{3099}]");
        check("\u{130}smail", "[I\u{307}smail] [i\u{307}smail]");
        check("\u{e9}", "[e\u{301}] [E\u{301}] e");
        // Apostrophes, however they are typed.
        check(
            "O'Neil",
            "[O\u{2019}Neil] [o\u{2bc}neil] [O`Neil] [O\u{b4}Neil] [O\u{ff07}Neil]'s ONeil O Neil",
        );
        check("O\u{2019}Neil", "[O'Neil], Neil O'Neill");
        check("bob", "[bob]\u{b4}s `[bob]` \u{2018}[bob]\u{2019} [bob]\u{2bc}s");
        // Full-width letters, and those of mathematics.
        check(
            "bob",
            "[\u{ff42}\u{ff4f}\u{ff42}] [\u{ff22}\u{ff2f}\u{ff22}]\u{ff01} \u{ff42}\u{ff4f}\u{ff42}\u{ff11}",
        );
        check("Tom", "[\u{ff34}\u{ff4f}\u{ff4d}] [\u{1d42d}\u{1d428}\u{1d426}]");
        check("\u{ff42}\u{ff4f}\u{ff42}", "[bob] [BOB]");
        check("a-b", "[a\u{2010}b] [\u{ff41}\u{ff0d}\u{ff42}]");
        // Invisible characters do not separate.
        check("bob", "[b\u{200b}ob] [b\u{ad}o\u{2060}b]\u{feff}! \u{200b}[bob] b\u{200b}obby");
        check("b\u{200b}ob", "[bob]");
        check("\u{200b}", "a\u{200b}b");
        check("\u{2764}\u{fe0f}", "[\u{2764}] [\u{2764}\u{fe0f}]");
        // Any number of blanks counts as one.
        check(
            "Mary Ann",
            "[Mary  Ann], [mary\u{a0}ann] [Mary\nAnn] [Mary \r\n\tAnn] [Mary\u{3000}Ann] MaryAnn",
        );
        check("Mary  Ann", "[Mary Ann] Mary - Ann");
        // Letters that look alike are other letters within one script.
        check("Al", "AI a1 [AL]");
        check("b0b", "bob [B0B]");
        check("modem", "modern [Modem]");
    }

    #[test]
    fn underscores_of_an_emphasis_are_no_part_of_a_word() {
        check("bob", "_[bob]_ __[bob]__, _[bob] is_ here, _hello [bob]_! (_[bob]_) _[bob]_'s *_[bob]_*");
        check("bob", "my_bob_x _bob_x x_bob_ bob_ bob_2");
        check("bob", "_bob");
        check("bob_", "[bob_] bob _[bob_]_ [BOB_]: bob__x");
        check("_bob_", "[_bob_] bob");
        check("\u{bbfc}\u{c218}", "_[\u{bbfc}\u{c218}]_\u{ac00}");
    }

    #[test]
    fn endings_of_korean_are_known() {
        for ending in [
            "였어",
            "였다",
            "였는데",
            "였습니다",
            "이었어요",
            "이야",
            "야",
            "씨",
            "님",
            "씨였어",
            "님이었는데",
            "이고",
            "죠",
            "이잖아",
            "구나",
            "만큼은",
            "씨한테만",
            "인데요",
            "야말로",
            "선생님께서",
        ] {
            check("민수", &format!("[민수]{ending}?"));
            check("민수", &format!("[민수]{ending}"));
        }
        for other in ["정", "였", "이었", "였정", "역", "였어정"] {
            check("민수", &format!("민수{other}"));
        }
        // All of it decomposed.
        let text: String = particles::letters("민수였어").into_iter().collect();
        assert_eq!(Pattern::new("민수").find_all(&text).count(), 1);
    }

    #[test]
    fn nobody_is_mentioned_in_a_path_or_a_host_name() {
        check("bob", "bob.com www.bob.com x.bob.org/ bob.example.org: Bob.com, (bob.com) bob-x.com bob.py");
        check("bob", "mailto:bob@x MAILTO:bob xmpp:bob@home sip:bob@x,bob [bob]: hi");
        check("bob", "/home/bob/x /home/bob (/bob) ~/bob/x ~bob/x ./bob ../bob x=/srv/bob src/bob/main.rs");
        check("bob", r"C:\Users\bob\x bob\x \\host\bob");
        check(
            "bob",
            "[bob]. [bob]... [bob].Are you there? 1.[bob] 2.[bob] ...[bob] [bob]/alice/carol alice/[bob]",
        );
        check(
            "\u{5c0f}\u{660e}",
            "[\u{5c0f}\u{660e}]\u{770b}example.org[\u{5c0f}\u{660e}] /home/\u{5c0f}\u{660e}/x",
        );
        check("bob.smith", "[bob.smith]: hi, @[bob.smith]! bob.smith.org bob.smith@x.org [bob.smith]'s");
        check("mail", "mailto:x, [mail]: x");
    }
}
