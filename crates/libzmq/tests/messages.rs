//! The life of a `zmq_msg_t`.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::api::*;

mod common;

with_each_library! {
    a_sized_message_holds_what_the_caller_writes,
    a_copy_that_there_is_no_memory_for_is_enomem,
    a_size_that_no_machine_has_is_enomem,
    a_size_that_no_machine_has_is_room_enough,
    lent_memory_is_given_back_once_when_the_message_is_closed,
    lent_and_copied_bodies_arrive_whole_and_in_order,
    lent_memory_is_given_back_once_after_the_last_copy,
    lent_memory_is_given_back_once_by_a_receiver_in_the_same_process,
    lent_memory_is_kept_until_it_is_written,
    lent_memory_is_the_receivers_in_the_same_process,
    lent_memory_is_given_back_once_after_the_last_of_several_receivers,
    memory_without_a_release_function_stays_the_callers,
    properties_that_are_not_there_are_einval,
    parts_tell_whether_another_follows,
    vectors_travel_as_parts,
}

/// Sizes inside the message, in memory of its own, and so large that it travels by reference.
const SIZES: [usize; 7] = [0, 1, 40, 41, 4096, 100_000, 3 << 20];

unsafe extern "C" fn count_release(_data: *mut c_void, hint: *mut c_void) {
    // SAFETY: all tests pass a counter that outlives its messages.
    unsafe { &*hint.cast::<AtomicUsize>() }.fetch_add(1, Ordering::SeqCst);
}

fn lent(body: &mut [u8], releases: &AtomicUsize) -> Msg {
    let mut message = Msg::none();
    let hint = ptr::from_ref(releases).cast_mut().cast();
    assert_done(zmq!(zmq_msg_init_data(
        &mut message,
        body.as_mut_ptr().cast(),
        body.len(),
        Some(count_release),
        hint
    )));
    message
}

fn bytes(message: &mut Msg) -> Vec<u8> {
    let size = zmq!(zmq_msg_size(message));
    if size == 0 {
        return Vec::new();
    }
    let data = zmq!(zmq_msg_data(message)).cast::<u8>();
    // SAFETY: the body of a live message.
    unsafe { std::slice::from_raw_parts(data, size) }.to_vec()
}

fn message_of(body: &[u8]) -> Msg {
    let mut message = Msg::none();
    assert_done(zmq!(zmq_msg_init_buffer(&mut message, body.as_ptr().cast(), body.len())));
    message
}

fn a_sized_message_holds_what_the_caller_writes() {
    for size in SIZES {
        let mut message = Msg::none();
        assert_done(zmq!(zmq_msg_init_size(&mut message, size)));
        let body: Vec<u8> = (0..size).map(|i| i as u8).collect();
        let data = zmq!(zmq_msg_data(&mut message)).cast::<u8>();
        // SAFETY: the message has room for `size` bytes.
        unsafe { ptr::copy_nonoverlapping(body.as_ptr(), data, size) };
        assert!(bytes(&mut message) == body, "{size} bytes");
        assert_eq!((zmq!(zmq_msg_more(&message)), zmq!(zmq_msg_get(&message, 1))), (0, 0));
        assert_done(zmq!(zmq_msg_close(&mut message)));
    }
}

fn a_size_that_no_machine_has_is_enomem() {
    for size in [usize::MAX, isize::MAX as usize, 1 << 60] {
        let mut message = Msg::none();
        assert_fails(zmq!(zmq_msg_init_size(&mut message, size)), -1, ENOMEM);
    }
    let context = Context::new();
    let (_pull, push) = context.pair(PULL, PUSH, "inproc://size");
    for size in [usize::MAX, isize::MAX as usize, 1 << 60] {
        assert_fails(zmq!(zmq_send(push.0, b"x".as_ptr().cast(), size, 0)), -1, ENOMEM);
    }
}

