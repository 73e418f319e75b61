//! What the library sets on the kernel's sockets where no option says so.

use std::ffi::c_int;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use common::api::*;

mod common;

const SRCFD: c_int = 2;
const SNDBUF: c_int = 11;
const LARGE: usize = 1 << 20;
const LOW_WATER: c_int = 256 * 1024;

/// A DEALER socket's connection to a bound socket of ours, written by hand.
fn raw_peer(socket: &Socket) -> TcpStream {
    let endpoint = socket.last_endpoint();
    let mut peer = TcpStream::connect(endpoint.strip_prefix("tcp://").expect("tcp")).expect("a listener");
    let mut greeting = [0u8; 64];
    greeting[..12].copy_from_slice(b"\xff\0\0\0\0\0\0\0\0\x7f\x03\0");
    greeting[12..16].copy_from_slice(b"NULL");
    peer.write_all(&greeting).expect("it reads");
    peer.read_exact(&mut greeting).expect("it greets");
    peer.write_all(b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06DEALER").expect("it reads");
    let mut ready = [0u8; 2];
    peer.read_exact(&mut ready).expect("it is ready");
    peer.read_exact(&mut vec![0; ready[1].into()]).expect("it is ready");
    peer
}

fn large_frame() -> Vec<u8> {
    [&[2][..], &(LARGE as u64).to_be_bytes(), &[7; LARGE]].concat()
}

/// The descriptor of the connection that the next message comes from, and how long that is.
fn receive(socket: &Socket) -> (c_int, usize) {
    let mut message = Msg::none();
    assert_done(zmq!(zmq_msg_init(&mut message)));
    let size = zmq!(zmq_msg_recv(&mut message, socket.0, 0));
    let fd = zmq!(zmq_msg_get(&message, SRCFD));
    assert!(size >= 0 && fd >= 0, "errno {}", errno());
    assert_done(zmq!(zmq_msg_close(&mut message)));
    (fd, size as usize)
}

fn kernel(fd: c_int, option: c_int) -> c_int {
    let (mut value, mut size) = (0, size_of::<c_int>() as libc::socklen_t);
    // SAFETY: asks for a number, of which the size is given, about a descriptor that the library keeps open.
    let result =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, (&raw mut value).cast(), &mut size) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    value
}

/// Bytes that lie in the kernel.
fn unread(fd: c_int) -> c_int {
    let mut bytes: c_int = 0;
    // SAFETY: asks for a number about a descriptor that the library keeps open.
    assert_eq!(unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut bytes) }, 0);
    bytes
}

fn wait_until(what: impl Fn() -> bool) {
    while !what() {
        thread::yield_now();
    }
}

#[test]
fn large_messages_in_a_row_wake_their_reader_for_a_quarter_mebibyte() {
    let context = Context::new();
    let dealer = context.socket(DEALER);
    dealer.bind("tcp://127.0.0.1:*");
    let mut peer = raw_peer(&dealer);
    let frame = large_frame();
    let half = frame.len() / 2;
    peer.write_all(&frame).expect("it reads");
    let (fd, size) = receive(&dealer);
    assert_eq!((size, kernel(fd, libc::SO_RCVLOWAT)), (LARGE, 1));
    peer.write_all(&frame[..half]).expect("it reads");
    wait_until(|| kernel(fd, libc::SO_RCVLOWAT) == LOW_WATER);
    // What is left is less than that.
    peer.write_all(&frame[half..frame.len() - 1000]).expect("it reads");
    wait_until(|| kernel(fd, libc::SO_RCVLOWAT) < LOW_WATER);
    peer.write_all(&frame[frame.len() - 1000..]).expect("it reads");
    assert_eq!(receive(&dealer), (fd, LARGE));
    assert_eq!(kernel(fd, libc::SO_RCVLOWAT), 1);
    peer.write_all(b"\0\x01x").expect("it reads");
    assert_eq!(receive(&dealer), (fd, 1));

    // After a small one, and in a conversation, the reader is woken for whatever comes.
    for sends in [false, true] {
        if sends {
            peer.write_all(&frame).expect("it reads");
            assert_eq!(receive(&dealer), (fd, LARGE));
            dealer.send(b"answer", 0);
            peer.read_exact(&mut [0; 8]).expect("it answers");
        }
        peer.write_all(&frame[..half]).expect("it reads");
        wait_until(|| unread(fd) == 0);
        assert_eq!(kernel(fd, libc::SO_RCVLOWAT), 1, "{sends}");
        peer.write_all(&frame[half..]).expect("it reads");
        assert_eq!(receive(&dealer), (fd, LARGE));
    }
}

#[test]
fn a_peer_that_goes_in_the_middle_of_a_large_message_is_noticed() {
    let context = Context::new();
    let dealer = context.socket(DEALER);
    dealer.bind("tcp://127.0.0.1:*");
    let mut peer = raw_peer(&dealer);
    let frame = large_frame();
    peer.write_all(&frame).expect("it reads");
    let (fd, _) = receive(&dealer);
    peer.write_all(&frame[..100_000]).expect("it reads");
    wait_until(|| kernel(fd, libc::SO_RCVLOWAT) == LOW_WATER);
    peer.shutdown(std::net::Shutdown::Write).expect("connected");
    // It hangs up in turn.
    assert_eq!(peer.read(&mut [0]).expect("no reset"), 0);
}

#[test]
fn large_messages_in_a_row_pass_through_small_buffers() {
    const RCVBUF: c_int = 12;
    let context = Context::new();
    for bytes in [1, 4096, 65_536] {
        let (pull, push) = (context.socket(PULL), context.socket(PUSH));
        pull.set(RCVBUF, bytes);
        pull.bind("tcp://127.0.0.1:*");
        push.connect(&pull.last_endpoint());
        let sender = Shared(push.into_handle());
        let sending = thread::spawn(move || {
            let push = Socket(sender.get());
            (0..4).for_each(|_| push.send(&[7; LARGE], 0));
            Shared(push.into_handle())
        });
        (0..4).for_each(|n| assert_eq!(receive(&pull).1, LARGE, "message {n}, {bytes} bytes"));
        // Until here it is open: messages know the connection they came from no longer than that lasts.
        drop(Socket(sending.join().expect("sent").get()));
    }
}

#[test]
fn ipc_connections_buffer_more_than_the_system_lets_them_by_default() {
    let context = Context::new();
    let plain = std::os::unix::net::UnixStream::pair().expect("two sockets").0;
    let default = kernel(std::os::fd::AsRawFd::as_raw_fd(&plain), libc::SO_SNDBUF);
    let most = std::fs::read_to_string("/proc/sys/net/core/wmem_max").expect("on Linux");
    let most: c_int = most.trim().parse().expect("a number");
    let sized = |option: Option<c_int>| {
        let (rep, req) = (context.socket(REP), context.socket(REQ));
        for socket in [&rep, &req] {
            option.into_iter().for_each(|bytes| socket.set(SNDBUF, bytes));
        }
        rep.bind("ipc://*");
        req.connect(&rep.last_endpoint());
        req.send(b"x", 0);
        let (accepted, _) = receive(&rep);
        rep.send(b"y", 0);
        [accepted, receive(&req).0].map(|fd| kernel(fd, libc::SO_SNDBUF))
    };
    // The kernel doubles what it is asked for.
    assert_eq!(sized(None), [default.max(2 * most.min(262_144)); 2]);
    assert_eq!(sized(Some(20_000)), [40_000; 2]);
}
