//! The core of the group: bytes and time go in, bytes and events come out.
//!
//! Nothing here has a socket, a clock, a terminal or a source of randomness. [`Group`] carries the
//! streams of its connections as a type parameter without a bound: it can hold one and hand it out, and
//! has no way to read or write it. The program runs it with TCP streams, the simulation with numbers,
//! and both run the same code.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`frame`] | where a frame ends: codes and their escapes |
//! | [`message`] | the body of a message and of an exit |
//! | [`Inbox`] | the decoder: bytes in, frames out |
//! | [`Log`] | every message that was sent to all, once for all connections |
//! | [`Client`] | one connection: decoder, cursor into the log, outbox, state |
//! | [`peer_frame`] | what members tell each other beside messages |
//! | [`Dial`] | the way to one peer |
//! | `member`, `joining` | who belongs to the group and which messages each has; the past that a newcomer is shown |
//! | `private` | messages between two members |
//! | [`label`], `names` | what somebody is called here, told apart from those who look alike |
//! | [`recipient`] | who is meant by a name that the user writes |
//! | [`roster`] | what `/who` shows |
//! | [`Group`] | connections, dials and the log together |
//! | [`Notice`] | what the user is shown |
//!
//! # The wire
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
//! and sends nothing gets its first message after half a second, because until then it may still turn
//! out to be a member's.)
//!
//! | frame | body, then the code |
//! | --- | --- |
//! | message | `[2026-11-22T06:55:22.756724+01:00] alice:\n\t\thello<MSGENCD>` |
//! | exit | `\n192.168.1.7:5000 [2026-11-22T06:55:22.756724+01:00]\|\nalice<EXITENCD>` |
//! | peer | `groupchat/1\nid …<PEERENCD>`, see [`peer_frame`] |
//! | private | `0\n[2026-11-22T06:55:22.756724+01:00] alice:\n\t\tpsst<PRIVENCD>`, between members only |
//!
//! - `\n` and `\t` are a real line feed and tab. The time is RFC 3339. A reader also takes one without an
//!   offset, which is the reader's local time, and one without fractions of a second.
//! - A body of another shape is shown as it is, under the address that it came from. Such is one whose
//!   name is longer than 64 bytes or whose time is not in the years 0 to 9999.
//! - A code is `<`, one to eight capital letters, `ENCD>`. `<EXTENCD>` means the same as `<EXITENCD>`. A
//!   frame that ends in an unknown code is passed over.
//! - A code inside a text must not end the frame: each run of `<`, backslashes (or none), one to eight
//!   capital letters and `ENCD>` is sent with one backslash more after the `<` and received with one less.
//! - A frame has at most 65,535 bytes with its code, and the text of a message 65,000; a longer one is sent as several.
//! - A connection that begins with an HTTP request line, with a TLS handshake, or with a length and then neither
//!   a code nor text, is of another protocol: it is closed, and nothing on it counts. So no web page can make a
//!   browser speak here.
//!
//! **Lab framing** is what the course exercise "TCP Group Chat" speaks: a 2-byte big-endian length, then
//! that many bytes, whose tail is `<MSGENCD>` or `<EXTENCD>`. Nothing is escaped in it. A peer is answered
//! in the framing that it speaks, each frame in one write. A peer that has sent nothing yet gets text, or
//! lab framing under `--framing lab`. The framing shows at the start of a frame: a first byte below 0x09
//! is the upper half of a length; otherwise, at the first code, the frame is in lab framing exactly when
//! its first two bytes are the length of what follows up to and with that code. After that a connection
//! keeps its framing, except for frames that look like this program's own in the other one, since each
//! side changes to what it receives.
//!
//! # Members
//!
//! A **plain peer** sends messages and exits and nothing else: `nc`, the exercise's own program,
//! `groupchat --plain`. A **member** also sends peer frames, which are never shown. Only the side that
//! dials sends one unasked; the side that accepts answers one that it got. So `nc` never sees one unless
//! it is dialled.
//!
//! | | the side that dials | the side that accepts |
//! | --- | --- | --- |
//! | 1 | `id`, `name`, `port`; and `from` in case that the other side is a plain peer | |
//! | 2 | | `id`, `name`, `port`, `have` or `last`, and `pass` unless it gave one before |
//! | 3 | `proof`, `have` or `last`, `from`, and `pass` unless it gave one before; then messages | |
//! | 4 | | `proof`, `from`; then messages |
//! | then | `member` for everybody else, `all members`; later `member` for each newcomer, and `have` at most once a second | the same |
//!
//! - **Numbers.** Messages to all are numbered by counting, each sender its own; no number is in a
//!   message. `have` acknowledges them, and after a broken connection the sender resumes from there.
//! - **One connection a pair.** While two members have several, all of them carry everything, and the
//!   numbers tell what came twice. The surplus one is closed by the side that dialled it, once the better
//!   one has been heard: the one that the greater id dialled, or of one's own the oldest.
//! - **Private messages** have numbers of their own, which are in their frames. The sender keeps each
//!   until `private` acknowledges it, and sends it again over every new connection of the pair.
//! - **Identity.** The first connection of an id is given a pass, and every later one must show it. So
//!   nobody can speak in a member's name without having been given its pass. Nothing is encrypted: who
//!   reads the network can do it all the same, and so can whoever uses an id before its owner does.

pub mod client;
pub mod dial;
pub mod former_names;
pub mod frame;
pub mod group;
pub mod inbox;
mod joining;
pub mod label;
pub mod log;
pub mod member;
pub mod message;
mod names;
pub mod notice;
pub mod peer_frame;
mod private;
pub mod recipient;
pub mod roster;
pub mod visitors;

pub use client::{Client, ClientId};
pub use dial::{Dial, DialId, Peer};
pub use group::Attempt;
pub use group::{Group, Setup};
pub use inbox::Inbox;
pub use label::Label;
pub use log::Log;
pub use notice::{LostReason, Notice, Who};
pub use peer_frame::MemberId;
pub use visitors::Host;
