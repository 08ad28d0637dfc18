//! Raw mode: turns the terminal's own line editing off while the program edits lines, and restores it on
//! every way out. It also resets modes in which another program may have left the terminal. The same guard turns
//! only the echo off, while the program reads a secret.

use std::fs::File;
use std::io::{self, Write as _};
use std::mem;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::termios::{
    InputModes, LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr,
    tcsetattr,
};

use super::descriptor::{self, is_in_background, is_writable};
use super::layout::Size;

/// Guard of raw mode and bracketed paste, or of a terminal without echo. They end when the guard is disabled or
/// dropped, and when the program panics.
#[derive(Debug)]
pub struct RawModeGuard {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    input: File,
    output: File,
    mode: Mode,
    is_enabled: bool,
    /// The settings to restore.
    original: Option<Termios>,
    /// Unread input is discarded when the terminal is restored.
    discards_input: bool,
}

/// The modes that the guard changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Raw,
    /// The terminal edits lines, and shows only their ends.
    NoEcho,
}

/// Turns bracketed paste on and off (xterm's private modes).
const PASTE_MARKS_ON: &[u8] = b"\x1b[?2004h";
const PASTE_MARKS_OFF: &[u8] = b"\x1b[?2004l";

/// Resets modes that another program may have left on, as after it was killed. A terminal that does not know
/// one of these codes ignores it: each is a complete sequence of ECMA-48. None moves the cursor.
const RESET: &[u8] = concat!(
    // The scrolling region and origin mode (DECSTBM, DECOM). Resetting either moves the cursor, so its
    // position is saved before and restored after.
    "\x1b7\x1b[?6l\x1b[r\x1b8",
    // Left and right margins, insert mode and new-line mode off; autowrap on.
    "\x1b[?69l\x1b[4;20l\x1b[?7h",
    // The character set (SI, ASCII as G0), the style (SGR), a visible cursor.
    "\x0f\x1b(B\x1b[m\x1b[?25h",
    // Reports of the mouse in all encodings, and of the focus.
    "\x1b[?9;1000;1001;1002;1003;1004;1005;1006;1015;1016l",
    // Application cursor keys and keypad, win32 input mode, reports of size and colour scheme.
    "\x1b[?1;66;9001;2031;2048l\x1b>",
    // Other key encodings: kitty's flags, xterm's modifyOtherKeys.
    "\x1b[=0u\x1b[>4;0m",
)
.as_bytes();

impl RawModeGuard {
    /// A guard, not yet enabled, of the terminal that is read from `input` and written to `output`.
    ///
    /// # Errors
    ///
    /// The error of the system call that failed.
    pub fn new(input: BorrowedFd<'_>, output: BorrowedFd<'_>) -> io::Result<Self> {
        Self::of_mode(Mode::Raw, input, output)
    }

    /// A guard, not yet enabled, of a terminal that is to show nothing of what is typed.
    ///
    /// # Errors
    ///
    /// The error of the system call that failed.
    pub fn without_echo(terminal: BorrowedFd<'_>) -> io::Result<Self> {
        Self::of_mode(Mode::NoEcho, terminal, terminal)
    }

    fn of_mode(mode: Mode, input: BorrowedFd<'_>, output: BorrowedFd<'_>) -> io::Result<Self> {
        let [input, output] = [input, output].map(|descriptor| descriptor.try_clone_to_owned());
        let inner = Inner {
            input: input?.into(),
            output: output?.into(),
            mode,
            is_enabled: false,
            original: None,
            discards_input: false,
        };
        let inner = Arc::new(Mutex::new(inner));
        let in_panic = Arc::clone(&inner);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // The default hook prints a message, which raw mode would garble.
            lock(&in_panic, Inner::disable);
            hook(panic);
        }));
        Ok(Self { inner })
    }

    /// Enables raw mode. Returns whether it is enabled; in the background it stays off, since another program
    /// uses the terminal.
    pub fn enable(&self) -> bool {
        lock(&self.inner, Inner::enable)
    }

    /// Enables raw mode again, since another program may have changed the terminal. Returns whether it is
    /// enabled; in the background the terminal is left as it is.
    pub fn reenable(&self) -> bool {
        lock(&self.inner, Inner::reenable)
    }

    /// Whether raw mode is enabled.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        lock(&self.inner, |inner| inner.is_enabled)
    }

    /// Restores the original modes.
    pub fn disable(&self) {
        lock(&self.inner, Inner::disable);
    }

    /// Discards unread input, now and when the modes are restored, so that the next program (the shell) does
    /// not read it.
    pub fn discard_input(&self) {
        lock(&self.inner, |inner| {
            inner.discards_input = true;
            inner.flush_input();
        });
    }

    /// The size of the terminal.
    #[must_use]
    pub fn size(&self) -> Size {
        lock(&self.inner, |inner| descriptor::size(&inner.output))
    }
}

