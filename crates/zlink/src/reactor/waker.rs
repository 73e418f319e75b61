//! Ends another thread's wait.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

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
        let mut counter = [0u8; 8];
        rustix::io::read(&self.fd, &mut counter).is_ok()
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::{Epoll, Events, Interest};
    use std::sync::Arc;

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
