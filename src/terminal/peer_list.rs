//! The text of `/who`: the peers and the state of their connections.

use std::time::{Duration, Instant};

use super::layout::{Size, columns_at_most};
use crate::protocol::roster::{Dialler, Retry, RosterEntry, Standing};
use crate::sanitize::sanitized;

/// A peer as `/who` shows it.
#[derive(Debug)]
pub(super) struct ShownEntry {
    pub(super) entry: RosterEntry,
    pub(super) is_ignored: bool,
}

/// Width of the column of names, in cells; a longer name shifts the rest of its row.
const NAME_COLUMNS: usize = 16;

/// Blank cells before each column of a table.
const CELL_MARGIN_COLUMNS: usize = 2;

/// All peers: one line each, or tables where the lines exceed the rows of the terminal.
pub(super) fn overview(entries: &[ShownEntry], size: Option<Size>, now: Instant) -> Vec<String> {
    let (met, unmet): (Vec<&ShownEntry>, Vec<&ShownEntry>) =
        entries.iter().partition(|one| one.entry.standing != Standing::Unmet);
    let mut lines = list(&met, now);
    if let Some(size) = size {
        let rows: usize = lines.iter().map(|line| columns_at_most(line).div_ceil(size.columns)).sum();
        // Three more rows: the user's own line, the count of unmet members, and the prompt.
        if rows + 3 > size.rows {
            lines = tables(&met, size.columns);
        }
    }
    match unmet.len() {
        0 if met.is_empty() => lines.push("nobody else is here".to_owned()),
        0 => (),
        1 => lines.push("1 more is known to others and not reached yet".to_owned()),
        count => lines.push(format!("{count} more are known to others and not reached yet")),
    }
    lines
}

/// One line for each peer.
fn list(entries: &[&ShownEntry], now: Instant) -> Vec<String> {
    let name_columns = |one: &&ShownEntry| columns_at_most(&shown_name(one));
    let width = entries.iter().map(name_columns).max().unwrap_or(0).min(NAME_COLUMNS);
    let line = |one: &&ShownEntry| {
        let padding = " ".repeat(width.saturating_sub(name_columns(one)));
        let entry = &one.entry;
        let mut line = format!("{}{padding}  {}", shown_name(one), state(entry, false, now));
        match entry.peer.address.map(|address| address.to_string()) {
            Some(address) if entry.standing != Standing::Named => line += &format!(", at {address}"),
            _ => (),
        }
        line + if one.is_ignored { ", ignored" } else { "" }
    };
    entries.iter().map(line).collect()
}

/// The name of a peer as the terminal shows it, which decides how wide it is.
fn shown_name(one: &ShownEntry) -> String {
    sanitized(&one.entry.peer.to_string())
}

/// The names of the peers in columns, grouped by state.
fn tables(entries: &[&ShownEntry], columns: usize) -> Vec<String> {
    let kinds = [
        ("here", Standing::Here),
        ("plain peers", Standing::Plain),
        ("lost", Standing::Lost),
        ("not reached yet", Standing::Named),
    ];
    let mut lines = Vec::new();
    for (title, standing) in kinds {
        let cells: Vec<String> =
            entries.iter().filter(|one| one.entry.standing == standing).map(|one| cell(one)).collect();
        let title = format!("{title} ({}):", cells.len());
        let line = format!("{title} {}", cells.join(", "));
        if cells.is_empty() {
        } else if columns_at_most(&line) <= columns {
            lines.push(line);
        } else {
            // A name too long for one of two columns would leave only one for all.
            let is_short = |cell: &String| columns_at_most(cell) + CELL_MARGIN_COLUMNS <= columns / 2;
            let (short, long): (Vec<_>, Vec<_>) = cells.into_iter().partition(is_short);
            lines.push(title);
            let tables = [short, long];
            lines.extend(
                tables.iter().filter(|cells| !cells.is_empty()).flat_map(|cells| table(cells, columns)),
            );
        }
    }
    lines
}

fn cell(one: &ShownEntry) -> String {
    let name = shown_name(one);
    match (one.entry.behind, one.is_ignored) {
        (0, false) => name,
        (0, true) => format!("{name} (ignored)"),
        (behind, false) => format!("{name} ({behind} behind)"),
        (behind, true) => format!("{name} ({behind} behind, ignored)"),
    }
}

