//! Local times and time formats.

use chrono::format::{Item, StrftimeItems};
use chrono::{
    DateTime, Days, FixedOffset, Local, NaiveDate, NaiveDateTime, SecondsFormat, TimeZone as _, Timelike as _,
};

use crate::limits::TIME_FORMAT_BYTES_MAX;
use crate::sanitize::is_clean;
use crate::wire::message::Timestamp;

/// Converts a time to the local time zone. A time without an offset is taken as local already.
#[must_use]
pub fn local(at: Timestamp) -> DateTime<FixedOffset> {
    match at {
        Timestamp::Zoned(at) => at.with_timezone(&Local).fixed_offset(),
        Timestamp::Local(at) => of_zone(&Local, at),
    }
}

/// Adds the offset of a time zone to a local time. An ambiguous time (in autumn) is the earlier of the two; a
/// time that does not exist (in spring) gets the offset from before the gap.
fn of_zone<Zone: chrono::TimeZone>(zone: &Zone, at: NaiveDateTime) -> DateTime<FixedOffset> {
    use chrono::Offset as _;
    // Which of the two chrono calls the earlier one depends on how the zone is described.
    let times = zone.from_local_datetime(&at);
    let earliest = [times.clone().earliest(), times.latest()].into_iter().flatten().min();
    if let Some(at) = earliest {
        return at.fixed_offset();
    }
    // No gap is longer than a day, which some zones skipped by crossing the date line.
    let day_before = at.checked_sub_days(Days::new(1)).unwrap_or(at);
    let offset = zone.offset_from_utc_datetime(&day_before).fix();
    offset.from_local_datetime(&at).single().unwrap_or_else(|| at.and_utc().fixed_offset())
}

/// Formats a time as RFC 3339. Second 60, which most parsers refuse, becomes the last microsecond of second
/// 59.
#[must_use]
pub fn rfc3339(at: DateTime<FixedOffset>) -> String {
    const LAST_NANOSECOND: u32 = 999_999_999;
    let at = at.with_nanosecond(at.nanosecond().min(LAST_NANOSECOND)).unwrap_or(at);
    at.to_rfc3339_opts(SecondsFormat::Micros, false)
}

/// A strftime format that was checked to work for every time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeFormat {
    items: Vec<Item<'static>>,
    has_date: bool,
    has_fraction: bool,
}

impl TimeFormat {
    /// Parses a format in chrono's strftime syntax.
    ///
    /// # Errors
    ///
    /// A sentence with the reason and an example.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() > TIME_FORMAT_BYTES_MAX {
            return Err(format!(
                "a format has at most {TIME_FORMAT_BYTES_MAX} bytes, and this has {}; write for example %H:%M",
                text.len()
            ));
        }
        let Some(format) = Self::read(text) else {
            return Err(format!(
                "this program knows no {}; write for example %H:%M or %Y-%m-%d %H:%M:%S, and %% for a percent sign",
                unknown_part(text)
            ));
        };
        for at in samples() {
            let written = format.written(at).unwrap_or_default();
            if written.trim().is_empty() {
                return Err("it shows nothing; write for example %H:%M".to_owned());
            }
            if !is_clean(&written) {
                return Err("it holds a line break, a tab or another character that cannot be seen within a line; write blanks instead".to_owned());
            }
        }
        let differ = |one, other| format.written(one) != format.written(other);
        // A weekday repeats after seven days, and a day of the month after 31; a month, year or week does not
        // change after one.
        let has_date = [1, 7, 31].into_iter().all(|days| differ(sample(0, 0), sample(days, 0)));
        let has_fraction = differ(sample(0, 0), sample(0, 1));
        Ok(Self { has_date, has_fraction, ..format })
    }

    /// Parses a format that chrono can also write; some it only parses (`%#z`).
    fn read(text: &str) -> Option<Self> {
        let items = StrftimeItems::new(text).parse_to_owned().ok()?;
        let format = Self { items, has_date: false, has_fraction: false };
        format.written(sample(0, 0)).is_some().then_some(format)
    }

    /// Whether the format includes the date.
    #[must_use]
    pub fn has_date(&self) -> bool {
        self.has_date
    }

    /// Whether the format includes fractions of a second.
    #[must_use]
    pub fn has_fraction(&self) -> bool {
        self.has_fraction
    }

    /// Hours and minutes, for live output.
    #[must_use]
    pub fn clock() -> Self {
        Self::known("%H:%M", false)
    }

    /// Date and time, for output that is read later.
    #[must_use]
    pub fn date_and_time() -> Self {
        Self::known("%Y-%m-%d %H:%M:%S", true)
    }

    fn known(text: &'static str, has_date: bool) -> Self {
        Self { items: StrftimeItems::new(text).map(Item::to_owned).collect(), has_date, has_fraction: false }
    }

    /// Appends a time.
    pub fn push(&self, at: DateTime<FixedOffset>, out: &mut Vec<u8>) {
        // A checked format works for every time.
        out.extend_from_slice(self.written(at).unwrap_or_default().as_bytes());
    }

    fn written(&self, at: DateTime<FixedOffset>) -> Option<String> {
        let mut text = String::new();
        // `write_to` returns an error where `to_string` would panic.
        at.format_with_items(self.items.iter()).write_to(&mut text).ok()?;
        Some(text)
    }
}

