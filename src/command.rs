//! The parser of lines: a line is a message or a command. It executes nothing itself.
//!
//! The rules hold for every text, whatever its source (typed, pasted, piped, `--send`), so that a private
//! message or a command is never sent to everybody:
//!
//! - Blanks, line breaks, colours, control characters and invisible ones before the first word are skipped.
//! - A slash (or U+FF0F, into which input methods turn one), followed only by letters or `?`: a command.
//! - The name of a command followed by another character (`/msg:`): refused.
//! - A slash and anything else that holds `/`, `*`, `.`, `^` or a digit (`/etc/hosts`): text, sent
//!   unchanged; only on a single typed line, `//` loses one slash.
//! - A slash and anything else: refused as an unknown command.
//! - A line of a pipe that is longer than a message: text, or refused whole if it begins like a command.

mod advice;

use std::borrow::Cow;
use std::fmt;

use advice::advice;
pub use advice::{Advice, nearest};

use crate::error::shortened;
use crate::limits::{COMMAND_CHARS_MAX, MESSAGE_BYTES_MAX, RECIPIENT_BYTES_MAX};
use crate::unicode::{is_blank, is_blank_char, is_default_ignorable};

/// A parsed text. Arguments are as they were typed, without surrounding blanks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// No command: the text is sent to everybody.
    Text(Cow<'a, str>),
    /// `/say`: send this text to everybody, whatever it begins with.
    Say(&'a str),
    /// `/me`: send an action to everybody.
    Me(&'a str),
    /// `/msg`: send a text to one member. The argument is the member's name, a blank and the text. Names may
    /// contain blanks, so only the list of names shows where the name ends.
    Private(&'a str),
    /// `/reply`: send a text to the author of the last private message.
    Reply(&'a str),
    /// `/who`: list all peers, or the details of one.
    Who(Option<&'a str>),
    /// `/name`: change the user's name.
    Name(&'a str),
    /// `/connect`: connect to the peer at this address.
    Connect(&'a str),
    /// `/disconnect`: undo `/connect`.
    Disconnect(&'a str),
    /// `/ignore`: stop showing what somebody sends.
    Ignore(&'a str),
    /// `/unignore`: undo `/ignore`.
    Unignore(&'a str),
    /// `/invite`: show the invite to the private group.
    Invite,
    /// `/clear`: clear the screen.
    Clear,
    /// `/help`: list the commands.
    Help,
    /// `/quit`: leave, after sending this text, if there is one.
    Quit(Option<&'a str>),
}

impl Command<'_> {
    /// Whether the effect of the command depends on the members of the group.
    #[must_use]
    pub fn needs_group(&self) -> bool {
        match self {
            Self::Who(_) | Self::Private(_) | Self::Reply(_) | Self::Ignore(_) => true,
            Self::Text(text) => slashless(text).is_some(),
            Self::Say(_)
            | Self::Me(_)
            | Self::Name(_)
            | Self::Connect(_)
            | Self::Disconnect(_)
            | Self::Unignore(_)
            | Self::Invite
            | Self::Clear
            | Self::Help
            | Self::Quit(_) => false,
        }
    }
}

/// The source of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Typed at a terminal.
    Typed,
    /// A paste, an argument or a pipe: the text may be anything, such as a line of source code.
    Verbatim,
    /// The start of a line of a pipe that is longer than a message.
    Start,
    /// A later piece of such a line: a text, whatever it begins with.
    Rest,
}

/// The kind of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Private,
    Reply,
    Me,
    Say,
    Who,
    Name,
    Connect,
    Disconnect,
    Ignore,
    Unignore,
    Invite,
    Clear,
    Help,
    Quit,
}

/// A command, as `/help` and the manual page list it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, with its slash.
    pub name: &'static str,
    /// The arguments; those in brackets are optional.
    pub arguments: &'static str,
    /// Arguments of an example; empty where none are needed.
    example: &'static str,
    /// The description.
    pub help: &'static str,
    /// Other names, without a slash.
    pub aliases: &'static [&'static str],
    kind: Kind,
}

/// All commands, in the order in which they are listed.
pub const COMMANDS: [Entry; 14] = [
    entry(
        Kind::Private,
        "/msg",
        "NAME TEXT",
        "bob hello",
        &["dm", "query", "whisper"],
        "send a private message",
    ),
    entry(Kind::Reply, "/reply", "TEXT", "yes", &[], "answer the last private message privately"),
    entry(Kind::Me, "/me", "TEXT", "waves", &[], "tell what you do: /me waves"),
    entry(Kind::Say, "/say", "TEXT", "/etc is full", &[], "send any text, also one that begins with a slash"),
    entry(Kind::Who, "/who", "[NAME]", "", &["list", "names"], "list who is here and how they are connected"),
    entry(Kind::Name, "/name", "NEW", "bob", &["nick"], "change your name"),
    entry(Kind::Connect, "/connect", "ADDRESS", "host:5000", &[], "connect to a peer: HOST:PORT or PORT"),
    entry(Kind::Disconnect, "/disconnect", "ADDRESS", "host:5000", &[], "end what /connect began"),
    entry(Kind::Ignore, "/ignore", "NAME", "bob", &[], "hide what somebody sends"),
    entry(Kind::Unignore, "/unignore", "NAME", "bob", &[], "show it again"),
    entry(Kind::Invite, "/invite", "", "", &[], "show the invite to a private group, only here"),
    entry(Kind::Clear, "/clear", "", "", &[], "clear the screen, as Ctrl+L does"),
    entry(Kind::Help, "/help", "", "", &["?", "h"], "list the commands"),
    entry(
        Kind::Quit,
        "/quit",
        "[TEXT]",
        "",
        &["bye", "exit", "leave", "part"],
        "leave, after sending a last text",
    ),
];

const fn entry(
    kind: Kind,
    name: &'static str,
    arguments: &'static str,
    example: &'static str,
    aliases: &'static [&'static str],
    help: &'static str,
) -> Entry {
    Entry { name, arguments, example, help, aliases, kind }
}

impl Entry {
    /// The usage: `/msg NAME TEXT`.
    #[must_use]
    pub fn usage(&self) -> String {
        format!("{} {}", self.name, self.arguments).trim_end().to_owned()
    }

    /// All names, without a slash.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        [&self.name[1..]].into_iter().chain(self.aliases.iter().copied())
    }

    fn takes_nothing(&self) -> bool {
        self.arguments.is_empty()
    }

    fn needs_arguments(&self) -> bool {
        !self.takes_nothing() && !self.arguments.starts_with('[')
    }

    /// Whether the argument is a message, which may have several lines.
    fn takes_lines(&self) -> bool {
        match self.kind {
            Kind::Private | Kind::Reply | Kind::Me | Kind::Say | Kind::Quit => true,
            Kind::Who
            | Kind::Name
            | Kind::Connect
            | Kind::Disconnect
            | Kind::Ignore
            | Kind::Unignore
            | Kind::Invite
            | Kind::Clear
            | Kind::Help => false,
        }
    }
}

/// Why a text is neither sent nor executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Arguments are missing, or superfluous.
    Usage(&'static Entry),
    /// A private message without a text.
    NoText,
    /// Several lines, for a command that takes one.
    Lines(&'static Entry),
    /// The name of a command followed by another character than a blank.
    NoBlank {
        /// The first word.
        word: String,
        /// The command's name that it begins with, and its slash.
        name: String,
    },
    /// A slash alone.
    Slash,
    /// A command, or what looks like one, in a line that is longer than a message.
    TooLong,
    /// The command is unknown.
    Unknown {
        /// The first word.
        word: String,
        /// A suggestion.
        advice: Option<Advice>,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(entry) if entry.takes_nothing() => {
                write!(f, "usage: {} (it takes no arguments)", entry.name)
            }
            Self::Usage(entry) => {
                write!(f, "usage: {}, as in {} {}", entry.usage(), entry.name, entry.example)
            }
            Self::NoText => f.write_str(
                "usage: /msg NAME TEXT; there is no private mode, the next line still goes to everybody",
            ),
            Self::TooLong => write!(
                f,
                "a line that begins like a command, or with blanks alone, has at most {MESSAGE_BYTES_MAX} bytes; \
                 nothing of it was sent"
            ),
            Self::Lines(entry) => {
                write!(f, "{} takes one line; to send all lines as text, begin with /say", entry.name)
            }
            Self::NoBlank { word, name } => write!(
                f,
                "not sent: {word} is no command; write {name} and a blank, or to send it as text: /say {word}"
            ),
            Self::Slash => f.write_str(
                "not sent: a slash alone is no command; /help lists commands, to send it as text: /say /",
            ),
            Self::Unknown { word, advice } => {
                write!(f, "unknown command {word}; ")?;
                match advice {
                    Some(Advice::Command(name)) => write!(f, "did you mean {name}?")?,
                    Some(Advice::Sentence(sentence)) => f.write_str(sentence)?,
                    None => f.write_str("/help lists all")?,
                }
                write!(f, " (to send it as text: /say {word})")
            }
        }
    }
}

/// Parses a text.
///
/// # Errors
///
/// Why the text is neither a message nor a valid command.
pub fn read(text: &str, source: Source) -> Result<Command<'_>, Refused> {
    match source {
        Source::Typed | Source::Verbatim => (),
        // The later pieces of a command would be sent to everybody.
        Source::Start if !is_plain(text, source) => return Err(Refused::TooLong),
        Source::Start | Source::Rest => return Ok(Command::Text(text.into())),
    }
    let begin = visible_start(text);
    let Some(rest) = begin.strip_prefix(SLASHES) else { return Ok(Command::Text(text.into())) };
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let word: String = rest[..end].chars().filter(|char| !is_hidden(*char)).map(halfwidth).collect();
    let lower = word.to_lowercase();
    if let Some(entry) = find(&lower) {
        return command(entry, &lower, &rest[end..]);
    }
    let shown = || shortened(&format!("/{word}"), COMMAND_CHARS_MAX);
    let letters = lower.find(|char: char| !char.is_alphabetic()).unwrap_or(lower.len());
    let name = if lower.starts_with('?') { "?" } else { &lower[..letters] };
    if find(name).is_some() {
        return Err(Refused::NoBlank { word: shown(), name: format!("/{name}") });
    }
    if word.contains(|char: char| matches!(char, '/' | '*' | '.' | '^') || char.is_numeric()) {
        let is_escape = source == Source::Typed && begin.starts_with("//") && !text.contains('\n');
        return Ok(Command::Text(match is_escape {
            true => [&text[..text.len() - begin.len()], &begin[1..]].concat().into(),
            false => text.into(),
        }));
    }
    if word.is_empty() {
        return Err(Refused::Slash);
    }
    Err(Refused::Unknown { word: shown(), advice: advice(&lower) })
}

/// The command of this name, in lower case and without its slash.
fn find(name: &str) -> Option<&'static Entry> {
    COMMANDS.iter().find(|entry| entry.names().any(|known| known == name))
}

/// Parses the arguments `behind` a command that was called `name`.
fn command<'a>(entry: &'static Entry, name: &str, behind: &'a str) -> Result<Command<'a>, Refused> {
    if behind.trim_end_matches(is_blank_char).contains(['\n', '\r']) && !entry.takes_lines() {
        return Err(Refused::Lines(entry));
    }
    let arguments = match behind.trim() {
        // An invisible argument counts as none.
        blank if is_blank(blank) => "",
        arguments => arguments,
    };
    if arguments.is_empty() && entry.needs_arguments() || !arguments.is_empty() && entry.takes_nothing() {
        return Err(Refused::Usage(entry));
    }
    Ok(match entry.kind {
        Kind::Private if !arguments.contains(char::is_whitespace) => return Err(Refused::NoText),
        Kind::Private => Command::Private(arguments),
        Kind::Reply => Command::Reply(arguments),
        Kind::Me => Command::Me(arguments),
        // Everything after one blank, so that the text may be indented.
        Kind::Say => Command::Say(behind.strip_prefix(char::is_whitespace).unwrap_or(behind)),
        Kind::Who => Command::Who(optional(arguments)),
        Kind::Name => Command::Name(arguments),
        Kind::Connect => Command::Connect(arguments),
        Kind::Disconnect => Command::Disconnect(arguments),
        Kind::Ignore => Command::Ignore(arguments),
        Kind::Unignore => Command::Unignore(arguments),
        Kind::Invite => Command::Invite,
        Kind::Clear => Command::Clear,
        Kind::Help => Command::Help,
        Kind::Quit => {
            let text = if matches!(name, "leave" | "part") { without_channel(arguments) } else { arguments };
            Command::Quit(optional(text))
        }
    })
}

/// The text after the channel, which IRC's `/part` names first.
fn without_channel(arguments: &str) -> &str {
    match arguments.starts_with('#') {
        true => arguments.split_once(char::is_whitespace).map_or("", |(_, text)| text.trim_start()),
        false => arguments,
    }
}

/// An optional argument.
fn optional(argument: &str) -> Option<&str> {
    Some(argument).filter(|argument| !argument.is_empty())
}

/// Whether a line of a pipe is a message, whatever the members' names. The start of a longer line is one only if
/// something of it can be seen.
#[must_use]
pub fn is_plain(text: &str, source: Source) -> bool {
    let is_text =
        || matches!(read(text, Source::Verbatim), Ok(Command::Text(_))) && slashless(text).is_none();
    match source {
        Source::Typed | Source::Verbatim => is_text(),
        Source::Start => !is_blank(text) && is_text(),
        Source::Rest => true,
    }
}

/// A text that looks like a private message whose slash is missing or mistyped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slashless<'a> {
    /// The text after the command: a name and a text.
    pub words: &'a str,
    /// Another character stands in place of the slash, so that a command was certainly meant.
    pub is_marked: bool,
}

/// Recognizes a private message without its slash: `msg bob hi`, `\msg bob hi`, `7msg bob hi`.
/// The word is read as that of a command is.
#[must_use]
pub fn slashless(text: &str) -> Option<Slashless<'_>> {
    let begin = visible_start(text);
    if begin.starts_with(SLASHES) {
        return None;
    }
    let (prefix, bare) = begin.split_at(begin.find(char::is_alphabetic)?);
    let has_slash =
        prefix.trim_end_matches(is_skipped).ends_with(|char| is_slash(char) || is_like_slash(char));
    if prefix.contains(char::is_whitespace) && !has_slash {
        return None;
    }
    let (word, rest) = leading_word(bare);
    let is_marked = has_slash && rest.starts_with(char::is_whitespace);
    let mut private = COMMANDS.iter().filter(|entry| matches!(entry.kind, Kind::Private | Kind::Reply));
    let entry = private.find(|entry| entry.names().any(|known| known.eq_ignore_ascii_case(&word)))?;
    let is_meant = is_marked || entry.kind == Kind::Private;
    // Between the word and the name may be a sign that is no part of either, as in `msg: bob hi`.
    let words =
        rest.trim_start_matches(|char: char| !char.is_alphanumeric() && !char.is_whitespace() && char != '"');
    let words = words.trim();
    (is_meant && !words.is_empty()).then_some(Slashless { words, is_marked })
}

