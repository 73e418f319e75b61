//! The program as its users start it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn bench(name: &str, arguments: &[&str]) -> (Output, PathBuf) {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&out);
    let output = Command::new(env!("CARGO_BIN_EXE_zlink-bench"))
        .args(arguments)
        .arg("--out")
        .arg(&out)
        .output()
        .expect("the program starts");
    (output, out)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn smoke_measures_libzmq_and_raw_on_every_transport_and_writes_the_report() {
    let (output, out) = bench("smoke", &["smoke", "--engines", "libzmq,raw"]);
    let tables = text(&output.stdout);
    assert!(output.status.success(), "{tables}\n{}", text(&output.stderr));
    for heading in ["\n## TCP\n", "\n## IPC\n", "\n## inproc\n", "\n## WS\n"] {
        assert!(tables.contains(heading), "{heading} is missing in\n{tables}");
    }
    assert!(!tables.contains("failed"), "{tables}");
    let json = fs::read_to_string(out.join("report.json")).expect("there is a report");
    let report: serde_json::Value = serde_json::from_str(&json).expect("the report is JSON");
    let cells = report["cells"].as_array().expect("the report has cells");
    assert_eq!(cells.len(), 23);
    for cell in cells {
        for row in cell["rows"].as_array().expect("a cell has rows") {
            if row["not_applicable"].is_null() {
                let run = &row["runs"][0];
                assert!(run["rate"].as_f64().is_some_and(|rate| rate > 0.0), "{row}");
                let rss = run["peak_rss_kib"].as_array().expect("every process has a peak");
                let processes = if cell["cell"]["transport"] == "inproc" { 1 } else { 2 };
                assert_eq!(rss.len(), processes, "{row}");
            }
        }
    }
    for file in
        ["report.md", "report.html", "runs.csv", "stream-tcp.svg", "roundtrip-ipc.svg", "stream-inproc.svg"]
    {
        let size = fs::metadata(out.join(file)).map(|file| file.len());
        assert!(size.is_ok_and(|size| size > 0), "{file}");
    }
}

#[test]
fn every_pattern_runs_with_both_kinds_of_c_functions() {
    for api in ["msg", "buffer"] {
        let common = ["--engines", "libzmq,raw", "--no-aa", "--runs", "1", "--messages", "200"];
        let latency = [
            "latency",
            "--api",
            api,
            "--pattern",
            "req-rep,pair,dealer-dealer,dealer-router,router-router,router-router-polled",
            "--transport",
            "tcp,ws,inproc",
        ];
        let throughput = [
            "throughput",
            "--api",
            api,
            "--size",
            "0,64,64K",
            "--pattern",
            "push-pull,pair,dealer-dealer,dealer-router,pub-sub,router-router,router-router-polled",
            "--sockets",
            "1,2",
        ];
        for (name, arguments) in [("latency", &latency[..]), ("throughput", &throughput[..])] {
            let arguments = [arguments, &common].concat();
            let (output, _) = bench(&format!("{name}-{api}"), &arguments);
            let tables = text(&output.stdout);
            assert!(output.status.success(), "{tables}\n{}", text(&output.stderr));
            assert!(!tables.contains("failed"), "{tables}");
        }
    }
}

#[test]
fn an_engine_that_cannot_be_loaded_is_a_failed_cell_and_the_others_are_measured() {
    // A file that is there but no library.
    let engine = format!("broken={}", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    let arguments = ["smoke", "--engines", "libzmq", "--engine", &engine];
    let (output, out) = bench("broken", &arguments);
    assert_eq!(output.status.code(), Some(1), "smoke reports the failure");
    let report = fs::read_to_string(out.join("report.md")).expect("there is a report");
    assert!(report.contains("| broken | failed: "), "{report}");
    assert!(report.contains("| libzmq | "), "{report}");
}

/// Compiles a library whose `zmq_socket` does not come back as it should.
fn faulty_library(name: &str, body: &str) -> PathBuf {
    let functions = [
        "version",
        "errno",
        "strerror",
        "ctx_new",
        "ctx_term",
        "close",
        "setsockopt",
        "getsockopt",
        "bind",
        "connect",
        "send",
        "recv",
        "msg_init",
        "msg_init_size",
        "msg_data",
        "msg_size",
        "msg_send",
        "msg_recv",
        "msg_close",
        "poll",
    ];
    let mut source = String::from("#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n");
    for function in functions {
        source.push_str(&format!("void *zmq_{function}(void) {{ return (void *)1; }}\n"));
    }
    source.push_str(&format!("void *zmq_socket(void) {{ {body} return (void *)1; }}\n"));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (file, library) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
    fs::write(&file, source).expect("the target folder is writable");
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &file])
        .status()
        .expect("there is a C compiler: the reference library was built with it");
    assert!(status.success());
    library
}

