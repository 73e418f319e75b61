//! The axes a scenario can vary along.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Declares an axis: an enum whose values have one name on the command line, in files and in records. The first is
/// what a record from before there was a choice means.
macro_rules! axis {
    ($(#[$about:meta])* $axis:ident { $($(#[$note:meta])* $value:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum,
        )]
        pub(crate) enum $axis {
            $($(#[$note])* #[serde(rename = $name)] #[value(name = $name)] $value,)+
        }

        impl Default for $axis {
            fn default() -> Self {
                Self::ALL[0]
            }
        }

        impl $axis {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$value),+];

            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $name,)+
                }
            }
        }
    };
}

axis! {
    /// What a run measures.
    Kind {
        /// One message there and one back, again and again; the time of each pair.
        RoundTrip = "roundtrip",
        /// Messages one way as fast as they go; the time from the first to the last at the receiver.
        Stream = "stream",
        /// Messages one way at a fixed rate, whatever comes of them; the time of each on its way.
        Paced = "paced",
        /// Some messages at once, then a pause; the time until the last of them is there.
        Burst = "burst",
        /// Messages to all of many subscribers; the time from the first to the last at the receivers.
        FanOut = "fanout",
        /// Sockets that are opened, connected, ask for one answer and are closed, some at a time.
        Connect = "connect",
        /// Connections over which nothing goes; what they take of memory and processor.
        Idle = "idle",
    }
}

axis! {
    /// What carries the bytes.
    Transport {
        Tcp = "tcp",
        Ipc = "ipc",
        Inproc = "inproc",
        /// WebSocket over TCP.
        Ws = "ws",
    }
}

axis! {
    /// The two socket types of a run. The first one binds, receives or echoes; the second one connects
    /// and sends.
    Pattern {
        /// REP echoes for REQ (round trip and connect only).
        ReqRep = "req-rep",
        /// PULL receives from PUSH (one way only).
        PushPull = "push-pull",
        /// PAIR on both sides.
        Pair = "pair",
        /// DEALER on both sides.
        DealerDealer = "dealer-dealer",
        /// ROUTER bound, DEALER connected.
        DealerRouter = "dealer-router",
        /// ROUTER on both sides, which know each other's routing id.
        RouterRouter = "router-router",
        /// The same, with a `zmq_poll` before each message received.
        RouterRouterPolled = "router-router-polled",
        /// SUB bound, XPUB connected with XPUB_NODROP, one empty subscription; for a fan-out XPUB bound and
        /// SUBs connected (one way only).
        PubSub = "pub-sub",
        /// STREAM on both sides: bytes without messages (TCP only).
        Stream = "stream",
    }
}

axis! {
    /// How the connection is secured.
    Mechanism {
        Null = "null",
        /// With encryption; the bound side is the server.
        Curve = "curve",
    }
}

axis! {
    /// Where the two sides may run.
    Pin {
        /// Wherever the scheduler puts them.
        None = "none",
        /// Everything on the first allowed CPU.
        Zero = "0",
        /// The bound side on the first allowed CPU, the connected side on the second.
        Split = "split",
    }
}

axis! {
    /// What the subscribers of a fan-out are subscribed to.
    Topics {
        /// To everything.
        All = "all",
        /// To the topic of the messages.
        Match = "match",
        /// To the topic of the messages and a hundred others.
        Crowd = "crowd",
        /// To a hundred other topics only: nothing is delivered.
        Never = "never",
    }
}

axis! {
    /// Who drives the connected sockets that share the bound one.
    Threads {
        /// One thread, which sends from one socket after the other.
        One = "one",
        /// A thread for each.
        Each = "each",
    }
}

impl Transport {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Ipc => "IPC",
            Self::Inproc => "inproc",
            Self::Ws => "WS",
        }
    }
}

impl Kind {
    /// The heading of its tables and charts.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::RoundTrip => "Round trip",
            Self::Stream => "Stream",
            Self::Paced => "Fixed rate",
            Self::Burst => "Bursts",
            Self::FanOut => "Fan-out",
            Self::Connect => "Connections",
            Self::Idle => "Idle connections",
        }
    }

    /// Whether its runs record times.
    pub(crate) fn has_latency(self) -> bool {
        matches!(self, Self::RoundTrip | Self::Paced | Self::Burst)
    }

    /// Whether the sender keeps to a clock, and so has to know when to begin.
    pub(crate) fn begins_together(self) -> bool {
        matches!(self, Self::Paced | Self::Burst)
    }

    /// Whether its messages begin with eight bytes of the bench: a time, or a topic.
    pub(crate) fn is_stamped(self) -> bool {
        matches!(self, Self::Paced | Self::Burst | Self::FanOut)
    }
}

impl Pattern {
    pub(crate) fn allows(self, kind: Kind) -> bool {
        let one_way = matches!(kind, Kind::Stream | Kind::Paced | Kind::Burst);
        match self {
            Self::ReqRep => matches!(kind, Kind::RoundTrip | Kind::Connect),
            Self::PushPull => one_way || kind == Kind::Idle,
            Self::PubSub => one_way || kind == Kind::FanOut,
            Self::Pair | Self::RouterRouter | Self::RouterRouterPolled => one_way || kind == Kind::RoundTrip,
            Self::DealerDealer | Self::DealerRouter => {
                one_way || matches!(kind, Kind::RoundTrip | Kind::Idle)
            }
            Self::Stream => matches!(kind, Kind::RoundTrip | Kind::Stream),
        }
    }

    /// Whether several connected sockets can share the bound one.
    pub(crate) fn takes_many_peers(self) -> bool {
        matches!(self, Self::PushPull | Self::DealerDealer | Self::DealerRouter | Self::RouterRouter)
    }

    /// Whether a side sends or sees routing ids.
    pub(crate) fn is_routed(self) -> bool {
        matches!(self, Self::DealerRouter | Self::RouterRouter | Self::RouterRouterPolled | Self::Stream)
    }
}
