//! The execution of lines: messages are sent, commands are executed.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::Instant;

use chrono::Local;
use rustix::process::{Signal, getpgid, getpgrp, getsid, kill_current_process_group};

use super::EventLoop;

use crate::address;
use crate::command::{self, COMMANDS, Command, Refused, Slashless, Source, nearest};
use crate::limits::NAME_BYTES_MAX;
use crate::look_alike::Looks;
use crate::name;
use crate::protocol::former_names::Fate;
use crate::protocol::label::{is_quotation_mark, read_quoted};
use crate::protocol::roster::{Connecting, Disconnecting, NotFound, RosterEntry, Standing};
use crate::protocol::{Label, Peer, PeerInfo};
use crate::resolver;
use crate::terminal::speakers::Speakers;
use crate::terminal::tab_completion::Known;
use crate::unicode;

/// Hexadecimal digits of a tag at least.
const TAG_DIGITS: usize = 4;

impl EventLoop {
    /// Executes a line of the user or of a script. At a terminal, a refused line goes back into the editor.
    pub(super) fn handle_line(&mut self, line: String, source: Source, now: Instant) {
        if let Some((peer, line)) = self.expanded_reply(&line, source) {
            self.terminal.reply(&format!("not sent yet: Enter sends this to {peer}"));
            return self.terminal.restore_draft(line, source);
        }
        if let Err(why) = self.execute(&line, source, now) {
            self.report_failure(&line, &why);
            if source == Source::Start {
                self.terminal.discard_line();
            }
            self.terminal.restore_draft(line, source);
        }
    }

    /// Sends a message or executes a command.
    ///
    /// # Errors
    ///
    /// A sentence for the user: why the line was refused, or why the command failed.
    fn execute(&mut self, line: &str, source: Source, now: Instant) -> Result<(), String> {
        let is_confirmed = self.unconfirmed.take().is_some_and(|unconfirmed| unconfirmed == line);
        let command = command::read(line, source).map_err(|refused| refused.to_string())?;
        let may_ask = !is_confirmed && source != Source::Rest;
        if may_ask && let Some(question) = self.confirmation_question(&command) {
            self.unconfirmed = Some(line.to_owned());
            return Err(question);
        }
        match command {
            Command::Text(text) => {
                self.broadcast(&text);
                self.hint_for(&text);
            }
            Command::Say(text) => self.broadcast(text),
            Command::Me(text) => self.broadcast(&format!("/me {text}")),
            Command::Private(words) => {
                let (peer, text) = self.find_recipient(words)?;
                self.send_private(&peer, text)?;
            }
            Command::Reply(text) => {
                let peer = self.last_private()?;
                self.send_private(&peer, text)?;
            }
            Command::Help => command::help().for_each(|line| self.terminal.reply(&line)),
            Command::Who(name) => self.show_who(name, now)?,
            Command::Connect(text) => self.connect_to(text, now)?,
            Command::Disconnect(text) => self.disconnect_from(text)?,
            Command::Name(name) => self.rename(name)?,
            Command::Ignore(name) => self.ignore(name)?,
            Command::Unignore(name) => self.unignore(name)?,
            Command::Invite => self.show_invite()?,
            Command::Clear => {
                if !self.terminal.clear_screen() {
                    return Err("cannot clear the screen: standard output is not a terminal".to_owned());
                }
            }
            Command::Quit(text) => {
                text.into_iter().for_each(|text| self.broadcast(text));
                self.end_input(now);
            }
        }
        Ok(())
    }

    /// Shows the invite, here alone: a reply is neither sent nor recorded.
    ///
    /// # Errors
    ///
    /// A sentence: the group is open, or no address is known.
    fn show_invite(&mut self) -> Result<(), String> {
        let Some(private) = &self.private else {
            let why = "this group is open; to join, others start groupchat 0 ADDRESS:PORT with your address and port";
            return Err(format!("there is no invite: {why}"));
        };
        let invite = private.invite(self.peer.server.reachable_ip(), self.peer.server.address().port())?;
        self.terminal.reply(&invite);
        Ok(())
    }

