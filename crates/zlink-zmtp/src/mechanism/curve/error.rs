//! What can be wrong with a CURVE peer's commands, and the numbers `zmq.h` has for it.

use std::fmt;

use super::keys::NoRandomness;
use crate::handshake::MechanismCommand;

// The `ZMQ_PROTOCOL_ERROR_ZMTP_*` values of zmq.h.
const UNSPECIFIED: i32 = 0x1000_0000;
const UNEXPECTED_COMMAND: i32 = 0x1000_0001;
const INVALID_SEQUENCE: i32 = 0x1000_0002;
const KEY_EXCHANGE: i32 = 0x1000_0003;
const MALFORMED_UNSPECIFIED: i32 = 0x1000_0011;
const MALFORMED_MESSAGE: i32 = 0x1000_0012;
const MALFORMED_HELLO: i32 = 0x1000_0013;
const MALFORMED_INITIATE: i32 = 0x1000_0014;
const MALFORMED_READY: i32 = 0x1000_0016;
const CRYPTOGRAPHIC: i32 = 0x1100_0001;

/// Why a CURVE connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CurveError {
    /// Something else than MESSAGE arrived after the handshake.
    NotAMessage,
    /// A frame after the handshake is not even a command.
    NotACommand,
    /// The command has a length that it cannot have.
    Length {
        /// Which.
        command: MechanismCommand,
        /// Its length in bytes.
        len: usize,
    },
    /// The client speaks another version of CURVE than 1.0.
    Version {
        /// Its major version.
        major: u8,
        /// Its minor version.
        minor: u8,
    },
    /// The command's nonce is not greater than the one before: a repeat, or out of order.
    Sequence {
        /// Which.
        command: MechanismCommand,
    },
    /// The command's box does not open: it was made with other keys, or has changed on its way.
    Box {
        /// Which.
        command: MechanismCommand,
    },
    /// The cookie of the INITIATE is not the one of our WELCOME.
    Cookie,
    /// The vouch of the INITIATE does not open with the client's long-term key.
    Vouch,
    /// The vouch of the INITIATE is for another connection or another server.
    VouchContent,
    /// A public key of the peer is one that no secret key belongs to.
    PeerKey,
    /// The server key that this socket was given is one that no secret key belongs to.
    ServerKey,
    /// The system has no random numbers.
    NoRandomness,
}

impl CurveError {
    /// The `ZMQ_PROTOCOL_ERROR_*` value of `zmq.h` for `ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL`.
    pub const fn protocol_error_code(&self) -> i32 {
        match self {
            Self::NotAMessage => UNEXPECTED_COMMAND,
            Self::NotACommand => MALFORMED_UNSPECIFIED,
            Self::Length { command: MechanismCommand::Hello, .. } | Self::Version { .. } => MALFORMED_HELLO,
            Self::Length { command: MechanismCommand::Initiate, .. } => MALFORMED_INITIATE,
            Self::Length { command: MechanismCommand::Ready, .. } => MALFORMED_READY,
            Self::Length { command: MechanismCommand::Message, .. } => MALFORMED_MESSAGE,
            Self::Sequence { .. } => INVALID_SEQUENCE,
            Self::VouchContent => KEY_EXCHANGE,
            // libzmq has a number for a malformed WELCOME, but reports this one.
            Self::Length { command: MechanismCommand::Welcome, .. }
            | Self::Box { .. }
            | Self::Cookie
            | Self::Vouch
            | Self::PeerKey
            | Self::ServerKey => CRYPTOGRAPHIC,
            Self::NoRandomness => UNSPECIFIED,
        }
    }

    /// Whether the fault is on this side: configuration or system.
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::ServerKey | Self::NoRandomness)
    }
}

impl From<NoRandomness> for CurveError {
    fn from(_: NoRandomness) -> Self {
        Self::NoRandomness
    }
}

impl fmt::Display for CurveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAMessage => f.write_str("CURVE: a frame other than MESSAGE after the handshake"),
            Self::NotACommand => f.write_str("CURVE: a frame without a command's name after the handshake"),
            Self::Length { command, len } => write!(f, "CURVE: {} of {len} bytes", command.as_str()),
            Self::Version { major, minor } => write!(f, "CURVE: HELLO of version {major}.{minor}"),
            Self::Sequence { command } => write!(f, "CURVE: the nonce of {} does not grow", command.as_str()),
            Self::Box { command } => {
                write!(f, "CURVE: {} cannot be opened; are the keys right?", command.as_str())
            }
            Self::Cookie => f.write_str("CURVE: the cookie of INITIATE is not ours"),
            Self::Vouch => f.write_str("CURVE: the vouch of INITIATE cannot be opened"),
            Self::VouchContent => f.write_str("CURVE: the vouch of INITIATE is for another connection"),
            Self::PeerKey => f.write_str("CURVE: the peer's public key is not a usable key"),
            Self::ServerKey => f.write_str("CURVE: ZMQ_CURVE_SERVERKEY is not a usable key"),
            Self::NoRandomness => NoRandomness.fmt(f),
        }
    }
}

impl std::error::Error for CurveError {}
