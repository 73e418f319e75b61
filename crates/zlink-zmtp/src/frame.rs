//! Frame headers: the one or nine bytes of length and the byte of flags before every frame.
//!
//! This module is the framing of ZMTP 2.0, 3.0 and 3.1; [`v1`] is that of ZMTP 1.0. Both decode a
//! header from the front of whatever has arrived and leave the body where it is.

use std::fmt;

use crate::zws::frame::Violation;

pub mod v1;

/// Flag bit 0: more frames of the same message follow.
pub const FLAG_MORE: u8 = 1;
/// Flag bit 1: the length takes eight bytes instead of one.
pub const FLAG_LONG: u8 = 2;
/// Flag bit 2: the frame is a command. Not known to ZMTP 2.0, where the bit is reserved.
pub const FLAG_COMMAND: u8 = 4;

/// The longest header in bytes: flags and an eight-byte length.
pub const MAX_HEADER_LEN: usize = 9;

/// The longest body 37/ZMTP allows, 2^63−1 bytes.
pub const MAX_BODY_LEN: u64 = i64::MAX as u64;

const MAX_SHORT_LEN: u64 = 255;

/// A decoded frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameHeader {
    /// [`FLAG_MORE`], [`FLAG_LONG`] and [`FLAG_COMMAND`]; no other bit is ever set.
    pub flags: u8,
    /// Bytes this header takes before the body, 2 to 10.
    pub header_len: u8,
    /// Bytes of body that follow the header. At most the decoder's limit.
    pub body_len: u64,
}

impl FrameHeader {
    /// Whether more frames of the same message follow.
    #[inline]
    pub const fn more(&self) -> bool {
        self.flags & FLAG_MORE != 0
    }

    /// Whether the frame is a command. On a ZMTP 2.0 connection a command is a protocol error, which
    /// the caller must check: the header alone does not tell the version.
    #[inline]
    pub const fn is_command(&self) -> bool {
        self.flags & FLAG_COMMAND != 0
    }
}

/// Decodes the header at the front of `buf`. `Ok(None)`: more bytes are needed.
///
/// `max_body` is the longest body accepted, in bytes, commands included; [`u64::MAX`] leaves only the
/// protocol's own limit, [`MAX_BODY_LEN`]. A long header before a short body is accepted.
///
/// # Errors
///
/// [`FrameError::ReservedFlags`] and [`FrameError::CommandWithMore`] as soon as the first byte is
/// there; [`FrameError::TooLarge`] and [`FrameError::LengthOverflow`] once the length is.
///
/// Source: 37/ZMTP, "Framing"; 15/ZMTP, "Framing".
#[inline]
pub fn decode_header(buf: &[u8], max_body: u64) -> Result<Option<FrameHeader>, FrameError> {
    let [flags, rest @ ..] = buf else {
        return Ok(None);
    };
    let flags = *flags;
    if flags > (FLAG_MORE | FLAG_LONG) {
        check_command_flags(flags)?;
    }
    let (header_len, body_len) = if flags & FLAG_LONG == 0 {
        let [len, ..] = rest else {
            return Ok(None);
        };
        (2, u64::from(*len))
    } else {
        let Some(len) = rest.first_chunk::<8>() else {
            return Ok(None);
        };
        (9, u64::from_be_bytes(*len))
    };
    check_body_len(body_len, max_body)?;
    Ok(Some(FrameHeader { flags, header_len, body_len }))
}

#[cold]
fn check_command_flags(flags: u8) -> Result<(), FrameError> {
    if flags & !(FLAG_MORE | FLAG_LONG | FLAG_COMMAND) != 0 {
        Err(FrameError::ReservedFlags { flags })
    } else if flags & FLAG_MORE != 0 {
        Err(FrameError::CommandWithMore)
    } else {
        Ok(())
    }
}

// As u64: the peer chose this number, and it may not fit a usize.
#[inline]
fn check_body_len(size: u64, max: u64) -> Result<(), FrameError> {
    if size > max {
        Err(FrameError::TooLarge { size, max })
    } else if size > MAX_BODY_LEN {
        Err(FrameError::LengthOverflow { size })
    } else {
        Ok(())
    }
}

/// Writes the header of a frame with a body of `len` bytes and returns the header's length, 2 or 9.
///
/// A command is never followed by more: `more` is for messages only.
#[inline]
pub fn encode_header(more: bool, command: bool, len: u64, out: &mut [u8; MAX_HEADER_LEN]) -> usize {
    debug_assert!(!(more && command), "37/ZMTP: MORE is zero on command frames");
    let flags = u8::from(more) | if command { FLAG_COMMAND } else { 0 };
    if len <= MAX_SHORT_LEN {
        out[0] = flags;
        out[1] = len as u8;
        2
    } else {
        out[0] = flags | FLAG_LONG;
        out[1..].copy_from_slice(&len.to_be_bytes());
        MAX_HEADER_LEN
    }
}

/// The length in bytes of the header [`encode_header`] writes before a body of `body_len` bytes.
#[inline]
pub const fn header_len(body_len: u64) -> usize {
    if body_len <= MAX_SHORT_LEN { 2 } else { MAX_HEADER_LEN }
}

/// What is wrong with a frame header. Always the peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameError {
    /// One of the reserved bits 3 to 7 is set.
    ReservedFlags {
        /// The flags byte received.
        flags: u8,
    },
    /// A command announces that more frames follow.
    CommandWithMore,
    /// The body is longer than the receiver allows (`ZMQ_MAXMSGSIZE` for messages).
    TooLarge {
        /// Body length announced, in bytes.
        size: u64,
        /// Body length allowed, in bytes.
        max: u64,
    },
    /// The length is beyond 2^63−1, the protocol's limit.
    LengthOverflow {
        /// Body length announced, in bytes.
        size: u64,
    },
    /// A ZMTP 1.0 frame has length zero, although the length counts the flags byte.
    ZeroLength,
    /// A WebSocket frame that ZWS has no use for.
    WebSocket(Violation),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedFlags { flags } => {
                write!(f, "frame has reserved flag bits set ({flags:#04x})")
            }
            Self::CommandWithMore => f.write_str("command frame has the MORE flag set"),
            Self::TooLarge { size, max } => {
                write!(f, "frame body of {size} bytes exceeds the limit of {max}")
            }
            Self::LengthOverflow { size } => {
                write!(f, "frame length {size} exceeds the protocol limit of 2^63-1")
            }
            Self::ZeroLength => f.write_str("ZMTP 1.0 frame has length zero"),
            Self::WebSocket(violation) => violation.fmt(f),
        }
    }
}

impl std::error::Error for FrameError {}

#[cfg(test)]
mod tests;
