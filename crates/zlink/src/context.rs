//! The context: I/O threads and the limit of sockets.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};

use zlink_zmtp::SocketType;

use crate::engine::{IoShared, IoThread};
use crate::error::{Error, Result};
use crate::inbox::Inbox;
use crate::inproc::Names;
use crate::option::context::ContextOptions;
use crate::reactor::{Ended, Wakeup};
use crate::socket::Socket;
use crate::sync::lock;

#[derive(Default)]
struct LiveCount {
    count: Mutex<usize>,
    changed: Wakeup,
}

/// Keeps a context from ending while it exists: held by sockets, and by endpoints with work to do.
pub(crate) struct Live(Arc<LiveCount>);

impl Live {
    fn new(count: &Arc<LiveCount>) -> Self {
        *lock(&count.count) += 1;
        Live(Arc::clone(count))
    }
}

impl Clone for Live {
    fn clone(&self) -> Self {
        Live::new(&self.0)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        *lock(&self.0.count) -= 1;
        self.0.changed.wake_all();
    }
}

/// The list of sockets is not swept for fewer.
const MIN_SWEEP: usize = 16;

#[derive(Default)]
struct State {
    options: ContextOptions,
    io_threads: Vec<IoThread>,
    /// I/O threads are started with the first socket; options that concern them come too late then.
    started: bool,
    sockets: Vec<Weak<Inbox>>,
    /// With so many, those that are gone are dropped from the list.
    sweep_at: usize,
    terminating: bool,
}

pub(crate) struct ContextInner {
    state: Mutex<State>,
    pub(crate) names: Arc<Names>,
    open_sockets: Arc<LiveCount>,
    live: Arc<LiveCount>,
}

/// A container for sockets: their I/O threads, and the in-process names they share.
///
/// Clones refer to the same context. When the last clone and the last socket are gone, the context waits
/// until what sockets have queued is sent, within their linger time, and ends.
///
/// Source: `zmq_ctx_new`(3), `zmq_ctx_term`(3).
#[derive(Clone)]
pub struct Context {
    pub(crate) inner: Arc<ContextInner>,
}

impl Default for Context {
    fn default() -> Self {
        Context::new()
    }
}

impl Context {
    /// Makes a context. Its I/O threads start with its first socket.
    pub fn new() -> Self {
        Context {
            inner: Arc::new(ContextInner {
                state: Mutex::default(),
                names: Arc::default(),
                open_sockets: Arc::default(),
                live: Arc::default(),
            }),
        }
    }

    /// Makes a socket.
    ///
    /// # Errors
    ///
    /// [`Error::TooManySockets`] beyond `ZMQ_MAX_SOCKETS`, [`Error::Terminated`] once the context is being
    /// terminated, [`Error::InvalidArgument`] for a type that this version does not have, [`Error::Option`]
    /// if one of the `ZLINK_…` environment variables has no valid value, [`Error::Os`] if the first socket's
    /// I/O threads cannot be started.
    ///
    /// Source: `zmq_socket`(3).
    pub fn socket(&self, socket_type: SocketType) -> Result<Socket> {
        Socket::new(self, socket_type)
    }

    /// Makes all blocking calls on the context's sockets, now and later, fail with [`Error::Terminated`].
    /// Sockets can still be closed.
    ///
    /// Source: `zmq_ctx_shutdown`(3).
    pub fn shutdown(&self) {
        let mut state = lock(&self.inner.state);
        state.terminating = true;
        let sockets = std::mem::take(&mut state.sockets);
        drop(state);
        for inbox in sockets.iter().filter_map(Weak::upgrade) {
            inbox.terminate();
        }
    }

    /// Ends the context: as [`shutdown`](Self::shutdown), then waits until all sockets are closed and what
    /// they had queued is sent or past its linger time, and ends the I/O threads. Signals do not end the wait.
    ///
    /// Source: `zmq_ctx_term`(3).
    pub fn terminate(&self) {
        while self.try_terminate().is_err() {}
    }

    /// As [`terminate`](Self::terminate), unless a signal ends the wait: [`Error::Interrupted`].
    pub(crate) fn try_terminate(&self) -> Result<()> {
        self.shutdown();
        self.inner.wait_until_idle()?;
        let threads = std::mem::take(&mut lock(&self.inner.state).io_threads);
        drop(threads);
        Ok(())
    }

