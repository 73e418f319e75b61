//! The heap of a process: the only module with unsafe code.
//!
//! What glibc has been given back it keeps for later, in pieces between others that are in use: a queue that once held
//! many messages is seen in what the process takes for good, though nothing leaks. So what is free is given to the kernel
//! before memory is measured.

/// Gives the kernel all whole pages that are free, and returns how many bytes are allocated, but for what libzmq has.
pub(super) fn settle() -> u64 {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim may be called by any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
    crate::ALLOCATED.current_usage() as u64
}
