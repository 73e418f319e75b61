//! Sockets between a virtual machine and its host (`vsock(7)`), where the kernel has them.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{self, AddressFamily};
use socket2::{SockAddr, SockRef};

use super::address::ConnectionNames;
use super::config::TransportConfig;
use super::connect::Target;
use super::endpoint::{Side, decimal};
use super::error::{TransportError, errno_of};
use super::open_stream;

/// Any machine, or a port of the system's choice.
const ANY: u32 = u32::MAX;
/// The machine that all others run on.
const HOST: u32 = 2;

/// The address part of a `vsock` endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct VsockEndpoint {
    text: String,
    address: VsockAddress,
}

/// A machine's context identifier, and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct VsockAddress {
    cid: u32,
    port: u32,
}

impl VsockEndpoint {
    /// Parses `cid:port`, where `@` is the host's identifier. To bind to, `*` or −1 is every identifier that this machine
    /// has, or a port that the system chooses.
    pub(super) fn parse(text: &str, side: Side) -> Result<VsockEndpoint, &'static str> {
        let (cid, port) = text.rsplit_once(':').ok_or("no port")?;
        let cid = if cid == "@" { Some(HOST) } else { number(cid) };
        let cid = cid.ok_or("the machine is neither *, @ nor a number from 0 to 4294967295")?;
        let port = number(port).ok_or("the port is neither * nor a number from 0 to 4294967295")?;
        if side != Side::Bind && (cid == ANY || port == ANY) {
            return Err("a wildcard to connect to");
        }
        Ok(VsockEndpoint { text: text.to_owned(), address: VsockAddress { cid, port } })
    }

    /// What to connect to.
    pub(super) fn target(&self) -> Target {
        Target::Vsock(self.address)
    }

    /// The form that `ZMQ_LAST_ENDPOINT` and monitors give this endpoint.
    pub(crate) fn canonical(&self) -> String {
        self.address.to_string()
    }
}

fn number(text: &str) -> Option<u32> {
    match text {
        "*" | "-1" => Some(ANY),
        _ => decimal(text),
    }
}

impl fmt::Display for VsockEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vsock://{}", self.text)
    }
}

impl fmt::Display for VsockAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |number: u32| if number == ANY { String::from("*") } else { number.to_string() };
        write!(f, "vsock://{}:{}", text(self.cid), text(self.port))
    }
}

impl From<VsockAddress> for SockAddr {
    fn from(address: VsockAddress) -> SockAddr {
        SockAddr::vsock(address.cid, address.port)
    }
}

/// Binds and listens.
pub(super) fn listen(endpoint: &VsockEndpoint, config: &TransportConfig) -> Result<OwnedFd, TransportError> {
    let fd = open_stream(AddressFamily::VSOCK).map_err(TransportError::os("socket"))?;
    config.set_buffers(fd.as_fd()).map_err(TransportError::os("setsockopt"))?;
    SockRef::from(&fd).bind(&endpoint.address.into()).map_err(TransportError::os("bind"))?;
    net::listen(&fd, config.backlog).map_err(TransportError::os("listen"))?;
    Ok(fd)
}

/// Opens a socket and starts to connect it. The inner result is that of `connect` itself.
pub(super) fn connect(
    address: VsockAddress,
    config: &TransportConfig,
) -> io::Result<(OwnedFd, rustix::io::Result<()>)> {
    let fd = open_stream(AddressFamily::VSOCK)?;
    config.set_buffers(fd.as_fd())?;
    let result = SockRef::from(&fd).connect(&address.into());
    let result = result.map_err(|error| Errno::from_raw_os_error(errno_of(&error)));
    Ok((fd, result))
}

/// The endpoint that a listening socket is reached by; with `*` if it is at every identifier of this machine.
pub(super) fn listening_uri(fd: BorrowedFd<'_>) -> io::Result<String> {
    Ok(uri(&SockRef::from(&fd).local_addr()?))
}

/// Names the two ends of a connected socket, as [`peer_names`](super::peer_names) does.
pub(super) fn names(fd: BorrowedFd<'_>) -> ConnectionNames {
    let socket = SockRef::from(&fd);
    let name = |address: io::Result<SockAddr>| address.map(|address| uri(&address)).unwrap_or_default();
    ConnectionNames {
        peer_address: String::new(),
        local: name(socket.local_addr()),
        remote: name(socket.peer_addr()),
    }
}

fn uri(address: &SockAddr) -> String {
    let address = address.as_vsock_address();
    address.map(|(cid, port)| VsockAddress { cid, port }.to_string()).unwrap_or_default()
}
