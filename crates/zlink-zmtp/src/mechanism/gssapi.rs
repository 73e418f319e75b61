//! GSSAPI: a security context of the system's Kerberos, made in the handshake, that then wraps every frame.
//!
//! ```text
//!  client                                                     server
//!    │  INITIATE  token                                          │
//!    │ ─────────────────────────────────────────────────────────►│
//!    │  INITIATE  token                                          │  as often as the context needs
//!    │ ◄─────────────────────────────────────────────────────────│
//!    │  a command frame without a body: nothing to add           │
//!    │ ─────────────────────────────────────────────────────────►│  ZAP, with the client's principal
//!    │  READY     metadata, in a MESSAGE unless plaintext        │
//!    │ ◄─────────────────────────────────────────────────────────│
//!    │  READY     metadata, in a MESSAGE unless plaintext        │
//!    │ ─────────────────────────────────────────────────────────►│
//!    │  MESSAGE   token that wraps flags + body                  │
//!    │ ◄────────────────────────────────────────────────────────►│
//! ```
//!
//! A token has its length in front of it, 4 bytes in network order. With plaintext on both sides there is
//! authentication alone: frames after the handshake go as they are.
//!
//! The draft 38/ZMTP-GSSAPI has other commands than libzmq speaks; this is what libzmq 4.3.5 speaks.
//!
//! The context (`context::Context`) is a trait, so that the state machine can be tested without a realm. The one in use
//! is `kerberos`: to make one may ask the realm's KDC and read files, and so block, as in libzmq.
//!
//! Sources: libzmq 4.3.5, `zmq_gssapi`(7); RFC 2743 for the context.

mod client;
mod context;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fake;
mod kerberos;
mod message;
mod server;

pub use error::{GssapiError, Status};
pub use message::{Opener, Sealer};

pub(super) use client::Client;
pub(super) use server::Server;

use crate::command::split_name;
use crate::handshake::{HandshakeError, MechanismCommand};
use crate::mechanism::unexpected;

/// How a name is to be read. The numbers are the `ZMQ_GSSAPI_NT_*` of `zmq.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NameType {
    /// `service@host`.
    #[default]
    HostBased = 0,
    /// A local user's name.
    UserName = 1,
    /// A Kerberos principal, with its realm or without.
    Krb5Principal = 2,
}

impl NameType {
    /// The type with this number.
    pub const fn from_i32(number: i32) -> Option<Self> {
        match number {
            0 => Some(Self::HostBased),
            1 => Some(Self::UserName),
            2 => Some(Self::Krb5Principal),
            _ => None,
        }
    }
}

/// The name of a principal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Principal {
    /// As the name type has it; empty: none in particular.
    pub name: Vec<u8>,
    /// How to read it.
    pub name_type: NameType,
}

/// What a server is configured with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerConfig {
    /// Whose key the server uses; without a name any in its keytab.
    pub principal: Principal,
    /// Whether frames go as they are after the handshake.
    pub plaintext: bool,
}

/// What a client is configured with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientConfig {
    /// Whose credentials the client uses; without a name the default ones.
    pub principal: Principal,
    /// The server.
    pub service: Principal,
    /// Whether frames go as they are after the handshake.
    pub plaintext: bool,
}

/// The token of an INITIATE that has one. (The library takes an empty one for a question about its mechanisms.)
fn some_token(body: &[u8]) -> Result<&[u8], HandshakeError> {
    let command = MechanismCommand::Initiate;
    match initiate_token(body)? {
        [] => Err(GssapiError::Length { command, len: body.len() }.into()),
        token => Ok(token),
    }
}

/// The token of an INITIATE.
fn initiate_token(body: &[u8]) -> Result<&[u8], HandshakeError> {
    match split_name(body)? {
        (b"INITIATE", data) => {
            let command = MechanismCommand::Initiate;
            Ok(message::token(data).ok_or(GssapiError::Length { command, len: body.len() })?)
        }
        _ => Err(unexpected(body)),
    }
}

#[cfg(test)]
mod tests;
