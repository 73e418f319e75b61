//! What a queue holds: chunks of framed bytes, and large or lent bodies by reference.

use crate::buf::{Buf, BufMut};
use crate::message::Message;
use crate::shared::SharedFrame;
use crate::staging::Body;

/// `MORE` flag of a ZMTP/2 frame (23/ZMTP, "Framing").
pub(crate) const MORE: u8 = 1;
/// `LONG` flag: the length takes eight bytes.
pub(crate) const LONG: u8 = 2;
/// Bytes of the longest frame header.
pub(crate) const MAX_HEADER: usize = 9;

/// The longest body whose length takes one byte.
pub(crate) const SHORT: usize = 255;

/// The length of the header before a body of `len` bytes.
#[inline]
pub(crate) fn header_len(len: usize) -> usize {
    if len <= SHORT { 2 } else { MAX_HEADER }
}

/// Writes a message frame's header and returns its length.
#[inline]
pub(crate) fn encode_header(more: bool, len: usize, out: &mut [u8; MAX_HEADER]) -> usize {
    let more = if more { MORE } else { 0 };
    if len <= SHORT {
        out[0] = more;
        out[1] = len as u8;
        return 2;
    }
    out[0] = more | LONG;
    out[1..].copy_from_slice(&(len as u64).to_be_bytes());
    MAX_HEADER
}

/// Reads a frame header that is known to be complete and valid: more, header length, body length.
#[inline]
pub(crate) fn header_at(bytes: &[u8]) -> (bool, usize, usize) {
    let flags = bytes[0];
    if flags & LONG == 0 {
        return (flags & MORE != 0, 2, usize::from(bytes[1]));
    }
    let mut len = [0; 8];
    len.copy_from_slice(&bytes[1..MAX_HEADER]);
    (flags & MORE != 0, MAX_HEADER, u64::from_be_bytes(len) as usize)
}

/// Where an entry stands in its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Position {
    /// Holds whole messages only.
    Whole,
    /// Holds the first part or parts of one message that goes on in the next entry.
    First,
    /// Holds parts between the first and the last entry of one message.
    Middle,
    /// Holds the last part or parts of one message.
    Last,
}

impl Position {
    /// The position of a piece that starts and ends its message as told.
    pub(crate) fn of(first: bool, last: bool) -> Self {
        match (first, last) {
            (true, true) => Position::Whole,
            (true, false) => Position::First,
            (false, false) => Position::Middle,
            (false, true) => Position::Last,
        }
    }

    /// Whether a message ends with this entry.
    pub fn ends_message(self) -> bool {
        matches!(self, Position::Whole | Position::Last)
    }
}

/// Whole, validated ZMTP/2 message frames in a shared buffer.
#[derive(Clone)]
pub struct Chunk {
    buf: Buf,
    start: usize,
    end: usize,
    messages: usize,
    /// Other queues hold frames of the buffer too, and it may still be filled.
    shared: bool,
}

impl Chunk {
    /// The frames at `start..end` of `buf`, in which `messages` messages end.
    ///
    /// The range must hold whole, valid message frames, the last of them without `MORE` if the entry ends
    /// a message: readers walk the headers without checking them again.
    pub fn new(buf: Buf, start: usize, end: usize, messages: usize) -> Self {
        debug_assert!(start <= end && end <= buf.as_slice().len());
        Chunk { buf, start, end, messages, shared: false }
    }

    /// The message in `frame`.
    pub(crate) fn shared(frame: &SharedFrame<'_>) -> Self {
        let &SharedFrame { chunk, start, end, .. } = frame;
        Chunk { buf: chunk.clone(), start, end, messages: 1, shared: true }
    }

    /// Adds the message in `frame` if it follows in the same memory. Returns whether it does.
    #[inline]
    pub(crate) fn extend(&mut self, frame: &SharedFrame<'_>) -> bool {
        let follows = self.end == frame.start && self.buf.is(frame.chunk);
        if follows {
            self.end = frame.end;
            self.messages += 1;
        }
        follows
    }

