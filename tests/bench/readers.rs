//! Readers, plain TCP or members, and the pipe that gives the process something to say, all on one thread: the
//! harness shares the processors with what it measures, so it does no more than read and count.
//!
//! While something is measured, only the first of the members opens its records. Of those of the others no more than
//! the lengths are read: they say how much text came.

use std::io::{ErrorKind, Read, Write};
use std::ops::ControlFlow;
use std::process::ChildStdin;
use std::time::{Duration, Instant};

use memchr::{memchr_iter, memmem};
use mio::net::TcpStream;
use mio::unix::pipe;
use mio::{Events, Interest, Poll, Token};

use groupchat::seal::Records;
use groupchat::wire::decoder::Decoder;
use groupchat::wire::frame::{self, Code, Framing};

use super::member::{self, Member};
use super::process::{NAME, PATIENCE, Process};
use super::trouble::{Doing, Result, Trouble};

/// The length of every line that is measured, without its end.
pub const LINE_BYTES: usize = 64;
/// What ends a message. Only its last byte is counted: no message of ours holds another one.
const CODE: &str = "<MSGENCD>";

const INPUT: Token = Token(usize::MAX);
const READ_BYTES: usize = 256 * 1024;
/// Enough for two whole frames of ours.
const TAIL_BYTES: usize = 512;
/// How long we wait for a line to reach everybody before we say another.
const SAY_AGAIN: Duration = Duration::from_millis(100);
/// The bytes of peer frames that the process may send a member while something is measured.
const PEER_BYTES_MAX: u64 = 1024;
/// The length of a record and its tag.
const RECORD_LENGTH_BYTES: usize = 2;
const RECORD_TAG_BYTES: u64 = 16;

/// All readers of a process and its standard input.
///
/// `behind` is the number of readers that have not received `target` bytes.
pub struct Readers {
    poll: Poll,
    events: Events,
    input: pipe::Sender,
    unsaid: Vec<u8>,
    readers: Vec<Reader>,
    buffer: Vec<u8>,
    target: u64,
    behind: usize,
}

struct Reader {
    stream: TcpStream,
    inbound: Inbound,
    received: u64,
    frames: usize,
    tail: Vec<u8>,
}

/// How the bytes that arrive are handled.
enum Inbound {
    /// They are text.
    Plain,
    /// They are records, which are opened. Only the messages in them are counted.
    Opened(Box<Opener>),
    /// They are records, which stay closed.
    Counted(RecordLengths),
}

struct Opener {
    records: Records,
    /// A buffer for the text of a record.
    text: Vec<u8>,
    decoder: Decoder,
}

/// Follows records by their lengths.
#[derive(Default)]
struct RecordLengths {
    /// The front of a length.
    length: Vec<u8>,
    /// How many bytes are still to come of the record that has begun.
    missing: usize,
}

impl RecordLengths {
    /// How much text is in the records that begin in `bytes`.
    fn count(&mut self, mut bytes: &[u8]) -> u64 {
        let mut text_bytes = 0;
        while !bytes.is_empty() {
            let is_length = self.missing == 0;
            let wanted = if is_length { RECORD_LENGTH_BYTES - self.length.len() } else { self.missing };
            let (now, rest) = bytes.split_at(wanted.min(bytes.len()));
            bytes = rest;
            if !is_length {
                self.missing -= now.len();
                continue;
            }
            self.length.extend_from_slice(now);
            if let Some(length) = self.length.first_chunk() {
                let length = u16::from_be_bytes(*length);
                text_bytes += u64::from(length).saturating_sub(RECORD_TAG_BYTES);
                self.missing = length.into();
                self.length.clear();
            }
        }
        text_bytes
    }
}

impl Readers {
    pub fn connect(process: &mut Process, count: usize) -> Result<Readers> {
        let streams = process.connect_many(count)?;
        Readers::new(process.take_input(), streams)
    }

    /// Readers that are members of the group of the process.
    pub fn join(process: &mut Process, count: usize) -> Result<Readers> {
        let members = (0..count).map(|number| Member::join(process, &format!("m{number}")));
        let parts = members.map(|member| {
            let (stream, records) = member?.into_parts();
            let opener = Opener { records, text: Vec::new(), decoder: Decoder::of_text() };
            Ok((stream, Inbound::Opened(Box::new(opener))))
        });
        let parts = parts.collect::<Result<Vec<_>>>()?;
        Readers::of(process.take_input(), parts)
    }

