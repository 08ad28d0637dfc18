//! The decoder of one connection: bytes in, frames out. It decides in which framing it receives.
//!
//! However the network cuts the stream, the frames are the same, the work is linear in the bytes, and no more
//! than one unfinished frame is kept.
//!
//! # Which framing
//!
//! The framing is decided once for each connection, by the first frame and its length, and never changes. What an
//! earlier connection to the same address was in does not count: another program may be there by now, and taken for
//! lab framing its text would be a length of many bytes that never come. (The first frame of a handshake does not decide
//! it, if it comes first: the program that dials sends it before it has received anything, and continues
//! in the framing of the reply. So the frame after it decides, by the same rule.)
//!
//! | the frame begins with | and | is in |
//! | --- | --- | --- |
//! | a byte that begins no text: a control character, but for tab, line feed, carriage return, escape | | lab framing |
//! | any other | the first code ends where the first two bytes, as a length, end the frame | lab framing |
//! | | the first code ends before that, a message `[2026-11-22T…` begins at the third byte, the first two are not both white space, and the payload of that length ends in a code | lab framing |
//! | | anything else | text framing |
//!
//! So a frame is decided at its first code at the latest, and only the third case waits for more.
//!
//! What remains ambiguous needs a first frame in lab framing with at least 2,304 bytes and a code inside, and is
//! taken for text: one that is not a message of the usual shape, or whose length reads as two line breaks or
//! blanks. Only its own sender is affected, on its own connection, where it could send any frame. The other way
//! round, a frame that is typed by hand and begins with two characters and then the whole timestamp of a message is
//! not received: no program sends that.

use std::mem;
use std::ops::{ControlFlow, RangeInclusive};

use super::frame::{self, CODE_END_BYTES, Code, FoundCode, Frame, Framing};
use super::lab::{self, LENGTH_BYTES};
use crate::limits::FRAME_BYTES_MAX;

/// A decoder: the bytes of an unfinished frame, and the state of the stream that they belong to.
///
/// Invariant: `pending` is shorter than the longest frame.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The framing, once it is decided.
    framing: Option<Framing>,
    /// Whether a frame was received.
    has_begun: bool,
    /// The bytes of the unfinished frame.
    pending: Vec<u8>,
    /// The number of bytes at the front of `pending` that are known to hold no code.
    scanned: usize,
    /// The length that `pending` must reach before it is scanned again.
    needed: usize,
}

/// The reason why a stream has no meaning from some byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// A frame longer than [`FRAME_BYTES_MAX`], or that many bytes without a code.
    FrameTooLong,
    /// The stream begins as one of another protocol, such as HTTP or TLS.
    OtherProtocol,
}

/// How many bytes the frames were that were handed out, and whether to go on.
type Scanned = Result<(usize, ControlFlow<()>), Unreadable>;

/// How many bytes are first added to an unfinished frame to finish it: more than most frames have.
const STEP_BYTES: usize = 512;

