//! The tables of a result, as data: a transport and kind each, a row for each cell and engine.

use crate::cell::{Cell, Kind, Transport};
use crate::engine::REFERENCE;
use crate::runner::Figures;
use crate::stats::{Metric, median};
use crate::suite::{CellResult, Row, SuiteResult};

/// One table. The first two columns are text, the others figures.
pub(crate) struct Table {
    pub(crate) transport: Transport,
    pub(crate) kind: Kind,
    pub(crate) head: Vec<&'static str>,
    pub(crate) rows: Vec<Line>,
}

/// A line of a table: as many fields as the head, or fewer where there are no figures.
pub(crate) struct Line {
    /// Empty if it is that of the line above.
    pub(crate) label: String,
    pub(crate) engine: String,
    pub(crate) fields: Vec<String>,
}

/// What a field is made from.
struct Place<'a> {
    one: &'a CellResult,
    row: &'a Row,
    runs: &'a [Figures],
    before: Option<&'a CellResult>,
}

type Column = (&'static str, fn(&Place<'_>) -> String);

/// All tables that have rows, with the change against `baseline` if there is one.
pub(crate) fn tables(result: &SuiteResult, baseline: Option<&SuiteResult>) -> Vec<Table> {
    let mut tables = Vec::new();
    for &transport in Transport::ALL {
        for &kind in Kind::ALL {
            let is_here = |cell: &Cell| cell.transport == transport && cell.kind == kind;
            let cells: Vec<&CellResult> = result.cells.iter().filter(|one| is_here(&one.cell)).collect();
            if !cells.is_empty() {
                tables.push(table(transport, kind, &cells, baseline));
            }
        }
    }
    tables
}

fn table(transport: Transport, kind: Kind, cells: &[&CellResult], baseline: Option<&SuiteResult>) -> Table {
    let counted = cells.iter().any(|one| one.rows.iter().any(|row| row.syscalls.is_some()));
    let columns = columns(kind, counted, baseline.is_some());
    let mut rows = Vec::new();
    for one in cells {
        let before = baseline.and_then(|baseline| baseline.cell(&one.cell));
        for (index, row) in one.rows.iter().enumerate() {
            let label = if index == 0 { one.cell.label() } else { String::new() };
            let fields = match row.complete() {
                Some(runs) => {
                    let place = Place { one, row, runs, before };
                    columns.iter().map(|(_, field)| field(&place)).collect()
                }
                None => vec![match (&row.not_applicable, &row.failure) {
                    (Some(_), _) => "–".into(),
                    (None, Some(why)) => format!("failed: {why}"),
                    (None, None) => "not run".into(),
                }],
            };
            rows.push(Line { label, engine: row.engine.clone(), fields });
        }
    }
    let titles = columns.iter().map(|(title, _)| *title);
    let head = ["cell", "engine"].into_iter().chain(titles).collect();
    Table { transport, kind, head, rows }
}

fn columns(kind: Kind, counted: bool, against_baseline: bool) -> Vec<Column> {
    let latency: &[Column] = &[
        ("p50 µs", |at| micros(at, Metric::P50)),
        ("p90", |at| micros(at, Metric::P90)),
        ("p99", |at| micros(at, Metric::P99)),
        ("p99.9", |at| micros(at, Metric::P999)),
        ("max", |at| micros(at, Metric::Max)),
        ("p50 ÷ libzmq", |at| ratio(at, Metric::P50)),
        ("p99 ÷ libzmq", |at| ratio(at, Metric::P99)),
    ];
    let rate: Column = ("thousand msg/s", |at| number(Metric::Rate.median(at.runs).map(|rate| rate / 1e3)));
    let rates: &[Column] = &[
        ("rate ÷ libzmq", |at| ratio(at, Metric::Rate)),
        ("lowest–highest", |at| spread(at.runs, if at.one.cell.kind == Kind::Connect { 1.0 } else { 1e3 })),
    ];
    let growth: Column = ("growth KiB", |at| number(Metric::Growth.median(at.runs)));
    let mut columns: Vec<Column> = match kind {
        Kind::RoundTrip | Kind::Burst => latency.to_vec(),
        Kind::Paced => [&[rate], latency].concat(),
        Kind::Stream => [&[rate, ("MB/s", megabytes)], rates].concat(),
        Kind::FanOut => [&[rate], rates].concat(),
        Kind::Connect => {
            let rate: Column = ("connections/s", |at| number(Metric::Rate.median(at.runs)));
            [&[rate], rates, &[growth]].concat()
        }
        Kind::Idle => vec![
            growth,
            ("KiB/connection", |at| {
                let connections = at.one.cell.peers as f64;
                number(Metric::Growth.median(at.runs).map(|kib| kib / connections))
            }),
            ("growth ÷ libzmq", |at| ratio(at, Metric::Growth)),
        ],
    };
    if against_baseline {
        columns.push(("÷ baseline", change));
    }
    columns.push(match kind {
        Kind::RoundTrip => ("CPU µs/trip", |at| micros(at, Metric::Cpu)),
        Kind::Connect => ("CPU µs/connection", |at| micros(at, Metric::Cpu)),
        Kind::Idle => ("CPU µs/s", |at| micros(at, Metric::Cpu)),
        _ => ("CPU ns/msg", |at| number(Metric::Cpu.median(at.runs))),
    });
    columns.push(("CPU ÷ libzmq", |at| ratio(at, Metric::Cpu)));
    columns.push(match kind {
        Kind::RoundTrip => ("switches/trip", |at| fine(Metric::Switches.median(at.runs))),
        Kind::Connect => ("switches/connection", |at| fine(Metric::Switches.median(at.runs))),
        Kind::Idle => ("switches/s", |at| fine(Metric::Switches.median(at.runs))),
        _ => ("switches/msg", |at| fine(Metric::Switches.median(at.runs))),
    });
    if counted {
        columns.push(("system calls each", |at| fine(at.row.syscalls)));
    }
    columns.push(("peak RSS MiB", |at| rss(at.runs)));
    columns
}

