//! Polling.

use std::ffi::{c_int, c_long, c_short, c_void};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use zlink::raw::{self, SigSet};
use zlink::{Events, PollItem};

use crate::error::{Failure, Result, call};
use crate::handle::Entered;
use crate::socket::{Socket, enter};

/// `zmq_pollitem_t`.
#[repr(C)]
pub struct Item {
    socket: *mut c_void,
    fd: c_int,
    events: c_short,
    revents: c_short,
}

/// A time-out in milliseconds, negative for none.
pub(crate) fn timeout_of(millis: c_long) -> Option<Duration> {
    u64::try_from(millis).ok().map(Duration::from_millis)
}

/// `zmq_poll`. Returns how many items have something in `revents`.
///
/// # Safety
///
/// `items` is null or valid for reads and writes of `count` items.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poll(items: *mut Item, count: c_int, timeout: c_long) -> c_int {
    // SAFETY: the caller's.
    unsafe { zmq_ppoll(items, count, timeout, std::ptr::null()) }
}

/// `zmq_ppoll`: as `zmq_poll`, with `mask` in place of the thread's signal mask while it looks and waits.
///
/// # Safety
///
/// As [`zmq_poll`]; `mask` is null or points to a set of signals.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_ppoll(
    items: *mut Item,
    count: c_int,
    timeout: c_long,
    mask: *const libc::sigset_t,
) -> c_int {
    call(-1, || {
        let count = usize::try_from(count).map_err(|_| Failure(libc::EINVAL))?;
        if count > 0 && (items.is_null() || !items.is_aligned()) {
            return Err(Failure(libc::EFAULT));
        }
        let items: &mut [Item] = if count == 0 {
            &mut []
        } else {
            // SAFETY: not null, and the caller's word.
            unsafe { std::slice::from_raw_parts_mut(items, count) }
        };
        // SAFETY: the caller's.
        let mask = unsafe { mask.as_ref() };
        // SAFETY: a set that the caller has filled in.
        let mask = mask.map(|mask| unsafe { SigSet::from_sigset_t_unchecked(*mask) });
        poll(items, timeout_of(timeout), mask)
    })
}

fn poll(items: &mut [Item], timeout: Option<Duration>, mask: Option<SigSet>) -> Result<c_int> {
    let sockets = items
        .iter()
        .map(|item| if item.socket.is_null() { Ok(None) } else { enter(item.socket).map(Some) })
        .collect::<Result<Vec<Option<Entered<Socket>>>>>()?;
    let mut polled = Vec::with_capacity(items.len());
    for (item, socket) in items.iter().zip(&sockets) {
        let events = Events::from_bits(item.events);
        match socket {
            Some(socket) => polled.push(PollItem::socket(socket, events)),
            // As for poll(2), a negative descriptor is an item that is left out.
            None if item.fd < 0 => {}
            None => {
                // SAFETY: not −1. A descriptor that is not open, or is closed meanwhile, is the caller's mistake and
                // does no harm here: it is passed to poll(2) and nothing else, which reports it.
                let fd = unsafe { BorrowedFd::borrow_raw(item.fd) };
                polled.push(PollItem::fd(fd, events));
            }
        }
    }
    let found = raw::poll(&mut polled, timeout, mask)?;
    let mut polled = polled.iter();
    for (item, socket) in items.iter_mut().zip(&sockets) {
        let left_out = socket.is_none() && item.fd < 0;
        let ready =
            if left_out { Events::NONE } else { polled.next().map(PollItem::ready).unwrap_or_default() };
        item.revents = ready.bits();
    }
    Ok(c_int::try_from(found).unwrap_or(c_int::MAX))
}
