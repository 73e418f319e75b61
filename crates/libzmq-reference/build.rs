//! Compiles libzmq 4.3.5 into a shared object, configured as upstream's CMake Release does on Linux.
//!
//! The optimisation does not follow the cargo profile: a comparison against an unoptimised libzmq
//! would be worth nothing, and a debug test run may well be the one that builds it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Set for the child process that only asks `zeromq-src` where it lies.
const PROBE: &str = "LIBZMQ_REFERENCE_PROBE";

/// What `CMakeLists.txt` and `ZMQSourceRunChecks.cmake` detect with glibc on Linux.
///
/// CURVE and WSS are not said here: they depend on libraries. TIPC is: the header is always there, and a kernel without
/// it says so to whoever binds.
const PLATFORM: &[(&str, &str)] = &[
    ("ZMQ_USE_CV_IMPL_STL11", ""),
    ("ZMQ_IOTHREAD_POLLER_USE_EPOLL", ""),
    ("ZMQ_IOTHREAD_POLLER_USE_EPOLL_CLOEXEC", ""),
    ("ZMQ_HAVE_PPOLL", ""),
    ("ZMQ_POLL_BASED_ON_POLL", ""),
    ("HAVE_POSIX_MEMALIGN", "1"),
    ("ZMQ_CACHELINE_SIZE", "64"),
    ("HAVE_FORK", ""),
    ("HAVE_CLOCK_GETTIME", ""),
    ("HAVE_MKDTEMP", ""),
    ("ZMQ_HAVE_UIO", ""),
    ("ZMQ_HAVE_NOEXCEPT", ""),
    ("ZMQ_HAVE_EVENTFD", ""),
    ("ZMQ_HAVE_EVENTFD_CLOEXEC", ""),
    ("ZMQ_HAVE_IFADDRS", ""),
    ("ZMQ_HAVE_SO_BINDTODEVICE", ""),
    ("ZMQ_HAVE_SO_PEERCRED", ""),
    ("ZMQ_HAVE_BUSY_POLL", ""),
    ("ZMQ_HAVE_O_CLOEXEC", ""),
    ("ZMQ_HAVE_SOCK_CLOEXEC", ""),
    ("ZMQ_HAVE_SO_KEEPALIVE", ""),
    ("ZMQ_HAVE_SO_PRIORITY", ""),
    ("ZMQ_HAVE_TCP_KEEPCNT", ""),
    ("ZMQ_HAVE_TCP_KEEPIDLE", ""),
    ("ZMQ_HAVE_TCP_KEEPINTVL", ""),
    ("ZMQ_HAVE_PTHREAD_SETNAME_2", ""),
    ("ZMQ_HAVE_PTHREAD_SET_AFFINITY", ""),
    ("HAVE_ACCEPT4", ""),
    ("HAVE_STRNLEN", ""),
    ("ZMQ_HAVE_IPC", ""),
    ("ZMQ_HAVE_STRUCT_SOCKADDR_UN", ""),
    ("ZMQ_USE_BUILTIN_SHA1", ""),
    ("ZMQ_HAVE_WS", ""),
    ("HAVE_IF_NAMETOINDEX", ""),
    ("ZMQ_HAVE_TIPC", ""),
    ("ZMQ_HAVE_LINUX", ""),
];

/// Sources that need GnuTLS.
const WSS_SOURCES: &[&str] = &["wss_address.cpp", "wss_engine.cpp"];