fn micros(at: &Place<'_>, metric: Metric) -> String {
    number(metric.median(at.runs).map(|nanos| nanos / 1e3))
}

/// Bodies only, of what one receiver gets.
fn megabytes(at: &Place<'_>) -> String {
    number(Metric::Rate.median(at.runs).map(|rate| rate * at.one.cell.size as f64 / 1e6))
}

fn ratio(at: &Place<'_>, metric: Metric) -> String {
    at.one.ratio(&at.row.engine, metric).map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}×"))
}

/// How the ratio to libzmq has changed: figures of two days cannot be compared, ratios can.
fn change(at: &Place<'_>) -> String {
    let metric = Metric::main_of(at.one.cell.kind);
    let then = at.before.and_then(|before| before.ratio(&at.row.engine, metric));
    match (at.one.ratio(&at.row.engine, metric), then) {
        (Some(now), Some(then)) if then > 0.0 && at.row.engine != REFERENCE => format!("{:.2}×", now / then),
        _ => "–".into(),
    }
}

/// The lowest and the highest rate of any run, in units of `unit` a second.
fn spread(runs: &[Figures], unit: f64) -> String {
    let rates = || runs.iter().map(|figures| figures.rate / unit);
    format!("{}–{}", number(rates().reduce(f64::min)), number(rates().reduce(f64::max)))
}

fn fine(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.3}"))
}

/// Each process by itself: bound + connected.
fn rss(runs: &[Figures]) -> String {
    let processes = runs.iter().map(|figures| figures.peak_rss_kib.len()).min().unwrap_or(0);
    let mebibytes = |process: usize| {
        let values: Vec<f64> =
            runs.iter().map(|figures| figures.peak_rss_kib[process] as f64 / 1024.0).collect();
        median(&values).map_or_else(|| "–".into(), |value| format!("{value:.1}"))
    };
    (0..processes).map(mebibytes).collect::<Vec<_>>().join(" + ")
}

/// Three significant digits, but never fewer than all digits before the point.
pub(crate) fn number(value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    fn field<'a>(table: &'a Table, engine: &str, column: &str) -> &'a str {
        let index = table.head.iter().position(|title| *title == column).expect(column);
        let line = table.rows.iter().find(|line| line.engine == engine).expect(engine);
        &line.fields[index - 2]
    }

    #[test]
    fn transports_and_kinds_have_tables_of_their_own_and_those_without_cells_have_none() {
        let places: Vec<_> = tables(&sample(), None).iter().map(|one| (one.transport, one.kind)).collect();
        let expected = [
            (Transport::Tcp, Kind::RoundTrip),
            (Transport::Tcp, Kind::Stream),
            (Transport::Inproc, Kind::RoundTrip),
        ];
        assert_eq!(places, expected);
    }

    #[test]
    fn rows_show_the_ratio_to_libzmq() {
        let tables = tables(&sample(), None);
        assert_eq!(field(&tables[0], "fast", "p50 ÷ libzmq"), "0.25×");
        assert_eq!(field(&tables[1], "fast", "rate ÷ libzmq"), "3.00×");
        assert_eq!(field(&tables[1], "fast", "lowest–highest"), "3.00–3.00");
        assert_eq!(field(&tables[1], "fast", "peak RSS MiB"), "4.0 + 2.0");
    }

    #[test]
    fn rows_have_a_field_for_each_column_or_one_that_says_why_not() {
        for table in tables(&sample(), Some(&sample())) {
            for line in table.rows {
                assert!([1, table.head.len() - 2].contains(&line.fields.len()), "{}", line.engine);
            }
        }
    }

    #[test]
    fn the_change_against_the_baseline_is_that_of_the_ratio_to_libzmq() {
        let now = sample();
        assert!(!tables(&now, None)[1].head.contains(&"÷ baseline"));
        let mut then = sample();
        // Everything was twice as fast that day, libzmq included: nothing has changed.
        for row in &mut then.cells[0].rows {
            row.runs.iter_mut().for_each(|run| run.rate *= 2.0);
        }
        assert_eq!(field(&tables(&now, Some(&then))[1], "fast", "÷ baseline"), "1.00×");
        // The engine alone was slower then.
        then.cells[0].rows[2].runs.iter_mut().for_each(|run| run.rate /= 2.0);
        assert_eq!(field(&tables(&now, Some(&then))[1], "fast", "÷ baseline"), "2.00×");
        then.cells.clear();
        assert_eq!(field(&tables(&now, Some(&then))[1], "fast", "÷ baseline"), "–");
    }

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(number(Some(1234.56)), "1235");
        assert_eq!(number(Some(12.34)), "12.3");
        assert_eq!(number(Some(1.234)), "1.23");
        assert_eq!(number(None), "–");
    }
}
