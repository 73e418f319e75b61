//! RADIO: each message goes to all peers that joined its group, and to those that cannot say what they have joined.
//! Source: 48/RADIO-DISH.
//!
//! In a pipe a message has two parts, group and body. What comes from a peer are parts that begin with 1 to
//! join or 0 to leave, and go on with the group: the connection makes them of JOIN and LEAVE. They are taken in
//! as they come.

use std::collections::HashMap;

use zlink_pipe::{Body, MAX_GROUP_LEN};

use super::distributor::Distributor;
use super::{Pattern, Refusal};
use crate::error::Error;
use crate::option::SocketOptions;
use crate::pipe::{Pipes, Sink};

#[derive(Default)]
pub(super) struct Radio {
    /// The pipes that joined each group; none of them twice, and no group without a pipe.
    groups: HashMap<Vec<u8>, Vec<usize>>,
    /// The pipes whose peers cannot join: they get the messages of all groups.
    unheard: Vec<usize>,
    distributor: Distributor,
    no_drop: bool,
}

impl Radio {
    /// Takes in what the peer has sent.
    fn drain(&mut self, pipes: &mut Pipes, pipe: usize) {
        let Some(end) = pipes.get(pipe) else { return };
        while let Some((part, _)) = end.peek() {
            match part.split_first() {
                Some((1, group)) if group.len() <= MAX_GROUP_LEN => self.join(group, pipe),
                Some((0, group)) => self.leave(group, pipe),
                _ => {}
            }
            end.skip();
        }
        if end.is_over() {
            pipes.close_later(pipe);
        }
    }

    fn join(&mut self, group: &[u8], pipe: usize) {
        let members = self.groups.entry(group.to_vec()).or_default();
        if !members.contains(&pipe) {
            members.push(pipe);
        }
    }

    fn leave(&mut self, group: &[u8], pipe: usize) {
        if let Some(members) = self.groups.get_mut(group) {
            members.retain(|&member| member != pipe);
            if members.is_empty() {
                self.groups.remove(group);
            }
        }
    }
}

impl Pattern for Radio {
    fn attached(&mut self, pipes: &mut Pipes, pipe: usize) -> bool {
        self.distributor.attach(pipe);
        if pipes.get(pipe).is_some_and(|end| end.takes_all()) {
            self.unheard.push(pipe);
        }
        self.drain(pipes, pipe);
        true
    }

    fn detached(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.distributor.detach(pipe);
        self.unheard.retain(|&it| it != pipe);
        self.groups.retain(|_, members| {
            members.retain(|&member| member != pipe);
            !members.is_empty()
        });
    }

    fn readable(&mut self, pipes: &mut Pipes, pipe: usize) {
        self.drain(pipes, pipe);
    }

    fn writable(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.distributor.set_room(pipe, true);
    }

    fn send(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, more: bool) -> Result<(), Refusal> {
        if more {
            return Err(Error::InvalidArgument.into());
        }
        let group = match body {
            Body::Message(message) => message.group(),
            Body::Slice(_) | Body::Shared(_) => &[],
        };
        self.distributor.begin();
        for &pipe in self.groups.get(group).into_iter().flatten().chain(&self.unheard) {
            self.distributor.select(pipe);
        }
        if self.no_drop && !self.distributor.all_have_room(pipes) {
            return Err(Refusal::Blocked);
        }
        for &pipe in self.distributor.send(pipes, &mut Body::Slice(group), true) {
            pipes.count_dropped(pipe);
        }
        self.distributor.send(pipes, body, false);
        Ok(())
    }

    fn receive(&mut self, _pipes: &mut Pipes, _sink: &mut Sink<'_>) -> Result<bool, Refusal> {
        Err(Error::NotSupported.into())
    }

    /// Always, as with PUB.
    fn can_send(&mut self, _pipes: &mut Pipes) -> bool {
        true
    }

    fn can_receive(&mut self, _pipes: &mut Pipes) -> bool {
        false
    }

    fn sends_by_input(&self) -> bool {
        true
    }

    fn configure(&mut self, options: &SocketOptions) {
        self.no_drop = options.xpub_nodrop;
    }
}

#[cfg(test)]
mod tests {
    use zlink_pipe::{BY_REFERENCE, Message};

    use super::*;
    use crate::pattern::testing::{Peer, Rig, blocked};

    fn rig() -> Rig {
        Rig::new(Box::new(Radio::default()))
    }

    fn join(peer: &mut Peer, group: &str) {
        peer.send(&[[&[1], group.as_bytes()].concat()]);
    }

    fn leave(peer: &mut Peer, group: &str) {
        peer.send(&[[&[0], group.as_bytes()].concat()]);
    }

