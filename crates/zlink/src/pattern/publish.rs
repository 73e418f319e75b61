//! PUB and XPUB: each message goes to all peers that subscribed to a prefix of it. Source: 29/PUBSUB.
//!
//! A subscription is a part that begins with 1 and goes on with the topic, a cancellation one that begins
//! with 0. Peers' input is taken in as it comes, so that subscriptions hold from the next message on.

use std::collections::VecDeque;

use zlink_pipe::{Body, Message};

use super::distributor::Distributor;
use super::subscriptions::{Removed, Tell, Topics};
use super::{Pattern, Refusal};
use crate::error::Error;
use crate::option::SocketOptions;
use crate::pipe::{Pipes, Sink};

/// A pipe's attachment: indexes are used again, numbers are not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Attachment {
    pipe: usize,
    number: u64,
}

/// What an XPUB receives.
struct Notification {
    part: Message,
    /// Whom the application's answer holds for, in manual mode.
    about: About,
}

enum About {
    /// Nobody in particular: a message of an XSUB peer.
    Data,
    /// The peer whose subscription or cancellation this is.
    Peer(Attachment),
    /// A peer that is gone.
    Gone,
}

#[derive(Default)]
pub(super) struct Publisher {
    /// XPUB rather than PUB, which receives nothing.
    receives: bool,
    /// What messages are matched with.
    topics: Topics,
    /// What peers have subscribed to in manual mode, so that it can be told when they go.
    asked: Topics,
    distributor: Distributor,
    /// The number of each pipe's attachment, by pipe.
    numbers: Vec<u64>,
    attachments: u64,
    notifications: VecDeque<Notification>,
    /// In manual mode, whose subscription was received last.
    last_peer: Option<Attachment>,
    /// Repeated subscriptions are received.
    all_subscriptions: bool,
    /// Repeated cancellations are received.
    all_cancellations: bool,
    manual: bool,
    /// In manual mode, the first message after `last_peer` was set is for that peer.
    last_value: bool,
    /// Parts of a message that does not begin with a subscription or cancellation are none.
    only_first: bool,
    no_drop: bool,
    invert: bool,
    welcome: Vec<u8>,
}

impl Publisher {
    /// A PUB socket's pattern.
    pub(super) fn publish() -> Self {
        Publisher::default()
    }

    /// An XPUB socket's pattern.
    pub(super) fn extended() -> Self {
        Publisher { receives: true, ..Publisher::default() }
    }

    fn attachment(&self, pipe: usize) -> Attachment {
        Attachment { pipe, number: self.numbers.get(pipe).copied().unwrap_or_default() }
    }

    /// Takes in what the peer has sent.
    fn drain(&mut self, pipes: &mut Pipes, pipe: usize) {
        let about = self.attachment(pipe);
        let Some(end) = pipes.get(pipe) else { return };
        let (mut first, mut subscribes) = (true, true);
        while let Some((part, more)) = end.peek() {
            let subscription = part.split_first().filter(|(flag, _)| **flag <= 1 && (first || subscribes));
            if first {
                subscribes = !self.only_first || subscription.is_some();
            }
            first = !more;
            let about = match subscription {
                Some((&flag, topic)) => {
                    let notify = self.subscription(topic, flag == 1, pipe);
                    notify.then_some(About::Peer(about))
                }
                None => Some(About::Data),
            };
            match about.filter(|_| self.receives) {
                None => end.skip(),
                Some(about) => {
                    let mut part = end.read_message();
                    // A subscription is received by itself, whatever it came with.
                    part.set_more(more && matches!(about, About::Data));
                    self.notifications.push_back(Notification { part, about });
                }
            }
            if !more && let Some(last) = self.notifications.back_mut() {
                // The part that should have ended the message may have been kept back.
                last.part.set_more(false);
            }
        }
        if end.is_over() {
            pipes.close_later(pipe);
        }
    }

    /// Takes in a subscription or cancellation. Returns whether an XPUB's application is to receive it.
    fn subscription(&mut self, topic: &[u8], add: bool, pipe: usize) -> bool {
        match (self.manual, add) {
            (true, true) => {
                self.asked.add(topic, pipe);
                true
            }
            (true, false) => {
                self.asked.remove(topic, pipe);
                true
            }
            (false, true) => self.topics.add(topic, pipe) || self.all_subscriptions,
            (false, false) => self.topics.remove(topic, pipe) == Removed::Last || self.all_cancellations,
        }
    }
}

