//! `zmq_poller_*`.

use std::ffi::c_void;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr::null_mut;

use common::api::*;
use common::each::is_libzmq;
use common::signals::{Target, handle, interrupt};

mod common;

with_each_library! {
    what_is_no_poller_is_refused,
    what_is_no_socket_or_descriptor_is_refused,
    unknown_events_are_refused,
    a_source_is_registered_once,
    the_size_counts_sources_with_and_without_events,
    a_message_is_an_event_with_its_socket_and_user_data,
    a_descriptor_is_an_event_with_its_user_data,
    events_come_in_the_order_of_registration_and_no_more_than_there_is_room_for,
    modified_events_are_what_the_next_wait_is_for,
    a_wait_that_finds_nothing_in_time_fails,
    a_wait_that_could_never_end_fails,
    a_failed_wait_clears_the_event,
    a_poller_has_a_descriptor_from_the_first_thread_safe_socket_on,
    the_descriptor_tells_of_events,
    the_descriptor_tells_of_sockets_that_come_later_and_not_of_those_that_went,
    the_descriptor_tells_of_the_end_of_the_context,
    a_message_ends_a_wait,
    a_signal_ends_a_wait,
    the_end_of_the_context_ends_a_wait,
    a_socket_closed_in_a_poller_fails_its_waits_until_it_is_removed,
}

const POLLIN: i16 = 1;
const POLLOUT: i16 = 2;
const POLLERR: i16 = 4;
const UNKNOWN: i16 = i16::MAX;
const ENDPOINTS: [&str; 3] = ["inproc://poller", "tcp://127.0.0.1:*", "ipc://*"];
const NONE: Event = Event { socket: null_mut(), fd: -1, user_data: null_mut(), events: 0 };
const STALE: Event = Event { socket: null_mut(), fd: 77, user_data: null_mut(), events: 77 };

/// A poller, destroyed at the end.
struct Poller(Handle);

impl Poller {
    fn new() -> Self {
        let poller = zmq!(zmq_poller_new());
        assert!(!poller.is_null(), "errno {}", errno());
        Poller(poller)
    }

    fn add(&self, socket: &Socket, user_data: usize, events: i16) {
        assert_done(zmq!(zmq_poller_add(self.0, socket.0, data(user_data), events)));
    }

    fn add_fd(&self, fd: &impl AsRawFd, user_data: usize, events: i16) {
        assert_done(zmq!(zmq_poller_add_fd(self.0, fd.as_raw_fd(), data(user_data), events)));
    }

    fn wait(&self, timeout: i64) -> Event {
        let mut event = STALE;
        assert_done(zmq!(zmq_poller_wait(self.0, &mut event, timeout)));
        event
    }

    /// The events, and that the room behind them is cleared.
    fn wait_all(&self, room: usize, timeout: i64) -> Vec<Event> {
        let mut events = vec![STALE; room];
        let found = zmq!(zmq_poller_wait_all(self.0, events.as_mut_ptr(), room as i32, timeout));
        assert!(found > 0, "errno {}", errno());
        let rest = events.split_off(found as usize);
        assert!(rest.iter().all(|event| *event == NONE));
        events
    }

    fn assert_nothing(&self, timeout: i64) {
        assert_fails(zmq!(zmq_poller_wait(self.0, &mut { STALE }, timeout)), -1, EAGAIN);
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        assert_done(zmq!(zmq_poller_destroy(&mut self.0)));
        assert!(self.0.is_null());
    }
}

fn data(number: usize) -> *mut c_void {
    std::ptr::without_provenance_mut(number)
}

fn of_socket(socket: &Socket, user_data: usize, events: i16) -> Event {
    Event { socket: socket.0, fd: -1, user_data: data(user_data), events }
}

fn of_fd(fd: &impl AsRawFd, user_data: usize, events: i16) -> Event {
    Event { socket: null_mut(), fd: fd.as_raw_fd(), user_data: data(user_data), events }
}

fn streams() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("descriptors are left")
}

