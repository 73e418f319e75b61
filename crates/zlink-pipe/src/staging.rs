//! The parts of a multipart message that is not complete yet: seen by nobody but the producer.

use crate::buf::BufMut;
use crate::entry::{Chunk, Entry, MAX_HEADER, Position, encode_header};
use crate::message::Message;
use crate::shared::SharedFrame;
use crate::{BY_REFERENCE, CHUNK_SIZE};

/// A part to be sent: the caller's bytes, or a message that may be taken.
pub enum Body<'a> {
    /// Bytes that stay the caller's.
    Slice(&'a [u8]),
    /// A message; taken (left empty) if it travels by reference.
    Message(&'a mut Message),
    /// A message that goes to several queues, of one part or more, framed. Only whole messages are sent so.
    Shared(&'a SharedFrame<'a>),
}

impl Body<'_> {
    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Body::Slice(bytes) => bytes,
            Body::Message(message) => message.as_slice(),
            Body::Shared(frame) => frame.body(),
        }
    }

    /// The bytes, if they are the caller's or the message's own: the size alone tells whether they are copied into a chunk.
    #[inline(always)]
    pub(crate) fn as_own(&self) -> Option<&[u8]> {
        match self {
            Body::Slice(bytes) => Some(bytes),
            Body::Message(message) if !message.is_lent() => Some(message.as_slice()),
            Body::Message(_) | Body::Shared(_) => None,
        }
    }

    /// Whether it is a message over [lent](Message::is_lent) memory.
    #[inline]
    pub fn is_lent(&self) -> bool {
        matches!(self, Body::Message(message) if message.is_lent())
    }

    /// Whether it is queued as it is: what is large, and what is lent, whose owner learns when it is done with.
    #[inline]
    pub fn goes_by_reference(&self) -> bool {
        self.as_slice().len() >= BY_REFERENCE || self.is_lent()
    }

    /// Whether to queue it takes no copy: it is a message that [goes by reference](Self::goes_by_reference).
    pub fn moves(&self) -> bool {
        matches!(self, Body::Message(_)) && self.goes_by_reference()
    }

    /// The body as a message of its own.
    pub fn take(&mut self) -> Message {
        match self {
            Body::Message(message) => std::mem::take(*message),
            Body::Slice(_) | Body::Shared(_) => Message::copy_from(self.as_slice()),
        }
    }
}

/// Parts gathered for one multipart message, in wire format.
#[derive(Default)]
pub struct Staging {
    pub(crate) entries: Vec<Entry>,
    pub(crate) open: Option<BufMut>,
    parts: usize,
}

impl Staging {
    /// Nothing gathered.
    pub fn new() -> Self {
        Staging::default()
    }

    /// Parts gathered so far.
    #[inline]
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// Whether nothing gathered so far is queued by reference.
    #[inline]
    pub fn is_small(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a part. The message is complete with the first part added without `more`.
    pub fn add(&mut self, body: &mut Body<'_>, more: bool) {
        self.parts += 1;
        if body.goes_by_reference() {
            self.seal();
            self.entries.push(Entry::body(body.take(), more, Position::Middle));
            return;
        }
        let bytes = body.as_slice();
        let mut header = [0; MAX_HEADER];
        let header_len = encode_header(more, bytes.len(), &mut header);
        let need = header_len + bytes.len();
        if self.open.as_ref().is_some_and(|open| open.len() + need > CHUNK_SIZE) {
            self.seal();
        }
        let open = self.open.get_or_insert_with(|| BufMut::with_capacity(need.max(512)));
        open.extend_from_slice(&header[..header_len]);
        open.extend_from_slice(bytes);
    }

    /// Forgets the parts gathered so far.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.parts = 0;
        if let Some(open) = &mut self.open {
            open.truncate(0);
        }
    }

    /// Turns the open chunk into an entry.
    fn seal(&mut self) {
        if self.open.as_ref().is_none_or(BufMut::is_empty) {
            return;
        }
        if let Some(open) = self.open.take() {
            let end = open.len();
            let chunk = Chunk::new(open.freeze(), 0, end, 0);
            self.entries.push(Entry::Chunk { chunk, position: Position::Middle });
        }
    }

    /// The complete message's framed bytes, if it is small enough for one copy.
    pub fn as_small(&self) -> Option<&[u8]> {
        if self.is_small() { self.open.as_ref().map(BufMut::as_slice) } else { None }
    }

    /// Gives up the complete message as entries in order, positions set.
    pub fn take_entries(&mut self) -> impl Iterator<Item = Entry> {
        self.seal();
        self.parts = 0;
        let entries = std::mem::take(&mut self.entries);
        let count = entries.len();
        entries.into_iter().enumerate().map(move |(i, mut entry)| {
            let position = Position::of(i == 0, i + 1 == count);
            entry.set_position(position);
            if let (Entry::Chunk { chunk, .. }, true) = (&mut entry, position.ends_message()) {
                *chunk = chunk.clone().with_messages(1);
            }
            entry
        })
    }
}
