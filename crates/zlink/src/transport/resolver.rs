//! Host names, looked up where nobody waits.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::io::Errno;

use super::endpoint::{Host, HostPort, TcpEndpoint};
use super::tcp;
use crate::reactor::block_signals;

/// How many lookups may wait. Each stands for a connector, which tries again later when turned away.
const QUEUE: usize = 1024;

/// Takes the outcome of a lookup: at least one address, the best first, or an error.
pub(crate) type Resolved = Box<dyn FnOnce(io::Result<Vec<SocketAddr>>) + Send>;

/// `getaddrinfo(3)` in all but name: the port comes back as 0.
pub(super) type LookUp = Arc<dyn Fn(&str, bool) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Looks up names on a thread of its own, one after the other, started by the first name.
///
/// Dropping the resolver does not wait for a lookup that is under way: the thread ends after it by itself.
/// Lookups that have not ended by then are dropped, their callbacks uncalled.
pub(crate) struct Resolver {
    look_up: LookUp,
    closed: Arc<AtomicBool>,
    queue: Mutex<Option<SyncSender<Job>>>,
}

struct Job {
    address: HostPort,
    name: String,
    ipv6: bool,
    done: Resolved,
}

impl Resolver {
    /// A resolver without a thread yet.
    pub(crate) fn new() -> Resolver {
        Resolver::with(Arc::new(tcp::look_up))
    }

    /// A resolver that asks `look_up` instead of the system.
    pub(super) fn with(look_up: LookUp) -> Resolver {
        Resolver { look_up, closed: Arc::new(AtomicBool::new(false)), queue: Mutex::new(None) }
    }

    /// Finds the addresses of `endpoint` and calls `done` with them: at once on the calling thread for
    /// a numeric address and for errors known at once, else later on the resolver's thread. `done` must not
    /// block.
    ///
    /// # Errors
    ///
    /// To `done`: `EINVAL` for an unknown name, an IPv6 address without `ipv6` or an unknown zone;
    /// `EAGAIN` if too many lookups wait or no thread can be started.
    pub(crate) fn resolve(&self, endpoint: &TcpEndpoint, ipv6: bool, done: Resolved) {
        let Host::Name(name) = &endpoint.address.host else {
            let numeric = endpoint.address.numeric(ipv6);
            done(numeric.and_then(|a| a.map(|a| vec![a]).ok_or_else(|| Errno::INVAL.into())));
            return;
        };
        let job = Job { address: endpoint.address.clone(), name: name.clone(), ipv6, done };
        if let Err(job) = self.enqueue(job) {
            (job.done)(Err(Errno::AGAIN.into()));
        }
    }

    fn enqueue(&self, job: Job) -> Result<(), Job> {
        // Nothing under this lock leaves the state half-changed.
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = queue.as_ref() else {
            return self.start(&mut queue, job);
        };
        match running.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(job)) => Err(job),
            // The thread has died of a callback that panicked.
            Err(TrySendError::Disconnected(job)) => self.start(&mut queue, job),
        }
    }

    fn start(&self, queue: &mut Option<SyncSender<Job>>, job: Job) -> Result<(), Job> {
        let (sender, receiver) = sync_channel(QUEUE);
        let (look_up, closed) = (Arc::clone(&self.look_up), Arc::clone(&self.closed));
        let spawned = thread::Builder::new().name(String::from("zlink-resolver")).spawn(move || {
            block_signals();
            run(&receiver, &look_up, &closed);
        });
        if spawned.is_err() {
            return Err(job);
        }
        let sent = sender.try_send(job).map_err(|error| match error {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
        });
        *queue = Some(sender);
        sent
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        // Relaxed: nothing else is published by it, and the channel closing wakes the thread.
        self.closed.store(true, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

fn run(jobs: &Receiver<Job>, look_up: &LookUp, closed: &AtomicBool) {
    for job in jobs {
        if closed.load(Ordering::Relaxed) {
            return;
        }
        let found = look_up(&job.name, job.ipv6);
        if closed.load(Ordering::Relaxed) {
            return;
        }
        let addresses =
            found.and_then(|found| found.into_iter().map(|address| job.address.at(address)).collect());
        (job.done)(addresses);
    }
}
