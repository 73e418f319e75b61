//! Endpoints, options and ends: what comes and goes, in every order.

mod common;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use common::{
    GUARD, RawListener, RawPeer, Resources, Transport, body, bound, connected, frame, monitor, socket,
    wait_until, wait_until_asleep,
};
use rustix::io::Errno;
use zlink::{Context, Error, EventKind, Socket, SocketType};

over_tcp_and_ipc! {
    an_endpoint_is_free_again_after_unbind,
    an_endpoint_is_free_when_unbind_or_close_returns,
    connections_end_with_the_unbind_once_everything_is_sent,
    what_the_system_has_chosen_is_unbound_by_its_own_name,
    immediate_takes_no_message_once_the_peer_is_gone,
    a_client_finds_a_server_that_comes_back,
    a_disconnected_socket_sends_to_nobody_and_connects_again,
    a_peer_sees_who_connects_and_closes_at_once,
    either_side_may_come_first,
    last_endpoint_names_what_was_bound_and_connected,
    an_endpoint_in_use_is_refused_and_the_socket_goes_on,
    immediate_keeps_messages_from_peers_that_are_not_there,
    immediate_gives_all_messages_to_the_peer_that_is_there,
    a_conflating_receiver_keeps_the_newest_message,
    a_conflating_sender_keeps_the_newest_message,
    time_outs_end_what_cannot_go_on,
    an_unconnected_sender_takes_exactly_its_mark,
    a_message_over_the_limit_ends_its_connection_alone,
    one_socket_serves_many_endpoints,
    termination_waits_for_the_last_socket,
    termination_ends_blocked_threads_of_many_sockets,
    everything_may_be_dropped_in_any_order,
    the_monitor_tells_a_connection_s_story,
}

alone_over_tcp_and_ipc! {
    five_hundred_peers_are_served_by_one_socket,
    connections_that_come_and_go_leave_nothing_behind,
    sockets_that_come_and_go_leave_nothing_behind,
}

fn check_flow(sender: &Socket, receiver: &Socket) {
    for i in 0..20 {
        sender.send(body(i, 10)).expect("send");
        assert_eq!(*receiver.recv().expect("recv"), body(i, 10));
    }
}

fn an_endpoint_is_free_again_after_unbind(transport: Transport) {
    let context = Context::new();
    let endpoint = transport.unbound();
    let pull = socket(&context, SocketType::Pull);
    pull.bind(&endpoint).expect("bind");
    for _ in 0..20 {
        let push = connected(&context, SocketType::Push, &endpoint);
        check_flow(&push, &pull);
        drop(push);
        let events = monitor(&pull);
        pull.unbind(&endpoint).expect("unbind");
        assert!(matches!(pull.unbind(&endpoint), Err(Error::NoSuchEndpoint)));
        events.wait_for(&[EventKind::Closed]);
        pull.bind(&endpoint).expect("bind again");
    }
}

fn an_endpoint_is_free_when_unbind_or_close_returns(transport: Transport) {
    let context = Context::new();
    let endpoint = match transport {
        Transport::Tcp => transport.unbound(),
        // A file, which goes with the listener.
        Transport::Ipc => {
            let name = format!("zlink-free-{}", std::process::id());
            format!("ipc://{}", std::env::temp_dir().join(name).display())
        }
    };
    let mut push = socket(&context, SocketType::Push);
    push.bind(&endpoint).expect("bind");
    let pull = connected(&context, SocketType::Pull, &endpoint);
    for round in 0..50 {
        check_flow(&push, &pull);
        if round % 2 == 0 {
            push.unbind(&endpoint).expect("unbind");
        } else {
            push.close();
            push = socket(&context, SocketType::Push);
        }
        push.bind(&endpoint).expect("the endpoint is free at once");
    }
}

