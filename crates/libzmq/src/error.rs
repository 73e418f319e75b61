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

/// The texts of libzmq 4.3.5, by which programs may tell errors apart.
fn own_text(number: c_int) -> Option<&'static CStr> {
    Some(match number {
        EFSM => c"Operation cannot be accomplished in current state",
        ENOCOMPATPROTO => c"The protocol is not compatible with the socket type",
        ETERM => c"Context was terminated",
        EMTHREAD => c"No thread available",
        libc::EHOSTUNREACH => c"Host unreachable",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use zlink::{EndpointError, Error, OptionError};

    use super::*;

    fn endpoint(error: EndpointError) -> Error {
        Error::Endpoint(error)
    }

    /// The number that `zmq.h` and the manual give each error.
    #[test]
    fn every_error_of_the_library_has_its_number() {
        let os = |number| Error::Os { operation: "test", source: std::io::Error::from_raw_os_error(number) };
        let rows = [
            (Error::WouldBlock, libc::EAGAIN),
            (Error::Interrupted, libc::EINTR),
            (Error::Terminated, ETERM),
            (Error::Closed, libc::ENOTSOCK),
            (Error::WrongState, EFSM),
            (Error::NotSupported, libc::ENOTSUP),
            (Error::HostUnreachable, libc::EHOSTUNREACH),
            (Error::InvalidArgument, libc::EINVAL),
            (Error::NoSuchEndpoint, libc::ENOENT),
            (Error::AddressInUse, libc::EADDRINUSE),
            (Error::TooManySockets, libc::EMFILE),
            (Error::NoIoThread, EMTHREAD),
            (Error::IncompatibleTransport, ENOCOMPATPROTO),
            (endpoint(EndpointError::Malformed { endpoint: String::new(), reason: "" }), libc::EINVAL),
            (endpoint(EndpointError::UnknownTransport { transport: String::new() }), libc::EPROTONOSUPPORT),
            (endpoint(EndpointError::PathTooLong { length: 200, max: 107 }), libc::ENAMETOOLONG),
            (endpoint(EndpointError::NoDevice { name: String::new() }), libc::ENODEV),
            (Error::Option(OptionError::Unknown { id: 0 }), libc::EINVAL),
            (os(libc::EINTR), libc::EINTR),
            (os(libc::EACCES), libc::EACCES),
        ];
        for (error, number) in rows {
            let text = format!("{error:?}");
            assert_eq!(Failure::from(error), Failure(number), "{text}");
        }
    }

    #[test]
    fn a_panic_is_an_error_and_goes_no_further() {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let result = call(-1, || -> Result<c_int> { panic!("a defect") });
        std::panic::set_hook(hook);
        assert_eq!((result, zmq_errno()), (-1, libc::ENOTRECOVERABLE));
    }
}
