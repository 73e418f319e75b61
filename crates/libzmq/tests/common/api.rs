//! The functions of `zmq.h`, loaded from our library or, where [`each`](super::each) says so, from libzmq.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_short, c_void};
use std::ptr;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::each::library;

pub const PAIR: c_int = 0;
pub const PUB: c_int = 1;
pub const SUB: c_int = 2;
pub const REQ: c_int = 3;
pub const REP: c_int = 4;
pub const DEALER: c_int = 5;
pub const ROUTER: c_int = 6;
pub const PULL: c_int = 7;
pub const PUSH: c_int = 8;
pub const XPUB: c_int = 9;
pub const XSUB: c_int = 10;
pub const SERVER: c_int = 12;
pub const CLIENT: c_int = 13;
pub const RADIO: c_int = 14;
pub const DISH: c_int = 15;
pub const GATHER: c_int = 16;
pub const SCATTER: c_int = 17;
pub const PEER: c_int = 19;
pub const CHANNEL: c_int = 20;

pub const DONTWAIT: c_int = 1;
pub const SNDMORE: c_int = 2;

pub const ROUTING_ID: c_int = 5;
pub const SUBSCRIBE: c_int = 6;
pub const EVENTS: c_int = 15;
pub const LINGER: c_int = 17;
pub const RECONNECT_IVL: c_int = 18;
pub const SNDBUF: c_int = 11;
pub const SNDHWM: c_int = 23;
pub const RCVHWM: c_int = 24;
pub const RCVTIMEO: c_int = 27;
pub const IMMEDIATE: c_int = 39;
pub const XPUB_VERBOSE: c_int = 40;
pub const THREAD_SAFE: c_int = 81;
pub const SNDTIMEO: c_int = 28;
pub const LAST_ENDPOINT: c_int = 32;
pub const RCVMORE: c_int = 13;

pub const ENOENT: c_int = 2;
pub const EINTR: c_int = 4;
pub const EBADF: c_int = 9;
pub const EAGAIN: c_int = 11;
pub const ENOMEM: c_int = 12;
pub const EFAULT: c_int = 14;
pub const EINVAL: c_int = 22;
pub const EMFILE: c_int = 24;
pub const ENAMETOOLONG: c_int = 36;
pub const ENOTSOCK: c_int = 88;
pub const EPROTONOSUPPORT: c_int = 93;
pub const ENOTSUP: c_int = 95;
pub const EADDRINUSE: c_int = 98;
pub const EHOSTUNREACH: c_int = 113;
const HAUSNUMERO: c_int = 156_384_712;
pub const EFSM: c_int = HAUSNUMERO + 51;
pub const ETERM: c_int = HAUSNUMERO + 53;
pub const EMTHREAD: c_int = HAUSNUMERO + 54;
pub const ENOCOMPATPROTO: c_int = HAUSNUMERO + 52;

/// `zmq_msg_t`.
#[repr(C, align(8))]
pub struct Msg(pub [u8; 64]);

impl Msg {
    /// Memory that holds no message.
    pub fn none() -> Self {
        Msg([0; 64])
    }
}

/// `zmq_pollitem_t`.
#[repr(C)]
pub struct Item {
    pub socket: *mut c_void,
    pub fd: c_int,
    pub events: c_short,
    pub revents: c_short,
}

/// `zmq_poller_event_t`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    pub socket: *mut c_void,
    pub fd: c_int,
    pub user_data: *mut c_void,
    pub events: c_short,
}

pub type Handle = *mut c_void;
pub type Release = unsafe extern "C" fn(*mut c_void, *mut c_void);
pub type Handler = unsafe extern "C" fn(c_int, *mut c_void);

macro_rules! functions {
    ($($name:ident($($type:ty),*) -> $result:ty;)*) => {
        #[allow(non_snake_case)]
        pub struct Api {
            $(pub $name: unsafe extern "C" fn($($type),*) -> $result,)*
        }

        impl Api {
            fn load() -> Self {
                // SAFETY: built by this workspace; loading it runs nothing but the start of a language's runtime.
                let library = unsafe { Library::open(Some(library()), RTLD_NOW | RTLD_LOCAL) };
                let library = library.expect("the library was just built");
                let api = Api {
                    $(
                        // SAFETY: the signature is zmq.h's.
                        $name: *unsafe { library.get(stringify!($name)) }.expect(stringify!($name)),
                    )*
                };
                // Never unloaded: the functions stay callable.
                std::mem::forget(library);
                api
            }
        }
    };
}

