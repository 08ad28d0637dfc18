//! What peers tell each other beside what their users say: the body of a peer frame.
//!
//! The first line is `groupchat/1`, then one `key value` a line. A key that is not known and a value
//! of another shape are passed over, so that a later version can add some; a later frame adds to what
//! an earlier one on the same connection said.
//!
//! | line | what it says |
//! | --- | --- |
//! | `id ID` | who the sender is: 32 hexadecimal digits, drawn at random for each run |
//! | `name NAME` | what it is called, to the end of the line |
//! | `names COUNT` | how many other names it had before this one |
//! | `port PORT` | the TCP port that it listens on |
//! | `pass WORD` | what the receiver is to show on every other connection between the two |
//! | `proof WORD` | the pass that the receiver once gave: this really is who it says |
//! | `have COUNT` | how many of the receiver's messages it has, and so from which on it wants more |
//! | `last COUNT` | it has none yet and wants so many of the last |
//! | `from NUMBER` | the next message on this connection is the one before which its sender said so many |
//! | `live NUMBER` | messages before this one are from before the two knew of each other |
//! | `since NUMBER` | it took the receiver for a plain peer until now, and sent it messages from this one on |
//! | `private COUNT` | how many of the receiver's private messages it has |
//! | `private-from NUMBER` | its next private message is the one before which it said so many to the receiver |
//! | `member ID ADDRESS[,ADDRESS]... NAME` | somebody else in the group, and where to reach it |
//! | `all members` | those were all that were there before the two met; who is told of later has come later |
//! | `ask members` | it wants to be told of all the others again |

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::str::FromStr;

use crate::limits::{MEMBER_ADDRESSES_MAX, NAME_BYTES_MAX, PEER_FRAME_BYTES};

/// 128 random bits, written as 32 hexadecimal digits. Nobody who was not told one can guess it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(pub u128);

/// Who a peer is, for one run of the program.
pub type MemberId = Word;

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// As short as a look needs: a pass is a secret, and must not be found whole in a log.
impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}..", self.0 >> 112)
    }
}

impl FromStr for Word {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_word = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u128::from_str_radix(text, 16).ok().filter(|_| is_word).map(Self).ok_or(())
    }
}

/// From where on somebody wants messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// From this one on: it has those before.
    From(u64),
    /// It has none, and so many of the last will do.
    Last(u64),
}

/// Somebody in the group, as another tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who it is.
    pub id: MemberId,
    /// Where it was reached, the best address first. Never empty.
    pub addresses: Vec<SocketAddr>,
    /// What it is called.
    pub name: String,
}

/// What one peer frame says. The module's table tells what each line means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the module's table tells what each line means")]
pub struct PeerFrame {
    pub id: Option<MemberId>,
    pub name: Option<String>,
    pub names: Option<u64>,
    pub port: Option<u16>,
    pub pass: Option<Word>,
    pub proof: Option<Word>,
    /// `have` or `last`.
    pub wanted: Option<Wanted>,
    pub from: Option<u64>,
    pub live: Option<u64>,
    pub since: Option<u64>,
    pub private: Option<u64>,
    pub private_from: Option<u64>,
    pub members: Vec<Report>,
    pub told_members: bool,
    pub asks_members: bool,
}

/// The first line: this grammar, and the version of it.
const VERSION: &str = "groupchat/1";

impl PeerFrame {
    /// Reads a body; `None` when it is of another version.
    #[must_use]
    pub fn read(body: &str) -> Option<Self> {
        let mut lines = body.lines();
        if lines.next() != Some(VERSION) {
            return None;
        }
        let mut frame = Self::default();
        for (key, value) in lines.filter_map(|line| line.split_once(' ')) {
            match key {
                "id" => frame.id = value.parse().ok(),
                "name" => frame.name = read_name(value),
                "names" => frame.names = read_number(value),
                "port" => frame.port = value.parse().ok().filter(|&port| port != 0),
                "pass" => frame.pass = value.parse().ok(),
                "proof" => frame.proof = value.parse().ok(),
                "have" => frame.wanted = read_number(value).map(Wanted::From),
                "last" => frame.wanted = read_number(value).map(Wanted::Last),
                "from" => frame.from = read_number(value),
                "live" => frame.live = read_number(value),
                "since" => frame.since = read_number(value),
                "private" => frame.private = read_number(value),
                "private-from" => frame.private_from = read_number(value),
                "all" => frame.told_members |= value == "members",
                "ask" => frame.asks_members |= value == "members",
                "member" => frame.members.extend(read_report(value)),
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
            id,
            name,
            names,
            port,
            pass,
            proof,
            wanted,
            from,
            live,
            since,
            private,
            private_from,
            members,
            told_members,
            asks_members,
        } = self;
        id.iter().for_each(|id| line("id", id));
        name.iter().for_each(|name| line("name", name));
        names.iter().for_each(|count| line("names", count));
        port.iter().for_each(|port| line("port", port));
        pass.iter().for_each(|pass| line("pass", pass));
        proof.iter().for_each(|proof| line("proof", proof));
        match wanted {
            Some(Wanted::From(count)) => line("have", count),
            Some(Wanted::Last(count)) => line("last", count),
            None => (),
        }
        from.iter().for_each(|from| line("from", from));
        live.iter().for_each(|live| line("live", live));
        since.iter().for_each(|since| line("since", since));
        private.iter().for_each(|count| line("private", count));
        private_from.iter().for_each(|number| line("private-from", number));
        members.iter().for_each(|report| line("member", report));
        told_members.then(|| line("all", &"members"));
        asks_members.then(|| line("ask", &"members"));
        body
    }

    /// As many frames as it takes to tell of `members`.
    pub fn telling(members: impl IntoIterator<Item = Report>) -> Vec<Self> {
        let (mut frames, mut bytes) = (Vec::new(), PEER_FRAME_BYTES);
        for report in members {
            let more = report.to_string().len() + "\nmember ".len();
            if bytes + more > PEER_FRAME_BYTES {
                frames.push(Self::default());
                bytes = 0;
            }
            bytes += more;
            frames.last_mut().expect("the first report began one").members.push(report);
        }
        frames
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.id)?;
        for (index, address) in self.addresses.iter().enumerate() {
            write!(f, "{}{address}", if index == 0 { "" } else { "," })?;
        }
        write!(f, " {}", self.name)
    }
}

