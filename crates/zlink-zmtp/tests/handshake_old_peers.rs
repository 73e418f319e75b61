//! The handshake with 2.0 and 1.0 peers, against byte transcripts of 15/ZMTP and 13/ZMTP, as acceptor
//! and as connector alike: these versions have no roles.

mod common;

use common::{config, cut_everywhere, with_id};
use zlink_zmtp::{Framing, HandshakeError, Peer, SocketType, Stage};

/// What a 2.0 peer of this type sends before its routing id.
fn greeting_2_0(revision: u8, socket_type: u8) -> Vec<u8> {
    vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, revision, socket_type]
}

fn peer(framing: Framing, version: (u8, u8), socket_type: Option<SocketType>, id: &[u8]) -> Peer {
    Peer {
        framing,
        version,
        socket_type,
        routing_id: id.to_vec(),
        metadata: vec![],
        zap_properties: vec![],
        heartbeats: false,
        subscribe_commands: false,
    }
}

#[test]
fn version_2_0_dealer_and_our_router_exchange_routing_ids() {
    let bytes = [&greeting_2_0(1, 5)[..], b"\x00\x04them", b"\x00\x05hello"].concat();
    let outcome = cut_everywhere(&with_id(SocketType::Router, b"us"), &bytes);
    assert_eq!(outcome.output, b"\xff\0\0\0\0\0\0\0\x03\x7f\x03\x06\x00\x02us");
    assert_eq!(outcome.consumed, 12 + 6);
    assert_eq!(*outcome.peer(), peer(Framing::V2, (2, 0), Some(SocketType::Dealer), b"them"));
}

#[test]
fn version_2_0_peer_without_routing_id_sends_an_empty_frame() {
    let bytes = [&greeting_2_0(1, 8)[..], b"\x00\x00"].concat();
    let outcome = cut_everywhere(&config(SocketType::Pull), &bytes);
    assert_eq!(outcome.output, b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x07\x00\x00");
    assert_eq!(*outcome.peer(), peer(Framing::V2, (2, 0), Some(SocketType::Push), b""));
}

#[test]
fn revision_2_counts_as_2_0() {
    let bytes = [&greeting_2_0(2, 3)[..], b"\x00\x00"].concat();
    let outcome = cut_everywhere(&config(SocketType::Rep), &bytes);
    assert_eq!(*outcome.peer(), peer(Framing::V2, (2, 0), Some(SocketType::Req), b""));
}

#[test]
fn revision_0_has_the_greeting_of_2_0_and_the_frames_of_1_0() {
    let bytes = [&greeting_2_0(0, 5)[..], b"\x05\x00them", b"\x02\x00x"].concat();
    let outcome = cut_everywhere(&with_id(SocketType::Router, b"us"), &bytes);
    assert_eq!(outcome.output, b"\xff\0\0\0\0\0\0\0\x03\x7f\x03\x06\x03\x00us");
    assert_eq!(outcome.consumed, 12 + 6);
    assert_eq!(*outcome.peer(), peer(Framing::V1, (1, 0), Some(SocketType::Dealer), b"them"));
}

#[test]
fn xpub_and_xsub_are_pub_and_sub_to_a_2_0_peer() {
    for (ours, theirs, on_the_wire) in [
        (SocketType::Xpub, SocketType::Sub, 1),
        (SocketType::Xsub, SocketType::Pub, 2),
        (SocketType::Pub, SocketType::Xsub, 1),
        (SocketType::Sub, SocketType::Xpub, 2),
    ] {
        let bytes = [&greeting_2_0(1, theirs as u8)[..], b"\x00\x00"].concat();
        let outcome = cut_everywhere(&config(ours), &bytes);
        assert_eq!(outcome.output[11], on_the_wire);
        assert_eq!(outcome.peer().socket_type, Some(theirs));
    }
}

#[test]
fn socket_type_in_a_2_0_greeting_is_judged() {
    for ours in SocketType::ALL {
        for number in 0..=u8::MAX {
            let bytes = [&greeting_2_0(1, number)[..], b"\x00\x00"].concat();
            let outcome = common::run(&config(ours), [&bytes[..]]);
            match SocketType::from_i32(number.into()) {
                None => {
                    assert_eq!(*outcome.error(), HandshakeError::UnknownSocketTypeNumber { number });
                    assert_eq!(outcome.stage, Stage::Greeting);
                }
                Some(theirs) if ours.is_compatible(theirs) => {
                    assert_eq!(outcome.peer().socket_type, Some(theirs));
                }
                Some(peer) => {
                    assert_eq!(*outcome.error(), HandshakeError::IncompatibleSocketType { ours, peer });
                }
            }
        }
    }
}

#[test]
fn version_1_0_peer_reads_our_signature_as_the_header_of_our_routing_id() {
    // A 1.0 peer sends its routing id as its first frame, with no greeting before it.
    let outcome = cut_everywhere(&with_id(SocketType::Dealer, b"us"), b"\x05\x00them\x02\x00x");
    assert_eq!(outcome.output, b"\xff\0\0\0\0\0\0\0\x03\x7fus");
    assert_eq!(outcome.consumed, 6);
    assert_eq!(*outcome.peer(), peer(Framing::V1, (1, 0), None, b"them"));

    use zlink_zmtp::frame::v1::decode_header;
    let header = decode_header(&outcome.output, u64::MAX).unwrap().unwrap();
    let body = &outcome.output[usize::from(header.header_len)..];
    assert_eq!((header.body_len, body), (2, &b"us"[..]));
}

#[test]
fn anonymous_version_1_0_peer_is_recognised_by_its_first_byte() {
    let outcome = cut_everywhere(&config(SocketType::Sub), b"\x01\x00");
    assert_eq!(outcome.output, b"\xff\0\0\0\0\0\0\0\x01\x7f");
    assert_eq!(*outcome.peer(), peer(Framing::V1, (1, 0), None, b""));
}

#[test]
fn long_header_of_a_1_0_peer_is_recognised_by_its_even_tenth_byte() {
    for len in [0, 1, 254, 255] {
        let id = vec![b'i'; len];
        let length = (len as u64 + 1).to_be_bytes();
        let bytes = [&[0xff], &length[..], &[0], &id, b"\x01\x00"].concat();
        let outcome = cut_everywhere(&with_id(SocketType::Router, &id), &bytes);
        assert_eq!(outcome.consumed, 10 + len);
        assert_eq!(*outcome.peer(), peer(Framing::V1, (1, 0), None, &id));
        assert_eq!(outcome.output, [&[0xff], &length[..], &[0x7f], &id].concat());
    }
}

#[test]
fn longest_routing_ids_pass_in_2_0() {
    let id = [b'i'; 255];
    let bytes = [&greeting_2_0(1, 6)[..], b"\x00\xff", &id].concat();
    let outcome = cut_everywhere(&with_id(SocketType::Dealer, &id), &bytes);
    assert_eq!(outcome.peer().routing_id, id);
    assert_eq!(outcome.output[11..], [&b"\x05\x00\xff"[..], &id].concat());
}

#[test]
fn old_peers_are_in_the_second_stage_while_their_routing_id_is_missing() {
    for bytes in [&b"\x05\x00the"[..], &[&greeting_2_0(1, 5)[..], b"\x00"].concat()] {
        let outcome = cut_everywhere(&config(SocketType::Router), bytes);
        assert!(outcome.is_waiting());
        assert_eq!(outcome.stage, Stage::Mechanism);
    }
}
