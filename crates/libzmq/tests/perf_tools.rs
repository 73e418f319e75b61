//! libzmq's own performance programs, unmodified: compiled against our header, run over our library and against a peer
//! that runs over libzmq.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::our_library;

mod common;

/// A program that takes longer hangs.
const WATCHDOG: Duration = Duration::from_secs(60);

/// A library to run the programs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Library {
    Ours,
    Libzmq,
}

use Library::{Libzmq, Ours};

impl Library {
    fn include(self) -> PathBuf {
        match self {
            Ours => Path::new(env!("CARGO_MANIFEST_DIR")).join("include"),
            Libzmq => libzmq_reference::include_dir().to_owned(),
        }
    }

    /// A folder that holds the library under the names for the linker and for the loader.
    fn folder(self) -> PathBuf {
        match self {
            Ours => {
                static MADE: OnceLock<PathBuf> = OnceLock::new();
                MADE.get_or_init(|| {
                    let folder = scratch("lib");
                    std::fs::create_dir_all(&folder).expect("the build folder can be written");
                    for name in ["libzmq.so", "libzmq.so.5"] {
                        let link = folder.join(name);
                        std::os::unix::fs::symlink(our_library(), link).expect("the folder is new");
                    }
                    folder
                })
                .clone()
            }
            Libzmq => libzmq_reference::library_dir().to_owned(),
        }
    }

    /// Compiles one of the programs.
    fn program(self, name: &str) -> PathBuf {
        let program = scratch(&format!("{name}-{self:?}"));
        let folder = self.folder();
        let mut compiler = Command::new("g++");
        compiler.args(["-O1", "-pthread", "-o"]).arg(&program);
        compiler.arg(self.sources().join("perf").join(name).with_extension("cpp"));
        compiler.arg("-L").arg(&folder).arg(format!("-Wl,-rpath,{}", folder.display())).arg("-lzmq");
        let output = compiler.output().expect("a C++ compiler is installed");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        program
    }

    /// A source tree as the programs expect it, `perf` beside `include`, with this library's header.
    fn sources(self) -> &'static Path {
        static MADE: [OnceLock<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
        MADE[self as usize].get_or_init(|| {
            let tree = scratch("tree");
            let perf = tree.join("perf");
            std::fs::create_dir_all(&perf).expect("the build folder can be written");
            std::os::unix::fs::symlink(self.include(), tree.join("include")).expect("the folder is new");
            for entry in std::fs::read_dir(libzmq_reference::perf_sources()).expect("the sources are there") {
                let source = entry.expect("the sources are there").path();
                let copy = perf.join(source.file_name().expect("it is a file"));
                std::fs::copy(&source, copy).expect("the folder is new");
            }
            // Upstream's configure step writes it; the programs use nothing of it.
            std::fs::write(perf.join("platform.hpp"), "").expect("the folder is new");
            tree
        })
    }
}

fn scratch(name: &str) -> PathBuf {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("perf-{}-{number}-{name}", std::process::id()))
}

/// A running program, killed when dropped.
struct Running {
    name: String,
    child: Child,
}

impl Running {
    fn start<S: AsRef<OsStr>>(program: &Path, arguments: &[S]) -> Self {
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was just built");
        Running { name: program.display().to_string(), child }
    }

    /// Waits for the end, and returns what the program has written. It writes less than a pipe holds.
    fn finish(mut self) -> String {
        let start = Instant::now();
        let status: ExitStatus = loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                break status;
            }
            assert!(start.elapsed() < WATCHDOG, "{} hangs", self.name);
            std::thread::sleep(Duration::from_millis(5));
        };
        let (mut written, mut complaint) = (String::new(), String::new());
        let (out, err) = (self.child.stdout.take(), self.child.stderr.take());
        out.expect("piped").read_to_string(&mut written).expect("text");
        err.expect("piped").read_to_string(&mut complaint).expect("text");
        assert!(status.success(), "{}: {status}\n{written}{complaint}", self.name);
        assert_eq!(complaint, "", "{}", self.name);
        written
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Over already, unless a test fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.name);
    }
}

