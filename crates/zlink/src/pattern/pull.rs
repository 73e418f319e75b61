//! PULL and GATHER: messages come from peers in turn. Source: 30/PIPELINE, 49/SCATTERGATHER.

use zlink_pipe::Body;

use super::{FairQueue, Pattern, Refusal};
use crate::error::Error;
use crate::pipe::{Pipes, Sink};

#[derive(Default)]
pub(super) struct Pull<const MULTIPART: bool = true> {
    queue: FairQueue<MULTIPART>,
}

/// A GATHER socket's pattern.
pub(super) type Gather = Pull<false>;

impl<const MULTIPART: bool> Pattern for Pull<MULTIPART> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::testing::{Rig, blocked};

    #[test]
    fn a_gather_takes_single_parts_from_peers_in_turn() {
        let mut rig = Rig::new(Box::new(Gather::default()));
        let mut peers = [rig.attach(""), rig.attach("")];
        for body in ["1", "2"] {
            for peer in &mut peers {
                peer.send(&["two", "parts"]);
                peer.send(&[body]);
            }
        }
        let received = [(); 4].map(|()| rig.receive().unwrap());
        assert_eq!(received, [["1"], ["1"], ["2"], ["2"]]);
        assert!(!rig.can_receive() && blocked(&rig.receive()));
        assert!(
            matches!(rig.send(&["x"]), Err(refusal) if matches!(refusal.error(), Some(Error::NotSupported)))
        );
    }
}
