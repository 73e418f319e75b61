//! Socket and context options, one table row each.
//!
//! [`table`] holds a row an option: its number and C name, the field it is kept in, its default, range and
//! unit, the socket types that take it, when it applies, and its description. Everything else is made from
//! those rows: [`SocketOptions`] and its defaults, [`set`] and [`get`] behind `zmq_setsockopt` and
//! `zmq_getsockopt`, the typed methods of `Socket` ([`accessors`]) and the reference manual ([`reference_markdown`]).
//! An option that is not in the table does not exist and is refused, so none can be accepted and ignored.
//!
//! The calling thread runs this code under the socket's lock. It only checks and stores values: what asks for
//! work (`ZMQ_SUBSCRIBE`) or for the socket's present state (`ZMQ_EVENTS`) is handed back as a [`SocketAction`].

pub(crate) mod accessors;
pub(crate) mod context;
mod environment;
mod error;
mod reference;
mod row;
mod security;
pub(crate) mod table;

#[cfg(test)]
mod accessor_tests;
#[cfg(test)]
mod tests;

pub use error::OptionError;
pub use reference::{NOT_BUILT_IN, reference_markdown};
pub(crate) use row::{Applied, Fetched, Kind, OptionRow, SocketAction};
pub(crate) use table::{ROWS, SocketOptions, id};

use zlink_zmtp::SocketType;

/// The row of option `id`, or `None` if this library has no such option.
pub(crate) fn lookup(id: i32) -> Option<&'static OptionRow> {
    // Ids ascend in no particular order in the table, and there are few: a scan is not worth an index.
    ROWS.iter().find(|row| row.id == id)
}

/// Checks `value` as the bytes given to `zmq_setsockopt` and stores it.
///
/// # Errors
///
/// Any [`OptionError`] but those of reading; the options are then unchanged.
pub(crate) fn set(
    options: &mut SocketOptions,
    socket_type: SocketType,
    id: i32,
    value: &[u8],
) -> Result<Applied, OptionError> {
    let row = row_for(id, socket_type)?;
    if !row.writable {
        return Err(OptionError::ReadOnly { name: row.name });
    }
    if matches!(id, id::SUBSCRIBE | id::UNSUBSCRIBE) && socket_type != SocketType::Sub && !options.xpub_manual
    {
        // Without manual mode a publisher's subscriptions are its peers' alone.
        return Err(OptionError::WrongSocketType { name: row.name, socket_type });
    }
    row.store(options, value)
}

/// Writes the value of option `id` to `out` and says how many bytes it took, as `zmq_getsockopt` does.
///
/// Bytes of `out` behind a value shorter than it are set to zero.
///
/// # Errors
///
/// Any [`OptionError`] but those of storing.
pub(crate) fn get(
    options: &SocketOptions,
    socket_type: SocketType,
    id: i32,
    out: &mut [u8],
) -> Result<Fetched, OptionError> {
    // As in libzmq, this one can be read where it cannot be set.
    let asked = if id == id::ROUTER_NOTIFY { SocketType::Router } else { socket_type };
    let row = row_for(id, asked)?;
    if !row.readable {
        return Err(OptionError::WriteOnly { name: row.name });
    }
    row.load(options, socket_type, out)
}

fn row_for(id: i32, socket_type: SocketType) -> Result<&'static OptionRow, OptionError> {
    let row = lookup(id).filter(|_| is_built_in(id)).ok_or(OptionError::Unknown { id })?;
    if !row.accepts(socket_type) {
        return Err(OptionError::WrongSocketType { name: row.name, socket_type });
    }
    Ok(row)
}

/// Whether what the option is about is in this build.
fn is_built_in(id: i32) -> bool {
    let wss = matches!(id, id::WSS_KEY_PEM..=id::WSS_TRUST_SYSTEM);
    let gssapi = matches!(
        id,
        id::GSSAPI_SERVER
            ..=id::GSSAPI_PLAINTEXT | id::GSSAPI_PRINCIPAL_NAMETYPE | id::GSSAPI_SERVICE_PRINCIPAL_NAMETYPE
    );
    (!wss || cfg!(feature = "wss")) && (!gssapi || cfg!(feature = "gssapi"))
}

impl SocketOptions {
    /// The options a new socket of `socket_type` starts with: the defaults, what the context says for all its
    /// sockets, and what the environment fixes.
    ///
    /// # Errors
    ///
    /// [`OptionError::Environment`] if one of the `ZLINK_…` variables holds no number in its option's range.
    pub(crate) fn new(
        socket_type: SocketType,
        context: &context::ContextOptions,
    ) -> Result<Self, OptionError> {
        let mut options = Self::with_environment(|name| std::env::var_os(name))?;
        options.ipv6 = context.ipv6;
        options.linger = if context.blocky { -1 } else { 0 };
        if matches!(socket_type, SocketType::Sub | SocketType::Xsub | SocketType::Dish) {
            // All a subscriber could still have to send at close is subscriptions of a socket that is going.
            options.linger = 0;
        }
        Ok(options)
    }

    /// The device of `ZMQ_BINDTODEVICE` without the NUL that C callers may count in, or `None` if unset.
    pub(crate) fn device(&self) -> Option<&[u8]> {
        let name = self.bind_to_device.split(|&byte| byte == 0).next().unwrap_or_default();
        (!name.is_empty()).then_some(name)
    }
}
