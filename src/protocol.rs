//! The core of the group: bytes and time go in, bytes and events come out.
//!
//! Nothing here has a socket, a clock, a terminal or a source of randomness. [`Group`] carries the
//! streams of its connections as a type parameter without a bound: it can hold one and hand it out, and
//! has no way to read or write it. The program runs it with TCP streams, the simulation with numbers,
//! and both run the same code. What the bytes on a connection mean is in [`wire`](crate::wire).
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`group`] | the coordinator of all the others: its calls and their order |
//! | `group::dialing` | the group dials: members, and the peers that the user names |
//! | `group::handshakes` | from the first frame of a connection to an established link |
//! | `group::links` | what is exchanged on links, until they end |
//! | `group::membership` | how members become known, are reported to others, leave and expire |
//! | `group::plain` | plain peers: what they send, and the events about them |
//! | `group::sending` | the log is written to all; input and leaving wait for that |
//! | `group::names`, `group::queries` | names of those who are present; what the user can ask |
//! | [`connection`] | one connection: its phase, its decoder, its cursor into the log, its outbox |
//! | `clients` | all connections: the indexes that depend on their phases, and which have bytes to be written |
//! | [`sequence`] | numbered messages: acknowledgement and resume, the sender's side and the receiver's |
//! | [`log`] | every message that was sent to all, once for all connections |
//! | `own_run` | our own run: its id, its name, how it was started |
//! | `pair` | which of several links between two members is closed |
//! | `private_queue` | the private messages of a pair, until they are acknowledged |
//! | `history` | the older messages that a newcomer is shown, merged by time |
//! | `shown_bodies` | hashes of the last messages, so that none is shown twice that comes on two connections |
//! | [`members`] | the table of members, and the tombstones of former ones |
//! | `gossip` | the schedule of news, comparisons and inquiries; which addresses make sense here |
//! | [`target`] | a peer to be dialled: its addresses, the state of the attempt, the back-off |
//! | [`dialer`] | all targets: which is dialled next, the limits of dialling |
//! | [`timers`] | one queue of deadlines |
//! | [`label`], `names`, [`former_names`] | what a peer is called here; marks on names that look alike; names out of use |
//! | [`recipient`] | which peer is meant by a name that the user writes |
//! | [`roster`] | what `/who` shows, and the results of commands |
//! | [`visitors`] | connections that never sent a message, counted by host |
//! | `places` | which connection is closed when there is no room for another |
//! | `budget` | so much work for each host at once, and so much more each second |
//! | [`event`] | the events that the user is shown |
//!
//! # Members
//!
//! A **member** is a run of this program that has finished a handshake. A **plain peer** sends messages and exits
//! and nothing else: `nc`, the program of the course exercise, `groupchat --plain`. A **link** is a connection whose
//! handshake is finished and on which each side has sent its **hello**. An **open** group takes everybody, plain peers
//! too. A **private** group takes only members that have its secret.
//!
//! ## Handshake
//!
//! The side that dials sends the first frame of the handshake as soon as the connection is made. The side that accepts
//! replies to it and sends none unasked, so `nc` never receives one unless it is dialled. [`seal`](crate::seal) has the
//! three frames; after them, everything is encrypted, and each side has proved that it has its private key.
//!
//! | | the side that dials | the side that accepts |
//! | --- | --- | --- |
//! | 1, 2 | message 1 | message 2 |
//! | 3 | message 3; inside the records: `run`, `port`, `name`, `sent` | |
//! | 4 | | the same lines, and those of the first frame on a link |
//! | 5 | the first frame on a link | |
//!
//! The first frame on a link carries the sender's name, its request (below), `private-ack` and, where they apply,
//! `linked yes`, `ask all` and `digest`.
//!
//! A member's **id** is a hash of its public key, its run and its nonce ([`Identity`](crate::wire::identity::Identity)).
//! The key is the handshake's. So nobody can send in a member's name without its private key, and a member at another
//! address is simply itself. An entry about a member carries what its id is computed from: it shows that such an id exists,
//! not that the member is there.
//!
//! Any failure of a check ends the connection without a byte. The same holds for a frame between those of the handshake,
//! for one that begins like a handshake and is none, and for a first frame of more than
//! [`HANDSHAKE_FRAME_BYTES_MAX`](crate::limits::HANDSHAKE_FRAME_BYTES_MAX). So somebody who alters a byte breaks the
//! connection, and cannot make the two send in plain text.
//!
//! ## Numbers and resume
//!
//! Each run numbers its messages to all by counting from 0; [`Log::append`] assigns the number. A number is not in
//! the frame. On each link the receiver requests the number that it expects (`resume`), and the sender replies with
//! the number that it sends next (`from`); the receiver counts on from there. It acknowledges with `ack`, at most
//! once a second. So after a broken connection nothing is lost that the log holds, and nothing is shown twice. The
//! rule is in [`sequence`], for these messages and for private ones.
//!
//! ## One connection a pair
//!
//! Two members that dial each other at once establish both connections. Both carry every message, and the numbers
//! decide which ones are new. The surplus link then ends (`pair`):
//!
//! | where | what is closed |
//! | --- | --- |
//! | the first frame on a link has no `linked yes` | every older link of the pair: the other end has none, so they are dead |
//! | each side dialled one | the one that the smaller id dialled |
//! | one side dialled both | the older one |
//! | a link was silent since the last one was connected, for 5 s | that link, whichever it is |
//!
//! In the second and third row, the side that dialled the surplus link closes it, after it has received something
//! on the better one since both are connected, and the list of all members if it has requested that.
//!
//! ## Plain peers
//!
//! Nothing of the log is sent on a connection before it is known what is at its other end.
//!
//! | connection | is taken for a plain peer |
//! | --- | --- |
//! | accepted | at a message or an exit as its first frame, or after 500 ms without a hello |
//! | dialled, to an address that the user named | the same, but after three times the time that it took to connect, 500 ms at least and 3 s at most; [`Diagnostic::Assumed`] reports that, unless `--framing` was given |
//! | dialled, to an address that a member reported, or where a member was met | never: a message or an exit closes it, and so do 10 s without a finished handshake |
//! | any, in a private group | never: what is no handshake closes it, nothing is sent, and nothing is shown |
//!
//! - A run with `--plain` takes every peer for a plain one: at once those that dial it, and with `--framing` also
//!   those that it dials.
//! - A frame of a handshake on the connection of a plain peer starts the handshake if nothing was received and no message
//!   was sent before. Otherwise the connection is closed; the side that dialled dials anew, and expects a member.
//! - What was sent to a plain peer never counts as delivered to a member. If the user named it, the new connection
//!   begins where the plain one did.
//! - What was sent in a framing that is a guess counts as delivered to nobody until the peer has sent a frame in that
//!   framing.
//!
//! ## Shown once
//!
//! A plain frame has no number, so a member that was taken for a plain peer sends again what was shown already: on its
//! link, or on a second connection, if both sides dialled. The hashes of the last messages with a time are kept for a
//! while, by host and connection (`shown_bodies`), if we dialled a connection to the host that is no link: on any other,
//! a member's first frame is one of a handshake. A message with the same body from the same host is not shown again, unless it
//! comes on the connection on which it came before.
//!
//! ## Where a newcomer begins
//!
//! A newcomer is **owed** all messages since it belongs to the group. The member that introduces it reports the
//! number at which that is, for each other member (`member ID NUMBER …`). The newcomer requests `join HISTORY
//! NUMBER`, and the sender replies with `from FROM PRESENT`.
//!
//! | messages | are |
//! | --- | --- |
//! | from `FROM` on and before `PRESENT` | **history**: at most `HISTORY` older ones, shown together above a line once all members have sent theirs, or after 2 s (`history`) |
//! | from `PRESENT` on | owed |
//! | from `PRESENT` on and before `FROM` | **missed**: owed, and no longer in the log; [`Event::Missed`] has their exact number |
//!
//! With its hello each side says how many messages it has sent (`sent`), so that the number is known as soon as two have
//! met. The sender has recorded itself what it owes to the newcomer, and the smaller number counts. So two members that
//! could not reach each other for a while lose nothing that the log holds.
//!
//! ## Private messages
//!
//! They have numbers of their own for each pair, which are in their frames. The sender keeps each until
//! `private-ack` acknowledges it, and sends it again on every new link of the pair (`private_queue`).
//!
//! ## Gossip
//!
//! | when | what is sent |
//! | --- | --- |
//! | a run meets its first member, or a new one that the user named | `ask all`; the reply is the whole list (`member`, `absent`), then `end of-list`; the newcomer dials them all at once |
//! | 1 s later | news: that member sends the newcomer's entry to all its links; a receiver waits 2 s, or 4 s if its own id is the smaller one, before it dials |
//! | the table of members has changed | `digest` to one member after another, 12 times, in pauses that grow from 2 s to 15 s; also on each link to a member that was met before |
//! | two digests differ | `buckets`, `bucket`, then the entries that either side lacks |
//! | members are absent | `ask ID,…` to three members that reported them and to three others, 1 s after a loss and then every minute; the reply is what those know |
//!
//! So a join costs a group of N some N entries, not N². The schedule is in `gossip`, the rest in `group::membership`, the
//! digests in [`members`].
//!
//! ## Membership
//!
//! A member belongs to the group, not to a pair. One that is not connected here is kept until 10 minutes after a
//! member that was connected to it reported that (the age in `absent` says how long ago), and is dialled until
//! then. Afterwards it is expired. Its tombstone keeps its numbers, so that it continues where it ended
//! if it returns. A table that is full makes room only for a member that connects here itself; an absent one is
//! removed for it.
//!
//! A private group knows the members that earlier runs met, and the addresses of invites. They are dialled from the start
//! and again until they are met, also after a goodbye, and they are no members before.
//!
//! ## Goodbyes
//!
//! Each run has a secret **token**, and the nonce in its id is a hash of it. A run that leaves sends `left ID TOKEN` on
//! every link, and then an exit frame, which has a number as messages do. A token proves to anybody that the run with this id
//! has left, whoever shows it. So a member whose link was down learns it from the others, and an entry of a run that
//! has left is answered with its token. An exit without a token, like a connection that breaks, means that the
//! member is lost, not that it left.
//!
//! ## Limits for strangers
//!
//! Reports of other members may be wrong, or aimed at a victim. The numbers are in [`limits`](crate::limits).
//!
//! | what | limit | where |
//! | --- | --- | --- |
//! | dials to an address where nobody was met | one at a time; 4 at a time for each host (IPv6: each /64); 30 that fail, and 2.5 more each second | [`dialer`] |
//! | entries that one member may report | 1,000 in a minute | [`members`] |
//! | addresses of a member | 8, of which 2 are passed on; none that cannot mean the same place here | [`target`], `gossip` |
//! | a handshake | 10 s; 512 bytes before the first check; each host (IPv6: each /64) may begin 2,000 at once, and 1,000 more each second; 4,096 begun and unfinished | [`group`], `budget` |
//! | connections | as many as there are descriptors; then the newest unproven one of the host that holds most of them is closed | `places` |
//! | lines about connections without a message, and about failed handshakes | one a minute for each host | [`visitors`] |
//!
//! Only members that were met count for names, for exit codes and for what is not delivered.

mod budget;
mod clients;
pub mod connection;
pub mod dialer;
pub mod event;
pub mod former_names;
mod gossip;
pub mod group;
mod history;
pub mod ids;
pub mod label;
pub mod log;
pub mod members;
mod names;
mod own_run;
mod pair;
mod places;
mod private_queue;
pub mod recipient;
pub mod roster;
pub mod sequence;
mod shown_bodies;
pub mod target;
pub mod timers;
mod unfinished;
pub mod visitors;

pub use crate::seal::Access;
pub use crate::wire::identity::MemberId;
pub use connection::Client;
pub use dialer::Attempt;
pub use event::{Diagnostic, Event, LostReason, PeerInfo};
pub use group::Group;
pub use ids::{ClientId, TargetId};
pub use label::Label;
pub use log::Log;
pub use own_run::Setup;
pub use target::Peer;
pub use visitors::Host;
