//! Any `libzmq.so.5`, driven through the C functions it exports.
//!
//! The only module with unsafe code, here and in its two parts. It relies on one thing it cannot check: that a library which
//! exports these names gives them the signatures of `zmq.h`. A worker process loads one library and
//! runs nothing else, so one that does not can spoil only its own result.

mod buffers;
mod messages;

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::io;
use std::path::Path;

use libloading::os::unix::{Library as Dynamic, RTLD_LOCAL, RTLD_NOW};

use super::{
    Batching, CLIENT_PUBLIC, CLIENT_SECRET, SERVER_PUBLIC, SERVER_SECRET, Security, SocketOptions, routing_id,
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
