//! SUB and XSUB: messages come from all publishers that have been told what is wanted. Source: 29/PUBSUB.
//!
//! A subscription goes to every publisher; see the `announcer` module.

use zlink_pipe::Body;

use super::announcer::Announcer;
use super::subscriptions::Prefixes;
use super::{FairQueue, Pattern, Refusal};
use crate::error::Error;
use crate::option::SocketOptions;
use crate::pipe::{Pipes, Sink};

#[derive(Default)]
pub(super) struct Subscriber {
    /// SUB rather than XSUB: sends nothing else but subscriptions, and receives only what it subscribed to.
    filters: bool,
    queue: FairQueue,
    /// The pipe of the message of which some parts have been received.
    receiving: Option<usize>,
    prefixes: Prefixes,
    announcer: Announcer,
    invert: bool,
    /// Parts of a message that does not begin with a subscription or cancellation are none.
    only_first: bool,
    /// Publishers are told of every cancellation.
    all_cancellations: bool,
    /// The message that is being sent lacks further parts.
    sending: bool,
    /// Parts of it may be subscriptions and cancellations.
    subscribes: bool,
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
    /// subscription, since an XPUB may want to know of repeated ones, but only of the last cancellation unless
    /// asked for.
    fn count(&mut self, topic: &[u8], add: bool) -> bool {
        if add {
            self.prefixes.add(topic);
            true
        } else {
            self.prefixes.remove(topic) || self.all_cancellations
        }
    }

    /// Tells one publisher everything.
    fn tell_all(&mut self, pipes: &mut Pipes, pipe: usize) {
        let Subscriber { prefixes, announcer, .. } = self;
        prefixes.for_each(|topic| announcer.tell_one(pipes, pipe, topic, true));
    }

    /// Drops what was not subscribed to, up to the next message that was. Returns its pipe.
    #[inline]
    fn find_wanted(&mut self, pipes: &mut Pipes) -> Option<usize> {
        while let Some(pipe) = self.queue.next_pipe(pipes) {
            let (part, _) = pipes.get(pipe)?.peek()?;
            if self.prefixes.matches(part) != self.invert {
                return Some(pipe);
            }
            self.queue.drop_message(pipes, pipe);
        }
        None
    }

    /// Sends a part that is no subscription to all publishers with room.
    fn send_data(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, more: bool) {
        let distributor = &mut self.announcer.distributor;
        if !distributor.is_under_way() {
            distributor.begin();
            distributor.select_all();
        }
        for &pipe in distributor.send(pipes, body, more) {
            pipes.count_dropped(pipe);
        }
    }
}

impl Pattern for Subscriber {
    fn attached(&mut self, pipes: &mut Pipes, pipe: usize) -> bool {
        self.queue.add(pipe);
        self.announcer.attach(pipe);
        self.tell_all(pipes, pipe);
        true
    }

    fn detached(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.queue.remove(pipe);
        self.announcer.detach(pipe);
        if self.receiving == Some(pipe) {
            self.receiving = None;
        }
    }

    fn readable(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.queue.add(pipe);
    }

    fn writable(&mut self, pipes: &mut Pipes, pipe: usize) {
        self.announcer.writable(pipes, pipe);
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
        let first = !std::mem::replace(&mut self.sending, more);
        let subscription =
            body.as_slice().split_first().filter(|(flag, _)| **flag <= 1 && (first || self.subscribes));
        if first {
            self.subscribes = !self.only_first || subscription.is_some();
        }
        let Some((&flag, topic)) = subscription else {
            self.send_data(pipes, body, more);
            return Ok(());
        };
        let topic = topic.to_vec();
        if self.count(&topic, flag == 1) {
            self.announcer.tell_with(pipes, body, more, &topic, flag == 1);
        } else if !more && self.announcer.distributor.is_under_way() {
            // The message that the part would have ended is ended all the same.
            self.send_data(pipes, &mut Body::Slice(&[]), false);
        }
        Ok(())
    }

    #[inline]
    fn receive(&mut self, pipes: &mut Pipes, sink: &mut Sink<'_>) -> Result<bool, Refusal> {
        let pipe = if self.filters && self.receiving.is_none() {
            self.find_wanted(pipes)
        } else {
            self.queue.next_pipe(pipes)
        };
        let pipe = pipe.ok_or(Refusal::Blocked)?;
        let more = self.queue.read(pipes, pipe, sink);
        self.receiving = more.then_some(pipe);
        Ok(more)
    }

    /// Always, on XSUB: what a publisher has no room for is kept or dropped.
    fn can_send(&mut self, _pipes: &mut Pipes) -> bool {
        !self.filters
    }

    fn can_receive(&mut self, pipes: &mut Pipes) -> bool {
        if self.filters && self.receiving.is_none() {
            return self.find_wanted(pipes).is_some();
        }
        self.queue.can_receive(pipes)
    }

    fn configure(&mut self, options: &SocketOptions) {
        self.invert = options.invert_matching;
        self.only_first = options.only_first_subscribe;
        self.all_cancellations = options.xsub_verbose_unsubscribe;
    }

    fn subscribe(&mut self, pipes: &mut Pipes, topic: &[u8], add: bool) -> Result<(), Error> {
        if !self.filters {
            return Err(Error::InvalidArgument);
        }
        if self.count(topic, add) {
            self.announcer.tell(pipes, topic, add);
        }
        Ok(())
    }

    fn topics(&self) -> Result<usize, Error> {
        Ok(self.prefixes.len())
    }
}

#[cfg(test)]
mod tests;
