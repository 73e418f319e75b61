//! Chores of this workspace, started as `cargo xtask COMMAND`.

#![deny(unsafe_code)]

mod conformance;
mod install;
mod process;
mod programs;
mod sanitizer;
mod soak;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use peak_alloc::PeakAlloc;

/// Tells what is allocated, for the soak.
#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Chores of the zlink workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Conformance(conformance::Options),
    Install(install::Options),
    Programs(programs::Options),
    Soak(soak::Options),
    #[command(hide = true)]
    SoakActor(soak::actor::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Conformance(options) => conformance::run(&options),
        Command::Install(options) => install::run(&options).map(|()| true),
        Command::Programs(options) => programs::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::SoakActor(options) => soak::actor::run(&options),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