    /// The framed bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        self.buf.range(self.start, self.end)
    }

    /// Bytes of frames.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// See [`Buf::prefetch`].
    #[inline(always)]
    pub(crate) fn prefetch(&self, at: usize, len: usize) {
        self.buf.prefetch(self.start + at, len);
    }

    /// The buffer and the bounds of the frames in it.
    pub(crate) fn parts(&self) -> (&Buf, usize, usize) {
        (&self.buf, self.start, self.end)
    }

    pub(crate) fn with_messages(self, messages: usize) -> Self {
        Chunk { messages, ..self }
    }

    /// The buffer, to be reused, unless it is shared.
    pub(crate) fn into_buf(self) -> Option<Buf> {
        (!self.shared).then_some(self.buf)
    }

    /// Messages that end in this chunk.
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// Cuts off the messages that lie wholly before byte `written`, and returns how many there were. The
    /// chunk must hold whole messages.
    fn trim(&mut self, written: usize) -> usize {
        let bytes = self.as_slice();
        let (mut at, mut boundary, mut gone) = (0, 0, 0);
        while at < bytes.len() {
            let (more, header, body) = header_at(&bytes[at..]);
            at += header + body;
            if at > written {
                break;
            }
            if !more {
                boundary = at;
                gone += 1;
            }
        }
        self.start += boundary;
        self.messages -= gone;
        gone
    }

    /// Keeps only the last message. The chunk must hold whole messages, at least one.
    pub(crate) fn keep_last(&mut self) {
        let bytes = self.as_slice();
        let (mut at, mut boundary, mut begins) = (0, 0, true);
        while at < bytes.len() {
            if begins {
                boundary = at;
            }
            let (more, header, body) = header_at(&bytes[at..]);
            at += header + body;
            begins = !more;
        }
        self.start += boundary;
        self.messages = 1;
    }
}

/// One element of a queue.
pub enum Entry {
    /// Small parts, framed and gathered.
    Chunk {
        /// The frames.
        chunk: Chunk,
        /// Where they stand in their message.
        position: Position,
    },
    /// One large or lent part by reference, with its frame header beside it.
    Body {
        /// The frame header; the first `header_len` bytes count.
        header: [u8; MAX_HEADER],
        /// Bytes of `header` in use.
        header_len: u8,
        /// The body.
        body: Message,
        /// Where the part stands in its message.
        position: Position,
    },
}

impl Entry {
    /// An entry for one part by reference.
    pub fn body(body: Message, more: bool, position: Position) -> Self {
        let mut header = [0; MAX_HEADER];
        let header_len = encode_header(more, body.len(), &mut header) as u8;
        Entry::Body { header, header_len, body, position }
    }

    /// An entry for a message of one part, framed in a chunk if small, by reference if large or lent; or for one that is
    /// framed.
    pub fn message(body: &mut Body<'_>) -> Self {
        if body.goes_by_reference() {
            return Entry::body(body.take(), false, Position::Whole);
        }
        if let Body::Shared(frame) = body {
            return Entry::whole(Chunk::shared(frame));
        }
        let len = body.as_slice().len();
        let mut header = [0; MAX_HEADER];
        let header_len = encode_header(false, len, &mut header);
        let mut buf = BufMut::with_capacity(header_len + len);
        buf.extend_from_slice(&header[..header_len]);
        buf.extend_from_slice(body.as_slice());
        Entry::whole(Chunk::new(buf.freeze(), 0, header_len + len, 1))
    }

    /// An entry of whole messages.
    pub fn whole(chunk: Chunk) -> Self {
        Entry::Chunk { chunk, position: Position::Whole }
    }

