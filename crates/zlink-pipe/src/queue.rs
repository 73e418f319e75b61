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

mod state;
mod token;

use std::collections::VecDeque;

use crate::CHUNK_SIZE;
use crate::buf::Buf;
use crate::entry::Entry;
use crate::short_mutex::{ShortGuard, ShortMutex};
use crate::staging::{Body, Staging};
use state::State;
pub use token::{Holder, Limit, Release, Watch, Writer};

/// When the producer learns of the room that messages have left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Credit {
    /// At once.
    AtOnce,
    /// When so many have left that half the high-water mark, rounded up, is free again.
    InBatches,
    /// When it [asks](Queue::collect_credit), or waits for room and half the mark is free.
    OnDemand,
}

/// Limits and batching of a queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueConfig {
    /// Messages that may be in the queue, including those being written. 0: no limit.
    pub hwm: usize,
    /// When room counts.
    pub credit: Credit,
    /// Keep only the newest message.
    pub conflate: bool,
    /// Whether the consumer is another socket of the process, which takes what is queued as it is.
    pub local: bool,
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
            credit: Credit::AtOnce,
            conflate: false,
            local: false,
            direct: true,
            gather: None,
            batch_bytes: CHUNK_SIZE,
            batch_messages: 0,
        }
    }
}

/// Messages that end a consumer's nap, if the high-water mark does not ask for fewer.
const NAP: usize = 512;
/// Fewer are not worth it.
const SHORTEST_NAP: usize = 64;

/// Bytes that gather behind a writer before a producer that can wait had better do so.
const DEEP: usize = 1 << 20;

/// What became of a push, and what the producer must do now. A producer that was given the writer token asks
/// [`Queue::confirm`] before it uses it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Pushed {
    /// Queued; nothing to do.
    Queued,
    /// Queued; the consumer must be woken.
    Wake,
    /// Queued, as the first since all was taken. A [watcher](Queue::start_watch) looks at it by itself, if not at once.
    Watched,
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

/// One direction of a pipe. See the module's drawing for the states of its writer token.
pub struct Queue {
    state: ShortMutex<State>,
}

impl Queue {
    /// An empty queue without a connection.
    pub fn new(config: QueueConfig) -> Self {
        Queue { state: ShortMutex::new(State::new(config)) }
    }

