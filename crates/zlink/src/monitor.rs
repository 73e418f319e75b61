//! Socket events: connections made, refused, lost.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

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
    /// A connection was lost. Value: the descriptor.
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
}

impl EventKind {
    /// All kinds, as a mask for `Socket::monitor`.
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
    /// The endpoint concerned.
    pub endpoint: String,
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
            before(&MonitorEvent { kind: EventKind::MonitorStopped, value: 0, endpoint: String::new() });
        }
    }

    pub(crate) fn emit(&self, kind: EventKind, value: u32, endpoint: &str) {
        if self.mask.load(Ordering::Relaxed) & kind as u32 == 0 {
            return;
        }
        let slot = self.sink.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(sink) = &*slot {
            sink(&MonitorEvent { kind, value, endpoint: endpoint.to_owned() });
        }
    }
}
