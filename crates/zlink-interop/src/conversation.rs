//! Two sockets that have met, and what each must add to a message for the other to get it.

use std::time::Duration;

use zlink::SocketType;

use crate::case::{Case, Side};
use crate::node::{Label, Node, Parts};
use crate::option;

/// The name a side takes where names are wanted. REQ goes without, so that its ROUTER makes one up.
fn name(side: Side) -> &'static [u8] {
    match side {
        Side::A => b"side-a",
        Side::B => b"side-b",
    }
}

/// The group that a RADIO speaks to.
const GROUP: &[u8] = b"a group of more than fourteen bytes";

/// One side of a conversation.
pub struct Speaker {
    node: Node,
    peer_type: SocketType,
    /// What a ROUTER calls its peer.
    address: Vec<u8>,
    /// What a SERVER's or PEER's messages must say to reach its peer, and a RADIO's to reach anybody.
    label: Label,
}

impl Speaker {
    /// Makes the socket and gives it the options its part asks for.
    fn new(case: &Case, side: Side) -> Self {
        use SocketType::{Dealer, Dish, Pub, Radio, Rep, Router, Sub, Xpub, Xsub};
        let socket_type = case.pairing.socket_type(side);
        let mut node = Node::new(case.library(side), socket_type);
        if matches!(socket_type, Router | Rep | Pub | Xpub | Radio) {
            // These drop what exceeds a mark; the tests are about what arrives.
            node.set_unlimited();
        }
        if matches!(socket_type, Router | Dealer) {
            node.set(option::ROUTING_ID, name(side));
        }
        if matches!(socket_type, Sub | Xsub) {
            node.set_unlimited();
            node.subscribe(b"");
        }
        let mut label = Label::default();
        match socket_type {
            Dish => {
                node.set_unlimited();
                node.join(GROUP);
            }
            Radio => label.group = GROUP.to_vec(),
            _ => {}
        }
        Speaker { node, peer_type: case.pairing.socket_type(side.other()), address: Vec::new(), label }
    }

    /// Connects to the peer.
    fn connect(&mut self, endpoint: &str) {
        if self.node.socket_type() == SocketType::Peer {
            self.label.routing_id = self.node.connect_peer(endpoint);
        } else {
            self.node.connect(endpoint);
        }
    }

    fn has_delimiter(&self) -> bool {
        matches!(
            (self.node.socket_type(), self.peer_type),
            (SocketType::Router, SocketType::Req) | (SocketType::Dealer, SocketType::Rep)
        )
    }

    /// Sends a message to the peer.
    #[track_caller]
    pub fn say<P: AsRef<[u8]>>(&mut self, parts: &[P]) {
        if matches!(self.node.socket_type(), SocketType::Server | SocketType::Peer | SocketType::Radio) {
            assert_eq!(parts.len(), 1, "{} sends single parts", self.node);
            self.node.send_labelled(&self.label, parts[0].as_ref());
            return;
        }
        let mut frames: Vec<&[u8]> = Vec::with_capacity(parts.len() + 2);
        if self.node.socket_type() == SocketType::Router {
            frames.push(&self.address);
        }
        if self.has_delimiter() {
            frames.push(b"");
        }
        frames.extend(parts.iter().map(AsRef::as_ref));
        self.node.send(&frames);
    }

    /// Receives a message from the peer.
    #[track_caller]
    pub fn hear(&mut self) -> Parts {
        match self.node.socket_type() {
            SocketType::Server | SocketType::Peer => {
                let (label, body) = self.node.recv_labelled();
                assert_ne!(label.routing_id, 0, "{}: the message names nobody", self.node);
                self.label = label;
                return vec![body];
            }
            SocketType::Dish => {
                let (label, body) = self.node.recv_labelled();
                assert_eq!(label.group, GROUP, "{}", self.node);
                return vec![body];
            }
            _ => {}
        }
        let mut frames = self.node.recv();
        if self.node.socket_type() == SocketType::Router {
            self.address = frames.remove(0);
            if self.peer_type != SocketType::Req {
                assert!(self.address.starts_with(b"side-"), "{} from {:?}", self.node, self.address);
            }
        }
        if self.has_delimiter() {
            assert!(frames.remove(0).is_empty(), "{}: the delimiter has a body", self.node);
        }
        frames
    }

    /// The socket.
    pub fn node(&mut self) -> &mut Node {
        &mut self.node
    }
}

/// Two sockets between which messages arrive from now on.
pub struct Conversation {
    /// The side that speaks first.
    pub a: Speaker,
    /// The side that answers, or listens.
    pub b: Speaker,
}

impl Conversation {
    /// Makes the sockets, lets them meet, and waits until nothing that is said can be lost.
    pub fn open(case: &Case) -> Self {
        let mut a = Speaker::new(case, Side::A);
        let mut b = Speaker::new(case, Side::B);
        let (bound, connecting) = match case.bound {
            Side::A => (&mut a, &mut b),
            Side::B => (&mut b, &mut a),
        };
        let both_route = [&bound, &connecting].iter().all(|s| s.node.socket_type() == SocketType::Router);
        if both_route {
            connecting.node.set_int(option::PROBE_ROUTER, 1);
        }
        let endpoint = bound.node.bind(case.transport.wildcard());
        connecting.connect(&endpoint);
        if case.pairing.a == SocketType::Peer {
            // The bound side learns its peer's number with a message.
            connecting.say(&[b"met"]);
            assert_eq!(bound.hear(), [b"met"]);
        }
        if both_route {
            // The probe tells the bound side whom it has; its answer tells the other.
            assert_eq!(bound.hear(), [b""]);
            bound.say(&[b"met"]);
            assert_eq!(connecting.hear(), [b"met"]);
        }
        match case.pairing.a {
            SocketType::Xpub => {
                let (publisher, subscriber) = (&mut a.node, &mut b.node);
                std::thread::scope(|scope| {
                    // A socket that was bound notices a peer, and tells it its subscriptions, in a call only.
                    scope.spawn(|| assert_eq!(subscriber.recv(), [b"met"]));
                    assert_eq!(publisher.recv(), [[1]], "the subscription to everything");
                    publisher.send(&[b"met"]);
                });
            }
            SocketType::Pub | SocketType::Radio => await_subscription(&mut a, &mut b),
            _ => {}
        }
        Conversation { a, b }
    }

    /// The two, the one that speaks in this direction first.
    pub fn from(&mut self, side: Side) -> (&mut Speaker, &mut Speaker) {
        match side {
            Side::A => (&mut self.a, &mut self.b),
            Side::B => (&mut self.b, &mut self.a),
        }
    }
}

/// Publishes until something arrives: a PUB cannot tell who has subscribed, nor a RADIO who has joined.
fn await_subscription(publisher: &mut Speaker, subscriber: &mut Speaker) {
    let limit = std::time::Instant::now() + crate::GUARD;
    loop {
        publisher.say(&[b"heard?"]);
        if subscriber.node.recv_within(Duration::from_millis(5)).is_some() {
            break;
        }
        assert!(
            std::time::Instant::now() < limit,
            "{} to {}: nothing arrives",
            publisher.node,
            subscriber.node
        );
    }
    publisher.say(&[b"heard."]);
    while subscriber.node.recv() != [b"heard."] {}
}
