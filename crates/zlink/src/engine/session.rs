//! A session: the outer end of a pipe and the making of its connections, on an I/O thread.
//!
//! ```text
//! connecting socket:   Resolving ─► Connecting ─► Handshaking ─► Running
//!                          ▲             │              │            │
//!                          └── Waiting ◄─┴──────────────┴────────────┘   (pause, then again)
//! accepted connection:                            Handshaking ─► Running ─► gone
//! ```
//!
//! By way of a SOCKS proxy there is Proxying between Connecting and Handshaking.

mod connect;
mod handshake;
mod proxy;
mod zap;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;
use zlink_pipe::{Queue, Watch};
use zlink_zmtp::{Handshake, Heartbeat, HeartbeatAction};

use super::config::EngineConfig;
use super::connection::{Connection, Failure};
use super::io_thread::{EndpointId, IoShared, Thread, TimerKey, next_key};
use super::stats::{Counters, SocketCounters};
use crate::context::Live;
use crate::inbox::{Inbox, News, PipeId};
use crate::inproc::Names;
use crate::monitor::{Ends, EventKind, MonitorHub};
use crate::pipe::push_message;
use crate::reactor::{Interest, TimerId};
use crate::transport::{Endpoint, Negotiation, Stream, Target, WebAddress, finish_connect};
use zap::Question;

/// How long a peer may take to close an `ipc` connection whose other direction has ended.
const GOODBYE: Duration = Duration::from_secs(1);
/// The same of a connection with input that was not read: so long from the last that came, so long in all, and so many
/// bytes, within the linger time. Without an end to it, a peer that sends and does not read could keep the context.
const LATE_GOODBYE: Duration = Duration::from_secs(3);
const LATE_GOODBYE_IN_ALL: Duration = Duration::from_secs(15);
const LATE_BYTES: usize = 64 << 20;

/// A socket as its endpoints see it.
pub(crate) struct Port {
    pub(crate) endpoint: EndpointId,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) config: EngineConfig,
    pub(crate) monitor: Arc<MonitorHub>,
    pub(crate) counters: Arc<SocketCounters>,
    /// Where a ZAP handler may be.
    pub(crate) names: Arc<Names>,
    /// Keeps the context from ending while this endpoint has work to do.
    pub(crate) _live: Live,
}

/// A session as its socket sees it.
pub(crate) struct SessionHandle {
    pub(crate) key: u64,
    pub(crate) io: Arc<IoShared>,
    connection: Mutex<Option<Arc<Connection>>>,
    /// Whoever listens cannot say what for: all messages go there.
    pub(crate) takes_all: bool,
    /// Of all connections that the session has made.
    pub(crate) counters: Arc<Counters>,
}

impl SessionHandle {
    pub(crate) fn new(io: Arc<IoShared>, counters: &SocketCounters) -> Arc<Self> {
        Arc::new(SessionHandle::fresh(next_key(), io, counters.for_peer()))
    }

    /// The handle of a session whose peers are not heard.
    pub(crate) fn unheard(io: Arc<IoShared>, counters: &SocketCounters) -> Arc<Self> {
        Arc::new(SessionHandle {
            takes_all: true,
            ..SessionHandle::fresh(next_key(), io, counters.for_peer())
        })
    }

    fn fresh(key: u64, io: Arc<IoShared>, counters: Arc<Counters>) -> Self {
        SessionHandle { key, io, connection: Mutex::new(None), takes_all: false, counters }
    }

