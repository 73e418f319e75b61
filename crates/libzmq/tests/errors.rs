//! Error numbers: each kind of failure through the C interface.

use std::ptr;

use common::api::*;

mod common;

with_each_library! {
    zmq_strerror_has_the_texts_of_libzmq_for_its_numbers_and_the_systems_for_others,
}

fn zmq_strerror_has_the_texts_of_libzmq_for_its_numbers_and_the_systems_for_others() {
    let own = [
        (EFSM, "Operation cannot be accomplished in current state"),
        (EFSM + 1, "The protocol is not compatible with the socket type"),
        (ETERM, "Context was terminated"),
        (EMTHREAD, "No thread available"),
        (EHOSTUNREACH, "Host unreachable"),
    ];
    for (number, expected) in own {
        assert_eq!(text(zmq!(zmq_strerror(number))), expected);
    }
    let numbers = (-1..200).chain([EFSM - 1, EMTHREAD + 1, i32::MIN, i32::MAX]);
    for number in numbers.filter(|number| own.iter().all(|(own, _)| own != number)) {
        // SAFETY: takes any number and returns a string, valid until the next call.
        let system = text(unsafe { libc::strerror(number) });
        assert_eq!(text(zmq!(zmq_strerror(number))), system);
    }
}

#[test]
fn errno_is_the_one_of_the_c_library() {
    assert_fails(zmq!(zmq_close(ptr::null_mut())), -1, ENOTSOCK);
    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(ENOTSOCK));
    let other = std::thread::spawn(|| {
        assert_fails(zmq!(zmq_ctx_term(ptr::null_mut())), -1, EFAULT);
    });
    other.join().expect("no panic");
    assert_eq!(errno(), ENOTSOCK, "every thread has its own");
}

#[test]
fn would_block_is_eagain_at_once_and_after_the_time_out() {
    let context = Context::new();
    let (push, pull) = (context.socket(PUSH), context.socket(PULL));
    let mut buffer = [0u8; 4];
    assert_fails(zmq!(zmq_send(push.0, buffer.as_ptr().cast(), 4, DONTWAIT)), -1, EAGAIN);
    assert_fails(zmq!(zmq_recv(pull.0, buffer.as_mut_ptr().cast(), 4, DONTWAIT)), -1, EAGAIN);
    push.set(SNDTIMEO, 1);
    pull.set(RCVTIMEO, 1);
    assert_fails(zmq!(zmq_send(push.0, buffer.as_ptr().cast(), 4, 0)), -1, EAGAIN);
    assert_fails(zmq!(zmq_recv(pull.0, buffer.as_mut_ptr().cast(), 4, 0)), -1, EAGAIN);
}

#[test]
fn a_direction_that_the_type_does_not_have_is_enotsup() {
    let context = Context::new();
    let (push, pull) = (context.socket(PUSH), context.socket(PULL));
    let mut buffer = [0u8; 4];
    assert_fails(zmq!(zmq_send(pull.0, buffer.as_ptr().cast(), 4, 0)), -1, ENOTSUP);
    assert_fails(zmq!(zmq_recv(push.0, buffer.as_mut_ptr().cast(), 4, 0)), -1, ENOTSUP);
}

#[test]
fn a_receive_before_the_request_is_efsm() {
    let context = Context::new();
    let (rep, req) = context.pair(REP, REQ, "inproc://state");
    let mut buffer = [0u8; 4];
    assert_fails(zmq!(zmq_recv(req.0, buffer.as_mut_ptr().cast(), 4, 0)), -1, EFSM);
    assert_fails(zmq!(zmq_send(rep.0, buffer.as_ptr().cast(), 4, 0)), -1, EFSM);
}

