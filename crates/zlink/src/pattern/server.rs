//! SERVER and PEER: messages go to the peer whose number they carry, and come with their peer's number.
//! Source: 41/CLISRV, 51/P2P.

use std::collections::HashMap;

use zlink_pipe::Body;

use super::req::random_start;
use super::{FairQueue, Pattern, Refusal};
use crate::error::Error;
use crate::pipe::{Pipes, Sink};

pub(super) struct Server {
    queue: FairQueue<false>,
    /// Pipes by routing id.
    routes: HashMap<u32, usize>,
    /// Routing ids by pipe; 0 is none.
    ids: Vec<u32>,
    next: u32,
}

impl Default for Server {
    fn default() -> Self {
        Server { queue: FairQueue::default(), routes: HashMap::new(), ids: Vec::new(), next: random_start() }
    }
}

impl Server {
    /// A routing id that no peer has. After four billion peers numbers come again.
    fn make_id(&mut self) -> u32 {
        loop {
            let id = self.next;
            self.next = id.wrapping_add(1);
            if id != 0 && !self.routes.contains_key(&id) {
                return id;
            }
        }
    }
}

impl Pattern for Server {
    fn attached(&mut self, _pipes: &mut Pipes, pipe: usize) -> bool {
        let id = self.make_id();
        if self.ids.len() <= pipe {
            self.ids.resize(pipe + 1, 0);
        }
        self.ids[pipe] = id;
        self.routes.insert(id, pipe);
        self.queue.add(pipe);
        true
    }

    fn detached(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.queue.remove(pipe);
        if let Some(id) = self.ids.get_mut(pipe) {
            self.routes.remove(id);
            *id = 0;
        }
    }

    fn readable(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.queue.add(pipe);
    }

    fn writable(&mut self, _pipes: &mut Pipes, _pipe: usize) {}

    fn send(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, more: bool) -> Result<(), Refusal> {
        if more {
            return Err(Error::InvalidArgument.into());
        }
        let id = match body {
            Body::Message(message) => message.routing_id(),
            Body::Slice(_) | Body::Shared(_) => 0,
        };
        let pipe = *self.routes.get(&id).ok_or(Error::HostUnreachable)?;
        pipes.send(pipe, body).map_err(|_| match pipes.get(pipe) {
            Some(end) if !end.is_gone() => Refusal::Blocked,
            _ => Error::HostUnreachable.into(),
        })
    }

    fn receive(&mut self, pipes: &mut Pipes, sink: &mut Sink<'_>) -> Result<bool, Refusal> {
        let (pipe, more) = self.queue.receive(pipes, sink)?;
        if let Sink::Message(message) = sink {
            message.set_routing_id(self.routing_id(pipe).unwrap_or_default());
        }
        Ok(more)
    }

    /// Always: whether a message can go depends on whom it is for, which only a send can tell.
    fn can_send(&mut self, _pipes: &mut Pipes) -> bool {
        true
    }

    fn can_receive(&mut self, pipes: &mut Pipes) -> bool {
        self.queue.can_receive(pipes)
    }

    fn routing_id(&self, pipe: usize) -> Option<u32> {
        self.ids.get(pipe).copied().filter(|&id| id != 0)
    }

    fn pipe_of(&self, routing_id: u32) -> Result<usize, Error> {
        self.routes.get(&routing_id).copied().ok_or(Error::HostUnreachable)
    }
}

#[cfg(test)]
mod tests {
    use zlink_pipe::Message;

    use super::*;
    use crate::pattern::testing::{Peer, Rig, blocked};

    fn rig() -> Rig {
        Rig::new(Box::new(Server::default()))
    }

    fn send_to(rig: &mut Rig, id: u32, text: &str) -> Result<(), Refusal> {
        let mut message = Message::from(text);
        message.set_routing_id(id);
        rig.deliver();
        rig.send_message(&mut message, false)
    }

    /// What a peer says next, and the number it says it under.
    fn hear(rig: &mut Rig) -> (Vec<u8>, u32) {
        rig.deliver();
        let (message, more) = rig.receive_part().unwrap();
        assert!(!more);
        (message.to_vec(), message.routing_id())
    }

    fn id_of(rig: &mut Rig, peer: &mut Peer) -> u32 {
        peer.send(&["who am I"]);
        hear(rig).1
    }

