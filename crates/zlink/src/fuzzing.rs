//! What is private, for the fuzz targets in `fuzz/`.

pub use crate::engine::fuzzing::{Decoded, Form, decode, decode_sealed, encode_over_a_break};
pub use crate::pattern::fuzzing::{Prefixes, Topics};
use crate::transport::{Endpoint, EndpointError, Negotiation, Proxy, parse_peer, peer_text};

/// Parses an endpoint and returns it as it is displayed, and whether it is an in-process one.
///
/// # Errors
///
/// What is wrong with it.
pub fn endpoint(text: &str, bind: bool) -> Result<(String, bool), EndpointError> {
    let endpoint = if bind { Endpoint::for_bind(text) } else { Endpoint::for_connect(text) }?;
    if let Endpoint::Tcp(tcp) = &endpoint {
        // Both answer for any endpoint that was accepted.
        let _ = (tcp.source_addr(true).is_ok(), tcp.canonical(false));
    }
    Ok((endpoint.to_string(), matches!(endpoint, Endpoint::Inproc(_))))
}

/// Reads the address that a DGRAM socket is to send to, and writes it as one that a message came from.
pub fn peer_address(text: &[u8]) -> Option<String> {
    parse_peer(text).map(|peer| peer_text(&peer))
}

/// Asks a proxy for a connection, where `answers` is all that it ever says, read `step` bytes at a time. Returns what the
/// client said, the bytes of `answers` that it read, and whether the connection stands.
pub fn through_proxy(
    named: bool,
    answers: &[u8],
    step: usize,
) -> (Vec<u8>, usize, Result<bool, Box<dyn std::error::Error>>) {
    let proxy = Proxy::new("127.0.0.1:1080", if named { b"name" } else { b"" }, b"password");
    let (Ok(proxy), Ok(Endpoint::Tcp(peer))) = (proxy, Endpoint::for_connect("tcp://peer:5555")) else {
        return (Vec::new(), 0, Ok(false));
    };
    let (mut said, mut at, mut stands) = (Vec::new(), 0, false);
    let mut negotiation = match Negotiation::new(&proxy, &peer) {
        Ok(negotiation) => negotiation,
        Err(error) => return (said, at, Err(error.into())),
    };
    loop {
        said.extend_from_slice(negotiation.output());
        negotiation.advance_output(negotiation.output().len());
        let now = negotiation.wanted().min(step).min(answers.len() - at);
        if now == 0 {
            return (said, at, Ok(stands));
        }
        at += now;
        match negotiation.input(&answers[at - now..at]) {
            Ok(it) => stands = it,
            Err(error) => return (said, at, Err(error.into())),
        }
    }
}
