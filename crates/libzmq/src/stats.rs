//! What `zlink.h` adds to libzmq's interface: the counters of a socket and of its peers.

use std::ffi::{c_int, c_void};

use crate::error::{Failure, call};
use crate::socket::enter;
use crate::utils::output;

macro_rules! stats {
    ($($field:ident,)+) => {
        /// The fields of `zlink_socket_stats_t`, in their order.
        pub(crate) fn fields(stats: &zlink::SocketStats) -> impl Iterator<Item = u64> + use<> {
            [$(stats.$field,)+].into_iter()
        }
    };
}

// As in `zlink.h`. New ones come last.
stats! {
    immediate_writes, gathered_writes, io_thread_writes, timeout_flushes, would_block, direct_reads, io_thread_reads,
    wakeups, dropped, protocol_errors, oversized_messages, heartbeat_timeouts, reconnects, naps, paced_sends,
    messages_written, bytes_written, messages_read, bytes_read, copied_bytes, size_flushes, count_flushes,
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
        fill(place, fields(&socket.stats()));
        Ok(0)
    })
}

/// Fills `place` with numbers, and with 0 what is left of it: a program may know more counters than this library has.
fn fill(place: &mut [u8], values: impl Iterator<Item = u64>) {
    for (field, value) in place.chunks_exact_mut(size_of::<u64>()).zip(values.chain(std::iter::repeat(0))) {
        field.copy_from_slice(&value.to_ne_bytes());
    }
}

/// Bytes for an endpoint in `zlink_peer_stats_t`, the closing zero among them.
const ENDPOINT: usize = 256;

/// `zlink_peer_stats`: fills in what is known of each peer of a socket, as many as the caller has room for, each as far as the
/// caller knows of it.
///
/// # Safety
///
/// `count` is null or valid for reads and writes of a number. `peers` is null or valid for writes of as many times `size`
/// bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zlink_peer_stats(
    socket: *mut c_void,
    peers: *mut c_void,
    size: usize,
    count: *mut usize,
) -> c_int {
    call(-1, || {
        let socket = enter(socket)?;
        // SAFETY: the caller's.
        let count = unsafe { count.as_mut() }.ok_or(Failure(libc::EFAULT))?;
        if size <= 2 * ENDPOINT || !size.is_multiple_of(size_of::<u64>()) {
            return Err(Failure(libc::EINVAL));
        }
        let room = size.checked_mul(*count).ok_or(Failure(libc::EINVAL))?;
        if peers.is_null() && room > 0 {
            return Err(Failure(libc::EFAULT));
        }
        let known = socket.peer_stats()?;
        *count = known.len();
        if room > 0 {
            // SAFETY: the caller's.
            let places = unsafe { output(peers, room) }?;
            for (place, peer) in places.chunks_exact_mut(size).zip(&known) {
                let (local, rest) = place.split_at_mut(ENDPOINT);
                let (remote, rest) = rest.split_at_mut(ENDPOINT);
                name(local, &peer.local);
                name(remote, &peer.remote);
                fill(rest, [peer.queued_out, peer.queued_in].into_iter().chain(fields(&peer.counters)));
            }
        }
        Ok(0)
    })
}

/// Writes an endpoint and zeros behind it, cut where there is no room for all of it.
fn name(place: &mut [u8], endpoint: &str) {
    place.fill(0);
    let length = endpoint.len().min(place.len() - 1);
    place[..length].copy_from_slice(&endpoint.as_bytes()[..length]);
}
