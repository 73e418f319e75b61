//! libzmq 4.3.5, loaded at run time: the only module with unsafe code.
//!
//! It relies on the library having the signatures of its own `zmq.h`, which is so because the same sources
//! made both.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::sync::{Arc, OnceLock};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::node::Label;
use crate::option;

const EINTR: i32 = 4;
const SNDMORE: c_int = 2;

/// `zmq_msg_t`: 64 opaque bytes, aligned as a pointer.
#[repr(C, align(8))]
struct RawMessage([u8; 64]);

macro_rules! functions {
    ($($field:ident = $symbol:literal: fn($($argument:ty),*) -> $result:ty;)*) => {
        /// The library's functions. It is never unloaded, so they stay callable.
        struct Functions {
            $($field: unsafe extern "C" fn($($argument),*) -> $result,)*
        }

        impl Functions {
            fn load() -> Self {
                let path = libzmq_reference::shared_object();
                // SAFETY: libzmq's initialisers only set up static C++ objects and may run in any process.
                let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
                    .expect("the shared object was built before this crate");
                let functions = Functions {
                    $($field: {
                        // SAFETY: the signature is the one `zmq.h` 4.3.5 declares for this name, and the
                        // library was built from the same sources.
                        *unsafe { library.get($symbol) }.expect("libzmq 4.3.5 has this function")
                    },)*
                };
                std::mem::forget(library);
                functions
            }
        }
    };
}

functions! {
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
    msg_init = "zmq_msg_init": fn(*mut RawMessage) -> c_int;
    msg_recv = "zmq_msg_recv": fn(*mut RawMessage, *mut c_void, c_int) -> c_int;
    msg_data = "zmq_msg_data": fn(*mut RawMessage) -> *mut c_void;
    msg_size = "zmq_msg_size": fn(*const RawMessage) -> usize;
    msg_more = "zmq_msg_more": fn(*const RawMessage) -> c_int;
    msg_close = "zmq_msg_close": fn(*mut RawMessage) -> c_int;
    msg_init_buffer = "zmq_msg_init_buffer": fn(*mut RawMessage, *const c_void, usize) -> c_int;
    msg_send = "zmq_msg_send": fn(*mut RawMessage, *mut c_void, c_int) -> c_int;
    msg_routing_id = "zmq_msg_routing_id": fn(*mut RawMessage) -> u32;
    msg_set_routing_id = "zmq_msg_set_routing_id": fn(*mut RawMessage, u32) -> c_int;
    msg_group = "zmq_msg_group": fn(*mut RawMessage) -> *const c_char;
    msg_set_group = "zmq_msg_set_group": fn(*mut RawMessage, *const c_char) -> c_int;
    join = "zmq_join": fn(*mut c_void, *const c_char) -> c_int;
    leave = "zmq_leave": fn(*mut c_void, *const c_char) -> c_int;
    connect_peer = "zmq_connect_peer": fn(*mut c_void, *const c_char) -> u32;
}

fn library() -> &'static Functions {
    static FUNCTIONS: OnceLock<Functions> = OnceLock::new();
    FUNCTIONS.get_or_init(Functions::load)
}

/// The error of the call that has just failed in this thread.
#[cold]
fn last_error() -> io::Error {
    // SAFETY: takes nothing and only reads the thread's error number.
    let number = unsafe { (library().errno)() };
    match number {
        EINTR => return io::ErrorKind::Interrupted.into(),
        // Time-outs must be told from the rest; libzmq's own numbers mean nothing to the standard library.
        11 => return io::ErrorKind::WouldBlock.into(),
        _ => {}
    }
    // SAFETY: accepts any number and returns a string that is never freed.
    let text = unsafe { CStr::from_ptr((library().strerror)(number)) };
    io::Error::other(format!("{} (errno {number})", text.to_string_lossy()))
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 { Err(last_error()) } else { Ok(()) }
}

/// Repeats a call that a signal interrupted.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A context. The last of its sockets ends it.
#[derive(Debug)]
struct Context(*mut c_void);

// SAFETY: a context may be used from any thread, and from several at a time (zmq_ctx_new(3), "Thread safety").
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context came from the library and is given back once; its sockets, which hold it, are closed.
        unsafe { (library().ctx_term)(self.0) };
    }
}

/// A libzmq socket with a context of its own, or one that it shares with its siblings.
///
/// All calls take `&mut self`, since libzmq's sockets are for one thread at a time.
#[derive(Debug)]
pub struct Peer {
    context: Arc<Context>,
    socket: *mut c_void,
}

