//! The soak is fine for a moment, and notices what is done wrong on purpose.

use std::process::{Command, Output};

/// A soak of some seconds.
fn soak(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["soak", "--minutes", "0.05", "--seed", "1"]).args(arguments);
    command.output().expect("it can be run")
}

#[track_caller]
fn assert_ends(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[test]
fn a_moment_of_it_is_fine() {
    let text = assert_ends(&soak(&["--only", "push-tcp", "--only", "router-tcp"]), 0);
    assert!(text.contains("0 violations"), "{text}");
}

#[test]
fn sabotage_is_noticed() {
    let cases = [
        ("skip", "LOST"),
        ("double", "DOUBLED"),
        ("swap", "REORDERED"),
        ("cut", "Length"),
        ("corrupt", "Bytes"),
    ];
    for (sabotage, word) in cases {
        let text = assert_ends(&soak(&["--only", "pair-ipc", "--sabotage", sabotage]), 1);
        let told = text.lines().any(|line| line.starts_with("VIOLATION") && line.contains(word));
        assert!(told, "{sabotage}: {text}");
        assert!(text.contains("scene pair-ipc, seed 1"), "{text}");
    }
}

#[test]
fn a_scene_that_there_is_not_is_an_error() {
    let output = soak(&["--only", "nothing"]);
    assert_eq!(output.status.code(), Some(2));
}
