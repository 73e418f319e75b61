//! `udp`: datagram sockets, unicast and multicast.
//!
//! ```text
//! udp://host:port               a peer, one's own address, or a multicast group on the system's choice of interface
//! udp://interface;group:port    a multicast group on an interface: its name, its IPv4 address, or * for the system's
//! ```
//!
//! Sources: `zmq_udp(7)`, `udp(7)`, `ip(7)`, `ipv6(7)`.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, ipproto, sockopt,
};
use socket2::SockRef;

use super::address::{host_and_port, tcp_addr};
use super::config::TransportConfig;
use super::endpoint::{Host, HostPort, Side, Zone, parse_port, without_brackets};
use super::error::{EndpointError, TransportError};
use super::{interface, tcp};

/// The longest datagram: what an IP packet's 16-bit length leaves behind its header and UDP's. An IPv6 packet's does
/// not count its header.
const LONGEST_V4: usize = 65_507;
const LONGEST_V6: usize = 65_527;

/// The address part of a `udp` endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UdpEndpoint {
    text: String,
    interface: Option<Host>,
    address: HostPort,
}

impl fmt::Display for UdpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "udp://{}", self.text)
    }
}

/// What an endpoint comes to.
#[derive(Debug, PartialEq, Eq)]
struct Resolved {
    /// One's own address, of the same family as `target`.
    bind: SocketAddr,
    target: SocketAddr,
    /// The interface of a multicast group by its number; 0 for the system's choice.
    interface: u32,
}

impl UdpEndpoint {
    pub(super) fn parse(text: &str, side: Side) -> Result<UdpEndpoint, &'static str> {
        let (interface, address) = match text.rsplit_once(';') {
            Some((interface, address)) => {
                (Some(Host::parse(without_brackets(interface), Side::Bind)?), address)
            }
            None => (None, text),
        };
        Ok(UdpEndpoint { text: text.to_owned(), interface, address: HostPort::parse(address, side)? })
    }

    /// Looks up what the endpoint names, which may block in the name service.
    fn resolve(&self, binds: bool, ipv6: bool) -> Result<Resolved, TransportError> {
        let target = if binds { tcp::bind_addr(&self.address, ipv6)? } else { self.peer_addr(ipv6)? };
        // A mapped multicast address is none.
        let target = Some(tcp::unmapped(target)).filter(|it| it.ip().is_multicast()).unwrap_or(target);
        let (any, port) = (any(target), target.port());
        let zone = match target {
            SocketAddr::V6(v6) => v6.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        let Some(chosen) = &self.interface else {
            let bind = if binds && !target.ip().is_multicast() { target } else { any };
            return Ok(Resolved { bind, target, interface: zone });
        };
        if !target.ip().is_multicast() {
            return Err(self.malformed("an interface without a multicast address"));
        }
        let (bind, interface) = match (chosen, target) {
            (Host::Any, _) => (any, zone),
            (Host::Ip(IpAddr::V4(ip)), SocketAddr::V4(_)) if ip.is_multicast() => {
                return Err(self.malformed("a multicast address for an interface"));
            }
            (Host::Ip(IpAddr::V4(ip)), SocketAddr::V4(_)) => (SocketAddrV4::new(*ip, port).into(), 0),
            (Host::Name(name), SocketAddr::V4(_)) => {
                let address = interface::address_of(name, false).ok_or_else(|| no_device(name))?;
                (SocketAddr::new(address.ip(), port), 0)
            }
            (Host::Name(name), SocketAddr::V6(_)) => {
                (any, interface::index_of(name).map_err(|_| no_device(name))?)
            }
            // IPv6 joins and sends by an interface's number, which its address does not tell.
            (Host::Ip(ip), _) => return Err(no_device(&ip.to_string()).into()),
        };
        Ok(Resolved { bind, target, interface })
    }

    fn peer_addr(&self, ipv6: bool) -> Result<SocketAddr, TransportError> {
        let found = match &self.address.host {
            Host::Name(name) => tcp::look_up(name, ipv6)
                .and_then(|found| found.first().map(|first| self.address.at(*first)).transpose()),
            _ => self.address.numeric(ipv6),
        };
        let found = found.map_err(TransportError::os("resolve"))?;
        found.ok_or_else(|| TransportError::os("resolve")(Errno::INVAL))
    }

    fn malformed(&self, reason: &'static str) -> TransportError {
        EndpointError::Malformed { endpoint: self.to_string(), reason }.into()
    }
}

