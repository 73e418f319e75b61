//! TCP sockets.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, sockopt};

use super::config::TransportConfig;
use super::endpoint::{Host, HostPort, TcpEndpoint};
use super::error::{EndpointError, TransportError};
use super::interface;
use super::{open_stream, pacing};

/// Binds and listens. Also tells whether connections are to be looked at for their [pacing](pacing::after_accept).
pub(super) fn listen(
    endpoint: &TcpEndpoint,
    config: &TransportConfig,
) -> Result<(OwnedFd, bool), TransportError> {
    let mut address = bind_addr(&endpoint.address, config.ipv6)?;
    let opened = match open(address) {
        // A kernel without IPv6: the option is a preference, as in libzmq.
        Err(Errno::AFNOSUPPORT) if config.ipv6 => {
            address = bind_addr(&endpoint.address, false)?;
            open(address)
        }
        opened => opened,
    };
    let fd = opened.map_err(TransportError::os("socket"))?;
    config.prepare_tcp(fd.as_fd(), address.is_ipv6()).map_err(TransportError::os("setsockopt"))?;
    // On Linux this does not let two listeners share a port; it lets one take over from connections in
    // TIME_WAIT, that is, restart.
    sockopt::set_socket_reuseaddr(&fd, true).map_err(TransportError::os("setsockopt"))?;
    net::bind(&fd, &address).map_err(TransportError::os("bind"))?;
    let unpaced = pacing::before_listen(fd.as_fd(), address.ip());
    net::listen(&fd, config.backlog).map_err(TransportError::os("listen"))?;
    Ok((fd, unpaced))
}

/// Opens a socket and starts to connect it. The inner result is that of `connect` itself.
pub(super) fn connect(
    peer: SocketAddr,
    source: Option<SocketAddr>,
    config: &TransportConfig,
) -> io::Result<(OwnedFd, rustix::io::Result<()>)> {
    let (mut peer, mut source) = (peer, source);
    let fd = match open(peer) {
        // A kernel without IPv6 can still reach a mapped address, unmapped.
        Err(Errno::AFNOSUPPORT) if unmapped(peer).is_ipv4() => {
            peer = unmapped(peer);
            source = source.map(unmapped);
            open(peer)?
        }
        opened => opened?,
    };
    config.prepare_tcp(fd.as_fd(), peer.is_ipv6())?;
    if let Some(source) = source {
        // Lets several connections share one source port as long as their peers differ.
        sockopt::set_socket_reuseaddr(&fd, true)?;
        net::bind(&fd, &source)?;
    }
    pacing::before_connect(fd.as_fd(), peer.ip());
    let result = net::connect(&fd, &peer);
    Ok((fd, result))
}

fn open(address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    open_stream(family)
}

pub(super) fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), address.port()),
            None => address,
        },
        IpAddr::V4(_) => address,
    }
}

/// The address to bind to: a literal, else an interface's, else what the name service says, which may
/// block.
pub(super) fn bind_addr(address: &HostPort, ipv6: bool) -> Result<SocketAddr, TransportError> {
    let resolved = match &address.host {
        Host::Name(name) => interface::address_of(name, ipv6)
            .or_else(|| look_up(name, ipv6).ok()?.first().copied())
            .map(|found| address.at(found))
            .transpose(),
        _ => address.numeric(ipv6),
    };
    let no_device = || {
        let name = match &address.host {
            Host::Name(name) => name.clone(),
            Host::Ip(ip) => ip.to_string(),
            Host::Any => String::from("*"),
        };
        EndpointError::NoDevice { name }
    };
    resolved.map_err(TransportError::os("resolve"))?.ok_or_else(|| no_device().into())
}

/// Asks the system's name service, which may take many seconds. The addresses carry port 0.
///
/// Without `ipv6`, IPv4 addresses only. With it, first the IPv6 addresses, then the IPv4 ones in their
/// mapped form, which IPv6 sockets reach.
///
/// # Errors
///
/// `EINVAL`, as in libzmq, if the name is unknown or has no such address; the name service's own errors
/// have no errno.
pub(super) fn look_up(name: &str, ipv6: bool) -> io::Result<Vec<SocketAddr>> {
    let found = (name, 0).to_socket_addrs().map_err(|error| {
        // What getaddrinfo reports as EAI_SYSTEM has an errno and is about this host, not the name.
        error.raw_os_error().map_or(Errno::INVAL.into(), io::Error::from_raw_os_error)
    })?;
    let (v4, v6): (Vec<_>, Vec<_>) = found.partition(SocketAddr::is_ipv4);
    let v6 = v6.into_iter().filter(|_| ipv6);
    let v4 = v4.into_iter().map(|address| match address.ip() {
        IpAddr::V4(v4) if ipv6 => SocketAddr::new(v4.to_ipv6_mapped().into(), 0),
        _ => address,
    });
    let mut addresses = Vec::new();
    for address in v6.chain(v4) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(Errno::INVAL.into());
    }
    Ok(addresses)
}
