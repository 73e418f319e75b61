//! PLAIN and ZAP in the handshake, against byte transcripts of 24/PLAIN and 27/ZAP.

mod common;

use common::{command, config, cut_everywhere, greeting, ready, run};
use zlink_zmtp::handshake::{FailureKind, MechanismCommand};
use zlink_zmtp::zap::{ZapError, ZapStatus};
use zlink_zmtp::{
    Handshake, HandshakeConfig, HandshakeError, PlainCredentials, Security, SocketType, Stage, Zap, ZapReply,
    ZapRequest,
};

const HELLO: &[u8] = b"\x04\x15\x05HELLO\x05admin\x08password";
const WELCOME: &[u8] = b"\x04\x08\x07WELCOME";
const ERROR_400: &[u8] = b"\x04\x0a\x05ERROR\x03400";

fn server() -> HandshakeConfig {
    HandshakeConfig { security: Security::PlainServer, ..config(SocketType::Rep) }
}

fn client() -> HandshakeConfig {
    let credentials =
        PlainCredentials { username: b"admin".to_vec().into(), password: b"password".to_vec().into() };
    HandshakeConfig { security: Security::PlainClient(credentials), ..config(SocketType::Req) }
}

fn null(zap: Zap) -> HandshakeConfig {
    HandshakeConfig { zap, ..config(SocketType::Rep) }
}

fn initiate(properties: &[(&str, &[u8])]) -> Vec<u8> {
    let ready = ready(properties);
    command(&[b"\x08INITIATE", &ready[2 + 6..]].concat())
}

fn req_initiate() -> Vec<u8> {
    initiate(&[("Socket-Type", b"REQ")])
}

fn as_server(mut greeting: Vec<u8>) -> Vec<u8> {
    greeting[32] = 1;
    greeting
}

fn reply(status: ZapStatus) -> ZapReply {
    ZapReply { status, user_id: b"joe".to_vec(), metadata: vec![("X-a".to_owned(), b"b".to_vec())] }
}

/// What a peer's bytes, and the handler's answer to the question after each round of them, lead to.
#[derive(Debug, PartialEq)]
struct Conversation {
    result: Result<bool, HandshakeError>,
    left: Vec<u8>,
    output: Vec<u8>,
    asked: Option<ZapRequest>,
    properties: Vec<(String, Vec<u8>)>,
    stage: Stage,
}

