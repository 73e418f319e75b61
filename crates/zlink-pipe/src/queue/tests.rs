use super::*;
use crate::buf::BufMut;
use crate::entry::Chunk;
use crate::{BY_REFERENCE, Cursor, LOCAL_BY_REFERENCE, Message, SharedFrames};

fn config(hwm: usize) -> QueueConfig {
    QueueConfig { hwm, ..QueueConfig::default() }
}

fn drain(queue: &Queue, cursor: &mut Cursor) -> Vec<(Vec<u8>, bool)> {
    let mut out = Vec::new();
    loop {
        let _ = cursor.refill(queue);
        let Some(message) = cursor.next_message() else { return out };
        out.push((message.to_vec(), message.more()));
    }
}

#[test]
fn messages_of_every_size_come_out_as_they_went_in() {
    let queue = Queue::new(config(0));
    let mut expected = Vec::new();
    for len in [0, 1, 33, 255, 256, 8191, BY_REFERENCE - 1, BY_REFERENCE, CHUNK_SIZE, 200_000] {
        let body: Vec<u8> = (0..len).map(|i| i as u8).collect();
        assert!(matches!(queue.push_one(&mut Body::Slice(&body)), Pushed::Queued | Pushed::Wake));
        expected.push((body, false));
    }
    assert_eq!(drain(&queue, &mut Cursor::new()), expected);
}

#[test]
fn a_multipart_message_is_invisible_until_its_last_part() {
    let queue = Queue::new(config(10));
    let mut staging = Staging::new();
    let large = vec![3; 100_000];
    for body in [&b"a"[..], &large, b"", b"z"] {
        assert!(queue.is_empty());
        let more = body != b"z";
        staging.add(&mut Body::Slice(body), more);
    }
    let _ = queue.push_staged(&mut staging);
    assert_eq!(queue.in_flight(), 1);
    let got = drain(&queue, &mut Cursor::new());
    let parts: Vec<_> = got.iter().map(|(body, more)| (body.len(), *more)).collect();
    assert_eq!(parts, [(1, true), (100_000, true), (0, true), (1, false)]);
}

#[test]
fn an_abandoned_multipart_message_leaves_no_trace() {
    let queue = Queue::new(config(10));
    let mut staging = Staging::new();
    staging.add(&mut Body::Slice(b"lost"), true);
    staging.add(&mut Body::Slice(&[0; 50_000]), true);
    staging.clear();
    staging.add(&mut Body::Slice(b"kept"), false);
    let _ = queue.push_staged(&mut staging);
    assert_eq!(drain(&queue, &mut Cursor::new()), [(b"kept".to_vec(), false)]);
}

#[test]
fn the_high_water_mark_counts_exactly() {
    let queue = Queue::new(config(4));
    for _ in 0..4 {
        assert_ne!(queue.push_one(&mut Body::Slice(b"x")), Pushed::Full);
    }
    assert_eq!(queue.push_one(&mut Body::Slice(b"x")), Pushed::Full);
    let mut cursor = Cursor::new();
    let _ = cursor.refill(&queue);
    cursor.skip();
    assert!(!queue.credit(cursor.take_credit()), "one free place of four is not worth a wake-up");
    assert!(queue.has_room());
    cursor.skip();
    assert!(queue.credit(cursor.take_credit()));
    assert_eq!((queue.in_flight(), queue.room()), (2, 2));
}

#[test]
fn credit_in_batches_counts_when_half_the_mark_has_left() {
    let queue = Queue::new(QueueConfig { credit: Credit::InBatches, ..config(5) });
    for _ in 0..5 {
        assert_ne!(queue.push_one(&mut Body::Slice(b"x")), Pushed::Full);
    }
    assert_eq!(queue.push_one(&mut Body::Slice(b"x")), Pushed::Full);
    assert!(!queue.credit(2) && !queue.has_room());
    assert_eq!((queue.in_flight(), queue.unacknowledged()), (3, 5));
    assert!(queue.credit(1) && queue.has_room());
    assert_eq!((queue.in_flight(), queue.unacknowledged()), (2, 2));
}