    fn unreachable(result: &Result<(), Refusal>) -> bool {
        matches!(result, Err(refusal) if matches!(refusal.error(), Some(Error::HostUnreachable)))
    }

    #[test]
    fn answers_go_to_the_peer_that_asked() {
        let mut rig = rig();
        let mut peers = [rig.attach(""), rig.attach(""), rig.attach("")];
        for (peer, name) in peers.iter_mut().zip(["a", "b", "c"]) {
            peer.send(&[name]);
        }
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            let (asked, id) = hear(&mut rig);
            assert_eq!(asked, name.as_bytes());
            assert!(id != 0 && !ids.contains(&id));
            ids.push(id);
            send_to(&mut rig, id, name).unwrap();
        }
        for (peer, name) in peers.iter_mut().zip(["a", "b", "c"]) {
            assert_eq!(peer.receive(), [name]);
        }
    }

    #[test]
    fn a_number_that_is_no_peers_is_unreachable() {
        let mut rig = rig();
        let mut peer = rig.attach("");
        let id = id_of(&mut rig, &mut peer);
        assert!(unreachable(&rig.send(&["no number at all"])));
        assert!(unreachable(&send_to(&mut rig, 0, "none")));
        assert!(unreachable(&send_to(&mut rig, id.wrapping_add(1).max(1), "nobody")));
        peer.close();
        assert!(unreachable(&send_to(&mut rig, id, "gone")));
        let mut next = rig.attach("");
        assert_ne!(id_of(&mut rig, &mut next), id, "a newcomer has a number of its own");
    }

    #[test]
    fn a_peer_that_went_with_messages_unread_is_heard_but_not_reached() {
        let mut rig = rig();
        let mut peer = rig.attach("");
        peer.send(&["1"]);
        peer.send(&["2"]);
        peer.close();
        let (_, id) = hear(&mut rig);
        assert!(unreachable(&send_to(&mut rig, id, "too late")));
        assert_eq!(hear(&mut rig), (b"2".to_vec(), id));
        assert!(!rig.has(&peer));
    }

    #[test]
    fn a_full_peer_blocks_and_others_do_not() {
        let mut rig = rig();
        rig.hwm = 1;
        let (mut slow, mut fast) = (rig.attach(""), rig.attach(""));
        let (slow_id, fast_id) = (id_of(&mut rig, &mut slow), id_of(&mut rig, &mut fast));
        send_to(&mut rig, slow_id, "1").unwrap();
        assert!(blocked(&send_to(&mut rig, slow_id, "2")));
        send_to(&mut rig, fast_id, "1").unwrap();
        assert!(rig.can_send());
        assert_eq!(slow.receive(), ["1"]);
        send_to(&mut rig, slow_id, "2").unwrap();
        assert_eq!((slow.receive(), fast.receive()), (fast_parts("2"), fast_parts("1")));
    }

    fn fast_parts(text: &str) -> crate::pattern::testing::Parts {
        crate::pattern::testing::Parts(vec![text.as_bytes().to_vec()])
    }

    #[test]
    fn multipart_messages_are_refused_and_dropped() {
        let mut rig = rig();
        let mut peer = rig.attach("");
        let id = id_of(&mut rig, &mut peer);
        let mut message = Message::from("half");
        message.set_routing_id(id);
        let refused = rig.send_message(&mut message, true);
        assert!(matches!(refused, Err(refusal) if matches!(refusal.error(), Some(Error::InvalidArgument))));
        assert_eq!((&*message, message.routing_id()), (&b"half"[..], id), "it is the caller's still");
        peer.send(&["two", "parts"]);
        assert!(!rig.can_receive());
        peer.send(&["three", "", "parts"]);
        peer.send(&["one part"]);
        assert_eq!(hear(&mut rig), (b"one part".to_vec(), id));
        assert_eq!(rig.dropped(), 2);
    }

    #[test]
    fn zero_and_numbers_in_use_are_never_given() {
        let mut server = Server { next: u32::MAX, ..Server::default() };
        server.routes.insert(1, 0);
        assert_eq!([server.make_id(), server.make_id(), server.make_id()], [u32::MAX, 2, 3]);
    }
}
