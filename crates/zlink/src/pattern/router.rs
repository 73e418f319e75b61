//! ROUTER: messages go to the peer that their first part names, and come with their peer's name in front.
//! Source: 28/REQREP, "The ROUTER Socket Type".
//!
//! STREAM is the same with peers that are no ZeroMQ sockets, and so is a ROUTER with `ZMQ_ROUTER_RAW`: the socket gives
//! them their names, and a message is one part behind its name. Source: `zmq_socket`(3), "Native Pattern".

use std::collections::HashMap;

use zlink_pipe::{Body, Message};

use super::req::random_start;
use super::{FairQueue, Pattern, Refusal};
use crate::error::Error;
use crate::option::SocketOptions;
use crate::pipe::{Pipes, Sink};

/// Bytes of the longest routing id (37/ZMTP, "The NULL Security Mechanism").
const MAX_ROUTING_ID: usize = 255;

/// The message that is being sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sending {
    /// None: the next part is a routing id.
    Nothing,
    /// To this pipe, which had room; nothing of it has been sent yet.
    Opened(usize),
    /// To this pipe, some parts being there.
    Begun(usize),
    /// To nobody.
    Dropping,
}

pub(super) struct Router {
    queue: FairQueue,
    /// Pipes by the routing id that messages are addressed to them with.
    routes: HashMap<Vec<u8>, usize>,
    /// Routing ids by pipe: what the messages from it begin with. A pipe that has none is not read from.
    names: Vec<Option<Message>>,
    /// Pipes of this socket's connects whose peer announced a routing id that is in use. They get it when it
    /// is free.
    waiting: Vec<usize>,
    /// The pipe that a message is being read from, its routing id having been handed out.
    reading: Option<usize>,
    /// The pipe that is being read from has lost its name to another: it is closed after the message.
    close_read: bool,
    sending: Sending,
    /// `ZMQ_CONNECT_ROUTING_ID`.
    next_name: Option<Vec<u8>>,
    next_number: u32,
    /// The type is STREAM.
    stream: bool,
    /// The name given last, until the socket has asked for it.
    given: Option<Vec<u8>>,
    raw: bool,
    mandatory: bool,
    handover: bool,
    probe: bool,
}

impl Default for Router {
    fn default() -> Self {
        Router {
            queue: FairQueue::default(),
            routes: HashMap::new(),
            names: Vec::new(),
            waiting: Vec::new(),
            reading: None,
            close_read: false,
            sending: Sending::Nothing,
            next_name: None,
            next_number: random_start(),
            stream: false,
            given: None,
            raw: false,
            mandatory: false,
            handover: false,
            probe: false,
        }
    }
}

impl Router {
    pub(super) fn stream() -> Self {
        Router { stream: true, raw: true, mandatory: true, ..Router::default() }
    }

    fn is_named(&self, pipe: usize) -> bool {
        self.names.get(pipe).is_some_and(Option::is_some)
    }

    /// Whether the routing id names no peer that is there.
    fn is_free(&self, pipes: &mut Pipes, name: &[u8]) -> bool {
        // A peer that is gone may have left input to be read under its name, but nothing can be sent to it.
        self.routes.get(name).is_none_or(|&pipe| pipes.get(pipe).is_none_or(|end| end.is_gone()))
    }

    fn enroll(&mut self, pipe: usize, name: Vec<u8>) {
        if self.names.len() <= pipe {
            self.names.resize_with(pipe + 1, || None);
        }
        self.names[pipe] = Some(Message::copy_from(&name));
        self.routes.insert(name, pipe);
        self.queue.add(pipe);
    }

    /// Names a pipe as its peer announced. Returns false if another peer has that name and keeps it.
    fn identify(&mut self, pipes: &mut Pipes, pipe: usize) -> bool {
        let Some(end) = pipes.get(pipe) else { return false };
        let announced = end.peer.routing_id.clone();
        if announced.is_empty() || self.raw {
            let name = self.make_name();
            self.given = self.stream.then(|| name.clone());
            self.enroll(pipe, name);
            return true;
        }
        if !self.is_free(pipes, &announced) {
            if !self.handover {
                return false;
            }
            let old = self.routes.get(&announced).copied();
            if old.is_some() && old == self.reading {
                self.close_read = true;
            } else if let Some(old) = old {
                pipes.close_later(old);
            }
        }
        self.enroll(pipe, announced);
        true
    }

