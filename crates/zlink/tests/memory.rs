//! Peers that send what is never complete, never wanted or never received: memory stays near what they have sent.
//!
//! Of the kind of CVE-2021-20234, CVE-2021-20237 (messages and half messages that pile up in a publisher) and
//! CVE-2019-6250 (lengths of 64 bits).

mod common;

use std::io::Write;

use common::{
    RawPeer, Resources, Transport, body, bound, connected, frame, long_frame, monitor, peak_memory,
    wait_until,
};
use zlink::{Context, EventKind, SocketType};

over_tcp_and_ipc! {
    lengths_of_64_bits_at_every_place_in_the_buffer_end_the_connection,
}

alone_over_tcp_and_ipc! {
    parts_without_end_take_what_they_are,
    half_messages_go_with_their_connections,
    messages_of_several_parts_that_are_written_at_once_take_nothing,
}

/// KiB that may come on top.
const SLACK: usize = 8 * 1024;

fn parts_without_end_take_what_they_are(transport: Transport) {
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    let good = connected(&context, SocketType::Push, &endpoint);
    let mut dripping = RawPeer::connect(&endpoint, SocketType::Push);
    let mut pouring = RawPeer::connect(&endpoint, SocketType::Push);
    let before = peak_memory();
    let pour = frame(true, b"").repeat(1000);
    for i in 0..20_000 {
        dripping.stream.write_all(&frame(true, b"")).expect("write");
        if i % 20 == 0 {
            pouring.stream.write_all(&pour).expect("write");
        }
    }
    // 40 KB and 2 MB of empty parts, of which none can be received.
    for i in 0..10 {
        good.send(body(i, 30)).expect("send");
        assert_eq!(*pull.recv().expect("recv"), body(i, 30));
    }
    assert!(peak_memory() < before + SLACK, "{before} KiB, then {}", peak_memory());
    for (mut peer, parts) in [(dripping, 20_001), (pouring, 1_000_001)] {
        peer.write(&frame(false, b"end"));
        let mut got = 1;
        while pull.recv().expect("recv").more() {
            got += 1;
        }
        assert_eq!(got, parts);
    }
}

fn half_messages_go_with_their_connections(transport: Transport) {
    let context = Context::new();
    for socket_type in [SocketType::Pull, SocketType::Xpub, SocketType::Pub] {
        let (socket, endpoint) = bound(&context, socket_type, transport);
        let peer_type = if socket_type == SocketType::Pull { SocketType::Push } else { SocketType::Sub };
        let events = monitor(&socket);
        let half = [frame(true, &[7; 60_000]), long_frame(3, 100_000, &[8; 90_000])].concat();
        let mut before = None;
        for round in 0..300 {
            let mut peer = RawPeer::connect(&endpoint, peer_type);
            peer.stream.write_as_far_as_possible(&half);
            drop(peer);
            events.wait_for(&[EventKind::Disconnected]);
            // Takes in what there is to know of it.
            assert!(!socket.readiness().expect("readiness").readable);
            if round == 50 {
                before = Some(Resources::now());
            }
        }
        let before = before.expect("noted");
        wait_until("descriptors are closed", || Resources::now().descriptors <= before.descriptors + 2);
        let after = Resources::now();
        assert!(after.memory < before.memory + SLACK, "{socket_type:?}: {before:?}, then {after:?}");
    }
}

fn messages_of_several_parts_that_are_written_at_once_take_nothing(transport: Transport) {
    let context = Context::new();
    let (rep, endpoint) = bound(&context, SocketType::Rep, transport);
    let req = connected(&context, SocketType::Req, &endpoint);
    let mut before = None;
    for round in 0..30_000 {
        req.send(body(round, 30)).expect("send");
        rep.send(rep.recv().expect("recv")).expect("send");
        assert_eq!(*req.recv().expect("recv"), body(round, 30));
        if round == 3_000 {
            before = Some(Resources::now());
        }
    }
    let (before, after) = (before.expect("noted"), Resources::now());
    assert!(after.memory < before.memory + SLACK, "{before:?}, then {after:?}");
}

fn lengths_of_64_bits_at_every_place_in_the_buffer_end_the_connection(transport: Transport) {
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    let good = connected(&context, SocketType::Push, &endpoint);
    let events = monitor(&pull);
    // In front of the end of the read buffer of 8192 bytes, over it, and behind it.
    for before in (0..40).chain(8192 - 40..8192 + 40) {
        for len in [u64::MAX, u64::MAX - 8, 1 << 63] {
            let mut peer = RawPeer::connect(&endpoint, SocketType::Push);
            let filler = match before {
                0 => Vec::new(),
                // No frame is that long.
                1 => continue,
                n if n < 258 => frame(false, &vec![1; n - 2]),
                n => frame(false, &vec![1; n - 9]),
            };
            peer.stream.write_as_far_as_possible(&[&filler[..], &long_frame(2, len, b"body")].concat());
            events.wait_for(&[EventKind::Disconnected]);
        }
    }
    good.send("unharmed").expect("send");
    while *pull.recv().expect("recv") != *b"unharmed" {}
}
