use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt;
use socket2::SockRef;

use super::*;

fn v6() -> TransportConfig {
    TransportConfig { ipv6: true, ..TransportConfig::default() }
}

fn port_of(listener: &Listener) -> u16 {
    let (_, port) = listener.local_endpoint().rsplit_once(':').unwrap();
    port.parse().unwrap()
}

#[test]
fn a_listener_with_nobody_waiting_gives_none() {
    let listener = listen("tcp://127.0.0.1:*", &TransportConfig::default());
    assert!(listener.accept().unwrap().is_none());
}

#[test]
fn a_connection_carries_bytes_both_ways_and_both_ends_are_named() {
    let config = TransportConfig::default();
    let listener = listen("tcp://127.0.0.1:*", &config);
    let (client, accepted) = connect_pair(&listener, &config);
    assert_bytes_flow(&client, &accepted.stream);
    assert_non_blocking_and_cloexec(&listener);
    assert_non_blocking_and_cloexec(&client);
    assert_non_blocking_and_cloexec(&accepted.stream);
    assert_eq!(peer_names(accepted.stream.as_fd()).local, listener.local_endpoint());
    assert_eq!(peer_names(accepted.stream.as_fd()).peer_address, "127.0.0.1");
    let names = peer_names(client.as_fd());
    assert_eq!(names.local, peer_names(accepted.stream.as_fd()).remote);
    assert_eq!(names.remote, peer_names(accepted.stream.as_fd()).local);
    assert_eq!(names.peer_address, "127.0.0.1");
}

#[test]
fn every_way_to_leave_host_or_port_open_gets_a_port() {
    let config = TransportConfig::default();
    for (endpoint, host) in [
        ("tcp://127.0.0.1:0", "tcp://127.0.0.1:"),
        ("tcp://*:*", "tcp://0.0.0.0:"),
        ("tcp://*:0", "tcp://0.0.0.0:"),
        ("tcp://lo:*", "tcp://127.0.0.1:"),
        ("tcp://localhost:*", "tcp://127.0.0.1:"),
    ] {
        let listener = listen(endpoint, &config);
        let local = listener.local_endpoint();
        assert!(local.starts_with(host), "{endpoint} is at {local}");
        assert_ne!(port_of(&listener), 0);
        let peer = SocketAddr::from(([127, 0, 0, 1], port_of(&listener)));
        let client = try_connect(&Target::Tcp(peer, None), &config).unwrap();
        assert_bytes_flow(&client, &accept(&listener).stream);
    }
}

#[test]
fn ipv6_addresses_work_once_ipv6_is_on() {
    if !has_ipv6() {
        return;
    }
    for endpoint in ["tcp://[::1]:*", "tcp://::1:*", "tcp://lo:*"] {
        let listener = listen(endpoint, &v6());
        assert!(listener.local_endpoint().starts_with("tcp://[::1]:"));
        let (client, accepted) = connect_pair(&listener, &v6());
        assert_bytes_flow(&client, &accepted.stream);
        assert_eq!(peer_names(accepted.stream.as_fd()).peer_address, "::1");
        assert_eq!(peer_names(client.as_fd()).remote, listener.local_endpoint());
    }
    let without = TransportConfig::default();
    assert_eq!(bind_errno("tcp://[::1]:*", &without), Errno::NODEV.raw_os_error());
}

#[test]
fn an_ipv6_wildcard_serves_both_families() {
    if !has_ipv6() {
        return;
    }
    for endpoint in ["tcp://*:*", "tcp://[::]:*"] {
        let listener = listen(endpoint, &v6());
        let port = port_of(&listener);
        assert_eq!(listener.local_endpoint(), format!("tcp://[::]:{port}"));
        for (peer, config, seen) in [
            ("127.0.0.1", TransportConfig::default(), "::ffff:127.0.0.1"),
            ("127.0.0.1", v6(), "::ffff:127.0.0.1"),
            ("[::1]", v6(), "::1"),
        ] {
            let target = target(&format!("tcp://{peer}:{port}"), config.ipv6);
            let client = try_connect(&target, &config).unwrap();
            let accepted = accept(&listener);
            assert_eq!(peer_names(accepted.stream.as_fd()).peer_address, seen);
            assert_bytes_flow(&client, &accepted.stream);
        }
    }
}

