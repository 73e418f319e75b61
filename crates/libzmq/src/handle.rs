//! Handles: what a `void *` of the C interface stands for.
//!
//! A handle is the address of a [`Slot`] in a fixed table, which lies in memory the system provides as it is
//! first touched. Whether a pointer is a handle is seen from its value alone; a slot is never given back, so that a
//! closed handle is as safe to look at as an open one.
//!
//! # Calls and close
//!
//! A thread inside a call marks the slot. A thread that closes marks the slot as closed first and looks for marks then;
//! a thread that calls does it the other way round, so that at least one sees the other: the call fails, or the close
//! leaves the object to be freed later, by another open or close.
//!
//! Nearly always one thread alone uses a socket. That thread comes to own the slot's flag, which it sets and clears with
//! plain stores and no fence: the fence for both is in the close (see [`zlink_pipe::asymmetric`]). All others are
//! counted.
//!
//! # Reuse
//!
//! A slot is used again after [`REST`] others were closed, so that a use after close is told as such for a while,
//! and then meets another object, as with file descriptors. No use is undefined.

mod fork;

use std::collections::VecDeque;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use zlink_pipe::asymmetric::{heavy_fence, is_available, light_fence, thread_id};

use crate::error::{ETERM, Failure, Result};

/// Handles that may be open at a time in a process. Beyond it there is `EMFILE`.
const SLOTS: usize = 1 << 17;
/// Slots that rest after a close before one of them is used again.
const REST: usize = 1024;

/// Nobody owns a slot's flag.
const NONE: usize = 0;
/// Calls after which a thread is taken to be the one that uses the slot.
const STREAK: u32 = 64;

/// A slot that holds nothing, or something closed that is still to be freed.
const CLOSED: u32 = 0;

/// What handles can stand for.
///
/// # Safety
///
/// `KIND` is neither [`CLOSED`] nor that of another type, [inherited](fork) or not.
pub(crate) unsafe trait Object: Send + Sync + 'static {
    /// Tells a slot that holds this type.
    const KIND: u32;
    /// The error for anything else.
    const WRONG: Failure;
    /// Whether it is of no use in a child process: it has threads, or locks that threads may hold.
    const OF_PROCESS: bool = true;
}

// A line of the cache each: threads that use different sockets share none.
#[repr(align(64))]
struct Slot {
    kind: AtomicU32,
    /// The thread that `busy` is for, once there is one.
    owner: AtomicUsize,
    /// The owner is inside a call.
    busy: AtomicBool,
    /// Calls that others are inside of.
    others: AtomicU32,
    /// Who called last without owning the flag, and how many times in a row, as far as is known.
    last: AtomicUsize,
    streak: AtomicU32,
    /// A child process cannot use the object.
    of_process: AtomicBool,
    /// A leaked box of the type that `kind` stands for; null while there is none.
    object: AtomicPtr<()>,
}

static TABLE: [Slot; SLOTS] = [const {
    Slot {
        kind: AtomicU32::new(CLOSED),
        owner: AtomicUsize::new(NONE),
        busy: AtomicBool::new(false),
        others: AtomicU32::new(0),
        last: AtomicUsize::new(NONE),
        streak: AtomicU32::new(0),
        of_process: AtomicBool::new(false),
        object: AtomicPtr::new(ptr::null_mut()),
    }
}; SLOTS];

/// A closed object that a thread was still inside of, and how to free it.
struct Retired {
    slot: &'static Slot,
    free: unsafe fn(*mut ()),
}

struct Slots {
    /// Slots from here on were never used.
    fresh: usize,
    resting: VecDeque<&'static Slot>,
    retired: Vec<Retired>,
}

static SLOTS_LEFT: Mutex<Slots> =
    Mutex::new(Slots { fresh: 0, resting: VecDeque::new(), retired: Vec::new() });

