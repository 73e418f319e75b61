//! A datagram socket on its I/O thread, and the pipe between it and its ZeroMQ socket.
//!
//! There are no connections here, so nothing is made again and nobody else reads or writes: the I/O thread moves
//! messages of two parts between the pipe and datagrams. The first part is the group, which travels at the head of
//! the datagram, or in [`Form::Raw`] the peer's address, which does not travel.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use zlink_pipe::{Body, Cursor, Entry, Staging};
use zlink_zmtp::datagram;

use super::io_thread::{Command, Thread, TimerKey};
use super::session::{PipeSide, Port, SessionHandle};
use crate::inbox::News;
use crate::monitor::{Ends, EventKind};
use crate::reactor::{Interest, TimerId};
use crate::transport::{DatagramSocket, parse_peer, peer_text};

/// Datagrams sent or received in one turn, before others have theirs.
const TURN: usize = 64;
/// Room for any datagram: UDP's length has 16 bits.
const BUFFER: usize = 1 << 16;

/// What the first part of a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// The group, as RADIO and DISH have it.
    Groups,
    /// The peer's address in text, and a closing NUL when received; the datagram is the second part.
    Raw,
}

/// How an attempt to send ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sent {
    /// A message has left the pipe.
    Next,
    /// There is none.
    Nothing,
    /// The kernel has no room.
    Blocked,
}

/// See the module's description.
pub(crate) struct DatagramSession {
    handle: Arc<SessionHandle>,
    port: Arc<Port>,
    socket: DatagramSocket,
    form: Form,
    side: PipeSide,
    /// For monitor events.
    ends: Ends,
    cursor: Cursor,
    /// The first part of the message whose second is next.
    head: Option<Vec<u8>>,
    interest: Interest,
    /// Empty for a socket that does not receive.
    buffer: Vec<u8>,
    staging: Staging,
    ready: VecDeque<Entry>,
    linger_timer: Option<TimerId>,
    /// The socket has done with the pipe.
    closing: bool,
}

impl DatagramSession {
    pub(crate) fn new(
        socket: DatagramSocket,
        form: Form,
        side: PipeSide,
        port: Arc<Port>,
        handle: Arc<SessionHandle>,
    ) -> Box<Self> {
        let receives = socket.target().is_none();
        let ends = if receives { Ends::bound(socket.name()) } else { Ends::connecting(socket.name()) };
        Box::new(DatagramSession {
            handle,
            port,
            socket,
            form,
            side,
            ends,
            cursor: Cursor::new(),
            head: None,
            interest: if receives { Interest::READ } else { Interest::NONE },
            buffer: vec![0; if receives { BUFFER } else { 0 }],
            staging: Staging::new(),
            ready: VecDeque::new(),
            linger_timer: None,
            closing: false,
        })
    }

    pub(super) fn key(&self) -> u64 {
        self.handle.key
    }

    // Like a session's handlers, these return whether the session lives on.

    /// Begins to receive, and to send what is in the pipe by now.
    pub(super) fn start(&mut self, thread: &mut Thread) -> bool {
        let added = thread.shared.epoll.add(self.socket.as_fd(), self.key(), self.interest);
        if let Err(error) = added {
            let number = error.raw_os_error().unwrap_or_default() as u32;
            self.port.monitor.emit(EventKind::BindFailed, number, &self.ends);
            return false;
        }
        self.flush(thread)
    }

    pub(super) fn ready(
        &mut self,
        readable: bool,
        writable: bool,
        failed: bool,
        thread: &mut Thread,
    ) -> bool {
        if failed {
            // An error that the kernel kept for us is about some datagram, and gone once it is asked for.
            let _ = rustix::net::sockopt::socket_error(&self.socket);
        }
        if readable && !self.closing {
            self.receive(thread);
        }
        !writable || self.flush(thread)
    }

    fn watch_for(&mut self, change: impl FnOnce(&mut Interest), thread: &Thread) {
        let before = self.interest;
        change(&mut self.interest);
        if self.interest != before {
            // Fails only for want of kernel memory; the next change tries again.
            let _ = thread.shared.epoll.modify(self.socket.as_fd(), self.key(), self.interest);
        }
    }

    /// A message does not go on: the socket's monitor is told why.
    fn drop_message(&self, why: Errno) {
        self.handle.counters.drop_message();
        self.port.monitor.emit(EventKind::DatagramDropped, why.raw_os_error() as u32, &self.ends);
    }

    // --- sending ---

    /// Sends what is in the pipe.
    pub(super) fn flush(&mut self, thread: &mut Thread) -> bool {
        for _ in 0..TURN {
            match self.send_next() {
                Sent::Next => {}
                Sent::Nothing => {
                    self.watch_for(|interest| interest.writable = false, thread);
                    return !self.closing;
                }
                Sent::Blocked => {
                    self.watch_for(|interest| interest.writable = true, thread);
                    return true;
                }
            }
        }
        thread.shared.post(Command::Flush(self.key()));
        true
    }

