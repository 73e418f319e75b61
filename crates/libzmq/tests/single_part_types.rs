//! The socket types whose messages have one part, and what such a message says beside its body.

use std::ffi::{CString, c_int};
use std::ptr;

use common::api::*;

mod common;

const TYPES: [c_int; 8] = [SERVER, CLIENT, RADIO, DISH, GATHER, SCATTER, PEER, CHANNEL];

fn message(body: &str) -> Msg {
    let mut message = Msg::none();
    assert_done(zmq!(zmq_msg_init_buffer(&mut message, body.as_ptr().cast(), body.len())));
    message
}

fn body(message: &mut Msg) -> String {
    let (data, size) = (zmq!(zmq_msg_data(message)).cast::<u8>(), zmq!(zmq_msg_size(message)));
    if size == 0 {
        return String::new();
    }
    // SAFETY: the body of a live message.
    String::from_utf8(unsafe { std::slice::from_raw_parts(data, size) }.to_vec()).unwrap()
}

/// Sends a message; the caller closes it if that fails.
fn send(socket: &Socket, message: &mut Msg) -> c_int {
    zmq!(zmq_msg_send(message, socket.0, DONTWAIT))
}

#[track_caller]
fn recv(socket: &Socket) -> Msg {
    let mut message = Msg::none();
    assert_done(zmq!(zmq_msg_init(&mut message)));
    let size = zmq!(zmq_msg_recv(&mut message, socket.0, 0));
    assert!(size >= 0, "errno {}", errno());
    message
}

fn close(mut message: Msg) {
    assert_done(zmq!(zmq_msg_close(&mut message)));
}

fn to(id: u32, text: &str) -> Msg {
    let mut message = message(text);
    assert_done(zmq!(zmq_msg_set_routing_id(&mut message, id)));
    message
}

fn of_group(group: &str, text: &str) -> Msg {
    let (mut message, group) = (message(text), CString::new(group).unwrap());
    assert_done(zmq!(zmq_msg_set_group(&mut message, group.as_ptr())));
    message
}

#[test]
fn a_server_answers_the_client_that_a_message_came_from() {
    let context = Context::new();
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*", "inproc://clisrv"] {
        let (server, client) = context.pair(SERVER, CLIENT, endpoint);
        client.send(b"question", 0);
        let mut question = recv(&server);
        let id = zmq!(zmq_msg_routing_id(&mut question));
        assert!(body(&mut question) == "question" && id != 0);
        // The message that a message was received in can be sent on.
        assert_eq!(send(&server, &mut question), 8);
        // What stood in the message before is forgotten.
        let mut answer = to(id, "old");
        assert_eq!(zmq!(zmq_msg_recv(&mut answer, client.0, 0)), 8);
        assert_eq!((body(&mut answer).as_str(), zmq!(zmq_msg_routing_id(&mut answer))), ("question", 0));
        close(answer);

        let mut nobody = to(id.wrapping_add(1).max(1), "lost");
        assert_fails(send(&server, &mut nobody), -1, EHOSTUNREACH);
        assert_eq!(body(&mut nobody), "lost");
        close(nobody);
        assert_fails(zmq!(zmq_send(server.0, b"x".as_ptr().cast(), 1, 0)), -1, EHOSTUNREACH);
    }
}

#[test]
fn peers_talk_by_the_numbers_that_connects_and_messages_tell() {
    let context = Context::new();
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*", "inproc://p2p"] {
        let (bound, connecting) = (context.socket(PEER), context.socket(PEER));
        bound.bind(endpoint);
        let place = CString::new(bound.last_endpoint()).unwrap();
        let id = zmq!(zmq_connect_peer(connecting.0, place.as_ptr()));
        assert_ne!(id, 0, "errno {}", errno());
        assert_eq!(send(&connecting, &mut to(id, "hello")), 5);
        let mut hello = recv(&bound);
        let back = zmq!(zmq_msg_routing_id(&mut hello));
        close(hello);
        assert_eq!(send(&bound, &mut to(back, "welcome")), 7);
        let mut welcome = recv(&connecting);
        assert_eq!((body(&mut welcome).as_str(), zmq!(zmq_msg_routing_id(&mut welcome))), ("welcome", id));
        close(welcome);
    }
}

