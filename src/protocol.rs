//! What the group decides: bytes and time go in, bytes and notices come out.
//!
//! Nothing here has a socket, a clock, a terminal or a source of randomness. [`Group`] carries the
//! streams of its clients as a type parameter without a bound: it can hold one and hand it out, and
//! has no way to read or write it. The program runs it with TCP streams, the simulation with numbers,
//! and both run the same code.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`frame`] | where a frame ends: codes and their escapes |
//! | [`message`] | what a frame's body says |
//! | [`Inbox`] | bytes in, frames out |
//! | [`Log`] | what was said, once for everybody |
//! | [`Client`] | one connection: inbox, cursor, outbox, state |
//! | [`peer_frame`] | what peers tell each other beside what their users say |
//! | [`Dial`] | the way to one peer |
//! | `member`, `joining` | who belongs to the group and has what of whom; the past that a newcomer is shown |
//! | `private` | what two members say to each other alone |
//! | [`roster`] | what the user is told of who is there |
//! | [`Group`] | clients, dials and the log together |
//! | [`Notice`] | what the user is told |

pub mod client;
pub mod dial;
pub mod frame;
pub mod group;
pub mod inbox;
mod joining;
pub mod log;
pub mod member;
pub mod message;
pub mod notice;
pub mod peer_frame;
mod private;
pub mod roster;

pub use client::{Client, ClientId};
pub use dial::{Dial, DialId, Peer};
pub use group::Attempt;
pub use group::{Group, Setup};
pub use inbox::Inbox;
pub use log::Log;
pub use notice::{LostReason, Notice, Who};
pub use peer_frame::MemberId;
