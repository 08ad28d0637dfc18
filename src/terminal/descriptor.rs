//! What standard input, output and error are, and how each is used without blocking the loop and
//! without changing it for those who share it.
//!
//! `O_NONBLOCK` belongs to the open file description, which the shell and every program started from
//! it share. So it is set only on descriptions of our own.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::termios::{tcgetpgrp, tcgetwinsize};

use super::layout::Size;

/// How a descriptor is kept from blocking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The terminal or pipe, opened once more: non-blocking, and nobody else's.
    Own,
    /// Shared and possibly blocking: used only when it says that it will not, and little at a time.
    Shared,
    /// A file, or a device like the null device: never waits, and the poll cannot watch it.
    AlwaysReady,
}

/// What a descriptor is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Reading.
    Read,
    /// Writing.
    Write,
}

/// A descriptor that is ready to be used.
#[derive(Debug)]
pub struct Descriptor {
    /// The descriptor, or one of our own for the same terminal or pipe.
    pub file: File,
    /// How to keep it from blocking.
    pub kind: Kind,
}

/// Opens what `inherited` leads to, and registers it under `token` if the poll can watch it.
///
/// # Errors
///
/// What the system says.
pub fn open(
    inherited: BorrowedFd<'_>,
    usage: Use,
    registry: &Registry,
    token: Token,
) -> io::Result<Descriptor> {
    let (file, kind) = match open_again(inherited, usage) {
        Some(file) => (file, Kind::Own),
        None => (inherited.try_clone_to_owned()?.into(), Kind::Shared),
    };
    let interest = if usage == Use::Read { Interest::READABLE } else { Interest::WRITABLE };
    match registry.register(&mut SourceFd(&file.as_raw_fd()), token, interest) {
        Ok(()) => Ok(Descriptor { file, kind }),
        // epoll_ctl(2): the file does not support being polled.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Ok(Descriptor { file, kind: Kind::AlwaysReady })
        }
        Err(error) => Err(error),
    }
}

/// Opens a terminal or pipe once more, which gives a description of our own. `None` where it is
/// neither, or not ours to open, as after `su`.
fn open_again(inherited: BorrowedFd<'_>, usage: Use) -> Option<File> {
    let path = match rustix::termios::ttyname(inherited, Vec::new()) {
        Ok(name) => PathBuf::from(name.into_string().ok()?),
        Err(_) => pipe_path(inherited)?,
    };
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let (read, write) = (usage == Use::Read, usage == Use::Write);
    OpenOptions::new().read(read).write(write).custom_flags(flags.cast_signed()).open(path).ok()
}

/// Under which name a pipe can be opened again: proc(5). Other systems have none.
fn pipe_path(inherited: BorrowedFd<'_>) -> Option<PathBuf> {
    let mode = rustix::fs::fstat(inherited).ok()?.st_mode;
    let is_pipe = cfg!(target_os = "linux") && FileType::from_raw_mode(mode).is_fifo();
    is_pipe.then(|| format!("/proc/self/fd/{}", inherited.as_raw_fd()).into())
}

/// Whether the error is how a terminal that was hung up answers: nobody is there any more.
#[must_use]
pub fn is_hang_up(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::IO.raw_os_error())
}

/// Whether reading would not block.
#[must_use]
pub fn is_readable(descriptor: BorrowedFd<'_>) -> bool {
    let ready = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
    state(descriptor, PollFlags::IN, Duration::ZERO).intersects(ready)
}

/// Whether writing a little would not block.
#[must_use]
pub fn is_writable(descriptor: BorrowedFd<'_>) -> bool {
    is_writable_within(descriptor, Duration::ZERO)
}

/// The same, after waiting for it. Only for when the loop is over.
#[must_use]
pub fn is_writable_within(descriptor: BorrowedFd<'_>, patience: Duration) -> bool {
    let ready = PollFlags::OUT | PollFlags::HUP | PollFlags::ERR;
    state(descriptor, PollFlags::OUT, patience).intersects(ready)
}

/// Waits until writing a little would not block. Only where there is no loop.
pub fn wait_until_writable(descriptor: BorrowedFd<'_>) {
    while !is_writable_within(descriptor, Duration::from_secs(60)) {}
}

/// Waits until there is something to read, or the end. Only where there is no loop.
pub fn wait_until_readable(descriptor: BorrowedFd<'_>) {
    let ready = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
    while !state(descriptor, PollFlags::IN, Duration::from_secs(60)).intersects(ready) {}
}

/// Whether it is our terminal, and somebody else is in its foreground: a write may stop the whole process
/// (`stty tostop`), and a read always does.
#[must_use]
pub fn is_in_background(descriptor: BorrowedFd<'_>) -> bool {
    // One that does not control us knows no background.
    tcgetpgrp(descriptor).is_ok_and(|foreground| foreground != getpgrp())
}

/// Whether nobody is left at the other end of what is written.
#[must_use]
pub fn is_closed(descriptor: BorrowedFd<'_>) -> bool {
    let closed = PollFlags::HUP | PollFlags::ERR;
    state(descriptor, PollFlags::OUT, Duration::ZERO).intersects(closed)
}

/// Whether both lead to the same place, so that what is written to one stands behind what was
/// written to the other.
#[must_use]
pub fn is_same_place(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let (Ok(one), Ok(other)) = (rustix::fs::fstat(one), rustix::fs::fstat(other)) else { return false };
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// Whether it is a terminal that can do more than print lines.
#[must_use]
pub fn can_draw(descriptor: BorrowedFd<'_>) -> bool {
    let kind = env::var_os("TERM").unwrap_or_default();
    descriptor.is_terminal() && !kind.is_empty() && kind != "dumb"
}

/// Whether the terminal, when it becomes narrower, breaks rows anew, as nearly all do; xterm and screen cut
/// them off.
#[must_use]
pub fn reflows() -> bool {
    let is_set = |name| env::var_os(name).is_some();
    if is_set("TMUX") && is_set("STY") {
        // One runs in the other.
        return env::var_os("TERM").is_some_and(|kind| kind.to_string_lossy().starts_with("tmux"));
    }
    is_set("TMUX") || !is_set("XTERM_VERSION") && !is_set("STY")
}

/// How large a terminal is.
#[must_use]
pub fn size(terminal: impl AsFd) -> Size {
    let size = tcgetwinsize(terminal);
    size.map_or(Size::new(0, 0), |size| Size::new(size.ws_col.into(), size.ws_row.into()))
}

fn state(descriptor: BorrowedFd<'_>, asked: PollFlags, patience: Duration) -> PollFlags {
    let mut one = [PollFd::from_borrowed_fd(descriptor, asked)];
    let patience = Timespec::try_from(patience).unwrap_or_default();
    match poll(&mut one, Some(&patience)) {
        Ok(_) => one[0].revents(),
        // Interrupted: it is asked again in the next turn.
        Err(_) => PollFlags::empty(),
    }
}
