//! What is left of a suite: tables, data and charts in one folder, a record, a page.

mod chart;
mod csv;
mod html;
mod markdown;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use crate::limit::Judged;
use crate::suite::SuiteResult;
use crate::zlink_build::workspace;

pub(crate) use html::render as html;
pub(crate) use markdown::{render as markdown, verdicts};
pub(crate) use table::number;

/// Writes `report.md`, which is `text` and charts, `report.html`, `report.json`, `runs.csv` and the charts into `folder`.
///
/// # Errors
///
/// The file that could not be written, and why.
pub(crate) fn write(
    result: SuiteResult,
    baseline: Option<&SuiteResult>,
    mut text: String,
    judged: Vec<Judged>,
    folder: &Path,
) -> Result<(), String> {
    write_json(&result, folder)?;
    let charts = chart::draw(&result, folder)?;
    if !charts.is_empty() {
        text.push_str("\n## Charts\n\n");
        for (title, file) in charts {
            text.push_str(&format!("![{title}]({file})\n\n"));
        }
    }
    let csv = csv::render(&result);
    let page = html(&[(result, judged)], baseline)?;
    for (name, text) in [("report.md", text), ("report.html", page), ("runs.csv", csv)] {
        write_file(&folder.join(name), &text)?;
    }
    Ok(())
}

/// Writes `report.json` alone into `folder`.
///
/// # Errors
///
/// The file that could not be written, and why.
pub(crate) fn write_json(result: &SuiteResult, folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    write_file(&folder.join("report.json"), &to_json(result)?)
}

fn failed(what: &Path, why: &dyn std::fmt::Display) -> String {
    format!("{}: {why}", what.display())
}

/// Writes a text file.
///
/// # Errors
///
/// The file, and why it could not be written.
pub(crate) fn write_file(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| failed(path, &error))
}

/// A record: everything a report is made from, a cell a line, so that a difference of two can be read.
fn to_json(result: &SuiteResult) -> Result<String, String> {
    let broken = |error: serde_json::Error| error.to_string();
    let cells: Vec<String> = result
        .cells
        .iter()
        .map(|cell| serde_json::to_string(cell).map_err(broken))
        .collect::<Result<_, _>>()?;
    let head = SuiteResult { cells: Vec::new(), ..result.clone() };
    let head = serde_json::to_string_pretty(&head).map_err(broken)?;
    let head = head.strip_suffix("[]\n}").ok_or("the cells are not what a record ends with")?;
    Ok(format!("{head}[\n{}\n]}}\n", cells.join(",\n")))
}

/// Where records are kept.
pub(crate) fn records() -> PathBuf {
    workspace().join("docs/performance/records")
}

/// Keeps `result` among the records as `NAME.json`.
///
/// # Errors
///
/// A name that would lie elsewhere, or a file that cannot be written.
pub(crate) fn record(result: &SuiteResult, name: &str) -> Result<PathBuf, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
        return Err(format!("`{name}` is no name for a record: letters, digits, `-`, `_` and `.`"));
    }
    let path = records().join(format!("{name}.json"));
    write_file(&path, &to_json(result)?)?;
    Ok(path)
}

/// Reads a record or a `report.json`.
///
/// # Errors
///
/// The file, and why it cannot be read.
pub(crate) fn read(path: &Path) -> Result<SuiteResult, String> {
    let text = fs::read_to_string(path).map_err(|error| failed(path, &error))?;
    serde_json::from_str(&text).map_err(|error| failed(path, &error))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::cell::{Cell, Kind, Pattern, Pin, Transport};
    use crate::engine::{REFERENCE, REFERENCE_AGAIN};
    use crate::runner::{Figures, Settings};
    use crate::stats::QUANTILES;
    use crate::stats::tests::figures;
    use crate::suite::{CellResult, Row, largest_noise};
    use crate::system::Environment;
    use crate::worker::Api;

    fn row(engine: &str, runs: Vec<Figures>) -> Row {
        let curve = match runs.first().and_then(|run| run.latency.as_ref()) {
            Some(latency) => (0..QUANTILES.len() as u64).map(|step| latency.p50 * (1 + step)).collect(),
            None => Vec::new(),
        };
        Row { engine: engine.into(), runs, failure: None, not_applicable: None, curve, syscalls: None }
    }

    fn cell(kind: Kind, transport: Transport) -> Cell {
        let pattern = if kind == Kind::RoundTrip { Pattern::ReqRep } else { Pattern::PushPull };
        let mut cell = Cell::new(kind, transport, pattern, 64, Pin::None);
        cell.take_about(0.5);
        cell
    }

    /// libzmq, libzmq again 10 % faster, an engine three times as fast, and one that failed.
    pub(crate) fn sample() -> SuiteResult {
        let rows = |p50: Option<u64>| {
            vec![
                row(REFERENCE, vec![figures(1000.0, p50); 3]),
                row(REFERENCE_AGAIN, vec![figures(1100.0, p50.map(|p50| p50 * 9 / 10)); 3]),
                row("fast", vec![figures(3000.0, p50.map(|p50| p50 / 4)); 3]),
                Row { failure: Some("crashed | (segmentation fault)".into()), ..row("broken", vec![]) },
                Row { not_applicable: Some("no such thing".into()), ..row("raw", vec![]) },
            ]
        };
        let cells = vec![
            CellResult { cell: cell(Kind::Stream, Transport::Tcp), rows: rows(None) },
            CellResult { cell: cell(Kind::RoundTrip, Transport::Tcp), rows: rows(Some(40_000)) },
            CellResult { cell: cell(Kind::RoundTrip, Transport::Inproc), rows: rows(Some(8_000)) },
        ];
        SuiteResult {
            name: "sample".into(),
            command: "sample --runs 3".into(),
            environment: Environment {
                date: "2026-01-01 00:00:00 UTC".into(),
                commit: "0123456789ab".into(),
                kernel: "Linux 6.1".into(),
                cpu: "A Chip".into(),
                cpus: 2,
                load: "0.1 0.2 0.3".into(),
                variables: vec![("ZLINK_DIRECT_IO".into(), "0".into())],
            },
            settings: Settings { runs: 3, again: 0, hwm: None, api: Api::Msg, timeout_s: 30 },
            engines: vec![(REFERENCE.into(), "C functions, version 4.3.5".into())],
            noise: largest_noise(&cells),
            cells,
        }
    }

    #[test]
    fn a_record_reads_back_as_it_was_and_has_a_cell_a_line() {
        let text = to_json(&sample()).expect("the result is plain data");
        let back: SuiteResult = serde_json::from_str(&text).expect("it was written by us");
        assert_eq!(markdown(&back, None), markdown(&sample(), None));
        assert_eq!(text.lines().filter(|line| line.starts_with("{\"cell\":")).count(), 3);
        for fact in ["\"date\"", "\"commit\"", "\"kernel\"", "\"cpu\"", "\"command\"", "\"noise\""] {
            assert!(text.contains(fact), "{fact}");
        }
    }

    #[test]
    fn a_record_has_a_plain_name() {
        for bad in ["", ".hidden", "../up", "a/b", "a b"] {
            assert!(record(&sample(), bad).is_err(), "{bad}");
        }
    }
}
