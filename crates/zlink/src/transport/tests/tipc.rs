use std::os::fd::AsRawFd;

use rustix::io::Errno;

use super::*;

/// Whether the kernel has TIPC; says so where a test does not run.
fn has_tipc() -> bool {
    let has = Listener::bind(&Endpoint::for_bind("tipc://<*>").unwrap(), &TransportConfig::default()).is_ok();
    if !has {
        eprintln!("not run: this kernel has no TIPC; crates/xtask/guest/run.sh starts one that has");
    }
    has
}

/// An instance of a service that no other test binds.
fn instance() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    std::process::id() << 8 | NEXT.fetch_add(1, Ordering::Relaxed)
}

fn config() -> TransportConfig {
    TransportConfig::default()
}

fn assert_serves(listener: &Listener, connect: &str) {
    // A connection of TIPC stands when it is accepted.
    let (client, outcome) = start_connect(&target(connect, false), &config()).unwrap();
    let accepted = accept(listener);
    if !outcome.unwrap() {
        wait_for(&client, PollFlags::OUT);
        finish_connect(client.as_fd()).unwrap();
    }
    assert_bytes_flow(&client, &accepted.stream);
    assert_non_blocking_and_cloexec(listener);
    assert_non_blocking_and_cloexec(&client);
    assert_non_blocking_and_cloexec(&accepted.stream);
    let (near, far) = (peer_names(client.as_fd()), peer_names(accepted.stream.as_fd()));
    assert_eq!((&near.local, &near.remote), (&far.remote, &far.local));
    assert!(near.local.starts_with("tipc://<") && near.local != near.remote, "{near:?}");
    assert_eq!((near.peer_address, far.peer_address), (String::new(), String::new()));
}

#[test]
fn a_service_is_reached_at_each_of_its_instances_and_by_its_socket() {
    if !has_tipc() {
        return;
    }
    let (first, last) = (instance(), instance());
    let listener = listen(&format!("tipc://{{7000,{first},{last}}}"), &config());
    for instance in [first, last] {
        assert_serves(&listener, &format!("tipc://{{7000,{instance}}}"));
        assert_serves(&listener, &format!("tipc://{{7000, {instance}}}@0.0.0"));
    }
    assert_serves(&listener, listener.local_endpoint());
}

#[test]
fn one_instance_is_a_range_as_well() {
    if !has_tipc() {
        return;
    }
    let endpoint = format!("tipc://{{7001,{}}}", instance());
    assert_serves(&listen(&endpoint, &config()), &endpoint);
}

#[test]
fn a_wildcard_has_a_name_of_the_system_s() {
    if !has_tipc() {
        return;
    }
    let (one, other) = (listen("tipc://<*>", &config()), listen("tipc://<*>", &config()));
    assert_ne!(one.local_endpoint(), other.local_endpoint());
    assert_serves(&one, one.local_endpoint());
    assert_serves(&other, other.local_endpoint());
}

#[test]
fn nobody_there_is_a_refusal() {
    if !has_tipc() {
        return;
    }
    let listener = listen("tipc://<*>", &config());
    let gone = listener.local_endpoint().to_owned();
    drop(listener);
    for endpoint in [gone, format!("tipc://{{7002,{}}}", instance())] {
        let error = try_connect(&target(&endpoint, false), &config()).unwrap_err();
        let refusals = [Errno::CONNREFUSED, Errno::HOSTUNREACH].map(Errno::raw_os_error);
        assert!(refusals.contains(&errno_of(&error)), "{endpoint}: {error}");
    }
}

#[test]
fn a_kernel_without_it_says_so_to_who_binds() {
    let bound = Listener::bind(&Endpoint::for_bind("tipc://<*>").unwrap(), &config());
    assert!(bound.is_ok() || bound.is_err_and(|error| error.errno() == Errno::AFNOSUPPORT.raw_os_error()));
}

#[test]
fn a_socket_that_the_application_listens_at_can_be_used() {
    if !has_tipc() {
        return;
    }
    let own = listen("tipc://<*>", &config());
    let config = TransportConfig { use_fd: own.as_fd().as_raw_fd(), ..config() };
    let listener = listen("tipc://{7003,0,0}", &config);
    assert_eq!(listener.local_endpoint(), own.local_endpoint());
    assert_serves(&listener, own.local_endpoint());
    assert_eq!(bind_errno("tcp://127.0.0.1:*", &config), Errno::INVAL.raw_os_error());
}
