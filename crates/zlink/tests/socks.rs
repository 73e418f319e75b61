//! Connects by way of a SOCKS proxy, and by way of what is none.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use common::{GUARD, guarded, monitor, socket};
use zlink::SocketType::{Pull, Push};
use zlink::{Context, Error, EventKind, Socket};

/// A proxy that says what it is told to.
struct Proxy {
    listener: TcpListener,
    address: String,
}

impl Proxy {
    fn new() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address").to_string();
        Proxy { listener, address }
    }

    fn accept(&self) -> TcpStream {
        let (stream, _) = self.listener.accept().expect("accept");
        stream.set_read_timeout(Some(GUARD)).expect("time-out");
        stream
    }
}

#[track_caller]
fn expect(stream: &mut TcpStream, expected: &[u8]) {
    let mut read = vec![0; expected.len()];
    stream.read_exact(&mut read).expect("what the client says");
    assert_eq!(read, expected);
}

/// Whether the client has closed the connection, or broken it off with something unread.
fn is_over(stream: &mut TcpStream) -> bool {
    !matches!(stream.read(&mut [0; 100]), Ok(1..))
}

/// Copies both directions until one of them ends.
fn relay(client: TcpStream, server: TcpStream) {
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        })
    };
    for stream in [&client, &server] {
        stream.set_read_timeout(None).expect("time-out");
    }
    let back = copy(server.try_clone().expect("clone"), client.try_clone().expect("clone"));
    copy(client, server).join().expect("copy");
    back.join().expect("copy");
}

fn client(context: &Context, proxy: &Proxy) -> Socket {
    let client = socket(context, Push);
    client.set_socks_proxy(&proxy.address).expect("option");
    client
}

fn server(context: &Context) -> (Socket, String, [u8; 2]) {
    let server = socket(context, Pull);
    server.bind("tcp://127.0.0.1:*").expect("bind");
    let endpoint = server.last_endpoint().expect("endpoint");
    let port: u16 = endpoint.rsplit_once(':').expect("a port").1.parse().expect("a number");
    (server, endpoint, port.to_be_bytes())
}

#[test]
fn messages_go_through_and_again_after_a_loss() {
    guarded(|| {
        let context = Context::new();
        let (server, endpoint, port) = server(&context);
        let proxy = Proxy::new();
        let client = client(&context, &proxy);
        client.set_socks_username("user").unwrap();
        client.set_socks_password("secret").unwrap();
        let events = monitor(&client);
        client.connect(&endpoint).unwrap();
        for round in 0..3u8 {
            client.send(vec![round]).unwrap();
            let mut from = proxy.accept();
            expect(&mut from, &[5, 1, 2]);
            from.write_all(&[5, 2]).unwrap();
            expect(&mut from, b"\x01\x04user\x06secret");
            from.write_all(&[1, 0]).unwrap();
            expect(&mut from, &[&[5, 1, 0, 1, 127, 0, 0, 1][..], &port].concat());
            let to = TcpStream::connect(("127.0.0.1", u16::from_be_bytes(port))).unwrap();
            from.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 1]).unwrap();
            let (left, right) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let relay = thread::spawn(move || relay(from, to));
            assert_eq!(*server.recv().unwrap(), [round]);
            for stream in [left, right] {
                let _ = stream.shutdown(std::net::Shutdown::Both);
            }
            relay.join().unwrap();
            // What is sent before goes to the connection that is no more.
            events.wait_for(&[EventKind::Disconnected]);
        }
    });
}

#[test]
fn websocket_goes_through_as_well() {
    guarded(|| {
        let context = Context::new();
        let server = socket(&context, Pull);
        server.bind("ws://127.0.0.1:*/path").expect("bind");
        let endpoint = server.last_endpoint().expect("endpoint");
        let address: SocketAddr = endpoint.split('/').nth(2).expect("an address").parse().expect("numbers");
        let proxy = Proxy::new();
        let client = client(&context, &proxy);
        client.connect(&endpoint).unwrap();
        client.send("through").unwrap();
        let mut from = proxy.accept();
        expect(&mut from, &[5, 1, 0]);
        from.write_all(&[5, 0]).unwrap();
        expect(&mut from, &[&[5, 1, 0, 1, 127, 0, 0, 1][..], &address.port().to_be_bytes()].concat());
        let to = TcpStream::connect(address).unwrap();
        from.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 1]).unwrap();
        let relay = thread::spawn(move || relay(from, to));
        assert_eq!(*server.recv().unwrap(), *b"through");
        drop(client);
        relay.join().unwrap();
    });
}

#[test]
fn the_peers_greeting_may_come_with_the_proxys_answer() {
    guarded(|| {
        let context = Context::new();
        let proxy = Proxy::new();
        let client = client(&context, &proxy);
        client.connect("tcp://somewhere.invalid:5555").unwrap();
        let mut peer = proxy.accept();
        expect(&mut peer, &[5, 1, 0]);
        peer.write_all(&[5, 0]).unwrap();
        expect(&mut peer, b"\x05\x01\x00\x03\x11somewhere.invalid\x15\xB3");
        let ready = common::ready("PULL");
        let answer = [&[5, 0, 0, 3, 1, b'x', 0, 0][..], &common::greeting(), &ready].concat();
        peer.write_all(&answer).unwrap();
        let own = common::greeting();
        let mut read = vec![0; own.len()];
        peer.read_exact(&mut read).unwrap();
        assert_eq!(read[..12], own[..12]);
        client.send("through").unwrap();
        // The client's READY, and the message behind it.
        let mut all = Vec::new();
        while !all.ends_with(b"through") {
            let mut byte = [0];
            peer.read_exact(&mut byte).unwrap();
            all.push(byte[0]);
        }
    });
}

