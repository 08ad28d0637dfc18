//! The log file of the conversation (`--log`): appended lines.
//!
//! If the file is moved away, a new one is created. A full disk is reported once and makes nobody wait. Past
//! messages, which a newcomer receives, are added only if the file does not contain them yet.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::mem;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use chrono::{DateTime, FixedOffset, Local};
use rustix::io::Errno;

use super::format::{Format, Formatter};
use crate::error::reason;
use crate::limits::{LOGFILE_COMPARED_BYTES, LOGFILE_QUEUE_BYTES, LOGFILE_RETRY_INTERVAL};
use crate::protocol::{Event, PeerInfo};

/// A file to which the conversation is appended.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    /// The last lines of the file when it was opened, at most [`LOGFILE_COMPARED_BYTES`].
    last_lines: Lines,
    /// Lines that are not written yet.
    queue: Vec<u8>,
    /// Whether the last write ended within a line.
    is_in_line: bool,
    /// Lines that were dropped since writing failed.
    lost: u64,
    /// Lines that were dropped during earlier failures.
    missing: u64,
    /// After a failure: when to try again.
    retry_at: Option<Instant>,
}

impl LogFile {
    /// Opens a file, or creates one that only its owner may read.
    ///
    /// # Errors
    ///
    /// The error of the system call that failed; a pipe or socket is refused, since its reader could make the
    /// program wait.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        let tail = read_tail(path).unwrap_or_default();
        // An incomplete last line, as after a crash, stays a line of its own.
        let queue = if tail.is_empty() || tail.ends_with(b"\n") { Vec::new() } else { vec![b'\n'] };
        let (path, last_lines) = (path.to_owned(), Lines::new(&tail));
        Ok(Self { path, file, last_lines, queue, is_in_line: false, lost: 0, missing: 0, retry_at: None })
    }

    /// The queue, to append whole lines to.
    pub fn queue(&mut self) -> &mut Vec<u8> {
        &mut self.queue
    }

    /// Whether `line` was among the last lines of the file when it was opened. Each line is found once, so that
    /// the n-th of equal lines is compared with the n-th in the file.
    pub fn find_once(&mut self, line: &[u8]) -> bool {
        if self.last_lines.is_empty() {
            return false;
        }
        if self.is_gone() {
            self.last_lines = Lines::default();
        }
        self.last_lines.take(line)
    }

    /// The error message for the exit, if lines were never written.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let lines = self.missing + self.lost + memchr::memchr_iter(b'\n', &self.queue).count() as u64;
        let path = self.path.display();
        (lines > 0).then(|| format!("cannot record to '{path}': {lines} lines are missing there"))
    }

    /// When [`flush`](Self::flush) tries again after a failure.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.retry_at.filter(|_| !self.queue.is_empty())
    }

    /// Writes the queue. Returns a diagnostic when writing starts to fail, or works again. Meanwhile, at most
    /// [`LOGFILE_QUEUE_BYTES`] of lines are kept.
    pub fn flush(&mut self, now: Instant) -> Option<String> {
        if self.queue.is_empty() || self.retry_at.is_some_and(|at| now < at) {
            self.forget_surplus();
            return None;
        }
        let path = self.path.display().to_string();
        match self.write() {
            Ok(()) => {
                let had_failed = self.retry_at.take().is_some();
                let lost = mem::take(&mut self.lost);
                self.missing += lost;
                had_failed.then(|| match lost {
                    0 => format!("recording to '{path}' again; nothing is missing there"),
                    _ => format!("recording to '{path}' again; {lost} lines are missing there"),
                })
            }
            Err(error) => {
                let had_failed = self.retry_at.replace(now + LOGFILE_RETRY_INTERVAL).is_some();
                self.forget_surplus();
                let why = reason(&error);
                (!had_failed).then(|| format!("cannot record to '{path}': {why}; tried again until it works"))
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.is_gone() {
            self.file = open(&self.path)?;
            self.is_in_line = false;
        }
        while !self.queue.is_empty() {
            match self.file.write(&self.queue) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.is_in_line = self.queue[count - 1] != b'\n';
                    self.queue.drain(..count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the path no longer leads to the open file.
    fn is_gone(&self) -> bool {
        match (std::fs::metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(open)) => (there.dev(), there.ino()) != (open.dev(), open.ino()),
            (Err(error), _) => error.kind() == ErrorKind::NotFound,
            _ => false,
        }
    }

    /// Drops the oldest lines beyond [`LOGFILE_QUEUE_BYTES`], except one that is partly written.
    fn forget_surplus(&mut self) {
        let first =
            if self.is_in_line { memchr::memchr(b'\n', &self.queue).map_or(0, |at| at + 1) } else { 0 };
        let surplus = self.queue.len().saturating_sub(LOGFILE_QUEUE_BYTES.max(first));
        if surplus == 0 {
            return;
        }
        let gone = &self.queue[first..];
        let end = memchr::memchr(b'\n', &gone[surplus - 1..]).map_or(gone.len(), |at| surplus + at);
        self.lost += memchr::memchr_iter(b'\n', &gone[..end]).count() as u64;
        self.queue.drain(first..first + end);
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match Errno::from_io_error(&error) {
        // A named pipe without a reader, or a socket.
        Some(Errno::NXIO) => not_a_file(),
        _ => error,
    })?;
    let kind = file.metadata()?.file_type();
    // A character device, such as `/dev/full`, never blocks; a pipe has a reader that may be slow.
    if kind.is_file() || std::os::unix::fs::FileTypeExt::is_char_device(&kind) {
        Ok(file)
    } else {
        Err(not_a_file())
    }
}

fn not_a_file() -> io::Error {
    io::Error::other("not a regular file")
}

/// The last lines of the file at `path`: at most [`LOGFILE_COMPARED_BYTES`], from the start of a line on.
fn read_tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut tail = Vec::new();
    if !std::fs::metadata(path)?.is_file() {
        return Ok(tail);
    }
    let mut file = File::open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    // One byte more shows whether the rest starts at the start of a line.
    let start = length.saturating_sub(LOGFILE_COMPARED_BYTES as u64 + 1);
    file.seek(SeekFrom::Start(start))?;
    file.take(LOGFILE_COMPARED_BYTES as u64 + 1).read_to_end(&mut tail)?;
    if start > 0 {
        let end = memchr::memchr(b'\n', &tail).map_or(tail.len(), |at| at + 1);
        tail.drain(..end);
    }
    Ok(tail)
}

/// A multiset of lines. It is kept for the whole run, since members may send past messages at any time; a line
/// costs some 16 bytes.
#[derive(Debug, Default)]
struct Lines {
    /// The count of each line, by a randomly keyed hash of it.
    counts: HashMap<u64, u32>,
    hasher: RandomState,
}

impl Lines {
    fn new(text: &[u8]) -> Self {
        let mut lines = Self::default();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            *lines.counts.entry(lines.hasher.hash_one(line)).or_default() += 1;
        }
        lines
    }

    fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Removes one line that is equal to `line`. Returns whether there was one.
    fn take(&mut self, line: &[u8]) -> bool {
        let key = self.hasher.hash_one(line);
        let Some(count) = self.counts.get_mut(&key) else { return false };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&key);
        }
        true
    }
}

