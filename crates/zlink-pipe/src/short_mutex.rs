//! A lock for a few instructions, a message at a time.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::asymmetric::{heavy_fence, is_available, light_fence};
use crate::sync::{AtomicBool, AtomicU32, Condvar, Mutex, Ordering, fence, lock, wait};

/// Looks at a lock that is held before the thread sleeps.
const SPINS: u32 = if cfg!(loom) { 0 } else { 100 };

/// A lock that is held for a few instructions, mostly by one thread, a message at a time.
///
/// Unlike the standard library's it is given back with a plain store: whoever sleeps for it pays for the fence between
/// that and the holder's look for sleepers (see [`asymmetric`](crate::asymmetric)).
pub struct ShortMutex<T> {
    held: AtomicBool,
    sleepers: AtomicU32,
    /// Whether sleepers can fence for the holder.
    asymmetric: bool,
    sleeping: Mutex<()>,
    given_back: Condvar,
    value: UnsafeCell<T>,
}

// SAFETY: as `std`'s `Mutex`: one thread at a time gets at the value.
unsafe impl<T: Send> Send for ShortMutex<T> {}
// SAFETY: likewise.
unsafe impl<T: Send> Sync for ShortMutex<T> {}

/// A thread's stay inside a [`ShortMutex`].
pub struct ShortGuard<'a, T> {
    mutex: &'a ShortMutex<T>,
    not_send: PhantomData<*const ()>,
}

impl<T> ShortMutex<T> {
    /// A lock around `value`.
    pub fn new(value: T) -> Self {
        ShortMutex {
            held: AtomicBool::new(false),
            sleepers: AtomicU32::new(0),
            asymmetric: is_available(),
            sleeping: Mutex::new(()),
            given_back: Condvar::new(),
            value: UnsafeCell::new(value),
        }
    }

    #[inline(always)]
    fn try_acquire(&self) -> bool {
        self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Locks.
    #[inline(always)]
    pub fn lock(&self) -> ShortGuard<'_, T> {
        if !self.try_acquire() {
            self.wait();
        }
        ShortGuard { mutex: self, not_send: PhantomData }
    }

    #[cold]
    fn wait(&self) {
        for _ in 0..SPINS {
            std::hint::spin_loop();
            if !self.held.load(Ordering::Relaxed) && self.try_acquire() {
                return;
            }
        }
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        if self.asymmetric {
            heavy_fence();
        }
        // Whoever gives the lock back from here on sees that there is a sleeper, and waits for this lock to tell him.
        let mut sleeping = lock(&self.sleeping);
        while !self.try_acquire() {
            sleeping = wait(&self.given_back, sleeping);
        }
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
    }

    #[cold]
    fn tell_a_sleeper(&self) {
        drop(lock(&self.sleeping));
        self.given_back.notify_one();
    }
}

impl<T> Drop for ShortGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        let mutex = self.mutex;
        mutex.held.store(false, Ordering::Release);
        if mutex.asymmetric {
            light_fence();
        } else {
            fence(Ordering::SeqCst);
        }
        if mutex.sleepers.load(Ordering::Relaxed) != 0 {
            mutex.tell_a_sleeper();
        }
    }
}

impl<T> Deref for ShortGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: nobody else is inside while the guard lives.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for ShortGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed for as long.
        unsafe { &mut *self.mutex.value.get() }
    }
}
