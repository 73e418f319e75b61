//! The lease: the right of an application thread to read connections itself.
//!
//! A thread that waits for messages takes the lease of its socket's connections, waits on an epoll set of
//! the socket's own and reads what arrives: one wake-up per message, of the thread that wants it. The lease
//! stays out between calls. The I/O thread looks from time to time whether the holder still comes by, and
//! takes the lease back if not.

use std::ops::Deref;

use super::lease_state::LeaseState;
use crate::reactor::Epoll;

/// A socket in its role as holder of leases.
pub(crate) struct LeaseHolder {
    /// The descriptors of leased connections, and the socket's inbox.
    pub(crate) epoll: Epoll,
    state: LeaseState,
}

impl LeaseHolder {
    pub(crate) fn new(epoll: Epoll) -> Self {
        LeaseHolder { epoll, state: LeaseState::new() }
    }
}

impl Deref for LeaseHolder {
    type Target = LeaseState;

    fn deref(&self) -> &LeaseState {
        &self.state
    }
}
