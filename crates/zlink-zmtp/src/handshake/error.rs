//! Why a handshake failed, and the numbers `zmq.h` has for it.

use std::fmt;

use crate::SocketType;
use crate::command::CommandError;
use crate::frame::FrameError;
use crate::mechanism::NAME_LEN;
use crate::mechanism::curve::CurveError;
#[cfg(feature = "gssapi")]
use crate::mechanism::gssapi::GssapiError;
use crate::metadata::MetadataError;
use crate::zap::{ZapError, ZapStatus};
use crate::zws::upgrade::UpgradeError;

// The `ZMQ_PROTOCOL_ERROR_ZMTP_*` values of zmq.h, carried by ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL.
const UNSPECIFIED: i32 = 0x1000_0000;
const UNEXPECTED_COMMAND: i32 = 0x1000_0001;
const MALFORMED_COMMAND_UNSPECIFIED: i32 = 0x1000_0011;
const MALFORMED_COMMAND_MESSAGE: i32 = 0x1000_0012;
const MALFORMED_COMMAND_HELLO: i32 = 0x1000_0013;
const MALFORMED_COMMAND_INITIATE: i32 = 0x1000_0014;
const MALFORMED_COMMAND_ERROR: i32 = 0x1000_0015;
const MALFORMED_COMMAND_READY: i32 = 0x1000_0016;
const MALFORMED_COMMAND_WELCOME: i32 = 0x1000_0017;
const INVALID_METADATA: i32 = 0x1000_0018;
const MECHANISM_MISMATCH: i32 = 0x1100_0002;
const WS_UNSPECIFIED: i32 = 0x3000_0000;

/// Why a handshake failed. The connection must be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The upgrade to WebSocket failed.
    Upgrade(UpgradeError),
    /// The peer sent a WebSocket CLOSE.
    Closed,
    /// A frame header is invalid, or a frame is longer than the handshake allows.
    Frame(FrameError),
    /// The routing-id frame of a ZMTP 1.0 or 2.0 peer has flags set, though it can have none. A peer
    /// that speaks another protocol altogether mostly fails here.
    RoutingIdFlags {
        /// The MORE and COMMAND flags received.
        flags: u8,
    },
    /// A message arrived where only a command may.
    MessageBeforeReady,
    /// A command breaks the grammar.
    MalformedCommand(CommandError),
    /// A command that has no place in this mechanism.
    UnexpectedCommand {
        /// Its name, 1 to 255 bytes.
        name: Vec<u8>,
    },
    /// A command of the mechanism breaks its grammar.
    MalformedMechanismCommand(MechanismCommand),
    /// The peer sent something before it was told that it is welcome.
    EarlyInput,
    /// The peer's metadata is malformed.
    Metadata(MetadataError),
    /// The peer's metadata has no `Socket-Type`.
    MissingSocketType,
    /// The peer's `Socket-Type` is not one we know.
    UnknownSocketType {
        /// The property's value.
        name: Vec<u8>,
    },
    /// The socket type in a ZMTP 2.0 greeting is not one we know.
    UnknownSocketTypeNumber {
        /// The byte received.
        number: u8,
    },
    /// The peer's socket type may not talk to ours.
    IncompatibleSocketType {
        /// Our type.
        ours: SocketType,
        /// The peer's.
        peer: SocketType,
    },
    /// The peer's `Identity` exceeds 255 bytes.
    RoutingIdTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The peer's mechanism is not ours.
    MechanismMismatch {
        /// The mechanism field of the peer's greeting, zero-padded.
        peer: [u8; NAME_LEN],
    },
    /// The peer wants to be the server, as we do.
    RoleMismatch,
    /// The peer's version knows no security, and ours demands it.
    InsecureVersion {
        /// The version, (1, 0) or (2, 0).
        version: (u8, u8),
    },
    /// The ZAP handler refused the peer.
    Denied {
        /// What it gave, anything but success.
        status: ZapStatus,
    },
    /// The ZAP handler's reply is malformed.
    Zap(ZapError),
    /// There is no ZAP handler, and without one nobody is welcome.
    NoZapHandler,
    /// The peer sent ERROR with this reason, 0 to 255 bytes.
    PeerError(Vec<u8>),
    /// CURVE cannot go on.
    Curve(CurveError),
    /// GSSAPI cannot go on.
    #[cfg(feature = "gssapi")]
    Gssapi(GssapiError),
    /// Our own routing id exceeds 255 bytes.
    LocalRoutingIdTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Our own extra properties cannot be sent.
    LocalMetadata(MetadataError),
    /// Our own username or password exceeds 255 bytes.
    LocalCredentialTooLong {
        /// Its length in bytes.
        len: usize,
    },
}

