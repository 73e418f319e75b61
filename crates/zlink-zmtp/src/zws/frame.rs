//! WebSocket frames, as far as ZWS knows them: binary messages of one frame, PING, PONG and CLOSE.
//!
//! The byte of flags that every ZMTP frame begins with counts as the end of the header here, so that
//! what follows a header is the body and nothing else.
//!
//! ```text
//!  1      1, 3 or 9     0 or 4   0 or 1
//! ┌────┬───────────────┬───────┬───────┬────────
//! │ op │ mask?, length │ key   │ flags │ body …     length = flags + body
//! └────┴───────────────┴───────┴───────┴────────
//!        what a client sends is masked; what a server sends is not
//! ```
//!
//! Sources: RFC 6455, section 5; 45/ZWS, "Framing".

use std::fmt;

use super::mask::{self, Key};
use crate::frame::{FLAG_COMMAND, FLAG_MORE, FrameError, MAX_BODY_LEN};

/// The longest header in bytes: opcode, nine bytes of length, key, flags.
pub const MAX_HEADER_LEN: usize = 15;

/// The longest body of a PING, PONG or CLOSE, in bytes.
pub const MAX_CONTROL_LEN: u64 = 125;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The flags of ZWS, which are not those of ZMTP: 1 more, 2 command.
const ZWS_MORE: u8 = 1;
const ZWS_COMMAND: u8 = 2;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A message part; whether another follows.
    Message {
        /// More parts of the same message follow.
        more: bool,
    },
    /// A ZMTP command.
    Command,
    /// Asks for a PONG with the same body.
    Ping,
    /// Answers a PING.
    Pong,
    /// The sender will send no more; to be answered by a CLOSE.
    Close,
}

impl Kind {
    /// The flags [`crate::frame`] has for it: [`FLAG_MORE`] and [`FLAG_COMMAND`], the latter for all that is
    /// no message.
    pub const fn flags(self) -> u8 {
        match self {
            Self::Message { more: false } => 0,
            Self::Message { more: true } => FLAG_MORE,
            _ => FLAG_COMMAND,
        }
    }

    const fn opcode(self) -> u8 {
        match self {
            Self::Message { .. } | Self::Command => BINARY,
            Self::Ping => PING,
            Self::Pong => PONG,
            Self::Close => CLOSE,
        }
    }

    /// The byte before the body, of binary messages only.
    const fn zws_flags(self) -> Option<u8> {
        match self {
            Self::Message { more: false } => Some(0),
            Self::Message { more: true } => Some(ZWS_MORE),
            Self::Command => Some(ZWS_COMMAND),
            Self::Ping | Self::Pong | Self::Close => None,
        }
    }
}

/// A decoded frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// What the frame is.
    pub kind: Kind,
    /// Bytes before the body, 2 to 15, the byte of flags among them.
    pub header_len: u8,
    /// Bytes of body that follow. At most the decoder's limit.
    pub body_len: u64,
    /// What the body is masked with, from its first byte on; zero, which changes nothing, if it is not.
    pub key: Key,
}