    pub fn new(input: ChildStdin, streams: Vec<std::net::TcpStream>) -> Result<Readers> {
        Readers::of(input, streams.into_iter().map(|stream| (stream, Inbound::Plain)).collect())
    }

    fn of(input: ChildStdin, streams: Vec<(std::net::TcpStream, Inbound)>) -> Result<Readers> {
        let poll = Poll::new().doing("make a poll")?;
        let mut input = pipe::Sender::from(input);
        input.set_nonblocking(true).doing("prepare standard input")?;
        poll.registry().register(&mut input, INPUT, Interest::WRITABLE).doing("register standard input")?;
        let mut readers = Vec::with_capacity(streams.len());
        for (index, (stream, inbound)) in streams.into_iter().enumerate() {
            stream.set_nonblocking(true).doing("prepare a reader")?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(index), Interest::READABLE)
                .doing("register a reader")?;
            readers.push(Reader { stream, inbound, received: 0, frames: 0, tail: Vec::new() });
        }
        Ok(Readers {
            poll,
            events: Events::with_capacity(1024),
            input,
            unsaid: Vec::new(),
            readers,
            buffer: vec![0; READ_BYTES],
            target: 0,
            behind: 0,
        })
    }

    /// Waits until every reader hears what is said, and learns how long a frame of a line is.
    ///
    /// A message goes to those who are connected when it is said, so the same is said again until
    /// everybody has heard something. Then one last line puts everybody at the same place.
    pub fn gather(&mut self) -> Result<u64> {
        let give_up = Instant::now() + PATIENCE;
        self.expect(1);
        while self.behind > 0 {
            self.say(&line("is everybody here"))?;
            let say_again = Instant::now() + SAY_AGAIN;
            while self.behind > 0 && Instant::now() < say_again {
                self.turn(SAY_AGAIN)?;
            }
            self.check_time(give_up)?;
        }
        let ready = line("everybody is here");
        self.say(&ready)?;
        while !self.all_end_with(&ready) {
            self.turn(SAY_AGAIN)?;
            self.check_time(give_up)?;
        }
        let frame_bytes = self.frame_bytes(&ready)?;
        for reader in self.readers.iter_mut().skip(1) {
            if let Inbound::Opened(_) = reader.inbound {
                reader.inbound = Inbound::Counted(RecordLengths::default());
            }
        }
        Ok(frame_bytes)
    }

    /// Says `lines` and reads until every reader has `frames` frames of `frame_bytes`; then checks
    /// that nobody got more, and that `last` came last. Returns how long it took until the last
    /// reader had the last byte.
    pub fn hear(&mut self, lines: &[u8], frames: usize, frame_bytes: u64, last: &[u8]) -> Result<Duration> {
        self.expect(frames as u64 * frame_bytes);
        let begin = Instant::now();
        self.say(lines)?;
        while self.behind > 0 {
            self.turn(PATIENCE)?;
            self.check_time(begin + PATIENCE)?;
        }
        let took = begin.elapsed();
        if self.readers.iter().any(|reader| reader.received > self.target + reader.inbound.surplus_max()) {
            return Trouble::wrong("a reader received more than was said");
        }
        let first = self.readers.first().map_or(0, |reader| reader.frames);
        if first != frames {
            return Trouble::wrong(format!("{first} messages came of {frames}"));
        }
        if !self.all_end_with(last) {
            return Trouble::wrong("the line said last did not come last at every reader");
        }
        Ok(took)
    }

    /// From here on, counts until every reader has `target` bytes.
    fn expect(&mut self, target: u64) {
        self.target = target;
        self.behind = self.readers.len();
        for reader in &mut self.readers {
            (reader.received, reader.frames) = (0, 0);
        }
    }

    fn say(&mut self, lines: &[u8]) -> Result<()> {
        self.unsaid.extend_from_slice(lines);
        self.write_input()
    }

    /// Waits once, and does all that is possible then.
    fn turn(&mut self, timeout: Duration) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(cause) if cause.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result.doing("wait for the readers")?,
        }
        let mut input_is_ready = false;
        for event in &self.events {
            let Token(index) = event.token();
            let Some(reader) = self.readers.get_mut(index) else {
                input_is_ready = true;
                continue;
            };
            let was_behind = reader.received < self.target;
            while let Some(count) = reader.read(&mut self.buffer, index == 0)? {
                // A short read has emptied the socket; the next byte makes a new event.
                if count < self.buffer.len() {
                    break;
                }
            }
            if was_behind && reader.received >= self.target {
                self.behind -= 1;
            }
        }
        if input_is_ready { self.write_input() } else { Ok(()) }
    }

    fn write_input(&mut self) -> Result<()> {
        let mut said = 0;
        while said < self.unsaid.len() {
            match self.input.write(&self.unsaid[said..]) {
                Ok(count) => said += count,
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => break,
                Err(cause) => return Err(cause).doing("write to standard input"),
            }
        }
        self.unsaid.drain(..said);
        Ok(())
    }

    /// Whether this line came last at every reader that knows what came.
    fn all_end_with(&self, line: &[u8]) -> bool {
        let end = frame_end(line);
        let mut knowing = self.readers.iter().filter(|it| !matches!(it.inbound, Inbound::Counted(_)));
        knowing.all(|reader| reader.tail.ends_with(&end))
    }

    /// The length of the frame that came last, which is that of `line`.
    fn frame_bytes(&self, line: &[u8]) -> Result<u64> {
        let Some(reader) = self.readers.first() else {
            return Trouble::wrong("there is no reader");
        };
        let before = &reader.tail[..reader.tail.len() - CODE.len()];
        let begin = memmem::rfind(before, CODE.as_bytes()).map_or(0, |at| at + CODE.len());
        let frame = &reader.tail[begin..];
        if !frame.starts_with(b"[") || !frame.ends_with(&frame_end(line)) {
            let text = String::from_utf8_lossy(frame);
            return Trouble::wrong(format!("this is no message in text framing: {text:?}"));
        }
        Ok(frame.len() as u64)
    }

    fn check_time(&self, give_up: Instant) -> Result<()> {
        if Instant::now() < give_up {
            return Ok(());
        }
        let (behind, all) = (self.behind, self.readers.len());
        Trouble::wrong(format!("{behind} of {all} readers still wait for what was said"))
    }
}