#[test]
fn a_proxy_that_refuses_or_is_none_is_tried_again_and_told_of() {
    guarded(|| {
        const EACCES: u32 = 13;
        const EPIPE: u32 = 32;
        const EPROTO: u32 = 71;
        const ECONNREFUSED: u32 = 111;
        let context = Context::new();
        let proxy = Proxy::new();
        let client = client(&context, &proxy);
        let events = monitor(&client);
        client.connect("tcp://127.0.0.1:5555").unwrap();
        for (answer, told) in [
            (&b""[..], EPIPE),
            (b"\x05", EPIPE),
            (b"\x04\x00", EPROTO),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", EPROTO),
            (b"\x05\xff", EACCES),
            (b"\x05\x02", EPROTO),
            (b"\x05\x00\x05\x05\x00\x01", ECONNREFUSED),
            (b"\x05\x00\x05\x00\x00\x02", EPROTO),
            (b"\x05\x00\x05\x00\x00\x03\xff", EPIPE),
            (b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00", EPIPE),
        ] {
            let mut from = proxy.accept();
            expect(&mut from, &[5, 1, 0]);
            from.write_all(answer).unwrap();
            // Fails if the client has broken it off by now.
            let _ = from.shutdown(std::net::Shutdown::Write);
            let kinds = [EventKind::HandshakeFailedNoDetail, EventKind::Connected, EventKind::Closed];
            let event = events.wait_for(&kinds);
            assert_eq!((event.kind, event.value), (EventKind::HandshakeFailedNoDetail, told), "{answer:?}");
            assert_eq!(events.wait_for(&kinds).kind, EventKind::Closed);
            events.wait_for(&[EventKind::ConnectRetried]);
            while !is_over(&mut from) {}
        }
    });
}

#[test]
fn a_proxy_that_says_nothing_is_given_up_in_time() {
    guarded(|| {
        const ETIMEDOUT: u32 = 110;
        let context = Context::new();
        let proxy = Proxy::new();
        let client = client(&context, &proxy);
        client.set_handshake_interval(Duration::from_millis(20)).unwrap();
        let events = monitor(&client);
        client.connect("tcp://127.0.0.1:5555").unwrap();
        for _ in 0..3 {
            let mut silent = proxy.accept();
            let event = events.wait_for(&[EventKind::HandshakeFailedNoDetail]);
            assert_eq!(event.value, ETIMEDOUT);
            while !is_over(&mut silent) {}
        }
    });
}

#[test]
fn a_proxy_that_is_not_there_is_tried_again() {
    guarded(|| {
        let context = Context::new();
        let (server, endpoint, _) = server(&context);
        let Proxy { listener, address } = Proxy::new();
        drop(listener);
        let client = socket(&context, Push);
        client.set_socks_proxy(&address).unwrap();
        let events = monitor(&client);
        client.connect(&endpoint).unwrap();
        events.wait_for(&[EventKind::ConnectRetried]);
        // Somebody else may have got the port by now; then there is nothing to try.
        let Ok(listener) = TcpListener::bind(&address) else { return };
        let proxy = Proxy { listener, address };
        client.send("through").unwrap();
        let mut from = proxy.accept();
        expect(&mut from, &[5, 1, 0]);
        from.write_all(&[5, 0]).unwrap();
        from.read_exact(&mut [0; 10]).unwrap();
        from.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        let to = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
        let (left, right) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let relay = thread::spawn(move || relay(from, to));
        assert_eq!(*server.recv().unwrap(), *b"through");
        for stream in [left, right] {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        relay.join().unwrap();
    });
}

#[test]
fn a_socket_may_close_in_the_middle() {
    guarded(|| {
        let context = Context::new();
        let proxy = Proxy::new();
        let client = client(&context, &proxy);
        client.connect("tcp://127.0.0.1:5555").unwrap();
        let mut from = proxy.accept();
        expect(&mut from, &[5, 1, 0]);
        drop(client);
        assert!(is_over(&mut from));
        context.terminate();
    });
}

#[test]
fn what_cannot_be_a_proxy_fails_the_connect() {
    let context = Context::new();
    let client = context.socket(Push).unwrap();
    for wrong in ["nowhere", "127.0.0.1", "127.0.0.1:*", "*:1080", "host:1080/path", "tcp://127.0.0.1:1080"] {
        client.set_socks_proxy(wrong).unwrap();
        assert!(matches!(client.connect("tcp://127.0.0.1:5555"), Err(Error::Endpoint(_))), "{wrong:?}");
    }
    client.set_socks_proxy("127.0.0.1:1080\0").unwrap();
    client.connect("tcp://127.0.0.1:5555").unwrap();
    let long = format!("tcp://{}:5555", "n".repeat(256));
    assert!(matches!(client.connect(&long), Err(Error::Endpoint(_))));
    client.set_socks_proxy("").unwrap();
    client.connect(&long).unwrap();
    // Other transports have no use for it.
    client.set_socks_proxy("nowhere").unwrap();
    client.connect("ipc://@zlink-test-socks").unwrap();
}
