//! What `zlink.h` adds to libzmq's interface: a socket's counters.

use std::ffi::{c_int, c_void};

use crate::error::{Failure, call};
use crate::socket::enter;
use crate::utils::output;

macro_rules! stats {
    ($($field:ident,)+) => {
        /// The fields of `zlink_socket_stats_t`, in their order.
        fn fields(stats: &zlink::SocketStats) -> impl Iterator<Item = u64> + use<> {
            [$(stats.$field,)+].into_iter()
        }
    };
}

// As in `zlink.h`. New ones come last.
stats! {
    immediate_writes, gathered_writes, io_thread_writes, timeout_flushes, would_block, direct_reads, io_thread_reads,
    wakeups, dropped, protocol_errors, oversized_messages, heartbeat_timeouts, reconnects, naps, paced_sends,
}

/// `zlink_socket_stats`: fills in the counters of a socket, as many as the caller has room for.
///
/// # Safety
///
/// `stats` is null or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zlink_socket_stats(socket: *mut c_void, stats: *mut c_void, size: usize) -> c_int {
    call(-1, || {
        let socket = enter(socket)?;
        if stats.is_null() {
            return Err(Failure(libc::EFAULT));
        }
        if size == 0 || !size.is_multiple_of(size_of::<u64>()) {
            return Err(Failure(libc::EINVAL));
        }
        // SAFETY: the caller's.
        let place = unsafe { output(stats, size) }?;
        // A program may know more counters than this library has.
        let values = fields(&socket.stats()).chain(std::iter::repeat(0));
        for (field, value) in place.chunks_exact_mut(size_of::<u64>()).zip(values) {
            field.copy_from_slice(&value.to_ne_bytes());
        }
        Ok(0)
    })
}
