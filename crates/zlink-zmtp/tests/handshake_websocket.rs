//! Handshakes over WebSocket: an HTTP upgrade, then the mechanism's commands in binary messages.
//!
//! Source: 45/ZWS.

mod common;

use common::{Outcome, config, drive, upgrade, with_id};
use zlink_zmtp::frame::FrameError;
use zlink_zmtp::handshake::FailureKind;
use zlink_zmtp::zap::{ZapReply, ZapStatus};
use zlink_zmtp::zws::frame::{Kind, Violation, encode};
use zlink_zmtp::zws::upgrade::UpgradeError;
use zlink_zmtp::{
    Framing, Handshake, HandshakeConfig, HandshakeError, PlainCredentials, Security, SocketType, Stage, Zap,
};

const WS_UNSPECIFIED: i32 = 0x3000_0000;
const KEY: [u8; 4] = [0x5a, 0xff, 0x00, 0x13];
const READY: &[u8] = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x02me";

fn frame(kind: Kind, body: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out, kind, body, key);
    out
}

/// A server is fed `bytes` whole, byte by byte, and cut in two at every offset, with one outcome.
fn serve(config: &HandshakeConfig, bytes: &[u8]) -> Outcome {
    let server = || Handshake::websocket_server(config.clone());
    let whole = drive(server(), [bytes]);
    assert_eq!(drive(server(), bytes.chunks(1)), whole, "byte by byte");
    for cut in 0..=bytes.len() {
        let (front, back) = bytes.split_at(cut);
        assert_eq!(drive(server(), [front, back]), whole, "cut at {cut}");
    }
    whole
}

#[test]
fn a_client_s_request_and_ready_complete_the_server_s_handshake() {
    let (request, response) = upgrade("ZWS2.0/NULL");
    let bytes = [request, frame(Kind::Command, READY, Some(KEY))].concat();
    let outcome = serve(&with_id(SocketType::Router, b"us"), &[&bytes[..], b"\x82traffic"].concat());
    assert_eq!(outcome.consumed, bytes.len());
    let peer = outcome.peer();
    assert_eq!((peer.socket_type, &peer.routing_id[..]), (Some(SocketType::Dealer), &b"me"[..]));
    assert_eq!((peer.framing, peer.heartbeats), (Framing::WebSocket { client: false }, true));
    assert!(!peer.subscribe_commands);
    let ready = b"\x05READY\x0bSocket-Type\0\0\0\x06ROUTER\x08Identity\0\0\0\x02us";
    assert_eq!(outcome.output, [response, frame(Kind::Command, ready, None)].concat());
}

#[test]
fn without_a_mechanism_each_side_sends_its_routing_id() {
    let (request, response) = upgrade("ZWS2.0");
    let id = frame(Kind::Message { more: false }, b"me", Some(KEY));
    let outcome = serve(&with_id(SocketType::Router, b"us"), &[request, id].concat());
    assert_eq!((outcome.peer().socket_type, &outcome.peer().routing_id[..]), (None, &b"me"[..]));
    assert_eq!(outcome.output, [response, frame(Kind::Message { more: false }, b"us", None)].concat());
    let (request, _) = upgrade("ZWS2.0");
    let long = frame(Kind::Message { more: false }, &[1; 256], Some(KEY));
    let error = HandshakeError::Frame(FrameError::TooLarge { size: 256, max: 255 });
    assert_eq!(serve(&config(SocketType::Router), &[request, long].concat()).error(), &error);
}

/// Lets the two talk, `step` bytes at a time, until neither has anything to say.
fn talk(client: &mut Handshake, server: &mut Handshake, step: usize) -> Result<(), HandshakeError> {
    loop {
        let mut quiet = true;
        for turn in 0..2 {
            let (from, to) =
                if turn == 0 { (&mut *client, &mut *server) } else { (&mut *server, &mut *client) };
            let n = from.output().len().min(step);
            if n > 0 {
                quiet = false;
                let bytes = from.output()[..n].to_vec();
                from.advance_output(n);
                assert_eq!(to.input(&bytes)?, n);
            }
            if to.zap_request().is_some() {
                quiet = false;
                let reply =
                    ZapReply { status: ZapStatus::Success, user_id: Vec::new(), metadata: Vec::new() };
                to.zap_reply(reply)?;
            }
        }
        if quiet {
            return Ok(());
        }
    }
}

#[test]
fn client_and_server_understand_each_other_however_the_bytes_are_cut() {
    for step in [1, 2, 7, 50, 1000] {
        let mut client = Handshake::websocket_client(config(SocketType::Req), "localhost", "/");
        let mut server = Handshake::websocket_server(config(SocketType::Rep));
        talk(&mut client, &mut server, step).expect("a handshake");
        let peer = client.into_peer().expect("complete");
        assert_eq!(peer.framing, Framing::WebSocket { client: true });
        assert_eq!(peer.socket_type, Some(SocketType::Rep));
        assert_eq!(server.into_peer().expect("complete").socket_type, Some(SocketType::Req));
    }
}

