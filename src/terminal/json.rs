//! The JSON output: one object per line on standard output, and nothing else.
//!
//! | `event` | meaning | fields beside `time` |
//! | --- | --- | --- |
//! | `listening` | the program listens | `name`, `id`, `address` |
//! | `message` | a peer sent a message | peer, `text`, `private`, `past` |
//! | `joined` | a member joined; a plain peer sends its first message, or its goodbye | peer |
//! | `back` | a lost member is connected again | peer |
//! | `left` | a member or plain peer sent its goodbye; a plain peer turned out to be a member | peer |
//! | `lost` | the connection of a peer that had `joined` ended without a goodbye | peer, `why` |
//! | `renamed` | a member or plain peer has another name, or another mark after it | peer, `before` |
//! | `missed` | messages of a member will never arrive | peer, `count` |
//! | `member` | the reply to `/who`, one per peer | peer, `standing`, `dialled_by`, `seconds`, `behind`, `retry_seconds` |
//! | `notice` | a diagnostic, which goes to standard error in the other output modes | `text` |
//!
//! Every `left` and `lost` ends what `joined` or `back` began, even if the user has ignored the peer since. A
//! peer that came while it was ignored joins with its first event that is shown. All events of one peer have
//! the same `id`, or else the same `address`.
//!
//! The fields of a peer are `name`, as it is shown here; `id`, for a member; and `address`, if one is known.
//! Fields without a value are omitted. `time` is the time of a message by its sender's clock, or the time of
//! another event by the local clock, as RFC 3339. Texts are exactly as they were sent: they are not sanitized.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use chrono::Local;
use serde::Serialize;

use super::clock::{self, rfc3339};
use super::format::sentence;
use super::peer_list::seconds_until;
use super::speakers::Speaker;
use crate::protocol::roster::{Dialler, Retry, RosterEntry, Standing};
use crate::protocol::{Event, Label, MemberId, PeerInfo};
use crate::wire::message::Timestamp;

/// One line.
#[derive(Debug, Serialize)]
struct Line<'a> {
    event: &'a str,
    time: String,
    #[serde(flatten)]
    peer: Option<PeerFields<'a>>,
    #[serde(flatten)]
    details: Details<'a>,
}

