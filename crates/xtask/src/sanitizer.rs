//! The compiler's sanitizers: how our library is built with one, and what a program over it needs.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use clap::ValueEnum;

use crate::workspace::{target_dir, workspace};

/// The exit code of a program about which a sanitizer, or valgrind, has reported something. The programs exit with the
/// number of failed cases, which are fewer.
pub(super) const REPORTED: i32 = 99;

/// A sanitizer of the compiler's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Sanitizer {
    /// AddressSanitizer, which finds wrong accesses to memory, with LeakSanitizer.
    Address,
    /// ThreadSanitizer, which finds data races. Needs the component `rust-src`.
    Thread,
}

impl Sanitizer {
    fn name(self) -> &'static str {
        match self {
            Sanitizer::Address => "address",
            Sanitizer::Thread => "thread",
        }
    }

    fn flags(self) -> &'static str {
        match self {
            // Memory that is kept for the next message would not be found to be used too late.
            Sanitizer::Address => "-Zsanitizer=address --cfg no_magazines",
            Sanitizer::Thread => "-Zsanitizer=thread",
        }
    }

    /// Makes `cargo` build with the sanitizer, in a build folder of its own.
    pub(super) fn instrument(self, cargo: &mut Command) -> &mut Command {
        if self == Sanitizer::Thread {
            // A lock or a channel of the standard library's orders what threads do only if that is seen.
            cargo.arg("-Zbuild-std");
        }
        cargo
            // Sanitizers are for nightly compilers to have; this lets the stable one do as well.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", self.flags())
            .arg("--target-dir")
            .arg(target_dir().join(format!("sanitizer-{}", self.name())))
            // With a target, what runs on the way (build scripts, macros) is not instrumented.
            .arg("--target")
            .arg(format!("{}-unknown-linux-gnu", env::consts::ARCH))
    }

    /// Arguments to link the sanitizer's runtime into a program.
    ///
    /// A shared object comes without it, and the one of the C compiler may be of another version.
    pub(super) fn runtime(self) -> Result<Vec<OsString>, String> {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(rustc).args(["--print", "target-libdir"]).output();
        let output = output.map_err(|error| format!("cannot start rustc: {error}"))?;
        let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        // Its name also says which channel the compiler is of.
        let wanted = match self {
            Sanitizer::Address => "_rt.asan.a",
            Sanitizer::Thread => "_rt.tsan.a",
        };
        let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let archive = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.to_string_lossy().ends_with(wanted))
            .ok_or_else(|| format!("{} has no {wanted}", folder.display()))?;
        let mut arguments: Vec<OsString> = vec!["-Wl,--whole-archive".into(), archive.into()];
        // The library looks for the runtime's functions in the program.
        let rest = ["-Wl,--no-whole-archive", "-Wl,--export-dynamic", "-ldl", "-lrt", "-lm", "-lresolv"];
        arguments.extend(rest.map(OsString::from));
        Ok(arguments)
    }

    /// Settings of the runtime, for the environment of `program`.
    pub(super) fn settings(self, program: &str) -> Vec<(&'static str, OsString)> {
        match self {
            Sanitizer::Address => vec![
                // The fast way up a stack ends where a frame pointer is missing, as in the C library.
                ("ASAN_OPTIONS", options("detect_leaks=1:fast_unwind_on_malloc=0:malloc_context_size=60")),
                ("LSAN_OPTIONS", options(&suppressions("leaks", program))),
            ],
            // A child process may start threads: test_fork's does.
            Sanitizer::Thread => {
                vec![(
                    "TSAN_OPTIONS",
                    options(&format!("die_after_fork=0:{}", suppressions("races", program))),
                )]
            }
        }
    }
}

fn options(some: &str) -> OsString {
    format!("exitcode={REPORTED}:{some}").into()
}

/// Names the file of those reports that are not made: of `program` alone, if there is one.
fn suppressions(kind: &str, program: &str) -> String {
    let folder = workspace().join("crates/xtask/sanitizers");
    let own = folder.join(format!("{kind}-{program}.txt"));
    let file = if own.is_file() { own } else { folder.join(format!("{kind}.txt")) };
    // Quoted, a name may have spaces and colons.
    format!("print_suppressions=0:suppressions=\"{}\"", file.display())
}
