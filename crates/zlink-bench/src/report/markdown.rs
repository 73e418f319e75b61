//! The report as text: its head, the tables, transports apart, and what failed.

use super::table::{Table, tables};
use crate::cell::Kind;
use crate::engine::REFERENCE_AGAIN;
use crate::limit::Judged;
use crate::stats::Metric;
use crate::suite::SuiteResult;
use crate::worker::Api;

/// Renders the whole report without charts.
pub(crate) fn render(result: &SuiteResult, baseline: Option<&SuiteResult>) -> String {
    let mut text = format!("# zlink-bench {}\n\n", result.name);
    text.push_str(&heading(result, baseline));
    let mut transport = None;
    for table in tables(result, baseline) {
        if transport.replace(table.transport) != Some(table.transport) {
            text.push_str(&format!("\n## {}\n", table.transport.title()));
        }
        text.push_str(&render_table(&table));
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

fn heading(result: &SuiteResult, baseline: Option<&SuiteResult>) -> String {
    let mut text = format!("`zlink-bench {}`\n\n", result.command.replace('`', "'"));
    for sentence in facts(result, baseline) {
        text.push_str(&sentence);
        text.push('\n');
    }
    text.push('\n');
    for (name, about) in &result.engines {
        text.push_str(&format!("- **{}**: {}\n", escape(name), escape(about)));
    }
    text
}

/// Where, when and how it was measured, in sentences.
pub(super) fn facts(result: &SuiteResult, baseline: Option<&SuiteResult>) -> Vec<String> {
    let (environment, settings) = (&result.environment, &result.settings);
    let hwm = match settings.hwm {
        None => "the library's default (1000)".into(),
        Some(0) => "none".into(),
        Some(hwm) => hwm.to_string(),
    };
    let api = match settings.api {
        Api::Msg => "zmq_msg_send / zmq_msg_recv",
        Api::Buffer => "zmq_send / zmq_recv",
    };
    let again = match settings.again {
        0 => String::new(),
        more => format!(", {more} more of cells that fell short"),
    };
    let mut facts = vec![
        format!(
            "{}, commit {}, {}, {} ({} CPUs), load {}.",
            environment.date,
            environment.commit,
            environment.kernel,
            environment.cpu,
            environment.cpus,
            environment.load,
        ),
        format!(
            "Median of {} interleaved runs{again}; high-water mark: {hwm}; C functions: {api}.",
            settings.runs
        ),
        noise_sentence(result),
    ];
    if !environment.variables.is_empty() {
        let set: Vec<String> =
            environment.variables.iter().map(|(name, value)| format!("`{name}={value}`")).collect();
        facts.push(format!("Set for all engines: {}.", set.join(", ")));
    }
    if let Some(baseline) = baseline {
        let (date, commit) = (&baseline.environment.date, &baseline.environment.commit);
        facts.push(format!(
            "Baseline: `{}` of {date}, commit {commit}. \"÷ baseline\" is today's ratio to libzmq over that day's.",
            baseline.name
        ));
    }
    facts
}

fn noise_sentence(result: &SuiteResult) -> String {
    let parts: Vec<String> = result
        .noise
        .iter()
        .filter(|(kind, metric, _)| *metric == Metric::main_of(*kind) || *metric == Metric::P99)
        .map(|(kind, metric, noise)| {
            format!("{} {} {:.1} %", kind.title().to_lowercase(), metric.name(), noise * 100.0)
        })
        .collect();
    if parts.is_empty() {
        return "Noise was not measured (no A/A row).".into();
    }
    format!("Largest A/A noise of any cell: {}.", parts.join(", "))
}

fn render_table(table: &Table) -> String {
    let mut text = format!("\n### {}\n\n| {} |\n", table.kind.title(), table.head.join(" | "));
    let rule = |index| if index < 2 { "---|" } else { "--:|" };
    text.push('|');
    text.extend((0..table.head.len()).map(rule));
    text.push('\n');
    for line in &table.rows {
        let mut fields = vec![escape(&line.label), engine_name(&line.engine)];
        fields.extend(line.fields.iter().map(|field| escape(field)));
        fields.resize(table.head.len(), String::new());
        text.push_str(&format!("| {} |\n", fields.join(" | ")));
    }
    if table.kind == Kind::FanOut {
        text.push_str("\nThe rate is that of messages published, each to all subscribers.\n");
    }
    text
}

/// What came of the limits: how many were met, then those that were not, then the others if `all` are to be seen.
pub(crate) fn verdicts(title: &str, judged: &[Judged], all: bool) -> String {
    let passed = judged.iter().filter(|one| one.verdict.passes()).count();
    let mut text = format!("\n## {title}: {passed} of {} met\n\n", judged.len());
    let (good, bad): (Vec<_>, Vec<_>) = judged.iter().partition(|one| one.verdict.passes());
    for one in bad.into_iter().chain(good.into_iter().filter(|_| all)) {
        text.push_str(&format!("- {one}\n"));
    }
    text
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
    use crate::limit;
    use crate::report::tests::sample;

    #[test]
    fn transports_have_headings_of_their_own() {
        let text = render(&sample(), None);
        assert_eq!(text.matches("\n## TCP\n").count(), 1);
        assert_eq!(text.matches("\n## inproc\n").count(), 1);
        assert!(!text.contains("\n## IPC\n"));
        assert_eq!(text.matches("### Stream").count(), 1);
        assert_eq!(text.matches("### Round trip").count(), 2);
    }

    #[test]
    fn all_rows_of_a_table_have_as_many_columns_as_its_head() {
        let text = render(&sample(), Some(&sample()));
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
        let text = render(&sample(), None);
        assert!(text.contains("failed: crashed \\| (segmentation fault)"));
        assert!(text.contains("- broken, stream tcp push-pull 64B pin=none: crashed"));
        assert!(!text.contains("- raw,"));
    }

    #[test]
    fn the_noise_is_the_distance_of_the_second_libzmq_row() {
        let text = render(&sample(), None);
        assert!(text.contains("round trip p50 11.1 %, round trip p99 11.1 %, stream rate 10.0 %"), "{text}");
    }

    #[test]
    fn variables_that_change_zlink_are_named() {
        assert!(render(&sample(), None).contains("Set for all engines: `ZLINK_DIRECT_IO=0`."));
    }

    #[test]
    fn the_baseline_is_named() {
        assert!(render(&sample(), Some(&sample())).contains("Baseline: `sample` of 2026-01-01"));
    }

    #[test]
    fn limits_that_are_missed_come_first() {
        let text = "stream tcp push-pull 64 : rate >= 2\nroundtrip tcp req-rep 64 : p50 <= 0.1";
        let judged = limit::judge(&limit::parse(text).expect("well formed"), &sample(), "fast");
        let text = verdicts("Targets", &judged, true);
        assert!(text.contains("## Targets: 1 of 2 met"), "{text}");
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("- ")).collect();
        assert!(lines[0].starts_with("- **fell short**: roundtrip tcp req-rep 64B pin=none : p50 <= 0.1"));
        assert!(lines[1].starts_with("- met: stream tcp"), "{}", lines[1]);
        assert!(!verdicts("Targets", &judged, false).contains("- met"));
    }
}
