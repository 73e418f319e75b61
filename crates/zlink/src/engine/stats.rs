//! Counters: what the engine did for a socket, and for each of its peers, cheap enough to be always on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use zlink_pipe::{Holder, Limit};

use crate::sync::lock;

/// Peers that are counted for before it is seen which of them are gone.
const FIRST_SWEEP: usize = 16;

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $field:ident $(by $method:ident)?,)+) => {
        /// What the engine did for a socket since it was made, or for one of its peers. All counts only grow.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct SocketStats {
            $($(#[doc = $doc])+ pub $field: u64,)+
        }

        impl SocketStats {
            fn add(&mut self, other: &SocketStats) {
                $(self.$field += other.$field;)+
            }
        }

        /// The counters behind a [`SocketStats`]. Each has one owner at a time, who adds to it: the holder of the
        /// connection's write half or of its read half, the I/O thread, or the holder of the socket's lock.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $($field: AtomicU64,)+
        }

        impl Counters {
            $($(
                #[inline]
                pub(crate) fn $method(&self) {
                    add(&self.$field, 1);
                }
            )?)+

            pub(crate) fn read(&self) -> SocketStats {
                SocketStats { $($field: self.$field.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// Messages written by the sending thread at once.
    immediate_writes by immediate,
    /// Batches of gathered messages written by the sending thread.
    gathered_writes,
    /// Batches written by an I/O thread.
    io_thread_writes by io_write,
    /// Batches written because they had waited for `ZMQ_ASIO_BATCH_TIMEOUT`.
    timeout_flushes by batch_timeout,
    /// Writes that the kernel did not take in full, continued by an I/O thread.
    would_block by would_block,
    /// Reads by the receiving thread.
    direct_reads,
    /// Reads by an I/O thread.
    io_thread_reads by io_read,
    /// Times a sleeping receiver or I/O thread was woken for messages.
    wakeups by wakeup,
    /// Messages dropped: the peer's high-water mark was reached, there is no such peer, or they are none of the socket
    /// type's.
    dropped by drop_message,
    /// Connections closed because the peer broke the protocol.
    protocol_errors by protocol_error,
    /// Connections closed because of a message longer than `ZMQ_MAXMSGSIZE`.
    oversized_messages by too_large,
    /// Connections closed because the peer was silent for too long.
    heartbeat_timeouts by heartbeat_timeout,
    /// Connections that were lost and are being made again.
    reconnects by reconnect,
    /// Times a receiver of a stream within the process found messages that it had let gather.
    naps by nap,
    /// Sends that waited a moment for the connection to take what had gathered, before the high-water mark was reached.
    paced_sends by pace,
    /// Messages that were wholly given to the kernel. With the writes they tell how many went together.
    messages_written,
    /// Bytes given to the kernel: frames with their headers, commands too.
    bytes_written,
    /// Messages that were read from the kernel, those among them that are for the socket itself, as subscriptions are.
    messages_read,
    /// Bytes read from the kernel.
    bytes_read,
    /// Bytes of messages that were to be written from the sender's memory, and were copied since the kernel did not
    /// take them in full.
    copied_bytes,
    /// Batches that had as many bytes as `ZMQ_ASIO_WRITE_BATCH_MAX_BYTES` when they were written.
    size_flushes,
    /// Batches that had as many messages as `ZMQ_ASIO_WRITE_BATCH_MAX_MESSAGES`, and fewer bytes than those.
    count_flushes,
}

/// Adds to a counter of which the caller is the owner.
#[inline]
fn add(counter: &AtomicU64, n: u64) {
    // Relaxed: each counter stands alone. No exchange, which would cost as much as a lock: one owner gives way to the
    // next under a lock, or is always the same thread.
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

impl Counters {
    /// A batch of gathered messages, and the limit that it had reached when it was taken.
    #[inline]
    pub(super) fn batch(&self, by: Holder, reached: Option<Limit>) {
        add(if by == Holder::Producer { &self.gathered_writes } else { &self.io_thread_writes }, 1);
        match reached {
            Some(Limit::Bytes) => add(&self.size_flushes, 1),
            Some(Limit::Messages) => add(&self.count_flushes, 1),
            None => {}
        }
    }

    /// What a turn at writing has given to the kernel, and the bytes that it has kept in a copy.
    #[inline]
    pub(super) fn written(&self, messages: usize, bytes: usize, copied: usize) {
        add(&self.messages_written, messages as u64);
        add(&self.bytes_written, bytes as u64);
        add(&self.copied_bytes, copied as u64);
    }

    /// Messages that were written, as far as is known to a thread that does not write.
    #[inline]
    pub(super) fn sent(&self) -> u64 {
        self.messages_written.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn read_by(&self, by: Holder, bytes: usize) {
        add(if by == Holder::Producer { &self.direct_reads } else { &self.io_thread_reads }, 1);
        self.bytes_came(bytes);
    }

    #[inline]
    pub(super) fn bytes_came(&self, bytes: usize) {
        add(&self.bytes_read, bytes as u64);
    }

    #[inline]
    pub(super) fn messages_came(&self, messages: usize) {
        add(&self.messages_read, messages as u64);
    }
}

/// The counters of a socket: those of its peers, and what belongs to none.
#[derive(Debug, Default)]
pub(crate) struct SocketCounters {
    /// Under the socket's lock. Among them are the messages that its pattern has dropped, whosever they were.
    pub(crate) own: Counters,
    peers: Mutex<Peers>,
}

#[derive(Debug, Default)]
struct Peers {
    counters: Vec<Arc<Counters>>,
    /// Of peers that are gone.
    past: SocketStats,
    /// With so many it is time to see which are gone.
    sweep_at: usize,
}

impl SocketCounters {
    /// Counters for another peer, whose counts are the socket's too.
    pub(crate) fn for_peer(&self) -> Arc<Counters> {
        let mut peers = lock(&self.peers);
        if peers.counters.len() >= peers.sweep_at {
            peers.sweep();
        }
        let counters = Arc::<Counters>::default();
        peers.counters.push(Arc::clone(&counters));
        counters
    }

    pub(crate) fn read(&self) -> SocketStats {
        let peers = lock(&self.peers);
        let mut stats = peers.past;
        stats.add(&self.own.read());
        peers.counters.iter().for_each(|counters| stats.add(&counters.read()));
        stats
    }
}

impl Peers {
    /// Puts the counters together that nobody else refers to any more.
    fn sweep(&mut self) {
        let Peers { counters, past, sweep_at } = self;
        counters.retain_mut(|counters| match Arc::get_mut(counters) {
            Some(counters) => {
                past.add(&counters.read());
                false
            }
            None => true,
        });
        *sweep_at = FIRST_SWEEP.max(2 * counters.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_peers_that_are_gone_stay_and_their_memory_does_not() {
        let counters = SocketCounters::default();
        let stays = counters.for_peer();
        for gone in 0..1000 {
            stays.written(1, 10, 0);
            counters.for_peer().written(2, 5, 1);
            counters.own.drop_message();
            let stats = counters.read();
            assert_eq!(stats.messages_written, 3 * (gone + 1));
            assert_eq!((stats.bytes_written, stats.copied_bytes), (15 * (gone + 1), gone + 1));
            assert_eq!(stats.dropped, gone + 1);
        }
        assert!(lock(&counters.peers).counters.len() <= FIRST_SWEEP);
        let many: Vec<_> = (0..1000).map(|_| counters.for_peer()).collect();
        drop(many);
        for _ in 0..2000 {
            counters.for_peer();
        }
        assert!(lock(&counters.peers).counters.len() <= FIRST_SWEEP);
        assert_eq!(counters.read().messages_written, 3000);
    }
}
