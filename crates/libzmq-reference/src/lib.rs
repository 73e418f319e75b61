//! libzmq 4.3.5 as a shared object: what zlink is measured and tested against.
//!
//! The build script compiles the sources in the `zeromq-src` package as upstream's Release
//! configuration does on Linux (`-O3 -DNDEBUG`, epoll, eventfd, WebSocket), whatever the cargo
//! profile, with the draft API, with CURVE if `pkg-config` finds libsodium, and with WSS if it finds GnuTLS. The result
//! has the SONAME `libzmq.so.5`.
//!
//! Nothing is linked into the program that uses this crate: load [`shared_object`] at run time, or
//! compile C against [`include_dir`] and link [`library_dir`]. The paths lie in cargo's build folder and
//! hold as long as it does.

#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;

/// The shared object itself, `libzmq.so.5`.
pub fn shared_object() -> &'static Path {
    Path::new(env!("LIBZMQ_REFERENCE_SO"))
}

/// Whether the library was built with libsodium, and so has CURVE.
pub const fn has_curve() -> bool {
    matches!(env!("LIBZMQ_REFERENCE_CURVE").as_bytes(), b"1")
}

/// Whether the library was built with GnuTLS, and so has the transport `wss`.
pub const fn has_wss() -> bool {
    matches!(env!("LIBZMQ_REFERENCE_WSS").as_bytes(), b"1")
}

/// The folder that holds `libzmq.so.5` and, for the linker's `-lzmq`, `libzmq.so`.
pub fn library_dir() -> &'static Path {
    shared_object().parent().expect("the build script puts the library into a folder")
}

/// Cargo, to build the library that is compared with this one: without what cargo has told a program that it runs about
/// that program's package, because of which build scripts of others (ring's) would run again.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let told = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "OUT_DIR"
        });
        if told {
            command.env_remove(name);
        }
    }
    command
}

/// The root of libzmq's source tree.
pub fn vendor_dir() -> &'static Path {
    Path::new(env!("LIBZMQ_REFERENCE_VENDOR"))
}

/// The folder of libzmq's own public header, `zmq.h`.
pub fn include_dir() -> &'static Path {
    Path::new(concat!(env!("LIBZMQ_REFERENCE_VENDOR"), "/include"))
}

/// The folder of libzmq's own performance programs, `local_lat.cpp` and the others.
pub fn perf_sources() -> &'static Path {
    Path::new(concat!(env!("LIBZMQ_REFERENCE_VENDOR"), "/perf"))
}

/// The folder of `platform.hpp`, which says how the library was configured. libzmq's own tests include it.
pub fn platform_dir() -> &'static Path {
    Path::new(env!("LIBZMQ_REFERENCE_PLATFORM"))
}
