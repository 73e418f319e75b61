//! What can be wrong with a GSSAPI peer's commands or our own credentials, and the numbers `zmq.h` has for it.

use std::fmt;

use super::kerberos;
use crate::handshake::MechanismCommand;

// The `ZMQ_PROTOCOL_ERROR_ZMTP_*` values of zmq.h.
const UNSPECIFIED: i32 = 0x1000_0000;
const UNEXPECTED_COMMAND: i32 = 0x1000_0001;
const MALFORMED_UNSPECIFIED: i32 = 0x1000_0011;
const MALFORMED_MESSAGE: i32 = 0x1000_0012;
const MALFORMED_INITIATE: i32 = 0x1000_0014;
const MALFORMED_READY: i32 = 0x1000_0016;
const CRYPTOGRAPHIC: i32 = 0x1100_0001;

/// What the library of GSSAPI says is wrong. Source: RFC 2744, "Status values".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status {
    /// The status of GSSAPI.
    pub major: u32,
    /// The status of Kerberos.
    pub minor: u32,
}

/// `GSS_S_FAILURE` of RFC 2744, for what no library has refused.
pub(super) const FAILURE: Status = Status { major: 13 << 16, minor: 0 };

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        kerberos::describe(*self, f)
    }
}

/// Why a GSSAPI connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GssapiError {
    /// Something else than MESSAGE arrived where everything is wrapped.
    NotAMessage,
    /// A frame where everything is wrapped is not even a command.
    NotACommand,
    /// The command has a length that does not go with that of its token.
    Length {
        /// Which.
        command: MechanismCommand,
        /// Its length in bytes.
        len: usize,
    },
    /// The peer's token is not accepted.
    Token(Status),
    /// The peer's token does not unwrap: it was made in another context, is a repeat, or has changed on its way.
    Unwrap(Status),
    /// The peer's token unwraps, but what is in it was not encrypted.
    NotEncrypted,
    /// The context of the peer needs another token of ours, and ours has none to give; or the other way round.
    OutOfStep,
    /// Our own principal, or that of the service, cannot be used.
    Principal(Status),
    /// There is no ticket to be had for the service.
    Ticket(Status),
    /// What we send cannot be wrapped.
    Wrap(Status),
}

impl GssapiError {
    /// The `ZMQ_PROTOCOL_ERROR_*` value of `zmq.h` for `ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL`.
    pub const fn protocol_error_code(&self) -> i32 {
        match self {
            Self::NotAMessage | Self::OutOfStep => UNEXPECTED_COMMAND,
            Self::NotACommand => MALFORMED_UNSPECIFIED,
            Self::Length { command: MechanismCommand::Message, .. } => MALFORMED_MESSAGE,
            Self::Length { command: MechanismCommand::Ready, .. } => MALFORMED_READY,
            Self::Length { .. } => MALFORMED_INITIATE,
            Self::Token(_) | Self::Unwrap(_) | Self::NotEncrypted => CRYPTOGRAPHIC,
            Self::Principal(_) | Self::Ticket(_) | Self::Wrap(_) => UNSPECIFIED,
        }
    }

    /// Whether the fault is on this side: configuration or credentials.
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::Principal(_) | Self::Ticket(_) | Self::Wrap(_))
    }
}

impl fmt::Display for GssapiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAMessage => f.write_str("GSSAPI: a frame other than MESSAGE where all are wrapped"),
            Self::NotACommand => {
                f.write_str("GSSAPI: a frame without a command's name where all are wrapped")
            }
            Self::Length { command, len } => write!(f, "GSSAPI: {} of {len} bytes", command.as_str()),
            Self::Token(status) => write!(f, "GSSAPI: the peer's token is not accepted: {status}"),
            Self::Unwrap(status) => write!(f, "GSSAPI: MESSAGE cannot be unwrapped: {status}"),
            Self::NotEncrypted => f.write_str("GSSAPI: MESSAGE is signed and not encrypted"),
            Self::OutOfStep => f.write_str("GSSAPI: the two contexts are out of step"),
            Self::Principal(status) => write!(f, "GSSAPI: no credentials: {status}"),
            Self::Ticket(status) => write!(f, "GSSAPI: no ticket for the service: {status}"),
            Self::Wrap(status) => write!(f, "GSSAPI: cannot wrap: {status}"),
        }
    }
}

impl std::error::Error for GssapiError {}