/// A time so many days and nanoseconds after a fixed one in the middle of a week, month and year.
fn sample(days: u64, nanosecond: u32) -> DateTime<FixedOffset> {
    let day = NaiveDate::from_ymd_opt(2026, 7, 15).and_then(|day| day.checked_add_days(Days::new(days)));
    let time = day.and_then(|day| day.and_hms_nano_opt(10, 11, 12, nanosecond));
    time.unwrap_or_default().and_utc().fixed_offset()
}

/// Times of every kind, for checking a format: the years 0 and 9999 and their neighbours, into which a time
/// zone may shift a time; midnight and noon; leap seconds; offsets of every form.
fn samples() -> impl Iterator<Item = DateTime<FixedOffset>> {
    let years = [-1, 0, 1, 99, 1970, 2026, 9999, 10_000];
    let times = [(0, 0, 0, 0), (12, 30, 0, 500_000_000), (23, 59, 59, 1_999_999_999)];
    let offsets = [0, 14 * 3600, -12 * 3600, 5 * 3600 + 1800, 1172, -1, 86_399, -86_399];
    let naive = years.into_iter().flat_map(move |year| {
        times.into_iter().filter_map(move |(hour, minute, second, nanosecond)| {
            NaiveDate::from_ymd_opt(year, 12, 31)?.and_hms_nano_opt(hour, minute, second, nanosecond)
        })
    });
    naive.flat_map(move |naive| {
        let zones = offsets.into_iter().filter_map(FixedOffset::east_opt);
        zones.map(move |zone| zone.from_utc_datetime(&naive))
    })
}

