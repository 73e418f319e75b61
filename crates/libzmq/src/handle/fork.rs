//! What a child process has of its parent's handles.
//!
//! None of the parent's threads lives on in a child, and whatever lock they held when it was made stays locked there for
//! ever. So the child marks the handles it has inherited: it can close them and terminate contexts, which does nothing,
//! and every other call on them fails with `ETERM`. Nothing of the objects is touched or freed, and the descriptors stay
//! open until the child ends or executes another program: what they lead to is the parent's.
//!
//! Calls are as cheap as before: an inherited handle is one of the wrong kind.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{MutexGuard, Once};

use super::{CLOSED, Slots, TABLE, lock};

/// Added to the kind of an inherited handle.
const INHERITED: u32 = 1 << 30;

/// The kind of an inherited handle that was of `kind`.
pub(super) const fn inherited(kind: u32) -> u32 {
    kind ^ INHERITED
}

/// Sees to it that child processes made from now on know what they have inherited.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the functions may be called at any fork from now on: they use statics only. Should there be no memory
        // to note them, children are as those of a program that never came here.
        unsafe { libc::pthread_atfork(Some(before), Some(after), Some(in_child)) };
    });
}

/// The lock of the slots, held while a process is copied so that the child finds it free.
static HELD: AtomicPtr<MutexGuard<'static, Slots>> = AtomicPtr::new(ptr::null_mut());

extern "C" fn before() {
    let held = Box::into_raw(Box::new(lock()));
    // Nobody else stores one: it takes the lock.
    HELD.store(held, Ordering::Relaxed);
}

extern "C" fn after() {
    drop(take());
}

extern "C" fn in_child() {
    let Some(slots) = take() else { return };
    for slot in &TABLE[..slots.fresh] {
        let kind = slot.kind.load(Ordering::Relaxed);
        if kind != CLOSED && slot.of_process.load(Ordering::Relaxed) {
            slot.kind.store(inherited(kind), Ordering::Relaxed);
        }
    }
}

/// What `before` has left.
fn take() -> Option<Box<MutexGuard<'static, Slots>>> {
    let held = HELD.swap(ptr::null_mut(), Ordering::Relaxed);
    // SAFETY: `before` leaked the box, on this thread, and the swap gives it to one call only.
    (!held.is_null()).then(|| unsafe { Box::from_raw(held) })
}
