//! Sending a message to some or all pipes at once.

use zlink_pipe::{Body, LOCAL_BY_REFERENCE, SharedFrames};

use crate::pipe::Pipes;

/// Peers that a message goes to from which on its frame is shared, instead of being copied for each.
const MANY: usize = 4;

/// What is known of a pipe, by its index.
#[derive(Clone, Copy, Default)]
struct Slot {
    attached: bool,
    /// Not found full since it last said that it has room.
    room: bool,
    /// The number of the message that it was last selected for, and has not missed.
    selected_for: u64,
}

/// Sends each message to the pipes selected for it. A pipe without room misses the message, as a whole;
/// the others do not wait for it.
///
/// A message is [begun](Self::begin), pipes are selected, and its parts sent. The selection holds to the
/// message's end: a pipe that comes in between gets nothing of it.
#[derive(Default)]
pub(super) struct Distributor {
    slots: Vec<Slot>,
    pipes: Vec<usize>,
    /// Those the message under way goes to; kept after its end until the next is begun.
    selected: Vec<usize>,
    /// Messages begun so far: marks what is selected without unmarking the rest each time.
    message: u64,
    under_way: bool,
    /// Those that the part last sent did not reach, for want of room.
    missed: Vec<usize>,
    /// Where messages that many get are framed.
    frames: SharedFrames,
}

impl Distributor {
    pub(super) fn attach(&mut self, pipe: usize) {
        if self.slots.len() <= pipe {
            self.slots.resize(pipe + 1, Slot::default());
        }
        if !self.slots[pipe].attached {
            self.pipes.push(pipe);
        }
        self.slots[pipe] = Slot { attached: true, room: true, selected_for: 0 };
    }

    pub(super) fn detach(&mut self, pipe: usize) {
        if let Some(slot) = self.slots.get_mut(pipe) {
            *slot = Slot::default();
        }
        self.pipes.retain(|&other| other != pipe);
        self.selected.retain(|&other| other != pipe);
    }

    /// All pipes.
    pub(super) fn pipes(&self) -> &[usize] {
        &self.pipes
    }

    /// Whether the pipe is not known to be full.
    pub(super) fn has_room(&self, pipe: usize) -> bool {
        self.slots.get(pipe).is_some_and(|slot| slot.room)
    }

    /// Notes whether the pipe has room.
    pub(super) fn set_room(&mut self, pipe: usize, room: bool) {
        if let Some(slot) = self.slots.get_mut(pipe) {
            slot.room = slot.attached && room;
        }
    }