functions! {
    zmq_errno() -> c_int;
    zmq_strerror(c_int) -> *const c_char;
    zmq_version(*mut c_int, *mut c_int, *mut c_int) -> ();
    zmq_has(*const c_char) -> c_int;
    zmq_ctx_new() -> Handle;
    zmq_init(c_int) -> Handle;
    zmq_ctx_set(Handle, c_int, c_int) -> c_int;
    zmq_ctx_get(Handle, c_int) -> c_int;
    zmq_ctx_set_ext(Handle, c_int, *const c_void, usize) -> c_int;
    zmq_ctx_get_ext(Handle, c_int, *mut c_void, *mut usize) -> c_int;
    zmq_ctx_shutdown(Handle) -> c_int;
    zmq_ctx_term(Handle) -> c_int;
    zmq_socket(Handle, c_int) -> Handle;
    zmq_close(Handle) -> c_int;
    zmq_setsockopt(Handle, c_int, *const c_void, usize) -> c_int;
    zmq_getsockopt(Handle, c_int, *mut c_void, *mut usize) -> c_int;
    zmq_bind(Handle, *const c_char) -> c_int;
    zmq_connect(Handle, *const c_char) -> c_int;
    zmq_unbind(Handle, *const c_char) -> c_int;
    zmq_disconnect(Handle, *const c_char) -> c_int;
    zmq_send(Handle, *const c_void, usize, c_int) -> c_int;
    zmq_send_const(Handle, *const c_void, usize, c_int) -> c_int;
    zmq_recv(Handle, *mut c_void, usize, c_int) -> c_int;
    zmq_sendiov(Handle, *mut [usize; 2], usize, c_int) -> c_int;
    zmq_recviov(Handle, *mut [usize; 2], *mut usize, c_int) -> c_int;
    zmq_msg_init(*mut Msg) -> c_int;
    zmq_msg_init_size(*mut Msg, usize) -> c_int;
    zmq_msg_init_buffer(*mut Msg, *const c_void, usize) -> c_int;
    zmq_msg_init_data(*mut Msg, *mut c_void, usize, Option<Release>, *mut c_void) -> c_int;
    zmq_msg_close(*mut Msg) -> c_int;
    zmq_msg_move(*mut Msg, *mut Msg) -> c_int;
    zmq_msg_copy(*mut Msg, *mut Msg) -> c_int;
    zmq_msg_data(*mut Msg) -> *mut c_void;
    zmq_msg_size(*const Msg) -> usize;
    zmq_msg_more(*const Msg) -> c_int;
    zmq_msg_get(*const Msg, c_int) -> c_int;
    zmq_msg_set(*mut Msg, c_int, c_int) -> c_int;
    zmq_msg_gets(*const Msg, *const c_char) -> *const c_char;
    zmq_msg_send(*mut Msg, Handle, c_int) -> c_int;
    zmq_msg_recv(*mut Msg, Handle, c_int) -> c_int;
    zmq_msg_routing_id(*mut Msg) -> u32;
    zmq_msg_set_routing_id(*mut Msg, u32) -> c_int;
    zmq_msg_group(*mut Msg) -> *const c_char;
    zmq_msg_set_group(*mut Msg, *const c_char) -> c_int;
    zmq_join(Handle, *const c_char) -> c_int;
    zmq_leave(Handle, *const c_char) -> c_int;
    zmq_connect_peer(Handle, *const c_char) -> u32;
    zmq_device(c_int, Handle, Handle) -> c_int;
    zmq_sendmsg(Handle, *mut Msg, c_int) -> c_int;
    zmq_recvmsg(Handle, *mut Msg, c_int) -> c_int;
    zmq_term(Handle) -> c_int;
    zmq_ctx_destroy(Handle) -> c_int;
    zmq_sleep(c_int) -> ();
    zmq_curve_keypair(*mut c_char, *mut c_char) -> c_int;
    zmq_curve_public(*mut c_char, *const c_char) -> c_int;
    zmq_socket_get_peer_state(Handle, *const c_void, usize) -> c_int;
    zmq_socket_monitor(Handle, *const c_char, c_int) -> c_int;
    zmq_socket_monitor_versioned(Handle, *const c_char, u64, c_int, c_int) -> c_int;
    zmq_socket_monitor_pipes_stats(Handle) -> c_int;
    zmq_poll(*mut Item, c_int, c_long) -> c_int;
    zmq_ppoll(*mut Item, c_int, c_long, *const libc::sigset_t) -> c_int;
    zmq_poller_new() -> Handle;
    zmq_poller_destroy(*mut Handle) -> c_int;
    zmq_poller_size(Handle) -> c_int;
    zmq_poller_add(Handle, Handle, *mut c_void, c_short) -> c_int;
    zmq_poller_modify(Handle, Handle, c_short) -> c_int;
    zmq_poller_remove(Handle, Handle) -> c_int;
    zmq_poller_add_fd(Handle, c_int, *mut c_void, c_short) -> c_int;
    zmq_poller_modify_fd(Handle, c_int, c_short) -> c_int;
    zmq_poller_remove_fd(Handle, c_int) -> c_int;
    zmq_poller_wait(Handle, *mut Event, c_long) -> c_int;
    zmq_poller_wait_all(Handle, *mut Event, c_int, c_long) -> c_int;
    zmq_poller_fd(Handle, *mut c_int) -> c_int;
    zmq_proxy(Handle, Handle, Handle) -> c_int;
    zmq_proxy_steerable(Handle, Handle, Handle, Handle) -> c_int;
    zmq_z85_encode(*mut c_char, *const u8, usize) -> *mut c_char;
    zmq_z85_decode(*mut u8, *const c_char) -> *mut u8;
    zmq_atomic_counter_new() -> Handle;
    zmq_atomic_counter_set(Handle, c_int) -> ();
    zmq_atomic_counter_inc(Handle) -> c_int;
    zmq_atomic_counter_dec(Handle) -> c_int;
    zmq_atomic_counter_value(Handle) -> c_int;
    zmq_atomic_counter_destroy(*mut Handle) -> ();
    zmq_timers_new() -> Handle;
    zmq_timers_destroy(*mut Handle) -> c_int;
    zmq_timers_add(Handle, usize, Option<Handler>, *mut c_void) -> c_int;
    zmq_timers_cancel(Handle, c_int) -> c_int;
    zmq_timers_set_interval(Handle, c_int, usize) -> c_int;
    zmq_timers_reset(Handle, c_int) -> c_int;
    zmq_timers_timeout(Handle) -> c_long;
    zmq_timers_execute(Handle) -> c_int;
    zmq_stopwatch_start() -> Handle;
    zmq_stopwatch_intermediate(Handle) -> u64;
    zmq_stopwatch_stop(Handle) -> u64;
    zmq_threadstart(Option<unsafe extern "C" fn(*mut c_void)>, *mut c_void) -> Handle;
    zmq_threadclose(Handle) -> ();
}

