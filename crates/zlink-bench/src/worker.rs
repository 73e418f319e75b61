//! A worker: the process that loads one engine and runs one side of one run, or both for inproc, in as many
//! threads as the cell has sockets side by side.
//!
//! It talks with the runner in lines of JSON: a [`Job`] comes in on standard input, [`Event`]s go out on
//! standard output behind a mark, as a library might print something of its own. Where the sender keeps to a
//! clock it waits for a line before it begins, which the runner writes after [`Event::Arrived`]. After
//! [`Event::Finished`] it waits for one more line, so that neither side closes or counts its CPU time before
//! the other is through.

use std::io::{self, BufRead, Write};
use std::sync::Barrier;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cell::{Cell, Kind, Threads};
use crate::engine::{Engine, EngineKind};
use crate::harness::capi::{Buffers, CLibrary, Messages};
use crate::harness::raw::Raw;
use crate::harness::slowed::Slowed;
use crate::harness::{self, Library, Outcome, Routing, Security, Signals, Socket, SocketOptions};
use crate::stats::QUANTILES;
use crate::system::{Usage, peak_rss_kib, pin_to, raise_descriptor_limit};

/// Stands before each event on standard output.
pub(crate) const MARK: &str = "@zlink-bench ";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Side {
    Bound,
    Connected,
    /// Both, in one process.
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
    /// What the bound sockets bind to, or the connected ones connect to; one for each socket side by side.
    pub(crate) endpoints: Vec<String>,
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
    /// All bound sockets are bound.
    Ready { endpoints: Vec<String>, version: String },
    /// The first message of a pair has come through; the word to begin is asked for.
    Arrived,
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
    /// How much more memory is resident at the end than when the measured part began, in KiB; for idle
    /// connections, than before the first socket was opened.
    pub(crate) growth_kib: i64,
}

/// Times in nanoseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
    /// The values at [`QUANTILES`]; empty once they have become the row's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) curve: Vec<u64>,
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
    if job.cell.peers > 1 {
        raise_descriptor_limit()?;
    }
    match (&job.engine.kind, job.api) {
        (EngineKind::Library(path), Api::Msg) => slowed(CLibrary::<Messages>::load(path)?, job),
        (EngineKind::Library(path), Api::Buffer) => slowed(CLibrary::<Buffers>::load(path)?, job),
        #[cfg(feature = "zlink-rs")]
        (EngineKind::ZlinkRs, _) => slowed(harness::rust_api::RustLibrary::new(), job),
        #[cfg(not(feature = "zlink-rs"))]
        (EngineKind::ZlinkRs, _) => Err(io::Error::other("built without the feature zlink-rs")),
        (EngineKind::Raw, _) => perform(&Raw::new(job.cell.kind), job),
        (EngineKind::Unavailable(reason), _) => Err(io::Error::other(reason.clone())),
    }
}

fn slowed<L: Library>(library: L, job: &Job) -> io::Result<()> {
    match job.engine.slow_ns {
        0 => perform(&library, job),
        nanos => perform(&Slowed { library, waste: Duration::from_nanos(nanos) }, job),
    }
}

/// What the threads of a worker share: each runs one pair's side with sockets of its own, tells what came of
/// it, and keeps its sockets open until the process has reported.
struct Shared<'a, L> {
    library: &'a L,
    job: &'a Job,
    /// Passed when the sending threads may begin.
    start: Barrier,
    end: Barrier,
}

fn perform<L: Library>(library: &L, job: &Job) -> io::Result<()> {
    let rss_before = Usage::now()?.rss_kib;
    let pairs = job.endpoints.len();
    let peers = if job.cell.threads == Threads::Each { job.cell.peers } else { 1 };
    let connected = pairs * peers as usize;
    let threads = match job.side {
        Side::Bound => pairs,
        Side::Connected => connected,
        Side::Both => pairs + connected,
    };
    let shared = Shared { library, job, start: Barrier::new(pairs + 1), end: Barrier::new(threads + 1) };
    let shared = &shared;
    let (outcomes, results) = mpsc::channel();
    thread::scope(|scope| {
        let mut endpoints = job.endpoints.clone();
        if job.side != Side::Connected {
            let (bound, bound_to) = mpsc::channel();
            for (index, endpoint) in job.endpoints.iter().enumerate() {
                let (bound, outcomes) = (bound.clone(), outcomes.clone());
                scope.spawn(move || or_fail(shared.bound(index, endpoint, &bound, &outcomes)));
            }
            for _ in 0..pairs {
                let (index, endpoint): (usize, String) = or_fail(bound_to.recv().map_err(io::Error::other));
                endpoints[index] = endpoint;
            }
            or_fail(emit(&Event::Ready { endpoints: endpoints.clone(), version: library.version() }));
        }
        if job.side != Side::Bound {
            for endpoint in &endpoints {
                for peer in 0..peers {
                    let (endpoint, outcomes) = (endpoint.clone(), outcomes.clone());
                    scope.spawn(move || or_fail(shared.connected(peer, &endpoint, &outcomes)));
                }
            }
        }
        if job.side != Side::Bound && job.cell.kind.begins_together() {
            or_fail(await_word());
            shared.start.wait();
        }
        or_fail(shared.collect(&results, threads, rss_before));
    });
    Ok(())
}

