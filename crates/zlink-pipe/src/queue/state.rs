//! What a queue's lock guards, and the steps that are taken under it.

use std::collections::VecDeque;

use super::token::Writer;
use super::{Credit, Limit, Pushed, QueueConfig};
use crate::buf::{Buf, BufMut};
use crate::entry::{Chunk, Entry, Position, header_len};
use crate::shared::SharedFrame;
use crate::staging::{Body, Staging};
use crate::{BY_REFERENCE, CHUNK_SIZE, LOCAL_BY_REFERENCE};

/// First chunk of a pipe, in bytes: an idle connection costs no more.
const FIRST_CHUNK: usize = 1024;
/// Emptied chunks kept for reuse.
const SPARE: usize = 2;
/// The same of a stream within the process, whose receiver lets some gather.
const SPARE_OF_STREAM: usize = 8;
/// [`LOCAL_BY_REFERENCE`] for bytes that have to be copied to make a message of them.
const LOCAL_SLICE_BY_REFERENCE: usize = 4096;
/// From how many bytes on a message is not worth to be foreseen.
const SMALL: usize = 4096;
const _: () = assert!(SMALL <= BY_REFERENCE && LOCAL_BY_REFERENCE <= LOCAL_SLICE_BY_REFERENCE);
/// Bytes that end a nap.
const NAP_BYTES: usize = 4 * CHUNK_SIZE;

/// Messages that a producer that can wait pushes without: it has waited in vain.
#[derive(Clone, Copy, Default)]
pub(super) struct Hurry {
    left: u32,
    /// How many there were the last time.
    step: u32,
}

impl Hurry {
    pub(super) fn takes_one(&mut self) -> bool {
        let any = self.left > 0;
        self.left -= u32::from(any);
        any
    }

    pub(super) fn double(&mut self) {
        self.step = self.step.saturating_mul(2).max(1);
        self.left = self.step;
    }
}

/// What the lock of a [`Queue`](super::Queue) guards.
pub(super) struct State {
    pub(super) entries: VecDeque<Entry>,
    /// The chunk at the tail that still takes frames, and the messages in it.
    pub(super) open: Option<BufMut>,
    pub(super) open_messages: usize,
    pub(super) next_chunk: usize,
    pub(super) spare: Vec<BufMut>,
    /// Bytes and messages gathered: in `entries` and `open`. Within the process without what is queued by reference.
    pub(super) bytes: usize,
    pub(super) messages: usize,
    /// Messages in the queue or with the consumer, not yet credited.
    pub(super) in_flight: usize,
    /// Messages that have left, which the producer does not know of yet: they count towards the mark.
    pub(super) held: usize,
    /// Messages that have left since the last whole [batch](Self::batch).
    pub(super) phase: usize,
    /// The connection took less than it was given, and has not caught up since.
    pub(super) slow: bool,
    pub(super) producer_blocked: bool,
    /// The producer rests, and is told when the consumer takes what there is.
    pub(super) producer_rests: bool,
    pub(super) writer: Writer,
    /// The producer holds the writer token and has not confirmed it.
    pub(super) granted: bool,
    /// The last holder of the writer token gave it back with something still in hand.
    pub(super) paused: bool,
    pub(super) hurry: Hurry,
    /// The consumer knows that there is something to take.
    pub(super) told: bool,
    /// The consumer naps: it is not told before so many messages, or [`NAP_BYTES`], have gathered. 0: it is told at
    /// once.
    pub(super) nap: usize,
    pub(super) may_nap: bool,
    pub(super) ended: bool,
    /// A stream is on: gather rather than write each message.
    pub(super) streaming: bool,
    /// The stream is likely to end with the message that makes so many that have gathered. 0: nobody can tell.
    pub(super) last: usize,
    /// A watcher looks at the queue from time to time: it need not be woken.
    pub(super) watched: bool,
    /// Looks in a row that have found nothing.
    pub(super) idle_looks: u8,
    /// Batches the producer wrote itself, and how many the watcher has seen.
    pub(super) flushes: u64,
    pub(super) flushes_seen: u64,
    /// Bytes gathered when the watcher last looked.
    pub(super) bytes_seen: usize,
    /// So many small messages are queued with nothing else to be done, as long as there are fewer bytes than that.
    pub(super) foreseen: usize,
    foreseen_bytes: usize,
    pub(super) config: QueueConfig,
}