/// The words of a private message whose command follows other words of a line: `hi /msg bob x`. A slash after
/// another one in a word belongs to a path.
#[must_use]
pub fn private_behind(text: &str) -> Option<&str> {
    // A text that begins with a slash was meant as it is.
    let is_escaped = visible_start(text).starts_with(SLASHES);
    let start = if is_escaped { "" } else { &text[..text.floor_char_boundary(COMMAND_CHARS_MAX)] };
    start.match_indices(SLASHES).find_map(|(at, slash)| {
        let before = text[..at].rsplit(char::is_whitespace).next().unwrap_or_default();
        let (word, words) = leading_word(&text[at + slash.len()..]);
        let is_private = |entry: &&Entry| entry.kind == Kind::Private;
        let mut names = COMMANDS.iter().filter(is_private).flat_map(Entry::names);
        let is_meant = words.starts_with(char::is_whitespace) && !before.contains(SLASHES);
        (is_meant && names.any(|name| name.eq_ignore_ascii_case(&word))).then(|| words.trim())
    })
}

/// The words of each private message that begins a line of a text after its first line.
pub fn private_in_later_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', '\r']).skip(1).filter_map(|line| match read(line, Source::Verbatim) {
        Ok(Command::Private(words)) => Some(words),
        _ => None,
    })
}

