//! WebSocket and WebSocket over TLS, with peers of our own and with peers made of plain sockets.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::{GUARD, Transport, body, guarded, monitor, parts, socket, wait_until};
use zlink::{Context, Error, EventKind, Message, Socket, SocketType};
use zlink_zmtp::zws::frame::{Kind, encode};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// `ws`, or `wss` with a certificate of its own.
#[derive(Clone)]
struct Web {
    scheme: &'static str,
    certificate: String,
    key: String,
}

fn ws() -> Web {
    Web { scheme: "ws", certificate: String::new(), key: String::new() }
}

#[cfg(feature = "wss")]
fn wss() -> Web {
    let made = rcgen::generate_simple_self_signed(vec!["zlink.example".to_owned()]).expect("a certificate");
    Web { scheme: "wss", certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

impl Web {
    fn configure(&self, socket: &Socket) {
        if self.scheme == "wss" {
            socket.set_wss_cert_pem(self.certificate.as_bytes()).expect("option");
            socket.set_wss_key_pem(self.key.as_bytes()).expect("option");
            socket.set_wss_trust_pem(self.certificate.as_bytes()).expect("option");
            socket.set_wss_hostname(b"zlink.example").expect("option");
        }
    }

    fn socket(&self, context: &Context, socket_type: SocketType) -> Socket {
        let socket = socket(context, socket_type);
        self.configure(&socket);
        socket
    }

    fn bind(&self, socket: &Socket) -> String {
        socket.bind(&format!("{}://127.0.0.1:*/path", self.scheme)).expect("bind");
        socket.last_endpoint().expect("endpoint")
    }
}

/// Runs each test function over `ws` and `wss`, with a guard against hanging.
macro_rules! over_ws_and_wss {
    ($($name:ident,)+) => {
        mod plain {
            $(#[test] fn $name() { super::guarded(|| super::$name(super::ws())) })+
        }
        #[cfg(feature = "wss")]
        mod tls {
            $(#[test] fn $name() { super::guarded(|| super::$name(super::wss())) })+
        }
    };
}

over_ws_and_wss! {
    messages_of_every_size_and_shape_arrive,
    a_stream_arrives_in_order_and_within_the_marks,
    a_receiver_behind_its_mark_loses_nothing,
    subscriptions_reach_the_publisher,
    what_is_queued_at_the_close_is_sent,
    quiet_connections_are_kept_by_pings,
    a_client_comes_back_to_a_server_that_does,
    endpoints_are_unbound_and_disconnected_by_their_names,
    a_handshake_succeeds_once,
    several_threads_send_and_receive_at_a_time,
}

fn messages_of_every_size_and_shape_arrive(web: Web) {
    let context = Context::new();
    let (server, client) = (web.socket(&context, SocketType::Rep), web.socket(&context, SocketType::Req));
    let endpoint = web.bind(&server);
    client.connect(&endpoint).expect("connect");
    let sizes = [0, 1, 123, 124, 125, 126, 255, 256, 8191, 16_384, 65_533, 65_534, 65_535, 1 << 20, 9 << 20];
    for (number, len) in sizes.into_iter().enumerate() {
        let sent = [body(1, len), body(2, number), body(3, len / 3)];
        let message = || sent.iter().map(|part| Message::from(part.as_slice()));
        client.send_multipart(message()).expect("send");
        assert!(parts(&server.recv_multipart().expect("recv")) == sent, "{len}");
        server.send_multipart(message()).expect("send");
        assert!(parts(&client.recv_multipart().expect("recv")) == sent, "{len}");
    }
}

fn a_stream_arrives_in_order_and_within_the_marks(web: Web) {
    const MESSAGES: u32 = 100_000;
    let context = Context::new();
    let (pull, push) = (web.socket(&context, SocketType::Pull), web.socket(&context, SocketType::Push));
    let endpoint = web.bind(&pull);
    push.connect(&endpoint).expect("connect");
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..MESSAGES {
                push.send(body(number, 4 + number as usize % 300)).expect("send");
            }
        });
        for number in 0..MESSAGES {
            assert_eq!(*pull.recv().expect("recv"), body(number, 4 + number as usize % 300));
        }
    });
}

