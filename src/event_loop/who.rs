//! What `/who` answers: who is there and how well they are reached, in words, or for scripts.

use std::time::{Duration, Instant};

use super::EventLoop;
use crate::protocol::Who;
use crate::protocol::roster::{Dialler, Participant, Retry, Standing};
use crate::terminal::json;
use crate::terminal::layout::{Size, columns_at_most};

/// Somebody as `/who` shows them.
#[derive(Debug)]
struct Person {
    participant: Participant,
    is_ignored: bool,
}

impl EventLoop {
    /// Shows everybody, or the one who is called `name`.
    ///
    /// # Errors
    ///
    /// That nobody is called so, or that it is not known who is meant.
    pub(super) fn show_who(&mut self, name: Option<&str>, now: Instant) -> Result<(), String> {
        let who = match name {
            Some(name) if self.is_own_name(name) => {
                let lines = [self.own_line(), format!("  id {}", self.peer.id())];
                lines.iter().for_each(|line| self.terminal.reply(line));
                return Ok(());
            }
            Some(name) => Some(self.find_participant(name)?),
            None => None,
        };
        let mut people = self.peer.roster();
        people.retain(|one| who.as_ref().is_none_or(|who| is_same(&one.who, who)));
        if self.terminal.is_json() && !people.is_empty() {
            for one in &people {
                self.terminal.show_member(&one.who, &for_scripts(one, now));
            }
            return Ok(());
        }
        let people = people.into_iter().map(|participant| {
            let is_ignored = self.terminal.ignored().holds(&participant.who);
            Person { participant, is_ignored }
        });
        let people: Vec<Person> = people.collect();
        let lines = match name {
            Some(_) => people.iter().flat_map(|one| details(one, now)).collect(),
            None => {
                let mut lines: Vec<String> =
                    self.terminal.is_interactive().then(|| self.own_line()).into_iter().collect();
                lines.extend(overview(&people, self.terminal.size(), now));
                lines
            }
        };
        lines.iter().for_each(|line| self.terminal.reply(line));
        Ok(())
    }

    /// Who we are. The digits are what others are told apart by where two have one name.
    fn own_line(&self) -> String {
        let tag: String = self.peer.id().to_string().chars().take(TAG_DIGITS).collect();
        format!("you are {} (#{tag}), listening on {}", self.terminal.own_name(), self.peer.address())
    }

    /// Whether nobody but us is called so.
    fn is_own_name(&self, name: &str) -> bool {
        name.to_lowercase() == self.terminal.own_name().to_lowercase() && self.peer.find_named(name).is_err()
    }

    /// Who is called `name`, peers that were not reached among them.
    fn find_participant(&self, name: &str) -> Result<Who, String> {
        let named = self.peer.roster().into_iter().find(|one| *one.who.name == *name);
        match named {
            Some(one) => Ok(one.who),
            None => self.find_named(name),
        }
    }
}

/// What a name is told apart by at least.
const TAG_DIGITS: usize = 4;

/// A longer name moves what stands behind it.
const NAME_COLUMNS: usize = 16;

/// Before each cell of a table.
const CELL_MARGIN_COLUMNS: usize = 2;

fn is_same(one: &Who, other: &Who) -> bool {
    one.id == other.id && one.name == other.name
}

/// Everybody: a line for each, or tables where that is more than the terminal has rows.
fn overview(people: &[Person], size: Option<Size>, now: Instant) -> Vec<String> {
    let (met, told): (Vec<&Person>, Vec<&Person>) =
        people.iter().partition(|one| one.participant.standing != Standing::Unmet);
    let mut lines = list(&met, now);
    if let Some(size) = size {
        let rows: usize = lines.iter().map(|line| columns_at_most(line).div_ceil(size.columns)).sum();
        // Beside them: ourselves, those told of, and the line that is typed.
        if rows + 3 > size.rows {
            lines = tables(&met, size.columns);
        }
    }
    match told.len() {
        0 if met.is_empty() => lines.push("nobody else is here".to_owned()),
        0 => (),
        1 => lines.push("1 more is known to others and not reached yet".to_owned()),
        count => lines.push(format!("{count} more are known to others and not reached yet")),
    }
    lines
}

/// A line for each.
fn list(people: &[&Person], now: Instant) -> Vec<String> {
    let name_columns = |one: &&Person| columns_at_most(&one.participant.who.to_string());
    let width = people.iter().map(name_columns).max().unwrap_or(0).min(NAME_COLUMNS);
    let line = |one: &&Person| {
        let padding = " ".repeat(width.saturating_sub(name_columns(one)));
        let participant = &one.participant;
        let mut line = format!("{}{padding}  {}", participant.who, state(participant, false, now));
        match participant.who.address.map(|address| address.to_string()) {
            Some(address) if participant.standing != Standing::Named => line += &format!(", at {address}"),
            _ => (),
        }
        line + if one.is_ignored { ", ignored" } else { "" }
    };
    people.iter().map(line).collect()
}

/// The names of those who are in the same state, in columns.
fn tables(people: &[&Person], columns: usize) -> Vec<String> {
    let kinds = [
        ("here", Standing::Here),
        ("plain peers", Standing::Plain),
        ("lost", Standing::Lost),
        ("not reached yet", Standing::Named),
    ];
    let mut lines = Vec::new();
    for (title, standing) in kinds {
        let cells: Vec<String> =
            people.iter().filter(|one| one.participant.standing == standing).map(|one| cell(one)).collect();
        let title = format!("{title} ({}):", cells.len());
        let line = format!("{title} {}", cells.join(", "));
        if cells.is_empty() {
        } else if columns_at_most(&line) <= columns {
            lines.push(line);
        } else {
            lines.push(title);
            lines.extend(table(&cells, columns));
        }
    }
    lines
}

