//! Any `libzmq.so.5`, driven through the C functions it exports.
//!
//! The only module with unsafe code. It relies on one thing it cannot check: that a library which
//! exports these names gives them the signatures of `zmq.h`. A worker process loads one library and
//! runs nothing else, so one that does not can spoil only its own result.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::path::Path;
use std::ptr;

use libloading::os::unix::{Library as Dynamic, RTLD_LOCAL, RTLD_NOW};

use super::{
    Batching, CLIENT_PUBLIC, CLIENT_SECRET, Library, SERVER_PUBLIC, SERVER_SECRET, Security, Socket,
    SocketOptions, first_eight, routing_id,
};

const ZMQ_POLLIN: i16 = 1;
const ZMQ_SNDMORE: c_int = 2;
const ZMQ_ROUTING_ID: c_int = 5;
const ZMQ_SUBSCRIBE: c_int = 6;
const ZMQ_BACKLOG: c_int = 19;
const ZMQ_SNDHWM: c_int = 23;
const ZMQ_RCVHWM: c_int = 24;
const ZMQ_LAST_ENDPOINT: c_int = 32;
const ZMQ_ROUTER_MANDATORY: c_int = 33;
const ZMQ_XPUB_VERBOSE: c_int = 40;
const ZMQ_CONNECT_ROUTING_ID: c_int = 61;
const ZMQ_XPUB_NODROP: c_int = 69;
const ZMQ_ASIO_WRITE_BATCHING: c_int = 10000;
const ZMQ_ASIO_BATCH_TIMEOUT: c_int = 10001;
const ZMQ_ASIO_WRITE_BATCH_MAX_MESSAGES: c_int = 10002;
const ZMQ_ASIO_WRITE_BATCH_MAX_BYTES: c_int = 10003;
const ZMQ_CURVE_SERVER: c_int = 47;
const ZMQ_CURVE_PUBLICKEY: c_int = 48;
const ZMQ_CURVE_SECRETKEY: c_int = 49;
const ZMQ_CURVE_SERVERKEY: c_int = 50;
const TYPE_ROUTER: i32 = 6;
const TYPE_XPUB: i32 = 9;

/// `zmq_msg_t`: 64 opaque bytes, aligned as a pointer.
#[repr(C, align(8))]
struct RawMessage([u8; 64]);

/// `zmq_pollitem_t`.
#[repr(C)]
struct PollItem {
    socket: *mut c_void,
    fd: c_int,
    events: i16,
    revents: i16,
}

macro_rules! functions {
    ($($field:ident = $symbol:literal: fn($($argument:ty),*) -> $result:ty;)*) => {
        /// The functions of one library. It is never unloaded, so they stay callable.
        struct Functions {
            $($field: unsafe extern "C" fn($($argument),*) -> $result,)*
        }

        impl Functions {
            fn load(path: &Path) -> io::Result<&'static Self> {
                // SAFETY: initialisers of the library run here. Naming a library on the command line
                // is asking for just that, and this process has no state they could harm.
                let library = unsafe { Dynamic::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
                    .map_err(io::Error::other)?;
                let functions = Self {
                    $($field: {
                        // SAFETY: the signature is the one `zmq.h` 4.3.5 declares for this name;
                        // that the library keeps to it is the premise of this module.
                        *unsafe { library.get($symbol) }.map_err(|_| {
                            io::Error::other(format!(
                                "{} does not export {}", path.display(), $symbol
                            ))
                        })?
                    },)*
                };
                std::mem::forget(library);
                Ok(Box::leak(Box::new(functions)))
            }
        }
    };
}

functions! {
    version = "zmq_version": fn(*mut c_int, *mut c_int, *mut c_int) -> ();
    errno = "zmq_errno": fn() -> c_int;
    strerror = "zmq_strerror": fn(c_int) -> *const c_char;
    ctx_new = "zmq_ctx_new": fn() -> *mut c_void;
    ctx_term = "zmq_ctx_term": fn(*mut c_void) -> c_int;
    socket = "zmq_socket": fn(*mut c_void, c_int) -> *mut c_void;
    close = "zmq_close": fn(*mut c_void) -> c_int;
    setsockopt = "zmq_setsockopt": fn(*mut c_void, c_int, *const c_void, usize) -> c_int;
    getsockopt = "zmq_getsockopt": fn(*mut c_void, c_int, *mut c_void, *mut usize) -> c_int;
    bind = "zmq_bind": fn(*mut c_void, *const c_char) -> c_int;
    connect = "zmq_connect": fn(*mut c_void, *const c_char) -> c_int;
    send = "zmq_send": fn(*mut c_void, *const c_void, usize, c_int) -> c_int;
    recv = "zmq_recv": fn(*mut c_void, *mut c_void, usize, c_int) -> c_int;
    msg_init = "zmq_msg_init": fn(*mut RawMessage) -> c_int;
    msg_init_size = "zmq_msg_init_size": fn(*mut RawMessage, usize) -> c_int;
    msg_data = "zmq_msg_data": fn(*mut RawMessage) -> *mut c_void;
    msg_size = "zmq_msg_size": fn(*const RawMessage) -> usize;
    msg_send = "zmq_msg_send": fn(*mut RawMessage, *mut c_void, c_int) -> c_int;
    msg_recv = "zmq_msg_recv": fn(*mut RawMessage, *mut c_void, c_int) -> c_int;
    msg_close = "zmq_msg_close": fn(*mut RawMessage) -> c_int;
    poll = "zmq_poll": fn(*mut PollItem, c_int, c_long) -> c_int;
}

