//! `zmq_socket_monitor`.

use std::ffi::CString;
use std::ptr;

use common::api::*;

mod common;

const CONNECTED: u16 = 1;
const LISTENING: u16 = 8;
const ACCEPTED: u16 = 0x20;
const MONITOR_STOPPED: u16 = 0x400;
const HANDSHAKE_SUCCEEDED: u16 = 0x1000;
const ALL: i32 = 0xFFFF;

fn monitor(context: &Context, socket: &Socket, name: &str, events: i32) -> Socket {
    let endpoint = CString::new(name).unwrap();
    assert_done(zmq!(zmq_socket_monitor(socket.0, endpoint.as_ptr(), events)));
    let reader = context.socket(PAIR);
    reader.connect(name);
    reader
}

/// An event: its number, value and endpoint.
fn event(reader: &Socket) -> (u16, u32, String) {
    let first = reader.recv();
    assert_eq!((first.len(), reader.get(RCVMORE)), (6, 1));
    let endpoint = reader.recv();
    assert_eq!(reader.get(RCVMORE), 0);
    let number = u16::from_ne_bytes([first[0], first[1]]);
    let value = u32::from_ne_bytes(first[2..].try_into().expect("four bytes"));
    (number, value, String::from_utf8(endpoint).expect("an endpoint is text"))
}

/// Reads on until this event.
fn until(reader: &Socket, number: u16) -> (u32, String) {
    loop {
        let (this, value, endpoint) = event(reader);
        if this == number {
            return (value, endpoint);
        }
        assert_ne!(this, MONITOR_STOPPED, "no event {number:#x}");
    }
}

#[test]
fn a_monitor_tells_of_a_connection_on_both_sides_and_of_its_own_end() {
    let context = Context::new();
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*"] {
        let (server, client) = (context.socket(REP), context.socket(REQ));
        let server_events = monitor(&context, &server, "inproc://server-events", ALL);
        let client_events = monitor(&context, &client, "inproc://client-events", ALL);
        server.bind(endpoint);
        let bound = server.last_endpoint();
        assert_eq!(until(&server_events, LISTENING).1, bound);
        client.connect(&bound);
        until(&client_events, CONNECTED);
        until(&client_events, HANDSHAKE_SUCCEEDED);
        until(&server_events, ACCEPTED);
        until(&server_events, HANDSHAKE_SUCCEEDED);
        drop(client);
        until(&client_events, MONITOR_STOPPED);
        assert_done(zmq!(zmq_socket_monitor(server.0, ptr::null(), 0)));
        until(&server_events, MONITOR_STOPPED);
    }
}

#[test]
fn only_the_events_asked_for_are_told() {
    let context = Context::new();
    let server = context.socket(REP);
    let events = monitor(&context, &server, "inproc://some", i32::from(LISTENING));
    server.bind("tcp://127.0.0.1:*");
    server.bind("tcp://127.0.0.1:*");
    assert_eq!((event(&events).0, event(&events).0), (LISTENING, LISTENING));
    drop(server);
    events.set(RCVTIMEO, 1);
    let mut buffer = [0u8; 8];
    assert_fails(zmq!(zmq_recv(events.0, buffer.as_mut_ptr().cast(), 8, 0)), -1, EAGAIN);
}

#[test]
fn a_new_monitor_ends_the_old_one_and_may_take_its_endpoint() {
    let context = Context::new();
    let server = context.socket(REP);
    let first = monitor(&context, &server, "inproc://same", ALL);
    let second = monitor(&context, &server, "inproc://same", ALL);
    assert_eq!(event(&first).0, MONITOR_STOPPED);
    server.bind("tcp://127.0.0.1:*");
    assert_eq!(event(&second).0, LISTENING);
}

#[test]
fn a_monitor_nobody_reads_holds_up_nothing() {
    let context = Context::new();
    let server = context.socket(REP);
    let unread = monitor(&context, &server, "inproc://unread", ALL);
    assert_done(zmq!(zmq_socket_monitor(server.0, c"inproc://unconnected".as_ptr(), ALL)));
    server.bind("tcp://127.0.0.1:*");
    let bound = server.last_endpoint();
    for _ in 0..50 {
        let client = context.socket(REQ);
        client.connect(&bound);
        client.send(b"ping", 0);
        assert_eq!(server.recv(), b"ping");
        server.send(b"pong", 0);
        assert_eq!(client.recv(), b"pong");
    }
    assert_eq!(event(&unread).0, MONITOR_STOPPED);
}

#[test]
fn endpoints_and_events_that_a_monitor_cannot_have_are_refused() {
    let context = Context::new();
    let server = context.socket(REP);
    let other = context.socket(PAIR);
    other.bind("inproc://taken");
    for (endpoint, events, number) in [
        (c"tcp://127.0.0.1:*", ALL, EPROTONOSUPPORT),
        (c"inproc://", ALL, EINVAL),
        (c"inproc", ALL, EINVAL),
        (c"inproc://x", 0x1_0000, EINVAL),
        (c"inproc://x", -1, EINVAL),
        (c"inproc://taken", ALL, EADDRINUSE),
    ] {
        assert_fails(zmq!(zmq_socket_monitor(server.0, endpoint.as_ptr(), events)), -1, number);
    }
}
