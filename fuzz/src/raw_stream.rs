use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use zlink::{Context, Error, Message, Socket, SocketType};

use crate::input::Input;

const LINGER: i32 = 17;
const RCVTIMEO: i32 = 27;
const SNDTIMEO: i32 = 28;
const ROUTER_RAW: i32 = 41;
const IN_BATCH_SIZE: i32 = 101;

/// Ends what would hang.
const GUARD: Duration = Duration::from_secs(20);
/// What goes either way fits into the kernel's buffers.
const MAX_BYTES: usize = 60_000;
const MAX_STEPS: usize = 32;

/// A STREAM, or a raw ROUTER, bound or connected, and a plain peer: what either writes the other gets, and whoever
/// closes, the other learns of it behind that.
pub fn raw_stream(data: &[u8]) {
    let mut input = Input(data);
    let context = Context::new();
    let router = input.flag();
    let socket =
        context.socket(if router { SocketType::Router } else { SocketType::Stream }).expect("socket");
    let set = |option: i32, value: i32| socket.set_option(option, &value.to_ne_bytes()).expect("option");
    set(LINGER, 0);
    set(RCVTIMEO, GUARD.as_millis() as i32);
    set(SNDTIMEO, GUARD.as_millis() as i32);
    set(IN_BATCH_SIZE, input.choose(&[1, 7, 1000, 8192]));
    if router {
        set(ROUTER_RAW, 1);
    }
    let mut peer = meet(&socket, input.flag());
    peer.set_nodelay(true).expect("option");
    peer.set_read_timeout(Some(GUARD)).and(peer.set_write_timeout(Some(GUARD))).expect("option");
    let (name, notice) = hear(&socket);
    assert!(name.len() == 5 && notice.is_empty());

    let (mut to_socket, mut to_peer) = (Vec::new(), Vec::new());
    let (mut heard, mut read) = (Vec::new(), Vec::new());
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        match input.byte() % 8 {
            0 | 1 => {
                let bytes = bytes(&mut input, to_socket.len());
                peer.write_all(&bytes).expect("the socket reads");
                to_socket.extend(bytes);
            }
            2 | 3 => {
                let bytes = bytes(&mut input, to_peer.len());
                if !bytes.is_empty() {
                    socket.send_more(&*name).expect("send");
                    let mut body = Message::from(&*bytes);
                    body.set_more(input.flag());
                    socket.send(body).expect("send");
                    to_peer.extend(bytes);
                }
            }
            4 => {
                if let Ok(from) = socket.try_recv() {
                    assert_eq!(*from, *name);
                    heard.extend_from_slice(&socket.recv().expect("the data behind a name"));
                }
            }
            5 if read.len() < to_peer.len() => {
                let mut piece = vec![0; 1 + input.below(to_peer.len() - read.len())];
                let n = read_some(&mut peer, &mut piece);
                read.extend_from_slice(&piece[..n]);
            }
            6 => {
                let stranger = input.bytes(8);
                if stranger != name && socket.send_more(stranger).is_ok() {
                    socket.send(input.bytes(20)).expect("what has no peer is dropped");
                }
            }
            // A name alone.
            _ => socket.send(&*name).expect("send"),
        }
    }
    let by_peer = input.flag();
    let rest = to_peer.len() - read.len();
    if by_peer {
        // Not earlier: bytes that lie unread make a reset of the end.
        read.extend(take(&mut peer, rest));
        peer.shutdown(Shutdown::Write).expect("shutdown");
    }
    while heard.len() < to_socket.len() {
        heard.extend(hear(&socket).1);
    }
    if by_peer {
        assert_eq!(hear(&socket), (name, Vec::new()));
    } else {
        socket.send_multipart([&*name, b""]).expect("send");
        read.extend(take(&mut peer, rest));
    }
    assert_eq!(read_some(&mut peer, &mut [0]), 0);
    assert!(heard == to_socket && read == to_peer);
    drop(socket);
    context.terminate();
}

fn meet(socket: &Socket, connects: bool) -> TcpStream {
    if connects {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        socket.connect(&format!("tcp://{}", listener.local_addr().expect("address"))).expect("connect");
        return listener.accept().expect("accept").0;
    }
    socket.bind("tcp://127.0.0.1:*").expect("bind");
    let endpoint = socket.last_endpoint().expect("endpoint");
    TcpStream::connect(endpoint.trim_start_matches("tcp://")).expect("connect")
}

fn part(socket: &Socket) -> Message {
    loop {
        match socket.recv() {
            Err(Error::Interrupted) => {}
            part => return part.expect("a name and data"),
        }
    }
}

fn hear(socket: &Socket) -> (Vec<u8>, Vec<u8>) {
    let (name, data) = (part(socket), part(socket));
    assert!(name.more() && !data.more());
    (name.to_vec(), data.to_vec())
}

/// A fuzzer's timer may interrupt it.
fn read_some(peer: &mut TcpStream, buffer: &mut [u8]) -> usize {
    loop {
        match peer.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.expect("read"),
        }
    }
}

fn take(peer: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    peer.read_exact(&mut bytes).expect("all that was sent");
    bytes
}

/// Bytes to send, few or many.
fn bytes(input: &mut Input<'_>, sent: usize) -> Vec<u8> {
    let times = input.choose(&[1, 1, 1, 50, 300]);
    let mut bytes = input.bytes(60).repeat(times);
    bytes.truncate(MAX_BYTES.saturating_sub(sent));
    bytes
}
