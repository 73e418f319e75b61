//! What a `ws` or `wss` endpoint names beyond a TCP address.

/// The path and the host that an HTTP request asks for, and whether TLS lies beneath.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WebAddress {
    secure: bool,
    host: String,
    path: String,
}

impl WebAddress {
    /// `authority` is the part before the path, host and port; `path` begins with a slash.
    pub(super) fn parse(authority: &str, path: &str, secure: bool) -> Result<WebAddress, &'static str> {
        // It becomes part of a line of HTTP.
        if !path.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("the path has characters other than printable ASCII");
        }
        let (host, port) = authority.rsplit_once(':').ok_or("no port")?;
        // A zone means nothing to the peer (RFC 6874).
        let host = match host.split_once('%') {
            Some((host, _)) if host.starts_with('[') => format!("{host}]"),
            Some((host, _)) => host.to_owned(),
            None => host.to_owned(),
        };
        let default = if secure { "443" } else { "80" };
        let host = if port == default { host } else { format!("{host}:{port}") };
        Ok(WebAddress { secure, host, path: path.to_owned() })
    }

    /// What `name`, a `tcp` endpoint, is called if it belongs to a `ws` or `wss` one.
    pub(crate) fn name(web: Option<&WebAddress>, name: String) -> String {
        match (web, name.strip_prefix("tcp:")) {
            (Some(web), Some(address)) => format!("{}:{address}{}", web.scheme(), web.path),
            _ => name,
        }
    }

    /// `ws` or `wss`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.secure { "wss" } else { "ws" }
    }

    /// Whether TLS lies beneath.
    #[cfg(feature = "wss")]
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// The `Host` to ask for: with the port, unless it is the scheme's own.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The path to ask for, with its slash.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}
