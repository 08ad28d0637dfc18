//! `groupchat`: a group chat for the terminal with no server; every participant is a peer.
//!
//! One thread and one `mio::Poll` do everything: accept, dial, read, write, take typed lines, print,
//! and hear signals. Imports point down only:
//!
//! | layer | module | promise |
//! | --- | --- | --- |
//! | start | `main.rs` | the only place that chooses an exit code |
//! | | [`args`] | a [`Config`](event_loop::Config) that comes from here is valid |
//! | | [`completions`], [`manual`] | what `--completions` and `--man` print |
//! | loop | [`event_loop`] | the only place that waits; what commands do |
//! | I/O | [`group_peer`] | the only place that reads or writes a peer's stream |
//! | | [`server`] | the only place that accepts |
//! | | [`resolver`] | the only place that starts another process |
//! | | [`terminal`] | the only place that reads standard input or prints; nothing a peer sent is printed unescaped |
//! | core | [`protocol`] | no socket, clock, terminal or randomness: bytes and time go in, bytes and notices come out |
//! | | [`command`], [`address`], [`name`] | what a line asks for, how a peer is written, what a name may be |
//! | tables | [`limits`] | every number that bounds anything, with its reason |
//! | | [`unicode`] | what the Unicode Character Database says of characters |
//! | | [`look_alike`] | what a name looks like: the skeletons of UTS 39 |
//!
//! A message that is typed is formatted once and appended to one [`Log`](protocol::Log). Every client
//! has a cursor into it, and each turn of the loop writes from the cursor on, straight out of the
//! log. Each turn does five things in this order:
//!
//! 1. **Wait** for events, or for the nearest deadline.
//! 2. **Take in** connections, bytes and lines, within budgets.
//! 3. **Flush** the log to the clients and the conversation to the terminal, where the typed line is drawn
//!    below it in the same write. Nothing is written from
//!    inside a read.
//! 4. **Ask** what the next wait must not sleep through. Sources are registered once, for reading and
//!    writing, edge-triggered; what was not finished is remembered here and not asked of the poll.
//! 5. **Reap** the connections that ended. Only here, because slab keys are reused.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod address;
pub mod args;
pub mod command;
pub mod completions;
pub mod error;
pub mod event_loop;
pub mod group_peer;
pub mod limits;
pub mod look_alike;
pub mod manual;
pub mod name;
pub mod protocol;
pub mod resolver;
pub mod server;
pub mod terminal;
pub mod unicode;