fn what_is_no_poller_is_refused() {
    let context = Context::new();
    let socket = context.socket(PAIR);
    let mut nothing: Handle = null_mut();
    let mut closed = zmq!(zmq_poller_new());
    let stale = closed;
    assert_done(zmq!(zmq_poller_destroy(&mut closed)));
    assert_fails(zmq!(zmq_poller_destroy(null_mut())), -1, EFAULT);
    assert_fails(zmq!(zmq_poller_destroy(&mut nothing)), -1, EFAULT);
    let mut memory = [0u64; 64];
    let mut others = vec![null_mut(), memory.as_mut_ptr().cast()];
    // libzmq reads freed memory.
    if !is_libzmq() {
        others.extend([stale, socket.0, context.0]);
    }
    for other in others {
        let (mut event, mut fd) = (STALE, 0);
        assert_fails(zmq!(zmq_poller_size(other)), -1, EFAULT);
        assert_fails(zmq!(zmq_poller_add(other, socket.0, null_mut(), POLLIN)), -1, EFAULT);
        assert_fails(zmq!(zmq_poller_modify(other, socket.0, POLLIN)), -1, EFAULT);
        assert_fails(zmq!(zmq_poller_remove(other, socket.0)), -1, EFAULT);
        assert_fails(zmq!(zmq_poller_add_fd(other, 0, null_mut(), POLLIN)), -1, EFAULT);
        assert_fails(zmq!(zmq_poller_modify_fd(other, 0, POLLIN)), -1, EFAULT);
        assert_fails(zmq!(zmq_poller_remove_fd(other, 0)), -1, EFAULT);
        assert_fails(zmq!(zmq_poller_wait(other, &mut event, 0)), -1, EFAULT);
        assert_fails(zmq!(zmq_poller_wait_all(other, &mut event, 1, 0)), -1, EFAULT);
        assert_fails(zmq!(zmq_poller_fd(other, &mut fd)), -1, EFAULT);
        let mut other = other;
        assert_fails(zmq!(zmq_poller_destroy(&mut other)), -1, EFAULT);
    }
    let poller = Poller::new();
    assert_fails(zmq!(zmq_poller_wait(poller.0, null_mut(), 0)), -1, EFAULT);
    assert_fails(zmq!(zmq_poller_wait_all(poller.0, null_mut(), 1, 0)), -1, EFAULT);
    assert_fails(zmq!(zmq_poller_wait_all(poller.0, &mut { STALE }, -1, 0)), -1, EINVAL);
}

fn what_is_no_socket_or_descriptor_is_refused() {
    let poller = Poller::new();
    let mut memory = [0u64; 512];
    for socket in [null_mut(), memory.as_mut_ptr().cast()] {
        // The pointer is looked at before the events.
        assert_fails(zmq!(zmq_poller_add(poller.0, socket, null_mut(), UNKNOWN)), -1, ENOTSOCK);
        assert_fails(zmq!(zmq_poller_modify(poller.0, socket, UNKNOWN)), -1, ENOTSOCK);
        assert_fails(zmq!(zmq_poller_remove(poller.0, socket)), -1, ENOTSOCK);
    }
    assert_fails(zmq!(zmq_poller_add_fd(poller.0, -1, null_mut(), UNKNOWN)), -1, EBADF);
    assert_fails(zmq!(zmq_poller_modify_fd(poller.0, -1, UNKNOWN)), -1, EBADF);
    assert_fails(zmq!(zmq_poller_remove_fd(poller.0, -1)), -1, EBADF);
}

fn unknown_events_are_refused() {
    let context = Context::new();
    let (poller, socket) = (Poller::new(), context.socket(PAIR));
    for events in [UNKNOWN, -1, 16] {
        assert_fails(zmq!(zmq_poller_add(poller.0, socket.0, null_mut(), events)), -1, EINVAL);
        assert_fails(zmq!(zmq_poller_add_fd(poller.0, 0, null_mut(), events)), -1, EINVAL);
    }
    assert_eq!(zmq!(zmq_poller_size(poller.0)), 0);
    poller.add(&socket, 0, 15);
    assert_done(zmq!(zmq_poller_add_fd(poller.0, 0, null_mut(), 15)));
    assert_fails(zmq!(zmq_poller_modify(poller.0, socket.0, UNKNOWN)), -1, EINVAL);
    assert_fails(zmq!(zmq_poller_modify_fd(poller.0, 0, UNKNOWN)), -1, EINVAL);
}

