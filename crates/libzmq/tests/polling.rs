//! `zmq_poll` and the proxies.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr;

use common::api::*;

mod common;

with_each_library! {
    a_steerable_proxy_tells_what_it_has_passed_on,
    sockets_and_descriptors_are_told_apart_and_together,
    a_descriptor_that_is_not_open_is_an_error_of_its_item,
    no_items_sleep_for_the_time_out,
    a_time_out_passes_without_events,
    a_proxy_ends_with_eterm,
    a_look_makes_the_descriptor_of_an_idle_socket_unreadable,
    a_sockets_own_descriptor_beside_it_is_told_before_the_look,
}

const FD: i32 = 14;
const POLLIN: i16 = 1;
const POLLOUT: i16 = 2;
const POLLERR: i16 = 4;

fn on_socket(socket: &Socket, events: i16) -> Item {
    Item { socket: socket.0, fd: -1, events, revents: 99 }
}

fn on_fd(fd: i32, events: i16) -> Item {
    Item { socket: ptr::null_mut(), fd, events, revents: 99 }
}

fn poll(items: &mut [Item], timeout: i64) -> (i32, Vec<i16>) {
    let found = zmq!(zmq_poll(items.as_mut_ptr(), items.len() as i32, timeout));
    assert!(found >= 0, "errno {}", errno());
    (found, items.iter().map(|item| item.revents).collect())
}

/// `zpoller_test` of czmq: a connect makes the descriptor readable, without a message.
fn a_sockets_own_descriptor_beside_it_is_told_before_the_look() {
    let context = Context::new();
    let (pull, _push) = context.pair(PULL, PUSH, "tcp://127.0.0.1:*");
    let mut items = [on_socket(&pull, POLLIN), on_fd(pull.get(FD), POLLIN)];
    assert_eq!(poll(&mut items, -1), (1, vec![0, POLLIN]));
}

fn sockets_and_descriptors_are_told_apart_and_together() {
    let context = Context::new();
    let (pull, push) = context.pair(PULL, PUSH, "inproc://poll");
    let (near, mut far) = UnixStream::pair().expect("descriptors are left");
    let mut items = [
        on_socket(&pull, POLLIN | POLLOUT),
        on_socket(&push, POLLIN | POLLOUT),
        on_fd(near.as_raw_fd(), POLLIN),
        on_fd(-1, POLLIN),
    ];
    assert_eq!(poll(&mut items, 0), (1, vec![0, POLLOUT, 0, 0]));
    push.send(b"x", 0);
    far.write_all(b"x").expect("there is room");
    assert_eq!(poll(&mut items, -1), (3, vec![POLLIN, POLLOUT, POLLIN, 0]));
    pull.recv();
    drop(far);
    let (found, ready) = poll(&mut items, -1);
    assert_eq!((found, ready[0], ready[2] & (POLLIN | POLLERR)), (2, 0, POLLIN | POLLERR));
    // Only what is asked for is told.
    push.send(b"x", 0);
    let mut items = [on_socket(&pull, POLLOUT), on_socket(&push, 0)];
    assert_eq!(poll(&mut items, 0), (0, vec![0, 0]));
}

fn a_descriptor_that_is_not_open_is_an_error_of_its_item() {
    assert_eq!(poll(&mut [on_fd(1 << 20, POLLIN)], -1), (1, vec![POLLERR]));
}

fn a_look_makes_the_descriptor_of_an_idle_socket_unreadable() {
    let context = Context::new();
    for (socket_type, endpoint) in [(PULL, "tcp://127.0.0.1:*"), (REP, "inproc://idle"), (SUB, "ipc://*")] {
        let socket = context.socket(socket_type);
        let unbound = socket.get(FD);
        assert_eq!(socket.get(EVENTS), 0);
        assert_eq!(poll(&mut [on_fd(unbound, POLLIN)], 0), (0, vec![0]));
        socket.bind(endpoint);
        assert_eq!(socket.get(EVENTS), 0);
        assert_eq!(poll(&mut [on_fd(socket.get(FD), POLLIN)], 0), (0, vec![0]));
    }
}

/// The shortest that 30 ms may take: libzmq compares times that it has cut to whole milliseconds.
const A_TIME_OUT: std::time::Duration = std::time::Duration::from_millis(29);

fn no_items_sleep_for_the_time_out() {
    let start = std::time::Instant::now();
    assert_eq!(zmq!(zmq_poll(ptr::null_mut(), 0, 30)), 0);
    assert!(start.elapsed() >= A_TIME_OUT);
    assert_eq!(zmq!(zmq_poll(ptr::null_mut(), 0, 0)), 0);
}

fn a_time_out_passes_without_events() {
    let context = Context::new();
    let (pull, _push) = context.pair(PULL, PUSH, "tcp://127.0.0.1:*");
    let (near, _far) = UnixStream::pair().expect("descriptors are left");
    let start = std::time::Instant::now();
    let mut items = [on_socket(&pull, POLLIN), on_fd(near.as_raw_fd(), POLLIN)];
    assert_eq!(poll(&mut items, 30), (0, vec![0, 0]));
    assert!(start.elapsed() >= A_TIME_OUT);
}

/// A command's reply.
fn command(master: &Socket, text: &[u8]) -> Vec<Vec<u8>> {
    master.send(text, 0);
    let mut parts = vec![master.recv()];
    while master.get(RCVMORE) != 0 {
        parts.push(master.recv());
    }
    parts
}

