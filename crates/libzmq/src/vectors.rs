//! Sends and receives of several parts through `struct iovec`, old and kept for old programs.

use std::ffi::{c_int, c_void};
use std::ptr;

use libc::iovec;
use zlink::raw;
use zlink_pipe::Message;

use crate::error::{Failure, call};
use crate::socket::{DONTWAIT, SNDMORE, enter, returned};
use crate::utils::input_to_copy;

/// `zmq_sendiov`: sends each vector as a part. `ZMQ_SNDMORE` joins them to one message, which ends with the last.
/// Returns the size of the last part.
///
/// # Safety
///
/// `vectors` is null or valid for reads of `count` vectors, each valid for reads of its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_sendiov(
    socket: *mut c_void,
    vectors: *mut iovec,
    count: usize,
    flags: c_int,
) -> c_int {
    call(-1, || {
        let socket = enter(socket)?;
        if vectors.is_null() || count == 0 {
            return Err(Failure(libc::EINVAL));
        }
        let mut sent = 0;
        for at in 0..count {
            // SAFETY: the caller's.
            let bytes = unsafe {
                let vector = vectors.add(at).read();
                input_to_copy(vector.iov_base, vector.iov_len)?
            };
            let more = flags & SNDMORE != 0 && at + 1 < count;
            raw::send_slice(&socket, bytes, more, flags & DONTWAIT != 0)?;
            sent = returned(bytes.len());
        }
        Ok(sent)
    })
}

/// `zmq_recviov`: receives the parts of a message, up to `*count`, each into memory of its own that the caller
/// gives back with `free`. Returns the number of parts, and stores it in `*count`.
///
/// # Safety
///
/// `count` is null or valid for reads and writes, `vectors` is null or valid for writes of `*count` vectors.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_recviov(
    socket: *mut c_void,
    vectors: *mut iovec,
    count: *mut usize,
    flags: c_int,
) -> c_int {
    call(-1, || {
        let socket = enter(socket)?;
        // SAFETY: the caller's.
        let count = unsafe { count.as_mut() }.ok_or(Failure(libc::EINVAL))?;
        let room = *count;
        if vectors.is_null() || room == 0 {
            return Err(Failure(libc::EINVAL));
        }
        *count = 0;
        let mut message = Message::new();
        for at in 0..room {
            raw::recv_message(&socket, &mut message, flags & DONTWAIT != 0)?;
            let vector = iovec { iov_base: allocated_copy(&message)?, iov_len: message.len() };
            // SAFETY: the caller's; `at` is less than `*count` was.
            unsafe { vectors.add(at).write(vector) };
            *count += 1;
            if !message.more() {
                break;
            }
        }
        Ok(returned(*count))
    })
}

/// A copy in memory that C's `free` takes back.
fn allocated_copy(bytes: &[u8]) -> Result<*mut c_void, Failure> {
    // One byte at the least: for none, `malloc` may return null.
    // SAFETY: takes any size.
    let memory = unsafe { libc::malloc(bytes.len().max(1)) };
    if memory.is_null() {
        return Err(Failure(libc::ENOMEM));
    }
    // SAFETY: fresh memory of that size.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), memory.cast(), bytes.len()) };
    Ok(memory)
}
