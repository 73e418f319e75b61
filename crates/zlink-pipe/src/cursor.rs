//! The consuming side of a queue whose consumer is a socket.

use std::collections::VecDeque;

use crate::buf::Buf;
use crate::entry::{Chunk, Entry, header_at};
use crate::message::{Message, SHARE_FROM};
use crate::queue::{Queue, Taken};

/// Walks the entries taken from a queue, frame by frame, and returns credit in batches.
#[derive(Default)]
pub struct Cursor {
    /// The chunk that is being read: it has a frame at `at`. It stands before the batch, so that each message finds it
    /// without a look into the ring.
    chunk: Option<Chunk>,
    /// Bytes of the chunk already read.
    at: usize,
    batch: VecDeque<Entry>,
    /// Buffers that have been read to their end, to be handed back.
    spent: Vec<Buf>,
    /// Messages read since the last credit.
    read: usize,
    /// Whether every body is copied out of the buffer it was received in.
    copies: bool,
}

/// The next frame of a chunk: whether another part follows, and where its body lies.
#[derive(Clone, Copy)]
struct Front {
    more: bool,
    start: usize,
    end: usize,
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
        self.chunk.is_some() || !self.batch.is_empty()
    }

    /// Takes what has gathered in `queue` if nothing is at hand.
    pub fn refill(&mut self, queue: &Queue) -> Taken {
        if self.has_frame() {
            return Taken::default();
        }
        let credit = std::mem::take(&mut self.read);
        let taken = queue.take(&mut self.batch, &mut self.spent, credit);
        self.open_next();
        taken
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

    /// Begins with the next entry if it is a chunk; a body is taken from the batch as a whole.
    fn open_next(&mut self) {
        self.at = 0;
        if let Some(Entry::Chunk { .. }) = self.batch.front()
            && let Some(Entry::Chunk { chunk, .. }) = self.batch.pop_front()
        {
            self.chunk = Some(chunk);
        }
    }

    // Inlined without fail, here and below: a `Front` passed through memory is stored in small pieces and loaded in
    // large ones, which stalls the load for longer than all the rest takes.
    #[inline(always)]
    fn front(frames: &[u8], at: usize) -> Front {
        let (more, header, len) = header_at(&frames[at..]);
        Front { more, start: at + header, end: at + header + len }
    }

    /// The next frame's body and whether another part follows.
    #[inline]
    pub fn peek(&self) -> Option<(&[u8], bool)> {
        if let Some(chunk) = &self.chunk {
            let frames = chunk.as_slice();
            let front = Cursor::front(frames, self.at);
            return Some((&frames[front.start..front.end], front.more));
        }
        match self.batch.front()? {
            Entry::Body { header, body, .. } => Some((body.as_slice(), header_at(header).0)),
            Entry::Chunk { .. } => None,
        }
    }

    /// Takes the next frame as a message.
    pub fn next_message(&mut self) -> Option<Message> {
        let mut message = Message::new();
        self.next_into(&mut message).then_some(message)
    }

    /// Takes the next frame into `message`, whose properties are left alone if it is copied. Returns whether there was one.
    #[inline(always)]
    pub fn next_into(&mut self, message: &mut Message) -> bool {
        let Some(chunk) = &self.chunk else { return self.next_body(message) };
        let frames = chunk.as_slice();
        let front = Cursor::front(frames, self.at);
        let body = &frames[front.start..front.end];
        if self.copies || body.len() < SHARE_FROM {
            message.assign_copy(body);
        } else {
            let (buf, base, _) = chunk.parts();
            message.assign_part(buf, base + front.start, base + front.end);
        }
        message.set_more(front.more);
        self.advance(front);
        true
    }

    /// Takes the next frame, a body by reference.
    fn next_body(&mut self, message: &mut Message) -> bool {
        let Some(Entry::Body { header, body, .. }) = self.batch.pop_front() else { return false };
        let (more, _, _) = header_at(&header);
        *message = body;
        message.set_more(more);
        self.read += usize::from(!more);
        self.open_next();
        true
    }

    /// Drops the next frame.
    #[inline]
    pub fn skip(&mut self) {
        match &self.chunk {
            Some(chunk) => self.advance(Cursor::front(chunk.as_slice(), self.at)),
            None => drop(self.next_body(&mut Message::new())),
        }
    }

    #[inline(always)]
    fn advance(&mut self, front: Front) {
        self.read += usize::from(!front.more);
        self.at = front.end;
        match &self.chunk {
            Some(chunk) if front.end != chunk.len() => chunk.prefetch(front.end, front.end - front.start),
            _ => self.close_chunk(),
        }
    }

    #[cold]
    fn close_chunk(&mut self) {
        self.spent.extend(self.chunk.take().and_then(Chunk::into_buf));
        self.open_next();
    }
}
