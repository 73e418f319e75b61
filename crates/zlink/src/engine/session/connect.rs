//! The making of connections: rounds of tries over the addresses of an endpoint, with pauses between them.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::{ConnectTo, Connector, Phase, Port, Session, SessionHandle};
use crate::engine::io_thread::{Command, Thread, TimerKey, next_key};
use crate::monitor::{Ends, EventKind};
use crate::reactor::Interest;
use crate::transport::{Accepted, Endpoint, Target, WebAddress, start_connect};

impl Session {
    /// Starts on a connection that was just accepted, at a `ws` endpoint if there is one.
    pub(in crate::engine) fn accepted(
        port: Arc<Port>,
        ends: Ends,
        accepted: Accepted,
        web: Option<&Arc<WebAddress>>,
        thread: &mut Thread,
    ) {
        let handle = SessionHandle::new(Arc::clone(&thread.shared), &port.counters);
        let mut session = Box::new(Session::new(handle, port, ends));
        session.accepted_at = web.cloned();
        if session.start_handshake(accepted.stream, thread) {
            thread.add_session(session);
        } else {
            session.abandon(thread);
        }
    }

    pub(in crate::engine) fn connecting(
        to: ConnectTo,
        port: Arc<Port>,
        handle: Arc<SessionHandle>,
    ) -> Box<Self> {
        let mut session = Session::new(handle, port, Ends::connecting(&to.endpoint.to_string()));
        let pause = session.port.config.reconnect_interval.unwrap_or_default();
        session.connector = Some(Connector {
            id: to.id,
            endpoint: to.endpoint,
            pause,
            targets: VecDeque::new(),
            refused: false,
        });
        session.pipe = to.pipe;
        Box::new(session)
    }

    /// Starts a round of connecting. Like the other handlers, returns whether the session lives on.
    pub(in crate::engine) fn connect(&mut self, thread: &mut Thread) -> bool {
        let key = self.key();
        let Some(connector) = &mut self.connector else { return false };
        match &connector.endpoint {
            Endpoint::Tcp(endpoint) => {
                self.phase = Phase::Resolving;
                // Not by way of the mailbox, where the socket's close may be next: as with libzmq, a peer sees that
                // somebody has connected who closes at once.
                let stop = self.port.config.proxy.as_ref().map_or(endpoint, |proxy| proxy.endpoint());
                if let Some(address) = stop.numeric(self.port.config.transport.ipv6) {
                    return self.resolved(Ok(vec![address]), thread);
                }
                let io = Arc::clone(&thread.shared);
                let done = Box::new(move |result| io.post(Command::Resolved { key, result }));
                thread.shared.resolver.resolve(stop, self.port.config.transport.ipv6, done);
                true
            }
            endpoint => match endpoint.target() {
                Some(target) => {
                    connector.targets = VecDeque::from([target]);
                    self.try_next_target(thread)
                }
                // In-process connects have no session, and datagram sockets one of their own.
                None => false,
            },
        }
    }

    pub(in crate::engine) fn resolved(
        &mut self,
        result: io::Result<Vec<SocketAddr>>,
        thread: &mut Thread,
    ) -> bool {
        if !matches!(self.phase, Phase::Resolving) {
            return true;
        }
        let ipv6 = self.port.config.transport.ipv6;
        let Some(connector) = &mut self.connector else { return false };
        let Endpoint::Tcp(endpoint) = &connector.endpoint else { return false };
        let targets = result.and_then(|addresses| {
            let source = match endpoint.source_addr(ipv6)? {
                None => {
                    self.port.config.proxy.as_ref().map_or(Ok(None), |it| it.endpoint().source_addr(ipv6))?
                }
                source => source,
            };
            Ok(addresses.into_iter().map(|address| Target::Tcp(address, source)).collect())
        });
        match targets {
            Ok(targets) => {
                connector.targets = targets;
                self.try_next_target(thread)
            }
            Err(_) => self.retry_later(thread),
        }
    }

    /// Tries the addresses of this round that are left; with none, the round ends.
    pub(super) fn try_next_target(&mut self, thread: &mut Thread) -> bool {
        loop {
            let Some(connector) = &mut self.connector else { return false };
            let Some(target) = connector.targets.pop_front() else {
                let stop = self.port.config.reconnect_stop;
                let give_up = stop.refused || (stop.refused_after_disconnect && self.closing);
                return !(connector.refused && give_up) && self.retry_later(thread);
            };
            connector.refused = false;
            match start_connect(&target, &self.port.config.transport) {
                Ok((fd, Ok(true))) => return self.arrived(fd, thread),
                Ok((fd, Ok(false))) => {
                    let number = Errno::INPROGRESS.raw_os_error() as u32;
                    self.port.monitor.emit(EventKind::ConnectDelayed, number, &self.ends);
                    if thread.shared.epoll.add(fd.as_fd(), self.handle.key, Interest::WRITE).is_ok() {
                        if let Some(timeout) = self.port.config.connect_timeout {
                            self.set_timer(timeout, thread);
                        }
                        self.phase = Phase::Connecting(fd);
                        return true;
                    }
                }
                Ok((fd, Err(error))) => {
                    connector.refused = error.kind() == io::ErrorKind::ConnectionRefused;
                    self.port.monitor.emit(EventKind::Closed, fd.as_raw_fd() as u32, &self.ends);
                }
                Err(_) => {}
            }
        }
    }

    /// No connection has come of a target.
    pub(super) fn no_connection(&mut self, thread: &mut Thread) -> bool {
        thread.cancel_timer(&mut self.timer);
        if let Phase::Connecting(fd) = std::mem::replace(&mut self.phase, Phase::Waiting) {
            let _ = thread.shared.epoll.delete(fd.as_fd());
            self.port.monitor.emit(EventKind::Closed, fd.as_raw_fd() as u32, &self.ends);
        }
        self.try_next_target(thread)
    }

    pub(super) fn connected(&mut self, fd: OwnedFd, thread: &mut Thread) -> bool {
        thread.cancel_timer(&mut self.timer);
        self.ends.connected(fd.as_fd());
        self.port.monitor.emit(EventKind::Connected, fd.as_raw_fd() as u32, &self.ends);
        self.start_handshake(fd, thread)
    }

    /// Ends a round of connecting: pauses, then starts another.
    pub(super) fn retry_later(&mut self, thread: &mut Thread) -> bool {
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
        self.port.monitor.emit(EventKind::ConnectRetried, pause.as_millis() as u32, &self.ends);
        self.phase = Phase::Waiting;
        self.set_timer(pause, thread);
        true
    }

    pub(super) fn set_timer(&mut self, after: Duration, thread: &mut Thread) {
        thread.cancel_timer(&mut self.timer);
        self.timer = Some(thread.set_timer(after, TimerKey::Session(self.handle.key)));
    }

    /// The deadline of the present phase has passed.
    pub(in crate::engine) fn timeout(&mut self, thread: &mut Thread) -> bool {
        self.timer = None;
        match &self.phase {
            Phase::Waiting => self.connect(thread),
            Phase::Resolving | Phase::Running { .. } => true,
            Phase::Connecting(_) => self.no_connection(thread),
            Phase::Proxying { .. } => self.no_way_through(Errno::TIMEDOUT, thread),
            Phase::Handshaking(_) => {
                let number = Errno::TIMEDOUT.raw_os_error() as u32;
                self.port.monitor.emit(EventKind::HandshakeFailedNoDetail, number, &self.ends);
                self.handshake_failed(false, thread)
            }
        }
    }
}

/// A number from 0 to 1, different each time.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(next_key());
    (bits >> 11) as f64 / (1u64 << 53) as f64
}
