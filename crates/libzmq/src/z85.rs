//! Z85: binary data as text.
//!
//! Four bytes, as a number with the most significant first, are five digits to the base 85.
//!
//! Source: 32/Z85.

use std::ffi::{CStr, c_char};
use std::ptr;

use crate::error::{Failure, Result, call};
use crate::utils::{input, output};

/// The digits, in the order of their values.
const DIGITS: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
const NO_DIGIT: u8 = 255;

/// The value of each character.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

fn encode(bytes: [u8; 4]) -> [u8; 5] {
    let mut number = u32::from_be_bytes(bytes);
    let mut text = [0; 5];
    for place in text.iter_mut().rev() {
        *place = DIGITS[(number % 85) as usize];
        number /= 85;
    }
    text
}

/// Fails if a character is no digit, or the number takes more than 32 bits.
fn decode(text: [u8; 5]) -> Option<[u8; 4]> {
    let mut number = 0u32;
    for character in text {
        let value = VALUES[usize::from(character)];
        if value == NO_DIGIT {
            return None;
        }
        number = number.checked_mul(85)?.checked_add(value.into())?;
    }
    Some(number.to_be_bytes())
}

fn encode_all(bytes: &[u8], text: &mut [u8]) {
    for (bytes, text) in bytes.as_chunks().0.iter().zip(text.as_chunks_mut().0) {
        *text = encode(*bytes);
    }
}

fn decode_all(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    for (text, bytes) in text.as_chunks().0.iter().zip(bytes.as_chunks_mut().0) {
        *bytes = decode(*text)?;
    }
    Some(())
}

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
        encode_all(bytes, &mut out[..length]);
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
        decode_all(text, bytes).ok_or(Failure(libc::EINVAL))?;
        Ok(data)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_vector_of_the_specification_is_met() {
        let bytes = [0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B];
        let mut text = [0; 10];
        encode_all(&bytes, &mut text);
        assert_eq!(&text, b"HelloWorld");
        let mut back = [0; 8];
        assert_eq!(decode_all(&text, &mut back), Some(()));
        assert_eq!(back, bytes);
    }

    #[test]
    fn every_number_at_the_edges_comes_back_and_greater_ones_are_refused() {
        for number in [0, 1, 84, 85, u32::MAX - 1, u32::MAX] {
            assert_eq!(decode(encode(number.to_be_bytes())), Some(number.to_be_bytes()));
        }
        let greatest = encode([255; 4]);
        assert_eq!(&greatest, b"%nSc0");
        assert_eq!(decode(*b"%nSc1"), None);
        assert_eq!(decode(*b"#####"), None);
    }

    #[test]
    fn characters_that_are_no_digits_are_refused() {
        for character in (0..=255).filter(|character| !DIGITS.contains(character)) {
            for at in 0..5 {
                let mut text = *b"00000";
                text[at] = character;
                assert_eq!(decode(text), None, "{character} at {at}");
            }
        }
    }
}
