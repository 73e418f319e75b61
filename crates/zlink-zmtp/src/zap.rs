//! ZAP: what a handler is asked about a peer, and what it answers.
//!
//! The engine carries both, as multipart messages, to and from whoever has bound
//! [`ENDPOINT`]; see [`crate::Handshake::zap_request`].
//!
//! Source: 27/ZAP.

use std::fmt;

use zeroize::Zeroize;

use crate::metadata::{self, MetadataError};

/// Where a handler is bound, within the context of the sockets it decides about.
pub const ENDPOINT: &str = "inproc://zeromq.zap.01";

/// Name of the property by which a message tells the user id that the handler gave its sender.
pub const USER_ID: &str = "User-Id";

const VERSION: &[u8] = b"1.0";
/// Each question has a pipe of its own, so that they need no telling apart.
const REQUEST_ID: &[u8] = b"1";
/// Frames of a reply: delimiter, version, request id, status code, status text, user id, metadata.
const REPLY_FRAMES: usize = 7;

/// Whether a ZAP handler decides about peers, and what if there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zap {
    /// Nobody is asked: every peer that the mechanism accepts is welcome.
    Never,
    /// A handler decides; without one, every peer that the mechanism accepts is welcome.
    IfPresent,
    /// A handler decides; without one, every peer is refused.
    Required,
}

/// A question to the handler about one peer. What it says of the peer is overwritten on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct ZapRequest {
    /// `NULL`, `PLAIN` or `CURVE`.
    pub mechanism: &'static str,
    /// NULL: none. PLAIN: username and password. CURVE: the client's public key, 32 bytes.
    pub credentials: Vec<Vec<u8>>,
}

impl ZapRequest {
    /// The frames of the request, the empty delimiter first, as a REQ socket would send them.
    ///
    /// `domain` is `ZMQ_ZAP_DOMAIN`, `address` the peer's, `routing_id` that of the socket the peer
    /// wants to talk to.
    pub fn frames<'a>(&'a self, domain: &'a [u8], address: &'a [u8], routing_id: &'a [u8]) -> Vec<&'a [u8]> {
        let mut frames =
            vec![b"", VERSION, REQUEST_ID, domain, address, routing_id, self.mechanism.as_bytes()];
        frames.extend(self.credentials.iter().map(Vec::as_slice));
        frames
    }
}

impl Drop for ZapRequest {
    fn drop(&mut self) {
        self.credentials.zeroize();
    }
}

impl fmt::Debug for ZapRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZapRequest").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

/// What a handler decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ZapStatus {
    /// 200: the peer is welcome.
    Success,
    /// 300: the peer may try again later.
    TemporaryError,
    /// 400: the peer is refused.
    AuthenticationFailure,
    /// 500: the handler failed.
    InternalError,
}

impl ZapStatus {
    /// The status code, 200 to 500; value of `ZMQ_EVENT_HANDSHAKE_FAILED_AUTH`.
    pub const fn code(self) -> u16 {
        match self {
            Self::Success => 200,
            Self::TemporaryError => 300,
            Self::AuthenticationFailure => 400,
            Self::InternalError => 500,
        }
    }

    /// The status with this code in digits.
    pub(crate) fn from_text(text: &[u8]) -> Option<Self> {
        Some(match text {
            b"200" => Self::Success,
            b"300" => Self::TemporaryError,
            b"400" => Self::AuthenticationFailure,
            b"500" => Self::InternalError,
            _ => return None,
        })
    }

    pub(crate) const fn text(self) -> &'static [u8] {
        match self {
            Self::Success => b"200",
            Self::TemporaryError => b"300",
            Self::AuthenticationFailure => b"400",
            Self::InternalError => b"500",
        }
    }
}

/// A handler's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZapReply {
    /// The decision.
    pub status: ZapStatus,
    /// Who the peer is, as the handler knows it. May be empty.
    pub user_id: Vec<u8>,
    /// More properties for the messages of this peer.
    pub metadata: Vec<(String, Vec<u8>)>,
}

impl ZapReply {
    /// Decodes the frames of a reply, the empty delimiter first.
    ///
    /// # Errors
    ///
    /// The first that applies, in the order of [`ZapError`]. The metadata is judged whatever the status.
    pub fn parse<F: AsRef<[u8]>>(frames: &[F]) -> Result<Self, ZapError> {
        if frames.len() != REPLY_FRAMES {
            return Err(ZapError::FrameCount { count: frames.len() });
        }
        let frame = |n: usize| frames[n].as_ref();
        if !frame(0).is_empty() {
            return Err(ZapError::NoDelimiter);
        }
        if frame(1) != VERSION {
            return Err(ZapError::Version);
        }
        if frame(2) != REQUEST_ID {
            return Err(ZapError::RequestId);
        }
        let status = ZapStatus::from_text(frame(3)).ok_or(ZapError::StatusCode)?;
        // The text, frame 4, is for people; the peer is told the code alone.
        let user_id = frame(5).to_vec();
        let metadata = metadata::parse(frame(6)).map_err(ZapError::Metadata)?;
        Ok(Self { status, user_id, metadata })
    }

    /// The properties that messages of this peer get: [`USER_ID`] and the handler's own.
    pub(crate) fn into_properties(self) -> Vec<(String, Vec<u8>)> {
        let mut properties = vec![(USER_ID.to_owned(), self.user_id)];
        // One that the handler names User-Id would contradict the frame that says who it is.
        properties.extend(self.metadata.into_iter().filter(|(name, _)| !name.eq_ignore_ascii_case(USER_ID)));
        properties
    }
}

