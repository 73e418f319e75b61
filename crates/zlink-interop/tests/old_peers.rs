//! Peers that speak ZMTP 2.0 and 1.0, byte by byte: the greetings, routing ids, messages both ways,
//! subscriptions, long frames and multipart, with zlink bound and connecting, over TCP and IPC.
//!
//! Sources: 15/ZMTP (2.0), 13/ZMTP (1.0), 37/ZMTP "Backwards Interoperability".

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use zlink::SocketType::{self, Dealer, Pair, Pub, Pull, Push, Rep, Req, Router, Sub, Xpub, Xsub};
use zlink_interop::{GUARD, Library, Node, Transport, WirePeer, body, meet, option, v1_frame, v2_frame};

/// Socket types as a 2.0 greeting numbers them.
const PAIR: u8 = 0;
const PUB: u8 = 1;
const SUB: u8 = 2;
const REQ: u8 = 3;
const REP: u8 = 4;
const DEALER: u8 = 5;
const ROUTER: u8 = 6;
const PULL: u8 = 7;
const PUSH: u8 = 8;

/// How the peer's bytes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    AtOnce,
    ByteByByte,
}

/// One run of a test.
#[derive(Clone, Copy, Debug)]
struct Run {
    library: Library,
    transport: Transport,
    /// Whether the library's socket binds.
    bound: bool,
    pace: Pace,
}

/// Runs `node_side` and `peer_side` at the same time, for a socket of this type and a peer that has done
/// nothing yet: over each transport, the socket bound and connecting, the peer's greeting in one piece and in
/// many. The same bytes must do for libzmq's socket: that shows the transcript itself to be right.
fn everywhere(
    socket_type: SocketType,
    configure: impl Fn(&mut Node),
    node_side: impl Fn(&mut Node) + Sync,
    peer_side: impl Fn(&mut WirePeer, Run),
) {
    let paces = [Pace::AtOnce, Pace::ByteByByte];
    let runs = Library::BOTH.into_iter().flat_map(|library| {
        Transport::PLAIN.into_iter().flat_map(move |transport| {
            [true, false].into_iter().flat_map(move |bound| {
                paces.into_iter().map(move |pace| Run { library, transport, bound, pace })
            })
        })
    });
    for run in runs {
        println!("{}, {run:?}", socket_type.as_str());
        let mut node = Node::new(run.library, socket_type);
        configure(&mut node);
        let mut peer = meet(&mut node, run.transport, run.bound);
        thread::scope(|scope| {
            scope.spawn(|| node_side(&mut node));
            peer_side(&mut peer, run);
        });
    }
}

fn write(peer: &mut WirePeer, run: Run, bytes: &[u8]) {
    match run.pace {
        Pace::AtOnce => peer.write(bytes),
        Pace::ByteByByte => peer.write_slowly(bytes),
    }
}

/// What a 2.0 peer without routing id sends before its messages: signature, revision 1, socket type, and an
/// empty frame.
fn v2_opening(socket_type: u8) -> Vec<u8> {
    vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1, socket_type, 0, 0]
}

/// What zlink without routing id answers: signature, its major version, its socket type, and an empty frame.
fn v2_answer(socket_type: u8) -> Vec<u8> {
    vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, socket_type, 0, 0]
}

/// The type that an XPUB or XSUB announces to a 2.0 peer. 15/ZMTP has no numbers for them, so that zlink says
/// PUB or SUB, as it does in all that 15/ZMTP knows; libzmq says 9 or 10 all the same.
fn v2_extended(run: Run, plain: u8, extended: u8) -> u8 {
    match run.library {
        Library::Zlink => plain,
        Library::Libzmq => extended,
    }
}

/// What a 1.0 peer without routing id sends before its messages: an empty frame.
const V1_OPENING: &[u8] = &[1, 0];
/// What zlink without routing id answers: the signature, which is the header of an empty frame in the long
/// form, its flags byte being 7F.
const V1_ANSWER: &[u8] = &[0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f];

/// Sizes on both sides of where either version's frames become long, and of the engine's own limits.
const LENGTHS: [usize; 12] = [0, 1, 33, 34, 253, 254, 255, 256, 8191, 8193, 65_536, 1 << 20];

/// All of `LENGTHS` as single parts, then as one message of many parts.
fn messages() -> Vec<Vec<Vec<u8>>> {
    let parts: Vec<Vec<u8>> = LENGTHS.iter().enumerate().map(|(seed, &len)| body(len, seed)).collect();
    let mut messages: Vec<Vec<Vec<u8>>> = parts.iter().map(|part| vec![part.clone()]).collect();
    messages.push(parts);
    messages.push(vec![vec![], vec![]]);
    messages
}