#[test]
fn an_ipv4_address_bound_with_ipv6_on_is_named_in_mapped_form() {
    if !has_ipv6() {
        return;
    }
    let listener = listen("tcp://127.0.0.1:*", &v6());
    let port = port_of(&listener);
    let named = format!("tcp://[::ffff:127.0.0.1]:{port}");
    assert_eq!(listener.local_endpoint(), named);
    let given = format!("tcp://127.0.0.1:{port}");
    match Endpoint::for_connect(&given).unwrap() {
        Endpoint::Tcp(tcp) => assert_eq!(tcp.canonical(true), Some(named)),
        _ => unreachable!(),
    }
}

#[test]
fn binding_reports_why_it_failed() {
    let config = TransportConfig::default();
    let listener = listen("tcp://127.0.0.1:*", &config);
    let taken = format!("tcp://127.0.0.1:{}", port_of(&listener));
    assert_eq!(bind_errno(&taken, &config), Errno::ADDRINUSE.raw_os_error());
    // From the block reserved for documentation: nobody's address.
    let foreign = bind_errno("tcp://192.0.2.1:*", &config);
    assert_eq!(foreign, Errno::ADDRNOTAVAIL.raw_os_error());
    let nobody = format!("tcp://{}:5555", "x".repeat(80));
    assert_eq!(bind_errno(&nobody, &config), Errno::NODEV.raw_os_error());
    if has_ipv6() {
        let zone = bind_errno("tcp://[fe80::1%nosuchif0]:*", &v6());
        assert_eq!(zone, Errno::INVAL.raw_os_error());
    }
    let inproc = bind_errno("inproc://x", &config);
    assert_eq!(inproc, Errno::INVAL.raw_os_error());
}

#[test]
fn a_port_can_be_bound_again_while_its_old_connections_linger() {
    let config = TransportConfig::default();
    let listener = listen("tcp://127.0.0.1:*", &config);
    let endpoint = listener.local_endpoint().to_owned();
    let (client, accepted) = connect_pair(&listener, &config);
    // The end that closes first keeps the port in TIME_WAIT: the server's.
    drop(accepted);
    wait_for(&client, PollFlags::IN);
    drop(client);
    drop(listener);
    let again = listen(&endpoint, &config);
    assert_eq!(again.local_endpoint(), endpoint);
}

#[test]
fn connecting_to_a_port_nobody_listens_at_is_refused() {
    let config = TransportConfig::default();
    let listener = listen("tcp://127.0.0.1:*", &config);
    let target = target(listener.local_endpoint(), false);
    drop(listener);
    let error = try_connect(&target, &config).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::CONNREFUSED.raw_os_error()));
}

#[test]
fn a_socket_joined_to_itself_is_no_connection() {
    let config = TransportConfig::default();
    let listener = listen("tcp://127.0.0.1:*", &config);
    let itself = SocketAddr::from(([127, 0, 0, 1], port_of(&listener)));
    drop(listener);
    let error = try_connect(&Target::Tcp(itself, Some(itself)), &config).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::CONNREFUSED.raw_os_error()));
}

#[test]
fn a_connection_comes_from_the_source_address_asked_for() {
    let config = TransportConfig::default();
    let listener = listen("tcp://127.0.0.1:*", &config);
    let port = port_of(&listener);
    for (source, seen) in [
        ("127.0.0.2:0", "127.0.0.2"),
        ("127.0.0.3:*", "127.0.0.3"),
        ("lo:*", "127.0.0.1"),
        ("*:*", "127.0.0.1"),
    ] {
        let target = target(&format!("tcp://{source};127.0.0.1:{port}"), false);
        let client = try_connect(&target, &config).unwrap();
        let accepted = accept(&listener);
        assert_eq!(peer_names(accepted.stream.as_fd()).peer_address, seen, "{source}");
        assert_bytes_flow(&client, &accepted.stream);
    }
}

#[test]
fn one_source_port_serves_several_peers() {
    let config = TransportConfig::default();
    let listeners = [listen("tcp://127.0.0.1:*", &config), listen("tcp://127.0.0.1:*", &config)];
    let spare = listen("tcp://127.0.0.9:*", &config);
    let source = SocketAddr::from(([127, 0, 0, 9], port_of(&spare)));
    drop(spare);
    let mut clients = Vec::new();
    for listener in &listeners {
        let peer = SocketAddr::from(([127, 0, 0, 1], port_of(listener)));
        clients.push(try_connect(&Target::Tcp(peer, Some(source)), &config).unwrap());
        assert_eq!(peer_names(accept(listener).stream.as_fd()).remote, format!("tcp://{source}"));
    }
    assert_eq!(clients.len(), 2);
}

