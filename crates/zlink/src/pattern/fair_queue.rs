//! Receiving in turn from the pipes that have something.

use super::Refusal;
use crate::pipe::{Part, Pipes, Sink};

/// Takes each message from the next pipe that has one. Without `MULTIPART`, messages of several parts are dropped.
#[derive(Default)]
pub(super) struct FairQueue<const MULTIPART: bool = true> {
    /// Pipes that may have input, in turn.
    active: Vec<usize>,
    current: usize,
}

impl<const MULTIPART: bool> FairQueue<MULTIPART> {
    pub(super) fn add(&mut self, pipe: usize) {
        if !self.active.contains(&pipe) {
            self.active.push(pipe);
        }
    }

    pub(super) fn remove(&mut self, pipe: usize) {
        if let Some(at) = self.active.iter().position(|&active| active == pipe) {
            self.take_out(at);
        }
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
    #[inline(always)]
    pub(super) fn next_pipe(&mut self, pipes: &mut Pipes) -> Option<usize> {
        while let Some(&pipe) = self.active.get(self.current) {
            if pipes.has_input(pipe) {
                if !MULTIPART && drop_multipart(pipes, pipe) {
                    self.passed(pipes, false);
                    continue;
                }
                return Some(pipe);
            }
            // Messages become visible as a whole, so this cannot be in the middle of one.
            self.take_out(self.current);
        }
        None
    }

    /// Receives one part. Returns the pipe it came from and whether another follows.
    #[inline(always)]
    pub(super) fn receive(
        &mut self,
        pipes: &mut Pipes,
        sink: &mut Sink<'_>,
    ) -> Result<(usize, bool), Refusal> {
        if !MULTIPART {
            let pipe = self.next_pipe(pipes).ok_or(Refusal::Blocked)?;
            return Ok((pipe, self.read(pipes, pipe, sink)));
        }
        while let Some(&pipe) = self.active.get(self.current) {
            if let Some(Part { more, gone }) = pipes.receive(pipe, sink) {
                if !more {
                    if gone {
                        close_if_empty(pipes, pipe);
                    }
                    self.turn();
                }
                return Ok((pipe, more));
            }
            self.take_out(self.current);
        }
        Err(Refusal::Blocked)
    }

    /// Reads a part from the pipe that `next_pipe` named. Returns whether another follows.
    #[inline(always)]
    pub(super) fn read(&mut self, pipes: &mut Pipes, pipe: usize, sink: &mut Sink<'_>) -> bool {
        let more = pipes.read(pipe, sink);
        self.passed(pipes, more);
        more
    }

    /// Notes that a part was read from, or dropped at, the pipe that `next_pipe` named.
    #[inline(always)]
    pub(super) fn passed(&mut self, pipes: &mut Pipes, more: bool) {
        if more {
            return;
        }
        if let Some(&pipe) = self.active.get(self.current) {
            close_if_over(pipes, pipe);
        }
        self.turn();
    }

    #[inline(always)]
    fn turn(&mut self) {
        self.current += 1;
        if self.current >= self.active.len() {
            self.current = 0;
        }
    }

    /// Drops what is left of the message at the pipe that `next_pipe` named.
    pub(super) fn drop_message(&mut self, pipes: &mut Pipes, pipe: usize) {
        drop_rest(pipes, pipe);
        self.passed(pipes, false);
    }

    pub(super) fn can_receive(&mut self, pipes: &mut Pipes) -> bool {
        self.next_pipe(pipes).is_some()
    }
}

/// Drops what is left of the message at a pipe.
fn drop_rest(pipes: &mut Pipes, pipe: usize) {
    let Some(end) = pipes.get(pipe) else { return };
    while let Some((_, more)) = end.peek() {
        end.skip();
        if !more {
            break;
        }
    }
}

/// Drops the message at a pipe if it has several parts: the types whose messages have one only (41/CLISRV and its
/// like) ignore such. Returns whether it was dropped.
pub(super) fn drop_multipart(pipes: &mut Pipes, pipe: usize) -> bool {
    let several = pipes.get(pipe).and_then(|end| end.peek()).is_some_and(|(_, more)| more);
    if several {
        drop_rest(pipes, pipe);
        pipes.count_dropped(pipe);
    }
    several
}

/// Has the pipe closed if its peer is gone and what was just read is the last of its messages: no news will
/// tell of that.
#[inline(always)]
pub(super) fn close_if_over(pipes: &mut Pipes, pipe: usize) {
    if pipes.get(pipe).is_some_and(|end| end.is_gone()) {
        close_if_empty(pipes, pipe);
    }
}

#[cold]
fn close_if_empty(pipes: &mut Pipes, pipe: usize) {
    if !pipes.has_input(pipe) {
        pipes.close_later(pipe);
    }
}