    fn send_next(&mut self) -> Sent {
        if self.cursor.refill(&self.side.out).unblocked {
            self.port.inbox.post(News::Writable(self.side.id));
        }
        let Some((part, more)) = self.cursor.peek() else { return Sent::Nothing };
        match (self.head.take(), more) {
            (None, true) => self.head = Some(part.to_vec()),
            // What DISH has to say of its groups: nobody hears it.
            (None, false) => {}
            // No pattern sends more than two parts.
            (Some(_), true) => {
                while self.cursor.peek().is_some_and(|(_, more)| more) {
                    self.cursor.skip();
                }
            }
            (Some(head), false) => match self.send_datagram(&head, part) {
                Err(Errno::AGAIN) => {
                    self.head = Some(head);
                    return Sent::Blocked;
                }
                Err(Errno::INTR) => {
                    self.head = Some(head);
                    return Sent::Next;
                }
                Err(errno) => self.drop_message(errno),
                Ok(length) => {
                    self.handle.counters.io_write();
                    self.handle.counters.written(1, length, 0);
                }
            },
        }
        self.cursor.skip();
        let credit = self.cursor.take_credit();
        if credit > 0 && self.side.out.credit(credit) {
            self.port.inbox.post(News::Writable(self.side.id));
        }
        Sent::Next
    }

    /// Returns the datagram's length.
    fn send_datagram(&self, head: &[u8], body: &[u8]) -> rustix::io::Result<usize> {
        match self.form {
            Form::Raw => {
                let to = parse_peer(head).ok_or(Errno::INVAL)?;
                self.socket.send(to, &[IoSlice::new(body)])?;
                Ok(body.len())
            }
            Form::Groups => {
                let to = self.socket.target().ok_or(Errno::DESTADDRREQ)?;
                let length = [datagram::group_length(head).ok_or(Errno::INVAL)?];
                self.socket.send(to, &[&length, head, body].map(IoSlice::new))?;
                Ok(length.len() + head.len() + body.len())
            }
        }
    }

    // --- receiving ---

    /// The socket's queue has room again.
    pub(super) fn resume(&mut self, thread: &Thread) {
        if !self.closing && !self.buffer.is_empty() {
            self.watch_for(|interest| interest.readable = true, thread);
        }
    }

    /// Receives what lies in the kernel, as far as the socket's queue has room. The kernel drops what comes then and
    /// finds no room there either.
    fn receive(&mut self, thread: &Thread) {
        let room = self.side.inward.room();
        if room == 0 {
            self.watch_for(|interest| interest.readable = false, thread);
            return;
        }
        for _ in 0..room.min(TURN) {
            match self.socket.receive(&mut self.buffer) {
                Ok((length, from)) => {
                    self.handle.counters.bytes_came(length);
                    self.take_in(length, &from);
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(errno) => {
                    self.drop_message(errno);
                    break;
                }
            }
        }
        if !self.ready.is_empty() && self.side.inward.push_entries(&mut self.ready) {
            self.handle.counters.wakeup();
            self.port.inbox.post(News::Readable(self.side.id));
        }
        self.handle.counters.io_read();
    }

    /// Makes a message of the datagram in the buffer.
    fn take_in(&mut self, length: usize, from: &SocketAddr) {
        let datagram = &self.buffer[..length];
        let address;
        let (head, body) = match self.form {
            Form::Raw => {
                address = peer_text(from) + "\0";
                (address.as_bytes(), datagram)
            }
            Form::Groups => match datagram::split(datagram) {
                Ok(parts) => parts,
                Err(_) => {
                    self.handle.counters.protocol_error();
                    return self.drop_message(Errno::PROTO);
                }
            },
        };
        if self.port.config.max_message_size.is_some_and(|max| body.len() as u64 > max) {
            self.handle.counters.too_large();
            return self.drop_message(Errno::MSGSIZE);
        }
        self.staging.add(&mut Body::Slice(head), true);
        self.staging.add(&mut Body::Slice(body), false);
        self.ready.extend(self.staging.take_entries());
        self.handle.counters.messages_came(1);
    }

    // --- the end ---

    /// The socket has done with the pipe. What is in it is sent for at most the linger time.
    pub(super) fn close(&mut self, linger: Option<Duration>, thread: &mut Thread) -> bool {
        self.closing = true;
        if linger == Some(Duration::ZERO) {
            return false;
        }
        self.watch_for(|interest| interest.readable = false, thread);
        let more = self.flush(thread);
        if let Some(linger) = linger.filter(|_| more) {
            self.linger_timer = Some(thread.set_timer(linger, TimerKey::Linger(self.key())));
        }
        more
    }

    /// Ends the session: nobody will send what is left.
    pub(super) fn abandon(mut self: Box<Self>, thread: &mut Thread) {
        let _ = thread.shared.epoll.delete(self.socket.as_fd());
        thread.cancel_timer(&mut self.linger_timer);
        if self.side.out.clear() {
            self.port.inbox.post(News::Writable(self.side.id));
        }
        // Told in any case: a socket that only sends looks at no queue of its own accord.
        let _ = self.side.inward.end();
        self.port.inbox.post(News::Readable(self.side.id));
    }
}
