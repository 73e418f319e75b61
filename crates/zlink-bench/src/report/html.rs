//! Records as one page that needs nothing else: no script, no font, no network.

use std::collections::BTreeMap;

use super::chart::{Axis, Chart, Series};
use super::markdown::facts;
use super::table::{Table, tables};
use crate::cell::{Cell, Kind};
use crate::engine::REFERENCE_AGAIN;
use crate::limit::{Judged, Verdict};
use crate::stats::{Metric, QUANTILES};
use crate::suite::{CellResult, SuiteResult};

/// A full matrix has thousands of cells: nobody would look at that many charts.
const CHARTS_MAX: usize = 48;

/// Of more verdicts than this, only those that are not as they should be are listed.
const VERDICTS_MAX: usize = 500;

const STYLE: &str = include_str!("page.css");

/// Renders results, one after the other, each with how limits were kept in it.
///
/// # Errors
///
/// A chart that could not be drawn.
pub(crate) fn render(
    results: &[(SuiteResult, Vec<Judged>)],
    baseline: Option<&SuiteResult>,
) -> Result<String, String> {
    let names: Vec<&str> = results.iter().map(|(result, _)| result.name.as_str()).collect();
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>zlink-bench: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>zlink-bench</h1>\n",
        escape(&names.join(", "))
    );
    for (result, judged) in results {
        page.push_str(&section(result, baseline, judged)?);
    }
    page.push_str("</body>\n</html>\n");
    Ok(page)
}

fn section(
    result: &SuiteResult,
    baseline: Option<&SuiteResult>,
    judged: &[Judged],
) -> Result<String, String> {
    let mut text = format!("<section>\n<h2>{}</h2>\n", escape(&result.name));
    text.push_str(&format!("<p><code>zlink-bench {}</code></p>\n<p>", escape(&result.command)));
    text.push_str(&escape(&facts(result, baseline).join(" ")));
    text.push_str("</p>\n<ul>\n");
    for (name, about) in &result.engines {
        text.push_str(&format!("<li><b>{}</b>: {}</li>\n", escape(name), escape(about)));
    }
    text.push_str("</ul>\n");
    if !judged.is_empty() {
        text.push_str(&verdicts(judged));
    }
    text.push_str(&charts("Latency distributions", &latency_charts(result))?);
    text.push_str(&charts("Throughput by size", &size_charts(result))?);
    text.push_str(&charts("Scaling by sockets", &scaling_charts(result))?);
    for table in tables(result, baseline) {
        text.push_str(&render_table(&table));
    }
    let failures: Vec<String> = result
        .failures()
        .map(|(cell, row, why)| format!("<li>{}</li>\n", escape(&format!("{}, {cell}: {why}", row.engine))))
        .collect();
    if !failures.is_empty() {
        text.push_str(&format!("<h3>Failed</h3>\n<ul>\n{}</ul>\n", failures.concat()));
    }
    text.push_str("</section>\n");
    Ok(text)
}

fn charts(title: &str, charts: &[Chart]) -> Result<String, String> {
    let drawn: Vec<String> = charts
        .iter()
        .filter_map(|chart| chart.render().transpose())
        .take(CHARTS_MAX)
        .collect::<Result<_, _>>()?;
    if drawn.is_empty() {
        return Ok(String::new());
    }
    let figures: String = drawn.iter().map(|svg| format!("<figure>{svg}</figure>\n")).collect();
    let left_out = match charts.len().saturating_sub(CHARTS_MAX) {
        0 => String::new(),
        count => format!("<p>{count} more have no chart here; their figures are in the tables.</p>\n"),
    };
    Ok(format!("<h3>{title}</h3>\n<div class=\"charts\">\n{figures}</div>\n{left_out}"))
}

/// The lines of all engines but the second libzmq.
fn series(result: &SuiteResult, points: impl Fn(&str) -> Vec<(f64, f64)>) -> Vec<Series> {
    let engines = result.engines.iter().enumerate().filter(|(_, (name, _))| name != REFERENCE_AGAIN);
    engines.map(|(engine, (name, _))| Series { engine, name: name.clone(), points: points(name) }).collect()
}

