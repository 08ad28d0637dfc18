//! A process under measurement, the program or its floor: started, listened to, and ended again
//! whatever happens.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::floor;
use super::proc_files::ProcFiles;
use super::trouble::{Doing, Result, Trouble};

/// The program that does the work.
#[derive(Clone, Copy, PartialEq)]
pub enum Subject {
    Program,
    Floor,
}

/// What becomes of standard output.
pub enum Output {
    /// Nobody reads it: it goes to the null device.
    Unread,
    /// It is read from a pipe.
    Pipe,
}

/// The program, as a path: what is measured is what was built for this run.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_groupchat");
/// The name that the program and the floors speak under.
pub const NAME: &str = "bench";

/// How long any single wait of the harness may take. Generous: it is there so that nothing hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long a process may take until it listens.
const START_MAX: Duration = Duration::from_secs(10);
/// How long a process that may be ending has for it, before we report how it is.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How much of its standard error such a report holds.
const LAST_WORDS_BYTES: usize = 600;
/// What stands before the address that a process listens on.
const LISTENING: &str = "listening on ";

/// A process that listens. It is killed when this is dropped.
pub struct Process {
    child: Child,
    port: u16,
    last_words: Arc<Mutex<Vec<u8>>>,
}

/// Starts `subject`, hands it to `work`, and ends it. A failure of the work is reported with what
/// the process said last.
pub fn with<T>(
    subject: Subject,
    floor: &[&str],
    output: Output,
    work: impl FnOnce(&mut Process) -> Result<T>,
) -> Result<T> {
    let mut process = Process::start(subject, floor, output)?;
    let result = work(&mut process);
    result.map_err(|trouble| match trouble {
        Trouble::Wrong(reason) => Trouble::Wrong(process.explain(&reason)),
        not_here => not_here,
    })
}

impl Process {
    /// Starts the program, or the bench itself as the floor called `floor`, and waits until it
    /// says where it listens.
    fn start(subject: Subject, floor: &[&str], output: Output) -> Result<Process> {
        let mut command = match subject {
            Subject::Program => Command::new(PROGRAM),
            Subject::Floor => Command::new(std::env::current_exe().doing("find the bench")?),
        };
        match subject {
            Subject::Program => command.args(["-n", NAME, "0"]),
            Subject::Floor => command.arg(floor::ARGUMENT).args(floor),
        };
        let child = command
            .stdin(Stdio::piped())
            .stdout(match output {
                Output::Unread => Stdio::null(),
                Output::Pipe => Stdio::piped(),
            })
            .stderr(Stdio::piped())
            .spawn()
            .doing("start the process")?;
        // From here on it is killed, whatever fails.
        let mut process = Process { child, port: 0, last_words: Arc::default() };
        let mut errors = process.child.stderr.take().expect("standard error was piped above");
        let first_words;
        (process.port, first_words) = port_listened_on(&mut errors)?;
        process.last_words = Arc::new(Mutex::new(first_words));
        let last_words = Arc::clone(&process.last_words);
        thread::spawn(move || keep_last_words(errors, &last_words));
        Ok(process)
    }

    pub fn connect(&self) -> Result<TcpStream> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        TcpStream::connect_timeout(&address, PATIENCE).doing("connect to the process")
    }

    pub fn connect_many(&self, count: usize) -> Result<Vec<TcpStream>> {
        (0..count).map(|_| self.connect()).collect()
    }

    pub fn proc_files(&self) -> ProcFiles {
        ProcFiles::of(self.child.id())
    }

    /// The pipe to its standard input. The process may end when it is dropped.
    pub fn take_input(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("standard input is piped, and taken once a process")
    }

    /// The pipe from its standard output.
    pub fn take_output(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("standard output is piped, and taken once a process")
    }

    fn explain(&mut self, reason: &str) -> String {
        // What ended the work may be the end of the process: its last words come a moment later.
        thread::sleep(LAST_WORDS);
        let words = self.last_words.lock().map(|words| words.clone()).unwrap_or_default();
        let words = String::from_utf8_lossy(&words);
        match self.child.try_wait() {
            // It may end well by now, since its standard input has ended with the work.
            Ok(Some(status)) if !status.success() => {
                format!("{reason}; the process ended ({status}) and had last said:\n{words}")
            }
            _ => format!("{reason}; the process had last said:\n{words}"),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already: that is no failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads standard error until the line that says where the process listens. Returns the port, and
/// what was read.
fn port_listened_on(errors: &mut ChildStderr) -> Result<(u16, Vec<u8>)> {
    let give_up = Instant::now() + START_MAX;
    let mut heard = Vec::new();
    loop {
        wait_readable(&errors, give_up, "waiting for the process to listen")?;
        let mut bytes = [0; 4096];
        let count = errors.read(&mut bytes).doing("read standard error")?;
        heard.extend_from_slice(&bytes[..count]);
        let text = String::from_utf8_lossy(&heard);
        if let Some(port) = text.split_inclusive('\n').find_map(port_in) {
            return Ok((port, heard));
        }
        if count == 0 {
            return Trouble::wrong(format!("the process ended before it listened: {text:?}"));
        }
    }
}

/// The port in a whole line that says where a process listens.
fn port_in(line: &str) -> Option<u16> {
    let (_, address) = line.strip_suffix('\n')?.split_once(LISTENING)?;
    let address = address.split([' ', ',']).next()?;
    address.rsplit_once(':')?.1.parse().ok()
}

/// Reads standard error to its end, so that the process never waits for us, and keeps what came
/// last for a report.
fn keep_last_words(mut errors: ChildStderr, last_words: &Mutex<Vec<u8>>) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = errors.read(&mut bytes) {
        if let Ok(mut words) = last_words.lock() {
            words.extend_from_slice(&bytes[..count]);
            let surplus = words.len().saturating_sub(LAST_WORDS_BYTES);
            words.drain(..surplus);
        }
    }
}

/// Waits until there is something to read, or its end.
pub fn wait_readable(from: &impl std::os::fd::AsFd, until: Instant, what: &str) -> Result<()> {
    let left = until.saturating_duration_since(Instant::now());
    let timeout = Timespec::try_from(left).doing(what)?;
    match poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&timeout)).doing(what)? {
        0 => Trouble::wrong(format!("{what}: it took too long")),
        _ => Ok(()),
    }
}
