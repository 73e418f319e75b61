//! The list of programs that are not expected to pass yet.
//!
//! A line is a word, the name of a program, and after a `#` the reason. The word is `fails` for programs that fail in
//! every run, `drafts` for those that do so only with the draft interface, and `flaky` for those that fail in some
//! runs. Empty lines and lines that begin with `#` are passed over.

use std::collections::BTreeMap;

/// What is expected of a listed program. All others are expected to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Passes,
    Fails,
    Flaky,
}

/// How a program ended, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Passed,
    Failed,
    /// A sanitizer, or valgrind, has reported something.
    Reported,
    Skipped,
}

/// The content of an expectation file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expectations {
    listed: BTreeMap<String, Expected>,
}

impl Expectations {
    /// # Errors
    ///
    /// What is wrong, with the number of the line: an unknown word, a missing name, a name that is there twice, or
    /// one that is not in `programs`.
    ///
    /// `drafts`: for programs compiled with the draft interface.
    pub(super) fn parse(text: &str, programs: &[String], drafts: bool) -> Result<Self, String> {
        let mut listed = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            let (expected, name) = match words[..] {
                [] => continue,
                ["fails", name] => (Expected::Fails, name),
                ["drafts", name] if drafts => (Expected::Fails, name),
                ["drafts", name] => (Expected::Passes, name),
                ["flaky", name] => (Expected::Flaky, name),
                _ => {
                    return Err(format!(
                        "line {number}: not `fails`, `drafts` or `flaky` and a name: {line}"
                    ));
                }
            };
            if !programs.iter().any(|program| program == name) {
                return Err(format!("line {number}: there is no program {name}"));
            }
            if listed.insert(name.to_owned(), expected).is_some() {
                return Err(format!("line {number}: {name} is listed twice"));
            }
        }
        Ok(Self { listed })
    }

    /// What is wrong with how `program` ended, if anything is.
    pub(super) fn complaint(&self, program: &str, ending: Ending) -> Option<String> {
        match (self.listed.get(program), ending) {
            // What is listed is how the program itself ends.
            (_, Ending::Reported) => Some(format!("{program} has a report")),
            (None | Some(Expected::Passes), Ending::Failed) => {
                Some(format!("{program} fails and is not listed as failing"))
            }
            (Some(Expected::Fails), Ending::Passed) => {
                Some(format!("{program} passes and is listed as failing: take it off the list"))
            }
            _ => None,
        }
    }

    /// Whether a failure of `program` is no news.
    pub(super) fn allows_failure(&self, program: &str) -> bool {
        matches!(self.listed.get(program), Some(Expected::Fails | Expected::Flaky))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Expectations, String> {
        Expectations::parse(text, &["test_a", "test_b", "test_c"].map(String::from), true)
    }

    #[test]
    fn unlisted_programs_must_pass_and_listed_ones_must_not() {
        let expectations =
            parse("# heading\n\nfails test_a # no udp\n  flaky test_b\n").expect("it is valid");
        let wrong = |program, ending| expectations.complaint(program, ending).is_some();
        assert!(!wrong("test_a", Ending::Failed) && wrong("test_a", Ending::Passed));
        assert!(!wrong("test_b", Ending::Failed) && !wrong("test_b", Ending::Passed));
        assert!(wrong("test_c", Ending::Failed) && !wrong("test_c", Ending::Passed));
        for program in ["test_a", "test_b", "test_c"] {
            assert!(!wrong(program, Ending::Skipped), "{program}");
            assert!(wrong(program, Ending::Reported), "{program}");
        }
        assert!(expectations.allows_failure("test_b") && !expectations.allows_failure("test_c"));
    }

    #[test]
    fn programs_listed_for_the_draft_interface_must_pass_without() {
        for drafts in [true, false] {
            let expectations = Expectations::parse("drafts test_a", &["test_a".into()], drafts);
            let expectations = expectations.expect("it is valid");
            assert_eq!(expectations.complaint("test_a", Ending::Failed).is_none(), drafts);
            assert_eq!(expectations.complaint("test_a", Ending::Passed).is_none(), !drafts);
            assert_eq!(expectations.allows_failure("test_a"), drafts);
        }
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, mistake) in [
            ("fails test_a\nbreaks test_b", "line 2: not"),
            ("fails", "line 1: not"),
            ("fails test_a test_b", "line 1: not"),
            ("\n\nfails test_d", "line 3: there is no program test_d"),
            ("fails test_a\nflaky test_a", "line 2: test_a is listed twice"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(mistake), "{text:?}: {error}");
        }
    }

    #[test]
    fn an_empty_list_expects_everything_to_pass() {
        let expectations = parse("").expect("it is valid");
        assert_eq!(expectations, Expectations::default());
        assert!(expectations.complaint("test_a", Ending::Failed).is_some());
    }
}
