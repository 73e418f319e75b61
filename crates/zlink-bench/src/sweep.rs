//! Which batching options measure best, size by size, and whether batching pays.

use crate::cell::{Kind, Transport};
use crate::cli::{Common, SweepOptions};
use crate::engine::Engine;
use crate::harness::Batching;
use crate::measure::{Conclusion, Usual, measure_with, references, zlink};
use crate::report::number;
use crate::scenario::Scenario;
use crate::stats::Metric;
use crate::suite::{CellResult, SuiteResult};

/// Every message is tried at once.
const NEVER: &str = "never";
/// The default.
const ADAPTIVE: &str = "adaptive";

/// A gain of less than this is not worth an option, however little the A/A rows differ.
const WORTH: f64 = 0.05;

/// Measures libzmq, zlink as it is, without batching, and with each combination of thresholds, and says for each
/// cell what came out best.
///
/// # Errors
///
/// That nothing could be tried.
pub(crate) fn sweep(sweep: &SweepOptions) -> Result<bool, String> {
    let selection = &sweep.options.selection;
    let kinds = if selection.kind.is_empty() { vec![Kind::Stream] } else { selection.kind.clone() };
    let mut cells = Vec::new();
    for kind in kinds {
        let mut scenario = selection.scenario(kind);
        if selection.transport.is_empty() {
            scenario.transports = vec![Transport::Tcp];
        }
        if selection.size.is_empty() {
            scenario.sizes = vec![64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10];
        }
        cells.extend(Scenario::cells(&scenario)?);
    }
    let engines = |common: &Common, _: &[&str]| variants(sweep, common);
    let conclude =
        |result: &SuiteResult| Conclusion { text: summary(result), ..Conclusion::of_comparison(result) };
    measure_with(cells, &sweep.options, &Usual::new("sweep", 5), engines, conclude)
}

fn variants(sweep: &SweepOptions, common: &Common) -> Vec<Engine> {
    let library = zlink(common);
    let variant = |name: String, batching: Batching| Engine { name, batching, ..library.clone() };
    let mode = |mode| Batching { mode: Some(mode), ..Batching::default() };
    let mut engines = references(common);
    engines.push(variant(NEVER.into(), mode(0)));
    engines.push(variant(ADAPTIVE.into(), mode(-1)));
    for &bytes in &sweep.try_bytes {
        for &messages in &sweep.try_messages {
            for &timeout in &sweep.try_timeout {
                let batching = Batching {
                    mode: Some(1),
                    timeout_us: i32::try_from(timeout).ok(),
                    messages: Some(messages),
                    bytes: i32::try_from(bytes).ok(),
                };
                let limit = if messages > 0 { format!(", {messages} messages") } else { String::new() };
                let bytes = crate::cell::format_size(bytes);
                engines.push(variant(format!("{bytes}, {timeout} µs{limit}"), batching));
            }
        }
    }
    engines
}

/// What came out best in one cell.
#[derive(Debug, PartialEq)]
struct Finding {
    /// The variant that always gathers and measured best.
    best: String,
    /// How many times better than without batching the better of adaptive and `best` is.
    over_never: f64,
    /// How many times better than the default `best` is.
    over_adaptive: f64,
    /// How much more a gain has to be: the A/A noise, and no less than [`WORTH`].
    noise: f64,
}

impl Finding {
    fn of(one: &CellResult) -> Option<Self> {
        let metric = Metric::main_of(one.cell.kind);
        let figure = |engine: &str| metric.median(one.row(engine)?.complete()?).filter(|value| *value > 0.0);
        // As a speed, so that more is better whatever the metric.
        let speed = |engine: &str| {
            figure(engine).map(|value| if metric.lower_is_better() { 1.0 / value } else { value })
        };
        let (never, adaptive) = (speed(NEVER)?, speed(ADAPTIVE)?);
        let tried = one.rows.iter().map(|row| row.engine.as_str()).filter(|name| name.contains(" µs"));
        let (best, most) =
            tried.filter_map(|name| Some((name, speed(name)?))).max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Self {
            best: best.into(),
            over_never: most.max(adaptive) / never,
            over_adaptive: most / adaptive,
            noise: one.noise(metric).unwrap_or(0.0).max(WORTH),
        })
    }

    /// Whether any batching is better than none, by more than the noise.
    fn pays(&self) -> bool {
        self.over_never > 1.0 + self.noise
    }

    /// What to set; nothing if the default is as good, noise considered.
    fn setting(&self) -> Option<&str> {
        (self.over_adaptive > 1.0 + self.noise).then_some(self.best.as_str())
    }
}

