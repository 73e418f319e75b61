//! A peer made of a plain socket: what it sends and when it reads is up to the test.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use rustix::io::Errno;
use rustix::net::{SendFlags, sockopt};
use zlink_zmtp::handshake::DEFAULT_MAX_COMMAND_SIZE;
use zlink_zmtp::{Handshake, HandshakeConfig, Security, SocketType, Zap};

use super::{GUARD, Transport};

pub enum RawStream {
    Tcp(TcpStream),
    Ipc(UnixStream),
}

impl RawStream {
    pub fn connect(endpoint: &str) -> Self {
        let stream = match endpoint.split_once("://") {
            Some(("tcp", address)) => RawStream::Tcp(TcpStream::connect(address).expect("connect")),
            Some(("ipc", path)) => RawStream::Ipc(connect_unix(path)),
            _ => panic!("no transport for {endpoint}"),
        };
        stream.guard();
        stream
    }

    fn guard(&self) {
        let guard = Some(GUARD);
        match self {
            RawStream::Tcp(stream) => {
                stream.set_nodelay(true).expect("option");
                stream.set_read_timeout(guard).and(stream.set_write_timeout(guard)).expect("option");
            }
            RawStream::Ipc(stream) => {
                stream.set_read_timeout(guard).and(stream.set_write_timeout(guard)).expect("option");
            }
        }
    }

    pub fn set_receive_buffer(&self, bytes: usize) {
        sockopt::set_socket_recv_buffer_size(self, bytes).expect("option");
    }

    pub fn try_clone(&self) -> Self {
        match self {
            RawStream::Tcp(stream) => RawStream::Tcp(stream.try_clone().expect("clone")),
            RawStream::Ipc(stream) => RawStream::Ipc(stream.try_clone().expect("clone")),
        }
    }

    /// Writes until the peer, closing, no longer takes it.
    pub fn write_as_far_as_possible(&mut self, bytes: &[u8]) {
        let _ = self.write_all(bytes);
    }

    /// Says that nothing more will be written, unless the other side has closed already.
    pub fn finish(&self) {
        let how = std::net::Shutdown::Write;
        let _ = match self {
            RawStream::Tcp(stream) => stream.shutdown(how),
            RawStream::Ipc(stream) => stream.shutdown(how),
        };
    }

    /// Reads until the other side closes. A reset is a close, too.
    pub fn read_to_close(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error)
                if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {}
            Err(error) => panic!("the connection was not closed: {error}"),
        }
        bytes
    }
}

fn connect_unix(path: &str) -> UnixStream {
    loop {
        let result = match path.strip_prefix('@') {
            Some(name) => {
                SocketAddr::from_abstract_name(name).and_then(|address| UnixStream::connect_addr(&address))
            }
            None => UnixStream::connect(path),
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
            other => return other.expect("connect"),
        }
    }
}

impl Read for RawStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            RawStream::Tcp(stream) => stream.read(buffer),
            RawStream::Ipc(stream) => stream.read(buffer),
        }
    }
}

impl Write for RawStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            RawStream::Tcp(stream) => stream.write(bytes),
            RawStream::Ipc(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for RawStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            RawStream::Tcp(stream) => stream.as_fd(),
            RawStream::Ipc(stream) => stream.as_fd(),
        }
    }
}

pub enum RawListener {
    Tcp(TcpListener),
    Ipc(UnixListener, String),
}

impl RawListener {
    pub fn bind(transport: Transport) -> Self {
        Self::bind_at(&match transport {
            Transport::Tcp => "tcp://127.0.0.1:0".to_owned(),
            Transport::Ipc => transport.unbound(),
        })
    }

    pub fn bind_at(endpoint: &str) -> Self {
        match endpoint.split_once("://") {
            Some(("tcp", address)) => RawListener::Tcp(TcpListener::bind(address).expect("bind")),
            Some(("ipc", path)) => {
                let name = path.strip_prefix('@').expect("an abstract name");
                let address = SocketAddr::from_abstract_name(name).expect("address");
                RawListener::Ipc(UnixListener::bind_addr(&address).expect("bind"), endpoint.to_owned())
            }
            _ => panic!("no transport for {endpoint}"),
        }
    }

    /// A listener whose connections take in little before they are read.
    pub fn bind_tiny(transport: Transport) -> Self {
        let listener = Self::bind(transport);
        // Inherited by accepted connections. The kernel of an `ipc` sender counts in its own send buffer.
        if let RawListener::Tcp(listener) = &listener {
            // Segments as large as those of the loopback device would never fit: a sender then waits for its
            // timer each time.
            socket2::SockRef::from(listener).set_tcp_mss(500).expect("option");
            sockopt::set_socket_recv_buffer_size(listener, 4096).expect("option");
        }
        listener
    }

    pub fn endpoint(&self) -> String {
        match self {
            RawListener::Tcp(listener) => format!("tcp://{}", listener.local_addr().expect("address")),
            RawListener::Ipc(_, endpoint) => endpoint.clone(),
        }
    }

    pub fn accept(&self) -> RawStream {
        let stream = match self {
            RawListener::Tcp(listener) => RawStream::Tcp(listener.accept().expect("accept").0),
            RawListener::Ipc(listener, _) => RawStream::Ipc(listener.accept().expect("accept").0),
        };
        stream.guard();
        stream
    }

    /// Accepts a connection and completes the handshake.
    pub fn accept_peer(&self, socket_type: SocketType) -> RawPeer {
        RawPeer::shake(self.accept(), socket_type)
    }
}