/// The first unknown conversion in a format, from its percent sign on.
fn unknown_part(text: &str) -> String {
    /// The longest known conversion is `%:::z`.
    const PART_CHARS_MAX: usize = 5;
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        rest = &rest[at..];
        let mut ends = rest.char_indices().map(|(at, char)| at + char.len_utf8()).take(PART_CHARS_MAX);
        let Some(end) = ends.find(|&end| TimeFormat::read(&rest[..end]).is_some()) else { break };
        rest = &rest[end..];
    }
    // Flags, digits and modifiers, and the letter after them.
    let flags =
        rest.chars().skip(1).take_while(|char| "-_0#:.EO".contains(*char) || char.is_ascii_digit()).count();
    match rest.chars().nth(flags + 1) {
        Some(_) => rest.chars().take(flags + 2).collect(),
        None => format!("{rest} at its end"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::MappedLocalTime;
    use proptest::prelude::*;

    use super::*;

    /// Everything that chrono reads behind a percent sign, and what it refuses.
    const PARTS: &[&str] = &[
        "%A", "%B", "%C", "%D", "%F", "%G", "%H", "%I", "%M", "%P", "%R", "%S", "%T", "%U", "%V", "%W", "%X",
        "%Y", "%Z", "%a", "%b", "%c", "%d", "%e", "%f", "%g", "%h", "%j", "%k", "%l", "%m", "%n", "%p", "%q",
        "%r", "%s", "%t", "%u", "%v", "%w", "%x", "%y", "%z", "%+", "%:z", "%::z", "%:::z", "%#z", "%.f",
        "%.3f", "%.6f", "%.9f", "%3f", "%6f", "%9f", "%%", "%-d", "%_H", "%0e", "%-Y", "%_s", "%-f", "%_C",
        "%-G", "%Q", "%E", "%O", "%9999f", "%10d", "%", "%-", "%:", "%.", "%_A", " ", "T", ":", "\u{e9}",
        "\u{202e}", "\u{ad}", "]",
    ];

    fn part() -> impl Strategy<Value = String> {
        prop_oneof![
            6 => prop::sample::select(PARTS).prop_map(str::to_owned),
            1 => "%[-_0#:.]?[0-9]{0,4}[A-Za-z+%]",
            1 => any::<char>().prop_map(|char| char.to_string()),
        ]
    }

    fn time() -> impl Strategy<Value = Timestamp> {
        let second =
            NaiveDate::from_ymd_opt(0, 1, 1).expect("a day").and_time(chrono::NaiveTime::MIN).and_utc();
        let last =
            NaiveDate::from_ymd_opt(9999, 12, 31).expect("a day").and_hms_opt(23, 59, 59).expect("a time");
        let seconds = second.timestamp()..=last.and_utc().timestamp();
        (seconds, 0..2_000_000_000_u32, prop::option::of(-86_399..=86_399)).prop_map(
            |(second, nanosecond, offset)| {
                let naive = DateTime::from_timestamp(second, 0).expect("a time").naive_utc();
                let naive = if nanosecond < 1_000_000_000 || naive.second() == 59 {
                    naive.with_nanosecond(nanosecond).unwrap_or(naive)
                } else {
                    naive
                };
                match offset.and_then(FixedOffset::east_opt) {
                    Some(offset) => Timestamp::Zoned(offset.from_utc_datetime(&naive)),
                    None => Timestamp::Local(naive),
                }
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

        #[test]
        fn what_is_accepted_works_for_every_time(parts in prop::collection::vec(part(), 0..6), at in time()) {
            if let Ok(format) = TimeFormat::new(&parts.concat()) {
                let mut written = Vec::new();
                format.push(local(at), &mut written);
                let written = String::from_utf8(written).expect("characters");
                prop_assert!(!written.trim().is_empty());
                prop_assert!(is_clean(&written));
            }
            let time = rfc3339(local(at));
            prop_assert!(DateTime::parse_from_rfc3339(&time).is_ok() || !(1..9999).contains(&chrono::Datelike::year(&local(at))), "{}", time);
            prop_assert!(!time.contains(":60"));
        }
    }

    #[test]
    fn what_cannot_be_written_is_refused_with_what_to_do() {
        #[track_caller]
        fn check(format: &str, expected: &str) {
            let why = TimeFormat::new(format).expect_err("refused");
            assert!(why.starts_with(expected), "{why}");
        }
        check("%H:%Q", "this program knows no %Q; write for example %H:%M");
        check("%%%H %9999f", "this program knows no %9999f;");
        check("%H%", "this program knows no % at its end;");
        check("%H %-", "this program knows no %- at its end;");
        check("%:::z %#z", "this program knows no %#z;");
        check("%Ey", "this program knows no %Ey;");
        check("%H %Od", "this program knows no %Od;");
        check("%E", "this program knows no %E at its end;");
        check(&"%H:%M ".repeat(40), "a format has at most 200 bytes, and this has 240;");
        check("%_A", "this program knows no %_A;");
        check("%\u{e9}", "this program knows no %\u{e9};");
        for empty in ["", "  ", "%.f"] {
            check(empty, "it shows nothing; write");
        }
        for hidden in ["%H%n%M", "%H%t%M", "%H\u{202e}%M", "\x1b[31m%H", "%H\u{ad}"] {
            check(hidden, "it holds a line break");
        }
    }

    #[test]
    fn a_format_knows_its_parts() {
        #[track_caller]
        fn check(format: &str, has_date: bool, has_fraction: bool) {
            let format = TimeFormat::new(format).expect("a format");
            assert_eq!((format.has_date(), format.has_fraction()), (has_date, has_fraction));
        }
        for format in [
            "%Y-%m-%d %H:%M:%S",
            "%F %T",
            "%d.%m. %R",
            "%c",
            "%D %R",
            "%j %H",
            "%s",
            "%v",
            "%V %u %R",
            "%e %b %R",
        ] {
            check(format, true, false);
        }
        check("%+", true, true);
        assert_eq!(TimeFormat::new("%H:%M"), Ok(TimeFormat::clock()));
        assert_eq!(TimeFormat::new("%Y-%m-%d %H:%M:%S"), Ok(TimeFormat::date_and_time()));
        for format in [
            "%H:%M",
            "%I:%M %p",
            "%a %H:%M",
            "%A %R",
            "%d. %H:%M",
            "%e %R",
            "%Y %d %R",
            "week %V, %R",
            "%B %Y %R",
            "%T %z",
            "x%%d",
        ] {
            check(format, false, false);
        }
        for format in ["%T%.3f", "%T%.f", "%S.%f", "%9f"] {
            check(format, false, format != "%T%.3f");
        }
    }

    /// A zone whose clock goes from 2:00 to 3:00 on 29 March 2026 and from 3:00 to 2:00 on 25 October, as
    /// that of central Europe, or leaves out 30 December 2011, as that of Samoa.
    #[derive(Clone, Copy, Debug)]
    enum Zone {
        Berlin,
        Apia,
    }

    impl Zone {
        /// From when on, in UTC, which offset holds, in hours.
        fn offsets(self) -> [(&'static str, i32); 3] {
            match self {
                Self::Berlin => {
                    [("1900-01-01T00:00:00", 1), ("2026-03-29T01:00:00", 2), ("2026-10-25T01:00:00", 1)]
                }
                Self::Apia => {
                    [("1900-01-01T00:00:00", -11), ("2011-09-24T14:00:00", -10), ("2011-12-30T10:00:00", 14)]
                }
            }
        }
    }

    impl chrono::TimeZone for Zone {
        type Offset = FixedOffset;

        fn from_offset(_: &FixedOffset) -> Self {
            Self::Berlin
        }

        fn offset_from_local_date(&self, _: &NaiveDate) -> MappedLocalTime<FixedOffset> {
            MappedLocalTime::None
        }

        fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<FixedOffset> {
            let mut offsets = self
                .offsets()
                .map(|(_, hours)| FixedOffset::east_opt(hours * 3600).expect("an offset"))
                .to_vec();
            offsets.retain(|&offset| self.offset_from_utc_datetime(&(*local - offset)) == offset);
            offsets.sort_by_key(|offset| -offset.local_minus_utc());
            offsets.dedup();
            match offsets.as_slice() {
                [] => MappedLocalTime::None,
                [one] => MappedLocalTime::Single(*one),
                // In the wrong order.
                [one, other, ..] => MappedLocalTime::Ambiguous(*other, *one),
            }
        }

        fn offset_from_utc_date(&self, _: &NaiveDate) -> FixedOffset {
            FixedOffset::east_opt(0).expect("an offset")
        }

        fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> FixedOffset {
            let holds = |(from, _): &(&str, i32)| from.parse::<NaiveDateTime>().expect("a time") <= *utc;
            let (_, hours) = self.offsets().into_iter().rfind(holds).expect("a time after 1900");
            FixedOffset::east_opt(hours * 3600).expect("an offset")
        }
    }

    #[test]
    fn local_times_that_do_not_exist_or_exist_twice_are_times() {
        #[track_caller]
        fn check(zone: Zone, at: &str, expected: &str) {
            let time = of_zone(&zone, at.parse().expect("a time"));
            assert_eq!(time.to_rfc3339_opts(SecondsFormat::AutoSi, false), expected);
        }
        check(Zone::Berlin, "2026-07-01T12:00:00", "2026-07-01T12:00:00+02:00");
        check(Zone::Berlin, "2026-03-29T02:30:00", "2026-03-29T02:30:00+01:00");
        check(Zone::Berlin, "2026-10-25T02:30:00", "2026-10-25T02:30:00+02:00");
        check(Zone::Berlin, "2026-12-31T23:59:60", "2026-12-31T23:59:60+01:00");
        check(Zone::Apia, "2011-12-30T12:00:00", "2011-12-30T12:00:00-10:00");
        check(Zone::Apia, "2011-12-30T23:59:59", "2011-12-30T23:59:59-10:00");
        check(Zone::Apia, "2011-12-31T00:00:00", "2011-12-31T00:00:00+14:00");
    }

    #[test]
    fn second_60_is_within_rfc_3339_for_every_reader() {
        let at = DateTime::parse_from_rfc3339("9999-12-31T23:59:60.25+01:00").expect("a time");
        assert_eq!(rfc3339(at), "9999-12-31T23:59:59.999999+01:00");
    }
}
