//! The read path: marks reached and left again, leases given and taken back, heartbeats meanwhile, and the end in
//! each of these states. Nothing lost, doubled, reordered or cut.

mod common;

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::{
    GUARD, RawListener, RawPeer, RawStream, Transport, body, bound, connected, frame, monitor, number, parts,
    socket, wait_until, wait_until_asleep,
};
use zlink::{Context, Error, EventKind, Socket, SocketType};

over_tcp_and_ipc! {
    reading_goes_on_each_time_a_full_queue_drains,
    reading_goes_on_for_a_receiver_that_never_blocks,
    reading_goes_on_for_a_receiver_that_polls_the_descriptor,
    a_socket_that_only_looks_reads_no_more_than_its_marks,
    what_nobody_receives_is_read_up_to_the_mark_though_it_is_large,
    far_more_than_is_read_ahead_arrives_in_order,
    bytes_cut_anywhere_make_the_same_messages,
    a_large_message_that_arrives_in_pieces_is_whole,
    a_ping_is_answered_while_nobody_receives,
    a_ping_is_answered_while_a_thread_waits_for_a_message,
    what_arrives_after_the_receiver_left_is_read_and_kept_in_order,
    a_receiver_that_comes_and_goes_misses_nothing,
    messages_sent_right_before_the_close_arrive,
    messages_beyond_the_mark_sent_right_before_the_close_arrive,
    several_threads_receive_each_message_once,
    a_request_and_its_reply_pass_ten_thousand_times,
    a_silent_peer_is_given_up_while_a_thread_waits,
    a_talking_peer_is_not_given_up_while_nobody_receives,
    a_peer_is_not_given_up_for_what_nobody_reads_at_the_mark,
    a_blocked_receive_ends_with_the_context,
    a_blocked_receive_ends_with_its_socket,
    a_blocked_receive_goes_on_after_a_reconnect,
    a_receive_times_out_and_the_next_one_gets_the_message,
    closing_with_unread_messages_holds_nothing_up,
}

/// A bound socket and a raw peer connected to it.
fn with_peer(
    context: &Context,
    ours: SocketType,
    theirs: SocketType,
    transport: Transport,
) -> (Socket, RawPeer) {
    let (socket, endpoint) = bound(context, ours, transport);
    (socket, RawPeer::connect(&endpoint, theirs))
}

/// Lets a sender run through `count` messages behind small marks.
fn stream(transport: Transport, count: u32, mark: i32) -> (Context, Socket, thread::JoinHandle<Socket>) {
    let context = Context::new();
    let pull = socket(&context, SocketType::Pull);
    pull.set_receive_hwm(mark).expect("option");
    pull.bind(transport.wildcard()).expect("bind");
    let push = socket(&context, SocketType::Push);
    push.set_send_hwm(mark).expect("option");
    push.connect(&pull.last_endpoint().expect("endpoint")).expect("connect");
    let sender = thread::spawn(move || {
        for i in 0..count {
            push.send(body(i, 4 + i as usize % 60)).expect("send");
        }
        push
    });
    (context, pull, sender)
}

/// Message counts and marks: a missed re-arm shows where the one is many times the other.
const STREAMS: [(u32, i32); 5] = [(2_000, 1), (2_000, 1000), (10_000, 7), (10_000, 1000), (200_000, 1000)];

fn reading_goes_on_each_time_a_full_queue_drains(transport: Transport) {
    for (count, mark) in STREAMS {
        let (_context, pull, sender) = stream(transport, count, mark);
        for i in 0..count {
            assert_eq!(*pull.recv().expect("recv"), body(i, 4 + i as usize % 60), "{count} at {mark}");
            // Bursts of uneven length, with pauses in which the queue and the kernel's buffers fill.
            if i % (count / 7) == 3 {
                thread::sleep(Duration::from_millis(5));
            }
        }
        sender.join().expect("sender");
    }
}

fn reading_goes_on_for_a_receiver_that_never_blocks(transport: Transport) {
    receive_streams(transport, |_| thread::yield_now());
}

fn reading_goes_on_for_a_receiver_that_polls_the_descriptor(transport: Transport) {
    receive_streams(transport, wait_until_readable);
}

