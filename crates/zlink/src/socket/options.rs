//! Reading and setting options.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;

use zlink_zmtp::curve::KEY_LEN;

use super::{Core, Readiness, Socket};
use crate::error::{Error, Result};
use crate::option::{self, Applied, Fetched, SocketAction, id};
use crate::reactor::Waker;

/// `ZMQ_POLLIN` and `ZMQ_POLLOUT`.
const POLLIN: i32 = 1;
const POLLOUT: i32 = 2;
/// The longest value of any option but metadata, in bytes, with its NUL.
const LONGEST: usize = 1024;

impl Socket {
    /// Sets an option from its bytes, as `zmq_setsockopt` takes them. The typed methods do this for you.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] if the option is unknown, not for this socket type, or the value not valid.
    ///
    /// Source: `zmq_setsockopt`(3).
    pub fn set_option(&self, id: i32, value: &[u8]) -> Result<()> {
        let mut core = self.enter_aside()?;
        match option::set(&mut core.options, self.socket_type, id, value)? {
            Applied::Stored => self.apply(&mut core, id),
            Applied::Action(SocketAction::Subscribe) => core.subscribe(value, true),
            Applied::Action(SocketAction::Unsubscribe) => core.subscribe(value, false),
            Applied::Action(SocketAction::ConnectRoutingId) => core.pattern.name_next_peer(value),
            Applied::Action(_) => Err(Error::InvalidArgument),
        }
    }

    /// Passes a stored option on to what uses it at once.
    fn apply(&self, core: &mut Core, id: i32) -> Result<()> {
        let Core { pattern, pipes, options, .. } = core;
        pattern.configure(options);
        if matches!(id, id::SNDHWM | id::RCVHWM) {
            let (send, receive) = (options.send_hwm as usize, options.receive_hwm as usize);
            let mut roomier = Vec::new();
            for (index, pipe) in pipes.iter_mut() {
                if pipe.set_marks(send, receive) {
                    roomier.push(index);
                }
            }
            if !roomier.is_empty() {
                // Another thread may be waiting for just that.
                self.inbox.nudge();
            }
            for index in roomier {
                pattern.writable(pipes, index);
            }
        }
        Ok(())
    }

    /// Reads an option into `out`, as `zmq_getsockopt` does. Returns the length of the value.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] if the option is unknown, not for this socket type, or `out` has the wrong length.
    ///
    /// Source: `zmq_getsockopt`(3).
    pub fn option(&self, id: i32, out: &mut [u8]) -> Result<usize> {
        let mut core = if id == id::EVENTS { self.enter()? } else { self.enter_aside()? };
        let action = match option::get(&core.options, self.socket_type, id, out)? {
            Fetched::Written(len) => return Ok(len),
            Fetched::Live(action) => action,
        };
        let written = match action {
            SocketAction::ReceiveMore => action.write_int(out, i32::from(core.receive_more)),
            SocketAction::LastEndpoint => action.write_text(out, &core.last_endpoint),
            SocketAction::TopicsCount => {
                let topics = core.pattern.topics()?;
                action.write_int(out, i32::try_from(topics).unwrap_or(i32::MAX))
            }
            SocketAction::Events => {
                let Readiness { readable, writable } = core.readiness(&self.inbox);
                core.close_refused(&self.inbox);
                let events = if readable { POLLIN } else { 0 } | if writable { POLLOUT } else { 0 };
                action.write_int(out, events)
            }
            SocketAction::Fd => {
                let fd = self.readiness_fd(&mut core)?;
                action.write_int(out, fd)
            }
            _ => return Err(Error::InvalidArgument),
        };
        Ok(written?)
    }

    fn readiness_fd(&self, core: &mut Core) -> Result<RawFd> {
        let fd = self.inbox.waker().map_err(Error::os("eventfd"))?.as_fd().as_raw_fd();
        core.direct.switch_off();
        self.inbox.watch_fd();
        Ok(fd)
    }

    /// The descriptor that becomes readable when the socket's [`readiness`](Self::readiness) may have changed.
    /// It is for polling only, and belongs to the socket. From the first call on, messages are read by the
    /// context's I/O threads.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if the process is out of descriptors.
    ///
    /// Source: `ZMQ_FD`.
    pub fn fd(&self) -> Result<RawFd> {
        let mut core = self.enter_aside()?;
        self.readiness_fd(&mut core)
    }

    /// Lets `signaler` become readable, too, when the socket's readiness may have changed. From the first one on,
    /// messages are read by the context's I/O threads.
    pub(crate) fn add_signaler(&self, signaler: &Arc<Waker>) -> Result<()> {
        let mut core = self.enter_aside()?;
        core.direct.switch_off();
        self.inbox.add_signaler(signaler);
        Ok(())
    }

    pub(crate) fn remove_signaler(&self, signaler: &Arc<Waker>) {
        self.inbox.remove_signaler(signaler);
    }

    pub(crate) fn option_int(&self, id: i32) -> Result<i32> {
        let mut out = [0; size_of::<i32>()];
        self.option(id, &mut out)?;
        Ok(i32::from_ne_bytes(out))
    }

    pub(crate) fn option_bytes(&self, id: i32) -> Result<Vec<u8>> {
        let len = match option::lookup(id).map(|row| &row.kind) {
            Some(option::Kind::Long { .. } | option::Kind::Word { .. }) => size_of::<u64>(),
            Some(option::Kind::Key { .. }) => KEY_LEN,
            _ => LONGEST,
        };
        let mut out = vec![0; len];
        let len = self.option(id, &mut out)?;
        out.truncate(len);
        Ok(out)
    }

    crate::option::accessors::socket_accessors!();
}

impl Core {
    fn subscribe(&mut self, topic: &[u8], add: bool) -> Result<()> {
        let Core { pattern, pipes, .. } = self;
        pattern.subscribe(pipes, topic, add)
    }
}
