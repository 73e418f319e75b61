//! `zmq_socket_monitor`.

use std::ffi::CString;
use std::ptr;

use common::api::*;
use common::each::is_libzmq;

mod common;

with_each_library! {
    version_2_tells_both_ends,
    version_2_goes_over_pairs_publishers_and_pushers,
    a_closed_socket_tells_of_its_listener_and_of_the_end,
    versions_and_types_that_a_monitor_cannot_have_are_refused,
    the_state_of_pipes_is_told_on_request,
    what_a_socket_ends_itself_is_no_event,
    a_bind_that_fails_is_told_with_its_address,
    a_connect_that_fails_at_once_is_told,
}

const CONNECTED: u16 = 1;
const CONNECT_RETRIED: u16 = 4;
const LISTENING: u16 = 8;
const BIND_FAILED: u16 = 0x10;
const CLOSED: u16 = 0x80;
const ACCEPTED: u16 = 0x20;
const DISCONNECTED: u16 = 0x200;
const MONITOR_STOPPED: u16 = 0x400;
const HANDSHAKE_SUCCEEDED: u16 = 0x1000;
const PIPES_STATS: u64 = 0x1_0000;
const ALL: i32 = 0xFFFF;
const ALL_V2: u64 = 0x1_FFFF;

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

fn monitor_2(context: &Context, socket: &Socket, name: &str, types: (i32, i32)) -> Socket {
    let endpoint = CString::new(name).unwrap();
    let (sends, receives) = types;
    let reader = context.socket(receives);
    if receives == SUB {
        assert_done(zmq!(zmq_setsockopt(reader.0, SUBSCRIBE, ptr::null(), 0)));
    }
    assert_done(zmq!(zmq_socket_monitor_versioned(socket.0, endpoint.as_ptr(), ALL_V2, 2, sends)));
    reader.connect(name);
    reader
}

/// An event of version 2.
#[derive(Debug, PartialEq)]
struct Told {
    number: u64,
    values: Vec<u64>,
    local: String,
    remote: String,
}

fn told(reader: &Socket) -> Told {
    let number = || {
        let part = reader.recv();
        assert_eq!(reader.get(RCVMORE), 1);
        u64::from_ne_bytes(part.try_into().expect("eight bytes"))
    };
    let (event, count) = (number(), number());
    let values = (0..count).map(|_| number()).collect();
    let text = |more| {
        let part = reader.recv();
        assert_eq!(reader.get(RCVMORE), more);
        String::from_utf8(part).expect("an endpoint is text")
    };
    Told { number: event, values, local: text(1), remote: text(0) }
}

/// Reads on until this event.
fn told_until(reader: &Socket, number: u16) -> Told {
    loop {
        let told = told(reader);
        if told.number == u64::from(number) {
            return told;
        }
        assert_ne!(told.number, u64::from(MONITOR_STOPPED), "no event {number:#x}");
    }
}

fn version_2_tells_both_ends() {
    for (endpoint, prefix) in [("tcp://127.0.0.1:*", "tcp://127.0.0.1:"), ("ipc://*", "ipc://")] {
        let context = Context::new();
        let (server, client) = (context.socket(REP), context.socket(REQ));
        let at_server = monitor_2(&context, &server, "inproc://server", (PAIR, PAIR));
        let at_client = monitor_2(&context, &client, "inproc://client", (PAIR, PAIR));
        server.bind(endpoint);
        let bound = server.last_endpoint();
        let ends = |told: &Told| (told.local.clone(), told.remote.clone());
        let listening = told_until(&at_server, LISTENING);
        assert_eq!((ends(&listening), listening.values.len()), ((bound.clone(), String::new()), 1));
        client.connect(&bound);
        let (local, remote) = ends(&told_until(&at_client, CONNECTED));
        assert_eq!(remote, bound);
        assert!(local.starts_with(prefix) && local != bound, "{local}");
        assert_eq!(ends(&told_until(&at_client, HANDSHAKE_SUCCEEDED)), (local.clone(), bound.clone()));
        assert_eq!(ends(&told_until(&at_server, ACCEPTED)), (bound.clone(), local.clone()));
        assert_eq!(ends(&told_until(&at_server, HANDSHAKE_SUCCEEDED)), (bound.clone(), local));
        drop(server);
        assert_eq!(ends(&told_until(&at_server, CLOSED)), (bound, String::new()));
        assert_eq!(ends(&told_until(&at_server, MONITOR_STOPPED)), (String::new(), String::new()));
    }
}

