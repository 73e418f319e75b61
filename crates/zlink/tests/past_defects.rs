//! What has harmed libzmq once: subscriptions of any size and depth (CVE-2021-20236), and lengths of ZMTP 1.0
//! (CVE-2021-20235).

mod common;

use std::io::Write;

use common::{RawPeer, RawStream, Transport, bound, connected, frame, peak_memory, socket, wait_until};
use zlink::{Context, Socket, SocketType};

over_tcp_and_ipc! {
    topics_of_megabytes_and_thousands_deep_disturb_nobody,
    every_length_that_zmtp_1_0_can_say_is_taken_or_ends_the_connection,
}

alone_over_tcp_and_ipc! {
    lengths_of_zmtp_1_0_take_no_memory_before_their_bodies_come,
}

const DEPTH: usize = 2000;

fn subscription(add: bool, topic: &[u8]) -> Vec<u8> {
    frame_of_any_size(&[&[u8::from(add)], topic].concat())
}

fn frame_of_any_size(body: &[u8]) -> Vec<u8> {
    if body.len() < 256 { frame(false, body) } else { common::long_frame(2, body.len() as u64, body) }
}

fn topics_of_megabytes_and_thousands_deep_disturb_nobody(transport: Transport) {
    let context = Context::new();
    for socket_type in [SocketType::Pub, SocketType::Xpub] {
        let (publisher, endpoint) = bound(&context, socket_type, transport);
        let good = connected(&context, SocketType::Sub, &endpoint);
        good.subscribe(b"good").expect("subscribe");
        let mut hostile = RawPeer::connect(&endpoint, SocketType::Sub);
        let mut topics: Vec<Vec<u8>> = (1..=DEPTH).map(|depth| vec![b'n'; depth]).collect();
        topics.extend([vec![b'm'; 1 << 20], [vec![b'm'; 1 << 20], vec![b'x']].concat(), Vec::new()]);
        let count = || {
            if socket_type == SocketType::Xpub {
                while publisher.try_recv().is_ok() {}
            }
            publisher.topics_count().expect("count")
        };
        std::thread::scope(|scope| {
            // Which waits while the publisher has not taken in what came before.
            scope.spawn(|| topics.iter().for_each(|topic| hostile.write(&subscription(true, topic))));
            // And the good peer's, which may come before or after.
            wait_until("all have been taken in", || count() == topics.len() as i32 + 1);
        });
        // What matches all of the deep ones, once for the peer.
        publisher.send(vec![b'n'; DEPTH]).expect("send");
        publisher.send(b"good news").expect("send");
        assert_eq!(*good.recv().expect("recv"), b"good news"[..]);
        // Half are cancelled, some of them twice, and the rest go with the connection.
        std::thread::scope(|scope| {
            let cancelled = topics.iter().step_by(2).chain([&topics[0]]);
            scope.spawn(|| {
                cancelled.for_each(|topic| hostile.write(&subscription(false, topic)));
                drop(hostile);
            });
            wait_until("they are gone", || count() == 1);
        });
        publisher.send(b"good end").expect("send");
        assert_eq!(*good.recv().expect("recv"), b"good end"[..]);
    }
}

/// A peer of ZMTP 1.0 without a routing id.
fn old_peer(endpoint: &str) -> RawStream {
    let mut stream = RawStream::connect(endpoint);
    stream.write_all(&[1, 0]).expect("write");
    stream
}

/// The header of a ZMTP 1.0 frame that says this length in the long form, which counts the flags.
fn long_header(len: u64, flags: u8) -> Vec<u8> {
    [&[0xff][..], &len.to_be_bytes(), &[flags]].concat()
}

fn pull(transport: Transport) -> (Context, Socket, String) {
    let context = Context::new();
    let pull = socket(&context, SocketType::Pull);
    pull.set_max_message_size(1 << 20).expect("option");
    pull.bind(transport.wildcard()).expect("bind");
    let endpoint = pull.last_endpoint().expect("endpoint");
    (context, pull, endpoint)
}

fn every_length_that_zmtp_1_0_can_say_is_taken_or_ends_the_connection(transport: Transport) {
    let (context, pull, endpoint) = pull(transport);
    let good = connected(&context, SocketType::Push, &endpoint);
    let check = || {
        good.send("good").expect("send");
        assert_eq!(*pull.recv().expect("recv"), b"good"[..]);
    };
    // In the short form and in the long, cut before each byte and between.
    for len in [0usize, 1, 252, 253, 254, 255, 256, 8191, 8192, 8193, 100_000] {
        let body = vec![7; len];
        let mut frames = vec![[&long_header(len as u64 + 1, 0), &body[..]].concat()];
        if len < 254 {
            frames.push([&[len as u8 + 1, 0], &body[..]].concat());
        }
        for bytes in frames {
            for cut in (0..=11.min(bytes.len())).chain([bytes.len() - 1]) {
                let mut peer = old_peer(&endpoint);
                peer.write_all(&bytes[..cut]).expect("write");
                peer.write_all(&bytes[cut..]).expect("write");
                assert_eq!(*pull.recv().expect("recv"), body);
            }
        }
    }
    // None has no flags; above the limit, beyond the sign, and what would wrap around.
    for len in [0, (1 << 20) + 2, 1 << 31, 1 << 32, 1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX - 1, u64::MAX] {
        for flags in [0, 1] {
            let mut peer = old_peer(&endpoint);
            peer.write_as_far_as_possible(&[&long_header(len, flags), &[b'x'; 500][..]].concat());
            peer.read_to_close();
        }
    }
    let mut peer = old_peer(&endpoint);
    peer.write_as_far_as_possible(&[0, 0, 0]);
    peer.read_to_close();
    check();
}

fn lengths_of_zmtp_1_0_take_no_memory_before_their_bodies_come(transport: Transport) {
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    let good = connected(&context, SocketType::Push, &endpoint);
    let check = || {
        good.send("good").expect("send");
        assert_eq!(*pull.recv().expect("recv"), b"good"[..]);
    };
    check();
    let before = peak_memory();
    let mut waiting = Vec::new();
    for len in [100_000_000, 1 << 31, 1 << 33, 1 << 40, 1 << 62] {
        for _ in 0..10 {
            let mut peer = old_peer(&endpoint);
            peer.write_all(&[&long_header(len, 0), &[b'x'; 1024][..]].concat()).expect("write");
            waiting.push(peer);
        }
    }
    check();
    assert!(peak_memory() < before + 8 * 1024, "{before} KiB, then {}", peak_memory());
}
