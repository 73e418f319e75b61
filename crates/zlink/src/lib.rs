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
mod socket;
mod transport;

pub use context::Context;
pub use engine::stats::SocketStats;
pub use error::{Error, Result, SendError};
pub use monitor::{EventKind, Monitor, MonitorEvent};
pub use option::{OptionError, UNIMPLEMENTED, reference_markdown};
pub use poller::{Events, PollItem, poll};
pub use proxy::{Proxied, proxy, proxy_steerable};
pub use socket::{Multipart, Readiness, Socket};
pub use transport::EndpointError;
pub use zlink_pipe::{GroupError, MAX_GROUP_LEN, Message};
pub use zlink_zmtp::SocketType;
