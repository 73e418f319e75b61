//! Connection metadata: the list of named properties in READY and in the mechanisms' last commands.
//!
//! Each property is a one-byte length, the name, a four-byte length in network order, the value.
//!
//! Source: 37/ZMTP, "The NULL Security Mechanism" (grammar) and "Connection Metadata".

use std::fmt;

/// Property that names the sender's socket type.
pub const SOCKET_TYPE: &str = "Socket-Type";
/// Property that carries the sender's routing id.
pub const IDENTITY: &str = "Identity";

/// The longest name in bytes.
pub const MAX_NAME_LEN: usize = 255;
/// The longest value in bytes, 2^31−1.
pub const MAX_VALUE_LEN: usize = i32::MAX as usize;

/// Walks the properties of `metadata` without copying. Ends after the first error.
pub fn properties(metadata: &[u8]) -> Properties<'_> {
    Properties { rest: metadata }
}

/// Decodes all properties, in the order received, with their names as spelled by the peer.
///
/// Names compare without regard to case. Nothing checks for duplicates: that is up to whoever knows
/// what a property means.
///
/// # Errors
///
/// [`MetadataError::Truncated`], [`MetadataError::InvalidName`] or [`MetadataError::ValueTooLong`].
pub fn parse(metadata: &[u8]) -> Result<Vec<(String, Vec<u8>)>, MetadataError> {
    properties(metadata).map(|p| p.map(|(name, value)| (name.to_owned(), value.to_vec()))).collect()
}

/// Appends one property to `out`.
///
/// # Errors
///
/// [`MetadataError::InvalidName`] or [`MetadataError::ValueTooLong`]; `out` is then unchanged.
pub fn encode_property(out: &mut Vec<u8>, name: &str, value: &[u8]) -> Result<(), MetadataError> {
    check_name(name.as_bytes())?;
    if value.len() > MAX_VALUE_LEN {
        return Err(MetadataError::ValueTooLong { len: value.len() as u64 });
    }
    out.push(name.len() as u8);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&(value.len() as u32).to_be_bytes());
    out.extend_from_slice(value);
    Ok(())
}

/// Borrowing iterator over the properties of a metadata block. Made by [`properties`].
#[derive(Debug, Clone)]
pub struct Properties<'a> {
    rest: &'a [u8],
}

impl<'a> Properties<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], MetadataError> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(MetadataError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn property(&mut self) -> Result<(&'a str, &'a [u8]), MetadataError> {
        let name_len = self.take(1)?[0];
        let name = check_name(self.take(usize::from(name_len))?)?;
        let len = self.take(4)?.iter().fold(0u32, |n, b| n << 8 | u32::from(*b));
        // Not `len as usize > MAX_VALUE_LEN`: that would narrow before the check on a 16-bit target.
        let len = match usize::try_from(len) {
            Ok(n) if n <= MAX_VALUE_LEN => n,
            _ => return Err(MetadataError::ValueTooLong { len: u64::from(len) }),
        };
        Ok((name, self.take(len)?))
    }
}

impl<'a> Iterator for Properties<'a> {
    type Item = Result<(&'a str, &'a [u8]), MetadataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let property = self.property();
        if property.is_err() {
            self.rest = &[];
        }
        Some(property)
    }
}

impl std::iter::FusedIterator for Properties<'_> {}

fn check_name(name: &[u8]) -> Result<&str, MetadataError> {
    let legal = |c: &u8| c.is_ascii_alphanumeric() || b"-_.+".contains(c);
    match std::str::from_utf8(name) {
        Ok(s) if (1..=MAX_NAME_LEN).contains(&s.len()) && name.iter().all(legal) => Ok(s),
        _ => Err(MetadataError::InvalidName { name: name.into() }),
    }
}

