//! The tables, TCP, IPC and inproc apart.

use crate::cell::{Kind, Mechanism, Transport, format_size};
use crate::engine::REFERENCE_AGAIN;
use crate::runner::Figures;
use crate::stats::Metric;
use crate::suite::{CellResult, Row, SuiteResult};

/// Renders the whole report without charts.
pub(crate) fn render(result: &SuiteResult) -> String {
    let mut text = format!("# zlink-bench {}\n\n", result.name);
    text.push_str(&heading(result));
    for transport in Transport::ALL {
        let cells: Vec<&CellResult> =
            result.cells.iter().filter(|one| one.cell.transport == transport).collect();
        if cells.is_empty() {
            continue;
        }
        text.push_str(&format!("\n## {}\n", transport.title()));
        for kind in [Kind::RoundTrip, Kind::Stream, Kind::Connect] {
            let cells: Vec<&CellResult> = cells.iter().copied().filter(|one| one.cell.kind == kind).collect();
            if !cells.is_empty() {
                text.push_str(&table(kind, &cells));
            }
        }
    }
    let failures: Vec<String> = result
        .failures()
        .map(|(cell, row, why)| format!("- {}, {cell}: {}\n", escape(&row.engine), escape(why)))
        .collect();
    if !failures.is_empty() {
        text.push_str("\n## Failed\n\n");
        text.extend(failures);
    }
    text
}

fn heading(result: &SuiteResult) -> String {
    let (environment, settings) = (&result.environment, &result.settings);
    let hwm = match settings.hwm {
        None => "the library's default (1000)".into(),
        Some(0) => "none".into(),
        Some(hwm) => hwm.to_string(),
    };
    let api = match settings.api {
        crate::worker::Api::Msg => "zmq_msg_send / zmq_msg_recv",
        crate::worker::Api::Buffer => "zmq_send / zmq_recv",
    };
    let mut text = format!(
        "`zlink-bench {}`\n\n{}, commit {}, {}, {} ({} CPUs), load {}.\n\
         Median of {} interleaved runs; high-water mark: {hwm}; C functions: {api}.\n{}\n\n",
        result.command.replace('`', "'"),
        environment.date,
        environment.commit,
        environment.kernel,
        environment.cpu,
        environment.cpus,
        environment.load,
        settings.runs,
        noise_sentence(result)
    );
    for (name, about) in &result.engines {
        text.push_str(&format!("- **{}**: {}\n", escape(name), escape(about)));
    }
    text
}

fn noise_sentence(result: &SuiteResult) -> String {
    let worst = |kind: Kind, metric: Metric| {
        result
            .cells
            .iter()
            .filter(|one| one.cell.kind == kind)
            .filter_map(|one| one.noise(metric))
            .reduce(f64::max)
            .map(|noise| format!("{:.1} %", noise * 100.0))
    };
    let parts: Vec<String> = [
        ("round trip p50", worst(Kind::RoundTrip, Metric::P50)),
        ("p99", worst(Kind::RoundTrip, Metric::P99)),
        ("stream rate", worst(Kind::Stream, Metric::Rate)),
        ("connection rate", worst(Kind::Connect, Metric::Rate)),
    ]
    .into_iter()
    .filter_map(|(what, noise)| Some(format!("{what} {}", noise?)))
    .collect();
    if parts.is_empty() {
        return "Noise was not measured (no A/A row).".into();
    }
    format!("Largest A/A noise of any cell: {}.", parts.join(", "))
}

