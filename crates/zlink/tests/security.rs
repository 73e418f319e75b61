//! PLAIN and ZAP on sockets: who is let in, who is not, and what everybody learns of it.

mod common;

use std::io::{Read, Write};
use std::time::Duration;

use common::zap::{Handler, Reply, reply, welcome};
use common::{
    RawPeer, RawStream, Transport, command, connected, greeting, monitor, ready, socket, wait_until, zap,
};
use zlink::{Context, Error, EventKind, Socket, SocketType};

over_tcp_and_ipc! {
    a_plain_client_with_the_right_password_is_let_in,
    the_handler_is_told_what_27_zap_says,
    user_id_and_metadata_of_the_handler_come_with_every_message,
    a_peer_cannot_claim_a_user_id,
    every_refusal_is_an_event_on_both_sides_and_delivers_nothing,
    malformed_replies_refuse_with_libzmqs_numbers,
    a_refused_client_does_not_come_again_but_a_postponed_one_does,
    without_a_handler_plain_refuses,
    without_a_handler_null_refuses_only_where_the_domain_is_enforced,
    plain_asks_without_a_domain_even_where_one_is_enforced,
    a_socket_that_cannot_answer_is_no_handler,
    a_router_may_handle_questions_out_of_order,
    roles_and_mechanisms_that_do_not_fit_are_refused,
    peers_without_security_are_refused,
    commands_before_the_verdict_are_refused,
    traffic_before_the_verdict_waits_for_it,
    a_peer_that_goes_while_its_verdict_is_awaited_is_noticed,
    the_deadline_of_the_handshake_covers_the_question,
    a_handler_that_goes_lets_nobody_in,
    a_pending_question_holds_up_neither_close_nor_end,
    a_client_whose_verdict_is_slow_keeps_its_messages,
}

/// A PULL server of PLAIN.
fn plain_server(context: &Context, transport: Transport) -> (Socket, String) {
    let server = socket(context, SocketType::Pull);
    server.set_plain_server(true).expect("option");
    bind(server, transport)
}

/// A PULL socket of NULL with a domain.
fn null_server(context: &Context, transport: Transport) -> (Socket, String) {
    let server = socket(context, SocketType::Pull);
    server.set_zap_domain("global").expect("option");
    bind(server, transport)
}

fn bind(server: Socket, transport: Transport) -> (Socket, String) {
    server.bind(transport.wildcard()).expect("bind");
    let endpoint = server.last_endpoint().expect("endpoint");
    (server, endpoint)
}

fn plain_client(context: &Context, endpoint: &str) -> Socket {
    let client = socket(context, SocketType::Push);
    client.set_plain_username("admin").expect("option");
    client.set_plain_password("secret").expect("option");
    client.connect(endpoint).expect("connect");
    client
}

fn end(context: &Context, handler: Handler, sockets: Vec<Socket>) {
    drop(sockets);
    context.shutdown();
    handler.join();
    context.terminate();
}

/// Nothing can be received.
fn assert_nothing(socket: &Socket) {
    match socket.try_recv() {
        Err(Error::WouldBlock) => {}
        other => panic!("{other:?}"),
    }
}

const FAILURES: [EventKind; 3] =
    [EventKind::HandshakeFailedAuth, EventKind::HandshakeFailedProtocol, EventKind::HandshakeFailedNoDetail];

fn a_plain_client_with_the_right_password_is_let_in(transport: Transport) {
    let context = Context::new();
    let handler = Handler::start(&context, |request| {
        let good = request[6..] == [b"admin".to_vec(), b"secret".to_vec()];
        reply(if good { "200" } else { "400" }, "joe", b"")
    });
    let (server, endpoint) = plain_server(&context, transport);
    let events = monitor(&server);
    let good = plain_client(&context, &endpoint);
    good.send("hello").expect("send");
    assert_eq!(*server.recv().expect("recv"), *b"hello");
    events.wait_for(&[EventKind::HandshakeSucceeded]);
    for (username, password) in [("admin", "Secret"), ("root", "secret"), ("admin", "secret ")] {
        let bad = socket(&context, SocketType::Push);
        bad.set_plain_username(username).expect("option");
        bad.set_plain_password(password).expect("option");
        bad.connect(&endpoint).expect("connect");
        let _ = bad.try_send("from a stranger");
        assert_eq!(events.wait_for(&[EventKind::HandshakeFailedAuth]).value, 400);
    }
    good.send("and again").expect("send");
    assert_eq!(*server.recv().expect("recv"), *b"and again", "and nothing else");
    end(&context, handler, vec![server, good]);
}