/// More address space than a machine has memory, which is the caller's all the same.
fn a_copy_that_there_is_no_memory_for_is_enomem() {
    const SIZE: usize = 1 << 46;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a fresh mapping, given back below.
    let memory = unsafe { libc::mmap(ptr::null_mut(), SIZE, libc::PROT_READ, flags, -1, 0) };
    assert_ne!(memory, libc::MAP_FAILED);
    let context = Context::new();
    for endpoint in ["inproc://copy", "tcp://127.0.0.1:*"] {
        let (_pull, push) = context.pair(PULL, PUSH, endpoint);
        assert_fails(zmq!(zmq_send(push.0, memory, SIZE, 0)), -1, ENOMEM);
        let mut vector = [memory.expose_provenance(), SIZE];
        assert_fails(zmq!(zmq_sendiov(push.0, &mut vector, 1, 0)), -1, ENOMEM);
    }
    let mut message = Msg::none();
    assert_fails(zmq!(zmq_msg_init_buffer(&mut message, memory, SIZE)), -1, ENOMEM);
    // SAFETY: mapped above.
    assert_eq!(unsafe { libc::munmap(memory, SIZE) }, 0);
}

fn a_size_that_no_machine_has_is_room_enough() {
    let context = Context::new();
    let (pull, push) = context.pair(PULL, PUSH, "inproc://room");
    push.send(b"what comes", 0);
    let mut buffer = [0u8; 10];
    assert_eq!(zmq!(zmq_recv(pull.0, buffer.as_mut_ptr().cast(), usize::MAX, 0)), 10);
    assert_eq!(&buffer, b"what comes");
}

fn lent_memory_is_given_back_once_when_the_message_is_closed() {
    for size in SIZES {
        let (mut body, releases) = (vec![1; size], AtomicUsize::new(0));
        let mut message = lent(&mut body, &releases);
        assert_eq!(releases.load(Ordering::SeqCst), 0);
        assert_done(zmq!(zmq_msg_close(&mut message)));
        assert_eq!(releases.load(Ordering::SeqCst), 1, "{size} bytes");
        assert_fails(zmq!(zmq_msg_close(&mut message)), -1, EFAULT);
        assert_eq!(releases.load(Ordering::SeqCst), 1, "{size} bytes");
    }
}

fn lent_memory_is_given_back_once_after_the_last_copy() {
    let (mut body, releases) = (vec![1; 100], AtomicUsize::new(0));
    let mut first = lent(&mut body, &releases);
    let mut second = message_of(b"replaced");
    assert_done(zmq!(zmq_msg_copy(&mut second, &mut first)));
    assert_eq!((zmq!(zmq_msg_get(&first, 3)), zmq!(zmq_msg_get(&second, 3))), (1, 1));
    assert_done(zmq!(zmq_msg_close(&mut first)));
    assert_eq!(releases.load(Ordering::SeqCst), 0);
    assert_eq!(bytes(&mut second), [1; 100]);
    assert_done(zmq!(zmq_msg_close(&mut second)));
    assert_eq!(releases.load(Ordering::SeqCst), 1);
}

fn lent_memory_is_given_back_once_by_a_receiver_in_the_same_process() {
    let context = Context::new();
    for endpoint in ["inproc://lent", "tcp://127.0.0.1:*"] {
        let (pull, push) = context.pair(PULL, PUSH, endpoint);
        for size in SIZES {
            let (mut body, releases) = (vec![7; size], AtomicUsize::new(0));
            let mut message = lent(&mut body, &releases);
            assert_eq!(zmq!(zmq_msg_send(&mut message, push.0, 0)) as usize, size, "errno {}", errno());
            assert_eq!(zmq!(zmq_msg_size(&message)), 0, "a sent message is empty");
            let mut received = Msg::none();
            assert_done(zmq!(zmq_msg_init(&mut received)));
            assert_eq!(zmq!(zmq_msg_recv(&mut received, pull.0, 0)) as usize, size, "errno {}", errno());
            assert!(bytes(&mut received) == vec![7; size]);
            assert_done(zmq!(zmq_msg_close(&mut received)));
            // A connection may hold the memory until its thread has seen it written.
            while releases.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            assert_done(zmq!(zmq_msg_close(&mut message)));
            assert_eq!(releases.load(Ordering::SeqCst), 1, "{size} bytes over {endpoint}");
        }
    }
}

