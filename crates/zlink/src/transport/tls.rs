//! TLS over a socket, for `wss`.
//!
//! rustls does the protocol, with bytes in and out; this module moves them. The state of a connection is behind
//! one lock, which a reader and a writer take in turn: records are numbered, so that their order in the kernel
//! must be that in which they were encrypted.
//!
//! Sources: RFC 8446, RFC 5246; `ZMQ_WSS_*`.

mod config;
mod verify;

use std::io::{self, BufRead, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustls::{ClientConnection, Connection, ServerConnection};

pub(crate) use config::{TlsError, TlsOptions, TlsRole};

use super::stream::send_slices;

/// What is taken from the caller before all of it is in the kernel, in bytes.
const UNSENT: usize = 64 * 1024;

/// A socket with TLS over it.
#[derive(Debug)]
pub(crate) struct TlsStream {
    fd: OwnedFd,
    tls: Mutex<Connection>,
}

impl TlsStream {
    /// Begins TLS on a connected socket. The handshake goes on with every read and write.
    ///
    /// # Errors
    ///
    /// What rustls finds wrong with the configuration.
    pub(crate) fn new(fd: OwnedFd, role: &TlsRole) -> Result<TlsStream, TlsError> {
        let mut tls: Connection = match role {
            TlsRole::Client(config, name) => {
                ClientConnection::new(config.clone(), name.clone()).map_err(TlsError::Rustls)?.into()
            }
            TlsRole::Server(config) => {
                ServerConnection::new(config.clone()).map_err(TlsError::Rustls)?.into()
            }
        };
        tls.set_buffer_limit(Some(UNSENT));
        Ok(TlsStream { fd, tls: Mutex::new(tls) })
    }

    /// Locks, ignoring poison: rustls leaves a connection that failed in a state of its own.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.tls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what one record brought, or the rest of it.
    pub(super) fn recv<'a>(&self, spare: &'a mut [MaybeUninit<u8>]) -> Result<&'a mut [u8], Errno> {
        let mut tls = self.lock();
        while !holds_input(&mut tls) {
            match tls.read_tls(&mut Socket(self.fd.as_fd())) {
                Ok(0) => return Ok(&mut []),
                Ok(_) => {}
                Err(error) => return Err(errno(&error)),
            }
            let state = match tls.process_new_packets() {
                Ok(state) => state,
                Err(_) => {
                    // The alert that says why.
                    let _ = self.write_out(&mut tls);
                    return Err(Errno::PROTO);
                }
            };
            // The handshake's next words, or new keys in answer to the peer's.
            self.write_out(&mut tls)?;
            if state.peer_has_closed() && state.plaintext_bytes_to_read() == 0 {
                return Ok(&mut []);
            }
        }
        let mut reader = tls.reader();
        let bytes = reader.fill_buf().map_err(|error| errno(&error))?;
        let n = bytes.len().min(spare.len());
        let filled = spare[..n].write_copy_of_slice(&bytes[..n]);
        reader.consume(n);
        Ok(filled)
    }

    pub(super) fn send(&self, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
        let mut tls = self.lock();
        if !self.write_out(&mut tls)? {
            return Err(Errno::AGAIN);
        }
        // As much as the limit allows; during the handshake, kept for its end.
        let taken = tls.writer().write_vectored(slices).map_err(|error| errno(&error))?;
        self.write_out(&mut tls)?;
        if taken == 0 && slices.iter().any(|slice| !slice.is_empty()) {
            return Err(Errno::AGAIN);
        }
        Ok(taken)
    }

    pub(super) fn flush(&self) -> Result<bool, Errno> {
        self.write_out(&mut self.lock())
    }

    pub(super) fn holds_input(&self) -> bool {
        holds_input(&mut self.lock())
    }

    pub(super) fn close_notify(&self) {
        let mut tls = self.lock();
        tls.send_close_notify();
        let _ = self.write_out(&mut tls);
    }

    /// Writes records until there are none (true) or the kernel takes no more.
    fn write_out(&self, tls: &mut Connection) -> Result<bool, Errno> {
        while tls.wants_write() {
            match tls.write_tls(&mut Socket(self.fd.as_fd())) {
                Ok(_) => {}
                Err(error) => match errno(&error) {
                    Errno::AGAIN => return Ok(false),
                    other => return Err(other),
                },
            }
        }
        Ok(true)
    }
}

impl AsFd for TlsStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn holds_input(tls: &mut Connection) -> bool {
    tls.reader().fill_buf().is_ok_and(|bytes| !bytes.is_empty())
}

/// The number an error of the socket carries; rustls passes them on as they are.
fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(match error.kind() {
        io::ErrorKind::WouldBlock => Errno::AGAIN,
        _ => Errno::PROTO,
    })
}

/// A socket as rustls wants it.
struct Socket<'a>(BorrowedFd<'a>);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match recv(self.0, &mut *buffer, RecvFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                other => return Ok(other?.1),
            }
        }
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // As many as one call of the kernel takes.
        Ok(send_slices(self.0, &slices[..slices.len().min(64)])?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
