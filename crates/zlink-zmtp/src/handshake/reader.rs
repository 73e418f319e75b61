//! Gathers one frame of the handshake, whichever way its bytes are cut.

use zeroize::Zeroizing;

use super::{Framing, HandshakeError};
use crate::frame::{self, FLAG_COMMAND, FLAG_MORE, FrameHeader};
use crate::zws::frame::{self as zws, Kind};
use crate::zws::mask;

/// What the frame must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// The routing id of a 1.0 or 2.0 peer: one frame, neither command nor multipart.
    RoutingId,
    /// A command.
    Command,
}

const ROOM: usize = 544;

#[derive(Debug)]
pub(super) struct FrameReader {
    framing: Framing,
    expect: Expect,
    max_body: u64,
    /// The frame so far. Grows with what arrives, not with the length the header announces. May hold a
    /// password.
    buf: Zeroizing<Vec<u8>>,
}

impl FrameReader {
    pub(super) fn new(framing: Framing, expect: Expect, max_body: u64) -> Self {
        // Room for a HELLO with the longest credentials: growing leaves copies behind.
        Self { framing, expect, max_body, buf: Zeroizing::new(Vec::with_capacity(ROOM)) }
    }

    /// Takes bytes from the front of `bytes`, never beyond the frame's end, and says how many.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<usize, HandshakeError> {
        let mut taken = 0;
        loop {
            let missing = match self.header()? {
                // Headers are at most fifteen bytes: one at a time needs no second way to count them.
                None => 1,
                Some(header) => frame_len(&header) - self.buf.len() as u64,
            };
            let rest = &bytes[taken..];
            let n = usize::try_from(missing).map_or(rest.len(), |m| m.min(rest.len()));
            if n == 0 {
                return Ok(taken);
            }
            let before = self.buf.len();
            self.buf.extend_from_slice(&rest[..n]);
            taken += n;
            if let Some(web) = self.web_header()? {
                let into_body = before.saturating_sub(usize::from(web.header_len));
                let start = before.max(usize::from(web.header_len));
                mask::apply(&mut self.buf[start..], mask::skip(web.key, into_body));
            }
        }
    }

    /// The body, once the frame is complete.
    pub(super) fn body(&self) -> Result<Option<&[u8]>, HandshakeError> {
        Ok(self.header()?.and_then(|header| {
            let complete = self.buf.len() as u64 >= frame_len(&header);
            complete.then(|| &self.buf[usize::from(header.header_len)..])
        }))
    }

    /// Of a complete frame, what it is if it is one of WebSocket's own.
    pub(super) fn control(&self) -> Result<Option<Kind>, HandshakeError> {
        let kind = self.web_header()?.map(|web| web.kind);
        Ok(kind.filter(|kind| matches!(kind, Kind::Ping | Kind::Pong | Kind::Close)))
    }

    fn web_header(&self) -> Result<Option<zws::Header>, HandshakeError> {
        match self.framing {
            // What a client sends is masked: we are the other side.
            Framing::WebSocket { client } => Ok(zws::decode_header(&self.buf, !client, self.max_body)?),
            Framing::V1 | Framing::V2 => Ok(None),
        }
    }

    fn header(&self) -> Result<Option<FrameHeader>, HandshakeError> {
        let header = match self.framing {
            Framing::V1 => frame::v1::decode_header(&self.buf, self.max_body)?,
            Framing::V2 => frame::decode_header(&self.buf, self.max_body)?,
            Framing::WebSocket { .. } => self.web_header()?.map(|web| FrameHeader {
                flags: web.kind.flags(),
                header_len: web.header_len,
                body_len: web.body_len,
            }),
        };
        let Some(header) = header else {
            return Ok(None);
        };
        // Judged before the body has come: a peer of another protocol may never send that much.
        match self.expect {
            Expect::Command if !header.is_command() => Err(HandshakeError::MessageBeforeReady),
            Expect::RoutingId if header.is_command() || header.more() => {
                let flags = header.flags & (FLAG_MORE | FLAG_COMMAND);
                Err(HandshakeError::RoutingIdFlags { flags })
            }
            _ => Ok(Some(header)),
        }
    }
}

/// As u64, for 32-bit targets. `body_len` is at most 2^63−1, so that the sum cannot overflow.
fn frame_len(header: &FrameHeader) -> u64 {
    u64::from(header.header_len) + header.body_len
}