#[test]
fn credit_on_demand_counts_when_it_is_asked_for() {
    let queue = Queue::new(QueueConfig { credit: Credit::OnDemand, ..config(2) });
    queue.attach();
    let _ = queue.release(Holder::Producer, 0);
    for _ in 0..2 {
        assert_eq!(queue.push_one(&mut Body::Slice(b"written")), Pushed::Bypass);
        assert!(!queue.release(Holder::Producer, 1).unblocked);
    }
    assert_eq!(queue.push_one(&mut Body::Slice(b"too early")), Pushed::Full);
    assert!(queue.withholds_credit() && queue.collect_credit() && !queue.collect_credit());
    assert_eq!(queue.push_one(&mut Body::Slice(b"in time")), Pushed::Bypass);
    assert!(!queue.block(0) && queue.has_room());
    let _ = queue.push_one(&mut Body::Slice(b"waits"));
    assert_eq!(queue.push_one(&mut Body::Slice(b"too many")), Pushed::Full);
    assert!(!queue.withholds_credit(), "there is none");
    assert!(queue.credit(1), "who waits is told");
    assert!(!queue.withholds_credit(), "and has asked by waiting");
}

/// What a publisher does that drops a message only if there is no room: it asks again after a refusal.
#[test]
fn room_that_came_after_a_refusal_is_found() {
    let queue = Queue::new(QueueConfig { credit: Credit::OnDemand, ..config(2) });
    queue.attach();
    let fill = || (0..).take_while(|_| queue.push_one(&mut Body::Slice(b"x")) != Pushed::Full).count();
    assert_eq!(fill(), 2);
    assert!(queue.credit(2), "the I/O thread comes between");
    assert!(!queue.collect_credit(), "nothing is withheld any more");
    assert!(queue.has_room());
    assert_eq!(fill(), 2);
    assert!(!queue.has_room());
}

#[test]
fn a_slow_connection_makes_room_by_halves_of_the_mark() {
    let queue = Queue::new(QueueConfig { credit: Credit::OnDemand, ..config(10) });
    queue.attach();
    let _ = queue.block(0);
    let fill = || (0..).take_while(|_| queue.push_one(&mut Body::Slice(b"x")) != Pushed::Full).count();
    assert_eq!(fill(), 10);
    assert!(!queue.credit(4) && !queue.collect_credit() && !queue.has_room(), "less than half has left");
    assert!(queue.credit(3), "half and two more");
    assert_eq!((fill(), queue.in_flight(), queue.unacknowledged()), (5, 8, 10));
    assert!(queue.acquire());
    queue.take_for_write(&mut VecDeque::new(), &mut Vec::new());
    assert!(queue.release(Holder::Producer, 8).unblocked, "it has caught up");
    assert_eq!(queue.push_one(&mut Body::Slice(b"x")), Pushed::Bypass);
    assert!(!queue.release(Holder::Producer, 1).unblocked && queue.collect_credit());
}

#[test]
fn a_mark_that_is_lowered_withholds_nothing_for_ever() {
    for credit in [Credit::AtOnce, Credit::InBatches, Credit::OnDemand] {
        let queue = Queue::new(QueueConfig { credit, ..config(100) });
        for _ in 0..40 {
            let _ = queue.push_one(&mut Body::Slice(b"x"));
        }
        let _ = queue.credit(39);
        let _ = queue.set_hwm(2);
        let _ = queue.credit(1);
        assert!(queue.has_room(), "{credit:?}");
    }
}

#[test]
fn a_consumer_is_woken_once_per_sleep() {
    let queue = Queue::new(config(0));
    assert_eq!(queue.push_one(&mut Body::Slice(b"1")), Pushed::Wake);
    assert_eq!(queue.push_one(&mut Body::Slice(b"2")), Pushed::Queued);
    let mut cursor = Cursor::new();
    assert_eq!(drain(&queue, &mut cursor).len(), 2);
    assert_eq!(queue.push_one(&mut Body::Slice(b"3")), Pushed::Wake);
}

