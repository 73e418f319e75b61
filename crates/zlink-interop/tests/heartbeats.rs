//! Heartbeats: with libzmq, which answers and expects answers, and with peers that do not, byte by byte.
//!
//! Source: 37/ZMTP, "Connection Heartbeating".

use std::thread;
use std::time::Duration;

use zlink::SocketType::{Dealer, Pair, Router};
use zlink_interop::{Library, Node, Transport, WireListener, WirePeer, meet, option, v2_frame};

/// The interval of the side that sends PINGs, and how long it waits for an answer, in milliseconds.
const INTERVAL: i32 = 100;
const TIMEOUT: i32 = 1_000;
/// Long enough for a connection whose PINGs are not answered to be closed.
const QUIET: Duration = Duration::from_millis(1_300);

/// A DEALER and a ROUTER exchange a word, have nothing to say for a while, and go on. The ROUTER makes up a name
/// for each connection, so that the name tells whether the connection was kept.
///
/// `zlink_receives` says which of the two sits in a receive meanwhile; behind the other is its I/O thread alone.
fn a_quiet_connection_stays_up(
    zlink_is_router: bool,
    zlink_sends_pings: bool,
    zlink_receives: bool,
    transport: Transport,
) {
    let router_library = if zlink_is_router { Library::Zlink } else { Library::Libzmq };
    let mut router = Node::new(router_library, Router);
    let mut dealer = Node::new(router_library.other(), Dealer);
    let pinging = if zlink_is_router == zlink_sends_pings { &mut router } else { &mut dealer };
    pinging.set_int(option::HEARTBEAT_IVL, INTERVAL);
    pinging.set_int(option::HEARTBEAT_TTL, TIMEOUT);
    pinging.set_int(option::HEARTBEAT_TIMEOUT, TIMEOUT);
    let endpoint = router.bind(transport.wildcard());
    dealer.connect(&endpoint);
    dealer.send(&[b"before"]);
    let before = router.recv();
    let receiving = if zlink_is_router == zlink_receives { &mut router } else { &mut dealer };
    assert_eq!(receiving.recv_within(QUIET), None);
    dealer.send(&[b"after"]);
    let after = router.recv();
    assert_eq!(after[1], b"after");
    assert_eq!(before[0], after[0], "another connection");
    router.send(&[&after[0][..], b"reply"]);
    assert_eq!(dealer.recv(), [b"reply"]);
}

#[test]
fn a_quiet_connection_to_libzmq_stays_up_whoever_sends_pings() {
    const EITHER: [bool; 2] = [true, false];
    thread::scope(|scope| {
        for transport in Transport::ALL {
            for router in EITHER {
                for pings in EITHER {
                    for receives in EITHER {
                        scope.spawn(move || a_quiet_connection_stays_up(router, pings, receives, transport));
                    }
                }
            }
        }
    });
}

/// The greeting of 3.1 with NULL, and a READY for a PAIR.
fn opening() -> Vec<u8> {
    let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1];
    bytes.extend_from_slice(b"NULL");
    bytes.resize(64, 0);
    bytes.extend_from_slice(b"\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04PAIR");
    bytes
}

/// Completes a handshake with a PAIR.
fn shake_hands(peer: &mut WirePeer) {
    peer.write(&opening());
    peer.read(64);
    let header = peer.read(2);
    assert_eq!(header[0], 4, "a command");
    assert!(peer.read(header[1].into()).starts_with(b"\x05READY"));
}

/// A PING with this time-to-live, in tenths of a second, and context.
fn ping(ttl: u8, context: &[u8]) -> Vec<u8> {
    [&[4, 7 + context.len() as u8][..], b"\x04PING", &[0, ttl], context].concat()
}

fn pong(context: &[u8]) -> Vec<u8> {
    [&[4, 5 + context.len() as u8][..], b"\x04PONG", context].concat()
}

/// A zlink PAIR that has shaken hands with a peer.
fn met(transport: Transport, bound: bool, configure: impl Fn(&mut Node)) -> (Node, WirePeer) {
    let mut node = Node::new(Library::Zlink, Pair);
    configure(&mut node);
    let mut peer = meet(&mut node, transport, bound);
    shake_hands(&mut peer);
    (node, peer)
}

#[test]
fn a_peer_that_never_answers_a_ping_is_disconnected() {
    for transport in Transport::PLAIN {
        for bound in [true, false] {
            let (_node, mut peer) = met(transport, bound, |node| {
                node.set_int(option::HEARTBEAT_IVL, 50);
                node.set_int(option::HEARTBEAT_TIMEOUT, 100);
                node.set_int(option::HEARTBEAT_TTL, 700);
            });
            let mut seen = Vec::new();
            while let Some(byte) = peer.read_byte() {
                seen.push(byte);
            }
            let ping = ping(7, b"");
            assert!(!seen.is_empty() && seen.chunks(ping.len()).all(|chunk| chunk == ping), "{seen:02x?}");
        }
    }
}

#[test]
fn a_peer_that_is_disconnected_for_its_silence_is_connected_to_again() {
    for transport in Transport::PLAIN {
        let listener = WireListener::new(transport);
        let mut node = Node::new(Library::Zlink, Pair);
        node.set_int(option::HEARTBEAT_IVL, 50);
        node.connect(listener.endpoint());
        for _ in 0..2 {
            let mut peer = listener.accept();
            shake_hands(&mut peer);
            while peer.read_byte().is_some() {}
        }
        // The third behaves.
        let mut peer = listener.accept();
        shake_hands(&mut peer);
        peer.write(&v2_frame(false, b"hello"));
        assert_eq!(node.recv(), [b"hello"]);
    }
}

#[test]
fn a_peer_that_answers_each_ping_stays_connected() {
    for transport in Transport::PLAIN {
        for bound in [true, false] {
            let (mut node, mut peer) = met(transport, bound, |node| {
                node.set_int(option::HEARTBEAT_IVL, 10);
                node.set_int(option::HEARTBEAT_TIMEOUT, 20_000);
            });
            for _ in 0..20 {
                peer.expect(&ping(0, b""));
                peer.write(&pong(b""));
            }
            peer.write(&v2_frame(false, b"hello"));
            assert_eq!(node.recv(), [b"hello"]);
        }
    }
}

#[test]
fn a_ping_is_answered_with_its_context_whether_or_not_somebody_receives() {
    for transport in Transport::PLAIN {
        for bound in [true, false] {
            let (mut node, mut peer) = met(transport, bound, |_| {});
            let exchange = |peer: &mut WirePeer| {
                for context in [&b""[..], b"x", b"sixteen bytes...", b""] {
                    peer.write(&ping(0, context));
                    peer.expect(&pong(context));
                }
            };
            exchange(&mut peer);
            thread::scope(|scope| {
                scope.spawn(|| assert_eq!(node.recv(), [b"hello"]));
                exchange(&mut peer);
                peer.write(&v2_frame(false, b"hello"));
                exchange(&mut peer);
            });
            exchange(&mut peer);
        }
    }
}

#[test]
fn a_peer_that_is_silent_for_longer_than_its_own_time_to_live_is_disconnected() {
    for transport in Transport::PLAIN {
        for bound in [true, false] {
            let (mut node, mut peer) = met(transport, bound, |_| {});
            peer.write(&v2_frame(false, b"hello"));
            assert_eq!(node.recv(), [b"hello"]);
            peer.write(&ping(1, b"going"));
            peer.expect(&pong(b"going"));
            assert_eq!(peer.read_byte(), None);
        }
    }
}
