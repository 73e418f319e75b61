//! Handles: right, wrong, closed, and in use by several threads at a time.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use common::api::*;

mod common;

/// Calls every function that takes a socket, and asserts that each fails with this error.
fn assert_no_socket(bad: Handle, number: c_int) {
    let (mut buffer, mut size) = ([0u8; 8], 8);
    let mut message = Msg::none();
    assert_done(zmq!(zmq_msg_init(&mut message)));
    let endpoint = c"inproc://x".as_ptr();
    let memory: *mut c_void = buffer.as_mut_ptr().cast();
    assert_fails(zmq!(zmq_send(bad, memory, 8, DONTWAIT)), -1, number);
    assert_fails(zmq!(zmq_send_const(bad, memory, 8, DONTWAIT)), -1, number);
    assert_fails(zmq!(zmq_recv(bad, memory, 8, DONTWAIT)), -1, number);
    assert_fails(zmq!(zmq_msg_send(&mut message, bad, DONTWAIT)), -1, number);
    assert_fails(zmq!(zmq_msg_recv(&mut message, bad, DONTWAIT)), -1, number);
    assert_fails(zmq!(zmq_bind(bad, endpoint)), -1, number);
    assert_fails(zmq!(zmq_connect(bad, endpoint)), -1, number);
    assert_fails(zmq!(zmq_unbind(bad, endpoint)), -1, number);
    assert_fails(zmq!(zmq_disconnect(bad, endpoint)), -1, number);
    assert_fails(zmq!(zmq_setsockopt(bad, LINGER, memory, 4)), -1, number);
    assert_fails(zmq!(zmq_getsockopt(bad, LINGER, memory, &mut size)), -1, number);
    assert_fails(zmq!(zmq_socket_monitor(bad, endpoint, 0xFFFF)), -1, number);
    assert_fails(zmq!(zmq_sendiov(bad, ptr::null_mut(), 0, 0)), -1, number);
    assert_fails(zmq!(zmq_recviov(bad, ptr::null_mut(), ptr::null_mut(), 0)), -1, number);
    assert_fails(zmq!(zmq_sendmsg(bad, &mut message, DONTWAIT)), -1, number);
    assert_fails(zmq!(zmq_recvmsg(bad, &mut message, DONTWAIT)), -1, number);
    assert_fails(zmq!(zmq_socket_monitor_versioned(bad, endpoint, 1, 2, PAIR)), -1, number);
    assert_fails(zmq!(zmq_socket_monitor_pipes_stats(bad)), -1, number);
    assert_fails(zmq!(zmq_socket_get_peer_state(bad, memory, 1)), -1, number);
    assert_fails(zmq!(zmq_join(bad, c"group".as_ptr())), -1, number);
    assert_fails(zmq!(zmq_leave(bad, c"group".as_ptr())), -1, number);
    assert_fails(zmq!(zmq_connect_peer(bad, endpoint)), 0, number);
    assert_fails(zmq!(zmq_close(bad)), -1, number);
    // In these, none is something else.
    let number = if bad.is_null() { EFAULT } else { number };
    assert_fails(zmq!(zmq_proxy(bad, bad, ptr::null_mut())), -1, number);
    assert_fails(zmq!(zmq_proxy_steerable(bad, bad, bad, bad)), -1, number);
    assert_fails(zmq!(zmq_device(3, bad, bad)), -1, number);
    if !bad.is_null() {
        let mut item = Item { socket: bad, fd: 0, events: 1, revents: 0 };
        assert_fails(zmq!(zmq_poll(&mut item, 1, 0)), -1, number);
        assert_fails(zmq!(zmq_ppoll(&mut item, 1, 0, ptr::null())), -1, number);
        let mut poller = zmq!(zmq_poller_new());
        assert_fails(zmq!(zmq_poller_add(poller, bad, ptr::null_mut(), 1)), -1, number);
        assert_done(zmq!(zmq_poller_destroy(&mut poller)));
    }
    assert_done(zmq!(zmq_msg_close(&mut message)));
}

fn assert_no_context(bad: Handle) {
    assert_fails(zmq!(zmq_socket(bad, PAIR)), ptr::null_mut(), EFAULT);
    assert_fails(zmq!(zmq_ctx_set(bad, 1, 1)), -1, EFAULT);
    assert_fails(zmq!(zmq_ctx_get(bad, 1)), -1, EFAULT);
    assert_fails(zmq!(zmq_ctx_shutdown(bad)), -1, EFAULT);
    assert_fails(zmq!(zmq_ctx_term(bad)), -1, EFAULT);
    assert_fails(zmq!(zmq_term(bad)), -1, EFAULT);
    assert_fails(zmq!(zmq_ctx_destroy(bad)), -1, EFAULT);
    let (mut value, mut size) = ([0u8; 4], 4);
    assert_fails(zmq!(zmq_ctx_set_ext(bad, 1, value.as_ptr().cast(), 4)), -1, EFAULT);
    assert_fails(zmq!(zmq_ctx_get_ext(bad, 1, value.as_mut_ptr().cast(), &mut size)), -1, EFAULT);
}