fn a_source_is_registered_once() {
    let context = Context::new();
    let (poller, socket, (near, _far)) = (Poller::new(), context.socket(PAIR), streams());
    let fd = near.as_raw_fd();
    for _ in 0..2 {
        assert_fails(zmq!(zmq_poller_modify(poller.0, socket.0, POLLIN)), -1, EINVAL);
        assert_fails(zmq!(zmq_poller_remove(poller.0, socket.0)), -1, EINVAL);
        assert_fails(zmq!(zmq_poller_modify_fd(poller.0, fd, POLLIN)), -1, EINVAL);
        assert_fails(zmq!(zmq_poller_remove_fd(poller.0, fd)), -1, EINVAL);
        poller.add(&socket, 0, POLLIN);
        poller.add_fd(&near, 0, POLLIN);
        assert_fails(zmq!(zmq_poller_add(poller.0, socket.0, data(1), POLLOUT)), -1, EINVAL);
        assert_fails(zmq!(zmq_poller_add_fd(poller.0, fd, data(1), POLLOUT)), -1, EINVAL);
        assert_done(zmq!(zmq_poller_remove(poller.0, socket.0)));
        assert_done(zmq!(zmq_poller_remove_fd(poller.0, fd)));
    }
}

fn the_size_counts_sources_with_and_without_events() {
    let context = Context::new();
    let (poller, socket, (near, far)) = (Poller::new(), context.socket(PAIR), streams());
    let size = || zmq!(zmq_poller_size(poller.0));
    assert_eq!(size(), 0);
    poller.add(&socket, 0, POLLIN);
    assert_eq!(size(), 1);
    assert_done(zmq!(zmq_poller_modify(poller.0, socket.0, 0)));
    assert_eq!(size(), 1);
    poller.add_fd(&near, 0, 0);
    poller.add_fd(&far, 0, POLLOUT);
    assert_eq!(size(), 3);
    assert_done(zmq!(zmq_poller_remove(poller.0, socket.0)));
    assert_done(zmq!(zmq_poller_remove_fd(poller.0, near.as_raw_fd())));
    assert_eq!(size(), 1);
}

fn a_message_is_an_event_with_its_socket_and_user_data() {
    let context = Context::new();
    for endpoint in ENDPOINTS {
        let (poller, (pull, push)) = (Poller::new(), context.pair(PULL, PUSH, endpoint));
        poller.add(&pull, 42, POLLIN | POLLOUT | POLLERR);
        poller.assert_nothing(0);
        for round in 0..3u8 {
            push.send(&[round], 0);
            assert_eq!(poller.wait(-1), of_socket(&pull, 42, POLLIN));
            assert_eq!(poller.wait(0), of_socket(&pull, 42, POLLIN), "until it is taken");
            assert_eq!(pull.recv(), [round]);
            poller.assert_nothing(0);
        }
    }
}

fn a_descriptor_is_an_event_with_its_user_data() {
    let (poller, (near, mut far)) = (Poller::new(), streams());
    poller.add_fd(&near, 7, POLLIN);
    poller.assert_nothing(0);
    far.write_all(b"x").expect("there is room");
    assert_eq!(poller.wait(-1), of_fd(&near, 7, POLLIN));
    assert_done(zmq!(zmq_poller_modify_fd(poller.0, near.as_raw_fd(), POLLIN | POLLOUT)));
    assert_eq!(poller.wait(-1), of_fd(&near, 7, POLLIN | POLLOUT));
    drop(far);
    assert_done(zmq!(zmq_poller_modify_fd(poller.0, near.as_raw_fd(), POLLOUT)));
    assert_eq!(poller.wait(-1), of_fd(&near, 7, POLLOUT | POLLERR), "hung up");
    // Without events it is left out, whatever it has to tell.
    assert_done(zmq!(zmq_poller_modify_fd(poller.0, near.as_raw_fd(), 0)));
    poller.assert_nothing(0);
}

