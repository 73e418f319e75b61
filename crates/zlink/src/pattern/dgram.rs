//! DGRAM: datagrams to and from anybody. A message has two parts, the peer's address and the body. Source: libzmq.

use zlink_pipe::Body;

use super::fair_queue::close_if_over;
use super::{Pattern, Refusal};
use crate::error::Error;
use crate::pipe::{Pipes, Sink};

#[derive(Default)]
pub(super) struct Dgram {
    /// What is bound: one endpoint at a time.
    pipe: Option<usize>,
    /// The body is next.
    addressed: bool,
    /// It goes nowhere: the endpoint was unbound.
    dropping: bool,
}

impl Pattern for Dgram {
    /// A second endpoint is turned away while there is a first.
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
            self.dropping = self.addressed;
        }
    }

    fn readable(&mut self, _pipes: &mut Pipes, _pipe: usize) {}

    fn writable(&mut self, _pipes: &mut Pipes, _pipe: usize) {}

    fn send(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, more: bool) -> Result<(), Refusal> {
        // An address and then a body, and nothing else.
        if more == self.addressed {
            return Err(Error::InvalidArgument.into());
        }
        if !std::mem::take(&mut self.dropping) {
            let pipe = self.pipe.ok_or(Refusal::Blocked)?;
            if more && pipes.get(pipe).is_none_or(|end| end.check_room().is_err()) {
                return Err(Refusal::Blocked);
            }
            pipes.send_part(pipe, body, more);
        }
        self.addressed = more;
        Ok(())
    }

    fn receive(&mut self, pipes: &mut Pipes, sink: &mut Sink<'_>) -> Result<bool, Refusal> {
        let pipe = self.pipe.filter(|&pipe| pipes.has_input(pipe)).ok_or(Refusal::Blocked)?;
        let more = pipes.read(pipe, sink);
        if !more {
            close_if_over(pipes, pipe);
        }
        Ok(more)
    }

    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        self.addressed || self.pipe.is_some_and(|pipe| pipes.has_room(pipe))
    }

    fn can_receive(&mut self, pipes: &mut Pipes) -> bool {
        self.pipe.is_some_and(|pipe| pipes.has_input(pipe))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::testing::{Rig, blocked};

    fn rig() -> Rig {
        Rig::new(Box::new(Dgram::default()))
    }

    fn refused(result: Result<(), Refusal>) -> bool {
        matches!(result, Err(refusal) if matches!(refusal.error(), Some(Error::InvalidArgument)))
    }

    #[test]
    fn messages_are_an_address_and_a_body() {
        let mut rig = rig();
        assert!(refused(rig.send_part("body alone", false)));
        assert!(!rig.can_send() && blocked(&rig.send_part("address", true)), "nothing is bound");
        let mut peer = rig.attach("");
        rig.send(&["address", "body"]).unwrap();
        rig.send_part("address", true).unwrap();
        assert!(refused(rig.send_part("too many", true)) && rig.can_send());
        rig.send_part("", false).unwrap();
        assert_eq!([peer.receive(), peer.receive()], [["address", "body"], ["address", ""]]);
        peer.send(&["address", "answer"]);
        assert_eq!(rig.receive().unwrap(), ["address", "answer"]);
        assert!(!rig.can_receive() && blocked(&rig.receive()));
    }

    #[test]
    fn a_second_endpoint_is_refused_until_the_first_is_gone() {
        let mut rig = rig();
        let mut first = rig.attach("");
        rig.attach("");
        assert!(rig.refused);
        first.close();
        rig.deliver();
        rig.attach("");
        assert!(!rig.refused);
    }

    #[test]
    fn the_body_is_dropped_if_the_endpoint_goes_before_it() {
        let mut rig = rig();
        let mut first = rig.attach("");
        rig.send_part("address", true).unwrap();
        first.close();
        rig.deliver();
        let mut second = rig.attach("");
        rig.send_part("lost", false).unwrap();
        rig.send(&["address", "next"]).unwrap();
        assert_eq!(second.receive(), ["address", "next"]);
    }

    #[test]
    fn a_full_pipe_blocks_the_address_only() {
        let mut rig = rig();
        rig.hwm = 1;
        let mut peer = rig.attach("");
        rig.send(&["a", "1"]).unwrap();
        assert!(!rig.can_send() && blocked(&rig.send_part("a", true)));
        assert_eq!(peer.receive(), ["a", "1"]);
        rig.send(&["a", "2"]).unwrap();
    }
}