    fn send(rig: &mut Rig, group: &str, body: &str) -> Result<(), Refusal> {
        let mut message = Message::from(body);
        message.set_group(group).unwrap();
        rig.deliver();
        rig.send_message(&mut message, false)
    }

    #[test]
    fn a_message_reaches_those_that_joined_its_group_and_no_prefix_of_it() {
        let mut rig = rig();
        let (mut tv, mut all, mut none) = (rig.attach(""), rig.attach(""), rig.attach(""));
        join(&mut tv, "tv");
        join(&mut all, "");
        join(&mut all, "tv");
        send(&mut rig, "tv", "1").unwrap();
        send(&mut rig, "tv/news", "2").unwrap();
        send(&mut rig, "t", "3").unwrap();
        rig.send(&["without a group"]).unwrap();
        assert_eq!(tv.receive(), ["tv", "1"]);
        assert_eq!([all.receive(), all.receive()], [["tv", "1"], ["", "without a group"]]);
        assert!(tv.try_receive().is_none() && all.try_receive().is_none() && none.try_receive().is_none());
        assert_eq!(rig.dropped(), 0);
    }

    #[test]
    fn joining_twice_is_joining_once_and_ends_with_one_leave() {
        let mut rig = rig();
        let mut peer = rig.attach("");
        join(&mut peer, "a");
        join(&mut peer, "a");
        send(&mut rig, "a", "1").unwrap();
        leave(&mut peer, "never joined");
        leave(&mut peer, "a");
        send(&mut rig, "a", "2").unwrap();
        assert_eq!(peer.receive(), ["a", "1"]);
        assert!(peer.try_receive().is_none());
    }

    #[test]
    fn what_is_no_join_is_ignored() {
        let mut rig = rig();
        let mut peer = rig.attach("");
        peer.send(&["", "2", "text"]);
        join(&mut peer, &"x".repeat(256));
        send(&mut rig, "", "1").unwrap();
        assert!(peer.try_receive().is_none() && rig.has(&peer) && !rig.can_receive());
    }

    #[test]
    fn a_peer_that_goes_leaves_its_groups() {
        let mut rig = rig();
        let mut peer = rig.attach("");
        join(&mut peer, "a");
        peer.close();
        send(&mut rig, "a", "1").unwrap();
        let mut next = rig.attach("");
        send(&mut rig, "a", "2").unwrap();
        assert!(next.try_receive().is_none());
    }

    #[test]
    fn a_full_peer_misses_whole_messages() {
        let mut rig = rig();
        rig.hwm = 1;
        let (mut slow, mut fast) = (rig.attach(""), rig.attach(""));
        join(&mut slow, "a");
        join(&mut fast, "a");
        for body in ["1", "2"] {
            send(&mut rig, "a", body).unwrap();
            assert_eq!(fast.receive(), ["a", body]);
        }
        assert_eq!(
            (slow.receive(), rig.dropped()),
            (crate::pattern::testing::Parts(vec![b"a".into(), b"1".into()]), 1)
        );
        send(&mut rig, "a", "3").unwrap();
        assert_eq!(slow.receive(), ["a", "3"]);
    }

    #[test]
    fn without_drops_a_full_peer_holds_up_its_groups_and_no_others() {
        let mut rig = rig();
        rig.configure(|options| options.xpub_nodrop = true);
        rig.hwm = 1;
        let (mut slow, mut fast) = (rig.attach(""), rig.attach(""));
        join(&mut slow, "a");
        join(&mut fast, "b");
        send(&mut rig, "a", "1").unwrap();
        assert!(blocked(&send(&mut rig, "a", "2")));
        send(&mut rig, "b", "1").unwrap();
        assert_eq!(slow.receive(), ["a", "1"]);
        send(&mut rig, "a", "2").unwrap();
        assert_eq!((rig.dropped(), slow.receive().0.len()), (0, 2));
    }

    #[test]
    fn a_large_body_goes_to_all() {
        let mut rig = rig();
        let mut peers = [rig.attach(""), rig.attach("")];
        peers.iter_mut().for_each(|peer| join(peer, "a"));
        let body = "x".repeat(BY_REFERENCE);
        send(&mut rig, "a", &body).unwrap();
        peers.iter_mut().for_each(|peer| assert_eq!(peer.receive(), ["a", &body]));
    }

    #[test]
    fn multipart_messages_are_refused() {
        let mut rig = rig();
        let refused = rig.send(&["two", "parts"]);
        assert!(matches!(refused, Err(refusal) if matches!(refusal.error(), Some(Error::InvalidArgument))));
        let received = rig.receive_part();
        assert!(matches!(received, Err(refusal) if matches!(refusal.error(), Some(Error::NotSupported))));
    }
}
