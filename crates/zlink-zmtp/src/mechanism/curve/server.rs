//! The server's side of the handshake.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::error::CurveError;
use super::keys::{KEY_LEN, PublicKey, SecretKey, random};
use super::message::{CLIENT_PREFIX, Cipher, Opener, SERVER_PREFIX, Sealer};
use super::seal::{BoxKey, TAG_LEN, counted, drawn};
use crate::command::{self, split_name};
use crate::handshake::{HandshakeError, MechanismCommand};
use crate::mechanism::{Step, unexpected};
use crate::zap::{Zap, ZapRequest};

pub(super) const HELLO_NONCE: &[u8; 16] = b"CurveZMQHELLO---";
pub(super) const INITIATE_NONCE: &[u8; 16] = b"CurveZMQINITIATE";
pub(super) const READY_NONCE: &[u8; 16] = b"CurveZMQREADY---";
pub(super) const WELCOME_NONCE: &[u8; 8] = b"WELCOME-";
pub(super) const VOUCH_NONCE: &[u8; 8] = b"VOUCH---";
const COOKIE_NONCE: &[u8; 8] = b"COOKIE--";

const HELLO_LEN: usize = 200;
pub(super) const WELCOME_LEN: usize = 168;
/// Nonce and box of two keys.
pub(super) const COOKIE_LEN: usize = 16 + TAG_LEN + 2 * KEY_LEN;
/// An INITIATE without metadata.
const MIN_INITIATE_LEN: usize = 257;
/// The nonce of our READY, the first of ours that counts.
const FIRST_COUNT: u64 = 1;

/// What a server is configured with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerKeys {
    secret: SecretKey,
    public: PublicKey,
}

impl ServerKeys {
    /// The long-term secret key, s. The public key follows from it.
    pub fn new(secret: SecretKey) -> Self {
        let public = secret.public_key();
        Self { secret, public }
    }
}

/// A server's handshake with one client.
pub(crate) struct Server {
    keys: ServerKeys,
    metadata: Vec<u8>,
    /// Whether a ZAP handler is asked about clients.
    asks: bool,
    state: State,
}

enum State {
    Start,
    /// WELCOME is sent.
    Welcome(Welcomed),
    /// INITIATE was in order.
    Initiate(Initiated),
    /// READY is sent.
    Ready {
        key: BoxKey,
        last: u64,
    },
}

/// What is known of a client whose HELLO was in order.
struct Welcomed {
    /// C'.
    client: PublicKey,
    /// s', the secret key of this connection.
    secret: SecretKey,
    /// The key of the cookie, made for this connection and forgotten with it.
    cookie_key: BoxKey,
    /// The nonce of the HELLO.
    last: u64,
}

/// What is known of a client whose INITIATE was in order.
struct Initiated {
    /// C, the client's long-term public key. The client has proved that it owns it.
    client: PublicKey,
    /// The client's metadata, encoded.
    metadata: Vec<u8>,
    /// Between C' and S'.
    key: BoxKey,
    /// The nonce of the INITIATE.
    last: u64,
}

impl Server {
    /// `metadata`: what we announce, encoded. `zap`: whether a handler is asked about clients.
    pub(crate) fn new(keys: ServerKeys, metadata: Vec<u8>, zap: Zap) -> Self {
        Self { keys, metadata, asks: zap != Zap::Never, state: State::Start }
    }

    /// Takes the body of the client's command and appends the answer.
    pub(crate) fn process(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        match (split_name(body)?.0, &self.state) {
            (b"HELLO", State::Start) => {
                let welcomed = self.welcome(body, out)?;
                self.state = State::Welcome(welcomed);
                Ok(Step::Continue)
            }
            (b"INITIATE", State::Welcome(welcomed)) => {
                let initiated = self.open_initiate(welcomed, body)?;
                let credentials = vec![initiated.client.0.to_vec()];
                self.state = State::Initiate(initiated);
                if self.asks {
                    return Ok(Step::AwaitZap(ZapRequest { mechanism: "CURVE", credentials }));
                }
                Ok(self.authorized(out))
            }
            _ => Err(unexpected(body)),
        }
    }

    /// The client may come in: appends READY.
    pub(crate) fn authorized(&mut self, out: &mut Vec<u8>) -> Step {
        let State::Initiate(Initiated { metadata, key, last, .. }) = &mut self.state else {
            return Step::Continue;
        };
        let (metadata, key, last) = (std::mem::take(metadata), key.clone(), *last);
        let mut ready = Vec::with_capacity(8 + TAG_LEN + self.metadata.len());
        ready.extend_from_slice(&FIRST_COUNT.to_be_bytes());
        key.seal(&counted(READY_NONCE, FIRST_COUNT), &[&self.metadata], &mut ready);
        command::encode(out, b"READY", &[&ready]);
        self.state = State::Ready { key, last };
        Step::Done(metadata)
    }