/// Receives each stream by calls that do not wait, and waits in between as told.
fn receive_streams(transport: Transport, wait: impl Fn(&Socket)) {
    for (count, mark) in STREAMS {
        let (_context, pull, sender) = stream(transport, count, mark);
        let mut i = 0;
        while i < count {
            match pull.try_recv() {
                Ok(message) => {
                    assert_eq!(*message, body(i, 4 + i as usize % 60), "{count} at {mark}");
                    i += 1;
                }
                Err(Error::WouldBlock) => wait(&pull),
                Err(error) => panic!("{error}"),
            }
        }
        sender.join().expect("sender");
    }
}

#[test]
fn a_watched_descriptor_tells_of_what_was_sent_before_the_bind() {
    let context = Context::new();
    let push = connected(&context, SocketType::Push, "inproc://late");
    push.send("early").expect("send");
    let pull = socket(&context, SocketType::Pull);
    // A watcher asks first, and from then on whenever the descriptor says so.
    pull.fd().expect("descriptor");
    assert!(!pull.readiness().expect("readiness").readable);
    pull.bind("inproc://late").expect("bind");
    wait_until_readable(&pull);
    assert!(pull.readiness().expect("readiness").readable);
}

/// Waits until the socket's descriptor is readable, which its file in `/proc` tells without unsafe code.
fn wait_until_readable(socket: &Socket) {
    let path = format!("/proc/self/fdinfo/{}", socket.fd().expect("descriptor"));
    let deadline = Instant::now() + GUARD;
    loop {
        let info = std::fs::read_to_string(&path).expect("/proc");
        let count = info.lines().find_map(|line| line.strip_prefix("eventfd-count:")).expect("an eventfd");
        if count.trim() != "0" {
            return;
        }
        assert!(Instant::now() < deadline, "never readable");
        thread::yield_now();
    }
}

fn a_socket_that_only_looks_reads_no_more_than_its_marks(transport: Transport) {
    const LOOKS: usize = 10_000;
    const TOO_MUCH: usize = 64 << 20;
    let context = Context::new();
    let rep = socket(&context, SocketType::Rep);
    rep.set_receive_hwm(5).expect("option");
    rep.bind(transport.wildcard()).expect("bind");
    let endpoint = rep.last_endpoint().expect("endpoint");
    let mut peers: Vec<_> = (0..3).map(|_| RawPeer::connect(&endpoint, SocketType::Dealer)).collect();
    // Once a call has waited for a message, the socket reads its connections itself.
    let (tell, told) = channel();
    let waiting = thread::spawn(move || {
        tell.send(rustix::thread::gettid()).expect("main thread");
        (rep.recv().expect("request"), rep)
    });
    wait_until_asleep(told.recv().expect("thread"));
    let request = body(0, 16 * 1024);
    peers[0].send(&[b"", &request]);
    let (_, rep) = waiting.join().expect("receiver");
    // Now it owes a reply. However often it looks, what more comes must stay with the peers.
    let bytes = [frame(true, b""), frame(false, &request)].concat();
    let mut written = [0; 3];
    for look in 0..LOOKS {
        let (peer, written) = (&mut peers[look % 3], &mut written[look % 3]);
        *written += peer.write_now(&bytes[*written % bytes.len()..]);
        assert!(!rep.readiness().expect("readiness").readable, "it owes a reply");
    }
    assert!(written.iter().sum::<usize>() < TOO_MUCH, "{written:?} bytes that nobody received");
    // And as it goes on, nothing of it is missing.
    for _ in 0..written.iter().map(|written| written / bytes.len()).sum() {
        rep.send("").expect("reply");
        assert_eq!(*rep.recv().expect("request"), request);
    }
}

/// More than is read ahead of a receiver that could read by itself: it is waited for a little, and not for ever.
fn what_nobody_receives_is_read_up_to_the_mark_though_it_is_large(transport: Transport) {
    const LARGE: usize = 1 << 20;
    let context = Context::new();
    let pull = socket(&context, SocketType::Pull);
    pull.set_receive_hwm(20).expect("option");
    pull.bind(transport.wildcard()).expect("bind");
    let push = connected(&context, SocketType::Push, &pull.last_endpoint().expect("endpoint"));
    (0..40).for_each(|i| push.try_send(body(i, LARGE)).expect("below the mark"));
    wait_until("the mark is reached", || pull.stats().messages_read >= 20);
    (0..40).for_each(|i| assert_eq!(*pull.recv().expect("recv"), body(i, LARGE), "{i}"));
}