/// The address that stands for all of this host's, of the family of `like` and with its port.
fn any(like: SocketAddr) -> SocketAddr {
    match like {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, like.port()).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, like.port()).into(),
    }
}

fn no_device(name: &str) -> EndpointError {
    EndpointError::NoDevice { name: name.to_owned() }
}

/// A datagram socket.
#[derive(Debug)]
pub(crate) struct DatagramSocket {
    fd: OwnedFd,
    ipv6: bool,
    /// Where everything it sends goes; `None` for a socket that was bound.
    target: Option<SocketAddr>,
    name: String,
}

impl DatagramSocket {
    /// A socket that receives at `endpoint`: one's own address, or a multicast group. It sends to whomever it is
    /// told.
    ///
    /// May block in the name service.
    ///
    /// # Errors
    ///
    /// `ENODEV` for a host or an interface that is not found, `EINVAL` for an interface without a multicast group, and
    /// what the kernel reports.
    pub(crate) fn bind(endpoint: &UdpEndpoint, config: &TransportConfig) -> Result<Self, TransportError> {
        let Resolved { bind: own, target, interface } = endpoint.resolve(true, config.ipv6)?;
        let fd = open(target, config)?;
        let group = target.ip().is_multicast();
        // As libzmq: of two sockets of one unicast address the later one receives, of a group's all do.
        sockopt::set_socket_reuseaddr(&fd, true).map_err(TransportError::os("setsockopt"))?;
        if group {
            SockRef::from(&fd).set_reuse_port(true).map_err(TransportError::os("setsockopt"))?;
            prepare_multicast(&fd, own, interface, config).map_err(TransportError::os("setsockopt"))?;
        }
        // The interface's address would keep out what was sent to the group's.
        net::bind(&fd, &if group { any(own) } else { own }).map_err(TransportError::os("bind"))?;
        let local = net::getsockname(&fd).map_err(TransportError::os("getsockname"))?;
        let local = tcp_addr(&local).unwrap_or(own);
        let name = if group {
            join(&fd, target.ip(), own.ip(), interface).map_err(TransportError::os("setsockopt"))?;
            let (before, _) = endpoint.text.rsplit_once(':').unwrap_or((&endpoint.text, ""));
            format!("udp://{before}:{}", local.port())
        } else {
            format!("udp://{}", host_and_port(&local))
        };
        Ok(DatagramSocket { fd, ipv6: target.is_ipv6(), target: None, name })
    }

    /// A socket that sends to `endpoint`: a peer, or a multicast group.
    ///
    /// May block in the name service.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a host that is not found and for an interface without a multicast group, `ENODEV` for an
    /// interface that is not found, and what the kernel reports.
    pub(crate) fn connect(endpoint: &UdpEndpoint, config: &TransportConfig) -> Result<Self, TransportError> {
        let Resolved { bind, target, interface } = endpoint.resolve(false, config.ipv6)?;
        let fd = open(target, config)?;
        if target.ip().is_multicast() {
            prepare_multicast(&fd, bind, interface, config).map_err(TransportError::os("setsockopt"))?;
        }
        // Not connected for the kernel: it would report datagrams that nobody took as errors of later ones.
        Ok(DatagramSocket { fd, ipv6: target.is_ipv6(), target: Some(target), name: endpoint.to_string() })
    }

    /// The endpoint, with what the system chose filled in.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where everything it sends goes, if it was connected.
    pub(crate) fn target(&self) -> Option<SocketAddr> {
        self.target
    }

    /// The longest datagram that can be sent, in bytes.
    pub(crate) fn longest(&self) -> usize {
        if self.ipv6 { LONGEST_V6 } else { LONGEST_V4 }
    }