/// A function that our library has and libzmq 4.3.5 has not.
///
/// # Safety
///
/// `T` is the type that our headers give it.
pub unsafe fn own_function<T: Copy>(name: &str) -> T {
    // SAFETY: as in `load`; the library is loaded once more, and never unloaded.
    let library = unsafe { Library::open(Some(library()), RTLD_NOW | RTLD_LOCAL) };
    let library = library.expect("the library was just built");
    // SAFETY: the caller's.
    let function = *unsafe { library.get::<T>(name) }.unwrap_or_else(|error| panic!("{name}: {error}"));
    std::mem::forget(library);
    function
}

/// The library's functions.
pub fn api() -> &'static Api {
    static API: OnceLock<Api> = OnceLock::new();
    API.get_or_init(Api::load)
}

/// Calls a function of the library.
#[macro_export]
macro_rules! zmq {
    ($name:ident($($argument:expr),* $(,)?)) => {{
        #[allow(clippy::macro_metavars_in_unsafe, reason = "the macro is a call into C, as its name says")]
        // SAFETY: the arguments are as zmq.h asks, or wrong in a way that the library promises to detect.
        unsafe { ($crate::common::api::api().$name)($($argument),*) }
    }};
}

/// The calling thread's error.
pub fn errno() -> c_int {
    zmq!(zmq_errno())
}

