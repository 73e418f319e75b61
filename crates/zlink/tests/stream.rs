//! STREAM, and ROUTER with `ZMQ_ROUTER_RAW`: peers that are plain sockets.

mod common;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::{
    RawListener, RawStream, Resources, Transport, body, bound, connected, monitor, parts, peak_memory,
    socket, wait_until,
};
use zlink::{Context, Error, EventKind, Socket, SocketType};

over_tcp_and_ipc! {
    bytes_go_both_ways_behind_a_name,
    without_notices_only_data_is_received,
    a_raw_router_is_a_stream_that_drops_what_has_no_peer,
    a_router_told_that_its_peers_are_sockets_again_speaks_zmtp,
    a_message_is_no_longer_than_the_read_buffer_s_size,
    everything_arrives_in_order_whatever_the_sizes,
    an_empty_part_closes_behind_what_was_sent,
    an_empty_part_closes_a_connect_for_good,
    closing_the_socket_gives_up_a_peer_that_does_not_read,
    a_name_alone_is_no_message,
    a_part_for_a_peer_that_went_meanwhile_is_dropped,
    a_full_peer_blocks_and_others_do_not,
    a_peer_beyond_the_receive_mark_waits,
    a_connecting_stream_tells_or_is_told_the_name,
    a_lost_connection_is_made_again_under_its_name,
    a_peer_gone_before_anything_was_read_is_heard_to_the_end,
    two_streams_talk_to_each_other,
    the_end_of_a_connection_is_told_to_the_monitor_once,
}

alone_over_tcp_and_ipc! {
    connections_that_come_and_go_take_no_memory,
    connections_closed_with_something_queued_take_no_memory,
    a_peer_that_drips_takes_little_memory,
}

/// Receives a name and the data behind it.
#[track_caller]
fn hear(socket: &Socket) -> (Vec<u8>, Vec<u8>) {
    let message = parts(&socket.recv_multipart().expect("recv"));
    let [name, data] = <[Vec<u8>; 2]>::try_from(message).expect("two parts");
    (name, data)
}

#[track_caller]
fn tell(socket: &Socket, name: &[u8], data: &[u8]) {
    socket.send_multipart([name, data]).expect("send");
}

#[track_caller]
fn assert_unknown(socket: &Socket, name: &[u8]) {
    let refused = socket.send_more(name).map_err(|refused| refused.error);
    assert!(matches!(refused, Err(Error::HostUnreachable)), "{refused:?}");
}

/// A plain peer of a bound STREAM, and its name, which is told by the notice of its coming.
#[track_caller]
fn peer(stream: &Socket, endpoint: &str) -> (RawStream, Vec<u8>) {
    let raw = RawStream::connect(endpoint);
    let (name, notice) = hear(stream);
    assert_eq!((name.len(), name[0], &*notice), (5, 0, &b""[..]));
    (raw, name)
}

#[track_caller]
fn read(raw: &mut RawStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    raw.read_exact(&mut bytes).expect("read");
    bytes
}

fn bytes_go_both_ways_behind_a_name(transport: Transport) {
    let context = Context::new();
    let (stream, endpoint) = bound(&context, SocketType::Stream, transport);
    let (mut first, first_name) = peer(&stream, &endpoint);
    let (mut second, second_name) = peer(&stream, &endpoint);
    assert_ne!(first_name, second_name);
    second.write_all(b"from the second").expect("write");
    assert_eq!(hear(&stream), (second_name.clone(), b"from the second".to_vec()));
    first.write_all(b"from the first").expect("write");
    let message = stream.recv_multipart().expect("recv");
    assert_eq!(parts(&message), [&first_name[..], b"from the first"]);
    if transport == Transport::Tcp {
        for part in &message {
            assert_eq!(part.property("Peer-Address"), Some("127.0.0.1"));
        }
    }
    tell(&stream, &second_name, b"to the second");
    tell(&stream, &first_name, b"to the first");
    // MORE means nothing behind a name.
    stream.send_more(&*first_name).expect("send");
    stream.send_more(", and more").expect("send");
    assert_eq!(read(&mut first, 22), b"to the first, and more");
    assert_eq!(read(&mut second, 13), b"to the second");
    drop(first);
    assert_eq!(hear(&stream), (first_name.clone(), vec![]));
    // The notice came first.
    wait_until("the name is unknown", || {
        let gone = stream.send_more(&*first_name).is_err();
        gone || stream.send("lost").is_err()
    });
    assert_unknown(&stream, &first_name);
    tell(&stream, &second_name, b"still there");
    assert_eq!(read(&mut second, 11), b"still there");
}

