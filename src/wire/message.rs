//! The bodies of messages and exits: their shapes, read and written.
//!
//! A body of another shape is no error: it is shown as it is.

use std::cell::Cell;
use std::net::SocketAddr;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, SecondsFormat, Timelike as _};

use super::frame::{self, Code, Framing, escape, escaped_bytes};
use crate::limits::{MESSAGE_BYTES_MAX, NAME_BYTES_MAX};
use crate::unicode;

/// The time of a message, as its sender wrote it; in the years 0 to 9999, as in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamp {
    /// With its offset from UTC.
    Zoned(DateTime<FixedOffset>),
    /// Without: the reader's local time.
    Local(NaiveDateTime),
}

/// A message of the usual shape, `[time] name:\n\t\ttext`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// When it was sent, by the sender's clock.
    pub at: Timestamp,
    /// The sender's name, which has something visible in it and at most [`NAME_BYTES_MAX`] bytes. `None` if the
    /// name is empty or blank.
    pub name: Option<&'a str>,
    /// The text.
    pub text: &'a str,
}

/// Reads the body of a message frame; `None` when it has another shape.
#[must_use]
pub fn read_message(body: &str) -> Option<Message<'_>> {
    // Frames that are typed by hand have a line break between them.
    let body = body.trim_start_matches(['\r', '\n']);
    let body = body.strip_prefix('[')?;
    let (at, rest) = match split_usual_timestamp(body) {
        Some((at, rest)) => (at, rest.strip_prefix("] ")?),
        None => {
            let (time, rest) = split_before(body, b']')?;
            (read_timestamp(time)?, rest.strip_prefix("] ")?)
        }
    };
    // A name holds no line break, so the first one is behind it.
    let (name, text) = split_before(rest, b'\n')?;
    let name = name.strip_suffix(':').filter(|name| name.len() <= NAME_BYTES_MAX)?;
    let text = text.strip_prefix(TEXT_START)?;
    Some(Message { at, name: (!unicode::is_blank(name)).then_some(name), text })
}

/// Reads the name of the peer that leaves from the body of an exit frame, `\naddress [time]|\nname`, or one in the
/// shape of a message; `None` if it has another shape or no name.
#[must_use]
pub fn read_exit(body: &str) -> Option<&str> {
    let Some((_, name)) = body.rsplit_once("|\n") else { return read_message(body)?.name };
    let name = name.trim();
    // A name is checked before anything is computed with it.
    (name.len() <= NAME_BYTES_MAX && !name.contains('\n') && !unicode::is_blank(name)).then_some(name)
}

/// What stands before the text, behind a name and a colon.
const TEXT_START: &str = "\n\t\t";

/// `text` up to the first `byte`, an ASCII character, and from there on.
fn split_before(text: &str, byte: u8) -> Option<(&str, &str)> {
    Some(text.split_at(memchr::memchr(byte, text.as_bytes())?))
}

/// Splits a timestamp of the shape `2026-11-22T06:55:22.756724+01:00` from the front of `body`, where `]` follows,
/// and reads it by position: in place of the `T` a blank, and no fraction or 6 digits of one, and no offset, or `Z`,
/// or hours and minutes. `None` for any other shape.
///
/// This is for speed alone: for each shape that it reads, [`read_timestamp`] returns the same.
fn split_usual_timestamp(body: &str) -> Option<(Timestamp, &str)> {
    let (second, rest) = body.as_bytes().split_first_chunk()?;
    let second = read_second(*second)?;
    let (micros, rest) = match rest.split_first_chunk::<7>() {
        Some((&[b'.', micros @ ..], rest)) => (number(micros)?, rest),
        _ => (0, rest),
    };
    let time = second.with_nanosecond(micros * 1_000)?;
    let (offset_seconds, rest) = match *rest {
        [b']', ..] => (None, rest),
        [b'Z', b']', ..] => (Some(0), &rest[1..]),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2, b']', ..] => {
            let (hours, minutes) = (number([h1, h2])?, number([m1, m2]).filter(|minutes| *minutes < 60)?);
            let seconds = (hours * 3_600 + minutes * 60).cast_signed();
            (Some(if sign == b'-' { -seconds } else { seconds }), &rest[6..])
        }
        _ => return None,
    };
    let at = match offset_seconds {
        None => Timestamp::Local(time),
        Some(seconds) => {
            let offset = FixedOffset::east_opt(seconds)?;
            Timestamp::Zoned(DateTime::from_naive_utc_and_offset(time.checked_sub_offset(offset)?, offset))
        }
    };
    Some((at, &body[body.len() - rest.len()..]))
}

/// The text of a timestamp without fraction and offset.
type SecondText = [u8; 19];

