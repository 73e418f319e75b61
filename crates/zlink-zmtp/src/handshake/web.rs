//! The handshake over WebSocket: the upgrade in place of the greeting, and the frames of ZWS.
//!
//! ```text
//!            ZWS2.0/NULL, /PLAIN, …
//!  Upgrade ────────────────────────► Mechanism ───► as over any other transport
//!     │ ZWS2.0
//!     └────────────────────────────► RoutingId ───► Done
//! ```
//!
//! Mechanisms write ZMTP/2 frames, which become those of ZWS before anybody sees them.
//!
//! Sources: 45/ZWS; libzmq for `ZWS2.0` alone.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::reader::{Expect, FrameReader};
use super::{Framing, Handshake, HandshakeConfig, HandshakeError, MAX_ROUTING_ID_LEN, Peer, State};
use crate::frame::decode_header;
use crate::mechanism::Security;
use crate::zws::frame::{Kind, encode};
use crate::zws::mask::Keys;
use crate::zws::upgrade::{Agreed, Subprotocols, Upgrade};

/// Subscriptions are messages over WebSocket, as they are in ZMTP 3.0.
const VERSION: (u8, u8) = (3, 0);

/// How frames look on a connection over WebSocket.
pub(super) struct Web {
    client: bool,
    keys: Keys,
}

impl Handshake {
    /// Starts a handshake over WebSocket as the client, with a request for `path` at `host`; both go into the
    /// request as they are. Else as [`Handshake::new`].
    pub fn websocket_client(config: HandshakeConfig, host: &str, path: &str) -> Self {
        let mut keys = Keys::new();
        Self::websocket(config, |subprotocols, out| {
            Upgrade::client(host, path, keys.next_nonce(), subprotocols, out)
        })
    }

    /// Starts a handshake over WebSocket as the server, which speaks second. Else as [`Handshake::new`].
    pub fn websocket_server(config: HandshakeConfig) -> Self {
        Self::websocket(config, |subprotocols, _| Upgrade::server(subprotocols))
    }

    fn websocket(
        config: HandshakeConfig,
        upgrade: impl FnOnce(Subprotocols, &mut Vec<u8>) -> Upgrade,
    ) -> Self {
        let null = config.security == Security::Null;
        let mut handshake = Self::new(config);
        if matches!(handshake.state, State::Failed(..)) {
            return handshake;
        }
        // The signature of a greeting.
        handshake.out.clear();
        let name = handshake.mechanism.name();
        let name = name.split(|b| *b == 0).next().unwrap_or_default();
        let mechanism = Cow::Owned(String::from_utf8_lossy(name).into_owned());
        let subprotocols = Subprotocols { mechanism, bare: null && !handshake.secured };
        let upgrade = upgrade(subprotocols, &mut handshake.out);
        handshake.web = Some(Web { client: upgrade.is_client(), keys: Keys::new() });
        handshake.state = State::Upgrade(upgrade);
        handshake
    }

    pub(super) fn upgrade(&mut self, bytes: &[u8]) -> Result<(usize, Option<State>), HandshakeError> {
        let State::Upgrade(upgrade) = &mut self.state else { return Ok((0, None)) };
        let client = upgrade.is_client();
        let (n, agreed) = upgrade.input(bytes, &mut self.out).map_err(HandshakeError::Upgrade)?;
        let framing = Framing::WebSocket { client };
        Ok(match agreed {
            None => (n, None),
            Some(Agreed::Mechanism) => (n, Some(self.begin_mechanism(framing, VERSION))),
            Some(Agreed::Bare) => {
                let routing_id = std::mem::take(&mut self.routing_id);
                self.push_web(Kind::Message { more: false }, &routing_id);
                let reader = FrameReader::new(framing, Expect::RoutingId, MAX_ROUTING_ID_LEN as u64);
                (n, Some(State::RoutingId(reader, Peer::new(framing, VERSION))))
            }
        })
    }

    /// Acts on a frame of WebSocket's own that came between the mechanism's commands.
    pub(super) fn web_control(&mut self, kind: Kind, body: &[u8]) -> Result<(), HandshakeError> {
        match kind {
            Kind::Ping => self.push_web(Kind::Pong, body),
            Kind::Close => {
                self.push_web(Kind::Close, body);
                return Err(HandshakeError::Closed);
            }
            _ => {}
        }
        Ok(())
    }

    /// Gives what the mechanism has appended to the output since it had `from` bytes the frames of the
    /// connection.
    pub(super) fn frame_output(&mut self, from: usize) {
        if self.web.is_none() {
            return;
        }
        let commands = Zeroizing::new(self.out[from..].to_vec());
        self.out[from..].fill(0);
        self.out.truncate(from);
        let mut rest = commands.as_slice();
        while let Ok(Some(header)) = decode_header(rest, u64::MAX) {
            let (frame, behind) = rest.split_at(usize::from(header.header_len) + header.body_len as usize);
            self.push_web(Kind::Command, &frame[usize::from(header.header_len)..]);
            rest = behind;
        }
    }

    fn push_web(&mut self, kind: Kind, body: &[u8]) {
        if let Some(web) = &mut self.web {
            let key = web.client.then(|| web.keys.next_key());
            encode(&mut self.out, kind, body, key);
        }
    }
}
