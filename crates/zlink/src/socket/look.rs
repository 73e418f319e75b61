//! Input that a message depends on: the look for subscriptions before a send.
//!
//! The I/O thread reads what peers send, but need not have had a processor since it came: the kernel lets a thread that
//! computes go on for milliseconds, the more so beside one that ran by itself a moment ago, to look after a lease. So a
//! socket that sends by what its peers have asked for looks itself, from time to time.

use std::time::{Duration, Instant};

use super::Core;
use super::direct::MAX_LEASES;
use crate::engine::ReadTurn;
use crate::inbox::Inbox;
use crate::reactor::find_readable;
use crate::rhythm::STREAM_GAP;

/// How often a socket looks at most.
const LOOK_INTERVAL: Duration = Duration::from_micros(100);
/// While it sends a stream it looks at the clock, which costs as much as a short send, once in so many sends.
const STREAM_PATIENCE: u32 = 15;

/// When a socket looks before it sends.
pub(super) struct Looks {
    last: Instant,
    /// When it last looked at the clock, the sends since then, and how many there are to be without.
    asked: Instant,
    sends: u32,
    patience: u32,
}

impl Looks {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Looks { last: now, asked: now, sends: 0, patience: 0 }
    }

    /// Whether it is time, before a send.
    #[inline]
    fn are_due(&mut self) -> bool {
        self.sends += 1;
        self.sends > self.patience && self.ask()
    }

    #[inline(never)]
    fn ask(&mut self) -> bool {
        let now = Instant::now();
        let streams = now.duration_since(self.asked) < STREAM_GAP * self.sends;
        self.patience = if streams { STREAM_PATIENCE } else { 0 };
        (self.asked, self.sends) = (now, 0);
        let due = now.duration_since(self.last) >= LOOK_INTERVAL;
        if due {
            self.last = now;
        }
        due
    }
}

impl Core {
    /// Takes in what peers have sent, before a message is sent to those that want it. Returns whether there was
    /// something to read.
    #[inline]
    pub(super) fn look_before_sending(&mut self, inbox: &Inbox) -> bool {
        let due = match &mut self.direct.looks {
            Some(looks) => !self.pipes.is_empty() && looks.are_due(),
            None => false,
        };
        due && self.look_at_all(inbox)
    }

    #[inline(never)]
    fn look_at_all(&mut self, inbox: &Inbox) -> bool {
        if self.pipes.indexes().nth(MAX_LEASES).is_some() {
            return false;
        }
        let pipes = self.pipes.iter_mut().filter_map(|(index, pipe)| Some((index, pipe.connection()?)));
        let connections: Vec<_> = pipes.filter(|(_, connection)| connection.can_be_leased()).collect();
        let readable = find_readable(connections.iter().map(|(_, connection)| connection.fd()));
        let mut any = false;
        for &at in &readable {
            let (index, connection) = &connections[at];
            if connection.read_in_passing() == ReadTurn::Data {
                self.pattern.readable(&mut self.pipes, *index);
                any = true;
            }
        }
        if any {
            inbox.nudge_sleepers();
        }
        !readable.is_empty()
    }
}
