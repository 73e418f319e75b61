//! What the shared object exports, against our header and against libzmq.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use common::our_library;

mod common;

fn lines(command: &mut Command) -> Vec<String> {
    let output = command.output().expect("binutils and a C compiler are installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("symbols are text").lines().map(str::to_owned).collect()
}

/// The functions a library offers.
fn exported(library: &Path) -> BTreeSet<String> {
    let lines = lines(Command::new("nm").args(["-D", "--defined-only"]).arg(library));
    lines.iter().filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect()
}

/// The functions our header declares, drafts included.
fn declared() -> BTreeSet<String> {
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/zmq.h");
    let mut names = BTreeSet::new();
    for line in lines(Command::new("gcc").args(["-E", "-P", "-DZMQ_BUILD_DRAFT_API"]).arg(header)) {
        for (at, _) in line.match_indices("zmq_") {
            let rest = &line[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let starts = line[..at].ends_with([' ', '*']);
            if starts && rest[end..].trim_start().starts_with('(') {
                names.insert(rest[..end].to_owned());
            }
        }
    }
    names
}

#[test]
fn every_function_of_our_header_is_exported_and_nothing_else() {
    let (exported, declared) = (exported(our_library()), declared());
    assert!(declared.len() > 90, "only {} functions found in the header", declared.len());
    let missing: Vec<_> = declared.difference(&exported).collect();
    assert!(missing.is_empty(), "declared and not exported: {missing:?}");
    let others: Vec<_> = exported.difference(&declared).collect();
    assert!(others.is_empty(), "exported and not declared: {others:?}");
}

#[test]
fn a_program_linked_with_libzmq_finds_all_of_zmq_h_here() {
    let (ours, theirs) = (exported(our_library()), exported(libzmq_reference::shared_object()));
    let missing: Vec<_> =
        theirs.iter().filter(|name| name.starts_with("zmq_") && !ours.contains(*name)).collect();
    assert!(missing.is_empty(), "not exported: {missing:?}");
}

#[test]
fn the_shared_object_bears_the_name_programs_look_for() {
    let dynamic = lines(Command::new("readelf").arg("-d").arg(our_library()));
    let name = dynamic.iter().find(|line| line.contains("SONAME")).expect("there is a name");
    assert!(name.contains("[libzmq.so.5]"), "{name}");
}
