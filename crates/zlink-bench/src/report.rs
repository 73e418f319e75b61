//! What is left of a suite: tables, data and charts in one folder.

mod chart;
mod csv;
mod markdown;

use std::fs;
use std::path::Path;

use crate::suite::SuiteResult;

pub(crate) use markdown::render as markdown;

/// Writes `report.md`, `report.json`, `runs.csv` and the charts into `folder`.
///
/// # Errors
///
/// The file that could not be written, and why.
pub(crate) fn write(result: &SuiteResult, folder: &Path) -> Result<(), String> {
    let failed = |what: &Path, why: &dyn std::fmt::Display| format!("{}: {why}", what.display());
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let charts = chart::draw(result, folder)?;
    let mut text = markdown(result);
    if !charts.is_empty() {
        text.push_str("\n## Charts\n\n");
        for (title, file) in charts {
            text.push_str(&format!("![{title}]({file})\n\n"));
        }
    }
    let json = serde_json::to_string_pretty(result).map_err(|error| error.to_string())?;
    for (name, text) in [("report.md", text), ("report.json", json), ("runs.csv", csv::render(result))] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::cell::{Cell, Kind, Pattern, Pin, Transport};
    use crate::engine::{REFERENCE, REFERENCE_AGAIN};
    use crate::runner::{Figures, Settings};
    use crate::stats::tests::figures;
    use crate::suite::{CellResult, Row};
    use crate::system::Environment;
    use crate::worker::Api;

    fn row(engine: &str, runs: Vec<Figures>) -> Row {
        Row { engine: engine.into(), runs, failure: None, not_applicable: None }
    }

    fn cell(kind: Kind, transport: Transport) -> Cell {
        let pattern = match kind {
            Kind::RoundTrip | Kind::Connect => Pattern::ReqRep,
            Kind::Stream => Pattern::PushPull,
        };
        Cell::new(kind, transport, pattern, 64, Pin::None, 0.5)
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
            },
            settings: Settings { runs: 3, hwm: None, api: Api::Msg, timeout_s: 30 },
            engines: vec![(REFERENCE.into(), "C functions, version 4.3.5".into())],
            cells: vec![
                CellResult { cell: cell(Kind::Stream, Transport::Tcp), rows: rows(None) },
                CellResult { cell: cell(Kind::RoundTrip, Transport::Tcp), rows: rows(Some(40_000)) },
                CellResult { cell: cell(Kind::RoundTrip, Transport::Inproc), rows: rows(Some(8_000)) },
            ],
        }
    }

    #[test]
    fn the_json_report_reads_back_as_it_was() {
        let text = serde_json::to_string(&sample()).expect("the result is plain data");
        let back: SuiteResult = serde_json::from_str(&text).expect("it was written by us");
        assert_eq!(markdown(&back), markdown(&sample()));
    }
}
