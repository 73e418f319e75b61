//! A socket of either library, behind one face.

use std::fmt;
use std::io;
use std::time::Duration;

use zlink::{Context, Error, Message, Socket, SocketType};

use crate::GUARD;
use crate::libzmq::Peer;
use crate::option;

/// The parts of a message.
pub type Parts = Vec<Vec<u8>>;

/// What a message of one part says beside its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// The peer of a SERVER or PEER; 0 for none.
    pub routing_id: u32,
    /// The group of a RADIO's or DISH's message.
    pub group: Vec<u8>,
}

/// Whose socket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// zlink's Rust API.
    Zlink,
    /// libzmq 4.3.5.
    Libzmq,
}

impl Library {
    /// Both.
    pub const BOTH: [Library; 2] = [Library::Zlink, Library::Libzmq];

    /// The one that is not this.
    pub fn other(self) -> Self {
        match self {
            Library::Zlink => Library::Libzmq,
            Library::Libzmq => Library::Zlink,
        }
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Library::Zlink => "zlink",
            Library::Libzmq => "libzmq",
        })
    }
}

enum Inner {
    Zlink(Box<Socket>, Context),
    Libzmq(Peer),
}

fn zlink_socket(context: Context, socket_type: SocketType) -> io::Result<Inner> {
    let socket = context.socket(socket_type).map_err(io::Error::other)?;
    Ok(Inner::Zlink(Box::new(socket), context))
}

/// A socket of either library with a context of its own. Sends and receives wait for at most [`GUARD`], and
/// closing it drops what was not sent (`ZMQ_LINGER` 0), unless a test sets these otherwise.
///
/// Its methods panic where the library reports an error, naming the socket: no test expects one.
pub struct Node {
    library: Library,
    socket_type: SocketType,
    inner: Inner,
}

impl Node {
    /// Makes a socket.
    pub fn new(library: Library, socket_type: SocketType) -> Self {
        let inner = match library {
            Library::Zlink => zlink_socket(Context::new(), socket_type),
            Library::Libzmq => Peer::new(socket_type as i32).map(Inner::Libzmq),
        };
        Node::from(library, socket_type, inner)
    }

    /// Makes another socket in the context of this one.
    pub fn sibling(&self, socket_type: SocketType) -> Self {
        let inner = match &self.inner {
            Inner::Zlink(_, context) => zlink_socket(context.clone(), socket_type),
            Inner::Libzmq(peer) => peer.sibling(socket_type as i32).map(Inner::Libzmq),
        };
        Node::from(self.library, socket_type, inner)
    }

    fn from(library: Library, socket_type: SocketType, inner: io::Result<Inner>) -> Self {
        let inner = inner.unwrap_or_else(|error| panic!("{library} {}: {error}", socket_type.as_str()));
        let mut node = Node { library, socket_type, inner };
        let guard = GUARD.as_millis() as i32;
        node.set_int(option::RCVTIMEO, guard);
        node.set_int(option::SNDTIMEO, guard);
        node.set_int(option::LINGER, 0);
        node
    }

    /// The socket's type.
    pub fn socket_type(&self) -> SocketType {
        self.socket_type
    }

    /// zlink's socket, if it is one.
    pub fn zlink(&self) -> Option<&Socket> {
        match &self.inner {
            Inner::Zlink(socket, _) => Some(socket),
            Inner::Libzmq(_) => None,
        }
    }

    #[track_caller]
    fn expect<T>(&self, operation: &str, result: io::Result<T>) -> T {
        result.unwrap_or_else(|error| panic!("{self}: {operation}: {error}"))
    }

    /// Sets an option from its bytes.
    #[track_caller]
    pub fn set(&mut self, option: i32, value: &[u8]) {
        let result = match &mut self.inner {
            Inner::Zlink(socket, _) => socket.set_option(option, value).map_err(io::Error::other),
            Inner::Libzmq(peer) => peer.set(option, value),
        };
        self.expect("set option", result);
    }

    /// Sets an option that takes an `int`.
    #[track_caller]
    pub fn set_int(&mut self, option: i32, value: i32) {
        self.set(option, &value.to_ne_bytes());
    }

    /// Takes away both high-water marks, for types that drop what exceeds them.
    #[track_caller]
    pub fn set_unlimited(&mut self) {
        self.set_int(option::SNDHWM, 0);
        self.set_int(option::RCVHWM, 0);
    }

    /// Binds and returns the endpoint with wildcards replaced.
    #[track_caller]
    pub fn bind(&mut self, endpoint: &str) -> String {
        let result = match &mut self.inner {
            Inner::Zlink(socket, _) => {
                socket.bind(endpoint).and_then(|()| socket.last_endpoint()).map_err(io::Error::other)
            }
            Inner::Libzmq(peer) => peer.bind(endpoint),
        };
        self.expect(endpoint, result)
    }

    /// Connects.
    #[track_caller]
    pub fn connect(&mut self, endpoint: &str) {
        let result = match &mut self.inner {
            Inner::Zlink(socket, _) => socket.connect(endpoint).map_err(io::Error::other),
            Inner::Libzmq(peer) => peer.connect(endpoint),
        };
        self.expect(endpoint, result);
    }

    /// Binds or connects, and returns the error number, or 0.
    pub fn refusal(&mut self, endpoint: &str, bind: bool) -> i32 {
        match &mut self.inner {
            Inner::Zlink(socket, _) => {
                let result = if bind { socket.bind(endpoint) } else { socket.connect(endpoint) };
                result.map_or_else(|error| error.errno(), |()| 0)
            }
            Inner::Libzmq(peer) => peer.refusal(endpoint, bind),
        }
    }

