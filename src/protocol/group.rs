//! The group: its clients, the peers it dials, and the log of what was said.
//!
//! Commands say what the user or the program wants, `handle_*` what happened, `poll_*` what is to be
//! done. It writes to nobody: [`flush`](Group::flush) hands bytes to whoever can.

mod dialling;
mod flush;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use chrono::{DateTime, FixedOffset};
use slab::Slab;

use super::client::{Client, ClientId, Dialled, State};
use super::dial::{Dial, DialId, Peer};
use super::frame::{Code, Frame, Framing};
use super::log::Log;
use super::message::{self, MessageWriter};
use super::notice::{LostReason, Notice};

/// Everybody we talk with. `S` is a stream, of which the group knows nothing.
///
/// Invariant: `open_count` clients are open or finishing. After a flush, `behind` holds every open
/// client that has something to take, each once.
#[derive(Debug)]
pub struct Group<S> {
    writer: MessageWriter,
    /// What is spoken to who has not spoken yet.
    silent: Framing,
    clients: Slab<Client<S>>,
    open_count: usize,
    dials: Vec<Dial>,
    log: Log,
    /// The position up to which clients were offered the log.
    flushed: u64,
    behind: Vec<ClientId>,
    ended: Vec<ClientId>,
    to_shut_down: VecDeque<ClientId>,
    notices: VecDeque<Notice>,
    heard: Heard,
    leaving: bool,
    /// What muted clients have said.
    discarded_bytes: usize,
    random: fastrand::Rng,
}

/// What became of the user's own messages.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    said: u64,
    /// The position in the log after the last message.
    said_to: u64,
    /// Somebody took a message.
    by_somebody: bool,
    /// The user knows that nobody is there.
    alone_is_told: bool,
}

impl<S> Group<S> {
    /// A group of one, called `name`, that dials `peers`. `random` decides the pauses between
    /// attempts, and nothing else.
    #[must_use]
    pub fn new(name: String, silent: Framing, peers: Vec<Peer>, now: Instant, random: fastrand::Rng) -> Self {
        Self {
            writer: MessageWriter::new(name),
            silent,
            clients: Slab::new(),
            open_count: 0,
            dials: peers.into_iter().map(|peer| Dial::new(peer, now, 0)).collect(),
            log: Log::default(),
            flushed: 0,
            behind: Vec::new(),
            ended: Vec::new(),
            to_shut_down: VecDeque::new(),
            notices: VecDeque::new(),
            heard: Heard::default(),
            leaving: false,
            discarded_bytes: 0,
            random,
        }
    }

    /// Takes in a connection that came from `address` to our end `local`. Its first message is the
    /// next one said.
    ///
    /// # Errors
    ///
    /// The stream, when it is the other end of one that we dialled: then both are to be closed.
    pub fn accept(&mut self, stream: S, address: SocketAddr, local: SocketAddr) -> Result<ClientId, S> {
        if let Some((id, dial)) = self.dialled_from(address, local) {
            let dial = &mut self.dials[dial.0];
            dial.give_up();
            self.notices.push_back(Notice::Oneself { peer: Rc::clone(dial.name()) });
            self.set_state(id, State::Ended);
            return Err(stream);
        }
        let client = Client::new(stream, address, None, self.log.end());
        let id = ClientId(self.clients.insert(client));
        self.open_count += 1;
        self.heard.alone_is_told = false;
        self.notices.push_back(Notice::Accepted { address });
        Ok(id)
    }

    /// Says `text`, in as many frames as it takes.
    pub fn say(&mut self, text: &str, at: DateTime<FixedOffset>) {
        self.heard.said += 1;
        if self.open_count == 0 && self.dials.iter().all(Dial::is_over) {
            if !self.heard.alone_is_told {
                self.heard.alone_is_told = true;
                self.notices.push_back(Notice::Unheard);
            }
            return;
        }
        let mut rest = text;
        while !rest.is_empty() {
            self.log.append(|out| rest = self.writer.write(rest, at, out));
        }
        self.heard.said_to = self.log.end();
    }

    /// Says goodbye, behind everything already said, as who listens on `address`. Who is not
    /// connected by now will not be.
    pub fn leave(&mut self, now: Instant, at: DateTime<FixedOffset>, address: SocketAddr) {
        self.leaving = true;
        for dial in &mut self.dials {
            dial.give_up();
        }
        for id in self.ids() {
            let client = &mut self.clients[id.0];
            if client.state == State::Dialling {
                self.set_state(id, State::Ended);
            } else if client.waiting.is_some() {
                // The patience for a goodbye begins with it.
                client.waiting = None;
                client.clock(now, false, &self.log);
            }
        }
        self.log.append(|out| message::write_exit(address, at, self.writer.name(), out));
    }

