//! The wire: what the bytes on a connection mean. Pure codecs, one file a grammar, with no state but the decoder's.
//!
//! Bytes go into a [`Decoder`], one for each connection, and [frames](Frame) come out. [`message`] and [`hello`] read
//! and write the bodies of frames.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`frame`] | codes and their escapes: where a frame of text framing ends |
//! | [`lab`] | lab framing: the length before a frame |
//! | [`decoder`] | the decoder: bytes in, frames out; which framing a connection speaks |
//! | [`message`] | the body of a message and of an exit |
//! | [`hello`] | the body of a peer frame: what members send each other beside messages |
//! | [`identity`] | public keys, tokens, and the ids that follow from them |
//!
//! # Frames
//!
//! A peer sends frames of UTF-8 text over TCP. A frame ends in a code, and the code is the only
//! delimiter, so a frame can be written and read by hand:
//!
//! ```console
//! $ nc 127.0.0.1 5000
//! [2026-11-22T08:20:00.129129+00:00] alice:
//!         hi nc<MSGENCD>hello from nc<MSGENCD>
//! <EXITENCD>
//! ```
//!
//! Here alice sent `hi nc`, and the rest was typed. Alice's terminal shows `hello from nc` under the
//! address that `nc` came from, and then that this address has left. (A connection that was accepted
//! and sends nothing is sent its first message after half a second, because until then it may still turn
//! out to be a member's.)
//!
//! | frame | body, then the code |
//! | --- | --- |
//! | message | `[2026-11-22T06:55:22.756724+01:00] alice:\n\t\thello<MSGENCD>` |
//! | exit | `\n192.168.1.7:5000 [2026-11-22T06:55:22.756724+01:00]\|\nalice<EXITENCD>` |
//! | peer | `groupchat/2 open\nnoise …<PEERENCD>`, between members: the handshake, see the docs of `seal`; inside records, see [`hello`] |
//! | private | `0\n[2026-11-22T06:55:22.756724+01:00] alice:\n\t\tpsst<PRIVENCD>`, between members only |
//!
//! - `\n` and `\t` are a real line feed and tab. The time is RFC 3339. A reader also takes one without an
//!   offset, which is the reader's local time, and one without fractions of a second.
//! - A message whose name is empty or blank is shown under the address that it came from.
//! - A body of another shape is shown as it is, under the same address. Such is one whose name is longer than 64
//!   bytes or whose time is not in the years 0 to 9999.
//! - A code is `<`, one to eight capital letters, `ENCD>`. `<EXTENCD>` means the same as `<EXITENCD>`. A
//!   frame that ends in an unknown code is passed over.
//! - A code inside a text must not end the frame: each run of `<`, backslashes (or none), one to eight
//!   capital letters and `ENCD>` is sent with one backslash more after the `<` and received with one less.
//! - A frame has at most 65,535 bytes with its code, and the text of a message 65,000; a longer one is sent as several.
//! - Only a member sends peer and private frames. The side that dials sends the first peer frame, its hello; the side
//!   that accepts replies to a hello and sends none unasked. A plain peer sends neither and passes over both. See
//!   the docs of `protocol`.
//! - A connection that begins with an HTTP request line, with a TLS handshake, or with a length and then neither
//!   a code nor text, is of another protocol: it is closed, and nothing on it counts. So no web page can make a
//!   browser send messages here.
//!
//! # Lab framing
//!
//! **Lab framing** is what the course exercise "TCP Group Chat" speaks: a 2-byte big-endian length, then
//! that many bytes, whose tail is `<MSGENCD>` or `<EXTENCD>`. Nothing is escaped in it: only the length ends a
//! frame, and a code anywhere else is text. Its program reads a frame with one `recv`, so each is sent in one write.
//!
//! # Which framing
//!
//! The two directions of a connection are independent.
//!
//! | direction | its framing |
//! | --- | --- |
//! | received | decided by the first frame, for good; a hello, if it comes first, decides nothing, and the frame after it does. The rule is in [`decoder`] |
//! | sent to a plain peer | that of the last frame received from it; before there is one, that of the last frame which a peer at the address that the user named has sent; before that, text, or what `--framing` names |
//! | sent to a member: the hello | the same |
//! | sent to a member: what follows | that of the first frame after the hello, for good, since the decoder of the member keeps to it |
//!
//! So two members with different `--framing` understand each other: the side that accepts replies to a hello in its
//! framing, and the side that dialled continues in the framing of that reply. Two plain peers may not: if both send
//! in different framings before either has received anything, each changes to the framing of the other, and a
//! decoder of this program does not follow. A member that was taken for a plain peer is no such case, because its
//! connection is closed and a new one begins with a hello.

pub mod decoder;
pub mod frame;
pub mod hello;
pub mod identity;
pub mod lab;
pub mod message;

pub use decoder::{Decoder, Unreadable};
pub use frame::{Code, Frame, Framing};
