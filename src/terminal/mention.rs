//! Mentions: finds the user's name in messages of others, in every script.

use std::ops::Range;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};
use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation as _};

use crate::unicode::{is_default_ignorable, is_hangul, is_written_without_blanks};

/// The ranges of `text`, in bytes and in order, that mention `name`, in any case.
///
/// In scripts that separate words by blanks, a mention is a whole word, possibly with a suffix of the language:
/// Korean particles, or a suffix after an apostrophe (`bob's`, `Ali'nin`). In scripts without blanks, a name of
/// two or more characters matches anywhere; a name of one character only after `@`, or without a letter next
/// to it. A URL or an e-mail address contains no mention.
pub fn find_all<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = Range<usize>> + use<'a> {
    Mentions { text, name, from: 0, is_one_character: name.graphemes(true).count() == 1, run: Run::default() }
}

struct Mentions<'a> {
    text: &'a str,
    name: &'a str,
    /// The position where the search continues.
    from: usize,
    is_one_character: bool,
    /// A cache of the last run: a text without blanks is one long run, which is scanned only once.
    run: Run,
}

impl Iterator for Mentions<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let first = self.name.chars().next()?;
        for (offset, char) in self.text[self.from..].char_indices() {
            // The fast path: most characters do not start the name, and most are ASCII.
            if first.is_ascii() && char.is_ascii() && !first.eq_ignore_ascii_case(&char) {
                continue;
            }
            let start = self.from + offset;
            let Some(length) = prefix_in_any_case(&self.text[start..], self.name) else { continue };
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
        let (left, right) = (last_base(before), behind.chars().next());
        let is_letter = |char: Option<char>| char.is_some_and(char::is_alphabetic);
        let is_word = if self.is_one_character && is_written_without_blanks(first) {
            matches!(left, Some('@' | '\u{ff20}')) || !is_letter(left) && !is_letter(right)
        } else {
            let is_begun = match left {
                Some(APOSTROPHE | TYPOGRAPHIC_APOSTROPHE) => may_precede_apostrophe(before),
                _ => is_apart(left, Some(first)),
            };
            is_begun
                && match right {
                    Some(APOSTROPHE | TYPOGRAPHIC_APOSTROPHE) => is_apostrophe_suffix(name, behind),
                    Some(next) if is_hangul(last) && is_hangul(next) => are_particles(behind),
                    _ => is_apart(Some(last), right),
                }
        };
        is_word && !self.is_in_address(found)
    }

    fn is_in_address(&mut self, found: &Range<usize>) -> bool {
        if found.start >= self.run.end {
            self.run = Run::around(self.text, found.start);
        }
        let next = self.run.addresses.partition_point(|address| address.end <= found.start);
        self.run.addresses.get(next).is_some_and(|address| address.start < found.end)
    }
}

const APOSTROPHE: char = '\'';
const TYPOGRAPHIC_APOSTROPHE: char = '\u{2019}';

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
    let text = text.trim_end_matches([APOSTROPHE, TYPOGRAPHIC_APOSTROPHE]);
    let word_start = text.rfind(|char: char| !is_of_word(char) && !is_attached(char));
    let word = word_start.map_or(text, |at| text[at..].trim_start_matches(|char: char| !is_of_word(char)));
    word.is_empty() || ELIDED.contains(&word)
}

