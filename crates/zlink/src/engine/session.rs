//! A session: the outer end of a pipe and the making of its connections, on an I/O thread.
//!
//! ```text
//! connecting socket:   Resolving ─► Connecting ─► Handshaking ─► Running
//!                          ▲             │              │            │
//!                          └── Waiting ◄─┴──────────────┴────────────┘   (pause, then again)
//! accepted connection:                            Handshaking ─► Running ─► gone
//! ```

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use zlink_pipe::{Body, Entry, Queue, Watch};
use zlink_zmtp::handshake::FailureKind;
use zlink_zmtp::{Handshake, HandshakeError, Heartbeat, HeartbeatAction, Peer, SocketType};

use super::config::EngineConfig;
use super::connection::{Connection, Failure, Parts};
use super::io_thread::{Command, EndpointId, IoShared, Thread, TimerKey, next_key};
use super::reader::ReadHalf;
use super::stats::Counters;
use super::transcode::Wire;
use super::writer::WriteHalf;
use crate::attach::{Attachment, Link, PeerInfo};
use crate::context::Live;
use crate::inbox::{Inbox, News, PipeId};
use crate::monitor::{EventKind, MonitorHub};
use crate::pipe::push_message;
use crate::reactor::{Interest, TimerId};
use crate::transport::{Accepted, Endpoint, Target, finish_connect, peer_names, start_connect};

/// How long a peer may take to close an `ipc` connection whose other direction has ended.
const GOODBYE: Duration = Duration::from_secs(1);

/// A socket as its endpoints see it.
pub(crate) struct Port {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) config: EngineConfig,
    pub(crate) monitor: Arc<MonitorHub>,
    pub(crate) counters: Arc<Counters>,
    /// Keeps the context from ending while this endpoint has work to do.
    pub(crate) _live: Live,
}

/// A session as its socket sees it.
pub(crate) struct SessionHandle {
    pub(crate) key: u64,
    pub(crate) io: Arc<IoShared>,
    connection: Mutex<Option<Arc<Connection>>>,
}

impl SessionHandle {
    pub(crate) fn new(io: Arc<IoShared>) -> Arc<Self> {
        Arc::new(SessionHandle { key: next_key(), io, connection: Mutex::new(None) })
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
}

enum Phase {
    Waiting,
    Resolving,
    Connecting(OwnedFd),
    Handshaking { fd: OwnedFd, handshake: Box<Handshake>, wants_write: bool },
    Running { connection: Arc<Connection>, heartbeat: Heartbeat },
}

pub(super) struct Session {
    handle: Arc<SessionHandle>,
    port: Arc<Port>,
    /// `None` for an accepted connection.
    connector: Option<Connector>,
    /// For monitor events.
    name: String,
    pipe: Option<PipeSide>,
    phase: Phase,
    timer: Option<TimerId>,
    heartbeat_timer: Option<TimerId>,
    linger_timer: Option<TimerId>,
    /// A batch is waiting for more.
    batch_timer: Option<TimerId>,
    /// The socket has done with the pipe.
    closing: bool,
    /// Our direction of the connection is ended; the peer's is awaited.
    half_closed: bool,
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

    /// Whether this is a connection accepted for `port` whose handshake is under way.
    pub(super) fn is_knocking_at(&self, port: &Arc<Port>) -> bool {
        self.connector.is_none() && self.pipe.is_none() && Arc::ptr_eq(&self.port, port)
    }

    pub(super) fn connection(&self) -> Option<&Arc<Connection>> {
        match &self.phase {
            Phase::Running { connection, .. } => Some(connection),
            _ => None,
        }
    }

    fn new(handle: Arc<SessionHandle>, port: Arc<Port>, name: String) -> Self {
        Session {
            handle,
            port,
            connector: None,
            name,
            pipe: None,
            phase: Phase::Waiting,
            timer: None,
            heartbeat_timer: None,
            linger_timer: None,
            batch_timer: None,
            closing: false,
            half_closed: false,
            ever_connected: false,
        }
    }

