//! The write path under pressure: full buffers, tiny buffers, broken connections, several senders, and the end
//! in each of these states. Nothing lost, doubled, reordered or cut.

mod common;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use common::{
    RawListener, RawPeer, Transport, body, bound, connected, direct_io, frame, number, parts, socket,
    wait_until, wait_until_asleep,
};
use zlink::{Context, Error, Socket, SocketType};

over_tcp_and_ipc! {
    a_full_send_buffer_refuses_and_later_everything_arrives_in_order,
    a_full_send_buffer_blocks_the_sender_until_the_peer_reads,
    a_sender_of_large_messages_waits_a_moment_and_goes_on,
    a_sender_of_a_large_message_leaves_it_to_the_io_thread_if_the_peer_does_not_read,
    a_sender_that_must_not_wait_does_not_wait_a_moment,
    a_sender_with_another_peer_does_not_wait_a_moment,
    no_more_than_the_mark_waits_behind_a_full_send_buffer,
    what_is_read_n_bytes_at_a_time_is_exactly_what_was_sent,
    a_write_that_would_block_on_its_first_byte_goes_on_later,
    several_threads_lose_nothing_and_keep_their_own_order,
    several_threads_lose_nothing_while_the_peer_reads_slowly,
    a_broken_connection_cuts_no_message_and_repeats_none,
    a_message_that_was_not_fully_written_goes_out_again_as_a_whole,
    what_was_queued_before_the_peer_came_arrives_in_order,
    a_wider_mark_lets_a_blocked_sender_go_on,
    a_blocked_send_ends_with_the_context,
    a_blocked_send_ends_with_its_socket,
    without_linger_a_full_send_buffer_holds_nothing_up,
    a_finite_linger_ends_although_the_peer_never_reads,
    within_linger_everything_queued_is_delivered,
    without_limit_linger_waits_for_a_peer_that_comes_late,
    disconnect_delivers_what_is_queued_within_linger,
    a_batch_cut_short_by_close_ends_at_a_message_boundary,
}

/// A socket connected to a raw peer; both hold little in the kernel.
fn tiny(
    context: &Context,
    socket_type: SocketType,
    peer: SocketType,
    transport: Transport,
) -> (Socket, RawPeer) {
    let listener = RawListener::bind_tiny(transport);
    let socket = socket(context, socket_type);
    socket.set_send_buffer(1).expect("option");
    socket.connect(&listener.endpoint()).expect("connect");
    let peer = listener.accept_peer(peer);
    (socket, peer)
}

/// Sends numbered messages of `len` bytes until no more is taken, though all room is asked for. Returns how many were.
fn fill(socket: &Socket, len: usize) -> u32 {
    let mut sent = 0;
    loop {
        match socket.try_send(body(sent, len)) {
            Ok(()) => sent += 1,
            Err(refused) => {
                assert!(matches!(refused.error, Error::WouldBlock), "{}", refused.error);
                assert_eq!(*refused.message, *body(sent, len), "the message comes back");
                if !socket.readiness().expect("readiness").writable {
                    return sent;
                }
            }
        }
    }
}

fn a_full_send_buffer_refuses_and_later_everything_arrives_in_order(transport: Transport) {
    let context = Context::new();
    let (push, mut peer) = tiny(&context, SocketType::Push, SocketType::Pull, transport);
    push.set_send_hwm(50).expect("option");
    let mut sent = 0;
    for _ in 0..10 {
        let before = sent;
        while push.try_send(body(sent, 700)).is_ok() {
            sent += 1;
        }
        assert!(sent > before && sent >= 50, "{before} to {sent}");
        for expected in before..sent {
            assert_eq!(peer.read_message(), [body(expected, 700)]);
        }
        wait_until("the socket takes messages again", || push.readiness().expect("readiness").writable);
    }
}

