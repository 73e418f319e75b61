//! CURVE between sockets, over wires that cut, change and repeat what passes.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::zap::{self, Handler};
use common::{GUARD, Transport, body, connected, monitor, number, parts, socket, wait_until};
use zlink::curve::SecretKey;
use zlink::{Context, Error, EventKind, Socket, SocketType};

over_tcp_and_ipc! {
    messages_of_every_size_pass,
    several_threads_send_and_the_kernel_takes_little,
    a_handler_is_asked_for_the_clients_key_and_decides,
    peers_without_the_keys_do_not_come_in,
}

const UNEXPECTED_COMMAND: u32 = 0x1000_0001;
const CRYPTOGRAPHIC: u32 = 0x1100_0001;
const MECHANISM_MISMATCH: u32 = 0x1100_0002;

struct Keys {
    server: SecretKey,
    client: SecretKey,
}

impl Keys {
    fn new() -> Self {
        let key = || SecretKey::generate().expect("the system has random numbers");
        Keys { server: key(), client: key() }
    }

    fn server(&self, context: &Context, socket_type: SocketType) -> Socket {
        let socket = socket(context, socket_type);
        socket.set_curve_server(true).expect("option");
        socket.set_curve_secret_key(&self.server).expect("option");
        socket
    }

    fn client(&self, context: &Context, socket_type: SocketType) -> Socket {
        let socket = socket(context, socket_type);
        socket.set_curve_server_key(&self.server.public_key()).expect("option");
        socket.set_curve_public_key(&self.client.public_key()).expect("option");
        socket.set_curve_secret_key(&self.client).expect("option");
        socket
    }
}

/// A server and a client that have been introduced.
fn pair(server: SocketType, client: SocketType, transport: Transport) -> (Context, Socket, Socket) {
    let (context, keys) = (Context::new(), Keys::new());
    let server = keys.server(&context, server);
    server.bind(transport.wildcard()).expect("bind");
    let client = keys.client(&context, client);
    client.connect(&server.last_endpoint().expect("endpoint")).expect("connect");
    (context, server, client)
}

fn messages_of_every_size_pass(transport: Transport) {
    let (_context, server, client) = pair(SocketType::Pair, SocketType::Pair, transport);
    for len in (0..300).chain([8_000, 16_350, 16_384, 65_535, 70_000, 300_000, 1 << 20]) {
        for (from, to) in [(&server, &client), (&client, &server)] {
            from.send(&body(9, len)[..]).expect("send");
            assert!(*to.recv().expect("receive") == body(9, len)[..], "{len} bytes");
            from.send_multipart([body(1, len), body(2, 3), body(3, len / 2)]).expect("send");
            let received = parts(&to.recv_multipart().expect("receive"));
            assert!(received == [body(1, len), body(2, 3), body(3, len / 2)], "parts of {len} bytes");
        }
    }
}

/// Writes cut at any byte, and more than one sender: frames are boxed once, in the order in which they go out.
fn several_threads_send_and_the_kernel_takes_little(transport: Transport) {
    const THREADS: u32 = 4;
    const EACH: u32 = 1_500;
    let (context, keys) = (Context::new(), Keys::new());
    let pull = keys.server(&context, SocketType::Pull);
    pull.set_receive_buffer(4096).expect("option");
    pull.bind(transport.wildcard()).expect("bind");
    let push = keys.client(&context, SocketType::Push);
    push.set_send_buffer(4096).expect("option");
    push.connect(&pull.last_endpoint().expect("endpoint")).expect("connect");
    let len = |n: u32| 8 + n as usize * 37 % 3_000;
    thread::scope(|scope| {
        for id in 0..THREADS {
            let push = &push;
            scope.spawn(move || {
                for n in 0..EACH {
                    let mut bytes = body(n, len(n));
                    bytes[4..8].copy_from_slice(&id.to_be_bytes());
                    push.send(bytes).expect("send");
                }
            });
        }
        let mut next = [0; THREADS as usize];
        for _ in 0..THREADS * EACH {
            let message = pull.recv().expect("receive");
            let id = number(&message[4..]);
            let n = std::mem::replace(&mut next[id as usize], number(&message) + 1);
            let mut expected = body(n, len(n));
            expected[4..8].copy_from_slice(&id.to_be_bytes());
            assert!(*message == expected[..], "message {n} of thread {id}");
        }
    });
}

