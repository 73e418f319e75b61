use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::sockopt;

use super::*;

/// A directory of the test's own, with short paths, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        use std::hash::{BuildHasher, RandomState};
        let random = RandomState::new().hash_one(0);
        let path = PathBuf::from(format!("/tmp/zl{random:016x}"));
        std::fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    fn path(&self) -> PathBuf {
        self.0.join("s")
    }

    fn endpoint(&self) -> String {
        format!("ipc://{}", self.path().display())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn config() -> TransportConfig {
    TransportConfig::default()
}

/// The `Peer-Address` of a peer in this very process.
fn own_address() -> String {
    format!(
        "localhost:{}:{}:{}",
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
        std::process::id()
    )
}

fn assert_serves(listener: &Listener) {
    let (client, accepted) = connect_pair(listener, &config());
    assert_bytes_flow(&client, &accepted.stream);
    assert_non_blocking_and_cloexec(listener);
    assert_non_blocking_and_cloexec(&client);
    assert_non_blocking_and_cloexec(&accepted.stream);
    assert_eq!(peer_names(accepted.stream.as_fd()).local, listener.local_endpoint());
    assert_eq!(peer_names(accepted.stream.as_fd()).remote, "ipc://");
    assert_eq!(peer_names(accepted.stream.as_fd()).peer_address, own_address());
    let names = peer_names(client.as_fd());
    assert_eq!(names.remote, listener.local_endpoint());
    assert_eq!(names.local, "ipc://");
    assert_eq!(names.peer_address, own_address());
}

#[test]
fn a_path_serves_and_is_removed_with_its_listener() {
    let scratch = Scratch::new();
    let listener = listen(&scratch.endpoint(), &config());
    assert_eq!(listener.local_endpoint(), scratch.endpoint());
    assert_serves(&listener);
    assert!(scratch.path().exists());
    drop(listener);
    assert!(!scratch.path().exists());
}

#[test]
fn an_abstract_name_serves_and_needs_no_file() {
    let scratch = Scratch::new();
    let endpoint = format!("ipc://@{}", scratch.path().display());
    let listener = listen(&endpoint, &config());
    assert_eq!(listener.local_endpoint(), endpoint);
    assert_serves(&listener);
    assert!(!scratch.path().exists());
    assert_eq!(bind_errno(&endpoint, &config()), Errno::ADDRINUSE.raw_os_error());
    drop(listener);
    assert_serves(&listen(&endpoint, &config()));
}

#[test]
fn a_wildcard_gets_a_fresh_private_directory_removed_with_its_listener() {
    let (one, other) = (listen("ipc://*", &config()), listen("ipc://*", &config()));
    assert_ne!(one.local_endpoint(), other.local_endpoint());
    assert_serves(&one);
    assert_serves(&other);
    let path = one.local_endpoint().strip_prefix("ipc://").unwrap();
    let directory = Path::new(path).parent().unwrap().to_owned();
    let mode = directory.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    drop(one);
    assert!(!directory.exists());
    assert_serves(&other);
}

#[test]
fn the_longest_names_serve_in_full() {
    let scratch = Scratch::new();
    let path = format!("{}/", scratch.0.display());
    let path = format!("ipc://{path}{}", "x".repeat(107 - path.len()));
    let name = format!("ipc://@{}", "x".repeat(106));
    for endpoint in [path, name] {
        let listener = listen(&endpoint, &config());
        assert_eq!(listener.local_endpoint(), endpoint);
        assert_serves(&listener);
    }
}

#[test]
fn a_file_left_by_a_dead_listener_is_replaced() {
    let scratch = Scratch::new();
    drop(UnixListener::bind(scratch.path()).unwrap());
    assert!(scratch.path().exists());
    let listener = listen(&scratch.endpoint(), &config());
    assert_serves(&listener);
    drop(listener);
    drop(UnixDatagram::bind(scratch.path()).unwrap());
    assert_serves(&listen(&scratch.endpoint(), &config()));
}

#[test]
fn a_path_somebody_listens_at_is_in_use() {
    let in_use = Errno::ADDRINUSE.raw_os_error();
    let scratch = Scratch::new();
    let listener = listen(&scratch.endpoint(), &config());
    assert_eq!(bind_errno(&scratch.endpoint(), &config()), in_use);
    // The probe came and went as a connection of its own.
    drop(accept(&listener));
    assert_serves(&listener);
    drop(listener);
    let datagrams = UnixDatagram::bind(scratch.path()).unwrap();
    assert_eq!(bind_errno(&scratch.endpoint(), &config()), in_use);
    drop(datagrams);
}

#[test]
fn a_listener_with_a_full_backlog_is_still_a_listener() {
    let scratch = Scratch::new();
    let narrow = TransportConfig { backlog: 0, ..config() };
    let listener = listen(&scratch.endpoint(), &narrow);
    let target = target(&scratch.endpoint(), false);
    let mut waiting = Vec::new();
    let error = loop {
        match try_connect(&target, &config()) {
            Ok(client) => waiting.push(client),
            Err(error) => break error,
        }
        assert!(waiting.len() < 1000, "the backlog has no bound");
    };
    assert_eq!(error.raw_os_error(), Some(Errno::AGAIN.raw_os_error()));
    let taken = bind_errno(&scratch.endpoint(), &config());
    assert_eq!(taken, Errno::ADDRINUSE.raw_os_error());
    drop(listener);
}

#[test]
fn a_file_that_is_no_socket_is_never_removed() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path(), "precious").unwrap();
    let taken = bind_errno(&scratch.endpoint(), &config());
    assert_eq!(taken, Errno::ADDRINUSE.raw_os_error());
    assert_eq!(std::fs::read(scratch.path()).unwrap(), b"precious");
    std::fs::remove_file(scratch.path()).unwrap();
    std::os::unix::fs::symlink("/nowhere", scratch.path()).unwrap();
    let taken = bind_errno(&scratch.endpoint(), &config());
    assert_eq!(taken, Errno::ADDRINUSE.raw_os_error());
    assert!(scratch.path().is_symlink());
}

