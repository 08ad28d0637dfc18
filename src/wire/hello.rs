//! The body of a peer frame inside the records of a link: the information that members exchange beside messages.
//!
//! The first line is `groupchat/2`, then one `key value` a line. A body with another first line is passed over, and so
//! are unknown keys and values of another shape. Of several lines with one key, the last one counts, unless the key is
//! one of a list. The first frame of each side has `run`: it is its **hello**. When each line is sent, and what follows from
//! it, is in the docs of `protocol`.
//!
//! | line | meaning |
//! | --- | --- |
//! | `run NUMBER NONCE` | the sender: with its public key, which the handshake has proved, they are its [`Identity`] |
//! | `port PORT` | the TCP port that it listens on |
//! | `name VERSION NAME` | its name, and how many other names it had before |
//! | `sent NUMBER` | how many messages the sender has sent to everybody: later ones are owed to the receiver |
//! | `linked yes` | the sender has another established connection to the receiver |
//! | `resume NUMBER` | the sender requests the receiver's messages from this number on |
//! | `join HISTORY [NUMBER]` | the sender has received none of them; it requests those from NUMBER on, or from the next one on, and HISTORY older ones |
//! | `from NUMBER PRESENT` | the number of the sender's next message on this connection; those before PRESENT are history |
//! | `ack NUMBER` | the number of the message that the sender expects next |
//! | `private-ack NUMBER` | the same for private messages |
//! | `private-from NUMBER` | the number of the sender's next private message on this connection |
//! | `member KEY RUN NONCE NUMBER ADDRESS[,ADDRESS]... NAME` | a member that the sender is connected to: its identity, the first of its messages that the receiver is owed (`-` where that is not known), and its addresses |
//! | `absent SECONDS ...` | the same for a member that the sender is not connected to, and how long ago any member was connected to it, as far as the sender knows |
//! | `left ID TOKEN` | this run has left, if the token fits its nonce: nobody else can know a token before |
//! | `ask all` | the sender is new to the group and requests the list of all members |
//! | `end of-list` | the list is complete |
//! | `ask ID[,ID]...` | the sender requests what the receiver knows of these members |
//! | `digest DIGEST` | the digest of the ids of all members that the sender knows, itself included |
//! | `buckets DIGEST[,DIGEST]...` | the digest received differs from the sender's own; these are the sender's, one for each first digit of an id |
//! | `bucket DIGIT ID[,ID]...` | the ids with this first digit that the sender knows |

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::str::FromStr;

use super::identity::{Identity, MemberId, Nonce, Token};
use crate::limits::{MEMBER_ADDRESSES_MAX, NAME_BYTES_MAX, PEER_FRAME_BYTES};

/// Which messages a receiver requests at the start of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The message of this number and all later ones: the receiver has those before.
    Resume(u64),
    /// The receiver has none yet.
    Join {
        /// How many older messages it requests as well.
        history: u64,
        /// The first message that it is owed, as far as it knows.
        base: Option<u64>,
    },
}

/// Where a sender starts on a link: the reply to a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The number of the first message.
    pub from: u64,
    /// Messages before this number are history: they were sent before the receiver belonged to the group.
    pub history_end: u64,
}

/// The report of one member about another: the value of `member` and of `absent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The member.
    pub identity: Identity,
    /// How long ago a member was connected to it, in seconds, as far as the sender knows; 0 where the sender is.
    pub age: u64,
    /// The first of its messages that the receiver of the entry is owed, if the sender knows it.
    pub base: Option<u64>,
    /// The addresses where it was met, the last one first. Never empty.
    pub addresses: Vec<SocketAddr>,
    /// Its name.
    pub name: String,
}

/// A digest of a set of ids.
pub type Digest = u64;

/// The content of one peer frame. The module's table explains each line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the module's table explains each line")]
pub struct PeerFrame {
    pub run: Option<(u64, Nonce)>,
    pub port: Option<u16>,
    /// Version and name.
    pub name: Option<(u64, String)>,
    pub sent: Option<u64>,
    pub linked: bool,
    /// `resume` or `join`.
    pub request: Option<Request>,
    pub from: Option<Start>,
    pub ack: Option<u64>,
    pub private_ack: Option<u64>,
    pub private_from: Option<u64>,
    pub members: Vec<Entry>,
    pub absent: Vec<Entry>,
    pub left: Vec<(MemberId, Token)>,
    pub asks_all: bool,
    pub ends_list: bool,
    pub inquiry: Vec<MemberId>,
    pub digest: Option<Digest>,
    pub buckets: Vec<Digest>,
    /// First digit and ids.
    pub bucket: Vec<(usize, Vec<MemberId>)>,
}

