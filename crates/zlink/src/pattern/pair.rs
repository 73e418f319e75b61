//! PAIR and CHANNEL: one peer, both ways. Source: 31/EXPAIR, 52/CHANNEL.

use zlink_pipe::Body;

use super::fair_queue::{close_if_over, drop_multipart};
use super::{Pattern, Refusal};
use crate::error::Error;
use crate::pipe::{Pipes, Sink};

#[derive(Default)]
pub(super) struct Pair<const MULTIPART: bool = true> {
    pipe: Option<usize>,
    /// Parts of the message under way go nowhere: its peer is gone.
    dropping: bool,
    more: bool,
}

/// A CHANNEL socket's pattern: a PAIR without multipart messages.
pub(super) type Channel = Pair<false>;

impl<const MULTIPART: bool> Pair<MULTIPART> {
    /// The peer's pipe, if it has input.
    fn input(&self, pipes: &mut Pipes) -> Option<usize> {
        let pipe = self.pipe?;
        while pipes.has_input(pipe) {
            if MULTIPART || !drop_multipart(pipes, pipe) {
                return Some(pipe);
            }
            close_if_over(pipes, pipe);
        }
        None
    }
}

impl<const MULTIPART: bool> Pattern for Pair<MULTIPART> {
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
        if !MULTIPART && more {
            return Err(Error::InvalidArgument.into());
        }
        if self.dropping {
            self.dropping = more;
            self.more = more;
            return Ok(());
        }
        let pipe = self.pipe.ok_or(Refusal::Blocked)?;
        if !more && !self.more {
            return pipes.send(pipe, body).map_err(|_| Refusal::Blocked);
        }
        if !self.more && pipes.check_room(pipe).is_err() {
            return Err(Refusal::Blocked);
        }
        pipes.send_part(pipe, body, more);
        self.more = more;
        Ok(())
    }

    fn receive(&mut self, pipes: &mut Pipes, sink: &mut Sink<'_>) -> Result<bool, Refusal> {
        let pipe = self.input(pipes).ok_or(Refusal::Blocked)?;
        let more = pipes.read(pipe, sink);
        if !more {
            close_if_over(pipes, pipe);
        }
        Ok(more)
    }

    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        self.more || self.pipe.is_some_and(|pipe| pipes.has_room(pipe))
    }

    fn can_receive(&mut self, pipes: &mut Pipes) -> bool {
        self.input(pipes).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::testing::{Rig, blocked};

    fn rig() -> Rig {
        Rig::new(Box::new(<Pair>::default()))
    }

    #[test]
    fn messages_go_both_ways_between_two_peers() {
        let mut rig = rig();
        assert!(!rig.can_send() && blocked(&rig.send(&["early"])));
        let mut peer = rig.attach("");
        rig.send(&["one"]).unwrap();
        rig.send(&["two", "", "parts"]).unwrap();
        assert_eq!([peer.receive().0.len(), peer.receive().0.len()], [1, 3]);
        peer.send(&["back", ""]);
        assert_eq!(rig.receive().unwrap(), ["back", ""]);
        assert!(!rig.can_receive() && blocked(&rig.receive()));
    }

    #[test]
    fn a_second_peer_is_refused_until_the_first_is_gone_and_read_out() {
        let mut rig = rig();
        let mut first = rig.attach("");
        rig.attach("");
        assert!(rig.refused);
        first.send(&["last", "words"]);
        first.close();
        rig.deliver();
        rig.attach("");
        assert!(rig.refused);
        assert_eq!(rig.receive().unwrap(), ["last", "words"]);
        let mut second = rig.attach("");
        assert!(!rig.refused);
        rig.send(&["hi"]).unwrap();
        assert_eq!(second.receive(), ["hi"]);
    }

    #[test]
    fn the_rest_of_a_message_is_dropped_when_the_peer_goes() {
        let mut rig = rig();
        let mut first = rig.attach("");
        rig.send_part("half", true).unwrap();
        first.close();
        rig.deliver();
        let mut second = rig.attach("");
        assert!(rig.can_send());
        rig.send_part("whole", false).unwrap();
        rig.send(&["next"]).unwrap();
        assert_eq!(second.receive(), ["next"]);
    }

    #[test]
    fn a_channel_refuses_and_drops_multipart_messages() {
        let mut rig = Rig::new(Box::new(Channel::default()));
        assert!(
            matches!(rig.send(&["two", "parts"]), Err(refusal) if matches!(refusal.error(), Some(Error::InvalidArgument)))
        );
        let mut peer = rig.attach("");
        assert!(
            matches!(rig.send(&["two", "parts"]), Err(refusal) if matches!(refusal.error(), Some(Error::InvalidArgument)))
        );
        rig.send(&["one"]).unwrap();
        assert_eq!(peer.receive(), ["one"]);
        peer.send(&["two", "parts"]);
        assert!(!rig.can_receive());
        peer.send(&["one"]);
        peer.send(&["two", "parts"]);
        peer.close();
        assert_eq!(rig.receive().unwrap(), ["one"]);
        assert!(blocked(&rig.receive()) && !rig.has(&peer));
        rig.attach("");
        assert!(!rig.refused, "the first peer's place is free");
    }

    #[test]
    fn a_full_pipe_blocks_the_first_part_only() {
        let mut rig = rig();
        rig.hwm = 1;
        let mut peer = rig.attach("");
        rig.send(&["1"]).unwrap();
        assert!(!rig.can_send() && blocked(&rig.send(&["2", "2"])));
        assert_eq!(peer.receive(), ["1"]);
        rig.send(&["2", "2"]).unwrap();
        assert_eq!(peer.receive(), ["2", "2"]);
    }
}