fn lock() -> MutexGuard<'static, Slots> {
    // Nothing under this lock panics half-way through an update.
    SLOTS_LEFT.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Slot {
    /// The slot that `handle` is the address of.
    #[inline]
    fn at(handle: *mut c_void) -> Option<&'static Slot> {
        let offset = handle.addr().wrapping_sub(TABLE.as_ptr().addr());
        if !offset.is_multiple_of(size_of::<Slot>()) {
            return None;
        }
        TABLE.get(offset / size_of::<Slot>())
    }

    /// Whether a thread is inside a call; the caller has fenced since the slot was closed.
    fn is_in_use(&self) -> bool {
        // Acquire: what the threads did inside comes before the object is freed.
        self.busy.load(Ordering::Acquire) || self.others.load(Ordering::SeqCst) > 0
    }

    /// Marks the slot for a call. Returns whether the calling thread did it as the owner.
    #[inline(always)]
    fn enter_as_owner(&self) -> bool {
        let me = thread_id();
        // Relaxed: this thread has stored what it looks for here, if anybody has. Its flag is set already in a call from
        // within a call: a function that gives memory back, or a signal's handler.
        if self.owner.load(Ordering::Relaxed) == me && !self.busy.load(Ordering::Relaxed) {
            self.busy.store(true, Ordering::Relaxed);
            light_fence();
            return true;
        }
        self.enter_counted(me);
        false
    }

    /// Marks the slot for a call by a thread that does not own the flag.
    #[inline(never)]
    fn enter_counted(&self, me: usize) {
        // SeqCst: with the load of `kind` that follows, and the pair of `close`.
        self.others.fetch_add(1, Ordering::SeqCst);
        // Relaxed: a wrong count makes the wrong thread the owner, or none, for a while.
        let last = self.last.load(Ordering::Relaxed);
        self.last.store(me, Ordering::Relaxed);
        let streak = if last == me { self.streak.load(Ordering::Relaxed) + 1 } else { 0 };
        self.streak.store(streak % STREAK, Ordering::Relaxed);
        if streak == STREAK {
            self.become_owner(me);
        }
    }

    /// Makes the calling thread the owner of the flag, for as long as the process lives: a thread that is between its
    /// look at `owner` and its store cannot be told from one that is not.
    #[cold]
    fn become_owner(&self, me: usize) {
        if is_available() {
            let _ = self.owner.compare_exchange(NONE, me, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// A thread's stay inside a call on an object.
pub(crate) struct Entered<T> {
    slot: &'static Slot,
    /// As the owner, with `busy` set.
    owner: bool,
    object: *const T,
    not_send: PhantomData<*const ()>,
}

impl<T> Deref for Entered<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `enter` found the object open with this thread's mark set, so nobody frees it before the mark
        // is gone, and only shared references are ever made.
        unsafe { &*self.object }
    }
}

impl<T> Drop for Entered<T> {
    #[inline]
    fn drop(&mut self) {
        // Release: whoever sees the mark gone, and frees the object, does so after this thread's last use.
        if self.owner {
            self.slot.busy.store(false, Ordering::Release);
        } else {
            self.slot.others.fetch_sub(1, Ordering::Release);
        }
    }
}

/// Enters a call on the object behind `handle`.
#[inline]
pub(crate) fn enter<T: Object>(handle: *mut c_void) -> Result<Entered<T>> {
    let slot = Slot::at(handle).ok_or(T::WRONG)?;
    let owner = slot.enter_as_owner();
    // From here on the mark is taken back on every way out.
    let mut entered = Entered { slot, owner, object: ptr::null(), not_send: PhantomData };
    // SeqCst: pairs with `close`, see the module's description.
    let kind = slot.kind.load(Ordering::SeqCst);
    if kind != T::KIND {
        return Err(refusal::<T>(kind));
    }
    // Ordered by the load of `kind`, which `open` stores last.
    entered.object = slot.object.load(Ordering::Relaxed).cast();
    Ok(entered)
}

/// The error for a slot of another kind.
#[cold]
fn refusal<T: Object>(kind: u32) -> Failure {
    if kind == fork::inherited(T::KIND) { Failure(ETERM) } else { T::WRONG }
}

/// Whether the handle came from the parent process. There is nothing to be done with it but to close it.
pub(crate) fn is_inherited<T: Object>(handle: *mut c_void) -> bool {
    Slot::at(handle).is_some_and(|slot| slot.kind.load(Ordering::Relaxed) == fork::inherited(T::KIND))
}

/// Makes a handle for `object`.
pub(crate) fn open<T: Object>(object: T) -> Result<*mut c_void> {
    fork::watch();
    let mut slots = lock();
    let freed = sweep(&mut slots);
    let slot = if slots.fresh < SLOTS && slots.resting.len() < REST {
        slots.fresh += 1;
        &TABLE[slots.fresh - 1]
    } else {
        slots.resting.pop_front().ok_or(Failure(libc::EMFILE))?
    };
    drop(slots);
    free(freed);
    slot.object.store(Box::into_raw(Box::new(object)).cast(), Ordering::Relaxed);
    slot.of_process.store(T::OF_PROCESS, Ordering::Relaxed);
    // Release at the least: publishes the object to `enter`.
    slot.kind.store(T::KIND, Ordering::SeqCst);
    Ok(ptr::from_ref(slot).cast_mut().cast())
}

/// Closes a handle: from now on it is refused. `last` gets the object, in which other threads may be.
pub(crate) fn close<T: Object>(handle: *mut c_void, last: impl FnOnce(&T)) -> Result<()> {
    let slot = Slot::at(handle).ok_or(T::WRONG)?;
    // SeqCst: pairs with `enter`. Only one of several threads that close gets past this.
    let close = |kind| slot.kind.compare_exchange(kind, CLOSED, Ordering::SeqCst, Ordering::Relaxed);
    if close(T::KIND).is_err() {
        // An inherited object is left as it is, and its slot is not used again.
        return close(fork::inherited(T::KIND)).map(drop).map_err(|_| T::WRONG);
    }
    let object: *mut T = slot.object.load(Ordering::Relaxed).cast();
    let retired = Retired { slot, free: free_box::<T> };
    // The slot is put among the retired even if `last` panics.
    let retire = Retire(Some(retired));
    // SAFETY: `kind` said that the slot holds a `T`, and only the thread that closed it retires it, below.
    last(unsafe { &*object });
    drop(retire);
    Ok(())
}

struct Retire(Option<Retired>);

impl Drop for Retire {
    fn drop(&mut self) {
        let mut slots = lock();
        slots.retired.extend(self.0.take());
        let freed = sweep(&mut slots);
        drop(slots);
        free(freed);
    }
}

type Freed = Vec<(*mut (), unsafe fn(*mut ()))>;

/// Takes the retired objects that no thread is inside of out of their slots.
fn sweep(slots: &mut Slots) -> Freed {
    let mut freed = Vec::new();
    let Slots { resting, retired, .. } = slots;
    if !retired.is_empty() && is_available() {
        // Between the closes and the looks for marks.
        heavy_fence();
    }
    retired.retain(|Retired { slot, free }| {
        if slot.is_in_use() {
            return true;
        }
        freed.push((slot.object.swap(ptr::null_mut(), Ordering::Relaxed), *free));
        resting.push_back(slot);
        false
    });
    freed
}

/// Frees what [`sweep`] has taken. Without the lock: freeing the last of a context waits.
fn free(freed: Freed) {
    for (object, free) in freed {
        // SAFETY: `sweep` took the object out of its slot once, after its close and with no thread inside; `free`
        // belongs to its type.
        unsafe { free(object) };
    }
}

/// # Safety
///
/// `object` is a leaked box of `T` that nobody else uses any more.
unsafe fn free_box<T>(object: *mut ()) {
    // SAFETY: the caller's.
    drop(unsafe { Box::from_raw(object.cast::<T>()) });
}
