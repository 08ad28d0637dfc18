//! A connection in memory: two pipes that can be slow, stalled and cut.

use std::collections::VecDeque;
use std::time::Instant;

use groupchat::protocol::ClientId;

/// The most that a pipe holds, in bytes.
pub const ROOM_MAX: usize = 1 << 18;

/// One direction of a connection.
pub struct Pipe {
    pub bytes: VecDeque<u8>,
    pub room: usize,
    pub is_stalled: bool,
    /// Its first bytes arrive then; `None` once they may at any time.
    pub opens_at: Option<Instant>,
    /// The writer will write no more; the reader reads what is left, then the end.
    pub is_ended: bool,
}

impl Pipe {
    /// Whether the reader gets nothing for now.
    pub fn is_held(&self, now: Instant) -> bool {
        self.is_stalled || self.opens_at.is_some_and(|at| now < at)
    }

    /// From now on nothing holds it back.
    pub fn hurry(&mut self) {
        (self.is_stalled, self.opens_at) = (false, None);
    }
}

/// A connection: end 0 dialled, end 1 accepts. `pipes[end]` is written by that end.
pub struct Link {
    /// The runs at its ends; the second is known once it was accepted.
    pub runs: [usize; 2],
    /// The clients at its ends: of the first once it dials, of the second once it accepted.
    pub clients: [Option<ClientId>; 2],
    pub pipes: [Pipe; 2],
    /// How much the runs at its ends had said when it was accepted.
    pub said: [u64; 2],
    /// The first end knows that it is connected.
    pub is_connected: bool,
    /// Whether that end has forgotten it, or never heard of it.
    pub is_closed: [bool; 2],
    /// That end wrote something that nobody takes any more.
    pub has_failed: [bool; 2],
    /// A cut loses what is under way, and both ends see a failure.
    pub is_cut: bool,
    /// It was never cut nor stalled, so that nothing may be missing at its ends.
    pub is_blameless: bool,
}

impl Link {
    pub fn new(dialler: usize, listener: usize, client: ClientId, random: &mut fastrand::Rng) -> Self {
        let mut pipe = || Pipe {
            bytes: VecDeque::new(),
            room: 1 << random.u32(8..18),
            is_stalled: false,
            opens_at: None,
            is_ended: false,
        };
        Self {
            runs: [dialler, listener],
            clients: [Some(client), None],
            pipes: [pipe(), pipe()],
            said: [0; 2],
            is_connected: false,
            is_closed: [false; 2],
            has_failed: [false; 2],
            is_cut: false,
            is_blameless: true,
        }
    }

    pub fn is_open(&self) -> bool {
        !self.is_cut && self.is_closed == [false; 2] && self.clients[1].is_some()
    }

    pub fn is_between(&self, runs: [usize; 2]) -> bool {
        self.runs == runs || self.runs == [runs[1], runs[0]]
    }

    pub fn cut(&mut self, random: &mut fastrand::Rng) {
        self.is_cut = true;
        self.is_blameless = false;
        for pipe in &mut self.pipes {
            let kept = random.usize(..=pipe.bytes.len());
            pipe.bytes.truncate(kept);
            pipe.hurry();
        }
    }

    pub fn stall(&mut self, end: usize, is_stalled: bool) {
        self.pipes[end].is_stalled = is_stalled;
        self.is_blameless &= !is_stalled;
    }
}