    // --- making connections ---

    /// Starts on a connection that was just accepted.
    pub(super) fn accepted(port: Arc<Port>, endpoint: &str, accepted: Accepted, thread: &mut Thread) {
        let handle = SessionHandle::new(Arc::clone(&thread.shared));
        let mut session = Box::new(Session::new(handle, port, endpoint.to_owned()));
        if session.start_handshake(accepted.stream, thread) {
            thread.add_session(session);
        }
    }

    pub(super) fn connecting(to: ConnectTo, port: Arc<Port>, handle: Arc<SessionHandle>) -> Box<Self> {
        let mut session = Session::new(handle, port, to.endpoint.to_string());
        let pause = session.port.config.reconnect_interval.unwrap_or_default();
        session.connector =
            Some(Connector { id: to.id, endpoint: to.endpoint, pause, targets: VecDeque::new() });
        session.pipe = to.pipe;
        Box::new(session)
    }

    /// Starts a round of connecting. Like the other handlers, returns whether the session lives on.
    pub(super) fn connect(&mut self, thread: &mut Thread) -> bool {
        let key = self.key();
        let Some(connector) = &mut self.connector else { return false };
        match &connector.endpoint {
            Endpoint::Ipc(endpoint) => {
                connector.targets = VecDeque::from([endpoint.target()]);
                self.try_next_target(Errno::CONNREFUSED.into(), thread)
            }
            Endpoint::Tcp(endpoint) => {
                self.phase = Phase::Resolving;
                let io = Arc::clone(&thread.shared);
                let done = Box::new(move |result| io.post(Command::Resolved { key, result }));
                thread.shared.resolver.resolve(endpoint, self.port.config.transport.ipv6, done);
                true
            }
            // In-process connects have no session.
            Endpoint::Inproc(_) => false,
        }
    }

    pub(super) fn resolved(&mut self, result: io::Result<Vec<SocketAddr>>, thread: &mut Thread) -> bool {
        if !matches!(self.phase, Phase::Resolving) {
            return true;
        }
        let ipv6 = self.port.config.transport.ipv6;
        let Some(connector) = &mut self.connector else { return false };
        let Endpoint::Tcp(endpoint) = &connector.endpoint else { return false };
        let targets = result.and_then(|addresses| {
            let source = endpoint.source_addr(ipv6)?;
            Ok(addresses.into_iter().map(|address| Target::Tcp(address, source)).collect())
        });
        match targets {
            Ok(targets) => {
                connector.targets = targets;
                self.try_next_target(Errno::CONNREFUSED.into(), thread)
            }
            Err(error) => self.retry_later(&error, thread),
        }
    }

    /// Tries the addresses of this round that are left; with none, `error` ends the round.
    fn try_next_target(&mut self, mut error: io::Error, thread: &mut Thread) -> bool {
        loop {
            let Some(connector) = &mut self.connector else { return false };
            let Some(target) = connector.targets.pop_front() else {
                return self.retry_later(&error, thread);
            };
            match start_connect(&target, &self.port.config.transport) {
                Ok((fd, true)) => return self.connected(fd, thread),
                Ok((fd, false)) => {
                    let number = Errno::INPROGRESS.raw_os_error() as u32;
                    self.port.monitor.emit(EventKind::ConnectDelayed, number, &self.name);
                    match thread.shared.epoll.add(fd.as_fd(), self.handle.key, Interest::WRITE) {
                        Ok(()) => {
                            if let Some(timeout) = self.port.config.connect_timeout {
                                self.set_timer(timeout, thread);
                            }
                            self.phase = Phase::Connecting(fd);
                            return true;
                        }
                        Err(failed) => error = failed,
                    }
                }
                Err(failed) => error = failed,
            }
        }
    }

    fn connected(&mut self, fd: OwnedFd, thread: &mut Thread) -> bool {
        thread.cancel_timer(&mut self.timer);
        self.port.monitor.emit(EventKind::Connected, fd.as_raw_fd() as u32, &self.name);
        self.start_handshake(fd, thread)
    }

