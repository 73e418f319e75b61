//! Telling publishers what is wanted: subscriptions to topics, membership in groups.
//!
//! An announcement is a message of one part: 1 to add or 0 to take back, and then the name. It goes to every
//! publisher, now and when one is connected to later or again. It is never lost to a high-water mark: what a
//! full pipe does not take is kept, and sent once there is room.

use std::collections::BTreeMap;

use zlink_pipe::Body;

use super::distributor::Distributor;
use crate::pipe::Pipes;

/// Names whose last announcement found a publisher's pipe full: true to add. It knows a name of ours once or
/// not at all, so that the last word on it is enough. Empty unless the pipe is full.
type Unsent = BTreeMap<Vec<u8>, bool>;

#[derive(Default)]
pub(super) struct Announcer {
    /// All publishers.
    pub(super) distributor: Distributor,
    /// By pipe.
    unsent: Vec<Unsent>,
    /// For announcements on their way out.
    scratch: Vec<u8>,
}

/// The announcement that adds a name or takes it back.
fn encode(name: &[u8], add: bool, into: &mut Vec<u8>) {
    into.clear();
    into.push(u8::from(add));
    into.extend_from_slice(name);
}

impl Announcer {
    /// Takes in a new publisher, to be told everything.
    pub(super) fn attach(&mut self, pipe: usize) {
        self.distributor.attach(pipe);
        if self.unsent.len() <= pipe {
            self.unsent.resize_with(pipe + 1, Unsent::default);
        }
    }

    pub(super) fn detach(&mut self, pipe: usize) {
        self.distributor.detach(pipe);
        if let Some(unsent) = self.unsent.get_mut(pipe) {
            unsent.clear();
        }
    }

    /// Sends an announcement to all publishers.
    pub(super) fn tell(&mut self, pipes: &mut Pipes, name: &[u8], add: bool) {
        let mut body = Vec::with_capacity(name.len() + 1);
        encode(name, add, &mut body);
        self.tell_with(pipes, &mut Body::Slice(&body), false, name, add);
    }

    /// Sends a part that is an announcement to all publishers.
    pub(super) fn tell_with(
        &mut self,
        pipes: &mut Pipes,
        body: &mut Body<'_>,
        more: bool,
        name: &[u8],
        add: bool,
    ) {
        if !self.distributor.is_under_way() {
            self.distributor.begin();
            self.distributor.select_all();
        }
        self.distributor.send(pipes, body, more);
        for at in 0..self.distributor.pipes().len() {
            let pipe = self.distributor.pipes()[at];
            if !self.distributor.reached(pipe) {
                self.tell_one(pipes, pipe, name, add);
            }
        }
    }

    /// Tells one publisher of a name, at once or when it has room.
    pub(super) fn tell_one(&mut self, pipes: &mut Pipes, pipe: usize, name: &[u8], add: bool) {
        if self.distributor.has_room(pipe) {
            encode(name, add, &mut self.scratch);
            if pipes.send_or_drop(pipe, &mut Body::Slice(&self.scratch)).is_ok() {
                return;
            }
            self.distributor.set_room(pipe, false);
        }
        self.unsent[pipe].insert(name.to_vec(), add);
    }

    /// A publisher has room: tells it what is left.
    pub(super) fn writable(&mut self, pipes: &mut Pipes, pipe: usize) {
        let Some(unsent) = self.unsent.get_mut(pipe) else { return };
        while let Some(name) = unsent.first_entry() {
            encode(name.key(), *name.get(), &mut self.scratch);
            if pipes.send_or_drop(pipe, &mut Body::Slice(&self.scratch)).is_err() {
                return;
            }
            name.remove();
        }
        self.distributor.set_room(pipe, true);
    }
}
