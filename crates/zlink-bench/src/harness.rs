//! The timed loops, written once for every engine.
//!
//! They follow the structure of libzmq's `perf/` programs: a round trip bounces one message object
//! between the two sides, a stream makes a fresh message for each send and receives into one object.
//! Each loop is compiled for each engine and each way of addressing ([`link`]), so that nothing stands
//! between it and the library.

#[allow(unsafe_code)]
pub(crate) mod capi;
#[cfg(test)]
mod fake;
mod link;
mod many;
mod pairs;
pub(crate) mod raw;
#[cfg(feature = "zlink-rs")]
pub(crate) mod rust_api;
pub(crate) mod slowed;
mod timed;

use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::cell::{Cell, Kind, Mechanism, Pattern, Topics};
use crate::system::Usage;
use link::{Bytes, Link, Plain, Polled, Routed};

pub(crate) use many::run_connections;

/// The longest routing id there is (23/ZMTP, 28/REQREP).
const ROUTING_ID_MAX: usize = 255;

/// What a fan-out's messages begin with.
const TOPIC: [u8; 8] = *b"bench-on";
/// What the last message of a fan-out begins with, to which every subscriber is subscribed.
const LAST: [u8; 8] = *b"last-one";
/// Topics no message begins with, for each subscriber that has them.
const OTHER_TOPICS: usize = 100;

/// Options of one socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketOptions {
    /// Send and receive high-water mark in messages; `None` leaves the library's default.
    pub(crate) hwm: Option<i32>,
    pub(crate) security: Security,
    pub(crate) routing: Routing,
    pub(crate) batching: Batching,
    /// Connections that may wait to be accepted; `None` leaves the library's default.
    pub(crate) backlog: Option<i32>,
}

/// How a side secures its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    None,
    CurveServer,
    CurveClient,
}

impl Security {
    /// Of the bound side, then of the connected side.
    pub(crate) fn pair(mechanism: Mechanism) -> (Self, Self) {
        match mechanism {
            Mechanism::Null => (Self::None, Self::None),
            Mechanism::Curve => (Self::CurveServer, Self::CurveClient),
        }
    }
}

/// Routing ids that are set rather than left to the library; see [`routing_id`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Routing {
    /// `ZMQ_ROUTING_ID`.
    pub(crate) own: Option<u32>,
    /// `ZMQ_CONNECT_ROUTING_ID`, and with it `ZMQ_ROUTER_MANDATORY` on a ROUTER, which waits then at its
    /// high-water mark rather than drop.
    pub(crate) peer: Option<u32>,
}

/// The number of the bound side among the routing ids.
const BOUND: u32 = 0;

impl Routing {
    /// Of the bound side.
    pub(crate) fn bound(pattern: Pattern) -> Self {
        match pattern {
            Pattern::RouterRouter | Pattern::RouterRouterPolled => Self { own: Some(BOUND), peer: None },
            _ => Self::default(),
        }
    }

    /// Of the connected side's socket number `index` of all that share the bound one.
    pub(crate) fn connected(pattern: Pattern, index: u32) -> Self {
        match pattern {
            Pattern::RouterRouter | Pattern::RouterRouterPolled => {
                Self { own: Some(index + 1), peer: Some(BOUND) }
            }
            Pattern::Stream => Self { own: None, peer: Some(BOUND) },
            _ => Self::default(),
        }
    }
}

/// A routing id as the sockets know it.
pub(crate) fn routing_id(number: u32) -> [u8; 8] {
    let mut id = *b"id..0000";
    id[4..].copy_from_slice(&number.to_be_bytes());
    id
}

/// zlink's batching options (docs/options.md); `None` leaves the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batching {
    /// `ZMQ_ASIO_WRITE_BATCHING`: −1 adaptive, 0 never, 1 always.
    pub(crate) mode: Option<i32>,
    /// `ZMQ_ASIO_BATCH_TIMEOUT`, in microseconds.
    pub(crate) timeout_us: Option<i32>,
    /// `ZMQ_ASIO_WRITE_BATCH_MAX_MESSAGES`.
    pub(crate) messages: Option<i32>,
    /// `ZMQ_ASIO_WRITE_BATCH_MAX_BYTES`.
    pub(crate) bytes: Option<i32>,
}

