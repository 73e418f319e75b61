//! The locks that leave a fence to the other side.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use zlink_pipe::{BiasedMutex, ShortMutex};

use crate::check;

/// Loom reports two threads that are at the value at a time.
fn add(value: &UnsafeCell<u32>) {
    // SAFETY: what the test is about.
    value.with_mut(|value| unsafe { *value += 1 });
}

fn read(value: &UnsafeCell<u32>) -> u32 {
    // SAFETY: as above.
    value.with(|value| unsafe { *value })
}

#[test]
fn an_owner_and_one_who_takes_the_ownership_away_exclude_each_other() {
    check(|| {
        let mutex = Arc::new(BiasedMutex::new(UnsafeCell::new(0)));
        // The third time as the owner.
        (0..3).for_each(|_| add(&mutex.lock()));
        let other = thread::spawn({
            let mutex = Arc::clone(&mutex);
            move || (0..2).for_each(|_| add(&mutex.lock()))
        });
        (0..2).for_each(|_| add(&mutex.lock()));
        other.join().unwrap();
        assert_eq!(read(&mutex.lock()), 7);
    });
}

#[test]
fn two_who_take_the_ownership_away_exclude_each_other_and_the_owner() {
    check(|| {
        let mutex = Arc::new(BiasedMutex::new(UnsafeCell::new(0)));
        (0..2).for_each(|_| add(&mutex.lock()));
        let others = [(); 2].map(|()| {
            let mutex = Arc::clone(&mutex);
            thread::spawn(move || add(&mutex.lock()))
        });
        add(&mutex.lock());
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(read(&mutex.lock()), 5);
    });
}

#[test]
fn a_short_lock_that_is_given_back_wakes_whoever_sleeps_for_it() {
    check(|| {
        let mutex = Arc::new(ShortMutex::new(UnsafeCell::new(0)));
        let others = [(); 2].map(|()| {
            let mutex = Arc::clone(&mutex);
            thread::spawn(move || add(&mutex.lock()))
        });
        add(&mutex.lock());
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(read(&mutex.lock()), 3);
    });
}
