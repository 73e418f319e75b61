//! A socket's inbox: news for the socket, and the sleep of those who wait for some.
//!
//! I/O threads and in-process peers post; whoever calls into the socket collects, under the socket's lock.
//! Nobody is woken that does not sleep. A sleeper waits either on the inbox's condition variable or, if it
//! also waits for connections it reads itself, on a descriptor that a post makes readable.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Instant;

use crate::attach::{Attachment, PeerInfo};
use crate::reactor::{Ended, Waker, Wakeup};

/// A socket's own name for one of its pipes: an index, and which of its successive users is meant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct PipeId {
    pub(crate) index: u32,
    generation: u32,
}

/// News for a socket.
pub(crate) enum News {
    /// A pipe to a new peer.
    Attached(Box<Attachment>),
    /// The pipe's inward queue has something to take, or has ended.
    Readable(PipeId),
    /// The pipe's outward queue has room again.
    Writable(PipeId),
    /// The connection behind a pipe that outlives connections is up, for the first time or again: say what
    /// the peer must know (subscriptions).
    Reconnected(PipeId, PeerInfo),
    /// The connection behind a pipe that outlives connections was lost.
    Disconnected(PipeId),
}

#[derive(Default)]
struct State {
    news: Vec<News>,
    /// Posts and nudges so far: a sleeper waits for more than it knew of when it last looked.
    posted: u64,
    /// Generation of each pipe index, and the indexes that are free. The lowest is given out first: so a list by index
    /// ends where it can when most have gone.
    generations: Vec<u32>,
    free: BinaryHeap<Reverse<u32>>,
    sleepers: usize,
    fd_sleepers: usize,
    /// Somebody outside polls the descriptor: every post makes it readable.
    fd_watched: bool,
    /// What others poll from outside, for several sockets at a time: every post makes them readable.
    signalers: Vec<Arc<Waker>>,
    closed: bool,
}

impl State {
    /// Whether somebody may wait for news on a descriptor, in a poller outside the library or over several sockets.
    fn is_watched(&self) -> bool {
        self.fd_watched || !self.signalers.is_empty()
    }
}

/// See the module's description.
pub(crate) struct Inbox {
    state: Mutex<State>,
    wakeup: Wakeup,
    /// Made on first use: a socket that nobody waits on costs no descriptor.
    waker: OnceLock<Waker>,
    /// There is news, or the context is being terminated: one load tells a busy socket that there is not.
    pending: AtomicBool,
    terminated: AtomicBool,
}

impl Inbox {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Inbox {
            state: Mutex::default(),
            wakeup: Wakeup::new(),
            waker: OnceLock::new(),
            pending: AtomicBool::new(false),
            terminated: AtomicBool::new(false),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under this lock can panic half-way through an update.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Reserves the name of a pipe that is about to be attached.
    pub(crate) fn reserve(&self) -> PipeId {
        let mut state = self.lock();
        let free = state.free.pop().map(|Reverse(index)| index);
        let index = free.unwrap_or_else(|| {
            state.generations.push(0);
            (state.generations.len() - 1) as u32
        });
        PipeId { index, generation: state.generations[index as usize] }
    }

    /// Gives the name of a removed pipe back. News for it that is still under way reaches nobody.
    pub(crate) fn free(&self, id: PipeId) {
        let mut state = self.lock();
        let generation = &mut state.generations[id.index as usize];
        if *generation == id.generation {
            *generation = generation.wrapping_add(1);
            state.free.push(Reverse(id.index));
        }
    }

    /// Adds news and wakes who sleeps.
    pub(crate) fn post(&self, news: News) {
        let mut state = self.lock();
        state.news.push(news);
        state.posted += 1;
        self.wake(state);
    }

    /// As [`post`](Self::post), for news of a pipe that nobody else would close. Returns false if the socket is
    /// closed: nobody will take it in.
    pub(crate) fn post_unless_closed(&self, news: News) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.news.push(news);
        state.posted += 1;
        self.wake(state);
        true
    }

    /// Takes back the news of a new pipe, and with it the pipe's name, unless the socket has taken it in.
    pub(crate) fn withdraw(&self, id: PipeId) -> bool {
        let mut state = self.lock();
        let is_it = |news: &News| matches!(news, News::Attached(attachment) if attachment.id == id);
        let Some(at) = state.news.iter().position(is_it) else { return false };
        let news = state.news.remove(at);
        drop(state);
        self.free(id);
        // Without the lock: what is in the pipe may have to be given back to its owner.
        drop(news);
        true
    }

    /// The socket takes in what has been posted so far, and then no more.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    /// Makes others who sleep look again: the calling thread has read what may be for them too.
    pub(crate) fn nudge_sleepers(&self) {
        let mut state = self.lock();
        if state.sleepers > 0 || state.fd_sleepers > 0 {
            state.posted += 1;
            self.wake(state);
        }
    }

    /// Makes those who sleep look again.
    pub(crate) fn nudge(&self) {
        let mut state = self.lock();
        state.posted += 1;
        self.wake(state);
    }