fn without_notices_only_data_is_received(transport: Transport) {
    let context = Context::new();
    let stream = socket(&context, SocketType::Stream);
    stream.set_stream_notify(false).expect("option");
    stream.bind(transport.wildcard()).expect("bind");
    let endpoint = stream.last_endpoint().expect("endpoint");
    for _ in 0..3 {
        let mut raw = RawStream::connect(&endpoint);
        raw.write_all(b"data").expect("write");
        assert_eq!(hear(&stream).1, b"data");
    }
    let mut raw = RawStream::connect(&endpoint);
    raw.write_all(b"the last").expect("write");
    assert_eq!(hear(&stream).1, b"the last");
}

fn a_raw_router_is_a_stream_that_drops_what_has_no_peer(transport: Transport) {
    let context = Context::new();
    let router = socket(&context, SocketType::Router);
    router.set_router_raw(true).expect("option");
    router.bind(transport.wildcard()).expect("bind");
    let endpoint = router.last_endpoint().expect("endpoint");
    let (mut raw, name) = peer(&router, &endpoint);
    tell(&router, b"nobody", b"dropped");
    raw.write_all(b"ping").expect("write");
    assert_eq!(hear(&router), (name.clone(), b"ping".to_vec()));
    router.send_more(&*name).expect("send");
    router.send_more("pong").expect("send");
    tell(&router, &name, b"");
    assert_eq!(raw.read_to_close(), b"pong");
    router.set_router_mandatory(true).expect("option");
    assert_unknown(&router, &name);
}

fn a_router_told_that_its_peers_are_sockets_again_speaks_zmtp(transport: Transport) {
    let context = Context::new();
    let router = socket(&context, SocketType::Router);
    router.set_router_raw(true).expect("option");
    router.set_router_raw(false).expect("option");
    router.bind(transport.wildcard()).expect("bind");
    let dealer = connected(&context, SocketType::Dealer, &router.last_endpoint().expect("endpoint"));
    dealer.send("hello").expect("send");
    let (name, data) = hear(&router);
    assert_eq!(data, b"hello");
    tell(&router, &name, b"");
    assert_eq!(*dealer.recv().expect("recv"), *b"");
}

fn a_message_is_no_longer_than_the_read_buffer_s_size(transport: Transport) {
    for size in [1, 100, 8192] {
        let context = Context::new();
        let stream = socket(&context, SocketType::Stream);
        stream.set_in_batch_size(size).expect("option");
        stream.bind(transport.wildcard()).expect("bind");
        let (mut raw, _) = peer(&stream, &stream.last_endpoint().expect("endpoint"));
        let sent = body(7, 20 * size as usize + 1);
        let writer = {
            let sent = sent.clone();
            thread::spawn(move || {
                raw.write_all(&sent).expect("write");
                raw
            })
        };
        let mut got = Vec::new();
        while got.len() < sent.len() {
            let data = hear(&stream).1;
            assert!((1..=size as usize).contains(&data.len()), "{} bytes of {size}", data.len());
            got.extend(data);
        }
        assert!(got == sent);
        writer.join().expect("writer");
    }
}

