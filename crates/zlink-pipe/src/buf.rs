//! Reference-counted byte buffers: [`BufMut`] while one owner fills it, [`Buf`] once it is shared.

use std::alloc::{Layout, alloc, handle_alloc_error, realloc};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::entry::{MAX_HEADER, SHORT, encode_header};
use crate::magazines;

/// The head of every shared allocation: a count, and how to free the whole when it reaches zero.
///
/// A `Message` holds a pointer to one without knowing what stands behind it.
#[repr(C)]
pub(crate) struct Owner {
    refs: AtomicUsize,
    free: unsafe fn(NonNull<Owner>),
    /// Bytes of room in the [`Block`] that this heads; 0 if it heads something else.
    room: usize,
}

impl Owner {
    pub(crate) const fn new(free: unsafe fn(NonNull<Owner>)) -> Self {
        Owner { refs: AtomicUsize::new(1), free, room: 0 }
    }

    /// Adds a reference.
    pub(crate) fn acquire(&self) {
        // Relaxed: a new reference is made from an existing one, which keeps the allocation alive.
        let before = self.refs.fetch_add(1, Ordering::Relaxed);
        // Like `Arc`: a count that wrapped would free memory in use. Half the range cannot be reached by
        // live references, each of which takes more than a byte.
        if before > usize::MAX / 2 {
            std::process::abort();
        }
    }

    #[inline]
    pub(crate) fn is_unique(&self) -> bool {
        // Acquire: pairs with the Release in `release`, so that the last other user's reads are over.
        self.refs.load(Ordering::Acquire) == 1
    }

    /// Where a body of `len` bytes can be written that takes the place of the one in this memory: nobody else refers to
    /// it, and it has the room, but for no more than `most`.
    #[inline]
    pub(crate) fn reuse(this: NonNull<Owner>, len: usize, most: usize) -> Option<*mut u8> {
        // SAFETY: the caller has a reference.
        let owner = unsafe { this.as_ref() };
        ((len..=most).contains(&owner.room) && owner.is_unique()).then(|| Block::data(this.cast()))
    }

    /// Drops a reference and frees the allocation with the last one.
    ///
    /// # Safety
    ///
    /// `this` is live and the caller gives up one reference that it holds.
    #[inline]
    pub(crate) unsafe fn release(this: NonNull<Owner>) {
        // SAFETY: the caller's reference keeps the allocation alive up to the decrement.
        let owner = unsafe { this.as_ref() };
        // The only reference is the caller's, and references are made from references: a load tells what the decrement
        // would, for a tenth of its time. Nearly every message is such.
        if !owner.is_unique() {
            // Release: publishes this user's accesses; pairs with the Acquire load of whoever frees.
            if owner.refs.fetch_sub(1, Ordering::Release) != 1 {
                return;
            }
            // Acquire: takes in what every other user released. A load rather than a fence, which
            // ThreadSanitizer does not know.
            owner.refs.load(Ordering::Acquire);
        }
        let free = owner.free;
        // SAFETY: this was the last reference, and `free` was installed for this very allocation; nothing but a block has
        // room.
        unsafe { if owner.room > 0 { Block::free(this) } else { free(this) } }
    }
}

/// One allocation: head, then `capacity` bytes of which the first `len` are initialised.
#[repr(C)]
struct Block {
    owner: Owner,
    len: usize,
}

/// Of a longer message the processor is told of the header only: it is not copied, or finds itself how it goes on.
const MOST_PREFETCHED: usize = 2048;

const HEAD: usize = size_of::<Block>();
const _: () = assert!(align_of::<Block>() == magazines::ALIGN);

impl Block {
    fn layout(capacity: usize) -> Layout {
        Block::try_layout(capacity).expect("a buffer larger than the address space")
    }

    #[inline(always)]
    fn try_layout(capacity: usize) -> Option<Layout> {
        let size = magazines::rounded(HEAD.checked_add(capacity)?);
        Layout::from_size_align(size, align_of::<Block>()).ok()
    }

