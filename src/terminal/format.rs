//! The text form of events: the lines that the user reads.
//!
//! Text from a peer, and every quotation of it, goes through [`push_sanitized`].

use chrono::{DateTime, FixedOffset, Local, NaiveDate, NaiveDateTime, Timelike as _, Utc};

use super::clock::{self, TimeFormat};
use super::mention::Pattern;
use super::palette::{Palette, Style, Styling};
use super::wrap::{INDENT, expand_tabs};
use crate::limits::MEMBER_EXPIRY;
use crate::protocol::{Diagnostic, Event, LostReason, PeerInfo};
use crate::sanitize::{is_printable_ascii, push_sanitized};
use crate::wire::message::Timestamp;

/// Options of the text form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// The style codes to use.
    pub styling: Styling,
    /// The format of times.
    pub time_format: TimeFormat,
    /// Whether a user reads along: joins and leaves then have a time, and a line shows each new day if the time
    /// format has no date.
    pub is_live: bool,
    /// Whether to highlight the user's name in messages of others.
    pub finds_mentions: bool,
    /// Whether to replace tabs in messages by blanks.
    pub expands_tabs: bool,
}

impl Default for Format {
    /// The format of a log file: without styles, and with the date in every time.
    fn default() -> Self {
        let time_format = TimeFormat::date_and_time();
        Self {
            styling: Styling::Plain,
            time_format,
            is_live: false,
            finds_mentions: false,
            expands_tabs: false,
        }
    }
}

/// Formats events as text, with times in the local time zone.
#[derive(Debug)]
pub struct Formatter {
    palette: Palette,
    own_name: String,
    /// The search for the user's name in messages.
    mention: Pattern,
    finds_mentions: bool,
    expands_tabs: bool,
    has_event_times: bool,
    time_format: TimeFormat,
    /// The day of the last line; `None` where new days are not shown.
    day: Option<NaiveDate>,
    /// A cache of the last formatted time, since many messages share one.
    shown: ShownTime,
    /// A cache of the reader's day: the second of the last lookup, as a Unix time, and the day.
    today: (i64, NaiveDate),
}

/// A formatted time.
#[derive(Debug)]
struct ShownTime {
    /// The time that was formatted.
    second: Second,
    date: NaiveDate,
    text: Vec<u8>,
}

/// A time, rounded down to a second: in UTC if it has an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Second {
    has_offset: bool,
    at: NaiveDateTime,
    is_leap: bool,
}

impl Second {
    fn of(at: Timestamp) -> Self {
        let (has_offset, at) = match at {
            Timestamp::Zoned(at) => (true, at.naive_utc()),
            Timestamp::Local(at) => (false, at),
        };
        let whole = at.with_nanosecond(0).unwrap_or(at);
        Self { has_offset, at: whole, is_leap: at.nanosecond() >= 1_000_000_000 }
    }
}

/// Whether a message is live or past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// It was received as it was sent: its day is that of the reader's clock.
    Live,
    /// It was sent before the user joined: its day is that of the sender's clock.
    Past,
}

/// The clock, which is read only where a time is shown.
type Clock<'a> = &'a dyn Fn() -> DateTime<Utc>;

/// The prefix of an action message (as in XEP-0245).
const ACTION: &str = "/me ";

/// The formats of a day, in chrono's strftime syntax: the line for a new day, and the prefix of the time of a
/// message from another day.
const DAY_LINE: &str = "--- %A, %-d %B %Y ---";
const DAY_PREFIX: &str = "%Y-%m-%d ";

impl Formatter {
    /// A formatter. It formats `now` at once, which reads the local time zone: that takes a descriptor, and
    /// later there may be none.
    #[must_use]
    pub fn new(look: Format, own_name: String, now: DateTime<Local>) -> Self {
        let Format { styling, time_format, is_live, finds_mentions, expands_tabs } = look;
        let (today, now) = ((now.timestamp(), now.date_naive()), Timestamp::Zoned(now.fixed_offset()));
        let mut shown = ShownTime { second: Second::of(now), date: today.1, text: Vec::new() };
        time_format.push(clock::local(now), &mut shown.text);
        let (palette, has_event_times) = (Palette::new(styling), is_live);
        let day = (is_live && !time_format.has_date()).then_some(today.1);
        Self {
            palette,
            mention: Pattern::new(&own_name),
            own_name,
            finds_mentions,
            expands_tabs,
            has_event_times,
            time_format,
            day,
            shown,
            today,
        }
    }