    /// Ends a round of connecting: pauses, then starts another. `error` is why.
    fn retry_later(&mut self, _error: &io::Error, thread: &mut Thread) -> bool {
        let config = &self.port.config;
        let (Some(connector), Some(base)) = (&mut self.connector, config.reconnect_interval) else {
            // Not to be tried again: the pipe, if there is one, waits in vain, as its socket asked.
            self.phase = Phase::Waiting;
            return !self.closing && self.connector.is_some();
        };
        // Jitter keeps a thousand clients of one restarted server apart.
        let pause = connector.pause + connector.pause.mul_f64(jitter());
        if config.reconnect_interval_max > base {
            connector.pause = (connector.pause * 2).min(config.reconnect_interval_max);
        }
        let pause = pause.max(Duration::from_millis(1));
        self.port.monitor.emit(EventKind::ConnectRetried, pause.as_millis() as u32, &self.name);
        self.phase = Phase::Waiting;
        self.set_timer(pause, thread);
        true
    }

    fn set_timer(&mut self, after: Duration, thread: &mut Thread) {
        thread.cancel_timer(&mut self.timer);
        self.timer = Some(thread.set_timer(after, TimerKey::Session(self.handle.key)));
    }

    /// The deadline of the present phase has passed.
    pub(super) fn timeout(&mut self, thread: &mut Thread) -> bool {
        self.timer = None;
        match &self.phase {
            Phase::Waiting => self.connect(thread),
            Phase::Resolving | Phase::Running { .. } => true,
            Phase::Connecting(fd) => {
                let _ = thread.shared.epoll.delete(fd.as_fd());
                self.port.monitor.emit(EventKind::Closed, fd.as_raw_fd() as u32, &self.name);
                self.try_next_target(Errno::TIMEDOUT.into(), thread)
            }
            Phase::Handshaking { .. } => {
                let number = Errno::TIMEDOUT.raw_os_error() as u32;
                self.port.monitor.emit(EventKind::HandshakeFailedNoDetail, number, &self.name);
                self.drop_connection(thread)
            }
        }
    }

    // --- the handshake ---

    fn start_handshake(&mut self, fd: OwnedFd, thread: &mut Thread) -> bool {
        let handshake = Box::new(Handshake::new(self.port.config.handshake.clone()));
        // A connecting socket's descriptor is in the set already.
        let (epoll, key) = (&thread.shared.epoll, self.handle.key);
        if epoll.add(fd.as_fd(), key, Interest::READ).is_err()
            && epoll.modify(fd.as_fd(), key, Interest::READ).is_err()
        {
            return self.connection_lost(thread);
        }
        if let Some(timeout) = self.port.config.handshake_timeout {
            self.set_timer(timeout, thread);
        }
        self.phase = Phase::Handshaking { fd, handshake, wants_write: false };
        self.shake(false, thread)
    }

