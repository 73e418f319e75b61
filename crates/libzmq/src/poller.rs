//! Pollers: sets of sockets and descriptors to wait for.
//!
//! A poller holds handles and descriptors, not what they stand for: a socket that is closed while it is in a poller
//! is found out by the next wait, and can still be taken out.

use std::ffi::{c_int, c_long, c_short, c_void};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use zlink::raw::Signaler;
use zlink::{Events, PollItem};

use crate::error::{Failure, Result, call};
use crate::handle::{self, Entered, Object};
use crate::poll::timeout_of;
use crate::socket::{Socket, enter, returned};

/// `zmq_poller_event_t`.
#[repr(C)]
pub struct Event {
    socket: *mut c_void,
    fd: c_int,
    user_data: *mut c_void,
    events: c_short,
}

impl Event {
    /// What is written where there is no event.
    const NONE: Event =
        Event { socket: std::ptr::null_mut(), fd: -1, user_data: std::ptr::null_mut(), events: 0 };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Socket(*mut c_void),
    Fd(c_int),
}

/// A socket or descriptor in a poller.
#[derive(Clone, Copy)]
struct Registered {
    source: Source,
    user_data: *mut c_void,
    events: Events,
}

// SAFETY: handles are not followed but looked up, and `user_data` is only handed back to the program.
unsafe impl Send for Registered {}

impl Registered {
    fn event(&self, ready: Events) -> Event {
        let (socket, fd) = match self.source {
            Source::Socket(socket) => (socket, -1),
            Source::Fd(fd) => (std::ptr::null_mut(), fd),
        };
        Event { socket, fd, user_data: self.user_data, events: ready.bits() }
    }
}

#[derive(Default)]
struct Poller(Mutex<Registry>);

// SAFETY: the number is no other type's.
unsafe impl Object for Poller {
    const KIND: u32 = 0x90_11_E4_5D;
    const WRONG: Failure = Failure(libc::EFAULT);
}

#[derive(Default)]
struct Registry {
    items: Vec<Registered>,
    /// A thread-safe socket is or was registered: the poller has a descriptor for who asks.
    has_descriptor: bool,
    /// Made when it is first asked for, since it leaves all reading to the I/O threads.
    signaler: Option<Arc<Signaler>>,
}

impl Registry {
    fn position(&self, source: Source) -> Result<usize> {
        self.items.iter().position(|item| item.source == source).ok_or(Failure(libc::EINVAL))
    }

    /// Lets a socket signal, if there is somebody to be told.
    fn watch(&self, source: Source) -> Result<()> {
        match (&self.signaler, thread_safe(source)) {
            (Some(signaler), Some(socket)) => Ok(signaler.add(&socket)?),
            _ => Ok(()),
        }
    }

    fn unwatch(&self, source: Source) {
        if let (Some(signaler), Some(socket)) = (&self.signaler, thread_safe(source)) {
            signaler.remove(&socket);
        }
    }

    fn fd(&mut self) -> Result<c_int> {
        if !self.has_descriptor {
            return Err(Failure(libc::EINVAL));
        }
        if self.signaler.is_none() {
            self.signaler = Some(Arc::new(Signaler::new()?));
            for item in &self.items {
                // One that is closed, or whose context ends, is told by the next wait.
                let _ = self.watch(item.source);
            }
        }
        self.signaler.as_ref().map(|signaler| signaler.fd()).ok_or(Failure(libc::EINVAL))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        for item in &self.items {
            self.unwatch(item.source);
        }
    }
}

/// The socket, if it is an open one of a type that libzmq calls thread-safe: these have a part in the poller's
/// descriptor.
fn thread_safe(source: Source) -> Option<Entered<Socket>> {
    let Source::Socket(socket) = source else { return None };
    enter(socket).ok().filter(|socket| socket.socket_type().has_single_parts())
}

