//! The handshake: greeting, version negotiation and mechanism, as one state machine.
//!
//! ```text
//!             first byte not FF, or tenth byte even
//!  Signature ──────────────────────────────────────► RoutingId (1.0) ──────┐
//!      │ tenth byte odd                                                    │
//!      ▼       0, 1 or 2                                                   │
//!   Revision ───────────► Greeting of 12 ──────────► RoutingId (2.0) ──────┤
//!      │ 3 and above                                                       ▼
//!      └────────────────► Greeting of 64 ──────────► Mechanism (3.x) ───► Done
//! ```
//!
//! The greeting is sent in steps, each only once the peer's bytes show that it will understand: the
//! signature, which a 1.0 peer reads as the header of a routing-id frame; the major version; the rest.
//! Any error is final.
//!
//! The caller writes [`Handshake::output`], feeds [`Handshake::input`], and keeps the time: a handshake
//! has no deadline of its own.
//!
//! Source: 37/ZMTP, "Version Negotiation" and "Backwards Interoperability".

mod error;
mod greeting;
mod peer;
mod reader;

pub use error::{FailureKind, HandshakeError};
pub use peer::Peer;

use crate::SocketType;
use crate::frame;
use crate::mechanism::Mechanism;
use crate::metadata::{IDENTITY, MetadataError, SOCKET_TYPE, encode_property};
use greeting::{Event, Greeting};
use reader::{Expect, FrameReader};

/// The longest routing id in bytes.
pub const MAX_ROUTING_ID_LEN: usize = 255;

/// A sane bound for [`HandshakeConfig::max_command_size`] where the application sets none: 64 KiB.
pub const DEFAULT_MAX_COMMAND_SIZE: u64 = 64 * 1024;

/// The version announced: 3.1.
const OUR_MAJOR: u8 = 3;
const OUR_MINOR: u8 = 1;

/// What a handshake announces and what it accepts.
#[derive(Debug, Clone)]
pub struct HandshakeConfig {
    /// Our socket type, which also decides which peers are accepted.
    pub socket_type: SocketType,
    /// Our routing id, 0 to 255 bytes. Sent to 3.x peers by REQ, DEALER and ROUTER only, to older
    /// peers by every type.
    pub routing_id: Vec<u8>,
    /// Properties sent after `Socket-Type` and `Identity`, which must not be among them.
    pub metadata: Vec<(String, Vec<u8>)>,
    /// The longest command accepted during the handshake, in bytes of body. Usually
    /// [`DEFAULT_MAX_COMMAND_SIZE`]; a READY alone takes some 50 bytes.
    pub max_command_size: u64,
    /// Whether we are the server for mechanisms that tell server and client apart. NULL does not, and
    /// always announces zero, as 37/ZMTP demands.
    pub as_server: bool,
}

/// How frames are delimited on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// ZMTP 1.0: [`frame::v1`].
    V1,
    /// ZMTP 2.0 and later: [`frame`].
    V2,
}

/// How far a handshake has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Waiting for the peer's greeting.
    Greeting,
    /// Greeting complete; waiting for the mechanism's commands, or the routing id of an older peer.
    Mechanism,
    /// Complete.
    Done,
}

/// One side of a handshake. See the module's description.
#[derive(Debug)]
pub struct Handshake {
    socket_type: SocketType,
    routing_id: Vec<u8>,
    max_command_size: u64,
    mechanism: Mechanism,
    state: State,
    out: Vec<u8>,
    /// How much of `out` has been written.
    written: usize,
}

#[derive(Debug)]
enum State {
    Greeting(Greeting),
    /// The peer is older than 3.0, and all but its routing id is known.
    RoutingId(FrameReader, Peer),
    /// All but what the metadata says is known.
    Mechanism(FrameReader, Peer),
    Done(Peer),
    Failed(HandshakeError, Stage),
}

impl Handshake {
    /// Starts a handshake; the signature is ready to be written.
    ///
    /// A configuration that cannot be sent makes the first [`Handshake::input`] fail and leaves
    /// nothing to write.
    pub fn new(config: HandshakeConfig) -> Self {
        let mut out = Vec::new();
        let (metadata, state) = match own_metadata(&config) {
            Ok(metadata) => {
                push_signature(&mut out, config.routing_id.len());
                (metadata, State::Greeting(Greeting::new()))
            }
            Err(error) => (Vec::new(), State::Failed(error, Stage::Greeting)),
        };
        Self {
            socket_type: config.socket_type,
            routing_id: config.routing_id,
            max_command_size: config.max_command_size,
            mechanism: Mechanism::null(metadata),
            state,
            out,
            written: 0,
        }
    }