#[test]
fn a_listener_does_not_remove_the_file_of_its_successor() {
    let scratch = Scratch::new();
    let old = listen(&scratch.endpoint(), &config());
    std::fs::remove_file(scratch.path()).unwrap();
    let new = listen(&scratch.endpoint(), &config());
    drop(old);
    assert_serves(&new);
    drop(new);
    assert!(!scratch.path().exists());
}

#[test]
fn of_many_binders_at_once_exactly_one_gets_a_stale_path() {
    let scratch = Scratch::new();
    drop(UnixListener::bind(scratch.path()).unwrap());
    let start = std::sync::Barrier::new(8);
    let listeners: Vec<Option<Listener>> = std::thread::scope(|scope| {
        let bind = || {
            start.wait();
            Listener::bind(&Endpoint::for_bind(&scratch.endpoint()).unwrap(), &config()).ok()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(bind)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let listeners: Vec<Listener> = listeners.into_iter().flatten().collect();
    assert_eq!(listeners.len(), 1);
    let client = try_connect(&target(&scratch.endpoint(), false), &config()).unwrap();
    // Ahead of it come the probes of the seven others.
    loop {
        let accepted = accept(&listeners[0]);
        rustix::io::write(&client, b"x").unwrap();
        wait_for(&accepted.stream, PollFlags::IN);
        if rustix::io::read(&accepted.stream, &mut [0u8; 1]).unwrap() == 1 {
            return;
        }
    }
}

#[test]
fn binding_and_connecting_report_why_they_failed() {
    let scratch = Scratch::new();
    let missing = format!("ipc://{}/no/such/directory", scratch.0.display());
    assert_eq!(bind_errno(&missing, &config()), Errno::NOENT.raw_os_error());
    let connect_errno = |endpoint: &str| {
        let error = try_connect(&target(endpoint, false), &config()).unwrap_err();
        error.raw_os_error().unwrap()
    };
    assert_eq!(connect_errno(&scratch.endpoint()), Errno::NOENT.raw_os_error());
    drop(UnixListener::bind(scratch.path()).unwrap());
    let refused = Errno::CONNREFUSED.raw_os_error();
    assert_eq!(connect_errno(&scratch.endpoint()), refused);
    let nobody = format!("ipc://@{}", scratch.path().display());
    assert_eq!(connect_errno(&nobody), refused);
}

#[test]
fn buffer_sizes_are_set_on_both_ends() {
    let scratch = Scratch::new();
    let config = TransportConfig { send_buffer: 8_192, receive_buffer: 16_384, ..config() };
    let listener = listen(&scratch.endpoint(), &config);
    let (client, accepted) = connect_pair(&listener, &config);
    for fd in [&client, &accepted.stream] {
        // The kernel doubles what it is asked for, to make room for its own bookkeeping.
        assert_eq!(sockopt::socket_send_buffer_size(fd).unwrap(), 2 * 8_192);
        assert_eq!(sockopt::socket_recv_buffer_size(fd).unwrap(), 2 * 16_384);
    }
}

#[test]
fn a_client_that_bound_a_name_is_known_by_it() {
    let scratch = Scratch::new();
    let listener = listen(&scratch.endpoint(), &config());
    let own_path = scratch.0.join("client");
    let client =
        rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None).unwrap();
    let own = rustix::net::SocketAddrUnix::new(&own_path).unwrap();
    rustix::net::bind(&client, &own).unwrap();
    let server = rustix::net::SocketAddrUnix::new(scratch.path()).unwrap();
    rustix::net::connect(&client, &server).unwrap();
    let accepted = accept(&listener);
    assert_eq!(peer_names(accepted.stream.as_fd()).remote, format!("ipc://{}", own_path.display()));
    assert_eq!(peer_names(accepted.stream.as_fd()).peer_address, own_address());
}

#[test]
fn a_descriptor_of_the_application_is_used_and_its_file_left_alone() {
    let scratch = Scratch::new();
    let application = UnixListener::bind(scratch.path()).unwrap();
    let config = TransportConfig { use_fd: application.as_raw_fd(), ..config() };
    let listener = listen(&scratch.endpoint(), &config);
    assert_serves(&listener);
    drop(listener);
    assert!(scratch.path().exists());
}