fn everything_arrives_in_order_whatever_the_sizes(transport: Transport) {
    let context = Context::new();
    let (stream, endpoint) = bound(&context, SocketType::Stream, transport);
    let (mut raw, name) = peer(&stream, &endpoint);
    let mut reader = raw.try_clone();
    let sizes = [1, 2, 9, 63, 255, 256, 1000, 1024, 1025, 8192, 8193, 20_000, 70_000, 300_000];
    let all: Vec<u8> =
        sizes.iter().cycle().take(60).enumerate().flat_map(|(i, &n)| body(i as u32, n)).collect();
    let echoed = {
        let all = all.clone();
        thread::spawn(move || {
            let mut got = vec![0; all.len()];
            reader.read_exact(&mut got).expect("read");
            assert!(got == all, "sent by the socket");
        })
    };
    let writer = {
        let all = all.clone();
        thread::spawn(move || {
            for piece in all.chunks(30_011) {
                raw.write_all(piece).expect("write");
            }
            raw
        })
    };
    for (i, &n) in sizes.iter().cycle().take(60).enumerate() {
        tell(&stream, &name, &body(i as u32, n));
    }
    let mut got = Vec::new();
    while got.len() < all.len() {
        got.extend(hear(&stream).1);
    }
    assert!(got == all, "received by the socket");
    echoed.join().expect("reader");
    writer.join().expect("writer");
}

fn an_empty_part_closes_behind_what_was_sent(transport: Transport) {
    let context = Context::new();
    let (stream, endpoint) = bound(&context, SocketType::Stream, transport);
    let (mut raw, name) = peer(&stream, &endpoint);
    let mut sent = Vec::new();
    // Much more than the kernel takes.
    for i in 0..100 {
        let data = body(i, 100_000);
        tell(&stream, &name, &data);
        sent.extend(data);
    }
    tell(&stream, &name, b"");
    assert_unknown(&stream, &name);
    // Others come and go meanwhile, and what the closed one says reaches nobody.
    raw.write_as_far_as_possible(b"nobody listens");
    let (mut other, other_name) = peer(&stream, &endpoint);
    other.write_all(b"heard").expect("write");
    assert_eq!(hear(&stream), (other_name, b"heard".to_vec()));
    let mut got = vec![0; sent.len()];
    raw.read_exact(&mut got).expect("read");
    assert!(got == sent);
    assert_eq!(raw.read_to_close(), b"");
}

fn an_empty_part_closes_a_connect_for_good(transport: Transport) {
    let context = Context::new();
    let listener = RawListener::bind(transport);
    let stream = connected(&context, SocketType::Stream, &listener.endpoint());
    let name = stream.routing_id().expect("option");
    // It may not be there yet: what was sent goes first all the same.
    tell(&stream, &name, b"hello and goodbye");
    tell(&stream, &name, b"");
    assert_eq!(listener.accept().read_to_close(), b"hello and goodbye");
    stream.disconnect(&listener.endpoint()).expect("the endpoint is still known");
    stream.connect(&listener.endpoint()).expect("connect");
    let (_raw, name) = (listener.accept(), stream.routing_id().expect("option"));
    // No notice of the first's end, and none of its coming: it was closed before it was read.
    assert_eq!(hear(&stream), (name, vec![]));
}

fn closing_the_socket_gives_up_a_peer_that_does_not_read(transport: Transport) {
    let context = Context::new();
    let (stream, endpoint) = bound(&context, SocketType::Stream, transport);
    let (_raw, name) = peer(&stream, &endpoint);
    for i in 0..100 {
        tell(&stream, &name, &body(i, 100_000));
    }
    tell(&stream, &name, b"");
    let events = monitor(&stream);
    let (_other, _) = peer(&stream, &endpoint);
    events.wait_for(&[EventKind::Accepted]);
    drop(stream);
    // Does not wait for the peer: the linger time is 0.
    context.terminate();
}

fn a_name_alone_is_no_message(transport: Transport) {
    let context = Context::new();
    let (stream, endpoint) = bound(&context, SocketType::Stream, transport);
    let (mut raw, name) = peer(&stream, &endpoint);
    stream.send(&*name).expect("send");
    stream.send("not even a name").expect("send");
    tell(&stream, &name, b"a message");
    assert_eq!(read(&mut raw, 9), b"a message");
    assert_unknown(&stream, b"no name");
    tell(&stream, &name, b"another");
    assert_eq!(read(&mut raw, 7), b"another");
}

