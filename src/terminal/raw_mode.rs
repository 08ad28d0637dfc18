//! The terminal's own line editing, turned off while ours is at work, and on again however that ends.

use std::fs::File;
use std::io::{self, Write as _};
use std::mem;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use super::descriptor::{self, is_in_background, is_writable};
use super::layout::Size;

/// A terminal that sends every key at once, and marks what is pasted; until it is released, dropped, or
/// the program panics.
#[derive(Debug)]
pub struct RawModeGuard {
    held: Arc<Mutex<Held>>,
}

#[derive(Debug)]
struct Held {
    input: File,
    output: File,
    is_taken: bool,
    /// What to go back to, until that is done.
    original: Option<Termios>,
}

/// Marks what is pasted, and no longer (xterm's private modes).
const PASTE_MARKS_ON: &[u8] = b"\x1b[?2004h";
const PASTE_MARKS_OFF: &[u8] = b"\x1b[?2004l";

impl RawModeGuard {
    /// A claim on the terminal that is read from `input` and written to `output`; not yet made.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn new(input: BorrowedFd<'_>, output: BorrowedFd<'_>) -> io::Result<Self> {
        let [input, output] = [input, output].map(|descriptor| descriptor.try_clone_to_owned());
        let held = Held { input: input?.into(), output: output?.into(), is_taken: false, original: None };
        let held = Arc::new(Mutex::new(held));
        let in_panic = Arc::clone(&held);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // What the hook prints is to be read.
            lock(&in_panic, Held::release);
            hook(panic);
        }));
        Ok(Self { held })
    }

    /// Makes the claim. Returns whether it is made: not in the background, where the terminal is
    /// somebody else's.
    pub fn take(&self) -> bool {
        lock(&self.held, Held::take)
    }

    /// Makes it anew, since somebody else may have used the terminal. Returns whether it is still made: not
    /// in the background, where the terminal is left to whoever has it now.
    pub fn renew(&self) -> bool {
        lock(&self.held, Held::renew)
    }

    /// Whether it is made.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        lock(&self.held, |held| held.is_taken)
    }

    /// Gives the terminal back as it was.
    pub fn release(&self) {
        lock(&self.held, Held::release);
    }

    /// How large the terminal is.
    #[must_use]
    pub fn size(&self) -> Size {
        lock(&self.held, |held| descriptor::size(&held.output))
    }
}

impl Drop for RawModeGuard {
    fn drop(&mut self) {
        self.release();
    }
}

fn lock<T>(held: &Mutex<Held>, act: impl FnOnce(&mut Held) -> T) -> T {
    // A panic leaves nothing half done here.
    act(&mut held.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Held {
    fn take(&mut self) -> bool {
        if self.is_taken {
            return true;
        }
        if is_in_background(self.input.as_fd()) {
            return false;
        }
        // A shell may have left it as it was when we were stopped without being told.
        let Some(original) = self.original.take().or_else(|| tcgetattr(&self.input).ok()) else {
            return false;
        };
        self.is_taken = self.make_raw(&original);
        self.original = Some(original);
        self.is_taken
    }

    fn renew(&mut self) -> bool {
        self.is_taken = false;
        self.take()
    }

    fn make_raw(&mut self, original: &Termios) -> bool {
        let mut raw = original.clone();
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN;
        raw.input_modes -= InputModes::ICRNL | InputModes::INLCR | InputModes::IGNCR | InputModes::ISTRIP;
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        if tcsetattr(&self.input, OptionalActions::Now, &raw).is_err() {
            return false;
        }
        self.write(PASTE_MARKS_ON);
        true
    }

    fn release(&mut self) {
        if !mem::replace(&mut self.is_taken, false) {
            return;
        }
        let Some(original) = self.original.take() else { return };
        // Whoever is in the foreground instead has made the terminal its own; and touching it would
        // stop us.
        if !is_in_background(self.input.as_fd()) {
            self.write(PASTE_MARKS_OFF);
            // There is nobody to tell.
            let _ = tcsetattr(&self.input, OptionalActions::Now, &original);
        }
    }

    fn write(&mut self, code: &[u8]) {
        if is_writable(self.output.as_fd()) {
            // A terminal that takes nothing can do without.
            let _ = self.output.write_all(code);
        }
    }
}
