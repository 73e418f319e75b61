//! The loops with many sockets on one side: fan-in, fan-out, connecting and idling.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::link::Link;
use super::{LAST, Outcome, Socket, TOPIC, check, topics_of};
use crate::cell::{Cell, Topics};
use crate::system::Usage;

/// Sockets that are connected at a time where connections are counted.
const AT_A_TIME: u64 = 32;

/// How long idle connections are watched.
const IDLE: Duration = Duration::from_secs(1);

/// Connects socket after socket: each asks once, and is closed when it has its answer.
pub(crate) fn run_connections<S: Socket>(
    open: impl Fn() -> io::Result<S>,
    endpoint: &str,
    cell: &Cell,
) -> io::Result<Outcome> {
    let run = |count: u64| {
        let mut left = count;
        while left > 0 {
            let mut sockets = Vec::new();
            for _ in 0..left.min(AT_A_TIME) {
                let mut socket = open()?;
                socket.connect(endpoint)?;
                let mut message = socket.message(cell.size)?;
                socket.send(&mut message, false)?;
                sockets.push((socket, message));
            }
            left -= sockets.len() as u64;
            for (socket, message) in &mut sockets {
                check(socket.recv(message)?, cell.size)?;
            }
        }
        Ok::<(), io::Error>(())
    };
    run(cell.warmup)?;
    let usage_at_start = Usage::now()?;
    let begin = Instant::now();
    run(cell.count)?;
    Ok(Outcome::since(begin, usage_at_start))
}

/// Sends from one socket after the other.
pub(super) fn source<S: Socket, L: Link<S>>(
    sockets: &mut [S],
    mut link: L,
    cell: &Cell,
) -> io::Result<Outcome> {
    let mut turn = 0;
    let mut send = |count: u64| {
        for _ in 0..count {
            link.send_fresh(&mut sockets[turn], cell.size)?;
            turn = if turn + 1 < sockets.len() { turn + 1 } else { 0 };
        }
        Ok::<(), io::Error>(())
    };
    send(cell.warmup)?;
    let usage_at_start = Usage::now()?;
    send(cell.count)?;
    Ok(Outcome::of_helper(usage_at_start))
}

/// Subscribes as the scenario says.
pub(super) fn ask_for_topics<S: Socket>(socket: &mut S, topics: Topics) -> io::Result<()> {
    topics_of(topics).iter().try_for_each(|topic| socket.subscribe(topic))
}

/// Publishes to all subscribers once all their subscriptions are there, and at last what every one of them waits for.
///
/// Where nothing is delivered there is nobody else to take the time.
pub(super) fn publish<S: Socket>(socket: &mut S, cell: &Cell) -> io::Result<Outcome> {
    for _ in 0..cell.peers * topics_of(cell.topics).len() as u64 {
        socket.await_subscription()?;
    }
    for _ in 0..cell.warmup {
        socket.send_stamped(cell.size, TOPIC)?;
    }
    let usage_at_start = Usage::now()?;
    let begin = Instant::now();
    for _ in 0..cell.count {
        socket.send_stamped(cell.size, TOPIC)?;
    }
    let outcome = Outcome::since(begin, usage_at_start);
    socket.send_stamped(cell.size, LAST)?;
    match cell.topics {
        Topics::Never => Ok(outcome),
        _ => Ok(Outcome::of_helper(usage_at_start)),
    }
}

/// Receives every message at every subscriber, one subscriber after the other.
pub(super) fn subscribe<S: Socket>(sockets: &mut [S], cell: &Cell) -> io::Result<Outcome> {
    let Some(first) = sockets.first() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut message = first.empty(cell.size)?;
    let mut round = |count: u64| {
        for _ in 0..count {
            for socket in sockets.iter_mut() {
                check(socket.recv(&mut message)?, cell.size)?;
            }
        }
        Ok::<(), io::Error>(())
    };
    if cell.topics == Topics::Never {
        let usage_at_start = Usage::now()?;
        round(1)?;
        return Ok(Outcome::of_helper(usage_at_start));
    }
    round(cell.warmup)?;
    let usage_at_start = Usage::now()?;
    let begin = Instant::now();
    round(cell.count)?;
    let outcome = Outcome::since(begin, usage_at_start);
    round(1)?;
    Ok(outcome)
}

/// Receives one message of each connection, and then idles.
pub(super) fn accept_and_idle<S: Socket, L: Link<S>>(
    socket: &mut S,
    link: &mut L,
    cell: &Cell,
) -> io::Result<Outcome> {
    let mut message = socket.empty(cell.size.max(super::ROUTING_ID_MAX))?;
    for _ in 0..cell.peers {
        check(link.recv(socket, &mut message)?, cell.size)?;
    }
    idle()
}

/// Sends one message over each connection, which shows that it is there, and then idles.
pub(super) fn connect_and_idle<S: Socket>(sockets: &mut [S], cell: &Cell) -> io::Result<Outcome> {
    for socket in sockets {
        socket.send_fresh(cell.size)?;
    }
    // What is left of connecting on this side is done when the other side begins to idle.
    thread::sleep(IDLE);
    idle()
}

fn idle() -> io::Result<Outcome> {
    let usage_at_start = Usage::now()?;
    let begin = Instant::now();
    thread::sleep(IDLE);
    Ok(Outcome::since(begin, usage_at_start))
}
