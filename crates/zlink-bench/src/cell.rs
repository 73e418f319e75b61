//! What can be measured, as data: a cell is one scenario, run once per engine and round.

mod axis;
mod unit;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use axis::{Kind, Mechanism, Pattern, Pin, Threads, Topics, Transport};
pub(crate) use unit::{format_size, parse_count, parse_micros, parse_size};

/// The most sockets one side of a run may have: libzmq's context allows 1,023.
pub(crate) const SOCKETS_MAX: u64 = 1_000;

/// One scenario. Every engine runs it with exactly these values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) kind: Kind,
    pub(crate) transport: Transport,
    pub(crate) pattern: Pattern,
    /// Bytes in a message body.
    pub(crate) size: usize,
    pub(crate) pin: Pin,
    #[serde(default)]
    pub(crate) mechanism: Mechanism,
    /// Pairs of sockets at work side by side, each with a thread of its own on either side.
    #[serde(default = "one")]
    pub(crate) sockets: u64,
    /// Connected sockets that share the bound one.
    #[serde(default = "one")]
    pub(crate) peers: u64,
    /// Who drives them.
    #[serde(default)]
    pub(crate) threads: Threads,
    /// Messages a second that fall due, of all sockets together (fixed rate only, else 0).
    #[serde(default)]
    pub(crate) rate: u64,
    /// Messages at a time (bursts only, else 0).
    #[serde(default)]
    pub(crate) burst: u64,
    /// What subscribers ask for (fan-out only).
    #[serde(default)]
    pub(crate) topics: Topics,
    /// Microseconds of sleep before each round trip, not counted in its time, or between two bursts.
    #[serde(default)]
    pub(crate) idle_us: u64,
    /// Round trips, messages, bursts or connections that are measured, for each pair of sockets.
    pub(crate) count: u64,
    /// Those that go before, unmeasured.
    pub(crate) warmup: u64,
}

/// What a record from before there was a choice means.
fn one() -> u64 {
    1
}

impl Cell {
    /// A plain cell of one pair of sockets; other fields are set afterwards, and then
    /// [`take_about`](Self::take_about) finds the count.
    pub(crate) fn new(kind: Kind, transport: Transport, pattern: Pattern, size: usize, pin: Pin) -> Self {
        Self {
            kind,
            transport,
            pattern,
            size,
            pin,
            mechanism: Mechanism::Null,
            sockets: 1,
            peers: 1,
            threads: Threads::One,
            rate: 0,
            burst: 0,
            topics: Topics::All,
            idle_us: 0,
            count: 0,
            warmup: 0,
        }
    }

    /// Sets the count so that libzmq takes about `seconds` on a small machine of today.
    ///
    /// The count is the same for all engines: a faster one finishes earlier.
    pub(crate) fn take_about(&mut self, seconds: f64) {
        let all = (seconds * 1e9 / self.nanos()) as u64;
        let fewest = if self.kind.has_latency() { 200 } else { 100 };
        self.set_count((all / self.sockets).max(fewest));
    }

    /// About what libzmq takes for all of it, warm-up included.
    pub(crate) fn expected_seconds(&self) -> f64 {
        match self.kind {
            Kind::Idle => 2.5,
            _ => ((self.count + self.warmup) * self.sockets) as f64 * self.nanos() / 1e9,
        }
    }

    /// About what libzmq takes for one of [`count`](Self::count), in nanoseconds.
    fn nanos(&self) -> f64 {
        let body = self.size as f64;
        let (fixed, byte) = match (self.kind, self.transport) {
            (Kind::RoundTrip, Transport::Inproc) => (12_000.0, 0.2),
            (Kind::RoundTrip, _) => (60_000.0, 2.0),
            (Kind::Connect, _) => (400_000.0, 2.0),
            (_, Transport::Inproc) => (140.0, 0.02),
            (_, Transport::Ws) => (500.0, 2.0),
            _ => (240.0, 0.9),
        };
        let slower = match self.pattern {
            _ if self.kind != Kind::Stream => 1.0,
            _ if self.mechanism == Mechanism::Curve => 4.0,
            Pattern::Stream => 20.0,
            pattern if pattern.is_routed() => 3.0,
            _ => 1.0,
        };
        let one = (fixed + body * byte) * slower;
        match self.kind {
            Kind::RoundTrip => one + self.idle_us as f64 * 1e3,
            Kind::Paced => 1e9 / self.rate.max(1) as f64,
            Kind::Burst => 100_000.0 + self.idle_us as f64 * 1e3 + one * self.burst as f64,
            Kind::FanOut if self.topics == Topics::Never => one,
            Kind::FanOut => one * self.peers as f64,
            Kind::Stream | Kind::Connect | Kind::Idle => one,
        }
    }

