//! Endpoint strings: `transport://address`.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::str::FromStr;
use std::sync::Arc;

use rustix::io::Errno;

use super::connect::Target;
use super::error::EndpointError;
use super::interface;
use super::tipc::TipcEndpoint;
use super::udp::UdpEndpoint;
use super::vsock::VsockEndpoint;
use super::web::WebAddress;

/// The longest `ipc` path or name, in bytes: `sun_path` less the final zero. An abstract name's `@`
/// counts, as the zero byte in its place does in the address.
pub(crate) const MAX_IPC_NAME: usize = 107;

/// A parsed endpoint. Displays as it was given; a `ws` or `wss` one without a path, with the path `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    /// Also `ws` and `wss`.
    Tcp(TcpEndpoint),
    Ipc(IpcEndpoint),
    Tipc(TipcEndpoint),
    Vsock(VsockEndpoint),
    Udp(UdpEndpoint),
    /// The name after `inproc://`.
    Inproc(String),
}

/// The address part of a `tcp`, `ws` or `wss` endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TcpEndpoint {
    text: String,
    pub(super) address: HostPort,
    source: Option<HostPort>,
    web: Option<Arc<WebAddress>>,
}

/// A host and a port; port 0 leaves the choice to the operating system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct HostPort {
    pub(super) host: Host,
    pub(super) zone: Option<Zone>,
    pub(super) port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Host {
    /// `*`
    Any,
    Ip(IpAddr),
    /// A host name, or when binding also an interface's name.
    Name(String),
}

/// The interface a link-local address belongs to (RFC 4007).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Zone {
    Index(u32),
    Name(String),
}

/// The address part of an `ipc` endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IpcEndpoint {
    name: IpcName,
}

/// Where an `ipc` endpoint lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum IpcName {
    /// `*`: a fresh path, chosen when binding.
    Wildcard,
    /// A path in the file system.
    Path(String),
    /// A name in Linux's abstract namespace, without its `@`.
    Abstract(String),
}

/// What the string is for: wildcards and interface names make sense only at one's own end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Bind,
    Connect,
    /// The source address of a connect endpoint.
    Source,
}

impl Endpoint {
    /// Parses an endpoint to bind to.
    pub(crate) fn for_bind(endpoint: &str) -> Result<Endpoint, EndpointError> {
        Endpoint::parse(endpoint, Side::Bind)
    }

    /// Parses an endpoint to connect to.
    pub(crate) fn for_connect(endpoint: &str) -> Result<Endpoint, EndpointError> {
        Endpoint::parse(endpoint, Side::Connect)
    }

    fn parse(endpoint: &str, side: Side) -> Result<Endpoint, EndpointError> {
        let malformed = |reason| EndpointError::Malformed { endpoint: endpoint.to_owned(), reason };
        let (transport, address) = endpoint.split_once("://").ok_or_else(|| malformed("no \"://\""))?;
        if transport.is_empty() {
            return Err(malformed("no transport"));
        }
        if address.is_empty() {
            return Err(malformed("no address"));
        }
        if address.contains('\0') {
            return Err(malformed("a zero byte"));
        }
        match transport {
            "tcp" => TcpEndpoint::parse(address, side).map(Endpoint::Tcp).map_err(malformed),
            "ws" => TcpEndpoint::parse_web(address, false, side).map(Endpoint::Tcp).map_err(malformed),
            "wss" if cfg!(feature = "wss") => {
                TcpEndpoint::parse_web(address, true, side).map(Endpoint::Tcp).map_err(malformed)
            }
            "ipc" => match IpcName::parse(address, side).map_err(malformed)? {
                name if address.len() > MAX_IPC_NAME && name != IpcName::Wildcard => {
                    Err(EndpointError::PathTooLong { length: address.len(), max: MAX_IPC_NAME })
                }
                name => Ok(Endpoint::Ipc(IpcEndpoint { name })),
            },
            "tipc" => TipcEndpoint::parse(address, side).map(Endpoint::Tipc).map_err(malformed),
            "vsock" => VsockEndpoint::parse(address, side).map(Endpoint::Vsock).map_err(malformed),
            "udp" => UdpEndpoint::parse(address, side).map(Endpoint::Udp).map_err(malformed),
            "inproc" => Ok(Endpoint::Inproc(address.to_owned())),
            _ => Err(EndpointError::UnknownTransport { transport: transport.to_owned() }),
        }
    }

