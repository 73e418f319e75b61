//! What neither library has, as libzmq is configured by default: both refuse it in the same way.

use zlink::SocketType;
use zlink_interop::{Library, Node};

#[test]
fn transports_that_are_not_built_in_are_refused_alike() {
    const EPROTONOSUPPORT: i32 = 93;
    for endpoint in [
        "tipc://{5560,0,0}",
        "tipc://{5560,0}@0.0.0",
        "tipc://<*>",
        "vsock://*:5555",
        "vsock://2:5555",
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
