//! Memory of messages and buffers, kept for the next ones.
//!
//! Messages are made by one thread and dropped by another. The C library gives their memory back to the part of its heap
//! that it came from, block by block, under a lock that the thread that allocates there wants too; and large blocks to the
//! kernel, which fetches them anew, a page at a time. Here a thread keeps what it frees, by size, and hands it on by the
//! *magazine*, a chain of some blocks, to a *depot*, from which threads that run out fetch theirs. (J. Bonwick and
//! J. Adams, "Magazines and Vmem", USENIX 2001.) Large blocks go to the depot one by one.

use std::alloc::{Layout, dealloc};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::Mutex;

/// Of smaller allocations, in bytes, a thread keeps the last it has freed, and leaves the others to the allocator: what that
/// keeps for each thread is nearly as fast.
const FROM: usize = 256;
/// Threads keep none of this size and above.
const LARGE_FROM: usize = 64 * 1024;
/// Nor does the depot above this.
const UP_TO: usize = 4 << 20;
/// Sizes in a power of two.
const STEPS: usize = 8;
const CLASSES: usize = (UP_TO.ilog2() - FROM.ilog2()) as usize * STEPS + 1;
const SMALL_CLASSES: usize = (LARGE_FROM.ilog2() - FROM.ilog2()) as usize * STEPS;

/// Bytes and blocks in a magazine, at most, and the fewest blocks.
const MAGAZINE_BYTES: usize = 64 * 1024;
const MOST_BLOCKS: usize = 64;
const FEWEST_BLOCKS: usize = 4;
/// Bytes that a thread keeps at most.
const THREAD_BYTES: usize = 1 << 20;
/// Bytes that lie in the depot at most.
const DEPOT_BYTES: usize = 8 << 20;

/// Not under tools that look for memory used after it was freed.
const KEEPS: bool = cfg!(not(any(miri, fuzzing, no_magazines)));

/// One of the sizes that are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Class(usize);

impl Class {
    /// The class of an allocation of `size` bytes, which is [rounded].
    #[inline]
    fn of(size: usize) -> Option<Class> {
        if !(FROM..=UP_TO).contains(&size) || !KEEPS {
            return None;
        }
        let power = size.ilog2();
        let step = (size >> (power - STEPS.ilog2())) % STEPS;
        Some(Class((power - FROM.ilog2()) as usize * STEPS + step))
    }

    #[inline]
    fn size(self) -> usize {
        CLASS_TABLE[self.0].0
    }

    fn layout(self) -> Layout {
        Layout::from_size_align(self.size(), ALIGN).expect("no more than 4 MiB")
    }

    #[inline]
    fn is_large(self) -> bool {
        self.0 >= SMALL_CLASSES
    }

    /// Blocks in a magazine.
    #[inline]
    fn magazine(self) -> usize {
        CLASS_TABLE[self.0].1
    }
}

/// Bytes of a block of each class, and blocks in a magazine. Looked up for each message: a division would take longer than
/// all else.
static CLASS_TABLE: [(usize, usize); CLASSES] = {
    let mut table = [(0, 0); CLASSES];
    let mut class = 0;
    while class < CLASSES {
        let power = FROM << (class / STEPS);
        let size = power + power / STEPS * (class % STEPS);
        let blocks = MAGAZINE_BYTES / size;
        let magazine = match blocks {
            ..FEWEST_BLOCKS => FEWEST_BLOCKS,
            FEWEST_BLOCKS..=MOST_BLOCKS => blocks,
            _ => MOST_BLOCKS,
        };
        table[class] = (size, magazine);
        class += 1;
    }
    table
};

/// The size of an allocation for `size` bytes: the next eighth of a power of two, so that messages of about the same
/// length can have each other's memory.
#[inline]
pub(crate) fn rounded(size: usize) -> usize {
    if size < FROM {
        return size;
    }
    let step = (1 << size.ilog2()) / STEPS;
    size.checked_next_multiple_of(step).unwrap_or(size)
}

/// Of all that is kept.
pub(crate) const ALIGN: usize = align_of::<Link>();

/// The beginning of a block that nobody uses.
struct Link {
    next: Option<NonNull<Link>>,
}

/// Blocks of one class that nobody uses, each of which knows the next.
struct Chain {
    top: Option<NonNull<Link>>,
    len: usize,
}

// SAFETY: whoever has a chain is its blocks' only owner.
unsafe impl Send for Chain {}

impl Chain {
    const EMPTY: Chain = Chain { top: None, len: 0 };

    /// # Safety
    ///
    /// `block` is memory of the chain's class that nobody uses any more.
    #[inline]
    unsafe fn push(&mut self, block: NonNull<u8>) {
        let link = block.cast::<Link>();
        // SAFETY: the caller's, and every class has room for a link.
        unsafe { link.write(Link { next: self.top }) };
        self.top = Some(link);
        self.len += 1;
    }

