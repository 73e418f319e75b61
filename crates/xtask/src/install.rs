//! Puts our library where programs built for libzmq look for it.
//!
//! The files are those of upstream's `make install` and `cmake --install`, less its manual. A program finds them through
//! `pkg-config`, through CMake's `find_package(ZeroMQ)`, or with no more than the folder on the loader's path.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::workspace::{Recipe, build, target_dir, workspace};

/// The file of the shared object; libtool's number for libzmq 4.3.5, which is not its version.
const SHARED: &str = "libzmq.so.5.2.5";
/// The name it bears, by which the loader finds it.
const SONAME: &str = "libzmq.so.5";
/// The name that the linker looks for.
const DEVELOPMENT: &str = "libzmq.so";
const ARCHIVE: &str = "libzmq.a";

/// Files that tell other build systems where the library is: folder below the library folder, name, text.
const DESCRIPTIONS: &[(&str, &str, &str)] = &[
    ("pkgconfig", "libzmq.pc", include_str!("../install/libzmq.pc.in")),
    ("cmake/ZeroMQ", "ZeroMQConfig.cmake", include_str!("../install/ZeroMQConfig.cmake.in")),
    ("cmake/ZeroMQ", "ZeroMQConfigVersion.cmake", include_str!("../install/ZeroMQConfigVersion.cmake.in")),
    ("cmake/ZeroMQ", "ZeroMQTargets.cmake", include_str!("../install/ZeroMQTargets.cmake.in")),
];

/// Builds libzmq.so.5 and libzmq.a and installs them, with the headers and the files for pkg-config and CMake.
///
/// Files of another libzmq under the same prefix are replaced. Needs `ld` and `objcopy` of binutils.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The folder to install under, such as /usr/local.
    #[arg(long, value_name = "DIR")]
    prefix: PathBuf,
    /// Put the files under DIR for now; they are made to be moved to the prefix.
    #[arg(long, value_name = "DIR")]
    destdir: Option<PathBuf>,
    /// The folder for libraries, below the prefix.
    #[arg(long, value_name = "DIR", default_value = "lib", value_parser = below)]
    libdir: String,
    /// Install the development build, which is quicker to make and slower to run.
    #[arg(long)]
    dev: bool,
}

/// Accepts a folder below another.
fn below(text: &str) -> Result<String, String> {
    let plain = |component| matches!(component, Component::Normal(_));
    let path = Path::new(text);
    if text.is_empty() || !path.components().all(plain) {
        return Err("not a folder below the prefix".into());
    }
    Ok(path.components().collect::<PathBuf>().display().to_string())
}

/// Installs the library.
///
/// # Errors
///
/// What could not be built or written.
pub(super) fn run(options: &Options) -> Result<(), String> {
    let prefix = std::path::absolute(&options.prefix).map_err(|error| error.to_string())?;
    let root = match &options.destdir {
        Some(folder) => folder.join(prefix.strip_prefix("/").unwrap_or(&prefix)),
        None => prefix.clone(),
    };
    let built = build(Recipe { release: !options.dev, drafts: true, sanitizer: None })?;
    let archive = self_contained(&built.archive)?;
    let files = Files { shared: &built.shared, archive: Some(&archive), headers: &workspace().join(HEADERS) };
    lay_out(&files, &prefix, &root, &options.libdir)
}

/// Where our headers are, in the workspace.
pub(super) const HEADERS: &str = "crates/libzmq/include";

/// What a library consists of.
pub(super) struct Files<'a> {
    pub(super) shared: &'a Path,
    pub(super) archive: Option<&'a Path>,
    /// The folder with the headers.
    pub(super) headers: &'a Path,
}

/// Puts a library under `root`, described as being under `prefix`.
pub(super) fn lay_out(files: &Files, prefix: &Path, root: &Path, libdir: &str) -> Result<(), String> {
    try_lay_out(files, prefix, root, libdir).map_err(|(path, error)| format!("{}: {error}", path.display()))
}

type Failure = (PathBuf, io::Error);