    /// Locks the state for what may change what was [foreseen](State::foresee): for all but pushes of what was, and looks.
    #[inline]
    fn state(&self) -> ShortGuard<'_, State> {
        let mut state = self.state.lock();
        state.foreseen = 0;
        state
    }

    // --- producer ---

    /// Pushes a message of one part. On `Full` and `FlushFirst` the body is untouched.
    #[inline(always)]
    pub fn push_one(&self, body: &mut Body<'_>) -> Pushed {
        let mut state = self.state.lock();
        if state.append_foreseen(body) { Pushed::Queued } else { Queue::push_unforeseen(state, body) }
    }

    #[inline(never)]
    fn push_unforeseen(mut state: ShortGuard<'_, State>, body: &mut Body<'_>) -> Pushed {
        if let Body::Shared(frame) = body
            && state.append_foreseen_shared(frame)
        {
            return Pushed::Queued;
        }
        state.foreseen = 0;
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
        let pushed = state.after_append();
        state.foresee();
        pushed
    }

    /// Pushes the complete message in `staging` and empties it. The caller has seen with
    /// [`check_room`](Self::check_room) before the first part that there is room: the high-water mark never
    /// cuts a message. On `Bypass` the message stays in `staging`.
    pub fn push_staged(&self, staging: &mut Staging) -> Pushed {
        let mut state = self.state();
        if state.config.conflate {
            state.discard();
        }
        if state.may_bypass() {
            return Pushed::Bypass;
        }
        state.append_staged(staging);
        state.after_append()
    }

    /// How many messages would be admitted now, at least one, if nothing but those is pushed and the high-water mark stays;
    /// `usize::MAX` without one.
    ///
    /// # Errors
    ///
    /// The answer that a push would get: `Full`, or `FlushFirst` with the writer token.
    pub fn check_room(&self) -> Result<usize, Pushed> {
        let mut state = self.state();
        match state.admit() {
            None => Ok(state.left()),
            Some(refused) => Err(refused),
        }
    }

    /// Lets the room that was withheld by [`Credit::OnDemand`] count. Returns whether there was any, and there is room
    /// now.
    pub fn collect_credit(&self) -> bool {
        let mut state = self.state();
        let withheld = state.withholds();
        state.collect();
        let room = withheld && !state.is_full();
        state.producer_blocked &= !room;
        room
    }

    /// Whether there is room that the producer has to [ask](Self::collect_credit) for.
    pub fn withholds_credit(&self) -> bool {
        self.state.lock().withholds()
    }

    /// Whether more messages are in the queue, or being written, than the high-water mark allows.
    pub fn is_beyond_mark(&self) -> bool {
        let state = self.state.lock();
        state.config.hwm != 0 && state.in_flight > state.config.hwm
    }

    /// Whether a message would be admitted now, with all room counted. Notes that the producer waits if not.
    pub fn has_room(&self) -> bool {
        let mut state = self.state();
        state.collect();
        let full = state.is_full();
        state.producer_blocked |= full;
        !full
    }

    /// Whether so much has gathered behind the writer, or until there is a connection that takes bytes, that a producer that
    /// can wait should do so for a moment, and notes then that it waits. Memory of large messages that goes round among a
    /// few of them stays in the processor's caches; in a queue as long as the high-water mark allows each message has its
    /// own.
    ///
    /// Asked before each message that is to be pushed by such a producer.
    pub fn is_deep(&self) -> bool {
        let mut state = self.state();
        let waits = !state.config.local && state.writer != Writer::Idle;
        let deep = waits && state.bytes >= DEEP && !state.hurry.takes_one();
        state.producer_blocked |= deep;
        deep
    }

    /// The producer has waited for a moment: a message may be pushed although the queue is [deep](Self::is_deep), and twice
    /// as many each time after that until the connection has taken one.
    pub fn hurry(&self) {
        self.state().hurry.double();
    }

    /// Whether the producer should gather instead of bypassing, from now until a watch finds a gap; in a queue whose
    /// consumer is a socket, whether that may [nap](Self::begin_nap), until a nap finds little.
    pub fn set_streaming(&self, streaming: bool) {
        self.state().streaming = streaming;
    }

    /// Whether the writer token that the producer was given is still good. It is not if the connection went
    /// down in between, even if there is another by now: what was gathered went back into the queue, or never
    /// left it, and a message that bypassed it belongs there too, by [`push_bypassed`](Self::push_bypassed).
    ///
    /// The producer asks once, before it writes, under the lock under which connections are taken down.
    pub fn confirm(&self) -> bool {
        std::mem::take(&mut self.state().granted)
    }

    /// Gives the writer token of a `Bypass` back, and a stream begins with the message, which is to be pushed again. The
    /// stream ends with the message that makes them `last`, if that is not 0: the producer writes them then. Returns false
    /// if messages are not to be gathered.
    pub fn decline_bypass(&self, last: usize) -> bool {
        let mut state = self.state();
        if state.config.gather.is_some() {
            return false;
        }
        state.in_flight -= 1;
        // Or the connection went down in between.
        if std::mem::take(&mut state.granted) {
            state.writer = Writer::Idle;
            state.streaming = true;
            state.last = last;
        }
        true
    }

    /// The stream that gathers ends with the message that makes them `last`, if nobody writes before: the producer writes
    /// them then.
    pub fn set_last(&self, last: usize) {
        self.state().last = last;
    }

    /// Queues a message that was counted by a `Bypass` but could not be written, because the connection went
    /// down in between. Returns whether the consumer must be woken: there may be another connection.
    #[must_use]
    pub fn push_bypassed(&self, entries: impl Iterator<Item = Entry>) -> bool {
        let mut state = self.state();
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
        let mut state = self.state();
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
        let mut state = self.state();
        if state.config.hwm == 0 || state.config.conflate {
            return usize::MAX;
        }
        let room = state.config.hwm.saturating_sub(state.in_flight);
        state.producer_blocked |= room == 0;
        room
    }

    /// Whether application threads do what they can of the reading and writing themselves.
    pub fn is_direct(&self) -> bool {
        self.state.lock().config.direct
    }

    /// Bytes that the consumer has not taken yet.
    pub fn untaken(&self) -> usize {
        self.state.lock().bytes
    }

    /// Whether the consumer has not taken so many `bytes` yet, and the producer rests therefore. If it is to be `told`, the
    /// consumer finds `unblocked` when it takes them.
    pub fn begin_rest(&self, bytes: usize, told: bool) -> bool {
        let mut state = self.state();
        let rests = state.bytes >= bytes;
        state.producer_rests = rests && told;
        rests
    }

    /// The producer rests no longer.
    pub fn end_rest(&self) {
        self.state().producer_rests = false;
    }

    /// Tells the consumer that nothing more will come. Returns whether it must be woken.
    pub fn end(&self) -> bool {
        let mut state = self.state();
        state.ended = true;
        !std::mem::replace(&mut state.told, true)
    }

    // --- a socket as consumer ---

    /// Takes everything that has gathered into `out`, which must be empty, hands emptied buffers back and
    /// returns credit for `credit` messages. If there was nothing, the next push asks for a wake-up.
    pub fn take(&self, out: &mut VecDeque<Entry>, spent: &mut Vec<Buf>, credit: usize) -> Taken {
        debug_assert!(out.is_empty());
        let mut state = self.state();
        state.recycle(spent);
        let unblocked = state.credit(credit) | std::mem::take(&mut state.producer_rests);
        state.seal();
        std::mem::swap(&mut state.entries, out);
        state.bytes = 0;
        state.messages = 0;
        let empty = out.is_empty();
        if empty {
            state.told = false;
        }
        Taken { ended: empty && state.ended, unblocked, batch: state.batch() }
    }

    /// The consumer of a stream has found nothing, and is about to sleep for a moment: it will look again by itself, and
    /// is told before only if many messages have gathered. Otherwise it would be woken for the first of them, and be
    /// through with it before the second comes: two threads that hand a lock to and fro, a message at a time.
    ///
    /// Returns false if something has come since it looked, or is to be told of at once.
    pub fn begin_nap(&self) -> bool {
        let mut state = self.state();
        // Less than the half of the mark that a consumer with nothing at hand has given back: the producer is not
        // refused before.
        let messages = if state.config.hwm == 0 { NAP } else { NAP.min(state.config.hwm / 4) };
        if state.told || state.ended || !state.streaming || !state.may_nap || messages < SHORTEST_NAP {
            return false;
        }
        state.nap = messages;
        true
    }

    /// The consumer looks again after a nap. Returns whether there is something that it was not told of.
    pub fn end_nap(&self) -> bool {
        let mut state = self.state();
        if state.nap != 0 {
            // It was not told: the stream is over, or slow enough to be heard of message by message.
            state.streaming &= state.messages >= SHORTEST_NAP;
            state.nap = 0;
        }
        let untold = !state.told && !state.is_empty();
        state.told |= untold;
        untold
    }

    /// The consumer is told of every message at once from now on.
    pub fn forbid_naps(&self) {
        self.state().may_nap = false;
    }

    /// Whether the producer ended the queue.
    pub fn is_ended(&self) -> bool {
        self.state.lock().ended
    }

    /// Returns credit for `messages` messages that were read. Returns whether the producer waits for room
    /// and there is enough now.
    pub fn credit(&self, messages: usize) -> bool {
        self.state().credit(messages)
    }

    /// Drops everything that has gathered. Returns whether the producer waits for room and there is some.
    pub fn clear(&self) -> bool {
        let mut state = self.state();
        state.discard();
        (state.held, state.phase) = (0, 0);
        state.credit(0)
    }

    /// Whether as much has gathered as a batch is to hold.
    pub fn is_batch_complete(&self) -> bool {
        self.state.lock().is_batch_complete()
    }

    /// Messages in the queue or being written.
    pub fn in_flight(&self) -> usize {
        self.state.lock().in_flight
    }

    /// Messages in the queue or being written, and those that have left since the last whole batch of half the mark:
    /// what a producer that is told of room in batches takes to be under way.
    pub fn unacknowledged(&self) -> usize {
        let state = self.state.lock();
        let left = if state.config.credit == Credit::AtOnce { 0 } else { state.phase };
        state.in_flight + left
    }

    /// Whether everything pushed has been taken.
    pub fn is_empty(&self) -> bool {
        self.state.lock().is_empty()
    }

    /// Changes the high-water mark. Returns whether the producer waits for room and there is some now.
    pub fn set_hwm(&self, hwm: usize) -> bool {
        let mut state = self.state();
        state.config.hwm = hwm;
        if state.phase >= state.batch() {
            (state.phase, state.held) = (0, 0);
        }
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
    /// The producer waits for room, and there is some, or it rests: tell it.
    pub unblocked: bool,
    /// Messages whose room is told of together. 0: there is no mark.
    pub batch: usize,
}

#[cfg(all(test, not(loom)))]
mod tests;
