//! What zlink's transports ask of the kernel's sockets and rustix does not have.
//!
//! What hands memory to the kernel is unsafe code: it stands here, so that it stands nowhere in the transports.

pub mod tipc;

use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

/// Has the kernel report a socket as readable, to `poll` and its like, once so many bytes are there (`SO_RCVLOWAT`; 1 by
/// default). The end of the stream and errors are reported at once, and so is what is there when the socket can take no more.
///
/// Unix sockets do not heed it. Source: `socket(7)`.
///
/// # Errors
///
/// What `setsockopt` reports: `EBADF` and `ENOTSOCK` cannot be, for a descriptor that is a socket.
pub fn set_receive_low_water(socket: impl AsFd, bytes: i32) -> Result<(), Errno> {
    // SAFETY: the kernel reads an int, whose size it is told.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const bytes).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if outcome == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}
