use rustix::io::Errno;

use super::*;
use crate::transport::{Negotiation, Proxy, SocksError};

const NAME: &[u8] = b"user";
const PASSWORD: &[u8] = b"secret";

fn peer(endpoint: &str) -> TcpEndpoint {
    match Endpoint::for_connect(endpoint).unwrap() {
        Endpoint::Tcp(tcp) => tcp,
        other => panic!("{other} is not of tcp"),
    }
}

fn begin(endpoint: &str, name: &[u8]) -> Negotiation {
    let proxy = Proxy::new("127.0.0.1:1080", name, PASSWORD).unwrap();
    Negotiation::new(&proxy, &peer(endpoint)).unwrap()
}

/// Takes what is to be said.
fn said(negotiation: &mut Negotiation) -> Vec<u8> {
    let said = negotiation.output().to_vec();
    negotiation.advance_output(said.len());
    said
}

/// Lets the proxy answer as far as it is listened to, `step` bytes at a time; returns what the client has said and the
/// bytes that were not read.
fn answer(
    negotiation: &mut Negotiation,
    mut bytes: &[u8],
    step: usize,
) -> Result<(Vec<Vec<u8>>, usize, bool), SocksError> {
    let mut all = vec![said(negotiation)];
    let mut stands = false;
    while !bytes.is_empty() && negotiation.wanted() > 0 {
        let (now, rest) = bytes.split_at(step.min(negotiation.wanted()).min(bytes.len()));
        bytes = rest;
        stands = negotiation.input(now)?;
        if !negotiation.output().is_empty() {
            all.push(said(negotiation));
        }
    }
    Ok((all, bytes.len(), stands))
}

const REPLIES: [&[u8]; 4] = [
    &[5, 0, 0, 1, 127, 0, 0, 1, 4, 56],
    &[5, 0, 0, 3, 2, b'h', b'i', 4, 56],
    &[5, 0, 0, 3, 0, 4, 56],
    &[5, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 4, 56],
];

#[test]
fn the_peer_is_asked_for_and_nothing_behind_the_answer_is_read() {
    for (endpoint, address) in [
        ("tcp://1.2.3.4:5555", &[1, 1, 2, 3, 4][..]),
        ("tcp://example.org:5555", b"\x03\x0bexample.org"),
        ("tcp://[::1]:5555", &[4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    ] {
        let request = [&[5, 1, 0], address, &[0x15, 0xB3]].concat();
        for reply in REPLIES {
            for step in [1, 2, 3, 5, 100] {
                let bytes = [&[5, 0], reply, b"the peer's"].concat();
                let (all, left, stands) = answer(&mut begin(endpoint, b""), &bytes, step).unwrap();
                assert_eq!(all, [vec![5, 1, 0], request.clone()]);
                assert!(stands && left == 10, "{left} left");

                let bytes = [&[5, 2, 1, 0], reply, b"the peer's"].concat();
                let (all, left, stands) = answer(&mut begin(endpoint, NAME), &bytes, step).unwrap();
                assert_eq!(all, [vec![5, 1, 2], b"\x01\x04user\x06secret".to_vec(), request.clone()]);
                assert!(stands && left == 10);
            }
        }
    }
}

#[test]
fn an_answer_that_ends_anywhere_is_waited_for() {
    for reply in REPLIES {
        let whole = [&[5, 2, 1, 0], reply].concat();
        for cut in 0..whole.len() {
            let mut negotiation = begin("tcp://1.2.3.4:5555", NAME);
            let (_, left, stands) = answer(&mut negotiation, &whole[..cut], 100).unwrap();
            assert!(!stands && left == 0 && negotiation.wanted() > 0, "{cut} of {whole:?}");
        }
    }
}

#[test]
fn every_wrong_byte_is_refused_where_it_stands() {
    let whole = [&[5, 2, 1, 0], REPLIES[0]].concat();
    for at in 0..whole.len() {
        for byte in 0..=255 {
            let mut changed = whole.clone();
            changed[at] = byte;
            let expected = match (at, byte) {
                _ if byte == whole[at] => None,
                (0 | 2 | 4, other) => Some(SocksError::Version(other)),
                // Without authentication the rest is one answer too many, which is no reply.
                (1, 0) => Some(SocksError::Version(1)),
                (1, 0xFF) => Some(SocksError::NoMethod),
                (1, other) => Some(SocksError::Method(other)),
                (3, _) => Some(SocksError::Denied),
                (5, other) => Some(SocksError::Refused(other)),
                (7, 3 | 4) => None,
                (7, other) => Some(SocksError::Address(other)),
                // Reserved, and where the proxy connects from.
                _ => None,
            };
            for step in [1, 100] {
                let outcome = answer(&mut begin("tcp://1.2.3.4:5555", NAME), &changed, step);
                assert_eq!(outcome.err(), expected, "{byte} at {at}");
            }
        }
    }
}

#[test]
fn a_method_that_was_not_offered_is_refused() {
    let outcome = answer(&mut begin("tcp://1.2.3.4:5555", b""), &[5, 2], 2);
    assert_eq!(outcome.err(), Some(SocksError::Method(2)));
}

#[test]
fn what_does_not_fit_in_and_proxies_that_are_none_are_refused() {
    let proxy = |address: &str| Proxy::new(address, b"", b"");
    for wrong in
        ["", "nowhere", "127.0.0.1:", "127.0.0.1:*", "*:1080", "host:1080/x", "ho st:1080", "host:65536"]
    {
        assert!(proxy(wrong).is_err(), "{wrong:?}");
    }
    for right in ["127.0.0.1:1080", "proxy.example.org:1080", "[::1]:1080", "127.0.0.1:0;proxy:1080"] {
        assert!(proxy(right).is_ok(), "{right:?}");
    }
    let named =
        |length| Negotiation::new(&proxy("p:1").unwrap(), &peer(&format!("tcp://{}:1", "n".repeat(length))));
    assert!(named(255).is_ok());
    assert_eq!(named(256).err(), Some(SocksError::LongName));
}

#[test]
fn errors_tell_what_the_proxy_said() {
    for (reply, expected) in [
        (1, Errno::CONNREFUSED),
        (2, Errno::ACCESS),
        (3, Errno::NETUNREACH),
        (4, Errno::HOSTUNREACH),
        (5, Errno::CONNREFUSED),
        (6, Errno::TIMEDOUT),
        (7, Errno::OPNOTSUPP),
        (8, Errno::AFNOSUPPORT),
        (255, Errno::CONNREFUSED),
    ] {
        assert_eq!(SocksError::Refused(reply).errno(), expected);
    }
    assert_eq!(SocksError::Denied.errno(), Errno::ACCESS);
    assert_eq!(SocksError::Version(4).errno(), Errno::PROTO);
}
