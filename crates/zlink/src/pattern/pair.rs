//! PAIR: one peer, both ways. Source: 31/EXPAIR.

use zlink_pipe::Body;

use super::{Pattern, Refusal};
use crate::pipe::{Pipes, Sink};

#[derive(Default)]
pub(super) struct Pair {
    pipe: Option<usize>,
    /// Parts of the message under way go nowhere: its peer is gone.
    dropping: bool,
    more: bool,
}

impl Pattern for Pair {
    /// A second peer is turned away while there is a first.
    fn attached(&mut self, _pipes: &mut Pipes, pipe: usize) -> bool {
        let free = self.pipe.is_none();
        if free {
            self.pipe = Some(pipe);
        }
        free
    }

    fn detached(&mut self, _pipes: &mut Pipes, pipe: usize) {
        if self.pipe == Some(pipe) {
            self.pipe = None;
            self.dropping = self.more;
        }
    }

    fn readable(&mut self, _pipes: &mut Pipes, _pipe: usize) {}

    fn writable(&mut self, _pipes: &mut Pipes, _pipe: usize) {}

    fn send(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, more: bool) -> Result<(), Refusal> {
        if self.dropping {
            self.dropping = more;
            self.more = more;
            return Ok(());
        }
        let pipe = self.pipe.ok_or(Refusal::Blocked)?;
        if !more && !self.more {
            return pipes.send(pipe, body).map_err(|_| Refusal::Blocked);
        }
        if !self.more && !pipes.get(pipe).is_some_and(|end| end.check_room().is_ok()) {
            return Err(Refusal::Blocked);
        }
        pipes.send_part(pipe, body, more);
        self.more = more;
        Ok(())
    }

    fn receive(&mut self, pipes: &mut Pipes, sink: &mut Sink<'_>) -> Result<bool, Refusal> {
        let pipe = self.pipe.filter(|&pipe| pipes.has_input(pipe)).ok_or(Refusal::Blocked)?;
        Ok(pipes.read(pipe, sink))
    }

    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        self.more || self.pipe.is_some_and(|pipe| pipes.has_room(pipe))
    }

    fn can_receive(&mut self, pipes: &mut Pipes) -> bool {
        self.pipe.is_some_and(|pipe| pipes.has_input(pipe))
    }
}
