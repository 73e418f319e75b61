//! Programs that know libzmq only, run with their own tests over libzmq and over our library.
//!
//! `crates/xtask/programs` has a script for each. A script gets and builds its program once, against libzmq's headers and
//! library; what it has built then runs over both libraries, chosen by the loader's path alone.

mod script;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::Args;

use crate::install::{Files, HEADERS, lay_out};
use crate::process::{End, Network, run_logged};
use crate::workspace::{Recipe, build, target_dir, workspace};
use script::{Result as Totals, Script};

/// Runs the test suites of programs written for libzmq over libzmq 4.3.5 and over our library.
///
/// Exits with 1 if a test fails over our library that passes over libzmq. The programs come from Debian, PyPI, crates.io
/// and npm; `--packages` tells what has to be installed. What they print is kept in target/programs/.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Only these programs [default: all].
    programs: Vec<String>,
    /// Only list the programs.
    #[arg(long)]
    list: bool,
    /// Only list the Debian packages that the programs need.
    #[arg(long)]
    packages: bool,
    /// Enter the results into docs/programs.md.
    #[arg(long)]
    write: bool,
    /// Build the programs again.
    #[arg(long)]
    fresh: bool,
    /// Build our library unoptimised.
    #[arg(long)]
    dev: bool,
    /// Kill a suite, which then counts as one failure more, after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 900,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

/// The two libraries, by the names of their folders.
const LIBRARIES: [&str; 2] = ["libzmq", "zlink"];

/// Runs the programs. Whether no test fails over our library alone.
///
/// # Errors
///
/// Why the programs could not be run.
pub(super) fn run(options: &Options) -> Result<bool, String> {
    let scripts = Script::all(&workspace().join("crates/xtask/programs"))?;
    if let Some(unknown) = options.programs.iter().find(|name| scripts.iter().all(|s| s.name != **name)) {
        return Err(format!("there is no program {unknown}"));
    }
    let chosen: Vec<&Script> = scripts
        .iter()
        .filter(|script| options.programs.is_empty() || options.programs.contains(&script.name))
        .collect();
    if options.list || options.packages {
        list(&chosen, options.packages);
        return Ok(true);
    }
    let folder = target_dir().join("programs");
    install_both(&folder, !options.dev)?;
    let runner = Runner {
        folder: &folder,
        network: Network::detect(),
        limit: Duration::from_secs(options.timeout),
        fresh: options.fresh,
    };
    let mut good = true;
    for script in chosen {
        println!("{}: {}", script.name, script.title);
        match runner.both(script) {
            Ok((version, [theirs, ours])) => {
                let alone: Vec<&String> = ours.failures.difference(&theirs.failures).collect();
                println!("  libzmq  {theirs}\n  zlink   {ours}");
                alone.iter().for_each(|name| println!("  fails over zlink alone: {name}"));
                // A suite that ended early may have failed without a name.
                good &= alone.is_empty() && ours.failed <= theirs.failed && ours.passed >= theirs.passed;
                if options.write {
                    table::enter(&workspace().join("docs/programs.md"), script, &version, &theirs, &ours)?;
                }
            }
            Err(error) => {
                println!("  {error}");
                good = false;
            }
        }
    }
    Ok(good)
}

fn list(chosen: &[&Script], packages: bool) {
    if packages {
        let all: BTreeSet<&str> =
            chosen.iter().flat_map(|script| script.packages.split_whitespace()).collect();
        all.iter().for_each(|package| println!("{package}"));
    } else {
        chosen.iter().for_each(|script| println!("{:<16} {}", script.name, script.title));
    }
}

/// Installs libzmq and ours side by side below `folder`.
fn install_both(folder: &Path, release: bool) -> Result<(), String> {
    let ours = build(Recipe { release, drafts: true, sanitizer: None })?.shared;
    let headers = workspace().join(HEADERS);
    for (name, shared, headers) in [
        (LIBRARIES[0], libzmq_reference::shared_object(), libzmq_reference::include_dir()),
        (LIBRARIES[1], ours.as_path(), headers.as_path()),
    ] {
        let prefix = folder.join("prefix").join(name);
        lay_out(&Files { shared, archive: None, headers }, &prefix, &prefix, "lib")?;
    }
    Ok(())
}

