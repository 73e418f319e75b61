//! libzmq's test programs: which there are, and how they are compiled.
//!
//! The sources are copied, unmodified, into a tree shaped as theirs, with our header in `include`, because they
//! include it by a relative path. Objects are kept and compiled again only if a source, a header or the command has
//! changed. The same programs serve every library: they look for `libzmq.so.5` where they are told to when started.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::library::Library;
use crate::workspace::workspace;

/// Programs that need a header of VMware's to compile.
const NOT_PORTABLE: &[&str] = &["test_pair_vmci", "test_reqrep_vmci"];

/// Programs that upstream builds only with the draft interface.
const DRAFT_ONLY: &[&str] = &[
    "test_app_meta",
    "test_busy_poll",
    "test_channel",
    "test_client_server",
    "test_dgram",
    "test_disconnect_msg",
    "test_hello_msg",
    "test_hiccup_msg",
    "test_msg_init",
    "test_peer",
    "test_poller",
    "test_pubsub_topics_count",
    "test_radio_dish",
    "test_router_notify",
    "test_scatter_gather",
    "test_thread_safe",
    "test_timers",
    "test_xpub_manual_last_value",
    "test_xsub_verbose",
    "test_zmq_ppoll_fd",
    "test_zmq_ppoll_signals",
];

/// Programs that upstream builds only for a library that says it has a capability.
const NEEDS: &[(&str, &str)] = &[
    ("test_bind_curve_fuzzer", "curve"),
    ("test_connect_curve_fuzzer", "curve"),
    (CURVE, "curve"),
    ("test_wss_transport", "WSS"),
];

/// The program that has some of libzmq's own sources, and libsodium, compiled into it.
const CURVE: &str = "test_security_curve";

/// Sources linked into every program, relative to the tree.
const SHARED: &[&str] = &[
    "unity/unity.c",
    "tests/testutil.cpp",
    "tests/testutil_unity.cpp",
    "tests/testutil_monitoring.cpp",
    "tests/testutil_security.cpp",
];

/// Sources linked into [`CURVE`] besides.
const CURVE_SOURCES: &[&str] = &["src/err.cpp", "src/random.cpp", "src/clock.cpp"];

pub(super) fn c_compiler() -> OsString {
    env::var_os("CC").unwrap_or_else(|| "gcc".into())
}

fn cpp_compiler() -> OsString {
    env::var_os("CXX").unwrap_or_else(|| "g++".into())
}

/// All programs, in alphabetical order. `drafts`: with those that need the draft interface.
pub(super) fn all(drafts: bool) -> Result<Vec<String>, String> {
    let folder = libzmq_reference::vendor_dir().join("tests");
    let files = files(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<String> = files
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "cpp"))
        .filter_map(|file| file.file_stem()?.to_str())
        .filter(|name| name.starts_with("test_") && !NOT_PORTABLE.contains(name))
        .filter(|name| drafts || !DRAFT_ONLY.contains(name))
        .map(str::to_owned)
        .collect();
    names.sort();
    Ok(names)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: io::Result<Vec<PathBuf>> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
    Ok(entries?.into_iter().filter(|path| path.is_file()).collect())
}

/// Compiles programs against a library, with one set of flags.
pub(super) struct Builder {
    tree: PathBuf,
    /// Objects and programs made with these flags.
    folder: PathBuf,
    library: PathBuf,
    /// What the programs are linked with for the library's sake.
    runtime: Vec<OsString>,
    /// Flags of the compiler, in the order it gets them.
    flags: Vec<OsString>,
    /// Flags to compile and link with libsodium, or why there are none.
    sodium: Result<Vec<String>, String>,
    /// The capabilities of [`NEEDS`] that the library does not have.
    missing: Vec<&'static str>,
    /// Of everything but the source that an object depends on.
    common: u64,
}