    /// The user's name.
    #[must_use]
    pub fn own_name(&self) -> &str {
        &self.own_name
    }

    /// Changes the user's name.
    pub fn set_own_name(&mut self, name: String) {
        self.mention = Pattern::new(&name);
        self.own_name = name;
    }

    /// Appends `event` to `out`: one line, or several for a message of several lines. Returns whether the bell
    /// should ring: the message is live, and private or a mention.
    pub fn push(&mut self, event: &Event, out: &mut Vec<u8>) -> bool {
        self.push_at(&Utc::now, event, out)
    }

    fn push_at(&mut self, now: Clock<'_>, event: &Event, out: &mut Vec<u8>) -> bool {
        if let Event::Message { at, from, text, is_past, is_private } = event {
            let mark = is_private.then_some(" private");
            let style = self.palette.name(from);
            let age = if *is_past { Age::Past } else { Age::Live };
            self.push_start(now, *at, age, mark, out);
            let text = self.push_speaker(&from.name.speaker(), style, text, out);
            let is_mentioned = self.push_text(text, *is_private, self.finds_mentions, out);
            return (*is_private || is_mentioned) && !is_past;
        }
        if has_time(event) {
            self.push_event_at(now, &sentence(event), out);
        } else {
            self.push_report(&sentence(event), out);
        }
        false
    }

    /// Appends a sentence about a join or leave as one line, with the time if the format is live.
    pub fn push_event(&mut self, sentence: &str, out: &mut Vec<u8>) {
        self.push_event_at(&Utc::now, sentence, out);
    }

    fn push_event_at(&mut self, now: Clock<'_>, sentence: &str, out: &mut Vec<u8>) {
        if self.has_event_times {
            self.push_start(now, None, Age::Live, None, out);
        }
        self.push_report(sentence, out);
    }

    /// Appends the user's own message, to everybody or privately `to` one peer.
    pub fn push_own(
        &mut self,
        at: DateTime<FixedOffset>,
        to: Option<&PeerInfo>,
        text: &str,
        out: &mut Vec<u8>,
    ) {
        let mark = to.map(|to| format!(" private to {to}"));
        self.push_start(&|| at.to_utc(), Some(Timestamp::Zoned(at)), Age::Live, mark.as_deref(), out);
        let text = self.push_speaker(&self.own_name, Style::Own, text, out);
        self.push_text(text, to.is_some(), false, out);
    }