/// What is wrong with a metadata block.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataError {
    /// A length reaches beyond the end of the block.
    Truncated,
    /// The name is empty, longer than [`MAX_NAME_LEN`], or has a character other than a letter, a
    /// digit, `-`, `_`, `.` and `+`.
    InvalidName {
        /// The name.
        name: Box<[u8]>,
    },
    /// The value is longer than [`MAX_VALUE_LEN`].
    ValueTooLong {
        /// The length in bytes.
        len: u64,
    },
    /// A property that the handshake needs (`Socket-Type`, `Identity`) is there twice.
    Duplicate {
        /// The property, in its canonical spelling.
        name: &'static str,
    },
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("metadata is cut short"),
            Self::InvalidName { name } => {
                write!(f, "invalid metadata property name \"{}\"", name.escape_ascii())
            }
            Self::ValueTooLong { len } => {
                write!(f, "metadata value of {len} bytes exceeds the limit of {MAX_VALUE_LEN}")
            }
            Self::Duplicate { name } => write!(f, "metadata property {name} is given twice"),
        }
    }
}

impl std::error::Error for MetadataError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(properties: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in properties {
            encode_property(&mut out, name, value).unwrap();
        }
        out
    }

    #[test]
    fn property_is_laid_out_as_in_the_worked_example_of_rfc_37() {
        let bytes = encoded(&[(SOCKET_TYPE, b"DEALER"), (IDENTITY, b"")]);
        assert_eq!(bytes, b"\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0");
        let parsed = parse(&bytes).unwrap();
        assert_eq!(parsed, [(SOCKET_TYPE.into(), b"DEALER".to_vec()), (IDENTITY.into(), vec![])]);
    }

    #[test]
    fn empty_metadata_has_no_properties() {
        assert_eq!(parse(b""), Ok(vec![]));
    }

    #[test]
    fn cut_anywhere_inside_a_property_it_is_truncated() {
        let first = encoded(&[("X-a", b"12345")]);
        let bytes = encoded(&[("X-a", b"12345"), ("b", b"xyz")]);
        for cut in 1..bytes.len() {
            let expected = if cut == first.len() { Ok(1) } else { Err(MetadataError::Truncated) };
            assert_eq!(parse(&bytes[..cut]).map(|p| p.len()), expected, "cut at {cut}");
        }
    }

    #[test]
    fn iterator_ends_after_an_error() {
        let mut walk = properties(b"\x01a\0\0\0\0\x00rest");
        assert_eq!(walk.next(), Some(Ok(("a", &b""[..]))));
        assert_eq!(walk.next(), Some(Err(MetadataError::InvalidName { name: [].into() })));
        assert_eq!(walk.next(), None);
    }

    #[test]
    fn every_name_character_is_accepted_or_refused_by_the_grammar() {
        for c in 0..=u8::MAX {
            let legal = matches!(c, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'+');
            let result = parse(&[2, b'x', c, 0, 0, 0, 0]);
            assert_eq!(result.is_ok(), legal, "{c:#x}");
        }
    }

    #[test]
    fn names_have_1_to_255_bytes_in_both_directions() {
        let mut out = Vec::new();
        let invalid = |name: &str| Err(MetadataError::InvalidName { name: name.as_bytes().into() });
        for name in ["", "a b", "é", &"n".repeat(256)] {
            assert_eq!(encode_property(&mut out, name, b"v"), invalid(name));
            assert!(out.is_empty());
        }
        let longest = "n".repeat(255);
        encode_property(&mut out, &longest, b"v").unwrap();
        assert_eq!(parse(&out), Ok(vec![(longest, b"v".to_vec())]));
    }

    #[test]
    fn value_lengths_beyond_the_block_or_the_limit_are_refused() {
        for (len, expected) in [
            (1u32, MetadataError::Truncated),
            (0x7fff_ffff, MetadataError::Truncated),
            (0x8000_0000, MetadataError::ValueTooLong { len: 0x8000_0000 }),
            (u32::MAX, MetadataError::ValueTooLong { len: u64::from(u32::MAX) }),
        ] {
            let bytes = [&[1, b'a'], &len.to_be_bytes()[..]].concat();
            assert_eq!(parse(&bytes), Err(expected));
        }
    }
}
