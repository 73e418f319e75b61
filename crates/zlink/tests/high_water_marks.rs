//! What the high-water marks count, and who learns when of the room that messages leave.

mod common;

use common::{Transport, bound, connected, guarded, socket, wait_until};
use zlink::{Context, Error, Socket, SocketType};

over_tcp_and_ipc! {
    a_sender_that_does_not_wait_is_refused_at_its_mark_although_the_kernel_takes_more,
    a_refused_sender_that_polls_goes_on_at_once,
    a_sender_that_waits_goes_on_while_the_kernel_takes_more,
    sender_and_receiver_hold_as_many_as_both_marks_allow,
    a_router_that_must_not_drop_is_refused_at_its_mark,
    a_publisher_drops_nothing_that_the_kernel_would_take,
}

/// So small that the kernel takes the messages of a hundred marks.
const MARK: usize = 10;

/// Sends empty messages until one is refused. Returns how many were not.
fn burst(socket: &Socket) -> usize {
    for sent in 0..100 * MARK {
        match socket.try_send("") {
            Ok(()) => {}
            Err(refused) => {
                assert!(matches!(refused.error, Error::WouldBlock), "{}", refused.error);
                return sent;
            }
        }
    }
    panic!("never refused");
}

/// A PUSH with a small mark whose peer takes everything and hands out nothing.
fn push_to_nobody(context: &Context, transport: Transport) -> (Socket, Socket) {
    let (pull, endpoint) = bound(context, SocketType::Pull, transport);
    let push = socket(context, SocketType::Push);
    push.set_send_hwm(MARK as i32).expect("option");
    push.connect(&endpoint).expect("connect");
    push.send("").expect("send");
    pull.recv().expect("recv");
    (push, pull)
}

fn a_sender_that_does_not_wait_is_refused_at_its_mark_although_the_kernel_takes_more(transport: Transport) {
    let context = Context::new();
    let (push, pull) = push_to_nobody(&context, transport);
    let mut sent = 0;
    for _ in 0..5 {
        sent += burst(&push);
        wait_until("time has passed", || push.try_send("").is_ok());
        sent += 1;
    }
    assert!(sent >= MARK, "{sent}");
    (0..sent).for_each(|_| drop(pull.recv().expect("recv")));
}

fn a_refused_sender_that_polls_goes_on_at_once(transport: Transport) {
    let context = Context::new();
    let (push, _pull) = push_to_nobody(&context, transport);
    for _ in 0..20 {
        burst(&push);
        wait_until("what was sent is in the kernel", || push.readiness().expect("readiness").writable);
        push.try_send("").expect("there is room");
    }
}

fn a_sender_that_waits_goes_on_while_the_kernel_takes_more(transport: Transport) {
    let context = Context::new();
    let (push, pull) = push_to_nobody(&context, transport);
    (0..100 * MARK).for_each(|_| push.send("").expect("send"));
    (0..100 * MARK).for_each(|_| drop(pull.recv().expect("recv")));
}

fn sender_and_receiver_hold_as_many_as_both_marks_allow(transport: Transport) {
    const MARK: i32 = 100;
    let context = Context::new();
    let push = socket(&context, SocketType::Push);
    push.set_send_hwm(MARK).expect("option");
    push.set_send_buffer(4096).expect("option");
    push.bind(transport.wildcard()).expect("bind");
    let pull = socket(&context, SocketType::Pull);
    pull.set_receive_hwm(MARK).expect("option");
    pull.set_receive_buffer(4096).expect("option");
    pull.connect(&push.last_endpoint().expect("endpoint")).expect("connect");
    // Several of these are gathered into a chunk, and the kernel takes none wholly.
    let body = vec![1; 8192];
    (0..2 * MARK).for_each(|_| push.send(body.as_slice()).expect("send"));
    (0..2 * MARK).for_each(|_| assert_eq!(*pull.recv().expect("recv"), *body));
}