/// The methods of HTTP (RFC 9110, section 9.3; PATCH: RFC 5789).
const HTTP_METHODS: [&[u8]; 9] =
    [b"CONNECT", b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PATCH", b"POST", b"PUT", b"TRACE"];

/// How many bytes of a request line are examined.
const REQUEST_LINE_BYTES_MAX: usize = 8 << 10;

/// The kinds of records of TLS (RFC 8446, section 5.1). Behind each stands the version, 3.x.
const TLS_RECORDS: RangeInclusive<u8> = 0x14..=0x17;

/// The minor versions of TLS, and more. In lab framing, a third byte this low begins no frame of ours.
const TLS_MINOR_VERSIONS: RangeInclusive<u8> = 0..=8;

impl Decoder {
    /// The decoder of a stream in text framing.
    #[must_use]
    pub fn of_text() -> Self {
        Self { framing: Some(Framing::Text), has_begun: true, ..Self::default() }
    }

    /// The framing of the connection; `None` while it is not decided.
    #[must_use]
    pub fn framing(&self) -> Option<Framing> {
        self.framing
    }

    /// Bytes of a frame that has begun and not ended, white space apart: a line break after the
    /// last code is no frame.
    #[must_use]
    pub fn unfinished_bytes(&self) -> usize {
        self.pending.trim_ascii().len()
    }

    /// The bytes that are kept of an unfinished frame.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Takes out the bytes that are kept: those behind the frame at which [`receive`](Self::receive) was told to stop.
    pub fn take_pending(&mut self) -> Vec<u8> {
        mem::take(self).pending
    }

    /// Takes in `bytes` and hands each frame that they complete to `each`, in order. If `each` breaks, the rest is kept:
    /// what follows has another meaning.
    ///
    /// # Errors
    ///
    /// The reason why the stream has no meaning from some byte on, after the frames before it.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Frame<'_>) -> ControlFlow<()>,
    ) -> Result<(), Unreadable> {
        let (mut taken, mut flow) = (0, ControlFlow::Continue(()));
        // The unfinished frame is finished in a buffer of its own, little by little, and what follows
        // is scanned where it lies.
        while flow.is_continue() && !self.pending.is_empty() && taken < bytes.len() {
            let step = STEP_BYTES.max(self.pending.len()).min(bytes.len() - taken);
            let mut buffer = mem::take(&mut self.pending);
            buffer.extend_from_slice(&bytes[taken..taken + step]);
            taken += step;
            let used;
            (used, flow) = self.scan(&buffer, &mut each)?;
            let left = buffer.len() - used;
            if used > 0 && left <= taken {
                taken -= left;
                buffer.clear();
            } else {
                // Text that could have been one long frame in lab framing was several frames.
                buffer.drain(..used);
            }
            self.pending = buffer;
        }
        if flow.is_continue() && self.pending.is_empty() {
            let used;
            (used, flow) = self.scan(&bytes[taken..], each)?;
            taken += used;
        }
        self.pending.extend_from_slice(&bytes[taken..]);
        if flow.is_break() {
            return Ok(());
        }
        // A buffer that is in use again and again stays; an idle connection keeps none.
        if self.pending.len() < STEP_BYTES {
            self.pending.shrink_to(if self.pending.is_empty() { 0 } else { 2 * STEP_BYTES });
        }
        debug_assert!(self.pending.len() < FRAME_BYTES_MAX + LENGTH_BYTES);
        Ok(())
    }

    /// Hands out the frames in `buffer`, which begins with what is pending, and returns how many of its bytes they
    /// were, and whether to go on.
    fn scan(&mut self, buffer: &[u8], mut each: impl FnMut(Frame<'_>) -> ControlFlow<()>) -> Scanned {
        if !self.has_begun && is_of_another_protocol(buffer) {
            return Err(Unreadable::OtherProtocol);
        }
        if buffer.len() < self.needed {
            return Ok((0, ControlFlow::Continue(())));
        }
        // A code may have begun in the last bytes that were scanned.
        let mut unscanned = mem::take(&mut self.scanned).saturating_sub(CODE_END_BYTES - 1);
        self.needed = 0;
        let mut start = 0;
        while self.framing.is_none() {
            let Some((frame, bytes)) = self.deciding_frame(&buffer[start..], unscanned)? else {
                return Ok((start, ControlFlow::Continue(())));
            };
            // The first frame of a handshake decides nothing.
            if self.has_begun || frame.code != Code::Peer {
                self.framing = Some(frame.framing);
            }
            self.has_begun = true;
            let flow = each(frame);
            start += bytes;
            unscanned = 0;
            if flow.is_break() {
                return Ok((start, flow));
            }
        }
        let rest = &buffer[start..];
        let (used, flow) = match self.framing {
            Some(Framing::Lab) => self.scan_lab(rest, each)?,
            _ => self.scan_text(rest, unscanned, each)?,
        };
        Ok((start + used, flow))
    }

    /// The frame at the front of `bytes` in the framing that is decided by it, and its length in bytes; `None`
    /// while it cannot be decided or is unfinished.
    fn deciding_frame<'a>(
        &mut self,
        bytes: &'a [u8],
        unscanned: usize,
    ) -> Result<Option<(Frame<'a>, usize)>, Unreadable> {
        let Some(lab_bytes) = lab::frame_bytes(bytes) else { return Ok(None) };
        let may_be_text = may_begin_text(bytes[0]);
        let code = if may_be_text { frame::codes(bytes, unscanned).next() } else { None };
        if may_be_text {
            let Some(code) = code else {
                if bytes.len() >= FRAME_BYTES_MAX.max(lab_bytes) {
                    return Err(Unreadable::FrameTooLong);
                }
                self.scanned = bytes.len();
                return Ok(None);
            };
            if code.end != lab_bytes && !(code.end < lab_bytes && is_message_in_lab_framing(bytes)) {
                return text_frame(bytes, code).map(Some);
            }
        }
        let Some(payload) = lab::payload(bytes) else {
            self.needed = lab_bytes;
            return Ok(None);
        };
        match code {
            Some(code) if frame::code_at_tail(payload).is_none() => text_frame(bytes, code).map(Some),
            _ => self.lab_frame(payload).map(|frame| Some((frame, lab_bytes))),
        }
    }

    /// Hands out the frames of a connection in text framing.
    fn scan_text(
        &mut self,
        bytes: &[u8],
        unscanned: usize,
        mut each: impl FnMut(Frame<'_>) -> ControlFlow<()>,
    ) -> Scanned {
        let mut start = 0;
        // Checked for all frames at once.
        let valid = frame::valid_front(bytes);
        // Escapes in what was scanned before are not known any more.
        let mut may_hold_escapes = unscanned > 0;
        for run in frame::runs(bytes, unscanned) {
            let Some(code) = run.code(bytes) else {
                may_hold_escapes = true;
                continue;
            };
            if code.end - start > FRAME_BYTES_MAX {
                return Err(Unreadable::FrameTooLong);
            }
            self.has_begun = true;
            let plain_text = valid.get(start..code.start).filter(|_| !may_hold_escapes);
            let body = &bytes[start..code.start];
            let flow = each(Frame { code: code.code, body, framing: Framing::Text, plain_text });
            may_hold_escapes = false;
            start = code.end;
            if flow.is_break() {
                return Ok((start, flow));
            }
        }
        self.scanned = bytes.len() - start;
        if self.scanned >= FRAME_BYTES_MAX {
            return Err(Unreadable::FrameTooLong);
        }
        Ok((start, ControlFlow::Continue(())))
    }

    /// Hands out the frames of a connection in lab framing.
    fn scan_lab(&mut self, bytes: &[u8], mut each: impl FnMut(Frame<'_>) -> ControlFlow<()>) -> Scanned {
        let mut start = 0;
        while let Some(payload) = lab::payload(&bytes[start..]) {
            let flow = each(self.lab_frame(payload)?);
            self.has_begun = true;
            start += LENGTH_BYTES + payload.len();
            if flow.is_break() {
                return Ok((start, flow));
            }
        }
        self.needed = lab::frame_bytes(&bytes[start..]).unwrap_or_default();
        Ok((start, ControlFlow::Continue(())))
    }

    /// The frame of `payload`. Requests of other protocols, DNS among them, begin with a length as well, so the
    /// first one must end in a code or be text.
    fn lab_frame<'a>(&self, payload: &'a [u8]) -> Result<Frame<'a>, Unreadable> {
        if !self.has_begun && frame::code_at_tail(payload).is_none() && !is_text(payload) {
            return Err(Unreadable::OtherProtocol);
        }
        Ok(lab::read(payload))
    }
}

