//! The bytes of a connection: a socket, or TLS over one.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};

use super::TlsRole;
#[cfg(feature = "wss")]
use super::tls::TlsStream;

/// Input that is of no interest is read by as much, in bytes.
const DISCARDED_AT_ONCE: usize = 16 * 1024;

/// A connected stream, never blocking. Reading and writing may go on at the same time.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(OwnedFd),
    #[cfg(feature = "wss")]
    Tls(Box<TlsStream>),
}

impl Stream {
    /// A connected, non-blocking socket, with TLS over it if there is a role in it.
    ///
    /// # Errors
    ///
    /// TLS cannot begin as configured.
    pub(crate) fn new(fd: OwnedFd, tls: Option<&TlsRole>) -> Result<Stream, Errno> {
        match tls {
            None => Ok(Stream::Plain(fd)),
            #[cfg(feature = "wss")]
            Some(role) => match TlsStream::new(fd, role) {
                Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
                Err(_) => Err(Errno::INVAL),
            },
            #[cfg(not(feature = "wss"))]
            Some(role) => match *role {},
        }
    }

    /// Reads into `spare` and returns its initialised front; nothing is the end of the stream.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if nothing is there now, `EPROTO` if TLS fails, and what else the kernel reports.
    #[inline]
    pub(crate) fn recv<'a>(&self, spare: &'a mut [MaybeUninit<u8>]) -> Result<&'a mut [u8], Errno> {
        match self {
            Stream::Plain(fd) => recv(fd, spare, RecvFlags::DONTWAIT).map(|((filled, _), _)| filled),
            #[cfg(feature = "wss")]
            Stream::Tls(tls) => tls.recv(spare),
        }
    }

    /// Writes what is taken at once, and returns how much that was. With TLS, some of it may still be in this
    /// process: see [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// `EAGAIN` if nothing is taken now, and what else the kernel reports.
    #[inline]
    pub(crate) fn send(&self, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
        match self {
            Stream::Plain(fd) => send_slices(fd.as_fd(), slices),
            #[cfg(feature = "wss")]
            Stream::Tls(tls) => tls.send(slices),
        }
    }

    /// Writes what was taken and is not in the kernel yet. Returns whether there is nothing left of it.
    ///
    /// # Errors
    ///
    /// What the kernel reports.
    #[inline]
    pub(crate) fn flush(&self) -> Result<bool, Errno> {
        match self {
            Stream::Plain(_) => Ok(true),
            #[cfg(feature = "wss")]
            Stream::Tls(tls) => tls.flush(),
        }
    }

    /// Whether something is to be read that the kernel does not tell of, as it is in this process already.
    #[inline]
    pub(crate) fn holds_input(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            #[cfg(feature = "wss")]
            Stream::Tls(tls) => tls.holds_input(),
        }
    }

    /// Whether the kernel tells of all that is to be read.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Stream::Plain(_))
    }

    /// Whether the kernel holds input that was not read.
    pub(crate) fn has_unread(&self) -> bool {
        ioctl_fionread(self).is_ok_and(|bytes| bytes > 0)
    }

    /// Reads once what the kernel holds, beneath TLS if there is some, and drops it. Returns how much that was; 0 is the
    /// end of the stream.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if nothing is there now, and what else the kernel reports.
    pub(crate) fn discard(&self) -> Result<usize, Errno> {
        let mut buffer = [MaybeUninit::uninit(); DISCARDED_AT_ONCE];
        recv(self, &mut buffer, RecvFlags::DONTWAIT).map(|((filled, _), _)| filled.len())
    }

    /// Says goodbye, if the layer has a word for it and the kernel takes it at once.
    pub(crate) fn say_goodbye(&self) {
        match self {
            Stream::Plain(_) => {}
            #[cfg(feature = "wss")]
            Stream::Tls(tls) => tls.close_notify(),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Plain(fd) => fd.as_fd(),
            #[cfg(feature = "wss")]
            Stream::Tls(tls) => tls.as_fd(),
        }
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

#[inline]
pub(super) fn send_slices(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    loop {
        let result = match slices {
            [one] => send(fd, one, flags),
            many => sendmsg(fd, many, &mut SendAncillaryBuffer::default(), flags),
        };
        match result {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}
