//! How the ends of a connection are named in metadata, monitors and `ZMQ_LAST_ENDPOINT`.

use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix, getpeername, getsockname};

use super::interface;
use super::tipc::tipc_uri;
use super::vsock;

/// How the two ends of a connected socket are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionNames {
    /// The `Peer-Address` property: `127.0.0.1`, or for `ipc`, as libzmq has it,
    /// `localhost:UID:GID:PID` (PID 0 if the peer's process is not visible from here).
    pub(crate) peer_address: String,
    /// This end as an endpoint.
    pub(crate) local: String,
    /// The other end as an endpoint; `ipc://` for a client that bound no name.
    pub(crate) remote: String,
}

/// Names the two ends of a connected socket. An end the kernel does not know any more has an empty name.
pub(crate) fn peer_names(fd: BorrowedFd<'_>) -> ConnectionNames {
    let peer = getpeername(fd).ok();
    let local = getsockname(fd).ok();
    if local.as_ref().is_some_and(is_vsock) {
        return vsock::names(fd);
    }
    // A nameless peer is reported by the kernel with no address at all: only its family tells.
    let unix = local.as_ref().is_some_and(|local| local.address_family() == AddressFamily::UNIX);
    let remote = match &peer {
        Some(Some(peer)) => uri(peer),
        Some(None) if unix => String::from("ipc://"),
        _ => String::new(),
    };
    let peer_address = match &peer {
        Some(_) if unix => peer_credentials(fd),
        Some(Some(peer)) => tcp_addr(peer).map(|peer| ip_text(&peer)).unwrap_or_default(),
        _ => String::new(),
    };
    ConnectionNames { peer_address, local: local.as_ref().map(uri).unwrap_or_default(), remote }
}

/// The endpoint a listening socket is reached by.
pub(super) fn listening_uri(fd: BorrowedFd<'_>) -> io::Result<String> {
    let address = getsockname(fd)?;
    if is_vsock(&address) { vsock::listening_uri(fd) } else { Ok(uri(&address)) }
}

/// Whether it is an address that rustix does not read, and socket2 does.
fn is_vsock(address: &SocketAddrAny) -> bool {
    address.address_family() == AddressFamily::VSOCK
}

fn peer_credentials(fd: BorrowedFd<'_>) -> String {
    // By way of nix: rustix's type for the process id has no zero, which is what the kernel reports
    // for a peer in another container.
    match getsockopt(&fd.as_fd(), PeerCredentials) {
        Ok(peer) => format!("localhost:{}:{}:{}", peer.uid(), peer.gid(), peer.pid()),
        Err(_) => String::from("localhost"),
    }
}

fn uri(address: &SocketAddrAny) -> String {
    match address.address_family() {
        AddressFamily::UNIX => {
            SocketAddrUnix::try_from(address.clone()).map(|unix| unix_uri(&unix)).unwrap_or_default()
        }
        AddressFamily::TIPC => {
            zlink_net::tipc::Address::of(address).map(|tipc| tipc_uri(&tipc)).unwrap_or_default()
        }
        _ => tcp_addr(address).map(|tcp| tcp_uri(&tcp)).unwrap_or_default(),
    }
}

pub(super) fn tcp_addr(address: &SocketAddrAny) -> Option<SocketAddr> {
    SocketAddr::try_from(address.clone()).ok()
}

/// `tcp://127.0.0.1:5555` or `tcp://[fe80::1%eth0]:5555`.
pub(super) fn tcp_uri(address: &SocketAddr) -> String {
    format!("tcp://{}", host_and_port(address))
}

/// `127.0.0.1:5555` or `[fe80::1%eth0]:5555`.
pub(super) fn host_and_port(address: &SocketAddr) -> String {
    let (ip, port) = (ip_text(address), address.port());
    match address {
        SocketAddr::V4(_) => format!("{ip}:{port}"),
        SocketAddr::V6(_) => format!("[{ip}]:{port}"),
    }
}

fn ip_text(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), zone_text(v6)),
        _ => address.ip().to_string(),
    }
}

fn zone_text(address: &SocketAddrV6) -> String {
    // Only link-local zones are interfaces; for others, as getnameinfo(3) has it, the bare number.
    let name =
        address.ip().is_unicast_link_local().then(|| interface::name_of(address.scope_id()).ok()).flatten();
    name.unwrap_or_else(|| address.scope_id().to_string())
}

/// `ipc:///path`, `ipc://@name`, or `ipc://` for a socket without a name.
fn unix_uri(address: &SocketAddrUnix) -> String {
    if let Some(path) = address.path_bytes() {
        // Kernels differ in whether the final zero counts.
        let path = path.split(|b| *b == 0).next().unwrap_or_default();
        format!("ipc://{}", String::from_utf8_lossy(path))
    } else if let Some(name) = address.abstract_name().filter(|name| !name.is_empty()) {
        let name = name.split(|b| *b == 0).next().unwrap_or_default();
        format!("ipc://@{}", String::from_utf8_lossy(name))
    } else {
        String::from("ipc://")
    }
}