#[test]
fn an_idle_connection_is_bypassed_and_a_stream_is_gathered() {
    let queue = Queue::new(QueueConfig { batch_bytes: 100, ..config(0) });
    queue.attach();
    let _ = queue.release(Holder::Producer, 0);
    assert_eq!(queue.push_one(&mut Body::Slice(b"at once")), Pushed::Bypass);
    let _ = queue.release(Holder::Producer, 1);
    queue.set_streaming(true);
    assert_eq!(queue.push_one(&mut Body::Slice(&[0; 50])), Pushed::Wake);
    assert_eq!(queue.push_one(&mut Body::Slice(&[0; 50])), Pushed::Write);
    let (mut batch, mut spent) = (VecDeque::new(), Vec::new());
    queue.take_for_write(&mut batch, &mut spent);
    assert_eq!(batch.iter().map(Entry::messages).sum::<usize>(), 2);
    assert!(!queue.release(Holder::Producer, 2).more);
    assert_eq!(queue.in_flight(), 0);
}

#[test]
fn who_takes_a_batch_learns_which_limit_it_has_reached() {
    let queue = Queue::new(QueueConfig { batch_bytes: 100, batch_messages: 3, ..config(0) });
    queue.attach();
    let take = |sizes: &[usize]| {
        for size in sizes {
            let _ = queue.push_one(&mut Body::Slice(&vec![0; *size]));
        }
        queue.take_for_write(&mut VecDeque::new(), &mut Vec::new())
    };
    // With headers of two bytes.
    assert_eq!(take(&[97]), None);
    assert_eq!(take(&[98]), Some(Limit::Bytes));
    assert_eq!(take(&[]), None, "what was taken counts no more");
    assert_eq!(take(&[1, 1]), None);
    assert_eq!(take(&[1, 1, 1]), Some(Limit::Messages));
    assert_eq!(take(&[30, 30, 40]), Some(Limit::Bytes));
}

#[test]
fn a_watch_leaves_a_running_stream_to_its_producer_and_takes_over_a_stalled_one() {
    let queue = Queue::new(QueueConfig { batch_bytes: 100, ..config(0) });
    queue.attach();
    queue.set_streaming(true);
    let _ = queue.start_watch(0);
    assert_eq!(queue.push_one(&mut Body::Slice(&[0; 98])), Pushed::Write);
    let (mut batch, mut spent) = (VecDeque::new(), Vec::new());
    queue.take_for_write(&mut batch, &mut spent);
    let _ = queue.release(Holder::Producer, 1);
    assert_eq!(queue.push_one(&mut Body::Slice(b"rest")), Pushed::Watched);
    assert_eq!(queue.watch(false), Watch::Progress);
    assert_eq!(queue.watch(false), Watch::Stalled);
    batch.clear();
    queue.take_for_write(&mut batch, &mut spent);
    let _ = queue.release(Holder::Producer, 1);
    assert_eq!(queue.watch(false), Watch::Over);
    assert_eq!(queue.push_one(&mut Body::Slice(b"next")), Pushed::Bypass);
}

#[test]
fn a_patient_watch_gives_a_stream_some_looks_to_go_on() {
    let queue = Queue::new(config(0));
    queue.attach();
    queue.set_streaming(true);
    let (mut batch, mut spent) = (VecDeque::new(), Vec::new());
    let _ = queue.release(Holder::Producer, 0);
    let _ = queue.start_watch(0);
    for _ in 0..3 {
        for _ in 0..3 {
            assert_eq!(queue.watch(true), Watch::Progress);
        }
        // What comes meanwhile gathers, and the count begins anew.
        assert_eq!(queue.push_one(&mut Body::Slice(b"more")), Pushed::Watched);
        assert_eq!(queue.watch(true), Watch::Stalled);
        batch.clear();
        queue.take_for_write(&mut batch, &mut spent);
        let _ = queue.release(Holder::IoThread, 1);
        let _ = queue.start_watch(0);
    }
    for _ in 0..3 {
        assert_eq!(queue.watch(true), Watch::Progress);
    }
    assert_eq!(queue.watch(true), Watch::Over);
    assert_eq!(queue.push_one(&mut Body::Slice(b"next")), Pushed::Bypass);
}

