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
//!                                                      ▲ │
//!                                                      │ ▼
//!                                                     Verdict
//! ```
//!
//! Over WebSocket the HTTP upgrade takes the greeting's place: see [`Handshake::websocket_client`].
//!
//! The greeting is sent in steps, each only once the peer's bytes show that it will understand: the
//! signature, which a 1.0 peer reads as the header of a routing-id frame; the major version; the rest.
//! A mechanism that asks a ZAP handler stays in `Verdict` until the answer is there, or, if the peer may go
//! on meanwhile, completes no sooner.
//!
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
mod web;

pub use crate::mechanism::plain::MAX_CREDENTIAL_LEN;
pub use error::{FailureKind, HandshakeError, MechanismCommand};
pub use peer::Peer;

use std::fmt;

use crate::SocketType;
use crate::cipher::Cipher;
use crate::frame;
use crate::mechanism::{Mechanism, Security, Step};
use crate::metadata::{IDENTITY, MetadataError, SOCKET_TYPE, encode_property};
use crate::zap::{Zap, ZapReply, ZapRequest, ZapStatus};
use crate::zws::upgrade::Upgrade;
use greeting::{Event, Greeting};
use reader::{Expect, FrameReader};
use web::Web;
use zeroize::{Zeroize, Zeroizing};

/// The longest routing id in bytes.
pub const MAX_ROUTING_ID_LEN: usize = 255;

/// A sane bound for [`HandshakeConfig::max_command_size`] where the application sets none: 64 KiB.
pub const DEFAULT_MAX_COMMAND_SIZE: u64 = 64 * 1024;

/// Room for a greeting and a HELLO with the longest credentials: growing leaves copies behind.
const ROOM: usize = 64 + 544;

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
    /// The mechanism, with our role in it. A peer without the same is refused, and so is one that speaks
    /// ZMTP 2.0 or 1.0 unless this is NULL and nobody decides about peers.
    pub security: Security,
    /// Whether a ZAP handler decides about peers. Clients ask nobody; PLAIN servers always.
    pub zap: Zap,
}

/// How frames are delimited on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// ZMTP 1.0: [`frame::v1`].
    V1,
    /// ZMTP 2.0 and later: [`frame`].
    V2,
    /// WebSocket: [`crate::zws::frame`].
    WebSocket {
        /// Whether we are the client, and mask.
        client: bool,
    },
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
pub struct Handshake {
    socket_type: SocketType,
    routing_id: Vec<u8>,
    max_command_size: u64,
    mechanism: Mechanism,
    as_server: bool,
    zap: Zap,
    /// Whether peers that know no security are refused.
    secured: bool,
    question: Question,
    /// Over WebSocket.
    web: Option<Web>,
    state: State,
    /// May hold a password.
    out: Zeroizing<Vec<u8>>,
    /// How much of `out` has been written.
    written: usize,
}

enum State {
    Greeting(Greeting),
    /// Over WebSocket: the request or the response is awaited.
    Upgrade(Upgrade),
    /// The peer is older than 3.0, and all but its routing id is known.
    RoutingId(FrameReader, Peer),
    /// All but what the metadata says is known.
    Mechanism(FrameReader, Peer),
    /// The peer is to wait for the handler's verdict, in silence.
    Verdict(Peer),
    /// The peer has done its part, and what it sends from here on is traffic; the verdict is awaited.
    Held(Peer),
    Done(Peer),
    Failed(HandshakeError, Stage),
}

/// How far the ZAP handler has been asked.
#[derive(Debug)]
enum Question {
    /// Not at all, or it has answered.
    None,
    Ready(ZapRequest),
    Asked,
}

/// Its buffers, where a password may be, are not shown.
impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("stage", &self.stage()).finish_non_exhaustive()
    }
}

impl Handshake {
    /// Starts a handshake; the signature is ready to be written.
    ///
    /// A configuration that cannot be sent makes the first [`Handshake::input`] fail and leaves
    /// nothing to write.
    pub fn new(config: HandshakeConfig) -> Self {
        Self::with_mechanism(config, Mechanism::new)
    }

    /// As [`Handshake::new`], with the mechanism that `make` makes.
    pub(crate) fn with_mechanism(
        config: HandshakeConfig,
        make: impl FnOnce(Security, Vec<u8>, Zap) -> Result<Mechanism, HandshakeError>,
    ) -> Self {
        let as_server = config.security.is_server();
        let zap = match config.security {
            // 24/PLAIN leaves the decision to ZAP.
            Security::PlainServer => Zap::Required,
            Security::PlainClient(_) | Security::CurveClient(_) => Zap::Never,
            #[cfg(feature = "gssapi")]
            Security::GssapiClient(_) => Zap::Never,
            _ => config.zap,
        };
        let secured = config.security != Security::Null || config.zap != Zap::Never;
        let mut out = Zeroizing::new(Vec::with_capacity(ROOM));
        let mechanism = own_metadata(&config).and_then(|metadata| make(config.security, metadata, zap));
        let (mechanism, state) = match mechanism {
            Ok(mechanism) => {
                push_signature(&mut out, config.routing_id.len());
                (mechanism, State::Greeting(Greeting::new()))
            }
            Err(error) => (Mechanism::unused(), State::Failed(error, Stage::Greeting)),
        };
        Self {
            socket_type: config.socket_type,
            routing_id: config.routing_id,
            max_command_size: config.max_command_size,
            mechanism,
            as_server,
            zap,
            secured,
            question: Question::None,
            web: None,
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
            // Also overwrites a password.
            self.out.zeroize();
            self.written = 0;
        }
    }