#[test]
fn an_engine_that_hangs_or_crashes_fails_in_its_cells_only() {
    let hangs = faulty_library("hangs", "for (;;) pause();");
    let aborts = faulty_library("aborts", "fputs(\"assertion failed\\n\", stderr); abort();");
    let (hangs, aborts) = (format!("hangs={}", hangs.display()), format!("aborts={}", aborts.display()));
    let arguments = [
        "latency",
        "--transport",
        "tcp",
        "--messages",
        "50",
        "--engines",
        "libzmq",
        "--engine",
        &hangs,
        "--engine",
        &aborts,
        "--timeout",
        "5",
        "--no-aa",
    ];
    let (output, out) = bench("faulty", &arguments);
    assert!(output.status.success(), "libzmq was measured: {}", text(&output.stderr));
    let report = fs::read_to_string(out.join("report.md")).expect("there is a report");
    assert!(report.contains("| hangs | failed: timed out: no end in sight while binding"), "{report}");
    assert!(report.contains("| aborts | failed: aborted while binding: assertion failed"), "{report}");
    assert!(report.contains("| libzmq | "), "{report}");
    assert!(!report.contains("| libzmq | failed"), "{report}");
}

#[test]
fn the_gate_opens_and_closes_with_the_thresholds() {
    for (limit, code) in [("0.001", 0), ("100000", 1)] {
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("limit-{limit}.txt"));
        fs::write(&file, format!("stream tcp push-pull 64 : rate >= {limit}\n"))
            .expect("the target folder is writable");
        let file = file.display().to_string();
        let arguments = [
            "gate",
            "--thresholds",
            &file,
            "--judge",
            "raw",
            "--engines",
            "raw",
            "--duration",
            "0.01",
            "--runs",
            "1",
        ];
        let (output, _) = bench(&format!("gate-{limit}"), &arguments);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert_eq!(said.contains("**fell short**: stream tcp push-pull 64B"), code == 1, "{said}");
    }
}

#[test]
fn the_gate_fails_on_an_engine_that_is_slowed_on_purpose() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("slowed.txt");
    fs::write(&file, "roundtrip tcp req-rep 64 : p50 <= 10\n").expect("the target folder is writable");
    let file = file.display().to_string();
    // Ten milliseconds over each of the two messages of a trip that takes some ten microseconds.
    for (nanos, code) in [("0", 0), ("10000000", 1)] {
        let arguments = [
            "gate",
            "--thresholds",
            &file,
            "--judge",
            "zlink-rs",
            "--engines",
            "zlink-rs",
            "--messages",
            "50",
            "--runs",
            "3",
            "--slow",
            nanos,
        ];
        let (output, _) = bench(&format!("slowed-{nanos}"), &arguments);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{said}\n{}", text(&output.stderr));
        assert_eq!(said.contains("slowed on purpose"), code == 1, "{said}");
        assert_eq!(said.contains("**fell short**: roundtrip tcp req-rep 64B"), code == 1, "{said}");
    }
}

#[test]
fn a_record_becomes_a_page_and_a_baseline() {
    let scenarios = ["stream tcp push-pull 64,1K count=500", "paced ipc pair 64 rate=10k count=200"];
    let common = ["--engines", "raw", "--runs", "2"];
    let (output, out) = bench("recorded-run", &[&["run"], &scenarios[..], &common].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let record = out.join("report.json").display().to_string();
    let page = out.join("page.html");
    let output = Command::new(env!("CARGO_BIN_EXE_zlink-bench"))
        .args(["report", &record, "--baseline", &record, "--out"])
        .arg(&page)
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let page = fs::read_to_string(page).expect("there is a page");
    // A latency distribution, and throughput over two sizes.
    assert_eq!(page.matches("<svg").count(), 2, "{page}");
    assert!(page.contains("<td>1.00×</td>"), "nothing has changed against itself");
    let again = [&["run"], &scenarios[..], &common, &["--baseline", &record]].concat();
    let (output, _) = bench("compared-run", &again);
    assert!(text(&output.stdout).contains("÷ baseline"), "{}", text(&output.stdout));
}

#[test]
fn a_list_says_what_there_is_to_do_and_does_not_do_it() {
    for command in ["full", "matrix", "quick", "sweep", "gate"] {
        let output = Command::new(env!("CARGO_BIN_EXE_zlink-bench"))
            .args([command, "--list", "--size", "64", "--transport", "tcp"])
            .output()
            .expect("the program starts");
        let said = text(&output.stdout);
        assert!(output.status.success(), "{command}: {}", text(&output.stderr));
        assert!(said.contains("stream tcp push-pull 64B pin=none\n"), "{command}: {said}");
        assert!(said.contains(" runs: about "), "{command}: {said}");
        assert!(!said.contains("ipc") && !said.contains(" 1K "), "{command}: {said}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_zlink-bench"))
        .args(["quick", "--list", "--size", "3"])
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("nothing is selected"));
}

#[test]
fn the_recorded_thresholds_can_be_read() {
    let arguments = ["gate", "--judge", "nobody", "--engines", "raw", "--duration", "0.001", "--runs", "1"];
    let (output, _) = bench("recorded", &arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("there is no engine `nobody`"));
}
