//! A process with open contexts makes a child. As in `test_fork`, but with the parent's threads at work meanwhile.

use std::ffi::{CStr, CString, c_int};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use common::api::*;

mod common;

const ROUNDS: usize = 20;

/// What the child does; the number of what failed, or 0. It must not panic: the test harness's threads are not there.
fn child(context: Handle, inherited: [Handle; 2], timers: Handle, endpoint: &CStr) -> c_int {
    let [pull, busy] = inherited;
    let mut byte = [0u8];
    if zmq!(zmq_recv(pull, byte.as_mut_ptr().cast(), 1, DONTWAIT)) != -1 || errno() != ETERM {
        return 1;
    }
    if !zmq!(zmq_socket(context, PAIR)).is_null() || errno() != ETERM {
        return 2;
    }
    if zmq!(zmq_timers_timeout(timers)) != -1 {
        return 3;
    }
    if zmq!(zmq_close(pull)) != 0 || zmq!(zmq_close(pull)) != -1 || errno() != ENOTSOCK {
        return 4;
    }
    // With a socket still open: there is nothing to wait for.
    if zmq!(zmq_ctx_term(context)) != 0 || zmq!(zmq_close(busy)) != 0 {
        return 5;
    }
    let own = zmq!(zmq_ctx_new());
    let push = zmq!(zmq_socket(own, PUSH));
    if push.is_null() || zmq!(zmq_connect(push, endpoint.as_ptr())) != 0 {
        return 6;
    }
    for _ in 0..5 {
        if zmq!(zmq_send(push, c"Hello".as_ptr().cast(), 5, 0)) != 5 {
            return 7;
        }
    }
    if zmq!(zmq_close(push)) != 0 || zmq!(zmq_ctx_term(own)) != 0 {
        return 8;
    }
    0
}

#[test]
fn a_child_closes_what_it_inherits_and_opens_its_own() {
    let context = Context::new();
    let pull = context.socket(PULL);
    pull.bind("tcp://127.0.0.1:*");
    let endpoint = CString::new(pull.last_endpoint()).expect("no NUL");
    let (busy, peer) = context.pair(PAIR, PAIR, "inproc://busy");
    let timers = zmq!(zmq_timers_new());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Locks are taken, and handles made, at any moment of a fork.
        let worker = scope.spawn(|| {
            let context = Context::new();
            while !stop.load(Ordering::Relaxed) {
                context.socket(PUSH).connect(&endpoint.to_string_lossy());
            }
        });
        for _ in 0..ROUNDS {
            // SAFETY: the child calls the library, which is made for that, and ends.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                let failed = child(context.0, [pull.0, busy.0], timers, &endpoint);
                // SAFETY: ends the child, without destructors for what is its parent's.
                unsafe { libc::_exit(failed) };
            }
            assert!(pid > 0);
            let mut buffer = [0u8; 8];
            for _ in 0..5 {
                assert_eq!(zmq!(zmq_recv(pull.0, buffer.as_mut_ptr().cast(), 8, 0)), 5);
                assert_eq!(&buffer[..5], b"Hello");
            }
            let mut status = 0;
            // SAFETY: waits for the child made above.
            assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
            assert_eq!((libc::WIFEXITED(status), libc::WEXITSTATUS(status)), (true, 0));
        }
        stop.store(true, Ordering::Relaxed);
        worker.join().expect("worker");
    });
    // The parent is none the worse for it.
    assert_eq!(zmq!(zmq_send(peer.0, ptr::null(), 0, 0)), 0);
    let mut timers = timers;
    assert_done(zmq!(zmq_timers_destroy(&mut timers)));
}