    /// The connection at this moment, if there is one.
    pub(crate) fn connection(&self) -> Option<Arc<Connection>> {
        self.connection.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    fn set_connection(&self, connection: Option<Arc<Connection>>) {
        *self.connection.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = connection;
    }
}

/// What a connect asks for.
pub(crate) struct ConnectTo {
    pub(crate) id: EndpointId,
    pub(crate) endpoint: Endpoint,
    /// The pipe, made at once, or `None` if it is to be made with the connection.
    pub(crate) pipe: Option<PipeSide>,
}

/// The outer end of a pipe.
#[derive(Clone)]
pub(crate) struct PipeSide {
    pub(crate) id: PipeId,
    pub(crate) out: Arc<Queue>,
    pub(crate) inward: Arc<Queue>,
}

struct Connector {
    id: EndpointId,
    endpoint: Endpoint,
    /// The pause before the next try.
    pause: Duration,
    /// Addresses of the current round that were not tried yet.
    targets: VecDeque<Target>,
    /// The last of them that was tried refused.
    refused: bool,
}

struct Handshaking {
    stream: Stream,
    handshake: Handshake,
    /// What the descriptor is watched for.
    interest: Interest,
    /// Received and not used yet: traffic, for when the handshake is complete. A password is never among it for long.
    held: Zeroizing<Vec<u8>>,
    /// The ZAP handler was asked and has not answered.
    question: Option<Question>,
}

enum Phase {
    Waiting,
    Resolving,
    Connecting(OwnedFd),
    Proxying { fd: OwnedFd, negotiation: Box<Negotiation>, wants_write: bool },
    Handshaking(Box<Handshaking>),
    Running { connection: Arc<Connection>, heartbeat: Heartbeat },
}

pub(super) struct Session {
    handle: Arc<SessionHandle>,
    port: Arc<Port>,
    /// `None` for an accepted connection.
    connector: Option<Connector>,
    /// Of an accepted connection: the `ws` endpoint it was made to.
    accepted_at: Option<Arc<WebAddress>>,
    /// For monitor events.
    ends: Ends,
    pipe: Option<PipeSide>,
    phase: Phase,
    timer: Option<TimerId>,
    heartbeat_timer: Option<TimerId>,
    linger_timer: Option<TimerId>,
    goodbye_timer: Option<TimerId>,
    /// A batch is waiting for more.
    batch_timer: Option<TimerId>,
    /// The socket has done with the pipe.
    closing: bool,
    /// The endpoint was unbound: what has arrived stays for the socket to receive.
    unbound: bool,
    /// Our direction of the connection is ended, since when; the peer's end is awaited. How many bytes came instead.
    half_closed: Option<Instant>,
    late_bytes: usize,
    ever_connected: bool,
}

impl Session {
    pub(super) fn key(&self) -> u64 {
        self.handle.key
    }

    pub(super) fn endpoint_id(&self) -> Option<EndpointId> {
        // With a pipe, the socket closes that.
        self.connector.as_ref().filter(|_| self.pipe.is_none()).map(|connector| connector.id)
    }

    /// Whether this is a connection accepted for `port`.
    pub(super) fn is_accepted_at(&self, port: &Arc<Port>) -> bool {
        self.connector.is_none() && Arc::ptr_eq(&self.port, port)
    }

    /// Whether the handshake is not complete yet, and never was.
    pub(super) fn is_knocking(&self) -> bool {
        self.pipe.is_none()
    }

    /// The `ws` or `wss` endpoint, if it is one.
    fn web(&self) -> Option<&Arc<WebAddress>> {
        match self.connector.as_ref().map(|connector| &connector.endpoint) {
            Some(Endpoint::Tcp(endpoint)) => endpoint.web(),
            Some(_) => None,
            None => self.accepted_at.as_ref(),
        }
    }

    pub(super) fn connection(&self) -> Option<&Arc<Connection>> {
        match &self.phase {
            Phase::Running { connection, .. } => Some(connection),
            _ => None,
        }
    }

    fn new(handle: Arc<SessionHandle>, port: Arc<Port>, ends: Ends) -> Self {
        Session {
            handle,
            port,
            connector: None,
            accepted_at: None,
            ends,
            pipe: None,
            phase: Phase::Waiting,
            timer: None,
            heartbeat_timer: None,
            linger_timer: None,
            goodbye_timer: None,
            batch_timer: None,
            closing: false,
            unbound: false,
            half_closed: None,
            late_bytes: 0,
            ever_connected: false,
        }
    }

    // --- a running connection ---

    /// The descriptor is ready.
    pub(super) fn ready(
        &mut self,
        readable: bool,
        writable: bool,
        hangup: bool,
        thread: &mut Thread,
    ) -> bool {
        match &mut self.phase {
            Phase::Waiting | Phase::Resolving => true,
            Phase::Connecting(fd) => match finish_connect(fd.as_fd()) {
                Ok(()) => {
                    let Phase::Connecting(fd) = std::mem::replace(&mut self.phase, Phase::Waiting) else {
                        return true;
                    };
                    self.arrived(fd, thread)
                }
                Err(error) => {
                    if let Some(connector) = &mut self.connector {
                        connector.refused = error.kind() == ErrorKind::ConnectionRefused;
                    }
                    self.no_connection(thread)
                }
            },
            Phase::Proxying { .. } => self.negotiate(readable || hangup, thread),
            Phase::Handshaking(_) => self.shake(readable, hangup, thread),
            Phase::Running { connection, .. } => {
                let connection = Arc::clone(connection);
                if self.half_closed.is_some() {
                    return self.discard_late_input(&connection, thread);
                }
                if readable || hangup {
                    connection.read_by_io_thread(hangup);
                    self.note_ping(&connection, thread);
                }
                if writable { self.write(true, thread) } else { true }
            }
        }
    }

