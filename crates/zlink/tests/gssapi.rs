//! GSSAPI between sockets, in a Kerberos realm of each test's own. Skipped, with a line that says so, without a KDC.

mod common;
#[path = "common/realm.rs"]
mod realm;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use common::zap::{self, Handler};
use common::{GUARD, RawStream, Transport, body, command, monitor, number, parts, socket, wait_until};
use realm::{CLIENT, SERVICE};
use zlink::{Context, Error, EventKind, Socket, SocketType};

const UNSPECIFIED: u32 = 0x1000_0000;
const UNEXPECTED_COMMAND: u32 = 0x1000_0001;
const MALFORMED_INITIATE: u32 = 0x1000_0014;
const CRYPTOGRAPHIC: u32 = 0x1100_0001;
const MECHANISM_MISMATCH: u32 = 0x1100_0002;

macro_rules! in_realms {
    ($($name:ident,)+) => {
        mod alone {
            $(#[test] fn $name() { crate::realm::in_a_realm(concat!("alone::", stringify!($name)), super::$name) })+
        }
    };
}

in_realms! {
    messages_of_every_size_pass,
    plaintext_passes_too,
    what_is_said_is_on_the_wire_in_plaintext_only,
    a_handler_is_asked_for_the_clients_principal_and_decides,
    principals_are_named_in_each_form,
    who_has_no_ticket_is_told_and_does_not_come_in,
    the_two_sides_have_to_agree,
    bad_tokens_end_their_connection_and_no_other,
}

fn server(context: &Context, socket_type: SocketType) -> Socket {
    let socket = socket(context, socket_type);
    socket.set_gssapi_server(true).expect("option");
    socket.set_gssapi_principal(SERVICE).expect("option");
    socket
}

fn client(context: &Context, socket_type: SocketType) -> Socket {
    let socket = socket(context, socket_type);
    socket.set_gssapi_service_principal(SERVICE).expect("option");
    socket
}

fn bind(server: &Socket, transport: Transport) -> String {
    server.bind(transport.wildcard()).expect("bind");
    server.last_endpoint().expect("endpoint")
}

fn pass_both_ways(server: &Socket, client: &Socket) {
    for len in (0..40).chain([255, 8_000, 16_384, 65_535, 70_000, 300_000, 1 << 20]) {
        for (from, to) in [(client, server), (server, client)] {
            from.send(&body(9, len)[..]).expect("send");
            assert!(*to.recv().expect("receive") == body(9, len)[..], "{len} bytes");
            from.send_multipart([body(1, len), body(2, 3), body(3, len / 2)]).expect("send");
            let received = parts(&to.recv_multipart().expect("receive"));
            assert!(received == [body(1, len), body(2, 3), body(3, len / 2)], "parts of {len} bytes");
        }
    }
}

fn messages_of_every_size_pass() {
    for transport in [Transport::Tcp, Transport::Ipc] {
        let context = Context::new();
        let server = server(&context, SocketType::Pair);
        let endpoint = bind(&server, transport);
        let client = client(&context, SocketType::Pair);
        client.connect(&endpoint).expect("connect");
        assert_eq!((server.mechanism().expect("option"), client.mechanism().expect("option")), (3, 3));
        pass_both_ways(&server, &client);
    }
    // Over WebSocket frames have another form around them, in the handshake too.
    let context = Context::new();
    let web = server(&context, SocketType::Pair);
    web.bind("ws://127.0.0.1:*/here").expect("bind");
    let browser = client(&context, SocketType::Pair);
    browser.connect(&web.last_endpoint().expect("endpoint")).expect("connect");
    pass_both_ways(&web, &browser);
    // Subscriptions are commands within.
    let context = Context::new();
    let publisher = server(&context, SocketType::Xpub);
    let endpoint = bind(&publisher, Transport::Tcp);
    let subscriber = client(&context, SocketType::Sub);
    subscriber.subscribe(b"a").expect("subscribe");
    subscriber.connect(&endpoint).expect("connect");
    assert_eq!(&*publisher.recv().expect("receive"), b"\x01a");
    for text in ["b", "a1"] {
        publisher.send(text).expect("send");
    }
    assert_eq!(&*subscriber.recv().expect("receive"), b"a1");
    // Both directions at a time: one context wraps and unwraps.
    let (left, right) = (server(&context, SocketType::Dealer), client(&context, SocketType::Dealer));
    right.connect(&bind(&left, Transport::Tcp)).expect("connect");
    thread::scope(|scope| {
        for socket in [&left, &right] {
            scope.spawn(move || (0..2_000).for_each(|n| socket.send(body(n, 100)).expect("send")));
            scope.spawn(move || {
                for n in 0..2_000 {
                    assert_eq!(number(&socket.recv().expect("receive")), n);
                }
            });
        }
    });
}

fn plaintext_passes_too() {
    let context = Context::new();
    let (server, client) = (server(&context, SocketType::Pair), client(&context, SocketType::Pair));
    server.set_gssapi_plaintext(true).expect("option");
    client.set_gssapi_plaintext(true).expect("option");
    client.connect(&bind(&server, Transport::Tcp)).expect("connect");
    pass_both_ways(&server, &client);
}

/// A wire in front of a server that keeps what the client has sent.
fn overheard(endpoint: &str) -> (String, Arc<Mutex<Vec<u8>>>) {
    let target = endpoint.strip_prefix("tcp://").expect("over TCP").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let front = format!("tcp://{}", listener.local_addr().expect("address"));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&heard);
    thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("accept");
        let mut server = TcpStream::connect(target).expect("connect");
        let (mut from, mut to) = (server.try_clone().expect("clone"), client.try_clone().expect("clone"));
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = client.read(&mut bytes) {
            keep.lock().expect("whole").extend_from_slice(&bytes[..n]);
            if server.write_all(&bytes[..n]).is_err() {
                return;
            }
        }
    });
    (front, heard)
}

