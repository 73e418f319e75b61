//! The HTTP upgrade that a WebSocket connection begins with, from either side.
//!
//! The client's request offers subprotocols in its order of preference, the server's response chooses one.
//! They name the security mechanism, so that no ZMTP greeting is needed. As in libzmq, the server looks
//! neither at the path nor at the host; a client asks for them as its endpoint has them.
//!
//! Sources: RFC 6455, section 4; 45/ZWS, "Handshake".

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use httparse::{EMPTY_HEADER, Header, Status};
use sha1::{Digest, Sha1};

/// The longest request or response accepted, in bytes.
pub const MAX_HEAD_LEN: usize = 8 * 1024;

/// The most header lines accepted.
const MAX_HEADERS: usize = 64;

/// RFC 6455, section 1.3.
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const VERSION: &str = "13";
/// Bytes of a decoded `Sec-WebSocket-Key`.
const KEY_LEN: usize = 16;

const BARE: &str = "ZWS2.0";

/// What to offer, or to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subprotocols {
    /// The mechanism's name: `NULL`, `PLAIN`, `CURVE`.
    pub mechanism: Cow<'static, str>,
    /// Whether `ZWS2.0` without a mechanism will do: no metadata then, only routing ids. For NULL, and only
    /// where nobody has to authenticate.
    pub bare: bool,
}

/// The subprotocol that both sides speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Agreed {
    /// `ZWS2.0/` and the mechanism: its commands come next.
    Mechanism,
    /// `ZWS2.0`: each side's first message is its routing id.
    Bare,
}

impl Subprotocols {
    fn offer(&self) -> String {
        let bare = if self.bare { format!(",{BARE}") } else { String::new() };
        format!("{BARE}/{}{bare}", self.mechanism)
    }

    /// What `name` means, if it is among these.
    fn find(&self, name: &str) -> Option<Agreed> {
        match name.strip_prefix(BARE)? {
            "" => self.bare.then_some(Agreed::Bare),
            rest => (rest.strip_prefix('/')? == self.mechanism).then_some(Agreed::Mechanism),
        }
    }

    fn name(&self, agreed: Agreed) -> String {
        match agreed {
            Agreed::Mechanism => format!("{BARE}/{}", self.mechanism),
            Agreed::Bare => BARE.to_owned(),
        }
    }
}

/// One side of an upgrade.
#[derive(Debug)]
pub struct Upgrade {
    subprotocols: Subprotocols,
    /// What the server's `Sec-WebSocket-Accept` must be; `None` if we are the server.
    accept: Option<String>,
    /// What has arrived of the peer's head.
    head: Vec<u8>,
}

impl Upgrade {
    /// The client's side; its request is appended to `out`.
    ///
    /// `host` and `path` go into the request as they are: neither may have spaces or control characters.
    /// `nonce` keeps proxies from answering out of a cache; it must differ each time.
    pub fn client(
        host: &str,
        path: &str,
        nonce: [u8; KEY_LEN],
        subprotocols: Subprotocols,
        out: &mut Vec<u8>,
    ) -> Self {
        let key = STANDARD.encode(nonce);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {}\r\n\
             Sec-WebSocket-Version: {VERSION}\r\n\r\n",
            subprotocols.offer()
        );
        out.extend_from_slice(request.as_bytes());
        Self { subprotocols, accept: Some(accept_of(&key)), head: Vec::new() }
    }

    /// The server's side.
    pub fn server(subprotocols: Subprotocols) -> Self {
        Self { subprotocols, accept: None, head: Vec::new() }
    }

    /// Whether we are the client, and mask what we send.
    pub fn is_client(&self) -> bool {
        self.accept.is_some()
    }

    /// Takes bytes received and returns how many belong to the upgrade, and what was agreed on once it is
    /// complete. What there is to answer, even to a peer that is refused, is appended to `out`.
    ///
    /// # Errors
    ///
    /// Why the upgrade failed. It is over then.
    pub fn input(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(usize, Option<Agreed>), UpgradeError> {
        let before = self.head.len();
        let room = MAX_HEAD_LEN - before;
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let judged = match &self.accept {
            Some(accept) => judge_response(&self.head, accept, &self.subprotocols),
            None => judge_request(&self.head, &self.subprotocols, out),
        };
        match judged {
            Ok(Some((len, agreed))) => {
                self.head = Vec::new();
                // Were the end of the head in what came before, the upgrade would be complete already.
                Ok((len - before, Some(agreed)))
            }
            Ok(None) if bytes.len() >= room => self.refuse(UpgradeError::TooLong, out),
            Ok(None) => Ok((bytes.len(), None)),
            Err(error) => self.refuse(error, out),
        }
    }

    fn refuse<T>(&self, error: UpgradeError, out: &mut Vec<u8>) -> Result<T, UpgradeError> {
        if self.accept.is_none() {
            let status = match error {
                UpgradeError::Version => {
                    "426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
                }
                _ => "400 Bad Request",
            };
            let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            out.extend_from_slice(answer.as_bytes());
        }
        Err(error)
    }
}