fn received(from: &Socket) -> Msg {
    let mut message = Msg::none();
    assert_done(zmq!(zmq_msg_init(&mut message)));
    assert!(zmq!(zmq_msg_recv(&mut message, from.0, 0)) >= 0, "errno {}", errno());
    message
}

/// As jupyter_client's tests have it: what was lent is in use until the receiver is done with it, however small it is
/// and whatever it is sent with.
fn lent_memory_is_the_receivers_in_the_same_process() {
    let context = Context::new();
    let (there, here) = context.pair(PAIR, PAIR, "inproc://lent");
    for size in SIZES {
        let (mut body, releases) = (vec![7; size], AtomicUsize::new(0));
        let (lent_at, parts) = (body.as_ptr(), [vec![1; 10], vec![2; 300]]);
        for alone in [true, false] {
            if !alone {
                here.send(&parts[0], SNDMORE);
            }
            let mut message = lent(&mut body, &releases);
            let flags = if alone { 0 } else { SNDMORE };
            assert_eq!(zmq!(zmq_msg_send(&mut message, here.0, flags)) as usize, size, "errno {}", errno());
            if !alone {
                here.send(&parts[1], 0);
                assert_eq!(there.recv(), parts[0]);
            }
            assert_eq!(releases.load(Ordering::SeqCst), 0, "{size} bytes, not received yet");
            let mut message = received(&there);
            assert_eq!((zmq!(zmq_msg_size(&message)), zmq!(zmq_msg_more(&message))), (size, flags / SNDMORE));
            assert_eq!(zmq!(zmq_msg_data(&mut message)).cast_const().cast(), lent_at);
            assert_eq!(releases.load(Ordering::SeqCst), 0, "{size} bytes, received");
            assert_done(zmq!(zmq_msg_close(&mut message)));
            assert_eq!(releases.swap(0, Ordering::SeqCst), 1, "{size} bytes, done with");
            if !alone {
                assert_eq!(there.recv(), parts[1]);
            }
        }
    }
}

fn lent_memory_is_given_back_once_after_the_last_of_several_receivers() {
    let context = Context::new();
    let publisher = context.socket(XPUB);
    publisher.bind("inproc://lent");
    let subscribers = [context.socket(XSUB), context.socket(XSUB), context.socket(XSUB)];
    publisher.set(XPUB_VERBOSE, 1);
    for subscriber in &subscribers {
        subscriber.connect("inproc://lent");
        subscriber.send(b"\x01", 0);
        assert_eq!(publisher.recv(), b"\x01");
    }
    for size in SIZES {
        let (mut body, releases) = (vec![7; size], AtomicUsize::new(0));
        let mut message = lent(&mut body, &releases);
        assert_eq!(zmq!(zmq_msg_send(&mut message, publisher.0, 0)) as usize, size, "errno {}", errno());
        let mut messages = subscribers.each_ref().map(received);
        for message in &mut messages {
            assert_eq!(releases.load(Ordering::SeqCst), 0, "{size} bytes");
            assert!(bytes(message) == vec![7; size]);
            assert_done(zmq!(zmq_msg_close(message)));
        }
        assert_eq!(releases.load(Ordering::SeqCst), 1, "{size} bytes");
    }
}

