//! A lock for what is nearly always used by one thread.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

use crate::asymmetric::{heavy_fence, is_available, light_fence, thread_id};
use crate::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, lock, wait};

/// So many times in a row the same thread takes the lock before it becomes the owner.
const FIRST_STREAK: u32 = if cfg!(loom) { 1 } else { 64 };
/// The same at most, after others have taken the ownership away again and again.
const LONGEST_STREAK: u32 = 1 << 20;

/// Nobody owns the lock.
const NONE: usize = 0;

/// A lock that costs its *owner* no atomic exchange: the thread that has taken it several times in a row.
///
/// A lock has one owner in its life: the first.
///
/// The owner says that it is inside, with a plain store, and looks whether it is still the owner. Anybody else takes the
/// ownership away first and then waits until the owner has left. Between store and look either side has a fence, the
/// owner's one that costs nothing (see [`asymmetric`](crate::asymmetric)): so at least one of them sees the other.
///
/// Without an owner it is an ordinary lock.
pub struct BiasedMutex<T> {
    owner: AtomicUsize,
    /// The owner is inside.
    inside: AtomicBool,
    /// Held by everybody but the owner.
    shared: Mutex<Usage>,
    /// Who takes the ownership away waits here for the owner to leave.
    leaving: Mutex<()>,
    left: Condvar,
    value: UnsafeCell<T>,
}

// SAFETY: as `std`'s `Mutex`: one thread at a time gets at the value.
unsafe impl<T: Send> Send for BiasedMutex<T> {}
// SAFETY: likewise.
unsafe impl<T: Send> Sync for BiasedMutex<T> {}

/// Who has taken the lock without owning it.
struct Usage {
    /// The only thread that can be the owner, once there was one: a thread that is between its look at `owner` and its
    /// store to `inside` cannot be told from one that is not, and must not meet the store of another.
    candidate: usize,
    last: usize,
    streak: u32,
    /// The streak that makes an owner.
    wanted: u32,
}

/// A thread's stay inside a [`BiasedMutex`].
pub struct BiasedGuard<'a, T> {
    mutex: &'a BiasedMutex<T>,
    /// `None`: as the owner. Given up by the guard's own drop alone.
    shared: ManuallyDrop<Option<MutexGuard<'a, Usage>>>,
    not_send: PhantomData<*const ()>,
}

impl<T> BiasedMutex<T> {
    /// A lock around `value`, with no owner.
    pub fn new(value: T) -> Self {
        BiasedMutex {
            owner: AtomicUsize::new(NONE),
            inside: AtomicBool::new(false),
            shared: Mutex::new(Usage { candidate: NONE, last: NONE, streak: 0, wanted: FIRST_STREAK }),
            leaving: Mutex::new(()),
            left: Condvar::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Locks. A thread that is inside already waits for ever.
    #[inline(always)]
    pub fn lock(&self) -> BiasedGuard<'_, T> {
        let me = thread_id();
        // Relaxed: this thread has stored what it may find here, or somebody else has and this thread stays out.
        if self.owner.load(Ordering::Relaxed) == me && !self.inside.load(Ordering::Relaxed) {
            self.inside.store(true, Ordering::Relaxed);
            light_fence();
            if self.owner.load(Ordering::Relaxed) == me {
                return BiasedGuard { mutex: self, shared: ManuallyDrop::new(None), not_send: PhantomData };
            }
            self.leave(me);
        }
        self.lock_shared(me)
    }

    #[inline(never)]
    fn lock_shared(&self, me: usize) -> BiasedGuard<'_, T> {
        let mut usage = lock(&self.shared);
        if self.owner.load(Ordering::Relaxed) != NONE {
            self.take_ownership_away(&mut usage);
        }
        usage.streak = if usage.last == me { usage.streak.saturating_add(1) } else { 0 };
        usage.last = me;
        BiasedGuard { mutex: self, shared: ManuallyDrop::new(Some(usage)), not_send: PhantomData }
    }

