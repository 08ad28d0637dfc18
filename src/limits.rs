//! Limits and timeouts: every one with its unit and its reason.
//!
//! Relations between limits are asserted at compile time, at the end.

use std::time::Duration;

// The wire.

/// A frame with its code, in bytes: the greatest length that lab framing has room for.
pub const FRAME_BYTES_MAX: usize = 65_535;

/// The text of one message, in bytes, each escape counted as one: what fits a frame with the longest name, a time
/// and a number, rounded down. A longer line of a pipe is split into pieces of this size.
pub const MESSAGE_BYTES_MAX: usize = 65_000;

/// A name, in bytes: long enough for any real one, short enough to leave a frame to the message.
pub const NAME_BYTES_MAX: usize = 64;

/// Longest name in the argument of a command, in bytes: a name of [`NAME_BYTES_MAX`], written with the widest
/// look-alike characters, in quotes and with a mark.
pub const RECIPIENT_BYTES_MAX: usize = 512;

/// Candidates that are listed for an ambiguous name: as many as fit a few rows.
pub const RECIPIENTS_LISTED_MAX: usize = 8;

/// Names of those who are gone or have taken another that are remembered, so that a private message to one
/// of them is not sent to somebody else: as many as a group has members. Each costs some 300 bytes.
pub const FORMER_NAMES_MAX: usize = MEMBERS_MAX;

// Sealed links.

/// The text of one record, in bytes: so long that the tag and the system call cost little, and so short that a record that
/// is not written whole costs little memory.
pub const RECORD_TEXT_BYTES_MAX: usize = 16 << 10;

/// Records that are sealed with one key. BOLT 8 of the Lightning Network changes it after 1,000.
pub const REKEY_RECORDS: u32 = 1_024;

/// Ephemeral keys of first messages that a listener of a private group remembers: 256 KiB at most.
pub const EPHEMERALS_MAX: usize = 4_096;

/// Handshakes of connections that were accepted which have begun and are not finished. Each takes some 2 KiB.
pub const HANDSHAKES_MAX: usize = 4_096;

/// Handshakes that one host (IPv6: one /64) may begin at once, and how many more each second. Each costs some 0.25 ms, so
/// a host can use up a quarter of a processor; and a group of a thousand behind one address links at once.
pub const HOST_HANDSHAKES_BURST: f64 = 2_000.0;
/// See [`HOST_HANDSHAKES_BURST`].
pub const HOST_HANDSHAKES_PER_SECOND: f64 = 1_000.0;

/// A step of a handshake counts as reading so many bytes: it takes about as long.
pub const HANDSHAKE_STEP_BYTES: usize = 2 << 10;

/// A frame of a handshake with its code, in bytes: the longest one has 220.
pub const HANDSHAKE_FRAME_BYTES_MAX: usize = 512;

// Private groups.

/// The name of a private group, in characters: a file name, and the start of an invite that is typed by hand.
pub const GROUP_NAME_CHARS_MAX: usize = 32;

/// An invite, in bytes: room for [`INVITE_ADDRESSES_MAX`] host names, which are seldom longer than 140 characters.
pub const INVITE_BYTES_MAX: usize = 512;

/// A line that is typed at a prompt, in bytes: a terminal that edits lines takes 4,096 at most (termios(3)).
pub const PROMPT_LINE_BYTES_MAX: usize = 4096;

/// Addresses in an invite: one in the network at home, one by which the router forwards, and a spare one.
pub const INVITE_ADDRESSES_MAX: usize = 3;

/// The group file, in bytes: twice what the limits below leave room for, as a later version may add lines.
pub const GROUP_FILE_BYTES_MAX: usize = 384 << 10;

/// Members in the group file: far more than take part in one conversation. Each takes at most 700 bytes there.
pub const GROUP_MEMBERS_MAX: usize = 256;

/// Addresses from invites in the group file: those of the last two or three.
pub const GROUP_ADDRESSES_MAX: usize = 8;

/// How long after a member was met the group file is saved: those that come at one time are saved together.
pub const GROUP_SAVE_INTERVAL: Duration = Duration::from_secs(5);

/// Secrets in the group file: whoever missed three changes of the secret needs a new invite.
pub const GROUP_SECRETS_MAX: usize = 4;

// The log.

/// What the broadcast log keeps, in bytes: some 10,000 lines of chat, to let a client that is
/// behind catch up, and a cost of memory that a small machine does not notice.
pub const LOG_BYTES: usize = 1 << 20;

