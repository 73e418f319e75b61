//! Polling, proxies and monitors over every transport.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use zlink::{
    Context, Error, EventKind, Events, Message, PollItem, Socket, SocketType, poll, proxy, proxy_steerable,
};

/// Long enough for any machine: it ends a test that hangs, and no test passes by it.
const LONG: Option<Duration> = Some(Duration::from_secs(30));

fn endpoints() -> [&'static str; 3] {
    ["tcp://127.0.0.1:*", "ipc://*", "inproc://poll"]
}

fn pair(context: &Context, bound: SocketType, connected: SocketType, endpoint: &str) -> (Socket, Socket) {
    let server = context.socket(bound).expect("socket");
    server.bind(endpoint).expect("bind");
    let client = context.socket(connected).expect("socket");
    client.connect(&server.last_endpoint().expect("endpoint")).expect("connect");
    for socket in [&server, &client] {
        socket.set_receive_timeout(LONG).expect("option");
        socket.set_send_timeout(LONG).expect("option");
        socket.set_linger(Some(Duration::ZERO)).expect("option");
    }
    (server, client)
}

#[test]
fn poll_waits_for_the_one_socket_of_many_that_has_a_message() {
    for endpoint in endpoints() {
        let context = Context::new();
        let pairs: Vec<_> = (0..10)
            .map(|i| {
                let endpoint =
                    if endpoint.starts_with("inproc") { format!("{endpoint}-{i}") } else { endpoint.into() };
                pair(&context, SocketType::Pull, SocketType::Push, &endpoint)
            })
            .collect();
        let mut items: Vec<_> = pairs.iter().map(|(pull, _)| pull.as_poll_item(Events::IN)).collect();
        assert_eq!(poll(&mut items, Some(Duration::ZERO)).expect("poll"), 0);
        let turn = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..50 {
                    pairs[round % 10].1.send("x").expect("send");
                    turn.wait();
                }
            });
            for round in 0..50 {
                assert_eq!(poll(&mut items, LONG).expect("poll"), 1, "over {endpoint}");
                let ready: Vec<bool> = items.iter().map(PollItem::is_readable).collect();
                let expected: Vec<bool> = (0..10).map(|i| i == round % 10).collect();
                assert_eq!(ready, expected);
                pairs[round % 10].0.recv().expect("recv");
                turn.wait();
            }
        });
    }
}

#[test]
fn poll_waits_for_sockets_and_descriptors_together() {
    for endpoint in endpoints() {
        let context = Context::new();
        let (pull, push) = pair(&context, SocketType::Pull, SocketType::Push, endpoint);
        let (mut near, mut far) = UnixStream::pair().expect("descriptors are left");
        let turn = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..20 {
                    match round % 2 {
                        0 => push.send("x").expect("send"),
                        _ => far.write_all(b"x").expect("write"),
                    }
                    turn.wait();
                }
            });
            for round in 0..20 {
                let mut items = [pull.as_poll_item(Events::IN), PollItem::fd(near.as_fd(), Events::IN)];
                assert_eq!(poll(&mut items, LONG).expect("poll"), 1, "over {endpoint}");
                assert_eq!(
                    (items[0].is_readable(), items[1].is_readable()),
                    (round % 2 == 0, round % 2 == 1)
                );
                match round % 2 {
                    0 => assert_eq!(&*pull.recv().expect("recv"), b"x"),
                    _ => near.read_exact(&mut [0]).expect("read"),
                }
                turn.wait();
            }
        });
    }
}

#[test]
fn poll_tells_when_a_full_socket_has_room() {
    for endpoint in endpoints() {
        let context = Context::new();
        let (pull, push) = pair(&context, SocketType::Pull, SocketType::Push, endpoint);
        let mut sent = 0;
        let body = vec![0; 1000];
        while push.readiness().expect("readiness").writable {
            push.send(&body[..]).expect("send");
            sent += 1;
        }
        let mut items = [push.as_poll_item(Events::OUT)];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..sent {
                    pull.recv().expect("recv");
                }
            });
            assert_eq!(poll(&mut items, LONG).expect("poll"), 1, "over {endpoint}");
            assert!(items[0].is_writable());
        });
    }
}

#[test]
fn one_socket_may_be_polled_twice_and_by_several_threads() {
    for endpoint in endpoints() {
        let context = Context::new();
        let (pull, push) = pair(&context, SocketType::Pull, SocketType::Push, endpoint);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut items = [pull.as_poll_item(Events::IN), pull.as_poll_item(Events::IN)];
                    // The message may come between the looks at the two.
                    let found = poll(&mut items, LONG).expect("poll");
                    let ready = items.iter().filter(|item| item.is_readable()).count();
                    assert!(found == ready && ready >= 1, "{found}, {ready} over {endpoint}");
                    assert_eq!(poll(&mut items, LONG).expect("poll"), 2, "over {endpoint}");
                });
            }
            push.send("for all, and taken by none").expect("send");
        });
    }
}