impl State {
    pub(super) fn new(config: QueueConfig) -> Self {
        State {
            entries: VecDeque::new(),
            open: None,
            open_messages: 0,
            next_chunk: FIRST_CHUNK,
            spare: Vec::new(),
            bytes: 0,
            messages: 0,
            in_flight: 0,
            held: 0,
            phase: 0,
            slow: false,
            producer_blocked: false,
            producer_rests: false,
            writer: Writer::Detached,
            granted: false,
            paused: false,
            hurry: Hurry::default(),
            told: false,
            nap: 0,
            may_nap: true,
            ended: false,
            streaming: false,
            last: 0,
            watched: false,
            idle_looks: 0,
            flushes: 0,
            flushes_seen: 0,
            bytes_seen: 0,
            foreseen: 0,
            foreseen_bytes: 0,
            config,
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.messages == 0 && self.entries.is_empty()
    }

    /// The limit of a batch that what has gathered has reached.
    #[inline]
    pub(super) fn reached(&self) -> Option<Limit> {
        if self.bytes >= self.config.batch_bytes {
            Some(Limit::Bytes)
        } else if self.config.batch_messages != 0 && self.messages >= self.config.batch_messages {
            Some(Limit::Messages)
        } else {
            None
        }
    }

    #[inline]
    pub(super) fn is_batch_complete(&self) -> bool {
        self.reached().is_some()
    }

    #[inline]
    pub(super) fn take_token(&mut self) {
        self.writer = Writer::Busy;
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.config.hwm != 0 && self.in_flight + self.held >= self.config.hwm && !self.config.conflate
    }

    /// Messages up to the mark.
    pub(super) fn left(&self) -> usize {
        match self.config {
            QueueConfig { hwm: 0, .. } | QueueConfig { conflate: true, .. } => usize::MAX,
            QueueConfig { hwm, .. } => hwm.saturating_sub(self.in_flight + self.held),
        }
    }

    /// Messages whose room is told of together: half the mark, so that a producer that is woken finds room for more
    /// than one, and rounded up, so that there is no mark without.
    pub(super) fn batch(&self) -> usize {
        self.config.hwm.div_ceil(2)
    }

    /// Messages that have left and count towards the mark even for a producer that asks. On a slow connection room comes
    /// in whole [batches](Self::batch): what lies in the kernel's buffers then makes no difference to how many messages
    /// two sockets hold between them, as in libzmq. On one that takes everything at once, that would only make smaller
    /// writes.
    fn kept_back(&self) -> usize {
        if self.slow { self.phase } else { 0 }
    }

    /// Whether the producer has to ask for room.
    pub(super) fn withholds(&self) -> bool {
        self.held > self.kept_back() && self.config.credit == Credit::OnDemand
    }

    /// The producer asks for the room that was withheld.
    pub(super) fn collect(&mut self) {
        if self.withholds() {
            self.held = self.kept_back();
        }
    }

    #[inline]
    pub(super) fn admit(&mut self) -> Option<Pushed> {
        if !self.is_full() {
            return None;
        }
        let withheld = self.withholds();
        if self.config.direct && self.writer == Writer::Idle && !self.is_empty() && !withheld {
            self.grant_to_flush();
            return Some(Pushed::FlushFirst);
        }
        self.producer_blocked = true;
        Some(Pushed::Full)
    }

    /// Takes the writer token if the message may be written at once, and counts the message.
    #[inline]
    pub(super) fn may_bypass(&mut self) -> bool {
        let may = self.config.direct
            && self.writer == Writer::Idle
            && match self.config.gather {
                None => !self.streaming,
                Some(gather) => !gather,
            }
            && self.is_empty();
        if may {
            self.take_token();
            self.granted = true;
            self.in_flight += 1;
        }
        may
    }

    /// Gives the writer token to the producer, to write what has gathered.
    pub(super) fn grant_to_flush(&mut self) {
        self.writer = Writer::Busy;
        self.granted = true;
        self.flushes += 1;
    }

    /// After a push: how many of the next are queued with nothing else to be done, if nobody else asks for anything in
    /// between. A stream of small messages is spared the looks that the first of them took.
    #[inline]
    pub(super) fn foresee(&mut self) {
        let QueueConfig { conflate, gather, direct, batch_bytes, batch_messages, .. } = self.config;
        if conflate {
            return;
        }
        let before = |limit: usize| limit.saturating_sub(self.messages + 1);
        let (mut messages, mut bytes) = (self.left(), usize::MAX);
        let may_write = self.writer == Writer::Idle && direct;
        if may_write || gather == Some(true) {
            bytes = batch_bytes;
            if batch_messages != 0 {
                messages = messages.min(before(batch_messages));
            }
        }
        if self.last > self.messages {
            messages = messages.min(before(self.last));
        }
        if !self.told {
            messages = messages.min(before(self.nap));
            bytes = bytes.min(NAP_BYTES);
        }
        (self.foreseen, self.foreseen_bytes) = (messages, bytes);
    }

    /// Queues a small message as was [foreseen](Self::foresee). Returns false if it was not.
    #[inline(always)]
    pub(super) fn append_foreseen(&mut self, body: &Body<'_>) -> bool {
        let (Some(open), Some(bytes)) = (&mut self.open, body.as_own()) else { return false };
        let small = bytes.len() < if self.config.local { LOCAL_BY_REFERENCE } else { SMALL };
        let framed = header_len(bytes.len()) + bytes.len();
        if !small || self.foreseen == 0 || open.room() < framed || self.bytes + framed >= self.foreseen_bytes
        {
            return false;
        }
        open.extend_with_frame(bytes);
        self.foreseen -= 1;
        self.messages += 1;
        self.in_flight += 1;
        self.open_messages += 1;
        self.bytes += framed;
        true
    }

    /// The same of a message that is framed, if it goes on where the last one ends.
    pub(super) fn append_foreseen_shared(&mut self, frame: &SharedFrame<'_>) -> bool {
        let len = frame.bytes().len();
        if self.foreseen == 0 || self.bytes + len >= self.foreseen_bytes {
            return false;
        }
        // Behind messages of the queue's own it is copied.
        if self.open_messages > 0 || !self.extends_last(frame) {
            return false;
        }
        self.foreseen -= 1;
        self.messages += 1;
        self.in_flight += 1;
        self.bytes += len;
        true
    }

    #[inline]
    pub(super) fn append_one(&mut self, body: &mut Body<'_>) {
        let len = body.as_slice().len();
        self.messages += 1;
        self.in_flight += 1;
        if len >= self.by_reference(body) || (body.is_lent() && self.keeps_lent()) {
            self.seal();
            self.append_by_reference(Entry::body(body.take(), false, Position::Whole));
            return;
        }
        if let Body::Shared(frame) = body {
            return self.append_shared(frame);
        }
        let framed = header_len(len) + len;
        self.open_with_room(framed).extend_with_frame(body.as_slice());
        self.open_messages += 1;
        self.bytes += framed;
    }

    /// Queues a message that is framed: without a copy if it follows the last one in memory, is the first, or begins a chunk.
    /// So a queue that gets few of the messages, or has some of its own between them, does not keep whole chunks for them.
    fn append_shared(&mut self, frame: &SharedFrame<'_>) {
        let bytes = frame.bytes();
        self.bytes += bytes.len();
        if self.config.local || self.open_messages > 0 || !self.holds_shared(frame) {
            self.open_with_room(bytes.len()).extend_from_slice(bytes);
            self.open_messages += 1;
        }
    }

    #[inline]
    fn extends_last(&mut self, frame: &SharedFrame<'_>) -> bool {
        match self.entries.back_mut() {
            Some(Entry::Chunk { chunk, position: Position::Whole }) => chunk.extend(frame),
            _ => false,
        }
    }

    fn holds_shared(&mut self, frame: &SharedFrame<'_>) -> bool {
        if self.extends_last(frame) {
            return true;
        }
        let begins = self.entries.is_empty() || frame.start == 0;
        if begins {
            self.entries.push_back(Entry::whole(Chunk::shared(frame)));
        }
        begins
    }

    /// Whether a small body that is lent travels by reference: its owner learns when it is done with. A connection that
    /// takes bytes is done with it as good as at once, and a stream of copies is faster.
    fn keeps_lent(&self) -> bool {
        matches!(self.writer, Writer::Detached | Writer::Blocked)
    }

    /// From how many bytes on `body` is not copied into a chunk.
    #[inline]
    fn by_reference(&self, body: &Body<'_>) -> usize {
        match body {
            _ if !self.config.local => BY_REFERENCE,
            Body::Message(_) => LOCAL_BY_REFERENCE,
            Body::Slice(_) | Body::Shared(_) => LOCAL_SLICE_BY_REFERENCE,
        }
    }

    /// Queues what is not copied. It makes no batch and ends no [nap](Self::nap) within the process: it takes a receiver no
    /// longer than a small message.
    fn append_by_reference(&mut self, entry: Entry) {
        if !self.config.local {
            self.bytes += entry.len();
        }
        self.entries.push_back(entry);
    }

    pub(super) fn append_staged(&mut self, staging: &mut Staging) {
        self.messages += 1;
        self.in_flight += 1;
        match staging.as_small() {
            Some(bytes) => {
                let open = self.open_with_room(bytes.len());
                open.extend_from_slice(bytes);
                self.open_messages += 1;
                self.bytes += bytes.len();
                staging.clear();
            }
            None => {
                self.seal();
                staging.take_entries().for_each(|entry| self.append_by_reference(entry));
            }
        }
    }

    pub(super) fn append_entry(&mut self, entry: Entry) {
        self.seal();
        self.bytes += entry.len();
        self.messages += entry.messages();
        self.in_flight += entry.messages();
        self.entries.push_back(entry);
    }

    #[inline]
    fn open_with_room(&mut self, need: usize) -> &mut BufMut {
        if self.open.as_ref().is_none_or(|open| open.room() < need) {
            self.next_open(need);
        }
        self.open.get_or_insert_with(|| BufMut::with_capacity(need))
    }

    #[cold]
    fn next_open(&mut self, need: usize) {
        if self.open.is_some() {
            // The chunk was filled before anybody took it: a stream. Let chunks grow.
            self.next_chunk = (self.next_chunk * 4).min(CHUNK_SIZE);
        }
        self.seal();
        let size = self.next_chunk.max(need);
        let reused = self.spare.pop().filter(|spare| spare.capacity() >= size);
        self.open = Some(reused.unwrap_or_else(|| BufMut::with_capacity(size)));
    }

    /// Ends the open chunk and queues it.
    pub(super) fn seal(&mut self) {
        if self.open_messages == 0 {
            return;
        }
        if let Some(open) = self.open.take() {
            let end = open.len();
            let chunk = Chunk::new(open.freeze(), 0, end, self.open_messages);
            self.entries.push_back(Entry::whole(chunk));
            self.open_messages = 0;
        }
    }

    #[inline]
    pub(super) fn after_append(&mut self) -> Pushed {
        let may_write = self.writer == Writer::Idle && self.config.direct;
        let ends = self.messages == self.last;
        if may_write && (ends || self.is_batch_complete() || self.config.gather == Some(false)) {
            self.streaming &= !ends;
            self.grant_to_flush();
            return Pushed::Write;
        }
        if !self.told || self.must_tell_again() {
            self.tell()
        } else if self.watched && self.messages == 1 {
            Pushed::Watched
        } else {
            Pushed::Queued
        }
    }

    /// A consumer that lets messages gather for some time is told again when a batch is complete, if the
    /// producer may not write it itself.
    #[inline]
    fn must_tell_again(&self) -> bool {
        self.config.gather == Some(true) && !self.config.direct && self.is_batch_complete()
    }

    fn tell(&mut self) -> Pushed {
        if self.messages < self.nap && self.bytes < NAP_BYTES {
            return Pushed::Queued;
        }
        (self.told, self.nap) = (true, 0);
        Pushed::Wake
    }

    #[inline]
    pub(super) fn credit(&mut self, messages: usize) -> bool {
        debug_assert!(messages <= self.in_flight, "more messages credited than were pushed");
        self.in_flight = self.in_flight.saturating_sub(messages);
        self.phase += messages;
        if messages > 0 {
            self.hurry = Hurry::default();
        }
        let batch = self.batch();
        let crossed = self.phase >= batch;
        if crossed {
            self.phase = self.phase.checked_rem(batch).unwrap_or(0);
        }
        // Half the mark: a producer that is woken finds room for more than one message.
        let hwm = self.config.hwm;
        let room = match self.config.credit {
            Credit::AtOnce => self.in_flight <= hwm / 2,
            Credit::InBatches => {
                self.held = self.phase;
                self.in_flight + self.held <= hwm / 2
            }
            Credit::OnDemand => {
                self.held += messages;
                // Or the half that libzmq's sender would be told of now: it finds room for as many as there.
                let told = self.in_flight <= hwm / 2 || crossed;
                told && self.in_flight + self.kept_back() < hwm
            }
        };
        let room = room || hwm == 0;
        let unblocked = self.producer_blocked && room;
        if unblocked {
            self.producer_blocked = false;
            self.collect();
        }
        unblocked
    }

    pub(super) fn discard(&mut self) {
        self.entries.clear();
        self.in_flight = self.in_flight.saturating_sub(self.messages);
        if let Some(open) = &mut self.open {
            open.truncate(0);
        }
        (self.open_messages, self.messages, self.bytes) = (0, 0, 0);
    }

    pub(super) fn recycle(&mut self, spent: &mut Vec<Buf>) {
        let keep = if self.streaming && !self.config.direct { SPARE_OF_STREAM } else { SPARE };
        for buf in spent.drain(..) {
            if self.spare.len() < keep && (FIRST_CHUNK..=CHUNK_SIZE).contains(&buf.capacity()) {
                self.spare.extend(buf.into_mut().ok());
            }
        }
    }
}