    /// A name for a peer that has none: a zero byte, which the protocol keeps for this, and a number.
    fn make_name(&mut self) -> Vec<u8> {
        loop {
            let mut name = vec![0];
            name.extend_from_slice(&self.next_number.to_be_bytes());
            self.next_number = self.next_number.wrapping_add(1);
            // Peers are not kept from announcing such names.
            if !self.routes.contains_key(&name) {
                return name;
            }
        }
    }

    /// Where a message that begins with `name` goes.
    fn open(&self, pipes: &mut Pipes, name: &[u8]) -> Result<Sending, Refusal> {
        let route = self.routes.get(name).copied();
        if let Some(pipe) = route {
            let room = if self.mandatory { pipes.check_room(pipe) } else { pipes.check_room_or_drop(pipe) };
            if room.is_ok() {
                return Ok(Sending::Opened(pipe));
            }
            if self.mandatory && pipes.get(pipe).is_some_and(|end| !end.is_gone()) {
                return Err(Refusal::Blocked);
            }
        }
        if self.mandatory {
            return Err(Error::HostUnreachable.into());
        }
        match route {
            Some(pipe) => pipes.count_dropped(pipe),
            None => pipes.counters.own.drop_message(),
        }
        Ok(Sending::Dropping)
    }

    /// Names a pipe that waits for the routing id that became free.
    fn settle(&mut self, pipes: &mut Pipes, freed: &[u8]) {
        let candidate = self
            .waiting
            .iter()
            .position(|&pipe| pipes.get(pipe).is_some_and(|end| end.peer.routing_id == freed));
        if let Some(at) = candidate {
            let pipe = self.waiting.remove(at);
            self.enroll(pipe, freed.to_vec());
        }
    }
}

impl Pattern for Router {
    fn attached(&mut self, pipes: &mut Pipes, pipe: usize) -> bool {
        if self.probe {
            // As in DEALER: a pipe that is full already needs no probe.
            let _ = pipes.send_or_drop(pipe, &mut Body::Slice(&[]));
        }
        let Some(end) = pipes.get(pipe) else { return false };
        let (known, connected_by_us) = (end.was_connected, end.endpoint.is_some() || !end.was_connected);
        if connected_by_us
            && let Some(name) = self.next_name.take()
            && self.is_free(pipes, &name)
        {
            self.enroll(pipe, name);
            return true;
        }
        // Until the handshake, if there is to be one, the peer's name is not known, and nothing comes from it.
        (!known && !self.raw) || self.identify(pipes, pipe)
    }

    fn detached(&mut self, pipes: &mut Pipes, pipe: usize) {
        self.queue.remove(pipe);
        self.waiting.retain(|&waiting| waiting != pipe);
        if self.reading == Some(pipe) {
            self.reading = None;
            self.close_read = false;
        }
        if self.sending == Sending::Opened(pipe) || self.sending == Sending::Begun(pipe) {
            pipes.count_dropped(pipe);
            self.sending = Sending::Dropping;
        }
        let Some(name) = self.names.get_mut(pipe).and_then(Option::take) else { return };
        // The name may be another's by now.
        if self.routes.get(name.as_slice()) == Some(&pipe) {
            self.routes.remove(name.as_slice());
            self.settle(pipes, &name);
        }
    }

    fn readable(&mut self, pipes: &mut Pipes, pipe: usize) {
        if self.is_named(pipe) {
            self.queue.add(pipe);
        } else if pipes.get(pipe).is_some_and(|end| end.is_gone()) {
            pipes.close_later(pipe);
        }
    }

    fn writable(&mut self, _pipes: &mut Pipes, _pipe: usize) {}