    #[inline]
    fn pop(&mut self) -> Option<NonNull<u8>> {
        let link = self.top?;
        // SAFETY: blocks in a chain begin with a link, and are the chain's.
        self.top = unsafe { link.as_ref().next };
        self.len -= 1;
        Some(link.cast())
    }

    fn free(mut self, class: Class) {
        while let Some(block) = self.pop() {
            // SAFETY: allocated with the layout of its class.
            unsafe { dealloc(block.as_ptr(), class.layout()) }
        }
    }
}

/// Magazines of one class that no thread has, the latest last.
struct Shelf {
    chains: VecDeque<Chain>,
    bytes: usize,
}

/// Magazines that no thread has.
struct Depot {
    shelves: [Shelf; CLASSES],
    bytes: usize,
    /// The class that gives some up next, should there be too many.
    victim: usize,
}

/// For the whole process.
static DEPOT: Mutex<Depot> = Mutex::new(Depot::new());

impl Depot {
    const fn new() -> Self {
        Depot {
            shelves: [const { Shelf { chains: VecDeque::new(), bytes: 0 } }; CLASSES],
            bytes: 0,
            victim: 0,
        }
    }

    fn take(&mut self, class: Class) -> Option<Chain> {
        let chain = self.shelves[class.0].chains.pop_back()?;
        self.count_out(class, &chain);
        Some(chain)
    }

    fn take_oldest(&mut self, class: Class) -> Option<Chain> {
        let chain = self.shelves[class.0].chains.pop_front()?;
        self.count_out(class, &chain);
        Some(chain)
    }

    fn count_out(&mut self, class: Class, chain: &Chain) {
        let bytes = chain.len * class.size();
        self.shelves[class.0].bytes -= bytes;
        self.bytes -= bytes;
    }

    /// Keeps a magazine. Returns others for which there is no room any more: of the same class if that has most of it,
    /// else of one after the other.
    fn keep(&mut self, class: Class, chain: Chain) -> Vec<(Class, Chain)> {
        let bytes = chain.len * class.size();
        self.bytes += bytes;
        let shelf = &mut self.shelves[class.0];
        shelf.bytes += bytes;
        shelf.chains.push_back(chain);
        let mut out = Vec::new();
        while self.bytes > DEPOT_BYTES {
            let most = self.shelves[class.0].bytes > DEPOT_BYTES / 2;
            let victim = if most { class } else { self.next_victim() };
            out.extend(self.take_oldest(victim).map(|chain| (victim, chain)));
        }
        out
    }

    fn next_victim(&mut self) -> Class {
        self.victim = (self.victim + 1) % CLASSES;
        Class(self.victim)
    }
}

fn from_depot(class: Class) -> Option<Chain> {
    // Whoever finds the lock taken does without; so does the child of a fork that was made while it was.
    DEPOT.try_lock().ok()?.take(class)
}

#[cold]
fn to_depot(class: Class, chain: Chain) {
    if chain.len == 0 {
        return;
    }
    let superfluous = match DEPOT.try_lock() {
        Ok(mut depot) => depot.keep(class, chain),
        Err(_) => vec![(class, chain)],
    };
    superfluous.into_iter().for_each(|(class, chain)| chain.free(class));
}

/// What a thread keeps of a class: a chain that it frees to and takes from, and one that is full or empty. With two, a
/// thread that frees and allocates in turn goes to the depot once in a magazine at most.
struct Pair {
    current: Chain,
    other: Chain,
}

struct Kept {
    pairs: [Pair; SMALL_CLASSES],
    bytes: usize,
}

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept::new()) };
}

impl Kept {
    const fn new() -> Self {
        Kept {
            pairs: [const { Pair { current: Chain::EMPTY, other: Chain::EMPTY } }; SMALL_CLASSES],
            bytes: 0,
        }
    }

    #[inline]
    fn take(&mut self, class: Class) -> Option<NonNull<u8>> {
        let pair = &mut self.pairs[class.0];
        if pair.current.top.is_none() && !self.refill(class) {
            return None;
        }
        self.bytes -= class.size();
        self.pairs[class.0].current.pop()
    }

    #[cold]
    fn refill(&mut self, class: Class) -> bool {
        let pair = &mut self.pairs[class.0];
        std::mem::swap(&mut pair.current, &mut pair.other);
        if pair.current.len > 0 {
            return true;
        }
        let Some(chain) = from_depot(class) else { return false };
        self.bytes += chain.len * class.size();
        pair.current = chain;
        true
    }

    /// # Safety
    ///
    /// `block` is memory of that class that nobody uses any more.
    #[inline]
    unsafe fn give(&mut self, class: Class, block: NonNull<u8>) {
        // SAFETY: the caller's.
        unsafe { self.pairs[class.0].current.push(block) };
        self.bytes += class.size();
        if self.pairs[class.0].current.len >= class.magazine() {
            self.turn_over(class);
        }
        if self.bytes > THREAD_BYTES {
            self.clear();
        }
    }

