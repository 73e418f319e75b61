//! The table in docs/programs.md: a row for each program, replaced when it was run again.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::script::{Result as Totals, Script};

const RULE: &str = "|---|---|---|---|---|---|---|---|";

/// Enters a result into the table.
pub(super) fn enter(
    file: &Path,
    script: &Script,
    version: &str,
    theirs: &Totals,
    ours: &Totals,
) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", file.display());
    let text = fs::read_to_string(file).map_err(failed)?;
    let date = Command::new("date").args(["-u", "+%F"]).output().map_err(failed)?;
    let date = String::from_utf8_lossy(&date.stdout).trim().to_owned();
    fs::write(file, with_row(&text, &row(script, version, theirs, ours, &date))).map_err(failed)
}

fn row(script: &Script, version: &str, theirs: &Totals, ours: &Totals, date: &str) -> String {
    let alone: Vec<String> =
        ours.failures.difference(&theirs.failures).map(|name| format!("`{name}`")).collect();
    let cells = [
        script.title.clone(),
        script.language.clone(),
        format!("{version} ({})", script.from),
        script.tests.clone(),
        theirs.to_string(),
        ours.to_string(),
        if alone.is_empty() { String::from("none") } else { alone.join(", ") },
        date.to_owned(),
    ];
    format!("| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

/// The text with `row` in place of the row with the same first cell, or at the end of the table.
fn with_row(text: &str, row: &str) -> String {
    let first = |line: &str| line.split('|').nth(1).map(str::to_owned);
    let mut lines: Vec<&str> = text.lines().collect();
    let start = lines.iter().position(|line| *line == RULE).map_or(lines.len(), |rule| rule + 1);
    let end =
        lines[start..].iter().position(|line| !line.starts_with('|')).map_or(lines.len(), |n| start + n);
    match lines[start..end].iter().position(|line| first(line) == first(row)) {
        Some(at) => lines[start + at] = row,
        None => lines.insert(end, row),
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_replaces_that_of_the_same_program() {
        let text = format!("# Title\n\n| a | b |\n{RULE}\n| x | 1 |\n| y | 2 |\n\nThe end.\n");
        assert_eq!(with_row(&text, "| x | 3 |"), text.replace("| x | 1 |", "| x | 3 |"));
        assert_eq!(with_row(&text, "| z | 4 |"), text.replace("| y | 2 |\n", "| y | 2 |\n| z | 4 |\n"));
    }
}
