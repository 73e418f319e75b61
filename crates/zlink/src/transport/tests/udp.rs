use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use rustix::io::Errno;
use rustix::net::sockopt;
use socket2::SockRef;

use super::*;
use crate::transport::udp::UdpEndpoint;
use crate::transport::{DatagramSocket, TransportError, parse_peer, peer_text};

fn config(ipv6: bool) -> TransportConfig {
    TransportConfig { ipv6, ..TransportConfig::default() }
}

fn parsed(endpoint: &str, bind: bool) -> Result<UdpEndpoint, EndpointError> {
    let endpoint = if bind { Endpoint::for_bind(endpoint) } else { Endpoint::for_connect(endpoint) }?;
    match endpoint {
        Endpoint::Udp(udp) => Ok(udp),
        other => panic!("{other} is not of udp"),
    }
}

fn bind(endpoint: &str, ipv6: bool) -> Result<DatagramSocket, TransportError> {
    DatagramSocket::bind(&parsed(endpoint, true).unwrap(), &config(ipv6))
}

fn connect(endpoint: &str, ipv6: bool) -> Result<DatagramSocket, TransportError> {
    DatagramSocket::connect(&parsed(endpoint, false).unwrap(), &config(ipv6))
}

fn errno(result: Result<DatagramSocket, TransportError>) -> Errno {
    Errno::from_raw_os_error(result.expect_err("an error").errno())
}

#[test]
fn endpoints_are_hosts_and_ports_and_for_groups_interfaces() {
    for text in
        ["*:5555", "*:*", "lo:5555", "127.0.0.1:0", "[::1]:5555", "eth0;239.0.0.1:5555", "*;[ff02::1]:*"]
    {
        let endpoint = format!("udp://{text}");
        assert_eq!(parsed(&endpoint, true).unwrap().to_string(), endpoint);
    }
    for text in ["localhost:5555", "10.0.0.1:5555", "wlan0;239.0.0.1:5555", "*;239.0.0.1:1", "[ff02::1%lo]:1"]
    {
        let endpoint = format!("udp://{text}");
        assert_eq!(parsed(&endpoint, false).unwrap().to_string(), endpoint);
    }
    for text in
        ["", ":", "*", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:5x", ";239.0.0.1:5", "a;:5"]
    {
        for bind in [false, true] {
            assert!(parsed(&format!("udp://{text}"), bind).is_err(), "{text:?}");
        }
    }
    for text in ["*:5555", "127.0.0.1:*", "*;*:5555"] {
        assert!(parsed(&format!("udp://{text}"), false).is_err(), "{text:?} to connect to");
    }
}

#[test]
fn what_an_endpoint_cannot_come_to_has_libzmqs_errno() {
    for (endpoint, ipv6, expected) in [
        ("udp://no-such-if0:5555", false, Errno::NODEV),
        ("udp://[::1]:5555", false, Errno::NODEV),
        ("udp://lo;127.0.0.1:5555", false, Errno::INVAL),
        ("udp://239.0.0.2;239.0.0.1:5555", false, Errno::INVAL),
        ("udp://no-such-if0;239.0.0.1:5555", false, Errno::NODEV),
        ("udp://::1;239.0.0.1:5555", false, Errno::NODEV),
        ("udp://::1;[ff02::1]:5555", true, Errno::NODEV),
        ("udp://no-such-if0;[ff02::1]:5555", true, Errno::NODEV),
        ("udp://[ff02::1%no-such-if0]:5555", true, Errno::INVAL),
    ] {
        assert_eq!(errno(bind(endpoint, ipv6)), expected, "bind {endpoint}");
    }
    for (endpoint, ipv6, expected) in [
        ("udp://no-such-host.invalid:5555", false, Errno::INVAL),
        ("udp://[::1]:5555", false, Errno::INVAL),
        ("udp://lo;127.0.0.1:5555", false, Errno::INVAL),
        ("udp://no-such-if0;239.0.0.1:5555", false, Errno::NODEV),
    ] {
        assert_eq!(errno(connect(endpoint, ipv6)), expected, "connect {endpoint}");
    }
    let far = TransportConfig { multicast_hops: 256, ..config(false) };
    let group = parsed("udp://lo;239.0.0.1:5555", false).unwrap();
    assert_eq!(errno(DatagramSocket::connect(&group, &far)), Errno::INVAL);
}

#[test]
fn a_port_that_another_program_holds_is_in_use() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("udp://{}", other.local_addr().unwrap());
    assert_eq!(errno(bind(&endpoint, false)), Errno::ADDRINUSE);
}

#[test]
fn names_have_what_the_system_chose_filled_in() {
    let port = |name: &str| name.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    for (endpoint, ipv6, start) in [
        ("udp://127.0.0.1:*", false, "udp://127.0.0.1:"),
        ("udp://*:0", false, "udp://0.0.0.0:"),
        ("udp://*:*", true, "udp://[::]:"),
        ("udp://lo:*", false, "udp://127.0.0.1:"),
        ("udp://127.0.0.1:*", true, "udp://[::ffff:127.0.0.1]:"),
        ("udp://lo;239.0.0.1:*", false, "udp://lo;239.0.0.1:"),
    ] {
        let socket = bind(endpoint, ipv6).unwrap();
        assert!(socket.name().starts_with(start) && port(socket.name()) != 0, "{}", socket.name());
    }
}

