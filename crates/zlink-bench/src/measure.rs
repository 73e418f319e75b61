//! What all measuring commands share: from cells and options to a result and its report.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cell::Cell;
use crate::cli::{Common, Options};
use crate::engine::{ENGINES, Engine, EngineKind, REFERENCE};
use crate::limit::Judged;
use crate::runner::{self, Settings};
use crate::suite::{self, Plan, SuiteResult};
use crate::syscalls::Tracer;
use crate::system::Environment;
use crate::worker::Api;
use crate::{report, zlink_build};

/// What a command measures if its options say nothing else.
pub(crate) struct Usual {
    pub(crate) name: &'static str,
    pub(crate) runs: usize,
    pub(crate) again: usize,
    pub(crate) seconds: f64,
    pub(crate) engines: &'static [&'static str],
}

impl Usual {
    pub(crate) const fn new(name: &'static str, runs: usize) -> Self {
        Self { name, runs, again: 0, seconds: 0.5, engines: &["libzmq", "zlink", "zlink-rs", "raw"] }
    }

    pub(crate) const fn all_engines(self) -> Self {
        Self { engines: &ENGINES, ..self }
    }
}

/// A reader that has gone away, as in `| head`, must not keep the report from being written.
pub(crate) fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// What a command makes of its figures.
pub(crate) struct Conclusion {
    /// Whether everything that was to be shown was shown.
    pub(crate) kept: bool,
    /// What the tables are followed by.
    pub(crate) text: String,
    /// How limits were kept.
    pub(crate) judged: Vec<Judged>,
}

impl Conclusion {
    /// The cells of limits that were not kept.
    fn short(self) -> Vec<Cell> {
        let missed = self.judged.into_iter().filter(|one| !one.verdict.passes());
        missed.map(|one| one.limit.cell).collect()
    }

    /// A comparison without libzmq's figures is none; other engines may fail and are reported so.
    pub(crate) fn of_comparison(result: &SuiteResult) -> Self {
        let kept = result.failures().all(|(_, row, _)| row.engine != REFERENCE);
        Self { kept, text: String::new(), judged: Vec::new() }
    }
}

/// Measures those of `cells` that are selected, with all engines, prints the tables and what `conclude` makes of them,
/// and writes the report. Returns whether it was as it should be; so it is if it was only asked what there is to measure.
///
/// # Errors
///
/// That nothing is selected or could be tried.
pub(crate) fn measure(
    cells: Vec<Cell>,
    options: &Options,
    usual: &Usual,
    conclude: impl Fn(&SuiteResult) -> Conclusion,
) -> Result<bool, String> {
    measure_with(cells, options, usual, engines, conclude)
}

/// As [`measure`], with the engines that `engines` makes.
pub(crate) fn measure_with(
    cells: Vec<Cell>,
    options: &Options,
    usual: &Usual,
    engines: impl Fn(&Common, &[&str]) -> Vec<Engine>,
    conclude: impl Fn(&SuiteResult) -> Conclusion,
) -> Result<bool, String> {
    let (selection, common) = (&options.selection, &options.common);
    let mut cells = selection.of(cells);
    if cells.is_empty() {
        return Err("nothing is selected".into());
    }
    for cell in &mut cells {
        runner::cpus_for(cell.pin)?;
        match selection.messages {
            Some(messages) => cell.set_count(messages),
            None if cell.count > 0 => {}
            None => cell.take_about(common.duration.unwrap_or(usual.seconds)),
        }
    }
    let chosen = chosen(common, usual);
    let settings = Settings {
        runs: common.runs.map_or(usual.runs, |runs| runs as usize),
        again: common.again.map_or(usual.again, |runs| runs as usize),
        hwm: common.hwm,
        api: common.api,
        timeout_s: common.timeout,
    };
    if common.list {
        list(&cells, engines(&Common { no_build: true, ..common.clone() }, &chosen).len(), settings.runs);
        return Ok(true);
    }
    let baseline = baseline(common.baseline.as_deref())?;
    let tracer = if common.syscalls { Some(Tracer::find()?) } else { None };
    let environment = Environment::collect(&zlink_build::workspace());
    let engines = engines(common, &chosen);
    eprintln!("{}", length(&cells, engines.len(), settings.runs));
    let out = common.out.clone().unwrap_or_else(|| zlink_build::target_dir().join("bench").join(usual.name));
    let plan = Plan { name: usual.name, engines: &engines, settings: &settings, environment, tracer };
    let keep = |so_far: &SuiteResult| {
        if let Err(why) = report::write_json(so_far, &out) {
            eprintln!("{why}");
        }
    };
    let result = plan.run(cells, keep, |so_far| conclude(so_far).short());
    let conclusion = conclude(&result);
    let text = report::markdown(&result, baseline.as_ref()) + &conclusion.text;
    print(&text);
    let kept = conclusion.kept;
    report::write(result.clone(), baseline.as_ref(), text, conclusion.judged, &out)?;
    eprintln!("report: {}", out.join("report.md").display());
    if let Some(name) = &common.record {
        eprintln!("record: {}", report::record(&result, name)?.display());
    }
    Ok(kept)
}