    /// Sends a text to everybody, unless it is blank.
    fn broadcast(&mut self, text: &str) {
        if unicode::is_blank(text) {
            if self.terminal.is_interactive() && !text.is_empty() {
                self.terminal.reply("nothing was sent: the message is blank");
            }
            return;
        }
        let at = Local::now().fixed_offset();
        self.group.broadcast(text, at);
        self.terminal.show_own(at, None, text);
    }

    /// The question to ask before sending a text that seems to be meant for somebody else.
    fn confirmation_question(&self, command: &Command<'_>) -> Option<String> {
        let is_interactive = self.terminal.is_interactive();
        let is_somebody = |words: &str| !matches!(self.group.find(words), Err(NotFound::Nobody));
        let text: &str = match command {
            Command::Text(text) => {
                let behind = || command::private_behind(text).filter(|_| is_interactive);
                let found = command::slashless(text);
                let found = found.or_else(|| behind().map(|words| Slashless { words, is_marked: false }));
                let is_private = |Slashless { words, is_marked }| {
                    is_marked || is_somebody(words) || is_somebody(&command::without_punctuation(words))
                };
                if found.is_some_and(is_private) {
                    return Some(match is_interactive {
                        true => "not sent yet: this would go to everybody. Enter again sends it; \
                                 a private message begins with /msg NAME"
                            .to_owned(),
                        false => "this would go to everybody; a private message begins with /msg NAME, and \
                                  /say TEXT sends any text"
                            .to_owned(),
                    });
                }
                text
            }
            Command::Me(text) | Command::Private(text) | Command::Reply(text) | Command::Quit(Some(text)) => {
                text
            }
            Command::Say(_)
            | Command::Who(_)
            | Command::Name(_)
            | Command::Connect(_)
            | Command::Disconnect(_)
            | Command::Ignore(_)
            | Command::Unignore(_)
            | Command::Invite
            | Command::Clear
            | Command::Help
            | Command::Quit(None) => return None,
        };
        // A script says what it means; a paste may hold more than one command.
        let has_private = is_interactive && command::private_in_later_lines(text).any(is_somebody);
        has_private.then(|| {
            "not sent yet: a later line begins with /msg, and all lines would go out as one message. Enter again \
             sends them"
                .to_owned()
        })
    }

    /// Shows a hint after a word such as `quit`, which leaves other programs, was sent as a message.
    fn hint_for(&mut self, text: &str) {
        if self.terminal.is_interactive()
            && let Some(hint) = command::hint_for_word(text)
        {
            self.terminal.reply(&format!("\"{}\" was sent to everybody; {hint}", text.trim()));
        }
    }

    /// Completes the text before the cursor.
    pub(super) fn complete(&mut self) {
        let mut roster = self.group.roster();
        roster.retain(RosterEntry::is_met);
        // Connected peers come before lost ones, and recent senders before others.
        let speakers = self.terminal.speakers();
        roster.sort_by_cached_key(|one| {
            (one.standing == Standing::Lost, Reverse(speakers.last_message(&one.peer)))
        });
        let names: Vec<_> = roster.into_iter().map(|one| one.peer.name).collect();
        let known = Known { commands: &COMMANDS.map(|entry| entry.name), names: &names };
        if self.terminal.complete(known) {
            self.expand_reply();
        }
    }

    /// At a terminal, a `/reply` with its recipient's name in it: without the name, the recipient would be the last
    /// sender at the time when Enter is pressed.
    fn expanded_reply(&self, line: &str, source: Source) -> Option<(PeerInfo, String)> {
        match command::read(line, source) {
            Ok(Command::Reply(text)) if self.terminal.is_interactive() => {
                let peer = self.last_private().ok()?;
                let line = format!("/msg {peer} {text}");
                Some((peer, line))
            }
            _ => None,
        }
    }

    /// Replaces `/reply ` in the editor by `/msg NAME `, so that the user sees the recipient before writing
    /// the text.
    pub(super) fn expand_reply(&mut self) {
        match self.last_private() {
            Ok(peer) => self.terminal.replace_text(format!("/msg {peer} ")),
            Err(why) => self.terminal.reply(&why),
        }
    }

