//! Deadlines, ordered.

use std::collections::BTreeMap;
use std::time::Instant;

/// Names one timer for as long as it is pending; never reused by the same [`Timers`].
// The deadline is part of the name, so that cancelling finds the entry in the tree without a second index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TimerId {
    deadline: Instant,
    sequence: u64,
}

/// A set of deadlines, each with the key its owner recognises it by.
///
/// Inserting, cancelling and popping are O(log n). A cancelled timer is gone at once: heartbeat and
/// handshake deadlines are nearly always cancelled, and would pile up if they were only marked.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    pending: BTreeMap<TimerId, K>,
    next_sequence: u64,
}

impl<K> Timers<K> {
    /// No timers.
    pub(crate) fn new() -> Timers<K> {
        Timers { pending: BTreeMap::new(), next_sequence: 0 }
    }

    /// Adds a timer that expires once the clock has reached `deadline`, which may lie in the past.
    pub(crate) fn insert(&mut self, deadline: Instant, key: K) -> TimerId {
        let id = TimerId { deadline, sequence: self.next_sequence };
        self.next_sequence += 1;
        self.pending.insert(id, key);
        id
    }

    /// Removes a timer; false if it has expired or been cancelled before.
    pub(crate) fn cancel(&mut self, id: TimerId) -> bool {
        self.pending.remove(&id).is_some()
    }

    /// Takes the earliest timer that is due at `now`; of equal deadlines, the one inserted first.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<(TimerId, K)> {
        let first = self.pending.first_entry()?;
        (first.key().deadline <= now).then(|| first.remove_entry())
    }

    /// The earliest deadline: how long a wait may last.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.pending.first_key_value().map(|(id, _)| id.deadline)
    }

    /// How many timers are pending.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether none is.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timers_expire_in_order_of_deadline_then_of_insertion() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::new();
        for (ms, key) in [(30, "c"), (10, "a"), (20, "b1"), (20, "b2"), (40, "d")] {
            timers.insert(at(ms), key);
        }
        assert_eq!(timers.next_deadline(), Some(at(10)));
        assert!(timers.pop_expired(at(9)).is_none());
        let mut expired = Vec::new();
        while let Some((_, key)) = timers.pop_expired(at(30)) {
            expired.push(key);
        }
        assert_eq!(expired, ["a", "b1", "b2", "c"]);
        assert_eq!(timers.next_deadline(), Some(at(40)));
    }

    #[test]
    fn a_cancelled_timer_never_expires_and_cancels_once() {
        let now = Instant::now();
        let mut timers = Timers::new();
        let first = timers.insert(now, 1);
        let second = timers.insert(now, 2);
        assert!(timers.cancel(first));
        assert!(!timers.cancel(first));
        assert_eq!(timers.pop_expired(now), Some((second, 2)));
        assert!(!timers.cancel(second));
        assert!(timers.pop_expired(now).is_none() && timers.next_deadline().is_none());
    }

    #[test]
    fn cancelled_timers_do_not_accumulate() {
        let later = Instant::now() + Duration::from_secs(3600);
        let mut timers = Timers::new();
        let keep = timers.insert(later, 0);
        for key in 1..100_000 {
            let id = timers.insert(later, key);
            assert!(timers.cancel(id));
        }
        assert_eq!(timers.len(), 1);
        assert!(timers.cancel(keep));
        assert!(timers.is_empty());
    }

    #[test]
    fn an_old_id_does_not_cancel_a_new_timer_with_the_same_deadline() {
        let now = Instant::now();
        let mut timers = Timers::new();
        let old = timers.insert(now, ());
        timers.cancel(old);
        timers.insert(now, ());
        assert!(!timers.cancel(old));
        assert_eq!(timers.len(), 1);
    }
}