fn version_2_goes_over_pairs_publishers_and_pushers() {
    for types in [(PAIR, PAIR), (PUB, SUB), (PUSH, PULL)] {
        let context = Context::new();
        let server = context.socket(REP);
        let events = monitor_2(&context, &server, "inproc://events", types);
        // A publisher learns of its subscriber in its own time.
        events.set(RCVTIMEO, 10);
        let mut first = [0; 8];
        loop {
            server.bind("tcp://127.0.0.1:*");
            let size = zmq!(zmq_recv(events.0, first.as_mut_ptr().cast(), first.len(), 0));
            if size >= 0 {
                assert_eq!((size, u64::from_ne_bytes(first)), (8, u64::from(LISTENING)));
                break;
            }
        }
    }
}

fn a_closed_socket_tells_of_its_listener_and_of_the_end() {
    let context = Context::new();
    let server = context.socket(REP);
    let events = monitor(&context, &server, "inproc://close", ALL);
    server.bind("tcp://127.0.0.1:*");
    let bound = server.last_endpoint();
    let (number, fd, endpoint) = event(&events);
    assert_eq!((number, endpoint), (LISTENING, bound.clone()));
    drop(server);
    assert_eq!(event(&events), (CLOSED, fd, bound));
    assert_eq!(event(&events).0, MONITOR_STOPPED);
}

fn versions_and_types_that_a_monitor_cannot_have_are_refused() {
    let context = Context::new();
    let server = context.socket(REP);
    let start = |events, version, socket_type| {
        zmq!(zmq_socket_monitor_versioned(server.0, c"inproc://x".as_ptr(), events, version, socket_type))
    };
    assert_fails(start(PIPES_STATS, 1, PAIR), -1, EINVAL);
    assert_fails(start(u64::MAX, 1, PAIR), -1, EINVAL);
    for socket_type in [REQ, REP, DEALER, ROUTER, SUB, PULL, -1, 99] {
        assert_fails(start(ALL_V2, 2, socket_type), -1, EINVAL);
    }
    // libzmq takes it, and tells nothing.
    if !is_libzmq() {
        assert_fails(start(ALL_V2, 3, PAIR), -1, EINVAL);
    }
    assert_fails(
        zmq!(zmq_socket_monitor_versioned(server.0, c"tcp://127.0.0.1:*".as_ptr(), ALL_V2, 2, PAIR)),
        -1,
        EPROTONOSUPPORT,
    );
    // Without the event of its end, which libzmq would wait to tell.
    assert_done(start(PIPES_STATS, 2, PUSH));
    assert_done(zmq!(zmq_socket_monitor_versioned(server.0, ptr::null(), 0, 2, PAIR)));
    assert_fails(zmq!(zmq_socket_monitor_pipes_stats(server.0)), -1, EINVAL);
}

