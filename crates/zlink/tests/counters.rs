//! What the counters say, of a socket and of each of its peers.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::{
    RawListener, RawPeer, Transport, body, bound, bound_at, connected, direct_io, frame, guarded, socket,
    wait_until,
};
use zlink::{Context, Error, EventKind, PeerStats, Socket, SocketType};

over_tcp_and_ipc! {
    messages_and_bytes_are_counted_on_both_sides,
    messages_that_wait_are_told_by_where_they_do,
    what_the_kernel_does_not_take_is_counted_if_it_is_copied,
    a_batch_counts_for_the_limit_that_it_has_reached,
    a_batch_that_reached_no_limit_counts_for_none,
    dropped_messages_count_for_the_peer_that_misses_them,
    a_peer_that_was_lost_and_is_back_keeps_its_counts,
    peers_that_are_gone_stay_in_the_counts_of_the_socket,
    a_monitor_is_told_of_each_peer_on_request,
}

/// The counts of the only peer.
fn only_peer(socket: &Socket) -> PeerStats {
    let [peer] = socket.peer_stats().expect("open").try_into().expect("one peer");
    peer
}

fn messages_and_bytes_are_counted_on_both_sides(transport: Transport) {
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    let push = connected(&context, SocketType::Push, &endpoint);
    let (mut messages, mut bytes) = (0, 0);
    for number in 0..50 {
        for parts in [vec![0], vec![10], vec![300, 0, 5], vec![20_000], vec![70_000, 20]] {
            let message: Vec<Vec<u8>> = parts.iter().map(|size| body(number, *size)).collect();
            let framed = message.iter().enumerate();
            bytes += framed.map(|(at, part)| frame(at + 1 < message.len(), part).len() as u64).sum::<u64>();
            messages += 1;
            push.send_multipart(message).expect("send");
        }
    }
    for _ in 0..messages {
        pull.recv_multipart().expect("recv");
    }
    // A writer counts what it has written after it has.
    wait_until("all is counted", || push.stats().messages_written == messages);
    let (sent, received) = (push.stats(), pull.stats());
    assert_eq!((sent.bytes_written, received.messages_read, received.bytes_read), (bytes, messages, bytes));
    assert_eq!((sent.messages_read, sent.bytes_read), (0, 0));
    assert_eq!((received.messages_written, received.bytes_written, received.copied_bytes), (0, 0, 0));
    let writes = sent.immediate_writes + sent.gathered_writes + sent.io_thread_writes;
    assert!(writes > 0 && (direct_io() || sent.immediate_writes + sent.gathered_writes == 0), "{sent:?}");
    let reads = received.direct_reads + received.io_thread_reads;
    assert!(reads > 0 && (direct_io() || received.direct_reads == 0), "{received:?}");

    // And tells the queue after that.
    wait_until("nothing waits", || only_peer(&push).queued_out == 0);
    let (to, from) = (only_peer(&push), only_peer(&pull));
    assert_eq!((&to.remote, &from.local), (&endpoint, &endpoint));
    assert_eq!((to.counters, from.counters), (sent, received));
    assert_eq!((from.queued_out, from.queued_in), (0, 0));
}

fn messages_that_wait_are_told_by_where_they_do(transport: Transport) {
    let context = Context::new();
    let endpoint = transport.unbound();
    let push = connected(&context, SocketType::Push, &endpoint);
    (0..5).for_each(|number| push.send(body(number, 100)).expect("send"));
    let peer = only_peer(&push);
    assert_eq!((peer.queued_out, peer.queued_in, peer.local.as_str()), (5, 0, ""));
    assert_eq!((&peer.remote, peer.counters.messages_written), (&endpoint, 0));
    let (pull, _) = bound_at(&context, SocketType::Pull, &endpoint);
    // Without a receiver the I/O thread reads.
    wait_until("the messages are there", || {
        pull.peer_stats().expect("open").iter().any(|peer| peer.queued_in == 5)
    });
    wait_until("nothing waits to be written", || only_peer(&push).queued_out == 0);
    assert!(!only_peer(&push).local.is_empty());
    for left in (0..5).rev() {
        pull.recv().expect("recv");
        assert_eq!(only_peer(&pull).queued_in, left);
    }
}

/// A PUSH that writes each message at once, to a peer that takes little before it reads.
fn tiny(context: &Context, transport: Transport) -> (Socket, RawPeer) {
    let listener = RawListener::bind_tiny(transport);
    let push = socket(context, SocketType::Push);
    push.set_send_buffer(1).expect("option");
    push.set_write_batching(0).expect("option");
    push.connect(&listener.endpoint()).expect("connect");
    (push, listener.accept_peer(SocketType::Pull))
}

