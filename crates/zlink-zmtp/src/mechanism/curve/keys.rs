//! Keys, and where the secret ones come from.

use std::fmt;

use dryoc::classic::crypto_core::crypto_scalarmult_base;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::z85;

/// Length of a key in bytes.
pub const KEY_LEN: usize = 32;
/// Length of a key as text, in characters of one byte.
pub const Z85_KEY_LEN: usize = KEY_LEN / 4 * 5;

/// The bytes of a key given as text. `None`: it is none.
fn from_z85(text: &[u8]) -> Option<[u8; KEY_LEN]> {
    let mut key = [0; KEY_LEN];
    if text.len() != Z85_KEY_LEN || z85::decode(text, &mut key).is_none() {
        key.zeroize();
        return None;
    }
    Some(key)
}

fn to_z85(key: &[u8; KEY_LEN]) -> String {
    let mut text = [0; Z85_KEY_LEN];
    z85::encode(key, &mut text);
    text.iter().map(|digit| char::from(*digit)).collect()
}

/// A public key. Any 32 bytes make one; a few of them, which no secret key belongs to, fail the handshake.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(pub [u8; KEY_LEN]);

impl PublicKey {
    /// The key with this text in [Z85](crate::z85). `None`: it is not that of a key.
    pub fn from_z85(text: impl AsRef<[u8]>) -> Option<Self> {
        from_z85(text.as_ref()).map(Self)
    }

    /// The key as text in [Z85](crate::z85): 40 characters.
    pub fn to_z85(&self) -> String {
        to_z85(&self.0)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicKey").field(&self.to_z85()).finish()
    }
}

/// A secret key. Wiped when dropped, compared in constant time, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; KEY_LEN]);

impl SecretKey {
    /// Takes a key that exists. Any 32 bytes will do.
    pub const fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`] if the system has no random numbers.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut key = Self([0; KEY_LEN]);
        random(&mut key.0)?;
        Ok(key)
    }

    /// The key with this text in [Z85](crate::z85). `None`: it is not that of a key.
    pub fn from_z85(text: impl AsRef<[u8]>) -> Option<Self> {
        from_z85(text.as_ref()).map(Self)
    }

    /// The key as text in [Z85](crate::z85): 40 characters, which nobody wipes.
    pub fn to_z85(&self) -> String {
        to_z85(&self.0)
    }

    /// The key itself.
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The public key that belongs to this one.
    pub fn public_key(&self) -> PublicKey {
        let mut public = [0; KEY_LEN];
        crypto_scalarmult_base(&mut public, &self.0);
        PublicKey(public)
    }
}

impl PartialEq for SecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// Fills `bytes` with random numbers of the operating system.
pub(super) fn random(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(bytes).map_err(|_| NoRandomness)
}

/// The operating system has no random numbers to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NoRandomness;

impl fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system has no random numbers")
    }
}

impl std::error::Error for NoRandomness {}
