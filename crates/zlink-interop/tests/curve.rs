//! CURVE with libzmq, which has libsodium beneath it: zlink as client and as server, bound and connected.
//!
//! Nothing to do where libzmq was built without libsodium.

use std::time::Duration;

use zlink::SocketType::{
    self, Dealer, Dish, Pair, Pub, Pull, Push, Radio, Rep, Req, Router, Sub, Xpub, Xsub,
};
use zlink::curve::SecretKey;
use zlink::{EventKind, Monitor, MonitorEvent};
use zlink_interop::{GUARD, Label, Library, Node, Parts, Place, SIZES, Transport, body, option};

/// Messages of a stream.
const STREAM: u32 = 50_000;
/// Sizes of the parts of multipart messages.
const SHAPES: &[&[usize]] =
    &[&[0, 0], &[0, 1], &[8191, 255], &[0, 1 << 20], &[1, 222, 223, 8193, 0], &[34, 65_536, 0, 33]];

/// The keys of a server and of its clients.
struct Keys {
    server: SecretKey,
    client: SecretKey,
}

impl Keys {
    fn new() -> Self {
        let key = || SecretKey::generate().expect("the system has random numbers");
        Keys { server: key(), client: key() }
    }

    fn make_server(&self, node: &mut Node) {
        node.set_int(option::CURVE_SERVER, 1);
        node.set(option::CURVE_SECRETKEY, self.server.as_bytes());
    }

    /// With the text of the keys, so that both forms are used.
    fn make_client(&self, node: &mut Node) {
        node.set(option::CURVE_SERVERKEY, self.server.public_key().to_z85().as_bytes());
        node.set(option::CURVE_PUBLICKEY, self.client.public_key().to_z85().as_bytes());
        node.set(option::CURVE_SECRETKEY, self.client.to_z85().as_bytes());
    }
}

/// Two sockets of the two libraries that are about to meet, the first of them the one that binds.
struct Case {
    zlink_binds: bool,
    server_binds: bool,
    transport: Transport,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        if !libzmq_reference::has_curve() {
            eprintln!("skipped: libzmq was built without libsodium");
            return all;
        }
        for transport in Transport::ALL {
            for zlink_binds in [true, false] {
                for server_binds in [true, false] {
                    all.push(Case { zlink_binds, server_binds, transport });
                }
            }
        }
        all
    }

    fn pair(&self, bound: SocketType, connected: SocketType) -> (Node, Node) {
        let library = if self.zlink_binds { Library::Zlink } else { Library::Libzmq };
        let mut nodes = (Node::new(library, bound), Node::new(library.other(), connected));
        let keys = Keys::new();
        let (server, client) =
            if self.server_binds { (&mut nodes.0, &mut nodes.1) } else { (&mut nodes.1, &mut nodes.0) };
        keys.make_server(server);
        keys.make_client(client);
        nodes
    }

    fn meet(&self, bound: &mut Node, connected: &mut Node) {
        let endpoint = bound.bind(self.transport.wildcard());
        connected.connect(&endpoint);
    }

    fn pair_that_has_met(&self, bound: SocketType, connected: SocketType) -> (Node, Node) {
        let (mut bound, mut connected) = self.pair(bound, connected);
        self.meet(&mut bound, &mut connected);
        (bound, connected)
    }
}

#[test]
fn messages_of_every_size_and_shape_arrive_unchanged_in_both_directions() {
    for case in Case::all() {
        let (mut one, mut other) = case.pair_that_has_met(Pair, Pair);
        let single = SIZES.iter().map(std::slice::from_ref);
        for shape in single.chain(SHAPES.iter().copied()) {
            let parts: Parts = shape.iter().enumerate().map(|(seed, &size)| body(size, seed)).collect();
            for _ in 0..2 {
                one.send(&parts);
                assert!(other.recv() == parts, "{one} to {other}: {shape:?}");
                other.send(&parts);
                assert!(one.recv() == parts, "{other} to {one}: {shape:?}");
            }
        }
    }
}

#[test]
fn requests_are_answered() {
    for case in Case::all() {
        let (mut rep, mut req) = case.pair_that_has_met(Rep, Req);
        for number in 0..200u32 {
            req.send(&[number.to_be_bytes()]);
            assert_eq!(rep.recv(), [number.to_be_bytes()]);
            rep.send(&[b"answer"]);
            assert_eq!(req.recv(), [b"answer"]);
        }
    }
}

#[test]
fn streams_arrive_complete_and_in_order() {
    for case in Case::all() {
        let (mut pull, mut push) = case.pair_that_has_met(Pull, Push);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for number in 0..STREAM {
                    let len = 4 + number as usize % 300;
                    let mut bytes = body(len, number as usize);
                    bytes[..4].copy_from_slice(&number.to_be_bytes());
                    push.send(&[bytes]);
                }
                push.set_int(option::LINGER, GUARD.as_millis() as i32);
            });
            for number in 0..STREAM {
                let parts = pull.recv();
                assert_eq!(parts[0].len(), 4 + number as usize % 300, "message {number}");
                assert_eq!(parts[0][..4], number.to_be_bytes());
            }
        });
    }
}