/// Arranges cells in columns, filled from top to bottom, in as few rows as fit. Each column is as wide as its
/// widest cell.
fn table(cells: &[String], columns: usize) -> Vec<String> {
    let widths: Vec<usize> = cells.iter().map(|cell| columns_at_most(cell) + CELL_MARGIN_COLUMNS).collect();
    let widths_of = |rows: usize| widths.chunks(rows).map(|column| column.iter().copied().max().unwrap_or(0));
    let count_max = cells.len().min(columns / (CELL_MARGIN_COLUMNS + 1));
    let counts = (1..=count_max).map(|count| cells.len().div_ceil(count));
    let rows = counts.rev().find(|rows| widths_of(*rows).sum::<usize>() <= columns).unwrap_or(cells.len());
    let column_widths: Vec<usize> = widths_of(rows).collect();
    let row = |row: usize| {
        let mut line = String::new();
        let (mut used, mut start) = (0, 0);
        for (column, at) in (row..cells.len()).step_by(rows).enumerate() {
            line += &" ".repeat(start - used + CELL_MARGIN_COLUMNS);
            line += &cells[at];
            used = start + widths[at];
            start += column_widths[column];
        }
        line
    };
    (0..rows).map(row).collect()
}

/// The lines of `/who NAME`.
pub(super) fn details(one: &ShownEntry, now: Instant) -> Vec<String> {
    let ShownEntry { entry, is_ignored } = one;
    let RosterEntry { peer, dialled, .. } = entry;
    let ignored = if *is_ignored { ", ignored" } else { "" };
    let mut lines = vec![format!("{peer}: {}{ignored}", state(entry, true, now))];
    let address = peer.address.map_or("no known address".to_owned(), |address| format!("at {address}"));
    let dialler = match dialled {
        Some(Dialler::We) => ", dialled by you",
        Some(Dialler::It) => ", dialled you",
        None => "",
    };
    lines.push(format!("  {address}{dialler}"));
    lines.extend(peer.id.map(|id| format!("  id {id}")));
    lines
}

/// The state of the connection to a peer.
fn state(one: &RosterEntry, is_long: bool, now: Instant) -> String {
    let time = one.since.map(|since| duration(now.saturating_duration_since(since)));
    let time = time.map_or(String::new(), |time| format!(" {time}"));
    let mut words = match one.standing {
        Standing::Here => format!("connected{time}"),
        Standing::Plain => format!("plain peer, connected{time}"),
        Standing::Lost if is_long => format!("lost{time} ago"),
        Standing::Lost => "lost".to_owned(),
        Standing::Unmet => "known to others and not reached yet".to_owned(),
        Standing::Named => "not reached yet".to_owned(),
    };
    words += &match &one.retry {
        Some(Retry::Now) => ", trying now".to_owned(),
        Some(Retry::At(at)) => format!(", trying again in {} s", seconds_until(*at, now)),
        None => String::new(),
    };
    words += &match (one.standing, one.behind) {
        (Standing::Here | Standing::Plain, 0) if is_long => ", has all your messages".to_owned(),
        (_, 0) => String::new(),
        (_, 1) => ", 1 message behind".to_owned(),
        (_, behind) => format!(", {behind} messages behind"),
    };
    words
}

/// The whole seconds until `at`, rounded up, so that a future time is never 0 s away.
pub(super) fn seconds_until(at: Instant, now: Instant) -> u64 {
    at.saturating_duration_since(now).as_millis().div_ceil(1000) as u64
}

