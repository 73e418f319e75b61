//! The handshake with a 3.x peer, against the byte transcripts of 37/ZMTP and 23/ZMTP.

mod common;

use common::{command, config, cut_everywhere, greeting, ready, run, with_id};
use zlink_zmtp::handshake::FailureKind;
use zlink_zmtp::{Framing, Handshake, HandshakeConfig, HandshakeError, Peer, SocketType, Stage};

/// 37/ZMTP, "Worked Example": what a DEALER client sends, step by step.
const SIGNATURE: &[u8] = b"\xff\0\0\0\0\0\0\0\x01\x7f";
const REST: &[u8] = b"\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const DEALER_READY: &[u8] = b"\x04\x29\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0";
/// And what the ROUTER server answers with.
const ROUTER_READY: &[u8] = b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06ROUTER";

fn from_router(traffic: &[u8]) -> Vec<u8> {
    [&greeting(3, 1, b"NULL"), ROUTER_READY, traffic].concat()
}

#[test]
fn worked_example_of_rfc_37_completes_however_it_is_cut() {
    let outcome = cut_everywhere(&config(SocketType::Dealer), &from_router(b""));
    assert_eq!(outcome.output, [SIGNATURE, b"\x03", REST, DEALER_READY].concat());
    assert_eq!(outcome.consumed, 64 + ROUTER_READY.len());
    assert_eq!(
        *outcome.peer(),
        Peer {
            framing: Framing::V2,
            version: (3, 1),
            socket_type: Some(SocketType::Router),
            routing_id: vec![],
            metadata: vec![("Socket-Type".into(), b"ROUTER".to_vec())],
            zap_properties: vec![],
            heartbeats: true,
            subscribe_commands: true,
        }
    );
}

#[test]
fn first_traffic_is_left_to_the_caller() {
    let outcome = cut_everywhere(&config(SocketType::Dealer), &from_router(b"\x00\x05hello\xff\xff"));
    assert_eq!(outcome.consumed, 64 + ROUTER_READY.len());
    outcome.peer();
}

#[test]
fn complete_handshake_takes_nothing_more() {
    let mut handshake = Handshake::new(config(SocketType::Dealer));
    handshake.input(&from_router(b"")).unwrap();
    assert_eq!(handshake.input(b"\x00\x01x"), Ok(0));
    assert_eq!(handshake.stage(), Stage::Done);
}

#[test]
fn each_step_of_the_greeting_waits_for_the_peers() {
    let mut handshake = Handshake::new(config(SocketType::Dealer));
    let mut sent = Vec::new();
    for (n, byte) in from_router(b"").into_iter().enumerate() {
        let expected = match n {
            0..10 => 10,
            10 => 11,
            11..64 => 64,
            _ => 64 + DEALER_READY.len(),
        };
        sent.extend_from_slice(handshake.output());
        handshake.advance_output(handshake.output().len());
        assert_eq!(sent.len(), expected, "after {n} bytes");
        let stage = if n < 64 { Stage::Greeting } else { Stage::Mechanism };
        assert_eq!(handshake.stage(), stage, "after {n} bytes");
        assert_eq!(handshake.input(&[byte]), Ok(1));
    }
    assert_eq!(handshake.stage(), Stage::Done);
    assert!(handshake.output().is_empty());
}

#[test]
fn output_advanced_too_far_is_only_empty() {
    let mut handshake = Handshake::new(config(SocketType::Dealer));
    handshake.advance_output(4);
    assert_eq!(handshake.output(), &SIGNATURE[4..]);
    handshake.advance_output(usize::MAX);
    assert!(handshake.output().is_empty());
    handshake.input(SIGNATURE).unwrap();
    assert_eq!(handshake.output(), b"\x03");
}

#[test]
fn version_3_0_peer_gets_no_subscribe_commands() {
    let bytes = [greeting(3, 0, b"NULL"), ready(&[("Socket-Type", b"SUB")])].concat();
    let outcome = cut_everywhere(&config(SocketType::Pub), &bytes);
    let peer = outcome.peer();
    assert_eq!(peer.version, (3, 0));
    assert!(peer.heartbeats);
    assert!(!peer.subscribe_commands);
}

#[test]
fn later_versions_are_spoken_to_in_3_1() {
    for (major, minor) in [(3, 2), (3, 255), (4, 0), (4, 1), (255, 0)] {
        let bytes = [greeting(major, minor, b"NULL"), ready(&[("Socket-Type", b"SUB")])].concat();
        let outcome = cut_everywhere(&config(SocketType::Pub), &bytes);
        assert_eq!(outcome.peer().version, (3, 1), "announced {major}.{minor}");
        assert!(outcome.peer().subscribe_commands);
    }
}

