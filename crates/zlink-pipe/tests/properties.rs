//! Properties of queue, staging and cursor over random messages.
#![cfg(not(loom))]

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;
use zlink_pipe::{Body, Cursor, Entry, Holder, Position, Pushed, Queue, QueueConfig, Staging};

type Parts = Vec<Vec<u8>>;

/// Bodies that take each way through the queue: short and long headers, chunks and references.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![4 => 0..40usize, 2 => 250..260usize, 2 => 0..3000usize, 1 => 16_380..16_390usize, 1 => 60_000..70_000usize];
    (len, any::<u8>()).prop_map(|(len, first)| (0..len).map(|i| first.wrapping_add(i as u8)).collect())
}

fn message() -> impl Strategy<Value = Parts> {
    prop_oneof![3 => vec(body(), 1), 1 => vec(body(), 2..5)]
}

fn unlimited() -> QueueConfig {
    QueueConfig { hwm: 0, ..QueueConfig::default() }
}

/// Sends `message`; one of a single part by value or by reference.
fn push(queue: &Queue, staging: &mut Staging, message: &[Vec<u8>], lend: bool) -> Pushed {
    if let [only] = message {
        return match lend {
            true => queue.push_one(&mut Body::Message(&mut only.clone().into())),
            false => queue.push_one(&mut Body::Slice(only)),
        };
    }
    for (i, part) in message.iter().enumerate() {
        staging.add(&mut Body::Slice(part), i + 1 < message.len());
    }
    queue.push_staged(staging)
}

/// What became of `entries`, as messages; the last must be whole.
fn messages_in<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<Parts> {
    let (mut messages, mut parts) = (Vec::new(), Vec::new());
    for (more, body) in entries.into_iter().flat_map(Entry::frames) {
        parts.push(body.to_vec());
        if !more {
            messages.push(std::mem::take(&mut parts));
        }
    }
    assert!(parts.is_empty(), "a message is cut");
    messages
}

/// The whole messages on a wire of ZMTP/2 frames, which may end anywhere.
fn messages_on(mut wire: &[u8]) -> Vec<Parts> {
    let (mut messages, mut parts) = (Vec::new(), Vec::new());
    loop {
        let (header, len) = match wire {
            [flags, long @ ..] if flags & 2 != 0 && long.len() >= 8 => {
                (9, u64::from_be_bytes(long[..8].try_into().unwrap()) as usize)
            }
            [flags, len, ..] if flags & 2 == 0 => (2, usize::from(*len)),
            _ => return messages,
        };
        let Some(body) = wire.get(header..header + len) else { return messages };
        parts.push(body.to_vec());
        if wire[0] & 1 == 0 {
            messages.push(std::mem::take(&mut parts));
        }
        wire = &wire[header + len..];
    }
}

/// Writes `limit` bytes of `batch` as a connection does that then breaks. Returns the bytes, how many messages
/// were wholly written, and what must go out again.
fn write(batch: VecDeque<Entry>, mut limit: usize) -> (Vec<u8>, usize, VecDeque<Entry>) {
    let (mut wire, mut credit, mut broken) = (Vec::new(), 0, false);
    let (mut unfinished, mut rest) = (VecDeque::new(), VecDeque::new());
    for mut entry in batch {
        if broken {
            rest.push_back(entry);
            continue;
        }
        let bytes = entry.slices_from(0).concat();
        let n = bytes.len().min(limit);
        wire.extend_from_slice(&bytes[..n]);
        limit -= n;
        broken = n < bytes.len();
        if broken {
            credit += entry.rewind(n);
            rest.push_back(entry);
            continue;
        }
        credit += entry.messages();
        match entry.position() {
            Position::Whole => {}
            Position::First | Position::Middle => unfinished.push_back(entry),
            Position::Last => unfinished.clear(),
        }
    }
    unfinished.append(&mut rest);
    (wire, credit, unfinished)
}