/// Decodes the header at the front of `buf`. `Ok(None)`: more bytes are needed.
///
/// `masked`: the peer is a client, and must mask. `max_body` is the longest body accepted, in bytes.
/// A length in more bytes than it needs is accepted.
///
/// # Errors
///
/// [`FrameError::WebSocket`] as soon as the byte at fault is there; [`FrameError::TooLarge`] and
/// [`FrameError::LengthOverflow`] once the length is; [`FrameError::ReservedFlags`] and
/// [`FrameError::CommandWithMore`] for the byte of flags.
pub fn decode_header(buf: &[u8], masked: bool, max_body: u64) -> Result<Option<Header>, FrameError> {
    let [first, rest @ ..] = buf else { return Ok(None) };
    let opcode = check_first(*first)?;
    let [second, rest @ ..] = rest else { return Ok(None) };
    if (second & MASKED != 0) != masked {
        return Err(Violation::Masking { expected: masked }.into());
    }
    let (len, rest) = match second & !MASKED {
        126 => match rest.split_first_chunk::<2>() {
            Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk::<8>() {
            Some((len, rest)) => (u64::from_be_bytes(*len), rest),
            None => return Ok(None),
        },
        len => (u64::from(len), rest),
    };
    let is_binary = opcode == BINARY;
    // The byte of flags is not counted against the limit.
    let body_len = if is_binary { len.checked_sub(1).ok_or(Violation::NoFlags)? } else { len };
    if body_len > MAX_BODY_LEN {
        return Err(FrameError::LengthOverflow { size: body_len });
    }
    if !is_binary && len > MAX_CONTROL_LEN {
        return Err(Violation::ControlTooLong { len }.into());
    }
    if body_len > max_body {
        return Err(FrameError::TooLarge { size: body_len, max: max_body });
    }
    let (key, rest) = match masked {
        false => ([0; 4], rest),
        true => match rest.split_first_chunk::<4>() {
            Some((key, rest)) => (*key, rest),
            None => return Ok(None),
        },
    };
    if !is_binary {
        let kind = match opcode {
            PING => Kind::Ping,
            PONG => Kind::Pong,
            _ => Kind::Close,
        };
        return Ok(Some(Header { kind, header_len: (buf.len() - rest.len()) as u8, body_len, key }));
    }
    let [flags, rest @ ..] = rest else { return Ok(None) };
    let kind = match flags ^ key[0] {
        0 => Kind::Message { more: false },
        ZWS_MORE => Kind::Message { more: true },
        ZWS_COMMAND => Kind::Command,
        3 => return Err(FrameError::CommandWithMore),
        flags => return Err(FrameError::ReservedFlags { flags }),
    };
    let header_len = (buf.len() - rest.len()) as u8;
    Ok(Some(Header { kind, header_len, body_len, key: mask::skip(key, 1) }))
}

/// The opcode, if it is one of those there are.
fn check_first(first: u8) -> Result<u8, Violation> {
    if first & FIN == 0 {
        return Err(Violation::Fragment);
    }
    if first & RESERVED != 0 {
        return Err(Violation::ReservedBits { bits: first & RESERVED });
    }
    match first & OPCODE {
        opcode @ (BINARY | CLOSE | PING | PONG) => Ok(opcode),
        opcode => Err(Violation::Opcode { opcode }),
    }
}

/// Writes the header of a frame with a body of `body_len` bytes and returns the header's length.
///
/// `key`: what a client masks the frame with. The body is then to be masked with [`body_key`].
pub fn encode_header(kind: Kind, body_len: u64, key: Option<Key>, out: &mut [u8; MAX_HEADER_LEN]) -> usize {
    let flags = kind.zws_flags();
    // No body in memory is within one byte of 2^64.
    let len = body_len.saturating_add(u64::from(flags.is_some()));
    out[0] = FIN | kind.opcode();
    let mut at = match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short @ 0..=125), _) => {
            out[1] = short;
            2
        }
        (_, Ok(medium)) => {
            out[1] = 126;
            out[2..4].copy_from_slice(&medium.to_be_bytes());
            4
        }
        _ => {
            out[1] = 127;
            out[2..10].copy_from_slice(&len.to_be_bytes());
            10
        }
    };
    if let Some(key) = key {
        out[1] |= MASKED;
        out[at..at + key.len()].copy_from_slice(&key);
        at += key.len();
    }
    if let Some(flags) = flags {
        out[at] = flags ^ key.map_or(0, |key| key[0]);
        at += 1;
    }
    at
}

/// The length in bytes of the header [`encode_header`] writes.
pub const fn header_len(kind: Kind, body_len: u64, masked: bool) -> usize {
    let flags = kind.zws_flags().is_some() as usize;
    let length = match body_len.saturating_add(flags as u64) {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    length + if masked { 4 } else { 0 } + flags
}

/// What the body of a frame of this kind is masked with, given the frame's key.
#[inline]
pub const fn body_key(kind: Kind, key: Key) -> Key {
    if kind.zws_flags().is_some() { mask::skip(key, 1) } else { key }
}

/// Appends a whole frame, masked if there is a key.
pub fn encode(out: &mut Vec<u8>, kind: Kind, body: &[u8], key: Option<Key>) {
    let mut header = [0; MAX_HEADER_LEN];
    let n = encode_header(kind, body.len() as u64, key, &mut header);
    out.reserve(n + body.len());
    out.extend_from_slice(&header[..n]);
    match key {
        Some(key) => mask::extend(out, body, body_key(kind, key)),
        None => out.extend_from_slice(body),
    }
}

/// What is wrong with a WebSocket frame. Always the peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Violation {
    /// A fragment. ZWS has a frame for each message part; libzmq takes no others.
    Fragment,
    /// Bits that only an extension could give a meaning, and none was agreed on.
    ReservedBits {
        /// The bits set, of 0x70.
        bits: u8,
    },
    /// A text frame, or an opcode that RFC 6455 does not define.
    Opcode {
        /// The opcode, 0 to 15.
        opcode: u8,
    },
    /// A client that does not mask, or a server that does.
    Masking {
        /// Whether the frame should have been masked.
        expected: bool,
    },
    /// A PING, PONG or CLOSE of more than [`MAX_CONTROL_LEN`] bytes.
    ControlTooLong {
        /// The length announced, in bytes.
        len: u64,
    },
    /// A binary message without the byte of flags.
    NoFlags,
}

impl From<Violation> for FrameError {
    fn from(violation: Violation) -> Self {
        Self::WebSocket(violation)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fragment => f.write_str("fragmented WebSocket message"),
            Self::ReservedBits { bits } => write!(f, "WebSocket frame has reserved bits set ({bits:#04x})"),
            Self::Opcode { opcode } => {
                write!(f, "WebSocket frame has opcode {opcode}, which ZWS does not use")
            }
            Self::Masking { expected: true } => f.write_str("client's WebSocket frame is not masked"),
            Self::Masking { expected: false } => f.write_str("server's WebSocket frame is masked"),
            Self::ControlTooLong { len } => {
                write!(f, "WebSocket control frame of {len} bytes exceeds the limit of {MAX_CONTROL_LEN}")
            }
            Self::NoFlags => f.write_str("binary WebSocket message without a byte of flags"),
        }
    }
}

#[cfg(test)]
mod tests;