/// The log of the conversation: a file and the formatter of its lines.
#[derive(Debug)]
pub struct ConversationLog {
    record: LogFile,
    formatter: Formatter,
    /// Past messages were added, so that a separating line follows them.
    has_new_past: bool,
}

impl ConversationLog {
    /// A log in the file `record`, for the user called `own_name`.
    #[must_use]
    pub fn new(record: LogFile, own_name: String, now: DateTime<Local>) -> Self {
        Self { record, formatter: Formatter::new(Format::default(), own_name, now), has_new_past: false }
    }

    /// Adds an event, if it belongs to the conversation; a past message only if the file does not contain it
    /// yet.
    pub fn push(&mut self, event: &Event) {
        match event {
            Event::Message { is_past: true, .. } => {
                let mut line = Vec::new();
                self.formatter.push_record(event, &mut line);
                if !self.record.find_once(line.strip_suffix(b"\n").unwrap_or(&line)) {
                    self.record.queue().append(&mut line);
                    self.has_new_past = true;
                }
            }
            Event::Present if !mem::take(&mut self.has_new_past) => (),
            _ => self.formatter.push_record(event, self.record.queue()),
        }
    }

    /// Adds the user's own message, to everybody or privately `to` one peer.
    pub fn push_own(&mut self, at: DateTime<FixedOffset>, to: Option<&PeerInfo>, text: &str) {
        self.formatter.push_own_record(at, to, text, self.record.queue());
    }

