//! Round robin over the pipes that have room.

use zlink_pipe::Body;

use super::Refusal;
use crate::error::Error;
use crate::pipe::Pipes;

/// Sends each message to the next pipe that takes it. Without `MULTIPART`, messages of several parts are refused.
#[derive(Default)]
pub(super) struct LoadBalancer<const MULTIPART: bool = true> {
    /// Pipes that had room when last seen, in turn.
    active: Vec<usize>,
    current: usize,
    /// A multipart message is under way, to `active[current]`.
    more: bool,
    /// The pipe of the message under way is gone: its other parts are dropped.
    dropping: bool,
}

impl<const MULTIPART: bool> LoadBalancer<MULTIPART> {
    pub(super) fn add(&mut self, pipe: usize) {
        if !self.active.contains(&pipe) {
            self.active.push(pipe);
        }
    }

    pub(super) fn remove(&mut self, pipe: usize) {
        let Some(at) = self.active.iter().position(|&active| active == pipe) else { return };
        if at == self.current && self.more {
            self.dropping = true;
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

    /// Sends one part. Returns the pipe it went to, or `None` if it was dropped with the rest of a message
    /// whose pipe is gone.
    #[inline(always)]
    pub(super) fn send(
        &mut self,
        pipes: &mut Pipes,
        body: &mut Body<'_>,
        more: bool,
    ) -> Result<Option<usize>, Refusal> {
        if !MULTIPART && more {
            return Err(Error::InvalidArgument.into());
        }
        if self.dropping {
            self.more = more;
            self.dropping = more;
            return Ok(None);
        }
        while let Some(&pipe) = self.active.get(self.current) {
            if !more && !self.more {
                if pipes.send(pipe, body).is_ok() {
                    self.next();
                    return Ok(Some(pipe));
                }
            } else if self.more || pipes.check_room(pipe).is_ok() {
                pipes.send_part(pipe, body, more);
                self.more = more;
                if !more {
                    self.next();
                }
                return Ok(Some(pipe));
            }
            self.take_out(self.current);
        }
        Err(Refusal::Blocked)
    }

    #[inline]
    fn next(&mut self) {
        self.current += 1;
        if self.current >= self.active.len() {
            self.current = 0;
        }
    }

    pub(super) fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        if self.more {
            return true;
        }
        while let Some(&pipe) = self.active.get(self.current) {
            if pipes.has_room(pipe) {
                return true;
            }
            self.take_out(self.current);
        }
        false
    }
}
