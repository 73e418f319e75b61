//! When to send a PING, and when to give up a peer that has gone silent.
//!
//! One [`Heartbeat`] belongs to one connection, from the end of its handshake on. It keeps deadlines
//! only: the connection writes the PINGs, answers the peer's, and reports what arrives.
//!
//! Source: 37/ZMTP, "Connection Heartbeating"; `ZMQ_HEARTBEAT_IVL`, `_TTL`, `_TIMEOUT`.

use std::time::{Duration, Instant};

/// The heartbeat timers of one connection.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    interval: Duration,
    ttl_deciseconds: u16,
    timeout: Duration,
    next_ping: Option<Instant>,
    /// Set by our PING, cleared by anything that arrives.
    reply_due: Option<Instant>,
    /// Set by the peer's PING, cleared by anything that arrives.
    traffic_due: Option<Instant>,
}

/// What to do after [`Heartbeat::handle_timeout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeartbeatAction {
    /// Nothing is due.
    None,
    /// Send a PING with this time-to-live.
    SendPing {
        /// Tenths of a second, 0 for none.
        ttl_ds: u16,
    },
    /// The peer has been silent for too long: close the connection.
    Expired,
}

impl Heartbeat {
    /// * `interval`: time between PINGs; zero sends none.
    /// * `ttl`: announced in each PING, rounded down to tenths of a second, at most 6553.5 s; zero
    ///   announces none.
    /// * `timeout`: how long after a PING something must arrive; zero waits for ever. libzmq's default
    ///   of −1 means `interval`, which is what the caller then passes.
    pub fn new(interval: Duration, ttl: Duration, timeout: Duration) -> Self {
        Self {
            interval,
            ttl_deciseconds: u16::try_from(ttl.as_millis() / 100).unwrap_or(u16::MAX),
            timeout,
            next_ping: None,
            reply_due: None,
            traffic_due: None,
        }
    }

    /// Starts the PINGs, the first one an interval from `now`. Called when the handshake is complete.
    pub fn start(&mut self, now: Instant) {
        self.next_ping = after(now, self.interval);
    }

    /// Bytes of any kind have arrived: the peer is alive.
    ///
    /// Called for each read, before the commands in it are handled, so that a PING's own arrival does
    /// not cancel the time-to-live it announces.
    #[inline]
    pub fn on_input(&mut self, _now: Instant) {
        self.reply_due = None;
        self.traffic_due = None;
    }

    /// A PING with this time-to-live, in tenths of a second, has arrived. Zero announces none.
    pub fn on_ping_ttl(&mut self, now: Instant, ttl_ds: u16) {
        self.traffic_due = after(now, Duration::from_millis(u64::from(ttl_ds) * 100));
    }

    /// The earliest time at which [`Heartbeat::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.next_ping, self.reply_due, self.traffic_due].into_iter().flatten().min()
    }

    /// What is due at `now`.
    ///
    /// A caller that comes late gets one PING, not one for every interval missed. Input that has
    /// arrived must be reported first.
    pub fn handle_timeout(&mut self, now: Instant) -> HeartbeatAction {
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        if is_due(self.reply_due) || is_due(self.traffic_due) {
            return HeartbeatAction::Expired;
        }
        if !is_due(self.next_ping) {
            return HeartbeatAction::None;
        }
        self.next_ping = after(now, self.interval);
        // An earlier PING still unanswered keeps its deadline, or a timeout longer than the interval
        // would never come.
        if self.reply_due.is_none() {
            self.reply_due = after(now, self.timeout);
        }
        HeartbeatAction::SendPing { ttl_ds: self.ttl_deciseconds }
    }
}

