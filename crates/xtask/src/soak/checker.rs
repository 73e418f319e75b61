//! What a receiver has seen of each stream, and what it may not see.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use super::message::{Damage, Head, Stream};

/// What the messages of a stream keep to, as one receiver sees them. None may ever come twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// All come, in order, from the first on.
    Whole,
    /// They come in order and may begin anywhere, but from there on none is missing, except that `also` more gaps are
    /// allowed; more still by [`Checker::allow_gap`].
    Run { also: u64 },
    /// What one connection carries is a run. How many connections there were is for the director to compare with the
    /// number of runs. With `side_by_side` a socket may have several connections to read from at a time, of which the
    /// older still hold what comes before: their runs may mix. Else runs come in order.
    Runs { side_by_side: bool },
    /// They come in order; any may be missing.
    Rising,
}

/// What a receiver must not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Damaged(Damage),
    /// Those from one number up to another are missing.
    Lost {
        stream: Stream,
        from: u64,
        to: u64,
    },
    Doubled {
        stream: Stream,
        number: u64,
    },
    /// It comes after the one with a higher number.
    Reordered {
        stream: Stream,
        number: u64,
        after: u64,
    },
    /// Something comes after the last.
    AfterTheEnd {
        stream: Stream,
        number: u64,
    },
    /// A stream whose last message must come has not had it, though many came since.
    Unfinished {
        stream: Stream,
        next: u64,
    },
    /// A message of a topic that is not subscribed to.
    Unwanted {
        head: Head,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Damaged(damage) => write!(f, "DAMAGED {damage:?}"),
            Fault::Lost { stream, from, to } => write!(f, "LOST {from}..{to} of {stream:?}"),
            Fault::Doubled { stream, number } => write!(f, "DOUBLED {number} of {stream:?}"),
            Fault::Reordered { stream, number, after } => {
                write!(f, "REORDERED {number} after {after} of {stream:?}")
            }
            Fault::AfterTheEnd { stream, number } => write!(f, "AFTER THE END {number} of {stream:?}"),
            Fault::Unfinished { stream, next } => write!(f, "UNFINISHED at {next}: {stream:?}"),
            Fault::Unwanted { head } => write!(f, "UNWANTED {head:?}"),
        }
    }
}

/// Numbers that came one after the other: from `first`, before `next`.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: u64,
    next: u64,
}

/// Runs of a stream that are told apart; more connections are hardly read side by side.
const SPANS: usize = 64;
/// Streams that are remembered: of those that ended, what came last could be late.
const STREAMS: usize = 512;
/// And so many of those that have not.
const MOST_STREAMS: usize = 16_384;
/// Streams that a successor is told of.
const RECENT: usize = 8;

/// One stream.
#[derive(Debug, Default)]
struct Track {
    /// In order of their numbers, none touching the next.
    spans: Vec<Span>,
    /// Below this, all runs are over and forgotten.
    over: u64,
    /// Gaps that are allowed and were not used.
    gaps: u64,
    /// Where it began for this receiver; 0 if what came before counts as lost.
    base: u64,
    received: u64,
    ended: bool,
    used: u64,
}

/// What is wrong with the order of a number.
enum Disorder {
    Lost { from: u64, to: u64 },
    Doubled,
    Reordered { after: u64 },
}

impl Track {
    fn next(&self) -> u64 {
        self.spans.last().map_or(self.over, |span| span.next)
    }

    fn lost(&self) -> u64 {
        (self.next() - self.base).saturating_sub(self.received)
    }

    /// Takes in a number. Returns whether it begins a run.
    fn accept(&mut self, number: u64, promise: Promise) -> Result<bool, Disorder> {
        let next = self.next();
        if !self.spans.is_empty() && number == next {
            self.spans.last_mut().expect("it is not empty").next += 1;
            return Ok(false);
        }
        if self.spans.iter().any(|span| (span.first..span.next).contains(&number)) {
            return Err(Disorder::Doubled);
        }
        if number < next {
            return self.accept_late(number, promise);
        }
        let begins = self.spans.is_empty();
        self.spans.push(Span { first: number, next: number + 1 });
        if self.spans.len() > SPANS {
            self.over = self.spans.remove(0).next;
        }
        let lost = Err(Disorder::Lost { from: next, to: number });
        match promise {
            Promise::Whole if begins && number == 0 => Ok(true),
            Promise::Whole => lost,
            Promise::Run { .. } if begins => {
                self.base = number;
                Ok(true)
            }
            Promise::Run { .. } if self.gaps > 0 => {
                self.gaps -= 1;
                Ok(true)
            }
            Promise::Run { .. } => lost,
            Promise::Runs { .. } | Promise::Rising => Ok(true),
        }
    }

    /// Takes in a number below the highest.
    fn accept_late(&mut self, number: u64, promise: Promise) -> Result<bool, Disorder> {
        let reordered = Disorder::Reordered { after: self.next() - 1 };
        if number < self.over || promise != (Promise::Runs { side_by_side: true }) {
            return Err(reordered);
        }
        let at = self.spans.iter().position(|span| span.first > number).unwrap_or(self.spans.len());
        let continues = at > 0 && self.spans[at - 1].next == number;
        if continues {
            self.spans[at - 1].next += 1;
        } else {
            self.spans.insert(at, Span { first: number, next: number + 1 });
        }
        let at = if continues { at - 1 } else { at };
        if at + 1 < self.spans.len() && self.spans[at].next == self.spans[at + 1].first {
            self.spans[at].next = self.spans[at + 1].next;
            self.spans.remove(at + 1);
        }
        Ok(!continues)
    }
}

