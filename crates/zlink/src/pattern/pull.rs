//! PULL: messages come from peers in turn. Source: 30/PIPELINE.

use zlink_pipe::Body;

use super::{FairQueue, Pattern, Refusal};
use crate::error::Error;
use crate::pipe::{Pipes, Sink};

#[derive(Default)]
pub(super) struct Pull {
    queue: FairQueue,
}

impl Pattern for Pull {
    fn attached(&mut self, _pipes: &mut Pipes, pipe: usize) -> bool {
        self.queue.add(pipe);
        true
    }

    fn detached(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.queue.remove(pipe);
    }

    fn readable(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.queue.add(pipe);
    }

    fn writable(&mut self, _pipes: &mut Pipes, _pipe: usize) {}

    fn send(&mut self, _pipes: &mut Pipes, _body: &mut Body<'_>, _more: bool) -> Result<(), Refusal> {
        Err(Error::NotSupported.into())
    }

    #[inline]
    fn receive(&mut self, pipes: &mut Pipes, sink: &mut Sink<'_>) -> Result<bool, Refusal> {
        let (_, more) = self.queue.receive(pipes, sink)?;
        Ok(more)
    }

    fn can_send(&mut self, _pipes: &mut Pipes) -> bool {
        false
    }

    fn can_receive(&mut self, pipes: &mut Pipes) -> bool {
        self.queue.can_receive(pipes)
    }
}
