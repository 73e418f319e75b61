//! Publishers, and when they learn of subscriptions.

mod common;

use std::thread;

use common::{RawPeer, Transport, bound, direct_io, frame, guarded, socket};
use zlink::{Context, Socket, SocketType};

over_tcp_and_ipc! {
    a_publisher_that_sends_reads_subscriptions_itself,
    a_publisher_that_has_received_reads_subscriptions_itself,
}

/// What is sent as message `number`: parts of many sizes, first by the digit that subscribers choose by.
fn parts_of(number: usize) -> Vec<Vec<u8>> {
    let len = [0, 1, 60, 250, 255, 256, 1000, 5000, 20_000][number % 9];
    let mut first = format!("{} {number} ", number / 3 % 10).into_bytes();
    first.resize(first.len() + len, number as u8);
    // Now and then some in a row have two parts.
    let second = (number / 500).is_multiple_of(4).then(|| vec![7; len]);
    std::iter::once(first).chain(second).collect()
}

/// Frames that many get are not made for each.
#[test]
fn every_subscriber_gets_all_it_asked_for_in_order_however_many_there_are() {
    for batching in [-1, 1] {
        every_subscriber_gets_all_it_asked_for(batching);
    }
}

fn every_subscriber_gets_all_it_asked_for(batching: i32) {
    guarded(move || {
        const MESSAGES: usize = 6000;
        let context = Context::new();
        let publisher = socket(&context, SocketType::Xpub);
        publisher.set_xpub_nodrop(true).expect("option");
        publisher.set_write_batching(batching).expect("option");
        publisher.set_xpub_verbose(true).expect("option");
        publisher.set_send_hwm(200).expect("option");
        let mut subscribers = Vec::new();
        let endpoints = ["tcp://127.0.0.1:*", "ipc://*", "ws://127.0.0.1:*", "inproc://every"];
        for (at, endpoint) in endpoints.iter().enumerate() {
            publisher.bind(endpoint).expect("bind");
            let endpoint = publisher.last_endpoint().expect("endpoint");
            for topics in [&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"][..], &["3", "4"], &["3", "7"]]
            {
                let subscriber = socket(&context, SocketType::Sub);
                // One that takes little at a time makes the publisher wait.
                subscriber.set_receive_hwm([1000, 3][at % 2]).expect("option");
                topics.iter().for_each(|topic| subscriber.subscribe(topic.as_bytes()).expect("subscribe"));
                subscriber.connect(&endpoint).expect("connect");
                subscribers.push((subscriber, topics));
            }
        }
        let subscriptions: usize = subscribers.iter().map(|(_, topics)| topics.len()).sum();
        for _ in 0..subscriptions {
            publisher.recv().expect("recv");
        }
        thread::scope(|scope| {
            for (subscriber, topics) in &subscribers {
                scope.spawn(move || {
                    let wanted =
                        |parts: &[Vec<u8>]| topics.iter().any(|topic| parts[0].starts_with(topic.as_bytes()));
                    for parts in (0..MESSAGES).map(parts_of).filter(|parts| wanted(parts)) {
                        let got = subscriber.recv_multipart().expect("recv");
                        let same = got.iter().map(|part| &**part).eq(parts.iter().map(Vec::as_slice));
                        assert!(same, "not {:?}", String::from_utf8_lossy(&parts[0]).split(' ').nth(1));
                    }
                });
            }
            for parts in (0..MESSAGES).map(parts_of) {
                publisher.send_multipart(parts).expect("send");
            }
        });
    });
}

fn subscribe(peer: &mut RawPeer, topic: &str) {
    peer.write(&frame(false, &[b"\x01", topic.as_bytes()].concat()));
}

/// Subscribes to one topic after the other, each time just before it is sent, until a message arrives for which the
/// sending thread has read the subscription. The peer has subscribed to `known`.
fn subscribe_until_the_sender_reads(publisher: &Socket, peer: &mut RawPeer, known: &str) {
    for number in 0.. {
        let topic = format!("topic {number}.");
        subscribe(peer, &topic);
        let before = publisher.stats().direct_reads;
        publisher.send(topic.as_str()).expect("send");
        let read = publisher.stats().direct_reads > before;
        assert!(direct_io() || !read);
        publisher.send(known).expect("send");
        // With TCP a subscription may still be on its way when the call that sends it has returned.
        let mut arrived = peer.read_message();
        let found = arrived == [topic.as_bytes()];
        while arrived != [known.as_bytes()] {
            arrived = peer.read_message();
        }
        if found && (read || !direct_io()) {
            return;
        }
    }
}

fn a_publisher_that_sends_reads_subscriptions_itself(transport: Transport) {
    let context = Context::new();
    let (publisher, endpoint) = bound(&context, SocketType::Pub, transport);
    let mut peer = RawPeer::connect(&endpoint, SocketType::Sub);
    subscribe(&mut peer, "first");
    // The I/O thread answers a second one once it has passed on what came before the first.
    peer.ping(b"");
    peer.ping(b"");
    subscribe_until_the_sender_reads(&publisher, &mut peer, "first");
}

fn a_publisher_that_has_received_reads_subscriptions_itself(transport: Transport) {
    let context = Context::new();
    let (publisher, endpoint) = bound(&context, SocketType::Xpub, transport);
    let mut peer = RawPeer::connect(&endpoint, SocketType::Sub);
    subscribe(&mut peer, "first");
    // It waits on the connection, and has the right to read it for a while.
    assert_eq!(*publisher.recv().expect("recv"), *b"\x01first");
    subscribe_until_the_sender_reads(&publisher, &mut peer, "first");
}
