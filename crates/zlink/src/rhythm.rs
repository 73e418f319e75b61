//! Telling a stream from single messages, by the rhythm in which a pipe is sent to.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Sends that come this soon after the last write ended are part of a stream.
pub(crate) const STREAM_GAP: Duration = Duration::from_micros(2);
/// So many connections may be served in turn: with more, the thread's pauses are no gaps any more.
const MOST_OTHERS: u32 = 1000;
/// Messages in a row, with no gap and no receive between them, that are written at once before a stream is
/// taken for one.
const STREAM_AFTER: u32 = 3;
/// The same where the last time as many followed that were gathered: messages that come some at a time.
const BURST_AFTER: u32 = 1;
const BURST: u32 = 4;

/// A message that comes so long after the sender's last write of a stream, and is the first that gathers since all was
/// written, is not left until the stream is looked at, if no more than `FEW` had gathered before: the I/O thread is woken,
/// but no more often than this. So messages at a rate that does not fill batches are no later than the wake-up takes.
const PAUSE: Duration = Duration::from_micros(5);
const FEW: u32 = 64;
const WAKE_INTERVAL: Duration = Duration::from_micros(20);

/// Messages within the process that are sent faster than this, on the average between two wake-ups of the receiver and
/// without the time these take, are a stream, if it goes on for so many wake-ups: its receiver lets some gather when it
/// has nothing to do, instead of being woken for each.
const INPROC_GAP: Duration = Duration::from_nanos(700);
const INPROC_STREAM_AFTER: u32 = 8;

/// Writes at once by the calling thread, on whichever sockets: a thread that serves several connections in turn sends to
/// each of them as fast as the writes to the others let it.
#[derive(Clone, Copy)]
struct ThreadWrites {
    count: u32,
    /// The time they took.
    time: Duration,
}

thread_local!(static WRITES: Cell<ThreadWrites> = const { Cell::new(ThreadWrites { count: 0, time: Duration::ZERO }) });

/// The rhythm of the messages that are written to a connection at once.
#[derive(Default)]
pub(crate) struct WriteRhythm {
    /// The end of the last write, and the thread's writes up to then.
    last: Option<(Instant, ThreadWrites)>,
    run: u32,
    receives: u64,
    /// What `sent` was when the last stream was recognised, until it is over.
    began: Option<u32>,
    /// Messages are likely to come some at a time.
    bursts: bool,
    /// What `sent` was when a message last gathered as the first, and when the I/O thread was last woken for one.
    first: u32,
    woken: Option<Instant>,
}

impl WriteRhythm {
    /// Counts a message that is to be written now, the one that makes it `sent`, after so many receives. Returns whether
    /// it makes a stream: several in a row, with nothing between them.
    pub(crate) fn makes_stream(&mut self, start: Instant, sent: u32, receives: u64) -> bool {
        let goes_on = self.receives == receives && self.goes_on(start);
        match self.began.take() {
            Some(began) => self.bursts = sent.wrapping_sub(began) > BURST,
            // The last run was shorter than a stream.
            None => self.bursts &= goes_on,
        }
        self.run = if goes_on { self.run + 1 } else { 1 };
        self.receives = receives;
        let stream = self.run > if self.bursts { BURST_AFTER } else { STREAM_AFTER };
        if stream {
            self.run = 0;
            self.began = Some(sent);
        }
        stream
    }

    /// Notes that the sender has just written what had gathered.
    pub(crate) fn note_flush(&mut self) {
        self.note_flush_at(Instant::now());
    }

    fn note_flush_at(&mut self, end: Instant) {
        self.last = Some((end, WRITES.get()));
    }

    /// Whether the I/O thread is to be woken for a message that gathers, the first since all was written, although it
    /// watches. It is the one that makes it `sent`.
    pub(crate) fn wakes_watcher(&mut self, sent: u32) -> bool {
        let gathered = sent.wrapping_sub(std::mem::replace(&mut self.first, sent));
        gathered <= FEW && self.has_paused(Instant::now())
    }

    fn has_paused(&mut self, now: Instant) -> bool {
        let since = |then: Option<Instant>| then.is_none_or(|then| now.duration_since(then) >= WAKE_INTERVAL);
        let paused = self.last.is_none_or(|(end, _)| now.duration_since(end) >= PAUSE);
        let wakes = paused && since(self.woken);
        if wakes {
            self.woken = Some(now);
        }
        wakes
    }

    /// Whether a message that is to be written now follows the last one as in a stream: what the thread has done in
    /// between is to write to other connections, with short gaps.
    fn goes_on(&self, start: Instant) -> bool {
        let Some((end, before)) = self.last else { return false };
        let writes = WRITES.get();
        let others = writes.count.wrapping_sub(before.count);
        let gaps = start.duration_since(end).saturating_sub(writes.time.saturating_sub(before.time));
        gaps < STREAM_GAP * others.saturating_add(1).min(MOST_OTHERS)
    }

