//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::cell::{
    Cell, Kind, Mechanism, Pattern, Pin, Threads, Topics, Transport, parse_count, parse_micros, parse_size,
};
use crate::engine::{ENGINES, Engine, parse_engine};
use crate::harness::Batching;
use crate::scenario::Scenario;
use crate::worker::Api;

/// Measures zlink, libzmq 4.3.5 and the plain socket side by side, in one interleaved run.
///
/// Both libraries are built when needed and driven by the very same code through their C functions.
/// The two sides of a run are separate processes (threads of one process for inproc). The report, with
/// tables, a page, JSON, CSV and SVG charts, goes to target/bench/COMMAND/ unless --out says otherwise.
///
/// What a command measures is narrowed by --kind, --transport, --pattern, --size, --sockets and so on;
/// --list shows what is left, and how long it takes, without measuring.
#[derive(Debug, Parser)]
#[command(name = "zlink-bench", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The comparison at a glance: round trips of 64 bytes and streams of 64 B, 1 KiB and 64 KiB.
    ///
    /// Takes three to four minutes on two CPUs.
    Quick(Options),
    /// Every target, met or not.
    ///
    /// The targets are in crates/zlink-bench/suites/full.txt, written as the thresholds of `gate`.
    Full(Options),
    /// Every pattern on every transport in every size with 1, 2, 4 and 8 pairs of sockets.
    ///
    /// Cells that are behind libzmq after the first runs are run more often, since short runs of so many cells
    /// find some behind by chance. The whole takes hours: --list says how many. Select a part of it, or run it
    /// in pieces with --part.
    Matrix(Options),
    /// Finds for each size the batching options that measure best, and whether batching pays.
    ///
    /// Streams over TCP in six sizes if nothing else is selected; other kinds are judged by the figure
    /// they are about (`burst` by p99, `paced` and `roundtrip` by p50).
    Sweep(SweepOptions),
    /// Scenarios of your choice: lines as the suites have them, or what the options say.
    ///
    /// Example: zlink-bench run 'paced tcp,ipc push-pull 64 rate=10k,100k' 'burst tcp pair 64 burst=10 idle=1ms'
    Run {
        /// Scenarios: KIND TRANSPORT PATTERN SIZE, perhaps `curve` and NAME=VALUE, each perhaps a list.
        #[arg(value_name = "SCENARIO")]
        scenarios: Vec<String>,
        #[command(flatten)]
        options: Options,
    },
    /// Round trips: p50, p90, p99, p99.9 and the maximum of the time there and back.
    Latency(Options),
    /// Streams: messages and megabytes a second, from the first message to the last at the receiver.
    Throughput(Options),
    /// Connections: how many sockets a second are opened, connected, answered once and closed.
    Connect(Options),
    /// CURVE: streams of 64 B, 1 KiB and 64 KiB, round trips and connections over TCP, with encryption.
    Curve(Options),
    /// Every engine once on every transport with tiny counts: shows that it works, not how fast.
    Smoke(Options),
    /// Fails, with the cells that fell short, unless the ratios to libzmq keep to a thresholds file.
    ///
    /// A line of the file reads `stream tcp push-pull 64 : rate >= 2.0, cpu <= 0.5`: a scenario, and limits.
    /// A metric is rate, p50, p90, p99, p99.9, max, cpu, switches, rss or growth; the number a ratio to
    /// libzmq's median, or to that of the engine named after it, or `absolute`. The limit is widened by
    /// the noise that the A/A row of the same cell and metric shows.
    Gate {
        /// The file with the thresholds [default: crates/zlink-bench/thresholds.txt].
        #[arg(long, value_name = "FILE")]
        thresholds: Option<PathBuf>,
        /// The engine that has to keep to them.
        #[arg(long, value_name = "NAME", default_value = "zlink")]
        judge: String,
        #[command(flatten)]
        options: Options,
    },
    /// Writes one HTML page with charts from recorded runs.
    Report {
        /// Records: docs/performance/records/*.json, or a report.json.
        #[arg(value_name = "RECORD", required = true)]
        records: Vec<PathBuf>,
        /// A record to show the change against [default: docs/performance/records/baseline.json if it is there].
        #[arg(long, value_name = "RECORD")]
        baseline: Option<PathBuf>,
        /// Where to write the page [default: target/bench/report.html].
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// One side of a run; started by the other commands.
    #[command(hide = true)]
    Peer,
}

