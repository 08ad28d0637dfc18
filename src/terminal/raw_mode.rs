//! The terminal's own line editing, turned off while ours is at work, and on again however that ends; and
//! the modes in which another program may have left the terminal.

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

/// A terminal that sends every key at once, and marks what is pasted; until it is released, dropped, or
/// the program panics.
#[derive(Debug)]
pub struct RawModeGuard {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    input: File,
    output: File,
    is_enabled: bool,
    /// What to go back to, until that is done.
    original: Option<Termios>,
    /// What was typed and not read is for nobody.
    discards_input: bool,
}

/// Marks what is pasted, and no longer (xterm's private modes).
const PASTE_MARKS_ON: &[u8] = b"\x1b[?2004h";
const PASTE_MARKS_OFF: &[u8] = b"\x1b[?2004l";

/// Undoes what a program that was killed, or that did not care, may have left on. Each code is one that
/// terminals pass over whole if they do not know it: none ends in the middle for a parser of ECMA-48, and
/// none moves the cursor.
const RESET: &[u8] = concat!(
    // The region that scrolls, and coordinates within it (DECSTBM, DECOM): resetting either moves the
    // cursor, which is saved and comes back. Where the coordinates come back with it, they are those of
    // the whole screen by now.
    "\x1b7\x1b[?6l\x1b[r\x1b8",
    // Left and right margins, insert mode, Return that sends a line feed as well; the screen breaks rows.
    "\x1b[?69l\x1b[4;20l\x1b[?7h",
    // Letters drawn as lines (SO, and line drawing as the first character set); colours; no cursor.
    "\x0f\x1b(B\x1b[m\x1b[?25h",
    // The mouse, in all encodings, and the focus.
    "\x1b[?9;1000;1001;1002;1003;1004;1005;1006;1015;1016l",
    // Keys: cursor keys and keypad as for applications, Windows' own, and reports of size and colours.
    "\x1b[?1;66;9001;2031;2048l\x1b>",
    // Keys in other forms: kitty's flags, xterm's modifyOtherKeys.
    "\x1b[=0u\x1b[>4;0m",
)
.as_bytes();

impl RawModeGuard {
    /// A claim on the terminal that is read from `input` and written to `output`; not yet made.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn new(input: BorrowedFd<'_>, output: BorrowedFd<'_>) -> io::Result<Self> {
        let [input, output] = [input, output].map(|descriptor| descriptor.try_clone_to_owned());
        let inner = Inner {
            input: input?.into(),
            output: output?.into(),
            is_enabled: false,
            original: None,
            discards_input: false,
        };
        let inner = Arc::new(Mutex::new(inner));
        let in_panic = Arc::clone(&inner);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // What the hook prints is to be read.
            lock(&in_panic, Inner::disable);
            hook(panic);
        }));
        Ok(Self { inner })
    }

    /// Makes the claim. Returns whether it is made: not in the background, where the terminal is
    /// somebody else's.
    pub fn enable(&self) -> bool {
        lock(&self.inner, Inner::enable)
    }

    /// Makes it anew, since somebody else may have used the terminal. Returns whether it is still made: not
    /// in the background, where the terminal is left to whoever has it now.
    pub fn reenable(&self) -> bool {
        lock(&self.inner, Inner::reenable)
    }

    /// Whether it is made.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        lock(&self.inner, |inner| inner.is_enabled)
    }

    /// Gives the terminal back as it was.
    pub fn disable(&self) {
        lock(&self.inner, Inner::disable);
    }

    /// Throws away what was typed and not read, now and when the terminal is given back: whoever has it then
    /// does not get it.
    pub fn discard_input(&self) {
        lock(&self.inner, |inner| {
            inner.discards_input = true;
            inner.flush_input();
        });
    }

    /// How large the terminal is.
    #[must_use]
    pub fn size(&self) -> Size {
        lock(&self.inner, |inner| descriptor::size(&inner.output))
    }
}

impl Drop for RawModeGuard {
    fn drop(&mut self) {
        self.disable();
        // What was still on its way when the terminal was given back.
        lock(&self.inner, Inner::flush_input);
    }
}

fn lock<T>(inner: &Mutex<Inner>, act: impl FnOnce(&mut Inner) -> T) -> T {
    // A panic leaves nothing half done here.
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
        // A shell may have left it as it was when we were stopped without being told.
        let Some(original) = self.original.take().or_else(|| tcgetattr(&self.input).ok()) else {
            return false;
        };
        self.is_enabled = self.make_raw(&original);
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
        // Ctrl+S and Ctrl+Q are keys, and every byte is what the terminal sent.
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

    fn disable(&mut self) {
        if !mem::replace(&mut self.is_enabled, false) {
            return;
        }
        let Some(original) = self.original.take() else { return };
        // Whoever is in the foreground instead has made the terminal its own; and touching it would
        // stop us.
        if !is_in_background(self.input.as_fd()) {
            self.write(PASTE_MARKS_OFF);
            // There is nobody to tell.
            let _ = tcsetattr(&self.input, OptionalActions::Now, &original);
            self.flush_input();
        }
    }

    fn flush_input(&mut self) {
        if self.discards_input && !is_in_background(self.input.as_fd()) {
            // It is a terminal, which can do that.
            let _ = tcflush(&self.input, QueueSelector::IFlush);
        }
    }

    fn write(&mut self, code: &[u8]) {
        if is_writable(self.output.as_fd()) {
            // A terminal that takes nothing can do without.
            let _ = self.output.write_all(code);
        }
    }
}
