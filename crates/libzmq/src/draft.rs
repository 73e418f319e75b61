//! Functions of `zmq.h` that this version does not have. They are there, so that programs link, and fail with
//! `ENOTSUP`.

use std::ffi::{c_char, c_int};

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

}
