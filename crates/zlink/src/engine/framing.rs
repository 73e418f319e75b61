//! How a connection delimits its frames on the wire, in both directions. The pipe's own form is ZMTP/2.

use zlink_zmtp::frame::{self, FrameError, FrameHeader, v1};
use zlink_zmtp::zws::frame::{self as zws, Kind};
use zlink_zmtp::zws::mask::{self, Key, Keys};

/// Name of the command that stands for a WebSocket CLOSE on its way to the encoder. ZMTP has none.
pub(super) const CLOSE: &[u8] = b"CLOSE";

/// Bytes of the longest header.
pub(super) const MAX_HEADER: usize = zws::MAX_HEADER_LEN;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// Flags, length, body (ZMTP 2.0 and later).
    V2,
    /// Length, flags, body (ZMTP 1.0), without commands.
    V1,
    /// Bodies alone: a stream of bytes, without commands. What one read brings is a message.
    Raw,
    /// A WebSocket message a frame, with PING, PONG and CLOSE of its own. The client masks.
    WebSocket { client: bool },
}

impl From<zlink_zmtp::Framing> for Framing {
    fn from(agreed: zlink_zmtp::Framing) -> Self {
        match agreed {
            zlink_zmtp::Framing::V2 => Framing::V2,
            zlink_zmtp::Framing::V1 => Framing::V1,
            zlink_zmtp::Framing::WebSocket { client } => Framing::WebSocket { client },
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

impl<'a> Outgoing<'a> {
    /// What the frame is over WebSocket, and its body there: PING and PONG are WebSocket's own.
    fn on_the_web(self) -> (Kind, &'a [u8]) {
        match (self.command, self.body) {
            (false, body) => (Kind::Message { more: self.more }, body),
            // The time-to-live has no place there.
            (true, [4, b'P', b'I', b'N', b'G', _, _, context @ ..]) => (Kind::Ping, context),
            (true, [4, b'P', b'O', b'N', b'G', context @ ..]) => (Kind::Pong, context),
            (true, [5, name @ ..]) if name.starts_with(CLOSE) => (Kind::Close, &name[CLOSE.len()..]),
            (true, body) => (Kind::Command, body),
        }
    }
}

/// The header of a frame received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) frame: FrameHeader,
    /// What else WebSocket says.
    web: Option<(Kind, Key)>,
}

impl From<FrameHeader> for Header {
    fn from(frame: FrameHeader) -> Self {
        Header { frame, web: None }
    }
}

impl Header {
    /// Undoes what the framing has done to the body, in place.
    pub(super) fn unmask(&self, body: &mut [u8]) {
        if let Some((_, key)) = self.web
            && key != [0; 4]
        {
            mask::apply(body, key);
        }
    }

    /// Whether the frame is one of WebSocket's own, and no ZMTP frame.
    pub(super) fn control(&self) -> Option<Kind> {
        self.web.map(|(kind, _)| kind).filter(|kind| matches!(kind, Kind::Ping | Kind::Pong | Kind::Close))
    }
}

impl Framing {
    /// Whether the frame becomes one of the framing's own, which is not ZMTP's and so goes through no sealer.
    pub(super) fn is_own(self, frame: Outgoing<'_>) -> bool {
        let control = |kind| matches!(kind, Kind::Ping | Kind::Pong | Kind::Close);
        matches!(self, Framing::WebSocket { .. }) && frame.command && control(frame.on_the_web().0)
    }

    /// Writes the header of a message frame with a body of `len` bytes, and returns the header's length; `None` if the
    /// body does not go out as it is.
    #[inline]
    pub(super) fn write_header(self, more: bool, len: u64, out: &mut [u8; MAX_HEADER]) -> Option<usize> {
        match self {
            Framing::V2 => Some(frame::encode_header(more, false, len, out.first_chunk_mut()?)),
            Framing::V1 => Some(v1::encode_header(more, len, out.first_chunk_mut()?)),
            Framing::Raw => Some(0),
            Framing::WebSocket { client: false } => {
                Some(zws::encode_header(Kind::Message { more }, len, None, out))
            }
            Framing::WebSocket { client: true } => None,
        }
    }

    /// Appends the frame to `out`; a command that this framing cannot tell from a message is left out.
    pub(super) fn write(self, frame: Outgoing<'_>, keys: &mut Keys, out: &mut Vec<u8>) {
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
            Framing::WebSocket { client } => {
                let (kind, body) = frame.on_the_web();
                zws::encode(out, kind, body, client.then(|| keys.next_key()));
                return;
            }
        }
        out.extend_from_slice(frame.body);
    }

    /// The header at the front of `bytes`, or `None` if more bytes are needed.
    pub(super) fn header(self, bytes: &[u8], max_body: u64) -> Result<Option<Header>, FrameError> {
        Ok(match self {
            Framing::V2 => frame::decode_header(bytes, max_body)?.map(Header::from),
            Framing::V1 => v1::decode_header(bytes, max_body)?.map(Header::from),
            // Not to be found in the bytes.
            Framing::Raw => None,
            // What a client sends is masked: we are the other side.
            Framing::WebSocket { client } => {
                zws::decode_header(bytes, !client, max_body)?.map(|header| Header {
                    frame: FrameHeader {
                        flags: header.kind.flags(),
                        header_len: header.header_len,
                        body_len: header.body_len,
                    },
                    web: Some((header.kind, header.key)),
                })
            }
        })
    }
}
