//! The batching options, by what the counters say of them.

mod common;

use std::time::Duration;

use common::direct_io;
use zlink::{Context, Error, Socket, SocketType};

fn connected(context: &Context, configure: impl Fn(&Socket)) -> (Socket, Socket) {
    let pull = context.socket(SocketType::Pull).expect("socket");
    let push = context.socket(SocketType::Push).expect("socket");
    configure(&push);
    pull.set_receive_timeout(Some(Duration::from_secs(30))).expect("option");
    pull.bind("tcp://127.0.0.1:*").expect("bind");
    push.connect(&pull.last_endpoint().expect("endpoint")).expect("connect");
    // One message through: the connection stands, and nothing is queued for it.
    push.send("first").expect("send");
    pull.recv().expect("recv");
    (pull, push)
}

fn exchange(pull: &Socket, push: &Socket, messages: u32) {
    for i in 0..messages {
        push.send(&i.to_be_bytes()).expect("send");
    }
    for i in 0..messages {
        assert_eq!(*pull.recv().expect("recv"), i.to_be_bytes());
    }
}

#[test]
fn without_batching_the_sender_writes_every_message() {
    let context = Context::new();
    let (pull, push) = connected(&context, |push| push.set_write_batching(0).expect("option"));
    if direct_io() {
        // The I/O thread may still be at the first message.
        while push.stats().immediate_writes == 0 {
            exchange(&pull, &push, 1);
        }
    }
    let before = push.stats();
    exchange(&pull, &push, 500);
    let after = push.stats();
    if direct_io() {
        // A message that the kernel does not take at once is continued by the I/O thread, with those that
        // come meanwhile: not on purpose.
        let kept_waiting = after.would_block - before.would_block;
        let written = after.immediate_writes - before.immediate_writes;
        assert!(written == 500 || kept_waiting > 0, "{after:?}");
        assert_eq!(after.gathered_writes, before.gathered_writes);
    } else {
        assert_eq!(after.immediate_writes, before.immediate_writes);
    }
}

#[test]
fn with_batching_nothing_is_written_at_once() {
    let context = Context::new();
    let (pull, push) = connected(&context, |push| push.set_write_batching(1).expect("option"));
    exchange(&pull, &push, 500);
    assert_eq!(push.stats().immediate_writes, 0);
}

#[test]
fn a_batch_is_written_when_it_has_as_many_messages_as_it_may() {
    let context = Context::new();
    let (pull, push) = connected(&context, |push| {
        push.set_write_batching(1).expect("option");
        push.set_batch_timeout(Duration::from_millis(1)).expect("option");
        push.set_batch_max_messages(10).expect("option");
    });
    let before = push.stats();
    let written_by_sender = |after: zlink::SocketStats| match direct_io() {
        true => after.gathered_writes > before.gathered_writes,
        false => after.io_thread_writes > before.io_thread_writes,
    };
    // The I/O thread may still be at the first message, and takes what gathers meanwhile.
    let rounds = (0..1000).find(|_| {
        exchange(&pull, &push, 100);
        written_by_sender(push.stats())
    });
    assert!(rounds.is_some(), "{:?}", push.stats());
}

/// A connection that gathers for a second, unless a batch is complete before.
fn gathering(context: &Context, batch_max_bytes: i32, out_batch_size: i32) -> (Socket, Socket) {
    let (pull, push) = connected(context, |push| {
        push.set_write_batching(1).expect("option");
        push.set_batch_timeout(Duration::from_secs(1)).expect("option");
        push.set_batch_max_bytes(batch_max_bytes).expect("option");
        push.set_out_batch_size(out_batch_size).expect("option");
    });
    // The I/O thread may still be at the first message; what it finds then goes out as it is.
    exchange(&pull, &push, 1);
    (pull, push)
}

/// Writes that were not the time-out's, for a hundred messages of 1000 bytes, `each` at a time.
fn writes_of_complete_batches(pull: &Socket, push: &Socket, each: usize) -> u64 {
    let writes = || {
        let stats = push.stats();
        stats.immediate_writes + stats.gathered_writes + stats.io_thread_writes - stats.timeout_flushes
    };
    let before = writes();
    for _ in 0..100 / each {
        for _ in 0..each {
            push.send(vec![7; 1000]).expect("send");
        }
        for _ in 0..each {
            assert_eq!(pull.recv().expect("recv").len(), 1000);
        }
    }
    writes() - before
}

#[test]
fn a_batch_is_written_when_it_has_as_many_bytes_as_it_may() {
    let context = Context::new();
    let (pull, push) = gathering(&context, 50_000, 1);
    let few = writes_of_complete_batches(&pull, &push, 100);
    assert!(few <= 4, "{few} writes");

    let (pull, push) = gathering(&context, 1000, 1);
    let before = push.stats().timeout_flushes;
    assert!(writes_of_complete_batches(&pull, &push, 1) >= 100);
    assert_eq!(push.stats().timeout_flushes, before);
}

/// A batch is no less than the smallest write buffer, whatever its own limit says.
#[test]
fn a_batch_is_at_least_as_large_as_the_write_buffer() {
    let context = Context::new();
    let (pull, push) = gathering(&context, 1, 50_000);
    let few = writes_of_complete_batches(&pull, &push, 100);
    assert!(few <= 4, "{few} writes");
}

