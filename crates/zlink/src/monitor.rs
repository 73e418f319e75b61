//! Socket events: connections made, refused, lost.

use std::cell::Cell;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError, TrySendError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::engine::stats::SocketStats;
use crate::error::{Error, Result};
use crate::socket::{PeerState, Socket};
use crate::transport::{WebAddress, peer_names};

/// Events that wait to be read. A program that reads none must not let its peers fill the memory, and the engine
/// waits for nobody: events beyond it are counted and dropped.
const CAPACITY: usize = 1000;

/// What happened to one of a socket's endpoints or connections.
///
/// Source: `zmq_socket_monitor`(3), whose event numbers these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum EventKind {
    /// A connect succeeded. Value: the descriptor.
    Connected = 0x0001,
    /// A connect is under way. Value: an error number.
    ConnectDelayed = 0x0002,
    /// A connect will be tried again. Value: the pause in milliseconds.
    ConnectRetried = 0x0004,
    /// An endpoint was bound. Value: the descriptor.
    Listening = 0x0008,
    /// A bind failed. Value: the error number.
    BindFailed = 0x0010,
    /// A connection was accepted. Value: the descriptor.
    Accepted = 0x0020,
    /// A connection could not be accepted. Value: the error number.
    AcceptFailed = 0x0040,
    /// A connection or listener was closed. Value: the descriptor.
    Closed = 0x0080,
    /// A close failed. Value: the error number.
    CloseFailed = 0x0100,
    /// A connection was lost. That the socket itself has ended one is not told. Value: the descriptor.
    Disconnected = 0x0200,
    /// The monitor ends.
    MonitorStopped = 0x0400,
    /// A handshake failed. Value: an error number.
    HandshakeFailedNoDetail = 0x0800,
    /// A handshake is complete.
    HandshakeSucceeded = 0x1000,
    /// The peer broke the protocol during a handshake. Value: a `ZMQ_PROTOCOL_ERROR_…` number.
    HandshakeFailedProtocol = 0x2000,
    /// A handshake failed because of the peer's credentials. Value: the ZAP status.
    HandshakeFailedAuth = 0x4000,
    /// The state of a pipe, on request ([`Socket::report_pipes`]). Value: see [`MonitorEvent::queued`].
    PipesStats = 0x1_0000,
    /// A datagram was not sent, or not received: too long (`EMSGSIZE`), not of the form of its socket type (`EPROTO`),
    /// to an address that is none (`EINVAL`), or refused by the system. Value: the error number. zlink's own; only in
    /// monitors that ask for it by name.
    DatagramDropped = 0x2_0000,
    /// What the engine did for a peer, on request ([`Socket::report_pipes`]). Value: see [`MonitorEvent::queued`] and
    /// [`MonitorEvent::counters`]. zlink's own; only in monitors that ask for it by name.
    PeerStats = 0x4_0000,
}

impl EventKind {
    /// All kinds that come of themselves and that libzmq has too, as a mask for `Socket::monitor`.
    pub const ALL: u32 = 0xFFFF;
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MonitorEvent {
    /// What happened.
    pub kind: EventKind,
    /// Depends on the kind.
    pub value: u32,
    /// The endpoint concerned: for what was bound and its connections `local`, for connects `remote`.
    pub endpoint: String,
    /// This end of the connection, or the endpoint bound; empty for a connect without a connection.
    pub local: String,
    /// The other end of the connection, or the endpoint to connect to; empty for what was bound.
    pub remote: String,
    /// Messages in the queue to the peer and in the queue from the peer: for [`EventKind::PipesStats`] as libzmq counts
    /// them, with some that have left; for [`EventKind::PeerStats`] those that wait.
    pub queued: Option<[u64; 2]>,
    /// For [`EventKind::PeerStats`]: the counters of [`Socket::peer_stats`].
    pub counters: Option<Box<SocketStats>>,
}

impl MonitorEvent {
    fn at(kind: EventKind, ends: &Ends) -> Self {
        MonitorEvent {
            kind,
            value: 0,
            endpoint: ends.endpoint().to_owned(),
            local: ends.local.clone(),
            remote: ends.remote.clone(),
            queued: None,
            counters: None,
        }
    }