struct Runner<'a> {
    folder: &'a Path,
    network: Network,
    limit: Duration,
    fresh: bool,
}

impl Runner<'_> {
    /// Builds the program if needed and runs it over libzmq and over ours. Returns its version as well.
    fn both(&self, script: &Script) -> Result<(String, [Totals; 2]), String> {
        let work = self.folder.join(&script.name);
        let stamp = work.join("prepared");
        let text = fs::read_to_string(&script.file).map_err(|error| error.to_string())?;
        if self.fresh || fs::read_to_string(&stamp).ok().as_ref() != Some(&text) {
            if work.exists() {
                fs::remove_dir_all(&work).map_err(|error| format!("{}: {error}", work.display()))?;
            }
            fs::create_dir_all(&work).map_err(|error| format!("{}: {error}", work.display()))?;
            let log = self.folder.join(format!("{}.prepare.log", script.name));
            let mut command = Command::new("bash");
            script.phase(&mut command, "prepare", &self.prefix(LIBRARIES[0]), &work);
            let outcome = run_logged(&mut command, &log, self.limit).map_err(|error| error.to_string())?;
            if outcome.end != End::Exited(0) {
                return Err(format!("cannot be built ({:?}): see {}", outcome.end, log.display()));
            }
            fs::write(&stamp, text).map_err(|error| error.to_string())?;
        }
        let version = fs::read_to_string(work.join("version")).unwrap_or_default().trim().to_owned();
        let [theirs, ours] = LIBRARIES;
        Ok((version, [self.over(script, theirs, &work)?, self.over(script, ours, &work)?]))
    }

    fn over(&self, script: &Script, library: &str, work: &Path) -> Result<Totals, String> {
        let prefix = self.prefix(library);
        let loaded = self.folder.join("loaded");
        let _ = fs::remove_dir_all(&loaded);
        fs::create_dir_all(&loaded).map_err(|error| format!("{}: {error}", loaded.display()))?;
        let mut command = self.network.command(Path::new("bash"));
        script.phase(&mut command, "run", &prefix, work);
        command
            .env("LD_LIBRARY_PATH", prefix.join("lib"))
            // Tells which libraries were loaded.
            .env("LD_DEBUG", "libs")
            .env("LD_DEBUG_OUTPUT", loaded.join("by"));
        let log = self.folder.join(format!("{}.{library}.log", script.name));
        let outcome = run_logged(&mut command, &log, self.limit).map_err(|error| error.to_string())?;
        check_loaded(&loaded, &prefix)?;
        let totals = Totals::parse(&outcome.output);
        totals.ok_or_else(|| format!("over {library}: no totals ({:?}): see {}", outcome.end, log.display()))
    }

    fn prefix(&self, library: &str) -> PathBuf {
        self.folder.join("prefix").join(library)
    }
}

/// Makes sure that the library in `prefix`, and no other libzmq, was loaded, by what the loader has noted in `folder`.
fn check_loaded(folder: &Path, prefix: &Path) -> Result<(), String> {
    let mut found = false;
    for entry in fs::read_dir(folder).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let notes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        for line in String::from_utf8_lossy(&notes).lines() {
            let Some((_, file)) = line.split_once("calling init: ") else { continue };
            if Path::new(file).file_name().is_some_and(|name| name.to_string_lossy().starts_with("libzmq")) {
                found = true;
                if !Path::new(file).starts_with(prefix) {
                    return Err(format!("{file} was loaded in place of the library in {}", prefix.display()));
                }
            }
        }
    }
    if found { Ok(()) } else { Err(String::from("no libzmq was loaded")) }
}