fn a_part_for_a_peer_that_went_meanwhile_is_dropped(transport: Transport) {
    let context = Context::new();
    let (stream, endpoint) = bound(&context, SocketType::Stream, transport);
    for data in [&b"data"[..], b""] {
        let (raw, name) = peer(&stream, &endpoint);
        let (mut other, other_name) = peer(&stream, &endpoint);
        stream.send_more(&*name).expect("send");
        drop(raw);
        assert_eq!(hear(&stream), (name, vec![]));
        stream.send(data).expect("send");
        tell(&stream, &other_name, b"next");
        assert_eq!(read(&mut other, 4), b"next");
        tell(&stream, &other_name, b"");
        assert_eq!(other.read_to_close(), b"");
    }
}

fn a_full_peer_blocks_and_others_do_not(transport: Transport) {
    let context = Context::new();
    let stream = socket(&context, SocketType::Stream);
    stream.set_send_hwm(5).expect("option");
    stream.bind(transport.wildcard()).expect("bind");
    let endpoint = stream.last_endpoint().expect("endpoint");
    let (mut slow, slow_name) = peer(&stream, &endpoint);
    let (mut fast, fast_name) = peer(&stream, &endpoint);
    let mut sent = Vec::new();
    let refused = loop {
        let mut name = zlink::Message::from(&*slow_name);
        name.set_more(true);
        match stream.try_send(name) {
            Ok(()) => {
                let data = body(sent.len() as u32, 100_000);
                stream.send(&*data).expect("there is room behind a name that was taken");
                sent.extend(data);
            }
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused.error, Error::WouldBlock), "{:?}", refused.error);
    assert!(stream.readiness().expect("readiness").writable, "to somebody");
    tell(&stream, &fast_name, b"not held up");
    assert_eq!(read(&mut fast, 11), b"not held up");
    let reader = thread::spawn(move || {
        let got = read(&mut slow, sent.len() + 4);
        assert!(got.starts_with(&sent) && got.ends_with(b"last"));
    });
    tell(&stream, &slow_name, b"last");
    reader.join().expect("reader");
}

fn a_peer_beyond_the_receive_mark_waits(transport: Transport) {
    let context = Context::new();
    let stream = socket(&context, SocketType::Stream);
    stream.set_receive_hwm(2).expect("option");
    stream.bind(transport.wildcard()).expect("bind");
    let (raw, _) = peer(&stream, &stream.last_endpoint().expect("endpoint"));
    let mut writer = raw.try_clone();
    let sent = body(1, 30_000_000);
    let (expected, written) = (sent.clone(), Arc::new(AtomicUsize::new(0)));
    let writing = {
        let written = Arc::clone(&written);
        thread::spawn(move || {
            for piece in sent.chunks(1000) {
                writer.write_all(piece).expect("write");
                written.fetch_add(piece.len(), Ordering::Relaxed);
            }
        })
    };
    // Nobody receives: the kernel's buffers fill, and the writer gets no further.
    let (mut last, mut looks) = (0, 0);
    wait_until("the writer is held up", || {
        let now = written.load(Ordering::Relaxed);
        looks = if now == last { looks + 1 } else { 0 };
        last = now;
        now > 0 && looks == 100
    });
    assert!(last < expected.len());
    let mut got = Vec::new();
    while got.len() < expected.len() {
        got.extend(hear(&stream).1);
    }
    assert!(got == expected);
    writing.join().expect("writer");
}

fn a_connecting_stream_tells_or_is_told_the_name(transport: Transport) {
    let context = Context::new();
    let (first, second) = (RawListener::bind(transport), RawListener::bind(transport));
    let stream = socket(&context, SocketType::Stream);
    stream.connect(&first.endpoint()).expect("connect");
    let name = stream.routing_id().expect("option");
    assert_eq!((name.len(), name[0]), (5, 0));
    stream.set_connect_routing_id(b"second").expect("option");
    stream.connect(&second.endpoint()).expect("connect");
    assert_eq!(stream.routing_id().expect("option"), name, "of the last that was named by the socket");
    // Both before the connections stand.
    tell(&stream, &name, b"to the first");
    tell(&stream, b"second", b"to the second");
    let (mut first, mut second) = (first.accept(), second.accept());
    assert_eq!(read(&mut first, 12), b"to the first");
    assert_eq!(read(&mut second, 13), b"to the second");
    let mut notices = [hear(&stream), hear(&stream)];
    notices.sort();
    assert_eq!(notices, [(name.clone(), vec![]), (b"second".to_vec(), vec![])]);
    second.write_all(b"from the second").expect("write");
    assert_eq!(hear(&stream), (b"second".to_vec(), b"from the second".to_vec()));
    let taken = stream.set_connect_routing_id(b"second");
    assert!(matches!(taken, Err(Error::InvalidArgument)), "{taken:?}");
}