    /// Takes bytes received, any number of them, and returns how many belong to the handshake. That
    /// is all of them, unless the peer has done its part: the rest is then the first traffic. It is
    /// for the caller to keep while [`Handshake::wants_input`] says that a verdict is still awaited.
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
                Err(error) => return Err(self.fail(error)),
            }
        }
    }

    /// Whether more input is of use. Not once the peer has done its part: what it sends then is
    /// traffic, which is best left in the kernel while the verdict is awaited.
    pub fn wants_input(&self) -> bool {
        !matches!(self.state, State::Held(_) | State::Done(_) | State::Failed(..))
    }

    /// The question for the ZAP handler, once, when there is one. It is followed by
    /// [`Handshake::zap_reply`] or [`Handshake::zap_unavailable`]; until then nothing of the peer's is
    /// delivered and the peer is not told that it is welcome.
    pub fn zap_request(&mut self) -> Option<ZapRequest> {
        match std::mem::replace(&mut self.question, Question::None) {
            Question::Ready(request) => {
                self.question = Question::Asked;
                Some(request)
            }
            other => {
                self.question = other;
                None
            }
        }
    }

    /// The handler's answer. There may be more to write then, even if the peer is refused; and
    /// [`Handshake::input`] may take more of what it left. No effect unless asked for.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Denied`] unless the status is success; what the mechanism then finds wrong
    /// with the peer.
    pub fn zap_reply(&mut self, reply: ZapReply) -> Result<(), HandshakeError> {
        if !matches!(self.question, Question::Asked) {
            return Ok(());
        }
        self.question = Question::None;
        if reply.status != ZapStatus::Success {
            let from = self.out.len();
            Mechanism::denied(reply.status, &mut self.out);
            self.frame_output(from);
            return Err(self.fail(HandshakeError::Denied { status: reply.status }));
        }
        self.admit(reply.into_properties())
    }

    /// There is no handler to ask: without one the peer is welcome or not, as [`Zap`] says.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::NoZapHandler`]; what the mechanism then finds wrong with the peer.
    pub fn zap_unavailable(&mut self) -> Result<(), HandshakeError> {
        if !matches!(self.question, Question::Asked) {
            return Ok(());
        }
        self.question = Question::None;
        if self.zap == Zap::Required {
            return Err(self.fail(HandshakeError::NoZapHandler));
        }
        self.admit(Vec::new())
    }

    /// The peer is welcome.
    fn admit(&mut self, properties: Vec<(String, Vec<u8>)>) -> Result<(), HandshakeError> {
        let from = self.out.len();
        let step = self.mechanism.authorized(&mut self.out);
        self.frame_output(from);
        let step = match step {
            Ok(step) => step,
            Err(error) => return Err(self.fail(error)),
        };
        let next = match &mut self.state {
            // The peer goes on in its own time.
            State::Mechanism(_, peer) => {
                peer.zap_properties = properties;
                return Ok(());
            }
            State::Held(peer) => Ok(State::Done(Peer { zap_properties: properties, ..peer.clone() })),
            State::Verdict(peer) => {
                let peer = Peer { zap_properties: properties, ..peer.clone() };
                self.after(step, peer)
            }
            _ => return Ok(()),
        };
        match next {
            Ok(state) => {
                self.state = state;
                Ok(())
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    fn fail(&mut self, error: HandshakeError) -> HandshakeError {
        self.state = State::Failed(error.clone(), self.stage());
        self.question = Question::None;
        error
    }

    /// The peer, once the handshake is complete. Nothing more will be queued then, but
    /// [`Handshake::output`] may still hold bytes that the peer waits for.
    pub fn peer(&self) -> Option<&Peer> {
        match &self.state {
            State::Done(peer) => Some(peer),
            _ => None,
        }
    }

    /// What every frame of the traffic goes through in both directions, once the handshake is complete. `None` for
    /// mechanisms without encryption, before the handshake's end, and the second time.
    pub fn take_cipher(&mut self) -> Option<Cipher> {
        self.peer()?;
        std::mem::replace(&mut self.mechanism, Mechanism::unused()).into_cipher()
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
            State::Greeting(_) | State::Upgrade(_) => Stage::Greeting,
            State::RoutingId(..) | State::Mechanism(..) | State::Verdict(_) | State::Held(_) => {
                Stage::Mechanism
            }
            State::Done(_) => Stage::Done,
            State::Failed(_, stage) => *stage,
        }
    }

    /// Takes bytes until the state changes, or until all are used up (`None`).
    fn step(&mut self, bytes: &[u8]) -> Result<(usize, Option<State>), HandshakeError> {
        match &mut self.state {
            State::Greeting(_) => self.greet(bytes),
            State::Upgrade(_) => self.upgrade(bytes),
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
                let peer = peer.clone();
                if let Some(kind) = reader.control()? {
                    let body = command.to_vec();
                    self.web_control(kind, &body)?;
                    return Ok((n, Some(self.after(Step::Continue, peer)?)));
                }
                let from = self.out.len();
                let step = self.mechanism.process(command, &mut self.out)?;
                self.frame_output(from);
                Ok((n, Some(self.after(step, peer)?)))
            }
            State::Verdict(_) if !bytes.is_empty() => Err(HandshakeError::EarlyInput),
            State::Verdict(_) | State::Held(_) | State::Done(_) => Ok((0, None)),
            State::Failed(error, _) => Err(error.clone()),
        }
    }

    /// The state that a mechanism's step leads to.
    fn after(&mut self, step: Step, mut peer: Peer) -> Result<State, HandshakeError> {
        Ok(match step {
            Step::Continue => State::Mechanism(self.command_reader(peer.framing), peer),
            Step::AwaitZap(request) => {
                self.question = Question::Ready(request);
                State::Verdict(peer)
            }
            Step::Done(metadata) => {
                peer.set_metadata(self.socket_type, &metadata)?;
                match self.question {
                    Question::None => State::Done(peer),
                    Question::Ready(_) | Question::Asked => State::Held(peer),
                }
            }
        })
    }

    /// Begins the mechanism with a peer of this version.
    fn begin_mechanism(&mut self, framing: Framing, version: (u8, u8)) -> State {
        let from = self.out.len();
        if let Some(request) = self.mechanism.start(&mut self.out) {
            self.question = Question::Ready(request);
        }
        self.frame_output(from);
        State::Mechanism(self.command_reader(framing), Peer::new(framing, version))
    }

    fn command_reader(&self, framing: Framing) -> FrameReader {
        FrameReader::new(framing, Expect::Command, self.max_command_size)
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
                Event::OldRevision { revision } if self.secured => {
                    let version = old_version(revision);
                    return Err(HandshakeError::InsecureVersion { version });
                }
                Event::OldRevision { revision } => {
                    push_old_greeting(&mut self.out, self.socket_type);
                    push_routing_id(&mut self.out, old_framing(revision), &self.routing_id);
                    continue;
                }
                Event::NewRevision => {
                    push_new_greeting(&mut self.out, &self.mechanism, self.as_server);
                    continue;
                }
                Event::Unversioned if self.secured => {
                    return Err(HandshakeError::InsecureVersion { version: (1, 0) });
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
                    let mut peer = Peer::new(framing, old_version(revision));
                    let socket_type = SocketType::from_i32(i32::from(number))
                        .ok_or(HandshakeError::UnknownSocketTypeNumber { number })?;
                    peer.set_socket_type(self.socket_type, socket_type)?;
                    State::RoutingId(routing_id_reader(framing), peer)
                }
                Event::NewComplete { version, mechanism, as_server } => {
                    if mechanism != self.mechanism.name() {
                        return Err(HandshakeError::MechanismMismatch { peer: mechanism });
                    }
                    // Two clients are told apart by their first commands: libzmq's servers announce
                    // themselves as clients.
                    if as_server && self.as_server {
                        return Err(HandshakeError::RoleMismatch);
                    }
                    self.begin_mechanism(Framing::V2, version)
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
fn push_new_greeting(out: &mut Vec<u8>, mechanism: &Mechanism, as_server: bool) {
    out.push(OUR_MINOR);
    out.extend_from_slice(&mechanism.name());
    // as-server, which is zero for NULL, and 31 bytes of filler.
    out.push(u8::from(as_server));
    out.extend_from_slice(&[0; 31]);
}

/// The routing id to a peer older than 3.0.
fn push_routing_id(out: &mut Vec<u8>, framing: Framing, routing_id: &[u8]) {
    let len = routing_id.len() as u64;
    match framing {
        Framing::V1 => {
            let mut header = [0; frame::v1::MAX_HEADER_LEN];
            let n = frame::v1::encode_header(false, len, &mut header);
            out.extend_from_slice(&header[..n]);
        }
        Framing::V2 | Framing::WebSocket { .. } => {
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

/// The version of a peer with this revision, below 3.
fn old_version(revision: u8) -> (u8, u8) {
    if revision == 0 { (1, 0) } else { (2, 0) }
}

/// The framing of a peer with this revision, below 3. Revision 0 is that of development versions of
/// libzmq 3, which had the greeting of 2.0 and the framing of 1.0; libzmq still talks to them.
fn old_framing(revision: u8) -> Framing {
    if revision == 0 { Framing::V1 } else { Framing::V2 }
}
