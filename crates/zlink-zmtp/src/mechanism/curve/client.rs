//! The client's side of the handshake.

use std::fmt;

use zeroize::Zeroizing;

use super::error::CurveError;
use super::keys::{KEY_LEN, PublicKey, SecretKey, random};
use super::message::{CLIENT_PREFIX, Cipher, Opener, SERVER_PREFIX, Sealer};
use super::seal::{BoxKey, counted, drawn};
use super::server::{
    COOKIE_LEN, HELLO_NONCE, INITIATE_NONCE, READY_NONCE, VOUCH_NONCE, WELCOME_LEN, WELCOME_NONCE,
};
use crate::command::{self, parse_reason, split_name};
use crate::handshake::{HandshakeError, MechanismCommand};
use crate::mechanism::{Step, unexpected};

/// What a client is configured with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientKeys {
    /// The server's long-term public key, S.
    pub server: PublicKey,
    /// Our own long-term public key, C, by which the server knows us.
    pub public: PublicKey,
    /// The secret key that belongs to it. If it does not, the server turns us away.
    pub secret: SecretKey,
}

/// A client's handshake.
pub(crate) struct Client {
    keys: ClientKeys,
    /// c', the secret key of this connection.
    secret: SecretKey,
    /// C', the public one.
    public: PublicKey,
    /// Between C' and S.
    hello_key: BoxKey,
    metadata: Vec<u8>,
    /// The next nonce of ours.
    next: u64,
    state: State,
}

enum State {
    /// HELLO is sent, or about to be.
    Hello,
    /// INITIATE is sent. The key is that between C' and S'.
    Initiate(BoxKey),
    Ready {
        key: BoxKey,
        last: u64,
    },
}

impl Client {
    /// `metadata`: what we announce, encoded.
    ///
    /// # Errors
    ///
    /// [`CurveError::ServerKey`], [`CurveError::NoRandomness`].
    pub(crate) fn new(keys: ClientKeys, metadata: Vec<u8>) -> Result<Self, CurveError> {
        let secret = SecretKey::generate()?;
        let public = secret.public_key();
        let hello_key = BoxKey::agree(&keys.server, &secret).ok_or(CurveError::ServerKey)?;
        Ok(Self { keys, secret, public, hello_key, metadata, next: 1, state: State::Hello })
    }

    fn count(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Appends HELLO.
    pub(crate) fn start(&mut self, out: &mut Vec<u8>) {
        let count = self.count();
        let mut hello = Vec::with_capacity(200);
        // Version 1.0.
        hello.extend_from_slice(&[1, 0]);
        // The HELLO is longer than the WELCOME: nobody is made to send more than he was sent.
        hello.extend_from_slice(&[0; 72]);
        hello.extend_from_slice(&self.public.0);
        hello.extend_from_slice(&count.to_be_bytes());
        self.hello_key.seal(&counted(HELLO_NONCE, count), &[&[0; 64]], &mut hello);
        command::encode(out, b"HELLO", &[&hello]);
    }

    /// Takes the body of the server's command and appends the answer.
    pub(crate) fn process(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        match (split_name(body)?, &self.state) {
            ((b"WELCOME", _), State::Hello) => {
                let content = open_welcome(&self.hello_key, body)?;
                self.initiate(&content, out)?;
                Ok(Step::Continue)
            }
            ((b"READY", data), State::Initiate(key)) => {
                let key = key.clone();
                let (last, metadata) = open_ready(&key, data, body.len())?;
                self.state = State::Ready { key, last };
                Ok(Step::Done(metadata.to_vec()))
            }
            ((b"ERROR", data), State::Hello | State::Initiate(_)) => {
                Err(HandshakeError::PeerError(parse_reason(data)?.to_vec()))
            }
            _ => Err(unexpected(body)),
        }
    }

    /// Appends INITIATE, the answer to a WELCOME with this content.
    fn initiate(&mut self, welcome: &[u8], out: &mut Vec<u8>) -> Result<(), CurveError> {
        let (server, cookie) = welcome.split_at(KEY_LEN);
        let mut theirs = PublicKey([0; KEY_LEN]);
        theirs.0.copy_from_slice(server);
        let key = BoxKey::agree(&theirs, &self.secret).ok_or(CurveError::PeerKey)?;

        let vouch_key = BoxKey::agree(&theirs, &self.keys.secret).ok_or(CurveError::PeerKey)?;
        let mut vouch_nonce = [0; 16];
        random(&mut vouch_nonce)?;
        let mut vouch = Vec::new();
        let content: [&[u8]; 2] = [&self.public.0, &self.keys.server.0];
        vouch_key.seal(&drawn(VOUCH_NONCE, &vouch_nonce), &content, &mut vouch);

        let count = self.count();
        let mut initiate = Vec::with_capacity(257 + self.metadata.len());
        initiate.extend_from_slice(cookie);
        initiate.extend_from_slice(&count.to_be_bytes());
        let content: [&[u8]; 4] = [&self.keys.public.0, &vouch_nonce, &vouch, &self.metadata];
        key.seal(&counted(INITIATE_NONCE, count), &content, &mut initiate);
        command::encode(out, b"INITIATE", &[&initiate]);
        self.state = State::Initiate(key);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn own_key(&self) -> PublicKey {
        self.keys.public
    }

    /// Lies about the server in the vouch.
    #[cfg(test)]
    pub(super) fn vouch_for(&mut self, server: PublicKey) {
        self.keys.server = server;
    }

    /// What boxes and opens messages, once the handshake is complete.
    pub(crate) fn into_cipher(self) -> Option<Cipher> {
        let State::Ready { key, last } = self.state else { return None };
        let sealer = Sealer::new(key.clone(), CLIENT_PREFIX, self.next);
        Some(Cipher { sealer, opener: Opener::new(key, SERVER_PREFIX, last) })
    }
}

/// S' and the cookie.
fn open_welcome(key: &BoxKey, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, CurveError> {
    let command = MechanismCommand::Welcome;
    if body.len() != WELCOME_LEN {
        return Err(CurveError::Length { command, len: body.len() });
    }
    let mut nonce = [0; 16];
    nonce.copy_from_slice(&body[8..24]);
    let content = key.open(&drawn(WELCOME_NONCE, &nonce), &body[24..]).ok_or(CurveError::Box { command })?;
    debug_assert_eq!(content.len(), KEY_LEN + COOKIE_LEN);
    Ok(content)
}

/// The server's nonce and its metadata.
fn open_ready(key: &BoxKey, data: &[u8], len: usize) -> Result<(u64, Zeroizing<Vec<u8>>), CurveError> {
    let command = MechanismCommand::Ready;
    let (nonce, boxed) = data.split_first_chunk::<8>().ok_or(CurveError::Length { command, len })?;
    if boxed.len() < super::seal::TAG_LEN {
        return Err(CurveError::Length { command, len });
    }
    let nonce = u64::from_be_bytes(*nonce);
    let metadata = key.open(&counted(READY_NONCE, nonce), boxed).ok_or(CurveError::Box { command })?;
    Ok((nonce, metadata))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", &self.keys.server).finish_non_exhaustive()
    }
}
