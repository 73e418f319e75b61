//! DISH: messages come from all RADIO peers, which have been told what groups are joined.
//! Source: 48/RADIO-DISH.
//!
//! In a pipe a message has two parts, group and body; the application gets one. Joins and leaves are
//! announcements (see the `announcer` module), of which the connection makes JOIN and LEAVE.

use std::collections::BTreeSet;

use zlink_pipe::{Body, group_name};

use super::announcer::Announcer;
use super::{FairQueue, Pattern, Refusal};
use crate::error::Error;
use crate::pipe::{Pipes, Sink};

#[derive(Default)]
pub(super) struct Dish {
    queue: FairQueue,
    joined: BTreeSet<Vec<u8>>,
    announcer: Announcer,
    /// The pipe whose next part is a body that is wanted.
    opened: Option<usize>,
    /// That body's group.
    group: Vec<u8>,
}

impl Dish {
    /// Drops what is of no group that is joined, or of the wrong form, up to the next message that is wanted;
    /// of that one, reads the group. Returns the pipe that has it.
    fn find_wanted(&mut self, pipes: &mut Pipes) -> Option<usize> {
        while let Some(pipe) = self.queue.next_pipe(pipes) {
            if self.opened == Some(pipe) {
                return Some(pipe);
            }
            let end = pipes.get(pipe)?;
            if let Some((group, true)) = end.peek()
                && self.joined.contains(group)
            {
                self.group.clear();
                self.group.extend_from_slice(group);
                end.skip();
                if matches!(end.peek(), Some((_, false))) {
                    self.opened = Some(pipe);
                    return Some(pipe);
                }
            }
            self.queue.drop_message(pipes, pipe);
        }
        None
    }

    fn tell_all(&mut self, pipes: &mut Pipes, pipe: usize) {
        for group in &self.joined {
            self.announcer.tell_one(pipes, pipe, group, true);
        }
    }
}

impl Pattern for Dish {
    fn attached(&mut self, pipes: &mut Pipes, pipe: usize) -> bool {
        self.queue.add(pipe);
        self.announcer.attach(pipe);
        self.tell_all(pipes, pipe);
        true
    }

    fn detached(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.queue.remove(pipe);
        self.announcer.detach(pipe);
        if self.opened == Some(pipe) {
            self.opened = None;
        }
    }

    fn readable(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.queue.add(pipe);
    }

    fn writable(&mut self, pipes: &mut Pipes, pipe: usize) {
        self.announcer.writable(pipes, pipe);
    }

    fn reconnected(&mut self, pipes: &mut Pipes, pipe: usize) {
        // As in SUB: the first connection finds what it is to be told in the pipe.
        if pipes.get(pipe).is_some_and(|end| end.was_connected) {
            self.tell_all(pipes, pipe);
        }
    }

    fn send(&mut self, _pipes: &mut Pipes, _body: &mut Body<'_>, _more: bool) -> Result<(), Refusal> {
        Err(Error::NotSupported.into())
    }

    fn receive(&mut self, pipes: &mut Pipes, sink: &mut Sink<'_>) -> Result<bool, Refusal> {
        let pipe = self.find_wanted(pipes).ok_or(Refusal::Blocked)?;
        self.opened = None;
        pipes.read(pipe, sink);
        self.queue.passed(pipes, false);
        if let Sink::Message(message) = sink {
            message.set_group(&self.group).map_err(|_| Error::InvalidArgument)?;
        }
        Ok(false)
    }

    /// What a DISH has to say are joins and leaves, for which there is always room. As in libzmq.
    fn can_send(&mut self, _pipes: &mut Pipes) -> bool {
        true
    }

    fn can_receive(&mut self, pipes: &mut Pipes) -> bool {
        self.find_wanted(pipes).is_some()
    }

    fn join(&mut self, pipes: &mut Pipes, group: &[u8], add: bool) -> Result<(), Error> {
        let changed = match add {
            true => group_name(group).is_ok() && self.joined.insert(group.to_vec()),
            false => self.joined.remove(group),
        };
        if !changed {
            return Err(Error::InvalidArgument);
        }
        self.announcer.tell(pipes, group, add);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::testing::{Peer, Rig, blocked};

    fn rig() -> Rig {
        Rig::new(Box::new(Dish::default()))
    }

    fn change(rig: &mut Rig, group: impl AsRef<[u8]>, add: bool) -> Result<(), Error> {
        rig.deliver();
        rig.pattern.join(&mut rig.pipes, group.as_ref(), add)
    }

    /// What a publisher has been told.
    fn told(peer: &mut Peer) -> Vec<String> {
        let announcements = std::iter::from_fn(|| peer.try_receive());
        announcements.map(|parts| String::from_utf8(parts.0.concat()).unwrap()).collect()
    }

    /// Group and body of the next message.
    fn hear(rig: &mut Rig) -> (String, String) {
        rig.deliver();
        let (message, more) = rig.receive_part().unwrap();
        assert!(!more);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(message.group()), text(&message))
    }

