//! Patterns without sockets: for tests.
//!
//! A [`Rig`] stands in for the socket: it owns a pattern and its pipes, and hands on news when told to with
//! [`Rig::deliver`]. At the other end of each pipe is a [`Peer`], which sends and receives whole messages by
//! itself and knows no pattern.
//!
//! ```ignore
//! let mut rig = Rig::new(Box::new(Dealer::default()));
//! let mut peer = rig.attach("name");           // a pipe, handshake complete
//! rig.send(&["hello", "world"]).unwrap();      // parts of one message
//! assert_eq!(peer.receive(), ["hello", "world"]);
//! peer.send(&["reply"]);
//! assert_eq!(rig.receive().unwrap(), ["reply"]);
//! peer.close();
//! rig.deliver();                               // the pipe goes: `detached`
//! ```
//!
//! Parts are given as `&str` or bytes and come back as [`Parts`], which compares with either.

use std::fmt;
use std::sync::Arc;

use zlink_pipe::{Body, Message, Queue, QueueConfig};

use super::{Pattern, Refusal};
use crate::attach::{Attachment, InprocPeer, Link, Marks, PeerInfo};
use crate::engine::stats::SocketCounters;
use crate::error::Error;
use crate::inbox::{Inbox, News, PipeId};
use crate::option::SocketOptions;
use crate::pipe::{Full, PipeEnd, Pipes, Sink};

/// High-water mark of each direction of a pipe unless [`Rig::hwm`] says otherwise.
const HWM: usize = 1000;

/// The parts of one message.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Parts(pub(crate) Vec<Vec<u8>>);

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|part| part.escape_ascii().to_string())).finish()
    }
}

impl<T: AsRef<[u8]>, const N: usize> PartialEq<[T; N]> for Parts {
    fn eq(&self, other: &[T; N]) -> bool {
        self.0.len() == N && self.0.iter().zip(other).all(|(a, b)| a == b.as_ref())
    }
}

impl<T: AsRef<[u8]>> PartialEq<Vec<T>> for Parts {
    fn eq(&self, other: &Vec<T>) -> bool {
        self.0.len() == other.len() && self.0.iter().zip(other).all(|(a, b)| a == b.as_ref())
    }
}

/// A socket's part in a test: see the module's description.
pub(crate) struct Rig {
    pub(crate) pattern: Box<dyn Pattern>,
    pub(crate) pipes: Pipes,
    pub(crate) options: SocketOptions,
    /// High-water mark of each direction of the pipes attached from now on; 0 for none.
    pub(crate) hwm: usize,
    /// The pattern refused the pipe attached last.
    pub(crate) refused: bool,
    counters: Arc<SocketCounters>,
    inbox: Arc<Inbox>,
}

impl Rig {
    pub(crate) fn new(pattern: Box<dyn Pattern>) -> Self {
        let counters = Arc::<SocketCounters>::default();
        Rig {
            pattern,
            pipes: Pipes::new(Arc::clone(&counters)),
            options: SocketOptions::default(),
            hwm: HWM,
            refused: false,
            counters,
            inbox: Inbox::new(),
        }
    }

    /// Changes options and lets the pattern take them over.
    pub(crate) fn configure(&mut self, change: impl FnOnce(&mut SocketOptions)) {
        change(&mut self.options);
        self.pattern.configure(&self.options);
    }

    /// Attaches a peer with a routing id (empty for none), its handshake complete.
    pub(crate) fn attach(&mut self, routing_id: impl AsRef<[u8]>) -> Peer {
        self.attach_as(Some(info(routing_id.as_ref())))
    }

    /// Attaches a pipe of a connect that has had no handshake yet.
    pub(crate) fn attach_unconnected(&mut self) -> Peer {
        self.attach_as(None)
    }