#[test]
fn connect_peer_tells_what_is_wrong() {
    let context = Context::new();
    let (server, peer) = (context.socket(SERVER), context.socket(PEER));
    let endpoint = c"tcp://127.0.0.1:1".as_ptr();
    assert_fails(zmq!(zmq_connect_peer(server.0, endpoint)), 0, ENOTSUP);
    assert_fails(zmq!(zmq_connect_peer(ptr::null_mut(), endpoint)), 0, ENOTSOCK);
    assert_fails(zmq!(zmq_connect_peer(peer.0, c"tcp".as_ptr())), 0, EINVAL);
    assert_fails(zmq!(zmq_connect_peer(peer.0, ptr::null())), 0, EINVAL);
    peer.set(IMMEDIATE, 1);
    assert_fails(zmq!(zmq_connect_peer(peer.0, endpoint)), 0, EFAULT);
}

#[test]
fn a_dish_gets_the_groups_it_has_joined() {
    let context = Context::new();
    for (bound, endpoint) in [RADIO, DISH]
        .into_iter()
        .flat_map(|bound| ["tcp://127.0.0.1:*", "ipc://*"].map(|place| (bound, place)))
    {
        let (first, second) = context.pair(bound, RADIO + DISH - bound, endpoint);
        let (radio, dish) = if bound == RADIO { (first, second) } else { (second, first) };
        let long = "x".repeat(255);
        for group in ["tv", "", &long] {
            let group = CString::new(group).unwrap();
            assert_done(zmq!(zmq_join(dish.0, group.as_ptr())));
        }
        dish.set(RCVTIMEO, 5);
        // The radio cannot tell when it knows of the last group.
        let mut first = loop {
            assert_eq!(send(&radio, &mut of_group(&long, "first")), 5);
            let mut message = message("");
            if zmq!(zmq_msg_recv(&mut message, dish.0, 0)) >= 0 {
                break message;
            }
            assert_eq!(errno(), EAGAIN);
            close(message);
        };
        assert_eq!((text(zmq!(zmq_msg_group(&mut first))), body(&mut first)), (long.clone(), "first".into()));
        close(first);
        dish.set(RCVTIMEO, 30_000);
        for (group, text) in [("tv/news", "no"), ("t", "no"), ("tv", "yes"), (&long[1..], "no"), ("", "last")]
        {
            assert_eq!(send(&radio, &mut of_group(group, text)), text.len() as c_int);
        }
        let mut heard = Vec::new();
        while heard.last().is_none_or(|(_, body)| body != "last") {
            let mut message = recv(&dish);
            heard.push((text(zmq!(zmq_msg_group(&mut message))), body(&mut message)));
            close(message);
        }
        heard.retain(|(_, body)| body != "first");
        assert_eq!(heard, [("tv".into(), "yes".into()), (String::new(), "last".into())]);
    }
}

#[test]
fn a_dish_in_the_same_process_hears_from_the_next_message_on() {
    let context = Context::new();
    let (radio, dish) = context.pair(RADIO, DISH, "inproc://radio");
    assert_eq!(send(&radio, &mut of_group("tv", "unheard")), 7);
    assert_done(zmq!(zmq_join(dish.0, c"tv".as_ptr())));
    assert_eq!(send(&radio, &mut of_group("tv", "heard")), 5);
    assert_done(zmq!(zmq_leave(dish.0, c"tv".as_ptr())));
    assert_eq!(send(&radio, &mut of_group("tv", "unheard")), 7);
    assert_done(zmq!(zmq_join(dish.0, c"tv".as_ptr())));
    // Without a group it goes to those that joined the empty one.
    radio.send(b"no group", 0);
    assert_eq!(send(&radio, &mut of_group("tv", "again")), 5);
    assert_eq!([dish.recv(), dish.recv()], [&b"heard"[..], b"again"]);
}

#[test]
fn groups_are_for_dishes_and_have_up_to_255_bytes() {
    let context = Context::new();
    let (dish, radio) = (context.socket(DISH), context.socket(RADIO));
    let long = CString::new("x".repeat(256)).unwrap();
    assert_fails(zmq!(zmq_join(dish.0, long.as_ptr())), -1, EINVAL);
    assert_fails(zmq!(zmq_leave(dish.0, c"a".as_ptr())), -1, EINVAL);
    assert_done(zmq!(zmq_join(dish.0, c"a".as_ptr())));
    assert_fails(zmq!(zmq_join(dish.0, c"a".as_ptr())), -1, EINVAL);
    assert_fails(zmq!(zmq_join(radio.0, c"a".as_ptr())), -1, ENOTSUP);
    assert_fails(zmq!(zmq_leave(radio.0, c"a".as_ptr())), -1, ENOTSUP);
    assert_fails(zmq!(zmq_join(dish.0, ptr::null())), -1, EFAULT);
    assert_fails(zmq!(zmq_join(ptr::null_mut(), c"a".as_ptr())), -1, ENOTSOCK);

    let mut named = of_group("kept", "");
    assert_fails(zmq!(zmq_msg_set_group(&mut named, ptr::null())), -1, EFAULT);
    let mut copy = message("");
    assert_eq!(text(zmq!(zmq_msg_group(&mut copy))), "");
    assert_done(zmq!(zmq_msg_copy(&mut copy, &mut named)));
    close(named);
    assert_eq!(text(zmq!(zmq_msg_group(&mut copy))), "kept");
    close(copy);
    assert_fails(zmq!(zmq_msg_group(ptr::null_mut())), ptr::null(), EFAULT);
}

