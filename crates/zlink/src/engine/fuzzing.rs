//! The two halves of a connection, for the fuzz targets.

use std::collections::VecDeque;

use zlink_pipe::{BufMut, Chunk, Entry};
use zlink_zmtp::SocketType;
use zlink_zmtp::cipher::Opener;
use zlink_zmtp::zws::mask::Keys;

use super::encoder::Encoder;
use super::framing::{Framing, Outgoing};
use super::reader::ReadHalf;

/// How the frames of a stream are delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// ZMTP 2.0 and later.
    V2,
    /// ZMTP 1.0.
    V1,
    /// WebSocket, from a client, which masks, or from a server.
    WebSocket {
        /// From a client.
        masked: bool,
    },
}

impl Form {
    /// All of them.
    pub const ALL: [Form; 4] =
        [Form::V2, Form::V1, Form::WebSocket { masked: true }, Form::WebSocket { masked: false }];

    fn written(self) -> Framing {
        match self {
            Form::V2 => Framing::V2,
            Form::V1 => Framing::V1,
            Form::WebSocket { masked } => Framing::WebSocket { client: masked },
        }
    }

    fn read(self) -> Framing {
        match self {
            Form::WebSocket { masked } => Framing::WebSocket { client: !masked },
            other => other.written(),
        }
    }
}

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
    form: Form,
    max_message: Option<u64>,
    min_buffer: usize,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Decoded {
    decode_with(ReadHalf::new(form.read(), max_message, SocketType::Pub, min_buffer), pieces)
}

/// As [`decode`], where every frame is sealed.
pub fn decode_sealed<'a>(
    opener: Opener,
    min_buffer: usize,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Decoded {
    let half = ReadHalf::new(Framing::V2, None, SocketType::Pub, min_buffer);
    decode_with(half.with_opener(Some(opener)), pieces)
}

fn decode_with<'a>(mut half: ReadHalf, pieces: impl Iterator<Item = &'a [u8]>) -> Decoded {
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

/// Encodes messages, `per_entry` in each entry of the queue, for a connection that breaks after `cut` bytes, and what
/// must then go out again, for the next connection. Returns what went out on both.
pub fn encode_over_a_break(
    form: Form,
    messages: &[Vec<&[u8]>],
    per_entry: usize,
    mut cut: usize,
) -> [Vec<u8>; 2] {
    let framing = form.written();
    let mut entries: VecDeque<Entry> = messages.chunks(per_entry.max(1)).map(entry).collect();
    let mut first = Encoder::for_framing(framing);
    let mut sent = [Vec::new(), Vec::new()];
    while cut > 0 && !entries.is_empty() {
        first.refill(&mut Vec::new(), &entries).expect("nothing is sealed");
        while cut > 0 && !first.unwritten().is_empty() {
            // In pieces, as the kernel may take it.
            let n = first.unwritten().len().min(cut).min(1 + cut / 2);
            sent[0].extend_from_slice(&first.unwritten()[..n]);
            cut -= n;
            let finished = first.advance(n);
            entries.drain(..finished);
        }
    }
    if let Some(front) = entries.front_mut() {
        front.rewind(first.source_written());
    }
    let mut second = Encoder::for_framing(framing);
    while !entries.is_empty() {
        second.refill(&mut Vec::new(), &entries).expect("nothing is sealed");
        let n = second.unwritten().len();
        sent[1].extend_from_slice(second.unwritten());
        let finished = second.advance(n);
        entries.drain(..finished);
    }
    sent
}

/// An entry of whole messages.
fn entry(messages: &[Vec<&[u8]>]) -> Entry {
    let mut framed = Vec::new();
    for parts in messages {
        for (i, body) in parts.iter().enumerate() {
            let frame = Outgoing { more: i + 1 < parts.len(), command: false, body };
            Framing::V2.write(frame, &mut Keys::new(), &mut framed);
        }
    }
    let mut buf = BufMut::with_capacity(framed.len());
    buf.extend_from_slice(&framed);
    Entry::whole(Chunk::new(buf.freeze(), 0, framed.len(), messages.len()))
}
