//! The engine: I/O threads, and the connections that application threads drive as well.
//!
//! [`io_thread`] owns listeners and sessions. A session owns a pipe's outer end and, while there is one, a
//! [`connection`]; it survives reconnects where the pipe does. A [`datagram`] session has a datagram socket in the
//! connection's place. Nothing here knows socket patterns: what the
//! socket must know reaches it as news in its inbox.

pub(crate) mod config;
pub(crate) mod connection;
mod datagram;
mod encoder;
mod framing;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod io_thread;
pub(crate) mod lease;
mod lease_state;
mod listener;
mod reader;
mod session;
pub(crate) mod stats;
#[cfg(test)]
mod testing;
mod writer;

pub(crate) use config::{EngineConfig, ReconnectStop};
pub(crate) use connection::{Connection, ReadTurn};
pub(crate) use datagram::{DatagramSession, Form};
pub(crate) use io_thread::{Command, EndpointId, IoShared, IoThread};
pub(crate) use lease::LeaseHolder;
pub(crate) use listener::ListenerHandle;
pub(crate) use session::{ConnectTo, PipeSide, Port, SessionHandle};
