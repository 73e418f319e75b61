//! The loops in which the sender keeps to a clock: fixed rate and bursts. Messages carry the time they were
//! due, and the receiver records how much later each is there.

use std::io;
use std::time::Instant;

use super::link::Link;
use super::pairs::room;
use super::{Outcome, Signals, Socket, check, histogram};
use crate::cell::Cell;
use crate::system::{Usage, monotonic_ns, sharpen_timer, sleep_until_ns};

/// Sends one message, waits until it has come through, and so have those of the pairs beside this one.
fn begin_together<S: Socket, L: Link<S>>(
    socket: &mut S,
    link: &mut L,
    cell: &Cell,
    signals: &Signals<'_>,
) -> io::Result<()> {
    sharpen_timer()?;
    link.send_stamped(socket, cell.size, [0; 8])?;
    (signals.await_start)();
    Ok(())
}

/// Sends a message whenever one is due, whatever has become of those before (an open loop).
///
/// A message carries the time it was *due*, not the time it was sent: if the library holds up a send, those that
/// fall due meanwhile are late by that, and are recorded so (coordinated omission). Only what this loop itself
/// has overslept or spent on accounting is forgiven: messages that fell due meanwhile are due when it is back.
pub(super) fn paced_source<S: Socket, L: Link<S>>(
    socket: &mut S,
    link: &mut L,
    cell: &Cell,
    signals: &Signals<'_>,
) -> io::Result<Outcome> {
    begin_together(socket, link, cell, signals)?;
    let interval = 1_000_000_000.0 * cell.sockets as f64 / cell.rate as f64;
    let begin = monotonic_ns()?;
    let mut usage_at_start = Usage::now()?;
    let mut awake_since = begin;
    for number in 0..cell.warmup + cell.count {
        if number == cell.warmup {
            usage_at_start = Usage::now()?;
            awake_since = monotonic_ns()?;
        }
        let due = begin + (number as f64 * interval) as u64;
        if monotonic_ns()? < due {
            awake_since = sleep_until_ns(due)?;
        }
        link.send_stamped(socket, cell.size, due.max(awake_since).to_ne_bytes())?;
    }
    Ok(Outcome::of_helper(usage_at_start))
}

/// Sends some messages at once, all with the time of the first, and pauses.
pub(super) fn burst_source<S: Socket, L: Link<S>>(
    socket: &mut S,
    link: &mut L,
    cell: &Cell,
    signals: &Signals<'_>,
) -> io::Result<Outcome> {
    begin_together(socket, link, cell, signals)?;
    let mut usage_at_start = Usage::now()?;
    for number in 0..cell.warmup + cell.count {
        if number == cell.warmup {
            usage_at_start = Usage::now()?;
        }
        let now = monotonic_ns()?;
        for _ in 0..cell.burst {
            link.send_stamped(socket, cell.size, now.to_ne_bytes())?;
        }
        sleep_until_ns(monotonic_ns()? + cell.idle_us * 1_000)?;
    }
    Ok(Outcome::of_helper(usage_at_start))
}

/// Receives, and records the time of every message whose number is a multiple of `every`.
pub(super) fn sink<S: Socket, L: Link<S>>(
    socket: &mut S,
    link: &mut L,
    cell: &Cell,
    signals: &Signals<'_>,
    every: u64,
) -> io::Result<Outcome> {
    let mut message = socket.empty(room(cell))?;
    check(link.recv(socket, &mut message)?, cell.size)?;
    (signals.arrived)()?;
    for _ in 0..cell.warmup * every {
        check(link.recv(socket, &mut message)?, cell.size)?;
    }
    let mut latency = histogram()?;
    let usage_at_start = Usage::now()?;
    let begin = Instant::now();
    for _ in 0..cell.count {
        for _ in 0..every {
            check(link.recv(socket, &mut message)?, cell.size)?;
        }
        let now = monotonic_ns()?;
        let due = u64::from_ne_bytes(socket.stamp(&message));
        // A stamp from the future would be another clock: the two are the same machine's.
        let taken = now.checked_sub(due).ok_or_else(|| io::Error::other("a message without its time"))?;
        latency.saturating_record(taken);
    }
    Ok(Outcome::since(begin, usage_at_start).with_latency(latency))
}