/// Room that the log must have before another line is taken from the user, in bytes: what one line
/// of [`MESSAGE_BYTES_MAX`] fills at most.
pub const LINE_LOG_BYTES_MAX: usize = 4 * FRAME_BYTES_MAX;

/// A client that has taken nothing for this long no longer holds standard input back.
pub const WRITE_HOLD_BACK: Duration = Duration::from_millis(250);

/// A client that has taken nothing for this long while bytes wait is closed.
pub const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(15);

/// A client that takes nothing is tried again this often, even if the poll has not reported room.
pub const WRITE_PROBE_INTERVAL: Duration = Duration::from_secs(1);

// Leaving.

/// While leaving, a client that has taken nothing for this long is given up. Standard output too.
pub const LEAVE_STALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Leaving takes no longer than this, whatever a reader does that takes a little at a time.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(15);

/// After the last byte, how long the other side is read to its end. A close with unread input
/// sends a reset, which can destroy our last frame on its way to the reader.
pub const LINGER_TIMEOUT: Duration = Duration::from_millis(500);

// Dialling.

/// One attempt to reach a peer, over all its addresses. The kernel alone would take two minutes.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections being made at one time: enough to join a large group at once, and few enough that a
/// list of addresses where nobody answers costs little.
pub const DIALS_MAX: usize = 16;

/// Of those, how many may be to members that nobody here has met: a report may be wrong.
pub const DIALS_UNMET_MAX: usize = 12;

/// Dials at one time to one host (IPv6: one /64) where nobody was met: reported addresses may be aimed
/// at somebody.
pub const UNPROVEN_DIALS_MAX: usize = 4;

/// Failed dials to such a host at once, before they are limited: with those of 10 s more, at most 60.
pub const HOST_DIALS_BURST: f64 = 30.0;

/// Failed dials to such a host per second.
pub const HOST_DIALS_PER_SECOND: f64 = 2.5;

/// How many members that nobody here has met are shown to the user when they cannot be reached.
pub const UNMET_SHOWN_MAX: usize = 16;

/// The longest time that a peer which the user named may send nothing before it is taken for a plain peer. The time is
/// three times that of connecting, but at least [`PLAIN_WAIT_MIN`] and at most this.
pub const PLAIN_WAIT_MAX: Duration = Duration::from_secs(3);

/// How long a script's command that names a member waits, after a peer was named, until the members of
/// its group are met: an attempt to reach the peer, and then one to reach those that it reports.
pub const MEET_TIMEOUT: Duration = Duration::from_secs(20);

/// How long `--send` waits until every peer has received the messages: as long as for any stalled peer.
pub const SEND_TIMEOUT: Duration = WRITE_STALL_TIMEOUT;

/// The most of the first pause before a peer is dialled again; it doubles with every failure.
pub const RETRY_MIN: Duration = Duration::from_millis(250);

/// How long a connection has to be up before the next pause is the shortest again: a listener that answers and closes at once
/// is not dialled without end.
pub const RETRY_RESET_TIME: Duration = Duration::from_secs(10);

/// The most of the longest pause before a peer is dialled again.
pub const RETRY_MAX: Duration = Duration::from_secs(30);

/// Addresses of one host name; further ones are ignored.
pub const ADDRESSES_MAX: usize = 16;

/// Timeout of a look-up: what a resolver takes for two servers that do not reply (resolv.conf(5): 5 s each).
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Look-ups in the queue, which run one after the other.
pub const LOOKUPS_MAX: usize = 16;

/// Size of the reply to a look-up, in bytes: far more than [`ADDRESSES_MAX`] addresses.
pub const LOOKUP_REPLY_BYTES_MAX: usize = 4096;

// The group.

/// Members known at one time. What one knows costs some 500 bytes, and a dial now and then.
pub const MEMBERS_MAX: usize = 1_000;

/// Addresses known of one member. Those where it was met stay; those that others reported make room once they failed,
/// and half of the room at most is for reports from one host.
pub const MEMBER_ADDRESSES_MAX: usize = 8;

/// Members that one member may report in [`REPORTS_INTERVAL`]: one whole list.
pub const REPORTS_MAX: usize = MEMBERS_MAX;

/// See [`REPORTS_MAX`].
pub const REPORTS_INTERVAL: Duration = Duration::from_secs(60);

/// How long a list of members may grow in one peer frame, in bytes, before it needs another: small
/// enough that its escapes fit as well.
pub const PEER_FRAME_BYTES: usize = 32 << 10;

/// The shortest time without a hello after which a connection is taken for a plain peer's: two round trips to the
/// other side of the earth. For a connection that was accepted it is the only one.
pub const PLAIN_WAIT_MIN: Duration = Duration::from_millis(500);

