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
/// The same, from the first on, where so many bursts have come in a row.
const BURSTS: u32 = 2;
/// The last of a burst is known where bursts were as long as the one before so many times in a row; twice as many after
/// each burst that was shorter than that, and was late by it, so many times.
const STEADY: u32 = 2;
const MOST_MISSES: u32 = 9;

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

/// What to do with a message that may be written at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// It is written.
    Write,
    /// It is written, and those after it gather.
    Stream,
    /// It gathers with those after it; the one that makes them so many is likely to be the last for a while. 0: nobody
    /// can tell.
    Gather { last: usize },
}

/// What to do about a message that gathers, the first since all was written, although the I/O thread watches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Watched {
    Nothing,
    /// The I/O thread is woken.
    Wake,
    /// The message that makes them so many is likely to be the last for a while.
    Ends {
        last: usize,
    },
}

/// The rhythm of the messages that are written to a connection at once.
#[derive(Default)]
pub(crate) struct WriteRhythm {
    /// The end of the last write, and the thread's writes up to then.
    last: Option<(Instant, ThreadWrites)>,
    run: u32,
    receives: u64,
    /// What `sent` was at the first message after the last pause.
    began: u32,
    /// Messages from one pause to the next, the last time, and how many times in a row they were as many.
    length: u32,
    steady: u32,
    /// The length that was foretold of the present burst, or 0, and how often it was too great.
    foretold: u32,
    misses: u32,
    /// How many times in a row messages came some at a time.
    bursts: u32,
    /// What `sent` was when a message last gathered as the first, and when the I/O thread was last woken for one.
    first: u32,
    woken: Option<Instant>,
}

impl WriteRhythm {
    /// Counts a message that is to be written now, the one that makes it `sent`, after so many receives. Tells whether
    /// it makes a stream: several in a row, with nothing between them.
    pub(crate) fn note_message(&mut self, start: Instant, sent: u32, receives: u64) -> Step {
        let goes_on = self.receives == receives && self.goes_on(start);
        self.receives = receives;
        if goes_on {
            self.run += 1;
        } else {
            self.note_pause(sent);
            self.run = 1;
            if self.bursts >= BURSTS {
                return Step::Gather { last: self.foretell() };
            }
        }
        let stream = self.run > if self.bursts > 0 { BURST_AFTER } else { STREAM_AFTER };
        if stream { Step::Stream } else { Step::Write }
    }

    fn note_pause(&mut self, sent: u32) {
        let length = sent.wrapping_sub(std::mem::replace(&mut self.began, sent));
        if length < std::mem::take(&mut self.foretold) {
            self.misses = (self.misses + 1).min(MOST_MISSES);
        }
        self.steady = if length == self.length { self.steady.saturating_add(1) } else { 0 };
        self.length = length;
        self.bursts = if length > BURST { self.bursts.saturating_add(1) } else { 0 };
    }

    /// Messages of the burst that begins; 0 if nobody can tell.
    fn foretell(&mut self) -> usize {
        if self.bursts >= BURSTS && self.steady >= STEADY << self.misses {
            self.foretold = self.length;
        }
        self.foretold as usize
    }

    /// Notes that the sender has just written what had gathered.
    pub(crate) fn note_flush(&mut self) {
        self.note_flush_at(Instant::now());
    }

    fn note_flush_at(&mut self, end: Instant) {
        self.last = Some((end, WRITES.get()));
    }

    /// What is to be done about a message that gathers, the first since all was written, although the I/O thread watches. It
    /// is the one that makes it `sent`.
    pub(crate) fn note_watched(&mut self, sent: u32) -> Watched {
        let gathered = sent.wrapping_sub(std::mem::replace(&mut self.first, sent));
        if gathered > FEW {
            return Watched::Nothing;
        }
        self.note_watched_at(Instant::now(), sent)
    }

