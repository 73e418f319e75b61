//! A socket of either library, as the lanes use it.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use zlink::curve::SecretKey;
use zlink::{Context, Error, Message, Socket, SocketType};
use zlink_interop::libzmq::Peer;
use zlink_interop::option;

use super::scene::{Library, Role};

/// Options that `zlink_interop::option` has no use for. Source: `zmq.h`.
mod number {
    pub(super) const ROUTER_MANDATORY: i32 = 33;
    pub(super) const REQ_CORRELATE: i32 = 52;
    pub(super) const REQ_RELAXED: i32 = 53;
    pub(super) const ROUTER_HANDOVER: i32 = 56;
    pub(super) const XPUB_NODROP: i32 = 69;
}

/// The parts of a received message.
pub(super) type Parts = Vec<Message>;

/// What came of an attempt to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Yes,
    /// There was no room within the time-out.
    Full,
    /// There is no such peer.
    Unreachable,
}

enum Inner {
    Zlink(Box<Socket>),
    Libzmq(Peer),
}

/// A socket. It waits as long as it was last told to, and what it has queued when it is closed is sent first.
pub(super) struct Link {
    inner: Inner,
    /// `ZMQ_SNDTIMEO` and `ZMQ_RCVTIMEO` as they are.
    timeouts: [Option<Duration>; 2],
}

/// What the contexts of a process are used for.
pub(super) struct Contexts {
    zlink: Context,
}

impl Contexts {
    pub(super) fn new() -> Self {
        Contexts { zlink: Context::new() }
    }
}

impl Link {
    /// Opens a socket. Those of libzmq have a context each.
    pub(super) fn open(contexts: &Contexts, library: Library, role: Role) -> io::Result<Self> {
        let socket_type = match role {
            Role::Push => SocketType::Push,
            Role::Pull => SocketType::Pull,
            Role::Pair => SocketType::Pair,
            Role::Dealer => SocketType::Dealer,
            Role::Router => SocketType::Router,
            Role::Req => SocketType::Req,
            Role::Rep => SocketType::Rep,
            Role::Pub => SocketType::Pub,
            Role::Sub => SocketType::Sub,
        };
        let inner = match library {
            Library::Zlink => {
                let socket = contexts.zlink.socket(socket_type).map_err(io::Error::other)?;
                Inner::Zlink(Box::new(socket))
            }
            Library::Libzmq => Inner::Libzmq(Peer::new(socket_type as i32)?),
        };
        let mut link = Link { inner, timeouts: [None; 2] };
        link.set_int(option::RECONNECT_IVL, 10)?;
        Ok(link)
    }

    pub(super) fn set(&mut self, option: i32, value: &[u8]) -> io::Result<()> {
        match &mut self.inner {
            Inner::Zlink(socket) => socket.set_option(option, value).map_err(io::Error::other),
            Inner::Libzmq(peer) => peer.set(option, value),
        }
    }

    pub(super) fn set_int(&mut self, option: i32, value: i32) -> io::Result<()> {
        self.set(option, &value.to_ne_bytes())
    }

    /// Sets the high-water marks, in messages.
    pub(super) fn set_marks(&mut self, send: i32, receive: i32) -> io::Result<()> {
        self.set_int(option::SNDHWM, send)?;
        self.set_int(option::RCVHWM, receive)
    }

    /// A ROUTER waits for peers that are full, tells of those that are not there, and prefers those that come back.
    pub(super) fn set_strict_router(&mut self) -> io::Result<()> {
        self.set_int(number::ROUTER_MANDATORY, 1)?;
        self.set_int(number::ROUTER_HANDOVER, 1)
    }

    /// A REQ may ask anew before it was answered.
    pub(super) fn set_relaxed(&mut self) -> io::Result<()> {
        self.set_int(number::REQ_RELAXED, 1)?;
        self.set_int(number::REQ_CORRELATE, 1)
    }

    /// A publisher waits for subscribers that are full.
    pub(super) fn set_no_drop(&mut self) -> io::Result<()> {
        self.set_int(number::XPUB_NODROP, 1)
    }

    /// The mechanism CURVE, with keys that all soaks share.
    pub(super) fn set_curve(&mut self, server: bool) -> io::Result<()> {
        let [server_key, client_key] = [SecretKey::new([7; 32]), SecretKey::new([9; 32])];
        if server {
            self.set_int(option::CURVE_SERVER, 1)?;
            return self.set(option::CURVE_SECRETKEY, server_key.as_bytes());
        }
        self.set(option::CURVE_SERVERKEY, &server_key.public_key().0)?;
        self.set(option::CURVE_PUBLICKEY, &client_key.public_key().0)?;
        self.set(option::CURVE_SECRETKEY, client_key.as_bytes())
    }