/// `None` for a zero duration, and for a time the clock cannot hold: it would never come.
fn after(now: Instant, duration: Duration) -> Option<Instant> {
    if duration.is_zero() { None } else { now.checked_add(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    const PING: HeartbeatAction = HeartbeatAction::SendPing { ttl_ds: 0 };

    fn started(interval: u64, timeout: u64) -> (Heartbeat, Instant) {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(s(interval), Duration::ZERO, s(timeout));
        heartbeat.start(start);
        (heartbeat, start)
    }

    #[test]
    fn ping_goes_out_every_interval_while_the_peer_answers() {
        let (mut heartbeat, start) = started(10, 5);
        for n in 1..5 {
            let due = start + s(10 * n);
            assert_eq!(heartbeat.poll_timeout(), Some(due));
            assert_eq!(heartbeat.handle_timeout(due - s(1)), HeartbeatAction::None);
            assert_eq!(heartbeat.handle_timeout(due), PING);
            assert_eq!(heartbeat.poll_timeout(), Some(due + s(5)));
            heartbeat.on_input(due + s(1));
        }
    }

    #[test]
    fn silence_for_the_timeout_after_a_ping_expires() {
        let (mut heartbeat, start) = started(10, 5);
        assert_eq!(heartbeat.handle_timeout(start + s(10)), PING);
        assert_eq!(heartbeat.handle_timeout(start + s(14)), HeartbeatAction::None);
        assert_eq!(heartbeat.handle_timeout(start + s(15)), HeartbeatAction::Expired);
        assert_eq!(heartbeat.handle_timeout(start + s(16)), HeartbeatAction::Expired);
    }

    #[test]
    fn timeout_longer_than_the_interval_counts_from_the_first_unanswered_ping() {
        let (mut heartbeat, start) = started(10, 25);
        for at in [10, 20, 30] {
            assert_eq!(heartbeat.handle_timeout(start + s(at)), PING);
        }
        assert_eq!(heartbeat.poll_timeout(), Some(start + s(35)));
        assert_eq!(heartbeat.handle_timeout(start + s(35)), HeartbeatAction::Expired);
    }

    #[test]
    fn timeout_that_equals_the_interval_expires_instead_of_sending_a_second_ping() {
        let (mut heartbeat, start) = started(10, 10);
        assert_eq!(heartbeat.handle_timeout(start + s(10)), PING);
        assert_eq!(heartbeat.handle_timeout(start + s(20)), HeartbeatAction::Expired);
    }

    #[test]
    fn zero_timeout_never_expires() {
        let (mut heartbeat, start) = started(10, 0);
        for n in 1..100 {
            assert_eq!(heartbeat.handle_timeout(start + s(10 * n)), PING);
        }
    }

    #[test]
    fn late_caller_gets_one_ping_for_all_intervals_missed() {
        let (mut heartbeat, start) = started(10, 0);
        assert_eq!(heartbeat.handle_timeout(start + s(95)), PING);
        assert_eq!(heartbeat.handle_timeout(start + s(95)), HeartbeatAction::None);
        assert_eq!(heartbeat.poll_timeout(), Some(start + s(105)));
    }

    #[test]
    fn zero_interval_sends_no_ping_but_keeps_the_peers_ttl() {
        let (mut heartbeat, start) = started(0, 5);
        assert_eq!(heartbeat.poll_timeout(), None);
        assert_eq!(heartbeat.handle_timeout(start + s(1000)), HeartbeatAction::None);
        heartbeat.on_ping_ttl(start, 20);
        assert_eq!(heartbeat.poll_timeout(), Some(start + s(2)));
        assert_eq!(heartbeat.handle_timeout(start + s(2)), HeartbeatAction::Expired);
    }

    #[test]
    fn nothing_is_due_before_the_start() {
        let heartbeat = Heartbeat::new(s(1), s(1), s(1));
        assert_eq!(heartbeat.poll_timeout(), None);
    }

    #[test]
    fn traffic_after_a_ping_with_ttl_cancels_it_and_the_next_ping_sets_it_again() {
        let (mut heartbeat, start) = started(0, 0);
        heartbeat.on_input(start);
        heartbeat.on_ping_ttl(start, 10);
        heartbeat.on_input(start + Duration::from_millis(999));
        assert_eq!(heartbeat.poll_timeout(), None);
        heartbeat.on_ping_ttl(start + s(3), 10);
        assert_eq!(heartbeat.poll_timeout(), Some(start + s(4)));
    }

    #[test]
    fn longest_ttl_of_a_peer_does_not_wrap() {
        let (mut heartbeat, start) = started(0, 0);
        heartbeat.on_ping_ttl(start, u16::MAX);
        assert_eq!(heartbeat.poll_timeout(), Some(start + Duration::from_millis(6_553_500)));
    }

    #[test]
    fn own_ttl_is_rounded_down_and_bounded() {
        for (ttl, ttl_ds) in [
            (Duration::ZERO, 0),
            (Duration::from_millis(99), 0),
            (Duration::from_millis(100), 1),
            (Duration::from_millis(1999), 19),
            (Duration::from_millis(6_553_599), u16::MAX),
            (s(7000), u16::MAX),
            (Duration::MAX, u16::MAX),
        ] {
            let now = Instant::now();
            let mut heartbeat = Heartbeat::new(s(1), ttl, s(1));
            heartbeat.start(now);
            assert_eq!(heartbeat.handle_timeout(now + s(1)), HeartbeatAction::SendPing { ttl_ds });
        }
    }

    #[test]
    fn durations_beyond_the_clock_never_come() {
        let mut heartbeat = Heartbeat::new(Duration::MAX, Duration::MAX, Duration::MAX);
        heartbeat.start(Instant::now());
        assert_eq!(heartbeat.poll_timeout(), None);
    }
}
