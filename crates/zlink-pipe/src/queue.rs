//! One direction of a pipe: a queue of wire-format entries under one short lock.
//!
//! The lock also guards who may drain the queue, so that one acquisition decides whether a message is
//! written by its sender, gathered, or refused:
//!
//! ```text
//!            attach                     push: bypass, or enough has gathered
//! Detached ─────────► Idle ◄──────────────────────────────► Busy   (the *writer token*: one holder)
//!     ▲                            release                   │ ▲
//!     └───────────────── detach ─────────────────────────────┤ │ acquire, once the socket is writable
//!                                                     block  ▼ │
//!                                                          Blocked
//! ```
//!
//! A queue whose consumer is a socket (in-process, or the inward direction of a connection) stays Detached:
//! its consumer takes entries whenever it likes.

use std::collections::VecDeque;

use crate::buf::{Buf, BufMut};
use crate::entry::{Chunk, Entry, MAX_HEADER, Position, encode_header};
use crate::staging::{Body, Staging};
use crate::sync::{Mutex, lock};
use crate::{BY_REFERENCE, CHUNK_SIZE};

/// First chunk of a pipe, in bytes: an idle connection costs no more.
const FIRST_CHUNK: usize = 1024;
/// A watched producer that gathers at least this part of a batch between two looks is left to go on.
const WORTH_WAITING: usize = 4;
/// Emptied chunks kept for reuse.
const SPARE: usize = 2;

/// Limits and batching of a queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueConfig {
    /// Messages that may be in the queue, including those being written. 0: no limit.
    pub hwm: usize,
    /// Keep only the newest message.
    pub conflate: bool,
    /// Whether the producer may drain the queue itself.
    pub direct: bool,
    /// Whether to gather messages: `None` adaptive, `Some(false)` never on purpose, `Some(true)` always.
    pub gather: Option<bool>,
    /// The producer drains the queue itself once this many bytes have gathered.
    pub batch_bytes: usize,
    /// The same by messages. 0: no limit.
    pub batch_messages: usize,
}

impl Default for QueueConfig {
    fn default() -> Self {
        QueueConfig {
            hwm: 1000,
            conflate: false,
            direct: true,
            gather: None,
            batch_bytes: CHUNK_SIZE,
            batch_messages: 0,
        }
    }
}

/// Who may drain the queue to a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writer {
    /// Nobody: there is no connection.
    Detached,
    /// Whoever comes first.
    Idle,
    /// The holder of the token.
    Busy,
    /// Nobody until the connection takes bytes again.
    Blocked,
}

/// What became of a push, and what the producer must do now. A producer that was given the writer token asks
/// [`Queue::confirm`] before it uses it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Pushed {
    /// Queued; nothing to do.
    Queued,
    /// Queued; the consumer must be woken.
    Wake,
    /// Queued, and the producer holds the writer token: take, write, release.
    Write,
    /// Not queued but counted: the producer holds the writer token and writes the message itself.
    Bypass,
    /// Not queued: the high-water mark is reached. The producer holds the writer token: take, write,
    /// release, push again.
    FlushFirst,
    /// Not queued: the high-water mark is reached. A later credit tells that there is room.
    Full,
}

/// Who holds the writer token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    /// The producer's thread.
    Producer,
    /// An I/O thread.
    IoThread,
}

/// What the holder of the writer token learns when it returns credit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use]
pub struct Release {
    /// More has gathered; the token was not given back.
    pub more: bool,
    /// How many bytes have gathered.
    pub gathered: usize,
    /// A stream is on: more is likely to come at once.
    pub streaming: bool,
    /// The producer waits for room, and there is some: tell it.
    pub unblocked: bool,
}

/// What a look at a watched stream found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Watch {
    /// The stream is over and everything is written; the watch is ended.
    Over,
    /// The producer drains the queue itself: look again later.
    Progress,
    /// Something lies there that the producer has not written since the last look; the caller now holds
    /// the writer token.
    Stalled,
}

