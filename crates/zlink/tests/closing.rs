//! Connections that are closed while their peers still send.

mod common;

use std::io::Read;
use std::time::Duration;

use common::{GUARD, RawPeer, RawStream, Transport, body, frame, socket};
use zlink::{Context, Socket, SocketType};

over_tcp_and_ipc! {
    what_was_sent_arrives_though_the_peer_s_input_was_not_read,
    what_was_sent_arrives_after_unbind_though_the_peer_s_input_was_not_read,
    a_peer_that_never_closes_does_not_keep_the_context,
    a_peer_that_sends_without_end_does_not_keep_the_context,
}

const MESSAGES: u32 = 400;

/// A bound socket that stops reading after a message or so, and a peer that has sent it many more.
fn with_unread_input(context: &Context, transport: Transport) -> (Socket, String, RawPeer) {
    let server = socket(context, SocketType::Dealer);
    server.set_linger(Some(GUARD)).expect("option");
    server.set_receive_hwm(1).expect("option");
    server.set_send_hwm(0).expect("option");
    // The kernel takes everything at once, but the peer, which does not read, cannot have got it.
    server.set_send_buffer(2 << 20).expect("option");
    server.bind(transport.wildcard()).expect("bind");
    let endpoint = server.last_endpoint().expect("endpoint");
    let stream = RawStream::connect(&endpoint);
    stream.set_receive_buffer(64 * 1024);
    let mut peer = RawPeer::shake(stream, SocketType::Dealer);
    for i in 0..50 {
        peer.send(&[&body(i, 1000)]);
    }
    // The connection stands, and reading it has stopped soon after.
    assert_eq!(*server.recv().expect("recv"), body(0, 1000));
    for i in 0..MESSAGES {
        server.send(body(i, 1000)).expect("send");
    }
    (server, endpoint, peer)
}

/// Reads everything up to an orderly end, sending on all the while.
fn check_everything_arrives(mut peer: RawPeer) {
    for i in 0..MESSAGES {
        assert_eq!(peer.read_message(), [body(i, 1000)]);
        peer.write_now(&frame(false, &body(i, 100)));
    }
    assert_eq!(peer.stream.read(&mut [0]).expect("an end, not a reset"), 0);
}

fn what_was_sent_arrives_though_the_peer_s_input_was_not_read(transport: Transport) {
    let context = Context::new();
    let (server, _, peer) = with_unread_input(&context, transport);
    drop(server);
    check_everything_arrives(peer);
    context.terminate();
}

fn what_was_sent_arrives_after_unbind_though_the_peer_s_input_was_not_read(transport: Transport) {
    let context = Context::new();
    let (server, endpoint, peer) = with_unread_input(&context, transport);
    server.unbind(&endpoint).expect("unbind");
    check_everything_arrives(peer);
}

fn a_peer_that_never_closes_does_not_keep_the_context(transport: Transport) {
    let context = Context::new();
    let (server, _, _peer) = with_unread_input(&context, transport);
    // Without end; but the kernel has everything.
    server.set_linger(None).expect("option");
    drop(server);
    context.terminate();
}

fn a_peer_that_sends_without_end_does_not_keep_the_context(transport: Transport) {
    let context = Context::new();
    let (server, _, mut peer) = with_unread_input(&context, transport);
    server.set_linger(Some(Duration::from_secs(1))).expect("option");
    drop(server);
    let endless = std::thread::spawn(move || peer.stream.write_as_far_as_possible(&vec![0; 1 << 30]));
    context.terminate();
    endless.join().expect("a broken connection");
}
