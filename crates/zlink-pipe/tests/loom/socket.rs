//! A socket as the consumer: in-process pipes, and the inward direction of a connection.

use super::*;

/// Reads messages until `count` have come or the producer has ended the queue. Each is the bodies of its
/// parts. Does what a socket's pipe end does: returns credit once nothing is at hand.
fn receive(queue: &Queue, news: &Mailbox<()>, producer: &Mailbox<()>, count: usize) -> Vec<Vec<u8>> {
    let (mut cursor, mut messages, mut message) = (Cursor::new(), Vec::new(), Vec::new());
    while messages.len() < count {
        let Taken { ended, unblocked, .. } = cursor.refill(queue);
        if unblocked {
            producer.post(());
        }
        let Some(part) = cursor.next_message() else {
            if ended {
                break;
            }
            news.wait();
            continue;
        };
        message.extend_from_slice(&part);
        if part.more() {
            assert!(cursor.has_frame(), "the rest of the message is there");
        } else {
            messages.push(std::mem::take(&mut message));
        }
        if !cursor.has_frame() && queue.credit(cursor.take_credit()) {
            producer.post(());
        }
    }
    messages
}

/// Sends one message, waiting for room as long as it takes.
fn send(queue: &Queue, consumer: &Mailbox<()>, room: &Mailbox<()>, body: u8) {
    loop {
        match queue.push_one(&mut Body::Slice(&[body])) {
            Pushed::Queued => return,
            Pushed::Wake => return consumer.post(()),
            Pushed::Full => room.wait(),
            other => panic!("{other:?} without a connection"),
        }
    }
}

fn blocking_producer(hwm: usize, count: u8) {
    check(move || {
        let queue = Arc::new(Queue::new(config(hwm)));
        let (consumer, producer) = (Mailbox::new(), Mailbox::new());
        let sender = {
            let (queue, consumer, producer) =
                (Arc::clone(&queue), Arc::clone(&consumer), Arc::clone(&producer));
            thread::spawn(move || {
                for body in 0..count {
                    send(&queue, &consumer, &producer, body);
                    assert!(queue.in_flight() <= hwm, "the high-water mark is kept");
                }
            })
        };
        let got = receive(&queue, &consumer, &producer, count.into());
        assert_eq!(got, (0..count).map(|body| vec![body]).collect::<Vec<_>>());
        sender.join().unwrap();
        assert_eq!(queue.in_flight(), 0, "all credit has been returned");
    });
}

#[test]
fn a_producer_blocked_at_a_mark_of_one_is_always_told_of_room() {
    blocking_producer(1, 3);
}

#[test]
fn a_producer_blocked_at_a_mark_of_two_is_always_told_of_room() {
    blocking_producer(2, 4);
}

#[test]
fn a_reader_that_waits_for_room_to_pass_entries_on_is_always_told_of_room() {
    check(|| {
        let queue = Arc::new(Queue::new(config(1)));
        let (consumer, producer) = (Mailbox::new(), Mailbox::new());
        let reader = {
            let (queue, consumer, producer) =
                (Arc::clone(&queue), Arc::clone(&consumer), Arc::clone(&producer));
            thread::spawn(move || {
                for body in 0..3 {
                    while queue.room() == 0 {
                        producer.wait();
                    }
                    let entry = Entry::message(&mut Body::Slice(&[body]));
                    if queue.push_entries(&mut VecDeque::from([entry])) {
                        consumer.post(());
                    }
                }
            })
        };
        assert_eq!(receive(&queue, &consumer, &producer, 3), [[0], [1], [2]]);
        reader.join().unwrap();
        assert_eq!(queue.in_flight(), 0);
    });
}

#[test]
fn a_raised_mark_unblocks_the_producer() {
    check(|| {
        let queue = Arc::new(Queue::new(config(1)));
        let (consumer, producer) = (Mailbox::new(), Mailbox::new());
        let sender = {
            let (queue, consumer, producer) =
                (Arc::clone(&queue), Arc::clone(&consumer), Arc::clone(&producer));
            thread::spawn(move || (0..2).for_each(|body| send(&queue, &consumer, &producer, body)))
        };
        // Nothing is read: only the new mark can let the second message in.
        if queue.set_hwm(4) {
            producer.post(());
        }
        sender.join().unwrap();
        assert_eq!(queue.in_flight(), 2);
    });
}

