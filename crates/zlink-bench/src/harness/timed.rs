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

/// Takes a turn for each message or burst of the cell. What those of the warm-up use does not count.
fn take_turns(cell: &Cell, mut turn: impl FnMut(u64) -> io::Result<()>) -> io::Result<Outcome> {
    (0..cell.warmup).try_for_each(&mut turn)?;
    let usage_at_start = Usage::now()?;
    (cell.warmup..cell.warmup + cell.count).try_for_each(turn)?;
    Ok(Outcome::of_helper(usage_at_start))
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
    let mut awake_since = begin;
    take_turns(cell, |number| {
        if number == cell.warmup {
            // The accounting before it.
            awake_since = monotonic_ns()?;
        }
        let due = begin + (number as f64 * interval) as u64;
        if monotonic_ns()? < due {
            awake_since = sleep_until_ns(due)?;
        }
        link.send_stamped(socket, cell.size, due.max(awake_since).to_ne_bytes())
    })
}

/// Sends some messages at once, all with the time of the first, and pauses.
pub(super) fn burst_source<S: Socket, L: Link<S>>(
    socket: &mut S,
    link: &mut L,
    cell: &Cell,
    signals: &Signals<'_>,
) -> io::Result<Outcome> {
    begin_together(socket, link, cell, signals)?;
    take_turns(cell, |_| {
        let now = monotonic_ns()?;
        for _ in 0..cell.burst {
            link.send_stamped(socket, cell.size, now.to_ne_bytes())?;
        }
        sleep_until_ns(monotonic_ns()? + cell.idle_us * 1_000).map(drop)
    })
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::harness::fake::FakeSocket;
    use crate::harness::link::Plain;
    use crate::scenario::parse_suite;

    const MILLISECOND: u64 = 1_000_000;

    fn cell(line: &str) -> Cell {
        parse_suite(line).expect("the line is well formed").remove(0)
    }

    fn no_signals() -> Signals<'static> {
        Signals { arrived: &|| Ok(()), await_start: &|| {} }
    }

    #[test]
    fn messages_that_a_slow_send_holds_up_are_late_by_that() {
        let cell = cell("paced tcp push-pull 64 rate=1k count=40");
        // The first message begins the run; the one after twenty more takes as long as fifteen others.
        let stall = Some((21, Duration::from_millis(15)));
        let mut socket = FakeSocket { stall, ..FakeSocket::default() };
        let before = monotonic_ns().expect("there is a clock");
        paced_source(&mut socket, &mut Plain, &cell, &no_signals()).expect("a fake socket takes all");
        let stamps: Vec<u64> = socket.sent.iter().map(|part| u64::from_ne_bytes(part.stamp)).collect();
        assert_eq!(stamps.len() as u64, 1 + cell.warmup + cell.count);
        let begin = stamps[1];
        assert!(stamps[1..].is_sorted() && begin >= before);
        // Those that fell due during the stall carry the times they were due, or that of the last waking before it,
        // though they were all sent when it was over.
        let (stall, over) = socket.stalled;
        let due = |number: u64| begin + number * MILLISECOND;
        let held_up: Vec<u64> = (21..).take_while(|number| due(*number) < over.min(due(43))).collect();
        assert!(held_up.len() >= 10, "{held_up:?}");
        for number in held_up {
            let stamp = stamps[1 + number as usize];
            assert!(stamp <= due(number).max(stall) && stamp >= due(number), "message {number}");
        }
    }

    #[test]
    fn all_messages_of_a_burst_carry_the_time_of_its_first() {
        let cell = cell("burst tcp push-pull 64 burst=3 idle=1ms count=4");
        let mut socket = FakeSocket::default();
        burst_source(&mut socket, &mut Plain, &cell, &no_signals()).expect("a fake socket takes all");
        let stamps: Vec<u64> = socket.sent.iter().map(|part| u64::from_ne_bytes(part.stamp)).collect();
        assert_eq!(stamps.len() as u64, 1 + 3 * (cell.warmup + cell.count));
        for burst in stamps[1..].chunks(3) {
            assert!(burst.iter().all(|stamp| *stamp == burst[0]));
        }
        let pauses = stamps[1..].chunks(3).map(|burst| burst[0]).collect::<Vec<_>>();
        assert!(pauses.windows(2).all(|pair| pair[1] - pair[0] >= MILLISECOND));
    }

    #[test]
    fn the_sink_records_how_late_the_last_of_each_burst_is() {
        let cell = cell("burst tcp push-pull 64 burst=2 idle=1ms count=2");
        let now = monotonic_ns().expect("there is a clock");
        let message = |before: u64| [&(now - before).to_ne_bytes()[..], &[0; 56]].concat();
        // The one that begins, a burst of warm-up, and two measured bursts whose first messages do not count.
        let ages = [0, 0, 0, 9, 3, 9, 5].map(|millis| millis * MILLISECOND);
        let mut socket =
            FakeSocket { inbox: ages.into_iter().map(message).collect(), ..FakeSocket::default() };
        let outcome = sink(&mut socket, &mut Plain, &cell, &no_signals(), 2).expect("all is there");
        let latency = outcome.latency.expect("the sink measures");
        assert_eq!(latency.len(), 2);
        assert!(latency.min() >= 2_990_000 && latency.max() >= 4_990_000, "{latency:?}");
    }

    #[test]
    fn a_message_from_the_future_is_refused() {
        let cell = cell("paced tcp push-pull 64 rate=1k count=1");
        let mut socket = FakeSocket { inbox: vec![vec![0x7F; 64]; 3].into(), ..FakeSocket::default() };
        assert!(sink(&mut socket, &mut Plain, &cell, &no_signals(), 1).is_err());
    }
}
