//! Masking: XOR with a key of four bytes, new for every frame a client sends.
//!
//! It keeps bytes that an application chose from looking like HTTP to a proxy on the way, so that the key
//! must be one that the application cannot foretell. It hides nothing from anybody.
//!
//! Source: RFC 6455, section 5.3.

use std::hash::{BuildHasher, RandomState};

/// The key of one frame.
pub type Key = [u8; 4];

/// Bytes masked at a time: what compilers turn into a few vector instructions.
const BLOCK: usize = 32;

/// The key for the bytes behind the first `n` that `key` was used for.
#[inline]
pub const fn skip(key: Key, n: usize) -> Key {
    let mut rotated = key;
    let mut i = 0;
    while i < key.len() {
        rotated[i] = key[(i + n) % key.len()];
        i += 1;
    }
    rotated
}

/// Masks, or unmasks, `bytes` in place.
pub fn apply(bytes: &mut [u8], key: Key) {
    let pattern = pattern(key);
    let mut blocks = bytes.chunks_exact_mut(BLOCK);
    for block in &mut blocks {
        for (byte, key) in block.iter_mut().zip(&pattern) {
            *byte ^= key;
        }
    }
    for (byte, key) in blocks.into_remainder().iter_mut().zip(&pattern) {
        *byte ^= key;
    }
}

/// Appends `bytes`, masked, in one pass.
pub fn extend(out: &mut Vec<u8>, bytes: &[u8], key: Key) {
    let pattern = pattern(key);
    out.reserve(bytes.len());
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    for block in blocks {
        let mut masked = *block;
        for (byte, key) in masked.iter_mut().zip(&pattern) {
            *byte ^= key;
        }
        out.extend_from_slice(&masked);
    }
    out.extend(rest.iter().zip(&pattern).map(|(byte, key)| byte ^ key));
}

fn pattern(key: Key) -> [u8; BLOCK] {
    let mut pattern = [0; BLOCK];
    for (i, byte) in pattern.iter_mut().enumerate() {
        *byte = key[i % key.len()];
    }
    pattern
}

/// A source of keys that nobody can foretell: a keyed hash of a count, the key from the operating system.
#[derive(Debug, Clone)]
pub struct Keys {
    state: RandomState,
    count: u64,
    /// The second half of the last hash.
    spare: Option<Key>,
}

impl Keys {
    /// A new source, independent of all others.
    pub fn new() -> Self {
        Self { state: RandomState::new(), count: 0, spare: None }
    }

    /// The key for the next frame.
    pub fn next_key(&mut self) -> Key {
        if let Some(key) = self.spare.take() {
            return key;
        }
        let [a, b, c, d, spare @ ..] = self.next_hash();
        self.spare = Some(spare);
        [a, b, c, d]
    }

    /// 16 bytes for `Sec-WebSocket-Key`.
    pub fn next_nonce(&mut self) -> [u8; 16] {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.next_hash());
        nonce[8..].copy_from_slice(&self.next_hash());
        nonce
    }

    fn next_hash(&mut self) -> [u8; 8] {
        self.count = self.count.wrapping_add(1);
        self.state.hash_one(self.count).to_ne_bytes()
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masking_is_xor_with_the_key_over_and_over_and_undoes_itself() {
        let key = [1, 2, 4, 0x80];
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for len in (0..100).chain([255, 256, 1000]) {
            let expected: Vec<u8> = bytes[..len].iter().enumerate().map(|(i, b)| b ^ key[i % 4]).collect();
            let mut masked = b"before".to_vec();
            extend(&mut masked, &bytes[..len], key);
            assert_eq!(masked, [b"before", expected.as_slice()].concat(), "{len}");
            apply(&mut masked[6..], key);
            assert_eq!(&masked[6..], &bytes[..len], "{len}");
        }
    }

    #[test]
    fn a_body_in_pieces_goes_on_with_the_key_skipped() {
        let key = [9, 8, 7, 6];
        let mut whole = vec![0; 37];
        apply(&mut whole, key);
        for cut in 0..whole.len() {
            let mut pieces = vec![0; 37];
            let (front, back) = pieces.split_at_mut(cut);
            apply(front, key);
            apply(back, skip(key, cut));
            assert_eq!(pieces, whole, "{cut}");
        }
    }

    #[test]
    fn keys_differ_from_frame_to_frame_and_from_source_to_source() {
        let (mut one, mut other) = (Keys::new(), Keys::new());
        let keys: std::collections::HashSet<_> = (0..64).map(|_| one.next_key()).collect();
        assert!(keys.len() > 60);
        assert_ne!(one.next_nonce(), one.next_nonce());
        assert_ne!(one.next_nonce(), other.next_nonce());
    }
}