type Frame = fn(bool, &[u8]) -> Vec<u8>;

fn frames(frame: Frame, message: &[Vec<u8>]) -> Vec<u8> {
    let last = message.len() - 1;
    message.iter().enumerate().flat_map(|(i, part)| frame(i < last, part)).collect()
}

/// Every message goes from the peer to zlink, which sends it back.
/// Each message goes to the socket, comes from it, or both, as its type allows.
fn exchange(socket_type: SocketType, opening: &[u8], answer: &[u8], frame: Frame) {
    let (receives, sends) = (socket_type != Push, socket_type != Pull);
    everywhere(
        socket_type,
        |_| {},
        |node| {
            for message in messages() {
                if receives {
                    assert!(node.recv() == message, "another message than was written");
                }
                if sends {
                    node.send(&message);
                }
            }
        },
        |peer, run| {
            write(peer, run, opening);
            peer.expect(answer);
            for message in messages() {
                let bytes = frames(frame, &message);
                if receives {
                    peer.write(&bytes);
                }
                if sends {
                    peer.expect(&bytes);
                }
            }
        },
    );
}

#[test]
fn a_2_0_dealer_and_dealer_exchange_every_size_and_multipart() {
    exchange(Dealer, &v2_opening(DEALER), &v2_answer(DEALER), v2_frame);
}

#[test]
fn a_2_0_pair_and_pair_exchange_every_size_and_multipart() {
    exchange(Pair, &v2_opening(PAIR), &v2_answer(PAIR), v2_frame);
}

#[test]
fn a_1_0_peer_and_dealer_exchange_every_size_and_multipart() {
    exchange(Dealer, V1_OPENING, V1_ANSWER, v1_frame);
}

#[test]
fn a_1_0_peer_and_pair_exchange_every_size_and_multipart() {
    exchange(Pair, V1_OPENING, V1_ANSWER, v1_frame);
}

#[test]
fn a_2_0_push_is_heard_by_pull() {
    exchange(Pull, &v2_opening(PUSH), &v2_answer(PULL), v2_frame);
}

#[test]
fn a_2_0_pull_hears_push() {
    exchange(Push, &v2_opening(PULL), &v2_answer(PUSH), v2_frame);
}

#[test]
fn a_1_0_peer_is_heard_by_pull() {
    exchange(Pull, V1_OPENING, V1_ANSWER, v1_frame);
}

#[test]
fn a_1_0_peer_hears_push() {
    exchange(Push, V1_OPENING, V1_ANSWER, v1_frame);
}

#[test]
fn messages_sent_in_one_piece_with_the_greeting_are_heard() {
    for (opening, frame) in [(v2_opening(PUSH), v2_frame as Frame), (V1_OPENING.to_vec(), v1_frame)] {
        everywhere(
            Pull,
            |_| {},
            |node| {
                assert_eq!(node.recv(), [b"one"]);
                assert_eq!(node.recv(), [&b"two"[..], b"", b"parts"]);
                assert_eq!(node.recv(), [body(3000, 0)]);
            },
            |peer, run| {
                let mut bytes = opening.clone();
                bytes.extend(frame(false, b"one"));
                bytes.extend([frame(true, b"two"), frame(true, b""), frame(false, b"parts")].concat());
                bytes.extend(frame(false, &body(3000, 0)));
                write(peer, run, &bytes);
                // Zlink answers what it can read; the stream must stay open for it.
                peer.read(V1_ANSWER.len());
            },
        );
    }
}

#[test]
fn a_2_0_dealer_and_router_know_each_other_by_routing_id() {
    everywhere(
        Router,
        |node| node.set(option::ROUTING_ID, b"us"),
        |node| {
            assert_eq!(node.recv(), [&b"them"[..], b"hello"]);
            node.send(&[&b"them"[..], b"hi", b"", &body(256, 7)]);
        },
        |peer, run| {
            write(peer, run, b"\xff\0\0\0\0\0\0\0\x05\x7f\x01\x05\x00\x04them\x00\x05hello");
            peer.expect(b"\xff\0\0\0\0\0\0\0\x03\x7f\x03\x06\x00\x02us");
            peer.expect(b"\x01\x02hi\x01\x00\x02\0\0\0\0\0\0\x01\x00");
            peer.expect(&body(256, 7));
        },
    );
}

