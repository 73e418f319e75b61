//! What `zmq_msg_get`, `zmq_msg_gets` and `zmq_msg_set_…` tell and take, by libzmq as by us.

use std::ffi::{CStr, CString, c_int};
use std::io::Write;
use std::ptr;

use common::api::*;
use common::connection::{SRCFD, greeted, received};

mod common;

with_each_library! {
    constant_bodies_and_copies_of_large_ones_are_shared,
    small_and_single_bodies_are_not_shared,
    the_source_of_a_message_is_its_connections_descriptor,
    messages_from_the_same_process_have_no_source,
    a_peer_cannot_claim_what_the_library_knows,
    the_rest_of_a_long_group_name_is_cut,
    a_routing_id_of_0_is_refused,
}

const MORE: c_int = 1;
const SHARED: c_int = 3;

fn empty() -> Msg {
    let mut message = Msg::none();
    assert_done(zmq!(zmq_msg_init(&mut message)));
    message
}

fn of_size(size: usize) -> Msg {
    let mut message = Msg::none();
    assert_done(zmq!(zmq_msg_init_size(&mut message, size)));
    message
}

fn close(mut message: Msg) {
    assert_done(zmq!(zmq_msg_close(&mut message)));
}

fn property(message: &Msg, name: &CStr) -> String {
    text(zmq!(zmq_msg_gets(message, name.as_ptr())))
}

fn constant_bodies_and_copies_of_large_ones_are_shared() {
    static BODY: [u8; 5] = *b"TEST\0";
    let mut constant = Msg::none();
    let data = BODY.as_ptr().cast_mut().cast();
    assert_done(zmq!(zmq_msg_init_data(&mut constant, data, BODY.len(), None, ptr::null_mut())));
    assert_eq!(zmq!(zmq_msg_get(&constant, SHARED)), 1);
    let (mut large, mut copy) = (of_size(1024), empty());
    assert_eq!(zmq!(zmq_msg_get(&large, SHARED)), 0);
    assert_done(zmq!(zmq_msg_copy(&mut copy, &mut large)));
    assert_eq!((zmq!(zmq_msg_get(&large, SHARED)), zmq!(zmq_msg_get(&copy, SHARED))), (1, 1));
    assert_done(zmq!(zmq_msg_copy(&mut copy, &mut constant)));
    assert_eq!(zmq!(zmq_msg_get(&copy, SHARED)), 1);
    for message in [constant, large, copy] {
        close(message);
    }
}

fn small_and_single_bodies_are_not_shared() {
    let (mut small, mut copy) = (of_size(20), empty());
    assert_done(zmq!(zmq_msg_copy(&mut copy, &mut small)));
    let large = of_size(1 << 20);
    for message in [small, copy, large] {
        assert_eq!((zmq!(zmq_msg_get(&message, SHARED)), zmq!(zmq_msg_get(&message, MORE))), (0, 0));
        close(message);
    }
}

fn the_source_of_a_message_is_its_connections_descriptor() {
    let context = Context::new();
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*"] {
        let (pull, push) = context.pair(PULL, PUSH, endpoint);
        push.send(b"x", 0);
        let message = received(&pull);
        let fd = zmq!(zmq_msg_get(&message, SRCFD));
        assert_eq!(property(&message, c"__fd"), fd.to_string());
        // SAFETY: no byte of an address is written; the descriptor is the library's and stays so.
        let connected = unsafe { libc::getpeername(fd, ptr::null_mut(), &mut 0) };
        assert_eq!(connected, 0, "{}", std::io::Error::last_os_error());
        close(message);
    }
}

fn messages_from_the_same_process_have_no_source() {
    let context = Context::new();
    let (pull, push) = context.pair(PULL, PUSH, "inproc://source");
    push.send(b"x", 0);
    for message in [received(&pull), empty()] {
        assert_fails(zmq!(zmq_msg_get(&message, SRCFD)), -1, EINVAL);
        close(message);
    }
}

/// A READY command of a PUSH socket that has more to say than it should.
fn lying_ready() -> Vec<u8> {
    let mut body = b"\x05READY".to_vec();
    for (name, value) in
        [("Socket-Type", "PUSH"), ("__fd", "12345"), ("Peer-Address", "10.0.0.1"), ("X-own", "y")]
    {
        body.push(name.len() as u8);
        body.extend(name.as_bytes());
        body.extend((value.len() as u32).to_be_bytes());
        body.extend(value.as_bytes());
    }
    [&[4, body.len() as u8], &body[..]].concat()
}

fn a_peer_cannot_claim_what_the_library_knows() {
    let context = Context::new();
    let pull = context.socket(PULL);
    pull.bind("tcp://127.0.0.1:*");
    let mut peer = greeted(&pull);
    peer.write_all(&lying_ready()).expect("it reads");
    peer.write_all(b"\0\x01x").expect("it reads");
    let message = received(&pull);
    assert_ne!(zmq!(zmq_msg_get(&message, SRCFD)), 12345);
    assert_eq!(property(&message, c"Peer-Address"), "127.0.0.1");
    assert_eq!(property(&message, c"X-own"), "y");
    close(message);
}

fn the_rest_of_a_long_group_name_is_cut() {
    for len in [0, 1, 14, 15, 255, 256, 1000] {
        let (mut message, name) = (empty(), "g".repeat(len));
        let group = CString::new(name.as_str()).expect("no zero");
        assert_done(zmq!(zmq_msg_set_group(&mut message, group.as_ptr())));
        assert_eq!(text(zmq!(zmq_msg_group(&mut message))), name[..len.min(255)]);
        close(message);
    }
    let context = Context::new();
    let dish = context.socket(DISH);
    let long = CString::new("g".repeat(256)).expect("no zero");
    assert_fails(zmq!(zmq_join(dish.0, long.as_ptr())), -1, EINVAL);
}

fn a_routing_id_of_0_is_refused() {
    let mut message = empty();
    assert_eq!(zmq!(zmq_msg_routing_id(&mut message)), 0);
    assert_fails(zmq!(zmq_msg_set_routing_id(&mut message, 0)), -1, EINVAL);
    assert_done(zmq!(zmq_msg_set_routing_id(&mut message, u32::MAX)));
    assert_eq!(zmq!(zmq_msg_routing_id(&mut message)), u32::MAX);
    close(message);
}