/// A handshake that is not finished after this long is closed.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a message costs beside its text, more or less: many empty ones are many, too.
pub const EVENT_BYTES_EACH: usize = 64;

/// How long a member waits before it dials a newcomer that was reported: the newcomer dials all members at once,
/// and one connection is enough.
pub const NEWS_DIAL_DELAY: Duration = Duration::from_secs(2);

/// Of two connections of a pair, how long the better one may send nothing before it is the one that is closed.
pub const SURPLUS_TIMEOUT: Duration = Duration::from_secs(5);

/// After a change, digests are compared with one member after another. The last pause is half of this, each of the
/// three before is half of the next one, and the first ones are a sixteenth of it.
pub const COMPARE_INTERVAL: Duration = Duration::from_secs(30);

/// How many comparisons follow a change: enough that a member which was not connected when the news was sent is
/// found.
pub const COMPARE_ROUNDS: u32 = 12;

/// The interval of inquiries about absent members, while there are any.
pub const INQUIRE_INTERVAL: Duration = Duration::from_secs(60);

/// The time from a loss to the next inquiry.
pub const INQUIRE_DELAY: Duration = Duration::from_secs(1);

/// How many members one inquiry is sent to; and as many again that reported the absent ones.
pub const INQUIRE_MEMBERS: usize = 3;

/// How many bytes the unfinished frames of all connections of non-members may have together. Beyond that, the connection
/// with the longest one is closed.
pub const UNFINISHED_BYTES_MAX: usize = 4 << 20;

/// How long a frame may take: long enough to type one by hand.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(300);

/// The last messages of plain peers, and those of members, are remembered, so that none is shown twice that arrives on
/// two connections: so many, for so long.
pub const SHOWN_BODIES_MAX: usize = 1_024;

/// See [`SHOWN_BODIES_MAX`].
pub const SHOWN_BODIES_TIME: Duration = Duration::from_secs(3600);

/// How many times is remembered which of a member's messages came before others became known.
pub const JOIN_MARKS_MAX: usize = 64;

/// How often members are sent news of newcomers.
pub const NEWS_INTERVAL: Duration = Duration::from_secs(1);

/// Of how many at a time, so that a crowd that comes at once costs no turn too much.
pub const NEWS_MAX: usize = 100;

/// A member expires this long after a member was last connected to it, as far as is known here.
pub const MEMBER_EXPIRY: Duration = Duration::from_secs(600);

/// Members remembered after they left or expired, so that nobody brings one back and its messages are not shown again.
pub const TOMBSTONES_MAX: usize = 1_000;

// The delivery.

/// How often messages of a member are acknowledged.
pub const ACK_INTERVAL: Duration = Duration::from_secs(1);

/// Messages that a newcomer gets from each member, unless `--history` says otherwise.
pub const HISTORY_DEFAULT: u64 = 20;

/// How long a newcomer waits for the rest of the past before it shows what it has.
pub const HISTORY_TIMEOUT: Duration = Duration::from_secs(2);

/// How much a newcomer keeps for that long, in bytes of text.
pub const HISTORY_BYTES: usize = 256 << 10;

/// Private messages kept for one member until it has them, in bytes: what fits one frame, or 1,000 lines.
/// No sender reaches that with [`MEMBERS_MAX`] members at once.
pub const PRIVATE_BYTES: usize = 64 << 10;

/// Members that are remembered because a private message did not reach them before they were gone: more
/// than one sentence can name.
pub const PRIVATE_LOST_MAX: usize = 100;

/// How often a line is shown of the connections from one host that sent no message, such as health checks, or that
/// claimed to be a member.
pub const VISITORS_INTERVAL: Duration = Duration::from_secs(60);

/// Hosts whose connections are counted apart for that long; those of more hosts are counted as one. Each
/// costs some 50 bytes.
pub const VISITOR_HOSTS_MAX: usize = 256;

/// Peers that the user may name, at the start and while chatting.
pub const NAMED_MAX: usize = 1_000;

/// How long joins and leaves are collected into one line at a terminal: short enough that nobody misses them,
/// long enough to connect to all members of a group.
pub const PRESENCE_WINDOW: Duration = Duration::from_secs(2);

/// Names in a line about joins or leaves, of which the last may be "12 others". The list of the members of an
/// existing group may have more.
pub const PRESENCE_NAMES_MAX: usize = 3;

// Unreachable peers.

/// Idle time after which the kernel sends keepalive probes. With [`KEEPALIVE_INTERVAL`] and
/// [`KEEPALIVE_PROBES`], an unreachable machine is detected after 30 s.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);

