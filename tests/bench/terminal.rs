//! Ten thousand messages a second at a terminal where somebody types, a little or the longest line that
//! there is: what they cost the reader and the sender, and how soon a key is seen. And nothing at all, which
//! costs nothing.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::proc_files::ProcFiles;
use super::process::{NAME, PATIENCE, PROGRAM};
use super::table::Line;
use super::trouble::{Doing, Result, Trouble};
use groupchat::limits::{MESSAGE_BYTES_MAX, PLAIN_WAIT_MIN};

const MESSAGES: usize = 30_000;
/// One burst a millisecond is 10,000 messages a second.
const BURST: usize = 10;
const BETWEEN_BURSTS: Duration = Duration::from_millis(1);
const BETWEEN_KEYS: Duration = Duration::from_millis(40);
/// Nearly 64 KiB, with room for the keys that are pressed.
const DRAFT_BYTES: usize = MESSAGE_BYTES_MAX - 1024;
/// Pasted at a time: so little that nobody is asked.
const PASTE_BYTES: usize = 1_000;
const IDLE: Duration = Duration::from_secs(2);

const CPU_PERCENT_MAX: f64 = 100.0;
/// A frame of a screen that shows sixty a second.
const ECHO_MS_MAX: f64 = 16.7;

const TEXT: &str = "sixty-four bytes of text, which is about as much as people type.";

/// A terminal with the program in it. The program is killed when this is dropped.
struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    seen: Arc<Mutex<Seen>>,
    _master: Box<dyn MasterPty + Send>,
}

/// What was seen.
#[derive(Default)]
struct Seen {
    /// The first of it, with where the program listens.
    start: Vec<u8>,
    /// The last of it.
    end: Vec<u8>,
    /// When each character that was typed was seen first.
    keys: BTreeMap<char, Instant>,
}

pub fn with_somebody_at_it() -> Result<Vec<Line>> {
    let mut terminal = Terminal::start()?;
    let id = terminal.child.process_id().ok_or_else(|| Trouble::Wrong("it has ended".into()))?;
    let files = ProcFiles::of(id);
    let stream = terminal.connect()?;
    thread::sleep(PLAIN_WAIT_MIN);
    files.rest()?;
    let sleeps_before = files.sleeps_so_far()?;
    thread::sleep(IDLE);
    let wake_ups = files.sleeps_so_far()? - sleeps_before;

    let mut lines = read_messages(&mut terminal, &files, stream, "10,000 messages a second at a terminal")?;
    lines.push(Line::absolute("idle at a terminal, woken up in 2 s", "times", wake_ups as f64, None, 0.0));
    Ok(lines)
}

/// What a draft costs that is far longer than the terminal shows.
pub fn with_a_long_draft() -> Result<Vec<Line>> {
    let mut terminal = Terminal::start()?;
    let id = terminal.child.process_id().ok_or_else(|| Trouble::Wrong("it has ended".into()))?;
    let files = ProcFiles::of(id);
    let stream = terminal.connect()?;
    thread::sleep(PLAIN_WAIT_MIN);
    terminal.paste_draft()?;
    files.rest()?;
    read_messages(&mut terminal, &files, stream, "10,000 messages a second above a draft of 64 KiB")
}

/// Sends all messages while keys are pressed.
fn read_messages(
    terminal: &mut Terminal,
    files: &ProcFiles,
    mut stream: TcpStream,
    work: &str,
) -> Result<Vec<Line>> {
    let before = files.cpu_ns_at_rest()?;
    let begin = Instant::now();
    let sender = thread::spawn(move || send(&mut stream).map(|waits| (waits, stream)));
    let mut echoes = Vec::new();
    while !sender.is_finished() {
        echoes.push(terminal.press(echoes.len())?.as_secs_f64() * 1e3);
        thread::sleep(BETWEEN_KEYS);
    }
    let sent_in = begin.elapsed();
    let (waits, stream) = sender.join().expect("a sender does not panic").doing("send to the terminal")?;
    // The rows of a message may be broken anywhere before the number.
    terminal.wait_for(&format!(" {}\r", MESSAGES - 1))?;
    let cpu_ns = files.cpu_ns_at_rest()? - before;
    drop(stream);
    echoes.sort_by(f64::total_cmp);
    let (median, longest) = (echoes[echoes.len() / 2], echoes[echoes.len() - 1]);
    let percent = cpu_ns as f64 / sent_in.as_nanos() as f64 * 100.0;
    eprintln!(
        "  {MESSAGES} messages in {:.2} s, {percent:.1} % of a core, {} keys, the slowest after {longest:.1} ms",
        sent_in.as_secs_f64(),
        echoes.len()
    );
    let line =
        |what: &str, unit, figure, max| Line::absolute(&format!("{work}, {what}"), unit, figure, None, max);
    Ok(vec![
        line("CPU of the reader, of one core", "%", percent, CPU_PERCENT_MAX),
        line("writes for which the sender had to wait", "times", waits as f64, 0.0),
        line("until a key is seen, median", "ms", median, ECHO_MS_MAX),
    ])
}