/// The frame in text framing that `bytes` begin with and that ends in `code`, and its length in bytes.
fn text_frame(bytes: &[u8], code: FoundCode) -> Result<(Frame<'_>, usize), Unreadable> {
    if code.end > FRAME_BYTES_MAX {
        return Err(Unreadable::FrameTooLong);
    }
    let body = &bytes[..code.start];
    Ok((Frame { code: code.code, body, framing: Framing::Text, plain_text: None }, code.end))
}

/// Whether a text may begin with this byte. Any other is the upper half of a length.
fn may_begin_text(byte: u8) -> bool {
    !byte.is_ascii_control() || matches!(byte, b'\t' | b'\n' | b'\r' | b'\x1b')
}

/// Whether `bytes` seem to begin with a length and then a message of the usual shape, and not with white space and
/// then the message.
fn is_message_in_lab_framing(bytes: &[u8]) -> bool {
    const SHAPE: &[u8] = b"[0000-00-00T00:00:00";
    let Some((length, payload)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return false };
    let fits = |(byte, shape): (&u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
    !length.iter().all(u8::is_ascii_whitespace)
        && payload.len() >= SHAPE.len()
        && payload.iter().zip(SHAPE).all(fits)
}

/// Whether a stream that begins with `start` is of another protocol: of HTTP, or of one with the same first line
/// (`METHOD TARGET NAME/VERSION`, or `NAME/VERSION` in a response), or of TLS.
///
/// A web page can make a browser send a request to any port, with codes in it. So it is recognised by what stands
/// before any code: a URI holds no `<` (RFC 3986, section 2).
fn is_of_another_protocol(start: &[u8]) -> bool {
    if let Some(&[kind, 0x03, minor]) = start.first_chunk()
        && TLS_RECORDS.contains(&kind)
        && TLS_MINOR_VERSIONS.contains(&minor)
    {
        return true;
    }
    let start = start.trim_ascii_start();
    let start = &start[..start.len().min(REQUEST_LINE_BYTES_MAX)];
    if start.starts_with(b"HTTP/") {
        return true;
    }
    let mut words = start.splitn(3, |byte| matches!(byte, b' ' | b'\t'));
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return false };
    if HTTP_METHODS.contains(&method) && target.starts_with(b"/") {
        return true;
    }
    let is_method = method.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'-');
    let is_target = !target.is_empty() && target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'<');
    let name = words.next().unwrap_or_default();
    let letters = name.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let version = name[letters..].strip_prefix(b"/").unwrap_or_default();
    let digits = version.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let has_version = letters > 0 && digits > 0 && matches!(version[digits..], [b'\r' | b'\n', ..]);
    has_version && is_target && is_method
}

