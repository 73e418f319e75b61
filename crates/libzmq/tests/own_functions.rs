//! Functions that libzmq 4.3.5 does not have: `zmq_disconnect_peer` of its later sources, and those of `zlink.h`.

use std::ffi::{c_int, c_void};
use std::ptr;

use common::api::*;

mod common;

type DisconnectPeer = unsafe extern "C" fn(Handle, u32) -> c_int;
type SocketStats = unsafe extern "C" fn(Handle, *mut c_void, usize) -> c_int;
type PeerStats = unsafe extern "C" fn(Handle, *mut c_void, usize, *mut usize) -> c_int;

/// `zlink_peer_stats_t` as a program knows it that knows the first `N` counters.
#[repr(C)]
#[derive(Clone, Copy)]
struct Peer<const N: usize> {
    local: [u8; 256],
    remote: [u8; 256],
    queued: [u64; 2],
    counters: [u64; N],
}

impl<const N: usize> Peer<N> {
    const UNKNOWN: Self = Peer { local: [7; 256], remote: [7; 256], queued: [7; 2], counters: [7; N] };

    fn names(&self) -> [&str; 2] {
        let name = |bytes| std::ffi::CStr::from_bytes_until_nul(bytes).expect("a zero").to_str();
        [&self.local, &self.remote].map(|bytes| name(bytes).expect("an endpoint is text"))
    }
}

/// The counters of `zlink_socket_stats_t`.
const COUNTERS: usize = 22;
const RECONNECTS: usize = 12;
const READS: [usize; 2] = [5, 6];
const WRITES: [usize; 3] = [0, 1, 2];
const MESSAGES_WRITTEN: usize = 15;
const BYTES_WRITTEN: usize = 16;
const MESSAGES_READ: usize = 17;
const BYTES_READ: usize = 18;

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

