//! How a connection delimits its frames on the wire, in both directions. The pipe's own form is ZMTP/2.

use zlink_zmtp::frame::{self, FrameError, FrameHeader, v1};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// Flags, length, body (ZMTP 2.0 and later).
    V2,
    /// Length, flags, body (ZMTP 1.0), without commands.
    V1,
    /// Bodies alone: a stream of bytes, without commands. What one read brings is a message.
    Raw,
}

impl From<zlink_zmtp::Framing> for Framing {
    fn from(agreed: zlink_zmtp::Framing) -> Self {
        match agreed {
            zlink_zmtp::Framing::V2 => Framing::V2,
            zlink_zmtp::Framing::V1 => Framing::V1,
        }
    }
}

/// A frame to be written.
#[derive(Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub(super) more: bool,
    pub(super) command: bool,
    pub(super) body: &'a [u8],
}

impl Framing {
    /// Appends the frame to `out`; a command that this framing cannot tell from a message is left out.
    pub(super) fn write(self, frame: Outgoing<'_>, out: &mut Vec<u8>) {
        let len = frame.body.len() as u64;
        match self {
            Framing::V2 => {
                let mut header = [0; frame::MAX_HEADER_LEN];
                let n = frame::encode_header(frame.more, frame.command, len, &mut header);
                out.extend_from_slice(&header[..n]);
            }
            Framing::V1 | Framing::Raw if frame.command => return,
            Framing::V1 => {
                let mut header = [0; v1::MAX_HEADER_LEN];
                let n = v1::encode_header(frame.more, len, &mut header);
                out.extend_from_slice(&header[..n]);
            }
            Framing::Raw => {}
        }
        out.extend_from_slice(frame.body);
    }

    /// The header at the front of `bytes`, or `None` if more bytes are needed.
    #[inline]
    pub(super) fn header(self, bytes: &[u8], max_body: u64) -> Result<Option<FrameHeader>, FrameError> {
        match self {
            Framing::V2 => frame::decode_header(bytes, max_body),
            Framing::V1 => v1::decode_header(bytes, max_body),
            // Not to be found in the bytes.
            Framing::Raw => Ok(None),
        }
    }
}