    /// Appends `event` as one line of a log file, if it belongs to the conversation.
    pub fn push_record(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Message { at, from, text, is_private, .. } => {
                let mark = is_private.then_some(" private");
                self.push_start(&Utc::now, *at, Age::Past, mark, out);
                self.push_one_line(&from.name.speaker(), text, out);
            }
            _ if channel(event) == Channel::Stdout => {
                self.push_start(&Utc::now, None, Age::Live, None, out);
                push_sanitized(&sentence(event), out);
                out.push(b'\n');
            }
            _ => (),
        }
    }

    /// Appends the user's own message as one line of a log file.
    pub fn push_own_record(
        &mut self,
        at: DateTime<FixedOffset>,
        to: Option<&PeerInfo>,
        text: &str,
        out: &mut Vec<u8>,
    ) {
        let mark = to.map(|to| format!(" private to {to}"));
        self.push_start(&|| at.to_utc(), Some(Timestamp::Zoned(at)), Age::Live, mark.as_deref(), out);
        self.push_one_line(&self.own_name, text, out);
    }

    /// Appends the sender and the text, with line breaks shown as control characters.
    fn push_one_line(&self, name: &str, text: &str, out: &mut Vec<u8>) {
        let text = self.push_speaker(name, Style::Own, text, out);
        push_sanitized(text.trim_end_matches(['\r', '\n']), out);
        out.push(b'\n');
    }

    /// Appends a diagnostic as one line.
    pub fn push_report(&self, sentence: &str, out: &mut Vec<u8>) {
        self.palette.begin(Style::Dim, out);
        push_sanitized(sentence, out);
        self.palette.end(Style::Dim, out);
        out.push(b'\n');
    }

    /// Appends the start of a line: the time (`at` by the sender's clock, or `now`) and a mark such as `private`.
    /// If new days are shown and the day has changed, a line for the day comes first.
    fn push_start(
        &mut self,
        now: Clock<'_>,
        at: Option<Timestamp>,
        age: Age,
        mark: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        self.set_time(at.unwrap_or_else(|| Timestamp::Zoned(now().fixed_offset())));
        let mut is_of_another_day = false;
        if let Some(day) = self.day {
            let date = match age {
                Age::Live => self.day_of(now()),
                Age::Past => self.shown.date,
            };
            is_of_another_day = self.shown.date != date;
            if day != date {
                self.day = Some(date);
                self.push_report(&date.format(DAY_LINE).to_string(), out);
            }
        }
        let style = if mark.is_some() { Style::PrivateMark } else { Style::Dim };
        self.palette.begin(style, out);
        out.push(b'[');
        if is_of_another_day {
            out.extend_from_slice(self.shown.date.format(DAY_PREFIX).to_string().as_bytes());
        }
        out.extend_from_slice(&self.shown.text);
        if let Some(mark) = mark {
            push_sanitized(mark, out);
        }
        out.push(b']');
        self.palette.end(style, out);
        out.push(b' ');
    }

    /// The local day at `now`.
    fn day_of(&mut self, now: DateTime<Utc>) -> NaiveDate {
        if self.today.0 != now.timestamp() {
            self.today = (now.timestamp(), now.with_timezone(&Local).date_naive());
        }
        self.today.1
    }

    /// Appends the sender. Returns the text without the prefix of an action.
    fn push_speaker<'a>(&self, name: &str, style: Style, text: &'a str, out: &mut Vec<u8>) -> &'a str {
        let action = text.strip_prefix(ACTION);
        if action.is_some() {
            out.extend_from_slice(b"* ");
        }
        self.palette.begin(style, out);
        push_sanitized(name, out);
        self.palette.end(style, out);
        out.extend_from_slice(if action.is_some() { b" " } else { b": " });
        action.unwrap_or(text)
    }

    /// Appends the text of a message. Returns whether it mentions the user.
    fn push_text(&self, text: &str, is_private: bool, marks_mentions: bool, out: &mut Vec<u8>) -> bool {
        // Most texts are one line to which nothing is to be done.
        if !is_private && !marks_mentions && is_printable_ascii(text) {
            out.extend_from_slice(text.as_bytes());
            out.push(b'\n');
            return false;
        }
        let text = text.trim_end_matches(['\r', '\n']);
        let text = if self.expands_tabs { expand_tabs(text) } else { text.into() };
        let mentions = marks_mentions.then(|| self.mention.find_all(&text));
        let mut mentions = mentions.into_iter().flatten().peekable();
        let is_mentioned = mentions.peek().is_some();
        let mut start = 0;
        loop {
            let feed = memchr::memchr(b'\n', &text.as_bytes()[start..]).map(|length| start + length);
            let line = &text[start..feed.unwrap_or(text.len())];
            let end = start + feed.map_or(line, |_| line.strip_suffix('\r').unwrap_or(line)).len();
            let mut shown = start;
            while let Some(found) = mentions.peek().filter(|found| found.start < end && start < end).cloned()
            {
                self.push_words(&text[shown..found.start.max(shown)], is_private, out);
                let piece = &text[found.start.max(shown)..found.end.min(end)];
                self.palette.begin(Style::Mention, out);
                push_sanitized(piece, out);
                self.palette.end(Style::Mention, out);
                shown = found.end.min(end);
                // A name can go on in the next line.
                if found.end > end {
                    break;
                }
                mentions.next();
            }
            self.push_words(&text[shown..end], is_private, out);
            out.push(b'\n');
            let Some(feed) = feed else { return is_mentioned };
            out.extend_from_slice(INDENT.as_bytes());
            start = feed + 1;
        }
    }

    fn push_words(&self, words: &str, is_private: bool, out: &mut Vec<u8>) {
        if !is_private || words.is_empty() {
            return push_sanitized(words, out);
        }
        self.palette.begin(Style::PrivateText, out);
        push_sanitized(words, out);
        self.palette.end(Style::PrivateText, out);
    }

    /// Formats a time, unless it equals the cached one.
    fn set_time(&mut self, at: Timestamp) {
        let second = Second::of(at);
        if self.shown.second == second && !self.time_format.has_fraction() {
            return;
        }
        let local = clock::local(at);
        self.shown.second = second;
        self.shown.date = local.date_naive();
        self.shown.text.clear();
        self.time_format.push(local, &mut self.shown.text);
    }
}