/// Asserts that a call has failed with this error.
#[track_caller]
pub fn assert_fails<T: PartialEq + std::fmt::Debug>(result: T, failure: T, number: c_int) {
    let actual = errno();
    assert_eq!(result, failure, "the call succeeded");
    assert_eq!(actual, number, "wrong errno");
}

/// Asserts that a call has succeeded.
#[track_caller]
pub fn assert_done(result: c_int) {
    assert_eq!(result, 0, "errno {}", errno());
}

/// A handle that other threads may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shared(pub Handle);

impl Shared {
    /// The handle. A closure that calls this borrows the whole, which threads may share.
    pub fn get(&self) -> Handle {
        self.0
    }
}

// SAFETY: the library's handles may be used from any thread; that is what these tests are about.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

/// A context, terminated at the end.
pub struct Context(pub Handle);

impl Context {
    pub fn new() -> Self {
        let context = zmq!(zmq_ctx_new());
        assert!(!context.is_null());
        Context(context)
    }

    /// A socket that gives up after a long time, so that a defect ends a test.
    pub fn socket(&self, socket_type: c_int) -> Socket {
        let socket = zmq!(zmq_socket(self.0, socket_type));
        assert!(!socket.is_null(), "errno {}", errno());
        let socket = Socket(socket);
        for (option, value) in [(LINGER, 0), (RCVTIMEO, 30_000), (SNDTIMEO, 30_000)] {
            socket.set(option, value);
        }
        socket
    }

    /// A bound and a connected socket.
    pub fn pair(&self, bound: c_int, connected: c_int, endpoint: &str) -> (Socket, Socket) {
        let (server, client) = (self.socket(bound), self.socket(connected));
        server.bind(endpoint);
        client.connect(&server.last_endpoint());
        (server, client)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        zmq!(zmq_ctx_term(self.0));
    }
}

/// A socket, closed at the end.
pub struct Socket(pub Handle);

impl Socket {
    #[track_caller]
    pub fn set(&self, option: c_int, value: c_int) {
        let value = value.to_ne_bytes();
        assert_done(zmq!(zmq_setsockopt(self.0, option, value.as_ptr().cast(), value.len())));
    }

    pub fn get(&self, option: c_int) -> c_int {
        let (mut value, mut size) = ([0; 4], 4);
        assert_done(zmq!(zmq_getsockopt(self.0, option, value.as_mut_ptr().cast(), &mut size)));
        c_int::from_ne_bytes(value)
    }

    #[track_caller]
    pub fn bind(&self, endpoint: &str) {
        let endpoint = CString::new(endpoint).unwrap();
        assert_done(zmq!(zmq_bind(self.0, endpoint.as_ptr())));
    }

    #[track_caller]
    pub fn connect(&self, endpoint: &str) {
        let endpoint = CString::new(endpoint).unwrap();
        assert_done(zmq!(zmq_connect(self.0, endpoint.as_ptr())));
    }

    pub fn last_endpoint(&self) -> String {
        let (mut text, mut size) = ([0u8; 256], 256);
        assert_done(zmq!(zmq_getsockopt(self.0, LAST_ENDPOINT, text.as_mut_ptr().cast(), &mut size)));
        CStr::from_bytes_until_nul(&text).unwrap().to_str().unwrap().to_owned()
    }

    /// Sends a part.
    #[track_caller]
    pub fn send(&self, bytes: &[u8], flags: c_int) {
        let sent = zmq!(zmq_send(self.0, bytes.as_ptr().cast(), bytes.len(), flags));
        assert_eq!(usize::try_from(sent), Ok(bytes.len()), "errno {}", errno());
    }

    /// Receives a part.
    #[track_caller]
    pub fn recv(&self) -> Vec<u8> {
        let mut buffer = vec![0; 1 << 16];
        let size = zmq!(zmq_recv(self.0, buffer.as_mut_ptr().cast(), buffer.len(), 0));
        assert!(size >= 0, "errno {}", errno());
        buffer.truncate(size as usize);
        buffer
    }

    /// The socket's handle, which then is the caller's to close.
    pub fn into_handle(mut self) -> Handle {
        std::mem::replace(&mut self.0, ptr::null_mut())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if !self.0.is_null() {
            zmq!(zmq_close(self.0));
        }
    }
}

/// The text a function has returned.
pub fn text(text: *const c_char) -> String {
    assert!(!text.is_null(), "errno {}", errno());
    // SAFETY: not null, so a string of the library.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
}
