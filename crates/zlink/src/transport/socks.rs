//! The client's side of SOCKS 5: what is said to a proxy before a TCP connection through it stands.
//!
//! ```text
//! client                                   proxy
//!   5, methods                  ─►
//!                               ◄─   5, method          0: none, 2: a name and a password
//!   1, name, password           ─►                      with method 2
//!                               ◄─   1, status          0: accepted
//!   5, CONNECT, 0, address      ─►
//!                               ◄─   5, reply, 0, address   0: connected; from here on the peer is at the other end
//! ```
//!
//! Bytes are arguments and results; the session moves them. Never more is asked for than the proxy's answer has: what
//! follows it is the peer's.
//!
//! Sources: RFC 1928; RFC 1929 for the name and the password.

use std::fmt;
use std::net::IpAddr;

use rustix::io::Errno;

use super::endpoint::{Endpoint, Host, TcpEndpoint};
use super::error::EndpointError;

const VERSION: u8 = 5;
/// Version of the exchange of name and password.
const AUTH_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const NO_AUTHENTICATION: u8 = 0;
const NAME_AND_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xFF;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
/// Bytes of a reply up to the first of its address.
const REPLY_HEAD: usize = 5;

/// A proxy, and who the socket is to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proxy {
    endpoint: TcpEndpoint,
    /// A name and a password of at most 255 bytes each.
    credentials: Option<(Vec<u8>, Vec<u8>)>,
}

impl Proxy {
    /// The proxy at `address`: a host and a port. Without a name it is asked for no authentication.
    pub(crate) fn new(address: &str, name: &[u8], password: &[u8]) -> Result<Proxy, EndpointError> {
        let uri = format!("tcp://{address}");
        let Endpoint::Tcp(endpoint) = Endpoint::for_connect(&uri)? else {
            return Err(EndpointError::Malformed { endpoint: uri, reason: "no address of a proxy" });
        };
        let credentials = (!name.is_empty()).then(|| (name.to_vec(), password.to_vec()));
        Ok(Proxy { endpoint, credentials })
    }

    /// Where it is.
    pub(crate) fn endpoint(&self) -> &TcpEndpoint {
        &self.endpoint
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Method,
    Authentication,
    Reply,
    Connected,
}

/// The exchange on one connection to a proxy.
#[derive(Debug)]
pub(crate) struct Negotiation {
    stage: Stage,
    /// What is to be said, and how much of it was.
    output: Vec<u8>,
    said: usize,
    /// The answer as far as it has come.
    answer: Vec<u8>,
    /// To be said later.
    credentials: Option<Vec<u8>>,
    request: Vec<u8>,
}

impl Negotiation {
    /// Begins the exchange that asks `proxy` for a connection to `peer`, whose name the proxy looks up.
    ///
    /// # Errors
    ///
    /// [`SocksError::LongName`] if the host's name does not fit in.
    pub(crate) fn new(proxy: &Proxy, peer: &TcpEndpoint) -> Result<Negotiation, SocksError> {
        let mut request = vec![VERSION, CONNECT, 0];
        match &peer.address.host {
            Host::Ip(IpAddr::V4(ip)) => {
                request.push(IPV4);
                request.extend_from_slice(&ip.octets());
            }
            Host::Ip(IpAddr::V6(ip)) => {
                request.push(IPV6);
                request.extend_from_slice(&ip.octets());
            }
            Host::Name(name) => {
                let length = u8::try_from(name.len()).map_err(|_| SocksError::LongName)?;
                request.extend_from_slice(&[NAME, length]);
                request.extend_from_slice(name.as_bytes());
            }
            // Nothing to connect to has it.
            Host::Any => return Err(SocksError::LongName),
        }
        request.extend_from_slice(&peer.address.port.to_be_bytes());
        let credentials = match &proxy.credentials {
            None => None,
            Some((name, password)) => {
                let length = |bytes: &[u8]| u8::try_from(bytes.len()).map_err(|_| SocksError::LongName);
                let mut credentials = vec![AUTH_VERSION, length(name)?];
                credentials.extend_from_slice(name);
                credentials.push(length(password)?);
                credentials.extend_from_slice(password);
                Some(credentials)
            }
        };
        let method = if credentials.is_some() { NAME_AND_PASSWORD } else { NO_AUTHENTICATION };
        let output = vec![VERSION, 1, method];
        Ok(Negotiation { stage: Stage::Method, output, said: 0, answer: Vec::new(), credentials, request })
    }

    /// What is to be said now.
    pub(crate) fn output(&self) -> &[u8] {
        &self.output[self.said..]
    }

    /// The first `bytes` of [`output`](Self::output) were said.
    pub(crate) fn advance_output(&mut self, bytes: usize) {
        self.said += bytes;
    }

    /// Bytes of the proxy's answer that are still to come, as far as is known: no more may be read. 0 once the
    /// connection stands.
    pub(crate) fn wanted(&self) -> usize {
        let whole = match self.stage {
            Stage::Method | Stage::Authentication => 2,
            Stage::Reply => match *self.answer {
                // An address of any kind has one byte at least.
                [_, _, _, kind, first, ..] => 4 + address_length(kind, first) + 2,
                _ => REPLY_HEAD,
            },
            Stage::Connected => 0,
        };
        whole.saturating_sub(self.answer.len())
    }

