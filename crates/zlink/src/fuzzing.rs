//! What is private, for the fuzz targets in `fuzz/`.

pub use crate::engine::fuzzing::{Decoded, decode, encode_over_a_break};
pub use crate::pattern::fuzzing::{Prefixes, Topics};
use crate::transport::{Endpoint, EndpointError, parse_peer, peer_text};

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