#[test]
fn a_lost_connection_puts_the_unwritten_back_in_order() {
    let queue = Queue::new(config(0));
    queue.attach();
    for i in 0..5u8 {
        let _ = queue.push_one(&mut Body::Slice(&[i]));
    }
    let (mut batch, mut spent) = (VecDeque::new(), Vec::new());
    queue.take_for_write(&mut batch, &mut spent);
    let _ = queue.push_one(&mut Body::Slice(&[5]));
    // Two and a half of the three-byte frames went out.
    let gone = batch[0].rewind(7);
    let _ = queue.detach(gone, &mut batch);
    let bodies: Vec<u8> = drain(&queue, &mut Cursor::new()).iter().map(|(body, _)| body[0]).collect();
    assert_eq!(bodies, [2, 3, 4, 5]);
}

#[test]
fn conflation_keeps_the_newest_message_only() {
    let queue = Queue::new(QueueConfig { conflate: true, ..config(1) });
    for i in 0..5u8 {
        let _ = queue.push_one(&mut Body::Slice(&[i]));
    }
    assert_eq!(drain(&queue, &mut Cursor::new()), [(vec![4], false)]);
    let mut buf = BufMut::with_capacity(64);
    buf.extend_from_slice(&[0, 1, 7, 0, 1, 8]);
    let chunk = Chunk::new(buf.freeze(), 0, 6, 2);
    let _ = queue.push_entries(&mut VecDeque::from([Entry::whole(chunk)]));
    assert_eq!(drain(&queue, &mut Cursor::new()), [(vec![8], false)]);
    assert_eq!(queue.in_flight(), 0, "what was replaced counts no more");
}

#[test]
fn a_lent_body_is_passed_by_reference() {
    let queue = Queue::new(config(0));
    let mut message = Message::from(vec![1; 50_000]);
    let address = message.as_ptr();
    let _ = queue.push_one(&mut Body::Message(&mut message));
    assert!(message.is_empty());
    let mut cursor = Cursor::new();
    let _ = cursor.refill(&queue);
    assert_eq!(cursor.next_message().map(|m| m.as_ptr()), Some(address));
}

#[test]
fn a_message_within_the_process_is_not_copied_but_if_small() {
    let queue = Queue::new(QueueConfig { local: true, ..config(0) });
    for len in [LOCAL_BY_REFERENCE - 1, LOCAL_BY_REFERENCE, 10_000] {
        let mut message = Message::from(vec![1; len]);
        let address = message.as_ptr();
        let _ = queue.push_one(&mut Body::Message(&mut message));
        let mut cursor = Cursor::new();
        let _ = cursor.refill(&queue);
        let received = cursor.next_message().expect("a message");
        assert_eq!(received.len(), len);
        assert_eq!(received.as_ptr() == address, len >= LOCAL_BY_REFERENCE);
    }
}

#[test]
fn the_end_is_told_after_the_last_message() {
    let queue = Queue::new(config(0));
    let _ = queue.push_one(&mut Body::Slice(b"last"));
    assert!(!queue.end(), "the consumer was told already");
    let mut cursor = Cursor::new();
    assert!(!cursor.refill(&queue).ended);
    cursor.skip();
    assert!(cursor.refill(&queue).ended);
}

#[test]
fn a_producer_that_can_wait_does_behind_a_writer_with_much_to_do() {
    let queue = Queue::new(config(0));
    let body = vec![0; CHUNK_SIZE];
    let push = || assert_eq!(queue.push_one(&mut Body::Slice(&body)), Pushed::Queued);
    queue.attach();
    for _ in 0..DEEP / CHUNK_SIZE {
        assert!(!queue.is_deep());
        push();
    }
    assert!(queue.is_deep());
    // In vain, again and again.
    for allowed in [1, 2, 4] {
        queue.hurry();
        for _ in 0..allowed {
            assert!(!queue.is_deep());
            push();
        }
        assert!(queue.is_deep());
    }
    assert!(queue.block(1), "it waits for that");
    assert!(queue.is_deep());
    queue.hurry();
    assert!(!queue.is_deep() && queue.is_deep(), "one again, since a message was taken");
    assert!(queue.acquire());
    queue.take_for_write(&mut VecDeque::new(), &mut Vec::new());
    assert!(!queue.is_deep());
}

