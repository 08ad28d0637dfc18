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
use crate::resolver;
use crate::terminal::json;
use crate::terminal::layout::columns_at_most;
use crate::terminal::speakers::Speakers;
use crate::terminal::tab_completion::Known;

impl EventLoop {
    /// Takes in a line that was typed, or is a script's: sends it, or obeys it.
    pub(super) fn take_line(&mut self, line: &str, now: Instant) {
        if let Err(why) = self.obey(line, now) {
            self.fail(line, &why);
        }
    }

    /// # Errors
    ///
    /// Why a command could not do what it should: a sentence for the user.
    fn obey(&mut self, line: &str, now: Instant) -> Result<(), String> {
        match command::read(line)? {
            Command::Say(text) => self.say(&text),
            Command::Help => command::help().for_each(|line| self.terminal.reply(&line)),
            Command::Who => self.show_who(now),
            Command::Connect(text) => self.connect_to(text, now)?,
            Command::Name(name) => self.rename(name)?,
            Command::Private(words) => self.say_privately(words)?,
            Command::Ignore(name) => self.ignore(name)?,
            Command::Unignore(name) => self.unignore(name)?,
            Command::Quit(words) => {
                words.into_iter().for_each(|words| self.say(words));
                self.end_typing(now);
            }
        }
        Ok(())
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
            let line = |peer: &str| format!("/connect {peer}");
            let (line, outcome) = match found {
                Ok(peer) => (line(&peer.name), self.connect(peer, now)),
                Err(resolver::NotFound { peer, why }) => (line(&peer), Err(cannot_connect(&peer, &why))),
            };
            if let Err(why) = outcome {
                self.fail(&line, &why);
            }
        }
    }

    fn connect_to(&mut self, text: &str, now: Instant) -> Result<(), String> {
        let peer = address::parse(text).map_err(|why| cannot_connect(text, &why))?;
        match peer.known() {
            Some(peer) => self.connect(peer, now)?,
            None => {
                self.resolver.ask(peer, now, self.poll.registry())?;
                self.terminal.reply(&format!("looking up {text}"));
            }
        }
        Ok(())
    }

    fn connect(&mut self, peer: Peer, now: Instant) -> Result<(), String> {
        let name = peer.name.clone();
        let sentence = match self.peer.connect(peer, now) {
            Connecting::Begun => format!("connecting to {name}"),
            Connecting::Connected(who) => format!("{name} is connected already: {who}"),
            Connecting::Dialling => format!("connecting to {name} again"),
            Connecting::Full => return Err(cannot_connect(&name, "too many peers are named already")),
        };
        self.terminal.reply(&sentence);
        self.named_at = now;
        Ok(())
    }

    fn rename(&mut self, text: &str) -> Result<(), String> {
        let name = name::parse(text).map_err(|why| format!("you are not called '{text}': {why}"))?;
        self.terminal.set_name(&name);
        self.terminal.reply(&format!("you are now {name}"));
        self.peer.rename(name);
        Ok(())
    }

    fn say_privately(&mut self, words: &str) -> Result<(), String> {
        let (who, text) = self.find(words)?;
        if text.is_empty() {
            return Err(format!("there is nothing to say to {who}"));
        }
        let at = Local::now().fixed_offset();
        self.peer.whisper(&who, text, at).map_err(|why| format!("not said: {why}"))?;
        self.terminal.show_own(at, Some(&who), text);
        Ok(())
    }

    fn ignore(&mut self, name: &str) -> Result<(), String> {
        let (who, rest) = self.find(name)?;
        if !rest.is_empty() {
            return Err(format!("nobody is called {name}"));
        }
        let is_new = self.terminal.ignored().add(who.clone());
        self.terminal.reply(&format!("{who} is ignored{}", if is_new { "" } else { " already" }));
        Ok(())
    }

    fn unignore(&mut self, name: &str) -> Result<(), String> {
        let who = self.terminal.ignored().remove(name);
        let who = who.ok_or_else(|| match self.terminal.ignored().names().as_slice() {
            [] => "nobody is ignored".to_owned(),
            names => format!("{name} is not ignored; ignored: {}", names.join(", ")),
        })?;
        self.terminal.reply(&format!("{who} is not ignored any more"));
        Ok(())
    }

    /// Who is meant by the name with which `words` begin, and what stands behind it.
    fn find<'a>(&self, words: &'a str) -> Result<(Who, &'a str), String> {
        self.peer.find(words).map_err(|why| match why {
            NotFound::Ambiguous(names) => format!("that may be any of {}", names.join(", ")),
            NotFound::Nobody => {
                let name = words.split_whitespace().next().unwrap_or(words);
                let roster = self.peer.roster();
                let names = roster.iter().filter(|one| one.is_met()).map(|one| &*one.who.name);
                match nearest(name, names) {
                    Some(near) => format!("nobody is called {name}: did you mean {near}?"),
                    None => format!("nobody is called {name}: /who tells who is there"),
                }
            }
        })
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

fn cannot_connect(peer: &str, why: &str) -> String {
    format!("cannot connect to '{peer}': {why}")
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
