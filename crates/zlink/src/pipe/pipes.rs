//! A socket's pipes, all of them.

use std::sync::Arc;

use zlink_pipe::{BY_REFERENCE, Body};

use super::{Collected, Full, Part, PipeEnd, Sink};
use crate::attach::Link;
use crate::engine::stats::SocketCounters;
use crate::inbox::PipeId;

/// So many different pipes are noted as sent to; beyond that, a flush looks at all.
const MANY: usize = 64;

/// A socket's pipes, by index, and what patterns need besides.
#[derive(Default)]
pub(crate) struct Pipes {
    slots: Vec<Option<PipeEnd>>,
    /// Pipes in `slots`.
    count: usize,
    /// Receives so far: a send after a receive is no stream.
    pub(crate) receives: u64,
    /// The send under way may wait for a moment.
    pub(crate) patient: bool,
    deep: Option<usize>,
    /// Pipes that refused a message because the room that others have left was not asked for.
    refused: Vec<usize>,
    /// Pipes that a pattern wants closed; the socket does it after the call.
    to_close: Vec<usize>,
    /// The same, of which peers still get what is queued.
    to_retire: Vec<usize>,
    /// Pipes sent to since the last flush, some of them twice; with `MANY`, any pipe may be one.
    sent_to: Vec<usize>,
    /// The pipe that the last part came from.
    pub(crate) last_read: usize,
    pub(crate) counters: Arc<SocketCounters>,
}

impl Pipes {
    pub(crate) fn new(counters: Arc<SocketCounters>) -> Self {
        Pipes { counters, ..Pipes::default() }
    }

    pub(crate) fn insert(&mut self, pipe: PipeEnd) -> usize {
        let index = pipe.id.index as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        self.count += usize::from(self.slots[index].replace(pipe).is_none());
        index
    }

    pub(crate) fn remove(&mut self, index: usize) -> Option<PipeEnd> {
        let pipe = self.slots.get_mut(index)?.take()?;
        self.count -= 1;
        while self.slots.last().is_some_and(Option::is_none) {
            self.slots.pop();
        }
        // Some hundred bytes for each of thousands that have gone.
        if self.slots.len() < self.slots.capacity() / 4 {
            self.slots.shrink_to(self.slots.len() * 2);
        }
        Some(pipe)
    }

    #[inline]
    pub(crate) fn get(&mut self, index: usize) -> Option<&mut PipeEnd> {
        self.slots.get_mut(index)?.as_mut()
    }

    /// The pipe that news is about, unless it has been replaced since.
    pub(crate) fn find(&mut self, id: PipeId) -> Option<usize> {
        let index = id.index as usize;
        (self.get(index)?.id == id).then_some(index)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) fn indexes(&self) -> impl Iterator<Item = usize> + '_ {
        self.slots.iter().enumerate().filter(|(_, slot)| slot.is_some()).map(|(index, _)| index)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &PipeEnd> {
        self.slots.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut PipeEnd)> {
        self.slots.iter_mut().enumerate().filter_map(|(index, slot)| Some((index, slot.as_mut()?)))
    }

    /// Sends a message of one part to `index`. On `Full` the body is untouched.
    #[inline(always)]
    pub(crate) fn send(&mut self, index: usize, body: &mut Body<'_>) -> Result<(), Full> {
        let receives = self.receives;
        let patient = body.as_slice().len() >= BY_REFERENCE && self.is_patient();
        if patient && self.is_deep(index) {
            return Err(Full);
        }
        self.note_sent_to(index);
        let pipe = self.get(index).ok_or(Full)?;
        pipe.patient = patient;
        let sent = pipe.send(body, receives);
        if sent.is_err() {
            self.note_refusal(index);
        }
        sent
    }

    /// Whether the sender may wait for the connection although there is room. With several peers it would wait for one of
    /// them while the others are idle.
    #[inline]
    fn is_patient(&self) -> bool {
        self.patient && self.count == 1
    }

    /// Whether the sender waits for the connection to take what has gathered: see [`Queue::is_deep`](zlink_pipe::Queue::is_deep).
    fn is_deep(&mut self, index: usize) -> bool {
        let deep = self.is_patient() && self.get(index).is_some_and(|pipe| pipe.out.is_deep());
        if deep {
            self.deep = Some(index);
        }
        deep
    }

