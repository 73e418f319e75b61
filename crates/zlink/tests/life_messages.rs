//! What sockets say and hear by themselves as peers come and go: `ZMQ_HELLO_MSG`, `ZMQ_DISCONNECT_MSG`,
//! `ZMQ_HICCUP_MSG`, `ZMQ_ROUTER_NOTIFY`.

use std::time::Duration;

use zlink::{Context, Message, Socket, SocketType};

const ENDPOINTS: [&str; 3] = ["tcp://127.0.0.1:*", "ipc://*", "inproc://life"];

fn socket(context: &Context, socket_type: SocketType) -> Socket {
    let socket = context.socket(socket_type).unwrap();
    socket.set_receive_timeout(Some(Duration::from_secs(30))).unwrap();
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    socket
}

/// The message after the routing id of its peer, if there is one.
fn hear(socket: &Socket) -> Vec<u8> {
    socket.recv_multipart().unwrap().last().map(|part| part.to_vec()).unwrap_or_default()
}

#[test]
fn both_sides_are_greeted_before_anything_else() {
    for (bound, connecting) in [
        (SocketType::Router, SocketType::Dealer),
        (SocketType::Dealer, SocketType::Router),
        (SocketType::Server, SocketType::Client),
        (SocketType::Client, SocketType::Server),
        (SocketType::Peer, SocketType::Peer),
    ] {
        for endpoint in ENDPOINTS {
            let context = Context::new();
            let (bound, connecting) = (socket(&context, bound), socket(&context, connecting));
            bound.set_hello_message(b"from bound").unwrap();
            connecting.set_hello_message(b"from connecting").unwrap();
            bound.bind(endpoint).unwrap();
            connecting.connect(&bound.last_endpoint().unwrap()).unwrap();
            if connecting.socket_type() == SocketType::Dealer {
                connecting.send("later").unwrap();
            }
            assert_eq!(hear(&bound), b"from connecting");
            if connecting.socket_type() == SocketType::Dealer {
                assert_eq!(hear(&bound), b"later");
            }
            assert_eq!(hear(&connecting), b"from bound");
        }
    }
}

#[test]
fn both_sides_are_greeted_if_the_connect_comes_first() {
    let context = Context::new();
    let (server, client) = (socket(&context, SocketType::Server), socket(&context, SocketType::Client));
    server.set_hello_message(b"from server").unwrap();
    client.set_hello_message(b"from client").unwrap();
    server.set_disconnect_message(b"gone").unwrap();
    client.connect("inproc://late").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(hear(&client), b"from server"));
        server.bind("inproc://late").unwrap();
    });
    assert_eq!(hear(&server), b"from client");
    drop(client);
    assert_eq!(hear(&server), b"gone");
}

#[test]
fn the_end_of_an_accepted_connection_is_heard_behind_its_messages() {
    for endpoint in ENDPOINTS {
        for by_closing in [false, true] {
            let context = Context::new();
            let (server, client) =
                (socket(&context, SocketType::Server), socket(&context, SocketType::Client));
            client.set_linger(None).unwrap();
            server.set_disconnect_message(b"gone").unwrap();
            server.bind(endpoint).unwrap();
            let endpoint = server.last_endpoint().unwrap();
            client.connect(&endpoint).unwrap();
            client.send("one").unwrap();
            client.send("two").unwrap();
            let first = server.recv().unwrap();
            if by_closing {
                client.close();
            } else {
                client.disconnect(&endpoint).unwrap();
            }
            let (second, last) = (server.recv().unwrap(), server.recv().unwrap());
            assert_eq!([&*first, &second, &last], [&b"one"[..], b"two", b"gone"]);
            let ids = [&first, &second, &last].map(Message::routing_id);
            assert!(ids[0] != 0 && ids == [ids[0]; 3], "all from one peer");
        }
    }
}

#[test]
fn a_router_hears_who_is_gone() {
    let context = Context::new();
    let (router, dealer) = (socket(&context, SocketType::Router), socket(&context, SocketType::Dealer));
    router.set_disconnect_message(b"gone").unwrap();
    router.bind("tcp://127.0.0.1:*").unwrap();
    dealer.set_routing_id(b"me").unwrap();
    dealer.connect(&router.last_endpoint().unwrap()).unwrap();
    dealer.send("hi").unwrap();
    assert_eq!(hear(&router), b"hi");
    drop(dealer);
    let parts = router.recv_multipart().unwrap();
    assert_eq!([&*parts[0], &parts[1]], [b"me", &b"gone"[..]]);
}

#[test]
fn a_lost_connection_is_heard_and_the_next_one_greeted_first() {
    let context = Context::new();
    let client = socket(&context, SocketType::Client);
    client.set_reconnect_interval(Some(Duration::from_millis(1))).unwrap();
    client.set_hello_message(b"hello").unwrap();
    client.set_hiccup_message(b"hiccup").unwrap();
    let server = socket(&context, SocketType::Server);
    server.bind("tcp://127.9.8.7:*").unwrap();
    let endpoint = server.last_endpoint().unwrap();
    client.connect(&endpoint).unwrap();
    assert_eq!(hear(&server), b"hello");
    drop(server);
    assert_eq!(hear(&client), b"hiccup");
    client.send("queued meanwhile").unwrap();
    let server = socket(&context, SocketType::Server);
    // The port is free once the I/O thread has closed the listener.
    while server.bind(&endpoint).is_err() {
        std::thread::yield_now();
    }
    assert_eq!([hear(&server), hear(&server)], [&b"hello"[..], b"queued meanwhile"]);
}

#[test]
fn a_router_is_notified_of_connections() {
    for (notify, endpoint) in
        [1, 2, 3].into_iter().flat_map(|notify| ["tcp://127.0.0.1:*", "ipc://*"].map(|at| (notify, at)))
    {
        let context = Context::new();
        let (router, dealer) = (socket(&context, SocketType::Router), socket(&context, SocketType::Dealer));
        router.set_router_notify(notify).unwrap();
        router.bind(endpoint).unwrap();
        dealer.set_routing_id(b"me").unwrap();
        dealer.set_linger(None).unwrap();
        dealer.connect(&router.last_endpoint().unwrap()).unwrap();
        dealer.send("hi").unwrap();
        drop(dealer);
        let mut expected = vec![&b"hi"[..]];
        if notify & 1 != 0 {
            expected.insert(0, b"");
        }
        if notify & 2 != 0 {
            expected.push(b"");
        }
        for body in expected {
            let parts = router.recv_multipart().unwrap();
            assert_eq!([&*parts[0], &parts[1]], [b"me", body], "notify {notify}");
        }
        assert!(router.try_recv().is_err());
    }
}

#[test]
fn a_router_that_connects_is_notified_too() {
    let context = Context::new();
    let (router, dealer) = (socket(&context, SocketType::Router), socket(&context, SocketType::Dealer));
    router.set_router_notify(3).unwrap();
    dealer.set_routing_id(b"me").unwrap();
    dealer.bind("tcp://127.0.0.1:*").unwrap();
    router.connect(&dealer.last_endpoint().unwrap()).unwrap();
    for _ in 0..2 {
        let parts = router.recv_multipart().unwrap();
        assert_eq!([&*parts[0], &parts[1]], [b"me", &b""[..]]);
        dealer.close();
    }
}