/// Other threads may be blocked in the library: an error ends the process with them.
fn or_fail<T>(result: io::Result<T>) -> T {
    result.unwrap_or_else(|error| fail(&error))
}

impl<L: Library> Shared<'_, L> {
    fn options(&self, security: Security, routing: Routing) -> SocketOptions {
        let job = self.job;
        // Connections that come all at once must not have to try again.
        let backlog = (job.cell.peers > 100).then_some(4 * job.cell.peers as i32);
        SocketOptions { hwm: job.hwm, security, routing, batching: job.engine.batching, backlog }
    }

    fn with_signals<T>(&self, run: impl FnOnce(&Signals<'_>) -> T) -> T {
        let await_start = || {
            self.start.wait();
        };
        run(&Signals { arrived: &|| emit(&Event::Arrived), await_start: &await_start })
    }

    fn bound(
        &self,
        index: usize,
        endpoint: &str,
        bound: &Sender<(usize, String)>,
        outcomes: &Sender<Outcome>,
    ) -> io::Result<()> {
        let cell = &self.job.cell;
        let options = self.options(Security::pair(cell.mechanism).0, Routing::bound(cell.pattern));
        let mut socket = self.library.socket(cell.socket_types().0, options)?;
        harness::prepare(&mut socket, cell)?;
        let endpoint = socket.bind(endpoint)?;
        let _ = bound.send((index, endpoint));
        socket.establish()?;
        let outcome = self.with_signals(|signals| harness::run_bound(&mut socket, cell, signals))?;
        let _ = outcomes.send(outcome);
        self.end.wait();
        Ok(())
    }

    /// Runs all connected sockets that share a bound one, or, if each has a thread, that of number `peer`.
    fn connected(&self, peer: u64, endpoint: &str, outcomes: &Sender<Outcome>) -> io::Result<()> {
        let cell = match self.job.cell.threads {
            Threads::One => &self.job.cell,
            Threads::Each => &self.job.cell.share_of_peer(peer),
        };
        if let Some(cpu) = self.job.peer_cpu {
            pin_to(cpu)?;
        }
        let open = |index: u64| {
            let routing = Routing::connected(cell.pattern, index as u32);
            let options = self.options(Security::pair(cell.mechanism).1, routing);
            self.library.socket(cell.socket_types().1, options)
        };
        let mut sockets = Vec::new();
        let outcome = if cell.kind == Kind::Connect {
            harness::run_connections(|| open(0), endpoint, cell)?
        } else {
            for index in peer..peer + cell.peers {
                let mut socket = open(index)?;
                socket.connect(endpoint)?;
                sockets.push(socket);
            }
            sockets.iter_mut().try_for_each(|socket| harness::greet(socket, cell))?;
            self.with_signals(|signals| harness::run_connected(&mut sockets, cell, signals))?
        };
        let _ = outcomes.send(outcome);
        self.end.wait();
        Ok(())
    }

    /// Waits until all threads are through, and reports.
    fn collect(&self, results: &Receiver<Outcome>, threads: usize, rss_before: u64) -> io::Result<()> {
        let outcomes: Vec<Outcome> = results.iter().take(threads).collect();
        let outcome = Outcome::merge(outcomes).ok_or_else(|| io::Error::other("no thread has run"))?;
        let rss_at_start = match self.job.cell.kind {
            Kind::Idle => rss_before,
            _ => outcome.usage_at_start.rss_kib,
        };
        report(&outcome, rss_at_start)?;
        self.end.wait();
        Ok(())
    }
}

/// Waits for the runner's word to go on.
fn await_word() -> io::Result<()> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map(drop)
}

/// Says that the loop is through, waits for the runner's word, and reports.
fn report(outcome: &Outcome, rss_at_start: u64) -> io::Result<()> {
    emit(&Event::Finished)?;
    await_word()?;
    let usage = Usage::now()?;
    let (cpu_ns, switches) = usage.since(outcome.usage_at_start);
    let growth_kib = usage.rss_kib as i64 - rss_at_start as i64;
    let peak_rss_kib = peak_rss_kib()?;
    let latency = outcome.latency.as_ref().map(|histogram| Latency {
        p50: histogram.value_at_quantile(0.5),
        p90: histogram.value_at_quantile(0.9),
        p99: histogram.value_at_quantile(0.99),
        p999: histogram.value_at_quantile(0.999),
        max: histogram.max(),
        curve: QUANTILES.iter().map(|quantile| histogram.value_at_quantile(*quantile)).collect(),
    });
    let seconds = outcome.elapsed().as_secs_f64();
    emit(&Event::Report(Report { seconds, latency, cpu_ns, switches, peak_rss_kib, growth_kib }))
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
