//! Ends another thread's wait, at once or a moment later.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// Reads the counter of an event or timer descriptor; false if it was zero.
fn drain(fd: &OwnedFd) -> bool {
    let mut counter = [0u8; 8];
    rustix::io::read(fd, &mut counter).is_ok()
}

/// An `eventfd(2)`: readable from a [`Waker::wake`] until the next [`Waker::drain`].
///
/// It carries no memory ordering of its own beyond what the kernel's locks give; whoever wakes publishes
/// its news before, and the woken thread drains before it looks.
#[derive(Debug)]
pub(crate) struct Waker {
    fd: OwnedFd,
}

impl Waker {
    /// A waker that has not been woken.
    pub(crate) fn new() -> io::Result<Waker> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Waker { fd })
    }

    /// Makes the descriptor readable. Several wakes before a drain are one.
    pub(crate) fn wake(&self) {
        // Fails only with EAGAIN, once the counter would pass 2^64 - 2: it is readable then, which
        // is all that is wanted.
        let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
    }

    /// Takes all wakes so far; true if there was one. One system call.
    pub(crate) fn drain(&self) -> bool {
        drain(&self.fd)
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A `timerfd_create(2)` timer: readable from when it goes off until the next [`Alarm::drain`]. Setting it costs the
/// thread that sets it a fraction of what waking another one does.
#[derive(Debug)]
pub(crate) struct Alarm {
    fd: OwnedFd,
}

impl Alarm {
    /// An alarm that is not set.
    pub(crate) fn new() -> io::Result<Alarm> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        Ok(Alarm { fd })
    }

    /// Goes off once, `after` so long, less than a second and not zero, instead of when it was set to before. Returns
    /// whether it will.
    #[must_use]
    pub(crate) fn set(&self, after: Duration) -> bool {
        debug_assert!(!after.is_zero() && after.as_secs() == 0);
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let once = Itimerspec {
            it_interval: never,
            it_value: Timespec { tv_nsec: after.subsec_nanos().into(), ..never },
        };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &once).is_ok()
    }

    /// Is not readable any more.
    pub(crate) fn drain(&self) -> bool {
        drain(&self.fd)
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::{Epoll, Events, Interest};
    use std::sync::Arc;
    use std::time::Instant;

    #[test]
    fn several_wakes_are_drained_by_one_read() {
        let waker = Waker::new().unwrap();
        assert!(!waker.drain());
        for _ in 0..10 {
            waker.wake();
        }
        assert!(waker.drain());
        assert!(!waker.drain());
    }

    #[test]
    fn a_full_counter_still_wakes_and_does_not_block() {
        let waker = Waker::new().unwrap();
        rustix::io::write(&waker.fd, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        waker.wake();
        assert!(waker.drain());
        assert!(!waker.drain());
    }

    #[test]
    fn an_alarm_goes_off_once_and_not_before_its_time() {
        let epoll = Epoll::new().unwrap();
        let alarm = Alarm::new().unwrap();
        epoll.add(alarm.as_fd(), 7, Interest::READ).unwrap();
        let mut events = Events::with_capacity(1);
        let far = Duration::from_millis(900);
        for after in [far, Duration::from_micros(50), Duration::from_nanos(1)] {
            let start = Instant::now();
            assert!(alarm.set(after));
            if after == far {
                // Set anew below.
                continue;
            }
            while events.is_empty() {
                epoll.wait(&mut events, None).unwrap();
            }
            assert!(start.elapsed() >= after);
            assert!(alarm.drain() && !alarm.drain());
            epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
            assert!(events.is_empty());
        }
    }

    #[test]
    fn a_wake_from_another_thread_ends_an_endless_wait() {
        let epoll = Epoll::new().unwrap();
        let waker = Arc::new(Waker::new().unwrap());
        epoll.add(waker.as_fd(), 7, Interest::READ).unwrap();
        let other = std::thread::spawn({
            let waker = Arc::clone(&waker);
            move || waker.wake()
        });
        let mut events = Events::with_capacity(1);
        while events.is_empty() {
            epoll.wait(&mut events, None).unwrap();
        }
        assert_eq!(events.iter().next().unwrap().token, 7);
        other.join().unwrap();
    }
}