struct State {
    entries: VecDeque<Entry>,
    /// The chunk at the tail that still takes frames, and the messages in it.
    open: Option<BufMut>,
    open_messages: usize,
    next_chunk: usize,
    spare: Vec<BufMut>,
    /// Bytes and messages gathered: in `entries` and `open`.
    bytes: usize,
    messages: usize,
    /// Messages in the queue or with the consumer, not yet credited.
    in_flight: usize,
    producer_blocked: bool,
    writer: Writer,
    /// The producer holds the writer token and has not confirmed it.
    granted: bool,
    /// The last holder of the writer token gave it back with something still in hand.
    paused: bool,
    /// The consumer knows that there is something to take.
    told: bool,
    ended: bool,
    /// A stream is on: gather rather than write each message.
    streaming: bool,
    /// A watcher looks at the queue from time to time: it need not be woken.
    watched: bool,
    /// Batches the producer wrote itself, and how many the watcher has seen.
    flushes: u64,
    flushes_seen: u64,
    /// Bytes gathered when the watcher last looked.
    bytes_seen: usize,
    config: QueueConfig,
}

/// One direction of a pipe. See the module's drawing for the states of its writer token.
pub struct Queue {
    state: Mutex<State>,
}

impl Queue {
    /// An empty queue without a connection.
    pub fn new(config: QueueConfig) -> Self {
        Queue {
            state: Mutex::new(State {
                entries: VecDeque::new(),
                open: None,
                open_messages: 0,
                next_chunk: FIRST_CHUNK,
                spare: Vec::new(),
                bytes: 0,
                messages: 0,
                in_flight: 0,
                producer_blocked: false,
                writer: Writer::Detached,
                granted: false,
                paused: false,
                told: false,
                ended: false,
                streaming: false,
                watched: false,
                flushes: 0,
                flushes_seen: 0,
                bytes_seen: 0,
                config,
            }),
        }
    }

    // --- producer ---

    /// Pushes a message of one part. On `Full` and `FlushFirst` the body is untouched.
    #[inline]
    pub fn push_one(&self, body: &mut Body<'_>) -> Pushed {
        let mut state = lock(&self.state);
        if let Some(refused) = state.admit() {
            return refused;
        }
        if state.config.conflate {
            state.discard();
        }
        if state.may_bypass() {
            return Pushed::Bypass;
        }
        state.append_one(body);
        state.after_append()
    }

    /// Pushes the complete message in `staging` and empties it. The caller has seen with
    /// [`check_room`](Self::check_room) before the first part that there is room: the high-water mark never
    /// cuts a message. On `Bypass` the message stays in `staging`.
    pub fn push_staged(&self, staging: &mut Staging) -> Pushed {
        let mut state = lock(&self.state);
        if state.config.conflate {
            state.discard();
        }
        if state.may_bypass() {
            return Pushed::Bypass;
        }
        state.append_staged(staging);
        state.after_append()
    }

    /// Whether a message would be admitted now: `None`, or the answer a push would get (`Full`, or
    /// `FlushFirst` with the writer token).
    pub fn check_room(&self) -> Option<Pushed> {
        lock(&self.state).admit()
    }

    /// Whether a message would be admitted now. Notes that the producer waits if not.
    pub fn has_room(&self) -> bool {
        let mut state = lock(&self.state);
        let full = state.is_full();
        state.producer_blocked |= full;
        !full
    }

    /// Whether the producer should gather instead of bypassing, from now until a watch finds a gap.
    pub fn set_streaming(&self, streaming: bool) {
        lock(&self.state).streaming = streaming;
    }

    /// Whether the writer token that the producer was given is still good. It is not if the connection went
    /// down in between, even if there is another by now: what was gathered went back into the queue, or never
    /// left it, and a message that bypassed it belongs there too, by [`push_bypassed`](Self::push_bypassed).
    ///
    /// The producer asks once, before it writes, under the lock under which connections are taken down.
    pub fn confirm(&self) -> bool {
        std::mem::take(&mut lock(&self.state).granted)
    }

    /// Queues a message that was counted by a `Bypass` but could not be written, because the connection went
    /// down in between. Returns whether the consumer must be woken: there may be another connection.
    #[must_use]
    pub fn push_bypassed(&self, entries: impl Iterator<Item = Entry>) -> bool {
        let mut state = lock(&self.state);
        let before = state.in_flight;
        for entry in entries {
            state.append_entry(entry);
        }
        state.in_flight = before;
        !std::mem::replace(&mut state.told, true)
    }

    /// Adds entries that hold whole messages, in order. Returns whether the consumer must be woken.
    ///
    /// The high-water mark is the caller's business: see [`room`](Self::room).
    pub fn push_entries(&self, entries: &mut VecDeque<Entry>) -> bool {
        let mut state = lock(&self.state);
        for mut entry in entries.drain(..) {
            if state.config.conflate {
                state.discard();
                if let Entry::Chunk { chunk, .. } = &mut entry {
                    chunk.keep_last();
                }
            }
            state.append_entry(entry);
        }
        let wake = !state.told && !state.is_empty();
        state.told |= wake;
        wake
    }

