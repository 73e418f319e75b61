//! A connection as a queue's consumer: the writer token, and what its holder does with it.

use std::collections::VecDeque;

use super::Queue;
use crate::buf::Buf;
use crate::entry::Entry;

/// A watched producer that gathers at least this part of a batch between two looks is left to go on.
const WORTH_WAITING: usize = 4;
/// Looks in a row that may find nothing before a stream is over, for a patient watcher.
const IDLE_LOOKS: u8 = 3;

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

/// Who holds the writer token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    /// The producer's thread.
    Producer,
    /// An I/O thread.
    IoThread,
}

/// What ends a batch before its writer would take it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// [`QueueConfig::batch_bytes`](super::QueueConfig::batch_bytes).
    Bytes,
    /// [`QueueConfig::batch_messages`](super::QueueConfig::batch_messages).
    Messages,
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

impl Queue {
    /// Gives the queue a connection; the caller holds the writer token.
    pub fn attach(&self) {
        let mut state = self.state();
        debug_assert_eq!(state.writer, Writer::Detached);
        state.writer = Writer::Busy;
        state.told = true;
    }

    /// Takes the writer token if nobody holds it.
    pub fn acquire(&self) -> bool {
        let mut state = self.state();
        let free = matches!(state.writer, Writer::Idle | Writer::Blocked);
        if free {
            state.take_token();
        }
        free
    }

    /// Takes the writer token if nobody holds it and the connection takes bytes, as far as is known.
    pub fn acquire_idle(&self) -> bool {
        let mut state = self.state();
        let free = state.writer == Writer::Idle;
        if free {
            state.take_token();
        }
        free
    }

    /// Takes the writer token for the producer if something has gathered that it may write.
    pub fn acquire_to_flush(&self) -> bool {
        let mut state = self.state();
        let take = state.config.direct && state.writer == Writer::Idle && !state.is_empty();
        if take {
            state.grant_to_flush();
        }
        take
    }

    /// Takes the writer token for a producer that would have to wait for the connection, if nobody holds it: he writes then
    /// himself, and waits for the kernel rather than for somebody who waits for that.
    pub fn acquire_to_take_over(&self) -> bool {
        let mut state = self.state();
        let take = state.config.direct && matches!(state.writer, Writer::Idle | Writer::Blocked);
        if take {
            state.grant_to_flush();
        }
        take
    }

    /// Takes the writer token if nobody holds it and something has gathered, or its last holder
    /// [paused](Self::pause).
    pub fn acquire_gathered(&self) -> bool {
        let mut state = self.state();
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
        self.state.lock().writer
    }

    /// Appends everything that has gathered to `out`, and tells which limit that has reached. The caller holds the writer
    /// token.
    pub fn take_for_write(&self, out: &mut VecDeque<Entry>, spent: &mut Vec<Buf>) -> Option<Limit> {
        let mut state = self.state();
        let reached = state.reached();
        state.recycle(spent);
        state.seal();
        if out.is_empty() {
            std::mem::swap(&mut state.entries, out);
        } else {
            out.append(&mut state.entries);
        }
        state.bytes = 0;
        state.messages = 0;
        state.last = 0;
        reached
    }

    /// Returns credit for `credit` written messages and the writer token, unless more has gathered. An I/O
    /// thread also keeps the token while a stream is on, to begin or go on with a watch.
    pub fn release(&self, by: Holder, credit: usize) -> Release {
        let mut state = self.state();
        let unblocked = state.credit(credit);
        let more = !state.is_empty();
        let streaming = state.streaming && state.config.direct;
        // An I/O thread that has written the gathered part of a stream stays to watch it.
        let stays = streaming && by == Holder::IoThread;
        state.slow &= more;
        if !more && !stays {
            state.writer = Writer::Idle;
            state.told = state.watched;
        }
        Release { more, gathered: state.bytes, streaming, unblocked }
    }

    /// Gives the writer token back although more may have gathered or is still in hand; the caller sees to it
    /// that somebody comes back by [`acquire_gathered`](Self::acquire_gathered).
    pub fn pause(&self, credit: usize) -> bool {
        let mut state = self.state();
        state.writer = Writer::Idle;
        state.paused = true;
        state.told = true;
        state.credit(credit)
    }

    /// Gives the writer token back and leaves what has gathered to gather on; the caller comes back by itself.
    pub fn leave_gathering(&self) {
        let mut state = self.state();
        state.writer = Writer::Idle;
        state.told = true;
    }

    /// Gives the writer token back until the connection takes bytes again.
    pub fn block(&self, credit: usize) -> bool {
        let mut state = self.state();
        state.writer = Writer::Blocked;
        state.slow = true;
        state.told = true;
        state.credit(credit)
    }

    /// The connection is gone: returns credit for what was fully written and puts the rest back in front.
    /// The caller holds the writer token.
    pub fn detach(&self, credit: usize, unwritten: &mut VecDeque<Entry>) -> bool {
        let mut state = self.state();
        state.writer = Writer::Detached;
        state.slow = false;
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
        let mut state = self.state();
        state.watched = true;
        state.told = true;
        state.flushes_seen = state.flushes;
        state.bytes_seen = state.bytes;
        state.writer = Writer::Idle;
        state.credit(credit)
    }

    /// Looks at a watched stream. One that nothing has come of is over; for one who is `patient`, if that is so several times
    /// in a row.
    pub fn watch(&self, patient: bool) -> Watch {
        let mut state = self.state();
        // A producer that will soon have gathered a whole batch is left to write it.
        let grown = state.bytes.saturating_sub(state.bytes_seen) >= state.config.batch_bytes / WORTH_WAITING;
        let moved = state.flushes != state.flushes_seen || grown;
        state.flushes_seen = state.flushes;
        state.bytes_seen = state.bytes;
        let idle_looks = std::mem::take(&mut state.idle_looks);
        if moved || matches!(state.writer, Writer::Busy | Writer::Blocked) {
            return Watch::Progress;
        }
        if !state.is_empty() && state.writer == Writer::Idle {
            state.take_token();
            return Watch::Stalled;
        }
        if patient && idle_looks < IDLE_LOOKS {
            state.idle_looks = idle_looks + 1;
            return Watch::Progress;
        }
        state.watched = false;
        state.streaming = false;
        state.told = false;
        Watch::Over
    }
}
