use super::seal::{BoxKey, counted, drawn};
use super::server::{HELLO_NONCE, WELCOME_NONCE};
use super::*;
use crate::frame::decode_header;
use crate::handshake::{HandshakeError, MechanismCommand};
use crate::mechanism::Step;
use crate::zap::{Zap, ZapRequest};

const METADATA: &[u8] = b"\x0bSocket-Type\0\0\0\x06DEALER";

// The `ZMQ_PROTOCOL_ERROR_ZMTP_*` values of zmq.h.
const UNEXPECTED_COMMAND: i32 = 0x1000_0001;
const INVALID_SEQUENCE: i32 = 0x1000_0002;
const KEY_EXCHANGE: i32 = 0x1000_0003;
const MALFORMED: i32 = 0x1000_0011;
const MALFORMED_MESSAGE: i32 = 0x1000_0012;
const MALFORMED_HELLO: i32 = 0x1000_0013;
const MALFORMED_INITIATE: i32 = 0x1000_0014;
const MALFORMED_READY: i32 = 0x1000_0016;
const CRYPTOGRAPHIC: i32 = 0x1100_0001;

fn secret() -> SecretKey {
    SecretKey::generate().unwrap()
}

/// The keys of one client and its server.
fn keys() -> (ClientKeys, ServerKeys) {
    let (client, server) = (secret(), secret());
    let keys = ClientKeys { server: server.public_key(), public: client.public_key(), secret: client };
    (keys, ServerKeys::new(server))
}

/// The body of the one command frame in `out`.
fn body(out: &[u8]) -> Vec<u8> {
    let header = decode_header(out, u64::MAX).unwrap().unwrap();
    assert!(header.is_command());
    let body = &out[usize::from(header.header_len)..];
    assert_eq!(body.len() as u64, header.body_len);
    body.to_vec()
}

/// A handshake up to some command, with that command's body.
struct Stand {
    client: Client,
    server: Server,
    command: Vec<u8>,
}

fn at_hello() -> Stand {
    let (client, server) = keys();
    at_hello_with(client, server)
}

fn at_hello_with(client: ClientKeys, server: ServerKeys) -> Stand {
    let mut client = Client::new(client, METADATA.to_vec()).unwrap();
    let mut out = Vec::new();
    client.start(&mut out);
    Stand { client, server: Server::new(server, METADATA.to_vec(), Zap::Required), command: body(&out) }
}

fn at_welcome() -> Stand {
    let Stand { client, mut server, command } = at_hello();
    let mut out = Vec::new();
    assert_eq!(server.process(&command, &mut out), Ok(Step::Continue));
    Stand { client, server, command: body(&out) }
}

fn at_initiate() -> Stand {
    let Stand { mut client, server, command } = at_welcome();
    let mut out = Vec::new();
    assert_eq!(client.process(&command, &mut out), Ok(Step::Continue));
    Stand { client, server, command: body(&out) }
}

fn at_ready() -> Stand {
    let Stand { client, mut server, command } = at_initiate();
    let mut out = Vec::new();
    let step = server.process(&command, &mut out).unwrap();
    assert!(out.is_empty(), "nothing is said before the client is welcome");
    let credentials = vec![client.own_key().0.to_vec()];
    assert_eq!(step, Step::AwaitZap(ZapRequest { mechanism: "CURVE", credentials }));
    assert_eq!(server.authorized(&mut out), Step::Done(METADATA.to_vec()));
    Stand { client, server, command: body(&out) }
}

/// What boxes and opens: client's, then server's.
fn traffic() -> [(Sealer, Opener); 2] {
    let Stand { mut client, server, command } = at_ready();
    assert_eq!(client.process(&command, &mut Vec::new()), Ok(Step::Done(METADATA.to_vec())));
    [client.into_cipher().unwrap(), server.into_cipher().unwrap()]
        .map(|cipher| (cipher.sealer, cipher.opener))
}

fn sealed(sealer: &mut Sealer, more: bool, command: bool, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    sealer.seal(more, command, body, &mut out);
    assert_eq!(out.len(), body.len() + OVERHEAD);
    out
}

fn code(result: Result<Step, HandshakeError>) -> i32 {
    result.unwrap_err().protocol_error_code()
}

#[test]
fn commands_have_the_lengths_of_the_specification() {
    assert_eq!(at_hello().command.len(), 200);
    assert_eq!(at_welcome().command.len(), 168);
    assert_eq!(at_initiate().command.len(), 257 + METADATA.len());
    assert_eq!(at_ready().command.len(), 30 + METADATA.len());
}