impl Functions {
    /// The error of the call that has just failed in this thread.
    #[cold]
    fn error(&self) -> io::Error {
        // SAFETY: takes nothing and only reads the thread's error number.
        let number = unsafe { (self.errno)() };
        if number == rustix::io::Errno::INTR.raw_os_error() {
            return io::ErrorKind::Interrupted.into();
        }
        // SAFETY: accepts any number and returns a string that is never freed, or null.
        let text = unsafe { (self.strerror)(number) };
        if text.is_null() {
            return io::Error::from_raw_os_error(number);
        }
        // SAFETY: not null, so a string that ends in a zero byte, by the contract of `zmq_strerror`.
        let text = unsafe { CStr::from_ptr(text) };
        io::Error::other(format!("{} (errno {number})", text.to_string_lossy()))
    }

    fn check(&self, result: c_int) -> io::Result<()> {
        if result < 0 { Err(self.error()) } else { Ok(()) }
    }

    fn sized(&self, result: c_int) -> io::Result<usize> {
        usize::try_from(result).map_err(|_| self.error())
    }
}

/// Which functions carry the messages.
#[derive(Clone, Copy)]
pub(crate) enum Messages {}
#[derive(Clone, Copy)]
pub(crate) enum Buffers {}

/// A library with a context; `Api` is [`Messages`] or [`Buffers`].
pub(crate) struct CLibrary<Api> {
    functions: &'static Functions,
    context: *mut c_void,
    api: std::marker::PhantomData<Api>,
}

// SAFETY: the only field that is not `Sync` is the context, and `zmq.h` contexts may be used from any
// number of threads at once without locking (manual page of `zmq_ctx_new`).
unsafe impl<Api> Sync for CLibrary<Api> {}

impl<Api> CLibrary<Api> {
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        let functions = Functions::load(path)?;
        // SAFETY: takes nothing; null is checked below.
        let context = unsafe { (functions.ctx_new)() };
        if context.is_null() {
            return Err(functions.error());
        }
        Ok(Self { functions, context, api: std::marker::PhantomData })
    }

    fn describe(&self) -> String {
        let (mut major, mut minor, mut patch) = (0, 0, 0);
        // SAFETY: three valid places for an `int` each.
        unsafe { (self.functions.version)(&mut major, &mut minor, &mut patch) };
        format!("{major}.{minor}.{patch}")
    }

    fn open(&self, socket_type: i32, options: SocketOptions) -> io::Result<Handle> {
        // SAFETY: the context lives until `self` is dropped.
        let socket = unsafe { (self.functions.socket)(self.context, socket_type) };
        if socket.is_null() {
            return Err(self.functions.error());
        }
        let handle = Handle { functions: self.functions, socket };
        if let Some(hwm) = options.hwm {
            handle.set_int(ZMQ_SNDHWM, hwm)?;
            handle.set_int(ZMQ_RCVHWM, hwm)?;
        }
        match options.security {
            Security::None => {}
            Security::CurveServer => {
                handle.set_int(ZMQ_CURVE_SERVER, 1)?;
                handle.set(ZMQ_CURVE_SECRETKEY, SERVER_SECRET.as_bytes())?;
            }
            Security::CurveClient => {
                handle.set(ZMQ_CURVE_SERVERKEY, SERVER_PUBLIC.as_bytes())?;
                handle.set(ZMQ_CURVE_PUBLICKEY, CLIENT_PUBLIC.as_bytes())?;
                handle.set(ZMQ_CURVE_SECRETKEY, CLIENT_SECRET.as_bytes())?;
            }
        }
        if let Some(backlog) = options.backlog {
            handle.set_int(ZMQ_BACKLOG, backlog)?;
        }
        if let Some(number) = options.routing.own {
            handle.set(ZMQ_ROUTING_ID, &routing_id(number))?;
        }
        if let Some(number) = options.routing.peer {
            handle.set(ZMQ_CONNECT_ROUTING_ID, &routing_id(number))?;
            if socket_type == TYPE_ROUTER {
                handle.set_int(ZMQ_ROUTER_MANDATORY, 1)?;
            }
        }
        if socket_type == TYPE_XPUB {
            handle.set_int(ZMQ_XPUB_NODROP, 1)?;
            handle.set_int(ZMQ_XPUB_VERBOSE, 1)?;
        }
        handle.set_batching(&options.batching)?;
        Ok(handle)
    }
}

