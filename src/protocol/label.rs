//! Labels: a peer's own name, with a mark that disambiguates it.
//!
//! A peer can choose any name, so a [`Label`] ensures that a line cannot be mistaken for another. A name with a flaw
//! is in quotes wherever it is shown, and one with a blank is in quotes within our own sentences. A mark behind the
//! name, a tag of the member's id or the address of a plain peer, disambiguates names that look alike; a name with the
//! form of a mark is always marked itself.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::LazyLock;

use crate::look_alike::{Looks, ascii_sign, is_apostrophe, is_blank};
use crate::sanitize::sanitized;
use crate::unicode::is_default_ignorable;

/// The name of a peer as it is shown here. It is made once for each name, and cheap to clone.
///
/// It dereferences to the name with its mark, as scripts read it: nothing is in quotes or made safe to
/// show. Its `Display` is for sentences.
#[derive(Clone, PartialEq, Eq)]
pub struct Label(Rc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    /// The name, and behind it the mark.
    text: String,
    bare_bytes: usize,
    quotes: Quotes,
    forges_mark: bool,
    /// `None` for what is no name.
    looks: Option<Looks>,
}

/// The places at which a name is in quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Nowhere,
    InSentences,
    Everywhere,
}

impl Label {
    /// The label of a peer that never sent a name: its address; or the peer as the user wrote it.
    #[must_use]
    pub fn of_place(text: impl Into<String>) -> Self {
        let text = text.into();
        let bare_bytes = text.len();
        Self(Rc::new(Inner { text, bare_bytes, quotes: Quotes::Nowhere, forges_mark: false, looks: None }))
    }

    /// The same name with another mark, or with none if that is empty.
    #[must_use]
    pub fn with_mark(&self, mark: &str) -> Self {
        let Inner { bare_bytes, quotes, forges_mark, ref looks, .. } = *self.0;
        let text = format!("{}{mark}", self.bare());
        Self(Rc::new(Inner { text, bare_bytes, quotes, forges_mark, looks: looks.clone() }))
    }

    /// The name without the mark.
    #[must_use]
    pub fn bare(&self) -> &str {
        &self.0.text[..self.0.bare_bytes]
    }

    /// The mark: `#4aa6`, ` (192.168.1.7:5000)` or nothing.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.0.text[self.0.bare_bytes..]
    }

    /// Whether the name itself has the form of a mark, so that it needs one.
    #[must_use]
    pub fn forges_mark(&self) -> bool {
        self.0.forges_mark
    }

    /// The looks of the name; `None` for an address instead of a name.
    #[must_use]
    pub fn looks(&self) -> Option<&Looks> {
        self.0.looks.as_ref()
    }

    /// Whether both are names that look alike.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        matches!((self.looks(), other.looks()), (Some(one), Some(other)) if one.are_like(other))
    }

    /// The form before a message, which ends in a colon.
    #[must_use]
    pub fn speaker(&self) -> Cow<'_, str> {
        match self.0.quotes {
            Quotes::Everywhere => Cow::Owned(self.quoted()),
            Quotes::Nowhere | Quotes::InSentences => Cow::Borrowed(&self.0.text),
        }
    }

    /// The form in which the name is in quotes, whatever it is.
    #[must_use]
    pub fn quoted(&self) -> String {
        quoted(self.bare()) + self.mark()
    }
}

/// A name in quotes. What is or looks like a quotation mark within it stands behind a backslash.
fn quoted(name: &str) -> String {
    let mut quoted = String::from("\"");
    let mut is_after_apostrophe = false;
    for char in name.chars() {
        if char == '\\' || is_quotation_mark(char) || is_after_apostrophe && is_apostrophe(char) {
            quoted.push('\\');
        }
        quoted.push(char);
        // Invisible characters between two apostrophes do not separate them.
        is_after_apostrophe = is_apostrophe(char) || is_after_apostrophe && is_default_ignorable(char);
    }
    quoted + "\""
}

/// Whether a character is a quotation mark, or looks like one, as those that editors and phones make.
#[must_use]
pub fn is_quotation_mark(char: char) -> bool {
    ascii_sign(char) == '"'
}

/// Reads a name in quotes at the start of `text`: the name, and what stands behind the quotes.
#[must_use]
pub fn read_quoted(text: &str) -> Option<(String, &str)> {
    let mut chars = text.char_indices();
    chars.next().filter(|(_, char)| is_quotation_mark(*char))?;
    let mut name = String::new();
    while let Some((at, char)) = chars.next() {
        match char {
            end if is_quotation_mark(end) => return Some((name, &text[at + end.len_utf8()..])),
            '\\' => name.push(chars.next()?.1),
            _ => name.push(char),
        }
    }
    None
}

