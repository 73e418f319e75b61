//! A worker: the process that loads one engine and runs one side of one run, or both for inproc.
//!
//! It talks with the runner in lines of JSON: a [`Job`] comes in on standard input, [`Event`]s go out on
//! standard output behind a mark, as a library might print something of its own. After
//! [`Event::Finished`] it waits for one more line, so that neither side closes or counts its CPU time before
//! the other is through.

use std::io::{self, BufRead, Write};
use std::sync::mpsc;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::cell::{Cell, Kind, Pattern};
use crate::engine::{Engine, EngineKind};
use crate::harness::capi::{Buffers, CLibrary, Messages};
use crate::harness::raw::Raw;
use crate::harness::{self, Library, Outcome, Security, Socket, SocketOptions};
use crate::system::{Usage, peak_rss_kib, pin_to};

/// Stands before each event on standard output.
pub(crate) const MARK: &str = "@zlink-bench ";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Side {
    Bound,
    Connected,
    /// Both, in two threads of one process.
    Both,
}

/// Which C functions carry the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Api {
    /// zmq_msg_init_size, zmq_msg_send and zmq_msg_recv, as libzmq's own perf programs.
    Msg,
    /// zmq_send and zmq_recv with the caller's buffer.
    Buffer,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) engine: Engine,
    pub(crate) cell: Cell,
    pub(crate) side: Side,
    pub(crate) endpoint: String,
    pub(crate) api: Api,
    pub(crate) hwm: Option<i32>,
    /// The CPU of this side, or of the bound thread.
    pub(crate) cpu: Option<usize>,
    /// The CPU of the connected thread, with [`Side::Both`].
    pub(crate) peer_cpu: Option<usize>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Event {
    /// Bound or connected.
    Ready { endpoint: String, version: String },
    /// The loop is through.
    Finished,
    /// The last event.
    Report(Report),
    /// The run ends here, and why.
    Failed(String),
}

/// What one process has measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Seconds of the measured part; 0 on the side that does not measure.
    pub(crate) seconds: f64,
    pub(crate) latency: Option<Latency>,
    pub(crate) cpu_ns: u64,
    pub(crate) switches: u64,
    pub(crate) peak_rss_kib: u64,
}

/// Round-trip times in nanoseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

/// Reads a job from standard input and does it. Returns whether it succeeded.
pub(crate) fn run() -> bool {
    // A killed bench must not leave workers behind that wait for each other for ever.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    match job_from_input().and_then(|job| dispatch(&job)) {
        Ok(()) => true,
        Err(error) => {
            let _ = emit(&Event::Failed(error.to_string()));
            false
        }
    }
}

fn job_from_input() -> io::Result<Job> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    serde_json::from_str(&line).map_err(|error| io::Error::other(format!("bad job: {error}")))
}

fn dispatch(job: &Job) -> io::Result<()> {
    // Before the library starts its threads: they inherit the CPU.
    if let Some(cpu) = job.cpu {
        pin_to(cpu)?;
    }
    match (&job.engine.kind, job.api) {
        (EngineKind::Library(path), Api::Msg) => perform(&CLibrary::<Messages>::load(path)?, job),
        (EngineKind::Library(path), Api::Buffer) => perform(&CLibrary::<Buffers>::load(path)?, job),
        #[cfg(feature = "zlink-rs")]
        (EngineKind::ZlinkRs, _) => perform(&harness::rust_api::RustLibrary::new(), job),
        #[cfg(not(feature = "zlink-rs"))]
        (EngineKind::ZlinkRs, _) => Err(io::Error::other("built without the feature zlink-rs")),
        (EngineKind::Raw, _) => perform(&Raw::new(job.cell.kind), job),
        (EngineKind::Unavailable(reason), _) => Err(io::Error::other(reason.clone())),
    }
}

