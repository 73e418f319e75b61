//! What the engine needs of a socket's options, fixed when an endpoint is bound or connected.

use std::time::Duration;

use zlink_pipe::QueueConfig;
use zlink_zmtp::{HandshakeConfig, SocketType};

use crate::transport::{Proxy, TlsRole, TransportConfig};

/// When a connect is not tried again (`ZMQ_RECONNECT_STOP`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReconnectStop {
    pub(crate) refused: bool,
    pub(crate) handshake_failed: bool,
    pub(crate) refused_after_disconnect: bool,
}

impl ReconnectStop {
    /// From the option's bits.
    pub(crate) fn new(bits: i32) -> Self {
        ReconnectStop {
            refused: bits & 1 != 0,
            handshake_failed: bits & 2 != 0,
            refused_after_disconnect: bits & 4 != 0,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct EngineConfig {
    pub(crate) socket_type: SocketType,
    pub(crate) transport: TransportConfig,
    /// For a `wss` endpoint.
    pub(crate) tls: Option<TlsRole>,
    /// The way to `tcp` peers that are connected to.
    pub(crate) proxy: Option<Proxy>,
    pub(crate) handshake: HandshakeConfig,
    /// Peers are no ZeroMQ sockets: there is no handshake, and bytes are messages as they come.
    pub(crate) raw: bool,
    /// What a ZAP handler is told besides.
    pub(crate) zap_domain: Vec<u8>,
    /// Time a peer has to complete the handshake, in all.
    pub(crate) handshake_timeout: Option<Duration>,
    pub(crate) connect_timeout: Option<Duration>,
    /// Pause before a connect is tried again; `None` never tries again.
    pub(crate) reconnect_interval: Option<Duration>,
    /// The pause doubles up to this. Zero: it does not grow.
    pub(crate) reconnect_interval_max: Duration,
    pub(crate) reconnect_stop: ReconnectStop,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) heartbeat_ttl: Duration,
    pub(crate) heartbeat_timeout: Duration,
    /// Longest message part accepted, in bytes.
    pub(crate) max_message_size: Option<u64>,
    /// A connecting socket gets its pipe only once the connection stands.
    pub(crate) immediate: bool,
    /// Towards the peer, and from it.
    pub(crate) out: QueueConfig,
    pub(crate) inward: QueueConfig,
    /// How long an I/O thread lets messages gather before it writes them, where they are always gathered.
    pub(crate) batch_timeout: Option<Duration>,
    /// The first message on each connection. Empty for none.
    pub(crate) hello: Vec<u8>,
    /// The socket receives it when an accepted connection ends. Empty for nothing.
    pub(crate) disconnect: Vec<u8>,
    /// The socket receives it when a connection of its own is lost. Empty for nothing.
    pub(crate) hiccup: Vec<u8>,
    /// The socket receives an empty message when a connection stands.
    pub(crate) notify_connect: bool,
    /// The socket receives an empty message when a connection is gone.
    pub(crate) notify_disconnect: bool,
    /// Smallest read buffer, in bytes.
    pub(crate) in_batch: usize,
}
