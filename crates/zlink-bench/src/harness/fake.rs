//! A socket without a peer, for tests of the loops: it keeps what is sent, and receives what it was given.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::{Socket, first_eight};
use crate::system::{monotonic_ns, sleep_until_ns};

/// One part that was sent: its first eight bytes, its size, and whether another one follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) stamp: [u8; 8],
    pub(crate) size: usize,
    pub(crate) more: bool,
}

#[derive(Default)]
pub(crate) struct FakeSocket {
    pub(crate) sent: Vec<Sent>,
    pub(crate) inbox: VecDeque<Vec<u8>>,
    /// The send with this number takes so long.
    pub(crate) stall: Option<(usize, Duration)>,
    /// When that began and when it was over.
    pub(crate) stalled: (u64, u64),
    pub(crate) polls: usize,
}

impl FakeSocket {
    fn keep(&mut self, bytes: &[u8], size: usize, more: bool) -> io::Result<()> {
        if let Some((_, time)) = self.stall.filter(|(number, _)| *number == self.sent.len()) {
            let begin = monotonic_ns()?;
            self.stalled = (begin, sleep_until_ns(begin + time.as_nanos() as u64)?);
        }
        self.sent.push(Sent { stamp: first_eight(bytes), size, more });
        Ok(())
    }
}

impl Socket for FakeSocket {
    type Message = Vec<u8>;

    fn bind(&mut self, endpoint: &str) -> io::Result<String> {
        Ok(endpoint.into())
    }

    fn connect(&mut self, _endpoint: &str) -> io::Result<()> {
        Ok(())
    }

    fn subscribe(&mut self, _topic: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn message(&self, size: usize) -> io::Result<Vec<u8>> {
        Ok(vec![0; size])
    }

    fn empty(&self, _largest: usize) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn send(&mut self, message: &mut Vec<u8>, more: bool) -> io::Result<()> {
        self.keep(message, message.len(), more)
    }

    fn send_fresh(&mut self, size: usize) -> io::Result<()> {
        self.keep(&[], size, false)
    }

    fn send_stamped(&mut self, size: usize, stamp: [u8; 8]) -> io::Result<()> {
        self.keep(&stamp, size, false)
    }

    fn send_part(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.keep(bytes, bytes.len(), true)
    }

    fn recv(&mut self, message: &mut Vec<u8>) -> io::Result<usize> {
        *message = self.inbox.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        Ok(message.len())
    }

    fn stamp(&self, message: &Vec<u8>) -> [u8; 8] {
        first_eight(message)
    }

    fn wait_readable(&mut self) -> io::Result<()> {
        self.polls += 1;
        Ok(())
    }
}
