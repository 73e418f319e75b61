//! From `ZMQ_WSS_*` to what rustls needs.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, IpAddr, Ipv4Addr, PrivateKeyDer, ServerName};
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ServerConfig};

use super::verify::{Trust, Verifier};

/// The longest record to send, in bytes. libzmq reads that much at a time and does not ask GnuTLS for what is left of
/// a longer one: it would wait for the rest until something else comes.
const LONGEST_RECORD: usize = 8192;

/// The options, texts in PEM. Empty: not set.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsOptions {
    /// The server's private key. `ZMQ_WSS_KEY_PEM`.
    pub(crate) key: Vec<u8>,
    /// The server's certificate, and those between it and the one that clients trust. `ZMQ_WSS_CERT_PEM`.
    pub(crate) certificate: Vec<u8>,
    /// Certificates a client trusts. `ZMQ_WSS_TRUST_PEM`.
    pub(crate) trust: Vec<u8>,
    /// Whether a client trusts those that the system trusts. `ZMQ_WSS_TRUST_SYSTEM`.
    pub(crate) trust_system: bool,
    /// Who the server's certificate has to be for, if a client cares. `ZMQ_WSS_HOSTNAME`.
    pub(crate) hostname: String,
}

/// There is a key in it.
impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions").finish_non_exhaustive()
    }
}

/// Which side of TLS, and how.
#[derive(Clone, Debug)]
pub(crate) enum TlsRole {
    /// With the name to ask for.
    Client(Arc<ClientConfig>, ServerName<'static>),
    Server(Arc<ServerConfig>),
}

impl TlsRole {
    /// For what connects.
    ///
    /// # Errors
    ///
    /// A hostname that is none, or certificates that cannot be read. Trusting nobody is no error: every server
    /// is refused then.
    pub(crate) fn client(options: &TlsOptions) -> Result<TlsRole, TlsError> {
        let hostname = match options.hostname.as_str() {
            "" => None,
            name => Some(ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Hostname)?),
        };
        let mut trust = Trust::new();
        for certificate in certificates(&options.trust)? {
            trust.add(certificate)?;
        }
        if options.trust_system {
            // What the system has that cannot be used is left out, as every TLS client does.
            for certificate in rustls_native_certs::load_native_certs().certs {
                let _ = trust.add(certificate);
            }
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(Verifier::new(trust, hostname.clone(), &provider));
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Rustls)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.max_fragment_size = Some(LONGEST_RECORD);
        config.resumption = Resumption::disabled();
        config.enable_sni = hostname.is_some();
        // Without a hostname nothing is asked for, and nothing compared: any name does.
        let anybody = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0, 0, 0, 0])));
        Ok(TlsRole::Client(Arc::new(config), hostname.unwrap_or(anybody)))
    }

    /// For what binds.
    ///
    /// # Errors
    ///
    /// A key or a certificate that is missing or cannot be read, or the two not belonging together.
    pub(crate) fn server(options: &TlsOptions) -> Result<TlsRole, TlsError> {
        let chain = certificates(&options.certificate)?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(&options.key).map_err(TlsError::Pem)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(TlsError::Rustls)?;
        config.max_fragment_size = Some(LONGEST_RECORD);
        // A reconnect makes a new session: nothing is kept of the old one.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(TlsRole::Server(Arc::new(config)))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(TlsError::Pem)
}

/// Why `ZMQ_WSS_*` cannot be used.
#[derive(Debug)]
pub(crate) enum TlsError {
    /// The text is not PEM.
    Pem(pem::Error),
    /// A server has no certificate.
    NoCertificate,
    /// The hostname is neither a DNS name nor an IP address.
    Hostname,
    /// What rustls finds wrong.
    Rustls(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Pem(error) => write!(f, "key or certificate: {error}"),
            TlsError::NoCertificate => f.write_str("no certificate"),
            TlsError::Hostname => f.write_str("the hostname is neither a name nor an address"),
            TlsError::Rustls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TlsError {}
