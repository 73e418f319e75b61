//! What can be measured, as data: a cell is one scenario, run once per engine and round.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What a run measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// One message there and one back, again and again; the time of each pair.
    RoundTrip,
    /// Messages one way as fast as they go; the time from the first to the last at the receiver.
    Stream,
    /// Sockets that are opened, connected, ask for one answer and are closed, some at a time.
    Connect,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RoundTrip => "roundtrip",
            Self::Stream => "stream",
            Self::Connect => "connect",
        }
    }
}

/// How the connection is secured.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mechanism {
    #[default]
    Null,
    /// With encryption; the bound side is the server.
    Curve,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    Tcp,
    Ipc,
    Inproc,
}

impl Transport {
    pub(crate) const ALL: [Self; 3] = [Self::Tcp, Self::Ipc, Self::Inproc];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Ipc => "ipc",
            Self::Inproc => "inproc",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Ipc => "IPC",
            Self::Inproc => "inproc",
        }
    }
}

/// The two socket types of a run. The first one binds, receives or echoes; the second one connects
/// and sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pattern {
    /// REP echoes for REQ (round trip and connect only).
    ReqRep,
    /// PULL receives from PUSH (stream only).
    PushPull,
    /// PAIR on both sides.
    Pair,
    /// DEALER on both sides.
    DealerDealer,
    /// ROUTER bound, DEALER connected.
    DealerRouter,
    /// SUB bound, XPUB connected with XPUB_NODROP, one empty subscription (stream only).
    PubSub,
}

impl Pattern {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ReqRep => "req-rep",
            Self::PushPull => "push-pull",
            Self::Pair => "pair",
            Self::DealerDealer => "dealer-dealer",
            Self::DealerRouter => "dealer-router",
            Self::PubSub => "pub-sub",
        }
    }

    /// Socket types as `zmq.h` numbers them: the bound one, the connected one.
    pub(crate) fn socket_types(self) -> (i32, i32) {
        match self {
            Self::ReqRep => (4, 3),
            Self::PushPull => (7, 8),
            Self::Pair => (0, 0),
            Self::DealerDealer => (5, 5),
            Self::DealerRouter => (6, 5),
            Self::PubSub => (2, 9),
        }
    }

    pub(crate) fn allows(self, kind: Kind) -> bool {
        match self {
            Self::ReqRep => kind != Kind::Stream,
            Self::PushPull | Self::PubSub => kind == Kind::Stream,
            Self::Pair | Self::DealerDealer | Self::DealerRouter => kind != Kind::Connect,
        }
    }

    /// Whether the bound side sees the sender's routing id in front of each message.
    pub(crate) fn is_routed(self) -> bool {
        self == Self::DealerRouter
    }
}

/// Where the two sides may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pin {
    /// Wherever the scheduler puts them.
    None,
    /// Everything on the first allowed CPU.
    #[value(name = "0")]
    #[serde(rename = "0")]
    Zero,
    /// The bound side on the first allowed CPU, the connected side on the second.
    Split,
}

impl Pin {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zero => "0",
            Self::Split => "split",
        }
    }
}

/// One scenario. Every engine runs it with exactly these values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) kind: Kind,
    pub(crate) transport: Transport,
    pub(crate) pattern: Pattern,
    /// Bytes in a message body.
    pub(crate) size: usize,
    pub(crate) pin: Pin,
    /// Records from before there was a choice have none.
    #[serde(default)]
    pub(crate) mechanism: Mechanism,
    /// Microseconds of sleep before each round trip, not counted in its time.
    pub(crate) idle_us: u64,
    /// Round trips, messages or connections that are measured.
    pub(crate) count: u64,
    /// Those that go before, unmeasured.
    pub(crate) warmup: u64,
}

