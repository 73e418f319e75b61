//! Runs cells × engines × rounds, interleaved, and keeps every figure.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::cell::{Cell, Kind};
use crate::engine::{Engine, EngineKind, REFERENCE, REFERENCE_AGAIN};
use crate::runner::{self, Figures, RunError, Settings};
use crate::stats::{Metric, QUANTILES, median, noise};
use crate::syscalls::Tracer;
use crate::system::Environment;

/// An engine that has timed out this often is not tried again: each time costs the whole limit. In a suite of many cells it
/// may happen in one of a hundred more.
const TIMEOUTS_ALLOWED: usize = 3;

/// What one engine did in one cell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) engine: String,
    /// One entry a round, in order.
    pub(crate) runs: Vec<Figures>,
    /// Why the engine has no result here. Runs before the failure are kept, but not compared.
    pub(crate) failure: Option<String>,
    /// Why there is nothing to measure; not a failure.
    pub(crate) not_applicable: Option<String>,
    /// The latency distribution: for each of [`QUANTILES`] the median over the runs, in nanoseconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) curve: Vec<u64>,
    /// System calls of all processes for a message, if they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) syscalls: Option<f64>,
}

impl Row {
    /// The runs, if all of them succeeded.
    pub(crate) fn complete(&self) -> Option<&[Figures]> {
        (self.failure.is_none() && !self.runs.is_empty()).then_some(self.runs.as_slice())
    }

    /// Takes the curves out of the runs and keeps their medians: many runs would be large files.
    fn condense(&mut self) {
        let curves: Vec<Vec<u64>> = self
            .runs
            .iter_mut()
            .filter_map(|run| run.latency.as_mut())
            .map(|latency| std::mem::take(&mut latency.curve))
            .filter(|curve| curve.len() == QUANTILES.len())
            .collect();
        let at = |index: usize| median(&curves.iter().map(|curve| curve[index] as f64).collect::<Vec<_>>());
        self.curve = (0..QUANTILES.len()).map_while(at).map(|nanos| nanos as u64).collect();
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CellResult {
    pub(crate) cell: Cell,
    pub(crate) rows: Vec<Row>,
}

impl CellResult {
    pub(crate) fn row(&self, engine: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.engine == engine)
    }

    /// The median of `engine` divided by that of the reference.
    pub(crate) fn ratio(&self, engine: &str, metric: Metric) -> Option<f64> {
        self.ratio_to(engine, REFERENCE, metric)
    }

    /// The median of `engine` divided by that of `other`.
    pub(crate) fn ratio_to(&self, engine: &str, other: &str, metric: Metric) -> Option<f64> {
        metric.ratio(self.row(engine)?.complete()?, self.row(other)?.complete()?)
    }

    /// How far the two measurements of the reference lie apart.
    pub(crate) fn noise(&self, metric: Metric) -> Option<f64> {
        self.ratio(REFERENCE_AGAIN, metric).map(noise)
    }
}

/// Everything a report is made from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SuiteResult {
    pub(crate) name: String,
    /// The arguments it was started with.
    pub(crate) command: String,
    pub(crate) environment: Environment,
    pub(crate) settings: Settings,
    /// Name, and what the engine says about itself or where it lies.
    pub(crate) engines: Vec<(String, String)>,
    /// The largest noise of any cell, by kind and metric; empty without an A/A row.
    #[serde(default)]
    pub(crate) noise: Vec<(Kind, Metric, f64)>,
    pub(crate) cells: Vec<CellResult>,
}

/// The largest distance of the two measurements of the reference, for the metrics that matter most.
pub(crate) fn largest_noise(cells: &[CellResult]) -> Vec<(Kind, Metric, f64)> {
    let mut all = Vec::new();
    for &kind in Kind::ALL {
        for metric in [Metric::Rate, Metric::P50, Metric::P99] {
            let of_kind = cells.iter().filter(|one| one.cell.kind == kind && metric.belongs_to(kind));
            let worst = of_kind.filter_map(|one| one.noise(metric)).reduce(f64::max);
            all.extend(worst.map(|noise| (kind, metric, noise)));
        }
    }
    all
}

/// About how many seconds [`Plan::run`] takes.
pub(crate) fn estimate(cells: &[Cell], engines: usize, runs: usize) -> f64 {
    // Starting two processes that load a library, and closing them again.
    let starting = 0.15;
    let one: f64 = cells.iter().map(|cell| cell.expected_seconds() + starting).sum();
    one * (engines * runs) as f64
}

impl SuiteResult {
    /// The result of this scenario, however many messages it was.
    pub(crate) fn cell(&self, cell: &Cell) -> Option<&CellResult> {
        self.cells.iter().find(|one| one.cell.is_same_scenario(cell))
    }

    pub(crate) fn failures(&self) -> impl Iterator<Item = (&Cell, &Row, &str)> {
        self.cells.iter().flat_map(|result| {
            result
                .rows
                .iter()
                .filter_map(|row| row.failure.as_deref().map(|failure| (&result.cell, row, failure)))
        })
    }
}

