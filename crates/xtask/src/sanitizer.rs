//! The compiler's sanitizers: how our library is built with one, and what a program over it needs.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use clap::ValueEnum;

use crate::workspace::{target_dir, workspace};

/// A sanitizer of the compiler's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Sanitizer {
    /// AddressSanitizer, which finds wrong accesses to memory, with LeakSanitizer.
    Address,
}

impl Sanitizer {
    fn name(self) -> &'static str {
        match self {
            Sanitizer::Address => "address",
        }
    }

    /// Makes `cargo` build with the sanitizer, in a build folder of its own.
    pub(super) fn instrument(self, cargo: &mut Command) -> &mut Command {
        cargo
            // Sanitizers are for nightly compilers to have; this lets the stable one do as well.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", format!("-Zsanitizer={}", self.name()))
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

    /// Settings of the runtime, for the environment of a program.
    pub(super) fn settings(self) -> Vec<(&'static str, OsString)> {
        let suppressions = workspace().join("crates/xtask/sanitizers/leaks.txt");
        let mut leaks = OsString::from("suppressions=");
        leaks.push(suppressions);
        leaks.push(":print_suppressions=0");
        match self {
            Sanitizer::Address => vec![("ASAN_OPTIONS", "detect_leaks=1".into()), ("LSAN_OPTIONS", leaks)],
        }
    }
}