fn list(cells: &[Cell], engines: usize, runs: usize) {
    for cell in cells {
        print(&format!("{cell}\n"));
    }
    print(&format!("{}\n", length(cells, engines, runs)));
}

/// How much there is to do.
fn length(cells: &[Cell], engines: usize, runs: usize) -> String {
    let seconds = suite::estimate(cells, engines, runs);
    let time = match seconds {
        s if s < 90.0 => format!("{s:.0} seconds"),
        s if s < 5400.0 => format!("{:.0} minutes", s / 60.0),
        s => format!("{:.1} hours", s / 3600.0),
    };
    format!(
        "{} cells, {engines} engines, {runs} runs: about {time} (--duration and --runs shorten it)",
        cells.len()
    )
}

/// The record to compare with: the one that is named, or the usual one if it is there.
///
/// # Errors
///
/// A record that cannot be read.
pub(crate) fn baseline(named: Option<&Path>) -> Result<Option<SuiteResult>, String> {
    let usual: PathBuf = report::records().join("baseline.json");
    match named {
        Some(path) => report::read(path).map(Some),
        None if usual.is_file() => report::read(&usual).map(Some),
        None => Ok(None),
    }
}

fn chosen<'a>(common: &'a Common, usual: &Usual) -> Vec<&'a str> {
    if common.engines.is_empty() {
        usual.engines.to_vec()
    } else {
        common.engines.iter().map(String::as_str).collect()
    }
}

fn engines(common: &Common, chosen: &[&str]) -> Vec<Engine> {
    let mut engines = references(common);
    if chosen.iter().any(|name| name.starts_with("zlink") && *name != "zlink-rs") {
        let library = zlink(common);
        let on_io_threads = Engine {
            name: "zlink-io-thread".into(),
            environment: vec![("ZLINK_DIRECT_IO".into(), "0".into())],
            ..library.clone()
        };
        let with_buffers = Engine { name: "zlink-buffer".into(), api: Some(Api::Buffer), ..library.clone() };
        let all = [library, with_buffers, on_io_threads];
        engines.extend(all.into_iter().filter(|one| chosen.contains(&one.name.as_str())));
    }
    if chosen.contains(&"zlink-rs") {
        let (batching, slow_ns) = (common.batching(), common.slow);
        engines.push(Engine { batching, slow_ns, ..Engine::zlink_rs() });
    }
    engines.extend(common.others.iter().cloned());
    if chosen.contains(&"raw") {
        engines.push(Engine::raw());
    }
    engines
}

/// libzmq, and libzmq again.
pub(crate) fn references(common: &Common) -> Vec<Engine> {
    let again = (!common.no_aa).then(Engine::reference_again);
    std::iter::once(Engine::reference()).chain(again).collect()
}

/// zlink's library, as the options say.
pub(crate) fn zlink(common: &Common) -> Engine {
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
    Engine { batching: common.batching(), slow_ns: common.slow, ..Engine::new("zlink", kind) }
}
