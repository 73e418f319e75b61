//! What COMPATIBILITY.md says is different, shown with libzmq and with ours: endpoints, and the C interface.

use std::ffi::{CStr, CString, c_int, c_void};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::ptr;

use common::api::*;
use common::each::is_libzmq;

mod common;

with_each_library! {
    malformed_endpoints_fail_at_once,
    endpoints_are_text,
    a_path_in_use_is_not_taken_away,
    a_connect_is_tried_again_after_a_broken_handshake,
    a_peer_of_the_wrong_type_is_told_to_the_monitor,
    a_body_is_shared_no_more_once_its_other_message_is_closed,
    a_key_of_a_wrong_length_is_refused,
    a_timer_without_an_interval_does_not_hold_up_its_execution,
    a_count_below_0_is_refused,
    properties_have_the_names_of_the_manual_in_any_case,
    the_longest_message_is_no_limit_to_the_handshake,
    the_folder_of_a_wildcard_is_where_temporary_files_are,
    a_descriptor_stays_readable_until_the_events_are_asked_for,
    a_handshake_out_of_time_is_told_as_such,
    a_command_without_a_whole_name_is_malformed,
    reserved_bits_end_the_connection,
}

const ENODEV: c_int = libc::ENODEV;
const EADDRNOTAVAIL: c_int = libc::EADDRNOTAVAIL;
const SHARED: c_int = 3;

/// What is ours with our library, and what is libzmq's with libzmq.
fn of<T>(ours: T, theirs: T) -> T {
    if is_libzmq() { theirs } else { ours }
}

/// The error of a call, or 0.
fn outcome(result: c_int) -> c_int {
    if result < 0 { errno() } else { 0 }
}

fn bind(socket: &Socket, endpoint: &CStr) -> c_int {
    outcome(zmq!(zmq_bind(socket.0, endpoint.as_ptr())))
}

fn connect(socket: &Socket, endpoint: &CStr) -> c_int {
    outcome(zmq!(zmq_connect(socket.0, endpoint.as_ptr())))
}

fn malformed_endpoints_fail_at_once() {
    let context = Context::new();
    // libzmq takes these, and tries to connect for ever.
    for endpoint in [
        c"tcp://127.0.0.1:80x",
        c"tcp://127.0.0.1:65536",
        c"tcp://127.0.0.1:99999999999999999999",
        c"tcp://127.0.0.1:00",
        c"tcp://127.0.0.1:1;",
        c"tcp://127.0.0.1%lo:5555",
        c"tcp://:5555",
        c"tcp://[]:5555",
        c"tcp://[::1:1",
        c"ipc://*",
        c"ws://127.0.0.1:5555/a b",
    ] {
        assert_eq!(connect(&context.socket(PAIR), endpoint), of(EINVAL, 0), "connect to {endpoint:?}");
    }
    for (endpoint, ours, theirs) in [
        (c"tcp://:5555", EINVAL, ENODEV),
        (c"tcp://[]:5555", EINVAL, ENODEV),
        (c"tcp://*foo:1", EINVAL, ENODEV),
        (c"tcp://a/b:1234", EINVAL, ENODEV),
        (c"tcp://1.2.3.4%lo:1", EINVAL, EADDRNOTAVAIL),
        (c"tcp://127.0.0.1:*;127.0.0.1:1", EINVAL, 0),
        // A path of WebSocket, whole.
        (c"ws://127.0.0.1:*/a b", EINVAL, 0),
        (c"ws://127.0.0.1:*/a/b", 0, EINVAL),
    ] {
        assert_eq!(bind(&context.socket(PAIR), endpoint), of(ours, theirs), "bind to {endpoint:?}");
    }
}

fn endpoints_are_text() {
    let context = Context::new();
    for endpoint in [c"inproc://\xff", c"ipc://@zlink-test-\xff"] {
        assert_eq!(connect(&context.socket(PAIR), endpoint), of(EINVAL, 0));
    }
    assert_eq!(bind(&context.socket(PAIR), c"inproc://\xff"), of(EINVAL, 0));
    let text = CString::new("inproc://\u{e4}\u{1f642}").unwrap();
    assert_eq!(bind(&context.socket(PAIR), &text), 0);
}

