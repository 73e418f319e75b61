//! Options whose effect is seen from outside: on the connections' descriptors, at the peer, or by what passes.

use std::ffi::{CStr, c_int, c_void};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::ptr;

use common::api::*;
use common::connection::{kernel, received, source};
use common::each::is_libzmq;

mod common;

with_each_library! {
    options_of_descriptors_are_set_on_both_ends,
    the_traffic_class_is_set_on_ipv6,
    busy_polling_is_set_where_the_kernel_allows_it,
    connections_are_bound_to_the_device,
    buffers_of_ipc_connections_have_the_sizes_asked_for,
    ipc_connections_buffer_more_than_the_system_lets_them_by_default,
    metadata_reaches_the_peer,
    a_ready_made_descriptor_is_listened_on,
    topics_are_counted_once,
    subscriptions_within_a_message_leave_it_whole,
    inverted_matching_passes_what_is_not_subscribed_to,
    a_greeting_that_takes_too_long_ends_the_connection,
    the_backlog_is_that_of_the_listening_descriptor,
}

const SNDBUF: c_int = 11;
const RCVBUF: c_int = 12;
const BACKLOG: c_int = 19;
const UNSUBSCRIBE: c_int = 7;
const KEEPALIVE: c_int = 34;
const KEEPALIVE_CNT: c_int = 35;
const KEEPALIVE_IDLE: c_int = 36;
const KEEPALIVE_INTVL: c_int = 37;
const IPV6: c_int = 42;
const TOS: c_int = 57;
const HANDSHAKE_IVL: c_int = 66;
const INVERT_MATCHING: c_int = 74;
const TCP_MAXRT: c_int = 80;
const USE_FD: c_int = 89;
const BINDTODEVICE: c_int = 92;
const METADATA: c_int = 95;
const PRIORITY: c_int = 112;
const BUSY_POLL: c_int = 113;
const TOPICS_COUNT: c_int = 116;
const XPUB: c_int = 9;
const XSUB: c_int = 10;

fn set_bytes(socket: &Socket, option: c_int, value: &[u8]) -> c_int {
    zmq!(zmq_setsockopt(socket.0, option, value.as_ptr().cast(), value.len()))
}

/// Both ends of a connection between sockets that `set_up` has seen, and the sockets that keep it.
fn ends(context: &Context, endpoint: &str, set_up: impl Fn(&Socket)) -> ([c_int; 2], [Socket; 2]) {
    let (rep, req) = (context.socket(REP), context.socket(REQ));
    set_up(&rep);
    set_up(&req);
    rep.bind(endpoint);
    req.connect(&rep.last_endpoint());
    req.send(b"x", 0);
    let accepted = source(&rep);
    rep.send(b"y", 0);
    ([accepted, source(&req)], [rep, req])
}

fn options_of_descriptors_are_set_on_both_ends() {
    let rows = [
        // The kernel doubles what it is asked for, to make room for its own bookkeeping.
        (SNDBUF, 16_384, libc::SOL_SOCKET, libc::SO_SNDBUF, 2 * 16_384),
        (RCVBUF, 20_480, libc::SOL_SOCKET, libc::SO_RCVBUF, 2 * 20_480),
        (TOS, 0x28, libc::IPPROTO_IP, libc::IP_TOS, 0x28),
        (PRIORITY, 3, libc::SOL_SOCKET, libc::SO_PRIORITY, 3),
        (KEEPALIVE, 1, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1),
        (KEEPALIVE_CNT, 5, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 5),
        (KEEPALIVE_IDLE, 60, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 60),
        (KEEPALIVE_INTVL, 7, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, 7),
        (TCP_MAXRT, 4_321, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, 4_321),
    ];
    let context = Context::new();
    let (fds, _sockets) = ends(&context, "tcp://127.0.0.1:*", |socket| {
        for (option, value, ..) in rows {
            socket.set(option, value);
        }
    });
    let (plain, _others) = ends(&context, "tcp://127.0.0.1:*", |_| {});
    for (option, _, level, number, expected) in rows {
        for (fd, plain) in fds.into_iter().zip(plain) {
            assert_eq!(kernel(fd, level, number), expected, "option {option}");
            assert_ne!(kernel(plain, level, number), expected, "option {option} by default");
        }
    }
}

fn has_ipv6() -> bool {
    let has = std::net::TcpListener::bind("[::1]:0").is_ok();
    if !has {
        eprintln!("not run: this host has no IPv6");
    }
    has
}

fn the_traffic_class_is_set_on_ipv6() {
    if !has_ipv6() {
        return;
    }
    let context = Context::new();
    let (fds, _sockets) = ends(&context, "tcp://[::1]:*", |socket| {
        socket.set(IPV6, 1);
        socket.set(TOS, 0x28);
    });
    for fd in fds {
        assert_eq!(kernel(fd, libc::IPPROTO_IPV6, libc::IPV6_TCLASS), 0x28);
    }
}