fn connections_end_with_the_unbind_once_everything_is_sent(transport: Transport) {
    let context = Context::new();
    let (server, endpoint) = bound(&context, SocketType::Dealer, transport);
    server.set_linger(Some(GUARD)).expect("option");
    let mut peer = RawPeer::connect(&endpoint, SocketType::Dealer);
    for i in 0..100 {
        peer.send(&[&body(i, 1000)]);
    }
    assert_eq!(*server.recv().expect("recv"), body(0, 1000));
    for i in 0..100 {
        server.send(body(i, 1000)).expect("send");
    }
    server.unbind(&endpoint).expect("unbind");
    // From now on there is nobody to send to.
    assert!(matches!(server.try_send("x").expect_err("no peer").error, Error::WouldBlock));
    // What was sent arrives, and then the end.
    for i in 0..100 {
        assert_eq!(peer.read_message(), [body(i, 1000)]);
    }
    peer.stream.finish();
    assert_eq!(peer.stream.read_to_close(), b"");
    // What was read of the other direction can be received, from the first message on and none cut.
    for (i, message) in std::iter::from_fn(|| server.try_recv().ok()).enumerate() {
        assert_eq!(*message, body(i as u32 + 1, 1000));
    }
}

fn what_the_system_has_chosen_is_unbound_by_its_own_name(transport: Transport) {
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    assert!(matches!(pull.unbind(transport.wildcard()), Err(Error::NoSuchEndpoint)));
    pull.unbind(&endpoint).expect("unbind");
}

fn immediate_takes_no_message_once_the_peer_is_gone(transport: Transport) {
    let context = Context::new();
    let (server, endpoint) = bound(&context, SocketType::Dealer, transport);
    let client = socket(&context, SocketType::Dealer);
    client.set_immediate(true).expect("option");
    let events = monitor(&client);
    client.connect(&endpoint).expect("connect");
    server.send("hello").expect("send");
    assert_eq!(*client.recv().expect("recv"), *b"hello");
    client.send("hello").expect("send");
    server.close();
    events.wait_for(&[EventKind::Disconnected]);
    wait_until("nobody is left to send to", || !client.readiness().expect("readiness").writable);
    assert!(matches!(client.try_send("x").expect_err("no peer").error, Error::WouldBlock));
}

#[test]
fn what_was_sent_over_inproc_before_the_bind_outlives_its_sender() {
    let context = Context::new();
    let push = connected(&context, SocketType::Push, "inproc://later");
    push.set_linger(None).expect("option");
    push.send("early").expect("send");
    let hasty = connected(&context, SocketType::Push, "inproc://later");
    hasty.send("given up").expect("send");
    drop((push, hasty));
    let pull = socket(&context, SocketType::Pull);
    pull.bind("inproc://later").expect("bind");
    assert_eq!(*pull.recv().expect("recv"), *b"early");
    assert!(matches!(pull.try_recv(), Err(Error::WouldBlock)), "without linger nothing stays");
}

fn a_client_finds_a_server_that_comes_back(transport: Transport) {
    let context = Context::new();
    let endpoint = transport.unbound();
    let client = connected(&context, SocketType::Dealer, &endpoint);
    for _ in 0..10 {
        let server = socket(&context, SocketType::Dealer);
        // The server before may not be gone yet.
        wait_until("the endpoint is free", || server.bind(&endpoint).is_ok());
        client.send("are you there").expect("send");
        assert_eq!(*server.recv().expect("recv"), *b"are you there");
        server.send("yes").expect("send");
        assert_eq!(*client.recv().expect("recv"), *b"yes");
        let events = monitor(&client);
        drop(server);
        events.wait_for(&[EventKind::Disconnected]);
    }
}

fn a_disconnected_socket_sends_to_nobody_and_connects_again(transport: Transport) {
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    let push = socket(&context, SocketType::Push);
    push.set_linger(None).expect("option");
    for _ in 0..20 {
        push.connect(&endpoint).expect("connect");
        check_flow(&push, &pull);
        push.disconnect(&endpoint).expect("disconnect");
        assert!(matches!(push.disconnect(&endpoint), Err(Error::NoSuchEndpoint)));
        assert!(matches!(push.try_send("lost").expect_err("no peer").error, Error::WouldBlock));
    }
}

fn a_peer_sees_who_connects_and_closes_at_once(transport: Transport) {
    let context = Context::new();
    for _ in 0..50 {
        let (rep, endpoint) = bound(&context, SocketType::Rep, transport);
        let events = monitor(&rep);
        drop(connected(&context, SocketType::Req, &endpoint));
        events.wait_for(&[EventKind::Accepted]);
        events.wait_for(&[EventKind::Disconnected]);
    }
}