const OUR_PUBLIC: &str = "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c";
const BOX: &str = "0c6d974d9706dcd7cb83beb4707295b311e209dedd166757e2f9de8b8d23a3d5325abdab9ac6696394fde6416c4096374bc880468dd205b9";

/// Made with libsodium 1.0.18: `crypto_box_easy` of "HELLO" padded with zeros to 40 bytes, between the secret key of
/// 1, 2, 3 and so on and the public key of the secret key of 101, 102, 103 and so on.
#[test]
fn boxes_are_those_of_libsodium() {
    let ours = SecretKey::new(std::array::from_fn(|n| n as u8 + 1));
    let theirs = SecretKey::new(std::array::from_fn(|n| n as u8 + 101));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&ours.public_key().0), OUR_PUBLIC);
    let key = BoxKey::agree(&theirs.public_key(), &ours).unwrap();
    let mut content = [0; 40];
    content[..5].copy_from_slice(b"HELLO");
    let mut boxed = Vec::new();
    key.seal(&counted(b"CurveZMQMESSAGEC", 0x0102_0304_0506_0708), &[&content], &mut boxed);
    assert_eq!(hex(&boxed), BOX);
}

#[test]
fn frames_pass_in_both_directions_at_every_length_with_their_flags() {
    let [(mut client_out, mut client_in), (mut server_out, mut server_in)] = traffic();
    for len in (0..600).chain([4095, 4096, 65_535, 65_536, 1 << 20]) {
        let content: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
        for (more, command) in [(false, false), (true, false), (false, true)] {
            for (sealer, opener) in [(&mut client_out, &mut server_in), (&mut server_out, &mut client_in)] {
                let mut bytes = sealed(sealer, more, command, &content);
                let opened = opener.open(&mut bytes).unwrap();
                assert_eq!((opened.more, opened.command), (more, command));
                assert_eq!(&bytes[opened.body], &content[..]);
            }
        }
    }
}

#[test]
fn frames_are_refused_when_repeated_or_out_of_order() {
    let [(mut out, _), (_, mut input)] = traffic();
    let frames: [Vec<u8>; 3] = std::array::from_fn(|n| sealed(&mut out, false, false, &[n as u8; 9]));
    input.open(&mut frames[1].clone()).unwrap();
    for refused in [&frames[0], &frames[1]] {
        let error = input.open(&mut refused.clone()).unwrap_err();
        assert_eq!(error, CurveError::Sequence { command: MechanismCommand::Message });
        assert_eq!(error.protocol_error_code(), INVALID_SEQUENCE);
    }
    input.open(&mut frames[2].clone()).unwrap();
}

#[test]
fn a_forged_nonce_does_not_count() {
    let [(mut out, _), (_, mut input)] = traffic();
    let mut frame = sealed(&mut out, false, false, b"body");
    let mut forged = frame.clone();
    forged[8..16].copy_from_slice(&[0xff; 8]);
    assert_eq!(input.open(&mut forged), Err(CurveError::Box { command: MechanismCommand::Message }));
    input.open(&mut frame).unwrap();
}

#[test]
fn a_frame_does_not_open_in_the_direction_it_came_from() {
    let [(mut out, mut own), _] = traffic();
    let error = own.open(&mut sealed(&mut out, false, false, b"body")).unwrap_err();
    assert_eq!(error.protocol_error_code(), CRYPTOGRAPHIC);
}

#[test]
fn every_changed_byte_of_a_frame_is_noticed() {
    let [(mut out, _), (_, mut input)] = traffic();
    let frame = sealed(&mut out, true, false, b"some body");
    for at in 0..frame.len() {
        for bit in 0..8 {
            let mut changed = frame.clone();
            changed[at] ^= 1 << bit;
            let error = input.open(&mut changed).unwrap_err();
            match at {
                0 => assert!(matches!(error, CurveError::NotAMessage | CurveError::NotACommand)),
                1..8 => assert_eq!(error, CurveError::NotAMessage),
                8..16 => assert!(matches!(error, CurveError::Box { .. } | CurveError::Sequence { .. })),
                _ => assert_eq!(error, CurveError::Box { command: MechanismCommand::Message }),
            }
        }
    }
    input.open(&mut frame.clone()).unwrap();
}

