//! What zlink's transports ask of the kernel's sockets and rustix does not have.
//!
//! What hands memory to the kernel is unsafe code: it stands here, so that it stands nowhere in the transports.

pub mod tipc;
