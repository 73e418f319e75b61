//! Contexts.

use std::ffi::{c_int, c_void};

use zlink::{Context, raw};

use crate::error::{Failure, call};
use crate::handle::{self, Object};
use crate::utils::{input, output};

// SAFETY: the number is no other type's.
unsafe impl Object for Context {
    const KIND: u32 = 0xC0_47_E8_75;
    const WRONG: Failure = Failure(libc::EFAULT);
}

const IO_THREADS: c_int = 1;

/// `zmq_ctx_new`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_ctx_new() -> *mut c_void {
    call(std::ptr::null_mut(), || handle::open(Context::new()))
}

/// `zmq_init`: a context with this number of I/O threads.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_init(io_threads: c_int) -> *mut c_void {
    call(std::ptr::null_mut(), || {
        let context = Context::new();
        context.set_option(IO_THREADS, &io_threads.to_ne_bytes())?;
        handle::open(context)
    })
}

/// `zmq_ctx_term`: waits until all sockets are closed and what they had queued is sent or given up. Interrupted by a
/// signal (`EINTR`), it can be called again. In a child process a context of the parent's ends at once.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_ctx_term(context: *mut c_void) -> c_int {
    call(-1, || {
        if handle::is_inherited::<Context>(context) {
            handle::close::<Context>(context, |_| {})?;
            return Ok(0);
        }
        let entered = handle::enter::<Context>(context)?;
        raw::terminate(&entered)?;
        drop(entered);
        // Of several threads that terminate the context, all wait and one succeeds.
        handle::close::<Context>(context, |_| {})?;
        Ok(0)
    })
}

/// `zmq_term`, the old name of `zmq_ctx_term`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_term(context: *mut c_void) -> c_int {
    zmq_ctx_term(context)
}

/// `zmq_ctx_destroy`, the old name of `zmq_ctx_term`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_ctx_destroy(context: *mut c_void) -> c_int {
    zmq_ctx_term(context)
}

/// `zmq_ctx_shutdown`: makes blocking calls on the context's sockets fail with `ETERM`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_ctx_shutdown(context: *mut c_void) -> c_int {
    call(-1, || {
        handle::enter::<Context>(context)?.shutdown();
        Ok(0)
    })
}

/// `zmq_ctx_set`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_ctx_set(context: *mut c_void, option: c_int, value: c_int) -> c_int {
    call(-1, || {
        handle::enter::<Context>(context)?.set_option(option, &value.to_ne_bytes())?;
        Ok(0)
    })
}

/// `zmq_ctx_get`: the value, or −1, which no option of a context has as its value but `ZMQ_THREAD_SCHED_POLICY`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_ctx_get(context: *mut c_void, option: c_int) -> c_int {
    call(-1, || {
        let mut value = [0; size_of::<c_int>()];
        handle::enter::<Context>(context)?.option(option, &mut value)?;
        Ok(c_int::from_ne_bytes(value))
    })
}

/// `zmq_ctx_set_ext`.
///
/// # Safety
///
/// `value` is null or valid for reads of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_ctx_set_ext(
    context: *mut c_void,
    option: c_int,
    value: *const c_void,
    size: usize,
) -> c_int {
    call(-1, || {
        let context = handle::enter::<Context>(context)?;
        // SAFETY: the caller's.
        context.set_option(option, unsafe { input(value, size) }?)?;
        Ok(0)
    })
}

/// `zmq_ctx_get_ext`. As in libzmq, `*size` stays what it is, even if the value is shorter.
///
/// # Safety
///
/// `size` is null or valid for reads; `value` is null or valid for writes of `*size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_ctx_get_ext(
    context: *mut c_void,
    option: c_int,
    value: *mut c_void,
    size: *mut usize,
) -> c_int {
    call(-1, || {
        let context = handle::enter::<Context>(context)?;
        // SAFETY: the caller's.
        let size = unsafe { size.as_ref() }.ok_or(Failure(libc::EFAULT))?;
        // SAFETY: the caller's.
        context.option(option, unsafe { output(value, *size) }?)?;
        Ok(0)
    })
}
