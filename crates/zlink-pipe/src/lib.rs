//! Message storage and the wire-format pipe.
//!
//! A [`Queue`] carries whole multipart messages between two threads as chunks of ZMTP/2 frames: the same
//! bytes that go to, or came from, the network. Small bodies are copied into the open chunk, large ones
//! travel by reference. There is no per-message object: a reader walks the chunks with a [`Cursor`].
//!
//! Ownership: one *producer* at a time pushes and one *consumer* at a time takes; both sides may change
//! threads. Nothing here blocks, waits or does I/O: a caller that must wake somebody learns so from a
//! return value.

#![deny(missing_docs)]

pub mod asymmetric;
mod biased_mutex;
mod buf;
mod cursor;
mod entry;
mod magazines;
mod message;
mod queue;
mod shared;
mod short_mutex;
mod staging;
mod sync;

pub use biased_mutex::{BiasedGuard, BiasedMutex};
pub use buf::{Buf, BufMut};
pub use cursor::Cursor;
pub use entry::{Chunk, Entry, Frames, Position};
pub use message::{GroupError, MAX_GROUP_LEN, Message, Properties, group_name};
pub use queue::{Credit, Holder, Limit, Pushed, Queue, QueueConfig, Release, Taken, Watch, Writer};
pub use shared::{SharedFrame, SharedFrames};
pub use short_mutex::{ShortGuard, ShortMutex};
pub use staging::{Body, Staging};

/// Bodies of at least this many bytes travel by reference instead of being copied into a chunk.
///
/// Below it a copy into an open chunk costs less than the two buffer descriptors and the reference count
/// that a body of its own needs.
pub const BY_REFERENCE: usize = 16 * 1024;

/// The same for a message on its way to a socket of the process: there is no kernel that would have to be told of each
/// body, and the receiver need not copy it out.
pub const LOCAL_BY_REFERENCE: usize = 256;

/// Capacity of a chunk once a pipe carries a stream, in bytes.
pub const CHUNK_SIZE: usize = 64 * 1024;