    /// Moves the handshake on: writes what it has to say and, if `readable`, reads.
    fn shake(&mut self, readable: bool, thread: &mut Thread) -> bool {
        let Phase::Handshaking { fd, handshake, wants_write } = &mut self.phase else { return true };
        let mut buffer = [0; 2048];
        let mut rest = 0..0;
        let mut outcome = Ok(());
        if readable {
            match recv(&*fd, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => outcome = Err(ShakeError::Os(Errno::PIPE)),
                Ok((_, n)) => match handshake.input(&buffer[..n]) {
                    Ok(consumed) => rest = consumed..n,
                    Err(error) => outcome = Err(ShakeError::Protocol(error)),
                },
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => outcome = Err(ShakeError::Os(errno)),
            }
        }
        // Even after a failure: the last words may tell the peer why.
        while !handshake.output().is_empty() {
            match send(&*fd, handshake.output(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(n) => handshake.advance_output(n),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => {
                    outcome = outcome.and(Err(ShakeError::Os(errno)));
                    break;
                }
            }
        }
        let blocked = !handshake.output().is_empty();
        if outcome.is_ok() && blocked != *wants_write {
            *wants_write = blocked;
            let interest = if blocked { Interest::BOTH } else { Interest::READ };
            let _ = thread.shared.epoll.modify(fd.as_fd(), self.handle.key, interest);
        }
        match outcome {
            Err(error) => {
                self.report_failed_handshake(&error);
                self.drop_connection(thread)
            }
            Ok(()) if handshake.peer().is_some() && !blocked => self.establish(&buffer[rest], thread),
            Ok(()) => true,
        }
    }

    fn report_failed_handshake(&self, error: &ShakeError) {
        let (kind, value) = match error {
            ShakeError::Os(errno) => (EventKind::HandshakeFailedNoDetail, errno.raw_os_error()),
            ShakeError::Protocol(error) => match (error.kind(), error.auth_status()) {
                (FailureKind::PeerRejected, Some(status)) => {
                    (EventKind::HandshakeFailedAuth, i32::from(status))
                }
                _ => (EventKind::HandshakeFailedProtocol, error.protocol_error_code()),
            },
        };
        self.port.monitor.emit(kind, value as u32, &self.name);
    }

    /// The handshake is complete: makes the connection and, unless it is there, the pipe.
    fn establish(&mut self, rest: &[u8], thread: &mut Thread) -> bool {
        thread.cancel_timer(&mut self.timer);
        let Phase::Handshaking { fd, handshake, .. } = std::mem::replace(&mut self.phase, Phase::Waiting)
        else {
            return true;
        };
        let Some(peer) = handshake.into_peer() else { return false };
        let config = &self.port.config;
        let side = self.pipe.clone().unwrap_or_else(|| PipeSide {
            id: self.port.inbox.reserve(),
            out: Arc::new(Queue::new(config.out)),
            inward: Arc::new(Queue::new(config.inward)),
        });
        let names = peer_names(fd.as_fd());
        let info = peer_info(&peer, &names.peer_address, fd.as_raw_fd());
        let parts = Parts {
            fd,
            key: self.handle.key,
            io: Arc::clone(&thread.shared),
            out: Arc::clone(&side.out),
            inward: Arc::clone(&side.inward),
            inbox: Arc::clone(&self.port.inbox),
            pipe: side.id,
            counters: Arc::clone(&self.port.counters),
            batches_wait: config.batch_timeout.is_some(),
        };
        let wire = Wire::for_peer(&peer, config.socket_type);
        let mut write = WriteHalf::new(wire);
        if !config.hello.is_empty() {
            // Ahead of what the pipe holds.
            write.add_control(&wire.encode(&Entry::message(&mut Body::Slice(&config.hello))));
        }
        let read = ReadHalf::new(peer.framing, config.max_message_size, config.socket_type, config.in_batch);
        let connection = Arc::new(Connection::new(parts, write, read));
        self.port.monitor.emit(EventKind::HandshakeSucceeded, 0, &self.name);
        let mut heartbeat =
            Heartbeat::new(config.heartbeat_interval, config.heartbeat_ttl, config.heartbeat_timeout);
        if peer.heartbeats {
            heartbeat.start(Instant::now());
        }
        if let Some(connector) = &mut self.connector {
            connector.pause = config.reconnect_interval.unwrap_or_default();
        }
        // A 1.0 subscriber does not say what it wants: it filters for itself.
        let publisher = matches!(config.socket_type, SocketType::Pub | SocketType::Xpub);
        let unasked = publisher && peer.version == (1, 0) && peer.socket_type.is_none();
        // Before anybody else can read: this comes first. Nobody is woken, since the socket knows of nothing yet.
        let notify = config.notify_connect;
        if unasked {
            push_message(&side.inward, &[1]);
        }
        if notify {
            push_message(&side.inward, &[]);
        }
        connection.feed(rest);
        self.handle.set_connection(Some(Arc::clone(&connection)));
        // From here on the pipe has a connection, and this thread its writer token.
        side.out.attach();
        let side_id = side.id;
        let news = match self.pipe.replace(side.clone()) {
            Some(_) => News::Reconnected(side.id, info),
            None => News::Attached(Box::new(Attachment {
                id: side.id,
                out: side.out,
                inward: side.inward,
                link: Link::Session(Arc::clone(&self.handle)),
                peer: Some(info),
                endpoint: self.connector.as_ref().map(|connector| connector.id),
            })),
        };
        self.phase = Phase::Running { connection: Arc::clone(&connection), heartbeat };
        let is_new = matches!(news, News::Attached(_));
        if !self.port.inbox.post_unless_closed(news) && is_new {
            // The socket was closed during the handshake, and knows nothing of a pipe to close.
            return false;
        }
        if unasked || notify || !rest.is_empty() {
            // News of what was fed came before that of the pipe, to nobody.
            self.port.inbox.post(News::Readable(side_id));
        }
        self.ever_connected = true;
        self.schedule_heartbeat(thread);
        self.write_with_token(thread)
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
                    self.connected(fd, thread)
                }
                Err(error) => {
                    let _ = thread.shared.epoll.delete(fd.as_fd());
                    self.port.monitor.emit(EventKind::Closed, fd.as_raw_fd() as u32, &self.name);
                    thread.cancel_timer(&mut self.timer);
                    self.try_next_target(error, thread)
                }
            },
            Phase::Handshaking { .. } => self.shake(readable || hangup, thread),
            Phase::Running { connection, .. } => {
                let connection = Arc::clone(connection);
                if readable || hangup {
                    connection.read_by_io_thread(hangup);
                    self.note_ping(&connection, thread);
                    self.discard_late_input(&connection);
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
        self.port.counters.batch_timeout();
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

    /// Looks at a stream that its producer writes.
    pub(super) fn watch_stream(&self) -> Option<Watch> {
        match (&self.phase, &self.pipe) {
            (Phase::Running { .. }, Some(side)) => Some(side.out.watch()),
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
            Some(Failure::Protocol) => self.port.counters.protocol_error(),
            Some(Failure::TooLarge) => self.port.counters.too_large(),
            Some(Failure::HeartbeatTimeout) => self.port.counters.heartbeat_timeout(),
        }
        self.drop_connection(thread)
    }

    /// Closes the connection, whatever phase it is in, and sees how to go on.
    fn drop_connection(&mut self, thread: &mut Thread) -> bool {
        self.close_connection(thread);
        self.connection_lost(thread)
    }

    fn close_connection(&mut self, thread: &mut Thread) {
        thread.cancel_timer(&mut self.timer);
        thread.cancel_timer(&mut self.heartbeat_timer);
        thread.cancel_timer(&mut self.batch_timer);
        let (fd, kind) = match std::mem::replace(&mut self.phase, Phase::Waiting) {
            Phase::Waiting | Phase::Resolving => return,
            Phase::Connecting(fd) => (fd.as_raw_fd(), EventKind::Closed),
            Phase::Handshaking { fd, .. } => {
                let _ = thread.shared.epoll.delete(fd.as_fd());
                (fd.as_raw_fd(), EventKind::Disconnected)
            }
            Phase::Running { connection, .. } => {
                connection.take_down();
                self.handle.set_connection(None);
                self.tell_of_loss();
                (connection.fd().as_raw_fd(), EventKind::Disconnected)
            }
        };
        self.port.monitor.emit(kind, fd as u32, &self.name);
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
        self.port.counters.reconnect();
        match &self.pipe {
            // With ZMQ_IMMEDIATE a pipe lives no longer than its connection.
            Some(side) if self.port.config.immediate && self.ever_connected => {
                if side.inward.end() {
                    self.port.inbox.post(News::Readable(side.id));
                }
                self.pipe = None;
                let fresh = SessionHandle {
                    key: self.handle.key,
                    io: Arc::clone(&self.handle.io),
                    connection: Mutex::new(None),
                };
                self.handle = Arc::new(fresh);
            }
            Some(side) if self.ever_connected => self.port.inbox.post(News::Disconnected(side.id)),
            _ => {}
        }
        let done = self.half_closed || self.pipe.as_ref().is_none_or(|side| side.out.is_empty());
        if self.closing && done {
            return false;
        }
        self.retry_later(&Errno::CONNRESET.into(), thread)
    }

    // --- the end of the session ---

    /// The socket has done with the pipe. What is in it is written for at most the linger time.
    pub(super) fn close(&mut self, linger: Option<Duration>, thread: &mut Thread) -> bool {
        self.closing = true;
        if linger == Some(Duration::ZERO) {
            return false;
        }
        if self.is_flushed() {
            return self.say_goodbye(thread);
        }
        if let Some(linger) = linger {
            self.linger_timer = Some(thread.set_timer(linger, TimerKey::Linger(self.handle.key)));
        }
        self.write(false, thread)
    }

    /// Ends our direction of an `ipc` connection and gives the peer time to read what lies in the kernel and
    /// to close. Returns whether the session lives on for that.
    ///
    /// Were the socket closed at once, the peer would be told of a hang-up at once, and libzmq, if it has
    /// stopped reading at its high-water mark, takes that for an error and drops what it has not read. TCP
    /// reports no hang-up before its data.
    fn say_goodbye(&mut self, thread: &mut Thread) -> bool {
        let (Phase::Running { connection, .. }, Some(side)) = (&self.phase, &self.pipe) else { return false };
        if !self.name.starts_with("ipc:") {
            return false;
        }
        if !std::mem::replace(&mut self.half_closed, true) {
            connection.end_writing();
            side.inward.clear();
            connection.resume();
            thread.set_timer(GOODBYE, TimerKey::Linger(self.handle.key));
        }
        true
    }

    /// Drops what a peer still sends to a socket that is closed, so that its end is seen behind it.
    fn discard_late_input(&self, connection: &Connection) {
        if let Some(side) = self.pipe.as_ref().filter(|_| self.half_closed) {
            side.inward.clear();
            connection.resume();
        }
    }

    /// Whether the session is closing and has nothing left to write.
    fn is_flushed(&self) -> bool {
        let Some(side) = &self.pipe else { return self.closing };
        self.closing && side.out.in_flight() == 0
    }

    /// Ends the session: nobody will write what is left.
    pub(super) fn abandon(mut self: Box<Self>, thread: &mut Thread) {
        self.close_connection(thread);
        thread.cancel_timer(&mut self.linger_timer);
        if let Some(side) = &self.pipe {
            if side.out.clear() {
                self.port.inbox.post(News::Writable(side.id));
            }
            if side.inward.end() || !self.closing {
                self.port.inbox.post(News::Readable(side.id));
            }
        }
    }
}

enum ShakeError {
    Os(Errno),
    Protocol(HandshakeError),
}

/// What a socket and its messages tell about the peer.
fn peer_info(peer: &Peer, address: &str, fd: i32) -> PeerInfo {
    let mut properties = Vec::with_capacity(peer.metadata.len() + 3);
    for (name, value) in &peer.metadata {
        // ZMTP calls it Identity, the manual of today Routing-Id; both names are answered.
        if name.eq_ignore_ascii_case("Identity") {
            properties.push(("Routing-Id".to_owned(), String::from_utf8_lossy(value).into_owned()));
        }
        properties.push((name.clone(), String::from_utf8_lossy(value).into_owned()));
    }
    properties.push(("Peer-Address".to_owned(), address.to_owned()));
    properties.push(("__fd".to_owned(), fd.to_string()));
    PeerInfo { routing_id: peer.routing_id.clone(), properties: Arc::new(properties.into()) }
}

/// A number from 0 to 1, different each time.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(next_key());
    (bits >> 11) as f64 / (1u64 << 53) as f64
}
