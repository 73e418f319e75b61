//! MESSAGE: one frame in a box.
//!
//! ```text
//!  7 "MESSAGE"   short nonce   box: tag, flags, body
//!     8 bytes      8 bytes         16 +  1  + n
//! ```
//!
//! Flag bit 0 is MORE; bit 1, of libzmq's own making, marks a command (PING, SUBSCRIBE and so on).

use std::fmt;
use std::ops::Range;

use super::error::CurveError;
use super::seal::{BoxKey, TAG_LEN, counted};
use crate::handshake::MechanismCommand;

const NAME: &[u8; 8] = b"\x07MESSAGE";
const BOX_AT: usize = NAME.len() + 8;
const FLAGS_AT: usize = BOX_AT + TAG_LEN;
const MORE: u8 = 1;
const COMMAND: u8 = 2;

/// Bytes by which a MESSAGE is longer than the body in it.
pub const OVERHEAD: usize = FLAGS_AT + 1;

pub(super) const CLIENT_PREFIX: &[u8; 16] = b"CurveZMQMESSAGEC";
pub(super) const SERVER_PREFIX: &[u8; 16] = b"CurveZMQMESSAGES";

/// What boxes and opens the frames of one connection, once its handshake is complete.
#[derive(Debug)]
pub struct Cipher {
    /// For our frames.
    pub sealer: Sealer,
    /// For the peer's.
    pub opener: Opener,
}

/// Boxes the frames of one connection, in the order in which they go out.
pub struct Sealer {
    key: BoxKey,
    prefix: &'static [u8; 16],
    next: u64,
}

impl Sealer {
    /// `next`: the first nonce that is not used up.
    pub(super) fn new(key: BoxKey, prefix: &'static [u8; 16], next: u64) -> Self {
        Self { key, prefix, next }
    }

    /// Appends the MESSAGE that holds a frame, without a frame header of its own: [`OVERHEAD`] bytes more than
    /// `body`.
    #[inline]
    pub fn seal(&mut self, more: bool, command: bool, body: &[u8], out: &mut Vec<u8>) {
        let nonce = counted(self.prefix, self.next);
        let start = out.len();
        out.reserve(OVERHEAD + body.len());
        let mut head = [0; OVERHEAD];
        head[..NAME.len()].copy_from_slice(NAME);
        head[NAME.len()..BOX_AT].copy_from_slice(&nonce[16..]);
        head[FLAGS_AT] = if more { MORE } else { 0 } | if command { COMMAND } else { 0 };
        out.extend_from_slice(&head);
        out.extend_from_slice(body);
        self.key.seal_in_place(&nonce, &mut out[start + BOX_AT..]);
        // Cannot come round: at a thousand million frames a second it would take 584 years.
        self.next += 1;
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("next", &self.next).finish_non_exhaustive()
    }
}

/// Opens the frames of one connection, in the order in which they arrive.
pub struct Opener {
    key: BoxKey,
    prefix: &'static [u8; 16],
    last: u64,
}

/// A frame that was in a MESSAGE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// More frames of the same message follow.
    pub more: bool,
    /// The frame is a command.
    pub command: bool,
    /// Where its body lies in the bytes of the MESSAGE.
    pub body: Range<usize>,
}

impl Opener {
    /// `last`: the peer's nonce so far.
    pub(super) fn new(key: BoxKey, prefix: &'static [u8; 16], last: u64) -> Self {
        Self { key, prefix, last }
    }

    /// Opens a MESSAGE, given without its frame header, where it lies. Any length is safe to pass.
    ///
    /// # Errors
    ///
    /// What is wrong with it; the connection must end, and nothing in `bytes` may be used.
    #[inline]
    pub fn open(&mut self, bytes: &mut [u8]) -> Result<Opened, CurveError> {
        let len = bytes.len();
        if len < OVERHEAD || !bytes.starts_with(NAME) {
            return Err(misshapen(bytes));
        }
        let (head, boxed) = bytes.split_at_mut(BOX_AT);
        let mut nonce = [0; 8];
        nonce.copy_from_slice(&head[NAME.len()..]);
        let nonce = u64::from_be_bytes(nonce);
        if nonce <= self.last {
            return Err(CurveError::Sequence { command: MechanismCommand::Message });
        }
        let content = self
            .key
            .open_in_place(&counted(self.prefix, nonce), boxed)
            .ok_or(CurveError::Box { command: MechanismCommand::Message })?;
        self.last = nonce;
        let flags = content[0];
        Ok(Opened { more: flags & MORE != 0, command: flags & COMMAND != 0, body: OVERHEAD..len })
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("last", &self.last).finish_non_exhaustive()
    }
}

/// What is wrong with bytes that are too short for a MESSAGE, or none. The order of the checks is libzmq's.
#[cold]
fn misshapen(bytes: &[u8]) -> CurveError {
    match bytes.first() {
        Some(&name_len) if bytes.len() > 1 && bytes.len() > usize::from(name_len) => {
            if bytes.starts_with(NAME) {
                CurveError::Length { command: MechanismCommand::Message, len: bytes.len() }
            } else {
                CurveError::NotAMessage
            }
        }
        _ => CurveError::NotACommand,
    }
}