fn summary(result: &SuiteResult) -> String {
    let mut text = String::from(
        "\n## What to set\n\n\
         \"Best\" is the best of several, so it is flattered by about the noise: a gain counts only beyond that, and beyond 5 %.\n\n\
         | cell | metric | never | adaptive | best that always gathers | best ÷ adaptive | batching ÷ never \
         | has to be beyond | batching pays | set |\n|---|---|--:|--:|---|--:|--:|--:|---|---|\n",
    );
    for one in &result.cells {
        let metric = Metric::main_of(one.cell.kind);
        let Some(finding) = Finding::of(one) else {
            text.push_str(&format!(
                "| {} | {} | no result |  |  |  |  |  |  |  |\n",
                one.cell,
                metric.name()
            ));
            continue;
        };
        let figure = |engine: &str| number(one.row(engine).and_then(|row| metric.median(row.complete()?)));
        text.push_str(&format!(
            "| {} | {} | {} | {} | {}: {} | {:.2}× | {:.2}× | {:.1} % | {} | {} |\n",
            one.cell,
            metric.name(),
            figure(NEVER),
            figure(ADAPTIVE),
            finding.best,
            figure(&finding.best),
            finding.over_adaptive,
            finding.over_never,
            finding.noise * 100.0,
            if finding.pays() { "yes" } else { "no" },
            finding.setting().unwrap_or("the default"),
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;
    use crate::stats::tests::figures;
    use crate::suite::Row;

    /// Rates, or times, of never, adaptive and two thresholds; the noise is that of the sample, 10 % and 11 %.
    fn cell(index: usize, values: [u64; 4]) -> CellResult {
        let mut one = sample().cells[index].clone();
        let is_timed = one.cell.kind.has_latency();
        for (name, value) in [NEVER, ADAPTIVE, "4K, 0 µs", "64K, 0 µs"].into_iter().zip(values) {
            let run = figures(value as f64, is_timed.then_some(value));
            one.rows.push(Row { engine: name.into(), runs: vec![run], ..one.rows[0].clone() });
        }
        one
    }

    fn finding(index: usize, values: [u64; 4]) -> Finding {
        Finding::of(&cell(index, values)).expect("all have a result")
    }

    #[test]
    fn a_threshold_is_set_if_it_beats_the_default_by_more_than_the_noise() {
        let clear = finding(0, [100, 200, 210, 300]);
        assert_eq!(clear.setting(), Some("64K, 0 µs"));
        assert!(clear.pays());
        let noise = finding(0, [100, 200, 215, 190]);
        assert_eq!((noise.best.as_str(), noise.setting()), ("4K, 0 µs", None));
    }

    #[test]
    fn batching_does_not_pay_where_none_is_as_good() {
        assert!(!finding(0, [100, 100, 104, 90]).pays());
        assert!(finding(0, [100, 150, 104, 90]).pays());
    }

    #[test]
    fn where_less_is_better_the_lowest_is_best() {
        let trips = finding(1, [1000, 1000, 4000, 800]);
        assert_eq!(trips.setting(), Some("64K, 0 µs"));
        assert!((trips.over_adaptive - 1.25).abs() < 1e-12);
    }

    #[test]
    fn a_cell_without_a_result_is_shown_as_such() {
        let mut result = sample();
        assert!(summary(&result).contains("no result"));
        result.cells = vec![cell(0, [100, 200, 210, 300])];
        assert!(summary(&result).contains("| yes | 64K, 0 µs |"), "{}", summary(&result));
    }
}