fn table(kind: Kind, cells: &[&CellResult]) -> String {
    let idle = cells.iter().any(|one| one.cell.idle_us > 0);
    let mut text = match kind {
        Kind::RoundTrip => String::from(
            "\n### Round trip\n\n\
             | cell | engine | p50 µs | p90 | p99 | p99.9 | max | p50 ÷ libzmq | p99 ÷ libzmq \
             | CPU µs/trip | CPU ÷ libzmq | switches/trip | peak RSS MiB |\n\
             |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        ),
        Kind::Stream => String::from(
            "\n### Stream\n\n\
             | cell | engine | thousand msg/s | MB/s | rate ÷ libzmq | lowest–highest | CPU ns/msg \
             | CPU ÷ libzmq | switches/msg | peak RSS MiB |\n\
             |---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        ),
        Kind::Connect => String::from(
            "\n### Connections\n\n\
             | cell | engine | connections/s | rate ÷ libzmq | lowest–highest | CPU µs/connection \
             | CPU ÷ libzmq | switches/connection | peak RSS MiB |\n\
             |---|---|--:|--:|--:|--:|--:|--:|--:|\n",
        ),
    };
    let columns = match kind {
        Kind::RoundTrip => 13,
        Kind::Stream => 10,
        Kind::Connect => 9,
    };
    for one in cells {
        let cell = &one.cell;
        let mut label =
            format!("{} {}, pin {}", cell.pattern.name(), format_size(cell.size), cell.pin.name());
        if cell.mechanism == Mechanism::Curve {
            label.push_str(", CURVE");
        }
        if idle {
            label.push_str(&format!(", idle {} µs", cell.idle_us));
        }
        for (index, row) in one.rows.iter().enumerate() {
            let label = if index == 0 { label.as_str() } else { "" };
            let mut fields = vec![label.to_owned(), engine_name(&row.engine)];
            match row.complete() {
                Some(runs) => fields.extend(match kind {
                    Kind::RoundTrip => trip(one, row, runs),
                    Kind::Stream => stream(one, row, runs),
                    Kind::Connect => connections(one, row, runs),
                }),
                None => {
                    fields.push(match (&row.not_applicable, &row.failure) {
                        (Some(_), _) => "–".into(),
                        (None, Some(why)) => format!("failed: {}", escape(why)),
                        (None, None) => "not run".into(),
                    });
                    fields.resize(columns, String::new());
                }
            }
            text.push_str(&format!("| {} |\n", fields.join(" | ")));
        }
    }
    text
}

fn trip(one: &CellResult, row: &Row, runs: &[Figures]) -> Vec<String> {
    let micros = |metric: Metric| number(metric.median(runs).map(|nanos| nanos / 1e3));
    vec![
        micros(Metric::P50),
        micros(Metric::P90),
        micros(Metric::P99),
        micros(Metric::P999),
        micros(Metric::Max),
        ratio(one, row, Metric::P50),
        ratio(one, row, Metric::P99),
        micros(Metric::Cpu),
        ratio(one, row, Metric::Cpu),
        switches(runs),
        rss(runs),
    ]
}

/// The lowest and the highest rate of any run, in units of `unit` a second.
fn spread(runs: &[Figures], unit: f64) -> String {
    let rates = || runs.iter().map(|figures| figures.rate / unit);
    format!("{}–{}", number(rates().reduce(f64::min)), number(rates().reduce(f64::max)))
}

fn connections(one: &CellResult, row: &Row, runs: &[Figures]) -> Vec<String> {
    vec![
        number(Metric::Rate.median(runs)),
        ratio(one, row, Metric::Rate),
        spread(runs, 1.0),
        number(Metric::Cpu.median(runs).map(|nanos| nanos / 1e3)),
        ratio(one, row, Metric::Cpu),
        switches(runs),
        rss(runs),
    ]
}

fn stream(one: &CellResult, row: &Row, runs: &[Figures]) -> Vec<String> {
    let rate = Metric::Rate.median(runs);
    vec![
        number(rate.map(|rate| rate / 1e3)),
        number(rate.map(|rate| rate * one.cell.size as f64 / 1e6)),
        ratio(one, row, Metric::Rate),
        spread(runs, 1e3),
        number(Metric::Cpu.median(runs)),
        ratio(one, row, Metric::Cpu),
        switches(runs),
        rss(runs),
    ]
}

fn ratio(one: &CellResult, row: &Row, metric: Metric) -> String {
    one.ratio(&row.engine, metric).map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}×"))
}

fn switches(runs: &[Figures]) -> String {
    Metric::Switches.median(runs).map_or_else(|| "–".into(), |value| format!("{value:.3}"))
}

/// Each process by itself: bound + connected.
fn rss(runs: &[Figures]) -> String {
    let processes = runs.iter().map(|figures| figures.peak_rss_kib.len()).min().unwrap_or(0);
    let mebibytes = |process: usize| {
        let values: Vec<f64> =
            runs.iter().map(|figures| figures.peak_rss_kib[process] as f64 / 1024.0).collect();
        crate::stats::median(&values).map_or_else(|| "–".into(), |value| format!("{value:.1}"))
    };
    (0..processes).map(mebibytes).collect::<Vec<_>>().join(" + ")
}

/// Three significant digits, but never fewer than all digits before the point.
fn number(value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

fn engine_name(name: &str) -> String {
    if name == REFERENCE_AGAIN { format!("*{name}*") } else { escape(name) }
}

/// Keeps text from other programs inside its table cell.
fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    #[test]
    fn transports_have_tables_of_their_own_and_those_without_cells_have_none() {
        let text = render(&sample());
        assert_eq!(text.matches("\n## TCP\n").count(), 1);
        assert_eq!(text.matches("\n## inproc\n").count(), 1);
        assert!(!text.contains("\n## IPC\n"));
        assert_eq!(text.matches("### Stream").count(), 1);
        assert_eq!(text.matches("### Round trip").count(), 2);
    }

    #[test]
    fn rows_show_the_ratio_to_libzmq() {
        let text = render(&sample());
        let fast: Vec<&str> = text.lines().filter(|line| line.contains("| fast |")).collect();
        assert!(fast[0].contains("| 0.25× | 0.25× |"), "{}", fast[0]);
        assert!(text.contains("| 3.00 | 0.19 | 3.00× | 3.00–3.00 | 100 | 1.00× | 0.500 | 4.0 + 2.0 |"));
    }

    #[test]
    fn all_rows_of_a_table_have_as_many_columns_as_its_head() {
        let text = render(&sample());
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        let mut expected = 0;
        for line in text.lines() {
            if line.starts_with("| cell") {
                expected = columns(line);
            } else if line.starts_with('|') {
                assert_eq!(columns(line), expected, "{line}");
            }
        }
        assert_ne!(expected, 0);
    }

    #[test]
    fn failures_are_listed_with_their_reason_and_what_does_not_apply_is_not() {
        let text = render(&sample());
        assert!(text.contains("failed: crashed \\| (segmentation fault)"));
        assert!(text.contains("- broken, stream tcp push-pull 64B pin=none: crashed"));
        assert!(!text.contains("- raw,"));
    }

    #[test]
    fn the_noise_is_the_distance_of_the_second_libzmq_row() {
        let text = render(&sample());
        assert!(text.contains("round trip p50 11.1 %, p99 11.1 %, stream rate 10.0 %"), "{text}");
    }

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(number(Some(1234.56)), "1235");
        assert_eq!(number(Some(12.34)), "12.3");
        assert_eq!(number(Some(1.234)), "1.23");
        assert_eq!(number(None), "–");
    }
}
