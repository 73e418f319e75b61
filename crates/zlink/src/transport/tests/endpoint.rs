use proptest::prelude::*;
use rustix::io::Errno;

use super::*;

#[test]
fn endpoints_to_bind_to_are_accepted_and_displayed_as_given() {
    for endpoint in [
        "tcp://127.0.0.1:5555",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:*",
        "tcp://*:5555",
        "tcp://*:*",
        "tcp://*:0",
        "tcp://[::1]:5555",
        "tcp://[::]:*",
        "tcp://::1:5555",
        "tcp://[1234::1]:*",
        "tcp://[192.168.1.1]:5555",
        "tcp://[::ffff:127.0.0.1]:65535",
        "tcp://[fe80::1%lo]:1",
        "tcp://[fe80::1%2]:1",
        "tcp://eth0:5555",
        "tcp://br-lan.10:5555",
        "tcp://eth0.100@if3:*",
        "tcp://localhost:00080",
        "ws://127.0.0.1:5555/",
        "ws://*:*/path/of/some?length=1",
        "ws://[::1]:*/",
        "ipc:///run/app.sock",
        "ipc://relative/path",
        "ipc://@abstract",
        "ipc://@a/b c",
        "ipc://*",
        "tipc://{5560,0,0}",
        "tipc://{64, 0, 4294967295}",
        "tipc://{5560,7}",
        "tipc://<*>",
        "vsock://*:*",
        "vsock://-1:-1",
        "vsock://@:5555",
        "vsock://1:0",
        "vsock://4294967295:4294967295",
        "inproc://anything: at all",
    ] {
        let parsed = Endpoint::for_bind(endpoint).unwrap_or_else(|e| panic!("{endpoint}: {e}"));
        assert_eq!(parsed.to_string(), endpoint);
    }
}

#[test]
fn endpoints_to_connect_to_are_accepted_and_displayed_as_given() {
    for endpoint in [
        "tcp://127.0.0.1:5555",
        "tcp://127.0.0.1:0",
        "tcp://localhost:5555",
        "tcp://my-host_1.example.org:65535",
        "tcp://[::1]:5555",
        "tcp://[host.example]:1",
        "tcp://abcd:1234::1:0:234:123",
        "tcp://[3000:4:5::1:234%eth0]:8080",
        "tcp://3000:4:5::1:234%2:1111",
        "tcp://host%lo0:4444",
        "tcp://127.0.0.1:0;localhost:1234",
        "tcp://localhost:5555;localhost:1235",
        "tcp://lo:5555;localhost:1235",
        "tcp://*:5555;localhost:1235",
        "tcp://[::1]:*;[::1]:1235",
        "ws://localhost:5555/a",
        "ws://[fe80::1%lo]:5555/",
        "ipc:///run/app.sock",
        "ipc://*not-a-wildcard",
        "ipc://@abstract",
        "tipc://{5560,0}",
        "tipc://{65,4294967295}@255.4095.4095",
        "tipc://{5560, 0}@0.0.0",
        "tipc://<1.2.3:123123>",
        "vsock://1:5555",
        "vsock://@:4294967294",
        "inproc://name",
    ] {
        let parsed = Endpoint::for_connect(endpoint).unwrap_or_else(|e| panic!("{endpoint}: {e}"));
        assert_eq!(parsed.to_string(), endpoint);
    }
}

fn assert_malformed(result: Result<Endpoint, EndpointError>, endpoint: &str) {
    let error = result.expect_err(endpoint);
    assert_eq!(error.errno(), Errno::INVAL.raw_os_error(), "{endpoint}");
    assert!(matches!(error, EndpointError::Malformed { .. }));
}

