//! Who is subscribed to what: [`Topics`] for publishers, [`Prefixes`] for subscribers.
//!
//! A topic matches the messages that begin with it; the empty one matches all. Source: 29/PUBSUB.

mod tree;

#[cfg(test)]
mod tests;

use tree::Tree;

/// A pipe in the set of a topic: ordered by pipe, and where the pipe's own list names the topic.
#[derive(Clone, Copy)]
struct Subscriber {
    pipe: usize,
    place: usize,
}

/// What a cancelled subscription leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Removed {
    /// There was none to cancel.
    NotFound,
    /// Others are subscribed to the topic.
    OthersRemain,
    /// Nobody is.
    Last,
}

/// Which topics of a pipe that goes its publisher is told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tell {
    Nothing,
    /// Those that nobody else is subscribed to.
    Last,
    All,
}

/// The subscriptions of a publisher's peers. Each pipe has a topic once or not at all.
#[derive(Default)]
pub(super) struct Topics {
    tree: Tree<Vec<Subscriber>>,
    /// The topics of each pipe, as nodes of the tree.
    pipes: Vec<Vec<usize>>,
}

impl Topics {
    /// Distinct topics.
    pub(super) fn len(&self) -> usize {
        self.tree.len()
    }

    /// Subscribes `pipe`. Returns whether nobody was subscribed to the topic before.
    pub(super) fn add(&mut self, topic: &[u8], pipe: usize) -> bool {
        let node = self.tree.find_or_insert(topic, || Vec::with_capacity(1));
        let Some(set) = self.tree.value(node) else { return false };
        let Err(at) = set.binary_search_by_key(&pipe, |subscriber| subscriber.pipe) else { return false };
        if self.pipes.len() <= pipe {
            self.pipes.resize_with(pipe + 1, Vec::new);
        }
        let list = &mut self.pipes[pipe];
        set.insert(at, Subscriber { pipe, place: list.len() });
        list.push(node);
        set.len() == 1
    }

    /// Cancels the subscription of `pipe`.
    pub(super) fn remove(&mut self, topic: &[u8], pipe: usize) -> Removed {
        let Some(node) = self.tree.find(topic) else { return Removed::NotFound };
        let Some(place) = self.leave(node, pipe) else { return Removed::NotFound };
        let list = &mut self.pipes[pipe];
        list.swap_remove(place);
        if let Some(&moved) = list.get(place)
            && let Some(set) = self.tree.value(moved)
            && let Ok(at) = set.binary_search_by_key(&pipe, |subscriber| subscriber.pipe)
        {
            set[at].place = place;
        }
        if list.is_empty() {
            *list = Vec::new();
        }
        let last = self.drop_if_empty(node);
        self.pack();
        if last { Removed::Last } else { Removed::OthersRemain }
    }

    /// Cancels all subscriptions of `pipe`, and hands the topics asked for to `told`.
    pub(super) fn remove_pipe(&mut self, pipe: usize, tell: Tell, mut told: impl FnMut(&[u8])) {
        let Some(list) = self.pipes.get_mut(pipe) else { return };
        let mut topic = Vec::new();
        for node in std::mem::take(list) {
            self.leave(node, pipe);
            let last = self.tree.value(node).is_some_and(|set| set.is_empty());
            if tell == Tell::All || (tell == Tell::Last && last) {
                self.tree.read_topic(node, &mut topic);
                told(&topic);
            }
            self.drop_if_empty(node);
        }
        self.pack();
    }

    /// Calls `matched` with each pipe that has subscribed to a prefix of `message`, once a subscription.
    #[inline]
    pub(super) fn matching(&self, message: &[u8], mut matched: impl FnMut(usize)) {
        for set in self.tree.walk(message).flatten() {
            for subscriber in set {
                matched(subscriber.pipe);
            }
        }
    }

    /// Takes `pipe` out of a topic's set. Returns its place in the pipe's list.
    fn leave(&mut self, node: usize, pipe: usize) -> Option<usize> {
        let set = self.tree.value(node)?;
        let at = set.binary_search_by_key(&pipe, |subscriber| subscriber.pipe).ok()?;
        Some(set.remove(at).place)
    }

    fn drop_if_empty(&mut self, node: usize) -> bool {
        let empty = self.tree.value(node).is_some_and(|set| set.is_empty());
        if empty {
            self.tree.remove(node);
        }
        empty
    }

    fn pack(&mut self) {
        if !self.tree.pack() {
            return;
        }
        let nodes: Vec<usize> = self.tree.nodes().collect();
        for node in nodes {
            for subscriber in self.tree.value(node).into_iter().flatten() {
                self.pipes[subscriber.pipe][subscriber.place] = node;
            }
        }
    }
}

/// A subscriber's own subscriptions, counted.
#[derive(Default)]
pub(super) struct Prefixes {
    tree: Tree<usize>,
}

impl Prefixes {
    /// Distinct topics.
    pub(super) fn len(&self) -> usize {
        self.tree.len()
    }

    /// Counts a subscription. Returns whether it is the first of its topic.
    pub(super) fn add(&mut self, topic: &[u8]) -> bool {
        let node = self.tree.find_or_insert(topic, || 0);
        let Some(count) = self.tree.value(node) else { return false };
        *count += 1;
        *count == 1
    }

    /// Takes a subscription back. Returns whether it was the last of its topic.
    pub(super) fn remove(&mut self, topic: &[u8]) -> bool {
        let Some(node) = self.tree.find(topic) else { return false };
        let Some(count) = self.tree.value(node) else { return false };
        *count -= 1;
        let last = *count == 0;
        if last {
            self.tree.remove(node);
            self.tree.pack();
        }
        last
    }

    /// Whether a topic is a prefix of `message`.
    #[inline]
    pub(super) fn matches(&self, message: &[u8]) -> bool {
        self.tree.walk(message).flatten().next().is_some()
    }

    /// Calls `each` with every topic, in no particular order.
    pub(super) fn for_each(&self, mut each: impl FnMut(&[u8])) {
        let mut topic = Vec::new();
        for node in self.tree.nodes() {
            self.tree.read_topic(node, &mut topic);
            each(&topic);
        }
    }
}
