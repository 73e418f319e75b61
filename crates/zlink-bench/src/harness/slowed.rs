//! An engine slowed on purpose, to see the gate fail.

use std::io;
use std::time::{Duration, Instant};

use super::{Library, Socket, SocketOptions};

/// Another library, which wastes some time over every part it receives.
pub(crate) struct Slowed<L> {
    pub(crate) library: L,
    pub(crate) waste: Duration,
}

pub(crate) struct SlowedSocket<S> {
    socket: S,
    waste: Duration,
}

impl<L: Library> Library for Slowed<L> {
    type Socket = SlowedSocket<L::Socket>;

    fn version(&self) -> String {
        let nanos = self.waste.as_nanos();
        format!("{}, slowed on purpose by {nanos} ns a message", self.library.version())
    }

    fn socket(&self, socket_type: i32, options: SocketOptions) -> io::Result<Self::Socket> {
        let socket = self.library.socket(socket_type, options)?;
        Ok(SlowedSocket { socket, waste: self.waste })
    }
}

impl<S: Socket> Socket for SlowedSocket<S> {
    type Message = S::Message;

    fn bind(&mut self, endpoint: &str) -> io::Result<String> {
        self.socket.bind(endpoint)
    }

    fn connect(&mut self, endpoint: &str) -> io::Result<()> {
        self.socket.connect(endpoint)
    }

    fn establish(&mut self) -> io::Result<()> {
        self.socket.establish()
    }

    fn subscribe(&mut self, topic: &[u8]) -> io::Result<()> {
        self.socket.subscribe(topic)
    }

    fn message(&self, size: usize) -> io::Result<S::Message> {
        self.socket.message(size)
    }

    fn empty(&self, largest: usize) -> io::Result<S::Message> {
        self.socket.empty(largest)
    }

    fn send(&mut self, message: &mut S::Message, more: bool) -> io::Result<()> {
        self.socket.send(message, more)
    }

    fn send_fresh(&mut self, size: usize) -> io::Result<()> {
        self.socket.send_fresh(size)
    }

    fn send_stamped(&mut self, size: usize, stamp: [u8; 8]) -> io::Result<()> {
        self.socket.send_stamped(size, stamp)
    }

    fn send_part(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.send_part(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }

    fn recv(&mut self, message: &mut S::Message) -> io::Result<usize> {
        let size = self.socket.recv(message)?;
        let begin = Instant::now();
        while begin.elapsed() < self.waste {
            std::hint::spin_loop();
        }
        Ok(size)
    }

    fn stamp(&self, message: &S::Message) -> [u8; 8] {
        self.socket.stamp(message)
    }

    fn wait_readable(&mut self) -> io::Result<()> {
        self.socket.wait_readable()
    }
}
