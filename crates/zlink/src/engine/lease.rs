//! The lease: the right of an application thread to read connections itself.
//!
//! A thread that waits for messages takes the lease of its socket's connections, waits on an epoll set of
//! the socket's own and reads what arrives: one wake-up per message, of the thread that wants it. The lease
//! stays out between calls. The I/O thread looks from time to time whether the holder still comes by, and
//! takes the lease back if not.
//!
//! Waiting and taking back exclude each other without a lock on the fast path: the waiter announces itself
//! and then looks for revocations; the revoker announces the revocation and then looks for waiters. Both use
//! SeqCst, so at least one sees the other.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::reactor::Epoll;

/// A socket in its role as holder of leases.
pub(crate) struct LeaseHolder {
    /// The descriptors of leased connections, and the socket's inbox.
    pub(crate) epoll: Epoll,
    /// Threads that wait.
    waiting: AtomicUsize,
    visits: AtomicU64,
    revocations: AtomicU64,
    /// The I/O thread has stopped looking, because the holder was waiting each time.
    unobserved: AtomicBool,
}

impl LeaseHolder {
    pub(crate) fn new(epoll: Epoll) -> Self {
        LeaseHolder {
            epoll,
            waiting: AtomicUsize::new(0),
            visits: AtomicU64::new(0),
            revocations: AtomicU64::new(0),
            unobserved: AtomicBool::new(false),
        }
    }

    /// Announces that the holder is about to wait. Returns false if a lease was taken back since `seen`,
    /// which is brought up to date: the holder then takes its leases again.
    pub(crate) fn begin_wait(&self, seen: &mut u64) -> bool {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let revocations = self.revocations.load(Ordering::SeqCst);
        std::mem::replace(seen, revocations) == revocations
    }

    /// Ends a wait. Returns true if nobody looks after the leases any more: the holder asks for it.
    pub(crate) fn end_wait(&self) -> bool {
        self.visits.fetch_add(1, Ordering::Relaxed);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        self.unobserved.swap(false, Ordering::SeqCst)
    }

    /// Notes a visit without a wait.
    pub(crate) fn visit(&self) {
        self.visits.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the holder waits at this moment.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Notes that nobody looks after the leases from now on. Returns false if the holder has just left.
    pub(super) fn leave_alone(&self) -> bool {
        self.unobserved.store(true, Ordering::SeqCst);
        if self.is_waiting() {
            return true;
        }
        // It left between the look and the note. If it saw the note it asks for a look itself, which does
        // no harm.
        self.unobserved.store(false, Ordering::SeqCst);
        false
    }

    /// Whether a lease may be taken back: the holder has not come by since `last_visit`, which is brought up
    /// to date, and does not wait.
    pub(super) fn may_revoke(&self, last_visit: &mut u64) -> bool {
        let visits = self.visits.load(Ordering::Relaxed);
        if std::mem::replace(last_visit, visits) != visits || self.is_waiting() {
            return false;
        }
        self.revocations.fetch_add(1, Ordering::SeqCst);
        !self.is_waiting()
    }
}