fn the_handler_is_told_what_27_zap_says(transport: Transport) {
    let context = Context::new();
    let handler = Handler::start(&context, welcome);
    for plain in [true, false] {
        let server = socket(&context, SocketType::Pull);
        server.set_plain_server(plain).expect("option");
        server.set_zap_domain("global").expect("option");
        server.set_routing_id(b"the server").expect("option");
        let (server, endpoint) = bind(server, transport);
        let client = if plain {
            plain_client(&context, &endpoint)
        } else {
            connected(&context, SocketType::Push, &endpoint)
        };
        client.send("hello").expect("send");
        let address = server.recv().expect("recv").property("Peer-Address").expect("a property").to_owned();
        if transport == Transport::Tcp {
            assert_eq!(address, "127.0.0.1");
        }
        let mut expected: Vec<&[u8]> = vec![b"1.0", b"1", b"global", address.as_bytes(), b"the server"];
        expected.extend::<[&[u8]; 3]>(if plain {
            [b"PLAIN", b"admin", b"secret"]
        } else {
            [b"NULL", b"", b""]
        });
        expected.retain(|part| !part.is_empty());
        assert_eq!(handler.request(), expected);
    }
    end(&context, handler, vec![]);
}

fn user_id_and_metadata_of_the_handler_come_with_every_message(transport: Transport) {
    let context = Context::new();
    let handler = Handler::start(&context, |_| {
        // It says more than it has to, and no less is let in for it.
        let more = b"\x06X-room\0\0\0\x027b\x0bSocket-Type\0\0\0\x03PUB\x08Identity\0\0\0\x04else";
        reply("200", "joe", more)
    });
    let (server, endpoint) = plain_server(&context, transport);
    let client = plain_client(&context, &endpoint);
    for _ in 0..3 {
        client.send("hello").expect("send");
        let message = server.recv().expect("recv");
        assert_eq!(message.property("User-Id"), Some("joe"));
        assert_eq!(message.property("X-room"), Some("7b"));
        assert_eq!(message.property("Socket-Type"), Some("PUB"));
    }
    end(&context, handler, vec![server, client]);
}

fn a_peer_cannot_claim_a_user_id(transport: Transport) {
    let claim = |name: &str| {
        let mut body = b"\x05READY\x0bSocket-Type\0\0\0\x04PUSH".to_vec();
        body.push(name.len() as u8);
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(b"\0\0\0\x04root");
        [greeting(), command(&body), b"\0\x05hello".to_vec()].concat()
    };
    // With a handler its word counts, and without one nobody's does.
    for asked in [true, false] {
        let context = Context::new();
        let handler = Handler::start(&context, welcome);
        let server = socket(&context, SocketType::Pull);
        if asked {
            server.set_zap_domain("global").expect("option");
        }
        let (server, endpoint) = bind(server, transport);
        for name in ["User-Id", "user-id", "Peer-Address"] {
            let mut peer = RawStream::connect(&endpoint);
            peer.write_all(&claim(name)).expect("write");
            let message = server.recv().expect("recv");
            assert_eq!(message.property("User-Id"), asked.then_some("joe"));
            assert_ne!(message.property("Peer-Address"), Some("root"));
        }
        end(&context, handler, vec![server]);
    }
}

