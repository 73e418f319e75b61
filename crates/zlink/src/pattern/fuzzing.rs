//! Subscriptions, for the fuzz targets.

use super::subscriptions::{self, Removed, Tell};

/// A publisher's subscriptions.
#[derive(Default)]
pub struct Topics(subscriptions::Topics);

impl Topics {
    /// Distinct topics.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Subscribes `pipe`; returns whether it is the topic's first.
    pub fn add(&mut self, topic: &[u8], pipe: usize) -> bool {
        self.0.add(topic, pipe)
    }

    /// Cancels; returns the subscribers left: `None` if there was nothing to cancel, else whether any.
    pub fn remove(&mut self, topic: &[u8], pipe: usize) -> Option<bool> {
        match self.0.remove(topic, pipe) {
            Removed::NotFound => None,
            Removed::OthersRemain => Some(true),
            Removed::Last => Some(false),
        }
    }

    /// Removes a pipe; returns the topics that nobody is subscribed to any more.
    pub fn remove_pipe(&mut self, pipe: usize) -> Vec<Vec<u8>> {
        let mut gone = Vec::new();
        self.0.remove_pipe(pipe, Tell::Last, |topic| gone.push(topic.to_vec()));
        gone
    }

    /// The pipes that `message` goes to, as often as they are told.
    pub fn matching(&self, message: &[u8]) -> Vec<usize> {
        let mut pipes = Vec::new();
        self.0.matching(message, |pipe| pipes.push(pipe));
        pipes
    }
}

/// A subscriber's subscriptions.
#[derive(Default)]
pub struct Prefixes(subscriptions::Prefixes);

impl Prefixes {
    /// Distinct topics.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Subscribes; returns whether the topic is new.
    pub fn add(&mut self, topic: &[u8]) -> bool {
        self.0.add(topic)
    }

    /// Cancels one subscription; returns whether it was the topic's last.
    pub fn remove(&mut self, topic: &[u8]) -> bool {
        self.0.remove(topic)
    }

    /// Whether a topic is a prefix of `message`.
    pub fn matches(&self, message: &[u8]) -> bool {
        self.0.matches(message)
    }

    /// All topics.
    pub fn topics(&self) -> Vec<Vec<u8>> {
        let mut topics = Vec::new();
        self.0.for_each(|topic| topics.push(topic.to_vec()));
        topics
    }
}