fn main() {
    if env::var_os(PROBE).is_some() {
        zeromq_src::Build::new().build();
        return;
    }
    println!("cargo::rerun-if-changed=build.rs");
    for name in ["CC", "CXX", "CFLAGS", "CXXFLAGS", "AR", "PKG_CONFIG_PATH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let vendor = vendor_dir(&out);
    println!("cargo::rerun-if-changed={}", vendor.display());
    let generated = out.join("generated");
    fs::create_dir_all(&generated).expect("OUT_DIR is writable");

    let shared = out.join("libzmq.so.5");
    write_platform_header(&generated, &out);
    // Without libsodium there is no CURVE, without GnuTLS no WSS.
    let (sodium, gnutls) = (Dependency::find("libsodium"), Dependency::find("gnutls"));
    let sources = Sources::of(&vendor, gnutls.is_some());
    let sha1 = compiler(&vendor, &generated).files(&sources.c).compile_intermediates();
    let mut cpp = compiler(&vendor, &generated);
    cpp.cpp(true).std("c++11").files(&sources.cpp);
    if sodium.is_some() {
        cpp.define("ZMQ_HAVE_CURVE", None).define("ZMQ_USE_LIBSODIUM", None);
    }
    if gnutls.is_some() {
        cpp.define("ZMQ_HAVE_WSS", None).define("ZMQ_USE_GNUTLS", None);
    }
    let kerberos = env::var_os("CARGO_FEATURE_GSSAPI").map(|_| {
        cpp.define("HAVE_LIBGSSAPI_KRB5", "1");
        Dependency::find("krb5-gssapi").expect("the feature gssapi needs libkrb5's headers")
    });
    let found: Vec<&Dependency> = sodium.iter().chain(&gnutls).chain(&kerberos).collect();
    for flag in found.iter().flat_map(|dependency| &dependency.cflags) {
        cpp.flag(flag);
    }
    let mut objects = cpp.compile_intermediates();
    objects.extend(sha1);
    link(&vendor, &generated, &objects, &found, &shared);
    let plain = out.join("libzmq.so");
    let _ = fs::remove_file(&plain);
    std::os::unix::fs::symlink("libzmq.so.5", &plain).expect("OUT_DIR takes symbolic links");

    println!("cargo::rustc-env=LIBZMQ_REFERENCE_SO={}", shared.display());
    println!("cargo::rustc-env=LIBZMQ_REFERENCE_VENDOR={}", vendor.display());
    println!("cargo::rustc-env=LIBZMQ_REFERENCE_PLATFORM={}", generated.display());
    println!("cargo::rustc-env=LIBZMQ_REFERENCE_CURVE={}", u8::from(sodium.is_some()));
    println!("cargo::rustc-env=LIBZMQ_REFERENCE_WSS={}", u8::from(gnutls.is_some()));
}

/// How to compile and link with a library of the system.
struct Dependency {
    cflags: Vec<String>,
    libs: Vec<String>,
}

impl Dependency {
    /// The library, if `pkg-config` finds it.
    fn find(name: &str) -> Option<Self> {
        let ask = |what: &str| {
            let output = Command::new("pkg-config").args([what, name]).stderr(Stdio::null()).output().ok()?;
            let text = String::from_utf8(output.stdout).ok()?;
            output.status.success().then(|| text.split_whitespace().map(str::to_owned).collect())
        };
        Some(Self { cflags: ask("--cflags")?, libs: ask("--libs")? })
    }
}

/// Finds the libzmq sources inside the `zeromq-src` package.
///
/// The package has no function that tells, but its build function prints the path of one of its
/// files before it starts a compiler. It runs in a child process: it would otherwise also tell cargo
/// to link its static archive into every program that uses this crate.
fn vendor_dir(out: &Path) -> PathBuf {
    let probe = out.join("probe");
    fs::create_dir_all(&probe).expect("OUT_DIR is writable");
    let result = Command::new(env::current_exe().expect("a build script knows its own path"))
        .env(PROBE, "1")
        .env("OUT_DIR", &probe)
        .env("TARGET", "x86_64-unknown-linux-gnu")
        .env("CARGO_CFG_TARGET_ENV", "gnu")
        // Compilers that fail at once: only the first line of the output is of interest.
        .env("CC", "false")
        .env("CXX", "false")
        .stderr(Stdio::null())
        .output()
        .expect("the build script can start itself");
    let text = String::from_utf8_lossy(&result.stdout);
    text.lines()
        .filter_map(|line| line.strip_prefix("cargo:rerun-if-changed="))
        .filter_map(|path| Path::new(path).ancestors().nth(2))
        .map(|package| package.join("vendor"))
        .find(|vendor| vendor.join("include/zmq.h").is_file())
        .unwrap_or_else(|| panic!("zeromq-src did not tell where its sources are:\n{text}"))
}

struct Sources {
    c: Vec<PathBuf>,
    cpp: Vec<PathBuf>,
}

impl Sources {
    fn of(vendor: &Path, wss: bool) -> Self {
        let mut cpp: Vec<PathBuf> = fs::read_dir(vendor.join("src"))
            .expect("zeromq-src has a source folder")
            .map(|entry| entry.expect("the source folder can be read").path())
            .filter(|path| path.extension().is_some_and(|ext| ext == "cpp"))
            .filter(|path| wss || !WSS_SOURCES.iter().any(|name| path.ends_with(name)))
            .collect();
        cpp.sort();
        Self { c: vec![vendor.join("external/sha1/sha1.c")], cpp }
    }
}

fn compiler(vendor: &Path, generated: &Path) -> cc::Build {
    let mut build = cc::Build::new();
    build
        .opt_level(3)
        .debug(false)
        .force_frame_pointer(false)
        .pic(true)
        .warnings(false)
        .cargo_metadata(false)
        .include(generated)
        .include(vendor.join("include"))
        .include(vendor.join("src"))
        .include(vendor.join("external/sha1"))
        .define("NDEBUG", None)
        .define("_GNU_SOURCE", None)
        .define("_REENTRANT", None)
        .define("_THREAD_SAFE", None)
        .define("ZMQ_CUSTOM_PLATFORM_HPP", None)
        .define("ZMQ_BUILD_DRAFT_API", None);
    build
}

fn write_platform_header(generated: &Path, out: &Path) {
    let mut text = String::from("#pragma once\n");
    for (name, value) in PLATFORM {
        text.push_str(&format!("#define {name} {value}\n"));
    }
    if has_strlcpy(out) {
        text.push_str("#define ZMQ_HAVE_STRLCPY\n");
    }
    fs::write(generated.join("platform.hpp"), text).expect("OUT_DIR is writable");
}

/// glibc has `strlcpy` from 2.38 on, and libzmq brings its own where it is missing.
fn has_strlcpy(out: &Path) -> bool {
    let source = out.join("strlcpy.c");
    fs::write(&source, "#include <string.h>\nint main(void){char d[2];return (int)strlcpy(d,\"\",2);}\n")
        .expect("OUT_DIR is writable");
    cc::Build::new()
        .cargo_metadata(false)
        .get_compiler()
        .to_command()
        .arg("-Werror=implicit-function-declaration")
        .arg(&source)
        .arg("-o")
        .arg(out.join("strlcpy"))
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn link(vendor: &Path, generated: &Path, objects: &[PathBuf], found: &[&Dependency], shared: &Path) {
    let tool = compiler(vendor, generated).cpp(true).get_compiler();
    let mut command = tool.to_command();
    let mut arguments: Vec<OsString> = vec!["-shared".into(), "-Wl,-soname,libzmq.so.5".into()];
    arguments.push("-Wl,--no-undefined".into());
    arguments.extend(objects.iter().map(OsString::from));
    arguments.extend(found.iter().flat_map(|dependency| &dependency.libs).map(OsString::from));
    arguments.extend(["-lpthread", "-lrt", "-lstdc++", "-o"].map(OsString::from));
    arguments.push(shared.into());
    let status = command
        .args(&arguments)
        .status()
        .unwrap_or_else(|error| panic!("cannot start the C++ compiler as linker: {error}"));
    assert!(status.success(), "linking libzmq.so.5 failed: {status}");
}
