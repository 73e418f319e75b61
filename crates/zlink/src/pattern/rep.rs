//! REP: a request from any peer, then the reply to it, in strict turn. Source: 28/REQREP, "The REP Socket
//! Type".

use zlink_pipe::Body;

use super::{FairQueue, Pattern, Refusal};
use crate::error::Error;
use crate::pipe::{Pipes, Sink};

/// Where the exchange stands.
///
/// ```text
///   Idle ──envelope read──► Receiving ──last part──► Answering ──first part──► Sending
///    ▲                                                                            │
///    └──────────────────────────── last part of the reply ────────────────────────┘
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    Receiving,
    Answering,
    Sending,
}

pub(super) struct Rep {
    queue: FairQueue,
    state: State,
    /// Where the request under way comes from and its reply goes to. The request's envelope waits there as the
    /// first parts of the reply. Without a pipe the reply goes nowhere.
    peer: Option<usize>,
}

impl Default for Rep {
    fn default() -> Self {
        Rep { queue: FairQueue::default(), state: State::Idle, peer: None }
    }
}

impl Rep {
    /// The pipe with the next part of a request, its envelope read. Drops messages that are no requests.
    fn find_request(&mut self, pipes: &mut Pipes) -> Option<usize> {
        loop {
            let pipe = self.queue.next_pipe(pipes)?;
            if self.state == State::Receiving {
                return Some(pipe);
            }
            if move_envelope(pipes, pipe) {
                self.state = State::Receiving;
                self.peer = Some(pipe);
                return Some(pipe);
            }
            self.queue.passed(pipes, false);
        }
    }

    /// The reply's pipe, if it is there and takes the reply, before the reply's first part.
    fn open_reply(&mut self, pipes: &mut Pipes) -> Option<usize> {
        let pipe = self.peer?;
        if pipes.check_room_or_drop(pipe).is_ok() || pipes.has_one_over(pipe) {
            return Some(pipe);
        }
        // The peer sends requests but does not take replies: a wait for it would keep the others waiting.
        pipes.get(pipe)?.rollback();
        pipes.count_dropped(pipe);
        None
    }
}

/// Makes the parts up to and including the delimiter, an empty part with another behind it, the first parts of
/// a message to the same pipe. Returns false, all of the message read and nothing moved, if there is none.
fn move_envelope(pipes: &mut Pipes, pipe: usize) -> bool {
    let receives = pipes.receives;
    let Some(end) = pipes.get(pipe) else { return false };
    while let Some((part, true)) = end.peek() {
        if part.is_empty() {
            end.skip();
            end.send_part(&mut Body::Slice(&[]), true, receives);
            return true;
        }
        let mut address = end.read_message();
        end.send_part(&mut Body::Message(&mut address), true, receives);
    }
    end.skip();
    end.rollback();
    false
}

impl Pattern for Rep {
    fn attached(&mut self, _pipes: &mut Pipes, pipe: usize) -> bool {
        self.queue.add(pipe);
        true
    }

    fn detached(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.queue.remove(pipe);
        if self.peer == Some(pipe) {
            self.peer = None;
            if self.state == State::Receiving {
                // The rest of the request went with the pipe.
                self.state = State::Idle;
            }
        }
    }

    fn readable(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.queue.add(pipe);
    }

    fn writable(&mut self, _pipes: &mut Pipes, _pipe: usize) {}

    fn send(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, more: bool) -> Result<(), Refusal> {
        match self.state {
            State::Idle | State::Receiving => return Err(Error::WrongState.into()),
            State::Answering => self.peer = self.open_reply(pipes),
            State::Sending => {}
        }
        if let Some(pipe) = self.peer {
            pipes.send_part(pipe, body, more);
        }
        self.state = if more { State::Sending } else { State::Idle };
        if !more {
            self.peer = None;
        }
        Ok(())
    }

    fn receive(&mut self, pipes: &mut Pipes, sink: &mut Sink<'_>) -> Result<bool, Refusal> {
        if matches!(self.state, State::Answering | State::Sending) {
            return Err(Error::WrongState.into());
        }
        let pipe = self.find_request(pipes).ok_or(Refusal::Blocked)?;
        let more = pipes.read(pipe, sink);
        self.queue.passed(pipes, more);
        if !more {
            self.state = State::Answering;
        }
        Ok(more)
    }

    fn can_send(&mut self, _pipes: &mut Pipes) -> bool {
        matches!(self.state, State::Answering | State::Sending)
    }

    fn can_receive(&mut self, pipes: &mut Pipes) -> bool {
        matches!(self.state, State::Idle | State::Receiving) && self.find_request(pipes).is_some()
    }
}

#[cfg(test)]
mod tests;
