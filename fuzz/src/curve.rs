use zlink_zmtp::Cipher;
use zlink_zmtp::curve::{ClientKeys, SecretKey, ServerKeys};
use zlink_zmtp::frame::{MAX_HEADER_LEN, encode_header};
use zlink_zmtp::zap::ZapStatus;
use zlink_zmtp::{Handshake, HandshakeConfig, Security, SocketType, Zap, ZapReply, ZapRequest, command};

use crate::input::Input;

/// What a handshake is made of, whatever its mechanism.
pub(crate) fn config(socket_type: SocketType, security: Security, zap: Zap) -> HandshakeConfig {
    HandshakeConfig {
        socket_type,
        routing_id: b"name".to_vec(),
        metadata: Vec::new(),
        max_command_size: 64 * 1024,
        security,
        zap,
    }
}

/// A client's handshake and that of its server.
fn sides(zap: Zap) -> (Handshake, Handshake) {
    // Fixed, as far as it goes: the keys of the connection are new each time.
    let (client, server) = (SecretKey::new([7; 32]), SecretKey::new([9; 32]));
    let keys = ClientKeys { server: server.public_key(), public: client.public_key(), secret: client };
    let start = |socket_type, security| Handshake::new(config(socket_type, security, zap));
    let server = start(SocketType::Router, Security::CurveServer(ServerKeys::new(server)));
    (start(SocketType::Dealer, Security::CurveClient(keys)), server)
}

/// Does to `bytes` what the input chooses; nothing, if it chooses nothing. Returns whether they have changed.
fn damage(input: &mut Input<'_>, bytes: &mut Vec<u8>, past: &[u8]) -> bool {
    let before = bytes.clone();
    match input.byte() {
        1..64 if !bytes.is_empty() => {
            let at = input.below(bytes.len());
            bytes[at] ^= input.byte();
        }
        64..96 => bytes.truncate(input.below(bytes.len() + 1)),
        96..128 => bytes.extend_from_slice(input.bytes(300)),
        128..160 => *bytes = input.bytes(400).to_vec(),
        160..192 => bytes.extend_from_slice(past),
        _ => {}
    }
    *bytes != before
}

/// Lets a client and a server speak with each other, with somebody between them who does what the input chooses, and a
/// handler that lets in or not. `asked` looks at what that is asked. Returns whether anything was changed on the way.
pub(crate) fn converse(
    input: &mut Input<'_>,
    [client, server]: [&mut Handshake; 2],
    admit: bool,
    asked: impl Fn(&ZapRequest),
) -> bool {
    let (mut past, mut damaged) = (Vec::new(), false);
    let mut failed = [false; 2];
    for _ in 0..12 {
        for (turn, failed) in failed.iter_mut().enumerate() {
            let (from, to) =
                if turn == 0 { (&mut *client, &mut *server) } else { (&mut *server, &mut *client) };
            let mut bytes = from.output().to_vec();
            from.advance_output(bytes.len());
            let sent = bytes.clone();
            damaged |= damage(input, &mut bytes, &past);
            past = sent;
            if to.peer().is_none() && !*failed {
                *failed = to.input(&bytes).is_err();
                assert!(!*failed || to.input(b"more").is_err(), "an error is final");
            }
            assert!(to.output().len() < 1024, "an answer of {} bytes", to.output().len());
        }
        if let Some(request) = server.zap_request() {
            asked(&request);
            let status = if admit { ZapStatus::Success } else { ZapStatus::AuthenticationFailure };
            let reply = ZapReply { status, user_id: Vec::new(), metadata: Vec::new() };
            failed[0] |= server.zap_reply(reply).is_err();
        }
    }
    damaged
}