impl Builder {
    /// Lays out the sources under `output`. `drafts`: with the draft interface.
    pub(super) fn new(output: &Path, library: &Library, drafts: bool) -> Result<Self, String> {
        let tree = output.join("tree");
        stage(&tree).map_err(|error| format!("{}: {error}", tree.display()))?;

        let mut flags: Vec<OsString> = ["-g", "-O1", "-pthread", "-fPIC", "-w"].map(OsString::from).into();
        for define in [
            "_GNU_SOURCE",
            "_REENTRANT",
            "ZMQ_CUSTOM_PLATFORM_HPP",
            "UNITY_USE_COMMAND_LINE_ARGS",
            "UNITY_EXCLUDE_FLOAT",
            // A program that is killed has then said which cases had passed.
            "UNITY_USE_FLUSH_STDOUT",
        ] {
            flags.push(format!("-D{define}").into());
        }
        let mut variant = String::from("stable");
        if drafts {
            variant = "drafts".into();
            flags.push("-DZMQ_BUILD_DRAFT_API".into());
        }
        let mut missing = Vec::new();
        for capability in ["curve", "WSS"] {
            if !library.has(capability)? {
                missing.push(capability);
            }
        }
        // Upstream's configuration says it too; in the reference's it depends on libsodium.
        if !missing.contains(&"curve") {
            variant.push_str("-curve");
            flags.extend(["-DZMQ_HAVE_CURVE", "-DZMQ_USE_LIBSODIUM"].map(OsString::from));
        }
        flags.push("-I".into());
        flags.push(libzmq_reference::platform_dir().into());
        flags.push("-I".into());
        flags.push(tree.join("unity").into());

        if !library.runtime.is_empty() {
            variant.push_str("-sanitized");
        }
        let folder = output.join(variant);
        fs::create_dir_all(folder.join("objects"))
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        let sodium = find_sodium();
        let common = common_key(&tree, &flags).map_err(|error| format!("{}: {error}", tree.display()))?;
        Ok(Self {
            tree,
            folder,
            library: library.folder.clone(),
            runtime: library.runtime.clone(),
            flags,
            sodium,
            missing,
            common,
        })
    }

    /// Why a program cannot be built here, if so. It then counts as skipped.
    pub(super) fn obstacle(&self, program: &str) -> Option<String> {
        let needed = NEEDS.iter().find(|(name, _)| *name == program).map(|(_, capability)| *capability);
        match (needed, &self.sodium) {
            (Some(capability), _) if self.missing.contains(&capability) => {
                Some(format!("zmq_has(\"{capability}\") is 0"))
            }
            (_, Err(reason)) if program == CURVE => Some(reason.clone()),
            _ => None,
        }
    }

    /// Compiles the sources that all programs share.
    pub(super) fn shared(&self) -> Result<Vec<PathBuf>, String> {
        SHARED.iter().map(|source| self.object(source)).collect()
    }

    /// Compiles and links a program, if needed, and returns where it is.
    pub(super) fn program(&self, name: &str, shared: &[PathBuf]) -> Result<PathBuf, String> {
        let mut objects = vec![self.object(&format!("tests/{name}.cpp"))?];
        let mut libraries = Vec::new();
        if name == CURVE {
            for source in CURVE_SOURCES {
                objects.push(self.object(source)?);
            }
            libraries.clone_from(self.sodium.as_ref().map_err(String::clone)?);
        }
        objects.extend_from_slice(shared);

        let program = self.folder.join(name);
        let mut key = DefaultHasher::new();
        self.runtime.hash(&mut key);
        for object in &objects {
            fs::read(object).map_err(|error| format!("{}: {error}", object.display()))?.hash(&mut key);
        }
        made(&program, key.finish(), || {
            let mut linker = Command::new(cpp_compiler());
            linker.args(["-pthread", "-o"]).arg(&program).args(&objects).args(&self.runtime);
            linker.arg("-L").arg(&self.library).arg("-l:libzmq.so.5").args(&libraries);
            linker
        })?;
        Ok(program)
    }

