//! `zmq_z85_encode` and `zmq_z85_decode`, and the functions for keys of CURVE, whose text form it is.
//!
//! Source: 32/Z85, 26/CURVEZMQ.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;

use zlink::curve::{SecretKey, Z85_KEY_LEN};
use zlink::z85;

use crate::error::{Failure, Result, call};
use crate::utils::{input, output};

/// `zmq_z85_encode`: writes the text of `size` bytes, a multiple of 4, and a zero byte. Returns `text`, or null.
///
/// # Safety
///
/// `data` is null or valid for reads of `size` bytes, `text` null or valid for writes of 5/4 of that and one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_z85_encode(text: *mut c_char, data: *const u8, size: usize) -> *mut c_char {
    call(ptr::null_mut(), || {
        if !size.is_multiple_of(4) || text.is_null() {
            return Err(Failure(libc::EINVAL));
        }
        // SAFETY: the caller's.
        let bytes = unsafe { input(data.cast(), size) }?;
        let length = (size / 4).checked_mul(5).ok_or(Failure(libc::EINVAL))?;
        // SAFETY: the caller's.
        let out = unsafe { output(text.cast(), length + 1) }?;
        z85::encode(bytes, &mut out[..length]);
        out[length] = 0;
        Ok(text)
    })
}

/// `zmq_z85_decode`: writes the bytes of a text, of a length that is a multiple of 5 and not 0. Returns `data`, or
/// null if the text is none; the memory at `data` may have changed then.
///
/// # Safety
///
/// `text` is null or ends in a zero byte, `data` is null or valid for writes of 4/5 of its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_z85_decode(data: *mut u8, text: *const c_char) -> *mut u8 {
    call(ptr::null_mut(), || -> Result<*mut u8> {
        if data.is_null() || text.is_null() {
            return Err(Failure(libc::EINVAL));
        }
        // SAFETY: not null, and the caller's word.
        let text = unsafe { CStr::from_ptr(text) }.to_bytes();
        if text.is_empty() || !text.len().is_multiple_of(5) {
            return Err(Failure(libc::EINVAL));
        }
        // SAFETY: the caller's.
        let bytes = unsafe { output(data.cast(), text.len() / 5 * 4) }?;
        z85::decode(text, bytes).ok_or(Failure(libc::EINVAL))?;
        Ok(data)
    })
}

/// Writes a key's text and a zero byte.
///
/// # Safety
///
/// `to` is null or valid for writes of 41 bytes.
unsafe fn write_key(to: *mut c_char, key: &[u8]) -> Result<()> {
    // SAFETY: the caller's.
    let out = unsafe { output(to.cast(), Z85_KEY_LEN + 1) }?;
    z85::encode(key, &mut out[..Z85_KEY_LEN]);
    out[Z85_KEY_LEN] = 0;
    Ok(())
}

/// `zmq_curve_keypair`: makes a new pair of keys and writes their texts, 40 characters and a zero byte each.
///
/// # Safety
///
/// Each argument is null or valid for writes of 41 bytes; the two do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_curve_keypair(public: *mut c_char, secret: *mut c_char) -> c_int {
    call(-1, || {
        if public.is_null() || secret.is_null() {
            return Err(Failure(libc::EFAULT));
        }
        let key = SecretKey::generate().map_err(|_| Failure(libc::EIO))?;
        // SAFETY: the caller's.
        unsafe {
            write_key(public, &key.public_key().0)?;
            write_key(secret, key.as_bytes())?;
        }
        Ok(0)
    })
}

/// `zmq_curve_public`: writes the text of the public key that belongs to a secret one.
///
/// # Safety
///
/// `public` is null or valid for writes of 41 bytes, `secret` null or a string that ends in a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_curve_public(public: *mut c_char, secret: *const c_char) -> c_int {
    call(-1, || {
        if public.is_null() || secret.is_null() {
            return Err(Failure(libc::EFAULT));
        }
        // SAFETY: not null, and the caller's word.
        let text = unsafe { CStr::from_ptr(secret) }.to_bytes();
        let key = SecretKey::from_z85(text).ok_or(Failure(libc::EINVAL))?;
        // SAFETY: the caller's.
        unsafe { write_key(public, &key.public_key().0) }?;
        Ok(0)
    })
}
