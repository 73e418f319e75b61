//! Errors: `errno`, its texts, and the way from a result to a C function's return value.

use std::ffi::{CStr, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// First of the numbers that only ZeroMQ has.
const HAUSNUMERO: c_int = 156_384_712;
pub(crate) const EFSM: c_int = HAUSNUMERO + 51;
pub(crate) const ENOCOMPATPROTO: c_int = HAUSNUMERO + 52;
pub(crate) const ETERM: c_int = HAUSNUMERO + 53;
pub(crate) const EMTHREAD: c_int = HAUSNUMERO + 54;

/// Why a call failed: the number that `errno` gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) c_int);

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl From<zlink::Error> for Failure {
    #[cold]
    fn from(error: zlink::Error) -> Self {
        Failure(error.errno())
    }
}

/// Runs the body of a C function. A failure sets `errno` and returns `failed`; so does a panic, with
/// `ENOTRECOVERABLE`.
#[inline(always)]
pub(crate) fn call<T>(failed: T, body: impl FnOnce() -> Result<T>) -> T {
    // What a panic leaves behind is the library's to keep in order; its locks ignore poison for that reason.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        Ok(Err(Failure(number))) => {
            set_errno(number);
            failed
        }
        Err(payload) => {
            // Dropping the payload could panic again.
            std::mem::forget(payload);
            set_errno(libc::ENOTRECOVERABLE);
            failed
        }
    }
}

#[cold]
fn set_errno(number: c_int) {
    // SAFETY: glibc and musl return the address of the calling thread's `errno`, valid as long as the thread.
    unsafe { *libc::__errno_location() = number };
}

/// `zmq_errno`: the calling thread's `errno`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_errno() -> c_int {
    // SAFETY: as in `set_errno`.
    unsafe { *libc::__errno_location() }
}

/// `zmq_strerror`: an error number in words.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_strerror(number: c_int) -> *const c_char {
    own_text(number).map_or_else(
        // SAFETY: takes any number and returns a string that is valid until the thread's next call.
        || unsafe { libc::strerror(number) }.cast_const(),
        CStr::as_ptr,
    )
}

fn own_text(number: c_int) -> Option<&'static CStr> {
    Some(match number {
        EFSM => c"The socket's present state does not allow this operation",
        ENOCOMPATPROTO => c"The transport does not go with the socket type",
        ETERM => c"The context was terminated",
        EMTHREAD => c"The context has no I/O thread",
        _ => return None,
    })
}
