//! Where this workspace and its build folder are, and how our library is built.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::sanitizer::Sanitizer;

/// The root of the workspace this program was built from.
pub(super) fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_path_buf()
}

/// Cargo's build folder.
pub(super) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The files of our library, as cargo makes them.
pub(super) struct Built {
    /// `libzmq.so`.
    pub(super) shared: PathBuf,
    /// `libzmq.a`.
    pub(super) archive: PathBuf,
}

/// How to build our library.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipe {
    /// Optimised.
    pub(super) release: bool,
    /// So that `zmq_has` says that libzmq's drafts are there.
    pub(super) drafts: bool,
    pub(super) sanitizer: Option<Sanitizer>,
}

/// Builds our library.
pub(super) fn build(recipe: Recipe) -> Result<Built, String> {
    let mut command = libzmq_reference::cargo();
    command.args(["build", "--package", "zlink-capi", "--message-format=json-render-diagnostics"]);
    command.arg("--manifest-path").arg(workspace().join("Cargo.toml"));
    match recipe.sanitizer {
        None => command.arg("--target-dir").arg(target_dir()),
        Some(sanitizer) => sanitizer.instrument(&mut command),
    };
    if recipe.release {
        command.arg("--release");
    }
    if !recipe.drafts {
        command.arg("--no-default-features");
    }
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("building libzmq: cargo ended with {}", output.status));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let made = |name: &str| {
        let file = messages.split('"').find(|text| text.ends_with(name));
        file.map(PathBuf::from).ok_or_else(|| format!("cargo made no {name}"))
    };
    Ok(Built { shared: made("/libzmq.so")?, archive: made("/libzmq.a")? })
}
