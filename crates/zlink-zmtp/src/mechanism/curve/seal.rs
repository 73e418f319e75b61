//! Boxes: a tag of 16 bytes, then as many bytes as went in.

use dryoc::classic::crypto_box::{
    crypto_box_beforenm, crypto_box_detached_afternm_inplace, crypto_box_open_detached_afternm_inplace,
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::keys::{KEY_LEN, PublicKey, SecretKey};

/// Bytes that a box adds to its content.
pub(super) const TAG_LEN: usize = 16;
/// Bytes of a whole nonce, fixed prefix included.
pub(super) const NONCE_LEN: usize = 24;

pub(super) type Nonce = [u8; NONCE_LEN];

/// The nonce of a command that counts.
pub(super) fn counted(prefix: &[u8; 16], count: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[..16].copy_from_slice(prefix);
    nonce[16..].copy_from_slice(&count.to_be_bytes());
    nonce
}

/// A nonce with 16 random bytes.
pub(super) fn drawn(prefix: &[u8; 8], random: &[u8; 16]) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(prefix);
    nonce[8..].copy_from_slice(random);
    nonce
}

/// The key of boxes in both directions between two key pairs, or one that only its owner knows.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct BoxKey([u8; KEY_LEN]);

impl BoxKey {
    pub(super) const fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// The key between the owner of `theirs` and us. `None`: `theirs` is one of the points of low order, with which
    /// every secret key would agree on the same.
    pub(super) fn agree(theirs: &PublicKey, ours: &SecretKey) -> Option<Self> {
        crypto_box_beforenm(&theirs.0, ours.as_bytes()).ok().map(Self)
    }

    /// Boxes what `room` holds behind its first [`TAG_LEN`] bytes, which take the tag.
    #[inline]
    pub(super) fn seal_in_place(&self, nonce: &Nonce, room: &mut [u8]) {
        let Some((tag, content)) = room.split_first_chunk_mut::<TAG_LEN>() else { return };
        crypto_box_detached_afternm_inplace(content, tag, nonce, &self.0);
    }

    /// Appends the box of `content`, given in parts.
    pub(super) fn seal(&self, nonce: &Nonce, content: &[&[u8]], out: &mut Vec<u8>) {
        let start = out.len();
        // At once: growing in steps would leave content behind in memory that nobody wipes.
        out.reserve(TAG_LEN + content.iter().map(|part| part.len()).sum::<usize>());
        out.extend_from_slice(&[0; TAG_LEN]);
        content.iter().for_each(|part| out.extend_from_slice(part));
        self.seal_in_place(nonce, &mut out[start..]);
    }

    /// Opens a box where it lies and returns its content. `None`: it is no box of ours, and has not changed.
    #[inline]
    pub(super) fn open_in_place<'a>(&self, nonce: &Nonce, boxed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (tag, content) = boxed.split_first_chunk_mut::<TAG_LEN>()?;
        crypto_box_open_detached_afternm_inplace(content, tag, nonce, &self.0).ok()?;
        Some(content)
    }

    /// Opens a box. `None`: it is no box of ours.
    pub(super) fn open(&self, nonce: &Nonce, boxed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (tag, content) = boxed.split_first_chunk::<TAG_LEN>()?;
        let mut content = Zeroizing::new(content.to_vec());
        crypto_box_open_detached_afternm_inplace(&mut content, tag, nonce, &self.0).ok()?;
        Some(content)
    }
}
