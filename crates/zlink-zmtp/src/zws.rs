//! ZWS, ZMTP over WebSocket: the HTTP upgrade and the frames behind it.
//!
//! * [`upgrade`]: request and response, which also agree on the security mechanism: the subprotocols are
//!   `ZWS2.0/NULL`, `ZWS2.0/PLAIN` and so on. There is no ZMTP greeting.
//! * [`frame`]: every ZMTP frame is one binary WebSocket message that begins with a byte of flags; PING, PONG
//!   and CLOSE are WebSocket's own.
//! * [`mask`]: what a client does to all it sends.
//!
//! The frames are ours rather than a WebSocket library's: such a library owns the stream and hands out a
//! message at a time, each with an allocation, and none knows the byte of flags. HTTP, SHA-1 and Base64 are
//! those of `httparse`, `sha1` and `base64`.
//!
//! Sources: 45/ZWS, RFC 6455, and libzmq 4.3.5 where they are silent.

pub mod frame;
pub mod mask;
pub mod upgrade;