    /// A PING that announces a time-to-live starts a deadline.
    fn note_ping(&mut self, connection: &Connection, thread: &mut Thread) {
        let Phase::Running { heartbeat, .. } = &mut self.phase else { return };
        let now = Instant::now();
        if connection.take_activity() {
            heartbeat.on_input(now);
        }
        if let Some(ttl) = connection.take_ping_ttl() {
            heartbeat.on_ping_ttl(now, ttl);
            self.schedule_heartbeat(thread);
        }
    }

    /// Something has gathered in the pipe: writes it, at once or, if the socket wants batches and this one is
    /// not complete, when it has waited long enough.
    pub(super) fn flush(&mut self, thread: &mut Thread) -> bool {
        let due = self.pipe.as_ref().is_none_or(|side| side.out.is_batch_complete());
        match self.port.config.batch_timeout {
            Some(timeout) if !due && !self.closing => {
                if self.batch_timer.is_none() {
                    self.batch_timer = Some(thread.set_timer(timeout, TimerKey::Batch(self.handle.key)));
                }
                true
            }
            _ => self.write(false, thread),
        }
    }

    /// A batch has waited long enough.
    pub(super) fn batch_timeout(&mut self, thread: &mut Thread) -> bool {
        self.batch_timer = None;
        self.handle.counters.batch_timeout();
        self.write(false, thread)
    }

    /// Writes what has gathered in the pipe.
    pub(super) fn write(&mut self, writable: bool, thread: &mut Thread) -> bool {
        thread.cancel_timer(&mut self.batch_timer);
        let Phase::Running { connection, .. } = &self.phase else { return true };
        let turn = connection.write_turn(writable);
        thread.after_write(self.handle.key, turn);
        !self.is_flushed() || self.say_goodbye(thread)
    }

    pub(super) fn write_with_token(&mut self, thread: &mut Thread) -> bool {
        let Phase::Running { connection, .. } = &self.phase else { return true };
        let turn = connection.write_with_token();
        thread.after_write(self.handle.key, turn);
        !self.is_flushed() || self.say_goodbye(thread)
    }

    /// Looks at a stream that its producer writes; see [`Queue::watch`].
    pub(super) fn watch_stream(&self, patient: bool) -> Option<Watch> {
        match (&self.phase, &self.pipe) {
            (Phase::Running { .. }, Some(side)) => Some(side.out.watch(patient)),
            _ => None,
        }
    }

    fn schedule_heartbeat(&mut self, thread: &mut Thread) {
        thread.cancel_timer(&mut self.heartbeat_timer);
        let Phase::Running { heartbeat, .. } = &self.phase else { return };
        if let Some(at) = heartbeat.poll_timeout() {
            self.heartbeat_timer = Some(thread.set_timer_at(at, TimerKey::Heartbeat(self.handle.key)));
        }
    }

    /// The heartbeat has something to do.
    pub(super) fn heartbeat(&mut self, thread: &mut Thread) -> bool {
        self.heartbeat_timer = None;
        let Phase::Running { connection, .. } = &self.phase else { return true };
        let connection = Arc::clone(connection);
        // What lies in the kernel counts as a sign of life, even if its reader is late.
        connection.read_for_heartbeat();
        self.note_ping(&connection, thread);
        let Phase::Running { heartbeat, .. } = &mut self.phase else { return true };
        match heartbeat.handle_timeout(Instant::now()) {
            HeartbeatAction::None => {}
            HeartbeatAction::SendPing { ttl_ds } => {
                let mut ping = Vec::new();
                // No context: nothing to be too long.
                if zlink_zmtp::command::encode_ping(&mut ping, ttl_ds, b"").is_ok() {
                    connection.send_command(&ping);
                }
            }
            HeartbeatAction::Expired => {
                connection.fail(Failure::HeartbeatTimeout);
                return self.connection_failed(thread);
            }
        }
        self.schedule_heartbeat(thread);
        true
    }