#[test]
fn malformed_endpoints_are_refused_on_both_sides() {
    for endpoint in [
        "",
        "://",
        "tcp",
        "tcp:",
        "tcp:/127.0.0.1:1",
        "tcp://",
        "ipc://",
        "inproc://",
        "://127.0.0.1:1",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://:5555",
        "tcp://[]:5555",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:99999999999999999999",
        "tcp://127.0.0.1:-1",
        "tcp://127.0.0.1:+80",
        "tcp://127.0.0.1:80x",
        "tcp://127.0.0.1:x80",
        "tcp://127.0.0.1:00",
        "tcp://127.0.0.1: 80",
        "tcp://127.0.0.1:８０",
        "tcp://localhost:http",
        "tcp://in val id:1234",
        "tcp://host\n:1234",
        "tcp://host\0:1234",
        "tcp://a/b:1234",
        "tcp://1.2.128.129]:1",
        "tcp://[1.2.128.129:1",
        "tcp://[1.2.128].129:1",
        "tcp://[192.168.1.1:]5555",
        "tcp://[192.168.1.1:5555]",
        "tcp://[192.168.1.1:*]",
        "tcp://[::1:1",
        "tcp://::1]:1",
        "tcp://[[::1]]:1",
        "tcp://[abcd:1234::1:]0:234",
        "tcp://1::2::3:1",
        "tcp://[fe80::1%]:1",
        "tcp://[fe80::1%0]:1",
        "tcp://[fe80::1%+1]:1",
        "tcp://[fe80::1%4294967296]:1",
        "tcp://127.0.0.1%lo:1",
        "tcp://*foo:1",
        "ipc://@",
        "ipc:///a\0b",
        "tipc://{}",
        "tipc://{5560}",
        "tipc://{5560,}",
        "tipc://{5560,0",
        "tipc://5560,0}",
        "tipc://{5560,0,0,0}",
        "tipc://{5560,-1}",
        "tipc://{5560,+1}",
        "tipc://{5560,0x1}",
        "tipc://{5560,1 }",
        "tipc://{5560,4294967296}",
        "tipc://{63,0}",
        "tipc://{64,0}",
        "tipc://{63,0,0}",
        "tipc://{5560,0}x",
        "tipc://{5560,0}@",
        "tipc://{5560,0}@1.2",
        "tipc://{5560,0}@1.2.3.4",
        "tipc://{5560,0}@256.0.0",
        "tipc://{5560,0}@0.4096.0",
        "tipc://{5560,0}@0.0.4096",
        "tipc://<>",
        "tipc://<*",
        "tipc://<*>x",
        "tipc://<1.2.3>",
        "tipc://<1.2.3:>",
        "tipc://<1.2.3:4",
        "tipc://<1.2.3:4>5",
        "tipc://<1.2.3.4:5>",
        "vsock://1",
        "vsock://:1",
        "vsock://1:",
        "vsock://1:x",
        "vsock://1:+1",
        "vsock://1:-2",
        "vsock://-2:1",
        "vsock://@@:1",
        "vsock://localhost:1",
        "vsock://4294967296:1",
        "vsock://1:4294967296",
        "vsock://1: 1",
        "inproc://a\0b",
    ] {
        assert_malformed(Endpoint::for_bind(endpoint), endpoint);
        assert_malformed(Endpoint::for_connect(endpoint), endpoint);
    }
}

#[test]
fn wildcards_are_refused_where_there_is_a_peer_to_find() {
    for endpoint in [
        "tcp://*:*",
        "tcp://*:5555",
        "tcp://127.0.0.1:*",
        "tcp://127.0.0.1:0;*:5555",
        "tcp://127.0.0.1:0;127.0.0.1:*",
        "ipc://*",
        "tipc://<*>",
        "tipc://{5560,0,0}",
        "vsock://*:5555",
        "vsock://-1:5555",
        "vsock://1:*",
        "vsock://1:-1",
        "vsock://4294967295:1",
    ] {
        assert_malformed(Endpoint::for_connect(endpoint), endpoint);
    }
}

#[test]
fn tipc_places_of_others_and_ranges_that_are_none_are_not_bound_to() {
    for endpoint in
        ["tipc://<1.2.3:123123>", "tipc://{5560,0}@0.0.0", "tipc://{5560,0,0}@0.0.0", "tipc://{5560,2,1}"]
    {
        assert_malformed(Endpoint::for_bind(endpoint), endpoint);
    }
}

#[test]
fn malformed_source_addresses_are_refused() {
    for endpoint in [
        "tcp://;127.0.0.1:1",
        "tcp://127.0.0.1;127.0.0.1:1",
        "tcp://127.0.0.1:1;",
        "tcp://127.0.0.1:x;127.0.0.1:1",
        "tcp://:1;127.0.0.1:1",
        "tcp://1.1.1.1:1;2.2.2.2:2;3.3.3.3:3",
    ] {
        assert_malformed(Endpoint::for_connect(endpoint), endpoint);
    }
    assert_malformed(Endpoint::for_bind("tcp://127.0.0.1:1;127.0.0.1:1"), "bind");
}

#[test]
fn an_unknown_transport_is_named_in_its_error() {
    let without_tls = (!cfg!(feature = "wss")).then_some("wss");
    for transport in ["invalid", "TCP", "tcp ", "pgm"].into_iter().chain(without_tls) {
        let error = Endpoint::for_connect(&format!("{transport}://127.0.0.1:1")).unwrap_err();
        assert_eq!(error.errno(), Errno::PROTONOSUPPORT.raw_os_error());
        let transport = transport.to_owned();
        assert_eq!(error, EndpointError::UnknownTransport { transport });
    }
}

#[test]
fn an_ipc_name_may_have_107_bytes_and_no_more() {
    for prefix in ["/tmp/", "@"] {
        let fits = format!("ipc://{prefix}{}", "x".repeat(107 - prefix.len()));
        Endpoint::for_bind(&fits).unwrap();
        Endpoint::for_connect(&fits).unwrap();
        let too_long = format!("{fits}x");
        for result in [Endpoint::for_bind(&too_long), Endpoint::for_connect(&too_long)] {
            let error = result.unwrap_err();
            let (length, max) = (108, 107);
            assert_eq!(error, EndpointError::PathTooLong { length, max });
            assert_eq!(error.errno(), Errno::NAMETOOLONG.raw_os_error());
        }
    }
}

