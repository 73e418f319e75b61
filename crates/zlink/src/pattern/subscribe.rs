//! SUB and XSUB: messages come from all publishers that have been told what is wanted. Source: 29/PUBSUB.
//!
//! A subscription goes to every publisher, now and when one is connected to later or again. It is never
//! lost to a high-water mark: what a full pipe does not take is kept, and sent once there is room.

use std::collections::BTreeMap;

use zlink_pipe::Body;

use super::distributor::Distributor;
use super::subscriptions::Prefixes;
use super::{FairQueue, Pattern, Refusal};
use crate::error::Error;
use crate::option::SocketOptions;
use crate::pipe::{Pipes, Sink};

/// Topics whose last subscription (true) or cancellation found a publisher's pipe full. It knows a topic of
/// ours once or not at all, so that the last word on it is enough. Empty unless the pipe is full.
type Unsent = BTreeMap<Vec<u8>, bool>;

#[derive(Default)]
pub(super) struct Subscriber {
    /// SUB rather than XSUB: sends nothing else but subscriptions, and receives only what it subscribed to.
    filters: bool,
    queue: FairQueue,
    /// The pipe of the message of which some parts have been received.
    receiving: Option<usize>,
    prefixes: Prefixes,
    distributor: Distributor,
    /// By pipe.
    unsent: Vec<Unsent>,
    invert: bool,
    /// For subscriptions on their way out.
    scratch: Vec<u8>,
}

fn encode(topic: &[u8], add: bool, into: &mut Vec<u8>) {
    into.clear();
    into.push(u8::from(add));
    into.extend_from_slice(topic);
}

impl Subscriber {
    /// A SUB socket's pattern.
    pub(super) fn subscribe() -> Self {
        Subscriber { filters: true, ..Subscriber::default() }
    }

    /// An XSUB socket's pattern.
    pub(super) fn extended() -> Self {
        Subscriber::default()
    }

    /// Counts a subscription or cancellation. Returns whether publishers are to be told: of every
    /// subscription, since an XPUB may want to know of repeated ones, but only of the last cancellation.
    fn count(&mut self, topic: &[u8], add: bool) -> bool {
        if add {
            self.prefixes.add(topic);
            true
        } else {
            self.prefixes.remove(topic)
        }
    }

    /// Sends a subscription, or a part that is one, to all publishers.
    fn tell(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, more: bool, topic: &[u8], add: bool) {
        if !self.distributor.is_under_way() {
            self.distributor.begin();
            self.distributor.select_all();
        }
        self.distributor.send(pipes, body, more);
        for at in 0..self.distributor.pipes().len() {
            let pipe = self.distributor.pipes()[at];
            if !self.distributor.reached(pipe) {
                self.tell_one(pipes, pipe, topic, add);
            }
        }
    }

    /// Tells one publisher of a topic, at once or when it has room.
    fn tell_one(&mut self, pipes: &mut Pipes, pipe: usize, topic: &[u8], add: bool) {
        if self.distributor.has_room(pipe) {
            encode(topic, add, &mut self.scratch);
            if pipes.send(pipe, &mut Body::Slice(&self.scratch)).is_ok() {
                return;
            }
            self.distributor.set_room(pipe, false);
        }
        self.unsent[pipe].insert(topic.to_vec(), add);
    }

    /// Tells one publisher everything.
    fn tell_all(&mut self, pipes: &mut Pipes, pipe: usize) {
        let prefixes = std::mem::take(&mut self.prefixes);
        prefixes.for_each(|topic| self.tell_one(pipes, pipe, topic, true));
        self.prefixes = prefixes;
    }

    /// Drops what was not subscribed to, up to the next message that was. Returns whether there is one.
    fn find_wanted(&mut self, pipes: &mut Pipes) -> bool {
        while let Some(pipe) = self.queue.next_pipe(pipes) {
            let Some(end) = pipes.get(pipe) else { return false };
            if end.peek().is_some_and(|(part, _)| self.prefixes.matches(part) != self.invert) {
                return true;
            }
            self.queue.drop_message(pipes, pipe);
        }
        false
    }

