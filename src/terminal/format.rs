//! Notices in words: what the user reads.
//!
//! Everything that came from a peer, or quotes one, goes through [`push_sanitized`].

use std::mem;

use chrono::{DateTime, FixedOffset, Local, NaiveDate};

use super::mention;
use super::palette::{Palette, Style};
use super::sanitize::push_sanitized;
use super::wrap::{INDENT, expand_tabs};
use crate::limits::FORGET;
use crate::protocol::message::Timestamp;
use crate::protocol::{Notice, Who};

/// How notices are put into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// With colours.
    pub has_colors: bool,
    /// How times are written, in chrono's terms of strftime.
    pub time_format: String,
    /// A line tells when the day changes.
    pub tells_days: bool,
    /// The user's name is looked for in what others say.
    pub finds_mentions: bool,
    /// Tabs in messages are blanks, up to the next stop.
    pub expands_tabs: bool,
}

impl Default for Format {
    /// Without colours, and with the date in every time.
    fn default() -> Self {
        Self {
            has_colors: false,
            time_format: DATE_AND_TIME.to_owned(),
            tells_days: false,
            finds_mentions: false,
            expands_tabs: false,
        }
    }
}

impl Format {
    /// How times are written, unless the user says otherwise: where somebody reads along, the day is
    /// known.
    #[must_use]
    pub fn time_format(is_interactive: bool) -> &'static str {
        if is_interactive { "%H:%M" } else { DATE_AND_TIME }
    }
}

/// How times are written where every line has to stand for itself.
const DATE_AND_TIME: &str = "%Y-%m-%d %H:%M:%S";

/// Puts notices into words, and times into local time.
#[derive(Debug)]
pub struct Formatter {
    paint: Palette,
    /// The name that others mention.
    own_name: String,
    finds_mentions: bool,
    expands_tabs: bool,
    time_format: String,
    /// The format may tell parts of a second.
    tells_parts: bool,
    /// The day of which the last line was, where its change is told.
    day: Option<NaiveDate>,
    /// The second that was put into words last, as a Unix time, since many messages share one; its day,
    /// and the words.
    second: i64,
    date: NaiveDate,
    time: Vec<u8>,
}

/// What a message begins with that tells what its sender does (as in XEP-0245).
const ACTION: &str = "/me ";

impl Formatter {
    /// Learns the local time zone with the first time that it puts into words: reading the zone takes
    /// a descriptor, and later there may be none.
    #[must_use]
    pub fn new(look: Format, own_name: String, now: DateTime<Local>) -> Self {
        let Format { has_colors, time_format, tells_days, finds_mentions, expands_tabs } = look;
        let day = tells_days.then(|| now.date_naive());
        let (paint, tells_parts) = (Palette::new(has_colors), time_format.contains('f'));
        let (second, date, time) = (i64::MIN, now.date_naive(), Vec::new());
        let mut words = Self {
            paint,
            own_name,
            finds_mentions,
            expands_tabs,
            time_format,
            tells_parts,
            day,
            second,
            date,
            time,
        };
        words.set_time(now.fixed_offset());
        words
    }

    /// What the user is called.
    #[must_use]
    pub fn own_name(&self) -> &str {
        &self.own_name
    }

    /// What others mention from now on.
    pub fn set_own_name(&mut self, name: String) {
        self.own_name = name;
    }

    /// Appends `notice` to `out`: one line, or more for a message of several. Returns whether it
    /// concerns the user in person: it was said to nobody else, or mentions the user's name.
    pub fn push(&mut self, notice: &Notice, out: &mut Vec<u8>) -> bool {
        if let Notice::Message { at, from, text, is_past, is_private } = notice {
            let mark = if *is_private { " private" } else { "" };
            let style = self.paint.name(from);
            self.push_start(*at, mark, out);
            let text = self.push_speaker(&from.name, style, text, out);
            let is_mentioned = self.push_text(text, self.finds_mentions, out);
            return (*is_private || is_mentioned) && !is_past;
        }
        self.paint.begin(Style::Dim, out);
        push_sanitized(&sentence(notice), out);
        self.paint.end(out);
        out.push(b'\n');
        false
    }

