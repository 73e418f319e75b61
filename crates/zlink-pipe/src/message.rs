//! [`Message`]: the storage of one message part.

use std::ffi::c_void;
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::buf::{Buf, BufMut, Owner};
pub use origin::{GroupError, MAX_GROUP_LEN, Properties, group_name};

mod origin;

/// Bodies up to this many bytes are stored inside the message itself.
const INLINE: usize = 40;

/// Bytes of an allocation that a delivered message may keep alive beyond its own, as a share: a message
/// refers to a received chunk only if it is at least one `SLACK`-th of it, and is copied out otherwise.
const SLACK: usize = 16;
/// Received bodies below this size are always copied out of their chunk.
pub(crate) const SHARE_FROM: usize = 4096;

/// What a message stores its body in. The values are unlikely as the content of memory that was never
/// initialised, which the C interface must tell from a message.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Inline = 0xA1,
    /// Constant bytes that live for ever.
    Static = 0xA2,
    /// Bytes kept alive by a counted [`Owner`].
    Shared = 0xA3,
    /// The same, and the owner is a [`Foreign`]: somebody waits to have them back.
    Lent = 0xA4,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Outside {
    data: *mut u8,
    len: usize,
    owner: Option<NonNull<Owner>>,
}

#[repr(C)]
union Body {
    inline: [u8; INLINE],
    outside: Outside,
}

/// One message part: bytes, and whether another part of the same multipart message follows.
///
/// Up to 40 bytes live in the message itself; longer bodies are reference-counted, so that a clone
/// is cheap at any size, or borrowed from the caller with a function that gives them back.
///
/// Source: `zmq_msg_init`(3) and its relatives.
#[repr(C, align(8))]
pub struct Message {
    body: Body,
    properties: Option<Arc<Properties>>,
    routing_id: u32,
    inline_len: u8,
    more: bool,
    kind: Kind,
}

// The C interface keeps a `Message` inside the 64 bytes of a `zmq_msg_t`.
const _: () = assert!(size_of::<Message>() <= 64 && align_of::<Message>() == 8);

// SAFETY: the body is either inline, constant, or behind an atomic count; foreign owners promise in
// `from_foreign` that their bytes may be used and released from any thread.
unsafe impl Send for Message {}
// SAFETY: a shared `Message` gives out shared slices only.
unsafe impl Sync for Message {}

/// Gives back memory that a caller lent to a message: `release(data, hint)`.
pub type ReleaseFn = unsafe extern "C" fn(data: *mut c_void, hint: *mut c_void);

#[repr(C)]
struct Foreign {
    owner: Owner,
    data: *mut c_void,
    hint: *mut c_void,
    release: ReleaseFn,
}

impl Foreign {
    unsafe fn free(owner: NonNull<Owner>) {
        // SAFETY: runs once, for an owner that heads a `Foreign` leaked by `from_foreign`.
        let foreign = unsafe { Box::from_raw(owner.cast::<Foreign>().as_ptr()) };
        // SAFETY: the creator promised that `release` may be called once, from any thread.
        unsafe { (foreign.release)(foreign.data, foreign.hint) }
    }
}

#[repr(C)]
struct FromVec {
    owner: Owner,
    bytes: Vec<u8>,
}

impl FromVec {
    unsafe fn free(owner: NonNull<Owner>) {
        // SAFETY: runs once, for an owner that heads a `FromVec` leaked by `From<Vec<u8>>`.
        drop(unsafe { Box::from_raw(owner.cast::<FromVec>().as_ptr()) });
    }
}

impl Message {
    const fn with_body(body: Body, kind: Kind, inline_len: u8) -> Self {
        Message { body, properties: None, routing_id: 0, inline_len, more: false, kind }
    }

    const fn outside(data: *mut u8, len: usize, owner: Option<NonNull<Owner>>) -> Self {
        let kind = if owner.is_some() { Kind::Shared } else { Kind::Static };
        Message::with_body(Body { outside: Outside { data, len, owner } }, kind, 0)
    }

    const fn inline_zeros(len: usize) -> Self {
        Message::with_body(Body { inline: [0; INLINE] }, Kind::Inline, len as u8)
    }

    /// An empty message.
    #[inline]
    pub const fn new() -> Self {
        Message::inline_zeros(0)
    }

