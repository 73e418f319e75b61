//! `epoll(7)`, level-triggered.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};

/// Below this a whole millisecond of rounding is a large part of the wait, and worth a second
/// system call to avoid.
const PRECISE_BELOW: Duration = Duration::from_millis(10);

/// What a source is watched for. Hang-ups and errors are reported whatever the interest, even for
/// [`Interest::NONE`]: a source nobody wants to hear of must be deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    /// Data, end of stream, or a connection to accept.
    pub(crate) readable: bool,
    /// Room in the send buffer, or a connect that has ended.
    pub(crate) writable: bool,
}

impl Interest {
    pub(crate) const NONE: Interest = Interest { readable: false, writable: false };
    pub(crate) const READ: Interest = Interest { readable: true, writable: false };
    pub(crate) const WRITE: Interest = Interest { readable: false, writable: true };

    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        if self.readable {
            // RDHUP goes with IN: a peer that has shut down its side is seen by reading, and a
            // source that is not being read must not spin on it.
            flags |= epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        }
        if self.writable {
            flags |= epoll::EventFlags::OUT;
        }
        flags
    }
}

/// One source's readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The token given to [`Epoll::add`].
    pub(crate) token: u64,
    /// A read will not block; it may return end of stream.
    pub(crate) readable: bool,
    /// A write will not block.
    pub(crate) writable: bool,
    /// Both directions are closed, or an error is pending on the source.
    pub(crate) hangup: bool,
}

/// The room for one wait's events, reused from wait to wait.
pub(crate) struct Events {
    buffer: Vec<epoll::Event>,
}

impl Events {
    /// Room for `capacity` events a wait, at least one. Further ready sources come with the next wait.
    pub(crate) fn with_capacity(capacity: usize) -> Events {
        Events { buffer: Vec::with_capacity(capacity.max(1)) }
    }

    /// The events of the last wait.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.buffer.iter().map(|event| {
            // Copied out first: the kernel's struct is packed on x86-64.
            let (flags, data) = (event.flags, event.data);
            Event {
                token: data.u64(),
                readable: flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::RDHUP),
                writable: flags.contains(epoll::EventFlags::OUT),
                hangup: flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR),
            }
        })
    }

    /// Whether the last wait ended without an event.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// How many events the last wait returned.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }
}

/// A set of sources to wait on.
#[derive(Debug)]
pub(crate) struct Epoll {
    fd: OwnedFd,
}

impl Epoll {
    /// An empty set.
    pub(crate) fn new() -> io::Result<Epoll> {
        let fd = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Epoll { fd })
    }

    /// Watches `fd`. The set does not own it: closing the last descriptor of the open file removes it
    /// silently, so delete a source before closing it if a duplicate may live on.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token);
        Ok(epoll::add(&self.fd, fd, data, interest.flags())?)
    }

    /// Changes what `fd`, already added, is watched for, and its token.
    pub(crate) fn modify(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token);
        Ok(epoll::modify(&self.fd, fd, data, interest.flags())?)
    }

    /// Stops watching `fd`. Events already returned by a wait may still name its token.
    pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.fd, fd)?)
    }

    /// Waits until a source is ready or `timeout` has passed; `None` waits for ever, zero not at all.
    ///
    /// A signal ends the wait early, with [`io::ErrorKind::Interrupted`]. So does, without an error, the
    /// kernel's limit of 24 days: the caller looks at its deadlines and waits again. Otherwise the wait never ends
    /// before `timeout`.
    /// Rounding it down would wake the thread a fraction of a millisecond early, to find no timer expired
    /// and spin with a timeout of zero until the clock catches up.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.buffer.clear();
        let mut timeout = timeout;
        if let Some(precise) = timeout.filter(|t| wants_precision(*t)) {
            // `epoll_wait` counts milliseconds; `epoll_pwait2` would not, but kernels before 5.11 lack it
            // and sandboxes refuse it. `ppoll` on the set itself has counted nanoseconds all along.
            let mut set = [PollFd::new(&self.fd, PollFlags::IN)];
            match poll(&mut set, Some(&timespec(precise))) {
                Ok(0) => return Ok(()),
                Ok(_) => timeout = Some(Duration::ZERO),
                Err(errno) => return Err(errno.into()),
            }
        }
        let timeout = timeout.map(|t| timespec(round_up_to_millis(t)));
        epoll::wait(&self.fd, spare_capacity(&mut events.buffer), timeout.as_ref())?;
        Ok(())
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The indexes of those that can be read now, without waiting for any.
pub(crate) fn find_readable<'a>(fds: impl Iterator<Item = BorrowedFd<'a>>) -> Vec<usize> {
    let mut set: Vec<PollFd<'_>> = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    // A signal is no reason to wait for later: whoever asks asks again.
    match poll(&mut set, Some(&timespec(Duration::ZERO))) {
        Ok(0) | Err(_) => Vec::new(),
        Ok(_) => (0..set.len()).filter(|&at| set[at].revents().intersects(PollFlags::IN)).collect(),
    }
}

/// Waits until `fd` takes bytes, or has failed. Returns false after `patience`, or on a signal.
pub(crate) fn is_writable_within(fd: BorrowedFd<'_>, patience: Duration) -> bool {
    poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], Some(&timespec(patience))) == Ok(1)
}