fn a_receiver_behind_its_mark_loses_nothing(web: Web) {
    const MESSAGES: u32 = 3_000;
    let context = Context::new();
    let (pull, push) = (web.socket(&context, SocketType::Pull), web.socket(&context, SocketType::Push));
    pull.set_receive_hwm(3).expect("option");
    push.set_send_hwm(3).expect("option");
    let endpoint = web.bind(&pull);
    push.connect(&endpoint).expect("connect");
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..MESSAGES {
                push.send(body(number, 10_000)).expect("send");
            }
        });
        for number in 0..MESSAGES {
            if number % 500 == 0 {
                // Long enough for everything on the way to fill up.
                thread::sleep(Duration::from_millis(20));
            }
            assert!(*pull.recv().expect("recv") == body(number, 10_000), "{number}");
        }
    });
}

fn subscriptions_reach_the_publisher(web: Web) {
    let context = Context::new();
    let (publisher, subscriber) =
        (web.socket(&context, SocketType::Xpub), web.socket(&context, SocketType::Sub));
    let endpoint = web.bind(&publisher);
    subscriber.subscribe(b"A").expect("subscribe");
    subscriber.connect(&endpoint).expect("connect");
    assert_eq!(*publisher.recv().expect("recv"), *b"\x01A");
    publisher.send("B, unasked").expect("send");
    publisher.send("A, asked").expect("send");
    assert_eq!(*subscriber.recv().expect("recv"), *b"A, asked");
    subscriber.unsubscribe(b"A").expect("unsubscribe");
    assert_eq!(*publisher.recv().expect("recv"), *b"\x00A");
}

fn what_is_queued_at_the_close_is_sent(web: Web) {
    const MESSAGES: u32 = 200;
    let context = Context::new();
    let pull = web.socket(&context, SocketType::Pull);
    let endpoint = web.bind(&pull);
    let push = web.socket(&context, SocketType::Push);
    push.set_linger(None).expect("option");
    push.connect(&endpoint).expect("connect");
    for number in 0..MESSAGES {
        push.send(body(number, 100_000)).expect("send");
    }
    drop(push);
    for number in 0..MESSAGES {
        assert!(*pull.recv().expect("recv") == body(number, 100_000), "{number}");
    }
}

fn quiet_connections_are_kept_by_pings(web: Web) {
    let context = Context::new();
    let (server, client) =
        (web.socket(&context, SocketType::Router), web.socket(&context, SocketType::Dealer));
    client.set_heartbeat_interval(Duration::from_millis(20)).expect("option");
    client.set_heartbeat_timeout(GUARD).expect("option");
    let endpoint = web.bind(&server);
    let events = monitor(&client);
    client.connect(&endpoint).expect("connect");
    client.send("before").expect("send");
    let first = parts(&server.recv_multipart().expect("recv"));
    // Several PINGs, each answered.
    thread::sleep(Duration::from_millis(200));
    client.send("after").expect("send");
    let second = parts(&server.recv_multipart().expect("recv"));
    assert_eq!((&first[0], &second[1][..]), (&second[0], &b"after"[..]), "another connection");
    drop(server);
    events.wait_for(&[EventKind::Disconnected]);
}

fn a_client_comes_back_to_a_server_that_does(web: Web) {
    let context = Context::new();
    let server = web.socket(&context, SocketType::Pull);
    let endpoint = web.bind(&server);
    let client = web.socket(&context, SocketType::Push);
    client.connect(&endpoint).expect("connect");
    for round in 0..5u8 {
        let again = web.socket(&context, SocketType::Pull);
        if round > 0 {
            wait_until("the port is free", || again.bind(&endpoint).is_ok());
        }
        let server = if round > 0 { &again } else { &server };
        server.set_receive_timeout(Some(Duration::from_millis(20))).expect("option");
        // Said again and again, since what is said before the loss is noticed is lost.
        wait_until("a message of this round", || {
            client.send(vec![round]).expect("send");
            server.recv().is_ok_and(|message| *message == [round])
        });
        let name = server.last_endpoint().expect("endpoint");
        server.unbind(&name).expect("unbind");
    }
}

