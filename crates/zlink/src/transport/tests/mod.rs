//! Real sockets, no sleeps: every wait is a `poll` on the descriptor concerned.

mod endpoint;
mod exhaustion;
mod ipc;
mod resolver;
mod socks;
mod tcp;
mod tipc;
mod udp;
mod vsock;

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};

use super::*;

fn wait_for(fd: impl AsFd, flags: PollFlags) {
    let mut fds = [PollFd::new(&fd, flags)];
    while rustix::io::retry_on_intr(|| poll(&mut fds, None)).unwrap() == 0 {}
}

fn listen(endpoint: &str, config: &TransportConfig) -> Listener {
    Listener::bind(&Endpoint::for_bind(endpoint).unwrap(), config)
        .unwrap_or_else(|error| panic!("{endpoint}: {error}"))
}

fn bind_errno(endpoint: &str, config: &TransportConfig) -> i32 {
    let endpoint = Endpoint::for_bind(endpoint).unwrap();
    Listener::bind(&endpoint, config).unwrap_err().errno()
}

/// The target of a connect endpoint that needs no lookup.
fn target(endpoint: &str, ipv6: bool) -> Target {
    match Endpoint::for_connect(endpoint).unwrap() {
        Endpoint::Tcp(tcp) => {
            let (sender, receiver) = std::sync::mpsc::channel();
            let done = Box::new(move |found| sender.send(found).unwrap());
            Resolver::new().resolve(&tcp, ipv6, done);
            let found = receiver.try_recv().expect("a numeric address").unwrap();
            Target::Tcp(found[0], tcp.source_addr(ipv6).unwrap())
        }
        other => other.target().unwrap_or_else(|| panic!("{endpoint} is not connected to")),
    }
}

fn try_connect(target: &Target, config: &TransportConfig) -> std::io::Result<OwnedFd> {
    let (fd, outcome) = start_connect(target, config)?;
    if !outcome? {
        wait_for(&fd, PollFlags::OUT);
        finish_connect(fd.as_fd())?;
    }
    Ok(fd)
}

fn accept(listener: &Listener) -> Accepted {
    loop {
        wait_for(listener, PollFlags::IN);
        if let Some(accepted) = listener.accept().unwrap() {
            return accepted;
        }
    }
}

/// Connects to `listener` and accepts; the client's end first.
fn connect_pair(listener: &Listener, config: &TransportConfig) -> (OwnedFd, Accepted) {
    let target = target(listener.local_endpoint(), config.ipv6);
    let client = try_connect(&target, config).unwrap();
    (client, accept(listener))
}

fn assert_bytes_flow(client: &OwnedFd, server: &OwnedFd) {
    for (from, to) in [(client, server), (server, client)] {
        rustix::io::write(from, b"ping").unwrap();
        wait_for(to, PollFlags::IN);
        let mut buffer = [0u8; 8];
        let length = rustix::io::read(to, &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"ping");
    }
}

fn assert_non_blocking_and_cloexec(fd: impl AsFd) {
    let status = rustix::fs::fcntl_getfl(&fd).unwrap();
    assert!(status.contains(rustix::fs::OFlags::NONBLOCK));
    let flags = rustix::io::fcntl_getfd(&fd).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

/// Whether the host has IPv6 at all; says so where a test does not run.
fn has_ipv6() -> bool {
    let config = TransportConfig { ipv6: true, ..TransportConfig::default() };
    let endpoint = Endpoint::for_bind("tcp://[::1]:*").unwrap();
    let has = Listener::bind(&endpoint, &config).is_ok();
    if !has {
        eprintln!("not run: this host has no IPv6");
    }
    has
}
