//! One run of one engine in one cell: starts the workers, watches them, collects what they report.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::cell::{Cell, Kind, Pin, Transport};
use crate::engine::Engine;
use crate::syscalls::Tracer;
use crate::system::allowed_cpus;
use crate::worker::{Api, Event, Job, Latency, MARK, Report, Side};

/// What holds for every run alike.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) runs: usize,
    /// How often a cell that fell short of its limits after these is run once more.
    #[serde(default)]
    pub(crate) again: usize,
    pub(crate) hwm: Option<i32>,
    pub(crate) api: Api,
    /// The longest a run may take before its workers are killed, in seconds.
    pub(crate) timeout_s: u64,
}

/// The figures of one run, both processes together where not said otherwise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Messages, round trips or connections in a second.
    pub(crate) rate: f64,
    pub(crate) latency: Option<Latency>,
    /// CPU nanoseconds for a message, round trip or connection; in a second for idle connections.
    pub(crate) cpu_ns: f64,
    /// Context switches for a message or round trip.
    pub(crate) switches: f64,
    /// Of the bound side's process, then of the connected side's; one process for inproc.
    pub(crate) peak_rss_kib: Vec<u64>,
    /// Resident memory gained during the measured part, or by idle connections, in the same order.
    pub(crate) growth_kib: Vec<i64>,
    pub(crate) version: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RunError {
    /// The engine did not finish in time.
    TimedOut(String),
    /// Anything else.
    Failed(String),
}

enum FromWorker {
    Event(Event),
    /// Standard output has ended.
    Gone,
}

struct Worker {
    child: Child,
    stdin: Option<ChildStdin>,
    readers: Vec<JoinHandle<()>>,
    errors: Receiver<String>,
}