/// A client and a server of CURVE, with somebody between them who changes, cuts, repeats and invents. Whoever
/// completes has heard from the other himself.
pub fn curve_handshake(data: &[u8]) {
    let mut input = Input(data);
    let zap = input.choose(&[Zap::Never, Zap::Required]);
    let admit = input.flag();
    let (mut client, mut server) = sides(zap);
    let damaged = converse(&mut input, [&mut client, &mut server], admit, |request| {
        assert_eq!((request.mechanism, request.credentials[0].len()), ("CURVE", 32));
    });
    if let Some(peer) = server.peer() {
        assert_eq!((peer.socket_type, &peer.routing_id[..]), (Some(SocketType::Dealer), &b"name"[..]));
        assert!(zap == Zap::Never || admit, "the handler had refused");
    }
    if let Some(peer) = client.peer() {
        assert_eq!(peer.socket_type, Some(SocketType::Router));
        assert!(server.take_cipher().is_some(), "a server welcomes nobody without completing");
    }
    let both = client.peer().is_some() && server.peer().is_some();
    assert!(damaged || both == (zap == Zap::Never || admit), "nobody came between them");
}

fn ciphers() -> (Cipher, Cipher) {
    let (mut client, mut server) = sides(Zap::Never);
    while !(client.output().is_empty() && server.output().is_empty()) {
        for turn in 0..2 {
            let (from, to) = if turn == 0 { (&mut client, &mut server) } else { (&mut server, &mut client) };
            let n = to.input(from.output()).expect("in order");
            from.advance_output(n);
        }
    }
    (client.take_cipher().expect("complete"), server.take_cipher().expect("complete"))
}

/// Messages and commands in boxes, cut anywhere and perhaps damaged at one place: what comes out is what went in,
/// up to that place.
pub fn curve_messages(data: &[u8]) {
    let (ours, theirs) = ciphers();
    messages(data, ours, theirs);
}

pub(crate) fn messages(data: &[u8], mut ours: Cipher, theirs: Cipher) {
    let mut input = Input(data);
    let min_buffer = input.choose(&[16, 64, 1000, 8192]);
    let mut choices = Input(input.bytes(60));

    let (mut stream, mut frames) = (Vec::new(), Vec::new());
    while !input.is_empty() && stream.len() < 1 << 18 {
        let kind = input.byte();
        let (more, is_command) = (kind & 3 == 1, kind & 3 == 2);
        let mut body = input.bytes(300).to_vec();
        if kind & 0x84 == 0x84 {
            body.resize(usize::from(kind) * 300, kind);
        }
        if is_command {
            body = command::body(b"PING", &[&[0, 9], &body[..body.len().min(16)]].concat());
        }
        let start = stream.len();
        let mut sealed = Vec::new();
        ours.sealer.seal(more, is_command, &body, &mut sealed).expect("seals");
        let mut header = [0; MAX_HEADER_LEN];
        let n = encode_header(false, false, sealed.len() as u64, &mut header);
        stream.extend_from_slice(&header[..n]);
        stream.extend_from_slice(&sealed);
        frames.push((start, more, is_command, body));
    }

    let damaged = choices.flag() && !stream.is_empty();
    let mut intact = frames.len();
    if damaged {
        let at = choices.below(stream.len());
        stream[at] ^= choices.byte() | 1;
        let begun = frames.iter().filter(|(start, ..)| *start <= at).count();
        // The flags of a header that are not about its length are of no account.
        let flags = frames[begun - 1].0 == at;
        intact = if flags { frames.len() } else { begun - 1 };
    }
    let (mut expected, mut open) = (Vec::new(), Vec::new());
    for (_, more, is_command, body) in &frames[..intact] {
        if !is_command {
            open.push((body.clone(), *more));
            if !more {
                expected.append(&mut open);
            }
        }
    }
    let pieces = choices.cut(&stream);
    let decoded = zlink::fuzzing::decode_sealed(theirs.opener, min_buffer, pieces.into_iter());
    if damaged {
        let heard = decoded.parts.len();
        assert!(heard <= expected.len() && decoded.parts == expected[..heard], "something else came out");
    } else {
        assert!(decoded.error.is_none() && decoded.parts == expected, "{:?}", decoded.error);
        assert_eq!(decoded.notices.len(), frames.iter().filter(|frame| frame.2).count());
    }
}