fn a_handler_is_asked_for_the_clients_key_and_decides(transport: Transport) {
    let (context, keys, others) = (Context::new(), Keys::new(), Context::new());
    let welcome = keys.client.public_key();
    let handler = Handler::start(&context, move |request| {
        zap::reply(if request[6] == welcome.0 { "200" } else { "400" }, "joe", b"")
    });
    let server = keys.server(&context, SocketType::Dealer);
    server.set_zap_domain("here").expect("option");
    server.bind(transport.wildcard()).expect("bind");
    let endpoint = server.last_endpoint().expect("endpoint");

    let client = keys.client(&others, SocketType::Dealer);
    client.connect(&endpoint).expect("connect");
    client.send("hello").expect("send");
    let message = server.recv().expect("receive");
    assert_eq!((&*message, message.property("User-Id")), (&b"hello"[..], Some("joe")));
    let request = handler.request();
    assert_eq!((&request[2][..], &request[5][..]), (&b"here"[..], &b"CURVE"[..]));

    let stranger = Keys { server: keys.server.clone(), client: Keys::new().client };
    let stranger = stranger.client(&others, SocketType::Dealer);
    let (events, at_server) = (monitor(&stranger), monitor(&server));
    stranger.connect(&endpoint).expect("connect");
    // Whoever is refused before this has no pipe any more.
    let _ = stranger.try_send("hello");
    let failed = &[EventKind::HandshakeFailedAuth, EventKind::HandshakeSucceeded];
    for events in [events, at_server] {
        let event = events.wait_for(failed);
        assert_eq!((event.kind, event.value), (EventKind::HandshakeFailedAuth, 400));
    }
    drop((server, client, stranger));
    context.terminate();
    handler.join();
}

fn peers_without_the_keys_do_not_come_in(transport: Transport) {
    let (context, keys) = (Context::new(), Keys::new());
    let server = keys.server(&context, SocketType::Dealer);
    let events = monitor(&server);
    server.bind(transport.wildcard()).expect("bind");
    let endpoint = server.last_endpoint().expect("endpoint");
    let wrong = Keys { server: Keys::new().server, client: keys.client.clone() };
    let plain = socket(&context, SocketType::Dealer);
    plain.set_plain_username("joe").expect("option");
    for (client, code) in [
        (wrong.client(&context, SocketType::Dealer), CRYPTOGRAPHIC),
        (socket(&context, SocketType::Dealer), MECHANISM_MISMATCH),
        (plain, MECHANISM_MISMATCH),
    ] {
        client.connect(&endpoint).expect("connect");
        client.send("let me in").expect("send");
        // Both sides see that mechanisms differ; a client that is first to close tries again. And the client before may
        // have tried again until it was closed.
        loop {
            let event = events.wait_for(&[EventKind::HandshakeFailedProtocol, EventKind::HandshakeSucceeded]);
            assert_eq!(event.kind, EventKind::HandshakeFailedProtocol);
            if event.value == code {
                break;
            }
        }
    }
    server.set_receive_timeout(Some(Duration::ZERO)).expect("option");
    assert!(matches!(server.recv(), Err(Error::WouldBlock)));
    let good = keys.client(&context, SocketType::Dealer);
    good.connect(&endpoint).expect("connect");
    good.send("hello").expect("send");
    server.set_receive_timeout(Some(GUARD)).expect("option");
    assert_eq!(&*server.recv().expect("receive"), b"hello");
}

