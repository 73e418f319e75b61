//! PUSH: messages go to peers in turn. Source: 30/PIPELINE.

use zlink_pipe::Body;

use super::{LoadBalancer, Pattern, Refusal};
use crate::error::Error;
use crate::pipe::{Pipes, Sink};

#[derive(Default)]
pub(super) struct Push {
    balancer: LoadBalancer,
}

impl Pattern for Push {
    fn attached(&mut self, _pipes: &mut Pipes, pipe: usize) -> bool {
        self.balancer.add(pipe);
        true
    }

    fn detached(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.balancer.remove(pipe);
    }

    fn readable(&mut self, _pipes: &mut Pipes, _pipe: usize) {}

    fn writable(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.balancer.add(pipe);
    }

    #[inline]
    fn send(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, more: bool) -> Result<(), Refusal> {
        self.balancer.send(pipes, body, more).map(drop)
    }

    fn receive(&mut self, _pipes: &mut Pipes, _sink: &mut Sink<'_>) -> Result<bool, Refusal> {
        Err(Error::NotSupported.into())
    }

    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        self.balancer.can_send(pipes)
    }

    fn can_receive(&mut self, _pipes: &mut Pipes) -> bool {
        false
    }

    fn ignores_input(&self) -> bool {
        true
    }
}
