//! Peers that break the protocol, cut short, or speak another one. Every case is cut at every offset.

mod common;

use common::{command, config, cut_everywhere, greeting, ready, run};
use zlink_zmtp::command::CommandError;
use zlink_zmtp::frame::FrameError;
use zlink_zmtp::handshake::FailureKind;
use zlink_zmtp::metadata::MetadataError;
use zlink_zmtp::{Handshake, HandshakeConfig, HandshakeError, SocketType, Stage};

const UNSPECIFIED: i32 = 0x1000_0000;
const UNEXPECTED_COMMAND: i32 = 0x1000_0001;
const MALFORMED_COMMAND: i32 = 0x1000_0011;
const MALFORMED_ERROR: i32 = 0x1000_0015;
const INVALID_METADATA: i32 = 0x1000_0018;

/// A ROUTER's handshake fails with this error after a 3.1 greeting and these bytes.
#[track_caller]
fn fails(after_greeting: &[u8], error: HandshakeError, code: i32) {
    let bytes = [&greeting(3, 1, b"NULL"), after_greeting, &[0xaa; 20]].concat();
    let outcome = cut_everywhere(&config(SocketType::Router), &bytes);
    assert_eq!(*outcome.error(), error);
    assert_eq!(error.kind(), FailureKind::Protocol);
    assert_eq!(error.protocol_error_code(), code);
    assert_eq!(outcome.stage, Stage::Mechanism);
    assert!(!error.to_string().is_empty());
}

#[test]
fn transcript_cut_short_waits_and_never_completes() {
    let whole = [greeting(3, 1, b"NULL"), ready(&[("Socket-Type", b"DEALER"), ("Identity", b"x")])].concat();
    for len in 0..whole.len() {
        let outcome = run(&config(SocketType::Router), whole[..len].chunks(1));
        assert!(outcome.is_waiting(), "after {len} bytes");
        assert_eq!(outcome.consumed, len);
    }
}

#[test]
fn other_protocols_are_refused_within_their_first_bytes() {
    for (bytes, within) in [
        (&b"GET / HTTP/1.1\r\nHost: example\r\n\r\n"[..], 2),
        (b"POST /x HTTP/1.1\r\n\r\n", 2),
        (b"SSH-2.0-OpenSSH_9.6\r\n", 2),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 2),
        (b"\0\0\0\0", 1),
    ] {
        let outcome = cut_everywhere(&config(SocketType::Rep), bytes);
        assert_eq!(outcome.error().protocol_error_code(), UNSPECIFIED);
        assert_eq!(run(&config(SocketType::Rep), [&bytes[..within]]).result, outcome.result);
    }
}

#[test]
fn routing_id_frame_of_an_old_peer_is_one_bounded_message_frame() {
    let too_large = |size| HandshakeError::Frame(FrameError::TooLarge { size, max: 255 });
    let greeting_2_0 = b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x05";
    let long = |flags: u8, size: u64| [&[flags], &size.to_be_bytes()[..]].concat();
    for (frame, error) in [
        (vec![1, 0], HandshakeError::RoutingIdFlags { flags: 1 }),
        (vec![4, 0], HandshakeError::RoutingIdFlags { flags: 4 }),
        (vec![5, 0], HandshakeError::Frame(FrameError::CommandWithMore)),
        (vec![8, 0], HandshakeError::Frame(FrameError::ReservedFlags { flags: 8 })),
        (long(2, 256), too_large(256)),
        (long(2, u64::MAX), too_large(u64::MAX)),
    ] {
        let bytes = [&greeting_2_0[..], &frame, b"more"].concat();
        let outcome = cut_everywhere(&config(SocketType::Router), &bytes);
        assert_eq!(*outcome.error(), error);
        assert_eq!(error.kind(), FailureKind::Protocol);
    }
    // Unversioned 1.0: a length of 257 to 2^64−1 with even flags, and MORE in the short form.
    for (length, size) in [(257, 256), (u64::MAX, u64::MAX - 1)] {
        let bytes = [&long(0xff, length)[..], &[0], b"more"].concat();
        assert_eq!(*cut_everywhere(&config(SocketType::Router), &bytes).error(), too_large(size));
    }
    let outcome = cut_everywhere(&config(SocketType::Router), b"\x02\x01a");
    assert_eq!(*outcome.error(), HandshakeError::RoutingIdFlags { flags: 1 });
    let outcome = cut_everywhere(&config(SocketType::Router), &[&long(0xff, 0)[..], &[0]].concat());
    assert_eq!(*outcome.error(), HandshakeError::Frame(FrameError::ZeroLength));
}

