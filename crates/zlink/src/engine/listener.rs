//! A bound endpoint on its I/O thread.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::io_thread::{EndpointId, IoShared, Thread, TimerKey};
use super::session::{Port, Session};
use crate::monitor::{Ends, EventKind};
use crate::reactor::Interest;
use crate::transport::{AcceptError, Listener};

/// Pause before a listener is watched again after the process ran out of descriptors or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);
/// Connections accepted in one turn.
const ACCEPTS_PER_TURN: usize = 64;

/// A listener as its socket and its I/O thread share it: the thread accepts, and either closes it, so that its endpoint
/// is free when the socket's call returns.
pub(crate) struct ListenerHandle {
    io: Arc<IoShared>,
    listener: Mutex<Option<Listener>>,
}

impl ListenerHandle {
    pub(crate) fn new(listener: Listener, io: Arc<IoShared>) -> Arc<Self> {
        Arc::new(ListenerHandle { io, listener: Mutex::new(Some(listener)) })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Listener>> {
        // No code under this lock can panic half-way through an update.
        self.listener.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Ends listening. Does nothing if that is done already.
    pub(crate) fn close(&self, port: &Port) {
        let Some(listener) = self.lock().take() else { return };
        // Fails only if the I/O thread has not begun to watch it.
        let _ = self.io.epoll.delete(listener.as_fd());
        let fd = listener.as_fd().as_raw_fd() as u32;
        let ends = Ends::bound(listener.local_endpoint());
        drop(listener);
        port.monitor.emit(EventKind::Closed, fd, &ends);
    }

    /// Begins to watch for connections, to be reported under `key`.
    fn watch(&self, key: u64, port: &Port) {
        let guard = self.lock();
        let Some(listener) = &*guard else { return };
        if let Err(error) = self.io.epoll.add(listener.as_fd(), key, Interest::READ) {
            let number = error.raw_os_error().unwrap_or_default() as u32;
            port.monitor.emit(EventKind::BindFailed, number, &Ends::bound(listener.local_endpoint()));
        }
    }

    /// Watches no more, not even for errors.
    fn unwatch(&self) {
        if let Some(listener) = &*self.lock() {
            let _ = self.io.epoll.delete(listener.as_fd());
        }
    }

    /// Changes what the I/O thread watches it for; [`Interest::NONE`] for nothing but errors.
    fn set_interest(&self, key: u64, interest: Interest) -> io::Result<()> {
        self.lock().as_ref().map_or(Ok(()), |listener| self.io.epoll.modify(listener.as_fd(), key, interest))
    }
}

pub(super) struct BoundEndpoint {
    pub(super) id: EndpointId,
    pub(super) listener: Arc<ListenerHandle>,
    pub(super) port: Arc<Port>,
}

impl BoundEndpoint {
    pub(super) fn watch(&self, key: u64) {
        self.listener.watch(key, &self.port);
    }

    /// Accepts what waits. A listener that ran out of resources is left alone for a while: the connection
    /// that could not be accepted would be reported without end.
    pub(super) fn accept(&self, key: u64, thread: &mut Thread) {
        for _ in 0..ACCEPTS_PER_TURN {
            let guard = self.listener.lock();
            let Some(listener) = &*guard else { return };
            match listener.accept() {
                Ok(None) => return,
                Ok(Some(accepted)) => {
                    let web = listener.web().cloned();
                    drop(guard);
                    let fd = accepted.stream.as_raw_fd() as u32;
                    let ends = Ends::accepted(accepted.stream.as_fd(), web.as_deref());
                    self.port.monitor.emit(EventKind::Accepted, fd, &ends);
                    Session::accepted(Arc::clone(&self.port), ends, accepted, web.as_ref(), thread);
                }
                Err(error) => {
                    let ends = Ends::bound(listener.local_endpoint());
                    drop(guard);
                    self.port.monitor.emit(EventKind::AcceptFailed, error.errno() as u32, &ends);
                    match error {
                        AcceptError::Dropped(_) | AcceptError::Refused => {}
                        AcceptError::OutOfResources(_) => {
                            let _ = self.listener.set_interest(key, Interest::NONE);
                            thread.set_timer(EXHAUSTED_PAUSE, TimerKey::Accept(key));
                            return;
                        }
                        AcceptError::Listener(_) => {
                            self.listener.unwatch();
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Watches the listener again.
    pub(super) fn resume(&self, key: u64) {
        let _ = self.listener.set_interest(key, Interest::READ);
    }

    pub(super) fn close(&self) {
        self.listener.close(&self.port);
    }
}