#[test]
fn a_poll_ends_when_the_context_or_the_socket_does() {
    for endpoint in endpoints() {
        for shut_down in [true, false] {
            let context = Context::new();
            let (pull, push) = pair(&context, SocketType::Pull, SocketType::Push, endpoint);
            push.send("so that the connection stands").expect("send");
            pull.recv().expect("recv");
            std::thread::scope(|scope| {
                let poller = scope.spawn(|| poll(&mut [pull.as_poll_item(Events::IN)], LONG));
                if shut_down {
                    context.shutdown();
                } else {
                    pull.close();
                }
                let result = poller.join().expect("no panic");
                let expected = if shut_down { Error::Terminated } else { Error::Closed };
                assert_eq!(result.expect_err("an error").errno(), expected.errno(), "over {endpoint}");
            });
        }
    }
}

#[test]
fn a_poll_without_items_sleeps() {
    let start = Instant::now();
    assert_eq!(poll(&mut [], Some(Duration::from_millis(20))).expect("poll"), 0);
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(poll(&mut [], Some(Duration::ZERO)).expect("poll"), 0);
}

/// Ends a context also when a test fails, so that the threads in its sockets end.
struct ShutDown<'a>(&'a Context);

impl Drop for ShutDown<'_> {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

/// A proxy between PULL and PUSH, and the program's ends of it.
fn with_proxy(endpoint: &str, body: impl FnOnce(&Socket, &Socket)) {
    let context = Context::new();
    let ends = ["-front", "-back"].map(|end| {
        if endpoint.starts_with("inproc") { format!("{endpoint}{end}") } else { endpoint.to_owned() }
    });
    let (frontend, push) = pair(&context, SocketType::Pull, SocketType::Push, &ends[0]);
    let (backend, pull) = pair(&context, SocketType::Push, SocketType::Pull, &ends[1]);
    std::thread::scope(|scope| {
        let proxy = scope.spawn(|| proxy(&frontend, &backend, None));
        let shut_down = ShutDown(&context);
        body(&push, &pull);
        drop(shut_down);
        assert!(matches!(proxy.join().expect("no panic"), Err(Error::Terminated)));
    });
}

#[test]
fn a_proxy_passes_everything_on_whole_and_in_order() {
    for endpoint in endpoints() {
        with_proxy(endpoint, |push, pull| {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    for number in 0..20_000u32 {
                        let size = if number % 1000 == 0 { 100_000 } else { number as usize % 50 };
                        push.send_more(&number.to_be_bytes()).expect("send");
                        push.send(vec![number as u8; size]).expect("send");
                    }
                });
                for number in 0..20_000u32 {
                    let size = if number % 1000 == 0 { 100_000 } else { number as usize % 50 };
                    let parts = pull.recv_multipart().expect("recv");
                    assert_eq!(parts.len(), 2, "over {endpoint}");
                    assert_eq!((&*parts[0], parts[1].len()), (&number.to_be_bytes()[..], size));
                }
            });
        });
    }
}

#[test]
fn a_proxy_stops_reading_when_nobody_takes_what_it_reads() {
    for endpoint in endpoints() {
        with_proxy(endpoint, |push, pull| {
            push.set_send_timeout(Some(Duration::from_millis(200))).expect("option");
            let mut sent = 0u32;
            // Four queues of 1000, and what the system's buffers hold, are far less than this.
            while sent < 1_000_000 && push.send(vec![0; 1000]).is_ok() {
                sent += 1;
            }
            assert!(sent < 1_000_000, "nothing held the sender back, over {endpoint}");
            for _ in 0..sent {
                pull.recv().expect("recv");
            }
        });
    }
}

#[test]
fn a_proxy_with_requests_goes_both_ways_while_one_side_is_full() {
    let context = Context::new();
    let (frontend, client) = pair(&context, SocketType::Router, SocketType::Dealer, "inproc://full-front");
    let (backend, worker) = pair(&context, SocketType::Dealer, SocketType::Dealer, "inproc://full-back");
    std::thread::scope(|scope| {
        let proxy = scope.spawn(|| proxy(&frontend, &backend, None));
        client.send("first").expect("send");
        let first = worker.recv_multipart().expect("recv");
        client.set_send_timeout(Some(Duration::from_millis(100))).expect("option");
        while client.send("more").is_ok() {}
        // Every queue to the worker is full; its reply must come through all the same.
        worker.send_multipart(first).expect("send");
        assert_eq!(&*client.recv().expect("recv"), b"first");
        context.shutdown();
        assert!(proxy.join().expect("no panic").is_err());
    });
}