fn exchange(from: &DatagramSocket, to: &DatagramSocket, target: SocketAddr) -> SocketAddr {
    let pieces = [&b"in "[..], b"", b"pieces"].map(IoSlice::new);
    from.send(target, &pieces).unwrap();
    wait_for(to, PollFlags::IN);
    let mut buffer = [0; 100];
    let (length, source) = to.receive(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"in pieces");
    assert_eq!(to.receive(&mut buffer).unwrap_err(), Errno::AGAIN);
    source
}

fn reached_at(socket: &DatagramSocket) -> SocketAddr {
    socket.name().strip_prefix("udp://").unwrap().parse().unwrap()
}

#[test]
fn datagrams_tell_where_they_are_from() {
    for (first, second) in [(false, false), (false, true), (true, true)] {
        let (first, second) =
            (bind("udp://127.0.0.1:*", first).unwrap(), bind("udp://127.0.0.1:*", second).unwrap());
        let source = exchange(&first, &second, reached_at(&second));
        // Mapped addresses come unmapped, so that either family's socket can answer.
        assert!(source.is_ipv4());
        exchange(&second, &first, parse_peer(peer_text(&source).as_bytes()).unwrap());
    }
}

#[test]
fn the_options_of_the_config_are_set() {
    for (endpoint, ipv6) in [("udp://127.0.0.1;239.192.7.9:*", false), ("udp://*;[ff02::1]:*", true)] {
        let config = TransportConfig {
            send_buffer: 16_384,
            receive_buffer: 20_480,
            tos: 0x28,
            priority: 3,
            multicast_hops: 7,
            multicast_loop: false,
            ..config(ipv6)
        };
        let socket = DatagramSocket::bind(&parsed(endpoint, true).unwrap(), &config).unwrap();
        let fd = SockRef::from(&socket);
        // The kernel doubles what it is asked for, to make room for its own bookkeeping.
        assert_eq!(fd.send_buffer_size().unwrap(), 2 * 16_384);
        assert_eq!(fd.recv_buffer_size().unwrap(), 2 * 20_480);
        assert_eq!(fd.priority().unwrap(), 3);
        if ipv6 {
            assert_eq!(sockopt::ipv6_tclass(&socket).unwrap(), 0x28);
            assert_eq!((fd.multicast_hops_v6().unwrap(), fd.multicast_loop_v6().unwrap()), (7, false));
        } else {
            assert_eq!(sockopt::ip_tos(&socket).unwrap(), 0x28);
            assert_eq!((fd.multicast_ttl_v4().unwrap(), fd.multicast_loop_v4().unwrap()), (7, false));
            assert_eq!(fd.multicast_if_v4().unwrap(), Ipv4Addr::LOCALHOST);
        }
    }
}

#[test]
fn group_members_on_one_interface_all_get_what_is_sent_to_their_group_alone() {
    let members = [(); 2].map(|()| bind("udp://127.0.0.1;239.192.7.1:45871", false).unwrap());
    let stranger = bind("udp://lo;239.192.7.2:45871", false).unwrap();
    let sender = connect("udp://lo;239.192.7.1:45871", false).unwrap();
    let target = sender.target().unwrap();
    assert_eq!(target, "239.192.7.1:45871".parse().unwrap());
    sender.send(target, &[IoSlice::new(b"to all")]).unwrap();
    let mut buffer = [0; 100];
    for member in &members {
        wait_for(member, PollFlags::IN);
        assert_eq!(member.receive(&mut buffer).unwrap().0, 6);
    }
    assert_eq!(stranger.receive(&mut buffer).unwrap_err(), Errno::AGAIN, "not a member of the group");
}

#[test]
fn the_longest_datagram_goes_and_a_longer_one_is_refused() {
    for (endpoint, ipv6) in [("udp://127.0.0.1:*", false), ("udp://[::1]:*", true)] {
        let (from, to) = (bind(endpoint, ipv6).unwrap(), bind(endpoint, ipv6).unwrap());
        let mut body = vec![b'x'; from.longest()];
        from.send(reached_at(&to), &[IoSlice::new(&body)]).unwrap();
        wait_for(&to, PollFlags::IN);
        let mut buffer = vec![0; 1 << 16];
        assert_eq!(to.receive(&mut buffer).unwrap().0, body.len());
        body.push(b'x');
        assert_eq!(from.send(reached_at(&to), &[IoSlice::new(&body)]), Err(Errno::MSGSIZE));
    }
}

#[test]
fn peers_addresses_are_read_with_and_without_a_closing_nul() {
    for text in ["127.0.0.1:5555", "[::1]:5555", "255.255.255.255:65535", "[fe80::1%7]:1"] {
        let peer = parse_peer(text.as_bytes()).unwrap();
        assert_eq!(parse_peer(format!("{text}\0").as_bytes()), Some(peer));
        assert_eq!(peer_text(&peer), text);
    }
    assert_eq!(parse_peer(b"[fe80::1%lo]:1"), parse_peer(b"[fe80::1%1]:1"));
    for text in [
        "",
        "\0",
        ":",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "localhost:5555",
        "127.0.0.1:5555\0\0",
        "127.0.0.1:5555x",
        " 127.0.0.1:5555",
        "[127.0.0.1%lo]:5555",
        "[fe80::1%no-such-if0]:1",
        "127.1:5555",
        "*:5555",
        "::1",
    ] {
        assert_eq!(parse_peer(text.as_bytes()), None, "{text:?}");
    }
    assert_eq!(parse_peer(b"\xff:5555"), None);
}