impl Batching {
    /// What is set, as it is named on the command line.
    pub(crate) fn describe(&self) -> String {
        let parts = [
            ("batching", self.mode),
            ("timeout", self.timeout_us),
            ("messages", self.messages),
            ("bytes", self.bytes),
        ];
        let set = parts.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?)));
        set.collect::<Vec<_>>().join(", ")
    }
}

/// The server's keys, which are nobody's secret: those of `zmq_curve`(7).
pub(crate) const SERVER_PUBLIC: &str = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
pub(crate) const SERVER_SECRET: &str = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";
/// The client's keys.
pub(crate) const CLIENT_PUBLIC: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
pub(crate) const CLIENT_SECRET: &str = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";

/// A loaded library with one context, which opens sockets in any thread.
pub(crate) trait Library: Sync {
    type Socket: Socket;

    /// Name and version as the library itself reports them.
    fn version(&self) -> String;

    /// Opens a socket of the type that `zmq.h` numbers so. An XPUB waits for slow subscribers, and shows every
    /// subscription of each of them.
    fn socket(&self, socket_type: i32, options: SocketOptions) -> io::Result<Self::Socket>;
}

/// One side of a run. Used by the thread that made it.
pub(crate) trait Socket {
    /// Holds one received message, or one to be sent.
    type Message;

    /// Binds and returns the endpoint to connect to.
    fn bind(&mut self, endpoint: &str) -> io::Result<String>;
    fn connect(&mut self, endpoint: &str) -> io::Result<()>;

    /// Waits until there is a peer, for engines that do not do so on the first receive.
    fn establish(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Subscribes to what begins with `topic` (SUB only).
    fn subscribe(&mut self, topic: &[u8]) -> io::Result<()>;

    /// Takes one subscription of a subscriber (XPUB only).
    fn await_subscription(&mut self) -> io::Result<()> {
        let mut message = self.empty(64)?;
        self.recv(&mut message).map(drop)
    }

    /// A message of `size` zero bytes for the round trip.
    fn message(&self, size: usize) -> io::Result<Self::Message>;

    /// An empty message that can take up to `largest` bytes.
    fn empty(&self, largest: usize) -> io::Result<Self::Message>;

    /// Sends `message`; `more` says that another part follows.
    fn send(&mut self, message: &mut Self::Message, more: bool) -> io::Result<()>;

    /// Makes a message of `size` bytes, contents left as they are, and sends it.
    fn send_fresh(&mut self, size: usize) -> io::Result<()>;

    /// As [`send_fresh`](Self::send_fresh), with `stamp` as its first eight bytes, and on its way at once.
    fn send_stamped(&mut self, size: usize, stamp: [u8; 8]) -> io::Result<()>;

    /// Sends `bytes`, to be followed by another part.
    fn send_part(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Hands over what `send_fresh` may have gathered.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Receives one part into `message` and returns its size in bytes.
    fn recv(&mut self, message: &mut Self::Message) -> io::Result<usize>;

    /// The first eight bytes of a message received; zeros behind a shorter one.
    fn stamp(&self, message: &Self::Message) -> [u8; 8];

    /// Waits, as `zmq_poll` does, until there is a message to receive.
    fn wait_readable(&mut self) -> io::Result<()>;
}

/// How the two sides of a run agree on when it begins, where the sender keeps to a clock: else the messages of its
/// first moments would wait for the connection.
pub(crate) struct Signals<'a> {
    /// Tells that a first message has come through.
    pub(crate) arrived: &'a dyn Fn() -> io::Result<()>,
    /// Waits until that is so of all pairs of sockets.
    pub(crate) await_start: &'a dyn Fn(),
}

/// What one thread has to tell after its loop.
pub(crate) struct Outcome {
    /// From the first measured message to the last; `None` where this side does not measure.
    pub(crate) span: Option<(Instant, Instant)>,
    /// Times in nanoseconds, on the side that measures them.
    pub(crate) latency: Option<Histogram<u64>>,
    /// Taken when the measured part began.
    pub(crate) usage_at_start: Usage,
}

impl Outcome {
    fn of_helper(usage_at_start: Usage) -> Self {
        Self { span: None, latency: None, usage_at_start }
    }

    fn since(begin: Instant, usage_at_start: Usage) -> Self {
        Self { span: Some((begin, Instant::now())), latency: None, usage_at_start }
    }

    fn with_latency(self, latency: Histogram<u64>) -> Self {
        Self { latency: Some(latency), ..self }
    }