/// The first line: this grammar, and its version.
const VERSION: &str = "groupchat/2";

impl PeerFrame {
    /// Reads a body; `None` if its first line is not that of this version.
    #[must_use]
    pub fn read(body: &str) -> Option<Self> {
        let mut lines = body.lines();
        if lines.next() != Some(VERSION) {
            return None;
        }
        let mut frame = Self::default();
        for (key, value) in lines.filter_map(|line| line.split_once(' ')) {
            match key {
                "run" => frame.run = read_run(value),
                "port" => frame.port = value.parse().ok().filter(|&port| port != 0),
                "name" => frame.name = read_versioned_name(value),
                "sent" => frame.sent = read_number(value),
                "linked" => frame.linked |= value == "yes",
                "resume" => frame.request = read_number(value).map(Request::Resume),
                "join" => frame.request = read_join(value),
                "from" => frame.from = read_start(value),
                "ack" => frame.ack = read_number(value),
                "private-ack" => frame.private_ack = read_number(value),
                "private-from" => frame.private_from = read_number(value),
                "member" => frame.members.extend(read_entry(0, value)),
                "absent" => frame.absent.extend(read_absent(value)),
                "left" => frame.left.extend(read_left(value)),
                "ask" if value == "all" => frame.asks_all = true,
                "ask" => frame.inquiry.extend(read_list::<MemberId>(value)),
                "end" => frame.ends_list |= value == "of-list",
                "digest" => frame.digest = read_digest(value),
                "buckets" => {
                    frame.buckets = value.split(',').map_while(read_digest).take(BUCKETS).collect();
                }
                "bucket" => frame.bucket.extend(read_bucket(value)),
                _ => (),
            }
        }
        Some(frame)
    }

    /// The body of this frame.
    #[must_use]
    pub fn body(&self) -> String {
        let mut body = String::from(VERSION);
        let mut line = |key: &str, value: &dyn fmt::Display| {
            write!(body, "\n{key} {value}").expect("a string takes everything");
        };
        let Self {
            run,
            port,
            name,
            sent,
            linked,
            request,
            from,
            ack,
            private_ack,
            private_from,
            members,
            absent,
            left,
            asks_all,
            ends_list,
            inquiry,
            digest,
            buckets,
            bucket,
        } = self;
        run.iter().for_each(|(run, nonce)| line("run", &format_args!("{run} {nonce}")));
        port.iter().for_each(|port| line("port", port));
        name.iter().for_each(|(version, name)| line("name", &format_args!("{version} {name}")));
        sent.iter().for_each(|number| line("sent", number));
        linked.then(|| line("linked", &"yes"));
        match request {
            Some(Request::Resume(next)) => line("resume", next),
            Some(Request::Join { history, base: None }) => line("join", history),
            Some(Request::Join { history, base: Some(base) }) => {
                line("join", &format_args!("{history} {base}"));
            }
            None => (),
        }
        from.iter().for_each(|start| line("from", &format_args!("{} {}", start.from, start.history_end)));
        ack.iter().for_each(|next| line("ack", next));
        private_ack.iter().for_each(|next| line("private-ack", next));
        private_from.iter().for_each(|number| line("private-from", number));
        members.iter().for_each(|entry| line("member", entry));
        absent.iter().for_each(|entry| line("absent", &format_args!("{} {entry}", entry.age)));
        left.iter().for_each(|(id, token)| line("left", &format_args!("{id} {token}")));
        asks_all.then(|| line("ask", &"all"));
        ends_list.then(|| line("end", &"of-list"));
        if !inquiry.is_empty() {
            line("ask", &joined(inquiry));
        }
        digest.iter().for_each(|digest| line("digest", &format_args!("{digest:016x}")));
        if !buckets.is_empty() {
            let digests: Vec<_> = buckets.iter().map(|digest| format!("{digest:016x}")).collect();
            line("buckets", &digests.join(","));
        }
        for (digit, ids) in bucket {
            line("bucket", &format_args!("{digit:x} {}", joined(ids)));
        }
        body
    }

