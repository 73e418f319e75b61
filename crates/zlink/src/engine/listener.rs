//! A bound endpoint on its I/O thread.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

use super::io_thread::{EndpointId, Thread, TimerKey};
use super::session::{Port, Session};
use crate::monitor::{Ends, EventKind};
use crate::reactor::Interest;
use crate::transport::{AcceptError, Listener};

/// Pause before a listener is watched again after the process ran out of descriptors or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);
/// Connections accepted in one turn.
const ACCEPTS_PER_TURN: usize = 64;

pub(super) struct BoundEndpoint {
    pub(super) id: EndpointId,
    pub(super) listener: Box<Listener>,
    pub(super) port: Arc<Port>,
}

impl BoundEndpoint {
    /// Accepts what waits. A listener that ran out of resources is left alone for a while: the connection
    /// that could not be accepted would be reported without end.
    pub(super) fn accept(&self, key: u64, thread: &mut Thread) {
        for _ in 0..ACCEPTS_PER_TURN {
            match self.listener.accept() {
                Ok(None) => return,
                Ok(Some(accepted)) => {
                    let fd = accepted.stream.as_raw_fd() as u32;
                    let web = self.listener.web();
                    let ends = Ends::accepted(accepted.stream.as_fd(), web.map(Arc::as_ref));
                    self.port.monitor.emit(EventKind::Accepted, fd, &ends);
                    Session::accepted(Arc::clone(&self.port), ends, accepted, web, thread);
                }
                Err(error) => {
                    let ends = Ends::bound(self.listener.local_endpoint());
                    self.port.monitor.emit(EventKind::AcceptFailed, error.errno() as u32, &ends);
                    match error {
                        AcceptError::Dropped(_) | AcceptError::Refused => {}
                        AcceptError::OutOfResources(_) => {
                            let _ = thread.shared.epoll.modify(self.listener.as_fd(), key, Interest::NONE);
                            thread.set_timer(EXHAUSTED_PAUSE, TimerKey::Accept(key));
                            return;
                        }
                        AcceptError::Listener(_) => {
                            let _ = thread.shared.epoll.delete(self.listener.as_fd());
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Watches the listener again.
    pub(super) fn resume(&self, key: u64, thread: &Thread) {
        let _ = thread.shared.epoll.modify(self.listener.as_fd(), key, Interest::READ);
    }

    pub(super) fn close(self, thread: &Thread) {
        let _ = thread.shared.epoll.delete(self.listener.as_fd());
        let fd = self.listener.as_fd().as_raw_fd() as u32;
        let ends = Ends::bound(self.listener.local_endpoint());
        drop(self.listener);
        self.port.monitor.emit(EventKind::Closed, fd, &ends);
    }
}
