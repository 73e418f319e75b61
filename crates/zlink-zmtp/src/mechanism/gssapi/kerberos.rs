//! Contexts of the system's libgssapi_krb5.

use std::fmt;

use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext, ServerCtx};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::{Error, MajorFlags};
use libgssapi::name::Name;
use libgssapi::oid::{GSS_NT_HOSTBASED_SERVICE, GSS_NT_KRB5_PRINCIPAL, GSS_NT_USER_NAME};

use super::context::{Context, Progress};
use super::error::{FAILURE, Status};
use super::{ClientConfig, NameType, Principal, ServerConfig};

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Self { major: error.major.bits(), minor: error.minor }
    }
}

/// Writes what a status means, in the library's words.
pub(super) fn describe(status: Status, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let error = Error { major: MajorFlags::from_bits_retain(status.major), minor: status.minor };
    write!(f, "{error}")
}

/// A client's context, not begun.
pub(super) fn client(config: &ClientConfig) -> Result<Kerberos<ClientCtx>, Status> {
    let credentials = credentials(&config.principal, CredUsage::Initiate)?;
    let service = name(&config.service)?;
    let flags = CtxFlags::GSS_C_MUTUAL_FLAG | CtxFlags::GSS_C_REPLAY_FLAG;
    Ok(Kerberos(ClientCtx::new(credentials, service, flags, None)))
}

/// A server's context, not begun.
pub(super) fn server(config: &ServerConfig) -> Result<Kerberos<ServerCtx>, Status> {
    let credentials = credentials(&config.principal, CredUsage::Accept)?;
    Ok(Kerberos(ServerCtx::new(credentials)))
}

/// `None`: no principal in particular.
fn credentials(principal: &Principal, usage: CredUsage) -> Result<Option<Cred>, Status> {
    if principal.name.is_empty() {
        return Ok(None);
    }
    Ok(Some(Cred::acquire(Some(&name(principal)?), None, usage, None)?))
}

fn name(principal: &Principal) -> Result<Name, Status> {
    let kind = match principal.name_type {
        NameType::HostBased => GSS_NT_HOSTBASED_SERVICE,
        NameType::UserName => GSS_NT_USER_NAME,
        NameType::Krb5Principal => GSS_NT_KRB5_PRINCIPAL,
    };
    Ok(Name::new(&principal.name, Some(kind))?)
}

/// A context of the library's.
pub(super) struct Kerberos<C>(C);

trait Begin: SecurityContext + Send {
    /// The library's next token, if it has one.
    fn next(&mut self, token: Option<&[u8]>) -> Result<Option<libgssapi::util::Buf>, Error>;
}

impl Begin for ClientCtx {
    fn next(&mut self, token: Option<&[u8]>) -> Result<Option<libgssapi::util::Buf>, Error> {
        self.step(token, None)
    }
}

impl Begin for ServerCtx {
    fn next(&mut self, token: Option<&[u8]>) -> Result<Option<libgssapi::util::Buf>, Error> {
        self.step(token.unwrap_or_default(), None)
    }
}

impl<C: Begin> Context for Kerberos<C> {
    fn step(&mut self, token: Option<&[u8]>) -> Result<Progress, Status> {
        let token = self.0.next(token)?.map(|token| token.to_vec()).unwrap_or_default();
        Ok(Progress { token, complete: self.0.is_complete() })
    }

    fn client(&mut self) -> Result<Vec<u8>, Status> {
        Ok(self.0.source_name()?.display_name()?.to_vec())
    }

    fn wrap(&mut self, content: &[u8]) -> Result<Vec<u8>, Status> {
        let token = self.0.wrap(true, content)?.to_vec();
        if is_encrypted(&token) { Ok(token) } else { Err(FAILURE) }
    }

    fn unwrap(&mut self, token: &[u8], take: &mut dyn FnMut(&[u8])) -> Result<bool, Status> {
        take(&self.0.unwrap(token)?);
        Ok(is_encrypted(token))
    }
}

/// Whether a token that wraps says so of itself. Its header is under the signature, and the library tells what stands
/// there, but the crate does not pass it on.
///
/// Sources: RFC 4121, 4.2.2 and 4.2.6.2; for older kinds of keys RFC 1964, 1.2.2 and RFC 4757, 7.3.
fn is_encrypted(token: &[u8]) -> bool {
    const SEALED: u8 = 2;
    match token {
        [5, 4, flags, ..] => flags & SEALED != 0,
        _ => {
            matches!(behind_mechanism(token), Some([2, 1, _, _, cipher @ ..]) if !cipher.starts_with(&[0xff, 0xff]))
        }
    }
}

/// What follows the mechanism in a token. Source: RFC 2743, 3.1.
fn behind_mechanism(token: &[u8]) -> Option<&[u8]> {
    let (&len, rest) = token.strip_prefix(&[0x60])?.split_first()?;
    let more_of_len = if len < 0x80 { 0 } else { usize::from(len & 0x7f) };
    let (&len, rest) = rest.get(more_of_len..)?.strip_prefix(&[6])?.split_first()?;
    rest.get(usize::from(len)..)
}

#[cfg(test)]
mod tests {
    use super::is_encrypted;

    #[test]
    fn a_token_says_whether_it_is_encrypted() {
        for flags in 0..8 {
            assert_eq!(is_encrypted(&[5, 4, flags, 0xff]), flags & 2 != 0);
        }
        let older = |len: &[u8], cipher: [u8; 2]| {
            [&[0x60], len, b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x02\x01\x11\0", &cipher[..]]
                .concat()
        };
        for len in [&b"\x20"[..], b"\x81\x90", b"\x82\x01\x20"] {
            assert!(is_encrypted(&older(len, [0x10, 0])));
            assert!(!is_encrypted(&older(len, [0xff, 0xff])));
            let token = older(len, [0x10, 0]);
            for cut in 0..token.len() - 4 {
                assert!(!is_encrypted(&token[..cut]), "{cut} bytes");
            }
        }
    }
}
