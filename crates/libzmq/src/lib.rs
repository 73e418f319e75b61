//! libzmq's C interface over zlink: the shared object `libzmq.so.5`.
//!
//! A file holds a section of `zmq.h`, and one what is in `zlink.h`. This crate converts arguments and results and owns the handles; what a call
//! does is the library's.
//!
//! # Handles
//!
//! A `void *` that a C program holds for a context, a socket, a poller or a set of timers is the address of a slot in a
//! fixed table (`handle.rs`). So every pointer can be told from a handle without following it, and a closed handle
//! stays readable for ever: wrong, foreign and closed handles give `EFAULT` or `ENOTSOCK`, never a crash. What a
//! slot refers to is freed only when no thread is inside a call on it; closing a socket wakes those that wait.
//!
//! # Panics
//!
//! No panic crosses into C. One in the library is a defect of it; the call then fails with `ENOTRECOVERABLE`, which
//! no other failure uses.

#![deny(unsafe_op_in_unsafe_fn)]

mod context;
mod counter;
mod error;
mod handle;
mod message;
mod monitor;
mod poll;
mod poller;
mod proxy;
mod socket;
mod stats;
mod timers;
mod utils;
mod vectors;
mod z85;
