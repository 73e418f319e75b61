//! GSSAPI with libzmq on the same Kerberos, in a realm of the test's own: zlink as client and as server.
//! Over `tcp` and `ipc`: libzmq has no GSSAPI over WebSocket.

/// What the realm asks of those who use it.
mod common {
    use std::time::{Duration, Instant};

    pub fn guarded(test: impl FnOnce() + Send + 'static) {
        test();
    }

    pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + zlink_interop::GUARD;
        while !condition() {
            assert!(Instant::now() < deadline, "never came true: {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
#[path = "../../zlink/tests/common/realm.rs"]
mod realm;

use realm::{CLIENT, SERVICE};
use zlink::SocketType::{Dealer, Router, Sub, Xpub};
use zlink_interop::{Library, Node, Place, SIZES, Transport, body};

// Numbers of zmq.h.
const GSSAPI_SERVER: i32 = 62;
const GSSAPI_PRINCIPAL: i32 = 63;
const GSSAPI_SERVICE_PRINCIPAL: i32 = 64;
const GSSAPI_PLAINTEXT: i32 = 65;
const GSSAPI_PRINCIPAL_NAMETYPE: i32 = 90;
const KRB5_PRINCIPAL: i32 = 2;

/// A server and a client of the two libraries, connected.
fn pair(server: Library, types: [zlink::SocketType; 2], place: &Place, plaintext: bool) -> [Node; 2] {
    let client = if server == Library::Zlink { Library::Libzmq } else { Library::Zlink };
    let (mut server, mut client) = (Node::new(server, types[0]), Node::new(client, types[1]));
    // Any key of the keytab: libzmq asks for tickets too where it is told a name, and a server has none here.
    server.set_int(GSSAPI_SERVER, 1);
    client.set(GSSAPI_SERVICE_PRINCIPAL, SERVICE.as_bytes());
    if client.zlink().is_some() {
        client.set_int(GSSAPI_PRINCIPAL_NAMETYPE, KRB5_PRINCIPAL);
        client.set(GSSAPI_PRINCIPAL, CLIENT.as_bytes());
    }
    for node in [&mut server, &mut client] {
        node.set_int(GSSAPI_PLAINTEXT, i32::from(plaintext));
    }
    let endpoint = server.bind(place.endpoint());
    client.connect(&endpoint);
    [server, client]
}

#[test]
fn messages_pass_in_both_roles_encrypted_or_not() {
    realm::in_a_realm("messages_pass_in_both_roles_encrypted_or_not", || {
        for transport in [Transport::Tcp, Transport::Ipc] {
            for (server_library, plaintext) in [
                (Library::Zlink, false),
                (Library::Libzmq, false),
                (Library::Zlink, true),
                (Library::Libzmq, true),
            ] {
                let place = Place::new(transport);
                let [mut server, mut client] = pair(server_library, [Dealer, Dealer], &place, plaintext);
                for (n, &size) in SIZES.iter().enumerate() {
                    let message = [body(size, n), body(3, n), body(size / 2, n)];
                    client.send(&message);
                    assert_eq!(server.recv(), message, "{size} bytes");
                    server.send(&message);
                    assert_eq!(client.recv(), message, "{size} bytes");
                }
            }
        }
    });
}

#[test]
fn subscriptions_of_ours_and_routing_ids_pass() {
    realm::in_a_realm("subscriptions_of_ours_and_routing_ids_pass", || {
        let place = Place::new(Transport::Tcp);
        // libzmq wraps the topic of a subscription of its own without saying that it is one.
        let [mut publisher, mut subscriber] = pair(Library::Libzmq, [Xpub, Sub], &place, false);
        subscriber.subscribe(b"a");
        assert_eq!(publisher.recv(), [b"\x01a".to_vec()]);
        publisher.send(&[b"b"]);
        publisher.send(&[b"a1"]);
        assert_eq!(subscriber.recv(), [b"a1".to_vec()]);

        for server in [Library::Zlink, Library::Libzmq] {
            let place = Place::new(Transport::Tcp);
            let [mut router, mut dealer] = pair(server, [Router, Dealer], &place, false);
            dealer.send(&[b"ask"]);
            let asked = router.recv();
            assert_eq!(asked[1..], [b"ask".to_vec()]);
            router.send(&[&asked[0][..], b"answer"]);
            assert_eq!(dealer.recv(), [b"answer".to_vec()]);
        }
    });
}