/// A command with a grammar of its mechanism's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MechanismCommand {
    /// The client's first.
    Hello,
    /// The server's answer to it.
    Welcome,
    /// The client's second.
    Initiate,
    /// The server's answer to it.
    Ready,
    /// A message within a command.
    Message,
}

impl MechanismCommand {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hello => "HELLO",
            Self::Welcome => "WELCOME",
            Self::Initiate => "INITIATE",
            Self::Ready => "READY",
            Self::Message => "MESSAGE",
        }
    }
}

/// Who is at fault when a handshake fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The peer broke the protocol or may not talk to us.
    Protocol,
    /// The two sides are configured for different mechanisms.
    MechanismMismatch,
    /// The peer refused us with an ERROR command.
    PeerRejected,
    /// A ZAP handler refused the peer.
    Denied,
    /// A ZAP handler broke its protocol.
    Zap,
    /// A ZAP handler is needed and not there.
    NoZapHandler,
    /// Our own configuration cannot be sent.
    Configuration,
}

impl HandshakeError {
    /// Who is at fault.
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::MechanismMismatch { .. } => FailureKind::MechanismMismatch,
            Self::PeerError(_) => FailureKind::PeerRejected,
            Self::Denied { .. } => FailureKind::Denied,
            Self::Zap(_) => FailureKind::Zap,
            Self::NoZapHandler => FailureKind::NoZapHandler,
            Self::LocalRoutingIdTooLong { .. }
            | Self::LocalMetadata(_)
            | Self::LocalCredentialTooLong { .. } => FailureKind::Configuration,
            Self::Curve(error) if error.is_ours() => FailureKind::Configuration,
            #[cfg(feature = "gssapi")]
            Self::Gssapi(error) if error.is_ours() => FailureKind::Configuration,
            #[cfg(feature = "gssapi")]
            Self::Gssapi(_) => FailureKind::Protocol,
            Self::Frame(_)
            | Self::Upgrade(_)
            | Self::Closed
            | Self::MalformedMechanismCommand(_)
            | Self::EarlyInput
            | Self::RoleMismatch
            | Self::InsecureVersion { .. }
            | Self::RoutingIdFlags { .. }
            | Self::Curve(_)
            | Self::MessageBeforeReady
            | Self::MalformedCommand(_)
            | Self::UnexpectedCommand { .. }
            | Self::Metadata(_)
            | Self::MissingSocketType
            | Self::UnknownSocketType { .. }
            | Self::UnknownSocketTypeNumber { .. }
            | Self::IncompatibleSocketType { .. }
            | Self::RoutingIdTooLong { .. } => FailureKind::Protocol,
        }
    }

    /// The `ZMQ_PROTOCOL_ERROR_*` value of `zmq.h` for `ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL`.
    pub const fn protocol_error_code(&self) -> i32 {
        match self {
            Self::Upgrade(_) | Self::Closed | Self::Frame(FrameError::WebSocket(_)) => WS_UNSPECIFIED,
            Self::Frame(_)
            | Self::RoutingIdFlags { .. }
            | Self::EarlyInput
            | Self::InsecureVersion { .. }
            | Self::Denied { .. }
            | Self::NoZapHandler
            | Self::PeerError(_)
            | Self::LocalRoutingIdTooLong { .. }
            | Self::LocalMetadata(_)
            | Self::LocalCredentialTooLong { .. } => UNSPECIFIED,
            Self::MalformedMechanismCommand(command) => match command {
                MechanismCommand::Hello => MALFORMED_COMMAND_HELLO,
                MechanismCommand::Welcome => MALFORMED_COMMAND_WELCOME,
                MechanismCommand::Initiate => MALFORMED_COMMAND_INITIATE,
                MechanismCommand::Ready => MALFORMED_COMMAND_READY,
                MechanismCommand::Message => MALFORMED_COMMAND_MESSAGE,
            },
            Self::Zap(error) => error.protocol_error_code(),
            Self::MessageBeforeReady | Self::UnexpectedCommand { .. } => UNEXPECTED_COMMAND,
            Self::MalformedCommand(CommandError::ErrorReasonLength) => MALFORMED_COMMAND_ERROR,
            Self::MalformedCommand(_) => MALFORMED_COMMAND_UNSPECIFIED,
            Self::Metadata(_)
            | Self::MissingSocketType
            | Self::UnknownSocketType { .. }
            | Self::UnknownSocketTypeNumber { .. }
            | Self::IncompatibleSocketType { .. }
            | Self::RoutingIdTooLong { .. } => INVALID_METADATA,
            Self::MechanismMismatch { .. } | Self::RoleMismatch => MECHANISM_MISMATCH,
            Self::Curve(error) => error.protocol_error_code(),
            #[cfg(feature = "gssapi")]
            Self::Gssapi(error) => error.protocol_error_code(),
        }
    }

    /// The status that a ZAP handler gave: ours, or one on the peer's side if the peer's ERROR carries one:
    /// 300, 400 or 500. It is the value of `ZMQ_EVENT_HANDSHAKE_FAILED_AUTH`.
    ///
    /// Source: 27/ZAP; libzmq sends the status as the ERROR's reason.
    pub fn auth_status(&self) -> Option<u16> {
        let status = match self {
            Self::Denied { status } => Some(*status),
            Self::PeerError(reason) => ZapStatus::from_text(reason),
            _ => None,
        };
        status.filter(|status| *status != ZapStatus::Success).map(ZapStatus::code)
    }
}