impl<Api> Drop for CLibrary<Api> {
    fn drop(&mut self) {
        // SAFETY: the context came from `zmq_ctx_new` and is ended once. Sockets that are still open
        // make this wait; the worker drops them first.
        unsafe { (self.functions.ctx_term)(self.context) };
    }
}

/// An open socket. Not `Send`: it stays in the thread that opened it.
struct Handle {
    functions: &'static Functions,
    socket: *mut c_void,
}

impl Handle {
    fn set(&self, option: c_int, value: &[u8]) -> io::Result<()> {
        // SAFETY: the socket is open, and the value is valid for reads of its length.
        let result =
            unsafe { (self.functions.setsockopt)(self.socket, option, value.as_ptr().cast(), value.len()) };
        self.functions.check(result)
    }

    fn set_int(&self, option: c_int, value: c_int) -> io::Result<()> {
        self.set(option, &value.to_ne_bytes())
    }

    /// zlink's own options: other libraries refuse them.
    fn set_batching(&self, batching: &Batching) -> io::Result<()> {
        for (option, value) in [
            (ZMQ_ASIO_WRITE_BATCHING, batching.mode),
            (ZMQ_ASIO_BATCH_TIMEOUT, batching.timeout_us),
            (ZMQ_ASIO_WRITE_BATCH_MAX_MESSAGES, batching.messages),
            (ZMQ_ASIO_WRITE_BATCH_MAX_BYTES, batching.bytes),
        ] {
            if let Some(value) = value {
                self.set_int(option, value)?;
            }
        }
        Ok(())
    }

    fn subscribe(&mut self, topic: &[u8]) -> io::Result<()> {
        self.set(ZMQ_SUBSCRIBE, topic)
    }

    fn wait_readable(&self) -> io::Result<()> {
        let mut item = PollItem { socket: self.socket, fd: 0, events: ZMQ_POLLIN, revents: 0 };
        loop {
            // SAFETY: one item, of an open socket, valid for reads and writes during the call.
            let ready = unsafe { (self.functions.poll)(&mut item, 1, -1) };
            match self.functions.sized(ready) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => {}
                other => return other.map(drop),
            }
        }
    }

    fn bind(&mut self, endpoint: &str) -> io::Result<String> {
        let endpoint = CString::new(endpoint)?;
        // SAFETY: the socket is open, and the string ends in a zero byte and outlives the call.
        self.functions.check(unsafe { (self.functions.bind)(self.socket, endpoint.as_ptr()) })?;
        let mut text = [0_u8; 512];
        let mut length = text.len();
        // SAFETY: `text` is valid for writes of `length` bytes, which the library only lowers.
        self.functions.check(unsafe {
            let text = text.as_mut_ptr().cast();
            (self.functions.getsockopt)(self.socket, ZMQ_LAST_ENDPOINT, text, &mut length)
        })?;
        let text = CStr::from_bytes_until_nul(&text).map_err(io::Error::other)?;
        Ok(text.to_string_lossy().into_owned())
    }

    fn connect(&mut self, endpoint: &str) -> io::Result<()> {
        let endpoint = CString::new(endpoint)?;
        // SAFETY: the socket is open, and the string ends in a zero byte and outlives the call.
        self.functions.check(unsafe { (self.functions.connect)(self.socket, endpoint.as_ptr()) })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the socket came from `zmq_socket` and is closed once.
        unsafe { (self.functions.close)(self.socket) };
    }
}

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

/// A socket that sends and receives through buffers of the caller (`zmq_send`, `zmq_recv`).
pub(crate) struct BufferSocket {
    handle: Handle,
    source: Vec<u8>,
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
        Ok(BufferSocket { handle, source: Vec::new() })
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
        if self.source.len() != size {
            self.source.resize(size, 0);
        }
        Self::send_bytes(&self.handle, &self.source, 0)
    }

    #[inline]
    fn send_stamped(&mut self, size: usize, stamp: [u8; 8]) -> io::Result<()> {
        if self.source.len() != size {
            self.source.resize(size, 0);
        }
        let length = stamp.len().min(size);
        self.source[..length].copy_from_slice(&stamp[..length]);
        Self::send_bytes(&self.handle, &self.source, 0)
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