fn try_lay_out(files: &Files, prefix: &Path, root: &Path, libdir: &str) -> Result<(), Failure> {
    let library = root.join(libdir);
    put(&library.join(SHARED), &read(files.shared)?)?;
    for name in [SONAME, DEVELOPMENT] {
        let link = library.join(name);
        replace(&link, |new| symlink(SHARED, new))?;
    }
    if let Some(archive) = files.archive {
        put(&library.join(ARCHIVE), &read(archive)?)?;
    }

    let headers = files.headers;
    for entry in fs::read_dir(headers).map_err(|error| (headers.to_path_buf(), error))? {
        let entry = entry.map_err(|error| (headers.to_path_buf(), error))?;
        put(&root.join("include").join(entry.file_name()), &read(&entry.path())?)?;
    }

    let version = version(&String::from_utf8_lossy(&read(&headers.join("zmq.h"))?));
    let up = "../".repeat(Path::new(libdir).components().count() + 2);
    for (folder, name, text) in DESCRIPTIONS {
        let text = text
            .replace("@PREFIX@", &prefix.display().to_string())
            .replace("@LIBDIR@", libdir)
            .replace("@TO_PREFIX@", up.trim_end_matches('/'))
            .replace("@VERSION@", &version)
            .replace("@SHARED@", SHARED)
            .replace("@SONAME@", SONAME);
        put(&library.join(folder).join(name), text.as_bytes())?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| (path.to_path_buf(), error))
}

/// Writes a file that all may read.
fn put(path: &Path, content: &[u8]) -> Result<(), Failure> {
    replace(path, |new| {
        fs::write(new, content)?;
        fs::set_permissions(new, fs::Permissions::from_mode(0o644))
    })
}

/// Makes a file beside `path` and renames it: programs that run over the old file keep it as it is.
fn replace(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), Failure> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(new);
    let done = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| make(&new))
        .and_then(|()| fs::rename(&new, path));
    done.map_err(|error| {
        // It may not be there.
        let _ = fs::remove_file(&new);
        (path.to_path_buf(), error)
    })
}

/// The version that `zmq.h` states.
fn version(header: &str) -> String {
    let part = |name: &str| {
        let line =
            header.lines().find_map(|line| line.strip_prefix("#define ZMQ_VERSION_")?.strip_prefix(name));
        line.map_or("0", str::trim).to_owned()
    };
    [part("MAJOR "), part("MINOR "), part("PATCH ")].join(".")
}

/// Makes an archive of one object, in which only the functions of the interface can be seen, and returns where it is.
///
/// Rust's archive shows all of its symbols, the standard library's among them, which would clash with those of any
/// other Rust library in the same program.
fn self_contained(archive: &Path) -> Result<PathBuf, String> {
    let folder = target_dir().join("install");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // Two runs at a time do not meet.
    let own = |name: &str| folder.join(format!("{}-{name}", std::process::id()));
    let (all, object, finished) = (own("all.o"), own("libzmq.o"), folder.join(ARCHIVE));
    let result = tool("ld", &["-r", "--whole-archive"], &[archive], Some(&all))
        .and_then(|()| {
            let keep = ["--wildcard", "--keep-global-symbol=zmq_*", "--keep-global-symbol=zlink_*"];
            // The standard library comes with its bitcode, of use only to the Rust compiler.
            let drop = ["--remove-section=.llvmbc", "--remove-section=.llvmcmd", "--strip-debug"];
            tool("objcopy", &[keep, drop].concat(), &[&all, &object], None)
        })
        .and_then(|()| {
            let new = own(ARCHIVE);
            let _ = fs::remove_file(&new);
            tool("ar", &["rcs"], &[&new, &object], None)?;
            fs::rename(&new, &finished).map_err(|error| format!("{}: {error}", finished.display()))
        });
    for file in [all, object] {
        let _ = fs::remove_file(file);
    }
    result.map(|()| finished)
}

/// Runs a program of binutils, or the one that the variable of its name says, as `LD=ld.bfd`.
fn tool(name: &str, arguments: &[&str], files: &[&Path], output: Option<&Path>) -> Result<(), String> {
    let program = env::var_os(name.to_uppercase()).unwrap_or_else(|| name.into());
    let mut command = Command::new(program);
    command.args(arguments).args(files);
    if let Some(output) = output {
        command.arg("-o").arg(output);
    }
    let status = command.status().map_err(|error| format!("cannot start {name} (binutils): {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} ended with {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_folders_lie_below_the_prefix() {
        assert_eq!(below("lib").as_deref(), Ok("lib"));
        assert_eq!(below("lib/x86_64-linux-gnu/").as_deref(), Ok("lib/x86_64-linux-gnu"));
        for wrong in ["", "/lib", "../lib", "lib/../..", "."] {
            assert!(below(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_version_is_the_headers() {
        let header =
            "#define ZMQ_VERSION_MAJOR 4\n#define ZMQ_VERSION_MINOR 3\n#define ZMQ_VERSION_PATCH 5\n";
        assert_eq!(version(header), "4.3.5");
    }
}
