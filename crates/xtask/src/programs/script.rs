//! The script of a program: what it says of itself, how it is started, and what it says at the end.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a script says in the comments at its head.
pub(super) struct Script {
    /// The name of the file.
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) title: String,
    pub(super) language: String,
    /// Whose tests they are.
    pub(super) tests: String,
    /// Where the program comes from.
    pub(super) from: String,
    /// Debian packages, separated by spaces.
    pub(super) packages: String,
}

impl Script {
    /// All scripts in a folder, in alphabetical order.
    pub(super) fn all(folder: &Path) -> std::result::Result<Vec<Script>, String> {
        let mut scripts = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
            let file = entry.map_err(|error| error.to_string())?.path();
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if file.extension().is_none_or(|extension| extension != "sh") || name == "common" {
                continue;
            }
            let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            scripts.push(Script::parse(name, file, &text)?);
        }
        scripts.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(scripts)
    }

    fn parse(name: String, file: PathBuf, text: &str) -> std::result::Result<Script, String> {
        let field = |key: &str| {
            let head = text.lines().take_while(|line| line.starts_with('#'));
            let mut values =
                head.filter_map(|line| line.strip_prefix("# ")?.strip_prefix(key)?.strip_prefix(": "));
            values.next().map(str::to_owned).ok_or_else(|| format!("{name}: there is no line `# {key}: …`"))
        };
        Ok(Script {
            title: field("title")?,
            language: field("language")?,
            tests: field("tests")?,
            from: field("from")?,
            packages: field("packages")?,
            name,
            file,
        })
    }

    /// Makes `command`, which starts bash, carry out a phase of the script in the folder `work`.
    pub(super) fn phase(&self, command: &mut Command, phase: &str, prefix: &Path, work: &Path) {
        let common = self.file.with_file_name("common.sh");
        command
            .args(["-euo", "pipefail", "-c", ". \"$1\"; . \"$2\"; \"$3\"", "bash"])
            .args([common.as_path(), &self.file, Path::new(phase)])
            .current_dir(work)
            .env("PREFIX", prefix)
            .env("PROGRAMS", self.file.parent().unwrap_or(Path::new(".")))
            .env("WORK", work);
    }
}

/// What came of a suite.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Result {
    pub(super) passed: u32,
    pub(super) failed: u32,
    pub(super) skipped: u32,
    /// The names of those that failed.
    pub(super) failures: BTreeSet<String>,
}

impl Result {
    /// Reads the last line of the form `N passed, N failed, N skipped`, and the lines `failed: NAME`.
    pub(super) fn parse(output: &str) -> Option<Self> {
        let totals = |line: &str| {
            let mut numbers = [0; 3];
            let mut parts = line.split(", ");
            for (number, word) in numbers.iter_mut().zip([" passed", " failed", " skipped"]) {
                *number = parts.next()?.strip_suffix(word)?.parse().ok()?;
            }
            parts.next().is_none().then_some(numbers)
        };
        let [passed, failed, skipped] = output.lines().rev().find_map(totals)?;
        let failures = output.lines().filter_map(|line| line.strip_prefix("failed: ")).map(str::to_owned);
        Some(Self { passed, failed, skipped, failures: failures.collect() })
    }
}

impl fmt::Display for Result {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_say_what_they_are() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
        let scripts = Script::all(&folder).expect("each has its head");
        assert!(scripts.iter().any(|script| script.name == "pyzmq"));
        assert!(Script::parse("x".into(), "x.sh".into(), "# title: X\n").is_err());
    }

    #[test]
    fn totals_are_the_last_line_of_their_form() {
        let output =
            "1 passed, 0 failed, 0 skipped\nfailed: a b\nfailed: c\n7 passed, 2 failed, 1 skipped\nbye\n";
        let failures = ["a b", "c"].map(String::from).into();
        let expected = Result { passed: 7, failed: 2, skipped: 1, failures };
        assert_eq!(Result::parse(output), Some(expected));
        for none in [
            "",
            "7 passed, 2 failed",
            "7 passed, 2 failed, 1 skipped, 4 more",
            "x passed, 0 failed, 0 skipped",
        ] {
            assert_eq!(Result::parse(none), None, "{none}");
        }
    }
}