/// What to do next with a queue whose consumer is a socket.
#[derive(Debug, Clone)]
enum Step {
    Push { message: Parts, lend: bool },
    Abandon(Parts),
    Take(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (message(), any::<bool>()).prop_map(|(message, lend)| Step::Push { message, lend }),
        1 => message().prop_map(Step::Abandon),
        2 => (0..8usize).prop_map(Step::Take),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn messages_come_out_in_order_however_pushes_and_takes_mix(steps in vec(step(), 0..40)) {
        let (queue, mut cursor, mut staging) = (Queue::new(unlimited()), Cursor::new(), Staging::new());
        let (mut sent, mut got) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Push { message, lend } => {
                    let _ = push(&queue, &mut staging, &message, lend);
                    let last = message.len() - 1;
                    sent.extend(message.into_iter().enumerate().map(|(i, part)| (part, i < last)));
                }
                Step::Abandon(message) => {
                    for part in &message {
                        staging.add(&mut Body::Slice(part), true);
                    }
                    staging.clear();
                }
                Step::Take(parts) => for _ in 0..parts {
                    let _ = cursor.refill(&queue);
                    got.extend(cursor.next_message().map(|part| (part.to_vec(), part.more())));
                },
            }
            prop_assert_eq!(&got[..], &sent[..got.len()]);
        }
        loop {
            let _ = cursor.refill(&queue);
            let Some((bytes, more)) = cursor.peek() else { break };
            got.push((bytes.to_vec(), more));
            cursor.skip();
        }
        prop_assert_eq!(got, sent);
        prop_assert_eq!((queue.in_flight(), queue.is_empty()), (0, true));
    }

    #[test]
    fn the_mark_admits_as_many_messages_as_it_says(hwm in 1..20usize, messages in vec(message(), 20..30)) {
        let queue = Queue::new(QueueConfig { hwm, ..unlimited() });
        let (mut staging, mut cursor) = (Staging::new(), Cursor::new());
        for (i, message) in messages.iter().enumerate() {
            prop_assert_eq!(queue.check_room(), if i < hwm { Ok(hwm - i) } else { Err(Pushed::Full) });
            prop_assert_eq!(queue.room(), hwm.saturating_sub(i));
            if i < hwm {
                let _ = push(&queue, &mut staging, message, false);
            }
        }
        prop_assert_eq!(queue.in_flight(), hwm);
        // The producer waits, and is told once, when half of the room is free.
        let mut told = 0;
        let _ = cursor.refill(&queue);
        while cursor.has_frame() {
            cursor.skip();
            told += usize::from(queue.credit(cursor.take_credit()));
        }
        prop_assert_eq!((told, queue.in_flight()), (1, 0));
    }

    #[test]
    fn a_connection_that_breaks_at_any_byte_loses_and_cuts_nothing(
        messages in vec(message(), 1..12),
        at in any::<prop::sample::Index>(),
        late in vec(message(), 0..3),
    ) {
        let (queue, mut staging) = (Queue::new(unlimited()), Staging::new());
        queue.attach();
        for message in &messages {
            let _ = push(&queue, &mut staging, message, false);
        }
        let (mut batch, mut spent) = (VecDeque::new(), Vec::new());
        queue.take_for_write(&mut batch, &mut spent);
        for message in &late {
            let _ = push(&queue, &mut staging, message, false);
        }
        prop_assert_eq!(messages_in(&batch), &messages[..]);
        let bytes: usize = batch.iter().map(Entry::len).sum();
        let (wire, credit, mut rest) = write(batch, at.index(bytes + 1));
        let delivered = messages_on(&wire);
        prop_assert_eq!(&delivered[..], &messages[..delivered.len()]);
        prop_assert_eq!(credit, delivered.len());

        queue.detach(credit, &mut rest);
        prop_assert_eq!(queue.in_flight(), messages.len() - credit + late.len());
        queue.attach();
        let mut batch = VecDeque::new();
        queue.take_for_write(&mut batch, &mut spent);
        let again = messages_in(&batch);
        prop_assert_eq!([delivered, again].concat(), [messages, late].concat());
        let left = queue.in_flight();
        prop_assert_eq!(queue.release(Holder::Producer, left).more, false);
        prop_assert_eq!(queue.in_flight(), 0);
    }

    #[test]
    fn conflation_leaves_the_last_message_whole(messages in vec(message(), 1..10)) {
        let queue = Queue::new(QueueConfig { conflate: true, hwm: 1, ..QueueConfig::default() });
        let mut staging = Staging::new();
        for message in &messages {
            let _ = push(&queue, &mut staging, message, false);
        }
        let (mut out, mut spent) = (VecDeque::new(), Vec::new());
        let _ = queue.take(&mut out, &mut spent, 0);
        prop_assert_eq!(messages_in(&out), &messages[messages.len() - 1..]);
        prop_assert_eq!(queue.in_flight(), 1);
    }
}