    /// What to connect to, if that is no more than an address: not `tcp`, whose names are to be looked up, nor what has no
    /// connections.
    pub(crate) fn target(&self) -> Option<Target> {
        match self {
            Endpoint::Ipc(ipc) => Some(ipc.target()),
            Endpoint::Tipc(tipc) => tipc.target(),
            Endpoint::Vsock(vsock) => Some(vsock.target()),
            Endpoint::Tcp(_) | Endpoint::Udp(_) | Endpoint::Inproc(_) => None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(tcp) => tcp.fmt(f),
            Endpoint::Ipc(ipc) => ipc.fmt(f),
            Endpoint::Tipc(tipc) => tipc.fmt(f),
            Endpoint::Vsock(vsock) => vsock.fmt(f),
            Endpoint::Udp(udp) => udp.fmt(f),
            Endpoint::Inproc(name) => write!(f, "inproc://{name}"),
        }
    }
}

impl fmt::Display for TcpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.text)
    }
}

impl fmt::Display for IpcEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            IpcName::Wildcard => write!(f, "ipc://*"),
            IpcName::Path(path) => write!(f, "ipc://{path}"),
            IpcName::Abstract(name) => write!(f, "ipc://@{name}"),
        }
    }
}

impl TcpEndpoint {
    fn parse(text: &str, side: Side) -> Result<TcpEndpoint, &'static str> {
        let (source, address) = match text.rsplit_once(';') {
            Some(_) if side == Side::Bind => return Err("a source address in a bind endpoint"),
            Some((source, address)) => (Some(HostPort::parse(source, Side::Source)?), address),
            None => (None, text),
        };
        let address = HostPort::parse(address, side)?;
        Ok(TcpEndpoint { text: text.to_owned(), address, source, web: None })
    }

    fn parse_web(text: &str, secure: bool, side: Side) -> Result<TcpEndpoint, &'static str> {
        let (authority, path) = match text.find('/') {
            Some(at) => text.split_at(at),
            None => (text, "/"),
        };
        let web = WebAddress::parse(authority, path, secure)?;
        let address = HostPort::parse(authority, side)?;
        Ok(TcpEndpoint {
            text: format!("{authority}{path}"),
            address,
            source: None,
            web: Some(Arc::new(web)),
        })
    }

    /// What a `ws` or `wss` endpoint has and a `tcp` one has not.
    pub(crate) fn web(&self) -> Option<&Arc<WebAddress>> {
        self.web.as_ref()
    }

    fn scheme(&self) -> &'static str {
        self.web.as_ref().map_or("tcp", |web| web.scheme())
    }

    /// The local address a connection is to come from, if the endpoint names one.
    ///
    /// Looked up at each attempt, since interfaces come and go. Asks only the kernel, so it may run on an
    /// I/O thread.
    ///
    /// # Errors
    ///
    /// `ENODEV` if no interface or address of the family has the name, `EINVAL` for an unknown zone.
    pub(crate) fn source_addr(&self, ipv6: bool) -> io::Result<Option<SocketAddr>> {
        let Some(source) = &self.source else {
            return Ok(None);
        };
        let address = match &source.host {
            Host::Name(name) => {
                interface::address_of(name, ipv6).map(|address| source.at(address)).transpose()?
            }
            _ => source.numeric(ipv6)?,
        };
        address.map(Some).ok_or_else(|| Errno::NODEV.into())
    }

    /// The address, if no lookup is needed to tell.
    pub(crate) fn numeric(&self, ipv6: bool) -> Option<SocketAddr> {
        self.address.numeric(ipv6).ok().flatten()
    }

    /// The form `ZMQ_LAST_ENDPOINT` and monitors give this endpoint once it is bound or resolved, if
    /// no lookup is needed to tell: `tcp://[::ffff:127.0.0.1]:5555` where `ipv6` is on and the string
    /// says `tcp://127.0.0.1:5555`. Whoever disconnects or unbinds may use either.
    pub(crate) fn canonical(&self, ipv6: bool) -> Option<String> {
        let name = super::address::tcp_uri(&self.numeric(ipv6)?);
        Some(WebAddress::name(self.web.as_deref(), name))
    }
}