/// The letters at the start of a text, without hidden characters between them, and the rest of the text. A word
/// that is longer than every name of a command is cut off.
fn leading_word(text: &str) -> (Cow<'_, str>, &str) {
    // The fast path: most words are ASCII, and something visible or a blank ends them.
    let ascii = text.bytes().take(COMMAND_CHARS_MAX).take_while(u8::is_ascii_alphabetic).count();
    let (start, rest) = text.split_at(ascii);
    if rest.starts_with(|end: char| end == ' ' || end.is_ascii_graphic()) {
        return (start.into(), rest);
    }
    let mut word = start.to_owned();
    for (at, char) in rest.char_indices().filter(|(_, char)| !is_hidden(*char)) {
        let char = halfwidth(char);
        if !char.is_alphabetic() || word.len() >= COMMAND_CHARS_MAX {
            return (word.into(), &rest[at..]);
        }
        word.extend(char.to_lowercase());
    }
    (word.into(), "")
}

/// The words of a private message without the punctuation around each: `bob: hi` and `@bob hi` mean `bob hi`.
#[must_use]
pub fn without_punctuation(words: &str) -> String {
    let is_sign =
        |char| char != '"' && halfwidth(char).is_ascii_punctuation() || "\u{3001}\u{3002}".contains(char);
    let words = &words[..words.floor_char_boundary(RECIPIENT_BYTES_MAX)];
    words.split_whitespace().map(|word| word.trim_matches(is_sign)).collect::<Vec<_>>().join(" ")
}

