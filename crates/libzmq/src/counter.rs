//! Atomic counters.
//!
//! A counter is a number on the heap and nothing else: programs may use one in the hottest of loops. So a pointer that
//! is neither null nor a counter cannot be told from one.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::error::{Failure, Result, call};

/// # Safety
///
/// `counter` is null or came from `zmq_atomic_counter_new` and was not destroyed, for the lifetime chosen.
unsafe fn at<'a>(counter: *mut c_void) -> Result<&'a AtomicI32> {
    // SAFETY: the caller's.
    unsafe { counter.cast::<AtomicI32>().as_ref() }.ok_or(Failure(libc::EFAULT))
}

/// `zmq_atomic_counter_new`: a counter of 0.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_atomic_counter_new() -> *mut c_void {
    call(ptr::null_mut(), || Ok(Box::into_raw(Box::new(AtomicI32::new(0))).cast()))
}

/// `zmq_atomic_counter_set`.
///
/// # Safety
///
/// `counter` is null or a counter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_atomic_counter_set(counter: *mut c_void, value: c_int) {
    call((), || {
        // SAFETY: the caller's.
        unsafe { at(counter) }?.store(value, Ordering::SeqCst);
        Ok(())
    });
}

/// `zmq_atomic_counter_inc`: adds 1. Returns the value before.
///
/// # Safety
///
/// `counter` is null or a counter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_atomic_counter_inc(counter: *mut c_void) -> c_int {
    // SAFETY: the caller's.
    call(0, || Ok(unsafe { at(counter) }?.fetch_add(1, Ordering::SeqCst)))
}

/// `zmq_atomic_counter_dec`: takes 1 away. Returns 0 if that makes 0, else 1.
///
/// # Safety
///
/// `counter` is null or a counter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_atomic_counter_dec(counter: *mut c_void) -> c_int {
    // SAFETY: the caller's.
    call(0, || Ok((unsafe { at(counter) }?.fetch_sub(1, Ordering::SeqCst) != 1).into()))
}

/// `zmq_atomic_counter_value`.
///
/// # Safety
///
/// `counter` is null or a counter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_atomic_counter_value(counter: *mut c_void) -> c_int {
    // SAFETY: the caller's.
    call(0, || Ok(unsafe { at(counter) }?.load(Ordering::SeqCst)))
}

/// `zmq_atomic_counter_destroy`: frees the counter and sets the caller's pointer to null.
///
/// # Safety
///
/// `counter` is null or points to null or a counter, which is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_atomic_counter_destroy(counter: *mut *mut c_void) {
    call((), || {
        // SAFETY: the caller's.
        let place = unsafe { counter.as_mut() }.ok_or(Failure(libc::EFAULT))?;
        let counter = std::mem::replace(place, ptr::null_mut());
        if !counter.is_null() {
            // SAFETY: the box of `zmq_atomic_counter_new`, given up by the caller.
            drop(unsafe { Box::from_raw(counter.cast::<AtomicI32>()) });
        }
        Ok(())
    });
}
