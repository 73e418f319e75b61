//! What several tests of the engine need.

use zlink_zmtp::curve::{ClientKeys, SecretKey, ServerKeys};
use zlink_zmtp::{Cipher, Handshake, HandshakeConfig, Security, SocketType, Zap};

/// Both ends of a CURVE connection whose handshake is complete.
pub(super) fn ciphers() -> (Cipher, Cipher) {
    let [ours, theirs] = [(); 2].map(|()| SecretKey::generate().expect("the system has random numbers"));
    let keys = ClientKeys { server: theirs.public_key(), public: ours.public_key(), secret: ours };
    let start = |security| {
        Handshake::new(HandshakeConfig {
            socket_type: SocketType::Pair,
            routing_id: Vec::new(),
            metadata: Vec::new(),
            max_command_size: u64::MAX,
            security,
            zap: Zap::Never,
        })
    };
    let mut client = start(Security::CurveClient(keys));
    let mut server = start(Security::CurveServer(ServerKeys::new(theirs)));
    while !(client.output().is_empty() && server.output().is_empty()) {
        for turn in 0..2 {
            let (from, to) = if turn == 0 { (&mut client, &mut server) } else { (&mut server, &mut client) };
            let n = to.input(from.output()).expect("in order");
            from.advance_output(n);
        }
    }
    (client.take_cipher().expect("complete"), server.take_cipher().expect("complete"))
}