/// Time between two keepalive probes.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// Unanswered keepalive probes after which the connection fails.
pub const KEEPALIVE_PROBES: u32 = 3;

/// How long data may stay unacknowledged before the connection fails (TCP_USER_TIMEOUT, RFC 5482).
pub const USER_TIMEOUT: Duration = Duration::from_secs(30);

// One turn of the loop. Each budget is one for all connections, so that a turn stays within some milliseconds,
// whatever they send, and the terminal and the signals never wait for longer than that.

/// Bytes read in one turn from all connections together: so many cost up to 20 ms, if all of them have to be sanitized
/// and wrapped at a terminal.
pub const READ_TURN_BYTES: usize = 64 << 10;

/// Of those, bytes read from one connection before the next one is read: what becomes of them fits into a processor's
/// first cache.
pub const READ_SHARE_BYTES: usize = 16 << 10;

/// A read counts as at least this many bytes: the system call and the end of a connection cost time as well.
pub const READ_CALL_BYTES: usize = 512;

/// Bytes written in one turn to all connections together.
pub const WRITE_TURN_BYTES: usize = 2 << 20;

/// Of those, bytes written to one connection.
pub const WRITE_SHARE_BYTES: usize = 256 << 10;

/// A write counts as at least this many bytes: a system call costs as much as copying them.
pub const WRITE_CALL_BYTES: usize = 2 << 10;

/// Writes to one connection in one turn: lab framing takes one for each frame.
pub const WRITE_TURN_CALLS: usize = 16;

/// Bytes appended to the log in one turn, before they are written to the connections.
pub const SEND_TURN_BYTES: usize = 128 << 10;

/// Connections accepted in one turn.
pub const ACCEPT_TURN: usize = 16;

/// Events taken from the poll in one turn.
pub const EVENTS: usize = 1024;

/// Connections that wait in the kernel to be accepted, as Linux allows by default (somaxconn).
pub const BACKLOG: i32 = 4096;

/// Pause before accepting is tried again when descriptors are used up.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How long nobody has had to wait for a descriptor until the user is shown again that there is none.
pub const CROWD_INTERVAL: Duration = Duration::from_secs(60);

// Standard input and output.

/// One read of standard input, in bytes: what a pipe holds on Linux.
pub const INPUT_READ_BYTES: usize = 64 << 10;

/// Longest escape sequence of a key, in bytes. The longest known one, with a few characters of text in it,
/// takes some 30; a longer one is no key.
pub const SEQUENCE_BYTES_MAX: usize = 64;

/// Timeout of an incomplete escape sequence, after which ESC was a key: longer than a terminal pauses within a
/// sequence, and short enough for a user who pressed Escape. Lines that arrive within this time of each other,
/// after several at once, belong to one paste.
pub const SEQUENCE_TIMEOUT: Duration = Duration::from_millis(100);

/// Time after a Ctrl+C that cleared the line, within which another one does not leave.
pub const INTERRUPT_GRACE: Duration = Duration::from_secs(1);

/// Text before the cursor that tab completion examines, in bytes: more than a name takes, also in another case.
pub const COMPLETED_BYTES_MAX: usize = 4 * NAME_BYTES_MAX;

/// Recent senders that are remembered: more than a group has members.
pub const SPEAKERS_MAX: usize = 2 * MEMBERS_MAX;

/// Length of the quotation of a failed command, in characters: enough to recognise it.
pub const COMMAND_CHARS_MAX: usize = 40;

/// How much of an argument is quoted when it is refused, in characters: any name, address or path that is
/// likely to be a mistake, but no text.
pub const ARGUMENT_CHARS_MAX: usize = 80;

/// A format of times, in bytes: several times what a date and a time take in any way to write them.
pub const TIME_FORMAT_BYTES_MAX: usize = 200;

/// Lines of a paste from which on the user has to confirm it.
pub const PASTE_LINES_ASK: usize = 21;

/// Characters of a paste from which on the user has to confirm it.
pub const PASTE_CHARACTERS_ASK: usize = 2_001;

/// Lines in the input history.
pub const INPUT_HISTORY_LINES_MAX: usize = 1_000;

/// Size of the input history, in bytes.
pub const INPUT_HISTORY_BYTES_MAX: usize = 1 << 20;

/// Edits that can be undone.
pub const UNDO_MAX: usize = 100;

/// Queue of standard output, in bytes. While it is longer, nothing is read from peers, so it exceeds the limit
/// by at most the lines of one read: 64 KiB of `x<MSGENCD>` become some 450 KiB.
pub const STDOUT_QUEUE_BYTES: usize = 256 << 10;