impl From<&str> for Label {
    /// A name without a mark.
    fn from(name: &str) -> Self {
        let looks = Looks::new(name);
        let flaw = flaw(name, &looks);
        let quotes = match flaw {
            Some(_) => Quotes::Everywhere,
            None if name.contains(is_blank) => Quotes::InSentences,
            None => Quotes::Nowhere,
        };
        let forges_mark = matches!(flaw, Some(Flaw::Tag | Flaw::Address | Flaw::Invisible | Flaw::NoName));
        let (text, bare_bytes, looks) = (name.to_owned(), name.len(), Some(looks));
        Self(Rc::new(Inner { text, bare_bytes, quotes, forges_mark, looks }))
    }
}

impl From<String> for Label {
    fn from(name: String) -> Self {
        name.as_str().into()
    }
}

impl Deref for Label {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.text
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.quotes {
            Quotes::Nowhere => f.write_str(self),
            Quotes::InSentences | Quotes::Everywhere => f.write_str(&self.quoted()),
        }
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &**self)
    }
}

/// The reason why a name could be mistaken for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing of it can be seen.
    Invisible,
    /// It looks like [`NO_NAME`].
    NoName,
    /// It begins or ends with a blank, or with something invisible.
    Margin,
    /// It holds a sign that stands around names, or looks like it.
    Sign(char),
    /// It begins like a line that is not a message.
    Start(char),
    /// It ends like a name with a tag.
    Tag,
    /// A word of it has the form of an address.
    Address,
    /// It reads like a sentence of ours, which holds these words.
    Sentence(&'static str),
}

/// The name of a member that has not sent one.
pub const NO_NAME: &str = "?";

/// Signs that stand around names in what is shown.
const SIGNS: [char; 4] = ['"', ':', '[', ']'];

/// Signs with which a line begins that is not a message, or an argument.
const STARTS: [char; 4] = ['*', '/', '@', '-'];

/// Phrases of our own sentences that follow a name.
const PHRASES: [&str; 15] = [
    "has joined",
    "has left",
    "is back",
    "is here",
    "is now",
    "is lost",
    "is gone",
    "was gone",
    "has said",
    "did not",
    "connected",
    "is ignored",
    "is called",
    "is missing",
    "are missing",
];

/// The same as names of others are compared with it.
static PHRASE_LOOKS: LazyLock<[String; PHRASES.len()]> =
    LazyLock::new(|| PHRASES.map(|phrase| Looks::new(phrase).as_written().to_owned()));

/// The first flaw of a name with these looks, if it has one.
#[must_use]
pub fn flaw(name: &str, looks: &Looks) -> Option<Flaw> {
    if looks.are_invisible() {
        return Some(Flaw::Invisible);
    }
    let is_margin = |char: char| is_blank(char) || is_default_ignorable(char);
    let shown = sanitized(name);
    let signs = signs(shown.trim_matches(is_margin));
    let first = signs.chars().next();
    if signs == NO_NAME {
        Some(Flaw::NoName)
    } else if ends_in_tag(&signs) {
        Some(Flaw::Tag)
    } else if is_port(&signs) || signs.split(|char: char| !is_of_address(char)).any(is_address) {
        Some(Flaw::Address)
    } else if let Some(sign) = signs.chars().find(|sign| SIGNS.contains(sign)) {
        Some(Flaw::Sign(sign))
    } else if let Some(start) = first.filter(|first| STARTS.contains(first)) {
        Some(Flaw::Start(start))
    } else if let Some(phrase) = phrase_in(looks) {
        Some(Flaw::Sentence(phrase))
    } else {
        (name.trim_matches(is_margin) != name).then_some(Flaw::Margin)
    }
}

/// `text` with the sign of ASCII for each character that looks like one, and a quotation mark for two
/// apostrophes.
fn signs(text: &str) -> String {
    let mut signs = String::new();
    let mut chars = text.chars().filter(|char| !is_default_ignorable(*char)).peekable();
    while let Some(char) = chars.next() {
        let is_pair = is_apostrophe(char) && chars.next_if(|next| is_apostrophe(*next)).is_some();
        signs.push(if is_pair { '"' } else { ascii_sign(char) });
    }
    signs
}

/// Whether `text` ends in a number sign and what looks like hexadecimal digits.
fn ends_in_tag(text: &str) -> bool {
    let Some((_, digits)) = text.rsplit_once('#') else { return false };
    let looks = Looks::new(digits);
    let is_digit = |char: char| char.is_ascii_hexdigit() || matches!(char, 'o' | 'l');
    !looks.are_invisible() && looks.as_written().chars().all(is_digit)
}

