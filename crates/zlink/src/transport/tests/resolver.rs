use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::{io, thread};

use rustix::io::Errno;

use super::*;

fn tcp_endpoint(text: &str) -> TcpEndpoint {
    match Endpoint::for_connect(text).unwrap() {
        Endpoint::Tcp(tcp) => tcp,
        other => panic!("{other}"),
    }
}

type Outcome = (io::Result<Vec<SocketAddr>>, thread::ThreadId);

fn resolve(resolver: &Resolver, text: &str, ipv6: bool) -> Receiver<Outcome> {
    let (sender, receiver) = channel();
    let done = move |found| {
        // The receiver may be gone: some tests drop it.
        let _ = sender.send((found, thread::current().id()));
    };
    resolver.resolve(&tcp_endpoint(text), ipv6, Box::new(done));
    receiver
}

fn errno(outcome: io::Result<Vec<SocketAddr>>) -> Option<i32> {
    outcome.unwrap_err().raw_os_error()
}

/// A name service that answers 192.0.2.1 once `gate` lets it, and nothing when the gate is gone.
fn gated() -> (Resolver, Sender<()>, Receiver<String>) {
    let (open, gate) = channel::<()>();
    let (asking, asked) = channel();
    let gate = Mutex::new((gate, asking));
    let resolver = Resolver::with(Arc::new(move |name, _| {
        let gate = gate.lock().unwrap();
        gate.1.send(name.to_owned()).ok();
        gate.0.recv().map_err(|_| Errno::INVAL)?;
        Ok(vec![SocketAddr::from(([192, 0, 2, 1], 0))])
    }));
    (resolver, open, asked)
}

#[test]
fn numeric_addresses_are_resolved_at_once_on_the_calling_thread() {
    let resolver = Resolver::with(Arc::new(|_, _| panic!("no name to look up")));
    let (found, thread) = resolve(&resolver, "tcp://127.0.0.1:80", false).try_recv().unwrap();
    assert_eq!(found.unwrap(), ["127.0.0.1:80".parse().unwrap()]);
    assert_eq!(thread, thread::current().id());
    let (found, _) = resolve(&resolver, "tcp://127.0.0.1:80", true).try_recv().unwrap();
    assert_eq!(found.unwrap(), ["[::ffff:127.0.0.1]:80".parse().unwrap()]);
}

#[test]
fn an_ipv6_address_without_ipv6_and_an_unknown_zone_are_invalid() {
    let resolver = Resolver::new();
    let (found, _) = resolve(&resolver, "tcp://[::1]:80", false).try_recv().unwrap();
    assert_eq!(errno(found), Some(Errno::INVAL.raw_os_error()));
    let unknown_zone = "tcp://[fe80::1%nosuchif0]:80";
    let (found, _) = resolve(&resolver, unknown_zone, true).try_recv().unwrap();
    assert_eq!(errno(found), Some(Errno::INVAL.raw_os_error()));
}

#[test]
fn names_are_resolved_on_another_thread_and_get_the_port_of_the_endpoint() {
    let (resolver, open, _asked) = gated();
    let waiting = resolve(&resolver, "tcp://some-host:80", false);
    assert!(waiting.try_recv().is_err());
    open.send(()).unwrap();
    let (found, thread) = waiting.recv().unwrap();
    assert_eq!(found.unwrap(), ["192.0.2.1:80".parse().unwrap()]);
    assert_ne!(thread, thread::current().id());
}

#[test]
fn localhost_is_found_by_the_systems_name_service_in_either_family() {
    let resolver = Resolver::new();
    let (found, _) = resolve(&resolver, "tcp://localhost:80", false).recv().unwrap();
    let found = found.unwrap();
    assert!(found.contains(&"127.0.0.1:80".parse().unwrap()), "{found:?}");
    assert!(found.iter().all(SocketAddr::is_ipv4));
    let (found, _) = resolve(&resolver, "tcp://localhost:80", true).recv().unwrap();
    assert!(found.unwrap().iter().all(SocketAddr::is_ipv6));
}

