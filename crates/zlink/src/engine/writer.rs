//! The write half of a connection: what has left the pipe and is not wholly in the kernel yet.
//!
//! Used by whoever holds the pipe's writer token, application thread or I/O thread.

use std::collections::VecDeque;
use std::io::IoSlice;

use rustix::io::Errno;
use zlink_pipe::{Body, Buf, Entry, Limit, Position, Queue};
use zlink_zmtp::cipher::CipherError;

use super::encoder::Encoder;
use super::framing::MAX_HEADER;
use super::stats::Counters;
use crate::transport::Stream;

/// Buffers handed to the kernel in one call.
const SLICES: usize = 64;
/// Messages up to this size are copied beside their header: one buffer costs the kernel less than two.
const ONE_BUFFER: usize = 1024;
/// Bytes of small bodies, each by reference, that are copied into one buffer for one call.
const JOINED: usize = 64 * 1024;
/// Bytes a writer may write in one turn before it looks after something else.
pub(super) const TURN_BYTES: usize = 1 << 20;

/// Emptied buffers kept until the pipe is drained, which takes some of them back. A peer that is always answered at once
/// may never have it drained.
const MAX_SPENT: usize = 8;

/// Command frames kept for a peer that does not read, in bytes.
const MAX_CONTROL: usize = 16 * 1024;

/// How far a turn came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// Everything is in the kernel.
    Done,
    /// The kernel takes no more for now.
    WouldBlock,
    /// The turn's budget is used up.
    Budget,
    /// The connection is broken.
    Failed,
}

/// Whether an entry is a body that is better copied than written from where it is.
fn is_small_body(entry: &Entry) -> bool {
    matches!(entry, Entry::Body { .. }) && entry.len() <= ONE_BUFFER
}

pub(super) struct WriteHalf {
    encoder: Encoder,
    /// Taken from the pipe, in order. `offset` bytes of the first are written, unless they go through the
    /// encoder, which counts for itself.
    batch: VecDeque<Entry>,
    offset: usize,
    /// Written entries of a message whose last entry is not: should the connection break, it goes out again
    /// as a whole.
    unfinished: VecDeque<Entry>,
    spent: Vec<Buf>,
    /// Small bodies that come by reference, framed, for one call.
    joined: Vec<u8>,
    /// ZMTP/2 frames to go out between entries; `control_at` bytes of them are written.
    control: Vec<u8>,
    control_at: usize,
    /// Messages written and not yet credited.
    credit: usize,
    /// Why nothing more can be sealed.
    unsealed: Option<CipherError>,
    /// The connection is down: nothing may be written any more.
    dead: bool,
    /// Bytes written, and bodies copied because they were not, since it was last [told](Self::settle).
    bytes: usize,
    copied: usize,
}

