//! Contexts of the system's libgssapi_krb5.

use std::fmt;

use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext, ServerCtx};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::{Error, MajorFlags};
use libgssapi::name::Name;
use libgssapi::oid::{GSS_NT_HOSTBASED_SERVICE, GSS_NT_KRB5_PRINCIPAL, GSS_NT_USER_NAME};

use super::context::{Context, Progress};
use super::error::Status;
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
        Ok(self.0.wrap(true, content)?.to_vec())
    }

    fn unwrap(&mut self, token: &[u8], take: &mut dyn FnMut(&[u8])) -> Result<(), Status> {
        take(&self.0.unwrap(token)?);
        Ok(())
    }
}
