//! Collects joins and leaves, so that a crowd takes one line at a terminal, not a screen.
//!
//! The first event of a kind is shown at once. Further events within [`PRESENCE_WINDOW`] become one line, which
//! is shown at the end of the window, or before the next event of one of these peers. A user who joins an
//! existing group sees its members as one list. Time is passed in.

use std::collections::VecDeque;
use std::mem;
use std::net::SocketAddr;
use std::time::Instant;

use super::layout::columns_at_most;
use crate::limits::{MEMBER_EXPIRY, MEMBERS_MAX, PRESENCE_NAMES_MAX, PRESENCE_WINDOW};
use crate::protocol::{Diagnostic, Event, Label, PeerInfo};
use crate::sanitize::sanitized;

/// The kind of an event that is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Joined,
    Back,
    Left,
    Lost,
    Forgotten,
    Connected,
    Accepted,
}

const KINDS: [Kind; 7] =
    [Kind::Joined, Kind::Back, Kind::Left, Kind::Lost, Kind::Forgotten, Kind::Connected, Kind::Accepted];

/// A line to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A single event, shown in its usual form.
    Event(Event),
    /// A sentence about several peers that joined or left.
    Change(String),
    /// A sentence about present or forgotten members, or about connections.
    Summary(String),
}

/// The collector of joins and leaves.
#[derive(Debug, Default)]
pub struct Presence {
    stage: Stage,
    /// One window per kind, in the order of [`KINDS`].
    windows: [Window; KINDS.len()],
    ready: VecDeque<Batch>,
}

/// Whether members that join were in the group before the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// A peer that the user named is connected: the first member that joins was in the group before.
    AwaitingGroup,
    /// Further members of the group are awaited, at most until `until`.
    Collecting { until: Instant, is_listed: bool },
    /// Members that join are new.
    #[default]
    Settled,
    /// The user leaves; nothing is collected any more.
    Ended,
}

/// Collected events of one kind.
#[derive(Debug, Default)]
struct Window {
    until: Option<Instant>,
    events: Vec<Event>,
}

/// Events that become one line.
#[derive(Debug)]
struct Batch {
    kind: Kind,
    role: Role,
    events: Vec<Event>,
}

/// The wording of a line about members that joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// They were in the group before the user.
    Present,
    /// They were in the group before the user, and a first list was shown already.
    AlsoPresent,
    /// They have just joined or left.
    Change,
}

impl Presence {
    /// A peer that the user named is connected, and no member was met yet: the members that join next are those of
    /// an existing group.
    pub fn expect_group(&mut self) {
        if self.stage == Stage::Settled {
            self.stage = Stage::AwaitingGroup;
        }
    }

    /// Handles an event before it is shown. Returns whether the event was collected. Otherwise the caller shows
    /// it now, after the lines of [`poll`](Self::poll).
    pub fn push(&mut self, event: &Event, now: Instant) -> bool {
        if self.stage == Stage::Ended {
            return false;
        }
        self.handle_time(now);
        if let Some(peer) = subject(event) {
            self.flush_of(&peer);
            self.mark_like(&peer);
        }
        let kind = kind(event);
        if self.stage == Stage::AwaitingGroup {
            match (kind, event) {
                (Some(Kind::Joined), _) => {
                    self.stage = Stage::Collecting { until: now + PRESENCE_WINDOW, is_listed: false };
                }
                // The peer is a plain one, which never joins.
                (_, Event::Message { is_past: false, .. }) => self.stage = Stage::Settled,
                _ => (),
            }
        }
        let Some(kind) = kind else { return false };
        let is_collecting_members = kind == Kind::Joined && matches!(self.stage, Stage::Collecting { .. });
        let window = &mut self.windows[kind as usize];
        if !is_collecting_members && window.until.is_none() {
            window.until = Some(now + PRESENCE_WINDOW);
            return false;
        }
        window.events.push(event.clone());
        if window.events.len() >= MEMBERS_MAX {
            self.flush(kind);
        }
        true
    }

