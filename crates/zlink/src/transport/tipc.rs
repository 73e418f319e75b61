//! TIPC sockets, where the kernel has them: the addresses of services and sockets in a cluster.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{self, AddressFamily};
use zlink_net::tipc::{Address, Node};

use super::config::TransportConfig;
use super::connect::Target;
use super::endpoint::{Side, decimal};
use super::error::TransportError;
use super::open_stream;

/// Services of lower numbers are the system's.
const FIRST_SERVICE: u32 = 64;

/// The address part of a `tipc` endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TipcEndpoint {
    text: String,
    name: TipcName,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum TipcName {
    /// `<*>`: the name that the system has given to the socket.
    Wildcard,
    Address(Address),
}

impl TipcEndpoint {
    /// Parses `{service,lower,upper}`, `{service,instance}`, the latter also with `@zone.cluster.node` to connect to,
    /// `<*>` to bind to and `<zone.cluster.node:reference>` to connect to.
    pub(super) fn parse(text: &str, side: Side) -> Result<TipcEndpoint, &'static str> {
        let bind = side == Side::Bind;
        let name = match text.strip_prefix('<') {
            Some("*>") if bind => TipcName::Wildcard,
            Some("*>") => return Err("a wildcard to connect to"),
            Some(_) if bind => return Err("the address of one socket in a bind endpoint"),
            Some(rest) => TipcName::Address(socket(rest).ok_or("not <zone.cluster.node:reference>")?),
            None => TipcName::Address(service(text, bind)?),
        };
        Ok(TipcEndpoint { text: text.to_owned(), name })
    }

    /// What to connect to; `None` for a wildcard.
    pub(super) fn target(&self) -> Option<Target> {
        match self.name {
            TipcName::Address(address) => Some(Target::Tipc(address)),
            TipcName::Wildcard => None,
        }
    }
}

impl fmt::Display for TipcEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tipc://{}", self.text)
    }
}

/// The address `zone.cluster.node:reference>`.
fn socket(text: &str) -> Option<Address> {
    let (place, reference) = text.strip_suffix('>')?.split_once(':')?;
    Some(Address::Socket { node: node(place)?, reference: number(reference)? })
}

fn service(text: &str, bind: bool) -> Result<Address, &'static str> {
    let (numbers, rest) = text
        .strip_prefix('{')
        .and_then(|text| text.split_once('}'))
        .ok_or("neither {service,lower,upper} nor {service,instance} nor a socket in <>")?;
    let domain = match rest.strip_prefix('@') {
        Some(_) if bind => return Err("a domain in a bind endpoint"),
        Some(domain) => node(domain).ok_or("the domain is not zone.cluster.node")?,
        None if rest.is_empty() => Node(0),
        None => return Err("something behind the address"),
    };
    let mut parts = numbers.split(',').map(number);
    let mut next = || parts.next().map(|part| part.ok_or("a part is not a number from 0 to 4294967295"));
    let (Some(service), Some(first), last) = (next().transpose()?, next().transpose()?, next().transpose()?)
    else {
        return Err("fewer than two numbers");
    };
    if parts.next().is_some() {
        return Err("more than three numbers");
    }
    // In the form without a range, libzmq takes the first number that is free for one of the system's.
    if service < FIRST_SERVICE || (service == FIRST_SERVICE && last.is_none()) {
        return Err("the service is one of the system's");
    }
    match (last, bind) {
        (None, false) => Ok(Address::Service { service, instance: first, domain }),
        (Some(_), false) => Err("a range to connect to"),
        (Some(upper), true) if upper < first => Err("a range that ends before it begins"),
        (last, true) => Ok(Address::Range { service, lower: first, upper: last.unwrap_or(first) }),
    }
}

fn node(text: &str) -> Option<Node> {
    let mut numbers = text.split('.').map(number);
    let mut next = || numbers.next().flatten();
    let (zone, cluster, node) = (next()?, next()?, next()?);
    if numbers.next().is_some() { None } else { Node::new(zone, cluster, node) }
}

/// A number, which may have spaces before it: so libzmq writes it in its events.
fn number(text: &str) -> Option<u32> {
    decimal(text.trim_start_matches(' '))
}

/// `tipc://<zone.cluster.node:reference>` for a socket, and the other forms as an endpoint has them.
pub(super) fn tipc_uri(address: &Address) -> String {
    match address {
        Address::Socket { node, reference } => format!("tipc://<{node}:{reference}>"),
        Address::Service { service, instance, domain } => format!("tipc://{{{service},{instance}}}@{domain}"),
        Address::Range { service, lower, upper } => format!("tipc://{{{service},{lower},{upper}}}"),
    }
}

/// Binds and listens.
pub(super) fn listen(endpoint: &TipcEndpoint, config: &TransportConfig) -> Result<OwnedFd, TransportError> {
    let fd = open_stream(AddressFamily::TIPC).map_err(TransportError::os("socket"))?;
    config.set_buffers(fd.as_fd()).map_err(TransportError::os("setsockopt"))?;
    // A socket has an address of its own from the beginning.
    if let TipcName::Address(address) = &endpoint.name {
        net::bind(&fd, address).map_err(TransportError::os("bind"))?;
    }
    net::listen(&fd, config.backlog).map_err(TransportError::os("listen"))?;
    Ok(fd)
}

/// Opens a socket and starts to connect it. The inner result is that of `connect` itself.
pub(super) fn connect(
    address: &Address,
    config: &TransportConfig,
) -> io::Result<(OwnedFd, rustix::io::Result<()>)> {
    let fd = open_stream(AddressFamily::TIPC)?;
    config.set_buffers(fd.as_fd())?;
    let result = net::connect(&fd, address);
    Ok((fd, result))
}
