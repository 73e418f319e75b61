//! libzmq's own test programs, unmodified, compiled against our header and run over our library or another.
//!
//! The sources come with the package `zeromq-src`, as for `libzmq-reference`. A program passes if it exits with 0 and
//! says of no case that it failed; it is skipped if it exits with 77, which is how the programs say that what they
//! test is not there.

mod expectations;
mod library;
mod programs;
mod report;
mod unity;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;

use expectations::{Ending, Expectations};
use library::Library;
use programs::Builder;
use report::{Finding, conclude, say};

use crate::process::{self, Job, Network};
use crate::sanitizer::Sanitizer;
use crate::workspace::{target_dir, workspace};

/// Runs libzmq's own test programs over zlink's libzmq.so, and compares the result with the list of programs that
/// are not expected to pass.
///
/// Exits with 0 if all is as expected, with 1 if a program fails that is not on the list or one passes that is on it,
/// with 2 if the programs could not be run. Without a list, every failure counts. What each program has printed is
/// kept in target/conformance/run/.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Only these programs: a name, or else a part of names, such as `hwm` [default: all].
    programs: Vec<String>,
    /// Only list the programs.
    #[arg(long)]
    list: bool,
    /// Run over this library instead of ours.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["reference", "release"])]
    library: Option<PathBuf>,
    /// Run over libzmq 4.3.5.
    #[arg(long, conflicts_with = "release")]
    reference: bool,
    /// Build our library optimised.
    #[arg(long)]
    release: bool,
    /// Build our library with a sanitizer of the compiler's, and count what it finds as a failure.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["reference", "library"])]
    sanitizer: Option<Sanitizer>,
    /// Run each program as the last argument of this command, split at spaces, such as `valgrind --quiet`.
    #[arg(long, value_name = "COMMAND")]
    under: Option<String>,
    /// Compile with the draft interface (the default).
    #[arg(long, overrides_with = "stable")]
    drafts: bool,
    /// Compile without the draft interface, and leave out the programs that test nothing else.
    #[arg(long)]
    stable: bool,
    /// The folder with libzmq's fuzzing corpora, `NAME_seed_corpus` each; without it the fuzzers are skipped.
    #[arg(long, value_name = "DIR", env = "ZLINK_FUZZ_CORPORA")]
    corpora: Option<PathBuf>,
    /// The list of programs that are not expected to pass [default: crates/xtask/conformance.txt for our library, and
    /// crates/xtask/sanitizers/slow.txt with a sanitizer or under a command].
    #[arg(long, value_name = "FILE")]
    expectations: Option<PathBuf>,
    /// Compile so many programs at a time, and run as many if each can have a network of its own.
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Kill a program, which then counts as failed, after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

/// Runs the programs. Whether all was as expected.
///
/// # Errors
///
/// Why the programs could not be run.
pub(super) fn run(options: &Options) -> Result<bool, String> {
    let all = programs::all(!options.stable)?;
    let chosen = choose(&all, &options.programs)?;
    if options.list {
        chosen.iter().for_each(|name| say(name));
        return Ok(true);
    }
    process::forbid_core_files().map_err(|error| format!("core files cannot be switched off: {error}"))?;
    let output = target_dir().join("conformance");
    let library = Library::chosen(options, &output)?;
    let expectations = read_expectations(options, &library)?;
    let corpora = options.corpora.as_ref().map(|folder| canonical(folder)).transpose()?;
    let under: Vec<&str> = options.under.iter().flat_map(|command| command.split_whitespace()).collect();
    let network = Network::detect();
    let run_at_a_time = if network == Network::Shared { 1 } else { usize::from(options.jobs) };
    say(&format!("{} programs over {} ({})", chosen.len(), library.name, library.file.display()));
    if network == Network::Shared {
        say("no network namespaces here: one program at a time, multicast as the system has it");
    }

    let builder = Builder::new(&output, &library, !options.stable)?;
    let shared = builder.shared()?;
    let built = in_parallel(usize::from(options.jobs), &chosen, |name| match builder.obstacle(name) {
        Some(obstacle) => Err(Finding::without_a_run(Ending::Skipped, obstacle)),
        None => builder
            .program(name, &shared)
            .map_err(|error| Finding::without_a_run(Ending::Failed, format!("does not compile:\n{error}"))),
    });

    let work: Vec<_> = chosen.iter().zip(built).collect();
    let findings = in_parallel(run_at_a_time, &work, |(name, built)| {
        let finding = match built {
            Ok(program) => {
                let job = Job {
                    program,
                    folder: output.join("run").join(library.name).join(name),
                    library: &library.folder,
                    settings: &library.settings(name),
                    under: &under,
                    corpora: corpora.as_deref(),
                    network,
                    limit: Duration::from_secs(options.timeout),
                };
                match job.run() {
                    Ok(outcome) => Finding::of(&outcome),
                    Err(error) => Finding::without_a_run(Ending::Failed, format!("cannot be run: {error}")),
                }
            }
            Err(finding) => finding.clone(),
        };
        say(finding.lines(name, expectations.allows_failure(name)).trim_end());
        finding
    });
    Ok(conclude(&chosen, &findings, &expectations))
}