    fn heard(group: &str, body: &str) -> (String, String) {
        (group.to_owned(), body.to_owned())
    }

    #[test]
    fn publishers_are_told_of_groups_joined_before_and_after_they_come() {
        let mut rig = rig();
        change(&mut rig, "a", true).unwrap();
        change(&mut rig, "b", true).unwrap();
        let mut peer = rig.attach("");
        change(&mut rig, "", true).unwrap();
        change(&mut rig, "a", false).unwrap();
        assert_eq!(told(&mut peer), ["\u{1}a", "\u{1}b", "\u{1}", "\0a"]);
        assert_eq!(told(&mut rig.attach("")), ["\u{1}", "\u{1}b"]);
    }

    #[test]
    fn only_names_that_are_none_and_steps_out_of_turn_are_refused() {
        let mut rig = rig();
        let mut peer = rig.attach("");
        let refused = |result| matches!(result, Err(Error::InvalidArgument));
        assert!(refused(change(&mut rig, "a", false)));
        change(&mut rig, [b'x'; 255], true).unwrap();
        assert!(refused(change(&mut rig, [b'x'; 255], true)));
        assert!(refused(change(&mut rig, [b'x'; 256], true)));
        assert!(refused(change(&mut rig, b"a\0b", true)));
        change(&mut rig, [b'x'; 255], false).unwrap();
        assert_eq!(told(&mut peer).len(), 2);
    }

    #[test]
    fn messages_come_as_one_part_that_knows_its_group() {
        let mut rig = rig();
        let mut peer = rig.attach("");
        change(&mut rig, "tv", true).unwrap();
        change(&mut rig, "", true).unwrap();
        for (group, body) in [("tv", "1"), ("tv/", "2"), ("", "3"), ("t", "4"), ("tv", "")] {
            peer.send(&[group, body]);
        }
        assert!(rig.can_receive());
        assert_eq!(hear(&mut rig), heard("tv", "1"));
        assert_eq!(hear(&mut rig), heard("", "3"));
        assert_eq!(hear(&mut rig), heard("tv", ""));
        assert!(!rig.can_receive() && blocked(&rig.receive()));
    }

    #[test]
    fn messages_come_from_peers_in_turn() {
        let mut rig = rig();
        change(&mut rig, "a", true).unwrap();
        let mut peers = [rig.attach(""), rig.attach("")];
        for body in ["1", "2"] {
            peers.iter_mut().for_each(|peer| peer.send(&["a", body]));
        }
        rig.deliver();
        for body in ["1", "1", "2", "2"] {
            assert_eq!(hear(&mut rig), heard("a", body));
        }
    }

    #[test]
    fn messages_of_another_form_are_dropped() {
        let mut rig = rig();
        change(&mut rig, "a", true).unwrap();
        let mut peer = rig.attach("");
        peer.send(&["a"]);
        peer.send(&["a", "b", "c"]);
        assert!(!rig.can_receive() && rig.has(&peer));
        peer.send(&["a", "good"]);
        assert_eq!(hear(&mut rig), heard("a", "good"));
    }

    #[test]
    fn a_message_found_by_a_poll_goes_with_its_peer() {
        let mut rig = rig();
        change(&mut rig, "a", true).unwrap();
        let (mut first, mut second) = (rig.attach(""), rig.attach(""));
        first.send(&["a", "lost"]);
        assert!(rig.can_receive());
        rig.detach(&first);
        second.send(&["a", "kept"]);
        assert_eq!(hear(&mut rig), heard("a", "kept"));
    }

    #[test]
    fn what_a_full_publisher_does_not_take_is_told_later() {
        let mut rig = rig();
        rig.hwm = 1;
        let mut peer = rig.attach("");
        for group in ["a", "b", "c"] {
            change(&mut rig, group, true).unwrap();
        }
        change(&mut rig, "b", false).unwrap();
        let mut all = Vec::new();
        for _ in 0..3 {
            all.extend(told(&mut peer));
            rig.deliver();
        }
        assert_eq!(all, ["\u{1}a", "\0b", "\u{1}c"]);
    }

    #[test]
    fn a_publisher_that_comes_back_is_told_again() {
        let mut rig = rig();
        change(&mut rig, "a", true).unwrap();
        let mut peer = rig.attach_unconnected();
        rig.connected(&peer, "");
        assert_eq!(told(&mut peer), ["\u{1}a"]);
        rig.disconnected(&peer);
        rig.connected(&peer, "");
        assert_eq!(told(&mut peer), ["\u{1}a"]);
    }

    #[test]
    fn nothing_can_be_sent() {
        let mut rig = rig();
        rig.attach("");
        assert!(
            matches!(rig.send(&["x"]), Err(refusal) if matches!(refusal.error(), Some(Error::NotSupported)))
                && rig.can_send()
        );
    }
}