#[test]
fn a_1_0_peer_and_router_know_each_other_by_routing_id() {
    everywhere(
        Router,
        |node| node.set(option::ROUTING_ID, b"us"),
        |node| {
            assert_eq!(node.recv(), [&b"them"[..], b"hello"]);
            node.send(&[&b"them"[..], b"hi", b"", &body(254, 7)]);
        },
        |peer, run| {
            write(peer, run, b"\x05\x00them\x06\x00hello");
            peer.expect(b"\xff\0\0\0\0\0\0\0\x03\x7fus");
            peer.expect(b"\x03\x01hi\x01\x01\xff\0\0\0\0\0\0\0\xff\x00");
            peer.expect(&body(254, 7));
        },
    );
}

#[test]
fn a_peer_without_routing_id_gets_one_from_router() {
    for (opening, answer, frame) in [
        (v2_opening(DEALER), v2_answer(ROUTER), v2_frame as Frame),
        (V1_OPENING.to_vec(), V1_ANSWER.to_vec(), v1_frame),
    ] {
        everywhere(
            Router,
            |_| {},
            |node| {
                let message = node.recv();
                assert_eq!((message[0].len(), message[0][0]), (5, 0), "a name that was made up");
                assert_eq!(message[1], b"hello");
                node.send(&[&message[0][..], b"world"]);
            },
            |peer, run| {
                write(peer, run, &opening);
                peer.expect(&answer);
                peer.write(&frame(false, b"hello"));
                peer.expect(&frame(false, b"world"));
            },
        );
    }
}

#[test]
fn an_old_client_gets_its_reply_behind_an_empty_frame() {
    for (opening, answer, frame) in [
        (v2_opening(REQ), v2_answer(REP), v2_frame as Frame),
        (V1_OPENING.to_vec(), V1_ANSWER.to_vec(), v1_frame),
    ] {
        everywhere(
            Rep,
            |_| {},
            |node| {
                for message in messages() {
                    assert!(node.recv() == message, "another message than was written");
                    node.send(&message);
                }
            },
            |peer, run| {
                write(peer, run, &opening);
                peer.expect(&answer);
                for message in messages() {
                    let bytes = [frame(true, b""), frames(frame, &message)].concat();
                    peer.write(&bytes);
                    peer.expect(&bytes);
                }
            },
        );
    }
}

#[test]
fn an_old_server_is_asked_behind_an_empty_frame() {
    for (opening, answer, frame) in [
        (v2_opening(REP), v2_answer(REQ), v2_frame as Frame),
        (V1_OPENING.to_vec(), V1_ANSWER.to_vec(), v1_frame),
    ] {
        everywhere(
            Req,
            |_| {},
            |node| {
                for message in messages() {
                    node.send(&message);
                    assert!(node.recv() == message, "another message than was written");
                }
            },
            |peer, run| {
                write(peer, run, &opening);
                peer.expect(&answer);
                for message in messages() {
                    let bytes = [frame(true, b""), frames(frame, &message)].concat();
                    peer.expect(&bytes);
                    peer.write(&bytes);
                }
            },
        );
    }
}

#[test]
fn a_2_0_subscriber_gets_what_it_subscribed_to_by_message() {
    everywhere(
        Xpub,
        |_| {},
        |node| {
            assert_eq!(node.recv(), [b"\x01ab"]);
            node.send(&[b"aa"]);
            node.send(&[b"ab0"]);
            assert_eq!(node.recv(), [b"\x00ab"]);
            assert_eq!(node.recv(), [b"\x01c"]);
            node.send(&[b"ab"]);
            node.send(&[&b"c"[..], b"", &body(300, 1)]);
        },
        |peer, run| {
            write(peer, run, &v2_opening(SUB));
            peer.expect(&v2_answer(v2_extended(run, PUB, 9)));
            write(peer, run, b"\x00\x03\x01ab");
            peer.expect(b"\x00\x03ab0");
            write(peer, run, b"\x00\x03\x00ab\x00\x02\x01c");
            peer.expect(b"\x01\x01c\x01\x00\x02\0\0\0\0\0\0\x01\x2c");
            peer.expect(&body(300, 1));
        },
    );
}

#[test]
fn a_2_0_subscriber_gets_what_pub_publishes_once_it_has_subscribed() {
    let heard = AtomicBool::new(false);
    everywhere(
        Pub,
        |_| {},
        |node| {
            // A PUB cannot tell when it has a subscriber.
            let limit = Instant::now() + GUARD;
            while !heard.swap(false, Ordering::Relaxed) && Instant::now() < limit {
                node.send(&[b"aa"]);
                node.send(&[b"abc"]);
            }
        },
        |peer, run| {
            write(peer, run, &v2_opening(SUB));
            peer.expect(&v2_answer(PUB));
            write(peer, run, b"\x00\x03\x01ab");
            for _ in 0..10 {
                peer.expect(b"\x00\x03abc");
            }
            heard.store(true, Ordering::Relaxed);
        },
    );
}