    /// A message of `len` zero bytes.
    pub fn zeroed(len: usize) -> Self {
        if len <= INLINE {
            return Message::inline_zeros(len);
        }
        let mut buf = BufMut::with_capacity(len);
        buf.spare().iter_mut().for_each(|byte| {
            byte.write(0);
        });
        // SAFETY: all of `spare` was written above, and the capacity is `len`.
        unsafe { buf.advance(len) };
        Message::from(buf)
    }

    /// Makes this message one of `len` bytes whose values are unspecified, to be written by the caller.
    ///
    /// Returns false, and leaves the message as it is, if there is not so much memory.
    ///
    /// The bytes are not initialised memory to Rust; this exists for the C interface, whose callers fill
    /// the body through a pointer. In place, since the C interface knows where the message is to stand: moving
    /// it there would cost more than making it.
    ///
    /// # Safety
    ///
    /// Every byte is written before it is read.
    #[inline(always)]
    #[must_use]
    pub unsafe fn assign_uninitialised(&mut self, len: usize) -> bool {
        if len <= INLINE {
            self.release_body();
            self.kind = Kind::Inline;
            self.body.inline = [0; INLINE];
            self.inline_len = len as u8;
            return true;
        }
        let Some(buf) = BufMut::try_with_capacity(len) else { return false };
        let (owner, data) = buf.freeze().into_parts();
        self.assign_outside(data, len, owner);
        true
    }

    /// A copy of `bytes`.
    #[inline]
    pub fn copy_from(bytes: &[u8]) -> Self {
        if bytes.len() <= INLINE {
            let mut inline = [0; INLINE];
            inline[..bytes.len()].copy_from_slice(bytes);
            return Message::with_body(Body { inline }, Kind::Inline, bytes.len() as u8);
        }
        let mut buf = BufMut::with_capacity(bytes.len());
        buf.extend_from_slice(bytes);
        Message::from(buf)
    }

    /// A message that refers to constant bytes.
    pub const fn from_static(bytes: &'static [u8]) -> Self {
        Message::outside(bytes.as_ptr().cast_mut(), bytes.len(), None)
    }

    /// A message over memory that stays the caller's; `release(data, hint)` is called once, when the last
    /// copy of the message is gone, on whichever thread that is. Without a release function the memory
    /// must outlive every copy.
    ///
    /// # Safety
    ///
    /// `data` is valid for reads of `len` bytes, from any thread, until `release` has been called, and
    /// `release` may be called from any thread. With a release function it is valid for writes too: the
    /// memory is the message's, and [`make_mut`](Self::make_mut) gives it out once no copy is left. (`data`
    /// may be null if `len` is 0.)
    ///
    /// Source: `zmq_msg_init_data`(3).
    pub unsafe fn from_foreign(
        data: *mut c_void,
        len: usize,
        release: Option<ReleaseFn>,
        hint: *mut c_void,
    ) -> Self {
        let owner = release.map(|release| {
            let foreign = Foreign { owner: Owner::new(Foreign::free), data, hint, release };
            NonNull::from(Box::leak(Box::new(foreign))).cast()
        });
        let mut message = Message::outside(data.cast(), len, owner);
        if owner.is_some() {
            message.kind = Kind::Lent;
        }
        message
    }

    /// Whether the body is the caller's memory, of which a release function tells when it is not needed any more.
    #[inline]
    pub fn is_lent(&self) -> bool {
        self.kind == Kind::Lent
    }

    /// Makes this message the part `start..end` of a received buffer: shared if it is a large part of it,
    /// copied otherwise, so that a small message never keeps a large chunk alive.
    ///
    /// In place, since this is what every received message goes through: a message returned by value would
    /// be moved, 64 bytes at a time, through every caller.
    ///
    /// # Panics
    ///
    /// If the range is not within the buffer.
    #[inline]
    pub fn assign_part(&mut self, buf: &Buf, start: usize, end: usize) {
        let bytes = buf.range(start, end);
        if bytes.len() < SHARE_FROM || bytes.len() < buf.capacity() / SLACK {
            self.assign_copy(bytes);
            return;
        }
        let (owner, data) = buf.clone().into_parts();
        // SAFETY: `start` is within the buffer, as the slice above shows.
        let data = unsafe { data.add(start) };
        self.assign_outside(data, bytes.len(), owner);
    }

    /// Makes this message a copy of `bytes`.
    #[inline(always)]
    pub fn assign_copy(&mut self, bytes: &[u8]) {
        if !self.overwrite(bytes) {
            self.copy_anew(bytes);
        }
    }

