//! Reads what a program using the Unity test framework prints.
//!
//! A line for each case, `FILE:LINE:NAME:PASS`, `FILE:LINE:NAME:FAIL: why` or `FILE:LINE:NAME:IGNORE: why`, and at
//! the end `N Tests N Failures N Ignored`. Other lines, such as what a library writes before it aborts, may stand
//! between them.

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Failed,
    Ignored,
}

/// A case, as far as it came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) name: String,
    /// The line in the source: of the failed assertion, or of the case.
    pub(super) line: u32,
    pub(super) verdict: Verdict,
    /// Why it failed or was ignored; empty if it passed.
    pub(super) message: String,
}

/// The numbers of the last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) tests: u32,
    pub(super) failures: u32,
    pub(super) ignored: u32,
}

/// Everything a program has said about its cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) cases: Vec<Case>,
    /// Missing if the program was ended early, or has no cases.
    pub(super) summary: Option<Summary>,
}

impl Report {
    pub(super) fn parse(text: &str) -> Self {
        let mut report = Report::default();
        for line in text.lines() {
            if let Some(case) = parse_case(line) {
                report.cases.push(case);
            } else if let Some(summary) = parse_summary(line) {
                report.summary = Some(summary);
            }
        }
        report
    }

    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.cases.iter().filter(|case| case.verdict == verdict).count()
    }

    pub(super) fn failures(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(|case| case.verdict == Verdict::Failed)
    }

    /// Whether anything failed, by the lines of the cases or by the summary.
    pub(super) fn has_failures(&self) -> bool {
        self.failures().next().is_some() || self.summary.is_some_and(|summary| summary.failures > 0)
    }
}

/// Whether a line tells how a case ended.
pub(super) fn is_about_a_case(line: &str) -> bool {
    parse_case(line).is_some()
}

fn parse_case(line: &str) -> Option<Case> {
    let (_file, rest) = line.split_once(".cpp:")?;
    let (number, rest) = rest.split_once(':')?;
    let number = number.parse().ok()?;
    // A name is an expression from the source, which may hold colons itself.
    let verdicts = [(":PASS", Verdict::Passed), (":FAIL", Verdict::Failed), (":IGNORE", Verdict::Ignored)];
    let (at, word, verdict) = verdicts
        .into_iter()
        .filter_map(|(word, verdict)| rest.find(word).map(|at| (at, word, verdict)))
        .min_by_key(|(at, ..)| *at)?;
    let message = rest[at + word.len()..].trim_start_matches(':').trim();
    Some(Case { name: rest[..at].to_owned(), line: number, verdict, message: message.to_owned() })
}

fn parse_summary(line: &str) -> Option<Summary> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [tests, "Tests", failures, "Failures", ignored, "Ignored"] = words[..] else { return None };
    Some(Summary {
        tests: tests.parse().ok()?,
        failures: failures.parse().ok()?,
        ignored: ignored.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_and_summary_are_read() {
        let report = Report::parse(concat!(
            "tests/test_a.cpp:12:test_one:PASS\n",
            "Assertion of somebody else: a.cpp:what\n",
            "/a b/test_a.cpp:34:test_two:FAIL: Expected 1 Was 2. a (b), errno = 22\n",
            "tests/test_a.cpp:56:test_three:IGNORE: ipv6 is not available\n",
            "tests/test_a.cpp:57:test_four:IGNORE\n",
            "\n-----------------------\n",
            "4 Tests 1 Failures 2 Ignored \nFAIL\n",
        ));
        let summary = Summary { tests: 4, failures: 1, ignored: 2 };
        assert_eq!(report.summary, Some(summary));
        assert_eq!(report.count(Verdict::Passed), 1);
        assert_eq!(report.count(Verdict::Failed), 1);
        assert_eq!(report.count(Verdict::Ignored), 2);
        assert!(report.has_failures());
        let failed = report.failures().next().expect("one has failed");
        let expected = Case {
            name: "test_two".into(),
            line: 34,
            verdict: Verdict::Failed,
            message: "Expected 1 Was 2. a (b), errno = 22".into(),
        };
        assert_eq!(failed, &expected);
        assert_eq!(report.cases[2].message, "ipv6 is not available");
        assert_eq!(report.cases[3].message, "");
    }

    #[test]
    fn a_program_that_was_ended_early_has_cases_and_no_summary() {
        let report = Report::parse("test_a.cpp:12:test_one:PASS\nAssertion failed: nbytes >= 0 (a.cpp:1)\n");
        assert_eq!(report.count(Verdict::Passed), 1);
        assert_eq!(report.summary, None);
        assert!(!report.has_failures());
    }

    #[test]
    fn names_with_colons_and_messages_with_verdicts_are_read() {
        let report = Report::parse("a.cpp:1:run (a::b):PASS\nb.cpp:2:c:FAIL: was :PASS\n");
        assert_eq!(report.cases[0].name, "run (a::b)");
        assert_eq!(report.cases[0].verdict, Verdict::Passed);
        assert_eq!(report.cases[1].verdict, Verdict::Failed);
        assert_eq!(report.cases[1].message, "was :PASS");
    }

    #[test]
    fn other_output_is_passed_over() {
        for text in
            ["", ":::", "a.cpp:x:y:PASS", "a.cpp:1:y:MAYBE", "1 Tests x Failures 0 Ignored", "a:1:b:PASS"]
        {
            assert_eq!(Report::parse(text), Report::default(), "{text:?}");
        }
    }

    #[test]
    fn a_summary_with_failures_counts_even_without_their_lines() {
        assert!(Report::parse("2 Tests 1 Failures 0 Ignored").has_failures());
        assert!(!Report::parse("2 Tests 0 Failures 2 Ignored").has_failures());
    }
}
