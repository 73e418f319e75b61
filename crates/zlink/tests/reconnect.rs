//! When a connect is tried again, and when it is given up: `ZMQ_RECONNECT_STOP`, and peers that refuse.

mod common;

use std::time::Duration;

use common::{RawListener, RawStream, Transport, command, connected, greeting, monitor, socket, wait_until};
use zlink::{Context, EventKind, Socket, SocketType};

over_tcp_and_ipc! {
    a_refused_connect_is_tried_again,
    a_refused_connect_is_given_up_on_request,
    a_connect_is_given_up_on_request_after_a_failed_handshake,
    a_connect_is_given_up_on_request_after_a_handshake_without_end,
    a_peer_that_sends_an_error_is_not_asked_again,
    what_a_disconnect_leaves_is_given_up_on_request_once_refused,
}

const STOP_REFUSED: i32 = 1;
const STOP_HANDSHAKE_FAILED: i32 = 2;
const STOP_AFTER_DISCONNECT: i32 = 4;

/// Waits until the socket's only connect is given up: its pipe goes then.
fn wait_until_given_up(push: &Socket) {
    wait_until("the connect is given up", || !push.readiness().expect("readiness").writable);
}

fn push(context: &Context, stop: i32) -> Socket {
    let push = socket(context, SocketType::Push);
    push.set_reconnect_stop(stop).expect("option");
    push
}

/// An endpoint that refuses: somebody listened there.
fn refusing(transport: Transport) -> String {
    RawListener::bind(transport).endpoint()
}

fn a_refused_connect_is_tried_again(transport: Transport) {
    let context = Context::new();
    let push = push(&context, STOP_HANDSHAKE_FAILED | STOP_AFTER_DISCONNECT);
    let events = monitor(&push);
    push.connect(&refusing(transport)).expect("connect");
    (0..3).for_each(|_| drop(events.wait_for(&[EventKind::ConnectRetried])));
    assert!(push.readiness().expect("readiness").writable);
}

fn a_refused_connect_is_given_up_on_request(transport: Transport) {
    let context = Context::new();
    let push = push(&context, STOP_REFUSED);
    let events = monitor(&push);
    let refusing = refusing(transport);
    push.connect(&refusing).expect("connect");
    wait_until_given_up(&push);
    let pull = socket(&context, SocketType::Pull);
    pull.bind(transport.wildcard()).expect("bind");
    push.connect(&pull.last_endpoint().expect("endpoint")).expect("another connect");
    push.send("there").expect("send");
    assert_eq!(*pull.recv().expect("recv"), *b"there");
    // The one who refuses is closed once.
    let told =
        std::iter::from_fn(|| Some(events.wait_for(&[EventKind::Closed, EventKind::HandshakeSucceeded])));
    let told: Vec<_> = told.take_while(|event| event.kind == EventKind::Closed).collect();
    assert_eq!(told.iter().filter(|event| event.endpoint == refusing).count(), 1, "{told:?}");
}

/// Answers the first connection with `bytes` and closes it. The socket then gives up.
fn check_that_it_gives_up_after(bytes: &[u8], stop: i32, transport: Transport) {
    let context = Context::new();
    let listener = RawListener::bind(transport);
    let push = push(&context, stop);
    push.connect(&listener.endpoint()).expect("connect");
    let mut stream: RawStream = listener.accept();
    stream.write_as_far_as_possible(bytes);
    stream.finish();
    stream.read_to_close();
    wait_until_given_up(&push);
}

fn a_connect_is_given_up_on_request_after_a_failed_handshake(transport: Transport) {
    for bytes in [&b""[..], b"HTTP/1.0 400 Bad Request\r\n\r\n", &greeting()] {
        check_that_it_gives_up_after(bytes, STOP_HANDSHAKE_FAILED, transport);
    }
}

fn a_connect_is_given_up_on_request_after_a_handshake_without_end(transport: Transport) {
    let context = Context::new();
    let listener = RawListener::bind(transport);
    let push = push(&context, STOP_HANDSHAKE_FAILED);
    push.set_handshake_interval(Duration::from_millis(10)).expect("option");
    push.connect(&listener.endpoint()).expect("connect");
    let _silent = listener.accept();
    wait_until_given_up(&push);
}

fn a_peer_that_sends_an_error_is_not_asked_again(transport: Transport) {
    let refusal = [greeting(), command(b"\x05ERROR\x03400")].concat();
    check_that_it_gives_up_after(&refusal, 0, transport);
}

fn what_a_disconnect_leaves_is_given_up_on_request_once_refused(transport: Transport) {
    let context = Context::new();
    let endpoint = refusing(transport);
    let push = push(&context, STOP_AFTER_DISCONNECT);
    push.set_linger(None).expect("option");
    push.connect(&endpoint).expect("connect");
    push.send("for nobody").expect("send");
    push.disconnect(&endpoint).expect("disconnect");
    drop(push);
    // Which would otherwise wait for somebody to listen there.
    context.terminate();
    let other = connected(&Context::new(), SocketType::Push, &endpoint);
    assert!(other.readiness().expect("readiness").writable);
}
