//! The addresses of TIPC, between zlink and libzmq. Not run on a kernel that has none.

use zlink::SocketType;
use zlink_interop::{Library, Node, Place, Transport};

/// The two libraries, each bound once, and both bound by the same.
fn pairs() -> impl Iterator<Item = (Library, Library)> {
    Library::BOTH.into_iter().flat_map(|bound| Library::BOTH.into_iter().map(move |other| (bound, other)))
}

#[track_caller]
fn assert_talk(bound: &mut Node, other: &mut Node) {
    other.send(&[b"question"]);
    assert_eq!(bound.recv(), [b"question"]);
    bound.send(&[b"answer"]);
    assert_eq!(other.recv(), [b"answer"]);
}

#[test]
fn a_range_of_instances_is_reached_at_each_of_them() {
    if !Transport::Tipc.is_there() {
        return;
    }
    for (bound, other) in pairs() {
        let mut server = Node::new(bound, SocketType::Rep);
        server.bind("tipc://{7201,5,9}");
        for instance in [5, 7, 9] {
            let mut client = Node::new(other, SocketType::Req);
            client.connect(&format!("tipc://{{7201,{instance}}}@0.0.0"));
            assert_talk(&mut server, &mut client);
        }
    }
}

#[test]
fn the_last_endpoint_of_a_bind_names_the_socket() {
    if !Transport::Tipc.is_there() {
        return;
    }
    for (bound, other) in pairs() {
        for endpoint in [Place::new(Transport::Tipc).endpoint(), "tipc://{7202,0,0}", "tipc://<*>"] {
            let (mut server, mut client) =
                (Node::new(bound, SocketType::Rep), Node::new(other, SocketType::Req));
            let last = server.bind(endpoint);
            assert!(last.starts_with("tipc://<0.0.0:") && last.ends_with('>'), "{bound}: {last}");
            client.connect(&last);
            assert_talk(&mut server, &mut client);
        }
    }
}

#[test]
fn an_instance_needs_no_domain() {
    if !Transport::Tipc.is_there() {
        return;
    }
    // libzmq looks for it in zone 1, where kernels have had no nodes since Linux 4.17.
    for bound in Library::BOTH {
        let mut server = Node::new(bound, SocketType::Rep);
        server.bind("tipc://{7203,5,9}");
        let mut client = Node::new(Library::Zlink, SocketType::Req);
        client.connect("tipc://{7203,7}");
        assert_talk(&mut server, &mut client);
    }
}