/// Of a few peers, whose connections a thread reads itself when it waits, and of many, whose it does not; whether it waits
/// or not.
fn far_more_than_is_read_ahead_arrives_in_order(transport: Transport) {
    for (peers, waits) in [(1, true), (1, false), (40, true), (40, false)] {
        let each = 16_000 / peers;
        let context = Context::new();
        let pull = socket(&context, SocketType::Pull);
        pull.set_receive_hwm(0).expect("option");
        pull.bind(transport.wildcard()).expect("bind");
        let endpoint = pull.last_endpoint().expect("endpoint");
        let pushes: Vec<_> = (0..peers)
            .map(|_| {
                let push = socket(&context, SocketType::Push);
                push.set_send_hwm(0).expect("option");
                push.connect(&endpoint).expect("connect");
                push
            })
            .collect();
        for i in 0..each {
            for (peer, push) in pushes.iter().enumerate() {
                let message = [body(peer as u32, 4), body(i, 1000)].concat();
                push.send(message).expect("send");
            }
        }
        wait_until("some is read ahead", || pull.stats().messages_read > 100);
        let mut next = vec![0; peers as usize];
        for _ in 0..peers * each {
            let message = loop {
                match if waits { pull.recv() } else { pull.try_recv() } {
                    Err(Error::WouldBlock) => thread::yield_now(),
                    received => break received.expect("recv"),
                }
            };
            let peer = number(&message[..4]);
            let i = &mut next[peer as usize];
            assert_eq!(message[4..], body(*i, 1000), "message {i} of peer {peer} of {peers}");
            *i += 1;
        }
    }
}

fn bytes_cut_anywhere_make_the_same_messages(transport: Transport) {
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    let mut expected = Vec::new();
    let mut bytes = Vec::new();
    for (i, size) in [0, 1, 2, 33, 255, 256, 257, 1000].into_iter().enumerate() {
        for count in 1..=3 {
            let message: Vec<Vec<u8>> = (0..count).map(|part| body(i as u32, size + part)).collect();
            for (part, body) in message.iter().enumerate() {
                bytes.extend_from_slice(&frame(part + 1 < count, body));
            }
            // Commands go between messages.
            bytes.extend_from_slice(&common::command(b"\x04PING\0\0x"));
            expected.push(message);
        }
    }
    let check = |pull: &Socket| {
        for message in &expected {
            assert_eq!(parts(&pull.recv_multipart().expect("recv")), *message);
        }
    };
    for n in [1, 2, 3, 5, 8, 13, 100, 257, 1001] {
        let mut peer = RawPeer::connect(&endpoint, SocketType::Push);
        let bytes = bytes.clone();
        let writer = thread::spawn(move || {
            bytes.chunks(n).for_each(|piece| peer.write(piece));
            peer
        });
        check(&pull);
        writer.join().expect("writer");
    }
    for cut in (0..bytes.len()).step_by(11) {
        let mut peer = RawPeer::connect(&endpoint, SocketType::Push);
        peer.write(&bytes[..cut]);
        peer.write(&bytes[cut..]);
        check(&pull);
    }
}

fn a_large_message_that_arrives_in_pieces_is_whole(transport: Transport) {
    let context = Context::new();
    let (pull, mut peer) = with_peer(&context, SocketType::Pull, SocketType::Push, transport);
    for (round, piece) in [1000, 8191, 65_537, 1 << 20].into_iter().enumerate() {
        let large = body(round as u32, 3_000_000);
        let bytes = [frame(true, &large), frame(false, b"end")].concat();
        let writer = thread::spawn(move || {
            bytes.chunks(piece).for_each(|piece| peer.write(piece));
            peer
        });
        assert!(parts(&pull.recv_multipart().expect("recv")) == [large, b"end".to_vec()]);
        peer = writer.join().expect("writer");
    }
}

fn a_ping_is_answered_while_nobody_receives(transport: Transport) {
    let context = Context::new();
    let (dealer, mut peer) = with_peer(&context, SocketType::Dealer, SocketType::Dealer, transport);
    peer.ping(b"before");
    peer.send(&[b"message"]);
    assert_eq!(*dealer.recv().expect("recv"), *b"message");
    // The receiver has been here and does not come back.
    for i in 0..50u8 {
        peer.ping(&[i]);
    }
    peer.ping(&[7; 16]);
    peer.ping(b"");
}

