//! What the interoperation tests are made of: zlink and libzmq 4.3.5 behind one face, and peers that speak
//! older versions of ZMTP byte by byte.
//!
//! A [`Node`] is a socket of either library, so that a behaviour is written once and run with the two on
//! either side. A [`Case`] says who is which and how they meet; a [`Conversation`] hides what differs from
//! pattern to pattern in addressing a peer. A [`WirePeer`] is a plain stream whose bytes the test spells out.
//!
//! Every wait has a limit, [`GUARD`], that only a failure reaches.

#![deny(unsafe_code)]

mod case;
mod conversation;
#[allow(unsafe_code)]
pub mod libzmq;
mod node;
pub mod option;
mod place;
mod wire;

use std::time::Duration;

pub use case::{Case, Flow, Pairing, Side};
pub use conversation::Conversation;
pub use node::{Label, Library, Node, Parts};
pub use place::{Place, Transport};
pub use wire::{WireListener, WirePeer, meet, v1_frame, v2_frame};

/// How long anything may take before the test counts it as hanging.
pub const GUARD: Duration = Duration::from_secs(30);

/// The sizes, in bytes, at which an implementation of ZMTP changes its ways: empty, inline, short and long
/// frames, buffers, large bodies.
pub const SIZES: [usize; 10] = [0, 1, 33, 34, 255, 256, 8191, 8193, 64 * 1024, 1024 * 1024];

/// A body of `size` bytes that differs from others of its size by `seed`, and from itself shifted.
pub fn body(size: usize, seed: usize) -> Vec<u8> {
    (0..size).map(|i| (i ^ (i >> 8) ^ (i >> 16)).wrapping_add(seed.wrapping_mul(31)) as u8).collect()
}