    /// Whether a message lacks further parts.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Begins a message, with no pipe selected.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.message += 1;
        self.selected.clear();
    }

    /// Selects a pipe for the message begun; once is enough.
    #[inline]
    pub(super) fn select(&mut self, pipe: usize) {
        if let Some(slot) = self.slots.get_mut(pipe)
            && slot.attached
            && slot.selected_for != self.message
        {
            slot.selected_for = self.message;
            self.selected.push(pipe);
        }
    }

    pub(super) fn select_all(&mut self) {
        for at in 0..self.pipes.len() {
            self.select(self.pipes[at]);
        }
    }

    /// Selects those that are not selected, and only those.
    pub(super) fn invert(&mut self) {
        self.selected.clear();
        for &pipe in &self.pipes {
            let slot = &mut self.slots[pipe];
            if slot.selected_for == self.message {
                slot.selected_for = 0;
            } else {
                slot.selected_for = self.message;
                self.selected.push(pipe);
            }
        }
    }

    /// Whether all selected pipes take the message. If not, the one without room will say when it has some.
    #[inline]
    pub(super) fn all_have_room(&mut self, pipes: &mut Pipes) -> bool {
        self.selected.iter().all(|&pipe| {
            let slot = &mut self.slots[pipe];
            slot.room = slot.room && pipes.check_room(pipe).is_ok();
            slot.room
        })
    }

    /// Whether the message last sent a part of goes, or went, to `pipe`.
    pub(super) fn reached(&self, pipe: usize) -> bool {
        self.slots.get(pipe).is_some_and(|slot| slot.attached && slot.selected_for == self.message)
    }

    /// Sends a part to the selected pipes. Returns those of them that are found now to miss the message.
    #[inline(always)]
    pub(super) fn send(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, more: bool) -> &[usize] {
        self.missed.clear();
        if self.selected.is_empty() && self.frames.parts() == 0 {
            // Nobody wants it.
            self.under_way = more;
            return &[];
        }
        self.send_to_selected(pipes, body, more)
    }

    fn send_to_selected(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, more: bool) -> &[usize] {
        let first = !self.under_way;
        self.under_way = more;
        if self.shares(pipes, body, first, more) {
            self.send_shared(pipes, body, first, more);
            return &self.missed;
        }
        if self.frames.parts() > 0 {
            // The message becomes too long to be framed as a whole.
            for (at, mut part) in self.frames.take_parts().into_iter().enumerate() {
                self.send_each(pipes, &mut Body::Message(&mut part), at == 0, true);
            }
        }
        self.send_each(pipes, body, first, more);
        &self.missed
    }

    /// Whether the message is framed once for all who get it.
    fn shares(&self, pipes: &mut Pipes, body: &Body<'_>, first: bool, more: bool) -> bool {
        let begun = if first {
            // Sockets of the process take larger parts by reference.
            self.selected.len() >= MANY && !(more && self.selected.iter().any(|&pipe| pipes.is_local(pipe)))
        } else {
            self.frames.parts() > 0
        };
        begun && !body.goes_by_reference() && self.frames.takes(body.as_slice())
    }

    /// Frames a part, and sends the message with its last one.
    fn send_shared(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, first: bool, more: bool) {
        if first && more {
            self.retain(|slot, pipe| slot.room && pipes.check_room_or_drop(pipe).is_ok());
        }
        let mut frames = std::mem::take(&mut self.frames);
        if let Some(frame) = frames.add(body.as_slice(), more) {
            // None of several parts goes to a socket of the process.
            let local = match body {
                Body::Message(message) if frame.is_single() && message.len() >= LOCAL_BY_REFERENCE => {
                    Some(body.take())
                }
                _ => None,
            };
            self.retain(|slot, pipe| {
                if first && !slot.room {
                    return false;
                }
                let sent = match &local {
                    Some(message) if pipes.is_local(pipe) => {
                        pipes.send_or_drop(pipe, &mut Body::Message(&mut message.clone()))
                    }
                    _ => pipes.send_or_drop(pipe, &mut Body::Shared(&frame)),
                };
                sent.is_ok()
            });
        }
        self.frames = frames;
    }

    /// Sends a part to each of the selected pipes by itself.
    fn send_each(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, first: bool, more: bool) {
        // One body for all: what travels by reference would otherwise be copied for each, or gone with the first.
        let by_reference = body.goes_by_reference();
        let takes = by_reference || matches!(body, Body::Message(_));
        let shared = (self.selected.len() > 1 && takes).then(|| body.take());
        self.retain(|slot, pipe| match &shared {
            None => send_to(slot, pipe, pipes, body, first, more),
            Some(message)
                if by_reference || (message.len() >= LOCAL_BY_REFERENCE && pipes.is_local(pipe)) =>
            {
                send_to(slot, pipe, pipes, &mut Body::Message(&mut message.clone()), first, more)
            }
            Some(message) => send_to(slot, pipe, pipes, &mut Body::Slice(message), first, more),
        });
    }

    /// Calls `send` for each selected pipe. Those for which it returns false have no room and miss the message.
    #[inline]
    fn retain(&mut self, mut send: impl FnMut(Slot, usize) -> bool) {
        let mut at = 0;
        while let Some(&pipe) = self.selected.get(at) {
            if send(self.slots[pipe], pipe) {
                at += 1;
            } else {
                let slot = &mut self.slots[pipe];
                (slot.room, slot.selected_for) = (false, 0);
                self.selected.swap_remove(at);
                self.missed.push(pipe);
            }
        }
    }
}

#[inline]
fn send_to(slot: Slot, pipe: usize, pipes: &mut Pipes, body: &mut Body<'_>, first: bool, more: bool) -> bool {
    if first && !slot.room {
        return false;
    }
    if first && !more {
        return pipes.send_or_drop(pipe, body).is_ok();
    }
    if first && pipes.check_room_or_drop(pipe).is_err() {
        return false;
    }
    pipes.send_part(pipe, body, more);
    true
}
