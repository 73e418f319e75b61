use std::os::fd::AsRawFd;

use rustix::io::Errno;

use super::*;

/// Whether the kernel has vsock within the machine; says so where a test does not run.
fn has_vsock() -> bool {
    let has =
        Listener::bind(&Endpoint::for_bind("vsock://1:*").unwrap(), &TransportConfig::default()).is_ok();
    if !has {
        eprintln!(
            "not run: this kernel has no vsock_loopback; crates/xtask/guest/run.sh starts one that has"
        );
    }
    has
}

fn config() -> TransportConfig {
    TransportConfig::default()
}

fn assert_serves(listener: &Listener, connect: &str) {
    let client = try_connect(&target(connect, false), &config()).unwrap();
    let accepted = accept(listener);
    assert_bytes_flow(&client, &accepted.stream);
    assert_non_blocking_and_cloexec(listener);
    assert_non_blocking_and_cloexec(&client);
    assert_non_blocking_and_cloexec(&accepted.stream);
    let (near, far) = (peer_names(client.as_fd()), peer_names(accepted.stream.as_fd()));
    assert_eq!((near.remote.as_str(), far.local.as_str()), (connect, connect));
    assert!(near.local.starts_with("vsock://") && far.remote.starts_with("vsock://1:"), "{near:?} {far:?}");
    assert_eq!((near.peer_address, far.peer_address), (String::new(), String::new()));
}

#[test]
fn a_port_of_the_system_s_choice_is_named() {
    if !has_vsock() {
        return;
    }
    let listener = listen("vsock://1:*", &config());
    let port = listener.local_endpoint().strip_prefix("vsock://1:").expect("the machine").parse::<u32>();
    assert!(port.is_ok_and(|port| port != u32::MAX), "{}", listener.local_endpoint());
    assert_serves(&listener, listener.local_endpoint());
    assert_eq!(bind_errno(listener.local_endpoint(), &config()), Errno::ADDRINUSE.raw_os_error());
}

#[test]
fn every_machine_is_listened_at() {
    if !has_vsock() {
        return;
    }
    let listener = listen("vsock://*:*", &config());
    let port = listener.local_endpoint().strip_prefix("vsock://*:").expect("every machine");
    assert_serves(&listener, &format!("vsock://1:{port}"));
}

#[test]
fn a_port_that_nobody_listens_at_refuses() {
    if !has_vsock() {
        return;
    }
    let listener = listen("vsock://1:*", &config());
    let endpoint = listener.local_endpoint().to_owned();
    drop(listener);
    let error = try_connect(&target(&endpoint, false), &config()).unwrap_err();
    assert_eq!(errno_of(&error), Errno::CONNRESET.raw_os_error());
}

#[test]
fn another_machine_s_address_is_not_bound_to() {
    let errno = bind_errno("vsock://12345:5555", &config());
    let refusals = [Errno::ADDRNOTAVAIL, Errno::AFNOSUPPORT].map(Errno::raw_os_error);
    assert!(refusals.contains(&errno), "{errno}");
}

#[test]
fn a_socket_that_the_application_listens_at_can_be_used() {
    if !has_vsock() {
        return;
    }
    let own = listen("vsock://1:*", &config());
    let config = TransportConfig { use_fd: own.as_fd().as_raw_fd(), ..config() };
    let listener = listen("vsock://1:7003", &config);
    assert_eq!(listener.local_endpoint(), own.local_endpoint());
    assert_serves(&listener, own.local_endpoint());
    assert_eq!(bind_errno("tcp://127.0.0.1:*", &config), Errno::INVAL.raw_os_error());
}