fn endpoints_are_unbound_and_disconnected_by_their_names(web: Web) {
    let context = Context::new();
    let (server, client) = (web.socket(&context, SocketType::Rep), web.socket(&context, SocketType::Req));
    let endpoint = web.bind(&server);
    assert!(endpoint.starts_with(&format!("{}://127.0.0.1:", web.scheme)), "{endpoint}");
    assert!(endpoint.ends_with("/path"), "{endpoint}");
    let events = monitor(&server);
    client.connect(&endpoint).expect("connect");
    let accepted = events.wait_for(&[EventKind::Accepted]);
    assert_eq!(accepted.local, endpoint);
    assert!(accepted.remote.starts_with(&format!("{}://127.0.0.1:", web.scheme)), "{}", accepted.remote);
    events.wait_for(&[EventKind::HandshakeSucceeded]);
    client.disconnect(&endpoint).expect("disconnect");
    events.wait_for(&[EventKind::Disconnected]);
    let wildcard = format!("{}://127.0.0.1:*/path", web.scheme);
    assert!(matches!(server.unbind(&wildcard), Err(Error::NoSuchEndpoint)));
    server.unbind(&endpoint).expect("unbind");
    let bare = format!("{}://127.0.0.1:*", web.scheme);
    server.bind(&bare).expect("bind");
    let bare = server.last_endpoint().expect("endpoint");
    assert!(bare.ends_with('/'), "{bare}");
    server.unbind(bare.trim_end_matches('/')).expect("unbind");
}

fn a_handshake_succeeds_once(web: Web) {
    let context = Context::new();
    let (server, client) = (web.socket(&context, SocketType::Pull), web.socket(&context, SocketType::Push));
    let events = [monitor(&server), monitor(&client)];
    client.connect(&web.bind(&server)).expect("connect");
    client.send("x").expect("send");
    assert_eq!(*server.recv().expect("recv"), *b"x");
    let any = [EventKind::HandshakeSucceeded, EventKind::Disconnected];
    for events in &events {
        assert_eq!(events.wait_for(&any).kind, EventKind::HandshakeSucceeded);
    }
    drop(client);
    assert_eq!(events[0].wait_for(&any).kind, EventKind::Disconnected);
    let ended = events[1].wait_for(&[&any[..], &[EventKind::MonitorStopped]].concat());
    assert_eq!(ended.kind, EventKind::MonitorStopped);
}

fn several_threads_send_and_receive_at_a_time(web: Web) {
    const THREADS: usize = 4;
    const MESSAGES: u32 = 2_000;
    let context = Context::new();
    let (one, other) = (web.socket(&context, SocketType::Pair), web.socket(&context, SocketType::Pair));
    let endpoint = web.bind(&one);
    other.connect(&endpoint).expect("connect");
    thread::scope(|scope| {
        for socket in [&one, &other] {
            for _ in 0..THREADS {
                scope.spawn(move || {
                    for number in 0..MESSAGES {
                        socket.send(body(number, 500)).expect("send");
                    }
                });
                scope.spawn(move || {
                    for _ in 0..MESSAGES {
                        let message = socket.recv().expect("recv");
                        assert!(*message == body(common::number(&message), 500));
                    }
                });
            }
        }
    });
}

// --- peers made of plain sockets ---

/// A PULL with a well-behaved peer.
struct Server {
    _context: Context,
    pull: Socket,
    good: Socket,
    endpoint: String,
    sent: u32,
}

impl Server {
    fn new(web: &Web) -> Self {
        let context = Context::new();
        let pull = web.socket(&context, SocketType::Pull);
        pull.set_max_message_size(1 << 20).expect("option");
        let endpoint = web.bind(&pull);
        let good = web.socket(&context, SocketType::Push);
        good.connect(&endpoint).expect("connect");
        Server { _context: context, pull, good, endpoint, sent: 0 }
    }

    /// The good peer is served, and nothing else has come.
    fn check(&mut self) {
        self.sent += 1;
        self.good.send(body(self.sent, 30)).expect("send");
        assert_eq!(*self.pull.recv().expect("recv"), body(self.sent, 30));
    }