    /// Appends what the user said, to everybody or `to` one alone.
    pub fn push_own(&mut self, at: DateTime<FixedOffset>, to: Option<&Who>, text: &str, out: &mut Vec<u8>) {
        let mark = to.map_or(String::new(), |to| format!(" private to {to}"));
        let name = self.own_name.clone();
        self.push_start(Some(Timestamp::Zoned(at)), &mark, out);
        let text = self.push_speaker(&name, Style::Own, text, out);
        self.push_text(text, false, out);
    }

    /// Appends `notice` as one line that stands for itself, if it belongs to the conversation.
    pub fn push_record(&mut self, notice: &Notice, out: &mut Vec<u8>) {
        match notice {
            Notice::Message { at, from, text, is_private, .. } => {
                let mark = if *is_private { " private" } else { "" };
                self.push_start(*at, mark, out);
                self.push_one_line(&from.name, text, out);
            }
            _ if channel(notice) == Channel::Stdout => {
                self.push_start(None, "", out);
                push_sanitized(&sentence(notice), out);
                out.push(b'\n');
            }
            _ => (),
        }
    }

    /// Appends what the user said as one line that stands for itself.
    pub fn push_own_record(
        &mut self,
        at: DateTime<FixedOffset>,
        to: Option<&Who>,
        text: &str,
        out: &mut Vec<u8>,
    ) {
        let mark = to.map_or(String::new(), |to| format!(" private to {to}"));
        let name = self.own_name.clone();
        self.push_start(Some(Timestamp::Zoned(at)), &mark, out);
        self.push_one_line(&name, text, out);
    }

    /// Who speaks and what it says, with line breaks made visible as all else.
    fn push_one_line(&self, name: &str, text: &str, out: &mut Vec<u8>) {
        let text = self.push_speaker(name, Style::Own, text, out);
        push_sanitized(text.trim_end_matches(['\r', '\n']), out);
        out.push(b'\n');
    }

    /// Appends a sentence that tells the user something, as one line.
    pub fn push_report(&self, sentence: &str, out: &mut Vec<u8>) {
        self.paint.begin(Style::Dim, out);
        push_sanitized(sentence, out);
        self.paint.end(out);
        out.push(b'\n');
    }

    /// The time, and how a message was said.
    fn push_start(&mut self, at: Option<Timestamp>, mark: &str, out: &mut Vec<u8>) {
        self.set_time_of(at);
        let date = self.date;
        if let Some(day) = &mut self.day
            && mem::replace(day, date) != date
        {
            self.push_report(&date.format("--- %A, %-d %B %Y ---").to_string(), out);
        }
        self.paint.begin(Style::Dim, out);
        out.push(b'[');
        out.extend_from_slice(&self.time);
        if !mark.is_empty() {
            push_sanitized(mark, out);
        }
        out.push(b']');
        self.paint.end(out);
        out.push(b' ');
    }