fn a_full_send_buffer_blocks_the_sender_until_the_peer_reads(transport: Transport) {
    let context = Context::new();
    let (push, mut peer) = tiny(&context, SocketType::Push, SocketType::Pull, transport);
    push.set_send_hwm(10).expect("option");
    let filled = fill(&push, 1000);
    let (tell, told) = channel();
    let sender = thread::spawn(move || {
        tell.send(rustix::thread::gettid()).expect("main thread");
        for i in filled..filled + 2000 {
            push.send(body(i, 1000)).expect("send");
        }
        push
    });
    wait_until_asleep(told.recv().expect("thread"));
    for expected in 0..filled + 2000 {
        assert_eq!(peer.read_message(), [body(expected, 1000)]);
    }
    sender.join().expect("sender");
}

const LARGE: usize = 200_000;

/// The send's time-out is shorter than the moment, and not what ends the send.
fn a_sender_of_large_messages_waits_a_moment_and_goes_on(transport: Transport) {
    let context = Context::new();
    let (push, mut peer) = tiny(&context, SocketType::Push, SocketType::Pull, transport);
    for timeout in [Some(Duration::from_millis(1)), None] {
        push.set_send_timeout(timeout).expect("option");
        let before = push.stats().paced_sends;
        let mut sent = 0;
        while push.stats().paced_sends < before + 3 {
            if sent % 2 == 0 {
                push.send(body(sent, LARGE)).expect("the mark is 1000 messages");
            } else {
                push.send_multipart([body(sent, LARGE), body(sent, 10)]).expect("the mark is 1000 messages");
            }
            sent += 1;
        }
        for i in 0..sent {
            let expected = [body(i, LARGE), body(i, 10)];
            assert_eq!(peer.read_message(), expected[..1 + i as usize % 2]);
        }
    }
    assert_eq!(push.peer_stats().expect("open")[0].counters.paced_sends, push.stats().paced_sends);
}

fn a_sender_of_a_large_message_leaves_it_to_the_io_thread_if_the_peer_does_not_read(transport: Transport) {
    let context = Context::new();
    let (push, mut peer) = tiny(&context, SocketType::Push, SocketType::Pull, transport);
    wait_until("nobody else writes", || {
        push.send(body(1, 10)).expect("send");
        peer.read_message() == [body(1, 10)] && (push.stats().immediate_writes > 0 || !direct_io())
    });
    let before = push.stats();
    push.send(body(0, LARGE)).expect("send");
    let stats = push.stats();
    let by_sender =
        (stats.immediate_writes - before.immediate_writes, stats.paced_sends - before.paced_sends);
    assert_eq!(by_sender, if direct_io() { (1, 1) } else { (0, 0) });
    wait_until("the rest is left to the I/O thread", || push.stats().would_block > 0);
    assert_eq!(peer.read_message(), [body(0, LARGE)]);
    assert!(push.stats().io_thread_writes > 0);
}

fn a_sender_that_must_not_wait_does_not_wait_a_moment(transport: Transport) {
    let context = Context::new();
    let (push, mut peer) = tiny(&context, SocketType::Push, SocketType::Pull, transport);
    push.set_send_hwm(30).expect("option");
    let sent = fill(&push, LARGE);
    assert!(sent >= 30);
    push.set_send_timeout(Some(Duration::ZERO)).expect("option");
    assert!(push.send(body(sent, LARGE)).is_err());
    assert_eq!(push.stats().paced_sends, 0);
    for i in 0..sent {
        assert_eq!(peer.read_message(), [body(i, LARGE)]);
    }
}

fn a_sender_with_another_peer_does_not_wait_a_moment(transport: Transport) {
    let context = Context::new();
    let (push, mut peer) = tiny(&context, SocketType::Push, SocketType::Pull, transport);
    let listener = RawListener::bind_tiny(transport);
    push.connect(&listener.endpoint()).expect("connect");
    let mut other = listener.accept_peer(SocketType::Pull);
    for i in 0..40 {
        push.send(body(i, LARGE)).expect("send");
    }
    assert_eq!(push.stats().paced_sends, 0);
    for i in 0..40 {
        let next = if i % 2 == 0 { &mut peer } else { &mut other };
        assert_eq!(next.read_message(), [body(i, LARGE)]);
    }
}

