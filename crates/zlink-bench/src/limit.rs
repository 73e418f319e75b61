//! Thresholds and targets: scenarios with what their figures have to keep to.
//!
//! A line reads `stream tcp push-pull 64 : rate >= 2.0, cpu <= 0.35`: a scenario ([`crate::scenario`]), a
//! colon, and limits. A number is a ratio of medians to libzmq in the same run; with the name of another
//! engine after it, as `raw`, a ratio to that one; with `absolute` the figure itself, in the unit of its metric.
//! `for NAME` at the end holds the engine of that name to the limit rather than zlink.

use std::fmt;

use crate::cell::{Cell, Kind, Pattern, Pin, Transport};
use crate::engine::{ENGINES, REFERENCE};
use crate::scenario::{self, unique};
use crate::stats::Metric;
use crate::suite::{CellResult, SuiteResult};

/// What a number is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Against {
    /// The same metric of the engine with this name.
    Engine(String),
    Nothing,
}

/// What one metric of one cell has to keep to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limit {
    pub(crate) cell: Cell,
    pub(crate) metric: Metric,
    /// Whether the value has to be at least `number`; at most otherwise.
    pub(crate) at_least: bool,
    pub(crate) number: f64,
    pub(crate) against: Against,
    /// The engine that has to keep to it, if it is not the one that is judged.
    pub(crate) engine: Option<String>,
}

/// How a limit was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    /// Behind, but by no more than two measurements of libzmq lie apart.
    WithinNoise,
    Missed,
    NoResult,
}

/// A limit with the figures it was judged by.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) limit: Limit,
    pub(crate) value: Option<f64>,
    /// Of the same cell and metric, by the A/A row; 0 if there is none.
    pub(crate) noise: f64,
    pub(crate) verdict: Verdict,
}

impl Verdict {
    pub(crate) fn passes(self) -> bool {
        matches!(self, Self::Met | Self::WithinNoise)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::WithinNoise => "within noise",
            Self::Missed => "**fell short**",
            Self::NoResult => "**no result**",
        }
    }
}

impl Limit {
    /// At least libzmq's throughput, or at most its p99 where times are what `cell` is about.
    pub(crate) fn not_behind_libzmq(cell: Cell) -> Self {
        let timed = cell.kind.has_latency();
        Self {
            metric: if timed { Metric::P99 } else { Metric::main_of(cell.kind) },
            at_least: !timed && cell.kind != Kind::Idle,
            cell,
            number: 1.0,
            against: Against::Engine(REFERENCE.into()),
            engine: None,
        }
    }

    /// The number, moved by `noise` to the side that forgives.
    fn widened(&self, noise: f64) -> f64 {
        if self.at_least { self.number / (1.0 + noise) } else { self.number * (1.0 + noise) }
    }

    fn holds(&self, value: f64, noise: f64) -> bool {
        let number = self.widened(noise);
        if self.at_least { value >= number } else { value <= number }
    }

    fn value(&self, result: &CellResult, engine: &str) -> Option<f64> {
        match &self.against {
            Against::Engine(other) => result.ratio_to(engine, other, self.metric),
            Against::Nothing => self.metric.median(result.row(engine)?.complete()?),
        }
    }

    fn judge(&self, result: &SuiteResult, engine: &str) -> Judged {
        let engine = self.engine.as_deref().unwrap_or(engine);
        let cell = result.cell(&self.cell);
        // Without a second measurement of the reference nothing is forgiven.
        let noise = cell.and_then(|cell| cell.noise(self.metric)).unwrap_or(0.0);
        let value = cell.and_then(|cell| self.value(cell, engine));
        let verdict = match value {
            None => Verdict::NoResult,
            Some(value) if self.holds(value, 0.0) => Verdict::Met,
            Some(value) if self.holds(value, noise) => Verdict::WithinNoise,
            Some(_) => Verdict::Missed,
        };
        Judged { limit: self.clone(), value, noise, verdict }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.at_least { ">=" } else { "<=" };
        write!(f, "{} : {} {sign} {}", self.cell, self.metric.name(), self.number)?;
        match &self.against {
            Against::Engine(name) if name == REFERENCE => {}
            Against::Engine(name) => write!(f, " {name}")?,
            Against::Nothing => f.write_str(" absolute")?,
        }
        match &self.engine {
            Some(name) => write!(f, " for {name}"),
            None => Ok(()),
        }
    }
}