    /// Makes who polls a descriptor from outside look again.
    pub(crate) fn nudge_watcher(&self) {
        let state = self.lock();
        if state.is_watched() {
            self.wake(state);
        }
    }

    /// Makes every call into the socket fail from now on, and wakes who sleeps in one.
    pub(crate) fn terminate(&self) {
        // Before `pending`, which `wake` stores with Release: who sees that one sees this one.
        self.terminated.store(true, Ordering::Relaxed);
        let mut state = self.lock();
        state.posted += 1;
        self.wake(state);
    }

    fn wake(&self, state: MutexGuard<'_, State>) {
        // Release: pairs with the Acquire in `has_news`.
        self.pending.store(true, Ordering::Release);
        let (sleepers, by_fd) = (state.sleepers > 0, state.fd_sleepers > 0 || state.fd_watched);
        for signaler in &state.signalers {
            signaler.wake();
        }
        drop(state);
        if sleepers {
            self.wakeup.wake_all();
        }
        if by_fd && let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    /// Whether there may be something to collect.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        // Acquire: pairs with the Release in `wake`.
        self.pending.load(Ordering::Acquire)
    }

    /// Whether the context is being terminated.
    pub(crate) fn is_terminated(&self) -> bool {
        self.terminated.load(Ordering::Relaxed)
    }

    /// Moves the news into `into`, which must be empty. Returns what a sleeper then knows of.
    pub(crate) fn collect(&self, into: &mut Vec<News>) -> u64 {
        let mut state = self.lock();
        std::mem::swap(&mut state.news, into);
        self.pending.store(self.is_terminated(), Ordering::Relaxed);
        if state.fd_watched
            && let Some(waker) = self.waker.get()
        {
            waker.drain();
            if state.fd_sleepers > 0 {
                waker.wake();
            }
        }
        state.posted
    }

    /// Sleeps until something was posted since `seen`, the deadline has passed or the thread got a signal.
    pub(crate) fn sleep(&self, seen: u64, deadline: Option<Instant>) -> Ended {
        let mut state = self.lock();
        while state.posted == seen {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            state.sleepers += 1;
            let ended;
            (state, ended) = self.wakeup.wait(&self.state, state, left);
            state.sleepers -= 1;
            // What was posted meanwhile comes first.
            if ended != Ended::Woken && state.posted == seen {
                return ended;
            }
        }
        Ended::Woken
    }

    /// The descriptor that posts make readable while somebody sleeps on it.
    pub(crate) fn waker(&self) -> std::io::Result<&Waker> {
        if let Some(waker) = self.waker.get() {
            return Ok(waker);
        }
        let made = Waker::new()?;
        Ok(self.waker.get_or_init(|| made))
    }

    /// Announces a sleep on [`waker`](Self::waker). Returns false, announcing nothing, if something was posted
    /// since `seen`.
    pub(crate) fn begin_fd_sleep(&self, seen: u64) -> bool {
        let mut state = self.lock();
        let quiet = state.posted == seen;
        state.fd_sleepers += usize::from(quiet);
        quiet
    }

    /// Ends a sleep announced by [`begin_fd_sleep`](Self::begin_fd_sleep). `woken`: the descriptor was
    /// readable.
    ///
    /// Others who sleep are made to look: what this thread read itself may be for them too.
    pub(crate) fn end_fd_sleep(&self, woken: bool) {
        let mut state = self.lock();
        state.fd_sleepers -= 1;
        let others_on_fd = state.fd_sleepers > 0;
        let others = state.sleepers > 0;
        if others {
            state.posted += 1;
        }
        let watched = state.fd_watched;
        drop(state);
        if others {
            self.wakeup.wake_all();
        }
        if let Some(waker) = self.waker.get() {
            if woken && !watched {
                waker.drain();
            }
            if others_on_fd {
                waker.wake();
            }
        }
    }

    /// From now on every post makes the descriptor readable, for a poller outside the library. So it is at first:
    /// what has come before may be news to that poller.
    pub(crate) fn watch_fd(&self) {
        let mut state = self.lock();
        if !state.fd_watched {
            state.fd_watched = true;
            // As news, so that a look makes the descriptor unreadable again.
            self.wake(state);
        }
    }

    /// Whether somebody may wait for news on a descriptor, in a poller outside the library or over several sockets.
    pub(crate) fn is_watched(&self) -> bool {
        self.lock().is_watched()
    }

    /// From now on every post makes `signaler` readable. So it is at first.
    pub(crate) fn add_signaler(&self, signaler: &Arc<Waker>) {
        let mut state = self.lock();
        state.signalers.push(Arc::clone(signaler));
        signaler.wake();
    }

    /// Undoes [`add_signaler`](Self::add_signaler).
    pub(crate) fn remove_signaler(&self, signaler: &Arc<Waker>) {
        self.lock().signalers.retain(|other| !Arc::ptr_eq(other, signaler));
    }
}