    #[inline]
    unsafe fn free(owner: NonNull<Owner>) {
        let block = owner.cast::<Block>();
        // SAFETY: `free` runs once, for an owner that heads a `Block` made by `BufMut::with_capacity`.
        unsafe {
            // No sum or rounding overflows: the block was allocated.
            magazines::give(block.cast(), magazines::rounded(HEAD + block.as_ref().owner.room));
        }
    }

    fn data(this: NonNull<Block>) -> *mut u8 {
        // SAFETY: the allocation extends `capacity` bytes beyond its head.
        unsafe { this.as_ptr().cast::<u8>().add(HEAD) }
    }
}

/// A growable byte buffer with one owner, to be filled and then frozen into a [`Buf`].
pub struct BufMut {
    block: NonNull<Block>,
}

// SAFETY: `BufMut` is the only owner of its block.
unsafe impl Send for BufMut {}
// SAFETY: a shared `BufMut` gives out shared slices only.
unsafe impl Sync for BufMut {}

impl BufMut {
    /// Allocates room for `capacity` bytes, none of them initialised.
    pub fn with_capacity(capacity: usize) -> Self {
        let layout = Block::layout(capacity);
        BufMut::allocate(capacity, layout).unwrap_or_else(|| handle_alloc_error(layout))
    }

    /// As [`with_capacity`](Self::with_capacity); `None` if there is not so much memory.
    #[inline(always)]
    pub fn try_with_capacity(capacity: usize) -> Option<Self> {
        BufMut::allocate(capacity, Block::try_layout(capacity)?)
    }

    #[inline(always)]
    fn allocate(capacity: usize, layout: Layout) -> Option<Self> {
        let spare = magazines::take(layout.size());
        // SAFETY: the layout is never of size zero, since it holds the head.
        let memory = spare.or_else(|| NonNull::new(unsafe { alloc(layout) }))?;
        let block = memory.cast::<Block>();
        let owner = Owner { room: capacity, ..Owner::new(Block::free) };
        // SAFETY: memory of at least a `Block`'s size and alignment, which nobody else uses.
        unsafe { block.write(Block { owner, len: 0 }) };
        Some(BufMut { block })
    }

    fn head(&self) -> &Block {
        // SAFETY: the block lives as long as `self`.
        unsafe { self.block.as_ref() }
    }

