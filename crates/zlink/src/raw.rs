//! What the C interface needs and the Rust API has no use for: calls that take bytes or a message in place, with
//! the flags of `zmq.h` as plain arguments.
//!
//! Nothing here is stable, and nothing here is slower than the public calls: each is the socket's own function
//! under a public name.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

pub use nix::sys::signal::SigSet;
use zlink_pipe::{Body, Message};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::monitor::MonitorEvent;
use crate::poller::{PollItem, poll_with_mask};
use crate::reactor::Waker;
use crate::socket::{Socket, Wait};

#[inline]
fn wait(dontwait: bool) -> Wait {
    if dontwait { Wait::Never } else { Wait::Block }
}

/// Sends a copy of `bytes` as one part.
///
/// # Errors
///
/// As [`Socket::send`].
#[inline]
pub fn send_slice(socket: &Socket, bytes: &[u8], more: bool, dontwait: bool) -> Result<()> {
    socket.send_body(&mut Body::Slice(bytes), more, wait(dontwait))
}

/// Sends `message` as one part. It is empty afterwards on success and unchanged on failure.
///
/// # Errors
///
/// As [`Socket::send`].
#[inline(always)]
pub fn send_message(socket: &Socket, message: &mut Message, more: bool, dontwait: bool) -> Result<()> {
    socket.send_body(&mut Body::Message(message), more, wait(dontwait))?;
    // A body that was copied into a chunk is still there.
    message.reset();
    Ok(())
}

/// Receives one part into `buffer` and returns its full length; what does not fit is lost.
///
/// # Errors
///
/// As [`Socket::recv`].
#[inline]
pub fn recv_slice(socket: &Socket, buffer: &mut [u8], dontwait: bool) -> Result<usize> {
    socket.receive_slice(buffer, wait(dontwait))
}

/// Receives one part into `message`, which is unchanged on failure.
///
/// # Errors
///
/// As [`Socket::recv`].
#[inline(always)]
pub fn recv_message(socket: &Socket, message: &mut Message, dontwait: bool) -> Result<()> {
    socket.receive_in_place(message, wait(dontwait))
}

/// As [`Context::terminate`], but a signal ends the wait. The context's sockets can then be closed and nothing else,
/// and a further call goes on waiting.
///
/// # Errors
///
/// [`Error::Interrupted`](crate::Error::Interrupted) if a signal ended the wait.
///
/// Source: `zmq_ctx_term`(3).
pub fn terminate(context: &Context) -> Result<()> {
    context.try_terminate()
}

/// As [`poll`](crate::poll). While it looks and waits, `mask`, if there is one, takes the place of the thread's signal
/// mask, as for `ppoll(2)`.
///
/// # Errors
///
/// As [`poll`](crate::poll).
///
/// Source: `zmq_ppoll`(3).
pub fn poll(items: &mut [PollItem<'_>], timeout: Option<Duration>, mask: Option<SigSet>) -> Result<usize> {
    poll_with_mask(items, timeout, mask)
}

/// A descriptor that several sockets make readable when their readiness may have changed.
///
/// Source: `zmq_poller_fd` of `zmq.h`, which has no manual page.
pub struct Signaler(Arc<Waker>);

impl Signaler {
    /// A signaler that no socket knows of.
    ///
    /// # Errors
    ///
    /// [`Error::Os`](crate::Error::Os) if the process is out of descriptors.
    pub fn new() -> Result<Self> {
        Ok(Signaler(Arc::new(Waker::new().map_err(Error::os("eventfd"))?)))
    }

    /// The descriptor, for polling only.
    pub fn fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }

    /// Makes the descriptor unreadable until the next signal. To be called before the sockets are looked at.
    pub fn drain(&self) {
        self.0.drain();
    }

    /// Lets `socket` signal from now on, and signals at once. Its messages are from now on read by the context's I/O
    /// threads.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed), [`Error::Terminated`](crate::Error::Terminated).
    pub fn add(&self, socket: &Socket) -> Result<()> {
        socket.add_signaler(&self.0)
    }

    /// Lets `socket` signal no more.
    pub fn remove(&self, socket: &Socket) {
        socket.remove_signaler(&self.0);
    }
}

/// Takes a socket's events.
pub type MonitorSink = Box<dyn Fn(&MonitorEvent) + Send>;

/// Sends the socket's events in `mask` to `sink`, and no longer to an earlier one, whose last event is
/// [`MonitorStopped`](crate::EventKind::MonitorStopped). Without a sink it only ends the earlier one.
///
/// `sink` is called by I/O threads and by threads inside calls on the socket. It must not wait, nor call the
/// socket.
///
/// # Errors
///
/// [`Error::Closed`](crate::Error::Closed) if the socket is closed, [`Error::Terminated`](crate::Error::Terminated) if its context is being terminated.
pub fn set_monitor(socket: &Socket, mask: u32, sink: Option<MonitorSink>) -> Result<()> {
    socket.readiness()?;
    socket.monitor_hub().set(mask, sink);
    Ok(())
}
