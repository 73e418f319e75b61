//! Frames that several queues hold without a copy each: what goes to many peers at once.

use std::collections::VecDeque;

use crate::buf::{Buf, BufMut};
use crate::entry::{MAX_HEADER, encode_header};
use crate::{BY_REFERENCE, CHUNK_SIZE};

/// Filled chunks that are kept to be filled again, once no queue holds any of it.
const KEPT: usize = 4;

/// Frames messages that go to many queues, one after the other in the same memory: a queue that gets several in a row
/// holds them as one piece, and the queues together take no more memory, or room in a processor's caches, than one.
#[derive(Default)]
pub struct SharedFrames {
    /// Its first `filled` bytes are frames; nobody else refers to the others.
    chunk: Option<Buf>,
    filled: usize,
    /// Chunks that were filled, the oldest first.
    used: VecDeque<Buf>,
}

/// A message of one part, framed in memory that queues can share.
pub struct SharedFrame<'a> {
    pub(crate) chunk: &'a Buf,
    pub(crate) start: usize,
    pub(crate) end: usize,
    header_len: usize,
}

impl SharedFrames {
    /// Nothing framed yet.
    pub fn new() -> Self {
        SharedFrames::default()
    }

    /// Frames a message of one part, which must not go by reference.
    ///
    /// # Panics
    ///
    /// If `body` has [`BY_REFERENCE`] bytes or more.
    pub fn frame(&mut self, body: &[u8]) -> SharedFrame<'_> {
        assert!(body.len() < BY_REFERENCE, "it goes by reference");
        let mut header = [0; MAX_HEADER];
        let header_len = encode_header(false, body.len(), &mut header);
        let len = header_len + body.len();
        if self.chunk.is_none() || CHUNK_SIZE - self.filled < len {
            self.next_chunk();
        }
        let start = self.filled;
        let chunk = self.chunk.get_or_insert_with(zeroed_chunk);
        // SAFETY: the chunk has room for `len` bytes from `start` on, and nobody refers to any of these: who shares it was
        // given bytes before `filled`.
        unsafe {
            chunk.write_at(start, &header[..header_len]);
            chunk.write_at(start + header_len, body);
        }
        self.filled += len;
        SharedFrame { chunk, start, end: self.filled, header_len }
    }

    #[cold]
    fn next_chunk(&mut self) {
        self.used.extend(self.chunk.take());
        let free = self.used.iter().position(Buf::is_unique);
        // Of the chunks that slow peers hold, others are made in the place.
        self.chunk = free.and_then(|at| self.used.remove(at));
        if self.used.len() > KEPT {
            self.used.pop_front();
        }
        self.filled = 0;
    }
}

impl SharedFrame<'_> {
    /// The message's body.
    #[inline]
    pub fn body(&self) -> &[u8] {
        self.chunk.range(self.start + self.header_len, self.end)
    }
}

fn zeroed_chunk() -> Buf {
    let mut chunk = BufMut::with_capacity(CHUNK_SIZE);
    // All of it counts as filled from the beginning: its length must not change once it is shared.
    chunk.extend_from_slice(&[0; CHUNK_SIZE]);
    chunk.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, Cursor, Pushed, Queue, QueueConfig};

    fn read(queue: &Queue) -> Vec<Vec<u8>> {
        let mut cursor = Cursor::new();
        let mut out = Vec::new();
        loop {
            let _ = cursor.refill(queue);
            let Some(message) = cursor.next_message() else { return out };
            out.push(message.to_vec());
        }
    }

    fn push(queue: &Queue, frame: &SharedFrame<'_>) {
        assert!(matches!(queue.push_one(&mut Body::Shared(frame)), Pushed::Queued | Pushed::Wake));
    }

    #[test]
    fn every_queue_gets_what_was_pushed_to_it_in_order_whatever_else_it_got() {
        let queues: Vec<Queue> =
            (0..4).map(|_| Queue::new(QueueConfig { hwm: 0, ..Default::default() })).collect();
        let mut frames = SharedFrames::new();
        let mut expected = vec![Vec::new(); queues.len()];
        for n in 0..5000usize {
            let body = vec![n as u8; [0, 1, 64, 300, 2000, BY_REFERENCE - 1][n % 6]];
            let frame = frames.frame(&body);
            assert_eq!(frame.body(), body);
            for (at, queue) in queues.iter().enumerate() {
                // All, every second, runs of a hundred, and with others of its own in between.
                if at == 0 || (at == 1 && n % 2 == 0) || (at == 2 && n / 100 % 2 == 0) || at == 3 {
                    push(queue, &frame);
                    expected[at].push(body.clone());
                }
                if at == 3 && n % 7 == 0 {
                    let _ = queue.push_one(&mut Body::Slice(b"own"));
                    expected[at].push(b"own".to_vec());
                }
            }
            if n % 1000 == 999 {
                for (queue, expected) in queues.iter().zip(&mut expected) {
                    assert!(read(queue) == std::mem::take(expected), "after {n}");
                }
            }
        }
    }

    #[test]
    fn chunks_are_filled_again_when_nobody_holds_them() {
        let queue = Queue::new(QueueConfig { hwm: 0, ..Default::default() });
        let mut frames = SharedFrames::new();
        let mut at = Vec::new();
        for n in 0..1000 {
            let frame = frames.frame(&[n as u8; 1000]);
            let address = frame.chunk.range(0, 0).as_ptr();
            if !at.contains(&address) {
                at.push(address);
            }
            push(&queue, &frame);
            assert_eq!(read(&queue), [[n as u8; 1000]]);
        }
        assert!(at.len() <= 2, "{}", at.len());
        // A peer that does not read keeps what it was sent, and no chunk of that is filled again.
        for n in 0..1000 {
            push(&queue, &frames.frame(&[n as u8; 1000]));
        }
        assert!(frames.used.len() <= KEPT);
        let got = read(&queue);
        assert!(got.iter().enumerate().all(|(n, body)| *body == [n as u8; 1000]) && got.len() == 1000);
    }

    #[test]
    fn a_queue_that_gets_few_of_the_messages_holds_copies_not_chunks() {
        let slow = Queue::new(QueueConfig { hwm: 0, ..Default::default() });
        let mut frames = SharedFrames::new();
        let mut chunks = Vec::new();
        for n in 0..10_000 {
            let frame = frames.frame(&[n as u8; 100]);
            if n % 10 == 0 {
                push(&slow, &frame);
            }
            if frame.start == 0 {
                chunks.push(frame.chunk.clone());
            }
        }
        let (mut entries, mut spent) = (VecDeque::new(), Vec::new());
        let _ = slow.take(&mut entries, &mut spent, 0);
        drop(frames);
        let held = chunks.iter().filter(|chunk| !chunk.is_unique()).count();
        // The first, while it had nothing; then only such as began with a message for it.
        assert!(held <= 1 + chunks.len() / 5, "{held} of {}", chunks.len());
        assert_eq!(entries.iter().map(crate::Entry::messages).sum::<usize>(), 1000);
    }
}