/// What to measure, and how.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct SweepOptions {
    /// Values of ZMQ_ASIO_WRITE_BATCH_MAX_BYTES to try.
    #[arg(long, value_name = "SIZE,..", value_delimiter = ',', value_parser = parse_size,
          default_value = "4K,16K,64K,256K")]
    pub(crate) try_bytes: Vec<usize>,
    /// Values of ZMQ_ASIO_WRITE_BATCH_MAX_MESSAGES to try; 0 for no limit.
    #[arg(long, value_name = "COUNT,..", value_delimiter = ',', default_value = "0")]
    pub(crate) try_messages: Vec<i32>,
    /// Values of ZMQ_ASIO_BATCH_TIMEOUT to try.
    #[arg(long, value_name = "TIME,..", value_delimiter = ',', value_parser = parse_micros,
          default_value = "0,100us")]
    pub(crate) try_timeout: Vec<u64>,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// Which cells to run: all combinations of these, or those of a suite that have one of each.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "What to measure")]
pub(crate) struct Selection {
    /// What a run measures.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub(crate) kind: Vec<Kind>,
    /// The transports to go over [default: tcp,ipc,inproc].
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub(crate) transport: Vec<Transport>,
    /// Socket types [default: req-rep for round trips and connections, push-pull for all else].
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub(crate) pattern: Vec<Pattern>,
    /// Message sizes, as 64, 4K or 1M [default: 64].
    #[arg(long, value_name = "SIZE,..", value_delimiter = ',', value_parser = parse_size)]
    pub(crate) size: Vec<usize>,
    /// Pairs of sockets side by side, each with its own threads [default: 1].
    #[arg(long, value_name = "COUNT,..", value_delimiter = ',', value_parser = parse_count)]
    pub(crate) sockets: Vec<u64>,
    /// Connected sockets that share the bound one [default: 1; fanout 8, idle 1000].
    #[arg(long, value_name = "COUNT,..", value_delimiter = ',', value_parser = parse_count)]
    pub(crate) peers: Vec<u64>,
    /// Who drives these: one thread, one socket after the other, or a thread for each (stream) [default: one].
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub(crate) threads: Vec<Threads>,
    /// Which CPUs to use: wherever the scheduler likes, the first for all, or one for each side [default: none].
    #[arg(long, value_name = "PIN,..", value_delimiter = ',')]
    pub(crate) pin: Vec<Pin>,
    /// Without encryption, or with [default: null].
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub(crate) mechanism: Vec<Mechanism>,
    /// Messages a second that fall due (paced) [default: 10k].
    #[arg(long, value_name = "COUNT,..", value_delimiter = ',', value_parser = parse_count)]
    pub(crate) rate: Vec<u64>,
    /// Messages at a time (burst) [default: 10].
    #[arg(long, value_name = "COUNT,..", value_delimiter = ',', value_parser = parse_count)]
    pub(crate) burst: Vec<u64>,
    /// What subscribers ask for (fanout) [default: match].
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub(crate) topics: Vec<Topics>,
    /// Sleep before each round trip, not counted in its time, or between bursts [default: 0; burst 1ms].
    #[arg(long, value_name = "TIME,..", value_delimiter = ',', value_parser = parse_micros)]
    pub(crate) idle: Vec<u64>,
    /// Measured messages, round trips or connections in each run, instead of a number found from --duration.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) messages: Option<u64>,
    /// Only the Kth of N parts, each a cross-section of the whole.
    #[arg(long, value_name = "K/N", value_parser = parse_part)]
    pub(crate) part: Option<(usize, usize)>,
}

impl Selection {
    /// Those of `cells` that have one of each value that was given.
    pub(crate) fn of(&self, cells: Vec<Cell>) -> Vec<Cell> {
        fn any<T: PartialEq>(list: &[T], value: &T) -> bool {
            list.is_empty() || list.contains(value)
        }
        let admits = |cell: &Cell| {
            any(&self.kind, &cell.kind)
                && any(&self.transport, &cell.transport)
                && any(&self.pattern, &cell.pattern)
                && any(&self.size, &cell.size)
                && any(&self.sockets, &cell.sockets)
                && any(&self.peers, &cell.peers)
                && any(&self.threads, &cell.threads)
                && any(&self.pin, &cell.pin)
                && any(&self.mechanism, &cell.mechanism)
                && any(&self.rate, &cell.rate)
                && any(&self.burst, &cell.burst)
                && any(&self.topics, &cell.topics)
                && any(&self.idle, &cell.idle_us)
        };
        let (part, parts) = self.part.unwrap_or((1, 1));
        // Every Nth, one further along in each N: else a part would have one number of sockets only.
        let is_in_part = |index: usize| (index + index / parts) % parts == part - 1;
        let admitted = cells.into_iter().filter(admits).enumerate();
        admitted.filter(|(index, _)| is_in_part(*index)).map(|(_, cell)| cell).collect()
    }