/// The number on the line that begins with `label`.
fn number(written: &str, label: &str) -> f64 {
    let line = written.lines().find_map(|line| line.strip_prefix(label));
    let line = line.unwrap_or_else(|| panic!("no line {label:?} in {written:?}"));
    let digits: String = line.chars().skip_while(|c| !c.is_ascii_digit()).collect();
    let digits = digits.split_whitespace().next().unwrap_or_default();
    digits.parse().unwrap_or_else(|_| panic!("no number after {label:?} in {written:?}"))
}

/// An endpoint nobody else uses. A port is chosen by asking the system for a free one.
fn endpoints() -> [String; 2] {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    [format!("tcp://127.0.0.1:{port}"), format!("ipc://{}", scratch("ipc").display())]
}

fn latency(local: Library, remote: Library) {
    for endpoint in endpoints() {
        let arguments = [endpoint.as_str(), "64", "500"];
        let server = Running::start(&local.program("local_lat"), &arguments);
        let client = Running::start(&remote.program("remote_lat"), &arguments);
        let written = client.finish();
        server.finish();
        assert!(number(&written, "message size:") == 64.0, "{written}");
        assert!(number(&written, "roundtrip count:") == 500.0, "{written}");
        assert!(number(&written, "average latency:") > 0.0, "{written}");
    }
}

fn throughput(local: Library, remote: Library) {
    for endpoint in endpoints() {
        throughput_over(&endpoint, local, remote);
    }
}

fn throughput_over(endpoint: &str, local: Library, remote: Library) {
    let arguments = [endpoint, "64", "20000"];
    let receiver = Running::start(&local.program("local_thr"), &arguments);
    let sender = Running::start(&remote.program("remote_thr"), &arguments);
    sender.finish();
    let written = receiver.finish();
    assert!(number(&written, "message size:") == 64.0, "{written}");
    assert!(number(&written, "message count:") == 20_000.0, "{written}");
    assert!(number(&written, "mean throughput:") > 0.0, "{written}");
}

#[test]
fn local_lat_and_remote_lat_run_over_our_library() {
    latency(Ours, Ours);
}

#[test]
fn local_lat_of_ours_serves_remote_lat_of_libzmq() {
    latency(Ours, Libzmq);
}

#[test]
fn remote_lat_of_ours_talks_to_local_lat_of_libzmq() {
    latency(Libzmq, Ours);
}

#[test]
fn local_thr_and_remote_thr_run_over_our_library() {
    throughput(Ours, Ours);
}

#[test]
fn local_thr_of_ours_receives_from_remote_thr_of_libzmq() {
    throughput(Ours, Libzmq);
}

#[test]
fn remote_thr_of_ours_sends_to_local_thr_of_libzmq() {
    throughput(Libzmq, Ours);
}

#[test]
fn inproc_lat_runs_over_our_library() {
    let written = Running::start(&Ours.program("inproc_lat"), &["64", "500"]).finish();
    assert!(number(&written, "message size:") == 64.0, "{written}");
    assert!(number(&written, "roundtrip count:") == 500.0, "{written}");
    assert!(number(&written, "average latency:") > 0.0, "{written}");
}

#[test]
fn inproc_thr_runs_over_our_library() {
    let written = Running::start(&Ours.program("inproc_thr"), &["64", "20000"]).finish();
    assert!(number(&written, "message size:") == 64.0, "{written}");
    assert!(number(&written, "message count:") == 20_000.0, "{written}");
    assert!(number(&written, "mean throughput:") > 0.0, "{written}");
}

#[test]
fn proxy_thr_runs_over_our_library() {
    let written = Running::start(&Ours.program("proxy_thr"), &["64", "20000"]).finish();
    assert!(number(&written, "message size:") == 64.0, "{written}");
    assert!(number(&written, "message count:") == 20_000.0, "{written}");
    assert!(number(&written, "mean throughput:") > 0.0, "{written}");
}

/// The other direction of the comparison: what the tests above demand, libzmq meets too. Except for streams over
/// ipc: a libzmq receiver that has stopped reading at its high-water mark drops the rest of what a libzmq sender
/// sent before it closed, in some of the runs.
#[test]
fn the_programs_run_over_libzmq() {
    latency(Libzmq, Libzmq);
    let [tcp, _] = endpoints();
    throughput_over(&tcp, Libzmq, Libzmq);
}
