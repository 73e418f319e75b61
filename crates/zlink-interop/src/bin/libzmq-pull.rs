//! Binds a libzmq PULL to the endpoint given and prints what it receives, a line a message, until it is killed
//! or nothing comes for a while. For the tests that kill a peer.

#![forbid(unsafe_code)]

use zlink::SocketType::Pull;
use zlink_interop::{GUARD, Library, Node};

fn main() {
    let endpoint = std::env::args().nth(1).expect("usage: libzmq-pull ENDPOINT");
    let mut pull = Node::new(Library::Libzmq, Pull);
    pull.bind(&endpoint);
    println!("bound");
    while let Some(parts) = pull.recv_within(GUARD) {
        println!("{}", String::from_utf8_lossy(&parts.concat()));
    }
}