    /// All combinations of what was given, and of one usual value where nothing was.
    pub(crate) fn scenario(&self, kind: Kind) -> Scenario {
        fn or<T: Clone>(list: &[T], usual: &[T]) -> Vec<T> {
            if list.is_empty() { usual.to_vec() } else { list.to_vec() }
        }
        let pattern = match kind {
            Kind::RoundTrip | Kind::Connect => Pattern::ReqRep,
            Kind::FanOut => Pattern::PubSub,
            _ => Pattern::PushPull,
        };
        let transports = match kind {
            Kind::Connect | Kind::Idle => &[Transport::Tcp, Transport::Ipc][..],
            _ => &[Transport::Tcp, Transport::Ipc, Transport::Inproc],
        };
        Scenario {
            kinds: vec![kind],
            transports: or(&self.transport, transports),
            patterns: or(&self.pattern, &[pattern]),
            sizes: or(&self.size, &[64]),
            pins: or(&self.pin, &[Pin::None]),
            mechanisms: or(&self.mechanism, &[Mechanism::Null]),
            sockets: or(&self.sockets, &[1]),
            peers: or(
                &self.peers,
                &[match kind {
                    Kind::FanOut => 8,
                    Kind::Idle => 1_000,
                    _ => 1,
                }],
            ),
            threads: or(&self.threads, &[Threads::One]),
            rates: or(&self.rate, &[if kind == Kind::Paced { 10_000 } else { 0 }]),
            bursts: or(&self.burst, &[if kind == Kind::Burst { 10 } else { 0 }]),
            topics: or(&self.topics, &[if kind == Kind::FanOut { Topics::Match } else { Topics::All }]),
            idles_us: or(&self.idle, &[if kind == Kind::Burst { 1_000 } else { 0 }]),
            count: None,
        }
    }
}

/// Options of every command that measures.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "How to measure")]
pub(crate) struct Common {
    /// Only these engines; libzmq is always there [default: libzmq,zlink,zlink-rs,raw; full all, matrix
    /// libzmq,zlink].
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', value_parser = ENGINES)]
    pub(crate) engines: Vec<String>,
    /// Another library with libzmq's C functions; may be given several times.
    #[arg(long = "engine", value_name = "NAME=PATH", value_parser = parse_engine)]
    pub(crate) others: Vec<Engine>,
    /// Runs of each engine in each cell, of which the median is taken [default: 3; full, curve and gate 5,
    /// smoke 1].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) runs: Option<u64>,
    /// More runs of the cells that fell short of a limit after these; all count [default: 0; gate and matrix 6].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(0..=1000))]
    pub(crate) again: Option<u64>,
    /// About how long libzmq takes for one run; sets the number of messages [default: 0.5; matrix 0.05].
    #[arg(long, value_name = "SECONDS", value_parser = parse_duration)]
    pub(crate) duration: Option<f64>,
    /// Send and receive high-water mark of both sides, 0 for none [default: the library's, 1000].
    #[arg(long, value_name = "MESSAGES", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) hwm: Option<i32>,
    /// The C functions that carry the messages.
    #[arg(long, value_enum, default_value_t = Api::Msg)]
    pub(crate) api: Api,
    /// zlink's ZMQ_ASIO_WRITE_BATCHING: -1 adaptive, 0 never, 1 always.
    #[arg(long, value_name = "MODE", allow_hyphen_values = true,
          value_parser = clap::value_parser!(i32).range(-1..=1))]
    pub(crate) batching: Option<i32>,
    /// zlink's ZMQ_ASIO_BATCH_TIMEOUT.
    #[arg(long, value_name = "TIME", value_parser = parse_micros)]
    pub(crate) batch_timeout: Option<u64>,
    /// zlink's ZMQ_ASIO_WRITE_BATCH_MAX_MESSAGES.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) batch_messages: Option<i32>,
    /// zlink's ZMQ_ASIO_WRITE_BATCH_MAX_BYTES.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) batch_bytes: Option<usize>,
    /// Waste this many nanoseconds over every message part that zlink's engines receive: to see a gate fail.
    #[arg(long, value_name = "NANOSECONDS", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    pub(crate) slow: u64,
    /// Count system calls for each message, in runs of their own, with perf or strace.
    #[arg(long)]
    pub(crate) syscalls: bool,
    /// Kill a run that takes longer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    /// Leave out the second measurement of libzmq that shows the noise.
    #[arg(long)]
    pub(crate) no_aa: bool,
    /// Do not build zlink's library; take the one built last.
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Take this file as zlink's library instead of building it.
    #[arg(long, value_name = "FILE", conflicts_with = "no_build")]
    pub(crate) zlink_so: Option<PathBuf>,
    /// Say what would be measured and how long it takes, and measure nothing.
    #[arg(long)]
    pub(crate) list: bool,
    /// Where to write the report.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Keep the figures as docs/performance/records/NAME.json.
    #[arg(long, value_name = "NAME")]
    pub(crate) record: Option<String>,
    /// A record to show the change against [default: docs/performance/records/baseline.json if it is there].
    #[arg(long, value_name = "RECORD")]
    pub(crate) baseline: Option<PathBuf>,
}

