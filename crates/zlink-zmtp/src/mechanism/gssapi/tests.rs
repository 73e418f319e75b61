//! The state machine over a context that needs no realm.

use super::context::Context;
use super::fake::{Fake, REFUSED};
use super::*;
use crate::cipher::{self, CipherError};
use crate::command;
use crate::frame::decode_header;
use crate::handshake::FailureKind;
use crate::mechanism::Step;
use crate::zap::Zap;

const METADATA: [&[u8]; 2] = [b"\x0bSocket-Type\0\0\0\x04PAIR", b"\x0bSocket-Type\0\0\0\x04PULL"];

fn client(rounds: u8, plaintext: bool) -> Client {
    Client::with_context(Box::new(Fake::new(rounds)), plaintext, METADATA[0].to_vec()).expect("begins")
}

fn server(rounds: u8, plaintext: bool, zap: Zap) -> Server {
    Server::with_context(Box::new(Fake::new(rounds)), plaintext, METADATA[1].to_vec(), zap)
}

/// The bodies of command frames, which are all there is in `out`.
fn bodies(mut out: &[u8]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while let Some(header) = decode_header(out, u64::MAX).expect("a frame") {
        assert!(header.is_command() && !header.more());
        let (frame, rest) = out.split_at(usize::from(header.header_len) + header.body_len as usize);
        bodies.push(frame[usize::from(header.header_len)..].to_vec());
        out = rest;
    }
    assert!(out.is_empty());
    bodies
}

fn one(out: &mut Vec<u8>) -> Vec<u8> {
    let [body] = &bodies(&std::mem::take(out))[..] else { panic!("one frame") };
    body.clone()
}

/// Everything up to the server's READY, which is returned with both sides.
fn established(plaintext: bool, zap: Zap) -> (Client, Server, Vec<u8>) {
    let (mut client, mut server) = (client(1, plaintext), server(1, plaintext, zap));
    let mut out = Vec::new();
    client.start(&mut out);
    let first = one(&mut out);
    assert_eq!(first, b"\x08INITIATE\0\0\0\x02T\x01");
    assert_eq!(server.process(&first, &mut out), Ok(Step::Continue));
    let answer = one(&mut out);
    assert_eq!(answer, b"\x08INITIATE\0\0\0\x02T\x01");
    assert_eq!(client.process(&answer, &mut out), Ok(Step::Continue));
    assert_eq!(out, b"\x04\0", "a command frame without a body");
    out.clear();
    let step = server.process(b"", &mut out).expect("in order");
    if zap == Zap::Never {
        assert_eq!(step, Step::Continue);
    } else {
        let Step::AwaitZap(request) = step else { panic!("{step:?}") };
        assert_eq!(
            (request.mechanism, &request.credentials[..]),
            ("GSSAPI", &[b"somebody@REALM".to_vec()][..])
        );
        assert!(out.is_empty(), "the client is not told that it is welcome");
        server.authorized(&mut out).expect("wraps");
    }
    let ready = one(&mut out);
    (client, server, ready)
}

fn complete(plaintext: bool) -> (Client, Server) {
    let (mut client, mut server, ready) = established(plaintext, Zap::Never);
    let mut out = Vec::new();
    assert_eq!(client.process(&ready, &mut out), Ok(Step::Done(METADATA[1].to_vec())));
    assert_eq!(server.process(&one(&mut out), &mut out), Ok(Step::Done(METADATA[0].to_vec())));
    assert!(out.is_empty());
    (client, server)
}

#[test]
fn a_handshake_ends_with_the_metadata_and_a_cipher() {
    let (client, server) = complete(false);
    let (mut client, mut server) =
        (client.into_cipher().expect("wraps"), server.into_cipher().expect("wraps"));
    for (more, command, body) in [(true, false, &b"a"[..]), (false, false, b""), (false, true, b"\x04PING")] {
        for (from, to) in [(0, 1), (1, 0)] {
            let ends = [&mut client, &mut server];
            let mut bytes = Vec::new();
            match ends {
                [client, _] if from == 0 => client.sealer.seal(more, command, body, &mut bytes),
                [_, server] => server.sealer.seal(more, command, body, &mut bytes),
            }
            .expect("wraps");
            assert!(bytes.starts_with(b"\x07MESSAGE\0\0\0"));
            let to = if to == 0 { &mut client } else { &mut server };
            let opened = to.opener.open(&mut bytes).expect("ours");
            assert_eq!((opened.more, opened.command, &bytes[opened.body]), (more, command, body));
        }
    }
}

#[test]
fn plaintext_authenticates_and_has_no_cipher() {
    let (_, _, ready) = established(true, Zap::Never);
    assert_eq!(ready, [&b"\x05READY"[..], METADATA[1]].concat());
    let (client, server) = complete(true);
    assert!(client.into_cipher().is_none() && server.into_cipher().is_none());
}

#[test]
fn the_handler_is_asked_about_the_principal() {
    let (mut client, _, ready) = established(false, Zap::Required);
    assert!(ready.starts_with(b"\x07MESSAGE"));
    assert_eq!(client.process(&ready, &mut Vec::new()), Ok(Step::Done(METADATA[1].to_vec())));
}