fn every_refusal_is_an_event_on_both_sides_and_delivers_nothing(transport: Transport) {
    for plain in [true, false] {
        for (status, told) in [("400", true), ("500", true), ("300", false)] {
            let context = Context::new();
            let handler = Handler::start(&context, move |_| reply(status, "joe", b""));
            let (server, endpoint) =
                if plain { plain_server(&context, transport) } else { null_server(&context, transport) };
            let events = monitor(&server);
            let client = socket(&context, SocketType::Push);
            if plain {
                client.set_plain_username("admin").expect("option");
            }
            let client_events = monitor(&client);
            client.connect(&endpoint).expect("connect");
            // Whoever is refused before this has no pipe any more.
            let _ = client.try_send("from a stranger");
            let value: u32 = status.parse().expect("a number");
            assert_eq!(events.wait_for(&FAILURES).value, value);
            let event = client_events.wait_for(&[FAILURES.as_slice(), &[EventKind::Disconnected]].concat());
            if told {
                assert_eq!((event.kind, event.value), (EventKind::HandshakeFailedAuth, value));
            } else {
                assert_ne!(event.kind, EventKind::HandshakeFailedAuth);
            }
            assert_nothing(&server);
            end(&context, handler, vec![server, client]);
        }
    }
}

fn malformed_replies_refuse_with_libzmqs_numbers(transport: Transport) {
    let change = |n: usize, frame: &[u8]| {
        let mut reply = reply("200", "joe", b"");
        reply[n] = frame.to_vec();
        reply
    };
    let cases: Vec<(Reply, u32)> = vec![
        (change(0, b"2.0"), 0x2000_0003),
        (change(1, b"2"), 0x2000_0002),
        (change(2, b"201"), 0x2000_0004),
        (change(2, b"invalid"), 0x2000_0004),
        (change(5, b"\x04X-ro"), 0x2000_0005),
        (reply("200", "joe", b"")[..5].to_vec(), 0x2000_0001),
        ([reply("200", "joe", b""), vec![Vec::new()]].concat(), 0x2000_0001),
        (vec![Vec::new(); 100], 0x2000_0001),
        (vec![b"200".to_vec()], 0x2000_0001),
    ];
    for (reply, value) in cases {
        let context = Context::new();
        let handler = Handler::start(&context, move |_| reply.clone());
        let (server, endpoint) = plain_server(&context, transport);
        let events = monitor(&server);
        let client = plain_client(&context, &endpoint);
        let event = events.wait_for(&FAILURES);
        assert_eq!((event.kind, event.value), (EventKind::HandshakeFailedProtocol, value));
        let _ = client.try_send("x");
        assert_nothing(&server);
        end(&context, handler, vec![server, client]);
    }
}

fn a_refused_client_does_not_come_again_but_a_postponed_one_does(transport: Transport) {
    let context = Context::new();
    let mut questions = 0;
    let handler = Handler::start(&context, move |request| {
        questions += 1;
        let refused = request[6] == b"refused";
        reply(
            if refused {
                "400"
            } else if questions < 4 {
                "300"
            } else {
                "200"
            },
            "joe",
            b"",
        )
    });
    let (server, endpoint) = plain_server(&context, transport);
    let refused = socket(&context, SocketType::Push);
    refused.set_plain_username("refused").expect("option");
    let events = monitor(&refused);
    refused.connect(&endpoint).expect("connect");
    assert_eq!(events.wait_for(&FAILURES).value, 400);
    assert_eq!(handler.request()[6], b"refused");
    let postponed = plain_client(&context, &endpoint);
    postponed.send("hello").expect("send");
    assert_eq!(*server.recv().expect("recv"), *b"hello");
    // Three of the postponed client's; the refused one has had all the time to ask again.
    assert_eq!(handler.requests(), 3);
    end(&context, handler, vec![server, refused, postponed]);
}

fn without_a_handler_plain_refuses(transport: Transport) {
    let context = Context::new();
    let (server, endpoint) = plain_server(&context, transport);
    let events = monitor(&server);
    let client = plain_client(&context, &endpoint);
    let event = events.wait_for(&FAILURES);
    assert_eq!((event.kind, event.value), (EventKind::HandshakeFailedNoDetail, efault()));
    client.send("hello").expect("send");
    assert_nothing(&server);
    // It tries again, and with a handler it is let in.
    let handler = Handler::start(&context, welcome);
    assert_eq!(*server.recv().expect("recv"), *b"hello");
    end(&context, handler, vec![server, client]);
}