fn what_the_kernel_does_not_take_is_counted_if_it_is_copied(transport: Transport) {
    let context = Context::new();
    let (push, mut peer) = tiny(&context, transport);
    let mut number = 0;
    // Until a write is refused, and in the end everything is written.
    let mut press = |size: usize| {
        let before = (number, push.stats().would_block);
        while push.stats().would_block == before.1 && push.try_send(body(number, size)).is_ok() {
            number += 1;
        }
        (before.0..number).for_each(|number| assert_eq!(peer.read_message(), [body(number, size)]));
        let written = u64::from(number);
        wait_until("everything is counted", || push.stats().messages_written == written);
    };
    if direct_io() {
        // It may also be the I/O thread that is refused.
        while push.stats().copied_bytes == 0 {
            press(10_000);
        }
        let stats = push.stats();
        assert_eq!(stats.copied_bytes % 10_000, 0);
        assert!(stats.copied_bytes / 10_000 <= stats.would_block, "{stats:?}");
    } else {
        press(10_000);
    }
    let copied = push.stats().copied_bytes;
    assert_eq!(copied > 0, direct_io());
    // Large messages are kept as they are.
    (0..5).for_each(|_| press(100_000));
    assert_eq!(push.stats().copied_bytes, copied);
}

/// A PUSH that always gathers, for as long as the limits let it, and a PULL.
fn gathering(context: &Context, transport: Transport, limit: impl Fn(&Socket)) -> (Socket, Socket) {
    let (pull, endpoint) = bound(context, SocketType::Pull, transport);
    let push = socket(context, SocketType::Push);
    push.set_write_batching(1).expect("option");
    push.set_batch_timeout(Duration::from_millis(20)).expect("option");
    limit(&push);
    push.connect(&endpoint).expect("connect");
    (push, pull)
}

fn exchange(push: &Socket, pull: &Socket, messages: u32, size: usize) {
    (0..messages).for_each(|number| push.send(body(number, size)).expect("send"));
    (0..messages).for_each(|_| drop(pull.recv().expect("recv")));
}

fn a_batch_counts_for_the_limit_that_it_has_reached(transport: Transport) {
    let context = Context::new();
    let by_size = |push: &Socket| push.set_batch_max_bytes(50_000).expect("option");
    let (push, pull) = gathering(&context, transport, by_size);
    wait_until("a batch is full", || {
        exchange(&push, &pull, 100, 1000);
        push.stats().size_flushes > 0
    });
    assert_eq!(push.stats().count_flushes, 0);

    let (push, pull) =
        gathering(&context, transport, |push| push.set_batch_max_messages(10).expect("option"));
    let mut sent = 0;
    wait_until("a batch is full", || {
        exchange(&push, &pull, 100, 10);
        sent += 100;
        push.stats().count_flushes > 0
    });
    wait_until("all is counted", || push.stats().messages_written == sent);
    let stats = push.stats();
    assert_eq!(stats.size_flushes, 0);
    let batches = stats.gathered_writes + stats.io_thread_writes;
    assert!(stats.count_flushes <= batches && stats.count_flushes <= sent / 10, "{stats:?}");
}

fn a_batch_that_reached_no_limit_counts_for_none(transport: Transport) {
    let context = Context::new();
    let (push, pull) = gathering(&context, transport, |_| {});
    wait_until("a batch has waited", || {
        exchange(&push, &pull, 5, 10);
        push.stats().timeout_flushes > 0
    });
    assert_eq!((push.stats().size_flushes, push.stats().count_flushes), (0, 0));
}

fn dropped_messages_count_for_the_peer_that_misses_them(transport: Transport) {
    const SENT: u32 = 1000;
    let context = Context::new();
    let publisher = socket(&context, SocketType::Xpub);
    publisher.set_xpub_verbose(true).expect("option");
    publisher.set_send_hwm(5).expect("option");
    publisher.set_send_buffer(1).expect("option");
    let listener = RawListener::bind_tiny(transport);
    publisher.connect(&listener.endpoint()).expect("connect");
    let mut slow = listener.accept_peer(SocketType::Sub);
    slow.send(&[b"\x01"]);
    publisher.recv().expect("subscription");
    publisher.bind(transport.wildcard()).expect("bind");
    let quick = connected(&context, SocketType::Sub, &publisher.last_endpoint().expect("endpoint"));
    quick.subscribe(b"").expect("subscribe");
    publisher.recv().expect("subscription");
    for number in 0..SENT {
        publisher.send(body(number, 1000)).expect("send");
        assert_eq!(*quick.recv().expect("recv"), body(number, 1000));
    }
    let peers = publisher.peer_stats().expect("open");
    assert_eq!(peers.len(), 2);
    let (of_slow, others): (Vec<_>, Vec<_>) =
        peers.into_iter().partition(|peer| peer.remote == listener.endpoint());
    let missed = of_slow[0].counters.dropped;
    assert!(missed > 0 && of_slow[0].queued_out > 0, "{of_slow:?}");
    assert_eq!((others[0].counters.dropped, publisher.stats().dropped), (0, missed));
    // What is not counted comes.
    for _ in 0..u64::from(SENT) - missed {
        slow.read_message();
    }
    wait_until("everything is counted", || {
        publisher.stats().messages_written == 2 * u64::from(SENT) - missed
    });
}

