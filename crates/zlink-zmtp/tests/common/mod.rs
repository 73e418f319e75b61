//! Drives a handshake with bytes cut in every way, and compares what comes out.

#![allow(dead_code)] // Each test binary uses its part.

use zlink_zmtp::handshake::DEFAULT_MAX_COMMAND_SIZE;
use zlink_zmtp::{Handshake, HandshakeConfig, HandshakeError, Peer, Security, SocketType, Stage, Zap};

pub fn config(socket_type: SocketType) -> HandshakeConfig {
    with_id(socket_type, b"")
}

pub fn with_id(socket_type: SocketType, routing_id: &[u8]) -> HandshakeConfig {
    HandshakeConfig {
        socket_type,
        routing_id: routing_id.to_vec(),
        metadata: Vec::new(),
        max_command_size: DEFAULT_MAX_COMMAND_SIZE,
        security: Security::Null,
        zap: Zap::Never,
    }
}

/// All that can be seen of a handshake after some input.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The peer, or `None` while incomplete, or why it failed.
    pub result: Result<Option<Peer>, HandshakeError>,
    /// Bytes that belong to the handshake; not told when it fails.
    pub consumed: usize,
    pub output: Vec<u8>,
    pub stage: Stage,
}

impl Outcome {
    pub fn peer(&self) -> &Peer {
        match &self.result {
            Ok(Some(peer)) => peer,
            other => panic!("handshake is not complete: {other:?}"),
        }
    }

    pub fn error(&self) -> &HandshakeError {
        match &self.result {
            Err(error) => error,
            other => panic!("handshake has not failed: {other:?}"),
        }
    }

    pub fn is_waiting(&self) -> bool {
        self.result == Ok(None)
    }
}

/// Feeds the chunks in turn, collecting the output in pieces of at most three bytes.
pub fn run<'a>(config: &HandshakeConfig, chunks: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    drive(Handshake::new(config.clone()), chunks)
}

/// As [`run`], a handshake of any kind.
pub fn drive<'a>(mut handshake: Handshake, chunks: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut output = Vec::new();
    let mut consumed = 0;
    let mut result = Ok(());
    for chunk in chunks {
        drain(&mut handshake, &mut output);
        match handshake.input(chunk) {
            Ok(n) if n == chunk.len() => consumed += n,
            Ok(n) => {
                assert!(n < chunk.len(), "consumed more than was given");
                assert!(handshake.peer().is_some(), "left bytes although the handshake goes on");
                consumed += n;
                break;
            }
            Err(error) => {
                assert_eq!(handshake.input(chunk), Err(error.clone()), "an error is final");
                assert_eq!(handshake.input(b""), Err(error.clone()), "an error is final");
                assert_eq!(handshake.peer(), None);
                consumed = 0;
                result = Err(error);
                break;
            }
        }
    }
    drain(&mut handshake, &mut output);
    let stage = handshake.stage();
    assert_eq!(handshake.peer().is_some(), stage == Stage::Done);
    Outcome { result: result.map(|()| handshake.into_peer()), consumed, output, stage }
}

fn drain(handshake: &mut Handshake, output: &mut Vec<u8>) {
    while !handshake.output().is_empty() {
        let n = handshake.output().len().min(3);
        output.extend_from_slice(&handshake.output()[..n]);
        handshake.advance_output(n);
    }
}

/// Feeds `bytes` whole, byte by byte, and cut in two at every offset, and returns the one outcome that
/// all of them must have.
pub fn cut_everywhere(config: &HandshakeConfig, bytes: &[u8]) -> Outcome {
    let whole = run(config, [bytes]);
    assert_eq!(run(config, bytes.chunks(1)), whole, "byte by byte");
    for cut in 0..=bytes.len() {
        let (front, back) = bytes.split_at(cut);
        assert_eq!(run(config, [front, back]), whole, "cut at {cut}");
    }
    whole
}

/// A greeting of 64 bytes with this version and mechanism.
pub fn greeting(major: u8, minor: u8, mechanism: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, major, minor];
    bytes.extend_from_slice(mechanism);
    bytes.resize(64, 0);
    bytes
}

/// A command frame with this body.
pub fn command(body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len()) {
        Ok(len) => [&[4, len], body].concat(),
        Err(_) => [&[6], &(body.len() as u64).to_be_bytes()[..], body].concat(),
    }
}

/// A READY frame, its properties given by name and value.
pub fn ready(properties: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = b"\x05READY".to_vec();
    for (name, value) in properties {
        body.push(name.len() as u8);
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&(value.len() as u32).to_be_bytes());
        body.extend_from_slice(value);
    }
    command(&body)
}

/// Both sides of an HTTP upgrade, agreed on `protocol`; a request that asks for it, and the answer.
pub fn upgrade(protocol: &str) -> (Vec<u8>, Vec<u8>) {
    let request = format!(
        "GET /path HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    );
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
    );
    (request.into_bytes(), response.into_bytes())
}