fn no_more_than_the_mark_waits_behind_a_full_send_buffer(transport: Transport) {
    let context = Context::new();
    let (push, mut peer) = tiny(&context, SocketType::Push, SocketType::Pull, transport);
    push.set_send_hwm(20).expect("option");
    let sent = fill(&push, 3000);
    // What is not in the kernel is given up.
    push.close();
    let mut arrived = 0;
    while let Ok(message) = peer.try_read_message() {
        assert_eq!(message, [body(arrived, 3000)]);
        arrived += 1;
    }
    // While the close is on its way to the I/O thread, that one goes on writing: perhaps to the end.
    assert!(arrived <= sent && sent - arrived <= 20, "{arrived} of {sent}");
}

fn what_is_read_n_bytes_at_a_time_is_exactly_what_was_sent(transport: Transport) {
    let context = Context::new();
    for n in [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 13, 31, 64, 127, 255, 256, 257, 1000, 4096] {
        let (dealer, mut peer) = tiny(&context, SocketType::Dealer, SocketType::Dealer, transport);
        let mut expected = Vec::new();
        let mut messages = Vec::new();
        for round in 0..3 {
            for size in [n, 0, 1, 2, 9, 33, 34, 254, 255, 256, 257, 1000, 1024, 1025, 8191, 8193] {
                for parts in [1, 3] {
                    let message: Vec<Vec<u8>> =
                        (0..parts).map(|part| body((round * 10 + part) as u32, size + part)).collect();
                    for (part, bytes) in message.iter().enumerate() {
                        expected.extend_from_slice(&frame(part + 1 < message.len(), bytes));
                    }
                    messages.push(message);
                }
            }
        }
        // Enough for every cut, without reading each byte of it by itself for long.
        let slowly = if n < 64 { 40_000 } else { expected.len() };
        let sender = thread::spawn(move || {
            for message in messages {
                dealer.send_multipart(message).expect("send");
            }
            dealer
        });
        let mut read = Vec::new();
        while read.len() < expected.len() {
            let step = if read.len() < slowly { n } else { 4096 };
            let bytes = peer.read_some(step).expect("read");
            assert!(!bytes.is_empty(), "closed after {} of {} bytes", read.len(), expected.len());
            read.extend_from_slice(&bytes);
        }
        assert!(read == expected, "{n} bytes at a time");
        sender.join().expect("sender");
    }
}

fn a_write_that_would_block_on_its_first_byte_goes_on_later(transport: Transport) {
    let context = Context::new();
    let listener = RawListener::bind_tiny(transport);
    let push = socket(&context, SocketType::Push);
    push.set_send_buffer(1).expect("option");
    // Each message by itself: the kernel takes it whole, as messages this small are, or not at all.
    push.set_write_batching(0).expect("option");
    push.connect(&listener.endpoint()).expect("connect");
    let mut peer = listener.accept_peer(SocketType::Pull);
    let mut sent = 0u32;
    for _ in 0..20 {
        let before = (sent, push.stats().would_block);
        // Until a write is refused, or was before the look at the counter.
        while push.stats().would_block == before.1 && push.try_send(body(sent, 5)).is_ok() {
            sent += 1;
        }
        for expected in before.0..sent {
            assert_eq!(peer.read_message(), [body(expected, 5)]);
        }
        wait_until("the socket takes messages again", || push.readiness().expect("readiness").writable);
    }
    assert!(push.stats().would_block > 0);
    push.send(body(sent, 5)).expect("send");
    assert_eq!(peer.read_message(), [body(sent, 5)]);
}

const THREADS: u32 = 4;

/// Lets several threads send `count` messages each, tagged with the thread's number.
fn send_from_threads(socket: &Arc<Socket>, count: u32) -> Vec<thread::JoinHandle<()>> {
    let start = |thread: u32| {
        let socket = Arc::clone(socket);
        move || {
            for i in 0..count {
                let mut bytes = body(i, 8 + (i as usize * 7) % 300);
                bytes[4] = thread as u8;
                socket.send(bytes).expect("send");
            }
        }
    };
    (0..THREADS).map(|thread| std::thread::spawn(start(thread))).collect()
}

