//! STREAM and raw ROUTER sockets of either library: with each other, and as peers of ZeroMQ sockets whose protocol the
//! test speaks.

use zlink::SocketType::{Dealer, Router, Stream};
use zlink_interop::{Library, Node, Transport, option};

/// The greeting and the READY command of a ZMTP 3.1 ROUTER with the NULL mechanism.
fn opening() -> Vec<u8> {
    let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1];
    greeting.extend(b"NULL");
    greeting.resize(64, 0);
    [&greeting[..], b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06ROUTER"].concat()
}

fn name_and_data(mut message: Vec<Vec<u8>>) -> (Vec<u8>, Vec<u8>) {
    assert_eq!(message.len(), 2, "a name and data: {message:?}");
    let data = message.pop().expect("data");
    (message.pop().expect("a name"), data)
}

/// Takes what arrives for one name until it ends with `end`.
#[track_caller]
fn read_to(node: &mut Node, name: &[u8], end: &[u8]) -> Vec<u8> {
    let mut got = Vec::new();
    while !got.ends_with(end) {
        let (from, data) = name_and_data(node.recv());
        assert_eq!(from, name, "{node}");
        assert!((1..=8192).contains(&data.len()), "{node}: {} bytes", data.len());
        got.extend(data);
    }
    got
}

/// A raw socket of `library`, of either type.
fn raw(library: Library, router: bool) -> Node {
    let mut node = Node::new(library, if router { Router } else { Stream });
    node.set_int(option::RECONNECT_IVL, 1);
    if router {
        node.set_int(option::ROUTER_RAW, 1);
    }
    node
}

fn sides(test: impl Fn(Library, bool, Transport)) {
    for library in Library::BOTH {
        for transport in Transport::PLAIN {
            for router in [false, true] {
                test(library, router, transport);
            }
        }
    }
}

#[test]
fn streams_of_both_libraries_talk_and_close() {
    sides(|library, router, transport| {
        let (mut server, mut client) = (raw(library, router), raw(library.other(), !router));
        let endpoint = server.bind(transport.wildcard());
        client.connect(&endpoint);
        let (at_server, notice) = name_and_data(server.recv());
        let (at_client, other_notice) = name_and_data(client.recv());
        for (name, notice) in [(&at_server, notice), (&at_client, other_notice)] {
            assert_eq!((name.len(), name[0], &*notice), (5, 0, &b""[..]));
        }
        let long = (0..200_000).map(|i: u32| (i % 251) as u8).collect::<Vec<_>>();
        for data in [&b"x"[..], b"GET /\r\n\r\n", &long] {
            let ended = [data, b"\r\n.\r\n"].concat();
            client.send(&[&at_client[..], &ended]);
            assert!(read_to(&mut server, &at_server, b"\r\n.\r\n") == ended);
            server.send(&[&at_server[..], &ended]);
            assert!(read_to(&mut client, &at_client, b"\r\n.\r\n") == ended);
        }
        server.send(&[&at_server[..], b"bye"]);
        server.send(&[&at_server[..], b""]);
        assert_eq!(client.recv(), [&at_client[..], b"bye"]);
        // libzmq closes when its socket is called again. The client connects again, under the name it has, and is
        // another for the server.
        let next = server.recv();
        assert_eq!(client.recv(), [&at_client[..], b""], "{client}: told of the end");
        assert_eq!(client.recv(), [&at_client[..], b""], "{client}: told of the new connection");
        let (next, notice) = name_and_data(next);
        assert!(next != at_server && notice.is_empty(), "{server}");
        client.send(&[&at_client[..], b"again"]);
        assert_eq!(server.recv(), [&next[..], b"again"]);
        drop(client);
        assert_eq!(server.recv(), [&next[..], b""], "{server}: told of the end");
    });
}

#[test]
fn a_stream_speaks_zmtp_with_a_socket_of_the_other_library() {
    sides(|library, router, transport| {
        let (mut stream, mut dealer) = (raw(library, router), Node::new(library.other(), Dealer));
        let endpoint = stream.bind(transport.wildcard());
        dealer.connect(&endpoint);
        dealer.send(&[b"Hello"]);
        let (name, notice) = name_and_data(stream.recv());
        assert_eq!(notice, b"");
        stream.send(&[&name[..], &opening()]);
        let said = read_to(&mut stream, &name, b"\0\x05Hello");
        assert!(said.starts_with(&[0xff]) && said.windows(6).any(|window| window == b"DEALER"));
        stream.send(&[&name[..], b"\x01\x02to\0\x03you"]);
        assert_eq!(dealer.recv(), [&b"to"[..], b"you"]);
        dealer.send(&[vec![7; 100_000], vec![8; 10]]);
        let said = read_to(&mut stream, &name, &[&[0, 10][..], &[8; 10]].concat());
        assert_eq!(said.len(), 9 + 100_000 + 2 + 10);
    });
}
