//! The socket options a transport needs, and how they are set.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use socket2::SockRef;

use super::accept_filter::AcceptFilter;

/// Bytes, with the kernel's bookkeeping, that a Unix socket buffers at least, as far as `net.core.wmem_max` allows.
const IPC_SEND_BUFFER: usize = 512 * 1024;

/// A transport's view of a socket's options. −1 leaves a number to the operating system's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TransportConfig {
    /// Use IPv6 sockets, which reach IPv4 peers too; off, IPv4 only. `ZMQ_IPV6`.
    pub(crate) ipv6: bool,
    /// How many connections may wait to be accepted. `ZMQ_BACKLOG`.
    pub(crate) backlog: i32,
    /// Bytes, or −1. `ZMQ_SNDBUF`.
    pub(crate) send_buffer: i32,
    /// Bytes, or −1. `ZMQ_RCVBUF`.
    pub(crate) receive_buffer: i32,
    /// The type-of-service byte, 0–255; 0 leaves it alone. `ZMQ_TOS`.
    pub(crate) tos: i32,
    /// `SO_PRIORITY`; 0 leaves it alone. `ZMQ_PRIORITY`.
    pub(crate) priority: i32,
    /// −1, 0 (off) or 1 (on). `ZMQ_TCP_KEEPALIVE`.
    pub(crate) tcp_keepalive: i32,
    /// Probes before giving up, or −1. `ZMQ_TCP_KEEPALIVE_CNT`.
    pub(crate) tcp_keepalive_cnt: i32,
    /// Seconds of silence before the first probe, or −1. `ZMQ_TCP_KEEPALIVE_IDLE`.
    pub(crate) tcp_keepalive_idle: i32,
    /// Seconds between probes, or −1. `ZMQ_TCP_KEEPALIVE_INTVL`.
    pub(crate) tcp_keepalive_interval: i32,
    /// Milliseconds that sent data may stay unacknowledged; 0 leaves it alone. `ZMQ_TCP_MAXRT`.
    pub(crate) tcp_max_rt: i32,
    /// The interface all traffic goes through. `ZMQ_BINDTODEVICE`.
    pub(crate) bind_to_device: Option<String>,
    /// Microseconds of busy polling in the driver; 0 leaves it alone. `ZMQ_BUSY_POLL`.
    pub(crate) busy_poll: i32,
    /// A descriptor, already bound and listening, to take instead of a new one when binding, or −1.
    /// `ZMQ_USE_FD`.
    pub(crate) use_fd: i32,
    /// Routers a multicast datagram may pass, plus one. `ZMQ_MULTICAST_HOPS`.
    pub(crate) multicast_hops: i32,
    /// Whether this host's own listeners get the multicast datagrams that it sends. `ZMQ_MULTICAST_LOOP`.
    pub(crate) multicast_loop: bool,
    /// Whom a listener takes connections from. `ZMQ_TCP_ACCEPT_FILTER`, `ZMQ_IPC_FILTER_UID` and its like.
    pub(crate) accept_filter: Arc<AcceptFilter>,
}

impl Default for TransportConfig {
    fn default() -> Self {
        TransportConfig {
            ipv6: false,
            backlog: 100,
            send_buffer: -1,
            receive_buffer: -1,
            tos: 0,
            priority: 0,
            tcp_keepalive: -1,
            tcp_keepalive_cnt: -1,
            tcp_keepalive_idle: -1,
            tcp_keepalive_interval: -1,
            tcp_max_rt: 0,
            bind_to_device: None,
            busy_poll: 0,
            use_fd: -1,
            multicast_hops: 1,
            multicast_loop: true,
            accept_filter: Arc::default(),
        }
    }
}

impl TransportConfig {
    /// Sets what must be set on a new TCP socket before it is bound or connected.
    pub(super) fn prepare_tcp(&self, fd: BorrowedFd<'_>, is_ipv6: bool) -> io::Result<()> {
        if is_ipv6 {
            // One socket for both families, whatever the host's default.
            sockopt::set_ipv6_v6only(fd, false)?;
        }
        // Before listen or connect: the window scale, fixed by the handshake, follows the buffers.
        self.prepare_ip(fd)?;
        self.tune_tcp(fd, is_ipv6)
    }