    /// Makes this message a copy of `bytes` in other memory.
    #[inline(never)]
    fn copy_anew(&mut self, bytes: &[u8]) {
        if bytes.len() > INLINE {
            let mut buf = BufMut::with_capacity(bytes.len());
            buf.extend_from_slice(bytes);
            let (owner, data) = buf.freeze().into_parts();
            self.assign_outside(data, bytes.len(), owner);
            return;
        }
        self.release_body();
        self.kind = Kind::Inline;
        self.inline_len = bytes.len() as u8;
        // SAFETY: the inline array holds at least `bytes.len()` bytes, and nobody else has a reference into
        // this message.
        unsafe {
            let inline = std::ptr::addr_of_mut!(self.body.inline).cast::<u8>();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), inline, bytes.len());
        }
    }

    /// Copies `bytes` to where the body is, if that memory is this message's alone, has the room, and is not much: a
    /// program that receives into the same message again and again needs no other.
    #[inline(always)]
    fn overwrite(&mut self, bytes: &[u8]) -> bool {
        if self.kind != Kind::Shared {
            return false;
        }
        // SAFETY: `Shared` stores its body outside.
        let outside = unsafe { &mut self.body.outside };
        let Some(owner) = outside.owner else { return false };
        let Some(data) = Owner::reuse(owner, bytes.len(), SHARE_FROM) else { return false };
        // SAFETY: `data` has room for them, and nobody else refers to it: so `bytes` does not either.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), data, bytes.len()) };
        (outside.data, outside.len) = (data, bytes.len());
        true
    }

    #[inline]
    fn assign_outside(&mut self, data: *mut u8, len: usize, owner: NonNull<Owner>) {
        self.release_body();
        self.kind = Kind::Shared;
        self.body.outside = Outside { data, len, owner: Some(owner) };
    }

    /// Makes this message empty, as a new one.
    #[inline]
    pub fn reset(&mut self) {
        self.release_body();
        self.kind = Kind::Inline;
        (self.inline_len, self.more, self.routing_id) = (0, false, 0);
        if self.properties.is_some() {
            self.properties = None;
        }
    }

    /// Gives up the body's storage. The caller stores another body at once.
    #[inline]
    fn release_body(&mut self) {
        if matches!(self.kind, Kind::Shared | Kind::Lent) {
            // SAFETY: these have an outside body, and this message holds one reference to its owner.
            unsafe {
                if let Some(owner) = self.body.outside.owner {
                    Owner::release(owner);
                }
            }
        }
    }

    /// The number of bytes.
    #[inline]
    pub fn len(&self) -> usize {
        match self.kind {
            Kind::Inline => usize::from(self.inline_len),
            // SAFETY: every kind but `Inline` stores its body outside.
            Kind::Static | Kind::Shared | Kind::Lent => unsafe { self.body.outside.len },
        }
    }

    /// Whether the body has no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The body.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self.kind {
            // SAFETY: `Inline` stores its body in the `inline` array, all of it initialised.
            Kind::Inline => unsafe { &self.body.inline[..usize::from(self.inline_len)] },
            Kind::Static | Kind::Shared | Kind::Lent => {
                // SAFETY: every other kind stores its body outside.
                let outside = unsafe { self.body.outside };
                if outside.len == 0 {
                    return &[];
                }
                // SAFETY: the owner keeps `len` bytes at `data` alive, or they live for ever.
                unsafe { std::slice::from_raw_parts(outside.data, outside.len) }
            }
        }
    }

    /// A pointer to the body, which C callers write through. Clones of a large message share the body.
    pub fn data_ptr(&mut self) -> *mut u8 {
        match self.kind {
            // SAFETY: `Inline` stores its body in the `inline` array.
            Kind::Inline => unsafe { self.body.inline.as_mut_ptr() },
            // SAFETY: every other kind stores its body outside.
            Kind::Static | Kind::Shared | Kind::Lent => unsafe { self.body.outside.data },
        }
    }

    /// The body, writable; a body that is shared or constant is copied first.
    pub fn make_mut(&mut self) -> &mut [u8] {
        if self.is_empty() {
            // A lent body of no bytes may be null.
            return &mut [];
        }
        let owned = match self.kind {
            Kind::Inline => true,
            Kind::Static => false,
            // SAFETY: these have an outside body with a live owner.
            Kind::Shared | Kind::Lent => unsafe {
                self.body.outside.owner.is_some_and(|o| o.as_ref().is_unique())
            },
        };
        if !owned {
            let mut copy = BufMut::with_capacity(self.len());
            copy.extend_from_slice(self);
            self.set_body(Message::from(copy));
        }
        let len = self.len();
        // SAFETY: the body is inline or in memory that no other message refers to.
        unsafe { std::slice::from_raw_parts_mut(self.data_ptr(), len) }
    }

    /// Replaces the body, keeping the other fields.
    fn set_body(&mut self, mut from: Message) {
        std::mem::swap(&mut self.body, &mut from.body);
        std::mem::swap(&mut self.kind, &mut from.kind);
        std::mem::swap(&mut self.inline_len, &mut from.inline_len);
    }

    /// Whether another part of the same message follows. Set on received parts.
    #[inline]
    pub fn more(&self) -> bool {
        self.more
    }

    /// Marks whether another part follows.
    #[inline]
    pub fn set_more(&mut self, more: bool) {
        self.more = more;
    }

    /// Whether the body is not this message's alone: other messages refer to it, or it is constant.
    ///
    /// Source: `ZMQ_SHARED` of `zmq_msg_get`(3).
    pub fn is_shared(&self) -> bool {
        match self.kind {
            Kind::Inline => false,
            Kind::Static => true,
            // SAFETY: these have an outside body with a live owner.
            Kind::Shared | Kind::Lent => unsafe {
                self.body.outside.owner.is_some_and(|o| !o.as_ref().is_unique())
            },
        }
    }

    /// Whether the memory at `this` holds a message, as far as its kind tells.
    ///
    /// # Safety
    ///
    /// `this` is valid for reads of a `Message`'s size. It need not be initialised as one.
    #[inline]
    pub unsafe fn is_valid_at(this: *const Message) -> bool {
        // SAFETY: reads one byte of readable memory, through a type for which any value is valid.
        let kind = unsafe { std::ptr::addr_of!((*this).kind).cast::<u8>().read() };
        (Kind::Inline as u8..=Kind::Lent as u8).contains(&kind)
    }

    /// Drops the message at `this` and marks the memory as holding none.
    ///
    /// # Safety
    ///
    /// `this` points to a live message that is not used afterwards.
    pub unsafe fn close_at(this: *mut Message) {
        // SAFETY: the caller passes a live message and gives it up; `kind` is then plain memory.
        unsafe {
            std::ptr::drop_in_place(this);
            std::ptr::addr_of_mut!((*this).kind).cast::<u8>().write(0);
        }
    }
}