#[test]
fn messages_dropped_within_the_process_count_for_their_peer() {
    guarded(|| {
        let context = Context::new();
        let publisher = socket(&context, SocketType::Pub);
        publisher.set_send_hwm(5).expect("option");
        publisher.bind("inproc://dropping").expect("bind");
        let subscribers: Vec<Socket> = [3, 20]
            .into_iter()
            .map(|mark| {
                let subscriber = socket(&context, SocketType::Sub);
                subscriber.set_receive_hwm(mark).expect("option");
                subscriber.subscribe(b"").expect("subscribe");
                subscriber.connect("inproc://dropping").expect("connect");
                subscriber
            })
            .collect();
        (0..30).for_each(|number| publisher.send(body(number, 10)).expect("send"));
        let mut missed: Vec<(u64, u64)> = publisher
            .peer_stats()
            .expect("open")
            .into_iter()
            .map(|peer| (peer.counters.dropped, peer.queued_out))
            .collect();
        missed.sort_unstable();
        assert_eq!((missed, publisher.stats().dropped), (vec![(5, 25), (22, 8)], 27));
        drop(subscribers);
        wait_until("they are gone", || publisher.peer_stats().expect("open").is_empty());
        assert_eq!(publisher.stats().dropped, 27);
    });
}

#[test]
fn a_message_to_nobody_is_dropped_and_counts_for_nobody() {
    let context = Context::new();
    let (router, endpoint) = bound(&context, SocketType::Router, Transport::Tcp);
    let dealer = connected(&context, SocketType::Dealer, &endpoint);
    dealer.send("hello").expect("send");
    router.recv_multipart().expect("recv");
    router.send_multipart(["nobody", "x"]).expect("send");
    assert_eq!((only_peer(&router).counters.dropped, router.stats().dropped), (0, 1));
}

fn a_peer_that_was_lost_and_is_back_keeps_its_counts(transport: Transport) {
    let context = Context::new();
    let listener = RawListener::bind(transport);
    let push = connected(&context, SocketType::Push, &listener.endpoint());
    let mut peer = listener.accept_peer(SocketType::Pull);
    for round in 1..=3 {
        push.send(body(round, 100)).expect("send");
        assert_eq!(peer.read_message(), [body(round, 100)]);
        wait_until("it is counted", || only_peer(&push).counters.messages_written == u64::from(round));
        drop(peer);
        wait_until("the loss is noticed", || only_peer(&push).counters.reconnects == u64::from(round));
        peer = listener.accept_peer(SocketType::Pull);
    }
    assert_eq!(only_peer(&push).counters, push.stats());
    assert_eq!(only_peer(&push).remote, listener.endpoint());
}

fn peers_that_are_gone_stay_in_the_counts_of_the_socket(transport: Transport) {
    const PEERS: u32 = 100;
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // From another thread, while they come and go.
            let mut before = pull.stats();
            while !done.load(Ordering::Relaxed) {
                let stats = pull.stats();
                assert!(stats.messages_read >= before.messages_read && stats.bytes_read >= before.bytes_read);
                assert!(pull.peer_stats().expect("open").len() <= PEERS as usize);
                before = stats;
            }
        });
        for number in 0..PEERS {
            let push = connected(&context, SocketType::Push, &endpoint);
            push.send(body(number, 50)).expect("send");
            assert_eq!(*pull.recv().expect("recv"), body(number, 50));
        }
        done.store(true, Ordering::Relaxed);
    });
    wait_until("they are gone", || pull.peer_stats().expect("open").is_empty());
    let stats = pull.stats();
    assert_eq!((stats.messages_read, stats.bytes_read), (u64::from(PEERS), u64::from(PEERS) * 52));
}

fn a_monitor_is_told_of_each_peer_on_request(transport: Transport) {
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    let monitor = pull.monitor(EventKind::PeerStats as u32).expect("monitor");
    assert!(matches!(pull.report_pipes(), Err(Error::WouldBlock)), "there is no peer yet");
    let pushes: Vec<Socket> = (0..3).map(|_| connected(&context, SocketType::Push, &endpoint)).collect();
    for (number, push) in (1..).zip(&pushes) {
        (0..number).for_each(|number| push.send(body(number, 10)).expect("send"));
    }
    (0..1 + 2 + 3).for_each(|_| drop(pull.recv().expect("recv")));
    pull.report_pipes().expect("peers");
    let told = pushes.iter().map(|_| {
        let event = monitor.try_recv().expect("an event");
        assert_eq!((event.kind, event.queued, &event.local), (EventKind::PeerStats, Some([0, 0]), &endpoint));
        event.counters.expect("of a peer")
    });
    let mut told: Vec<u64> = told.map(|counters| counters.messages_read).collect();
    told.sort_unstable();
    assert_eq!(told, [1, 2, 3]);
    assert!(matches!(monitor.try_recv(), Err(Error::WouldBlock)), "no other event was asked for");
}

#[test]
fn a_closed_socket_has_counts_and_no_peers() {
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, Transport::Tcp);
    let push = connected(&context, SocketType::Push, &endpoint);
    push.send("x").expect("send");
    pull.recv().expect("recv");
    pull.close();
    assert_eq!(pull.stats().messages_read, 1);
    assert!(matches!(pull.peer_stats(), Err(Error::Closed)));
}