    /// Bytes there is room for in all.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.head().owner.room
    }

    /// Initialised bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.head().len
    }

    /// Whether nothing has been written yet.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that can be added without growing.
    #[inline]
    pub fn room(&self) -> usize {
        self.head().owner.room - self.head().len
    }

    /// The initialised bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the first `len` bytes are initialised.
        unsafe { std::slice::from_raw_parts(Block::data(self.block), self.head().len) }
    }

    /// The initialised bytes, writable.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: the first `len` bytes are initialised and `self` is their only owner.
        unsafe { std::slice::from_raw_parts_mut(Block::data(self.block), self.head().len) }
    }

    /// The room behind the initialised bytes, to be read into.
    pub fn spare(&mut self) -> &mut [MaybeUninit<u8>] {
        let (len, room) = (self.len(), self.room());
        // SAFETY: `room` bytes follow the first `len`, and `self` is their only owner.
        unsafe { std::slice::from_raw_parts_mut(Block::data(self.block).add(len).cast(), room) }
    }

    /// Counts `n` bytes of [`spare`](Self::spare) as initialised.
    ///
    /// # Safety
    ///
    /// The first `n` bytes of `spare` have been written, and `n` is at most `room()`.
    #[inline]
    pub unsafe fn advance(&mut self, n: usize) {
        debug_assert!(n <= self.room());
        // SAFETY: `self` is the only owner of the block.
        unsafe { self.block.as_mut().len += n }
    }

    /// Lets `read` fill the room, and counts what it returns, the initialised front of what it was given, as
    /// filled. Returns how many bytes that was.
    ///
    /// # Errors
    ///
    /// Whatever `read` returns; nothing is counted then.
    ///
    /// # Panics
    ///
    /// If `read` returns other bytes than the front of what it was given.
    pub fn fill<E>(
        &mut self,
        limit: usize,
        read: impl for<'a> FnOnce(&'a mut [MaybeUninit<u8>]) -> Result<&'a mut [u8], E>,
    ) -> Result<usize, E> {
        let room = self.room().min(limit);
        let spare = &mut self.spare()[..room];
        let front = spare.as_ptr().cast::<u8>();
        let filled = read(spare)?;
        let n = filled.len();
        assert!(n == 0 || (std::ptr::eq(filled.as_ptr(), front) && n <= room), "not the front of the room");
        // SAFETY: `filled` are initialised bytes, and the assertion shows that they are the first `n` of
        // `spare`.
        unsafe { self.advance(n) };
        Ok(n)
    }

    /// Forgets the bytes from `len` on. Does nothing if there are fewer.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            // SAFETY: `self` is the only owner of the block.
            unsafe { self.block.as_mut().len = len }
        }
    }

    /// Appends `bytes`, growing if there is no room.
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        if self.room() < bytes.len() {
            self.grow(self.len() + bytes.len());
        }
        // SAFETY: there is room for `bytes`, which cannot overlap memory that `self` alone owns.
        unsafe {
            let end = Block::data(self.block).add(self.len());
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), end, bytes.len());
            self.advance(bytes.len());
        }
    }

    /// Appends a message frame's header and its body; there is room for both.
    #[inline(always)]
    pub(crate) fn extend_with_frame(&mut self, body: &[u8]) {
        let room = self.room();
        // SAFETY: there is room for what is written, as is seen first; `body` cannot overlap memory that `self` alone owns.
        unsafe {
            let end = Block::data(self.block).add(self.len());
            let header = if body.len() <= SHORT {
                assert!(2 + body.len() <= room);
                end.write(0);
                end.add(1).write(body.len() as u8);
                2
            } else {
                assert!(MAX_HEADER + body.len() <= room);
                let mut header = [0; MAX_HEADER];
                encode_header(false, body.len(), &mut header);
                end.copy_from_nonoverlapping(header.as_ptr(), MAX_HEADER);
                MAX_HEADER
            };
            end.add(header).copy_from_nonoverlapping(body.as_ptr(), body.len());
            self.advance(header + body.len());
        }
    }

    /// Makes the capacity at least `capacity`, at least doubling it.
    #[cold]
    pub fn grow(&mut self, capacity: usize) {
        let old = self.capacity();
        let new = capacity.max(old.saturating_mul(2));
        let layout = Block::layout(new);
        // SAFETY: the block was allocated with the layout of its capacity; the new size is not zero.
        let memory = unsafe { realloc(self.block.as_ptr().cast(), Block::layout(old), layout.size()) };
        let Some(block) = NonNull::new(memory.cast::<Block>()) else { handle_alloc_error(layout) };
        self.block = block;
        // SAFETY: `realloc` kept the head, and `self` is the only owner.
        unsafe { self.block.as_mut().owner.room = new }
    }

    /// Ends the filling: from here on the bytes can be shared and no longer change.
    pub fn freeze(self) -> Buf {
        let block = self.block;
        std::mem::forget(self);
        Buf { block }
    }
}

impl Drop for BufMut {
    fn drop(&mut self) {
        // SAFETY: `self` held the only reference.
        unsafe { Owner::release(self.block.cast()) }
    }
}

/// A filled buffer, shared by reference count.
pub struct Buf {
    block: NonNull<Block>,
}

// SAFETY: the bytes of a frozen block do not change while it is shared, and its count is atomic.
unsafe impl Send for Buf {}
// SAFETY: as above.
unsafe impl Sync for Buf {}