#[test]
fn a_numeric_endpoint_has_a_canonical_form() {
    let canonical = |endpoint, ipv6| match Endpoint::for_connect(endpoint).unwrap() {
        Endpoint::Tcp(tcp) => tcp.canonical(ipv6),
        _ => unreachable!(),
    };
    let is = |text: &str| Some(text.to_owned());
    assert_eq!(canonical("tcp://[127.0.0.1]:080", false), is("tcp://127.0.0.1:80"));
    assert_eq!(canonical("tcp://127.0.0.1:80", true), is("tcp://[::ffff:127.0.0.1]:80"));
    assert_eq!(canonical("tcp://[0:0::1]:80", true), is("tcp://[::1]:80"));
    assert_eq!(canonical("tcp://fe80::1%lo:80", true), is("tcp://[fe80::1%lo]:80"));
    assert_eq!(canonical("tcp://[::1]:80", false), None);
    assert_eq!(canonical("tcp://localhost:80", false), None);
}

proptest! {
    #[test]
    fn any_string_parses_or_fails_without_panicking(text in ".*") {
        let _ = Endpoint::for_bind(&text);
        let _ = Endpoint::for_connect(&text);
    }

    #[test]
    fn a_string_of_the_right_letters_that_parses_is_displayed_as_it_was(
        transport in prop_oneof!["tcp", "ipc", "tipc", "vsock", "inproc"],
        address in prop_oneof![
            "[a-f0-9:.*;@%\\[\\]/_-]{0,40}",
            "[{<][0-9]{1,4}[,.][0-9]{1,4}([,.][0-9]{1,4})?[}>:]?(@?[0-9.]{0,9})?>?",
        ],
    ) {
        let text = format!("{transport}://{address}");
        for parsed in [Endpoint::for_bind(&text), Endpoint::for_connect(&text)].into_iter().flatten() {
            if parsed.to_string() != "ipc://*" {
                prop_assert_eq!(parsed.to_string(), text.clone());
            }
            if let Endpoint::Tcp(tcp) = &parsed {
                let _ = tcp.source_addr(false);
                let _ = tcp.canonical(true);
            }
        }
    }

    #[test]
    fn every_ipv4_address_and_port_parses(a: [u8; 4], port: u16) {
        let address = std::net::SocketAddr::from((a, port));
        let target = target(&format!("tcp://{address}"), false);
        prop_assert_eq!(target, Target::Tcp(address, None));
    }

    #[test]
    fn every_ipv6_address_and_port_parses(a: [u16; 8], port: u16) {
        let address = std::net::SocketAddr::from((a, port));
        let target = target(&format!("tcp://{address}"), true);
        prop_assert_eq!(target, Target::Tcp(address, None));
    }
}

#[test]
fn web_endpoints_name_a_host_and_a_path_to_ask_for() {
    for (endpoint, shown, host, path) in [
        ("ws://example.org:5555", "ws://example.org:5555/", "example.org:5555", "/"),
        ("ws://example.org:5555/a/b?c", "ws://example.org:5555/a/b?c", "example.org:5555", "/a/b?c"),
        ("ws://example.org:80/", "ws://example.org:80/", "example.org", "/"),
        ("ws://[::1]:1/x", "ws://[::1]:1/x", "[::1]:1", "/x"),
        ("ws://[fe80::1%eth0]:1/x", "ws://[fe80::1%eth0]:1/x", "[fe80::1]:1", "/x"),
    ] {
        let parsed = Endpoint::for_connect(endpoint).unwrap_or_else(|e| panic!("{endpoint}: {e}"));
        assert_eq!(parsed.to_string(), shown);
        let Endpoint::Tcp(tcp) = parsed else { panic!("{endpoint}") };
        let web = tcp.web().expect("a web address");
        assert_eq!((web.host(), web.path()), (host, path), "{endpoint}");
    }
    let Ok(Endpoint::Tcp(tcp)) = Endpoint::for_connect("ws://127.0.0.1:5555/x") else {
        panic!("well formed")
    };
    assert_eq!(tcp.canonical(true).as_deref(), Some("ws://[::ffff:127.0.0.1]:5555/x"));
}

#[test]
fn web_endpoints_that_cannot_be_asked_for_are_refused() {
    for endpoint in [
        "ws://",
        "ws://host",
        "ws://host/path",
        "ws:///path",
        "ws://:80/",
        "ws://host:x/",
        "ws://host:*/",
        "ws://*:80/",
        "ws://a:1;b:2/",
        "ws://host:80/a b",
        "ws://host:80/a\r\nX: y",
        "ws://host:80/\u{e4}",
    ] {
        let error = Endpoint::for_connect(endpoint).expect_err(endpoint);
        assert_eq!(error.errno(), Errno::INVAL.raw_os_error(), "{endpoint}");
    }
}
