//! zlink's own Rust API.
//!
//! Sends what the C functions send, a fresh message of the given size, and receives into a message, by the calls that the
//! documentation names as the fastest.

use std::io;
use std::time::Duration;

use zlink::curve::{PublicKey, SecretKey};

use super::{
    Batching, CLIENT_PUBLIC, CLIENT_SECRET, Library, SERVER_PUBLIC, SERVER_SECRET, Security, Socket,
    SocketOptions, Source, first_eight, routing_id,
};

/// A context of the `zlink` crate.
pub(crate) struct RustLibrary(zlink::Context);

impl RustLibrary {
    pub(crate) fn new() -> Self {
        Self(zlink::Context::new())
    }
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

fn public(text: &str) -> io::Result<PublicKey> {
    PublicKey::from_z85(text).ok_or_else(|| other("not a key"))
}

fn secret(text: &str) -> io::Result<SecretKey> {
    SecretKey::from_z85(text).ok_or_else(|| other("not a key"))
}

fn socket_type(number: i32) -> io::Result<zlink::SocketType> {
    zlink::SocketType::from_i32(number).ok_or_else(|| io::ErrorKind::Unsupported.into())
}

fn set_batching(socket: &zlink::Socket, batching: &Batching) -> io::Result<()> {
    if let Some(mode) = batching.mode {
        socket.set_write_batching(mode).map_err(other)?;
    }
    if let Some(micros) = batching.timeout_us {
        let micros = u64::try_from(micros).map_err(other)?;
        socket.set_batch_timeout(Duration::from_micros(micros)).map_err(other)?;
    }
    if let Some(messages) = batching.messages {
        socket.set_batch_max_messages(messages).map_err(other)?;
    }
    if let Some(bytes) = batching.bytes {
        socket.set_batch_max_bytes(bytes).map_err(other)?;
    }
    Ok(())
}

/// One socket, and the bytes it sends fresh messages from.
pub(crate) struct RustSocket {
    socket: zlink::Socket,
    source: Source,
}

impl Library for RustLibrary {
    type Socket = RustSocket;

    fn version(&self) -> String {
        "Rust API".into()
    }

    fn socket(&self, number: i32, options: SocketOptions) -> io::Result<RustSocket> {
        let socket = self.0.socket(socket_type(number)?).map_err(other)?;
        if let Some(hwm) = options.hwm {
            socket.set_send_hwm(hwm).map_err(other)?;
            socket.set_receive_hwm(hwm).map_err(other)?;
        }
        match options.security {
            Security::None => {}
            Security::CurveServer => {
                socket.set_curve_server(true).map_err(other)?;
                socket.set_curve_secret_key(&secret(SERVER_SECRET)?).map_err(other)?;
            }
            Security::CurveClient => {
                socket.set_curve_server_key(&public(SERVER_PUBLIC)?).map_err(other)?;
                socket.set_curve_public_key(&public(CLIENT_PUBLIC)?).map_err(other)?;
                socket.set_curve_secret_key(&secret(CLIENT_SECRET)?).map_err(other)?;
            }
        }
        if let Some(backlog) = options.backlog {
            socket.set_backlog(backlog).map_err(other)?;
        }
        if let Some(number) = options.routing.own {
            socket.set_routing_id(&routing_id(number)).map_err(other)?;
        }
        if let Some(number) = options.routing.peer {
            socket.set_connect_routing_id(&routing_id(number)).map_err(other)?;
            if socket.socket_type() == zlink::SocketType::Router {
                socket.set_router_mandatory(true).map_err(other)?;
            }
        }
        if socket.socket_type() == zlink::SocketType::Xpub {
            socket.set_xpub_nodrop(true).map_err(other)?;
            socket.set_xpub_verbose(true).map_err(other)?;
        }
        set_batching(&socket, &options.batching)?;
        Ok(RustSocket { socket, source: Source::default() })
    }
}

impl Socket for RustSocket {
    type Message = zlink::Message;

    fn bind(&mut self, endpoint: &str) -> io::Result<String> {
        self.socket.bind(endpoint).map_err(other)?;
        self.socket.last_endpoint().map_err(other)
    }

    fn connect(&mut self, endpoint: &str) -> io::Result<()> {
        self.socket.connect(endpoint).map_err(other)
    }

    fn subscribe(&mut self, topic: &[u8]) -> io::Result<()> {
        self.socket.subscribe(topic).map_err(other)
    }

    fn message(&self, size: usize) -> io::Result<zlink::Message> {
        Ok(zlink::Message::from(vec![0; size]))
    }

    fn empty(&self, _largest: usize) -> io::Result<zlink::Message> {
        self.message(0)
    }

    #[inline]
    fn send(&mut self, message: &mut zlink::Message, more: bool) -> io::Result<()> {
        let message = std::mem::take(message);
        let sent = if more { self.socket.send_more(message) } else { self.socket.send(message) };
        sent.map_err(other)
    }

    #[inline]
    fn send_fresh(&mut self, size: usize) -> io::Result<()> {
        self.socket.send_slice(self.source.fresh(size)).map_err(other)
    }

    #[inline]
    fn send_stamped(&mut self, size: usize, stamp: [u8; 8]) -> io::Result<()> {
        self.socket.send_slice(self.source.stamped(size, stamp)).map_err(other)
    }

    #[inline]
    fn send_part(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.send_more(bytes).map_err(other)
    }

    #[inline]
    fn stamp(&self, message: &zlink::Message) -> [u8; 8] {
        first_eight(message)
    }

    fn wait_readable(&mut self) -> io::Result<()> {
        let mut items = [self.socket.as_poll_item(zlink::Events::IN)];
        zlink::poll(&mut items, None).map(drop).map_err(other)
    }

    #[inline]
    fn recv(&mut self, message: &mut zlink::Message) -> io::Result<usize> {
        self.socket.recv_message(message).map_err(other)?;
        Ok(message.len())
    }
}