fn efault() -> u32 {
    rustix::io::Errno::FAULT.raw_os_error() as u32
}

fn without_a_handler_null_refuses_only_where_the_domain_is_enforced(transport: Transport) {
    for (domain, enforce, welcome) in [("", true, true), ("global", false, true), ("global", true, false)] {
        let context = Context::new();
        let server = socket(&context, SocketType::Pull);
        if !domain.is_empty() {
            server.set_zap_domain(domain).expect("option");
        }
        server.set_zap_enforce_domain(enforce).expect("option");
        let (server, endpoint) = bind(server, transport);
        let events = monitor(&server);
        let client = connected(&context, SocketType::Push, &endpoint);
        client.send("hello").expect("send");
        if welcome {
            assert_eq!(*server.recv().expect("recv"), *b"hello");
        } else {
            let event = events.wait_for(&FAILURES);
            assert_eq!((event.kind, event.value), (EventKind::HandshakeFailedNoDetail, efault()));
            assert_nothing(&server);
        }
    }
}

fn plain_asks_without_a_domain_even_where_one_is_enforced(transport: Transport) {
    let context = Context::new();
    let handler = Handler::start(&context, welcome);
    let server = socket(&context, SocketType::Pull);
    server.set_plain_server(true).expect("option");
    server.set_zap_enforce_domain(true).expect("option");
    let (server, endpoint) = bind(server, transport);
    let client = plain_client(&context, &endpoint);
    client.send("hello").expect("send");
    assert_eq!(*server.recv().expect("recv"), *b"hello");
    end(&context, handler, vec![server, client]);
}

fn a_socket_that_cannot_answer_is_no_handler(transport: Transport) {
    for socket_type in [SocketType::Pull, SocketType::Dealer, SocketType::Pub, SocketType::Server] {
        let context = Context::new();
        let unfit = socket(&context, socket_type);
        unfit.bind(zap::ENDPOINT).expect("bind");
        let (server, endpoint) = plain_server(&context, transport);
        let events = monitor(&server);
        let _client = plain_client(&context, &endpoint);
        assert_eq!(events.wait_for(&FAILURES).value, efault());
    }
}

fn a_router_may_handle_questions_out_of_order(transport: Transport) {
    let context = Context::new();
    let handler = socket(&context, SocketType::Router);
    handler.bind(zap::ENDPOINT).expect("bind");
    let (server, endpoint) = plain_server(&context, transport);
    let clients: Vec<Socket> = (0..3).map(|_| plain_client(&context, &endpoint)).collect();
    for client in &clients {
        client.send("hello").expect("send");
    }
    let questions: Vec<_> = clients.iter().map(|_| handler.recv_multipart().expect("a question")).collect();
    for (n, question) in questions.iter().enumerate().rev() {
        let mut answer = vec![question[0].to_vec(), Vec::new()];
        answer.extend(reply("200", &n.to_string(), b""));
        handler.send_multipart(answer).expect("send");
        let message = server.recv().expect("recv");
        assert_eq!(message.property("User-Id"), Some(n.to_string().as_str()));
    }
}

