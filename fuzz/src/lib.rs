//! The fuzz targets, as plain functions of bytes.
//!
//! `fuzz_targets/` mounts them for libfuzzer, and `tests/replay.rs` as tests that need nothing but a stable
//! toolchain. A function returns normally for every input; whatever it finds it reports by a panic.

mod curve;
mod datagrams;
mod encoder;
mod endpoints;
#[cfg(feature = "gssapi")]
mod gssapi;
mod input;
mod memory;
mod options;
mod queue_ops;
mod raw_stream;
mod read_half;
mod security;
mod socket_ops;
mod socks;
mod subscriptions;
mod websocket;
mod z85;
mod zmtp;

pub use curve::{curve_handshake, curve_messages};
pub use datagrams::datagrams;
pub use encoder::encoder;
pub use endpoints::endpoints;
#[cfg(feature = "gssapi")]
pub use gssapi::{gssapi_handshake, gssapi_messages};
pub use options::options;
pub use queue_ops::queue_ops;
pub use raw_stream::raw_stream;
pub use read_half::read_half;
pub use security::{plain, zap_reply};
pub use socket_ops::socket_ops;
pub use socks::socks;
pub use subscriptions::subscriptions;
pub use websocket::{ws_bind, ws_connect, ws_frames};
pub use z85::z85;
pub use zmtp::{frames, greeting, handshake};

/// A target's name and function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("greeting", greeting),
    ("handshake", handshake),
    ("plain", plain),
    ("zap_reply", zap_reply),
    ("frames", frames),
    ("curve_handshake", curve_handshake),
    ("curve_messages", curve_messages),
    #[cfg(feature = "gssapi")]
    ("gssapi_handshake", gssapi_handshake),
    #[cfg(feature = "gssapi")]
    ("gssapi_messages", gssapi_messages),
    ("endpoints", endpoints),
    ("datagrams", datagrams),
    ("read_half", read_half),
    ("encoder", encoder),
    ("raw_stream", raw_stream),
    ("subscriptions", subscriptions),
    ("socket_ops", socket_ops),
    ("socks", socks),
    ("queue_ops", queue_ops),
    ("ws_bind", ws_bind),
    ("ws_connect", ws_connect),
    ("ws_frames", ws_frames),
    ("options", options),
    ("z85", z85),
];