    /// Whether the members of an existing group are awaited, or still being collected.
    #[must_use]
    pub fn is_meeting_group(&self) -> bool {
        matches!(self.stage, Stage::AwaitingGroup | Stage::Collecting { .. })
    }

    /// Shows the list: every member of the existing group is connected, or there is none.
    pub fn handle_group_met(&mut self) {
        if self.is_meeting_group() {
            self.flush(Kind::Joined);
            self.stage = Stage::Settled;
        }
    }

    /// Ends the windows whose deadline has passed.
    pub fn handle_time(&mut self, now: Instant) {
        if let Stage::Collecting { until, .. } = self.stage
            && now >= until
        {
            self.handle_group_met();
            // Members that connect later are collected as well.
            self.windows[Kind::Joined as usize].until = Some(now + PRESENCE_WINDOW);
        }
        for kind in KINDS {
            let window = &mut self.windows[kind as usize];
            if window.until.is_some_and(|until| now >= until) {
                window.until = (!window.events.is_empty()).then_some(now + PRESENCE_WINDOW);
                self.flush(kind);
            }
        }
    }

    /// When [`handle_time`](Self::handle_time) is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let arriving = if let Stage::Collecting { until, .. } = self.stage { Some(until) } else { None };
        // An empty window has nothing to show; the next event ends it.
        let windows = self.windows.iter().filter(|window| !window.events.is_empty());
        windows.filter_map(|window| window.until).chain(arriving).min()
    }

    /// Releases the collected events of `peer`, since something else about `peer` is about to be shown.
    pub fn flush_of(&mut self, peer: &PeerInfo) {
        for kind in KINDS {
            let mut subjects = self.windows[kind as usize].events.iter().filter_map(subject);
            if subjects.any(|kept| is_same(&kept, peer)) {
                self.flush(kind);
            }
        }
    }

    /// Marks the names of kept events that look like a name which has a tag: since they were kept, both need one.
    fn mark_like(&mut self, peer: &PeerInfo) {
        let Some(digits) = peer.name.mark().strip_prefix('#').map(str::len) else { return };
        for event in &mut self.windows[Kind::Joined as usize].events {
            if let Event::Joined { peer: kept } = event
                && let Some(id) =
                    kept.id.filter(|_| kept.name.mark().is_empty() && kept.name.is_like(&peer.name))
            {
                kept.name = kept.name.with_mark(&format!("#{}", &id.to_string()[..digits]));
            }
        }
    }

    /// The user leaves: releases everything and collects nothing more.
    pub fn end(&mut self) {
        KINDS.iter().for_each(|kind| self.flush(*kind));
        self.stage = Stage::Ended;
    }

    /// The next line to show on a terminal of so many columns, until `None`.
    pub fn poll(&mut self, columns: usize) -> Option<Line> {
        let Batch { kind, role, mut events } = self.ready.pop_front()?;
        if role == Role::Change && events.len() == 1 {
            return events.pop().map(Line::Event);
        }
        let mut names: Vec<String> = events.iter().filter_map(subject).map(|peer| peer.to_string()).collect();
        if role != Role::Change {
            names.sort_by_cached_key(|name| name.to_lowercase());
        }
        Some(match role {
            Role::Present => Line::Summary(list("here", &names, columns)),
            Role::AlsoPresent => Line::Summary(list("also here", &names, columns)),
            Role::Change => match kind {
                Kind::Joined | Kind::Back | Kind::Left | Kind::Lost => Line::Change(change(kind, &names)),
                Kind::Forgotten | Kind::Connected | Kind::Accepted => Line::Summary(change(kind, &names)),
            },
        })
    }

    fn flush(&mut self, kind: Kind) {
        let events = mem::take(&mut self.windows[kind as usize].events);
        if events.is_empty() {
            return;
        }
        let role =
            match &mut self.stage {
                Stage::Collecting { is_listed, .. } if kind == Kind::Joined => {
                    if mem::replace(is_listed, true) { Role::AlsoPresent } else { Role::Present }
                }
                _ => Role::Change,
            };
        self.ready.push_back(Batch { kind, role, events });
    }
}