/// Names are told in the metadata, which is encrypted.
#[test]
fn a_router_knows_its_peers_by_name() {
    for case in Case::all() {
        let (mut router, mut dealer) = case.pair(Router, Dealer);
        dealer.set(option::ROUTING_ID, b"the name");
        case.meet(&mut router, &mut dealer);
        dealer.send(&[b"hello"]);
        assert_eq!(router.recv(), [&b"the name"[..], b"hello"]);
        router.send(&[&b"the name"[..], b"world"]);
        assert_eq!(dealer.recv(), [b"world"]);
    }
}

/// SUBSCRIBE and CANCEL are commands within a MESSAGE.
#[test]
fn subscriptions_are_told_and_taken_back() {
    for case in Case::all() {
        for subscriber in [Sub, Xsub] {
            let (mut xpub, mut sub) = case.pair_that_has_met(Xpub, subscriber);
            sub.subscribe(b"news");
            assert_eq!(xpub.recv(), [b"\x01news"]);
            xpub.send(&[b"weather"]);
            xpub.send(&[b"news of today"]);
            assert_eq!(sub.recv(), [b"news of today"]);
            sub.unsubscribe(b"news");
            assert_eq!(xpub.recv(), [b"\x00news"]);
        }
        let (mut sub, mut publisher) = case.pair(Sub, Pub);
        sub.subscribe(b"");
        case.meet(&mut sub, &mut publisher);
        let mut heard = None;
        while heard.is_none() {
            publisher.send(&[b"again and again"]);
            heard = sub.recv_within(Duration::from_millis(10));
        }
        assert_eq!(heard, Some(vec![b"again and again".to_vec()]));
    }
}

/// JOIN as well.
#[test]
fn groups_are_joined() {
    for case in Case::all() {
        let (mut dish, mut radio) = case.pair(Dish, Radio);
        dish.join(b"movies");
        case.meet(&mut dish, &mut radio);
        let label = Label { routing_id: 0, group: b"movies".to_vec() };
        dish.set_int(option::RCVTIMEO, 10);
        let heard = loop {
            radio.send_labelled(&label, b"a film");
            if let Some(heard) = dish.try_recv_labelled() {
                break heard;
            }
        };
        assert_eq!(heard, (label, b"a film".to_vec()));
    }
}

/// PING and PONG, too, are commands within a MESSAGE: a ROUTER makes up a name for each connection, which tells that
/// it is still the same.
#[test]
fn heartbeats_are_answered() {
    std::thread::scope(|scope| {
        for case in Case::all() {
            for router_pings in [true, false] {
                let case = Case { ..case };
                scope.spawn(move || {
                    let (mut router, mut dealer) = case.pair(Router, Dealer);
                    let pinging = if router_pings { &mut router } else { &mut dealer };
                    pinging.set_int(option::HEARTBEAT_IVL, 100);
                    pinging.set_int(option::HEARTBEAT_TIMEOUT, 1000);
                    case.meet(&mut router, &mut dealer);
                    dealer.send(&[b"before"]);
                    let before = router.recv();
                    assert_eq!(router.recv_within(Duration::from_millis(1300)), None);
                    dealer.send(&[b"after"]);
                    let after = router.recv();
                    assert_eq!((&after[1][..], &after[0]), (&b"after"[..], &before[0]), "another connection");
                });
            }
        }
    });
}

#[test]
fn after_a_restart_of_the_server_there_are_new_keys_and_messages_go_on() {
    if !libzmq_reference::has_curve() {
        return;
    }
    for restarted in Library::BOTH {
        let (place, keys) = (Place::new(Transport::Tcp), Keys::new());
        let mut push = Node::new(restarted.other(), Push);
        keys.make_client(&mut push);
        push.set_int(option::RECONNECT_IVL, 5);
        push.connect(place.endpoint());
        let mut number = 0u32;
        for _ in 0..3 {
            let mut pull = Node::new(restarted, Pull);
            keys.make_server(&mut pull);
            pull.bind(place.endpoint());
            // What was sent to a connection before its end was noticed is lost.
            while pull.recv_within(Duration::from_millis(20)).is_none() {
                push.send(&[number.to_be_bytes()]);
                number += 1;
            }
        }
    }
}

fn watch(node: &Node) -> Monitor {
    node.zlink().expect("zlink's").monitor(0xffff).expect("a monitor")
}

/// Waits for the first event of these kinds.
#[track_caller]
fn first_of(monitor: &Monitor, kinds: &[EventKind]) -> MonitorEvent {
    loop {
        let event = monitor.recv_timeout(GUARD).expect("an event");
        if kinds.contains(&event.kind) {
            return event;
        }
    }
}

const ENDS: &[EventKind] = &[
    EventKind::HandshakeSucceeded,
    EventKind::HandshakeFailedProtocol,
    EventKind::HandshakeFailedNoDetail,
    EventKind::HandshakeFailedAuth,
];