impl Common {
    /// What zlink's sockets are set to.
    pub(crate) fn batching(&self) -> Batching {
        // Both have limits far below that of an int.
        let int = |value: u64| i32::try_from(value).unwrap_or(i32::MAX);
        Batching {
            mode: self.batching,
            timeout_us: self.batch_timeout.map(int),
            messages: self.batch_messages,
            bytes: self.batch_bytes.map(|bytes| int(bytes as u64)),
        }
    }
}

fn parse_duration(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if (0.001..=3600.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("between 0.001 and 3600 seconds".into())
    }
}

fn parse_part(text: &str) -> Result<(usize, usize), String> {
    let wrong = || format!("`{text}` is not K/N with K from 1 to N");
    let (part, parts) = text.split_once('/').ok_or_else(wrong)?;
    let (part, parts) = (part.parse().map_err(|_| wrong())?, parts.parse().map_err(|_| wrong())?);
    if (1..=parts).contains(&part) { Ok((part, parts)) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::scenario::parse_suite;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lists_are_split_at_commas() {
        let arguments = "zlink-bench throughput --size 64,1K --transport tcp,ws --pin 0,split \
                         --pattern push-pull,router-router-polled --sockets 1,8 --runs 5 --batching -1";
        let cli = Cli::try_parse_from(arguments.split_whitespace()).expect("the arguments are valid");
        let Command::Throughput(Options { selection, common }) = cli.command else {
            panic!("another command")
        };
        assert_eq!(selection.size, [64, 1024]);
        assert_eq!(selection.transport, [Transport::Tcp, Transport::Ws]);
        assert_eq!(selection.pin, [Pin::Zero, Pin::Split]);
        assert_eq!(selection.pattern, [Pattern::PushPull, Pattern::RouterRouterPolled]);
        assert_eq!(selection.sockets, [1, 8]);
        assert_eq!(common.runs, Some(5));
        assert_eq!(common.batching().mode, Some(-1));
    }

    #[test]
    fn arguments_out_of_range_are_refused() {
        for bad in [
            "throughput --size 2G",
            "throughput --messages 0",
            "quick --runs 0",
            "quick --hwm -1",
            "quick --duration 0",
            "quick --duration nan",
            "quick --timeout 0",
            "quick --engines nng",
            "quick --engine nng=/no/such/file",
            "latency --transport udp",
            "gate --runs many",
            "matrix --part 0/2",
            "matrix --part 3/2",
            "quick --batching 2",
            "report",
        ] {
            let arguments = std::iter::once("zlink-bench").chain(bad.split_whitespace());
            assert!(Cli::try_parse_from(arguments).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_selection_keeps_what_has_one_of_each() {
        let cells = parse_suite("stream tcp,ipc push-pull 64,1K sockets=1,2").expect("well formed");
        let selection = Selection { size: vec![64], sockets: vec![2, 4], ..Selection::default() };
        let kept: Vec<String> = selection.of(cells.clone()).iter().map(Cell::to_string).collect();
        let expected = ["tcp", "ipc"].map(|name| format!("stream {name} push-pull 64B pin=none sockets=2"));
        assert_eq!(kept, expected);
        assert_eq!(Selection::default().of(cells.clone()), cells);
    }

    #[test]
    fn the_parts_together_are_the_whole() {
        let cells = parse_suite("stream tcp push-pull 64,128,256,512,1K,2K,4K").expect("well formed");
        let part = |number| Selection { part: Some((number, 3)), ..Selection::default() }.of(cells.clone());
        let mut all: Vec<Cell> = (1..=3).flat_map(part).collect();
        all.sort();
        assert_eq!(all, cells);
        let sockets =
            parse_suite("stream tcp push-pull 64,128,256,512 sockets=1,2,4,8").expect("well formed");
        let part = Selection { part: Some((1, 4)), ..Selection::default() }.of(sockets);
        let mut sockets: Vec<u64> = part.iter().map(|cell| cell.sockets).collect();
        sockets.sort_unstable();
        assert_eq!(sockets, [1, 2, 4, 8], "a part is not all of one kind");
    }

    #[test]
    fn every_kind_has_usual_values() {
        for &kind in Kind::ALL {
            let cells = Selection::default().scenario(kind).cells();
            assert!(cells.is_ok_and(|cells| !cells.is_empty()), "{}", kind.name());
        }
    }
}