impl Terminal {
    fn start() -> Result<Self> {
        let size = PtySize { rows: 24, cols: 80, ..PtySize::default() };
        let pair = native_pty_system().openpty(size);
        let pair = pair.map_err(|cause| Trouble::NotHere(format!("there is no pseudo-terminal: {cause}")))?;
        let wrong =
            |cause: &dyn std::fmt::Display| Trouble::Wrong(format!("starting in a terminal: {cause}"));
        let mut command = CommandBuilder::new(PROGRAM);
        command.args(["-n", NAME, "0"]);
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).map_err(|cause| wrong(&cause))?;
        let mut reader = pair.master.try_clone_reader().map_err(|cause| wrong(&cause))?;
        let keyboard = pair.master.take_writer().map_err(|cause| wrong(&cause))?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let Ok(mut seen) = shared.lock() else { return };
                seen.take(&buffer[..count]);
            }
        });
        let terminal = Self { child, keyboard, seen, _master: pair.master };
        terminal.wait_for("listening on ")?;
        Ok(terminal)
    }

    fn connect(&self) -> Result<TcpStream> {
        let start = String::from_utf8_lossy(&self.seen().start).into_owned();
        let port = start
            .split("listening on [::]:")
            .nth(1)
            .and_then(|rest| rest.split(|char: char| !char.is_ascii_digit()).next()?.parse().ok());
        let port: u16 = port.ok_or_else(|| Trouble::Wrong(format!("no port in {start:?}")))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        TcpStream::connect_timeout(&address, PATIENCE).doing("connect to the terminal")
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().expect("the reader does not panic")
    }

    /// Types a character that nobody else writes, and waits until it is seen.
    fn press(&mut self, number: usize) -> Result<Duration> {
        let key = char::from_u32(FIRST_KEY + number as u32).expect("a letter");
        let begin = Instant::now();
        self.keyboard.write_all(key.to_string().as_bytes()).doing("type a key")?;
        while begin.elapsed() < PATIENCE {
            if let Some(at) = self.seen().keys.get(&key) {
                return Ok(at.saturating_duration_since(begin));
            }
            thread::sleep(Duration::from_micros(100));
        }
        Trouble::wrong("a key that was typed is not seen")
    }

    /// Makes the line as long as it may be.
    fn paste_draft(&mut self) -> Result<()> {
        let mut draft = "words and more words, ".repeat(DRAFT_BYTES / 22);
        draft.push_str(DRAFT_END);
        for piece in draft.as_bytes().chunks(PASTE_BYTES) {
            let bytes = [b"\x1b[200~", piece, b"\x1b[201~"].concat();
            self.keyboard.write_all(&bytes).doing("paste")?;
        }
        self.wait_for(DRAFT_END)
    }

    fn wait_for(&self, part: &str) -> Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if memchr::memmem::find(&self.seen().end, part.as_bytes()).is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Trouble::wrong(format!("{part:?} is not seen"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already: that is no failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const DRAFT_END: &str = "the end";

/// Latin letters that no message holds; two bytes each in UTF-8.
const FIRST_KEY: u32 = 0x100;
const LAST_KEY: u32 = 0x24f;
const KEPT_BYTES: usize = 8 << 10;

impl Seen {
    fn take(&mut self, bytes: &[u8]) {
        let now = Instant::now();
        for two in bytes.windows(2).filter(|two| two[0] & 0xe0 == 0xc0) {
            let key = std::str::from_utf8(two).ok().and_then(|text| text.chars().next());
            if let Some(key) = key.filter(|key| (FIRST_KEY..=LAST_KEY).contains(&u32::from(*key))) {
                self.keys.entry(key).or_insert(now);
            }
        }
        if self.start.len() < KEPT_BYTES {
            self.start.extend_from_slice(bytes);
        }
        self.end.extend_from_slice(bytes);
        self.end.drain(..self.end.len().saturating_sub(KEPT_BYTES));
    }
}

/// Sends all messages at their pace. Returns how many writes had to wait.
fn send(stream: &mut TcpStream) -> std::io::Result<usize> {
    stream.set_nonblocking(true)?;
    let (begin, mut waits) = (Instant::now(), 0);
    for burst in 0..MESSAGES / BURST {
        let due = begin + BETWEEN_BURSTS * burst as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let message =
            |number| format!("[2026-11-22T06:55:22.756724+01:00] sender:\n\t\t{TEXT} {number}<MSGENCD>");
        let bytes: String = (burst * BURST..(burst + 1) * BURST).map(message).collect();
        let mut rest = bytes.as_bytes();
        while !rest.is_empty() {
            match stream.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    waits += 1;
                    thread::sleep(BETWEEN_BURSTS);
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(waits)
}
