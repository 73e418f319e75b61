use zlink_zmtp::zws::frame::{self, Header, Kind, MAX_HEADER_LEN};
use zlink_zmtp::zws::mask;
use zlink_zmtp::zws::upgrade::{Subprotocols, Upgrade};
use zlink_zmtp::{Handshake, HandshakeConfig, Security, SocketType, Zap};

use crate::input::Input;

/// WebSocket frames: what is decoded is within its limits, known no sooner than its last byte, and encodes to the
/// same again; masking undoes itself.
pub fn ws_frames(data: &[u8]) {
    let mut input = Input(data);
    let masked = input.flag();
    let max = if input.flag() { u64::MAX } else { input.below(1 << 16) as u64 };
    let bytes = input.0;
    if let Ok(Some(header)) = frame::decode_header(bytes, masked, max) {
        let len = usize::from(header.header_len);
        assert!(header.body_len <= max && len <= bytes.len());
        for end in 0..len {
            let early = frame::decode_header(&bytes[..end], masked, max);
            assert!(matches!(early, Ok(None)), "complete at byte {end}");
        }
        let key = masked.then_some(match header.kind {
            Kind::Message { .. } | Kind::Command => mask::skip(header.key, 3),
            Kind::Ping | Kind::Pong | Kind::Close => header.key,
        });
        let mut out = [0; MAX_HEADER_LEN];
        let n = frame::encode_header(header.kind, header.body_len, key, &mut out);
        assert!(n <= len, "longer than it was");
        let again = frame::decode_header(&out[..n], masked, max).expect("our own").expect("complete");
        assert_eq!(Header { header_len: header.header_len, ..again }, header);
        let mut body = bytes[len..].to_vec();
        mask::apply(&mut body, header.key);
        let mut back = Vec::new();
        mask::extend(&mut back, &body, header.key);
        assert_eq!(back, &bytes[len..]);
    }
}

fn config(input: &mut Input<'_>) -> HandshakeConfig {
    let number = input.byte() % 11;
    HandshakeConfig {
        socket_type: SocketType::from_i32(number.into()).expect("the first eleven socket types exist"),
        routing_id: input.bytes(20).to_vec(),
        metadata: Vec::new(),
        max_command_size: if input.flag() { 200 } else { 64 * 1024 },
        security: Security::Null,
        zap: if input.flag() { Zap::Required } else { Zap::Never },
    }
}

/// What a handshake made of the peer's bytes.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    consumed: usize,
    peer: Option<String>,
    error: Option<String>,
    /// Its bytes are masked with keys that differ each time.
    output: usize,
}

fn run<'a>(mut handshake: Handshake, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let (mut consumed, mut error, mut output) = (0, None, 0);
    for piece in pieces {
        if !handshake.wants_input() {
            break;
        }
        match handshake.input(piece) {
            Ok(n) => {
                assert!(n == piece.len() || !handshake.wants_input(), "it left bytes before it was done");
                consumed += n;
            }
            Err(failed) => error = Some(failed.to_string()),
        }
        // Nobody decides: with a ZAP handler to ask, the handshake gets no further.
        let _ = handshake.zap_request();
        output += handshake.output().len();
        handshake.advance_output(handshake.output().len());
        if error.is_some() {
            assert!(handshake.input(b"more").is_err(), "an error is final");
            break;
        }
    }
    let peer = handshake.peer().map(|peer| format!("{peer:?}"));
    assert!(peer.is_none() || error.is_none());
    Outcome { consumed, peer, error, output }
}

fn check_cuts(make: impl Fn() -> (Handshake, Vec<u8>), bytes: &[u8], choices: &mut Input<'_>) {
    let shake = |cut: &dyn Fn(&[u8]) -> Vec<Vec<u8>>| {
        let (handshake, mut all) = make();
        all.extend_from_slice(bytes);
        let pieces = cut(&all);
        run(handshake, pieces.iter().map(Vec::as_slice))
    };
    let lengths: Vec<usize> = (0..16).map(|_| choices.below(300)).collect();
    let mut whole = shake(&|all| vec![all.to_vec()]);
    let pieces = |all: &[u8]| {
        let mut rest = all;
        let mut pieces = Vec::new();
        for &n in &lengths {
            let (piece, behind) = rest.split_at(n.min(rest.len()));
            pieces.push(piece.to_vec());
            rest = behind;
        }
        pieces.push(rest.to_vec());
        pieces
    };
    for mut other in [shake(&pieces), shake(&|all| all.chunks(1).map(<[u8]>::to_vec).collect())] {
        if whole.error.is_some() {
            // Bytes counted as taken before the error depend on the cut.
            (other.consumed, whole.consumed) = (0, 0);
        }
        assert_eq!(other, whole);
    }
    // Each PING may be answered.
    assert!(whole.output <= 1024 + 2 * bytes.len(), "an answer of {} bytes", whole.output);
}

/// What a client sends to a bound socket, from the first byte on or behind an upgrade that is in order.
pub fn ws_bind(data: &[u8]) {
    let mut input = Input(data);
    let config = config(&mut input);
    let start: &[u8] = match input.byte() % 3 {
        0 => b"",
        1 => UPGRADE,
        _ => UPGRADE_BARE,
    };
    let mut choices = Input(input.bytes(40));
    let make = || (Handshake::websocket_server(config.clone()), start.to_vec());
    check_cuts(make, input.0, &mut choices);
}

/// What a server sends to a socket that has connected, from the first byte on or behind a response that is in order.
pub fn ws_connect(data: &[u8]) {
    let mut input = Input(data);
    let config = config(&mut input);
    let (answered, bare) = (input.flag(), input.flag());
    let mut choices = Input(input.bytes(40));
    let make = || {
        let mut handshake = Handshake::websocket_client(config.clone(), "localhost", "/");
        let request = handshake.output().to_vec();
        handshake.advance_output(request.len());
        let mut answer = Vec::new();
        if answered {
            // A server that knows no mechanism takes the client's second choice.
            let mechanism = if bare { "NONE" } else { "NULL" };
            let mut server = Upgrade::server(Subprotocols { mechanism: mechanism.into(), bare });
            let _ = server.input(&request, &mut answer);
        }
        (handshake, answer)
    };
    check_cuts(make, input.0, &mut choices);
}

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ZWS2.0/NULL,ZWS2.0\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
const UPGRADE_BARE: &[u8] = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ZWS2.0\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