/// Backlog of an interactive terminal, in bytes: some 10,000 lines, more than anybody reads at once. Beyond
/// that, the oldest lines are skipped.
pub const BACKLOG_BYTES: usize = 1 << 20;

/// Interval of the check whether the program is in the foreground again: a shell sends no signal when it brings
/// a running program to the foreground.
pub const FOREGROUND_POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Part of the backlog that is drawn in one turn, in bytes, approximately: what a slow terminal draws in a
/// sixtieth of a second, so that typed text appears at once.
pub const DRAW_TURN_BYTES: usize = 32 << 10;

/// How long the size of a terminal must be stable before the next draw: while it changes, the wrapping of rows
/// is unknown, since tmux reports new sizes at most every 250 ms.
pub const RESIZE_SETTLE_TIME: Duration = Duration::from_millis(300);

/// Queue of the log file while it cannot be written, in bytes.
pub const LOGFILE_QUEUE_BYTES: usize = 256 << 10;

/// Part of the end of a log file that is compared with past messages, in bytes: some 3,000 lines, far more than
/// a newcomer receives.
pub const LOGFILE_COMPARED_BYTES: usize = 256 << 10;

/// Pause before writing the log file is tried again.
pub const LOGFILE_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Queue of standard error, in bytes. Lines that do not fit are dropped and counted.
pub const STDERR_QUEUE_BYTES: usize = 64 << 10;

/// One write to a shared pipe or socket that may block, in bytes: the smallest PIPE_BUF of common systems, for
/// which a pipe that polls writable has room.
pub const SHARED_WRITE_BYTES: usize = 4096;

/// One write to standard output or error that cannot block, in bytes.
pub const OUTPUT_TURN_BYTES: usize = 64 << 10;

/// Pause before writing to a full disk is tried again.
pub const OUTPUT_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Combining marks shown on one character; more would cover the rows above.
pub const MARKS_MAX: usize = 8;

const _: () = {
    // A byte that is not UTF-8 becomes the three of U+FFFD; an escape adds one to seven. Each of the
    // four frames that this takes has a header and a code of less than 512 bytes.
    assert!(MESSAGE_BYTES_MAX * 3 + 4 * 512 <= LINE_LOG_BYTES_MAX);
    assert!(MESSAGE_BYTES_MAX + 512 <= FRAME_BYTES_MAX);
    assert!(LINE_LOG_BYTES_MAX * 4 <= LOG_BYTES);
    assert!(NAME_BYTES_MAX * 2 + 128 < 512);
    assert!(MESSAGE_BYTES_MAX <= PRIVATE_BYTES);
    assert!(WRITE_HOLD_BACK.as_millis() < LEAVE_STALL_TIMEOUT.as_millis());
    assert!(LEAVE_STALL_TIMEOUT.as_millis() < WRITE_STALL_TIMEOUT.as_millis());
    assert!(SHARED_WRITE_BYTES <= OUTPUT_TURN_BYTES);
    assert!(READ_CALL_BYTES <= READ_SHARE_BYTES && READ_SHARE_BYTES <= READ_TURN_BYTES);
    assert!(WRITE_CALL_BYTES <= WRITE_SHARE_BYTES && WRITE_SHARE_BYTES <= WRITE_TURN_BYTES);
    assert!(RETRY_MIN.as_millis() < RETRY_MAX.as_millis());
    assert!(WRITE_HOLD_BACK.as_millis() < PLAIN_WAIT_MIN.as_millis());
    assert!(PLAIN_WAIT_MIN.as_millis() < HANDSHAKE_TIMEOUT.as_millis());
    assert!(DIALS_UNMET_MAX < DIALS_MAX);
    // Of a member: its key and three numbers; and an IPv6 address takes 60 bytes.
    assert!(140 + NAME_BYTES_MAX + MEMBER_ADDRESSES_MAX * 60 <= 700);
    assert!(
        GROUP_MEMBERS_MAX * 700 + (GROUP_ADDRESSES_MAX + INVITE_ADDRESSES_MAX + 1) * INVITE_BYTES_MAX
            <= GROUP_FILE_BYTES_MAX / 2
    );
    assert!(INVITE_ADDRESSES_MAX <= GROUP_ADDRESSES_MAX);
    assert!(MEET_TIMEOUT.as_millis() == 2 * DIAL_TIMEOUT.as_millis());
    assert!(PEER_FRAME_BYTES + PEER_FRAME_BYTES / 2 < FRAME_BYTES_MAX);
};