fn peer_stats<const N: usize>(socket: Handle, peers: &mut [Peer<N>], count: &mut usize) -> c_int {
    assert!(*count <= peers.len());
    // SAFETY: the type is the header's; the memory is as large as is said.
    unsafe {
        own_function::<PeerStats>("zlink_peer_stats")(
            socket,
            peers.as_mut_ptr().cast(),
            size_of::<Peer<N>>(),
            count,
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
    assert_eq!((received[MESSAGES_READ], received[BYTES_READ]), (1, 3));
    // Counted when it is written, which its receiver may see first.
    while sent[MESSAGES_WRITTEN] == 0 {
        assert_done(stats(push.0, &mut sent));
    }
    assert_eq!((sent[MESSAGES_WRITTEN], sent[BYTES_WRITTEN]), (1, 3));
}

/// A PULL that has received 1 and 2 messages from two peers.
fn pull_of_two(context: &Context) -> (Socket, [Socket; 2]) {
    let pull = context.socket(PULL);
    pull.bind("tcp://127.0.0.1:*");
    let pushes = [1, 2].map(|messages| {
        let push = context.socket(PUSH);
        push.connect(&pull.last_endpoint());
        (0..messages).for_each(|_| push.send(b"x", 0));
        (0..messages).for_each(|_| drop(pull.recv()));
        push
    });
    (pull, pushes)
}

#[test]
fn the_counters_of_each_peer_are_told() {
    let context = Context::new();
    let (pull, pushes) = pull_of_two(&context);
    let mut peers = [Peer::<COUNTERS>::UNKNOWN; 3];
    let mut count = 3;
    assert_done(peer_stats(pull.0, &mut peers, &mut count));
    assert_eq!(count, 2);
    peers[..2].sort_by_key(|peer| peer.counters[MESSAGES_READ]);
    for (messages, peer) in (1..).zip(&peers[..2]) {
        assert_eq!(peer.names()[0], pull.last_endpoint());
        assert!(peer.names()[1].starts_with("tcp://127.0.0.1:"));
        assert_eq!((peer.queued, peer.counters[BYTES_READ]), ([0, 0], 3 * messages));
    }
    assert_eq!((peers[2].local, peers[2].counters), ([7; 256], [7; COUNTERS]));

    let mut peer = [Peer::<COUNTERS>::UNKNOWN];
    assert_done(peer_stats(pushes[1].0, &mut peer, &mut 1));
    assert_eq!(peer[0].names()[1], pull.last_endpoint());
}

#[test]
fn programs_get_as_much_of_the_peers_as_they_have_room_for() {
    let context = Context::new();
    let (pull, _pushes) = pull_of_two(&context);
    let mut count = 0;
    // SAFETY: the type is the header's, and nothing is written without room.
    let function = unsafe { own_function::<PeerStats>("zlink_peer_stats") };
    // SAFETY: as above; `count` is a number.
    assert_done(unsafe { function(pull.0, ptr::null_mut(), size_of::<Peer<3>>(), &mut count) });
    assert_eq!(count, 2);

    let mut all = [Peer::<COUNTERS>::UNKNOWN; 2];
    assert_done(peer_stats(pull.0, &mut all, &mut count));
    let mut older = [Peer::<3>::UNKNOWN; 2];
    count = 1;
    assert_done(peer_stats(pull.0, &mut older, &mut count));
    assert_eq!((count, &older[0].counters[..]), (2, &all[0].counters[..3]));
    assert_eq!(older[1].counters, [7; 3], "there was room for one");
    let mut newer = [Peer::<{ COUNTERS + 5 }>::UNKNOWN; 2];
    assert_done(peer_stats(pull.0, &mut newer, &mut count));
    assert_eq!(newer[1].counters[..COUNTERS], all[1].counters);
    assert_eq!(newer[1].counters[COUNTERS..], [0; 5]);
}

#[test]
fn peers_of_what_is_no_socket_or_without_a_place_are_refused() {
    let context = Context::new();
    let (pull, _pushes) = pull_of_two(&context);
    // SAFETY: the type is the header's.
    let function = unsafe { own_function::<PeerStats>("zlink_peer_stats") };
    let mut place = [Peer::<COUNTERS>::UNKNOWN];
    let peers = place.as_mut_ptr().cast::<c_void>();
    let size = size_of_val(&place);
    // SAFETY: nothing is written for a wrong size, number or socket.
    unsafe {
        assert_fails(function(pull.0, peers, size, ptr::null_mut()), -1, EFAULT);
        assert_fails(function(pull.0, ptr::null_mut(), size, &mut 1), -1, EFAULT);
        for size in [0, 1, 8, 512, size - 1] {
            assert_fails(function(pull.0, peers, size, &mut 1), -1, EINVAL);
        }
        assert_fails(function(pull.0, peers, size, &mut usize::MAX.clone()), -1, EINVAL);
        for wrong in [ptr::null_mut(), context.0] {
            assert_fails(function(wrong, peers, size, &mut 1), -1, ENOTSOCK);
        }
    }
    assert_eq!(place[0].counters, [7; COUNTERS]);
}

#[test]
fn a_monitor_is_told_the_counters_of_each_peer_on_request() {
    const PEER_STATS: u64 = 0x4_0000;
    let context = Context::new();
    let (pull, _pushes) = pull_of_two(&context);
    let endpoint = c"inproc://peers-of-the-pull";
    assert_done(zmq!(zmq_socket_monitor_versioned(pull.0, endpoint.as_ptr(), PEER_STATS, 2, PAIR)));
    let monitor = context.socket(PAIR);
    monitor.connect(endpoint.to_str().expect("text"));
    assert_done(zmq!(zmq_socket_monitor_pipes_stats(pull.0)));
    let mut peers = [Peer::<COUNTERS>::UNKNOWN; 2];
    assert_done(peer_stats(pull.0, &mut peers, &mut 2));
    for peer in &peers {
        let number = || u64::from_ne_bytes(monitor.recv().try_into().expect("eight bytes"));
        assert_eq!((number(), number()), (PEER_STATS, 2 + COUNTERS as u64));
        assert_eq!([number(), number()], peer.queued);
        assert_eq!([(); COUNTERS].map(|()| number()), peer.counters);
        assert_eq!(peer.names().map(str::as_bytes), [monitor.recv(), monitor.recv()]);
    }
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
