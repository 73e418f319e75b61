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

/// Whom a socket that knows its peers by routing ids talks with.
struct Peer<S: Socket> {
    /// Whoever sent last, if it is `None`.
    known: Option<[u8; 8]>,
    sender: S::Message,
}

impl<S: Socket> Peer<S> {
    fn new(socket: &S, number: Option<u32>) -> io::Result<Self> {
        Ok(Self { known: number.map(routing_id), sender: socket.empty(ROUTING_ID_MAX)? })
    }

    #[inline]
    fn recv(&mut self, socket: &mut S) -> io::Result<usize> {
        socket.recv(&mut self.sender)
    }

    #[inline]
    fn send(&mut self, socket: &mut S) -> io::Result<()> {
        match &self.known {
            Some(id) => socket.send_part(id),
            None => socket.send(&mut self.sender, true),
        }
    }
}

/// A ROUTER.
pub(super) struct Routed<S: Socket> {
    peer: Peer<S>,
}

impl<S: Socket> Routed<S> {
    /// `peer` is the number of the peer it talks with, otherwise it answers whoever sent last.
    pub(super) fn new(socket: &S, peer: Option<u32>) -> io::Result<Self> {
        Ok(Self { peer: Peer::new(socket, peer)? })
    }
}

impl<S: Socket> Link<S> for Routed<S> {
    #[inline]
    fn recv(&mut self, socket: &mut S, message: &mut S::Message) -> io::Result<usize> {
        self.peer.recv(socket)?;
        socket.recv(message)
    }

    #[inline]
    fn send(&mut self, socket: &mut S, message: &mut S::Message) -> io::Result<()> {
        self.peer.send(socket)?;
        socket.send(message, false)
    }

    #[inline]
    fn send_fresh(&mut self, socket: &mut S, size: usize) -> io::Result<()> {
        self.peer.send(socket)?;
        socket.send_fresh(size)
    }

    #[inline]
    fn send_stamped(&mut self, socket: &mut S, size: usize, stamp: [u8; 8]) -> io::Result<()> {
        self.peer.send(socket)?;
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
    peer: Peer<S>,
}

impl<S: Socket> Bytes<S> {
    /// `peer` is the number of the peer if it is known, otherwise who has sent last.
    pub(super) fn new(socket: &S, size: usize, peer: Option<u32>) -> io::Result<Self> {
        Ok(Self { size, surplus: 0, peer: Peer::new(socket, peer)? })
    }
}

impl<S: Socket> Link<S> for Bytes<S> {
    /// Leaves in `message` the chunk that came last; its bytes are nobody's concern.
    #[inline]
    fn recv(&mut self, socket: &mut S, message: &mut S::Message) -> io::Result<usize> {
        while self.surplus < self.size {
            self.peer.recv(socket)?;
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
        self.peer.send(socket)?;
        socket.send_fresh(size)
    }

    fn send_stamped(&mut self, socket: &mut S, size: usize, stamp: [u8; 8]) -> io::Result<()> {
        self.peer.send(socket)?;
        socket.send_stamped(size, stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::fake::FakeSocket;

    fn socket(inbox: &[&[u8]]) -> FakeSocket {
        FakeSocket { inbox: inbox.iter().map(|part| part.to_vec()).collect(), ..FakeSocket::default() }
    }

    #[test]
    fn a_router_answers_whoever_sent_last() {
        let mut socket = socket(&[b"one", b"body1", b"two", b"body2"]);
        let mut link = Routed::new(&socket, None).expect("memory suffices");
        let mut message = Vec::new();
        for sender in [b"one", b"two"] {
            assert_eq!(link.recv(&mut socket, &mut message).expect("there is a message"), 5);
            link.send(&mut socket, &mut message).expect("it is kept");
            let [.., id, body] = socket.sent.as_slice() else { panic!("two parts were sent") };
            assert_eq!((&id.stamp[..3], id.more), (&sender[..], true));
            assert_eq!((body.size, body.more), (5, false));
        }
    }

    #[test]
    fn a_router_that_knows_its_peer_puts_its_id_before_each_message() {
        let mut socket = socket(&[b"whoever", b"body"]);
        let mut link = Routed::new(&socket, Some(7)).expect("memory suffices");
        link.send_fresh(&mut socket, 100).expect("it is kept");
        link.send_stamped(&mut socket, 64, *b"12345678").expect("it is kept");
        let parts: Vec<_> = socket.sent.iter().map(|part| (part.stamp, part.size, part.more)).collect();
        let id = (routing_id(7), 8, true);
        assert_eq!(parts, [id, ([0; 8], 100, false), id, (*b"12345678", 64, false)]);
        assert_eq!(link.recv(&mut socket, &mut Vec::new()).expect("there is a message"), 4);
    }

    #[test]
    fn a_polled_link_polls_once_a_message() {
        let mut socket = socket(&[b"one", b"body1", b"one", b"body2"]);
        let mut link = Polled(Routed::new(&socket, None).expect("memory suffices"));
        for _ in 0..2 {
            link.recv(&mut socket, &mut Vec::new()).expect("there is a message");
        }
        assert_eq!(socket.polls, 2);
    }

    #[test]
    fn chunks_of_bytes_are_counted_as_bodies_wherever_they_are_cut() {
        // The notice of the connection, then 30 bytes in chunks of 3, 17 and 10.
        let mut socket = socket(&[b"id", b"", b"id", &[0; 3], b"id", &[0; 17], b"id", &[0; 10]]);
        let mut link = Bytes::new(&socket, 10, None).expect("memory suffices");
        let mut message = Vec::new();
        for _ in 0..3 {
            assert_eq!(link.recv(&mut socket, &mut message).expect("the bytes are there"), 10);
        }
        assert!(link.recv(&mut socket, &mut message).is_err(), "all bytes are used up");
        link.send(&mut socket, &mut message).expect("it is kept");
        assert_eq!((socket.sent[0].size, socket.sent[1].size), (2, 10));
    }
}
