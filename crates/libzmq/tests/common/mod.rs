//! Where the tests find the shared object of this package.

#![allow(dead_code, reason = "each test program uses some of it")]

pub mod api;
pub mod connection;
pub mod each;
pub mod signals;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

/// Our `libzmq.so`, built in the profile of the tests.
///
/// Cargo does not build a package's shared object for its tests, and to make the package a Rust library as well would
/// cost it its link-time optimisation. So it is built here; cargo does nothing if it is there and current.
pub fn our_library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut command = libzmq_reference::cargo();
        command.args(["build", "--lib", "--message-format=json", "--manifest-path"]);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
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
