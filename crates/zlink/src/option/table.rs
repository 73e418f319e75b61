//! The option table.
//!
//! `option_table!(callback)` hands all rows to the macro named, a path too, which makes of them what it needs. `stored`
//! rows have a field in [`SocketOptions`]; `other` rows are aliases and options the socket answers itself.
//!
//! A row reads: `ID = number`, the field with its kind, default and range; the socket types that take it (none
//! named: all); when it applies; `rw`, `wo` (libzmq does not read it back either) or `ro`; the noun phrase
//! and unit; the methods of `Socket`. Comments above a row are its entry in the manual and in rustdoc.

use std::collections::{BTreeMap, BTreeSet};

use zlink_zmtp::SocketType;
use zlink_zmtp::handshake::MAX_CREDENTIAL_LEN;

use super::row::{Applies, FlagRule, Kind, LiveValue, OptionRow, SocketAction, add_id};
use super::security::{Key, Mechanism, Secret};
use crate::transport::Network;

macro_rules! option_table {
    ($($callback:tt)+) => { $($callback)+! {
stored {
    // ---- Queues and timeouts
    /// Counted in whole messages for each peer. At the mark a socket blocks or drops, as its type says.
    /// 0 means no limit.
    {
        SNDHWM = 23; send_hwm: int(0, i32::MAX) = 1000; on []; AtOnce rw;
        "the high-water mark of outgoing messages", "messages"; int(set_send_hwm, send_hwm);
    }
    /// Counted in whole messages for each peer. At the mark the connection is no longer read, so that the
    /// peer's own queue fills. 0 means no limit.
    {
        RCVHWM = 24; receive_hwm: int(0, i32::MAX) = 1000; on []; AtOnce rw;
        "the high-water mark of incoming messages", "messages"; int(set_receive_hwm, receive_hwm);
    }
    /// A send that cannot go on for this long fails with `EAGAIN`. 0 fails at once, −1 waits without end.
    {
        SNDTIMEO = 28; send_timeout: int(-1, i32::MAX) = -1; on []; AtOnce rw;
        "the longest wait of a send", "ms"; timeout(set_send_timeout, send_timeout);
    }
    /// A receive that finds no message for this long fails with `EAGAIN`. 0 fails at once, −1 waits without end.
    {
        RCVTIMEO = 27; receive_timeout: int(-1, i32::MAX) = -1; on []; AtOnce rw;
        "the longest wait of a receive", "ms"; timeout(set_receive_timeout, receive_timeout);
    }
    /// Counted from the close or disconnect, after which messages still queued are dropped. −1 keeps them until
    /// they are sent, and the context's termination waits for that; 0 drops them at once. SUB and XSUB start
    /// with 0, and so does every socket of a context whose `ZMQ_BLOCKY` is 0.
    {
        LINGER = 17; linger: int(-1, i32::MAX) = -1; on []; AtOnce rw;
        "the time a closed socket may still send what is queued", "ms"; timeout(set_linger, linger);
    }
    /// A longer message ends the connection it comes from before any of its body is stored. −1 means no limit. What
    /// counts is the part on the wire: with CURVE that is 33 bytes longer than its body, with GSSAPI as much longer as
    /// Kerberos makes it.
    {
        MAXMSGSIZE = 22; max_message_size: long() = -1; on []; LaterEndpoints rw;
        "the size of the largest message accepted from a peer", "bytes"; long(set_max_message_size, max_message_size);
    }
    /// Keeps only the newest message a peer in each direction, whatever the high-water marks say. Messages of
    /// several parts cannot be kept so. It takes effect on DEALER, PUB, PULL, PUSH and SUB.
    {
        CONFLATE = 54; conflate: flag(Strict) = false; on []; LaterEndpoints rw;
        "whether only the newest message is kept", "boolean"; flag(set_conflate, conflate);
    }
    /// With 1, messages are queued only for connections that have completed: a send blocks while there is none.
    {
        IMMEDIATE = 39; immediate: flag(Strict) = false; on []; LaterEndpoints rw;
        "whether messages wait for completed connections only", "boolean"; flag(set_immediate, immediate);
    }
    /// Bit n stands for I/O thread n of the context. 0 leaves the choice among all of them to the library.
    {
        AFFINITY = 4; affinity: word() = 0; on []; LaterEndpoints rw;
        "the set of I/O threads that serve new connections", "bit mask"; word(set_affinity, affinity);
    }
    // ---- Connections
    /// The name a ROUTER peer knows this socket by, 1 to 255 bytes. Peers give a socket without one a name of
    /// five bytes that begins with a zero, so one's own should not begin so.
    {
        ROUTING_ID = 5; routing_id: bytes(1, 255) = "none"; on []; LaterEndpoints rw;
        "the routing id announced to peers", "binary"; bytes(set_routing_id, routing_id);
    }
    /// The first wait before a lost or refused connection is tried again, a little randomised. −1 never tries again.
    {
        RECONNECT_IVL = 18; reconnect_interval: int(-1, i32::MAX) = 100; on []; LaterEndpoints rw;
        "the time before a reconnect", "ms"; timeout(set_reconnect_interval, reconnect_interval);
    }
    /// The wait doubles from one try to the next until it reaches this. 0, or less than the reconnect interval: it
    /// does not grow.
    {
        RECONNECT_IVL_MAX = 21; reconnect_interval_max: int(0, i32::MAX) = 0; on []; LaterEndpoints rw;
        "the longest time between two reconnects", "ms"; millis(set_reconnect_interval_max, reconnect_interval_max);
    }
    /// A sum of 1: not once it is refused; 2: not after a handshake that failed; 4: not once it is refused after a
    /// disconnect, while what was sent before waits to be delivered. 0: after all of them, at the reconnect interval. The
    /// pipe goes with the connect that is given up, and what waits in it. Other bits have no effect.
    {
        RECONNECT_STOP = 109; reconnect_stop: int(i32::MIN, i32::MAX) = 0; on []; LaterEndpoints rw;
        "when a connect is not tried again", "bits"; int(set_reconnect_stop, reconnect_stop);
    }
    /// Passed to `listen`; the kernel may lower it.
    {
        BACKLOG = 19; backlog: int(0, i32::MAX) = 100; on []; LaterEndpoints rw;
        "the length of the queue of connections not yet accepted", "connections"; int(set_backlog, backlog);
    }
    /// A peer that has not finished greeting and handshake in this time is disconnected. 0 means no limit.
    {
        HANDSHAKE_IVL = 66; handshake_interval: int(0, i32::MAX) = 30000; on []; LaterEndpoints rw;
        "the time a handshake may take", "ms"; millis(set_handshake_interval, handshake_interval);
    }
    /// After this long without a PING sent, one is sent. 0 sends none.
    {
        HEARTBEAT_IVL = 75; heartbeat_interval: int(0, i32::MAX) = 0; on []; LaterEndpoints rw;
        "the time between two PINGs", "ms"; millis(set_heartbeat_interval, heartbeat_interval);
    }
    /// The peer closes the connection if nothing arrives within this time. No PING is sent, and so no TTL, unless
    /// the heartbeat interval is non-zero. On the wire it counts tenths of a second: the value is rounded
    /// down to hundreds and reads back so. 0 announces none. Negative values down to −99 round to 0.
    {
        HEARTBEAT_TTL = 76; heartbeat_ttl: tenths(-99, 6_553_599) = 0; on []; LaterEndpoints rw;
        "the time to live announced in every PING", "ms"; millis(set_heartbeat_ttl, heartbeat_ttl);
    }
    /// A connection on which nothing arrives for this long after a PING is closed. −1, the default, which cannot be
    /// set again: as long as the heartbeat interval. 0: no limit.
    {
        HEARTBEAT_TIMEOUT = 77; heartbeat_timeout: int(0, i32::MAX) = -1; on []; LaterEndpoints rw;
        "the time to wait for an answer to a PING", "ms"; millis_or_unset(set_heartbeat_timeout, heartbeat_timeout);
    }
    /// Each entry is `X-Name:value` and is announced in the handshake; the peer reads it with `zmq_msg_gets`. The name
    /// has at most 255 bytes, the value at least one, and the whole may not be 4 bytes long. The first of two
    /// entries of one name stays.
    {
        METADATA = 95; metadata: metadata() = "none"; on []; LaterEndpoints wo;
        "a property announced to peers", "binary"; bytes_set(add_metadata);
    }
    // ---- Security
    /// With 1, the socket is a server of PLAIN: a ZAP handler decides about each client by username and password, and
    /// without one all are refused. With 0 the mechanism is NULL again.
    {
        PLAIN_SERVER = 44; as_server: plain_server() = false; on []; LaterEndpoints rw;
        "whether the socket is a server of the mechanism PLAIN", "boolean"; flag(set_plain_server, plain_server);
    }
    /// Makes the socket a client of PLAIN. An empty value makes the mechanism NULL again. PLAIN sends it in the clear.
    {
        PLAIN_USERNAME = 45; plain_username: plain() = "none"; on []; LaterEndpoints rw;
        "the username told to a server of PLAIN", "text"; text(set_plain_username, plain_username);
    }
    /// Makes the socket a client of PLAIN. An empty value makes the mechanism NULL again. PLAIN sends it in the clear.
    {
        PLAIN_PASSWORD = 46; plain_password: plain() = "none"; on []; LaterEndpoints rw;
        "the password told to a server of PLAIN", "text"; text_set(set_plain_password);
    }
    /// The key that a server knows this client by. Setting it makes the mechanism CURVE, and so does each of the keys. 32
    /// bytes, or their text in Z85 of 40 characters, with or without a NUL; read as 32 bytes or as text with its NUL,
    /// as the size of the buffer says. All zero until it is set.
    {
        CURVE_PUBLICKEY = 48; curve_public_key: key() = "zero"; on []; LaterEndpoints rw;
        "the socket's own public key", "key"; public_key(set_curve_public_key, curve_public_key);
    }
    /// That of a client, which belongs to its public key, or of a server, which needs no other. Form as that of
    /// `ZMQ_CURVE_PUBLICKEY`.
    {
        CURVE_SECRETKEY = 49; curve_secret_key: key() = "zero"; on []; LaterEndpoints rw;
        "the socket's own secret key", "key"; secret_key(set_curve_secret_key, curve_secret_key);
    }
    /// Makes the socket a client of CURVE, of servers with the secret key that belongs to this one. Form as that of
    /// `ZMQ_CURVE_PUBLICKEY`.
    {
        CURVE_SERVERKEY = 50; curve_server_key: server_key() = "zero"; on []; LaterEndpoints rw;
        "the server's public key", "key"; public_key(set_curve_server_key, curve_server_key);
    }
    /// The principal whose credentials a client uses, or whose key a server uses; by default the client's default
    /// credentials, and any key in the server's keytab. Setting it makes the mechanism GSSAPI. Only in builds with the
    /// feature `gssapi`: refused in others as unknown, and so are all options of GSSAPI.
    {
        GSSAPI_PRINCIPAL = 63; gssapi_principal: principal() = "none"; on []; LaterEndpoints rw;
        "the socket's own principal in the mechanism GSSAPI", "text"; text(set_gssapi_principal, gssapi_principal);
    }
    /// Makes the socket a client of GSSAPI, of the server with this principal. Each connect needs a ticket: unless there
    /// is one, an I/O thread asks the realm's KDC, and does nothing else until it has an answer.
    {
        GSSAPI_SERVICE_PRINCIPAL = 64; gssapi_service_principal: service_principal() = "none"; on []; LaterEndpoints rw;
        "the principal of the server", "text"; text(set_gssapi_service_principal, gssapi_service_principal);
    }
    /// With 1, GSSAPI authenticates, and messages go as they are. The peer has to have the same.
    {
        GSSAPI_PLAINTEXT = 65; gssapi_plaintext: flag(Strict) = false; on []; LaterEndpoints rw;
        "whether GSSAPI leaves messages unencrypted", "boolean"; flag(set_gssapi_plaintext, gssapi_plaintext);
    }
    /// How `ZMQ_GSSAPI_PRINCIPAL` is read: 0 as `service@host`, 1 as the name of a local user, 2 as a Kerberos principal.
    {
        GSSAPI_PRINCIPAL_NAMETYPE = 90; gssapi_principal_nametype: int(0, 2) = 0; on []; LaterEndpoints rw;
        "the form of the socket's own principal", "number"; int(set_gssapi_principal_nametype, gssapi_principal_nametype);
    }
    /// How `ZMQ_GSSAPI_SERVICE_PRINCIPAL` is read, as `ZMQ_GSSAPI_PRINCIPAL_NAMETYPE` has it.
    {
        GSSAPI_SERVICE_PRINCIPAL_NAMETYPE = 91; gssapi_service_principal_nametype: int(0, 2) = 0; on []; LaterEndpoints rw;
        "the form of the server's principal", "number";
        int(set_gssapi_service_principal_nametype, gssapi_service_principal_nametype);
    }
    /// What the handler at `inproc://zeromq.zap.01` is told about the peers of this socket besides their address and
    /// credentials. With NULL a handler is asked only if there is a domain. Peers that speak ZMTP 2.0 or older are then
    /// refused. Cannot be cleared.
    {
        ZAP_DOMAIN = 55; zap_domain: text(1, 255) = "none"; on []; LaterEndpoints rw;
        "the domain for which a ZAP handler decides", "text"; text(set_zap_domain, zap_domain);
    }
    /// With 1, peers are refused if there is a domain and no handler to ask; CURVE does not ask where there is no
    /// domain. With 0, NULL and CURVE let everybody in if there is no handler. PLAIN never does.
    {
        ZAP_ENFORCE_DOMAIN = 93; zap_enforce_domain: flag(Any) = false; on []; LaterEndpoints rw;
        "whether a ZAP domain requires a handler", "boolean"; flag(set_zap_enforce_domain, zap_enforce_domain);
    }
    // ---- IP, TCP and IPC
    /// With 1, host names and wildcards resolve to IPv6 first and a bound IPv6 address takes IPv4 peers too. The
    /// context's `ZMQ_IPV6` sets what a new socket starts with.
    {
        IPV6 = 42; ipv6: flag(Strict) = false; on []; LaterEndpoints rw;
        "whether IPv6 is used besides IPv4", "boolean"; flag(set_ipv6, ipv6);
    }
    /// `SO_SNDBUF` of the underlying socket. −1 leaves the system's default, but for `ipc`, where it is 256 KiB if the system's
    /// is less and it lets us.
    {
        SNDBUF = 11; send_buffer: int(-1, i32::MAX) = -1; on []; LaterEndpoints rw;
        "the size of the kernel's send buffer", "bytes"; int(set_send_buffer, send_buffer);
    }
    /// `SO_RCVBUF` of the underlying socket. −1 leaves the system's default, with room for 256 KiB at least over TCP.
    {
        RCVBUF = 12; receive_buffer: int(-1, i32::MAX) = -1; on []; LaterEndpoints rw;
        "the size of the kernel's receive buffer", "bytes"; int(set_receive_buffer, receive_buffer);
    }
    /// `IP_TOS`, or `IPV6_TCLASS` on an IPv6 connection: DSCP in the upper six bits, ECN in the lower two. 0 leaves
    /// the system's default.
    {
        TOS = 57; tos: int(0, i32::MAX) = 0; on []; LaterEndpoints rw;
        "the type of service of outgoing packets", "number"; int(set_tos, tos);
    }
    /// `SO_PRIORITY`. Above 6 the kernel asks for `CAP_NET_ADMIN`. 0 leaves the system's default.
    {
        PRIORITY = 112; priority: int(0, i32::MAX) = 0; on []; LaterEndpoints rw;
        "the queueing priority of outgoing packets", "number"; int(set_priority, priority);
    }
    /// `SO_BUSY_POLL`: how long the kernel polls the device for a packet instead of sleeping. 0 leaves the system's
    /// default. More than the system's own value asks for `CAP_NET_ADMIN`.
    {
        BUSY_POLL = 113; busy_poll: int(i32::MIN, i32::MAX) = 0; on []; LaterEndpoints rw;
        "the time the kernel busy-polls the device", "µs"; int(set_busy_poll, busy_poll);
    }
    /// `SO_BINDTODEVICE`: an interface or VRF of at most 16 bytes with its NUL. Empty for none.
    {
        BINDTODEVICE = 92; bind_to_device: text(0, 16) = "none"; on []; LaterEndpoints rw;
        "the device that connections are bound to", "name"; text(set_bind_to_device, bind_to_device);
    }
    /// `SO_KEEPALIVE`: 0 off, 1 on, −1 the system's default.
    {
        TCP_KEEPALIVE = 34; tcp_keepalive: int(-1, 1) = -1; on []; LaterEndpoints rw;
        "whether TCP probes idle connections", "−1, 0 or 1"; int(set_tcp_keepalive, tcp_keepalive);
    }
    /// `TCP_KEEPCNT`: the probes that may go unanswered. −1 leaves the system's default.
    {
        TCP_KEEPALIVE_CNT = 35; tcp_keepalive_count: int(-1, i32::MAX) = -1; on []; LaterEndpoints rw;
        "the number of keepalive probes before TCP gives up", "probes"; int(set_tcp_keepalive_count, tcp_keepalive_count);
    }
    /// `TCP_KEEPIDLE`: how long a connection is idle before the first probe. −1 leaves the system's default.
    {
        TCP_KEEPALIVE_IDLE = 36; tcp_keepalive_idle: int(-1, i32::MAX) = -1; on []; LaterEndpoints rw;
        "the idle time before TCP probes", "s"; int(set_tcp_keepalive_idle, tcp_keepalive_idle);
    }
    /// `TCP_KEEPINTVL`: the time from one probe to the next. −1 leaves the system's default.
    {
        TCP_KEEPALIVE_INTVL = 37; tcp_keepalive_interval: int(-1, i32::MAX) = -1; on []; LaterEndpoints rw;
        "the time between two keepalive probes", "s"; int(set_tcp_keepalive_interval, tcp_keepalive_interval);
    }
    /// A connect not answered within this time is given up and tried again. 0 leaves it to the system.
    {
        CONNECT_TIMEOUT = 79; connect_timeout: int(0, i32::MAX) = 0; on []; LaterEndpoints rw;
        "the time a connect may take", "ms"; millis(set_connect_timeout, connect_timeout);
    }
    /// `TCP_USER_TIMEOUT`: how long sent data may stay unacknowledged. 0 leaves the system's default.
    {
        TCP_MAXRT = 80; tcp_max_retransmit: int(0, i32::MAX) = 0; on []; LaterEndpoints rw;
        "the time TCP goes on retransmitting", "ms"; millis(set_tcp_max_retransmit, tcp_max_retransmit);
    }
    /// Host and port of a SOCKS 5 proxy (RFC 1928) by way of which `tcp` and `ws` endpoints are connected to; it looks
    /// up their hosts' names. With a source address as in an endpoint, the connection to it comes from there. One that is
    /// malformed makes the connect fail with `EINVAL`. None if empty.
    {
        SOCKS_PROXY = 68; socks_proxy: text(0, usize::MAX) = "none"; on []; LaterEndpoints rw;
        "the proxy that connects go through", "address"; text(set_socks_proxy, socks_proxy);
    }
    /// With a name, the proxy is asked for authentication by it and the password (RFC 1929), which go to it in clear
    /// text. None if empty.
    {
        SOCKS_USERNAME = 99; socks_username: text(0, 255) = "none"; on []; LaterEndpoints rw;
        "the name to tell the proxy", "text"; text(set_socks_username, socks_username);
    }
    /// See `ZMQ_SOCKS_USERNAME`, without which it is not used.
    {
        SOCKS_PASSWORD = 100; socks_password: text(0, 255) = "none"; on []; LaterEndpoints rw;
        "the password to tell the proxy", "text"; text(set_socks_password, socks_password);
    }
    /// A faster way for TCP within a Windows host. Elsewhere there is none: as with libzmq it can be set and read, and has
    /// nothing to have an effect on.
    {
        LOOPBACK_FASTPATH = 94; loopback_fastpath: flag(Any) = false; on []; LaterEndpoints rw;
        "whether TCP takes Windows' faster way within a host", "boolean"; flag(set_loopback_fastpath, loopback_fastpath);
    }
    /// The next bind listens on this descriptor, which must be bound and listening already, instead of opening its
    /// own: socket activation. −1 for none.
    {
        USE_FD = 89; use_fd: int(-1, i32::MAX) = -1; on []; LaterEndpoints rw;
        "the ready-made descriptor to listen on", "descriptor"; int(set_use_fd, use_fd);
    }
    // ---- Multicast
    /// The routers that a datagram to a multicast group may pass, and one more: 1 stays in the network it is sent in.
    /// More than 255 makes the bind or connect fail with `EINVAL`.
    {
        MULTICAST_HOPS = 25; multicast_hops: int(1, i32::MAX) = 1; on []; LaterEndpoints rw;
        "the reach of multicast datagrams", "hops"; int(set_multicast_hops, multicast_hops);
    }
    /// With 0, what this socket sends to a multicast group reaches no member of the group on this host.
    {
        MULTICAST_LOOP = 96; multicast_loop: flag(Any) = true; on []; LaterEndpoints rw;
        "whether this host receives its own multicast datagrams", "boolean"; flag(set_multicast_loop, multicast_loop);
    }
    /// For the transports `pgm` and `norm`, which are not built in: it can be set and read and, as in a libzmq without
    /// them, has nothing to have an effect on. `udp` sends datagrams of any length that IP allows.
    {
        MULTICAST_MAXTPDU = 84; multicast_max_tpdu: int(1, i32::MAX) = 1500; on []; LaterEndpoints rw;
        "the size of a pgm packet", "bytes"; int(set_multicast_max_tpdu, multicast_max_tpdu);
    }
    /// For the transports `pgm` and `norm`, which are not built in; see `ZMQ_MULTICAST_MAXTPDU`. `udp` sends at once.
    {
        RATE = 8; rate: int(1, i32::MAX) = 100; on []; LaterEndpoints rw;
        "the greatest rate of pgm", "kbit/s"; int(set_rate, rate);
    }
    /// For the transport `pgm`, which is not built in; see `ZMQ_MULTICAST_MAXTPDU`. `udp` recovers nothing.
    {
        RECOVERY_IVL = 9; recovery_interval: int(0, i32::MAX) = 10000; on []; LaterEndpoints rw;
        "the time for which pgm can send again", "ms"; millis(set_recovery_interval, recovery_interval);
    }
    // ---- Whom to let in
    /// Connections are taken only from peers in one of the networks: `10.0.0.0/8`, `fe80::/10`, or a single address.
    /// Each value adds one, an empty one takes all back; without any, everybody may connect. IPv6 networks need
    /// `ZMQ_IPV6`, on which those of IPv4 mean the same. A peer turned away is told by `ZMQ_EVENT_ACCEPT_FAILED`. For
    /// `tcp`; ZAP and the filters of a network are better means.
    {
        TCP_ACCEPT_FILTER = 38; tcp_accept_filter: networks() = "none"; on []; LaterEndpoints wo;
        "a network that peers may connect from", "network"; text_set(add_tcp_accept_filter);
    }
    /// Connections are taken only from processes of one of these users, or admitted by one of the other
    /// `ZMQ_IPC_FILTER_…`. Each value adds one, an empty one takes all back. For `ipc`.
    {
        IPC_FILTER_UID = 59; ipc_filter_uid: ids() = "none"; on []; LaterEndpoints wo;
        "a user id that peers may have", "`uid_t`"; int_set(add_ipc_filter_uid);
    }
    /// Connections are taken only from processes of one of these groups or of a user who is a member of one, or
    /// admitted by one of the other `ZMQ_IPC_FILTER_…`. Each value adds one, an empty one takes all back. For `ipc`.
    {
        IPC_FILTER_GID = 60; ipc_filter_gid: ids() = "none"; on []; LaterEndpoints wo;
        "a group id that peers may have", "`gid_t`"; int_set(add_ipc_filter_gid);
    }
    /// Connections are taken only from these processes, or if admitted by one of the other `ZMQ_IPC_FILTER_…`. Each
    /// value adds one, an empty one takes all back. For `ipc`.
    {
        IPC_FILTER_PID = 58; ipc_filter_pid: ids() = "none"; on []; LaterEndpoints wo;
        "a process id that peers may have", "`pid_t`"; int_set(add_ipc_filter_pid);
    }
    // ---- Batching
    /// A connection's read buffer is at least this large.
    {
        IN_BATCH_SIZE = 101; in_batch_size: int(1, i32::MAX) = 8192; on []; LaterEndpoints rw;
        "the smallest read buffer", "bytes"; int(set_in_batch_size, in_batch_size);
    }
    /// A gathering writer's buffer is at least this large.
    {
        OUT_BATCH_SIZE = 102; out_batch_size: int(1, i32::MAX) = 8192; on []; LaterEndpoints rw;
        "the smallest write buffer", "bytes"; int(set_out_batch_size, out_batch_size);
    }
    /// −1 adapts: a lone message is written at once by its sender, a stream is gathered. 0 tries every message at
    /// once, and never gathers on purpose. 1 always gathers. zlink's own option.
    {
        ASIO_WRITE_BATCHING = 10000; write_batching: int(-1, 1) = -1; on []; LaterEndpoints rw;
        "how messages are gathered into writes", "−1, 0 or 1"; int(set_write_batching, write_batching);
        env "ZLINK_ASIO_WRITE_BATCHING";
    }
    /// How long a gathering writer may wait for more messages before it writes. 0 writes what there is, without a
    /// timer. zlink's own option.
    {
        ASIO_BATCH_TIMEOUT = 10001; batch_timeout_us: int(0, 1_000_000) = 0; on []; LaterEndpoints rw;
        "the time a gathering writer waits", "µs"; micros(set_batch_timeout, batch_timeout);
        env "ZLINK_ASIO_BATCH_TIMEOUT";
    }
    /// A gathering writer that holds this many messages writes them. 0 means no limit. zlink's own option.
    {
        ASIO_WRITE_BATCH_MAX_MESSAGES = 10002; batch_max_messages: int(0, i32::MAX) = 0; on []; LaterEndpoints rw;
        "the number of messages that ends gathering", "messages"; int(set_batch_max_messages, batch_max_messages);
        env "ZLINK_ASIO_WRITE_BATCH_MAX_MESSAGES";
    }
    /// A gathering writer that holds this many bytes writes them. zlink's own option.
    {
        ASIO_WRITE_BATCH_MAX_BYTES = 10003; batch_max_bytes: int(1, 16_777_216) = 262_144; on []; LaterEndpoints rw;
        "the number of bytes that ends gathering", "bytes"; int(set_batch_max_bytes, batch_max_bytes);
        env "ZLINK_ASIO_WRITE_BATCH_MAX_BYTES";
    }
    // ---- Request, reply and routing
    /// With 1, a message to an unknown peer fails with `EHOSTUNREACH`, and one to a peer at its high-water mark
    /// blocks or fails with `EAGAIN`. With 0 both are dropped.
    {
        ROUTER_MANDATORY = 33; router_mandatory: flag(NonNegative) = false; on [Router]; AtOnce wo;
        "whether unroutable messages are errors", "boolean"; flag_set(set_router_mandatory);
    }
    /// With 1, a peer that announces the routing id of a connected one takes its place. With 0 it is turned away.
    {
        ROUTER_HANDOVER = 56; router_handover: flag(NonNegative) = false; on [Router]; AtOnce wo;
        "whether a newcomer takes over a routing id in use", "boolean"; flag_set(set_router_handover);
    }
    /// With 1, peers are no ZeroMQ sockets: there is no handshake, what arrives from them is received as it comes, and
    /// what is sent to them goes out without framing. All are named by the socket, with a zero byte and a number. The
    /// part behind a routing id is the last of its message, with `ZMQ_SNDMORE` or without; an empty one closes the
    /// connection. STREAM does the same, and is what new programs should use.
    {
        ROUTER_RAW = 41; router_raw: flag(NonNegative) = false; on [Router]; LaterEndpoints wo;
        "whether peers are reached without ZMTP", "boolean"; flag_set(set_router_raw);
    }
    /// With 1, an empty message, behind the peer's routing id, is received when a connection stands, and when it is
    /// gone.
    {
        STREAM_NOTIFY = 73; stream_notify: flag(Strict) = true; on [Stream]; LaterEndpoints wo;
        "whether changes of connections are received", "boolean"; flag_set(set_stream_notify);
    }
    /// With 1, an empty message is sent to every new peer, which tells a ROUTER that and by what id the socket can
    /// be reached. Only for sockets whose peers are ROUTERs that expect it.
    {
        PROBE_ROUTER = 51; probe_router: flag(NonNegative) = false; on [Router, Dealer, Req]; AtOnce wo;
        "whether new peers get an empty message", "boolean"; flag_set(set_probe_router);
    }
    /// With 1, each request is preceded by a frame that holds its number, and replies that do not repeat it are
    /// dropped.
    {
        REQ_CORRELATE = 52; req_correlate: flag(NonNegative) = false; on [Req]; AtOnce wo;
        "whether replies are matched with requests", "boolean"; flag_set(set_req_correlate);
    }
    /// With 1, a new request may be sent before the last is answered, whose reply is then dropped. Use it
    /// with `ZMQ_REQ_CORRELATE`, or a late reply passes for the answer to a later request.
    {
        REQ_RELAXED = 53; req_relaxed: flag(NonNegative) = false; on [Req]; AtOnce wo;
        "whether a request may follow an unanswered one", "boolean"; flag_set(set_req_relaxed);
    }
    /// Of the bits 1 (`ZMQ_NOTIFY_CONNECT`) and 2 (`ZMQ_NOTIFY_DISCONNECT`): whether an empty message, behind the peer's
    /// routing id, is received when a connection stands, and when it is gone. Not over `inproc`. Can be read on every
    /// type.
    {
        ROUTER_NOTIFY = 97; router_notify: int(0, 3) = 0; on [Router]; LaterEndpoints rw;
        "the changes of connections that are received", "bit mask"; int(set_router_notify, router_notify);
    }
    /// The first message to every peer, on every connection, made or accepted. The peer receives it as any other.
    /// Empty for none.
    {
        HELLO_MSG = 110; hello_message: bytes(0, usize::MAX) = "none";
        on [Dealer, Router, Client, Server, Peer]; LaterEndpoints wo;
        "the message peers are greeted with", "binary"; bytes_set(set_hello_message);
    }
    /// Received, as if from the peer and after all that is from it, when an accepted connection has ended. Empty for
    /// none.
    {
        DISCONNECT_MSG = 111; disconnect_message: bytes(0, usize::MAX) = "none";
        on [Router, Server, Peer]; LaterEndpoints wo;
        "the message received when an accepted peer is gone", "binary"; bytes_set(set_disconnect_message);
    }
    /// Received, as if from the peer, when a connection that the socket made is lost. Empty for none.
    {
        HICCUP_MSG = 114; hiccup_message: bytes(0, usize::MAX) = "none";
        on [Dealer, Client, Peer]; LaterEndpoints wo;
        "the message received when a connection is lost", "binary"; bytes_set(set_hiccup_message);
    }
    // ---- Publish and subscribe
    /// With 1, an XPUB receives every subscription, not only the first of a topic. Setting it also turns
    /// `ZMQ_XPUB_VERBOSER`'s part, the unsubscriptions, off.
    {
        XPUB_VERBOSE = 40; xpub_verbose: verbose() = false; on [Xpub, Pub]; AtOnce wo;
        "whether repeated subscriptions are received", "boolean"; flag_set(set_xpub_verbose);
    }
    /// With 1, an XPUB receives every subscription and every unsubscription, not only the first and the last of a
    /// topic. Setting it sets `ZMQ_XPUB_VERBOSE` to the same.
    {
        XPUB_VERBOSER = 78; xpub_verboser: verboser() = false; on [Xpub, Pub]; AtOnce wo;
        "whether repeated subscriptions and unsubscriptions are received", "boolean"; flag_set(set_xpub_verboser);
    }
    /// With 1, a send blocks or fails with `EAGAIN` while a subscriber is at its high-water mark. With 0 that
    /// subscriber misses the message.
    {
        XPUB_NODROP = 69; xpub_nodrop: flag(NonNegative) = false; on [Xpub, Pub, Radio]; AtOnce wo;
        "whether slow subscribers hold up a send", "boolean"; flag_set(set_xpub_nodrop);
    }
    /// With 1, a subscription received has no effect by itself: the application answers it with `ZMQ_SUBSCRIBE` or
    /// `ZMQ_UNSUBSCRIBE` on the XPUB socket, which then holds for the peer it came from.
    {
        XPUB_MANUAL = 71; xpub_manual: flag(NonNegative) = false; on [Xpub, Pub]; AtOnce wo;
        "whether the application decides on subscriptions", "boolean"; flag_set(set_xpub_manual);
    }
    /// As `ZMQ_XPUB_MANUAL`, and the first message sent after a subscription or unsubscription was received goes only
    /// to the peer that it came from, if that has subscribed to it: a cached last value, which the others have got.
    /// Setting it sets `ZMQ_XPUB_MANUAL` to the same.
    {
        XPUB_MANUAL_LAST_VALUE = 98; xpub_manual_last_value: manual_last_value() = false; on [Xpub, Pub]; AtOnce wo;
        "whether a message after a subscription is for its peer alone", "boolean";
        flag_set(set_xpub_manual_last_value);
    }
    /// With 1, a multipart message whose first part is no subscription or unsubscription has none: its parts are data,
    /// whatever they begin with. With 0 every part may be one. To be set on both sides.
    {
        ONLY_FIRST_SUBSCRIBE = 108; only_first_subscribe: flag(NonNegative) = false; on [Xsub, Xpub, Pub]; AtOnce wo;
        "whether only first parts make a message one of subscriptions", "boolean"; flag_set(set_only_first_subscribe);
    }
    /// With 1, an XSUB passes on every unsubscription that is sent with it, not only the last of a topic.
    {
        XSUB_VERBOSE_UNSUBSCRIBE = 115; xsub_verbose_unsubscribe: flag(Any) = false; on [Xsub]; AtOnce wo;
        "whether repeated unsubscriptions are sent", "boolean"; flag_set(set_xsub_verbose_unsubscribe);
    }
    /// Sent to every new subscriber ahead of all else; the subscriber receives it if it has subscribed to a prefix of
    /// it. Empty for none.
    {
        XPUB_WELCOME_MSG = 72; xpub_welcome_message: bytes(0, usize::MAX) = "none"; on [Xpub, Pub]; LaterEndpoints wo;
        "the message new subscribers are greeted with", "binary"; bytes_set(set_xpub_welcome_message);
    }
    /// With 1, messages go to the subscribers whose subscriptions do not match. To be set on both sides.
    {
        INVERT_MATCHING = 74; invert_matching: flag(Any) = false; on []; AtOnce rw;
        "whether matching is inverted", "boolean"; flag(set_invert_matching, invert_matching);
    }
    // ---- TLS
    /// In PEM, for `wss` endpoints to be bound. It must belong to the certificate.
    {
        WSS_KEY_PEM = 103; wss_key: bytes(0, usize::MAX) = "none"; on []; LaterEndpoints wo;
        "the private key of a TLS server", "PEM"; bytes_set(set_wss_key_pem);
    }
    /// In PEM, for `wss` endpoints to be bound: the server's own certificate first, then those between it and one
    /// that clients trust.
    {
        WSS_CERT_PEM = 104; wss_certificate: bytes(0, usize::MAX) = "none"; on []; LaterEndpoints wo;
        "the certificate of a TLS server", "PEM"; bytes_set(set_wss_cert_pem);
    }
    /// In PEM, for `wss` endpoints to be connected to: one or more certificates. A server is accepted if its
    /// certificate is among them, or signed by way of one of them.
    {
        WSS_TRUST_PEM = 105; wss_trust: bytes(0, usize::MAX) = "none"; on []; LaterEndpoints wo;
        "the certificates that a TLS client trusts", "PEM"; bytes_set(set_wss_trust_pem);
    }
    /// For `wss` endpoints to be connected to: the name to ask for, and which the server's certificate has to be for.
    /// Empty: any certificate that is trusted will do, whoever it is for.
    {
        WSS_HOSTNAME = 106; wss_hostname: bytes(0, usize::MAX) = "none"; on []; LaterEndpoints wo;
        "the name of the server that a TLS client expects", "name"; bytes_set(set_wss_hostname);
    }
    /// For `wss` endpoints to be connected to. A client that trusts neither these nor any of its own refuses every
    /// server.
    {
        WSS_TRUST_SYSTEM = 107; wss_trust_system: flag(Strict) = false; on []; LaterEndpoints wo;
        "whether a TLS client trusts the system's certificates", "boolean"; flag_set(set_wss_trust_system);
    }
}
other {
    /// Messages that begin with these bytes are received; none matches all. Counted: as many unsubscribes undo it.
    /// On XPUB and PUB it takes `ZMQ_XPUB_MANUAL`, and holds for the peer whose subscription was received last.
    {
        SUBSCRIBE = 6; live(Subscribe, Bytes { min: 0, max: usize::MAX }) = "none"; on [Sub, Xpub, Pub]; AtOnce wo;
        "the prefix to subscribe to", "binary"; bytes_set(subscribe);
    }
    /// Takes back one subscription of just these bytes, if there is one.
    {
        UNSUBSCRIBE = 7; live(Unsubscribe, Bytes { min: 0, max: usize::MAX }) = "none"; on [Sub, Xpub, Pub]; AtOnce wo;
        "the prefix to unsubscribe from", "binary"; bytes_set(unsubscribe);
    }
    /// Names the peer of the next connect, so that messages can be addressed to it before it has announced itself.
    /// 1 to 255 bytes, not in use for another peer.
    {
        CONNECT_ROUTING_ID = 61; live(ConnectRoutingId, Bytes { min: 1, max: 255 }) = "none";
        on [Router, Stream]; NextConnect wo;
        "the routing id of the peer connected next", "binary"; bytes_set(set_connect_routing_id);
    }
    /// 1 if the part received last is followed by another of the same message.
    {
        RCVMORE = 13; live(ReceiveMore, Int) = "0"; on []; Never ro;
        "whether more parts of the message follow", "boolean"; get_flag(receive_more);
    }
    /// Becomes readable when `ZMQ_EVENTS` may have changed; only `ZMQ_EVENTS` then tells. Never read or write it.
    {
        FD = 14; live(Fd, Int) = "its own"; on []; Never ro;
        "the descriptor to wait on", "descriptor"; none();
    }
    /// `ZMQ_POLLIN` if a message can be received now, `ZMQ_POLLOUT` if one can be sent.
    {
        EVENTS = 15; live(Events, Int) = "0"; on []; Never ro;
        "the operations that would not block", "bit mask"; none();
    }
    /// As given to `zmq_socket`.
    {
        TYPE = 16; live(Type, ExactInt) = "its own"; on []; Never ro;
        "the socket's type", "number"; none();
    }
    /// With wildcards and ephemeral ports resolved. Empty before the first bind or connect.
    {
        LAST_ENDPOINT = 32; live(LastEndpoint, Text) = "none"; on []; Never ro;
        "the endpoint last bound or connected", "endpoint"; get_text(last_endpoint);
    }
    /// With 1, the socket is a server of CURVE: its clients know its public key, and a ZAP handler, if there is one,
    /// decides about each by the client's. With 0 the mechanism is NULL again.
    {
        CURVE_SERVER = 47; curve_server() = "false"; on []; LaterEndpoints rw;
        "whether the socket is a server of the mechanism CURVE", "boolean"; flag(set_curve_server, curve_server);
    }
    /// Makes the mechanism GSSAPI, with 1 as a server: a ZAP handler, if there is one, decides about each client by its
    /// principal. With 0 the socket is a client.
    {
        GSSAPI_SERVER = 62; gssapi_server() = "false"; on []; LaterEndpoints rw;
        "whether the socket is a server of the mechanism GSSAPI", "boolean"; flag(set_gssapi_server, gssapi_server);
    }
    /// 0 NULL, 1 PLAIN, 2 CURVE, 3 GSSAPI: as the options set last have it.
    {
        MECHANISM = 43; live(Mechanism, ExactInt) = "0"; on []; Never ro;
        "the security mechanism", "number"; get_int(mechanism);
    }
    /// 1 for SERVER, CLIENT, RADIO, DISH, GATHER, SCATTER, PEER and CHANNEL, whose messages have one part; 0 for the
    /// others. All types may be used from several threads at a time.
    {
        THREAD_SAFE = 81; live(ThreadSafe, Int) = "0"; on []; Never ro;
        "whether the socket is of libzmq's thread-safe types", "boolean"; none();
    }
    /// On SUB and XSUB the topics subscribed to, on PUB and XPUB those that peers have subscribed to, each counted once.
    {
        TOPICS_COUNT = 116; live(TopicsCount, Int) = "0"; on [Sub, Xsub, Pub, Xpub]; Never ro;
        "the number of subscribed topics", "topics"; get_int(topics_count);
    }
    /// The opposite of `ZMQ_IPV6`, which replaced it.
    {
        IPV4ONLY = 31; inverted_ipv6() = "1"; on []; LaterEndpoints rw;
        "whether IPv6 is off", "boolean"; none();
    }
}
    } };
}