#[test]
fn every_illegal_flags_byte_after_the_greeting_is_refused_at_once() {
    for flags in 0..=u8::MAX {
        let bytes = [&greeting(3, 1, b"NULL")[..], &[flags]].concat();
        let outcome = run(&config(SocketType::Router), [&bytes[..]]);
        match flags {
            // Legal so far; a message shows as such once its length is there.
            0..=4 | 6 => assert!(outcome.is_waiting()),
            5 | 7 => assert_eq!(*outcome.error(), HandshakeError::Frame(FrameError::CommandWithMore)),
            _ => assert_eq!(*outcome.error(), HandshakeError::Frame(FrameError::ReservedFlags { flags })),
        }
    }
}

#[test]
fn message_before_ready_is_refused_before_its_body() {
    for header in [&b"\x00\x05"[..], b"\x01\x05", b"\x02\0\0\0\0\0\0\0\x05", b"\x03\0\0\0\0\0\0\0\x05"] {
        fails(header, HandshakeError::MessageBeforeReady, UNEXPECTED_COMMAND);
    }
}

#[test]
fn command_size_is_bounded_before_anything_is_stored() {
    for size in [65_537, 1 << 32, (1 << 63) - 1, 1 << 63, u64::MAX] {
        let header = [&[6], &size.to_be_bytes()[..]].concat();
        let error = HandshakeError::Frame(FrameError::TooLarge { size, max: 65_536 });
        fails(&header, error, UNSPECIFIED);
    }
    let small = HandshakeConfig { max_command_size: 10, ..config(SocketType::Router) };
    let bytes = [greeting(3, 1, b"NULL"), ready(&[("Socket-Type", b"DEALER")])].concat();
    let outcome = cut_everywhere(&small, &bytes);
    assert_eq!(*outcome.error(), HandshakeError::Frame(FrameError::TooLarge { size: 28, max: 10 }));
}

#[test]
fn unlimited_command_size_still_has_the_protocols_limit() {
    let unlimited = HandshakeConfig { max_command_size: u64::MAX, ..config(SocketType::Router) };
    let header = |size: u64| [&greeting(3, 1, b"NULL")[..], &[6], &size.to_be_bytes()].concat();
    let outcome = cut_everywhere(&unlimited, &header(u64::MAX));
    assert_eq!(*outcome.error(), HandshakeError::Frame(FrameError::LengthOverflow { size: u64::MAX }));
    // The longest legal length is waited for, and costs no more than the bytes that came.
    let outcome = cut_everywhere(&unlimited, &[header((1 << 63) - 1), vec![b'x'; 100]].concat());
    assert!(outcome.is_waiting());
}

#[test]
fn malformed_commands_are_refused() {
    let malformed = HandshakeError::MalformedCommand;
    fails(&command(b""), malformed(CommandError::Empty), MALFORMED_COMMAND);
    fails(&command(b"\0"), malformed(CommandError::EmptyName), MALFORMED_COMMAND);
    fails(&command(b"\x06READY"), malformed(CommandError::NameTruncated), MALFORMED_COMMAND);
    fails(&command(b"\x04PING"), malformed(CommandError::PingTruncated), MALFORMED_COMMAND);
    let reason = malformed(CommandError::ErrorReasonLength);
    fails(&command(b"\x05ERROR"), reason.clone(), MALFORMED_ERROR);
    fails(&command(b"\x05ERROR\x09400"), reason, MALFORMED_ERROR);
}

#[test]
fn commands_other_than_ready_and_error_are_unexpected() {
    for body in [&b"\x04PING\0\0"[..], b"\x04PONG", b"\x09SUBSCRIBEx", b"\x05HELLO\x01a\x01b", b"\x05ready"] {
        let name = body[1..=usize::from(body[0])].to_vec();
        fails(&command(body), HandshakeError::UnexpectedCommand { name }, UNEXPECTED_COMMAND);
    }
}

