//! Two sockets, every transport: messages arrive whole and in order.

use std::time::Duration;
use zlink::{Context, Error, Message, SocketType};

fn endpoints() -> [&'static str; 3] {
    ["tcp://127.0.0.1:*", "ipc://*", "inproc://basic"]
}

fn pair(
    context: &Context,
    bound: SocketType,
    connected: SocketType,
    endpoint: &str,
) -> (zlink::Socket, zlink::Socket) {
    let server = context.socket(bound).expect("socket");
    server.bind(endpoint).expect("bind");
    let client = context.socket(connected).expect("socket");
    client.connect(&server.last_endpoint().expect("endpoint")).expect("connect");
    for socket in [&server, &client] {
        socket.set_receive_timeout(Some(Duration::from_secs(20))).expect("option");
        socket.set_send_timeout(Some(Duration::from_secs(20))).expect("option");
    }
    (server, client)
}

#[test]
fn every_size_arrives_unchanged() {
    for endpoint in endpoints() {
        let context = Context::new();
        let (pull, push) = pair(&context, SocketType::Pull, SocketType::Push, endpoint);
        for size in [0, 1, 33, 34, 255, 256, 8191, 8193, 65_536, 1 << 20] {
            let body: Vec<u8> = (0..size).map(|i| i as u8).collect();
            push.send(body.clone()).expect("send");
            assert!(*pull.recv().expect("recv") == *body, "{size} bytes over {endpoint}");
        }
    }
}

#[test]
fn a_stream_arrives_complete_and_in_order() {
    for endpoint in endpoints() {
        let context = Context::new();
        let (pull, push) = pair(&context, SocketType::Pull, SocketType::Push, endpoint);
        let sender = std::thread::spawn(move || {
            for i in 0..300_000u32 {
                push.send(&i.to_be_bytes()).expect("send");
            }
        });
        for i in 0..300_000u32 {
            assert_eq!(*pull.recv().expect("recv"), i.to_be_bytes(), "over {endpoint}");
        }
        sender.join().expect("sender");
    }
}

#[test]
fn multipart_messages_arrive_whole_both_ways() {
    for endpoint in endpoints() {
        let context = Context::new();
        let (one, other) = pair(&context, SocketType::Dealer, SocketType::Dealer, endpoint);
        let parts: Vec<Message> = [0, 5, 300, 70_000, 0].map(|n| Message::from(vec![n as u8; n])).into();
        for _ in 0..50 {
            one.send_multipart(&parts).expect("send");
            assert_eq!(other.recv_multipart().expect("recv"), parts);
            other.send_multipart(&parts).expect("send");
            assert_eq!(one.recv_multipart().expect("recv"), parts);
        }
    }
}

#[test]
fn slices_are_sent_and_received_into_the_memory_of_the_last_message() {
    let context = Context::new();
    let (pull, push) = pair(&context, SocketType::Pull, SocketType::Push, "inproc://slices");
    let mut message = Message::new();
    let mut memory = None;
    for i in 0..10 {
        let bytes = vec![i as u8; 1000 + i % 3];
        push.send_slice(&bytes).expect("send");
        pull.recv_message(&mut message).expect("recv");
        assert_eq!(*message, bytes);
        if i > 2 {
            assert_eq!(memory, Some(message.as_ptr()));
        }
        memory = Some(message.as_ptr());
    }
    push.send_multipart(["a", "b"]).expect("send");
    for more in [true, false] {
        pull.recv_message(&mut message).expect("recv");
        assert_eq!(message.more(), more);
    }
    assert_eq!(*message, *b"b");
    pull.set_receive_timeout(Some(Duration::ZERO)).expect("option");
    assert!(matches!(pull.recv_message(&mut message), Err(Error::WouldBlock)) && *message == *b"b");
}

#[test]
fn a_message_of_any_size_reaches_all_subscribers_whole_within_the_process_and_beyond() {
    let context = Context::new();
    let publisher = context.socket(SocketType::Xpub).expect("socket");
    publisher.set_xpub_nodrop(true).expect("option");
    publisher.set_xpub_verbose(true).expect("option");
    let mut subscribers = Vec::new();
    for endpoint in ["inproc://publisher", "ipc://*"] {
        publisher.bind(endpoint).expect("bind");
        let endpoint = publisher.last_endpoint().expect("endpoint");
        for _ in 0..3 {
            let subscriber = context.socket(SocketType::Sub).expect("socket");
            subscriber.set_receive_timeout(Some(Duration::from_secs(30))).expect("option");
            subscriber.subscribe(b"").expect("subscribe");
            subscriber.connect(&endpoint).expect("connect");
            assert_eq!(*publisher.recv().expect("recv"), *b"\x01");
            subscribers.push(subscriber);
        }
    }
    for len in [0, 1, 40, 41, 255, 256, 257, 4095, 4096, 16_383, 16_384, 100_000] {
        let body: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
        publisher.send(body.clone()).expect("send");
        publisher.send_slice(&body).expect("send");
        publisher.send_multipart([body.clone(), b"end".to_vec()]).expect("send");
        for subscriber in &subscribers {
            for parts in [1, 1, 2] {
                let message = subscriber.recv_multipart().expect("recv");
                assert_eq!((message.len(), &*message[0]), (parts, &*body), "{len}");
            }
        }
    }
}

#[test]
fn a_client_s_messages_have_no_routing_id_however_they_came() {
    let context = Context::new();
    for endpoint in endpoints() {
        let (server, client) = pair(&context, SocketType::Server, SocketType::Client, endpoint);
        let mut message = Message::new();
        for len in [1, 100, 300, 5000, 20_000] {
            client.send(vec![1; len]).expect("send");
            server.recv_message(&mut message).expect("recv");
            let id = message.routing_id();
            assert_ne!(id, 0);
            let mut answer = Message::from(vec![2; len]);
            answer.set_routing_id(id);
            server.send(answer).expect("send");
            // Into a message that has one.
            client.recv_message(&mut message).expect("recv");
            assert_eq!((message.len(), message[0], message.routing_id()), (len, 2, 0), "{endpoint}");
        }
    }
}
