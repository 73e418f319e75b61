//! Both framings by value; the roundtrips over random values are in `tests/properties.rs`.

use super::*;

const NO_LIMIT: u64 = u64::MAX;

fn long(flags: u8, len: u64) -> Vec<u8> {
    let mut bytes = vec![flags];
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes
}

#[test]
fn every_flags_byte_is_accepted_or_refused_by_the_rules_of_rfc_37() {
    for flags in 0..=u8::MAX {
        let expected = match flags {
            0..=6 if flags & 5 != 5 => Ok(()),
            5 | 7 => Err(FrameError::CommandWithMore),
            _ => Err(FrameError::ReservedFlags { flags }),
        };
        // With and without the length there: a bad byte is refused as soon as it is seen.
        for bytes in [vec![flags], long(flags, 300)] {
            let decoded = decode_header(&bytes, NO_LIMIT);
            assert_eq!(decoded.map(drop), expected, "flags {flags:#x}");
        }
        if expected.is_ok() {
            let header = decode_header(&long(flags, 300), NO_LIMIT).unwrap().unwrap();
            assert_eq!(header.more(), flags & 1 != 0);
            assert_eq!(header.is_command(), flags & 4 != 0);
            assert_eq!(header.flags, flags);
        }
    }
}

#[test]
fn header_needs_all_its_bytes_and_ignores_what_follows() {
    let headers = [vec![0, 0], vec![1, 255], vec![4, 5], long(2, 256), long(3, 1), long(6, 1 << 40)];
    for header in headers {
        for cut in 0..header.len() {
            assert_eq!(decode_header(&header[..cut], NO_LIMIT), Ok(None));
        }
        let decoded = decode_header(&header, NO_LIMIT).unwrap().unwrap();
        assert_eq!(usize::from(decoded.header_len), header.len());
        let followed = [header, vec![0xff; 20]].concat();
        assert_eq!(decode_header(&followed, NO_LIMIT), Ok(Some(decoded)));
    }
}

#[test]
fn lengths_are_encoded_short_up_to_255_and_long_above() {
    for (len, bytes) in [
        (0, vec![0, 0]),
        (1, vec![0, 1]),
        (255, vec![0, 255]),
        (256, long(2, 256)),
        (u64::from(u32::MAX) + 1, long(2, 1 << 32)),
        (MAX_BODY_LEN, long(2, MAX_BODY_LEN)),
    ] {
        let mut out = [0xaa; MAX_HEADER_LEN];
        let n = encode_header(false, false, len, &mut out);
        assert_eq!(&out[..n], bytes);
        assert_eq!(header_len(len), n);
        let header = decode_header(&out[..n], len).unwrap().unwrap();
        assert_eq!((header.body_len, usize::from(header.header_len)), (len, n));
    }
}

#[test]
fn flags_are_encoded_beside_the_length() {
    for (more, command, len, first) in [
        (true, false, 0, 1),
        (true, false, 256, 3),
        (false, true, 0, 4),
        (false, true, 256, 6),
        (false, false, 256, 2),
    ] {
        let mut out = [0; MAX_HEADER_LEN];
        encode_header(more, command, len, &mut out);
        assert_eq!(out[0], first);
    }
}

#[test]
fn long_length_of_a_short_body_is_accepted() {
    let header = decode_header(&long(2, 5), 5).unwrap().unwrap();
    assert_eq!((header.body_len, header.header_len), (5, 9));
}

#[test]
fn body_limit_is_exact_for_messages_and_commands() {
    for flags in [0, 1, 4] {
        assert!(decode_header(&[flags, 10], 10).unwrap().is_some());
        assert_eq!(decode_header(&[flags, 11], 10), Err(FrameError::TooLarge { size: 11, max: 10 }));
    }
    for flags in [2, 3, 6] {
        assert!(decode_header(&long(flags, 1000), 1000).unwrap().is_some());
        assert_eq!(
            decode_header(&long(flags, 1001), 1000),
            Err(FrameError::TooLarge { size: 1001, max: 1000 })
        );
    }
    assert!(decode_header(&[0, 0], 0).unwrap().is_some());
}