impl Buf {
    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the first `len` bytes are initialised and, while shared, never written.
        unsafe { std::slice::from_raw_parts(Block::data(self.block), self.block.as_ref().len) }
    }

    /// The bytes from `start` to `end`. Of a chunk that is still being filled ([`SharedFrames`](crate::SharedFrames)) only
    /// those may be asked for that are there.
    ///
    /// # Panics
    ///
    /// If the range is not within the buffer.
    #[inline]
    pub(crate) fn range(&self, start: usize, end: usize) -> &[u8] {
        // SAFETY: the block lives as long as `self`, and its length does not change while it is shared.
        let len = unsafe { self.block.as_ref().len };
        assert!(start <= end && end <= len, "not within the buffer");
        // SAFETY: the range is within the initialised bytes, and by the condition above nobody writes to it.
        unsafe { std::slice::from_raw_parts(Block::data(self.block).add(start), end - start) }
    }

    /// Tells the processor that some `len` bytes from `at` on are read soon.
    #[inline(always)]
    pub(crate) fn prefetch(&self, at: usize, len: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let bytes = Block::data(self.block).wrapping_add(at).cast::<i8>();
            let len = if len <= MOST_PREFETCHED { len } else { 0 };
            let mut line = 0;
            while line <= len {
                // SAFETY: a hint, which reads nothing: any address will do.
                unsafe { _mm_prefetch(bytes.wrapping_add(line), _MM_HINT_T0) };
                line += 64;
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (at, len);
    }

    /// Overwrites the bytes from `start` on.
    ///
    /// # Safety
    ///
    /// There are so many, and nobody reads them now, or has a slice of the buffer that holds any of them.
    pub(crate) unsafe fn write_at(&self, start: usize, bytes: &[u8]) {
        debug_assert!(start + bytes.len() <= self.capacity());
        // SAFETY: the bytes are within the block, and nobody else uses them: the caller's. The block was allocated for
        // writing, and `self.block` is the pointer that the allocator gave.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), Block::data(self.block).add(start), bytes.len());
        }
    }

    /// Whether nobody else refers to it.
    pub(crate) fn is_unique(&self) -> bool {
        // SAFETY: the block lives as long as `self`.
        unsafe { self.block.cast::<Owner>().as_ref() }.is_unique()
    }

    /// Whether both are the same buffer.
    pub(crate) fn is(&self, other: &Buf) -> bool {
        self.block == other.block
    }

    /// Bytes that the allocation holds in all: what a reference to a part of it keeps alive.
    pub fn capacity(&self) -> usize {
        // SAFETY: the block lives as long as `self`.
        unsafe { self.block.as_ref().owner.room }
    }

    /// Takes the buffer back for writing, emptied, if nobody else refers to it.
    ///
    /// # Errors
    ///
    /// The buffer as it was, if it is shared.
    pub fn into_mut(self) -> Result<BufMut, Buf> {
        // SAFETY: the block lives as long as `self`.
        if !unsafe { self.block.cast::<Owner>().as_ref() }.is_unique() {
            return Err(self);
        }
        let mut buf = BufMut { block: self.block };
        std::mem::forget(self);
        buf.truncate(0);
        Ok(buf)
    }

    /// The count's address and the first byte's, for a `Message` that takes over this reference.
    pub(crate) fn into_parts(self) -> (NonNull<Owner>, *mut u8) {
        let parts = (self.block.cast(), Block::data(self.block));
        std::mem::forget(self);
        parts
    }
}

impl Clone for Buf {
    fn clone(&self) -> Self {
        // SAFETY: the block lives as long as `self`.
        unsafe { self.block.cast::<Owner>().as_ref() }.acquire();
        Buf { block: self.block }
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        // SAFETY: `self` holds one reference and gives it up.
        unsafe { Owner::release(self.block.cast()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_grows_and_keeps_its_bytes() {
        let mut buf = BufMut::with_capacity(2);
        for i in 0..1000u32 {
            buf.extend_from_slice(&i.to_be_bytes());
        }
        let buf = buf.freeze();
        for (i, bytes) in buf.as_slice().chunks(4).enumerate() {
            assert_eq!(bytes, (i as u32).to_be_bytes());
        }
    }

    #[test]
    fn only_the_last_reference_gets_the_buffer_back() {
        let mut buf = BufMut::with_capacity(8);
        buf.extend_from_slice(b"abc");
        let first = buf.freeze();
        let second = first.clone();
        drop(first.into_mut().err().expect("shared with the second"));
        let again = second.into_mut().unwrap_or_else(|_| panic!("shared"));
        assert_eq!((again.len(), again.capacity()), (0, 8));
    }
}