    /// Messages that may still be added before the high-water mark; `usize::MAX` without one. At 0 the
    /// producer is noted as waiting, and a later credit reports `unblocked`.
    pub fn room(&self) -> usize {
        let mut state = lock(&self.state);
        if state.config.hwm == 0 || state.config.conflate {
            return usize::MAX;
        }
        let room = state.config.hwm.saturating_sub(state.in_flight);
        state.producer_blocked |= room == 0;
        room
    }

    /// Tells the consumer that nothing more will come. Returns whether it must be woken.
    pub fn end(&self) -> bool {
        let mut state = lock(&self.state);
        state.ended = true;
        !std::mem::replace(&mut state.told, true)
    }

    // --- a socket as consumer ---

    /// Takes everything that has gathered into `out`, which must be empty, hands emptied buffers back and
    /// returns credit for `credit` messages. If there was nothing, the next push asks for a wake-up.
    pub fn take(&self, out: &mut VecDeque<Entry>, spent: &mut Vec<Buf>, credit: usize) -> Taken {
        debug_assert!(out.is_empty());
        let mut state = lock(&self.state);
        state.recycle(spent);
        let unblocked = state.credit(credit);
        state.seal();
        std::mem::swap(&mut state.entries, out);
        state.bytes = 0;
        state.messages = 0;
        let empty = out.is_empty();
        if empty {
            state.told = false;
        }
        Taken { ended: empty && state.ended, unblocked }
    }

    /// Whether there is something to take. If there is not, the next push asks for a wake-up.
    pub fn has_entries(&self) -> bool {
        let mut state = lock(&self.state);
        let some = !state.is_empty();
        if !some {
            state.told = false;
        }
        some
    }

    /// Whether the producer ended the queue.
    pub fn is_ended(&self) -> bool {
        lock(&self.state).ended
    }

    /// Whether the producer ended the queue and everything has been taken.
    pub fn is_over(&self) -> bool {
        let state = lock(&self.state);
        state.ended && state.is_empty()
    }

    /// Returns credit for `messages` messages that were read. Returns whether the producer waits for room
    /// and there is enough now.
    pub fn credit(&self, messages: usize) -> bool {
        lock(&self.state).credit(messages)
    }

    // --- a connection as consumer: the writer token ---

    /// Gives the queue a connection; the caller holds the writer token.
    pub fn attach(&self) {
        let mut state = lock(&self.state);
        debug_assert_eq!(state.writer, Writer::Detached);
        state.writer = Writer::Busy;
        state.told = true;
    }

    /// Takes the writer token if nobody holds it.
    pub fn acquire(&self) -> bool {
        let mut state = lock(&self.state);
        let free = matches!(state.writer, Writer::Idle | Writer::Blocked);
        if free {
            state.take_token();
        }
        free
    }

    /// Takes the writer token if nobody holds it and the connection takes bytes, as far as is known.
    pub fn acquire_idle(&self) -> bool {
        let mut state = lock(&self.state);
        let free = state.writer == Writer::Idle;
        if free {
            state.take_token();
        }
        free
    }

    /// Takes the writer token for the producer if something has gathered that it may write.
    pub fn acquire_to_flush(&self) -> bool {
        let mut state = lock(&self.state);
        let take = state.config.direct && state.writer == Writer::Idle && !state.is_empty();
        if take {
            state.grant_to_flush();
        }
        take
    }

    /// Takes the writer token if nobody holds it and something has gathered, or its last holder
    /// [paused](Self::pause).
    pub fn acquire_gathered(&self) -> bool {
        let mut state = lock(&self.state);
        let take = state.writer == Writer::Idle && (state.paused || !state.is_empty());
        if take {
            state.writer = Writer::Busy;
            state.paused = false;
        } else if state.writer == Writer::Idle {
            state.told = false;
        }
        take
    }

    /// The token's state.
    pub fn writer(&self) -> Writer {
        lock(&self.state).writer
    }

    /// Appends everything that has gathered to `out`. The caller holds the writer token.
    pub fn take_for_write(&self, out: &mut VecDeque<Entry>, spent: &mut Vec<Buf>) {
        let mut state = lock(&self.state);
        state.recycle(spent);
        state.seal();
        if out.is_empty() {
            std::mem::swap(&mut state.entries, out);
        } else {
            out.append(&mut state.entries);
        }
        state.bytes = 0;
        state.messages = 0;
    }

