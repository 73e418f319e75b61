use zlink_zmtp::gssapi::{ClientConfig, ServerConfig, fake};
use zlink_zmtp::{Security, SocketType, Zap};

use crate::curve::{config, converse, messages};
use crate::input::Input;

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
    let mut server = fake::handshake(config(SocketType::Router, Security::GssapiServer(server), zap), rounds);
    let mut client =
        fake::handshake(config(SocketType::Dealer, Security::GssapiClient(client), Zap::Never), rounds);
    let damaged = converse(&mut input, [&mut client, &mut server], admit, |request| {
        assert_eq!((request.mechanism, &request.credentials[0][..]), ("GSSAPI", &b"somebody@REALM"[..]));
    });
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