#[test]
fn plain_goes_over_websocket_too_with_its_own_subprotocol() {
    let mut credentials = PlainCredentials::default();
    credentials.username.extend_from_slice(b"joe");
    credentials.password.extend_from_slice(b"secret");
    let plain = |security| HandshakeConfig { security, ..config(SocketType::Pair) };
    let client = plain(Security::PlainClient(credentials));
    for step in [1, 13, 1000] {
        let mut client = Handshake::websocket_client(client.clone(), "localhost", "/");
        let mut server = Handshake::websocket_server(plain(Security::PlainServer));
        talk(&mut client, &mut server, step).expect("a handshake");
        assert!(client.peer().is_some() && server.peer().is_some());
    }
    for (client, server) in
        [(client.clone(), config(SocketType::Pair)), (config(SocketType::Pair), plain(Security::PlainServer))]
    {
        let mut client = Handshake::websocket_client(client, "localhost", "/");
        let mut server = Handshake::websocket_server(server);
        let error = talk(&mut client, &mut server, 1000).expect_err("other mechanisms");
        assert_eq!(error, HandshakeError::Upgrade(UpgradeError::Subprotocol));
        assert!(server.output().starts_with(b"HTTP/1.1 400 "));
    }
}

#[test]
fn zws_without_a_mechanism_is_no_way_round_a_zap_handler() {
    let (request, _) = upgrade("ZWS2.0");
    let server = HandshakeConfig { zap: Zap::Required, ..config(SocketType::Pull) };
    let outcome = serve(&server, &request);
    assert_eq!(*outcome.error(), HandshakeError::Upgrade(UpgradeError::Subprotocol));
}

#[test]
fn pings_before_the_end_are_answered_and_a_close_ends_the_handshake() {
    let (request, response) = upgrade("ZWS2.0/NULL");
    let ping = frame(Kind::Ping, b"there?", Some(KEY));
    let pong = frame(Kind::Pong, b"", Some(KEY));
    let ready = frame(Kind::Command, READY, Some(KEY));
    let outcome = serve(&config(SocketType::Router), &[&request[..], &ping, &pong, &ready].concat());
    assert_eq!(outcome.stage, Stage::Done);
    assert!(outcome.output.ends_with(&frame(Kind::Pong, b"there?", None)));
    let close = frame(Kind::Close, &[3, 233], Some(KEY));
    let outcome = serve(&config(SocketType::Router), &[&request[..], &close].concat());
    assert_eq!(*outcome.error(), HandshakeError::Closed);
    assert!(outcome.output.starts_with(&response));
    assert!(outcome.output.ends_with(&frame(Kind::Close, &[3, 233], None)));
}

#[test]
fn what_is_no_command_of_the_mechanism_is_refused() {
    let (request, _) = upgrade("ZWS2.0/NULL");
    let violation = |violation| HandshakeError::Frame(FrameError::WebSocket(violation));
    for (bytes, error) in [
        (frame(Kind::Command, READY, None), violation(Violation::Masking { expected: true })),
        (frame(Kind::Message { more: false }, b"early", Some(KEY)), HandshakeError::MessageBeforeReady),
        (b"\x81\x85".to_vec(), violation(Violation::Opcode { opcode: 1 })),
        (b"\x02\x85".to_vec(), violation(Violation::Fragment)),
        (
            [&b"\x82\xff"[..], &(1u64 << 40).to_be_bytes()].concat(),
            HandshakeError::Frame(FrameError::TooLarge { size: (1 << 40) - 1, max: 65_536 }),
        ),
        (
            frame(Kind::Command, b"\x05HELLO", Some(KEY)),
            HandshakeError::UnexpectedCommand { name: b"HELLO".to_vec() },
        ),
    ] {
        let outcome = serve(&config(SocketType::Router), &[&request[..], &bytes].concat());
        assert_eq!(*outcome.error(), error);
        assert_eq!((error.kind(), outcome.stage), (FailureKind::Protocol, Stage::Mechanism));
        if matches!(error, HandshakeError::Frame(FrameError::WebSocket(_))) {
            assert_eq!(error.protocol_error_code(), WS_UNSPECIFIED);
        }
    }
}

#[test]
fn a_peer_that_speaks_zmtp_itself_is_refused_at_its_first_byte() {
    let outcome = serve(&config(SocketType::Router), &common::greeting(3, 1, b"NULL"));
    assert_eq!(outcome.error().protocol_error_code(), WS_UNSPECIFIED);
    assert_eq!(outcome.stage, Stage::Greeting);
    let client = Handshake::websocket_client(config(SocketType::Router), "h", "/");
    let outcome = drive(client, [&common::greeting(3, 1, b"NULL")[..]]);
    assert_eq!(outcome.error().protocol_error_code(), WS_UNSPECIFIED);
}
