//! Readiness, wake-ups and deadlines: what an I/O thread sleeps on.
//!
//! The module owns kernel objects ([`Epoll`], [`Waker`], [`Alarm`], [`Wakeup`]) and the ordered set of deadlines
//! ([`Timers`]). It knows nothing of sockets' meaning: a source is a file descriptor with a token,
//! a timer is a deadline with a key, and what either stands for is the caller's business.
//!
//! One thread waits on an [`Epoll`]; any thread may add, modify or delete sources, and any thread may
//! call [`Waker::wake`] and [`Alarm::set`]. [`Timers`] belongs to one thread.

#![forbid(unsafe_code)]

mod epoll;
mod scheduling;
mod signals;
mod timers;
mod waker;
mod wakeup;

pub(crate) use epoll::{Epoll, Events, Interest, find_readable, is_writable_within};
pub(crate) use scheduling::Scheduling;
pub(crate) use signals::{block_signals, may_have_run_a_handler};
pub(crate) use timers::{TimerId, Timers};
pub(crate) use waker::{Alarm, Waker};
pub(crate) use wakeup::{Ended, Wakeup};
