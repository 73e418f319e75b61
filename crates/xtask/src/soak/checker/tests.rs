use super::super::message::Sizes;
use super::*;

const STREAM: Stream = Stream(77);
const SIDE_BY_SIDE: Promise = Promise::Runs { side_by_side: true };
const IN_ORDER: Promise = Promise::Runs { side_by_side: false };

fn head(number: u64) -> Head {
    Head { topic: 0, sizes: Sizes::Small, last: false, mark: 0, stream: STREAM, number }
}

/// What comes of these numbers, one after the other.
fn faults(promise: Promise, numbers: impl IntoIterator<Item = u64>) -> Vec<Fault> {
    let mut checker = Checker::new(promise);
    numbers.into_iter().filter_map(|number| checker.accept(&head(number).parts()).err()).collect()
}

fn lost(from: u64, to: u64) -> Fault {
    Fault::Lost { stream: STREAM, from, to }
}

fn doubled(number: u64) -> Fault {
    Fault::Doubled { stream: STREAM, number }
}

fn reordered(number: u64, after: u64) -> Fault {
    Fault::Reordered { stream: STREAM, number, after }
}

#[test]
fn what_comes_in_order_keeps_every_promise() {
    for promise in [Promise::Whole, Promise::Run { also: 0 }, SIDE_BY_SIDE, IN_ORDER, Promise::Rising] {
        assert_eq!(faults(promise, 0..200), []);
    }
}

#[test]
fn a_lost_message_is_found_once_where_none_may_be() {
    for promise in [Promise::Whole, Promise::Run { also: 0 }] {
        assert_eq!(faults(promise, [0, 1, 2, 5, 6, 7]), [lost(3, 5)]);
    }
    assert_eq!(faults(Promise::Whole, [4, 5, 6]), [lost(0, 4)]);
    assert_eq!(faults(Promise::Run { also: 0 }, [4, 5, 6]), []);
    assert_eq!(faults(Promise::Run { also: 1 }, [4, 5, 7, 8, 10]), [lost(9, 10)]);
    for promise in [SIDE_BY_SIDE, IN_ORDER, Promise::Rising] {
        assert_eq!(faults(promise, [3, 5, 6, 9]), []);
    }
}

#[test]
fn a_doubled_message_is_found_whatever_the_promise() {
    for promise in [Promise::Whole, Promise::Run { also: 0 }, SIDE_BY_SIDE, IN_ORDER, Promise::Rising] {
        assert_eq!(faults(promise, [0, 1, 2, 2, 3, 1, 4]), [doubled(2), doubled(1)], "{promise:?}");
    }
}

#[test]
fn a_reordered_message_is_found_where_order_is_promised() {
    for promise in [Promise::Run { also: 9 }, IN_ORDER, Promise::Rising] {
        assert_eq!(faults(promise, [0, 1, 3, 2, 4]), [reordered(2, 3)], "{promise:?}");
    }
    assert_eq!(faults(Promise::Whole, [0, 1, 3, 2, 4]), [lost(2, 3), reordered(2, 3)]);
}

#[test]
fn runs_side_by_side_mix_and_are_counted() {
    let mut checker = Checker::new(SIDE_BY_SIDE);
    // Two connections: 0..5 and 7..10, of which the second is read while the first still holds something.
    for number in [0, 1, 7, 2, 8, 3, 9, 4] {
        checker.accept(&head(number).parts()).expect("each connection's are in order");
    }
    assert_eq!((checker.counts().runs, checker.lost()), (2, 2));
    // One that changes places within its connection counts as a connection more.
    let mut checker = Checker::new(SIDE_BY_SIDE);
    for number in [0, 1, 3, 2, 4] {
        checker.accept(&head(number).parts()).expect("it could have been another connection's");
    }
    assert_eq!((checker.counts().runs, checker.lost()), (2, 0));
    // A run that has reached the next one is over.
    assert_eq!(faults(SIDE_BY_SIDE, [0, 2, 1, 2, 3]), [doubled(2)]);
}

#[test]
fn late_ones_are_found_however_many_runs_there_were() {
    let mut numbers: Vec<u64> = (0..1000).map(|number| number * 2).collect();
    numbers.extend([2, 1]);
    assert_eq!(faults(IN_ORDER, numbers), [reordered(2, 1998), reordered(1, 1998)]);
}

#[test]
fn more_gaps_may_be_allowed() {
    let mut checker = Checker::new(Promise::Run { also: 0 });
    checker.accept(&head(3).parts()).expect("it may begin anywhere");
    checker.allow_gap(|stream| stream == STREAM);
    checker.accept(&head(9).parts()).expect("it is allowed");
    checker.accept(&head(12).parts()).expect("another one is");
    assert_eq!(checker.accept(&head(15).parts()), Err(lost(13, 15)));
}

#[test]
fn damage_is_told() {
    let mut parts = head(0).parts();
    let last = parts.last_mut().expect("there is one").to_mut();
    last.push(0);
    let found = Checker::new(Promise::Rising).accept(&parts);
    assert!(matches!(found, Err(Fault::Damaged(Damage::Length { .. }))), "{found:?}");
}

#[test]
fn nothing_comes_after_the_last() {
    let mut checker = Checker::new(Promise::Whole);
    checker.accept(&Head { last: true, ..head(0) }.parts()).expect("it is whole");
    assert_eq!(checker.accept(&head(1).parts()), Err(Fault::AfterTheEnd { stream: STREAM, number: 1 }));
}

#[test]
fn streams_that_have_ended_are_forgotten() {
    let ended = |stream: u64| Head { stream: Stream(stream), last: true, ..head(0) };
    let mut checker = Checker::new(Promise::Whole);
    checker.accept(&head(0).parts()).expect("it is whole");
    for stream in 1000..4000 {
        checker.accept(&ended(stream).parts()).expect("it is whole");
    }
    assert!(checker.tracks.len() <= STREAMS);
    checker.accept(&head(1).parts()).expect("it goes on");
}

#[test]
fn too_many_streams_without_an_end_are_told_of() {
    let mut checker = Checker::new(Promise::Whole);
    let begun = |stream: u64| Head { stream: Stream(stream), ..head(0) };
    for stream in 1000..1000 + MOST_STREAMS as u64 {
        checker.accept(&begun(stream).parts()).expect("it is whole");
    }
    let found = checker.accept(&begun(1).parts());
    assert_eq!(found, Err(Fault::Unfinished { stream: Stream(1000), next: 1 }));
}
