//! What came of each program and of all, and how it is printed.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use super::expectations::{Ending, Expectations};
use super::unity::{self, Report, Verdict};
use crate::process::{End, Outcome};
use crate::sanitizer::REPORTED;

/// The exit code of a program that does not find what it needs.
const SKIPPED: i32 = 77;

/// The signal of a program whose own alarm has gone off.
const SIGALRM: i32 = 14;

/// Prints a line. Whether somebody still reads it makes no difference to the run.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// What came of one program.
#[derive(Clone)]
pub(super) struct Finding {
    ending: Ending,
    /// Why it failed or was skipped; empty if it passed.
    reason: String,
    report: Report,
    took: Duration,
}

impl Finding {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let report = Report::parse(&outcome.output);
        let (ending, reason) = match outcome.end {
            End::Exited(0) if report.has_failures() => (Ending::Failed, String::new()),
            End::Exited(0) => (Ending::Passed, String::new()),
            End::Exited(REPORTED) => (Ending::Reported, "has a report".into()),
            End::Exited(SKIPPED) => (Ending::Skipped, "does not find what it needs".into()),
            // The exit code is the number of failed cases, which are printed one by one.
            End::Exited(_) if report.summary.is_some() && report.has_failures() => {
                (Ending::Failed, String::new())
            }
            End::Exited(code) => (Ending::Failed, format!("exit code {code}")),
            End::Signalled(SIGALRM) => (Ending::Failed, "hangs: ended by its own alarm".into()),
            End::Signalled(signal) => (Ending::Failed, format!("ended by signal {signal}")),
            End::TimedOut => (Ending::Failed, "hangs: killed at its time limit".into()),
        };
        let reason = match ending {
            Ending::Failed if report.summary.is_none() => match last_words(&outcome.output) {
                Some(words) => format!("{reason}, after: {words}"),
                None => reason,
            },
            _ => reason,
        };
        Self { ending, reason, report, took: outcome.took }
    }

    /// For a program that was not started.
    pub(super) fn without_a_run(ending: Ending, reason: String) -> Self {
        Self { ending, reason, report: Report::default(), took: Duration::ZERO }
    }

    /// The line for `program`, and one for each reason why it did not pass.
    pub(super) fn lines(&self, program: &str, failure_is_listed: bool) -> String {
        let word = match self.ending {
            Ending::Passed => "pass",
            Ending::Skipped => "skip",
            Ending::Failed if failure_is_listed => "fail (listed)",
            Ending::Failed | Ending::Reported => "FAIL",
        };
        let start = format!("{word:<13}  {program:<34}  {:6.2} s  ", self.took.as_secs_f64());
        if self.ending == Ending::Skipped {
            return format!("{start}{}\n", self.reason);
        }
        let mut text = format!("{start}{}\n", Cases::of(&self.report));
        for reason in self.reason.lines() {
            let _ = writeln!(text, "               {reason}");
        }
        for case in self.report.failures() {
            let _ = writeln!(text, "               {}, line {}: {}", case.name, case.line, case.message);
        }
        text
    }
}

/// The last line that is not about a case: what the program or the library said before it ended.
fn last_words(output: &str) -> Option<&str> {
    output.lines().map(str::trim).rfind(|line| !line.is_empty() && !unity::is_about_a_case(line))
}

/// Numbers of cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cases {
    passed: usize,
    failed: usize,
    ignored: usize,
}

impl Cases {
    fn of(report: &Report) -> Self {
        Self {
            passed: report.count(Verdict::Passed),
            failed: report.count(Verdict::Failed),
            ignored: report.count(Verdict::Ignored),
        }
    }
}

impl std::fmt::Display for Cases {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} passed", self.passed)?;
        if self.failed > 0 {
            write!(formatter, ", {} failed", self.failed)?;
        }
        if self.ignored > 0 {
            write!(formatter, ", {} ignored", self.ignored)?;
        }
        Ok(())
    }
}

/// Prints the totals and what is not as expected. Whether all is.
pub(super) fn conclude(programs: &[&str], findings: &[Finding], expectations: &Expectations) -> bool {
    let count = |ending| findings.iter().filter(|finding| finding.ending == ending).count();
    let mut cases = Cases::default();
    for finding in findings {
        let more = Cases::of(&finding.report);
        cases.passed += more.passed;
        cases.failed += more.failed;
        cases.ignored += more.ignored;
    }
    say(&format!(
        "\nprograms: {} passed, {} failed, {} skipped\ncases:    {cases}",
        count(Ending::Passed),
        count(Ending::Failed) + count(Ending::Reported),
        count(Ending::Skipped),
    ));
    let complaints: Vec<String> = programs
        .iter()
        .zip(findings)
        .filter_map(|(program, finding)| expectations.complaint(program, finding.ending))
        .collect();
    if !complaints.is_empty() {
        say("\nnot as expected:");
    }
    for complaint in &complaints {
        say(&format!("  {complaint}"));
    }
    complaints.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(end: End, output: &str) -> Finding {
        Finding::of(&Outcome { end, output: output.into(), took: Duration::ZERO })
    }

    #[test]
    fn a_program_passes_only_with_exit_code_0_and_no_failed_case() {
        let passed = "a.cpp:1:x:PASS\n1 Tests 0 Failures 0 Ignored\n";
        let failed = "a.cpp:1:x:FAIL: why\n1 Tests 1 Failures 0 Ignored\n";
        assert_eq!(finding(End::Exited(0), passed).ending, Ending::Passed);
        assert_eq!(finding(End::Exited(0), "").ending, Ending::Passed);
        assert_eq!(finding(End::Exited(77), "").ending, Ending::Skipped);
        for output in [passed, failed] {
            assert_eq!(finding(End::Exited(REPORTED), output).ending, Ending::Reported);
        }
        for (end, output) in [
            (End::Exited(0), failed),
            (End::Exited(1), failed),
            (End::Exited(1), passed),
            (End::Signalled(6), passed),
            (End::TimedOut, passed),
            (End::TimedOut, ""),
        ] {
            assert_eq!(finding(end, output).ending, Ending::Failed, "{end:?} {output}");
        }
    }

    #[test]
    fn the_reason_of_a_failure_is_printed() {
        let lines = |end, output| finding(end, output).lines("test_a", false);
        assert!(
            lines(End::Exited(1), "a.cpp:7:x:FAIL: why\n1 Tests 1 Failures 0 Ignored\n")
                .contains("x, line 7: why")
        );
        let aborted = lines(End::Signalled(6), "a.cpp:9: Assertion `y' failed.\na.cpp:1:x:PASS\n");
        assert!(aborted.contains("ended by signal 6, after: a.cpp:9: Assertion `y' failed."), "{aborted}");
        assert!(lines(End::TimedOut, "").contains("hangs: killed at its time limit"));
        assert!(lines(End::Exited(3), "").contains("exit code 3"));
    }

    #[test]
    fn the_conclusion_follows_the_expectations() {
        let known = ["test_a", "test_b"].map(String::from);
        let expectations = Expectations::parse("fails test_a", &known, true).expect("it is valid");
        let (good, bad) = (finding(End::Exited(0), ""), finding(End::TimedOut, ""));
        let programs = ["test_a", "test_b"];
        assert!(conclude(&programs, &[bad.clone(), good.clone()], &expectations));
        assert!(!conclude(&programs, &[bad.clone(), bad.clone()], &expectations));
        assert!(!conclude(&programs, &[good.clone(), good.clone()], &expectations));
        assert!(conclude(&programs[1..], &[good], &expectations));
    }
}
