//! Where the tests find the shared object of this package.

#![allow(dead_code, reason = "each test program uses some of it")]

pub mod api;
pub mod each;
pub mod signals;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Our `libzmq.so`, built in the profile of the tests.
///
/// Cargo does not build a package's shared object for its tests, and to make the package a Rust library as well would
/// cost it its link-time optimisation. So it is built here; cargo does nothing if it is there and current.
pub fn our_library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["build", "--lib", "--message-format=json", "--manifest-path"]);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
        // What cargo tells of the package under test: build scripts of others (ring's) would run again because of it.
        for (name, _) in std::env::vars_os() {
            let told = name.to_str().is_some_and(|name| {
                name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "OUT_DIR"
            });
            if told {
                command.env_remove(name);
            }
        }
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        let output =
            command.stderr(Stdio::inherit()).output().expect("cargo runs these tests, so it can be started");
        assert!(output.status.success(), "building the shared object failed: {}", output.status);
        let messages = String::from_utf8_lossy(&output.stdout);
        let path = messages.split('"').find(|text| text.ends_with("/libzmq.so"));
        PathBuf::from(path.expect("cargo names the file it has built"))
    })
}
