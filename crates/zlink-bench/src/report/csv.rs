//! One line a run, for spreadsheets and scripts.

use crate::cell::Kind;
use crate::suite::SuiteResult;

const HEADER: &str = "kind,transport,pattern,size_bytes,pin,mechanism,sockets,peers,threads,rate,burst,topics,idle_us,\
count,engine,round,status,per_second,mb_per_second,p50_ns,p90_ns,p99_ns,p999_ns,max_ns,cpu_ns_per_message,\
context_switches_per_message,peak_rss_bound_kib,peak_rss_connected_kib,growth_kib\n";

pub(crate) fn render(result: &SuiteResult) -> String {
    let mut text = String::from(HEADER);
    for one in &result.cells {
        let cell = &one.cell;
        let common = format!(
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
            cell.kind.name(),
            cell.transport.name(),
            cell.pattern.name(),
            cell.size,
            cell.pin.name(),
            cell.mechanism.name(),
            cell.sockets,
            cell.peers,
            cell.threads.name(),
            cell.rate,
            cell.burst,
            if cell.kind == Kind::FanOut { cell.topics.name() } else { "" },
            cell.idle_us,
            cell.count
        );
        for row in &one.rows {
            let engine = quote(&row.engine);
            for (round, run) in row.runs.iter().enumerate() {
                let latency = run.latency.as_ref().map_or_else(
                    || ",,,,".to_owned(),
                    |l| format!("{},{},{},{},{}", l.p50, l.p90, l.p99, l.p999, l.max),
                );
                let megabytes = match cell.kind {
                    Kind::Stream => format!("{:.3}", run.rate * cell.size as f64 / 1e6),
                    _ => String::new(),
                };
                let rss = |index: usize| run.peak_rss_kib.get(index).map_or_else(String::new, u64::to_string);
                text.push_str(&format!(
                    "{common},{engine},{},ok,{:.3},{megabytes},{latency},{:.1},{:.4},{},{},{}\n",
                    round + 1,
                    run.rate,
                    run.cpu_ns,
                    run.switches,
                    rss(0),
                    rss(1),
                    run.growth_kib.iter().sum::<i64>()
                ));
            }
            let left_out = row.not_applicable.as_ref().map(|why| format!("n/a: {why}"));
            if let Some(why) = row.failure.as_ref().map(|why| format!("failed: {why}")).or(left_out) {
                let round = row.runs.len() + 1;
                text.push_str(&format!("{common},{engine},{round},{},,,,,,,,,,,,\n", quote(&why)));
            }
        }
    }
    text
}

fn quote(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    #[test]
    fn every_line_has_as_many_fields_as_the_header() {
        let text = render(&sample());
        let fields = HEADER.matches(',').count();
        for line in text.lines() {
            assert_eq!(line.matches(',').count(), fields, "{line}");
        }
        // Three cells of three engines with three runs, and one line for each of the two others.
        assert_eq!(text.lines().count(), 1 + 3 * (3 * 3 + 2));
    }

    #[test]
    fn text_with_commas_and_quotes_is_quoted() {
        assert_eq!(quote("a,b"), "\"a,b\"");
        assert_eq!(quote("say \"x\""), "\"say \"\"x\"\"\"");
        assert_eq!(quote("plain"), "plain");
    }
}
