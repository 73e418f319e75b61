//! Medians, ratios and noise.

use serde::{Deserialize, Serialize};

use crate::cell::Kind;
use crate::runner::Figures;

/// Where the curve of a latency distribution is known, as parts of 1.
pub(crate) const QUANTILES: [f64; 14] =
    [0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1.0];

/// The middle value; the mean of the two middle ones if their number is even.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// The quantities a ratio or a threshold can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Metric {
    Rate,
    P50,
    P90,
    P99,
    P999,
    Max,
    Cpu,
    Switches,
    Rss,
    Growth,
}

impl Metric {
    pub(crate) const ALL: [Self; 10] = [
        Self::Rate,
        Self::P50,
        Self::P90,
        Self::P99,
        Self::P999,
        Self::Max,
        Self::Cpu,
        Self::Switches,
        Self::Rss,
        Self::Growth,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Max => "max",
            Self::Cpu => "cpu",
            Self::Switches => "switches",
            Self::Rss => "rss",
            Self::Growth => "growth",
        }
    }

    /// Whether a lower value is the better one.
    pub(crate) fn lower_is_better(self) -> bool {
        self != Self::Rate
    }

    /// Whether runs of this kind have it.
    pub(crate) fn belongs_to(self, kind: Kind) -> bool {
        match self {
            Self::Rate => kind != Kind::Idle,
            Self::P50 | Self::P90 | Self::P99 | Self::P999 | Self::Max => kind.has_latency(),
            Self::Cpu | Self::Switches | Self::Rss | Self::Growth => true,
        }
    }

    /// What runs of this kind are mainly about.
    pub(crate) fn main_of(kind: Kind) -> Self {
        match kind {
            Kind::RoundTrip | Kind::Paced => Self::P50,
            Kind::Burst => Self::P99,
            Kind::Stream | Kind::FanOut | Kind::Connect => Self::Rate,
            Kind::Idle => Self::Growth,
        }
    }

    /// The value of one run, in the units of [`Figures`]; RSS and its growth of all processes together, in KiB.
    fn of(self, figures: &Figures) -> Option<f64> {
        let latency = figures.latency.as_ref();
        let nanos = |value: u64| value as f64;
        match self {
            Self::Rate => Some(figures.rate),
            Self::P50 => latency.map(|latency| nanos(latency.p50)),
            Self::P90 => latency.map(|latency| nanos(latency.p90)),
            Self::P99 => latency.map(|latency| nanos(latency.p99)),
            Self::P999 => latency.map(|latency| nanos(latency.p999)),
            Self::Max => latency.map(|latency| nanos(latency.max)),
            Self::Cpu => Some(figures.cpu_ns),
            Self::Switches => Some(figures.switches),
            Self::Rss => Some(figures.peak_rss_kib.iter().sum::<u64>() as f64),
            // Memory given back is no gain to be compared.
            Self::Growth => Some(figures.growth_kib.iter().sum::<i64>().max(0) as f64),
        }
    }

    /// The median over `runs`.
    pub(crate) fn median(self, runs: &[Figures]) -> Option<f64> {
        let values: Vec<f64> = runs.iter().filter_map(|figures| self.of(figures)).collect();
        median(&values)
    }

    /// The median over `runs` divided by that over `reference`.
    pub(crate) fn ratio(self, runs: &[Figures], reference: &[Figures]) -> Option<f64> {
        let below = self.median(reference).filter(|value| *value > 0.0)?;
        Some(self.median(runs)? / below)
    }
}

/// How far a ratio that should be 1 is from it, whichever side: 0.05 for 1.05 and for 1/1.05.
pub(crate) fn noise(ratio: f64) -> f64 {
    if ratio > 0.0 { ratio.max(1.0 / ratio) - 1.0 } else { f64::INFINITY }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::worker::Latency;

    pub(crate) fn figures(rate: f64, p50: Option<u64>) -> Figures {
        Figures {
            rate,
            latency: p50.map(|p50| Latency {
                p50,
                p90: p50 * 2,
                p99: p50 * 3,
                p999: p50 * 4,
                max: p50 * 5,
                curve: Vec::new(),
            }),
            cpu_ns: 100.0,
            switches: 0.5,
            peak_rss_kib: vec![4096, 2048],
            growth_kib: vec![128, -64],
            version: "4.3.5".into(),
        }
    }

    #[test]
    fn the_median_is_the_middle_value_or_the_mean_of_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 100.0]), Some(3.5));
        assert_eq!(median(&[f64::NAN, 2.0]), Some(2.0));
    }

    #[test]
    fn a_ratio_compares_medians_and_needs_a_reference() {
        let fast = [figures(30.0, Some(10)), figures(90.0, Some(20)), figures(20.0, Some(5))];
        let slow = [figures(10.0, Some(40))];
        assert_eq!(Metric::Rate.ratio(&fast, &slow), Some(3.0));
        assert_eq!(Metric::P50.ratio(&fast, &slow), Some(0.25));
        assert_eq!(Metric::Rss.ratio(&fast, &slow), Some(1.0));
        assert_eq!(Metric::Rate.ratio(&fast, &[]), None);
        assert_eq!(Metric::P50.ratio(&[figures(1.0, None)], &slow), None);
        assert_eq!(Metric::Rate.ratio(&fast, &[figures(0.0, None)]), None);
    }

    #[test]
    fn quantiles_rise_from_the_lowest_to_the_highest() {
        assert!(QUANTILES.is_sorted());
        assert_eq!((QUANTILES[0], QUANTILES[QUANTILES.len() - 1]), (0.0, 1.0));
    }

    #[test]
    fn growth_is_that_of_all_processes_and_never_below_nothing() {
        assert_eq!(Metric::Growth.median(&[figures(1.0, None)]), Some(64.0));
        let shrunk = Figures { growth_kib: vec![-10, 4], ..figures(1.0, None) };
        assert_eq!(Metric::Growth.median(&[shrunk]), Some(0.0));
    }

    #[test]
    fn noise_is_the_same_in_both_directions() {
        assert!((noise(1.25) - 0.25).abs() < 1e-12);
        assert!((noise(0.8) - 0.25).abs() < 1e-12);
        assert_eq!(noise(1.0), 0.0);
        assert_eq!(noise(0.0), f64::INFINITY);
    }
}
