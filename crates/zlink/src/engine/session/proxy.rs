//! The way through a SOCKS proxy, between connecting and the handshake.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::{Phase, Session};
use crate::engine::io_thread::Thread;
use crate::monitor::EventKind;
use crate::reactor::Interest;
use crate::transport::{Endpoint, Negotiation, SocksError};

/// Why there is no way through.
enum ProxyError {
    Os(Errno),
    Socks(SocksError),
}

impl ProxyError {
    fn errno(&self) -> Errno {
        match self {
            ProxyError::Os(errno) => *errno,
            ProxyError::Socks(error) => error.errno(),
        }
    }
}

impl Session {
    /// A connection stands: to a proxy, which is asked for the way, or to the peer.
    pub(super) fn arrived(&mut self, fd: OwnedFd, thread: &mut Thread) -> bool {
        thread.cancel_timer(&mut self.timer);
        let Some(proxy) = &self.port.config.proxy else { return self.connected(fd, thread) };
        let endpoint = self.connector.as_ref().map(|connector| &connector.endpoint);
        let Some(Endpoint::Tcp(endpoint)) = endpoint else { return self.connected(fd, thread) };
        // The connect has seen to it that the endpoint fits in.
        let Ok(negotiation) = Negotiation::new(proxy, endpoint) else { return false };
        let (epoll, key) = (Arc::clone(&thread.shared), self.key());
        // The descriptor is in the set already unless it connected at once.
        if epoll.epoll.add(fd.as_fd(), key, Interest::READ).is_err()
            && epoll.epoll.modify(fd.as_fd(), key, Interest::READ).is_err()
        {
            return self.try_next_target(thread);
        }
        if let Some(timeout) = self.port.config.handshake_timeout {
            self.set_timer(timeout, thread);
        }
        self.phase = Phase::Proxying { fd, negotiation: Box::new(negotiation), wants_write: false };
        self.negotiate(false, thread)
    }

    /// Moves the negotiation on: reads, if `readable`, and says what there is to say.
    pub(super) fn negotiate(&mut self, readable: bool, thread: &mut Thread) -> bool {
        let Phase::Proxying { fd, negotiation, wants_write } = &mut self.phase else { return true };
        let outcome = exchange(fd, negotiation, readable);
        let blocked = !negotiation.output().is_empty();
        if outcome.is_ok() && blocked != *wants_write {
            *wants_write = blocked;
            let interest = Interest { readable: true, writable: blocked };
            let _ = thread.shared.epoll.modify(fd.as_fd(), self.handle.key, interest);
        }
        match outcome {
            Ok(false) => true,
            Ok(true) => {
                let Phase::Proxying { fd, .. } = std::mem::replace(&mut self.phase, Phase::Waiting) else {
                    return true;
                };
                self.connected(fd, thread)
            }
            Err(error) => self.no_way_through(error.errno(), thread),
        }
    }

    /// Gives up this connection to the proxy.
    pub(super) fn no_way_through(&mut self, why: Errno, thread: &mut Thread) -> bool {
        let number = why.raw_os_error() as u32;
        self.port.monitor.emit(EventKind::HandshakeFailedNoDetail, number, &self.ends);
        thread.cancel_timer(&mut self.timer);
        if let Phase::Proxying { fd, .. } = std::mem::replace(&mut self.phase, Phase::Waiting) {
            let _ = thread.shared.epoll.delete(fd.as_fd());
            self.port.monitor.emit(EventKind::Closed, fd.as_raw_fd() as u32, &self.ends);
        }
        self.try_next_target(thread)
    }
}

/// Reads what the proxy has answered and says what there is to say to it. Returns whether the way is open.
fn exchange(fd: &OwnedFd, negotiation: &mut Negotiation, readable: bool) -> Result<bool, ProxyError> {
    let mut readable = readable;
    loop {
        while !negotiation.output().is_empty() {
            match send(fd, negotiation.output(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(n) => negotiation.advance_output(n),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(errno) => return Err(ProxyError::Os(errno)),
            }
        }
        if !std::mem::take(&mut readable) {
            return Ok(false);
        }
        let mut buffer = [0; 512];
        // What follows the answer is for others to read.
        let wanted = negotiation.wanted().min(buffer.len());
        match recv(fd, &mut buffer[..wanted], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => return Err(ProxyError::Os(Errno::PIPE)),
            Ok((_, n)) => {
                if negotiation.input(&buffer[..n]).map_err(ProxyError::Socks)? {
                    return Ok(true);
                }
                readable = true;
            }
            Err(Errno::INTR) => readable = true,
            Err(Errno::AGAIN) => {}
            Err(errno) => return Err(ProxyError::Os(errno)),
        }
    }
}