#[test]
fn lengths_up_to_2_to_the_64_are_compared_without_narrowing() {
    for size in [1 << 31, (1 << 32) + 5, MAX_BODY_LEN, MAX_BODY_LEN + 1, u64::MAX - 1, u64::MAX] {
        assert_eq!(decode_header(&long(2, size), 1000), Err(FrameError::TooLarge { size, max: 1000 }));
        let unlimited = decode_header(&long(2, size), NO_LIMIT);
        if size <= MAX_BODY_LEN {
            assert_eq!(unlimited.unwrap().unwrap().body_len, size);
        } else {
            assert_eq!(unlimited, Err(FrameError::LengthOverflow { size }));
        }
    }
}

mod v1_framing {
    use super::super::v1::{MAX_HEADER_LEN, decode_header, encode_header, header_len};
    use super::{FLAG_MORE, FrameError, MAX_BODY_LEN, NO_LIMIT};

    fn v1_long(length: u64, flags: u8) -> Vec<u8> {
        let mut bytes = vec![0xff];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.push(flags);
        bytes
    }

    #[test]
    fn length_counts_the_flags_byte() {
        for (len, bytes) in [
            (0, vec![1, 0]),
            (1, vec![2, 0]),
            (253, vec![254, 0]),
            (254, v1_long(255, 0)),
            (255, v1_long(256, 0)),
            (MAX_BODY_LEN, v1_long(MAX_BODY_LEN + 1, 0)),
        ] {
            let mut out = [0xaa; MAX_HEADER_LEN];
            let n = encode_header(false, len, &mut out);
            assert_eq!(&out[..n], bytes);
            assert_eq!(header_len(len), n);
            let header = decode_header(&out[..n], len).unwrap().unwrap();
            assert_eq!((header.body_len, usize::from(header.header_len)), (len, n));
        }
    }

    #[test]
    fn only_the_more_bit_of_the_flags_counts() {
        for flags in 0..=u8::MAX {
            for bytes in [vec![3, flags], v1_long(300, flags)] {
                let header = decode_header(&bytes, NO_LIMIT).unwrap().unwrap();
                assert_eq!(header.more(), flags & 1 == 1);
                assert!(!header.is_command());
                assert_eq!(header.flags & !FLAG_MORE, 0);
            }
        }
        let mut out = [0; MAX_HEADER_LEN];
        encode_header(true, 1, &mut out);
        assert_eq!(out[..2], [2, 1]);
        encode_header(true, 1000, &mut out);
        assert_eq!(out[9], 1);
    }

    #[test]
    fn length_zero_is_refused_in_both_forms() {
        assert_eq!(decode_header(&[0], NO_LIMIT), Err(FrameError::ZeroLength));
        assert_eq!(decode_header(&v1_long(0, 0), NO_LIMIT), Err(FrameError::ZeroLength));
        assert_eq!(decode_header(&v1_long(0, 0)[..9], NO_LIMIT), Err(FrameError::ZeroLength));
    }

    #[test]
    fn header_needs_all_its_bytes() {
        for header in [vec![1, 0], vec![200, 1], v1_long(1, 0), v1_long(1 << 40, 1)] {
            for cut in 0..header.len() {
                assert_eq!(decode_header(&header[..cut], NO_LIMIT), Ok(None));
            }
            assert!(decode_header(&header, NO_LIMIT).unwrap().is_some());
        }
    }

    #[test]
    fn limits_are_those_of_the_body() {
        assert!(decode_header(&[11, 0], 10).unwrap().is_some());
        assert_eq!(decode_header(&[12, 0], 10), Err(FrameError::TooLarge { size: 11, max: 10 }));
        let size = u64::MAX - 1;
        assert_eq!(decode_header(&v1_long(u64::MAX, 0), 10), Err(FrameError::TooLarge { size, max: 10 }));
        assert_eq!(decode_header(&v1_long(u64::MAX, 0), NO_LIMIT), Err(FrameError::LengthOverflow { size }));
    }
}
