//! DEALER and CLIENT: messages go to peers in turn and come from peers in turn. Source: 28/REQREP, 41/CLISRV.

use zlink_pipe::Body;

use super::{FairQueue, LoadBalancer, Pattern, Refusal};
use crate::option::SocketOptions;
use crate::pipe::{Pipes, Sink};

#[derive(Default)]
pub(super) struct Dealer<const MULTIPART: bool = true> {
    balancer: LoadBalancer<MULTIPART>,
    queue: FairQueue<MULTIPART>,
    probe: bool,
}

/// A CLIENT socket's pattern.
pub(super) type Client = Dealer<false>;

impl<const MULTIPART: bool> Pattern for Dealer<MULTIPART> {
    fn attached(&mut self, pipes: &mut Pipes, pipe: usize) -> bool {
        if self.probe {
            // A router learns of the peer before the first real message (ZMQ_PROBE_ROUTER). A pipe that is
            // full already needs no probe.
            let _ = pipes.send_or_drop(pipe, &mut Body::Slice(&[]));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::pattern::testing::{Rig, blocked};

    fn rig() -> Rig {
        Rig::new(Box::new(<Dealer>::default()))
    }

    #[test]
    fn messages_go_to_peers_in_turn() {
        let mut rig = rig();
        let mut peers = [rig.attach(""), rig.attach(""), rig.attach("")];
        for round in ["1", "2"] {
            for _ in &peers {
                rig.send(&[round, "more"]).unwrap();
            }
            for peer in &mut peers {
                assert_eq!(peer.receive(), [round, "more"]);
            }
        }
    }

    #[test]
    fn messages_come_from_peers_in_turn() {
        let mut rig = rig();
        let mut peers = [rig.attach(""), rig.attach(""), rig.attach("")];
        for (peer, name) in peers.iter_mut().zip(["a", "b", "c"]) {
            peer.send(&[name, "1"]);
            peer.send(&[name, "2"]);
        }
        for number in ["1", "2"] {
            for name in ["a", "b", "c"] {
                assert_eq!(rig.receive().unwrap(), [name, number]);
            }
        }
        assert!(!rig.can_receive() && blocked(&rig.receive()));
    }

    #[test]
    fn a_peer_that_goes_does_not_disturb_a_message_from_another() {
        let mut rig = rig();
        let (before, mut reading, after) = (rig.attach(""), rig.attach(""), rig.attach(""));
        reading.send(&["1", "2", "3"]);
        rig.deliver();
        assert!(rig.receive_part().unwrap().1);
        rig.detach(&before);
        rig.detach(&after);
        assert_eq!(rig.receive().unwrap(), ["2", "3"]);
    }

    #[test]
    fn a_full_peer_is_passed_over_until_it_has_room() {
        let mut rig = rig();
        rig.hwm = 1;
        let (mut slow, mut fast) = (rig.attach(""), rig.attach(""));
        rig.send(&["1"]).unwrap();
        for number in ["2", "3", "4"] {
            rig.send(&[number]).unwrap();
            assert_eq!(fast.receive(), [number]);
        }
        rig.send(&["5"]).unwrap();
        assert!(!rig.can_send() && blocked(&rig.send(&["6"])));
        assert_eq!(slow.receive(), ["1"]);
        rig.send(&["6", "6"]).unwrap();
        assert_eq!(slow.receive(), ["6", "6"]);
    }

    #[test]
    fn a_message_under_way_stays_with_its_peer_while_others_come_and_go() {
        let mut rig = rig();
        let (first, mut second, third) = (rig.attach(""), rig.attach(""), rig.attach(""));
        rig.send(&["to the first"]).unwrap();
        rig.send_part("a", true).unwrap();
        rig.detach(&first);
        rig.detach(&third);
        rig.attach("");
        rig.send_part("b", true).unwrap();
        rig.send_part("c", false).unwrap();
        assert_eq!(second.receive(), ["a", "b", "c"]);
    }

    #[test]
    fn the_rest_of_a_message_is_dropped_when_its_peer_goes() {
        let mut rig = rig();
        let mut first = rig.attach("");
        rig.send_part("half", true).unwrap();
        first.close();
        rig.deliver();
        let mut second = rig.attach("");
        assert!(rig.can_send());
        rig.send_part("whole", true).unwrap();
        rig.send_part("message", false).unwrap();
        rig.send(&["next"]).unwrap();
        assert_eq!(second.receive(), ["next"]);
        assert!(second.try_receive().is_none());
    }

    #[test]
    fn a_client_refuses_and_drops_multipart_messages() {
        let mut rig = Rig::new(Box::new(Client::default()));
        let mut peers = [rig.attach(""), rig.attach("")];
        assert!(
            matches!(rig.send(&["two", "parts"]), Err(refusal) if matches!(refusal.error(), Some(Error::InvalidArgument)))
        );
        for (peer, body) in peers.iter_mut().zip(["1", "2"]) {
            rig.send(&[body]).unwrap();
            assert_eq!(peer.receive(), [body]);
            peer.send(&["two", "parts"]);
        }
        assert!(!rig.can_receive());
        for (peer, body) in peers.iter_mut().zip(["1", "2"]) {
            peer.send(&["three", "", "parts"]);
            peer.send(&[body]);
        }
        assert_eq!([rig.receive().unwrap(), rig.receive().unwrap()], [["1"], ["2"]]);
        assert!(blocked(&rig.receive()));
        assert_eq!(rig.dropped(), 4);
    }

    #[test]
    fn a_peer_of_a_client_that_leaves_nothing_but_multipart_messages_is_let_go() {
        let mut rig = Rig::new(Box::new(Client::default()));
        let mut peer = rig.attach("");
        peer.send(&["two", "parts"]);
        peer.close();
        assert!(!rig.can_receive() && blocked(&rig.receive()));
        assert!(!rig.has(&peer));
    }

    #[test]
    fn new_peers_are_probed_on_request() {
        let mut rig = rig();
        rig.configure(|options| options.probe_router = true);
        let mut peer = rig.attach("");
        rig.send(&["hi"]).unwrap();
        assert_eq!([peer.receive(), peer.receive()], [[""], ["hi"]]);
    }
}
