use zlink_zmtp::gssapi::{ClientConfig, ServerConfig, fake};
use zlink_zmtp::zap::ZapStatus;
use zlink_zmtp::{Handshake, HandshakeConfig, Security, SocketType, Zap, ZapReply};

use crate::curve::{damage, messages};
use crate::input::Input;

fn start(socket_type: SocketType, security: Security, zap: Zap, rounds: u8) -> Handshake {
    let config = HandshakeConfig {
        socket_type,
        routing_id: b"name".to_vec(),
        metadata: Vec::new(),
        max_command_size: 64 * 1024,
        security,
        zap,
    };
    fake::handshake(config, rounds)
}

/// A client and a server of GSSAPI, over a context that is no secret, with somebody between them who changes, cuts,
/// repeats and invents. Nobody comes in whom the handler has refused, and whom nobody disturbs come together.
pub fn gssapi_handshake(data: &[u8]) {
    let mut input = Input(data);
    let zap = input.choose(&[Zap::Never, Zap::Required]);
    let admit = input.flag();
    let rounds = input.choose(&[1, 1, 2, 3]);
    let (plaintext, agreed) = (input.flag(), !input.flag());
    let server = ServerConfig { plaintext, ..Default::default() };
    let client = ClientConfig { plaintext: plaintext == agreed, ..Default::default() };
    let mut server = start(SocketType::Router, Security::GssapiServer(server), zap, rounds);
    let mut client = start(SocketType::Dealer, Security::GssapiClient(client), Zap::Never, rounds);
    let (mut past, mut damaged) = (Vec::new(), false);
    let mut failed = [false; 2];
    for _ in 0..12 {
        for (turn, failed) in failed.iter_mut().enumerate() {
            let (from, to) = if turn == 0 { (&mut client, &mut server) } else { (&mut server, &mut client) };
            let mut bytes = from.output().to_vec();
            from.advance_output(bytes.len());
            let sent = bytes.clone();
            damaged |= damage(&mut input, &mut bytes, &past);
            past = sent;
            if to.peer().is_none() && !*failed {
                *failed = to.input(&bytes).is_err();
                assert!(!*failed || to.input(b"more").is_err(), "an error is final");
            }
            assert!(to.output().len() < 1024, "an answer of {} bytes", to.output().len());
        }
        if let Some(request) = server.zap_request() {
            assert_eq!((request.mechanism, &request.credentials[0][..]), ("GSSAPI", &b"somebody@REALM"[..]));
            let status = if admit { ZapStatus::Success } else { ZapStatus::AuthenticationFailure };
            let reply = ZapReply { status, user_id: Vec::new(), metadata: Vec::new() };
            failed[0] |= server.zap_reply(reply).is_err();
        }
    }
    let admitted = zap == Zap::Never || admit;
    assert!(server.peer().is_none() || admitted, "the handler had refused");
    let both = client.peer().is_some() && server.peer().is_some();
    assert!(damaged || both == (admitted && agreed), "nobody came between them");
    if both && !damaged {
        assert_eq!(server.take_cipher().is_some(), !plaintext);
        assert_eq!(client.take_cipher().is_some(), !plaintext);
    }
}

/// As `curve_messages`, with frames in tokens.
pub fn gssapi_messages(data: &[u8]) {
    let [ours, theirs] = fake::ciphers(u32::MAX);
    messages(data, ours, theirs);
}
