//! What the traffic after the handshake goes through, whichever mechanism has agreed on it.

use std::fmt;

use crate::curve::{self, CurveError, OVERHEAD};
#[cfg(feature = "gssapi")]
use crate::gssapi::{self, GssapiError};

pub use crate::curve::Opened;

/// What seals and opens the frames of one connection, once its handshake is complete.
#[derive(Debug)]
pub struct Cipher {
    /// For our frames.
    pub sealer: Sealer,
    /// For the peer's.
    pub opener: Opener,
}

/// Seals the frames of one connection, in the order in which they go out.
#[derive(Debug)]
#[non_exhaustive]
pub enum Sealer {
    /// In boxes of CURVE.
    Curve(curve::Sealer),
    /// In tokens of GSSAPI.
    #[cfg(feature = "gssapi")]
    Gssapi(gssapi::Sealer),
}

impl Sealer {
    /// The length of what [`Sealer::seal`] appends for a body of `len` bytes, if it can be told beforehand.
    #[inline]
    pub fn sealed_len(&self, len: usize) -> Option<usize> {
        match self {
            Self::Curve(_) => Some(len + OVERHEAD),
            #[cfg(feature = "gssapi")]
            Self::Gssapi(_) => None,
        }
    }

    /// Appends the MESSAGE that holds a frame, without a frame header of its own.
    ///
    /// # Errors
    ///
    /// With GSSAPI, if the frame cannot be wrapped. Nothing is appended; the connection must end.
    #[inline]
    pub fn seal(
        &mut self,
        more: bool,
        command: bool,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CipherError> {
        match self {
            Self::Curve(sealer) => {
                sealer.seal(more, command, body, out);
                Ok(())
            }
            #[cfg(feature = "gssapi")]
            Self::Gssapi(sealer) => sealer.seal(more, command, body, out).map_err(CipherError::Gssapi),
        }
    }
}

/// Opens the frames of one connection, in the order in which they arrive.
#[derive(Debug)]
#[non_exhaustive]
pub enum Opener {
    /// Boxes of CURVE.
    Curve(curve::Opener),
    /// Tokens of GSSAPI.
    #[cfg(feature = "gssapi")]
    Gssapi(gssapi::Opener),
}

impl Opener {
    /// Opens a MESSAGE, given without its frame header, where it lies. Any length is safe to pass.
    ///
    /// # Errors
    ///
    /// What is wrong with it; the connection must end, and nothing in `bytes` may be used.
    #[inline]
    pub fn open(&mut self, bytes: &mut [u8]) -> Result<Opened, CipherError> {
        match self {
            Self::Curve(opener) => opener.open(bytes).map_err(CipherError::Curve),
            #[cfg(feature = "gssapi")]
            Self::Gssapi(opener) => opener.open(bytes).map_err(CipherError::Gssapi),
        }
    }
}

impl From<curve::Cipher> for Cipher {
    fn from(cipher: curve::Cipher) -> Self {
        Self { sealer: Sealer::Curve(cipher.sealer), opener: Opener::Curve(cipher.opener) }
    }
}

/// Why a frame cannot be opened, or sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CipherError {
    /// It is no box of CURVE's.
    Curve(CurveError),
    /// It is no token of GSSAPI's, or does not become one.
    #[cfg(feature = "gssapi")]
    Gssapi(GssapiError),
}

impl CipherError {
    /// The `ZMQ_PROTOCOL_ERROR_*` value of `zmq.h` for `ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL`.
    pub const fn protocol_error_code(&self) -> i32 {
        match self {
            Self::Curve(error) => error.protocol_error_code(),
            #[cfg(feature = "gssapi")]
            Self::Gssapi(error) => error.protocol_error_code(),
        }
    }

    /// Whether the fault is on this side.
    pub const fn is_ours(&self) -> bool {
        match self {
            Self::Curve(error) => error.is_ours(),
            #[cfg(feature = "gssapi")]
            Self::Gssapi(error) => error.is_ours(),
        }
    }
}

impl fmt::Display for CipherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Curve(error) => error.fmt(f),
            #[cfg(feature = "gssapi")]
            Self::Gssapi(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CipherError {}
