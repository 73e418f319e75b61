//! What the library sets on the kernel's sockets where no option says so.

use std::ffi::c_int;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use common::api::*;
use common::connection::{SRCFD, greeted, kernel, received};

mod common;

/// No multiple of what is read at a time.
const LARGE: usize = (1 << 20) + 12_345;
const LOW_WATER: c_int = 256 * 1024;
const RCVBUF: c_int = 12;

/// A DEALER socket's connection to a bound socket of ours, written by hand.
fn raw_peer(socket: &Socket) -> TcpStream {
    let mut peer = greeted(socket);
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
    let mut message = received(socket);
    let (fd, size) = (zmq!(zmq_msg_get(&message, SRCFD)), zmq!(zmq_msg_size(&message)));
    assert!(fd >= 0, "errno {}", errno());
    assert_done(zmq!(zmq_msg_close(&mut message)));
    (fd, size)
}

fn low_water(fd: c_int) -> c_int {
    kernel(fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT)
}

/// Bytes that lie in the kernel.
fn unread(fd: c_int) -> c_int {
    let mut bytes: c_int = 0;
    // SAFETY: asks for a number about a descriptor that the library keeps open.
    assert_eq!(unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut bytes) }, 0);
    bytes
}

/// A socket, a peer that has sent it a large message, and the descriptor of their connection.
fn after_one_large(context: &Context) -> (Socket, TcpStream, c_int) {
    let dealer = context.socket(DEALER);
    dealer.bind("tcp://127.0.0.1:*");
    let mut peer = raw_peer(&dealer);
    peer.write_all(&large_frame()).expect("it reads");
    let (fd, size) = receive(&dealer);
    assert_eq!((size, low_water(fd)), (LARGE, 1));
    (dealer, peer, fd)
}

fn wait_until(what: impl Fn() -> bool) {
    while !what() {
        thread::yield_now();
    }
}

#[test]
fn large_messages_in_a_row_wake_their_reader_for_a_quarter_mebibyte() {
    let context = Context::new();
    let (dealer, mut peer, fd) = after_one_large(&context);
    let frame = large_frame();
    let half = frame.len() / 2;
    peer.write_all(&frame[..half]).expect("it reads");
    wait_until(|| low_water(fd) == LOW_WATER);
    // In the end less than that is left: but if the reader has stopped where just the mark is, and waits for the last byte.
    peer.write_all(&frame[half..frame.len() - 1]).expect("it reads");
    wait_until(|| low_water(fd) < LOW_WATER);
    peer.write_all(&frame[frame.len() - 1..]).expect("it reads");
    assert_eq!(receive(&dealer), (fd, LARGE));
    assert_eq!(low_water(fd), 1);
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
        assert_eq!(low_water(fd), 1, "{sends}");
        peer.write_all(&frame[half..]).expect("it reads");
        assert_eq!(receive(&dealer), (fd, LARGE));
    }
}

#[test]
fn a_peer_that_goes_in_the_middle_of_a_large_message_is_noticed() {
    let context = Context::new();
    let (_dealer, mut peer, fd) = after_one_large(&context);
    peer.write_all(&large_frame()[..100_000]).expect("it reads");
    wait_until(|| low_water(fd) == LOW_WATER);
    peer.shutdown(std::net::Shutdown::Write).expect("connected");
    // It hangs up in turn.
    assert_eq!(peer.read(&mut [0]).expect("no reset"), 0);
}

#[test]
fn large_messages_in_a_row_pass_through_small_buffers() {
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
fn a_receive_buffer_begins_with_room_for_a_quarter_mebibyte_unless_its_size_is_set() {
    let context = Context::new();
    for set in [None, Some(32_768)] {
        let dealer = context.socket(DEALER);
        if let Some(bytes) = set {
            dealer.set(RCVBUF, bytes);
        }
        dealer.bind("tcp://127.0.0.1:*");
        let mut peer = raw_peer(&dealer);
        peer.write_all(b"\0\x05hello").expect("it reads");
        let (fd, size) = receive(&dealer);
        assert_eq!((size, low_water(fd)), (5, 1));
        let room = kernel(fd, libc::SOL_SOCKET, libc::SO_RCVBUF);
        match set {
            None => assert!(room >= LOW_WATER, "{room}"),
            // The kernel doubles what is asked for.
            Some(bytes) => assert_eq!(room, 2 * bytes),
        }
    }
}