#[test]
fn every_type_refuses_multipart_messages_and_says_what_it_is() {
    let context = Context::new();
    for socket_type in TYPES {
        let socket = context.socket(socket_type);
        let refusal = if [DISH, GATHER].contains(&socket_type) { ENOTSUP } else { EINVAL };
        assert_fails(zmq!(zmq_send(socket.0, b"x".as_ptr().cast(), 1, SNDMORE)), -1, refusal);
        assert_eq!(socket.get(THREAD_SAFE), 1);
    }
    assert_eq!(context.socket(PAIR).get(THREAD_SAFE), 0);
}

#[test]
fn a_direction_that_the_type_does_not_have_is_enotsup() {
    let context = Context::new();
    let mut byte = [0u8];
    for sends in [RADIO, SCATTER] {
        let socket = context.socket(sends);
        assert_fails(zmq!(zmq_recv(socket.0, byte.as_mut_ptr().cast(), 1, 0)), -1, ENOTSUP);
    }
    for receives in [DISH, GATHER] {
        let socket = context.socket(receives);
        assert_fails(zmq!(zmq_send(socket.0, byte.as_ptr().cast(), 1, 0)), -1, ENOTSUP);
    }
}

#[test]
fn without_a_peer_nothing_can_be_sent_and_a_context_that_ends_says_so() {
    let context = Context::new();
    let sockets: Vec<_> =
        TYPES.into_iter().map(|socket_type| (socket_type, context.socket(socket_type))).collect();
    for (socket_type, socket) in &sockets {
        if [CLIENT, SCATTER, CHANNEL].contains(socket_type) {
            assert_fails(zmq!(zmq_send(socket.0, b"x".as_ptr().cast(), 1, DONTWAIT)), -1, EAGAIN);
        }
    }
    assert_done(zmq!(zmq_ctx_shutdown(context.0)));
    let mut byte = [0u8];
    for (_, socket) in &sockets {
        assert_fails(zmq!(zmq_send(socket.0, byte.as_ptr().cast(), 1, 0)), -1, ETERM);
        assert_fails(zmq!(zmq_recv(socket.0, byte.as_mut_ptr().cast(), 1, 0)), -1, ETERM);
        assert_fails(zmq!(zmq_join(socket.0, c"a".as_ptr())), -1, ETERM);
        assert_fails(zmq!(zmq_connect_peer(socket.0, c"inproc://a".as_ptr())), 0, ETERM);
    }
}

/// Many threads use the two sockets at a time; each message arrives once.
#[test]
fn threads_share_a_client_and_a_server() {
    const THREADS: usize = 4;
    const EACH: usize = 2_000;
    let context = Context::new();
    let (server, client) = context.pair(SERVER, CLIENT, "tcp://127.0.0.1:*");
    let (server_handle, client_handle) = (Shared(server.0), Shared(client.0));
    let mut counts = vec![0; THREADS];
    std::thread::scope(|scope| {
        for number in 0..THREADS as u8 {
            scope.spawn(move || {
                for _ in 0..EACH {
                    assert_eq!(zmq!(zmq_send(client_handle.get(), [number].as_ptr().cast(), 1, 0)), 1);
                }
            });
        }
        let receivers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(move || {
                    let mut counts = vec![0; THREADS];
                    for _ in 0..THREADS * EACH / 2 {
                        let mut byte = [0u8];
                        let size = zmq!(zmq_recv(server_handle.get(), byte.as_mut_ptr().cast(), 1, 0));
                        assert_eq!(size, 1, "errno {}", errno());
                        counts[usize::from(byte[0])] += 1;
                    }
                    counts
                })
            })
            .collect();
        for receiver in receivers {
            for (sum, count) in counts.iter_mut().zip(receiver.join().unwrap()) {
                *sum += count;
            }
        }
    });
    assert_eq!(counts, [EACH; THREADS]);
}