impl Poller {
    fn lock(&self) -> MutexGuard<'_, Registry> {
        // Nothing under this lock panics half-way through an update.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn add(&self, source: Source, user_data: *mut c_void, events: Events) -> Result<c_int> {
        let mut registry = self.lock();
        if registry.position(source).is_ok() {
            return Err(Failure(libc::EINVAL));
        }
        registry.watch(source)?;
        registry.has_descriptor |= thread_safe(source).is_some();
        registry.items.push(Registered { source, user_data, events });
        Ok(0)
    }

    fn modify(&self, source: Source, events: Events) -> Result<c_int> {
        let mut registry = self.lock();
        let at = registry.position(source)?;
        registry.items[at].events = events;
        Ok(0)
    }

    fn remove(&self, source: Source) -> Result<c_int> {
        let mut registry = self.lock();
        let at = registry.position(source)?;
        registry.items.remove(at);
        registry.unwatch(source);
        Ok(0)
    }

    /// Waits for events and returns the first `count` of them.
    fn wait(&self, count: usize, timeout: Option<Duration>) -> Result<Vec<Event>> {
        // A copy: the poller may be changed by others meanwhile.
        let (items, signaler) = {
            let registry = self.lock();
            (registry.items.clone(), registry.signaler.clone())
        };
        // Before the look: what comes from here on signals again.
        if let Some(signaler) = signaler {
            signaler.drain();
        }
        let idle = count == 0 || items.iter().all(|item| item.events.is_empty());
        if idle {
            // Nothing could end a wait without a time-out.
            let timeout = timeout.ok_or(Failure(libc::EFAULT))?;
            zlink::poll(&mut [], Some(timeout))?;
            return Err(Failure(libc::EAGAIN));
        }
        let targets = items
            .iter()
            .map(|item| match item.source {
                Source::Socket(socket) => enter(socket).map(Target::Socket),
                Source::Fd(fd) => Ok(Target::Fd(fd)),
            })
            .collect::<Result<Vec<Target>>>()?;
        let polled = items.iter().zip(&targets);
        // A socket stays in without events, too: it fails the wait when its context ends.
        let polled =
            polled.filter(|(item, target)| !item.events.is_empty() || matches!(target, Target::Socket(_)));
        let (items, mut polled): (Vec<&Registered>, Vec<PollItem<'_>>) =
            polled.map(|(item, target)| (item, target.poll_item(item.events))).unzip();
        if zlink::poll(&mut polled, timeout)? == 0 {
            return Err(Failure(libc::EAGAIN));
        }
        let ready = polled.iter().map(PollItem::ready);
        let found = items.into_iter().zip(ready).filter(|(_, ready)| !ready.is_empty());
        Ok(found.map(|(item, ready)| item.event(ready)).take(count).collect())
    }
}

/// What a wait looks at.
enum Target {
    Socket(Entered<Socket>),
    Fd(c_int),
}

impl Target {
    fn poll_item(&self, events: Events) -> PollItem<'_> {
        match self {
            Target::Socket(socket) => PollItem::socket(socket, events),
            Target::Fd(fd) => {
                // SAFETY: not −1, as `descriptor` has made sure. One that is not open, or is closed meanwhile, is
                // the caller's mistake and does no harm here: it is passed to ppoll(2) and nothing else, which
                // reports it.
                PollItem::fd(unsafe { BorrowedFd::borrow_raw(*fd) }, events)
            }
        }
    }
}

fn with(poller: *mut c_void, body: impl FnOnce(&Poller) -> Result<c_int>) -> c_int {
    call(-1, || body(&*handle::enter::<Poller>(poller)?))
}

/// A socket as it is registered.
fn socket_source(socket: *mut c_void) -> Result<Source> {
    enter(socket)?;
    Ok(Source::Socket(socket))
}

/// A descriptor as it is registered.
fn descriptor(fd: c_int) -> Result<Source> {
    if fd == -1 { Err(Failure(libc::EBADF)) } else { Ok(Source::Fd(fd)) }
}

fn events_of(bits: c_short) -> Result<Events> {
    let events = Events::from_bits(bits);
    if events.bits() == bits { Ok(events) } else { Err(Failure(libc::EINVAL)) }
}

/// `zmq_poller_new`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_poller_new() -> *mut c_void {
    call(std::ptr::null_mut(), || handle::open(Poller::default()))
}

/// `zmq_poller_destroy`: frees the poller and sets the caller's pointer to null.
///
/// # Safety
///
/// `poller` is null or valid for reads and writes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poller_destroy(poller: *mut *mut c_void) -> c_int {
    call(-1, || {
        // SAFETY: the caller's.
        let place = unsafe { poller.as_mut() }.ok_or(Failure(libc::EFAULT))?;
        handle::close::<Poller>(*place, |_| {})?;
        *place = std::ptr::null_mut();
        Ok(0)
    })
}