    /// The message frames in it, in order: whether another part follows, and the body.
    pub fn frames(&self) -> Frames<'_> {
        match self {
            Entry::Chunk { chunk, .. } => Frames { chunk: chunk.as_slice(), body: None },
            Entry::Body { header, body, .. } => {
                Frames { chunk: &[], body: Some((header_at(header).0, body.as_slice())) }
            }
        }
    }

    /// Bytes on the wire.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Entry::Chunk { chunk, .. } => chunk.end - chunk.start,
            Entry::Body { header_len, body, .. } => usize::from(*header_len) + body.len(),
        }
    }

    /// Whether there are no bytes in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The buffer of a chunk, to be reused, unless it is shared.
    pub fn into_buf(self) -> Option<Buf> {
        match self {
            Entry::Chunk { chunk, .. } => chunk.into_buf(),
            Entry::Body { .. } => None,
        }
    }

    /// Where the entry stands in its message.
    pub fn position(&self) -> Position {
        match self {
            Entry::Chunk { position, .. } | Entry::Body { position, .. } => *position,
        }
    }

    pub(crate) fn set_position(&mut self, to: Position) {
        match self {
            Entry::Chunk { position, .. } | Entry::Body { position, .. } => *position = to,
        }
    }

    /// Messages that end in this entry.
    #[inline]
    pub fn messages(&self) -> usize {
        match self {
            Entry::Chunk { chunk, .. } => chunk.messages,
            Entry::Body { position, .. } => usize::from(position.ends_message()),
        }
    }

    /// The bytes from `offset` on, as up to two slices (the second may be empty).
    #[inline]
    pub fn slices_from(&self, offset: usize) -> [&[u8]; 2] {
        match self {
            Entry::Chunk { chunk, .. } => [&chunk.as_slice()[offset..], &[]],
            Entry::Body { header, header_len, body, .. } => {
                let header = &header[..usize::from(*header_len)];
                match offset.checked_sub(header.len()) {
                    Some(into_body) => [&body.as_slice()[into_body..], &[]],
                    None => [&header[offset..], body.as_slice()],
                }
            }
        }
    }

    /// After `written` bytes of it went out on a connection that is gone: leaves what must go out again on
    /// the next one, from a message boundary, and returns how many messages needed no repeat. Entries that
    /// are pieces of a message stay whole.
    pub fn rewind(&mut self, written: usize) -> usize {
        match self {
            Entry::Chunk { chunk, position: Position::Whole } => chunk.trim(written),
            _ => 0,
        }
    }
}

/// Walks the frames of an [`Entry`].
pub struct Frames<'a> {
    chunk: &'a [u8],
    body: Option<(bool, &'a [u8])>,
}

impl<'a> Iterator for Frames<'a> {
    type Item = (bool, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.chunk.is_empty() {
            return self.body.take();
        }
        let (more, header, len) = header_at(self.chunk);
        let (frame, rest) = self.chunk.split_at(header + len);
        self.chunk = rest;
        Some((more, &frame[header..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(parts: &[(&[u8], bool)]) -> Chunk {
        let mut buf = BufMut::with_capacity(16);
        let mut messages = 0;
        for (body, more) in parts {
            let mut header = [0; MAX_HEADER];
            let n = encode_header(*more, body.len(), &mut header);
            buf.extend_from_slice(&header[..n]);
            buf.extend_from_slice(body);
            messages += usize::from(!more);
        }
        let len = buf.len();
        Chunk::new(buf.freeze(), 0, len, messages)
    }

    #[test]
    fn rewinding_at_every_byte_leaves_a_message_boundary() {
        let parts: [(&[u8], bool); 4] =
            [(b"one", false), (b"two", true), (b"parts", false), (&[7; 300], false)];
        let whole = chunk(&parts);
        // Ends of the three messages: "one", "two"+"parts", 300 bytes in a long frame.
        let ends = [5, 5 + 5 + 7, 5 + 5 + 7 + 309];
        for written in 0..=whole.as_slice().len() {
            let mut entry = Entry::whole(whole.clone());
            let gone = ends.iter().filter(|end| **end <= written).count();
            assert_eq!(entry.rewind(written), gone, "at byte {written}");
            let boundary = if gone == 0 { 0 } else { ends[gone - 1] };
            assert_eq!(entry.slices_from(0)[0], &whole.as_slice()[boundary..]);
            assert_eq!(entry.messages(), 3 - gone);
        }
    }

    #[test]
    fn keeping_the_last_message_keeps_all_its_parts() {
        let mut kept = chunk(&[(b"old", false), (b"a", true), (b"b", false)]);
        kept.keep_last();
        assert_eq!((kept.as_slice(), kept.messages()), (&[1, 1, b'a', 0, 1, b'b'][..], 1));
    }

    #[test]
    fn a_body_is_sliced_at_every_offset() {
        let entry = Entry::body(Message::from(vec![5; 300]), true, Position::First);
        let whole = entry.slices_from(0).concat();
        assert_eq!((whole.len(), whole[0]), (309, MORE | LONG));
        for offset in 0..=entry.len() {
            assert_eq!(entry.slices_from(offset).concat(), whole[offset..]);
        }
    }
}