    /// Changes the user's name.
    pub fn set_own_name(&mut self, name: String) {
        self.formatter.set_own_name(name);
    }

    /// Writes the queue. Returns a diagnostic; see [`LogFile::flush`].
    pub fn flush(&mut self, now: Instant) -> Option<String> {
        self.record.flush(now)
    }

    /// The error message for the exit, if lines were never written.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.record.failure()
    }

    /// When [`flush`](Self::flush) tries again after a failure.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.record.deadline()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("groupchat-record-{}-{name}", std::process::id()));
            fs::create_dir_all(&folder).expect("a folder");
            Self(folder)
        }

        fn file(&self) -> PathBuf {
            self.0.join("record")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn write(record: &mut LogFile, line: &str, now: Instant) -> Option<String> {
        record.queue().extend_from_slice(line.as_bytes());
        record.flush(now)
    }

    #[test]
    fn lines_are_appended_for_the_owner_alone() {
        let (place, now) = (Place::new("append"), Instant::now());
        for line in ["one\n", "two\n"] {
            let mut record = LogFile::open(&place.file()).expect("opened");
            assert_eq!(write(&mut record, line, now), None);
        }
        assert_eq!(fs::read_to_string(place.file()).expect("there"), "one\ntwo\n");
        assert_eq!(fs::metadata(place.file()).expect("there").mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_moved_away_is_begun_anew() {
        let (place, now) = (Place::new("move"), Instant::now());
        let mut record = LogFile::open(&place.file()).expect("opened");
        write(&mut record, "one\n", now);
        fs::rename(place.file(), place.0.join("old")).expect("moved");
        assert_eq!(write(&mut record, "two\n", now), None);
        fs::remove_file(place.file()).expect("removed");
        assert_eq!(write(&mut record, "three\n", now), None);
        assert_eq!(fs::read_to_string(place.0.join("old")).expect("there"), "one\n");
        assert_eq!(fs::read_to_string(place.file()).expect("there"), "three\n");
    }

    #[test]
    fn the_past_is_added_where_it_does_not_stand_yet() {
        let (place, now) = (Place::new("past"), Instant::now());
        let say = |record: &mut ConversationLog, text: &str, is_past| {
            let at = DateTime::parse_from_rfc3339("2026-11-22T06:55:22Z").expect("a time");
            let at = Some(crate::wire::message::Timestamp::Zoned(at));
            let from = PeerInfo { name: "bob".into(), id: None, address: None };
            let text = text.to_owned();
            record.push(&Event::Message { at, from, text, is_past, is_private: false });
        };
        /// The messages in the log file, in order; a line that is no message is `-`.
        fn recorded(place: &Place) -> String {
            let lines = fs::read_to_string(place.file()).expect("there");
            lines.lines().map(|line| line.split_once("bob: ").map_or("-", |(_, text)| text)).collect()
        }
        let open = || {
            let file = LogFile::open(&place.file()).expect("opened");
            ConversationLog::new(file, "al".to_owned(), Local::now())
        };
        // What is past, what is live, and what stands there afterwards.
        for (past, live, expected) in [
            ("a,b,b", "c,x\n ", "abb-cx^J "),
            ("a,b,b,c,x\n ", "", "abb-cx^J "),
            // Others are new, among them a third one of equal lines.
            ("a,b,b,b,d", "", "abb-cx^J bd-"),
            // Live ones are added always, and count the next time.
            ("", "a,a", "abb-cx^J bd-aa"),
            ("a,a,a,a,e", "", "abb-cx^J bd-aaae-"),
        ] {
            let mut record = open();
            past.split(',').filter(|text| !text.is_empty()).for_each(|text| say(&mut record, text, true));
            record.push(&Event::Present);
            live.split(',').filter(|text| !text.is_empty()).for_each(|text| say(&mut record, text, false));
            assert_eq!(record.flush(now), None);
            assert_eq!(recorded(&place), expected);
        }
        // One that is moved away does not count.
        let mut record = open();
        fs::rename(place.file(), place.0.join("old")).expect("moved");
        say(&mut record, "a", true);
        record.flush(now);
        assert_eq!(recorded(&place), "a");
    }

    #[test]
    fn only_the_end_of_a_file_is_compared_from_the_start_of_a_line_on() {
        let place = Place::new("tail");
        let lines: Vec<_> = (0..40_000).map(|number| format!("{number:09}\n")).collect();
        fs::write(place.file(), lines.concat()).expect("written");
        let mut record = LogFile::open(&place.file()).expect("opened");
        let known = LOGFILE_COMPARED_BYTES / 10;
        let is_known =
            |record: &mut LogFile, number: usize| record.find_once(lines[number].trim_end().as_bytes());
        assert!(!is_known(&mut record, 39_999 - known) && is_known(&mut record, 40_000 - known));
        assert!(is_known(&mut record, 39_999) && !is_known(&mut record, 39_999));
        // A line that was cut off is no beginning of the next.
        fs::write(place.file(), "cut").expect("written");
        let mut record = LogFile::open(&place.file()).expect("opened");
        write(&mut record, "one\n", Instant::now());
        assert_eq!(fs::read_to_string(place.file()).expect("there"), "cut\none\n");
    }

    #[test]
    fn a_full_disk_and_its_end_are_reported_once() {
        let (place, mut now) = (Place::new("full"), Instant::now());
        std::os::unix::fs::symlink("/dev/full", place.file()).expect("a link");
        let mut record = LogFile::open(&place.file()).expect("opened");
        let told = write(&mut record, "one\n", now).expect("told");
        assert!(told.contains("cannot record to") && told.contains("no space left"), "{told}");
        let long = format!("{}\n", "x".repeat(999));
        for _ in 0..LOGFILE_QUEUE_BYTES / 1000 + 10 {
            now += Duration::from_millis(500);
            assert_eq!(write(&mut record, &long, now), None);
            assert!(record.queue.len() <= LOGFILE_QUEUE_BYTES);
        }
        fs::remove_file(place.file()).expect("removed");
        now += LOGFILE_RETRY_INTERVAL;
        let told = write(&mut record, "last\n", now).expect("told");
        assert!(told.contains("again; 11 lines are missing"), "{told}");
        assert!(record.failure().expect("a failure").ends_with(": 11 lines are missing there"));
        let recorded = fs::read_to_string(place.file()).expect("there");
        assert!(recorded.ends_with("x\nlast\n") && recorded.starts_with('x'));
    }

    #[test]
    fn only_files_are_opened() {
        let place = Place::new("kinds");
        assert_eq!(LogFile::open(&place.0).expect_err("a folder").kind(), ErrorKind::IsADirectory);
        let (read, write) = io::pipe().expect("a pipe");
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&write));
        assert_eq!(LogFile::open(Path::new(&path)).expect_err("a pipe").to_string(), "not a regular file");
        drop(read);
    }
}