/// A connection past its handshake.
pub struct RawPeer {
    pub stream: RawStream,
    /// Bytes read and not used yet.
    rest: Vec<u8>,
}

impl RawPeer {
    pub fn connect(endpoint: &str, socket_type: SocketType) -> Self {
        Self::shake(RawStream::connect(endpoint), socket_type)
    }

    pub fn shake(stream: RawStream, socket_type: SocketType) -> Self {
        Self::try_shake(stream, socket_type).expect("handshake")
    }

    /// Completes the handshake, reading byte by byte so as to leave the traffic in the kernel.
    pub fn try_shake(mut stream: RawStream, socket_type: SocketType) -> io::Result<Self> {
        let mut handshake = Handshake::new(HandshakeConfig {
            socket_type,
            routing_id: Vec::new(),
            metadata: Vec::new(),
            max_command_size: DEFAULT_MAX_COMMAND_SIZE,
            security: Security::Null,
            zap: Zap::Never,
        });
        loop {
            let n = handshake.output().len();
            stream.write_all(handshake.output())?;
            handshake.advance_output(n);
            if handshake.peer().is_some() {
                return Ok(RawPeer { stream, rest: Vec::new() });
            }
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            handshake.input(&byte).map_err(io::Error::other)?;
        }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("write");
    }

    /// Writes what the kernel takes at once.
    pub fn write_now(&mut self, bytes: &[u8]) -> usize {
        match rustix::net::send(&self.stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(n) => n,
            Err(Errno::AGAIN) => 0,
            Err(errno) => panic!("write: {errno}"),
        }
    }

    pub fn send(&mut self, parts: &[&[u8]]) {
        let mut bytes = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            bytes.extend_from_slice(&frame(i + 1 < parts.len(), part));
        }
        self.write(&bytes);
    }

    /// Reads what is there, at most `n` bytes, waiting for one. Empty: the other side closed.
    pub fn read_some(&mut self, n: usize) -> io::Result<Vec<u8>> {
        if !self.rest.is_empty() {
            let n = n.min(self.rest.len());
            return Ok(self.rest.drain(..n).collect());
        }
        let mut bytes = vec![0; n];
        let n = self.stream.read(&mut bytes)?;
        bytes.truncate(n);
        Ok(bytes)
    }

    fn fill(&mut self, n: usize) -> io::Result<()> {
        let mut buffer = [0; 64 * 1024];
        while self.rest.len() < n {
            match self.stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => self.rest.extend_from_slice(&buffer[..n]),
            }
        }
        Ok(())
    }

    /// Reads the next frame: flags and body.
    pub fn try_read_frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        self.fill(2)?;
        let flags = self.rest[0];
        let (header, len) = if flags & 2 == 0 {
            (2, usize::from(self.rest[1]))
        } else {
            self.fill(9)?;
            let len = u64::from_be_bytes(*self.rest[1..].first_chunk().expect("eight bytes"));
            (9, usize::try_from(len).expect("a length that fits"))
        };
        self.fill(header + len)?;
        let body = self.rest[header..header + len].to_vec();
        self.rest.drain(..header + len);
        Ok((flags, body))
    }

    pub fn read_frame(&mut self) -> (u8, Vec<u8>) {
        self.try_read_frame().expect("a frame")
    }

    /// Reads the next message, passing over commands.
    pub fn try_read_message(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut parts = Vec::new();
        loop {
            let (flags, body) = self.try_read_frame()?;
            if flags & 4 != 0 {
                continue;
            }
            parts.push(body);
            if flags & 1 == 0 {
                return Ok(parts);
            }
        }
    }

    pub fn read_message(&mut self) -> Vec<Vec<u8>> {
        self.try_read_message().expect("a message")
    }

    /// Sends a PING and waits for its PONG, which nothing but PONGs may precede.
    pub fn ping(&mut self, context: &[u8]) {
        self.write(&command(&[b"\x04PING\0\0", context].concat()));
        loop {
            let (flags, body) = self.read_frame();
            assert_eq!(flags & 4, 4, "a command");
            assert_eq!(&body[..5], b"\x04PONG");
            if &body[5..] == context {
                return;
            }
        }
    }
}

/// A message frame in its shortest form.
pub fn frame(more: bool, body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len()) {
        Ok(len) => [&[u8::from(more), len], body].concat(),
        Err(_) => long_frame(u8::from(more) | 2, body.len() as u64, body),
    }
}

/// A frame with an eight-byte length, true or not.
pub fn long_frame(flags: u8, len: u64, body: &[u8]) -> Vec<u8> {
    [&[flags], &len.to_be_bytes()[..], body].concat()
}

/// A command frame with this body.
pub fn command(body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len()) {
        Ok(len) => [&[4, len], body].concat(),
        Err(_) => long_frame(6, body.len() as u64, body),
    }
}

/// The greeting of a ZMTP 3.1 peer with the NULL mechanism.
pub fn greeting() -> Vec<u8> {
    let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1];
    bytes.extend_from_slice(b"NULL");
    bytes.resize(64, 0);
    bytes
}

/// A READY command of a peer of this type.
pub fn ready(socket_type: &str) -> Vec<u8> {
    let mut body = b"\x05READY\x0bSocket-Type".to_vec();
    body.extend_from_slice(&(socket_type.len() as u32).to_be_bytes());
    body.extend_from_slice(socket_type.as_bytes());
    command(&body)
}