#[test]
fn a_producer_that_can_wait_does_until_there_is_a_connection_but_not_within_the_process() {
    for local in [false, true] {
        let queue = Queue::new(QueueConfig { local, ..config(0) });
        for _ in 0..DEEP / CHUNK_SIZE {
            assert!(!queue.is_deep());
            let _ = queue.push_one(&mut Body::Slice(&vec![0; CHUNK_SIZE]));
        }
        assert_eq!(queue.is_deep(), !local);
    }
}

/// A queue whose producer says that it is a stream.
fn streaming(hwm: usize) -> Queue {
    let queue = Queue::new(QueueConfig { local: true, ..config(hwm) });
    queue.set_streaming(true);
    queue
}

#[test]
fn a_napping_consumer_is_told_when_enough_has_gathered() {
    for (hwm, size, told_at) in [(0, 10, NAP), (1000, 10, 250), (0, BY_REFERENCE, NAP)] {
        let queue = streaming(hwm);
        let mut cursor = Cursor::new();
        let _ = cursor.refill(&queue);
        assert!(queue.begin_nap());
        let push = || queue.push_one(&mut Body::Slice(&vec![1; size]));
        for n in 1..told_at {
            assert_eq!(push(), Pushed::Queued, "message {n} with a mark of {hwm}");
        }
        assert_eq!(push(), Pushed::Wake);
        assert_eq!(push(), Pushed::Queued);
        assert!(!queue.end_nap(), "it was told");
        assert_eq!(drain(&queue, &mut cursor).len(), told_at + 1);
        assert_eq!(push(), Pushed::Wake, "the nap is over");
    }
}

#[test]
fn a_nap_that_ends_by_itself_finds_what_has_gathered() {
    let queue = streaming(0);
    let mut cursor = Cursor::new();
    let _ = cursor.refill(&queue);
    for _ in 0..2 {
        assert!(queue.begin_nap());
        for _ in 0..SHORTEST_NAP {
            assert_eq!(queue.push_one(&mut Body::Slice(b"x")), Pushed::Queued);
        }
        assert!(queue.end_nap());
        assert_eq!(queue.push_one(&mut Body::Slice(b"y")), Pushed::Queued, "it knows");
        assert!(!queue.begin_nap(), "there is something");
        assert_eq!(drain(&queue, &mut cursor).len(), SHORTEST_NAP + 1);
    }
    // The end is always told at once.
    assert!(queue.begin_nap());
    assert!(queue.end());
    assert!(!queue.end_nap() && !queue.begin_nap());
}

#[test]
fn a_nap_that_finds_little_is_the_last() {
    for found in [0, SHORTEST_NAP - 1] {
        let queue = streaming(0);
        let mut cursor = Cursor::new();
        let _ = cursor.refill(&queue);
        assert!(queue.begin_nap());
        for _ in 0..found {
            assert_eq!(queue.push_one(&mut Body::Slice(b"x")), Pushed::Queued);
        }
        assert_eq!(queue.end_nap(), found > 0);
        assert_eq!(drain(&queue, &mut cursor).len(), found);
        assert!(!queue.begin_nap());
        assert_eq!(queue.push_one(&mut Body::Slice(b"x")), Pushed::Wake);
    }
}

#[test]
fn small_marks_and_eager_pipes_know_no_naps() {
    for (hwm, forbidden) in [(1, false), (4 * SHORTEST_NAP - 1, false), (0, true), (1000, true)] {
        let queue = streaming(hwm);
        if forbidden {
            queue.forbid_naps();
        }
        let _ = Cursor::new().refill(&queue);
        assert!(!queue.begin_nap());
        assert_eq!(queue.push_one(&mut Body::Slice(b"x")), Pushed::Wake);
    }
}

