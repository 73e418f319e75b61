//! What holds over every transport of streams, over those that only some kernels have. Not run on one that has not:
//! `crates/xtask/guest/run.sh` starts one that has.

mod common;

use std::sync::atomic::{AtomicU32, Ordering};

use common::{GUARD, body, bound_at, connected, guarded, monitor, number, socket};
use rustix::net::{AddressFamily, SocketType as Kind};
use zlink::{Context, EventKind, SocketType};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Transport {
    Tipc,
    Vsock,
}

impl Transport {
    fn is_there(self) -> bool {
        let there = match self {
            Transport::Tipc => rustix::net::socket(AddressFamily::TIPC, Kind::STREAM, None).is_ok(),
            // Without the module for connections within the machine there is nobody to connect to.
            Transport::Vsock => Context::new()
                .socket(SocketType::Pair)
                .is_ok_and(|socket| socket.bind(self.wildcard()).is_ok()),
        };
        if !there {
            eprintln!("not run: this kernel has no {self:?}");
        }
        there
    }

    fn wildcard(self) -> &'static str {
        match self {
            Transport::Tipc => "tipc://<*>",
            Transport::Vsock => "vsock://1:*",
        }
    }

    /// An endpoint that nobody else binds, to bind and to connect to.
    fn unbound(self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = std::process::id() << 8 | NEXT.fetch_add(1, Ordering::Relaxed);
        match self {
            Transport::Tipc => format!("tipc://{{7300,{number}}}"),
            Transport::Vsock => format!("vsock://1:{number}"),
        }
    }
}

macro_rules! over_each_that_is_there {
    ($($name:ident,)+) => {
        mod tipc {
            $(#[test] fn $name() {
                if super::Transport::Tipc.is_there() {
                    super::guarded(|| super::$name(super::Transport::Tipc));
                }
            })+
        }
        mod vsock {
            $(#[test] fn $name() {
                if super::Transport::Vsock.is_there() {
                    super::guarded(|| super::$name(super::Transport::Vsock));
                }
            })+
        }
    };
}

over_each_that_is_there! {
    bodies_of_every_size_arrive_unchanged,
    a_stream_arrives_complete_and_in_order,
    a_socket_connects_before_and_after_somebody_listens,
    what_was_sent_before_the_close_is_read_late,
    what_was_sent_arrives_though_the_peer_s_input_was_not_read,
    nothing_is_lost_at_the_high_water_mark,
    events_and_the_last_endpoint_name_the_ends,
    an_endpoint_that_was_unbound_is_refused,
}

fn bodies_of_every_size_arrive_unchanged(transport: Transport) {
    let context = Context::new();
    let (one, endpoint) = bound_at(&context, SocketType::Pair, transport.wildcard());
    let other = connected(&context, SocketType::Pair, &endpoint);
    for (seed, size) in [0, 1, 33, 255, 256, 8192, 65_536, 66_001, 1 << 20, 5 << 20].into_iter().enumerate() {
        let sent = body(seed as u32, size);
        for (from, to) in [(&one, &other), (&other, &one)] {
            from.send(sent.clone()).expect("send");
            assert!(*to.recv().expect("recv") == *sent, "{size} bytes");
        }
    }
}

fn a_stream_arrives_complete_and_in_order(transport: Transport) {
    const MESSAGES: u32 = 30_000;
    let context = Context::new();
    let (pull, endpoint) = bound_at(&context, SocketType::Pull, transport.wildcard());
    let push = connected(&context, SocketType::Push, &endpoint);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..MESSAGES).for_each(|i| push.send(body(i, 4 + i as usize % 500)).expect("send")));
        for i in 0..MESSAGES {
            assert!(*pull.recv().expect("recv") == *body(i, 4 + i as usize % 500), "message {i}");
        }
    });
}

fn a_socket_connects_before_and_after_somebody_listens(transport: Transport) {
    let context = Context::new();
    let endpoint = transport.unbound();
    let client = connected(&context, SocketType::Dealer, &endpoint);
    for round in 0..3_u32 {
        let server = socket(&context, SocketType::Dealer);
        server.bind(&endpoint).expect("bind");
        // Says that the connection stands.
        server.send(body(round, 10)).expect("send");
        assert_eq!(*client.recv().expect("recv"), body(round, 10));
        client.send(body(round, 20)).expect("send");
        assert_eq!(*server.recv().expect("recv"), body(round, 20));
    }
}