// The `ZMQ_PROTOCOL_ERROR_ZAP_*` values of zmq.h.
const UNSPECIFIED: i32 = 0x2000_0000;
const MALFORMED_REPLY: i32 = 0x2000_0001;
const BAD_REQUEST_ID: i32 = 0x2000_0002;
const BAD_VERSION: i32 = 0x2000_0003;
const INVALID_STATUS_CODE: i32 = 0x2000_0004;
const INVALID_METADATA: i32 = 0x2000_0005;

/// What is wrong with a handler's reply.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ZapError {
    /// Not as many frames as a reply has, 7 with the delimiter.
    FrameCount {
        /// The number received.
        count: usize,
    },
    /// The first frame is not empty.
    NoDelimiter,
    /// The version is not 1.0.
    Version,
    /// The request id is not that of the request.
    RequestId,
    /// The status is none of 200, 300, 400 and 500.
    StatusCode,
    /// The metadata is malformed.
    Metadata(MetadataError),
}

impl ZapError {
    /// The `ZMQ_PROTOCOL_ERROR_ZAP_*` value of `zmq.h` for `ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL`.
    pub const fn protocol_error_code(&self) -> i32 {
        match self {
            Self::FrameCount { .. } => MALFORMED_REPLY,
            Self::NoDelimiter => UNSPECIFIED,
            Self::Version => BAD_VERSION,
            Self::RequestId => BAD_REQUEST_ID,
            Self::StatusCode => INVALID_STATUS_CODE,
            Self::Metadata(_) => INVALID_METADATA,
        }
    }
}

impl fmt::Display for ZapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FrameCount { count } => {
                write!(f, "ZAP reply has {count} frames instead of {REPLY_FRAMES}")
            }
            Self::NoDelimiter => f.write_str("ZAP reply does not begin with an empty frame"),
            Self::Version => f.write_str("ZAP reply is not of version 1.0"),
            Self::RequestId => f.write_str("ZAP reply has the id of another request"),
            Self::StatusCode => f.write_str("ZAP reply has none of the statuses 200, 300, 400 and 500"),
            Self::Metadata(e) => write!(f, "ZAP reply: {e}"),
        }
    }
}

impl std::error::Error for ZapError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Metadata(e) => Some(e),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [&[u8]; 7] = [b"", b"1.0", b"1", b"200", b"OK", b"joe", b"\x03X-a\0\0\0\x02hi"];

    fn with(n: usize, frame: &[u8]) -> Result<ZapReply, ZapError> {
        let mut frames: [&[u8]; GOOD.len()] = GOOD;
        frames[n] = frame;
        ZapReply::parse(&frames)
    }

    #[test]
    fn request_is_laid_out_as_in_27_zap() {
        let credentials = vec![b"admin".to_vec(), b"secret".to_vec()];
        let request = ZapRequest { mechanism: "PLAIN", credentials };
        let expected: [&[u8]; 9] =
            [b"", b"1.0", b"1", b"global", b"10.0.0.7", b"id", b"PLAIN", b"admin", b"secret"];
        assert_eq!(request.frames(b"global", b"10.0.0.7", b"id"), expected);
        assert!(!format!("{request:?}").contains("secret"));
    }

    #[test]
    fn good_reply_gives_user_id_and_metadata() {
        let reply = ZapReply::parse(&GOOD).unwrap();
        assert_eq!((reply.status, &reply.user_id[..]), (ZapStatus::Success, &b"joe"[..]));
        assert_eq!(
            reply.into_properties(),
            [("User-Id".to_owned(), b"joe".to_vec()), ("X-a".to_owned(), b"hi".to_vec())]
        );
    }

    #[test]
    fn metadata_cannot_contradict_the_user_id() {
        let reply = with(6, b"\x07user-id\0\0\0\x04root").unwrap();
        assert_eq!(reply.into_properties(), [("User-Id".to_owned(), b"joe".to_vec())]);
    }

    #[test]
    fn four_statuses_are_known_by_their_three_digits() {
        for code in 0..1000u16 {
            let text = format!("{code:03}");
            match with(3, text.as_bytes()) {
                Ok(reply) => assert_eq!(reply.status.code(), code),
                Err(error) => {
                    assert_eq!(error, ZapError::StatusCode);
                    assert!(![200, 300, 400, 500].contains(&code));
                }
            }
        }
        for text in [&b""[..], b"2", b"20", b"2000", b"200 ", b"+200", b"\xff00", b"invalid"] {
            assert_eq!(with(3, text), Err(ZapError::StatusCode));
        }
    }

    #[test]
    fn malformed_replies_have_libzmqs_numbers() {
        let invalid = ZapError::Metadata(MetadataError::Truncated);
        for (result, error, code) in [
            (with(0, b"x"), ZapError::NoDelimiter, 0x2000_0000),
            (with(1, b"1.1"), ZapError::Version, 0x2000_0003),
            (with(2, b"2"), ZapError::RequestId, 0x2000_0002),
            (with(3, b"201"), ZapError::StatusCode, 0x2000_0004),
            (with(6, b"\x03X-a\0\0\0\x03hi"), invalid, 0x2000_0005),
        ] {
            assert_eq!(result, Err(error.clone()));
            assert_eq!(error.protocol_error_code(), code);
        }
        for count in (0..10).filter(|n| *n != GOOD.len()) {
            let frames: Vec<&[u8]> = GOOD.into_iter().chain([&b""[..]; 3]).take(count).collect();
            let error = ZapReply::parse(&frames).unwrap_err();
            assert_eq!(error, ZapError::FrameCount { count });
            assert_eq!(error.protocol_error_code(), 0x2000_0001);
        }
    }
}