    /// Sets what must be set on a new UDP socket before it is bound.
    pub(super) fn prepare_udp(&self, fd: BorrowedFd<'_>, is_ipv6: bool) -> io::Result<()> {
        if is_ipv6 {
            sockopt::set_ipv6_v6only(fd, false)?;
        }
        self.prepare_ip(fd)?;
        self.set_precedence(fd, is_ipv6)
    }

    fn prepare_ip(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        if let Some(device) = self.bind_to_device.as_deref().filter(|d| !d.is_empty()) {
            SockRef::from(&fd).bind_device(Some(device.as_bytes()))?;
        }
        self.set_buffers(fd)?;
        if self.busy_poll > 0 {
            SockRef::from(&fd).set_busy_poll(self.busy_poll.unsigned_abs())?;
        }
        Ok(())
    }

    /// Sets what a TCP connection does not, or not on every kernel, inherit from its listener.
    pub(super) fn tune_tcp(&self, fd: BorrowedFd<'_>, is_ipv6: bool) -> io::Result<()> {
        // Messages are batched above; the kernel holding back a small segment would only delay it.
        sockopt::set_tcp_nodelay(fd, true)?;
        self.set_precedence(fd, is_ipv6)?;
        self.set_keepalive(fd)?;
        if let Some(max_rt) = positive(self.tcp_max_rt) {
            sockopt::set_tcp_user_timeout(fd, max_rt)?;
        }
        Ok(())
    }

    /// Sets how the packets are to be treated on their way.
    fn set_precedence(&self, fd: BorrowedFd<'_>, is_ipv6: bool) -> io::Result<()> {
        if self.tos != 0 {
            let tos = u8::try_from(self.tos).map_err(|_| rustix::io::Errno::INVAL)?;
            sockopt::set_ip_tos(fd, tos)?;
            if is_ipv6 {
                sockopt::set_ipv6_tclass(fd, tos.into())?;
            }
        }
        if self.priority != 0 {
            let priority = u32::try_from(self.priority).map_err(|_| rustix::io::Errno::INVAL)?;
            SockRef::from(&fd).set_priority(priority)?;
        }
        Ok(())
    }

    /// Sets the kernel's buffer sizes, on any kind of socket.
    pub(super) fn set_buffers(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        if let Ok(bytes) = usize::try_from(self.send_buffer) {
            sockopt::set_socket_send_buffer_size(fd, bytes)?;
        }
        if let Ok(bytes) = usize::try_from(self.receive_buffer) {
            sockopt::set_socket_recv_buffer_size(fd, bytes)?;
        }
        Ok(())
    }

    /// As [`set_buffers`](Self::set_buffers), on a Unix socket. What the kernel buffers there by default is a fifth of a large
    /// message: the two sides of the connection would wake each other for every piece.
    pub(super) fn set_ipc_buffers(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.set_buffers(fd)?;
        if self.send_buffer == -1 && sockopt::socket_send_buffer_size(fd)? < IPC_SEND_BUFFER {
            // The kernel doubles what it is asked for.
            sockopt::set_socket_send_buffer_size(fd, IPC_SEND_BUFFER / 2)?;
        }
        Ok(())
    }

    fn set_keepalive(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        if self.tcp_keepalive == -1 {
            return Ok(());
        }
        sockopt::set_socket_keepalive(fd, self.tcp_keepalive != 0)?;
        if let Some(probes) = positive(self.tcp_keepalive_cnt) {
            sockopt::set_tcp_keepcnt(fd, probes)?;
        }
        if let Some(seconds) = positive(self.tcp_keepalive_idle) {
            sockopt::set_tcp_keepidle(fd, Duration::from_secs(seconds.into()))?;
        }
        if let Some(seconds) = positive(self.tcp_keepalive_interval) {
            sockopt::set_tcp_keepintvl(fd, Duration::from_secs(seconds.into()))?;
        }
        Ok(())
    }
}

fn positive(value: i32) -> Option<u32> {
    u32::try_from(value).ok().filter(|v| *v > 0)
}