impl HostPort {
    pub(super) fn parse(text: &str, side: Side) -> Result<HostPort, &'static str> {
        let local = side != Side::Connect;
        // The last colon: an IPv6 address has others before it, with or without brackets.
        let (host, port) = text.rsplit_once(':').ok_or("no port")?;
        let port = match port {
            "*" if local => 0,
            "*" => return Err("a wildcard port to connect to"),
            "0" => 0,
            _ => parse_port(port).ok_or("the port is not a number from 0 to 65535")?,
        };
        let (host, zone) = match without_brackets(host).rsplit_once('%') {
            Some((host, zone)) => (host, Some(Zone::parse(zone)?)),
            None => (without_brackets(host), None),
        };
        let host = Host::parse(host, side)?;
        if zone.is_some() && matches!(host, Host::Any | Host::Ip(IpAddr::V4(_))) {
            return Err("a zone without an IPv6 address");
        }
        Ok(HostPort { host, zone, port })
    }

    /// This host's address if no lookup is needed, in the family asked for: `ipv6` turns an IPv4
    /// address into a mapped one, as one IPv6 socket serves both. `None` for a name, and for an IPv6 address
    /// without `ipv6`.
    pub(super) fn numeric(&self, ipv6: bool) -> io::Result<Option<SocketAddr>> {
        let ip = match (&self.host, ipv6) {
            (Host::Any, false) => Ipv4Addr::UNSPECIFIED.into(),
            (Host::Any, true) => Ipv6Addr::UNSPECIFIED.into(),
            (Host::Ip(IpAddr::V4(v4)), true) => v4.to_ipv6_mapped().into(),
            (Host::Ip(IpAddr::V6(_)), false) | (Host::Name(_), _) => return Ok(None),
            (Host::Ip(ip), _) => *ip,
        };
        self.at(SocketAddr::new(ip, 0)).map(Some)
    }

    /// `address` with this port, and this zone if there is one.
    pub(super) fn at(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        Ok(match address {
            SocketAddr::V4(v4) => SocketAddrV4::new(*v4.ip(), self.port).into(),
            SocketAddr::V6(v6) => {
                let scope = self.zone.as_ref().map_or(Ok(v6.scope_id()), Zone::index)?;
                SocketAddrV6::new(*v6.ip(), self.port, 0, scope).into()
            }
        })
    }
}

pub(super) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

pub(super) fn parse_port(port: &str) -> Option<u16> {
    // "00" is no port, as in libzmq; only "0" is zero.
    decimal(port).filter(|port| *port != 0)
}

/// A number in decimal digits alone: `parse` would take a sign.
pub(super) fn decimal<T: FromStr>(text: &str) -> Option<T> {
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok())?
}

impl Host {
    pub(super) fn parse(host: &str, side: Side) -> Result<Host, &'static str> {
        if host.is_empty() {
            return Err("no host");
        }
        if host == "*" {
            return match side {
                Side::Connect => Err("a wildcard host to connect to"),
                _ => Ok(Host::Any),
            };
        }
        if let Ok(ip) = host.parse() {
            return Ok(Host::Ip(ip));
        }
        // Interface names, which only binding knows, may hold nearly anything.
        let valid = match side {
            Side::Bind => {
                host.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"/:[]%*;".contains(c))
            }
            _ => {
                host.starts_with(|c: char| c.is_ascii_alphanumeric())
                    && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
            }
        };
        if valid { Ok(Host::Name(host.to_owned())) } else { Err("the host is neither an address nor a name") }
    }
}

impl Zone {
    /// The number of the interface.
    pub(super) fn index(&self) -> io::Result<u32> {
        match self {
            Zone::Index(index) => Ok(*index),
            Zone::Name(name) => interface::index_of(name).map_err(|_| Errno::INVAL.into()),
        }
    }

    pub(super) fn parse(zone: &str) -> Result<Zone, &'static str> {
        if zone.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Ok(Zone::Name(zone.to_owned()));
        }
        decimal(zone)
            .filter(|index| *index != 0)
            .map(Zone::Index)
            .ok_or("the zone is neither an interface nor its number")
    }
}

impl IpcName {
    fn parse(address: &str, side: Side) -> Result<IpcName, &'static str> {
        match (address.strip_prefix('@'), side) {
            (Some(""), _) => Err("an empty abstract name"),
            (Some(name), _) => Ok(IpcName::Abstract(name.to_owned())),
            (None, Side::Connect) if address == "*" => Err("a wildcard path to connect to"),
            // As libzmq does, whatever follows the asterisk.
            (None, Side::Bind) if address.starts_with('*') => Ok(IpcName::Wildcard),
            (None, _) => Ok(IpcName::Path(address.to_owned())),
        }
    }
}

impl IpcEndpoint {
    /// Where this endpoint lives.
    pub(crate) fn name(&self) -> &IpcName {
        &self.name
    }

    fn target(&self) -> Target {
        Target::Ipc(self.name.clone())
    }
}
