use zlink_zmtp::command;
use zlink_zmtp::frame::{self, MAX_HEADER_LEN};
use zlink_zmtp::{Handshake, HandshakeConfig, Security, SocketType, Zap, metadata};

use crate::input::Input;

fn config(input: &mut Input<'_>) -> HandshakeConfig {
    HandshakeConfig {
        socket_type: any_type(input),
        routing_id: input.bytes(20).to_vec(),
        metadata: Vec::new(),
        max_command_size: if input.flag() { 200 } else { 64 * 1024 },
        security: Security::Null,
        zap: Zap::Never,
    }
}

fn any_type(input: &mut Input<'_>) -> SocketType {
    let number = input.byte() % 11;
    SocketType::from_i32(number.into()).expect("the first eleven socket types exist")
}

/// What a handshake did with its bytes.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    consumed: usize,
    output: Vec<u8>,
    peer: Option<String>,
    error: Option<String>,
}

fn run<'a>(config: &HandshakeConfig, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut handshake = Handshake::new(config.clone());
    let (mut consumed, mut error) = (0, None);
    let mut output = handshake.output().to_vec();
    handshake.advance_output(output.len());
    for piece in pieces {
        if handshake.peer().is_some() {
            break;
        }
        match handshake.input(piece) {
            Ok(n) => {
                assert!(n <= piece.len());
                assert!(n == piece.len() || handshake.peer().is_some(), "it left bytes before it was done");
                consumed += n;
            }
            Err(failed) => error = Some(failed.to_string()),
        }
        output.extend_from_slice(handshake.output());
        handshake.advance_output(handshake.output().len());
        if error.is_some() {
            assert!(handshake.input(b"more").is_err(), "an error is final");
            break;
        }
    }
    let peer = handshake.peer().map(|peer| format!("{peer:?}"));
    assert!(peer.is_none() || error.is_none());
    Outcome { consumed, output, peer, error }
}

fn check_cuts(config: &HandshakeConfig, bytes: &[u8], choices: &mut Input<'_>) {
    let mut whole = run(config, [bytes]);
    let cut = choices.cut(bytes);
    for mut other in [run(config, cut), run(config, bytes.chunks(1))] {
        if whole.error.is_some() {
            // Bytes counted as taken before the error depend on the cut.
            (other.consumed, whole.consumed) = (0, 0);
        }
        assert_eq!(other, whole);
    }
    assert!(whole.output.len() < 4096, "an answer of {} bytes", whole.output.len());
}

/// The peer's bytes from the first one on.
pub fn greeting(data: &[u8]) {
    let mut input = Input(data);
    let config = config(&mut input);
    let mut choices = Input(input.bytes(40));
    check_cuts(&config, input.0, &mut choices);
}

/// What comes behind a greeting that is in order; and two of our own handshakes with each other.
pub fn handshake(data: &[u8]) {
    let mut input = Input(data);
    let config = config(&mut input);
    let mut choices = Input(input.bytes(40));
    let mut bytes = match choices.byte() % 4 {
        // 1.0: a routing id of three bytes.
        0 => b"\x04\x00abc".to_vec(),
        revision @ 1..=2 => {
            let mut greeting = b"\xFF\0\0\0\0\0\0\0\x01\x7F\x01".to_vec();
            greeting.extend([any_type(&mut choices) as i32 as u8, 0, revision]);
            greeting
        }
        _ => {
            let mut greeting = b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03\x01NULL".to_vec();
            greeting.resize(64, 0);
            if choices.flag() {
                let mut ready = Vec::new();
                let name = any_type(&mut choices);
                let properties = [("Socket-Type", name.as_str().as_bytes()), ("Identity", choices.bytes(9))];
                if command::encode_ready(&mut ready, properties).is_ok() {
                    greeting.extend(ready);
                }
            }
            greeting
        }
    };
    bytes.extend_from_slice(input.0);
    check_cuts(&config, &bytes, &mut choices);

    let other = HandshakeConfig { socket_type: any_type(&mut choices), ..config.clone() };
    let expected = config.socket_type.is_compatible(other.socket_type);
    let (mut ours, mut theirs) = (Handshake::new(config.clone()), Handshake::new(other));
    let mut failed = false;
    // Both write less than this, a byte at a time.
    for _ in 0..400 {
        failed |= pass_a_byte(&mut ours, &mut theirs) | pass_a_byte(&mut theirs, &mut ours);
    }
    // A limit of 200 bytes is enough for what we send.
    assert_eq!(ours.peer().is_some() && theirs.peer().is_some(), expected && !failed);
    assert_eq!(failed, !expected, "{:?}", config.socket_type);
}

fn pass_a_byte(from: &mut Handshake, to: &mut Handshake) -> bool {
    let Some(byte) = from.output().first().copied() else { return false };
    from.advance_output(1);
    to.peer().is_none() && to.input(&[byte]).is_err()
}

/// Frame headers, commands and metadata.
pub fn frames(data: &[u8]) {
    let mut input = Input(data);
    let max = if input.flag() { u64::MAX } else { input.below(1 << 16) as u64 };
    let bytes = input.0;
    if let Ok(Some(header)) = frame::decode_header(bytes, max) {
        assert!(header.body_len <= max && usize::from(header.header_len) <= bytes.len());
        let mut out = [0; MAX_HEADER_LEN];
        let n = frame::encode_header(header.more(), header.is_command(), header.body_len, &mut out);
        let again = frame::decode_header(&out[..n], max).expect("our own").expect("complete");
        assert_eq!(
            (again.body_len, again.more(), again.is_command()),
            (header.body_len, header.more(), header.is_command())
        );
        for end in 0..usize::from(header.header_len) {
            assert!(matches!(frame::decode_header(&bytes[..end], max), Ok(None)), "complete at byte {end}");
        }
    }
    if let Ok(Some(header)) = frame::v1::decode_header(bytes, max) {
        assert!(header.body_len <= max && usize::from(header.header_len) <= bytes.len());
    }
    if let Err(error) = command::parse(bytes) {
        assert!(!error.to_string().is_empty());
    }
    if let Ok(properties) = metadata::parse(bytes) {
        let mut again = Vec::new();
        for (name, value) in &properties {
            metadata::encode_property(&mut again, name, value).expect("it was accepted once");
        }
        assert_eq!(again, bytes);
    }
}
