//! Buffers and messages shared between threads: for ThreadSanitizer, AddressSanitizer and Miri to watch.
#![cfg(not(loom))]

use std::sync::mpsc;
use std::thread;

use zlink_pipe::{Body, Cursor, Message, Pushed, Queue, QueueConfig};

/// Miri is some thousand times slower.
const MESSAGES: usize = if cfg!(miri) { 60 } else { 20_000 };
const SIZES: [usize; 7] = [0, 8, 41, 300, 5000, 16_384, 40_000];

fn body(i: usize) -> Vec<u8> {
    vec![i as u8; SIZES[i % SIZES.len()]]
}

#[test]
fn a_stream_of_every_size_crosses_threads_and_its_buffers_come_back() {
    let queue = Queue::new(QueueConfig { hwm: 50, ..QueueConfig::default() });
    let (wake, woken) = mpsc::channel();
    let (room, has_room) = mpsc::channel();
    thread::scope(|scope| {
        let queue = &queue;
        scope.spawn(move || {
            for i in 0..MESSAGES {
                let mut message = Message::from(body(i));
                loop {
                    let pushed = if i % 2 == 0 {
                        queue.push_one(&mut Body::Slice(&message))
                    } else {
                        queue.push_one(&mut Body::Message(&mut message))
                    };
                    match pushed {
                        Pushed::Full => has_room.recv().expect("the reader lives"),
                        Pushed::Wake => break wake.send(()).expect("the reader lives"),
                        _ => break,
                    }
                }
            }
        });
        let mut cursor = Cursor::new();
        for i in 0..MESSAGES {
            let part = loop {
                if cursor.refill(queue).unblocked {
                    room.send(()).expect("the writer lives");
                }
                match cursor.next_message() {
                    Some(part) => break part,
                    None => woken.recv().expect("the writer lives"),
                }
            };
            assert!(*part == *body(i), "message {i}");
            // Clones of it are read and dropped elsewhere, while the buffer may go back to the queue.
            if i % 500 == 4 {
                let clones = [part.clone(), part.clone()];
                for clone in clones {
                    scope.spawn(move || assert!(clone.iter().all(|byte| *byte == i as u8)));
                }
            }
            if !cursor.has_frame() && queue.credit(cursor.take_credit()) {
                // Fails once the writer has ended.
                let _ = room.send(());
            }
        }
    });
}

#[test]
fn the_last_owner_of_a_body_may_write_to_it_wherever_it_is() {
    for _ in 0..if cfg!(miri) { 5 } else { 500 } {
        let original = Message::copy_from(&[1; 1000]);
        let threads = [2, 3].map(|value| {
            let mut clone = original.clone();
            thread::spawn(move || {
                assert_eq!(clone[999], 1);
                clone.make_mut().fill(value);
                clone
            })
        });
        drop(original);
        let [second, third] = threads.map(|thread| thread.join().expect("no panic"));
        assert!(second.iter().all(|byte| *byte == 2) && third.iter().all(|byte| *byte == 3));
    }
}