    fn stopped() -> Self {
        MonitorEvent::at(EventKind::MonitorStopped, &Ends::default())
    }
}

/// Where something happens: the two ends of a connection, as far as there are any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    local: String,
    remote: String,
    bound: bool,
}

impl Ends {
    /// An endpoint that was or is to be bound.
    pub(crate) fn bound(endpoint: &str) -> Self {
        Ends { local: endpoint.to_owned(), remote: String::new(), bound: true }
    }

    /// A connection that was accepted, at a `ws` endpoint if there is one.
    pub(crate) fn accepted(fd: BorrowedFd<'_>, web: Option<&WebAddress>) -> Self {
        let names = peer_names(fd);
        let name = |end| WebAddress::name(web, end);
        Ends { local: name(names.local), remote: name(names.remote), bound: true }
    }

    /// An endpoint that could not be bound: its address alone, as libzmq tells it.
    pub(crate) fn not_bound(endpoint: &str) -> Self {
        Ends::bound(endpoint.split_once("://").map_or(endpoint, |(_, address)| address))
    }

    /// A connect that has no connection.
    pub(crate) fn connecting(endpoint: &str) -> Self {
        Ends { local: String::new(), remote: endpoint.to_owned(), bound: false }
    }

    /// The connect has a connection.
    pub(crate) fn connected(&mut self, fd: BorrowedFd<'_>) {
        let local = peer_names(fd).local;
        self.local = match self.remote.split_once(':') {
            // A client is at no path.
            Some((scheme @ ("ws" | "wss"), _)) => local.replacen("tcp", scheme, 1),
            _ => local,
        };
    }

    /// The connection is gone. Of one that was accepted nothing is left to tell of.
    pub(crate) fn disconnected(&mut self) {
        if !self.bound {
            self.local.clear();
        }
    }

    /// This end and the other end.
    pub(crate) fn into_names(self) -> (String, String) {
        (self.local, self.remote)
    }

    /// The endpoint of the socket concerned.
    pub(crate) fn endpoint(&self) -> &str {
        if self.bound { &self.local } else { &self.remote }
    }
}

type Sink = Box<dyn Fn(&MonitorEvent) + Send>;

/// Where a socket's events go. Empty for most sockets, at the cost of one load an event.
#[derive(Default)]
pub(crate) struct MonitorHub {
    mask: AtomicU32,
    sink: Mutex<Option<Sink>>,
}

impl MonitorHub {
    /// Sends the events in `mask` to `sink`, which must not block, and no longer to an earlier one.
    pub(crate) fn set(&self, mask: u32, sink: Option<Sink>) {
        let mut slot = self.sink.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mask = if sink.is_some() { mask } else { 0 };
        let before = std::mem::replace(&mut *slot, sink);
        self.mask.store(mask, Ordering::Relaxed);
        if let Some(before) = before {
            before(&MonitorEvent::stopped());
        }
    }

    /// Whether anybody wants events of that kind.
    fn wants(&self, kind: EventKind) -> bool {
        self.mask.load(Ordering::Relaxed) & kind as u32 != 0
    }

    pub(crate) fn emit(&self, kind: EventKind, value: u32, ends: &Ends) {
        self.send(kind, || MonitorEvent { value, ..MonitorEvent::at(kind, ends) });
    }

    /// What is told of a peer on request.
    fn emit_peer(&self, peer: &PeerState) {
        self.send(EventKind::PipesStats, || MonitorEvent {
            queued: Some(peer.unacknowledged),
            ..MonitorEvent::at(EventKind::PipesStats, &peer.ends)
        });
        self.send(EventKind::PeerStats, || MonitorEvent {
            queued: Some(peer.queued),
            counters: Some(Box::new(peer.stats)),
            ..MonitorEvent::at(EventKind::PeerStats, &peer.ends)
        });
    }