/// A second and its text.
const EPOCH: (SecondText, NaiveDateTime) = (*b"1970-01-01T00:00:00", DateTime::UNIX_EPOCH.naive_utc());

thread_local! {
    /// The last second that was read. Most messages of a burst have the same one, so this is for speed alone.
    static LAST_SECOND: Cell<(SecondText, NaiveDateTime)> = const { Cell::new(EPOCH) };
}

/// Reads a timestamp without fraction and offset, as [`parse_second`] does.
fn read_second(text: SecondText) -> Option<NaiveDateTime> {
    let (known, second) = LAST_SECOND.get();
    if text == known {
        return Some(second);
    }
    let second = parse_second(text)?;
    LAST_SECOND.set((text, second));
    Some(second)
}

fn parse_second(text: SecondText) -> Option<NaiveDateTime> {
    let [year @ .., b'-', n1, n2, b'-', d1, d2, b'T' | b' ', h1, h2, b':', m1, m2, b':', s1, s2] = text
    else {
        return None;
    };
    let date = NaiveDate::from_ymd_opt(number(year)?.cast_signed(), number([n1, n2])?, number([d1, d2])?)?;
    date.and_hms_opt(number([h1, h2])?, number([m1, m2])?, number([s1, s2])?)
}

/// The number that digits write.
fn number<const COUNT: usize>(digits: [u8; COUNT]) -> Option<u32> {
    let digits = digits.map(|digit| u32::from(digit.wrapping_sub(b'0')));
    let is_number = digits.iter().fold(true, |is_number, digit| is_number & (*digit < 10));
    is_number.then_some(digits.iter().fold(0, |number, digit| number * 10 + digit))
}

/// Reads a timestamp of any shape that is allowed: of RFC 3339, with or without the offset.
fn read_timestamp(text: &str) -> Option<Timestamp> {
    let zoned = |text: &str| DateTime::parse_from_rfc3339(text).ok();
    let local = || Some(Timestamp::Local(zoned(&format!("{text}Z"))?.naive_utc()));
    zoned(text).map(Timestamp::Zoned).or_else(local)
}

fn write_timestamp(at: DateTime<FixedOffset>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, false)
}

/// Writes message frames of one sender in text framing.
///
/// The header before the text changes only with the time, which many lines share; it is kept.
#[derive(Debug)]
pub struct MessageWriter {
    name: String,
    header: Vec<u8>,
    header_at: Option<DateTime<FixedOffset>>,
}

impl MessageWriter {
    /// A writer of messages from `name`, which holds no line break.
    #[must_use]
    pub fn new(name: String) -> Self {
        Self { name, header: Vec::new(), header_at: None }
    }

    /// The sender's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Changes the sender's name.
    pub fn set_name(&mut self, name: String) {
        self.name = name;
        self.header_at = None;
    }

    /// The body of a message with this text, before it is escaped.
    #[must_use]
    pub fn body(&self, text: &str, at: DateTime<FixedOffset>) -> String {
        format!("[{}] {}:{TEXT_START}{text}", write_timestamp(at), self.name)
    }

    /// Appends one frame with as much of `text` as fits, sent at `at`, and returns the rest.
    /// The cut is between characters.
    pub fn write<'a>(&mut self, text: &'a str, at: DateTime<FixedOffset>, out: &mut Vec<u8>) -> &'a str {
        if self.header_at != Some(at) {
            self.header_at = Some(at);
            self.header.clear();
            escape(self.body("", at).as_bytes(), &mut self.header);
        }
        let (text, rest) = split(text);
        out.extend_from_slice(&self.header);
        escape(text.as_bytes(), out);
        out.extend_from_slice(Code::Message.spelled(Framing::Text));
        rest
    }
}

/// As much of `text` as one message holds, and the rest. The cut is between characters.
#[must_use]
pub fn split(text: &str) -> (&str, &str) {
    // An escape adds one byte to at least seven.
    if text.len() <= MESSAGE_BYTES_MAX / 8 * 7 {
        return (text, "");
    }
    let mut cut = text.floor_char_boundary(MESSAGE_BYTES_MAX);
    loop {
        let excess = escaped_bytes(&text.as_bytes()[..cut]).saturating_sub(MESSAGE_BYTES_MAX);
        if excess == 0 {
            return text.split_at(cut);
        }
        cut = text.floor_char_boundary(cut - excess);
    }
}

/// Appends the exit frame, in text framing, of `name` that listens on `address`.
pub fn write_exit(address: SocketAddr, at: DateTime<FixedOffset>, name: &str, out: &mut Vec<u8>) {
    frame::write(Code::Exit, exit_body(address, at, name).as_bytes(), Framing::Text, out);
}

