use super::*;

const NULL: Subprotocols = Subprotocols { mechanism: Cow::Borrowed("NULL"), bare: true };
const PLAIN: Subprotocols = Subprotocols { mechanism: Cow::Borrowed("PLAIN"), bare: false };

/// As RFC 6455, section 1.3, has it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn request(protocols: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: {protocols}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

fn response(protocol: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
    )
}

fn client(subprotocols: Subprotocols) -> Upgrade {
    Upgrade::client("h", "/", *b"the sample nonce", subprotocols, &mut Vec::new())
}

/// What the server makes of a request, and its answer.
fn serve(request: &str) -> (Result<(usize, Option<Agreed>), UpgradeError>, String) {
    let mut out = Vec::new();
    let result = Upgrade::server(NULL).input(request.as_bytes(), &mut out);
    (result, String::from_utf8(out).expect("text"))
}

/// What the client makes of a response.
fn ask(response: &str) -> Result<(usize, Option<Agreed>), UpgradeError> {
    let mut out = Vec::new();
    let result = client(NULL).input(response.as_bytes(), &mut out);
    assert!(out.is_empty(), "a client has nothing to answer");
    result
}

#[test]
fn the_request_is_libzmqs() {
    let mut out = Vec::new();
    let upgrade = Upgrade::client("example.com:80", "/a/b?c", *b"the sample nonce", NULL, &mut out);
    assert!(upgrade.is_client());
    let expected = format!(
        "GET /a/b?c HTTP/1.1\r\nHost: example.com:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: ZWS2.0/NULL,ZWS2.0\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    );
    assert_eq!(String::from_utf8(out).expect("text"), expected);
    out = Vec::new();
    Upgrade::client("h", "/", [0; 16], PLAIN, &mut out);
    assert!(String::from_utf8(out).expect("text").contains("Protocol: ZWS2.0/PLAIN\r\n"));
}

#[test]
fn the_response_answers_the_key_and_names_what_was_agreed_on() {
    let request = request("ZWS2.0/NULL,ZWS2.0");
    let (result, answer) = serve(&request);
    assert_eq!(result, Ok((request.len(), Some(Agreed::Mechanism))));
    assert_eq!(answer, response("ZWS2.0/NULL"));
    assert_eq!(ask(&answer), Ok((answer.len(), Some(Agreed::Mechanism))));
}

#[test]
fn the_client_s_order_decides() {
    for (offer, expected) in [
        ("ZWS2.0", Some(Agreed::Bare)),
        ("ZWS2.0,ZWS2.0/NULL", Some(Agreed::Bare)),
        ("chat , ZWS2.0/NULL", Some(Agreed::Mechanism)),
        ("ZWS2.0/PLAIN,ZWS2.0/NULL", Some(Agreed::Mechanism)),
        ("chat\r\nSec-WebSocket-Protocol: ZWS2.0", Some(Agreed::Bare)),
        ("ZWS2.0/PLAIN", None),
        ("ZWS2.0/", None),
        ("ZWS2.0/NULLX", None),
        ("zws2.0/null", None),
        ("ZWS1.0", None),
        ("", None),
    ] {
        let (result, answer) = serve(&request(offer));
        match expected {
            Some(_) => assert_eq!(result.map(|(_, agreed)| agreed), Ok(expected), "{offer}"),
            None => {
                assert_eq!(result, Err(UpgradeError::Subprotocol), "{offer}");
                assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
            }
        }
    }
}

#[test]
fn bare_zws_is_refused_where_it_will_not_do() {
    let mut server = Upgrade::server(Subprotocols { bare: false, ..NULL });
    let result = server.input(request("ZWS2.0").as_bytes(), &mut Vec::new());
    assert_eq!(result, Err(UpgradeError::Subprotocol));
    let result = client(PLAIN).input(response("ZWS2.0").as_bytes(), &mut Vec::new());
    assert_eq!(result, Err(UpgradeError::Subprotocol));
}

#[test]
fn every_cut_gives_the_same_and_leaves_what_comes_behind() {
    let behind = b"\x82\x07\x02\x05READY";
    for (server, head) in [(true, request("ZWS2.0")), (false, response("ZWS2.0"))] {
        let bytes = [head.as_bytes(), behind].concat();
        for cut in 0..head.len() {
            let mut out = Vec::new();
            let mut upgrade = if server { Upgrade::server(NULL) } else { client(NULL) };
            assert_eq!(upgrade.input(&bytes[..cut], &mut out), Ok((cut, None)), "{cut}");
            assert_eq!(
                upgrade.input(&bytes[cut..], &mut out),
                Ok((head.len() - cut, Some(Agreed::Bare))),
                "{cut}"
            );
            assert_eq!(out.is_empty(), !server);
        }
        let mut upgrade = if server { Upgrade::server(NULL) } else { client(NULL) };
        for byte in &head.as_bytes()[..head.len() - 1] {
            assert_eq!(upgrade.input(&[*byte], &mut Vec::new()), Ok((1, None)));
        }
        assert_eq!(upgrade.input(b"\n", &mut Vec::new()), Ok((1, Some(Agreed::Bare))));
    }
}

#[test]
fn a_request_without_what_it_needs_is_refused_with_an_answer() {
    let good = request("ZWS2.0");
    for (from, to, error) in [
        ("GET ", "PUT ", UpgradeError::Method),
        ("HTTP/1.1", "HTTP/1.0", UpgradeError::HttpVersion),
        ("Upgrade: websocket", "Upgrade: h2c", UpgradeError::NoUpgrade),
        ("Upgrade: websocket\r\n", "", UpgradeError::NoUpgrade),
        ("Connection: Upgrade", "Connection: close", UpgradeError::NoUpgrade),
        ("Version: 13", "Version: 8", UpgradeError::Version),
        ("Sec-WebSocket-Version: 13\r\n", "", UpgradeError::Version),
        (KEY, "", UpgradeError::Key),
        (KEY, "dGhlIHNhbXBsZSBub25jZQ", UpgradeError::Key),
        (KEY, "dGhlIHNhbXBsZSBub25jZWQ=", UpgradeError::Key),
        (KEY, "not base64 at all!!!!!!!", UpgradeError::Key),
        ("Sec-WebSocket-Key", "X", UpgradeError::Key),
        (
            "Host: server.example.com",
            "Sec-WebSocket-Key: x",
            UpgradeError::Repeated { name: "Sec-WebSocket-Key" },
        ),
        (KEY, "\u{fffd}", UpgradeError::Key),
    ] {
        let (result, answer) = serve(&good.replace(from, to));
        assert_eq!(result, Err(error), "{from} -> {to}");
        let status = if error == UpgradeError::Version { "426" } else { "400" };
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"));
    }
}

#[test]
fn a_response_that_is_not_the_answer_is_refused() {
    let good = response("ZWS2.0/NULL");
    for (from, to, error) in [
        ("101 Switching Protocols", "200 OK", UpgradeError::Status { code: 200 }),
        ("101 Switching Protocols", "404 Not Found", UpgradeError::Status { code: 404 }),
        ("HTTP/1.1", "HTTP/1.0", UpgradeError::HttpVersion),
        ("Upgrade: websocket", "Upgrade: h2c", UpgradeError::NoUpgrade),
        ("Connection: Upgrade\r\n", "", UpgradeError::NoUpgrade),
        (ACCEPT, "s3pPLMBiTxaQ9kYGzzhZRbK+xOO=", UpgradeError::Accept),
        ("Sec-WebSocket-Accept", "X", UpgradeError::Accept),
        ("ZWS2.0/NULL", "ZWS2.0/CURVE", UpgradeError::Subprotocol),
        ("ZWS2.0/NULL", "ZWS2.0/NULL,ZWS2.0", UpgradeError::Subprotocol),
        ("Sec-WebSocket-Protocol", "X", UpgradeError::Subprotocol),
        ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", UpgradeError::Extension),
    ] {
        assert_eq!(ask(&good.replace(from, to)), Err(error), "{from} -> {to}");
    }
}

#[test]
fn what_is_not_http_is_refused_at_its_first_bytes() {
    // A ZMTP peer, a TLS client, and a shell.
    for bytes in [&b"\xff\0\0\0\0\0\0\0\x01\x7f"[..], b"\x16\x03\x01\x02\0", b"hello\n"] {
        let mut out = Vec::new();
        assert!(Upgrade::server(NULL).input(bytes, &mut out).is_err());
        assert!(client(NULL).input(bytes, &mut Vec::new()).is_err());
    }
}

#[test]
fn a_head_without_end_is_refused_at_the_limit() {
    for (server, start) in [(true, "GET / HTTP/1.1\r\nX: "), (false, "HTTP/1.1 101 X\r\nX: ")] {
        let mut upgrade = if server { Upgrade::server(NULL) } else { client(NULL) };
        let mut sent = start.len();
        upgrade.input(start.as_bytes(), &mut Vec::new()).expect("a good start");
        let error = loop {
            match upgrade.input(&[b'x'; 100], &mut Vec::new()) {
                Ok(_) => sent += 100,
                Err(error) => break error,
            }
        };
        assert_eq!(error, UpgradeError::TooLong);
        assert!(sent < MAX_HEAD_LEN && upgrade.head.len() <= MAX_HEAD_LEN);
    }
    let lines = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS + 1));
    assert_eq!(serve(&lines).0, Err(UpgradeError::Malformed(httparse::Error::TooManyHeaders)));
}

#[test]
fn any_byte_anywhere_gives_an_answer_or_an_error() {
    let good = request("ZWS2.0/NULL,ZWS2.0").into_bytes();
    let answer = response("ZWS2.0").into_bytes();
    for value in [0, b'\r', b'\n', b' ', b',', b':', 0x7f, 0x80, 0xff] {
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] = value;
            let mut out = Vec::new();
            match Upgrade::server(NULL).input(&bytes, &mut out) {
                Ok((n, None)) => assert_eq!(n, bytes.len()),
                Ok((n, Some(_))) => assert!(n <= bytes.len() && out.starts_with(b"HTTP/1.1 101 ")),
                Err(_) => assert!(out.starts_with(b"HTTP/1.1 4")),
            }
        }
        for at in 0..answer.len() {
            let mut bytes = answer.clone();
            bytes[at] = value;
            if let Ok((n, _)) = client(NULL).input(&bytes, &mut Vec::new()) {
                assert!(n <= bytes.len());
            }
        }
    }
}
