//! What a line that was typed is: something to say, or a command. It does nothing itself.

use std::borrow::Cow;

/// What a line asks for. Texts are as they were typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// To say this to everybody.
    Say(Cow<'a, str>),
    /// To list the commands.
    Help,
    /// To tell who is there, or all that is known of one.
    Who(Option<&'a str>),
    /// To connect to a peer at this address.
    Connect(&'a str),
    /// To be called this from now on.
    Name(&'a str),
    /// To say something to one member alone: its name, and behind a space the text. Names may hold
    /// spaces, so where the one ends is known only to who knows the names.
    Private(&'a str),
    /// Not to show what somebody says.
    Ignore(&'a str),
    /// To show it again.
    Unignore(&'a str),
    /// To leave, after saying this.
    Quit(Option<&'a str>),
}

impl Command<'_> {
    /// Whether what it does depends on who is in the group.
    #[must_use]
    pub fn needs_group(&self) -> bool {
        match self {
            Self::Who(_) | Self::Private(_) | Self::Ignore(_) => true,
            Self::Say(_)
            | Self::Help
            | Self::Connect(_)
            | Self::Name(_)
            | Self::Unignore(_)
            | Self::Quit(_) => false,
        }
    }
}

/// A command as the user is told of it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// With its slash.
    pub name: &'static str,
    /// What stands behind it; in brackets what need not.
    pub arguments: &'static str,
    /// What it does.
    pub help: &'static str,
}

const fn entry(name: &'static str, arguments: &'static str, help: &'static str) -> Entry {
    Entry { name, arguments, help }
}

/// All commands, in the order in which they are listed.
pub const COMMANDS: [Entry; 9] = [
    entry("/help", "", "list the commands"),
    entry("/who", "[NAME]", "tell who is there and how well they are reached"),
    entry("/msg", "NAME TEXT", "say something to one member alone"),
    entry("/me", "TEXT", "say what you do: \"/me waves\""),
    entry("/name", "NEW", "be called something else"),
    entry("/connect", "ADDRESS", "connect to a peer: HOST:PORT or PORT"),
    entry("/ignore", "NAME", "do not show what somebody says"),
    entry("/unignore", "NAME", "show it again"),
    entry("/quit", "[WORDS]", "leave, after saying the words"),
];

/// Reads a line. One that begins with a slash is a command; with two, it is said with one. A text of
/// several lines is always said.
///
/// # Errors
///
/// A sentence that tells what is wrong with a command, and what may have been meant.
pub fn read(line: &str) -> Result<Command<'_>, String> {
    if !line.starts_with('/') || line.contains('\n') {
        return Ok(Command::Say(line.into()));
    }
    if line.starts_with("//") {
        return Ok(Command::Say(line[1..].into()));
    }
    let (name, words) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let words = words.trim();
    let entry = COMMANDS.iter().find(|entry| entry.name == name).ok_or_else(|| unknown(name, line))?;
    let is_missing = words.is_empty() && !matches!(entry.arguments, "" | "[NAME]" | "[WORDS]");
    if is_missing || !words.is_empty() && entry.arguments.is_empty() {
        return Err(usage(entry));
    }
    Ok(match name {
        "/help" => Command::Help,
        "/who" => Command::Who(Some(words).filter(|words| !words.is_empty())),
        "/connect" => Command::Connect(words),
        "/name" => Command::Name(words),
        "/msg" if !words.contains(char::is_whitespace) => return Err(usage(entry)),
        "/msg" => Command::Private(words),
        // Whoever reads it knows what it means (as in XEP-0245).
        "/me" => Command::Say(line.into()),
        "/ignore" => Command::Ignore(words),
        "/unignore" => Command::Unignore(words),
        "/quit" => Command::Quit(Some(words).filter(|words| !words.is_empty())),
        _ => return Err(unknown(name, line)),
    })
}

/// What `/help` answers, a line each.
pub fn help() -> impl Iterator<Item = String> {
    let width = COMMANDS.iter().map(|entry| shown(entry).len()).max().unwrap_or(0);
    let commands = COMMANDS.iter().map(move |entry| format!("{:width$}  {}", shown(entry), entry.help));
    commands.chain(["A line that begins with // is said with one slash.".to_owned()])
}

fn shown(entry: &Entry) -> String {
    format!("{} {}", entry.name, entry.arguments).trim_end().to_owned()
}

fn usage(entry: &Entry) -> String {
    match entry.arguments {
        "" => format!("{} stands alone", entry.name),
        _ => format!("it is written {}", shown(entry)),
    }
}

fn unknown(name: &str, line: &str) -> String {
    let near = nearest(name, COMMANDS.iter().map(|entry| entry.name));
    let near = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
    format!("there is no command {name}{near}: /help lists all; to say it, write /{line}")
}

/// The one of `known` that was probably meant, if one is near: with a letter wrong in three.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |known: &&str| strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase());
    let near = known.min_by_key(distance)?;
    (distance(&near) * 3 <= near.chars().count().max(3)).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Command<'_>) {
        assert_eq!(read(line), Ok(expected), "{line}");
    }

    #[track_caller]
    fn check_error(line: &str, expected: &str) {
        assert_eq!(read(line), Err(expected.to_owned()), "{line}");
    }

    #[test]
    fn what_is_no_command_is_said() {
        check("hello", Command::Say("hello".into()));
        check(" /who", Command::Say(" /who".into()));
        check("//who", Command::Say("/who".into()));
        check("///", Command::Say("//".into()));
        check("/me waves", Command::Say("/me waves".into()));
        check("/who\nare you", Command::Say("/who\nare you".into()));
    }

    #[test]
    fn commands_are_read() {
        check("/help", Command::Help);
        check("/who ", Command::Who(None));
        check("/who Mary Ann", Command::Who(Some("Mary Ann")));
        check("/connect  host:5000 ", Command::Connect("host:5000"));
        check("/name Mary Ann", Command::Name("Mary Ann"));
        check("/msg bob are you  there?", Command::Private("bob are you  there?"));
        check("/ignore bob", Command::Ignore("bob"));
        check("/unignore bob", Command::Unignore("bob"));
        check("/quit", Command::Quit(None));
        check("/quit see you", Command::Quit(Some("see you")));
    }

    #[test]
    fn errors_tell_what_to_write() {
        check_error("/help me", "/help stands alone");
        check_error("/msg", "it is written /msg NAME TEXT");
        check_error("/msg bob", "it is written /msg NAME TEXT");
        check_error("/me ", "it is written /me TEXT");
        check_error(
            "/wo",
            "there is no command /wo (did you mean /who?): /help lists all; to say it, write //wo",
        );
        check_error(
            "/WHO is it",
            "there is no command /WHO (did you mean /who?): /help lists all; to say it, write //WHO is it",
        );
        check_error(
            "/etc/passwd",
            "there is no command /etc/passwd: /help lists all; to say it, write //etc/passwd",
        );
    }

    #[test]
    fn the_help_fits_a_narrow_terminal() {
        for line in help() {
            assert!(line.len() <= 72, "{line}");
        }
    }
}