    /// Sets the count, and the warm-up to a tenth of it. Each peer has its part in the warm-up, so that all
    /// are connected when it is over; an idle cell counts its connections.
    pub(crate) fn set_count(&mut self, count: u64) {
        self.count = if self.kind == Kind::Idle { self.peers } else { count };
        let shared = if self.kind == Kind::Stream && self.peers > 1 { 2 * self.peers } else { 1 };
        self.warmup = (count / 10).clamp(1, 100_000).max(shared);
    }

    /// Messages, round trips or connections in all: what a rate and a cost per message refer to.
    pub(crate) fn messages(&self) -> u64 {
        self.count * self.sockets * self.burst.max(1)
    }

    /// Messages or round trips of the warm-up.
    pub(crate) fn warmup_messages(&self) -> u64 {
        self.warmup * self.sockets * self.burst.max(1)
    }

    /// What one of the peers with threads of their own sends: its share of the messages.
    pub(crate) fn share_of_peer(&self, index: u64) -> Self {
        let share = |all: u64| all / self.peers + u64::from(index < all % self.peers);
        let all = share(self.count + self.warmup);
        let warmup = share(self.warmup).min(all);
        Self { peers: 1, threads: Threads::One, count: all - warmup, warmup, ..self.clone() }
    }

    /// Socket types as `zmq.h` numbers them: the bound one, the connected one.
    pub(crate) fn socket_types(&self) -> (i32, i32) {
        match self.pattern {
            Pattern::ReqRep => (4, 3),
            Pattern::PushPull => (7, 8),
            Pattern::Pair => (0, 0),
            Pattern::DealerDealer => (5, 5),
            Pattern::DealerRouter => (6, 5),
            Pattern::RouterRouter | Pattern::RouterRouterPolled => (6, 6),
            Pattern::PubSub if self.kind == Kind::FanOut => (9, 2),
            Pattern::PubSub => (2, 9),
            Pattern::Stream => (11, 11),
        }
    }

    /// Whether it is the same scenario, however many messages are sent.
    pub(crate) fn is_same_scenario(&self, other: &Self) -> bool {
        let counts = (self.count, self.warmup);
        let other = Self { count: counts.0, warmup: counts.1, ..other.clone() };
        *self == other
    }

    /// Why there is no such scenario, if so.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (kind, pattern) = (self.kind, self.pattern);
        let fault = if !pattern.allows(kind) {
            format!("{} has no {}", pattern.name(), kind.name())
        } else if kind.is_stamped() && self.size < 8 {
            format!("a message of a {} has at least 8 bytes", kind.name())
        } else if pattern == Pattern::Stream && (self.transport != Transport::Tcp || self.size == 0) {
            "STREAM sends bytes over TCP only, and at least one".into()
        } else if pattern == Pattern::Stream && self.mechanism != Mechanism::Null {
            "STREAM has no encryption".into()
        } else if self.peers > SOCKETS_MAX || self.sockets > SOCKETS_MAX {
            format!("there are at most {SOCKETS_MAX} sockets")
        } else if self.sockets > 1 && matches!(kind, Kind::Connect | Kind::FanOut | Kind::Idle) {
            format!("a {} has no sockets side by side, but perhaps peers", kind.name())
        } else if self.peers > 1 && self.sockets > 1 {
            "peers and sockets are not both more than one".into()
        } else if self.peers > 1
            && !matches!(kind, Kind::FanOut | Kind::Idle)
            && !(kind == Kind::Stream && pattern.takes_many_peers())
        {
            format!("a {} of {} has one peer", kind.name(), pattern.name())
        } else if self.threads == Threads::Each && !(kind == Kind::Stream && (2..=64).contains(&self.peers)) {
            "threads=each belongs to `stream` with 2 to 64 peers".into()
        } else if (self.rate > 0) != (kind == Kind::Paced) {
            "rate= belongs to `paced`, which needs it".into()
        } else if (self.burst > 0) != (kind == Kind::Burst) {
            "burst= belongs to `burst`, which needs it".into()
        } else if self.topics != Topics::All && kind != Kind::FanOut {
            "topics= belongs to `fanout`".into()
        } else if self.idle_us > 0 && !matches!(kind, Kind::RoundTrip | Kind::Burst) {
            "idle= belongs to `roundtrip` and `burst`".into()
        } else {
            return Ok(());
        };
        Err(fault)
    }
}

/// As the scenario files and the failure messages write it; [`crate::scenario::parse`] reads it back.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = format_size(self.size);
        let (kind, transport, pattern) = (self.kind.name(), self.transport.name(), self.pattern.name());
        write!(f, "{kind} {transport} {pattern} {size} pin={}", self.pin.name())?;
        self.fmt_special(f)
    }
}

