//! Notices in words: what the user reads.
//!
//! Everything that came from a peer, or quotes one, goes through [`push_visible`].

use std::fmt::Display;

use chrono::{DateTime, FixedOffset, Local};

use super::visible::push_visible;
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
#[derive(Debug, Default)]
pub struct Words {
    /// The last second that was put into words, since many messages share one.
    second: Option<(i64, String)>,
}

/// Before the further lines of a message.
const INDENT: &[u8] = b"    ";

impl Words {
    /// Where `notice` is to be shown.
    #[must_use]
    pub fn channel(notice: &Notice) -> Channel {
        match notice {
            Notice::Message { .. } | Notice::Left { .. } | Notice::Lost { .. } => Channel::Conversation,
            _ => Channel::Notices,
        }
    }

    /// Appends `notice` to `out`: one line, or more for a message of several.
    pub fn push(&mut self, notice: &Notice, out: &mut Vec<u8>) {
        match notice {
            Notice::Message { at, from, text } => {
                out.push(b'[');
                out.extend_from_slice(self.time(*at).as_bytes());
                out.extend_from_slice(b"] ");
                push_visible(from, out);
                out.extend_from_slice(b": ");
                return push_text(text, out);
            }
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
            Notice::Unheard => push_words(out, &[&"no peer is connected: the message is lost"]),
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
                return &self.second.insert((i64::MIN, at.format(FORMAT).to_string())).1;
            }
            None => Local::now().fixed_offset(),
        };
        let second = zoned.timestamp();
        match &mut self.second {
            Some((known, _)) if *known == second => (),
            other => *other = Some((second, local(zoned))),
        }
        &self.second.as_ref().expect("it was just filled").1
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
