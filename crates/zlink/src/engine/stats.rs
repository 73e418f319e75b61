//! Counters: what the engine did for a socket, cheap enough to be always on.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $field:ident by $method:ident,)+) => {
        /// What the engine did for a socket since it was made. All counts only grow.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct SocketStats {
            $($(#[doc = $doc])+ pub $field: u64,)+
        }

        /// The counters behind [`SocketStats`], shared by the threads that work for a socket.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $($field: AtomicU64,)+
        }

        impl Counters {
            $(
                #[inline]
                pub(crate) fn $method(&self) {
                    // Relaxed: each counter stands alone. A plain add would lose counts where a socket's
                    // threads meet; next to the system call that is being counted, this costs nothing.
                    self.$field.fetch_add(1, Ordering::Relaxed);
                }
            )+

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
    gathered_writes by gathered,
    /// Batches written by an I/O thread.
    io_thread_writes by io_write,
    /// Batches written because they had waited for `ZMQ_ASIO_BATCH_TIMEOUT`.
    timeout_flushes by batch_timeout,
    /// Writes that the kernel did not take in full, continued by an I/O thread.
    would_block by would_block,
    /// Reads by the receiving thread.
    direct_reads by direct_read,
    /// Reads by an I/O thread.
    io_thread_reads by io_read,
    /// Times a sleeping receiver or I/O thread was woken for messages.
    wakeups by wakeup,
    /// Messages dropped because a peer's high-water mark was reached.
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
}
