//! The prompt for a secret: reads a line from the terminal, which does not show it, before the loop runs.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use signal_hook::SigId;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::low_level::{emulate_default_handler, pipe, unregister};
use zeroize::Zeroizing;

use super::raw_mode::RawModeGuard;
use crate::limits::PROMPT_LINE_BYTES_MAX;

/// A prompt at the controlling terminal. The terminal is restored when it is dropped, when the program panics, and
/// before a signal stops or ends the program.
#[derive(Debug)]
pub struct Prompt {
    terminal: File,
    guard: RawModeGuard,
    signals: Signals,
}

/// The signals that have arrived.
#[derive(Debug)]
struct Signals {
    /// The last one, or 0.
    last: Arc<AtomicUsize>,
    /// Readable once there is one.
    receiver: UnixStream,
    ids: Vec<SigId>,
}

impl Prompt {
    /// Opens the controlling terminal.
    ///
    /// # Errors
    ///
    /// The error of the system call that failed; there may be no terminal.
    pub fn open() -> io::Result<Self> {
        let terminal = File::options().read(true).write(true).open("/dev/tty")?;
        let signals = Signals::new()?;
        let guard = RawModeGuard::without_echo(terminal.as_fd())?;
        Ok(Self { terminal, guard, signals })
    }

    /// Shows a line.
    ///
    /// # Errors
    ///
    /// The error of the system call that failed.
    pub fn show(&mut self, line: &str) -> io::Result<()> {
        self.terminal.write_all(format!("{line}\n").as_bytes())
    }

    /// Shows `question` and reads a line; `None` at the end of the input. What was typed before is discarded.
    ///
    /// # Errors
    ///
    /// The error of the system call that failed.
    pub fn read_line(&mut self, question: &str) -> io::Result<Option<Zeroizing<String>>> {
        self.guard.reenable();
        self.guard.discard_input();
        self.terminal.write_all(question.as_bytes())?;
        // It never grows, so that it leaves no copy behind.
        let mut line = Zeroizing::new(vec![0; PROMPT_LINE_BYTES_MAX]);
        loop {
            let mut ends = [
                PollFd::new(&self.terminal, PollFlags::IN),
                PollFd::new(&self.signals.receiver, PollFlags::IN),
            ];
            match poll(&mut ends, None) {
                Ok(_) | Err(Errno::INTR) => (),
                Err(errno) => return Err(errno.into()),
            }
            if let Some(signal) = self.signals.take() {
                if signal != SIGCONT {
                    self.guard.disable();
                    self.terminal.write_all(b"\n")?;
                    // The call fails only for unknown signals.
                    let _ = emulate_default_handler(signal);
                }
                self.guard.reenable();
                self.terminal.write_all(question.as_bytes())?;
                continue;
            }
            match self.terminal.read(&mut line) {
                Ok(0) => return Ok(None),
                Ok(count) => {
                    return Ok(Some(Zeroizing::new(String::from_utf8_lossy(&line[..count]).into_owned())));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Signals {
    fn new() -> io::Result<Self> {
        let (receiver, sender) = UnixStream::pair()?;
        receiver.set_nonblocking(true)?;
        let mut signals = Self { last: Arc::default(), receiver, ids: Vec::new() };
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT] {
            let last = Arc::clone(&signals.last);
            let number = usize::try_from(signal).unwrap_or(0);
            signals.ids.push(signal_hook::flag::register_usize(signal, last, number)?);
            signals.ids.push(pipe::register(signal, sender.try_clone()?)?);
        }
        Ok(signals)
    }

    /// The last signal that has arrived since the call before.
    fn take(&mut self) -> Option<i32> {
        // An error means that there is nothing.
        while self.receiver.read(&mut [0; 16]).is_ok_and(|count| count > 0) {}
        let last = self.last.swap(0, Ordering::SeqCst);
        i32::try_from(last).ok().filter(|signal| *signal != 0)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.ids.drain(..).for_each(|id| _ = unregister(id));
    }
}
