//! The consuming side of a queue whose consumer is a socket.

use std::collections::VecDeque;

use crate::buf::Buf;
use crate::entry::{Entry, header_at};
use crate::message::Message;
use crate::queue::{Queue, Taken};

/// Walks the entries taken from a queue, frame by frame, and returns credit in batches.
#[derive(Default)]
pub struct Cursor {
    batch: VecDeque<Entry>,
    /// Bytes of the front entry already read.
    at: usize,
    /// Buffers that have been read to their end, to be handed back.
    spent: Vec<Buf>,
    /// Messages read since the last credit.
    read: usize,
    /// Whether every body is copied out of the buffer it was received in.
    copies: bool,
}

/// The next frame: whether another part follows, and where its body lies in the front entry.
#[derive(Clone, Copy)]
struct Front {
    more: bool,
    start: usize,
    len: usize,
}

impl Cursor {
    /// A cursor with nothing taken.
    pub fn new() -> Self {
        Cursor::default()
    }

    /// Whether every body is copied out of the buffer it was received in, instead of large ones sharing it.
    pub fn set_copies(&mut self, copies: bool) {
        self.copies = copies;
    }

    /// Whether a frame is at hand without touching the queue.
    #[inline]
    pub fn has_frame(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Takes what has gathered in `queue` if nothing is at hand.
    pub fn refill(&mut self, queue: &Queue) -> Taken {
        if self.has_frame() {
            return Taken::default();
        }
        let credit = std::mem::take(&mut self.read);
        queue.take(&mut self.batch, &mut self.spent, credit)
    }

    /// The messages read since credit was last returned; the caller returns it now.
    #[inline]
    pub fn take_credit(&mut self) -> usize {
        std::mem::take(&mut self.read)
    }

    /// Messages read since credit was last returned.
    #[inline]
    pub fn uncredited(&self) -> usize {
        self.read
    }

    // Inlined without fail, here and below: a `Front` passed through memory is stored in small pieces and loaded in
    // large ones, which stalls the load for longer than all the rest takes.
    #[inline(always)]
    fn front(&self) -> Option<Front> {
        match self.batch.front()? {
            Entry::Chunk { chunk, .. } => {
                let (more, header, len) = header_at(&chunk.as_slice()[self.at..]);
                Some(Front { more, start: self.at + header, len })
            }
            Entry::Body { header, body, .. } => {
                let (more, _, _) = header_at(header);
                Some(Front { more, start: 0, len: body.len() })
            }
        }
    }

    /// The next frame's body and whether another part follows.
    #[inline]
    pub fn peek(&self) -> Option<(&[u8], bool)> {
        let front = self.front()?;
        let bytes = match self.batch.front()? {
            Entry::Chunk { chunk, .. } => &chunk.as_slice()[front.start..front.start + front.len],
            Entry::Body { body, .. } => body.as_slice(),
        };
        Some((bytes, front.more))
    }

    /// Takes the next frame as a message.
    pub fn next_message(&mut self) -> Option<Message> {
        let mut message = Message::new();
        self.next_into(&mut message).then_some(message)
    }

    /// Takes the next frame into `message`, whose properties are left alone. Returns whether there was one.
    #[inline(always)]
    pub fn next_into(&mut self, message: &mut Message) -> bool {
        let Some(front) = self.front() else { return false };
        match self.batch.front_mut() {
            Some(Entry::Chunk { chunk, .. }) => {
                let (buf, base, _) = chunk.parts();
                let (start, end) = (base + front.start, base + front.start + front.len);
                if self.copies {
                    message.assign_copy(&buf.as_slice()[start..end]);
                } else {
                    message.assign_part(buf, start, end);
                }
            }
            Some(Entry::Body { body, .. }) => *message = std::mem::take(body),
            None => return false,
        }
        message.set_more(front.more);
        self.advance(front);
        true
    }

    /// Drops the next frame.
    #[inline]
    pub fn skip(&mut self) {
        if let Some(front) = self.front() {
            self.advance(front);
        }
    }

    #[inline(always)]
    fn advance(&mut self, front: Front) {
        self.read += usize::from(!front.more);
        let end = match self.batch.front() {
            Some(Entry::Chunk { chunk, .. }) => {
                self.at = front.start + front.len;
                self.at == chunk.as_slice().len()
            }
            _ => true,
        };
        if end {
            self.at = 0;
            if let Some(Entry::Chunk { chunk, .. }) = self.batch.pop_front() {
                self.spent.push(chunk.into_buf());
            }
        }
    }
}
