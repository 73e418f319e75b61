//! What can be wrong with an option.

use std::fmt;

use zlink_zmtp::SocketType;

/// Why an option was not set or read. Nothing has changed when one of these comes back.
///
/// All of them are `EINVAL` at the C interface, as in libzmq.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionError {
    /// This library has no option of that number.
    Unknown {
        /// The number asked for.
        id: i32,
    },
    /// The value has a length the option cannot have.
    WrongSize {
        /// C name of the option.
        name: &'static str,
        /// Shortest valid length, in bytes.
        min: usize,
        /// Longest valid length, in bytes.
        max: usize,
        /// Length given, in bytes.
        actual: usize,
    },
    /// The number lies outside the option's range.
    OutOfRange {
        /// C name of the option.
        name: &'static str,
        /// The value given, clamped to 64 bits.
        value: i64,
        /// Smallest valid value.
        min: i64,
        /// Greatest valid value.
        max: i64,
    },
    /// The buffer cannot hold the value.
    BufferTooSmall {
        /// C name of the option.
        name: &'static str,
        /// Bytes the value takes, including the NUL that ends a string.
        needed: usize,
        /// Bytes there are.
        actual: usize,
    },
    /// The value has the right length and the wrong form.
    Malformed {
        /// C name of the option.
        name: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The option can only be read.
    ReadOnly {
        /// C name of the option.
        name: &'static str,
    },
    /// The option can only be set.
    WriteOnly {
        /// C name of the option.
        name: &'static str,
    },
    /// The option means nothing on a socket of this type.
    WrongSocketType {
        /// C name of the option.
        name: &'static str,
        /// Type of the socket.
        socket_type: SocketType,
    },
    /// The option exists in libzmq and cannot be honoured here, so it is refused rather than ignored.
    Unsupported {
        /// C name of the option.
        name: &'static str,
    },
    /// An environment variable that overrides an option holds no valid value for it.
    Environment {
        /// Name of the variable.
        variable: &'static str,
        /// What it holds.
        value: String,
        /// Smallest valid value.
        min: i64,
        /// Greatest valid value.
        max: i64,
    },
}

impl OptionError {
    /// The `errno` of the C interface: `EINVAL`, whatever the reason.
    #[must_use]
    pub fn errno(&self) -> i32 {
        rustix::io::Errno::INVAL.raw_os_error()
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { id } => write!(f, "there is no option {id}"),
            Self::WrongSize { name, min, max, actual } if min == max => {
                write!(f, "{name} takes {min} bytes, not {actual}")
            }
            Self::WrongSize { name, min, max, actual } if *max == usize::MAX => {
                write!(f, "{name} takes at least {min} bytes, not {actual}")
            }
            Self::WrongSize { name, min, max, actual } => {
                write!(f, "{name} takes {min} to {max} bytes, not {actual}")
            }
            Self::OutOfRange { name, value, min, max } => {
                write!(f, "{name} takes {min} to {max}, not {value}")
            }
            Self::BufferTooSmall { name, needed, actual } => {
                write!(f, "{name} needs {needed} bytes, the buffer has {actual}")
            }
            Self::Malformed { name, reason } => write!(f, "{name}: {reason}"),
            Self::ReadOnly { name } => write!(f, "{name} cannot be set"),
            Self::WriteOnly { name } => write!(f, "{name} cannot be read"),
            Self::WrongSocketType { name, socket_type } => {
                write!(f, "{name} does not apply to a {socket_type:?} socket")
            }
            Self::Unsupported { name } => write!(f, "{name} is not supported"),
            Self::Environment { variable, value, min, max } => {
                write!(
                    f,
                    "the environment variable {variable} must be a number from {min} to {max}, not {value:?}"
                )
            }
        }
    }
}

impl std::error::Error for OptionError {}
