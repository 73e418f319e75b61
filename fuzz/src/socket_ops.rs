use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use zlink::{Context, Events, PollItem, Socket, SocketType, poll};

use crate::input::Input;

const LINGER: i32 = 17;
const RCVTIMEO: i32 = 27;
const SNDTIMEO: i32 = 28;

/// More sockets and steps than this make an input slow, not better.
const MAX_SOCKETS: usize = 6;
const MAX_STEPS: usize = 64;

/// A sequence of operations on sockets of any types: each succeeds or fails, at once, and the context ends.
pub fn socket_ops(data: &[u8]) {
    static RUN: AtomicU64 = AtomicU64::new(0);
    let run = RUN.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    let endpoints = [
        "inproc://a".to_owned(),
        "inproc://b".to_owned(),
        format!("ipc://@zlink-fuzz-{process}-{run}-a"),
        format!("ipc://@zlink-fuzz-{process}-{run}-b"),
        "tcp://127.0.0.1:*".to_owned(),
        "nonsense".to_owned(),
    ];
    let context = Context::new();
    let mut sockets = Vec::new();
    let mut input = Input(data);
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        step(&mut input, &context, &mut sockets, &endpoints);
    }
    for socket in &sockets {
        do_not_wait(socket);
    }
    drop(sockets);
    context.terminate();
}

fn do_not_wait(socket: &Socket) {
    for option in [LINGER, RCVTIMEO, SNDTIMEO] {
        // Fails on a closed socket, which does not wait either.
        let _ = socket.set_option(option, &0i32.to_ne_bytes());
    }
}

fn step(input: &mut Input<'_>, context: &Context, sockets: &mut Vec<Socket>, endpoints: &[String]) {
    let choice = input.byte() % 20;
    if sockets.is_empty() || (choice == 0 && sockets.len() < MAX_SOCKETS) {
        let kind = SocketType::from_i32(i32::from(input.byte() % 21)).expect("there are 21 socket types");
        if let Ok(socket) = context.socket(kind) {
            do_not_wait(&socket);
            sockets.push(socket);
        }
        return;
    }
    let at = input.below(sockets.len());
    let socket = &sockets[at];
    match choice {
        0 | 1 => {
            let _ = socket.bind(&endpoints[input.below(endpoints.len())]);
        }
        2 | 3 => {
            let _ = socket.connect(&endpoints[input.below(endpoints.len())]);
        }
        4 => {
            // Where another one is bound, with the port or name it was given.
            let other = sockets[input.below(sockets.len())].last_endpoint();
            if let Ok(endpoint) = other {
                let _ = socket.connect(&endpoint);
            }
        }
        5..=7 => {
            let _ = socket.try_send(body(input));
        }
        8 => {
            let _ = socket.send_more(body(input));
        }
        9 => {
            let parts: Vec<_> = (0..input.below(4)).map(|_| body(input)).collect();
            let _ = socket.send_multipart(parts);
        }
        10..=12 => {
            let _ = socket.try_recv();
        }
        13 => {
            let mut buffer = [0; 8];
            if let Ok(len) = socket.recv_into(&mut buffer) {
                assert!(len < 1 << 20);
            }
        }
        14 => {
            let _ = socket.recv_multipart();
        }
        15 => {
            let (option, value) = (option(input), input.bytes(12));
            let _ = match input.flag() {
                true => socket.set_option(option, &i32::from(input.byte() as i8).to_ne_bytes()),
                false => socket.set_option(option, value),
            };
            do_not_wait(socket);
        }
        16 => {
            let mut out = [0; 300];
            let room = input.below(out.len());
            if let Ok(len) = socket.option(option(input), &mut out[..room]) {
                assert!(len <= room);
            }
        }
        17 => {
            let endpoint = &endpoints[input.below(endpoints.len())];
            let _ = if input.flag() { socket.unbind(endpoint) } else { socket.disconnect(endpoint) };
        }
        18 => {
            let wait = Duration::from_millis(u64::from(input.flag()));
            let mut items: Vec<_> = sockets
                .iter()
                .map(|socket| {
                    PollItem::socket(socket, Events::from_bits(Events::IN.bits() | Events::OUT.bits()))
                })
                .collect();
            let _ = poll(&mut items, Some(wait));
        }
        _ => match input.byte() % 4 {
            0 => socket.close(),
            1 => drop(sockets.swap_remove(at)),
            2 => {
                let _ = (socket.readiness(), socket.stats(), socket.peer_stats());
            }
            _ => {
                let _ = socket.fd();
            }
        },
    }
}

/// Most options have small numbers; some have large ones.
fn option(input: &mut Input<'_>) -> i32 {
    let number = i32::from(input.byte());
    if input.flag() { number } else { 10_000 + number }
}

fn body(input: &mut Input<'_>) -> Vec<u8> {
    let short = input.bytes(20).to_vec();
    match input.byte() % 8 {
        0 => vec![7; 300],
        1 => vec![7; 40_000],
        _ => short,
    }
}
