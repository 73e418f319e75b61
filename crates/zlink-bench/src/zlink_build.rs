//! Builds zlink's `libzmq.so` with cargo, as the bench is asked to compare it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

/// The root of the workspace this program was built from.
pub(crate) fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_path_buf()
}

/// The target folder this program lies in, or the usual one if it was moved.
pub(crate) fn target_dir() -> PathBuf {
    env::current_exe()
        .ok()
        .and_then(|program| {
            let profile = program.parent()?;
            let is_profile = ["release", "debug"].iter().any(|name| profile.ends_with(name));
            is_profile.then(|| profile.parent().map(Path::to_path_buf)).flatten()
        })
        .unwrap_or_else(|| workspace().join("target"))
}

#[derive(Deserialize)]
struct CargoMessage {
    reason: String,
    #[serde(default)]
    target: CargoTarget,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Default, Deserialize)]
struct CargoTarget {
    #[serde(default)]
    kind: Vec<String>,
    #[serde(default)]
    name: String,
}

/// Builds the package `zlink-capi` optimised and returns its shared object.
///
/// # Errors
///
/// What cargo said last, if it failed.
pub(crate) fn build() -> Result<PathBuf, String> {
    let output = libzmq_reference::cargo()
        .args(["build", "--release", "--package", "zlink-capi"])
        .arg("--message-format=json-render-diagnostics")
        .arg("--manifest-path")
        .arg(workspace().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target_dir())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("build: cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("build: cargo ended with {}", output.status));
    }
    find_shared_object(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| "build: cargo made no libzmq.so".into())
}

fn find_shared_object(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<CargoMessage>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .filter(|message| {
            message.target.name == "zmq" && message.target.kind.iter().any(|kind| kind == "cdylib")
        })
        .flat_map(|message| message.filenames)
        .find(|file| file.extension().is_some_and(|extension| extension == "so"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shared_object_is_found_among_cargos_messages() {
        let messages = concat!(
            "{\"reason\":\"build-script-executed\",\"package_id\":\"x\"}\n",
            "not json\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"kind\":[\"lib\"],\"name\":\"zlink\"},",
            "\"filenames\":[\"/t/libzlink.rlib\"]}\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"kind\":[\"cdylib\",\"staticlib\"],",
            "\"name\":\"zmq\"},\"filenames\":[\"/t/libzmq.a\",\"/t/libzmq.so\"]}\n",
            "{\"reason\":\"build-finished\",\"success\":true}\n",
        );
        assert_eq!(find_shared_object(messages), Some("/t/libzmq.so".into()));
        assert_eq!(find_shared_object("{\"reason\":\"build-finished\"}"), None);
    }
}