fn what_was_sent_before_the_close_is_read_late(transport: Transport) {
    const MESSAGES: u32 = 500;
    let (context, remote) = (Context::new(), Context::new());
    let pull = socket(&context, SocketType::Pull);
    pull.set_receive_hwm(1).expect("option");
    pull.bind(transport.wildcard()).expect("bind");
    let push = socket(&remote, SocketType::Push);
    push.set_linger(Some(GUARD)).expect("option");
    push.connect(&pull.last_endpoint().expect("endpoint")).expect("connect");
    for i in 0..MESSAGES {
        push.send(body(i, 1000)).expect("send");
    }
    drop(push);
    for i in 0..MESSAGES {
        assert_eq!(number(&pull.recv().expect("recv")), i);
    }
    remote.terminate();
}

fn what_was_sent_arrives_though_the_peer_s_input_was_not_read(transport: Transport) {
    const MESSAGES: u32 = 50;
    let (context, remote) = (Context::new(), Context::new());
    let server = socket(&context, SocketType::Dealer);
    server.set_linger(Some(GUARD)).expect("option");
    server.set_receive_hwm(1).expect("option");
    server.bind(transport.wildcard()).expect("bind");
    let endpoint = server.last_endpoint().expect("endpoint");
    let client = socket(&remote, SocketType::Dealer);
    // It takes a few of what it gets, and leaves the rest to the kernel.
    client.set_receive_hwm(1).expect("option");
    client.connect(&endpoint).expect("connect");
    for i in 0..MESSAGES {
        client.send(body(i, 1000)).expect("send");
    }
    // The connection stands, and the server stops reading soon after.
    assert_eq!(*server.recv().expect("recv"), body(0, 1000));
    for i in 0..MESSAGES {
        server.send(body(i, 1000)).expect("send");
    }
    drop(server);
    context.terminate();
    for i in 0..MESSAGES {
        assert_eq!(*client.recv().expect("recv"), body(i, 1000));
    }
}

fn nothing_is_lost_at_the_high_water_mark(transport: Transport) {
    let context = Context::new();
    let pull = socket(&context, SocketType::Pull);
    pull.set_receive_hwm(10).expect("option");
    pull.bind(transport.wildcard()).expect("bind");
    let push = socket(&context, SocketType::Push);
    push.set_send_hwm(10).expect("option");
    push.connect(&pull.last_endpoint().expect("endpoint")).expect("connect");
    let mut sent = 0;
    // Until neither the kernel nor the queues take more.
    while sent < 10_000 && push.try_send(body(sent, 10_000)).is_ok() {
        sent += 1;
    }
    assert!((10..10_000).contains(&sent), "{sent} were taken");
    for i in 0..sent {
        assert_eq!(number(&pull.recv().expect("recv")), i);
    }
    push.send(body(sent, 10)).expect("there is room again");
    assert_eq!(number(&pull.recv().expect("recv")), sent);
}

fn events_and_the_last_endpoint_name_the_ends(transport: Transport) {
    let context = Context::new();
    let server = socket(&context, SocketType::Pair);
    let events = monitor(&server);
    server.bind(&transport.unbound()).expect("bind");
    let endpoint = server.last_endpoint().expect("endpoint");
    assert_eq!(events.wait_for(&[EventKind::Listening]).endpoint, endpoint);
    let client = socket(&context, SocketType::Pair);
    let client_events = monitor(&client);
    client.connect(&endpoint).expect("connect");
    let connected = client_events.wait_for(&[EventKind::Connected]);
    assert_eq!(connected.remote, endpoint);
    let accepted = events.wait_for(&[EventKind::Accepted]);
    // A client of vsock has chosen no identifier, and the kernel names none at its end: the ports are one.
    let port = |name: &str| name.rsplit(':').next().map(str::to_owned);
    assert!(!connected.local.is_empty());
    assert_eq!(port(&accepted.remote), port(&connected.local));
    client_events.wait_for(&[EventKind::HandshakeSucceeded]);
    events.wait_for(&[EventKind::HandshakeSucceeded]);
    drop(client);
    assert_eq!(events.wait_for(&[EventKind::Disconnected]).endpoint, accepted.endpoint);
}

fn an_endpoint_that_was_unbound_is_refused(transport: Transport) {
    let context = Context::new();
    let server = socket(&context, SocketType::Pair);
    for name in [transport.unbound(), transport.wildcard().to_owned()] {
        server.bind(&name).expect("bind");
        let endpoint = server.last_endpoint().expect("endpoint");
        server.unbind(&endpoint).expect("unbind");
        assert!(server.unbind(&endpoint).is_err(), "{endpoint} is unbound");
        let client = socket(&context, SocketType::Pair);
        let events = monitor(&client);
        client.connect(&endpoint).expect("connect");
        events.wait_for(&[EventKind::ConnectRetried]);
    }
}
