//! Waiting for messages on the connections themselves: the application thread's side of the lease.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use zlink_pipe::BiasedGuard;

use super::look::Looks;
use super::{Core, Socket};
use crate::engine::{Connection, LeaseHolder, ReadTurn};
use crate::inbox::Inbox;
use crate::reactor::{Ended, Epoll, Events, Interest, may_have_run_a_handler};

/// A socket with more connections than this leaves the reading to its I/O threads: taking as many leases, and
/// taking them back, would cost more than the wake-ups saved.
pub(super) const MAX_LEASES: usize = 32;
const INBOX_TOKEN: u64 = u64::MAX;
/// Events taken in one wait; the rest comes with the next.
const EVENTS: usize = 8;
/// How long the receiver of a stream within the process lets messages gather at the most, with what the kernel's timers
/// add to it.
const NAP: Duration = Duration::from_micros(30);

/// Whether this process and build let application threads do I/O at all (`ZLINK_DIRECT_IO`, cargo feature
/// `direct-io`).
pub(crate) fn is_enabled() -> bool {
    static ENABLED: OnceLock<bool> = OnceLock::new();
    cfg!(feature = "direct-io")
        && *ENABLED.get_or_init(|| std::env::var_os("ZLINK_DIRECT_IO").is_none_or(|value| value != "0"))
}

/// The leases of a socket.
pub(super) struct Direct {
    enabled: bool,
    holder: Option<Arc<LeaseHolder>>,
    leases: Vec<(usize, Arc<Connection>)>,
    /// Pipes or connections have come or gone since the leases were taken.
    stale: bool,
    /// Revocations seen.
    seen: u64,
    /// Of a socket that looks for input before it sends.
    pub(super) looks: Option<Looks>,
}

impl Direct {
    /// `looks`: whom messages go to depends on what peers have sent.
    pub(super) fn new(looks: bool) -> Self {
        Direct {
            enabled: is_enabled(),
            holder: None,
            leases: Vec::new(),
            stale: false,
            seen: 0,
            looks: (looks && is_enabled()).then(Looks::new),
        }
    }

    /// Notes that pipes or connections have come or gone.
    pub(super) fn changed(&mut self) {
        self.stale = true;
    }

    /// Forgets a pipe that goes.
    pub(super) fn forget(&mut self, index: usize) {
        if let Some(holder) = &self.holder {
            self.leases.retain(|(leased, connection)| {
                if *leased == index {
                    connection.return_lease(holder);
                }
                *leased != index
            });
        }
        self.stale = true;
    }

    /// Gives all leases back.
    pub(super) fn give_back(&mut self) {
        if let Some(holder) = &self.holder {
            for (_, connection) in self.leases.drain(..) {
                connection.return_lease(holder);
            }
        }
        self.stale = true;
    }

    /// Leaves all reading to the I/O threads from now on: somebody polls from outside (`ZMQ_FD`).
    pub(super) fn switch_off(&mut self) {
        self.give_back();
        self.enabled = false;
    }
}

impl Socket {
    /// Waits for input or news until `deadline` or a signal. [`Ended::Woken`]: there may be some.
    pub(super) fn wait_for_input<'a>(
        &'a self,
        mut core: BiasedGuard<'a, Core>,
        deadline: Option<Instant>,
    ) -> (BiasedGuard<'a, Core>, Ended) {
        core.pipes.flush();
        let Some(holder) = core.begin_direct_wait(&self.inbox) else {
            let seen = core.seen;
            let last = core.pipes.last_read;
            if core.pipes.get(last).is_some_and(|pipe| pipe.begin_nap()) {
                drop(core);
                return self.nap(seen, last, deadline);
            }
            drop(core);
            let ended = self.inbox.sleep(seen, deadline);
            return (self.lock(), ended);
        };
        if !self.inbox.begin_fd_sleep(core.seen) {
            core.end_direct_wait(&holder);
            return (core, Ended::Woken);
        }
        let mut events = Events::with_capacity(EVENTS);
        drop(core);
        let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // The set and the buffer are valid: an error is a signal.
        let interrupted = holder.epoll.wait(&mut events, timeout).is_err() && may_have_run_a_handler();
        let mut core = self.lock();
        core.take_events(&holder, &events, &self.inbox);
        let ended = if interrupted {
            Ended::Interrupted
        } else if events.is_empty() && deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            Ended::TimedOut
        } else {
            Ended::Woken
        };
        (core, ended)
    }

    /// Sleeps for a moment while messages gather in a pipe that has begun a nap.
    fn nap(&self, seen: u64, index: usize, deadline: Option<Instant>) -> (BiasedGuard<'_, Core>, Ended) {
        let end = Instant::now() + NAP;
        let mut ended = self.inbox.sleep(seen, Some(deadline.map_or(end, |deadline| deadline.min(end))));
        let mut core = self.lock();
        let Core { pattern, pipes, .. } = &mut *core;
        if pipes.get(index).is_some_and(|pipe| pipe.end_nap()) {
            pattern.readable(pipes, index);
            pipes.counters.own.nap();
            // There may be more than this thread takes, and nobody told of it.
            self.inbox.nudge_sleepers();
            self.inbox.nudge_watcher();
            ended = Ended::Woken;
        }
        if ended == Ended::TimedOut && deadline.is_none_or(|deadline| deadline > Instant::now()) {
            ended = Ended::Woken;
        }
        (core, ended)
    }

    /// Prepares to wait on a descriptor, for a poll over several sockets. `None`: look at the socket again,
    /// there is news.
    ///
    /// Without `input` the thread reads no connection itself: it waits for room while messages may lie unread,
    /// and would read more and more of them.
    ///
    /// # Errors
    ///
    /// The process is out of descriptors.
    pub(crate) fn begin_poll(&self, input: bool) -> std::io::Result<Option<PollWait<'_>>> {
        self.inbox.waker()?;
        let mut core = self.lock();
        core.pipes.flush();
        let holder = if input { core.begin_direct_wait(&self.inbox) } else { None };
        if self.inbox.begin_fd_sleep(core.seen) {
            return Ok(Some(PollWait { socket: self, holder }));
        }
        if let Some(holder) = &holder {
            core.end_direct_wait(holder);
        }
        Ok(None)
    }
}