fn a_ping_is_answered_while_a_thread_waits_for_a_message(transport: Transport) {
    let context = Context::new();
    let (dealer, mut peer) = with_peer(&context, SocketType::Dealer, SocketType::Dealer, transport);
    let (tell, told) = channel();
    let receiver = thread::spawn(move || {
        tell.send(rustix::thread::gettid()).expect("main thread");
        let first = dealer.recv().expect("recv");
        (dealer, first)
    });
    let thread = told.recv().expect("thread");
    for i in 0..50u8 {
        wait_until_asleep(thread);
        peer.ping(&[i]);
    }
    peer.send(&[b"message"]);
    assert_eq!(*receiver.join().expect("receiver").1, *b"message");
}

fn what_arrives_after_the_receiver_left_is_read_and_kept_in_order(transport: Transport) {
    let context = Context::new();
    let (dealer, mut peer) = with_peer(&context, SocketType::Dealer, SocketType::Dealer, transport);
    let mut next = 0;
    for round in 0..20 {
        peer.send(&[&body(next, 20)]);
        assert_eq!(*dealer.recv().expect("recv"), body(next, 20));
        next += 1;
        let before = next;
        for _ in 0..30 {
            peer.send(&[&body(next, 20), b"part"]);
            next += 1;
        }
        // Behind all of it, and answered although nobody receives.
        if round % 2 == 0 {
            peer.ping(b"read");
        }
        for i in before..next {
            assert_eq!(parts(&dealer.recv_multipart().expect("recv")), [body(i, 20), b"part".to_vec()]);
        }
    }
}

fn a_receiver_that_comes_and_goes_misses_nothing(transport: Transport) {
    let context = Context::new();
    let (pull, mut peer) = with_peer(&context, SocketType::Pull, SocketType::Push, transport);
    let writer = thread::spawn(move || {
        for i in 0..3000 {
            peer.send(&[&body(i, 40)]);
            if i % 50 == 0 {
                thread::sleep(Duration::from_millis(1));
            }
        }
        peer
    });
    for i in 0..3000u32 {
        assert_eq!(*pull.recv().expect("recv"), body(i, 40));
        // Around the time after which a lease is taken back: before it, at it, behind it.
        if i % 40 == 0 {
            thread::sleep(Duration::from_micros(500 * u64::from(i / 40 % 10)));
        }
    }
    writer.join().expect("writer");
}

fn messages_sent_right_before_the_close_arrive(transport: Transport) {
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    for round in 0..100 {
        let mut peer = RawPeer::connect(&endpoint, SocketType::Push);
        let bytes: Vec<u8> = (0..5).flat_map(|i| frame(false, &body(round * 5 + i, 100))).collect();
        peer.write(&bytes);
        // The start of a message that never ends is not delivered.
        peer.write(&frame(false, &[9; 200])[..150]);
        drop(peer);
        for i in 0..5 {
            assert_eq!(*pull.recv().expect("recv"), body(round * 5 + i, 100));
        }
    }
    assert!(matches!(pull.try_recv(), Err(Error::WouldBlock)));
}

fn messages_beyond_the_mark_sent_right_before_the_close_arrive(transport: Transport) {
    let context = Context::new();
    let pull = socket(&context, SocketType::Pull);
    pull.set_receive_hwm(10).expect("option");
    pull.bind(transport.wildcard()).expect("bind");
    for _ in 0..10 {
        let mut peer = RawPeer::connect(&pull.last_endpoint().expect("endpoint"), SocketType::Push);
        let writer = thread::spawn(move || (0..3000).for_each(|i| peer.send(&[&body(i, 50)])));
        for i in 0..3000u32 {
            assert_eq!(*pull.recv().expect("recv"), body(i, 50));
            if i == 5 {
                // Gone already, or waiting for the kernel's buffer.
                thread::sleep(Duration::from_millis(5));
            }
        }
        writer.join().expect("writer");
    }
}