impl From<FrameError> for HandshakeError {
    fn from(e: FrameError) -> Self {
        Self::Frame(e)
    }
}

impl From<ZapError> for HandshakeError {
    fn from(e: ZapError) -> Self {
        Self::Zap(e)
    }
}

impl From<CommandError> for HandshakeError {
    fn from(e: CommandError) -> Self {
        Self::MalformedCommand(e)
    }
}

impl From<CurveError> for HandshakeError {
    fn from(e: CurveError) -> Self {
        Self::Curve(e)
    }
}

#[cfg(feature = "gssapi")]
impl From<GssapiError> for HandshakeError {
    fn from(e: GssapiError) -> Self {
        Self::Gssapi(e)
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upgrade(e) => e.fmt(f),
            Self::Closed => f.write_str("peer closed the WebSocket connection during the handshake"),
            Self::Frame(e) => e.fmt(f),
            Self::RoutingIdFlags { flags } => {
                write!(f, "routing id frame has flags {flags:#04x}; is the peer speaking ZMTP?")
            }
            Self::MessageBeforeReady => f.write_str("message received before the handshake's end"),
            Self::MalformedCommand(e) => e.fmt(f),
            Self::UnexpectedCommand { name } => {
                write!(f, "unexpected command {} during the handshake", name.escape_ascii())
            }
            Self::Metadata(e) => e.fmt(f),
            Self::MissingSocketType => f.write_str("peer did not announce its socket type"),
            Self::UnknownSocketType { name } => {
                write!(f, "peer announces unknown socket type \"{}\"", name.escape_ascii())
            }
            Self::UnknownSocketTypeNumber { number } => {
                write!(f, "peer announces unknown socket type number {number}")
            }
            Self::IncompatibleSocketType { ours, peer } => {
                write!(f, "{ours} socket cannot talk to the peer's {peer} socket")
            }
            Self::RoutingIdTooLong { len } => {
                write!(f, "peer's routing id of {len} bytes exceeds the limit of 255")
            }
            Self::MechanismMismatch { peer } => {
                let name = peer.split(|b| *b == 0).next().unwrap_or_default();
                write!(f, "peer uses security mechanism \"{}\", not ours", name.escape_ascii())
            }
            Self::MalformedMechanismCommand(command) => {
                write!(f, "malformed {} command", command.as_str())
            }
            Self::EarlyInput => f.write_str("peer went on before it was told that it is welcome"),
            Self::RoleMismatch => f.write_str("both sides are configured as the security server"),
            Self::InsecureVersion { version: (major, minor) } => {
                write!(f, "peer speaks ZMTP {major}.{minor}, which has no security")
            }
            Self::Denied { status } => {
                write!(f, "the ZAP handler refused the peer with status {}", status.code())
            }
            Self::Zap(e) => e.fmt(f),
            Self::NoZapHandler => f.write_str("there is no ZAP handler"),
            Self::PeerError(reason) => {
                write!(f, "peer refused the handshake: \"{}\"", reason.escape_ascii())
            }
            Self::Curve(e) => e.fmt(f),
            #[cfg(feature = "gssapi")]
            Self::Gssapi(e) => e.fmt(f),
            Self::LocalRoutingIdTooLong { len } => {
                write!(f, "own routing id of {len} bytes exceeds the limit of 255")
            }
            Self::LocalMetadata(e) => write!(f, "own metadata: {e}"),
            Self::LocalCredentialTooLong { len } => {
                write!(f, "own username or password of {len} bytes exceeds the limit of 255")
            }
        }
    }
}

impl std::error::Error for HandshakeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Upgrade(e) => Some(e),
            Self::Frame(e) => Some(e),
            Self::MalformedCommand(e) => Some(e),
            Self::Curve(e) => Some(e),
            #[cfg(feature = "gssapi")]
            Self::Gssapi(e) => Some(e),
            Self::Metadata(e) | Self::LocalMetadata(e) => Some(e),
            Self::Zap(e) => Some(e),
            _ => None,
        }
    }
}