fn the_state_of_pipes_is_told_on_request() {
    let context = Context::new();
    let (push, pull) = (context.socket(PUSH), context.socket(PULL));
    assert_fails(zmq!(zmq_socket_monitor_pipes_stats(ptr::null_mut())), -1, ENOTSOCK);
    assert_fails(zmq!(zmq_socket_monitor_pipes_stats(push.0)), -1, EINVAL);
    let pushes = monitor_2(&context, &push, "inproc://pushes", (PAIR, PAIR));
    let pulls = monitor_2(&context, &pull, "inproc://pulls", (PAIR, PAIR));
    assert_fails(zmq!(zmq_socket_monitor_pipes_stats(push.0)), -1, EAGAIN);
    // Nobody listens there yet: what is sent stays.
    let endpoint = format!("ipc://@zlink-test-pipes-{}", std::process::id());
    push.connect(&endpoint);
    for _ in 0..3 {
        push.send(b"x", 0);
    }
    let ask = |socket: &Socket, events: &Socket| {
        assert_done(zmq!(zmq_socket_monitor_pipes_stats(socket.0)));
        // libzmq answers when the socket is next used.
        loop {
            socket.get(EVENTS);
            let mut item = [Item { socket: events.0, fd: -1, events: 1, revents: 0 }];
            if zmq!(zmq_poll(item.as_mut_ptr(), 1, 1)) == 1 {
                let told = told(events);
                if told.number == PIPES_STATS {
                    return told;
                }
            }
        }
    };
    let told = ask(&push, &pushes);
    assert_eq!((told.values, told.local.as_str()), (vec![3, 0], ""));
    assert_eq!(told.remote, endpoint);
    pull.bind(&endpoint);
    while pull.get(EVENTS) & 1 == 0 {}
    // The messages are on their way, and then wait to be received.
    loop {
        let told = ask(&pull, &pulls);
        assert_eq!(told.local, endpoint);
        assert_eq!(told.values[0], 0);
        if told.values[1] == 3 {
            break;
        }
    }
}

fn what_a_socket_ends_itself_is_no_event() {
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*"] {
        let context = Context::new();
        let (server, client) = (context.socket(REP), context.socket(REQ));
        let events = CONNECTED | HANDSHAKE_SUCCEEDED | DISCONNECTED | CLOSED;
        let at_client = monitor(&context, &client, "inproc://client", events.into());
        let at_server = monitor(&context, &server, "inproc://server", DISCONNECTED.into());
        server.bind(endpoint);
        let bound = CString::new(server.last_endpoint()).unwrap();
        for _ in 0..3 {
            client.connect(bound.to_str().unwrap());
            assert_eq!(event(&at_client).0, CONNECTED);
            assert_eq!(event(&at_client).0, HANDSHAKE_SUCCEEDED);
            assert_done(zmq!(zmq_disconnect(client.0, bound.as_ptr())));
            // libzmq goes on with it when the socket is next used.
            let mut item = [Item { socket: at_server.0, fd: -1, events: 1, revents: 0 }];
            while zmq!(zmq_poll(item.as_mut_ptr(), 1, 1)) == 0 {
                client.get(EVENTS);
            }
            assert_eq!(event(&at_server).0, DISCONNECTED);
        }
    }
}

fn a_bind_that_fails_is_told_with_its_address() {
    let context = Context::new();
    let (first, second) = (context.socket(REP), context.socket(REP));
    first.bind("tcp://127.0.0.1:*");
    let used = first.last_endpoint();
    let events = monitor(&context, &second, "inproc://events", (CLOSED | BIND_FAILED).into());
    let endpoint = CString::new(used.as_str()).unwrap();
    assert_fails(zmq!(zmq_bind(second.0, endpoint.as_ptr())), -1, EADDRINUSE);
    if is_libzmq() {
        let (number, _, endpoint) = event(&events);
        assert_eq!((number, endpoint.as_str()), (CLOSED, ""));
    }
    let address = used.strip_prefix("tcp://").unwrap().to_owned();
    assert_eq!(event(&events), (BIND_FAILED, EADDRINUSE as u32, address));
}

fn a_connect_that_fails_at_once_is_told() {
    let context = Context::new();
    let client = context.socket(REQ);
    client.set(RECONNECT_IVL, 1);
    let events = monitor(&context, &client, "inproc://events", (CLOSED | CONNECT_RETRIED).into());
    let endpoint = format!("ipc://@zlink-test-nobody-{}", std::process::id());
    client.connect(&endpoint);
    for _ in 0..3 {
        for number in [CLOSED, CONNECT_RETRIED] {
            let (told, _, told_endpoint) = event(&events);
            assert_eq!((told, &told_endpoint), (number, &endpoint));
        }
    }
}
