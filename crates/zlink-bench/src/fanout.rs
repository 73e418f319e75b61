//! What a fan-out costs, compared between cells of one engine: no more than linear in subscribers that match, and the
//! same however many subscriptions do not.

use std::fmt;

use crate::cell::{Cell, Kind, Topics};
use crate::stats::Metric;
use crate::suite::{CellResult, SuiteResult};

/// How much of a difference in CPU time is none, besides the noise: the kernel counts it coarsely.
const TOLERANCE: f64 = 0.1;

/// CPU time for a message in two cells, the second with more subscribers or subscriptions.
#[derive(Debug)]
pub(crate) struct Growth {
    fewer: Cell,
    more: Cell,
    /// Of the second to the first.
    ratio: f64,
    /// What it may be at most.
    limit: f64,
}

impl Growth {
    pub(crate) fn is_allowed(&self) -> bool {
        self.ratio <= self.limit
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_allowed() { "met" } else { "**fell short**" };
        let Self { fewer, more, ratio, limit } = self;
        write!(f, "{verdict}: CPU of {more} is {ratio:.2} times that of {fewer}, at most {limit:.2}")
    }
}

/// All pairs of fan-outs of `engine` that can be compared.
pub(crate) fn growths(result: &SuiteResult, engine: &str) -> Vec<Growth> {
    let fan_outs: Vec<&CellResult> =
        result.cells.iter().filter(|one| one.cell.kind == Kind::FanOut).collect();
    let compare = |fewer: &CellResult, more: &CellResult| {
        let noise = |one: &CellResult| one.noise(Metric::Cpu).unwrap_or(0.0);
        let cost = |one: &CellResult| Metric::Cpu.median(one.row(engine)?.complete()?);
        let linear = match fewer.cell.topics {
            Topics::Never => 1.0,
            _ => more.cell.peers as f64 / fewer.cell.peers as f64,
        };
        Some(Growth {
            ratio: cost(more)? / cost(fewer).filter(|cost| *cost > 0.0)?,
            limit: linear * (1.0 + noise(fewer).max(noise(more)).max(TOLERANCE)),
            fewer: fewer.cell.clone(),
            more: more.cell.clone(),
        })
    };
    let mut growths = Vec::new();
    for (index, more) in fan_outs.iter().enumerate() {
        // With as many subscribers to the topic, and no other subscriptions.
        let without_others = Cell { topics: Topics::Match, ..more.cell.clone() };
        let fewer = fan_outs.iter().find(|one| one.cell.is_same_scenario(&without_others));
        if let (Topics::Crowd, Some(fewer)) = (more.cell.topics, fewer) {
            growths.extend(compare(fewer, more));
        }
        // With the next smaller number of subscribers.
        let alike = |one: &&&CellResult| {
            let as_many = Cell { peers: more.cell.peers, ..one.cell.clone() };
            one.cell.peers < more.cell.peers && as_many.is_same_scenario(&more.cell)
        };
        let before = fan_outs.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, one)| one);
        if let Some(fewer) = before.filter(alike).max_by_key(|one| one.cell.peers) {
            growths.extend(compare(fewer, more));
        }
    }
    growths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;
    use crate::scenario::parse_suite;

    /// Fan-outs with these CPU times; the noise of CPU time is nothing in the sample.
    fn fan_outs(costs: &[(&str, f64)]) -> SuiteResult {
        let mut result = sample();
        let like = result.cells[0].clone();
        let cell = |(what, cost): &(&str, f64)| {
            let mut one = like.clone();
            let cells = parse_suite(&format!("fanout tcp pub-sub 64 {what}"));
            one.cell = cells.expect("well formed").remove(0);
            one.rows.iter_mut().flat_map(|row| &mut row.runs).for_each(|run| run.cpu_ns = *cost);
            one
        };
        result.cells = costs.iter().map(cell).collect();
        result
    }

    fn allowed(costs: &[(&str, f64)]) -> Vec<bool> {
        growths(&fan_outs(costs), "fast").iter().map(Growth::is_allowed).collect()
    }

    #[test]
    fn the_cost_may_grow_as_the_subscribers_do_and_no_faster() {
        let (one, eight) = ("peers=1 topics=match", "peers=8 topics=match");
        assert_eq!(allowed(&[(one, 100.0), (eight, 870.0)]), [true]);
        assert_eq!(allowed(&[(one, 100.0), (eight, 890.0)]), [false]);
    }

    #[test]
    fn subscriptions_that_do_not_match_may_cost_nothing() {
        let (few, many) = ("peers=8 topics=match", "peers=8 topics=crowd");
        assert_eq!(allowed(&[(few, 100.0), (many, 109.0)]), [true]);
        assert_eq!(allowed(&[(few, 100.0), (many, 120.0)]), [false]);
        let (one, eight) = ("peers=1 topics=never", "peers=8 topics=never");
        assert_eq!(allowed(&[(one, 100.0), (eight, 120.0)]), [false]);
    }

    #[test]
    fn each_number_of_subscribers_is_compared_with_the_next_smaller_one() {
        let costs = [1, 100, 8].map(|peers| (format!("peers={peers} topics=all"), peers as f64));
        let costs: Vec<(&str, f64)> = costs.iter().map(|(what, cost)| (what.as_str(), *cost)).collect();
        let pairs: Vec<_> = growths(&fan_outs(&costs), "fast")
            .iter()
            .map(|growth| (growth.fewer.peers, growth.more.peers))
            .collect();
        assert_eq!(pairs, [(8, 100), (1, 8)]);
    }
}
