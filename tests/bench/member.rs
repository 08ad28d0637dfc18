//! A member made by hand: it dials, shakes hands, introduces itself, and then sends and receives text in records. And
//! the other side of its handshake, for the floors.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use groupchat::seal::{Access, Broken, Handshake, Keys, Records, Step};
use groupchat::wire::frame::{self, Code, Framing};
use groupchat::wire::hello::{PeerFrame, Request, Start};
use groupchat::wire::identity::Nonce;

use super::process::{PATIENCE, Process};
use super::trouble::{Doing, Result, Trouble};

/// The code of a frame of the handshake.
const CODE: &[u8] = b"<PEERENCD>";

pub struct Member {
    stream: TcpStream,
    records: Records,
    /// A buffer for one record.
    record: Vec<u8>,
}

impl Member {
    /// Dials the process and becomes a member of its group that has sent nothing and knows nobody else. The process has
    /// replied to its hello.
    pub fn join(process: &Process, name: &str) -> Result<Self> {
        let (stream, records) = shake_hands(process)?;
        let mut member = Self { stream, records, record: Vec::new() };
        let nonce = Nonce(fastrand::u128(..));
        let hello = PeerFrame {
            run: Some((0, nonce)),
            port: Some(1),
            name: Some((0, name.into())),
            sent: Some(0),
            ..PeerFrame::default()
        };
        let requests = PeerFrame {
            request: Some(Request::Resume(0)),
            from: Some(Start { from: 0, history_end: 0 }),
            ends_list: true,
            ..PeerFrame::default()
        };
        member.send(&[hello, requests].map(|frame| frame_of(&frame.body())).concat())?;
        member.receive()?;
        Ok(member)
    }

    /// Sends text in as many records as it takes.
    pub fn send(&mut self, text: &[u8]) -> Result<()> {
        let bytes = self.seal(text);
        self.stream.write_all(&bytes).doing("send records")
    }

    /// The records that [`send`](Self::send) would send. They are to be sent before any others.
    pub fn seal(&mut self, mut text: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len() + text.len() / 64);
        while !text.is_empty() {
            let count = self.records.seal(text, &mut self.record);
            bytes.extend_from_slice(&self.record);
            text = &text[count..];
        }
        bytes
    }

    /// Waits for records, and returns the text that is in them.
    pub fn receive(&mut self) -> Result<Vec<u8>> {
        let (mut bytes, mut text, mut texts) = ([0; 1024], Vec::new(), Vec::new());
        while texts.is_empty() {
            let count = self.stream.read(&mut bytes).doing("receive records")?;
            if count == 0 {
                return Trouble::wrong("a member was disconnected");
            }
            open(&mut self.records, &bytes[..count], &mut text, |text| texts.extend_from_slice(text))
                .or_else(|Broken| Trouble::wrong("a member received a broken record"))?;
        }
        Ok(texts)
    }

    pub fn into_parts(self) -> (TcpStream, Records) {
        (self.stream, self.records)
    }
}

/// Dials the process and agrees on keys with it.
pub fn shake_hands(process: &Process) -> Result<(TcpStream, Records)> {
    let mut stream = process.connect()?;
    stream.set_read_timeout(Some(PATIENCE)).doing("prepare a member")?;
    let mut keys = keys();
    let (mut handshake, message_1) = Handshake::dial(&mut keys);
    stream.write_all(&frame_of(&message_1)).doing("send message 1 of a handshake")?;
    let message_2 = read_frame(&mut stream).doing("read message 2 of a handshake")?;
    let step = handshake.receive(&message_2, &mut keys);
    let Ok(Step::Sealed { reply: Some(message_3), records, .. }) = step else {
        return Trouble::wrong(format!("message 2 of a handshake leads to {step:?}"));
    };
    stream.write_all(&frame_of(&message_3)).doing("send message 3 of a handshake")?;
    Ok((stream, *records))
}

/// Opens what came, and hands out the text of each record that is whole now. `text` is a buffer for it.
pub fn open(
    records: &mut Records,
    mut bytes: &[u8],
    text: &mut Vec<u8>,
    mut each: impl FnMut(&[u8]),
) -> std::result::Result<(), Broken> {
    while records.open(&mut bytes, text)? {
        each(text);
    }
    Ok(())
}

/// The other side of [`Member::join`], which learns nothing about the member and replies with a frame without content.
pub fn accept_member(stream: &mut TcpStream, keys: &mut Keys) -> io::Result<Records> {
    let mut handshake = Handshake::accept();
    let mut records = loop {
        match handshake.receive(&read_frame(stream)?, keys) {
            Ok(Step::Reply(body)) => stream.write_all(&frame_of(&body))?,
            Ok(Step::Sealed { records, .. }) => break *records,
            Err(refused) => return Err(io::Error::other(format!("a handshake failed: {refused:?}"))),
        }
    };
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut record = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut record)?;
    let opened = open(&mut records, &[&length, &record[..]].concat(), &mut Vec::new(), |_| ());
    opened.map_err(|Broken| io::Error::other("the first record is broken"))?;
    records.seal(&frame_of(&PeerFrame::default().body()), &mut record);
    stream.write_all(&record)?;
    Ok(records)
}

/// The keys of a new run in an open group. They need not be secret.
pub fn keys() -> Keys {
    let mut random = fastrand::Rng::new();
    Keys::new(Access::Open, Box::new(move |bytes| random.fill(bytes)))
}

fn frame_of(body: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write(Code::Peer, body.as_bytes(), Framing::Text, &mut bytes);
    bytes
}

/// Reads the body of a frame of the handshake and nothing behind it, where a record may begin.
fn read_frame(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(CODE) {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        bytes.extend_from_slice(&byte);
    }
    bytes.truncate(bytes.len() - CODE.len());
    String::from_utf8(bytes).map_err(|cause| io::Error::new(ErrorKind::InvalidData, cause))
}