fn busy_polling_is_set_where_the_kernel_allows_it() {
    let probe = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let value: c_int = 50;
    let (place, size) = ((&raw const value).cast::<c_void>(), size_of::<c_int>() as libc::socklen_t);
    // SAFETY: a number, of which the size is given.
    let allowed =
        unsafe { libc::setsockopt(probe.as_raw_fd(), libc::SOL_SOCKET, libc::SO_BUSY_POLL, place, size) }
            == 0;
    let context = Context::new();
    if allowed {
        let (fds, _sockets) = ends(&context, "tcp://127.0.0.1:*", |socket| socket.set(BUSY_POLL, 50));
        assert_eq!(fds.map(|fd| kernel(fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL)), [50, 50]);
    } else if !is_libzmq() {
        // Refused where it is asked for, not ignored. (libzmq ends the process.)
        let socket = context.socket(REP);
        socket.set(BUSY_POLL, 50);
        assert_eq!(zmq!(zmq_bind(socket.0, c"tcp://127.0.0.1:*".as_ptr())), -1);
    }
}

fn connections_are_bound_to_the_device() {
    let context = Context::new();
    let (fds, _sockets) = ends(&context, "tcp://127.0.0.1:*", |socket| {
        assert_done(set_bytes(socket, BINDTODEVICE, b"lo"));
    });
    for fd in fds {
        let (mut name, mut size) = ([0u8; 16], 16);
        // SAFETY: the kernel writes up to 16 bytes.
        let result = unsafe {
            libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name.as_mut_ptr().cast(), &mut size)
        };
        assert_eq!((result, CStr::from_bytes_until_nul(&name)), (0, Ok(c"lo")));
    }
}

fn buffers_of_ipc_connections_have_the_sizes_asked_for() {
    let context = Context::new();
    let (fds, _sockets) = ends(&context, "ipc://*", |socket| socket.set(SNDBUF, 30_000));
    let sizes = fds.map(|fd| kernel(fd, libc::SOL_SOCKET, libc::SO_SNDBUF));
    // libzmq leaves them alone.
    assert_eq!(sizes == [60_000, 60_000], !is_libzmq(), "{sizes:?}");
}

fn ipc_connections_buffer_more_than_the_system_lets_them_by_default() {
    let context = Context::new();
    let plain = std::os::unix::net::UnixStream::pair().expect("two sockets").0;
    let default = kernel(plain.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF);
    let most = std::fs::read_to_string("/proc/sys/net/core/wmem_max").expect("on Linux");
    let most: c_int = most.trim().parse().expect("a number");
    let (fds, _sockets) = ends(&context, "ipc://*", |_| {});
    let sizes = fds.map(|fd| kernel(fd, libc::SOL_SOCKET, libc::SO_SNDBUF));
    // The kernel doubles what it is asked for.
    let more = if is_libzmq() { default } else { default.max(2 * most.min(262_144)) };
    assert_eq!(sizes, [more; 2]);
}

fn metadata_reaches_the_peer() {
    let context = Context::new();
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*"] {
        let (pull, push) = (context.socket(PULL), context.socket(PUSH));
        for entry in [&b"X-one:1"[..], b"X-two:and:colons", b"X-one:the first stays"] {
            assert_done(set_bytes(&push, METADATA, entry));
        }
        pull.bind(endpoint);
        push.connect(&pull.last_endpoint());
        push.send(b"x", 0);
        let mut message = received(&pull);
        for (name, value) in [(c"X-one", "1"), (c"X-two", "and:colons")] {
            assert_eq!(text(zmq!(zmq_msg_gets(&message, name.as_ptr()))), value);
        }
        assert_fails(zmq!(zmq_msg_gets(&message, c"X-three".as_ptr())), ptr::null(), EINVAL);
        assert_done(zmq!(zmq_msg_close(&mut message)));
    }
}

fn a_ready_made_descriptor_is_listened_on() {
    let context = Context::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("tcp://{}", listener.local_addr().expect("bound"));
    let (pull, push) = (context.socket(PULL), context.socket(PUSH));
    pull.set(USE_FD, listener.as_raw_fd());
    // libzmq takes the descriptor and closes it.
    let kept = if is_libzmq() {
        std::mem::forget(listener);
        None
    } else {
        Some(listener)
    };
    pull.bind(&endpoint);
    push.connect(&endpoint);
    push.send(b"x", 0);
    assert_eq!(pull.recv(), b"x");
    drop((pull, kept));
}