fn a_lost_connection_is_made_again_under_its_name(transport: Transport) {
    let context = Context::new();
    let listener = RawListener::bind(transport);
    let stream = connected(&context, SocketType::Stream, &listener.endpoint());
    let name = stream.routing_id().expect("option");
    for round in 0..5 {
        let mut raw = listener.accept();
        assert_eq!(hear(&stream), (name.clone(), vec![]), "it is there");
        tell(&stream, &name, &body(round, 1000));
        assert_eq!(read(&mut raw, 1000), body(round, 1000));
        raw.write_all(&body(round, 50)).expect("write");
        drop(raw);
        let mut got = Vec::new();
        loop {
            let (from, data) = hear(&stream);
            assert_eq!(from, name);
            if data.is_empty() {
                break;
            }
            got.extend(data);
        }
        assert_eq!(got, body(round, 50));
    }
}

fn a_peer_gone_before_anything_was_read_is_heard_to_the_end(transport: Transport) {
    let context = Context::new();
    let (stream, endpoint) = bound(&context, SocketType::Stream, transport);
    let events = monitor(&stream);
    let mut raw = RawStream::connect(&endpoint);
    raw.write_all(b"said and gone").expect("write");
    drop(raw);
    events.wait_for(&[EventKind::Disconnected]);
    let (name, coming) = hear(&stream);
    assert_eq!(coming, b"");
    assert_eq!(hear(&stream), (name.clone(), b"said and gone".to_vec()));
    assert_eq!(hear(&stream), (name, vec![]));
}

fn two_streams_talk_to_each_other(transport: Transport) {
    let context = Context::new();
    let (server, endpoint) = bound(&context, SocketType::Stream, transport);
    let client = connected(&context, SocketType::Stream, &endpoint);
    let (client_name, _) = hear(&server);
    let (server_name, _) = hear(&client);
    for round in 0..200 {
        tell(&client, &server_name, &body(round, 100));
        assert_eq!(hear(&server), (client_name.clone(), body(round, 100)));
        tell(&server, &client_name, &body(round, 200));
        assert_eq!(hear(&client), (server_name.clone(), body(round, 200)));
    }
}

fn the_end_of_a_connection_is_told_to_the_monitor_once(transport: Transport) {
    let context = Context::new();
    let (stream, endpoint) = bound(&context, SocketType::Stream, transport);
    let events = monitor(&stream);
    let any = [EventKind::Accepted, EventKind::Disconnected, EventKind::HandshakeSucceeded];
    let raw = RawStream::connect(&endpoint);
    assert_eq!(events.wait_for(&any).kind, EventKind::Accepted);
    drop(raw);
    assert_eq!(events.wait_for(&any).kind, EventKind::Disconnected);
    (0..2).for_each(|_| drop(hear(&stream)));
    let (mut raw, name) = peer(&stream, &endpoint);
    assert_eq!(events.wait_for(&any).kind, EventKind::Accepted);
    // What the socket ends itself is no event, as with libzmq.
    tell(&stream, &name, b"");
    assert_eq!(raw.read(&mut [0; 1]).expect("the end"), 0);
    let _next = RawStream::connect(&endpoint);
    assert_eq!(events.wait_for(&any).kind, EventKind::Accepted);
}

#[test]
fn within_the_process_parts_are_no_danger() {
    let context = Context::new();
    let dealer = socket(&context, SocketType::Dealer);
    dealer.bind("inproc://parts").expect("bind");
    let stream = connected(&context, SocketType::Stream, "inproc://parts");
    for message in [&["one", "two", "three"][..], &["four"]] {
        dealer.send_multipart(message.iter().copied()).expect("send");
        let heard = parts(&stream.recv_multipart().expect("recv"));
        assert_eq!(heard[1..], message.iter().map(|part| part.as_bytes()).collect::<Vec<_>>());
    }
}

