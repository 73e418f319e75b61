//! The guard: fails when a ratio to libzmq is worse than a threshold allows.

use std::fmt;

use crate::cell::{Cell, Kind, Mechanism, Pattern, Pin, Transport, parse_size};
use crate::stats::Metric;
use crate::suite::SuiteResult;

/// One line of a thresholds file: `stream tcp push-pull 64 pin=none rate >= 2.0`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Threshold {
    pub(crate) kind: Kind,
    pub(crate) transport: Transport,
    pub(crate) pattern: Pattern,
    pub(crate) size: usize,
    pub(crate) pin: Pin,
    pub(crate) mechanism: Mechanism,
    pub(crate) metric: Metric,
    /// Whether the ratio has to be at least `limit`; at most otherwise.
    pub(crate) at_least: bool,
    pub(crate) limit: f64,
}

impl Threshold {
    pub(crate) fn cell(&self, seconds: f64) -> Cell {
        let cell = Cell::new(self.kind, self.transport, self.pattern, self.size, self.pin, seconds);
        match self.mechanism {
            Mechanism::Null => cell,
            Mechanism::Curve => cell.with_curve(),
        }
    }

    fn is_about(&self, cell: &Cell) -> bool {
        (self.kind, self.transport, self.pattern, self.size, self.pin, self.mechanism)
            == (cell.kind, cell.transport, cell.pattern, cell.size, cell.pin, cell.mechanism)
    }

    /// The limit, moved by `noise` to the side that forgives.
    fn widened(&self, noise: f64) -> f64 {
        if self.at_least { self.limit / (1.0 + noise) } else { self.limit * (1.0 + noise) }
    }

    fn holds(&self, ratio: f64, noise: f64) -> bool {
        let limit = self.widened(noise);
        if self.at_least { ratio >= limit } else { ratio <= limit }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.at_least { ">=" } else { "<=" };
        write!(f, "{} {} {sign} {}", self.cell(1.0), self.metric.name(), self.limit)
    }
}

/// Reads a thresholds file. `#` starts a comment; empty lines are skipped.
pub(crate) fn parse(text: &str) -> Result<Vec<Threshold>, String> {
    let mut thresholds = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            let threshold = parse_line(line).map_err(|why| format!("line {}: {why}", index + 1))?;
            thresholds.push(threshold);
        }
    }
    if thresholds.is_empty() {
        return Err("there is no threshold in the file".into());
    }
    Ok(thresholds)
}

fn parse_line(line: &str) -> Result<Threshold, String> {
    fn value<T: clap::ValueEnum>(word: &str) -> Result<T, String> {
        T::from_str(word, false).map_err(|_| format!("`{word}` is not known"))
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let (mechanism, words) = match words.as_slice() {
        [first @ .., "curve", metric, sign, limit] => {
            (Mechanism::Curve, [first, &[*metric, *sign, *limit]].concat())
        }
        all => (Mechanism::Null, all.to_vec()),
    };
    let [kind, transport, pattern, size, pin, metric, sign, limit] = words.as_slice() else {
        return Err("expected: KIND TRANSPORT PATTERN SIZE pin=PIN [curve] METRIC <=|>= RATIO".into());
    };
    let kind = match *kind {
        "roundtrip" => Kind::RoundTrip,
        "stream" => Kind::Stream,
        "connect" => Kind::Connect,
        other => return Err(format!("`{other}` is neither roundtrip nor stream nor connect")),
    };
    let pattern: Pattern = value(pattern)?;
    if !pattern.allows(kind) {
        return Err(format!("{} has no {}", pattern.name(), kind.name()));
    }
    let metric = Metric::ALL
        .into_iter()
        .find(|known| known.name() == *metric)
        .ok_or_else(|| format!("`{metric}` is not a metric"))?;
    let is_latency = !matches!(metric, Metric::Rate | Metric::Cpu | Metric::Switches | Metric::Rss);
    if is_latency && kind != Kind::RoundTrip {
        return Err(format!("a {} has no {}", kind.name(), metric.name()));
    }
    let limit: f64 = limit.parse().map_err(|_| format!("`{limit}` is not a number"))?;
    if !(limit.is_finite() && limit > 0.0) {
        return Err("a ratio is above 0".into());
    }
    Ok(Threshold {
        kind,
        transport: value(transport)?,
        pattern,
        size: parse_size(size)?,
        mechanism,
        pin: value(pin.strip_prefix("pin=").ok_or("the fifth word is pin=none, pin=0 or pin=split")?)?,
        metric,
        at_least: match *sign {
            ">=" => true,
            "<=" => false,
            other => return Err(format!("`{other}` is neither >= nor <=")),
        },
        limit,
    })
}

/// The cells the thresholds speak of, each once, in the order of the file.
pub(crate) fn cells(thresholds: &[Threshold], seconds: f64) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for threshold in thresholds {
        let cell = threshold.cell(seconds);
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    }
    cells
}

