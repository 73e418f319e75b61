//! The server's side of the handshake.

use super::client::{cipher_of, push_initiate};
use super::context::{Context, Progress, Shared};
use super::error::GssapiError;
use super::message::{Opener, Sealer};
use super::{ServerConfig, initiate_token, kerberos, some_token};
use crate::cipher::Cipher;
use crate::command::{self, encode_ready_metadata, split_name};
use crate::handshake::HandshakeError;
use crate::mechanism::{Step, unexpected};
use crate::zap::{Zap, ZapRequest};

/// A server's handshake.
#[derive(Debug)]
pub(crate) struct Server {
    context: Shared,
    plaintext: bool,
    metadata: Vec<u8>,
    /// A handler decides about clients.
    asks: bool,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// The client's token is awaited.
    Token,
    /// The context is complete on our side, and what completes the client's is sent.
    Complete,
    /// The client is known; the handler's verdict is awaited.
    Verdict,
    /// Our READY is sent.
    Welcome,
    Ready,
}

impl Server {
    /// `metadata`: what we announce, encoded. `zap`: whether a handler is asked about clients.
    ///
    /// # Errors
    ///
    /// [`GssapiError::Principal`].
    pub(crate) fn new(config: &ServerConfig, metadata: Vec<u8>, zap: Zap) -> Result<Self, GssapiError> {
        let context = kerberos::server(config).map_err(GssapiError::Principal)?;
        Ok(Self::with_context(Box::new(context), config.plaintext, metadata, zap))
    }

    pub(super) fn with_context(
        context: Box<dyn Context>,
        plaintext: bool,
        metadata: Vec<u8>,
        zap: Zap,
    ) -> Self {
        let context = Shared::new(context);
        Self { context, plaintext, metadata, asks: zap != Zap::Never, state: State::Token }
    }

    /// Takes the body of the client's command and appends the answer.
    pub(crate) fn process(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        match self.state {
            State::Token => {
                let token = some_token(body)?;
                let progress = self.context.lock().step(Some(token)).map_err(GssapiError::Token)?;
                let Progress { token, complete } = progress;
                if token.is_empty() {
                    // The client waits for a token, since it has asked for ours to know us by.
                    return Err(GssapiError::OutOfStep.into());
                }
                push_initiate(&token, out);
                if complete {
                    self.state = State::Complete;
                }
                Ok(Step::Continue)
            }
            State::Complete => {
                // libzmq's clients send an empty frame; a token would be of no use any more.
                if !body.is_empty() && !initiate_token(body)?.is_empty() {
                    return Err(GssapiError::OutOfStep.into());
                }
                self.state = State::Verdict;
                if self.asks {
                    let client = self.context.lock().client().map_err(GssapiError::Token)?;
                    let credentials = vec![client];
                    return Ok(Step::AwaitZap(ZapRequest { mechanism: "GSSAPI", credentials }));
                }
                self.authorized(out)?;
                Ok(Step::Continue)
            }
            State::Welcome => {
                let metadata = take_ready(&self.context, self.plaintext, body)?;
                self.state = State::Ready;
                Ok(Step::Done(metadata))
            }
            State::Verdict | State::Ready => Err(unexpected(body)),
        }
    }

    /// The client may come in: appends READY.
    pub(crate) fn authorized(&mut self, out: &mut Vec<u8>) -> Result<(), HandshakeError> {
        if self.state == State::Verdict {
            push_ready(&self.context, self.plaintext, &self.metadata, out)?;
            self.state = State::Welcome;
        }
        Ok(())
    }

    /// What wraps and unwraps messages, once the handshake is complete, unless they go as they are.
    pub(crate) fn into_cipher(self) -> Option<Cipher> {
        (self.state == State::Ready && !self.plaintext).then(|| cipher_of(self.context))
    }
}

/// Appends READY, within a MESSAGE unless `plaintext`.
pub(super) fn push_ready(
    context: &Shared,
    plaintext: bool,
    metadata: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), GssapiError> {
    if plaintext {
        encode_ready_metadata(out, metadata);
        return Ok(());
    }
    let mut message = Vec::new();
    let ready = command::body(b"READY", metadata);
    // Not marked as a command within: libzmq does not either.
    Sealer::new(context.clone()).seal(false, false, &ready, &mut message)?;
    command::encode_body(out, &message);
    Ok(())
}

/// The metadata of the peer's READY, within a MESSAGE unless `plaintext`.
pub(super) fn take_ready(context: &Shared, plaintext: bool, body: &[u8]) -> Result<Vec<u8>, HandshakeError> {
    let mut body = body.to_vec();
    let within = if plaintext { 0..body.len() } else { Opener::new(context.clone()).open(&mut body)?.body };
    let ready = &body[within];
    match split_name(ready)? {
        (b"READY", metadata) => Ok(metadata.to_vec()),
        _ => Err(unexpected(ready)),
    }
}