fn what_is_said_is_on_the_wire_in_plaintext_only() {
    const WORDS: &[u8] = b"what nobody else is to hear";
    for plaintext in [false, true] {
        let context = Context::new();
        let (server, client) = (server(&context, SocketType::Pull), client(&context, SocketType::Push));
        server.set_gssapi_plaintext(plaintext).expect("option");
        client.set_gssapi_plaintext(plaintext).expect("option");
        let (endpoint, heard) = overheard(&bind(&server, Transport::Tcp));
        client.connect(&endpoint).expect("connect");
        client.send(WORDS).expect("send");
        assert_eq!(&*server.recv().expect("receive"), WORDS);
        let heard = heard.lock().expect("whole");
        let told = |what: &[u8]| heard.windows(what.len()).any(|bytes| bytes == what);
        assert_eq!((told(WORDS), told(b"Socket-Type")), (plaintext, plaintext));
        assert!(told(b"INITIATE"));
    }
}

fn a_handler_is_asked_for_the_clients_principal_and_decides() {
    let context = Context::new();
    let handler = Handler::start(&context, |request| {
        let known = request[6] == CLIENT.as_bytes() && request[2] == b"welcome";
        zap::reply(if known { "200" } else { "400" }, "joe", b"")
    });
    let welcoming = server(&context, SocketType::Dealer);
    welcoming.set_zap_domain("welcome").expect("option");
    let first = client(&context, SocketType::Dealer);
    first.connect(&bind(&welcoming, Transport::Tcp)).expect("connect");
    first.send("hello").expect("send");
    let message = welcoming.recv().expect("receive");
    assert_eq!((&*message, message.property("User-Id")), (&b"hello"[..], Some("joe")));
    let request = handler.request();
    assert_eq!(request[5..], [b"GSSAPI".to_vec(), CLIENT.into()]);

    let refusing = server(&context, SocketType::Dealer);
    refusing.set_zap_domain("others").expect("option");
    let events = monitor(&refusing);
    let second = client(&context, SocketType::Dealer);
    let told = monitor(&second);
    second.connect(&bind(&refusing, Transport::Tcp)).expect("connect");
    assert_eq!(events.wait_for(&[EventKind::HandshakeFailedAuth]).value, 400);
    assert_eq!(told.wait_for(&[EventKind::HandshakeFailedAuth]).value, 400);
    assert!(matches!(try_recv(&refusing), Err(Error::WouldBlock)));
    // The one that is welcome is unharmed.
    first.send("again").expect("send");
    assert_eq!(&*welcoming.recv().expect("receive"), b"again");
    drop((welcoming, first, refusing, second));
    drop(context);
    drop(handler);
}

fn try_recv(socket: &Socket) -> Result<zlink::Message, Error> {
    socket.set_receive_timeout(Some(std::time::Duration::ZERO)).expect("option");
    let received = socket.recv();
    socket.set_receive_timeout(Some(GUARD)).expect("option");
    received
}

fn principals_are_named_in_each_form() {
    let context = Context::new();
    let server = socket(&context, SocketType::Pull);
    server.set_gssapi_principal("zmq/localhost@ZLINK.TEST").expect("option");
    server.set_gssapi_principal_nametype(2).expect("option");
    server.set_gssapi_server(true).expect("option");
    let endpoint = bind(&server, Transport::Tcp);
    for (service, service_type, own, own_type) in [
        ("zmq/localhost", 2, Some(CLIENT), 2),
        ("zmq@localhost", 0, Some("somebody"), 1),
        // As C programs may give it.
        ("zmq/localhost@ZLINK.TEST\0", 2, None, 0),
    ] {
        let client = socket(&context, SocketType::Push);
        client.set_gssapi_service_principal(service).expect("option");
        client.set_gssapi_service_principal_nametype(service_type).expect("option");
        if let Some(own) = own {
            client.set_gssapi_principal(own).expect("option");
            client.set_gssapi_principal_nametype(own_type).expect("option");
        }
        client.connect(&endpoint).expect("connect");
        client.send(service).expect("send");
        assert_eq!(&*server.recv().expect("receive"), service.as_bytes());
    }
}

