//! What can go wrong below the protocol, each with the errno libzmq's users expect.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// Why an endpoint string cannot be used.
///
/// Always the caller's fault: the same string fails again, except for
/// [`NoDevice`](EndpointError::NoDevice), which depends on the host's interfaces and name service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointError {
    /// The string does not have the form its transport asks for (`EINVAL`).
    Malformed {
        /// The endpoint as given.
        endpoint: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The part before `://` names no transport this library has (`EPROTONOSUPPORT`).
    UnknownTransport {
        /// The part before `://`.
        transport: String,
    },
    /// An `ipc` path or name does not fit a socket address (`ENAMETOOLONG`).
    PathTooLong {
        /// Its length in bytes.
        length: usize,
        /// The longest that fits.
        max: usize,
    },
    /// The host part of a bind endpoint is neither an address nor an interface nor a name that
    /// resolves to a local address (`ENODEV`).
    NoDevice {
        /// The host part.
        name: String,
    },
}

impl EndpointError {
    /// The number `zmq_errno` reports for this error.
    pub fn errno(&self) -> i32 {
        let errno = match self {
            EndpointError::Malformed { .. } => Errno::INVAL,
            EndpointError::UnknownTransport { .. } => Errno::PROTONOSUPPORT,
            EndpointError::PathTooLong { .. } => Errno::NAMETOOLONG,
            EndpointError::NoDevice { .. } => Errno::NODEV,
        };
        errno.raw_os_error()
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndpointError::Malformed { endpoint, reason } => {
                write!(f, "malformed endpoint {endpoint:?}: {reason}")
            }
            EndpointError::UnknownTransport { transport } => {
                write!(f, "unknown transport {transport:?}")
            }
            EndpointError::PathTooLong { length, max } => {
                write!(f, "ipc path of {length} bytes; at most {max} fit")
            }
            EndpointError::NoDevice { name } => {
                write!(f, "no local address or interface {name:?}")
            }
        }
    }
}

impl std::error::Error for EndpointError {}

/// Why a listener could not be set up.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum TransportError {
    /// The endpoint itself is at fault.
    Endpoint(EndpointError),
    /// The operating system refused.
    Os {
        /// The operation, as in `"bind"`.
        op: &'static str,
        /// What it said.
        source: io::Error,
    },
}

impl TransportError {
    /// Labels an error of the operating system with the operation it ended.
    pub(crate) fn os<E: Into<io::Error>>(op: &'static str) -> impl FnOnce(E) -> TransportError {
        move |source| TransportError::Os { op, source: source.into() }
    }

    /// The number `zmq_errno` reports for this error.
    pub(crate) fn errno(&self) -> i32 {
        match self {
            TransportError::Endpoint(error) => error.errno(),
            TransportError::Os { source, .. } => errno_of(source),
        }
    }
}

impl From<EndpointError> for TransportError {
    fn from(error: EndpointError) -> Self {
        TransportError::Endpoint(error)
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransportError::Endpoint(error) => error.fmt(f),
            TransportError::Os { op, source } => write!(f, "{op}: {source}"),
        }
    }
}

impl std::error::Error for TransportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TransportError::Endpoint(error) => Some(error),
            TransportError::Os { source, .. } => Some(source),
        }
    }
}

/// The errno an I/O error carries, or the nearest one for those that std makes up itself.
pub(crate) fn errno_of(error: &io::Error) -> i32 {
    let nearest = match error.kind() {
        io::ErrorKind::WouldBlock => Errno::AGAIN,
        io::ErrorKind::TimedOut => Errno::TIMEDOUT,
        io::ErrorKind::OutOfMemory => Errno::NOMEM,
        _ => Errno::INVAL,
    };
    error.raw_os_error().unwrap_or(nearest.raw_os_error())
}

/// Why [`Listener::accept`](super::Listener::accept) gave no connection. Would-block is not among them.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum AcceptError {
    /// The process or the host is out of descriptors or memory (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`).
    /// The connection stays in the backlog and the listener stays readable: watch it again only after
    /// a pause.
    OutOfResources(io::Error),
    /// A connection was accepted and closed at once, because its options could not be set. The listener
    /// is sound.
    Dropped(io::Error),
    /// A connection was accepted and closed at once, because the listener is not for this peer
    /// ([`AcceptFilter`](super::AcceptFilter)). The listener is sound.
    Refused,
    /// The listener itself no longer works.
    Listener(io::Error),
}