    /// Bytes waiting to be written, even once the handshake is complete or has failed.
    pub fn output(&self) -> &[u8] {
        &self.out[self.written..]
    }

    /// The first `n` bytes of [`Handshake::output`] have been written.
    pub fn advance_output(&mut self, n: usize) {
        self.written = self.written.saturating_add(n).min(self.out.len());
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
    }

    /// Takes bytes received, any number of them, and returns how many belong to the handshake. That
    /// is all of them, unless the handshake is complete: the rest is then the first traffic.
    ///
    /// # Errors
    ///
    /// Why the handshake failed, again at every later call.
    pub fn input(&mut self, bytes: &[u8]) -> Result<usize, HandshakeError> {
        let mut consumed = 0;
        loop {
            match self.step(&bytes[consumed..]) {
                Ok((n, next)) => {
                    consumed += n;
                    match next {
                        Some(state) => self.state = state,
                        None => return Ok(consumed),
                    }
                }
                Err(error) => {
                    self.state = State::Failed(error.clone(), self.stage());
                    return Err(error);
                }
            }
        }
    }

    /// The peer, once the handshake is complete. Nothing more will be queued then, but
    /// [`Handshake::output`] may still hold bytes that the peer waits for.
    pub fn peer(&self) -> Option<&Peer> {
        match &self.state {
            State::Done(peer) => Some(peer),
            _ => None,
        }
    }

    /// As [`Handshake::peer`], by value.
    pub fn into_peer(self) -> Option<Peer> {
        match self.state {
            State::Done(peer) => Some(peer),
            _ => None,
        }
    }

    /// How far the handshake has come, or had come when it failed.
    pub fn stage(&self) -> Stage {
        match &self.state {
            State::Greeting(_) => Stage::Greeting,
            State::RoutingId(..) | State::Mechanism(..) => Stage::Mechanism,
            State::Done(_) => Stage::Done,
            State::Failed(_, stage) => *stage,
        }
    }

    /// Takes bytes until the state changes, or until all are used up (`None`).
    fn step(&mut self, bytes: &[u8]) -> Result<(usize, Option<State>), HandshakeError> {
        match &mut self.state {
            State::Greeting(_) => self.greet(bytes),
            State::RoutingId(reader, peer) => {
                let n = reader.feed(bytes)?;
                let Some(id) = reader.body()? else {
                    return Ok((n, None));
                };
                Ok((n, Some(State::Done(Peer { routing_id: id.to_vec(), ..peer.clone() }))))
            }
            State::Mechanism(reader, peer) => {
                let n = reader.feed(bytes)?;
                let Some(command) = reader.body()? else {
                    return Ok((n, None));
                };
                let metadata = self.mechanism.process(command)?;
                let mut peer = peer.clone();
                peer.set_metadata(self.socket_type, metadata)?;
                Ok((n, Some(State::Done(peer))))
            }
            State::Done(_) => Ok((0, None)),
            State::Failed(error, _) => Err(error.clone()),
        }
    }

    fn greet(&mut self, bytes: &[u8]) -> Result<(usize, Option<State>), HandshakeError> {
        let State::Greeting(greeting) = &mut self.state else {
            return Ok((0, None));
        };
        let mut taken = 0;
        loop {
            let (n, event) = greeting.feed(&bytes[taken..]);
            taken += n;
            let Some(event) = event else {
                return Ok((taken, None));
            };
            let next = match event {
                Event::Signature => {
                    self.out.push(OUR_MAJOR);
                    continue;
                }
                Event::OldRevision { revision } => {
                    push_old_greeting(&mut self.out, self.socket_type);
                    push_routing_id(&mut self.out, old_framing(revision), &self.routing_id);
                    continue;
                }
                Event::NewRevision => {
                    push_new_greeting(&mut self.out, &self.mechanism);
                    continue;
                }
                Event::Unversioned => {
                    let mut reader = routing_id_reader(Framing::V1);
                    reader.feed(greeting.received())?;
                    // Our signature was the header of this frame.
                    self.out.extend_from_slice(&self.routing_id);
                    State::RoutingId(reader, Peer::new(Framing::V1, (1, 0)))
                }
                Event::OldComplete { revision, socket_type: number } => {
                    let framing = old_framing(revision);
                    let version = if revision == 0 { (1, 0) } else { (2, 0) };
                    let mut peer = Peer::new(framing, version);
                    let socket_type = SocketType::from_i32(i32::from(number))
                        .ok_or(HandshakeError::UnknownSocketTypeNumber { number })?;
                    peer.set_socket_type(self.socket_type, socket_type)?;
                    State::RoutingId(routing_id_reader(framing), peer)
                }
                Event::NewComplete { version, mechanism } => {
                    if mechanism != self.mechanism.name() {
                        return Err(HandshakeError::MechanismMismatch { peer: mechanism });
                    }
                    self.mechanism.start(&mut self.out);
                    let reader = FrameReader::new(Framing::V2, Expect::Command, self.max_command_size);
                    State::Mechanism(reader, Peer::new(Framing::V2, version))
                }
            };
            return Ok((taken, Some(next)));
        }
    }
}