#[test]
fn a_bypass_that_is_declined_gathers_until_the_last_message() {
    let queue = Queue::new(config(10));
    queue.attach();
    let _ = queue.release(Holder::IoThread, 0);
    let push = || queue.push_one(&mut Body::Slice(b"x"));
    assert_eq!(push(), Pushed::Bypass);
    assert!(queue.decline_bypass(3));
    assert_eq!((queue.in_flight(), queue.confirm()), (0, false));
    assert_eq!([push(), push(), push()], [Pushed::Wake, Pushed::Queued, Pushed::Write]);
    assert!(queue.confirm());
    let (mut batch, mut spent) = (VecDeque::new(), Vec::new());
    assert_eq!(queue.take_for_write(&mut batch, &mut spent), None);
    assert_eq!(queue.release(Holder::Producer, 3), Release::default());
    // The stream is over.
    assert_eq!(push(), Pushed::Bypass);
    assert!(queue.confirm());
    let _ = queue.release(Holder::Producer, 1);
    // Somebody else writes before: nobody can tell any more which is the last.
    assert_eq!(push(), Pushed::Bypass);
    assert!(queue.decline_bypass(3));
    assert_eq!([push(), push()], [Pushed::Wake, Pushed::Queued]);
    assert!(queue.acquire_gathered());
    let _ = queue.take_for_write(&mut batch, &mut spent);
    queue.leave_gathering();
    assert_eq!([push(), push(), push()], [Pushed::Queued; 3]);
}

#[test]
fn a_bypass_that_is_declined_when_the_connection_is_gone_is_queued() {
    let queue = Queue::new(config(10));
    queue.attach();
    let _ = queue.release(Holder::IoThread, 0);
    assert_eq!(queue.push_one(&mut Body::Slice(b"x")), Pushed::Bypass);
    let _ = queue.detach(0, &mut VecDeque::new());
    assert!(queue.decline_bypass(3));
    assert_eq!(queue.push_one(&mut Body::Slice(b"x")), Pushed::Wake);
    assert_eq!((queue.in_flight(), queue.writer()), (1, Writer::Detached));
}

#[test]
fn a_bypass_is_not_declined_where_messages_are_not_to_be_gathered() {
    let queue = Queue::new(QueueConfig { gather: Some(false), ..config(10) });
    queue.attach();
    let _ = queue.release(Holder::IoThread, 0);
    assert_eq!(queue.push_one(&mut Body::Slice(b"x")), Pushed::Bypass);
    assert!(!queue.decline_bypass(3));
    assert!(queue.confirm());
}

/// Messages and bytes of each entry.
fn pieces(batch: &VecDeque<Entry>) -> Vec<(usize, usize)> {
    batch.iter().map(|entry| (entry.messages(), entry.len())).collect()
}

/// What a consumer or a producer does to a queue, and what it learns by it.
fn step(queue: &Queue, op: u8, argument: u8, socket: bool, batch: &mut VecDeque<Entry>) -> String {
    let n = usize::from(argument);
    let (mut spent, busy) = (Vec::new(), queue.writer() == Writer::Busy);
    let credit = if [0, 8, 10, 11, 13, 14].contains(&op) {
        batch.drain(..).map(|entry| entry.messages()).sum()
    } else {
        0
    };
    match op {
        1 => format!("{}", queue.begin_nap()),
        2 => format!("{}", queue.end_nap()),
        3 => format!("{}", queue.set_hwm([0, 3, 64, 300, 1000][n % 5])),
        4 => format!("{:?}", queue.set_streaming(n > 40)),
        5 => format!("{:?}", queue.set_last(queue.in_flight() + n % 8)),
        6 => format!("{:?}", queue.check_room()),
        7 => format!("{} {}", queue.collect_credit(), queue.has_room()),
        12 if socket => format!("{}", queue.begin_rest(10 * n, argument & 1 == 0)),
        15 if socket => format!("{:?}", queue.end_rest()),
        0 if socket => format!("{:?} {:?}", queue.take(batch, &mut spent, credit), pieces(batch)),
        _ if socket => format!("{}", queue.credit(credit)),
        0 | 8 => format!("{} {}", queue.clear(), queue.acquire()),
        9 if busy => format!("{:?} {:?}", queue.take_for_write(batch, &mut spent), pieces(batch)),
        10 if busy => format!("{:?}", queue.release(Holder::Producer, credit)),
        11 if busy => format!("{:?} {:?}", queue.start_watch(credit), queue.watch(n > 99)),
        13 if busy => format!("{}", queue.block(credit)),
        14 => format!("{:?} {:?}", queue.detach(credit, &mut VecDeque::new()), queue.attach()),
        _ => format!("{}", queue.acquire_idle()),
    }
}

