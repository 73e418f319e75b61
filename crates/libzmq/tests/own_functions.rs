//! Functions that libzmq 4.3.5 does not have: `zmq_disconnect_peer` of its later sources, and those of `zlink.h`.

use std::ffi::{c_int, c_void};
use std::ptr;

use common::api::*;

mod common;

type DisconnectPeer = unsafe extern "C" fn(Handle, u32) -> c_int;
type SocketStats = unsafe extern "C" fn(Handle, *mut c_void, usize) -> c_int;

/// The counters of `zlink_socket_stats_t`.
const COUNTERS: usize = 13;
const RECONNECTS: usize = 12;
const READS: [usize; 2] = [5, 6];
const WRITES: [usize; 3] = [0, 1, 2];

fn disconnect_peer(socket: Handle, id: u32) -> c_int {
    // SAFETY: the type is the header's, and the function takes any handle and number.
    unsafe { own_function::<DisconnectPeer>("zmq_disconnect_peer")(socket, id) }
}

fn stats(socket: Handle, counters: &mut [u64]) -> c_int {
    // SAFETY: the type is the header's; the memory is as large as is said.
    unsafe {
        own_function::<SocketStats>("zlink_socket_stats")(
            socket,
            counters.as_mut_ptr().cast(),
            size_of_val(counters),
        )
    }
}

fn message_to(id: u32, text: &str) -> Msg {
    let mut message = Msg::none();
    assert_done(zmq!(zmq_msg_init_buffer(&mut message, text.as_ptr().cast(), text.len())));
    if id != 0 {
        assert_done(zmq!(zmq_msg_set_routing_id(&mut message, id)));
    }
    message
}

fn send_to(socket: &Socket, id: u32, text: &str) -> c_int {
    let mut message = message_to(id, text);
    let sent = zmq!(zmq_msg_send(&mut message, socket.0, 0));
    let error = errno();
    zmq!(zmq_msg_close(&mut message));
    // SAFETY: the thread's own errno.
    unsafe { *libc::__errno_location() = error };
    sent
}

/// What comes next, and the number it comes from.
fn hear(socket: &Socket) -> (String, u32) {
    let mut message = message_to(0, "");
    let size = zmq!(zmq_msg_recv(&mut message, socket.0, 0));
    assert!(size >= 0, "errno {}", errno());
    let data = zmq!(zmq_msg_data(&mut message)).cast::<u8>();
    // SAFETY: the body of a live message.
    let text = unsafe { std::slice::from_raw_parts(data, size as usize) }.to_vec();
    let id = zmq!(zmq_msg_routing_id(&mut message));
    assert_done(zmq!(zmq_msg_close(&mut message)));
    (String::from_utf8(text).expect("text"), id)
}

#[test]
fn a_disconnected_peer_is_unreachable_and_others_are_not() {
    let context = Context::new();
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*", "inproc://peers"] {
        let server = context.socket(SERVER);
        server.bind(endpoint);
        let clients = [context.socket(CLIENT), context.socket(CLIENT)];
        let ids = clients.each_ref().map(|client| {
            client.connect(&server.last_endpoint());
            client.send(b"hello", 0);
            hear(&server).1
        });
        assert_done(disconnect_peer(server.0, ids[0]));
        assert_fails(send_to(&server, ids[0], "x"), -1, EHOSTUNREACH);
        assert_fails(disconnect_peer(server.0, ids[0]), -1, EHOSTUNREACH);
        assert_eq!(send_to(&server, ids[1], "still here"), 10);
        assert_eq!(clients[1].recv(), b"still here");
    }
}

