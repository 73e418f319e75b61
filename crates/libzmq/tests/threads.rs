//! What a context's options make of its I/O threads: their names, processors, policy and priority, as the kernel tells.

use std::ffi::c_int;
use std::fs;

use common::api::*;
use common::each::is_libzmq;

mod common;

with_each_library! {
    threads_have_libzmqs_names,
    threads_run_on_the_processors_that_were_added,
    threads_have_the_policy_that_was_set,
    threads_get_a_priority_or_the_socket_an_error,
    what_cannot_be_had_fails_the_first_socket_until_less_is_asked_for,
}

const IO_THREADS: c_int = 1;
const PRIORITY: c_int = 3;
const POLICY: c_int = 4;
const CPU_ADD: c_int = 7;
const CPU_REMOVE: c_int = 8;
const NAME_PREFIX: c_int = 9;

const SCHED_FIFO: c_int = 1;
const SCHED_BATCH: c_int = 3;
const EPERM: c_int = 1;
const EACCES: c_int = 13;

fn set(context: &Context, option: c_int, value: c_int) {
    assert_done(zmq!(zmq_ctx_set(context.0, option, value)));
}

fn set_prefix(context: &Context, prefix: &[u8]) {
    assert_done(zmq!(zmq_ctx_set_ext(context.0, NAME_PREFIX, prefix.as_ptr().cast(), prefix.len())));
}

/// A file of the thread of that name, in `/proc`.
fn told_of(thread: &str, file: &str) -> Option<String> {
    let threads = fs::read_dir("/proc/self/task").expect("there is /proc");
    let folders = threads.map(|entry| entry.expect("an entry").path());
    // Threads may end meanwhile.
    let mut named = folders
        .filter(|folder| fs::read_to_string(folder.join("comm")).is_ok_and(|name| name.trim_end() == thread));
    named.next().map(|folder| fs::read_to_string(folder.join(file)).expect("the thread lives"))
}

/// A number of `/proc/…/stat`, counted from 1 as in `proc(5)`.
fn stat(thread: &str, field: usize) -> i64 {
    let text = told_of(thread, "stat").unwrap_or_else(|| panic!("no thread {thread}"));
    let behind_name = text.rsplit_once(") ").expect("a name in parentheses").1;
    behind_name.split(' ').nth(field - 3).and_then(|number| number.parse().ok()).expect("a number")
}

fn threads_have_libzmqs_names() {
    for (prefix, names) in [
        (&b""[..], ["ZMQbg/IO/0", "ZMQbg/IO/1"]),
        (b"app", ["app/ZMQbg/IO/0", "app/ZMQbg/IO/1"]),
        // A name has 15 bytes; C programs count the closing zero with the prefix.
        (b"prefix\0", ["prefix/ZMQbg/IO", "prefix/ZMQbg/IO"]),
        (b"sixteen bytes of", ["sixteen bytes o", "sixteen bytes o"]),
    ] {
        let context = Context::new();
        set(&context, IO_THREADS, 2);
        if !prefix.is_empty() {
            set_prefix(&context, prefix);
        }
        let _socket = context.socket(PAIR);
        for name in names {
            // A thread may be running before it has its name.
            while told_of(name, "comm").is_none() {
                std::thread::yield_now();
            }
        }
    }
}

/// A context with a socket, set up by `set_up`; its only I/O thread has a name of its own.
fn with_thread(name: &str, set_up: impl FnOnce(&Context)) -> (Context, Socket, String) {
    let context = Context::new();
    set_prefix(&context, name.as_bytes());
    set_up(&context);
    let socket = context.socket(PAIR);
    // Connected, so that the thread is known to have got past its start.
    let (_bound, _connected) = context.pair(REP, REQ, "tcp://127.0.0.1:*");
    _connected.send(b"x", 0);
    _bound.recv();
    (context, socket, format!("{name}/ZMQbg/IO/0"))
}

fn threads_run_on_the_processors_that_were_added() {
    let (_context, _socket, thread) = with_thread("cpu", |context| {
        set(context, CPU_ADD, 0);
        set(context, CPU_ADD, 1);
        set(context, CPU_REMOVE, 1);
        assert_fails(zmq!(zmq_ctx_set(context.0, CPU_REMOVE, 1)), -1, EINVAL);
    });
    let status = told_of(&thread, "status").expect("the thread has a name");
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("a list");
    assert_eq!(allowed.trim(), "0");
}

fn threads_have_the_policy_that_was_set() {
    let (context, _socket, thread) = with_thread("bat", |context| set(context, POLICY, SCHED_BATCH));
    assert_eq!(stat(&thread, 41), SCHED_BATCH.into());
    assert_eq!(zmq!(zmq_ctx_get(context.0, POLICY)), SCHED_BATCH);
}

/// Whether this process may raise priorities: tried on a thread that ends then.
fn may_raise() -> bool {
    // SAFETY: takes any numbers.
    let tried = std::thread::spawn(|| unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) == 0 });
    tried.join().expect("no panic")
}

fn threads_get_a_priority_or_the_socket_an_error() {
    // Without the privilege, libzmq ends the process.
    if may_raise() {
        let (_context, _socket, thread) = with_thread("pri", |context| set(context, PRIORITY, 1));
        assert_eq!((stat(&thread, 19), stat(&thread, 41)), (-20, 0));
    } else if !is_libzmq() {
        let context = Context::new();
        set(&context, PRIORITY, 1);
        assert!(zmq!(zmq_socket(context.0, PAIR)).is_null());
        assert!([EPERM, EACCES].contains(&errno()), "errno {}", errno());
    }
}

fn what_cannot_be_had_fails_the_first_socket_until_less_is_asked_for() {
    if is_libzmq() {
        // It ends the process.
        return;
    }
    let context = Context::new();
    set(&context, POLICY, SCHED_FIFO);
    for priority in [0, 100] {
        set(&context, PRIORITY, priority);
        assert_fails(zmq!(zmq_socket(context.0, PAIR)), std::ptr::null_mut(), EINVAL);
    }
    set(&context, POLICY, 0);
    set(&context, PRIORITY, 0);
    set(&context, CPU_ADD, 100_000);
    assert_fails(zmq!(zmq_socket(context.0, PAIR)), std::ptr::null_mut(), EINVAL);
    set(&context, CPU_REMOVE, 100_000);
    let (rep, req) = context.pair(REP, REQ, "tcp://127.0.0.1:*");
    req.send(b"x", 0);
    assert_eq!(rep.recv(), b"x");
}