fn events_come_in_the_order_of_registration_and_no_more_than_there_is_room_for() {
    let context = Context::new();
    let (poller, (pull, push), (near, _far)) =
        (Poller::new(), context.pair(PULL, PUSH, "inproc://order"), streams());
    poller.add(&pull, 1, POLLIN);
    poller.add_fd(&near, 2, POLLOUT);
    poller.add(&push, 3, POLLOUT);
    let later = [of_fd(&near, 2, POLLOUT), of_socket(&push, 3, POLLOUT)];
    assert_eq!(poller.wait_all(5, -1), later);
    push.send(b"x", 0);
    let first = of_socket(&pull, 1, POLLIN);
    assert_eq!(poller.wait_all(3, -1), [first, later[0], later[1]]);
    assert_eq!(poller.wait_all(2, -1), [first, later[0]]);
    assert_eq!(poller.wait(-1), first);
}

fn modified_events_are_what_the_next_wait_is_for() {
    let context = Context::new();
    let (poller, (left, right)) = (Poller::new(), context.pair(PAIR, PAIR, "tcp://127.0.0.1:*"));
    right.send(b"x", 0);
    poller.add(&left, 0, 0);
    for (events, other) in [(POLLIN, 0), (POLLOUT, POLLERR), (POLLIN | POLLOUT, 0)] {
        assert_done(zmq!(zmq_poller_modify(poller.0, left.0, events)));
        // Both sides of the connection come up in their own time.
        while poller.wait(-1).events != events {}
        assert_done(zmq!(zmq_poller_modify(poller.0, left.0, other)));
        poller.assert_nothing(0);
    }
}

fn a_wait_that_finds_nothing_in_time_fails() {
    let context = Context::new();
    let (poller, (pull, _push), (near, _far)) =
        (Poller::new(), context.pair(PULL, PUSH, "tcp://127.0.0.1:*"), streams());
    // Also without anything to wait for.
    for _ in 0..2 {
        let start = std::time::Instant::now();
        poller.assert_nothing(0);
        poller.assert_nothing(30);
        assert_fails(zmq!(zmq_poller_wait_all(poller.0, &mut { STALE }, 1, 30)), -1, EAGAIN);
        // libzmq compares times that it has cut to whole milliseconds.
        assert!(start.elapsed() >= std::time::Duration::from_millis(59));
        assert_fails(zmq!(zmq_poller_wait_all(poller.0, &mut { STALE }, 0, 0)), -1, EAGAIN);
        if zmq!(zmq_poller_size(poller.0)) == 0 {
            poller.add(&pull, 0, POLLIN);
            poller.add_fd(&near, 0, POLLIN);
        }
    }
}

fn a_wait_that_could_never_end_fails() {
    let context = Context::new();
    let (poller, socket, (near, _far)) = (Poller::new(), context.socket(PAIR), streams());
    for _ in 0..2 {
        assert_fails(zmq!(zmq_poller_wait(poller.0, &mut { STALE }, -1)), -1, EFAULT);
        assert_fails(zmq!(zmq_poller_wait_all(poller.0, &mut { STALE }, 1, -1)), -1, EFAULT);
        assert_fails(zmq!(zmq_poller_wait_all(poller.0, &mut { STALE }, 0, -1)), -1, EFAULT);
        if zmq!(zmq_poller_size(poller.0)) == 0 {
            poller.add(&socket, 0, 0);
            poller.add_fd(&near, 0, 0);
        }
    }
    // libzmq never comes back.
    if !is_libzmq() {
        assert_done(zmq!(zmq_poller_modify(poller.0, socket.0, POLLIN)));
        assert_fails(zmq!(zmq_poller_wait_all(poller.0, &mut { STALE }, 0, -1)), -1, EFAULT);
    }
}

fn a_failed_wait_clears_the_event() {
    let poller = Poller::new();
    for (poller, number) in [(poller.0, EAGAIN), (null_mut(), EFAULT)] {
        let mut event = STALE;
        assert_fails(zmq!(zmq_poller_wait(poller, &mut event, 0)), -1, number);
        assert_eq!(event, NONE);
    }
}

fn descriptor(poller: &Poller) -> i32 {
    let mut fd = -1;
    assert_done(zmq!(zmq_poller_fd(poller.0, &mut fd)));
    fd
}

