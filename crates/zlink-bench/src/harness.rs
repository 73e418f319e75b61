//! The timed loops, written once for every engine.
//!
//! They follow the structure of libzmq's `perf/` programs: a round trip bounces one message object
//! between the two sides, a stream makes a fresh message for each send and receives into one object.
//! Each loop is compiled for each engine, so that nothing stands between it and the library.

#[allow(unsafe_code)]
pub(crate) mod capi;
pub(crate) mod raw;
#[cfg(feature = "zlink-rs")]
pub(crate) mod rust_api;

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::cell::{Cell, Kind, Mechanism};
use crate::system::Usage;

/// The longest routing id there is (23/ZMTP, 28/REQREP).
const ROUTING_ID_MAX: usize = 255;

/// Options both sides set alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketOptions {
    /// Send and receive high-water mark in messages; `None` leaves the library's default.
    pub(crate) hwm: Option<i32>,
    pub(crate) security: Security,
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

/// The server's keys, which are nobody's secret: those of `zmq_curve`(7).
pub(crate) const SERVER_PUBLIC: &str = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
pub(crate) const SERVER_SECRET: &str = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";
/// The client's keys.
pub(crate) const CLIENT_PUBLIC: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
pub(crate) const CLIENT_SECRET: &str = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";

/// Sockets that are connected at a time where connections are counted.
const AT_A_TIME: u64 = 32;

/// A loaded library with one context, which opens sockets in any thread.
pub(crate) trait Library: Sync {
    type Socket: Socket;

    /// Name and version as the library itself reports them.
    fn version(&self) -> String;

    /// Opens a socket of the type that `zmq.h` numbers so.
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

    /// Takes the subscription of the one subscriber (XPUB only).
    fn await_subscription(&mut self) -> io::Result<()>;

    /// A message of `size` zero bytes for the round trip.
    fn message(&self, size: usize) -> io::Result<Self::Message>;

    /// An empty message that can take up to `largest` bytes.
    fn empty(&self, largest: usize) -> io::Result<Self::Message>;

    /// Sends `message`; `more` says that another part follows.
    fn send(&mut self, message: &mut Self::Message, more: bool) -> io::Result<()>;

    /// Makes a message of `size` bytes, contents left as they are, and sends it.
    fn send_fresh(&mut self, size: usize) -> io::Result<()>;

    /// Hands over what `send_fresh` may have gathered.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Receives one part into `message` and returns its size in bytes.
    fn recv(&mut self, message: &mut Self::Message) -> io::Result<usize>;
}

/// What one side has to tell after its loop.
pub(crate) struct Outcome {
    /// From the first measured message to the last; zero where this side does not measure.
    pub(crate) elapsed: Duration,
    /// Round-trip times in nanoseconds, on the side that measures them.
    pub(crate) latency: Option<Histogram<u64>>,
    /// Taken when the measured part began.
    pub(crate) usage_at_start: Usage,
}

/// Runs the bound side: echo or sink.
pub(crate) fn run_bound<S: Socket>(socket: &mut S, cell: &Cell) -> io::Result<Outcome> {
    match (cell.kind, cell.pattern.is_routed()) {
        (Kind::RoundTrip | Kind::Connect, false) => echo(socket, cell),
        (Kind::RoundTrip | Kind::Connect, true) => echo_routed(socket, cell),
        (Kind::Stream, false) => sink::<S, false>(socket, cell),
        (Kind::Stream, true) => sink::<S, true>(socket, cell),
    }
}

/// Runs the connected side: ping or source.
pub(crate) fn run_connected<S: Socket>(socket: &mut S, cell: &Cell) -> io::Result<Outcome> {
    match cell.kind {
        Kind::RoundTrip | Kind::Connect => ping(socket, cell),
        Kind::Stream => source(socket, cell),
    }
}

