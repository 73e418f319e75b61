//! NULL and PLAIN with a ZAP handler, zlink on one side and libzmq on the other, either of them the server, over TCP,
//! IPC and WebSocket.

use zlink::EventKind;
use zlink::SocketType::{Dealer, Rep};
use zlink_interop::{GUARD, Library, Node, Parts, SIZES, Transport, body, option};

/// Who is the server, the side that asks a handler.
#[derive(Clone, Copy, Debug)]
struct Run {
    server: Library,
    plain: bool,
    transport: Transport,
}

fn runs() -> impl Iterator<Item = Run> {
    Library::BOTH.into_iter().flat_map(|server| {
        [true, false].into_iter().flat_map(move |plain| {
            Transport::ALL.into_iter().map(move |transport| Run { server, plain, transport })
        })
    })
}

/// A server and its handler.
fn server(run: Run) -> (Node, Node) {
    let mut server = Node::new(run.server, Dealer);
    server.set(option::ZAP_DOMAIN, b"global");
    server.set(option::ROUTING_ID, b"the server");
    if run.plain {
        server.set_int(option::PLAIN_SERVER, 1);
    }
    let mut handler = server.sibling(Rep);
    handler.bind("inproc://zeromq.zap.01");
    (server, handler)
}

fn client(run: Run, password: &[u8]) -> Node {
    let mut client = Node::new(run.server.other(), Dealer);
    if run.plain {
        client.set(option::PLAIN_USERNAME, b"admin");
        client.set(option::PLAIN_PASSWORD, password);
    }
    client
}

/// Answers the next question, and returns it.
fn answer(handler: &mut Node, status: &[u8]) -> Parts {
    let question = handler.recv();
    let reply: [&[u8]; 6] = [&question[0], &question[1], status, b"text", b"joe", b"\x06X-room\0\0\0\x027b"];
    handler.send(&reply);
    question
}

fn check(run: Run, question: &Parts, password: &[u8]) {
    let mut expected: Vec<&[u8]> = vec![b"1.0", b"1", b"global", &question[3], b"the server"];
    if run.plain {
        expected.extend([&b"PLAIN"[..], b"admin", password]);
    } else {
        expected.push(b"NULL");
    }
    assert_eq!(*question, expected, "{run:?}");
    if run.transport != Transport::Ipc {
        assert_eq!(question[3], b"127.0.0.1", "{run:?}");
    }
}

fn talk(run: Run, client: &mut Node, server: &mut Node) {
    for (seed, size) in SIZES.into_iter().enumerate() {
        client.send(&[body(size, seed)]);
        assert!(server.recv() == [body(size, seed)], "{run:?}, {size} bytes");
        server.send(&[body(size, seed), body(seed, size)]);
        assert!(client.recv() == [body(size, seed), body(seed, size)], "{run:?}, {size} bytes");
    }
}

#[test]
fn a_welcome_client_talks_whoever_binds() {
    for run in runs() {
        for server_binds in [true, false] {
            let (mut server, mut handler) = server(run);
            let mut client = client(run, b"secret");
            let (bound, connecting) =
                if server_binds { (&mut server, &mut client) } else { (&mut client, &mut server) };
            let endpoint = bound.bind(run.transport.wildcard());
            connecting.connect(&endpoint);
            check(run, &answer(&mut handler, b"200"), b"secret");
            talk(run, &mut client, &mut server);
        }
    }
}

#[test]
fn a_refused_client_is_not_heard_and_its_successor_is() {
    for run in runs() {
        for status in [&b"400"[..], b"500"] {
            let (mut server, mut handler) = server(run);
            let endpoint = server.bind(run.transport.wildcard());
            let mut refused = client(run, b"wrong");
            let events = refused.zlink().map(|socket| socket.monitor(EventKind::ALL).expect("monitor"));
            refused.connect(&endpoint);
            refused.send(&[b"from a stranger"]);
            check(run, &answer(&mut handler, status), b"wrong");
            if let Some(events) = events {
                let event = loop {
                    let event = events.recv_timeout(GUARD).unwrap_or_else(|error| panic!("{run:?}: {error}"));
                    if event.kind == EventKind::HandshakeFailedAuth {
                        break event;
                    }
                    assert_ne!(event.kind, EventKind::HandshakeSucceeded, "{run:?}");
                };
                assert_eq!(event.value.to_string().as_bytes(), status, "{run:?}");
            }
            let mut welcome = client(run, b"secret");
            welcome.connect(&endpoint);
            // Neither library's client asks again.
            check(run, &answer(&mut handler, b"200"), b"secret");
            talk(run, &mut welcome, &mut server);
        }
    }
}

#[test]
fn a_postponed_client_asks_again() {
    for run in runs() {
        let (mut server, mut handler) = server(run);
        let endpoint = server.bind(run.transport.wildcard());
        let mut client = client(run, b"secret");
        client.set_int(option::RECONNECT_IVL, 1);
        if run.server == Library::Libzmq {
            // It leaves the connection open, so that its client has to give up first.
            client.set_int(option::HANDSHAKE_IVL, 100);
        }
        client.connect(&endpoint);
        for status in [b"300", b"300", b"200"] {
            check(run, &answer(&mut handler, status), b"secret");
        }
        talk(run, &mut client, &mut server);
    }
}

#[test]
fn user_id_and_properties_of_the_handler_are_on_the_messages() {
    for run in runs().filter(|run| run.server == Library::Zlink) {
        let (mut server, mut handler) = server(run);
        let endpoint = server.bind(run.transport.wildcard());
        let mut client = client(run, b"secret");
        client.connect(&endpoint);
        answer(&mut handler, b"200");
        client.send(&[b"hello"]);
        let message = server.zlink().expect("zlink's").recv().expect("a message");
        assert_eq!((&*message, message.property("User-Id")), (&b"hello"[..], Some("joe")), "{run:?}");
        assert_eq!(message.property("X-room"), Some("7b"), "{run:?}");
    }
}
