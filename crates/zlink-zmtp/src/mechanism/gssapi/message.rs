//! MESSAGE: one frame in a token.
//!
//! ```text
//!  7 "MESSAGE"   length    token that wraps: flags, body
//!     8 bytes    4 bytes                       1  +  n
//! ```
//!
//! Flag bit 0 is MORE; bit 1 marks a command (PING, SUBSCRIBE and so on).

use super::context::Shared;
use super::error::{FAILURE, GssapiError};
use crate::curve::Opened;
use crate::handshake::MechanismCommand;

const NAME: &[u8; 8] = b"\x07MESSAGE";
const LENGTH: usize = 4;
const TOKEN_AT: usize = NAME.len() + LENGTH;
const MORE: u8 = 1;
const COMMAND: u8 = 2;

/// The token that is all of `data`, behind its length. `None`: the two lengths disagree.
pub(super) fn token(data: &[u8]) -> Option<&[u8]> {
    let (len, token) = data.split_first_chunk::<LENGTH>()?;
    (u64::from(u32::from_be_bytes(*len)) == token.len() as u64).then_some(token)
}

/// Appends what [`token`] takes. `None`, and nothing appended: the token is too long for it.
pub(super) fn push_token(token: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let len = u32::try_from(token.len()).ok()?;
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(token);
    Some(())
}

/// Wraps the frames of one connection, in the order in which they go out.
#[derive(Debug)]
pub struct Sealer {
    context: Shared,
}

impl Sealer {
    pub(super) fn new(context: Shared) -> Self {
        Self { context }
    }

    /// Appends the MESSAGE that holds a frame, without a frame header of its own.
    ///
    /// # Errors
    ///
    /// [`GssapiError::Wrap`]. Nothing is appended; the connection must end.
    pub fn seal(
        &mut self,
        more: bool,
        command: bool,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), GssapiError> {
        let mut content = Vec::with_capacity(1 + body.len());
        content.push(if more { MORE } else { 0 } | if command { COMMAND } else { 0 });
        content.extend_from_slice(body);
        let token = self.context.lock().wrap(&content).map_err(GssapiError::Wrap)?;
        let start = out.len();
        out.reserve(TOKEN_AT + token.len());
        out.extend_from_slice(NAME);
        push_token(&token, out).ok_or_else(|| {
            out.truncate(start);
            GssapiError::Wrap(FAILURE)
        })
    }
}

/// Unwraps the frames of one connection, in the order in which they arrive.
#[derive(Debug)]
pub struct Opener {
    context: Shared,
}

impl Opener {
    pub(super) fn new(context: Shared) -> Self {
        Self { context }
    }

    /// Unwraps a MESSAGE, given without its frame header, to where it lies. Any length is safe to pass.
    ///
    /// # Errors
    ///
    /// What is wrong with it; the connection must end, and nothing in `bytes` may be used.
    pub fn open(&mut self, bytes: &mut [u8]) -> Result<Opened, GssapiError> {
        let len = bytes.len();
        if !bytes.starts_with(NAME) {
            return Err(misshapen(bytes));
        }
        let malformed = GssapiError::Length { command: MechanismCommand::Message, len };
        // Not where it lies: the library does not say that what goes in and what comes out may overlap.
        let (head, room) = bytes.split_at_mut(NAME.len());
        let token = token(room).ok_or(malformed)?.to_vec();
        let mut unwrapped = None;
        let mut take = |content: &[u8]| {
            let Some((&flags, body)) = content.split_first() else { return };
            // A wrapped frame is no shorter than the frame, with any mechanism there is.
            let Some(place) = room.get_mut(..body.len()) else { return };
            place.copy_from_slice(body);
            unwrapped = Some((flags, body.len()));
        };
        let encrypted = self.context.lock().unwrap(&token, &mut take).map_err(GssapiError::Unwrap)?;
        if !encrypted {
            return Err(GssapiError::NotEncrypted);
        }
        let (flags, body) = unwrapped.ok_or(malformed)?;
        let start = head.len();
        Ok(Opened { more: flags & MORE != 0, command: flags & COMMAND != 0, body: start..start + body })
    }
}

/// What bytes are that do not begin as a MESSAGE does.
#[cold]
fn misshapen(bytes: &[u8]) -> GssapiError {
    match bytes.first() {
        Some(&name_len) if bytes.len() > 1 && bytes.len() > usize::from(name_len) => GssapiError::NotAMessage,
        _ => GssapiError::NotACommand,
    }
}
