//! `ZMQ_TCP_ACCEPT_FILTER` and `ZMQ_IPC_FILTER_…`: whom listeners take connections from.

use std::ffi::{CString, c_int};
use std::ptr;

use common::api::*;
use common::each::is_libzmq;

mod common;

with_each_library! {
    networks_let_in_who_is_in_one_of_them,
    ids_let_in_who_has_one_of_them,
    filters_hold_for_endpoints_bound_later_and_one_transport,
    who_is_turned_away_is_told_to_the_monitor,
    no_value_takes_all_back_and_an_empty_one_is_refused,
    networks_of_ipv4_hold_on_ipv6_sockets,
}

const IPV6: c_int = 42;
const TCP_ACCEPT_FILTER: c_int = 38;
const IPC_FILTER_PID: c_int = 58;
const IPC_FILTER_UID: c_int = 59;
const IPC_FILTER_GID: c_int = 60;
const RECONNECT_IVL: c_int = 18;
const EVENT_ACCEPTED: u16 = 0x20;
const EVENT_ACCEPT_FAILED: u16 = 0x40;

fn set(socket: &Socket, option: c_int, value: &[u8]) {
    assert_done(zmq!(zmq_setsockopt(socket.0, option, value.as_ptr().cast(), value.len())));
}

fn clear(socket: &Socket, option: c_int) {
    assert_done(zmq!(zmq_setsockopt(socket.0, option, ptr::null(), 0)));
}

/// Whether `socket`, once bound, takes a connection, by its monitor.
fn lets_in(context: &Context, socket: &Socket, endpoint: &str) -> bool {
    // A name of its own: libzmq frees one in its own time.
    let name = format!("inproc://monitor-{:p}", socket.0);
    let (address, mask) = (CString::new(&*name).expect("no zero"), EVENT_ACCEPTED | EVENT_ACCEPT_FAILED);
    assert_done(zmq!(zmq_socket_monitor(socket.0, address.as_ptr(), mask.into())));
    let monitor = context.socket(PAIR);
    monitor.connect(&name);
    socket.bind(endpoint);
    let client = context.socket(PAIR);
    client.set(RECONNECT_IVL, -1);
    client.set(IPV6, 1);
    client.connect(&socket.last_endpoint());
    let event = monitor.recv();
    monitor.recv();
    let let_in = u16::from_ne_bytes([event[0], event[1]]) == EVENT_ACCEPTED;
    if let_in {
        client.send(b"hello", 0);
        assert_eq!(socket.recv(), b"hello");
    }
    assert_done(zmq!(zmq_socket_monitor(socket.0, ptr::null(), 0)));
    let_in
}

fn networks_let_in_who_is_in_one_of_them() {
    for (networks, let_in) in [
        (&["127.0.0.1/32"][..], true),
        (&["0.0.0.0/0"], true),
        (&["127.0.0.1"], true),
        (&["127.0.0.255/32"], false),
        (&["10.0.0.0/8"], false),
        (&["10.0.0.0/8", "192.168.1.1", "127.0.0.0/8"], true),
        (&[], true),
    ] {
        let context = Context::new();
        let socket = context.socket(PAIR);
        for network in networks {
            set(&socket, TCP_ACCEPT_FILTER, network.as_bytes());
        }
        assert_eq!(lets_in(&context, &socket, "tcp://127.0.0.1:*"), let_in, "{networks:?}");
    }
}

fn ids_let_in_who_has_one_of_them() {
    // SAFETY: these ask for numbers.
    let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
    let pid = std::process::id();
    for (option, id, let_in) in [
        (IPC_FILTER_UID, uid, true),
        (IPC_FILTER_UID, uid + 1, false),
        (IPC_FILTER_GID, gid, true),
        (IPC_FILTER_GID, gid + 4_000_000, false),
        (IPC_FILTER_PID, pid, true),
        (IPC_FILTER_PID, pid + 1, false),
    ] {
        let context = Context::new();
        let socket = context.socket(PAIR);
        set(&socket, option, &id.to_ne_bytes());
        assert_eq!(lets_in(&context, &socket, "ipc://*"), let_in, "option {option}: {id}");
        // One of several kinds is enough.
        let context = Context::new();
        let socket = context.socket(PAIR);
        set(&socket, option, &id.to_ne_bytes());
        set(&socket, IPC_FILTER_UID, &uid.to_ne_bytes());
        assert!(lets_in(&context, &socket, "ipc://*"));
    }
}

fn filters_hold_for_endpoints_bound_later_and_one_transport() {
    let context = Context::new();
    let socket = context.socket(PULL);
    socket.bind("tcp://127.0.0.1:*");
    let before = socket.last_endpoint();
    set(&socket, TCP_ACCEPT_FILTER, b"10.0.0.0/8");
    socket.bind("ipc://*");
    for endpoint in [before, socket.last_endpoint()] {
        let push = context.socket(PUSH);
        push.connect(&endpoint);
        push.send(b"x", 0);
        assert_eq!(socket.recv(), b"x");
    }
}

fn who_is_turned_away_is_told_to_the_monitor() {
    let context = Context::new();
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*"] {
        let socket = context.socket(PAIR);
        set(&socket, TCP_ACCEPT_FILTER, b"10.0.0.0/8");
        set(&socket, IPC_FILTER_PID, &1u32.to_ne_bytes());
        assert!(!lets_in(&context, &socket, endpoint));
    }
}

fn no_value_takes_all_back_and_an_empty_one_is_refused() {
    let context = Context::new();
    let socket = context.socket(PAIR);
    for network in ["127.0.0.255/32", "10.0.0.1"] {
        set(&socket, TCP_ACCEPT_FILTER, network.as_bytes());
    }
    set(&socket, IPC_FILTER_UID, &123_456u32.to_ne_bytes());
    for option in [TCP_ACCEPT_FILTER, IPC_FILTER_PID, IPC_FILTER_UID, IPC_FILTER_GID] {
        assert_fails(zmq!(zmq_setsockopt(socket.0, option, c"".as_ptr().cast(), 0)), -1, EINVAL);
        clear(&socket, option);
    }
    assert!(lets_in(&context, &socket, "tcp://127.0.0.1:*"));
    let context = Context::new();
    let other = context.socket(PAIR);
    set(&other, IPC_FILTER_UID, &123_456u32.to_ne_bytes());
    clear(&other, IPC_FILTER_UID);
    assert!(lets_in(&context, &other, "ipc://*"));
}

fn networks_of_ipv4_hold_on_ipv6_sockets() {
    for (network, let_in) in [(&b"127.0.0.1/32"[..], true), (b"10.0.0.1/32", false)] {
        let context = Context::new();
        let socket = context.socket(PAIR);
        socket.set(IPV6, 1);
        set(&socket, TCP_ACCEPT_FILTER, network);
        // libzmq compares the first 32 bits of the mapped address, in which all of IPv4 is alike.
        assert_eq!(lets_in(&context, &socket, "tcp://127.0.0.1:*"), let_in || is_libzmq());
    }
}
