//! Numbers of socket options, the same for both libraries. Source: `zmq.h`.

/// `ZMQ_ROUTING_ID`.
pub const ROUTING_ID: i32 = 5;
/// `ZMQ_SUBSCRIBE`.
pub const SUBSCRIBE: i32 = 6;
/// `ZMQ_UNSUBSCRIBE`.
pub const UNSUBSCRIBE: i32 = 7;
/// `ZMQ_LINGER`, in milliseconds.
pub const LINGER: i32 = 17;
/// `ZMQ_RECONNECT_IVL`, in milliseconds.
pub const RECONNECT_IVL: i32 = 18;
/// `ZMQ_MAXMSGSIZE`, in bytes, an `int64_t`; -1: no limit.
pub const MAXMSGSIZE: i32 = 22;
/// `ZMQ_SNDHWM`, in messages.
pub const SNDHWM: i32 = 23;
/// `ZMQ_RCVHWM`, in messages.
pub const RCVHWM: i32 = 24;
/// `ZMQ_RCVTIMEO`, in milliseconds.
pub const RCVTIMEO: i32 = 27;
/// `ZMQ_SNDTIMEO`, in milliseconds.
pub const SNDTIMEO: i32 = 28;
/// `ZMQ_LAST_ENDPOINT`.
pub const LAST_ENDPOINT: i32 = 32;
/// `ZMQ_IPV6`.
pub const IPV6: i32 = 42;
/// `ZMQ_XPUB_VERBOSE`.
pub const XPUB_VERBOSE: i32 = 40;
/// `ZMQ_ROUTER_RAW`.
pub const ROUTER_RAW: i32 = 41;
/// `ZMQ_CURVE_SERVER`.
pub const CURVE_SERVER: i32 = 47;
/// `ZMQ_CURVE_PUBLICKEY`, 32 bytes or text in Z85.
pub const CURVE_PUBLICKEY: i32 = 48;
/// `ZMQ_CURVE_SECRETKEY`, 32 bytes or text in Z85.
pub const CURVE_SECRETKEY: i32 = 49;
/// `ZMQ_CURVE_SERVERKEY`, 32 bytes or text in Z85.
pub const CURVE_SERVERKEY: i32 = 50;
/// `ZMQ_PROBE_ROUTER`.
pub const PROBE_ROUTER: i32 = 51;
/// `ZMQ_HEARTBEAT_IVL`, in milliseconds.
pub const HEARTBEAT_IVL: i32 = 75;
/// `ZMQ_HEARTBEAT_TTL`, in milliseconds.
pub const HEARTBEAT_TTL: i32 = 76;
/// `ZMQ_HEARTBEAT_TIMEOUT`, in milliseconds.
pub const HEARTBEAT_TIMEOUT: i32 = 77;
/// `ZMQ_WSS_KEY_PEM`.
pub const WSS_KEY_PEM: i32 = 103;
/// `ZMQ_WSS_CERT_PEM`.
pub const WSS_CERT_PEM: i32 = 104;
/// `ZMQ_WSS_TRUST_PEM`.
pub const WSS_TRUST_PEM: i32 = 105;
/// `ZMQ_WSS_HOSTNAME`.
pub const WSS_HOSTNAME: i32 = 106;
/// `ZMQ_PLAIN_SERVER`.
pub const PLAIN_SERVER: i32 = 44;
/// `ZMQ_PLAIN_USERNAME`.
pub const PLAIN_USERNAME: i32 = 45;
/// `ZMQ_PLAIN_PASSWORD`.
pub const PLAIN_PASSWORD: i32 = 46;
/// `ZMQ_ZAP_DOMAIN`.
pub const ZAP_DOMAIN: i32 = 55;
/// `ZMQ_HANDSHAKE_IVL`, in milliseconds.
pub const HANDSHAKE_IVL: i32 = 66;
