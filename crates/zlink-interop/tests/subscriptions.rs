//! Subscriptions between the two libraries: they travel upstream, once each, and only what matches comes down.
//!
//! XPUB shows what its subscribers said, and XSUB, which filters nothing itself, what a publisher let through.

use std::thread;

use zlink::SocketType::{self, Sub, Xpub, Xsub};
use zlink_interop::{Library, Node, Transport};

/// For each library as publisher, the other as subscriber of this type, each bound, over each transport.
fn everywhere(subscriber_type: SocketType, behaviour: impl Fn(Node, Node)) {
    for library in Library::BOTH {
        for transport in Transport::ALL {
            for publisher_binds in [true, false] {
                println!("{library} publishes over {transport}, bound: {publisher_binds}");
                let mut publisher = Node::new(library, Xpub);
                let mut subscriber = Node::new(library.other(), subscriber_type);
                publisher.set_unlimited();
                subscriber.set_unlimited();
                if publisher_binds {
                    let endpoint = publisher.bind(transport.wildcard());
                    subscriber.connect(&endpoint);
                } else {
                    let endpoint = subscriber.bind(transport.wildcard());
                    publisher.connect(&endpoint);
                }
                behaviour(publisher, subscriber);
            }
        }
    }
}

/// The topics of the messages that are published, one message each.
fn topics() -> impl Iterator<Item = String> {
    ["", "a", "b", "ab", "abc", "abd", "b", "c", "\u{1}", "zz"]
        .into_iter()
        .cycle()
        .take(2_000)
        .enumerate()
        .map(|(i, prefix)| format!("{prefix}:{i}"))
}

fn only_what_matches_comes_down(subscriber_type: SocketType) {
    everywhere(subscriber_type, |mut publisher, mut subscriber| {
        for topic in ["ab", "b:", "end"] {
            subscriber.subscribe(topic.as_bytes());
        }
        thread::scope(|scope| {
            scope.spawn(|| {
                let wanted = topics().filter(|topic| topic.starts_with("ab") || topic.starts_with("b:"));
                for topic in wanted {
                    assert_eq!(subscriber.recv(), [topic.as_bytes(), b"", b"body"]);
                }
                assert_eq!(subscriber.recv(), [b"end"]);
            });
            let mut told: Vec<_> = (0..3).map(|_| publisher.recv()).collect();
            told.sort();
            assert_eq!(told, [[b"\x01ab".to_vec()], [b"\x01b:".to_vec()], [b"\x01end".to_vec()]]);
            for topic in topics() {
                publisher.send(&[topic.as_bytes(), b"", b"body"]);
            }
            publisher.send(&[b"end"]);
        });
    });
}

#[test]
fn only_what_matches_comes_down_to_sub() {
    only_what_matches_comes_down(Sub);
}

#[test]
fn only_what_matches_comes_down_to_xsub_which_filters_nothing_itself() {
    only_what_matches_comes_down(Xsub);
}

#[test]
fn repeated_subscriptions_go_upstream_once_and_are_cancelled_by_the_last_unsubscribe() {
    for subscriber_type in [Sub, Xsub] {
        everywhere(subscriber_type, |mut publisher, mut subscriber| {
            thread::scope(|scope| {
                scope.spawn(|| {
                    subscriber.subscribe(b"topic");
                    subscriber.subscribe(b"topic");
                    subscriber.subscribe(b"go");
                    assert_eq!(subscriber.recv(), [b"go"]);
                    subscriber.unsubscribe(b"topic");
                    subscriber.subscribe(b"first");
                    subscriber.unsubscribe(b"topic");
                    subscriber.subscribe(b"second");
                    assert_eq!(subscriber.recv(), [b"second"]);
                });
                let mut told = [publisher.recv(), publisher.recv()];
                told.sort();
                assert_eq!(told, [[b"\x01go".to_vec()], [b"\x01topic".to_vec()]]);
                publisher.send(&[b"go"]);
                assert_eq!(publisher.recv(), [b"\x01first"]);
                assert_eq!(publisher.recv(), [b"\x00topic"]);
                assert_eq!(publisher.recv(), [b"\x01second"]);
                publisher.send(&[b"topic"]);
                publisher.send(&[b"second"]);
            });
        });
    }
}

#[test]
fn what_xsub_says_beside_subscriptions_reaches_xpub() {
    everywhere(Xsub, |mut publisher, mut subscriber| {
        subscriber.subscribe(b"go");
        thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(subscriber.recv(), [b"go"]);
                subscriber.send(&[b"one".to_vec()]);
                subscriber.send(&[b"two".to_vec(), vec![], vec![2; 70_000]]);
                assert_eq!(subscriber.recv(), [b"gone"]);
            });
            assert_eq!(publisher.recv(), [b"\x01go"]);
            publisher.send(&[b"go"]);
            assert_eq!(publisher.recv(), [b"one"]);
            assert_eq!(publisher.recv(), [b"two".to_vec(), vec![], vec![2; 70_000]]);
            publisher.send(&[b"gone"]);
        });
    });
}

#[test]
fn a_thousand_subscriptions_go_upstream_and_each_gets_its_message() {
    everywhere(Sub, |mut publisher, mut subscriber| {
        for number in 0..1_000 {
            subscriber.subscribe(format!("{number:03}:").as_bytes());
        }
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..1_000 {
                    assert_eq!(subscriber.recv(), [format!("{number:03}:x").into_bytes()]);
                }
            });
            let mut told: Vec<_> = (0..1_000).map(|_| publisher.recv()).collect();
            told.sort();
            for (number, told) in told.iter().enumerate() {
                assert_eq!(*told, [format!("\u{1}{number:03}:").into_bytes()]);
            }
            for number in 0..1_000 {
                publisher.send(&[b"none of these".to_vec()]);
                publisher.send(&[format!("{number:03}:x").into_bytes()]);
            }
        });
    });
}

#[test]
fn a_subscriber_that_leaves_is_cancelled() {
    for library in Library::BOTH {
        for transport in Transport::ALL {
            let mut publisher = Node::new(library, Xpub);
            let endpoint = publisher.bind(transport.wildcard());
            let mut subscriber = Node::new(library.other(), Sub);
            subscriber.subscribe(b"topic");
            subscriber.connect(&endpoint);
            // A publisher that has connected keeps the subscriptions for when the connection is back.
            thread::scope(|scope| {
                scope.spawn(move || {
                    assert_eq!(subscriber.recv(), [b"topic"]);
                    drop(subscriber);
                });
                assert_eq!(publisher.recv(), [b"\x01topic"]);
                publisher.send(&[b"topic"]);
                assert_eq!(publisher.recv(), [b"\x00topic"]);
            });
        }
    }
}