#[test]
fn a_peer_that_was_connected_to_is_connected_no_more() {
    let context = Context::new();
    for endpoint in ["tcp://127.0.0.1:*", "inproc://connected"] {
        let (bound, connected) = (context.socket(PEER), context.socket(PEER));
        bound.bind(endpoint);
        let address = std::ffi::CString::new(bound.last_endpoint()).expect("no zero");
        let id = zmq!(zmq_connect_peer(connected.0, address.as_ptr()));
        assert_eq!(send_to(&connected, id, "hello"), 5);
        assert_eq!(hear(&bound).0, "hello");
        assert_done(disconnect_peer(connected.0, id));
        assert_fails(send_to(&connected, id, "x"), -1, EHOSTUNREACH);
        assert_fails(zmq!(zmq_disconnect(connected.0, address.as_ptr())), -1, ENOENT);
        let again = zmq!(zmq_connect_peer(connected.0, address.as_ptr()));
        assert!(again != 0 && again != id);
        assert_eq!(send_to(&connected, again, "hello again"), 11);
        assert_eq!(hear(&bound).0, "hello again");
    }
}

#[test]
fn only_servers_and_peers_disconnect_a_peer() {
    let context = Context::new();
    for (socket_type, number) in
        [(SERVER, EHOSTUNREACH), (PEER, EHOSTUNREACH), (ROUTER, ENOTSUP), (CLIENT, ENOTSUP)]
    {
        assert_fails(disconnect_peer(context.socket(socket_type).0, 1), -1, number);
    }
    let mut memory = [0u64; 64];
    for wrong in [ptr::null_mut(), context.0, memory.as_mut_ptr().cast()] {
        assert_fails(disconnect_peer(wrong, 1), -1, ENOTSOCK);
    }
}

#[test]
fn the_counters_of_a_socket_count() {
    let context = Context::new();
    let (pull, push) = context.pair(PULL, PUSH, "tcp://127.0.0.1:*");
    push.send(b"x", 0);
    pull.recv();
    let (mut sent, mut received) = ([99; COUNTERS], [99; COUNTERS]);
    assert_done(stats(pull.0, &mut received));
    assert_done(stats(push.0, &mut sent));
    assert_eq!(WRITES.iter().map(|&at| sent[at]).sum::<u64>(), 1, "{sent:?}");
    assert!(READS.iter().map(|&at| received[at]).sum::<u64>() > 0);
    assert_eq!((sent[RECONNECTS], received[RECONNECTS]), (0, 0));
}

#[test]
fn programs_of_other_versions_get_the_counters_they_know() {
    let context = Context::new();
    let (pull, push) = context.pair(PULL, PUSH, "tcp://127.0.0.1:*");
    push.send(b"x", 0);
    pull.recv();
    let (mut all, mut first, mut more) = ([0; COUNTERS], [7; 3], [7; COUNTERS + 5]);
    assert_done(stats(pull.0, &mut all));
    assert_done(stats(pull.0, &mut first));
    assert_done(stats(pull.0, &mut more));
    assert_eq!((&first[..], &more[COUNTERS..]), (&all[..3], &[0; 5][..]));
}

#[test]
fn counters_of_what_is_no_socket_or_without_a_place_are_refused() {
    let context = Context::new();
    let socket = context.socket(PAIR);
    for wrong in [ptr::null_mut(), context.0] {
        assert_fails(stats(wrong, &mut [0; COUNTERS]), -1, ENOTSOCK);
    }
    // SAFETY: the type is the header's.
    let function = unsafe { own_function::<SocketStats>("zlink_socket_stats") };
    let mut place = [0u64; COUNTERS];
    // SAFETY: nothing is written without a place, or for a wrong size, that is no larger than it.
    unsafe {
        assert_fails(function(socket.0, ptr::null_mut(), 8), -1, EFAULT);
        for size in [0, 1, 7, 9] {
            assert_fails(function(socket.0, place.as_mut_ptr().cast(), size), -1, EINVAL);
        }
    }
    let closed = socket.into_handle();
    assert_done(zmq!(zmq_close(closed)));
    assert_fails(stats(closed, &mut place), -1, ENOTSOCK);
}