fn assert_no_timers(bad: Handle) {
    assert_fails(zmq!(zmq_timers_add(bad, 1, None, ptr::null_mut())), -1, EFAULT);
    assert_fails(zmq!(zmq_timers_cancel(bad, 1)), -1, EFAULT);
    assert_fails(zmq!(zmq_timers_set_interval(bad, 1, 1)), -1, EFAULT);
    assert_fails(zmq!(zmq_timers_reset(bad, 1)), -1, EFAULT);
    assert_fails(zmq!(zmq_timers_timeout(bad)), -1, EFAULT);
    assert_fails(zmq!(zmq_timers_execute(bad)), -1, EFAULT);
    assert_fails(zmq!(zmq_timers_destroy(&mut { bad })), -1, EFAULT);
}

/// Pointers that never were handles: none, small, wild, misaligned, the program's own.
fn foreign() -> Vec<Handle> {
    static OWN: [u64; 64] = [u64::MAX; 64];
    let context = Context::new();
    let socket = context.socket(PAIR);
    vec![
        ptr::null_mut(),
        ptr::without_provenance_mut(1),
        ptr::without_provenance_mut(64),
        ptr::without_provenance_mut(usize::MAX),
        ptr::without_provenance_mut(usize::MAX / 2 + 1),
        ptr::from_ref(&OWN).cast_mut().cast(),
        socket.0.wrapping_byte_add(1),
        socket.0.wrapping_byte_add(8),
        socket.0.wrapping_byte_sub(8),
    ]
}

#[test]
fn foreign_pointers_are_no_handles() {
    for pointer in foreign() {
        assert_no_socket(pointer, ENOTSOCK);
        assert_no_context(pointer);
        assert_no_timers(pointer);
    }
}

#[test]
fn a_handle_of_another_kind_is_told() {
    let context = Context::new();
    let socket = context.socket(PAIR);
    assert_no_socket(context.0, ENOTSOCK);
    assert_no_context(socket.0);
    let mut timers = zmq!(zmq_timers_new());
    assert_no_socket(timers, ENOTSOCK);
    assert_no_context(timers);
    assert_no_timers(socket.0);
    assert_no_timers(context.0);
    let closed = timers;
    assert_done(zmq!(zmq_timers_destroy(&mut timers)));
    assert_no_timers(closed);
}

#[test]
fn closed_handles_are_told() {
    let context = Context::new();
    let socket = context.socket(PAIR).into_handle();
    assert_done(zmq!(zmq_close(socket)));
    assert_no_socket(socket, ENOTSOCK);
    let old = context.0;
    drop(context);
    assert_no_context(old);
}

#[test]
fn a_missing_argument_is_told() {
    let context = Context::new();
    let pair = context.socket(PAIR);
    let (mut memory, mut size) = ([0u8; 8], 8);
    assert_fails(zmq!(zmq_bind(pair.0, ptr::null())), -1, EINVAL);
    assert_fails(zmq!(zmq_connect(pair.0, ptr::null())), -1, EINVAL);
    assert_fails(zmq!(zmq_bind(pair.0, c"inproc://\xff".as_ptr())), -1, EINVAL);
    assert_fails(zmq!(zmq_send(pair.0, ptr::null(), 1, 0)), -1, EFAULT);
    assert_fails(zmq!(zmq_recv(pair.0, ptr::null_mut(), 1, 0)), -1, EFAULT);
    assert_fails(zmq!(zmq_setsockopt(pair.0, LINGER, ptr::null(), 4)), -1, EFAULT);
    assert_fails(zmq!(zmq_getsockopt(pair.0, LINGER, ptr::null_mut(), &mut size)), -1, EFAULT);
    let memory: *mut c_void = memory.as_mut_ptr().cast();
    assert_fails(zmq!(zmq_getsockopt(pair.0, LINGER, memory, ptr::null_mut())), -1, EFAULT);
    assert_fails(zmq!(zmq_ctx_set_ext(context.0, 1, ptr::null(), 4)), -1, EFAULT);
    assert_fails(zmq!(zmq_ctx_get_ext(context.0, 1, ptr::null_mut(), &mut 4)), -1, EFAULT);
    assert_fails(zmq!(zmq_ctx_get_ext(context.0, 1, memory, ptr::null_mut())), -1, EFAULT);
    assert_fails(zmq!(zmq_poll(ptr::null_mut(), 1, 0)), -1, EFAULT);
    assert_fails(zmq!(zmq_poll(ptr::null_mut(), -1, 0)), -1, EINVAL);
    assert_fails(zmq!(zmq_proxy(pair.0, ptr::null_mut(), ptr::null_mut())), -1, EFAULT);
}