    fn note_watched_at(&mut self, now: Instant, sent: u32) -> Watched {
        if self.last.is_some_and(|(end, _)| now.duration_since(end) < PAUSE) {
            return Watched::Nothing;
        }
        self.note_pause(sent);
        let last = self.foretell();
        if last > 0 {
            return Watched::Ends { last };
        }
        if self.woken.is_some_and(|then| now.duration_since(then) < WAKE_INTERVAL) {
            return Watched::Nothing;
        }
        self.woken = Some(now);
        Watched::Wake
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

        /// Sends so many messages in a row after a pause. Returns how many were written before the rest gathered, and
        /// which was taken to be the last, if that was known.
        fn burst(&mut self, messages: u32) -> (u32, usize) {
            self.now += 1000 * MICROSECOND;
            for n in 0..messages {
                self.sent += 1;
                let step = self.rhythm.note_message(self.now, self.sent, 0);
                if let Step::Gather { last } = step {
                    self.sent += messages - n - 1;
                    return (n, last);
                }
                self.rhythm.note_write_until(self.now, self.now + 10 * MICROSECOND);
                self.now += 11 * MICROSECOND;
                if step == Step::Stream {
                    self.sent += messages - n - 1;
                    return (n + 1, 0);
                }
            }
            (messages, 0)
        }
    }

    #[test]
    fn bursts_gather_the_sooner_the_more_there_were() {
        let mut sender = Sender::new();
        assert_eq!(sender.burst(10), (STREAM_AFTER + 1, 0));
        assert_eq!(sender.burst(11), (BURST_AFTER + 1, 0), "after one");
        assert_eq!([12, 13, 10].map(|messages| sender.burst(messages)), [(0, 0); 3], "after two");
        assert_eq!(sender.burst(2), (0, 0), "nobody could know");
        assert_eq!([2, 2, 1, 3].map(|messages| sender.burst(messages)), [(2, 0), (2, 0), (1, 0), (3, 0)]);
        assert_eq!(sender.burst(10), (STREAM_AFTER + 1, 0));
        let lone_one_between = [1, 10].map(|messages| sender.burst(messages));
        assert_eq!(lone_one_between, [(1, 0), (STREAM_AFTER + 1, 0)]);
    }

    #[test]
    fn the_last_of_a_burst_is_known_where_they_were_as_long_a_few_times() {
        let mut sender = Sender::new();
        let bursts = [10; 7].map(|messages| sender.burst(messages).1);
        assert_eq!(bursts, [0, 0, 0, 10, 10, 10, 10]);
        assert_eq!([12, 10, 10, 10, 10].map(|messages| sender.burst(messages).1), [10, 0, 0, 0, 10]);
        // More often after one that was shorter.
        assert_eq!(
            [9, 10, 10, 10, 10, 10, 10].map(|messages| sender.burst(messages).1),
            [10, 0, 0, 0, 0, 0, 10]
        );
        // And in the end not at all, as good as.
        for _ in 0..40 {
            for _ in 0..1100 {
                sender.burst(10);
            }
            sender.burst(9);
        }
        assert_eq!([10; 1000].map(|messages| sender.burst(messages).1), [0; 1000]);
    }

    #[test]
    fn a_receive_in_between_makes_no_stream() {
        let mut sender = Sender::new();
        for receives in 0..20 {
            assert_eq!(sender.rhythm.note_message(sender.now, receives as u32, receives), Step::Write);
            sender.rhythm.note_write_until(sender.now, sender.now);
        }
    }

    #[test]
    fn a_watcher_is_woken_after_a_pause_of_a_stream_of_few_messages_but_not_often() {
        let mut rhythm = WriteRhythm::default();
        let now = Instant::now();
        rhythm.note_flush_at(now);
        let soon_after = PAUSE + WAKE_INTERVAL - MICROSECOND;
        let looks = [PAUSE - MICROSECOND, PAUSE, soon_after, PAUSE + WAKE_INTERVAL];
        let found = looks.map(|after| rhythm.note_watched_at(now + after, 1));
        assert_eq!(found, [Watched::Nothing, Watched::Wake, Watched::Nothing, Watched::Wake]);
        let mut rhythm = WriteRhythm::default();
        assert_eq!(rhythm.note_watched(FEW + 1), Watched::Nothing);
        assert_eq!(rhythm.note_watched(2 * FEW + 1), Watched::Wake, "so few since then");
    }

    #[test]
    fn the_last_of_a_burst_is_known_to_a_watched_stream_too() {
        let (mut rhythm, mut now) = (WriteRhythm::default(), Instant::now());
        let found = [1, 11, 21, 31, 41, 51, 62].map(|sent| {
            now += WAKE_INTERVAL;
            rhythm.note_watched_at(now, sent)
        });
        assert_eq!(found[..3], [Watched::Wake; 3]);
        assert_eq!(found[3..6], [Watched::Ends { last: 10 }; 3]);
        assert_eq!(found[6], Watched::Wake);
    }
}
