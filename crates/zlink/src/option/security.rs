//! The security of a socket as its options have it.

use std::fmt;

use zeroize::Zeroizing;
use zlink_zmtp::curve::{ClientKeys, KEY_LEN, PublicKey, SecretKey, ServerKeys, Z85_KEY_LEN};
#[cfg(feature = "gssapi")]
use zlink_zmtp::gssapi::{ClientConfig, NameType, Principal, ServerConfig};
use zlink_zmtp::{PlainCredentials, Security, Zap, z85};

use super::SocketOptions;

/// The mechanism that was chosen by setting its options. The numbers are those of `ZMQ_MECHANISM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mechanism {
    #[default]
    Null = 0,
    Plain = 1,
    Curve = 2,
    /// Only in builds with the feature `gssapi`.
    #[cfg(feature = "gssapi")]
    Gssapi = 3,
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

/// A key of CURVE, public or secret: 32 bytes that are overwritten on drop and not shown. Zero until it is set.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key(SecretKey);

impl Key {
    pub(super) const fn new(bytes: [u8; KEY_LEN]) -> Self {
        Key(SecretKey::new(bytes))
    }

    /// Takes 32 bytes, or their text in Z85, with or without a NUL behind it.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        match value.len() {
            KEY_LEN => value.try_into().ok().map(Key::new),
            _ => SecretKey::from_z85(value.strip_suffix(b"\0").unwrap_or(value)).map(Key),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8; KEY_LEN] {
        self.0.as_bytes()
    }

    /// The text in Z85.
    pub(super) fn text(&self) -> Zeroizing<[u8; Z85_KEY_LEN]> {
        let mut text = Zeroizing::new([0; Z85_KEY_LEN]);
        z85::encode(self.as_bytes(), &mut text[..]);
        text
    }
}

impl Default for Key {
    fn default() -> Self {
        Key::new([0; KEY_LEN])
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// A name up to the NUL that C programs may have put behind it, with the number of its type, which the table has
/// checked.
#[cfg(feature = "gssapi")]
fn principal(name: &[u8], name_type: i32) -> Principal {
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    Principal { name, name_type: NameType::from_i32(name_type).unwrap_or_default() }
}

impl SocketOptions {
    pub(super) fn choose(&mut self, mechanism: Mechanism, as_server: bool) {
        self.mechanism = mechanism;
        self.as_server = as_server;
    }

    /// Makes the mechanism GSSAPI. Without the feature its options are refused before they come here.
    pub(super) fn choose_gssapi(&mut self) {
        #[cfg(feature = "gssapi")]
        {
            self.mechanism = Mechanism::Gssapi;
        }
    }

    pub(super) fn is_gssapi_server(&self) -> bool {
        self.as_server && self.mechanism as i32 == 3
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
            (Mechanism::Curve, true) => {
                Security::CurveServer(ServerKeys::new(SecretKey::new(*self.curve_secret_key.as_bytes())))
            }
            (Mechanism::Curve, false) => Security::CurveClient(ClientKeys {
                server: PublicKey(*self.curve_server_key.as_bytes()),
                public: PublicKey(*self.curve_public_key.as_bytes()),
                secret: SecretKey::new(*self.curve_secret_key.as_bytes()),
            }),
            #[cfg(feature = "gssapi")]
            (Mechanism::Gssapi, true) => Security::GssapiServer(ServerConfig {
                principal: principal(&self.gssapi_principal, self.gssapi_principal_nametype),
                plaintext: self.gssapi_plaintext,
            }),
            #[cfg(feature = "gssapi")]
            (Mechanism::Gssapi, false) => Security::GssapiClient(ClientConfig {
                principal: principal(&self.gssapi_principal, self.gssapi_principal_nametype),
                service: principal(&self.gssapi_service_principal, self.gssapi_service_principal_nametype),
                plaintext: self.gssapi_plaintext,
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