fn perform<L: Library>(library: &L, job: &Job) -> io::Result<()> {
    let options = |security| SocketOptions { hwm: job.hwm, security };
    let (server, client) = Security::pair(job.cell.mechanism);
    let (bound, connected) = (options(server), options(client));
    let (bound_type, connected_type) = job.cell.pattern.socket_types();
    match job.side {
        Side::Bound => {
            let mut socket = library.socket(bound_type, bound)?;
            let endpoint = socket.bind(&job.endpoint)?;
            emit(&Event::Ready { endpoint, version: library.version() })?;
            socket.establish()?;
            report(&harness::run_bound(&mut socket, &job.cell)?)
        }
        Side::Connected if job.cell.kind == Kind::Connect => {
            emit(&Event::Ready { endpoint: job.endpoint.clone(), version: library.version() })?;
            let open = || library.socket(connected_type, connected);
            report(&harness::run_connections(open, &job.endpoint, &job.cell)?)
        }
        Side::Connected => {
            let mut socket = library.socket(connected_type, connected)?;
            connect(&mut socket, job, &job.endpoint)?;
            emit(&Event::Ready { endpoint: job.endpoint.clone(), version: library.version() })?;
            report(&harness::run_connected(&mut socket, &job.cell)?)
        }
        Side::Both => perform_both(library, job, bound, connected),
    }
}

/// Runs both sides in one process, the connected one in a second thread that opens, uses and closes
/// its socket.
fn perform_both<L: Library>(
    library: &L,
    job: &Job,
    of_bound: SocketOptions,
    of_connected: SocketOptions,
) -> io::Result<()> {
    let (bound_type, connected_type) = job.cell.pattern.socket_types();
    let mut bound = library.socket(bound_type, of_bound)?;
    let endpoint = bound.bind(&job.endpoint)?;
    emit(&Event::Ready { endpoint: endpoint.clone(), version: library.version() })?;
    let (outcome_out, outcome_in) = mpsc::channel();
    let (finish, finished) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let run = || -> io::Result<()> {
                if let Some(cpu) = job.peer_cpu {
                    pin_to(cpu)?;
                }
                if job.cell.kind == Kind::Connect {
                    let open = || library.socket(connected_type, of_connected);
                    let _ = outcome_out.send(harness::run_connections(open, &endpoint, &job.cell)?);
                    let _ = finished.recv();
                    return Ok(());
                }
                let mut socket = library.socket(connected_type, of_connected)?;
                connect(&mut socket, job, &endpoint)?;
                let _ = outcome_out.send(harness::run_connected(&mut socket, &job.cell)?);
                // Ends when the other thread has reported and dropped its end.
                let _ = finished.recv();
                Ok(())
            };
            run().unwrap_or_else(|error| fail(&error));
        });
        let run = move || -> io::Result<()> {
            let of_bound = harness::run_bound(&mut bound, &job.cell)?;
            let of_connected = outcome_in.recv().map_err(io::Error::other)?;
            report(match job.cell.kind {
                Kind::RoundTrip | Kind::Connect => &of_connected,
                Kind::Stream => &of_bound,
            })?;
            drop(finish);
            Ok(())
        };
        // The other thread may be blocked in the library: the process ends with it.
        run().unwrap_or_else(|error| fail(&error));
    });
    Ok(())
}

fn connect<S: Socket>(socket: &mut S, job: &Job, endpoint: &str) -> io::Result<()> {
    socket.connect(endpoint)?;
    if job.cell.pattern == Pattern::PubSub {
        socket.await_subscription()?;
    }
    Ok(())
}

/// Says that the loop is through, waits for the runner's word, and reports.
fn report(outcome: &Outcome) -> io::Result<()> {
    emit(&Event::Finished)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let (cpu_ns, switches) = Usage::now()?.since(outcome.usage_at_start);
    let peak_rss_kib = peak_rss_kib()?;
    let latency = outcome.latency.as_ref().map(|histogram| Latency {
        p50: histogram.value_at_quantile(0.5),
        p90: histogram.value_at_quantile(0.9),
        p99: histogram.value_at_quantile(0.99),
        p999: histogram.value_at_quantile(0.999),
        max: histogram.max(),
    });
    let seconds = outcome.elapsed.as_secs_f64();
    emit(&Event::Report(Report { seconds, latency, cpu_ns, switches, peak_rss_kib }))
}

fn emit(event: &Event) -> io::Result<()> {
    let mut line = serde_json::to_string(event)?;
    line.push('\n');
    let mut out = io::stdout().lock();
    out.write_all(MARK.as_bytes())?;
    out.write_all(line.as_bytes())?;
    out.flush()
}

fn fail(error: &io::Error) -> ! {
    let _ = emit(&Event::Failed(error.to_string()));
    std::process::exit(1)
}