    pub(super) fn set_routing_id(&mut self, id: &[u8]) -> io::Result<()> {
        self.set(option::ROUTING_ID, id)
    }

    /// Subscribes to a topic, or takes that back.
    pub(super) fn subscribe(&mut self, topic: &[u8], add: bool) -> io::Result<()> {
        self.set(if add { option::SUBSCRIBE } else { option::UNSUBSCRIBE }, topic)
    }

    pub(super) fn bind(&mut self, endpoint: &str) -> io::Result<()> {
        match &mut self.inner {
            Inner::Zlink(socket) => socket.bind(endpoint).map_err(io::Error::other),
            Inner::Libzmq(peer) => peer.bind(endpoint).map(drop),
        }
    }

    pub(super) fn connect(&mut self, endpoint: &str) -> io::Result<()> {
        match &mut self.inner {
            Inner::Zlink(socket) => socket.connect(endpoint).map_err(io::Error::other),
            Inner::Libzmq(peer) => peer.connect(endpoint),
        }
    }

    pub(super) fn disconnect(&mut self, endpoint: &str) -> io::Result<()> {
        match &mut self.inner {
            Inner::Zlink(socket) => socket.disconnect(endpoint).map_err(io::Error::other),
            Inner::Libzmq(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn set_timeout(&mut self, send: bool, timeout: Duration) -> io::Result<()> {
        let kept = &mut self.timeouts[usize::from(send)];
        if kept.replace(timeout) == Some(timeout) {
            return Ok(());
        }
        let option = if send { option::SNDTIMEO } else { option::RCVTIMEO };
        self.set_int(option, timeout.as_millis() as i32)
    }

    /// Sends a message, to the peer of that routing id if one is given, waiting for room for at most `timeout`.
    pub(super) fn send(
        &mut self,
        address: Option<&[u8]>,
        parts: &[Cow<'static, [u8]>],
        timeout: Duration,
    ) -> io::Result<Sent> {
        self.set_timeout(true, timeout)?;
        match &mut self.inner {
            Inner::Zlink(socket) => {
                let address = address.map(Message::from);
                // Constant bytes go by reference, others by copy.
                let parts = parts.iter().map(|part| match part {
                    Cow::Borrowed(bytes) if bytes.len() % 2 == 0 => Message::from_static(bytes),
                    part => Message::from(&part[..]),
                });
                match socket.send_multipart(address.into_iter().chain(parts)).map_err(|failed| failed.error) {
                    Ok(()) => Ok(Sent::Yes),
                    Err(Error::WouldBlock) => Ok(Sent::Full),
                    Err(Error::HostUnreachable) => Ok(Sent::Unreachable),
                    Err(error) => Err(io::Error::other(error)),
                }
            }
            Inner::Libzmq(peer) => {
                let parts: Vec<&[u8]> =
                    address.into_iter().chain(parts.iter().map(|part| &part[..])).collect();
                match peer.send(&parts) {
                    Ok(()) => Ok(Sent::Yes),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Sent::Full),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Sends what was received back to where it came from.
    pub(super) fn send_back(&mut self, parts: Parts) -> io::Result<()> {
        match &mut self.inner {
            Inner::Zlink(socket) => {
                socket.send_multipart(parts).map_err(|failed| io::Error::other(failed.error))
            }
            Inner::Libzmq(peer) => peer.send(&parts.iter().map(|part| &part[..]).collect::<Vec<_>>()),
        }
    }

    /// Receives a message, waiting for at most `timeout`.
    pub(super) fn receive(&mut self, timeout: Duration) -> io::Result<Option<Parts>> {
        self.set_timeout(false, timeout)?;
        let received = match &mut self.inner {
            Inner::Zlink(socket) => match socket.recv_multipart() {
                Ok(parts) => Ok(parts),
                Err(Error::WouldBlock) => return Ok(None),
                Err(error) => Err(io::Error::other(error)),
            },
            Inner::Libzmq(peer) => peer.recv().map(|parts| parts.into_iter().map(Message::from).collect()),
        };
        match received {
            Ok(parts) => Ok(Some(parts)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}
