/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What zlink has beyond libzmq's interface. Programs that use it run with zlink's libzmq.so.5 alone.
 * The options of zlink's own, from number 10000 up, are in zmq.h.
 */

#ifndef ZLINK_H_INCLUDED
#define ZLINK_H_INCLUDED

#include <stddef.h>
#include <stdint.h>

#include "zmq.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the engine did for a socket since it was made. All counts only grow. Later versions may add fields at the
 * end, and never change one. */
typedef struct zlink_socket_stats_t
{
    uint64_t immediate_writes;   /* messages written by the sending thread at once */
    uint64_t gathered_writes;    /* batches of gathered messages written by the sending thread */
    uint64_t io_thread_writes;   /* batches written by an I/O thread */
    uint64_t timeout_flushes;    /* batches written because they had waited for ZMQ_ASIO_BATCH_TIMEOUT */
    uint64_t would_block;        /* writes that the kernel did not take in full, continued by an I/O thread */
    uint64_t direct_reads;       /* reads by the receiving thread */
    uint64_t io_thread_reads;    /* reads by an I/O thread */
    uint64_t wakeups;            /* times a sleeping receiver or I/O thread was woken for messages */
    uint64_t dropped;            /* messages dropped because a peer's high-water mark was reached */
    uint64_t protocol_errors;    /* connections closed because the peer broke the protocol */
    uint64_t oversized_messages; /* connections closed because of a message longer than ZMQ_MAXMSGSIZE */
    uint64_t heartbeat_timeouts; /* connections closed because the peer was silent for too long */
    uint64_t reconnects;         /* connections that were lost and are being made again */
    uint64_t naps;               /* times a receiver of a stream over inproc found messages that it had let gather */
    uint64_t paced_sends;        /* sends that waited for the connection a moment, before the high-water mark was reached */
} zlink_socket_stats_t;

/* Fills in `stats`, of which the caller gives the size: sizeof (zlink_socket_stats_t). Fields that the library does
 * not know are 0. Returns 0, or -1 and errno: ENOTSOCK, EFAULT for NULL, EINVAL for a size that is no number of
 * fields. May be called from any thread. */
#if defined _WIN32
__declspec(dllimport)
#endif
int zlink_socket_stats (void *socket, zlink_socket_stats_t *stats, size_t size);

#ifdef __cplusplus
}
#endif

#endif
