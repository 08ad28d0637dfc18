//! The handshake of a connection: it establishes which member is at the other end.
//!
//! | | the side that dials | the side that accepts |
//! | --- | --- | --- |
//! | 1 | `id`, `port`, `name` | |
//! | 2 | | `id`, `port`, `name`, and `pass` unless the other has shown it before |
//! | 3 | `proof`, and `pass` unless the other has shown it before; established once this is right | |
//! | 4 | | `proof`; established once this is right |
//!
//! Each side issues a **pass** to an id on its first connection, and requires that pass as the **proof** on every later
//! one. So nobody can send in the name of a member without its pass, not even while the member is away.
//!
//! A state machine without I/O: frames go in, and steps come out.

use std::net::SocketAddr;

use super::ids::MemberKey;
use crate::limits::MEMBER_ADDRESSES_MAX;
use crate::wire::hello::{PeerFrame, Token};

/// The passes between this run and one member.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The pass that we issued to the member.
    issued: Token,
    /// Whether the member has shown it.
    was_shown: bool,
    /// The pass that the member issued to us, and the address at which it did.
    received: Option<(Token, SocketAddr)>,
    /// Where the other was met: there it may be shown what we were given elsewhere.
    places: Vec<SocketAddr>,
}

impl Credentials {
    /// Credentials for an id that is new here, to which the pass `issued` is issued.
    #[must_use]
    pub fn new(issued: Token) -> Self {
        Self { issued, was_shown: false, received: None, places: Vec::new() }
    }

    /// Whether either side has received the other's pass, as far as is known.
    #[must_use]
    pub fn are_known(&self) -> bool {
        self.was_shown || self.received.is_some()
    }

    /// The other was met at `address`.
    pub fn handle_met(&mut self, mut address: SocketAddr) {
        address.set_ip(address.ip().to_canonical());
        self.places.retain(|known| *known != address);
        self.places.insert(0, address);
        self.places.truncate(MEMBER_ADDRESSES_MAX);
    }

    fn to_issue(&self) -> Option<Token> {
        (!self.was_shown).then_some(self.issued)
    }
}

/// The handshake of one connection.
#[derive(Debug)]
pub struct Handshake {
    is_dialler: bool,
    /// The member that the other end claims to be.
    member: Option<MemberKey>,
    /// The port that the other end claims to listen on.
    pub port: Option<u16>,
}

/// What to do after a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Wait,
    /// Reply with our hello and this pass.
    Answer {
        /// The pass for the other end; `None` if it has shown it before.
        pass: Option<Token>,
    },
    /// Send a proof, and this pass.
    Prove {
        /// The pass that we were issued; `None` if there is none.
        proof: Option<Token>,
        /// The pass for the other end; `None` if it has shown it before.
        pass: Option<Token>,
    },
    /// The other end has proved its id. Send this proof, unless we dialled.
    Established {
        /// The pass that we were issued; `None` if we dialled.
        proof: Option<Token>,
    },
    /// The other end has not proved its id.
    Rejected,
}

impl Handshake {
    /// The handshake of a connection that we dialled, or accepted.
    #[must_use]
    pub fn new(is_dialler: bool) -> Self {
        Self { is_dialler, member: None, port: None }
    }

    /// The member that the other end claims to be, once its hello was received.
    #[must_use]
    pub fn member(&self) -> Option<MemberKey> {
        self.member
    }

    /// The hello of the other end arrives, with the id of this member.
    pub fn identify(
        &mut self,
        member: MemberKey,
        frame: &PeerFrame,
        credentials: &mut Credentials,
        place: Place,
    ) -> Step {
        self.member = Some(member);
        self.port = frame.port;
        if !self.is_dialler {
            return Step::Answer { pass: credentials.to_issue() };
        }
        let given = frame.pass.map(|pass| (pass, place.address));
        let is_known_place = place.is_named
            || credentials.places.contains(&place.address)
            || credentials.received.is_some_and(|(_, address)| address == place.address);
        if given.is_none() && !is_known_place {
            // It may only claim to be this member, to be shown the member's pass.
            return Step::Rejected;
        }
        let proof = given.or(credentials.received).map(|(pass, _)| pass);
        if !credentials.was_shown {
            // If this connection breaks now, the other end may know already that we received it.
            credentials.received = given.or(credentials.received);
        }
        Step::Prove { proof, pass: credentials.to_issue() }
    }

