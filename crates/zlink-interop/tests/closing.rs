//! The end of a connection whose peer is not done with reading.

use zlink::SocketType::{Pull, Push};
use zlink_interop::{Library, Node, Transport, body, option};

/// libzmq stops reading at its high-water mark, and takes the hang-up of a Unix domain socket for an error: what it has
/// not read is lost then. So our side of `ipc` waits for it.
#[test]
fn what_was_sent_before_the_close_reaches_a_peer_that_reads_late() {
    const COUNT: usize = 2000;
    for transport in Transport::PLAIN {
        for receives in Library::BOTH {
            let (mut pull, mut push) = (Node::new(receives, Pull), Node::new(Library::Zlink, Push));
            pull.set_int(option::RCVHWM, 10);
            push.set_int(option::SNDHWM, 0);
            push.set_int(option::LINGER, -1);
            let endpoint = pull.bind(transport.wildcard());
            push.connect(&endpoint);
            for number in 0..COUNT {
                push.send(&[body(20, number)]);
            }
            // Ends once the kernel has it all.
            let closed = std::thread::spawn(move || drop(push));
            for number in 0..COUNT {
                assert_eq!(pull.recv(), [body(20, number)], "{receives} over {transport:?}");
            }
            closed.join().expect("the sender ends");
        }
    }
}