/// Whether a character can be part of an address; others separate it from what is around it.
fn is_of_address(char: char) -> bool {
    char.is_alphanumeric() || ".:[]%-_".contains(char)
}

/// Whether a word has the form of an IP address, or of a host with a port.
fn is_address(word: &str) -> bool {
    let plain = |char: char| match Looks::new(char.encode_utf8(&mut [0; 4])).as_written() {
        "o" => '0',
        "l" => '1',
        looks if char.is_alphanumeric() => looks.chars().next().unwrap_or(char),
        // A percent sign looks like letters.
        _ => char,
    };
    let word: String = word.chars().map(plain).collect();
    let word = word.trim_matches(['.', '-', '_']);
    let word = if word.ends_with("::") { word } else { word.trim_end_matches(':') };
    let is_ip = |text: &str| {
        let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        text.split('%').next().is_some_and(|ip| ip.parse::<IpAddr>().is_ok())
    };
    is_ip(word)
        || word.rsplit_once(':').is_some_and(|(host, port)| {
            // Otherwise it is a time of day.
            let is_host = host.contains(|char: char| char.is_alphabetic() || char == '.')
                && host.chars().all(|char| char.is_alphanumeric() || ".-_".contains(char));
            is_port(port) && (is_ip(host) || is_host)
        })
}

/// Whether `text` has the form of a port, which is an address on this machine.
fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn phrase_in(looks: &Looks) -> Option<&'static str> {
    let phrases = PHRASES.into_iter().zip(PHRASE_LOOKS.iter());
    let held = |(_, phrase): &(_, &String)| holds_words(looks.as_written(), phrase);
    phrases.filter(held).map(|(phrase, _)| phrase).next()
}

/// Whether `words` stand in `text`, each whole.
fn holds_words(text: &str, words: &str) -> bool {
    let is_of_word = |char: char| char.is_alphanumeric();
    text.match_indices(words).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + words.len()..]);
        !before.ends_with(is_of_word) && !after.starts_with(is_of_word)
    })
}