#[test]
fn within_a_process_nothing_is_encrypted_and_nobody_refused() {
    let (context, keys) = (Context::new(), Keys::new());
    let server = keys.server(&context, SocketType::Pair);
    server.bind("inproc://here").expect("bind");
    let client = connected(&context, SocketType::Pair, "inproc://here");
    client.send("hello").expect("send");
    assert_eq!(&*server.recv().expect("receive"), b"hello");
}

/// What is done to the bytes from a client: number of the connection, place of the bytes in it, the bytes. Returns how
/// many of them to pass on; fewer than all end the connection.
type Edit = dyn Fn(usize, usize, &mut [u8]) -> usize + Send + Sync;

/// A wire in front of a server, as an endpoint to connect to.
fn wire(server: &Socket, edit: Arc<Edit>) -> String {
    let endpoint = server.last_endpoint().expect("endpoint");
    let target = endpoint.strip_prefix("tcp://").expect("over TCP").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    thread::spawn(move || {
        for (connection, client) in listener.incoming().map_while(Result::ok).enumerate() {
            let Ok(server) = TcpStream::connect(&target) else { return };
            let back = (server.try_clone().expect("clone"), client.try_clone().expect("clone"));
            let edit = Arc::clone(&edit);
            thread::spawn(move || pass(back.0, back.1, |_, bytes| bytes.len()));
            thread::spawn(move || pass(client, server, |at, bytes| edit(connection, at, bytes)));
        }
    });
    format!("tcp://{address}")
}