    #[cold]
    fn take_ownership_away(&self, usage: &mut Usage) {
        usage.wanted = usage.wanted.saturating_mul(2).min(LONGEST_STREAK);
        self.owner.store(NONE, Ordering::Relaxed);
        heavy_fence();
        let mut leaving = lock(&self.leaving);
        // Acquire: what the owner did inside comes before what the caller does.
        while self.inside.load(Ordering::Acquire) {
            leaving = wait(&self.left, leaving);
        }
    }

    #[cold]
    fn give_ownership(&self, usage: &mut Usage, me: usize) {
        if (usage.candidate == NONE || usage.candidate == me) && is_available() {
            usage.candidate = me;
            // Relaxed: to others the lock tells of it, which the caller still holds.
            self.owner.store(me, Ordering::Relaxed);
        }
        usage.streak = 0;
    }

    /// The owner leaves.
    #[inline(always)]
    fn leave(&self, me: usize) {
        // Release: see `take_ownership_away`.
        self.inside.store(false, Ordering::Release);
        light_fence();
        if self.owner.load(Ordering::Relaxed) != me {
            self.tell_of_leaving();
        }
    }

    #[cold]
    fn tell_of_leaving(&self) {
        // Whoever saw the owner inside is waiting once the lock is free.
        drop(lock(&self.leaving));
        self.left.notify_all();
    }
}

impl<T> BiasedGuard<'_, T> {
    /// Who is not the owner gives the lock back.
    #[inline(never)]
    fn give_back(&mut self) {
        if let Some(mut usage) = self.shared.take()
            && usage.streak >= usage.wanted
        {
            self.mutex.give_ownership(&mut usage, thread_id());
        }
    }
}

impl<T> Drop for BiasedGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        match &*self.shared {
            None => self.mutex.leave(thread_id()),
            Some(_) => self.give_back(),
        }
    }
}

impl<T> Deref for BiasedGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: nobody else is inside while the guard lives.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for BiasedGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed for as long.
        unsafe { &mut *self.mutex.value.get() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::{Arc, Barrier};
    use std::thread;

    use super::*;

    #[test]
    fn threads_that_take_turns_and_threads_that_compete_lose_no_count() {
        let count = Arc::new(BiasedMutex::new(0u64));
        let start = Arc::new(Barrier::new(4));
        let threads: Vec<_> = (0..4u64)
            .map(|n| {
                let (count, start) = (Arc::clone(&count), Arc::clone(&start));
                thread::spawn(move || {
                    start.wait();
                    for i in 0..20_000u64 {
                        // Two values apart, so that a torn update shows.
                        let mut count = count.lock();
                        let before = *count;
                        *count = before + 1;
                        drop(count);
                        if i % 500 == n {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*count.lock(), 80_000);
    }

    #[test]
    fn one_thread_becomes_the_owner_and_another_takes_it_away() {
        let mutex = BiasedMutex::new(0);
        for _ in 0..=FIRST_STREAK {
            *mutex.lock() += 1;
        }
        let owner = mutex.owner.load(Ordering::Relaxed);
        assert_eq!(owner != NONE, is_available());
        *mutex.lock() += 1;
        assert!(mutex.lock().shared.is_none() || !is_available());
        thread::scope(|scope| {
            scope.spawn(|| *mutex.lock() += 1);
        });
        assert_eq!(mutex.owner.load(Ordering::Relaxed), NONE);
        assert_eq!(*mutex.lock(), FIRST_STREAK + 3);
    }

    #[test]
    fn who_takes_the_ownership_away_waits_until_the_owner_has_left() {
        let mutex = Arc::new(BiasedMutex::new(0));
        for _ in 0..=FIRST_STREAK {
            drop(mutex.lock());
        }
        let mut guard = mutex.lock();
        let other = thread::spawn({
            let mutex = Arc::clone(&mutex);
            move || *mutex.lock()
        });
        // Either side may be first; the other's answer is the same.
        while mutex.owner.load(Ordering::Relaxed) != NONE {
            thread::yield_now();
        }
        *guard = 7;
        drop(guard);
        assert_eq!(other.join().unwrap(), 7);
    }
}
