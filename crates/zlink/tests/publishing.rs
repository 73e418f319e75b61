//! Publishers, and when they learn of subscriptions.

mod common;

use common::{RawPeer, Transport, bound, direct_io, frame};
use zlink::{Context, Socket, SocketType};

over_tcp_and_ipc! {
    a_publisher_that_sends_reads_subscriptions_itself,
    a_publisher_that_has_received_reads_subscriptions_itself,
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
