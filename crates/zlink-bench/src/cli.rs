//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::cell::{Mechanism, Pattern, Pin, Transport, parse_size};
use crate::engine::{Engine, parse_engine};
use crate::worker::Api;

/// Measures zlink, libzmq 4.3.5 and the plain socket side by side, in one interleaved run.
///
/// Both libraries are built when needed and driven by the very same code through their C functions.
/// The two sides of a run are separate processes (two threads of one process for inproc). The report,
/// with tables, JSON, CSV and SVG charts, goes to target/bench/COMMAND/ unless --out says otherwise.
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
    Quick {
        #[command(flatten)]
        common: Common,
    },
    /// Round trips: p50, p90, p99, p99.9 and the maximum of the time there and back.
    Latency {
        #[command(flatten)]
        scope: Scope,
        /// Sleep this many microseconds before each round trip, not counted in its time.
        #[arg(long, value_name = "MICROSECONDS", default_value_t = 0)]
        idle: u64,
        #[command(flatten)]
        common: Common,
    },
    /// Streams: messages and megabytes a second, from the first message to the last at the receiver.
    Throughput {
        #[command(flatten)]
        scope: Scope,
        #[command(flatten)]
        common: Common,
    },
    /// Connections: how many sockets a second are opened, connected, answered once and closed.
    Connect {
        #[command(flatten)]
        scope: Scope,
        #[command(flatten)]
        common: Common,
    },
    /// CURVE: streams of 64 B, 1 KiB and 64 KiB, round trips and connections over TCP, with encryption.
    Curve {
        #[command(flatten)]
        common: Common,
    },
    /// Every engine once on every transport with tiny counts: shows that it works, not how fast.
    Smoke {
        #[command(flatten)]
        common: Common,
    },
    /// Fails, with the cells that fell short, unless the ratios to libzmq keep to a thresholds file.
    ///
    /// A line of the file reads `stream tcp push-pull 64 pin=none rate >= 2.0`: kind (roundtrip,
    /// stream or connect), transport, pattern, size, pin, perhaps `curve`, metric (rate, p50, p90, p99, p99.9, max, cpu,
    /// switches, rss), and the ratio that the median has to reach or must not exceed. The limit is
    /// widened by the noise that the A/A row of the same cell and metric shows.
    Gate {
        /// The file with the thresholds [default: crates/zlink-bench/thresholds.txt].
        #[arg(long, value_name = "FILE")]
        thresholds: Option<PathBuf>,
        /// The engine that has to keep to them.
        #[arg(long, value_name = "NAME", default_value = "zlink")]
        judge: String,
        #[command(flatten)]
        common: Common,
    },
    /// One side of a run; started by the other commands.
    #[command(hide = true)]
    Peer,
}

/// Which cells to run: all combinations of these.
#[derive(Debug, Args)]
pub(crate) struct Scope {
    /// Message sizes, as 64, 4K or 1M.
    #[arg(long, value_name = "SIZE,..", value_delimiter = ',', value_parser = parse_size,
          default_value = "64")]
    pub(crate) size: Vec<usize>,
    /// The transports to go over.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', default_value = "tcp,ipc,inproc")]
    pub(crate) transport: Vec<Transport>,
    /// Socket types; push-pull for streams and req-rep for all else if not given.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub(crate) pattern: Vec<Pattern>,
    /// Which CPUs to use: wherever the scheduler likes, the first for all, or one for each side.
    #[arg(long, value_name = "PIN,..", value_delimiter = ',', default_value = "none")]
    pub(crate) pin: Vec<Pin>,
    /// Without encryption, or with.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', default_value = "null")]
    pub(crate) mechanism: Vec<Mechanism>,
    /// Measured messages, round trips or connections in each run, instead of a number found from --duration.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) messages: Option<u64>,
}

/// Options of every command that measures.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Only these of the engines libzmq, zlink, zlink-rs, raw; libzmq is always there.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',',
          value_parser = ["libzmq", "zlink", "zlink-rs", "raw"],
          default_value = "libzmq,zlink,zlink-rs,raw")]
    pub(crate) engines: Vec<String>,
    /// Another library with libzmq's C functions; may be given several times.
    #[arg(long = "engine", value_name = "NAME=PATH", value_parser = parse_engine)]
    pub(crate) others: Vec<Engine>,
    /// Runs of each engine in each cell, of which the median is taken [default: 3; gate 5, smoke 1].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) runs: Option<u64>,
    /// About how long libzmq takes for one run; sets the number of messages [default: 0.5].
    #[arg(long, value_name = "SECONDS", value_parser = parse_duration)]
    pub(crate) duration: Option<f64>,
    /// Send and receive high-water mark of both sides, 0 for none [default: the library's, 1000].
    #[arg(long, value_name = "MESSAGES", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) hwm: Option<i32>,
    /// The C functions that carry the messages.
    #[arg(long, value_enum, default_value_t = Api::Msg)]
    pub(crate) api: Api,
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
    /// Where to write the report.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

fn parse_duration(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if (0.001..=3600.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("between 0.001 and 3600 seconds".into())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lists_are_split_at_commas() {
        let cli = Cli::try_parse_from([
            "zlink-bench",
            "throughput",
            "--size",
            "64,1K",
            "--transport",
            "tcp",
            "--pin",
            "0,split",
            "--pattern",
            "push-pull,pair",
            "--runs",
            "5",
        ])
        .expect("the arguments are valid");
        let Command::Throughput { scope, common } = cli.command else { panic!("another command") };
        assert_eq!(scope.size, [64, 1024]);
        assert_eq!(scope.transport, [Transport::Tcp]);
        assert_eq!(scope.pin, [Pin::Zero, Pin::Split]);
        assert_eq!(scope.pattern, [Pattern::PushPull, Pattern::Pair]);
        assert_eq!(common.runs, Some(5));
        assert_eq!(common.engines, ["libzmq", "zlink", "zlink-rs", "raw"]);
    }

    #[test]
    fn arguments_out_of_range_are_refused() {
        for bad in [
            &["throughput", "--size", "2G"][..],
            &["throughput", "--messages", "0"],
            &["quick", "--runs", "0"],
            &["quick", "--hwm", "-1"],
            &["quick", "--duration", "0"],
            &["quick", "--duration", "nan"],
            &["quick", "--timeout", "0"],
            &["quick", "--engines", "nng"],
            &["quick", "--engine", "nng=/no/such/file"],
            &["latency", "--transport", "udp"],
            &["gate", "--runs", "many"],
        ] {
            let arguments = std::iter::once(&"zlink-bench").chain(bad);
            assert!(Cli::try_parse_from(arguments).is_err(), "{bad:?}");
        }
    }
}