fn roles_and_mechanisms_that_do_not_fit_are_refused(transport: Transport) {
    const MISMATCH: u32 = 0x1100_0002;
    const UNEXPECTED: u32 = 0x1000_0001;
    type Set = fn(&Socket);
    let set: [(&str, Set); 3] = [
        ("NULL", |_| {}),
        ("server", |socket| socket.set_plain_server(true).expect("option")),
        ("client", |socket| socket.set_plain_username("admin").expect("option")),
    ];
    for (left, set_left) in set {
        for (right, set_right) in set {
            let expected = match (left, right) {
                ("NULL", "NULL") | ("server", "client") | ("client", "server") => continue,
                ("client", "client") => UNEXPECTED,
                _ => MISMATCH,
            };
            let context = Context::new();
            let handler = Handler::start(&context, welcome);
            let (server, client) = (socket(&context, SocketType::Pull), socket(&context, SocketType::Push));
            set_left(&server);
            set_right(&client);
            let (server, endpoint) = bind(server, transport);
            let events = monitor(&server);
            client.connect(&endpoint).expect("connect");
            // Whoever sees it first closes; the other may see no more than that.
            let event = loop {
                let event = events.wait_for(&FAILURES);
                if event.kind == EventKind::HandshakeFailedProtocol {
                    break event;
                }
            };
            assert_eq!(event.value, expected, "{left} with {right}");
            assert_eq!(handler.requests(), 0);
            end(&context, handler, vec![server, client]);
        }
    }
}

fn peers_without_security_are_refused(transport: Transport) {
    let context = Context::new();
    let handler = Handler::start(&context, welcome);
    for (server, endpoint) in [plain_server(&context, transport), null_server(&context, transport)] {
        let events = monitor(&server);
        for bytes in [
            &b"\x01\0\x08\0sneaky\0"[..],
            b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x08\0\0\0\x06sneaky",
            b"\xff\0\0\0\0\0\0\0\x01\x7f\0\x08\x01\0\x07\0sneaky",
        ] {
            let mut peer = RawStream::connect(&endpoint);
            peer.write_as_far_as_possible(bytes);
            assert_eq!(events.wait_for(&FAILURES).kind, EventKind::HandshakeFailedProtocol);
            assert!(peer.read_to_close().len() <= 11);
        }
        assert_nothing(&server);
    }
    assert_eq!(handler.requests(), 0);
    end(&context, handler, vec![]);
}

fn plain_greeting() -> Vec<u8> {
    let mut greeting = greeting();
    greeting[12..17].copy_from_slice(b"PLAIN");
    greeting
}

const HELLO: &[u8] = b"\x05HELLO\x05admin\x06secret";
const INITIATE: &[u8] = b"\x08INITIATE\x0bSocket-Type\0\0\0\x04PUSH";

fn commands_before_the_verdict_are_refused(transport: Transport) {
    let context = Context::new();
    // Nobody answers.
    let handler = socket(&context, SocketType::Rep);
    handler.bind(zap::ENDPOINT).expect("bind");
    let (server, endpoint) = plain_server(&context, transport);
    let events = monitor(&server);
    for early in [command(INITIATE), ready("PUSH"), command(HELLO), b"\0\x05hello".to_vec()] {
        for together in [true, false] {
            let mut peer = RawStream::connect(&endpoint);
            let hello = [plain_greeting(), command(HELLO)].concat();
            if together {
                peer.write_as_far_as_possible(&[&hello[..], &early].concat());
            } else {
                peer.write_all(&hello).expect("write");
                handler.recv_multipart().expect("a question");
                peer.write_as_far_as_possible(&early);
            }
            let event = events.wait_for(&FAILURES);
            assert_eq!((event.kind, event.value), (EventKind::HandshakeFailedProtocol, 0x1000_0000));
            assert_eq!(peer.read_to_close().len(), 64, "a greeting and nothing else");
            if !together {
                // The verdict comes too late for anybody.
                handler.send_multipart(reply("200", "joe", b"")).expect("send");
            }
        }
    }
    assert_nothing(&server);
}