#[test]
fn a_context_takes_as_many_tokens_as_it_needs() {
    let (mut client, mut server) = (client(3, false), server(3, false, Zap::Never));
    let mut out = Vec::new();
    client.start(&mut out);
    for round in 0..3 {
        assert_eq!(server.process(&one(&mut out), &mut out), Ok(Step::Continue), "round {round}");
        assert_eq!(client.process(&one(&mut out), &mut out), Ok(Step::Continue), "round {round}");
    }
    assert_eq!(out, b"\x04\0");
}

#[test]
fn only_complete_handshakes_give_a_cipher() {
    assert!(client(1, false).into_cipher().is_none());
    let (client, server, _) = established(false, Zap::Never);
    assert!(client.into_cipher().is_none() && server.into_cipher().is_none());
}

/// Every prefix of `body`, and `body` with a byte more: nothing of it may be accepted.
fn misshapen(body: &[u8]) -> impl Iterator<Item = Vec<u8>> + use<'_> {
    (0..body.len()).map(|len| body[..len].to_vec()).chain([[body, b"x"].concat()])
}

#[test]
fn initiate_of_any_other_length_is_an_error() {
    let initiate = b"\x08INITIATE\0\0\0\x02T\x01";
    for body in misshapen(initiate) {
        let mut out = Vec::new();
        server(1, false, Zap::Never).process(&body, &mut out).expect_err("misshapen");
        assert!(out.is_empty());
        let error = client(1, false).process(&body, &mut out).expect_err("misshapen");
        assert!(out.is_empty());
        assert_eq!(error.kind(), FailureKind::Protocol);
        if body.len() >= 9 {
            let command = MechanismCommand::Initiate;
            assert_eq!(error, GssapiError::Length { command, len: body.len() }.into());
            assert_eq!(error.protocol_error_code(), 0x1000_0014);
        }
    }
    // A length that no memory has room for is compared, not reserved.
    let huge = b"\x08INITIATE\xff\xff\xff\xffT\x01";
    server(1, false, Zap::Never).process(huge, &mut Vec::new()).expect_err("misshapen");
}

#[test]
fn ready_of_any_other_length_is_an_error() {
    for plaintext in [false, true] {
        let whole = established(plaintext, Zap::Never).2;
        for body in misshapen(&whole) {
            // In the clear the metadata alone say where they end: the handshake looks into them.
            if plaintext && body.len() >= 6 {
                continue;
            }
            let (mut client, ..) = established(plaintext, Zap::Never);
            let mut out = Vec::new();
            client.process(&body, &mut out).expect_err("misshapen");
            assert!(out.is_empty() && client.into_cipher().is_none());
            let (_, mut server, _) = established(plaintext, Zap::Never);
            server.process(&body, &mut out).expect_err("misshapen");
            assert!(out.is_empty() && server.into_cipher().is_none());
        }
    }
}

#[test]
fn a_message_that_is_not_what_was_wrapped_does_not_open() {
    let cipher = || {
        let (client, server) = complete(false);
        (client.into_cipher().expect("wraps"), server.into_cipher().expect("wraps"))
    };
    let open = |mut bytes: Vec<u8>| {
        let (_, mut theirs) = cipher();
        theirs.opener.open(&mut bytes)
    };
    let mut whole = Vec::new();
    cipher().0.sealer.seal(false, false, b"body", &mut whole).expect("wraps");
    assert!(open(whole.clone()).is_ok());
    for bytes in misshapen(&whole) {
        let error = open(bytes.clone()).expect_err("misshapen");
        let code = match bytes.len() {
            0..8 => 0x1000_0011,
            _ => 0x1000_0012,
        };
        assert_eq!(error.protocol_error_code(), code, "{} bytes", bytes.len());
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        open(bytes).expect_err("changed");
    }
    // Twice the same, and nothing at all in the token.
    let (mut ours, mut theirs) = cipher();
    let mut bytes = Vec::new();
    ours.sealer.seal(false, false, b"body", &mut bytes).expect("wraps");
    theirs.opener.open(&mut bytes.clone()).expect("ours");
    let error = theirs.opener.open(&mut bytes).expect_err("a repeat");
    assert_eq!(error, CipherError::Gssapi(GssapiError::Unwrap(REFUSED)));
    assert_eq!(error.protocol_error_code(), 0x1100_0001);
    let number = 2;
    open([&b"\x07MESSAGE\0\0\0\x03"[..], &[1, number, number]].concat()).expect_err("no flags");
    assert_eq!(open(b"\x05READY".to_vec()), Err(CipherError::Gssapi(GssapiError::NotAMessage)));
}

#[test]
fn a_token_without_flags_is_an_error_however_well_wrapped() {
    let mut context = Fake::new(1);
    let token = context.wrap(b"").expect("wraps");
    let mut message = b"\x07MESSAGE".to_vec();
    message::push_token(&token, &mut message).expect("short");
    let mut opener = Opener::new(Fake::new(1).shared());
    let len = message.len();
    let error = opener.open(&mut message).expect_err("no flags");
    assert_eq!(error, GssapiError::Length { command: MechanismCommand::Message, len });
}

