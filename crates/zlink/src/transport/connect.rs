//! Connecting without blocking.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{getpeername, getsockname, sockopt};

use super::address::tcp_addr;
use super::config::TransportConfig;
use super::endpoint::IpcName;
use super::vsock::VsockAddress;
use super::{ipc, tcp, tipc, vsock};

/// Something to connect to, names resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The peer's address, and the local address to come from if the endpoint names one.
    Tcp(SocketAddr, Option<SocketAddr>),
    Ipc(IpcName),
    Tipc(zlink_net::tipc::Address),
    Vsock(VsockAddress),
}

/// Starts to connect. With the socket comes whether the connection stands already, or why there is none.
///
/// If it is under way, wait until the socket is writable or hung up, then ask [`finish_connect`].
///
/// # Errors
///
/// Whatever `socket`, `setsockopt` and `bind` (source address) report. What `connect` reports at once comes with the
/// socket, `EAGAIN` among it where an `ipc` listener's backlog is full. Worth another try later.
pub(crate) fn start_connect(
    target: &Target,
    config: &TransportConfig,
) -> io::Result<(OwnedFd, io::Result<bool>)> {
    let (fd, result) = match target {
        Target::Tcp(peer, source) => tcp::connect(*peer, *source, config)?,
        Target::Ipc(name) => ipc::connect(name, config)?,
        Target::Tipc(address) => tipc::connect(address, config)?,
        Target::Vsock(address) => vsock::connect(*address, config)?,
    };
    let outcome = match result {
        Ok(()) => refuse_self_connection(fd.as_fd()).map(|()| true),
        // An interrupted connect goes on in the background like one in progress.
        Err(Errno::INPROGRESS | Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    };
    Ok((fd, outcome))
}

/// The outcome of a connect that [`start_connect`] left in progress.
pub(crate) fn finish_connect(fd: BorrowedFd<'_>) -> io::Result<()> {
    sockopt::socket_error(fd)??;
    refuse_self_connection(fd)
}

/// Fails with `ECONNREFUSED` if a TCP socket is connected to itself.
///
/// A port of this host at which nobody listens may come from the range the kernel picks source ports from,
/// and one reconnect in some ten thousand picks that very port: TCP's simultaneous open then joins
/// the socket to itself, and the server that comes back finds its port taken.
fn refuse_self_connection(fd: BorrowedFd<'_>) -> io::Result<()> {
    let peer = getpeername(fd)?.as_ref().and_then(tcp_addr);
    if peer.is_some() && peer == tcp_addr(&getsockname(fd)?) {
        return Err(Errno::CONNREFUSED.into());
    }
    Ok(())
}