    /// The sender of the last private message, under its current name.
    ///
    /// # Errors
    ///
    /// A sentence: there was no private message, or its sender is gone.
    fn last_private(&self) -> Result<PeerInfo, String> {
        let last = self.terminal.speakers().last_private();
        let last = last.ok_or("nobody has sent you a private message; /msg NAME TEXT sends one")?;
        let mut roster = self.group.roster().into_iter();
        let found = roster.find(|one| Speakers::is_same(&one.peer, last));
        let gone = || format!("{last}, who sent you the last private message, is not here any more");
        found.map(|one| one.peer).ok_or_else(gone)
    }

    /// Stops the process group, if a shell can resume it.
    pub(super) fn suspend(&mut self) {
        // The process group of a session leader has no shell above it.
        if getsid(None).and_then(|session| getpgid(Some(session))).is_ok_and(|group| group == getpgrp()) {
            return self.terminal.reply("not stopped: there is no shell that could resume this program");
        }
        // The signal also reaches this process, where the loop handles it.
        let _ = kill_current_process_group(Signal::TSTP);
    }

    /// Handles finished look-ups: connects to the peer, or reports why its name was not found.
    pub(super) fn handle_lookups(&mut self, now: Instant) {
        self.resolver.handle_time(now, self.poll.registry());
        while let Some(found) = self.resolver.poll_output() {
            if self.group_lookups > 0 {
                self.group_lookups -= 1;
                self.handle_group_lookup(found, now);
                continue;
            }
            let line = |peer: &str| format!("/connect {peer}");
            let (line, outcome) = match found {
                Ok(peer) => (line(&peer.name), self.connect(peer, now)),
                Err(resolver::NotFound { peer, why }) => (line(&peer), Err(cannot_connect(&peer, &why))),
            };
            if let Err(why) = outcome {
                self.report_failure(&line, &why);
            }
        }
    }

    /// The look-up of an address of an invite has ended.
    fn handle_group_lookup(&mut self, found: Result<Peer, resolver::NotFound>, now: Instant) {
        match found {
            Ok(peer) => self.group.add_known(peer, None, now),
            Err(resolver::NotFound { peer, why }) if !self.group.has_reached_somebody() => {
                self.terminal.report(&cannot_connect(&peer, &why));
            }
            Err(_) => (),
        }
    }

    /// Shows every peer, or the details of the peer called `name`.
    ///
    /// # Errors
    ///
    /// A sentence: no peer has this name, or several do.
    fn show_who(&mut self, name: Option<&str>, now: Instant) -> Result<(), String> {
        if let Some(name) = name
            && self.is_own_name(name)
        {
            let lines = [self.own_line(), format!("  id {}", self.group.id())];
            lines.iter().for_each(|line| self.terminal.reply(line));
            return Ok(());
        }
        let peer = name.map(|name| self.find_participant(name)).transpose()?;
        let mut entries = self.group.roster();
        entries.retain(|one| {
            peer.as_ref().is_none_or(|peer| (one.peer.id, &one.peer.name) == (peer.id, &peer.name))
        });
        if name.is_none() && self.terminal.is_interactive() {
            let own_line = self.own_line();
            self.terminal.reply(&own_line);
        }
        self.terminal.show_peers(entries, name.is_some(), now);
        Ok(())
    }

    /// The line about the user. The digits are the tag that disambiguates equal names.
    fn own_line(&self) -> String {
        let tag: String = self.group.id().to_string().chars().take(TAG_DIGITS).collect();
        format!("you are {} (#{tag}), listening on {}", self.terminal.own_name(), self.peer.server.address())
    }

    /// Whether `name` is the user's name and nobody else's.
    fn is_own_name(&self, name: &str) -> bool {
        name.to_lowercase() == self.terminal.own_name().to_lowercase() && self.group.find_named(name).is_err()
    }

    /// The peer called `name`, also one that was not reached yet.
    fn find_participant(&self, name: &str) -> Result<PeerInfo, String> {
        let named = self.group.roster().into_iter().find(|one| *one.peer.name == *name);
        match named {
            Some(one) => Ok(one.peer),
            None => self.find_named(name),
        }
    }

