//! Frames: where one ends, and how a code inside a text is kept from ending it.
//!
//! A code is `<`, one to eight capital letters, `ENCD>`. This is the only place that spells one.
//! What a body means is in [`message`](super::message) and [`hello`](super::hello).

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::lab;

/// How the end of a frame is marked on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// UTF-8 text that ends in a code; a code inside the text is escaped.
    Text,
    /// A 2-byte big-endian length, then that many bytes whose tail is a code; no escapes.
    Lab,
}

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// `<MSGENCD>`.
    Message,
    /// `<EXITENCD>`, and `<EXTENCD>` as the exercise's own program spells it.
    Exit,
    /// `<PEERENCD>`: what members send each other beside messages.
    Peer,
    /// `<PRIVENCD>`: a private message between two members.
    Private,
    /// Any other: the frame is passed over, so that a later version can add one.
    Unknown,
}

impl Code {
    /// The code as it is sent.
    ///
    /// # Panics
    ///
    /// On [`Code::Unknown`], which is never sent.
    #[must_use]
    pub fn spelled(self, framing: Framing) -> &'static [u8] {
        match (self, framing) {
            (Self::Message, _) => b"<MSGENCD>",
            (Self::Exit, Framing::Text) => b"<EXITENCD>",
            (Self::Exit, Framing::Lab) => b"<EXTENCD>",
            (Self::Peer, _) => b"<PEERENCD>",
            (Self::Private, _) => b"<PRIVENCD>",
            (Self::Unknown, _) => unreachable!("an unknown code is never sent"),
        }
    }

    fn of_letters(letters: &[u8]) -> Self {
        match letters {
            b"MSG" => Self::Message,
            b"EXIT" | b"EXT" => Self::Exit,
            b"PEER" => Self::Peer,
            b"PRIV" => Self::Private,
            _ => Self::Unknown,
        }
    }
}

/// A frame as it was received: escapes are still in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its kind.
    pub code: Code,
    /// Its bytes without length and code.
    pub body: &'a [u8],
    /// The framing in which it was received.
    pub framing: Framing,
    /// The body as text, where the decoder knows already that it is UTF-8 without an escape.
    pub(super) plain_text: Option<&'a str>,
}

impl<'a> Frame<'a> {
    /// The body as its sender meant it: without escapes, and with U+FFFD for what is not UTF-8.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        if let Some(text) = self.plain_text {
            return Cow::Borrowed(text);
        }
        if self.framing == Framing::Lab || memchr::memchr(b'\\', self.body).is_none() {
            return lossy(self.body);
        }
        lossy(&unescape(self.body)).into_owned().into()
    }
}

/// `bytes` as text, with U+FFFD for what is not UTF-8.
///
/// Nearly all of it is, and the standard library checks that much faster than it converts.
#[must_use]
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// As much of the front of `bytes` as is UTF-8.
pub(super) fn valid_front(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_else(|error| {
        let valid = &bytes[..error.valid_up_to()];
        str::from_utf8(valid).unwrap_or_default()
    })
}

/// The bytes that every code ends in.
const CODE_END: &[u8] = b"ENCD>";

/// The length of `ENCD>` in bytes.
pub const CODE_END_BYTES: usize = CODE_END.len();

/// One search for their end finds all codes.
static CODE_END_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(CODE_END));

/// Most capital letters before that.
const CODE_LETTERS_MAX: usize = 8;

/// A code found in some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundCode {
    /// The index of its first byte.
    pub start: usize,
    /// The index after its last byte.
    pub end: usize,
    /// Which it is.
    pub code: Code,
}

/// The codes in `bytes` that end after `from`, in order.
pub fn codes(bytes: &[u8], from: usize) -> impl Iterator<Item = FoundCode> + '_ {
    runs(bytes, from).filter_map(|run| run.code(bytes))
}

/// The code that `payload` ends in, if it ends in one.
#[must_use]
pub fn code_at_tail(payload: &[u8]) -> Option<FoundCode> {
    let letters_end = payload.strip_suffix(CODE_END)?.len();
    run_before(payload, letters_end).and_then(|run| run.code(payload))
}

/// Appends `text` to `out` so that no code in it ends a frame: every run of `<`, k backslashes, one
/// to eight capital letters and `ENCD>` is written with k + 1 backslashes.
pub fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut copied = 0;
    for run in runs(text, 0) {
        out.extend_from_slice(&text[copied..=run.open]);
        out.push(b'\\');
        copied = run.open + 1;
    }
    out.extend_from_slice(&text[copied..]);
}

/// The length of `text` once it is escaped, in bytes.
#[must_use]
pub fn escaped_bytes(text: &[u8]) -> usize {
    text.len() + runs(text, 0).count()
}

/// The inverse of [`escape`]: one backslash less in every such run that has any.
#[must_use]
pub fn unescape(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut copied = 0;
    for run in runs(body, 0).filter(|run| run.backslashes > 0) {
        out.extend_from_slice(&body[copied..=run.open]);
        copied = run.open + 2;
    }
    out.extend_from_slice(&body[copied..]);
    out
}

/// Appends a frame in `framing`.
///
/// # Panics
///
/// As [`lab::write`] does.
pub fn write(code: Code, body: &[u8], framing: Framing, out: &mut Vec<u8>) {
    match framing {
        Framing::Text => {
            escape(body, out);
            out.extend_from_slice(code.spelled(framing));
        }
        Framing::Lab => lab::write(code, body, out),
    }
}

/// A code, or an escape: what would be a code but for backslashes after its `<`.
pub(super) struct Run {
    open: usize,
    backslashes: usize,
    letters_end: usize,
}

impl Run {
    /// The code that this run of `bytes` is, unless it is an escape.
    pub(super) fn code(&self, bytes: &[u8]) -> Option<FoundCode> {
        let code = || Code::of_letters(&bytes[self.open + 1..self.letters_end]);
        let end = self.letters_end + CODE_END_BYTES;
        (self.backslashes == 0).then(|| FoundCode { start: self.open, end, code: code() })
    }
}

/// The runs in `bytes` whose `ENCD>` starts at `from` or later.
///
/// Looking back from an `ENCD>` costs no more than the run is long, and runs do not overlap, so the
/// whole is linear in the length of `bytes`.
pub(super) fn runs(bytes: &[u8], from: usize) -> impl Iterator<Item = Run> + '_ {
    let tail = bytes.get(from..).unwrap_or_default();
    CODE_END_FINDER.find_iter(tail).filter_map(move |at| run_before(bytes, from + at))
}

fn run_before(bytes: &[u8], letters_end: usize) -> Option<Run> {
    let before = &bytes[..letters_end];
    let letters =
        before.iter().rev().take(CODE_LETTERS_MAX + 1).take_while(|byte| byte.is_ascii_uppercase()).count();
    if !(1..=CODE_LETTERS_MAX).contains(&letters) {
        return None;
    }
    let before = &before[..letters_end - letters];
    let backslashes = before.iter().rev().take_while(|&&byte| byte == b'\\').count();
    let open = before.len().checked_sub(backslashes + 1)?;
    (before[open] == b'<').then_some(Run { open, backslashes, letters_end })
}
