//! Sockets.

use std::ffi::{c_char, c_int, c_void};
use std::ops::Deref;

use zlink::{Context, Events, SocketType, raw};
use zlink_pipe::Message;

use crate::error::{Failure, Result, call};
use crate::handle::{self, Object};
use crate::utils::{group, input, input_to_copy, output, output_with_size, text};

pub(crate) const DONTWAIT: c_int = 1;
pub(crate) const SNDMORE: c_int = 2;

/// Options that no value at all, a null pointer, clears. libzmq refuses an empty value otherwise. ZMQ_TCP_ACCEPT_FILTER,
/// ZMQ_IPC_FILTER_PID, _UID and _GID, ZMQ_SOCKS_PROXY, ZMQ_BINDTODEVICE.
const CLEARED_BY_NULL: [c_int; 6] = [38, 58, 59, 60, 68, 92];

/// A socket as C programs hold it.
pub(crate) struct Socket {
    socket: zlink::Socket,
    /// For the socket of a monitor.
    pub(crate) context: Context,
}

// SAFETY: the number is no other type's.
unsafe impl Object for Socket {
    const KIND: u32 = 0x50_C8_E7_01;
    const WRONG: Failure = Failure(libc::ENOTSOCK);
}

impl Deref for Socket {
    type Target = zlink::Socket;

    #[inline]
    fn deref(&self) -> &zlink::Socket {
        &self.socket
    }
}

/// Enters a call on a socket.
#[inline]
pub(crate) fn enter(socket: *mut c_void) -> Result<handle::Entered<Socket>> {
    handle::enter(socket)
}

/// A size as the C functions return it.
#[inline]
pub(crate) fn returned(size: usize) -> c_int {
    c_int::try_from(size).unwrap_or(c_int::MAX)
}

/// `zmq_socket`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_socket(context: *mut c_void, socket_type: c_int) -> *mut c_void {
    call(std::ptr::null_mut(), || {
        let context: Context = handle::enter::<Context>(context)?.clone();
        let socket_type = SocketType::from_i32(socket_type).ok_or(Failure(libc::EINVAL))?;
        let socket = context.socket(socket_type)?;
        handle::open(Socket { socket, context })
    })
}

/// `zmq_close`. Other threads' calls on the socket end with `ENOTSOCK`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_close(socket: *mut c_void) -> c_int {
    call(-1, || {
        handle::close::<Socket>(socket, |socket| socket.close())?;
        Ok(0)
    })
}

/// `zmq_setsockopt`.
///
/// # Safety
///
/// `value` is null or valid for reads of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_setsockopt(
    socket: *mut c_void,
    option: c_int,
    value: *const c_void,
    size: usize,
) -> c_int {
    call(-1, || {
        let socket = enter(socket)?;
        if size == 0 && !value.is_null() && CLEARED_BY_NULL.contains(&option) {
            return Err(Failure(libc::EINVAL));
        }
        // SAFETY: the caller's.
        socket.set_option(option, unsafe { input(value, size) }?)?;
        Ok(0)
    })
}

/// `zmq_getsockopt`.
///
/// # Safety
///
/// `size` is null or valid for reads and writes; `value` is null or valid for writes of `*size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_getsockopt(
    socket: *mut c_void,
    option: c_int,
    value: *mut c_void,
    size: *mut usize,
) -> c_int {
    call(-1, || {
        let socket = enter(socket)?;
        // SAFETY: the caller's.
        unsafe { output_with_size(value, size, |out| -> Result<usize> { Ok(socket.option(option, out)?) }) }
    })
}

/// `zmq_socket_get_peer_state`: `ZMQ_POLLOUT` if there is room for a message to that peer of a ROUTER socket, else 0.
///
/// # Safety
///
/// `routing_id` is null or valid for reads of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_socket_get_peer_state(
    socket: *mut c_void,
    routing_id: *const c_void,
    size: usize,
) -> c_int {
    call(-1, || {
        let socket = enter(socket)?;
        // SAFETY: the caller's.
        let writable = socket.peer_is_writable(unsafe { input(routing_id, size) }?)?;
        Ok(if writable { c_int::from(Events::OUT.bits()) } else { 0 })
    })
}

type EndpointCall = fn(&zlink::Socket, &str) -> zlink::Result<()>;

/// # Safety
///
/// `endpoint` is null or a string that ends in a zero byte.
unsafe fn with_endpoint(socket: *mut c_void, endpoint: *const c_char, body: EndpointCall) -> c_int {
    call(-1, || {
        let socket = enter(socket)?;
        // SAFETY: the caller's.
        body(&socket, unsafe { text(endpoint) }?)?;
        Ok(0)
    })
}