fn check_from_threads(count: u32, mut receive: impl FnMut() -> Vec<u8>) {
    let mut next: HashMap<u8, u32> = HashMap::new();
    for _ in 0..THREADS * count {
        let bytes = receive();
        let (thread, i) = (bytes[4], number(&bytes));
        let expected = next.entry(thread).or_default();
        assert_eq!(i, *expected, "from thread {thread}");
        let mut whole = body(i, 8 + (i as usize * 7) % 300);
        whole[4] = thread;
        assert_eq!(bytes, whole);
        *expected += 1;
    }
}

fn several_threads_lose_nothing_and_keep_their_own_order(transport: Transport) {
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    let push = Arc::new(connected(&context, SocketType::Push, &endpoint));
    let senders = send_from_threads(&push, 20_000);
    check_from_threads(20_000, || pull.recv().expect("recv").to_vec());
    senders.into_iter().for_each(|sender| sender.join().expect("sender"));
}

fn several_threads_lose_nothing_while_the_peer_reads_slowly(transport: Transport) {
    let context = Context::new();
    let (push, mut peer) = tiny(&context, SocketType::Push, SocketType::Pull, transport);
    push.set_send_hwm(5).expect("option");
    let push = Arc::new(push);
    let senders = send_from_threads(&push, 1000);
    check_from_threads(1000, || {
        let mut message = peer.read_message();
        message.pop().expect("a part")
    });
    senders.into_iter().for_each(|sender| sender.join().expect("sender"));
}

/// The parts of numbered message `i`: one to four, each of its own length.
fn numbered(i: u32) -> Vec<Vec<u8>> {
    (0..=i % 4).map(|part| body(i, 4 + ((i * 37 + part * 101) % 700) as usize)).collect()
}

fn a_broken_connection_cuts_no_message_and_repeats_none(transport: Transport) {
    let context = Context::new();
    let listener = RawListener::bind_tiny(transport);
    let dealer = socket(&context, SocketType::Dealer);
    dealer.set_send_buffer(1).expect("option");
    dealer.set_send_hwm(100).expect("option");
    dealer.connect(&listener.endpoint()).expect("connect");
    let stop = Arc::new(AtomicBool::new(false));
    let sender = thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let mut i = 0;
            while !stop.load(Ordering::Relaxed) {
                dealer.send_multipart(numbered(i)).expect("send");
                i += 1;
            }
            dealer.send("end").expect("send");
            (dealer, i)
        }
    });
    let mut next = 0;
    for k in (0..60).chain((60..6000).step_by(97)) {
        let mut peer = listener.accept_peer(SocketType::Dealer);
        let mut read = Vec::new();
        while read.len() < k {
            read.extend(peer.read_some(k - read.len()).expect("read"));
        }
        drop(peer);
        next = check_contiguous(&read, next);
    }
    stop.store(true, Ordering::Relaxed);
    let mut peer = listener.accept_peer(SocketType::Dealer);
    let mut last = None;
    loop {
        let message = peer.read_message();
        if message == [b"end"] {
            break;
        }
        let i = number(&message[0]);
        assert!(i >= next && last.is_none_or(|last| i == last + 1), "{i} after {last:?}");
        assert_eq!(message, numbered(i));
        last = Some(i);
    }
    let (_dealer, sent) = sender.join().expect("sender");
    assert!(last.is_none_or(|last| last + 1 == sent), "{last:?} of {sent}");
}

/// Checks that the bytes are whole messages in a row, from `next` on or later, up to the cut at their end. Returns
/// the earliest number that may follow.
fn check_contiguous(mut bytes: &[u8], next: u32) -> u32 {
    let mut expected: Option<u32> = None;
    loop {
        let Some(i) = expected.or_else(|| first_number(bytes)) else { return next };
        assert!(i >= next, "message {i} again, {next} was due");
        let whole = numbered(i);
        let framed: Vec<u8> =
            whole.iter().enumerate().flat_map(|(part, b)| frame(part + 1 < whole.len(), b)).collect();
        if bytes.len() < framed.len() {
            assert!(framed.starts_with(bytes), "message {i} does not start at a boundary");
            return i;
        }
        assert!(bytes.starts_with(&framed), "message {i} is not whole");
        bytes = &bytes[framed.len()..];
        expected = Some(i + 1);
    }
}

