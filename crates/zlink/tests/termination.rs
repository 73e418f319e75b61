//! A context ends once its sockets are closed, whatever they had begun.

use zlink::{Context, SocketType};

const LINGER: i32 = 17;

#[test]
fn a_connect_that_its_pattern_refuses_does_not_keep_the_context() {
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*"] {
        let context = Context::new();
        let server = context.socket(SocketType::Pair).expect("socket");
        server.bind(endpoint).expect("bind");
        let client = context.socket(SocketType::Pair).expect("socket");
        client.set_option(LINGER, &0i32.to_ne_bytes()).expect("option");
        let address = server.last_endpoint().expect("endpoint");
        // A PAIR has one peer: it refuses the second pipe, whose session is only being made then.
        client.connect(&address).expect("connect");
        client.connect(&address).expect("connect");
        drop((server, client));
        context.terminate();
    }
}