/// The request's length and what it leads to, once it is complete; the answer is appended to `out`.
fn judge_request(
    head: &[u8],
    subprotocols: &Subprotocols,
    out: &mut Vec<u8>,
) -> Result<Option<(usize, Agreed)>, UpgradeError> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(head);
    // Judged before the rest has come, and the same if the rest, having come, is wrong as well.
    if request.method.is_some_and(|method| method != "GET") {
        return Err(UpgradeError::Method);
    }
    if request.version.is_some_and(|version| version != 1) {
        return Err(UpgradeError::HttpVersion);
    }
    let Status::Complete(len) = parsed? else { return Ok(None) };
    let headers = &*request.headers;
    check_upgrade(headers)?;
    if single(headers, "Sec-WebSocket-Version")?.is_none_or(|version| version != VERSION) {
        return Err(UpgradeError::Version);
    }
    let key = single(headers, "Sec-WebSocket-Key")?.ok_or(UpgradeError::Key)?;
    if !STANDARD.decode(key).is_ok_and(|key| key.len() == KEY_LEN) {
        return Err(UpgradeError::Key);
    }
    // In the client's order of preference.
    let agreed = items(headers, "Sec-WebSocket-Protocol")
        .find_map(|name| subprotocols.find(name))
        .ok_or(UpgradeError::Subprotocol)?;
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
        accept_of(key),
        subprotocols.name(agreed)
    );
    out.extend_from_slice(response.as_bytes());
    Ok(Some((len, agreed)))
}

/// The response's length and what it means, once it is complete.
fn judge_response(
    head: &[u8],
    accept: &str,
    subprotocols: &Subprotocols,
) -> Result<Option<(usize, Agreed)>, UpgradeError> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(head);
    if response.version.is_some_and(|version| version != 1) {
        return Err(UpgradeError::HttpVersion);
    }
    if let Some(code) = response.code
        && code != 101
    {
        return Err(UpgradeError::Status { code });
    }
    let Status::Complete(len) = parsed? else { return Ok(None) };
    let headers = &*response.headers;
    check_upgrade(headers)?;
    if single(headers, "Sec-WebSocket-Accept")? != Some(accept) {
        return Err(UpgradeError::Accept);
    }
    // None was offered.
    if items(headers, "Sec-WebSocket-Extensions").next().is_some() {
        return Err(UpgradeError::Extension);
    }
    let agreed = single(headers, "Sec-WebSocket-Protocol")?.and_then(|name| subprotocols.find(name));
    Ok(Some((len, agreed.ok_or(UpgradeError::Subprotocol)?)))
}

/// What both sides must say to change to WebSocket.
fn check_upgrade(headers: &[Header<'_>]) -> Result<(), UpgradeError> {
    let says = |name: &str, what: &str| items(headers, name).any(|item| item.eq_ignore_ascii_case(what));
    if says("Upgrade", "websocket") && says("Connection", "upgrade") {
        Ok(())
    } else {
        Err(UpgradeError::NoUpgrade)
    }
}

/// The items of a list, which may be spread over several header lines. What is not text is no item.
fn items<'a>(headers: &'a [Header<'_>], name: &'a str) -> impl Iterator<Item = &'a str> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .filter_map(|header| std::str::from_utf8(header.value).ok())
        .flat_map(|value| value.split(','))
        .map(str::trim_ascii)
        .filter(|item| !item.is_empty())
}

/// The value of a header that may be there once at most.
fn single<'a>(headers: &'a [Header<'_>], name: &'static str) -> Result<Option<&'a str>, UpgradeError> {
    let mut found = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    let value = found.next().map(|header| header.value);
    if found.next().is_some() {
        return Err(UpgradeError::Repeated { name });
    }
    match value.map(std::str::from_utf8) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value.trim_ascii())),
        Some(Err(_)) => Err(UpgradeError::Malformed(httparse::Error::HeaderValue)),
    }
}

/// The `Sec-WebSocket-Accept` that answers this `Sec-WebSocket-Key`.
fn accept_of(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(ACCEPT_SUFFIX).finalize())
}

/// Why an upgrade failed. Always the peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpgradeError {
    /// Not HTTP, or with more header lines than are accepted.
    Malformed(httparse::Error),
    /// Longer than [`MAX_HEAD_LEN`].
    TooLong,
    /// Another version than HTTP/1.1.
    HttpVersion,
    /// The request is no GET.
    Method,
    /// The server's answer is not to change protocols.
    Status {
        /// The status code, which would be 101.
        code: u16,
    },
    /// `Upgrade` or `Connection` are missing or say something else.
    NoUpgrade,
    /// `Sec-WebSocket-Version` is missing or not 13.
    Version,
    /// `Sec-WebSocket-Key` is missing or not 16 bytes in Base64.
    Key,
    /// `Sec-WebSocket-Accept` is missing or does not answer our key.
    Accept,
    /// The server uses an extension, though none was offered.
    Extension,
    /// No subprotocol that both sides speak.
    Subprotocol,
    /// A header that may be there once is there again.
    Repeated {
        /// The header's name.
        name: &'static str,
    },
}

impl From<httparse::Error> for UpgradeError {
    fn from(error: httparse::Error) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "peer does not speak HTTP: {error}"),
            Self::TooLong => write!(f, "HTTP head exceeds the limit of {MAX_HEAD_LEN} bytes"),
            Self::HttpVersion => f.write_str("peer does not speak HTTP/1.1"),
            Self::Method => f.write_str("HTTP request is no GET"),
            Self::Status { code } => write!(f, "server answers with status {code}, not 101"),
            Self::NoUpgrade => f.write_str("peer does not upgrade to WebSocket"),
            Self::Version => f.write_str("client does not speak version 13 of WebSocket"),
            Self::Key => f.write_str("client's Sec-WebSocket-Key is missing or invalid"),
            Self::Accept => f.write_str("server's Sec-WebSocket-Accept does not answer our key"),
            Self::Extension => f.write_str("server uses a WebSocket extension that was not offered"),
            Self::Subprotocol => f.write_str("peer speaks ZWS with another mechanism, or does not at all"),
            Self::Repeated { name } => write!(f, "peer repeats {name}"),
        }
    }
}

impl std::error::Error for UpgradeError {}

#[cfg(test)]
mod tests;
