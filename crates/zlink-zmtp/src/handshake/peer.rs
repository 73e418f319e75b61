//! What a handshake has learned about the peer.

use super::{Framing, HandshakeError, MAX_ROUTING_ID_LEN};
use crate::SocketType;
use crate::metadata::{self, IDENTITY, MetadataError, SOCKET_TYPE};

/// The other side of a complete handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// How frames are delimited from now on, in both directions.
    pub framing: Framing,
    /// The version spoken, major and minor: (3, 1), (3, 0), (2, 0) or (1, 0). A peer that announces
    /// a later version is spoken to in 3.1.
    pub version: (u8, u8),
    /// The peer's socket type; one that ours may talk to. A 1.0 peer does not tell.
    pub socket_type: Option<SocketType>,
    /// The peer's routing id, 0 to 255 bytes. Always empty for a 3.x peer other than REQ, DEALER and
    /// ROUTER. Whether a first byte of zero, reserved by 37/ZMTP but sent by programs in use, may name
    /// a peer is up to the socket.
    pub routing_id: Vec<u8>,
    /// All properties of the peer's metadata, `Socket-Type` and `Identity` included, in the order
    /// received. Empty before 3.0.
    pub metadata: Vec<(String, Vec<u8>)>,
    /// `User-Id` and whatever else a ZAP handler told of the peer. Empty if none was asked.
    pub zap_properties: Vec<(String, Vec<u8>)>,
    /// Whether the peer answers PING: from 3.0 on.
    pub heartbeats: bool,
    /// Whether SUBSCRIBE and CANCEL go as commands, from 3.1 on, or as messages that begin with 1 or 0.
    pub subscribe_commands: bool,
}

impl Peer {
    pub(super) fn new(framing: Framing, version: (u8, u8)) -> Self {
        Self {
            framing,
            version,
            socket_type: None,
            routing_id: Vec::new(),
            metadata: Vec::new(),
            zap_properties: Vec::new(),
            heartbeats: version >= (3, 0),
            subscribe_commands: version >= (3, 1),
        }
    }

    /// Accepts the socket type announced by the peer if ours may talk to it.
    pub(super) fn set_socket_type(
        &mut self,
        ours: SocketType,
        peer: SocketType,
    ) -> Result<(), HandshakeError> {
        if !ours.is_compatible(peer) {
            return Err(HandshakeError::IncompatibleSocketType { ours, peer });
        }
        self.socket_type = Some(peer);
        Ok(())
    }

    /// Decodes and judges the metadata with which a mechanism ends.
    pub(super) fn set_metadata(&mut self, ours: SocketType, metadata: &[u8]) -> Result<(), HandshakeError> {
        let mut routing_id = None;
        for property in metadata::properties(metadata) {
            let (name, value) = property.map_err(HandshakeError::Metadata)?;
            if name.eq_ignore_ascii_case(SOCKET_TYPE) {
                let peer = SocketType::from_wire(value)
                    .ok_or_else(|| HandshakeError::UnknownSocketType { name: value.to_vec() })?;
                if self.socket_type.is_some() {
                    return Err(duplicate(SOCKET_TYPE));
                }
                self.set_socket_type(ours, peer)?;
            } else if name.eq_ignore_ascii_case(IDENTITY) {
                if value.len() > MAX_ROUTING_ID_LEN {
                    return Err(HandshakeError::RoutingIdTooLong { len: value.len() });
                }
                if routing_id.replace(value).is_some() {
                    return Err(duplicate(IDENTITY));
                }
            }
            self.metadata.push((name.to_owned(), value.to_vec()));
        }
        let socket_type = self.socket_type.ok_or(HandshakeError::MissingSocketType)?;
        if let (true, Some(id)) = (socket_type.announces_routing_id(), routing_id) {
            self.routing_id = id.to_vec();
        }
        Ok(())
    }
}

fn duplicate(name: &'static str) -> HandshakeError {
    HandshakeError::Metadata(MetadataError::Duplicate { name })
}