fn latency_charts(result: &SuiteResult) -> Vec<Chart> {
    let timed = result.cells.iter().filter(|one| one.cell.kind.has_latency());
    timed
        .map(|one| Chart {
            title: format!("{} {}, µs", one.cell.transport.title(), one.cell.label()),
            axis: Axis::Quantile,
            series: series(result, |engine| {
                let curve = one.row(engine).map_or(&[][..], |row| &row.curve);
                let micros = curve.iter().map(|nanos| *nanos as f64 / 1e3);
                QUANTILES.into_iter().zip(micros).collect()
            }),
        })
        .collect()
}

/// Streams of one pair of sockets, thousand messages a second over the size.
fn size_charts(result: &SuiteResult) -> Vec<Chart> {
    let shown = |cell: &Cell| cell.kind == Kind::Stream && cell.sockets == 1;
    let without_size = |cell: &Cell| Cell { size: 0, ..cell.clone() };
    rate_charts(result, Axis::Size, shown, without_size, |cell| cell.size as f64)
}

/// Streams of 64 bytes, or the smallest there are, over the number of sockets.
fn scaling_charts(result: &SuiteResult) -> Vec<Chart> {
    let sizes = || result.cells.iter().filter(|one| one.cell.sockets > 1).map(|one| one.cell.size);
    let size = sizes().find(|size| *size == 64).or_else(|| sizes().min());
    let shown = |cell: &Cell| cell.kind == Kind::Stream && Some(cell.size) == size;
    let without_sockets = |cell: &Cell| Cell { sockets: 1, ..cell.clone() };
    rate_charts(result, Axis::Sockets, shown, without_sockets, |cell| cell.sockets as f64)
}

/// A chart for all cells that are alike but for what lies along the bottom.
fn rate_charts(
    result: &SuiteResult,
    axis: Axis,
    shown: impl Fn(&Cell) -> bool,
    alike: impl Fn(&Cell) -> Cell,
    place: impl Fn(&Cell) -> f64,
) -> Vec<Chart> {
    let mut groups: BTreeMap<Cell, Vec<&CellResult>> = BTreeMap::new();
    for one in result.cells.iter().filter(|one| shown(&one.cell)) {
        let key = Cell { count: 0, warmup: 0, ..alike(&one.cell) };
        groups.entry(key).or_default().push(one);
    }
    let chart = |(key, mut cells): (Cell, Vec<&CellResult>)| {
        cells.sort_by(|a, b| place(&a.cell).total_cmp(&place(&b.cell)));
        let what = match axis {
            Axis::Size => format!("{}, pin {}", key.pattern.name(), key.pin.name()),
            _ => key.label(),
        };
        Chart {
            title: format!("{} {what}, thousand msg/s", key.transport.title()),
            axis,
            series: series(result, |engine| {
                let rate = |one: &&CellResult| {
                    let rate = Metric::Rate.median(one.row(engine)?.complete()?)?;
                    Some((place(&one.cell), rate / 1e3))
                };
                cells.iter().filter_map(rate).collect()
            }),
        }
    };
    groups.into_iter().filter(|(_, cells)| cells.len() > 1).map(chart).collect()
}

fn verdicts(judged: &[Judged]) -> String {
    let passed = judged.iter().filter(|one| one.verdict.passes()).count();
    let mut text = format!(
        "<h3>Targets: {passed} of {} met</h3>\n<div class=\"scroll\"><table class=\"targets\">\n\
         <tr><th></th><th>target</th><th>measured</th><th>A/A noise</th></tr>\n",
        judged.len()
    );
    let (good, bad): (Vec<_>, Vec<_>) = judged.iter().partition(|one| one.verdict.passes());
    let good = good.into_iter().filter(|_| judged.len() <= VERDICTS_MAX);
    for one in bad.into_iter().chain(good) {
        let (class, word) = match one.verdict {
            Verdict::Met => ("good", "met"),
            Verdict::WithinNoise => ("good", "within noise"),
            Verdict::Missed => ("bad", "fell short"),
            Verdict::NoResult => ("bad", "no result"),
        };
        let measured = one.value.map_or_else(|| "–".into(), |value| format!("{value:.3}"));
        text.push_str(&format!(
            "<tr><td class=\"{class}\">{word}</td><td>{}</td><td>{measured}</td><td>{:.1} %</td></tr>\n",
            escape(&one.limit.to_string()),
            one.noise * 100.0
        ));
    }
    text.push_str("</table></div>\n");
    text
}

