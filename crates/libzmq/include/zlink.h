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

/* What the engine did for a socket since it was made, or for one of its peers. All counts only grow. Later versions may add fields at the
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
    uint64_t dropped;            /* messages dropped: the peer's high-water mark was reached, there is no such peer, or they
                                  * are none of the socket type's */
    uint64_t protocol_errors;    /* connections closed because the peer broke the protocol */
    uint64_t oversized_messages; /* connections closed because of a message longer than ZMQ_MAXMSGSIZE */
    uint64_t heartbeat_timeouts; /* connections closed because the peer was silent for too long */
    uint64_t reconnects;         /* connections that were lost and are being made again */
    uint64_t naps;               /* times a receiver of a stream over inproc found messages that it had let gather */
    uint64_t paced_sends;        /* sends that waited for the connection a moment, before the high-water mark was reached */
    uint64_t messages_written;   /* messages that were wholly given to the kernel */
    uint64_t bytes_written;      /* bytes given to the kernel: frames with their headers, commands too */
    uint64_t messages_read;      /* messages read from the kernel, subscriptions among them */
    uint64_t bytes_read;         /* bytes read from the kernel */
    uint64_t copied_bytes;       /* bytes of messages copied because the kernel did not take them in full */
    uint64_t size_flushes;       /* batches that had ZMQ_ASIO_WRITE_BATCH_MAX_BYTES when they were written */
    uint64_t count_flushes;      /* batches that had ZMQ_ASIO_WRITE_BATCH_MAX_MESSAGES, and fewer bytes than those */
} zlink_socket_stats_t;

/* Fills in `stats`, of which the caller gives the size: sizeof (zlink_socket_stats_t). Fields that the library does
 * not know are 0. Returns 0, or -1 and errno: ENOTSOCK, EFAULT for NULL, EINVAL for a size that is no number of
 * fields. May be called from any thread. */
#if defined _WIN32
__declspec(dllimport)
#endif
int zlink_socket_stats (void *socket, zlink_socket_stats_t *stats, size_t size);

/* A peer of a socket. Endpoints end in a zero byte; they are cut if they are longer. Later versions may add counters at
 * the end, and nothing else. */
typedef struct zlink_peer_stats_t
{
    char local[256];      /* this end of the connection; empty while there is none */
    char remote[256];     /* the other end; of a connect, the endpoint that was given; empty over inproc */
    uint64_t queued_out;  /* messages that wait to be written; over inproc, to be received there, with some that have been */
    uint64_t queued_in;   /* messages that wait to be received */
    /* Since the endpoint was connected, over all connections there were, or the connection accepted. Over inproc only
     * `dropped` is counted; `naps` are the socket's alone. */
    zlink_socket_stats_t counters;
} zlink_peer_stats_t;

/* Fills in `peers`, of which the caller gives the size of one, sizeof (zlink_peer_stats_t), and in `count` how many there
 * is room for. Afterwards `count` is how many peers the socket has now, in no particular order. `peers` may be NULL if
 * `count` is 0. Returns 0, or -1 and errno: ENOTSOCK, ETERM, EFAULT for NULL, EINVAL for a size that is none. May be called
 * from any thread. */
#if defined _WIN32
__declspec(dllimport)
#endif
int zlink_peer_stats (void *socket, zlink_peer_stats_t *peers, size_t size, size_t *count);

/* An event for monitors of version 2: zmq_socket_monitor_pipes_stats raises one for each peer. Its values are those of
 * zlink_peer_stats_t from `queued_out` on, as many as the library knows; then come the two endpoints. */
#define ZLINK_EVENT_PEER_STATS 0x40000

#ifdef __cplusplus
}
#endif

#endif
