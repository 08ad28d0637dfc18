//! `groupchat`: a group chat for the terminal with no server; every participant is a peer.
//!
//! One thread and one `mio::Poll` do all the work: accepting, dialling, reading and writing connections,
//! reading input, printing, and handling signals. Imports point down only (`tests/tidy.rs` checks it):
//!
//! | layer | module | what it does |
//! | --- | --- | --- |
//! | start | `main.rs` | runs the program; the only place that chooses an exit code |
//! | | [`args`] | parses the command line into a valid [`Config`](event_loop::Config) |
//! | | [`shell_completions`], [`manual`] | print shell completions and the manual page |
//! | loop | [`event_loop`] | owns the group, the sockets, the terminal and the resolver side by side; runs the turns and executes commands; the only place that waits |
//! | I/O | [`group_peer`] | owns the listener and the readiness of the streams, and moves bytes between streams and group; the only place that reads or writes a peer's stream |
//! | | [`server`] | owns the listening socket; the only place that accepts |
//! | | [`resolver`] | looks up host names in a child process; the only place that starts one |
//! | | [`group_file`] | locks, reads and writes the file of a private group; the only place that holds its secret on the disk |
//! | | [`terminal`] | owns standard input, output and error; prints nothing that a peer sent without sanitizing it |
//! | | [`address`], [`name`], [`invite`] | parse the address of a peer, the user's own name, and the invite to a private group |
//! | core | [`protocol`] | the group: bytes and time go in, bytes and events come out; no socket, clock, terminal or randomness |
//! | | [`command`] | parses a line into a message or a command |
//! | seal | [`seal`] | encrypts and authenticates links: the handshake and the records |
//! | wire | [`wire`] | pure codecs between bytes, frames and the bodies of frames |
//! | base | [`limits`] | every limit and timeout, with its unit and reason |
//! | | [`error`] | the errors that end the program |
//! | | [`unicode`] | character properties from the Unicode Character Database |
//! | | [`sanitize`] | text from others, made safe to show |
//! | | [`look_alike`] | confusable names: the skeletons of UTS 39 |
//!
//! ```text
//!              +-----------------------------------------------------+
//!              | event_loop: wait, handle, flush, next timeout, reap |
//!              +---+----------------+---------------+-----------+----+
//!                  | owns           | owns          | owns      | owns
//!                  v                |               v           v
//!         +----------------+        |       +--------------+ +----------+
//!         | group_peer     |        |       | terminal     | | resolver |
//!         | server         |        |       | keys, editor | +----------+
//!         +----------------+        |       | format       |
//!            ^ sockets              |       +--------------+
//!            |                      v               ^
//!            |  bytes   +-----------------------+   | events (Event), by way
//!            +--------->| protocol::group       |---+ of the loop
//!                       +-----------------------+
//!                         | connection: decoder, cursor, outbox
//!                         | members: names, sequence, private_queue; gossip
//!                         | dialer: targets, back-off
//!                         | log: messages and their numbers
//!                         | timers, history
//!                         v
//!                       +-----------------------------------------------+
//!                       | seal: keys, handshake, records                |
//!                       +-----------------------------------------------+
//!                       | wire: decoder, frame, lab, message, hello     |
//!                       +-----------------------------------------------+
//! ```
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
//!
//! # Five flows
//!
//! Functions in the order in which they are called. `Group::…` is in `protocol/group.rs` or in the files of
//! `protocol/group/`.
//!
//! **A byte becomes a line on the screen**
//!
//! 1. `EventLoop::handle_events` → `GroupPeer::handle_client_event`: the stream is marked readable.
//! 2. `EventLoop::read_peers` → `GroupPeer::read_next` → `Group::handle_bytes` → on a link `handle_records` →
//!    `Records::open`.
//! 3. `Decoder::receive` → `Group::handle_frame`, which looks at the phase of the connection: `handle_first_frame`,
//!    `handle_handshake_frame`, `handle_hello`, `handle_plain_frame` or `handle_link_frame`.
//! 4. A member's message: `Group::receive` → `RecvState::receive` (new or not) → `ShownBodies::receive` →
//!    `Group::show`. A plain peer's: `Group::receive_plain`.
//! 5. `Group::poll_event` → `EventLoop::show_events` → `Terminal::show_event` → `show_now` → `Formatter::push`.
//! 6. `Terminal::flush` → `LineUi::draw`, and one write to standard output.
//!
//! **A key becomes bytes on the sockets**
//!
//! 1. `Terminal::handle_readiness` → `Stdin::handle_event`: standard input is marked readable.
//! 2. `EventLoop::handle_input`, while `Group::send_limit` allows it → `Terminal::read_input` →
//!    `LineUi::handle_bytes` → `Keys::receive`.
//! 3. `Terminal::next_action` → `LineUi::poll` → `Editor::press`; Enter makes a `UserAction::Submit`. (A pipe:
//!    `Stdin::next_line`; most of its lines go from `handle_input` to `Group::broadcast` directly.)
//! 4. `EventLoop::handle_line` → `execute` → `command::read` → `EventLoop::broadcast` → `Group::broadcast`.
//! 5. `MessageWriter::write` formats the frame, and `Log::append` gives it its **number**.
//! 6. `GroupPeer::flush` → `Group::flush` → `flush_client` → `Client::write` (from the cursor; on a link through
//!    `Records::seal`) → `write` in `group_peer`.
//!
//! **A lost connection is dialled again**
//!
//! 1. `GroupPeer::read_next` → `Group::handle_closed` or `handle_failed` → `lose`.
//! 2. A member: `unlink` → `Dialer::handle_lost`. A plain peer: `lose_plain` → the same.
//! 3. `Target::handle_lost` → `Target::wait`: the **back-off** (`RETRY_MIN`, `RETRY_MAX` in `limits`).
//! 4. `Group::deadline` → `Dialer::deadline` ends the wait of the loop when the target is due.
//! 5. `GroupPeer::dial` → `Group::poll_dial` → `Dialer::poll` → `start_dialling` → `Group::handle_dialing`.
//! 6. `finish_dialling` → `Group::handle_connected` (message 1) → `handle_first_frame` → `handle_handshake_frame` (message 3,
//!    `Client::seal`) → `handle_hello` → `establish` (requests `resume`).
//! 7. At the other end: `handle_request` → `SendState::start` → `Client::offer_from`.
//!
//! If the two **dial each other at once**, both connections come to step 7; `handle_request` closes older links that
//! are dead (`pair::dead`); `close_surplus`, at the end of `handle_member_frame`, closes the one that is not needed
//! (`pair::surplus`); 5 s later `close_silent_links` ([`protocol`](protocol#one-connection-a-pair)).
//!
//! **A private message**
//!
//! 1. `EventLoop::execute` → `find_recipient` → `Group::find` → `recipient::find`.
//! 2. `EventLoop::send_private` → `Group::send_private` → `PrivateQueue::push`: it is kept and has a number.
//! 3. If there is a link: `push_private` → `Clients::push` → `Group::flush`, ahead of the log.
//! 4. At the other end: `handle_link_frame` → `receive_private` → `PrivateQueue::receive` → `Group::show`.
//! 5. `Member::ack_due` → `Timer::Ack` → `send_ack` → `push_ack`.
//! 6. At the sender: `handle_member_frame` → `PrivateQueue::ack`, which removes it.
//! 7. On a new link, `handle_request` sends what is kept again; where one of several links ended, `push_unknown`.
//!
//! **The history of a newcomer**
//!
//! 1. `Group::establish` sends `ask all` and `RecvState::request` (`join`), and calls `History::begin`.
//! 2. At the first member: `handle_member_frame` → `handle_request` → `SendState::start` (`from`) →
//!    `Client::offer_from`; and `send_all_members` → `Member::base_for`.
//! 3. The newcomer: `handle_entries` → `RecvState::learn_base`, `Target::wake`; `GroupPeer::dial` dials them all.
//! 4. Each link: `handle_member_frame` → `RecvState::start`; what is owed and gone is `Event::Missed`.
//! 5. `Group::receive` → `History::keep_past`; other events wait in `History::keep_present`.
//! 6. `end_history_when_complete` → `History::end`: the older messages by time, `Event::Present`, then the rest.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod address;
pub mod args;
pub mod command;

pub mod error;
pub mod event_loop;
pub mod group_file;
pub mod group_peer;
pub mod invite;
pub mod limits;
pub mod look_alike;
pub mod manual;
pub mod name;
pub mod protocol;
pub mod resolver;
pub mod sanitize;
pub mod seal;
pub mod server;
pub mod shell_completions;
pub mod terminal;
pub mod unicode;
pub mod wire;