    /// A later frame of the other end arrives.
    pub fn advance(&mut self, frame: &PeerFrame, credentials: &mut Credentials, address: SocketAddr) -> Step {
        let Some(proof) = frame.proof else { return Step::Wait };
        if proof != credentials.issued {
            return Step::Rejected;
        }
        credentials.was_shown = true;
        if let Some(pass) = frame.pass {
            credentials.received = Some((pass, address));
        }
        let proof = credentials.received.map(|(pass, _)| pass).filter(|_| !self.is_dialler);
        Step::Established { proof }
    }
}

/// The address at which a member that we dialled replies.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its address.
    pub address: SocketAddr,
    /// Whether the user named it.
    pub is_named: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: MemberKey = MemberKey::FIRST;

    fn place(is_named: bool) -> Place {
        Place { address: ([10, 0, 0, 2], 5000).into(), is_named }
    }

    /// Lets a dialler and a listener shake hands. Returns the last steps of both.
    fn shake(
        dialler: &mut Credentials,
        listener: &mut Credentials,
        is_named: bool,
        is_last_heard: bool,
    ) -> (Step, Step) {
        let (mut hers, mut his) = (Handshake::new(true), Handshake::new(false));
        let first = PeerFrame { port: Some(7), ..PeerFrame::default() };
        let Step::Answer { pass } = his.identify(KEY, &first, listener, place(false)) else {
            panic!("a listener answers")
        };
        let frame = PeerFrame { pass, ..PeerFrame::default() };
        let step = hers.identify(KEY, &frame, dialler, place(is_named));
        let Step::Prove { proof, pass } = step else { return (step, Step::Wait) };
        let frame = PeerFrame { proof, pass, ..PeerFrame::default() };
        let step = his.advance(&frame, listener, place(true).address);
        let Step::Established { proof } = step else { return (Step::Wait, step) };
        assert_eq!((his.member(), his.port), (Some(KEY), Some(7)));
        if !is_last_heard {
            return (Step::Wait, step);
        }
        (hers.advance(&PeerFrame { proof, ..PeerFrame::default() }, dialler, place(true).address), step)
    }

    fn is_established(steps: (Step, Step)) -> bool {
        matches!(steps, (Step::Established { proof: None }, Step::Established { proof: Some(_) }))
    }

    #[test]
    fn a_pass_is_given_once_and_shown_from_then_on() {
        let (mut hers, mut his) = (Credentials::new(Token(1)), Credentials::new(Token(2)));
        assert!(is_established(shake(&mut hers, &mut his, false, true)));
        for is_known in [false, true] {
            assert_eq!((hers.to_issue(), his.to_issue()), (None, None));
            assert!(is_established(shake(&mut hers, &mut his, is_known, true)), "again");
            assert!(is_established(shake(&mut his, &mut hers, true, true)), "the other way round");
        }
    }

    #[test]
    fn a_connection_that_breaks_in_the_middle_locks_nobody_out() {
        let (mut hers, mut his) = (Credentials::new(Token(1)), Credentials::new(Token(2)));
        // He has seen her pass; she has not heard that.
        assert!(matches!(shake(&mut hers, &mut his, false, false), (_, Step::Established { .. })));
        assert!(is_established(shake(&mut hers, &mut his, false, true)));
    }

    #[test]
    fn an_id_without_its_pass_is_rejected() {
        let (mut hers, mut his) = (Credentials::new(Token(1)), Credentials::new(Token(2)));
        shake(&mut hers, &mut his, false, true);
        let mut stranger = Credentials::new(Token(3));
        assert_eq!(shake(&mut stranger, &mut his, true, true), (Step::Wait, Step::Wait), "shows nothing");
        stranger.received = Some((Token(9), place(true).address));
        assert_eq!(shake(&mut stranger, &mut his, true, true), (Step::Wait, Step::Rejected));
        let mut handshake = Handshake::new(true);
        let step =
            handshake.identify(KEY, &PeerFrame::default(), &mut Credentials::new(Token(4)), place(false));
        assert_eq!(step, Step::Rejected, "nothing is shown at a place that is not known");
    }

    #[test]
    fn a_frame_without_a_proof_changes_nothing() {
        let mut handshake = Handshake::new(false);
        let mut credentials = Credentials::new(Token(1));
        handshake.identify(KEY, &PeerFrame::default(), &mut credentials, place(false));
        let step = handshake.advance(&PeerFrame::default(), &mut credentials, place(false).address);
        assert_eq!((step, credentials.are_known()), (Step::Wait, false));
    }
}
