//! Framing of ZMTP 1.0: the length, which counts the flags byte, then the flags byte.
//!
//! Version 1.0 has no commands.

use super::{FLAG_MORE, FrameError, FrameHeader, check_body_len};

/// The longest header in bytes: escape, eight-byte length, flags.
pub const MAX_HEADER_LEN: usize = 10;

/// Announces an eight-byte length; as a one-byte length it would be 255.
const LONG_ESCAPE: u8 = 0xff;

/// Decodes the header at the front of `buf`. `Ok(None)`: more bytes are needed.
///
/// `max_body` is the longest body accepted, in bytes; [`u64::MAX`] leaves only
/// [`super::MAX_BODY_LEN`]. Flag bits other than MORE are ignored, as libzmq does.
///
/// # Errors
///
/// [`FrameError::ZeroLength`], [`FrameError::TooLarge`] and [`FrameError::LengthOverflow`], as soon as
/// the length is there.
///
/// Source: 13/ZMTP, "Framing".
#[inline]
pub fn decode_header(buf: &[u8], max_body: u64) -> Result<Option<FrameHeader>, FrameError> {
    let [first, rest @ ..] = buf else {
        return Ok(None);
    };
    let (length, header_len) = if *first != LONG_ESCAPE {
        (u64::from(*first), 2)
    } else {
        let Some(length) = rest.first_chunk::<8>() else {
            return Ok(None);
        };
        (u64::from_be_bytes(*length), MAX_HEADER_LEN)
    };
    let body_len = length.checked_sub(1).ok_or(FrameError::ZeroLength)?;
    check_body_len(body_len, max_body)?;
    let Some(flags) = buf.get(header_len - 1) else {
        return Ok(None);
    };
    Ok(Some(FrameHeader { flags: flags & FLAG_MORE, header_len: header_len as u8, body_len }))
}

/// Writes the header of a frame with a body of `len` bytes and returns the header's length, 2 or 10.
#[inline]
pub fn encode_header(more: bool, len: u64, out: &mut [u8; MAX_HEADER_LEN]) -> usize {
    let header_len = header_len(len);
    // The length counts the flags byte. No body in memory is within one byte of 2^64.
    let length = len.saturating_add(1);
    if header_len == 2 {
        out[0] = length as u8;
    } else {
        out[0] = LONG_ESCAPE;
        out[1..9].copy_from_slice(&length.to_be_bytes());
    }
    out[header_len - 1] = u8::from(more);
    header_len
}

/// The length in bytes of the header [`encode_header`] writes before a body of `body_len` bytes.
#[inline]
pub const fn header_len(body_len: u64) -> usize {
    // 254 bytes of body make a length of 255, which is the escape.
    if body_len < 254 { 2 } else { MAX_HEADER_LEN }
}