/// No run says as many messages as this, and sums of such numbers do not overflow.
fn read_number(value: &str) -> Option<u64> {
    value.parse().ok().filter(|number| *number < 1 << 53)
}

fn read_report(value: &str) -> Option<Report> {
    let (id, rest) = value.split_once(' ')?;
    let (addresses, name) = rest.split_once(' ')?;
    let addresses = addresses.split(',').filter_map(|address| address.parse().ok());
    let addresses: Vec<_> = addresses.take(MEMBER_ADDRESSES_MAX).collect();
    let report = Report { id: id.parse().ok()?, addresses, name: read_name(name)? };
    Some(report).filter(|report| !report.addresses.is_empty())
}

/// A name has the same limit wherever it comes from; what is longer is cut, since a name is no reason
/// to talk to nobody.
fn read_name(text: &str) -> Option<String> {
    let name = &text[..text.floor_char_boundary(NAME_BYTES_MAX)];
    (!name.trim().is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::frame::{self, Code, Framing};

    fn full() -> PeerFrame {
        PeerFrame {
            id: Some(Word(0xabc)),
            name: Some("al ice<MSGENCD>".into()),
            names: Some(3),
            port: Some(5000),
            pass: Some(Word(u128::MAX)),
            proof: Some(Word(7)),
            wanted: Some(Wanted::From(17)),
            from: Some(3),
            live: Some(23),
            since: Some(2),
            private: Some(5),
            private_from: Some(4),
            members: vec![Report {
                id: Word(1),
                addresses: vec!["192.168.1.7:5000".parse().unwrap(), "[::1]:5000".parse().unwrap()],
                name: "b o b".into(),
            }],
            told_members: true,
            asks_members: true,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for wanted in [None, Some(Wanted::From(17)), Some(Wanted::Last(20))] {
            for frame in [PeerFrame { wanted, ..PeerFrame::default() }, PeerFrame { wanted, ..full() }] {
                assert_eq!(PeerFrame::read(&frame.body()), Some(frame));
            }
        }
        let expected = "groupchat/1\nid 00000000000000000000000000000abc\nport 5000\nhave 2";
        let frame = PeerFrame { wanted: Some(Wanted::From(2)), ..PeerFrame::default() };
        assert_eq!(PeerFrame { id: Some(Word(0xabc)), port: Some(5000), ..frame }.body(), expected);
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        let read = |lines: &str| PeerFrame::read(&format!("groupchat/1\n{lines}")).expect("this version");
        for lines in ["", "colour red", "have", "have -1", "have 9007199254740992", "id 12", "port 0"] {
            assert_eq!(read(lines), PeerFrame::default(), "{lines}");
        }
        for lines in ["member", "member 1 2 3", "name  ", "id +0000000000000000000000000000abc"] {
            assert_eq!(read(lines), PeerFrame::default(), "{lines}");
        }
        assert_eq!(read("x\nhave 1\ny z\nport 9\n").port, Some(9));
        assert_eq!(PeerFrame::read("groupchat/2\nhave 1"), None);
        assert_eq!(PeerFrame::read(""), None);
        assert_eq!(read(&format!("name {}", "\u{fc}".repeat(40))).name, Some("\u{fc}".repeat(32)));
    }

    #[test]
    fn a_list_of_any_length_fits_its_frames() {
        let report = |number| Report { id: Word(number), ..full().members.remove(0) };
        for count in [0, 1, 5, 3_000] {
            let frames = PeerFrame::telling((0..count).map(report));
            let told: Vec<_> = frames.iter().flat_map(|frame| &frame.members).map(|it| it.id.0).collect();
            assert!(told.into_iter().eq(0..count));
            for peer_frame in frames {
                let mut bytes = Vec::new();
                frame::write(Code::Peer, peer_frame.body().as_bytes(), Framing::Lab, &mut bytes);
            }
        }
    }

    #[test]
    fn a_secret_is_not_shown_whole() {
        assert_eq!(format!("{:?}", Word(0xabcd << 112 | 5)), "abcd..");
    }
}