    // --- the end of a connection ---

    /// The connection broke.
    pub(super) fn connection_failed(&mut self, thread: &mut Thread) -> bool {
        let Phase::Running { connection, .. } = &self.phase else { return true };
        match connection.take_failure() {
            None => return true,
            Some(Failure::Lost) => {}
            Some(Failure::Protocol) => self.handle.counters.protocol_error(),
            Some(Failure::Cipher(error)) => {
                if !error.is_ours() {
                    self.handle.counters.protocol_error();
                }
                let code = error.protocol_error_code() as u32;
                self.port.monitor.emit(EventKind::HandshakeFailedProtocol, code, &self.ends);
            }
            Some(Failure::TooLarge) => self.handle.counters.too_large(),
            Some(Failure::HeartbeatTimeout) => self.handle.counters.heartbeat_timeout(),
        }
        self.drop_connection(thread)
    }

    /// Closes the connection, whatever phase it is in, and sees how to go on.
    fn drop_connection(&mut self, thread: &mut Thread) -> bool {
        // Once we have said goodbye, the peer does what it was asked to.
        self.close_connection(self.half_closed.is_none(), thread);
        self.connection_lost(thread)
    }

    /// Closes the connection. The monitor is told that it was `lost`; what the socket ends itself is no loss. That an
    /// attempt to connect is over is told in either case, as with libzmq.
    fn close_connection(&mut self, lost: bool, thread: &mut Thread) {
        thread.cancel_timer(&mut self.timer);
        thread.cancel_timer(&mut self.heartbeat_timer);
        thread.cancel_timer(&mut self.batch_timer);
        let (fd, kind) = match std::mem::replace(&mut self.phase, Phase::Waiting) {
            Phase::Waiting | Phase::Resolving => return,
            Phase::Connecting(fd) => (fd.as_raw_fd(), EventKind::Closed),
            Phase::Proxying { fd, .. } => {
                let _ = thread.shared.epoll.delete(fd.as_fd());
                (fd.as_raw_fd(), EventKind::Closed)
            }
            Phase::Handshaking(shaking) => {
                let _ = thread.shared.epoll.delete(shaking.stream.as_fd());
                shaking.stream.say_goodbye();
                (shaking.stream.as_raw_fd(), EventKind::Disconnected)
            }
            Phase::Running { connection, .. } => {
                connection.take_down();
                self.handle.set_connection(None);
                self.tell_of_loss();
                (connection.fd().as_raw_fd(), EventKind::Disconnected)
            }
        };
        if lost || kind == EventKind::Closed {
            self.port.monitor.emit(kind, fd as u32, &self.ends);
        }
        self.ends.disconnected();
    }

    /// Lets the socket receive what it is to receive when a connection is gone.
    fn tell_of_loss(&self) {
        let Some(side) = self.pipe.as_ref().filter(|_| !self.closing) else { return };
        let config = &self.port.config;
        let message = if self.connector.is_some() { &config.hiccup } else { &config.disconnect };
        let notice = config.notify_disconnect.then_some(&[][..]);
        let mut wake = false;
        for message in notice.into_iter().chain((!message.is_empty()).then_some(message.as_slice())) {
            wake |= push_message(&side.inward, message);
        }
        if wake {
            self.port.inbox.post(News::Readable(side.id));
        }
    }

    /// The connection is gone: a connecting session tries again, an accepted one ends.
    fn connection_lost(&mut self, thread: &mut Thread) -> bool {
        self.phase = Phase::Waiting;
        if self.connector.is_none() || self.port.config.reconnect_interval.is_none() {
            return false;
        }
        self.handle.counters.reconnect();
        match &self.pipe {
            // With ZMQ_IMMEDIATE a pipe lives no longer than its connection.
            Some(side) if self.port.config.immediate && self.ever_connected => {
                // Told in any case: a socket that only sends looks at no queue of its own accord.
                let _ = side.inward.end();
                self.port.inbox.post(News::Readable(side.id));
                self.pipe = None;
                let SessionHandle { key, io, counters, .. } = &*self.handle;
                self.handle = Arc::new(SessionHandle::fresh(*key, Arc::clone(io), Arc::clone(counters)));
            }
            Some(side) if self.ever_connected => self.port.inbox.post(News::Disconnected(side.id)),
            _ => {}
        }
        let done = self.half_closed.is_some() || self.pipe.as_ref().is_none_or(|side| side.out.is_empty());
        if self.closing && done {
            return false;
        }
        self.retry_later(thread)
    }