/// The programs that `filters` name, all if there are none.
fn choose<'a>(all: &'a [String], filters: &[String]) -> Result<Vec<&'a str>, String> {
    let matches = |name: &str, filter: &str| {
        if all.iter().any(|program| program == filter) { name == filter } else { name.contains(filter) }
    };
    if let Some(filter) = filters.iter().find(|filter| !all.iter().any(|name| matches(name, filter))) {
        return Err(format!("no program is called, or has in its name, {filter}"));
    }
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| matches(name, filter));
    Ok(all.iter().map(String::as_str).filter(|name| wanted(name)).collect())
}

/// The list on the command line, or for our library the one kept beside this package.
fn read_expectations(options: &Options, library: &Library) -> Result<Expectations, String> {
    let slow = options.sanitizer.is_some() || options.under.is_some();
    let kept =
        workspace().join("crates/xtask").join(if slow { "sanitizers/slow.txt" } else { "conformance.txt" });
    let kept = || library.is_ours().then_some(kept);
    let Some(file) = options.expectations.clone().or_else(kept) else { return Ok(Expectations::default()) };
    // A list holds for both settings, and so may name all programs.
    let known = programs::all(true)?;
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    Expectations::parse(&text, &known, !options.stable)
        .map_err(|error| format!("{}: {error}", file.display()))
}

fn canonical(folder: &Path) -> Result<PathBuf, String> {
    folder.canonicalize().map_err(|error| format!("{}: {error}", folder.display()))
}

/// Calls `work` for each item, for so many at a time, and returns the results in the order of the items.
fn in_parallel<T: Sync, R: Send>(threads: usize, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    let result = work(item);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_name_or_a_part_of_names() {
        let all = ["test_hwm", "test_hwm_pubsub", "test_iov"].map(String::from);
        let chosen = |filters: &[&str]| choose(&all, &filters.iter().map(|&f| f.into()).collect::<Vec<_>>());
        assert_eq!(chosen(&[]).expect("no filter takes all"), all);
        assert_eq!(chosen(&["test_hwm"]).expect("it is a name"), ["test_hwm"]);
        assert_eq!(chosen(&["hwm"]).expect("it is a part"), ["test_hwm", "test_hwm_pubsub"]);
        assert_eq!(chosen(&["iov", "pubsub"]).expect("both are parts"), ["test_hwm_pubsub", "test_iov"]);
        assert!(chosen(&["iov", "udp"]).is_err());
    }

    #[test]
    fn parallel_work_keeps_the_order() {
        let items: Vec<usize> = (0..100).collect();
        for threads in [1, 3, 200] {
            let doubled: Vec<usize> = items.iter().map(|item| item * 2).collect();
            assert_eq!(in_parallel(threads, &items, |item| item * 2), doubled);
        }
        assert!(in_parallel(2, &[], |item: &usize| *item).is_empty());
    }
}