    /// The pipe that a message was refused by because the sender is patient.
    pub(crate) fn take_deep(&mut self) -> Option<usize> {
        self.deep.take()
    }

    /// Has the patient sender write what has gathered in that pipe. Returns whether nothing is left of it.
    pub(crate) fn take_over(&mut self, index: usize) -> bool {
        self.get(index).is_some_and(PipeEnd::take_over)
    }

    /// The sender's patience with that pipe is at its end.
    pub(crate) fn hurry(&mut self, index: usize) {
        if let Some(pipe) = self.get(index) {
            pipe.out.hurry();
        }
    }

    /// As [`send`](Self::send), for a message that is not to be refused while there is any room.
    pub(crate) fn send_or_drop(&mut self, index: usize, body: &mut Body<'_>) -> Result<(), Full> {
        let receives = self.receives;
        self.note_sent_to(index);
        let pipe = self.get(index).ok_or(Full)?;
        pipe.patient = false;
        let sent = pipe.send(body, receives);
        // It may also have come since, and with it the news that there is room.
        if sent.is_err() && pipe.has_room() {
            return pipe.send(body, receives);
        }
        sent
    }

    /// Whether the first part of a message to `index` would be taken.
    pub(crate) fn check_room(&mut self, index: usize) -> Result<(), Full> {
        if self.is_deep(index) {
            return Err(Full);
        }
        let checked = self.get(index).ok_or(Full)?.check_room();
        if checked.is_err() {
            self.note_refusal(index);
        }
        checked
    }

    /// As [`check_room`](Self::check_room), for a message that is not to be refused while there is any room.
    pub(crate) fn check_room_or_drop(&mut self, index: usize) -> Result<(), Full> {
        let pipe = self.get(index).ok_or(Full)?;
        let checked = pipe.check_room();
        if checked.is_err() && pipe.has_room() {
            return pipe.check_room();
        }
        checked
    }

    /// Whether no more are on their way to `index` than its mark allows. The peer of a REP asks again once it has the last
    /// reply, before whoever wrote that has counted it out: the reply to that goes beyond the mark, by one.
    pub(crate) fn has_one_over(&mut self, index: usize) -> bool {
        self.get(index).is_some_and(|pipe| !pipe.gone && !pipe.out.is_beyond_mark())
    }

    #[cold]
    fn note_refusal(&mut self, index: usize) {
        let withheld = self.get(index).is_some_and(|pipe| pipe.out.withholds_credit());
        if withheld && !self.refused.contains(&index) {
            self.refused.push(index);
        }
    }

    /// Whether a pipe refused a message although others have left room.
    pub(crate) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Lets the room count that others have left, where it was withheld from a message: now, if the sender waits, or
    /// else after a while. Returns the pipes that have room then.
    pub(crate) fn collect_credit(&mut self, waits: bool) -> Vec<usize> {
        let (mut roomier, receives) = (Vec::new(), self.receives);
        let mut refused = std::mem::take(&mut self.refused);
        refused.retain(|&index| {
            let collected = self.get(index).map(|pipe| pipe.collect_credit(waits, receives));
            if collected == Some(Collected::Room) {
                roomier.push(index);
            }
            collected == Some(Collected::Early)
        });
        self.refused = refused;
        roomier
    }

    /// Adds a part to the message under way to `index`; see [`PipeEnd::send_part`].
    pub(crate) fn send_part(&mut self, index: usize, body: &mut Body<'_>, more: bool) {
        let (receives, patient) = (self.receives, self.is_patient());
        self.note_sent_to(index);
        if let Some(pipe) = self.get(index) {
            pipe.patient = patient && (body.as_slice().len() >= BY_REFERENCE || !pipe.staging.is_small());
            pipe.send_part(body, more, receives);
        }
    }

    #[inline]
    fn note_sent_to(&mut self, index: usize) {
        if self.sent_to.last() != Some(&index) && self.sent_to.len() < MANY {
            self.sent_to.push(index);
        }
    }

