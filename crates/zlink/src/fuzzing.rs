//! What is private, for the fuzz targets in `fuzz/`.

pub use crate::engine::fuzzing::{Decoded, decode};
pub use crate::pattern::fuzzing::{Prefixes, Topics};
use crate::transport::{Endpoint, EndpointError};

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
