//! Notices in words: what the user reads.
//!
//! Everything that came from a peer, or quotes one, goes through [`push_visible`].

use std::fmt::Display;

use chrono::{DateTime, FixedOffset, Local};

use super::visible::push_visible;
use crate::limits::FORGET;
use crate::protocol::Notice;
use crate::protocol::message::Timestamp;

/// Where a line belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// What the group says: standard output.
    Conversation,
    /// Everything else: standard error.
    Notices,
}

/// Puts notices into words, and times into local time.
#[derive(Debug)]
pub struct Words {
    /// The second that was put into words last, as a Unix time, since many messages share one.
    second: i64,
    time: String,
}

/// Before the further lines of a message.
const INDENT: &[u8] = b"    ";

impl Words {
    /// Learns the local time zone with the first time that it puts into words: reading the zone takes
    /// a descriptor, and later there may be none.
    #[must_use]
    pub fn new(now: DateTime<Local>) -> Self {
        Self { second: now.timestamp(), time: local(now.fixed_offset()) }
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
            | Notice::Lost { .. } => Channel::Conversation,
            _ => Channel::Notices,
        }
    }

    /// Appends `notice` to `out`: one line, or more for a message of several.
    pub fn push(&mut self, notice: &Notice, out: &mut Vec<u8>) {
        match notice {
            Notice::Message { at, from, text, .. } => {
                out.push(b'[');
                out.extend_from_slice(self.time(*at).as_bytes());
                out.extend_from_slice(b"] ");
                push_visible(&from.name, out);
                out.extend_from_slice(b": ");
                return push_text(text, out);
            }
            Notice::Joined { who } => push_words(out, &[who, &" has joined"]),
            Notice::Back { who } => push_words(out, &[who, &" is back"]),
            Notice::Renamed { who, before } => push_words(out, &[before, &" is now ", who]),
            Notice::Missed { who, count: 1 } => {
                push_words(out, &[&"1 message of ", who, &" is missing here"])
            }
            Notice::Missed { who, count } => {
                push_words(out, &[count, &" messages of ", who, &" are missing here"]);
            }
            Notice::Present => push_words(out, &[&"--- the above was said before you came ---"]),
            Notice::Left { who } => push_words(out, &[who, &" has left the chat..."]),
            Notice::Lost { who, why } => push_words(out, &[who, &" is lost: ", why]),
            Notice::Accepted { address } => push_words(out, &[address, &" connected"]),
            Notice::Connected { peer, address, missed } => {
                push_words(out, &[&"connected to ", peer]);
                if **peer != *address.to_string() {
                    push_words(out, &[&" at ", address]);
                }
                if *missed > 0 {
                    push_words(out, &[&"; too late for the first ", missed, &" messages typed before"]);
                }
            }
            Notice::Unreachable { peer, why } => {
                push_words(out, &[&"cannot reach ", peer, &": ", why, &"; trying again"]);
            }
            Notice::Oneself { peer } => push_words(out, &[peer, &" is this peer itself: not connected"]),
            Notice::Undelivered { who, count: 1 } => {
                push_words(out, &[who, &" did not get 1 of your messages, as far as is known"]);
            }
            Notice::Undelivered { who, count } => {
                push_words(out, &[who, &" did not get ", count, &" of your messages, as far as is known"]);
            }
            Notice::Forgotten { who } => {
                push_words(
                    out,
                    &[who, &" was gone for ", &(FORGET.as_secs() / 60), &" minutes and is forgotten"],
                );
            }
            Notice::Impostor { address, who } => {
                push_words(out, &[address, &" says that it is ", who, &" and cannot show it: closed"]);
            }
            Notice::Unheard { is_kept: true } => {
                push_words(out, &[&"nobody is connected: this waits for those who are lost"]);
            }
            Notice::Unheard { is_kept: false } => {
                push_words(out, &[&"no peer is connected: only who joins later may still read this"]);
            }
            Notice::CannotAccept(why) => {
                push_words(
                    out,
                    &[&"cannot accept more connections: ", why, &"; new ones wait for a free place"],
                );
            }
        }
        out.push(b'\n');
    }

    /// The time to show: what the sender wrote, in local time, or now.
    fn time(&mut self, at: Option<Timestamp>) -> &str {
        let zoned = match at {
            Some(Timestamp::Zoned(at)) => at,
            Some(Timestamp::Local(at)) => {
                self.second = i64::MIN;
                self.time = at.format(FORMAT).to_string();
                return &self.time;
            }
            None => Local::now().fixed_offset(),
        };
        if self.second != zoned.timestamp() {
            self.second = zoned.timestamp();
            self.time = local(zoned);
        }
        &self.time
    }
}

const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

fn local(at: DateTime<FixedOffset>) -> String {
    at.with_timezone(&Local).format(FORMAT).to_string()
}

fn push_words(out: &mut Vec<u8>, words: &[&dyn Display]) {
    for word in words {
        push_visible(&word.to_string(), out);
    }
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    for (index, line) in text.trim_end_matches(['\r', '\n']).split('\n').enumerate() {
        if index > 0 {
            out.extend_from_slice(INDENT);
        }
        push_visible(line.strip_suffix('\r').unwrap_or(line), out);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{LostReason, Who};

    #[track_caller]
    fn check(notice: Notice, expected: &str) {
        let mut shown = Vec::new();
        Words::new(Local::now()).push(&notice, &mut shown);
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
    fn the_time_follows_the_message() {
        let mut words = Words::new(Local::now());
        for second in [22, 22, 23, 22] {
            let zoned =
                DateTime::parse_from_rfc3339(&format!("2026-11-22T06:55:{second}.5+05:30")).expect("a time");
            let expected = zoned.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string();
            assert_eq!(words.time(Some(Timestamp::Zoned(zoned))), expected);
            let naive = zoned.naive_local();
            assert_eq!(words.time(Some(Timestamp::Local(naive))), format!("2026-11-22 06:55:{second}"));
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