    /// Who speaks. Returns what is said, without what only says how it is meant.
    fn push_speaker<'a>(&self, name: &str, style: Style, text: &'a str, out: &mut Vec<u8>) -> &'a str {
        let action = text.strip_prefix(ACTION);
        if action.is_some() {
            out.extend_from_slice(b"* ");
        }
        self.paint.begin(style, out);
        push_sanitized(name, out);
        self.paint.end(out);
        out.extend_from_slice(if action.is_some() { b" " } else { b": " });
        action.unwrap_or(text)
    }

    /// Appends what was said. Returns whether the user's name is in it.
    fn push_text(&self, text: &str, marks_mentions: bool, out: &mut Vec<u8>) -> bool {
        let mut is_mentioned = false;
        let mut rest = Some(text.trim_end_matches(['\r', '\n']));
        while let Some(text) = rest {
            let line = match memchr::memchr(b'\n', text.as_bytes()) {
                Some(end) => {
                    rest = Some(&text[end + 1..]);
                    text[..end].strip_suffix('\r').unwrap_or(&text[..end])
                }
                None => {
                    rest = None;
                    text
                }
            };
            let line = if self.expands_tabs { expand_tabs(line) } else { line.into() };
            let (line, mut shown) = (&*line, 0);
            while marks_mentions && let Some((start, end)) = mention::find(line, &self.own_name, shown) {
                is_mentioned = true;
                push_sanitized(&line[shown..start], out);
                self.paint.begin(Style::Mention, out);
                push_sanitized(&line[start..end], out);
                self.paint.end(out);
                shown = end;
            }
            push_sanitized(&line[shown..], out);
            out.push(b'\n');
            if rest.is_some() {
                out.extend_from_slice(INDENT.as_bytes());
            }
        }
        is_mentioned
    }

    /// Takes over the time to show: what the sender wrote, in local time, or now.
    fn set_time_of(&mut self, at: Option<Timestamp>) {
        match at {
            Some(Timestamp::Zoned(at)) => self.set_time(at),
            Some(Timestamp::Local(at)) => {
                self.second = i64::MIN;
                let time = at.format(&self.time_format).to_string();
                self.set_words(at.date(), &time);
            }
            None => self.set_time(Local::now().fixed_offset()),
        }
    }

    fn set_time(&mut self, at: DateTime<FixedOffset>) {
        if self.second == at.timestamp() && !self.tells_parts {
            return;
        }
        let local = at.with_timezone(&Local);
        self.second = at.timestamp();
        let time = local.format(&self.time_format).to_string();
        self.set_words(local.date_naive(), &time);
    }

    fn set_words(&mut self, date: NaiveDate, time: &str) {
        self.date = date;
        self.time.clear();
        push_sanitized(time, &mut self.time);
    }
}

/// Where a notice belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// What the group says: standard output.
    Stdout,
    /// Everything else: standard error.
    Stderr,
}

/// Where `notice` is to be shown.
#[must_use]
pub fn channel(notice: &Notice) -> Channel {
    match notice {
        Notice::Message { .. }
        | Notice::Joined { .. }
        | Notice::Back { .. }
        | Notice::Renamed { .. }
        | Notice::Missed { .. }
        | Notice::Present
        | Notice::Left { .. }
        | Notice::Lost { .. } => Channel::Stdout,
        _ => Channel::Stderr,
    }
}