fn traffic_before_the_verdict_waits_for_it(transport: Transport) {
    for status in ["200", "400"] {
        let context = Context::new();
        let handler = socket(&context, SocketType::Rep);
        handler.bind(zap::ENDPOINT).expect("bind");
        let (server, endpoint) = null_server(&context, transport);
        let events = monitor(&server);
        let mut peer = RawStream::connect(&endpoint);
        // More than is read ahead.
        let messages: Vec<u8> = (0..1000).flat_map(|_| b"\0\x05hello".to_vec()).collect();
        peer.write_all(&[greeting(), ready("PUSH"), messages].concat()).expect("write");
        handler.recv_multipart().expect("a question");
        assert_nothing(&server);
        handler.send_multipart(reply(status, "joe", b"")).expect("send");
        if status == "200" {
            for _ in 0..1000 {
                let message = server.recv().expect("recv");
                assert_eq!((&*message, message.property("User-Id")), (&b"hello"[..], Some("joe")));
            }
        } else {
            assert_eq!(events.wait_for(&FAILURES).value, 400);
            peer.read_to_close();
            assert_nothing(&server);
        }
    }
}

fn a_peer_that_goes_while_its_verdict_is_awaited_is_noticed(transport: Transport) {
    let context = Context::new();
    let handler = socket(&context, SocketType::Rep);
    handler.bind(zap::ENDPOINT).expect("bind");
    for plain in [true, false] {
        let (server, endpoint) =
            if plain { plain_server(&context, transport) } else { null_server(&context, transport) };
        let events = monitor(&server);
        let mut peer = RawStream::connect(&endpoint);
        let bytes = if plain {
            [plain_greeting(), command(HELLO)].concat()
        } else {
            [greeting(), ready("PUSH")].concat()
        };
        peer.write_all(&bytes).expect("write");
        handler.recv_multipart().expect("a question");
        drop(peer);
        assert_eq!(events.wait_for(&FAILURES).kind, EventKind::HandshakeFailedNoDetail);
        // The answer goes nowhere.
        handler.send_multipart(reply("200", "joe", b"")).expect("send");
        assert_nothing(&server);
    }
}

fn the_deadline_of_the_handshake_covers_the_question(transport: Transport) {
    let context = Context::new();
    let handler = socket(&context, SocketType::Rep);
    handler.bind(zap::ENDPOINT).expect("bind");
    let server = socket(&context, SocketType::Pull);
    server.set_plain_server(true).expect("option");
    server.set_handshake_interval(Duration::from_millis(100)).expect("option");
    let (server, endpoint) = bind(server, transport);
    let events = monitor(&server);
    let mut peer = RawStream::connect(&endpoint);
    peer.write_all(&[plain_greeting(), command(HELLO)].concat()).expect("write");
    handler.recv_multipart().expect("a question");
    let event = events.wait_for(&FAILURES);
    let timed_out = rustix::io::Errno::TIMEDOUT.raw_os_error() as u32;
    assert_eq!((event.kind, event.value), (EventKind::HandshakeFailedNoDetail, timed_out));
    assert_eq!(peer.read_to_close().len(), 64);
}

fn a_handler_that_goes_lets_nobody_in(transport: Transport) {
    for (read_first, plain) in [(true, true), (false, true), (true, false), (false, false)] {
        let context = Context::new();
        let handler = socket(&context, SocketType::Rep);
        handler.bind(zap::ENDPOINT).expect("bind");
        let server = socket(&context, SocketType::Pull);
        server.set_plain_server(plain).expect("option");
        server.set_zap_domain("global").expect("option");
        server.set_handshake_interval(Duration::from_millis(300)).expect("option");
        let (server, endpoint) = bind(server, transport);
        let events = monitor(&server);
        let mut peer = RawStream::connect(&endpoint);
        let bytes = if plain {
            [plain_greeting(), command(HELLO)].concat()
        } else {
            [greeting(), ready("PUSH"), b"\0\x05hello".to_vec()].concat()
        };
        peer.write_all(&bytes).expect("write");
        if read_first {
            handler.recv_multipart().expect("a question");
        } else {
            wait_until("a question", || handler.readiness().expect("readiness").readable);
        }
        drop(handler);
        events.wait_for(&FAILURES);
        assert_eq!(peer.read_to_close().len(), 64);
        assert_nothing(&server);
    }
}

