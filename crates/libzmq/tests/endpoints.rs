//! `zmq_bind` and `zmq_connect`, and what ends what they have begun.

use std::ffi::CString;

use common::api::*;

mod common;

with_each_library! {
    unbind_and_disconnect_end_whatever_has_the_name,
    a_disconnect_ends_all_connects_to_the_endpoint,
    of_a_name_in_the_process_the_bind_ends_first,
    what_is_not_there_is_told_whatever_it_looks_like,
}

fn unbind(socket: &Socket, endpoint: &str) -> i32 {
    let endpoint = CString::new(endpoint).unwrap();
    zmq!(zmq_unbind(socket.0, endpoint.as_ptr()))
}

fn disconnect(socket: &Socket, endpoint: &str) -> i32 {
    let endpoint = CString::new(endpoint).unwrap();
    zmq!(zmq_disconnect(socket.0, endpoint.as_ptr()))
}

fn unbind_and_disconnect_end_whatever_has_the_name() {
    let context = Context::new();
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*", "ws://127.0.0.1:*/path", "inproc://name"] {
        let (server, client) = (context.socket(PULL), context.socket(PUSH));
        server.bind(endpoint);
        let bound = server.last_endpoint();
        client.connect(&bound);
        // An in-process connect ends by either; the others have their names in common.
        assert_done(unbind(&client, &bound));
        assert_fails(disconnect(&client, &bound), -1, ENOENT);
        assert_done(disconnect(&server, &bound));
        assert_fails(unbind(&server, &bound), -1, ENOENT);
    }
}

fn a_disconnect_ends_all_connects_to_the_endpoint() {
    let context = Context::new();
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*", "inproc://several"] {
        let (server, client) = (context.socket(PULL), context.socket(PUSH));
        server.bind(endpoint);
        let bound = server.last_endpoint();
        for _ in 0..3 {
            client.connect(&bound);
        }
        assert_done(disconnect(&client, &bound));
        assert_fails(disconnect(&client, &bound), -1, ENOENT);
        assert_fails(zmq!(zmq_send(client.0, b"x".as_ptr().cast(), 1, DONTWAIT)), -1, EAGAIN);
    }
}

fn of_a_name_in_the_process_the_bind_ends_first() {
    let context = Context::new();
    let socket = context.socket(DEALER);
    socket.bind("inproc://self");
    socket.connect("inproc://self");
    assert_done(disconnect(&socket, "inproc://self"));
    // It is free again.
    context.socket(DEALER).bind("inproc://self");
    assert_done(unbind(&socket, "inproc://self"));
    assert_fails(unbind(&socket, "inproc://self"), -1, ENOENT);
}

fn what_is_not_there_is_told_whatever_it_looks_like() {
    let context = Context::new();
    let socket = context.socket(PULL);
    let long = format!("ipc:///{}", "x".repeat(200));
    for (endpoint, number) in [
        ("", EINVAL),
        ("tcp", EINVAL),
        ("tcp://", EINVAL),
        ("://x", EINVAL),
        ("nothing://x", EPROTONOSUPPORT),
        ("udp://127.0.0.1:5555", ENOCOMPATPROTO),
        ("tcp://127.0.0.1:5555", ENOENT),
        ("tcp://127.0.0.1", ENOENT),
        ("tcp://127.0.0.1:99999", ENOENT),
        ("tcp://*:*", ENOENT),
        ("ws://x", ENOENT),
        ("ipc://x", ENOENT),
        ("inproc://x", ENOENT),
        (&long, ENOENT),
    ] {
        assert_fails(unbind(&socket, endpoint), -1, number);
        assert_fails(disconnect(&socket, endpoint), -1, number);
    }
}