/// Whether a descriptor is readable, waiting up to `timeout` milliseconds for it.
fn is_readable(fd: i32, timeout: i32) -> bool {
    let mut item = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one item, which outlives the call.
    let found = unsafe { libc::poll(&mut item, 1, timeout) };
    assert!(found >= 0, "{}", std::io::Error::last_os_error());
    found == 1 && item.revents == libc::POLLIN
}

/// The next event, found by an outside loop over the descriptor.
fn next_event(poller: &Poller, fd: i32) -> Event {
    let mut event = STALE;
    while zmq!(zmq_poller_wait(poller.0, &mut event, 0)) != 0 {
        assert_eq!(errno(), EAGAIN);
        assert!(is_readable(fd, -1));
    }
    event
}

/// Until nothing is under way any more that the descriptor could tell of. It tells of what comes after a wait has found
/// nothing.
fn settle(poller: &Poller, fd: i32) {
    loop {
        poller.assert_nothing(0);
        if !is_readable(fd, 50) {
            return;
        }
    }
}

fn a_poller_has_a_descriptor_from_the_first_thread_safe_socket_on() {
    let context = Context::new();
    let (poller, pair, client) = (Poller::new(), context.socket(PAIR), context.socket(CLIENT));
    let mut fd = 0;
    assert_fails(zmq!(zmq_poller_fd(poller.0, &mut fd)), -1, EINVAL);
    poller.add(&pair, 0, POLLIN);
    assert_fails(zmq!(zmq_poller_fd(poller.0, &mut fd)), -1, EINVAL);
    poller.add(&client, 0, POLLIN);
    fd = descriptor(&poller);
    assert_eq!(fd, descriptor(&poller));
    assert_done(zmq!(zmq_poller_remove(poller.0, client.0)));
    assert_eq!(fd, descriptor(&poller));
    if !is_libzmq() {
        assert_fails(zmq!(zmq_poller_fd(poller.0, null_mut())), -1, EFAULT);
    }
}

fn the_descriptor_tells_of_events() {
    let context = Context::new();
    for endpoint in ENDPOINTS {
        let (poller, (server, client)) = (Poller::new(), context.pair(SERVER, CLIENT, endpoint));
        poller.add(&server, 3, POLLIN);
        let fd = descriptor(&poller);
        for round in 0..100u8 {
            let late = round % 10 == 0;
            if late {
                settle(&poller, fd);
            }
            client.send(&[round], 0);
            if late {
                assert!(is_readable(fd, -1));
            }
            assert_eq!(next_event(&poller, fd), of_socket(&server, 3, POLLIN));
            assert_eq!(server.recv(), [round]);
        }
    }
}

fn the_descriptor_tells_of_sockets_that_come_later_and_not_of_those_that_went() {
    let context = Context::new();
    let (poller, first) = (Poller::new(), context.socket(GATHER));
    poller.add(&first, 0, POLLIN);
    let fd = descriptor(&poller);
    let (gather, scatter) = context.pair(GATHER, SCATTER, "tcp://127.0.0.1:*");
    poller.add(&gather, 5, POLLIN);
    scatter.send(b"x", 0);
    assert_eq!(next_event(&poller, fd), of_socket(&gather, 5, POLLIN));
    assert_eq!(gather.recv(), b"x");
    assert_done(zmq!(zmq_poller_remove(poller.0, gather.0)));
    settle(&poller, fd);
    scatter.send(b"y", 0);
    assert_eq!(gather.recv(), b"y");
    assert!(!is_readable(fd, 0));
}

fn the_descriptor_tells_of_the_end_of_the_context() {
    let context = Context::new();
    let (poller, client) = (Poller::new(), context.socket(CLIENT));
    poller.add(&client, 0, POLLIN);
    let fd = descriptor(&poller);
    settle(&poller, fd);
    assert_done(zmq!(zmq_ctx_shutdown(context.0)));
    assert!(is_readable(fd, -1));
    assert_fails(zmq!(zmq_poller_wait(poller.0, &mut { STALE }, 0)), -1, ETERM);
}