/// Whether a payload without a code is text: UTF-8 without control characters.
fn is_text(payload: &[u8]) -> bool {
    let is_said = |byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    !payload.is_empty() && payload.iter().all(is_said) && str::from_utf8(payload).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Code;

    /// The frames of `bytes` received in pieces of `step`, as (code, text), or `None` when too long.
    fn frames(bytes: &[u8], step: usize) -> Option<Vec<(Code, String)>> {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        for piece in bytes.chunks(step) {
            let each = |frame: Frame<'_>| {
                frames.push((frame.code, frame.text().into_owned()));
                ControlFlow::Continue(())
            };
            decoder.receive(piece, each).ok()?;
        }
        Some(frames)
    }

    /// Checks that `bytes` are the frames `expected`, whole, in two pieces, and in many of one length.
    #[track_caller]
    fn check(bytes: &[u8], expected: &[(Code, &str)]) {
        let is_long = bytes.len() > 8_000;
        for step in (1..=bytes.len()).filter(|step| !is_long || step % 997 == 1 || *step == bytes.len()) {
            let frames = frames(bytes, step).expect("short enough");
            let frames: Vec<_> = frames.iter().map(|(code, text)| (*code, text.as_str())).collect();
            assert_eq!(frames, expected, "in pieces of {step}");
        }
    }

    #[test]
    fn text_frames_end_at_their_codes() {
        check(b"one<MSGENCD>two<MSGENCD>", &[(Code::Message, "one"), (Code::Message, "two")]);
        check(b"<MSGENCD>\n<EXITENCD>", &[(Code::Message, ""), (Code::Exit, "\n")]);
        check(b"bye<EXTENCD>", &[(Code::Exit, "bye")]);
        check(b"later<NEWENCD>now<MSGENCD>", &[(Code::Unknown, "later"), (Code::Message, "now")]);
        check(b"unfinished<MSGENCD", &[]);
    }

    #[test]
    fn what_only_looks_like_a_code_ends_nothing() {
        check(
            b"<ENCD> <msgENCD> <ABCDEFGHIENCD> MSGENCD> <MSGENCD<MSGENCD>",
            &[(Code::Message, "<ENCD> <msgENCD> <ABCDEFGHIENCD> MSGENCD> <MSGENCD")],
        );
        check(b"<\\MSGENCD> <\\\\EXITENCD><MSGENCD>", &[(Code::Message, "<MSGENCD> <\\EXITENCD>")]);
        check(b"<<\\<MSGENCD>", &[(Code::Message, "<<\\")]);
        check(b"a<MSGENCD>MSGENCD>b<MSGENCD>", &[(Code::Message, "a"), (Code::Message, "MSGENCD>b")]);
        check(b"<ENCDENCD>x<MSGENCD>", &[(Code::Unknown, ""), (Code::Message, "x")]);
    }

    #[test]
    fn lab_frames_end_where_their_length_says() {
        check(b"\x00\x0cone<MSGENCD>\x00\x0ctwo<MSGENCD>", &[(Code::Message, "one"), (Code::Message, "two")]);
        check(b"\x00\x0cbye<EXTENCD>", &[(Code::Exit, "bye")]);
        check(b"\x00\x0dbye<EXITENCD>", &[(Code::Exit, "bye")]);
        check(b"\x00\x14a<MSGENCD>b<MSGENCD>", &[(Code::Message, "a<MSGENCD>b")]);
        check(b"\x00\x0c<\\MSGENCD>no\x00\x00", &[(Code::Message, "<\\MSGENCD>no"), (Code::Message, "")]);
        check(b"\x00\x0bab<NEWENCD>\x00\x02hi", &[(Code::Unknown, "ab"), (Code::Message, "hi")]);
    }

    #[test]
    fn a_request_of_another_protocol_has_no_frames() {
        let long = format!("POST / HTTP/1.1\r\n\r\n{}<MSGENCD>", "x".repeat(0x504f - 30));
        for bytes in [
            "GET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\n\r\n[2026-11-22T08:20:00] bob:\n\t\thi<MSGENCD>\n<EXITENCD>",
            "\r\nGET /?<MSGENCD> HTTP/1.1\r\nX: <MSGENCD>\r\n\r\n",
            "GET /x<MSGENCD>y<MSGENCD>",
            "OPTIONS * HTTP/1.1\r\nAccess-Control-Request-Headers: <msgencd>\r\n",
            "CONNECT 127.0.0.1:5000 HTTP/1.1\r\nX: <EXITENCD>",
            "PROPFIND http://127.0.0.1:5000/x HTTP/1.1\r\nX: <MSGENCD>",
            "M-SEARCH * HTTP/1.1\r\nX: <MSGENCD>",
            "get\t/\thttp/1.1\r\nX: <MSGENCD>",
            "HTTP/1.1 400 Bad Request\r\n\r\n<MSGENCD>",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n<MSGENCD>",
            "OPTIONS sip:nm SIP/2.0\r\nVia: <MSGENCD>",
            "\x16\x03\x01\x02\x00\x01<MSGENCD>",
            "\x15\x03\x01\x00\x02\x02\x28<MSGENCD>",
            // Version queries of DNS over TCP, and one of SMB.
            "\0\x1e\0\x06\x01\0\0\x01\0\0\0\0\0\0\x07version\x04bind\0\0\x10\0\x03",
            "\0\0\0\x0bSMBr<MSGENCD>",
            // Its first two bytes are the length of a lab frame.
            &long,
        ] {
            for step in (1..40).chain([0x1000, bytes.len()]) {
                let (mut decoder, mut count) = (Decoder::default(), 0);
                let mut pieces = bytes.as_bytes().chunks(step);
                let mut each = |_: Frame<'_>| {
                    count += 1;
                    ControlFlow::Continue(())
                };
                let result = pieces.try_for_each(|piece| decoder.receive(piece, &mut each));
                assert_eq!(
                    (result, count),
                    (Err(Unreadable::OtherProtocol), 0),
                    "{bytes:?} in pieces of {step}"
                );
            }
        }
        check(b"GET well soon<MSGENCD>", &[(Code::Message, "GET well soon")]);
        check(b"I GET 3/4 of it<MSGENCD>", &[(Code::Message, "I GET 3/4 of it")]);
        check(b"SEE THIS HTTP/2 client<MSGENCD>", &[(Code::Message, "SEE THIS HTTP/2 client")]);
        check(
            b"hi<MSGENCD>GET / HTTP/1.1<MSGENCD>",
            &[(Code::Message, "hi"), (Code::Message, "GET / HTTP/1.1")],
        );
        let lab = format!("\x16\x03{}<MSGENCD>", "x".repeat(0x1603 - 9));
        check(lab.as_bytes(), &[(Code::Message, &"x".repeat(0x1603 - 9))]);
    }

    #[test]
    fn a_long_first_lab_frame_is_recognised_at_its_code() {
        let text = "x".repeat(0x2020 - 9);
        check(format!("  {text}<MSGENCD>").as_bytes(), &[(Code::Message, &text)]);
        check(format!("  {text}x<MSGENCD>").as_bytes(), &[(Code::Message, &format!("  {text}x"))]);
    }

    const MESSAGE: &str = "[2026-11-22T06:55:22.756724+01:00] bob:\n\t\t";

    fn in_lab_framing(code: Code, body: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        lab::write(code, body.as_bytes(), &mut bytes);
        bytes
    }

    #[test]
    fn a_code_inside_the_first_lab_frame_ends_nothing() {
        // Each is the length of a payload.
        for length in [160, 0x08ff, 0x0900, 0x0a0b, 3_000, 0x1b5b, 0x2021, 0x5b32, 0x6865, 0xffff] {
            for inside in ["<EXITENCD>", "<MSGENCD>", "<MSGENCD>[2026] carol:\n\t\t"] {
                let filler = "x".repeat(length - MESSAGE.len() - inside.len() - "<MSGENCD>".len());
                for text in [format!("{inside}{filler}"), format!("{filler}{inside}")] {
                    let body = format!("{MESSAGE}{text}");
                    let frame = in_lab_framing(Code::Message, &body);
                    assert_eq!(lab::frame_bytes(&frame), Some(LENGTH_BYTES + length));
                    check(&frame, &[(Code::Message, &body)]);
                    let second = in_lab_framing(Code::Exit, "<MSGENCD>bye");
                    let both = [(Code::Message, body.as_str()), (Code::Exit, "<MSGENCD>bye")];
                    check(&[frame, second].concat(), &both);
                }
            }
        }
        // No text begins with such a byte, so the shape does not matter.
        let body = format!("<EXITENCD>{}", "x".repeat(3_000));
        check(&in_lab_framing(Code::Message, &body), &[(Code::Message, &body)]);
        // A name may hold a code as well.
        let body = format!("[2026-11-22T06:55:22] <EXITENCD>:\n\t\t{}", "x".repeat(3_500));
        check(&in_lab_framing(Code::Message, &body), &[(Code::Message, &body)]);
    }

    #[test]
    fn a_text_is_handed_out_at_its_code_whatever_its_first_bytes_are_as_a_length() {
        for text in [
            "hello",
            "\thello",
            "\nhello",
            "\x1b[1mhello",
            "  [2026-11-22T06:55:22] bob:\n\t\thi",
            "\r\n[2026-11-22T06:55:22] bob:\n\t\thi",
            "\n\n[2026-11-22T06:55:22] bob:\n\t\thi",
            "\n[2026-11-22T06:55:22] bob:\n\t\thi",
            "[2026-11-22T06:55:22] bob:\n\t\thi",
            "> [2026-11-22 06:55:22] bob: hi",
            "\n192.168.1.7:5000 [2026-11-22T06:55:22]|\nbob",
            "groupchat/2\nid 5",
            "a\u{300}[2026]",
            "",
        ] {
            for code in ["<MSGENCD>", "<EXITENCD>"] {
                let kind = if code == "<MSGENCD>" { Code::Message } else { Code::Exit };
                check(format!("{text}{code}").as_bytes(), &[(kind, text)]);
            }
        }
    }

    #[test]
    fn what_could_be_a_lab_frame_and_is_none_is_text_in_the_end() {
        // 0x2061 is the length that it seems to have.
        let filler = "x".repeat(0x2061);
        let one = format!(" a{MESSAGE}one");
        let two = format!("two{filler}");
        let bytes = format!("{one}<MSGENCD>{two}<MSGENCD>three<MSGENCD>");
        let expected = [(Code::Message, &*one), (Code::Message, &two), (Code::Message, "three")];
        check(bytes.as_bytes(), &expected);
        let bytes = format!("{one}<MSGENCD>two<MSGENCD>{filler}");
        check(bytes.as_bytes(), &[(Code::Message, &one), (Code::Message, "two")]);
    }

    #[test]
    fn the_first_frame_decides_the_framing_for_good() {
        check(
            b"[1] a:\n\t\tx<MSGENCD>\0\x1b[2] <MSGENCD>:\n\t\ty<MSGENCD>",
            &[(Code::Message, "[1] a:\n\t\tx"), (Code::Message, "\0\x1b[2] "), (Code::Message, ":\n\t\ty")],
        );
        check(b"a<MSGENCD>\0[b<MSGENCD>", &[(Code::Message, "a"), (Code::Message, "\0[b")]);
        check(b"a<EXITENCD>\0\x0cone<MSGENCD>", &[(Code::Exit, "a"), (Code::Message, "\0\x0cone")]);
        // The length of a later lab frame may begin like a text.
        for first in ["\n ", "[2", "\n[", "  ", "gr"] {
            let length = lab::frame_bytes(first.as_bytes()).expect("a length") - LENGTH_BYTES;
            let body = format!("<EXITENCD>{}", "x".repeat(length - 19));
            let bytes = [b"\0\x0cone<MSGENCD>", &*in_lab_framing(Code::Message, &body)].concat();
            check(&bytes, &[(Code::Message, "one"), (Code::Message, &body)]);
        }
    }

    #[test]
    fn a_hello_does_not_decide_the_framing_and_the_frame_behind_it_does() {
        let (hello, message, private) = ("groupchat/2\nid 5", "[1] a:\n\t\tx", "0\n[1] a:\n\t\tx");
        let codes = [Code::Peer, Code::Peer, Code::Private, Code::Message, Code::Exit];
        let bodies = [hello, "groupchat/2\nhave 3", private, message, "\n1.2.3.4:5 [3]|\nb"];
        for framings in [Framing::Text, Framing::Lab].map(|it| [(Framing::Text, it), (Framing::Lab, it)]) {
            for (of_hello, of_others) in framings {
                // Any may be the first behind the hello.
                for skipped in 1..=3 {
                    let mut bytes = Vec::new();
                    frame::write(codes[0], bodies[0].as_bytes(), of_hello, &mut bytes);
                    let rest = || codes.into_iter().zip(bodies).skip(skipped);
                    for (code, body) in rest() {
                        frame::write(code, body.as_bytes(), of_others, &mut bytes);
                    }
                    let expected: Vec<_> = [(codes[0], bodies[0])].into_iter().chain(rest()).collect();
                    check(&bytes, &expected);
                    let mut decoder = Decoder::default();
                    decoder.receive(&bytes, |_| ControlFlow::Continue(())).expect("frames");
                    assert_eq!(decoder.framing(), Some(of_others));
                }
            }
        }
        let mut decoder = Decoder::default();
        decoder.receive(b"groupchat/2<PEERENCD>", |_| ControlFlow::Continue(())).expect("a frame");
        assert_eq!(decoder.framing(), None);
        // A second hello decides.
        let bytes = b"groupchat/2<PEERENCD>groupchat/2<PEERENCD>\0\x0cone<MSGENCD>";
        let hello = (Code::Peer, "groupchat/2");
        check(bytes, &[hello, hello, (Code::Message, "\0\x0cone")]);
    }

    #[test]
    fn a_known_framing_is_not_decided_again() {
        let receive = |framing, bytes: &[u8]| {
            let (mut decoder, mut texts) =
                (Decoder { framing: Some(framing), ..Decoder::default() }, Vec::new());
            let result = decoder.receive(bytes, |frame| {
                texts.push(frame.text().into_owned());
                ControlFlow::Continue(())
            });
            assert_eq!(decoder.framing(), Some(framing));
            result.map(|()| texts)
        };
        let long = format!("<EXITENCD>{}", "x".repeat(0x2020 - 19));
        let bytes = in_lab_framing(Code::Message, &long);
        assert_eq!(receive(Framing::Lab, &bytes), Ok(vec![long]));
        assert_eq!(receive(Framing::Text, b"\0\x0cone<MSGENCD>"), Ok(vec!["\0\x0cone".to_owned()]));
        assert_eq!(receive(Framing::Lab, b"hello<MSGENCD>"), Ok(vec![]));
        for framing in [Framing::Text, Framing::Lab] {
            let request = b"POST / HTTP/1.1\r\n\r\n<MSGENCD>";
            assert_eq!(receive(framing, request), Err(Unreadable::OtherProtocol));
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_become_replacement_characters() {
        check(b"a\xffb\xc3<MSGENCD>", &[(Code::Message, "a\u{fffd}b\u{fffd}")]);
        check(
            "gr\u{fc}\u{df}e \u{1f980}<MSGENCD>".as_bytes(),
            &[(Code::Message, "gr\u{fc}\u{df}e \u{1f980}")],
        );
    }

    #[test]
    fn a_frame_may_be_as_long_as_the_limit_and_no_longer() {
        let longest = |extra: usize| {
            let mut bytes = vec![b'a'; FRAME_BYTES_MAX - 9 + extra];
            bytes.extend_from_slice(b"<MSGENCD>");
            bytes
        };
        for step in [1, 4096, 65_534, 70_000] {
            assert_eq!(frames(&longest(0), step).expect("fits").len(), 1);
            assert_eq!(frames(&longest(1), step), None);
            let second = [b"b<MSGENCD>".as_slice(), &longest(1)].concat();
            assert_eq!(frames(&second, step), None);
        }
        assert_eq!(frames(&vec![b'a'; FRAME_BYTES_MAX + LENGTH_BYTES], 4096), None);
    }

    #[test]
    fn an_idle_connection_keeps_nothing() {
        let mut decoder = Decoder::default();
        decoder.receive(b"x<MSGENCD>half", |_| ControlFlow::Continue(())).expect("short");
        assert_eq!(decoder.unfinished_bytes(), 4);
        decoder.receive(b"<MSGENCD>", |_| ControlFlow::Continue(())).expect("short");
        assert_eq!((decoder.unfinished_bytes(), decoder.pending.capacity()), (0, 0));
    }
}
