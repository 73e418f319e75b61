//! Waiting for several sockets and descriptors at a time.
//!
//! The calling thread announces a sleep at each socket ([`Socket::begin_poll`]) and then looks at all of them
//! once more before it waits: whatever comes later makes a descriptor readable, also if another thread takes the
//! news in first. It reads what arrives on its sockets' connections itself, as a thread in `recv` does.

use std::ops::{BitOr, BitOrAssign};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::SigSet;
use nix::sys::time::TimeSpec;

use crate::error::{Error, Result};
use crate::socket::Socket;

/// More than a wait can last; the kernel's seconds are signed.
const LONGEST: Duration = Duration::from_secs(i32::MAX as u64);

/// What to wait for, or what has come. Sets are joined with `|`.
///
/// Source: `zmq_poll`(3), whose numbers these are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Events(i16);

impl Events {
    /// Nothing. An item that waits for nothing still reports a closed socket or a broken descriptor.
    pub const NONE: Events = Events(0);
    /// A receive, or a read of the descriptor, does not wait (`ZMQ_POLLIN`).
    pub const IN: Events = Events(1);
    /// A send, or a write to the descriptor, does not wait (`ZMQ_POLLOUT`).
    pub const OUT: Events = Events(2);
    /// The descriptor has an error, was hung up or is not open; reported whether asked for or not, and never
    /// for a socket (`ZMQ_POLLERR`).
    pub const ERROR: Events = Events(4);
    /// The descriptor has urgent data; never reported for a socket (`ZMQ_POLLPRI`).
    pub const PRIORITY: Events = Events(8);

    /// The set with these bits of `zmq.h`; other bits are left out.
    pub const fn from_bits(bits: i16) -> Self {
        Events(bits & 15)
    }

    /// The bits of `zmq.h`.
    pub const fn bits(self) -> i16 {
        self.0
    }

    /// Whether any of `other` is in the set.
    pub const fn contains(self, other: Events) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Events {
    type Output = Events;

    fn bitor(self, other: Events) -> Events {
        Events(self.0 | other.0)
    }
}

impl BitOrAssign for Events {
    fn bitor_assign(&mut self, other: Events) {
        self.0 |= other.0;
    }
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Socket(&'a Socket),
    Fd(BorrowedFd<'a>),
}

/// A socket or a descriptor to [`poll`], what to wait for and, afterwards, what has come.
///
/// Source: `zmq_pollitem_t`.
#[derive(Clone)]
pub struct PollItem<'a> {
    source: Source<'a>,
    events: Events,
    ready: Events,
}

impl<'a> PollItem<'a> {
    /// Waits for `events` of a socket.
    pub fn socket(socket: &'a Socket, events: Events) -> Self {
        PollItem { source: Source::Socket(socket), events, ready: Events::NONE }
    }

    /// Waits for `events` of a descriptor: a file, pipe, or socket of the operating system.
    pub fn fd(fd: BorrowedFd<'a>, events: Events) -> Self {
        PollItem { source: Source::Fd(fd), events, ready: Events::NONE }
    }

    /// What the last [`poll`] has found.
    pub fn ready(&self) -> Events {
        self.ready
    }

    /// Whether a receive or read does not wait.
    pub fn is_readable(&self) -> bool {
        self.ready.contains(Events::IN)
    }

    /// Whether a send or write does not wait.
    pub fn is_writable(&self) -> bool {
        self.ready.contains(Events::OUT)
    }

    /// Whether the descriptor has an error or was hung up.
    pub fn is_error(&self) -> bool {
        self.ready.contains(Events::ERROR)
    }

    /// Looks at a socket.
    fn look(&mut self) -> Result<()> {
        if let Source::Socket(socket) = self.source {
            let readiness = socket.readiness()?;
            if readiness.readable && self.events.contains(Events::IN) {
                self.ready |= Events::IN;
            }
            if readiness.writable && self.events.contains(Events::OUT) {
                self.ready |= Events::OUT;
            }
        }
        Ok(())
    }

    fn flags(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, self.events.contains(Events::IN));
        flags.set(PollFlags::POLLOUT, self.events.contains(Events::OUT));
        flags.set(PollFlags::POLLPRI, self.events.contains(Events::PRIORITY));
        flags
    }

    fn note(&mut self, flags: PollFlags) {
        let known = PollFlags::POLLIN | PollFlags::POLLOUT | PollFlags::POLLPRI;
        for (flag, event) in [
            (PollFlags::POLLIN, Events::IN),
            (PollFlags::POLLOUT, Events::OUT),
            (PollFlags::POLLPRI, Events::PRIORITY),
            (!known, Events::ERROR),
        ] {
            if flags.intersects(flag) {
                self.ready |= event;
            }
        }
    }
}

impl Socket {
    /// The socket as something to [`poll`].
    pub fn as_poll_item(&self, events: Events) -> PollItem<'_> {
        PollItem::socket(self, events)
    }
}