    fn connect_to(&mut self, text: &str, now: Instant) -> Result<(), String> {
        let peer = address::parse(text).map_err(|why| cannot_connect(text, &why))?;
        match peer.known() {
            Some(peer) => self.connect(peer, now)?,
            None => {
                self.resolver.look_up(peer, now, self.poll.registry())?;
                self.terminal.reply(&format!("looking up {text}"));
            }
        }
        Ok(())
    }

    fn connect(&mut self, peer: Peer, now: Instant) -> Result<(), String> {
        let name = peer.name.clone();
        let sentence = match self.group.connect(peer, now) {
            Connecting::Begun => format!("connecting to {name}"),
            Connecting::Connected(peer) => format!("already connected to {name}: {peer}"),
            Connecting::Dialling => format!("connecting to {name} again"),
            Connecting::Full => return Err(cannot_connect(&name, "too many peers are named already")),
        };
        self.terminal.reply(&sentence);
        self.named_at = now;
        Ok(())
    }

    fn disconnect_from(&mut self, text: &str) -> Result<(), String> {
        // A host name is not looked up again: the peer is found by the text that named it.
        let known = address::parse(text).ok().and_then(|peer| peer.known());
        let addresses = known.map_or(Vec::new(), |peer| peer.addresses);
        let (own, at) = (self.peer.own_address(), Local::now().fixed_offset());
        let cannot = |peer: &PeerInfo, why| Err(format!("cannot disconnect from {peer}: {why}"));
        let sentence = match self.group.disconnect(text, &addresses, own, at) {
            Disconnecting::Stopped(name) => format!("not connecting to {name} any more"),
            Disconnecting::Closed(peer) => format!("disconnected from {peer}"),
            Disconnecting::Member(peer) => {
                return cannot(&peer, "all members of a group are connected; /ignore NAME hides one");
            }
            Disconnecting::Accepted(peer) => {
                return cannot(&peer, "it connected to you; /ignore NAME hides it");
            }
            Disconnecting::Unknown => {
                let why = match address::parse(text) {
                    Ok(_) => "you did not connect to it; /who lists addresses".to_owned(),
                    Err(why) => why,
                };
                return Err(format!("cannot disconnect from '{text}': {why}"));
            }
        };
        self.terminal.reply(&sentence);
        Ok(())
    }

    fn rename(&mut self, text: &str) -> Result<(), String> {
        let name = name::parse(text).map_err(|why| format!("cannot change your name to '{text}': {why}"))?;
        self.terminal.set_name(&name);
        self.group.rename(name);
        let own = self.group.own_label();
        let bare = own.with_mark("");
        self.terminal.reply(&match own.mark() {
            "" => format!("you are now {bare}"),
            _ => format!("you are now {bare}; since somebody here is called that too, the others see {own}"),
        });
        Ok(())
    }

    fn send_private(&mut self, peer: &PeerInfo, text: &str) -> Result<(), String> {
        if unicode::is_blank(text) {
            return Err(format!("there is no text for {peer}; {}", Refused::NoText));
        }
        let at = Local::now().fixed_offset();
        self.group.send_private(peer, text, at).map_err(|why| format!("not sent: {why}"))?;
        self.terminal.show_own(at, Some(peer), text);
        Ok(())
    }

    fn ignore(&mut self, name: &str) -> Result<(), String> {
        let peer = self.find_ignorable(name)?;
        let is_new = self.terminal.ignored().add(peer.clone());
        self.terminal.reply(&format!("{peer} is ignored{}", if is_new { "" } else { " already" }));
        Ok(())
    }

    /// The peer called `name`, also one that is gone and may come again.
    fn find_ignorable(&self, name: &str) -> Result<PeerInfo, String> {
        match (self.group.find_named(name), name.parse::<SocketAddr>()) {
            (Ok(peer), _) => Ok(peer),
            (Err(NotFound::Former { peer, fate: Fate::Left | Fate::Gone, others }), _)
                if others.is_empty() =>
            {
                Ok(peer)
            }
            // A plain peer that never sent a name.
            (Err(NotFound::Nobody), Ok(address)) => {
                Ok(PeerInfo { name: Label::of_place(name), id: None, address: Some(address) })
            }
            (Err(why), _) => Err(self.not_found(name, &why)),
        }
    }