impl Cell {
    /// A cell whose count makes libzmq take about `seconds` on a small machine of today.
    ///
    /// The count is the same for all engines: a faster one finishes earlier.
    pub(crate) fn new(
        kind: Kind,
        transport: Transport,
        pattern: Pattern,
        size: usize,
        pin: Pin,
        seconds: f64,
    ) -> Self {
        let body = size as f64;
        let nanos = match (kind, transport) {
            (Kind::RoundTrip, Transport::Inproc) => 12_000.0 + body * 0.2,
            (Kind::RoundTrip, _) => 60_000.0 + body * 2.0,
            (Kind::Stream, Transport::Inproc) => 140.0 + body * 0.02,
            (Kind::Stream, _) => 240.0 + body * 0.9,
            (Kind::Connect, _) => 400_000.0 + body * 2.0,
        };
        let count = (seconds * 1e9 / nanos) as u64;
        let mechanism = Mechanism::Null;
        let mut cell =
            Self { kind, transport, pattern, size, pin, mechanism, idle_us: 0, count: 0, warmup: 0 };
        cell.set_count(count.max(100));
        cell
    }

    /// The same cell with encryption, and with as many fewer messages as that takes longer.
    pub(crate) fn with_curve(mut self) -> Self {
        self.mechanism = Mechanism::Curve;
        if self.kind == Kind::Stream {
            self.set_count((self.count / 4).max(100));
        }
        self
    }

    /// Sets the count, and the warm-up to a tenth of it.
    pub(crate) fn set_count(&mut self, count: u64) {
        self.count = count;
        self.warmup = (count / 10).clamp(1, 100_000);
    }
}

/// As the thresholds file and the failure messages write it.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {} pin={}",
            self.kind.name(),
            self.transport.name(),
            self.pattern.name(),
            format_size(self.size),
            self.pin.name()
        )?;
        if self.mechanism == Mechanism::Curve {
            f.write_str(" curve")?;
        }
        if self.idle_us > 0 {
            write!(f, " idle={}us", self.idle_us)?;
        }
        Ok(())
    }
}

/// Reads `64`, `64B`, `4K`, `4KiB`, `1M` or `1MiB`; K and M are powers of 1024.
///
/// The largest size is 1 GiB: two such messages still fit into an ordinary machine.
pub(crate) fn parse_size(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: usize =
        number.parse().map_err(|_| format!("`{text}` is not a size (examples: 64, 4K, 1M)"))?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        other => return Err(format!("`{other}` is not a unit of size (B, K, M)")),
    };
    number
        .checked_mul(factor)
        .filter(|bytes| *bytes <= 1 << 30)
        .ok_or_else(|| format!("`{text}` is more than 1 GiB"))
}

pub(crate) fn format_size(bytes: usize) -> String {
    match bytes {
        b if b >= 1 << 20 && b % (1 << 20) == 0 => format!("{}M", b >> 20),
        b if b >= 1 << 10 && b % (1 << 10) == 0 => format!("{}K", b >> 10),
        b => format!("{b}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        assert_eq!(parse_size("64"), Ok(64));
        assert_eq!(parse_size(" 64B "), Ok(64));
        assert_eq!(parse_size("4K"), Ok(4096));
        assert_eq!(parse_size("4kib"), Ok(4096));
        assert_eq!(parse_size("1M"), Ok(1 << 20));
        assert_eq!(parse_size("0"), Ok(0));
    }

    #[test]
    fn sizes_that_are_none_or_too_large_are_refused() {
        for bad in ["", "K", "-1", "1.5K", "64X", "2G", "99999999999999999999", "17179869184G"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_printed_size_reads_back_as_the_same_size() {
        for size in [0, 1, 64, 1000, 1024, 1025, 65536, 1 << 20, (1 << 20) + 1] {
            assert_eq!(parse_size(&format_size(size)), Ok(size));
        }
    }

    #[test]
    fn larger_messages_are_sent_less_often() {
        let cell =
            |size| Cell::new(Kind::Stream, Transport::Tcp, Pattern::PushPull, size, Pin::None, 0.5).count;
        assert!(cell(64) > cell(1024) && cell(1024) > cell(1 << 20));
        assert!(cell(1 << 30) >= 100);
    }

    #[test]
    fn a_pattern_is_only_offered_for_what_it_can_do() {
        assert!(!Pattern::PushPull.allows(Kind::RoundTrip));
        assert!(!Pattern::ReqRep.allows(Kind::Stream));
        assert!(Pattern::DealerRouter.allows(Kind::Stream));
    }
}
