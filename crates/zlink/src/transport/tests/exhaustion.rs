//! No file descriptors left. The limit belongs to the process, so the test runs itself as a child.

use std::os::fd::AsRawFd;
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

const CHILD: &str = "ZLINK_TEST_EXHAUSTION_CHILD";

#[test]
fn accept_reports_exhausted_descriptors_and_goes_on_once_there_are_some() {
    if std::env::var_os(CHILD).is_some() {
        return in_child();
    }
    let (_, module) = module_path!().split_once("::").unwrap();
    let name = "accept_reports_exhausted_descriptors_and_goes_on_once_there_are_some";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::{name}"), "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "the child ran no test: {text}");
}

fn in_child() {
    let config = TransportConfig::default();
    let listener = listen("tcp://127.0.0.1:*", &config);
    let target = target(listener.local_endpoint(), false);
    let client = try_connect(&target, &config).unwrap();
    wait_for(&listener, PollFlags::IN);
    // A new descriptor gets the lowest free number: with the limit there, there is none.
    let full = rustix::io::dup(&client).unwrap().as_raw_fd() as u64;
    let whole = getrlimit(Resource::Nofile);
    let none_left = Rlimit { current: Some(full), maximum: whole.maximum };
    setrlimit(Resource::Nofile, none_left).unwrap();
    for _ in 0..3 {
        match listener.accept() {
            Err(AcceptError::OutOfResources(error)) => {
                assert_eq!(error.raw_os_error(), Some(Errno::MFILE.raw_os_error()));
            }
            other => panic!("{other:?}"),
        }
    }
    setrlimit(Resource::Nofile, whole).unwrap();
    let accepted = listener.accept().unwrap().expect("still in the backlog");
    assert_bytes_flow(&client, &accepted.stream);
}
