//! The read half of a connection, for the fuzz targets.

use std::collections::VecDeque;

use zlink_zmtp::SocketType;

use super::framing::Framing;
use super::reader::ReadHalf;

/// What a stream of bytes was decoded to.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The parts of complete messages, each with whether another part follows.
    pub parts: Vec<(Vec<u8>, bool)>,
    /// Commands to act on, as text.
    pub notices: Vec<String>,
    /// Why decoding ended before the bytes did.
    pub error: Option<String>,
}

/// Decodes `pieces`, one after the other, as the bytes of a PUB socket's peer.
pub fn decode<'a>(
    old_framing: bool,
    max_message: Option<u64>,
    min_buffer: usize,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Decoded {
    let framing = if old_framing { Framing::V1 } else { Framing::V2 };
    let mut half = ReadHalf::new(framing, max_message, SocketType::Pub, min_buffer);
    let (mut ready, mut notices, mut parts, mut error) = (VecDeque::new(), Vec::new(), Vec::new(), None);
    for piece in pieces {
        let fed = half.feed(piece, &mut ready, &mut notices);
        for entry in ready.drain(..) {
            parts.extend(entry.frames().map(|(more, body)| (body.to_vec(), more)));
        }
        if let Err(failed) = fed {
            error = Some(format!("{failed:?}"));
            break;
        }
    }
    let notices = notices.iter().map(|notice| format!("{notice:?}")).collect();
    Decoded { parts, notices, error }
}