/// One line a threshold: whether it holds for `engine`, and the figures.
pub(crate) fn judge(thresholds: &[Threshold], result: &SuiteResult, engine: &str) -> Vec<(bool, String)> {
    thresholds
        .iter()
        .map(|threshold| {
            let cell = result.cells.iter().find(|result| threshold.is_about(&result.cell));
            let ratio = cell.and_then(|result| result.ratio(engine, threshold.metric));
            // Without a second measurement of the reference nothing is forgiven.
            let noise = cell.and_then(|cell| cell.noise(threshold.metric)).unwrap_or(0.0);
            match ratio {
                Some(ratio) => {
                    let text = format!(
                        "{threshold}: {ratio:.3} (limit with noise of {:.1} %: {:.3})",
                        noise * 100.0,
                        threshold.widened(noise)
                    );
                    (threshold.holds(ratio, noise), text)
                }
                None => (false, format!("{threshold}: no result")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    #[test]
    fn a_thresholds_file_is_read_line_by_line() {
        let text = "# guard\n\nstream tcp push-pull 64 pin=none rate >= 2.0 # from 2.3\n\
                    roundtrip ipc req-rep 1K pin=0 p99.9 <= 0.7\n";
        let thresholds = parse(text).expect("the file is well formed");
        assert_eq!(thresholds.len(), 2);
        assert_eq!(thresholds[0].metric, Metric::Rate);
        assert!(thresholds[0].at_least);
        assert_eq!(thresholds[1].size, 1024);
        assert_eq!(thresholds[1].pin, Pin::Zero);
        assert_eq!(thresholds[1].metric, Metric::P999);
        assert!(!thresholds[1].at_least);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_refused_with_its_number() {
        for bad in [
            "",
            "stream tcp push-pull 64 pin=none rate >=",
            "flood tcp push-pull 64 pin=none rate >= 2",
            "stream udp push-pull 64 pin=none rate >= 2",
            "stream tcp req-rep 64 pin=none rate >= 2",
            "stream tcp push-pull 64 pin=none p50 <= 2",
            "stream tcp push-pull 64 none rate >= 2",
            "stream tcp push-pull 64 pin=none rate = 2",
            "stream tcp push-pull 64 pin=none rate >= -1",
            "stream tcp push-pull 64 pin=none rate >= nan",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let error = parse("# one\nnonsense").expect_err("the second line is none");
        assert!(error.starts_with("line 2:"), "{error}");
    }

    #[test]
    fn a_ratio_behind_its_threshold_fails_and_noise_widens_the_limit() {
        let line = |limit| format!("stream tcp push-pull 64 pin=none rate >= {limit}");
        // In the sample the fast engine has three times libzmq's rate, and the noise is 10 %.
        let passes = |limit: f64| {
            let thresholds = parse(&line(limit)).expect("the line is well formed");
            judge(&thresholds, &sample(), "fast")[0].0
        };
        assert!(passes(2.9));
        assert!(passes(3.2));
        assert!(!passes(3.4));
    }

    #[test]
    fn an_engine_without_a_result_does_not_pass() {
        let thresholds = parse("stream tcp push-pull 64 pin=none rate >= 0.1").expect("well formed");
        let judged = judge(&thresholds, &sample(), "broken");
        assert!(!judged[0].0);
        assert!(judged[0].1.ends_with("no result"), "{}", judged[0].1);
    }

    #[test]
    fn a_cell_named_twice_is_run_once() {
        let text = "stream tcp push-pull 64 pin=none rate >= 2\nstream tcp push-pull 64 pin=none cpu <= 1";
        assert_eq!(cells(&parse(text).expect("well formed"), 0.1).len(), 1);
    }
}