    /// Sends one datagram, put together from `pieces`.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if there is no room for it now, `EMSGSIZE` if it is too long, and what else the kernel reports, which is
    /// about this datagram alone.
    pub(crate) fn send(&self, to: SocketAddr, pieces: &[IoSlice<'_>]) -> rustix::io::Result<()> {
        let to = match to {
            SocketAddr::V4(v4) if self.ipv6 => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
            to if self.ipv6 => to,
            to => tcp::unmapped(to),
        };
        let mut control = SendAncillaryBuffer::default();
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        net::sendmsg_addr(&self.fd, &to, pieces, &mut control, flags).map(drop)
    }

    /// Receives one datagram into `buffer`, which has room for the longest, and tells its length and where it is from.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if there is none, and what else the kernel reports.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> rustix::io::Result<(usize, SocketAddr)> {
        let (_, length, from) = net::recvfrom(&self.fd, buffer, RecvFlags::DONTWAIT)?;
        let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Ok((length, from.as_ref().and_then(tcp_addr).map_or(unknown, tcp::unmapped)))
    }
}

impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn open(address: SocketAddr, config: &TransportConfig) -> Result<OwnedFd, TransportError> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = net::socket_with(family, SocketType::DGRAM, flags, Some(ipproto::UDP))
        .map_err(TransportError::os("socket"))?;
    config.prepare_udp(fd.as_fd(), address.is_ipv6()).map_err(TransportError::os("setsockopt"))?;
    Ok(fd)
}

/// Says how datagrams to multicast groups are sent, and that only those of groups joined here are received.
fn prepare_multicast(
    fd: &OwnedFd,
    from: SocketAddr,
    interface: u32,
    config: &TransportConfig,
) -> io::Result<()> {
    let socket = SockRef::from(fd);
    let hops = u32::try_from(config.multicast_hops).map_err(|_| Errno::INVAL)?;
    match from {
        SocketAddr::V4(from) => {
            socket.set_multicast_loop_v4(config.multicast_loop)?;
            socket.set_multicast_ttl_v4(hops)?;
            socket.set_multicast_all_v4(false)?;
            if !from.ip().is_unspecified() {
                socket.set_multicast_if_v4(from.ip())?;
            }
        }
        SocketAddr::V6(_) => {
            socket.set_multicast_loop_v6(config.multicast_loop)?;
            socket.set_multicast_hops_v6(hops)?;
            socket.set_multicast_all_v6(false)?;
            if interface != 0 {
                socket.set_multicast_if_v6(interface)?;
            }
        }
    }
    Ok(())
}

fn join(fd: &OwnedFd, group: IpAddr, own: IpAddr, interface: u32) -> io::Result<()> {
    let socket = SockRef::from(fd);
    match (group, own) {
        (IpAddr::V4(group), IpAddr::V4(own)) => socket.join_multicast_v4(&group, &own),
        (IpAddr::V6(group), _) => socket.join_multicast_v6(&group, interface),
        // Of one family, as they were resolved.
        (IpAddr::V4(_), IpAddr::V6(_)) => Err(Errno::INVAL.into()),
    }
}

/// Reads the address that a datagram is to be sent to: `127.0.0.1:5555`, `[fe80::1%eth0]:5555`, with or without a
/// closing NUL. Never asks a name service.
pub(crate) fn parse_peer(text: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(text.strip_suffix(b"\0").unwrap_or(text)).ok()?;
    let (host, port) = text.rsplit_once(':')?;
    let port = parse_port(port)?;
    let host = without_brackets(host);
    let (host, zone) = match host.rsplit_once('%') {
        Some((host, zone)) => (host, Some(Zone::parse(zone).ok()?)),
        None => (host, None),
    };
    match (host.parse().ok()?, zone) {
        (IpAddr::V4(v4), None) => Some(SocketAddrV4::new(v4, port).into()),
        (IpAddr::V4(_), Some(_)) => None,
        (IpAddr::V6(v6), None) => Some(SocketAddrV6::new(v6, port, 0, 0).into()),
        (IpAddr::V6(v6), Some(zone)) => Some(SocketAddrV6::new(v6, port, 0, zone.index().ok()?).into()),
    }
}

/// The address that a datagram came from, as [`parse_peer`] reads it.
pub(crate) fn peer_text(from: &SocketAddr) -> String {
    host_and_port(from)
}
