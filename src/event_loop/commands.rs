//! Doing what the user types: saying it, or obeying it.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use chrono::Local;
use rustix::process::{Signal, getpgid, getpgrp, getsid, kill_current_process_group};

use super::EventLoop;
use crate::address;
use crate::command::{self, COMMANDS, Command, nearest};
use crate::name;
use crate::protocol::roster::{Connecting, Dialler, NotFound, Participant, Retry, Standing};
use crate::protocol::{Peer, Who};
use crate::terminal::json;
use crate::terminal::layout::columns_at_most;
use crate::terminal::speakers::Speakers;
use crate::terminal::tab_completion::Known;

impl EventLoop {
    /// A line was typed.
    pub(super) fn take_line(&mut self, line: &str, now: Instant) {
        match command::read(line) {
            Ok(Command::Say(text)) => self.say(&text),
            Ok(Command::Help) => command::help().for_each(|line| self.terminal.reply(&line)),
            Ok(Command::Who) => self.show_who(now),
            Ok(Command::Connect(text)) => self.connect_to(text, now),
            Ok(Command::Name(name)) => self.rename(name),
            Ok(Command::Private(words)) => self.say_privately(words),
            Ok(Command::Ignore(name)) => self.ignore(name),
            Ok(Command::Unignore(name)) => self.unignore(name),
            Ok(Command::Quit(words)) => {
                words.into_iter().for_each(|words| self.say(words));
                self.end_typing(now);
            }
            Err(why) => {
                self.failed_commands += u64::from(!self.terminal.is_interactive());
                self.terminal.reply(&why);
            }
        }
    }

    /// Says something to everybody.
    pub(super) fn say(&mut self, text: &str) {
        if !text.is_empty() {
            let at = Local::now().fixed_offset();
            self.peer.say(text, at);
            self.terminal.show_own(at, None, text);
        }
    }

    /// Completes what is before the cursor.
    pub(super) fn complete(&mut self) {
        let mut roster = self.peer.roster();
        roster.retain(Participant::is_met);
        // Who is here before who is not, and then who said something last.
        let speakers = self.terminal.speakers();
        roster.sort_by_key(|one| (one.standing == Standing::Lost, Reverse(speakers.last_spoken(&one.who))));
        let names: Vec<&str> = roster.iter().map(|one| &*one.who.name).collect();
        self.terminal.complete(Known { commands: &COMMANDS.map(|entry| entry.name), names: &names });
    }

    /// Puts the command that answers the last private message into the line, so that it is seen to whom
    /// it goes before it is written.
    pub(super) fn expand_reply(&mut self) {
        let Some(last) = self.terminal.speakers().last_private() else {
            return self.terminal.reply("nobody has sent you a private message: /msg NAME TEXT sends one");
        };
        let roster = self.peer.roster();
        match roster.iter().find(|one| Speakers::is_same(&one.who, last)) {
            Some(one) => self.terminal.replace_text(format!("/msg {} ", one.who)),
            None => {
                let sentence = format!("{last}, who sent you the last private message, is not here any more");
                self.terminal.reply(&sentence);
            }
        }
    }

    /// Stops, if there is somebody who can make us go on.
    pub(super) fn suspend(&mut self) {
        // The group of whoever leads the session has nobody above it.
        if getsid(None).and_then(|session| getpgid(Some(session))).is_ok_and(|group| group == getpgrp()) {
            return self.terminal.reply("there is no shell that could bring this back: not stopped");
        }
        // It comes back to us as a signal, too.
        let _ = kill_current_process_group(Signal::TSTP);
    }

    /// Tells what has become of names that were looked up.
    pub(super) fn take_resolved(&mut self, now: Instant) {
        self.resolver.handle_time(now, self.poll.registry());
        while let Some(found) = self.resolver.poll_output() {
            match found {
                Ok(peer) => self.connect(peer, now),
                Err(why) => self.terminal.reply(&why),
            }
        }
    }

    fn connect_to(&mut self, text: &str, now: Instant) {
        let peer = match address::parse(text) {
            Ok(peer) => peer,
            Err(why) => return self.terminal.reply(&format!("cannot connect to '{text}': {why}")),
        };
        match peer.known() {
            Some(peer) => self.connect(peer, now),
            None => {
                let asked = self.resolver.ask(peer, now, self.poll.registry());
                self.terminal.reply(&asked.err().unwrap_or_else(|| format!("looking up {text}")));
            }
        }
    }

    fn connect(&mut self, peer: Peer, now: Instant) {
        let name = peer.name.clone();
        let sentence = match self.peer.connect(peer, now) {
            Connecting::Begun => format!("connecting to {name}"),
            Connecting::Connected(who) => format!("{name} is connected already: {who}"),
            Connecting::Dialling => format!("connecting to {name} again"),
            Connecting::Full => format!("not connected to {name}: too many peers are named already"),
        };
        self.terminal.reply(&sentence);
    }

    fn rename(&mut self, text: &str) {
        match name::parse(text) {
            Ok(name) => {
                self.terminal.set_name(&name);
                self.terminal.reply(&format!("you are now {name}"));
                self.peer.rename(name);
            }
            Err(why) => self.terminal.reply(&format!("you are not called '{text}': {why}")),
        }
    }