    /// The entries of `members`, in as many frames as they need.
    pub fn of_members(members: impl IntoIterator<Item = Entry>) -> Vec<Self> {
        let (mut frames, mut bytes) = (Vec::new(), PEER_FRAME_BYTES);
        for entry in members {
            let more = entry.to_string().len() + "\nmember ".len();
            if bytes + more > PEER_FRAME_BYTES {
                frames.push(Self::default());
                bytes = 0;
            }
            bytes += more;
            frames.last_mut().expect("the first entry began one").members.push(entry);
        }
        frames
    }
}

/// How many buckets the ids are divided into: one for each first digit.
pub const BUCKETS: usize = 16;

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { key, run, nonce } = self.identity;
        write!(f, "{key} {run} {nonce} ")?;
        match self.base {
            Some(number) => write!(f, "{number} ")?,
            None => write!(f, "- ")?,
        }
        write!(f, "{} {}", joined(&self.addresses), self.name)
    }
}

fn joined<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

fn read_list<T: FromStr>(value: &str) -> impl Iterator<Item = T> {
    value.split(',').filter_map(|item| item.parse().ok())
}

/// Reads a number below 2^53. No run sends as many messages, and sums of such numbers do not overflow.
fn read_number(value: &str) -> Option<u64> {
    value.parse().ok().filter(|number| *number < 1 << 53)
}

fn read_join(value: &str) -> Option<Request> {
    let (history, base) =
        value.split_once(' ').map_or((value, None), |(history, base)| (history, Some(base)));
    let base = base.map(read_number);
    if base == Some(None) {
        return None;
    }
    Some(Request::Join { history: read_number(history)?, base: base.flatten() })
}

fn read_start(value: &str) -> Option<Start> {
    let (from, history_end) = value.split_once(' ')?;
    Some(Start { from: read_number(from)?, history_end: read_number(history_end)? })
}

fn read_digest(value: &str) -> Option<Digest> {
    Digest::from_str_radix(value, 16).ok().filter(|_| value.len() == 16)
}

fn read_bucket(value: &str) -> Option<(usize, Vec<MemberId>)> {
    let (digit, ids) = value.split_once(' ')?;
    let digit = usize::from_str_radix(digit, 16).ok().filter(|digit| *digit < BUCKETS)?;
    Some((digit, read_list(ids).collect()))
}

fn read_absent(value: &str) -> Option<Entry> {
    let (age, entry) = value.split_once(' ')?;
    read_entry(read_number(age)?, entry)
}

fn read_run(value: &str) -> Option<(u64, Nonce)> {
    let (run, nonce) = value.split_once(' ')?;
    Some((read_number(run)?, nonce.parse().ok()?))
}

fn read_left(value: &str) -> Option<(MemberId, Token)> {
    let (id, token) = value.split_once(' ')?;
    Some((id.parse().ok()?, token.parse().ok()?))
}

fn read_entry(age: u64, value: &str) -> Option<Entry> {
    let mut words = value.splitn(6, ' ');
    let (key, run, nonce) = (words.next()?, words.next()?, words.next()?);
    let identity = Identity { key: key.parse().ok()?, run: read_number(run)?, nonce: nonce.parse().ok()? };
    let base = words.next()?;
    let base = if base == "-" { None } else { Some(read_number(base)?) };
    let addresses: Vec<_> = read_list(words.next()?).take(MEMBER_ADDRESSES_MAX).collect();
    let entry = Entry { identity, age, base, addresses, name: read_name(words.next()?)? };
    Some(entry).filter(|entry| !entry.addresses.is_empty())
}

fn read_versioned_name(value: &str) -> Option<(u64, String)> {
    let (version, name) = value.split_once(' ')?;
    Some((read_number(version)?, read_name(name)?))
}