/// Whether `event` is a join, leave or rename, which a live format shows with its time.
fn has_time(event: &Event) -> bool {
    match event {
        Event::Joined { .. }
        | Event::Back { .. }
        | Event::Appeared { .. }
        | Event::Left { .. }
        | Event::Lost { .. }
        | Event::Identified { .. }
        | Event::Renamed { .. } => true,
        // At a terminal it is shown like the loss of a peer that sent messages.
        Event::Diagnostic(diagnostic) => matches!(diagnostic, Diagnostic::NamedLost { .. }),
        Event::Message { .. } | Event::Missed { .. } | Event::Present => false,
    }
}

/// The output of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Standard output: the conversation.
    Stdout,
    /// Standard error: diagnostics.
    Stderr,
    /// Only JSON output.
    Scripts,
}

/// The output of `event`.
#[must_use]
pub fn channel(event: &Event) -> Channel {
    match event {
        Event::Diagnostic(_) => Channel::Stderr,
        // The message or goodbye that follows shows the peer.
        Event::Appeared { .. } | Event::Identified { .. } => Channel::Scripts,
        Event::Message { .. }
        | Event::Joined { .. }
        | Event::Back { .. }
        | Event::Renamed { .. }
        | Event::Missed { .. }
        | Event::Present
        | Event::Left { .. }
        | Event::Lost { .. } => Channel::Stdout,
    }
}

/// The sentence for `event`; for a message, its text. It is not sanitized.
#[must_use]
pub fn sentence(event: &Event) -> String {
    match event {
        Event::Message { text, .. } => text.clone(),
        Event::Joined { peer } => format!("{peer} has joined"),
        Event::Back { peer } => format!("{peer} is back"),
        Event::Renamed { peer, before } => format!("{before} is now {peer}"),
        Event::Missed { peer, count: 1 } => format!("1 message of {peer} is missing here"),
        Event::Missed { peer, count } => format!("{count} messages of {peer} are missing here"),
        Event::Present => "--- the messages above were sent before you joined ---".to_owned(),
        Event::Left { peer } => format!("{peer} has left the chat..."),
        Event::Lost { peer, why } => lost(peer, why),
        Event::Appeared { peer } => format!("{peer} sends its first message"),
        Event::Identified { before } => format!("{before} turned out to be a member"),
        Event::Diagnostic(diagnostic) => report(diagnostic),
    }
}

/// The sentence for a diagnostic.
fn report(diagnostic: &Diagnostic) -> String {
    match diagnostic {
        Diagnostic::NamedLost { peer, why } => lost(peer, why),
        Diagnostic::Visited { address, why } => match why {
            LostReason::Closed { unfinished_bytes: 0 } => {
                format!("{address} connected and closed without sending a message")
            }
            LostReason::Closed { unfinished_bytes } => {
                format!("{address} connected, sent {unfinished_bytes} bytes without a message, and closed")
            }
            LostReason::OtherProtocol => {
                format!("{address} connected and {why}, as web browsers and port scanners do: closed")
            }
            LostReason::Refused(_) => format!("{address} connected and {why}: closed"),
            LostReason::Failed(_)
            | LostReason::FrameTooLong
            | LostReason::Stalled(_)
            | LostReason::Overrun
            | LostReason::Unfinished
            | LostReason::NoReply
            | LostReason::Altered
            | LostReason::Unintroduced(_) => format!("{address} is lost: {why}"),
        },
        Diagnostic::MoreVisitors { host, count } => {
            let connections = if *count == 1 { "connection" } else { "connections" };
            format!("{host}: {count} more {connections} without a message in the last minute")
        }
        Diagnostic::Accepted { address } => format!("{address} connected"),
        Diagnostic::Connected { name, address, missed } => {
            let place = if **name == *address.to_string() { String::new() } else { format!(" at {address}") };
            let late = match missed {
                0 => String::new(),
                _ => format!("; it missed the first {missed} messages"),
            };
            format!("connected to {name}{place}{late}")
        }
        Diagnostic::Assumed { name } => format!(
            "{name} has sent nothing, so it is taken for a plain peer in text framing; if it is the program of the \
             course exercise, use --framing lab"
        ),
        Diagnostic::Unmet { count } => {
            let (members, were) = if *count == 1 { ("member", "was") } else { ("members", "were") };
            format!("{count} {members} of the group {were} never reached, and did not get your messages")
        }
        Diagnostic::Unreachable { name, why } => format!("cannot reach {name}: {why}; trying again"),
        Diagnostic::Oneself { name } => format!("not connected to {name}: it is your own address"),
        Diagnostic::Undelivered { peer, count } => {
            format!("{peer} did not get {count} of your messages, as far as is known")
        }
        Diagnostic::Unanswered { peer } => {
            format!("{peer} has sent nothing: whether it has read your messages is not known")
        }
        Diagnostic::Forgotten { peer } => {
            format!("{peer} was gone for {} minutes and is forgotten", MEMBER_EXPIRY.as_secs() / 60)
        }
        Diagnostic::NameTaken { peer, own } => {
            let name = peer.name.with_mark("");
            format!("somebody here is called {name} too; the others see you as {own}; /name NEW changes it")
        }
        Diagnostic::Alone { is_kept: true } => {
            "nobody is connected: the message waits for the members that are lost".to_owned()
        }
        Diagnostic::Alone { is_kept: false } => {
            "no peer is connected: only peers that join later can read this".to_owned()
        }
        Diagnostic::CannotAccept(why) => {
            format!(
                "cannot accept more connections: {why}; new ones replace those that sent nothing, or wait"
            )
        }
    }
}