/// With a peer or without one, of any size, alone or as a part: as long as it is not written it is not given back.
fn lent_memory_is_kept_until_it_is_written() {
    let context = Context::new();
    let push = context.socket(PUSH);
    let endpoint = format!("ipc://@kept-until-written-{}", std::process::id());
    push.connect(&endpoint);
    let mut bodies = [vec![1; 9], vec![2; 9], vec![3; 4096], vec![4; 40_000]];
    let releases = bodies.each_ref().map(|_| AtomicUsize::new(0));
    let count = || releases.each_ref().map(|count| count.load(Ordering::SeqCst));
    for (i, body) in bodies.iter_mut().enumerate() {
        let (size, flags) = (body.len() as i32, if i == 0 { SNDMORE } else { 0 });
        let mut message = lent(body, &releases[i]);
        assert_eq!(zmq!(zmq_msg_send(&mut message, push.0, flags)), size, "errno {}", errno());
    }
    assert_eq!(count(), [0; 4]);
    let pull = context.socket(PULL);
    pull.bind(&endpoint);
    for body in [vec![1; 9], vec![2; 9], vec![3; 4096], vec![4; 40_000]] {
        assert_eq!(pull.recv(), body);
    }
    drop((push, pull, context));
    assert_eq!(count(), [1; 4]);
}

/// Through a connection that takes little at a time: lent, copied, small, large, alone and as parts.
fn lent_and_copied_bodies_arrive_whole_and_in_order() {
    const COUNT: usize = 2000;
    let context = Context::new();
    let push = context.socket(PUSH);
    push.set(SNDHWM, 0);
    push.set(SNDBUF, 4096);
    let endpoint = format!("ipc://@whole-and-in-order-{}", std::process::id());
    push.connect(&endpoint);
    let body = |i: usize| vec![i as u8; [0, 9, 1022, 1023, 1100, 300, 20_000, 1][i / 3 % 8]];
    let mut bodies: Vec<_> = (0..COUNT).map(body).collect();
    let releases = AtomicUsize::new(0);
    let mut lent_ones = 0;
    for (i, body) in bodies.iter_mut().enumerate() {
        let flags = if i % 7 < 2 { SNDMORE } else { 0 };
        if i % 5 == 0 {
            push.send(body, flags);
            continue;
        }
        lent_ones += 1;
        let size = body.len() as i32;
        let mut message = lent(body, &releases);
        assert_eq!(zmq!(zmq_msg_send(&mut message, push.0, flags)), size, "errno {}", errno());
    }
    let pull = context.socket(PULL);
    pull.bind(&endpoint);
    for i in 0..COUNT {
        let arrived = pull.recv();
        assert!(arrived == body(i), "body {i}: {} bytes, {:?} first", arrived.len(), arrived.first());
        assert_eq!(pull.get(RCVMORE) != 0, i % 7 < 2);
    }
    drop((push, pull, context));
    assert_eq!(releases.load(Ordering::SeqCst), lent_ones);
}

fn memory_without_a_release_function_stays_the_callers() {
    let mut body = vec![5; 100];
    let mut message = Msg::none();
    let data = body.as_mut_ptr().cast();
    assert_done(zmq!(zmq_msg_init_data(&mut message, data, body.len(), None, ptr::null_mut())));
    assert_eq!(zmq!(zmq_msg_data(&mut message)), data);
    assert_done(zmq!(zmq_msg_close(&mut message)));
    assert_eq!(body, [5; 100]);
}

#[test]
fn a_moved_message_leaves_an_empty_one_and_releases_what_was_there() {
    let (mut body, releases) = (vec![1; 100], AtomicUsize::new(0));
    let mut target = lent(&mut body, &releases);
    let mut source = message_of(&[9; 500]);
    assert_done(zmq!(zmq_msg_move(&mut target, &mut source)));
    assert_eq!(releases.load(Ordering::SeqCst), 1);
    assert_eq!((bytes(&mut target), bytes(&mut source)), (vec![9; 500], vec![]));
    let target = &raw mut target;
    assert_done(zmq!(zmq_msg_move(target, target)));
    assert_done(zmq!(zmq_msg_copy(target, target)));
    assert_eq!(zmq!(zmq_msg_size(target)), 500);
    assert_done(zmq!(zmq_msg_close(target)));
    assert_done(zmq!(zmq_msg_close(&mut source)));
}