#[test]
fn websockets_are_refused() {
    let context = Context::new();
    let stream = socket(&context, SocketType::Stream);
    let router = socket(&context, SocketType::Router);
    router.set_router_raw(true).expect("option");
    for socket in [stream, router] {
        for result in [socket.bind("ws://127.0.0.1:*"), socket.connect("ws://127.0.0.1:1")] {
            assert!(matches!(result, Err(Error::IncompatibleTransport)), "{result:?}");
        }
        socket.bind("tcp://127.0.0.1:*").expect("bind");
    }
}

/// KiB that a test may use in the end, for what does not grow.
const SLACK: usize = 8 * 1024;

fn connections_that_come_and_go_take_no_memory(transport: Transport) {
    let context = Context::new();
    let (stream, endpoint) = bound(&context, SocketType::Stream, transport);
    let mut before = None;
    for round in 0..3000 {
        let mut raw = RawStream::connect(&endpoint);
        let (name, _) = hear(&stream);
        match round % 3 {
            // Closed by the peer, with data or without, or by the socket.
            0 => drop(raw),
            1 => {
                raw.write_all(b"data").expect("write");
                drop(raw);
                assert_eq!(hear(&stream), (name.clone(), b"data".to_vec()));
            }
            _ => {
                tell(&stream, &name, b"farewell");
                tell(&stream, &name, b"");
                assert_eq!(raw.read_to_close(), b"farewell");
                continue;
            }
        }
        assert_eq!(hear(&stream), (name, vec![]));
        if round == 300 {
            before = Some(Resources::now());
        }
    }
    let before = before.expect("noted");
    wait_until("descriptors are closed", || Resources::now().descriptors <= before.descriptors + 4);
    let after = Resources::now();
    assert!(after.memory < before.memory + SLACK, "{before:?}, then {after:?}");
}

fn connections_closed_with_something_queued_take_no_memory(transport: Transport) {
    let context = Context::new();
    let (stream, endpoint) = bound(&context, SocketType::Stream, transport);
    let data = vec![7; 2_000_000];
    let mut before = None;
    for round in 0..200 {
        // More is queued than the kernel takes, and the peer goes without having read it.
        let (raw, name) = peer(&stream, &endpoint);
        tell(&stream, &name, &data);
        tell(&stream, &name, b"");
        drop(raw);
        if round == 20 {
            before = Some(Resources::now());
        }
    }
    let before = before.expect("noted");
    wait_until("descriptors are closed", || Resources::now().descriptors <= before.descriptors + 4);
    // Takes in the news of the last ones.
    let (_raw, _) = peer(&stream, &endpoint);
    let after = Resources::now();
    // A few may be on their way out, and the allocator keeps some; all together were 400 MB.
    assert!(after.memory < before.memory + 100 * 1024, "{before:?}, then {after:?}");
}

fn a_peer_that_drips_takes_little_memory(transport: Transport) {
    let context = Context::new();
    let (stream, endpoint) = bound(&context, SocketType::Stream, transport);
    let mut dripping: HashMap<Vec<u8>, RawStream> = HashMap::new();
    for _ in 0..20 {
        let (raw, name) = peer(&stream, &endpoint);
        dripping.insert(name, raw);
    }
    let before = peak_memory();
    // Each byte may become a message of its own; none is received.
    for _ in 0..500 {
        for raw in dripping.values_mut() {
            raw.write_all(b"x").expect("write");
        }
    }
    let mut got: HashMap<Vec<u8>, usize> = HashMap::new();
    while got.values().sum::<usize>() < 20 * 500 {
        let (name, data) = hear(&stream);
        *got.entry(name).or_default() += data.len();
    }
    assert!(got.values().all(|&bytes| bytes == 500));
    assert!(peak_memory() < before + SLACK, "{before} KiB, then {}", peak_memory());
}