/// A wait on a socket's descriptor, from [`Socket::begin_poll`] until it is dropped.
pub(crate) struct PollWait<'a> {
    socket: &'a Socket,
    holder: Option<Arc<LeaseHolder>>,
}

impl PollWait<'_> {
    /// The descriptor to wait on, for reading.
    pub(crate) fn fd(&self) -> std::io::Result<BorrowedFd<'_>> {
        match &self.holder {
            Some(holder) => Ok(holder.epoll.as_fd()),
            None => Ok(self.socket.inbox.waker()?.as_fd()),
        }
    }
}

impl Drop for PollWait<'_> {
    fn drop(&mut self) {
        let mut core = self.socket.lock();
        let Some(holder) = self.holder.take() else {
            self.socket.inbox.end_fd_sleep(true);
            return;
        };
        let mut events = Events::with_capacity(EVENTS);
        let _ = holder.epoll.wait(&mut events, Some(Duration::ZERO));
        core.take_events(&holder, &events, &self.socket.inbox);
    }
}

impl Core {
    /// Takes the leases of the socket's connections and announces a wait. `None` if there is nothing to
    /// lease.
    fn begin_direct_wait(&mut self, inbox: &Inbox) -> Option<Arc<LeaseHolder>> {
        if !self.direct.enabled || self.pattern.ignores_input() {
            return None;
        }
        if self.direct.leases.is_empty() && !self.direct.stale {
            return None;
        }
        let holder = self.holder(inbox)?;
        let valid = holder.begin_wait(&mut self.direct.seen);
        if !valid || self.direct.stale {
            self.take_leases(&holder);
        }
        if self.direct.leases.is_empty() {
            self.end_direct_wait(&holder);
            return None;
        }
        Some(holder)
    }

    fn end_direct_wait(&mut self, holder: &LeaseHolder) {
        if holder.end_wait() {
            for (_, connection) in &self.direct.leases {
                connection.ask_for_review();
            }
        }
    }

    /// Ends a wait and reads what it was ended by.
    fn take_events(&mut self, holder: &Arc<LeaseHolder>, events: &Events, inbox: &Inbox) {
        let mut woken = false;
        for event in events.iter() {
            if event.token == INBOX_TOKEN {
                woken = true;
            } else {
                self.read_directly(holder, event.token as usize);
            }
        }
        // After the reading, of which other waiting threads are told.
        inbox.end_fd_sleep(woken);
        self.end_direct_wait(holder);
    }

    fn holder(&mut self, inbox: &Inbox) -> Option<Arc<LeaseHolder>> {
        if self.direct.holder.is_none() {
            // Out of descriptors: the I/O threads can do without.
            let epoll = Epoll::new().ok()?;
            epoll.add(inbox.waker().ok()?.as_fd(), INBOX_TOKEN, Interest::READ).ok()?;
            self.direct.holder = Some(Arc::new(LeaseHolder::new(epoll)));
        }
        self.direct.holder.clone()
    }

    fn take_leases(&mut self, holder: &Arc<LeaseHolder>) {
        self.direct.stale = false;
        let mut connections = Vec::new();
        for (index, pipe) in self.pipes.iter_mut() {
            if let Some(connection) = pipe.connection().filter(|connection| connection.can_be_leased()) {
                connections.push((index, connection));
            }
        }
        if connections.len() > MAX_LEASES {
            self.direct.give_back();
            self.direct.stale = false;
            return;
        }
        let all = connections.len();
        connections.retain(|(index, connection)| connection.lease(holder, *index as u64));
        // One whose queue is full gives none now.
        self.direct.stale = connections.len() < all;
        self.direct.leases = connections;
    }

    fn read_directly(&mut self, holder: &Arc<LeaseHolder>, index: usize) -> ReadTurn {
        let Some(at) = self.direct.leases.iter().position(|(leased, _)| *leased == index) else {
            return ReadTurn::Down;
        };
        let turn = self.direct.leases[at].1.read_by_holder(holder);
        match turn {
            ReadTurn::Data => self.pattern.readable(&mut self.pipes, index),
            ReadTurn::Empty => {}
            ReadTurn::Down => {
                self.direct.leases.swap_remove(at);
                self.direct.stale = true;
            }
        }
        turn
    }

    /// Reads what has arrived on leased connections, for a caller that does not wait. Returns whether there
    /// was something.
    pub(super) fn look_at_leased(&mut self, inbox: &Inbox) -> bool {
        let Some(holder) = self.direct.holder.clone() else { return false };
        if self.direct.leases.is_empty() {
            return false;
        }
        holder.visit();
        let mut any = false;
        // Backwards: a lease that turns out lost is replaced by the last one.
        for at in (0..self.direct.leases.len()).rev() {
            let index = self.direct.leases[at].0;
            any |= self.read_directly(&holder, index) == ReadTurn::Data;
        }
        if any {
            inbox.nudge_sleepers();
        }
        any
    }
}