#[test]
fn an_unknown_or_foreign_source_address_is_an_error() {
    let source_of = |endpoint: &str| match Endpoint::for_connect(endpoint).unwrap() {
        Endpoint::Tcp(tcp) => tcp.source_addr(false),
        _ => unreachable!(),
    };
    let no_source = source_of("tcp://127.0.0.1:1").unwrap();
    assert_eq!(no_source, None);
    // Names are not looked up for a source address, as in libzmq.
    for endpoint in ["tcp://localhost:5555;h:1", "tcp://nosuchif0:0;h:1", "tcp://[::1]:0;h:1"] {
        let error = source_of(endpoint).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::NODEV.raw_os_error()));
    }
    let target = target("tcp://192.0.2.1:0;127.0.0.1:1", false);
    let error = start_connect(&target, &TransportConfig::default()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::ADDRNOTAVAIL.raw_os_error()));
}

#[test]
fn the_options_of_the_config_are_set_on_both_ends() {
    let config = TransportConfig {
        send_buffer: 16_384,
        receive_buffer: 20_480,
        tos: 0x28,
        priority: 3,
        tcp_keepalive: 1,
        tcp_keepalive_cnt: 5,
        tcp_keepalive_idle: 60,
        tcp_keepalive_interval: 7,
        tcp_max_rt: 4_321,
        busy_poll: 0,
        bind_to_device: Some(String::from("lo")),
        ..TransportConfig::default()
    };
    let listener = listen("tcp://127.0.0.1:*", &config);
    let (client, accepted) = connect_pair(&listener, &config);
    for fd in [&client, &accepted.stream] {
        assert!(sockopt::tcp_nodelay(fd).unwrap());
        // The kernel doubles what it is asked for, to make room for its own bookkeeping.
        assert_eq!(sockopt::socket_send_buffer_size(fd).unwrap(), 2 * 16_384);
        assert_eq!(sockopt::socket_recv_buffer_size(fd).unwrap(), 2 * 20_480);
        assert_eq!(sockopt::ip_tos(fd).unwrap(), 0x28);
        assert_eq!(SockRef::from(fd).priority().unwrap(), 3);
        assert!(sockopt::socket_keepalive(fd).unwrap());
        assert_eq!(sockopt::tcp_keepcnt(fd).unwrap(), 5);
        assert_eq!(sockopt::tcp_keepidle(fd).unwrap(), Duration::from_secs(60));
        assert_eq!(sockopt::tcp_keepintvl(fd).unwrap(), Duration::from_secs(7));
        assert_eq!(sockopt::tcp_user_timeout(fd).unwrap(), 4_321);
        let device = SockRef::from(fd).device().unwrap();
        assert_eq!(device.as_deref(), Some(&b"lo"[..]));
    }
}

#[test]
fn busy_polling_is_set_where_the_kernel_allows_it() {
    let config = TransportConfig { busy_poll: 50, ..TransportConfig::default() };
    let endpoint = Endpoint::for_bind("tcp://127.0.0.1:*").unwrap();
    match Listener::bind(&endpoint, &config) {
        Ok(listener) => {
            let fd = listener.as_fd();
            assert_eq!(SockRef::from(&fd).busy_poll().unwrap(), 50);
        }
        // Raising it takes CAP_NET_ADMIN; some kernels are built without it.
        Err(error) => {
            let refusals = [Errno::PERM, Errno::NOPROTOOPT].map(Errno::raw_os_error);
            assert!(refusals.contains(&error.errno()), "{error}");
        }
    }
}

#[test]
fn the_defaults_leave_the_systems_settings_alone() {
    let config = TransportConfig::default();
    let listener = listen("tcp://127.0.0.1:*", &config);
    let (client, accepted) = connect_pair(&listener, &config);
    for fd in [&client, &accepted.stream] {
        assert!(sockopt::tcp_nodelay(fd).unwrap());
        assert!(!sockopt::socket_keepalive(fd).unwrap());
        assert_eq!(sockopt::ip_tos(fd).unwrap(), 0);
        assert_eq!(sockopt::tcp_user_timeout(fd).unwrap(), 0);
    }
}

