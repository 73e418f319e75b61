//! PUSH and SCATTER: messages go to peers in turn. Source: 30/PIPELINE, 49/SCATTERGATHER.

use zlink_pipe::Body;

use super::{LoadBalancer, Pattern, Refusal};
use crate::error::Error;
use crate::pipe::{Pipes, Sink};

#[derive(Default)]
pub(super) struct Push<const MULTIPART: bool = true> {
    balancer: LoadBalancer<MULTIPART>,
}

/// A SCATTER socket's pattern.
pub(super) type Scatter = Push<false>;

impl<const MULTIPART: bool> Pattern for Push<MULTIPART> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::testing::Rig;

    #[test]
    fn a_scatter_sends_single_parts_to_peers_in_turn() {
        let mut rig = Rig::new(Box::new(Scatter::default()));
        let mut peers = [rig.attach(""), rig.attach("")];
        assert!(
            matches!(rig.send(&["two", "parts"]), Err(refusal) if matches!(refusal.error(), Some(Error::InvalidArgument)))
        );
        for body in ["1", "2"] {
            for peer in &mut peers {
                rig.send(&[body]).unwrap();
                assert_eq!(peer.receive(), [body]);
            }
        }
        assert!(
            matches!(rig.receive_part(), Err(refusal) if matches!(refusal.error(), Some(Error::NotSupported)))
        );
    }
}