/// What is run, and how.
pub(crate) struct Plan<'a> {
    pub(crate) name: &'a str,
    pub(crate) engines: &'a [Engine],
    pub(crate) settings: &'a Settings,
    pub(crate) environment: Environment,
    /// Counts system calls, if they are to be counted.
    pub(crate) tracer: Option<Tracer>,
}

impl Plan<'_> {
    /// Runs everything, and then once more, as often as the settings say, the cells that `short` says fell short. Failures
    /// of engines become part of the result. After each round but the last, `keep` is given what there is until then: a
    /// long suite may not come to its end.
    pub(crate) fn run(
        &self,
        cells: Vec<Cell>,
        keep: impl Fn(&SuiteResult),
        short: impl FnOnce(&SuiteResult) -> Vec<Cell>,
    ) -> SuiteResult {
        let allowed = TIMEOUTS_ALLOWED + cells.len() / 100;
        let mut progress = Progress::new(cells.len() * self.engines.len() * self.settings.runs);
        let mut results: Vec<CellResult> = cells
            .into_iter()
            .map(|cell| {
                let rows = self.engines.iter().map(|engine| new_row(engine, &cell)).collect();
                CellResult { cell, rows }
            })
            .collect();
        let mut timeouts = BTreeMap::new();
        for round in 0..self.settings.runs {
            if round > 0 {
                keep(&self.result(results.clone()));
            }
            self.round(round, results.iter_mut(), allowed, &mut timeouts, &mut progress);
        }
        if self.settings.again > 0 {
            let short = short(&self.result(results.clone()));
            let fell_short =
                |one: &&mut CellResult| short.iter().any(|cell| cell.is_same_scenario(&one.cell));
            let mut chosen: Vec<_> = results.iter_mut().filter(fell_short).collect();
            if !chosen.is_empty() {
                eprintln!("{} cells fell short: {} more runs of each", chosen.len(), self.settings.again);
            }
            progress.extend(chosen.len() * self.engines.len() * self.settings.again);
            for round in self.settings.runs..self.settings.runs + self.settings.again {
                let results = chosen.iter_mut().map(|one| &mut **one);
                self.round(round, results, allowed, &mut timeouts, &mut progress);
            }
        }
        progress.bar.finish_and_clear();
        let mut result = self.result(results);
        if let Some(tracer) = &self.tracer {
            count_syscalls(tracer, &mut result.cells, self.engines, self.settings);
        }
        result
    }

    /// Runs each cell once with each engine.
    fn round<'r>(
        &self,
        round: usize,
        results: impl Iterator<Item = &'r mut CellResult>,
        allowed: usize,
        timeouts: &mut BTreeMap<usize, usize>,
        progress: &mut Progress,
    ) {
        for result in results {
            for turn in 0..self.engines.len() {
                // Every round starts with another engine, so that none always follows the same one.
                let index = (turn + round) % self.engines.len();
                let engine = &self.engines[index];
                progress.step(&result.cell, engine);
                let row = &mut result.rows[index];
                if row.failure.is_some() || row.not_applicable.is_some() {
                    continue;
                }
                let tired = timeouts.entry(index).or_default();
                if *tired >= allowed {
                    row.failure = Some(format!("not tried after {tired} timeouts elsewhere"));
                    continue;
                }
                match runner::run(engine, &result.cell, self.settings) {
                    Ok(figures) => row.runs.push(figures),
                    Err(RunError::TimedOut(reason)) => {
                        *tired += 1;
                        row.failure = Some(format!("timed out: {reason}"));
                    }
                    Err(RunError::Failed(reason)) => row.failure = Some(reason),
                }
            }
        }
    }

    fn result(&self, mut cells: Vec<CellResult>) -> SuiteResult {
        cells.iter_mut().flat_map(|result| &mut result.rows).for_each(Row::condense);
        SuiteResult {
            name: self.name.into(),
            command: std::env::args().skip(1).map(without_folders).collect::<Vec<_>>().join(" "),
            environment: self.environment.clone(),
            settings: self.settings.clone(),
            engines: self.engines.iter().map(|engine| describe(engine, &cells)).collect(),
            noise: largest_noise(&cells),
            cells,
        }
    }
}

/// An argument as a record keeps it: where files lay on the machine is nobody's concern.
fn without_folders(argument: String) -> String {
    let (option, value) = argument.split_once('=').map_or(("", argument.as_str()), |(a, b)| (a, b));
    let name = value.rsplit('/').next().filter(|_| value.starts_with('/'));
    match name {
        Some(name) if option.is_empty() => name.to_owned(),
        Some(name) => format!("{option}={name}"),
        None => argument,
    }
}

