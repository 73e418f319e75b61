//! The client's side of the handshake.

use super::context::{Context, Progress, Shared};
use super::error::GssapiError;
use super::message::{Opener, Sealer, push_token};
use super::{ClientConfig, kerberos, some_token};
use crate::cipher::{self, Cipher};
use crate::command::{self, parse_reason, split_name};
use crate::handshake::HandshakeError;
use crate::mechanism::gssapi::server::{push_ready, take_ready};
use crate::mechanism::{Step, unexpected};

/// A client's handshake.
#[derive(Debug)]
pub(crate) struct Client {
    context: Shared,
    plaintext: bool,
    metadata: Vec<u8>,
    /// The token to begin with.
    first: Vec<u8>,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// A token of ours is sent, or about to be.
    Token,
    /// The context is complete, and the server knows.
    Complete,
    Ready,
}

impl Client {
    /// `metadata`: what we announce, encoded. Asks the realm's KDC for a ticket unless there is one.
    ///
    /// # Errors
    ///
    /// [`GssapiError::Principal`], [`GssapiError::Ticket`].
    pub(crate) fn new(config: &ClientConfig, metadata: Vec<u8>) -> Result<Self, GssapiError> {
        let context = kerberos::client(config).map_err(GssapiError::Principal)?;
        Self::with_context(Box::new(context), config.plaintext, metadata)
    }

    pub(super) fn with_context(
        mut context: Box<dyn Context>,
        plaintext: bool,
        metadata: Vec<u8>,
    ) -> Result<Self, GssapiError> {
        // Now rather than after the greeting: without a ticket there is no point in greeting anybody.
        let Progress { token, complete } = context.step(None).map_err(GssapiError::Ticket)?;
        // Complete without a word from the server: nobody would know who that is.
        if complete || token.is_empty() {
            return Err(GssapiError::OutOfStep);
        }
        let context = Shared::new(context);
        Ok(Self { context, plaintext, metadata, first: token, state: State::Token })
    }

    /// Appends the first INITIATE.
    pub(crate) fn start(&mut self, out: &mut Vec<u8>) {
        push_initiate(&std::mem::take(&mut self.first), out);
    }

    /// Takes the body of the server's command and appends the answer.
    pub(crate) fn process(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        if let (b"ERROR", data) = split_name(body)?
            && self.state != State::Ready
        {
            return Err(HandshakeError::PeerError(parse_reason(data)?.to_vec()));
        }
        match self.state {
            State::Token => {
                let token = some_token(body)?;
                let progress = self.context.lock().step(Some(token)).map_err(GssapiError::Token)?;
                match progress {
                    Progress { complete: false, token } if token.is_empty() => {
                        return Err(GssapiError::OutOfStep.into());
                    }
                    Progress { complete, token } => {
                        // Complete and nothing to tell: libzmq's servers wait for a command frame all the same.
                        push_initiate(&token, out);
                        if complete {
                            self.state = State::Complete;
                        }
                    }
                }
                Ok(Step::Continue)
            }
            State::Complete => {
                let theirs = take_ready(&self.context, self.plaintext, body)?;
                push_ready(&self.context, self.plaintext, &self.metadata, out)?;
                self.state = State::Ready;
                Ok(Step::Done(theirs))
            }
            State::Ready => Err(unexpected(body)),
        }
    }

    /// What wraps and unwraps messages, once the handshake is complete, unless they go as they are.
    pub(crate) fn into_cipher(self) -> Option<Cipher> {
        (self.state == State::Ready && !self.plaintext).then(|| cipher_of(self.context))
    }
}

pub(super) fn cipher_of(context: Shared) -> Cipher {
    let sealer = cipher::Sealer::Gssapi(Sealer::new(context.clone()));
    Cipher { sealer, opener: cipher::Opener::Gssapi(Opener::new(context)) }
}

/// Appends an INITIATE with this token; without one a command frame without a body.
pub(super) fn push_initiate(token: &[u8], out: &mut Vec<u8>) {
    if token.is_empty() {
        return command::encode_empty(out);
    }
    let mut data = Vec::with_capacity(4 + token.len());
    // A token of 4 GiB: libraries make none of a size that a frame could not have.
    if push_token(token, &mut data).is_some() {
        command::encode(out, b"INITIATE", &[&data]);
    }
}