/// Reads a name, cut at [`NAME_BYTES_MAX`]; `None` if it is blank.
fn read_name(text: &str) -> Option<String> {
    let name = &text[..text.floor_char_boundary(NAME_BYTES_MAX)];
    (!name.trim().is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::{self, Code, Framing};
    use crate::wire::identity::PublicKey;

    fn identity(number: u8) -> Identity {
        Identity { key: PublicKey([number; 32]), run: u64::from(number), nonce: Nonce(7) }
    }

    fn full() -> PeerFrame {
        PeerFrame {
            run: Some((9, Nonce(0xabc))),
            port: Some(5000),
            name: Some((3, "al ice<MSGENCD>".into())),
            sent: Some(8),
            linked: true,
            request: Some(Request::Resume(17)),
            from: Some(Start { from: 3, history_end: 5 }),
            ack: Some(2),
            private_ack: Some(5),
            private_from: Some(4),
            members: vec![Entry {
                identity: identity(1),
                age: 0,
                base: Some(12),
                addresses: vec!["192.168.1.7:5000".parse().unwrap(), "[::1]:5000".parse().unwrap()],
                name: "b o b".into(),
            }],
            absent: vec![Entry {
                identity: identity(2),
                age: 17,
                base: None,
                addresses: vec!["192.168.1.8:5000".parse().unwrap()],
                name: "carol".into(),
            }],
            left: vec![(MemberId(3), Token(9))],
            asks_all: true,
            ends_list: true,
            inquiry: vec![MemberId(1), MemberId(2)],
            digest: Some(0x1234),
            buckets: (0..16).collect(),
            bucket: vec![(15, vec![MemberId(u128::MAX)]), (0, Vec::new())],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let join = |base| Some(Request::Join { history: 20, base });
        for request in [None, Some(Request::Resume(17)), join(None), join(Some(3))] {
            for frame in [PeerFrame { request, ..PeerFrame::default() }, PeerFrame { request, ..full() }] {
                assert_eq!(PeerFrame::read(&frame.body()), Some(frame));
            }
        }
        let mut unknown = full();
        unknown.members[0].base = None;
        assert_eq!(PeerFrame::read(&unknown.body()), Some(unknown));
        let expected = "groupchat/2\nrun 4 00000000000000000000000000000abc\nport 5000\nresume 2";
        let frame = PeerFrame { request: Some(Request::Resume(2)), ..PeerFrame::default() };
        assert_eq!(PeerFrame { run: Some((4, Nonce(0xabc))), port: Some(5000), ..frame }.body(), expected);
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        let read = |lines: &str| PeerFrame::read(&format!("groupchat/2\n{lines}")).expect("this version");
        for lines in [
            "",
            "colour red",
            "ack",
            "ack -1",
            "ack 9007199254740992",
            "run 12",
            "run x 00000000000000000000000000000abc",
            "port 0",
            "join x",
            "join 1 x",
            "from 1",
            "member",
            "member 1 2 3",
            "member 1 2 3 4 5 6",
            "name  ",
            "name x",
            "run 1 +0000000000000000000000000000abc",
            "left 1",
            "left 1 2",
            "ask 1",
            "bucket g 1",
            "bucket 10 1",
            "digest x",
            "linked no",
        ] {
            assert_eq!(read(lines), PeerFrame::default(), "{lines}");
        }
        assert_eq!(read("x\nack 1\ny z\nport 9\n").port, Some(9));
        assert_eq!(PeerFrame::read("groupchat/1\nack 1"), None);
        assert_eq!(PeerFrame::read(""), None);
        assert_eq!(read(&format!("name 0 {}", "\u{fc}".repeat(40))).name, Some((0, "\u{fc}".repeat(32))));
    }

    #[test]
    fn a_list_of_any_length_fits_its_frames() {
        let entry = |number| Entry { base: Some(number), ..full().members.remove(0) };
        for count in [0, 1, 5, 3_000] {
            let frames = PeerFrame::of_members((0..count).map(entry));
            let bases: Vec<_> = frames.iter().flat_map(|it| &it.members).filter_map(|it| it.base).collect();
            assert!(bases.into_iter().eq(0..count));
            for peer_frame in frames {
                let mut bytes = Vec::new();
                frame::write(Code::Peer, peer_frame.body().as_bytes(), Framing::Lab, &mut bytes);
            }
        }
    }
}