    /// Removes a peer from the ignore list. The name is either the one at the time of `/ignore` or the current
    /// one.
    fn unignore(&mut self, name: &str) -> Result<(), String> {
        let found = self.terminal.ignored().remove_named(name).or_else(|why| {
            let now = self.group.find_named(name);
            now.ok().filter(|peer| self.terminal.ignored().remove(peer)).ok_or(why)
        });
        let peer = found.map_err(|why| match why {
            NotFound::Several(_) | NotFound::Ambiguous(_) => why.to_string(),
            NotFound::Nobody | NotFound::Oneself | NotFound::Former { .. } => {
                match self.terminal.ignored().names().as_slice() {
                    [] => "nobody is ignored".to_owned(),
                    names => format!("{name} is not ignored; ignored: {}", names.join(", ")),
                }
            }
        })?;
        self.terminal.reply(&format!("{peer} is not ignored any more"));
        Ok(())
    }

    /// The recipient whose name `words` begin with, and the text after the name.
    fn find_recipient<'a>(&self, words: &'a str) -> Result<(PeerInfo, &'a str), String> {
        let word = words.split_whitespace().next().unwrap_or(words);
        let name = if words.starts_with(is_quotation_mark) { words } else { word };
        self.group.find(words).map_err(|why| self.not_found(name, &why))
    }

    /// The peer called `name`.
    fn find_named(&self, name: &str) -> Result<PeerInfo, String> {
        self.group.find_named(name).map_err(|why| self.not_found(name, &why))
    }

    /// The error for a name that is not found. A name in quotes may have a text behind it.
    fn not_found(&self, name: &str, why: &NotFound) -> String {
        match why {
            NotFound::Nobody => self.no_such_name(name),
            NotFound::Oneself | NotFound::Former { .. } | NotFound::Several(_) | NotFound::Ambiguous(_) => {
                why.to_string()
            }
        }
    }

    /// The error for a name that nobody has, with the nearest existing name as a hint.
    fn no_such_name(&self, name: &str) -> String {
        let (name, mark) = match read_quoted(name) {
            Some((name, rest)) => (name, rest.split_whitespace().next().filter(|mark| mark.starts_with('#'))),
            None if name.starts_with(is_quotation_mark) => {
                return "a quotation mark begins the name and none ends it; write \"NAME\"".to_owned();
            }
            None => (name.to_owned(), None),
        };
        if name.len() > NAME_BYTES_MAX {
            let start = &name[..name.floor_char_boundary(NAME_BYTES_MAX)];
            return format!("nobody is called {start}...: a name has at most {NAME_BYTES_MAX} bytes");
        }
        let roster = self.group.roster();
        let looks = Looks::new(&name);
        let is_like =
            |one: &&RosterEntry| one.peer.name.looks().is_some_and(|theirs| theirs.are_like(&looks));
        match roster.iter().find(is_like) {
            Some(one) if mark.is_some() => {
                let mark = mark.unwrap_or_default();
                return format!(
                    "nobody is called {}{mark}; did you mean {}?",
                    Label::from(name).quoted(),
                    one.peer.written()
                );
            }
            // It has the form of a name with a mark, and was read so.
            Some(one) if one.is_met() => {
                return format!(
                    "a name of this form needs quotation marks; write {}",
                    one.peer.name.quoted()
                );
            }
            Some(one) => return format!("{} is a member, but has not been reached yet", one.peer.name),
            None => (),
        }
        let met = roster.iter().filter(|one| one.is_met()).map(|one| one.peer.name.bare());
        // A name of a very different length is no misspelling, and comparing is expensive.
        let length = name.chars().count();
        let is_near = |near: &&str| {
            let near = near.chars().count();
            near.abs_diff(length) * 3 <= near.max(3)
        };
        let near = nearest(&name, met.filter(is_near)).map(Label::from);
        let name = Label::from(name.as_str());
        match near {
            Some(near) => format!("nobody is called {name}; did you mean {near}?"),
            None => format!("nobody is called {name}; /who lists who is here"),
        }
    }
}

fn cannot_connect(peer: &str, why: &str) -> String {
    format!("cannot connect to '{peer}': {why}")
}