#[test]
fn a_failed_send_leaves_the_message_and_a_failed_receive_too() {
    let context = Context::new();
    let (push, pull) = (context.socket(PUSH), context.socket(PULL));
    for size in SIZES {
        let mut message = message_of(&vec![3; size]);
        assert_fails(zmq!(zmq_msg_send(&mut message, push.0, DONTWAIT)), -1, EAGAIN);
        assert_fails(zmq!(zmq_msg_send(&mut message, pull.0, 0)), -1, ENOTSUP);
        assert_fails(zmq!(zmq_msg_recv(&mut message, pull.0, DONTWAIT)), -1, EAGAIN);
        assert!(bytes(&mut message) == vec![3; size]);
        assert_done(zmq!(zmq_msg_close(&mut message)));
    }
}

#[test]
fn what_is_no_message_is_efault_everywhere() {
    let context = Context::new();
    let pair = context.socket(PAIR);
    let mut good = message_of(b"good");
    let closed = || {
        let mut message = message_of(&[1; 100]);
        assert_done(zmq!(zmq_msg_close(&mut message)));
        message
    };
    for (mut place, null) in [(Msg::none(), false), (closed(), false), (Msg::none(), true)] {
        let bad: *mut Msg = if null { ptr::null_mut() } else { &mut place };
        assert_fails(zmq!(zmq_msg_close(bad)), -1, EFAULT);
        assert_fails(zmq!(zmq_msg_send(bad, pair.0, DONTWAIT)), -1, EFAULT);
        assert_fails(zmq!(zmq_msg_recv(bad, pair.0, DONTWAIT)), -1, EFAULT);
        assert_fails(zmq!(zmq_msg_move(bad, &mut good)), -1, EFAULT);
        assert_fails(zmq!(zmq_msg_move(&mut good, bad)), -1, EFAULT);
        assert_fails(zmq!(zmq_msg_copy(bad, &mut good)), -1, EFAULT);
        assert_fails(zmq!(zmq_msg_copy(&mut good, bad)), -1, EFAULT);
        assert_fails(zmq!(zmq_msg_get(bad, 1)), -1, EFAULT);
        assert_fails(zmq!(zmq_msg_size(bad)), 0, EFAULT);
        assert_fails(zmq!(zmq_msg_data(bad)), ptr::null_mut(), EFAULT);
        assert_fails(zmq!(zmq_msg_gets(bad, c"Identity".as_ptr())), ptr::null(), EFAULT);
        assert_fails(zmq!(zmq_msg_set_routing_id(bad, 1)), -1, EFAULT);
    }
    for init in [zmq!(zmq_msg_init(ptr::null_mut())), zmq!(zmq_msg_init_size(ptr::null_mut(), 10))] {
        assert_fails(init, -1, EFAULT);
    }
    assert_fails(zmq!(zmq_msg_init_buffer(&mut Msg::none(), ptr::null(), 1)), -1, EFAULT);
    assert_eq!(bytes(&mut good), b"good");
    assert_done(zmq!(zmq_msg_close(&mut good)));
}

fn properties_that_are_not_there_are_einval() {
    let mut message = message_of(b"x");
    assert_fails(zmq!(zmq_msg_get(&message, 99)), -1, EINVAL);
    assert_fails(zmq!(zmq_msg_set(&mut message, 1, 1)), -1, EINVAL);
    assert_fails(zmq!(zmq_msg_gets(&message, c"Socket-Type".as_ptr())), ptr::null(), EINVAL);
    assert_fails(zmq!(zmq_msg_gets(&message, ptr::null())), ptr::null(), EINVAL);
    assert_fails(zmq!(zmq_msg_set_routing_id(&mut message, 0)), -1, EINVAL);
    assert_done(zmq!(zmq_msg_set_routing_id(&mut message, 77)));
    assert_eq!(zmq!(zmq_msg_routing_id(&mut message)), 77);
    assert_done(zmq!(zmq_msg_close(&mut message)));
}