#[test]
fn a_producer_that_rests_is_told_when_what_there_is_was_taken() {
    let queue = Queue::new(config(0));
    let mut cursor = Cursor::new();
    let push =
        || assert!(matches!(queue.push_one(&mut Body::Slice(&[1; 98])), Pushed::Queued | Pushed::Wake));
    push();
    assert!(!queue.begin_rest(101, true), "a frame of 100 bytes");
    assert!(!cursor.refill(&queue).unblocked);
    assert_eq!(queue.untaken(), 0);
    push();
    assert!(queue.begin_rest(100, true));
    // What was taken before is not through.
    assert!(!cursor.refill(&queue).unblocked);
    assert!(cursor.next_message().is_some());
    assert!(cursor.refill(&queue).unblocked);
    assert!(cursor.next_message().is_some());
    assert!(!cursor.refill(&queue).unblocked, "once");
    for told in [false, true] {
        push();
        assert!(queue.begin_rest(100, told));
        queue.end_rest();
        assert!(!cursor.refill(&queue).unblocked, "it rests no longer");
        assert!(cursor.next_message().is_some());
    }
    push();
    assert!(queue.begin_rest(100, false));
    assert!(!cursor.refill(&queue).unblocked, "not to be told");
}

proptest::proptest! {
    #[test]
    fn what_is_foreseen_comes_to_the_same(
        flags in proptest::prelude::any::<u8>(),
        direct in proptest::prelude::any::<bool>(),
        batch_bytes in proptest::sample::select(vec![50, 2000, CHUNK_SIZE]),
        ops in proptest::collection::vec((0..200_u8, proptest::prelude::any::<u8>()), 1..600),
    ) {
        let socket = flags & 1 != 0;
        let conflate = flags & 0xf0 == 0x10;
        let config = QueueConfig {
            hwm: [0, 7, 100, 1000][usize::from(flags >> 1) & 3],
            credit: [Credit::AtOnce, Credit::InBatches, Credit::OnDemand, Credit::OnDemand][usize::from(flags >> 3) & 3],
            local: socket,
            conflate,
            direct,
            gather: [None, None, Some(false), Some(true)][usize::from(flags >> 5) & 3],
            batch_bytes,
            batch_messages: if flags & 0x80 != 0 { 5 } else { 0 },
        };
        let [quick, plain] = [Queue::new(config), Queue::new(config)];
        let [mut left, mut right] = [VecDeque::new(), VecDeque::new()];
        for queue in [&quick, &plain] {
            // A stream is on, and whoever reads it naps.
            queue.set_streaming(true);
            if socket {
                queue.begin_nap();
            } else {
                queue.attach();
                let _ = queue.release(Holder::Producer, 0);
            }
        }
        let mut frames = SharedFrames::new();
        for (op, argument) in ops {
            // Mostly pushes, nearly all of them small; some are of what goes to other queues too.
            let len = if argument < 250 { usize::from(argument) } else { 300 << (argument - 250) };
            let body = vec![argument; len];
            let shared = (op >= 100 && frames.takes(&body)).then(|| frames.add(&body, false)).flatten();
            let told = [(&quick, &mut left), (&plain, &mut right)].map(|(queue, batch)| {
                if op < 16 {
                    return step(queue, op, argument, socket, batch);
                }
                let mut body = shared.as_ref().map_or(Body::Slice(&body), Body::Shared);
                format!("{:?}", queue.push_one(&mut body))
            });
            proptest::prop_assert_eq!(&told[0], &told[1]);
            let _ = plain.state();
            let seen = |queue: &Queue| (queue.in_flight(), queue.untaken(), queue.unacknowledged(), queue.writer());
            proptest::prop_assert_eq!(seen(&quick), seen(&plain));
        }
    }
}