impl Cell {
    /// What of it is out of the ordinary, each with a space before it.
    fn fmt_special(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mechanism == Mechanism::Curve {
            f.write_str(" curve")?;
        }
        for (name, value, usual) in [
            ("sockets", self.sockets, 1),
            ("peers", self.peers, 1),
            ("rate", self.rate, 0),
            ("burst", self.burst, 0),
        ] {
            if value != usual {
                write!(f, " {name}={value}")?;
            }
        }
        if self.threads != Threads::One {
            write!(f, " threads={}", self.threads.name())?;
        }
        if self.kind == Kind::FanOut {
            write!(f, " topics={}", self.topics.name())?;
        }
        if self.idle_us > 0 {
            write!(f, " idle={}us", self.idle_us)?;
        }
        Ok(())
    }

    /// The name of its row in a table of its kind and transport.
    pub(crate) fn label(&self) -> String {
        struct Special<'a>(&'a Cell);
        impl fmt::Display for Special<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt_special(f)
            }
        }
        let (pattern, size, pin) = (self.pattern.name(), format_size(self.size), self.pin.name());
        format!("{pattern} {size}, pin {pin}{}", Special(self).to_string().replace(' ', ", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(size: usize) -> Cell {
        Cell::new(Kind::Stream, Transport::Tcp, Pattern::PushPull, size, Pin::None)
    }

    fn count(cell: &Cell) -> u64 {
        let mut cell = cell.clone();
        cell.take_about(0.5);
        cell.count
    }

    #[test]
    fn larger_messages_are_sent_less_often() {
        assert!(count(&stream(64)) > count(&stream(1024)));
        assert!(count(&stream(1024)) > count(&stream(1 << 20)));
        assert!(count(&stream(1 << 30)) >= 100);
    }

    #[test]
    fn sockets_side_by_side_share_the_messages_and_a_rate_sets_their_number() {
        let four = Cell { sockets: 4, ..stream(64) };
        assert_eq!(count(&four), count(&stream(64)) / 4);
        let paced = Cell { kind: Kind::Paced, rate: 10_000, ..stream(64) };
        assert_eq!(count(&paced), 5_000);
    }

    #[test]
    fn idle_time_and_pauses_count_as_time() {
        let trip = Cell { kind: Kind::RoundTrip, pattern: Pattern::ReqRep, ..stream(64) };
        assert!(count(&Cell { idle_us: 1000, ..trip.clone() }) < count(&trip) / 10);
    }

    #[test]
    fn all_peers_have_sent_when_the_warm_up_is_over() {
        let mut cell = Cell { peers: 1000, ..stream(64) };
        cell.set_count(500);
        assert!(cell.warmup >= 2000);
    }

    #[test]
    fn the_shares_of_the_peers_are_the_whole() {
        let mut cell = Cell { peers: 7, threads: Threads::Each, ..stream(64) };
        cell.set_count(1234);
        let sent: u64 = (0..7).map(|index| cell.share_of_peer(index)).map(|one| one.count + one.warmup).sum();
        assert_eq!(sent, cell.count + cell.warmup);
    }

    #[test]
    fn scenarios_that_make_no_sense_are_refused() {
        let cell = stream(64);
        for bad in [
            Cell { pattern: Pattern::ReqRep, ..cell.clone() },
            Cell { kind: Kind::RoundTrip, ..cell.clone() },
            Cell { kind: Kind::Paced, rate: 10, size: 7, ..cell.clone() },
            Cell { kind: Kind::Paced, ..cell.clone() },
            Cell { rate: 10, ..cell.clone() },
            Cell { burst: 10, ..cell.clone() },
            Cell { sockets: 2, peers: 2, ..cell.clone() },
            Cell { peers: 1001, ..cell.clone() },
            Cell { pattern: Pattern::Pair, peers: 2, ..cell.clone() },
            Cell { pattern: Pattern::Stream, transport: Transport::Ipc, ..cell.clone() },
            Cell { topics: Topics::Match, ..cell.clone() },
            Cell { threads: Threads::Each, ..cell.clone() },
            Cell { threads: Threads::Each, peers: 65, ..cell.clone() },
            Cell { idle_us: 1, ..cell.clone() },
        ] {
            assert!(bad.check().is_err(), "{bad}");
        }
        assert_eq!(cell.check(), Ok(()));
    }

    #[test]
    fn a_record_from_before_there_was_a_choice_is_read_as_the_usual() {
        let record = r#"{"kind":"stream","transport":"tcp","pattern":"push-pull","size":64,"pin":"none",
            "count":7,"warmup":1}"#;
        let cell: Cell = serde_json::from_str(record).expect("it says what it has to");
        assert!(cell.is_same_scenario(&stream(64)), "{cell}");
    }

    #[test]
    fn the_number_of_messages_does_not_make_another_scenario() {
        let mut cell = stream(64);
        cell.set_count(7);
        assert!(cell.is_same_scenario(&stream(64)));
        assert!(!cell.is_same_scenario(&stream(65)));
    }
}