impl Worker {
    fn start(
        index: usize,
        job: &Job,
        tracer: Option<&Tracer>,
        events: Sender<(usize, FromWorker)>,
    ) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| format!("own program: {error}"))?;
        let command = match tracer {
            None => Command::new(program),
            Some(tracer) => tracer.command(&program, index),
        };
        let mut child = command_of(command, job)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start a worker: {error}"))?;
        let stdout = child.stdout.take().expect("standard output is piped");
        let stderr = child.stderr.take().expect("standard error is piped");
        let stdin = child.stdin.take();
        let (error_out, errors) = mpsc::channel();
        let readers = vec![
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let event = line.strip_prefix(MARK).and_then(|text| serde_json::from_str(text).ok());
                    if let Some(event) = event {
                        let _ = events.send((index, FromWorker::Event(event)));
                    }
                }
                let _ = events.send((index, FromWorker::Gone));
            }),
            thread::spawn(move || {
                // An engine may write without end: the pipe is emptied, but only so much is kept.
                let mut kept = Vec::new();
                let mut stderr = stderr;
                let mut block = [0; 4096];
                while let Ok(count @ 1..) = stderr.read(&mut block) {
                    kept.extend_from_slice(&block[..count]);
                    let surplus = kept.len().saturating_sub(8192);
                    kept.drain(..surplus);
                }
                let _ = error_out.send(String::from_utf8_lossy(&kept).into_owned());
            }),
        ];
        let mut worker = Self { child, stdin, readers, errors };
        let job = serde_json::to_string(job).map_err(|error| error.to_string())?;
        worker.write_line(&job);
        Ok(worker)
    }

    /// A worker that is gone cannot be written to; its end is reported by its output.
    fn write_line(&mut self, line: &str) {
        if let Some(stdin) = &mut self.stdin {
            let _ = writeln!(stdin, "{line}");
            let _ = stdin.flush();
        }
    }

    /// Waits for the end until `deadline`, then kills. Tells whether it ended by itself.
    fn end(&mut self, deadline: Instant) -> Option<ExitStatus> {
        self.stdin = None;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(2)),
                _ => {
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                    return None;
                }
            }
        }
    }

    /// The last words of the worker, in one line.
    fn last_words(&mut self) -> String {
        let text = self.errors.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        let tail = &lines[lines.len().saturating_sub(3)..];
        tail.join(" / ").chars().take(300).collect()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

fn command_of(mut command: Command, job: &Job) -> Command {
    command.arg("peer").envs(job.engine.environment.iter().map(|(name, value)| (name, value)));
    command
}

/// Paths for IPC sockets that are removed again.
struct SocketPaths(Vec<PathBuf>);

impl SocketPaths {
    fn new(count: u64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let path = |_| {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            std::env::temp_dir().join(format!("zlink-bench-{}-{number}", std::process::id()))
        };
        Self((0..count).map(path).collect())
    }
}

impl Drop for SocketPaths {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// The CPUs for the bound and the connected side.
///
/// # Errors
///
/// `split` with a single CPU to run on.
pub(crate) fn cpus_for(pin: Pin) -> Result<(Option<usize>, Option<usize>), String> {
    let cpus = allowed_cpus().map_err(|error| format!("CPU affinity: {error}"))?;
    match (pin, cpus.as_slice()) {
        (Pin::None, _) => Ok((None, None)),
        (Pin::Zero, [first, ..]) => Ok((Some(*first), Some(*first))),
        (Pin::Split, [first, second, ..]) => Ok((Some(*first), Some(*second))),
        (Pin::Split, _) => Err("--pin split needs two CPUs".into()),
        (Pin::Zero, []) => Err("there is no CPU to run on".into()),
    }
}

/// Runs `engine` once in `cell`.
///
/// Whatever the engine does, crash or hang, it ends here in a [`RunError`] within the time limit and
/// a few seconds.
pub(crate) fn run(engine: &Engine, cell: &Cell, settings: &Settings) -> Result<Figures, RunError> {
    run_under(engine, cell, settings, None)
}

/// As [`run`], with both processes under a tracer.
pub(crate) fn run_under(
    engine: &Engine,
    cell: &Cell,
    settings: &Settings,
    tracer: Option<&Tracer>,
) -> Result<Figures, RunError> {
    let (cpu, peer_cpu) = cpus_for(cell.pin).map_err(RunError::Failed)?;
    let paths = SocketPaths::new(cell.sockets);
    let endpoint = |(index, path): (usize, &PathBuf)| match cell.transport {
        Transport::Tcp => "tcp://127.0.0.1:*".into(),
        Transport::Ws => "ws://127.0.0.1:*/".into(),
        Transport::Ipc => format!("ipc://{}", path.display()),
        Transport::Inproc => format!("inproc://zlink-bench-{index}"),
    };
    let inproc = cell.transport == Transport::Inproc;
    let mut job = Job {
        engine: engine.clone(),
        cell: cell.clone(),
        side: if inproc { Side::Both } else { Side::Bound },
        endpoints: paths.0.iter().enumerate().map(endpoint).collect(),
        api: engine.api.unwrap_or(settings.api),
        hwm: settings.hwm,
        cpu,
        peer_cpu,
    };
    let deadline = Instant::now() + Duration::from_secs(settings.timeout_s);
    let (sender, events) = mpsc::channel();
    let mut run = Run {
        workers: vec![Worker::start(0, &job, tracer, sender.clone()).map_err(RunError::Failed)?],
        events,
        deadline,
        version: String::new(),
        pairs: cell.sockets,
        arrived: 0,
        finished: 0,
        reports: vec![None],
    };
    job.endpoints = run.wait_ready()?;
    if !inproc {
        job.side = Side::Connected;
        (job.cpu, job.peer_cpu) = (peer_cpu, None);
        run.workers.push(Worker::start(1, &job, tracer, sender).map_err(RunError::Failed)?);
        run.reports.push(None);
    }
    let reports = run.wait_reports()?;
    run.wait_end()?;
    figures(cell, &reports, run.version)
}

struct Run {
    workers: Vec<Worker>,
    events: Receiver<(usize, FromWorker)>,
    deadline: Instant,
    version: String,
    pairs: u64,
    /// Pairs of sockets whose first message has come through.
    arrived: u64,
    finished: usize,
    reports: Vec<Option<Report>>,
}

impl Run {
    /// The endpoints the first worker is bound to.
    fn wait_ready(&mut self) -> Result<Vec<String>, RunError> {
        loop {
            if let Event::Ready { endpoints, version } = self.next("binding")? {
                self.version = version;
                return Ok(endpoints);
            }
        }
    }

    fn wait_reports(&mut self) -> Result<Vec<Report>, RunError> {
        while self.finished < self.workers.len() {
            match self.next("running")? {
                Event::Finished => self.finished += 1,
                Event::Arrived => {
                    self.arrived += 1;
                    if let (true, Some(sender)) = (self.arrived == self.pairs, self.workers.last_mut()) {
                        sender.write_line("begin");
                    }
                }
                _ => {}
            }
        }
        for worker in &mut self.workers {
            worker.write_line("report");
        }
        while self.reports.iter().any(Option::is_none) {
            self.next("reporting")?;
        }
        Ok(self.reports.drain(..).flatten().collect())
    }

    /// Closing sockets and ending the context is part of what an engine has to be able to do.
    fn wait_end(&mut self) -> Result<(), RunError> {
        for index in 0..self.workers.len() {
            match self.workers[index].end(self.deadline) {
                Some(status) if status.success() => {}
                Some(status) => {
                    return Err(self.dead(index, &format!("{} while closing", describe(status))));
                }
                None => {
                    return Err(RunError::TimedOut("measured, but closing did not end in time".into()));
                }
            }
        }
        Ok(())
    }

    fn next(&mut self, doing: &str) -> Result<Event, RunError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let (index, message) = match self.events.recv_timeout(left) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => {
                return Err(RunError::TimedOut(format!("no end in sight while {doing}")));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(RunError::Failed(format!("the workers are gone while {doing}")));
            }
        };
        match message {
            FromWorker::Event(Event::Failed(reason)) => Err(RunError::Failed(reason)),
            FromWorker::Event(event) => {
                if let Event::Report(report) = &event {
                    self.reports[index] = Some(report.clone());
                }
                Ok(event)
            }
            // Gone is also how a worker that has reported ends.
            FromWorker::Gone if self.reports[index].is_some() => self.next(doing),
            FromWorker::Gone => {
                let grace = Instant::now() + Duration::from_secs(1);
                let status = self.workers[index].end(grace);
                let how = status.map_or_else(|| "closed its output".into(), describe);
                Err(self.dead(index, &format!("{how} while {doing}")))
            }
        }
    }

    fn dead(&mut self, index: usize, how: &str) -> RunError {
        let words = self.workers[index].last_words();
        let separator = if words.is_empty() { "" } else { ": " };
        RunError::Failed(format!("{how}{separator}{words}"))
    }
}

fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(6) => "aborted".into(),
        Some(11) => "crashed (segmentation fault)".into(),
        Some(signal) => format!("killed by signal {signal}"),
        None => format!("exited with {}", status.code().unwrap_or(-1)),
    }
}

fn figures(cell: &Cell, reports: &[Report], version: String) -> Result<Figures, RunError> {
    let seconds = reports.iter().map(|report| report.seconds).fold(0.0, f64::max);
    let latency = reports.iter().find_map(|report| report.latency.clone());
    if seconds <= 0.0 || (cell.kind.has_latency() && latency.is_none()) {
        return Err(RunError::Failed("no time was measured".into()));
    }
    let messages = cell.messages() as f64;
    // Over idle connections goes no message that a cost could be about.
    let shared_by = if cell.kind == Kind::Idle { seconds } else { messages };
    let sum = |value: fn(&Report) -> u64| reports.iter().map(value).sum::<u64>() as f64;
    Ok(Figures {
        rate: rounded(messages / seconds, 1e2),
        latency,
        cpu_ns: rounded(sum(|report| report.cpu_ns) / shared_by, 1e2),
        switches: rounded(sum(|report| report.switches) / shared_by, 1e6),
        peak_rss_kib: reports.iter().map(|report| report.peak_rss_kib).collect(),
        growth_kib: reports.iter().map(|report| report.growth_kib).collect(),
        version,
    })
}

/// Keeps records short: more digits would be noise.
fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}