/// Encodes the metadata we announce, once the routing id, too, is known to fit.
fn own_metadata(config: &HandshakeConfig) -> Result<Vec<u8>, HandshakeError> {
    let len = config.routing_id.len();
    if len > MAX_ROUTING_ID_LEN {
        return Err(HandshakeError::LocalRoutingIdTooLong { len });
    }
    let own = [
        (SOCKET_TYPE, Some(config.socket_type.as_str().as_bytes())),
        (IDENTITY, config.socket_type.announces_routing_id().then_some(&config.routing_id[..])),
    ];
    let mut metadata = Vec::new();
    for (name, value) in own {
        if config.metadata.iter().any(|(extra, _)| extra.eq_ignore_ascii_case(name)) {
            return Err(HandshakeError::LocalMetadata(MetadataError::Duplicate { name }));
        }
        if let Some(value) = value {
            encode_property(&mut metadata, name, value).map_err(HandshakeError::LocalMetadata)?;
        }
    }
    for (name, value) in &config.metadata {
        encode_property(&mut metadata, name, value).map_err(HandshakeError::LocalMetadata)?;
    }
    Ok(metadata)
}

/// The signature. To a 1.0 peer it is the header of our routing-id frame, hence the length in it.
fn push_signature(out: &mut Vec<u8>, routing_id_len: usize) {
    out.push(0xff);
    out.extend_from_slice(&(routing_id_len as u64 + 1).to_be_bytes());
    out.push(0x7f);
}

/// The rest of our greeting to a peer older than 3.0, after our major version.
fn push_old_greeting(out: &mut Vec<u8>, socket_type: SocketType) {
    // 15/ZMTP has no numbers for XPUB and XSUB: on the wire they are PUB and SUB.
    let on_the_wire = match socket_type {
        SocketType::Xpub => SocketType::Pub,
        SocketType::Xsub => SocketType::Sub,
        other => other,
    };
    out.push(on_the_wire as u8);
}

/// The rest of our greeting to a peer of 3.0 or later, after our major version.
fn push_new_greeting(out: &mut Vec<u8>, mechanism: &Mechanism) {
    out.push(OUR_MINOR);
    out.extend_from_slice(&mechanism.name());
    // as-server, which is zero for NULL, and 31 bytes of filler.
    out.extend_from_slice(&[0; 32]);
}

fn push_routing_id(out: &mut Vec<u8>, framing: Framing, routing_id: &[u8]) {
    let len = routing_id.len() as u64;
    match framing {
        Framing::V1 => {
            let mut header = [0; frame::v1::MAX_HEADER_LEN];
            let n = frame::v1::encode_header(false, len, &mut header);
            out.extend_from_slice(&header[..n]);
        }
        Framing::V2 => {
            let mut header = [0; frame::MAX_HEADER_LEN];
            let n = frame::encode_header(false, false, len, &mut header);
            out.extend_from_slice(&header[..n]);
        }
    }
    out.extend_from_slice(routing_id);
}

fn routing_id_reader(framing: Framing) -> FrameReader {
    FrameReader::new(framing, Expect::RoutingId, MAX_ROUTING_ID_LEN as u64)
}

/// The framing of a peer with this revision, below 3. Revision 0 is that of development versions of
/// libzmq 3, which had the greeting of 2.0 and the framing of 1.0; libzmq still talks to them.
fn old_framing(revision: u8) -> Framing {
    if revision == 0 { Framing::V1 } else { Framing::V2 }
}
