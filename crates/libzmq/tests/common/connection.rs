//! Connections as the kernel sees them, and peers written by hand.

use std::ffi::c_int;
use std::io::{Read, Write};
use std::net::TcpStream;

use super::api::*;
use crate::zmq;

/// `zmq_msg_get`: the descriptor of the connection that a message came from.
pub const SRCFD: c_int = 2;

/// The next message; the caller closes it.
#[track_caller]
pub fn received(socket: &Socket) -> Msg {
    let mut message = Msg::none();
    assert_done(zmq!(zmq_msg_init(&mut message)));
    assert!(zmq!(zmq_msg_recv(&mut message, socket.0, 0)) >= 0, "errno {}", errno());
    message
}

/// The descriptor of the connection that the next message comes from.
#[track_caller]
pub fn source(socket: &Socket) -> c_int {
    let mut message = received(socket);
    let fd = zmq!(zmq_msg_get(&message, SRCFD));
    assert!(fd >= 0, "errno {}", errno());
    assert_done(zmq!(zmq_msg_close(&mut message)));
    fd
}

/// A number that the kernel keeps for a descriptor.
pub fn kernel(fd: c_int, level: c_int, option: c_int) -> c_int {
    let (mut value, mut size) = (0, size_of::<c_int>() as libc::socklen_t);
    // SAFETY: asks for a number, of which the size is given, about a descriptor that the library keeps open.
    let result = unsafe { libc::getsockopt(fd, level, option, (&raw mut value).cast(), &mut size) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    value
}

/// A connection to a bound socket whose greetings are exchanged, of ZMTP 3.0 with NULL; the command READY is next.
pub fn greeted(socket: &Socket) -> TcpStream {
    let endpoint = socket.last_endpoint();
    let mut peer = TcpStream::connect(endpoint.strip_prefix("tcp://").expect("tcp")).expect("a listener");
    let mut greeting = [0u8; 64];
    greeting[..12].copy_from_slice(b"\xff\0\0\0\0\0\0\0\0\x7f\x03\0");
    greeting[12..16].copy_from_slice(b"NULL");
    peer.write_all(&greeting).expect("it reads");
    peer.read_exact(&mut greeting).expect("it greets");
    peer
}