impl Inbound {
    /// How much more text may come than was said.
    fn surplus_max(&self) -> u64 {
        match self {
            Inbound::Plain | Inbound::Opened(_) => 0,
            Inbound::Counted(_) => PEER_BYTES_MAX,
        }
    }
}

impl Reader {
    /// Reads once; nothing when there is nothing. Plain frames are counted only if `counts_frames`.
    fn read(&mut self, buffer: &mut [u8], counts_frames: bool) -> Result<Option<usize>> {
        match self.stream.read(buffer) {
            Ok(0) => Trouble::wrong("a reader was disconnected"),
            Ok(count) => {
                self.take(&buffer[..count], counts_frames)?;
                Ok(Some(count))
            }
            Err(cause) if cause.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(cause) => Err(cause).doing("read from the process"),
        }
    }

    fn take(&mut self, bytes: &[u8], counts_frames: bool) -> Result<()> {
        match &mut self.inbound {
            Inbound::Plain => {
                self.received += bytes.len() as u64;
                if counts_frames {
                    self.frames += memchr_iter(b'>', bytes).count();
                }
                keep_tail(&mut self.tail, bytes);
            }
            Inbound::Opened(opener) => {
                let Opener { records, text, decoder } = &mut **opener;
                let mut message = Vec::new();
                let mut is_readable = true;
                let opened = member::open(records, bytes, text, |text| {
                    let decoded = decoder.receive(text, |frame| {
                        if frame.code == Code::Message {
                            message.clear();
                            frame::write(frame.code, frame.body, Framing::Text, &mut message);
                            self.received += message.len() as u64;
                            self.frames += 1;
                            keep_tail(&mut self.tail, &message);
                        }
                        ControlFlow::Continue(())
                    });
                    is_readable &= decoded.is_ok();
                });
                if opened.is_err() || !is_readable {
                    return Trouble::wrong("a reader received what it cannot read");
                }
            }
            Inbound::Counted(lengths) => self.received += lengths.count(bytes),
        }
        Ok(())
    }
}

fn keep_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
    let surplus = (tail.len() + bytes.len()).saturating_sub(TAIL_BYTES);
    tail.drain(..surplus);
    tail.extend_from_slice(bytes);
}

/// A line of the length that is measured, which begins with `text`. It holds nothing that means
/// anything in a frame.
pub fn line(text: &str) -> Vec<u8> {
    format!("{text:.<LINE_BYTES$}\n").into_bytes()
}

/// What the frame of a line ends with.
fn frame_end(line: &[u8]) -> Vec<u8> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    [b"] ", NAME.as_bytes(), b":\n\t\t", text, CODE.as_bytes()].concat()
}