/// CVE-2019-13132 was a length that nobody compared.
#[test]
fn frames_cut_anywhere_are_refused_with_libzmqs_numbers() {
    let [(mut out, _), (_, mut input)] = traffic();
    let frame = sealed(&mut out, false, false, b"some body");
    for len in 0..frame.len() {
        let error = input.open(&mut frame[..len].to_vec()).unwrap_err();
        let expected = match len {
            0..8 => MALFORMED,
            8..33 => MALFORMED_MESSAGE,
            _ => CRYPTOGRAPHIC,
        };
        assert_eq!(error.protocol_error_code(), expected, "{len} bytes");
    }
    for (bytes, expected) in [
        (&b"\x04PING\0\0"[..], UNEXPECTED_COMMAND),
        (b"\x07message................................", UNEXPECTED_COMMAND),
        (b"\0\0", UNEXPECTED_COMMAND),
        (b"\xff plain", MALFORMED),
    ] {
        assert_eq!(input.open(&mut bytes.to_vec()).unwrap_err().protocol_error_code(), expected);
    }
}

#[test]
fn hello_of_every_other_length_is_refused() {
    let stand = at_hello();
    for len in (0..400).filter(|len| *len != 200) {
        let mut server = Server::new(keys().1, Vec::new(), Zap::Never);
        let mut hello = stand.command.clone();
        hello.resize(len, 0);
        let expected = match len {
            0..6 => MALFORMED,
            _ => MALFORMED_HELLO,
        };
        assert_eq!(code(server.process(&hello, &mut Vec::new())), expected, "{len} bytes");
    }
}

#[test]
fn every_changed_byte_of_hello_is_noticed_but_for_the_padding() {
    let (client, server) = keys();
    let stand = at_hello_with(client, server.clone());
    for at in 0..200 {
        let mut hello = stand.command.clone();
        hello[at] ^= 0x11;
        let result = Server::new(server.clone(), Vec::new(), Zap::Never).process(&hello, &mut Vec::new());
        match at {
            0 => assert!([MALFORMED, UNEXPECTED_COMMAND].contains(&code(result))),
            1..6 => assert_eq!(code(result), UNEXPECTED_COMMAND),
            6..8 => assert_eq!(code(result), MALFORMED_HELLO),
            8..80 => assert!(result.is_ok()),
            _ => assert_eq!(code(result), CRYPTOGRAPHIC, "byte {at}"),
        }
    }
}

#[test]
fn welcome_of_every_other_length_is_refused() {
    for len in (0..400).filter(|len| *len != 168) {
        let Stand { mut client, command: mut welcome, .. } = at_welcome();
        welcome.resize(len, 0);
        let expected = if len < 8 { MALFORMED } else { CRYPTOGRAPHIC };
        assert_eq!(code(client.process(&welcome, &mut Vec::new())), expected, "{len} bytes");
    }
}

#[test]
fn every_changed_byte_of_welcome_is_noticed() {
    for at in 0..168 {
        let Stand { mut client, command: mut welcome, .. } = at_welcome();
        welcome[at] ^= 0x11;
        let code = code(client.process(&welcome, &mut Vec::new()));
        match at {
            0 => assert!([MALFORMED, UNEXPECTED_COMMAND].contains(&code)),
            1..8 => assert_eq!(code, UNEXPECTED_COMMAND),
            _ => assert_eq!(code, CRYPTOGRAPHIC, "byte {at}"),
        }
    }
}

#[test]
fn initiate_cut_anywhere_is_refused() {
    let Stand { mut server, command: initiate, .. } = at_initiate();
    for len in 0..initiate.len() {
        let expected = match len {
            0..9 => MALFORMED,
            9..257 => MALFORMED_INITIATE,
            _ => CRYPTOGRAPHIC,
        };
        // The server's state is that of before: nothing came of it.
        assert_eq!(code(server.process(&initiate[..len], &mut Vec::new())), expected, "{len} bytes");
    }
    assert!(matches!(server.process(&initiate, &mut Vec::new()), Ok(Step::AwaitZap(_))));
}

#[test]
fn every_changed_byte_of_initiate_is_noticed() {
    let Stand { mut server, command: initiate, .. } = at_initiate();
    for at in 0..initiate.len() {
        let mut changed = initiate.clone();
        changed[at] ^= 0x11;
        let code = code(server.process(&changed, &mut Vec::new()));
        match at {
            0 => assert!([MALFORMED, UNEXPECTED_COMMAND].contains(&code)),
            1..9 => assert_eq!(code, UNEXPECTED_COMMAND),
            105..113 => assert!([CRYPTOGRAPHIC, INVALID_SEQUENCE].contains(&code)),
            _ => assert_eq!(code, CRYPTOGRAPHIC, "byte {at}"),
        }
    }
}

