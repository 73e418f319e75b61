//! Installs the library and builds programs over it, in the ways that programs written for libzmq are built.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What `tests/program.c` prints if no shared object is loaded.
const IN_THE_PROGRAM: &str = "(in the program)";

/// A folder for this run, with the library installed below it for all tests.
struct Installed {
    folder: PathBuf,
    prefix: PathBuf,
}

fn installed() -> &'static Installed {
    static INSTALLED: OnceLock<Installed> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("install");
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("the last run has left what it made");
        }
        let prefix = folder.join("prefix");
        install(&[OsStr::new("--prefix"), prefix.as_os_str()]);
        Installed { folder, prefix }
    })
}

fn install(arguments: &[&OsStr]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("install").args(arguments);
    if cfg!(debug_assertions) {
        command.arg("--dev");
    }
    output(&mut command);
}

/// What a command prints. It must end well.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text.trim_end().to_owned()
}

fn exists(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The C compiler, to make a program of `program.c` in the folder of this run.
fn compiler(program: &Path) -> Command {
    let mut command = Command::new("cc");
    command.arg("-Wall").arg("-Werror").arg(source("program.c")).arg("-o").arg(program);
    command
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Runs a program with the installed folder on the loader's path, and returns which library it has loaded.
fn library_of(program: &Path) -> String {
    output(Command::new(program).env("LD_LIBRARY_PATH", installed().prefix.join("lib")))
}

fn our_shared_object() -> String {
    installed().prefix.join("lib/libzmq.so.5.2.5").display().to_string()
}

fn pkg_config(arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command.args(arguments).arg("libzmq");
    command.env("PKG_CONFIG_PATH", installed().prefix.join("lib/pkgconfig"));
    output(&mut command).split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_program_builds_by_pkg_config() {
    if !exists("pkg-config") {
        eprintln!("there is no pkg-config here");
        return;
    }
    assert_eq!(pkg_config(&["--modversion"]), ["4.3.5"]);
    let program = installed().folder.join("by-pkg-config");
    output(compiler(&program).args(pkg_config(&["--cflags", "--libs"])));
    assert_eq!(library_of(&program), our_shared_object());

    let program = installed().folder.join("by-pkg-config-static");
    output(compiler(&program).args(pkg_config(&["--static", "--cflags", "--libs"])).arg("-static"));
    assert_eq!(library_of(&program), IN_THE_PROGRAM);
}

#[test]
fn a_program_builds_by_cmake() {
    if !exists("cmake") {
        eprintln!("there is no cmake here");
        return;
    }
    let (folder, build) = (installed().folder.join("cmake"), installed().folder.join("cmake/build"));
    // The package may be moved: what it says of its place follows it.
    let prefix = folder.join("moved");
    fs::create_dir_all(&folder).expect("the folder is ours");
    output(Command::new("cp").arg("-r").arg(&installed().prefix).arg(&prefix));
    for file in ["CMakeLists.txt", "program.c"] {
        fs::copy(source(file), folder.join(file)).expect("the folder is ours");
    }
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(&folder).arg("-B").arg(&build);
    let mut setting = std::ffi::OsString::from("-DCMAKE_PREFIX_PATH=");
    setting.push(&prefix);
    output(configure.arg(setting));
    output(Command::new("cmake").arg("--build").arg(&build));
    // CMake writes the library's folder into the program, so that no loader's path is needed.
    let shared = prefix.join("lib/libzmq.so.5.2.5").display().to_string();
    assert_eq!(output(&mut Command::new(build.join("shared"))), shared);
    assert_eq!(output(&mut Command::new(build.join("variables"))), shared);
    assert_eq!(output(&mut Command::new(build.join("static"))), IN_THE_PROGRAM);
}

#[test]
fn a_program_built_for_libzmq_runs_over_the_installed_library() {
    let program = installed().folder.join("for-libzmq");
    let (include, library) = (libzmq_reference::include_dir(), libzmq_reference::library_dir());
    output(compiler(&program).arg("-I").arg(include).arg("-L").arg(library).arg("-lzmq"));
    let theirs = output(Command::new(&program).env("LD_LIBRARY_PATH", library));
    assert_eq!(Path::new(&theirs), libzmq_reference::shared_object());
    assert_eq!(library_of(&program), our_shared_object());
}

#[test]
fn the_files_are_where_libzmq_has_them() {
    let lib = installed().prefix.join("lib");
    for name in ["libzmq.so", "libzmq.so.5"] {
        let target = fs::read_link(lib.join(name)).expect("it is a link");
        assert_eq!(target, Path::new("libzmq.so.5.2.5"), "{name}");
    }
    for name in ["include/zmq.h", "include/zmq_utils.h", "lib/libzmq.a"] {
        assert!(installed().prefix.join(name).is_file(), "{name}");
    }
}

#[test]
fn nothing_but_the_interface_can_be_seen_in_the_archive() {
    let archive = installed().prefix.join("lib/libzmq.a");
    let symbols = output(Command::new("nm").args(["-g", "--defined-only"]).arg(archive));
    let names: Vec<&str> = symbols
        .lines()
        .filter(|line| !line.ends_with(':'))
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    assert!(names.contains(&"zmq_ctx_new"), "{names:?}");
    let others: Vec<_> =
        names.iter().filter(|name| !name.starts_with("zmq_") && !name.starts_with("zlink_")).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn staged_files_speak_of_the_prefix() {
    let stage = installed().folder.join("stage");
    let (destdir, libdir) = (OsStr::new("--destdir"), OsStr::new("--libdir"));
    let arguments = ["--prefix", "/opt/messaging"].map(OsStr::new);
    install(&[&arguments[..], &[destdir, stage.as_os_str(), libdir, OsStr::new("lib/here")]].concat());
    let text = fs::read_to_string(stage.join("opt/messaging/lib/here/pkgconfig/libzmq.pc"));
    let text = text.expect("it is below the staging folder");
    assert!(text.starts_with("prefix=/opt/messaging\n") && text.contains("/lib/here\n"), "{text}");
}
