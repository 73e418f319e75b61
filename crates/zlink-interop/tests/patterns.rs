//! Every pattern, zlink on one side and libzmq on the other, either of them bound, over TCP, IPC, WebSocket and TIPC:
//! messages of every size and of several parts arrive as they were sent, and streams complete and in order.

use zlink::SocketType::{
    Channel, Client, Dealer, Dish, Gather, Pair, Peer, Pub, Pull, Push, Radio, Rep, Req, Router, Scatter,
    Server, Sub, Xpub, Xsub,
};
use zlink_interop::{Case, Conversation, Flow, Pairing, Parts, SIZES, Side, Transport, body};

/// Messages of a stream.
const STREAM: u32 = 100_000;
/// Of one in which each message waits for the answer to the one before it.
const LOCKSTEP: u32 = 2_000;
/// Requests that a DEALER has under way at a time.
const WINDOW: u32 = 500;

/// Sizes of the parts of multipart messages.
const SHAPES: &[&[usize]] = &[
    &[0, 0],
    &[0, 1],
    &[1, 0],
    &[33, 34],
    &[8191, 255],
    &[0, 1 << 20],
    &[0, 0, 0, 0, 0],
    &[1, 255, 256, 8193, 0],
    &[34, 65_536, 0, 1 << 20, 33],
    &[255, 255, 255, 255, 255],
];

/// Says `parts` in every direction the pattern has; the other side hears just them.
#[track_caller]
fn exchange(case: &Case, talk: &mut Conversation, parts: &Parts) {
    let directions: &[Side] = match case.pairing.flow() {
        Flow::OneWay => &[Side::A],
        Flow::Turns | Flow::Free => &[Side::A, Side::B],
    };
    for &side in directions {
        let (speaker, listener) = talk.from(side);
        speaker.say(parts);
        let heard = listener.hear();
        let sizes = |parts: &Parts| parts.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(&heard), sizes(parts), "{case}, from {side:?}");
        assert!(heard == *parts, "{case}, from {side:?}, sizes {:?}: other bytes", sizes(parts));
    }
}

fn every_size_arrives_unchanged(pairing: Pairing, transport: Transport) {
    for case in pairing.cases(transport) {
        let mut talk = Conversation::open(&case);
        for (seed, size) in SIZES.into_iter().chain(SIZES.into_iter().rev()).enumerate() {
            exchange(&case, &mut talk, &vec![body(size, seed)]);
        }
    }
}

fn multipart_messages_arrive_whole(pairing: Pairing, transport: Transport) {
    for case in pairing.cases(transport) {
        let mut talk = Conversation::open(&case);
        for shape in SHAPES {
            let parts = shape.iter().enumerate().map(|(seed, &size)| body(size, seed)).collect();
            for _ in 0..3 {
                exchange(&case, &mut talk, &parts);
            }
        }
    }
}

/// The message with this number: a few bytes, on both sides of what is kept inline.
fn numbered(number: u32) -> ([u8; 44], usize) {
    let mut bytes = [number as u8; 44];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    (bytes, 4 + number as usize % 41)
}

#[track_caller]
fn assert_numbered(case: &Case, heard: &Parts, number: u32) {
    let (bytes, len) = numbered(number);
    assert!(
        heard.len() == 1 && heard[0] == bytes[..len],
        "{case}: message {number} of the stream is {heard:?}"
    );
}

fn a_stream_arrives_complete_and_in_order(pairing: Pairing, transport: Transport) {
    for case in pairing.cases(transport) {
        let mut talk = Conversation::open(&case);
        match pairing.flow() {
            Flow::OneWay => stream(&case, &mut talk, Side::A),
            Flow::Free => {
                // The side that is addressed must have heard from the other before.
                exchange(&case, &mut talk, &vec![b"first".to_vec()]);
                stream(&case, &mut talk, Side::A);
                stream(&case, &mut talk, Side::B);
            }
            Flow::Turns if pairing.a == Req => questions(&case, &mut talk, LOCKSTEP, 1),
            Flow::Turns => questions(&case, &mut talk, STREAM, WINDOW),
        }
    }
}

fn stream(case: &Case, talk: &mut Conversation, from: Side) {
    let (speaker, listener) = talk.from(from);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..STREAM {
                let (bytes, len) = numbered(number);
                speaker.say(&[&bytes[..len]]);
            }
        });
        for number in 0..STREAM {
            assert_numbered(case, &listener.hear(), number);
        }
    });
}

/// A asks, with at most `window` questions open, and B answers each with itself.
fn questions(case: &Case, talk: &mut Conversation, count: u32, window: u32) {
    let Conversation { a, b } = talk;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..count {
                let question = b.hear();
                assert_numbered(case, &question, number);
                b.say(&question);
            }
        });
        for number in 0..count + window {
            if let Some(answered) = number.checked_sub(window) {
                assert_numbered(case, &a.hear(), answered);
            }
            if number < count {
                let (bytes, len) = numbered(number);
                a.say(&[&bytes[..len]]);
            }
        }
    });
}

/// One module a pairing, one test a behaviour and transport.
macro_rules! pairings {
    ($($name:ident: $a:expr, $b:expr;)*) => { $(
        pairings!(@module $name, $a, $b; every_size_arrives_unchanged, multipart_messages_arrive_whole,
            a_stream_arrives_complete_and_in_order);
    )* };
    (single parts: $($name:ident: $a:expr, $b:expr;)*) => { $(
        pairings!(@module $name, $a, $b; every_size_arrives_unchanged, a_stream_arrives_complete_and_in_order);
    )* };
    (@module $name:ident, $a:expr, $b:expr; $($behaviour:ident),*) => {
        mod $name {
            use super::*;

            const PAIRING: Pairing = Pairing { a: $a, b: $b };

            pairings!(@tests $($behaviour),*);
        }
    };
    (@tests $($behaviour:ident),*) => { $(
        mod $behaviour {
            use super::*;

            #[test]
            fn over_tcp() {
                super::super::$behaviour(PAIRING, Transport::Tcp);
            }

            #[test]
            fn over_ipc() {
                super::super::$behaviour(PAIRING, Transport::Ipc);
            }

            #[test]
            fn over_ws() {
                super::super::$behaviour(PAIRING, Transport::Ws);
            }

            #[test]
            fn over_tipc() {
                if Transport::Tipc.is_there() {
                    super::super::$behaviour(PAIRING, Transport::Tipc);
                }
            }
        }
    )* };
}

pairings! {
    pair_and_pair: Pair, Pair;
    req_and_rep: Req, Rep;
    req_and_router: Req, Router;
    dealer_and_rep: Dealer, Rep;
    dealer_and_dealer: Dealer, Dealer;
    dealer_and_router: Dealer, Router;
    router_and_router: Router, Router;
    pub_and_sub: Pub, Sub;
    pub_and_xsub: Pub, Xsub;
    xpub_and_sub: Xpub, Sub;
    xpub_and_xsub: Xpub, Xsub;
    push_and_pull: Push, Pull;
}

pairings! {
    single parts:
    client_and_server: Client, Server;
    scatter_and_gather: Scatter, Gather;
    peer_and_peer: Peer, Peer;
    channel_and_channel: Channel, Channel;
    radio_and_dish: Radio, Dish;
}
