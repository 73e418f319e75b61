//! Many libzmq peers on one zlink socket, and one libzmq socket among many of zlink's.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Barrier;
use std::thread;

use zlink::EventKind;
use zlink::SocketType::{Dealer, Pull, Push, Router, Sub, Xpub};
use zlink_interop::{GUARD, Library, Node, Transport, option};

const PEERS: usize = 8;
const MESSAGES: u32 = 5_000;
/// Messages of each peer that are to show how it is served beside the others: so many that it does not matter
/// when the system lets whom run.
const MANY: u32 = 20_000;

fn message(peer: usize, number: u32) -> [Vec<u8>; 2] {
    [vec![peer as u8], number.to_be_bytes().to_vec()]
}

/// Eight peers have everything in their queues, and connections to a receiver of zlink's, before that begins to receive.
/// Returns how much of each had arrived when the first was through.
fn fan_in(receiver: Library, transport: Transport) -> [u32; PEERS] {
    let mut pull = Node::new(receiver, Pull);
    let events =
        pull.zlink().map(|pull| pull.monitor(EventKind::HandshakeSucceeded as u32).expect("monitor"));
    let endpoint = pull.bind(transport.wildcard());
    let queued = Barrier::new(PEERS + 1);
    // A libzmq that has stopped reading at its high-water mark loses what lies in the kernel when the peer
    // closes an ipc connection, so that nobody closes before everything is received.
    let received = Barrier::new(PEERS + 1);
    let mut next = [0; PEERS];
    let mut when_one_was_through = None;
    thread::scope(|scope| {
        for peer in 0..PEERS {
            let (queued, received, endpoint) = (&queued, &received, &endpoint);
            scope.spawn(move || {
                let mut push = Node::new(receiver.other(), Push);
                push.set_unlimited();
                push.connect(endpoint);
                for number in 0..MANY {
                    push.send(&message(peer, number));
                }
                queued.wait();
                received.wait();
            });
        }
        queued.wait();
        if let Some(events) = events {
            for _ in 0..PEERS {
                events.recv_timeout(GUARD).expect("a connection");
            }
        }
        let all = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..PEERS as u32 * MANY {
                let parts = pull.recv();
                let peer = usize::from(parts[0][0]);
                assert_eq!(parts, message(peer, next[peer]), "peer {peer} over {transport}");
                next[peer] += 1;
                if next[peer] == MANY && when_one_was_through.is_none() {
                    when_one_was_through = Some(next);
                }
            }
        }));
        received.wait();
        all.unwrap_or_else(|failure| resume_unwind(failure));
    });
    assert_eq!(next, [MANY; PEERS], "over {transport}");
    when_one_was_through.expect("all are through")
}

#[test]
fn eight_libzmq_push_are_served_by_one_zlink_pull_completely_in_order_and_fairly() {
    for transport in Transport::ALL {
        let shares = fan_in(Library::Zlink, transport);
        // How much of each has come by then is also the scheduler's choice, among the senders' I/O threads.
        assert!(shares.iter().all(|&share| share >= MANY / 100), "over {transport}: {shares:?}");
    }
}

#[test]
fn eight_zlink_push_are_served_by_one_libzmq_pull_completely_and_in_order() {
    for transport in Transport::ALL {
        // How fairly is libzmq's affair.
        fan_in(Library::Libzmq, transport);
    }
}

#[test]
fn a_router_answers_each_of_eight_dealers_of_the_other_library() {
    const WINDOW: u32 = 100;
    for library in Library::BOTH {
        for transport in Transport::ALL {
            let mut router = Node::new(library, Router);
            let endpoint = router.bind(transport.wildcard());
            let mut dealers: Vec<Node> = (0..PEERS)
                .map(|peer| {
                    let mut dealer = Node::new(library.other(), Dealer);
                    dealer.set(option::ROUTING_ID, &[b'd', peer as u8]);
                    dealer.connect(&endpoint);
                    dealer
                })
                .collect();
            for dealer in &mut dealers {
                for number in 0..WINDOW {
                    dealer.send(&[number.to_be_bytes()]);
                }
            }
            let mut next = [0; PEERS];
            for _ in 0..PEERS as u32 * WINDOW {
                let parts = router.recv();
                let peer = usize::from(parts[0][1]);
                assert_eq!(parts[1], u32::to_be_bytes(next[peer]), "{library} over {transport}");
                next[peer] += 1;
                router.send(&[&parts[0][..], &[peer as u8], &parts[1]]);
            }
            for (peer, dealer) in dealers.iter_mut().enumerate() {
                for number in 0..WINDOW {
                    assert_eq!(dealer.recv(), message(peer, number), "{library} over {transport}");
                }
            }
        }
    }
}

#[test]
fn a_push_spreads_over_eight_pulls_of_the_other_library() {
    for library in Library::BOTH {
        for transport in Transport::ALL {
            let mut push = Node::new(library, Push);
            let mut pulls: Vec<Node> = (0..PEERS)
                .map(|_| {
                    let mut pull = Node::new(library.other(), Pull);
                    let endpoint = pull.bind(transport.wildcard());
                    push.connect(&endpoint);
                    pull
                })
                .collect();
            for number in 0..PEERS as u32 * 100 {
                push.send(&[number.to_be_bytes()]);
            }
            // In turn, whoever is connected already: a connect makes its queue at once.
            for (peer, pull) in pulls.iter_mut().enumerate() {
                for turn in 0..100 {
                    let number = turn * PEERS as u32 + peer as u32;
                    assert_eq!(pull.recv(), [number.to_be_bytes()], "{library} over {transport}");
                }
            }
        }
    }
}

#[test]
fn a_publisher_reaches_eight_subscribers_of_the_other_library() {
    for library in Library::BOTH {
        for transport in Transport::ALL {
            let mut publisher = Node::new(library, Xpub);
            publisher.set_unlimited();
            publisher.set_int(option::XPUB_VERBOSE, 1);
            let endpoint = publisher.bind(transport.wildcard());
            let mut subscribers: Vec<Node> = (0..PEERS)
                .map(|_| {
                    let mut subscriber = Node::new(library.other(), Sub);
                    subscriber.set_unlimited();
                    subscriber.subscribe(b"all");
                    subscriber.connect(&endpoint);
                    subscriber
                })
                .collect();
            for _ in 0..PEERS {
                assert_eq!(publisher.recv(), [b"\x01all"]);
            }
            for number in 0..MESSAGES {
                publisher.send(&[b"all".to_vec(), number.to_be_bytes().to_vec()]);
                publisher.send(&[b"none".to_vec(), number.to_be_bytes().to_vec()]);
            }
            for subscriber in &mut subscribers {
                for number in 0..MESSAGES {
                    assert_eq!(subscriber.recv(), [b"all".to_vec(), number.to_be_bytes().to_vec()]);
                }
            }
        }
    }
}
