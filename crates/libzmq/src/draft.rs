//! Functions of `zmq.h` that this version does not have. They are there, so that programs link, and fail with
//! `ENOTSUP`.

use std::ffi::{c_char, c_int, c_long, c_short, c_void};
use std::ptr;

use crate::error::{Failure, call};

macro_rules! not_supported {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $failed:expr;)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`: fails with `ENOTSUP`.")]
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($($argument: $type),*) -> $result {
                let _ = ($($argument,)*);
                call($failed, || Err(Failure(libc::ENOTSUP)))
            }
        )*
    };
}

not_supported! {
    zmq_curve_keypair(public: *mut c_char, secret: *mut c_char) -> c_int = -1;
    zmq_curve_public(public: *mut c_char, secret: *const c_char) -> c_int = -1;

    zmq_socket_get_peer_state(socket: *mut c_void, routing_id: *const c_void, size: usize) -> c_int = -1;
    zmq_socket_monitor_pipes_stats(socket: *mut c_void) -> c_int = -1;

    zmq_poller_new() -> *mut c_void = ptr::null_mut();
    zmq_poller_destroy(poller: *mut *mut c_void) -> c_int = -1;
    zmq_poller_size(poller: *mut c_void) -> c_int = -1;
    zmq_poller_add(poller: *mut c_void, socket: *mut c_void, data: *mut c_void, events: c_short) -> c_int = -1;
    zmq_poller_modify(poller: *mut c_void, socket: *mut c_void, events: c_short) -> c_int = -1;
    zmq_poller_remove(poller: *mut c_void, socket: *mut c_void) -> c_int = -1;
    zmq_poller_add_fd(poller: *mut c_void, fd: c_int, data: *mut c_void, events: c_short) -> c_int = -1;
    zmq_poller_modify_fd(poller: *mut c_void, fd: c_int, events: c_short) -> c_int = -1;
    zmq_poller_remove_fd(poller: *mut c_void, fd: c_int) -> c_int = -1;
    zmq_poller_wait(poller: *mut c_void, event: *mut c_void, timeout: c_long) -> c_int = -1;
    zmq_poller_wait_all(poller: *mut c_void, events: *mut c_void, count: c_int, timeout: c_long) -> c_int = -1;
    zmq_poller_fd(poller: *mut c_void, fd: *mut c_int) -> c_int = -1;
}
