//! Sockets that send and receive `zmq_msg_t`, as libzmq's performance programs do.

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use super::{CLibrary, Functions, Handle, Messages, RawMessage, ZMQ_SNDMORE};
use crate::harness::{Library, Socket, SocketOptions};

/// An initialised message. Boxed, because a library may rely on its address.
pub(crate) struct CMessage {
    functions: &'static Functions,
    raw: Box<RawMessage>,
}

impl Drop for CMessage {
    fn drop(&mut self) {
        // SAFETY: initialised when it was made, and closed once.
        unsafe { (self.functions.msg_close)(&mut *self.raw) };
    }
}

/// A socket that sends and receives `zmq_msg_t`, as libzmq's performance programs do.
pub(crate) struct MessageSocket(Handle);

impl MessageSocket {
    /// Makes a message of `size` bytes that begins with `head`, which is no longer, and sends it.
    #[inline(always)]
    fn send_new(&mut self, size: usize, head: &[u8], flags: c_int) -> io::Result<()> {
        let functions = self.0.functions;
        let mut raw = MaybeUninit::<RawMessage>::uninit();
        // SAFETY: valid for writes of one `zmq_msg_t`, which this initialises.
        functions.check(unsafe { (functions.msg_init_size)(raw.as_mut_ptr(), size) })?;
        if !head.is_empty() {
            let length = head.len().min(size);
            // SAFETY: the message was initialised with `size` bytes, so that many may be written.
            unsafe {
                let data = (functions.msg_data)(raw.as_mut_ptr()).cast::<u8>();
                ptr::copy_nonoverlapping(head.as_ptr(), data, length);
            }
        }
        loop {
            // SAFETY: initialised above and not moved since; the socket is open. Success hands the
            // contents over, after which the manual asks for no `zmq_msg_close`.
            let sent = unsafe { (functions.msg_send)(raw.as_mut_ptr(), self.0.socket, flags) };
            if sent >= 0 {
                return Ok(());
            }
            let error = functions.error();
            if error.kind() != io::ErrorKind::Interrupted {
                // SAFETY: a failed send leaves the message initialised; it is not used again.
                unsafe { (functions.msg_close)(raw.as_mut_ptr()) };
                return Err(error);
            }
        }
    }
}

impl Library for CLibrary<Messages> {
    type Socket = MessageSocket;

    fn version(&self) -> String {
        self.describe()
    }

    fn socket(&self, socket_type: i32, options: SocketOptions) -> io::Result<MessageSocket> {
        self.open(socket_type, options).map(MessageSocket)
    }
}

impl Socket for MessageSocket {
    type Message = CMessage;

    fn bind(&mut self, endpoint: &str) -> io::Result<String> {
        self.0.bind(endpoint)
    }

    fn connect(&mut self, endpoint: &str) -> io::Result<()> {
        self.0.connect(endpoint)
    }

    fn subscribe(&mut self, topic: &[u8]) -> io::Result<()> {
        self.0.subscribe(topic)
    }

    fn message(&self, size: usize) -> io::Result<CMessage> {
        let functions = self.0.functions;
        let mut raw = Box::new(RawMessage([0; 64]));
        // SAFETY: valid for writes of one `zmq_msg_t`, which this initialises.
        functions.check(unsafe { (functions.msg_init_size)(&mut *raw, size) })?;
        // SAFETY: the message was initialised with `size` bytes, so that many may be written.
        unsafe { ptr::write_bytes((functions.msg_data)(&mut *raw).cast::<u8>(), 0, size) };
        Ok(CMessage { functions, raw })
    }

    fn empty(&self, _largest: usize) -> io::Result<CMessage> {
        let functions = self.0.functions;
        let mut raw = Box::new(RawMessage([0; 64]));
        // SAFETY: valid for writes of one `zmq_msg_t`, which this initialises.
        functions.check(unsafe { (functions.msg_init)(&mut *raw) })?;
        Ok(CMessage { functions, raw })
    }

    #[inline]
    fn send(&mut self, message: &mut CMessage, more: bool) -> io::Result<()> {
        let functions = self.0.functions;
        let flags = if more { ZMQ_SNDMORE } else { 0 };
        loop {
            // SAFETY: the message is initialised and the socket open. After success the message is
            // empty but still initialised, after failure unchanged.
            let sent = unsafe { (functions.msg_send)(&mut *message.raw, self.0.socket, flags) };
            match functions.sized(sent) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map(drop),
            }
        }
    }

    #[inline]
    fn send_fresh(&mut self, size: usize) -> io::Result<()> {
        self.send_new(size, &[], 0)
    }

    #[inline]
    fn send_stamped(&mut self, size: usize, stamp: [u8; 8]) -> io::Result<()> {
        self.send_new(size, &stamp, 0)
    }

    #[inline]
    fn send_part(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.send_new(bytes.len(), bytes, ZMQ_SNDMORE)
    }

    #[inline]
    fn stamp(&self, message: &CMessage) -> [u8; 8] {
        let functions = self.0.functions;
        let mut stamp = [0; 8];
        let raw: *const RawMessage = &*message.raw;
        // SAFETY: the message is initialised; neither function changes it.
        let (data, size) = unsafe { ((functions.msg_data)(raw.cast_mut()), (functions.msg_size)(raw)) };
        let length = size.min(stamp.len());
        if length > 0 {
            // SAFETY: the data of a message are valid for reads of its size, and `length` is no more.
            unsafe { ptr::copy_nonoverlapping(data.cast::<u8>(), stamp.as_mut_ptr(), length) };
        }
        stamp
    }

    fn wait_readable(&mut self) -> io::Result<()> {
        self.0.wait_readable()
    }

    #[inline]
    fn recv(&mut self, message: &mut CMessage) -> io::Result<usize> {
        let functions = self.0.functions;
        loop {
            // SAFETY: the message is initialised, and stays so, and the socket is open.
            let size = unsafe { (functions.msg_recv)(&mut *message.raw, self.0.socket, 0) };
            match functions.sized(size) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}
