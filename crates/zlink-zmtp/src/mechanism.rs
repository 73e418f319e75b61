//! Security mechanisms: what happens between the greeting and the first message.
//!
//! [`crate::handshake`] frames and unframes; a mechanism sends and judges commands, says when a ZAP
//! handler is to be asked, and ends with the peer's metadata.

pub mod curve;
#[cfg(feature = "gssapi")]
pub mod gssapi;
mod null;
pub mod plain;

use crate::cipher::Cipher;
use crate::command;
use crate::handshake::HandshakeError;
use crate::zap::{Zap, ZapRequest, ZapStatus};
use curve::{ClientKeys, ServerKeys};
use null::Null;
pub use plain::PlainCredentials;
use plain::{PlainClient, PlainServer};

/// Length in bytes of the mechanism's name in the greeting.
pub(crate) const NAME_LEN: usize = 20;

/// How a socket's connections are secured: the mechanism, our role in it, and our secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Security {
    /// Not at all. A ZAP handler may decide by the peer's address.
    #[default]
    Null,
    /// 24/PLAIN as server: a ZAP handler decides by username and password.
    PlainServer,
    /// 24/PLAIN as client.
    PlainClient(PlainCredentials),
    /// 26/CURVEZMQ as server: a ZAP handler may decide by the client's public key.
    CurveServer(ServerKeys),
    /// 26/CURVEZMQ as client.
    CurveClient(ClientKeys),
    /// GSSAPI as server: a ZAP handler may decide by the client's principal.
    #[cfg(feature = "gssapi")]
    GssapiServer(gssapi::ServerConfig),
    /// GSSAPI as client.
    #[cfg(feature = "gssapi")]
    GssapiClient(gssapi::ClientConfig),
}

impl Security {
    /// Whether we are the server. NULL has no roles.
    pub const fn is_server(&self) -> bool {
        match self {
            Self::PlainServer | Self::CurveServer(_) => true,
            Self::Null | Self::PlainClient(_) | Self::CurveClient(_) => false,
            #[cfg(feature = "gssapi")]
            Self::GssapiServer(_) => true,
            #[cfg(feature = "gssapi")]
            Self::GssapiClient(_) => false,
        }
    }
}

/// What a mechanism wants next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The peer's next command.
    Continue,
    /// A handler's verdict on the peer, which has to be silent until then.
    AwaitZap(ZapRequest),
    /// Nothing more: this is the peer's metadata, not yet decoded.
    Done(Vec<u8>),
}

/// The mechanism of one connection, with its progress.
#[derive(Debug)]
pub(crate) enum Mechanism {
    Null(Null),
    PlainServer(PlainServer),
    PlainClient(PlainClient),
    // Boxed: some hundred bytes of keys that the others do not need.
    CurveServer(Box<curve::Server>),
    CurveClient(Box<curve::Client>),
    #[cfg(feature = "gssapi")]
    GssapiServer(gssapi::Server),
    #[cfg(feature = "gssapi")]
    GssapiClient(gssapi::Client),
}

impl Mechanism {
    /// Announces this encoded metadata.
    ///
    /// # Errors
    ///
    /// If `security` cannot be used: [`HandshakeError::LocalCredentialTooLong`], [`HandshakeError::Curve`],
    /// `HandshakeError::Gssapi`.
    pub(crate) fn new(security: Security, metadata: Vec<u8>, zap: Zap) -> Result<Self, HandshakeError> {
        Ok(match security {
            Security::Null => Self::Null(Null::new(metadata, zap)),
            Security::PlainServer => Self::PlainServer(PlainServer::new(metadata)),
            Security::PlainClient(credentials) => Self::PlainClient(PlainClient::new(metadata, credentials)?),
            Security::CurveServer(keys) => {
                Self::CurveServer(Box::new(curve::Server::new(keys, metadata, zap)))
            }
            Security::CurveClient(keys) => Self::CurveClient(Box::new(curve::Client::new(keys, metadata)?)),
            #[cfg(feature = "gssapi")]
            Security::GssapiServer(config) => {
                Self::GssapiServer(gssapi::Server::new(&config, metadata, zap)?)
            }
            #[cfg(feature = "gssapi")]
            Security::GssapiClient(config) => Self::GssapiClient(gssapi::Client::new(&config, metadata)?),
        })
    }

