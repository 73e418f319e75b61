//! The loops of two sockets that talk as fast as they can: round trip and stream.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::link::Link;
use super::{Outcome, ROUTING_ID_MAX, Socket, check, histogram};
use crate::cell::Cell;
use crate::system::Usage;

/// A message that takes the largest chunk there may be: a STREAM socket's may hold several bodies.
const CHUNK_MAX: usize = 64 * 1024;

pub(super) fn room(cell: &Cell) -> usize {
    cell.size.max(if cell.pattern.is_routed() { CHUNK_MAX } else { ROUTING_ID_MAX })
}

pub(super) fn ping<S: Socket, L: Link<S>>(socket: &mut S, link: &mut L, cell: &Cell) -> io::Result<Outcome> {
    let mut message = socket.message(cell.size)?;
    for _ in 0..cell.warmup {
        link.send(socket, &mut message)?;
        check(link.recv(socket, &mut message)?, cell.size)?;
    }
    let mut latency = histogram()?;
    let idle = Duration::from_micros(cell.idle_us);
    let usage_at_start = Usage::now()?;
    let begin = Instant::now();
    for _ in 0..cell.count {
        if !idle.is_zero() {
            thread::sleep(idle);
        }
        let sent = Instant::now();
        link.send(socket, &mut message)?;
        let size = link.recv(socket, &mut message)?;
        latency.saturating_record(sent.elapsed().as_nanos() as u64);
        check(size, cell.size)?;
    }
    Ok(Outcome::since(begin, usage_at_start).with_latency(latency))
}

pub(super) fn echo<S: Socket, L: Link<S>>(socket: &mut S, link: &mut L, cell: &Cell) -> io::Result<Outcome> {
    let mut message = socket.empty(room(cell))?;
    let mut turn = || {
        check(link.recv(socket, &mut message)?, cell.size)?;
        link.send(socket, &mut message)
    };
    for _ in 0..cell.warmup {
        turn()?;
    }
    let usage_at_start = Usage::now()?;
    for _ in 0..cell.count {
        turn()?;
    }
    Ok(Outcome::of_helper(usage_at_start))
}

pub(super) fn source<S: Socket, L: Link<S>>(
    socket: &mut S,
    link: &mut L,
    cell: &Cell,
) -> io::Result<Outcome> {
    for _ in 0..cell.warmup {
        link.send_fresh(socket, cell.size)?;
    }
    let usage_at_start = Usage::now()?;
    for _ in 0..cell.count {
        link.send_fresh(socket, cell.size)?;
    }
    socket.flush()?;
    Ok(Outcome::of_helper(usage_at_start))
}

/// The clock starts when the last message of the warm-up has arrived, so `count` messages lie between
/// the two readings.
pub(super) fn sink<S: Socket, L: Link<S>>(socket: &mut S, link: &mut L, cell: &Cell) -> io::Result<Outcome> {
    let mut message = socket.empty(room(cell))?;
    for _ in 0..cell.warmup {
        check(link.recv(socket, &mut message)?, cell.size)?;
    }
    let usage_at_start = Usage::now()?;
    let begin = Instant::now();
    for _ in 0..cell.count {
        check(link.recv(socket, &mut message)?, cell.size)?;
    }
    Ok(Outcome::since(begin, usage_at_start))
}
