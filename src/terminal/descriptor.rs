//! Descriptors of the standard streams: how each is used without blocking the loop, and without changing it
//! for other programs.
//!
//! `O_NONBLOCK` belongs to the open file description, which the shell and its other programs share. So it is
//! set only on descriptions that this program has opened itself.

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
    /// The terminal or pipe was opened again: a non-blocking description that is not shared.
    Own,
    /// The description is shared and may block: it is used only when `poll(2)` reports it ready, with few
    /// bytes at a time.
    Shared,
    /// A file, or a device such as `/dev/null`: never blocks, and the poll cannot watch it.
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

/// An opened descriptor.
#[derive(Debug)]
pub struct Descriptor {
    /// A duplicate of the inherited descriptor, or the terminal or pipe opened again.
    pub file: File,
    /// How it is kept from blocking.
    pub kind: Kind,
}

/// Opens the file behind `inherited`, and registers it under `token` if the poll can watch it.
///
/// # Errors
///
/// The error of the system call that failed.
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

/// Opens a terminal or pipe again, which creates a description that is not shared. `None` for other files,
/// and where permission is missing, as after `su`.
fn open_again(inherited: BorrowedFd<'_>, usage: Use) -> Option<File> {
    let path = match rustix::termios::ttyname(inherited, Vec::new()) {
        Ok(name) => PathBuf::from(name.into_string().ok()?),
        Err(_) => pipe_path(inherited)?,
    };
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let (read, write) = (usage == Use::Read, usage == Use::Write);
    OpenOptions::new().read(read).write(write).custom_flags(flags.cast_signed()).open(path).ok()
}

/// The path at which a pipe can be opened again (proc(5)), which only Linux has.
fn pipe_path(inherited: BorrowedFd<'_>) -> Option<PathBuf> {
    let mode = rustix::fs::fstat(inherited).ok()?.st_mode;
    let is_pipe = cfg!(target_os = "linux") && FileType::from_raw_mode(mode).is_fifo();
    is_pipe.then(|| format!("/proc/self/fd/{}", inherited.as_raw_fd()).into())
}

/// Whether the error of a read or write means that the terminal was hung up. Elsewhere than at a terminal,
/// `EIO` is the failure of a device or a file.
#[must_use]
pub fn is_hang_up(error: &io::Error, is_terminal: bool) -> bool {
    is_terminal && error.raw_os_error() == Some(Errno::IO.raw_os_error())
}

/// Whether reading would not block.
#[must_use]
pub fn is_readable(descriptor: BorrowedFd<'_>) -> bool {
    let ready = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
    state(descriptor, PollFlags::IN, Duration::ZERO).intersects(ready)
}

/// Whether writing up to [`SHARED_WRITE_BYTES`](crate::limits::SHARED_WRITE_BYTES) would not block.
#[must_use]
pub fn is_writable(descriptor: BorrowedFd<'_>) -> bool {
    is_writable_within(descriptor, Duration::ZERO)
}

/// [`is_writable`], after waiting for at most `timeout`. It blocks, so it is only for use outside the loop.
#[must_use]
pub fn is_writable_within(descriptor: BorrowedFd<'_>, timeout: Duration) -> bool {
    let ready = PollFlags::OUT | PollFlags::HUP | PollFlags::ERR;
    state(descriptor, PollFlags::OUT, timeout).intersects(ready)
}

/// Waits until [`is_writable`]. It blocks, so it is only for use outside the loop.
pub fn wait_until_writable(descriptor: BorrowedFd<'_>) {
    while !is_writable_within(descriptor, Duration::from_secs(60)) {}
}

/// Waits until there is input, or its end. It blocks, so it is only for use outside the loop.
pub fn wait_until_readable(descriptor: BorrowedFd<'_>) {
    let ready = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
    while !state(descriptor, PollFlags::IN, Duration::from_secs(60)).intersects(ready) {}
}

/// Whether the descriptor is the controlling terminal and another process group is in its foreground. A read
/// then stops the process, and so does a write after `stty tostop`.
#[must_use]
pub fn is_in_background(descriptor: BorrowedFd<'_>) -> bool {
    // The call fails for what is not the controlling terminal.
    tcgetpgrp(descriptor).is_ok_and(|foreground| foreground != getpgrp())
}

/// Whether the reader at the other end is gone.
#[must_use]
pub fn is_closed(descriptor: BorrowedFd<'_>) -> bool {
    let closed = PollFlags::HUP | PollFlags::ERR;
    state(descriptor, PollFlags::OUT, Duration::ZERO).intersects(closed)
}

/// Whether both descriptors are the same file.
#[must_use]
pub fn is_same_place(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let (Ok(one), Ok(other)) = (rustix::fs::fstat(one), rustix::fs::fstat(other)) else { return false };
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// Whether the descriptor is a terminal that understands control sequences.
#[must_use]
pub fn can_draw(descriptor: BorrowedFd<'_>) -> bool {
    let kind = env::var_os("TERM").unwrap_or_default();
    descriptor.is_terminal() && !kind.is_empty() && kind != "dumb"
}

/// Whether the terminal rewraps rows when it becomes narrower. Nearly all do, tmux and screen among them; xterm
/// cuts rows off.
#[must_use]
pub fn reflows() -> bool {
    let is_set = |name| env::var_os(name).is_some();
    is_set("TMUX") || is_set("STY") || !is_set("XTERM_VERSION")
}

/// The size of a terminal.
#[must_use]
pub fn size(terminal: impl AsFd) -> Size {
    let size = tcgetwinsize(terminal);
    size.map_or(Size::new(0, 0), |size| Size::new(size.ws_col.into(), size.ws_row.into()))
}

/// The result of poll(2) on one descriptor.
fn state(descriptor: BorrowedFd<'_>, interest: PollFlags, timeout: Duration) -> PollFlags {
    let mut one = [PollFd::from_borrowed_fd(descriptor, interest)];
    let timeout = Timespec::try_from(timeout).unwrap_or_default();
    match poll(&mut one, Some(&timeout)) {
        Ok(_) => one[0].revents(),
        // The call was interrupted; the caller tries again later.
        Err(_) => PollFlags::empty(),
    }
}