impl Drop for Message {
    #[inline]
    fn drop(&mut self) {
        self.release_body();
    }
}

impl Clone for Message {
    fn clone(&self) -> Self {
        if matches!(self.kind, Kind::Shared | Kind::Lent) {
            // SAFETY: these have an outside body with a live owner.
            unsafe {
                if let Some(owner) = self.body.outside.owner {
                    owner.as_ref().acquire();
                }
            }
        }
        Message {
            // SAFETY: a union of plain bytes and pointers; the reference it may hold was counted above.
            body: unsafe { std::ptr::read(&self.body) },
            properties: self.properties.clone(),
            ..*self
        }
    }
}

impl Default for Message {
    fn default() -> Self {
        Message::new()
    }
}

impl Deref for Message {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl From<BufMut> for Message {
    fn from(buf: BufMut) -> Self {
        let len = buf.len();
        let (owner, data) = buf.freeze().into_parts();
        Message::outside(data, len, Some(owner))
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.len() <= INLINE {
            return Message::copy_from(&bytes);
        }
        let mut boxed = Box::new(FromVec { owner: Owner::new(FromVec::free), bytes });
        let (data, len) = (boxed.bytes.as_mut_ptr(), boxed.bytes.len());
        let owner = NonNull::from(Box::leak(boxed)).cast();
        Message::outside(data, len, Some(owner))
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Message::from(text.into_bytes())
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Message::copy_from(bytes)
    }
}

impl<const N: usize> From<&[u8; N]> for Message {
    fn from(bytes: &[u8; N]) -> Self {
        Message::copy_from(bytes)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Message::copy_from(text.as_bytes())
    }
}

impl From<&Message> for Message {
    fn from(message: &Message) -> Self {
        message.clone()
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Message {}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 32;
        let shown = &self.as_slice()[..self.len().min(SHOWN)];
        write!(f, "Message({} bytes, \"{}\"", self.len(), shown.escape_ascii())?;
        let tail = if self.len() > SHOWN { "…" } else { "" };
        write!(f, "{tail}{})", if self.more { ", more" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_size_round_trips_through_every_constructor() {
        for len in [0, 1, 39, 40, 41, 64, 4096, 70_000] {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
            assert_eq!(Message::copy_from(&bytes).as_slice(), bytes);
            assert_eq!(Message::from(bytes.clone()).as_slice(), bytes);
            assert_eq!(Message::zeroed(len).as_slice(), vec![0; len]);
            assert_eq!(Message::copy_from(&bytes).clone().as_slice(), bytes);
        }
    }

    #[test]
    fn a_lent_body_is_released_once_after_the_last_clone() {
        static RELEASED: AtomicUsize = AtomicUsize::new(0);
        unsafe extern "C" fn release(data: *mut c_void, hint: *mut c_void) {
            // SAFETY: the test passes a leaked box of this type.
            drop(unsafe { Box::from_raw(data.cast::<[u8; 100]>()) });
            RELEASED.fetch_add(hint.addr(), Ordering::Relaxed);
        }
        let data = Box::into_raw(Box::new([7u8; 100]));
        // SAFETY: `data` lives until `release` drops it.
        let first = unsafe {
            Message::from_foreign(data.cast(), 100, Some(release), std::ptr::without_provenance_mut(1))
        };
        let second = first.clone();
        drop(first);
        assert_eq!((second.as_slice(), RELEASED.load(Ordering::Relaxed)), (&[7u8; 100][..], 0));
        drop(second);
        assert_eq!(RELEASED.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_lent_body_of_no_bytes_may_be_null() {
        unsafe extern "C" fn release(_: *mut c_void, _: *mut c_void) {}
        let null = std::ptr::null_mut();
        // SAFETY: no bytes are lent.
        let mut empty = unsafe { Message::from_foreign(null, 0, Some(release), null) };
        assert_eq!((empty.as_slice(), empty.clone().make_mut()), (&[][..], &mut [][..]));
        assert!(empty.make_mut().is_empty());
    }

    #[test]
    fn writing_to_a_shared_body_leaves_the_clone_alone() {
        let mut first = Message::copy_from(&[1; 100]);
        let second = first.clone();
        first.make_mut().fill(2);
        assert_eq!((first.as_slice(), second.as_slice()), (&[2; 100][..], &[1; 100][..]));
        let mut fixed = Message::from_static(b"constant");
        fixed.make_mut()[0] = b'K';
        assert_eq!(fixed.as_slice(), b"Konstant");
    }

    #[test]
    fn a_message_that_is_received_into_keeps_its_memory_if_that_is_its_own_and_fits() {
        let copy = |message: &mut Message, byte: u8, len: usize| {
            let before = message.as_slice().as_ptr();
            message.assign_copy(&vec![byte; len]);
            assert_eq!(**message, vec![byte; len][..]);
            message.as_slice().as_ptr() == before
        };
        let mut message = Message::new();
        copy(&mut message, 1, 100);
        assert!(copy(&mut message, 2, 100) && copy(&mut message, 3, 60));
        assert!(!copy(&mut message, 4, 101), "too small");
        let clone = message.clone();
        assert!(!copy(&mut message, 5, 101), "somebody else reads it");
        assert_eq!(*clone, [4; 101][..]);
        // Inline bodies have no such memory, and a small one does not keep a large one's.
        copy(&mut message, 6, INLINE);
        copy(&mut message, 7, SHARE_FROM + 1);
        assert!(!copy(&mut message, 8, 100));
    }

    #[test]
    fn a_small_part_of_a_large_chunk_does_not_keep_it_alive() {
        let mut buf = BufMut::with_capacity(64 * 1024);
        buf.extend_from_slice(&[9; 64 * 1024]);
        let buf = buf.freeze();
        let (mut small, mut large) = (Message::new(), Message::from("replaced"));
        small.assign_part(&buf, 10, 1000);
        large.assign_part(&buf, 10, 50_000);
        assert_eq!((small.len(), large.len()), (990, 49_990));
        assert!(large.is_shared() && !small.is_shared());
        assert!(buf.into_mut().is_err());
        assert_eq!(large.as_slice(), &[9; 49_990][..]);
    }
}