#[test]
fn padding_as_server_and_filler_have_no_significance() {
    let mut bytes = from_router(b"");
    bytes[1..9].fill(0xab);
    bytes[32..64].fill(0xcd);
    let outcome = cut_everywhere(&config(SocketType::Dealer), &bytes);
    assert_eq!(outcome.peer().socket_type, Some(SocketType::Router));
}

#[test]
fn any_odd_tenth_byte_makes_a_signature() {
    for tenth in [0x01, 0x7f, 0xff] {
        let mut bytes = from_router(b"");
        bytes[9] = tenth;
        assert_eq!(cut_everywhere(&config(SocketType::Dealer), &bytes).peer().version, (3, 1));
    }
}

#[test]
fn routing_id_is_announced_by_req_dealer_and_router_only() {
    for (ours, peer, announced) in [
        (SocketType::Req, "REP", true),
        (SocketType::Dealer, "REP", true),
        (SocketType::Router, "REQ", true),
        (SocketType::Rep, "REQ", false),
        (SocketType::Sub, "PUB", false),
        (SocketType::Push, "PULL", false),
        (SocketType::Pair, "PAIR", false),
    ] {
        let bytes = [greeting(3, 1, b"NULL"), ready(&[("Socket-Type", peer.as_bytes())])].concat();
        let outcome = run(&with_id(ours, b"me"), [&bytes[..]]);
        let type_name = ours.as_str().as_bytes();
        let expected = if announced {
            ready(&[("Socket-Type", type_name), ("Identity", b"me")])
        } else {
            ready(&[("Socket-Type", type_name)])
        };
        assert_eq!(outcome.output[64..], expected, "{ours}");
        assert_eq!(outcome.output[..10], *b"\xff\0\0\0\0\0\0\0\x03\x7f");
    }
}

#[test]
fn extra_properties_go_out_after_ours_and_come_in_with_the_rest() {
    let extra = |value: &[u8]| vec![("X-app".to_owned(), value.to_vec()), ("X-v".to_owned(), vec![])];
    let ours = HandshakeConfig { metadata: extra(b"left"), ..config(SocketType::Push) };
    let properties = [("Socket-Type", &b"PULL"[..]), ("X-app", b"right"), ("X-v", b"")];
    let bytes = [greeting(3, 1, b"NULL"), ready(&properties)].concat();
    let outcome = cut_everywhere(&ours, &bytes);
    let sent = ready(&[("Socket-Type", b"PUSH"), ("X-app", b"left"), ("X-v", b"")]);
    assert_eq!(outcome.output[64..], sent);
    let mut expected = vec![("Socket-Type".to_owned(), b"PULL".to_vec())];
    expected.extend(extra(b"right"));
    assert_eq!(outcome.peer().metadata, expected);
}

#[test]
fn property_names_compare_without_regard_to_case() {
    let properties = [("sOCKET-tYPE", &b"DEALER"[..]), ("IDENTITY", b"id")];
    let bytes = [greeting(3, 1, b"NULL"), ready(&properties)].concat();
    let outcome = cut_everywhere(&config(SocketType::Router), &bytes);
    assert_eq!(outcome.peer().socket_type, Some(SocketType::Dealer));
    assert_eq!(outcome.peer().routing_id, b"id");
    assert_eq!(outcome.peer().metadata[1].0, "IDENTITY");
}

#[test]
fn identity_may_come_before_the_socket_type_and_is_ignored_from_types_that_have_none() {
    for (ours, peer, routing_id) in
        [(SocketType::Router, "DEALER", &b"id"[..]), (SocketType::Pull, "PUSH", b"")]
    {
        let properties = [("Identity", &b"id"[..]), ("Socket-Type", peer.as_bytes())];
        let bytes = [greeting(3, 1, b"NULL"), ready(&properties)].concat();
        assert_eq!(cut_everywhere(&config(ours), &bytes).peer().routing_id, routing_id);
    }
}