#[derive(Debug, Serialize)]
struct PeerFields<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<SocketAddr>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Details<'a> {
    Nothing {},
    Message { text: &'a str, private: bool, past: bool },
    Lost { why: String },
    Renamed { before: &'a str },
    Missed { count: u64 },
    Diagnostic { text: Cow<'a, str> },
    Member(MemberRecord),
}

/// The `member` event: what `/who` reports of one peer beside its name.
#[derive(Debug, Serialize)]
struct MemberRecord {
    /// `here`, `plain`, `lost`, `told of` or `named`.
    standing: &'static str,
    /// The side that dialled: `us` or `them`.
    #[serde(skip_serializing_if = "Option::is_none")]
    dialled_by: Option<&'static str>,
    /// The seconds since `standing` last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
    /// The number of own messages that it has not acknowledged.
    behind: u64,
    /// The seconds until it is dialled again; 0 while it is being dialled.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_seconds: Option<u64>,
}

impl MemberRecord {
    fn new(entry: &RosterEntry, now: Instant) -> Self {
        Self {
            standing: match entry.standing {
                Standing::Here => "here",
                Standing::Plain => "plain",
                Standing::Lost => "lost",
                Standing::Unmet => "told of",
                Standing::Named => "named",
            },
            dialled_by: entry.dialled.as_ref().map(|dialler| match dialler {
                Dialler::We => "us",
                Dialler::It => "them",
            }),
            seconds: entry.since.map(|since| now.saturating_duration_since(since).as_secs()),
            behind: entry.behind,
            retry_seconds: entry.retry.as_ref().map(|retry| match retry {
                Retry::Now => 0,
                Retry::At(at) => seconds_until(*at, now),
            }),
        }
    }
}

/// Appends an event, if it has a JSON form.
pub fn push(event: &Event, out: &mut Vec<u8>) {
    let (event, peer, details) = match event {
        Event::Message { at, from, text, is_past, is_private } => {
            let details = Details::Message { text, private: *is_private, past: *is_past };
            return push_line("message", written(*at), Some(from), details, out);
        }
        Event::Joined { peer } | Event::Appeared { peer } => ("joined", peer, Details::Nothing {}),
        Event::Back { peer } => ("back", peer, Details::Nothing {}),
        Event::Left { peer } | Event::Identified { before: peer } => ("left", peer, Details::Nothing {}),
        Event::Lost { peer, why } => ("lost", peer, Details::Lost { why: why.to_string() }),
        Event::Renamed { peer, before } => ("renamed", peer, Details::Renamed { before }),
        Event::Missed { peer, count } => ("missed", peer, Details::Missed { count: *count }),
        // Each message has the field `past`.
        Event::Present => return,
        Event::Diagnostic(_) => return push_report(&sentence(event), out),
    };
    push_line(event, now(), Some(peer), details, out);
}

/// Appends a diagnostic.
pub fn push_report(sentence: &str, out: &mut Vec<u8>) {
    push_line("notice", now(), None, Details::Diagnostic { text: sentence.into() }, out);
}

/// Appends the `listening` event.
pub fn push_listening(name: &str, id: MemberId, address: SocketAddr, out: &mut Vec<u8>) {
    let peer = PeerInfo { name: name.into(), id: Some(id), address: Some(address) };
    push_line("listening", now(), Some(&peer), Details::Nothing {}, out);
}

/// Appends the record of one peer, as the reply to `/who`.
pub fn push_member(entry: &RosterEntry, at: Instant, out: &mut Vec<u8>) {
    push_line("member", now(), Some(&entry.peer), Details::Member(MemberRecord::new(entry, at)), out);
}

fn push_line(event: &str, time: String, peer: Option<&PeerInfo>, details: Details<'_>, out: &mut Vec<u8>) {
    let peer = peer.map(|peer| PeerFields {
        name: &peer.name,
        id: peer.id.map(|id| id.to_string()),
        address: peer.address,
    });
    // Writing to a vector does not fail, and all keys are strings.
    let _ = serde_json::to_writer(&mut *out, &Line { event, time, peer, details });
    out.push(b'\n');
}

fn now() -> String {
    rfc3339(Local::now().fixed_offset())
}

/// The time of a message as its sender wrote it; a time without an offset is local.
fn written(at: Option<Timestamp>) -> String {
    match at {
        Some(Timestamp::Zoned(at)) => rfc3339(at),
        Some(at @ Timestamp::Local(_)) => rfc3339(clock::local(at)),
        None => now(),
    }
}

/// The peers of which the reader knows that they are here, each until its end, so that every `joined` and `back`
/// has its `left` or `lost`, and no other event comes in between under a name that the reader does not know.
///
/// There are no more of them than members and connections.
/// The value is the name that the reader knows. It is `None` for a peer that came while it was ignored, of
/// which the reader knows nothing.
#[derive(Debug, Default)]
pub struct JsonPeers {
    names: BTreeMap<Speaker, Option<Label>>,
}

/// The effect of an event on the presence of its peer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Arrival,
    Departure,
    Stay,
}

impl JsonPeers {
    /// The events to show in place of `event`, in order: one that the reader has missed, and the event itself.
    /// `is_ignored` is whether the user ignores its peer.
    ///
    /// An end is shown where the arrival was, even if the peer was ignored since. A peer that came while it
    /// was ignored has joined with the first event that is shown of it.
    #[must_use]
    pub fn handle_event<'a>(
        &mut self,
        event: &'a Event,
        is_ignored: bool,
    ) -> (Option<Event>, Option<&'a Event>) {
        let shown = Some(event).filter(|_| !is_ignored);
        let effect = match event {
            Event::Joined { .. } | Event::Back { .. } | Event::Appeared { .. } => Effect::Arrival,
            Event::Left { .. } | Event::Lost { .. } | Event::Identified { .. } => Effect::Departure,
            Event::Message { .. } | Event::Renamed { .. } | Event::Missed { .. } => Effect::Stay,
            Event::Present | Event::Diagnostic(_) => return (None, shown),
        };
        let Some(peer) = event.peer() else { return (None, shown) };
        let speaker = Speaker::of(peer);
        let name = || peer.name.clone();
        if effect == Effect::Arrival {
            self.names.insert(speaker, (!is_ignored).then(name));
            return (None, shown);
        }
        let Some(known) = self.names.get(&speaker).cloned() else { return (None, shown) };
        if effect == Effect::Departure {
            self.names.remove(&speaker);
            return (known.as_ref().and_then(|before| renamed(event, before)), known.and(Some(event)));
        }
        if is_ignored {
            return (None, None);
        }
        let missing = match &known {
            None => Some(Event::Joined { peer: peer.clone() }),
            Some(before) => renamed(event, before),
        };
        if known.is_none() || missing.is_some() || matches!(event, Event::Renamed { .. }) {
            self.names.insert(speaker, Some(name()));
        }
        // A peer that joins only now had no other name before.
        let is_news = known.is_some() || !matches!(event, Event::Renamed { .. });
        (missing, shown.filter(|_| is_news))
    }
}