/// As one line of a gate's output.
impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.verdict.name(), self.limit)?;
        match self.value {
            None => Ok(()),
            Some(value) => write!(
                f,
                ", measured {value:.3} (limit with noise of {:.1} %: {:.3})",
                self.noise * 100.0,
                self.limit.widened(self.noise)
            ),
        }
    }
}

/// Reads a file of limits. `#` starts a comment; empty lines are skipped.
///
/// # Errors
///
/// The number of the line that makes no sense, and why.
pub(crate) fn parse(text: &str) -> Result<Vec<Limit>, String> {
    let mut limits = Vec::new();
    for (number, line) in scenario::lines(text) {
        limits.extend(parse_line(line).map_err(|why| format!("line {number}: {why}"))?);
    }
    if limits.is_empty() {
        return Err("there is no threshold in the file".into());
    }
    Ok(limits)
}

fn parse_line(line: &str) -> Result<Vec<Limit>, String> {
    let (scenario, limits) = line.split_once(':').ok_or("expected: SCENARIO : METRIC <=|>= NUMBER, ..")?;
    let cells = scenario::parse(scenario)?.cells()?;
    let mut all = Vec::new();
    for text in limits.split(',') {
        let limit = parse_limit(text)?;
        for cell in &cells {
            if !limit.metric.belongs_to(cell.kind) {
                return Err(format!("a {} has no {}", cell.kind.name(), limit.metric.name()));
            }
            all.push(Limit { cell: cell.clone(), ..limit.clone() });
        }
    }
    Ok(all)
}

/// Reads a limit, of no cell in particular.
fn parse_limit(text: &str) -> Result<Limit, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (words, engine) = match words.as_slice() {
        [words @ .., "for", engine] => (words, Some((*engine).to_owned())),
        words => (words, None),
    };
    let (metric, sign, number, against) = match words {
        [metric, sign, number] => (metric, sign, number, Against::Engine(REFERENCE.into())),
        [metric, sign, number, "absolute"] => (metric, sign, number, Against::Nothing),
        [metric, sign, number, name] if ENGINES.contains(name) => {
            (metric, sign, number, Against::Engine((*name).to_owned()))
        }
        _ => {
            let text = text.trim();
            return Err(format!("`{text}` is not METRIC <=|>= NUMBER [ENGINE|absolute] [for ENGINE]"));
        }
    };
    let metric = Metric::ALL
        .into_iter()
        .find(|known| known.name() == *metric)
        .ok_or_else(|| format!("`{metric}` is not a metric"))?;
    let at_least = match *sign {
        ">=" => true,
        "<=" => false,
        other => return Err(format!("`{other}` is neither >= nor <=")),
    };
    let number: f64 = number.parse().map_err(|_| format!("`{number}` is not a number"))?;
    if !(number.is_finite() && number > 0.0) {
        return Err("a limit is above 0".into());
    }
    if let Some(name) = engine.as_deref().filter(|name| !ENGINES.contains(name)) {
        return Err(format!("there is no engine `{name}`"));
    }
    let cell = Cell::new(Kind::Stream, Transport::Tcp, Pattern::PushPull, 64, Pin::None);
    Ok(Limit { cell, metric, at_least, number, against, engine })
}

/// The cells the limits speak of, each once, in the order of the file.
pub(crate) fn cells(limits: &[Limit]) -> Vec<Cell> {
    unique(limits.iter().map(|limit| limit.cell.clone()).collect())
}