fn a_steerable_proxy_tells_what_it_has_passed_on() {
    let context = Context::new();
    let (frontend, client) = context.pair(ROUTER, DEALER, "inproc://front");
    let (backend, worker) = context.pair(DEALER, REP, "tcp://127.0.0.1:*");
    let (control, master) = context.pair(REP, REQ, "inproc://control");
    let sockets = [frontend, backend, control].map(|socket| Shared(socket.into_handle()));
    std::thread::scope(|scope| {
        let proxy = scope.spawn(|| {
            let [frontend, backend, control] = sockets.each_ref().map(Shared::get);
            assert_done(zmq!(zmq_proxy_steerable(frontend, backend, ptr::null_mut(), control)));
        });
        let statistics = || -> Vec<u64> {
            let number = |part: Vec<u8>| u64::from_ne_bytes(part.try_into().expect("eight bytes"));
            command(&master, b"STATISTICS").into_iter().map(number).collect()
        };
        assert_eq!(statistics(), [0; 8]);
        for round in 1..=3 {
            // A routing id of five bytes, an empty part, and the body.
            client.send(b"", SNDMORE);
            client.send(&[b'q'; 100], 0);
            assert_eq!(worker.recv(), [b'q'; 100]);
            worker.send(&[b'a'; 10], 0);
            assert_eq!((client.recv(), client.recv()), (vec![], vec![b'a'; 10]));
            let (parts, forth, back) = (3 * round, 105 * round, 15 * round);
            assert_eq!(statistics(), [parts, forth, parts, back, parts, back, parts, forth]);
        }
        assert_eq!(command(&master, b"TERMINATE"), [b""]);
        proxy.join().expect("no panic");
    });
    for socket in sockets {
        assert_done(zmq!(zmq_close(socket.0)));
    }
}

#[test]
fn a_steerable_proxy_obeys_its_control_socket() {
    let context = Context::new();
    let (frontend, client) = context.pair(ROUTER, DEALER, "inproc://front");
    let (backend, worker) = context.pair(DEALER, DEALER, "inproc://back");
    let (control, master) = context.pair(REP, REQ, "inproc://control");
    let (capture_end, captured) = context.pair(PUSH, PULL, "inproc://capture");
    let sockets = [frontend, backend, capture_end, control].map(|socket| Shared(socket.into_handle()));
    let command = |text: &[u8]| command(&master, text);
    std::thread::scope(|scope| {
        let proxy = scope.spawn(|| {
            let [frontend, backend, capture, control] = sockets.each_ref().map(Shared::get);
            assert_done(zmq!(zmq_proxy_steerable(frontend, backend, capture, control)));
        });
        client.send(b"request", SNDMORE);
        client.send(b"body", 0);
        let id = worker.recv();
        assert_eq!((worker.recv(), worker.recv()), (b"request".to_vec(), b"body".to_vec()));
        worker.send(&id, SNDMORE);
        worker.send(b"reply", 0);
        assert_eq!(client.recv(), b"reply");
        for expected in [&id[..], b"request", b"body", &id, b"reply"] {
            assert_eq!(captured.recv(), expected);
        }
        let counts: Vec<u64> = command(b"STATISTICS")
            .into_iter()
            .map(|part| u64::from_ne_bytes(part.try_into().expect("eight bytes")))
            .collect();
        let (forth, back) = (id.len() as u64 + 11, id.len() as u64 + 5);
        assert_eq!(counts, [3, forth, 2, back, 2, back, 3, forth]);
        assert_eq!(command(b"PAUSE"), [b""]);
        client.send(b"while paused", 0);
        assert_eq!(command(b"nonsense"), [b""]);
        let mut item = [on_socket(&worker, POLLIN)];
        assert_eq!(poll(&mut item, 0).0, 0, "a paused proxy passes nothing on");
        assert_eq!(command(b"RESUME"), [b""]);
        assert_eq!((worker.recv(), worker.recv()), (id, b"while paused".to_vec()));
        assert_eq!(command(b"TERMINATE"), [b""]);
        proxy.join().expect("no panic");
    });
    for socket in sockets {
        assert_done(zmq!(zmq_close(socket.0)));
    }
}

fn a_proxy_ends_with_eterm() {
    let context = Context::new();
    let (frontend, push) = context.pair(PULL, PUSH, "tcp://127.0.0.1:*");
    let (backend, pull) = context.pair(PUSH, PULL, "tcp://127.0.0.1:*");
    let (frontend, backend) = (Shared(frontend.into_handle()), Shared(backend.into_handle()));
    let handle = Shared(context.0);
    std::thread::scope(|scope| {
        let proxy = scope.spawn(|| {
            let (frontend, backend) = (frontend.get(), backend.get());
            assert_fails(zmq!(zmq_proxy(frontend, backend, ptr::null_mut())), -1, ETERM);
            assert_done(zmq!(zmq_close(frontend)));
            assert_done(zmq!(zmq_close(backend)));
        });
        for number in 0..50_000u32 {
            if number % 1000 == 0 {
                for number in number.saturating_sub(1000)..number {
                    assert_eq!(pull.recv(), number.to_ne_bytes());
                }
            }
            push.send(&number.to_ne_bytes(), 0);
        }
        assert_done(zmq!(zmq_ctx_shutdown(handle.get())));
        proxy.join().expect("no panic");
    });
}
