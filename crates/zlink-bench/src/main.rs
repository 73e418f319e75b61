//! Measures zlink against libzmq 4.3.5 and the raw socket in one run.
//!
//! [`suite`] runs [`cell`]s × [`engine`]s × rounds; [`runner`] does one of these runs by starting two
//! [`worker`] processes of this program, which run the timed loops in [`harness`]; [`report`] and
//! [`mod@gate`] say what came out.

#![deny(unsafe_code)]

mod cell;
mod cli;
mod engine;
mod gate;
mod harness;
mod report;
mod runner;
mod stats;
mod suite;
mod system;
mod worker;
mod zlink_build;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::cell::{Cell, Kind, Mechanism, Pattern, Pin, Transport};
use crate::cli::{Cli, Command, Common, Scope};
use crate::engine::{Engine, EngineKind};
use crate::runner::Settings;
use crate::suite::SuiteResult;
use crate::system::Environment;

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
        Command::Quick { common } => {
            let cells = quick_cells(common.duration.unwrap_or(0.5));
            measure("quick", cells, &common, 3).map(|result| has_reference(&result))
        }
        Command::Latency { scope, idle, common } => {
            let cells = scoped_cells(Kind::RoundTrip, &scope, idle, &common)?;
            measure("latency", cells, &common, 3).map(|result| has_reference(&result))
        }
        Command::Throughput { scope, common } => {
            let cells = scoped_cells(Kind::Stream, &scope, 0, &common)?;
            measure("throughput", cells, &common, 3).map(|result| has_reference(&result))
        }
        Command::Connect { scope, common } => {
            let cells = scoped_cells(Kind::Connect, &scope, 0, &common)?;
            measure("connect", cells, &common, 3).map(|result| has_reference(&result))
        }
        Command::Curve { common } => {
            let cells = curve_cells(common.duration.unwrap_or(0.5));
            measure("curve", cells, &common, 5).map(|result| has_reference(&result))
        }
        Command::Smoke { common } => {
            let result = measure("smoke", smoke_cells(), &common, 1)?;
            Ok(result.failures().next().is_none())
        }
        Command::Gate { thresholds, judge, common } => {
            let usual = || zlink_build::workspace().join("crates/zlink-bench/thresholds.txt");
            gate(&thresholds.unwrap_or_else(usual), &judge, &common)
        }
    }
}

/// A comparison without libzmq's figures is none; other engines may fail and are reported so.
fn has_reference(result: &SuiteResult) -> bool {
    result.failures().all(|(_, row, _)| row.engine != engine::REFERENCE)
}

fn gate(thresholds: &Path, judge: &str, common: &Common) -> Result<bool, String> {
    let text =
        fs::read_to_string(thresholds).map_err(|error| format!("{}: {error}", thresholds.display()))?;
    let thresholds = gate::parse(&text).map_err(|error| format!("{}: {error}", thresholds.display()))?;
    let known = common.engines.iter().chain(common.others.iter().map(|engine| &engine.name));
    if !known.into_iter().any(|name| name == judge) {
        return Err(format!("there is no engine `{judge}` to judge"));
    }
    let cells = gate::cells(&thresholds, common.duration.unwrap_or(0.5));
    let result = measure("gate", cells, common, 5)?;
    let judged = gate::judge(&thresholds, &result, judge);
    print(&format!("\n## Gate: {judge}\n\n"));
    for (passed, line) in &judged {
        print(&format!("- {}: {line}\n", if *passed { "ok" } else { "**fell short**" }));
    }
    Ok(judged.iter().all(|(passed, _)| *passed))
}

/// A reader that has gone away, as in `| head`, must not keep the report from being written.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn measure(
    name: &str,
    cells: Vec<Cell>,
    common: &Common,
    default_runs: usize,
) -> Result<SuiteResult, String> {
    for cell in &cells {
        runner::cpus_for(cell.pin)?;
    }
    let environment = Environment::collect(&zlink_build::workspace());
    let engines = engines(common);
    let settings = Settings {
        runs: common.runs.map_or(default_runs, |runs| runs as usize),
        hwm: common.hwm,
        api: common.api,
        timeout_s: common.timeout,
    };
    let out = common.out.clone().unwrap_or_else(|| zlink_build::target_dir().join("bench").join(name));
    let result = suite::run(name, cells, &engines, &settings, environment);
    print(&report::markdown(&result));
    report::write(&result, &out)?;
    eprintln!("report: {}", out.join("report.md").display());
    Ok(result)
}