    /// Compiles a source of the tree, if needed, and returns where the object is.
    fn object(&self, source: &str) -> Result<PathBuf, String> {
        let object = self.folder.join("objects").join(source.replace('/', "-")).with_extension("o");
        let path = self.tree.join(source);
        let mut key = DefaultHasher::new();
        self.common.hash(&mut key);
        fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?.hash(&mut key);
        let is_c = path.extension().is_some_and(|extension| extension == "c");
        let extra = match &self.sodium {
            Ok(flags) if source.contains(CURVE) || CURVE_SOURCES.contains(&source) => flags.as_slice(),
            _ => &[],
        };
        extra.hash(&mut key);
        made(&object, key.finish(), || {
            let mut compiler = Command::new(if is_c { c_compiler() } else { cpp_compiler() });
            compiler.args(&self.flags).args(extra).arg("-c").arg(&path).arg("-o").arg(&object);
            compiler
        })?;
        Ok(object)
    }
}

/// Runs a command that makes `file`, unless it was made before with the same key.
fn made(file: &Path, key: u64, command: impl FnOnce() -> Command) -> Result<(), String> {
    let mut stamp = file.as_os_str().to_owned();
    stamp.push(".key");
    let key = format!("{key:016x}");
    if file.is_file() && fs::read_to_string(&stamp).is_ok_and(|old| old == key) {
        return Ok(());
    }
    let output = command().output().map_err(|error| format!("cannot start the compiler: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    fs::write(&stamp, key).map_err(|error| format!("{}: {error}", file.display()))
}

/// Lays out the sources, and our header among them.
fn stage(tree: &Path) -> io::Result<()> {
    let vendor = libzmq_reference::vendor_dir();
    for (from, to) in [
        (workspace().join("crates/libzmq/include"), "include"),
        (vendor.join("tests"), "tests"),
        (vendor.join("src"), "src"),
        (vendor.join("external/unity"), "unity"),
    ] {
        let folder = tree.join(to);
        fs::create_dir_all(&folder)?;
        for file in files(&from)? {
            fs::copy(&file, folder.join(file.file_name().unwrap_or_default()))?;
        }
    }
    Ok(())
}

/// A number that changes with the compiler, the flags, and any header.
fn common_key(tree: &Path, flags: &[OsString]) -> io::Result<u64> {
    let mut key = DefaultHasher::new();
    for compiler in [c_compiler(), cpp_compiler()] {
        Command::new(compiler).arg("--version").output()?.stdout.hash(&mut key);
    }
    flags.hash(&mut key);
    let mut headers = files(libzmq_reference::platform_dir())?;
    for folder in ["include", "tests", "src", "unity"] {
        headers.extend(files(&tree.join(folder))?);
    }
    headers.retain(|path| path.extension().is_some_and(|extension| extension == "h" || extension == "hpp"));
    headers.sort();
    for header in headers {
        fs::read(header)?.hash(&mut key);
    }
    Ok(key.finish())
}

fn find_sodium() -> Result<Vec<String>, String> {
    let output = Command::new("pkg-config").args(["--cflags", "--libs", "libsodium"]).output();
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect())
        }
        _ => Err("pkg-config finds no libsodium, which this program is linked with".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_are_found() {
        let (drafts, stable) = (all(true).expect("they are there"), all(false).expect("they are there"));
        assert_eq!(drafts.len(), 137);
        assert_eq!(drafts.len() - stable.len(), DRAFT_ONLY.len());
        assert!(stable.contains(&"test_pair_tcp".to_owned()));
        assert!(drafts.is_sorted());
    }

    #[test]
    fn a_file_is_made_again_only_if_its_key_changes() {
        let file = std::env::temp_dir().join(format!("xtask-made-{}", std::process::id()));
        let make = |key: u64, program: &str| {
            made(&file, key, || {
                let mut command = Command::new(program);
                command.arg(&file);
                command
            })
        };
        assert!(make(1, "touch").is_ok());
        assert!(make(1, "false").is_ok(), "it is there");
        assert!(make(2, "false").is_err(), "it is out of date");
        assert!(make(2, "touch").is_ok());
        let mut stamp = file.clone().into_os_string();
        stamp.push(".key");
        for path in [file.into_os_string(), stamp] {
            fs::remove_file(path).expect("it was made");
        }
    }
}