fn cell(one: &Person) -> String {
    let name = one.participant.who.to_string();
    match (one.participant.behind, one.is_ignored) {
        (0, false) => name,
        (0, true) => format!("{name} (ignored)"),
        (behind, false) => format!("{name} ({behind} behind)"),
        (behind, true) => format!("{name} ({behind} behind, ignored)"),
    }
}

/// Cells from top to bottom and then from left to right, in as few rows as fit, each column as wide as its
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

/// Everything that is known of one.
fn details(one: &Person, now: Instant) -> Vec<String> {
    let Person { participant, is_ignored } = one;
    let Participant { who, dialled, .. } = participant;
    let ignored = if *is_ignored { ", ignored" } else { "" };
    let mut lines = vec![format!("{who}: {}{ignored}", state(participant, true, now))];
    let address = who.address.map_or("no known address".to_owned(), |address| format!("at {address}"));
    let dialler = match dialled {
        Some(Dialler::We) => ", dialled by you",
        Some(Dialler::It) => ", dialled you",
        None => "",
    };
    lines.push(format!("  {address}{dialler}"));
    lines.extend(who.id.map(|id| format!("  id {id}")));
    lines
}

/// How well somebody is reached.
fn state(one: &Participant, is_long: bool, now: Instant) -> String {
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
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    // Two of a unit at least, for a number that says something.
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
    use crate::protocol::Label;
    use crate::protocol::peer_frame::Word;

    fn person(name: &str, standing: Standing, now: Instant) -> Person {
        let has_id = !matches!(standing, Standing::Plain | Standing::Named);
        let id = has_id.then(|| Word(name.bytes().fold(1, |id, byte| id << 8 | u128::from(byte))));
        let name = if standing == Standing::Named { Label::of_place(name) } else { name.into() };
        let who = Who { name, id, address: "192.168.1.9:5000".parse().ok() };
        let dialled = matches!(standing, Standing::Here | Standing::Plain).then_some(Dialler::It);
        let is_met = !matches!(standing, Standing::Unmet | Standing::Named);
        let since = is_met.then(|| now - Duration::from_secs(125));
        let retry = dialled.is_none().then(|| Retry::At(now + Duration::from_millis(3001)));
        Person {
            participant: Participant { who, standing, dialled, since, behind: 0, retry },
            is_ignored: false,
        }
    }

    #[test]
    fn everybody_has_a_line_in_words() {
        let now = Instant::now() + Duration::from_secs(1_000);
        let mut people = vec![
            person("bob", Standing::Here, now),
            person("carol", Standing::Here, now),
            person("dave", Standing::Here, now),
            person("erin", Standing::Lost, now),
            person("frank", Standing::Lost, now),
            person("nc", Standing::Plain, now),
            person("host:5000", Standing::Named, now),
            person("grace", Standing::Unmet, now),
        ];
        people[1].participant.behind = 3;
        people[2].participant.behind = 1;
        people[2].is_ignored = true;
        people[4].participant.retry = Some(Retry::Now);
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
        assert_eq!(overview(&people, None, now), expected);
        assert_eq!(overview(&people, Some(Size::new(80, 24)), now), expected);
        assert_eq!(overview(&[], None, now), ["nobody else is here"]);
        people.extend(["a", "b"].map(|name| person(name, Standing::Unmet, now)));
        let last = "3 more are known to others and not reached yet";
        assert_eq!(overview(&people, None, now).last().map(String::as_str), Some(last));
        // On a screen with too few rows.
        assert_eq!(
            overview(&people, Some(Size::new(80, 9)), now),
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
        let mut people: Vec<Person> =
            (1..=26).map(|number| person(&format!("peer{number}"), Standing::Here, now)).collect();
        assert_eq!(overview(&people, Some(Size::new(80, 29)), now).len(), 26);
        people[25].participant.standing = Standing::Lost;
        assert_eq!(
            overview(&people, Some(Size::new(40, 10)), now),
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
            people[3].participant.who.name = "\u{65e5}\u{672c}".into();
            for line in overview(&people, Some(Size::new(columns, 10)), now) {
                assert!(columns_at_most(&line) <= columns.max(16), "{columns}: {line}");
            }
        }
        people[3].participant.who.name = "x".repeat(64).into();
        let lines = overview(&people, Some(Size::new(40, 10)), now);
        assert!(lines.len() <= 27, "{lines:#?}");
        people[3].participant.who.name = "peer4".into();
        people[3].participant.behind = 1_000;
        let lines = overview(&people, Some(Size::new(80, 10)), now);
        assert_eq!(lines[1], "  peer1                peer5  peer9   peer13  peer17  peer21  peer25");
        assert_eq!(lines[4], "  peer4 (1000 behind)  peer8  peer12  peer16  peer20  peer24");
    }

    #[test]
    fn hundreds_take_no_time_and_few_rows() {
        let now = Instant::now() + Duration::from_secs(1_000);
        let people: Vec<Person> =
            (1..=300).map(|number| person(&format!("peer{number}"), Standing::Here, now)).collect();
        let lines = overview(&people, Some(Size::new(80, 24)), now);
        assert_eq!(lines.len(), 1 + 300_usize.div_ceil(9), "{lines:#?}");
        assert!(lines.iter().all(|line| columns_at_most(line) <= 80), "{lines:#?}");
        assert!(people.iter().all(|one| {
            let name = &*one.participant.who.name;
            lines.iter().flat_map(|line| line.split_whitespace()).filter(|word| *word == name).count() == 1
        }));
    }

    #[test]
    fn one_is_shown_with_all_that_is_known() {
        let now = Instant::now() + Duration::from_secs(1_000);
        let id = Word(0x01_62_6f_62);
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
    fn durations_are_in_units_that_say_something() {
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