#[test]
fn empty_bodies_need_no_memory() {
    let context = Context::new();
    let (pull, push) = context.pair(PULL, PUSH, "inproc://empty");
    assert_eq!(zmq!(zmq_send(push.0, ptr::null(), 0, 0)), 0);
    push.send(b"four", 0);
    assert_eq!(zmq!(zmq_recv(pull.0, ptr::null_mut(), 0, 0)), 0);
    assert_eq!(zmq!(zmq_recv(pull.0, ptr::null_mut(), 0, 0)), 4, "the full size of what was cut");
}

#[test]
fn close_ends_a_receive_that_waits_in_another_thread() {
    let context = Context::new();
    for endpoint in ["inproc://closing", "tcp://127.0.0.1:*", "ipc://*"] {
        for _ in 0..20 {
            let (pull, push) = context.pair(PULL, PUSH, endpoint);
            // The connection stands, so that the receive waits on it.
            push.send(b"x", 0);
            pull.recv();
            let socket = Shared(pull.into_handle());
            let started = Barrier::new(2);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let socket = socket.get();
                    started.wait();
                    let mut buffer = [0u8; 8];
                    let result = zmq!(zmq_recv(socket, buffer.as_mut_ptr().cast(), 8, 0));
                    assert_fails(result, -1, ENOTSOCK);
                });
                started.wait();
                assert_done(zmq!(zmq_close(socket.0)));
            });
        }
    }
}

#[test]
fn sockets_are_closed_under_the_hands_of_threads_that_use_them() {
    let context = Context::new();
    for _ in 0..200 {
        let (pull, push) = context.pair(PULL, PUSH, "inproc://hands");
        let sockets = [Shared(pull.into_handle()), Shared(push.into_handle())];
        let started = Barrier::new(5);
        let closed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for at in 0..4 {
                let (started, closed) = (&started, &closed);
                scope.spawn(move || {
                    let Shared(socket) = sockets[at % 2];
                    let mut buffer = [0u8; 100];
                    started.wait();
                    loop {
                        let was_closed = closed.load(Ordering::SeqCst);
                        let memory: *mut c_void = buffer.as_mut_ptr().cast();
                        let result = if at % 2 == 0 {
                            zmq!(zmq_recv(socket, memory, 100, DONTWAIT))
                        } else {
                            zmq!(zmq_send(socket, memory, 100, DONTWAIT))
                        };
                        if result < 0 && errno() == ENOTSOCK {
                            break;
                        }
                        assert!(result >= 0 || errno() == EAGAIN, "errno {}", errno());
                        assert!(!was_closed, "a call on a closed socket succeeded");
                    }
                });
            }
            started.wait();
            for Shared(socket) in sockets {
                assert_done(zmq!(zmq_close(socket)));
            }
            closed.store(true, Ordering::SeqCst);
        });
    }
}

#[test]
fn of_several_threads_that_close_a_socket_one_succeeds() {
    let context = Context::new();
    for _ in 0..100 {
        let socket = Shared(context.socket(PAIR).into_handle());
        let started = Barrier::new(4);
        let closed: c_int = std::thread::scope(|scope| {
            let close = || {
                let socket = socket.get();
                started.wait();
                let result = zmq!(zmq_close(socket));
                assert!(result == 0 || errno() == ENOTSOCK);
                c_int::from(result == 0)
            };
            let threads = [(); 4].map(|()| scope.spawn(close));
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(closed, 1);
    }
}

#[test]
fn handles_are_reused_only_after_a_rest() {
    let context = Context::new();
    let first = context.socket(PAIR).into_handle();
    assert_done(zmq!(zmq_close(first)));
    for _ in 0..32 {
        let socket = context.socket(PAIR);
        assert_ne!(socket.0, first);
        assert_no_socket(first, ENOTSOCK);
    }
}

#[test]
fn the_limit_of_sockets_is_kept_and_closing_makes_room() {
    let context = Context::new();
    assert_done(zmq!(zmq_ctx_set(context.0, 2, 3)));
    let sockets = [context.socket(PAIR), context.socket(PAIR), context.socket(PAIR)];
    assert_fails(zmq!(zmq_socket(context.0, PAIR)), ptr::null_mut(), EMFILE);
    drop(sockets);
    context.socket(PAIR);
}

#[test]
fn termination_waits_for_the_last_socket_and_wakes_who_waits() {
    let context = Context::new();
    let socket = Shared(context.socket(PULL).into_handle());
    let handle = Shared(context.0);
    std::mem::forget(context);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let socket = socket.get();
            let mut buffer = [0u8; 8];
            assert_fails(zmq!(zmq_recv(socket, buffer.as_mut_ptr().cast(), 8, 0)), -1, ETERM);
            assert_fails(zmq!(zmq_bind(socket, c"inproc://late".as_ptr())), -1, ETERM);
            assert_done(zmq!(zmq_close(socket)));
        });
        assert_done(zmq!(zmq_ctx_term(handle.0)));
    });
    assert_no_socket(socket.0, ENOTSOCK);
    assert_no_context(handle.0);
}
