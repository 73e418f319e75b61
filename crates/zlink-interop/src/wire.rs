//! Peers that are no library: plain streams, whose bytes the test spells out.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};

use socket2::SockRef;

use crate::GUARD;
use crate::node::Node;
use crate::place::{Place, Transport};

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// One end of a connection.
pub struct WirePeer {
    stream: Box<dyn Stream>,
}

impl WirePeer {
    fn tcp(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a TCP socket has this option");
        stream.set_read_timeout(Some(GUARD)).expect("the time-out is not zero");
        stream.set_write_timeout(Some(GUARD)).expect("the time-out is not zero");
        WirePeer { stream: Box::new(stream) }
    }

    fn unix(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(GUARD)).expect("the time-out is not zero");
        stream.set_write_timeout(Some(GUARD)).expect("the time-out is not zero");
        WirePeer { stream: Box::new(stream) }
    }

    /// Connects to an endpoint that was bound.
    pub fn connect(endpoint: &str) -> Self {
        match endpoint.split_once("://") {
            Some(("tcp", address)) => Self::tcp(TcpStream::connect(address).expect(endpoint)),
            Some(("ipc", path)) => Self::unix(UnixStream::connect(path).expect(endpoint)),
            _ => panic!("{endpoint} is not an endpoint for a stream"),
        }
    }

    /// Writes these bytes.
    #[track_caller]
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap_or_else(|error| panic!("write: {error}"));
    }

    /// Writes these bytes one by one.
    #[track_caller]
    pub fn write_slowly(&mut self, bytes: &[u8]) {
        bytes.chunks(1).for_each(|byte| self.write(byte));
    }

    /// Reads this many bytes.
    #[track_caller]
    pub fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap_or_else(|error| panic!("read: {error}"));
        bytes
    }

    /// Reads as many bytes as these, which they must be.
    #[track_caller]
    pub fn expect(&mut self, bytes: &[u8]) {
        let got = self.read(bytes.len());
        if got != bytes {
            let at = got.iter().zip(bytes).position(|(got, want)| got != want).unwrap_or_default();
            let end = bytes.len().min(at + 16);
            panic!("byte {at} of {}: got {:02x?}…, not {:02x?}…", got.len(), &got[at..end], &bytes[at..end]);
        }
    }

    /// Reads one byte, or `None` if the other end has closed the connection.
    #[track_caller]
    pub fn read_byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        match self.stream.read_exact(&mut byte) {
            Ok(()) => Some(byte[0]),
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                None
            }
            Err(error) => panic!("read: {error}"),
        }
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "removes the file at the end")] Place),
}

/// A place where a library's connection is accepted as a plain stream.
pub struct WireListener {
    listener: Listener,
    endpoint: String,
}

impl WireListener {
    /// Listens, for peers that speak TCP itself or IPC.
    ///
    /// # Panics
    ///
    /// Over any other transport.
    pub fn new(transport: Transport) -> Self {
        match transport {
            Transport::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
                SockRef::from(&listener).set_read_timeout(Some(GUARD)).expect("the time-out is not zero");
                let address = listener.local_addr().expect("a bound socket has an address");
                WireListener { listener: Listener::Tcp(listener), endpoint: format!("tcp://{address}") }
            }
            Transport::Ipc => {
                let place = Place::new(transport);
                let endpoint = place.endpoint().to_owned();
                let path = endpoint.trim_start_matches("ipc://");
                let listener = UnixListener::bind(path).expect("the folder is new");
                SockRef::from(&listener).set_read_timeout(Some(GUARD)).expect("the time-out is not zero");
                WireListener { listener: Listener::Unix(listener, place), endpoint }
            }
            Transport::Ws | Transport::Tipc => panic!("no plain streams over {transport}"),
        }
    }

    /// Where to connect to.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Accepts a connection.
    #[track_caller]
    pub fn accept(&self) -> WirePeer {
        match &self.listener {
            Listener::Tcp(listener) => {
                WirePeer::tcp(listener.accept().unwrap_or_else(|error| panic!("accept: {error}")).0)
            }
            Listener::Unix(listener, _) => {
                WirePeer::unix(listener.accept().unwrap_or_else(|error| panic!("accept: {error}")).0)
            }
        }
    }
}

/// Lets `node` and a plain stream meet; `bound` says whether the node binds. Options are to be set before.
pub fn meet(node: &mut Node, transport: Transport, bound: bool) -> WirePeer {
    if bound {
        let endpoint = node.bind(transport.wildcard());
        return WirePeer::connect(&endpoint);
    }
    let listener = WireListener::new(transport);
    node.connect(listener.endpoint());
    let peer = listener.accept();
    if let Listener::Unix(..) = &listener.listener {
        // The connection stands without it.
        let _ = fs::remove_file(listener.endpoint().trim_start_matches("ipc://"));
    }
    peer
}

/// A message frame of ZMTP 2.0 and later. Source: 15/ZMTP, "Framing".
pub fn v2_frame(more: bool, body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len()) {
        Ok(len) => [&[u8::from(more), len], body].concat(),
        Err(_) => [&[u8::from(more) | 2][..], &(body.len() as u64).to_be_bytes(), body].concat(),
    }
}

/// A frame of ZMTP 1.0, whose length counts the flags. Source: 13/ZMTP, "Framing".
pub fn v1_frame(more: bool, body: &[u8]) -> Vec<u8> {
    let len = body.len() as u64 + 1;
    match u8::try_from(len) {
        Ok(len) if len < 255 => [&[len, u8::from(more)], body].concat(),
        _ => [&[255][..], &len.to_be_bytes(), &[u8::from(more)], body].concat(),
    }
}