    fn stream(&self) -> TcpStream {
        let address = self.endpoint.split('/').nth(2).expect("an address");
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(GUARD)).expect("option");
        stream
    }

    /// A peer whose upgrade is complete.
    fn peer(&self) -> TcpStream {
        let mut stream = self.stream();
        stream.write_all(REQUEST).expect("write");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("an answer");
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", answer.escape_ascii());
        stream
    }

    /// A peer whose handshake is complete.
    fn push(&self) -> TcpStream {
        let mut stream = self.peer();
        stream.write_all(&masked(Kind::Command, READY)).expect("write");
        let mut ready = [0; 29];
        stream.read_exact(&mut ready).expect("a READY");
        assert_eq!(ready[..3], [0x82, ready.len() as u8 - 2, 2], "{ready:?}");
        stream
    }
}

const REQUEST: &[u8] =
    b"GET /any HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ZWS2.0/NULL\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
const READY: &[u8] = b"\x05READY\x0bSocket-Type\0\0\0\x04PUSH";

fn masked(kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out, kind, body, Some(KEY));
    out
}

/// Reads until the other side closes. A reset is a close, too.
fn read_to_close(stream: &mut TcpStream) -> Vec<u8> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return bytes,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return bytes,
            Err(error) => panic!("the connection was not closed: {error}"),
        }
    }
}

#[test]
fn an_upgrade_that_is_none_is_answered_and_ends_the_connection() {
    guarded(|| {
        let mut server = Server::new(&ws());
        for (request, status) in [
            (&b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[..], "400"),
            (b"POST / HTTP/1.1\r\n\r\n", "400"),
            (b"\xff\0\0\0\0\0\0\0\x01\x7f\x03", "400"),
            (&REQUEST.replace_once(b"Version: 13", b"Version: 12"), "426"),
            (&REQUEST.replace_once(b"ZWS2.0/NULL", b"ZWS2.0/CURVE"), "400"),
            (&REQUEST.replace_once(b"/any", &[b'/'; 9000]), "400"),
        ] {
            let events = monitor(&server.pull);
            let mut stream = server.stream();
            // It may be closed before all is written.
            let _ = stream.write_all(request);
            let answer = read_to_close(&mut stream);
            if request.len() < 1000 {
                let answer = String::from_utf8_lossy(&answer).into_owned();
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            }
            let failed = events.wait_for(&[EventKind::HandshakeFailedProtocol]);
            assert_eq!(failed.value, 0x3000_0000);
            server.check();
        }
    });
}

trait ReplaceOnce {
    fn replace_once(&self, from: &[u8], to: &[u8]) -> Vec<u8>;
}

impl ReplaceOnce for [u8] {
    fn replace_once(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
        let at = self.windows(from.len()).position(|window| window == from).expect("what is replaced");
        [&self[..at], to, &self[at + from.len()..]].concat()
    }
}

#[test]
fn frames_that_zws_does_not_have_end_the_connection() {
    guarded(|| {
        let mut server = Server::new(&ws());
        let mut unmasked = Vec::new();
        encode(&mut unmasked, Kind::Message { more: false }, b"unmasked", None);
        let announce = |len: u64| [&[0x82, 0xff][..], &len.to_be_bytes()].concat();
        for bytes in [
            unmasked,
            // Text, a continuation, and opcodes without a meaning.
            b"\x81\x85".to_vec(),
            b"\x80\x85".to_vec(),
            b"\x83\x85".to_vec(),
            b"\x8b\x80".to_vec(),
            // A fragment, and a compressed frame.
            b"\x02\x85".to_vec(),
            b"\xc2\x85".to_vec(),
            // No byte of flags, unknown ones, and a command with more to come.
            b"\x82\x80".to_vec(),
            b"\x82\x81\0\0\0\0\x04".to_vec(),
            b"\x82\x81\0\0\0\0\x03".to_vec(),
            // Beyond ZMQ_MAXMSGSIZE, and beyond the protocol.
            announce((1 << 20) + 2),
            announce((1 << 32) + 1),
            announce(u64::MAX),
            // A PING with more than a PING may have.
            b"\x89\xfe\0\x7e".to_vec(),
            // A command that is none.
            masked(Kind::Command, b"\xffTOO SHORT"),
        ] {
            let mut peer = server.push();
            peer.write_all(&bytes).expect("write");
            read_to_close(&mut peer);
            server.check();
            // The same in pieces.
            let mut peer = server.push();
            for byte in &bytes {
                // It may be closed before all is written.
                let _ = peer.write_all(&[*byte]);
            }
            read_to_close(&mut peer);
            server.check();
        }
    });
}