fn kind(event: &Event) -> Option<Kind> {
    match event {
        Event::Joined { .. } => Some(Kind::Joined),
        Event::Back { .. } => Some(Kind::Back),
        Event::Left { .. } => Some(Kind::Left),
        Event::Lost { .. } => Some(Kind::Lost),
        Event::Diagnostic(Diagnostic::Forgotten { .. }) => Some(Kind::Forgotten),
        Event::Diagnostic(Diagnostic::Connected { missed: 0, .. }) => Some(Kind::Connected),
        Event::Diagnostic(Diagnostic::Accepted { .. }) => Some(Kind::Accepted),
        // These are shown at once.
        Event::Message { .. }
        | Event::Renamed { .. }
        | Event::Missed { .. }
        | Event::Present
        | Event::Appeared { .. }
        | Event::Identified { .. }
        | Event::Diagnostic(_) => None,
    }
}

/// The peer that an event is about; a connection is identified by its address.
fn subject(event: &Event) -> Option<PeerInfo> {
    let connection = |name: &str, address: &SocketAddr| PeerInfo {
        name: Label::of_place(name),
        id: None,
        address: Some(*address),
    };
    match event {
        Event::Diagnostic(Diagnostic::Accepted { address } | Diagnostic::Visited { address, .. }) => {
            Some(connection(&address.to_string(), address))
        }
        Event::Diagnostic(Diagnostic::Connected { name, address, .. }) => Some(connection(name, address)),
        _ => event.peer().cloned(),
    }
}

/// Whether the order of two events matters to the reader: they are about the same peer, or about two with one
/// name, such as two runs of one user.
fn is_same(one: &PeerInfo, other: &PeerInfo) -> bool {
    let is_one_place = one.id.is_none() && other.id.is_none() && one.address == other.address;
    one.name == other.name || one.id.is_some() && one.id == other.id || one.address.is_some() && is_one_place
}

/// Cells of the two rows of a list that names cannot use: the time, the indent of the second row, the rest of
/// the first row, and the ellipsis.
const LIST_MARGIN_COLUMNS: usize = 24;

/// A list of at least one name and at most as many as two rows hold, and their count.
fn list(title: &str, names: &[String], columns: usize) -> String {
    let count = if names.len() > 1 { format!(" ({})", names.len()) } else { String::new() };
    let mut sentence = format!("{title}: ");
    let columns_max = (2 * columns).saturating_sub(count.len() + LIST_MARGIN_COLUMNS);
    let mut used = sentence.len();
    for (at, name) in names.iter().enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        used += separator.len() + columns_at_most(&sanitized(name));
        if at > 0 && used > columns_max {
            sentence += ", \u{2026}";
            break;
        }
        sentence += separator;
        sentence += name;
    }
    sentence + &count
}

