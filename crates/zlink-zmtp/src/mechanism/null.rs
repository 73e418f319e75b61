//! NULL: no authentication, no confidentiality. Each side sends READY; neither waits for the other.
//!
//! Source: 37/ZMTP, "The NULL Security Mechanism". That text has the client send first; libzmq's
//! peers both send at once, which saves a round trip and which every implementation must accept.

use crate::command::{self, Command, encode_ready_metadata};
use crate::handshake::HandshakeError;

/// NULL's whole state: the metadata still to be sent.
#[derive(Debug)]
pub(crate) struct Null {
    metadata: Vec<u8>,
}

impl Null {
    pub(super) fn new(metadata: Vec<u8>) -> Self {
        Self { metadata }
    }

    pub(super) fn start(&mut self, out: &mut Vec<u8>) {
        encode_ready_metadata(out, &std::mem::take(&mut self.metadata));
    }

    /// Returns the metadata of the peer's READY, the only command that NULL may continue with.
    pub(super) fn process<'a>(&mut self, body: &'a [u8]) -> Result<&'a [u8], HandshakeError> {
        match command::parse(body)? {
            Command::Ready(metadata) => Ok(metadata),
            Command::Error(reason) => Err(HandshakeError::PeerError(reason.to_vec())),
            // `parse` has checked that the name's length is there and in bounds.
            _ => Err(HandshakeError::UnexpectedCommand { name: body[1..=usize::from(body[0])].to_vec() }),
        }
    }
}