    /// Whether everything that leaving takes is done.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.leaving && self.open_count == 0
    }

    /// How many messages were said, when nobody took any of them.
    #[must_use]
    pub fn unheard(&self) -> Option<u64> {
        (self.heard.said > 0 && !self.heard.by_somebody).then_some(self.heard.said)
    }

    /// The stream of a client that is still there.
    pub fn stream_mut(&mut self, id: ClientId) -> Option<&mut S> {
        self.clients
            .get_mut(id.0)
            .filter(|client| client.state != State::Ended)
            .map(|client| &mut client.stream)
    }

    /// Everybody who is connected or being dialled.
    fn ids(&self) -> Vec<ClientId> {
        let there = self.clients.iter().filter(|(_, client)| client.state != State::Ended);
        there.map(|(key, _)| ClientId(key)).collect()
    }

    /// Takes in what a client sent.
    pub fn handle_bytes(&mut self, id: ClientId, bytes: &[u8], now: Instant) {
        let client = &mut self.clients[id.0];
        if client.state == State::Ended {
            return;
        }
        if client.is_muted {
            self.discarded_bytes += bytes.len();
            return;
        }
        let Client { inbox, name, address, .. } = client;
        let notices = &mut self.notices;
        let mut frames = 0_u32;
        let mut has_left = false;
        let result = inbox.receive(bytes, |frame| {
            frames += 1;
            match frame.code {
                // What follows a goodbye has no meaning.
                _ if has_left => (),
                Code::Message => notices.extend(read_message(&frame, name, *address)),
                Code::Exit => {
                    has_left = true;
                    if let Some(leaver) = message::read_exit(&frame.text()) {
                        *name = Some(leaver.into());
                    }
                }
                Code::Unknown => (),
            }
        });
        if frames > 0
            && let Some(Dialled { dial, .. }) = client.dialled
        {
            self.dials[dial.0].handle_frame();
        }
        if has_left {
            self.notices.push_back(Notice::Left { who: client.who() });
            self.end(id);
        } else if result.is_err() {
            self.lose(id, LostReason::FrameTooLong, now);
        }
    }

    /// From now on, nothing is heard of what a client says: there is nowhere to show it.
    pub fn mute(&mut self, id: ClientId) {
        self.clients[id.0].is_muted = true;
    }

    /// How many bytes muted clients have said.
    #[must_use]
    pub fn discarded_bytes(&self) -> usize {
        self.discarded_bytes
    }

    /// A client closed its side.
    pub fn handle_closed(&mut self, id: ClientId, now: Instant) {
        let unfinished_bytes = self.clients[id.0].inbox.unfinished_bytes();
        self.lose(id, LostReason::Closed { unfinished_bytes }, now);
    }

    /// A connection failed, and the system says why.
    pub fn handle_failed(&mut self, id: ClientId, why: String, now: Instant) {
        self.lose(id, LostReason::Failed(why), now);
    }

    /// The next thing to tell the user, until `None`.
    pub fn poll_output(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// The next connection that is over, to be closed and forgotten, until `None`. From now on its
    /// id may be given to another.
    pub fn poll_ended(&mut self) -> Option<(ClientId, S)> {
        let id = self.ended.pop()?;
        Some((id, self.clients.remove(id.0).stream))
    }

    /// A connection ended without goodbye.
    fn lose(&mut self, id: ClientId, why: LostReason, now: Instant) {
        let client = &self.clients[id.0];
        match client.state {
            State::Ended => return,
            // It was sent our goodbye, and closing is the answer to that. Anything else may mean that
            // it never came.
            State::Finishing { .. } => {
                if let LostReason::Failed(_) = why {
                    self.notices.push_back(Notice::Lost { who: client.who(), why });
                }
            }
            State::Dialling => {
                let Dialled { dial, .. } = client.dialled.expect("who dials has dialled");
                self.handle_dial_failed(dial, why.to_string(), now);
            }
            State::Open => {
                self.notices.push_back(Notice::Lost { who: client.who(), why });
                if let Some(Dialled { dial, .. }) = client.dialled
                    && !self.leaving
                {
                    let next_message = self.log.number_at(client.cursor);
                    self.dials[dial.0].handle_lost(now, next_message, &mut self.random);
                }
            }
        }
        self.set_state(id, State::Ended);
    }

    /// A connection ended as it should, and is not dialled again.
    fn end(&mut self, id: ClientId) {
        if let Some(Dialled { dial, .. }) = self.clients[id.0].dialled {
            self.dials[dial.0].give_up();
        }
        self.set_state(id, State::Ended);
    }

    /// The only place where a client's state moves.
    fn set_state(&mut self, id: ClientId, state: State) {
        let client = &mut self.clients[id.0];
        let is_open = |state| matches!(state, State::Open | State::Finishing { .. });
        assert_ne!(client.state, State::Ended, "an ended connection stays ended");
        self.open_count += usize::from(is_open(state));
        self.open_count -= usize::from(is_open(client.state));
        client.state = state;
        match state {
            State::Dialling | State::Open => (),
            State::Finishing { .. } => self.to_shut_down.push_back(id),
            State::Ended => self.ended.push(id),
        }
    }
}

/// A message frame as a notice; `None` when there is nothing in it to show.
///
/// A body of another shape is shown as it is, under the address it came from.
fn read_message(frame: &Frame<'_>, name: &mut Option<Rc<str>>, address: SocketAddr) -> Option<Notice> {
    let body = frame.text();
    let Some(message) = message::read_message(&body) else {
        let text = body.trim_matches(['\r', '\n']);
        let notice = Notice::Message { at: None, from: address.to_string().into(), text: text.to_owned() };
        return (!text.is_empty()).then_some(notice);
    };
    let from = match name {
        Some(known) if **known == *message.name => Rc::clone(known),
        _ => Rc::clone(name.insert(message.name.into())),
    };
    Some(Notice::Message { at: Some(message.at), from, text: message.text.to_owned() })
}