#[test]
fn malformed_metadata_is_refused() {
    let metadata = HandshakeError::Metadata;
    let whole = ready(&[("Socket-Type", b"DEALER"), ("Identity", b"abc")]);
    let after_first = ready(&[("Socket-Type", b"DEALER")]).len();
    for cut in 9..whole.len() {
        if cut != after_first {
            let body = &whole[2..cut];
            fails(&command(body), metadata(MetadataError::Truncated), INVALID_METADATA);
        }
    }
    let no_name = ready(&[("Socket-Type", b"DEALER"), ("", b"")]);
    fails(&no_name, metadata(MetadataError::InvalidName { name: [].into() }), INVALID_METADATA);
    let bad_name = ready(&[("Socket-Type", b"DEALER"), ("a b", b"")]);
    let name = b"a b"[..].into();
    fails(&bad_name, metadata(MetadataError::InvalidName { name }), INVALID_METADATA);
    let huge = command(b"\x05READY\x01a\xff\xff\xff\xff");
    fails(&huge, metadata(MetadataError::ValueTooLong { len: u32::MAX.into() }), INVALID_METADATA);
}

#[test]
fn socket_type_must_be_there_once_known_and_compatible() {
    fails(&ready(&[]), HandshakeError::MissingSocketType, INVALID_METADATA);
    fails(&ready(&[("Identity", b"x")]), HandshakeError::MissingSocketType, INVALID_METADATA);
    for name in [&b""[..], b"dealer", b"DEALER\0", b"NOSUCH", &[0xff; 300]] {
        let error = HandshakeError::UnknownSocketType { name: name.to_vec() };
        fails(&ready(&[("Socket-Type", name)]), error, INVALID_METADATA);
    }
    let twice = ready(&[("Socket-Type", b"DEALER"), ("SOCKET-TYPE", b"DEALER")]);
    let duplicate = |name| HandshakeError::Metadata(MetadataError::Duplicate { name });
    fails(&twice, duplicate("Socket-Type"), INVALID_METADATA);
    let twice = ready(&[("Socket-Type", b"DEALER"), ("Identity", b"a"), ("identity", b"a")]);
    fails(&twice, duplicate("Identity"), INVALID_METADATA);
    let ours = SocketType::Router;
    for peer in SocketType::ALL.into_iter().filter(|peer| !ours.is_compatible(*peer)) {
        let error = HandshakeError::IncompatibleSocketType { ours, peer };
        fails(&ready(&[("Socket-Type", peer.as_str().as_bytes())]), error, INVALID_METADATA);
    }
}

#[test]
fn identity_beyond_255_bytes_is_refused() {
    let bytes = ready(&[("Socket-Type", b"DEALER"), ("Identity", &[1; 256])]);
    fails(&bytes, HandshakeError::RoutingIdTooLong { len: 256 }, INVALID_METADATA);
}

#[test]
fn configuration_that_cannot_be_sent_fails_at_the_first_input_with_nothing_written() {
    let good = config(SocketType::Dealer);
    let extra = |name: &str| vec![(name.to_owned(), vec![])];
    let invalid = |name: &str| MetadataError::InvalidName { name: name.as_bytes().into() };
    for (config, error) in [
        (
            HandshakeConfig { routing_id: vec![1; 256], ..good.clone() },
            HandshakeError::LocalRoutingIdTooLong { len: 256 },
        ),
        (HandshakeConfig { metadata: extra(""), ..good.clone() }, HandshakeError::LocalMetadata(invalid(""))),
        (
            HandshakeConfig { metadata: extra("a\0"), ..good.clone() },
            HandshakeError::LocalMetadata(invalid("a\0")),
        ),
        (
            HandshakeConfig { metadata: extra("socket-type"), ..good.clone() },
            HandshakeError::LocalMetadata(MetadataError::Duplicate { name: "Socket-Type" }),
        ),
        (
            HandshakeConfig { metadata: extra("Identity"), ..good },
            HandshakeError::LocalMetadata(MetadataError::Duplicate { name: "Identity" }),
        ),
    ] {
        let mut handshake = Handshake::new(config);
        assert!(handshake.output().is_empty());
        assert_eq!(handshake.input(b"\xff"), Err(error.clone()));
        assert_eq!(error.kind(), FailureKind::Configuration);
        assert!(handshake.output().is_empty());
    }
}