/// What a receiver has seen.
#[derive(Debug)]
pub(super) struct Checker {
    promise: Promise,
    tracks: BTreeMap<Stream, Track>,
    counts: Counts,
    uses: u64,
}

/// How much it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// Runs without a gap; one per stream if nothing is lost.
    pub(super) runs: u64,
    /// Streams of which something has come.
    pub(super) streams: u64,
    /// Messages that are missing before others that have come, of streams that were forgotten since.
    lost_before: u64,
}

impl Checker {
    pub(super) fn new(promise: Promise) -> Self {
        Checker { promise, tracks: BTreeMap::new(), counts: Counts::default(), uses: 0 }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Messages that did not come although a later one of their stream did.
    pub(super) fn lost(&self) -> u64 {
        self.counts.lost_before + self.tracks.values().map(Track::lost).sum::<u64>()
    }

    /// Expects nothing below `next` of a stream: somebody else has received that.
    pub(super) fn begin_behind(&mut self, stream: Stream, next: u64) {
        let used = self.uses;
        self.tracks.insert(stream, Track { over: next, base: next, used, ..Track::default() });
    }

    /// What came last of the streams that something has come of lately, as the next number of each.
    pub(super) fn recent(&self) -> Vec<(Stream, u64)> {
        let mut recent: Vec<_> =
            self.tracks.iter().map(|(stream, track)| (track.used, *stream, track.next())).collect();
        recent.sort_unstable();
        recent.iter().rev().take(RECENT).map(|&(_, stream, next)| (stream, next)).collect()
    }

    /// The checker of another socket of the same lane.
    pub(super) fn successor(&self) -> Self {
        let mut successor = Checker::new(self.promise);
        self.recent().into_iter().for_each(|(stream, next)| successor.begin_behind(stream, next));
        successor
    }

    /// Nothing is on its way: gaps that are allowed and were not needed will not be, but for what comes next.
    pub(super) fn settle(&mut self) {
        self.tracks.values_mut().for_each(|track| track.gaps = track.gaps.min(1));
    }

    /// Allows for a subscription taken back and made anew, of each stream that `choose` names: of what was on its way, some
    /// may have been dropped, and behind that the publisher has sent nothing for a while.
    pub(super) fn allow_gap(&mut self, choose: impl Fn(Stream) -> bool) {
        for (_, track) in self.tracks.iter_mut().filter(|(stream, _)| choose(**stream)) {
            track.gaps += 2;
        }
    }

    /// Takes in a message. Returns its head if it is whole and nothing is wrong with its place.
    pub(super) fn accept<P: Deref<Target = [u8]>>(&mut self, parts: &[P]) -> Result<Head, Fault> {
        let head = Head::check(parts).map_err(Fault::Damaged)?;
        self.counts.messages += 1;
        self.counts.bytes += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        self.uses += 1;
        let (stream, number, promise) = (head.stream, head.number, self.promise);
        let mut forgotten = Ok(());
        if !self.tracks.contains_key(&stream) {
            self.counts.streams += 1;
            forgotten = self.make_place();
        }
        let track = self.tracks.entry(stream).or_insert_with(|| {
            let gaps = if let Promise::Run { also } = promise { also } else { 0 };
            Track { gaps, ..Track::default() }
        });
        track.used = self.uses;
        let ended = track.ended;
        track.ended |= head.last;
        match track.accept(number, promise) {
            Ok(begins) => {
                self.counts.runs += u64::from(begins);
                track.received += 1;
            }
            Err(Disorder::Doubled) => return Err(Fault::Doubled { stream, number }),
            Err(Disorder::Reordered { after }) => return Err(Fault::Reordered { stream, number, after }),
            Err(Disorder::Lost { from, to }) => {
                // Those after it are judged by themselves.
                track.received += 1;
                return Err(Fault::Lost { stream, from, to });
            }
        }
        if ended && promise == Promise::Whole {
            return Err(Fault::AfterTheEnd { stream, number });
        }
        forgotten.map(|()| head)
    }

    /// Forgets the stream that nothing has come of for longest, if there are many.
    fn make_place(&mut self) -> Result<(), Fault> {
        if self.tracks.len() < STREAMS {
            return Ok(());
        }
        // Those that go on are kept: as many connections may be open as come while the receiver pauses.
        let full = self.promise != Promise::Whole || self.tracks.len() >= MOST_STREAMS;
        let oldest = self.tracks.iter().filter(|(_, track)| full || track.ended);
        let Some((&stream, _)) = oldest.min_by_key(|(_, track)| track.used) else { return Ok(()) };
        let Some(track) = self.tracks.remove(&stream) else { return Ok(()) };
        self.counts.lost_before += track.lost();
        if self.promise == Promise::Whole && !track.ended {
            return Err(Fault::Unfinished { stream, next: track.next() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
