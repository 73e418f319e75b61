use super::*;

const KEY: Key = [0xa1, 0x17, 0x00, 0xff];

const KINDS: [Kind; 6] = [
    Kind::Message { more: false },
    Kind::Message { more: true },
    Kind::Command,
    Kind::Ping,
    Kind::Pong,
    Kind::Close,
];

fn decode(bytes: &[u8], masked: bool) -> Result<Option<Header>, FrameError> {
    decode_header(bytes, masked, u64::MAX)
}

fn violation(bytes: &[u8], masked: bool) -> Violation {
    match decode(bytes, masked) {
        Err(FrameError::WebSocket(violation)) => violation,
        other => panic!("{bytes:02x?}: {other:?}"),
    }
}

#[test]
fn frames_look_as_45_zws_and_rfc_6455_have_them() {
    let encoded = |kind, body: &[u8], key| {
        let mut out = Vec::new();
        encode(&mut out, kind, body, key);
        out
    };
    assert_eq!(encoded(Kind::Message { more: false }, b"abc", None), b"\x82\x04\0abc");
    assert_eq!(encoded(Kind::Message { more: true }, b"", None), b"\x82\x01\x01");
    assert_eq!(encoded(Kind::Command, b"\x05READY", None), b"\x82\x07\x02\x05READY");
    assert_eq!(encoded(Kind::Ping, b"", None), b"\x89\x00");
    assert_eq!(encoded(Kind::Pong, b"hi", Some([1, 2, 3, 4])), b"\x8a\x82\x01\x02\x03\x04ik");
    assert_eq!(encoded(Kind::Close, &[3, 232], None), b"\x88\x02\x03\xe8");
    // The flags are masked with the key's first byte, the body from the second on.
    assert_eq!(
        encoded(Kind::Message { more: true }, &[0; 5], Some([1, 2, 3, 4])),
        [0x82, 0x86, 1, 2, 3, 4, 0, 2, 3, 4, 1, 2]
    );
    let medium = encoded(Kind::Message { more: false }, &[7; 125], None);
    assert_eq!(&medium[..6], [0x82, 126, 0, 126, 0, 7]);
    let largest_medium = encoded(Kind::Message { more: false }, &[7; 65_534], None);
    assert_eq!(&largest_medium[..6], [0x82, 126, 0xff, 0xff, 0, 7]);
    let long = encoded(Kind::Message { more: false }, &[7; 65_535], None);
    assert_eq!(&long[..12], [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7]);
}

#[test]
fn what_is_encoded_decodes_once_its_last_header_byte_is_there() {
    for kind in KINDS {
        for key in [None, Some(KEY)] {
            for len in [0, 1, 2, 124, 125, 126, 255, 256, 65_533, 65_534, 65_535, 65_536, 1 << 40] {
                if kind.zws_flags().is_none() && len > MAX_CONTROL_LEN {
                    continue;
                }
                let mut out = [0; MAX_HEADER_LEN];
                let n = encode_header(kind, len, key, &mut out);
                assert_eq!(n, header_len(kind, len, key.is_some()));
                for cut in 0..n {
                    assert_eq!(decode(&out[..cut], key.is_some()), Ok(None), "{kind:?} {len} at {cut}");
                }
                let key_of_body = key.map_or([0; 4], |key| body_key(kind, key));
                let header = Header { kind, header_len: n as u8, body_len: len, key: key_of_body };
                assert_eq!(decode(&out, key.is_some()), Ok(Some(header)));
            }
        }
    }
}

#[test]
fn every_opcode_other_than_the_four_is_refused_at_its_first_byte() {
    for opcode in 0..16 {
        let known = [BINARY, CLOSE, PING, PONG].contains(&opcode);
        match decode(&[FIN | opcode], false) {
            Ok(None) => assert!(known),
            Err(error) => {
                assert!(!known);
                assert_eq!(error, Violation::Opcode { opcode }.into());
            }
            Ok(Some(header)) => panic!("{header:?} of one byte"),
        }
    }
}

#[test]
fn fragments_and_reserved_bits_are_refused_at_their_first_byte() {
    for opcode in 0..16 {
        assert_eq!(violation(&[opcode], true), Violation::Fragment);
        for bits in [0x10, 0x20, 0x40, 0x70] {
            assert_eq!(violation(&[FIN | bits | opcode], true), Violation::ReservedBits { bits });
        }
    }
}

#[test]
fn a_client_must_mask_and_a_server_must_not() {
    for opcode in [BINARY, CLOSE, PING, PONG] {
        for len in 0..=127 {
            assert_eq!(violation(&[FIN | opcode, len], true), Violation::Masking { expected: true });
            let masked = [FIN | opcode, MASKED | len];
            assert_eq!(violation(&masked, false), Violation::Masking { expected: false });
        }
    }
}

#[test]
fn a_control_frame_of_more_than_125_bytes_is_refused() {
    for opcode in [CLOSE, PING, PONG] {
        assert!(decode(&[FIN | opcode, 125], false).expect("the limit itself").is_some());
        assert_eq!(violation(&[FIN | opcode, 126, 0, 126], false), Violation::ControlTooLong { len: 126 });
        let long = [&[FIN | opcode, 127][..], &u64::MAX.to_be_bytes()].concat();
        assert!(decode(&long, false).is_err());
    }
}

#[test]
fn a_binary_message_has_at_least_its_flags() {
    assert_eq!(violation(&[0x82, 0], false), Violation::NoFlags);
    assert_eq!(violation(&[0x82, 126, 0, 0], false), Violation::NoFlags);
    assert_eq!(violation(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0], false), Violation::NoFlags);
}

#[test]
fn every_byte_of_flags_is_known_or_refused() {
    for key in [None, Some(KEY)] {
        for flags in 0..=255 {
            let mut out = [0; MAX_HEADER_LEN];
            let n = encode_header(Kind::Message { more: false }, 9, key, &mut out);
            out[n - 1] ^= flags;
            let decoded = decode(&out[..n], key.is_some());
            let expected = match flags {
                0 => Ok(Kind::Message { more: false }),
                1 => Ok(Kind::Message { more: true }),
                2 => Ok(Kind::Command),
                3 => Err(FrameError::CommandWithMore),
                flags => Err(FrameError::ReservedFlags { flags }),
            };
            assert_eq!(decoded.map(|header| header.expect("a whole header").kind), expected);
        }
    }
}

#[test]
fn a_length_is_judged_as_64_bits_before_key_and_body_are_there() {
    let announce = |len: u64| [&[0x82, MASKED | 127][..], &len.to_be_bytes()].concat();
    assert_eq!(decode_header(&announce(101), true, 100), Ok(None));
    let error = FrameError::TooLarge { size: 101, max: 100 };
    assert_eq!(decode_header(&announce(102), true, 100), Err(error));
    assert_eq!(decode_header(&[0x82, MASKED | 102], true, 100), Err(error));
    // Narrowed to 32 bits these would be small.
    for len in [(1 << 32) + 1, (1 << 63) - 1, 1 << 63] {
        let error = FrameError::TooLarge { size: len - 1, max: 100 };
        assert_eq!(decode_header(&announce(len), true, 100), Err(error));
        assert_eq!(decode(&announce(len), true), Ok(None));
    }
    let size = u64::MAX - 1;
    assert_eq!(decode(&announce(u64::MAX), true), Err(FrameError::LengthOverflow { size }));
}