    /// All threads of a process as one: from the first that began to the last that was through. Threads that
    /// do not measure count only if none does.
    pub(crate) fn merge(outcomes: Vec<Self>) -> Option<Self> {
        let any = outcomes.iter().any(|outcome| outcome.span.is_some());
        let mut all = outcomes.into_iter().filter(|outcome| outcome.span.is_some() == any);
        let mut merged = all.next()?;
        for one in all {
            if let (Some(merged), Some(one)) = (&mut merged.span, one.span) {
                *merged = (merged.0.min(one.0), merged.1.max(one.1));
            }
            merged.usage_at_start = merged.usage_at_start.earlier(one.usage_at_start);
            if let (Some(merged), Some(one)) = (&mut merged.latency, one.latency) {
                // Both have the same bounds.
                let _ = merged.add(one);
            }
        }
        Some(merged)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.span.map_or(Duration::ZERO, |(begin, end)| end.saturating_duration_since(begin))
    }
}

/// One nanosecond to one minute with three digits: 200 KiB, the same for every engine.
fn histogram() -> io::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other)
}

/// Runs the bound side: echo or sink, or the publisher of a fan-out.
pub(crate) fn run_bound<S: Socket>(
    socket: &mut S,
    cell: &Cell,
    signals: &Signals<'_>,
) -> io::Result<Outcome> {
    match cell.pattern {
        Pattern::DealerRouter | Pattern::RouterRouter => {
            let link = Routed::new(socket, None)?;
            bound(socket, link, cell, signals)
        }
        Pattern::RouterRouterPolled => {
            let link = Polled(Routed::new(socket, None)?);
            bound(socket, link, cell, signals)
        }
        Pattern::Stream => {
            let link = Bytes::new(socket, cell.size, None)?;
            bound(socket, link, cell, signals)
        }
        _ => bound(socket, Plain, cell, signals),
    }
}

fn bound<S: Socket, L: Link<S>>(
    socket: &mut S,
    mut link: L,
    cell: &Cell,
    signals: &Signals<'_>,
) -> io::Result<Outcome> {
    match cell.kind {
        Kind::RoundTrip | Kind::Connect => pairs::echo(socket, &mut link, cell),
        Kind::Stream => pairs::sink(socket, &mut link, cell),
        Kind::Paced => timed::sink(socket, &mut link, cell, signals, 1),
        Kind::Burst => timed::sink(socket, &mut link, cell, signals, cell.burst),
        Kind::FanOut => many::publish(socket, cell),
        Kind::Idle => many::accept_and_idle(socket, &mut link, cell),
    }
}

/// Runs the connected side: ping, source or the subscribers. There are as many `sockets` as the cell has peers.
pub(crate) fn run_connected<S: Socket>(
    sockets: &mut [S],
    cell: &Cell,
    signals: &Signals<'_>,
) -> io::Result<Outcome> {
    match (cell.pattern, sockets) {
        (Pattern::RouterRouter, [socket]) => {
            let link = Routed::new(socket, Some(BOUND))?;
            connected(socket, link, cell, signals)
        }
        (Pattern::RouterRouterPolled, [socket]) => {
            let link = Polled(Routed::new(socket, Some(BOUND))?);
            connected(socket, link, cell, signals)
        }
        (Pattern::Stream, [socket]) => {
            let link = Bytes::new(socket, cell.size, Some(BOUND))?;
            connected(socket, link, cell, signals)
        }
        (_, [socket]) if matches!(cell.kind, Kind::RoundTrip | Kind::Stream | Kind::Paced | Kind::Burst) => {
            connected(socket, Plain, cell, signals)
        }
        (pattern, sockets) => match cell.kind {
            Kind::FanOut => many::subscribe(sockets, cell),
            Kind::Idle => many::connect_and_idle(sockets, cell),
            _ if pattern == Pattern::RouterRouter => {
                let link = Routed::new(&sockets[0], Some(BOUND))?;
                many::source(sockets, link, cell)
            }
            _ => many::source(sockets, Plain, cell),
        },
    }
}

fn connected<S: Socket, L: Link<S>>(
    socket: &mut S,
    mut link: L,
    cell: &Cell,
    signals: &Signals<'_>,
) -> io::Result<Outcome> {
    match cell.kind {
        Kind::Paced => timed::paced_source(socket, &mut link, cell, signals),
        Kind::Burst => timed::burst_source(socket, &mut link, cell, signals),
        Kind::Stream => pairs::source(socket, &mut link, cell),
        _ => pairs::ping(socket, &mut link, cell),
    }
}