#[test]
fn what_cannot_be_wrapped_is_not_told_in_the_clear() {
    let [mut ours, _] = fake::ciphers(1);
    let mut bytes = Vec::new();
    ours.sealer.seal(false, false, b"first", &mut bytes).expect("wraps");
    let before = bytes.clone();
    let error = ours.sealer.seal(true, false, b"secret", &mut bytes).expect_err("wraps no more");
    assert_eq!(error, CipherError::Gssapi(GssapiError::Wrap(REFUSED)));
    assert!(error.is_ours() && bytes == before);
    // Nor in the handshake.
    let mut server = Server::with_context(
        Box::new(Fake { wraps: 0, ..Fake::new(1) }),
        false,
        METADATA[1].to_vec(),
        Zap::Never,
    );
    server.process(b"\x08INITIATE\0\0\0\x02T\x01", &mut Vec::new()).expect("in order");
    let mut out = Vec::new();
    let error = server.process(b"", &mut out).expect_err("wraps nothing");
    assert_eq!((error.kind(), out.len()), (FailureKind::Configuration, 0));
}

#[test]
fn what_is_signed_alone_is_refused() {
    let signing = || Fake { encrypts: false, ..Fake::new(1) };
    let mut bytes = Vec::new();
    Sealer::new(signing().shared()).seal(false, false, b"body", &mut bytes).expect("wraps");
    let error = Opener::new(Fake::new(1).shared()).open(&mut bytes).expect_err("signed alone");
    assert_eq!((error, error.protocol_error_code()), (GssapiError::NotEncrypted, 0x1100_0001));
    // READY too, of a server that signs.
    let (mut client, ..) = established(false, Zap::Never);
    let mut out = Vec::new();
    server::push_ready(&signing().shared(), false, METADATA[1], &mut out).expect("wraps");
    assert_eq!(client.process(&one(&mut out), &mut out), Err(GssapiError::NotEncrypted.into()));
    assert!(out.is_empty() && client.into_cipher().is_none());
}

#[test]
fn commands_out_of_their_order_are_errors() {
    let initiate = |token: &[u8]| {
        let mut data = Vec::new();
        message::push_token(token, &mut data).expect("short");
        command::body(b"INITIATE", &data)
    };
    let mut out = Vec::new();
    // Anything but INITIATE to begin with, an empty frame too; a token that the context does not take.
    for body in
        [&b""[..], b"\x05READY", b"\x05HELLO", b"\x07MESSAGE\0\0\0\0", &initiate(b""), &initiate(b"X")]
    {
        server(1, false, Zap::Never).process(body, &mut out).expect_err("out of order");
        client(1, false).process(body, &mut out).expect_err("out of order");
    }
    let error = server(1, false, Zap::Never).process(&initiate(b"X"), &mut out).expect_err("refused");
    assert_eq!(error, GssapiError::Token(REFUSED).into());
    assert!(out.is_empty());

    // A token more than the context needs; READY before ours.
    for body in [initiate(b"T\x01"), b"\x05READY".to_vec()] {
        let mut server = server(1, false, Zap::Never);
        server.process(&initiate(b"T\x01"), &mut out).expect("in order");
        out.clear();
        server.process(&body, &mut out).expect_err("out of order");
        assert!(out.is_empty());
    }
    // An INITIATE without a token says the same as an empty frame.
    let mut lenient = server(1, false, Zap::Never);
    lenient.process(&initiate(b"T\x01"), &mut out).expect("in order");
    lenient.process(&initiate(b""), &mut out).expect("in order");
    // Nothing is wrapped twice, and nothing in the clear where it is to be wrapped.
    let (mut client, mut server, _) = established(false, Zap::Never);
    let clear = [&b"\x05READY"[..], METADATA[0]].concat();
    client.process(&clear, &mut out).expect_err("in the clear");
    server.process(&clear, &mut out).expect_err("in the clear");
}

#[test]
fn a_refusal_is_told_until_the_handshake_is_complete() {
    let mut error = Vec::new();
    command::encode_error(&mut error, b"400").expect("short");
    let error = one(&mut error);
    let refusal = client(1, false).process(&error, &mut Vec::new()).expect_err("refused");
    assert_eq!(refusal.auth_status(), Some(400));
    let (mut client, ..) = established(false, Zap::Never);
    let refusal = client.process(&error, &mut Vec::new()).expect_err("refused");
    assert_eq!(refusal, HandshakeError::PeerError(b"400".to_vec()));
}

#[test]
fn a_context_that_does_not_answer_for_the_server_is_not_begun() {
    let error = Client::with_context(Box::new(Fake::new(0)), false, Vec::new()).expect_err("not mutual");
    assert_eq!(error, GssapiError::OutOfStep);
}

#[test]
fn a_cipher_tells_no_length_beforehand() {
    let sealer = cipher::Sealer::Gssapi(Sealer::new(Fake::new(1).shared()));
    assert_eq!(sealer.sealed_len(1), None);
}
