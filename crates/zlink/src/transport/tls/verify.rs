//! Whether a client trusts a server's certificate.
//!
//! As GnuTLS does for libzmq: the certificate is signed, by way of others that the server sends, by one that is
//! trusted, or is itself among those; its time has come and not passed; and it is for the hostname asked for, if
//! one is. A certificate that names no host in the modern way is for the one in its common name.
//!
//! Sources: RFC 5280, RFC 6125; `ZMQ_WSS_TRUST_PEM`, `ZMQ_WSS_HOSTNAME`.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::config::TlsError;

/// What a client trusts.
#[derive(Debug)]
pub(super) struct Trust {
    roots: RootCertStore,
    /// The same, as they are.
    certificates: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Nobody.
    pub(super) fn new() -> Trust {
        Trust { roots: RootCertStore::empty(), certificates: Vec::new() }
    }

    pub(super) fn add(&mut self, certificate: CertificateDer<'static>) -> Result<(), TlsError> {
        self.roots.add(certificate.clone()).map_err(TlsError::Rustls)?;
        self.certificates.push(certificate);
        Ok(())
    }
}

/// Judges servers' certificates.
#[derive(Debug)]
pub(super) struct Verifier {
    trust: Trust,
    hostname: Option<ServerName<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(
        trust: Trust,
        hostname: Option<ServerName<'static>>,
        provider: &CryptoProvider,
    ) -> Verifier {
        Verifier { trust, hostname, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if self.trust.certificates.contains(end_entity) {
            check_time(end_entity, now)?;
        } else {
            let (roots, algorithms) = (&self.trust.roots, self.algorithms.all);
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        if let Some(hostname) = &self.hostname {
            match common_name(end_entity)? {
                Some(name) if matches!(hostname, ServerName::DnsName(_)) => check_name(&name, hostname)?,
                _ => verify_server_name(&certificate, hostname)?,
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Error> {
    match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => Ok(parsed),
        Err(_) => Err(CertificateError::BadEncoding.into()),
    }
}

fn check_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let parsed = parse(certificate)?;
    let validity = parsed.validity();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < validity.not_before.timestamp() {
        Err(CertificateError::NotValidYet.into())
    } else if now > validity.not_after.timestamp() {
        Err(CertificateError::Expired.into())
    } else {
        Ok(())
    }
}

/// The common name of a certificate that has one, and names no host otherwise.
fn common_name(certificate: &CertificateDer<'_>) -> Result<Option<String>, Error> {
    let parsed = parse(certificate)?;
    let names_host = parsed.extensions().iter().any(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => {
            names.general_names.iter().any(|name| matches!(name, GeneralName::DNSName(_)))
        }
        _ => false,
    });
    let mut names = parsed.subject().iter_common_name();
    Ok(match (names_host, names.next(), names.next()) {
        (false, Some(name), None) => name.as_str().ok().map(str::to_owned),
        _ => None,
    })
}

/// Whether a common name is that of the host; its first label may be a wildcard.
fn check_name(name: &str, hostname: &ServerName<'_>) -> Result<(), Error> {
    let host = hostname.to_str();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let same = match (name.split_once('.'), host.split_once('.')) {
        // Not for a whole top-level domain.
        (Some(("*", rest)), Some((_, host))) if rest.contains('.') => rest.eq_ignore_ascii_case(host),
        _ => name.eq_ignore_ascii_case(host),
    };
    if same { Ok(()) } else { Err(CertificateError::NotValidForName.into()) }
}
