//! WebSocket over TLS: rustls on one side and GnuTLS, which libzmq has, on the other.

use zlink::SocketType::{Dealer, Pull, Push, Rep, Req, Router, Sub, Xpub};
use zlink_interop::{Library, Node, SIZES, body, option};

const ENDPOINT: &str = "wss://127.0.0.1:*/interop";
/// Messages of a stream.
const STREAM: u32 = 20_000;

/// The certificate and the key of a server, in PEM.
fn identity() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["zlink.example".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A server of the first type and a client of the second, of the other library, with whatever `configure` does to the
/// client beforehand.
fn meet(
    library: Library,
    server: zlink::SocketType,
    client: zlink::SocketType,
    configure: impl FnOnce(&mut Node),
) -> (Node, Node) {
    let (certificate, key) = identity();
    let mut server = Node::new(library, server);
    server.set(option::WSS_CERT_PEM, certificate.as_bytes());
    server.set(option::WSS_KEY_PEM, key.as_bytes());
    let endpoint = server.bind(ENDPOINT);
    let mut client = Node::new(library.other(), client);
    client.set(option::WSS_TRUST_PEM, certificate.as_bytes());
    client.set(option::WSS_HOSTNAME, b"zlink.example");
    configure(&mut client);
    client.connect(&endpoint);
    (server, client)
}

/// Whether there is a libzmq to meet over `wss`.
fn has_peer() -> bool {
    if !libzmq_reference::has_wss() {
        eprintln!("not run: libzmq is built without GnuTLS");
    }
    libzmq_reference::has_wss()
}

#[test]
fn messages_of_every_size_go_both_ways() {
    for library in Library::BOTH.into_iter().filter(|_| has_peer()) {
        let (mut rep, mut req) = meet(library, Rep, Req, |_| {});
        for (seed, size) in SIZES.into_iter().enumerate() {
            let parts = [body(size, seed), body(seed, size), body(size / 2, seed)];
            req.send(&parts);
            assert!(rep.recv() == parts, "{size} bytes to {rep}");
            rep.send(&parts);
            assert!(req.recv() == parts, "{size} bytes to {req}");
        }
    }
}

#[test]
fn streams_arrive_complete_and_in_order_from_either_side() {
    for library in Library::BOTH.into_iter().filter(|_| has_peer()) {
        for (server, client) in [(Pull, Push), (Push, Pull)] {
            let (mut server, mut client) = meet(library, server, client, |_| {});
            let (push, pull) = if server.socket_type() == Push {
                (&mut server, &mut client)
            } else {
                (&mut client, &mut server)
            };
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    for number in 0..STREAM {
                        push.send(&[number.to_be_bytes().repeat(1 + number as usize % 60)]);
                    }
                });
                for number in 0..STREAM {
                    let expected = number.to_be_bytes().repeat(1 + number as usize % 60);
                    assert!(pull.recv() == [expected], "message {number} to {pull}");
                }
            });
        }
    }
}

#[test]
fn subscriptions_and_heartbeats_go_over_it() {
    for library in Library::BOTH.into_iter().filter(|_| has_peer()) {
        let (mut publisher, mut subscriber) = meet(library, Xpub, Sub, |sub| {
            sub.subscribe(b"A");
            sub.set_int(option::HEARTBEAT_IVL, 20);
            sub.set_int(option::HEARTBEAT_TIMEOUT, 10_000);
        });
        assert_eq!(publisher.recv(), [b"\x01A"]);
        publisher.send(&[b"A message"]);
        assert_eq!(subscriber.recv(), [b"A message"]);
        // Some PINGs, each answered.
        assert_eq!(subscriber.recv_within(std::time::Duration::from_millis(200)), None);
        publisher.send(&[b"Another"]);
        assert_eq!(subscriber.recv(), [b"Another"]);
    }
}

#[test]
fn a_server_that_is_not_trusted_or_is_another_gets_no_message() {
    for library in Library::BOTH.into_iter().filter(|_| has_peer()) {
        let stranger = identity().0;
        for case in 0..2 {
            let (mut router, mut dealer) = meet(library, Router, Dealer, |dealer| match case {
                0 => dealer.set(option::WSS_TRUST_PEM, stranger.as_bytes()),
                _ => dealer.set(option::WSS_HOSTNAME, b"other.example"),
            });
            dealer.send(&[b"secret"]);
            assert_eq!(router.recv_within(std::time::Duration::from_millis(300)), None, "{router}, {case}");
        }
    }
}