fn a_router_that_must_not_drop_is_refused_at_its_mark(transport: Transport) {
    let context = Context::new();
    let router = socket(&context, SocketType::Router);
    router.set_router_mandatory(true).expect("option");
    router.set_send_hwm(1).expect("option");
    router.bind(transport.wildcard()).expect("bind");
    let dealer = socket(&context, SocketType::Dealer);
    dealer.set_routing_id(b"X").expect("option");
    dealer.connect(&router.last_endpoint().expect("endpoint")).expect("connect");
    dealer.send("hello").expect("send");
    router.recv_multipart().expect("recv");
    let mut refused = 0;
    for _ in 0..100 {
        match router.send_more("X") {
            Ok(()) => router.send("").expect("send"),
            Err(error) => panic!("a send that waits: {}", error.error),
        }
        let mut name = zlink::Message::from("X");
        name.set_more(true);
        match router.try_send(name) {
            Ok(()) => router.send("").expect("send"),
            Err(error) => {
                assert!(matches!(error.error, Error::WouldBlock), "{}", error.error);
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
    wait_until("all is in the kernel", || router.peer_is_writable(b"X").expect("a peer"));
}

fn a_publisher_drops_nothing_that_the_kernel_would_take(transport: Transport) {
    let context = Context::new();
    let publisher = socket(&context, SocketType::Xpub);
    publisher.set_send_hwm(MARK as i32).expect("option");
    publisher.bind(transport.wildcard()).expect("bind");
    let subscriber = connected(&context, SocketType::Sub, &publisher.last_endpoint().expect("endpoint"));
    subscriber.subscribe(b"").expect("subscribe");
    publisher.recv().expect("subscription");
    for i in 0..100 {
        // One after the other, so that each is in the kernel before the next.
        publisher.send("x").expect("send");
        assert_eq!(&*subscriber.recv().expect("recv"), b"x", "{i}");
    }
    assert_eq!(publisher.stats().dropped, 0);
}

/// Fills an in-process pipe. Returns how many messages it took.
fn fill(socket: &Socket) -> usize {
    (0..100_000).take_while(|_| socket.try_send("").is_ok()).count()
}

#[test]
fn marks_of_in_process_pipes_change_with_the_options() {
    guarded(|| {
        let context = Context::new();
        let (push, pull) = (socket(&context, SocketType::Push), socket(&context, SocketType::Pull));
        push.set_send_hwm(1).expect("option");
        pull.set_receive_hwm(1).expect("option");
        pull.connect("inproc://marks").expect("connect");
        push.bind("inproc://marks").expect("bind");
        push.set_send_hwm(5).expect("option");
        let drain = || (0..).take_while(|_| pull.try_recv().is_ok()).count();
        assert_eq!((fill(&push), drain()), (6, 6));
        // The other's share is what it was when the pipe was made.
        pull.set_receive_hwm(3).expect("option");
        assert_eq!((fill(&push), drain()), (4, 4));
        push.set_send_hwm(2).expect("option");
        assert_eq!((fill(&push), drain()), (3, 3));
        push.set_send_hwm(0).expect("option");
        (0..1000).for_each(|_| push.send("").expect("no limit"));
    });
}

#[test]
fn an_in_process_sender_learns_of_room_in_halves_of_the_mark() {
    guarded(|| {
        let context = Context::new();
        let (push, pull) = (socket(&context, SocketType::Push), socket(&context, SocketType::Pull));
        push.set_send_hwm(5).expect("option");
        pull.set_receive_hwm(5).expect("option");
        pull.bind("inproc://halves").expect("bind");
        push.connect("inproc://halves").expect("connect");
        assert_eq!(fill(&push), 10);
        for _ in 0..4 {
            pull.recv().expect("recv");
            assert_eq!(fill(&push), 0);
        }
        pull.recv().expect("recv");
        assert_eq!(fill(&push), 5);
    });
}