/// What `notice` tells, on one line if names have none in them. Of a message, what was said.
#[must_use]
pub fn sentence(notice: &Notice) -> String {
    match notice {
        Notice::Message { text, .. } => text.clone(),
        Notice::Joined { who } => format!("{who} has joined"),
        Notice::Back { who } => format!("{who} is back"),
        Notice::Renamed { who, before } => format!("{before} is now {who}"),
        Notice::Missed { who, count: 1 } => format!("1 message of {who} is missing here"),
        Notice::Missed { who, count } => format!("{count} messages of {who} are missing here"),
        Notice::Present => "--- the above was said before you came ---".to_owned(),
        Notice::Left { who } => format!("{who} has left the chat..."),
        Notice::Lost { who, why } => format!("{who} is lost: {why}"),
        Notice::Accepted { address } => format!("{address} connected"),
        Notice::Connected { peer, address, missed } => {
            let place = if **peer == *address.to_string() { String::new() } else { format!(" at {address}") };
            let late = match missed {
                0 => String::new(),
                _ => format!("; too late for the first {missed} messages typed before"),
            };
            format!("connected to {peer}{place}{late}")
        }
        Notice::Unreachable { peer, why } => format!("cannot reach {peer}: {why}; trying again"),
        Notice::Oneself { peer } => format!("{peer} is this peer itself: not connected"),
        Notice::Undelivered { who, count } => {
            format!("{who} did not get {count} of your messages, as far as is known")
        }
        Notice::Silent { who } => {
            format!("{who} has said nothing: whether it has read your messages is not known")
        }
        Notice::Forgotten { who } => {
            format!("{who} was gone for {} minutes and is forgotten", FORGET.as_secs() / 60)
        }
        Notice::Impostor { address, who } => {
            format!("{address} says that it is {who} and cannot show it: closed")
        }
        Notice::Unheard { is_kept: true } => {
            "nobody is connected: this waits for those who are lost".to_owned()
        }
        Notice::Unheard { is_kept: false } => {
            "no peer is connected: only who joins later may still read this".to_owned()
        }
        Notice::CannotAccept(why) => {
            format!("cannot accept more connections: {why}; new ones wait for a free place")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{LostReason, Who};

    #[track_caller]
    fn check(notice: Notice, expected: &str) {
        let mut shown = Vec::new();
        Formatter::new(Format::default(), "al".to_owned(), Local::now()).push(&notice, &mut shown);
        assert_eq!(String::from_utf8(shown).expect("characters"), expected);
    }

    fn who(name: &str) -> Who {
        Who { name: name.into(), id: None, address: None }
    }

    fn message(text: &str) -> Notice {
        let at = "2026-11-22T06:55:22.756724".parse().expect("a time");
        let (at, from) = (Some(Timestamp::Local(at)), who("bob\x07"));
        Notice::Message { at, from, text: text.to_owned(), is_past: false, is_private: false }
    }

    #[test]
    fn a_message_is_one_line_and_further_ones_are_indented() {
        check(message("hello"), "[2026-11-22 06:55:22] bob^G: hello\n");
        check(message("a\n\nb\r\nc\n"), "[2026-11-22 06:55:22] bob^G: a\n    \n    b\n    c\n");
        check(message(""), "[2026-11-22 06:55:22] bob^G: \n");
        check(message("\x1b[2J\u{202e}"), "[2026-11-22 06:55:22] bob^G: ^[[2J\u{fffd}\n");
    }

    #[test]
    fn tabs_are_blanks_where_they_are_drawn() {
        let look = Format { expands_tabs: true, finds_mentions: true, ..Format::default() };
        let mut shown = Vec::new();
        Formatter::new(look, "al".to_owned(), Local::now()).push(&message("a\tb\n\tal\tc"), &mut shown);
        let expected = "[2026-11-22 06:55:22] bob^G: a       b\n            al      c\n";
        assert_eq!(String::from_utf8(shown).expect("characters"), expected);
        check(message("a\tb"), "[2026-11-22 06:55:22] bob^G: a^Ib\n");
    }

    #[test]
    fn the_time_follows_the_message() {
        let mut words = Formatter::new(Format::default(), "al".to_owned(), Local::now());
        for second in [22, 22, 23, 22] {
            let zoned =
                DateTime::parse_from_rfc3339(&format!("2026-11-22T06:55:{second}.5+05:30")).expect("a time");
            let expected = zoned.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string();
            words.set_time_of(Some(Timestamp::Zoned(zoned)));
            assert_eq!(words.time, expected.as_bytes());
            let naive = zoned.naive_local();
            words.set_time_of(Some(Timestamp::Local(naive)));
            assert_eq!(words.time, format!("2026-11-22 06:55:{second}").as_bytes());
        }
    }

    #[test]
    fn everything_that_quotes_a_peer_is_made_safe() {
        let (name, who) = (|| "\x1b]0;bob".into(), || who("\x1b]0;bob"));
        check(Notice::Left { who: who() }, "^[]0;bob has left the chat...\n");
        let why = LostReason::Failed("\u{9b}".into());
        check(Notice::Lost { who: who(), why }, "^[]0;bob is lost: \u{fffd}\n");
        check(
            Notice::Unreachable { peer: name(), why: "\r".into() },
            "cannot reach ^[]0;bob: ^M; trying again\n",
        );
        check(Notice::Oneself { peer: name() }, "^[]0;bob is this peer itself: not connected\n");
    }
}