    /// Takes in bytes that were read, at most [`wanted`](Self::wanted). Returns whether the connection stands.
    ///
    /// # Errors
    ///
    /// [`SocksError`] if the proxy refuses or does not speak SOCKS 5.
    pub(crate) fn input(&mut self, bytes: &[u8]) -> Result<bool, SocksError> {
        debug_assert!(bytes.len() <= self.wanted(), "what is read beyond the answer is lost to the peer");
        self.answer.extend_from_slice(bytes);
        self.check()?;
        if self.wanted() > 0 {
            return Ok(false);
        }
        let say = match (self.stage, self.answer.get(1)) {
            (Stage::Method, Some(&NAME_AND_PASSWORD)) => {
                self.stage = Stage::Authentication;
                self.credentials.take().unwrap_or_default()
            }
            (Stage::Method | Stage::Authentication, _) => {
                self.stage = Stage::Reply;
                std::mem::take(&mut self.request)
            }
            (Stage::Reply | Stage::Connected, _) => {
                self.stage = Stage::Connected;
                Vec::new()
            }
        };
        (self.output, self.said) = (say, 0);
        self.answer.clear();
        Ok(self.stage == Stage::Connected)
    }

    /// Looks at each byte of the answer as soon as it is there.
    fn check(&self) -> Result<(), SocksError> {
        let version = if self.stage == Stage::Authentication { AUTH_VERSION } else { VERSION };
        if let Some(&other) = self.answer.first().filter(|&&it| it != version) {
            return Err(SocksError::Version(other));
        }
        let Some(&second) = self.answer.get(1) else { return Ok(()) };
        match self.stage {
            Stage::Method => match second {
                NO_AUTHENTICATION => {}
                NAME_AND_PASSWORD if self.credentials.is_some() => {}
                NO_METHOD => return Err(SocksError::NoMethod),
                other => return Err(SocksError::Method(other)),
            },
            Stage::Authentication if second != 0 => return Err(SocksError::Denied),
            Stage::Reply if second != 0 => return Err(SocksError::Refused(second)),
            Stage::Authentication | Stage::Reply | Stage::Connected => {}
        }
        match self.answer.get(3) {
            Some(&kind) if self.stage == Stage::Reply && ![IPV4, NAME, IPV6].contains(&kind) => {
                Err(SocksError::Address(kind))
            }
            _ => Ok(()),
        }
    }
}

/// Bytes of an address of that kind, whose first byte is `first`.
fn address_length(kind: u8, first: u8) -> usize {
    match kind {
        IPV4 => 4,
        IPV6 => 16,
        _ => 1 + usize::from(first),
    }
}

/// Why there is no connection through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocksError {
    /// The host's name, or one's own, has more than 255 bytes.
    LongName,
    /// The proxy speaks another version.
    Version(u8),
    /// The proxy wants another way of authentication than it was offered.
    NoMethod,
    /// The proxy chose a way of authentication that it was not offered.
    Method(u8),
    /// The proxy did not accept the name and the password.
    Denied,
    /// The proxy could not, or would not, connect.
    Refused(u8),
    /// The proxy answered with an address of an unknown kind.
    Address(u8),
}

impl SocksError {
    /// The error number that monitors are told.
    pub(crate) fn errno(self) -> Errno {
        match self {
            SocksError::LongName => Errno::NAMETOOLONG,
            SocksError::Version(_) | SocksError::Method(_) | SocksError::Address(_) => Errno::PROTO,
            SocksError::NoMethod | SocksError::Denied => Errno::ACCESS,
            // RFC 1928, section 6.
            SocksError::Refused(2) => Errno::ACCESS,
            SocksError::Refused(3) => Errno::NETUNREACH,
            SocksError::Refused(4) => Errno::HOSTUNREACH,
            SocksError::Refused(6) => Errno::TIMEDOUT,
            SocksError::Refused(7) => Errno::OPNOTSUPP,
            SocksError::Refused(8) => Errno::AFNOSUPPORT,
            SocksError::Refused(_) => Errno::CONNREFUSED,
        }
    }
}

impl fmt::Display for SocksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocksError::LongName => f.write_str("a name of more than 255 bytes"),
            SocksError::Version(version) => write!(f, "the proxy speaks version {version}"),
            SocksError::NoMethod => f.write_str("the proxy accepts no such authentication"),
            SocksError::Method(method) => {
                write!(f, "the proxy chose method {method}, which it was not offered")
            }
            SocksError::Denied => f.write_str("the proxy does not accept the name and the password"),
            SocksError::Refused(reply) => write!(f, "the proxy does not connect: reply {reply}"),
            SocksError::Address(kind) => write!(f, "the proxy answers with an address of kind {kind}"),
        }
    }
}

impl std::error::Error for SocksError {}