/// The slash, and the wide one of input methods.
const SLASHES: [char; 2] = ['/', '\u{ff0f}'];

/// The text from its first visible character on. What shows nothing is skipped, colours (ECMA-48, SGR) among it.
fn visible_start(text: &str) -> &str {
    let mut rest = text;
    loop {
        let start = rest.trim_start_matches(is_skipped);
        let has_escape = rest[..rest.len() - start.len()].ends_with('\x1b');
        match start.strip_prefix('[').filter(|_| has_escape).and_then(|sequence| {
            sequence.trim_start_matches(|char| matches!(char, '0'..='?')).strip_prefix('m')
        }) {
            Some(behind) => rest = behind,
            None => return start,
        }
    }
}

/// Whether a character before the first word does not matter.
fn is_skipped(char: char) -> bool {
    !char.is_ascii_graphic() && (is_blank_char(char) || is_hidden(char))
}

/// Whether a character within a word shows nothing, or only that something was there: invisible characters,
/// control characters, and the replacement character with its neighbours, which are controls as well.
fn is_hidden(char: char) -> bool {
    is_default_ignorable(char) || char.is_control() || matches!(char, '\u{fff9}'..='\u{fffd}')
}

fn is_slash(char: char) -> bool {
    SLASHES.contains(&char)
}