pub(crate) use option_table;

macro_rules! field_type {
    (int) => { i32 };
    (tenths) => { i32 };
    (long) => { i64 };
    (word) => { u64 };
    (flag) => { bool };
    (verbose) => { bool };
    (verboser) => { bool };
    (manual_last_value) => { bool };
    (bytes) => { Vec<u8> };
    (text) => { Vec<u8> };
    (plain_server) => { bool };
    (plain) => { Secret };
    (key) => { Key };
    (server_key) => { Key };
    (principal) => { Vec<u8> };
    (service_principal) => { Vec<u8> };
    // Ordered by name, so that the handshake is the same from run to run.
    (metadata) => { BTreeMap<Vec<u8>, Vec<u8>> };
    (networks) => { Vec<Network> };
    (ids) => { BTreeSet<u32> };
}

macro_rules! initial {
    (bytes $shown:literal) => {
        Default::default()
    };
    (text $shown:literal) => {
        Default::default()
    };
    (metadata $shown:literal) => {
        Default::default()
    };
    (networks $shown:literal) => {
        Default::default()
    };
    (ids $shown:literal) => {
        Default::default()
    };
    (plain $shown:literal) => {
        Default::default()
    };
    (key $shown:literal) => {
        Default::default()
    };
    (server_key $shown:literal) => {
        Default::default()
    };
    (principal $shown:literal) => {
        Default::default()
    };
    (service_principal $shown:literal) => {
        Default::default()
    };
    ($kind:ident $value:literal) => {
        $value
    };
}

