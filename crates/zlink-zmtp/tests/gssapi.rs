//! GSSAPI with a peer that uses Kerberos as it likes, in a realm of the test's own.

/// What the realm asks of those who use it.
mod common {
    use std::time::{Duration, Instant};

    pub fn guarded(test: impl FnOnce() + Send + 'static) {
        test();
    }

    pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !condition() {
            assert!(Instant::now() < deadline, "never came true: {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
#[path = "../../zlink/tests/common/realm.rs"]
mod realm;

use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::name::Name;
use libgssapi::oid::{GSS_NT_HOSTBASED_SERVICE, GSS_NT_KRB5_PRINCIPAL};
use realm::{CLIENT, SERVICE};
use zlink_zmtp::cipher::CipherError;
use zlink_zmtp::frame::{MAX_HEADER_LEN, decode_header, encode_header};
use zlink_zmtp::gssapi::{GssapiError, Principal, ServerConfig};
use zlink_zmtp::{Cipher, Handshake, HandshakeConfig, HandshakeError, Security, SocketType, Zap};

/// A token behind the name of its command.
fn with_token(name: &[u8], token: &[u8]) -> Vec<u8> {
    let len = u32::try_from(token.len()).expect("short");
    [name, &len.to_be_bytes(), token].concat()
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut header = [0; MAX_HEADER_LEN];
    let n = encode_header(false, true, body.len() as u64, &mut header);
    [&header[..n], body].concat()
}

/// The body of the one frame that there is to write.
fn answer(handshake: &mut Handshake) -> Vec<u8> {
    let bytes = handshake.output().to_vec();
    handshake.advance_output(bytes.len());
    let header = decode_header(&bytes, u64::MAX).expect("valid").expect("a frame");
    assert_eq!(bytes.len() as u64, u64::from(header.header_len) + header.body_len);
    bytes[usize::from(header.header_len)..].to_vec()
}

/// The handshake of a server with a client whose READY is encrypted or signed alone.
fn handshake(encrypted: bool) -> (ClientCtx, Result<Cipher, HandshakeError>) {
    let mut server = Handshake::new(HandshakeConfig {
        socket_type: SocketType::Pull,
        routing_id: Vec::new(),
        metadata: Vec::new(),
        max_command_size: u64::MAX,
        security: Security::GssapiServer(ServerConfig { principal: Principal::default(), plaintext: false }),
        zap: Zap::Never,
    });
    let service = Name::new(SERVICE.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE)).expect("a name");
    let own = Name::new(CLIENT.as_bytes(), Some(GSS_NT_KRB5_PRINCIPAL)).expect("a name");
    let own = Cred::acquire(Some(&own), None, CredUsage::Initiate, None).expect("credentials");
    let mut context = ClientCtx::new(Some(own), service, CtxFlags::GSS_C_MUTUAL_FLAG, None);

    let mut greeting = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01GSSAPI".to_vec();
    greeting.resize(64, 0);
    server.input(&greeting).expect("a greeting");
    server.advance_output(server.output().len());
    let token = context.step(None, None).expect("a ticket").expect("a token");
    server.input(&frame(&with_token(b"\x08INITIATE", &token))).expect("a client");
    let initiate = answer(&mut server);
    context.step(Some(&initiate[13..]), None).expect("the server");
    server.input(&frame(b"")).expect("in order");
    context.unwrap(&answer(&mut server)[12..]).expect("READY");
    let ready = context.wrap(encrypted, b"\0\x05READY\x0bSocket-Type\0\0\0\x04PUSH").expect("wraps");
    let outcome = server.input(&frame(&with_token(b"\x07MESSAGE", &ready)));
    (context, outcome.map(|_| server.take_cipher().expect("complete")))
}

#[test]
fn a_client_that_signs_without_encrypting_is_refused() {
    realm::in_a_realm("a_client_that_signs_without_encrypting_is_refused", || {
        let (mut context, cipher) = handshake(true);
        let mut opener = cipher.expect("encrypted").opener;
        let mut message = |encrypted| {
            let token = context.wrap(encrypted, b"\0body").expect("wraps");
            let mut bytes = with_token(b"\x07MESSAGE", &token);
            opener.open(&mut bytes).map(|opened| bytes[opened.body].to_vec())
        };
        assert_eq!(message(true), Ok(b"body".to_vec()));
        assert_eq!(message(false), Err(CipherError::Gssapi(GssapiError::NotEncrypted)));

        let (_, refused) = handshake(false);
        assert_eq!(refused.expect_err("signed alone"), GssapiError::NotEncrypted.into());
    });
}
