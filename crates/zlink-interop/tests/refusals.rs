//! What neither library has, as libzmq is configured by default: both refuse it in the same way.

use zlink::SocketType;
use zlink_interop::{Library, Node, Transport};

#[test]
fn transports_that_are_not_built_in_are_refused_alike() {
    const EPROTONOSUPPORT: i32 = 93;
    for endpoint in [
        "vmci://@:5555",
        "pgm://eth0;239.0.0.1:5555",
        "epgm://eth0;239.0.0.1:5555",
        "norm://eth0;239.0.0.1:5555",
        "TCP://127.0.0.1:5555",
        "nothing://127.0.0.1:5555",
    ] {
        for socket_type in
            [SocketType::Pub, SocketType::Sub, SocketType::Req, SocketType::Radio, SocketType::Dgram]
        {
            for bind in [false, true] {
                for library in Library::BOTH {
                    let number = Node::new(library, socket_type).refusal(endpoint, bind);
                    assert_eq!(number, EPROTONOSUPPORT, "{library}: {endpoint}, bind: {bind}");
                }
            }
        }
    }
}

#[test]
fn tipc_is_refused_alike_where_the_kernel_has_none() {
    const EAFNOSUPPORT: i32 = 97;
    for library in Library::BOTH {
        for endpoint in ["tipc://{5560,0,0}", "tipc://<*>"] {
            let expected = if Transport::Tipc.is_there() { 0 } else { EAFNOSUPPORT };
            let number = Node::new(library, SocketType::Pub).refusal(endpoint, true);
            assert_eq!(number, expected, "{library}: {endpoint}");
        }
        // It is tried in the background.
        let number = Node::new(library, SocketType::Pub).refusal("tipc://{5560,0}@0.0.0", false);
        assert_eq!(number, 0, "{library}");
    }
}

#[test]
fn tipc_addresses_that_are_for_the_other_side_are_refused_alike() {
    const EINVAL: i32 = 22;
    for library in Library::BOTH {
        for (endpoint, bind) in [("tipc://<1.2.3:123123>", true), ("tipc://<*>", false)] {
            let number = Node::new(library, SocketType::Rep).refusal(endpoint, bind);
            assert_eq!(number, EINVAL, "{library}: {endpoint}");
        }
    }
}