/// A duration in its largest unit of which it holds at least two.
fn duration(time: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;

    match time.as_secs() {
        seconds if seconds < 2 * MINUTE => format!("{seconds} s"),
        seconds if seconds < 2 * HOUR => format!("{} min", seconds / MINUTE),
        seconds if seconds < 2 * DAY => format!("{} h", seconds / HOUR),
        seconds => format!("{} days", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Label, PeerInfo};
    use crate::wire::identity::MemberId;

    fn person(name: &str, standing: Standing, now: Instant) -> ShownEntry {
        let has_id = !matches!(standing, Standing::Plain | Standing::Named);
        let id = has_id.then(|| MemberId(name.bytes().fold(1, |id, byte| id << 8 | u128::from(byte))));
        let name = if standing == Standing::Named { Label::of_place(name) } else { name.into() };
        let peer = PeerInfo { name, id, address: "192.168.1.9:5000".parse().ok() };
        let dialled = matches!(standing, Standing::Here | Standing::Plain).then_some(Dialler::It);
        let is_met = !matches!(standing, Standing::Unmet | Standing::Named);
        let since = is_met.then(|| now - Duration::from_secs(125));
        let retry = dialled.is_none().then(|| Retry::At(now + Duration::from_millis(3001)));
        ShownEntry {
            entry: RosterEntry { peer, standing, dialled, since, behind: 0, retry },
            is_ignored: false,
        }
    }

    #[test]
    fn every_peer_has_a_line() {
        let now = Instant::now() + Duration::from_secs(1_000);
        let mut entries = vec![
            person("bob", Standing::Here, now),
            person("carol", Standing::Here, now),
            person("dave", Standing::Here, now),
            person("erin", Standing::Lost, now),
            person("frank", Standing::Lost, now),
            person("nc", Standing::Plain, now),
            person("host:5000", Standing::Named, now),
            person("grace", Standing::Unmet, now),
        ];
        entries[1].entry.behind = 3;
        entries[2].entry.behind = 1;
        entries[2].is_ignored = true;
        entries[4].entry.retry = Some(Retry::Now);
        let expected = [
            "bob        connected 2 min, at 192.168.1.9:5000",
            "carol      connected 2 min, 3 messages behind, at 192.168.1.9:5000",
            "dave       connected 2 min, 1 message behind, at 192.168.1.9:5000, ignored",
            "erin       lost, trying again in 4 s, at 192.168.1.9:5000",
            "frank      lost, trying now, at 192.168.1.9:5000",
            "nc         plain peer, connected 2 min, at 192.168.1.9:5000",
            "host:5000  not reached yet, trying again in 4 s",
            "1 more is known to others and not reached yet",
        ];
        assert_eq!(overview(&entries, None, now), expected);
        assert_eq!(overview(&entries, Some(Size::new(80, 24)), now), expected);
        assert_eq!(overview(&[], None, now), ["nobody else is here"]);
        entries.extend(["a", "b"].map(|name| person(name, Standing::Unmet, now)));
        let last = "3 more are known to others and not reached yet";
        assert_eq!(overview(&entries, None, now).last().map(String::as_str), Some(last));
        // On a screen with too few rows.
        assert_eq!(
            overview(&entries, Some(Size::new(80, 9)), now),
            [
                "here (3): bob, carol (3 behind), dave (1 behind, ignored)",
                "plain peers (1): nc",
                "lost (2): erin, frank",
                "not reached yet (1): host:5000",
                last,
            ]
        );
    }

    #[test]
    fn a_crowd_is_shown_in_columns() {
        let now = Instant::now() + Duration::from_secs(1_000);
        let mut entries: Vec<ShownEntry> =
            (1..=26).map(|number| person(&format!("peer{number}"), Standing::Here, now)).collect();
        assert_eq!(overview(&entries, Some(Size::new(80, 29)), now).len(), 26);
        entries[25].entry.standing = Standing::Lost;
        assert_eq!(
            overview(&entries, Some(Size::new(40, 10)), now),
            [
                "here (25):",
                "  peer1  peer6   peer11  peer16  peer21",
                "  peer2  peer7   peer12  peer17  peer22",
                "  peer3  peer8   peer13  peer18  peer23",
                "  peer4  peer9   peer14  peer19  peer24",
                "  peer5  peer10  peer15  peer20  peer25",
                "lost (1): peer26",
            ]
        );
        // No row is longer than the screen is wide, unless a name alone is.
        for columns in [1, 7, 8, 20, 40, 80, 200] {
            entries[3].entry.peer.name = "\u{65e5}\u{672c}".into();
            for line in overview(&entries, Some(Size::new(columns, 10)), now) {
                assert!(columns_at_most(&line) <= columns.max(16), "{columns}: {line}");
            }
        }
        entries[3].entry.peer.name = "x".repeat(64).into();
        let lines = overview(&entries, Some(Size::new(40, 10)), now);
        // The other 24 still stand in five columns.
        assert_eq!(lines.len(), 1 + 5 + 1 + 1, "{lines:#?}");
        entries[3].entry.peer.name = "peer4".into();
        entries[3].entry.behind = 1_000;
        let lines = overview(&entries, Some(Size::new(80, 10)), now);
        assert_eq!(lines[1], "  peer1                peer5  peer9   peer13  peer17  peer21  peer25");
        assert_eq!(lines[4], "  peer4 (1000 behind)  peer8  peer12  peer16  peer20  peer24");
    }

    #[test]
    fn columns_are_straight_whatever_names_hold() {
        let now = Instant::now() + Duration::from_secs(1_000);
        let names = [
            "bob",
            "a\x07b",
            "a\x1b[2Jb",
            "a\tb",
            "a\u{9b}b",
            "a\u{202e}b",
            "a\u{2028}b",
            "a\u{200b}b",
            "a\u{3164}b",
            "\u{115f}\u{1160}ab",
            "a\u{ad}\u{feff}b",
            "a\u{e0041}b",
            "e\u{301}\u{65e5}",
        ];
        let entries: Vec<ShownEntry> = names.iter().map(|name| person(name, Standing::Here, now)).collect();
        let column_of = |line: &str, word: &str| {
            let line = sanitized(line);
            line.find(word).map(|at| columns_at_most(&line[..at]))
        };
        let lines = overview(&entries, None, now);
        let first = column_of(&lines[0], "connected");
        assert!(lines.iter().all(|line| column_of(line, "connected") == first), "{lines:#?}");
        // In columns, each name beside one that is plain.
        for name in names {
            let mut entries: Vec<ShownEntry> =
                (1..=8).map(|number| person(&format!("peer{number}"), Standing::Here, now)).collect();
            entries[0] = person(name, Standing::Here, now);
            let lines = overview(&entries, Some(Size::new(24, 4)), now);
            let last_columns = [&lines[1], &lines[2]]
                .map(|line| column_of(line, line.rsplit(' ').next().unwrap_or_default()));
            assert_eq!(last_columns[0], last_columns[1], "{lines:#?}");
            assert!(last_columns[0] > Some(2), "{lines:#?}");
        }
    }

    #[test]
    fn hundreds_take_no_time_and_few_rows() {
        let now = Instant::now() + Duration::from_secs(1_000);
        let entries: Vec<ShownEntry> =
            (1..=300).map(|number| person(&format!("peer{number}"), Standing::Here, now)).collect();
        let lines = overview(&entries, Some(Size::new(80, 24)), now);
        assert_eq!(lines.len(), 1 + 300_usize.div_ceil(9), "{lines:#?}");
        assert!(lines.iter().all(|line| columns_at_most(line) <= 80), "{lines:#?}");
        assert!(entries.iter().all(|one| {
            let name = &*one.entry.peer.name;
            lines.iter().flat_map(|line| line.split_whitespace()).filter(|word| *word == name).count() == 1
        }));
    }

    #[test]
    fn the_details_of_a_peer_are_complete() {
        let now = Instant::now() + Duration::from_secs(1_000);
        let id = MemberId(0x01_62_6f_62);
        let check = |standing, expected: &[&str]| {
            let mut lines = details(&person("bob", standing, now), now);
            lines.iter_mut().for_each(|line| *line = line.replace(&id.to_string(), "ID"));
            assert_eq!(lines, expected);
        };
        check(
            Standing::Here,
            &["bob: connected 2 min, has all your messages", "  at 192.168.1.9:5000, dialled you", "  id ID"],
        );
        check(
            Standing::Lost,
            &["bob: lost 2 min ago, trying again in 4 s", "  at 192.168.1.9:5000", "  id ID"],
        );
        check(
            Standing::Plain,
            &[
                "bob: plain peer, connected 2 min, has all your messages",
                "  at 192.168.1.9:5000, dialled you",
            ],
        );
    }

    #[test]
    fn durations_are_in_readable_units() {
        for (seconds, expected) in [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), expected);
        }
    }
}