impl Pattern for Publisher {
    fn attached(&mut self, pipes: &mut Pipes, pipe: usize) -> bool {
        self.distributor.attach(pipe);
        if self.numbers.len() <= pipe {
            self.numbers.resize(pipe + 1, 0);
        }
        self.attachments += 1;
        self.numbers[pipe] = self.attachments;
        if !self.welcome.is_empty() {
            // A new pipe has room for one message.
            let _ = pipes.send_or_drop(pipe, &mut Body::Slice(&self.welcome));
        }
        self.drain(pipes, pipe);
        true
    }

    fn detached(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.distributor.detach(pipe);
        if let Some(number) = self.numbers.get_mut(pipe) {
            *number = 0;
        }
        let notifications = &mut self.notifications;
        let gone = |topic: &[u8]| {
            let part = Message::from([&[0][..], topic].concat());
            notifications.push_back(Notification { part, about: About::Gone });
        };
        let (tell, tell_asked) = match (self.receives, self.manual, self.all_cancellations) {
            (false, _, _) => (Tell::Nothing, Tell::Nothing),
            (true, true, _) => (Tell::Nothing, Tell::All),
            (true, false, true) => (Tell::All, Tell::Nothing),
            (true, false, false) => (Tell::Last, Tell::Nothing),
        };
        if tell_asked == Tell::Nothing {
            self.asked.remove_pipe(pipe, Tell::Nothing, |_| {});
            self.topics.remove_pipe(pipe, tell, gone);
        } else {
            self.topics.remove_pipe(pipe, Tell::Nothing, |_| {});
            self.asked.remove_pipe(pipe, tell_asked, gone);
        }
    }

    fn readable(&mut self, pipes: &mut Pipes, pipe: usize) {
        self.drain(pipes, pipe);
    }

    fn writable(&mut self, _pipes: &mut Pipes, pipe: usize) {
        self.distributor.set_room(pipe, true);
    }

    fn send(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, more: bool) -> Result<(), Refusal> {
        if !self.distributor.is_under_way() {
            self.distributor.begin();
            let alone = self.last_peer.filter(|_| self.manual && self.last_value);
            let alone = alone.filter(|&peer| peer == self.attachment(peer.pipe));
            let Publisher { topics, distributor, .. } = self;
            topics.matching(body.as_slice(), |pipe| {
                if alone.is_none_or(|peer| peer.pipe == pipe) {
                    distributor.select(pipe);
                }
            });
            if self.invert {
                self.distributor.invert();
            }
            if self.no_drop && !self.distributor.all_have_room(pipes) {
                return Err(Refusal::Blocked);
            }
            if alone.is_some() {
                self.last_peer = None;
            }
        }
        for &pipe in self.distributor.send(pipes, body, more) {
            pipes.count_dropped(pipe);
        }
        Ok(())
    }

    fn receive(&mut self, _pipes: &mut Pipes, sink: &mut Sink<'_>) -> Result<bool, Refusal> {
        if !self.receives {
            return Err(Error::NotSupported.into());
        }
        let Notification { part, about } = self.notifications.pop_front().ok_or(Refusal::Blocked)?;
        if self.manual {
            match about {
                About::Data => {}
                About::Peer(peer) => self.last_peer = Some(peer),
                About::Gone => self.last_peer = None,
            }
        }
        let more = part.more();
        sink.put(part);
        Ok(more)
    }

    /// Always: a message that nobody wants, or has room for, is sent by dropping it. With
    /// `ZMQ_XPUB_NODROP` it depends on the message; as in libzmq, only a send can tell.
    fn can_send(&mut self, _pipes: &mut Pipes) -> bool {
        true
    }

    fn can_receive(&mut self, _pipes: &mut Pipes) -> bool {
        !self.notifications.is_empty()
    }

    fn sends_by_input(&self) -> bool {
        true
    }

    fn configure(&mut self, options: &SocketOptions) {
        self.all_subscriptions = options.xpub_verbose;
        self.all_cancellations = options.xpub_verboser;
        self.manual = options.xpub_manual;
        self.last_value = options.xpub_manual_last_value;
        self.only_first = options.only_first_subscribe;
        self.no_drop = options.xpub_nodrop;
        self.invert = options.invert_matching;
        self.welcome.clone_from(&options.xpub_welcome_message);
    }

    /// Manual mode: answers the subscription received last. Without effect if its peer is gone.
    fn subscribe(&mut self, _pipes: &mut Pipes, topic: &[u8], add: bool) -> Result<(), Error> {
        if !self.manual {
            return Err(Error::InvalidArgument);
        }
        if let Some(peer) = self.last_peer.filter(|&peer| peer == self.attachment(peer.pipe)) {
            if add {
                self.topics.add(topic, peer.pipe);
            } else {
                self.topics.remove(topic, peer.pipe);
            }
        }
        Ok(())
    }

    fn topics(&self) -> Result<usize, Error> {
        Ok(self.topics.len())
    }
}

#[cfg(test)]
mod tests;