/// Each round is fed in chunks of `chunk` bytes, or cut in two at `cut`.
fn converse(config: &HandshakeConfig, rounds: &[&[u8]], answer: &Answer, pieces: Pieces) -> Conversation {
    let mut handshake = Handshake::new(config.clone());
    let (mut result, mut left, mut asked) = (Ok(()), Vec::new(), None);
    let mut output = Vec::new();
    'rounds: for round in rounds {
        for piece in pieces.of(round) {
            left.extend_from_slice(piece);
            match handshake.input(&left) {
                Ok(n) => drop(left.drain(..n)),
                Err(error) => {
                    result = Err(error);
                    break 'rounds;
                }
            }
        }
        if let Some(request) = handshake.zap_request() {
            assert!(handshake.zap_request().is_none(), "it is asked once");
            assert!(handshake.peer().is_none(), "nothing is delivered before the verdict");
            assert!(asked.replace(request).is_none(), "one question");
            result = match answer {
                Answer::Reply(reply) => handshake.zap_reply(reply.clone()),
                Answer::NoHandler => handshake.zap_unavailable(),
                Answer::Never => Ok(()),
            };
            if result.is_err() {
                break;
            }
            match handshake.input(&left) {
                Ok(n) => drop(left.drain(..n)),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        output.extend_from_slice(handshake.output());
        handshake.advance_output(handshake.output().len());
    }
    output.extend_from_slice(handshake.output());
    if let Err(error) = &result {
        left.clear();
        assert_eq!(handshake.input(b"x"), Err(error.clone()), "an error is final");
        assert!(handshake.zap_request().is_none());
        assert_eq!(handshake.zap_reply(reply(ZapStatus::Success)), Ok(()), "nothing was asked");
        assert_eq!(handshake.input(b"x"), Err(error.clone()), "an error is final");
    }
    let peer = handshake.peer();
    Conversation {
        result: result.map(|()| peer.is_some()),
        properties: peer.map(|peer| peer.zap_properties.clone()).unwrap_or_default(),
        left,
        output,
        asked,
        stage: handshake.stage(),
    }
}

#[derive(Debug, Clone)]
enum Answer {
    Reply(ZapReply),
    NoHandler,
    Never,
}

#[derive(Debug, Clone, Copy)]
enum Pieces {
    Whole,
    Bytes,
    Cut(usize),
}

impl Pieces {
    fn of(self, round: &[u8]) -> Vec<&[u8]> {
        match self {
            Pieces::Whole => vec![round],
            Pieces::Bytes => round.chunks(1).collect(),
            Pieces::Cut(at) => {
                let (front, back) = round.split_at(at.min(round.len()));
                vec![front, back]
            }
        }
    }
}

/// The one outcome however the rounds are cut.
fn converse_cut(config: &HandshakeConfig, rounds: &[&[u8]], answer: &Answer) -> Conversation {
    let whole = converse(config, rounds, answer, Pieces::Whole);
    let longest = rounds.iter().map(|round| round.len()).max().unwrap_or_default();
    let cuts = (0..longest).map(Pieces::Cut);
    for pieces in [Pieces::Bytes].into_iter().chain(cuts) {
        assert_eq!(converse(config, rounds, answer, pieces), whole, "{pieces:?}");
    }
    whole
}

fn welcome() -> Answer {
    Answer::Reply(reply(ZapStatus::Success))
}

// --- PLAIN ---

#[test]
fn plain_client_says_hello_initiates_and_is_ready() {
    let rounds: [&[u8]; 3] = [&greeting(3, 1, b"PLAIN"), WELCOME, &ready(&[("Socket-Type", b"REP")])];
    let done = converse_cut(&client(), &rounds, &Answer::Never);
    assert_eq!(done.result, Ok(true));
    assert_eq!(done.asked, None);
    let initiate = initiate(&[("Socket-Type", b"REQ"), ("Identity", b"")]);
    assert_eq!(done.output[10..64], greeting(3, 1, b"PLAIN")[10..]);
    assert_eq!(done.output[64..], [HELLO, &initiate].concat());
    // A server that says all at once is as good.
    let outcome = cut_everywhere(&client(), &rounds.concat());
    assert_eq!(outcome.output[64..], [HELLO, &initiate].concat());
    outcome.peer();
}

#[test]
fn plain_server_asks_welcomes_and_is_ready() {
    for handler in [Zap::Never, Zap::IfPresent, Zap::Required] {
        let server = HandshakeConfig { zap: handler, ..server() };
        let rounds: [&[u8]; 3] =
            [&greeting(3, 1, b"PLAIN"), HELLO, &[&req_initiate()[..], b"\0\x01x"].concat()];
        let done = converse_cut(&server, &rounds, &welcome());
        assert_eq!(done.result, Ok(true));
        let credentials = vec![b"admin".to_vec(), b"password".to_vec()];
        assert_eq!(done.asked, Some(ZapRequest { mechanism: "PLAIN", credentials }));
        assert_eq!(done.output[10..64], as_server(greeting(3, 1, b"PLAIN"))[10..]);
        assert_eq!(done.output[64..], [WELCOME, &ready(&[("Socket-Type", b"REP")])].concat());
        assert_eq!(done.left, b"\0\x01x", "the first traffic is left");
        let expected = [("User-Id", "joe"), ("X-a", "b")];
        assert_eq!(done.properties, expected.map(|(n, v)| (n.to_owned(), v.as_bytes().to_vec())));
    }
}

#[test]
fn our_client_and_server_agree_for_every_length_of_credentials() {
    for len in [0, 1, 100, 237, 238, 239, 240, 241, 254, 255] {
        for (username, password) in [(len, 0), (0, len), (len, len)] {
            let (username, password) = (vec![b'u'; username], vec![0xff; password]);
            let credentials =
                PlainCredentials { username: username.clone().into(), password: password.clone().into() };
            let config =
                HandshakeConfig { security: Security::PlainClient(credentials), ..config(SocketType::Req) };
            let (mut client, mut server) = (Handshake::new(config), Handshake::new(server()));
            let mut asked = None;
            while !client.output().is_empty() || !server.output().is_empty() {
                for (from, to) in [(0, 1), (1, 0)] {
                    let ends = [&mut client, &mut server];
                    let bytes = ends[from].output().to_vec();
                    ends[from].advance_output(bytes.len());
                    assert_eq!(ends[to].input(&bytes), Ok(bytes.len()));
                }
                if let Some(request) = server.zap_request() {
                    server.zap_reply(reply(ZapStatus::Success)).unwrap();
                    asked = Some(request);
                }
            }
            assert!(client.peer().is_some() && server.peer().is_some());
            assert_eq!(asked.unwrap().credentials, [username, password]);
        }
    }
}

#[test]
fn credentials_that_cannot_be_sent_fail_at_the_first_input() {
    let long = || PlainCredentials { username: vec![0; 256].into(), ..PlainCredentials::default() };
    let config = HandshakeConfig { security: Security::PlainClient(long()), ..config(SocketType::Req) };
    let mut handshake = Handshake::new(config);
    assert!(handshake.output().is_empty());
    let error = HandshakeError::LocalCredentialTooLong { len: 256 };
    assert_eq!(handshake.input(b"\xff"), Err(error.clone()));
    assert_eq!(error.kind(), FailureKind::Configuration);
}

#[test]
fn credentials_are_not_shown() {
    let shown = format!("{:?} {:?}", client(), Handshake::new(client()));
    assert!(!shown.contains("password\""), "{shown}");
    assert!(!shown.contains("112, 97, 115, 115"), "{shown}");
}

#[test]
fn refusal_is_told_to_the_client_with_the_status_unless_it_is_temporary() {
    for (status, code, told) in [
        (ZapStatus::TemporaryError, 300, &b""[..]),
        (ZapStatus::AuthenticationFailure, 400, ERROR_400),
        (ZapStatus::InternalError, 500, b"\x04\x0a\x05ERROR\x03500"),
    ] {
        let hello = [&greeting(3, 1, b"PLAIN"), HELLO].concat();
        let refused = converse_cut(&server(), &[&hello], &Answer::Reply(reply(status)));
        let error = HandshakeError::Denied { status };
        assert_eq!(refused.result, Err(error.clone()));
        assert_eq!((error.kind(), error.auth_status()), (FailureKind::Denied, Some(code)));
        assert_eq!(refused.output[64..], *told);
        // NULL does the same, before READY.
        let refused = converse_cut(
            &null(Zap::Required),
            &[&[greeting(3, 1, b"NULL"), ready(&[("Socket-Type", b"REQ")])].concat()],
            &Answer::Reply(reply(status)),
        );
        assert_eq!(refused.result, Err(error));
        assert_eq!(refused.output[64..], *told);
    }
    for after in [&b""[..], WELCOME] {
        let outcome = cut_everywhere(&client(), &[&greeting(3, 1, b"PLAIN"), after, ERROR_400].concat());
        assert_eq!(*outcome.error(), HandshakeError::PeerError(b"400".to_vec()));
        assert_eq!(outcome.error().auth_status(), Some(400));
    }
}

#[test]
fn error_of_libzmqs_plain_servers_is_understood() {
    for after in [&b""[..], WELCOME] {
        let refusal = command(b"^RROR\x03400");
        let outcome = cut_everywhere(&client(), &[&greeting(3, 1, b"PLAIN"), after, &refusal].concat());
        assert_eq!(*outcome.error(), HandshakeError::PeerError(b"400".to_vec()));
        for cut in [b"^RROR\x0340".to_vec(), b"^RROR".to_vec()] {
            let outcome =
                cut_everywhere(&client(), &[&greeting(3, 1, b"PLAIN"), after, &command(&cut)].concat());
            assert_eq!(outcome.error().protocol_error_code(), 0x1000_0015);
        }
    }
}

#[test]
fn plain_without_a_handler_refuses_everybody() {
    let hello = [&greeting(3, 1, b"PLAIN"), HELLO].concat();
    for handler in [Zap::Never, Zap::IfPresent, Zap::Required] {
        let server = HandshakeConfig { zap: handler, ..server() };
        let refused = converse_cut(&server, &[&hello], &Answer::NoHandler);
        assert_eq!(refused.result, Err(HandshakeError::NoZapHandler));
        assert_eq!(refused.output.len(), 64);
    }
}

#[test]
fn client_that_goes_on_before_the_verdict_is_refused() {
    for early in [&req_initiate()[..], &ready(&[("Socket-Type", b"REQ")]), HELLO, b"\0\x05hello", b"\x04"] {
        let bytes = [&greeting(3, 1, b"PLAIN"), HELLO, early].concat();
        let refused = converse_cut(&server(), &[&bytes], &welcome());
        assert_eq!(refused.result, Err(HandshakeError::EarlyInput));
        assert_eq!(HandshakeError::EarlyInput.protocol_error_code(), 0x1000_0000);
        assert_eq!((refused.asked, refused.output.len()), (None, 64));
        // Neither does the verdict help that comes after it was asked for.
        let mut handshake = Handshake::new(server());
        handshake.input(&[&greeting(3, 1, b"PLAIN"), HELLO].concat()).unwrap();
        assert!(handshake.zap_request().is_some() && handshake.wants_input());
        assert_eq!(handshake.input(early), Err(HandshakeError::EarlyInput));
        assert_eq!(handshake.zap_reply(reply(ZapStatus::Success)), Ok(()));
        assert!(handshake.peer().is_none() && handshake.output().len() == 64);
    }
}

#[test]
fn verdict_that_does_not_come_admits_nobody() {
    let hello = [&greeting(3, 1, b"PLAIN"), HELLO].concat();
    let waiting = converse_cut(&server(), &[&hello], &Answer::Never);
    assert_eq!((waiting.result, waiting.output.len(), waiting.stage), (Ok(false), 64, Stage::Mechanism));
}

#[test]
fn commands_out_of_place_are_unexpected_on_both_sides() {
    let unexpected = |bytes: &[u8]| {
        let name = bytes[3..3 + usize::from(bytes[2])].to_vec();
        HandshakeError::UnexpectedCommand { name }
    };
    let initiate = req_initiate();
    let ready = ready(&[("Socket-Type", b"REQ")]);
    for wrong in [&initiate[..], &ready, WELCOME, ERROR_400, b"\x04\x05\x04PING", b"\x04\x06\x05hello"] {
        let refused = converse_cut(&server(), &[&greeting(3, 1, b"PLAIN"), wrong], &welcome());
        assert_eq!(refused.result, Err(unexpected(wrong)), "for HELLO");
        assert_eq!((refused.asked, refused.output.len()), (None, 64));
    }
    for wrong in [HELLO, &ready, WELCOME, ERROR_400] {
        let refused = converse_cut(&server(), &[&greeting(3, 1, b"PLAIN"), HELLO, wrong], &welcome());
        assert_eq!(refused.result, Err(unexpected(wrong)), "for INITIATE");
    }
    for wrong in [HELLO, &initiate, &ready] {
        let outcome = cut_everywhere(&client(), &[&greeting(3, 1, b"PLAIN"), wrong].concat());
        assert_eq!(*outcome.error(), unexpected(wrong), "for WELCOME");
        assert_eq!(outcome.error().protocol_error_code(), 0x1000_0001);
    }
    for wrong in [HELLO, &initiate, WELCOME] {
        let outcome = cut_everywhere(&client(), &[&greeting(3, 1, b"PLAIN"), WELCOME, wrong].concat());
        assert_eq!(*outcome.error(), unexpected(wrong), "for READY");
    }
    for ours in [server(), client()] {
        let outcome = cut_everywhere(&ours, &[&greeting(3, 1, b"PLAIN")[..], b"\0\x01x"].concat());
        assert_eq!(*outcome.error(), HandshakeError::MessageBeforeReady);
    }
}

#[test]
fn hello_of_every_length_but_the_right_one_is_malformed() {
    let malformed = HandshakeError::MalformedMechanismCommand(MechanismCommand::Hello);
    assert_eq!(malformed.protocol_error_code(), 0x1000_0013);
    let body = &HELLO[2..];
    let longer = [body, b"x"].concat();
    for len in (6..longer.len() + 1).filter(|len| *len != body.len()) {
        let bytes = [greeting(3, 1, b"PLAIN"), command(&longer[..len])].concat();
        let refused = converse_cut(&server(), &[&bytes], &welcome());
        assert_eq!(refused.result, Err(malformed.clone()), "{len} bytes");
        assert_eq!(refused.asked, None);
    }
    for lengths in [[0xff, 8], [5, 0xff], [5, 7], [5, 9], [6, 8]] {
        let mut body = body.to_vec();
        (body[6], body[12]) = (lengths[0], lengths[1]);
        let bytes = [greeting(3, 1, b"PLAIN"), command(&body)].concat();
        assert_eq!(*cut_everywhere(&server(), &bytes).error(), malformed);
    }
}

#[test]
fn welcome_with_anything_in_it_is_malformed() {
    let bytes = [greeting(3, 1, b"PLAIN"), command(b"\x07WELCOMEx")].concat();
    let outcome = cut_everywhere(&client(), &bytes);
    assert_eq!(*outcome.error(), HandshakeError::MalformedMechanismCommand(MechanismCommand::Welcome));
    assert_eq!(outcome.error().protocol_error_code(), 0x1000_0017);
}

#[test]
fn metadata_of_initiate_and_ready_is_judged() {
    for metadata in [&b""[..], b"\x0b", b"\x0bSocket-Type\0\0\0\x03PUB", b"\x0bSocket-Type\0\0\0\x04PU"] {
        let initiate = command(&[b"\x08INITIATE", metadata].concat());
        let refused = converse_cut(&server(), &[&greeting(3, 1, b"PLAIN"), HELLO, &initiate], &welcome());
        assert_eq!(refused.result.unwrap_err().protocol_error_code(), 0x1000_0018);
        let ready = command(&[b"\x05READY", metadata].concat());
        let outcome = cut_everywhere(&client(), &[&greeting(3, 1, b"PLAIN"), WELCOME, &ready].concat());
        assert_eq!(outcome.error().protocol_error_code(), 0x1000_0018);
    }
}

#[test]
fn commands_without_a_name_are_malformed() {
    for (body, code) in [(&b""[..], 0x1000_0011), (b"\0", 0x1000_0011), (b"\x06HELLO", 0x1000_0011)] {
        for ours in [server(), client()] {
            let outcome = cut_everywhere(&ours, &[greeting(3, 1, b"PLAIN"), command(body)].concat());
            assert_eq!(outcome.error().protocol_error_code(), code);
        }
    }
}

// --- mechanism, role and version ---

#[test]
fn other_mechanisms_and_another_server_are_refused() {
    for ours in [server(), client()] {
        for mechanism in [&b"NULL"[..], b"CURVE", b"PLAINX", b"plain", b""] {
            let outcome = cut_everywhere(&ours, &greeting(3, 1, mechanism));
            assert_eq!(outcome.error().kind(), FailureKind::MechanismMismatch);
            assert_eq!(outcome.output.len(), 64);
        }
    }
    let outcome = cut_everywhere(&server(), &as_server(greeting(3, 1, b"PLAIN")));
    assert_eq!(*outcome.error(), HandshakeError::RoleMismatch);
    // libzmq's servers do not say that they are.
    for greeting in [greeting(3, 1, b"PLAIN"), as_server(greeting(3, 1, b"PLAIN"))] {
        assert!(cut_everywhere(&client(), &greeting).is_waiting());
    }
}

#[test]
fn peers_that_know_no_security_are_refused_where_it_is_wanted() {
    let credentials = client();
    for ours in [server(), credentials, null(Zap::IfPresent), null(Zap::Required)] {
        for (bytes, version) in [
            (&b"\x01\0\x08\0sneaky\0"[..], (1, 0)),
            (b"\xff\0\0\0\0\0\0\0\x01\0", (1, 0)),
            (b"\xff\0\0\0\0\0\0\0\x01\x7f\0\x04\0\0", (1, 0)),
            (b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x04\0\0", (2, 0)),
            (b"\xff\0\0\0\0\0\0\0\x01\x7f\x02\x04\0\0", (2, 0)),
        ] {
            let outcome = cut_everywhere(&ours, bytes);
            assert_eq!(*outcome.error(), HandshakeError::InsecureVersion { version });
            // Nothing of ours but what every peer is told.
            assert!(outcome.output.len() <= 11);
        }
    }
}

// --- ZAP for NULL ---

#[test]
fn null_is_ready_only_once_the_handler_says_so() {
    let peer = ready(&[("Socket-Type", b"REQ")]);
    let ours = ready(&[("Socket-Type", b"REP")]);
    for handler in [Zap::IfPresent, Zap::Required] {
        // READY before the verdict, with traffic behind it, and after it.
        let early: [&[u8]; 1] = [&[&greeting(3, 1, b"NULL"), &peer[..], b"\0\x01x"].concat()];
        let late: [&[u8]; 2] = [&greeting(3, 1, b"NULL"), &[&peer[..], b"\0\x01x"].concat()];
        for rounds in [&early[..], &late] {
            let done = converse_cut(&null(handler), rounds, &welcome());
            assert_eq!(done.result, Ok(true));
            assert_eq!(done.asked, Some(ZapRequest { mechanism: "NULL", credentials: vec![] }));
            assert_eq!(done.output[64..], ours);
            assert_eq!(done.properties[0], ("User-Id".to_owned(), b"joe".to_vec()));
            assert_eq!(done.left, b"\0\x01x");
            let waiting = converse_cut(&null(handler), rounds, &Answer::Never);
            assert_eq!((waiting.result, waiting.output.len()), (Ok(false), 64));
            assert_eq!(waiting.left, b"\0\x01x", "traffic before the verdict is left alone");
        }
        // The verdict in the middle of the peer's READY.
        for cut in 0..peer.len() {
            let front = [&greeting(3, 1, b"NULL"), &peer[..cut]].concat();
            let done = converse(&null(handler), &[&front, &peer[cut..]], &welcome(), Pieces::Whole);
            assert_eq!((done.result, &done.output[64..]), (Ok(true), &ours[..]), "cut at {cut}");
            assert_eq!(done.properties.len(), 2);
        }
    }
}

#[test]
fn null_without_a_handler_goes_on_unless_one_is_required() {
    let bytes = [greeting(3, 1, b"NULL"), ready(&[("Socket-Type", b"REQ")])].concat();
    let done = converse_cut(&null(Zap::IfPresent), &[&bytes], &Answer::NoHandler);
    assert_eq!((done.result, done.properties.len()), (Ok(true), 0));
    let refused = converse_cut(&null(Zap::Required), &[&bytes], &Answer::NoHandler);
    assert_eq!(refused.result, Err(HandshakeError::NoZapHandler));
    assert_eq!(refused.output.len(), 64);
    let done = converse_cut(&null(Zap::Never), &[&bytes], &Answer::Never);
    assert_eq!((done.result, done.asked), (Ok(true), None));
}

#[test]
fn input_is_not_wanted_once_only_the_verdict_is_missing() {
    let mut handshake = Handshake::new(null(Zap::Required));
    let bytes = [greeting(3, 1, b"NULL"), ready(&[("Socket-Type", b"REQ")])].concat();
    assert!(handshake.wants_input());
    assert_eq!(handshake.input(&bytes), Ok(bytes.len()));
    assert!(!handshake.wants_input());
    assert_eq!(handshake.input(b"\0\x01x"), Ok(0));
    assert!(handshake.zap_request().is_some());
    assert_eq!(handshake.input(b"\0\x01x"), Ok(0));
    handshake.zap_reply(reply(ZapStatus::Success)).unwrap();
    assert!(handshake.peer().is_some());
}

#[test]
fn peers_mistakes_count_while_the_verdict_is_awaited() {
    for bad in [ready(&[]), command(b"\x05OTHER"), b"\0\x01x".to_vec(), ERROR_400.to_vec()] {
        let bytes = [greeting(3, 1, b"NULL"), bad].concat();
        let outcome = run(&null(Zap::Required), [&bytes[..]]);
        outcome.error();
        assert_eq!(outcome.output.len(), 64);
    }
}

#[test]
fn unasked_verdicts_have_no_effect() {
    let mut handshake = Handshake::new(server());
    handshake.input(&greeting(3, 1, b"PLAIN")).unwrap();
    assert_eq!(handshake.zap_reply(reply(ZapStatus::Success)), Ok(()));
    assert_eq!(handshake.zap_unavailable(), Ok(()));
    handshake.input(HELLO).unwrap();
    // The question is there, but was not taken.
    assert_eq!(handshake.zap_reply(reply(ZapStatus::Success)), Ok(()));
    assert!(handshake.zap_request().is_some());
    assert_eq!(handshake.output().len(), 64);
}

#[test]
fn malformed_reply_is_an_error_of_zap() {
    let error = HandshakeError::from(ZapError::Version);
    assert_eq!((error.kind(), error.protocol_error_code()), (FailureKind::Zap, 0x2000_0003));
}
