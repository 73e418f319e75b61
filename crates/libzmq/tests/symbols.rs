//! What the shared object exports, against our header and against libzmq.

use std::collections::{BTreeMap, BTreeSet};
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

/// The functions that begin with `prefix` and a header of ours declares, drafts included.
fn declared(header: &str, prefix: &str) -> BTreeSet<String> {
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("include").join(header);
    let mut names = BTreeSet::new();
    for line in lines(Command::new("gcc").args(["-E", "-P", "-DZMQ_BUILD_DRAFT_API"]).arg(header)) {
        for (at, _) in line.match_indices(prefix) {
            let rest = &line[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let starts = at == 0 || line[..at].ends_with([' ', '*']);
            if starts && rest[end..].trim_start().starts_with('(') {
                names.insert(rest[..end].to_owned());
            }
        }
    }
    names
}

/// What libzmq's sources have after 4.3.5.
const LATER: [&str; 1] = ["zmq_disconnect_peer"];

#[test]
fn every_function_of_our_headers_is_exported_and_nothing_else() {
    let exported = exported(our_library());
    let (zmq, own) = (declared("zmq.h", "zmq_"), declared("zlink.h", "zlink_"));
    assert_eq!(own.iter().collect::<Vec<_>>(), ["zlink_peer_stats", "zlink_socket_stats"]);
    assert_eq!(exported, zmq.union(&own).cloned().collect());
}

#[test]
fn what_libzmq_exports_is_exported_and_nothing_else_under_its_prefix() {
    let (ours, theirs) = (exported(our_library()), exported(libzmq_reference::shared_object()));
    let of_zmq = |names: BTreeSet<String>| names.into_iter().filter(|name| name.starts_with("zmq_"));
    let mut theirs: BTreeSet<String> = of_zmq(theirs).collect();
    assert_eq!(theirs.len(), 96);
    theirs.extend(LATER.map(str::to_owned));
    assert_eq!(of_zmq(ours).collect::<BTreeSet<_>>(), theirs);
}

/// The Rust sources in a folder of this package.
fn sources(folder: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files =
        std::fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("an entry").path());
    let sources = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    sources.map(|path| std::fs::read_to_string(path).expect("a source")).collect()
}

#[test]
fn every_exported_function_is_called_by_these_tests() {
    let tests = sources("tests") + &sources("tests/common");
    let called = |name: &&String| {
        [format!("zmq!({name}("), format!("\"{name}\")")].iter().any(|call| tests.contains(call))
    };
    let exported = exported(our_library());
    let missing: Vec<_> = exported.iter().filter(|name| !called(name)).collect();
    assert!(missing.is_empty(), "not called: {missing:?}");
}

/// The body of each function that C can call, by name.
fn bodies(sources: &str) -> BTreeMap<&str, &str> {
    let functions = sources.split("#[unsafe(no_mangle)]").skip(1).map(|text| {
        let rest = &text[text.find(" fn ").expect("a function") + " fn ".len()..];
        let name = &rest[..rest.find(['(', '<']).expect("parameters")];
        // As rustfmt lays it out: the first line that begins with a brace ends it.
        let end = ["\n}\n", "\n            }\n"].iter().filter_map(|end| rest.find(end)).min();
        (name, &rest[..end.expect("an end")])
    });
    functions.collect()
}

/// Functions that do nothing that could panic.
const PLAIN: [&str; 3] = ["zmq_errno", "zmq_strerror", "zmq_version"];
/// What catches a panic and makes an error of it: `call`, and what is made of it.
const CATCHES: [&str; 4] = ["call(", "with(", "init(", "with_endpoint("];

#[test]
fn no_function_lets_a_panic_through() {
    let sources = sources("src");
    let bodies = bodies(&sources);
    let exported = exported(our_library());
    let names: BTreeSet<String> =
        bodies.keys().filter(|name| !name.starts_with('$')).map(|&n| n.into()).collect();
    assert!(names.is_subset(&exported) && names.len() > 90, "{names:?}");
    for name in &exported {
        // The others are made by a macro, of the one body whose name is a parameter.
        let body = bodies.get(name.as_str()).or_else(|| bodies.get("$name")).expect("a body");
        let caught = CATCHES.iter().any(|catch| body.contains(catch));
        let alias = exported.iter().any(|other| other != name && body.contains(&format!("{other}(")));
        assert!(caught || alias || PLAIN.contains(&name.as_str()), "{name}: {body}");
    }
}

#[test]
fn the_shared_object_bears_the_name_programs_look_for() {
    let dynamic = lines(Command::new("readelf").arg("-d").arg(our_library()));
    let name = dynamic.iter().find(|line| line.contains("SONAME")).expect("there is a name");
    assert!(name.contains("[libzmq.so.5]"), "{name}");
}