/// An address of this host that is not a loopback one, if it has any: what it would send from.
fn outward_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent; TEST-NET-1 is nobody's.
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[test]
fn bbr_does_not_pace_over_loopback_addresses_and_does_over_others() {
    let congestion = |end: &OwnedFd| sockopt::tcp_congestion(end).unwrap();
    let config = TransportConfig::default();
    let system = sockopt::tcp_congestion(std::net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    let near = if system == "bbr" { "reno" } else { &system };
    let through = |listener: &Listener, address: &std::net::IpAddr| {
        let target = target(&format!("tcp://{address}:{}", port_of(listener)), false);
        let client = try_connect(&target, &config).unwrap();
        [congestion(&client), congestion(&accept(listener).stream)]
    };
    let loopback = [127, 0, 0, 1].into();
    for bound in ["tcp://127.0.0.1:*", "tcp://*:*"] {
        assert_eq!(through(&listen(bound, &config), &loopback), [near, near], "{bound}");
    }
    match outward_address() {
        Some(address) => {
            assert_eq!(through(&listen("tcp://*:*", &config), &address), [&*system; 2], "{address}");
        }
        None => eprintln!("this host has loopback addresses only"),
    }
}

#[test]
fn option_values_the_kernel_refuses_are_reported_by_bind_and_connect() {
    let refused = [
        TransportConfig { tos: 256, ..TransportConfig::default() },
        TransportConfig { tcp_keepalive: 1, tcp_keepalive_cnt: 1_000_000, ..TransportConfig::default() },
    ];
    for config in refused {
        let bind = bind_errno("tcp://127.0.0.1:*", &config);
        assert_eq!(bind, Errno::INVAL.raw_os_error());
        let target = target("tcp://127.0.0.1:1", false);
        let connect = start_connect(&target, &config).unwrap_err();
        assert_eq!(connect.raw_os_error(), Some(Errno::INVAL.raw_os_error()));
    }
    let config =
        TransportConfig { bind_to_device: Some(String::from("nosuchif0")), ..TransportConfig::default() };
    let device = bind_errno("tcp://127.0.0.1:*", &config);
    assert_eq!(device, Errno::NODEV.raw_os_error());
}

#[test]
fn a_peer_that_resets_before_it_is_accepted_does_no_harm() {
    let config = TransportConfig::default();
    let listener = listen("tcp://127.0.0.1:*", &config);
    let target = target(listener.local_endpoint(), false);
    let client = try_connect(&target, &config).unwrap();
    wait_for(&listener, PollFlags::IN);
    sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    drop(client);
    let gone = listener.accept();
    assert!(!matches!(gone, Err(AcceptError::Listener(_))), "{gone:?}");
    let (client, accepted) = connect_pair(&listener, &config);
    assert_bytes_flow(&client, &accepted.stream);
}

#[test]
fn a_descriptor_the_application_listens_at_can_be_used() {
    let config = TransportConfig::default();
    let application = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let local = application.local_addr().unwrap();
    let config = TransportConfig { use_fd: application.as_raw_fd(), ..config };
    let listener = listen("tcp://*:*", &config);
    assert_eq!(listener.local_endpoint(), format!("tcp://{local}"));
    let (client, accepted) = connect_pair(&listener, &config);
    assert_bytes_flow(&client, &accepted.stream);
    assert_non_blocking_and_cloexec(&accepted.stream);
}

#[test]
fn a_descriptor_that_cannot_be_used_is_refused() {
    let with = |use_fd| TransportConfig { use_fd, ..TransportConfig::default() };
    for number in [-2, i32::MIN, i32::MAX] {
        let closed = bind_errno("tcp://*:*", &with(number));
        assert_eq!(closed, Errno::BADF.raw_os_error(), "{number}");
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other_family = bind_errno("ipc://*", &with(listener.as_raw_fd()));
    assert_eq!(other_family, Errno::INVAL.raw_os_error());
    let idle = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let not_listening = bind_errno("tcp://*:*", &with(idle.as_raw_fd()));
    assert_eq!(not_listening, Errno::INVAL.raw_os_error());
    let file = std::fs::File::open("/dev/null").unwrap();
    let no_socket = bind_errno("tcp://*:*", &with(file.as_raw_fd()));
    assert_eq!(no_socket, Errno::NOTSOCK.raw_os_error());
}
