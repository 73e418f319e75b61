//! A context that needs no realm, for tests and fuzz targets: it protects nothing.

use super::context::{Context, Progress, Shared};
use super::error::Status;
use super::{Client, Server};
use crate::cipher::Cipher;
use crate::handshake::{Handshake, HandshakeConfig};
use crate::mechanism::{Mechanism, Security};

/// What a token gets that is not the one to come.
pub(super) const REFUSED: Status = Status { major: 9 << 16, minor: 0 };
/// Marks a token as encrypted.
const SEALED: u8 = 1;

/// Tokens count the steps of their side; what is wrapped gets a mark, a number, a sum, and every bit turned.
pub(super) struct Fake {
    /// Tokens that this side has still to take.
    pub(super) wants: u8,
    /// Tokens that this side has still to give.
    pub(super) gives: u8,
    pub(super) sent: u8,
    pub(super) taken: u8,
    /// How much there is to be wrapped.
    pub(super) wraps: u32,
    /// Whether it marks what it wraps as encrypted.
    pub(super) encrypts: bool,
}

impl Fake {
    pub(super) fn new(rounds: u8) -> Self {
        Fake { wants: rounds, gives: rounds, sent: 0, taken: 0, wraps: u32::MAX, encrypts: true }
    }

    pub(super) fn shared(self) -> Shared {
        Shared::new(Box::new(self))
    }
}

impl Context for Fake {
    fn step(&mut self, token: Option<&[u8]>) -> Result<Progress, Status> {
        match token {
            None => {}
            Some([b'T', n]) if *n == self.wants => self.wants -= 1,
            Some(_) => return Err(REFUSED),
        }
        let mut token = Vec::new();
        if self.gives > 0 {
            token = vec![b'T', self.gives];
            self.gives -= 1;
        }
        Ok(Progress { token, complete: self.wants == 0 })
    }

    fn client(&mut self) -> Result<Vec<u8>, Status> {
        Ok(b"somebody@REALM".to_vec())
    }

    fn wrap(&mut self, content: &[u8]) -> Result<Vec<u8>, Status> {
        self.wraps = self.wraps.checked_sub(1).ok_or(REFUSED)?;
        let mut token = vec![u8::from(self.encrypts) * SEALED, self.sent, sum(self.sent, content)];
        token.extend(content.iter().map(|byte| !byte));
        self.sent = self.sent.wrapping_add(1);
        Ok(token)
    }

    fn unwrap(&mut self, token: &[u8], take: &mut dyn FnMut(&[u8])) -> Result<bool, Status> {
        let [mark, number, sum_of, wrapped @ ..] = token else { return Err(REFUSED) };
        let content: Vec<u8> = wrapped.iter().map(|byte| !byte).collect();
        if *number != self.taken || *sum_of != sum(*number, &content) {
            return Err(REFUSED);
        }
        self.taken = self.taken.wrapping_add(1);
        take(&content);
        Ok(*mark == SEALED)
    }
}

fn sum(number: u8, content: &[u8]) -> u8 {
    content.iter().fold(number, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte))
}

/// The ciphers of a client and a server, of which the client's wraps `wraps` frames and no more.
pub fn ciphers(wraps: u32) -> [Cipher; 2] {
    let client = Fake { wraps, ..Fake::new(0) };
    [client.shared(), Fake::new(0).shared()].map(super::client::cipher_of)
}

/// A handshake of GSSAPI as `config` has it, of which each side gives `rounds` tokens.
pub fn handshake(config: HandshakeConfig, rounds: u8) -> Handshake {
    Handshake::with_mechanism(config, |security, metadata, zap| {
        let context = Box::new(Fake::new(rounds));
        Ok(match security {
            Security::GssapiServer(config) => {
                Mechanism::GssapiServer(Server::with_context(context, config.plaintext, metadata, zap))
            }
            Security::GssapiClient(config) => {
                Mechanism::GssapiClient(Client::with_context(context, config.plaintext, metadata)?)
            }
            other => Mechanism::new(other, metadata, zap)?,
        })
    })
}
