//! Messages of RADIO and DISH sockets over UDP: one datagram each.
//!
//! ```text
//! datagram = group-length group body
//! group-length = OCTET      ; bytes of the group, 0 to 255
//! ```
//!
//! There is no greeting and no handshake: a datagram is all there is of its sender.
//!
//! Source: 48/RADIO-DISH names the socket types; the form is libzmq's, which reads the length as signed and so
//! does not understand groups of more than 127 bytes.

use std::fmt;

/// The first byte of a datagram to `group`; group and body follow it. `None` if the group is too long.
pub fn group_length(group: &[u8]) -> Option<u8> {
    u8::try_from(group.len()).ok()
}

/// Splits a datagram into group and body.
///
/// # Errors
///
/// [`DatagramError`] if it is empty or shorter than its first byte says.
pub fn split(datagram: &[u8]) -> Result<(&[u8], &[u8]), DatagramError> {
    let (&length, rest) = datagram.split_first().ok_or(DatagramError::Empty)?;
    let group = usize::from(length);
    rest.split_at_checked(group).ok_or(DatagramError::Cut { group, rest: rest.len() })
}

/// What is wrong with a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatagramError {
    /// There are no bytes in it.
    Empty,
    /// The group does not fit in.
    Cut {
        /// Bytes announced.
        group: usize,
        /// Bytes behind the announcement.
        rest: usize,
    },
}

impl fmt::Display for DatagramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatagramError::Empty => f.write_str("an empty datagram"),
            DatagramError::Cut { group, rest } => {
                write!(f, "a datagram with a group of {group} bytes and only {rest} bytes for it")
            }
        }
    }
}

impl std::error::Error for DatagramError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_of_every_length_is_split_or_refused() {
        for group in 0..=255usize {
            for total in 0..=300usize {
                let mut datagram = vec![b'b'; total];
                if let Some(first) = datagram.first_mut() {
                    *first = group as u8;
                }
                let expected = match total {
                    0 => Err(DatagramError::Empty),
                    _ if group < total => Ok((group, total - 1 - group)),
                    _ => Err(DatagramError::Cut { group, rest: total - 1 }),
                };
                assert_eq!(split(&datagram).map(|(group, body)| (group.len(), body.len())), expected);
            }
        }
    }

    #[test]
    fn what_is_put_together_comes_apart_again() {
        let longest = [b'g'; 255];
        for group in [&b""[..], b"TV", &longest] {
            for body in [&b""[..], b"Friends"] {
                let datagram = [&[group_length(group).unwrap()], group, body].concat();
                assert_eq!(split(&datagram), Ok((group, body)));
            }
        }
        assert_eq!(group_length(&[0; 256]), None);
    }
}