/// Whether a character is next to the slash on a keyboard, one of its forms in input methods, or looks like it.
fn is_like_slash(char: char) -> bool {
    const SLASH_LIKE: [char; 8] =
        ['\\', '\u{ff3c}', '\u{3001}', '\u{30fb}', '\u{2044}', '\u{2215}', '\u{29f8}', '\u{2571}'];
    SLASH_LIKE.contains(&char)
}

/// A hint for a line that is only a word which leaves other programs, or shows their help.
#[must_use]
pub fn hint_for_word(text: &str) -> Option<&'static str> {
    match text.trim().to_lowercase().as_str() {
        "quit" | "exit" | ":q" => Some("/quit or Ctrl+D leaves"),
        "help" => Some("/help lists the commands"),
        _ => None,
    }
}

/// The ASCII character of a fullwidth one, which input methods produce.
fn halfwidth(char: char) -> char {
    match char {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(char as u32 - 0xfee0).unwrap_or(char),
        _ => char,
    }
}

/// The lines of `/help`.
pub fn help() -> impl Iterator<Item = String> {
    let width = COMMANDS.iter().map(|entry| entry.usage().len()).max().unwrap_or(0);
    let commands = COMMANDS.iter().map(move |entry| format!("{:width$}  {}", entry.usage(), entry.help));
    let last = "Any other line is sent to everybody. Ctrl+D leaves.";
    commands.chain([last.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Command<'_>) {
        for source in [Source::Typed, Source::Verbatim] {
            assert_eq!(read(text, source), Ok(expected.clone()), "{text:?}");
        }
    }

    /// It is refused, and the user reads a sentence with `part`.
    #[track_caller]
    fn check_refused(text: &str, part: &str) {
        for source in [Source::Typed, Source::Verbatim] {
            let why = read(text, source).expect_err(text).to_string();
            assert!(why.contains(part), "no {part:?} in {why:?}");
            assert!(why.chars().count() <= 200 && !why.contains(char::is_control), "{why:?}");
        }
    }

    #[test]
    fn texts_are_sent_unchanged() {
        for text in [
            "hello",
            "",
            " hello ",
            "1/2",
            "a\n/who",
            "/etc/hosts",
            "/etc/hosts is what I mean",
            "/* C */",
            "/** doc",
            "/s/a/b/",
            "/r/rust",
            "/^foo",
            "/.",
            "/o/",
            "/24",
            "/24 is a mask",
            "/v1",
            "  /etc/hosts",
            "/home/who",
            "\u{ff0f}etc/hosts",
        ] {
            check(text, Command::Text(text.into()));
        }
    }

    #[test]
    fn two_slashes_lose_one_on_a_single_typed_line_only() {
        #[track_caller]
        fn check(text: &str, typed: &str) {
            assert_eq!(read(text, Source::Typed), Ok(Command::Text(typed.into())), "{text}");
            assert_eq!(read(text, Source::Verbatim), Ok(Command::Text(text.into())), "{text}");
        }
        check("//who", "/who");
        check("///", "//");
        check("//", "/");
        check("// comment", "/ comment");
        check("  //msg bob x", "  /msg bob x");
        check("// a comment\nint main();", "// a comment\nint main();");
        check("//msg bob x\n", "//msg bob x\n");
    }

    #[test]
    fn commands_are_read() {
        check("/help", Command::Help);
        check("/?", Command::Help);
        check("/who ", Command::Who(None));
        check("/who \u{200b}", Command::Who(None));
        check("/who bob", Command::Who(Some("bob")));
        check("/connect  host:5000 ", Command::Connect("host:5000"));
        check("/disconnect host:5000", Command::Disconnect("host:5000"));
        check("/name Mary Ann", Command::Name("Mary Ann"));
        check("/msg bob are you  there?", Command::Private("bob are you  there?"));
        check("/reply yes", Command::Reply("yes"));
        check("/me waves", Command::Me("waves"));
        check("/say /who", Command::Say("/who"));
        check("/say   indented ", Command::Say("  indented "));
        check("/say // comment", Command::Say("// comment"));
        check("/ignore bob", Command::Ignore("bob"));
        check("/unignore bob", Command::Unignore("bob"));
        check("/clear", Command::Clear);
        check("/quit", Command::Quit(None));
        check("/quit see you", Command::Quit(Some("see you")));
    }

    #[test]
    fn commands_have_aliases_in_any_case() {
        for (names, expected) in [
            (&["names", "list", "NAMES", "Who"][..], Command::Who(None)),
            (&["exit", "part", "leave", "bye", "QUIT"], Command::Quit(None)),
            (&["h", "?", "HELP"], Command::Help),
            (&["clear", "Clear"], Command::Clear),
        ] {
            names.iter().for_each(|name| check(&format!("/{name}"), expected.clone()));
        }
        for (text, expected) in [
            ("/part #room", None),
            ("/LEAVE #room bye all", Some("bye all")),
            ("/part bye", Some("bye")),
            ("/quit #done", Some("#done")),
        ] {
            check(text, Command::Quit(expected));
        }
        for name in ["msg", "query", "dm", "whisper", "MSG", "Whisper"] {
            check(&format!("/{name} bob hi"), Command::Private("bob hi"));
        }
        check("/nick bob", Command::Name("bob"));
        check("/ME waves", Command::Me("waves"));
        let mut names: Vec<_> = COMMANDS.iter().flat_map(Entry::names).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        assert!(!advice::MEANINGS.iter().any(|(words, _)| words.iter().any(|word| names.contains(word))));
    }

    /// However a slash is hidden, what stands behind it is no message to everybody.
    #[test]
    fn what_stands_invisibly_before_a_command_or_in_it_does_not_matter() {
        for before in [
            "",
            " ",
            "\t",
            "\n",
            "\r\n",
            "\n\n  ",
            "\u{feff}",
            "\u{200b}",
            "\u{a0}",
            "\u{3000}",
            "\u{202e}",
            "\u{ad}",
            "\u{2028}",
            "\u{e0001}",
            "\u{3164}",
            "\u{2800}",
            "\u{180e} \u{200d}\n",
            "\0",
            "\x1b",
            "\x08 \x1c",
            "\x7f\u{85}\u{9b}",
            "\u{fffd}",
            "\u{fffc}\u{fff9}\n",
        ] {
            for slash in ["/", "\u{ff0f}"] {
                check(&format!("{before}{slash}msg bob sec"), Command::Private("bob sec"));
                check(&format!("{before}{slash}msg bob sec3\nsec4"), Command::Private("bob sec3\nsec4"));
            }
        }
        check("/\u{200b}m\u{ad}sg\u{feff} bob sec", Command::Private("bob sec"));
        check("/\x07m\0sg\u{fffd} bob sec", Command::Private("bob sec"));
        check("\u{ff0f}\u{ff4d}\u{ff53}\u{ff47}\u{3000}bob sec", Command::Private("bob sec"));
        check("/msg\u{a0}bob sec", Command::Private("bob sec"));
        check("/msg\nbob sec", Command::Private("bob sec"));
    }

    #[test]
    fn only_commands_that_send_take_several_lines() {
        check("/me waves\nand smiles", Command::Me("waves\nand smiles"));
        check("/say a\nb", Command::Say("a\nb"));
        check("/reply a\nb", Command::Reply("a\nb"));
        check("/quit a\nb", Command::Quit(Some("a\nb")));
        check("/help\n", Command::Help);
        check_refused("/who\nare you", "/who takes one line");
        check_refused("/name a\nb", "/name takes one line; to send all lines as text, begin with /say");
        check_refused("/connect host:5000\nhello", "takes one line");
        check_refused("/ignore bob\rhello", "takes one line");
    }

    #[test]
    fn a_name_with_something_else_behind_it_is_refused() {
        for text in [
            "/msg: bob x",
            "/who,",
            "/msg/bob x",
            "/msg. x",
            "/msg1 bob",
            "/MSG: bob",
            "/quit!",
            "/help.txt",
            "/?x",
            "/me*",
            "/who?.",
            "/query-bob x",
            "/msg\u{301} bob",
            "/msg\u{2800}bob x",
        ] {
            check_refused(text, "is no command; write /");
        }
        check_refused("/names2", "/names2 is no command; write /names and a blank");
        check_refused("/DM: bob x", "write /dm and a blank");
        check_refused("/?x", "write /? and a blank");
        check_refused("/msg:bob x", "not sent: /msg:bob is no command; write /msg and a blank");
    }

    #[test]
    fn refusals_show_what_to_write() {
        check_refused("/help me", "usage: /help (it takes no arguments)");
        check_refused("/msg", "usage: /msg NAME TEXT");
        check_refused("/query bob", "the next line still goes to everybody");
        check_refused("/msg bob", "usage: /msg NAME TEXT");
        check_refused("/me ", "usage: /me TEXT");
        check_refused("/say \u{200b}", "usage: /say TEXT");
        for command in
            ["/name NEW", "/connect ADDRESS", "/disconnect ADDRESS", "/ignore NAME", "/unignore NAME"]
        {
            let name = command.split(' ').next().unwrap_or_default();
            for blank in ["\u{200b}", "\u{3164} \u{2800}"] {
                check_refused(&format!("{name} {blank}"), &format!("usage: {command}"));
            }
        }
        check_refused("/", "a slash alone is no command");
        check_refused("/ msg bob x", "a slash alone is no command");
        check_refused("/nmae bob", "unknown command /nmae; did you mean /name?");
        check_refused("/xyzzy", "unknown command /xyzzy; /help lists all (to send it as text: /say /xyzzy)");
        check_refused("/usr", "unknown command /usr; ");
        check_refused("/\u{434}\u{430}", "unknown command /\u{434}\u{430};");
        check_refused(&format!("/{}", "x".repeat(60_000)), "...; /help lists all");
        check_refused(&format!("/{}", "msg".repeat(20_000)), "...; /help lists all");
    }

    #[test]
    fn what_is_meant_comes_before_what_is_spelled_alike() {
        for (word, meant) in [
            ("halp", "/help"),
            ("WO", "/who"),
            ("unig", "/unignore"),
            ("msgbob", "/msg"),
            ("exi", "/exit"),
            ("wh", "/who"),
            ("whi", "/whisper"),
            ("na", "/name"),
            ("users", "/who"),
            ("w", "/msg"),
            ("r", "/reply"),
            ("tell", "/msg"),
            ("send", "/msg"),
            ("block", "/ignore"),
            ("Server", "/connect"),
            ("action", "/me"),
            ("logout", "/quit"),
        ] {
            check_refused(&format!("/{word} x"), &format!("; did you mean {meant}?"));
        }
        check_refused("/join #rust", "each run is one group");
        check_refused("/kick bob", "/ignore NAME hides");
        check_refused("/topic x", "/me TEXT");
    }

    #[test]
    fn a_private_message_after_other_words_is_detected() {
        for text in ["i/msg bob sec", "hi /msg  bob sec", "hi bob, /DM bob sec ", "a/b \u{ff0f}msg bob sec"] {
            assert_eq!(private_behind(text), Some("bob sec"), "{text}");
        }
        for text in [
            "hi /msgbob",
            "see a/b/dm and",
            "hi /who bob",
            "hi / msg bob",
            &format!("{}/msg bob x", "x".repeat(COMMAND_CHARS_MAX)),
        ] {
            assert_eq!(private_behind(text), None, "{text}");
        }
    }

    #[test]
    fn a_line_that_is_longer_than_a_message_is_a_text_or_nothing() {
        assert_eq!(read("/quit", Source::Rest), Ok(Command::Text("/quit".into())));
        assert_eq!(read("hello", Source::Start), Ok(Command::Text("hello".into())));
        assert_eq!(read("/etc/hosts", Source::Start), Ok(Command::Text("/etc/hosts".into())));
        for text in ["/msg bob x", " /say x", "/zork", "msg bob x", "\\reply x", "  ", "\x1b[31m/me x"] {
            assert_eq!(read(text, Source::Start), Err(Refused::TooLong), "{text}");
        }
    }

    #[test]
    fn a_command_without_its_slash_is_detected() {
        #[track_caller]
        fn check(text: &str, expected: Option<(&str, bool)>) {
            let found = slashless(text).map(|found| (found.words, found.is_marked));
            assert_eq!(found, expected, "{text}");
        }
        check("msg bob sec", Some(("bob sec", false)));
        check(" MSG  bob sec", Some(("bob sec", false)));
        check("\u{200b}msg bob sec", Some(("bob sec", false)));
        check("whisper bob sec\nsec", Some(("bob sec\nsec", false)));
        check("\\msg bob sec", Some(("bob sec", true)));
        check("\u{3001}msg bob sec", Some(("bob sec", true)));
        check("\\reply sec", Some(("sec", true)));
        for text in ["m\u{200b}sg bob sec", "\u{ff4d}\u{ff53}\u{ff47}\u{3000}bob sec", "\x1bm\0sg bob sec"] {
            check(text, Some(("bob sec", false)));
        }
        for text in ["\\m\u{ad}sg bob sec", "\\msg\u{200b} bob sec", "\\\\msg bob sec", "\\/msg bob sec"] {
            check(text, Some(("bob sec", true)));
        }
        for sign in ["7", "-", "&", ".", ":", "77", "?", "7\u{200b}", "\u{ff17}", "\""] {
            check(&format!("{sign}msg bob sec"), Some(("bob sec", false)));
        }
        for start in
            ["-/msg", "./msg", "> /msg", ": /msg", ">/ msg", "./Reply", "1./reply", "\x1b[1m\x1b[31m> /dm"]
        {
            check(&format!("{start} bob sec"), Some(("bob sec", true)));
        }
        check("msg bob: sec", Some(("bob: sec", false)));
        check("msg: bob sec", Some(("bob sec", false)));
        check("\\msg:bob sec", Some(("bob sec", false)));
        check("msg \"bob\" sec", Some(("\"bob\" sec", false)));
        check("msg *bob* sec", Some(("*bob* sec", false)));
        // Two slashes are how such a text is sent.
        check("/msg bob sec", None);
        check("//msg bob sec", None);
        check("7 msg bob sec", None);
        check("7reply sec", None);
        check("1/2 msg bob sec", None);
        check("../dm/bob sec", Some(("bob sec", false)));
        check("7./who bob", None);
        check("\\msg", None);
        check("\\query{it}", Some(("it}", false)));
        check(&"msg".repeat(20_000), None);
        check("reply to bob", None);
        check("message bob", None);
        check("msg", None);
        check("\\quit now", None);
        check("hello bob", None);
    }

    #[test]
    fn punctuation_around_a_name_does_not_hide_it() {
        for words in ["bob: sec", "@bob, sec", "<bob> sec", "bob\u{ff1a} sec.", "bob\u{3001} sec"] {
            assert_eq!(without_punctuation(words), "bob sec", "{words}");
        }
        assert_eq!(without_punctuation("\"bob the\": sec"), "\"bob the\" sec");
        assert_eq!(without_punctuation("O'Neil: sec"), "O'Neil sec");
    }

    #[test]
    fn the_help_fits_a_narrow_terminal() {
        for line in help() {
            assert!(line.len() <= 72, "{line}");
        }
    }
}