#[test]
fn messages_cut_anywhere_arrive_and_what_is_not_whole_does_not() {
    guarded(|| {
        let mut server = Server::new(&ws());
        let first = masked(Kind::Message { more: true }, &body(1, 300));
        let message = [first, masked(Kind::Message { more: false }, b"end")].concat();
        for cut in (0..20).chain([200, message.len() - 10, message.len() - 1]) {
            let mut peer = server.push();
            peer.set_nodelay(true).expect("option");
            peer.write_all(&message[..cut]).expect("write");
            server.check();
            peer.write_all(&message[cut..]).expect("write");
            let received = parts(&server.pull.recv_multipart().expect("recv"));
            assert_eq!(received, [body(1, 300), b"end".to_vec()], "{cut}");
            peer.write_all(&message[..cut]).expect("write");
            drop(peer);
            server.check();
        }
    });
}

#[test]
fn pings_are_answered_with_what_they_carry_and_a_close_with_a_close() {
    guarded(|| {
        let mut server = Server::new(&ws());
        let mut peer = server.push();
        for len in [0, 1, 16, 17, 125] {
            let context = body(7, len);
            peer.write_all(&masked(Kind::Ping, &context)).expect("write");
            peer.write_all(&masked(Kind::Pong, &context)).expect("write");
            let mut pong = vec![0; 2 + len];
            peer.read_exact(&mut pong).expect("a PONG");
            assert_eq!(pong, [&[0x8a, len as u8][..], &context].concat());
        }
        // What came before the CLOSE is delivered.
        let last = masked(Kind::Message { more: false }, b"last");
        peer.write_all(&[last, masked(Kind::Close, b"\x03\xe8bye")].concat()).expect("write");
        assert_eq!(read_to_close(&mut peer), b"\x88\x05\x03\xe8bye");
        assert_eq!(*server.pull.recv().expect("recv"), *b"last");
        server.check();
    });
}

#[test]
fn sockets_of_raw_bytes_have_no_websocket() {
    let context = Context::new();
    let stream = context.socket(SocketType::Stream).expect("socket");
    for result in [stream.bind("ws://127.0.0.1:*"), stream.connect("ws://127.0.0.1:5555")] {
        assert!(matches!(result, Err(Error::IncompatibleTransport)), "{result:?}");
    }
}

#[cfg(feature = "wss")]
mod wss_only {
    use super::*;

    #[test]
    fn options_that_make_no_server_or_client_are_refused() {
        let context = Context::new();
        let socket = context.socket(SocketType::Pull).expect("socket");
        let refused = socket.bind("wss://127.0.0.1:*");
        assert!(matches!(refused, Err(Error::Tls { .. })), "{refused:?}");
        assert_eq!(refused.expect_err("refused").errno(), rustix::io::Errno::INVAL.raw_os_error());
        socket
            .set_wss_trust_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
            .expect("option");
        assert!(matches!(socket.connect("wss://127.0.0.1:5555"), Err(Error::Tls { .. })));
    }

    #[test]
    fn a_server_that_is_not_trusted_or_is_another_gets_no_message() {
        guarded(|| {
            let (web, stranger) = (wss(), wss());
            let context = Context::new();
            let pull = web.socket(&context, SocketType::Pull);
            let endpoint = web.bind(&pull);
            for case in 0..3 {
                let push = web.socket(&context, SocketType::Push);
                match case {
                    0 => push.set_wss_trust_pem(stranger.certificate.as_bytes()).expect("option"),
                    1 => push.set_wss_trust_pem(b"").expect("option"),
                    _ => push.set_wss_hostname(b"other.example").expect("option"),
                }
                let (events, theirs) = (monitor(&push), monitor(&pull));
                push.connect(&endpoint).expect("connect");
                let failed = [EventKind::HandshakeFailedNoDetail];
                events.wait_for(&failed);
                theirs.wait_for(&failed);
                // And tries again.
                events.wait_for(&failed);
            }
            let push = web.socket(&context, SocketType::Push);
            push.connect(&endpoint).expect("connect");
            push.send("trusted").expect("send");
            assert_eq!(*pull.recv().expect("recv"), *b"trusted");
        });
    }

