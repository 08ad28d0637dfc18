//! Suggestions for unknown commands: the equivalent of another program's command, or the nearest name by spelling.

use super::COMMANDS;
use crate::limits::{COMMAND_CHARS_MAX, NAME_BYTES_MAX};

/// A suggestion for an unknown command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// This command, with its slash.
    Command(String),
    /// A sentence, where no command does what is meant.
    Sentence(&'static str),
}

/// A suggestion for an unknown command, by meaning first and then by spelling.
pub(super) fn advice(word: &str) -> Option<Advice> {
    if let Some((_, advice)) = MEANINGS.iter().find(|(words, _)| words.contains(&word)) {
        let is_command = advice.starts_with('/') && !advice.contains(' ');
        return Some(match is_command {
            true => Advice::Command((*advice).to_owned()),
            false => Advice::Sentence(advice),
        });
    }
    if word.chars().count() > COMMAND_CHARS_MAX {
        return None;
    }
    // The names that are listed come before those that are only tried.
    let listed = || COMMANDS.iter().map(|entry| &entry.name[1..]);
    let aliases = || COMMANDS.iter().flat_map(|entry| entry.aliases.iter().copied());
    let names = || listed().chain(aliases()).filter(|name| name.len() > 1);
    let begun = names().find(|name| word.len() > 1 && name.starts_with(word));
    let run_on = || names().filter(|name| name.len() > 2).find(|name| word.starts_with(name));
    let near = begun.or_else(|| nearest(word, names())).or_else(run_on)?;
    Some(Advice::Command(format!("/{near}")))
}

/// Commands of IRC, Slack, Discord and games, each with its equivalent here: a command, or a sentence.
pub(super) const MEANINGS: [(&[&str], &str); 18] = [
    (
        &["join", "j", "room", "rooms", "channel", "channels", "create", "group"],
        "each run is one group: start groupchat PORT PEER in another terminal, or add a peer with /connect",
    ),
    (&["server", "open", "dial", "add", "peer"], "/connect"),
    (&["hangup", "drop", "remove"], "/disconnect"),
    (
        &[
            "w", "tell", "t", "pm", "privmsg", "message", "m", "notice", "private", "priv", "direct",
            "secret", "to", "send",
        ],
        "/msg",
    ),
    (&["r", "re", "answer", "respond"], "/reply"),
    (&["action", "emote", "em", "describe", "does"], "/me"),
    (&["s", "shout", "yell", "all", "broadcast", "echo", "speak", "raw", "quote"], "/say"),
    (
        &[
            "users",
            "user",
            "members",
            "member",
            "online",
            "people",
            "participants",
            "ls",
            "whois",
            "who's",
            "here",
            "roster",
            "peers",
            "status",
            "ison",
            "whoami",
            "ping",
            "l",
        ],
        "/who",
    ),
    (&["nickname", "username", "rename", "iam", "alias", "n", "register", "identify", "login"], "/name"),
    (&["mute", "block", "hide", "squelch", "silence", "shun"], "/ignore"),
    (&["unmute", "unblock", "unhide", "unsquelch"], "/unignore"),
    (&["cls", "c", "reset", "cl"], "/clear"),
    (&["q", "x", "logout", "logoff", "signoff", "close", "wq", "stop", "end", "die", "goodbye"], "/quit"),
    (&["commands", "command", "man", "manual", "info", "usage", "about"], "/help"),
    (
        &["kick", "ban", "unban", "kill", "op", "deop", "voice", "mode", "admin", "expel"],
        "nobody is in charge of a group; /ignore NAME hides somebody from you",
    ),
    (
        &["topic", "away", "afk", "back", "brb", "dnd", "busy"],
        "a group keeps no such state; tell it with /me TEXT",
    ),
    (
        &["edit", "delete", "del", "react", "thread", "pin", "unsend"],
        "a message cannot be changed once it is sent",
    ),
    (
        &[
            "set", "config", "settings", "history", "log", "save", "color", "colour", "bell", "notify",
            "version",
        ],
        "that is an option when you start: groupchat --help lists them",
    ),
];

/// The nearest of `known` by spelling, if at most one letter in three is wrong.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A comparison takes time in proportion to both lengths.
    let known = known.filter(|known| known.len().max(name.len()) <= 4 * NAME_BYTES_MAX);
    let distance = |known: &&str| strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase());
    let near = known.min_by_key(distance)?;
    (distance(&near) * 3 <= near.chars().count().max(3)).then_some(near)
}
