//! What COMPATIBILITY.md says is different, shown with libzmq and with ours: patterns.

use std::ffi::c_int;

use common::api::*;
use common::each::is_libzmq;

mod common;

with_each_library! {
    conflation_keeps_whole_messages,
    malformed_messages_raise_no_events_on_req_and_rep,
    a_cancellation_of_what_was_not_subscribed_to_is_not_passed_up,
    a_part_of_a_stream_without_more_is_no_routing_id,
    what_a_poll_has_found_ends_with_the_disconnect,
    types_of_one_part_have_a_descriptor,
    a_second_peer_of_the_same_name_is_refused,
    a_group_is_for_radio_and_dish_alone,
}

const STREAM: c_int = 11;
const FD: c_int = 14;
const CONFLATE: c_int = 54;
const XSUB_VERBOSE_UNSUBSCRIBE: c_int = 115;

/// What is ours with our library, and what is libzmq's with libzmq.
fn of<T>(ours: T, theirs: T) -> T {
    if is_libzmq() { theirs } else { ours }
}

/// Receives what is there, or fails.
fn try_recv(socket: &Socket) -> Result<Vec<u8>, c_int> {
    let mut buffer = [0; 100];
    let size = zmq!(zmq_recv(socket.0, buffer.as_mut_ptr().cast(), buffer.len(), DONTWAIT));
    if size < 0 { Err(errno()) } else { Ok(buffer[..size as usize].to_vec()) }
}

/// Sends, or fails.
fn try_send(socket: &Socket, bytes: &[u8], flags: c_int) -> Result<(), c_int> {
    let sent = zmq!(zmq_send(socket.0, bytes.as_ptr().cast(), bytes.len(), flags | DONTWAIT));
    if sent < 0 { Err(errno()) } else { Ok(()) }
}

fn conflation_keeps_whole_messages() {
    let context = Context::new();
    let (pull, push) = (context.socket(PULL), context.socket(PUSH));
    pull.set(CONFLATE, 1);
    push.set(CONFLATE, 1);
    pull.bind("inproc://conflate");
    push.connect("inproc://conflate");
    push.send(b"old", 0);
    push.send(b"first", SNDMORE);
    push.send(b"last", 0);
    if !is_libzmq() {
        assert_eq!((pull.recv(), pull.get(RCVMORE)), (b"first".to_vec(), 1));
    }
    assert_eq!((pull.recv(), pull.get(RCVMORE)), (b"last".to_vec(), 0));
    assert_eq!(try_recv(&pull), Err(EAGAIN));
}

fn malformed_messages_raise_no_events_on_req_and_rep() {
    let context = Context::new();
    let (rep, dealer) = context.pair(REP, DEALER, "inproc://rep");
    dealer.send(b"no delimiter", 0);
    assert_eq!(rep.get(EVENTS), of(0, 1));
    assert_eq!(try_recv(&rep), Err(EAGAIN));

    let (router, req) = context.pair(ROUTER, REQ, "inproc://req");
    req.send(b"question", 0);
    let id = router.recv();
    router.send(&id, SNDMORE);
    router.send(b"no delimiter", 0);
    assert_eq!(req.get(EVENTS), of(0, 1));
    assert_eq!(try_recv(&req), Err(EAGAIN));
}

fn a_cancellation_of_what_was_not_subscribed_to_is_not_passed_up() {
    let context = Context::new();
    let (xpub, xsub) = context.pair(XPUB, XSUB, "inproc://cancel");
    xsub.set(XSUB_VERBOSE_UNSUBSCRIBE, 1);
    xsub.send(b"\0never", 0);
    xsub.send(b"\x01topic", 0);
    if is_libzmq() {
        assert_eq!(xpub.recv(), b"\0never");
    }
    assert_eq!(xpub.recv(), b"\x01topic");
}

