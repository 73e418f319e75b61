//! ZeroMQ messaging: sockets that queue, route and reconnect by themselves.
//!
//! ```
//! # fn main() -> Result<(), zlink::Error> {
//! let context = zlink::Context::new();
//! let server = context.socket(zlink::SocketType::Pull)?;
//! server.bind("tcp://127.0.0.1:*")?;
//!
//! let client = context.socket(zlink::SocketType::Push)?;
//! client.connect(&server.last_endpoint()?)?;
//! client.send("hello")?;
//!
//! assert_eq!(&*server.recv()?, b"hello");
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod attach;
mod context;
mod engine;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod inbox;
mod inproc;
mod monitor;
mod option;
mod pattern;
mod pipe;
mod poller;
mod proxy;
#[doc(hidden)]
pub mod raw;
mod reactor;
mod rhythm;
mod socket;
mod sync;
mod transport;

pub use context::Context;
pub use engine::stats::SocketStats;
pub use error::{Error, Result, SendError};
pub use monitor::{EventKind, Monitor, MonitorEvent};
pub use option::{NOT_BUILT_IN, OptionError, reference_markdown};
pub use poller::{Events, PollItem, poll};
pub use proxy::{Proxied, proxy, proxy_steerable};
pub use socket::{Multipart, PeerStats, Readiness, Socket};
pub use transport::EndpointError;
pub use zlink_pipe::{GroupError, MAX_GROUP_LEN, Message};
pub use zlink_zmtp::{SocketType, z85};

/// Keys of the security mechanism CURVE.
///
/// Each side has a pair of keys for good, and clients know their server's public key. A server takes every client whose
/// key a ZAP handler accepts; without a handler, every client.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zlink::curve::SecretKey;
///
/// let (server_key, client_key) = (SecretKey::generate()?, SecretKey::generate()?);
/// let context = zlink::Context::new();
/// let server = context.socket(zlink::SocketType::Rep)?;
/// server.set_curve_server(true)?;
/// server.set_curve_secret_key(&server_key)?;
/// server.bind("tcp://127.0.0.1:*")?;
///
/// let client = context.socket(zlink::SocketType::Req)?;
/// client.set_curve_server_key(&server_key.public_key())?;
/// client.set_curve_public_key(&client_key.public_key())?;
/// client.set_curve_secret_key(&client_key)?;
/// client.connect(&server.last_endpoint()?)?;
///
/// client.send("for nobody else")?;
/// assert_eq!(&*server.recv()?, b"for nobody else");
/// # Ok(())
/// # }
/// ```
///
/// Source: 26/CURVEZMQ; `zmq_curve`(7).
pub mod curve {
    pub use zlink_zmtp::curve::{KEY_LEN, NoRandomness, PublicKey, SecretKey, Z85_KEY_LEN};
}
