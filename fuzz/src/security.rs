use zlink_zmtp::zap::{ENDPOINT, ZapStatus};
use zlink_zmtp::{
    Handshake, HandshakeConfig, PlainCredentials, Security, SocketType, Zap, ZapReply, metadata,
};

use crate::input::Input;

fn config(socket_type: SocketType, security: Security, zap: Zap) -> HandshakeConfig {
    HandshakeConfig {
        socket_type,
        routing_id: Vec::new(),
        metadata: Vec::new(),
        max_command_size: 64 * 1024,
        security,
        zap,
    }
}

fn greeting(mechanism: &[u8]) -> Vec<u8> {
    let mut greeting = b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03\x01".to_vec();
    greeting.extend_from_slice(mechanism);
    greeting.resize(64, 0);
    greeting
}

/// A handler's reply, its frames chosen by the input: it is understood or refused, and only success lets a peer in.
pub fn zap_reply(data: &[u8]) {
    assert!(ENDPOINT.starts_with("inproc://"));
    let mut input = Input(data);
    let good: [&[u8]; 7] = [b"", b"1.0", b"1", b"200", b"OK", b"joe", b"\x03X-a\0\0\0\x01b"];
    let mut frames = Vec::new();
    for n in 0..input.below(10) {
        // Mostly right, so that what comes behind counts.
        let right = input.byte() & 3 != 0;
        frames.push(match good.get(n) {
            Some(good) if right => good,
            _ => input.bytes(300),
        });
    }
    let reply = ZapReply::parse(&frames);
    match &reply {
        Ok(reply) => {
            assert_eq!((frames.len(), frames[0], frames[1], frames[2]), (7, good[0], good[1], good[2]));
            assert_eq!(reply.status.code().to_string().as_bytes(), frames[3]);
            assert_eq!(reply.user_id, frames[5]);
            let mut again = Vec::new();
            for (name, value) in &reply.metadata {
                metadata::encode_property(&mut again, name, value).expect("it was accepted once");
            }
            assert_eq!(again, frames[6]);
        }
        Err(error) => {
            assert!((0x2000_0000..=0x2000_0005).contains(&error.protocol_error_code()));
            assert!(!error.to_string().is_empty());
        }
    }
    let Ok(reply) = reply else { return };
    let ready = b"\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PUSH";
    let mut null = Handshake::new(config(SocketType::Pull, Security::Null, Zap::Required));
    let consumed = null.input(&[&greeting(b"NULL")[..], ready, b"\0\x01x"].concat());
    assert_eq!(consumed, Ok(64 + ready.len()));
    assert!(null.zap_request().is_some() && null.peer().is_none());
    let status = reply.status;
    assert_eq!(null.zap_reply(reply).is_ok(), status == ZapStatus::Success);
    assert_eq!(null.peer().is_some(), status == ZapStatus::Success);
    if let Some(peer) = null.peer() {
        let users = peer.zap_properties.iter().filter(|(name, _)| name.eq_ignore_ascii_case("user-id"));
        assert_eq!(users.count(), 1);
    }
}

/// What a handshake did with its bytes, the verdict given at once, or after all bytes, or never.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    output: Vec<u8>,
    asked: bool,
    done: bool,
    error: Option<String>,
}

fn run<'a>(
    config: &HandshakeConfig,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    status: Option<ZapStatus>,
) -> Outcome {
    let mut handshake = Handshake::new(config.clone());
    let mut held = Vec::new();
    let mut error = None;
    for piece in pieces {
        held.extend_from_slice(piece);
        match handshake.input(&held) {
            Ok(n) => drop(held.drain(..n)),
            Err(failed) => {
                error = Some(failed.to_string());
                break;
            }
        }
    }
    let asked = handshake.zap_request().is_some();
    assert!(!(asked && handshake.peer().is_some()), "let in before the verdict");
    assert!(!(asked && error.is_some()), "a question about a peer that has failed");
    if let (true, Some(status)) = (asked, status) {
        let reply = ZapReply { status, user_id: b"joe".to_vec(), metadata: Vec::new() };
        match handshake.zap_reply(reply).and_then(|()| handshake.input(&held)) {
            Ok(_) => assert_eq!(status, ZapStatus::Success, "a refusal was ignored"),
            Err(failed) => error = Some(failed.to_string()),
        }
    }
    if error.is_some() {
        assert!(handshake.input(b"more").is_err(), "an error is final");
        assert!(handshake.peer().is_none());
    }
    let output = handshake.output().to_vec();
    Outcome { output, asked, done: handshake.peer().is_some(), error }
}

/// PLAIN, and NULL with a handler: what comes behind a greeting that is in order has one outcome however it is cut, and
/// lets nobody in without a verdict; and two of our own handshakes agree.
pub fn plain(data: &[u8]) {
    let mut input = Input(data);
    let credentials = PlainCredentials {
        username: input.bytes(255).to_vec().into(),
        password: input.bytes(255).to_vec().into(),
    };
    let side = input.byte() % 3;
    let status = input.choose(&[
        None,
        Some(ZapStatus::Success),
        Some(ZapStatus::TemporaryError),
        Some(ZapStatus::AuthenticationFailure),
        Some(ZapStatus::InternalError),
    ]);
    let mut choices = Input(input.bytes(40));
    let (ours, mechanism) = match side {
        0 => (config(SocketType::Pull, Security::PlainServer, Zap::Never), &b"PLAIN"[..]),
        1 => {
            (config(SocketType::Push, Security::PlainClient(credentials.clone()), Zap::Never), &b"PLAIN"[..])
        }
        _ => (config(SocketType::Pull, Security::Null, Zap::Required), &b"NULL"[..]),
    };
    let bytes = [&greeting(mechanism), input.0].concat();
    let whole = run(&ours, [&bytes[..]], status);
    assert_eq!(run(&ours, choices.cut(&bytes), status), whole);
    assert_eq!(run(&ours, bytes.chunks(1), status), whole);
    assert!(whole.output.len() < 4096, "an answer of {} bytes", whole.output.len());
    assert!(!whole.done || side == 1 || status == Some(ZapStatus::Success), "let in without a verdict");

    let mut client =
        Handshake::new(config(SocketType::Push, Security::PlainClient(credentials.clone()), Zap::Never));
    let mut server = Handshake::new(config(SocketType::Pull, Security::PlainServer, Zap::Never));
    let mut refused = false;
    // Both write less than this, a byte at a time.
    for _ in 0..1500 {
        pass_a_byte(&mut client, &mut server);
        refused |= pass_a_byte(&mut server, &mut client);
        if let Some(request) = server.zap_request() {
            assert_eq!(request.credentials, [credentials.username.to_vec(), credentials.password.to_vec()]);
            if let Some(status) = status {
                let reply = ZapReply { status, user_id: Vec::new(), metadata: Vec::new() };
                assert_eq!(server.zap_reply(reply).is_ok(), status == ZapStatus::Success);
            }
        }
    }
    let welcome = status == Some(ZapStatus::Success);
    assert_eq!((client.peer().is_some(), server.peer().is_some()), (welcome, welcome));
    let told = matches!(status, Some(ZapStatus::AuthenticationFailure | ZapStatus::InternalError));
    assert_eq!(refused, told);
}

fn pass_a_byte(from: &mut Handshake, to: &mut Handshake) -> bool {
    let Some(byte) = from.output().first().copied() else { return false };
    from.advance_output(1);
    to.peer().is_none() && to.input(&[byte]).is_err()
}