#[test]
fn a_2_0_publisher_is_told_subscriptions_by_message() {
    for socket_type in [Sub, Xsub] {
        everywhere(
            socket_type,
            |node| node.subscribe(b"ab"),
            |node| {
                assert_eq!(node.recv(), [&b"ab"[..], b"", b"x"]);
                node.subscribe(b"");
                assert_eq!(node.recv(), [b""]);
                node.unsubscribe(b"ab");
                assert_eq!(node.recv(), [body(256, 3)]);
            },
            |peer, run| {
                write(peer, run, &v2_opening(PUB));
                peer.expect(&v2_answer(if socket_type == Xsub { v2_extended(run, SUB, 10) } else { SUB }));
                peer.expect(b"\x00\x03\x01ab");
                write(peer, run, b"\x01\x02ab\x01\x00\x00\x01x");
                peer.expect(b"\x00\x01\x01");
                write(peer, run, b"\x00\x00");
                peer.expect(b"\x00\x03\x00ab");
                write(peer, run, &v2_frame(false, &body(256, 3)));
            },
        );
    }
}

#[test]
fn what_an_old_publisher_sends_unasked_is_filtered() {
    for (opening, frame) in [(v2_opening(PUB), v2_frame as Frame), (V1_OPENING.to_vec(), v1_frame)] {
        everywhere(
            Sub,
            |node| node.subscribe(b"ab"),
            |node| {
                assert_eq!(node.recv(), [b"ab1"]);
                assert_eq!(node.recv(), [&b"ab"[..], b"2"]);
            },
            |peer, run| {
                let messages = [
                    frame(false, b"a"),
                    frame(false, b"ab1"),
                    frame(true, b"b"),
                    frame(false, b"ab"),
                    frame(false, b""),
                    frame(true, b"ab"),
                    frame(false, b"2"),
                ];
                write(peer, run, &[opening.clone(), messages.concat()].concat());
                peer.read(V1_ANSWER.len());
            },
        );
    }
}

#[test]
fn a_1_0_subscriber_gets_everything_since_it_never_says_what_it_wants() {
    a_1_0_subscriber_gets_everything(-1);
}

#[test]
fn a_1_0_subscriber_gets_everything_from_a_publisher_that_takes_no_message_itself() {
    a_1_0_subscriber_gets_everything(0);
}

fn a_1_0_subscriber_gets_everything(longest_accepted: i64) {
    everywhere(
        Xpub,
        |node| node.set(option::MAXMSGSIZE, &longest_accepted.to_ne_bytes()),
        |node| {
            assert_eq!(node.recv(), [[1]], "the subscription it would have sent");
            for message in messages() {
                node.send(&message);
            }
        },
        |peer, run| {
            write(peer, run, V1_OPENING);
            peer.expect(V1_ANSWER);
            for message in messages() {
                peer.expect(&frames(v1_frame, &message));
            }
        },
    );
}

#[test]
fn a_1_0_publisher_is_told_subscriptions_by_message() {
    everywhere(
        Sub,
        |node| node.subscribe(b"ab"),
        |node| assert_eq!(node.recv(), [b"abc"]),
        |peer, run| {
            write(peer, run, V1_OPENING);
            peer.expect(V1_ANSWER);
            peer.expect(b"\x04\x00\x01ab");
            write(peer, run, b"\x04\x00abc");
        },
    );
}

#[test]
fn old_peers_get_no_heartbeats_and_stay_connected_without() {
    for (opening, answer, frame) in [
        (v2_opening(PAIR), v2_answer(PAIR), v2_frame as Frame),
        (V1_OPENING.to_vec(), V1_ANSWER.to_vec(), v1_frame),
    ] {
        everywhere(
            Pair,
            |node| {
                node.set_int(option::HEARTBEAT_IVL, 1);
                node.set_int(option::HEARTBEAT_TIMEOUT, 2);
            },
            |node| {
                // Nothing is under way for many intervals, on both sides.
                assert_eq!(node.recv_within(Duration::from_millis(100)), None);
                node.send(&[b"still here"]);
                assert_eq!(node.recv(), [b"so am I"]);
            },
            |peer, run| {
                write(peer, run, &opening);
                peer.expect(&answer);
                peer.expect(&frame(false, b"still here"));
                peer.write(&frame(false, b"so am I"));
            },
        );
    }
}