#[test]
fn the_cookie_of_another_connection_is_refused() {
    let (client, server) = keys();
    let mut stands = [(); 2].map(|()| {
        let Stand { mut client, mut server, command } = at_hello_with(client.clone(), server.clone());
        let mut out = Vec::new();
        server.process(&command, &mut out).unwrap();
        let welcome = body(&out);
        out.clear();
        client.process(&welcome, &mut out).unwrap();
        Stand { client, server, command: body(&out) }
    });
    let [first, second] = &mut stands;
    assert_eq!(code(second.server.process(&first.command, &mut Vec::new())), CRYPTOGRAPHIC);
    let mut mixed = second.command.clone();
    mixed[9..105].copy_from_slice(&first.command[9..105]);
    assert_eq!(code(second.server.process(&mixed, &mut Vec::new())), CRYPTOGRAPHIC);
}

#[test]
fn ready_cut_anywhere_or_changed_is_refused() {
    let len = at_ready().command.len();
    for cut in 0..len {
        let Stand { mut client, command: ready, .. } = at_ready();
        let expected = match cut {
            0..6 => MALFORMED,
            6..30 => MALFORMED_READY,
            _ => CRYPTOGRAPHIC,
        };
        assert_eq!(code(client.process(&ready[..cut], &mut Vec::new())), expected, "{cut} bytes");
    }
    for at in 6..len {
        let Stand { mut client, command: mut ready, .. } = at_ready();
        ready[at] ^= 0x11;
        assert_eq!(code(client.process(&ready, &mut Vec::new())), CRYPTOGRAPHIC, "byte {at}");
    }
}

#[test]
fn keys_that_do_not_match_are_refused() {
    let other = secret();
    let zero = PublicKey([0; KEY_LEN]);

    // A wrong key for the server: it cannot open the HELLO.
    let (mut client, server) = keys();
    client.server = other.public_key();
    let mut stand = at_hello_with(client, server);
    assert_eq!(code(stand.server.process(&stand.command, &mut Vec::new())), CRYPTOGRAPHIC);

    // Zero for the server: there is no HELLO.
    let (mut client, _) = keys();
    client.server = zero;
    let error = Client::new(client, Vec::new()).unwrap_err();
    assert_eq!((error, error.protocol_error_code()), (CurveError::ServerKey, CRYPTOGRAPHIC));
    assert!(error.is_ours());

    // Zero for the connection's key in HELLO.
    let mut stand = at_hello();
    stand.command[80..112].fill(0);
    assert_eq!(code(stand.server.process(&stand.command, &mut Vec::new())), CRYPTOGRAPHIC);

    // A client whose two long-term keys do not belong together, one of them zero or not.
    let wrong: [fn(&mut ClientKeys, &SecretKey); 4] = [
        |keys, other| keys.public = other.public_key(),
        |keys, other| keys.secret = other.clone(),
        |keys, _| keys.public = PublicKey([0; KEY_LEN]),
        |keys, _| keys.secret = SecretKey::new([0; KEY_LEN]),
    ];
    for change in wrong {
        let (mut client, server) = keys();
        change(&mut client, &other);
        let Stand { mut client, mut server, command } = at_hello_with(client, server);
        let mut out = Vec::new();
        server.process(&command, &mut out).unwrap();
        let welcome = body(&out);
        out.clear();
        client.process(&welcome, &mut out).unwrap();
        assert_eq!(code(server.process(&body(&out), &mut Vec::new())), CRYPTOGRAPHIC);
    }
}

#[test]
fn a_vouch_for_another_server_is_refused() {
    let (client, server) = keys();
    let Stand { mut client, mut server, command } = at_hello_with(client, server);
    let mut out = Vec::new();
    server.process(&command, &mut out).unwrap();
    let welcome = body(&out);
    out.clear();
    // All else was agreed on with the right key.
    client.vouch_for(secret().public_key());
    client.process(&welcome, &mut out).unwrap();
    assert_eq!(code(server.process(&body(&out), &mut Vec::new())), KEY_EXCHANGE);
}

#[test]
fn the_nonce_of_initiate_grows() {
    for count in [0u64, 1] {
        let Stand { mut server, command: mut initiate, .. } = at_initiate();
        initiate[105..113].copy_from_slice(&count.to_be_bytes());
        assert_eq!(code(server.process(&initiate, &mut Vec::new())), INVALID_SEQUENCE);
    }
}