/// The change of name that the reader has to know of before `event`, if it knows the peer as `before`.
fn renamed(event: &Event, before: &Label) -> Option<Event> {
    let peer = event.peer()?;
    // A message of no shape is under the address, whatever its sender is called.
    let is_nameless = matches!(event, Event::Message { .. }) && peer.name.looks().is_none();
    let is_known = peer.name == *before || is_nameless || matches!(event, Event::Renamed { .. });
    (!is_known).then(|| Event::Renamed { peer: peer.clone(), before: before.clone() })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::{Value, json};

    use super::*;
    use crate::protocol::{Diagnostic, LostReason};
    use crate::wire::identity::MemberId;

    #[track_caller]
    fn check(event: &Event, mut expected: Value) {
        let mut out = Vec::new();
        push(event, &mut out);
        let line = String::from_utf8(out).expect("characters");
        assert_eq!(line.matches('\n').count(), 1, "one line: {line}");
        let mut event: Value = serde_json::from_str(&line).expect("JSON");
        let time = event.as_object_mut().expect("an object").remove("time").expect("a time");
        let time = DateTime::parse_from_rfc3339(time.as_str().expect("a text")).expect("RFC 3339");
        if let Some(written) = expected.as_object_mut().expect("an object").remove("time") {
            assert_eq!(rfc3339(time), written.as_str().expect("a text"));
        }
        assert_eq!(event, expected);
    }

    fn bob() -> PeerInfo {
        let address = "127.0.0.1:5000".parse().expect("an address");
        PeerInfo { name: "bob\x1b\u{2028}\"".into(), id: Some(MemberId(255)), address: Some(address) }
    }

    #[test]
    fn each_event_is_one_object_on_one_line() {
        let (name, id, address) = ("bob\x1b\u{2028}\"", format!("{:032x}", 255), "127.0.0.1:5000");
        let peer = |event: &str, more: Value| {
            let mut object = json!({ "event": event, "name": name, "id": id, "address": address });
            object.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            object
        };
        for (name, event) in [
            ("joined", Event::Appeared { peer: bob() }),
            ("left", Event::Identified { before: bob() }),
            ("joined", Event::Joined { peer: bob() }),
            ("back", Event::Back { peer: bob() }),
            ("left", Event::Left { peer: bob() }),
        ] {
            check(&event, peer(name, json!({})));
        }
        let why = LostReason::FrameTooLong;
        check(
            &Event::Lost { peer: bob(), why },
            peer("lost", json!({ "why": "sent more than 65535 bytes without a code" })),
        );
        check(&Event::Missed { peer: bob(), count: 3 }, peer("missed", json!({ "count": 3 })));
        check(&Event::Renamed { peer: bob(), before: "b".into() }, peer("renamed", json!({ "before": "b" })));
        check(
            &Event::Diagnostic(Diagnostic::Forgotten { peer: bob() }),
            json!({ "event": "notice", "text": format!("{} was gone for 10 minutes and is forgotten", bob()) }),
        );
        let mut out = Vec::new();
        push(&Event::Present, &mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn texts_and_times_are_as_they_were_sent() {
        let zoned = DateTime::parse_from_rfc3339("2026-11-22T06:55:22.756724+05:30").expect("a time");
        let from = PeerInfo { name: "x".into(), id: None, address: None };
        let text = "a\nb\x1b[31m\u{202e}\\\"\u{0}".to_owned();
        let expected = json!({
            "event": "message", "time": "2026-11-22T06:55:22.756724+05:30", "name": "x", "text": text,
            "private": true, "past": false,
        });
        let at = Some(Timestamp::Zoned(zoned));
        check(&Event::Message { at, from: from.clone(), text, is_past: false, is_private: true }, expected);
        let expected = json!({ "event": "message", "name": "x", "text": "", "private": false, "past": true });
        let at = "2026-03-29T02:30:60".parse().expect("a time");
        for at in [None, Some(Timestamp::Local(at))] {
            let (from, text) = (from.clone(), String::new());
            check(&Event::Message { at, from, text, is_past: true, is_private: false }, expected.clone());
        }
    }

    fn event_of(kind: &str, peer: PeerInfo) -> Event {
        match kind {
            "joined" => Event::Joined { peer },
            "appeared" => Event::Appeared { peer },
            "back" => Event::Back { peer },
            "left" => Event::Left { peer },
            "lost" => Event::Lost { peer, why: LostReason::Overrun },
            "identified" => Event::Identified { before: peer },
            "renamed" => Event::Renamed { peer, before: "x".into() },
            "forgotten" => Event::Diagnostic(Diagnostic::Forgotten { peer }),
            _ => {
                let (text, at) = ("hi".to_owned(), None);
                Event::Message { at, from: peer, text, is_past: false, is_private: false }
            }
        }
    }

    fn shown_line(event: &Event) -> String {
        match event {
            Event::Renamed { peer, before } => format!("{} renamed {}", &**before, &*peer.name),
            Event::Joined { peer } | Event::Appeared { peer } => format!("{} joined", &*peer.name),
            Event::Back { peer } => format!("{} back", &*peer.name),
            Event::Left { peer } | Event::Identified { before: peer } => format!("{} left", &*peer.name),
            Event::Lost { peer, .. } => format!("{} lost", &*peer.name),
            Event::Message { from, .. } => format!("{} message", &*from.name),
            _ => "notice".to_owned(),
        }
    }

    /// Handles the events `NAME KIND` of one peer, those with a `-` while it is ignored, and compares the shown ones.
    #[track_caller]
    fn check_pairs(script: &[&str], expected: &[&str]) {
        let address = ([10, 0, 0, 1], 5000).into();
        for id in [None, Some(MemberId(1))] {
            let mut peers = JsonPeers::default();
            let mut lines = Vec::new();
            for step in script {
                let bare = step.trim_start_matches('-');
                let (name, kind) = bare.split_once(' ').expect("two words");
                let name = if name == "?" { Label::of_place("10.0.0.1:5000") } else { name.into() };
                let event = event_of(kind, PeerInfo { name, id, address: Some(address) });
                let (before, shown) = peers.handle_event(&event, bare.len() < step.len());
                lines.extend(before.as_ref().into_iter().chain(shown).map(shown_line));
            }
            assert_eq!(lines, expected, "{script:?}");
        }
    }

    #[test]
    fn arrivals_and_ends_are_in_pairs() {
        check_pairs(&["a joined", "a message", "a left"], &["a joined", "a message", "a left"]);
        check_pairs(&["a joined", "a lost", "a back", "a lost"], &["a joined", "a lost", "a back", "a lost"]);
        check_pairs(&["a appeared", "a identified"], &["a joined", "a left"]);
        // Of an ignored peer that the reader knows of, only the end is shown.
        check_pairs(&["a joined", "-a message", "-a left"], &["a joined", "a left"]);
        check_pairs(
            &["a joined", "-b renamed", "-b message", "-b lost"],
            &["a joined", "a renamed b", "b lost"],
        );
        check_pairs(&["a joined", "-a lost", "-a back", "-a left"], &["a joined", "a lost"]);
        check_pairs(&["a joined", "-a lost", "-a back", "a left"], &["a joined", "a lost"]);
        check_pairs(&["a joined", "-a message", "a message", "a left"], &["a joined", "a message", "a left"]);
        // The end of a peer that the reader does not know of is not shown.
        check_pairs(&["-a joined", "-a message", "-a lost"], &[]);
        check_pairs(&["-a appeared", "-a message", "a lost"], &[]);
        check_pairs(
            &["-a joined", "a forgotten", "a message", "a left"],
            &["notice", "a joined", "a message", "a left"],
        );
        check_pairs(&["-a joined", "b renamed", "b message", "b lost"], &["b joined", "b message", "b lost"]);
        check_pairs(
            &["-a joined", "a message", "-a message", "-a lost"],
            &["a joined", "a message", "a lost"],
        );
        // A peer that was never here.
        check_pairs(&["a message", "a left", "-a message", "-a left"], &["a message", "a left"]);
    }

    #[test]
    fn a_change_of_name_is_shown_before_its_first_use() {
        check_pairs(
            &["a appeared", "a message", "b message", "b lost"],
            &["a joined", "a message", "a renamed b", "b message", "b lost"],
        );
        check_pairs(&["a appeared", "b left"], &["a joined", "a renamed b", "b left"]);
        check_pairs(
            &["a joined", "b renamed", "b message", "b left"],
            &["a joined", "x renamed b", "b message", "b left"],
        );
        check_pairs(
            &["? appeared", "? message", "a message"],
            &["10.0.0.1:5000 joined", "10.0.0.1:5000 message", "10.0.0.1:5000 renamed a", "a message"],
        );
        check_pairs(
            &["a appeared", "? message", "a message", "a lost"],
            &["a joined", "10.0.0.1:5000 message", "a message", "a lost"],
        );
    }
}