fn topics_are_counted_once() {
    let context = Context::new();
    for (publisher, subscriber) in [(PUB, SUB), (XPUB, SUB), (XPUB, XSUB)] {
        let (publisher, subscriber) = context.pair(publisher, subscriber, "tcp://127.0.0.1:*");
        let subscribe = |topic: &[u8], add: bool| {
            let option = if add { SUBSCRIBE } else { UNSUBSCRIBE };
            // XSUB subscribes by a message.
            if set_bytes(&subscriber, option, topic) != 0 {
                subscriber.send(&[&[u8::from(add)], topic].concat(), 0);
            }
        };
        assert_eq!((publisher.get(TOPICS_COUNT), subscriber.get(TOPICS_COUNT)), (0, 0));
        for (topic, add, count) in [
            (&b"a"[..], true, 1),
            (b"b", true, 2),
            (b"a", true, 2),
            (b"abc", true, 3),
            (b"b", false, 2),
            (b"a", false, 2),
            (b"a", false, 1),
        ] {
            subscribe(topic, add);
            assert_eq!(subscriber.get(TOPICS_COUNT), count, "{topic:?}");
        }
        // Each subscriber cancels for itself: the publisher hears of the last of a topic.
        while publisher.get(TOPICS_COUNT) != 1 {
            publisher.get(EVENTS);
        }
    }
    let context = Context::new();
    let (mut value, mut size) = (0i32, 4);
    let place = (&raw mut value).cast();
    assert_fails(zmq!(zmq_getsockopt(context.socket(PAIR).0, TOPICS_COUNT, place, &mut size)), -1, EINVAL);
}

fn subscriptions_within_a_message_leave_it_whole() {
    let context = Context::new();
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*", "ws://127.0.0.1:*", "inproc://within"] {
        let (xpub, xsub) = context.pair(XPUB, XSUB, endpoint);
        for (part, flags) in [
            (&b"\x01first"[..], SNDMORE),
            (b"\x01last", 0),
            (b"data", SNDMORE),
            (b"\x01with it", 0),
            (b"\x01alone", 0),
            (b"end", 0),
        ] {
            xsub.send(part, flags);
        }
        // The parts that subscribe come one by one, before or within a message.
        let mut heard = Vec::new();
        while heard.last().is_none_or(|(part, _)| part != b"end") {
            heard.push((xpub.recv(), xpub.get(RCVMORE)));
        }
        let expected = [
            (&b"\x01first"[..], 0),
            (b"\x01last", 0),
            (b"data", 1),
            (b"\x01with it", 0),
            (b"\x01alone", 0),
            (b"end", 0),
        ];
        assert_eq!(heard, expected.map(|(part, more)| (part.to_vec(), more)), "{endpoint}");
    }
}

fn inverted_matching_passes_what_is_not_subscribed_to() {
    let context = Context::new();
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*"] {
        let (xpub, sub) = (context.socket(XPUB), context.socket(SUB));
        xpub.set(INVERT_MATCHING, 1);
        sub.set(INVERT_MATCHING, 1);
        xpub.bind(endpoint);
        assert_done(set_bytes(&sub, SUBSCRIBE, b"no"));
        sub.connect(&xpub.last_endpoint());
        assert_eq!(xpub.recv(), b"\x01no");
        for topic in [&b"no"[..], b"nothing", b"yes", b"n", b"no more", b"end"] {
            xpub.send(topic, 0);
        }
        assert_eq!([sub.recv(), sub.recv(), sub.recv()], [b"yes".to_vec(), b"n".to_vec(), b"end".to_vec()]);
    }
}

fn a_greeting_that_takes_too_long_ends_the_connection() {
    let context = Context::new();
    let pull = context.socket(PULL);
    pull.set(HANDSHAKE_IVL, 50);
    pull.bind("tcp://127.0.0.1:*");
    let endpoint = pull.last_endpoint();
    let mut silent =
        std::net::TcpStream::connect(endpoint.strip_prefix("tcp://").expect("tcp")).expect("a listener");
    // What the library has to say, and then the end.
    let mut greeting = Vec::new();
    let _ = silent.read_to_end(&mut greeting);
    assert!(greeting.starts_with(b"\xff"));
}

/// The length of the queue of a listening port, as the kernel tells.
fn backlog_of(port: &str) -> String {
    let output = std::process::Command::new("ss").args(["-Hltn", &format!("sport = :{port}")]).output();
    let text = String::from_utf8(output.expect("ss of iproute2 is installed").stdout).expect("text");
    text.split_whitespace().nth(2).unwrap_or_default().to_owned()
}

fn the_backlog_is_that_of_the_listening_descriptor() {
    let context = Context::new();
    for (backlog, expected) in [(None, "100"), (Some(7), "7")] {
        let socket = context.socket(PULL);
        backlog.into_iter().for_each(|length| socket.set(BACKLOG, length));
        socket.bind("tcp://127.0.0.1:*");
        let endpoint = socket.last_endpoint();
        assert_eq!(backlog_of(endpoint.rsplit(':').next().expect("a port")), expected);
    }
}