fn wants_precision(timeout: Duration) -> bool {
    timeout < PRECISE_BELOW && !timeout.subsec_nanos().is_multiple_of(1_000_000)
}

/// Whole milliseconds, never fewer than asked for, and no more than `epoll_wait` can count (24 days).
fn round_up_to_millis(timeout: Duration) -> Duration {
    let millis = timeout.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(millis.min(i32::MAX as u128) as u64)
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::Waker;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::time::Instant;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )
        .unwrap()
    }

    fn events_of(epoll: &Epoll, timeout: Option<Duration>) -> Vec<Event> {
        let mut events = Events::with_capacity(8);
        epoll.wait(&mut events, timeout).unwrap();
        events.iter().collect()
    }

    #[test]
    fn timeouts_are_rounded_up_never_down() {
        let ms = Duration::from_millis;
        assert_eq!(round_up_to_millis(Duration::ZERO), Duration::ZERO);
        assert_eq!(round_up_to_millis(Duration::from_nanos(1)), ms(1));
        assert_eq!(round_up_to_millis(ms(1)), ms(1));
        assert_eq!(round_up_to_millis(ms(1) + Duration::from_nanos(1)), ms(2));
        assert_eq!(round_up_to_millis(Duration::MAX), ms(i32::MAX as u64));
        assert!(wants_precision(Duration::from_micros(100)));
        assert!(!wants_precision(Duration::ZERO));
        assert!(!wants_precision(ms(3)));
        assert!(!wants_precision(Duration::from_micros(100_300)));
    }

    #[test]
    fn a_wait_without_events_does_not_end_before_its_timeout() {
        let epoll = Epoll::new().unwrap();
        for micros in [1, 150, 999, 1_000, 1_001, 3_700, 12_300] {
            let timeout = Duration::from_micros(micros);
            let start = Instant::now();
            assert!(events_of(&epoll, Some(timeout)).is_empty());
            assert!(start.elapsed() >= timeout, "{micros} µs");
        }
    }

    #[test]
    fn a_ready_source_is_reported_with_its_token_for_every_kind_of_timeout() {
        let epoll = Epoll::new().unwrap();
        let waker = Waker::new().unwrap();
        epoll.add(waker.as_fd(), u64::MAX, Interest::READ).unwrap();
        waker.wake();
        let timeouts = [
            None,
            Some(Duration::ZERO),
            Some(Duration::from_micros(300)),
            Some(Duration::from_millis(5)),
            Some(Duration::MAX),
        ];
        for timeout in timeouts {
            let events = events_of(&epoll, timeout);
            let expected = Event { token: u64::MAX, readable: true, writable: false, hangup: false };
            assert_eq!(events, [expected], "{timeout:?}");
        }
        waker.drain();
        assert!(events_of(&epoll, Some(Duration::ZERO)).is_empty());
    }

    #[test]
    fn interest_decides_what_is_reported_and_delete_ends_it() {
        let epoll = Epoll::new().unwrap();
        let (a, b) = pair();
        rustix::io::write(&b, b"x").unwrap();
        let zero = Some(Duration::ZERO);
        epoll.add(a.as_fd(), 1, Interest::NONE).unwrap();
        assert!(events_of(&epoll, zero).is_empty());
        epoll.modify(a.as_fd(), 2, Interest { readable: true, writable: true }).unwrap();
        let both = events_of(&epoll, zero);
        assert_eq!(both.len(), 1);
        assert!(both[0].token == 2 && both[0].readable && both[0].writable && !both[0].hangup);
        epoll.modify(a.as_fd(), 3, Interest::WRITE).unwrap();
        let write = events_of(&epoll, zero);
        assert!(write[0].writable && !write[0].readable);
        epoll.delete(a.as_fd()).unwrap();
        assert!(events_of(&epoll, zero).is_empty());
        assert!(epoll.delete(a.as_fd()).is_err());
    }

    #[test]
    fn a_closed_peer_is_a_hangup_even_without_interest() {
        let epoll = Epoll::new().unwrap();
        let (a, b) = pair();
        epoll.add(a.as_fd(), 9, Interest::NONE).unwrap();
        drop(b);
        let events = events_of(&epoll, None);
        assert!(events[0].hangup && !events[0].readable);
    }

    #[test]
    fn a_peer_that_only_shut_down_its_writing_is_readable_not_hung_up() {
        let epoll = Epoll::new().unwrap();
        let (a, b) = pair();
        epoll.add(a.as_fd(), 9, Interest::READ).unwrap();
        rustix::net::shutdown(&b, rustix::net::Shutdown::Write).unwrap();
        let events = events_of(&epoll, None);
        assert!(events[0].readable && !events[0].hangup);
    }

    #[test]
    fn more_ready_sources_than_capacity_come_with_later_waits() {
        let epoll = Epoll::new().unwrap();
        let wakers: Vec<Waker> = (0..5).map(|_| Waker::new().unwrap()).collect();
        for (token, waker) in wakers.iter().enumerate() {
            epoll.add(waker.as_fd(), token as u64, Interest::READ).unwrap();
            waker.wake();
        }
        let mut events = Events::with_capacity(2);
        let mut seen = Vec::new();
        while seen.len() < wakers.len() {
            epoll.wait(&mut events, None).unwrap();
            assert!(!events.is_empty() && events.len() <= 2);
            for event in events.iter() {
                wakers[event.token as usize].drain();
                seen.push(event.token);
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }
}
