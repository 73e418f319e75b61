//! PLAIN: the client tells a username and a password, in the clear.
//!
//! ```text
//! client: HELLO ────────► server asks its ZAP handler
//!               ◄──────── WELCOME, or ERROR and the end
//!      INITIATE ────────►
//!               ◄──────── READY
//! ```
//!
//! Source: 24/PLAIN (ZMTP-PLAIN).

use std::fmt;

use zeroize::Zeroizing;

use super::Step;
use crate::command::{encode, encode_ready_metadata, parse_reason, split_name};
use crate::handshake::{HandshakeError, MechanismCommand};
use crate::zap::ZapRequest;

/// The longest username and password, in bytes.
pub const MAX_CREDENTIAL_LEN: usize = 255;

/// How an ERROR of libzmq's PLAIN servers begins, up to 4.3.5: its first two bytes, written as one escape sequence too
/// long, became one. No name is that long.
const LIBZMQS_ERROR: &[u8] = b"^RROR";

/// A client's username and password, 0 to 255 bytes each. Overwritten on drop, and not shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct PlainCredentials {
    /// The username.
    pub username: Zeroizing<Vec<u8>>,
    /// The password.
    pub password: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for PlainCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainCredentials").finish_non_exhaustive()
    }
}

/// The client's side.
#[derive(Debug)]
pub(crate) struct PlainClient {
    credentials: PlainCredentials,
    metadata: Vec<u8>,
    welcome: bool,
}

impl PlainClient {
    pub(super) fn new(metadata: Vec<u8>, credentials: PlainCredentials) -> Result<Self, HandshakeError> {
        let len = credentials.username.len().max(credentials.password.len());
        if len > MAX_CREDENTIAL_LEN {
            return Err(HandshakeError::LocalCredentialTooLong { len });
        }
        Ok(Self { credentials, metadata, welcome: false })
    }

    pub(super) fn start(&mut self, out: &mut Vec<u8>) {
        let PlainCredentials { username, password } = std::mem::take(&mut self.credentials);
        // Lengths as bytes: they were checked when this was made.
        let lens = [[username.len() as u8], [password.len() as u8]];
        encode(out, b"HELLO", &[&lens[0], &username, &lens[1], &password]);
    }

    pub(super) fn process(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        if let Some(reason) = body.strip_prefix(LIBZMQS_ERROR) {
            return Err(HandshakeError::PeerError(parse_reason(reason)?.to_vec()));
        }
        match split_name(body)? {
            (b"WELCOME", data) if !self.welcome => {
                if !data.is_empty() {
                    return Err(HandshakeError::MalformedMechanismCommand(MechanismCommand::Welcome));
                }
                self.welcome = true;
                encode(out, b"INITIATE", &[&std::mem::take(&mut self.metadata)]);
                Ok(Step::Continue)
            }
            (b"READY", metadata) if self.welcome => Ok(Step::Done(metadata.to_vec())),
            (b"ERROR", data) => Err(HandshakeError::PeerError(parse_reason(data)?.to_vec())),
            _ => Err(super::unexpected(body)),
        }
    }
}

/// The server's side.
#[derive(Debug)]
pub(crate) struct PlainServer {
    metadata: Vec<u8>,
    expects: Expects,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    Hello,
    /// Nothing: the handler has not decided yet.
    Verdict,
    Initiate,
}

impl PlainServer {
    pub(super) fn new(metadata: Vec<u8>) -> Self {
        Self { metadata, expects: Expects::Hello }
    }

    pub(super) fn process(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        match (split_name(body)?, self.expects) {
            ((b"HELLO", data), Expects::Hello) => {
                let (username, rest) = short_string(data)?;
                let (password, rest) = short_string(rest)?;
                if !rest.is_empty() {
                    return Err(HELLO);
                }
                self.expects = Expects::Verdict;
                let credentials = vec![username.to_vec(), password.to_vec()];
                Ok(Step::AwaitZap(ZapRequest { mechanism: "PLAIN", credentials }))
            }
            ((b"INITIATE", metadata), Expects::Initiate) => {
                encode_ready_metadata(out, &std::mem::take(&mut self.metadata));
                Ok(Step::Done(metadata.to_vec()))
            }
            _ => Err(super::unexpected(body)),
        }
    }

    pub(super) fn authorized(&mut self, out: &mut Vec<u8>) {
        self.expects = Expects::Initiate;
        encode(out, b"WELCOME", &[]);
    }
}

const HELLO: HandshakeError = HandshakeError::MalformedMechanismCommand(MechanismCommand::Hello);

/// Takes a string behind its length of one byte.
fn short_string(data: &[u8]) -> Result<(&[u8], &[u8]), HandshakeError> {
    let (&len, rest) = data.split_first().ok_or(HELLO)?;
    rest.split_at_checked(usize::from(len)).ok_or(HELLO)
}
