//! Commands: what a frame with the COMMAND flag carries, and how to write one.
//!
//! [`parse`] takes the body of a command frame. The encoders append a whole frame, header included.
//!
//! Source: 37/ZMTP.

use std::fmt;

use crate::frame::{MAX_HEADER_LEN, encode_header};
use crate::metadata::{MetadataError, encode_property};

/// The longest context a PING or PONG may carry, in bytes.
pub const MAX_PING_CONTEXT: usize = 16;
/// The longest group name of JOIN and LEAVE, in bytes.
pub const MAX_GROUP_LEN: usize = 255;
/// The longest reason of an ERROR, in bytes.
pub const MAX_ERROR_REASON: usize = 255;

/// A command received, borrowing from its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// End of a handshake, with the peer's metadata (see [`crate::metadata`]), not yet decoded.
    Ready(&'a [u8]),
    /// The peer gives up the handshake, with its reason, 0 to 255 bytes.
    Error(&'a [u8]),
    /// Asks for a [`Command::Pong`] with the same context.
    Ping {
        /// Tenths of a second within which the sender promises more traffic; 0: no promise.
        ttl_deciseconds: u16,
        /// To be echoed. At most [`MAX_PING_CONTEXT`] bytes: when parsed, what follows them is cut off.
        context: &'a [u8],
    },
    /// Answers a [`Command::Ping`].
    Pong {
        /// The PING's context. At most [`MAX_PING_CONTEXT`] bytes: when parsed, what follows them is cut off.
        context: &'a [u8],
    },
    /// Adds a subscription to a topic prefix.
    Subscribe(&'a [u8]),
    /// Removes a subscription.
    Cancel(&'a [u8]),
    /// Joins a group: 0 to 255 bytes, none of them zero.
    Join(&'a [u8]),
    /// Leaves a group.
    Leave(&'a [u8]),
    /// Any other command: a mechanism's own, or one from a later protocol version.
    Unknown {
        /// 1 to 255 bytes.
        name: &'a [u8],
        /// What follows the name.
        body: &'a [u8],
    },
}

/// Decodes the body of a command frame.
///
/// # Errors
///
/// The [`CommandError`] that says which part breaks the grammar. Unknown names are no error.
pub fn parse(body: &[u8]) -> Result<Command<'_>, CommandError> {
    let (name, data) = split_name(body)?;
    Ok(match name {
        b"READY" => Command::Ready(data),
        b"ERROR" => Command::Error(parse_reason(data)?),
        b"PING" => {
            let (ttl, context) = data.split_first_chunk::<2>().ok_or(CommandError::PingTruncated)?;
            Command::Ping { ttl_deciseconds: u16::from_be_bytes(*ttl), context: cut_context(context) }
        }
        b"PONG" => Command::Pong { context: cut_context(data) },
        b"SUBSCRIBE" => Command::Subscribe(data),
        b"CANCEL" => Command::Cancel(data),
        b"JOIN" => {
            check_group(data)?;
            Command::Join(data)
        }
        b"LEAVE" => {
            check_group(data)?;
            Command::Leave(data)
        }
        _ => Command::Unknown { name, body: data },
    })
}

/// Splits the body of a command frame into the command's name and what follows it.
pub(crate) fn split_name(body: &[u8]) -> Result<(&[u8], &[u8]), CommandError> {
    let (&name_len, rest) = body.split_first().ok_or(CommandError::Empty)?;
    if name_len == 0 {
        return Err(CommandError::EmptyName);
    }
    rest.split_at_checked(usize::from(name_len)).ok_or(CommandError::NameTruncated)
}

pub(crate) fn parse_reason(data: &[u8]) -> Result<&[u8], CommandError> {
    match data.split_first() {
        Some((&len, reason)) if usize::from(len) == reason.len() => Ok(reason),
        _ => Err(CommandError::ErrorReasonLength),
    }
}

/// No more of a context is looked at than a peer may send: libzmq answers a longer one with as much of it.
fn cut_context(context: &[u8]) -> &[u8] {
    &context[..context.len().min(MAX_PING_CONTEXT)]
}

fn check_context(context: &[u8]) -> Result<(), CommandError> {
    if context.len() > MAX_PING_CONTEXT {
        return Err(CommandError::ContextTooLong { len: context.len() });
    }
    Ok(())
}

fn check_group(group: &[u8]) -> Result<(), CommandError> {
    if group.len() > MAX_GROUP_LEN {
        return Err(CommandError::GroupTooLong { len: group.len() });
    }
    if group.contains(&0) {
        return Err(CommandError::GroupHasNul);
    }
    Ok(())
}

/// Appends a PING frame. `ttl_deciseconds` is the time-to-live in tenths of a second, 0 for none.
///
/// # Errors
///
/// [`CommandError::ContextTooLong`] if `context` exceeds [`MAX_PING_CONTEXT`]; `out` is then unchanged.
pub fn encode_ping(out: &mut Vec<u8>, ttl_deciseconds: u16, context: &[u8]) -> Result<(), CommandError> {
    check_context(context)?;
    encode(out, b"PING", &[&ttl_deciseconds.to_be_bytes(), context]);
    Ok(())
}

/// Appends a PONG frame that echoes `context`.
///
/// # Errors
///
/// [`CommandError::ContextTooLong`] if `context` exceeds [`MAX_PING_CONTEXT`], which that of a parsed
/// PING never does; `out` is then unchanged.
pub fn encode_pong(out: &mut Vec<u8>, context: &[u8]) -> Result<(), CommandError> {
    check_context(context)?;
    encode(out, b"PONG", &[context]);
    Ok(())
}

/// Appends a SUBSCRIBE frame for the topic prefix `topic`.
pub fn encode_subscribe(out: &mut Vec<u8>, topic: &[u8]) {
    encode(out, b"SUBSCRIBE", &[topic]);
}

/// Appends a CANCEL frame for the topic prefix `topic`.
pub fn encode_cancel(out: &mut Vec<u8>, topic: &[u8]) {
    encode(out, b"CANCEL", &[topic]);
}

/// Appends a JOIN frame.
///
/// # Errors
///
/// [`CommandError::GroupTooLong`] beyond [`MAX_GROUP_LEN`], [`CommandError::GroupHasNul`]; `out` is
/// then unchanged.
pub fn encode_join(out: &mut Vec<u8>, group: &[u8]) -> Result<(), CommandError> {
    check_group(group)?;
    encode(out, b"JOIN", &[group]);
    Ok(())
}

/// Appends a LEAVE frame.
///
/// # Errors
///
/// As [`encode_join`].
pub fn encode_leave(out: &mut Vec<u8>, group: &[u8]) -> Result<(), CommandError> {
    check_group(group)?;
    encode(out, b"LEAVE", &[group]);
    Ok(())
}

/// Appends an ERROR frame.
///
/// # Errors
///
/// [`CommandError::ErrorReasonLength`] if `reason` exceeds [`MAX_ERROR_REASON`]; `out` is then
/// unchanged.
pub fn encode_error(out: &mut Vec<u8>, reason: &[u8]) -> Result<(), CommandError> {
    let len = u8::try_from(reason.len()).map_err(|_| CommandError::ErrorReasonLength)?;
    encode(out, b"ERROR", &[&[len], reason]);
    Ok(())
}

/// Appends a READY frame with these properties, in their order.
///
/// # Errors
///
/// The [`MetadataError`] of the first property that cannot be encoded; `out` is then unchanged.
pub fn encode_ready<'a>(
    out: &mut Vec<u8>,
    properties: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<(), MetadataError> {
    let mut metadata = Vec::new();
    for (name, value) in properties {
        encode_property(&mut metadata, name, value)?;
    }
    encode_ready_metadata(out, &metadata);
    Ok(())
}

/// Appends a READY frame with metadata that is encoded already.
pub(crate) fn encode_ready_metadata(out: &mut Vec<u8>, metadata: &[u8]) {
    encode(out, b"READY", &[metadata]);
}

/// The body of a command frame with this name, at most 255 bytes long, and these data: what
/// [`parse`] takes.
pub fn body(name: &[u8], data: &[u8]) -> Vec<u8> {
    debug_assert!(name.len() <= 255, "37/ZMTP: one byte for the length of a command's name");
    [&[name.len() as u8], name, data].concat()
}

/// Appends a command frame; `name` has at most 255 bytes.
pub(crate) fn encode(out: &mut Vec<u8>, name: &[u8], parts: &[&[u8]]) {
    let body_len = 1 + name.len() + parts.iter().map(|p| p.len()).sum::<usize>();
    let mut header = [0; MAX_HEADER_LEN];
    let header_len = encode_header(false, true, body_len as u64, &mut header);
    out.reserve(header_len + body_len);
    out.extend_from_slice(&header[..header_len]);
    out.push(name.len() as u8);
    out.extend_from_slice(name);
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Appends a command frame with this body, name and data together.
#[cfg(feature = "gssapi")]
pub(crate) fn encode_body(out: &mut Vec<u8>, body: &[u8]) {
    let mut header = [0; MAX_HEADER_LEN];
    let header_len = encode_header(false, true, body.len() as u64, &mut header);
    out.extend_from_slice(&header[..header_len]);
    out.extend_from_slice(body);
}

/// Appends a command frame without a body, which is none of 37/ZMTP's.
#[cfg(feature = "gssapi")]
pub(crate) fn encode_empty(out: &mut Vec<u8>) {
    encode_body(out, &[]);
}

/// What is wrong with a command: with the peer's in [`parse`], with the caller's in an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommandError {
    /// The frame has no body.
    Empty,
    /// The command name has length zero.
    EmptyName,
    /// The command name reaches beyond the frame.
    NameTruncated,
    /// A PING has no room for its time-to-live.
    PingTruncated,
    /// The context of a PING or PONG exceeds [`MAX_PING_CONTEXT`].
    ContextTooLong {
        /// The length in bytes.
        len: usize,
    },
    /// A group name exceeds [`MAX_GROUP_LEN`].
    GroupTooLong {
        /// The length in bytes.
        len: usize,
    },
    /// A group name contains a zero byte.
    GroupHasNul,
    /// The length of an ERROR's reason is missing, disagrees with the frame, or exceeds
    /// [`MAX_ERROR_REASON`].
    ErrorReasonLength,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("command frame is empty"),
            Self::EmptyName => f.write_str("command has an empty name"),
            Self::NameTruncated => f.write_str("command name is cut short"),
            Self::PingTruncated => f.write_str("PING is too short for its time-to-live"),
            Self::ContextTooLong { len } => {
                write!(f, "heartbeat context of {len} bytes exceeds the limit of {MAX_PING_CONTEXT}")
            }
            Self::GroupTooLong { len } => {
                write!(f, "group name of {len} bytes exceeds the limit of {MAX_GROUP_LEN}")
            }
            Self::GroupHasNul => f.write_str("group name contains a zero byte"),
            Self::ErrorReasonLength => f.write_str("ERROR has a reason of the wrong length"),
        }
    }
}

impl std::error::Error for CommandError {}

#[cfg(test)]
mod tests;
