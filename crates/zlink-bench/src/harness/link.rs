//! How messages are addressed: what a pattern puts in front of a body, on either side.

use std::io;

use super::{ROUTING_ID_MAX, Socket, routing_id};

/// Sends and receives bodies through a socket, with what its pattern needs around them.
pub(super) trait Link<S: Socket> {
    /// Receives one body into `message` and returns its size in bytes.
    fn recv(&mut self, socket: &mut S, message: &mut S::Message) -> io::Result<usize>;

    /// Sends `message`: to the peer, or back to where the last body came from.
    fn send(&mut self, socket: &mut S, message: &mut S::Message) -> io::Result<()>;

    /// As [`Socket::send_fresh`].
    fn send_fresh(&mut self, socket: &mut S, size: usize) -> io::Result<()>;

    /// As [`Socket::send_stamped`].
    fn send_stamped(&mut self, socket: &mut S, size: usize, stamp: [u8; 8]) -> io::Result<()>;
}

/// Bodies alone.
pub(super) struct Plain;

impl<S: Socket> Link<S> for Plain {
    #[inline]
    fn recv(&mut self, socket: &mut S, message: &mut S::Message) -> io::Result<usize> {
        socket.recv(message)
    }

    #[inline]
    fn send(&mut self, socket: &mut S, message: &mut S::Message) -> io::Result<()> {
        socket.send(message, false)
    }

    #[inline]
    fn send_fresh(&mut self, socket: &mut S, size: usize) -> io::Result<()> {
        socket.send_fresh(size)
    }

    #[inline]
    fn send_stamped(&mut self, socket: &mut S, size: usize, stamp: [u8; 8]) -> io::Result<()> {
        socket.send_stamped(size, stamp)
    }
}

/// A ROUTER that answers whoever sent last.
pub(super) struct Routed<S: Socket> {
    sender: S::Message,
}

impl<S: Socket> Routed<S> {
    pub(super) fn new(socket: &S) -> io::Result<Self> {
        Ok(Self { sender: socket.empty(ROUTING_ID_MAX)? })
    }
}

impl<S: Socket> Link<S> for Routed<S> {
    #[inline]
    fn recv(&mut self, socket: &mut S, message: &mut S::Message) -> io::Result<usize> {
        socket.recv(&mut self.sender)?;
        socket.recv(message)
    }

    #[inline]
    fn send(&mut self, socket: &mut S, message: &mut S::Message) -> io::Result<()> {
        socket.send(&mut self.sender, true)?;
        socket.send(message, false)
    }

    fn send_fresh(&mut self, socket: &mut S, size: usize) -> io::Result<()> {
        socket.send(&mut self.sender, true)?;
        socket.send_fresh(size)
    }

    fn send_stamped(&mut self, socket: &mut S, size: usize, stamp: [u8; 8]) -> io::Result<()> {
        socket.send(&mut self.sender, true)?;
        socket.send_stamped(size, stamp)
    }
}

/// A ROUTER that talks with one peer, whose routing id it knows.
pub(super) struct Addressed<S: Socket> {
    peer: [u8; 8],
    sender: S::Message,
}

impl<S: Socket> Addressed<S> {
    pub(super) fn new(socket: &S, peer: u32) -> io::Result<Self> {
        Ok(Self { peer: routing_id(peer), sender: socket.empty(ROUTING_ID_MAX)? })
    }
}

impl<S: Socket> Link<S> for Addressed<S> {
    #[inline]
    fn recv(&mut self, socket: &mut S, message: &mut S::Message) -> io::Result<usize> {
        socket.recv(&mut self.sender)?;
        socket.recv(message)
    }

    #[inline]
    fn send(&mut self, socket: &mut S, message: &mut S::Message) -> io::Result<()> {
        socket.send_part(&self.peer)?;
        socket.send(message, false)
    }

    #[inline]
    fn send_fresh(&mut self, socket: &mut S, size: usize) -> io::Result<()> {
        socket.send_part(&self.peer)?;
        socket.send_fresh(size)
    }

    #[inline]
    fn send_stamped(&mut self, socket: &mut S, size: usize, stamp: [u8; 8]) -> io::Result<()> {
        socket.send_part(&self.peer)?;
        socket.send_stamped(size, stamp)
    }
}

/// Another link, with a poll before each message, as a program with several sockets has it.
pub(super) struct Polled<L>(pub(super) L);

impl<S: Socket, L: Link<S>> Link<S> for Polled<L> {
    #[inline]
    fn recv(&mut self, socket: &mut S, message: &mut S::Message) -> io::Result<usize> {
        socket.wait_readable()?;
        self.0.recv(socket, message)
    }

    #[inline]
    fn send(&mut self, socket: &mut S, message: &mut S::Message) -> io::Result<()> {
        self.0.send(socket, message)
    }

    #[inline]
    fn send_fresh(&mut self, socket: &mut S, size: usize) -> io::Result<()> {
        self.0.send_fresh(socket, size)
    }

    #[inline]
    fn send_stamped(&mut self, socket: &mut S, size: usize, stamp: [u8; 8]) -> io::Result<()> {
        self.0.send_stamped(socket, size, stamp)
    }
}

/// A STREAM socket, whose chunks are no messages: as many bytes as a body has are one.
pub(super) struct Bytes<S: Socket> {
    size: usize,
    /// Bytes received that belong to the next body.
    surplus: usize,
    peer: Option<[u8; 8]>,
    sender: S::Message,
}

impl<S: Socket> Bytes<S> {
    /// `peer` is the number of the peer if it is known, otherwise who has sent last.
    pub(super) fn new(socket: &S, size: usize, peer: Option<u32>) -> io::Result<Self> {
        let sender = socket.empty(ROUTING_ID_MAX)?;
        Ok(Self { size, surplus: 0, peer: peer.map(routing_id), sender })
    }

    fn address(&mut self, socket: &mut S) -> io::Result<()> {
        match &self.peer {
            Some(peer) => socket.send_part(peer),
            None => socket.send(&mut self.sender, true),
        }
    }
}

impl<S: Socket> Link<S> for Bytes<S> {
    /// Leaves in `message` the chunk that came last; its bytes are nobody's concern.
    #[inline]
    fn recv(&mut self, socket: &mut S, message: &mut S::Message) -> io::Result<usize> {
        while self.surplus < self.size {
            socket.recv(&mut self.sender)?;
            // An empty chunk tells of the connection.
            self.surplus += socket.recv(message)?;
        }
        self.surplus -= self.size;
        Ok(self.size)
    }

    /// Sends a body of its own: `message` need not hold a whole one.
    fn send(&mut self, socket: &mut S, _message: &mut S::Message) -> io::Result<()> {
        self.send_fresh(socket, self.size)
    }

    #[inline]
    fn send_fresh(&mut self, socket: &mut S, size: usize) -> io::Result<()> {
        self.address(socket)?;
        socket.send_fresh(size)
    }

    fn send_stamped(&mut self, socket: &mut S, size: usize, stamp: [u8; 8]) -> io::Result<()> {
        self.address(socket)?;
        socket.send_stamped(size, stamp)
    }
}
