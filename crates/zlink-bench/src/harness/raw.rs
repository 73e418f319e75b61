//! The floor: plain sockets with ZMTP/2 framing and nothing else.
//!
//! A round trip is `epoll_wait`, `recv`, `send` on each side. A stream is written 64 KiB at a time,
//! whatever the borders of its messages, and read the same way, each frame decoded and its body copied
//! once into the caller's buffer. There are no handshake, no queues, no threads and no high-water mark. As in
//! zlink, TCP does not pace by BBR over the loopback interface.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::event::epoll;
use rustix::net::{self, AddressFamily, SocketType, sockopt};

use super::{Library, Socket, SocketOptions, Source, first_eight};
use crate::cell::Kind;

const CHUNK: usize = 64 * 1024;
const HEADER_MAX: usize = 9;
const FLAG_LONG: u8 = 2;

/// No library at all.
pub(crate) struct Raw {
    kind: Kind,
}

impl Raw {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind }
    }
}

impl Library for Raw {
    type Socket = RawSocket;

    fn version(&self) -> String {
        "plain sockets".into()
    }

    fn socket(&self, _socket_type: i32, _options: SocketOptions) -> io::Result<RawSocket> {
        Ok(RawSocket {
            waits: self.kind != Kind::Stream,
            listener: None,
            connection: None,
            source: Source::default(),
            out: Vec::with_capacity(CHUNK),
            input: vec![0; CHUNK].into_boxed_slice(),
            start: 0,
            end: 0,
        })
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Before a socket is connected, or has accepted: what has paced once paces for ever.
fn forgo_pacing(socket: impl AsFd) -> io::Result<()> {
    if sockopt::tcp_congestion(&socket)? == "bbr" {
        sockopt::set_tcp_congestion(&socket, "reno")?;
    }
    Ok(())
}

trait Stream: Read + Write + AsFd + Send {}
impl<T: Read + Write + AsFd + Send> Stream for T {}

struct Connection {
    stream: Box<dyn Stream>,
    epoll: OwnedFd,
}

impl Connection {
    fn new(stream: Box<dyn Stream>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(0);
        epoll::add(&epoll, stream.as_fd(), data, epoll::EventFlags::IN)?;
        Ok(Self { stream, epoll })
    }

    fn wait(&self) -> io::Result<()> {
        let mut events = [MaybeUninit::uninit(); 1];
        loop {
            match epoll::wait(&self.epoll, &mut events, None) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(()),
            }
        }
    }
}

pub(crate) struct RawSocket {
    /// Whether to ask epoll before each read, as a program with several connections has to.
    waits: bool,
    listener: Option<Listener>,
    connection: Option<Connection>,
    source: Source,
    out: Vec<u8>,
    input: Box<[u8]>,
    start: usize,
    end: usize,
}

/// A body of the caller, with the length of what it holds.
pub(crate) struct RawMessage {
    bytes: Vec<u8>,
    length: usize,
}

fn not_connected() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

fn header(size: usize, space: &mut [u8; HEADER_MAX]) -> usize {
    if let Ok(short) = u8::try_from(size) {
        space[..2].copy_from_slice(&[0, short]);
        2
    } else {
        space[0] = FLAG_LONG;
        space[1..].copy_from_slice(&(size as u64).to_be_bytes());
        HEADER_MAX
    }
}

/// Adds `bytes` to `out` and writes it whenever it is full.
fn append(stream: &mut dyn Stream, out: &mut Vec<u8>, mut bytes: &[u8]) -> io::Result<()> {
    while out.len() + bytes.len() >= CHUNK {
        let (now, later) = bytes.split_at(CHUNK - out.len());
        out.extend_from_slice(now);
        stream.write_all(out)?;
        out.clear();
        bytes = later;
    }
    out.extend_from_slice(bytes);
    Ok(())
}

impl RawSocket {
    /// Reads until at least `needed` bytes lie in the input buffer.
    fn fill(&mut self, needed: usize) -> io::Result<()> {
        let connection = self.connection.as_mut().ok_or_else(not_connected)?;
        while self.end - self.start < needed {
            if self.start == self.end {
                (self.start, self.end) = (0, 0);
            } else if self.start + needed > self.input.len() || self.end == self.input.len() {
                self.input.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
            if self.waits {
                connection.wait()?;
            }
            match connection.stream.read(&mut self.input[self.end..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Socket for RawSocket {
    type Message = RawMessage;

    fn bind(&mut self, endpoint: &str) -> io::Result<String> {
        if let Some(address) = endpoint.strip_prefix("tcp://") {
            let listener = TcpListener::bind(address.replace('*', "0"))?;
            forgo_pacing(&listener)?;
            let bound = format!("tcp://{}", listener.local_addr()?);
            self.listener = Some(Listener::Tcp(listener));
            Ok(bound)
        } else if let Some(path) = endpoint.strip_prefix("ipc://") {
            self.listener = Some(Listener::Unix(UnixListener::bind(path)?));
            Ok(endpoint.to_owned())
        } else {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn connect(&mut self, endpoint: &str) -> io::Result<()> {
        let stream: Box<dyn Stream> = if let Some(address) = endpoint.strip_prefix("tcp://") {
            let address: SocketAddr = address.parse().map_err(io::Error::other)?;
            let socket = net::socket(
                if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 },
                SocketType::STREAM,
                None,
            )?;
            forgo_pacing(&socket)?;
            net::connect(&socket, &address)?;
            let stream = TcpStream::from(socket);
            stream.set_nodelay(true)?;
            Box::new(stream)
        } else if let Some(path) = endpoint.strip_prefix("ipc://") {
            Box::new(UnixStream::connect(path)?)
        } else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        self.connection = Some(Connection::new(stream)?);
        Ok(())
    }

    fn establish(&mut self) -> io::Result<()> {
        let stream: Box<dyn Stream> = match self.listener.take() {
            None => return Ok(()),
            Some(Listener::Tcp(listener)) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Some(Listener::Unix(listener)) => Box::new(listener.accept()?.0),
        };
        self.connection = Some(Connection::new(stream)?);
        Ok(())
    }

    fn subscribe(&mut self, _topic: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn await_subscription(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn message(&self, size: usize) -> io::Result<RawMessage> {
        Ok(RawMessage { bytes: vec![0; size], length: size })
    }

    fn empty(&self, largest: usize) -> io::Result<RawMessage> {
        Ok(RawMessage { bytes: vec![0; largest], length: 0 })
    }

    #[inline]
    fn send(&mut self, message: &mut RawMessage, _more: bool) -> io::Result<()> {
        let connection = self.connection.as_mut().ok_or_else(not_connected)?;
        let body = &message.bytes[..message.length];
        let mut space = [0; HEADER_MAX];
        let head = header(body.len(), &mut space);
        append(&mut *connection.stream, &mut self.out, &space[..head])?;
        append(&mut *connection.stream, &mut self.out, body)?;
        self.flush()
    }

    #[inline]
    fn send_fresh(&mut self, size: usize) -> io::Result<()> {
        let connection = self.connection.as_mut().ok_or_else(not_connected)?;
        let mut space = [0; HEADER_MAX];
        let head = header(size, &mut space);
        append(&mut *connection.stream, &mut self.out, &space[..head])?;
        append(&mut *connection.stream, &mut self.out, self.source.fresh(size))
    }

    /// One write a message: there is no telling when the next one comes.
    fn send_stamped(&mut self, size: usize, stamp: [u8; 8]) -> io::Result<()> {
        self.source.stamped(size, stamp);
        self.send_fresh(size)?;
        self.flush()
    }

    fn send_part(&mut self, _bytes: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn stamp(&self, message: &RawMessage) -> [u8; 8] {
        first_eight(&message.bytes[..message.length])
    }

    fn wait_readable(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        let connection = self.connection.as_mut().ok_or_else(not_connected)?;
        connection.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    #[inline]
    fn recv(&mut self, message: &mut RawMessage) -> io::Result<usize> {
        if self.end - self.start < 2 {
            self.fill(2)?;
        }
        let size = if self.input[self.start] & FLAG_LONG == 0 {
            let size = usize::from(self.input[self.start + 1]);
            self.start += 2;
            size
        } else {
            self.fill(HEADER_MAX)?;
            let mut length = [0; 8];
            length.copy_from_slice(&self.input[self.start + 1..self.start + HEADER_MAX]);
            self.start += HEADER_MAX;
            usize::try_from(u64::from_be_bytes(length)).map_err(io::Error::other)?
        };
        if size > message.bytes.len() {
            return Err(io::Error::other(format!("a frame of {size} bytes does not fit")));
        }
        message.length = size;
        let mut filled = 0;
        loop {
            let now = (size - filled).min(self.end - self.start);
            message.bytes[filled..filled + now].copy_from_slice(&self.input[self.start..self.start + now]);
            self.start += now;
            filled += now;
            if filled == size {
                return Ok(size);
            }
            self.fill(1)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (RawSocket, RawSocket) {
        let raw = Raw::new(Kind::Stream);
        let options = SocketOptions {
            hwm: None,
            security: crate::harness::Security::None,
            routing: Default::default(),
            batching: Default::default(),
            backlog: None,
        };
        let mut bound = raw.socket(7, options).expect("raw sockets always open");
        let endpoint = bound.bind("tcp://127.0.0.1:*").expect("a free port exists");
        let mut connected = raw.socket(8, options).expect("raw sockets always open");
        connected.connect(&endpoint).expect("the listener is there");
        bound.establish().expect("the connection is there");
        (bound, connected)
    }

    #[test]
    fn bodies_of_every_framing_arrive_whole() {
        let sizes = [0, 1, 255, 256, 8191, CHUNK / 2, CHUNK - 1, CHUNK, CHUNK + 1, 1 << 20];
        let (mut bound, mut connected) = pair();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for (index, size) in sizes.into_iter().enumerate() {
                    let bytes = (0..size).map(|byte| (byte % 251) as u8 ^ index as u8).collect();
                    let mut message = RawMessage { bytes, length: size };
                    connected.send(&mut message, false).expect("the peer reads");
                }
            });
            let mut message = bound.empty(1 << 20).expect("memory suffices");
            for (index, size) in sizes.into_iter().enumerate() {
                assert_eq!(bound.recv(&mut message).expect("the peer writes"), size);
                let intact = message.bytes[..size]
                    .iter()
                    .enumerate()
                    .all(|(at, byte)| *byte == (at % 251) as u8 ^ index as u8);
                assert!(intact, "the body of {size} bytes has changed on the way");
            }
        });
    }

    #[test]
    fn a_gathered_stream_is_cut_into_the_frames_that_were_sent() {
        let (mut bound, mut connected) = pair();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for size in 0..2000 {
                    connected.send_fresh(size).expect("the peer reads");
                }
                connected.flush().expect("the peer reads");
            });
            let mut message = bound.empty(2000).expect("memory suffices");
            for size in 0..2000 {
                assert_eq!(bound.recv(&mut message).expect("the peer writes"), size);
            }
        });
    }

    #[test]
    fn a_frame_larger_than_the_buffer_is_an_error() {
        let (mut bound, mut connected) = pair();
        connected.send_fresh(100).expect("the kernel takes it");
        connected.flush().expect("the kernel takes it");
        let mut message = bound.empty(99).expect("memory suffices");
        assert!(bound.recv(&mut message).is_err());
    }
}
