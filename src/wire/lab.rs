//! Lab framing: a 2-byte big-endian length, then that many bytes, the payload, whose tail is a code.
//!
//! Nothing is escaped in it: only the length ends a frame, and a code anywhere else is text.

use super::frame::{self, Code, Frame, Framing};

/// Bytes of the length that a frame starts with.
pub const LENGTH_BYTES: usize = 2;

/// The bytes of the frame at the front of `bytes`, with its length; `None` while `bytes` are fewer than a length has.
#[must_use]
pub fn frame_bytes(bytes: &[u8]) -> Option<usize> {
    let length = bytes.first_chunk::<LENGTH_BYTES>()?;
    Some(LENGTH_BYTES + usize::from(u16::from_be_bytes(*length)))
}

/// The payload of the frame at the front of `bytes`, once it is whole.
#[must_use]
pub fn payload(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(LENGTH_BYTES..frame_bytes(bytes)?)
}

/// The frame with this payload. One without a code at its tail is a message: no text is dropped because of its
/// format.
#[must_use]
pub fn read(payload: &[u8]) -> Frame<'_> {
    let (code, body) = match frame::code_at_tail(payload) {
        Some(found) => (found.code, &payload[..found.start]),
        None => (Code::Message, payload),
    };
    Frame { code, body, framing: Framing::Lab, plain_text: None }
}

/// Appends a frame.
///
/// # Panics
///
/// If body and code are longer than [`FRAME_BYTES_MAX`](crate::limits::FRAME_BYTES_MAX), which the caller
/// ensures that they are not.
pub fn write(code: Code, body: &[u8], out: &mut Vec<u8>) {
    let code = code.spelled(Framing::Lab);
    let length = u16::try_from(body.len() + code.len()).expect("a frame keeps to its limit");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(code);
}