/// Connects socket after socket: each asks once, and is closed when it has its answer.
pub(crate) fn run_connections<S: Socket>(
    open: impl Fn() -> io::Result<S>,
    endpoint: &str,
    cell: &Cell,
) -> io::Result<Outcome> {
    let run = |count: u64| {
        let mut left = count;
        while left > 0 {
            let mut sockets = Vec::new();
            for _ in 0..left.min(AT_A_TIME) {
                let mut socket = open()?;
                socket.connect(endpoint)?;
                let mut message = socket.message(cell.size)?;
                socket.send(&mut message, false)?;
                sockets.push((socket, message));
            }
            left -= sockets.len() as u64;
            for (socket, message) in &mut sockets {
                check(socket.recv(message)?, cell.size)?;
            }
        }
        Ok::<(), io::Error>(())
    };
    run(cell.warmup)?;
    let usage_at_start = Usage::now()?;
    let begin = Instant::now();
    run(cell.count)?;
    Ok(Outcome { elapsed: begin.elapsed(), latency: None, usage_at_start })
}

fn ping<S: Socket>(socket: &mut S, cell: &Cell) -> io::Result<Outcome> {
    let mut message = socket.message(cell.size)?;
    for _ in 0..cell.warmup {
        socket.send(&mut message, false)?;
        check(socket.recv(&mut message)?, cell.size)?;
    }
    // One nanosecond to one minute with three digits: 200 KiB, the same for every engine.
    let mut latency = Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other)?;
    let idle = Duration::from_micros(cell.idle_us);
    let usage_at_start = Usage::now()?;
    let begin = Instant::now();
    for _ in 0..cell.count {
        if !idle.is_zero() {
            thread::sleep(idle);
        }
        let sent = Instant::now();
        socket.send(&mut message, false)?;
        let size = socket.recv(&mut message)?;
        latency.saturating_record(sent.elapsed().as_nanos() as u64);
        check(size, cell.size)?;
    }
    Ok(Outcome { elapsed: begin.elapsed(), latency: Some(latency), usage_at_start })
}

fn echo<S: Socket>(socket: &mut S, cell: &Cell) -> io::Result<Outcome> {
    let mut message = socket.empty(cell.size.max(ROUTING_ID_MAX))?;
    let mut turn = || {
        check(socket.recv(&mut message)?, cell.size)?;
        socket.send(&mut message, false)
    };
    for _ in 0..cell.warmup {
        turn()?;
    }
    let usage_at_start = Usage::now()?;
    for _ in 0..cell.count {
        turn()?;
    }
    Ok(Outcome { elapsed: Duration::ZERO, latency: None, usage_at_start })
}

fn echo_routed<S: Socket>(socket: &mut S, cell: &Cell) -> io::Result<Outcome> {
    let mut routing_id = socket.empty(ROUTING_ID_MAX)?;
    let mut message = socket.empty(cell.size.max(ROUTING_ID_MAX))?;
    let mut turn = || {
        socket.recv(&mut routing_id)?;
        check(socket.recv(&mut message)?, cell.size)?;
        socket.send(&mut routing_id, true)?;
        socket.send(&mut message, false)
    };
    for _ in 0..cell.warmup {
        turn()?;
    }
    let usage_at_start = Usage::now()?;
    for _ in 0..cell.count {
        turn()?;
    }
    Ok(Outcome { elapsed: Duration::ZERO, latency: None, usage_at_start })
}

fn source<S: Socket>(socket: &mut S, cell: &Cell) -> io::Result<Outcome> {
    for _ in 0..cell.warmup {
        socket.send_fresh(cell.size)?;
    }
    let usage_at_start = Usage::now()?;
    for _ in 0..cell.count {
        socket.send_fresh(cell.size)?;
    }
    socket.flush()?;
    Ok(Outcome { elapsed: Duration::ZERO, latency: None, usage_at_start })
}

/// The clock starts when the last message of the warm-up has arrived, so `count` messages lie between
/// the two readings.
fn sink<S: Socket, const ROUTED: bool>(socket: &mut S, cell: &Cell) -> io::Result<Outcome> {
    let mut message = socket.empty(cell.size.max(ROUTING_ID_MAX))?;
    let mut turn = || {
        if ROUTED {
            socket.recv(&mut message)?;
        }
        check(socket.recv(&mut message)?, cell.size)
    };
    for _ in 0..cell.warmup {
        turn()?;
    }
    let usage_at_start = Usage::now()?;
    let begin = Instant::now();
    for _ in 0..cell.count {
        turn()?;
    }
    Ok(Outcome { elapsed: begin.elapsed(), latency: None, usage_at_start })
}

fn check(received: usize, expected: usize) -> io::Result<()> {
    if received == expected {
        return Ok(());
    }
    Err(io::Error::other(format!("received {received} bytes instead of {expected}")))
}
