//! Proxies.

use std::ffi::{c_int, c_void};

use crate::error::{Failure, Result, call};
use crate::handle::Entered;
use crate::socket::{Socket, enter};

fn optional(socket: *mut c_void) -> Result<Option<Entered<Socket>>> {
    if socket.is_null() { Ok(None) } else { enter(socket).map(Some) }
}

fn required(socket: *mut c_void) -> Result<Entered<Socket>> {
    if socket.is_null() { Err(Failure(libc::EFAULT)) } else { enter(socket) }
}

/// `zmq_proxy`: passes messages on until the context is terminated. Always returns −1.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_proxy(frontend: *mut c_void, backend: *mut c_void, capture: *mut c_void) -> c_int {
    zmq_proxy_steerable(frontend, backend, capture, std::ptr::null_mut())
}

/// `zmq_proxy_steerable`: as `zmq_proxy`, and obeys the commands that come in at `control`. Returns 0 after
/// `TERMINATE`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_proxy_steerable(
    frontend: *mut c_void,
    backend: *mut c_void,
    capture: *mut c_void,
    control: *mut c_void,
) -> c_int {
    call(-1, || {
        let one_socket = frontend == backend;
        let frontend = required(frontend)?;
        let backend = required(backend)?;
        // The library tells one socket by its address, which two entries of a handle share.
        debug_assert_eq!(one_socket, std::ptr::eq::<zlink::Socket>(&**frontend, &**backend));
        let (capture, control) = (optional(capture)?, optional(control)?);
        let capture: Option<&zlink::Socket> = capture.as_ref().map(|capture| &***capture);
        match &control {
            Some(control) => zlink::proxy_steerable(&frontend, &backend, capture, control).map(drop)?,
            None => zlink::proxy(&frontend, &backend, capture)?,
        }
        Ok(0)
    })
}

/// `zmq_device`, the old name of `zmq_proxy`. The type never meant anything.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_device(_type: c_int, frontend: *mut c_void, backend: *mut c_void) -> c_int {
    zmq_proxy(frontend, backend, std::ptr::null_mut())
}