#[test]
fn long_and_binary_identity_is_accepted_up_to_255_bytes() {
    let longest = vec![0; 255];
    for id in [&longest[..], b"\0\0\0\x05"] {
        let bytes =
            [greeting(3, 1, b"NULL"), ready(&[("Socket-Type", b"DEALER"), ("Identity", id)])].concat();
        let outcome = cut_everywhere(&with_id(SocketType::Router, &longest), &bytes);
        assert_eq!(outcome.peer().routing_id, id);
        assert_eq!(outcome.output[1..9], 256u64.to_be_bytes());
    }
}

#[test]
fn long_form_of_a_short_ready_is_accepted() {
    let body = &ready(&[("Socket-Type", b"REP")])[2..];
    let bytes = [&greeting(3, 1, b"NULL"), &[6][..], &(body.len() as u64).to_be_bytes(), body].concat();
    assert_eq!(cut_everywhere(&config(SocketType::Req), &bytes).consumed, bytes.len());
}

#[test]
fn two_handshakes_complete_for_every_compatible_pair_and_fail_for_every_other() {
    for left in SocketType::ALL {
        for right in SocketType::ALL {
            for chunk in [1, 7, usize::MAX] {
                let mut a = Handshake::new(with_id(left, b"left"));
                let mut b = Handshake::new(with_id(right, b"a longer right"));
                let results = converse(&mut a, &mut b, chunk);
                if left.is_compatible(right) {
                    assert_eq!(results, (Ok(()), Ok(())), "{left} with {right}");
                    assert_eq!(a.peer().unwrap().socket_type, Some(right));
                    assert_eq!(b.peer().unwrap().socket_type, Some(left));
                    let id =
                        |t: SocketType, id: &'static [u8]| if t.announces_routing_id() { id } else { b"" };
                    assert_eq!(a.into_peer().unwrap().routing_id, id(right, b"a longer right"));
                    assert_eq!(b.into_peer().unwrap().routing_id, id(left, b"left"));
                } else {
                    let refused = |ours, peer| Err(HandshakeError::IncompatibleSocketType { ours, peer });
                    assert_eq!(results, (refused(left, right), refused(right, left)));
                }
            }
        }
    }
}

/// Carries the output of each to the other, `chunk` bytes at a time, until neither has any.
fn converse(
    a: &mut Handshake,
    b: &mut Handshake,
    chunk: usize,
) -> (Result<(), HandshakeError>, Result<(), HandshakeError>) {
    let carry = |from: &mut Handshake, to: &mut Handshake| {
        let n = from.output().len().min(chunk);
        let result = to.input(&from.output()[..n]);
        from.advance_output(n);
        result.map(drop)
    };
    let (mut to_a, mut to_b) = (Ok(()), Ok(()));
    while !a.output().is_empty() || !b.output().is_empty() {
        to_b = to_b.and(carry(a, b));
        to_a = to_a.and(carry(b, a));
    }
    (to_a, to_b)
}

#[test]
fn other_mechanisms_are_a_mismatch() {
    for mechanism in [&b"PLAIN"[..], b"CURVE", b"NULLX", b"null", b"", b"NULL\0x", &[0xff; 20]] {
        let bytes = greeting(3, 1, mechanism);
        let outcome = cut_everywhere(&config(SocketType::Req), &bytes);
        let mut peer = [0; 20];
        peer[..mechanism.len()].copy_from_slice(mechanism);
        assert_eq!(*outcome.error(), HandshakeError::MechanismMismatch { peer });
        assert_eq!(outcome.error().kind(), FailureKind::MechanismMismatch);
        assert_eq!(outcome.error().protocol_error_code(), 0x1100_0002);
        assert_eq!(outcome.stage, Stage::Greeting);
        // The whole greeting is owed to the peer even so, or it would wait for it.
        assert_eq!(outcome.output.len(), 64);
    }
}

#[test]
fn peers_error_command_is_reported_with_its_reason() {
    for (reason, status) in [
        (&b"400"[..], Some(400)),
        (b"300", Some(300)),
        (b"500", Some(500)),
        (b"200", None),
        (b"no\xff", None),
    ] {
        let body = [&b"\x05ERROR"[..], &[reason.len() as u8], reason].concat();
        let bytes = [greeting(3, 1, b"NULL"), command(&body)].concat();
        let outcome = cut_everywhere(&config(SocketType::Req), &bytes);
        assert_eq!(*outcome.error(), HandshakeError::PeerError(reason.to_vec()));
        assert_eq!(outcome.error().kind(), FailureKind::PeerRejected);
        assert_eq!(outcome.error().auth_status(), status);
        assert_eq!(outcome.stage, Stage::Mechanism);
    }
}