fn who_has_no_ticket_is_told_and_does_not_come_in() {
    let context = Context::new();
    let server = server(&context, SocketType::Pull);
    let endpoint = bind(&server, Transport::Tcp);
    let unknown = ["nothing@localhost", "no/such@REALM@AT.ALL"];
    for (own, service) in [(None, unknown[0]), (None, unknown[1]), (Some("nobody@ZLINK.TEST"), SERVICE)] {
        let client = socket(&context, SocketType::Push);
        client.set_gssapi_service_principal(service).expect("option");
        if let Some(own) = own {
            client.set_gssapi_principal(own).expect("option");
            client.set_gssapi_principal_nametype(2).expect("option");
        }
        let events = monitor(&client);
        client.connect(&endpoint).expect("connect");
        assert_eq!(events.wait_for(&[EventKind::HandshakeFailedProtocol]).value, UNSPECIFIED, "{service}");
    }
    // A server without its key tells its own side, and takes no client in.
    let keyless = socket(&context, SocketType::Pull);
    keyless.set_gssapi_server(true).expect("option");
    keyless.set_gssapi_principal("nothing@localhost").expect("option");
    let events = monitor(&keyless);
    let push = client(&context, SocketType::Push);
    push.connect(&bind(&keyless, Transport::Tcp)).expect("connect");
    assert_eq!(events.wait_for(&[EventKind::HandshakeFailedProtocol]).value, UNSPECIFIED);
    assert!(matches!(try_recv(&server), Err(Error::WouldBlock)));
}

fn the_two_sides_have_to_agree() {
    let context = Context::new();
    let server = server(&context, SocketType::Pull);
    let events = monitor(&server);
    let endpoint = bind(&server, Transport::Tcp);
    let stranger = socket(&context, SocketType::Push);
    stranger.connect(&endpoint).expect("connect");
    assert_eq!(events.wait_for(&[EventKind::HandshakeFailedProtocol]).value, MECHANISM_MISMATCH);
    drop(stranger);
    let plain = client(&context, SocketType::Push);
    plain.set_gssapi_plaintext(true).expect("option");
    let told = monitor(&plain);
    plain.connect(&endpoint).expect("connect");
    // It has the server's READY in a MESSAGE, where it expects one in the clear.
    assert_eq!(told.wait_for(&[EventKind::HandshakeFailedProtocol]).value, UNEXPECTED_COMMAND);
    drop(plain);
    let good = client(&context, SocketType::Push);
    good.connect(&endpoint).expect("connect");
    good.send("hello").expect("send");
    assert_eq!(&*server.recv().expect("receive"), b"hello");
}

fn bad_tokens_end_their_connection_and_no_other() {
    let context = Context::new();
    let server = server(&context, SocketType::Pull);
    let events = monitor(&server);
    let endpoint = bind(&server, Transport::Tcp);
    let good = client(&context, SocketType::Push);
    good.connect(&endpoint).expect("connect");
    let mut greeting = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01GSSAPI".to_vec();
    greeting.resize(64, 0);
    let initiate = |len: u32, token: &[u8]| [&b"\x08INITIATE"[..], &len.to_be_bytes(), token].concat();
    for (bytes, code) in [
        (initiate(0, b""), MALFORMED_INITIATE),
        (initiate(1, b"x"), CRYPTOGRAPHIC),
        (initiate(500, &[0x60; 500]), CRYPTOGRAPHIC),
        (initiate(u32::MAX, b"x"), MALFORMED_INITIATE),
        (initiate(1, b""), MALFORMED_INITIATE),
        (b"\x05READY".to_vec(), UNEXPECTED_COMMAND),
    ] {
        let mut raw = RawStream::connect(&endpoint);
        let frame = if bytes.len() < 256 {
            command(&bytes)
        } else {
            common::long_frame(6, bytes.len() as u64, &bytes)
        };
        raw.write_as_far_as_possible(&[&greeting[..], &frame].concat());
        assert_eq!(events.wait_for(&[EventKind::HandshakeFailedProtocol]).value, code);
        raw.read_to_close();
    }
    wait_until("the good client is there", || {
        good.send("hello").expect("send");
        try_recv(&server).is_ok_and(|message| &*message == b"hello")
    });
}
