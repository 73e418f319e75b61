//! Locking.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, ignoring poison: no code under these locks can panic half-way through an update.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