    #[cold]
    fn turn_over(&mut self, class: Class) {
        let pair = &mut self.pairs[class.0];
        std::mem::swap(&mut pair.current, &mut pair.other);
        let full = std::mem::replace(&mut pair.current, Chain::EMPTY);
        self.bytes -= full.len * class.size();
        to_depot(class, full);
    }

    #[cold]
    fn clear(&mut self) {
        self.bytes = 0;
        for (class, pair) in self.pairs.iter_mut().enumerate() {
            for chain in [&mut pair.current, &mut pair.other] {
                to_depot(Class(class), std::mem::replace(chain, Chain::EMPTY));
            }
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The small allocation that a thread has freed last: a sender makes a message of the same size next, and what that costs is
/// a sixth of all that a small message costs it.
///
/// It has no destructor, so that to find it takes one look and not two; [`LastGuard`] has it.
#[derive(Clone, Copy)]
enum Last {
    /// None so far.
    Unguarded,
    Nothing,
    Block(NonNull<u8>, usize),
    /// The thread is ending.
    Over,
}

thread_local! {
    static LAST: Cell<Last> = const { Cell::new(Last::Unguarded) };
    static LAST_GUARD: LastGuard = const { LastGuard };
}

struct LastGuard;

impl Drop for LastGuard {
    fn drop(&mut self) {
        if let Last::Block(block, size) = LAST.replace(Last::Over) {
            // SAFETY: what is kept was given up by whoever used it, and is kept no more.
            unsafe { to_allocator(block, size) };
        }
    }
}

#[inline]
fn take_last(size: usize) -> Option<NonNull<u8>> {
    LAST.with(|last| match last.get() {
        Last::Block(block, kept) if kept == size => {
            last.set(Last::Nothing);
            Some(block)
        }
        _ => None,
    })
}

/// # Safety
///
/// As for [`give`].
#[inline]
unsafe fn give_last(block: NonNull<u8>, size: usize) {
    LAST.with(|last| {
        if let Last::Nothing = last.get() {
            last.set(Last::Block(block, size));
        } else {
            // SAFETY: the caller's.
            unsafe { replace_last(last, block, size) }
        }
    });
}

/// # Safety
///
/// As for [`give`].
#[inline(never)]
unsafe fn replace_last(last: &Cell<Last>, block: NonNull<u8>, size: usize) {
    let superfluous = match last.get() {
        Last::Nothing => None,
        Last::Unguarded if LAST_GUARD.try_with(|_| ()).is_ok() => None,
        Last::Block(block, size) => Some((block, size)),
        Last::Unguarded | Last::Over => {
            // SAFETY: the caller's.
            return unsafe { to_allocator(block, size) };
        }
    };
    last.set(Last::Block(block, size));
    if let Some((block, size)) = superfluous {
        // SAFETY: it was given up before, and is kept no more.
        unsafe { to_allocator(block, size) };
    }
}

/// # Safety
///
/// As for [`give`].
unsafe fn to_allocator(block: NonNull<u8>, size: usize) {
    // SAFETY: the caller's.
    unsafe { dealloc(block.as_ptr(), Layout::from_size_align_unchecked(size, ALIGN)) }
}

/// Memory for a layout of that size, if some is at hand.
#[inline]
pub(crate) fn take(size: usize) -> Option<NonNull<u8>> {
    if size < FROM {
        return if KEEPS { take_last(size) } else { None };
    }
    let class = Class::of(size)?;
    if class.is_large() {
        return from_depot(class)?.pop();
    }
    // A thread that is ending has none.
    KEPT.try_with(|kept| kept.borrow_mut().take(class)).ok().flatten()
}

/// Gives up memory.
///
/// # Safety
///
/// `block` was allocated by the global allocator with a size that is [rounded] and an alignment of [`ALIGN`], and nobody
/// uses it any more.
#[inline]
pub(crate) unsafe fn give(block: NonNull<u8>, size: usize) {
    if KEEPS && size < FROM {
        // SAFETY: the caller's.
        return unsafe { give_last(block, size) };
    }
    let Some(class) = Class::of(size) else {
        // SAFETY: the caller's.
        return unsafe { to_allocator(block, size) };
    };
    if class.is_large() {
        let mut chain = Chain::EMPTY;
        // SAFETY: the caller's.
        unsafe { chain.push(block) };
        return to_depot(class, chain);
    }
    // SAFETY: the caller's.
    if KEPT.try_with(|kept| unsafe { kept.borrow_mut().give(class, block) }).is_err() {
        // SAFETY: the caller's.
        unsafe { dealloc(block.as_ptr(), class.layout()) }
    }
}

#[cfg(all(test, not(any(miri, fuzzing, no_magazines))))]
mod tests;