#[test]
fn a_steerable_proxy_tells_what_it_passed_on_and_captures_it() {
    let context = Context::new();
    let (frontend, push) = pair(&context, SocketType::Pull, SocketType::Push, "inproc://steer-front");
    let (backend, pull) = pair(&context, SocketType::Push, SocketType::Pull, "inproc://steer-back");
    let (capture, captured) = pair(&context, SocketType::Push, SocketType::Pull, "inproc://steer-capture");
    let (control, master) = pair(&context, SocketType::Pair, SocketType::Pair, "inproc://steer-control");
    std::thread::scope(|scope| {
        let proxy = scope.spawn(|| proxy_steerable(&frontend, &backend, Some(&capture), &control));
        push.send_multipart(["one", "three"]).expect("send");
        for socket in [&pull, &captured] {
            let parts: Vec<Message> = ["one", "three"].map(Message::from).into();
            assert_eq!(socket.recv_multipart().expect("recv"), parts);
        }
        master.send("TERMINATE").expect("send");
        assert!(master.recv().expect("recv").is_empty());
        let passed = proxy.join().expect("no panic").expect("terminated by command");
        assert_eq!((passed.frontend_received, passed.frontend_received_bytes), (2, 8));
        assert_eq!((passed.backend_sent, passed.backend_sent_bytes), (2, 8));
        assert_eq!((passed.backend_received, passed.frontend_sent), (0, 0));
    });
}

#[test]
fn a_monitor_tells_of_connections_and_ends_with_its_socket() {
    for endpoint in &endpoints()[..2] {
        let context = Context::new();
        let server = context.socket(SocketType::Pull).expect("socket");
        let monitor = server.monitor(EventKind::ALL).expect("monitor");
        server.bind(endpoint).expect("bind");
        let listening = monitor.recv().expect("event");
        assert_eq!(
            (listening.kind, listening.endpoint),
            (EventKind::Listening, server.last_endpoint().expect("endpoint"))
        );
        let client = context.socket(SocketType::Push).expect("socket");
        client.connect(&server.last_endpoint().expect("endpoint")).expect("connect");
        let mut kinds = Vec::new();
        while kinds.last() != Some(&EventKind::HandshakeSucceeded) {
            kinds.push(monitor.recv_timeout(LONG.expect("is set")).expect("event").kind);
        }
        assert!(kinds.contains(&EventKind::Accepted), "{kinds:?}");
        drop(client);
        while monitor.recv_timeout(LONG.expect("is set")).expect("event").kind != EventKind::Disconnected {}
        server.close();
        while monitor.recv().expect("event").kind != EventKind::MonitorStopped {}
        assert!(matches!(monitor.recv(), Err(Error::Closed)));
        assert!(matches!(monitor.try_recv(), Err(Error::Closed)));
        assert_eq!(monitor.lost(), 0);
        assert!(matches!(server.monitor(EventKind::ALL), Err(Error::Closed)));
    }
}

#[test]
fn a_monitor_nobody_reads_keeps_a_bounded_number_of_events() {
    let context = Context::new();
    let server = context.socket(SocketType::Pull).expect("socket");
    let monitor = server.monitor(EventKind::ALL).expect("monitor");
    let taken = TakenPort::new();
    for _ in 0..1500 {
        server.bind(&taken.endpoint).expect_err("the port is taken");
    }
    assert_eq!(monitor.lost(), 500);
    server.close();
    for _ in 0..1000 {
        assert_eq!(monitor.recv().expect("event").kind, EventKind::BindFailed);
    }
    assert_eq!(monitor.recv().expect("event").kind, EventKind::MonitorStopped);
}

/// A TCP port that is taken.
struct TakenPort {
    endpoint: String,
    _listener: std::net::TcpListener,
}

impl TakenPort {
    fn new() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let endpoint = format!("tcp://{}", listener.local_addr().expect("it is bound"));
        TakenPort { endpoint, _listener: listener }
    }
}

#[test]
fn a_new_monitor_ends_the_old_one() {
    let context = Context::new();
    let server = context.socket(SocketType::Pull).expect("socket");
    let first = server.monitor(EventKind::ALL).expect("monitor");
    let second = server.monitor(EventKind::Listening as u32).expect("monitor");
    assert_eq!(first.recv().expect("event").kind, EventKind::MonitorStopped);
    assert!(matches!(second.try_recv(), Err(Error::WouldBlock)));
    server.bind("tcp://127.0.0.1:*").expect("bind");
    assert_eq!(second.recv().expect("event").kind, EventKind::Listening);
    server.close();
    assert!(matches!(second.recv(), Err(Error::Closed)), "its end was not asked for");
}