impl Drop for RawModeGuard {
    fn drop(&mut self) {
        self.disable();
        // Input may have arrived since the modes were restored.
        lock(&self.inner, Inner::flush_input);
    }
}

fn lock<T>(inner: &Mutex<Inner>, act: impl FnOnce(&mut Inner) -> T) -> T {
    // A poisoned lock is fine: each operation leaves a valid state.
    act(&mut inner.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Inner {
    fn enable(&mut self) -> bool {
        if self.is_enabled {
            return true;
        }
        if is_in_background(self.input.as_fd()) {
            return false;
        }
        // The original settings may still be known from before a stop by SIGSTOP, which runs no handler.
        let Some(original) = self.original.take().or_else(|| tcgetattr(&self.input).ok()) else {
            return false;
        };
        self.is_enabled = match self.mode {
            Mode::Raw => self.make_raw(&original),
            Mode::NoEcho => self.hide_input(&original),
        };
        self.original = Some(original);
        self.is_enabled
    }

    fn reenable(&mut self) -> bool {
        self.is_enabled = false;
        self.enable()
    }

    fn make_raw(&mut self, original: &Termios) -> bool {
        let mut raw = original.clone();
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN;
        // Ctrl+S and Ctrl+Q are ordinary keys, and bytes are not translated.
        raw.input_modes -= InputModes::IXON | InputModes::PARMRK | InputModes::BRKINT | InputModes::ISTRIP;
        raw.input_modes -= InputModes::ICRNL | InputModes::INLCR | InputModes::IGNCR;
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        if tcsetattr(&self.input, OptionalActions::Now, &raw).is_err() {
            return false;
        }
        self.write(&[RESET, PASTE_MARKS_ON].concat());
        true
    }

    fn hide_input(&mut self, original: &Termios) -> bool {
        let mut hidden = original.clone();
        hidden.local_modes -= LocalModes::ECHO;
        hidden.local_modes |= LocalModes::ICANON | LocalModes::ISIG | LocalModes::ECHONL;
        hidden.input_modes |= InputModes::ICRNL;
        tcsetattr(&self.input, OptionalActions::Now, &hidden).is_ok()
    }

    fn disable(&mut self) {
        if !mem::replace(&mut self.is_enabled, false) {
            return;
        }
        let Some(original) = self.original.take() else { return };
        // In the background, the foreground program has set its own modes, and a change would stop this
        // process.
        if !is_in_background(self.input.as_fd()) {
            if self.mode == Mode::Raw {
                self.write(PASTE_MARKS_OFF);
            }
            // The terminal is gone if this fails.
            let _ = tcsetattr(&self.input, OptionalActions::Now, &original);
            self.flush_input();
        }
    }

    fn flush_input(&mut self) {
        if self.discards_input && !is_in_background(self.input.as_fd()) {
            // The call fails only for what is no terminal.
            let _ = tcflush(&self.input, QueueSelector::IFlush);
        }
    }

    fn write(&mut self, code: &[u8]) {
        if is_writable(self.output.as_fd()) {
            // The codes are optional: a blocked terminal does without them.
            let _ = self.output.write_all(code);
        }
    }
}