/// `zmq_bind`.
///
/// # Safety
///
/// `endpoint` is null or a string that ends in a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_bind(socket: *mut c_void, endpoint: *const c_char) -> c_int {
    // SAFETY: the caller's.
    unsafe { with_endpoint(socket, endpoint, zlink::Socket::bind) }
}

/// `zmq_connect`.
///
/// # Safety
///
/// `endpoint` is null or a string that ends in a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_connect(socket: *mut c_void, endpoint: *const c_char) -> c_int {
    // SAFETY: the caller's.
    unsafe { with_endpoint(socket, endpoint, zlink::Socket::connect) }
}

/// `zmq_connect_peer`. Returns the routing id of the peer, or 0.
///
/// # Safety
///
/// `endpoint` is null or a string that ends in a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_connect_peer(socket: *mut c_void, endpoint: *const c_char) -> u32 {
    call(0, || {
        let socket = enter(socket)?;
        // SAFETY: the caller's.
        Ok(socket.connect_peer(unsafe { text(endpoint) }?)?)
    })
}

/// `zmq_disconnect_peer` of libzmq's later sources: closes the connection to the peer of that routing id.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_disconnect_peer(socket: *mut c_void, routing_id: u32) -> c_int {
    call(-1, || {
        enter(socket)?.disconnect_peer(routing_id)?;
        Ok(0)
    })
}

/// `zmq_unbind`.
///
/// # Safety
///
/// `endpoint` is null or a string that ends in a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_unbind(socket: *mut c_void, endpoint: *const c_char) -> c_int {
    // SAFETY: the caller's.
    unsafe { with_endpoint(socket, endpoint, zlink::Socket::unbind) }
}

/// `zmq_disconnect`.
///
/// # Safety
///
/// `endpoint` is null or a string that ends in a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_disconnect(socket: *mut c_void, endpoint: *const c_char) -> c_int {
    // SAFETY: the caller's.
    unsafe { with_endpoint(socket, endpoint, zlink::Socket::disconnect) }
}

/// `zmq_join`.
///
/// # Safety
///
/// `name` is null or a string that ends in a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_join(socket: *mut c_void, name: *const c_char) -> c_int {
    call(-1, || {
        let socket = enter(socket)?;
        // SAFETY: the caller's.
        socket.join(unsafe { group(name) }?)?;
        Ok(0)
    })
}

/// `zmq_leave`.
///
/// # Safety
///
/// `name` is null or a string that ends in a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_leave(socket: *mut c_void, name: *const c_char) -> c_int {
    call(-1, || {
        let socket = enter(socket)?;
        // SAFETY: the caller's.
        socket.leave(unsafe { group(name) }?)?;
        Ok(0)
    })
}

/// `zmq_send`. Returns the size sent.
///
/// # Safety
///
/// `data` is null or valid for reads of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_send(
    socket: *mut c_void,
    data: *const c_void,
    size: usize,
    flags: c_int,
) -> c_int {
    call(-1, || {
        let socket = enter(socket)?;
        // SAFETY: the caller's.
        let bytes = unsafe { input_to_copy(data, size) }?;
        raw::send_slice(&socket, bytes, flags & SNDMORE != 0, flags & DONTWAIT != 0)?;
        Ok(returned(size))
    })
}

/// `zmq_send_const`: as `zmq_send`, without a copy if the data is large. Returns the size sent.
///
/// # Safety
///
/// `data` is null or valid for reads of `size` bytes, from any thread and until the process ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_send_const(
    socket: *mut c_void,
    data: *const c_void,
    size: usize,
    flags: c_int,
) -> c_int {
    call(-1, || {
        let socket = enter(socket)?;
        // SAFETY: the caller's.
        let bytes: &'static [u8] = unsafe { input(data, size) }?;
        let mut message = Message::from_static(bytes);
        raw::send_message(&socket, &mut message, flags & SNDMORE != 0, flags & DONTWAIT != 0)?;
        Ok(returned(size))
    })
}

/// `zmq_recv`. Returns the size of the message, of which no more than `size` bytes are written.
///
/// # Safety
///
/// `data` is null or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_recv(
    socket: *mut c_void,
    data: *mut c_void,
    size: usize,
    flags: c_int,
) -> c_int {
    call(-1, || {
        let socket = enter(socket)?;
        // SAFETY: the caller's.
        let buffer = unsafe { output(data, size) }?;
        Ok(returned(raw::recv_slice(&socket, buffer, flags & DONTWAIT != 0)?))
    })
}
