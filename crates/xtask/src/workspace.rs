//! Where this workspace and its build folder are, and how our library is built.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// Builds our library. `release`: optimised. `drafts`: so that `zmq_has` says that libzmq's drafts are there.
pub(super) fn build(release: bool, drafts: bool) -> Result<Built, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--package", "zlink-capi", "--message-format=json-render-diagnostics"]);
    command.arg("--manifest-path").arg(workspace().join("Cargo.toml"));
    command.arg("--target-dir").arg(target_dir());
    if release {
        command.arg("--release");
    }
    if !drafts {
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