fn a_message_ends_a_wait() {
    let context = Context::new();
    for endpoint in ENDPOINTS {
        let (poller, (pull, push)) = (Poller::new(), context.pair(PULL, PUSH, endpoint));
        poller.add(&pull, 5, POLLIN);
        let (shared, (tell, told)) = (Shared(poller.0), std::sync::mpsc::channel());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                tell.send(Target::this_thread()).expect("somebody listens");
                let mut event = STALE;
                assert_done(zmq!(zmq_poller_wait(shared.get(), &mut event, -1)));
                event.events
            });
            told.recv().expect("the thread says who it is").wait_until_asleep();
            push.send(b"x", 0);
            assert_eq!(waiting.join().expect("no panic"), POLLIN);
        });
        assert_eq!(pull.recv(), b"x");
    }
}

fn a_signal_ends_a_wait() {
    handle(libc::SA_RESTART);
    let context = Context::new();
    for endpoint in ENDPOINTS {
        let (poller, (pull, _push)) = (Poller::new(), context.pair(PULL, PUSH, endpoint));
        let shared = Shared(poller.0);
        let wait =
            |timeout| interrupt(|| (zmq!(zmq_poller_wait(shared.get(), &mut { STALE }, timeout)), errno()));
        assert_eq!(wait(60_000), (-1, EINTR), "with nothing to wait for");
        poller.add(&pull, 0, POLLIN);
        assert_eq!(wait(60_000), (-1, EINTR));
        assert_eq!(wait(-1), (-1, EINTR));
    }
}

fn the_end_of_the_context_ends_a_wait() {
    let context = Context::new();
    let (pull, push) = context.pair(PULL, PUSH, "tcp://127.0.0.1:*");
    let poller = Poller::new();
    poller.add(&pull, 0, POLLIN);
    let (shared, shut) = (Shared(poller.0), Shared(context.0));
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            tell.send(Target::this_thread()).expect("somebody listens");
            assert_fails(zmq!(zmq_poller_wait(shared.get(), &mut { STALE }, -1)), -1, ETERM);
        });
        told.recv().expect("the thread says who it is").wait_until_asleep();
        assert_done(zmq!(zmq_ctx_shutdown(shut.get())));
    });
    assert_fails(zmq!(zmq_poller_wait(poller.0, &mut { STALE }, 0)), -1, ETERM);
    // A socket without events tells, if there is another to wait for.
    let (near, _far) = streams();
    poller.add_fd(&near, 0, POLLOUT);
    assert_done(zmq!(zmq_poller_modify(poller.0, pull.0, 0)));
    assert_fails(zmq!(zmq_poller_wait(poller.0, &mut { STALE }, 0)), -1, ETERM);
    assert_done(zmq!(zmq_poller_remove(poller.0, pull.0)));
    drop(push);
}

/// Undefined in libzmq.
fn a_socket_closed_in_a_poller_fails_its_waits_until_it_is_removed() {
    if is_libzmq() {
        return;
    }
    let context = Context::new();
    let (poller, (pull, push)) = (Poller::new(), context.pair(PULL, PUSH, "inproc://closed"));
    poller.add(&pull, 0, POLLIN);
    poller.add(&push, 0, POLLOUT);
    let closed = pull.0;
    drop(pull);
    assert_fails(zmq!(zmq_poller_wait(poller.0, &mut { STALE }, -1)), -1, ENOTSOCK);
    assert_fails(zmq!(zmq_poller_modify(poller.0, closed, POLLIN)), -1, ENOTSOCK);
    assert_done(zmq!(zmq_poller_remove(poller.0, closed)));
    assert_fails(zmq!(zmq_poller_remove(poller.0, closed)), -1, ENOTSOCK);
    poller.assert_nothing(0);
    // And one that is closed during the wait.
    let (shared, push) = (Shared(poller.0), Shared(push.into_handle()));
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            tell.send(Target::this_thread()).expect("somebody listens");
            assert_fails(zmq!(zmq_poller_wait(shared.get(), &mut { STALE }, -1)), -1, ENOTSOCK);
        });
        told.recv().expect("the thread says who it is").wait_until_asleep();
        assert_done(zmq!(zmq_close(push.get())));
    });
}