fn a_path_in_use_is_not_taken_away() {
    let folder = std::env::temp_dir().join(format!("zlink-differences-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("a new folder");
    let path = folder.join("socket");
    let endpoint = CString::new(format!("ipc://{}", path.display())).unwrap();
    let context = Context::new();
    let listener = UnixListener::bind(&path).expect("a socket file");
    assert_eq!(bind(&context.socket(PAIR), &endpoint), of(EADDRINUSE, 0));
    // Nobody listens there any more: the file is only left over.
    drop(listener);
    assert_eq!(bind(&context.socket(PAIR), &endpoint), 0);
    let path = folder.join("file");
    std::fs::write(&path, "precious").expect("a file");
    let endpoint = CString::new(format!("ipc://{}", path.display())).unwrap();
    assert_eq!(bind(&context.socket(PAIR), &endpoint), of(EADDRINUSE, 0));
    assert_eq!(std::fs::read(&path).is_ok_and(|content| content == b"precious"), !is_libzmq());
    drop(context);
    std::fs::remove_dir_all(&folder).expect("the folder is still there");
}

fn a_connect_is_tried_again_after_a_broken_handshake() {
    let context = Context::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let push = context.socket(PUSH);
    push.set(RECONNECT_IVL, 1);
    push.connect(&format!("tcp://{}", listener.local_addr().expect("bound")));
    let break_it = || {
        // A greeting of ZMTP 3 with a mechanism of that name.
        let greeting = [&b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0BROKEN"[..], &[0; 46]].concat();
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.write_all(&greeting).expect("written");
        stream
    };
    let _first = break_it();
    if is_libzmq() {
        // It takes the pipe away.
        while push.get(EVENTS) != 0 {
            std::thread::yield_now();
        }
    } else {
        let _second = break_it();
        assert_eq!(push.get(EVENTS), 2);
    }
}

fn a_peer_of_the_wrong_type_is_told_to_the_monitor() {
    const FAILED: c_int = 0x2000;
    const INVALID_METADATA: c_int = 0x1000_0018;
    let context = Context::new();
    let (server, events) = (context.socket(REP), context.socket(PAIR));
    let endpoint = c"inproc://events";
    assert_done(zmq!(zmq_socket_monitor(server.0, endpoint.as_ptr(), DISCONNECTED | FAILED)));
    events.connect(endpoint.to_str().unwrap());
    server.bind("tcp://127.0.0.1:*");
    let client = context.socket(PUB);
    client.connect(&server.last_endpoint());
    let (number, value) = hear_event(&events);
    assert_eq!(number, of(FAILED, DISCONNECTED));
    if !is_libzmq() {
        assert_eq!(value, INVALID_METADATA);
    }
}

fn a_body_is_shared_no_more_once_its_other_message_is_closed() {
    let (mut large, mut copy) = (Msg::none(), Msg::none());
    assert_done(zmq!(zmq_msg_init_size(&mut large, 1024)));
    assert_done(zmq!(zmq_msg_init(&mut copy)));
    assert_done(zmq!(zmq_msg_copy(&mut copy, &mut large)));
    assert_eq!(zmq!(zmq_msg_get(&large, SHARED)), 1);
    assert_done(zmq!(zmq_msg_close(&mut copy)));
    assert_eq!(zmq!(zmq_msg_get(&large, SHARED)), of(0, 1));
    assert_done(zmq!(zmq_msg_close(&mut large)));
}

fn a_key_of_a_wrong_length_is_refused() {
    // libzmq makes a key of what lies beside it.
    if !is_libzmq() {
        let mut key = [0; 41];
        for secret in [c"", c"short", c"0000000000000000000000000000000000000000000000000000"] {
            assert_fails(zmq!(zmq_curve_public(key.as_mut_ptr(), secret.as_ptr())), -1, EINVAL);
        }
    }
}

unsafe extern "C" fn count(_timer: c_int, argument: *mut c_void) {
    // SAFETY: the number that was given with the timer, which outlives it.
    unsafe { *argument.cast::<u32>() += 1 };
}

fn a_timer_without_an_interval_does_not_hold_up_its_execution() {
    // libzmq runs it for ever.
    if !is_libzmq() {
        let (mut timers, mut counted) = (zmq!(zmq_timers_new()), 0u32);
        let argument = ptr::from_mut(&mut counted).cast();
        assert!(zmq!(zmq_timers_add(timers, 0, Some(count), argument)) >= 0);
        for _ in 0..3 {
            assert_done(zmq!(zmq_timers_execute(timers)));
        }
        assert_done(zmq!(zmq_timers_destroy(&mut timers)));
        assert_eq!(counted, 3);
    }
}

fn a_count_below_0_is_refused() {
    let context = Context::new();
    let socket = context.socket(PAIR);
    let mut item = Item { socket: socket.0, fd: -1, events: 1, revents: 0 };
    // libzmq fails as well, with whatever error was last.
    assert_eq!(zmq!(zmq_poll(&mut item, -1, 0)), -1);
    assert!(is_libzmq() || errno() == EINVAL);
}

fn properties_have_the_names_of_the_manual_in_any_case() {
    let context = Context::new();
    let (pull, push) = (context.socket(ROUTER), context.socket(DEALER));
    assert_done(zmq!(zmq_setsockopt(push.0, ROUTING_ID, b"name".as_ptr().cast(), 4)));
    pull.bind("tcp://127.0.0.1:*");
    push.connect(&pull.last_endpoint());
    push.send(b"x", 0);
    let mut message = Msg::none();
    assert_done(zmq!(zmq_msg_init(&mut message)));
    assert_eq!(zmq!(zmq_msg_recv(&mut message, pull.0, 0)), 4);
    assert_eq!(text(zmq!(zmq_msg_gets(&message, c"Identity".as_ptr()))), "name");
    for (name, value) in [(c"Routing-Id", "name"), (c"identity", "name"), (c"SOCKET-TYPE", "DEALER")] {
        let property = zmq!(zmq_msg_gets(&message, name.as_ptr()));
        assert_eq!((!property.is_null()).then(|| text(property)), of(Some(value.to_owned()), None));
    }
    assert_done(zmq!(zmq_msg_close(&mut message)));
}

fn the_longest_message_is_no_limit_to_the_handshake() {
    const HANDSHAKE_SUCCEEDED: c_int = 0x1000;
    const MAXMSGSIZE: c_int = 22;
    let context = Context::new();
    let (pull, events) = (context.socket(PULL), context.socket(PAIR));
    let limit = 3i64.to_ne_bytes();
    assert_done(zmq!(zmq_setsockopt(pull.0, MAXMSGSIZE, limit.as_ptr().cast(), limit.len())));
    let wanted = DISCONNECTED | HANDSHAKE_SUCCEEDED;
    assert_done(zmq!(zmq_socket_monitor(pull.0, c"inproc://events".as_ptr(), wanted)));
    events.connect("inproc://events");
    pull.bind("tcp://127.0.0.1:*");
    let push = context.socket(PUSH);
    push.connect(&pull.last_endpoint());
    let (number, _) = hear_event(&events);
    // libzmq counts the READY, which is longer, and lets nobody in.
    assert_eq!(number, of(HANDSHAKE_SUCCEEDED, DISCONNECTED));
    if !is_libzmq() {
        push.send(b"yes", 0);
        assert_eq!(pull.recv(), b"yes");
    }
}

fn the_folder_of_a_wildcard_is_where_temporary_files_are() {
    for name in ["TMPDIR", "TEMPDIR", "TMP"] {
        // SAFETY: the process runs this test alone, in a thread that nobody else has begun to look with.
        unsafe { std::env::remove_var(name) };
    }
    let context = Context::new();
    let pull = context.socket(PULL);
    pull.bind("ipc://*");
    let endpoint = pull.last_endpoint();
    // libzmq's is beside whatever the program works with.
    assert!(endpoint.starts_with(of("ipc:///tmp/", "ipc://tmp")), "{endpoint}");
}

fn a_descriptor_stays_readable_until_the_events_are_asked_for() {
    const FD: c_int = 14;
    let context = Context::new();
    let (pull, push) = context.pair(PULL, PUSH, "inproc://descriptor");
    push.send(b"x", 0);
    let mut item = Item { socket: pull.0, fd: -1, events: 1, revents: 0 };
    assert_eq!(zmq!(zmq_poll(&mut item, 1, -1)), 1);
    let mut descriptor = libc::pollfd { fd: pull.get(FD), events: libc::POLLIN, revents: 0 };
    // SAFETY: one item, which outlives the calls.
    let mut readable = || unsafe { libc::poll(&mut descriptor, 1, 0) };
    assert_eq!(readable(), of(1, 0));
    assert_eq!(pull.get(EVENTS), 1);
    assert_eq!(readable(), 0);
}

const DISCONNECTED: c_int = 0x200;
const FAILED_NO_DETAIL: c_int = 0x800;
const FAILED_PROTOCOL: c_int = 0x2000;

/// The events of a REP that has these told, after a peer has said `bytes`: the first one's number and value.
fn told_after(bytes: &[u8], events: c_int, set_up: impl Fn(&Socket)) -> (c_int, c_int) {
    let context = Context::new();
    let (server, told) = (context.socket(REP), context.socket(PAIR));
    set_up(&server);
    assert_done(zmq!(zmq_socket_monitor(server.0, c"inproc://told".as_ptr(), events)));
    told.connect("inproc://told");
    server.bind("tcp://127.0.0.1:*");
    let endpoint = server.last_endpoint();
    let mut peer =
        std::net::TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).expect("a connection");
    peer.write_all(bytes).expect("written");
    if is_libzmq() && events == DISCONNECTED {
        // It waits for the rest of what it takes for a frame.
        peer.shutdown(std::net::Shutdown::Write).expect("shut down");
    }
    hear_event(&told)
}

/// The number and the value of the next event; where it happened is left to be read.
fn hear_event(events: &Socket) -> (c_int, c_int) {
    let first = events.recv();
    let value = c_int::from_ne_bytes(first[2..].try_into().expect("four bytes"));
    (c_int::from(u16::from_ne_bytes([first[0], first[1]])), value)
}

fn greeting() -> Vec<u8> {
    [&b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL"[..], &[0; 48]].concat()
}

fn a_handshake_out_of_time_is_told_as_such() {
    const HANDSHAKE_IVL: c_int = 66;
    let (number, value) = told_after(b"", FAILED_NO_DETAIL, |socket| socket.set(HANDSHAKE_IVL, 10));
    assert_eq!(number, FAILED_NO_DETAIL);
    // libzmq tells whatever error was last.
    assert!(is_libzmq() || value == libc::ETIMEDOUT);
}

fn a_command_without_a_whole_name_is_malformed() {
    const UNEXPECTED: c_int = 0x1000_0001;
    const MALFORMED: c_int = 0x1000_0011;
    let bytes = [&greeting()[..], b"\x04\x05\x06READ"].concat();
    let told = told_after(&bytes, FAILED_PROTOCOL, |_| {});
    assert_eq!(told, (FAILED_PROTOCOL, of(MALFORMED, UNEXPECTED)));
}

fn reserved_bits_end_the_connection() {
    let ready = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03REQ";
    let bytes = [&greeting()[..], ready, b"\xff"].concat();
    assert_eq!(told_after(&bytes, DISCONNECTED, |_| {}).0, DISCONNECTED);
}
