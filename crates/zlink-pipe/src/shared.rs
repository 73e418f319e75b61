//! Frames that several queues hold without a copy each: what goes to many peers at once.

use std::collections::VecDeque;

use crate::buf::{Buf, BufMut};
use crate::entry::{MAX_HEADER, encode_header, header_at};
use crate::message::Message;
use crate::{BY_REFERENCE, CHUNK_SIZE};

/// Filled chunks that are kept to be filled again, once no queue holds any of it.
const KEPT: usize = 4;

/// Frames messages that go to many queues, one after the other in the same memory: a queue that gets several in a row
/// holds them as one piece, and the queues together take no more memory, or room in a processor's caches, than one.
///
/// A message is framed part by part with [`add`](Self::add); the last part makes it a [`SharedFrame`].
#[derive(Default)]
pub struct SharedFrames {
    /// Its first `filled` bytes are frames; nobody else refers to those from `open` on.
    chunk: Option<Buf>,
    filled: usize,
    /// Where the message under way begins, and the parts of it.
    open: usize,
    parts: usize,
    /// Chunks that were filled, the oldest first.
    used: VecDeque<Buf>,
}

/// A message, framed in memory that queues can share.
pub struct SharedFrame<'a> {
    pub(crate) chunk: &'a Buf,
    pub(crate) start: usize,
    pub(crate) end: usize,
    parts: usize,
}

impl SharedFrames {
    /// Nothing framed yet.
    pub fn new() -> Self {
        SharedFrames::default()
    }

    /// Parts of the message under way.
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// Whether `body` can be added: what is framed here is small as a whole.
    pub fn takes(&self, body: &[u8]) -> bool {
        self.filled - self.open + MAX_HEADER + body.len() < BY_REFERENCE
    }

    /// Adds a part to the message under way, which [`takes`](Self::takes) it. The last part, the one without `more`,
    /// completes the message.
    ///
    /// # Panics
    ///
    /// If the message becomes too long.
    pub fn add(&mut self, body: &[u8], more: bool) -> Option<SharedFrame<'_>> {
        assert!(self.takes(body), "it goes by reference");
        let mut header = [0; MAX_HEADER];
        let header_len = encode_header(more, body.len(), &mut header);
        if self.chunk.is_none() || CHUNK_SIZE - self.filled < header_len + body.len() {
            self.next_chunk();
        }
        self.write(&header[..header_len]);
        self.write(body);
        self.parts += 1;
        if more {
            return None;
        }
        let (start, end, parts) = (self.open, self.filled, self.parts);
        (self.open, self.parts) = (end, 0);
        self.chunk.as_ref().map(|chunk| SharedFrame { chunk, start, end, parts })
    }

    /// Forgets the message under way, and hands out its parts' bodies.
    pub fn take_parts(&mut self) -> Vec<Message> {
        let Some(chunk) = &self.chunk else { return Vec::new() };
        let mut bytes = chunk.range(self.open, self.filled);
        let mut parts = Vec::with_capacity(self.parts);
        while !bytes.is_empty() {
            let (_, header, len) = header_at(bytes);
            let (frame, rest) = bytes.split_at(header + len);
            parts.push(Message::copy_from(&frame[header..]));
            bytes = rest;
        }
        (self.filled, self.parts) = (self.open, 0);
        parts
    }

    /// Appends to the chunk, which has the room.
    fn write(&mut self, bytes: &[u8]) {
        let chunk = self.chunk.get_or_insert_with(zeroed_chunk);
        // SAFETY: the chunk has room for `bytes` behind those that are filled, and nobody refers to any of that: who shares
        // the chunk was given bytes before `open`.
        unsafe { chunk.write_at(self.filled, bytes) };
        self.filled += bytes.len();
    }

    /// Goes on in another chunk, with the message under way.
    #[cold]
    fn next_chunk(&mut self) {
        let free = self.used.iter().position(Buf::is_unique);
        // Of the chunks that slow peers hold, others are made in the place.
        let next = free.and_then(|at| self.used.remove(at));
        let full = std::mem::replace(&mut self.chunk, next);
        let open = std::mem::take(&mut self.open)..std::mem::take(&mut self.filled);
        if let Some(full) = full {
            self.write(full.range(open.start, open.end));
            self.used.push_back(full);
        }
        if self.used.len() > KEPT {
            self.used.pop_front();
        }
    }
}

impl SharedFrame<'_> {
    /// The frames.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.chunk.range(self.start, self.end)
    }

    /// Whether the message has one part.
    #[inline]
    pub fn is_single(&self) -> bool {
        self.parts == 1
    }

    /// The body of a message of one part; of others the frames.
    #[inline]
    pub fn body(&self) -> &[u8] {
        let bytes = self.bytes();
        if self.is_single() { &bytes[header_at(bytes).1..] } else { bytes }
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

    fn frame<'a>(frames: &'a mut SharedFrames, body: &[u8]) -> SharedFrame<'a> {
        frames.add(body, false).expect("the last part")
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
            let body = vec![n as u8; [0, 1, 64, 300, 2000, BY_REFERENCE - MAX_HEADER - 1][n % 6]];
            let frame = frame(&mut frames, &body);
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
            let frame = frame(&mut frames, &[n as u8; 1000]);
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
            push(&queue, &frame(&mut frames, &[n as u8; 1000]));
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
            let frame = frame(&mut frames, &[n as u8; 100]);
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

    #[test]
    fn a_message_of_several_parts_is_one_frame_wherever_its_chunk_ends() {
        let queue = Queue::new(QueueConfig { hwm: 0, ..Default::default() });
        let mut frames = SharedFrames::new();
        let mut expected = Vec::new();
        for n in 0..2000usize {
            let parts: Vec<Vec<u8>> = (0..=n % 4).map(|part| vec![n as u8; n * part % 3000]).collect();
            let (last, others) = parts.split_last().expect("a part");
            for part in others {
                assert!(frames.add(part, true).is_none());
            }
            let frame = frames.add(last, false).expect("complete");
            assert_eq!(frame.is_single(), parts.len() == 1);
            push(&queue, &frame);
            if n % 5 == 0 {
                let _ = queue.push_one(&mut Body::Slice(b"own"));
            }
            expected.extend(parts);
            expected.extend((n % 5 == 0).then(|| b"own".to_vec()));
        }
        assert_eq!(queue.in_flight(), 2400);
        assert!(read(&queue) == expected);
    }

    #[test]
    fn a_message_that_becomes_too_long_is_given_back_in_parts() {
        let mut frames = SharedFrames::new();
        for part in [&b"topic"[..], b"", &[7; 300]] {
            assert!(frames.takes(part) && frames.add(part, true).is_none());
        }
        assert!(!frames.takes(&[0; BY_REFERENCE - 300]));
        let parts = frames.take_parts();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [5, 0, 300]);
        assert_eq!((frames.parts(), frame(&mut frames, b"next").bytes()), (0, &b"\0\x04next"[..]));
    }
}