fn several_threads_receive_each_message_once(transport: Transport) {
    const COUNT: u32 = 30_000;
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    let pull = Arc::new(pull);
    let received = Arc::new(Mutex::new(vec![0u8; COUNT as usize]));
    let receivers: Vec<_> = (0..3)
        .map(|_| {
            let (pull, received) = (Arc::clone(&pull), Arc::clone(&received));
            thread::spawn(move || {
                let mut last = None;
                loop {
                    let message = pull.recv().expect("recv");
                    if *message == *b"end" {
                        return;
                    }
                    let i = number(&message);
                    assert!(last.is_none_or(|last| last < i), "{i} after {last:?}");
                    last = Some(i);
                    received.lock().expect("lock")[i as usize] += 1;
                }
            })
        })
        .collect();
    let push = connected(&context, SocketType::Push, &endpoint);
    for i in 0..COUNT {
        push.send(body(i, 12)).expect("send");
    }
    for _ in &receivers {
        push.send("end").expect("send");
    }
    receivers.into_iter().for_each(|receiver| receiver.join().expect("receiver"));
    assert!(received.lock().expect("lock").iter().all(|&count| count == 1));
}

fn a_request_and_its_reply_pass_ten_thousand_times(transport: Transport) {
    let context = Context::new();
    let (server, endpoint) = bound(&context, SocketType::Pair, transport);
    let client = connected(&context, SocketType::Pair, &endpoint);
    let echo = thread::spawn(move || {
        for _ in 0..10_000 {
            let message = server.recv().expect("recv");
            server.send(message).expect("send");
        }
        server
    });
    for i in 0..10_000u32 {
        client.send(body(i, 64)).expect("send");
        assert_eq!(*client.recv().expect("recv"), body(i, 64));
    }
    echo.join().expect("echo");
}

fn a_silent_peer_is_given_up_while_a_thread_waits(transport: Transport) {
    let context = Context::new();
    let listener = RawListener::bind(transport);
    let dealer = socket(&context, SocketType::Dealer);
    dealer.set_heartbeat_interval(Duration::from_millis(20)).expect("option");
    dealer.set_heartbeat_timeout(Duration::from_millis(50)).expect("option");
    dealer.connect(&listener.endpoint()).expect("connect");
    let mut silent = listener.accept_peer(SocketType::Dealer);
    let receiver = thread::spawn(move || {
        let message = dealer.recv().expect("recv");
        (dealer, message)
    });
    let (flags, body) = silent.read_frame();
    assert_eq!((flags, &body[..5]), (4, &b"\x04PING"[..]));
    // It comes back by another connection, and the receiver never knew.
    let mut second = listener.accept_peer(SocketType::Dealer);
    silent.stream.read_to_close();
    second.send(&[b"alive"]);
    assert_eq!(*receiver.join().expect("receiver").1, *b"alive");
}

fn a_peer_is_not_given_up_for_what_nobody_reads_at_the_mark(transport: Transport) {
    let context = Context::new();
    let dealer = socket(&context, SocketType::Dealer);
    dealer.set_receive_hwm(5).expect("option");
    dealer.set_heartbeat_interval(Duration::from_millis(10)).expect("option");
    dealer.set_heartbeat_timeout(Duration::from_millis(20)).expect("option");
    dealer.bind(transport.wildcard()).expect("bind");
    let endpoint = dealer.last_endpoint().expect("endpoint");
    let mut peer = RawPeer::connect(&endpoint, SocketType::Dealer);
    // Far more than the mark, so that the last of it stays in the kernel, which takes that much over ipc too.
    let count = 40;
    for i in 0..count {
        peer.send(&[&body(i, 4096)]);
    }
    // Whatever it is asked, an answer would lie behind all that.
    for _ in 0..10 {
        let (flags, body) = peer.read_frame();
        assert_eq!((flags, &body[..5]), (4, &b"\x04PING"[..]));
    }
    for i in 0..count {
        assert_eq!(*dealer.recv().expect("recv"), body(i, 4096));
    }
}

