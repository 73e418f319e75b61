//! Measures zlink against libzmq 4.3.5 and the raw socket in one run.
//!
//! A [`cell`] is a scenario, written as a line ([`scenario`]); the suites are files of such lines, some with
//! what they have to keep to ([`limit`]). [`mod@suite`] runs cells × [`engine`]s × rounds; [`runner`] does one of
//! these runs by starting two [`worker`] processes of this program, which run the timed loops in
//! [`harness`]; [`report`] says what came out.

#![deny(unsafe_code)]

mod cell;
mod cli;
mod engine;
mod fanout;
mod harness;
mod limit;
mod measure;
mod report;
mod runner;
mod scenario;
mod stats;
mod suite;
mod sweep;
mod syscalls;
mod system;
mod worker;
mod zlink_build;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::cell::{Cell, Kind};
use crate::cli::{Cli, Command, Options};
use crate::limit::Limit;
use crate::measure::{Conclusion, Usual, measure};
use crate::suite::SuiteResult;

/// Suites, as data.
const QUICK: &str = include_str!("../suites/quick.txt");
const CURVE: &str = include_str!("../suites/curve.txt");
const SMOKE: &str = include_str!("../suites/smoke.txt");
const MATRIX: &str = include_str!("../suites/matrix.txt");
/// The targets.
const FULL: &str = include_str!("../suites/full.txt");

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("zlink-bench: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything that was to be shown was shown; an error if nothing could be tried.
fn run(command: Command) -> Result<bool, String> {
    match command {
        Command::Peer => Ok(worker::run()),
        Command::Quick(options) => compare(suite(QUICK)?, &options, &Usual::new("quick", 3)),
        Command::Curve(options) => compare(suite(CURVE)?, &options, &Usual::new("curve", 5)),
        Command::Matrix(options) => {
            let engines = &["libzmq", "zlink"];
            let usual = Usual { seconds: 0.05, again: 6, engines, ..Usual::new("matrix", 3) };
            matrix(&options, &usual)
        }
        Command::Latency(options) => compare_kinds(&[Kind::RoundTrip], &options, "latency"),
        Command::Throughput(options) => compare_kinds(&[Kind::Stream], &options, "throughput"),
        Command::Connect(options) => compare_kinds(&[Kind::Connect], &options, "connect"),
        Command::Run { scenarios, options } if scenarios.is_empty() => match &options.selection.kind {
            kinds if kinds.is_empty() => Err("run needs a scenario, or --kind".into()),
            kinds => compare_kinds(kinds, &options, "run"),
        },
        Command::Run { scenarios, options } => {
            compare(suite(&scenarios.join("\n"))?, &options, &Usual::new("run", 3))
        }
        Command::Smoke(options) => {
            let conclude = |result: &SuiteResult| Conclusion {
                kept: result.failures().next().is_none(),
                ..Conclusion::of_comparison(result)
            };
            measure(suite(SMOKE)?, &options, &Usual::new("smoke", 1), conclude)
        }
        Command::Full(options) => full(&options, &Usual::new("full", 5).all_engines()),
        Command::Gate { thresholds, judge, options } => {
            let usual = || zlink_build::workspace().join("crates/zlink-bench/thresholds.txt");
            gate(&thresholds.unwrap_or_else(usual), &judge, &options)
        }
        Command::Sweep(options) => sweep::sweep(&options),
        Command::Report { records, baseline, out } => page(&records, baseline.as_deref(), out),
    }
}

fn suite(text: &str) -> Result<Vec<Cell>, String> {
    scenario::parse_suite(text)
}

fn compare(cells: Vec<Cell>, options: &Options, usual: &Usual) -> Result<bool, String> {
    measure(cells, options, usual, Conclusion::of_comparison)
}

fn compare_kinds(kinds: &[Kind], options: &Options, name: &'static str) -> Result<bool, String> {
    let mut cells = Vec::new();
    for &kind in kinds {
        cells.extend(options.selection.scenario(kind).cells()?);
    }
    compare(cells, options, &Usual::new(name, 3))
}

fn gate(thresholds: &Path, engine: &str, options: &Options) -> Result<bool, String> {
    let text =
        fs::read_to_string(thresholds).map_err(|error| format!("{}: {error}", thresholds.display()))?;
    let limits = limit::parse(&text).map_err(|error| format!("{}: {error}", thresholds.display()))?;
    let usual = Usual { again: 6, ..Usual::new("gate", 5) };
    let common = &options.common;
    let others = common.others.iter().map(|engine| engine.name.as_str());
    let known = match common.engines.as_slice() {
        [] => usual.engines.iter().copied().chain(others).any(|name| name == engine),
        chosen => chosen.iter().map(String::as_str).chain(others).any(|name| name == engine),
    };
    if !known {
        return Err(format!("there is no engine `{engine}` to judge"));
    }
    let cells = limit::cells(&limits);
    let title = format!("Gate, {engine}");
    measure(cells, options, &usual, |result| judge(&title, limits.clone(), engine, result))
}

fn full(options: &Options, usual: &Usual) -> Result<bool, String> {
    let limits = limit::parse(FULL)?;
    measure(limit::cells(&limits), options, usual, |result| {
        let mut conclusion = judge("Targets", limits.clone(), "zlink", result);
        let growths = fanout::growths(result, "zlink");
        if !growths.is_empty() {
            conclusion.text.push_str("\n## Cost of a fan-out\n\n");
        }
        for growth in &growths {
            conclusion.text.push_str(&format!("- {growth}\n"));
        }
        conclusion.kept &= growths.iter().all(fanout::Growth::is_allowed);
        conclusion
    })
}

/// No cell may be behind libzmq: in throughput, or in p99 where times are what it is about.
fn matrix(options: &Options, usual: &Usual) -> Result<bool, String> {
    measure(suite(MATRIX)?, options, usual, |result| {
        let cells = result.cells.iter().map(|one| one.cell.clone());
        let limits = cells.map(Limit::not_behind_libzmq).collect();
        let conclusion = judge("Not behind libzmq", limits, "zlink", result);
        // Thousands of cells that are as they should be are no news.
        let text = report::verdicts("Not behind libzmq", &conclusion.judged, false);
        Conclusion { text, ..conclusion }
    })
}

/// How `engine` keeps to those of the limits whose cells were measured: what was not selected was not asked about.
fn judge(title: &str, limits: Vec<Limit>, engine: &str, result: &SuiteResult) -> Conclusion {
    let limits: Vec<Limit> = limits.into_iter().filter(|limit| result.cell(&limit.cell).is_some()).collect();
    let judged = limit::judge(&limits, result, engine);
    Conclusion {
        kept: judged.iter().all(|one| one.verdict.passes()),
        text: report::verdicts(title, &judged, true),
        judged,
    }
}

/// Writes one page of all records.
fn page(records: &[PathBuf], baseline: Option<&Path>, out: Option<PathBuf>) -> Result<bool, String> {
    let results = records.iter().map(|path| report::read(path)).collect::<Result<Vec<_>, _>>()?;
    let baseline = measure::baseline(baseline)?;
    let targets = limit::parse(FULL)?;
    let judged = |result: SuiteResult| {
        let judged = judge("Targets", targets.clone(), "zlink", &result).judged;
        (result, judged)
    };
    let results: Vec<_> = results.into_iter().map(judged).collect();
    let page = report::html(&results, baseline.as_ref())?;
    let out = out.unwrap_or_else(|| zlink_build::target_dir().join("bench/report.html"));
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    report::write_file(&out, &page)?;
    eprintln!("page: {}", out.display());
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suites_can_be_read() {
        for (name, text) in [("quick", QUICK), ("curve", CURVE), ("smoke", SMOKE), ("matrix", MATRIX)] {
            let cells = suite(text);
            assert!(cells.as_ref().is_ok_and(|cells| !cells.is_empty()), "{name}: {cells:?}");
        }
        limit::parse(FULL).expect("the targets are well formed");
    }

    #[test]
    fn the_matrix_has_every_pattern_on_every_transport_it_has_in_every_size() {
        let cells = suite(MATRIX).expect("the matrix is well formed");
        let found = |kinds: &[Kind], transport, pattern, size, sockets| {
            cells.iter().any(|cell| {
                kinds.contains(&cell.kind)
                    && (cell.transport, cell.pattern) == (transport, pattern)
                    && (cell.size, cell.sockets) == (size, sockets)
            })
        };
        let sizes = "32 64 256 512 1K 4K 16K 64K 128K 256K 1M";
        let sizes: Vec<usize> =
            sizes.split(' ').map(|size| cell::parse_size(size).expect("a size")).collect();
        for &transport in cell::Transport::ALL {
            for &pattern in cell::Pattern::ALL {
                if pattern == cell::Pattern::Stream && transport != cell::Transport::Tcp {
                    continue;
                }
                for &size in &sizes {
                    for sockets in [1, 2, 4, 8] {
                        let what = (transport.name(), pattern.name(), size, sockets);
                        let timed = [Kind::RoundTrip, Kind::Paced];
                        assert!(found(&timed, transport, pattern, size, sockets), "{what:?}");
                        let streams = pattern.allows(Kind::Stream);
                        assert!(
                            !streams || found(&[Kind::Stream], transport, pattern, size, sockets),
                            "{what:?}"
                        );
                    }
                }
            }
        }
    }
}