    /// Stands in where the handshake has failed before it began.
    pub(crate) fn unused() -> Self {
        Self::Null(Null::new(Vec::new(), Zap::Never))
    }

    /// The name in the greeting, padded with zeros.
    pub(crate) fn name(&self) -> [u8; NAME_LEN] {
        match self {
            Self::Null(_) => *b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            Self::PlainServer(_) | Self::PlainClient(_) => *b"PLAIN\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            Self::CurveServer(_) | Self::CurveClient(_) => *b"CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            #[cfg(feature = "gssapi")]
            Self::GssapiServer(_) | Self::GssapiClient(_) => *b"GSSAPI\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        }
    }

    /// Begins, after the greeting: appends the command frames this side sends without waiting for the
    /// peer. If a handler is to be asked already, the peer need not be silent meanwhile.
    pub(crate) fn start(&mut self, out: &mut Vec<u8>) -> Option<ZapRequest> {
        match self {
            Self::Null(null) => null.start(out),
            Self::PlainServer(_) | Self::CurveServer(_) => None,
            Self::PlainClient(client) => {
                client.start(out);
                None
            }
            Self::CurveClient(client) => {
                client.start(out);
                None
            }
            #[cfg(feature = "gssapi")]
            Self::GssapiServer(_) => None,
            #[cfg(feature = "gssapi")]
            Self::GssapiClient(client) => {
                client.start(out);
                None
            }
        }
    }

    /// Takes the body of the peer's command; appends what answers it.
    pub(crate) fn process(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        match self {
            Self::Null(null) => null.process(body),
            Self::PlainServer(server) => server.process(body, out),
            Self::PlainClient(client) => client.process(body, out),
            Self::CurveServer(server) => server.process(body, out),
            Self::CurveClient(client) => client.process(body, out),
            #[cfg(feature = "gssapi")]
            Self::GssapiServer(server) => server.process(body, out),
            #[cfg(feature = "gssapi")]
            Self::GssapiClient(client) => client.process(body, out),
        }
    }

    /// The handler admits the peer, or there is none and none is needed.
    pub(crate) fn authorized(&mut self, out: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        match self {
            Self::Null(null) => null.authorized(out),
            Self::PlainServer(server) => server.authorized(out),
            Self::CurveServer(server) => return Ok(server.authorized(out)),
            // A client asks nobody.
            Self::PlainClient(_) | Self::CurveClient(_) => {}
            #[cfg(feature = "gssapi")]
            Self::GssapiServer(server) => server.authorized(out)?,
            #[cfg(feature = "gssapi")]
            Self::GssapiClient(_) => {}
        }
        Ok(Step::Continue)
    }

    /// What the traffic after the handshake goes through, if this mechanism has such.
    pub(crate) fn into_cipher(self) -> Option<Cipher> {
        match self {
            Self::CurveServer(server) => server.into_cipher().map(Cipher::from),
            Self::CurveClient(client) => client.into_cipher().map(Cipher::from),
            #[cfg(feature = "gssapi")]
            Self::GssapiServer(server) => server.into_cipher(),
            #[cfg(feature = "gssapi")]
            Self::GssapiClient(client) => client.into_cipher(),
            Self::Null(_) | Self::PlainServer(_) | Self::PlainClient(_) => None,
        }
    }

    /// The handler refuses the peer: appends what tells it so. Nothing for a temporary failure: the
    /// peer is to try again.
    pub(crate) fn denied(status: ZapStatus, out: &mut Vec<u8>) {
        if status != ZapStatus::TemporaryError {
            // Three digits: nothing to be too long.
            let _ = command::encode_error(out, status.text());
        }
    }
}

/// A command that has no place where it came.
fn unexpected(body: &[u8]) -> HandshakeError {
    match command::split_name(body) {
        Ok((name, _)) => HandshakeError::UnexpectedCommand { name: name.to_vec() },
        Err(error) => error.into(),
    }
}
