//! CURVE: the handshake and the messages of CurveZMQ, with X25519, XSalsa20 and Poly1305.
//!
//! ```text
//!  client                                                     server
//!    │  HELLO     C', Box[64 × 0](C'→S)                          │
//!    │ ─────────────────────────────────────────────────────────►│
//!    │  WELCOME   Box[S' + cookie](S→C')                         │
//!    │ ◄─────────────────────────────────────────────────────────│
//!    │  INITIATE  cookie, Box[C + vouch + metadata](C'→S')       │
//!    │ ─────────────────────────────────────────────────────────►│  ZAP, with C as the credential
//!    │  READY     Box[metadata](S'→C')                           │
//!    │ ◄─────────────────────────────────────────────────────────│
//!    │  MESSAGE   Box[flags + body](C'→S') or (S'→C')            │
//!    │ ◄────────────────────────────────────────────────────────►│
//! ```
//!
//! C and S are the long-term keys, C' and S' those of this connection; vouch = Box[C' + S](C→S').
//!
//! Short nonces count up by one in each direction; a peer's that does not grow is refused, and counts only once its
//! box has been opened. Every secret is wiped when it is dropped.
//!
//! Sources: 26/CURVEZMQ, 25/ZMTP-CURVE; libzmq 4.3.5 where they are silent.

mod client;
mod error;
mod keys;
mod message;
mod seal;
mod server;

pub use client::ClientKeys;
pub use error::CurveError;
pub use keys::{KEY_LEN, NoRandomness, PublicKey, SecretKey, Z85_KEY_LEN};
pub use message::{Cipher, OVERHEAD, Opened, Opener, Sealer};
pub use server::ServerKeys;

pub(super) use client::Client;
pub(super) use server::Server;

#[cfg(test)]
mod tests;
