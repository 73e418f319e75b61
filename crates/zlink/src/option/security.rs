//! The security of a socket as its options have it.

use std::fmt;

use zeroize::Zeroizing;
use zlink_zmtp::{PlainCredentials, Security, Zap};

use super::SocketOptions;

/// The mechanism that was chosen by setting its options. The numbers are those of `ZMQ_MECHANISM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mechanism {
    #[default]
    Null = 0,
    Plain = 1,
}

/// Bytes that are overwritten on drop and not shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Secret(Zeroizing::new(bytes.to_vec()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl SocketOptions {
    pub(super) fn choose(&mut self, mechanism: Mechanism, as_server: bool) {
        self.mechanism = mechanism;
        self.as_server = as_server;
    }

    /// What endpoints made now are secured with.
    pub(crate) fn security(&self) -> Security {
        match (self.mechanism, self.as_server) {
            (Mechanism::Null, _) => Security::Null,
            (Mechanism::Plain, true) => Security::PlainServer,
            (Mechanism::Plain, false) => Security::PlainClient(PlainCredentials {
                username: self.plain_username.0.clone(),
                password: self.plain_password.0.clone(),
            }),
        }
    }

    /// Whether a ZAP handler is asked, and what if there is none. Clients ask nobody, whatever this says, and a
    /// server of PLAIN always needs a handler.
    pub(crate) fn zap(&self) -> Zap {
        let domain = !self.zap_domain.is_empty();
        match (domain, self.zap_enforce_domain) {
            (false, _) if self.mechanism == Mechanism::Null => Zap::Never,
            // Encryption without authentication is what such a server of CURVE is for.
            (false, true) => Zap::Never,
            (true, true) => Zap::Required,
            (_, false) => Zap::IfPresent,
        }
    }
}
