//! ZMTP, the ZeroMQ wire protocol, without sockets, threads or a clock.
//!
//! Bytes and the time are arguments; bytes to write, events and deadlines are results. Whoever owns
//! the connection moves them. The modules, in the order in which a connection meets them:
//!
//! * [`handshake`]: greeting, version negotiation and security mechanism, up to the first message;
//! * [`zap`]: the question to whoever decides about peers, and the answer;
//! * [`frame`]: the header before every message part and command afterwards;
//! * [`command`] and [`metadata`]: what a command frame carries;
//! * [`heartbeat`]: when to send a PING and when to give a silent peer up;
//! * [`datagram`]: the other form, without a connection: RADIO and DISH over UDP;
//! * [`socket_type`]: the socket types and which of them may talk to each other;
//! * [`curve`]: keys, and what encrypts the traffic of the mechanism CURVE; [`z85`]: the text form of keys;
//! * `gssapi`, behind the feature of that name: the same on the system's Kerberos;
//! * [`cipher`]: what encrypts the traffic, whichever mechanism it is of;
//! * [`zws`]: ZMTP over WebSocket, with an HTTP upgrade for a greeting and frames of its own.
//!
//! With `gssapi` on, a handshake of that mechanism calls the system's Kerberos, which may read files and ask a KDC. It is
//! the only thing here that does.
//!
//! Nothing here trusts the peer: every byte sequence, cut anywhere, gives the same result or an
//! error, and memory grows with the bytes received, never with a length announced.
//!
//! Sources: 37/ZMTP (3.1), 23/ZMTP (3.0), 15/ZMTP (2.0), 13/ZMTP (1.0), 24/PLAIN, 26/CURVEZMQ, 27/ZAP, 32/Z85,
//! 45/ZWS, and libzmq 4.3.5 where they are silent.

#![forbid(unsafe_code)]

pub mod cipher;
pub mod command;
pub mod datagram;
pub mod frame;
pub mod handshake;
pub mod heartbeat;
mod mechanism;
pub mod metadata;
pub mod socket_type;
pub mod z85;
pub mod zap;
pub mod zws;

pub use cipher::Cipher;
pub use handshake::{Framing, Handshake, HandshakeConfig, HandshakeError, Peer, Stage};
pub use heartbeat::{Heartbeat, HeartbeatAction};
pub use mechanism::curve;
#[cfg(feature = "gssapi")]
pub use mechanism::gssapi;
pub use mechanism::{PlainCredentials, Security};
pub use socket_type::SocketType;
pub use zap::{Zap, ZapReply, ZapRequest};
