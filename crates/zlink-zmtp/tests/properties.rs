//! Properties over random values and random bytes.

mod common;

use proptest::collection::vec;
use proptest::prelude::*;
use zlink_zmtp::command::{self, Command};
use zlink_zmtp::{HandshakeConfig, SocketType, frame, metadata};

fn socket_type() -> impl Strategy<Value = SocketType> {
    (0..21i32).prop_map(|n| SocketType::from_i32(n).unwrap())
}

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9._+-]{1,255}"
}

/// Bytes that get past the greeting more often than noise does.
fn almost_a_handshake() -> impl Strategy<Value = Vec<u8>> {
    let valid = (0..6u8, any::<u8>(), socket_type()).prop_map(|(major, minor, peer)| {
        let ready = common::ready(&[("Socket-Type", peer.as_str().as_bytes()), ("Identity", b"id")]);
        [common::greeting(major, minor, b"NULL"), ready, b"\x00\x01x".to_vec()].concat()
    });
    let damage = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (valid, damage, vec(any::<u8>(), 0..40)).prop_map(|(mut bytes, damage, tail)| {
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.extend(tail);
        bytes
    })
}

fn chunks<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    for size in sizes {
        let (chunk, rest) = bytes.split_at((*size).min(bytes.len()));
        chunks.push(chunk);
        bytes = rest;
    }
    chunks.push(bytes);
    chunks
}

proptest! {
    #[test]
    fn random_bytes_have_one_outcome_however_they_are_cut(
        ours in socket_type(),
        bytes in prop_oneof![vec(any::<u8>(), 0..200), almost_a_handshake()],
        sizes in vec(0..50usize, 0..12),
        max_command_size in prop_oneof![Just(64 * 1024u64), 0..200u64, Just(u64::MAX)],
    ) {
        let config = HandshakeConfig { max_command_size, ..common::with_id(ours, b"me") };
        let whole = common::run(&config, [&bytes[..]]);
        prop_assert!(whole.consumed <= bytes.len());
        prop_assert_eq!(common::run(&config, bytes.chunks(1)), whole.clone());
        prop_assert_eq!(common::run(&config, chunks(&bytes, &sizes)), whole.clone());
        if let Ok(Some(_)) = whole.result {
            // What follows a complete handshake does not matter to it.
            let alone = common::run(&config, [&bytes[..whole.consumed]]);
            prop_assert_eq!(alone, whole);
        }
    }

    #[test]
    fn frame_headers_survive_the_roundtrip(more: bool, command: bool, len in 0..=frame::MAX_BODY_LEN) {
        let more = more && !command;
        for len in [len, len >> 32, len >> 48, len >> 55] {
            let mut out = [0; 9];
            let n = frame::encode_header(more, command, len, &mut out);
            prop_assert_eq!(n, frame::header_len(len));
            let header = frame::decode_header(&out[..n], len).unwrap().unwrap();
            prop_assert_eq!((header.more(), header.is_command()), (more, command));
            prop_assert_eq!((header.body_len, usize::from(header.header_len)), (len, n));
            let mut out = [0; 10];
            let n = frame::v1::encode_header(more, len, &mut out);
            prop_assert_eq!(n, frame::v1::header_len(len));
            let header = frame::v1::decode_header(&out[..n], len).unwrap().unwrap();
            prop_assert_eq!((header.more(), header.body_len), (more, len));
        }
    }

    #[test]
    fn random_headers_are_within_the_limit_and_do_not_depend_on_what_follows(
        bytes in vec(any::<u8>(), 0..16),
        max in prop_oneof![any::<u64>(), 0..1000u64],
    ) {
        for decode in [frame::decode_header, frame::v1::decode_header] {
            if let Ok(Some(header)) = decode(&bytes, max) {
                let n = usize::from(header.header_len);
                prop_assert!(n <= bytes.len() && header.body_len <= max);
                prop_assert!(header.body_len <= frame::MAX_BODY_LEN);
                prop_assert_eq!(decode(&bytes[..n], max), Ok(Some(header)));
                prop_assert_eq!(decode(&bytes[..n - 1], max), Ok(None));
            }
        }
    }

    #[test]
    fn metadata_survives_the_roundtrip(properties in vec((name(), vec(any::<u8>(), 0..300)), 0..8)) {
        let mut out = Vec::new();
        for (name, value) in &properties {
            metadata::encode_property(&mut out, name, value).unwrap();
        }
        prop_assert_eq!(metadata::parse(&out), Ok(properties));
    }

    #[test]
    fn random_metadata_is_refused_or_encodes_back_to_itself(bytes in vec(any::<u8>(), 0..40)) {
        if let Ok(properties) = metadata::parse(&bytes) {
            let mut out = Vec::new();
            for (name, value) in &properties {
                metadata::encode_property(&mut out, name, value).unwrap();
            }
            prop_assert_eq!(out, bytes);
        }
    }

    #[test]
    fn random_commands_are_refused_or_encode_back_to_themselves(
        name in prop::sample::select(
            vec!["READY", "ERROR", "PING", "PONG", "SUBSCRIBE", "CANCEL", "JOIN", "LEAVE", "OTHER"]
        ),
        noise in vec(any::<u8>(), 0..300),
    ) {
        // Unparsable noise must not panic either.
        let _ = command::parse(&noise);
        let body = [&[name.len() as u8], name.as_bytes(), &noise].concat();
        let Ok(parsed) = command::parse(&body) else { return Ok(()) };
        // Of a heartbeat's context, as much as may be sent.
        let body = match parsed {
            Command::Ping { context, .. } => &body[..7 + context.len()],
            Command::Pong { context } => &body[..5 + context.len()],
            _ => &body,
        };
        let mut out = Vec::new();
        match parsed {
            Command::Error(reason) => command::encode_error(&mut out, reason).unwrap(),
            Command::Ping { ttl_deciseconds, context } => {
                command::encode_ping(&mut out, ttl_deciseconds, context).unwrap();
            }
            Command::Pong { context } => command::encode_pong(&mut out, context).unwrap(),
            Command::Subscribe(topic) => command::encode_subscribe(&mut out, topic),
            Command::Cancel(topic) => command::encode_cancel(&mut out, topic),
            Command::Join(group) => command::encode_join(&mut out, group).unwrap(),
            Command::Leave(group) => command::encode_leave(&mut out, group).unwrap(),
            Command::Ready(rest) | Command::Unknown { body: rest, .. } => {
                prop_assert_eq!(rest, &noise[..]);
                return Ok(());
            }
        }
        prop_assert_eq!(out, common::command(body));
    }
}
