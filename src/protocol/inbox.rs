//! What arrived on one connection: bytes in, frames out.
//!
//! However the network cut the stream, the work is linear in its bytes, and no more than one
//! unfinished frame is ever kept.

use std::mem;
use std::ops::RangeInclusive;

use super::frame::{self, CODE_END_BYTES, Code, Frame, Framing};
use crate::limits::FRAME_BYTES_MAX;

/// The bytes of an unfinished frame, and what is known of the stream they belong to.
///
/// Invariant: `pending` is shorter than the longest frame, and its first `scanned` bytes are known
/// to hold no code.
#[derive(Debug, Default)]
pub struct Inbox {
    framing: Option<Framing>,
    pending: Vec<u8>,
    scanned: usize,
}

/// Why a stream has no meaning from some byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// A frame longer than [`FRAME_BYTES_MAX`], or that many bytes without a code.
    FrameTooLong,
    /// The stream begins as one of another protocol, such as HTTP or TLS.
    OtherProtocol,
}

/// Below this, a first byte is the upper half of a length: no text starts with such a character.
const TEXT_FIRST_BYTE_MIN: u8 = 0x09;

/// What a message, a goodbye and a peer frame of ours begin with.
const OUR_FIRST_BYTES: [u8; 3] = [b'[', b'\n', b'g'];

/// How much is first added to an unfinished frame to finish it: more than most frames have.
const STEP_BYTES: usize = 512;

/// Bytes of the length that lab framing starts with.
const LENGTH_BYTES: usize = 2;

