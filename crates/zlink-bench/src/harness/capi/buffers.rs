//! Sockets that send and receive through buffers of the caller.

use std::ffi::c_int;
use std::io;

use super::{Buffers, CLibrary, Handle, ZMQ_SNDMORE};
use crate::harness::{Library, Socket, SocketOptions, Source, first_eight};

/// A socket that sends and receives through buffers of the caller (`zmq_send`, `zmq_recv`).
pub(crate) struct BufferSocket {
    handle: Handle,
    source: Source,
}

/// Bytes of the caller, with the length of what they hold.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    length: usize,
}

impl Library for CLibrary<Buffers> {
    type Socket = BufferSocket;

    fn version(&self) -> String {
        self.describe()
    }

    fn socket(&self, socket_type: i32, options: SocketOptions) -> io::Result<BufferSocket> {
        let handle = self.open(socket_type, options)?;
        Ok(BufferSocket { handle, source: Source::default() })
    }
}

impl BufferSocket {
    fn send_bytes(handle: &Handle, bytes: &[u8], flags: c_int) -> io::Result<()> {
        loop {
            // SAFETY: the socket is open, and the bytes are valid for reads of their length; the
            // library copies them before it returns.
            let sent = unsafe {
                let data = bytes.as_ptr().cast();
                (handle.functions.send)(handle.socket, data, bytes.len(), flags)
            };
            match handle.functions.sized(sent) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map(drop),
            }
        }
    }
}

impl Socket for BufferSocket {
    type Message = Buffer;

    fn bind(&mut self, endpoint: &str) -> io::Result<String> {
        self.handle.bind(endpoint)
    }

    fn connect(&mut self, endpoint: &str) -> io::Result<()> {
        self.handle.connect(endpoint)
    }

    fn subscribe(&mut self, topic: &[u8]) -> io::Result<()> {
        self.handle.subscribe(topic)
    }

    fn message(&self, size: usize) -> io::Result<Buffer> {
        Ok(Buffer { bytes: vec![0; size], length: size })
    }

    fn empty(&self, largest: usize) -> io::Result<Buffer> {
        Ok(Buffer { bytes: vec![0; largest], length: 0 })
    }

    #[inline]
    fn send(&mut self, message: &mut Buffer, more: bool) -> io::Result<()> {
        let flags = if more { ZMQ_SNDMORE } else { 0 };
        Self::send_bytes(&self.handle, &message.bytes[..message.length], flags)
    }

    #[inline]
    fn send_fresh(&mut self, size: usize) -> io::Result<()> {
        Self::send_bytes(&self.handle, self.source.fresh(size), 0)
    }

    #[inline]
    fn send_stamped(&mut self, size: usize, stamp: [u8; 8]) -> io::Result<()> {
        Self::send_bytes(&self.handle, self.source.stamped(size, stamp), 0)
    }

    #[inline]
    fn send_part(&mut self, bytes: &[u8]) -> io::Result<()> {
        Self::send_bytes(&self.handle, bytes, ZMQ_SNDMORE)
    }

    #[inline]
    fn stamp(&self, message: &Buffer) -> [u8; 8] {
        first_eight(&message.bytes[..message.length])
    }

    fn wait_readable(&mut self) -> io::Result<()> {
        self.handle.wait_readable()
    }

    #[inline]
    fn recv(&mut self, message: &mut Buffer) -> io::Result<usize> {
        let functions = self.handle.functions;
        loop {
            // SAFETY: the socket is open, and the buffer is valid for writes of its length.
            let size = unsafe {
                let data = message.bytes.as_mut_ptr().cast();
                (functions.recv)(self.handle.socket, data, message.bytes.len(), 0)
            };
            match functions.sized(size) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                // A message that does not fit is cut, but its full size is returned, which the
                // caller does not expect and reports.
                Ok(size) => {
                    message.length = size.min(message.bytes.len());
                    return Ok(size);
                }
            }
        }
    }
}