impl AcceptError {
    /// The number a monitor reports with the failed accept.
    pub(crate) fn errno(&self) -> i32 {
        match self {
            AcceptError::OutOfResources(error)
            | AcceptError::Dropped(error)
            | AcceptError::Listener(error) => errno_of(error),
            AcceptError::Refused => Errno::ACCESS.raw_os_error(),
        }
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcceptError::OutOfResources(error) => write!(f, "accept: {error}"),
            AcceptError::Dropped(error) => write!(f, "accepted connection dropped: {error}"),
            AcceptError::Refused => f.write_str("accepted connection dropped: the peer is not let in"),
            AcceptError::Listener(error) => write!(f, "listener failed: {error}"),
        }
    }
}

impl std::error::Error for AcceptError {}

/// What an error of `accept4(2)` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AcceptFailure {
    /// Nothing is waiting.
    WouldBlock,
    /// One connection, or the call, was lost; the next may succeed at once.
    Transient,
    /// See [`AcceptError::OutOfResources`].
    OutOfResources,
    /// See [`AcceptError::Listener`].
    Fatal,
}

/// Sorts an error of `accept4(2)`.
///
/// Linux passes errors pending on the new connection through `accept`: all those its manual lists
/// concern that one connection, and are no reason to give up the listener.
pub(super) fn classify_accept(errno: Errno) -> AcceptFailure {
    match errno {
        Errno::AGAIN => AcceptFailure::WouldBlock,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => AcceptFailure::OutOfResources,
        Errno::BADF | Errno::NOTSOCK | Errno::INVAL | Errno::FAULT => AcceptFailure::Fatal,
        Errno::INTR
        | Errno::CONNABORTED
        | Errno::PROTO
        | Errno::PERM
        | Errno::NETDOWN
        | Errno::NOPROTOOPT
        | Errno::HOSTDOWN
        | Errno::NONET
        | Errno::HOSTUNREACH
        | Errno::OPNOTSUPP
        | Errno::NETUNREACH
        | Errno::TIMEDOUT
        | Errno::CONNRESET => AcceptFailure::Transient,
        _ => AcceptFailure::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_errors_are_sorted_by_what_to_do_about_them() {
        use AcceptFailure::*;
        for (errno, expected) in [
            (Errno::AGAIN, WouldBlock),
            (Errno::MFILE, OutOfResources),
            (Errno::NFILE, OutOfResources),
            (Errno::NOBUFS, OutOfResources),
            (Errno::NOMEM, OutOfResources),
            (Errno::INTR, Transient),
            (Errno::CONNABORTED, Transient),
            (Errno::PROTO, Transient),
            (Errno::PERM, Transient),
            (Errno::NETUNREACH, Transient),
            (Errno::BADF, Fatal),
            (Errno::INVAL, Fatal),
            (Errno::NOTSOCK, Fatal),
        ] {
            assert_eq!(classify_accept(errno), expected, "{errno:?}");
        }
    }

    #[test]
    fn every_error_has_the_errno_libzmq_documents() {
        let endpoint = String::from("tcp://x");
        let reason = "no port";
        let malformed = EndpointError::Malformed { endpoint, reason };
        let transport = String::from("x");
        let unknown = EndpointError::UnknownTransport { transport };
        let too_long = EndpointError::PathTooLong { length: 108, max: 107 };
        let name = String::from("eth9");
        let no_device = EndpointError::NoDevice { name };
        assert_eq!(malformed.errno(), Errno::INVAL.raw_os_error());
        assert_eq!(unknown.errno(), Errno::PROTONOSUPPORT.raw_os_error());
        assert_eq!(too_long.errno(), Errno::NAMETOOLONG.raw_os_error());
        assert_eq!(no_device.errno(), Errno::NODEV.raw_os_error());
        assert!(malformed.to_string().contains("no port"));
        let os = TransportError::os("bind")(Errno::ADDRINUSE);
        assert_eq!(os.errno(), Errno::ADDRINUSE.raw_os_error());
        assert!(os.to_string().starts_with("bind: "));
        let made_up = io::Error::from(io::ErrorKind::TimedOut);
        assert_eq!(errno_of(&made_up), Errno::TIMEDOUT.raw_os_error());
    }
}
