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
}

impl WriteRhythm {
    /// Counts a message that is to be written now, after so many receives. Returns whether it makes a stream: several in
    /// a row, with nothing between them.
    pub(crate) fn makes_stream(&mut self, start: Instant, receives: u64) -> bool {
        let goes_on = self.receives == receives && self.goes_on(start);
        self.run = if goes_on { self.run + 1 } else { 1 };
        self.receives = receives;
        let stream = self.run > STREAM_AFTER;
        if stream {
            self.run = 0;
        }
        stream
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
        let end = Instant::now();
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