#[test]
fn a_multipart_message_is_seen_whole_and_an_abandoned_one_not_at_all() {
    check(|| {
        let queue = Arc::new(Queue::new(config(0)));
        let (consumer, producer) = (Mailbox::new(), Mailbox::new());
        let sender = {
            let (queue, consumer) = (Arc::clone(&queue), Arc::clone(&consumer));
            thread::spawn(move || {
                let mut staging = Staging::new();
                for message in [&[1u8, 2][..], &[3, 4, 5]] {
                    staging.add(&mut Body::Slice(b"abandoned"), true);
                    staging.clear();
                    for part in message {
                        staging.add(&mut Body::Slice(&[*part]), Some(part) != message.last());
                    }
                    if queue.push_staged(&mut staging) == Pushed::Wake {
                        consumer.post(());
                    }
                }
            })
        };
        assert_eq!(receive(&queue, &consumer, &producer, 2), [vec![1, 2], vec![3, 4, 5]]);
        sender.join().unwrap();
    });
}

#[test]
fn the_end_is_always_told_and_comes_after_the_last_message() {
    check(|| {
        let queue = Arc::new(Queue::new(config(0)));
        let (consumer, producer) = (Mailbox::new(), Mailbox::new());
        let sender = {
            let (queue, consumer, producer) =
                (Arc::clone(&queue), Arc::clone(&consumer), Arc::clone(&producer));
            thread::spawn(move || {
                (0..2).for_each(|body| send(&queue, &consumer, &producer, body));
                if queue.end() {
                    consumer.post(());
                }
            })
        };
        assert_eq!(receive(&queue, &consumer, &producer, usize::MAX), [[0], [1]]);
        assert!(Cursor::new().refill(&queue).ended);
        sender.join().unwrap();
    });
}

#[test]
fn conflation_delivers_the_newest_message_and_never_an_older_one_after_it() {
    check(|| {
        let queue = Arc::new(Queue::new(QueueConfig { conflate: true, ..config(1) }));
        let (consumer, producer) = (Mailbox::new(), Mailbox::new());
        let sender = {
            let (queue, consumer, producer) =
                (Arc::clone(&queue), Arc::clone(&consumer), Arc::clone(&producer));
            thread::spawn(move || {
                (0..3).for_each(|body| send(&queue, &consumer, &producer, body));
                if queue.end() {
                    consumer.post(());
                }
            })
        };
        let got = receive(&queue, &consumer, &producer, usize::MAX).concat();
        assert!(got.is_sorted_by(|a, b| a < b), "{got:?}");
        assert_eq!(got.last(), Some(&2));
        sender.join().unwrap();
        assert_eq!(queue.in_flight(), 0, "what was replaced counts no more");
    });
}

/// The nap's own end is a time-out, which may come at any time.
#[test]
fn a_consumer_that_naps_misses_no_message() {
    check(|| {
        let queue = Arc::new(Queue::new(config(0)));
        queue.set_streaming(true);
        let (consumer, producer) = (Mailbox::new(), Mailbox::new());
        let sender = {
            let (queue, consumer, producer) =
                (Arc::clone(&queue), Arc::clone(&consumer), Arc::clone(&producer));
            thread::spawn(move || (0..3).for_each(|body| send(&queue, &consumer, &producer, body)))
        };
        let (mut cursor, mut got, mut naps) = (Cursor::new(), Vec::new(), 0);
        while got.len() < 3 {
            let _ = cursor.refill(&queue);
            if let Some(message) = cursor.next_message() {
                got.push(message.to_vec());
                continue;
            }
            if naps < 2 && queue.begin_nap() {
                naps += 1;
                thread::yield_now();
                if queue.end_nap() {
                    continue;
                }
            }
            consumer.wait();
        }
        assert_eq!(got, [[0], [1], [2]]);
        sender.join().unwrap();
    });
}
