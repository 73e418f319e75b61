//! One of the two goes and comes back at the same place: the other finds it again, tells it its subscriptions
//! again, and goes on.

use std::thread;
use std::time::{Duration, Instant};

use zlink::SocketType::{self, Dealer, Pub, Pull, Push, Rep, Req, Sub, Xpub};
use zlink_interop::{GUARD, Library, Node, Place, Transport, option};

/// How often the one goes and comes back.
const ROUNDS: usize = 3;
/// How long to wait before something that may have been lost with a connection is said again.
const PATIENCE: Duration = Duration::from_millis(20);

/// For each library as the one that stays, the other as the one that goes, over each transport.
fn everywhere(behaviour: impl Fn(Library, &Place)) {
    for stays in Library::BOTH {
        for transport in Transport::ALL {
            println!("{stays} stays, {} goes, over {transport}", stays.other());
            behaviour(stays, &Place::new(transport));
        }
    }
}

/// A socket that connects, and tries again soon when it cannot.
fn connected(library: Library, socket_type: SocketType, place: &Place) -> Node {
    let mut node = Node::new(library, socket_type);
    node.set_int(option::RECONNECT_IVL, 5);
    if socket_type == Sub {
        node.subscribe(b"a");
        node.subscribe(b"bc");
    }
    node.connect(place.endpoint());
    node
}

fn bound(library: Library, socket_type: SocketType, place: &Place) -> Node {
    let mut node = Node::new(library, socket_type);
    node.bind(place.endpoint());
    node
}

/// Sends numbered messages until one arrives, and returns its number. What was sent to a connection before its
/// end was noticed is lost.
fn send_until_heard(sender: &mut Node, receiver: &mut Node, from: u32) -> u32 {
    let limit = Instant::now() + GUARD;
    for number in from.. {
        sender.send(&[number.to_be_bytes()]);
        if let Some(parts) = receiver.recv_within(PATIENCE) {
            let bytes = parts[0][..].try_into().expect("a number");
            return u32::from_be_bytes(bytes);
        }
        assert!(Instant::now() < limit, "{sender} does not find {receiver} again");
    }
    unreachable!("the limit comes before the last number");
}

#[test]
fn push_goes_on_with_a_pull_that_came_back() {
    everywhere(|stays, place| {
        let mut push = connected(stays, Push, place);
        let mut next = 0;
        for _ in 0..ROUNDS {
            let mut pull = bound(stays.other(), Pull, place);
            let heard = send_until_heard(&mut push, &mut pull, next);
            assert!(heard >= next, "{heard} was heard before");
            // From here on nothing is lost. What came behind the first to be heard comes in order.
            push.send(&[b"now"]);
            let mut last = heard;
            loop {
                let parts = pull.recv();
                if parts == [b"now"] {
                    break;
                }
                let number = u32::from_be_bytes(parts[0][..].try_into().expect("a number"));
                assert!(number > last, "{number} after {last}");
                last = number;
            }
            for number in 0..5_000_u32 {
                push.send(&[number.to_be_bytes()]);
                if number % 500 == 499 {
                    for number in number - 499..=number {
                        assert_eq!(pull.recv(), [number.to_be_bytes()]);
                    }
                }
            }
            next = last + 1;
        }
    });
}

#[test]
fn pull_goes_on_with_a_push_that_came_back() {
    everywhere(|stays, place| {
        let mut pull = connected(stays, Pull, place);
        for round in 0..ROUNDS {
            let mut push = bound(stays.other(), Push, place);
            for number in 0..1_000_u32 {
                push.send(&[vec![round as u8], number.to_be_bytes().to_vec()]);
            }
            for number in 0..1_000_u32 {
                assert_eq!(pull.recv(), [vec![round as u8], number.to_be_bytes().to_vec()]);
            }
        }
    });
}