/// Whether `behind`, which starts with an apostrophe, starts with a suffix: a few small letters, or capitals
/// after a name in capitals, but not the rest of `can't` or `O'Brien`.
fn is_apostrophe_suffix(name: &str, behind: &str) -> bool {
    const SUFFIX_CHARS_MAX: usize = 6;
    let suffix = behind.trim_start_matches([APOSTROPHE, TYPOGRAPHIC_APOSTROPHE]);
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

/// Whether the Hangul word at the start of `behind` consists only of particles and titles that follow names.
fn are_particles(behind: &str) -> bool {
    let end = behind.find(|char| !is_hangul(char)).unwrap_or(behind.len());
    let is_at_end = !behind[end..].chars().next().is_some_and(is_of_word);
    is_at_end && are_particles_up_to(&behind[..end], PARTICLES_MAX)
}

/// The greatest number of particles after one name: a title, a particle of direction, a topic marker.
const PARTICLES_MAX: usize = 3;

fn are_particles_up_to(word: &str, count: usize) -> bool {
    let is_rest =
        |particle: &str| word.strip_prefix(particle).is_some_and(|rest| are_particles_up_to(rest, count - 1));
    word.is_empty() || count > 0 && PARTICLES.iter().any(|particle| is_rest(particle))
}

/// Common particles, forms of the copula and titles after names.
const PARTICLES: [&str; 78] = [
    "이",
    "가",
    "은",
    "는",
    "을",
    "를",
    "의",
    "에",
    "에게",
    "에게서",
    "한테",
    "한테서",
    "께",
    "께서",
    "와",
    "과",
    "랑",
    "이랑",
    "하고",
    "도",
    "만",
    "로",
    "으로",
    "부터",
    "까지",
    "처럼",
    "보다",
    "마다",
    "조차",
    "마저",
    "밖에",
    "라도",
    "이라도",
    "나",
    "이나",
    "야",
    "아",
    "이야",
    "여",
    "이여",
    "요",
    "이요",
    "라고",
    "이라고",
    "라는",
    "이라는",
    "란",
    "이란",
    "라면",
    "이라면",
    "네",
    "이네",
    "들",
    "뿐",
    "같이",
    "대로",
    "더러",
    "보고",
    "커녕",
    "든지",
    "이든지",
    "예요",
    "이에요",
    "입니다",
    "이다",
    "인데",
    "인가",
    "이지",
    "씨",
    "님",
    "군",
    "양",
    "형",
    "누나",
    "언니",
    "오빠",
    "선배",
    "쌤",
];

/// A run of URL characters, and the ranges of the addresses in it.
#[derive(Debug, Default)]
struct Run {
    end: usize,
    /// The ranges, ordered by their starts and ends.
    addresses: Vec<Range<usize>>,
}

impl Run {
    /// The run around `at`.
    fn around(text: &str, at: usize) -> Self {
        let start = text[..at]
            .rfind(|char| !is_of_url(char))
            .map_or(0, |last| last + text[last..].chars().next().map_or(0, char::len_utf8));
        let end = text[at..].find(|char| !is_of_url(char)).map_or(text.len(), |length| at + length);
        let run = &text[start..end];
        let url = url_start(run);
        let mut addresses = Vec::new();
        let mailbox_chars = |char: char| char.is_ascii_alphanumeric() || "._%+-".contains(char);
        for (sign, _) in run[..url.unwrap_or(run.len())].match_indices('@') {
            let local = run[..sign].len() - run[..sign].trim_end_matches(mailbox_chars).len();
            let domain = &run[sign + 1..];
            let domain = &domain[..domain.find(|char| !mailbox_chars(char)).unwrap_or(domain.len())];
            let has_dot = domain.trim_matches('.').contains('.');
            if local > 0 && has_dot {
                addresses.push(start + sign - local..start + sign + 1 + domain.len());
            }
        }
        addresses.extend(url.map(|url| start + url..end));
        Self { end, addresses }
    }
}

/// The start of a URL in a run: its scheme, or `www.`.
fn url_start(run: &str) -> Option<usize> {
    if let Some(at) = run.find("://") {
        let scheme =
            run[..at].trim_end_matches(|char: char| char.is_ascii_alphanumeric() || "+.-".contains(char));
        return (scheme.len() < at).then_some(scheme.len());
    }
    let is_domain = |&(at, _): &(usize, &str)| !run[..at].chars().next_back().is_some_and(is_of_word);
    run.match_indices("www.").find(is_domain).map(|(at, _)| at)
}

/// Whether a URL may contain a character: those of RFC 3986, and letters of every script.
fn is_of_url(char: char) -> bool {
    char.is_alphanumeric() || is_attached(char) || char.is_ascii_graphic() && !"<>\"`{}|\\^".contains(char)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The mentions stand in brackets.
    #[track_caller]
    fn check(name: &str, expected: &str) {
        let text = expected.replace(['[', ']'], "");
        let (mut marked, mut from) = (String::new(), 0);
        for Range { start, end } in find_all(&text, name) {
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
        assert_eq!(find_all(&text, "bob").count(), 16_384);
        let text = format!("x://{text}");
        assert_eq!(find_all(&text, "bob").count(), 0);
        let text = "bob@x.org,".repeat(6_000);
        assert_eq!(find_all(&text, "bob").count(), 0);
    }
}