    /// Returns credit for `credit` written messages and the writer token, unless more has gathered. An I/O
    /// thread also keeps the token while a stream is on, to begin or go on with a watch.
    pub fn release(&self, by: Holder, credit: usize) -> Release {
        let mut state = lock(&self.state);
        let unblocked = state.credit(credit);
        let more = !state.is_empty();
        let streaming = state.streaming && state.config.direct;
        // An I/O thread that has written the gathered part of a stream stays to watch it.
        let stays = streaming && by == Holder::IoThread;
        if !more && !stays {
            state.writer = Writer::Idle;
            state.told = state.watched;
        }
        Release { more, gathered: state.bytes, streaming, unblocked }
    }

    /// Gives the writer token back although more may have gathered or is still in hand; the caller sees to it
    /// that somebody comes back by [`acquire_gathered`](Self::acquire_gathered).
    pub fn pause(&self, credit: usize) -> bool {
        let mut state = lock(&self.state);
        state.writer = Writer::Idle;
        state.paused = true;
        state.told = true;
        state.credit(credit)
    }

    /// Gives the writer token back and leaves what has gathered to gather on; the caller comes back by itself.
    pub fn leave_gathering(&self) {
        let mut state = lock(&self.state);
        state.writer = Writer::Idle;
        state.told = true;
    }

    /// Gives the writer token back until the connection takes bytes again.
    pub fn block(&self, credit: usize) -> bool {
        let mut state = lock(&self.state);
        state.writer = Writer::Blocked;
        state.told = true;
        state.credit(credit)
    }

    /// The connection is gone: returns credit for what was fully written and puts the rest back in front.
    /// The caller holds the writer token.
    pub fn detach(&self, credit: usize, unwritten: &mut VecDeque<Entry>) -> bool {
        let mut state = lock(&self.state);
        state.writer = Writer::Detached;
        state.granted = false;
        state.paused = false;
        state.watched = false;
        state.streaming = false;
        while let Some(entry) = unwritten.pop_back() {
            state.bytes += entry.len();
            state.messages += entry.messages();
            state.entries.push_front(entry);
        }
        state.credit(credit)
    }

    /// Starts a watch: the producer drains the queue itself and wakes nobody; the caller looks from time to
    /// time with [`watch`](Self::watch). Gives the writer token back. Returns whether the producer waits
    /// for room and there is some.
    pub fn start_watch(&self, credit: usize) -> bool {
        let mut state = lock(&self.state);
        state.watched = true;
        state.told = true;
        state.flushes_seen = state.flushes;
        state.bytes_seen = state.bytes;
        state.writer = Writer::Idle;
        state.credit(credit)
    }

    /// Looks at a watched stream.
    pub fn watch(&self) -> Watch {
        let mut state = lock(&self.state);
        // A producer that will soon have gathered a whole batch is left to write it.
        let grown = state.bytes.saturating_sub(state.bytes_seen) >= state.config.batch_bytes / WORTH_WAITING;
        let moved = state.flushes != state.flushes_seen || grown;
        state.flushes_seen = state.flushes;
        state.bytes_seen = state.bytes;
        if moved || matches!(state.writer, Writer::Busy | Writer::Blocked) {
            return Watch::Progress;
        }
        if !state.is_empty() && state.writer == Writer::Idle {
            state.take_token();
            return Watch::Stalled;
        }
        state.watched = false;
        state.streaming = false;
        state.told = false;
        Watch::Over
    }

    /// Drops everything that has gathered. Returns whether the producer waits for room and there is some.
    pub fn clear(&self) -> bool {
        let mut state = lock(&self.state);
        let messages = state.messages;
        state.discard();
        state.in_flight += messages; // `discard` took them out; `credit` reports the room they leave
        state.credit(messages)
    }

    /// Whether as much has gathered as a batch is to hold.
    pub fn is_batch_complete(&self) -> bool {
        lock(&self.state).is_batch_complete()
    }

    /// Messages in the queue or being written.
    pub fn in_flight(&self) -> usize {
        lock(&self.state).in_flight
    }

    /// Whether everything pushed has been taken.
    pub fn is_empty(&self) -> bool {
        lock(&self.state).is_empty()
    }

    /// Changes the high-water mark. Returns whether the producer waits for room and there is some now.
    pub fn set_hwm(&self, hwm: usize) -> bool {
        let mut state = lock(&self.state);
        state.config.hwm = hwm;
        // Not only from half the mark on: nothing need ever be credited that would tell the producer later.
        let unblocked = state.producer_blocked && !state.is_full();
        state.producer_blocked &= !unblocked;
        unblocked
    }
}

