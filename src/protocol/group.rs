//! The group: its clients, its members, the peers it dials, and the log of what was said.
//!
//! Commands say what the user or the program wants, `handle_*` what happened, `poll_*` what is to be
//! done. It writes to nobody: [`flush`](Group::flush) hands bytes to whoever can.

mod completion;
mod delivery;
mod dialling;
mod ending;
mod flush;
mod introduction;
mod membership;
mod naming;
mod private;
mod roster;
mod time;

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::time::Instant;

use chrono::{DateTime, FixedOffset};
use slab::Slab;

use super::client::{Client, ClientId, Dialled, Introduction, Shown, State};
use super::dial::{Dial, DialId, Peer};
use super::former_names::FormerNames;
use super::frame::{Code, Frame, Framing};
use super::inbox::Unreadable;
use super::joining::Joining;
use super::log::Log;
use super::member::{MemberKey, Members};
use super::message::MessageWriter;
use super::names::{Holder, Names};
use super::notice::{LostReason, Notice, Who};
use super::peer_frame::{MemberId, Word};
use super::visitors::Visitors;
use crate::limits::INTRODUCTION_WAIT;
pub use dialling::Attempt;
use time::Timers;

/// Who we are and how we take part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// What the others call us.
    pub name: String,
    /// The TCP port that we listen on.
    pub port: u16,
    /// What is spoken to who has not spoken yet.
    pub silent: Framing,
    /// Take part only as the exercise says: send no peer frame and heed none.
    pub is_plain: bool,
    /// How many of its last messages each member is asked for, when we are new to it.
    pub history: u64,
    /// Whom to dial.
    pub peers: Vec<Peer>,
}

/// Everybody we talk with. `S` is a stream, of which the group knows nothing.
///
/// Invariant: `open_count` clients are open, closing or finishing. `behind` holds each of those that
/// have something to take once; after a flush, no others.
#[derive(Debug)]
pub struct Group<S> {
    id: MemberId,
    port: u16,
    /// What is spoken to who has not spoken yet.
    silent: Framing,
    is_plain: bool,
    history: u64,
    writer: MessageWriter,
    /// How many names we had before that of `writer`.
    names_before: u64,
    names: Names,
    /// Names that were in `names`.
    former_names: FormerNames,
    /// The user knows that somebody else has our name.
    is_name_taken_told: bool,
    clients: Slab<Client<S>>,
    open_count: usize,
    members: Members,
    /// The peers that the user named.
    named: Vec<Dial>,
    log: Log,
    /// The position up to which clients were offered the log.
    flushed: u64,
    behind: Vec<ClientId>,
    ended: Vec<ClientId>,
    to_shut_down: VecDeque<ClientId>,
    timers: Timers,
    joining: Joining,
    notices: VecDeque<Notice>,
    heard: Heard,
    visitors: Visitors,
    /// Members that are gone and that private messages did not reach, the last ones.
    private_lost: VecDeque<Who>,
    leaving: bool,
    /// What muted clients have said.
    discarded_bytes: usize,
    random: fastrand::Rng,
    secret: Secret,
}

/// What became of the user's own messages.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    said: u64,
    /// The position in the log after the last message.
    said_to: u64,
    /// Somebody has a message.
    by_somebody: bool,
    /// The user knows that nobody is there.
    alone_is_told: bool,
}