macro_rules! kind {
    ($field:ident int($min:expr, $max:expr)) => {
        Kind::Int { min: $min, max: $max, load: |o| o.$field, store: |o, v| o.$field = v }
    };
    ($field:ident tenths($min:expr, $max:expr)) => {
        Kind::Int { min: $min, max: $max, load: |o| o.$field, store: |o, v| o.$field = v / 100 * 100 }
    };
    ($field:ident long()) => {
        Kind::Long { load: |o| o.$field, store: |o, v| o.$field = v }
    };
    ($field:ident word()) => {
        Kind::Word { load: |o| o.$field, store: |o, v| o.$field = v }
    };
    ($field:ident flag($rule:ident)) => {
        Kind::Flag { rule: FlagRule::$rule, load: |o| o.$field, store: |o, v| o.$field = v }
    };
    ($field:ident verbose()) => {
        Kind::Flag {
            rule: FlagRule::NonNegative,
            load: |o| o.$field,
            store: |o, v| (o.xpub_verbose, o.xpub_verboser) = (v, false),
        }
    };
    ($field:ident verboser()) => {
        Kind::Flag {
            rule: FlagRule::NonNegative,
            load: |o| o.$field,
            store: |o, v| (o.xpub_verbose, o.xpub_verboser) = (v, v),
        }
    };
    ($field:ident manual_last_value()) => {
        Kind::Flag {
            rule: FlagRule::NonNegative,
            load: |o| o.$field,
            store: |o, v| (o.xpub_manual, o.xpub_manual_last_value) = (v, v),
        }
    };
    ($field:ident bytes($min:expr, $max:expr)) => {
        Kind::Bytes { min: $min, max: $max, load: |o| &o.$field, store: |o, v| o.$field = v.to_vec() }
    };
    ($field:ident text($min:expr, $max:expr)) => {
        Kind::Text { min: $min, max: $max, load: |o| &o.$field, store: |o, v| o.$field = v.to_vec() }
    };
    ($field:ident plain_server()) => {
        Kind::Flag {
            rule: FlagRule::Strict,
            load: |o| o.as_server && o.mechanism == Mechanism::Plain,
            store: |o, v| o.choose(if v { Mechanism::Plain } else { Mechanism::Null }, v),
        }
    };
    ($field:ident plain()) => {
        Kind::Text {
            min: 0,
            max: MAX_CREDENTIAL_LEN,
            load: |o| o.$field.as_bytes(),
            store: |o, v| {
                if v.is_empty() {
                    o.mechanism = Mechanism::Null;
                } else {
                    o.$field = Secret::new(v);
                    o.choose(Mechanism::Plain, false);
                }
            },
        }
    };
    ($field:ident key()) => {
        Kind::Key {
            load: |o| &o.$field,
            store: |o, key| {
                o.$field = key;
                o.mechanism = Mechanism::Curve;
            },
        }
    };
    ($field:ident server_key()) => {
        Kind::Key {
            load: |o| &o.$field,
            store: |o, key| {
                o.$field = key;
                o.choose(Mechanism::Curve, false);
            },
        }
    };
    ($field:ident principal()) => {
        Kind::Text {
            min: 1,
            max: MAX_CREDENTIAL_LEN,
            load: |o| &o.$field,
            store: |o, v| {
                o.$field = v.to_vec();
                o.choose_gssapi();
            },
        }
    };
    ($field:ident service_principal()) => {
        Kind::Text {
            min: 1,
            max: MAX_CREDENTIAL_LEN,
            load: |o| &o.$field,
            store: |o, v| {
                o.$field = v.to_vec();
                o.choose_gssapi();
                o.as_server = false;
            },
        }
    };
    ($field:ident metadata()) => {
        Kind::Metadata
    };
    ($field:ident networks()) => {
        Kind::Collected {
            form: "text",
            clear: |o| o.$field.clear(),
            add: |o, v| Ok(o.$field.push(Network::parse(v, o.ipv6)?)),
        }
    };
    ($field:ident ids()) => {
        Kind::Collected { form: "`int`", clear: |o| o.$field.clear(), add: |o, v| add_id(&mut o.$field, v) }
    };
    (live($action:ident, $($value:tt)+)) => {
        Kind::Live { action: SocketAction::$action, value: LiveValue::$($value)+ }
    };
    (curve_server()) => {
        Kind::Flag {
            rule: FlagRule::Strict,
            load: |o| o.as_server && o.mechanism == Mechanism::Curve,
            store: |o, v| o.choose(if v { Mechanism::Curve } else { Mechanism::Null }, v),
        }
    };
    (gssapi_server()) => {
        Kind::Flag {
            rule: FlagRule::Strict,
            load: |o| o.is_gssapi_server(),
            store: |o, v| {
                o.choose_gssapi();
                o.as_server = v;
            },
        }
    };
    (inverted_ipv6()) => {
        Kind::Flag { rule: FlagRule::Strict, load: |o| !o.ipv6, store: |o, v| o.ipv6 = !v }
    };
}

