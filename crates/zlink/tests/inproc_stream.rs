//! Streams within the process, whose receivers let messages gather: what the counters say of it, and that nothing is
//! lost, late for ever, or out of order for it.

use std::thread;
use std::time::{Duration, Instant};

use zlink::{Context, PollItem, Socket, SocketType, poll};

const MESSAGES: u64 = 50_000;
const GUARD: Option<Duration> = Some(Duration::from_secs(60));

fn pipe(context: &Context, configure: impl Fn(&Socket)) -> (Socket, Socket) {
    let pull = context.socket(SocketType::Pull).expect("socket");
    let push = context.socket(SocketType::Push).expect("socket");
    pull.set_receive_timeout(GUARD).expect("option");
    push.set_send_timeout(GUARD).expect("option");
    configure(&push);
    pull.bind("inproc://stream").expect("bind");
    push.connect("inproc://stream").expect("connect");
    (pull, push)
}

fn number(message: &[u8]) -> u64 {
    u64::from_ne_bytes(message[..8].try_into().expect("eight bytes"))
}

/// Sends a stream of numbers and hands them to `receive` one by one, in its own thread.
fn stream(push: &Socket, mut receive: impl FnMut(u64)) {
    thread::scope(|scope| {
        scope.spawn(|| (0..MESSAGES).for_each(|i| push.send(&i.to_ne_bytes()).expect("send")));
        (0..MESSAGES).for_each(&mut receive);
    });
}

#[test]
fn a_receiver_of_a_stream_lets_messages_gather() {
    let context = Context::new();
    let (pull, push) = pipe(&context, |_| {});
    // A stream is one by its speed, which a busy machine and a sanitizer take away.
    let fast = Duration::from_nanos(300) * MESSAGES as u32;
    let mut fast_rounds = 0;
    for _ in 0..100 {
        let start = Instant::now();
        stream(&push, |i| assert_eq!(number(&pull.recv().expect("recv")), i));
        fast_rounds += u32::from(start.elapsed() < fast);
        if pull.stats().naps > 0 {
            return;
        }
    }
    assert!(fast_rounds < 10, "{fast_rounds} fast rounds");
}

#[test]
fn with_a_sender_that_never_gathers_it_does_not() {
    let context = Context::new();
    let (pull, push) = pipe(&context, |push| push.set_write_batching(0).expect("option"));
    for _ in 0..5 {
        stream(&push, |i| assert_eq!(number(&pull.recv().expect("recv")), i));
    }
    assert_eq!(pull.stats().naps, 0);
}

/// One of them naps while the others sleep, and must not keep to itself that there is more than it takes.
#[test]
fn receivers_that_share_a_socket_get_everything_between_them() {
    let context = Context::new();
    let (pull, push) = pipe(&context, |_| {});
    const RECEIVERS: u64 = 3;
    for _ in 0..10 {
        let sum: u64 = thread::scope(|scope| {
            let receivers: Vec<_> = (0..RECEIVERS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut sum = 0;
                        loop {
                            match number(&pull.recv().expect("recv")) {
                                u64::MAX => return sum,
                                i => sum += i,
                            }
                        }
                    })
                })
                .collect();
            (0..MESSAGES).for_each(|i| push.send(&i.to_ne_bytes()).expect("send"));
            (0..RECEIVERS).for_each(|_| push.send(&u64::MAX.to_ne_bytes()).expect("send"));
            receivers.into_iter().map(|receiver| receiver.join().expect("receiver")).sum()
        });
        assert_eq!(sum, MESSAGES * (MESSAGES - 1) / 2);
    }
}

#[test]
fn polls_between_the_receives_of_a_stream_miss_nothing() {
    let context = Context::new();
    let (pull, push) = pipe(&context, |_| {});
    thread::scope(|scope| {
        scope.spawn(|| (0..MESSAGES).for_each(|i| push.send(&i.to_ne_bytes()).expect("send")));
        for i in 0..MESSAGES {
            if i % 7 == 0 {
                let mut items = [PollItem::socket(&pull, zlink::Events::IN)];
                assert_eq!(poll(&mut items, GUARD).expect("poll"), 1);
            }
            assert_eq!(number(&pull.recv().expect("recv")), i);
        }
    });
}

#[test]
fn a_sender_that_waits_for_an_answer_in_the_middle_of_a_stream_gets_it() {
    let context = Context::new();
    let (one, other) = (
        context.socket(SocketType::Pair).expect("socket"),
        context.socket(SocketType::Pair).expect("socket"),
    );
    for socket in [&one, &other] {
        socket.set_receive_timeout(GUARD).expect("option");
    }
    one.bind("inproc://answers").expect("bind");
    other.connect("inproc://answers").expect("connect");
    thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..MESSAGES {
                let message = one.recv().expect("recv");
                assert_eq!(number(&message), i);
                if i % 3001 == 3000 {
                    one.send(message).expect("send");
                }
            }
        });
        for i in 0..MESSAGES {
            other.send(&i.to_ne_bytes()).expect("send");
            if i % 3001 == 3000 {
                assert_eq!(number(&other.recv().expect("recv")), i);
            }
        }
    });
}