/// What turns a number into another that nobody else can guess, and always into the same.
struct Secret(Box<dyn Fn(u128) -> u128>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl<S> Group<S> {
    /// A group of one. `random` decides the pauses between attempts, and nothing else. `secret` turns a
    /// number into another that nobody else can guess, the same for one run: 0 into our id, and the id
    /// of another into the pass that it is given.
    #[must_use]
    pub fn new(setup: Setup, now: Instant, random: fastrand::Rng, secret: Box<dyn Fn(u128) -> u128>) -> Self {
        let Setup { name, port, silent, is_plain, history, peers } = setup;
        let mut group = Self {
            id: Word(secret(0)),
            port,
            silent,
            is_plain,
            history,
            writer: MessageWriter::new(name),
            names_before: 0,
            names: Names::default(),
            former_names: FormerNames::default(),
            is_name_taken_told: false,
            clients: Slab::new(),
            open_count: 0,
            members: Members::default(),
            named: peers.into_iter().map(|peer| Dial::new(peer, now, 0)).collect(),
            log: Log::default(),
            flushed: 0,
            behind: Vec::new(),
            ended: Vec::new(),
            to_shut_down: VecDeque::new(),
            timers: Timers::default(),
            joining: Joining::default(),
            notices: VecDeque::new(),
            heard: Heard::default(),
            visitors: Visitors::default(),
            private_lost: VecDeque::new(),
            leaving: false,
            discarded_bytes: 0,
            random,
            secret: Secret(secret),
        };
        group.name_oneself();
        group
    }

    /// Takes in a connection that came from `address` to our end `local`. If it is a plain peer's, its
    /// first message is the next one said.
    ///
    /// # Errors
    ///
    /// The stream, when it is the other end of one that we dialled: then both are to be closed.
    pub fn accept(
        &mut self,
        stream: S,
        address: SocketAddr,
        local: SocketAddr,
        now: Instant,
    ) -> Result<ClientId, S> {
        if let Some((id, dial)) = self.dialled_from(address, local) {
            self.handle_oneself(id, dial, now);
            return Err(stream);
        }
        let until = now + INTRODUCTION_WAIT;
        let (state, introduction) = (State::Open, Introduction::Awaited { until });
        let client = Client::new(stream, address, None, state, introduction, self.log.end(), now);
        let id = ClientId(self.clients.insert(client));
        self.open_count += 1;
        self.heard.alone_is_told = false;
        if self.is_plain {
            self.take_for_plain(id);
            self.show_connection(id, now);
        } else {
            self.timers.awaited.push_back((until, id));
        }
        Ok(id)
    }

    /// Says `text`, in as many frames as it takes.
    pub fn say(&mut self, text: &str, at: DateTime<FixedOffset>) {
        self.heard.said += 1;
        if self.open_count == 0 {
            self.tell_alone();
        }
        let mut rest = text;
        while !rest.is_empty() {
            self.log.append(|out| rest = self.writer.write(rest, at, out));
        }
        self.heard.said_to = self.log.end();
    }

    /// Who we are.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.id
    }

    /// Tells the user once that nobody is connected, unless all that is missing is a peer which is still
    /// being dialled.
    fn tell_alone(&mut self) {
        let is_kept = self.members.iter().any(|(_, member)| !member.is_unmet());
        let is_expected = self.named.iter().any(|dial| !dial.is_over());
        if (is_kept || !is_expected) && !mem::replace(&mut self.heard.alone_is_told, true) {
            self.notices.push_back(Notice::Unheard { is_kept });
        }
    }

    /// How many messages were said, when nobody has any of them.
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
        client.heard_at = now;
        let mut inbox = mem::take(&mut client.inbox);
        let result = inbox.receive(bytes, |frame| self.handle_frame(id, &frame, now));
        self.clients[id.0].inbox = inbox;
        match result {
            Ok(()) => (),
            Err(Unreadable::FrameTooLong) => self.lose(id, LostReason::FrameTooLong, now),
            Err(Unreadable::OtherProtocol) => self.lose(id, LostReason::OtherProtocol, now),
        }
    }

    fn handle_frame(&mut self, id: ClientId, frame: &Frame<'_>, now: Instant) {
        let client = &mut self.clients[id.0];
        // What follows a goodbye has no meaning.
        let is_over = match client.introduction {
            Introduction::Begun(_) => client.state != State::Open,
            introduction => introduction == Introduction::Over,
        };
        if client.state == State::Ended || is_over {
            return;
        }
        client.spoken = Some(frame.framing);
        match frame.code {
            Code::Message => self.hear(id, frame, now),
            Code::Exit => self.handle_goodbye(id, &frame.text(), now),
            Code::Peer if !self.is_plain => self.handle_peer_frame(id, &frame.text(), now),
            Code::Private => self.hear_private(id, frame, now),
            Code::Peer | Code::Unknown => (),
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
        let client = &mut self.clients[id.0];
        if client.state == State::Closing {
            client.is_silent = true;
            return;
        }
        let unfinished_bytes = client.inbox.unfinished_bytes();
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

    /// Tells the user something of what members do, behind the past that is still to come.
    fn tell(&mut self, notice: Notice) {
        if self.joining.is_waiting() {
            self.joining.keep_present(notice);
        } else {
            self.notices.push_back(notice);
        }
    }

    /// Sees to it that the next flush visits a client.
    fn list(&mut self, id: ClientId) {
        if !mem::replace(&mut self.clients[id.0].is_listed, true) {
            self.behind.push(id);
        }
    }

    /// The only place where a client's state moves.
    fn set_state(&mut self, id: ClientId, state: State) {
        let client = &mut self.clients[id.0];
        let is_there = |state| matches!(state, State::Open | State::Closing | State::Finishing { .. });
        assert_ne!(client.state, State::Ended, "an ended connection stays ended");
        self.open_count += usize::from(is_there(state));
        self.open_count -= usize::from(is_there(client.state));
        if matches!(client.state, State::Dialling { .. }) {
            self.timers.dialling.retain(|dialling| *dialling != id);
            // A place is free.
            self.timers.handle_dials_changed();
        }
        client.state = state;
        if state != State::Open {
            self.unname(Holder::Plain(id));
        }
        match state {
            State::Dialling { .. } | State::Open | State::Closing => (),
            State::Finishing { until } => {
                self.to_shut_down.push_back(id);
                self.timers.finishing.push_back((until, id));
            }
            State::Ended => {
                self.ended.push(id);
                if !self.leaving {
                    self.end_person(id, LostReason::Closed { unfinished_bytes: 0 });
                }
            }
        }
    }
}
