//! What a lane sends, and when.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::message::{Head, Sizes, Stream};
use super::random::Random;

/// A defect of the soak's own, for tests that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Sabotage {
    /// Senders leave a message out.
    Skip,
    /// Senders send a message twice.
    Double,
    /// Senders let two messages change places.
    Swap,
    /// Senders send a message without its last byte.
    Cut,
    /// Senders change a byte of a message.
    Corrupt,
    /// Receivers never give back some of their memory.
    Leak,
    /// Receivers never close some files.
    Descriptors,
    /// Receivers stop for good.
    Hang,
}

/// The number of the message that sabotage is done to.
const VICTIM: u64 = 60;

/// A stream of numbered messages.
#[derive(Debug)]
pub(super) struct Feed {
    stream: Stream,
    topic: u8,
    sizes: Sizes,
    sent: u64,
    sabotage: Option<Sabotage>,
}

impl Feed {
    pub(super) fn new(stream: Stream, topic: u8, sizes: Sizes, sabotage: Option<Sabotage>) -> Self {
        Feed { stream, topic, sizes, sent: 0, sabotage }
    }

    pub(super) fn topic(&self) -> u8 {
        self.topic
    }

    /// The head of the next message.
    pub(super) fn next(&self, last: bool, mark: u32) -> Head {
        let number = match (self.sabotage, self.sent) {
            (Some(Sabotage::Skip), sent) if sent >= VICTIM => sent + 1,
            (Some(Sabotage::Double), sent) if sent > VICTIM => sent - 1,
            (Some(Sabotage::Swap), VICTIM) => VICTIM + 1,
            (Some(Sabotage::Swap), sent) if sent == VICTIM + 1 => VICTIM,
            (_, sent) => sent,
        };
        Head { topic: self.topic, sizes: self.sizes, last, mark, stream: self.stream, number }
    }

    /// The parts of a message with that head.
    pub(super) fn parts(&self, head: &Head) -> Vec<Cow<'static, [u8]>> {
        let mut parts = head.parts();
        match self.sabotage {
            Some(Sabotage::Cut) if self.sent == VICTIM => {
                parts[0].to_mut().pop();
            }
            Some(Sabotage::Corrupt) if self.sent == VICTIM => {
                let first = parts[0].to_mut();
                let at = first.len() - 1;
                first[at] ^= 1;
            }
            _ => {}
        }
        parts
    }

    /// The next message has been sent.
    pub(super) fn advance(&mut self) {
        self.sent += 1;
    }
}

/// When messages are sent: stretches of bursts, of single messages and of silence take turns, so that the engine's ways
/// for each of them do too.
#[derive(Debug)]
pub(super) struct Rhythm {
    /// Messages of a burst, and the time between two bursts in microseconds.
    burst: u64,
    gap: u64,
    stretch_ends: Instant,
    left: u64,
    next_burst: Instant,
}

impl Rhythm {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Rhythm { burst: 0, gap: 0, stretch_ends: now, left: 0, next_burst: now }
    }

    /// How long to wait before the next message.
    pub(super) fn wait(&mut self, random: &mut Random) -> Duration {
        let now = Instant::now();
        if self.left > 0 {
            return Duration::ZERO;
        }
        if now >= self.stretch_ends {
            // Single messages, short bursts, long ones with pauses, and a silence.
            let (burst, gap) = *random.pick(&[
                (1, 300),
                (1, 5_000),
                (10, 5_000),
                (50, 20_000),
                (2_000, 150_000),
                (0, 100_000),
            ]);
            (self.burst, self.gap) = (burst, gap);
            self.stretch_ends = now + random.millis(50, 1_500);
            self.next_burst = now;
        }
        if self.burst == 0 {
            return self.stretch_ends.saturating_duration_since(now);
        }
        if now < self.next_burst {
            return self.next_burst.saturating_duration_since(now);
        }
        self.left = 1 + random.below(self.burst);
        self.next_burst = now + random.micros(self.gap / 2, self.gap);
        Duration::ZERO
    }

    /// A message of a burst was sent.
    pub(super) fn sent(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}