#[test]
fn the_box_of_hello_holds_zeros() {
    let (client, server) = keys();
    let short_term = secret();
    let key = BoxKey::agree(&client.server, &short_term).unwrap();
    let template = at_hello().command;
    let with = |content: [u8; 64]| {
        let mut hello = template[..120].to_vec();
        hello[80..112].copy_from_slice(&short_term.public_key().0);
        key.seal(&counted(HELLO_NONCE, 1), &[&content], &mut hello);
        Server::new(server.clone(), Vec::new(), Zap::Never).process(&hello, &mut Vec::new())
    };
    assert_eq!(with([0; 64]), Ok(Step::Continue));
    for at in 0..64 {
        let mut content = [0; 64];
        content[at] = 1;
        assert_eq!(code(with(content)), CRYPTOGRAPHIC);
    }
}

#[test]
fn a_server_with_a_short_term_key_of_low_order_is_refused() {
    let (own, client) = (secret(), secret());
    let keys = ClientKeys { server: own.public_key(), public: client.public_key(), secret: client };
    let Stand { mut client, command: hello, .. } = at_hello_with(keys, ServerKeys::new(own.clone()));
    let mut theirs = PublicKey([0; KEY_LEN]);
    theirs.0.copy_from_slice(&hello[80..112]);
    let key = BoxKey::agree(&theirs, &own).unwrap();
    let nonce = [7; 16];
    let mut welcome = [&b"\x07WELCOME"[..], &nonce].concat();
    key.seal(&drawn(WELCOME_NONCE, &nonce), &[&[0; KEY_LEN], &[0; 96]], &mut welcome);
    assert_eq!(code(client.process(&welcome, &mut Vec::new())), CRYPTOGRAPHIC);
}

#[test]
fn commands_have_their_place() {
    let expected = UNEXPECTED_COMMAND;
    let (hello, initiate) = (at_hello().command, at_initiate().command);
    let (welcome, ready) = (at_welcome().command, at_ready().command);
    let out = &mut Vec::new();

    // To a server: INITIATE first, HELLO twice, anything once the client has said all it has to say.
    assert_eq!(code(at_hello().server.process(&initiate, out)), expected);
    assert_eq!(code(at_welcome().server.process(&hello, out)), expected);
    let mut stand = at_initiate();
    stand.server.process(&stand.command, out).unwrap();
    assert_eq!(code(stand.server.process(&stand.command, out)), expected);
    assert_eq!(code(at_hello().server.process(&welcome, out)), expected);

    // To a client: READY first, WELCOME twice, a server's part.
    assert_eq!(code(at_hello().client.process(&ready, out)), expected);
    let mut stand = at_initiate();
    assert_eq!(code(stand.client.process(&welcome, out)), expected);
    assert_eq!(code(at_hello().client.process(&hello, out)), expected);
    assert_eq!(code(at_hello().client.process(b"\x04NULL", out)), expected);
}

#[test]
fn the_version_of_hello_has_to_be_1_0() {
    for (major, minor) in [(0, 0), (1, 1), (2, 0), (255, 255)] {
        let mut stand = at_hello();
        stand.command[6..8].copy_from_slice(&[major, minor]);
        let error = stand.server.process(&stand.command, &mut Vec::new()).unwrap_err();
        assert_eq!(error, HandshakeError::Curve(CurveError::Version { major, minor }));
        assert_eq!(error.protocol_error_code(), MALFORMED_HELLO);
    }
}

#[test]
fn an_error_command_gives_its_reason() {
    for mut client in [at_welcome().client, at_ready().client] {
        let error = client.process(b"\x05ERROR\x03400", &mut Vec::new()).unwrap_err();
        assert_eq!(error, HandshakeError::PeerError(b"400".to_vec()));
        assert_eq!(error.auth_status(), Some(400));
    }
}

#[test]
fn secrets_are_not_printed() {
    let (keys, server) = keys();
    let bytes = format!("{:?}", keys.secret.as_bytes());
    let stand = at_hello_with(keys.clone(), server.clone());
    for text in [format!("{keys:?}"), format!("{server:?}"), format!("{:?}{:?}", stand.client, stand.server)]
    {
        assert!(!text.contains(&bytes));
    }
    assert_eq!(format!("{:?}", keys.secret), "SecretKey(..)");
}

/// The keys of `zmq_curve`(7).
#[test]
fn keys_have_the_text_of_z85() {
    let text = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";
    let secret = SecretKey::from_z85(text).unwrap();
    assert_eq!(secret.to_z85(), text);
    let public = secret.public_key();
    assert_eq!(public.to_z85(), "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7");
    assert_eq!(PublicKey::from_z85(public.to_z85()), Some(public));
    for bad in ["", &text[1..], &format!("{text}0"), &text.replace('J', " "), &"#".repeat(40)] {
        assert_eq!((PublicKey::from_z85(bad), SecretKey::from_z85(bad)), (None, None), "{bad}");
    }
}