    fn try_send<P: AsRef<[u8]>>(&mut self, parts: &[P]) -> io::Result<()> {
        match &mut self.inner {
            Inner::Zlink(socket, _) => {
                let parts = parts.iter().map(|part| Message::from(part.as_ref()));
                socket.send_multipart(parts).map_err(|failed| match failed.error {
                    Error::WouldBlock => io::ErrorKind::WouldBlock.into(),
                    error => io::Error::other(error),
                })
            }
            Inner::Libzmq(peer) => peer.send(parts),
        }
    }

    /// Sends a message of these parts.
    #[track_caller]
    pub fn send<P: AsRef<[u8]>>(&mut self, parts: &[P]) {
        let result = self.try_send(parts);
        self.expect("send", result);
    }

    /// Sends a message of these parts, or nothing if no peer takes it now: either library gives a connection up for
    /// good when the peer's handshake breaks the protocol, and that may have happened already.
    #[track_caller]
    pub fn offer<P: AsRef<[u8]>>(&mut self, parts: &[P]) {
        self.set_int(option::SNDTIMEO, 0);
        let result = self.try_send(parts);
        self.set_int(option::SNDTIMEO, GUARD.as_millis() as i32);
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => self.expect("send", other),
        }
    }

    /// Connects a PEER and returns the routing id of its peer.
    #[track_caller]
    pub fn connect_peer(&mut self, endpoint: &str) -> u32 {
        let result = match &mut self.inner {
            Inner::Zlink(socket, _) => socket.connect_peer(endpoint).map_err(io::Error::other),
            Inner::Libzmq(peer) => peer.connect_peer(endpoint),
        };
        self.expect(endpoint, result)
    }

    /// Joins a group.
    #[track_caller]
    pub fn join(&mut self, group: &[u8]) {
        let result = match &mut self.inner {
            Inner::Zlink(socket, _) => socket.join(group).map_err(io::Error::other),
            Inner::Libzmq(peer) => peer.change_group(group, true),
        };
        self.expect("join", result);
    }

    /// Leaves a group.
    #[track_caller]
    pub fn leave(&mut self, group: &[u8]) {
        let result = match &mut self.inner {
            Inner::Zlink(socket, _) => socket.leave(group).map_err(io::Error::other),
            Inner::Libzmq(peer) => peer.change_group(group, false),
        };
        self.expect("leave", result);
    }

    /// Sends a message of one part with what it says beside its body.
    #[track_caller]
    pub fn send_labelled(&mut self, label: &Label, body: &[u8]) {
        let result = match &mut self.inner {
            Inner::Zlink(socket, _) => {
                let mut message = Message::from(body);
                message.set_routing_id(label.routing_id);
                let named = message.set_group(&label.group).map_err(io::Error::other);
                named.and_then(|()| socket.send(message).map_err(|failed| io::Error::other(failed.error)))
            }
            Inner::Libzmq(peer) => peer.send_labelled(label, body),
        };
        self.expect("send", result);
    }

    fn labelled(&mut self) -> io::Result<(Label, Vec<u8>)> {
        match &mut self.inner {
            Inner::Zlink(socket, _) => match socket.recv() {
                Ok(message) => {
                    let label = Label { routing_id: message.routing_id(), group: message.group().to_vec() };
                    Ok((label, message.to_vec()))
                }
                Err(Error::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
                Err(error) => Err(io::Error::other(error)),
            },
            Inner::Libzmq(peer) => peer.recv_labelled(),
        }
    }

    /// Receives a message of one part with what it says beside its body.
    #[track_caller]
    pub fn recv_labelled(&mut self) -> (Label, Vec<u8>) {
        let result = self.labelled();
        self.expect("receive", result)
    }

    /// As [`recv_labelled`](Self::recv_labelled), or nothing if none comes within `ZMQ_RCVTIMEO`.
    #[track_caller]
    pub fn try_recv_labelled(&mut self) -> Option<(Label, Vec<u8>)> {
        match self.labelled() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            other => Some(self.expect("receive", other)),
        }
    }

    fn try_recv(&mut self) -> io::Result<Parts> {
        match &mut self.inner {
            Inner::Zlink(socket, _) => match socket.recv_multipart() {
                Ok(parts) => Ok(parts.iter().map(|part| part.to_vec()).collect()),
                Err(Error::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
                Err(error) => Err(io::Error::other(error)),
            },
            Inner::Libzmq(peer) => peer.recv(),
        }
    }

    /// Receives a message.
    #[track_caller]
    pub fn recv(&mut self) -> Parts {
        let result = self.try_recv();
        self.expect("receive", result)
    }

    /// Receives a message, or nothing if none comes within `limit`.
    #[track_caller]
    pub fn recv_within(&mut self, limit: Duration) -> Option<Parts> {
        self.set_int(option::RCVTIMEO, limit.as_millis() as i32);
        let result = self.try_recv();
        self.set_int(option::RCVTIMEO, GUARD.as_millis() as i32);
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            other => Some(self.expect("receive", other)),
        }
    }

    /// Subscribes to a topic, as the type does it.
    #[track_caller]
    pub fn subscribe(&mut self, topic: &[u8]) {
        self.change_subscription(option::SUBSCRIBE, 1, topic);
    }

    /// Takes a subscription back, as the type does it.
    #[track_caller]
    pub fn unsubscribe(&mut self, topic: &[u8]) {
        self.change_subscription(option::UNSUBSCRIBE, 0, topic);
    }

    #[track_caller]
    fn change_subscription(&mut self, option: i32, first: u8, topic: &[u8]) {
        if self.socket_type == SocketType::Xsub {
            self.send(&[[&[first], topic].concat()]);
        } else {
            self.set(option, topic);
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.library, self.socket_type.as_str())
    }
}