/// The body of an exit frame.
#[must_use]
pub fn exit_body(address: SocketAddr, at: DateTime<FixedOffset>, name: &str) -> String {
    format!("\n{address} [{}]|\n{name}", write_timestamp(at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::ops::ControlFlow;

    use super::*;

    fn zoned(text: &str) -> DateTime<FixedOffset> {
        DateTime::parse_from_rfc3339(text).expect("a timestamp in a test")
    }

    const TIME: &str = "2026-11-22T06:55:22.756724+01:00";

    #[test]
    fn messages_are_written_as_the_exercise_writes_them() {
        let mut out = Vec::new();
        let rest = MessageWriter::new("alice".into()).write("hello", zoned(TIME), &mut out);
        assert_eq!(out, format!("[{TIME}] alice:\n\t\thello<MSGENCD>").as_bytes());
        assert_eq!(rest, "");
    }

    #[test]
    fn the_header_follows_the_time() {
        let mut writer = MessageWriter::new("alice".into());
        let mut out = Vec::new();
        for time in [TIME, TIME, "2026-11-22T06:55:23.000000+01:00"] {
            out.clear();
            writer.write("x", zoned(time), &mut out);
            assert_eq!(out, format!("[{time}] alice:\n\t\tx<MSGENCD>").as_bytes());
        }
    }

    #[test]
    fn exits_are_written_as_the_exercise_writes_them() {
        let mut out = Vec::new();
        write_exit("192.168.1.7:5000".parse().expect("an address"), zoned(TIME), "alice", &mut out);
        assert_eq!(out, format!("\n192.168.1.7:5000 [{TIME}]|\nalice<EXITENCD>").as_bytes());
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_loses_nothing() {
        for unit in ["a", "\u{fc}", "\u{20ac}", "\u{1f980}", "<AENCD>", "<\\MSGENCD> ", "x<MSGENCD>\u{1f980}"]
        {
            let text = unit.repeat(200_000 / unit.len());
            // The longest name, escaped.
            let mut writer = MessageWriter::new("<AENCD>".repeat(NAME_BYTES_MAX / 7));
            let (mut rest, mut whole, mut count) = (text.as_str(), String::new(), 0);
            while !rest.is_empty() {
                let mut out = Vec::new();
                rest = writer.write(rest, zoned(TIME), &mut out);
                assert!(out.len() <= crate::limits::FRAME_BYTES_MAX);
                let mut frames = Vec::new();
                let mut decoder = crate::wire::Decoder::default();
                let each = |frame: crate::wire::Frame<'_>| {
                    frames.push(frame.text().into_owned());
                    ControlFlow::Continue(())
                };
                decoder.receive(&out, each).expect("not too long");
                let [body] = frames.as_slice() else { panic!("one frame, not {}", frames.len()) };
                whole.push_str(read_message(body).expect("the usual shape").text);
                count += 1;
            }
            assert_eq!(whole, text);
            assert!(count <= 4, "{count} frames are more than {unit:?} needs");
        }
    }

    #[test]
    fn a_text_of_the_limit_is_one_message_and_one_byte_more_is_two() {
        for unit in ["a", "<AENCD>", "x<MSGENCD>"] {
            let longest = MESSAGE_BYTES_MAX * unit.len() / escaped_bytes(unit.as_bytes());
            let longest = unit.repeat(longest / unit.len());
            assert_eq!(split(&longest), (longest.as_str(), ""));
            let longer = longest + unit;
            let (first, rest) = split(&longer);
            assert!(!rest.is_empty() && escaped_bytes(first.as_bytes()) <= MESSAGE_BYTES_MAX);
        }
    }

    /// A timestamp as it is read at the front of a body, if it has one of the usual shapes.
    fn usual(text: &str) -> Option<Timestamp> {
        let body = format!("{text}] rest");
        let (at, rest) = split_usual_timestamp(&body)?;
        assert_eq!(rest, "] rest", "{text}");
        Some(at)
    }

    #[test]
    fn usual_timestamps_are_read_without_the_library() {
        for separator in ["T", " "] {
            for fraction in ["", ".756724"] {
                for offset in ["", "Z", "+00:00", "-00:00", "+05:30", "-23:59"] {
                    let text = format!("2026-11-22{separator}06:55:22{fraction}{offset}");
                    assert!(usual(&text).is_some(), "{text}");
                    assert_eq!(usual(&text), read_timestamp(&text), "{text}");
                }
            }
        }
        for text in
            ["2026-11-22T06:55:22.5", "2026-11-22T06:55:22.756724123+01:00", "2026-11-22T06:55:22z", ""]
        {
            assert_eq!(usual(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn usual_timestamps_are_read_as_the_library_reads_them(
            text in "[0-9]{4}-(0[0-9]|1[0-9])-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{6})?([+-][0-2][0-9]:[0-6][0-9]|Z)?",
            at in 0..40_usize,
            other in "[0-9:+.TZ -]",
        ) {
            let mut changed = text.clone();
            if at < text.len() {
                changed.replace_range(at..=at, &other);
            }
            for text in [text, changed] {
                let usual = usual(&text);
                prop_assert!(usual.is_none() || usual == read_timestamp(&text), "{}", text);
            }
        }
    }

    #[test]
    fn timestamps_are_read_with_and_without_offset_and_fractions() {
        #[track_caller]
        fn check(time: &str, expected: Timestamp) {
            let body = format!("[{time}] bob:\n\t\thi");
            assert_eq!(read_message(&body).expect("the usual shape").at, expected);
        }
        let naive = |text: &str| Timestamp::Local(text.parse().expect("a time in a test"));
        check(TIME, Timestamp::Zoned(zoned(TIME)));
        check("2026-11-22T06:55:22Z", Timestamp::Zoned(zoned("2026-11-22T06:55:22+00:00")));
        check("2026-11-22T06:55:22.5", naive("2026-11-22T06:55:22.5"));
        check("2026-11-22T06:55:22", naive("2026-11-22T06:55:22"));
        check("2026-11-22 06:55:22.756724", naive("2026-11-22T06:55:22.756724"));
        check("2026-11-22T06:55:60", naive("2026-11-22T06:55:60"));
        check("2016-12-31T23:59:60Z", Timestamp::Zoned(zoned("2016-12-31T23:59:60+00:00")));
        check("0000-01-01T00:00:00", naive("0000-01-01T00:00:00"));
        check("9999-12-31 23:59:59", naive("9999-12-31T23:59:59"));
        check("2026-11-22t06:55:22", naive("2026-11-22T06:55:22"));
    }

    /// Before a second was read, a timestamp is compared with this one.
    #[test]
    fn the_second_that_is_known_at_first_is_that_of_its_text() {
        let (text, second) = EPOCH;
        assert_eq!(parse_second(text), Some(second));
    }

    #[test]
    fn a_body_of_another_shape_is_no_message() {
        for body in [
            "",
            "hello",
            "[now] bob:\n\t\thi",
            "[2026-11-22T06:55:22Z] bob: hi",
            "[10000-01-01T00:00:00] bob:\n\t\thi",
            "[+10000-01-01T00:00:00Z] bob:\n\t\thi",
            "[+262142-12-31T23:59:59] bob:\n\t\thi",
            "[-0001-12-31T23:59:59] bob:\n\t\thi",
            "[-262143-01-01 00:00:00] bob:\n\t\thi",
            "[2026-11-22T06:55:61] bob:\n\t\thi",
            "[2026-1-2 3:04:05] bob:\n\t\thi",
        ] {
            assert_eq!(read_message(body), None, "{body:?}");
        }
        for name in ["a\nb", &"x".repeat(NAME_BYTES_MAX + 1), &"x".repeat(60_000)] {
            assert_eq!(read_message(&format!("[{TIME}] {name}:\n\t\thi")), None);
        }
        let name = "x".repeat(NAME_BYTES_MAX);
        assert_eq!(read_message(&format!("[{TIME}] {name}:\n\t\thi")).expect("a name").name, Some(&*name));
    }

    #[test]
    fn names_and_texts_may_hold_the_signs_around_them() {
        let body = format!("\r\n[{TIME}] a: [b]:\n\t\tc:\n\t\td] ");
        let message = read_message(&body).expect("the usual shape");
        assert_eq!((message.name, message.text), (Some("a: [b]"), "c:\n\t\td] "));
    }

    #[test]
    fn a_message_without_a_name_is_a_message() {
        for name in ["", " ", "\t\r", "\u{3164} \u{200b}"] {
            let body = format!("[{TIME}] {name}:\n\t\thi");
            let message = read_message(&body).expect("the usual shape");
            assert_eq!((message.at, message.name, message.text), (Timestamp::Zoned(zoned(TIME)), None, "hi"));
            assert_eq!(read_exit(&body), None);
        }
    }

    #[test]
    fn exits_are_read_whoever_wrote_them() {
        assert_eq!(read_exit("\n192.168.1.7:5000 [2026]|\nalice"), Some("alice"));
        assert_eq!(read_exit("x|\n a|b \n"), Some("a|b"));
        assert_eq!(read_exit("[2026-11-22T06:55:22] bob:\n\t\tbye"), Some("bob"));
        for body in ["", "alice", "x|\n", "x|\n \n", "x|\na\nb", &format!("x|\n{}", "x".repeat(65))] {
            assert_eq!(read_exit(body), None, "{body:?}");
        }
    }
}