#[test]
fn sub_tells_its_subscriptions_to_a_publisher_that_came_back() {
    everywhere(|stays, place| {
        let mut subscriber = connected(stays, Sub, place);
        for round in 0..ROUNDS {
            let mut publisher = bound(stays.other(), Xpub, place);
            let mut topics = vec![b"\x01a".to_vec(), b"\x01bc".to_vec()];
            if round > 0 {
                topics.push(format!("\u{1}round {}", round - 1).into_bytes());
            }
            thread::scope(|scope| {
                scope.spawn(|| {
                    assert_eq!(subscriber.recv(), [b"bcd"]);
                    assert_eq!(subscriber.recv(), [&b"a"[..], b"", b"body"]);
                });
                let mut told: Vec<_> = topics.iter().map(|_| publisher.recv().concat()).collect();
                told.sort();
                assert_eq!(told, topics);
                publisher.send(&[b"b"]);
                publisher.send(&[b"bcd"]);
                publisher.send(&[b"c"]);
                publisher.send(&[&b"a"[..], b"", b"body"]);
            });
            // What was subscribed to between, the next is told too; what was taken back, it is not.
            subscriber.subscribe(format!("round {round}").as_bytes());
            assert_eq!(publisher.recv(), [format!("\u{1}round {round}").into_bytes()]);
            if round > 0 {
                subscriber.unsubscribe(format!("round {}", round - 1).as_bytes());
                assert_eq!(publisher.recv(), [format!("\0round {}", round - 1).into_bytes()]);
            }
        }
    });
}

#[test]
fn sub_hears_a_pub_that_came_back() {
    everywhere(|stays, place| {
        let mut subscriber = connected(stays, Sub, place);
        for round in 0..ROUNDS {
            let mut publisher = bound(stays.other(), Pub, place);
            let limit = Instant::now() + GUARD;
            loop {
                publisher.send(&[b"not for it".to_vec()]);
                publisher.send(&[format!("a{round}").into_bytes()]);
                if let Some(parts) = subscriber.recv_within(PATIENCE) {
                    assert_eq!(parts, [format!("a{round}").into_bytes()]);
                    break;
                }
                assert!(Instant::now() < limit, "{subscriber} does not find {publisher} again");
            }
            publisher.send(&[b"a!"]);
            while subscriber.recv() != [b"a!"] {}
        }
    });
}

#[test]
fn dealer_asks_a_rep_that_came_back() {
    everywhere(|stays, place| {
        let mut dealer = connected(stays, Dealer, place);
        for round in 0..ROUNDS as u32 {
            let mut server = bound(stays.other(), Rep, place);
            thread::scope(|scope| {
                let serving = scope.spawn(|| {
                    loop {
                        let question = server.recv();
                        server.send(&question);
                        if question == [b"last"] {
                            return;
                        }
                    }
                });
                let limit = Instant::now() + GUARD;
                loop {
                    dealer.send(&[b"", &round.to_be_bytes()[..]]);
                    if let Some(parts) = dealer.recv_within(PATIENCE) {
                        assert_eq!(parts, [b"", &round.to_be_bytes()[..]]);
                        break;
                    }
                    assert!(Instant::now() < limit, "{dealer} does not find the server again");
                }
                dealer.send(&[&b""[..], b"last"]);
                while dealer.recv()[1] != b"last" {}
                serving.join().expect("the server");
            });
        }
    });
}

#[test]
fn what_is_sent_before_anybody_is_bound_waits_and_arrives() {
    everywhere(|stays, place| {
        let mut push = connected(stays, Push, place);
        for number in 0..500_u32 {
            push.send(&[number.to_be_bytes()]);
        }
        let mut pull = bound(stays.other(), Pull, place);
        for number in 0..500_u32 {
            assert_eq!(pull.recv(), [number.to_be_bytes()]);
        }
    });
}

#[test]
fn a_request_that_was_sent_before_anybody_is_bound_is_answered() {
    everywhere(|stays, place| {
        let mut client = connected(stays, Req, place);
        client.send(&[b"question"]);
        let mut server = bound(stays.other(), Rep, place);
        assert_eq!(server.recv(), [b"question"]);
        server.send(&[b"answer"]);
        assert_eq!(client.recv(), [b"answer"]);
    });
}