#[test]
fn a_name_that_cannot_exist_is_invalid() {
    // A label has at most 63 bytes: refused before anyone is asked.
    let name = format!("tcp://{}:80", "x".repeat(80));
    let (found, _) = resolve(&Resolver::new(), &name, false).recv().unwrap();
    assert_eq!(errno(found), Some(Errno::INVAL.raw_os_error()));
}

#[test]
fn dropping_the_resolver_does_not_wait_for_a_slow_lookup_nor_start_another() {
    let (resolver, open, asked) = gated();
    let slow = resolve(&resolver, "tcp://slow:80", false);
    let queued = resolve(&resolver, "tcp://queued:80", false);
    assert_eq!(asked.recv().unwrap(), "slow");
    drop(resolver);
    open.send(()).unwrap();
    // The callbacks are dropped without a call, so the channels close empty.
    assert!(slow.recv().is_err());
    assert!(queued.recv().is_err());
    assert!(asked.recv().is_err(), "the second name was looked up");
}

#[test]
fn closing_the_resolver_ends_its_thread_and_refuses_names() {
    let resolver = Resolver::with(Arc::new(|_, _| Ok(vec![SocketAddr::from(([192, 0, 2, 1], 0))])));
    let (gone, went) = channel();
    let on_its_thread = Box::new(move |found: io::Result<Vec<SocketAddr>>| {
        LEAVING.set(Some(Leaving(gone)));
        found.unwrap();
    });
    resolver.resolve(&tcp_endpoint("tcp://some-host:80"), false, on_its_thread);
    // A second name, so that the first has had its answer and the thread may be waiting for more.
    resolve(&resolver, "tcp://some-host:80", false).recv().unwrap().0.unwrap();
    resolver.close();
    assert_eq!(went.try_recv(), Ok(()), "the thread is still there");
    let (refused, _) = resolve(&resolver, "tcp://some-host:80", false).try_recv().unwrap();
    assert_eq!(errno(refused), Some(Errno::AGAIN.raw_os_error()));
}

#[test]
fn a_callback_may_be_the_last_to_hold_the_resolver() {
    let (resolver, open, _asked) = gated();
    let resolver = Arc::new(resolver);
    let (dropped, outcome) = channel();
    let held = Arc::clone(&resolver);
    let last = Box::new(move |_| {
        while Arc::strong_count(&held) > 1 {
            thread::yield_now();
        }
        drop(held);
        dropped.send(()).unwrap();
    });
    resolver.resolve(&tcp_endpoint("tcp://some-host:80"), false, last);
    drop(resolver);
    open.send(()).unwrap();
    outcome.recv().expect("the callback ends");
}

thread_local! {
    /// Says that its thread ends.
    static LEAVING: Cell<Option<Leaving>> = const { Cell::new(None) };
}

struct Leaving(Sender<()>);

impl Drop for Leaving {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[test]
fn too_many_waiting_lookups_are_turned_away() {
    let (resolver, open, asked) = gated();
    let first = resolve(&resolver, "tcp://first:80", false);
    asked.recv().unwrap();
    let mut queued = Vec::new();
    let refused = loop {
        let outcome = resolve(&resolver, "tcp://next:80", false);
        match outcome.try_recv() {
            Ok((refused, _)) => break refused,
            Err(_) => queued.push(outcome),
        }
        assert!(queued.len() < 100_000, "the queue has no bound");
    };
    assert_eq!(errno(refused), Some(Errno::AGAIN.raw_os_error()));
    for _ in 0..=queued.len() {
        open.send(()).unwrap();
    }
    first.recv().unwrap().0.unwrap();
    for outcome in queued {
        outcome.recv().unwrap().0.unwrap();
    }
}

#[test]
fn a_callback_that_panics_costs_its_own_lookup_only() {
    let (resolver, open, asked) = gated();
    let bad = Box::new(|_| panic!("a callback that panics, on purpose"));
    resolver.resolve(&tcp_endpoint("tcp://bad:80"), false, bad);
    asked.recv().unwrap();
    open.send(()).unwrap();
    // Lookups sent before the thread has quite ended go down with it.
    loop {
        let next = resolve(&resolver, "tcp://good:80", false);
        open.send(()).unwrap();
        if let Ok((found, _)) = next.recv() {
            found.unwrap();
            return;
        }
    }
}