/// What a socket has to do once between connecting and its loop.
pub(crate) fn greet<S: Socket>(socket: &mut S, cell: &Cell) -> io::Result<()> {
    match (cell.pattern, cell.kind) {
        (Pattern::PubSub, Kind::FanOut) => many::ask_for_topics(socket, cell.topics),
        (Pattern::PubSub, _) => socket.await_subscription(),
        _ => Ok(()),
    }
}

/// What a socket has to do once before it is bound.
pub(crate) fn prepare<S: Socket>(socket: &mut S, cell: &Cell) -> io::Result<()> {
    if cell.pattern == Pattern::PubSub && cell.kind != Kind::FanOut {
        return socket.subscribe(b"");
    }
    Ok(())
}

/// How many topics a subscriber asks for.
fn topics_of(topics: Topics) -> Vec<Vec<u8>> {
    let others = (0..OTHER_TOPICS).map(|number| format!("other{number:03}").into_bytes());
    let mut all = vec![LAST.to_vec()];
    match topics {
        Topics::All => all = vec![Vec::new()],
        Topics::Match => all.push(TOPIC.to_vec()),
        Topics::Crowd => {
            all.push(TOPIC.to_vec());
            all.extend(others);
        }
        Topics::Never => all.extend(others),
    }
    all
}

/// The bytes that fresh messages are sent from.
#[derive(Default)]
struct Source(Vec<u8>);

impl Source {
    /// `size` bytes, contents left as they are.
    #[inline]
    fn fresh(&mut self, size: usize) -> &[u8] {
        if self.0.len() != size {
            self.0.resize(size, 0);
        }
        &self.0
    }

    /// As [`fresh`](Self::fresh), with `stamp` as the first eight, or as many as there are.
    #[inline]
    fn stamped(&mut self, size: usize, stamp: [u8; 8]) -> &[u8] {
        self.fresh(size);
        let length = stamp.len().min(size);
        self.0[..length].copy_from_slice(&stamp[..length]);
        &self.0
    }
}

/// The first eight bytes; zeros behind fewer.
fn first_eight(bytes: &[u8]) -> [u8; 8] {
    let mut eight = [0; 8];
    let length = bytes.len().min(eight.len());
    eight[..length].copy_from_slice(&bytes[..length]);
    eight
}

fn check(received: usize, expected: usize) -> io::Result<()> {
    if received == expected {
        return Ok(());
    }
    Err(io::Error::other(format!("received {received} bytes instead of {expected}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routing_ids_differ_and_do_not_begin_with_zero() {
        assert_ne!(routing_id(0), routing_id(1));
        assert_ne!(routing_id(1), routing_id(256));
        assert_ne!(routing_id(0)[0], 0);
    }

    #[test]
    fn a_stamp_is_cut_to_the_size_of_the_message() {
        let mut source = Source::default();
        assert_eq!(source.stamped(10, *b"12345678"), b"12345678\0\0");
        assert_eq!(source.stamped(3, *b"abcdefgh"), b"abc");
        assert_eq!(source.fresh(4), b"abc\0");
    }

    #[test]
    fn subscribers_ask_for_the_topics_their_scenario_says() {
        assert_eq!(topics_of(Topics::All), [Vec::<u8>::new()]);
        assert_eq!(topics_of(Topics::Match).len(), 2);
        assert_eq!(topics_of(Topics::Crowd).len(), 2 + OTHER_TOPICS);
        let never = topics_of(Topics::Never);
        assert!(never.iter().all(|topic| !TOPIC.starts_with(topic)));
    }

    #[test]
    fn threads_are_merged_from_the_first_beginning_to_the_last_end() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let outcome = |from: u32, to: u32, value: u64| {
            let mut latency = histogram().expect("the bounds are valid");
            latency.saturating_record(value);
            Outcome {
                span: Some((now + second * from, now + second * to)),
                latency: Some(latency),
                usage_at_start: Usage::default(),
            }
        };
        let helper = Outcome::of_helper(Usage::default());
        let merged = Outcome::merge(vec![outcome(1, 3, 10), helper, outcome(2, 5, 20)]);
        let merged = merged.expect("there are outcomes");
        assert_eq!(merged.elapsed(), second * 4);
        assert_eq!(merged.latency.map(|latency| latency.len()), Some(2));
        assert!(Outcome::merge(Vec::new()).is_none());
    }
}