/// What a consumer learns from [`Queue::take`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use]
pub struct Taken {
    /// The producer ended the queue and nothing is left in it.
    pub ended: bool,
    /// The producer waits for room, and there is some: tell it.
    pub unblocked: bool,
}

impl State {
    #[inline]
    fn is_empty(&self) -> bool {
        self.messages == 0 && self.entries.is_empty()
    }

    #[inline]
    fn is_batch_complete(&self) -> bool {
        self.bytes >= self.config.batch_bytes
            || (self.config.batch_messages != 0 && self.messages >= self.config.batch_messages)
    }

    #[inline]
    fn take_token(&mut self) {
        self.writer = Writer::Busy;
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.config.hwm != 0 && self.in_flight >= self.config.hwm && !self.config.conflate
    }

    #[inline]
    fn admit(&mut self) -> Option<Pushed> {
        if !self.is_full() {
            return None;
        }
        if self.config.direct && self.writer == Writer::Idle && !self.is_empty() {
            self.grant_to_flush();
            return Some(Pushed::FlushFirst);
        }
        self.producer_blocked = true;
        Some(Pushed::Full)
    }

    /// Takes the writer token if the message may be written at once, and counts the message.
    #[inline]
    fn may_bypass(&mut self) -> bool {
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
    fn grant_to_flush(&mut self) {
        self.writer = Writer::Busy;
        self.granted = true;
        self.flushes += 1;
    }

    #[inline]
    fn append_one(&mut self, body: &mut Body<'_>) {
        let len = body.as_slice().len();
        self.messages += 1;
        self.in_flight += 1;
        if len >= BY_REFERENCE {
            self.seal();
            let entry = Entry::body(body.take(), false, Position::Whole);
            self.bytes += entry.len();
            self.entries.push_back(entry);
            return;
        }
        let mut header = [0; MAX_HEADER];
        let header_len = encode_header(false, len, &mut header);
        let open = self.open_with_room(header_len + len);
        open.extend_from_slice(&header[..header_len]);
        open.extend_from_slice(body.as_slice());
        self.open_messages += 1;
        self.bytes += header_len + len;
    }

    fn append_staged(&mut self, staging: &mut Staging) {
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
                for entry in staging.take_entries() {
                    self.bytes += entry.len();
                    self.entries.push_back(entry);
                }
            }
        }
    }

    fn append_entry(&mut self, entry: Entry) {
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
    fn seal(&mut self) {
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
    fn after_append(&mut self) -> Pushed {
        let may_write = self.writer == Writer::Idle && self.config.direct;
        if may_write && (self.is_batch_complete() || self.config.gather == Some(false)) {
            self.grant_to_flush();
            return Pushed::Write;
        }
        if !self.told || self.must_tell_again() { self.tell() } else { Pushed::Queued }
    }

    /// A consumer that lets messages gather for some time is told again when a batch is complete, if the
    /// producer may not write it itself.
    #[inline]
    fn must_tell_again(&self) -> bool {
        self.config.gather == Some(true) && !self.config.direct && self.is_batch_complete()
    }

    #[cold]
    fn tell(&mut self) -> Pushed {
        self.told = true;
        Pushed::Wake
    }

    #[inline]
    fn credit(&mut self, messages: usize) -> bool {
        debug_assert!(messages <= self.in_flight, "more messages credited than were pushed");
        self.in_flight = self.in_flight.saturating_sub(messages);
        // Half the mark: a producer that is woken finds room for more than one message.
        let room = self.config.hwm == 0 || self.in_flight <= self.config.hwm / 2;
        let unblocked = self.producer_blocked && room;
        if unblocked {
            self.producer_blocked = false;
        }
        unblocked
    }

    fn discard(&mut self) {
        self.entries.clear();
        self.in_flight = self.in_flight.saturating_sub(self.messages);
        if let Some(open) = &mut self.open {
            open.truncate(0);
        }
        (self.open_messages, self.messages, self.bytes) = (0, 0, 0);
    }

    fn recycle(&mut self, spent: &mut Vec<Buf>) {
        for buf in spent.drain(..) {
            if self.spare.len() < SPARE && (FIRST_CHUNK..=CHUNK_SIZE).contains(&buf.capacity()) {
                self.spare.extend(buf.into_mut().ok());
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