fn lost(peer: &PeerInfo, why: &LostReason) -> String {
    format!("{peer} is lost: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event: Event, expected: &str) {
        let mut shown = Vec::new();
        Formatter::new(Format::default(), "al".to_owned(), Local::now()).push(&event, &mut shown);
        assert_eq!(String::from_utf8(shown).expect("characters"), expected);
    }

    fn peer(name: &str) -> PeerInfo {
        PeerInfo { name: name.into(), id: None, address: None }
    }

    fn message(text: &str) -> Event {
        let at = "2026-11-22T06:55:22.756724".parse().expect("a time");
        let (at, from) = (Some(Timestamp::Local(at)), peer("bob\x07"));
        Event::Message { at, from, text: text.to_owned(), is_past: false, is_private: false }
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
        for second in [22, 22, 23, 22, 59, 60] {
            let zoned =
                DateTime::parse_from_rfc3339(&format!("2026-11-22T06:55:{second}.5+05:30")).expect("a time");
            let expected = zoned.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string();
            words.set_time(Timestamp::Zoned(zoned));
            assert_eq!(words.shown.text, expected.as_bytes());
            let naive = zoned.naive_local();
            words.set_time(Timestamp::Local(naive));
            assert_eq!(words.shown.text, format!("2026-11-22 06:55:{second}").as_bytes());
        }
    }

    /// How a reader who sits at a terminal sees events, each with when it comes.
    #[track_caller]
    fn check_live(format: Format, events: &[(&str, Event)], expected: &str) {
        let at = |text: &str| {
            let naive: chrono::NaiveDateTime = text.parse().expect("a time");
            naive.and_local_timezone(Local).earliest().expect("a time that exists")
        };
        let mut words = Formatter::new(format, "al".to_owned(), at("2026-11-27T12:00:00"));
        let mut shown = Vec::new();
        for (now, event) in events {
            words.push_at(&|| at(now).to_utc(), event, &mut shown);
        }
        assert_eq!(String::from_utf8(shown).expect("characters"), expected);
    }

    fn live(time_format: &str) -> Format {
        let time_format = TimeFormat::new(time_format).expect("a format");
        Format { time_format, is_live: true, finds_mentions: true, ..Format::default() }
    }

    #[test]
    fn a_mention_can_go_on_in_the_next_line() {
        let look = Format { styling: Styling::Weights, expands_tabs: true, ..live("%H:%M") };
        let mut words = Formatter::new(look, "Mary Ann".to_owned(), Local::now());
        words.day = None;
        for (text, expected) in [
            ("mary\nann!\nx", "<1;7mmary<0m\n    <1;7mann<0m!\n    x\n"),
            ("a\r\noh\tMary \r\n \tAnn", "a\n    oh      <1;7mMary <0m\n    <1;7m        Ann<0m\n"),
            ("Mary\n\nAnn, Mary Ann\n", "<1;7mMary<0m\n    \n    <1;7mAnn<0m, <1;7mMary Ann<0m\n"),
            ("Mary\nand Ann", "Mary\n    and Ann\n"),
        ] {
            let mut shown = Vec::new();
            assert_eq!(words.push_text(text, false, true, &mut shown), expected.contains('<'));
            assert_eq!(String::from_utf8(shown).expect("characters").replace("\x1b[", "<"), expected);
        }
    }

    fn at(time: &str, past: bool) -> Event {
        let (at, from) = (Some(Timestamp::Local(time.parse().expect("a time"))), peer("bob"));
        Event::Message { at, from, text: "hi".to_owned(), is_past: past, is_private: false }
    }

    #[test]
    fn the_day_of_live_messages_is_ours_and_of_past_ones_the_senders() {
        let events = [
            ("2026-11-27T12:00:00", at("2026-11-25T10:00:00", true)),
            ("2026-11-27T12:00:00", at("2026-11-26T11:00:00", true)),
            ("2026-11-27T12:00:00", at("2026-11-26T11:30:00", true)),
            ("2026-11-27T12:00:00", Event::Present),
            ("2026-11-27T12:01:00", at("2026-11-27T12:01:00", false)),
            ("2026-11-27T12:02:00", at("2031-01-02T03:04:05", false)),
            ("2026-11-27T12:03:00", Event::Joined { peer: peer("carol") }),
            ("2026-11-28T00:00:01", at("2026-11-27T23:59:59", false)),
            ("2026-11-28T00:00:02", Event::Left { peer: peer("carol") }),
        ];
        let expected = "\
            --- Wednesday, 25 November 2026 ---\n[10:00] bob: hi\n\
            --- Thursday, 26 November 2026 ---\n[11:00] bob: hi\n[11:30] bob: hi\n\
            --- the messages above were sent before you joined ---\n\
            --- Friday, 27 November 2026 ---\n[12:01] bob: hi\n[2031-01-02 03:04] bob: hi\n\
            [12:03] carol has joined\n\
            --- Saturday, 28 November 2026 ---\n[2026-11-27 23:59] bob: hi\n\
            [00:00] carol has left the chat...\n";
        check_live(live("%H:%M"), &events, expected);
        check_live(live("%I.%M %p"), &events[4..6], "[12.01 PM] bob: hi\n[2031-01-02 03.04 AM] bob: hi\n");
        // With the date in every time, no line is needed.
        check_live(live("%d.%m. %R"), &events[..2], "[25.11. 10:00] bob: hi\n[26.11. 11:00] bob: hi\n");
        check_live(
            live("%F"),
            &events[7..],
            "[2026-11-27] bob: hi\n[2026-11-28] carol has left the chat...\n",
        );
    }

    #[test]
    fn joins_and_leaves_have_a_time_in_live_output() {
        let (bob, now) = (|| peer("bob"), "2026-11-27T12:34:00");
        let events = [
            (now, Event::Joined { peer: bob() }),
            (now, Event::Renamed { peer: bob(), before: "rob".into() }),
            (now, Event::Lost { peer: bob(), why: LostReason::Overrun }),
            (now, Event::Back { peer: bob() }),
            (now, Event::Left { peer: bob() }),
            (now, Event::Missed { peer: bob(), count: 2 }),
            (now, Event::Diagnostic(Diagnostic::Alone { is_kept: false })),
        ];
        let expected = "[12:34] bob has joined\n[12:34] rob is now bob\n\
                        [12:34] bob is lost: fell more than 1024 KiB behind\n[12:34] bob is back\n\
                        [12:34] bob has left the chat...\n2 messages of bob are missing here\n\
                        no peer is connected: only peers that join later can read this\n";
        check_live(live("%H:%M"), &events, expected);
        check_live(Format::default(), &events[..2], "bob has joined\nrob is now bob\n");
    }

    #[test]
    fn private_messages_stand_out_more_than_mentions_on_both_sides() {
        let said = |text: &str, is_private| {
            let at = Some(Timestamp::Local("2026-11-27T12:34:56".parse().expect("a time")));
            Event::Message { at, from: peer("bob"), text: text.to_owned(), is_past: false, is_private }
        };
        #[track_caller]
        fn check(styling: Styling, event: &Event, expected: &str) {
            let mut words =
                Formatter::new(Format { styling, ..live("%H:%M") }, "al".to_owned(), Local::now());
            words.day = None;
            let mut shown = Vec::new();
            words.push(event, &mut shown);
            let shown = String::from_utf8(shown).expect("characters");
            assert_eq!(shown.replace("\x1b[", "<"), expected);
        }
        let name = format!(
            "<38;5;{}mbob<0m",
            if let Style::Name(color) = Palette::new(Styling::Colors).name(&peer("bob")) { color } else { 0 }
        );
        let (mention, private) = (said("oh Al!", false), said("one\ntwo, al!", true));
        check(Styling::Plain, &mention, "[12:34] bob: oh Al!\n");
        check(Styling::Plain, &private, "[12:34 private] bob: one\n    two, al!\n");
        check(Styling::Weights, &mention, "[12:34] bob: oh <1;7mAl<0m!\n");
        check(
            Styling::Weights,
            &private,
            "<1;7m[12:34 private]<0m bob: <1mone<0m\n    <1mtwo, <0m<1;7mal<0m<1m!<0m\n",
        );
        check(Styling::Colors, &mention, &format!("<2m[12:34]<0m {name}: oh <1;7mAl<0m!\n"));
        check(
            Styling::Colors,
            &private,
            &format!("<1;7;35m[12:34 private]<0m {name}: <1mone<0m\n    <1mtwo, <0m<1;7mal<0m<1m!<0m\n"),
        );
        for (styling, expected) in [
            (Styling::Plain, "[12:34 private to bob] al: psst\n"),
            (Styling::Weights, "<1;7m[12:34 private to bob]<0m al: <1mpsst<0m\n"),
            (Styling::Colors, "<1;7;35m[12:34 private to bob]<0m <1mal<0m: <1mpsst<0m\n"),
        ] {
            let mut words =
                Formatter::new(Format { styling, ..live("%H:%M") }, "al".to_owned(), Local::now());
            let at: chrono::NaiveDateTime = "2026-11-27T12:34:56".parse().expect("a time");
            let at = at.and_local_timezone(Local).earliest().expect("a time that exists");
            words.day = None;
            let mut shown = Vec::new();
            words.push_own(at.fixed_offset(), Some(&peer("bob")), "psst", &mut shown);
            assert_eq!(String::from_utf8(shown).expect("characters").replace("\x1b[", "<"), expected);
        }
    }

    #[test]
    fn everything_that_quotes_a_peer_is_made_safe() {
        let (name, peer) = (|| "\x1b]0;bob".into(), || peer("\x1b]0;bob"));
        check(Event::Left { peer: peer() }, "\"^[]0;bob\" has left the chat...\n");
        let why = LostReason::Failed("\u{9b}".into());
        check(Event::Lost { peer: peer(), why }, "\"^[]0;bob\" is lost: \u{fffd}\n");
        check(
            Event::Diagnostic(Diagnostic::Unreachable { name: name(), why: "\r".into() }),
            "cannot reach ^[]0;bob: ^M; trying again\n",
        );
        check(
            Event::Diagnostic(Diagnostic::Oneself { name: name() }),
            "not connected to ^[]0;bob: it is your own address\n",
        );
    }

    #[test]
    fn a_name_that_reads_like_an_event_is_in_quotes() {
        let (peer, address) = (|| peer("alice"), ([127, 0, 0, 1], 5000).into());
        for event in [
            Event::Joined { peer: peer() },
            Event::Back { peer: peer() },
            Event::Renamed { peer: peer(), before: "al".into() },
            Event::Missed { peer: peer(), count: 2 },
            Event::Left { peer: peer() },
            Event::Lost { peer: peer(), why: LostReason::Overrun },
            Event::Diagnostic(Diagnostic::Accepted { address }),
            Event::Diagnostic(Diagnostic::Undelivered { peer: peer(), count: 2 }),
            Event::Diagnostic(Diagnostic::Unanswered { peer: peer() }),
            Event::Diagnostic(Diagnostic::Forgotten { peer: peer() }),
            Event::Diagnostic(Diagnostic::NameTaken { peer: peer(), own: "al".into() }),
            Event::Diagnostic(Diagnostic::Alone { is_kept: true }),
        ] {
            let name = sentence(&event);
            let imitator = PeerInfo { name: name.as_str().into(), id: None, address: None };
            assert!(imitator.name.speaker().starts_with('"'), "{name}");
            let named = sentence(&Event::Joined { peer: imitator });
            assert!(named.starts_with('"') && named.ends_with("\" has joined"), "{named}");
        }
    }
}
