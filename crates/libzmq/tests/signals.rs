//! Signals: a call that waits fails with `EINTR` when the thread has run a signal's handler, whether or not the handler
//! was installed with `SA_RESTART`, and the socket is as it was.

use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering;
use std::{fs, ptr};

use common::api::*;
use common::signals::{HANDLED, Target, handle, interrupt};

mod common;

with_each_library! {
    a_signal_ends_a_receive,
    a_signal_ends_a_receive_with_a_time_out,
    a_signal_ends_a_send_without_a_peer,
    a_signal_ends_a_send_at_the_high_water_mark,
    a_signal_ends_a_poll,
    a_mask_holds_signals_back_until_the_poll,
    a_mask_holds_signals_back_during_the_poll,
    a_signal_ends_a_proxy,
    a_signal_ends_a_termination_which_can_be_called_again,
    threads_of_the_library_take_no_signals,
}

const ENDPOINTS: [&str; 3] = ["inproc://signals", "tcp://127.0.0.1:*", "ipc://*"];
const FLAGS: [i32; 2] = [0, libc::SA_RESTART];

/// Every kind of handler with every transport.
fn everywhere(test: impl Fn(&Context, &str)) {
    for flags in FLAGS {
        handle(flags);
        for endpoint in ENDPOINTS {
            test(&Context::new(), endpoint);
        }
    }
}

#[track_caller]
fn assert_interrupted((result, number): (i32, i32)) {
    assert_eq!((result, number), (-1, EINTR));
}

fn receive(socket: &Shared) -> (i32, i32) {
    let mut buffer = [0u8; 8];
    let result = zmq!(zmq_recv(socket.get(), buffer.as_mut_ptr().cast(), buffer.len(), 0));
    (result, errno())
}

fn receive_message(socket: &Shared) -> (i32, i32) {
    let mut message = Msg::none();
    zmq!(zmq_msg_init(&mut message));
    let result = (zmq!(zmq_msg_recv(&mut message, socket.get(), 0)), errno());
    zmq!(zmq_msg_close(&mut message));
    result
}

fn receives_are_interrupted(context: &Context, endpoint: &str, timeout: i32) {
    let (pull, push) = context.pair(PULL, PUSH, endpoint);
    pull.set(RCVTIMEO, timeout);
    let shared = Shared(pull.0);
    for round in 0..3u8 {
        // A message first: the next receive waits on a connection that is up.
        push.send(&[round], 0);
        assert_eq!(pull.recv(), [round]);
        assert_interrupted(interrupt(|| receive(&shared)));
        assert_interrupted(interrupt(|| receive_message(&shared)));
    }
    push.send(b"after", 0);
    assert_eq!(pull.recv(), b"after");
}

fn a_signal_ends_a_receive() {
    everywhere(|context, endpoint| receives_are_interrupted(context, endpoint, -1));
}

fn a_signal_ends_a_receive_with_a_time_out() {
    everywhere(|context, endpoint| receives_are_interrupted(context, endpoint, 60_000));
}

fn a_signal_ends_a_send_without_a_peer() {
    for flags in FLAGS {
        handle(flags);
        let context = Context::new();
        let push = context.socket(PUSH);
        push.bind("tcp://127.0.0.1:*");
        let shared = Shared(push.0);
        for timeout in [-1, 60_000] {
            push.set(SNDTIMEO, timeout);
            let sent = interrupt(|| (zmq!(zmq_send(shared.get(), b"x".as_ptr().cast(), 1, 0)), errno()));
            assert_interrupted(sent);
            let mut message = Msg::none();
            zmq!(zmq_msg_init_size(&mut message, 3));
            let sent = interrupt(|| (zmq!(zmq_msg_send(&mut message, shared.get(), 0)), errno()));
            assert_interrupted(sent);
            assert_eq!(zmq!(zmq_msg_size(&message)), 3, "the message is still the caller's");
            zmq!(zmq_msg_close(&mut message));
        }
    }
}

fn a_signal_ends_a_send_at_the_high_water_mark() {
    everywhere(|context, endpoint| {
        let (pull, push) = (context.socket(PULL), context.socket(PUSH));
        pull.set(RCVHWM, 1);
        push.set(SNDHWM, 1);
        push.set(SNDTIMEO, -1);
        pull.bind(endpoint);
        push.connect(&pull.last_endpoint());
        let shared = Shared(push.0);
        let body = vec![7u8; 100_000];
        let (sent, result) = interrupt(|| {
            for sent in 0.. {
                let result = zmq!(zmq_send(shared.get(), body.as_ptr().cast(), body.len(), 0));
                if result < 0 {
                    return (sent, (result, errno()));
                }
            }
            unreachable!("it fills up");
        });
        assert_interrupted(result);
        for _ in 0..sent {
            assert_eq!(pull.recv().len(), 1 << 16, "as much as there is room for here");
        }
        push.send(b"after", 0);
        assert_eq!(pull.recv(), b"after");
    });
}