fn render_table(table: &Table) -> String {
    let title = format!("{}: {}", table.transport.title(), table.kind.title().to_lowercase());
    let head: String = table.head.iter().map(|title| format!("<th>{}</th>", escape(title))).collect();
    let mut text = format!("<h3>{title}</h3>\n<div class=\"scroll\"><table>\n<tr>{head}</tr>\n");
    for line in &table.rows {
        let class = if line.label.is_empty() { "" } else { " class=\"first\"" };
        text.push_str(&format!(
            "<tr{class}><td>{}</td><td>{}</td>",
            escape(&line.label),
            escape(&line.engine)
        ));
        for field in &line.fields {
            let span = match line.fields.len() {
                1 => format!(" colspan=\"{}\"", table.head.len() - 2),
                _ => String::new(),
            };
            text.push_str(&format!("<td{span}>{}</td>", escape(field)));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</table></div>\n");
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit;
    use crate::report::tests::sample;

    fn page(result: SuiteResult) -> String {
        let limits = limit::parse("stream tcp push-pull 64 : rate >= 2\nstream ws pair 64 : rate >= 2");
        let judged = limit::judge(&limits.expect("well formed"), &result, "fast");
        render(&[(result, judged)], None).expect("drawing into memory works")
    }

    fn named_sample() -> SuiteResult {
        let engines = ["libzmq", "libzmq (A/A)", "fast"].map(|name| (name.to_owned(), String::new()));
        SuiteResult { engines: engines.into(), ..sample() }
    }

    #[test]
    fn a_page_loads_nothing_from_elsewhere() {
        let page = page(named_sample());
        for foreign in ["<script", "<link", "src=", "href=", "@import", "url("] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(page.contains("name=\"viewport\"") && page.contains("@media print"));
    }

    #[test]
    fn there_is_a_latency_chart_for_each_timed_cell_and_a_table_for_each_kind() {
        let page = page(named_sample());
        assert_eq!(page.matches("<figure>").count(), 2);
        assert!(page.contains("TCP req-rep 64B, pin none, µs"));
        assert_eq!(page.matches("<h3>TCP: ").count(), 2);
    }

    #[test]
    fn cells_that_differ_in_size_or_sockets_share_a_chart() {
        let mut result = named_sample();
        for size in [1024, 65536] {
            let mut one = result.cells[0].clone();
            one.cell.size = size;
            result.cells.push(one);
        }
        for sockets in [2, 4] {
            let mut one = result.cells[0].clone();
            one.cell.sockets = sockets;
            result.cells.push(one);
        }
        let (sizes, scaling) = (size_charts(&result), scaling_charts(&result));
        assert_eq!((sizes.len(), scaling.len()), (1, 1));
        let places = |chart: &Chart| chart.series[0].points.iter().map(|point| point.0).collect::<Vec<_>>();
        assert_eq!(places(&sizes[0]), [64.0, 1024.0, 65536.0]);
        assert_eq!(places(&scaling[0]), [1.0, 2.0, 4.0]);
        assert!(sizes[0].series.iter().all(|series| series.name != REFERENCE_AGAIN));
    }

    #[test]
    fn limits_are_shown_with_what_was_measured() {
        let page = page(named_sample());
        assert!(page.contains("Targets: 1 of 2 met"));
        assert!(page.contains(": rate &gt;= 2</td><td>3.000</td><td>10.0 %</td>"));
        assert!(page.contains("<td class=\"bad\">no result</td><td>stream ws pair"));
    }

    #[test]
    fn text_from_elsewhere_stays_text() {
        let page = page(SuiteResult { command: "<script>alert(1)</script>".into(), ..named_sample() });
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    }
}
