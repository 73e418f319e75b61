//! The library's error type.

use std::fmt;

use rustix::io::Errno;
use zlink_pipe::{GroupError, Message};

use crate::option::OptionError;
use crate::transport::{EndpointError, TransportError, errno_of};

/// Numbers of errors that only ZeroMQ has, as `zmq.h` defines them.
const HAUSNUMERO: i32 = 156_384_712;

/// Why an operation failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operation would have to wait, and was told not to, or its time-out passed (`EAGAIN`).
    WouldBlock,
    /// A signal's handler has run in the thread while it waited; nothing was sent or received (`EINTR`). To go on
    /// regardless, call again.
    Interrupted,
    /// The context is being terminated (`ETERM`).
    Terminated,
    /// The socket is closed (`ENOTSOCK`).
    Closed,
    /// The operation does not fit the socket's present state, as a second request before the reply to the
    /// first (`EFSM`).
    WrongState,
    /// The socket's type does not have the operation (`ENOTSUP`).
    NotSupported,
    /// No peer has the routing id that the message is addressed to (`EHOSTUNREACH`).
    HostUnreachable,
    /// A PEER's connect that is to return a routing id has none to return: with `ZMQ_IMMEDIATE` there is no pipe
    /// before the connection is up (`EFAULT`).
    NoRoutingIdYet,
    /// The message is longer than the context's `ZMQ_MAX_MSGSZ`, or than a datagram on a socket with a `udp` endpoint
    /// (`EMSGSIZE`).
    MessageTooLong,
    /// The argument is not valid (`EINVAL`).
    InvalidArgument,
    /// Nothing is bound or connected under that endpoint (`ENOENT`).
    NoSuchEndpoint,
    /// An in-process name is bound already, or an address is in use (`EADDRINUSE`).
    AddressInUse,
    /// The context has as many sockets as it may have (`EMFILE`).
    TooManySockets,
    /// The context has no I/O thread, which the transport needs (`EMTHREAD`).
    NoIoThread,
    /// The transport does not go with the socket's type (`ENOCOMPATPROTO`).
    IncompatibleTransport,
    /// The endpoint is not well formed.
    Endpoint(EndpointError),
    /// The key, a certificate or the hostname of the `ZMQ_WSS_*` options cannot be used (`EINVAL`).
    Tls {
        /// What is wrong.
        reason: String,
    },
    /// The option is unknown or its value is not valid.
    Option(OptionError),
    /// The operating system refused.
    Os {
        /// The operation, as in `"bind"`.
        operation: &'static str,
        /// What it said.
        source: std::io::Error,
    },
}

/// The result of most operations.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The number that `zmq_errno` reports for this error.
    ///
    /// Source: `zmq_errno`(3).
    pub fn errno(&self) -> i32 {
        match self {
            Error::WouldBlock => Errno::AGAIN.raw_os_error(),
            Error::Interrupted => Errno::INTR.raw_os_error(),
            Error::Terminated => HAUSNUMERO + 53,
            Error::Closed => Errno::NOTSOCK.raw_os_error(),
            Error::WrongState => HAUSNUMERO + 51,
            Error::NotSupported => Errno::NOTSUP.raw_os_error(),
            Error::HostUnreachable => Errno::HOSTUNREACH.raw_os_error(),
            Error::NoRoutingIdYet => Errno::FAULT.raw_os_error(),
            Error::MessageTooLong => Errno::MSGSIZE.raw_os_error(),
            Error::InvalidArgument | Error::Tls { .. } => Errno::INVAL.raw_os_error(),
            Error::NoSuchEndpoint => Errno::NOENT.raw_os_error(),
            Error::AddressInUse => Errno::ADDRINUSE.raw_os_error(),
            Error::TooManySockets => Errno::MFILE.raw_os_error(),
            Error::NoIoThread => HAUSNUMERO + 54,
            Error::IncompatibleTransport => HAUSNUMERO + 52,
            Error::Endpoint(error) => error.errno(),
            Error::Option(error) => error.errno(),
            Error::Os { source, .. } => errno_of(source),
        }
    }

    pub(crate) fn os(operation: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        move |source| Error::Os { operation, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::WouldBlock => f.write_str("the operation would block"),
            Error::Interrupted => f.write_str("a signal ended the wait"),
            Error::Terminated => f.write_str("the context was terminated"),
            Error::Closed => f.write_str("the socket is closed"),
            Error::WrongState => f.write_str("the operation does not fit the socket's present state"),
            Error::NotSupported => f.write_str("the socket type does not have this operation"),
            Error::HostUnreachable => f.write_str("no peer has this routing id"),
            Error::NoRoutingIdYet => {
                f.write_str("with ZMQ_IMMEDIATE a peer has no routing id when it is connected to")
            }
            Error::MessageTooLong => {
                f.write_str("the message is longer than the context or a datagram allows")
            }
            Error::InvalidArgument => f.write_str("invalid argument"),
            Error::NoSuchEndpoint => f.write_str("nothing is bound or connected under this endpoint"),
            Error::AddressInUse => f.write_str("the address is in use"),
            Error::TooManySockets => f.write_str("the context's limit of sockets is reached"),
            Error::NoIoThread => f.write_str("the context has no I/O thread"),
            Error::IncompatibleTransport => f.write_str("the transport does not go with the socket type"),
            Error::Endpoint(error) => error.fmt(f),
            Error::Tls { reason } => write!(f, "TLS: {reason}"),
            Error::Option(error) => error.fmt(f),
            Error::Os { operation, source } => write!(f, "{operation}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Endpoint(error) => Some(error),
            Error::Option(error) => Some(error),
            Error::Os { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<OptionError> for Error {
    fn from(error: OptionError) -> Self {
        Error::Option(error)
    }
}

impl From<GroupError> for Error {
    fn from(_: GroupError) -> Self {
        Error::InvalidArgument
    }
}

impl From<EndpointError> for Error {
    fn from(error: EndpointError) -> Self {
        Error::Endpoint(error)
    }
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Endpoint(error) => Error::Endpoint(error),
            TransportError::Os { op, source } => Error::Os { operation: op, source },
        }
    }
}

/// A send that failed, with the message that was not sent.
#[derive(Debug)]
pub struct SendError {
    /// Why.
    pub error: Error,
    /// The message, unchanged.
    pub message: Message,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        error.error
    }
}