    fn attach_as(&mut self, peer: Option<PeerInfo>) -> Peer {
        let config = QueueConfig { hwm: self.hwm, direct: false, ..QueueConfig::default() };
        let (out, inward) = (Arc::new(Queue::new(config)), Arc::new(Queue::new(config)));
        let (id, theirs, inbox) = (self.inbox.reserve(), Inbox::new(), &self.inbox);
        let their_id = theirs.reserve();
        // Each message that is read is credited.
        let marks = Marks { send: 1, receive: 1 };
        let here = Attachment {
            id,
            out: Arc::clone(&out),
            inward: Arc::clone(&inward),
            link: Link::Inproc(Arc::new(InprocPeer::new(Arc::clone(&theirs), their_id, marks))),
            peer,
            endpoint: None,
        };
        let there = Attachment {
            id: their_id,
            out: inward,
            inward: out,
            link: Link::Inproc(Arc::new(InprocPeer::new(Arc::clone(inbox), id, marks))),
            peer: Some(PeerInfo::default()),
            endpoint: None,
        };
        let index = self.pipes.insert(PipeEnd::new(here, 1, true));
        self.refused = !self.pattern.attached(&mut self.pipes, index);
        if self.refused {
            self.pipes.close_later(index);
        }
        self.close_what_the_pattern_wants_closed();
        Peer { end: PipeEnd::new(there, 1, true), id, theirs }
    }

    /// The handshake of a connecting pipe's connection, the first or a later one.
    pub(crate) fn connected(&mut self, peer: &Peer, routing_id: impl AsRef<[u8]>) {
        self.inbox.post(News::Reconnected(peer.id, info(routing_id.as_ref())));
        self.deliver();
    }

    /// The loss of a connecting pipe's connection.
    pub(crate) fn disconnected(&mut self, peer: &Peer) {
        self.inbox.post(News::Disconnected(peer.id));
        self.deliver();
    }

    /// Hands the pattern its news: input, room, peers that went.
    pub(crate) fn deliver(&mut self) {
        let mut news = Vec::new();
        self.inbox.collect(&mut news);
        for item in news {
            match item {
                News::Readable(id) => {
                    let Some(pipe) = self.pipes.find(id) else { continue };
                    let Some(end) = self.pipes.get(pipe) else { continue };
                    let over = end.is_over();
                    if !over || end.is_gone() {
                        self.pattern.readable(&mut self.pipes, pipe);
                    }
                    if over {
                        self.pipes.close_later(pipe);
                    }
                }
                News::Writable(id) => {
                    let Some(pipe) = self.pipes.find(id) else { continue };
                    self.pattern.writable(&mut self.pipes, pipe);
                }
                News::Reconnected(id, info) => {
                    let Some(pipe) = self.pipes.find(id) else { continue };
                    if let Some(end) = self.pipes.get(pipe) {
                        end.peer = info;
                    }
                    self.pattern.reconnected(&mut self.pipes, pipe);
                    if let Some(end) = self.pipes.get(pipe) {
                        end.was_connected = true;
                    }
                }
                News::Disconnected(id) => {
                    let Some(pipe) = self.pipes.find(id) else { continue };
                    self.pattern.disconnected(&mut self.pipes, pipe);
                }
                News::Attached(_) => unreachable!("the rig attaches pipes itself"),
            }
            self.close_what_the_pattern_wants_closed();
        }
        self.close_what_the_pattern_wants_closed();
    }

    fn close_what_the_pattern_wants_closed(&mut self) {
        while let Some(pipe) = self.pipes.take_to_retire() {
            self.pipes.close_later(pipe);
        }
        while let Some(pipe) = self.pipes.take_to_close() {
            if self.pipes.get(pipe).is_some() {
                self.pattern.detached(&mut self.pipes, pipe);
                self.drop_pipe(pipe);
            }
        }
    }

    fn drop_pipe(&mut self, index: usize) {
        if let Some(mut end) = self.pipes.remove(index) {
            end.close(None);
            self.inbox.free(end.id);
        }
    }

    /// Takes a pipe away without the peer's doing, as a disconnect does.
    pub(crate) fn detach(&mut self, peer: &Peer) {
        if let Some(pipe) = self.pipes.find(peer.id) {
            self.pattern.detached(&mut self.pipes, pipe);
            self.drop_pipe(pipe);
        }
    }

    /// Sends one part.
    pub(crate) fn send_part(&mut self, part: impl AsRef<[u8]>, more: bool) -> Result<(), Refusal> {
        let sent = self.pattern.send(&mut self.pipes, &mut Body::Slice(part.as_ref()), more);
        self.close_what_the_pattern_wants_closed();
        sent
    }

    /// Sends one part that is a message, with whatever it says beside its body.
    pub(crate) fn send_message(&mut self, message: &mut Message, more: bool) -> Result<(), Refusal> {
        let sent = self.pattern.send(&mut self.pipes, &mut Body::Message(message), more);
        self.close_what_the_pattern_wants_closed();
        sent
    }