    fn say_privately(&mut self, words: &str) {
        let Some((who, text)) = self.find(words) else { return };
        if text.is_empty() {
            return self.terminal.reply(&format!("there is nothing to say to {who}"));
        }
        let at = Local::now().fixed_offset();
        match self.peer.whisper(&who, text, at) {
            Ok(()) => self.terminal.show_own(at, Some(&who), text),
            Err(why) => self.terminal.reply(&format!("not said: {why}")),
        }
    }

    fn ignore(&mut self, name: &str) {
        let Some((who, rest)) = self.find(name) else { return };
        let sentence = match rest {
            "" if self.terminal.ignored().add(who.clone()) => format!("{who} is ignored"),
            "" => format!("{who} is ignored already"),
            _ => format!("nobody is called {name}"),
        };
        self.terminal.reply(&sentence);
    }

    fn unignore(&mut self, name: &str) {
        let sentence = match self.terminal.ignored().remove(name) {
            Some(who) => format!("{who} is not ignored any more"),
            None => match self.terminal.ignored().names().as_slice() {
                [] => "nobody is ignored".to_owned(),
                names => format!("{name} is not ignored; ignored: {}", names.join(", ")),
            },
        };
        self.terminal.reply(&sentence);
    }

    /// Who is meant by the name with which `words` begin, and what stands behind it. Otherwise the user
    /// is told.
    fn find<'a>(&mut self, words: &'a str) -> Option<(Who, &'a str)> {
        let why = match self.peer.find(words) {
            Ok(found) => return Some(found),
            Err(NotFound::Ambiguous(names)) => format!("that may be any of {}", names.join(", ")),
            Err(NotFound::Nobody) => {
                let name = words.split_whitespace().next().unwrap_or(words);
                let roster = self.peer.roster();
                let names = roster.iter().filter(|one| one.is_met()).map(|one| &*one.who.name);
                match nearest(name, names) {
                    Some(near) => format!("nobody is called {name}: did you mean {near}?"),
                    None => format!("nobody is called {name}: /who tells who is there"),
                }
            }
        };
        self.terminal.reply(&why);
        None
    }

    fn show_who(&mut self, now: Instant) {
        let roster = self.peer.roster();
        if roster.is_empty() {
            return self.terminal.reply("nobody else is there");
        }
        let width =
            roster.iter().map(|one| columns_at_most(&one.who.name)).max().unwrap_or(0).min(NAME_COLUMNS);
        for one in &roster {
            let mut sentence = described(one, width, now);
            if self.terminal.ignored().holds(&one.who) {
                sentence += ", ignored";
            }
            self.terminal.show_member(&one.who, &for_scripts(one, now), &sentence);
        }
    }
}

/// A longer name moves what stands behind it.
const NAME_COLUMNS: usize = 16;

/// One line of what `/who` answers.
fn described(one: &Participant, width: usize, now: Instant) -> String {
    let Participant { who, standing, dialled, since, behind, retry } = one;
    let address = who.address.map_or("at no known address".to_owned(), |address| address.to_string());
    let padding = " ".repeat(width.saturating_sub(columns_at_most(&who.name)));
    let mut line = format!("{who}{padding}  {address}, ");
    let time = since.map_or(String::new(), |since| duration(now.saturating_duration_since(since)));
    let dialled = match dialled {
        Some(Dialler::We) => "dialled by us ",
        Some(Dialler::It) => "dialled us ",
        None => "",
    };
    line += &match standing {
        Standing::Here => format!("{dialled}{time} ago"),
        Standing::Plain => format!("a plain peer, {dialled}{time} ago"),
        Standing::Lost => format!("lost {time} ago"),
        Standing::Unmet => "only told of".to_owned(),
        Standing::Named => "not reached yet".to_owned(),
    };
    line += &match (standing, behind) {
        (Standing::Here | Standing::Plain, 0) => ", has everything".to_owned(),
        (_, 0) => String::new(),
        (_, 1) => ", 1 message behind".to_owned(),
        (_, behind) => format!(", {behind} messages behind"),
    };
    line += &match retry {
        Some(Retry::Now) => ": being dialled".to_owned(),
        Some(Retry::At(at)) => format!(": again in {} s", seconds_until(*at, now)),
        None => String::new(),
    };
    line
}

fn for_scripts(one: &Participant, now: Instant) -> json::Member {
    let standing = match one.standing {
        Standing::Here => "here",
        Standing::Plain => "plain",
        Standing::Lost => "lost",
        Standing::Unmet => "told of",
        Standing::Named => "named",
    };
    let dialled_by = one.dialled.as_ref().map(|dialler| match dialler {
        Dialler::We => "us",
        Dialler::It => "them",
    });
    let retry_seconds = one.retry.as_ref().map(|retry| match retry {
        Retry::Now => 0,
        Retry::At(at) => seconds_until(*at, now),
    });
    let seconds = one.since.map(|since| now.saturating_duration_since(since).as_secs());
    json::Member { standing, dialled_by, seconds, behind: one.behind, retry_seconds }
}

/// Rounded up: what is still to come is not over.
fn seconds_until(at: Instant, now: Instant) -> u64 {
    at.saturating_duration_since(now).as_millis().div_ceil(1000) as u64
}

fn duration(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
