//! Security mechanisms: what happens between the greeting and the first message.
//!
//! [`crate::handshake`] frames and unframes; a mechanism sends and judges commands, and ends with the
//! peer's metadata.

mod null;

use crate::handshake::HandshakeError;
use null::Null;

/// Length in bytes of the mechanism's name in the greeting.
pub(crate) const NAME_LEN: usize = 20;

/// The mechanism of one connection, with its progress.
#[derive(Debug)]
pub(crate) enum Mechanism {
    Null(Null),
}

impl Mechanism {
    /// NULL, announcing this encoded metadata.
    pub(crate) fn null(metadata: Vec<u8>) -> Self {
        Self::Null(Null::new(metadata))
    }

    /// The name in the greeting, padded with zeros.
    pub(crate) fn name(&self) -> [u8; NAME_LEN] {
        match self {
            Self::Null(_) => *b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        }
    }

    /// Appends the command frames this side sends without waiting for the peer.
    pub(crate) fn start(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Null(null) => null.start(out),
        }
    }

    /// Takes the body of the peer's command and returns the peer's metadata.
    pub(crate) fn process<'a>(&mut self, command: &'a [u8]) -> Result<&'a [u8], HandshakeError> {
        match self {
            Self::Null(null) => null.process(command),
        }
    }
}
