//! DEALER: messages go to peers in turn and come from peers in turn. Source: 28/REQREP.

use zlink_pipe::Body;

use super::{FairQueue, LoadBalancer, Pattern, Refusal};
use crate::option::SocketOptions;
use crate::pipe::{Pipes, Sink};

#[derive(Default)]
pub(super) struct Dealer {
    balancer: LoadBalancer,
    queue: FairQueue,
    probe: bool,
}

impl Pattern for Dealer {
    fn attached(&mut self, pipes: &mut Pipes, pipe: usize) -> bool {
        if self.probe {
            // A router learns of the peer before the first real message (ZMQ_PROBE_ROUTER). A pipe that is
            // full already needs no probe.
            let _ = pipes.send(pipe, &mut Body::Slice(&[]));
        }
        self.balancer.add(pipe);
        self.queue.add(pipe);
        true
    }

    fn detached(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.balancer.remove(pipe);
        self.queue.remove(pipe);
    }

    fn readable(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.queue.add(pipe);
    }

    fn writable(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.balancer.add(pipe);
    }

    #[inline]
    fn send(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, more: bool) -> Result<(), Refusal> {
        self.balancer.send(pipes, body, more).map(drop)
    }

    #[inline]
    fn receive(&mut self, pipes: &mut Pipes, sink: &mut Sink<'_>) -> Result<bool, Refusal> {
        let (_, more) = self.queue.receive(pipes, sink)?;
        Ok(more)
    }

    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        self.balancer.can_send(pipes)
    }

    fn can_receive(&mut self, pipes: &mut Pipes) -> bool {
        self.queue.can_receive(pipes)
    }

    fn configure(&mut self, options: &SocketOptions) {
        self.probe = options.probe_router;
    }
}
