//! One test for our library in both settings of direct I/O, and for libzmq.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use super::our_library;

/// Names the library that a test's own process loads.
const LIBRARY: &str = "ZLINK_TEST_LIBRARY";
/// Ends what would hang, in seconds. No test depends on how long anything takes.
const GUARD: u32 = 120;

/// Makes three tests of each function: for our library with direct I/O and without, and for libzmq 4.3.5. Each runs in
/// a process of its own, so that one library at a time is loaded and signals meet one test.
#[macro_export]
macro_rules! with_each_library {
    ($($name:ident,)+) => {
        mod direct {
            $(#[test] fn $name() { $crate::common::each::ours("direct", stringify!($name), "1", super::$name) })+
        }
        mod io_thread {
            $(#[test] fn $name() { $crate::common::each::ours("io_thread", stringify!($name), "0", super::$name) })+
        }
        mod libzmq {
            $(#[test] fn $name() { $crate::common::each::libzmq(stringify!($name), super::$name) })+
        }
    };
}

/// The library under test.
pub fn library() -> PathBuf {
    std::env::var_os(LIBRARY).map_or_else(|| our_library().to_owned(), PathBuf::from)
}

/// Whether the library under test is libzmq.
pub fn is_libzmq() -> bool {
    library() == libzmq_reference::shared_object()
}

pub fn ours(module: &str, name: &str, direct_io: &str, test: fn()) {
    let library = if in_own_process() { library() } else { our_library().to_owned() };
    run(&format!("{module}::{name}"), library.as_ref(), direct_io, test);
}

pub fn libzmq(name: &str, test: fn()) {
    run(&format!("libzmq::{name}"), libzmq_reference::shared_object().as_ref(), "1", test);
}

fn in_own_process() -> bool {
    std::env::var_os(LIBRARY).is_some()
}

fn run(name: &str, library: &OsStr, direct_io: &str, test: fn()) {
    if in_own_process() {
        // SAFETY: sets a timer, whose signal ends this process.
        unsafe { libc::alarm(GUARD) };
        return test();
    }
    let own = std::env::current_exe().expect("this program");
    let mut child = Command::new(own);
    child.args([name, "--exact", "--nocapture"]).env(LIBRARY, library).env("ZLINK_DIRECT_IO", direct_io);
    let output = child.output().expect("a process can be started");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} with {}: {text}{errors}", output.status, library.display());
    assert!(text.contains("1 passed"), "no test of the name {name}: {text}");
}