    // --- the end of the session ---

    /// The endpoint that accepted the connection was unbound. What is in the pipe is written for at most the linger
    /// time.
    pub(super) fn unbind(&mut self, linger: Option<Duration>, thread: &mut Thread) -> bool {
        self.unbound = true;
        self.close(linger, thread)
    }

    /// The socket has done with the pipe. What is in it is written for at most the linger time.
    pub(super) fn close(&mut self, linger: Option<Duration>, thread: &mut Thread) -> bool {
        self.closing = true;
        if linger == Some(Duration::ZERO) {
            return false;
        }
        let flushed = self.is_flushed();
        if flushed && !self.say_goodbye(thread) {
            return false;
        }
        if let Some(linger) = linger.filter(|_| !flushed || !self.hangs_up()) {
            self.linger_timer = Some(thread.set_timer(linger, TimerKey::Linger(self.handle.key)));
        }
        flushed || self.write(false, thread)
    }

    /// Ends our direction of a connection, where the peer would not get all that was written were it closed at once, and
    /// gives the peer time to read and to close. Returns whether the session lives on for that.
    ///
    /// The kernel answers input that nobody will read with a reset, over which what it has not delivered yet is lost.
    fn say_goodbye(&mut self, thread: &mut Thread) -> bool {
        let Phase::Running { connection, .. } = &self.phase else { return false };
        if self.half_closed.is_some() {
            return true;
        }
        if !self.hangs_up() && !connection.has_unread() {
            return false;
        }
        connection.end_low_water();
        self.half_closed = Some(Instant::now());
        connection.end_writing();
        thread.cancel_timer(&mut self.heartbeat_timer);
        self.wait_for_end(thread);
        true
    }

    fn wait_for_end(&mut self, thread: &mut Thread) {
        thread.cancel_timer(&mut self.goodbye_timer);
        let patience = if self.hangs_up() { GOODBYE } else { LATE_GOODBYE };
        self.goodbye_timer = Some(thread.set_timer(patience, TimerKey::Linger(self.handle.key)));
    }

    /// Whether to close the connection would be to tell a peer of a hang-up before it has read everything. So it is with
    /// `ipc`: libzmq, if it has stopped reading at its high-water mark, takes that for an error and drops what it has
    /// not read. TCP reports no hang-up before its data.
    fn hangs_up(&self) -> bool {
        !self.unbound && self.ends.endpoint().starts_with("ipc:")
    }

    /// Drops what a peer still sends, so that its end is seen behind it. Returns false at that, or if it is too much.
    fn discard_late_input(&mut self, connection: &Connection, thread: &mut Thread) -> bool {
        let Some(discarded) = connection.discard_input() else { return false };
        self.late_bytes += discarded;
        if discarded > 0 && !self.hangs_up() {
            self.wait_for_end(thread);
        }
        let too_long = self.half_closed.is_some_and(|since| since.elapsed() > LATE_GOODBYE_IN_ALL);
        self.late_bytes <= LATE_BYTES && !too_long
    }

    /// Whether the session is closing and has nothing left to write.
    fn is_flushed(&self) -> bool {
        let Some(side) = &self.pipe else { return self.closing };
        let unsent = || self.connection().is_some_and(|connection| connection.has_unsent());
        self.closing && side.out.in_flight() == 0 && !unsent()
    }

    /// Ends the session: nobody will write what is left.
    pub(super) fn abandon(mut self: Box<Self>, thread: &mut Thread) {
        self.close_connection(false, thread);
        thread.cancel_timer(&mut self.linger_timer);
        thread.cancel_timer(&mut self.goodbye_timer);
        if let Some(side) = &self.pipe {
            if side.out.clear() {
                self.port.inbox.post(News::Writable(side.id));
            }
            // Told in any case: a socket that only sends looks at no queue of its own accord.
            let _ = side.inward.end();
            self.port.inbox.post(News::Readable(side.id));
        }
    }
}
