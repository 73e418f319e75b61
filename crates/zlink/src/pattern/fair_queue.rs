//! Receiving in turn from the pipes that have something.

use super::Refusal;
use crate::pipe::{Pipes, Sink};

/// Takes each message from the next pipe that has one.
#[derive(Default)]
pub(super) struct FairQueue {
    /// Pipes that may have input, in turn.
    active: Vec<usize>,
    current: usize,
    /// A multipart message is under way, from `active[current]`.
    more: bool,
}

impl FairQueue {
    pub(super) fn add(&mut self, pipe: usize) {
        if !self.active.contains(&pipe) {
            self.active.push(pipe);
        }
    }

    pub(super) fn remove(&mut self, pipe: usize) {
        let Some(at) = self.active.iter().position(|&active| active == pipe) else { return };
        if at == self.current {
            self.more = false;
        }
        self.take_out(at);
    }

    fn take_out(&mut self, at: usize) {
        self.active.remove(at);
        if at < self.current {
            self.current -= 1;
        }
        if self.current >= self.active.len() {
            self.current = 0;
        }
    }

    /// The pipe that the next part comes from.
    #[inline]
    pub(super) fn next_pipe(&mut self, pipes: &mut Pipes) -> Option<usize> {
        while let Some(&pipe) = self.active.get(self.current) {
            if pipes.has_input(pipe) {
                return Some(pipe);
            }
            // Messages become visible as a whole, so this cannot be in the middle of one.
            self.take_out(self.current);
        }
        None
    }

    /// Receives one part. Returns the pipe it came from and whether another follows.
    #[inline]
    pub(super) fn receive(
        &mut self,
        pipes: &mut Pipes,
        sink: &mut Sink<'_>,
    ) -> Result<(usize, bool), Refusal> {
        let pipe = self.next_pipe(pipes).ok_or(Refusal::Blocked)?;
        let more = pipes.read(pipe, sink);
        self.passed(more);
        Ok((pipe, more))
    }

    /// Notes that a part was read from the pipe that `next_pipe` named.
    #[inline]
    pub(super) fn passed(&mut self, more: bool) {
        self.more = more;
        if !more {
            self.current += 1;
            if self.current >= self.active.len() {
                self.current = 0;
            }
        }
    }

    pub(super) fn can_receive(&mut self, pipes: &mut Pipes) -> bool {
        self.more || self.next_pipe(pipes).is_some()
    }
}
