//! COMPATIBILITY.md names the test of every difference, and the tests are there.

use std::path::{Path, PathBuf};

const FOLDERS: [(&str, &str); 6] = [
    ("capi", "crates/libzmq/tests"),
    ("interop", "crates/zlink-interop/tests"),
    ("zlink", "crates/zlink/tests"),
    ("src", "crates/zlink/src"),
    ("zmtp", "crates/zlink-zmtp/tests"),
    ("zmtp-src", "crates/zlink-zmtp/src"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The items of the document's lists and the rows of its tables, each in one line.
fn statements(document: &str) -> Vec<String> {
    let mut statements: Vec<String> = Vec::new();
    let mut open = false;
    for line in document.lines() {
        match line.split_once(' ') {
            Some(("*", text)) => {
                statements.push(text.to_owned());
                open = true;
            }
            Some(("|", row)) if !row.starts_with("what ") => statements.push(row.to_owned()),
            Some(("", text)) if open => {
                let statement = statements.last_mut().expect("an item is open");
                statement.push(' ');
                statement.push_str(text.trim_start());
            }
            _ => open = false,
        }
    }
    statements
}

/// The tests that a statement names: their file's name and their own.
fn tests(statement: &str) -> Vec<(&str, &str)> {
    statement.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(".rs::")).collect()
}

/// Whether a source has a test of this name: a function, marked as a test or handed to a macro that makes tests of it.
fn has_test(source: &str, name: &str) -> bool {
    let Some(at) = source.find(&format!("fn {name}(")) else { return false };
    let before: Vec<&str> =
        source[..at].trim_end().lines().rev().take_while(|line| !line.trim().is_empty()).collect();
    let marked = before.iter().any(|line| line.trim() == "#[test]");
    marked || source.lines().any(|line| line.trim() == format!("{name},"))
}

#[test]
fn every_difference_names_tests_that_are_there() {
    let document = std::fs::read_to_string(root().join("COMPATIBILITY.md")).expect("the document is there");
    let statements = statements(&document);
    assert!(statements.len() > 60, "only {} statements found", statements.len());
    for statement in &statements {
        let tests = tests(statement);
        assert!(!tests.is_empty(), "without a test: {statement}");
        for (file, name) in tests {
            let (folder, rest) = file.split_once('/').expect("a folder");
            let (_, path) = FOLDERS.iter().find(|(short, _)| *short == folder).expect("a folder of the list");
            let path = root().join(path).join(format!("{rest}.rs"));
            let source = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert!(has_test(&source, name), "{} has no test {name}", path.display());
        }
    }
}
