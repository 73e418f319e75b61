//! Timers: handlers that are due at intervals, run by the program's own loop.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_long, c_void};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::error::{Failure, Result, call};
use crate::handle::{self, Object};

/// `zmq_timer_fn`.
type Handler = unsafe extern "C" fn(c_int, *mut c_void);

#[derive(Clone, Copy)]
struct Timer {
    due: Instant,
    interval: Duration,
    handler: Handler,
    argument: *mut c_void,
}

// SAFETY: `handler` and `argument` are only passed on, to be used by the thread that calls
// `zmq_timers_execute`. That it may is that thread's matter, as for all that it does with the timers.
unsafe impl Send for Timer {}

#[derive(Default)]
struct Set {
    last_id: c_int,
    timers: BTreeMap<c_int, Timer>,
}

/// A set of timers.
#[derive(Default)]
struct Timers(Mutex<Set>);

// SAFETY: the number is no other type's.
unsafe impl Object for Timers {
    const KIND: u32 = 0x71_3E_25_A9;
    const WRONG: Failure = Failure(libc::EFAULT);
    const OF_PROCESS: bool = false;
}

impl Timers {
    fn lock(&self) -> MutexGuard<'_, Set> {
        // Nothing under this lock panics half-way through an update.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Runs the handlers that are due. Each is due again an interval later, counted from now: a loop that comes late
    /// runs a handler once, not once for each interval missed.
    fn execute(&self) {
        let now = Instant::now();
        let mut due: Vec<(Instant, c_int)> = self
            .lock()
            .timers
            .iter()
            .map(|(id, timer)| (timer.due, *id))
            .filter(|(due, _)| *due <= now)
            .collect();
        // In the order in which they should have run.
        due.sort_unstable();
        for (_, id) in due {
            let mut set = self.lock();
            // An earlier handler may have cancelled this one, or put it off.
            let Some(timer) = set.timers.get_mut(&id).filter(|timer| timer.due <= now) else { continue };
            timer.due = after(now, timer.interval);
            let Timer { handler, argument, .. } = *timer;
            // A handler may change the timers.
            drop(set);
            // SAFETY: `zmq_timers_add` was given them to be called like this.
            unsafe { handler(id, argument) };
        }
    }
}

/// A time too far away to be told is a century away.
fn after(now: Instant, interval: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    now + interval.min(CENTURY)
}

fn millis(interval: usize) -> Duration {
    Duration::from_millis(interval as u64)
}

fn with(timers: *mut c_void, body: impl FnOnce(&mut Set) -> Result<c_int>) -> c_int {
    call(-1, || body(&mut handle::enter::<Timers>(timers)?.lock()))
}

fn find(set: &mut Set, id: c_int) -> Result<&mut Timer> {
    set.timers.get_mut(&id).ok_or(Failure(libc::EINVAL))
}

/// `zmq_timers_new`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_timers_new() -> *mut c_void {
    call(std::ptr::null_mut(), || handle::open(Timers::default()))
}

/// `zmq_timers_destroy`: frees the timers and sets the caller's pointer to null.
///
/// # Safety
///
/// `timers` is null or valid for reads and writes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_timers_destroy(timers: *mut *mut c_void) -> c_int {
    call(-1, || {
        // SAFETY: the caller's.
        let place = unsafe { timers.as_mut() }.ok_or(Failure(libc::EFAULT))?;
        handle::close::<Timers>(*place, |_| {})?;
        *place = std::ptr::null_mut();
        Ok(0)
    })
}

/// `zmq_timers_add`: a timer that is due every `interval` milliseconds. Returns its number.
///
/// # Safety
///
/// `handler` is null or may be called with the timer's number and `argument` by whoever calls
/// `zmq_timers_execute`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_timers_add(
    timers: *mut c_void,
    interval: usize,
    handler: Option<Handler>,
    argument: *mut c_void,
) -> c_int {
    with(timers, |set| {
        let handler = handler.ok_or(Failure(libc::EFAULT))?;
        let interval = millis(interval);
        set.last_id = set.last_id.checked_add(1).ok_or(Failure(libc::ENOMEM))?;
        let due = after(Instant::now(), interval);
        set.timers.insert(set.last_id, Timer { due, interval, handler, argument });
        Ok(set.last_id)
    })
}

/// `zmq_timers_cancel`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_timers_cancel(timers: *mut c_void, id: c_int) -> c_int {
    with(timers, |set| set.timers.remove(&id).map(|_| 0).ok_or(Failure(libc::EINVAL)))
}

/// `zmq_timers_set_interval`: a new interval in milliseconds, which starts now.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_timers_set_interval(timers: *mut c_void, id: c_int, interval: usize) -> c_int {
    with(timers, |set| {
        let timer = find(set, id)?;
        timer.interval = millis(interval);
        timer.due = after(Instant::now(), timer.interval);
        Ok(0)
    })
}

/// `zmq_timers_reset`: the interval starts again now.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_timers_reset(timers: *mut c_void, id: c_int) -> c_int {
    with(timers, |set| {
        let timer = find(set, id)?;
        timer.due = after(Instant::now(), timer.interval);
        Ok(0)
    })
}

/// `zmq_timers_timeout`: milliseconds until a timer is due, rounded up; −1 if there is none.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_timers_timeout(timers: *mut c_void) -> c_long {
    call(-1, || {
        let timers = handle::enter::<Timers>(timers)?;
        let first = timers.lock().timers.values().map(|timer| timer.due).min();
        Ok(first.map_or(-1, |due| {
            // Rounded up: a loop that waits this long finds the timer due.
            let left = due.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
            c_long::try_from(left).unwrap_or(c_long::MAX)
        }))
    })
}

/// `zmq_timers_execute`: runs the handlers that are due. They may add, change and cancel timers; a
/// set destroyed by a handler is freed when all have returned.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_timers_execute(timers: *mut c_void) -> c_int {
    call(-1, || {
        handle::enter::<Timers>(timers)?.execute();
        Ok(0)
    })
}