// SAFETY: libzmq lets a socket move to another thread given a full fence (zmq_socket(3), "Thread safety"), which
// whatever moves a `Peer` brings. There is no `Sync`.
unsafe impl Send for Peer {}

impl Peer {
    /// Makes a context and in it a socket of this type, numbered as in `zmq.h`.
    ///
    /// # Errors
    ///
    /// libzmq's own.
    pub fn new(socket_type: i32) -> io::Result<Self> {
        // SAFETY: takes nothing; null is checked.
        let context = unsafe { (library().ctx_new)() };
        if context.is_null() {
            return Err(last_error());
        }
        Peer::within(Arc::new(Context(context)), socket_type)
    }

    /// Makes another socket in the context of this one.
    ///
    /// # Errors
    ///
    /// libzmq's own.
    pub fn sibling(&self, socket_type: i32) -> io::Result<Self> {
        Peer::within(Arc::clone(&self.context), socket_type)
    }

    fn within(context: Arc<Context>, socket_type: i32) -> io::Result<Self> {
        // SAFETY: the context is there as long as it is held; null is checked.
        let socket = unsafe { (library().socket)(context.0, socket_type) };
        if socket.is_null() { Err(last_error()) } else { Ok(Peer { context, socket }) }
    }

    /// Sets an option.
    ///
    /// # Errors
    ///
    /// libzmq's own.
    pub fn set(&mut self, option: i32, value: &[u8]) -> io::Result<()> {
        // SAFETY: the socket is open, and the value is valid for reads of its length.
        check(unsafe { (library().setsockopt)(self.socket, option, value.as_ptr().cast(), value.len()) })
    }