#[test]
fn a_batch_that_is_not_complete_waits_for_the_time_out() {
    let context = Context::new();
    let (pull, push) = connected(&context, |push| {
        push.set_write_batching(1).expect("option");
        push.set_batch_timeout(Duration::from_millis(2)).expect("option");
    });
    let before = push.stats();
    for i in 0..5u32 {
        exchange(&pull, &push, 1 + i);
    }
    assert!(push.stats().timeout_flushes > before.timeout_flushes);
}

/// A PULL and eight PUSH that are connected to it, each with a message through.
#[test]
fn bursts_of_one_length_are_each_written_by_one_call_with_their_last_message() {
    let context = Context::new();
    // Whether a burst was one batch, written by its sender. On a machine so busy that bursts are torn nobody foretells their
    // length; a new connection begins anew.
    let seen = (0..100).any(|_| {
        let (pull, push) = connected(&context, |_| {});
        (0..100).any(|_| {
            let before = push.stats();
            exchange(&pull, &push, 10);
            let after = push.stats();
            after.gathered_writes == before.gathered_writes + 1
                && after.immediate_writes == before.immediate_writes
                && after.io_thread_writes == before.io_thread_writes
        })
    });
    assert_eq!(seen, direct_io());
    // One that is shorter is not kept back until it is as long, and one that is longer loses nothing.
    let (pull, push) = connected(&context, |_| {});
    for messages in [1, 9, 11, 25, 10] {
        (0..5).for_each(|_| exchange(&pull, &push, 10));
        exchange(&pull, &push, messages);
    }
}

fn eight_to_one(context: &Context) -> (Socket, Vec<Socket>) {
    let pull = context.socket(SocketType::Pull).expect("socket");
    pull.set_receive_timeout(Some(Duration::from_secs(30))).expect("option");
    pull.bind("tcp://127.0.0.1:*").expect("bind");
    let endpoint = pull.last_endpoint().expect("endpoint");
    let pushes = (0..8).map(|_| {
        let push = context.socket(SocketType::Push).expect("socket");
        push.connect(&endpoint).expect("connect");
        push.send("first").expect("send");
        pull.recv().expect("recv");
        push
    });
    let pushes = pushes.collect();
    (pull, pushes)
}

fn immediate_writes(pushes: &[Socket]) -> u64 {
    pushes.iter().map(|push| push.stats().immediate_writes).sum()
}

#[test]
fn a_thread_that_sends_to_several_connections_in_turn_streams_to_each() {
    const ROUNDS: u64 = 2000;
    let context = Context::new();
    let (pull, pushes) = eight_to_one(&context);
    // How fast the thread is is also the scheduler's affair.
    let streamed = (0..100).any(|_| {
        let before = immediate_writes(&pushes);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..8 * ROUNDS).for_each(|_| drop(pull.recv().expect("recv"))));
            for _ in 0..ROUNDS {
                pushes.iter().for_each(|push| push.send("x").expect("send"));
            }
        });
        immediate_writes(&pushes) - before < 8 * ROUNDS / 4
    });
    assert!(streamed);
}

#[test]
fn a_thread_that_sends_to_several_connections_now_and_then_writes_to_each_at_once() {
    if !direct_io() {
        return;
    }
    let context = Context::new();
    let (pull, pushes) = eight_to_one(&context);
    // The I/O threads may still be at the first messages.
    while pushes.iter().any(|push| push.stats().immediate_writes == 0) {
        pushes.iter().for_each(|push| push.send("x").expect("send"));
        (0..8).for_each(|_| drop(pull.recv().expect("recv")));
    }
    let before = immediate_writes(&pushes);
    for _ in 0..20 {
        pushes.iter().for_each(|push| push.send("x").expect("send"));
        (0..8).for_each(|_| drop(pull.recv().expect("recv")));
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(immediate_writes(&pushes) - before, 8 * 20);
}

#[test]
fn a_context_refuses_to_send_what_is_longer_than_it_allows() {
    let context = Context::new();
    const MAX_MSGSZ: i32 = 5;
    context.set_option(MAX_MSGSZ, &100i32.to_ne_bytes()).expect("option");
    let (pull, push) = connected(&context, |_| {});
    let refused = push.send(vec![7; 101]).expect_err("too long");
    assert!(matches!(refused.error, Error::MessageTooLong));
    assert_eq!(*refused.message, [7; 101]);
    push.send(vec![7; 100]).expect("send");
    assert_eq!(pull.recv().expect("recv").len(), 100);
}

#[test]
fn without_zero_copy_large_bodies_are_copied_out_of_the_read_buffer() {
    for zero_copy in [0i32, 1] {
        let context = Context::new();
        const ZERO_COPY_RECV: i32 = 10;
        context.set_option(ZERO_COPY_RECV, &zero_copy.to_ne_bytes()).expect("option");
        let (pull, push) = connected(&context, |_| {});
        // Below the size that gets storage of its own, above the size that is always copied.
        push.send(vec![1; 6000]).expect("send");
        let message = pull.recv().expect("recv");
        assert_eq!(*message, [1; 6000]);
        assert_eq!(message.is_shared(), zero_copy == 1);
    }
}
