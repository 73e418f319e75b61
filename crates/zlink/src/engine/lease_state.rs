//! What waiting and taking back a lease agree by; see [`lease`](super::lease). Apart so that loom can check it.
//!
//! Waiting and taking back exclude each other without a lock on the fast path: the waiter announces itself
//! and then looks for revocations; the revoker announces the revocation and then looks for waiters. Each has a
//! SeqCst fence between the two, so at least one sees the other. (SeqCst operations would do as well, but loom
//! knows SeqCst for fences only.) The leases themselves are under locks: no ordering beyond the fences is
//! needed.

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

/// The waits, visits and revocations of a holder of leases.
pub(crate) struct LeaseState {
    /// Threads that wait.
    waiting: AtomicUsize,
    visits: AtomicU64,
    revocations: AtomicU64,
    /// An I/O thread has stopped looking, because the holder was waiting each time.
    unobserved: AtomicBool,
}

impl LeaseState {
    pub(crate) fn new() -> Self {
        LeaseState {
            waiting: AtomicUsize::new(0),
            visits: AtomicU64::new(0),
            revocations: AtomicU64::new(0),
            unobserved: AtomicBool::new(false),
        }
    }

    /// Announces that the holder is about to wait. Returns false if a lease was taken back since `seen`,
    /// which is brought up to date: the holder then takes its leases again.
    pub(crate) fn begin_wait(&self, seen: &mut u64) -> bool {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // SeqCst: pairs with the fence in `may_revoke`.
        fence(Ordering::SeqCst);
        let revocations = self.revocations.load(Ordering::Relaxed);
        std::mem::replace(seen, revocations) == revocations
    }

    /// Ends a wait. Returns true if nobody looks after the leases any more: the holder asks for it.
    pub(crate) fn end_wait(&self) -> bool {
        self.visit();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        // SeqCst: pairs with the fence in `leave_alone`.
        fence(Ordering::SeqCst);
        self.unobserved.swap(false, Ordering::Relaxed)
    }

    /// Notes a visit without a wait.
    pub(crate) fn visit(&self) {
        // Relaxed: a look that misses it takes a lease back too early, which costs time and nothing else.
        self.visits.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the holder waits at this moment.
    fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Notes that nobody looks after the leases from now on. Returns false if the holder has just left.
    pub(crate) fn leave_alone(&self) -> bool {
        self.unobserved.store(true, Ordering::Relaxed);
        // SeqCst: pairs with the fence in `end_wait`.
        fence(Ordering::SeqCst);
        // If it left between the look and the note, the note stays: another lease of the same holder may
        // have been left alone by it. A look that is asked for without need does no harm.
        self.is_waiting()
    }

    /// Whether a lease may be taken back: the holder has not come by since `last_visit`, which is brought up
    /// to date, and does not wait.
    pub(crate) fn may_revoke(&self, last_visit: &mut u64) -> bool {
        let visits = self.visits.load(Ordering::Relaxed);
        if std::mem::replace(last_visit, visits) != visits || self.is_waiting() {
            return false;
        }
        self.revocations.fetch_add(1, Ordering::Relaxed);
        // SeqCst: pairs with the fence in `begin_wait`.
        fence(Ordering::SeqCst);
        !self.is_waiting()
    }
}