/// The mark of a plain peer.
pub(super) fn address_mark(address: SocketAddr) -> String {
    format!(" ({address})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Option<Flaw>) {
        assert_eq!(flaw(name, &Looks::new(name)), expected, "{name:?}");
    }

    #[test]
    fn ordinary_names_have_no_flaw() {
        for name in [
            "bob",
            "Mary Ann",
            "O'Neil",
            "a-b_c.d",
            "J\u{fc}rgen (work)",
            "c#",
            "bob#work",
            "#1 fan",
            "\u{930}\u{93e}\u{92e}\u{903}",
            "\u{5d3}\u{5d5}\u{5d3}",
            "\u{674e}\u{5c0f}\u{9f99}",
            "1.2.3",
            "rock \'n\' roll",
            "\u{5d7}\u{5d9}\u{5d9}\u{5dd}",
            "who?",
            "??",
            "agent 5000",
            "123456",
            "lol",
            "v1.2.3.4.5",
            "was here joined",
            "his backup",
            "domain\\user",
        ] {
            check(name, None);
        }
    }

    #[test]
    fn names_that_could_be_mistaken_have_one() {
        for (name, expected) in [
            ("alice: yes. x", Flaw::Sign(':')),
            ("[04:50] alice", Flaw::Sign('[')),
            ("a]b", Flaw::Sign(']')),
            ("b\"ob", Flaw::Sign('"')),
            ("a\x1bb", Flaw::Sign('[')),
            ("alice\u{ff1a}", Flaw::Sign(':')),
            ("alice\u{2d0} yes", Flaw::Sign(':')),
            ("\u{2731} alice", Flaw::Start('*')),
            ("\u{201c}alice\u{201d} x", Flaw::Sign('"')),
            ("bob: hi", Flaw::Sign(':')),
            ("bob:", Flaw::Sign(':')),
            ("at 12:30", Flaw::Sign(':')),
            ("std::io", Flaw::Sign(':')),
            ("\'\'bob\'\'", Flaw::Sign('"')),
            ("\'\'x", Flaw::Sign('"')),
            ("O\u{2019}\u{200b}\'Neil", Flaw::Sign('"')),
            ("``bob", Flaw::Sign('"')),
            ("\u{2ba}bob\u{2ba}", Flaw::Sign('"')),
            ("\u{2dd}bob", Flaw::Sign('"')),
            ("* alice", Flaw::Start('*')),
            (" \u{200b}* alice", Flaw::Start('*')),
            ("\u{2217}alice", Flaw::Start('*')),
            ("/who", Flaw::Start('/')),
            ("\u{ff0f}who", Flaw::Start('/')),
            ("@bob", Flaw::Start('@')),
            ("--- day", Flaw::Start('-')),
            ("\u{2014}bob", Flaw::Start('-')),
            ("bob#4aa6", Flaw::Tag),
            ("bob#4AA6 ", Flaw::Tag),
            ("bob\u{ff03}\u{ff14}aa6", Flaw::Tag),
            ("bob#l\u{43e}", Flaw::Tag),
            ("bob#0", Flaw::Tag),
            ("a: bob#4aa6", Flaw::Tag),
            ("*bob#4aa6", Flaw::Tag),
            ("\"bob\"#4aa6", Flaw::Tag),
            ("192.168.1.7", Flaw::Address),
            ("192.168.1.7:5000", Flaw::Address),
            ("5000", Flaw::Address),
            (" \u{ff15}000 ", Flaw::Address),
            ("[::1]:5", Flaw::Address),
            ("[::1]", Flaw::Address),
            ("::1", Flaw::Address),
            ("::", Flaw::Address),
            ("fe80::1%eth0", Flaw::Address),
            ("[fe80::1%3]:5000", Flaw::Address),
            ("::ffff:10.0.0.1", Flaw::Address),
            ("localhost:5000", Flaw::Address),
            ("my-host.example:80", Flaw::Address),
            ("bob (127.0.0.1:5)", Flaw::Address),
            ("\"bob\" (127.0.0.1:5)", Flaw::Address),
            ("bob (\u{ff11}27.0.0.1\u{ff1a}5)", Flaw::Address),
            ("\u{1d7cf}27.0.0.1:5", Flaw::Address),
            ("bob@192.168.1.7", Flaw::Address),
            ("192.168.1.7.", Flaw::Address),
            ("192.168.1.7:", Flaw::Address),
            ("* 192.168.1.7:5000", Flaw::Address),
            ("?", Flaw::NoName),
            (" \u{ff1f}\u{200b}", Flaw::NoName),
            ("bob (192.168.1.7)", Flaw::Address),
            ("l92.l68.1.7", Flaw::Address),
            ("\u{ff11}92.168.1.7", Flaw::Address),
            ("alice has left the chat...", Flaw::Sentence("has left")),
            ("alice  HAS\u{a0}joined", Flaw::Sentence("has joined")),
            ("alice is now bob", Flaw::Sentence("is now")),
            ("al\u{456}ce h\u{430}s l\u{435}ft", Flaw::Sentence("has left")),
            ("", Flaw::Invisible),
            ("\u{200b} \u{3164}", Flaw::Invisible),
            (" bob", Flaw::Margin),
            ("bob\u{200b}", Flaw::Margin),
        ] {
            check(name, Some(expected));
        }
    }

    #[test]
    fn names_are_in_quotes_where_they_could_be_mistaken() {
        for (name, mark, speaker, sentence) in [
            ("bob", "", "bob", "bob"),
            ("bob", "#4aa6", "bob#4aa6", "bob#4aa6"),
            ("Mary Ann", "", "Mary Ann", "\"Mary Ann\""),
            ("Mary Ann", "#4aa6", "Mary Ann#4aa6", "\"Mary Ann\"#4aa6"),
            ("alice: yes. x", "", "\"alice: yes. x\"", "\"alice: yes. x\""),
            ("bob#4aa6", "#77c1", "\"bob#4aa6\"#77c1", "\"bob#4aa6\"#77c1"),
            ("?", "#4aa6", "\"?\"#4aa6", "\"?\"#4aa6"),
            ("\'\'b\'\'\'", "#4aa6", "\"\'\\\'b\'\\\'\\\'\"#4aa6", "\"\'\\\'b\'\\\'\\\'\"#4aa6"),
            ("a\"b\\", " (1.2.3.4:5)", "\"a\\\"b\\\\\" (1.2.3.4:5)", "\"a\\\"b\\\\\" (1.2.3.4:5)"),
        ] {
            let label = Label::from(name).with_mark(mark);
            assert_eq!((label.bare(), label.mark()), (name, mark));
            assert_eq!(*label, format!("{name}{mark}"));
            assert_eq!((&*label.speaker(), label.to_string().as_str()), (speaker, sentence));
            assert_eq!(read_quoted(&label.quoted()), Some((name.to_owned(), mark)));
        }
        assert_eq!(Label::of_place("127.0.0.1:5000").to_string(), "127.0.0.1:5000");
    }

    #[test]
    fn quotes_that_do_not_end_are_none() {
        for text in ["", "bob", "\"bob", "\"bob\\\"", "\"\\", " \"bob\""] {
            assert_eq!(read_quoted(text), None, "{text}");
        }
        assert_eq!(read_quoted("\"a b\" c"), Some(("a b".to_owned(), " c")));
    }
}