    /// Notes a write that began at `start` and has just ended.
    pub(crate) fn note_write(&mut self, start: Instant) {
        self.note_write_until(start, Instant::now());
    }

    fn note_write_until(&mut self, start: Instant, end: Instant) {
        let ThreadWrites { count, time } = WRITES.get();
        let writes = ThreadWrites { count: count.wrapping_add(1), time: time + end.duration_since(start) };
        WRITES.set(writes);
        self.last = Some((end, writes));
    }
}

/// The rhythm of the wake-ups of a receiver in the same process.
#[derive(Default)]
pub(crate) struct WakeRhythm {
    /// The end of the last wake-up.
    last: Option<Instant>,
    /// Messages sent since.
    sent: u32,
    run: u32,
    receives: u64,
}

impl WakeRhythm {
    /// Messages sent, modulo 2³²; within the process since the last wake-up.
    pub(crate) fn sent(&self) -> u32 {
        self.sent
    }

    /// Counts a message.
    #[inline]
    pub(crate) fn note_send(&mut self) {
        self.sent = self.sent.wrapping_add(1);
    }

    /// Counts a wake-up that is to be made now, after so many receives. Returns whether the messages are a stream.
    pub(crate) fn is_stream(&mut self, receives: u64) -> bool {
        let sent = std::mem::take(&mut self.sent).min(1 << 20);
        let fast = |last: Instant| last.elapsed() < INPROC_GAP * sent;
        let goes_on = self.receives == receives && self.last.is_some_and(fast);
        self.run = if goes_on { self.run.saturating_add(1) } else { 0 };
        self.receives = receives;
        self.run >= INPROC_STREAM_AFTER
    }

    /// Notes that the wake-up has been made.
    pub(crate) fn note_wake(&mut self) {
        self.last = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROSECOND: Duration = Duration::from_micros(1);

    /// A sender of messages that each take ten microseconds to write, and its clock.
    struct Sender {
        rhythm: WriteRhythm,
        now: Instant,
        sent: u32,
    }

    impl Sender {
        fn new() -> Self {
            Sender { rhythm: WriteRhythm::default(), now: Instant::now(), sent: 0 }
        }

        /// Sends so many messages in a row after a pause. Returns how many were written before a stream was recognised.
        fn burst(&mut self, messages: u32) -> u32 {
            self.now += 1000 * MICROSECOND;
            for n in 0..messages {
                self.sent += 1;
                if self.rhythm.makes_stream(self.now, self.sent, 0) {
                    // The rest gathers.
                    self.sent += messages - n - 1;
                    return n;
                }
                self.rhythm.note_write_until(self.now, self.now + 10 * MICROSECOND);
                self.now += 11 * MICROSECOND;
            }
            messages
        }
    }

    #[test]
    fn a_burst_is_gathered_from_the_second_message_on_where_the_last_was_long() {
        let mut sender = Sender::new();
        assert_eq!(sender.burst(10), STREAM_AFTER);
        for _ in 0..3 {
            assert_eq!(sender.burst(10), BURST_AFTER);
        }
        assert_eq!(sender.burst(2), BURST_AFTER, "nobody could know");
        assert_eq!([2, 2, 1, 3].map(|messages| sender.burst(messages)), [2, 2, 1, 3]);
        assert_eq!(sender.burst(10), STREAM_AFTER);
        assert_eq!(
            [1, 10].map(|messages| sender.burst(messages)),
            [1, STREAM_AFTER],
            "a lone one in between"
        );
    }

    #[test]
    fn a_receive_in_between_makes_no_stream() {
        let mut sender = Sender::new();
        for receives in 0..20 {
            assert!(!sender.rhythm.makes_stream(sender.now, receives as u32, receives));
            sender.rhythm.note_write_until(sender.now, sender.now);
        }
    }

    #[test]
    fn a_watcher_is_woken_after_a_pause_of_a_stream_of_few_messages_but_not_often() {
        let mut rhythm = WriteRhythm::default();
        let now = Instant::now();
        rhythm.note_flush_at(now);
        assert!(!rhythm.has_paused(now + PAUSE - MICROSECOND));
        assert!(rhythm.has_paused(now + PAUSE));
        assert!(!rhythm.has_paused(now + PAUSE + WAKE_INTERVAL - MICROSECOND), "just woken");
        assert!(rhythm.has_paused(now + PAUSE + WAKE_INTERVAL));
        let mut rhythm = WriteRhythm::default();
        assert!(!rhythm.wakes_watcher(FEW + 1));
        assert!(rhythm.wakes_watcher(2 * FEW + 1), "so few since then");
    }
}