#[test]
fn a_context_that_is_being_terminated_is_eterm() {
    let context = Context::new();
    let socket = context.socket(PAIR);
    assert_done(zmq!(zmq_ctx_shutdown(context.0)));
    let mut buffer = [0u8; 4];
    assert_fails(zmq!(zmq_recv(socket.0, buffer.as_mut_ptr().cast(), 4, 0)), -1, ETERM);
    assert_fails(zmq!(zmq_send(socket.0, buffer.as_ptr().cast(), 4, DONTWAIT)), -1, ETERM);
    assert_fails(zmq!(zmq_bind(socket.0, c"inproc://x".as_ptr())), -1, ETERM);
    assert_fails(zmq!(zmq_socket(context.0, PAIR)), ptr::null_mut(), ETERM);
    let mut item = Item { socket: socket.0, fd: 0, events: 1, revents: 0 };
    assert_fails(zmq!(zmq_poll(&mut item, 1, -1)), -1, ETERM);
    assert_fails(zmq!(zmq_proxy(socket.0, socket.0, ptr::null_mut())), -1, ETERM);
    assert_fails(zmq!(zmq_socket_monitor(socket.0, c"inproc://m".as_ptr(), 1)), -1, ETERM);
}

#[test]
fn an_endpoint_of_no_known_form_or_transport_is_told() {
    let context = Context::new();
    let socket = context.socket(PAIR);
    let long = std::ffi::CString::new(format!("ipc:///{}", "x".repeat(200))).unwrap();
    for (endpoint, number) in [
        (c"", EINVAL),
        (c"tcp", EINVAL),
        (c"tcp://", EINVAL),
        (c"tcp://127.0.0.1", EINVAL),
        (c"tcp://127.0.0.1:99999", EINVAL),
        (c"nothing://x", EPROTONOSUPPORT),
        (&*long, ENAMETOOLONG),
    ] {
        assert_fails(zmq!(zmq_bind(socket.0, endpoint.as_ptr())), -1, number);
        assert_fails(zmq!(zmq_connect(socket.0, endpoint.as_ptr())), -1, number);
    }
}

#[test]
fn an_endpoint_in_use_or_not_in_use_is_told() {
    let context = Context::new();
    let (first, second) = (context.socket(PAIR), context.socket(PAIR));
    for endpoint in ["inproc://used", "tcp://127.0.0.1:*"] {
        first.bind(endpoint);
        let used = std::ffi::CString::new(first.last_endpoint()).unwrap();
        assert_fails(zmq!(zmq_bind(second.0, used.as_ptr())), -1, EADDRINUSE);
        assert_fails(zmq!(zmq_unbind(second.0, used.as_ptr())), -1, ENOENT);
        assert_fails(zmq!(zmq_disconnect(second.0, used.as_ptr())), -1, ENOENT);
    }
}

#[test]
fn a_context_without_io_threads_is_emthread() {
    let context = Context::new();
    assert_done(zmq!(zmq_ctx_set(context.0, 1, 0)));
    let socket = context.socket(PAIR);
    assert_fails(zmq!(zmq_bind(socket.0, c"tcp://127.0.0.1:*".as_ptr())), -1, EMTHREAD);
    assert_fails(zmq!(zmq_connect(socket.0, c"tcp://127.0.0.1:1".as_ptr())), -1, EMTHREAD);
    socket.bind("inproc://works");
}

#[test]
fn socket_types_and_options_that_do_not_exist_are_einval() {
    let context = Context::new();
    for socket_type in [-1, 21, 1000] {
        assert_fails(zmq!(zmq_socket(context.0, socket_type)), ptr::null_mut(), EINVAL);
    }
    let socket = context.socket(PAIR);
    let value = [0u8; 4];
    assert_fails(zmq!(zmq_setsockopt(socket.0, 99_999, value.as_ptr().cast(), 4)), -1, EINVAL);
    assert_fails(zmq!(zmq_ctx_set(context.0, 99_999, 1)), -1, EINVAL);
    assert_fails(zmq!(zmq_ctx_get(context.0, 99_999)), -1, EINVAL);
    assert_fails(zmq!(zmq_init(-1)), ptr::null_mut(), EINVAL);
}
