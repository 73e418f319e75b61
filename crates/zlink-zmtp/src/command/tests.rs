//! Commands by the grammar of 37/ZMTP.

use super::*;
use crate::frame::{decode_header, header_len};

/// The body of the one command frame in `bytes`.
fn body(bytes: &[u8]) -> &[u8] {
    let header = decode_header(bytes, u64::MAX).unwrap().unwrap();
    assert!(header.is_command());
    assert_eq!(usize::from(header.header_len), header_len(header.body_len));
    let body = &bytes[usize::from(header.header_len)..];
    assert_eq!(body.len() as u64, header.body_len);
    body
}

fn encoded<E: std::fmt::Debug>(encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut out = b"before".to_vec();
    encode(&mut out).unwrap();
    assert_eq!(&out[..6], b"before");
    out.split_off(6)
}

#[test]
fn frames_are_those_libzmq_sends() {
    let subscribe = encoded::<()>(|out| {
        encode_subscribe(out, b"A");
        Ok(())
    });
    assert_eq!(subscribe, b"\x04\x0b\x09SUBSCRIBEA");
    let cancel = encoded::<()>(|out| {
        encode_cancel(out, b"A");
        Ok(())
    });
    assert_eq!(cancel, b"\x04\x08\x06CANCELA");
    assert_eq!(encoded(|out| encode_ping(out, 0, b"")), b"\x04\x07\x04PING\0\0");
    assert_eq!(encoded(|out| encode_ping(out, 0x1234, b"ctx")), b"\x04\x0a\x04PING\x12\x34ctx");
    assert_eq!(encoded(|out| encode_pong(out, b"ctx")), b"\x04\x08\x04PONGctx");
    assert_eq!(encoded(|out| encode_join(out, b"g")), b"\x04\x06\x04JOINg");
    assert_eq!(encoded(|out| encode_leave(out, b"g")), b"\x04\x07\x05LEAVEg");
    assert_eq!(encoded(|out| encode_error(out, b"400")), b"\x04\x0a\x05ERROR\x03400");
    assert_eq!(
        encoded(|out| encode_ready(out, [("Socket-Type", &b"SUB"[..])])),
        b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB"
    );
}

#[test]
fn every_command_parses_back() {
    let context = [7; MAX_PING_CONTEXT];
    let group = [b'g'; MAX_GROUP_LEN];
    let topic = vec![0u8; 1000];
    let mut out = Vec::new();
    encode_ping(&mut out, u16::MAX, &context).unwrap();
    assert_eq!(parse(body(&out)), Ok(Command::Ping { ttl_deciseconds: u16::MAX, context: &context }));
    for (encode, expected) in [
        (encode_pong as fn(&mut Vec<u8>, &[u8]) -> _, Command::Pong { context: &context }),
        (encode_join, Command::Join(&group)),
        (encode_leave, Command::Leave(&group)),
        (encode_error, Command::Error(&group)),
    ] {
        out.clear();
        let argument: &[u8] = if matches!(expected, Command::Pong { .. }) { &context } else { &group };
        encode(&mut out, argument).unwrap();
        assert_eq!(parse(body(&out)), Ok(expected));
    }
    for (encode, expected) in [
        (encode_subscribe as fn(&mut Vec<u8>, &[u8]), Command::Subscribe(&topic)),
        (encode_cancel, Command::Cancel(&topic)),
    ] {
        out.clear();
        encode(&mut out, &topic);
        assert_eq!(parse(body(&out)), Ok(expected));
    }
}

#[test]
fn encoders_refuse_what_the_grammar_has_no_room_for_and_write_nothing() {
    let mut out = Vec::new();
    let too_long = CommandError::ContextTooLong { len: 17 };
    assert_eq!(encode_ping(&mut out, 1, &[0; 17]), Err(too_long));
    assert_eq!(encode_pong(&mut out, &[0; 17]), Err(too_long));
    let too_long = CommandError::GroupTooLong { len: 256 };
    assert_eq!(encode_join(&mut out, &[1; 256]), Err(too_long));
    assert_eq!(encode_leave(&mut out, &[1; 256]), Err(too_long));
    assert_eq!(encode_join(&mut out, b"a\0b"), Err(CommandError::GroupHasNul));
    assert_eq!(encode_leave(&mut out, b"\0"), Err(CommandError::GroupHasNul));
    assert_eq!(encode_error(&mut out, &[b'x'; 256]), Err(CommandError::ErrorReasonLength));
    let properties = [("fine", &b"1"[..]), ("not fine", b"2")];
    assert_eq!(
        encode_ready(&mut out, properties),
        Err(MetadataError::InvalidName { name: b"not fine"[..].into() })
    );
    assert!(out.is_empty());
}

#[test]
fn commands_cut_short_are_refused() {
    assert_eq!(parse(b""), Err(CommandError::Empty));
    assert_eq!(parse(b"\0"), Err(CommandError::EmptyName));
    assert_eq!(parse(b"\0READY"), Err(CommandError::EmptyName));
    for whole in [&b"\x05READY"[..], b"\x04PONG", b"\x09SUBSCRIBE", b"\xffx"] {
        for cut in 1..whole.len() {
            assert_eq!(parse(&whole[..cut]), Err(CommandError::NameTruncated));
        }
    }
    assert_eq!(parse(b"\x04PING"), Err(CommandError::PingTruncated));
    assert_eq!(parse(b"\x04PING\0"), Err(CommandError::PingTruncated));
}

#[test]
fn oversized_contexts_are_cut_and_groups_refused() {
    let with = |name: &[u8], n: usize| [name, &vec![b'x'; n]].concat();
    assert!(parse(&with(b"\x04PING\0\0", 16)).is_ok());
    let context: &[u8] = &[b'x'; MAX_PING_CONTEXT];
    assert_eq!(parse(&with(b"\x04PING\0\0", 60)), Ok(Command::Ping { ttl_deciseconds: 0, context }));
    assert_eq!(parse(&with(b"\x04PONG", 17)), Ok(Command::Pong { context }));
    assert!(parse(&with(b"\x04JOIN", 255)).is_ok());
    assert_eq!(parse(&with(b"\x04JOIN", 256)), Err(CommandError::GroupTooLong { len: 256 }));
    assert_eq!(parse(&with(b"\x05LEAVE", 256)), Err(CommandError::GroupTooLong { len: 256 }));
    assert_eq!(parse(b"\x04JOINa\0"), Err(CommandError::GroupHasNul));
}

#[test]
fn error_reason_must_fill_the_frame() {
    assert_eq!(parse(b"\x05ERROR\0"), Ok(Command::Error(b"")));
    assert_eq!(parse(b"\x05ERROR\x03400"), Ok(Command::Error(b"400")));
    for wrong in [&b"\x05ERROR"[..], b"\x05ERROR\x04400", b"\x05ERROR\x02400", b"\x05ERROR\xff"] {
        assert_eq!(parse(wrong), Err(CommandError::ErrorReasonLength));
    }
}

#[test]
fn unknown_and_almost_known_names_are_unknown() {
    for name in [&b"ping"[..], b"PIN", b"PINGX", b"READY\0", b"HELLO", b"\xff\x00"] {
        let body = [&[name.len() as u8], name, b"data"].concat();
        assert_eq!(parse(&body), Ok(Command::Unknown { name, body: b"data" }));
    }
    let longest = [&[255], &[b'N'; 255][..]].concat();
    assert_eq!(parse(&longest), Ok(Command::Unknown { name: &[b'N'; 255], body: b"" }));
}
