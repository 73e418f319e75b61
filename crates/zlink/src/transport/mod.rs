//! Endpoints, and the sockets behind them: bytes only, no ZMTP.
//!
//! The module turns an endpoint string into listeners and connecting sockets, non-blocking,
//! close-on-exec and with their options set, and tells how each end is named. What flows over them
//! is the engine's business. `inproc` is parsed here and carried out elsewhere: it has no socket.
//!
//! Binding runs on the application's thread, so that its errors are the return value; accepting and
//! connecting on an I/O thread, which never blocks here: names are looked up by the [`Resolver`]'s own
//! thread.
//!
//! Sources: `zmq_tcp(7)`, `zmq_ipc(7)`, `zmq_udp(7)`, `zmq_tipc(7)`, `tcp(7)`, `unix(7)`,
//! `udp(7)`, `ip(7)`, `ipv6(7)`, `vsock(7)`; `zmq_vsock(7)` of libzmq's sources after 4.3.5.

#![forbid(unsafe_code)]

mod accept_filter;
mod address;
mod config;
mod connect;
mod endpoint;
mod error;
mod interface;
mod ipc;
mod listener;
mod pacing;
mod resolver;
mod socks;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;
mod tipc;
#[cfg(feature = "wss")]
mod tls;
mod udp;
mod vsock;
mod web;

use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

pub(crate) use accept_filter::{AcceptFilter, Network};
pub(crate) use address::peer_names;
pub(crate) use config::TransportConfig;
pub(crate) use connect::{Target, finish_connect, start_connect};
pub(crate) use endpoint::Endpoint;
#[cfg(test)]
use endpoint::TcpEndpoint;
pub use error::EndpointError;
pub(crate) use error::{AcceptError, TransportError, errno_of};
pub(crate) use listener::{Accepted, Listener};
pub(crate) use resolver::Resolver;
pub(crate) use socks::{Negotiation, Proxy, SocksError};
pub(crate) use stream::Stream;
#[cfg(feature = "wss")]
pub(crate) use tls::{TlsError, TlsOptions, TlsRole};
pub(crate) use udp::{DatagramSocket, parse_peer, peer_text};
pub(crate) use web::WebAddress;

/// Opens a stream socket of that family.
fn open_stream(family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(family, SocketType::STREAM, flags, None)
}

/// Nothing: this build has no TLS.
#[cfg(not(feature = "wss"))]
#[derive(Clone, Debug)]
pub(crate) enum TlsRole {}