macro_rules! access {
    (rw) => {
        (true, true)
    };
    (ro) => {
        (true, false)
    };
    (wo) => {
        (false, true)
    };
}

macro_rules! variable {
    () => {
        None
    };
    ($name:literal) => {
        Some($name)
    };
}

macro_rules! define_options {
    (
        stored { $(
            $(#[doc = $doc:literal])+
            {
                $id:ident = $number:literal; $field:ident: $kind:ident $args:tt = $default:literal;
                on [$($socket:ident),*]; $applies:ident $access:ident;
                $about:literal, $unit:literal; $accessor:ident($($method:ident),*);
                $(env $variable:literal;)?
            }
        )+ }
        other { $(
            $(#[doc = $other_doc:literal])+
            {
                $other_id:ident = $other_number:literal; $other_kind:ident $other_args:tt = $other_default:literal;
                on [$($other_socket:ident),*]; $other_applies:ident $other_access:ident;
                $other_about:literal, $other_unit:literal; $other_accessor:ident($($other_method:ident),*);
            }
        )+ }
    ) => {
        /// The stored options of one socket. Cloned for each endpoint, since most options hold for later ones only.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) struct SocketOptions {
            $( $(#[doc = $doc])+ pub(crate) $field: field_type!($kind), )+
            /// As chosen by the options of the mechanisms.
            pub(super) mechanism: Mechanism,
            /// Ids of the options whose value comes from the environment and stays.
            pub(super) fixed: Vec<i32>,
        }

        impl Default for SocketOptions {
            fn default() -> Self {
                Self { $( $field: initial!($kind $default), )+ mechanism: Mechanism::Null, fixed: Vec::new() }
            }
        }

        /// Option numbers, under their C names without the prefix `ZMQ_`.
        pub(crate) mod id {
            $( #[allow(dead_code, reason = "some numbers are only used through the table")]
            pub(crate) const $id: i32 = $number; )+
            $( #[allow(dead_code, reason = "some numbers are only used through the table")]
            pub(crate) const $other_id: i32 = $other_number; )+
        }

        /// All options, in the order of the manual.
        pub(crate) static ROWS: &[OptionRow] = &[
            $( OptionRow {
                id: $number,
                name: concat!("ZMQ_", stringify!($id)),
                kind: kind!($field $kind $args),
                default: concat!($default),
                unit: $unit,
                sockets: &[$(SocketType::$socket),*],
                applies: Applies::$applies,
                readable: access!($access).0,
                writable: access!($access).1,
                variable: variable!($($variable)?),
                about: $about,
                doc: &[$($doc),+],
                methods: &[$(stringify!($method)),*],
            }, )+
            $( OptionRow {
                id: $other_number,
                name: concat!("ZMQ_", stringify!($other_id)),
                kind: kind!($other_kind $other_args),
                default: $other_default,
                unit: $other_unit,
                sockets: &[$(SocketType::$other_socket),*],
                applies: Applies::$other_applies,
                readable: access!($other_access).0,
                writable: access!($other_access).1,
                variable: None,
                about: $other_about,
                doc: &[$($other_doc),+],
                methods: &[$(stringify!($other_method)),*],
            }, )+
        ];
    };
}

option_table!(define_options);