fn a_talking_peer_is_not_given_up_while_nobody_receives(transport: Transport) {
    let context = Context::new();
    let (server, endpoint) = bound(&context, SocketType::Dealer, transport);
    let dealer = socket(&context, SocketType::Dealer);
    dealer.set_heartbeat_interval(Duration::from_millis(10)).expect("option");
    dealer.set_heartbeat_timeout(Duration::from_millis(500)).expect("option");
    dealer.set_heartbeat_ttl(Duration::from_millis(500)).expect("option");
    let events = monitor(&dealer);
    dealer.connect(&endpoint).expect("connect");
    events.wait_for(&[EventKind::HandshakeSucceeded]);
    for i in 0..100 {
        server.send(body(i, 30)).expect("send");
        thread::sleep(Duration::from_millis(2));
        dealer.send(body(i, 30)).expect("send");
    }
    for i in 0..100 {
        assert_eq!(*dealer.recv().expect("recv"), body(i, 30));
        assert_eq!(*server.recv().expect("recv"), body(i, 30));
    }
    assert_eq!(dealer.stats().reconnects, 0);
}

/// Blocks a thread in a receive without time-out, after it has received once.
fn blocked_in_receive(
    context: &Context,
    transport: Transport,
) -> (Arc<Socket>, RawPeer, thread::JoinHandle<Result<zlink::Message, Error>>) {
    let (pull, mut peer) = with_peer(context, SocketType::Pull, SocketType::Push, transport);
    pull.set_receive_timeout(None).expect("option");
    let pull = Arc::new(pull);
    let (tell, told) = channel();
    let receiver = thread::spawn({
        let pull = Arc::clone(&pull);
        move || {
            assert_eq!(*pull.recv()?, *b"first");
            tell.send(rustix::thread::gettid()).expect("main thread");
            pull.recv()
        }
    });
    peer.send(&[b"first"]);
    wait_until_asleep(told.recv().expect("thread"));
    (pull, peer, receiver)
}

fn a_blocked_receive_ends_with_the_context(transport: Transport) {
    let context = Context::new();
    let (pull, _peer, receiver) = blocked_in_receive(&context, transport);
    context.shutdown();
    assert!(matches!(receiver.join().expect("receiver"), Err(Error::Terminated)));
    assert!(matches!(pull.try_recv(), Err(Error::Terminated)));
    drop(pull);
    context.terminate();
}

fn a_blocked_receive_ends_with_its_socket(transport: Transport) {
    let context = Context::new();
    let (pull, mut peer, receiver) = blocked_in_receive(&context, transport);
    pull.close();
    assert!(matches!(receiver.join().expect("receiver"), Err(Error::Closed)));
    peer.stream.read_to_close();
    context.terminate();
}

fn a_blocked_receive_goes_on_after_a_reconnect(transport: Transport) {
    let context = Context::new();
    let listener = RawListener::bind(transport);
    let pull = connected(&context, SocketType::Pull, &listener.endpoint());
    let receiver = thread::spawn(move || {
        for i in 0..50u32 {
            assert_eq!(*pull.recv().expect("recv"), body(i, 10));
        }
        pull
    });
    for i in 0..50 {
        let mut peer = listener.accept_peer(SocketType::Push);
        peer.send(&[&body(i, 10)]);
        peer.write(&frame(true, b"never complete"));
    }
    receiver.join().expect("receiver");
}

fn a_receive_times_out_and_the_next_one_gets_the_message(transport: Transport) {
    let context = Context::new();
    let (pull, mut peer) = with_peer(&context, SocketType::Pull, SocketType::Push, transport);
    for i in 0..20 {
        pull.set_receive_timeout(Some(Duration::from_millis(u64::from(i % 4)))).expect("option");
        assert!(matches!(pull.recv(), Err(Error::WouldBlock)));
        peer.send(&[&body(i, 50)]);
        pull.set_receive_timeout(Some(GUARD)).expect("option");
        assert_eq!(*pull.recv().expect("recv"), body(i, 50));
    }
}

fn closing_with_unread_messages_holds_nothing_up(transport: Transport) {
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    pull.set_linger(None).expect("option");
    let mut stream = RawPeer::shake(RawStream::connect(&endpoint), SocketType::Push).stream;
    let bytes: Vec<u8> = (0..5000).flat_map(|i| frame(false, &body(i, 1000))).collect();
    let writer = thread::spawn(move || stream.write_as_far_as_possible(&bytes));
    assert_eq!(*pull.recv().expect("recv"), body(0, 1000));
    drop(pull);
    context.terminate();
    writer.join().expect("writer");
}
