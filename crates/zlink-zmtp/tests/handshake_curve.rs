//! Whole CURVE handshakes, with the bytes cut in every way, and what comes after.

mod common;

use common::{config, greeting, with_id};
use zlink_zmtp::Cipher;
use zlink_zmtp::curve::{ClientKeys, SecretKey, ServerKeys};
use zlink_zmtp::zap::ZapStatus;
use zlink_zmtp::{
    Handshake, HandshakeConfig, HandshakeError, PlainCredentials, Security, SocketType, Stage, Zap, ZapReply,
};

fn configs(zap: Zap) -> (HandshakeConfig, HandshakeConfig) {
    let [client, server] = [(); 2].map(|()| SecretKey::generate().unwrap());
    let keys = ClientKeys { server: server.public_key(), public: client.public_key(), secret: client };
    let client = HandshakeConfig {
        security: Security::CurveClient(keys),
        // A client asks nobody, whatever it is told.
        zap: Zap::Required,
        ..with_id(SocketType::Dealer, b"name")
    };
    let security = Security::CurveServer(ServerKeys::new(server));
    (client, HandshakeConfig { security, zap, ..config(SocketType::Router) })
}

/// Moves what `from` has to say to `to`, `step` bytes at a time.
fn carry(from: &mut Handshake, to: &mut Handshake, step: usize) -> Result<bool, HandshakeError> {
    let mut any = false;
    while !from.output().is_empty() {
        let n = from.output().len().min(step);
        assert_eq!(to.input(&from.output()[..n])?, n);
        from.advance_output(n);
        any = true;
    }
    Ok(any)
}

/// Until neither has anything more to say.
fn talk(client: &mut Handshake, server: &mut Handshake, step: usize) -> Result<(), HandshakeError> {
    while carry(client, server, step)? | carry(server, client, step)? {}
    Ok(())
}

fn reply(status: ZapStatus) -> ZapReply {
    ZapReply { status, user_id: b"joe".to_vec(), metadata: Vec::new() }
}

#[test]
fn handshake_completes_whichever_way_its_bytes_are_cut() {
    let (client, server) = configs(Zap::Never);
    for step in 1..400 {
        let (mut client, mut server) = (Handshake::new(client.clone()), Handshake::new(server.clone()));
        assert!(client.take_cipher().is_none(), "not before its end");
        talk(&mut client, &mut server, step).unwrap();
        let peer = server.peer().unwrap();
        assert_eq!((peer.socket_type, &peer.routing_id[..]), (Some(SocketType::Dealer), &b"name"[..]));
        assert_eq!(client.peer().unwrap().socket_type, Some(SocketType::Router));

        let (ours, theirs) = (client.take_cipher().unwrap(), server.take_cipher().unwrap());
        assert!(client.take_cipher().is_none(), "nonces are not for using twice");
        let pairs = [(ours.sealer, theirs.opener), (theirs.sealer, ours.opener)];
        for (mut sealer, mut opener) in pairs {
            let mut bytes = Vec::new();
            sealer.seal(true, false, b"body", &mut bytes).expect("seals");
            let opened = opener.open(&mut bytes).unwrap();
            assert_eq!((opened.more, &bytes[opened.body]), (true, &b"body"[..]));
        }
    }
}

#[test]
fn handler_is_asked_with_the_clients_long_term_key_and_decides() {
    for status in [ZapStatus::Success, ZapStatus::TemporaryError, ZapStatus::AuthenticationFailure] {
        let (client_config, server) = configs(Zap::Required);
        let Security::CurveClient(keys) = &client_config.security else { panic!("made so") };
        let (mut client, mut server) = (Handshake::new(client_config.clone()), Handshake::new(server));
        talk(&mut client, &mut server, 64).unwrap();
        let request = server.zap_request().unwrap();
        assert_eq!((request.mechanism, &request.credentials), ("CURVE", &vec![keys.public.0.to_vec()]));
        assert_eq!((client.peer(), server.peer()), (None, None));

        let verdict = server.zap_reply(reply(status));
        let told = talk(&mut client, &mut server, 64);
        match status {
            ZapStatus::Success => {
                verdict.unwrap();
                told.unwrap();
                assert_eq!(server.peer().unwrap().zap_properties[0].1, b"joe");
                assert!(client.take_cipher().is_some() && server.take_cipher().is_some());
            }
            _ => {
                assert_eq!(verdict, Err(HandshakeError::Denied { status }));
                assert!(server.take_cipher().is_none());
                match status {
                    // The client is to try again: nothing is said.
                    ZapStatus::TemporaryError => told.unwrap(),
                    _ => assert_eq!(told.unwrap_err().auth_status(), Some(400)),
                }
                assert_eq!(client.peer(), None);
            }
        }
    }
}