fn a_part_of_a_stream_without_more_is_no_routing_id() {
    let context = Context::new();
    let stream = context.socket(STREAM);
    stream.bind("tcp://127.0.0.1:*");
    assert_eq!(try_send(&stream, b"no routing id", 0), Ok(()));
    // libzmq takes it for a body.
    assert_eq!(try_send(&stream, b"nobody", SNDMORE), of(Err(EHOSTUNREACH), Ok(())));
    assert_eq!(try_send(&stream, b"nobody", SNDMORE), Err(EHOSTUNREACH));
}

fn what_a_poll_has_found_ends_with_the_disconnect() {
    let context = Context::new();
    for (receives, sends, endpoint) in [(ROUTER, DEALER, c"inproc://router"), (REP, REQ, c"inproc://rep")] {
        // libzmq aborts there.
        if receives == REP && is_libzmq() {
            continue;
        }
        let (sender, receiver) = (context.socket(sends), context.socket(receives));
        sender.bind(endpoint.to_str().unwrap());
        receiver.connect(endpoint.to_str().unwrap());
        sender.send(b"x", 0);
        assert_eq!(receiver.get(EVENTS) & 1, 1);
        assert_done(zmq!(zmq_disconnect(receiver.0, endpoint.as_ptr())));
        assert_eq!(receiver.get(EVENTS) & 1, of(0, 1));
        assert_eq!(try_recv(&receiver).is_ok(), is_libzmq());
    }
    // As libzmq does with the other types.
    let (push, pull) = (context.socket(PUSH), context.socket(PULL));
    push.bind("inproc://pull");
    pull.connect("inproc://pull");
    push.send(b"x", 0);
    assert_eq!(pull.get(EVENTS), 1);
    assert_done(zmq!(zmq_disconnect(pull.0, c"inproc://pull".as_ptr())));
    assert_eq!((pull.get(EVENTS), try_recv(&pull)), (0, Err(EAGAIN)));
}

fn types_of_one_part_have_a_descriptor() {
    let context = Context::new();
    for socket_type in [SERVER, CLIENT, RADIO, DISH, GATHER, SCATTER, PEER, CHANNEL] {
        let socket = context.socket(socket_type);
        let (mut fd, mut size): (c_int, usize) = (-1, size_of::<c_int>());
        let result = zmq!(zmq_getsockopt(socket.0, FD, (&raw mut fd).cast(), &mut size));
        if is_libzmq() {
            assert_fails(result, -1, EINVAL);
        } else {
            assert_done(result);
            assert!(fd >= 0);
        }
    }
}

fn a_second_peer_of_the_same_name_is_refused() {
    let context = Context::new();
    let router = context.socket(ROUTER);
    router.bind("inproc://names");
    let named = || {
        let dealer = context.socket(DEALER);
        let name = b"name";
        assert_done(zmq!(zmq_setsockopt(dealer.0, ROUTING_ID, name.as_ptr().cast(), name.len())));
        dealer.connect("inproc://names");
        dealer
    };
    let (first, second) = (named(), named());
    first.send(b"first", 0);
    assert_eq!([router.recv(), router.recv()], [b"name".to_vec(), b"first".to_vec()]);
    // libzmq leaves it connected, and reads nothing of it.
    assert_eq!(try_send(&second, b"second", 0), of(Err(EAGAIN), Ok(())));
    assert_eq!(try_recv(&router), Err(EAGAIN));
}

fn a_group_is_for_radio_and_dish_alone() {
    let context = Context::new();
    let (server, client) = context.pair(SERVER, CLIENT, "inproc://group");
    let mut message = Msg::none();
    assert_done(zmq!(zmq_msg_init(&mut message)));
    assert_done(zmq!(zmq_msg_set_group(&mut message, c"group".as_ptr())));
    assert_eq!(zmq!(zmq_msg_send(&mut message, client.0, 0)), 0);
    assert_done(zmq!(zmq_msg_init(&mut message)));
    assert_eq!(zmq!(zmq_msg_recv(&mut message, server.0, 0)), 0);
    assert_eq!(text(zmq!(zmq_msg_group(&mut message))), of("", "group"));
    assert_done(zmq!(zmq_msg_close(&mut message)));
}