    /// Sends a message; stops at the first part that is refused.
    pub(crate) fn send<T: AsRef<[u8]>>(&mut self, parts: &[T]) -> Result<(), Refusal> {
        self.deliver();
        for (i, part) in parts.iter().enumerate() {
            self.send_part(part, i + 1 < parts.len())?;
        }
        Ok(())
    }

    /// Receives one part and whether another follows.
    pub(crate) fn receive_part(&mut self) -> Result<(Message, bool), Refusal> {
        let mut message = Message::new();
        self.pipes.receives += 1;
        let more = self.pattern.receive(&mut self.pipes, &mut Sink::Message(&mut message));
        self.close_what_the_pattern_wants_closed();
        let more = more?;
        assert_eq!(message.more(), more, "a received part knows whether another follows");
        Ok((message, more))
    }

    /// Receives a message.
    pub(crate) fn receive(&mut self) -> Result<Parts, Refusal> {
        self.deliver();
        let mut parts = Vec::new();
        loop {
            let (message, more) = self.receive_part()?;
            parts.push(message.to_vec());
            if !more {
                return Ok(Parts(parts));
            }
        }
    }

    pub(crate) fn can_send(&mut self) -> bool {
        self.deliver();
        self.pattern.can_send(&mut self.pipes)
    }

    pub(crate) fn can_receive(&mut self) -> bool {
        self.deliver();
        self.pattern.can_receive(&mut self.pipes)
    }

    /// Messages counted as dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.counters.read().dropped
    }

    /// Whether the pipe to `peer` is still there.
    pub(crate) fn has(&mut self, peer: &Peer) -> bool {
        self.pipes.find(peer.id).is_some()
    }
}

fn info(routing_id: &[u8]) -> PeerInfo {
    let name = String::from_utf8_lossy(routing_id).into_owned();
    PeerInfo {
        routing_id: routing_id.to_vec(),
        properties: Some(Arc::new(vec![("Test-Peer".to_owned(), name)].into())),
    }
}

/// The other end of a pipe.
pub(crate) struct Peer {
    end: PipeEnd,
    /// The rig's name for the pipe.
    id: PipeId,
    theirs: Arc<Inbox>,
}

impl Peer {
    /// Sends a message, as its parts stand. Panics if there is no room.
    pub(crate) fn send<T: AsRef<[u8]>>(&mut self, parts: &[T]) {
        assert!(self.try_send(parts).is_ok(), "the pipe is full");
    }

    /// Sends a message unless there is no room.
    pub(crate) fn try_send<T: AsRef<[u8]>>(&mut self, parts: &[T]) -> Result<(), Full> {
        self.end.check_room()?;
        for (i, part) in parts.iter().enumerate() {
            self.end.send_part(&mut Body::Slice(part.as_ref()), i + 1 < parts.len(), 0);
        }
        Ok(())
    }

    /// Receives a message if there is one.
    pub(crate) fn try_receive(&mut self) -> Option<Parts> {
        let mut parts = Vec::new();
        while self.end.has_input() {
            let message = self.end.read_message();
            parts.push(message.to_vec());
            if !message.more() {
                return Some(Parts(parts));
            }
        }
        assert!(parts.is_empty(), "half a message became visible");
        None
    }

    /// Receives the message there must be.
    pub(crate) fn receive(&mut self) -> Parts {
        self.try_receive().expect("a message")
    }

    /// The rig's name for the pipe.
    pub(crate) fn index(&self) -> usize {
        self.id.index as usize
    }

    /// Receives one part as it is: the message there must be may have more.
    pub(crate) fn receive_part(&mut self) -> Message {
        assert!(self.end.has_input(), "there is no message");
        self.end.read_message()
    }

    /// Whether the rig's side has closed the pipe and everything it sent has been read.
    pub(crate) fn is_over(&mut self) -> bool {
        let mut news = Vec::new();
        self.theirs.collect(&mut news);
        self.end.is_over()
    }

    /// Goes away; the rig notices at the next [`Rig::deliver`].
    pub(crate) fn close(&mut self) {
        self.end.close(None);
    }
}

/// Whether a call was refused as blocked.
pub(crate) fn blocked<T>(result: &Result<T, Refusal>) -> bool {
    matches!(result, Err(Refusal::Blocked))
}

/// Whether a call was refused as out of turn.
pub(crate) fn wrong_state<T>(result: &Result<T, Refusal>) -> bool {
    matches!(result, Err(refusal) if matches!(refusal.error(), Some(Error::WrongState)))
}