/// The methods of HTTP (RFC 9110, section 9.3; PATCH: RFC 5789).
const HTTP_METHODS: [&[u8]; 9] =
    [b"CONNECT", b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PATCH", b"POST", b"PUT", b"TRACE"];

/// How much of a request line is looked at.
const REQUEST_LINE_BYTES_MAX: usize = 8 << 10;

/// The kinds of records of TLS (RFC 8446, section 5.1). Behind each stands the version, 3.x.
const TLS_RECORDS: RangeInclusive<u8> = 0x14..=0x17;

impl Inbox {
    /// What the other side spoke last; `None` while that is not known.
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

    /// Takes in `bytes` and hands each frame that they complete to `each`, in order.
    ///
    /// # Errors
    ///
    /// Why the stream has no meaning from some byte on, after the frames before it.
    pub fn receive(&mut self, bytes: &[u8], mut each: impl FnMut(Frame<'_>)) -> Result<(), Unreadable> {
        let mut taken = 0;
        // The unfinished frame is finished in a buffer of its own, little by little, and what follows
        // is scanned where it lies.
        while !self.pending.is_empty() && taken < bytes.len() {
            let step = STEP_BYTES.max(self.pending.len()).min(bytes.len() - taken);
            let mut buffer = mem::take(&mut self.pending);
            buffer.extend_from_slice(&bytes[taken..taken + step]);
            taken += step;
            let used = self.scan(&buffer, &mut each)?;
            if used > 0 {
                taken -= buffer.len() - used;
                buffer.clear();
            }
            self.pending = buffer;
        }
        if self.pending.is_empty() {
            self.scanned = 0;
            let used = self.scan(&bytes[taken..], each)?;
            self.pending.extend_from_slice(&bytes[taken + used..]);
        }
        // A buffer that is in use again and again stays; an idle connection keeps none.
        if self.pending.len() < STEP_BYTES {
            self.pending.shrink_to(if self.pending.is_empty() { 0 } else { 2 * STEP_BYTES });
        }
        debug_assert!(self.pending.len() < FRAME_BYTES_MAX + LENGTH_BYTES);
        Ok(())
    }

    /// Hands out the frames in `buffer` and returns how many of its bytes they were.
    fn scan(&mut self, buffer: &[u8], mut each: impl FnMut(Frame<'_>)) -> Result<usize, Unreadable> {
        if self.framing.is_none() && is_of_another_protocol(buffer) {
            return Err(Unreadable::OtherProtocol);
        }
        // A code may have begun in the last bytes that were scanned.
        let unscanned = self.scanned.saturating_sub(CODE_END_BYTES - 1);
        let mut codes = frame::codes(buffer, unscanned);
        let mut start = 0;
        self.scanned = 0;
        while let Some(guess) = guess(self.framing, &buffer[start..]) {
            let rest = &buffer[start..];
            if guess == Guess::Lab {
                let Some(payload) = lab_payload(rest) else { break };
                // Requests of other protocols, DNS among them, begin with a length as well.
                if self.framing.is_none() && frame::code_at_tail(payload).is_none() && !is_text(payload) {
                    return Err(Unreadable::OtherProtocol);
                }
                self.framing = Some(Framing::Lab);
                each(lab_frame(payload));
                start += LENGTH_BYTES + payload.len();
                continue;
            }
            let Some(code) = codes.find(|code| code.start >= start) else {
                let length = if guess == Guess::Text { 0 } else { LENGTH_BYTES };
                if rest.len() >= FRAME_BYTES_MAX + length {
                    return Err(Unreadable::FrameTooLong);
                }
                self.scanned = rest.len();
                break;
            };
            let bytes = &buffer[start..code.end];
            if guess == Guess::AsTheCodeSays
                && lab_payload(bytes).map(<[u8]>::len) == Some(bytes.len() - LENGTH_BYTES)
            {
                self.framing = Some(Framing::Lab);
                each(lab_frame(&bytes[LENGTH_BYTES..]));
            } else if bytes.len() > FRAME_BYTES_MAX {
                return Err(Unreadable::FrameTooLong);
            } else {
                self.framing = Some(Framing::Text);
                let body = &buffer[start..code.start];
                each(Frame { code: code.code, body, framing: Framing::Text });
            }
            start = code.end;
        }
        Ok(start)
    }
}

/// Whether a stream that begins with `start` is of another protocol: of HTTP, or of one with the same first line
/// (`METHOD TARGET NAME/VERSION`, or `NAME/VERSION` in a response), or of TLS.
///
/// A web page can make a browser send a request to any port, with codes in it. So it is told by what comes before
/// any code: a URI holds no `<` (RFC 3986, section 2).
fn is_of_another_protocol(start: &[u8]) -> bool {
    if let Some(&[kind, major, minor]) = start.first_chunk() {
        // In lab framing, a third byte this low begins no frame of ours.
        if TLS_RECORDS.contains(&kind) && major == 0x03 && minor < TEXT_FIRST_BYTE_MIN {
            return true;
        }
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

/// Whether a payload without a code is something that somebody says.
fn is_text(payload: &[u8]) -> bool {
    let is_said = |byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    !payload.is_empty() && payload.iter().all(is_said) && str::from_utf8(payload).is_ok()
}

/// How a frame seems to be framed, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guess {
    Text,
    Lab,
    /// In lab framing exactly when its length leads to the end of its first code.
    AsTheCodeSays,
}

/// How the frame at the front of `bytes` is framed, after what was `known` of the stream; `None`
/// while there are too few of them to tell.
///
/// What a peer speaks at first, it nearly always keeps to. But one of ours changes when it hears the
/// other kind, and two that begin at the same moment in different framings both change. So a frame
/// of ours in the other framing is looked for, by its first and its third byte.
fn guess(known: Option<Framing>, bytes: &[u8]) -> Option<Guess> {
    let is_ours_in_lab_framing = || bytes.get(LENGTH_BYTES).map(|byte| OUR_FIRST_BYTES.contains(byte));
    let may_be_length = *bytes.first()? < TEXT_FIRST_BYTE_MIN;
    Some(match (known, bytes[0]) {
        (None, _) if may_be_length => Guess::Lab,
        (None, _) => Guess::AsTheCodeSays,
        (Some(Framing::Text), _) if !is_ours_in_lab_framing()? => Guess::Text,
        (Some(Framing::Text), _) if may_be_length => Guess::Lab,
        (Some(Framing::Text), _) => Guess::AsTheCodeSays,
        (Some(Framing::Lab), first) if OUR_FIRST_BYTES.contains(&first) && !is_ours_in_lab_framing()? => {
            Guess::AsTheCodeSays
        }
        (Some(Framing::Lab), _) => Guess::Lab,
    })
}

/// The payload of the lab frame that `bytes` begin with, once it is whole.
fn lab_payload(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}

/// A payload without a code at its tail is taken as a message: what somebody said is not dropped
/// because of its format.
fn lab_frame(payload: &[u8]) -> Frame<'_> {
    let (code, body) = match frame::code_at_tail(payload) {
        Some(found) => (found.code, &payload[..found.start]),
        None => (Code::Message, payload),
    };
    Frame { code, body, framing: Framing::Lab }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frames of `bytes` received in pieces of `step`, as (code, text), or `None` when too long.
    fn frames(bytes: &[u8], step: usize) -> Option<Vec<(Code, String)>> {
        let mut inbox = Inbox::default();
        let mut frames = Vec::new();
        for piece in bytes.chunks(step) {
            inbox.receive(piece, |frame| frames.push((frame.code, frame.text().into_owned()))).ok()?;
        }
        Some(frames)
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: &[(Code, &str)]) {
        for step in 1..=bytes.len() {
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
                let (mut inbox, mut count) = (Inbox::default(), 0);
                let mut pieces = bytes.as_bytes().chunks(step);
                let result = pieces.try_for_each(|piece| inbox.receive(piece, |_| count += 1));
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

    #[test]
    fn a_peer_may_change_its_framing_between_frames() {
        let (text, lab) = ("[1] a:\n\t\tx<MSGENCD>", "\0\x1b[2] <MSGENCD>:\n\t\ty<MSGENCD>");
        let (one, two) = ((Code::Message, "[1] a:\n\t\tx"), (Code::Message, "[2] <MSGENCD>:\n\t\ty"));
        check([text, lab, lab, text].concat().as_bytes(), &[one, two, two, one]);
        check([lab, text, text, lab].concat().as_bytes(), &[two, one, one, two]);
        let bye = "\n1.2.3.4:5 [3]|\nb<EXITENCD>";
        check([lab, bye].concat().as_bytes(), &[two, (Code::Exit, "\n1.2.3.4:5 [3]|\nb")]);
        // A text that begins with a control character stays text where it is no lab frame of ours.
        check(
            b"a<MSGENCD>\0[b<MSGENCD>\0c<MSGENCD>",
            &[(Code::Message, "a"), (Code::Message, "\0[b"), (Code::Message, "\0c")],
        );
        // And a lab frame whose length begins like a text frame stays a lab frame.
        let long = "x".repeat(0x0a20 - 9);
        check([lab, "\n ", &long, "<MSGENCD>", lab].concat().as_bytes(), &[two, (Code::Message, &long), two]);
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
        let mut inbox = Inbox::default();
        inbox.receive(b"x<MSGENCD>half", |_| ()).expect("short");
        assert_eq!(inbox.unfinished_bytes(), 4);
        inbox.receive(b"<MSGENCD>", |_| ()).expect("short");
        assert_eq!((inbox.unfinished_bytes(), inbox.pending.capacity()), (0, 0));
    }
}
