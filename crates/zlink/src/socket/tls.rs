//! TLS for `wss` endpoints, from the socket's options.

use crate::error::{Error, Result};
use crate::option::SocketOptions;
use crate::transport::{Endpoint, TlsError, TlsOptions, TlsRole};

/// The role in TLS that binding or connecting to `endpoint` needs, if it is a `wss` one.
///
/// # Errors
///
/// [`Error::Tls`] if the options do not make one.
pub(super) fn tls_role(endpoint: &Endpoint, options: &SocketOptions, bind: bool) -> Result<Option<TlsRole>> {
    let secure = matches!(endpoint, Endpoint::Tcp(tcp) if tcp.web().is_some_and(|web| web.is_secure()));
    if !secure {
        return Ok(None);
    }
    let options = TlsOptions {
        key: options.wss_key.clone(),
        certificate: options.wss_certificate.clone(),
        trust: options.wss_trust.clone(),
        trust_system: options.wss_trust_system,
        hostname: String::from_utf8_lossy(&options.wss_hostname).into_owned(),
    };
    let role = if bind { TlsRole::server(&options) } else { TlsRole::client(&options) };
    role.map(Some).map_err(|error: TlsError| Error::Tls { reason: error.to_string() })
}
