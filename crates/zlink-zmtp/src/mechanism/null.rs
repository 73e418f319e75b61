//! NULL: no authentication, no confidentiality. Each side sends READY; neither waits for the other.
//!
//! A ZAP handler, if one is to be asked, decides by the peer's address, before READY is sent.
//!
//! Source: 37/ZMTP, "The NULL Security Mechanism". That text has the client send first; libzmq's
//! peers both send at once, which saves a round trip and which every implementation must accept.

use super::Step;
use crate::command::{self, Command, encode_ready_metadata};
use crate::handshake::HandshakeError;
use crate::zap::{Zap, ZapRequest};

/// NULL's whole state: the metadata still to be sent.
#[derive(Debug)]
pub(crate) struct Null {
    metadata: Vec<u8>,
    zap: Zap,
}

impl Null {
    pub(super) fn new(metadata: Vec<u8>, zap: Zap) -> Self {
        Self { metadata, zap }
    }

    pub(super) fn start(&mut self, out: &mut Vec<u8>) -> Option<ZapRequest> {
        if self.zap == Zap::Never {
            self.authorized(out);
            return None;
        }
        Some(ZapRequest { mechanism: "NULL", credentials: Vec::new() })
    }

    pub(super) fn authorized(&mut self, out: &mut Vec<u8>) {
        encode_ready_metadata(out, &std::mem::take(&mut self.metadata));
    }

    /// Takes the peer's READY, the only command that NULL may continue with.
    pub(super) fn process(&mut self, body: &[u8]) -> Result<Step, HandshakeError> {
        match command::parse(body)? {
            Command::Ready(metadata) => Ok(Step::Done(metadata.to_vec())),
            Command::Error(reason) => Err(HandshakeError::PeerError(reason.to_vec())),
            _ => Err(super::unexpected(body)),
        }
    }
}