/// The number in the first frame, if the bytes reach that far.
fn first_number(bytes: &[u8]) -> Option<u32> {
    let header = if bytes.first()? & 2 == 0 { 2 } else { 9 };
    bytes.get(header..).and_then(|body| body.first_chunk()).map(|tag| u32::from_be_bytes(*tag))
}

fn a_message_that_was_not_fully_written_goes_out_again_as_a_whole(transport: Transport) {
    let context = Context::new();
    let large = 1 << 20;
    // No buffer in the kernel is larger than a part of these.
    let messages = [vec![body(1, large)], vec![body(2, large), body(3, 10), body(4, large)]];
    for message in &messages {
        for k in [0, 1, 2, 8, 9, 10, 11, 100, 5000, 65_536, 300_000, 700_000, 1_048_590 - 400_000] {
            let listener = RawListener::bind_tiny(transport);
            let dealer = socket(&context, SocketType::Dealer);
            dealer.set_send_buffer(1).expect("option");
            dealer.connect(&listener.endpoint()).expect("connect");
            dealer.send_multipart(message.clone()).expect("send");
            dealer.send("after").expect("send");
            let mut peer = listener.accept_peer(SocketType::Dealer);
            let mut read = 0;
            while read < k {
                read += peer.read_some(k - read).expect("read").len();
            }
            drop(peer);
            let mut peer = listener.accept_peer(SocketType::Dealer);
            assert!(peer.read_message() == *message, "broken after {k} bytes");
            assert_eq!(peer.read_message(), [b"after"]);
        }
    }
}

fn what_was_queued_before_the_peer_came_arrives_in_order(transport: Transport) {
    let context = Context::new();
    let endpoint = transport.unbound();
    let dealer = connected(&context, SocketType::Dealer, &endpoint);
    dealer.set_send_hwm(0).expect("option");
    for i in 0..5000 {
        dealer.send_multipart(numbered(i)).expect("send");
    }
    let router = socket(&context, SocketType::Dealer);
    router.bind(&endpoint).expect("bind");
    for i in 0..5000 {
        assert_eq!(parts(&router.recv_multipart().expect("recv")), numbered(i));
    }
}

fn a_wider_mark_lets_a_blocked_sender_go_on(transport: Transport) {
    let context = Context::new();
    let push = Arc::new(connected(&context, SocketType::Push, &transport.unbound()));
    push.set_send_hwm(3).expect("option");
    assert_eq!(fill(&push, 8), 3);
    let (tell, told) = channel();
    let sender = thread::spawn({
        let push = Arc::clone(&push);
        move || {
            tell.send(rustix::thread::gettid()).expect("main thread");
            push.send("fourth").expect("send");
        }
    });
    wait_until_asleep(told.recv().expect("thread"));
    push.set_send_hwm(4).expect("option");
    sender.join().expect("sender");
    assert!(matches!(push.try_send("fifth").expect_err("full").error, Error::WouldBlock));
}

/// Blocks a thread in a send behind a full send buffer. Returns what ends it and what the send said.
fn blocked_in_send(
    context: &Context,
    transport: Transport,
) -> (Arc<Socket>, RawPeer, thread::JoinHandle<Result<(), Error>>) {
    let (push, peer) = tiny(context, SocketType::Push, SocketType::Pull, transport);
    push.set_send_hwm(5).expect("option");
    push.set_send_timeout(None).expect("option");
    fill(&push, 2000);
    let push = Arc::new(push);
    let (tell, told) = channel();
    let sender = thread::spawn({
        let push = Arc::clone(&push);
        move || {
            tell.send(rustix::thread::gettid()).expect("main thread");
            loop {
                push.send(vec![0; 2000])?;
            }
        }
    });
    wait_until_asleep(told.recv().expect("thread"));
    (push, peer, sender)
}

fn a_blocked_send_ends_with_the_context(transport: Transport) {
    let context = Context::new();
    let (push, _peer, sender) = blocked_in_send(&context, transport);
    context.shutdown();
    assert!(matches!(sender.join().expect("sender"), Err(Error::Terminated)));
    drop(push);
    context.terminate();
}

fn a_blocked_send_ends_with_its_socket(transport: Transport) {
    let context = Context::new();
    let (push, _peer, sender) = blocked_in_send(&context, transport);
    push.close();
    assert!(matches!(sender.join().expect("sender"), Err(Error::Closed)));
    context.terminate();
}