/// A run of its own for each engine in each cell. One that fails has no count, and nothing else is lost.
fn count_syscalls(tracer: &Tracer, results: &mut [CellResult], engines: &[Engine], settings: &Settings) {
    for result in results {
        for (row, engine) in result.rows.iter_mut().zip(engines) {
            if row.complete().is_none() || engine.name == REFERENCE_AGAIN {
                continue;
            }
            match tracer.per_message(engine, &result.cell, settings) {
                Ok(calls) => row.syscalls = Some(calls),
                Err(why) => eprintln!("system calls of {}, {}: {why}", engine.name, result.cell),
            }
        }
    }
}

fn new_row(engine: &Engine, cell: &Cell) -> Row {
    let failure = match &engine.kind {
        EngineKind::Unavailable(reason) => Some(reason.clone()),
        _ => None,
    };
    Row {
        engine: engine.name.clone(),
        runs: Vec::new(),
        failure,
        not_applicable: engine.does_not_apply(cell).map(str::to_owned),
        curve: Vec::new(),
        syscalls: None,
    }
}

fn describe(engine: &Engine, results: &[CellResult]) -> (String, String) {
    let version = results
        .iter()
        .filter_map(|result| result.row(&engine.name)?.runs.first())
        .map(|figures| figures.version.clone())
        .next();
    let mut about = match (&engine.kind, version) {
        (EngineKind::Unavailable(reason), _) => reason.clone(),
        (EngineKind::Library(_), Some(version)) => format!("C functions, version {version}"),
        (_, Some(version)) => version,
        (_, None) => "no run".into(),
    };
    let special = engine.special();
    if !special.is_empty() {
        about.push_str(&format!("; {special}"));
    }
    (engine.name.clone(), about)
}

/// How far it is: a bar on a terminal, elsewhere a line for each tenth of a long suite.
struct Progress {
    bar: ProgressBar,
    steps: usize,
    done: usize,
}

impl Progress {
    fn new(steps: usize) -> Self {
        let bar = match std::io::stderr().is_terminal() {
            true => ProgressBar::new(steps as u64),
            false => ProgressBar::hidden(),
        };
        // No steady tick: the bar is drawn between runs only, never while one is measured.
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta} {msg}") {
            bar.set_style(style);
        }
        Self { bar, steps, done: 0 }
    }

    fn extend(&mut self, steps: usize) {
        self.steps += steps;
        self.bar.set_length(self.steps as u64);
    }

    fn step(&mut self, cell: &Cell, engine: &Engine) {
        self.bar.inc(1);
        self.bar.set_message(format!("{cell} · {}", engine.name));
        let tenths = |done: usize| 10 * done / self.steps;
        if self.bar.is_hidden() && self.steps >= 1000 && tenths(self.done + 1) > tenths(self.done) {
            eprintln!("{} %: {cell}", 10 * tenths(self.done + 1));
        }
        self.done += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    #[test]
    fn a_record_keeps_no_folders() {
        let kept = |argument: &str| without_folders(argument.into());
        assert_eq!(kept("/home/me/out"), "out");
        assert_eq!(kept("before=/home/me/libzmq.so.5"), "before=libzmq.so.5");
        for plain in ["--runs", "2/5", "stream tcp pair 64 sockets=2", "--out=x", "./out"] {
            assert_eq!(kept(plain), plain);
        }
    }

    #[test]
    fn curves_of_runs_become_one_of_medians() {
        let mut row = sample().cells[1].rows[0].clone();
        for (run, factor) in row.runs.iter_mut().zip([1, 100, 10]) {
            let latency = run.latency.as_mut().expect("a round trip has times");
            latency.curve = (0..QUANTILES.len() as u64).map(|step| factor * (1 + step)).collect();
        }
        row.condense();
        assert_eq!(row.curve[..3], [10, 20, 30]);
        assert!(row.runs.iter().all(|run| run.latency.as_ref().is_some_and(|one| one.curve.is_empty())));
    }

    #[test]
    fn more_of_anything_takes_longer() {
        let mut cell = sample().cells[0].cell.clone();
        cell.take_about(0.5);
        let one = estimate(std::slice::from_ref(&cell), 2, 3);
        // Half a second, a warm-up of at most a tenth, and the starting.
        assert!((6.0 * 0.65..=6.0 * 0.7).contains(&one), "{one}");
        assert!((estimate(&[cell.clone(), cell], 2, 3) - 2.0 * one).abs() < 1e-9);
    }

    #[test]
    fn the_largest_noise_is_told_by_kind_and_metric() {
        let noise = largest_noise(&sample().cells);
        let of = |kind, metric| noise.iter().find(|one| (one.0, one.1) == (kind, metric)).map(|one| one.2);
        assert!(of(Kind::Stream, Metric::Rate).is_some_and(|noise| (noise - 0.1).abs() < 1e-9));
        assert!(of(Kind::RoundTrip, Metric::P99).is_some_and(|noise| noise > 0.1));
        assert_eq!(of(Kind::Stream, Metric::P99), None);
    }
}
