//! Memory of large buffers, kept for the next ones.
//!
//! The C library gives memory of this size back to the kernel as soon as it is freed, and fetches it anew, a page at a time:
//! that costs a stream of large messages more than all else that is done for it.

use std::alloc::{Layout, dealloc};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Mutex;

/// Smaller allocations are left to the allocator, in bytes.
pub(crate) const SPARE_FROM: usize = 64 * 1024;
/// Bytes that are kept at most, and in how many allocations.
const MOST_BYTES: usize = 4 << 20;
const MOST: usize = 16;

/// An allocation that nobody uses.
struct Spare {
    memory: NonNull<u8>,
    layout: Layout,
}

// SAFETY: whoever has a `Spare` is the memory's only owner.
unsafe impl Send for Spare {}

impl Drop for Spare {
    fn drop(&mut self) {
        // SAFETY: the memory was allocated with that layout, and its owner is gone.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) }
    }
}

/// What is kept, the latest last.
struct Spares {
    kept: Vec<Spare>,
    bytes: usize,
}

/// For the whole process: messages are made in one thread and dropped in another.
static SPARES: Mutex<Spares> = Mutex::new(Spares::new());

impl Spares {
    const fn new() -> Self {
        Spares { kept: Vec::new(), bytes: 0 }
    }

    fn take(&mut self, layout: Layout) -> Option<Spare> {
        let at = self.kept.iter().rposition(|spare| spare.layout == layout)?;
        self.bytes -= layout.size();
        Some(self.kept.remove(at))
    }

    /// Keeps `spare`, instead of the oldest if there are too many.
    fn keep(&mut self, spare: Spare) {
        self.bytes += spare.layout.size();
        self.kept.push(spare);
        while self.bytes > MOST_BYTES || self.kept.len() > MOST {
            self.bytes -= self.kept.remove(0).layout.size();
        }
    }
}

/// The size of an allocation for `size` bytes: the next eighth of a power of two, so that messages of about the same
/// length can have each other's memory.
pub(crate) fn rounded(size: usize) -> usize {
    if size < SPARE_FROM {
        return size;
    }
    let step = (1 << size.ilog2()) / 8;
    size.checked_next_multiple_of(step).unwrap_or(size)
}

/// Memory of that layout, if some is at hand.
pub(crate) fn take(layout: Layout) -> Option<NonNull<u8>> {
    if !is_kept(layout) {
        return None;
    }
    // Whoever finds the lock taken does without; so does the child of a fork that was made while it was.
    let spare = ManuallyDrop::new(SPARES.try_lock().ok()?.take(layout)?);
    Some(spare.memory)
}

/// Gives up memory.
///
/// # Safety
///
/// `memory` was allocated with `layout` by the global allocator, and nobody uses it any more.
pub(crate) unsafe fn give(memory: NonNull<u8>, layout: Layout) {
    let spare = Spare { memory, layout };
    if is_kept(layout)
        && let Ok(mut spares) = SPARES.try_lock()
    {
        spares.keep(spare);
    }
}

/// Not under tools that look for memory used after it was freed.
fn is_kept(layout: Layout) -> bool {
    (SPARE_FROM..=MOST_BYTES).contains(&layout.size()) && !cfg!(any(miri, fuzzing))
}

#[cfg(test)]
mod tests {
    use std::alloc::alloc;

    use super::*;

    fn spare(size: usize) -> Spare {
        let layout = Layout::from_size_align(size, 8).expect("a layout");
        // SAFETY: not of size zero.
        Spare { memory: NonNull::new(unsafe { alloc(layout) }).expect("memory"), layout }
    }

    #[test]
    fn the_latest_of_the_same_size_is_taken() {
        let mut spares = Spares::new();
        let (first, other, second) = (spare(SPARE_FROM), spare(2 * SPARE_FROM), spare(SPARE_FROM));
        let (layout, latest) = (second.layout, second.memory);
        [first, other, second].into_iter().for_each(|spare| spares.keep(spare));
        assert_eq!(spares.take(layout).map(|spare| spare.memory), Some(latest));
        assert_eq!((spares.kept.len(), spares.bytes), (2, 3 * SPARE_FROM));
        assert!(spares.take(layout).is_some() && spares.take(layout).is_none());
    }

    #[test]
    fn no_more_is_kept_than_is_allowed() {
        let mut spares = Spares::new();
        for _ in 0..2 * MOST {
            spares.keep(spare(SPARE_FROM));
        }
        assert_eq!((spares.kept.len(), spares.bytes), (MOST, MOST * SPARE_FROM));
        // The oldest go.
        spares.keep(spare(MOST_BYTES));
        assert_eq!((spares.kept.len(), spares.bytes), (1, MOST_BYTES));
    }

    #[test]
    fn sizes_are_rounded_by_an_eighth_at_most() {
        assert_eq!([0, 1, SPARE_FROM - 1].map(rounded), [0, 1, SPARE_FROM - 1]);
        assert_eq!(rounded(SPARE_FROM + 1), SPARE_FROM / 8 * 9);
        for size in [SPARE_FROM, 100_000, 1 << 20, (1 << 20) + 1, usize::MAX / 2] {
            let rounded = rounded(size);
            assert!((size..=size + size / 8 + 1).contains(&rounded), "{size} {rounded}");
        }
        assert_eq!(rounded(usize::MAX), usize::MAX);
    }
}