    /// Binds and returns the endpoint with wildcards replaced.
    ///
    /// # Errors
    ///
    /// libzmq's own.
    pub fn bind(&mut self, endpoint: &str) -> io::Result<String> {
        let endpoint = CString::new(endpoint)?;
        // SAFETY: the socket is open, and the string ends in a zero byte and outlives the call.
        check(unsafe { (library().bind)(self.socket, endpoint.as_ptr()) })?;
        let mut text = [0_u8; 512];
        let mut length = text.len();
        // SAFETY: `text` is valid for writes of `length` bytes, which the library only lowers.
        check(unsafe {
            (library().getsockopt)(
                self.socket,
                option::LAST_ENDPOINT,
                text.as_mut_ptr().cast(),
                &raw mut length,
            )
        })?;
        let text = CStr::from_bytes_until_nul(&text).map_err(io::Error::other)?;
        Ok(text.to_string_lossy().into_owned())
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// libzmq's own.
    pub fn connect(&mut self, endpoint: &str) -> io::Result<()> {
        let endpoint = CString::new(endpoint)?;
        // SAFETY: the socket is open, and the string ends in a zero byte and outlives the call.
        check(unsafe { (library().connect)(self.socket, endpoint.as_ptr()) })
    }

    /// Binds or connects, and returns the error number, or 0.
    ///
    /// # Panics
    ///
    /// On an endpoint with a zero byte in it.
    pub fn refusal(&mut self, endpoint: &str, bind: bool) -> i32 {
        let endpoint = CString::new(endpoint).expect("no zero byte");
        let operation = if bind { library().bind } else { library().connect };
        // SAFETY: the socket is open, and the string ends in a zero byte and outlives the call.
        match unsafe { operation(self.socket, endpoint.as_ptr()) } {
            0 => 0,
            // SAFETY: takes nothing and only reads the thread's error number.
            _ => unsafe { (library().errno)() },
        }
    }

    /// Connects a PEER and returns the routing id of its peer.
    ///
    /// # Errors
    ///
    /// libzmq's own.
    pub fn connect_peer(&mut self, endpoint: &str) -> io::Result<u32> {
        let endpoint = CString::new(endpoint)?;
        // SAFETY: the socket is open, and the string ends in a zero byte and outlives the call.
        match unsafe { (library().connect_peer)(self.socket, endpoint.as_ptr()) } {
            0 => Err(last_error()),
            id => Ok(id),
        }
    }

    /// Joins a group or leaves it.
    ///
    /// # Errors
    ///
    /// libzmq's own.
    pub fn change_group(&mut self, group: &[u8], add: bool) -> io::Result<()> {
        let group = CString::new(group)?;
        let change = if add { library().join } else { library().leave };
        // SAFETY: the socket is open, and the string ends in a zero byte and outlives the call.
        check(unsafe { change(self.socket, group.as_ptr()) })
    }

    /// Sends a message of one part with what it says beside its body.
    ///
    /// # Errors
    ///
    /// libzmq's own; [`io::ErrorKind::WouldBlock`] after `ZMQ_SNDTIMEO`.
    pub fn send_labelled(&mut self, label: &Label, body: &[u8]) -> io::Result<()> {
        let group = CString::new(label.group.as_slice())?;
        let mut message = MaybeUninit::<RawMessage>::uninit();
        let message = message.as_mut_ptr();
        // SAFETY: valid for writes of one `zmq_msg_t`, which this initialises with a copy of the body, which is valid
        // for reads of its length; it does not move afterwards.
        check(unsafe { (library().msg_init_buffer)(message, body.as_ptr().cast(), body.len()) })?;
        // SAFETY: the message is initialised, and the string ends in a zero byte and is copied.
        let labelled = check(unsafe { (library().msg_set_group)(message, group.as_ptr()) }).and_then(|()| {
            if label.routing_id == 0 {
                return Ok(());
            }
            // SAFETY: the message is initialised.
            check(unsafe { (library().msg_set_routing_id)(message, label.routing_id) })
        });
        let sent = labelled.and_then(|()| {
            uninterrupted(|| {
                // SAFETY: the message is initialised and stays so, sent or not; the socket is open.
                check(unsafe { (library().msg_send)(message, self.socket, 0) })
            })
        });
        // SAFETY: initialised above, closed once, not used again.
        unsafe { (library().msg_close)(message) };
        sent
    }

    /// Receives a message of one part with what it says beside its body.
    ///
    /// # Errors
    ///
    /// libzmq's own; [`io::ErrorKind::WouldBlock`] after `ZMQ_RCVTIMEO`.
    pub fn recv_labelled(&mut self) -> io::Result<(Label, Vec<u8>)> {
        let (label, part, _) = self.recv_whole_part()?;
        Ok((label, part))
    }

    /// Sends a message of these parts, of which there is at least one.
    ///
    /// # Errors
    ///
    /// libzmq's own; [`io::ErrorKind::WouldBlock`] after `ZMQ_SNDTIMEO`.
    pub fn send<P: AsRef<[u8]>>(&mut self, parts: &[P]) -> io::Result<()> {
        for (i, part) in parts.iter().enumerate() {
            let part = part.as_ref();
            let flags = if i + 1 < parts.len() { SNDMORE } else { 0 };
            uninterrupted(|| {
                // SAFETY: the socket is open, and the part is valid for reads of its length; the library
                // copies it before it returns.
                check(unsafe { (library().send)(self.socket, part.as_ptr().cast(), part.len(), flags) })
            })?;
        }
        Ok(())
    }

    /// Receives all parts of a message.
    ///
    /// # Errors
    ///
    /// libzmq's own; [`io::ErrorKind::WouldBlock`] after `ZMQ_RCVTIMEO`.
    pub fn recv(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut parts = Vec::with_capacity(1);
        loop {
            let (_, part, more) = self.recv_whole_part()?;
            parts.push(part);
            if !more {
                return Ok(parts);
            }
        }
    }

    /// Receives a part: what it says beside its body, its body, and whether another follows.
    fn recv_whole_part(&mut self) -> io::Result<(Label, Vec<u8>, bool)> {
        let mut message = MaybeUninit::<RawMessage>::uninit();
        let message = message.as_mut_ptr();
        // SAFETY: valid for writes of one `zmq_msg_t`, which this initialises; it does not move afterwards.
        check(unsafe { (library().msg_init)(message) })?;
        let received = uninterrupted(|| {
            // SAFETY: the message is initialised and stays so; the socket is open.
            check(unsafe { (library().msg_recv)(message, self.socket, 0) })
        });
        let part = received.map(|()| {
            // SAFETY: the message is initialised.
            let (data, size) = unsafe { ((library().msg_data)(message), (library().msg_size)(message)) };
            let bytes = if size == 0 {
                Vec::new()
            } else {
                // SAFETY: an initialised message holds `size` bytes at `data` until it is closed.
                unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size) }.to_vec()
            };
            // SAFETY: the message is initialised; its group is a string that lives as long.
            let label = unsafe {
                let group = CStr::from_ptr((library().msg_group)(message)).to_bytes().to_vec();
                Label { routing_id: (library().msg_routing_id)(message), group }
            };
            // SAFETY: the message is initialised.
            (label, bytes, unsafe { (library().msg_more)(message) } != 0)
        });
        // SAFETY: initialised above, closed once, not used again.
        unsafe { (library().msg_close)(message) };
        part
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // SAFETY: it came from the library and is given back once, before the context it holds.
        unsafe { (library().close)(self.socket) };
    }
}
