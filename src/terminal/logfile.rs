//! The record of the conversation in a file: lines appended, whatever becomes of the file.
//!
//! It may be moved away, and is begun anew then. A disk that is full is told once, and stops nobody.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::mem;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use chrono::{DateTime, FixedOffset, Local};

use super::format::{Format, Formatter};
use crate::error::reason;
use crate::limits::{LOGFILE_QUEUE_BYTES, LOGFILE_RETRY_INTERVAL};
use crate::protocol::{Notice, Who};

/// A file to which the conversation is appended.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    /// Lines that are still to be written.
    queue: Vec<u8>,
    /// Whether the file ends within a line.
    is_in_line: bool,
    /// Lines that were given up since it failed.
    lost: u64,
    /// Lines that were given up before.
    missing: u64,
    /// It failed, and is tried again then.
    retry_at: Option<Instant>,
}

impl LogFile {
    /// Opens a file, or begins one that only its owner may read.
    ///
    /// # Errors
    ///
    /// What the system says; and that it is no file, since others could make us wait.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        let (queue, path) = (Vec::new(), path.to_owned());
        Ok(Self { path, file, queue, is_in_line: false, lost: 0, missing: 0, retry_at: None })
    }

    /// Where to append whole lines.
    pub fn queue(&mut self) -> &mut Vec<u8> {
        &mut self.queue
    }

    /// What was never written: a sentence, if there is anything to say.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let lines = self.missing + self.lost + memchr::memchr_iter(b'\n', &self.queue).count() as u64;
        let path = self.path.display();
        (lines > 0).then(|| format!("cannot record to {path}: {lines} lines are missing there"))
    }

    /// When it is tried again, if it failed and something waits.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.retry_at.filter(|_| !self.queue.is_empty())
    }

    /// Writes what was queued. Returns what the user should know: that it does not work any more, or
    /// works again. While it does not, lines are kept within [`LOGFILE_QUEUE_BYTES`].
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
                    0 => format!("recording to {path} again; nothing is missing there"),
                    _ => format!("recording to {path} again; {lost} lines are missing there"),
                })
            }
            Err(error) => {
                let had_failed = self.retry_at.replace(now + LOGFILE_RETRY_INTERVAL).is_some();
                self.forget_surplus();
                let why = reason(&error);
                (!had_failed).then(|| format!("cannot record to {path}: {why}; tried again until it works"))
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

    /// Whether what the path leads to is not the file that is open.
    fn is_gone(&self) -> bool {
        match (std::fs::metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(open)) => (there.dev(), there.ino()) != (open.dev(), open.ino()),
            (Err(error), _) => error.kind() == ErrorKind::NotFound,
            _ => false,
        }
    }

    /// Gives up the oldest lines that are too many, but for one that was begun.
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
    let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    // A device, like the one that is always full, is as good as a file; but a pipe has a reader who may
    // be slow.
    if kind.is_file() || std::os::unix::fs::FileTypeExt::is_char_device(&kind) {
        Ok(file)
    } else {
        Err(io::Error::other("it is no file"))
    }
}

/// A record, and how it is worded.
#[derive(Debug)]
pub struct ConversationLog {
    record: LogFile,
    words: Formatter,
}

impl ConversationLog {
    /// Records to `record` what is said to and by who is called `own_name`.
    #[must_use]
    pub fn new(record: LogFile, own_name: String, now: DateTime<Local>) -> Self {
        Self { record, words: Formatter::new(Format::default(), own_name, now) }
    }

    /// Adds a notice, if it belongs to the conversation.
    pub fn push(&mut self, notice: &Notice) {
        self.words.push_record(notice, self.record.queue());
    }

    /// Adds what the user said, to everybody or `to` one alone.
    pub fn push_own(&mut self, at: DateTime<FixedOffset>, to: Option<&Who>, text: &str) {
        self.words.push_own_record(at, to, text, self.record.queue());
    }

    /// The user has another name.
    pub fn set_own_name(&mut self, name: String) {
        self.words.set_own_name(name);
    }

    /// Writes what was added. Returns what the user should know.
    pub fn flush(&mut self, now: Instant) -> Option<String> {
        self.record.flush(now)
    }

    /// What was never recorded, at the end: a sentence, if there is anything to say.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.record.failure()
    }

    /// When a file that could not be written is tried again.
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
    fn a_full_disk_is_told_once_and_so_is_that_it_is_not_any_more() {
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
        assert_eq!(LogFile::open(Path::new(&path)).expect_err("a pipe").to_string(), "it is no file");
        drop(read);
    }
}
