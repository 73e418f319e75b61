//! System calls per message, counted by `perf` or `strace` in runs of their own.
//!
//! A tracer slows what it watches (`perf` a little, `strace` many times over), so nothing else is taken from these runs,
//! and what an engine gathers may differ in them from what it gathers at full speed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cell::{Cell, Kind};
use crate::engine::Engine;
use crate::runner::{RunError, Settings, run_under};

/// A program that counts the system calls of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    /// `perf stat`, with the tracepoint of every system call.
    Perf,
    /// `strace -c`.
    Strace,
}

/// A counting program, with a folder for what it counts.
pub(crate) struct Tracer {
    program: Program,
    folder: PathBuf,
}

impl Tracer {
    /// The first of the two that works here.
    ///
    /// # Errors
    ///
    /// That neither does.
    pub(crate) fn find() -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("zlink-bench-calls-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut tracer = Self { program: Program::Perf, folder };
        for program in [Program::Perf, Program::Strace] {
            tracer.program = program;
            let mut command = tracer.command(Path::new("true"), 0);
            let ran = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            if ran.is_ok_and(|status| status.success()) && tracer.counted(1).is_some() {
                return Ok(tracer);
            }
        }
        Err("--syscalls needs `perf` with the right to count raw_syscalls:sys_enter, or `strace`".into())
    }

    fn file(&self, index: usize) -> PathBuf {
        self.folder.join(index.to_string())
    }

    /// Starts `program`, its arguments still to be added, and counts into file `index`.
    pub(crate) fn command(&self, program: &Path, index: usize) -> Command {
        let mut command = match self.program {
            Program::Perf => {
                let mut command = Command::new("perf");
                command.args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-o"]);
                command.arg(self.file(index)).arg("--");
                command
            }
            Program::Strace => {
                let mut command = Command::new("strace");
                command.args(["-f", "-c", "-o"]).arg(self.file(index)).arg("--");
                command
            }
        };
        command.arg(program);
        command
    }

    /// All calls of the last run with this many processes.
    fn counted(&self, processes: usize) -> Option<f64> {
        (0..processes)
            .map(|index| {
                let text = fs::read_to_string(self.file(index)).ok()?;
                match self.program {
                    Program::Perf => parse_perf(&text),
                    Program::Strace => parse_strace(&text),
                }
            })
            .sum()
    }

    /// Counts the calls of `engine` in `cell` for each message: those of a run, less those of a run with as few
    /// messages as there may be, which connecting and closing need.
    ///
    /// # Errors
    ///
    /// Why it could not be run or counted.
    pub(crate) fn per_message(
        &self,
        engine: &Engine,
        cell: &Cell,
        settings: &Settings,
    ) -> Result<f64, String> {
        let mut least = cell.clone();
        least.set_count(1);
        let sent = |cell: &Cell| (cell.messages() + cell.warmup_messages()) as f64;
        let more = sent(cell) - sent(&least);
        if cell.kind == Kind::Idle || more <= 0.0 {
            return Err("there are no messages to count by".into());
        }
        // strace takes a hundred times as long.
        let patient = Settings { timeout_s: settings.timeout_s.saturating_mul(20), ..settings.clone() };
        let count = |cell: &Cell| {
            let figures = run_under(engine, cell, &patient, Some(self)).map_err(|error| match error {
                RunError::TimedOut(why) | RunError::Failed(why) => why,
            })?;
            let counted = self.counted(figures.peak_rss_kib.len());
            counted.ok_or_else(|| "the tracer has counted nothing".to_owned())
        };
        let base = count(&least)?;
        Ok(((count(cell)? - base) / more).max(0.0))
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The count is the first field of the line that names the tracepoint.
fn parse_perf(text: &str) -> Option<f64> {
    text.lines().find(|line| line.contains("raw_syscalls:sys_enter"))?.split(',').next()?.parse().ok()
}

/// The count is the fourth field of the last line.
fn parse_strace(text: &str) -> Option<f64> {
    let total = text.lines().rev().find(|line| line.trim_end().ends_with("total"))?;
    total.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_perf_is_found() {
        let text = "# started on Thu\n\n144,,raw_syscalls:sys_enter,1124336,100.00,,\n";
        assert_eq!(parse_perf(text), Some(144.0));
        assert_eq!(parse_perf("<not supported>,,raw_syscalls:sys_enter,0,100.00,,"), None);
        assert_eq!(parse_perf(""), None);
    }

    #[test]
    fn the_total_of_strace_is_found_with_and_without_errors() {
        let with = "  0.00    0.000000           0         1           rseq\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    100.00    0.000000           0       144        19 total\n";
        assert_eq!(parse_strace(with), Some(144.0));
        assert_eq!(parse_strace("100.00    0.000000           0       7           total\n"), Some(7.0));
        assert_eq!(parse_strace("nothing"), None);
    }
}