    /// Writes what has gathered, before the thread waits for what the peers answer to it.
    pub(crate) fn flush(&mut self) {
        if self.sent_to.len() == MANY {
            self.iter().for_each(PipeEnd::flush);
        } else {
            for &index in &self.sent_to {
                if let Some(Some(pipe)) = self.slots.get(index) {
                    pipe.flush();
                }
            }
        }
        self.sent_to.clear();
    }

    /// Counts a send that waits a moment for the peer at `index`.
    pub(crate) fn count_paced(&mut self, index: usize) {
        match self.get(index).map(|pipe| &pipe.link) {
            Some(Link::Session(session)) => session.counters.pace(),
            _ => self.counters.own.pace(),
        }
    }

    /// Counts a message to the peer at `index`, or from it, as dropped.
    pub(crate) fn count_dropped(&mut self, index: usize) {
        self.counters.own.drop_message();
        if let Some(pipe) = self.get(index) {
            pipe.dropped += 1;
        }
    }

    /// Reads a part from `index`, which has one. Returns whether another follows.
    #[inline]
    pub(crate) fn read(&mut self, index: usize, sink: &mut Sink<'_>) -> bool {
        self.last_read = index;
        self.get(index).is_some_and(|pipe| pipe.read(sink))
    }

    /// Reads a part from `index`, if there is one.
    #[inline(always)]
    pub(crate) fn receive(&mut self, index: usize, sink: &mut Sink<'_>) -> Option<Part> {
        let pipe = self.slots.get_mut(index)?.as_mut()?;
        if !pipe.has_input() {
            return None;
        }
        self.last_read = index;
        Some(Part { more: pipe.read(sink), gone: pipe.gone })
    }

    #[inline]
    pub(crate) fn has_input(&mut self, index: usize) -> bool {
        self.get(index).is_some_and(PipeEnd::has_input)
    }

    /// Whether the peer is a socket of the process.
    pub(crate) fn is_local(&mut self, index: usize) -> bool {
        self.get(index).is_some_and(|pipe| matches!(pipe.link, Link::Inproc(_)))
    }

    pub(crate) fn has_room(&mut self, index: usize) -> bool {
        self.get(index).is_some_and(|pipe| pipe.has_room())
    }

    /// Asks the socket to close `index` once the pattern has returned.
    pub(crate) fn close_later(&mut self, index: usize) {
        self.to_close.push(index);
    }

    /// Asks the socket to close `index` once the pattern has returned and the peer has got what is queued.
    pub(crate) fn retire_later(&mut self, index: usize) {
        self.to_retire.push(index);
    }

    pub(crate) fn take_to_retire(&mut self) -> Option<usize> {
        self.to_retire.pop()
    }

    pub(crate) fn take_to_close(&mut self) -> Option<usize> {
        self.to_close.pop()
    }
}

#[cfg(test)]
mod tests {
    use zlink_zmtp::SocketType;

    use crate::pattern;
    use crate::pattern::testing::Rig;

    #[test]
    fn what_thousands_of_pipes_have_taken_is_given_back_and_the_lowest_indexes_come_first() {
        let mut rig = Rig::new(pattern::new(SocketType::Pull));
        let mut peers: Vec<_> = (0..1000).map(|_| rig.attach("")).collect();
        let room = rig.pipes.slots.capacity();
        assert!(room >= 1000);
        let gone: Vec<_> = peers.drain(3..).collect();
        for peer in &gone[7..] {
            rig.detach(peer);
        }
        assert!(rig.pipes.slots.capacity() < room / 20, "{}", rig.pipes.slots.capacity());
        assert_eq!(rig.pipes.indexes().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        for i in [5, 1, 3] {
            rig.detach(&gone[i]);
        }
        assert_eq!(rig.pipes.slots.len(), 10, "one beyond them is left");
        let again = [rig.attach(""), rig.attach("")];
        assert_eq!(rig.pipes.indexes().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7, 9]);
        gone.iter().chain(&peers).for_each(|peer| rig.detach(peer));
        assert_eq!(rig.pipes.slots.len(), 7);
        again.iter().for_each(|peer| rig.detach(peer));
        assert!(rig.pipes.is_empty());
    }
}