const CRYPTOGRAPHIC: i32 = 0x1100_0001;
const MECHANISM_MISMATCH: i32 = 0x1100_0002;

/// Both sides see that their mechanisms differ: the one that is first to close leaves the other with an end.
#[track_caller]
fn assert_failed(event: &MonitorEvent, code: i32) {
    let closed = event.kind == EventKind::HandshakeFailedNoDetail && code == MECHANISM_MISMATCH;
    let failed = (event.kind, event.value as i32) == (EventKind::HandshakeFailedProtocol, code);
    assert!(failed || closed, "{event:?}");
}

#[test]
fn clients_with_wrong_keys_or_none_do_not_come_in() {
    if !libzmq_reference::has_curve() {
        return;
    }
    let (keys, wrong) = (Keys::new(), Keys::new());
    let wrong_server = |client: &mut Node| {
        Keys { server: wrong.server.clone(), client: keys.client.clone() }.make_client(client);
    };
    let wrong_pair = |client: &mut Node| {
        keys.make_client(client);
        client.set(option::CURVE_PUBLICKEY, &wrong.client.public_key().0);
    };
    let zero = |client: &mut Node| {
        keys.make_client(client);
        client.set(option::CURVE_SECRETKEY, &[0; 32]);
    };
    let none = |_: &mut Node| {};
    type Change<'a> = &'a dyn Fn(&mut Node);
    let changes: [(Change, i32); 4] = [
        (&wrong_server, CRYPTOGRAPHIC),
        (&wrong_pair, CRYPTOGRAPHIC),
        (&zero, CRYPTOGRAPHIC),
        (&none, MECHANISM_MISMATCH),
    ];
    for (change, code) in changes {
        // zlink is the server, and says why.
        let mut server = Node::new(Library::Zlink, Dealer);
        keys.make_server(&mut server);
        let monitor = watch(&server);
        let endpoint = server.bind("tcp://127.0.0.1:*");
        let mut client = Node::new(Library::Libzmq, Dealer);
        change(&mut client);
        client.connect(&endpoint);
        client.offer(&[b"not for you"]);
        let event = first_of(&monitor, ENDS);
        assert_failed(&event, code);
        assert_eq!(server.recv_within(Duration::from_millis(30)), None);

        // libzmq is the server, and closes.
        let mut server = Node::new(Library::Libzmq, Dealer);
        keys.make_server(&mut server);
        let endpoint = server.bind("tcp://127.0.0.1:*");
        let mut client = Node::new(Library::Zlink, Dealer);
        change(&mut client);
        let monitor = watch(&client);
        client.connect(&endpoint);
        client.offer(&[b"not for you"]);
        let event = first_of(&monitor, ENDS);
        assert_ne!(event.kind, EventKind::HandshakeSucceeded);
        assert_eq!(server.recv_within(Duration::from_millis(30)), None);
    }
}

#[test]
fn a_client_of_curve_talks_to_no_server_without_it() {
    if !libzmq_reference::has_curve() {
        return;
    }
    for library in Library::BOTH {
        let mut server = Node::new(library, Dealer);
        let endpoint = server.bind("tcp://127.0.0.1:*");
        let mut client = Node::new(library.other(), Dealer);
        Keys::new().make_client(&mut client);
        let monitor = watch(if library == Library::Zlink { &server } else { &client });
        client.connect(&endpoint);
        client.offer(&[b"secret"]);
        assert_failed(&first_of(&monitor, ENDS), MECHANISM_MISMATCH);
        assert_eq!(server.recv_within(Duration::from_millis(30)), None);
    }
}

/// `ZMQ_MAXMSGSIZE` is about what is on the wire, in both libraries: 33 bytes more than the body.
#[test]
fn the_longest_message_is_the_same_for_both() {
    if !libzmq_reference::has_curve() {
        return;
    }
    for library in Library::BOTH {
        let keys = Keys::new();
        let mut server = Node::new(library, Pull);
        keys.make_server(&mut server);
        // libzmq's limit counts for the handshake as well, whose longest command is an INITIATE of some 300 bytes.
        server.set(option::MAXMSGSIZE, &1000i64.to_ne_bytes());
        let endpoint = server.bind("tcp://127.0.0.1:*");
        let client = || {
            let mut client = Node::new(library.other(), Push);
            keys.make_client(&mut client);
            client.set_int(option::RECONNECT_IVL, -1);
            client.connect(&endpoint);
            client
        };
        client().send_and_stay(&mut server, 967, true);
        client().send_and_stay(&mut server, 968, false);
    }
}

trait SendAndStay {
    /// Sends a message of `size` bytes, which arrives or not.
    fn send_and_stay(self, receiver: &mut Node, size: usize, arrives: bool);
}

impl SendAndStay for Node {
    fn send_and_stay(mut self, receiver: &mut Node, size: usize, arrives: bool) {
        self.send(&[body(size, 0)]);
        let limit = if arrives { GUARD } else { Duration::from_millis(100) };
        assert_eq!(receiver.recv_within(limit).is_some(), arrives, "{self} to {receiver}: {size} bytes");
    }
}