/// `zmq_poller_size`: how many sockets and descriptors are registered.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_poller_size(poller: *mut c_void) -> c_int {
    with(poller, |poller| Ok(returned(poller.lock().items.len())))
}

/// `zmq_poller_add`. The events may be none.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_poller_add(
    poller: *mut c_void,
    socket: *mut c_void,
    user_data: *mut c_void,
    events: c_short,
) -> c_int {
    with(poller, |poller| poller.add(socket_source(socket)?, user_data, events_of(events)?))
}

/// `zmq_poller_modify`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_poller_modify(poller: *mut c_void, socket: *mut c_void, events: c_short) -> c_int {
    with(poller, |poller| poller.modify(socket_source(socket)?, events_of(events)?))
}

/// `zmq_poller_remove`, also of a socket that was closed after it was registered.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_poller_remove(poller: *mut c_void, socket: *mut c_void) -> c_int {
    with(poller, |poller| {
        poller.remove(Source::Socket(socket)).or_else(|failure| {
            enter(socket)?;
            Err(failure)
        })
    })
}

/// `zmq_poller_add_fd`. The events may be none.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_poller_add_fd(
    poller: *mut c_void,
    fd: c_int,
    user_data: *mut c_void,
    events: c_short,
) -> c_int {
    with(poller, |poller| poller.add(descriptor(fd)?, user_data, events_of(events)?))
}

/// `zmq_poller_modify_fd`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_poller_modify_fd(poller: *mut c_void, fd: c_int, events: c_short) -> c_int {
    with(poller, |poller| poller.modify(descriptor(fd)?, events_of(events)?))
}

/// `zmq_poller_remove_fd`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_poller_remove_fd(poller: *mut c_void, fd: c_int) -> c_int {
    with(poller, |poller| poller.remove(descriptor(fd)?))
}

/// `zmq_poller_wait`: waits for an event. Returns 0 with one.
///
/// # Safety
///
/// `event` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poller_wait(poller: *mut c_void, event: *mut Event, timeout: c_long) -> c_int {
    // SAFETY: the caller's.
    let found = unsafe { zmq_poller_wait_all(poller, event, 1, timeout) };
    if found >= 0 {
        return 0;
    }
    if !event.is_null() && event.is_aligned() {
        // SAFETY: not null, and the caller's word.
        unsafe { event.write(Event::NONE) };
    }
    found
}

/// `zmq_poller_wait_all`: waits for events, and returns how many of them, one or more, are in `events`, which has
/// room for `count`.
///
/// # Safety
///
/// `events` is null or valid for writes of `count` events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poller_wait_all(
    poller: *mut c_void,
    events: *mut Event,
    count: c_int,
    timeout: c_long,
) -> c_int {
    with(poller, |poller| {
        if events.is_null() || !events.is_aligned() {
            return Err(Failure(libc::EFAULT));
        }
        let count = usize::try_from(count).map_err(|_| Failure(libc::EINVAL))?;
        let mut found = poller.wait(count, timeout_of(timeout))?;
        let number = found.len();
        found.resize_with(count, || Event::NONE);
        // SAFETY: `count` events, not null, and the caller's word; what is there before needs no drop.
        unsafe { std::ptr::copy_nonoverlapping(found.as_ptr(), events, count) };
        Ok(returned(number))
    })
}

/// `zmq_poller_fd`: a descriptor that becomes readable when there may be events of thread-safe sockets (those whose
/// `ZMQ_THREAD_SAFE` is 1); `zmq_poller_wait` tells, and makes it unreadable. A poller has it from the first such
/// socket on, `EINVAL` before, and keeps it.
///
/// # Safety
///
/// `fd` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poller_fd(poller: *mut c_void, fd: *mut c_int) -> c_int {
    with(poller, |poller| {
        // SAFETY: the caller's.
        let place = unsafe { fd.as_mut() }.ok_or(Failure(libc::EFAULT))?;
        *place = poller.lock().fd()?;
        Ok(0)
    })
}
