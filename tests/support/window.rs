//! The real program in a terminal window: a pseudo-terminal with an emulator behind it.

use std::fs::File;
use std::io::{Read as _, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use groupchat::terminal::layout::Size;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use vt100::{Parser, Screen};

use super::emulator::{emulator, resized, scrollback};
use super::{DEADLINE, PROGRAM};

/// A window with a peer in it.
pub struct Window {
    pub child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    /// The other side of the terminal, on which the peer is.
    pub device: File,
    /// Its settings before the peer was started.
    pub settings_before: String,
    shown: Arc<Shown>,
    size: Size,
    reflows: bool,
}

struct Shown {
    parser: Mutex<Option<Parser>>,
    /// All bytes that the terminal was sent.
    bytes: Mutex<Vec<u8>>,
    /// Something was shown, or nothing will be any more.
    changed: Condvar,
}

impl Window {
    /// Starts the program with `arguments` in a window of 80 columns and 24 rows.
    pub fn start(arguments: &[&str]) -> Self {
        Self::run(&[&[PROGRAM], arguments].concat(), Size::new(80, 24))
    }

    /// Starts a command in a window that cuts rows off when it becomes narrower.
    pub fn run(words: &[&str], size: Size) -> Self {
        Self::run_as(words, size, false)
    }

    /// Starts a command in a window that cuts rows off when it becomes narrower, or breaks them anew.
    pub fn run_as(words: &[&str], size: Size, reflows: bool) -> Self {
        let pair = native_pty_system().openpty(pty_size(size)).expect("a pseudo-terminal");
        let name = pair.master.tty_name().expect("its name");
        let device = File::options().read(true).write(true).open(name).expect("its other side");
        let settings_before = settings(&device);
        let mut command = CommandBuilder::from_argv(words.iter().map(Into::into).collect());
        for (name, value) in [("TZ", "UTC"), ("TERM", "xterm-256color")] {
            command.env(name, value);
        }
        for name in ["GROUPCHAT_NAME", "NO_COLOR", "STY", "TMUX", "XTERM_VERSION"] {
            command.env_remove(name);
        }
        if !reflows {
            command.env("XTERM_VERSION", "1");
        }
        let child = pair.slave.spawn_command(command).expect("it starts");
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let keyboard = pair.master.take_writer().expect("a writer");
        let parser = Mutex::new(Some(emulator(size.columns, size.rows)));
        let shown = Arc::new(Shown { parser, bytes: Mutex::default(), changed: Condvar::new() });
        let shared = Arc::clone(&shown);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                shared.bytes.lock().expect("bytes").extend_from_slice(&buffer[..count]);
                let mut parser = shared.parser.lock().expect("a parser");
                parser.as_mut().expect("it was not taken").process(&buffer[..count]);
                shared.changed.notify_all();
            }
        });
        Self { child, master: pair.master, keyboard, device, settings_before, shown, size, reflows }
    }

    /// Sends keys as a terminal does.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).and_then(|()| self.keyboard.flush()).expect("a terminal");
    }

    /// Waits until the screen meets the condition `is_seen`.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut is_seen: impl FnMut(&Screen) -> bool) {
        let end = Instant::now() + DEADLINE;
        let mut parser = self.shown.parser.lock().expect("a parser");
        while !is_seen(parser.as_ref().expect("a parser").screen()) {
            let left = end.saturating_duration_since(Instant::now());
            let seen = || parser.as_ref().expect("a parser").screen().contents();
            assert!(!left.is_zero(), "{what} is not seen:\n{}", seen());
            parser = self.shown.changed.wait_timeout(parser, left).expect("a parser").0;
        }
    }

    /// Waits until the last rows are these, with the cursor at `|`, and nothing is below.
    #[track_caller]
    pub fn wait_for_rows(&self, expected: &[&str]) {
        self.wait_until(&format!("{expected:?}"), |screen| ends_with(screen, expected));
    }

    /// Waits until some row has this in it.
    #[track_caller]
    pub fn wait_for(&self, part: &str) {
        self.wait_until(part, |screen| screen.contents().contains(part));
    }

    /// Looks at what is seen now.
    pub fn look<T>(&self, at: impl FnOnce(&Screen) -> T) -> T {
        at(self.shown.parser.lock().expect("a parser").as_ref().expect("a parser").screen())
    }

    /// What has scrolled out of the window.
    pub fn scrollback(&self) -> String {
        let mut parser = self.shown.parser.lock().expect("a parser");
        scrollback(parser.as_mut().expect("a parser")).iter().map(|row| format!("{row}\n")).collect()
    }

    /// All bytes that the terminal was sent so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.shown.bytes.lock().expect("bytes").clone()
    }

    /// Gives the window another size.
    pub fn resize(&mut self, size: Size) {
        let mut parser = self.shown.parser.lock().expect("a parser");
        let before = parser.take().expect("a parser");
        *parser = Some(resized(&before, self.size, size, self.reflows));
        drop(parser);
        self.size = size;
        self.master.resize(pty_size(size)).expect("a terminal");
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a process that runs");
    }

    pub fn pid(&self) -> Pid {
        let id = self.child.process_id().expect("a process");
        Pid::from_raw(id.cast_signed()).expect("a process")
    }

    #[track_caller]
    pub fn exit_code(&mut self) -> u32 {
        let mut status = None;
        super::sockets::wait_until("the peer ends", || {
            status = self.child.try_wait().expect("our child");
            status.is_some()
        });
        status.expect("it ended").exit_code()
    }

    /// The terminal is as it was before.
    #[track_caller]
    pub fn check_settings(&self) {
        assert_eq!(settings(&self.device), self.settings_before);
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // Not one that has ended: its number may be another's by now.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// All settings of a terminal.
pub fn settings(device: &File) -> String {
    format!("{:?}", rustix::termios::tcgetattr(device).expect("a terminal"))
}

/// Whether the last rows that hold anything are these, without the spaces at their ends. `|` is the
/// cursor.
fn ends_with(screen: &Screen, expected: &[&str]) -> bool {
    let (row, column) = screen.cursor_position();
    let columns = screen.size().1.get();
    let mut rows: Vec<String> = screen.rows(0, columns).map(|row| row.trim_end().to_owned()).collect();
    let before: String = screen.rows(0, column).nth(row.into()).unwrap_or_default();
    let after: String = screen.rows(column, columns).nth(row.into()).unwrap_or_default();
    let padding = usize::from(column).saturating_sub(cells(&before));
    rows[usize::from(row)] = format!("{before}{}|{}", " ".repeat(padding), after.trim_end());
    let used = rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
    rows[..used].ends_with(&expected.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>())
}

fn cells(text: &str) -> usize {
    groupchat::terminal::layout::columns_at_most(text)
}

fn pty_size(size: Size) -> PtySize {
    PtySize { rows: size.rows as u16, cols: size.columns as u16, ..PtySize::default() }
}