fn either_side_may_come_first(transport: Transport) {
    for endpoint in [transport.unbound(), "inproc://either side".to_owned()] {
        let context = Context::new();
        let push = connected(&context, SocketType::Push, &endpoint);
        push.send("early").expect("send");
        let pull = socket(&context, SocketType::Pull);
        pull.bind(&endpoint).expect("bind");
        assert_eq!(*pull.recv().expect("recv"), *b"early");
        let second = connected(&context, SocketType::Push, &endpoint);
        check_flow(&push, &pull);
        check_flow(&second, &pull);
    }
}

fn last_endpoint_names_what_was_bound_and_connected(transport: Transport) {
    let context = Context::new();
    let socket = socket(&context, SocketType::Dealer);
    assert_eq!(socket.last_endpoint().expect("option"), "");
    socket.bind(transport.wildcard()).expect("bind");
    let first = socket.last_endpoint().expect("option");
    assert!(
        first.starts_with(transport.wildcard().trim_end_matches('*')) && !first.ends_with('*'),
        "{first}"
    );
    socket.bind(transport.wildcard()).expect("bind");
    assert_ne!(socket.last_endpoint().expect("option"), first);
    socket.connect(&first).expect("connect");
    assert_eq!(socket.last_endpoint().expect("option"), first);
    socket.bind("inproc://named").expect("bind");
    assert_eq!(socket.last_endpoint().expect("option"), "inproc://named");
}

fn an_endpoint_in_use_is_refused_and_the_socket_goes_on(transport: Transport) {
    let context = Context::new();
    for endpoint in [transport.unbound(), "inproc://in use".to_owned()] {
        let first = socket(&context, SocketType::Pull);
        first.bind(&endpoint).expect("bind");
        let second = socket(&context, SocketType::Pull);
        let error = second.bind(&endpoint).expect_err("in use");
        assert_eq!(error.errno(), Errno::ADDRINUSE.raw_os_error(), "{error}");
        second.bind(transport.wildcard()).expect("another endpoint");
        let push = connected(&context, SocketType::Push, &second.last_endpoint().expect("endpoint"));
        check_flow(&push, &second);
        let push = connected(&context, SocketType::Push, &endpoint);
        check_flow(&push, &first);
    }
}

#[test]
fn endpoints_that_cannot_be_are_refused_with_the_reason() {
    let context = Context::new();
    let socket = socket(&context, SocketType::Pull);
    let long = format!("ipc:///tmp/{}", "x".repeat(200));
    let cases = [
        ("", Errno::INVAL),
        ("tcp", Errno::INVAL),
        ("tcp://", Errno::INVAL),
        ("tcp://127.0.0.1", Errno::INVAL),
        ("tcp://127.0.0.1:99999", Errno::INVAL),
        ("tcp://127.0.0.1:port", Errno::INVAL),
        ("carrier-pigeon://coop", Errno::PROTONOSUPPORT),
        (&long, Errno::NAMETOOLONG),
    ];
    for (endpoint, errno) in cases {
        for result in [socket.bind(endpoint), socket.connect(endpoint)] {
            let error = result.expect_err(endpoint);
            assert_eq!(error.errno(), errno.raw_os_error(), "{endpoint}: {error}");
        }
    }
    let error = socket.bind("ipc:///no/such/directory/at/all").expect_err("no directory");
    assert_eq!(error.errno(), Errno::NOENT.raw_os_error(), "{error}");
    let error = socket.bind("tcp://no-such-interface-here:5555").expect_err("no interface");
    assert_eq!(error.errno(), Errno::NODEV.raw_os_error(), "{error}");
    socket.bind("tcp://127.0.0.1:*").expect("a good one after all");
}