impl WriteHalf {
    pub(super) fn new(encoder: Encoder) -> Self {
        WriteHalf {
            encoder,
            batch: VecDeque::new(),
            offset: 0,
            unfinished: VecDeque::new(),
            spent: Vec::new(),
            joined: Vec::new(),
            control: Vec::new(),
            control_at: 0,
            credit: 0,
            unsealed: None,
            dead: false,
            bytes: 0,
            copied: 0,
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    /// What has broken the connection on our side, after [`Progress::Failed`]; none if the network did.
    pub(super) fn unsealed(&self) -> Option<CipherError> {
        self.unsealed
    }

    /// Adds a ZMTP/2 frame, to go out before the next entry. Once many wait for a peer that does not read, it
    /// is dropped: nobody can make answers pile up by asking.
    pub(super) fn add_control(&mut self, frame: &[u8]) {
        if self.control.len() < MAX_CONTROL {
            self.control.extend_from_slice(frame);
        }
    }

    pub(super) fn has_control(&self) -> bool {
        !self.control.is_empty()
    }

    /// Whether something taken from the pipe is not wholly written.
    pub(super) fn has_entries(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Counts what was written since the last time. Returns how many messages are to be credited.
    pub(super) fn settle(&mut self, counters: &Counters) -> usize {
        let credit = std::mem::take(&mut self.credit);
        counters.written(credit, std::mem::take(&mut self.bytes), std::mem::take(&mut self.copied));
        credit
    }

    /// As [`settle`](Self::settle), at the end of a turn. One that failed leaves it to whoever takes the connection down:
    /// the token is not given back before, and nor is credit.
    pub(super) fn settle_after(&mut self, progress: Progress, counters: &Counters) -> usize {
        if progress == Progress::Failed { 0 } else { self.settle(counters) }
    }

    /// Takes what has gathered in the pipe. Returns which limit of a batch that has reached.
    pub(super) fn take_from(&mut self, queue: &Queue) -> Option<Limit> {
        queue.take_for_write(&mut self.batch, &mut self.spent)
    }

    /// Writes one message that is not in the pipe, straight from the caller's memory if it has one part. What the kernel does
    /// not take is kept, so that the message can go out again from its start.
    pub(super) fn write_one(&mut self, stream: &Stream, body: &mut Body<'_>) -> Progress {
        let bytes = body.as_slice();
        let mut header = [0; MAX_HEADER];
        let first = self.batch.is_empty() && !self.has_control() && self.encoder.is_written();
        let parts = matches!(&*body, Body::Shared(frame) if !frame.is_single());
        let Some(header_len) =
            self.encoder.header(false, bytes.len(), &mut header).filter(|_| first && !parts)
        else {
            self.batch.push_back(Entry::message(body));
            return self.write(stream, &mut TURN_BYTES.clone());
        };
        let mut small = [0; MAX_HEADER + ONE_BUFFER];
        let total = header_len + bytes.len();
        let result = if bytes.len() <= ONE_BUFFER {
            small[..header_len].copy_from_slice(&header[..header_len]);
            small[header_len..total].copy_from_slice(bytes);
            stream.send(&[IoSlice::new(&small[..total])])
        } else {
            stream.send(&[IoSlice::new(&header[..header_len]), IoSlice::new(bytes)])
        };
        match result {
            Ok(n) if n == total => {
                self.bytes += n;
                self.credit += 1;
                Progress::Done
            }
            Ok(n) => self.keep(body, n, Progress::WouldBlock),
            Err(Errno::AGAIN) => self.keep(body, 0, Progress::WouldBlock),
            Err(_) => self.keep(body, 0, Progress::Failed),
        }
    }

    fn keep(&mut self, body: &mut Body<'_>, written: usize, progress: Progress) -> Progress {
        self.bytes += written;
        if !body.moves() {
            self.copied += body.as_slice().len();
        }
        self.batch.push_back(Entry::message(body));
        if self.encoder.is_as_is() {
            self.offset = written;
        } else {
            if !self.refill() {
                return Progress::Failed;
            }
            self.advance_encoded(written);
        }
        progress
    }

    /// Writes entries that are not in the pipe: one message in pieces.
    pub(super) fn write_pieces(&mut self, stream: &Stream, pieces: impl Iterator<Item = Entry>) -> Progress {
        self.batch.extend(pieces);
        self.write(stream, &mut TURN_BYTES.clone())
    }

    /// Writes what has been taken, until all is written, the kernel takes no more, or `budget` is used up.
    pub(super) fn write(&mut self, stream: &Stream, budget: &mut usize) -> Progress {
        let as_is = self.encoder.is_as_is();
        loop {
            // Between two entries is between two frames: commands may go there.
            let control = as_is && self.has_control() && (self.offset == 0 || self.control_at > 0);
            let done = if as_is { !control && self.batch.is_empty() } else { !self.encode() };
            if done {
                if !as_is && self.unsealed.is_some() {
                    return Progress::Failed;
                }
                if self.joined.capacity() > ONE_BUFFER {
                    self.joined = Vec::new();
                }
                return match stream.flush() {
                    Ok(true) => Progress::Done,
                    Ok(false) => Progress::WouldBlock,
                    Err(_) => Progress::Failed,
                };
            }
            if *budget == 0 {
                return Progress::Budget;
            }
            let written = if control {
                stream.send(&[IoSlice::new(&self.control[self.control_at..])])
            } else if as_is {
                self.write_batch(stream)
            } else {
                self.write_encoded(stream)
            };
            let n = match written {
                Ok(n) => n,
                Err(Errno::AGAIN) => {
                    self.credit_part();
                    return Progress::WouldBlock;
                }
                Err(_) => return Progress::Failed,
            };
            self.bytes += n;
            *budget = budget.saturating_sub(n);
            if control {
                self.control_at += n;
                if self.control_at == self.control.len() {
                    self.control.clear();
                    self.control_at = 0;
                }
            } else if as_is {
                self.advance(n);
            } else {
                self.advance_encoded(n);
            }
        }
    }

    /// Encodes as much as a batch holds. Returns false if that fails.
    fn refill(&mut self) -> bool {
        self.unsealed = self.encoder.refill(&mut self.control, &self.batch).err();
        self.unsealed.is_none()
    }

    /// Sees to it that something is encoded. Returns false if nothing is left to write, or nothing can be.
    fn encode(&mut self) -> bool {
        while self.encoder.is_written() {
            if self.batch.is_empty() && !self.has_control() {
                return false;
            }
            if !self.refill() {
                return false;
            }
            // Some entries leave no bytes.
            self.advance_encoded(0);
        }
        true
    }

    fn write_batch(&mut self, stream: &Stream) -> Result<usize, Errno> {
        self.join_small_bodies();
        let mut slices = [IoSlice::new(&[]); SLICES];
        let (mut used, mut offset, mut joined) = (0, self.offset, self.joined.as_slice());
        let mut entries = self.batch.iter().peekable();
        while let Some(entry) = entries.next() {
            let mut whole = true;
            let pieces = if is_small_body(entry) {
                let mut run = entry.len() - offset;
                while let Some(next) = entries.next_if(|next| is_small_body(next)) {
                    run += next.len();
                }
                whole = run <= joined.len();
                let (run, rest) = joined.split_at(run.min(joined.len()));
                joined = rest;
                [run, &[]]
            } else {
                entry.slices_from(offset)
            };
            for bytes in pieces {
                if !bytes.is_empty() && used < SLICES {
                    slices[used] = IoSlice::new(bytes);
                    used += 1;
                }
            }
            if used == SLICES || !whole {
                break;
            }
            offset = 0;
        }
        stream.send(&slices[..used])
    }

    /// Frames the small bodies of the batch that came by reference, one after the other, as many as one call is to
    /// take: a buffer each, and one for their headers, would cost the kernel more than the copy.
    fn join_small_bodies(&mut self) {
        self.joined.clear();
        let mut offset = self.offset;
        for entry in &self.batch {
            if self.joined.len() >= JOINED {
                return;
            }
            if is_small_body(entry) {
                for bytes in entry.slices_from(offset) {
                    self.joined.extend_from_slice(bytes);
                }
            }
            offset = 0;
        }
    }

    fn write_encoded(&self, stream: &Stream) -> Result<usize, Errno> {
        match [self.encoder.unwritten(), self.encoder.tail(&self.batch)] {
            [bytes, []] => stream.send(&[IoSlice::new(bytes)]),
            [[], tail] => stream.send(&[IoSlice::new(tail)]),
            [bytes, tail] => stream.send(&[IoSlice::new(bytes), IoSlice::new(tail)]),
        }
    }

    /// Counts `n` more bytes as written.
    fn advance(&mut self, mut n: usize) {
        while let Some(front) = self.batch.front() {
            let left = front.len() - self.offset;
            if n < left {
                self.offset += n;
                return;
            }
            n -= left;
            self.offset = 0;
            if let Some(entry) = self.batch.pop_front() {
                self.finish(entry);
            }
            if n == 0 {
                return;
            }
        }
    }

    /// As [`advance`](Self::advance), for bytes of the encoder's.
    fn advance_encoded(&mut self, n: usize) {
        for _ in 0..self.encoder.advance(n) {
            if let Some(entry) = self.batch.pop_front() {
                self.finish(entry);
            }
        }
    }

    /// Counts the messages that are written of a chunk that is not, and forgets them: the peer may read no more for long,
    /// and their room is the sender's.
    fn credit_part(&mut self) {
        if self.encoder.is_as_is()
            && let Some(front) = self.batch.front_mut()
        {
            let before = front.len();
            self.credit += front.rewind(self.offset);
            self.offset -= before - front.len();
        }
    }

    fn finish(&mut self, entry: Entry) {
        self.credit += entry.messages();
        match entry.position() {
            Position::Whole => {
                if self.spent.len() < MAX_SPENT
                    && let Some(buf) = entry.into_buf()
                {
                    self.spent.push(buf);
                }
            }
            Position::First | Position::Middle => self.unfinished.push_back(entry),
            Position::Last => self.unfinished.clear(),
        }
    }

    /// Ends the writing for good and gives back what must go out again on another connection: the messages
    /// that were not wholly written, from a message boundary.
    pub(super) fn take_down(&mut self) -> VecDeque<Entry> {
        self.dead = true;
        let mut rest = std::mem::take(&mut self.batch);
        if let Some(front) = rest.front_mut() {
            let as_is = self.encoder.is_as_is();
            self.credit += front.rewind(if as_is { self.offset } else { self.encoder.source_written() });
            if front.is_empty() {
                rest.pop_front();
            }
        }
        self.offset = 0;
        while let Some(entry) = self.unfinished.pop_back() {
            rest.push_front(entry);
        }
        rest
    }
}