fn a_signal_ends_a_poll() {
    everywhere(|context, endpoint| {
        let (pull, _push) = context.pair(PULL, PUSH, endpoint);
        let shared = Shared(pull.0);
        for timeout in [-1, 60_000] {
            let polled = interrupt(|| {
                let mut item = [Item { socket: shared.get(), fd: -1, events: 1, revents: 0 }];
                (zmq!(zmq_poll(item.as_mut_ptr(), 1, timeout)), errno())
            });
            assert_interrupted(polled);
        }
    });
}

fn a_signal_ends_a_proxy() {
    everywhere(|context, endpoint| {
        let (frontend, _push) = context.pair(PULL, PUSH, endpoint);
        let backend = context.socket(PUSH);
        backend.bind("inproc://backend");
        let shared = [frontend, backend].map(|socket| Shared(socket.into_handle()));
        assert_interrupted(interrupt(|| {
            (zmq!(zmq_proxy(shared[0].get(), shared[1].get(), ptr::null_mut())), errno())
        }));
        for socket in shared {
            assert_done(zmq!(zmq_close(socket.0)));
        }
    });
}

fn a_signal_ends_a_termination_which_can_be_called_again() {
    for flags in FLAGS {
        handle(flags);
        let context = zmq!(zmq_ctx_new());
        let shared = Shared(context);
        let socket = zmq!(zmq_socket(context, PULL));
        for _ in 0..2 {
            assert_interrupted(interrupt(|| (zmq!(zmq_ctx_term(shared.get())), errno())));
        }
        assert_fails(zmq!(zmq_recv(socket, ptr::null_mut(), 0, 0)), -1, ETERM);
        assert_done(zmq!(zmq_close(socket)));
        assert_done(zmq!(zmq_ctx_term(context)));
    }
}

/// The threads of this process.
fn threads() -> BTreeSet<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc");
    tasks.map(|task| task.expect("a thread").file_name().into_string().expect("a number")).collect()
}

fn takes_the_signal(thread: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).expect("a thread that lives");
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("the field");
    let blocked = u64::from_str_radix(blocked.trim(), 16).expect("a hexadecimal number");
    blocked & 1 << (libc::SIGUSR1 - 1) == 0
}

fn threads_of_the_library_take_no_signals() {
    let before = threads();
    let context = Context::new();
    let (pull, push) = context.pair(PULL, PUSH, "tcp://127.0.0.1:*");
    // Names are looked up by a thread of their own.
    push.connect(&pull.last_endpoint().replace("127.0.0.1", "localhost"));
    push.send(b"x", 0);
    pull.recv();
    let after = threads();
    let started: Vec<&String> = after.difference(&before).collect();
    assert!(!started.is_empty());
    for thread in started {
        // One that has just started may not have come to it.
        while takes_the_signal(thread) {
            std::thread::yield_now();
        }
    }
}

/// A set of signals with SIGUSR1, or with none.
fn signals(with: bool) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first call fills the set in.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        if with {
            libc::sigaddset(set.as_mut_ptr(), libc::SIGUSR1);
        }
        set.assume_init()
    }
}

/// Sets the calling thread's signal mask.
fn set_mask(set: &libc::sigset_t) {
    // SAFETY: a set that is filled in.
    assert_eq!(unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, set, ptr::null_mut()) }, 0);
}

fn ppoll(socket: &Shared, timeout: i64, mask: &libc::sigset_t) -> (i32, i32) {
    let mut item = [Item { socket: socket.get(), fd: -1, events: 1, revents: 0 }];
    (zmq!(zmq_ppoll(item.as_mut_ptr(), 1, timeout, mask)), errno())
}

/// The use of `ppoll`: a signal that comes between a program's look at its flag and the wait is not missed.
fn a_mask_holds_signals_back_until_the_poll() {
    everywhere(|context, endpoint| {
        let (pull, push) = context.pair(PULL, PUSH, endpoint);
        let shared = Shared(pull.0);
        set_mask(&signals(true));
        for timeout in [-1, 60_000, 0] {
            let handled = HANDLED.load(Ordering::Relaxed);
            Target::this_thread().signal();
            assert_eq!(HANDLED.load(Ordering::Relaxed), handled);
            assert_interrupted(ppoll(&shared, timeout, &signals(false)));
            assert_eq!(HANDLED.load(Ordering::Relaxed), handled + 1);
        }
        // Nothing is pending now, and the mask is what it was.
        Target::this_thread().signal();
        push.send(b"x", 0);
        assert_eq!(ppoll(&shared, -1, &signals(true)).0, 1);
        let handled = HANDLED.load(Ordering::Relaxed);
        set_mask(&signals(false));
        assert_eq!(HANDLED.load(Ordering::Relaxed), handled + 1);
    });
}

fn a_mask_holds_signals_back_during_the_poll() {
    handle(0);
    let context = Context::new();
    let (pull, push) = context.pair(PULL, PUSH, "tcp://127.0.0.1:*");
    let shared = Shared(pull.0);
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let polling = scope.spawn(|| {
            tell.send(Target::this_thread()).expect("somebody listens");
            ppoll(&shared, -1, &signals(true))
        });
        let target = told.recv().expect("the thread says who it is");
        target.wait_until_asleep();
        target.signal();
        push.send(b"x", 0);
        assert_eq!(polling.join().expect("no panic").0, 1);
    });
    assert_eq!(pull.recv(), b"x");
}