/// A sentence about several peers, which names at most [`PRESENCE_NAMES_MAX`] of them.
fn change(kind: Kind, names: &[String]) -> String {
    let named = if names.len() <= PRESENCE_NAMES_MAX { names.len() - 1 } else { PRESENCE_NAMES_MAX - 1 };
    let last = match &names[named..] {
        [last] => last.clone(),
        others => format!("{} others", others.len()),
    };
    let people = format!("{} and {last}", names[..named].join(", "));
    match kind {
        Kind::Joined => format!("{people} have joined"),
        Kind::Back => format!("{people} are back"),
        Kind::Left => format!("{people} have left the chat..."),
        Kind::Lost => format!("{people} are lost"),
        Kind::Forgotten => {
            format!("{people} were gone for {} minutes and are forgotten", MEMBER_EXPIRY.as_secs() / 60)
        }
        Kind::Connected => format!("connected to {people}"),
        Kind::Accepted => format!("{people} connected"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;
    use crate::protocol::LostReason;
    use crate::wire::identity::MemberId;

    fn peer(name: &str) -> PeerInfo {
        let id = name.bytes().fold(7, |id, byte| id << 8 | u128::from(byte));
        PeerInfo { name: name.into(), id: Some(MemberId(id)), address: None }
    }

    fn plain(name: &str) -> PeerInfo {
        PeerInfo { name: name.into(), id: None, address: None }
    }

    fn address(port: &str) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port.parse().expect("a port")).into()
    }

    fn message(from: PeerInfo) -> Event {
        let (text, at) = ("hi".to_owned(), None);
        Event::Message { at, from, text, is_past: false, is_private: false }
    }

    fn event(what: &str, name: &str) -> Event {
        let peer = if name.starts_with('~') { plain(name) } else { peer(name) };
        match what {
            "joined" => Event::Joined { peer },
            "back" => Event::Back { peer },
            "left" => Event::Left { peer },
            "lost" => Event::Lost { peer, why: LostReason::Overrun },
            "renamed" => Event::Renamed { peer, before: "x".into() },
            "forgotten" => Event::Diagnostic(Diagnostic::Forgotten { peer }),
            "connected" => Event::Diagnostic(Diagnostic::Connected {
                name: name.into(),
                address: address(name),
                missed: 0,
            }),
            "late" => Event::Diagnostic(Diagnostic::Connected {
                name: name.into(),
                address: address(name),
                missed: 1,
            }),
            "accepted" => Event::Diagnostic(Diagnostic::Accepted { address: address(name) }),
            "plain-said" => message(PeerInfo { name: "nc".into(), id: None, address: Some(address(name)) }),
            _ => message(peer),
        }
    }

    fn shown(event: &Event) -> String {
        let name = subject(event).map_or(String::new(), |peer| peer.to_string());
        match kind(event) {
            Some(kind) => format!("{name} {kind:?}"),
            None if matches!(event, Event::Renamed { .. }) => format!("{name} Renamed"),
            None if matches!(event, Event::Diagnostic(Diagnostic::Connected { .. })) => {
                format!("{name} Late")
            }
            None => format!("{name}: hi"),
        }
    }

    fn collect(presence: &mut Presence, time: u128, lines: &mut Vec<String>) {
        while let Some(line) = presence.poll(40) {
            let line = match line {
                Line::Event(event) => shown(&event),
                Line::Change(sentence) | Line::Summary(sentence) => sentence,
            };
            lines.push(format!("{time} {line}"));
        }
    }

    /// Plays a script of `TIME what NAME…`, in milliseconds, and compares what is shown, each line with
    /// the time at which it was.
    #[track_caller]
    fn check(expects_group: bool, script: &[&str], expected: &[&str]) {
        let start = Instant::now();
        let at = |time: u64| start + Duration::from_millis(time);
        let mut presence = Presence::default();
        if expects_group {
            presence.expect_group();
        }
        let mut lines = Vec::new();
        for step in script {
            let mut words = step.split(' ');
            let time: u64 = words.next().and_then(|time| time.parse().ok()).expect("a time");
            // What was due before that.
            while let Some(deadline) = presence.deadline().filter(|deadline| *deadline < at(time)) {
                presence.handle_time(deadline);
                collect(&mut presence, (deadline - start).as_millis(), &mut lines);
            }
            match words.next().expect("what happened") {
                "all-met" => presence.handle_group_met(),
                "end" => presence.end(),
                "expect" => presence.expect_group(),
                "wait" => (),
                what => {
                    for event in words.map(|name| event(what, name)) {
                        let is_kept = presence.push(&event, at(time));
                        collect(&mut presence, time.into(), &mut lines);
                        lines.extend((!is_kept).then(|| format!("{time} {}", shown(&event))));
                    }
                }
            }
            collect(&mut presence, time.into(), &mut lines);
        }
        assert_eq!(lines, expected, "{script:?}");
    }

    #[test]
    fn without_a_group_every_member_that_joins_is_new() {
        check(true, &["0 all-met", "9000 joined bob"], &["9000 bob Joined"]);
    }

    #[test]
    fn the_first_of_a_kind_is_shown_at_once_and_more_are_one_line() {
        check(
            false,
            &["0 joined bob", "5 joined carol", "1999 joined dave", "9000 joined erin"],
            &["0 bob Joined", "2000 carol and dave have joined", "9000 erin Joined"],
        );
        check(
            false,
            &["0 joined b", "1 joined c d e f g h i j k l m n o p", "5000 wait"],
            &["0 b Joined", "2000 c, d and 12 others have joined"],
        );
        check(
            false,
            &["0 left b c d e", "10 lost f g h", "20 back i j k", "5000 wait"],
            &[
                "0 b Left",
                "10 f Lost",
                "20 i Back",
                "2000 c, d and e have left the chat...",
                "2010 g and h are lost",
                "2020 j and k are back",
            ],
        );
        check(false, &["0 lost b", "1 lost c", "9000 wait"], &["0 b Lost", "2000 c Lost"]);
    }

    #[test]
    fn connections_and_those_forgotten_are_collected_too() {
        check(
            false,
            &["0 connected 1 2 3 4 5", "1 late 6", "2 accepted 7 8 9", "3 forgotten a b c", "9000 wait"],
            &[
                "0 1 Connected",
                "1 6 Late",
                "2 127.0.0.1:7 Accepted",
                "3 a Forgotten",
                "2000 connected to 2, 3 and 2 others",
                "2002 127.0.0.1:8 and 127.0.0.1:9 connected",
                "2003 b and c were gone for 10 minutes and are forgotten",
            ],
        );
        check(
            false,
            &["0 accepted 1 2 3", "1 plain-said 3"],
            &["0 127.0.0.1:1 Accepted", "1 127.0.0.1:2 and 127.0.0.1:3 connected", "1 nc: hi"],
        );
    }

    #[test]
    fn a_steady_stream_is_a_line_in_a_window() {
        check(
            false,
            &["0 joined a", "1500 joined b", "2500 joined c", "3500 joined d", "5500 joined e", "9000 wait"],
            &["0 a Joined", "2000 b Joined", "4000 c and d have joined", "6000 e Joined"],
        );
    }

    #[test]
    fn no_event_of_a_peer_precedes_the_line_that_names_it() {
        check(
            false,
            &["0 joined a", "1 joined b c", "2 said a", "3 said c", "4 said b", "9000 wait"],
            &["0 a Joined", "2 a: hi", "3 b and c have joined", "3 c: hi", "4 b: hi"],
        );
        check(
            false,
            &["0 joined a b", "1 left b", "2 joined b", "3 left a", "4 renamed b", "9000 wait"],
            &["0 a Joined", "1 b Joined", "1 b Left", "4 b Joined", "4 b Renamed", "2001 a Left"],
        );
        check(
            false,
            &["0 joined ~x ~y", "1 said ~y", "9000 wait"],
            &["0 ~x Joined", "1 ~y Joined", "1 ~y: hi"],
        );
    }

    #[test]
    fn runs_that_are_called_alike_come_and_go_in_order() {
        let run = |id: u128| PeerInfo { name: "bot".into(), id: Some(MemberId(id)), address: None };
        let (mut presence, now, mut lines) = (Presence::default(), Instant::now(), Vec::new());
        for id in 0..3 {
            for event in [Event::Joined { peer: run(id) }, Event::Left { peer: run(id) }] {
                let is_kept = presence.push(&event, now);
                collect(&mut presence, 0, &mut lines);
                lines.extend((!is_kept).then(|| format!("0 {}", shown(&event))));
            }
        }
        presence.end();
        collect(&mut presence, 0, &mut lines);
        let (joined, left) = ("0 bot Joined", "0 bot Left");
        assert_eq!(lines, [joined, left, joined, left, joined, left]);
    }

    #[test]
    fn members_of_the_group_are_listed_when_all_are_met_or_in_time() {
        check(true, &["100 joined a", "100 all-met", "500 joined b"], &["100 here: a", "500 b Joined"]);
        check(
            true,
            &["7000 joined a b", "7900 joined c", "9000 joined d e", "9100 all-met", "20000 wait"],
            &["9000 here: a, b, c (3)", "11000 d and e have joined"],
        );
        check(
            true,
            &["0 joined a b", "1 said b", "2 joined c", "3 joined d", "4 all-met", "9000 wait"],
            &["1 here: a, b (2)", "1 b: hi", "4 also here: c, d (2)"],
        );
        // Another peer that leaves meanwhile is shown at once.
        check(true, &["0 joined a b", "1 left b", "2 all-met"], &["1 here: a, b (2)", "1 b Left"]);
        // A plain peer never joins: members that come later were not there before.
        check(true, &["0 said ~x", "9 joined a"], &["0 ~x: hi", "9 a Joined"]);
        check(
            false,
            &["0 joined a", "1 left a", "9000 expect", "9001 joined b", "9002 all-met"],
            &["0 a Joined", "1 a Left", "9002 here: b"],
        );
    }

    #[test]
    fn a_list_takes_two_rows() {
        let names: Vec<String> = (1..=26).map(|number| format!("peer{number}")).collect();
        let shown = list("here", &names, 40);
        assert_eq!(shown, "here: peer1, peer2, peer3, peer4, peer5, peer6, \u{2026} (26)");
        for columns in [1, 20, 40, 80, 300] {
            let shown = list("here", &names, columns);
            assert!(shown.chars().count() <= 2 * columns.max(20), "{columns}: {shown}");
            assert!(shown.starts_with("here: peer1,") && shown.ends_with(" (26)"), "{columns}: {shown}");
        }
        assert!(!list("here", &names, 300).contains('\u{2026}'));
        assert_eq!(list("here", &names[..1], 1), "here: peer1");
    }

    #[test]
    fn nothing_is_kept_once_the_user_leaves() {
        check(
            true,
            &["0 joined a b", "1 lost c d", "2 end", "3 joined e f", "9000 wait"],
            &["1 c Lost", "2 here: a, b (2)", "2 d Lost", "3 e Joined", "3 f Joined"],
        );
    }

    #[test]
    fn names_that_look_alike_are_marked_in_one_line() {
        let (mut presence, now) = (Presence::default(), Instant::now());
        let marked = peer("Carl").name.with_mark("#5332");
        presence.push(&event("joined", "dora"), now);
        presence.push(&event("joined", "carl"), now);
        presence.push(&Event::Joined { peer: PeerInfo { name: marked, ..peer("Carl") } }, now);
        presence.end();
        let Some(Line::Change(line)) = presence.poll(80) else { panic!("a line") };
        let tag = peer("carl").id.expect("a member").to_string()[..4].to_owned();
        assert_eq!(line, format!("carl#{tag} and Carl#5332 have joined"));
    }

    #[test]
    fn the_names_that_are_kept_are_bounded() {
        let mut presence = Presence::default();
        let now = Instant::now();
        for number in 0..2 * MEMBERS_MAX {
            presence.push(&event("joined", &format!("peer{number}")), now);
            assert!(presence.windows.iter().all(|window| window.events.len() < MEMBERS_MAX));
        }
        let Some(Line::Change(line)) = presence.poll(80) else { panic!("a line") };
        assert_eq!(line, format!("peer1, peer2 and {} others have joined", MEMBERS_MAX - 2));
    }
}