    /// Judges a HELLO and appends the WELCOME.
    fn welcome(&self, hello: &[u8], out: &mut Vec<u8>) -> Result<Welcomed, CurveError> {
        let command = MechanismCommand::Hello;
        if hello.len() != HELLO_LEN {
            return Err(CurveError::Length { command, len: hello.len() });
        }
        let (major, minor) = (hello[6], hello[7]);
        if (major, minor) != (1, 0) {
            return Err(CurveError::Version { major, minor });
        }
        let client = key_at(hello, 80);
        let last = count_at(hello, 112);
        let key = BoxKey::agree(&client, &self.keys.secret).ok_or(CurveError::PeerKey)?;
        let zeros =
            key.open(&counted(HELLO_NONCE, last), &hello[120..]).ok_or(CurveError::Box { command })?;
        if zeros.ct_ne(&[0; 64][..]).into() {
            return Err(CurveError::Box { command });
        }

        let secret = SecretKey::generate()?;
        let mut cookie_key = [0; KEY_LEN];
        random(&mut cookie_key)?;
        let mut nonces = [[0; 16]; 2];
        random(nonces.as_flattened_mut())?;
        let [cookie_nonce, welcome_nonce] = nonces;
        let welcomed = Welcomed { client, secret, cookie_key: BoxKey::new(cookie_key), last };
        cookie_key.zeroize();

        let mut cookie = Vec::new();
        let content: [&[u8]; 2] = [&client.0, welcomed.secret.as_bytes()];
        welcomed.cookie_key.seal(&drawn(COOKIE_NONCE, &cookie_nonce), &content, &mut cookie);
        let mut welcome = Vec::with_capacity(WELCOME_LEN);
        welcome.extend_from_slice(&welcome_nonce);
        let content: [&[u8]; 3] = [&welcomed.secret.public_key().0, &cookie_nonce, &cookie];
        key.seal(&drawn(WELCOME_NONCE, &welcome_nonce), &content, &mut welcome);
        command::encode(out, b"WELCOME", &[&welcome]);
        Ok(welcomed)
    }

    /// Judges an INITIATE.
    fn open_initiate(&self, welcomed: &Welcomed, initiate: &[u8]) -> Result<Initiated, CurveError> {
        let command = MechanismCommand::Initiate;
        if initiate.len() < MIN_INITIATE_LEN {
            return Err(CurveError::Length { command, len: initiate.len() });
        }
        let cookie_nonce = drawn(COOKIE_NONCE, &nonce_at(initiate, 9));
        let cookie = welcomed.cookie_key.open(&cookie_nonce, &initiate[25..105]).ok_or(CurveError::Cookie)?;
        let ours = [&welcomed.client.0, welcomed.secret.as_bytes()];
        if cookie.ct_ne(&*Zeroizing::new(ours.concat_keys())).into() {
            return Err(CurveError::Cookie);
        }

        let last = count_at(initiate, 105);
        if last <= welcomed.last {
            return Err(CurveError::Sequence { command });
        }
        let key = BoxKey::agree(&welcomed.client, &welcomed.secret).ok_or(CurveError::PeerKey)?;
        let content =
            key.open(&counted(INITIATE_NONCE, last), &initiate[113..]).ok_or(CurveError::Box { command })?;

        let client = key_at(&content, 0);
        let vouch_nonce = drawn(VOUCH_NONCE, &nonce_at(&content, KEY_LEN));
        let vouch_key = BoxKey::agree(&client, &welcomed.secret).ok_or(CurveError::PeerKey)?;
        let vouch = vouch_key.open(&vouch_nonce, &content[48..128]).ok_or(CurveError::Vouch)?;
        let wanted = [&welcomed.client.0, &self.keys.public.0].concat_keys();
        if vouch.ct_ne(&wanted[..]).into() {
            return Err(CurveError::VouchContent);
        }
        Ok(Initiated { client, metadata: content[128..].to_vec(), key, last })
    }

    /// What boxes and opens messages, once the handshake is complete.
    pub(crate) fn into_cipher(self) -> Option<Cipher> {
        let State::Ready { key, last } = self.state else { return None };
        let sealer = Sealer::new(key.clone(), SERVER_PREFIX, FIRST_COUNT + 1);
        Some(Cipher { sealer, opener: Opener::new(key, CLIENT_PREFIX, last) })
    }
}

trait ConcatKeys {
    fn concat_keys(&self) -> [u8; 2 * KEY_LEN];
}

impl ConcatKeys for [&[u8; KEY_LEN]; 2] {
    fn concat_keys(&self) -> [u8; 2 * KEY_LEN] {
        let mut both = [0; 2 * KEY_LEN];
        both[..KEY_LEN].copy_from_slice(self[0]);
        both[KEY_LEN..].copy_from_slice(self[1]);
        both
    }
}

// The callers have checked the length.
fn key_at(bytes: &[u8], at: usize) -> PublicKey {
    let mut key = PublicKey([0; KEY_LEN]);
    key.0.copy_from_slice(&bytes[at..at + KEY_LEN]);
    key
}

fn nonce_at(bytes: &[u8], at: usize) -> [u8; 16] {
    let mut nonce = [0; 16];
    nonce.copy_from_slice(&bytes[at..at + 16]);
    nonce
}

fn count_at(bytes: &[u8], at: usize) -> u64 {
    let mut count = [0; 8];
    count.copy_from_slice(&bytes[at..at + 8]);
    u64::from_be_bytes(count)
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("public", &self.keys.public).finish_non_exhaustive()
    }
}