fn pass(mut from: TcpStream, mut to: TcpStream, edit: impl Fn(usize, &mut [u8]) -> usize) {
    let (mut buffer, mut at) = ([0; 4096], 0);
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let kept = edit(at, &mut buffer[..n]);
        at += n;
        if to.write_all(&buffer[..kept]).is_err() || kept < n {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// Bytes from a PUSH before its first message: greeting, HELLO, INITIATE.
const HANDSHAKE: usize = 64 + (2 + 200) + (9 + 257 + 20);
const SHORT_HEADER: usize = 2;

/// Sends numbered messages until one arrives. What was sent to a connection before its end was noticed is lost.
fn send_until_heard(push: &Socket, pull: &Socket, from: u32) -> u32 {
    pull.set_receive_timeout(Some(Duration::from_millis(5))).expect("option");
    for n in from.. {
        push.send(body(n, 100)).expect("send");
        match pull.recv() {
            Ok(message) => {
                let n = number(&message);
                assert_eq!(*message, body(n, 100)[..]);
                return n;
            }
            Err(error) => assert!(matches!(error, Error::WouldBlock), "{error}"),
        }
    }
    unreachable!("there is no last number in a minute")
}

#[test]
fn a_change_on_the_way_ends_that_connection_and_is_told() {
    common::guarded(|| {
        for (at, code) in
            [(1, UNEXPECTED_COMMAND), (10, CRYPTOGRAPHIC), (20, CRYPTOGRAPHIC), (60, CRYPTOGRAPHIC)]
        {
            let (context, keys) = (Context::new(), Keys::new());
            let pull = keys.server(&context, SocketType::Pull);
            let events = monitor(&pull);
            pull.bind("tcp://127.0.0.1:*").expect("bind");
            let place = HANDSHAKE + SHORT_HEADER + at;
            let endpoint = wire(
                &pull,
                Arc::new(move |connection, from, bytes| {
                    if connection == 0 && (from..from + bytes.len()).contains(&place) {
                        bytes[place - from] ^= 0x20;
                    }
                    bytes.len()
                }),
            );
            let push = keys.client(&context, SocketType::Push);
            push.connect(&endpoint).expect("connect");
            push.send(body(0, 100)).expect("send");
            let event = events.wait_for(&[EventKind::HandshakeFailedProtocol]);
            assert_eq!(event.value, code, "byte {at}");
            events.wait_for(&[EventKind::Disconnected]);
            assert!(send_until_heard(&push, &pull, 1) > 0, "the changed message did not arrive");
            assert_eq!(pull.stats().protocol_errors, 1);
        }
    });
}

/// Wherever a connection is cut, what arrives is whole and arrives once, and what was not sent goes out on the next, boxed
/// anew. (A PULL reads from both connections in turn: their order is not that of sending.)
#[test]
fn a_cut_anywhere_leaves_whole_messages_and_none_twice() {
    const MESSAGES: u32 = 60;
    let len = |n: u32| if n % 20 == 7 { 70_000 } else { 4 + n as usize * 13 % 500 };
    common::guarded(move || {
        let in_handshake = [0, 30, 64, 100, 266, 300, HANDSHAKE - 1];
        let in_traffic =
            (0..150).step_by(11).chain([1_000, 4_096, 50_000, 75_000, 100_000]).map(|n| HANDSHAKE + n);
        for cut in in_handshake.into_iter().chain(in_traffic) {
            let (context, keys) = (Context::new(), Keys::new());
            let pull = keys.server(&context, SocketType::Pull);
            pull.bind("tcp://127.0.0.1:*").expect("bind");
            let connections = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&connections);
            let endpoint = wire(
                &pull,
                Arc::new(move |connection, from, bytes| {
                    seen.fetch_max(connection + 1, Ordering::Relaxed);
                    if connection == 0 { cut.saturating_sub(from).min(bytes.len()) } else { bytes.len() }
                }),
            );
            let push = keys.client(&context, SocketType::Push);
            push.connect(&endpoint).expect("connect");
            for n in 0..MESSAGES {
                push.send(body(n, len(n))).expect("send");
            }
            // What was written before the cut was noticed is lost; the end is said until it is heard.
            let mut heard = [false; MESSAGES as usize];
            pull.set_receive_timeout(Some(Duration::from_millis(20))).expect("option");
            loop {
                match pull.recv() {
                    Ok(message) => {
                        let n = number(&message);
                        if n == MESSAGES {
                            break;
                        }
                        assert!(*message == body(n, len(n))[..], "cut at {cut}: message {n}");
                        let twice = std::mem::replace(&mut heard[n as usize], true);
                        assert!(!twice, "cut at {cut}: {n} again");
                    }
                    Err(error) => {
                        assert!(matches!(error, Error::WouldBlock), "{error}");
                        push.send(body(MESSAGES, 100)).expect("send");
                    }
                }
            }
            assert!(connections.load(Ordering::Relaxed) > 1, "cut at {cut}: there was another connection");
        }
    });
}

/// Who has listened cannot say it again: the server's cookie and keys are new for each connection.
#[test]
fn a_recorded_conversation_is_refused() {
    common::guarded(|| {
        let (context, keys) = (Context::new(), Keys::new());
        let pull = keys.server(&context, SocketType::Pull);
        let events = monitor(&pull);
        pull.bind("tcp://127.0.0.1:*").expect("bind");
        let tape = Arc::new(Mutex::new(Vec::new()));
        let recorder = Arc::clone(&tape);
        let endpoint = wire(
            &pull,
            Arc::new(move |_, _, bytes| {
                recorder.lock().expect("not poisoned").extend_from_slice(bytes);
                bytes.len()
            }),
        );
        let push = keys.client(&context, SocketType::Push);
        push.connect(&endpoint).expect("connect");
        push.send("once").expect("send");
        assert_eq!(&*pull.recv().expect("receive"), b"once");
        wait_until("all is recorded", || tape.lock().expect("not poisoned").len() > HANDSHAKE);

        let endpoint = pull.last_endpoint().expect("endpoint");
        let mut liar =
            TcpStream::connect(endpoint.strip_prefix("tcp://").expect("over TCP")).expect("connect");
        liar.write_all(&tape.lock().expect("not poisoned")).expect("write");
        let event = events.wait_for(&[EventKind::HandshakeFailedProtocol]);
        assert_eq!(event.value, CRYPTOGRAPHIC);
        push.send("and again").expect("send");
        assert_eq!(&*pull.recv().expect("receive"), b"and again");
    });
}
