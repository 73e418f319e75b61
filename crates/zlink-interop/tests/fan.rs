//! Many libzmq peers on one zlink socket, and one libzmq socket among many of zlink's.

use std::sync::Barrier;
use std::thread;

use zlink::SocketType::{Dealer, Pull, Push, Router, Sub, Xpub};
use zlink_interop::{Library, Node, Transport, option};

const PEERS: usize = 8;
const MESSAGES: u32 = 5_000;

fn message(peer: usize, number: u32) -> [Vec<u8>; 2] {
    [vec![peer as u8], number.to_be_bytes().to_vec()]
}

fn fan_in_is_complete_ordered_and_fair(receiver: Library) {
    for transport in Transport::BOTH {
        let mut pull = Node::new(receiver, Pull);
        let endpoint = pull.bind(transport.wildcard());
        // Nobody begins before all are connected, and each has something to send at all times.
        let start = Barrier::new(PEERS);
        thread::scope(|scope| {
            for peer in 0..PEERS {
                let (start, endpoint) = (&start, &endpoint);
                scope.spawn(move || {
                    let mut push = Node::new(receiver.other(), Push);
                    push.set_unlimited();
                    push.set_int(option::LINGER, -1);
                    push.connect(endpoint);
                    start.wait();
                    for number in 0..MESSAGES {
                        push.send(&message(peer, number));
                    }
                });
            }
            let mut next = [0; PEERS];
            let mut when_one_was_through = None;
            for _ in 0..PEERS as u32 * MESSAGES {
                let parts = pull.recv();
                let peer = usize::from(parts[0][0]);
                assert_eq!(parts, message(peer, next[peer]), "peer {peer} over {transport}");
                next[peer] += 1;
                if next[peer] == MESSAGES && when_one_was_through.is_none() {
                    when_one_was_through = Some(next);
                }
            }
            assert_eq!(next, [MESSAGES; PEERS]);
            let shares = when_one_was_through.expect("the loop ran to the end");
            println!("{receiver} over {transport}, when one was through: {shares:?}");
        });
    }
}

#[test]
fn what_eight_libzmq_push_to_one_zlink_pull_arrives_complete_and_in_order() {
    fan_in_is_complete_ordered_and_fair(Library::Zlink);
}

#[test]
fn what_eight_zlink_push_to_one_libzmq_pull_arrives_complete_and_in_order() {
    fan_in_is_complete_ordered_and_fair(Library::Libzmq);
}

/// Two peers whose messages all lie ready take turns.
#[test]
fn peers_whose_messages_lie_ready_are_served_in_turn() {
    const WAITING: u32 = 100;
    for library in Library::BOTH {
        for transport in Transport::BOTH {
            let mut router = Node::new(library, Router);
            let endpoint = router.bind(transport.wildcard());
            let mut dealers: Vec<Node> = (0..PEERS)
                .map(|_| {
                    let mut dealer = Node::new(library.other(), Dealer);
                    dealer.connect(&endpoint);
                    dealer
                })
                .collect();
            for (peer, dealer) in dealers.iter_mut().enumerate() {
                dealer.send(&[[peer as u8]]);
            }
            // Hear all once, so that they are there.
            let mut ids = vec![Vec::new(); PEERS];
            for _ in 0..PEERS {
                let parts = router.recv();
                ids[usize::from(parts[1][0])] = parts[0].clone();
            }
            // Each sends a batch and, when the batch is answered, has been heard in full.
            for dealer in &mut dealers {
                for number in 0..WAITING {
                    dealer.send(&[number.to_be_bytes()]);
                }
            }
            let mut next = vec![0; PEERS];
            for _ in 0..PEERS as u32 * WAITING {
                let parts = router.recv();
                let peer = ids.iter().position(|id| *id == parts[0]).expect("an id heard before");
                assert_eq!(parts[1], u32::to_be_bytes(next[peer]), "{library} over {transport}");
                next[peer] += 1;
                router.send(&parts);
            }
            for dealer in &mut dealers {
                for number in 0..WAITING {
                    assert_eq!(dealer.recv(), [number.to_be_bytes()], "{library} over {transport}");
                }
            }
        }
    }
}

#[test]
fn a_push_spreads_over_eight_pulls_of_the_other_library() {
    for library in Library::BOTH {
        for transport in Transport::BOTH {
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
        for transport in Transport::BOTH {
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