#[test]
fn strings_of_a_message_live_as_long_as_it_or_its_connection() {
    let context = Context::new();
    let (pull, push) = context.pair(PULL, PUSH, "tcp://127.0.0.1:*");
    push.send(b"hello", 0);
    let mut message = Msg::none();
    assert_done(zmq!(zmq_msg_init(&mut message)));
    assert_eq!(zmq!(zmq_msg_recv(&mut message, pull.0, 0)), 5);
    let first = zmq!(zmq_msg_gets(&message, c"Socket-Type".as_ptr()));
    let second = zmq!(zmq_msg_gets(&message, c"socket-type".as_ptr()));
    assert_eq!((text(first).as_str(), first), ("PUSH", second));
    let mut moved = Msg::none();
    assert_done(zmq!(zmq_msg_init(&mut moved)));
    assert_done(zmq!(zmq_msg_move(&mut moved, &mut message)));
    assert_eq!(text(first), "PUSH");
    let mut copy = Msg::none();
    assert_done(zmq!(zmq_msg_init(&mut copy)));
    assert_done(zmq!(zmq_msg_copy(&mut copy, &mut moved)));
    assert_done(zmq!(zmq_msg_close(&mut moved)));
    assert_done(zmq!(zmq_msg_close(&mut message)));
    assert_eq!(text(first), "PUSH");
    drop((pull, push));
    assert_eq!(text(zmq!(zmq_msg_gets(&copy, c"Socket-Type".as_ptr()))), "PUSH");
    assert_done(zmq!(zmq_msg_close(&mut copy)));
}

fn parts_tell_whether_another_follows() {
    let context = Context::new();
    let (pull, push) = context.pair(PULL, PUSH, "inproc://parts");
    push.send(b"one", SNDMORE);
    push.send(b"two", 0);
    let mut message = Msg::none();
    assert_done(zmq!(zmq_msg_init(&mut message)));
    for more in [1, 0] {
        assert_eq!(zmq!(zmq_msg_recv(&mut message, pull.0, 0)), 3);
        assert_eq!((zmq!(zmq_msg_more(&message)), pull.get(RCVMORE)), (more, more));
    }
    assert_done(zmq!(zmq_msg_close(&mut message)));
}

fn vectors_travel_as_parts() {
    let context = Context::new();
    let (pull, push) = context.pair(PULL, PUSH, "inproc://vectors");
    let bodies = [vec![1u8; 3], vec![], vec![2; 5000]];
    let mut vectors = bodies.each_ref().map(|body| [body.as_ptr() as usize, body.len()]);
    assert_eq!(zmq!(zmq_sendiov(push.0, vectors.as_mut_ptr(), 3, SNDMORE)), 5000);
    let mut received = [[0; 2]; 8];
    let mut count = 8;
    assert_eq!(zmq!(zmq_recviov(pull.0, received.as_mut_ptr(), &mut count, 0)), 3, "errno {}", errno());
    assert_eq!(count, 3);
    for ([data, len], body) in received.into_iter().zip(&bodies) {
        let data = ptr::with_exposed_provenance_mut::<u8>(data);
        // SAFETY: memory of `len` bytes that the library allocated for us, to be given back.
        unsafe {
            assert_eq!(std::slice::from_raw_parts(data, len), body);
            libc::free(data.cast());
        }
    }
    let mut none = 0;
    assert_fails(zmq!(zmq_sendiov(push.0, ptr::null_mut(), 1, 0)), -1, EINVAL);
    assert_fails(zmq!(zmq_sendiov(push.0, vectors.as_mut_ptr(), 0, 0)), -1, EINVAL);
    assert_fails(zmq!(zmq_recviov(pull.0, received.as_mut_ptr(), &mut none, 0)), -1, EINVAL);
    assert_fails(zmq!(zmq_recviov(pull.0, received.as_mut_ptr(), ptr::null_mut(), 0)), -1, EINVAL);
}