#[test]
fn without_a_handler_the_client_is_welcome_or_not() {
    for (zap, welcome) in [(Zap::IfPresent, true), (Zap::Required, false)] {
        let (client, server) = configs(zap);
        let (mut client, mut server) = (Handshake::new(client), Handshake::new(server));
        talk(&mut client, &mut server, 64).unwrap();
        assert!(server.zap_request().is_some());
        let result = server.zap_unavailable();
        assert_eq!(result.is_ok(), welcome);
        let _ = talk(&mut client, &mut server, 64);
        assert_eq!((client.peer().is_some(), server.peer().is_some()), (welcome, welcome));
    }
}

#[test]
fn the_client_is_silent_until_it_is_welcome() {
    let (client, server) = configs(Zap::Required);
    let (mut client, mut server) = (Handshake::new(client), Handshake::new(server));
    talk(&mut client, &mut server, 64).unwrap();
    assert_eq!(server.input(b"\0"), Err(HandshakeError::EarlyInput));
    assert!(server.zap_request().is_none());
}

/// No peer gets in with less than CURVE, whichever version or mechanism it names, on either side.
#[test]
fn there_is_no_downgrade() {
    let (client, server) = configs(Zap::Never);
    let plain = HandshakeConfig {
        security: Security::PlainClient(PlainCredentials::default()),
        ..config(SocketType::Dealer)
    };
    for config in [client, server] {
        let other = if config.socket_type == SocketType::Router {
            plain.clone()
        } else {
            common::config(SocketType::Router)
        };
        let mut ours = Handshake::new(config.clone());
        let mut theirs = Handshake::new(other);
        let error = talk(&mut theirs, &mut ours, 64).unwrap_err();
        assert!(matches!(error, HandshakeError::MechanismMismatch { .. }), "{error:?}");

        for bytes in [
            &b"\x01\x00"[..],
            b"\xff\0\0\0\0\0\0\0\x01\x7f\x00\x05\0\0",
            b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x05\0\0",
        ] {
            let outcome = common::cut_everywhere(&config, bytes);
            assert!(matches!(outcome.error(), HandshakeError::InsecureVersion { .. }));
        }
        for mechanism in [&b"NULL"[..], b"PLAIN", b"GSSAPI", b"", b"CURV", b"CURVE2", b"curve", b"CURVE\0X"] {
            let mut ours = Handshake::new(config.clone());
            let error = ours.input(&greeting(3, 0, mechanism)).unwrap_err();
            assert!(matches!(error, HandshakeError::MechanismMismatch { .. }));
        }
    }
}

/// A READY of NULL, which needs no key, is none of CURVE.
#[test]
fn ready_of_another_mechanism_is_refused() {
    let (client, server) = configs(Zap::Never);
    let ready = common::ready(&[("Socket-Type", b"DEALER")]);
    for config in [client, server] {
        let mut ours = Handshake::new(config);
        ours.input(&greeting(3, 1, b"CURVE")).unwrap();
        assert!(matches!(ours.input(&ready), Err(HandshakeError::UnexpectedCommand { .. })));
        assert_eq!(ours.stage(), Stage::Mechanism);
    }
}

#[test]
fn two_clients_and_two_servers_do_not_come_together() {
    let (client, server) = configs(Zap::Never);
    let (mut one, mut other) = (Handshake::new(client.clone()), Handshake::new(client));
    assert!(talk(&mut one, &mut other, 64).is_err());
    let (mut one, mut other) = (Handshake::new(server.clone()), Handshake::new(server));
    assert_eq!(talk(&mut one, &mut other, 64), Err(HandshakeError::RoleMismatch));
}

#[test]
fn socket_types_that_do_not_match_are_refused() {
    let (client, server) = configs(Zap::Never);
    let server = HandshakeConfig { socket_type: SocketType::Pub, ..server };
    let (mut client, mut server) = (Handshake::new(client), Handshake::new(server));
    let error = talk(&mut client, &mut server, 64).unwrap_err();
    assert!(matches!(error, HandshakeError::IncompatibleSocketType { .. }));
}

/// Nothing of the plain text is on the wire.
#[test]
fn the_wire_shows_neither_bodies_nor_metadata() {
    let (client, server) = configs(Zap::Never);
    let (mut client, mut server) = (Handshake::new(client), Handshake::new(server));
    let mut wire = Vec::new();
    loop {
        let before = wire.len();
        for turn in 0..2 {
            let (from, to) = if turn == 0 { (&mut client, &mut server) } else { (&mut server, &mut client) };
            wire.extend_from_slice(from.output());
            carry(from, to, 64).unwrap();
        }
        if wire.len() == before {
            break;
        }
    }
    let Cipher { mut sealer, .. } = client.take_cipher().unwrap();
    sealer.seal(false, false, b"the body", &mut wire).expect("seals");
    let shows = |text: &[u8]| wire.windows(text.len()).any(|window| window == text);
    assert!(shows(b"CURVE") && shows(b"INITIATE") && shows(b"MESSAGE"));
    assert!(!shows(b"DEALER") && !shows(b"Socket-Type") && !shows(b"name") && !shows(b"body"));
}
