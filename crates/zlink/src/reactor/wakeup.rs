//! Sleeping under a lock, until a wake-up, a time-out or a signal.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::io::Errno;
use rustix::thread::futex;

/// Longer than anybody waits. The kernel resumes an unlimited wait after a signal whose handler was installed with
/// `SA_RESTART`, as `signal(3)` does; a limited one it ends.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Why a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Somebody called [`Wakeup::wake_all`], or nothing happened at all: the sleeper looks.
    Woken,
    /// The time-out has passed.
    TimedOut,
    /// The thread has run a signal's handler.
    Interrupted,
}

/// A condition variable. It differs from the standard library's in that a signal ends a wait, as it ends
/// `poll(2)`.
#[derive(Default)]
pub(crate) struct Wakeup {
    /// Counts wake-ups. A sleeper reads it under the lock and sleeps only while it stands there, so that none
    /// between giving up the lock and falling asleep is lost.
    wakeups: AtomicU32,
}

impl Wakeup {
    pub(crate) const fn new() -> Self {
        Wakeup { wakeups: AtomicU32::new(0) }
    }

    /// Gives up the lock, sleeps for at most `timeout`, and takes the lock again. `guard` is of `mutex`.
    ///
    /// A wake-up that follows a change made under the lock, after the sleeper gave it up, ends the sleep.
    pub(crate) fn wait<'a, T>(
        &self,
        mutex: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        timeout: Option<Duration>,
    ) -> (MutexGuard<'a, T>, Ended) {
        // Relaxed: the lock orders it before the change that the next wake-up tells of.
        let seen = self.wakeups.load(Ordering::Relaxed);
        drop(guard);
        let limit = Timespec::try_from(timeout.unwrap_or(CENTURY).min(CENTURY)).ok();
        let ended = match futex::wait(&self.wakeups, futex::Flags::PRIVATE, seen, limit.as_ref()) {
            Err(Errno::TIMEDOUT) => Ended::TimedOut,
            Err(Errno::INTR) => Ended::Interrupted,
            // EAGAIN: woken before it slept.
            _ => Ended::Woken,
        };
        (mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner()), ended)
    }

    /// Wakes all who sleep. One system call: worth it only if somebody does.
    pub(crate) fn wake_all(&self) {
        self.wakeups.fetch_add(1, Ordering::Relaxed);
        // Fails for an invalid address only.
        let _ = futex::wake(&self.wakeups, futex::Flags::PRIVATE, i32::MAX as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    #[test]
    fn a_change_under_the_lock_and_a_wake_up_end_an_endless_sleep() {
        let shared = Arc::new((Mutex::new(0u32), Wakeup::new()));
        let changer = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for _ in 0..1000 {
                    *shared.0.lock().unwrap() += 1;
                    shared.1.wake_all();
                }
            }
        });
        let mut count = shared.0.lock().unwrap();
        while *count < 1000 {
            (count, _) = shared.1.wait(&shared.0, count, None);
        }
        drop(count);
        changer.join().unwrap();
    }

    #[test]
    fn a_sleep_that_nobody_ends_lasts_for_its_time_out() {
        let (mutex, wakeup) = (Mutex::new(()), Wakeup::new());
        for millis in [0, 1, 20] {
            let (start, timeout) = (Instant::now(), Duration::from_millis(millis));
            let mut ended = Ended::Woken;
            let mut guard = mutex.lock().unwrap();
            while ended != Ended::TimedOut {
                let left = timeout.saturating_sub(start.elapsed());
                (guard, ended) = wakeup.wait(&mutex, guard, Some(left));
            }
            assert!(start.elapsed() >= timeout);
        }
    }
}