    fn send(&self, kind: EventKind, event: impl FnOnce() -> MonitorEvent) {
        if !self.wants(kind) {
            return;
        }
        let slot = self.sink.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(sink) = &*slot {
            sink(&event());
        }
    }
}

/// Receives a socket's events, from [`Socket::monitor`].
///
/// Up to 1000 events wait to be read; what comes beyond is dropped and counted ([`lost`](Self::lost)), so that a
/// monitor nobody reads costs no more than that and never holds up the engine. The last event, and the one that is
/// never dropped, is [`EventKind::MonitorStopped`]: the socket was closed, or another monitor took over.
#[derive(Debug)]
pub struct Monitor {
    events: Receiver<MonitorEvent>,
    lost: Arc<AtomicU64>,
    /// The end is to be told, and was not yet.
    tell_end: Cell<bool>,
}

impl Socket {
    /// Starts a monitor of the events in `mask`, a sum of [`EventKind`]s as `u32` or [`EventKind::ALL`]. It
    /// replaces an earlier one, also one of the C interface.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::Terminated`].
    ///
    /// Source: `zmq_socket_monitor`(3).
    pub fn monitor(&self, mask: u32) -> Result<Monitor> {
        self.readiness()?;
        let (sender, events) = mpsc::sync_channel(CAPACITY);
        let lost = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&lost);
        let sink = move |event: &MonitorEvent| {
            // The receiving side tells the end by itself, so that it needs no room.
            if event.kind != EventKind::MonitorStopped
                && let Err(TrySendError::Full(_)) = sender.try_send(event.clone())
            {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        };
        self.monitor_hub().set(mask, Some(Box::new(sink)));
        let tell_end = Cell::new(mask & EventKind::MonitorStopped as u32 != 0);
        Ok(Monitor { events, lost, tell_end })
    }
}

impl Socket {
    /// Raises an [`EventKind::PipesStats`] and an [`EventKind::PeerStats`] for each pipe of the socket, as its monitor has
    /// them in its mask. Pipes over `inproc` have no endpoints.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if no monitor wants the events, [`Error::WouldBlock`] if the socket has no pipes,
    /// [`Error::Closed`], [`Error::Terminated`].
    ///
    /// Source: `zmq_socket_monitor_pipes_stats`(3).
    pub fn report_pipes(&self) -> Result<()> {
        let kinds = [EventKind::PipesStats, EventKind::PeerStats];
        if !kinds.iter().any(|kind| self.monitor_hub().wants(*kind)) {
            // A socket that is closed has no monitor, but says so.
            self.readiness()?;
            return Err(Error::InvalidArgument);
        }
        let peers = self.peers()?;
        if peers.is_empty() {
            return Err(Error::WouldBlock);
        }
        peers.iter().for_each(|peer| self.monitor_hub().emit_peer(peer));
        Ok(())
    }
}

impl Monitor {
    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the last one.
    pub fn recv(&self) -> Result<MonitorEvent> {
        self.events.recv().or_else(|_| self.end())
    }

    /// The next event, if it is there.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] if there is none yet, [`Error::Closed`] after the last one.
    pub fn try_recv(&self) -> Result<MonitorEvent> {
        match self.events.try_recv() {
            Ok(event) => Ok(event),
            Err(TryRecvError::Empty) => Err(Error::WouldBlock),
            Err(TryRecvError::Disconnected) => self.end(),
        }
    }

    /// Waits for the next event, no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] if none came in time, [`Error::Closed`] after the last one.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<MonitorEvent> {
        match self.events.recv_timeout(timeout) {
            Ok(event) => Ok(event),
            Err(RecvTimeoutError::Timeout) => Err(Error::WouldBlock),
            Err(RecvTimeoutError::Disconnected) => self.end(),
        }
    }

    /// Events dropped so far because too many waited to be read.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn end(&self) -> Result<MonitorEvent> {
        if self.tell_end.replace(false) {
            return Ok(MonitorEvent::stopped());
        }
        Err(Error::Closed)
    }
}
