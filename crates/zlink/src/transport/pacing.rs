//! No pacing where nothing is far away.
//!
//! BBR paces what is sent by a timer, at the rate that it has measured of the network. Over the loopback interface there is
//! no network: it measures how long the peer's processor sleeps, and the timers and the wake-ups for each piece double the
//! time that a message of 1 MiB takes. Where BBR is this system's congestion control, connections between loopback
//! addresses use Reno, which every kernel has and lets everybody use, and which sends what its window lets it. All other
//! connections, and other systems', are left as they are.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use rustix::net::{getpeername, sockopt};

use super::address::tcp_addr;
use super::tcp::unmapped;

const PACED: &str = "bbr";
const UNPACED: &str = "reno";

/// Whether both ends of a connection to this address are on this host, and it is reached without a network.
fn is_loopback(peer: IpAddr) -> bool {
    unmapped((peer, 0).into()).ip().is_loopback()
}

/// Sets a socket that is to be connected to `peer`: what has paced once paces for ever.
pub(super) fn before_connect(fd: BorrowedFd<'_>, peer: IpAddr) {
    if is_loopback(peer) {
        forgo(fd);
    }
}

/// Sets a socket that is to listen at `address`, from which its connections inherit. Tells whether there is something to
/// [restore](after_accept) of those that come from elsewhere.
pub(super) fn before_listen(fd: BorrowedFd<'_>, address: IpAddr) -> bool {
    let open_to_loopback = address.is_unspecified() || is_loopback(address);
    open_to_loopback && forgo(fd)
}

/// Gives a connection from another address than a loopback one what this system uses.
pub(super) fn after_accept(fd: BorrowedFd<'_>) {
    let peer = getpeername(fd).ok().flatten().as_ref().and_then(tcp_addr);
    if peer.is_some_and(|peer| !is_loopback(peer.ip())) {
        // Without it the connection is as good as any other.
        let _ = sockopt::set_tcp_congestion(fd, PACED);
    }
}

/// Whether the socket would have paced, and will not. Should the kernel refuse, it is slower, but no less correct.
fn forgo(fd: BorrowedFd<'_>) -> bool {
    sockopt::tcp_congestion(fd).is_ok_and(|name| name == PACED)
        && sockopt::set_tcp_congestion(fd, UNPACED).is_ok()
}