fn engines(common: &Common) -> Vec<Engine> {
    let wanted = |name: &str| common.engines.iter().any(|engine| engine == name);
    let mut engines = vec![Engine::reference()];
    if !common.no_aa {
        engines.push(Engine::reference_again());
    }
    if wanted("zlink") {
        engines.push(zlink(common));
    }
    if wanted("zlink-rs") {
        engines.push(Engine::zlink_rs());
    }
    engines.extend(common.others.iter().cloned());
    if wanted("raw") {
        engines.push(Engine::raw());
    }
    engines
}

fn zlink(common: &Common) -> Engine {
    let path = match &common.zlink_so {
        Some(path) => std::path::absolute(path).map_err(|error| error.to_string()),
        None if common.no_build => Ok(zlink_build::target_dir().join("release/libzmq.so")),
        None => zlink_build::build(),
    };
    let kind = match path {
        Ok(path) if path.is_file() => EngineKind::Library(path),
        Ok(path) => EngineKind::Unavailable(format!("{} is not there", path.display())),
        Err(reason) => EngineKind::Unavailable(reason),
    };
    Engine { name: "zlink".into(), kind }
}

fn quick_cells(seconds: f64) -> Vec<Cell> {
    let mut cells = Vec::new();
    for transport in Transport::ALL {
        for pin in [Pin::Zero, Pin::None] {
            cells.push(Cell::new(Kind::RoundTrip, transport, Pattern::ReqRep, 64, pin, seconds));
        }
        let streams = [(64, Pin::None), (64, Pin::Zero), (1024, Pin::None), (65536, Pin::None)];
        for (size, pin) in streams {
            cells.push(Cell::new(Kind::Stream, transport, Pattern::PushPull, size, pin, seconds));
        }
    }
    cells
}

fn curve_cells(seconds: f64) -> Vec<Cell> {
    [
        (Kind::Stream, Pattern::PushPull, 64),
        (Kind::Stream, Pattern::PushPull, 1024),
        (Kind::Stream, Pattern::PushPull, 65536),
        (Kind::RoundTrip, Pattern::ReqRep, 64),
        (Kind::Connect, Pattern::ReqRep, 64),
    ]
    .map(|(kind, pattern, size)| {
        Cell::new(kind, Transport::Tcp, pattern, size, Pin::None, seconds).with_curve()
    })
    .into()
}

fn smoke_cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for transport in Transport::ALL {
        for (kind, pattern, count) in
            [(Kind::RoundTrip, Pattern::ReqRep, 200), (Kind::Stream, Pattern::PushPull, 5000)]
        {
            let mut cell = Cell::new(kind, transport, pattern, 64, Pin::None, 0.1);
            cell.set_count(count);
            cells.push(cell);
        }
    }
    for mut cell in curve_cells(0.1) {
        cell.set_count(200);
        cells.push(cell);
    }
    cells
}

fn scoped_cells(kind: Kind, scope: &Scope, idle_us: u64, common: &Common) -> Result<Vec<Cell>, String> {
    let usual = match kind {
        Kind::RoundTrip | Kind::Connect => Pattern::ReqRep,
        Kind::Stream => Pattern::PushPull,
    };
    let patterns = if scope.pattern.is_empty() { vec![usual] } else { scope.pattern.clone() };
    if let Some(pattern) = patterns.iter().find(|pattern| !pattern.allows(kind)) {
        return Err(format!("{} has no {}", pattern.name(), kind.name()));
    }
    let seconds = common.duration.unwrap_or(0.5);
    let mut cells = Vec::new();
    for &transport in &scope.transport {
        for &pattern in &patterns {
            for &size in &scope.size {
                for (&pin, &mechanism) in scope
                    .pin
                    .iter()
                    .flat_map(|pin| scope.mechanism.iter().map(move |mechanism| (pin, mechanism)))
                {
                    let mut cell = Cell::new(kind, transport, pattern, size, pin, seconds);
                    if mechanism == Mechanism::Curve {
                        cell = cell.with_curve();
                    }
                    if let Some(messages) = scope.messages {
                        cell.set_count(messages);
                    }
                    cell.idle_us = idle_us;
                    cells.push(cell);
                }
            }
        }
    }
    Ok(cells)
}