/// How `engine` keeps to each limit.
pub(crate) fn judge(limits: &[Limit], result: &SuiteResult, engine: &str) -> Vec<Judged> {
    limits.iter().map(|limit| limit.judge(result, engine)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    #[test]
    fn a_file_of_limits_is_read_line_by_line() {
        let text = "# guard\n\nstream tcp push-pull 64 : rate >= 2.0 # from 2.3\n\
                    roundtrip ipc req-rep 1K pin=0 : p99.9 <= 0.7, p50 <= 1.5 raw\n\
                    connect tcp req-rep 64 : growth <= 1024 absolute";
        let limits = parse(text).expect("the file is well formed");
        assert_eq!(limits.len(), 4);
        assert_eq!((limits[0].metric, limits[0].at_least), (Metric::Rate, true));
        assert_eq!((limits[1].cell.size, limits[1].cell.pin), (1024, Pin::Zero));
        assert_eq!((limits[1].metric, limits[1].at_least), (Metric::P999, false));
        assert_eq!(limits[2].against, Against::Engine("raw".into()));
        assert_eq!(limits[3].against, Against::Nothing);
    }

    #[test]
    fn a_line_with_lists_is_a_limit_for_each_combination() {
        let limits = parse("stream tcp,ipc push-pull 32,64 : rate >= 5, cpu <= 0.35").expect("well formed");
        assert_eq!(limits.len(), 8);
        assert_eq!(cells(&limits).len(), 4);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_refused_with_its_number() {
        for bad in [
            "",
            "stream tcp push-pull 64 : rate >=",
            "stream tcp push-pull 64 rate >= 2",
            "flood tcp push-pull 64 : rate >= 2",
            "stream tcp req-rep 64 : rate >= 2",
            "stream tcp push-pull 64 : p50 <= 2",
            "stream tcp push-pull 64 : rate = 2",
            "stream tcp push-pull 64 : rate >= -1",
            "stream tcp push-pull 64 : rate >= nan",
            "stream tcp push-pull 64 : rate >= 1 nanomsg",
            "stream tcp push-pull 64 : rate >= 1 for nanomsg",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let error = parse("# one\nnonsense").expect_err("the second line is none");
        assert!(error.starts_with("line 2:"), "{error}");
    }

    #[test]
    fn a_printed_limit_reads_back_as_the_same_limit() {
        for line in [
            "stream tcp push-pull 64B pin=none : rate >= 2",
            "roundtrip ws pair 1K pin=0 idle=1000us : p99 <= 1.5 raw",
            "idle tcp push-pull 64B pin=none peers=1000 : growth <= 4096 absolute",
            "stream tcp pair 64B pin=none sockets=2 : rate >= 1 zlink for zlink-rs",
        ] {
            let limits = parse(line).expect(line);
            assert_eq!(limits[0].to_string(), line);
        }
    }

    fn verdict(line: &str, engine: &str) -> Verdict {
        judge(&parse(line).expect("the line is well formed"), &sample(), engine)[0].verdict
    }

    #[test]
    fn what_is_not_behind_libzmq_has_its_rate_or_its_p99() {
        let shown = |line: &str| {
            let cells = scenario::parse_suite(line).expect("well formed");
            Limit::not_behind_libzmq(cells[0].clone()).to_string()
        };
        assert_eq!(shown("stream tcp pair 64"), "stream tcp pair 64B pin=none : rate >= 1");
        assert_eq!(shown("roundtrip tcp pair 64"), "roundtrip tcp pair 64B pin=none : p99 <= 1");
        assert!(shown("idle tcp push-pull 64 peers=9").ends_with("peers=9 : growth <= 1"));
    }

    #[test]
    fn a_ratio_behind_its_limit_falls_short_and_noise_widens_the_limit() {
        // In the sample the fast engine has three times libzmq's rate, and the noise is 10 %.
        let line = |number| format!("stream tcp push-pull 64 : rate >= {number}");
        assert_eq!(verdict(&line(2.9), "fast"), Verdict::Met);
        assert_eq!(verdict(&line(3.2), "fast"), Verdict::WithinNoise);
        assert_eq!(verdict(&line(3.4), "fast"), Verdict::Missed);
    }

    #[test]
    fn an_upper_limit_falls_short_above_it() {
        // A quarter of libzmq's p50, and a noise of a ninth.
        let line = |number| format!("roundtrip tcp req-rep 64 : p50 <= {number}");
        assert_eq!(verdict(&line(0.25), "fast"), Verdict::Met);
        assert_eq!(verdict(&line(0.23), "fast"), Verdict::WithinNoise);
        assert_eq!(verdict(&line(0.2), "fast"), Verdict::Missed);
    }

    #[test]
    fn an_absolute_limit_is_about_the_figure_itself() {
        // 4096 and 2048 KiB in the sample.
        assert_eq!(verdict("stream tcp push-pull 64 : rss <= 6144 absolute", "fast"), Verdict::Met);
        assert_eq!(verdict("stream tcp push-pull 64 : rss <= 5000 absolute", "fast"), Verdict::Missed);
    }

    #[test]
    fn without_a_result_there_is_no_pass() {
        let limits = parse("stream tcp push-pull 64 : rate >= 0.1").expect("well formed");
        let judged = &judge(&limits, &sample(), "broken")[0];
        assert_eq!(judged.verdict, Verdict::NoResult);
        assert!(!judged.verdict.passes());
        assert_eq!(verdict("stream tcp push-pull 64 : rate >= 0.1 raw", "fast"), Verdict::NoResult);
    }
}