fn a_pending_question_holds_up_neither_close_nor_end(transport: Transport) {
    for read_first in [true, false] {
        let context = Context::new();
        let handler = socket(&context, SocketType::Rep);
        handler.bind(zap::ENDPOINT).expect("bind");
        let (server, endpoint) = plain_server(&context, transport);
        let client = plain_client(&context, &endpoint);
        client.send("hello").expect("send");
        wait_until("a question", || handler.readiness().expect("readiness").readable);
        if read_first {
            handler.recv_multipart().expect("a question");
        }
        // The other way round on every second run.
        if read_first {
            drop(server);
            handler.send_multipart(reply("200", "joe", b"")).expect("send");
            drop((client, handler));
        } else {
            drop((client, handler));
            drop(server);
        }
        context.terminate();
    }
}

fn a_client_whose_verdict_is_slow_keeps_its_messages(transport: Transport) {
    let context = Context::new();
    let handler = socket(&context, SocketType::Rep);
    handler.bind(zap::ENDPOINT).expect("bind");
    let (server, endpoint) = plain_server(&context, transport);
    let client = plain_client(&context, &endpoint);
    for n in 0..100u32 {
        client.send(&n.to_be_bytes()[..]).expect("send");
    }
    handler.recv_multipart().expect("a question");
    assert_nothing(&server);
    handler.send_multipart(reply("200", "joe", b"")).expect("send");
    for n in 0..100u32 {
        assert_eq!(*server.recv().expect("recv"), n.to_be_bytes());
    }
}

#[test]
fn mechanism_is_that_of_the_options_set_last() {
    let context = Context::new();
    let socket = context.socket(SocketType::Pull).expect("socket");
    let state = || (socket.mechanism().expect("option"), socket.plain_server().expect("option"));
    assert_eq!(state(), (0, false));
    socket.set_plain_server(true).expect("option");
    assert_eq!(state(), (1, true));
    socket.set_plain_username("joe").expect("option");
    assert_eq!(state(), (1, false));
    assert_eq!(socket.plain_username().expect("option"), "joe");
    socket.set_plain_server(true).expect("option");
    socket.set_plain_server(false).expect("option");
    assert_eq!(state(), (0, false));
    for (too_long, set) in [
        (256, Socket::set_plain_username as fn(&Socket, &str) -> Result<(), Error>),
        (256, Socket::set_plain_password),
        (256, Socket::set_zap_domain),
        (0, Socket::set_zap_domain),
    ] {
        assert!(set(&socket, &"x".repeat(too_long)).is_err());
    }
    assert_eq!(state(), (0, false), "what is refused changes nothing");
}

#[test]
fn a_raw_peer_of_plain_is_served() {
    common::guarded(|| {
        let context = Context::new();
        let handler = Handler::start(&context, welcome);
        let (server, endpoint) = plain_server(&context, Transport::Tcp);
        let mut peer = RawStream::connect(&endpoint);
        let mut buffer = [0; 1024];
        peer.write_all(&plain_greeting()).expect("write");
        peer.read_exact(&mut buffer[..64]).expect("a greeting");
        assert_eq!((&buffer[12..18], buffer[32]), (&b"PLAIN\0"[..], 1));
        peer.write_all(&command(HELLO)).expect("write");
        peer.read_exact(&mut buffer[..10]).expect("a command");
        assert_eq!(&buffer[..10], b"\x04\x08\x07WELCOME");
        peer.write_all(&[&command(INITIATE)[..], b"\0\x05hello"].concat()).expect("write");
        peer.read_exact(&mut buffer[..28]).expect("a command");
        assert_eq!(&buffer[..28], b"\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PULL");
        assert_eq!(*server.recv().expect("recv"), *b"hello");
        end(&context, handler, vec![server]);
        drop(peer);
    });
}

/// A peer that has a NULL handshake with the server of PLAIN: not even its mechanism is looked at further.
#[test]
fn a_null_peer_of_a_plain_server_gets_no_further_than_the_greeting() {
    common::guarded(|| {
        let context = Context::new();
        let (_server, endpoint) = plain_server(&context, Transport::Tcp);
        assert!(RawPeer::try_shake(RawStream::connect(&endpoint), SocketType::Push).is_err());
    });
}
