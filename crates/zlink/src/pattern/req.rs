//! REQ: a request to one peer, then its reply, in strict turn. Source: 28/REQREP, "The REQ Socket Type".

use std::hash::{BuildHasher, RandomState};

use zlink_pipe::Body;

use super::{FairQueue, LoadBalancer, Pattern, Refusal};
use crate::error::Error;
use crate::option::SocketOptions;
use crate::pipe::{PipeEnd, Pipes, Sink};

/// Where the exchange stands.
///
/// ```text
///   Idle ──first part──► Sending ──last part──► Waiting ──envelope read──► Receiving
///    ▲                                             (relaxed: a send leads back to Sending)  │
///    └───────────────────────────── last part of the reply ─────────────────────────────────┘
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    Sending,
    Waiting,
    Receiving,
}

pub(super) struct Req {
    balancer: LoadBalancer,
    queue: FairQueue,
    state: State,
    /// Where the request went and the reply must come from. Without it, because that pipe is gone, a reply is
    /// taken from any: a peer that connects to this socket answers through a new pipe if it lost its
    /// connection in between.
    peer: Option<usize>,
    /// Number of the last request; where it starts differs from socket to socket, so that a reply to one that
    /// lived before is not taken for one's own.
    number: u32,
    /// The number that the request under way was sent with, in front of the delimiter.
    sent_number: Option<[u8; 4]>,
    correlate: bool,
    relaxed: bool,
    probe: bool,
}

impl Default for Req {
    fn default() -> Self {
        Req {
            balancer: LoadBalancer::default(),
            queue: FairQueue::default(),
            state: State::Idle,
            peer: None,
            number: random_start(),
            sent_number: None,
            correlate: false,
            relaxed: false,
            probe: false,
        }
    }
}

/// A number to start counting from that others do not start from as well.
pub(super) fn random_start() -> u32 {
    RandomState::new().hash_one(0) as u32
}

impl Req {
    /// Sends what precedes the request's first part, to the next peer that takes it.
    fn begin(&mut self, pipes: &mut Pipes) -> Result<(), Refusal> {
        self.peer = None;
        self.sent_number = None;
        if self.correlate {
            let number = self.number.wrapping_add(1).to_ne_bytes();
            self.balancer.send(pipes, &mut Body::Slice(&number), true)?;
            self.number = self.number.wrapping_add(1);
            self.sent_number = Some(number);
        }
        self.peer = self.balancer.send(pipes, &mut Body::Slice(&[]), true)?;
        self.state = State::Sending;
        // A reply that is here before its request has been sent is a late one, to an earlier request.
        while let Some(pipe) = self.queue.next_pipe(pipes) {
            self.queue.drop_message(pipes, pipe);
        }
        Ok(())
    }

    /// The pipe with the next part of the reply; drops everything before that is no reply to the request.
    fn find_reply(&mut self, pipes: &mut Pipes) -> Option<usize> {
        loop {
            let pipe = self.queue.next_pipe(pipes)?;
            if self.state == State::Receiving {
                return Some(pipe);
            }
            let end = pipes.get(pipe)?;
            let mut ended = false;
            let answers = self.peer.is_none_or(|peer| peer == pipe)
                && self.sent_number.is_none_or(|number| skip_part(end, &number, &mut ended))
                && skip_part(end, &[], &mut ended);
            if answers {
                self.state = State::Receiving;
                return Some(pipe);
            }
            if ended {
                self.queue.passed(pipes, false);
            } else {
                self.queue.drop_message(pipes, pipe);
            }
        }
    }
}

/// Drops the next part. Returns whether it was the one expected, with another behind it.
fn skip_part(end: &mut PipeEnd, expected: &[u8], ended: &mut bool) -> bool {
    let Some((part, more)) = end.peek() else {
        *ended = true;
        return false;
    };
    let matches = part == expected;
    end.skip();
    *ended = !more;
    matches && more
}

impl Pattern for Req {
    fn attached(&mut self, pipes: &mut Pipes, pipe: usize) -> bool {
        if self.probe {
            // As in DEALER: a pipe that is full already needs no probe.
            let _ = pipes.send_or_drop(pipe, &mut Body::Slice(&[]));
        }
        self.balancer.add(pipe);
        self.queue.add(pipe);
        true
    }

    fn detached(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.balancer.remove(pipe);
        self.queue.remove(pipe);
        if self.peer == Some(pipe) {
            self.peer = None;
            if self.state == State::Receiving {
                // The rest of the reply went with the pipe.
                self.state = State::Waiting;
            }
        }
    }

    fn readable(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.queue.add(pipe);
    }

    fn writable(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.balancer.add(pipe);
    }

    fn send(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, more: bool) -> Result<(), Refusal> {
        if matches!(self.state, State::Waiting | State::Receiving) {
            if !self.relaxed {
                return Err(Error::WrongState.into());
            }
            // The reply is given up even if the new request has to wait for a peer.
            self.state = State::Idle;
        }
        if self.state == State::Idle {
            self.begin(pipes)?;
        }
        self.balancer.send(pipes, body, more)?;
        if !more {
            self.state = State::Waiting;
        }
        Ok(())
    }

    fn receive(&mut self, pipes: &mut Pipes, sink: &mut Sink<'_>) -> Result<bool, Refusal> {
        if matches!(self.state, State::Idle | State::Sending) {
            return Err(Error::WrongState.into());
        }
        let pipe = self.find_reply(pipes).ok_or(Refusal::Blocked)?;
        let more = pipes.read(pipe, sink);
        self.queue.passed(pipes, more);
        if !more {
            self.state = State::Idle;
        }
        Ok(more)
    }

    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        match self.state {
            State::Waiting | State::Receiving if !self.relaxed => false,
            _ => self.balancer.can_send(pipes),
        }
    }

    fn can_receive(&mut self, pipes: &mut Pipes) -> bool {
        matches!(self.state, State::Waiting | State::Receiving) && self.find_reply(pipes).is_some()
    }

    fn configure(&mut self, options: &SocketOptions) {
        self.correlate = options.req_correlate;
        self.relaxed = options.req_relaxed;
        self.probe = options.probe_router;
    }
}

#[cfg(test)]
mod tests;