fn without_linger_a_full_send_buffer_holds_nothing_up(transport: Transport) {
    let context = Context::new();
    let (push, _peer) = tiny(&context, SocketType::Push, SocketType::Pull, transport);
    fill(&push, 5000);
    push.set_linger(Some(Duration::ZERO)).expect("option");
    drop(push);
    context.terminate();
}

fn a_finite_linger_ends_although_the_peer_never_reads(transport: Transport) {
    let context = Context::new();
    let (push, _peer) = tiny(&context, SocketType::Push, SocketType::Pull, transport);
    fill(&push, 5000);
    push.set_linger(Some(Duration::from_millis(20))).expect("option");
    drop(push);
    context.terminate();
}

fn within_linger_everything_queued_is_delivered(transport: Transport) {
    for linger in [None, Some(common::GUARD)] {
        let context = Context::new();
        let (push, mut peer) = tiny(&context, SocketType::Push, SocketType::Pull, transport);
        let sent = fill(&push, 700);
        push.set_linger(linger).expect("option");
        let ending = thread::spawn(move || {
            drop(push);
            context.terminate();
        });
        for expected in 0..sent {
            assert_eq!(peer.read_message(), [body(expected, 700)]);
        }
        assert!(peer.read_some(1).expect("read").is_empty(), "closed after the last message");
        ending.join().expect("termination");
    }
}

fn without_limit_linger_waits_for_a_peer_that_comes_late(transport: Transport) {
    let context = Context::new();
    let endpoint = transport.unbound();
    let push = connected(&context, SocketType::Push, &endpoint);
    push.set_linger(None).expect("option");
    for i in 0..500 {
        push.send(body(i, 300)).expect("send");
    }
    let ending = thread::spawn(move || {
        drop(push);
        context.terminate();
    });
    let mut peer = RawListener::bind_at(&endpoint).accept_peer(SocketType::Pull);
    for expected in 0..500 {
        assert_eq!(peer.read_message(), [body(expected, 300)]);
    }
    ending.join().expect("termination");
}

fn disconnect_delivers_what_is_queued_within_linger(transport: Transport) {
    let context = Context::new();
    let listener = RawListener::bind_tiny(transport);
    let push = socket(&context, SocketType::Push);
    push.set_send_buffer(1).expect("option");
    push.set_linger(None).expect("option");
    push.connect(&listener.endpoint()).expect("connect");
    let mut peer = listener.accept_peer(SocketType::Pull);
    let sent = fill(&push, 900);
    push.disconnect(&listener.endpoint()).expect("disconnect");
    assert!(matches!(push.try_send("nobody").expect_err("no peer").error, Error::WouldBlock));
    for expected in 0..sent {
        assert_eq!(peer.read_message(), [body(expected, 900)]);
    }
    assert!(peer.read_some(1).expect("read").is_empty(), "closed after the last message");
}

fn a_batch_cut_short_by_close_ends_at_a_message_boundary(transport: Transport) {
    const ROUNDS: u32 = 30;
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    pull.set_receive_hwm(10).expect("option");
    let senders = thread::spawn(move || {
        for round in 0..ROUNDS {
            let push = connected(&context, SocketType::Push, &endpoint);
            for i in 0..200 {
                push.send_multipart(numbered(round * 1000 + i)).expect("send");
            }
            // The linger time is zero: whatever is under way is cut.
            drop(push);
        }
        let last = connected(&context, SocketType::Push, &endpoint);
        last.send("end").expect("send");
        last
    });
    // Messages of one sender come in order and without a gap; those of several come in turn.
    let mut next: HashMap<u32, u32> = HashMap::new();
    loop {
        let message = parts(&pull.recv_multipart().expect("recv"));
        if message == [b"end"] {
            break;
        }
        let i = number(&message[0]);
        assert_eq!(message, numbered(i));
        let expected = next.entry(i / 1000).or_default();
        assert_eq!(i % 1000, *expected, "in round {}", i / 1000);
        *expected += 1;
    }
    senders.join().expect("senders");
}
