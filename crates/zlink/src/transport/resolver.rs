//! Host names, looked up where nobody waits.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::io::Errno;

use super::endpoint::{Host, HostPort, TcpEndpoint};
use super::tcp;
use crate::reactor::block_signals;
use crate::sync::lock;

/// How many lookups may wait. Each stands for a connector, which tries again later when turned away.
const QUEUE: usize = 1024;

/// Takes the outcome of a lookup: at least one address, the best first, or an error.
pub(crate) type Resolved = Box<dyn FnOnce(io::Result<Vec<SocketAddr>>) + Send>;

/// `getaddrinfo(3)` in all but name: the port comes back as 0.
pub(super) type LookUp = Arc<dyn Fn(&str, bool) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Looks up names on a thread of its own, one after the other, started by the first name.
///
/// [Closing](Resolver::close) and dropping it wait for the thread, but not for a lookup that is under way, which may take
/// long: the thread then ends after it by itself. Lookups that have not ended by then are dropped, their callbacks
/// uncalled.
pub(crate) struct Resolver {
    look_up: LookUp,
    state: Arc<Mutex<State>>,
    running: Mutex<Option<Running>>,
}

/// What the thread and the resolver know of each other.
#[derive(Default)]
struct State {
    closed: bool,
    looking_up: bool,
}

struct Running {
    queue: SyncSender<Job>,
    thread: JoinHandle<()>,
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
        Resolver { look_up, state: Arc::default(), running: Mutex::new(None) }
    }

    /// Finds the addresses of `endpoint` and calls `done` with them: at once on the calling thread for
    /// a numeric address and for errors known at once, else later on the resolver's thread. `done` must not
    /// block.
    ///
    /// # Errors
    ///
    /// To `done`: `EINVAL` for an unknown name, an IPv6 address without `ipv6` or an unknown zone;
    /// `EAGAIN` if too many lookups wait, no thread can be started, or the resolver is closed.
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
        if lock(&self.state).closed {
            return Err(job);
        }
        let mut running = lock(&self.running);
        let Some(Running { queue, .. }) = running.as_ref() else {
            return self.start(&mut running, job);
        };
        match queue.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(job)) => Err(job),
            // The thread has died of a callback that panicked.
            Err(TrySendError::Disconnected(job)) => self.start(&mut running, job),
        }
    }

    fn start(&self, running: &mut Option<Running>, job: Job) -> Result<(), Job> {
        let (queue, receiver) = sync_channel(QUEUE);
        let (look_up, state) = (Arc::clone(&self.look_up), Arc::clone(&self.state));
        let spawned = thread::Builder::new().name(String::from("zlink-resolver")).spawn(move || {
            block_signals();
            run(&receiver, &look_up, &state);
        });
        let Ok(thread) = spawned else { return Err(job) };
        let sent = queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
        });
        *running = Some(Running { queue, thread });
        sent
    }

    /// Ends the thread. No names are looked up from now on.
    pub(crate) fn close(&self) {
        let looking_up = {
            let mut state = lock(&self.state);
            state.closed = true;
            state.looking_up
        };
        let Some(Running { queue, thread }) = lock(&self.running).take() else { return };
        // Wakes the thread, if it waits for a name.
        drop(queue);
        // A callback may be the last to let go of the resolver: no thread waits for itself.
        if !looking_up && thread.thread().id() != thread::current().id() {
            // A thread that panicked has nothing more to say here.
            let _ = thread.join();
        }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

fn run(jobs: &Receiver<Job>, look_up: &LookUp, state: &Mutex<State>) {
    // Whether to go on: not if the resolver is closed.
    let enter = |looking_up| {
        let mut state = lock(state);
        state.looking_up = looking_up && !state.closed;
        !state.closed
    };
    for job in jobs {
        if !enter(true) {
            return;
        }
        let found = look_up(&job.name, job.ipv6);
        if !enter(false) {
            return;
        }
        let addresses =
            found.and_then(|found| found.into_iter().map(|address| job.address.at(address)).collect());
        (job.done)(addresses);
    }
}