    /// Sets a context option from its bytes as `zmq_ctx_set_ext` takes them; most take an `int`.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] if the option is unknown or the value not valid.
    ///
    /// Source: `zmq_ctx_set`(3).
    pub fn set_option(&self, id: i32, value: &[u8]) -> Result<()> {
        Ok(crate::option::context::set(&mut lock(&self.inner.state).options, id, value)?)
    }

    /// Reads a context option into `out`. Returns the length of the value.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] if the option is unknown or `out` has the wrong length.
    ///
    /// Source: `zmq_ctx_get`(3).
    pub fn option(&self, id: i32, out: &mut [u8]) -> Result<usize> {
        Ok(crate::option::context::get(&lock(&self.inner.state).options, id, out)?)
    }

    /// Sets the number of I/O threads, 0 or more; default 1. To be set before the first socket is made.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] if the number is negative.
    ///
    /// Source: `ZMQ_IO_THREADS`.
    pub fn set_io_threads(&self, threads: i32) -> Result<()> {
        self.set_option(crate::option::context::id::IO_THREADS, &threads.to_ne_bytes())
    }
}

impl ContextInner {
    /// Admits a socket: starts the I/O threads with the first one.
    pub(crate) fn admit(&self, inbox: &Arc<Inbox>) -> Result<(Live, ContextOptions)> {
        let mut state = lock(&self.state);
        if state.terminating {
            return Err(Error::Terminated);
        }
        let limit = usize::try_from(state.options.max_sockets).unwrap_or(0);
        if *lock(&self.open_sockets.count) >= limit {
            return Err(Error::TooManySockets);
        }
        if !state.started {
            state.start_threads().map_err(Error::os("start I/O thread"))?;
        }
        if state.sockets.len() >= state.sweep_at {
            // Each time twice as many are left as last time: no socket pays for all others.
            state.sockets.retain(|inbox| inbox.strong_count() > 0);
            state.sweep_at = 2 * state.sockets.len() + MIN_SWEEP;
        }
        state.sockets.push(Arc::downgrade(inbox));
        Ok((Live::new(&self.open_sockets), state.options.clone()))
    }

    /// A token that keeps the context alive for an endpoint's sake.
    pub(crate) fn live(&self) -> Live {
        Live::new(&self.live)
    }

    /// The least loaded of the I/O threads in `affinity`; 0 stands for all.
    pub(crate) fn choose_io_thread(&self, affinity: u64) -> Result<Arc<IoShared>> {
        let state = lock(&self.state);
        state
            .io_threads
            .iter()
            .enumerate()
            .filter(|(i, _)| affinity == 0 || (*i < 64 && affinity & (1 << i) != 0))
            .map(|(_, thread)| &thread.shared)
            .min_by_key(|shared| shared.load.load(Ordering::Relaxed))
            .map(Arc::clone)
            .ok_or(Error::NoIoThread)
    }

    /// Waits until no socket is open and nothing is left to be sent, or a signal comes.
    fn wait_until_idle(&self) -> Result<()> {
        for count in [&self.open_sockets, &self.live] {
            let mut left = lock(&count.count);
            while *left > 0 {
                let ended;
                (left, ended) = count.changed.wait(&count.count, left, None);
                if ended == Ended::Interrupted && *left > 0 {
                    return Err(Error::Interrupted);
                }
            }
        }
        Ok(())
    }
}

impl State {
    fn start_threads(&mut self) -> std::io::Result<()> {
        let scheduling = self.options.scheduling();
        let threads = (0..self.options.io_threads)
            .map(|number| IoThread::start(self.options.io_thread_name(number), scheduling.clone()));
        // Without the last of them, none stays: a program may ask for less and try again.
        self.io_threads = threads.collect::<std::io::Result<_>>()?;
        self.started = true;
        Ok(())
    }
}

impl Drop for ContextInner {
    fn drop(&mut self) {
        // Sockets hold the context, so none is left; what they queued may still be on its way.
        while self.wait_until_idle().is_err() {}
    }
}