    /// Sends a part that is no subscription to all publishers with room.
    fn send_data(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, more: bool) {
        if !self.distributor.is_under_way() {
            self.distributor.begin();
            self.distributor.select_all();
        }
        for _ in 0..self.distributor.send(pipes, body, more) {
            pipes.counters.drop_message();
        }
    }
}

impl Pattern for Subscriber {
    fn attached(&mut self, pipes: &mut Pipes, pipe: usize) -> bool {
        self.queue.add(pipe);
        self.distributor.attach(pipe);
        if self.unsent.len() <= pipe {
            self.unsent.resize_with(pipe + 1, Unsent::default);
        }
        self.tell_all(pipes, pipe);
        true
    }

    fn detached(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.queue.remove(pipe);
        self.distributor.detach(pipe);
        if let Some(unsent) = self.unsent.get_mut(pipe) {
            unsent.clear();
        }
        if self.receiving == Some(pipe) {
            self.receiving = None;
        }
    }

    fn readable(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.queue.add(pipe);
    }

    fn writable(&mut self, pipes: &mut Pipes, pipe: usize) {
        let Some(unsent) = self.unsent.get_mut(pipe) else { return };
        while let Some(topic) = unsent.first_entry() {
            encode(topic.key(), *topic.get(), &mut self.scratch);
            if pipes.send(pipe, &mut Body::Slice(&self.scratch)).is_err() {
                return;
            }
            topic.remove();
        }
        self.distributor.set_room(pipe, true);
    }

    fn reconnected(&mut self, pipes: &mut Pipes, pipe: usize) {
        // What the first connection is to be told lies in the pipe since it was attached. A later one is told
        // all that holds now, behind what the pipe still keeps from before.
        if pipes.get(pipe).is_some_and(|end| end.was_connected) {
            self.tell_all(pipes, pipe);
        }
    }

    fn send(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, more: bool) -> Result<(), Refusal> {
        if self.filters {
            return Err(Error::NotSupported.into());
        }
        let Some((&flag @ (0 | 1), topic)) = body.as_slice().split_first() else {
            self.send_data(pipes, body, more);
            return Ok(());
        };
        let topic = topic.to_vec();
        if self.count(&topic, flag == 1) {
            self.tell(pipes, body, more, &topic, flag == 1);
        } else if !more && self.distributor.is_under_way() {
            // The message that the part would have ended is ended all the same.
            self.send_data(pipes, &mut Body::Slice(&[]), false);
        }
        Ok(())
    }

    #[inline]
    fn receive(&mut self, pipes: &mut Pipes, sink: &mut Sink<'_>) -> Result<bool, Refusal> {
        if self.filters && self.receiving.is_none() && !self.find_wanted(pipes) {
            return Err(Refusal::Blocked);
        }
        let (pipe, more) = self.queue.receive(pipes, sink)?;
        self.receiving = more.then_some(pipe);
        Ok(more)
    }

    /// Always, on XSUB: what a publisher has no room for is kept or dropped.
    fn can_send(&mut self, _pipes: &mut Pipes) -> bool {
        !self.filters
    }

    fn can_receive(&mut self, pipes: &mut Pipes) -> bool {
        if self.filters && self.receiving.is_none() {
            return self.find_wanted(pipes);
        }
        self.queue.can_receive(pipes)
    }

    fn configure(&mut self, options: &SocketOptions) {
        self.invert = options.invert_matching;
    }

    fn subscribe(&mut self, pipes: &mut Pipes, topic: &[u8], add: bool) -> Result<(), Error> {
        if !self.filters {
            return Err(Error::InvalidArgument);
        }
        if self.count(topic, add) {
            let mut body = Vec::with_capacity(topic.len() + 1);
            encode(topic, add, &mut body);
            self.tell(pipes, &mut Body::Slice(&body), false, topic, add);
        }
        Ok(())
    }

    fn topics(&self) -> Result<usize, Error> {
        Ok(self.prefixes.len())
    }
}

#[cfg(test)]
mod tests;
