//! `groupchat`: a group chat for the terminal with no server; every participant is a peer.
//!
//! One thread and one `mio::Poll` do all the work: accepting, dialling, reading and writing connections,
//! reading input, printing, and handling signals. Imports point down only (`tests/tidy.rs` checks it):
//!
//! | layer | module | what it does |
//! | --- | --- | --- |
//! | start | `main.rs` | runs the program; the only place that chooses an exit code |
//! | | [`args`] | parses the command line into a valid [`Config`](event_loop::Config) |
//! | | [`completions`], [`manual`] | print shell completions and the manual page |
//! | loop | [`event_loop`] | runs the turns and executes commands; the only place that waits |
//! | I/O | [`group_peer`] | moves bytes between the sockets and the core; the only place that reads or writes a peer's stream |
//! | | [`server`] | owns the listening socket; the only place that accepts |
//! | | [`resolver`] | looks up host names in a child process; the only place that starts one |
//! | | [`terminal`] | owns standard input, output and error; prints nothing that a peer sent without sanitizing it |
//! | | [`address`], [`name`] | parse the address of a peer and the user's own name |
//! | core | [`protocol`] | the group: bytes and time go in, bytes and events come out; no socket, clock, terminal or randomness |
//! | | [`command`] | parses a line into a message or a command |
//! | base | [`limits`] | every limit and timeout, with its unit and reason |
//! | | [`error`] | the errors that end the program |
//! | | [`unicode`] | character properties from the Unicode Character Database |
//! | | [`sanitize`] | text from others, made safe to show |
//! | | [`look_alike`] | confusable names: the skeletons of UTS 39 |
//!
//! A message is formatted once and appended to one [`Log`](protocol::Log). Every connection has a cursor
//! into the log, and each turn of the loop writes from that cursor, without a copy per connection. A turn
//! has five steps, in this order:
//!
//! 1. **Wait** for events, or until the nearest deadline.
//! 2. **Handle** the events: accept connections, read bytes, and execute lines of input, within budgets.
//! 3. **Flush** the log to the connections and the conversation to standard output. At a terminal, the
//!    prompt is redrawn below the conversation in the same write. A read never causes a write directly.
//! 4. **Compute the next timeout.** Sources are registered once, for reading and writing, edge-triggered;
//!    work that a budget cut short is recorded in the loop, and makes the timeout zero.
//! 5. **Reap** the connections that ended. This is the last step because slab keys are reused.

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
pub mod sanitize;
pub mod server;
pub mod terminal;
pub mod unicode;