    #[test]
    fn peers_that_do_not_speak_tls_or_stop_in_it_disturb_nobody() {
        guarded(|| {
            let web = wss();
            let mut server = Server::new(&web);
            server.pull.set_handshake_interval(Duration::from_millis(200)).expect("option");
            let endpoint = web.bind(&server.pull);
            server.endpoint = endpoint;
            let mut waiting = Vec::new();
            for bytes in [REQUEST, b"\x16\x03\x01", b"\x16\x03\x01\x40\x00\x01", b""] {
                let mut stream = server.stream();
                stream.write_all(bytes).expect("write");
                server.check();
                waiting.push(stream);
            }
            for mut stream in waiting {
                read_to_close(&mut stream);
            }
            server.check();
        });
    }

    #[test]
    fn a_plain_rustls_client_speaks_zws_over_tls_and_is_told_goodbye() {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, ServerName};
        use std::sync::Arc;
        guarded(|| {
            let web = wss();
            let mut server = Server::new(&web);
            let mut roots = rustls::RootCertStore::empty();
            let certificate = CertificateDer::from_pem_slice(web.certificate.as_bytes()).expect("PEM");
            roots.add(certificate).expect("a certificate");
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            for version in rustls::ALL_VERSIONS {
                let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
                    .with_protocol_versions(&[version])
                    .expect("versions")
                    .with_root_certificates(roots.clone())
                    .with_no_client_auth();
                let name = ServerName::try_from("zlink.example").expect("a name");
                let tls = rustls::ClientConnection::new(Arc::new(config), name).expect("a connection");
                let mut stream = rustls::StreamOwned::new(tls, server.stream());
                // Handshake, READY and messages in one go: records end where they like.
                let last = masked(Kind::Message { more: false }, &body(9, 100_000));
                let close = masked(Kind::Close, b"");
                let all = [REQUEST, &masked(Kind::Command, READY), &last, &close].concat();
                stream.write_all(&all).expect("write");
                stream.flush().expect("flush");
                assert!(*server.pull.recv().expect("recv") == body(9, 100_000));
                let mut answer = Vec::new();
                // Without a goodbye this fails.
                stream.read_to_end(&mut answer).expect("a clean end");
                assert!(answer.starts_with(b"HTTP/1.1 101 ") && answer.ends_with(b"\x88\x00"));
                server.check();
            }
        });
    }
}

/// A turn at writing may have written some messages when it finds the connection broken: they are no more under way.
#[test]
fn connections_that_break_cost_a_sender_no_room() {
    guarded(|| {
        let context = Context::new();
        let push = socket(&context, SocketType::Push);
        push.set_send_hwm(100).expect("option");
        push.set_send_timeout(Some(Duration::from_millis(100))).expect("option");
        let open = |endpoint: &str| {
            let pull = socket(&Context::new(), SocketType::Pull);
            pull.bind(endpoint).expect("bind");
            pull
        };
        let endpoint = Transport::Tcp.unbound().replace("tcp:", "ws:");
        let mut pull = open(&endpoint);
        push.connect(&endpoint).expect("connect");
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                // A sender for which there is no room looks whether it is over from time to time.
                while !over.load(Ordering::Relaxed) {
                    let _ = push.send(body(1, 3000));
                }
            });
            for _ in 0..150 {
                for _ in 0..200 {
                    pull.recv().expect("recv");
                }
                drop(pull);
                pull = open(&endpoint);
            }
            // While the sender still sends: what it had queued may have gone with the connection before.
            pull.recv().expect("recv");
            over.store(true, Ordering::Relaxed);
        });
    });
}