#[test]
fn a_socket_file_left_behind_is_no_obstacle() {
    let directory = std::env::temp_dir().join(format!("zlink-stale-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("directory");
    let path = directory.join("socket");
    // Closed without being unlinked, as by a process that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
    assert!(path.exists());
    let context = Context::new();
    let endpoint = format!("ipc://{}", path.display());
    let pull = socket(&context, SocketType::Pull);
    pull.bind(&endpoint).expect("bind");
    let push = connected(&context, SocketType::Push, &endpoint);
    check_flow(&push, &pull);
    drop((push, pull));
    context.terminate();
    assert!(!path.exists(), "removed with its socket");
    std::fs::remove_dir(&directory).expect("an empty directory");
}

fn immediate_keeps_messages_from_peers_that_are_not_there(transport: Transport) {
    let context = Context::new();
    let endpoint = transport.unbound();
    let push = socket(&context, SocketType::Push);
    push.set_immediate(true).expect("option");
    push.connect(&endpoint).expect("connect");
    assert!(matches!(push.try_send("too early").expect_err("no peer").error, Error::WouldBlock));
    let listener = RawListener::bind_at(&endpoint);
    let mut peer = listener.accept_peer(SocketType::Pull);
    push.send("in time").expect("send");
    assert_eq!(peer.read_message(), [b"in time"]);
    let events = monitor(&push);
    drop((peer, listener));
    events.wait_for(&[EventKind::Disconnected]);
    wait_until("the peer is gone", || !push.readiness().expect("readiness").writable);
    assert!(matches!(push.try_send("too late").expect_err("no peer").error, Error::WouldBlock));
    let mut peer = RawListener::bind_at(&endpoint).accept_peer(SocketType::Pull);
    push.send("again").expect("send");
    assert_eq!(peer.read_message(), [b"again"]);
}

fn immediate_gives_all_messages_to_the_peer_that_is_there(transport: Transport) {
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    let push = socket(&context, SocketType::Push);
    push.set_immediate(true).expect("option");
    push.connect(&transport.unbound()).expect("connect");
    push.connect(&endpoint).expect("connect");
    for i in 0..100 {
        push.send(body(i, 10)).expect("send");
    }
    for i in 0..100 {
        assert_eq!(*pull.recv().expect("recv"), body(i, 10));
    }
}

fn a_conflating_receiver_keeps_the_newest_message(transport: Transport) {
    let context = Context::new();
    let pull = socket(&context, SocketType::Pull);
    pull.set_conflate(true).expect("option");
    pull.bind(transport.wildcard()).expect("bind");
    let mut peer = RawPeer::connect(&pull.last_endpoint().expect("endpoint"), SocketType::Push);
    for round in 0..10 {
        let bytes: Vec<u8> = (0..1000).flat_map(|i| frame(false, &body(round * 1000 + i, 10))).collect();
        peer.write(&bytes);
        peer.ping(b"all read");
        // Its answer may come before what was read with it is there, but that of another does not.
        peer.ping(b"all there");
        assert_eq!(*pull.recv().expect("recv"), body(round * 1000 + 999, 10));
        assert!(matches!(pull.try_recv(), Err(Error::WouldBlock)));
    }
}

fn a_conflating_sender_keeps_the_newest_message(transport: Transport) {
    let context = Context::new();
    let endpoint = transport.unbound();
    let push = socket(&context, SocketType::Push);
    push.set_conflate(true).expect("option");
    push.connect(&endpoint).expect("connect");
    for i in 0..2000 {
        push.try_send(body(i, 10)).expect("always room");
    }
    let mut peer = RawListener::bind_at(&endpoint).accept_peer(SocketType::Pull);
    assert_eq!(peer.read_message(), [body(1999, 10)]);
    push.send("next").expect("send");
    assert_eq!(peer.read_message(), [b"next"]);
}

fn time_outs_end_what_cannot_go_on(transport: Transport) {
    let context = Context::new();
    let dealer = connected(&context, SocketType::Dealer, &transport.unbound());
    dealer.set_send_hwm(1).expect("option");
    dealer.send("fills it").expect("send");
    for timeout in [0, 1, 30] {
        let timeout = Duration::from_millis(timeout);
        dealer.set_receive_timeout(Some(timeout)).expect("option");
        dealer.set_send_timeout(Some(timeout)).expect("option");
        let before = std::time::Instant::now();
        assert!(matches!(dealer.recv(), Err(Error::WouldBlock)));
        assert!(before.elapsed() >= timeout, "no earlier than asked");
        let refused = dealer.send("one too many").expect_err("full");
        assert!(matches!(refused.error, Error::WouldBlock));
        assert_eq!(*refused.message, *b"one too many");
        assert!(before.elapsed() >= 2 * timeout, "no earlier than asked");
    }
}

fn an_unconnected_sender_takes_exactly_its_mark(transport: Transport) {
    let context = Context::new();
    for mark in [1, 2, 10, 1000] {
        let dealer = socket(&context, SocketType::Dealer);
        dealer.set_send_hwm(mark).expect("option");
        dealer.connect(&transport.unbound()).expect("connect");
        let mut sent = 0;
        // A multipart message counts as one.
        while dealer.try_send_all(&["two", "parts"]) {
            sent += 1;
        }
        assert_eq!(sent, mark);
    }
}

trait TrySendAll {
    fn try_send_all(&self, parts: &[&str]) -> bool;
}

impl TrySendAll for Socket {
    /// Sends all parts, or none if the first is refused.
    fn try_send_all(&self, parts: &[&str]) -> bool {
        for (i, part) in parts.iter().enumerate() {
            let mut message = zlink::Message::from(*part);
            message.set_more(i + 1 < parts.len());
            match self.try_send(message) {
                Ok(()) => {}
                Err(_) if i == 0 => return false,
                Err(error) => panic!("refused in the middle of a message: {error}"),
            }
        }
        true
    }
}

#[test]
fn an_inproc_pipe_holds_exactly_the_marks_of_both_sides() {
    for connect_first in [false, true] {
        for (send, receive) in [(1, 1), (3, 4), (1000, 1)] {
            let context = Context::new();
            let pull = socket(&context, SocketType::Pull);
            pull.set_receive_hwm(receive).expect("option");
            let push = socket(&context, SocketType::Push);
            push.set_send_hwm(send).expect("option");
            if connect_first {
                push.connect("inproc://marks").expect("connect");
                pull.bind("inproc://marks").expect("bind");
            } else {
                pull.bind("inproc://marks").expect("bind");
                push.connect("inproc://marks").expect("connect");
            }
            let mut sent = 0u32;
            while push.try_send(body(sent, 4)).is_ok() {
                sent += 1;
            }
            assert_eq!(sent as i32, send + receive, "connect first: {connect_first}");
            for i in 0..sent {
                assert_eq!(*pull.recv().expect("recv"), body(i, 4));
            }
            push.try_send("room again").expect("send");
        }
    }
}

fn a_message_over_the_limit_ends_its_connection_alone(transport: Transport) {
    let context = Context::new();
    let pull = socket(&context, SocketType::Pull);
    pull.set_max_message_size(1000).expect("option");
    pull.bind(transport.wildcard()).expect("bind");
    let endpoint = pull.last_endpoint().expect("endpoint");
    let push = connected(&context, SocketType::Push, &endpoint);
    for size in [1001, 5000, 100_000] {
        let mut peer = RawPeer::connect(&endpoint, SocketType::Push);
        peer.send(&[&body(1, 1000), &body(2, 1000)]);
        assert_eq!(pull.recv_multipart().expect("recv").len(), 2);
        peer.stream.write_as_far_as_possible(&frame(false, &body(3, size)));
        peer.stream.read_to_close();
        check_flow(&push, &pull);
    }
}

fn one_socket_serves_many_endpoints(transport: Transport) {
    let context = Context::new();
    let pull = socket(&context, SocketType::Pull);
    let mut clients = Vec::new();
    for i in 0..10 {
        for endpoint in [transport.wildcard().to_owned(), format!("inproc://many {i}")] {
            pull.bind(&endpoint).expect("bind");
            clients.push(connected(&context, SocketType::Push, &pull.last_endpoint().expect("endpoint")));
        }
    }
    for client in &clients {
        check_flow(client, &pull);
    }
}

#[test]
fn a_context_has_as_many_sockets_as_it_may() {
    let context = Context::new();
    // ZMQ_MAX_SOCKETS
    context.set_option(2, &5i32.to_ne_bytes()).expect("option");
    let mut sockets: Vec<Socket> = (0..5).map(|_| socket(&context, SocketType::Pull)).collect();
    for _ in 0..20 {
        assert!(matches!(context.socket(SocketType::Pull), Err(Error::TooManySockets)));
        sockets.pop();
        sockets.push(socket(&context, SocketType::Push));
    }
}

#[test]
fn a_context_without_io_threads_has_inproc_only() {
    let context = Context::new();
    context.set_io_threads(0).expect("option");
    let pull = socket(&context, SocketType::Pull);
    assert!(matches!(pull.bind("tcp://127.0.0.1:*"), Err(Error::NoIoThread)));
    assert!(matches!(pull.connect("ipc://@nowhere"), Err(Error::NoIoThread)));
    pull.bind("inproc://alone").expect("bind");
    check_flow(&connected(&context, SocketType::Push, "inproc://alone"), &pull);
}

fn termination_waits_for_the_last_socket(transport: Transport) {
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    let push = connected(&context, SocketType::Push, &endpoint);
    check_flow(&push, &pull);
    let (tell, told) = channel();
    let ending = thread::spawn({
        let context = context.clone();
        move || {
            tell.send(rustix::thread::gettid()).expect("main thread");
            context.terminate();
        }
    });
    wait_until_asleep(told.recv().expect("thread"));
    wait_until("calls fail", || matches!(pull.try_recv(), Err(Error::Terminated)));
    assert!(matches!(push.try_send("x").expect_err("ending").error, Error::Terminated));
    assert!(matches!(push.bind(transport.wildcard()), Err(Error::Terminated)));
    assert!(matches!(context.socket(SocketType::Pull), Err(Error::Terminated)));
    assert!(!ending.is_finished());
    drop(push);
    assert!(!ending.is_finished());
    drop(pull);
    ending.join().expect("termination");
}

fn termination_ends_blocked_threads_of_many_sockets(transport: Transport) {
    let context = Context::new();
    let mut blocked = Vec::new();
    for i in 0..12 {
        let (tell, told) = channel();
        let context = context.clone();
        let thread = thread::spawn(move || {
            let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
            let push = connected(&context, SocketType::Push, &endpoint);
            if i % 3 > 0 {
                check_flow(&push, &pull);
            }
            pull.set_receive_timeout(None).expect("option");
            drop(context);
            tell.send(rustix::thread::gettid()).expect("main thread");
            if i % 3 == 2 {
                zlink::poll(&mut [pull.as_poll_item(zlink::Events::IN)], None).map(drop)
            } else {
                pull.recv().map(drop)
            }
        });
        wait_until_asleep(told.recv().expect("thread"));
        blocked.push(thread);
    }
    context.terminate();
    for thread in blocked {
        assert!(matches!(thread.join().expect("thread"), Err(Error::Terminated)));
    }
}

fn everything_may_be_dropped_in_any_order(transport: Transport) {
    type Part = Box<dyn std::any::Any + Send>;
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in ORDERS {
        for traffic in [0, 1, 300] {
            for endpoint in [transport.wildcard(), "inproc://dropped"] {
                let context = Context::new();
                let server = socket(&context, SocketType::Dealer);
                server.bind(endpoint).expect("bind");
                let client =
                    connected(&context, SocketType::Dealer, &server.last_endpoint().expect("endpoint"));
                for i in 0..traffic {
                    client.send(body(i, 50)).expect("send");
                    server.send(body(i, 50)).expect("send");
                }
                if traffic == 300 {
                    // A half-sent message, too.
                    client.send_more("half").expect("send");
                    assert_eq!(*client.recv().expect("recv"), body(0, 50));
                }
                let mut parts: [Option<Part>; 3] =
                    [Some(Box::new(context)), Some(Box::new(server)), Some(Box::new(client))];
                for i in order {
                    drop(parts[i].take());
                }
            }
        }
    }
}

fn the_monitor_tells_a_connection_s_story(transport: Transport) {
    let context = Context::new();
    let endpoint = transport.unbound();
    let client = socket(&context, SocketType::Dealer);
    let told = monitor(&client);
    client.connect(&endpoint).expect("connect");
    told.wait_for(&[EventKind::ConnectRetried]);
    let server = socket(&context, SocketType::Dealer);
    let heard = monitor(&server);
    server.bind(&endpoint).expect("bind");
    assert_eq!(heard.wait_for(&[EventKind::Listening]).endpoint, endpoint);
    told.wait_for(&[EventKind::Connected]);
    assert_eq!(told.wait_for(&[EventKind::HandshakeSucceeded]).endpoint, endpoint);
    heard.wait_for(&[EventKind::Accepted]);
    heard.wait_for(&[EventKind::HandshakeSucceeded]);
    drop(server);
    told.wait_for(&[EventKind::Disconnected]);
    told.wait_for(&[EventKind::ConnectRetried]);
    heard.wait_for(&[EventKind::MonitorStopped]);
}

fn five_hundred_peers_are_served_by_one_socket(transport: Transport) {
    // Both ends of a connection are in this process.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = 500.min((limit.saturating_sub(50) / 3) as u32);
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    let mut peers: Vec<RawPeer> = (0..count).map(|_| RawPeer::connect(&endpoint, SocketType::Push)).collect();
    for round in 0..3 {
        for (i, peer) in peers.iter_mut().enumerate() {
            peer.send(&[&body(i as u32, 20), &[round]]);
        }
        let mut seen = vec![false; count as usize];
        for _ in 0..count {
            let message = pull.recv_multipart().expect("recv");
            let i = common::number(&message[0]);
            assert_eq!((&*message[0], &*message[1]), (&body(i, 20)[..], &[round][..]));
            assert!(!std::mem::replace(&mut seen[i as usize], true), "twice from {i}");
        }
        // Half of them go, and the rest is served on.
        peers.iter_mut().skip(1).step_by(2).for_each(|peer| peer.stream.finish());
        peers.iter_mut().skip(1).step_by(2).for_each(|peer| drop(peer.stream.read_to_close()));
        peers = (0..count).map(|_| RawPeer::connect(&endpoint, SocketType::Push)).collect();
    }
}

/// Runs `cycle` until what it leaves behind would show, and compares the second half with the first.
fn check_nothing_left(cycles: u32, mut cycle: impl FnMut(u32)) {
    for i in 0..cycles / 2 {
        cycle(i);
    }
    let before = Resources::now();
    for i in 0..cycles / 2 {
        cycle(i);
    }
    // A few are on their way out at any moment.
    wait_until("descriptors are closed", || Resources::now().descriptors <= before.descriptors + 8);
    let after = Resources::now();
    assert!(after.memory <= before.memory + 4096, "{before:?} {after:?}");
}

fn connections_that_come_and_go_leave_nothing_behind(transport: Transport) {
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    let push = socket(&context, SocketType::Push);
    push.set_linger(None).expect("option");
    check_nothing_left(4000, |i| {
        if i % 2 == 0 {
            let mut peer = RawPeer::connect(&endpoint, SocketType::Push);
            peer.send(&[&body(i, 500)]);
        } else {
            push.connect(&endpoint).expect("connect");
            push.send(body(i, 500)).expect("send");
            push.disconnect(&endpoint).expect("disconnect");
        }
        assert_eq!(*pull.recv().expect("recv"), body(i, 500));
    });
}

fn sockets_that_come_and_go_leave_nothing_behind(transport: Transport) {
    check_nothing_left(1000, |i| {
        let context = Context::new();
        let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
        let push = connected(&context, SocketType::Push, &endpoint);
        let other = connected(&context, SocketType::Push, "inproc://never bound");
        push.send(body(i, 2000)).expect("send");
        other.send(body(i, 2000)).expect("send");
        assert_eq!(*pull.recv().expect("recv"), body(i, 2000));
    });
}

#[test]
fn a_socket_is_used_by_many_threads_at_once() {
    let context = Context::new();
    let socket = Arc::new(socket(&context, SocketType::Dealer));
    socket.bind("inproc://many threads").expect("bind");
    let peer = connected(&context, SocketType::Dealer, "inproc://many threads");
    let threads: Vec<_> = (0..4u32)
        .map(|thread| {
            let socket = Arc::clone(&socket);
            thread::spawn(move || {
                for i in 0..200 {
                    socket.set_receive_timeout(Some(GUARD)).expect("option");
                    let endpoint = format!("inproc://{thread} {i}");
                    socket.bind(&endpoint).expect("bind");
                    socket.send(body(i, 20)).expect("send");
                    let _ = socket.readiness().expect("readiness");
                    assert_eq!(*socket.recv().expect("recv"), *b"back");
                    socket.unbind(&endpoint).expect("unbind");
                }
            })
        })
        .collect();
    for _ in 0..800 {
        assert_eq!(peer.recv().expect("recv").len(), 20);
        peer.send("back").expect("send");
    }
    threads.into_iter().for_each(|thread| thread.join().expect("thread"));
}