    fn reconnected(&mut self, pipes: &mut Pipes, pipe: usize) {
        // A pipe keeps the name it has, whoever is behind it after a reconnect.
        if self.is_named(pipe) {
            return;
        }
        self.waiting.retain(|&waiting| waiting != pipe);
        if !self.identify(pipes, pipe) {
            self.waiting.push(pipe);
        }
    }

    fn send(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, mut more: bool) -> Result<(), Refusal> {
        if self.raw && self.sending != Sending::Nothing {
            more = false;
            if let Sending::Opened(pipe) = self.sending
                && body.as_slice().is_empty()
            {
                self.sending = Sending::Nothing;
                pipes.retire_later(pipe);
                return Ok(());
            }
        }
        match self.sending {
            Sending::Nothing => {
                // A routing id with nothing behind it is no message.
                if more {
                    self.sending = self.open(pipes, body.as_slice())?;
                }
                return Ok(());
            }
            Sending::Opened(pipe) if !more => {
                if pipes.send_or_drop(pipe, body).is_err() {
                    // There was room: the peer has gone since.
                    pipes.count_dropped(pipe);
                }
            }
            Sending::Opened(pipe) | Sending::Begun(pipe) => {
                pipes.send_part(pipe, body, more);
                self.sending = Sending::Begun(pipe);
            }
            Sending::Dropping => {}
        }
        if !more {
            self.sending = Sending::Nothing;
        }
        Ok(())
    }

    fn receive(&mut self, pipes: &mut Pipes, sink: &mut Sink<'_>) -> Result<bool, Refusal> {
        if let Some(pipe) = self.reading {
            let more = pipes.read(pipe, sink);
            self.queue.passed(pipes, more);
            if !more {
                self.reading = None;
                if std::mem::take(&mut self.close_read) {
                    pipes.close_later(pipe);
                }
            }
            return Ok(more);
        }
        let pipe = self.queue.next_pipe(pipes).ok_or(Refusal::Blocked)?;
        let name = self.names.get(pipe).and_then(Option::as_ref).map(Message::as_slice).unwrap_or_default();
        match sink {
            Sink::Message(slot) => {
                // A copy: the memory of the message that was received before stays for the one that comes now.
                slot.assign_copy(name);
                slot.set_more(true);
                slot.set_properties(pipes.get(pipe).and_then(|end| end.peer.properties.as_ref()));
                slot.set_routing_id(0);
            }
            Sink::Slice { .. } => sink.copy(name),
        }
        self.reading = Some(pipe);
        Ok(true)
    }

    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        // A STREAM can always send, to one or the other.
        if !self.mandatory || self.stream || self.sending != Sending::Nothing {
            return true;
        }
        self.routes.values().any(|&pipe| pipes.has_room(pipe))
    }

    fn can_receive(&mut self, pipes: &mut Pipes) -> bool {
        self.reading.is_some() || self.queue.can_receive(pipes)
    }

    fn configure(&mut self, options: &SocketOptions) {
        self.raw = self.stream || options.router_raw;
        self.mandatory = self.stream || options.router_mandatory;
        self.handover = options.router_handover;
        self.probe = options.probe_router;
    }

    fn name_given(&mut self) -> Option<Vec<u8>> {
        self.given.take()
    }

    fn peer_has_room(&self, pipes: &mut Pipes, routing_id: &[u8]) -> Result<bool, Error> {
        if self.stream {
            return Err(Error::NotSupported);
        }
        let route = self.routes.get(routing_id).copied();
        let pipe = route.filter(|&pipe| pipes.get(pipe).is_some_and(|end| !end.is_gone()));
        Ok(pipes.check_room_or_drop(pipe.ok_or(Error::HostUnreachable)?).is_ok())
    }

    fn name_next_peer(&mut self, routing_id: &[u8]) -> Result<(), Error> {
        let usable =
            (1..=MAX_ROUTING_ID).contains(&routing_id.len()) && !self.routes.contains_key(routing_id);
        if !usable {
            return Err(Error::InvalidArgument);
        }
        self.next_name = Some(routing_id.to_vec());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