/// Waits until at least one item has what it waits for, and returns how many have; [`PollItem::ready`] tells
/// what. Returns 0 when `timeout` passes first. `None` waits without end, zero does not wait.
///
/// Without items it sleeps for the time-out.
///
/// # Errors
///
/// [`Error::Terminated`] and [`Error::Closed`] if that is so of one of the sockets, [`Error::Interrupted`] if a
/// signal ended the wait, [`Error::Os`] if the process is out of descriptors.
///
/// Source: `zmq_poll`(3).
pub fn poll(items: &mut [PollItem<'_>], timeout: Option<Duration>) -> Result<usize> {
    poll_with_mask(items, timeout, None)
}

/// As [`poll`]. While it looks and waits, `mask` takes the place of the thread's signal mask, as for `ppoll(2)`: of a
/// signal that the thread blocks and `mask` does not, none that comes before the wait is lost to it.
pub(crate) fn poll_with_mask(
    items: &mut [PollItem<'_>],
    timeout: Option<Duration>,
    mask: Option<SigSet>,
) -> Result<usize> {
    // A time too far away to be told is no limit.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        // Descriptors are asked even if a socket is ready: none may starve the others. They are asked first: looking at
        // a socket makes its own descriptor, which may be among them, unreadable.
        let found = ask(items, &mut descriptors(items), Some(Duration::ZERO), mask)? + look(items)?;
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if found > 0 || left == Some(Duration::ZERO) {
            return Ok(found);
        }
        wait(items, left, mask)?;
    }
}

/// Looks at all sockets. Returns how many have what is waited for.
fn look(items: &mut [PollItem<'_>]) -> Result<usize> {
    let mut found = 0;
    for item in items.iter_mut().filter(|item| matches!(item.source, Source::Socket(_))) {
        item.ready = Events::NONE;
        item.look()?;
        found += usize::from(!item.ready.is_empty());
    }
    Ok(found)
}

/// The items that are descriptors, in their order.
fn descriptors<'a>(items: &[PollItem<'a>]) -> Vec<PollFd<'a>> {
    let mut fds = Vec::new();
    for item in items {
        if let Source::Fd(fd) = item.source {
            fds.push(PollFd::new(fd, item.flags()));
        }
    }
    fds
}

/// Polls `fds`, the first of which are the [`descriptors`]. Returns how many of those are ready.
fn ask(
    items: &mut [PollItem<'_>],
    fds: &mut [PollFd<'_>],
    timeout: Option<Duration>,
    mask: Option<SigSet>,
) -> Result<usize> {
    for item in items.iter_mut().filter(|item| matches!(item.source, Source::Fd(_))) {
        item.ready = Events::NONE;
    }
    // With a mask, a signal that has come is handled even if there is nothing to ask.
    if fds.is_empty() && timeout == Some(Duration::ZERO) && mask.is_none() {
        return Ok(0);
    }
    // The kernel rounds up: it never wakes early.
    let timeout = timeout.map(|timeout| TimeSpec::from_duration(timeout.min(LONGEST)));
    ppoll(fds, timeout, mask).map_err(|error| match error {
        Errno::EINTR => Error::Interrupted,
        error => Error::Os { operation: "poll", source: error.into() },
    })?;
    let mut found = 0;
    let with_fd = items.iter_mut().filter(|item| matches!(item.source, Source::Fd(_)));
    for (item, fd) in with_fd.zip(fds) {
        // Nothing but these flags is known to the kernel.
        item.note(fd.revents().unwrap_or(PollFlags::POLLERR));
        found += usize::from(!item.ready.is_empty());
    }
    Ok(found)
}

/// Sleeps until there may be something to find.
fn wait(items: &mut [PollItem<'_>], timeout: Option<Duration>, mask: Option<SigSet>) -> Result<()> {
    let mut waits = Vec::with_capacity(items.len());
    for item in &*items {
        if let Source::Socket(socket) = item.source
            && !item.events.is_empty()
        {
            match socket.begin_poll(item.events.contains(Events::IN)).map_err(Error::os("eventfd"))? {
                Some(wait) => waits.push(wait),
                None => return Ok(()),
            }
        }
    }
    // Between the first look and the announcement another thread may have taken in the news that would have
    // woken this one.
    if look(items)? > 0 {
        return Ok(());
    }
    let mut fds = descriptors(items);
    for wait in &waits {
        fds.push(PollFd::new(wait.fd().map_err(Error::os("eventfd"))?, PollFlags::POLLIN));
    }
    ask(items, &mut fds, timeout, mask)?;
    Ok(())
}
